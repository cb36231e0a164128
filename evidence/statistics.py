"""Contests: how two families compare over many tasks, read from the stored rows.

Rows are those of ``evidence.load(name)`` where an experiment is a contest. A seed fixes split,
noise and start for all families, so runs are compared in pairs of one task and one seed. The unit
is the task: seeds of one task say little about the next. The test error of a run that diverged
counts as 1, that of predicting the mean.
"""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
from pandas import DataFrame, Series, concat
from scipy import stats

from kanbook.certainty import LEVEL, holm, verdict

DIVERGED = 1.0  # the error of a run that diverged: that of predicting the mean


def ratios(frame: DataFrame, a: str, b: str) -> DataFrame:
    """Compare two families on classes of tasks: mean ratio of their errors, and what it proves.

    Args:
        frame: rows of one contest, at most one result for each family, class, task and seed.
        a, b: families.

    Returns:
        One row for each class, and if there are several, last one for ``"all"``, whose unit is the
        task too:

        - ``tasks``, and ``diverged``: how many of their runs did, of both families;
        - ``ratio``: a / b, the geometric mean over seeds and tasks; below 1, a is better;
        - ``low``, ``high``: its 95 % interval, by Student's t on the logarithms of the tasks. NaN
          where there is one task;
        - ``p``: of the t test that the mean logarithm is 0;
        - ``p_holm`` and ``verdict``: see :func:`judged`.

    Raises:
        ValueError: the frame lacks a column, holds several contests, or several runs of one family,
            class, task and seed; or no task has runs of both families.
    """
    pairs = _pairs(frame, a, b)
    tasks = pairs.groupby(["kind", "task"], sort=False)["log"].mean()
    classes = dict(iter(tasks.groupby("kind", sort=False)))
    diverged = pairs.groupby("kind", sort=False)["diverged"].sum().to_dict()
    if len(classes) > 1:
        classes["all"] = tasks.groupby("task").mean()
        diverged["all"] = pairs["diverged"].sum()
    return judged(
        DataFrame(
            {"kind": kind, "tasks": len(logs), "diverged": diverged[kind]}
            | interval(logs)._asdict()
            for kind, logs in classes.items()
        )
    )


def judged(table: DataFrame) -> DataFrame:
    """Say what comparisons show that stand together, in one table or one figure.

    Args:
        table: rows of :func:`ratios`, :func:`per_task` or :func:`effects`, also of several.

    Returns:
        The table with ``p_holm``, p corrected for all of its rows, and ``verdict``, by
        :func:`kanbook.certainty.verdict`. A single task or run has no p, and is undecided.
    """
    corrected = holm(table["p"])
    found = zip(table["ratio"], table["low"], table["high"], corrected, strict=True)
    return table.assign(p_holm=corrected, verdict=[verdict(*row) for row in found])


def against_rivals(frame: DataFrame, family: str = "KAN") -> DataFrame:
    """Compare a family with each of its rivals in each contest, all in one table.

    Returns:
        As :func:`ratios`, one row for each ``contest``, ``rival`` and class, judged together.

    Raises:
        ValueError: as :func:`ratios`, or no family has a task and seed in common with this one.
    """
    check_columns(frame, "contest", "family")
    tables = [
        ratios(part, family, rival).assign(contest=contest, rival=rival)
        for contest, part in frame.groupby("contest", sort=False)
        for rival in rivals(part, family)
    ]
    if not tables:
        raise ValueError(f"family={family!r} has no task and seed in common with another")
    return judged(concat(tables, ignore_index=True))


def per_task(frame: DataFrame, a: str, b: str, *, column: str = "test_error") -> DataFrame:
    """Compare two families task by task, each by the pairs of its own seeds.

    Returns:
        As :func:`ratios`, one row for each class and task, over its ``seeds``; p is not corrected.

    Raises:
        ValueError: as :func:`ratios`.
    """
    groups = _pairs(frame, a, b, column).groupby(["kind", "task"], sort=False)
    return DataFrame(
        {"kind": kind, "task": task, "seeds": len(runs), "diverged": runs["diverged"].sum()}
        | interval(runs["log"])._asdict()
        for (kind, task), runs in groups
    )


