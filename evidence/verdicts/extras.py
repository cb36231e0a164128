"""The judges of parts E, F and R ask what starts, extras and moved knots are worth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pandas import DataFrame, concat

from kanbook.certainty import TIE

from .. import statistics
from ..experiments import EXPERIMENTS
from . import comparisons
from .comparisons import versus, versus_logs, where
from .judging import LM, Versus, number, percent, task_name
from .registry import duel, judge

# E. Starts


@judge("E 1", "starts")
def starts_are_close_and_power_law_is_ahead_at_20(frame):
    logs = statistics.log_errors(frame)
    means = logs.groupby([frame["task"], frame["family"]]).mean().groupby("family").mean()
    for layers in (1, 3):
        at = means.filter(like=f"{layers} layers, G = 5").sort_values(ascending=False)
        worst, second = np.exp(at.iloc[:2] - at.iloc[-1])
        names = [name.partition(",")[0] for name in at.index]
        said = f"G = 5, hidden layers {layers}: {names[0]} / the best **{number(worst)}**, "
        yield {"close at 5": worst < 2}, f"{said}{names[1]} / the best {number(second)}"
    for layers in (1, 3):
        at = means.filter(like=f"{layers} layers, G = 20")
        power = f"power law, {layers} layers, G = 20"
        best = at.drop(power).idxmin()
        name = f"the best other ({best.partition(',')[0]})"
        ratio = versus(frame, power, best, names=("power law", name))
        yield {"ahead at 20": ratio.better}, f"G = 20, hidden layers {layers}: {ratio}"


# F. Extras


def main_effects(extra: str) -> Iterator[tuple[str, Versus]]:
    for row in where(comparisons.main_effects("extras-factorial"), extra=extra).itertuples():
        yield task_name(row.task), Versus("with", "without", row)


@judge("F 1", "extras-factorial")
def updates_help_on_all(_):
    for task, ratio in main_effects("update"):
        yield {task: ratio.less}, f"{task}: {ratio}"


@judge("F 2", "extras-factorial")
def spline_weights_help_on_none(_):
    for task, ratio in main_effects("spline weight"):
        useless = False if ratio.less else True if ratio.found.low > 1 / TIE else None
        yield {task: useless}, f"{task}: {ratio}"


@judge("F 3", "extras-factorial")
def updates_and_extension_do_not_add_up(frame):
    extras = frame["family"].map(statistics.extras_of)
    frame = frame.assign(log=statistics.log_errors(frame), extras=extras)
    for task, runs in frame.groupby("task", sort=False):
        logs = runs.pivot(index="extras", columns="seed", values="log")
        both = statistics.wider(comparisons.interaction(logs, "update", "extension"))
        ratio = Versus("effect of both", "product of the two", both)
        yield {task: ratio.more}, f"{task_name(task)}: {ratio}"


duel("F 4", "extras-pykan", "update, optimizer kept", "better", "still")
duel("F 4", "extras-pykan", "update", "better", "update, optimizer kept")

duel("F 5", "knots", "still, fresh", "better", "still, kept", claim="fresh optimizers help")
duel("F 5", "knots", "moved, fresh", "better", "moved, kept", claim="fresh optimizers help")
duel("F 5", "knots", "moved, fresh", "better", "still, fresh", claim="moves help with them only")
duel("F 5", "knots", "moved, kept", "not_better", "still, kept", claim="moves help with them only")

duel("F 6", "knots", "half even, fresh", "tie", "moved, fresh")
duel("F 6", "knots", "even, fresh", "tie", "moved, fresh")


@judge("F 7", "knots")
def fresh_optimizers_help_the_mlp_less(frame):
    pairs = {"KAN": ("still, fresh", "still, kept"), "MLP": ("MLP, fresh", "MLP, kept")}
    both = {who: versus(frame, *two, names=("fresh", "kept")) for who, two in pairs.items()}
    said = [f"{who}: {ratio}" for who, ratio in both.items()]
    kan, mlp = (comparisons.log_ratios(frame, *two) for two in pairs.values())
    ratio = versus_logs("that of the KAN", kan, "that of the MLP", mlp)
    yield {"less": ratio.less}, "; ".join([*said, str(ratio)])


CLIMB, UPDATED = "5, 10, 20", "5, 10, 20, updated"
duel("F 8", "climbs-adam", CLIMB, "better", "20", said="Adam")
duel("F 8", "climbs-lbfgs", CLIMB, "better", "20", said="L-BFGS")
duel("F 8", "climbs-lbfgs", CLIMB, "better", "20, fresh", said="L-BFGS")


@judge("F 9", "climbs-adam", "climbs-lbfgs")
def width_beats_climbing_off_the_axes(adam, lbfgs):
    for name, frame in (("Adam", adam), ("L-BFGS", lbfgs)):
        ratio = versus(frame[frame["kind"] != "axes"], "5", CLIMB)
        yield {name: ratio.better}, f"{name}, rotated and generic: {ratio}"


duel("F 10", "climbs-adam", UPDATED, "better", CLIMB, said="Adam")
duel("F 10", "climbs-lbfgs", UPDATED, "better", CLIMB, said="L-BFGS")


@judge("F 10 control", "climbs-adam", "climbs-lbfgs")
def updated_climb_is_ahead_of_updated_20(adam, lbfgs):
    for name, frame in (("Adam", adam), ("L-BFGS", lbfgs)):
        updated = versus(frame, UPDATED, "20, updated", names=("updated climb", "“20, updated”"))
        plain = versus(frame, CLIMB, "20", names=("plain climb", "“20”"))
        claimed = {"ahead": updated.better, "by less": updated.value > plain.value}
        yield claimed, f"{name}: {updated}; {plain}"


ONCE = "all intervals at once"
duel("F 11", "recipe-adam", "recipe", "better", ONCE, said="Adam")
duel("F 11", "recipe-lm", "recipe", "better", ONCE, said=LM)

halves = "climbed only", "moved only"
for half in halves:
    duel("F 11 controls", "recipe-lm", half, "better", ONCE, claim="halves beat all at once")
for half in halves:
    duel("F 11 controls", "recipe-lm", "recipe", "better", half, claim="the recipe beats halves")

axes = {"kind": "axes", "claim": "ahead along the axes"}
duel("F 12", "recipe-adam", "recipe", "better", "MLP", said="Adam, axes", **axes)
duel("F 12", "recipe-lm", "recipe", "better", "MLP", said=f"{LM}, axes", **axes)
for kind in ("axes", "rotated", "generic"):
    nowhere = {"claim": "behind nowhere", "said": f"{LM}, {kind}"}
    duel("F 12", "recipe-lm", "recipe", "not_worse", "MLP", kind, **nowhere)


@judge("F 13", "recipe-adam", "recipe-lm")
def both_do_better_with_levenberg_marquardt(adam, lm):
    for family in ("recipe", "MLP"):
        ways = {LM: where(lm, family=family), "Adam": where(adam, family=family)}
        both = concat([runs.assign(family=name) for name, runs in ways.items()])
        ratio = versus(both, LM, "Adam", names=(LM, "Adam"))
        yield {family: ratio.better}, f"{family}: {ratio}"


# R. Spline weights, taken apart

STAY, FRESH, MOVE = "still", "fresh", "moved"

duel("R 1", "weights", f"{MOVE}, weights", "better", f"{MOVE}, without")
for schedule in (STAY, FRESH):
    duel("R 2", "weights", f"{schedule}, weights", "not_better", f"{schedule}, without")
for schedule in (STAY, MOVE):
    duel("R 5", "weights", f"{schedule}, median", "not_better", f"{schedule}, without")


def best_rates(frame: DataFrame) -> DataFrame:
    """The chosen rates: a row for each pair of task and schedule, without weights and with them."""
    names = frame["family"].str.split(", ", expand=True)
    chosen = frame["lr"].groupby([frame["task"], names[0], names[1]]).first().unstack()
    return chosen[["without", "weights"]]


@judge("R 3", "weights")
def best_rates_are_inside(frame):
    rates = EXPERIMENTS["weights"].rates
    at_end = best_rates(frame).isin([min(rates), max(rates)]).sum()
    for side, count in at_end.items():
        yield {side: bool(count <= 3)}, f"{side}: **{count}** of 30 at an end"


@judge("R 4", "weights")
def weights_want_larger_rates(frame):
    rates = best_rates(frame)
    larger = (rates["weights"] > rates["without"]).sum()
    smaller = (rates["weights"] < rates["without"]).sum()
    said = f"larger on **{larger}**, smaller on {smaller} of {len(rates)}"
    yield {"larger": bool(larger > smaller)}, said


def share_of_gain(frame: DataFrame, control: str) -> float:
    """Of the gain by weights beside knots that move; NaN if there is none."""
    part, gain = (
        comparisons.log_ratios(frame, f"{MOVE}, {name}", f"{MOVE}, without").mean()
        for name in (control, "weights")
    )
    return part / gain if gain < 0 else np.nan


@judge("R 6", "weights")
def rates_have_half_of_the_gain(frame):
    share = share_of_gain(frame, "rates")
    yield {"half": None if np.isnan(share) else bool(share >= 0.5)}, f"**{percent(share)}** of it"


@judge("R 7", "weights")
def the_stretch_has_less(frame):
    stretch, rates = (share_of_gain(frame, part) for part in ("stretch", "rates"))
    less = None if np.isnan(rates) else bool(stretch < rates)
    yield {"less": less}, f"stretch **{percent(stretch)}**, rates {percent(rates)}"
