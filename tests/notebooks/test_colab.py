"""Every notebook as on Colab: alone, unmodified, with Colab's versions and without kanbook.

And as on an old processor (`default` of portable.py), which takes no run of its own this way. The
outputs are compared and the time budgets watched as in `make test`.

`make colab` makes the environment and runs this. The first notebook stands in an empty folder, and
its set-up cell, which all have, fetches kanbook and evidence there: from a git repository that
holds the files as they are now, uncommitted ones included, and stands in for the one on GitHub. The
others stand inside what it fetched, and run two at a time. No network.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from xml.etree import ElementTree

import pytest
from colab_environment import FOLDER, INSTALLED, VERSIONS, packages
from helpers import needs
from portable import BUDGETS, ENVIRONMENT, NBVAL, SETTINGS, TWO_AT_A_TIME, longest_first

import bake_repo
import notebook_files as notebooks
from notebook_files import ROOT

READY = INSTALLED.is_file() and INSTALLED.read_bytes() == VERSIONS.read_bytes()
pytestmark = [
    pytest.mark.skipif(not READY, reason="no Colab environment: run `make colab`"),
    needs("git"),
]

# What steers git, Python and Jupyter on this machine, and must not do so in the test.
STEERING = ("GIT_", "IPYTHON", "JUPYTER_", "MPL", "PYTEST_", "PYTHON")
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
    """A git repository with the files as they are now, on the branch that set-up cells fetch."""
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


@pytest.fixture(scope="module")
def offline(repository):
    """Environment variables that lead git to that repository, and nowhere else."""
    slug, _ = bake_repo.configured(ROOT)
    return NO_GIT_SETTINGS | {
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://github.com/{slug}",
    }


def with_kernel(folder):
    """Environment variables that lead Jupyter to Colab's versions, its files in a folder."""
    kernel = folder / "kernels" / "colab" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    command = [f"{FOLDER}/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": command, "display_name": "Colab", "language": "python"}))
    names = {"JUPYTER_CONFIG_DIR": folder, "JUPYTER_PATH": folder}
    return {name: str(path) for name, path in (names | {"IPYTHONDIR": folder / "ipython"}).items()}


FIRST, *OTHERS = notebooks.find()


def place(path):
    """The name of the folder that holds a copy of this notebook and nothing else."""
    return "-".join(path.relative_to(ROOT / "notebooks").with_suffix("").parts)


def run_notebooks(paths, content, folder, **settings):
    """Runs copies below the folder `content` in one pytest, other files in `folder`.

    Returns the process and the failures of each place.
    """
    report = folder / "report.xml"
    copies = []
    for path in paths:
        (content / place(path)).mkdir(parents=True)
        copies.append(shutil.copy(path, content / place(path)))
    command = [sys.executable, "-m", "pytest", *NBVAL, *BUDGETS, *TWO_AT_A_TIME, "--tb=short"]
    command += ["-c", os.devnull, f"--rootdir={content}", f"--junit-xml={report}", *copies]
    command += [f"--override-ini=pythonpath={ROOT / 'book' / '_tools'}", "-p", "no:cacheprovider"]
    command.append("--nbval-kernel-name=colab")
    settings |= with_kernel(folder / "jupyter") | SETTINGS["default"]
    result = run(command, ROOT, may_fail=True, **settings)
    assert report.is_file(), result.stdout
    failures = defaultdict(list)
    for cell in ElementTree.parse(report).iter("testcase"):
        where = cell.get("classname").split(".")[0]
        failures[where] += [one.text for one in cell if one.tag in ("failure", "error")]
    return result, failures


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, offline):
    """Where the first notebook, in a folder that holds nothing else, put what it fetched."""
    folder, before = tmp_path_factory.mktemp("first"), set(packages(FOLDER).iterdir())
    result, _ = run_notebooks([FIRST], folder / "content", folder, **offline)
    assert result.returncode == 0, result.stdout
    assert set(packages(FOLDER).iterdir()) == before, "something was installed"
    return folder / "content" / place(FIRST) / "kanbook-checkout"


def test_colab_has_what_kanbook_requires():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.findall('"(.+?)"', re.search(r"^dependencies = \[\n(.*?)^\]", text, re.M | re.S)[1])
    pip = [FOLDER / "bin" / "python", "-m", "pip", "install", "--dry-run", "--no-index", "--quiet"]
    assert len(wanted) >= 6
    run([*pip, *wanted], ROOT)


@pytest.fixture(scope="module")
def others(tmp_path_factory, offline, checkout):
    folder = tmp_path_factory.mktemp("others")
    return run_notebooks(longest_first(OTHERS), checkout / "content", folder, **offline)


def test_the_others_keep_their_time_budgets(others):
    result, _ = others
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_notebook_runs_on_colab(path, others):
    _, failures = others
    assert place(path) in failures, "no cell ran"
    assert not failures[place(path)], "\n".join(failures[place(path)])
