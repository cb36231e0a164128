"""Making stored runs again, and whether they agree."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from .table import Table

Row = dict[str, Any]
Make = Callable[..., Row]  # makes a run again, as ``Design.maker`` returns it
EARLY = 0.001  # relative difference that `judge` allows in the first 30 losses
# Of the range of a setting's seeds, see `judge`. Of the stored results, 97 % lie in that of their
# other seeds, widened by the first; of the tuning runs, with two seeds, 96 % by the second.
WIDER, WIDER_OF_FEW = 5.0, 10.0


def sample(
    rows: list[Row], count: int | None, *, seed: int = 0, cheapest: bool = False
) -> list[Row]:
    """Of these rows all, the quickest, or a few that chance draws with this seed."""
    if count is None:
        return rows
    if cheapest:
        return sorted(rows, key=lambda row: row["seconds"])[:count]
    return random.Random(seed).sample(rows, min(count, len(rows)))


def verify_training(
    make: Make, table: Table, stored: Row, *, seconds: float, device: str
) -> tuple[bool, str]:
    """Train again, for so many seconds at most; whether it agrees, and one line with the reason."""
    again = rerun(make, stored, seconds=seconds, device=device)
    good, why = judge(table, stored, again)
    steps = f"seed {stored['seed']}, {again['steps']} of {stored['settings']['steps']} steps"
    changed = f"; not equal: {', '.join(again['changed'])}" if again["changed"] else ""
    return good, f"{steps}: {why}{changed}"


def rerun(
    make: Make, stored: Row, *, seconds: float = math.inf, device: str = "cpu"
) -> dict[str, Any]:
    """Train a stored run again, or its beginning in so many ``seconds``, and compare.

    Returns:
        ``steps``: how far the new run got; ``early``: the largest relative difference of the
        losses in the first 30 evaluations, or to the first that is more than twice the loss at the
        start; ``end``: its losses at the end, by name, None where not finite; ``points``: of the
        curve, if time ran out, else None; ``changed``: names of the numbers that are not equal, but
        for times; ``identical``: whether there are none.

    Raises:
        ValueError: the run is no training.
    """
    if "curve" not in stored:
        raise ValueError(f"run {stored['run']} is no training; expected one with a curve of losses")
    new = make(device=device, limit=seconds)
    curve, old, complete = new["curve"], stored["curve"], new["complete"]
    n = len(curve["step"])
    early = []
    for count, a, b in zip(curve["evaluations"], curve["loss"], old["loss"], strict=False):
        if count <= 30:
            early.append(_difference(a, b))
        if count > 30 or _finite(b) > 2 * _finite(old["loss"][0]):
            break
    changed = [
        f"curve: {name}"
        for name in ("step", "evaluations", "loss")
        if curve[name] != old[name][: None if complete else n]
    ]
    if complete:
        timed = ("curve", "seconds")
        changed += [name for name in new if name not in timed and new[name] != stored.get(name)]
    points = None if complete else n
    return {
        "steps": curve["step"][-1] if n else 0,
        "early": max(early, default=0.0),
        "end": end(new, points),
        "points": points,
        "changed": changed,
        "identical": not changed,
    }


def end(row: Row, points: int | None = None) -> dict[str, float | None]:
    """The losses at the end of a run, or after so many points of its curve."""
    if points is None:
        names = ("loss", "test_loss", "validation_error", "test_error", "p90")
        return {name: row[name] for name in names if name in row}
    losses = row["curve"]["loss"]  # of a run that diverged before, they end there
    return {"loss": losses[points - 1] if points <= len(losses) else None}


def judge(table: Table, stored: Row, again: dict[str, Any]) -> tuple[bool, str]:
    """Whether what :func:`rerun` returned agrees with a stored run, and one line with the numbers.

    The beginning is judged strictly. The end is not: long trainings, and steps so large that the
    loss leaps, amplify the rounding errors in which processors differ, until the run is as good as
    one with another seed. So each loss at the end must lie within the range of the stored seeds of
    the same settings, widened by the factor ``WIDER`` on both sides; by ``WIDER_OF_FEW`` if there
    are fewer than three. Where the curves are equal to the last digit no rounding has grown, and
    the end is judged as the beginning.
    """
    begins = f"first 30 evaluations {again['early']:.1e} off, {EARLY:.1e} allowed"
    if again["early"] > EARLY:
        return False, begins
    if again["identical"]:
        return True, "to the last digit"
    what = stored["stage"], stored["settings"]
    alike = [row for row in table.runs.values() if (row["stage"], row["settings"]) == what]
    wider = WIDER if len(alike) >= 3 else WIDER_OF_FEW
    by = f"{len(alike)} seed(s)"
    if not any(name.startswith("curve") for name in again["changed"]):
        alike, wider, by = [stored], 1 + EARLY, "an equal curve"
    ends = [end(row, again["points"]) for row in alike]
    good, texts = True, [begins]
    for name, loss in again["end"].items():
        losses = [_finite(ended.get(name)) for ended in ends]
        low, high = min(losses) / wider, max(losses) * wider
        good = good and low <= _finite(loss) <= high
        texts.append(f"{name} {_finite(loss):.2e}, {low:.2e} to {high:.2e} allowed by {by}")
    return good, "; ".join(texts)


def _finite(loss: float | None) -> float:
    """A stored loss, infinite where it was not finite."""
    return math.inf if loss is None else loss


def _difference(a: float | None, b: float | None) -> float:
    """Relative; of losses that were not finite (None): none if both are, else infinite."""
    if a is None or b is None:
        return 0.0 if a is b else math.inf
    return abs(a - b) / max(abs(a), abs(b), 1e-300)
