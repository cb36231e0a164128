"""Old addresses of chapters lead to a page of the book, in one step."""

import posixpath
import subprocess
from pathlib import PurePosixPath

import pytest
import yaml
from helpers import needs

import notebook_files as notebooks
from notebook_files import ROOT

LIVE = {path.relative_to(ROOT).with_suffix("").as_posix() for path in notebooks.find()}


def redirects():
    """Old page: page that it leads to, both without a suffix, from the root of the book."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return {
        old: posixpath.join(posixpath.dirname(old), target.removesuffix(".html"))
        for old, target in config["sphinx"]["config"]["redirects"].items()
    }


def test_redirects_lead_from_no_page_to_a_page():
    found = redirects()
    assert found and not LIVE & set(found)
    assert set(found.values()) <= LIVE  # so none leads to another redirect


@needs("git")
def test_every_notebook_that_there_ever_was_has_an_address():
    git = ["git", "-C", str(ROOT), "log", "--format=", "--name-only", "--", "notebooks"]
    log = subprocess.run(git, capture_output=True, text=True)
    if log.returncode or not log.stdout:
        pytest.skip("needs the git history: clone the repository")
    named = {path for path in map(PurePosixPath, log.stdout.split()) if path.suffix == ".ipynb"}
    assert {path.with_suffix("").as_posix() for path in named} <= LIVE | set(redirects())
