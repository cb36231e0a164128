"""Who judges which hypothesis of ``plan.md``; see :mod:`.outcomes`, which imports all judges.

A line ``duel("F 8", "climbs-adam", "5, 10, 20", "better", "20")`` says: F 8 claims that in the rows
of climbs-adam the first is clearly better than the second. A function is named after what it looks
for in the rows that it is given, and yields claims by their names, each with whether the rows allow
it, and the numbers that decide. What is claimed several times must be so every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from . import comparisons
from .judging import Versus, quoted

Judge = Callable[..., Iterator[tuple[dict[str, bool | None], Any]]]
JUDGES: dict[str, list[tuple[tuple[str, ...], Judge]]] = {}


def judge(label: str, *experiments: str) -> Callable[[Judge], Judge]:
    """Add a judge to those of a hypothesis; it gets the rows of the experiments."""

    def add(judge: Judge) -> Judge:
        JUDGES.setdefault(label, []).append((experiments, judge))
        return judge

    return add


def duel(
    label: str,
    experiment: str,
    a: str,
    wanted: str,
    b: str,
    kind: str = "all",
    *,
    task: str = "",
    claim: str = "",
    said: str = "",
    **columns: Any,
) -> None:
    """Add the claim that a is ``wanted``, a property of Versus, in the rows with these columns.

    ``kind`` or ``task`` is the class or the single task that counts. All of the same ``claim`` are
    one claim. ``said`` stands before the numbers.
    """

    @judge(label, experiment)
    def look(_):
        pairing = comparisons.compared(experiment, a, b, **columns)
        ratio = Versus(quoted(a), quoted(b), pairing.on(task) if task else pairing.over(kind))
        text = f"{said}: {ratio}" if said else f"{ratio}"
        yield {claim or text: getattr(ratio, wanted)}, text
