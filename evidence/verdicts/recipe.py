"""The judges of parts S, T and U ask which intervals and layers help, and what the recipe earns."""

from __future__ import annotations

import numpy as np
from pandas import DataFrame, Series

from .. import contests, statistics
from ..runs import recipe
from . import comparisons
from .comparisons import versus, versus_logs, where
from .judging import Versus, number, quoted
from .registry import duel, judge

# S. Few intervals and many

SLOW, *_, QUICK = (f"formula:exp_sine {times}" for times in contests.QUICK)
STAIRS = "3, 6, 12, 24, updated"


def at(frame: DataFrame, a: str, b: str, task: str, column: str = "test_error") -> Series:
    """Two families on one formula, over its seeds."""
    return where(statistics.per_task(frame, a, b, column=column), task=task).iloc[0]


@judge("S 1", "intervals")
def the_gap_is_the_larger_part(frame):
    few = where(frame, samples=1000)
    new = Versus("24", "6", at(few, "24", "6", SLOW))
    fitted = at(few, "24", "6", SLOW, "loss").ratio ** 0.5
    said = f"m = 1: {new}; on the samples **{number(fitted)}**"
    worse = None if new.verdict == "undecided" else new.verdict == "clearly worse"
    yield {"worse": worse, "the gap": bool(fitted < new.value / fitted)}, said


@judge("S 2", "intervals")
def many_samples_make_many_intervals_harmless(frame):
    for times in contests.QUICK:
        task = f"formula:exp_sine {times}"
        ratio = Versus("24", "6", at(where(frame, samples=10_000), "24", "6", task))
        yield {"not worse": ratio.not_worse}, f"m = {times}: {ratio}"


duel("S 3", "intervals", "6, narrow", "better", "24", task=SLOW, samples=1000)


@judge("S 4", "intervals")
def the_quicker_the_less_of_a_mistake(frame):
    few = where(frame, samples=1000)
    tasks = [f"formula:exp_sine {times}" for times in contests.QUICK]
    ratios = [at(few, "24", "6", task).ratio for task in tasks]
    said = f"24 / 6 at m = 1, 4, 8: {', '.join(f'**{number(ratio)}**' for ratio in ratios)}"
    yield {"falls": ratios == sorted(ratios, reverse=True)}, said
    yield {"better": Versus("24", "6", at(few, "24", "6", QUICK)).better}, said


for n in (1000, 10_000):
    say = {"said": f"{n:,} samples", "claim": "better"}
    duel("S 5", "intervals", STAIRS, "better", "6, updated", task=SLOW, samples=n, **say)

duel("S 6", "intervals", STAIRS, "better", "24", task=SLOW, said="m = 1", samples=10_000)
duel("S 6", "intervals", STAIRS, "not_better", "24", task=QUICK, said="m = 8", samples=10_000)


# T. Depth and Levenberg-Marquardt

BOTH = "strong and even"
duel("T 1", "depth", "one layer, kept", "better", "two layers, kept")
duel("T 2", "depth", f"two layers, {BOTH}", "better", "two layers, kept")


@judge("T 3", "depth")
def each_change_alone_has_less_than_half(frame):
    both = versus(frame, f"two layers, {BOTH}", "two layers, kept")
    for way in ("strong", "even"):
        ratio = versus(frame, f"two layers, {way}", "two layers, kept")
        share = np.log(ratio.value) / np.log(both.value)
        yield {way: bool(share < 0.5) if both.better else None}, f"{ratio}, of {both}"


@judge("T 4", "depth")
def the_price_of_depth_falls(frame):
    now, then = (
        comparisons.log_ratios(frame, f"two layers, {way}", f"one layer, {way}")
        for way in (BOTH, "kept")
    )
    ratio = versus_logs(f"(two layers / one, {BOTH})", now, "(kept)", then)
    yield {"falls": ratio.better}, ratio


duel("T 5", "depth", f"two layers, {BOTH}", "not_worse", "two layers, L-BFGS")


@judge("T 6", "depth")
def it_is_not_overfitting_alone(frame):
    fits = np.log(frame["loss"].astype(float)).groupby([frame["task"], frame["family"]]).mean()
    fits = fits.unstack()
    kept, both, lbfgs = (fits[f"two layers, {way}"] for way in ("kept", BOTH, "L-BFGS"))
    kept, both = int((kept > lbfgs).sum()), int((both < lbfgs).sum())
    said = f"kept above on **{kept}** of {len(fits)}, {BOTH} below on **{both}**"
    yield {"above as kept": kept >= 5, "below with both": both >= 5}, said


duel("T 7", "depth", f"one layer, {BOTH}", "not_worse", "one layer, kept")
duel("T 8", "depth", "two layers, shipped", "better", "two layers, kept")
for layers in ("two layers", "one layer"):
    duel("T 9", "depth", f"{layers}, shipped", "not_worse", f"{layers}, L-BFGS", said=layers)


