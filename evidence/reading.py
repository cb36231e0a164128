"""What notebooks read: runs as frames, and how two kinds of runs compare."""

from __future__ import annotations

import json
import math
import warnings
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from pandas import DataFrame
from scipy import stats

from .table import FOLDER, Table
from .tasks.laws import outcome


def names(folder: Path | str | None = None) -> list[str]:
    """The names of all stored tables."""
    return sorted(path.stem for path in Path(folder or FOLDER).glob("*.jsonl"))


def load(name: str, *, tuning: bool = False, folder: Path | str | None = None) -> DataFrame:
    """Load the stored results of an experiment.

    Args:
        name: of the experiment, one of ``names()``.
        tuning: load the runs that chose learning rates and other settings, instead of the results.
        folder: of the files; that of this package if not given.

    Returns:
        One row a run; the page "Results" of the book describes the columns. ``final`` is the loss
        on test samples where there are some, else on the training samples; losses of a run that
        diverged are infinite, so that no median leaves it out; lists, such as ``widths``, are
        tuples. ``frame.attrs`` has ``runs``, how many are stored, and ``provenance``, how they were
        made, by the column ``made``.

    Raises:
        ValueError: there are no results of that name, or no such runs among them.
        ResultsError: the file is damaged.

    Example:
        >>> frame = load("functions-1d")
        >>> bool((frame.groupby(["task", "family"]).seed.nunique() >= 5).all())
        True
    """
    if name not in names(folder):
        stored = ", ".join(names(folder)) or "none yet"
        raise ValueError(f"name={name!r}; expected one of the stored results: {stored}")
    table = Table(Path(folder or FOLDER) / f"{name}.jsonl", name)
    rows = [flat(run) for run in table.runs.values() if (run["stage"] != "result") == tuning]
    if not rows:
        raise ValueError(f"tuning={tuning!r}; {table.path} holds no such runs")
    frame = DataFrame(rows)
    frame.attrs |= {"provenance": table.provenance, "runs": len(table.runs)}
    return frame


# Columns that say what came out, or that are not one value for each setting.
MEASURED = """run made seed parameters evaluations seconds loss test_loss final diverged complete
curve probes measure models step_seconds prediction_seconds stage config validation_error test_error
best_step p90 accuracy spread quantiles formula error wide_error equal complexity note outcome"""


def summarize(frame: DataFrame) -> DataFrame:
    """Medians with ranges: one row for each setting, over its seeds.

    Returns:
        The settings that vary, ``parameters``, ``seeds``, ``median``, ``least``, ``largest``,
        ``diverged`` (how many) and the median ``seconds``; rows without a training are left out.
        Where formulas were looked for, how many were ``found``, ``wrong`` or ``none``.
    """
    seeds, seconds = ("seed", "nunique"), ("seconds", "median")
    if "outcome" in frame:
        ends = ("found", "wrong", "none")
        frame = frame.assign(**{end: frame.outcome == end for end in ends})
        groups = frame.groupby(["law", "noise", "method"], sort=False)
        counts = {end: (end, "sum") for end in ends}
        return groups.agg(seeds=seeds, **counts, seconds=seconds).reset_index()
    frame = frame[frame["curve"].notna()]
    settings = [name for name in frame if name not in MEASURED.split()]
    varied = [name for name in settings if frame[name].nunique(dropna=False) > 1]
    groups = frame.groupby(varied or settings[:1], dropna=False, sort=False)
    columns = {"parameters": ("parameters", "first"), "seeds": seeds, "median": ("final", "median")}
    columns |= {"least": ("final", "min"), "largest": ("final", "max")}
    columns |= {"diverged": ("diverged", "sum"), "seconds": seconds}
    return groups.agg(**columns).reset_index()


class Comparison(NamedTuple):
    """What :func:`compare` finds: ratio of medians, interval, p, and pairs that the first won."""

    ratio: float
    low: float
    high: float
    p: float
    won: int
    pairs: int


