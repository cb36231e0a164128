"""What the field would use, against laws that it must find; PyKAN, which changes nothing else."""

import os
import random
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from kanbook import rivals
from kanbook.rivals import PyKANRegressor

RIVALS = rivals.linear, rivals.additive, rivals.boosted_trees, rivals.polynomial
RIVALS += (lambda: rivals.gaussian_process(0),)


def error(model, law, n=300):
    """Relative to the spread, on other rows."""
    x = np.random.default_rng(0).normal(size=(n, 3)) * (1e3, 1, 1e-3)
    y = law(*(x / (1e3, 1, 1e-3)).T)
    model = model.fit(x[: n // 2], y[: n // 2])
    return np.sqrt(np.mean((model.predict(x[n // 2 :]) - y[n // 2 :]) ** 2)) / y.std()


def test_each_finds_a_law_of_its_own():
    line = error(rivals.linear(), lambda a, b, c: 3 * a - b + 7)
    assert line < 1e-6
    curves = error(rivals.additive(), lambda a, b, c: np.sin(2 * a) + b**2)
    assert curves < 0.3 < error(rivals.linear(), lambda a, b, c: np.sin(2 * a) + b**2)
    for smooth in rivals.polynomial(), rivals.gaussian_process(0):
        assert error(smooth, lambda a, b, c: a * b) < 0.02
    trees = error(rivals.boosted_trees(random_state=0), lambda a, b, c: np.sign(a) * (b > 0), 600)
    assert trees < 0.4


def test_a_gaussian_process_of_many_inputs_begins_where_rows_meet():
    x = np.random.default_rng(0).normal(size=(200, 40))
    y = x[:, 0] + x[:, 1] + np.random.default_rng(1).normal(size=200) * 0.3
    model = rivals.gaussian_process(0).fit(x[:150], y[:150])  # once it was the mean alone
    assert model.score(x[150:], y[150:]) > 0.8


@pytest.mark.parametrize("make", RIVALS)
def test_noise_alone_is_not_learned_and_outputs_stay_apart(make):
    x = np.random.default_rng(0).normal(size=(200, 2))
    noise = np.random.default_rng(1).normal(size=200)
    model = make().fit(x[:150], noise[:150])
    assert np.sqrt(np.mean((model.predict(x[150:]) - noise[150:]) ** 2)) < 1.25 * noise[150:].std()
    both = clone(model).fit(x, np.column_stack([x[:, 0], 1e6 * x[:, 1]])).predict(x)
    assert both.shape == (200, 2)
    assert (np.abs(both - x * (1, 1e6)).mean(0) < 0.3 * np.array([1, 1e6])).all()


@pytest.mark.parametrize("make", RIVALS[:3])
def test_classes(make):
    x = np.random.default_rng(0).normal(size=(300, 2))
    y = np.where(x[:, 0] > 0.5, "high", np.where(x[:, 0] < -0.5, "low", "middle"))
    model = make(classes=True).fit(x[:200], y[:200])
    assert np.mean(model.predict(x[200:]) == y[200:]) > 0.9
    assert model.predict_proba(x).shape == (300, 3)


def test_trees_take_words_and_gaps_as_they_are():
    g = np.random.default_rng(0)
    frame = pd.DataFrame({"a": g.normal(size=300), "town": g.choice(["Ulm", "Bonn", "Kiel"], 300)})
    y = np.where(frame.town == "Ulm", 1.0, 0.0) + frame.a.isna()
    frame.loc[::7, "a"] = np.nan
    y = y + 2 * frame.a.isna()
    model = rivals.boosted_trees(random_state=0).fit(frame, y)
    assert np.abs(model.predict(frame) - y).max() < 0.1
    assert [name for name, _ in model.steps] == ["tablevectorizer", "histgradientboostingregressor"]


def test_pykan_learns_and_changes_nothing(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).uniform(-5, 5, (120, 2))
    y = np.column_stack([np.sin(x[:, 0]) + x[:, 1], 1e4 * x[:, 1]])

    def drawn():
        return torch.rand(1).item(), np.random.random(), random.random()  # noqa: NPY002

    def seed():
        torch.manual_seed(1), np.random.seed(1), random.seed(1)  # noqa: NPY002

    seed()
    expected = drawn()
    seed()
    model = PyKANRegressor(parameters=200, grid_size=5, steps=10).fit(x, y)
    assert drawn() == expected and torch.get_default_dtype() == torch.float32
    assert os.listdir(tmp_path) == [] and capfd.readouterr() == ("", "")
    misses = (model.predict(x) - y) / y.std(0)
    assert np.sqrt(np.mean(misses**2)) < 0.2 and model.validation_error_ < 0.3
    edges = sum(i * o for i, o in pairwise(width for width, _ in model.model_.width))
    assert model.n_parameters_ == edges * (5 + 3 + 2) == 200
    single = x.astype(np.float32)  # as the tables of skrub
    assert clone(model).fit(single, y[:, 0]).predict(single).shape == (120,)
