"""Building settings: what a network is, how it is trained, and widths for so many parameters."""

from __future__ import annotations

import contextlib
import math
from functools import cache
from itertools import product
from typing import Any

from kanbook.tasks import FORMULAS

from .runs import slices

Settings = dict[str, Any]
TOLERANCE = 0.02  # of parameter counts

# The settings, with "kinds", that say how many parameters a network of given widths has.
COUNTED = "model", "grid_size", "first_grid", "rank", "degree", "spline_weight", "base", "bias"


def parameters(settings: Settings, widths: list[int]) -> int:
    """Number of trainable parameters, by the formulas; quick, so that many widths can be tried.

    An edge of a spline layer holds G + k coefficients, and one weight more for each of two extras;
    an edge of a tanh layer 2, of a linear layer 1. A bias is one for each output.
    """
    kind = settings["model"]
    coefficients = settings.get("grid_size", 0) + settings.get("degree", 0)
    weighted = settings.get("spline_weight", False) and not replays(settings)
    spline = coefficients + weighted + ("base" in settings)
    bias = int(settings.get("bias", False))
    costs = {"kan": (spline, bias), "tanh": (2, bias), "linear": (1, 1)}  # of edges and of outputs
    names = {"kan": "kan", "naive-kan": "kan", "soft-kan": "kan", "tanh": "tanh"}
    kinds = settings.get("kinds") or [names.get(kind, "linear")] * (len(widths) - 1)
    total = 0
    for name, i, o in zip(kinds, widths[:-1], widths[1:], strict=True):
        edge, output = costs[name] if name != "tanh" or kind == "tanh" else (2, 1)
        total += edge * i * o + output * o
    if "first_grid" in settings:
        total += (settings["first_grid"] - settings["grid_size"]) * widths[0] * widths[1]
    if "rank" in settings:  # of the first layer's coordinates; see `runs.coordinates`
        total += (settings["rank"] - coefficients * widths[0]) * widths[1]
    return total + {"spline-mlp": coefficients, "node-tanh": 2}.get(kind, 0) * sum(widths[1:-1])


def replays(settings: Settings) -> bool:
    """Whether the network has the steps of spline weights and none itself; see `runs.weights`."""
    return settings.get("steps_of_weights") in ("rates", "median")


def sized(
    settings: Settings,
    target: int,
    hidden_layers: int,
    *,
    ends: tuple[int, int] | None = None,
    tolerance: float = TOLERANCE,
) -> Settings:
    """The settings with hidden widths that give ``target`` parameters, within ``tolerance``.

    All hidden layers are equally wide, except that the last may be up to twice or half as wide, as
    little different as possible. ``ends``, the numbers of inputs and outputs, follow from the task.

    Raises:
        ValueError: no such widths come as near.
    """
    counted = {name: settings[name] for name in COUNTED if name in settings}
    kinds, ends = tuple(settings.get("kinds", ())), ends or (inputs_of(settings), 1)
    widths = _widths(target, hidden_layers, ends, tolerance, kinds=kinds, **counted)
    if widths is None:
        raise ValueError(
            f"no widths with {hidden_layers} hidden layers come within {tolerance:.0%} of {target} "
            f"parameters for {settings}"
        )
    return settings | {"widths": [*widths]}


@cache
def _widths(
    target: int, hidden_layers: int, ends: tuple[int, int], tolerance: float, **settings: Any
) -> list[int] | None:
    """The search of `sized`, which asks the same for every task and every look at a contest."""
    best = (math.inf, math.inf), None
    for w in range(1, target):
        least = [ends[0], *[w] * (hidden_layers - 1), max(1, w // 2), ends[1]]
        if parameters(settings, least) > (1 + tolerance) * target:
            break
        for v in range(max(1, (w + 1) // 2), 2 * w + 1) if hidden_layers > 1 else (w,):
            widths = [ends[0], *[w] * (hidden_layers - 1), v, ends[1]]
            off = abs(parameters(settings, widths) / target - 1)
            if off <= tolerance:
                best = min(best, ((max(w, v) / min(w, v), off), widths))
    return best[1]


def first_sized(choices: list[Settings], *target: int, **ends: tuple[int, int]) -> Settings:
    """The first of these settings that can have so many parameters; what else, as of `sized`."""
    for settings in choices[:-1]:
        with contextlib.suppress(ValueError):
            return sized(settings, *target, **ends)
    return sized(choices[-1], *target, **ends)


def narrowed(settings: Settings, shape: tuple[int, ...], target: int) -> Settings:
    """The settings with hidden widths in about these proportions, as near to ``target`` as can be.

    The first may be up to 2 more or less. Raises a ValueError if no such widths come within 2 %.
    """
    every = []
    for scale, more in product([i / 1000 for i in range(10, 2000)], range(-2, 3)):
        first, *others = [max(2, round(scale * w)) for w in shape]
        every.append([inputs_of(settings), max(2, first + more), *others, 1])
    best = min(every, key=lambda widths: abs(parameters(settings, widths) - target))
    if abs(parameters(settings, best) / target - 1) > TOLERANCE:
        raise ValueError(f"no widths like {shape} have about {target} parameters for {settings}")
    return settings | {"widths": best}


def inputs_of(settings: Settings) -> int:
    if settings["task"].startswith("slices-"):
        return slices.inputs_of(settings)
    if settings["task"].startswith("image-"):
        return 4 * settings["frequencies"] or 2
    return FORMULAS[settings["task"]][0] if settings["task"] in FORMULAS else 1


def image(pixels: int, steps: int, frequencies: int = 4, **more: Any) -> Settings:
    base = {"task": f"image-{pixels}", "frequencies": frequencies}
    return base | {"optimizer": "adam", "steps": steps, "dtype": "float32"} | more


def samples(task: str, steps: int, **more: Any) -> Settings:
    return {"task": task, "optimizer": "adam", "steps": steps, "dtype": "float32"} | more


def kan(grid_size: int, degree: int = 3, **more: Any) -> Settings:
    return {"family": "KAN", "model": "kan", "grid_size": grid_size, "degree": degree} | more


def mlp(activation: str = "tanh", **more: Any) -> Settings:
    return {"family": "MLP", "model": "mlp", "activation": activation} | more


def tanh(bias: bool = True, **more: Any) -> Settings:
    return {"family": "tanh KAN", "model": "tanh", "bias": bias} | more


ALL = {"bias": True, "spline_weight": True, "base": "silu"}  # PyKAN's, of the layer
UPDATE = {"update_grid": 10}
RESTARTS = {"restart": 10}  # of the optimizer, at the same steps
