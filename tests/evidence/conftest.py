"""A tiny experiment's table, for the tests of the engine and of verification."""

import pytest
from running import TINY, make_all

import evidence


@pytest.fixture(scope="module")
def made_here(tmp_path_factory):
    """Made in this process, one run after the other."""
    return make_all(TINY, tmp_path_factory.mktemp("here"))


@pytest.fixture
def table(made_here, tmp_path):
    """A copy of it, to spoil."""
    (tmp_path / made_here.path.name).write_bytes(made_here.path.read_bytes())
    return evidence.Table(tmp_path / made_here.path.name, "tiny")