def compare(a: ArrayLike, b: ArrayLike) -> Comparison:
    """Compare the losses of two kinds of runs: by their medians, and in all pairs of runs.

    Args:
        a, b: losses, one a run; infinite where it diverged.

    Returns:
        ``ratio``, the median of a divided by that of b; ``won``, in how many of all ``pairs`` of a
        run of a and one of b that of a has the lower loss; ``low`` and ``high``, the least and the
        largest ratio of a pair, when as many are left out at both ends as luck allows: if a and b
        were equally good, the interval would miss 1 in one of 20 orders of the runs at most. (With
        three runs each, none is left out, and luck misses 1 in 2 of 20 orders.) ``p`` is that of
        Welch's t test on the logarithms, not corrected; NaN if a has one run, or b, or a loss is 0
        or infinite.

    Raises:
        ValueError: there are no losses, or one is negative or no number.

    Example:
        >>> found = compare([1, 2, 3], [2, 4, 6])
        >>> found.ratio, found.high, found.won, found.pairs
        (0.5, 1.5, 7, 9)

    In the book: chapters 11, 12 and 19.
    """
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    for name, losses, given in (("a", x, a), ("b", y, b)):
        if losses.ndim != 1 or not losses.size or not (losses >= 0).all():
            raise ValueError(f"{name}={given!r}; expected a list of losses, each 0 or more")
    ratios = np.sort(_divided(x[:, None], y), axis=None)
    cut = _cut(x.size, y.size)
    ratio = float(_divided(np.median(x), np.median(y)))
    won = int((x[:, None] < y).sum())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NaN
        p = float(stats.ttest_ind(np.log(x), np.log(y), equal_var=False).pvalue)
    return Comparison(ratio, float(ratios[cut]), float(ratios[-1 - cut]), p, won, ratios.size)


def _divided(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x / y, where two that are both 0, or both infinite, are equal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x == y, 1.0, x / y)


def _cut(m: int, n: int) -> int:
    """The most pairs that luck lets one of two equally good kinds win, or lose, once in 20 times.

    The orders of m runs and n in which those of one kind win u pairs are the coefficient of q^u in
    the product of (1 - q^(n + i)) / (1 - q^i) for i = 1 to m.
    """
    orders = [1] + [0] * (m * n)
    for i in range(1, m + 1):
        for u in range(m * n, n + i - 1, -1):
            orders[u] -= orders[u - n - i]
        for u in range(i, m * n + 1):
            orders[u] += orders[u - i]
    lucky = [2 * total <= 0.05 * sum(orders) for total in accumulate(orders)]
    return max(sum(lucky) - 1, 0)


def loss_at(curve: dict[str, list], at: float, by: str = "seconds") -> float:
    """The loss of a stored curve at a point, between its points on a straight line of logarithms.

    Args:
        curve: of a run; a value of the column "curve".
        at: seconds, evaluations or a step; beyond the ends of the curve its ends count.
        by: ``"seconds"``, ``"evaluations"`` or ``"step"``.

    Raises:
        ValueError: ``at`` is negative or no number, or ``by`` is none of the three.

    Example:
        >>> curve = {"seconds": [1, 2], "evaluations": [1, 5], "step": [1, 2], "loss": [1, 0.01]}
        >>> round(loss_at(curve, 1.5), 6), round(loss_at(curve, 4, by="evaluations"), 6)
        (0.1, 0.031623)

    In the book: chapter 14.
    """
    units = ("seconds", "evaluations", "step")
    if by not in units:
        raise ValueError(f"by={by!r}; expected one of {', '.join(map(repr, units))}")
    if not at >= 0:
        raise ValueError(f"at={at!r}; expected a number of {by}, 0 or more")
    return float(np.exp(np.interp(at, curve[by], np.log(curve["loss"]))))


