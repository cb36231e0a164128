"""The judges of parts C, P and Q ask who is best on tables: on well known ones, on real ones, and
as it comes, in one line.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from pandas import DataFrame, concat
from scipy import stats

from .. import statistics
from ..tasks import real_tables
from ..tasks.targets import TARGETS
from .comparisons import versus_logs, where
from .judging import Versus, number, quoted
from .registry import duel, judge

# C. Tables

among = {"contest": "parameters"}
duel("C 1", "tables", "KAN", "tie", "MLP", "regression", **among)
for name, network in product(("diamonds", "flights"), ("KAN", "MLP")):
    which = {"task": f"table:{name}", "claim": "trees beat both", "said": name}
    duel("C 1", "tables", "boosted trees", "better", network, **which, **among)
duel("C 2", "tables", "MLP", "better", "KAN", task="table:mnist1d", said="log-loss", **among)
for n in (1, 2, 3):
    which = {"task": f"table:friedman{n}", "claim": "all three", "said": f"Friedman {n}"}
    duel("C 3", "tables", "KAN", "better", "MLP", **which, **among)


# P. Real tables

among = {"contest": "parameters"}
for network in ("KAN", "MLP"):
    duel("P 1", "real-tables", network, "tie", "boosted trees", claim="tie", **among)
duel("P 2", "real-tables", "KAN", "tie", "MLP", said="equal parameters", **among)
duel("P 2", "real-tables", "KAN", "tie", "MLP", said="equal seconds", contest="seconds")
duel("P 3", "real-tables", "additive", "tie", "KAN", **among)


def on_tables(frame: DataFrame) -> DataFrame:
    """Mean logarithms of the errors at equal parameters: a row a table, a column a contestant."""
    frame = where(frame, contest="parameters")
    logs = statistics.log_errors(frame).groupby([frame["task"], frame["family"]]).mean()
    return logs.unstack()


@judge("P 1", "real-tables")
def trees_have_less_error_on_twelve(frame):
    logs = on_tables(frame)
    won = (logs["boosted trees"] < logs[["KAN", "MLP"]].min(axis=1)).sum()
    yield (
        {"twelve": bool(won >= 12)},
        f"trees have less error than both on **{won}** of {len(logs)}",
    )


@judge("P 4", "real-tables")
def lines_are_enough_on_some(frame):
    logs = on_tables(frame)
    best = logs.min(axis=1)
    least, near = (logs["linear"] == best).sum(), (logs["linear"] < best + np.log(1.02)).sum()
    said = f"the least error on **{least}** of {len(logs)}, within 2 % of the least on **{near}**"
    yield {"least": bool(least >= 3), "near": bool(near >= 6)}, said


@judge("P 5", "real-tables")
def tuned_elsewhere(frame):
    logs = on_tables(frame)
    for other in ("KAN", "MLP", "boosted trees"):
        won = (logs["RealMLP"] < logs[other]).sum()
        so = won < 12 if other == "boosted trees" else won >= 12
        yield {other: bool(so)}, f"less error than {quoted(other)} on **{won}** of {len(logs)}"


@judge("P 6", "real-tables")
def trees_gain_by_rows(frame):
    logs = on_tables(frame)
    rows = [len(real_tables.real_table(task.partition(":")[2]).frame) for task in logs.index]
    rank = stats.spearmanr(rows, logs["KAN"] - logs["boosted trees"]).statistic
    so = True if rank > 0.3 else None if rank > 0 else False
    yield {"grows": so}, f"rank correlation **{rank:.2f}**"


@judge("P 7", "real-tables")
def networks_are_calibrated(frame):
    frame = where(frame, contest="parameters", kind="classes")
    off = np.log(frame.groupby(["task", "family"])["calibration"].mean()).unstack()
    ratio = np.exp((off["KAN"] - off["linear"]).mean())
    yield {"within 1.5": bool(ratio <= 1.5)}, f"KAN / logistic **{number(ratio)}**"


# Q. One line

AXES = tuple(TARGETS)[:8]


def of_defaults(frame: DataFrame, part: str) -> DataFrame:
    """Mean logarithms of the errors on "axes", other "formulas", "numbers" or "classes"."""
    logs = statistics.log_errors(frame).groupby([frame["task"], frame["contestant"]]).mean()
    logs = logs.unstack()
    kinds = dict(zip(frame["task"], frame["kind"], strict=True))
    parts = {}
    for task in logs.index:
        kind, _, name = task.partition(":")
        of_table = "numbers" if kinds[task] == "regression" else "classes"
        of_formula = "axes" if name in AXES else "formulas"
        parts[task] = of_table if kind == "real" else of_formula
    return logs[logs.index.map(parts) == part]


def kan_against(frame: DataFrame, part: str, other: str) -> Versus:
    logs = of_defaults(frame, part)
    return versus_logs("KAN", logs["KAN"], other, logs[other])


@judge("Q 1", "defaults")
def along_the_axes_the_kan(frame):
    for other in ("MLP of scikit-learn", "MLP, trained alike"):
        ratio = kan_against(frame, "axes", other)
        yield {other: ratio.better}, ratio


@judge("Q 2", "defaults")
def elsewhere_no_better(frame):
    ratio = kan_against(frame, "formulas", "MLP, trained alike")
    yield {"not better": ratio.not_better}, ratio


@judge("Q 3", "defaults")
def trees_and_kan(frame):
    ratio = kan_against(frame, "numbers", "boosted trees")
    yield {"neither": ratio.verdict not in ("clearly better", "clearly worse")}, ratio


@judge("Q 4", "defaults")
def better_than_lines(frame):
    logs = concat([of_defaults(frame, part) for part in ("numbers", "classes")])
    won = (logs["KAN"] < logs["linear"]).sum()
    yield {"ten": bool(won >= 10)}, f"less error than lines on **{won}** of {len(logs)}"


@judge("Q 5", "defaults")
def better_than_pykan(frame):
    ratio = kan_against(frame, "numbers", "PyKAN")
    yield {"better": ratio.better}, ratio
