"""Pushes the baked files to a branch, as one commit without parents.

    python book/_tools/publish_branch.py colab --dry-run    say what would be pushed
    python book/_tools/publish_branch.py colab              push it to `origin`
    python book/_tools/publish_branch.py colab --remote NAME-OR-URL

The Colab links of the published book open the notebooks of this branch. It holds every file that
git tracks, as it stands in the working tree, so that relative links lead somewhere; all but
`.github`, for which GitHub asks a right that a workflow's token does not have. HEAD, the index and
the working tree stay as they are. The same files give the same commit, which is not pushed twice.

Run bake_repo.py first: the notebooks must open on this branch and install the commit of HEAD, which
stays on `main` when the branch is replaced. GITHUB_TOKEN in the environment, if set, is shown to
GITHUB_SERVER_URL (default: https://github.com) and no other host, and is never printed.

Exits with 0 when the branch holds the files, 1 when git fails, 2 when there is something to mend
first. Standard library only, like bake_repo.py.
"""

import argparse
import base64
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import bake_repo
from notebook_files import ROOT

PLACEHOLDER = "OWNER"  # stands in _config.yml until a name is baked
PROTECTED = ("main", "master")
LEFT_OUT = ".github"
AUTHOR = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "book"), ("EMAIL", "book@localhost"))
}


class Refusal(Exception):
    """Something to mend before anything is pushed; the message says what to do."""


class GitError(Exception):
    """A git command that failed, with what it said."""


def git(root, *arguments, **environment):
    """Runs git in `root` and returns what it printed; it never asks for a password."""
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"} | environment
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=root, env=environment, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise Refusal("git is not installed") from None
    if result.returncode != 0:
        raise GitError(f"git {arguments[0]} failed: {result.stderr.strip() or result.stdout}")
    return result.stdout.strip()


def credentials():
    """The environment that lets git show GITHUB_TOKEN to GitHub, without a file or an argument."""
    token = os.environ.get("GITHUB_TOKEN")
    if not token:
        return {}
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
    secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    count = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    return {
        "GIT_CONFIG_COUNT": str(count + 1),
        f"GIT_CONFIG_KEY_{count}": f"http.{server}/.extraheader",
        f"GIT_CONFIG_VALUE_{count}": f"Authorization: Basic {secret}",
    }


def check_baked(root, branch, head):
    """The slug of the files in `root`, which must open `branch` and install `head`."""
    slug, _ = bake_repo.configured(root)
    advice = f"run `python book/_tools/bake_repo.py OWNER/NAME --ref {head} --branch {branch}`"
    if slug.startswith(f"{PLACEHOLDER}/"):
        raise Refusal(f"the files say {slug}, no repository's name; {advice} with the right name")
    wrong = [str(path.relative_to(root)) for path in bake_repo.baked(root, slug, head, branch)]
    if wrong:
        raise Refusal(
            f"not baked for commit {head} and branch {branch}: {', '.join(wrong)}; {advice}"
        )
    return slug


def find_remote(root, remote, branch):
    """The commit that `branch` of the remote has, or None; refuses to replace its main branch."""
    try:
        listing = git(
            root, "ls-remote", "--symref", remote, "HEAD", f"refs/heads/{branch}", **credentials()
        )
    except GitError as error:
        raise GitError(
            f"cannot read {remote!r}; `git remote -v` lists the remotes, and --remote takes one of "
            f"them or a URL\n{error}"
        ) from None
    found = {name: commit for commit, name in (line.split("\t") for line in listing.splitlines())}
    if f"ref: refs/heads/{branch}\tHEAD" in listing.splitlines():
        raise Refusal(f"{branch} is the default branch of {remote}; name another, such as colab")
    return found.get(f"refs/heads/{branch}")


def make_commit(root, message):
    """A commit without parents of what the working tree holds of the files that HEAD tracks."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(root, "read-tree", "HEAD", **index)
        git(root, "add", "--update", ".", **index)
        git(root, "rm", "-r", "--cached", "--quiet", "--ignore-unmatch", LEFT_OUT, **index)
        tree = git(root, "write-tree", **index)
    time = git(root, "show", "--no-patch", "--format=%ct", "HEAD")  # the same at every run
    dates = {"GIT_AUTHOR_DATE": f"@{time} +0000", "GIT_COMMITTER_DATE": f"@{time} +0000"}
    return git(root, "commit-tree", tree, "-m", message, **AUTHOR, **dates)


def publish(root, branch, remote, dry_run):
    """Does it all; returns the line to print."""
    if branch in PROTECTED:
        raise Refusal(f"{branch} is not replaced; name another branch, such as colab")
    try:
        bake_repo.check_ref(branch, "branch")
        git(root, "check-ref-format", f"refs/heads/{branch}")
    except (bake_repo.BakeError, GitError):
        raise Refusal(f"{branch!r} is not the name of a branch") from None
    try:
        head = git(root, "rev-parse", "--verify", "HEAD^{commit}")
    except GitError as error:
        raise Refusal(f"{root} has no commit to publish: {error}") from None
    slug = check_baked(root, branch, head)
    old = find_remote(root, remote, branch)
    message = f"{slug} at {head}\n\nMade by book/_tools/publish_branch.py, and replaced each time."
    new = make_commit(root, message)
    if new == old:
        return f"{branch} of {remote} already holds {slug} at {head}"
    if dry_run:
        files = len(git(root, "ls-tree", "-r", "--name-only", new).splitlines())
        return f"would push {files} files of {slug} at {head} to {branch} of {remote}"
    lease = f"--force-with-lease=refs/heads/{branch}:{old or ''}"  # if nobody else pushed meanwhile
    git(root, "push", "--quiet", lease, remote, f"{new}:refs/heads/{branch}", **credentials())
    return f"{branch} of {remote} now holds {slug} at {head}"


def main(arguments=None, root=ROOT):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("branch", help="the branch that is replaced, for example colab")
    parser.add_argument("--remote", default="origin", help="a remote or a URL; default: origin")
    parser.add_argument("--dry-run", action="store_true", help="push nothing")
    options = parser.parse_args(arguments)
    try:
        print(publish(root, options.branch, options.remote, options.dry_run))
    except GitError as error:
        print(f"publish_branch: {error}", file=sys.stderr)
        return 1
    except (Refusal, bake_repo.BakeError, ValueError, OSError) as error:
        print(f"publish_branch: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
