"""The stored results: complete, made by the rules, and small."""

import pytest

import evidence
from evidence import EXPERIMENTS, contests, engine, families, settings
from evidence.design import TUNING_SEEDS
from evidence.experiments import BEST_MIXTURE

SEEDS = {"tuning": TUNING_SEEDS, "finalist": contests.FINALIST_SEEDS}  # of stages that choose


# Planned in parts M to W: still running, or not begun, and used nowhere before they are complete.
UNFINISHED = {"defaults", "formulas-redraws", "real-tables"}
PLANNED = {"formulas-many-fields", "formulas-redraws-few"}
ONE_SEED = {"pace", "pace-many", "pace-real", "recipe-open", "pace-encoding"}


def test_they_are_small():
    assert sum(path.stat().st_size for path in evidence.FOLDER.glob("*.jsonl")) < 30e6
    assert {*evidence.names(), *PLANNED} == {*EXPERIMENTS}
    assert not PLANNED & {*evidence.names()}


def tolerance(design, wanted):
    """How far the parameters may be from the wanted number."""
    if not isinstance(design, contests.Contest):
        return settings.TOLERANCE
    return families.TOLERANCE if "config" in wanted else 0.11  # of controls without weights


@pytest.mark.parametrize("name", evidence.names())
def test_every_run_is_there_once_and_says_how_it_was_made(name):
    design = evidence.get(name)
    table = engine.table_of(design)
    engine.check_settings(design, table)
    few = {"scaling", "between", "recovery-rivals", "race-audit", "starts", "cold-case-finale"}
    few |= {"turned", "formulas-many-fields", "formulas-redraws-few"}
    few |= {"defaults", "depth", "recipe-locked"}
    assert design.seeds >= (3 if name in few else 5) or name in ONE_SEED
    jobs = engine.known(design, table, design.seeds)
    assert name in UNFINISHED or len(jobs) == design.total() == len(table.runs)
    jobs = [job for job in jobs if name not in UNFINISHED or job["run"] in table.runs]
    seeds = SEEDS | {"search": getattr(design, "search_seeds", ())}
    for job in jobs:
        row, wanted = table.runs[job["run"]], job["settings"]
        assert row["settings"] == wanted and row.get("complete", True)
        assert row["seed"] in seeds.get(row["stage"], range(design.seeds))
        if "widths" in wanted and not row["diverged"]:
            grown = wanted.get("extend_grid") or [[0, wanted.get("grid_size", 0)]]
            n = settings.parameters(wanted | {"grid_size": grown[-1][1]}, wanted["widths"])
            off = abs(n / wanted.get("size", n) - 1)
            assert row["parameters"] == n and off <= tolerance(design, wanted)
    for how in table.provenance.values():
        assert len(how["commit"]) == 40, "made from files that differ from the commit"
        assert f" run {name}" in how["command"]
        assert all(how[key] for key in ("date", "device", "processor", "python", "torch"))


def test_runs_that_two_experiments_share_are_equal():
    keys = ["family", "size", "seed"]
    between, scaling = (evidence.load(name) for name in ("between", "scaling"))
    both = between.query("frequencies == 5").merge(scaling.query("depth == 2"), on=keys)
    assert len(both) == 12
    assert (both.lr_x == both.lr_y).all() and (both.widths_x == both.widths_y).all()
    assert (both.loss_x == both.loss_y).all()  # chapter 11: to the last digit


def test_the_benchmark_says_how_it_was_made():
    of = {"tanh": {"pykan", "tinygrad"}, "engines": {"jax", "tinygrad"}, "derivatives": set()}
    of |= {"hellokan": {"pykan"}}
    of["microcontroller"] = of["bits"] = {"arm-none-eabi-gcc", "qemu-system-arm"}
    for part in ("speed", "alone", "memory", "prediction", "training", "profile", "steps", *of):
        how = evidence.load_benchmark(part).attrs["provenance"]
        assert len(how["commit"]) == 40, "made from files that differ from the commit"
        assert all(how[key] for key in ("command", "date", "processor", "python"))
        others = set(of.get(part, {"pykan", "inkan", "flashkan"}))
        if part in ("speed", "memory"):
            others |= {"efficient-kan", "fast-kan"}
        assert {"torch"} | others <= set(how["versions"])
        folders = {word.split("/")[0] for word in how["command"].split() if "/" in word}
        assert folders <= {"tests", "kanbook", "evidence", ".."}, "names a folder of one machine"


def test_the_best_mixture_entered_the_race():
    orders = evidence.load("mixtures").query("knob == 'order'")
    mixed = orders[orders.kinds.map(lambda kinds: len(set(kinds)) > 1)]
    assert mixed.groupby("kinds")["loss"].median().idxmin() == tuple(BEST_MIXTURE["kinds"])
