"""Contests: how two families compare over many tasks, read from the stored rows.

Rows are those of ``evidence.load(name)`` where an experiment is a contest: ``task`` and its class
(``kind``), ``contest`` ("parameters" or "seconds", whichever is equal), ``family``, ``seed``,
``stage`` ("search", "finalist" or "result"), ``config``, ``validation_error``, ``test_error`` and
others. A seed fixes split, noise and start for all families, so runs are compared in pairs of one
task and one seed. The unit is the task: seeds of one task say little about the next.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame

TIE = 1.2  # ratios from 1 / TIE to TIE make no difference in practice
LEVEL = 0.05  # of tests; intervals hold 95 %
DIVERGED = 1.0  # the error of a run that diverged: that of predicting the mean


def ratios(frame: DataFrame, a: str, b: str) -> DataFrame:
    """Compare two families on classes of tasks: mean ratio of their errors, and what it proves.

    Args:
        frame: rows of one contest, at most one result for each family, class, task and seed. The
            test error of a run that diverged counts as 1, the relative RMSE of predicting the mean.
        a, b: families.

    Returns:
        One row for each class, and last one for ``"all"``, whose unit is the task too:

        - ``tasks``, and ``diverged``: how many of their runs did, of both families;
        - ``ratio``: a / b, the geometric mean over the tasks, of each of which it is the geometric
          mean over the seeds; below 1, a is better;
        - ``low``, ``high``: its 95 % interval, by Student's t on the logarithms of the tasks. NaN
          where there is one task;
        - ``p``: of the t test that the mean logarithm is 0, and ``p_holm``, corrected for the
          number of classes by Holm's method; ``"all"`` is one hypothesis and needs no correction;
        - ``verdict``: ``"a"`` or ``"b"``, who is better, if ``p_holm`` < 0.05 and the ratio lies
          outside the tie zone, from 1 / 1.2 to 1.2; ``"tie"`` if the interval lies inside of it;
          otherwise ``"undecided"``.

    Raises:
        ValueError: the frame lacks a column, holds several contests, or several runs of one family,
            class, task and seed; or no task has runs of both families.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal
    of Statistics 6 (1979).
    """
    import pandas

    pairs = _pairs(frame, a, b)
    tasks = pairs.groupby(["kind", "task"], sort=False)["log"].mean()
    classes = [(name, logs.to_numpy()) for name, logs in tasks.groupby("kind", sort=False)]
    classes += [("all", tasks.groupby("task").mean().to_numpy())]
    table = pandas.DataFrame(
        {"kind": name, "tasks": len(logs)} | interval(logs)._asdict() for name, logs in classes
    )
    lost = pairs.groupby("kind", sort=False)["diverged"].sum()
    table.insert(2, "diverged", [*lost, lost.sum()])
    table["p_holm"] = [*holm(table["p"][:-1]), table["p"].iloc[-1]]
    sides = [side(row) for row in table.itertuples()]
    table["verdict"] = ["undecided" if "little" in one else one for one in sides]
    return table


def per_task(frame: DataFrame, a: str, b: str, *, column: str = "test_error") -> DataFrame:
    """Compare two families task by task, each by the pairs of its own seeds.

    Args:
        frame, a, b: as of :func:`ratios`.
        column: the error to compare, positive.

    Returns:
        One row for each class and task, with ``kind``, ``task``, ``seeds``, ``diverged`` (runs of
        both families), ``ratio`` a / b, a geometric mean over the seeds, ``low`` and ``high``, its
        95 % interval, and ``p`` of the paired t test on the logarithms, not corrected for the
        number of tasks.

    Raises:
        ValueError: as :func:`ratios`.
    """
    import pandas

    groups = _pairs(frame, a, b, column).groupby(["kind", "task"], sort=False)
    return pandas.DataFrame(
        {"kind": name, "task": task, "seeds": len(runs), "diverged": runs["diverged"].sum()}
        | interval(runs["log"].to_numpy())._asdict()
        for (name, task), runs in groups
    )


def effects(frame: DataFrame, *, column: str = "test_error") -> DataFrame:
    """What each extra of a factorial is worth: the error with it, divided by that without.

    Args:
        frame: rows of one factorial. Its families are subsets of the extras: ``"minimal"`` has
            none of them, the names of others are those of their extras, joined by ``" + "``.
        column: as of :func:`per_task`.

    Returns:
        One row for each ``extra``, ``task`` and ``where``. Its effect is *main* over all companies,
        which are the subsets of the other extras; *alone* if added to the minimal KAN; in *company*
        if added to all others. What has no pair is left out. Other columns:

        - ``ratio``, with / without, the geometric mean over companies and seeds; below 1, it helps;
        - ``low``, ``high``: its 95 % interval, by Student's t on the logarithms. Of a main effect
          the wider of two: over the companies, each a mean over its seeds, and over the seeds;
        - ``separated``: 1 lies outside of the interval;
        - ``seconds``, the mean ratio of the times of training.

    Raises:
        ValueError: the frame lacks a column, holds several runs of one family, task and seed, or
            none that differ in one extra.
    """
    import pandas

    check_columns(frame, "task", "seed", "family", "diverged", "seconds", column)
    rows = _results(frame)
    rows = rows.assign(log=log_errors(rows, column), time=np.log(rows["seconds"].astype(float)))
    names = (
        rows["family"].drop(rows.index[rows["family"] == "minimal"]).str.split(" + ", regex=False)
    )
    extras = list(dict.fromkeys(names.explode()))
    found = []
    for task, runs in rows.groupby("task", sort=False):
        logs = runs.pivot(index="family", columns="seed", values=["log", "time"])
        logs.index = logs.index.map(_members)
        for extra in extras:
            one = frozenset([extra])
            without = [
                those for those in logs.index if not one & those and one | those in logs.index
            ]
            pairs = logs.loc[[one | those for those in without]].to_numpy() - logs.loc[without]
            places = {"alone": frozenset(), "company": frozenset(extras) - one}
            places = {where: [those] for where, those in places.items() if those in without}
            if len(without) > 1:
                places = {"main": without} | places
            for where, companies in places.items():
                row = {"extra": extra, "task": task, "where": where}
                row |= wider(pairs.loc[companies, "log"])._asdict()
                row["seconds"] = np.exp(pairs.loc[companies, "time"].to_numpy().mean())
                found.append(row)
    if not found:
        raise ValueError("frame has no result with an extra and without it")
    table = pandas.DataFrame(found).drop(columns="p")
    table.insert(6, "separated", (table["low"] > 1) | (table["high"] < 1))
    return table


def _members(family: str) -> frozenset[str]:
    return frozenset(() if family == "minimal" else family.split(" + "))


class Ratio(NamedTuple):
    """A mean ratio a / b with its 95 % interval, and p of the t test that its logarithm is 0."""

    ratio: float
    low: float
    high: float
    p: float


def interval(logs) -> Ratio:
    """The mean of logarithms, ``(n,)``, as a ratio; without interval and p if there is but one."""
    from scipy import stats

    n, mean = len(logs), np.mean(logs)
    if n < 2:
        return Ratio(np.exp(mean), np.nan, np.nan, np.nan)
    error = np.std(logs, ddof=1) / np.sqrt(n)
    reach = stats.t.ppf(1 - LEVEL / 2, n - 1) * error
    with np.errstate(divide="ignore", invalid="ignore"):  # all logarithms may be equal
        p = 2 * stats.t.sf(np.abs(mean) / error, n - 1)
    return Ratio(np.exp(mean), np.exp(mean - reach), np.exp(mean + reach), p)


def wider(logs: DataFrame) -> Ratio:
    """Of the intervals over the rows and over the columns, each a mean of the other, the wider."""
    means = [logs.mean(axis=axis).dropna().to_numpy() for axis in (0, 1)]
    found = [interval(one) for one in means if len(one) > 1]
    return max(found, key=lambda one: one.high / one.low)


def side(found: Any) -> str:
    """What a ratio with its interval proves: the first is better ("a"), the second ("b"), or less.

    "tie" if the interval lies within 20 %; "undecided" if it holds 1; "little a" or "little b" if
    it does not, and the ratio lies within 20 %. A p that is corrected for the number of classes
    counts instead of the interval, where there is one.
    """
    level = getattr(found, "p_holm", None)
    apart = (found.low > 1 or found.high < 1) if level is None else level < LEVEL
    if found.low >= 1 / TIE and found.high <= TIE:
        return "tie"
    if not apart:
        return "undecided"
    better = "a" if found.ratio < 1 else "b"
    return f"little {better}" if 1 / TIE <= found.ratio <= TIE else better


def log_errors(rows: DataFrame, column: str = "test_error"):
    """Logarithms of the errors, that of a run that diverged as if it had predicted the mean."""
    return np.log(rows[column].astype(float).where(~_lost(rows), DIVERGED))


def with_own(frame: DataFrame, family: str = "KAN") -> DataFrame:
    """Add the rows of the family whose seconds the others got to the contest at equal seconds.

    Args:
        frame: rows of one experiment.
        family: it ran once, at equal parameters; its rows stand for both contests.

    Returns:
        The rows, and a copy of those of the family with ``contest`` = "seconds" for every task that
        has such a contest.
    """
    import pandas

    check_columns(frame, "contest", "task", "family")
    seconds = frame[frame["contest"] == "seconds"]
    own = (frame["family"] == family) & frame["task"].isin(seconds["task"])
    if seconds.empty or (seconds["family"] == family).any():
        return frame
    return pandas.concat([frame, frame[own].assign(contest="seconds")], ignore_index=True)


def rivals(frame: DataFrame, family: str = "KAN") -> list[str]:
    """Return the other families that have a result for a task and seed that this one has, too.

    Raises:
        ValueError: the frame lacks a column.
    """
    keys = ["contest", "task", "seed"]
    check_columns(frame, *keys, "family")
    rows = _results(frame)
    own = rows.loc[rows["family"] == family, keys].drop_duplicates()
    return [name for name in rows.merge(own, on=keys)["family"].unique() if name != family]


def medians(frame: DataFrame) -> DataFrame:
    """The results of a contest in short: one row for each contest, task and family.

    Args:
        frame: rows of any number of contests.

    Returns:
        ``contest``, ``kind``, ``task``, ``family``; ``seeds``; ``median``, ``least`` and
        ``largest`` test error, that of a run that diverged infinite; how many ``diverged``; the
        medians of ``p90``, of ``accuracy`` where there are classes, of ``parameters`` and of
        ``seconds``.

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
        ``prediction_us``, the mean time of the prediction of a single sample.
    """
    import pandas

    rows = [
        {"task": one.task, "inputs": one.inputs, "size": one.size_, "family": model["family"]}
        | {"step": 1e3 * step, "prediction": 1e6 * prediction}
        for one in frame.rename(columns={"size": "size_"}).itertuples()
        for model, step, prediction in zip(
            one.models, one.step_seconds, one.prediction_seconds, strict=True
        )
    ]
    groups = pandas.DataFrame(rows).groupby(["task", "inputs", "size", "family"], sort=False)
    columns = {"step_ms": ("step", "mean"), "least": ("step", "min"), "largest": ("step", "max")}
    return groups.agg(**columns, prediction_us=("prediction", "mean")).reset_index()


def holm(p):
    """Correct p-values for their number: with all of them below 0.05, luck made one once in 20.

    Args:
        p: p-values, ``(n,)``; those that are NaN are no hypotheses.

    Returns:
        Corrected ones in the same order, (n - i + 1) p of the i-th smallest, at least that of the
        one before, at most 1.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)  # NaN come last
    n = np.isfinite(p).sum()
    corrected = np.full_like(p, np.nan)
    factors = n - np.arange(n)
    corrected[order[:n]] = np.minimum(np.maximum.accumulate(factors * p[order[:n]]), 1)
    return corrected


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
    sides = []
    for name, family in (("a", a), ("b", b)):
        own = rows[rows["family"] == family]
        if own.empty:
            raise ValueError(f"{name}={family!r}; expected one of {_families(rows)}")
        if own.duplicated(keys).any():
            raise ValueError(
                f"frame holds several runs of {family!r} with the same {', '.join(keys)}; "
                "expected one: choose a part of its rows"
            )
        own = own.assign(log=log_errors(own, column))
        sides.append(own[[*keys, "log", "diverged"]])
    pairs = sides[0].merge(sides[1], on=keys, suffixes=("_a", "_b"))
    if pairs.empty:
        raise ValueError(f"frame has no task and seed with both a={a!r} and b={b!r}")
    pairs["log"] = pairs["log_a"] - pairs["log_b"]
    pairs["diverged"] = pairs["diverged_a"].astype(int) + pairs["diverged_b"].astype(int)
    return pairs


def _results(frame: DataFrame) -> DataFrame:
    return frame[frame["stage"] == "result"] if "stage" in frame else frame


def _lost(rows: DataFrame):
    return rows["diverged"].astype(bool)


def expected_least(values, n: int) -> float:
    """Mean of the least of n of the values, over all ways to draw n without putting back.

    Args:
        values: shape ``(N,)``; for the largest, give ``-values`` and take the result negative.
        n: how many are drawn, from 1 to N.

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


def _families(frame: DataFrame) -> str:
    return ", ".join(map(repr, dict.fromkeys(frame["family"])))
