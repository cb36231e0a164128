"""Contests: what is drawn, what is chosen, the engine in their stages, and a single run."""

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from running import can_train, change_row, command, make_all, perform, rows
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss

import evidence
import kanbook
from evidence import EXPERIMENTS, baselines, contests, engine, families, make_model, verification
from evidence.contests import FINALIST_SEEDS, SEARCH_SEEDS, Contest
from evidence.design import planned
from evidence.families import FAMILIES
from evidence.runs import contest_run, timing
from evidence.settings import parameters
from evidence.tasks.tables import table as read_table
from evidence.tasks.targets import TARGETS, target
from kanbook import training
from kanbook.tasks import positional_encoding

pytest.importorskip("filelock")

RUN = {"optimizer": "adam", "steps": 80, "dtype": "float32", "size": 61, "samples": 40}
AXES = RUN | {"task": "formula:exp_sine", "kind": "axes"}
ROTATED = RUN | {"task": "formula:rotated exp_sine", "kind": "rotated", "steps": 10}
TASKS = [AXES, ROTATED]
OPTIONS = {"families": {"parameters": ("KAN", "MLP")}, "draws": 3, "finalists": 2, "seeds": 2}
OPTIONS |= {"share": 0.5}
SEARCH, FINALS, RESULTS = 3 * 1, 2 * 2, 2  # runs of a cell, by stage
CELLS = 2 * 2


def of(*tasks, **options):
    """A contest on these tasks."""
    return Contest("tiny", "Who wins?", (1,), lambda: tasks, **(OPTIONS | options))


