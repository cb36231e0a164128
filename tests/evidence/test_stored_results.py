"""The stored results: complete, made by the rules, and small."""

import pytest

import evidence
from evidence import EXPERIMENTS, contests, engine
from evidence import definitions as d

# Tables that are not complete yet: what is there is right, more will come.
GROWING: set[str] = set()
SEEDS = {"tuning": d.TUNING_SEEDS}  # of the stages that choose
SEEDS |= {"finalist": contests.FINALIST_SEEDS}


def test_they_are_small():
    assert sum(path.stat().st_size for path in evidence.FOLDER.glob("*.jsonl")) < 25e6
    stored, defined = set(evidence.names()), set(EXPERIMENTS)
    assert stored <= defined and defined - stored <= GROWING


@pytest.mark.parametrize("name", evidence.names())
def test_every_run_is_there_once_and_says_how_it_was_made(name):
    experiment = engine.get(name)
    table = engine.table_of(experiment)
    engine.check_settings(experiment, table)
    wanted = engine.known(experiment, table, experiment.seeds)
    few = {"scaling", "between", "recovery-rivals", "race-audit", "starts"}
    few |= {"cold-case-finale"}
    assert experiment.seeds >= (3 if name in few else 5) or name == "pace"
    contest = isinstance(experiment, contests.Contest)  # of which the next stage is yet unknown
    seeds = SEEDS | ({"search": experiment.search_seeds} if contest else {})
    assert len(wanted) == experiment.total() or (contest and name in GROWING)
    assert len(wanted) == len(table.runs) or name in GROWING
    for one in wanted:
        if one["run"] not in table.runs and name in GROWING:
            continue
        run, settings = table.runs[one["run"]], one["settings"]
        assert run["settings"] == settings and run.get("complete", True)
        assert run["seed"] in seeds.get(run["stage"], range(experiment.seeds))
        if "widths" in settings and not run["diverged"]:
            grown = settings.get("extend_grid") or [[0, settings.get("grid_size", 0)]]
            n = d.parameters(settings | {"grid_size": grown[-1][1]}, settings["widths"])
            tolerance = contests.TOLERANCE if "config" in settings else d.TOLERANCE
            tolerance = 0.1 if contest and "config" not in settings else tolerance
            assert run["parameters"] == n and abs(n / settings.get("size", n) - 1) <= tolerance
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
    of["microcontroller"] = {"arm-none-eabi-gcc", "qemu-system-arm"}
    for part in ("speed", "memory", "prediction", "training", "profile", "steps", *of):
        how = evidence.load_benchmark(part).attrs["provenance"]
        assert len(how["commit"]) == 40, "made from files that differ from the commit"
        assert all(how[key] for key in ("command", "date", "processor", "python"))
        others = set(of.get(part, {"pykan", "inkan", "flashkan"}))
        if part in ("speed", "memory"):
            others |= {"efficient-kan", "fast-kan"}
        assert {"torch"} | others <= set(how["versions"])
        folders = {word.split("/")[0] for word in how["command"].split() if "/" in word}
        assert folders <= {"tests", "kanbook", ".."}, "names a folder of one machine"


def test_the_best_mixture_entered_the_race():
    orders = evidence.load("mixtures").query("knob == 'order'")
    mixed = orders[orders.kinds.map(lambda kinds: len(set(kinds)) > 1)]
    assert mixed.groupby("kinds")["loss"].median().idxmin() == tuple(d.BEST_MIXTURE["kinds"])
