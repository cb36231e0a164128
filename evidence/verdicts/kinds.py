"""KAN against MLP by kind of task, from the stored contests: the figure of chapter 19."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .. import reading, statistics
from .comparisons import SIZES, where

if TYPE_CHECKING:
    from pandas import DataFrame, Series

NAMES = {"axes": "formulas, along the axes", "rotated": "formulas, rotated"}
NAMES |= {"generic": "formulas, generic"}
SCALES = {"dense": "10,000 samples and 300 parameters"}
SCALES |= {"many": "10,000 samples and 1,000 parameters", "few": "1,000 samples and 300 parameters"}
NAMES |= {f"{of} {k}": n.replace("formulas", SCALES[of]) for of in SCALES for k, n in NAMES.items()}
NAMES |= {"regression": "tables, regression"}
NAMES |= {"classes": "tables, classes", "series": "time series"}
NAMES |= {
    f"noise {s}%, {n} samples": f"{n:,} samples, {s} % noise" for s in (0, 20) for n in (200, 2000)
}
NAMES |= {f"{n} parameters": f"pictures, {n:,} parameters" for n in (1000, 8000)}
OWN = "the field's own"


def fields(frame: DataFrame) -> DataFrame:
    """Rows of the field's own methods: for each task the one with the least validation error."""
    rows = frame[frame.baseline.notna()]
    task = [rows.kind, rows.task]
    means = np.log(rows.validation_error).groupby([*task, rows.family]).transform("mean")
    return rows[means == means.groupby(task).transform("min")].assign(family=OWN)


def solved(frame: DataFrame) -> DataFrame:
    """The three equations as a contest: KAN and MLP of equal size, and one spline.

    Of each, the kind (degree, activation, shape) that left the least of the equation.
    """
    frame = where(frame, boundary="built in")
    limit = 1.05 * frame.task.str.removeprefix("equation:").map(SIZES)
    near = (frame["size"] <= limit) & (frame["size"] >= 0.9 * limit)
    rows = frame[near].assign(kind="equations", test_error=frame.final**0.5)
    rows["family"] = rows.model.map({"kan": "KAN", "mlp": "MLP", "collocation": OWN})
    kind = [rows[name].map(str) for name in ("degree", "activation", "grid_size")]
    rows["which"] = kind[0].str.cat(kind[1:])
    middle = rows.groupby(["task", "family", "which"]).loss.transform("median")
    return rows[middle == middle.groupby([rows.task, rows.family]).transform("min")]


def phases(frame: DataFrame) -> DataFrame:
    """Learning in turn as a contest: errors on all phases at the end, for digits what is wrong."""
    rows = frame[(frame.way == "in turn") & frame.contestant.isin(["KAN, two layers", "MLP"])]
    wrong = rows.test_error.where(~rows.task.str.endswith("digits"), 1 - rows.accuracy)
    return rows.assign(kind="learning in turn", test_error=wrong)


def with_methods(networks: DataFrame, contest: DataFrame) -> DataFrame:
    """Networks beside the field's own methods of another contest, which had the same samples."""
    import pandas

    own = contest[contest.baseline.notna() & contest.task.isin(networks.task)]
    return pandas.concat([networks, own]).assign(contest="parameters", kind="formulas")


def curves(frame: DataFrame) -> DataFrame:
    """The four curves of one input, 200 parameters: of each family the depth that fits better."""
    rows = frame[(frame["size"] == 200) & frame.family.isin(["KAN", "MLP"])]
    middle = rows.groupby(["task", "family", "depth"]).loss.transform("median")
    return rows[middle == middle.groupby([rows.task, rows.family]).transform("min")]


