"""The stored results: complete, made by the rules, and small."""

import math

import pytest

from kanbook import count_parameters, results
from kanbook.experiments import EXPERIMENTS, engine, make_model
from kanbook.experiments.definitions import BEST_KAN, BEST_MIXTURE, TOLERANCE, TUNING_SEEDS

NAMES = list(EXPERIMENTS)


def of(name):
    experiment = engine.get(name)
    return experiment, engine.table_of(experiment)


def test_they_are_small():
    assert sum(path.stat().st_size for path in results.FOLDER.glob("*.jsonl")) < 5e6
    assert set(results.names()) == set(EXPERIMENTS)


@pytest.mark.parametrize("name", NAMES)
def test_every_run_is_there_once(name):
    experiment, table = of(name)
    engine.check_settings(experiment, table)
    wanted = engine.tuning_tasks(experiment)
    wanted += engine.result_tasks(experiment, table, experiment.seeds)
    assert experiment.seeds >= (3 if name in ("image-minimal", "scaling", "between") else 5)
    assert len(wanted) == engine.total(experiment)
    assert {task["run"] for task in wanted} == set(table.runs)
    tuning = [run for run in table.runs.values() if run["stage"] == "tuning"]
    assert {run["seed"] for run in tuning} <= {*TUNING_SEEDS}
    assert all(run.get("complete", True) for run in table.runs.values())


@pytest.mark.parametrize("name", NAMES)
def test_it_says_how_it_was_made(name):
    _, table = of(name)
    for how in table.provenance.values():
        assert len(how["commit"]) == 40, "made from files that differ from the commit"
        assert how["command"].startswith(f"python -m kanbook.experiments run {name}")
        assert all(how[key] for key in ("date", "device", "processor", "python", "torch"))


def test_runs_that_two_experiments_share_are_equal():
    keys = ["family", "size", "seed"]
    between, scaling = (results.load(name) for name in ("between", "scaling"))
    both = between.query("frequencies == 5").merge(scaling.query("depth == 2"), on=keys)
    assert len(both) == 12
    assert (both.lr_x == both.lr_y).all() and (both.widths_x == both.widths_y).all()
    assert (both.loss_x == both.loss_y).all()  # chapter 15: to the last digit


def test_the_benchmark_says_how_it_was_made():
    for part in ("speed", "memory", "training", "profile", "steps"):
        how = results.benchmark(part).attrs["provenance"]
        assert len(how["commit"]) == 40, "made from files that differ from the commit"
        assert all(how[key] for key in ("command", "date", "processor", "python"))
        assert {"torch", "pykan", "inkan", "flashkan"} <= set(how["versions"])


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_counted_and_matched(name):
    experiment, table = of(name)
    for run in table.runs.values():
        settings = run["settings"]
        if "measure" in settings or run["seed"]:
            continue
        grown = [size for _, size in settings.get("extend_grid", [])][-1:]
        final = settings | ({"grid_size": grown[0]} if grown else {})
        assert run["parameters"] == count_parameters(make_model(final)) or run["diverged"]
        if "size" in settings:
            assert abs(run["parameters"] / settings["size"] - 1) <= TOLERANCE or run["diverged"]


def test_the_best_entered_the_race():
    variants = results.load("extras").query("task == 'image-32' and family == 'KAN'")
    winner = variants.groupby("variant")["loss"].median().idxmin()
    row = variants[variants.variant == winner].iloc[0]
    for option in ("bias", "spline_weight", "base", "update_grid", "extend_grid", "restart"):
        value = row.get(option)
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        assert missing == (option not in BEST_KAN), (winner, option)
    orders = results.load("mixtures").query("knob == 'order'")
    mixed = orders[orders.kinds.map(lambda kinds: len(set(kinds)) > 1)]
    assert mixed.groupby("kinds")["loss"].median().idxmin() == tuple(BEST_MIXTURE["kinds"])
