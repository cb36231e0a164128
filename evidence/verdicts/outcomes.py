"""What became of each hypothesis of ``plan.md``, by the numbers of the stored rows.

A hypothesis is split into its claims. It *holds* if all of them do, and *half* if some do; else it
is *lost* if one of them is wrong, and *undecided* if the rows allow all of them. It is *open* as
long as rows are missing. Where the plan calls one of two families *ahead*, or lets it *beat* the
other, it must be clearly better (:mod:`kanbook.certainty`). Elsewhere a claim is judged by medians
over the seeds. How judges are written stands in ``registry.py``; they have files by subject.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from .. import reading
from ..experiments import EXPERIMENTS
from . import (  # noqa: F401 - all but the second for their judges
    bits,
    comparisons,
    encoding,
    equations,
    extras,
    forgetting,
    formulas,
    pictures,
    recipe,
    tables,
    waves,
)
from .registry import JUDGES, Judge

PLAN = Path(__file__).parents[1] / "plan.md"
UNNUMBERED = {  # of "Changed afterwards"
    "A dense": "With 300 parameters and 10,000 samples the KAN is better along the axes at equal "
    "parameters, and not when rotated.",
    "A dense why": "Along the axes the KAN is ahead at equal parameters with 1,000 parameters and "
    "10,000 samples, and not with 300 parameters and 1,000 samples.",
    "F 10 control": "The updated climb is ahead of “20, updated” with both optimizers, by less "
    "than the plain climb of plain 20.",
    "F 11 controls": "Each half of the recipe alone, the climb and the updates, beats all "
    "intervals at once, and the recipe is ahead of both.",
}


class Outcome(NamedTuple):
    """One hypothesis, and what became of it by the rows of ``experiments``.

    The label is part and number in the plan, such as "B 1"; the verdict "holds", "half", "lost",
    "undecided" or "open"; ``because`` has the numbers that decide, in Markdown, empty if open.
    """

    label: str
    experiments: tuple[str, ...]
    hypothesis: str
    verdict: str
    because: str


def hypotheses() -> dict[str, str]:
    """The numbered hypotheses of the plan by their labels, "A 1", in its order."""
    texts: dict[str, str] = {}
    for part in re.split(r"^## (?=[A-Z]\. )", PLAN.read_text(encoding="utf-8"), flags=re.M)[1:]:
        for count, text in re.findall(r"^(\d+)\. (.*?)(?=\n\d+\. |\n\n|\Z)", part, re.M | re.S):
            texts[f"{part[0]} {count}"] = " ".join(text.split())
    return texts


def outcomes() -> list[Outcome]:
    """What became of each hypothesis, in the order of the plan."""
    texts = hypotheses() | UNNUMBERED
    every = sorted(JUDGES.items(), key=lambda judges: judges[0][0])  # by part, else as written
    return [_outcome(label, texts[label], judges) for label, judges in every]


def _outcome(label: str, text: str, judges: list[tuple[tuple[str, ...], Judge]]) -> Outcome:
    names = tuple(dict.fromkeys(name for experiments, _ in judges for name in experiments))
    if not all(map(_complete, names)):
        return Outcome(label, names, text, "open", "")
    claims, said = defaultdict(list), []
    for experiments, look in judges:
        for claimed, numbers in look(*map(comparisons.rows, experiments)):
            said.append(str(numbers))
            for name, so in claimed.items():
                claims[name].append(so)
    became = verdict([_every(so) for so in claims.values()])
    return Outcome(label, names, text, became, "; ".join(dict.fromkeys(said)))


def _complete(name: str) -> bool:
    stored = name in reading.names()
    return stored and comparisons.rows(name).attrs["runs"] >= EXPERIMENTS[name].total()


def verdict(claims: list[bool | None]) -> str:
    """What became of a hypothesis, from its claims; None: the rows allow it, and its contrary."""
    if any(claims):
        return "holds" if all(claims) else "half"
    return "lost" if False in claims else "undecided"


def _every(so: list[bool | None]) -> bool | None:
    return False if False in so else None if None in so else True