TINY = of(*TASKS)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The command line knows TINY."""
    monkeypatch.setitem(EXPERIMENTS, "tiny", TINY)


@pytest.fixture(scope="module")
def made_here(tmp_path_factory):
    return make_all(TINY, tmp_path_factory.mktemp("here"))


# What is drawn


def drawn(family, task=AXES, draws=3):
    return families.candidates(task | {"family": family}, draws)


def test_candidates_have_the_size_and_are_distinct():
    for task in EXPERIMENTS["formulas"].make_tasks()[::5]:
        for family in FAMILIES:
            found = drawn(family, task, draws=12)
            assert len(found) == len({one["config"] for one in found}) == 12
            bare = [{name: one[name] for name in one if name != "config"} for one in found]
            assert all(one not in bare[:i] for i, one in enumerate(bare)), "not only by number"
            for one in found:
                assert abs(parameters(one, one["widths"]) / task["size"] - 1) <= 0.01
                assert (one["widths"][0], one["widths"][-1]) == contests.ends(task["task"])


def test_a_number_stands_for_the_same_settings_on_every_task():
    tasks = [AXES, ROTATED | {"size": 120}, RUN | {"task": "table:wine", "size": 300}]
    tasks += [RUN | {"task": "picture:camera", "pixels": 8, "size": 300}]
    for family in FAMILIES:
        for task in tasks:
            for one in drawn(family, task):
                wanted = dict(families.draw(family, one["config"]))
                assert len(one["widths"]) - 2 == wanted.pop("depth")
                if "grid_size" in wanted:
                    assert abs(one["grid_size"] - wanted.pop("grid_size")) <= 2
                if "picture" not in task["task"]:
                    wanted.pop("frequencies")
                own = set(one) - set(task) - {"family", "widths", "grid_size"}
                assert {name: one[name] for name in own} == wanted


# What is chosen


def filled(contest, errors):
    """The table in memory after all that tunes, with these errors by stage, config and seed."""
    table = evidence.Table("nowhere", "tiny", 1)
    for _ in range(2):
        for one in engine.known(contest, table, 2):
            if one["stage"] != "result":
                error = errors(one["stage"], one["settings"]["config"], one["seed"])
                measured = {"validation_error": error, "test_error": 0.5, "diverged": False}
                table.runs.setdefault(one["run"], one | measured)
    return table


def chosen(contest, table, stage):
    """Configurations in a stage, in the order of their runs."""
    found = engine.known(contest, table, 2)
    return list(dict.fromkeys(x["settings"]["config"] for x in found if x["stage"] == stage))


ONE = of(AXES, families={"parameters": ("KAN",)})


def test_new_draws_spread_the_rates_and_keep_the_first_draws():
    tasks = [AXES | {"size": 1000}, ROTATED | {"size": 1000}]
    tasks += [{**RUN, "task": "picture:cat", "pixels": 8, "size": 1000, "kind": "cat"}]
    for family, task in product(families.REDRAWN, tasks):
        (low, high), _ = families.REDRAWN[family]
        first = drawn(family, task, draws=12)
        assert drawn(family, task | {"redraw": 1}, draws=12) != first
        for number in (1, 2):
            found = drawn(family, task | {"redraw": number}, draws=12)
            assert all(one["redraw"] == number for one in found)
            assert len({tuple(one["widths"]) for one in found}) > 3
            share = np.log([one["lr"] / low for one in found]) / np.log(high / low)
            share += np.log(2) / np.log(high / low) if "pixels" in task else 0
            assert sorted(12 * share) == pytest.approx(np.arange(12) + 0.5, abs=0.6)
            for one in found:
                assert abs(parameters(one, one["widths"]) / 1000 - 1) <= families.TOLERANCE
                assert make_model(one)


def test_a_first_grid_is_that_of_the_first_layer_alone():
    one = {"model": "kan", "grid_size": 4, "first_grid": 9, "degree": 2, "dtype": "float64"}
    model = make_model(one | {"widths": [2, 3, 1]})
    assert [layer.coef.shape[-1] for layer in model] == [11, 6]
    assert kanbook.count_parameters(model) == parameters(one, [2, 3, 1]) == 2 * 3 * 11 + 3 * 6


A, B, C = (one["config"] for one in drawn("KAN"))


@pytest.mark.parametrize(
    "search, finals, finalists, winner",
    [
        ({A: 0.3, B: 0.1, C: 0.2}, {B: (0.1, 0.1), C: (0.2, 0.2)}, [B, C], B),
        ({A: 0.3, B: 0.1, C: 0.2}, {B: (0.2, 0.2), C: (0.1, 0.1)}, [B, C], C),
        ({A: 0.15, B: 0.1, C: 0.2}, {B: (0.2, 0.2), A: (0.1, 0.1)}, [B, A], A),
        ({A: None, B: 1e9, C: 0.2}, {B: (0.1, 0.1), C: (0.2, 0.2)}, [C, B], B),  # lost: last
        # The lower mean of logarithms, not the lower mean; and never where one was lost.
        ({A: 9.0, B: 0.1, C: 0.2}, {B: (1e-6, 0.1), C: (1e-2, 1e-2)}, [B, C], B),
        ({A: 9.0, B: 0.1, C: 0.2}, {B: (1e-30, None), C: (9.0, 9.0)}, [B, C], C),
        ({A: None, B: None, C: None}, {A: (None, None), B: (None, 9.0)}, [A, B], A),
    ],
)
def test_the_least_validation_errors_are_chosen(search, finals, finalists, winner):
    def error(stage, config, seed):
        return search[config] if stage == "search" else finals[config][seed - FINALIST_SEEDS[0]]

    table = filled(ONE, error)
    assert chosen(ONE, table, "finalist") == finalists and chosen(ONE, table, "result") == [winner]
    for i, one in enumerate(table.runs.values()):  # the test is no judge
        one["test_error"] = (1e-9, 1e9)[i % 2]
    assert chosen(ONE, table, "finalist") == finalists and chosen(ONE, table, "result") == [winner]


def test_a_stage_waits_for_all_runs_of_the_one_before(made_here, tmp_path):
    table = engine.table_of(ONE, tmp_path)
    wanted = {"search": [*SEARCH_SEEDS], "finalist": [*FINALIST_SEEDS], "result": [0, 1]}
    for stage, steps, count in (("search", 40, 3), ("finalist", 80, 4), ("result", 80, 2)):
        todo = engine.missing(engine.known(ONE, table, 2), table)
        assert {one["stage"] for one in todo} == {stage} and len(todo) == count
        assert sorted({one["seed"] for one in todo}) == wanted[stage]
        for one in todo:
            assert one["settings"]["steps"] == steps
            left = engine.missing(engine.known(ONE, table, 2), table)
            assert {other["stage"] for other in left} == {stage}
            table.append(made_here.runs[one["run"]], {"commit": "?"})
    assert engine.missing(engine.known(ONE, table, 2), table) == []
    assert len(table.runs) == ONE.total() == SEARCH + FINALS + RESULTS


PLAIN = {"model": "kan", "grid_size": 5, "degree": 3, "depth": 1}
GROWS = PLAIN | {"extend_grid": [[0.5, 8]]}
FIXED = {"families": {"parameters": ("plain", "grows")}, "finalists": 0}
FIXED |= {"fixed": lambda: {"plain": PLAIN, "grows": GROWS}}


def test_where_nothing_is_drawn_the_rate_is_chosen(tmp_path):
    contest = of(
        AXES | {"size": 72}, **FIXED, rates=(0.003, 0.03), search_seeds=(1000, 1001), share=1.0
    )
    table = make_all(contest, tmp_path)
    assert len(table.runs) == contest.total() == 2 * (2 * 2 + 2)
    engine.check_settings(contest, table)
    for family in ("plain", "grows"):
        runs = [one for one in table.runs.values() if one["settings"]["family"] == family]
        scores = {}
        for one in (one for one in runs if one["stage"] == "search"):
            scores.setdefault(one["settings"]["lr"], []).append(one["validation_error"])
        best = min(scores, key=lambda lr: np.log(scores[lr]).mean())
        assert set(scores) == {0.003, 0.03} and all(len(found) == 2 for found in scores.values())
        used = {one["settings"]["lr"] for one in runs if one["stage"] == "result"}
        assert used == {best} and {one["settings"]["steps"] for one in runs} == {80}
        assert all(one["parameters"] == {"plain": 72, "grows": 66}[family] for one in runs)


def test_where_nothing_is_chosen_only_results_are_made(tmp_path):
    task = AXES | {"optimizer": "lm", "steps": 3, "size": 72, "dtype": "float64"}
    contest = of(task, **FIXED, rates=(None,))
    table = make_all(contest, tmp_path)
    assert len(table.runs) == contest.total() == 2 * 2
    assert all(one["stage"] == "result" and one["complete"] for one in table.runs.values())


def test_at_equal_seconds_the_steps_are_those_of_the_pace(monkeypatch):
    monkeypatch.setattr(contests, "pace", lambda run: {"KAN": 3.0, "MLP": 2.0})
    contest = of(AXES, families={"parameters": ("KAN", "MLP"), "seconds": ("MLP", "KAN")})
    for job in engine.known(contest, filled(contest, lambda *what: 0.1), 2):
        usual = {"search": 40, "finalist": 80, "result": 80}[job["stage"]]
        longer = (job["settings"]["contest"], job["settings"]["family"]) == ("seconds", "MLP")
        assert job["settings"]["steps"] == (1.5 if longer else 1) * usual


def test_the_pace_is_the_mean_of_a_family(tmp_path, monkeypatch):
    tasks = EXPERIMENTS["formulas"].make_tasks()  # its steps follow from what is stored
    assert all(set(contests.pace(task)) == set(FAMILIES) for task in tasks)
    models = [drawn(family, draws=2) for family in ("KAN", "MLP")]
    what = {"measure": "seconds", "task": AXES["task"], "size": 61, "models": sum(models, [])}
    run = planned("result", what, 0) | {"step_seconds": [1.0, 3.0, 0.1, 0.2]}
    evidence.Table(tmp_path / "pace.jsonl", "pace", 1).append(run, {})
    monkeypatch.setattr(contests, "FOLDER", tmp_path)
    contests._pace.cache_clear()
    assert contests.pace(AXES) == pytest.approx({"KAN": 2.0, "MLP": 0.15})
    with pytest.raises(ValueError, match="no step times of the shape .*5, 1, 61.*are stored"):
        contests.pace(AXES | {"task": "formula:five_curves"})
    contests._pace.cache_clear()


# The engine


def test_all_runs_are_there_and_counted(made_here):
    count = CELLS * (SEARCH + FINALS + RESULTS)
    assert len(made_here.runs) == TINY.total() == count
    assert TINY.total(5) == count + CELLS * 3
    stages = [one["stage"] for one in made_here.runs.values()]
    assert [stages.count(name) for name in ("search", "finalist", "result")] == [12, 16, 8]
    assert TINY.work(2) == sum(TINY.cost(row["settings"]) for row in made_here.runs.values())
    engine.check_settings(TINY, made_here)


SCRIPT = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if tests run in the background
from evidence import EXPERIMENTS
from evidence.__main__ import main
from evidence.contests import Contest
EXPERIMENTS["tiny"] = Contest("tiny", "?", (1,), lambda: {TASKS!r}, **{OPTIONS!r})
sys.exit(main(sys.argv[1:]))
"""