def load_benchmark(part: str = "speed", *, path: Path | str | None = None) -> DataFrame:
    """Load the stored benchmark: kanbook's layer beside other packages, which took turns.

    Args:
        part: ``"speed"``: milliseconds of a forward and backward pass of each contestant, which
            ``computes`` what that column says; ``ratio``, the time of another one, ``against``,
            divided by its own; ``first_seconds`` of the first call, in which compilers compile;
            ``difference``, the largest error of an output, relative to the largest output, at the
            inputs that are timed, and ``worst``, the same at hard inputs, which lie ``worst_at``
            the ``"knots"``, the domain's ``"ends"`` or ``"far"`` outside.
            ``"alone"``: milliseconds and page ``faults`` of the same pass by each ``layer``,
            ``compiled`` once more or not, alone in its process, with ``memory`` ``"as shipped"`` or
            ``"kept"``; ``"kanbook, before"`` is kanbook as it was until it worked in blocks of rows
            and kept memory, of the commit ``before`` of the provenance.
            ``"memory"``: MiB at the peak of a pass, NaN where the machine had too little.
            ``"prediction"``: microseconds of one sample through a ``model`` of as many
            ``parameters``, and ``how``: ``"eager"``, ``"compiled"`` or ``"exported"``.
            ``"training"``: seconds and evaluations to a test error of 0.001, NaN where it was not
            reached, and of the whole run. ``"profile"``: milliseconds of the parts of a call.
            ``"steps"``: the layers that chapter 13 builds, their time divided by that of kanbook's.
            ``"tanh"``: milliseconds of a training step of the networks of chapter 12 in two
            frameworks, divided by that with one tanh after the sum. ``"engines"``: milliseconds of
            a step of chapter 20's network in each engine, and ``compile_seconds``, what its first
            three steps took beyond three later ones. ``"derivatives"``: milliseconds of the
            Laplacian at 1,000 points and its gradient in the parameters, by ``autograd`` and by
            :func:`~kanbook.derivatives.along`. ``"hellokan"``: seconds of processor time from
            samples to ``formula``, by the steps of PyKAN's first tutorial and by
            :func:`~kanbook.formulas.discover`; ``error``, the root mean square of what the formula
            misses on 1,000 other samples; and whether it is ``equal`` to the law but for the last
            digits of its constants. ``"microcontroller"``: ``instructions`` of one
            prediction on an emulated Cortex-M4F, the mean of 500 inputs in the domain; ``bytes`` of
            the program for flash, ``linked_bytes`` with what it calls of the C library;
            ``multiply_adds`` and ``functions`` as :func:`~kanbook.counting.count_operations` says.
        path: of the file; the stored one if not given.

    Returns:
        ``ratio_low`` and the like are quartiles over the rounds; ``frame.attrs["provenance"]`` says
        when, where, with which versions and by which command it was made.

    Raises:
        ValueError: there is no such part.

    Example:
        >>> frame = load_benchmark("speed")
        >>> bool((frame.milliseconds > 0).all())
        True

    In the book: chapters 12, 13, 17, 19 and 20.
    """
    parts = json.loads(Path(path or FOLDER / "benchmark.json").read_text(encoding="utf-8"))
    if part not in parts:
        raise ValueError(f"part={part!r}; expected one of {', '.join(map(repr, parts))}")
    return _frame(**parts[part])


def _frame(rows: list[dict[str, Any]], provenance: dict[str, Any]) -> DataFrame:
    frame = DataFrame(rows)
    frame.attrs["provenance"] = provenance
    return frame


def published() -> DataFrame:
    """Load what was counted in the runs of Yu, Yu and Wang, KAN or MLP: A Fairer Comparison, 2024.

    A run is one training, of one random start; its accuracy, in percent, is that of the epoch that
    did best on the *test* samples.

    Returns:
        One row for each set of data, of a ``kind`` "table" or "picture", with the fewest test
        ``samples`` that its accuracies allow; ``kans`` and ``mlps``, the numbers of runs, of which
        ``short`` KANs had fewer epochs than any MLP; ``kan_best`` and ``mlp_best`` of all runs;
        ``kan_equal``, the best that is expected among as many KANs as MLPs, which with ``chance``
        exceeds ``mlp_best``; ``small_mlps``, ``small_mlp_best`` and ``small_kan_equal``, the same
        of MLPs with no more parameters than the largest KAN; and ``noise``, two standard errors of
        the difference of two accuracies like ``mlp_best``.

    Example:
        >>> frame = published()
        >>> frame.groupby("kind").size().to_dict()
        {'picture': 8, 'table': 10}

    In the book: chapter 16.
    """
    return _frame(**json.loads((FOLDER / "kanbefair.json").read_text(encoding="utf-8")))


def flat(run: dict[str, Any]) -> dict[str, Any]:
    """One row: settings and measurements side by side, lists as tuples, lost losses infinite."""
    row = {name: _hashable(value) for name, value in (run["settings"] | run).items()}
    del row["settings"]
    for name in ("loss", "test_loss", "validation_error", "test_error"):
        if run["diverged"] and name in row:
            row[name] = math.inf
    row["final"] = row.get("test_error", row.get("test_loss", row.get("loss")))
    if "law" in row:
        row["outcome"] = outcome(row)
    return row


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
