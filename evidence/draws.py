"""Contests in which chance drew the settings several times: intervals that count the draw, too.

A search gives each family twelve settings to choose from, the same for all tasks. Over the tasks
alone, an interval holds for these settings; here the draw is a sample like the tasks. Frames have
a column ``redraw``: 0 of the first draw, then 1, 2, 3.
"""

from __future__ import annotations

import numpy as np
from pandas import DataFrame, Series, concat
from scipy import stats

from kanbook.certainty import LEVEL

from .statistics import Ratio, check_columns, judged, log_errors


def errors(frame: DataFrame, family: str) -> DataFrame:
    """Mean logarithm of the errors over the seeds: a row for each task, a column for each draw.

    Draws that have not all tasks are left out.
    """
    check_columns(frame, "redraw", "task", "family", "diverged", "test_error")
    rows = frame[frame["family"] == family]
    means = log_errors(rows).groupby([rows["task"], rows["redraw"]]).mean().unstack()
    return means.dropna(axis=1)


def ratio(a: DataFrame, b: DataFrame) -> Ratio:
    """The errors a / b of two families, each as of :func:`errors`, over tasks and draws.

    The variance of the mean logarithm is the sum of three: over the tasks, of the difference
    averaged over the draws; over the draws of a; and over those of b, each averaged over the tasks.
    The interval is Student's t.

    Source: degrees of freedom of B. L. Welch, The generalization of Student's problem when several
    different population variances are involved, Biometrika 34 (1947).
    """
    tasks = (a.mean(axis=1) - b.mean(axis=1)).dropna()
    parts = [means for means in (tasks, a.mean(), b.mean()) if len(means) > 1]
    variances = np.array([means.var() / len(means) for means in parts])
    freedom = variances.sum() ** 2 / np.sum(variances**2 / [len(means) - 1 for means in parts])
    mean, error = tasks.mean(), np.sqrt(variances.sum())
    half = stats.t.ppf(1 - LEVEL / 2, freedom) * error
    p = 2 * stats.t.sf(abs(mean) / error, freedom)
    return Ratio(np.exp(mean), np.exp(mean - half), np.exp(mean + half), p)


def ratios(frame: DataFrame, a: str, b: str) -> DataFrame:
    """Two families in every contest and class of tasks, judged together.

    Returns:
        Columns ``contest``, ``kind``, ``tasks``, ``draws`` (of both families), and those of
        :func:`evidence.statistics.judged`.
    """
    found = []
    for (contest, kind), rows in frame.groupby(["contest", "kind"], sort=False):
        first, second = errors(rows, a), errors(rows, b)
        what = {"contest": contest, "kind": kind, "tasks": len(first)}
        what["draws"] = first.shape[1], second.shape[1]
        found.append(what | ratio(first, second)._asdict())
    return judged(DataFrame(found))


def pairs(frame: DataFrame, a: str, b: str) -> DataFrame:
    """The ratio of two families for every pair of their draws, over the tasks of the frame."""
    first, second = (errors(frame, family).mean() for family in (a, b))
    return DataFrame(
        np.exp(np.subtract.outer(first.to_numpy(), second.to_numpy())),
        Series(first.index, name=a),
        Series(second.index, name=b),
    )


def shares(frame: DataFrame, a: str, b: str) -> Series:
    """Which part of the variance of ln(a / b) is of tasks, of draws, of both together, of seeds.

    Of one run of each family, by a mixed model (REML): the error is that of the family, plus one of
    the task, which the ratio does not see, and one each of the task for this family (tasks), the
    draw (draws), the task with the draw (tasks x draws) and the seed.
    """
    from statsmodels.formula.api import mixedlm

    rows = concat([frame[frame["family"] == family] for family in (a, b)])
    rows = rows.assign(
        log=log_errors(rows),
        all=1,
        draw=rows["family"] + rows["redraw"].astype(str),
        task_of=rows["family"] + rows["task"],
    )
    rows["cell"] = rows["draw"] + rows["task"]
    parts = {"task": "task", "tasks": "task_of", "draws": "draw", "tasks x draws": "cell"}
    parts = {name: f"0 + C({column})" for name, column in parts.items()}
    model = mixedlm("log ~ family", rows, groups="all", vc_formula=parts, re_formula="0")
    fitted = model.fit()
    variances = Series(fitted.vcomp, sorted(parts)).drop("task")
    variances["seeds"] = fitted.scale
    return variances / variances.sum()
