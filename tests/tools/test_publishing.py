"""How the book is published: the workflow files, and their steps run against a repository here.

The scripts of book.yml are read from the file and run in bash as GitHub does, each job in a clone
of its own. git takes a bare repository for github.com, so that nothing leaves this machine.
"""

import base64
import functools
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

import bake_repo
import notebook_files as notebooks
from notebook_files import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))
BOOK = ROOT / ".github" / "workflows" / "book.yml"
NOTEBOOKS = [path.relative_to(ROOT) for path in notebooks.find()]
SLUG = "alice/kanbook"
TOKEN = "-".join(["ghs", "not", "to", "be", "printed"])  # whole nowhere, in no file of the tree
ENCODED = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def workflow(path=BOOK):
    return yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # where `on` stays a text


def steps(path=BOOK):
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


# --- the workflow files --------------------------------------------------------------------------


def test_actions_are_pinned_to_one_commit_each():
    pins = {}
    for path in WORKFLOWS:
        for action in re.findall(r"uses: *(.+)", path.read_text(encoding="utf-8")):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*", action), action
            pins.setdefault(action.partition("@")[0], set()).add(action)
    assert all(len(found) == 1 for found in pins.values()), pins


def test_jobs_may_do_no_more_than_they_need():
    granted = {}
    for path in WORKFLOWS:
        content = workflow(path)
        for name, job in content["jobs"].items():
            granted[path.name, name] = job.get("permissions", content["permissions"])
    assert {job: rights for job, rights in granted.items() if rights != {"contents": "read"}} == {
        ("book.yml", "colab"): {"contents": "write"},
        ("book.yml", "deploy"): {"pages": "write", "id-token": "write"},
    }


@each_workflow
def test_scripts_hold_no_expression(path):
    """GitHub pastes the value of an expression into the script, where the shell would run it."""
    for step in steps(path):
        assert "${{" not in step.get("run", "")


def test_branch_is_there_before_the_pages_that_link_to_it():
    jobs = workflow()["jobs"]
    assert jobs["deploy"]["needs"] == "colab"
    assert jobs["colab"]["needs"] == "build"


def test_only_main_is_published():
    content = workflow()
    assert content["on"]["push"] == {"branches": ["main"]}
    assert content["jobs"]["colab"]["if"] == "github.ref == 'refs/heads/main'"  # deploy needs it


def test_what_is_built_is_what_is_uploaded():
    scripts = [step.get("run") for step in steps()]
    assert "make book" in scripts
    (upload,) = [step for step in steps() if "upload-pages-artifact" in step.get("uses", "")]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert upload["with"] == {"path": re.search(r"^HTML := (.+)$", makefile, re.M)[1]}


def program(name):
    """A tool of requirements.txt, from this environment before any other."""
    here = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(name, path=here)
    if found is None:
        pytest.skip(f"{name} is not installed: pip install -r requirements.txt")
    return found


def lint(tool, path):
    """The exit status and the findings of a checker, at its strictest and without a network."""
    if tool == "zizmor":
        options = ["--offline", "--persona=auditor", "--no-progress", "--no-config"]
    else:
        options = ["-no-color", "-pyflakes=", f"-shellcheck={program('shellcheck')}"]
    command = [program(tool), *options, path]
    result = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr


@each_workflow
@pytest.mark.parametrize("tool", ["actionlint", "zizmor"])
def test_checkers_find_nothing(tool, path):
    status, findings = lint(tool, path)
    assert status == 0, findings


