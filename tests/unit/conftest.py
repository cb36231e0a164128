"""What tests of the stored results share."""

import functools

import pytest

from kanbook import results
from kanbook.experiments import engine


@pytest.fixture(scope="module")
def read_once():
    """Each table is read once in a module, whoever asks, and gets a copy; and each run counted."""
    load, total = functools.cache(results.load), engine.total
    totals = functools.cache(lambda name, *seeds: total(engine.get(name), *seeds))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "load", lambda *args, **options: load(*args, **options).copy())
        patch.setattr(engine, "total", lambda one, *seeds: totals(one.name, *seeds))
        yield