@judge("T 10", "depth")
def the_reach_has_more_than_half(frame):
    both = versus(frame, "two layers, shipped", "two layers, kept")
    for way, most in (("reach alone", True), ("floor alone", False)):
        ratio = versus(frame, f"two layers, {way}", "two layers, kept")
        share = np.log(ratio.value) / np.log(both.value)
        yield {way: bool((share > 0.5) == most) if both.better else None}, f"{ratio}, of {both}"


duel("T 11", "depth", "two layers, shipped, reach 0.1", "better", "two layers, shipped")
duel("T 12", "depth", "one layer, shipped", "not_worse", "one layer, kept")


# U. The recipe

LOCKED, OPEN = "recipe-locked", "recipe-open"
TREES, SEARCHED = "boosted trees", "MLP, searched"
LINES = {int(name[8]): name for name in recipe.RECIPES if name != "recipe"}


def logs_of(frame: DataFrame, kind: str = "") -> DataFrame:
    """Mean logarithms of the errors: a row a task, "real" or "equation", a column a contestant."""
    frame = frame[frame["task"].str.startswith(kind)]
    logs = statistics.log_errors(frame).groupby([frame["task"], frame["contestant"]]).mean()
    return logs.unstack()


def recipe_against(frame: DataFrame, other: str, kind: str = "") -> Versus:
    logs = logs_of(frame, kind)
    return versus_logs("recipe", logs["recipe"], other, logs[other])


def in_time(frame: DataFrame) -> DataFrame:
    """The runs, where a search has only the draws that were done when the recipe was."""
    frame, limits = frame.copy(), {}
    for run in where(frame, contestant="recipe").itertuples():
        limits[run.task, run.seed] = run.seconds
    for i, run in where(frame, contestant=SEARCHED).iterrows():
        draws = run["note"]["draws"]
        done = [draw for draw in draws if draw[0] <= limits[run["task"], run["seed"]]] or draws[:1]
        frame.loc[i, "test_error"] = min(done, key=lambda draw: draw[1])[2]
    return frame


def earned(frame: DataFrame, kind: str) -> dict[int, Versus]:
    """What each line of the recipe earns: the error without it / that of the whole."""
    logs = logs_of(frame, kind)
    return {
        line: versus_logs(f"without {line}", logs[name], "recipe", logs["recipe"])
        for line, name in LINES.items()
    }


@judge("U 1", OPEN, LOCKED)
def not_fitted_to_its_tables(seen, locked):
    means = []
    for frame in (seen, locked):
        logs = logs_of(frame, "real")
        means.append((logs["recipe"] - logs[f"{TREES}, as they come"]).mean())
    said = " and ".join(number(np.exp(mean)) for mean in means)
    yield {"not worse": bool(means[1] <= means[0] + 0.05)}, f"recipe / trees **{said}**"


@judge("U 2", LOCKED)
def trees_cannot_be_told_from_it(frame):
    ratio = recipe_against(frame, TREES, "real")
    yield {"same": ratio.verdict in ("a tie", "undecided")}, ratio


@judge("U 3", LOCKED)
def not_worse_than_a_searched_mlp(frame):
    for said, runs in (("the whole search", frame), ("equal seconds", in_time(frame))):
        ratio = recipe_against(runs, SEARCHED)
        yield {said: ratio.not_worse}, f"{said}: {ratio}"


@judge("U 4", LOCKED)
def better_on_equations(frame):
    logs = logs_of(frame, "equation")
    for other, least in ((TREES, 6), (SEARCHED, 3)):
        won = (logs["recipe"] < logs[other]).sum()
        yield {other: bool(won >= least)}, f"less error than {quoted(other)} on **{won}** of 6"


@judge("U 5", LOCKED)
def holding_out_earns_most_on_tables(frame):
    gains = {line: ratio.value for line, ratio in earned(frame, "real").items()}
    order = sorted(gains, key=gains.__getitem__, reverse=True)
    said = ", ".join(f"{line}: {number(gains[line])}" for line in order)
    yield {"first": order[0] == 1, "second": order[1] == 2}, said


@judge("U 6", LOCKED)
def the_optimizer_earns_most_on_equations(frame):
    gains = {line: ratio.value for line, ratio in earned(frame, "equation").items()}
    said = ", ".join(f"{line}: {number(gain)}" for line, gain in gains.items())
    yield {"fourth": max(gains, key=gains.__getitem__) == 4}, said


@judge("U 7", LOCKED)
def moves_and_doublings_do_nothing_on_tables(frame):
    for line in (3, 5):
        ratio = earned(frame, "real")[line]
        yield {str(line): ratio.verdict in ("a tie", "undecided")}, ratio
