"""One run: what it depends on, what it measures, and that every kind of settings can be trained."""

import copy
import math
import random

import numpy as np
import pytest
import torch
from running import FIXED, KAN, MLP, SINE, of, perform, without_times

import evidence
from evidence import EXPERIMENTS, Experiment, engine, make_data, make_model, verification
from evidence.design import planned
from evidence.runs import damping, trials
from evidence.settings import parameters
from kanbook import optimizers, tasks

TRIALS = [
    FIXED,
    FIXED | {"task": "deep", "widths": [4, 3, 1]}
    | {"optimizer": "sgd", "lr": 0.1, "steps": 6, "batch_size": 64},
    KAN | {"lr": 0.01, "update_grid": 1, "extend_grid": [[0.5, 6]], "watch": True},
    KAN | {"lr": 1.0, "optimizer": "lbfgs", "base": "silu", "spline_weight": True},
    KAN | {"lr": None, "optimizer": "lm", "update_before": True, "extend_grid": [[0.5, 6]]},
]  # fmt: skip


def test_a_run_depends_on_settings_and_seed_only():
    def around():  # what a run must leave alone
        generators = torch.get_rng_state().tolist(), random.getstate()
        numbers = np.random.get_state()[1].tolist()  # noqa: NPY002
        return copy.deepcopy(TRIALS), generators, numbers, torch.get_num_threads()

    first = [trials.run_trial(settings, 3) for settings in TRIALS]
    torch.manual_seed(99)
    torch.set_default_dtype(torch.float64)
    before = around()
    try:
        second = [trials.run_trial(settings, 3) for settings in reversed(TRIALS)][::-1]
    finally:
        torch.set_default_dtype(torch.float32)
    assert [*map(without_times, first)] == [*map(without_times, second)] and around() == before
    other = [trials.run_trial(settings, 4) for settings in TRIALS]
    curves = [[run["curve"]["loss"] for run in runs] for runs in (first, other)]
    assert all(a != b for a, b in zip(*curves, strict=True)), "one optimum may end all seeds"


def test_what_settings_stand_for():
    at = trials.fit_options(SINE | {"lr": 1, "steps": 2000, "update_grid": 10, "restart": 10})
    assert at["restart_at"] == at["update_grid_at"] == list(range(101, 1002, 100)), "a control"
    once = trials.fit_options(SINE | {"lr": 1, "steps": 7, "restart": 1, "extend_grid": [[0.5, 9]]})
    assert once["restart_at"] == [*once["extend_grid_at"]] == [5]
    assert trials.spread(1, 8) == {1} and trials.spread(5, 60) == {1, 2, 3, 4, 5}
    grows = {"lr": None, "steps": 6, "extend_grid": [[0.5, 9]], "update_before": True}
    least_squares = trials.fit_options(SINE | grows | {"optimizer": "lm"})
    assert least_squares["update_grid_at"] == [*least_squares["extend_grid_at"]] == [4]
    assert "schedule" not in least_squares
    chosen = sorted(trials.spread(20_000, 60))
    assert chosen[0] == 1 and chosen[-1] == 20_000 and len(chosen) <= 60


def test_levenberg_marquardt_is_damped_as_the_settings_say():
    settings, seen = TRIALS[4] | {"damping": 10.0, "floor": 1.0}, []
    samples = make_data(settings, 0)[0]

    def look(step, model):
        seen.append((optimizers.DAMPING, damping.FLOOR))

    def coefficients(settings, make=damping.as_stored):
        return make(trials.train_once, settings, 0, samples, look)[0][0].coef

    before = optimizers.DAMPING, damping.FLOOR
    careful, former = coefficients(settings), coefficients(TRIALS[4])
    assert {*seen} == {(10.0, 1.0), before} and before == (optimizers.DAMPING, damping.FLOOR)
    today = coefficients(TRIALS[4], lambda train, *arguments: train(*arguments))
    assert not torch.equal(careful, former) and not torch.equal(former, today)

    def own_moves():
        with damping.damped({"reach": 0.1, "floor": 0.5}):
            solver = optimizers.LevenbergMarquardt
            return solver.move is damping.SHIPPED, optimizers.REACH, optimizers.FLOOR

    assert damping.as_stored(own_moves) == (True, 0.1, 0.5)
    assert (optimizers.REACH, optimizers.FLOOR, damping.FLOOR) == (0.5, 0.01, 1e-6)
    with pytest.raises(ValueError, match="no steps"), damping.damped(settings):
        raise ValueError("no steps")
    assert before == (optimizers.DAMPING, damping.FLOOR)