def end(folder, stored, number):
    """Run TINY in a process of its own, and send it a signal once so many rows are stored."""
    command = [sys.executable, "-c", SCRIPT, "--folder", folder, "run", "tiny", "--processes", "1"]
    path = folder / "tiny.jsonl"
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        while not path.exists() or path.read_bytes().count(b'"stage"') < stored:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        os.killpg(process.pid, number)  # as a terminal, to all processes of a command
        return process.communicate(timeout=60)[1].decode()


def test_ended_and_resumed_it_is_as_if_uninterrupted(made_here, tmp_path):
    for stage, stored, number in (("search", 2, signal.SIGINT), ("finalist", 8, signal.SIGKILL)):
        err = end(tmp_path, stored, number)
        assert ("interrupted; what was made is stored" in err) == (number == signal.SIGINT)
        so_far = engine.table_of(TINY, tmp_path)
        assert [*so_far.runs.values()][-1]["stage"] == stage
        kept = so_far.path.read_bytes()[: so_far.size]  # the last line may be half a line
    again = make_all(TINY, tmp_path)
    content = again.path.read_bytes()
    assert content.startswith(kept), "nothing stored is made again"
    assert content.count(b'"stage"') == len(again.runs) == TINY.total()
    assert rows(engine.table_of(TINY, tmp_path)) == rows(made_here)
    assert engine.run(TINY, folder=tmp_path).path.read_bytes() == content, "nothing is left to do"