def effects(frame: DataFrame, *, column: str = "test_error") -> DataFrame:
    """What each extra of a factorial is worth: the error with it, divided by that without.

    Args:
        frame: rows of one factorial. Its families are subsets of the extras, ``"minimal"`` or their
            names, joined by ``" + "``.
        column: the error to compare, positive.

    Returns:
        One row for each ``extra``, ``task`` and ``where``: *main* over all companies, which are the
        subsets of the other extras; *alone* if added to the minimal KAN; in *company* if added to
        all others. What has no pair is left out. Other columns:

        - ``ratio``, the geometric mean over companies and seeds; below 1, it helps;
        - ``low``, ``high``: its 95 % interval, by Student's t on the logarithms, and ``p``, not
          corrected. Of a main effect the wider interval of two: over the companies, each a mean
          over its seeds, and over the seeds;
        - ``seconds``, the mean ratio of the times of training.

    Raises:
        ValueError: the frame lacks a column, holds several runs of one family, task and seed, or
            none that differ in one extra.
    """
    check_columns(frame, "task", "seed", "family", "diverged", "seconds", column)
    rows = _results(frame)
    rows = rows.assign(
        extras=rows["family"].map(extras_of),
        log=log_errors(rows, column),
        time=np.log(rows["seconds"].astype(float)),
    )
    names = rows["family"][rows["family"] != "minimal"].str.split(" + ", regex=False)
    extras = list(dict.fromkeys(names.explode()))
    measured = []
    for task, runs in rows.groupby("task", sort=False):
        logs = runs.pivot(index="extras", columns="seed", values=["log", "time"])
        for extra in extras:
            companies = [c for c in logs.index if extra not in c and c | {extra} in logs.index]
            gains = logs.loc[[c | {extra} for c in companies]].to_numpy() - logs.loc[companies]
            places = {"main": companies if len(companies) > 1 else []}
            places["alone"] = [c for c in companies if not c]
            places["company"] = [c for c in companies if c == set(extras) - {extra}]
            measured += [
                {"extra": extra, "task": task, "where": where}
                | wider(gains.loc[those, "log"])._asdict()
                | {"seconds": np.exp(gains.loc[those, "time"].to_numpy().mean())}
                for where, those in places.items()
                if those
            ]
    if not measured:
        raise ValueError("frame has no result with an extra and without it")
    return DataFrame(measured)


def extras_of(family: str) -> frozenset[str]:
    """The extras of a family of a factorial: none of "minimal", two of "bias + update"."""
    return frozenset(() if family == "minimal" else family.split(" + "))


class Ratio(NamedTuple):
    """A mean ratio a / b with its 95 % interval, and p of the t test that its logarithm is 0."""

    ratio: float
    low: float
    high: float
    p: float


