"""Living figures that count: what waves add to each other, and what a KAN loses as tables."""

from __future__ import annotations

import math

import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from .. import plots, splines
from . import bundle
from .widget import LivingFigure

__all__ = ["Bits", "Waves"]

LINE = torch.linspace(-1, 1, 401, dtype=torch.float64).unsqueeze(-1)
FORMER = {"color": "#888888", "linewidth": 7, "alpha": 0.45}
HALF = 0.5 - 1e-6  # what lies in the middle is rounded down, by every machine
ENTRIES, WIDTHS = (5, 9, 17, 33, 65), tuple(range(2, 13))
# What a KAN [2, 3, 1] has learned of the friction by kanbook.fit, to four decimals: nine edges,
# input by input, that are cubic splines of three intervals from -1 to 1.
FRICTION = [
    [-1.403, -0.8416, -0.2802, 0.2812, 0.8425, 1.4039],
    [-1.3907, -0.8343, -0.2779, 0.2785, 0.8349, 1.3913],
    [1.3225, 0.2255, -0.019, 0.0201, -0.2263, -1.3274],
    [-0.2773, -0.1666, -0.0558, 0.0549, 0.1656, 0.2764],
    [0.2757, 0.1653, 0.0549, -0.0555, -0.1658, -0.2762],
    [2.1236, 0.4838, 0.0299, -0.0288, -0.4828, -2.1228],
    [24.0819, 0.3363, -2.238, 2.2447, -0.3299, -24.076],
    [-24.4869, -0.3568, 2.2701, -2.2708, 0.3558, 24.4851],
    [0.2707, 0.1613, 0.0519, -0.0575, -0.1669, -0.2763],
]


class Bits(LivingFigure):
    """A KAN whose edges are tables: what entries and bits cost on an edge, and in the answer.

    It has learned the friction (1 - x^2) v, in units of its standard deviation. Tables are read
    with lines, and rounded in one unit for all edges of a layer, from minus to plus the largest
    value, or each from its least value, in a unit of its own.

    Attributes:
        bits: of an entry, 2 to 12.
        entries: of a table, 5, 9, 17, 33 or 65.
        own: whether each edge has a zero and a unit of its own.
        edge: the one that is drawn, from 0 to 8: six of the first layer, then three.

    Raises:
        traitlets.TraitError: a value is not allowed, now or when it is set later.

    Example:
        >>> Bits(bits=6)
        Bits()

    In the book: chapter 18.
    """

    _esm = bundle.script("living_bits")
    _css = bundle.style("page", "living")

    bits = traitlets.Int(8, min=WIDTHS[0], max=WIDTHS[-1]).tag(sync=True)
    entries = traitlets.Enum(ENTRIES, 33).tag(sync=True)
    own = traitlets.Bool(False).tag(sync=True)
    edge = traitlets.Int(8, min=0, max=8).tag(sync=True)
    _coef = traitlets.List(traitlets.List(traitlets.Float()), FRICTION).tag(sync=True)

    def _draw(self, figure: Figure) -> None:
        figure.set_size_inches(7.2, 3)
        left, right = figure.subplots(1, 2)
        tables = _tables(self.entries, self.bits, self.own)
        place, exact, rounded, unit = tables[self.edge]
        left.plot(place, exact, **FORMER)
        left.plot(place, rounded, **plots.ROLES["KAN"])
        steps, of = np.ptp(exact) / unit, 2**self.bits - 2 + self.own
        left.set(xlabel="what reaches the edge", xlim=(-1.1, 1.1), ylim=(-2.6, 2.6))
        left.set_title(f"the edge, {max(1, round(steps))} of {of} steps", fontsize=12)
        x = LINE.flatten().numpy()
        right.plot(x, _friction(x, 0.5), **plots.ROLES["target"])
        right.plot(x, _answer(tables, x, np.full_like(x, 0.5)), **plots.ROLES["KAN"])
        right.set(xlabel="place, at half the speed", ylim=(-2.3, 1.1))
        right.set_title(f"the answer, {100 * _missed(tables):.2g} % missed", fontsize=12)


def _friction(x: np.ndarray, v: float | np.ndarray) -> np.ndarray:
    return (1 - 4 * x**2) * 3 * v / math.sqrt(3 * (1 - 8 / 3 + 16 / 5))


def _tables(entries: int, bits: int, own: bool) -> list[tuple[np.ndarray, ...]]:
    """Of each edge the places, the entries, those rounded, and the unit."""
    knots = splines.uniform_knots(3, 3, dtype=torch.float64)
    coef = torch.tensor(FRICTION, dtype=torch.float64)
    tables, x = [], torch.cartesian_prod(*[torch.linspace(-1, 1, 21, dtype=torch.float64)] * 2)
    for layer in (coef[:6].view(2, 3, 6), coef[6:].view(3, 1, 6)):
        low, high = x.aminmax(dim=0)
        parts = torch.linspace(0, 1, entries, dtype=torch.float64).unsqueeze(1)
        places = low + parts * (high - low)
        heights = splines.evaluate(places, layer, knots, 3).flatten(1)
        units = torch.full_like(heights[0], heights.abs().max() / (2 ** (bits - 1) - 1))
        zeros = torch.zeros_like(units)
        if own:
            zeros, units = heights.amin(0), (heights.amax(0) - heights.amin(0)) / (2**bits - 1)
        rounded = zeros + units * ((heights - zeros) / units + HALF).floor()
        at = places.repeat_interleave(layer.shape[1], 1)
        columns = (each.T.numpy() for each in (at, heights, rounded))
        tables += zip(*columns, units.numpy(), strict=True)
        x = splines.evaluate(x, layer, knots, 3).sum(1)
    return tables