def test_a_choice_that_was_made_otherwise_is_refused(table, capsys):
    """Who changes an error that something was chosen by would have to change the rest, too."""
    tuned = [i for i, run in enumerate(table.runs.values()) if run["stage"] == "search"]
    search = [*table.runs.values()][: len(tuned)][:3]  # of the first cell
    best = min(range(3), key=lambda i: search[i]["validation_error"])
    change_row(table, lambda run: run.update(validation_error=9.0), index=2 + best)
    before = table.path.read_bytes()
    assert command(table.path.parent, "run", "tiny") == 1
    assert "has settings that 'tiny' does not have" in capsys.readouterr().err
    assert table.path.read_bytes() == before


def test_a_baseline_only_has_the_seeds_that_count(tmp_path, monkeypatch):
    class Fake:  # predicts what it is told of the validation samples: the mean, or shares
        parameters, note = 7, "a note"

        def __init__(self, name, train, validation, *, kind, seed):
            assert name == "mean" and train[0].dtype == np.float64
            self.kind, y = kind, train[1]
            self.output = np.bincount(y, minlength=3) / len(y) if kind == "classes" else y.mean(0)

        def predict(self, x):
            return np.tile(self.output, (len(x), 1)).astype("float64")

    monkeypatch.setattr(baselines, "fit", Fake)
    wine = {name: RUN[name] for name in RUN if name != "samples"}
    wine |= {"task": "table:wine", "kind": "classes"}
    contest = of(AXES, wine, families={"parameters": ("mean",)}, seeds=3)
    table = make_all(contest, tmp_path)
    assert len(table.runs) == contest.total() == 2 * 3
    assert contest.work(3) == 6 * 1000
    engine.check_settings(contest, table)
    for one in table.runs.values():
        split = contest_run.make_split(one["settings"], one["seed"])
        assert one["parameters"] == 7 and one["note"] == "a note" and not one["diverged"]
        if split.classes:
            shares = [(split.train[1] == c).double().mean().item() for c in range(3)]
            shares = np.tile(shares, (len(split.test[1]), 1))
            assert one["test_error"] == pytest.approx(log_loss(split.test[1], shares), rel=1e-5)
        else:
            assert 0.9 < one["test_error"] < 1.1 and one["p90"] > 1
        assert verification.rerun(contest.maker(one), one)["identical"]


# Data


FORMULA = RUN | {"task": "formula:cliff", "samples": 60}
PICTURE = RUN | {"task": "picture:camera", "pixels": 12}
WINE = {name: value for name, value in RUN.items() if name != "samples"} | {"task": "table:wine"}
PARTS = ("train", "validation", "test")


