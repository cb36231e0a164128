"""The waves: the target, what is missing of it, and short runs."""

import math

import numpy as np
import pytest
import torch
from running import without_times

from evidence.runs import trials, waves

TASK = "waves:50"


def test_the_target_is_its_formula():
    assert waves.frequencies(TASK).tolist() == [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]
    k, phases = np.array([1.0, 4.0]), np.array([0.3, 2.0])
    x = np.linspace(-1, 1, 50)
    wanted = sum(np.sin(2 * np.pi * k[i] * (x + 1) / 2 + phases[i]) for i in range(2))
    found = waves.waves(*map(torch.from_numpy, (x[:, None], k, phases)))
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-12)
    for seed in range(2):
        y = waves.sample_waves(TASK, seed, dtype=torch.float64)[2][1]
        assert abs(y.mean()) < 1e-9 and abs(y.std(correction=0) - 1) < 1e-9


def test_data_differ_by_seed_and_parts_share_no_place():
    first, again, other = (waves.sample_waves(TASK, s, dtype=torch.float32) for s in (0, 0, 1))
    assert [len(x) for x, _ in first] == [1000, 500, 2000]
    for part, same in zip(first, again, strict=True):
        assert torch.equal(part[0], same[0]) and torch.equal(part[1], same[1])
    assert not torch.equal(first[0][0], other[0][0])
    assert torch.equal(first[2][0], other[2][0])
    assert not torch.equal(first[2][1], other[2][1])
    assert not set(first[0][0][:, 0].tolist()) & set(first[1][0][:, 0].tolist())


def test_missing_is_what_least_squares_finds():
    k, generator = waves.frequencies(TASK), torch.Generator().manual_seed(0)
    residual = torch.randn(2000, 1, generator=generator, dtype=torch.float64)
    angles = np.pi * k.numpy() * (waves.middles(2000).numpy() + 1)
    columns = np.concatenate([np.sin(angles), np.cos(angles)], 1)
    sines, cosines = np.linalg.lstsq(columns, residual[:, 0].numpy(), rcond=None)[0].reshape(2, 10)
    heights = np.hypot(sines, cosines) / math.sqrt(2 / 10)
    np.testing.assert_allclose(waves.missing(residual, k), heights, rtol=1e-9)
    whole = waves.sample_waves(TASK, 3, dtype=torch.float32)[2][1]
    np.testing.assert_allclose(waves.missing(whole, k), 1, atol=1e-5)


def test_contestants_have_equal_parameters_and_say_what_they_see():
    every = waves.EXPERIMENT.settings
    assert len({(settings["task"], settings["contestant"]) for settings in every}) == len(every)
    inputs = {settings["contestant"]: settings["widths"][0] for settings in every}
    assert inputs.pop("MLP, tanh, Fourier features") == 12 and set(inputs.values()) == {1}
    x = torch.tensor([[0.5]])
    assert trials.features({"input_scale": 30}, x).item() == 15
    assert torch.equal(trials.features({}, x), x)
    np.testing.assert_allclose(trials.features({"frequencies": 2}, x), [[1, 0, 0, -1]], atol=1e-6)


def short(contestant, **more):
    """The settings of a contestant, for a few steps."""
    every = waves.EXPERIMENT.settings
    return next(s for s in every if s["contestant"] == contestant) | {"lr": 0.01} | more


@pytest.mark.parametrize("contestant", ["KAN, G = 5, 20, 80", "MLP, tanh, Fourier features"])
def test_a_short_run(contestant):
    settings = short(contestant, steps=12)
    row = waves.EXPERIMENT.maker({"stage": "result", "settings": settings, "seed": 2000})()
    assert without_times(row) == without_times(waves.learn_waves(settings, 2000))
    assert abs(row["parameters"] / 1000 - 1) <= 0.02 and row["complete"] and not row["diverged"]
    assert [p["step"] for p in row["probes"]] == sorted(trials.spread(12, waves.PROBES))
    assert all(len(p["missing"]) == 10 for p in row["probes"])
    assert row["test_loss"] < 1.2 and row["test_loss"] != row["loss"]
    stopped = waves.learn_waves(settings | {"watch": False}, 2000, limit=0)
    assert not stopped["complete"] and "probes" not in stopped


def test_a_run_that_diverges():
    row = waves.learn_waves(short("MLP, ReLU", steps=30, lr=1e30, optimizer="sgd"), 2000)
    assert row["diverged"] and row["complete"] and row["loss"] is row["test_loss"] is None
