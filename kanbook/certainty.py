"""How sure a comparison is: one vocabulary, and a correction where several stand together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["LEVEL", "TIE", "VERDICTS", "holm", "verdict"]

TIE = 1.2  # ratios from 1 / TIE to TIE make no difference in practice
LEVEL = 0.05  # of tests; intervals hold 95 %
VERDICTS = "clearly better", "a little, but surely better", "a tie"
VERDICTS += "a little, but surely worse", "clearly worse", "undecided"


def verdict(ratio: float, low: float, high: float, p: float) -> str:
    """Say what a ratio of two errors, a / b, shows of a.

    Args:
        ratio: below 1, a is better.
        low, high: its 95 % interval, not corrected.
        p: of "no difference", corrected for all that stands in the same table (:func:`holm`).

    Returns:
        A word of ``VERDICTS``, the first that is true; what is NaN makes nothing true.

        - "a tie": the interval lies within 1 / 1.2 to 1.2, even if it excludes 1;
        - "undecided": p is not below 0.05;
        - "a little, but surely better" or "worse": the ratio lies within 1 / 1.2 to 1.2;
        - "clearly better" or "clearly worse".

    Example:
        >>> verdict(0.9, 0.87, 0.92, 0.001), verdict(0.7, 0.4, 1.4, 0.27)
        ('a tie', 'undecided')
        >>> verdict(0.87, 0.8, 0.92, 0.01), verdict(3.1, 2.7, 3.5, 0.001)
        ('a little, but surely better', 'clearly worse')

    In the book: chapter 4.
    """
    if low >= 1 / TIE and high <= TIE:
        return "a tie"
    if not p < LEVEL:
        return "undecided"
    how = "a little, but surely" if 1 / TIE <= ratio <= TIE else "clearly"
    return f"{how} {'better' if ratio < 1 else 'worse'}"


def holm(p: ArrayLike) -> np.ndarray:
    """Correct p values, ``(n,)``, of hypotheses that are tested together.

    The i-th least of n, from i = 0, becomes n - i times as large, 1 at most, and no less than the
    one before it. Rejecting what is below 0.05 then rejects something true in one of 20 such sets
    at most. NaN is no hypothesis.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal
    of Statistics 6 (1979).
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)  # NaN last
    factors = np.count_nonzero(~np.isnan(p)) - np.arange(p.size)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1)
    return corrected