@pytest.mark.parametrize("task", [FORMULA, PICTURE, WINE], ids=lambda one: one["task"])
def test_who_has_the_same_seed_has_the_same_samples(task):
    plain = contest_run.make_split(task, 3)
    for family in FAMILIES:
        for settings in drawn(family, task | {"size": 300}):
            split = contest_run.make_split(settings, 3)
            for part in PARTS:
                (x, y), (x0, y0) = getattr(split, part), getattr(plain, part)
                if frequencies := settings.get("frequencies"):
                    x0 = positional_encoding(x0.double(), frequencies)
                scaled = (x0 * settings.get("input_scale", 1)).to(x.dtype)
                torch.testing.assert_close(x, scaled, rtol=1e-4, atol=1e-4)
                assert torch.equal(y, y0)
    other = contest_run.make_split(task, 4)
    assert all(not torch.equal(getattr(plain, x)[0], getattr(other, x)[0]) for x in PARTS)


@pytest.mark.parametrize("task", [FORMULA, PICTURE, WINE], ids=lambda one: one["task"])
def test_the_inputs_to_learn_from_fill_the_domain(task):
    split = contest_run.make_split(task | {"dtype": "float64"}, 0)
    x, y = split.train
    assert x.dtype == torch.float64
    for end in (-x.min(0).values, x.max(0).values):
        assert torch.allclose(end, torch.ones_like(end))
    assert all(getattr(split, part)[0].abs().max() <= 1 for part in PARTS)
    if split.classes is None:
        assert abs(y.mean()) < 1e-12 and y.std().item() == pytest.approx(1)
        assert split.spread == pytest.approx(split.test[1].std().item())
    else:
        assert split.classes == 3 and split.spread == 1 and y.dtype == torch.int64


@pytest.mark.parametrize(
    "task, sizes",
    [(PICTURE, [58, 14, 72]), (WINE, [107, 35, 36]), (WINE | {"samples": 50}, [30, 10, 10])],
)
@pytest.mark.parametrize("series", [False, True])
def test_parts_have_no_sample_in_common(monkeypatch, task, sizes, series):
    """Every target is made the number of its sample here."""
    kind = "series" if series else "regression"
    number = lambda x: torch.arange(len(x), dtype=torch.float64).unsqueeze(1)  # noqa: E731
    wine, picture = read_table("wine"), contest_run.picture
    numbered = replace(wine, targets=number(wine.inputs), kind=kind)
    monkeypatch.setattr(contest_run, "table", lambda name: numbered)
    monkeypatch.setattr(
        contest_run, "picture", lambda *args, **how: (picture(*args, **how)[0], number(range(144)))
    )
    split = contest_run.make_split(task | {"dtype": "float64"}, 0)
    found = [getattr(split, part)[1].flatten() for part in PARTS]
    assert [len(y) for y in found] == sizes
    gaps = torch.cat(found).sort().values.diff()
    assert gaps.min() > 0, "none twice"
    if sum(sizes) != 50:
        assert torch.allclose(gaps, gaps[0]), "none left out"
    in_order = all(a.max() < b.min() for a, b in zip(found, found[1:], strict=False))
    assert in_order == (series and task["task"] == "table:wine")


def test_the_targets_of_the_test_have_no_noise():
    settings = FORMULA | {"noise": 0.5, "dtype": "float64"}
    split = contest_run.make_split(settings, 5)
    generator, clean = torch.Generator().manual_seed(10_005), TARGETS["cliff"].function
    x, y = target("cliff", 60, noise=0.5, generator=generator, dtype=torch.float64)
    v, w = target("cliff", 30, noise=0.5, generator=generator, dtype=torch.float64)
    mean, deviation = y.mean(), y.std()
    assert torch.allclose(split.train[1] * deviation + mean, y)
    assert torch.allclose(split.validation[1] * deviation + mean, w)
    assert ((clean(x) - y.squeeze(1)).std() / deviation).item() == pytest.approx(0.45, abs=0.1)
    t, _ = target("cliff", 5000, generator=generator, dtype=torch.float64)
    assert torch.allclose(split.test[1].squeeze(1) * deviation + mean, clean(t))
    low, high = x.min(0).values, x.max(0).values
    assert torch.allclose(split.test[0], ((t - low) / (high - low) * 2 - 1).clamp(-1, 1))


