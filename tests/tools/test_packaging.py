"""What a reader installs and a maintainer runs: the package, the make targets, the tools."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

import bake_repo
import notebook_files as notebooks
from notebook_files import ROOT

TOOLS = ROOT / "book" / "_tools"
DATA = (".js", ".css", ".png", ".svg", ".json", ".csv")
IGNORED = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")


def python(*arguments, **options):
    """Runs this Python; its output is in the result."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)


# --- the package ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """`pip install .` of a copy of the sources, with one more data file of each kind."""
    source = tmp_path_factory.mktemp("source")
    target = tmp_path_factory.mktemp("target")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("kanbook", "notebooks", "book", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=IGNORED)
    for suffix in DATA:
        (source / "kanbook" / f"sample{suffix}").write_text("")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", target]
    result = python("-m", "pip", "install", *options, source)
    assert result.returncode == 0, result.stderr
    return source, target


def test_install_brings_only_kanbook(installed):
    _, target = installed
    names = {path.name for path in target.iterdir() if path.suffix != ".dist-info"}
    assert names == {"kanbook"}


def test_install_brings_every_module_and_data_file(installed):
    source, target = installed
    wanted = {
        path.relative_to(source)
        for path in (source / "kanbook").rglob("*")
        if path.suffix in (".py", ".jsonl", *DATA)
    }
    missing = {str(path) for path in wanted if not (target / path).is_file()}
    assert not missing


