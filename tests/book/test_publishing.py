"""How the book is published: the workflow files, and their steps run against a repository here.

The scripts of book.yml are read from the file and run in bash as GitHub does, each job in a clone
of its own. git takes a bare repository for github.com, so that nothing leaves this machine.
"""

import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import needs

import bake_repo
import notebook_files as notebooks
from notebook_files import ROOT

pytestmark = needs("git")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NOTEBOOKS = [path.relative_to(ROOT).as_posix() for path in notebooks.find()]
SLUG = "alice/kanbook"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
REDIRECTS = CONFIG["sphinx"]["config"]["redirects"]
REDIRECTS = {old: new for old, new in REDIRECTS.items() if old.startswith("notebooks/")}
TOKEN = "-".join(["ghs", "not", "to", "be", "stored"])  # whole nowhere, in no file of the tree
TOOLS = {
    "actionlint": ["-no-color", "-pyflakes="],  # with shellcheck, from the same environment
    "zizmor": ["--offline", "--persona=auditor", "--no-progress", "--no-config"],
    "shellcheck": [],
}
LINTED = [(tool, path) for tool in ("actionlint", "zizmor") for path in WORKFLOWS]


@pytest.mark.parametrize(("tool", "path"), [*LINTED, ("shellcheck", ROOT / ".ci" / "run")])
def test_checkers_find_nothing(tool, path):
    here = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command, found = [shutil.which(tool, path=here), *TOOLS[tool], path], {"PATH": here}
    result = subprocess.run(command, env=os.environ | found, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert os.access(path, os.X_OK) == (tool == "shellcheck")


class GitHub:
    """A bare repository that git takes for one at https://github.com, with this tree on main."""

    def __init__(self, folder, slug):
        self.folder, self.slug, self.bare = folder, slug, folder / "bare"
        # The Python outside of any environment: what the tools may import is its own library.
        path = os.pathsep.join([str(Path(sys.base_prefix) / "bin"), os.environ.get("PATH", "")])
        self.environment = {
            "PATH": path,
            "HOME": str(folder),
            "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GITHUB_REPOSITORY": slug,
        }
        (folder / "gitconfig").write_text(
            f'[url "{self.bare.as_uri()}"]\n\tinsteadOf = https://github.com/{slug}\n'
            "[user]\n\tname = Alice\n\temail = alice@localhost\n"
        )
        self.git(folder, "init", "--quiet", "--bare", self.bare)
        self.git(self.bare, "symbolic-ref", "HEAD", "refs/heads/main")
        self.commit()

    def run(self, cwd, *command, **environment):
        environment = self.environment | environment
        result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, (command, result.stdout, result.stderr)
        return result.stdout.strip()

    def git(self, cwd, *arguments):
        return self.run(cwd, "git", *arguments)

    def commit(self, *left_out):
        """Commits the files as they are here, uncommitted changes included."""
        tree = [f"--git-dir={self.bare}", f"--work-tree={ROOT}"]
        self.git(ROOT, *tree, "add", "--all")
        for name in left_out:
            self.git(ROOT, *tree, "rm", "--cached", "--quiet", name)
        self.git(ROOT, *tree, "commit", "--quiet", "--message", "the book")

    def run_job(self, name):
        """Runs the scripts of a job in a clone as actions/checkout makes it; returns the clone."""
        clone = self.folder / name
        shutil.rmtree(clone, ignore_errors=True)
        url = f"https://github.com/{self.slug}"
        self.git(self.folder, "clone", "--quiet", "--depth=1", url, clone)
        text = (ROOT / ".github" / "workflows" / "book.yml").read_text(encoding="utf-8")
        for step in yaml.safe_load(text)["jobs"][name]["steps"]:
            if "run" in step and not step["run"].startswith("make"):
                given = {"GITHUB_TOKEN": TOKEN} if "env" in step else {}
                commit = self.git(self.bare, "rev-parse", "main")
                self.run(clone, "bash", "-ec", step["run"], GITHUB_SHA=commit, **given)
        return clone

    def files(self, commit="colab"):
        return self.git(self.bare, "ls-tree", "-r", "--name-only", commit).splitlines()

    def show(self, path):
        return self.git(self.bare, "show", f"colab:{path}")

    def cells(self, path, kinds=("markdown", "code")):
        cells = json.loads(self.show(path))["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] in kinds]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The repository after its first run of book.yml."""
    github = GitHub(tmp_path_factory.mktemp("github"), SLUG)
    github.clone = github.run_job("colab")
    return github


def test_branch_holds_every_file_as_one_commit(published):
    kept = {name for name in published.files("main") if not name.startswith(".github/")}
    assert set(published.files()) == kept | {f"{old}.ipynb" for old in REDIRECTS}
    assert published.git(published.bare, "rev-list", "--count", "colab") == "1"


def test_old_paths_lead_on(published):
    assert REDIRECTS
    for old, target in REDIRECTS.items():
        new = posixpath.normpath(posixpath.join(posixpath.dirname(old), f"{target[:-5]}.ipynb"))
        (cell,) = published.cells(f"{old}.ipynb")
        prefix = f"https://colab.research.google.com/github/{SLUG}/blob/colab/"
        assert new in NOTEBOOKS and f"]({prefix}{new})" in cell


def test_notebooks_open_on_the_branch_and_fetch_a_commit_of_main(published):
    commit = published.git(published.bare, "rev-parse", "main")
    for path in NOTEBOOKS:
        cells = published.cells(path)
        assert cells[0] == bake_repo.badge_cell(SLUG, "colab", path)
        assert bake_repo.setup_cell(SLUG, commit) in cells
    assert f"url: https://github.com/{SLUG}\n  branch: colab\n" in published.show("_config.yml")


def test_links_of_the_branch_lead_somewhere(published):
    files = published.files()
    prefix = f"https://colab.research.google.com/github/{SLUG}/blob/colab/"
    opened = re.findall(rf"{prefix}([^)\s]+)", published.show("README.md"))
    assert opened and set(opened) <= set(files)
    for path in NOTEBOOKS:
        text = re.sub("`[^`]*`", "", "\n".join(published.cells(path, kinds=["markdown"])))
        for link in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", text):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(path), link)) in files, path
    texts = [name for name in files if re.match(r"(book/)?[^/]+\.(md|yml|cff|toml)$", name)]
    assert not [name for name in texts if re.search(r"\bOWNER[/.]", published.show(name))]


def test_token_is_given_to_git_and_stored_nowhere(published):
    ask = ["bash", "-c", "printf 'protocol=https\nhost=github.com\n\n' | git credential fill"]
    assert f"password={TOKEN}" in published.run(published.clone, *ask, GITHUB_TOKEN=TOKEN)
    for path in published.folder.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


def test_a_fork_publishes_its_own_book_and_replaces_it(tmp_path):
    github = GitHub(tmp_path, "Bob-2/my.book")
    github.run_job("colab")
    github.commit(NOTEBOOKS[0])
    github.run_job("colab")
    commit = github.git(github.bare, "rev-parse", "main")
    assert github.git(github.bare, "rev-list", "--count", "colab") == "1"
    assert NOTEBOOKS[0] not in github.files()
    assert bake_repo.setup_cell("Bob-2/my.book", commit) in github.cells(NOTEBOOKS[1])