def singles(load: Callable[[str], DataFrame]) -> dict[str, DataFrame]:
    """Comparisons outside of the contests, by name: one MLP as rival, with rates of its own.

    The curves of chapter 4, the eight tasks of chapter 7 (one optimizer throughout), the formula of
    chapter 14 by Levenberg-Marquardt, straight and turned, and the photograph of chapter 11.
    """
    moved = load("knots").replace({"family": {"moved, kept": "KAN", "MLP, kept": "MLP"}})
    squares = load("second-order").query("task == 'exp_sine' and optimizer == 'lm'")
    found = {"curves of one input": curves(load("functions-1d"))}
    found["eight tasks, fixed sizes"] = moved
    turned = load("digits").query("task == 'digits:turned exp_sine'")
    found["a formula like a KAN, degree 3"] = squares.query("parameters < 350")
    found["the same turned, degree 5"] = turned
    photo = load("race").query("contestant in ['KAN', 'MLP, tanh']")
    found["a photograph, its own pixels"] = photo.assign(task="photograph")
    return {
        name: rows.assign(kind=name, test_error=rows.get("test_error", rows.final**0.5))
        for name, rows in found.items()
    }


def over(frame: DataFrame, a: str = "KAN", b: str = "MLP") -> Series:
    """The ratio of two families over all tasks; of a single task, with the interval over seeds."""
    row, each = statistics.ratios(frame, a, b).iloc[-1], statistics.per_task(frame, a, b)
    if len(each) == 1:
        row = row.fillna(each.iloc[0])
        row["p_holm"] = row["p"]
        row["verdict"] = statistics.side(row)
    return row


def _methods(rows: DataFrame) -> str:
    """Which methods the field's own are, by the number of tasks: "boosted trees 5, additive 1"."""
    if "baseline" not in rows:
        return "one spline"
    names = rows.drop_duplicates(["task", "baseline"]).baseline.value_counts()
    names.index = [{"gaussian process": "Gaussian process"}.get(name, name) for name in names.index]
    return names.index[0] if len(names) == 1 else ", ".join(f"{k} {n}" for k, n in names.items())


def kinds() -> DataFrame:
    """KAN / rival for each kind of task that the book tested, from what is stored of it.

    Returns:
        One row for each ``kind`` and ``rival``: "MLP", with equal parameters, "MLP, equal seconds",
        and "the field's own" method, chosen on validation samples. ``tasks``, ``ratio``, ``low``
        and ``high`` as of :func:`~evidence.statistics.ratios` (of one task over its seeds),
        ``each`` the tasks' ratios; ``methods``, which the field's own are.
    """
    import pandas

    load, found = reading.load, []

    def add(kind: str, rival: str, frame: DataFrame, a: str = "KAN", b: str = "MLP") -> None:
        if {a, b} <= set(frame.family):
            row = {"kind": NAMES.get(kind, kind), "rival": rival} | dict(over(frame, a, b)[1:])
            each = statistics.per_task(frame, a, b)
            own = frame[(frame.family == OWN) & frame.task.isin(each.task)]
            row["methods"] = _methods(own) if b == OWN else ""
            found.append(row | {"each": each.ratio.tolist()})

    for name in ("formulas", "noise", "tables", "pictures"):
        for kind, part in statistics.with_own(load(name)).groupby("kind", sort=False):
            equal = part[part.contest == "parameters"]
            if kind in NAMES:
                add(kind, "MLP", equal)
                add(kind, "MLP, equal seconds", part[part.contest == "seconds"])
                add(kind, OWN, pandas.concat([equal, fields(equal)]), b=OWN)
        if name == "formulas":
            for of in SCALES:
                for kind, part in load(f"formulas-{of}").groupby("kind", sort=False):
                    add(f"{of} {kind}", "MLP", part)
            add("twelve formulas, by L-BFGS", "MLP", load("formulas-lbfgs"))
            add("twelve formulas, by LM", "MLP", load("formulas-lm"))
            add("six formulas, the recipe", "MLP", load("recipe-lm"), a="recipe")
            adam = statistics.with_own(load("recipe-adam"), "recipe").query("contest == 'seconds'")
            add("six formulas, the recipe by Adam", "MLP, equal seconds", adam, a="recipe")
    for frame in (solved(load("equations")), phases(load("sequence"))):
        add(frame.kind.iloc[0], "MLP", frame)
        add(frame.kind.iloc[0], OWN, frame, b=OWN)
    for kind, frame in singles(load).items():
        add(kind, "MLP", frame)
    return pandas.DataFrame(found)
