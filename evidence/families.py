"""The families of networks in the contests: what is drawn for each at random."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice

from .runs import coordinates
from .settings import Settings, sized
from .tasks import real_tables
from .tasks.tables import table
from .tasks.targets import named

TOLERANCE = 0.01  # of parameter counts, so that any two are within 2 %

Draw = Callable[[random.Random], Settings]


def _kan(r: random.Random) -> Settings:
    extras = r.choice([{}, {"bias": True}, {"bias": True, "base": "silu"}])
    start = r.choice(["lines", "uniform 0.1", "power law"])
    if start == "power law":  # it is one for the path of the base function, too
        extras = {"bias": True, "base": "silu"}
    fresh = r.choice([{}, {"restart": 10}, {"update_grid": 10}, {"update_grid": 10}])
    drawn = {"model": "kan", "start": start, "depth": r.choice([1, 2, 3])}
    return drawn | _spline(r) | extras | fresh


def _mlp(r: random.Random) -> Settings:
    activation = r.choice(["tanh", "silu", "relu", "sine"])
    return {"model": "mlp", "activation": activation} | _plain(r)


def _spline_mlp(r: random.Random) -> Settings:
    settings = {"model": "spline-mlp", "domain": r.choice([[-1, 1], [-3, 3]])} | _spline(r)
    settings |= {"depth": r.choice([1, 2, 3]), "input_scale": r.choice([1, 3])}
    return settings | r.choice([{}, {"restart": 10}, {"update_grid": 10}])


def _tanh(where: str) -> Draw:
    if where == "node":
        return lambda r: {"model": "node-tanh"} | _plain(r)
    return lambda r: {"model": "tanh", "tanh": where, "bias": True} | _plain(r)


def _spline(r: random.Random) -> Settings:
    return {"grid_size": r.choice([3, 5, 8, 12, 20]), "degree": r.choice([1, 2, 3])}


def _plain(r: random.Random) -> Settings:
    """What networks without a domain have to choose from."""
    settings = {"depth": r.choice([1, 2, 3, 4]), "input_scale": r.choice([1, 3, 10])}
    return settings | r.choice([{}, {"restart": 10}])


FAMILIES: dict[str, Draw] = {
    "KAN": _kan,
    "MLP": _mlp,
    "spline MLP": _spline_mlp,
    "tanh after the sum": _tanh("sum"),
    "tanh at the node": _tanh("node"),
    "tanh on every edge": _tanh("edge"),
}


# The second draws: of each family the range of rates, and what is drawn. Their ranges are wider
# where the first draws' best values lay at an end, and each holds the family's good rates.
REDRAWN: dict[str, tuple[tuple[float, float], Draw]] = {
    "KAN": (
        (0.003, 0.12),
        lambda r: (
            _kan(r)
            | {"depth": r.choice([1, 2, 3, 4]), "grid_size": r.choice([2, 4, 8, 16, 32])}
            | {"degree": r.choice([1, 2, 3, 5])}
        ),
    ),
    "MLP": (
        (0.006, 0.24),
        lambda r: (
            _mlp(r) | {"depth": r.choice([1, 2, 3, 4, 5]), "input_scale": r.choice([1, 3, 10, 30])}
        ),
    ),
}


@cache
def draw(family: str, number: int) -> Settings:
    """The settings of this number that chance draws for a family; the same for every task."""
    r = random.Random(f"{family} {number}")
    lr = float(f"{10 ** r.uniform(-3, -0.5):.2g}")
    return {"config": number, "lr": lr, "frequencies": r.randint(0, 5)} | FAMILIES[family](r)


def candidates(base: Settings, draws: int) -> list[Settings]:
    """The first drawn settings of a family that can have as many parameters as the task says.

    Where a grid size cannot, one larger or smaller by one or two may stand in for it. A task with
    "redraw", a number, has draws of its own: see ``REDRAWN``.
    """
    if "redraw" in base:
        fitting = [*_redrawn(base, draws)]
    else:
        drawn = (draw(base["family"], number) for number in range(100 * draws))
        fitting = [*islice(filter(None, (_fitting(base, settings) for settings in drawn)), draws)]
    if len(fitting) == draws:
        return fitting
    raise ValueError(
        f"size={base['size']!r}; expected one that more {base['family']} settings can have"
    )


def _redrawn(base: Settings, draws: int) -> Iterator[Settings]:
    """One rate from each of ``draws`` equal parts of the logarithmic range, in random order.

    With each the first of a hundred drawn networks that can have the wanted size. Rates are halved
    where the task is no formula.
    """
    (low, high), drawn = REDRAWN[base["family"]]
    name = f"{base['family']} redraw {base['redraw']}"
    if not base["task"].startswith("formula:"):
        low, high = low / 2, high / 2
    r = random.Random(name)
    for number, part in enumerate(r.sample(range(draws), draws)):
        lr = float(f"{low * (high / low) ** ((part + r.random()) / draws):.2g}")
        for attempt in range(100):
            chance = random.Random(f"{name} {number} {attempt}")
            settings = {"config": number, "lr": lr, "frequencies": chance.randint(0, 5)}
            settings |= drawn(chance)
            if fitting := _fitting(base, settings):
                yield fitting
                break


def _fitting(base: Settings, drawn: Settings) -> Settings | None:
    """The drawn settings with widths for the task's size, if there are any."""
    settings = {**drawn}
    if not base["task"].startswith("picture:"):
        del settings["frequencies"]
    if base["optimizer"] != "adam":
        del settings["lr"]
    tried = [settings]
    if grid_size := settings.get("grid_size"):
        others = (grid_size + more for more in (-1, 1, -2, 2))
        tried += [settings | {"grid_size": other} for other in others if other > 0]
    sizes = (_sized_or_none(base | settings, TOLERANCE) for settings in tried)
    return next(filter(None, sizes), None)


def fitted(settings: Settings) -> Settings:
    """Settings that nobody drew, with the widths that come closest to the task's size.

    Those of a grid that grows are counted at its end.
    """
    growth = settings.get("extend_grid")
    last = settings | ({"grid_size": growth[-1][1]} if growth else {})
    shaped = _sized_or_none(last, TOLERANCE) or _sized_or_none(last, 0.1)
    if shaped is None:
        raise ValueError(f"no widths give about {settings['size']} parameters for {settings}")
    return shaped | ({"grid_size": settings["grid_size"]} if growth else {})


def _sized_or_none(settings: Settings, tolerance: float) -> Settings | None:
    """The settings with widths for their size and depth, if there are any."""
    settings = {**settings}
    depth, (inputs, outputs) = settings.pop("depth"), ends(settings["task"])
    if frequencies := settings.get("frequencies"):
        inputs *= 2 * frequencies
    if settings.get("copies"):
        inputs *= 1 + coordinates.COPIES
    with contextlib.suppress(ValueError):
        return sized(settings, settings["size"], depth, ends=(inputs, outputs), tolerance=tolerance)
    return None


@cache
def ends(task: str) -> tuple[int, int]:
    """Numbers of inputs and outputs."""
    kind, _, name = task.partition(":")
    if kind == "formula":
        return named(name).inputs, 1
    if kind == "picture":
        return 2, 1
    if kind == "real":
        return real_tables.ends(name)
    data = table(name)
    return data.inputs.shape[1], data.classes or 1
