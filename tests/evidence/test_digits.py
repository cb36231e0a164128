"""The last digits: targets, samples, and short runs."""

import math

import numpy as np
import pytest
import torch

from evidence.runs import damping, digits

BASE = {"places": "uniform", "dtype": "float64"}


def test_turned_by_30_degrees():
    (x, y), _ = digits.exact_samples(BASE | {"task": "digits:turned product"}, 100)
    place = torch.view_as_complex(x).numpy() * np.exp(1j * math.pi / 6)
    np.testing.assert_allclose(y[:, 0].numpy(), place.real * place.imag, atol=1e-12)


def test_samples_at_the_edges_and_everywhere():
    shares = {}
    for places in ("uniform", "edges"):
        settings = BASE | {"task": "digits:product", "places": places, "samples": 20_000}
        (x, _), (new, _) = digits.exact_samples(settings, 100)
        shares[places] = (x.abs() > math.cos(math.pi / 8)).double().mean().item()
        assert new.shape == (10_000, 2) and abs(new.abs().mean() - 0.5) < 0.01
        assert x.abs().max() <= 1 and abs(x.mean()) < 0.02
    assert abs(shares["uniform"] - (1 - math.cos(math.pi / 8))) < 0.01
    assert abs(shares["edges"] - 0.25) < 0.01
    first, again, other = (
        digits.exact_samples(BASE | {"task": "digits:product"}, s) for s in (100, 100, 101)
    )
    assert torch.equal(first[0][0], again[0][0]) and not torch.equal(first[0][0], other[0][0])
    assert torch.equal(first[1][0], other[1][0])


@pytest.mark.parametrize("row", [0, 2, -2])
def test_a_short_run(row):
    short = digits.EXPERIMENT.settings[row] | {"steps": 6}
    made = digits.EXPERIMENT.maker({"stage": "result", "settings": short, "seed": 1900})()
    again = damping.as_stored(digits.reach_digits, short, 1900)
    assert (
        made["quantiles"] == again["quantiles"] and made["curve"]["loss"] == again["curve"]["loss"]
    )
    assert made["complete"] and not made["diverged"] and made["loss"] < made["curve"]["loss"][0]
    assert made["quantiles"] == sorted(made["quantiles"])
    median, *_, most = made["quantiles"]
    assert median < (made["test_loss"] ** 0.5 / made["spread"]) < most
    assert not digits.reach_digits(short, 1900, limit=0)["complete"]
