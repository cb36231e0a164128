"""Every notebook as on Colab: alone, unmodified, with Colab's versions and without kanbook.

And as on an old processor (`default` of portable.py), which takes no run of its own this way. The
outputs are compared and the time budgets watched as in `make test`.

`make colab` makes the environment and runs this. The first notebook gets a small environment of its
own on top of that one, and its set-up cell, which all have, installs kanbook there: from a git
repository that holds the files as they are now, uncommitted ones included, and stands in for the
one on GitHub. For the others kanbook is installed once, and they run two at a time. No network.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

import pytest
from colab_environment import FOLDER, INSTALLED, LINKS, VERSIONS, WHEELS, add_to_path, packages
from portable import BUDGETS, ENVIRONMENT, NBVAL, SETTINGS, TWO_AT_A_TIME, longest_first

import bake_repo
import notebook_files as notebooks
from notebook_files import ROOT

READY = INSTALLED.is_file() and INSTALLED.read_bytes() == VERSIONS.read_bytes()
pytestmark = pytest.mark.skipif(not READY, reason="no Colab environment: run `make colab`")

# IPython runs this in the kernel before the notebook: after every cell it notes what was imported,
# in a file beside the notebook's folder.
WITNESS = """\
def witness():
    import json, os, sys

    path = os.getcwd() + ".json"

    def note(*_):
        names = {"kanbook", "torch"} & set(sys.modules)
        with open(path, "w") as file:
            json.dump({name: sys.modules[name].__file__ for name in names}, file)

    get_ipython().events.register("post_run_cell", note)


witness()
del witness
"""
# What steers git, pip, Python and Jupyter on this machine, and must not do so in the test.
STEERING = ("GIT_", "IPYTHON", "JUPYTER_", "MPL", "PIP_", "PYTEST_", "PYTHON")
NO_GIT_SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def run(command, folder, *, may_fail=False, **settings):
    """Runs a command with these environment variables; if it fails, so does the test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(STEERING)}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    result = subprocess.run(command, cwd=folder, env=ENVIRONMENT | kept | settings, **options)
    assert may_fail or result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}"
    return result


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A git repository with the files as they are now, on the branch that set-up cells install."""
    folder = tmp_path_factory.mktemp("repository")
    author = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")

    def git(*arguments):
        command = ["git", f"--git-dir={folder}/.git", f"--work-tree={ROOT}", *author, *arguments]
        run(command, ROOT, **NO_GIT_SETTINGS)

    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message=the files as they are now")
    git("update-ref", f"refs/heads/{bake_repo.configured(ROOT)[1]}", "HEAD")
    return folder


def make_environment(folder):
    """A fresh environment, without kanbook, on top of the one with Colab's versions."""
    venv.create(folder, symlinks=True, with_pip=False)
    add_to_path(folder, packages(FOLDER), LINKS)
    return folder


@pytest.fixture(scope="module")
def offline(repository):
    """Environment variables that lead git and pip to that repository, and nowhere else."""
    slug, _ = bake_repo.configured(ROOT)
    return NO_GIT_SETTINGS | {
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://github.com/{slug}",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": str(WHEELS),
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_INDEX": "1",
    }


@pytest.fixture(scope="module")
def equipped(tmp_path_factory, offline):
    """An environment in which kanbook is installed."""
    folder = make_environment(tmp_path_factory.mktemp("equipped") / "environment")
    source = "git+https://github.com/{}@{}".format(*bake_repo.configured(ROOT))
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", source]
    run(pip, folder, **offline)
    return folder


def with_kernel(folder, environment):
    """Environment variables that lead Jupyter to an environment, its files in a folder."""
    kernel = folder / "kernels" / "colab" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    command = [f"{environment}/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": command, "display_name": "Colab", "language": "python"}))
    startup = folder / "ipython" / "profile_default" / "startup" / "witness.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(WITNESS)
    names = {"JUPYTER_CONFIG_DIR": folder, "JUPYTER_PATH": folder}
    return {name: str(path) for name, path in (names | {"IPYTHONDIR": folder / "ipython"}).items()}


FIRST, *OTHERS = notebooks.find()


def place(path):
    """The name of the folder that holds a copy of this notebook and nothing else."""
    return "-".join(path.relative_to(ROOT / "notebooks").with_suffix("").parts)


def run_notebooks(paths, environment, folder, **settings):
    """Runs copies in one pytest, with an environment for their kernels.

    Returns the process, the failures of each place, and the witness's files of each.
    """
    content, report = folder / "content", folder / "report.xml"
    copies = []
    for path in paths:
        (content / place(path)).mkdir(parents=True)
        copies.append(shutil.copy(path, content / place(path)))
    command = [sys.executable, "-m", "pytest", *NBVAL, *BUDGETS, *TWO_AT_A_TIME, "--tb=short"]
    command += ["-c", os.devnull, f"--rootdir={content}", f"--junit-xml={report}", *copies]
    command += [f"--override-ini=pythonpath={ROOT / 'book' / '_tools'}", "-p", "no:cacheprovider"]
    command.append("--nbval-kernel-name=colab")
    settings |= with_kernel(folder / "jupyter", environment) | SETTINGS["default"]
    result = run(command, ROOT, may_fail=True, **settings)
    assert report.is_file(), result.stdout
    failures, witnesses = defaultdict(list), {}
    for cell in ElementTree.parse(report).iter("testcase"):
        where = cell.get("classname").split(".")[0]
        failures[where] += [one.text for one in cell if one.tag in ("failure", "error")]
    for path in content.glob("*.json"):
        witnesses[path.stem] = json.loads(path.read_text(encoding="utf-8"))
    return result, failures, witnesses


def check_files(files, environment):
    kanbook, torch = Path(files["kanbook"]).parent, Path(files["torch"]).parent
    assert kanbook == packages(environment) / "kanbook", "not from the set-up cell"
    assert torch == LINKS / "torch", "torch was replaced"


def test_set_up_cell_installs_kanbook_and_nothing_else(tmp_path, offline):
    colab = make_environment(tmp_path / "environment")
    before = set(packages(colab).iterdir())
    result, _, witnesses = run_notebooks([FIRST], colab, tmp_path, **offline)
    assert result.returncode == 0, result.stdout
    check_files(witnesses[place(FIRST)], colab)
    new = sorted(entry.name for entry in set(packages(colab).iterdir()) - before)
    assert new[0] == "kanbook" and new[1].startswith("kanbook-") and len(new) == 2, new
    # Fails unless it is all there: Colab's versions, kanbook, and what kanbook requires.
    pip = [colab / "bin" / "python", "-m", "pip", "install", "--dry-run", "--quiet"]
    run([*pip, "--requirement", VERSIONS, "kanbook"], tmp_path, **offline)


@pytest.fixture(scope="module")
def ran(tmp_path_factory, offline, equipped):
    before = set(packages(equipped).iterdir())
    folder = tmp_path_factory.mktemp("colab")
    found = run_notebooks(longest_first(OTHERS), equipped, folder, **offline)
    return *found, set(packages(equipped).iterdir()) - before


def test_the_others_need_no_more_and_keep_their_time_budgets(ran):
    result, *_, new = ran
    assert result.returncode == 0, result.stdout
    assert not new, "more was installed"


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_notebook_runs_on_colab(path, ran, equipped):
    _, failures, witnesses, _ = ran
    assert place(path) in failures, "no cell ran"
    assert not failures[place(path)], "\n".join(failures[place(path)])
    check_files(witnesses[place(path)], equipped)
