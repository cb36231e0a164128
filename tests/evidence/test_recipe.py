"""The recipe, whole and without one of its lines; the six equations that a lot has drawn."""

from __future__ import annotations

import random
import re
from inspect import getsource

import numpy as np
import pytest
import torch

from evidence.runs import recipe
from evidence.tasks.laws import LAWS
from kanbook import KANRegressor, _estimator, training


@pytest.fixture
def trainings(monkeypatch):
    """What the estimator asks of `fit`: the first grid, and the options."""
    asked, fit = [], training.fit

    def noted(model, *samples, **how):
        asked.append((model[0].grid_size, how))
        short = {"steps": 1, "update_grid_at": (), "restart_at": (), "extend_grid_at": None}
        return fit(model, *samples, **how | short)

    monkeypatch.setattr(training, "fit", noted)
    monkeypatch.setattr(_estimator, "fit", noted)
    return asked


@pytest.mark.parametrize("name", recipe.RECIPES)
def test_one_line_is_left_out(name, trainings):
    x = np.random.default_rng(0).uniform(size=(60, 2))
    options, changed = recipe.RECIPES[name]
    with changed():
        model = KANRegressor(random_state=0, starts=1, **options).fit(x, x[:, 0] * x[:, 1])
    moves = [bool(how.get("update_grid_at")) for _, how in trainings]
    lm = [how.get("optimizer") == "lm" for _, how in trainings]
    assert all(moves) == (name != "without 3, knots stay")
    large = model.hidden_layer_sizes_ == (16, 16)
    assert large == (name == "without 2, two layers of 16")
    assert any(lm) == (name != "without 4, Adam alone" and not large)
    at_once = [grid_size for grid_size, _ in trainings if grid_size in (6, 16)]
    assert bool(at_once) == (name == "without 5, all intervals at once")
    held_out = len(trainings[0][1]["validation"][0])
    assert held_out == (60 if name == "without 1, nothing held out" else 12)


def test_the_equations_are_those_of_the_lot():
    feynman = pytest.importorskip("kan.feynman")
    lot = random.Random("the formulas of chapter 10")
    names = re.findall(r"if name == '([^']+)' or name == \d+", getsource(feynman))
    lot.shuffle(names)
    laws = {law.source for law in LAWS.values()}
    drawn = iter(recipe.FORMULAS.items())
    for name in names:
        symbols, _, function, ranges = feynman.get_feynman_dataset(name)
        inputs = len(symbols)
        ranges = ranges if isinstance(ranges[0], list) else [ranges] * inputs
        low, high = torch.tensor(ranges, dtype=torch.float64).T
        unit = torch.rand(100_000, inputs, dtype=torch.float64, generator=torch.manual_seed(0))
        x = low + (high - low) * unit
        y = function(x).reshape(-1)
        far = ((y - y.mean()) / y.std()).abs().max() >= 20
        if far or not 3 <= inputs <= 8 or f"Feynman {name}" in laws:
            continue
        ours, law = next(drawn, (None, None))
        if ours is None:
            break
        assert law.source.removeprefix("Feynman ") == name
        assert np.allclose(np.array(law.ranges), np.array(ranges, dtype=float), atol=1e-6)
        assert np.allclose(law.function(x[:500].numpy()), y[:500].numpy(), rtol=1e-5)
    assert ours is None
