"""Intervals that count the draw of settings as chance."""

import numpy as np
import pandas as pd
import pytest

from evidence import draws
from evidence.verdicts import comparisons


def made(rng, tasks=8, number=4, seeds=3, task=0.3, draw=0.4, both=0.1, seed=0.1, effect=0.0):
    """Rows of two families with planted standard deviations."""
    hard, rows = rng.normal(0, 1, tasks), []
    for family, mean in (("KAN", effect), ("MLP", 0.0)):
        own, drawn = rng.normal(0, task, tasks), rng.normal(0, draw, number)
        cells = rng.normal(0, both, (tasks, number))
        for t, d, s in np.ndindex(tasks, number, seeds):
            log = mean + hard[t] + own[t] + drawn[d] + cells[t, d] + rng.normal(0, seed)
            row = {"task": f"t{t}", "redraw": d, "seed": s, "test_error": np.exp(log)}
            rows.append(row | {"family": family, "diverged": False})
    return pd.DataFrame(rows)


def judged(frame):
    return draws.ratio(*(draws.errors(frame, family) for family in ("KAN", "MLP")))


def test_the_interval_holds_the_true_ratio_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = [
        (r := judged(made(rng, seeds=1, effect=0.7))).low < np.exp(0.7) < r.high for _ in range(200)
    ]
    assert 0.92 <= np.mean(held) <= 1.0


def test_without_luck_of_the_draw_it_is_the_t_interval_over_tasks():
    from scipy import stats

    frame = made(np.random.default_rng(1), draw=0, both=0, seed=0)
    a, b = (draws.errors(frame, family) for family in ("KAN", "MLP"))
    test = stats.ttest_1samp(a[0] - b[0], 0)
    low, high = np.exp(test.confidence_interval(0.95))
    found = draws.ratio(a, b)
    assert [found.low, found.high, found.p] == pytest.approx([low, high, test.pvalue])


def test_the_table_of_pairs_has_the_ratios_of_single_draws():
    frame = made(np.random.default_rng(2))
    table = draws.pairs(frame, "KAN", "MLP")
    a, b = (frame[(frame.family == f) & (frame.redraw == d)] for f, d in (("KAN", 1), ("MLP", 3)))
    logs = np.log(a.test_error).mean() - np.log(b.test_error).mean()
    assert table.loc[1, 3] == pytest.approx(np.exp(logs))


def test_classes_are_judged_together():
    frames = [made(np.random.default_rng(5 + k), effect=k).assign(kind=f"k{k}") for k in (0, 2)]
    frame = pd.concat(frames).assign(contest="parameters")
    table = draws.ratios(frame, "KAN", "MLP").set_index("kind")
    alone = judged(frames[1])
    assert table.loc["k2", ["ratio", "low", "high", "p"]].tolist() == pytest.approx(list(alone))
    assert table.p_holm["k2"] == pytest.approx(2 * alone.p)
    assert table.verdict.tolist() == ["undecided", "clearly worse"]
    assert table.draws["k0"] == (4, 4)


def test_a_draw_without_some_task_is_left_out():
    frame = made(np.random.default_rng(3))
    frame = frame[(frame.redraw != 0) | (frame.task != "t0")]
    assert list(draws.errors(frame, "KAN")) == [1, 2, 3]


def test_shares_of_variance_are_those_of_an_analysis_of_variance():
    frame = made(np.random.default_rng(4), both=0.3, seed=0.2)
    logs = np.log(frame["test_error"].to_numpy()).reshape(2, 8, 4, 3)  # family, task, draw, seed
    seeds = logs.var(axis=3, ddof=1).mean()
    cells = logs.mean(axis=3)
    tasks, drawn = cells.mean(axis=2, keepdims=True), cells.mean(axis=1, keepdims=True)
    rest = cells - tasks - drawn + cells.mean(axis=(1, 2), keepdims=True)
    both = (rest**2).sum() / (2 * 7 * 3)  # the mean square that the two others are judged by
    own = np.diff(tasks[:, :, 0], axis=0).var(ddof=1) / 2 - both / 4
    draw = drawn[:, 0].var(axis=1, ddof=1).mean() - both / 8
    parts = np.array([own, draw, both - seeds / 3, seeds])
    found = draws.shares(frame, "KAN", "MLP")[["tasks", "draws", "tasks x draws", "seeds"]]
    assert (parts > 0).all()
    assert found.to_numpy() == pytest.approx(parts / parts.sum(), abs=0.01)


def test_at_equal_seconds_the_first_draw_has_its_kans_too():
    """They ran once, at equal parameters, in another file than its MLPs at equal seconds."""
    frame = comparisons.drawn_again("formulas-many")
    frame = frame[frame["redraw"] == 0]
    counts = frame.groupby(["contest", "kind", "family"]).size()
    assert counts.size == 8 and (counts == 40).all()