def interval(logs) -> Ratio:
    """The mean of logarithms, ``(n,)``, as a ratio, by Student's t; of a single one without p."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NaN of a single one; of equal ones no width, and p = 0
        test = stats.ttest_1samp(np.asarray(logs, dtype=float), 0)
        low, high = test.confidence_interval(1 - LEVEL)
    return Ratio(np.exp(np.mean(logs)), np.exp(low), np.exp(high), test.pvalue)


def wider(logs: DataFrame) -> Ratio:
    """Of the intervals over the rows and over the columns, each a mean of the other, the wider."""
    means = [logs.mean(axis=axis).dropna() for axis in (0, 1)]
    intervals = [interval(those) for those in means if len(those) > 1]
    return max(intervals, key=lambda ratio: ratio.high / ratio.low)


def log_errors(rows: DataFrame, column: str = "test_error") -> Series:
    """Logarithms of the errors, that of a run that diverged as if it had predicted the mean."""
    return np.log(rows[column].astype(float).where(~_lost(rows), DIVERGED))


def with_own(frame: DataFrame, family: str = "KAN") -> DataFrame:
    """Copy the rows of a family, which ran once, to the contest at equal seconds.

    The others got its seconds there, so its rows at equal parameters stand for both contests, in
    every task that has both.
    """
    check_columns(frame, "contest", "task", "family")
    seconds = frame[frame["contest"] == "seconds"]
    own = (frame["family"] == family) & frame["task"].isin(seconds["task"])
    if seconds.empty or (seconds["family"] == family).any():
        return frame
    return concat([frame, frame[own].assign(contest="seconds")], ignore_index=True)


def rivals(frame: DataFrame, family: str = "KAN") -> list[str]:
    """The other families that have a result for a task and seed that this one has, too."""
    keys = ["contest", "task", "seed"]
    check_columns(frame, *keys, "family")
    rows = _results(frame)
    own = rows.loc[rows["family"] == family, keys].drop_duplicates()
    return [name for name in rows.merge(own, on=keys)["family"].unique() if name != family]


def medians(frame: DataFrame) -> DataFrame:
    """The results of contests in short: one row for each contest, task and family.

    Returns:
        ``contest``, ``kind``, ``task``, ``family``; ``seeds``; ``median``, ``least`` and
        ``largest`` test error, that of a run that diverged infinite; how many ``diverged``; the
        medians of ``p90``, ``accuracy``, ``parameters`` and ``seconds``, where there are any.

    Raises:
        ValueError: the frame lacks a column.
    """
    check_columns(frame, "contest", "kind", "task", "family", "seed", "test_error", "diverged")
    rows = _results(frame)
    rows = rows.assign(test_error=rows["test_error"].where(~_lost(rows), np.inf))
    columns = {
        "seeds": ("seed", "nunique"),
        "median": ("test_error", "median"),
        "least": ("test_error", "min"),
        "largest": ("test_error", "max"),
        "diverged": ("diverged", "sum"),
    }
    measured = [m for m in ("p90", "accuracy", "parameters", "seconds") if m in rows]
    columns |= {name: (name, "median") for name in measured}
    keys = ["contest", "kind", "task", "family"]
    return rows.groupby(keys, sort=False).agg(**columns).reset_index()


def paces(frame: DataFrame) -> DataFrame:
    """How long the networks of each family take: one row for each shape of task and family.

    Args:
        frame: rows of the experiment "pace".

    Returns:
        ``task``, whose shape it is; ``inputs``; ``size``, in parameters; ``family``; ``step_ms``,
        the mean time of a training step of its configurations, with ``least`` and ``largest``;
        ``prediction_us``, that of the prediction of a single sample.
    """
    runs = frame.explode(["models", "step_seconds", "prediction_seconds"])
    runs = runs.assign(
        family=runs["models"].str["family"],
        step=1e3 * runs["step_seconds"].astype(float),
        prediction=1e6 * runs["prediction_seconds"].astype(float),
    )
    times = {"step_ms": ("step", "mean"), "least": ("step", "min"), "largest": ("step", "max")}
    times["prediction_us"] = ("prediction", "mean")
    groups = runs.groupby(["task", "inputs", "size", "family"], sort=False)
    return groups.agg(**times).reset_index()


def _pairs(frame: DataFrame, a: str, b: str, column: str = "test_error") -> DataFrame:
    """Log ratio of each pair of runs, of one class, task and seed; runs without a partner go."""
    keys = ["kind", "task", "seed"]
    check_columns(frame, *keys, "family", "diverged", column)
    if "contest" in frame and frame["contest"].nunique() > 1:
        raise ValueError(
            f"frame holds the contests {sorted(set(frame['contest']))}; expected one: "
            "frame[frame.contest == 'parameters']"
        )
    rows = _results(frame)
    both = []
    for name, family in (("a", a), ("b", b)):
        own = rows[rows["family"] == family]
        if own.empty:
            families = ", ".join(map(repr, dict.fromkeys(rows["family"])))
            raise ValueError(f"{name}={family!r}; expected one of {families}")
        if own.duplicated(keys).any():
            raise ValueError(
                f"frame holds several runs of {family!r} with the same {', '.join(keys)}; "
                "expected one: choose a part of its rows"
            )
        own = own.assign(log=log_errors(own, column), diverged=own["diverged"].astype(int))
        both.append(own[[*keys, "log", "diverged"]])
    pairs = both[0].merge(both[1], on=keys, suffixes=("_a", "_b"))
    if pairs.empty:
        raise ValueError(f"frame has no task and seed with both a={a!r} and b={b!r}")
    pairs["log"] = pairs["log_a"] - pairs["log_b"]
    pairs["diverged"] = pairs["diverged_a"] + pairs["diverged_b"]
    return pairs


def _results(frame: DataFrame) -> DataFrame:
    return frame[frame["stage"] == "result"] if "stage" in frame else frame


def _lost(rows: DataFrame):
    return rows["diverged"].astype(bool)


def expected_least(values, n: int) -> float:
    """Mean of the least of n of the values ``(N,)``, over all ways to draw n without putting back.

    Example:
        >>> round(expected_least([3, 1, 2], 2), 6)  # of (1, 2), (1, 3) and (2, 3)
        1.333333

    Source: the i-th least is the least of comb(N - i, n - 1) of the comb(N, n) draws.
    """
    values = np.sort(np.asarray(values, dtype=float))
    draws = math.comb(len(values), n)
    shares = [math.comb(len(values) - i, n - 1) / draws for i in range(1, len(values) + 1)]
    return float(np.dot(shares, values))


def check_columns(frame: DataFrame, *columns: str) -> None:
    missing = [name for name in columns if name not in frame]
    if missing:
        raise ValueError(f"frame has no column {missing[0]!r}; expected one of {list(frame)}")