def test_what_a_run_measures():
    row = trials.run_trial(TRIALS[1], 0)
    assert row["parameters"] == 4 * 3 + 3 + 3 + 1 and row["evaluations"] == 6
    assert row["curve"]["step"] == [1, 2, 3, 4, 5, 6] == row["curve"]["evaluations"]
    assert row["complete"] and not row["diverged"] and row["seconds"] > 0
    (inputs, targets), test = make_data(TRIALS[1], 0)
    model = make_model(TRIALS[1], generator=torch.Generator().manual_seed(0))
    whole = (model(inputs) - targets).square().mean().item()
    assert row["curve"]["loss"][0] == pytest.approx(whole, rel=0.5), "that of a mini-batch"
    assert len(test[0]) == 10_000 and row["test_loss"] > 0
    picture = {"task": "image-8", "dtype": "float32", "frequencies": 2}
    assert make_data(picture, 0)[1] is None
    _, (inputs, targets) = make_data(picture | {"test_size": 16}, 0)
    assert inputs.shape == (256, 8)
    assert torch.equal(targets, tasks.image(16, dtype=torch.float32)[1])


@pytest.mark.parametrize("tanh", ["edge", "sum", None])
def test_a_tanh_kan_takes_its_tanh_where_the_settings_say(tanh):
    settings = SINE | {"model": "tanh", "widths": [1, 6, 4, 1], "bias": True, "tanh": tanh}
    model = make_model(settings, generator=0)
    assert [layer.tanh for layer in model] == [tanh, tanh, "edge" if tanh == "edge" else None]
    assert make_model(SINE | {"model": "tanh", "widths": [1, 1]})[0].tanh == "edge"
    assert parameters(settings, settings["widths"]) == trials.count_parameters(model)


def test_what_is_inside_a_network():
    probes = trials.run_trial(TRIALS[2], 0)["probes"]
    assert [probe["step"] for probe in probes] == [1, 4]
    model = make_model(KAN | {"widths": [1, 2, 1]}, generator=torch.Generator())
    inputs = torch.tensor([[-0.5], [0.0], [2.0], [3.0]])
    found = trials.look_into(model, inputs, torch.zeros(4, 1))
    assert found["outside"][0] == 0.5 and found["dead"] == [0, 0] and found["gradient"][0] > 0
    assert trials.look_into(model, inputs + 100, torch.zeros(4, 1))["dead"][0] == 1
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_run_that_diverges_is_kept_and_marked(tmp_path):
    wild = MLP | {"optimizer": "sgd", "lr": 1e20, "steps": 50}
    experiment = of(wild)
    row, how = perform(experiment, planned("result", wild, 0))  # a warning would be an error
    assert row["diverged"] and row["loss"] is None and row["test_loss"] is None
    assert row["complete"] and row["curve"]["step"][-1] < 50
    table = engine.table_of(experiment, tmp_path)
    table.append(row, how)
    read = evidence.load("tiny", folder=tmp_path).iloc[0]
    assert read["loss"] == read["test_loss"] == math.inf and read["diverged"]
    assert verification.rerun(experiment.maker(row), table.runs[row["run"]])["identical"]


# What is a number, or says who it is.
NAMES = {"contestant", "depth", "family", "knob", "lr", "part", "size", "steps", "suspect", "task"}


def settings_of_plain_trials():
    """Of contests, and of what is measured otherwise, the tests of their own train all kinds."""
    for experiment in EXPERIMENTS.values():
        if not isinstance(experiment, Experiment):
            continue
        if experiment.measurement.run is not trials.run_trial:
            continue
        for settings in experiment.settings:
            for model in settings.get("models", [settings] if "model" in settings else []):
                every = settings | model
                if ":" not in every["task"]:  # as those that only the pace is measured of
                    yield {k: v for k, v in every.items() if k not in ("models", "measure")}


def test_every_kind_of_setting_can_be_trained():
    kinds = {}  # of networks that differ in more than numbers, from one experiment or another
    for settings in settings_of_plain_trials():
        what = ("model", "kinds", "optimizer", "dtype", "activation", "start")
        kind = frozenset(settings) - NAMES, *(str(settings.get(name)) for name in what)
        kinds.setdefault(kind, settings)
    assert len(kinds) > 30
    for settings in kinds.values():
        grids = settings.get("extend_grid")
        few = {"optimizer": "adam", "lr": 0.001} | settings | {"samples": 50}
        few |= {"positions": 50} if "positions" in few else {}
        small = "slices-8" if "slices" in few else "image-8"
        few |= {"steps": 4 if grids else 2}
        few |= {"task": small} if "frequencies" in few else {}
        few |= {"lr": {"lbfgs": 1.0, "lm": None}.get(few["optimizer"], few["lr"])}
        row = trials.run_trial(few, 0)
        assert row["complete"] and not row["diverged"] and row["loss"] < 100
        few |= {"grid_size": grids[-1][1]} if grids else {}
        assert row["parameters"] == parameters(few, few["widths"])
