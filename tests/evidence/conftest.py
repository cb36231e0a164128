"""What tests of the stored results share."""

import functools

import pytest

import evidence
from evidence import reading


@pytest.fixture(scope="module")
def read_once():
    """Each table is read once in a module, whoever asks, and gets a copy."""
    load = functools.cache(evidence.load)
    with pytest.MonkeyPatch.context() as patch:
        for module in (evidence, reading):
            patch.setattr(module, "load", lambda *args, **options: load(*args, **options).copy())
        yield
