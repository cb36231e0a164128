"""Comparisons of families in stored rows, each made once; and how rows of single experiments read.

:mod:`.claims`, :mod:`.kinds` and the judges name a comparison by its rows and two families, and
:func:`compared` has its ratios, intervals and p. Frames that they share are nobody's to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from pandas import DataFrame, Series, concat

from .. import reading, statistics
from ..runs import slices
from .judging import Versus, number, quoted

SIZES = {"poisson-1d": 100, "poisson-2d": 300, "burgers": 500}  # of the contests of equations

Source = str | Callable[[], DataFrame]  # an experiment, or what makes rows of a contest of some


@cache
def rows(source: Source) -> DataFrame:
    """All results of an experiment, those of the KAN at equal seconds too, or made rows."""
    if not isinstance(source, str):
        return source()
    frame = reading.load(source)
    return statistics.with_own(frame) if "contest" in frame else frame


@cache
def drawn_again(experiment: str) -> DataFrame:
    """A contest with those of its KANs and MLPs that chance drew again; see :mod:`..draws`."""
    first, others = DRAWN_AGAIN[experiment]
    frames = [reading.load(name).assign(redraw=0) for name in first]
    frame = concat([*frames, *map(reading.load, others)], ignore_index=True)
    return statistics.with_own(frame[frame["family"].isin(["KAN", "MLP"])])


DRAWN_AGAIN = {
    "formulas-many": (("formulas-many", "formulas-many-seconds"), ("formulas-redraws",)),
    "formulas": (("formulas",), ("formulas-redraws-few",)),
}


def where(frame: DataFrame, **values: Any) -> DataFrame:
    """The rows whose columns have these values."""
    for name, value in values.items():
        frame = frame[frame[name] == value]
    return frame


class Pairing:
    """Two families in rows of a contest, where no run of them is there twice.

    ``kinds`` is as of :func:`evidence.statistics.ratios`, by kind; ``tasks`` as of
    :func:`evidence.statistics.per_task`.
    """

    def __init__(self, frame: DataFrame, a: str, b: str):
        frame = frame.assign(contest="")
        self.kinds = statistics.ratios(frame, a, b).set_index("kind")
        self.tasks = statistics.per_task(frame, a, b)

    def each(self, kind: str = "all") -> DataFrame:
        """The tasks of a class."""
        return self.tasks if kind == "all" else where(self.tasks, kind=kind)

    def over(self, kind: str = "all") -> Series:
        """Ratio, interval and p over the tasks of a class; over the seeds of the only one."""
        row = self.kinds.iloc[-1] if kind == "all" else self.kinds.loc[kind]
        return row if row["tasks"] > 1 else self.each(kind).iloc[0]

    def on(self, task: str) -> Series:
        """Ratio, interval and p over the seeds of a task."""
        return where(self.tasks, task=task).iloc[0]


@cache
def compared(source: Source, a: str, b: str, **columns: Any) -> Pairing:
    """Two families in the rows that have these values in columns."""
    return Pairing(where(rows(source), **columns), a, b)


def by_kind(experiment: str, rival: str = "MLP") -> dict[str, Series]:
    """KAN / rival at equal parameters, for each class of tasks."""
    pairing = compared(experiment, "KAN", rival, contest="parameters")
    return {kind: pairing.over(kind) for kind in pairing.kinds.index.drop("all")}


@cache
def main_effects(experiment: str) -> DataFrame:
    """What each extra of a factorial is worth, over all companies."""
    return where(statistics.effects(rows(experiment)), where="main")


def versus(
    frame: DataFrame, a: str, b: str, kind: str = "all", *, names: tuple[str, str] | None = None
) -> Versus:
    """Two families over a class of tasks; ``names`` says what to call them."""
    return Versus(*(names or (quoted(a), quoted(b))), Pairing(frame, a, b).over(kind))


def versus_runs(a: str, first: Iterable[float], b: str, second: Iterable[float]) -> Versus:
    """Two kinds of runs by the medians of their errors, with an interval over all pairs."""
    return Versus(a, b, reading.compare(first, second))


def log_ratios(frame: DataFrame, a: str, b: str) -> Series:
    """Of each task the mean logarithm of a / b."""
    return np.log(Pairing(frame, a, b).tasks.groupby("task")["ratio"].first())


def versus_logs(a: str, first: Series, b: str, second: Series) -> Versus:
    """Two ratios, or errors, by their logarithms in the same tasks or seeds."""
    return Versus(a, b, statistics.interval((first - second).dropna()))


def interaction(logs: DataFrame, a: str, b: str) -> DataFrame:
    """How far both extras miss the product of the two, for each set of others and each seed."""
    companies = [extras for extras in logs.index if not extras & {a, b}]

    def added(*extras: str) -> DataFrame:
        return logs.loc[[company.union(extras) for company in companies]].set_axis(companies)

    return added(a, b) - added(a) - added(b) + added()


# --- A cold case


@cache
def _spread() -> float:
    portrait = {"task": "slices-32", "slices": 1, "frequencies": 4}
    return slices.make(portrait, 0)[1][1].double().std().item()


def medians_kept(frame: DataFrame, *by: str) -> Series:
    """The median share of the spread that is kept between the pixels."""
    kept = frame.assign(kept=frame["final"] ** 0.5 / _spread())
    return kept.groupby(list(by))["kept"].median()


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
    every = [solutions(frame, task, *kind) for kind in kinds]
    return min(every, key=lambda runs: runs["error"].median())


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
        for (step, later), (a, b) in zip(pairwise(steps), pairwise(shares), strict=True):
            if b < 0.5:
                return step * (later / step) ** (max(a - 0.5, 0) / (a - b))
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
