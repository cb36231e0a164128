"""Turned formulas: the samples, and the best of several starts."""

import math

import pytest
import torch

from evidence import EXPERIMENTS
from evidence.runs import turned

SETTINGS = EXPERIMENTS["turned"].settings


def test_all_have_equal_parameters():
    assert len(SETTINGS) == 4 * len(turned.FORMULAS) == 48
    few = [turned.train_starts(one | {"steps": 4, "starts": 1}, 0) for one in SETTINGS[:4]]
    assert [one["parameters"] for one in few] == 4 * [375]


def test_samples_are_those_of_a_turned_square():
    one = SETTINGS[4] | {"task": "turned:u v"}
    (x, y), _, (far, _) = turned.turned_samples(one, 3, "cpu")
    assert len(x) == 3000 and len(far) == 10_000 and x.abs().max() <= 1
    angle = torch.atan2(x[:, 1], x[:, 0]) + math.pi / 6  # of the point in the turned axes
    values = x.square().sum(1) * angle.sin() * angle.cos()
    assert torch.allclose(y[:, 0], (values - values.mean()) / values.std())
    assert torch.equal(turned.turned_samples(one, 3, "cpu")[0][0], x)


def test_the_best_start_counts_and_all_are_kept():
    one = SETTINGS[6] | {"steps": 4, "starts": 3}
    result = turned.train_starts(one, 1)
    least = min(result["starts"])
    assert len(result["starts"]) == 3
    assert [result["validation_error"], result["test_error"]] == least
    first = turned.train_starts(one | {"starts": 1}, 1)
    assert first["starts"] == result["starts"][:1]
    assert result["seconds"] > first["seconds"] > 0
    assert result["loss"] == pytest.approx(least[0] ** 2, rel=0.5)