def test_version_is_that_of_the_package(installed):
    _, target = installed
    text = (ROOT / "kanbook" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"', text, re.M)[1]
    assert (target / f"kanbook-{version}.dist-info").is_dir()


# --- requirements --------------------------------------------------------------------------------


def requirements(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [Requirement(entry) for entry in entries if entry]


def is_pin(requirement):
    return any(part.operator in ("==", "===") for part in requirement.specifier)


def test_requirements_are_ranges():
    for requirement in requirements("requirements.txt"):
        assert requirement.specifier, f"{requirement} has no lower bound"
        assert not is_pin(requirement), f"{requirement} is a pin; pins stand in constraints.txt"


def test_requirements_include_those_of_the_package():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", text, re.M | re.S)[1]
    wanted = {str(Requirement(entry)) for entry in re.findall(r'"(.+?)"', block)}
    assert wanted <= {str(requirement) for requirement in requirements("requirements.txt")}


def test_constraints_are_pins_without_torch():
    constraints = requirements("constraints.txt")
    assert all(is_pin(requirement) for requirement in constraints)
    names = {requirement.name.lower() for requirement in constraints}
    # each machine keeps the build of torch that fits it
    assert not {name for name in names if re.match(r"torch|triton|nvidia|cuda|kanbook", name)}
    assert not [requirement for requirement in constraints if "+" in str(requirement.specifier)]


def test_constraints_fit_the_ranges():
    pins = {pin.name.lower(): pin for pin in requirements("constraints.txt")}
    for requirement in requirements("requirements.txt"):
        pin = pins.get(requirement.name.lower())
        if pin is not None:
            (version,) = [part.version for part in pin.specifier]
            assert requirement.specifier.contains(version), f"{pin} is outside {requirement}"


def test_bench_group_fits_the_other_files():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^optional-dependencies.bench = \[(.*?)^\]", text, re.M | re.S)[1]
    group = {r.name: r for r in map(Requirement, re.findall(r'"(.+?)"', block))}
    pins = {pin.name: pin for pin in requirements("constraints.txt")}
    assert str(group["pykan"]) == str(pins["pykan"])  # timed is what tests/test_pykan.py compares
    ranges = {r.name: r for r in requirements("requirements.txt")}
    for name in ("scikit-learn", "pandas", "sympy", "pyyaml"):  # which PyKAN imports
        assert str(group[name]) == str(ranges[name])


# --- make, CI, git -------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_help_lists_every_target():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", text, re.M)[1].split()
    for command in (["make", "help"], ["make"]):
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        listed = re.findall(r"^  (\w+)  +\S", result.stdout, re.M)
        assert listed == targets


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("interpreter", "message"),
    [("no-such-python", "no 'no-such-python' here"), ("old-python", "is too old")],
)
def test_make_says_which_python_it_needs(tmp_path, interpreter, message):
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "old-python"  # answers as an old interpreter would
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.8.1" || exit 1\n')
    old.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = ["make", "unit", f"PYTHON={interpreter}"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode != 0
    assert message in result.stderr
    assert "PYTHON=" in result.stderr


def test_ci_script_can_be_run():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


def test_nothing_ignored_is_tracked():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == ""


# --- bake_repo.py --------------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path):
    """A copy of the files that hold the slug, with links to other repositories besides."""
    for path in [*bake_repo.text_files(ROOT), *notebooks.find()]:
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (tmp_path / "LINKS.md").write_text(
        "https://github.com/OWNER/kanbook/issues, https://github.com/KindXiaoming/pykan,\n"
        "pip install git+https://github.com/OWNER/kanbook.git@main and git+https://github.com/a/b\n"
        "https://OWNER.github.io/kanbook/ (https://github.com/OWNER/kanbook).\n"
    )
    bake_repo.main([], root=tmp_path)  # the copy's links may have another slug than OWNER
    return tmp_path


def all_texts(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_committed_files_agree_with_config():
    assert bake_repo.main(["--check"]) == 0


def test_baking_changes_every_place(copy):
    assert bake_repo.main(["alice/my-kan", "--ref", "c0ffee", "--branch", "colab"], root=copy) == 0
    assert bake_repo.configured(copy) == ("alice/my-kan", "colab")
    for path in notebooks.find(copy):
        cells = notebooks.read(path)["cells"]
        badge = bake_repo.badge_cell("alice/my-kan", "colab", path.relative_to(copy))
        assert cells[0]["source"] == badge
        assert "github.com/alice/my-kan@c0ffee" in "".join(cell["source"] for cell in cells)
    assert (copy / "LINKS.md").read_text() == (
        "https://github.com/alice/my-kan/issues, https://github.com/KindXiaoming/pykan,\n"
        "pip install git+https://github.com/alice/my-kan.git@c0ffee and git+https://github.com/a/b\n"
        "https://alice.github.io/my-kan/ (https://github.com/alice/my-kan).\n"
    )


def test_baking_back_and_forth_restores_every_byte(copy):
    before = all_texts(copy)
    slug, branch = bake_repo.configured(copy)
    bake_repo.main(["alice/my-kan", "--ref", "c0ffee", "--branch", "colab"], root=copy)
    assert all_texts(copy) != before
    bake_repo.main([slug, "--branch", branch], root=copy)
    assert all_texts(copy) == before


def test_check_finds_a_place_that_disagrees(copy, capsys):
    assert bake_repo.main(["--check"], root=copy) == 0
    config = copy / "_config.yml"
    slug, _ = bake_repo.configured(copy)
    config.write_text(config.read_text().replace(slug, "bob/kan"))
    before = all_texts(copy)
    assert bake_repo.main(["--check"], root=copy) == 1
    assert all_texts(copy) == before
    printed = capsys.readouterr()
    assert "LINKS.md: disagrees with bob/kan" in printed.out
    assert "bake_repo.py" in printed.err
    assert bake_repo.main([], root=copy) == 0
    assert bake_repo.main(["--check"], root=copy) == 0


@pytest.mark.parametrize(
    "slug", ["kanbook", "a/b/c", "https://github.com/a/b", "a/b.git", "-a/b", "a b/c", "a/", "a/.."]
)
def test_bad_slug_is_refused(copy, capsys, slug):
    before = all_texts(copy)
    assert bake_repo.main(["--check", "--", slug], root=copy) == 2
    assert bake_repo.main(["--", slug], root=copy) == 2
    assert all_texts(copy) == before
    assert "owner/name" in capsys.readouterr().err


def test_bad_ref_is_refused(copy, capsys):
    assert bake_repo.main(["a/b", "--ref", "x y"], root=copy) == 2
    assert "--ref" in capsys.readouterr().err


# --- the set-up cell -----------------------------------------------------------------------------

PIP = "import subprocess; subprocess.run = lambda *a, **k: subprocess.CompletedProcess(a, 1)\n"


def run_setup_cell(folder, before=""):
    """Runs the set-up cell as a notebook in `folder` would, with no kanbook installed."""
    hide = (  # an editable install is found through a hook or a path: take both away
        "import sys\n"
        "sys.path = [p for p in sys.path if not __import__('os').path.isdir(p + '/kanbook')]\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]\n"
    )
    after = "\nprint('from', kanbook.__file__)"
    script = hide + before + bake_repo.setup_cell("OWNER/kanbook", "main") + after
    return python("-P" if sys.version_info >= (3, 11) else "-B", "-c", script, cwd=folder)


def test_setup_cell_finds_the_checkout_around_it(tmp_path):
    package, folder = tmp_path / "kanbook", tmp_path / "notebooks" / "solutions"
    package.mkdir()
    folder.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "plots.py").write_text("def use_style():\n    print('styled')\n")
    result = run_setup_cell(folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["styled", "from", str(package / "__init__.py")]


def test_setup_cell_says_what_to_do_when_pip_fails(tmp_path):
    result = run_setup_cell(tmp_path, before=PIP)
    assert result.returncode != 0
    assert "git+https://github.com/OWNER/kanbook@main" in result.stderr
    assert "clone the repository" in result.stderr


# --- run_notebooks.py ----------------------------------------------------------------------------


def code(source):
    cell = {"cell_type": "code", "metadata": {}, "source": source}
    return cell | {"outputs": [], "execution_count": None}


def store(path, *sources, budget=60):
    """A notebook as an editor may leave it: no cell ids, another layout."""
    metadata = {"kanbook": {"budget_seconds": budget}, "vscode": {"x": 1}}
    cells = [code(source) for source in sources]
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}
    path.write_text(json.dumps(content))
    return path


def run(*arguments):
    return python(TOOLS / "run_notebooks.py", *arguments)


WIDGETS = """\
import sys, warnings
print(object()); print("err", file=sys.stderr); print(object())
warnings.warn("careful")
import kanbook
kanbook.SplinePlayground()"""
LIVE_ONLY = "import ipywidgets\nipywidgets.IntSlider(description='degree')"


def test_runner_stores_what_a_second_run_repeats(tmp_path):
    sources = (WIDGETS, "import os\nos.environ['OMP_NUM_THREADS']", LIVE_ONLY)
    path = store(tmp_path / "a.ipynb", *sources)
    content = notebooks.read(path)
    content["cells"][2]["metadata"] = {"tags": ["live-only"]}
    path.write_text(notebooks.dump(content))
    assert run(path, "--check").returncode == 1
    assert '"outputs": []' in path.read_text(), "--check must not write"
    first = run(path)
    assert first.returncode == 0, first.stderr
    text = path.read_text()
    notebook = notebooks.read(path)
    assert text.endswith("}\n")
    assert "00000000000000000000000000000001" in text, "widget ids are numbered"
    assert not re.search(r"at 0x(?!0{12}\b)", text)
    assert not re.search(r"ipykernel_[1-9]", text)
    assert [cell["execution_count"] for cell in notebook["cells"]] == [1, 2, 3]
    assert notebook["cells"][2]["outputs"] == [], "live-only: nothing is stored"
    assert "IntSlider" not in json.dumps(notebook["metadata"])
    assert notebook["cells"][1]["outputs"][0]["data"]["text/plain"] == ["'1'"]
    assert sorted(notebook["metadata"]) == ["kanbook", "kernelspec", "language_info", "widgets"]
    assert "version" not in notebook["metadata"]["language_info"]
    second = run(path)
    assert "unchanged" in second.stdout
    assert path.read_text() == text
    assert run(path, "--check").returncode == 0
    assert [p.name for p in tmp_path.iterdir()] == ["a.ipynb"], "no temporary file is left"


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
    assert result.returncode == 1
    assert message in result.stderr
    assert "a.ipynb" in result.stderr
    assert path.read_bytes() == before


def test_runner_names_a_missing_notebook(tmp_path):
    result = run(tmp_path / "b.ipynb")
    assert result.returncode == 1
    assert "no such notebook" in result.stderr


# --- the tests' own machinery --------------------------------------------------------------------


def run_pytest(folder, *arguments, **environment):
    command = ["-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={folder}", "-c", os.devnull]
    command += ["-o", f"pythonpath={ROOT / 'book' / '_tools'}"]
    return python(*command, *arguments, cwd=ROOT, env=os.environ | environment)


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_skip_is_a_failure_in_ci(tmp_path, ci, code):
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_a.py").write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no browser')\n"
    )
    result = run_pytest(tmp_path, tmp_path, CI=ci)
    assert result.returncode == code, result.stdout
    assert ("no browser" in result.stdout) == (ci == "true")


@pytest.mark.parametrize(
    ("factor", "code", "message"),
    [("1", 1, "its time budget is 0.001 s"), ("1e6", 0, "time of each"), ("0", 4, "positive")],
)
def test_notebook_over_budget_fails(tmp_path, factor, code, message):
    path = store(tmp_path / "a.ipynb", "x = 1", budget=0.001)
    nbval = ["-p", "tests.notebooks.notebook_budget", "--nbval", "--nbval-current-env", path]
    result = run_pytest(tmp_path, *nbval, KANBOOK_BUDGET_FACTOR=factor)
    assert result.returncode == code, result.stdout
    assert message in result.stdout + result.stderr


def test_nbval_accepts_what_the_runner_stored(tmp_path):
    path = store(tmp_path / "a.ipynb", WIDGETS)
    assert run(path).returncode == 0
    sanitize = ROOT / "tests" / "nbval_sanitize.cfg"
    nbval = ["--nbval", "--nbval-current-env", f"--nbval-sanitize-with={sanitize}", path]
    result = run_pytest(tmp_path, *nbval)
    assert result.returncode == 0, result.stdout
    path.write_text(path.read_text().replace("err", "eeg"))
    assert run_pytest(tmp_path, *nbval).returncode == 1, "a changed output must be found"


def test_paths_are_not_absolute():
    """No file that a person edits names a folder of one machine."""
    pattern = re.compile(r"(?<![\w.:/~-])/(?:home|Users|root|work)/\w")
    paths = [ROOT / name for name in ("Makefile", "_config.yml", "pyproject.toml", ".ci/run")]
    for path in [*paths, *ROOT.glob("*.txt"), *(ROOT / "book").rglob("*.py")]:
        assert not pattern.search(path.read_text(encoding="utf-8")), path
