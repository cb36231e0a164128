"""KAN against MLP by kind of work, from the stored contests: the figure of chapter 19."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import numpy as np
from pandas import DataFrame, concat

from ..statistics import judged
from .comparisons import SIZES, Source, compared, rows, where

OWN = "the field's own"
FORMULAS = {"axes": "formulas, along the axes", "rotated": "formulas, rotated"}
FORMULAS |= {"generic": "formulas, generic"}
CONTESTS = {  # classes of tasks, and what they are called
    "formulas": FORMULAS,
    "noise": {
        f"noise {percent}%, {n} samples": f"{n:,} samples, {percent} % noise"
        for n in (200, 2000)
        for percent in (0, 20)
    },
    "tables": {name: f"tables, {name}" for name in ("regression", "classes")}
    | {"series": "time series"},
    "pictures": {f"{n} parameters": f"pictures, {n:,} parameters" for n in (1000, 8000)},
}
NAMES = {kind: name for kinds in CONTESTS.values() for kind, name in kinds.items()}
SCALES = {"dense": "10,000 samples and 300 parameters"}
SCALES |= {"many": "10,000 samples and 1,000 parameters", "few": "1,000 samples and 300 parameters"}

# --- Rows as those of a contest


def fields(frame: DataFrame) -> DataFrame:
    """Rows of the field's own methods: for each task the one with the least validation error."""
    methods = frame[frame.baseline.notna()]
    task = [methods.kind, methods.task]
    means = np.log(methods.validation_error).groupby([*task, methods.family]).transform("mean")
    return methods[means == means.groupby(task).transform("min")].assign(family=OWN)


def beside_fields(experiment: str) -> DataFrame:
    """A contest at equal parameters with the field's own methods."""
    equal = where(rows(experiment), contest="parameters")
    return concat([equal, fields(equal)])


def solved(frame: DataFrame) -> DataFrame:
    """The three equations as a contest: KAN and MLP of equal size, and one spline.

    Of each, the kind (degree, activation, shape) that left the least of the equation.
    """
    frame = where(frame, boundary="built in")
    limit = 1.05 * frame.task.str.removeprefix("equation:").map(SIZES)
    near = (frame["size"] <= limit) & (frame["size"] >= 0.9 * limit)
    runs = frame[near].assign(kind="equations", test_error=frame.final**0.5)
    runs["family"] = runs.model.map({"kan": "KAN", "mlp": "MLP", "collocation": OWN})
    return fitting_best(runs, "degree", "activation", "grid_size")


def fitting_best(runs: DataFrame, *columns: str) -> DataFrame:
    """For each task and family the runs with the values in columns whose median loss is least."""
    groups = runs.groupby(["task", "family", *columns], dropna=False, sort=False)
    medians = groups.loss.transform("median")
    return runs[medians == medians.groupby([runs.task, runs.family]).transform("min")]


def phases(frame: DataFrame) -> DataFrame:
    """Learning in turn as a contest: errors on all phases at the end, for digits what is wrong."""
    runs = frame[(frame.way == "in turn") & frame.contestant.isin(["KAN, two layers", "MLP"])]
    wrong = runs.test_error.where(~runs.task.str.endswith("digits"), 1 - runs.accuracy)
    return runs.assign(kind="learning in turn", test_error=wrong)


def with_methods(networks: DataFrame, contest: DataFrame) -> DataFrame:
    """Networks beside the field's own methods of another contest, which had the same samples."""
    own = contest[contest.baseline.notna() & contest.task.isin(networks.task)]
    return concat([networks, own]).assign(contest="parameters", kind="formulas")


def equations() -> DataFrame:
    return solved(rows("equations"))


def learning_in_turn() -> DataFrame:
    return phases(rows("sequence"))


def _single(runs: DataFrame) -> DataFrame:
    return runs.assign(kind="single", test_error=runs.final**0.5)


def curves() -> DataFrame:
    """The four curves of one input, 200 parameters: of each family the depth that fits better."""
    runs = where(rows("functions-1d"), size=200)
    return _single(fitting_best(runs[runs.family.isin(["KAN", "MLP"])], "depth"))


def like_a_kan() -> DataFrame:
    """The formula of chapter 14 by Levenberg-Marquardt."""
    runs = where(rows("second-order"), task="exp_sine", optimizer="lm")
    return _single(runs[runs.parameters < 350])