def _answer(tables: list[tuple[np.ndarray, ...]], x: np.ndarray, v: np.ndarray) -> np.ndarray:
    read = [(place, rounded) for place, _, rounded, _ in tables]
    hidden = [np.interp(x, *read[n]) + np.interp(v, *read[n + 3]) for n in range(3)]
    return sum(np.interp(h, *table) for h, table in zip(hidden, read[6:], strict=True))


def _missed(tables: list[tuple[np.ndarray, ...]]) -> float:
    x, v = (grid.ravel() for grid in np.meshgrid(*[np.linspace(-1, 1, 41)] * 2))
    return float(np.sqrt(np.mean((_answer(tables, x, v) - _friction(x, v)) ** 2)))


class Waves(LivingFigure):
    """Sines and cosines go in, curves come out: what does each wave add to those before it?

    On a wave stand the nine cubic splines of six intervals, or one weight. A function is new if the
    functions before it, at the centers of the pixels, leave more than a thousandth of it.

    Attributes:
        frequencies: from 1 to 5; each, of 1, 2, 4, ... periods, has a sine and a cosine.
        pixels: of a side of the picture, 16, 32, 64 or 128.
        curves: whether splines, not one weight, stand on a wave.
        wave: the one whose function is drawn, from 0.
        bump: the spline that is drawn, from 0 to 8.

    Raises:
        traitlets.TraitError: a value is not allowed, now or when it is set later.

    Example:
        >>> Waves(frequencies=3)
        Waves()

    In the book: chapter 11.
    """

    _esm = bundle.script("living_waves")
    _css = bundle.style("page", "living")

    frequencies = traitlets.Enum((1, 2, 3, 4, 5), 5).tag(sync=True)
    pixels = traitlets.Enum((16, 32, 64, 128), 64).tag(sync=True)
    curves = traitlets.Bool(True).tag(sync=True)
    wave = traitlets.Int(5, min=0, max=9).tag(sync=True)
    bump = traitlets.Int(6, min=0, max=8).tag(sync=True)

    def _draw(self, figure: Figure) -> None:
        figure.set_size_inches(7.2, 3)
        left, right = figure.subplots(1, 2)
        added, functions, rests = _added(self.frequencies, self.pixels, self.curves)
        shown = min(self.wave, len(added) - 1)
        name, each = _named(shown), functions.shape[-1]
        left.bar(range(len(added)), each, fill=False, edgecolor="#888888")
        left.bar(range(len(added)), added, color=plots.ROLES["KAN"]["color"])
        left.set(xlabel="waves", ylabel="functions (filled: new)")
        left.set_xticks([shown], [name])
        left.set_title(f"{sum(added)} of {each * len(added)} are independent", fontsize=12)
        bump = self.bump if self.curves else 0
        function = functions[shown, self.pixels :, bump]
        right.plot(LINE, function, **FORMER)
        right.plot(LINE, function - rests[shown, self.pixels :, bump], **plots.ROLES["KAN"])
        right.set(xlabel="x", ylim=(-0.1, 0.75) if self.curves else (-1.1, 1.1))
        right.set_title(f"on {name}; thin: by the waves before", fontsize=12)


def _named(wave: int) -> str:
    times = "" if wave < 2 else str(2 ** (wave // 2))
    return f"{'cos' if wave % 2 else 'sin'} {times}\u03c0x"


def _added(frequencies: int, pixels: int, curves: bool) -> tuple[list[int], Tensor, Tensor]:
    """Of each wave the number of new functions; all functions, and what the waves before leave.

    Both are of shape ``(waves, pixels + 401, functions)``, along x behind the pixels.
    """
    centers = (torch.arange(pixels, dtype=torch.float64) + 0.5) / pixels * 2 - 1
    x, t = torch.cat([centers, LINE.flatten()]), splines.uniform_knots(6, 3, dtype=torch.float64)
    found, added, functions, rests = x.new_zeros(len(x), 0), [], [], []

    def rest(columns: Tensor) -> Tensor:
        for _ in range(2):
            columns = columns - found @ (found[:pixels].T @ columns[:pixels])
        return columns

    for wave in range(2 * frequencies):
        turn = 2 ** (wave // 2) * math.pi * x
        values = turn.cos() if wave % 2 else turn.sin()
        functions.append(splines.basis(values, t, 3) if curves else values.unsqueeze(-1))
        rests.append(rest(functions[-1]))
        before = found.shape[1]
        for column in functions[-1].T.unsqueeze(-1):
            left = rest(column)
            if (length := left[:pixels].norm()) > 1e-3 * max(column[:pixels].norm(), 1e-6):
                found = torch.cat([found, left / length], 1)
        added.append(found.shape[1] - before)
    return added, torch.stack(functions), torch.stack(rests)
