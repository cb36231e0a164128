"""What a reader installs and a maintainer runs: the package, the set-up cell, the tools."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from helpers import needs

import bake_repo
import notebook_files as notebooks
from notebook_files import ROOT


def python(*arguments, **options):
    """Runs this Python; its output is in the result."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)


# --- the package ---------------------------------------------------------------------------------


def test_install_brings_kanbook_with_its_data_and_nothing_else(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("kanbook", "evidence", "notebooks", "book", "tests"):
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", target]
    result = python("-m", "pip", "install", *options, source)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in target.iterdir() if path.suffix != ".dist-info"} == {"kanbook"}
    wanted = {path.relative_to(source) for path in (source / "kanbook").rglob("*.*")}
    assert {path.suffix for path in wanted} >= {".py", ".js", ".css", ".png", ".ttf", ".typed"}
    assert not {str(path) for path in wanted if not (target / path).is_file()}


def test_constraints_are_pins_without_torch():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = [line for line in text.splitlines() if not line.startswith("#")]
    assert not [pin for pin in pins if not re.match(r"[\w.-]+==[\w.]+( ; |$)", pin)]
    # each machine keeps the build of torch that fits it
    assert not [pin for pin in pins if re.match("torch|triton|nvidia|cuda|kanbook", pin)]


def test_paths_are_not_absolute():
    """No file that a person edits names a folder of one machine."""
    pattern = re.compile(r"(?<![\w.:/~-])/(?:home|Users|root|work)/\w")
    paths = [ROOT / name for name in ("Makefile", "_config.yml", "pyproject.toml", ".ci/run")]
    for path in [*paths, *ROOT.glob("*.txt"), *(ROOT / "book").rglob("*.py")]:
        assert not pattern.search(path.read_text(encoding="utf-8")), path


# --- badge and set-up cell -----------------------------------------------------------------------


def test_a_new_notebook_gets_both_cells(tmp_path):
    shutil.copy(ROOT / "_config.yml", tmp_path)
    path = tmp_path / "notebooks" / "01_hats.ipynb"
    path.parent.mkdir()
    store(path, "print(1)")
    bake_repo.main([], root=tmp_path)
    cells = notebooks.read(path)["cells"]
    badge, setup = (cell["source"] for cell in cells[:2])
    assert badge == bake_repo.badge_cell("OWNER/kanbook", "main", "notebooks/01_hats.ipynb")
    assert setup == bake_repo.setup_cell("OWNER/kanbook", "main")
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "code"]
    before = path.read_bytes()
    bake_repo.main([], root=tmp_path)
    assert path.read_bytes() == before


def run_setup_cell(folder, **variables):
    """Runs the set-up cell as a notebook in `folder` would, where another kanbook is installed."""
    installed = folder / "installed" / "kanbook"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    script = bake_repo.setup_cell("OWNER/kanbook", "main") + "\nprint('from', kanbook.__file__)"
    environment = os.environ | {"PYTHONPATH": str(installed.parent)} | variables
    flag = "-P" if sys.version_info >= (3, 11) else "-B"
    return python(flag, "-c", script, cwd=folder, env=environment)


def test_setup_cell_takes_the_checkout_around_it(tmp_path):
    folder = tmp_path / "notebooks" / "solutions"
    folder.mkdir(parents=True)
    for package in ("kanbook", "evidence"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "kanbook" / "plots.py").write_text("def use_style():\n    print('styled')\n")
    result = run_setup_cell(folder)
    assert result.returncode == 0, result.stderr
    said, *others = result.stdout.splitlines()
    assert said == "kanbook and evidence: the checkout around this notebook"
    assert others == ["styled", f"from {tmp_path / 'kanbook' / '__init__.py'}"]


@needs("git")
def test_setup_cell_says_what_to_do_when_it_cannot_fetch(tmp_path):
    """An installed kanbook, which has no evidence, is not enough."""
    result = run_setup_cell(tmp_path, GIT_ALLOW_PROTOCOL="file")
    assert result.returncode != 0
    assert "`git fetch --depth 1 https://github.com/OWNER/kanbook main` failed" in result.stderr
    assert "clone the repository" in result.stderr


# --- run_notebooks.py ----------------------------------------------------------------------------


def store(path, *sources, budget=60):
    """A notebook as an editor may leave it: no cell ids, another layout."""
    cells = [
        {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}
        | {"execution_count": None}
        for source in sources
    ]
    metadata = {"kanbook": {"budget_seconds": budget}, "vscode": {"x": 1}}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}
    path.write_text(json.dumps(content))
    return path


def run(*arguments):
    return python(ROOT / "book" / "_tools" / "run_notebooks.py", *arguments)


WIDGETS = """\
import sys, warnings
print(object()); print("err", file=sys.stderr); print(object())
warnings.warn("careful")
import anywidget
class Own(anywidget.AnyWidget):
    _esm = "export default {}"
Own()"""
LIVE_ONLY = "import ipywidgets\nipywidgets.IntSlider(description='degree')"


def test_runner_stores_what_a_second_run_repeats(tmp_path):
    sources = (WIDGETS, "import os\nos.environ['OMP_NUM_THREADS']", LIVE_ONLY)
    path, twin = store(tmp_path / "a.ipynb", *sources), tmp_path / "b.ipynb"
    content = notebooks.read(path)
    content["cells"][2]["metadata"] = {"tags": ["live-only"]}
    for each in (path, twin):
        each.write_text(notebooks.dump(content))
    ran = run(path, twin)  # a kernel for each
    assert ran.returncode == 0, ran.stderr
    text, notebook = path.read_text(), notebooks.read(path)
    assert "00000000000000000000000000000001" in text, "widget ids are numbered"
    assert not re.search(r"at 0x(?!0{12}\b)|ipykernel_[1-9]", text)
    assert [cell["execution_count"] for cell in notebook["cells"]] == [1, 2, 3]
    assert notebook["cells"][2]["outputs"] == [], "live-only: nothing is stored"
    assert "IntSlider" not in json.dumps(notebook["metadata"])
    assert notebook["cells"][1]["outputs"][0]["data"]["text/plain"] == ["'1'"]
    assert sorted(notebook["metadata"]) == ["kanbook", "kernelspec", "language_info", "widgets"]
    assert "version" not in notebook["metadata"]["language_info"]
    assert twin.read_text() == text
    assert "unchanged" in run(path).stdout and path.read_text() == text
    assert {*tmp_path.iterdir()} == {path, twin}, "no temporary file is left"


@pytest.mark.parametrize(
    ("sources", "budget", "message"),
    [
        (["x = 1", "print(x)\nnames_nothing"], 60, "cell 2, which begins with 'print(x)'"),
        (["import time; time.sleep(30)"], 1, "did not end within 1 s"),
        (["import time", *["time.sleep(0.6)"] * 3], 1, "its time budget is 1 s"),
        (["import os; os._exit(3)"], 60, "ended the kernel"),
        (["x = 1"], None, "states no time budget"),
        (["x = 1", " "], 60, "is empty"),
    ],
    ids=["error", "slow cell", "slow notebook", "dead kernel", "no budget", "empty cell"],
)
def test_runner_leaves_a_failing_notebook_alone(tmp_path, sources, budget, message):
    path = store(tmp_path / "a.ipynb", *sources, budget=budget)
    before = path.read_bytes()
    result = run(path)
    assert result.returncode == 1 and path.read_bytes() == before
    assert message in result.stderr and path.name in result.stderr
