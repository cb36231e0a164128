"""Rows of single experiments as hypotheses and claims read them: which ones, and what of them."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import statistics
from ..runs import slices
from .judging import number

if TYPE_CHECKING:
    from pandas import DataFrame, Series

SIZES = {"poisson-1d": 100, "poisson-2d": 300, "burgers": 500}  # of the contests of equations


def where(frame: DataFrame, **values: Any) -> DataFrame:
    """The rows whose columns have these values."""
    for name, value in values.items():
        frame = frame[frame[name] == value]
    return frame


def log_ratios(frame: DataFrame, a: str, b: str) -> Series:
    """Of each task the mean logarithm of a / b."""
    return np.log(statistics.per_task(frame, a, b).groupby("task")["ratio"].first())


def interaction(logs: DataFrame, a: str, b: str) -> DataFrame:
    """How far both extras miss the product of the two, for each set of others and each seed."""
    others = [one for one in logs.index if not one & {a, b}]

    def added(*extras: str) -> DataFrame:
        return logs.loc[[one.union(extras) for one in others]].set_axis(others)

    return added(a, b) - added(a) - added(b) + added()


# --- A cold case


@cache
def _spread() -> float:
    portrait = {"task": "slices-32", "slices": 1, "frequencies": 4}
    return slices.make(portrait, 0)[1][1].double().std().item()


def medians_kept(frame: DataFrame, *by: str) -> Series:
    """The median share of the spread that is kept between the pixels."""
    return (frame.assign(kept=frame["final"] ** 0.5 / _spread()).groupby(list(by))["kept"]).median()


def final_errors(frame: DataFrame, steps: int) -> Series:
    """Lists of errors after the training, by the contestant."""
    ends = where(frame[frame["models"].isna()], steps=steps)
    return (ends["final"] ** 0.5).groupby(ends["contestant"]).apply(np.array)


def loss_near(curve: dict[str, list[float]], step: float) -> float:
    """The loss near a step, the geometric mean of five stored ones: batches make it shake."""
    at = int(np.searchsorted(curve["step"], step))
    return float(np.exp(np.mean(np.log(curve["loss"][at - 3 : at + 2]))))


# --- Differential equations


def solutions(
    frame: DataFrame, task: str, model: str, which: Any, size: int = 0, boundary: str = "built in"
) -> DataFrame:
    """Runs of a model of that degree, or activation, and about that size; no oblong splines.

    They get an ``error``, and ``adam``, that after Adam alone.
    """
    kind = {"activation" if model == "mlp" else "degree": which}
    frame = where(frame, task=f"equation:{task}", boundary=boundary, model=model, **kind)
    near = (frame["size"] / (size or SIZES[task]) - 1).abs() < 0.05
    frame = frame[near & ~oblong(frame)]
    adam = [probes[0]["error"] if probes else np.nan for probes in frame["probes"]]
    return frame.assign(error=frame["final"] ** 0.5, adam=adam)


def best(frame: DataFrame, task: str, *kinds: tuple[str, Any]) -> DataFrame:
    """The runs of the kind with the least median error."""
    found = [solutions(frame, task, *kind) for kind in kinds]
    return min(found, key=lambda runs: runs["error"].median())


def oblong(frame: DataFrame) -> Series:
    """Which splines have not as many functions along the time as along x."""
    return frame["grid_size"].map(lambda sizes: isinstance(sizes, tuple)).astype(bool)


# --- Forgetting, waves, digits


class Phases:
    """Medians after the last phase, by task, contestant and way."""

    def __init__(self, frame: DataFrame):
        frame = frame.assign(task=frame["task"].str.removeprefix("sequence:"))
        groups = frame.groupby(["task", "contestant", "way"])
        self.errors, self.accuracy = groups["test_error"].median(), groups["accuracy"].median()

    def ends(self, task: str, who: str) -> tuple[float, float]:
        """The errors in turn and at once."""
        return self.errors[task, who, "in turn"], self.errors[task, who, "at once"]

    def forgets(self, task: str, who: str) -> bool:
        turn, once = self.ends(task, who)
        return turn > 0.1 and turn > 3 * once

    def said(self, task: str, who: str) -> str:
        turn, once = self.ends(task, who)
        return f"{who}, {task}: in turn **{number(turn)}**, at once {number(once)}"


class Waves:
    """Medians over the seeds: shares that are missing, by look and wave, and errors."""

    def __init__(self, frame: DataFrame, task: str = "waves:50"):
        self.frame = where(frame, task=task)
        self.missing, self.steps = {}, {}
        for name, runs in self.frame.groupby("contestant"):
            looks = [[look["missing"] for look in probes] for probes in runs["probes"]]
            self.missing[name] = np.median(looks, axis=0)
            self.steps[name] = [look["step"] for look in runs["probes"].iloc[0]]

    def learned(self, name: str) -> int:
        """How many of the ten waves."""
        return int((self.missing[name][-1] < 0.5).sum())

    def half(self, name: str, wave: int) -> float:
        """The step at which half of a wave is learned, read between the looks."""
        shares, steps = self.missing[name][:, wave], self.steps[name]
        for (one, next_), (a, b) in zip(pairwise(steps), pairwise(shares), strict=True):
            if b < 0.5:
                return one * (next_ / one) ** (max(a - 0.5, 0) / (a - b))
        return np.inf

    def pace(self, name: str) -> float:
        """Steps for the highest wave, divided by those for the lowest."""
        return self.half(name, 9) / self.half(name, 0)

    def error(self, name: str) -> Series:
        return where(self.frame, contestant=name)["test_loss"] ** 0.5


def products(frame: DataFrame, dtype: str = "float64", **columns: Any) -> DataFrame:
    """Who learned to multiply: errors in spreads on the samples, on new points, on 99 % of them."""
    runs = where(frame, task="digits:product", dtype=dtype, **columns)
    return runs.assign(
        fitted=runs["loss"] ** 0.5 / runs["spread"],
        error=runs["test_loss"] ** 0.5 / runs["spread"],
        most=[quantiles[2] for quantiles in runs["quantiles"]],
    )
