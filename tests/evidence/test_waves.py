"""The waves: the target, what is missing of it, and short runs."""

import math

import numpy as np
import pytest
import torch

from evidence import engine
from evidence.runs import waves

TASK = "waves:50"


def test_the_target_is_its_formula():
    assert waves.frequencies(TASK).tolist() == [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]
    k, phases = np.array([1.0, 4.0]), np.array([0.3, 2.0])
    x = np.linspace(-1, 1, 50)
    wanted = sum(np.sin(2 * np.pi * k[i] * (x + 1) / 2 + phases[i]) for i in range(2))
    found = waves.waves(*map(torch.from_numpy, (x[:, None], k, phases)))
    np.testing.assert_allclose(found[:, 0], wanted, atol=1e-12)
    for seed in range(2):
        y = waves.make_data(TASK, seed, dtype=torch.float64).test[1]
        assert abs(y.mean()) < 1e-9 and abs(y.std(correction=0) - 1) < 1e-9


def test_data_differ_by_seed_and_parts_share_no_place():
    first, again, other = (waves.make_data(TASK, s, dtype=torch.float32) for s in (0, 0, 1))
    assert [len(x) for x, _ in first] == [1000, 500, 2000]
    for part, same in zip(first, again, strict=True):
        assert torch.equal(part[0], same[0]) and torch.equal(part[1], same[1])
    assert not torch.equal(first.train[0], other.train[0])
    assert torch.equal(first.test[0], other.test[0])
    assert not torch.equal(first.test[1], other.test[1])
    assert not set(first.train[0][:, 0].tolist()) & set(first.validation[0][:, 0].tolist())


def test_missing_is_what_least_squares_finds():
    k, generator = waves.frequencies(TASK), torch.Generator().manual_seed(0)
    residual = torch.randn(2000, 1, generator=generator, dtype=torch.float64)
    angles = np.pi * k.numpy() * (waves.middles(2000).numpy() + 1)
    columns = np.concatenate([np.sin(angles), np.cos(angles)], 1)
    sines, cosines = np.linalg.lstsq(columns, residual[:, 0].numpy(), rcond=None)[0].reshape(2, 10)
    heights = np.hypot(sines, cosines) / math.sqrt(2 / 10)
    np.testing.assert_allclose(waves.missing(residual, k), heights, rtol=1e-9)
    whole = waves.make_data(TASK, 3, dtype=torch.float32).test[1]
    np.testing.assert_allclose(waves.missing(whole, k), 1, atol=1e-5)


def test_contestants_have_equal_parameters_and_say_what_they_see():
    every = list(waves.settings())
    assert len({(one["task"], one["contestant"]) for one in every}) == len(every)
    inputs = {one["contestant"]: one["widths"][0] for one in every}
    assert inputs.pop("MLP, tanh, Fourier features") == 12 and set(inputs.values()) == {1}
    x = torch.tensor([[0.5]])
    assert waves.features({"input_scale": 30}, x).item() == 15
    assert torch.equal(waves.features({}, x), x)
    np.testing.assert_allclose(waves.features({"frequencies": 2}, x), [[1, 0, 0, -1]], atol=1e-6)


@pytest.mark.parametrize("contestant", ["KAN, G = 5, 20, 80", "MLP, tanh, Fourier features"])
def test_a_short_run(contestant):
    one = next(s for s in waves.settings() if s["contestant"] == contestant)
    one = one | {"steps": 12, "lr": 0.01}
    run = engine.train({"stage": "result", "settings": one, "seed": 2000})
    again = waves.run(one, 2000)
    assert {**run, "seconds": 0, "curve": 0} == {**again, "seconds": 0, "curve": 0}
    assert run["curve"]["loss"] == again["curve"]["loss"] and run["complete"]
    assert abs(run["parameters"] / 1000 - 1) <= 0.02 and not run["diverged"]
    assert [p["step"] for p in run["probes"]] == sorted(waves.trials.spread(12, waves.PROBES))
    assert all(len(p["missing"]) == 10 for p in run["probes"])
    assert run["test_loss"] < 1.2 and run["test_loss"] != run["loss"]
    stopped = waves.run({k: v for k, v in one.items() if k != "watch"}, 2000, limit=0)
    assert not stopped["complete"] and "probes" not in stopped


def test_a_run_that_diverges():
    one = next(s for s in waves.settings() if s["contestant"] == "MLP, ReLU")
    run = waves.run(one | {"steps": 30, "lr": 1e30, "optimizer": "sgd"}, 2000)
    assert run["diverged"] and run["complete"] and run["loss"] is run["test_loss"] is None