@pytest.mark.parametrize(
    ("tool", "good", "bad", "finding"),
    [
        ("actionlint", "needs: build", "needs: biuld", "biuld"),
        ("actionlint", "steps.deployment.", "steps.deploy.", '"deploy" is not defined'),
        ("actionlint", "runs-on: ubuntu-latest", "runs-on: ubuntu-latst", "ubuntu-latst"),
        ("actionlint", '"$GITHUB_REPOSITORY"', "$GITHUB_REPOSITORY", "SC2086"),
        ("zizmor", '"$GITHUB_REPOSITORY"', "${{ github.head_ref }}", "template-injection"),
        ("zizmor", "@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "@v5", "unpinned-uses"),
        ("zizmor", "persist-credentials: false", "persist-credentials: true", "artipacked"),
        ("zizmor", "permissions: {}", "permissions: write-all", "excessive-permissions"),
        ("zizmor", "workflow_dispatch:", "pull_request_target:", "dangerous-triggers"),
    ],
)
def test_checkers_find_a_mistake(tmp_path, tool, good, bad, finding):
    text = BOOK.read_text(encoding="utf-8")
    assert good in text
    path = tmp_path / ".github" / "workflows" / "book.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text.replace(good, bad), encoding="utf-8")
    status, findings = lint(tool, path)
    assert status != 0
    assert finding in findings


# --- a github.com of our own ---------------------------------------------------------------------


class GitHub:
    """A folder of bare repositories that git takes for https://github.com."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "gitconfig").write_text(
            f'[url "{folder.as_uri()}/server/"]\n\tinsteadOf = https://github.com/\n'
            "[user]\n\tname = Alice\n\temail = alice@localhost\n"
            "[http]\n\tpostBuffer = 100000000\n"  # one request a push, which the test can read
            "[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
        )
        # The Python outside of any environment: what the tools may import is its own library.
        path = os.pathsep.join([str(Path(sys.base_prefix) / "bin"), os.environ.get("PATH", "")])
        self.environment = {
            "PATH": path,
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.printed = ""

    def run(self, cwd, *command, check=True, **environment):
        environment = self.environment | environment
        result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
        self.printed += result.stdout + result.stderr
        assert not check or result.returncode == 0, (command, result.stdout, result.stderr)
        return result

    def git(self, cwd, *arguments):
        return self.run(cwd, "git", *arguments).stdout.strip()

    def create(self, slug):
        """The repository of `slug`, with this working tree as its first commit on main."""
        self.bare = self.folder / "server" / slug
        self.git(self.folder, "init", "--quiet", "--bare", self.bare)
        tree = self.folder / "tree"
        copy_tree(tree)
        self.git(tree, "init", "--quiet")
        self.commit(tree, "the book")
        self.git(tree, "remote", "add", "origin", f"https://github.com/{slug}")
        self.git(tree, "push", "--quiet", "origin", "main")
        return tree

    def commit(self, tree, message):
        self.git(tree, "add", "--all")
        self.git(tree, "commit", "--quiet", "--message", message)

    def clone(self, slug, name):
        """As actions/checkout makes it: one commit deep, without credentials."""
        target = self.folder / "clones" / name
        shutil.rmtree(target, ignore_errors=True)
        source = f"https://github.com/{slug}"
        self.git(self.folder, "clone", "--quiet", "--depth=1", source, target)
        return target

    def main(self):
        return self.git(self.bare, "rev-parse", "main")

    def files(self, commit="colab"):
        return self.git(self.bare, "ls-tree", "-r", "--name-only", commit).splitlines()

    def cells(self, path, kinds=("markdown", "code")):
        """The texts of a published notebook's cells."""
        cells = json.loads(self.git(self.bare, "show", f"colab:{path}"))["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] in kinds]


def copy_tree(target):
    """Copies what git tracks here, or would: ignored files stay behind."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():  # a removed file is listed until that is committed
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


@pytest.fixture
def github(tmp_path):
    return GitHub(tmp_path)


# --- the steps of book.yml -----------------------------------------------------------------------

# They take minutes and install packages; `make test` builds the same pages and runs the same tests.
NOT_RUN = [
    "make book",
    ".venv/bin/python -m pytest tests/test_book.py tests/test_playground_page.py",
]


def run_workflow(github, slug):
    """Runs the scripts of book.yml on the newest commit of main."""
    commit = github.main()
    left_out = []
    for name, job in workflow()["jobs"].items():
        folder = github.clone(slug, name)
        for step in job["steps"]:
            if "run" not in step or step.get("if") == "failure()":
                continue
            if step["run"] in NOT_RUN:
                left_out.append(step["run"])
                continue
            values = {"${{ github.token }}": TOKEN}
            environment = {key: values[value] for key, value in step.get("env", {}).items()}
            script = github.folder / "step.sh"
            script.write_text(step["run"])
            github.run(
                folder,
                "bash",
                "-e",
                script,
                GITHUB_REPOSITORY=slug,
                GITHUB_SHA=commit,
                **environment,
            )
    assert left_out == NOT_RUN
    for name in NOT_RUN[1].split()[-2:]:
        assert (github.folder / "clones" / "build" / name).is_file()
    return commit


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The repository after its first run of book.yml, and the commit that ran."""
    github = GitHub(tmp_path_factory.mktemp("github"))
    github.create(SLUG)
    return github, run_workflow(github, SLUG)


def test_branch_holds_every_file_as_one_commit(published):
    github, commit = published
    assert github.git(github.bare, "rev-list", "--parents", "colab").split() == [
        github.git(github.bare, "rev-parse", "colab")
    ]
    kept = [name for name in github.files("main") if not name.startswith(".github/")]
    assert github.files() == kept
    assert github.main() == commit
    assert github.git(github.bare, "for-each-ref", "--format=%(refname:short)").split() == [
        "colab",
        "main",
    ]


def test_notebooks_open_on_the_branch_and_install_the_commit(published):
    github, commit = published
    for path in NOTEBOOKS:
        cells = github.cells(path.as_posix())
        assert cells[0] == bake_repo.badge_cell(SLUG, "colab", path)
        assert bake_repo.setup_cell(SLUG, commit) in cells
    # what they install is part of main, whatever becomes of the branch
    github.git(github.bare, "merge-base", "--is-ancestor", commit, "main")


def test_readme_opens_the_notebooks_of_the_branch(published):
    github, _ = published
    text = github.git(github.bare, "show", "colab:README.md")
    prefix = f"https://colab.research.google.com/github/{SLUG}/blob/"
    links = re.findall(re.escape(prefix) + r"([^)\s]+)", text)
    assert links
    assert {link.partition("/")[2] for link in links} <= set(github.files())
    assert {link.partition("/")[0] for link in links} == {"colab"}
    assert "OWNER" not in text


def test_relative_links_of_the_notebooks_lead_somewhere(published):
    github, _ = published
    files = set(github.files())
    checked = 0
    for path in map(Path.as_posix, NOTEBOOKS):
        text = "\n".join(github.cells(path, kinds=["markdown"]))
        for link in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", text):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(path), link)) in files
            checked += 1
    assert checked


def test_both_jobs_bake_alike(published):
    github, _ = published
    built, pushed = (github.folder / "clones" / job for job in ("build", "colab"))
    assert github.git(built, "diff") == github.git(pushed, "diff") != ""


def test_token_is_nowhere_to_be_seen(published):
    github, _ = published
    for secret in (TOKEN, ENCODED):
        assert secret not in github.printed
        for path in github.folder.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


OPENED_ON_COLAB = """\
import os, subprocess, sys
target, cell, run = sys.argv[1], sys.stdin.read(), subprocess.run
sys.path = [p for p in sys.path if not os.path.isdir(p + "/kanbook")] + [target]
sys.meta_path = [f for f in sys.meta_path if "editable" not in repr(f)]

def without_a_network(command, *rest, **options):
    if "pip" in command:
        command = [*command, "--no-build-isolation", "--no-index", "--target", target]
    return run(command, *rest, **options)

subprocess.run = without_a_network
exec(cell)
print("\\nfrom", sys.modules["kanbook"].__file__)
"""


def test_published_notebook_installs_kanbook(published, tmp_path):
    """The first cell of a chapter in an empty folder, with nothing of this checkout in sight."""
    github, _ = published
    setup, *_ = github.cells(NOTEBOOKS[0].as_posix(), kinds=["code"])
    options = ["-P"] if sys.version_info >= (3, 11) else []
    result = subprocess.run(
        [sys.executable, *options, "-c", OPENED_ON_COLAB, tmp_path / "installed"],
        cwd=tmp_path,
        env=github.environment | {"OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(tmp_path)},
        input=setup,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert str(tmp_path / "installed" / "kanbook") in result.stdout.splitlines()[-1]


def test_second_run_changes_nothing_and_a_new_commit_does(github):
    tree = github.create(SLUG)
    first = run_workflow(github, SLUG)
    tip = github.git(github.bare, "rev-parse", "colab")
    run_workflow(github, SLUG)
    assert github.git(github.bare, "rev-parse", "colab") == tip
    assert "already holds" in github.printed

    (tree / NOTEBOOKS[0]).unlink()
    github.commit(tree, "one chapter less")
    github.git(tree, "push", "--quiet", "origin", "main")
    second = run_workflow(github, SLUG)
    assert second != first
    assert github.git(github.bare, "rev-list", "--count", "colab") == "1"
    assert NOTEBOOKS[0].as_posix() not in github.files()
    assert bake_repo.setup_cell(SLUG, second) in github.cells(NOTEBOOKS[1].as_posix())
    github.git(github.bare, "merge-base", "--is-ancestor", first, "main")


@pytest.mark.parametrize("slug", ["bob-2/my.book", "Big_Company/KAN"])
def test_fork_publishes_its_own_book_unedited(github, slug):
    github.create(slug)
    commit = run_workflow(github, slug)
    cells = github.cells(NOTEBOOKS[0].as_posix())
    assert cells[0] == bake_repo.badge_cell(slug, "colab", NOTEBOOKS[0])
    assert bake_repo.setup_cell(slug, commit) in cells
    config = github.git(github.bare, "show", "colab:_config.yml")
    assert f"url: https://github.com/{slug}\n  branch: colab\n" in config


def test_failed_deployment_names_the_setting(github):
    (step,) = [step for step in workflow()["jobs"]["deploy"]["steps"] if "run" in step]
    assert step["if"] == "failure()"
    environment = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": SLUG}
    printed = github.run(github.folder, "bash", "-ec", step["run"], **environment).stdout
    assert printed.startswith("::error ")
    assert f"https://github.com/{SLUG}/settings/pages" in printed


# --- publish_branch.py ---------------------------------------------------------------------------


def bake(github, clone, *options):
    if not options:
        head = github.git(clone, "rev-parse", "HEAD")
        options = (SLUG, "--ref", head, "--branch", "colab")
    github.run(clone, "python3", "book/_tools/bake_repo.py", *options)


def publish(github, clone, *arguments, **environment):
    command = ["python3", "book/_tools/publish_branch.py", *arguments]
    return github.run(clone, *command, check=False, **environment)


@pytest.fixture
def clone(github):
    """A baked clone."""
    github.create(SLUG)
    clone = github.clone(SLUG, "clone")
    bake(github, clone)
    return clone


def state(clone):
    """All that may not change: every file, and of git's own the index, HEAD, settings and refs."""
    kept = {"HEAD", "index", "config", "packed-refs"}
    return {
        path: path.read_bytes()
        for path in clone.rglob("*")
        if path.is_file()
        and (
            path.parts[len(clone.parts)] != ".git"
            or path.name in kept
            or "refs" in path.relative_to(clone).parts
        )
    }


def branches(github):
    return github.git(github.bare, "for-each-ref", "--format=%(refname) %(objectname)")


def test_publishing_touches_nothing_of_the_clone(github, clone):
    (clone / "stray.txt").write_text("not tracked")
    (clone / "README.md").write_text("changed and staged\n")
    github.git(clone, "add", "README.md")
    (clone / "README.md").write_text("changed again\n")
    (clone / "CHANGELOG.md").unlink()
    before = state(clone)
    result = publish(github, clone, "colab")
    assert result.returncode == 0, result.stderr
    assert state(clone) == before
    assert "stray.txt" not in github.files()
    assert "CHANGELOG.md" not in github.files()
    assert github.git(github.bare, "show", "colab:README.md") == "changed again"


def test_dry_run_pushes_nothing(github, clone):
    before = branches(github)
    result = publish(github, clone, "colab", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"would push \d\d+ files of alice/kanbook at \w{40} .*\n", result.stdout)
    assert branches(github) == before


def refused(github, clone, *arguments, status=2):
    """What the tool says when it refuses, which must leave the repository as it was."""
    before = branches(github)
    result = publish(github, clone, *arguments)
    assert result.returncode == status, result.stderr
    assert branches(github) == before
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize("name", ["main", "master", "trunk"])
def test_main_branch_is_never_replaced(github, clone, name):
    github.git(github.bare, "branch", "trunk", "main")
    github.git(github.bare, "symbolic-ref", "HEAD", "refs/heads/trunk")
    head = github.git(clone, "rev-parse", "HEAD")
    bake(github, clone, SLUG, "--ref", head, "--branch", name)
    assert "name another" in refused(github, clone, name)


@pytest.mark.parametrize("name", ["a b", "a..b", "a.lock", "refs/", "", "@{-1}", "a:b"])
def test_bad_branch_is_refused(github, clone, name):
    assert "not the name of a branch" in refused(github, clone, "--", name)


def test_tree_without_a_name_is_refused(github, clone):
    head = github.git(clone, "rev-parse", "HEAD")
    bake(github, clone, "OWNER/kanbook", "--ref", head, "--branch", "colab")
    message = refused(github, clone, "colab")
    assert "no repository's name" in message
    assert f"bake_repo.py OWNER/NAME --ref {head} --branch colab" in message


@pytest.mark.parametrize("wrong", ["branch", "ref", "notebook"])
def test_tree_that_is_baked_otherwise_is_refused(github, clone, wrong):
    head = github.git(clone, "rev-parse", "HEAD")
    path = clone / NOTEBOOKS[-1]
    if wrong == "branch":
        bake(github, clone, SLUG, "--ref", head, "--branch", "other")
    elif wrong == "ref":
        bake(github, clone, SLUG, "--ref", "main", "--branch", "colab")
    else:
        path.write_text(path.read_text().replace(f"@{head}", f"@{head[::-1]}"))
    message = refused(github, clone, "colab")
    assert str(NOTEBOOKS[-1]) in message
    assert "bake_repo.py" in message


@pytest.mark.parametrize("remote", ["nowhere", "https://github.com/alice/missing"])
def test_missing_remote_is_named(github, clone, remote):
    message = refused(github, clone, "colab", "--remote", remote, status=1)
    assert remote in message
    assert "--remote" in message


def test_folder_without_git_is_refused(github, tmp_path):
    folder = tmp_path / "downloaded"
    copy_tree(folder)
    result = publish(github, folder, "colab", GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert result.returncode == 2
    assert "no commit to publish" in result.stderr


class Server(BaseHTTPRequestHandler):
    """git's own server program behind a password."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(self.headers.get("Authorization"))
        if self.headers.get("Authorization") != f"Basic {ENCODED}":
            return self.reply(401, [("WWW-Authenticate", "Basic")], b"")
        path, _, query = self.path.partition("?")
        environment = os.environ | {
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "alice",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        command = ["git", "http-backend"]
        done = subprocess.run(command, env=environment, input=body, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().splitlines()]
        status = dict(headers).get("Status", "200").split()[0]
        return self.reply(int(status), headers, content)

    do_GET = do_POST = answer

    def reply(self, status, headers, content):
        self.send_response(status)
        for name, value in [*headers, ("Content-Length", str(len(content)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(github):
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.folder, server.seen = github.folder / "server", []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=functools.partial(server.serve_forever, 0.05), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("token", "status"), [(TOKEN, 0), ("ghs_another", 1), ("", 1)], ids=["right", "wrong", "none"]
)
def test_token_opens_the_server(github, clone, server, token, status):
    environment = {"GITHUB_TOKEN": token, "GITHUB_SERVER_URL": server.url}
    result = publish(github, clone, "colab", "--remote", f"{server.url}/{SLUG}", **environment)
    assert result.returncode == status, result.stderr
    assert ("refs/heads/colab" in branches(github)) == (status == 0)
    assert not token or token not in result.stdout + result.stderr
    assert ENCODED not in result.stdout + result.stderr


def test_token_is_shown_to_no_other_host(github, clone, server):
    remote = f"{server.url}/{SLUG}"
    result = publish(github, clone, "colab", "--remote", remote, GITHUB_TOKEN=TOKEN)
    assert result.returncode == 1
    assert server.seen
    assert set(server.seen) == {None}
