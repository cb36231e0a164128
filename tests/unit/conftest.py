"""What tests of the stored results share."""

import functools

import pytest

from kanbook import results


@pytest.fixture(scope="module")
def read_once():
    """Each table is read once in a module, whoever asks, and gets a copy."""
    load = functools.cache(results.load)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "load", lambda *args, **options: load(*args, **options).copy())
        yield
