"""How a comparison is judged and said, by :mod:`.claims`, the judges and the page of results.

What it shows is one of the verdicts of :mod:`kanbook.certainty`. Numbers have two digits or so: who
needs more computes them from the rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kanbook.certainty import TIE, holm, verdict

LM = "Levenberg-Marquardt"


def number(x: float) -> str:
    """Two digits or so: 12, 0.71, 0.07, 2e-5."""
    if x < 1e-3 or x >= 10_000:
        return f"{x:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{x:.1g}" if x < 0.095 else f"{x:.2f}" if x < 9.95 else f"{x:,.0f}"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def show(ratio: Any, mark: str = "") -> str:
    """A ratio, between marks such as ``**``, and its interval; of one task or run, it has none."""
    said = f"{mark}{number(ratio.ratio)}{mark}"
    return f"{said} [{_end(ratio.low)}, {_end(ratio.high)}]" if ratio.low < ratio.high else said


def _end(x: float) -> str:
    """An end of an interval; two tasks may leave it wide."""
    return "<0.001" if x < 1e-3 else ">1,000" if x > 1000 else number(x)


def quoted(family: str) -> str:
    """The name of a family among other words."""
    return family if family in ("KAN", "MLP") else f"“{family}”"


def task_name(task: str) -> str:
    """The name of a task among other words: "five curves", "waves 50"."""
    kind, _, name = task.replace("_", " ").partition(":")
    return f"{kind} {name}" if name.isdigit() else name or kind


@dataclass(frozen=True)
class Versus:
    """The error of the first divided by that of the second, and what it shows of the first.

    ``found`` is a class of tasks, whose p is corrected for all of its contest, or stands alone: a
    task, a :class:`~evidence.statistics.Ratio` or a :class:`~evidence.reading.Comparison`. What is
    neither true nor false by it is None. The plan has no "a little, but surely": undecided.
    """

    a: str
    b: str
    found: Any

    def __str__(self) -> str:
        return f"{self.a} / {self.b} {show(self.found, '**')}"

    @property
    def value(self) -> float:
        return self.found.ratio

    @property
    def verdict(self) -> str:
        found = self.found
        p = getattr(found, "p_holm", found.p)
        shown = verdict(found.ratio, found.low, found.high, p)
        return "undecided" if shown.startswith("a little") else shown

    @property
    def better(self) -> bool | None:
        """Whether it is clearly better."""
        return None if self.verdict == "undecided" else self.verdict == "clearly better"

    @property
    def tie(self) -> bool | None:
        return None if self.verdict == "undecided" else self.verdict == "a tie"

    @property
    def not_better(self) -> bool | None:
        """Whether it is not clearly better; None if that is undecided, and its mean says it is."""
        undecided = self.verdict == "undecided" and self.value < 1 / TIE
        return None if undecided else self.verdict != "clearly better"

    @property
    def not_worse(self) -> bool:
        """Whether it is not clearly worse, or this is undecided."""
        return self.verdict != "clearly worse"

    @property
    def less(self) -> bool | None:
        """Whether the interval lies below 1."""
        return None if self.found.low < 1 < self.found.high else self.found.high < 1

    @property
    def more(self) -> bool | None:
        """Whether the interval lies above 1."""
        return None if self.found.low < 1 < self.found.high else self.found.low > 1

    def within(self, factor: float) -> bool | None:
        """Whether the interval lies within this factor, on both sides; None if it only meets it."""
        low, high = self.found.low, self.found.high
        if low > 1 / factor and high < factor:
            return True
        return None if low < factor and high > 1 / factor else False


def together(found: Iterable[Any]) -> list[str]:
    """The verdicts of comparisons that stand in one claim, corrected for all of them."""
    rows = list(found)
    return [
        verdict(row.ratio, row.low, row.high, p)
        for row, p in zip(rows, holm([row.p for row in rows]), strict=True)
    ]


def word(verdicts: Iterable[str], wanted: str = "better") -> str:
    """What is left of the claim "clearly better" (or worse) "in all of these", from their verdicts.

    "stands" if all are; "narrower" if a fifth of them or more are; "hardly" if fewer are, or some
    are a little, but surely; "open" if all are undecided; "falls" if nothing is as claimed, and
    something is a tie or the contrary.
    """
    every = list(verdicts)
    clearly = every.count(f"clearly {wanted}")
    if clearly == len(every):
        return "stands"
    if clearly >= len(every) / 5:
        return "narrower"
    if any(shown.endswith(wanted) for shown in every):
        return "hardly"
    return "open" if set(every) <= {"undecided"} else "falls"