# Errors


def test_errors_of_numbers_against_numpy():
    split = contest_run.make_split(FORMULA | {"noise": 0.3}, 0)
    predict = lambda x: x.sum(1, keepdim=True) * 0.3  # noqa: E731
    found = contest_run.errors(predict, split.test, split.spread)
    y = split.test[1].numpy().astype("float64")
    miss = np.abs(predict(split.test[0]).numpy() - y) / np.std(y, ddof=1)
    wanted = {"error": np.sqrt(np.mean(miss**2)), "p90": np.percentile(miss, 90)}
    assert found == pytest.approx(wanted, rel=1e-6)
    mean = contest_run.errors(lambda x: torch.full((len(x), 1), y.mean()), split.test, split.spread)
    assert mean["error"] == pytest.approx(1, abs=1e-3), "the mean has error 1"


def test_errors_of_classes_against_scikit_learn():
    split = contest_run.make_split(WINE, 0)
    logits = torch.randn(len(split.test[0]), 3, generator=torch.Generator().manual_seed(0))
    found = contest_run.errors(lambda x: logits, split.test, split.spread)
    p, y = softmax(logits.double().numpy(), axis=1), split.test[1].numpy()
    wanted = {"error": log_loss(y, p), "accuracy": accuracy_score(y, p.argmax(1))}
    assert found == pytest.approx(wanted, rel=1e-6)


# A run


OVERFITS = AXES | {"family": "KAN", "model": "kan", "grid_size": 12, "degree": 3, "lr": 0.1}
OVERFITS |= {"widths": [2, 6, 1], "samples": 20, "noise": 0.3, "steps": 150, "start": "uniform 0.1"}
OVERFITS |= {"contest": "parameters"}
# With plain gradient steps, a little too long: at first the loss falls.
DIVERGES = OVERFITS | {"optimizer": "sgd", "lr": 4.0, "decay": False, "steps": 100}
DIVERGES |= {"noise": 0.0, "widths": [2, 1], "start": "lines", "grid_size": 5}


@pytest.mark.parametrize("settings", [OVERFITS, DIVERGES], ids=["overfits", "diverges"])
def test_the_best_look_at_the_validation_samples_counts(settings):
    found, steps = contest_run.run_contestant(settings, 1, points=5), settings["steps"]
    best = found["best_step"]
    assert found["diverged"] == (settings is DIVERGES) and found["complete"]
    split = contest_run.make_split(settings, 1)

    def after(count):
        """Errors on the validation and the test samples after so many of all steps."""
        generator = torch.Generator().manual_seed(1)
        model = make_model(settings, generator=generator)
        rate = settings["lr"]
        factor = (lambda t: 1.0) if settings is DIVERGES else lambda t: 1 - t * count / steps
        how = {"optimizer": settings["optimizer"], "lr": rate, "schedule": factor}
        training.fit(model, *split.train, steps=count, **how)
        parts = split.validation, split.test
        return [contest_run.errors(model, part, split.spread)["error"] for part in parts]

    assert 1 < best < steps
    validation, test = after(best)
    assert found["validation_error"] == pytest.approx(validation, rel=1e-5)
    assert found["test_error"] == pytest.approx(test, rel=1e-5)
    for other in (best - 2, best + 2, best + 10):  # some of them were looked at, too
        assert after(other)[0] >= validation
    assert after(best + 10)[1] != pytest.approx(test, rel=1e-3), "the last weights are others"


def test_a_run_that_is_lost_from_the_start_has_no_error(tmp_path):
    lost = DIVERGES | {"lr": 1e30}
    row, how = perform(TINY, planned("search", lost, 0))
    assert row["diverged"] and row["complete"] and row["curve"]["step"] in ([], [1])
    assert row["test_error"] is None or row["test_error"] > 1e3
    evidence.Table(tmp_path / "tiny.jsonl", "tiny", 1).append(row, how)
    assert evidence.load("tiny", tuning=True, folder=tmp_path).test_error.item() == math.inf
    assert verification.rerun(TINY.maker(row), row)["identical"]


