"""The last digits: targets, samples, and short runs."""

import math

import numpy as np
import pytest
import torch

from evidence import engine
from evidence.runs import digits
from kanbook import tasks

BASE = {"places": "uniform"}


@pytest.mark.parametrize("name", ["product", "exp_sine"])
def test_targets_are_those_of_the_book(name):
    (x, y), _ = digits.make_data(BASE | {"task": f"digits:{name}"}, 100, dtype=torch.float64)
    torch.testing.assert_close(y, tasks.FORMULAS[name][1](x).reshape(-1, 1))


def test_turned_by_30_degrees():
    (x, y), _ = digits.make_data(BASE | {"task": "digits:turned product"}, 100, dtype=torch.float64)
    place = torch.view_as_complex(x).numpy() * np.exp(1j * math.pi / 6)
    np.testing.assert_allclose(y[:, 0].numpy(), place.real * place.imag, atol=1e-12)


def test_samples_at_the_edges_and_everywhere():
    shares = {}
    for places in ("uniform", "edges"):
        settings = {"task": "digits:product", "places": places, "samples": 20_000}
        (x, _), (new, _) = digits.make_data(settings, 100, dtype=torch.float64)
        shares[places] = (x.abs() > math.cos(math.pi / 8)).double().mean().item()
        assert new.shape == (10_000, 2) and abs(new.abs().mean() - 0.5) < 0.01
        assert x.abs().max() <= 1 and abs(x.mean()) < 0.02
    assert abs(shares["uniform"] - (1 - math.cos(math.pi / 8))) < 0.01
    assert abs(shares["edges"] - 0.25) < 0.01
    first, again, other = (
        digits.make_data(BASE | {"task": "digits:product"}, s, dtype=torch.float64)
        for s in (100, 100, 101)
    )
    assert torch.equal(first[0][0], again[0][0]) and not torch.equal(first[0][0], other[0][0])
    assert torch.equal(first[1][0], other[1][0])


@pytest.mark.parametrize("row", [0, 2, -2])
def test_a_short_run(row):
    one = list(digits.settings())[row] | {"steps": 6}
    run = engine.train({"stage": "result", "settings": one, "seed": 1900})
    again = digits.run(one, 1900)
    assert run["quantiles"] == again["quantiles"] and run["curve"]["loss"] == again["curve"]["loss"]
    assert run["complete"] and not run["diverged"] and run["loss"] < run["curve"]["loss"][0]
    assert run["quantiles"] == sorted(run["quantiles"])
    median, *_, most = run["quantiles"]
    assert median < (run["test_loss"] ** 0.5 / run["spread"]) < most
    assert not digits.run(one, 1900, limit=0)["complete"]
