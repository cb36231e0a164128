"""A dozen formulas that a KAN could hold, turned, with several starts for everyone.

What is asked and what is expected stands in ``plan.md``, part N.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ..design import Measurement, experiment
from ..settings import Settings, kan, mlp, samples, sized
from . import trials

FORMULAS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "exp(sin pi u + v^2)": lambda u, v: torch.exp(torch.sin(torch.pi * u) + v**2),
    "u v": lambda u, v: u * v,
    "sin(3 u) exp v": lambda u, v: torch.sin(3 * u) * torch.exp(v),
    "1 / (1 + 2 u^2 + v^2)": lambda u, v: 1 / (1 + 2 * u**2 + v**2),
    "tanh(2 u + v^3)": lambda u, v: torch.tanh(2 * u + v**3),
    "sqrt(1 + 4 u^2 + v^2)": lambda u, v: torch.sqrt(1 + 4 * u**2 + v**2),
    "cos 4 u + sin 3 v": lambda u, v: torch.cos(4 * u) + torch.sin(3 * v),
    "log(2 + sin 3 u + v / 2)": lambda u, v: torch.log(2 + torch.sin(3 * u) + v / 2),
    "exp(-3 u^2 - v^2)": lambda u, v: torch.exp(-3 * u**2 - v**2),
    "sin(u^2 + 2 v)": lambda u, v: torch.sin(u**2 + 2 * v),
    "(u + v^2)^3": lambda u, v: (u + v**2) ** 3,
    "arctan(3 u) cos 2 v": lambda u, v: torch.atan(3 * u) * torch.cos(2 * v),
}
ANGLE = math.pi / 6
PARTS = {"train": 3000, "validation": 1000, "test": 10_000}
STARTS = 5


def turned_samples(settings: Settings, seed: int, device: str) -> list[tuple[Tensor, Tensor]]:
    """Places ``(N, 2)``, uniform on the square, and values ``(N, 1)`` of mean 0 and deviation 1."""
    name = settings["task"].removeprefix("turned:")
    generator = torch.Generator().manual_seed(10_000 + seed)
    c, s = math.cos(ANGLE), math.sin(ANGLE)
    parts = []
    for n in PARTS.values():
        x = 2 * torch.rand(n, 2, dtype=torch.float64, generator=generator) - 1
        u, v = (x @ torch.tensor([[c, s], [-s, c]], dtype=torch.float64)).unbind(1)
        parts.append((x, FORMULAS[name](u, v)[:, None]))
    mean, deviation = parts[0][1].mean(), parts[0][1].std()
    where = trials.place(settings, device)
    return [(x.to(**where), ((y - mean) / deviation).to(**where)) for x, y in parts]


@trials.ready()
def train_starts(settings: Settings, seed: int, *, device: str = "cpu", **how: Any) -> dict:
    """Train a network from several starts on the same samples.

    Returns:
        As :func:`~evidence.runs.trials.run_trial` of the start with the least ``validation_error``,
        which is its RMSE in spreads, as is ``test_error``; with the ``seconds`` of all starts
        together; and ``starts``, of each its validation and test error, None where it diverged.
    """
    train, *others = turned_samples(settings, seed, device)
    starts, results = [], []
    for start in range(settings["starts"]):
        model, watch = trials.train_once(settings, 1000 * seed + start, train, device=device, **how)
        result = watch.told(model, watch.error(model, train))
        lost = result["diverged"]
        errors = [math.inf if lost else watch.error(model, part) ** 0.5 for part in others]
        starts.append([trials.rounded(error, 6) for error in errors])
        results.append((errors[0], start, result))
    _, best, result = min(results, key=lambda one: one[:2])
    validation, test = starts[best]
    result["seconds"] = trials.rounded(sum(one["seconds"] for *_, one in results), 4)
    return result | {"validation_error": validation, "test_error": test, "starts": starts}


def settings() -> Iterable[Settings]:
    """Formulas with turned inputs, by Levenberg-Marquardt: is the KAN's lead luck?"""
    for name in FORMULAS:
        base = samples(f"turned:{name}", 60, dtype="float64", optimizer="lm", starts=STARTS)
        for degree, half, last in ((3, 11, 22), (5, 10, 20)):  # all have 375 parameters
            network = kan(5, degree, widths=[2, 5, 1], update_before=True)
            network["extend_grid"] = [[1 / 3, half], [2 / 3, last]]
            yield base | network | {"contestant": f"KAN, degree {degree}"}
        for activation in ("tanh", "sine"):
            network = sized(base | mlp(activation, steps=70), 375, 2, ends=(2, 1))
            yield network | {"contestant": f"MLP, {activation}"}


EXPERIMENT = experiment(
    "turned", (14, 19), measurement=Measurement(train_starts), seeds=3, minutes=40
)(settings)