def test_classes_are_learned(monkeypatch):
    (one,) = drawn("MLP", WINE | {"size": 300}, draws=1)
    found = contest_run.run_contestant(one | {"steps": 60, "lr": 0.01, "batch_size": 32}, 0)
    assert found["accuracy"] > 0.9 and found["test_error"] < 0.3 and "p90" not in found
    assert found["loss"] < found["curve"]["loss"][0] == pytest.approx(math.log(3), rel=0.5)


def test_steps_are_timed_as_they_are_trained(monkeypatch):
    """With the batches and the loss of the task; classes would fit no mean squared error."""
    models = [one | {"batch_size": 32} for one in drawn("MLP", WINE | {"size": 300}, draws=2)]
    asked, fit = [], training.fit

    def watched(*args, **options):
        asked.append((options.get("batch_size"), options.get("loss")))
        return fit(*args, **options)

    monkeypatch.setattr(timing.training, "fit", watched)
    found = timing.time_steps({"models": models, "inputs": 13}, rounds=1)
    assert asked[-6:] == [(32, torch.nn.functional.cross_entropy)] * 6
    for times in (found["step_seconds"], found["prediction_seconds"]):
        assert len(times) == 2 and min(times) > 0


CONTESTS = [name for name, one in EXPERIMENTS.items() if isinstance(one, Contest)]
# What is a number, or says who it is and where.
NAMES = {"config", "contest", "family", "kind", "lr", "samples", "size", "steps", "task", "widths"}
NAMES |= {"batch_size", "frequencies", "input_scale", "pixels", "rank"}


def every_setting():
    """Where and how: of all contests, on a formula, a picture, and each kind of tables."""
    for name in CONTESTS:
        contest, table, one_each = EXPERIMENTS[name], evidence.Table("nowhere", name, 1), {}
        for task in contest.make_tasks():
            where = task["task"].partition(":")[0]
            one_each[where, where == "table" and task["kind"]] = task
        for where, task in one_each.items():
            cells = [cell for cell in contest.cells(task) if cell.contest == "parameters"]
            for run in contest.known(cells, table, 1):
                if "baseline" not in run["settings"]:
                    yield where, run["settings"]


def test_every_kind_of_setting_can_be_trained():
    """All that differ in more than numbers, whichever contest has them, and all have their size."""
    seen = set()
    for where, one in every_setting():
        growth = one.get("extend_grid")
        grown = one | ({"grid_size": growth[-1][1]} if growth else {})
        count = parameters(grown, one["widths"])
        tolerance = families.TOLERANCE if "config" in one else 0.11  # of controls without weights
        assert abs(count / one["size"] - 1) <= tolerance, one
        what = ("model", "activation", "start", "tanh", "domain", "base", "optimizer", "dtype")
        kind = frozenset(one) - NAMES, *(str(one.get(name)) for name in what)
        if {kind, (where, one["model"])} <= seen:
            continue
        seen |= {kind, (where, one["model"])}
        if not can_train(one):
            continue
        few = one | {"steps": 4 if growth else 2, "pixels": 64 if "rank" in one else 16}
        found = contest_run.run_contestant(
            few | {"samples": 20 if "formula" in few["task"] else 400}, 0
        )
        assert found["complete"] and not found["diverged"] and found["test_error"] < 100, one
        assert found["parameters"] == count, one
    assert len(seen) > 50


def test_few_intervals_and_many():
    """Those at equal parameters are within 1 %; the narrow one is as wide as 24."""
    contest = EXPERIMENTS["intervals"]
    table = evidence.Table("nowhere", "intervals", 1)
    jobs = [job for part in contest.parts() for job in contest.known(part, table, 1)]
    settings = {(s["task"], s["kind"], s["family"]): s for s in (job["settings"] for job in jobs)}
    assert len(settings) == 3 * 2 * 7
    for (task, kind, family), one in settings.items():
        assert one["samples"] == int(kind.split()[0].replace(",", ""))
        last = one.get("extend_grid", [[0, one["grid_size"]]])[-1][1]
        count = parameters(one | {"grid_size": last}, one["widths"])
        if family == "6, narrow":
            assert one["widths"] == settings[task, kind, "24"]["widths"] and count == 306
        else:
            assert abs(count / 916 - 1) < 0.01
    shared = [settings["formula:exp_sine 1", "1,000 samples", name] for name in ("6", "6, updated")]
    assert shared[0]["widths"] == shared[1]["widths"]