def turned() -> DataFrame:
    """A dozen turned formulas: of each family, on the same samples, the best of ten starts."""
    runs = rows("turned")
    best = runs.groupby(["task", "family", "seed"]).validation_error.idxmin()
    return runs.loc[best].assign(kind="single")


def photograph() -> DataFrame:
    """The KAN of chapter 11 and one of its MLPs."""
    runs = rows("race")
    return _single(runs[runs.contestant.isin(["KAN", "MLP, tanh"])])


SINGLES = {  # outside of the contests, one MLP with rates of its own: rows, and the two families
    "curves of one input": (curves, "KAN", "MLP"),
    "eight tasks, fixed sizes": ("knots", "moved, kept", "MLP, kept"),  # one optimizer throughout
    "a formula like a KAN, degree 3": (like_a_kan, "KAN", "MLP"),
    "twelve formulas turned, by LM, best of ten": (turned, "KAN", "MLP"),
    "a photograph, its own pixels": (photograph, "KAN", "MLP"),
}

# --- Kinds of work


@cache
def kinds() -> DataFrame:
    """KAN / rival for each kind of work that the book tested, from what is stored of it.

    One row for each ``kind`` and ``rival``: "MLP", with equal parameters, "MLP, equal seconds", and
    "the field's own" method, chosen on validation samples. ``tasks``, ``ratio``, ``low``, ``high``
    and ``p`` are those of :func:`~evidence.statistics.ratios` (of one task over its seeds), and all
    rows are :func:`~evidence.statistics.judged` together; ``each`` has the tasks' ratios,
    ``methods`` says which the field's own are.
    """
    return judged(DataFrame(_kinds()))


def against_mlp(kind: str) -> Any:
    """The row of a kind of work with the MLP of as many parameters as rival."""
    return where(kinds(), kind=kind, rival="MLP").iloc[0]


def _kinds() -> Iterator[dict[str, Any]]:
    for experiment, names in CONTESTS.items():
        both = partial(beside_fields, experiment)
        for kind, name in names.items():
            yield _kind(name, "MLP", experiment, kind=kind, contest="parameters")
            if (rows(experiment).contest == "seconds").any():
                yield _kind(name, "MLP, equal seconds", experiment, kind=kind, contest="seconds")
            yield _kind(name, OWN, both, b=OWN, kind=kind)
        if experiment == "formulas":
            yield from _other_formulas()
    yield _kind("equations", "MLP", equations)
    yield _kind("equations", OWN, equations, b=OWN)
    yield _kind("learning in turn", "MLP", learning_in_turn)
    for name, (source, a, b) in SINGLES.items():
        yield _kind(name, "MLP", source, a, b)


def _other_formulas() -> Iterator[dict[str, Any]]:
    for scale, said in SCALES.items():
        for kind in rows(f"formulas-{scale}").kind.unique():
            name = FORMULAS[kind].replace("formulas", said)
            yield _kind(name, "MLP", f"formulas-{scale}", kind=kind)
    yield _kind("twelve formulas, by L-BFGS", "MLP", "formulas-lbfgs")
    yield _kind("twelve formulas, by LM", "MLP", "formulas-lm")
    yield _kind("six formulas, the recipe", "MLP", "recipe-lm", "recipe")
    name = "six formulas, the recipe by Adam"
    yield _kind(name, "MLP, equal seconds", "recipe-adam", "recipe")


def _kind(
    name: str, rival: str, source: Source, a: str = "KAN", b: str = "MLP", kind="all", **columns
) -> dict[str, Any]:
    pairing = compared(source, a, b, **columns)
    row, each = pairing.over(kind), pairing.each(kind)
    line = {"kind": name, "rival": rival, "tasks": len(each)}
    line |= dict(row[["ratio", "low", "high", "p"]])
    own = where(rows(source), family=OWN, **columns)
    methods = _methods(own.merge(each[["kind", "task"]])) if b == OWN else ""
    return line | {"methods": methods, "each": each.ratio.tolist()}


def _methods(own: DataFrame) -> str:
    """Which methods the field's own are, by the number of tasks: "boosted trees 5, additive 1"."""
    if "baseline" not in own:
        return "one spline"
    names = own.drop_duplicates(["task", "baseline"]).baseline
    counts = names.replace("gaussian process", "Gaussian process").value_counts()
    if len(counts) == 1:
        return counts.index[0]
    return ", ".join(f"{name} {count}" for name, count in counts.items())
