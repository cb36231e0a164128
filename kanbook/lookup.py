r"""Lookup tables: a trained KAN in integers, for chips without a floating-point unit.

An edge is a function of one number, so a table of its values at equal steps can stand for it. A
network of them takes look-ups, shifts and sums and, to interpolate, one multiplication an edge.

Two freedoms of a KAN cost nothing. A constant may move from an edge into the bias of its node, so
every table begins at 0, in unsigned integers. And a hidden node may count in any unit from any
zero, so its values fill the tables behind it exactly. That edges differ in size remains: for that,
each has a scale of its own, a power of two.

In the book: chapter 18.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from . import splines
from ._checks import check_features, check_inputs, check_integer, check_name
from .functions import Formula, FormulaLayer
from .layers import KANLayer
from .networks import in_a_row
from .tanh import TanhLayer

__all__ = ["TableLayer", "Tables", "to_tables"]

POINTS = 4  # at which an edge is looked at in each step of its table
ROWS, CHUNK = 1024, 2**20  # samples, and values of edges, that are worked at at a time
TYPES = {"shifts": "uint8", "bias": "int32", "low": "float64", "unit": "float64"}
Edges = Callable[[Tensor], Tensor]  # from (N, I) to (N, I, O)


@dataclass(frozen=True, eq=False)
class TableLayer:
    r"""A layer of tables: from integers q, shape (N, I), to integers y, shape (N, O).

    An input below 0 or above ``last`` counts as these. With f the ``fraction``, T the ``entries``,
    s the ``shifts`` and b the ``bias``,

    .. math::
        k_i = \lfloor 2^{-f} q_i \rfloor, \qquad r_i = q_i - 2^f k_i, \qquad
        y_o = b_o + \sum_i \left\lfloor 2^{-s_{io}} \bigl( 2^f T_{i,o,k_i}
            + (T_{i,o,k_i+1} - T_{i,o,k_i}) \, r_i \bigr) \right\rfloor

    or, without interpolation, :math:`y_o = b_o + \sum_i 2^{s_{io}} T_{i,o,k_i}`. No term of the sum
    is negative, and no q makes anything in it larger than 31 bits.

    Attributes:
        entries: shape (I, O, E), uint8 or uint16.
        shifts: shape (I, O), uint8, from 0 to 31.
        bias: shape (O,), int32.
        fraction: how many of an input's lower bits say where between two entries it is.
        interpolate: whether there is a line between two entries, E - 1 lines; else E stairs.
        low, unit: shape (I,), float64: an input q stands for the number low + unit q.
    """

    entries: np.ndarray
    shifts: np.ndarray
    bias: np.ndarray
    fraction: int
    interpolate: bool
    low: np.ndarray
    unit: np.ndarray

    @property
    def last(self) -> int:
        """The largest input that is not cut off."""
        return ((self.entries.shape[2] - self.interpolate) << self.fraction) - 1

    def __call__(self, q: np.ndarray) -> np.ndarray:
        table, (inputs, outputs, size) = self.entries.ravel(), self.entries.shape
        q = q.clip(0, self.last).astype(np.int32)[..., None]  # (N, I, 1)
        place = np.arange(inputs * outputs, dtype=np.int32).reshape(inputs, outputs) * size
        place = place + (q >> self.fraction)
        y = table[place].astype(np.int32)
        if self.interpolate:
            rise = (table[place + 1] - y) * (q & (1 << self.fraction) - 1)
            y = (y << self.fraction) + rise >> self.shifts
        else:
            y = y << self.shifts
        return self.bias + y.sum(1, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class Tables:
    """A network in integers, which :func:`to_tables` makes; it can be pickled, and saved as JSON.

    Attributes:
        layers: a :class:`TableLayer` for each layer.
        point: an output y stands for the number y / 2**point.

    Example:
        >>> from kanbook import KAN, export
        >>> x = torch.linspace(-1, 1, 100).unsqueeze(-1)
        >>> tables = to_tables(KAN([1, 2, 1], generator=0), x)
        >>> q = tables.scale_inputs([[-1.0], [0.0], [7.0]])
        >>> q.tolist(), tables.run(q).shape, tables.nbytes
        ([[0], [31744], [63487]], (3, 1), 144)
        >>> "void kan(const int32_t *x, int32_t *y)" in export.to_c(tables)
        True
    """

    layers: list[TableLayer]
    point: int

    @property
    def nbytes(self) -> int:
        """Bytes that all entries, shifts and biases take in flash memory."""
        parts = [(layer.entries, layer.shifts, layer.bias) for layer in self.layers]
        return sum(array.nbytes for arrays in parts for array in arrays)

    def scale_inputs(self, x: ArrayLike | Tensor) -> np.ndarray:
        """The integers, int32, nearest to numbers x, both (N, I); the ends for those beyond."""
        first = self.layers[0]
        q = (self._checked("x", x, "fiu") - first.low) / first.unit
        return np.rint(q).clip(0, first.last).astype(np.int32)

    def run(self, q: ArrayLike | Tensor) -> np.ndarray:
        """The outputs (N, O), int32, for inputs q, integers (N, I)."""
        q = self._checked("q", q, "iu")
        rows = max(1, CHUNK // max(layer.shifts.size for layer in self.layers))
        parts = [q[start : start + rows] for start in range(0, len(q), rows)] or [q]
        for layer in self.layers:
            parts = map(layer, parts)
        return np.concatenate([*parts])

    def predict(self, x: ArrayLike | Tensor) -> np.ndarray:
        """The outputs (N, O), float64, for numbers x, (N, I)."""
        return self.run(self.scale_inputs(x)) * 2.0**-self.point

    @torch.no_grad()
    def report(self, model: nn.Module | Formula, x: Tensor) -> list[dict[str, float]]:
        """What the tables of each layer cost.

        Args:
            model: of which they were made.
            x: samples of the inputs, shape (N, I); best others than those they were made with.

        Returns:
            For each layer a dict with its number ``layer``, from 1; ``error``, the root mean
            square, in units of the outputs' spread over x, of what changes if it and those before
            it are tables; ``cut_off``, the share of its inputs that lie beyond its tables.
        """
        layers, x = edge_layers(model, x)
        exact, rows = _outputs(layers, x), []
        spread = (exact - exact.mean(0)).square().mean().sqrt()
        q = np.rint((x.numpy() - self.layers[0].low) / self.layers[0].unit)
        for n, layer in enumerate(self.layers, start=1):
            beyond = np.mean((q < 0) | (q > layer.last + 1))
            q = layer(q)
            values = q * 2.0**-self.point
            if n < len(self.layers):
                after = self.layers[n]
                values = after.low + after.unit * q.clip(0, after.last)
            off = _outputs(layers[n:], torch.from_numpy(values)) - exact
            error = off.square().mean().sqrt() / spread
            rows.append({"layer": n, "error": error.item(), "cut_off": beyond.item()})
        return rows

    def to_dict(self) -> dict[str, Any]:
        """What :func:`kanbook.export.to_dict` returns of it."""
        layers = []
        for layer in self.layers:
            inputs, outputs, _ = layer.entries.shape
            own = {name: np.asarray(value).tolist() for name, value in vars(layer).items()}
            own |= {"in_features": inputs, "out_features": outputs}
            layers.append({"kind": "lookup", "dtype": str(layer.entries.dtype)} | own)
        head = {"format": "kanbook", "version": 1, "network": "Tables", "point": self.point}
        return head | {"layers": layers}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tables:
        """The tables that :meth:`to_dict` described."""
        layers = []
        for layer in data["layers"]:
            types = TYPES | {"entries": layer["dtype"]}
            own = {name: layer[name] for name in TableLayer.__dataclass_fields__}
            layers.append(TableLayer(**own | {k: np.array(own[k], types[k]) for k in types}))
        return cls(layers, data["point"])

    def _checked(self, name: str, values: ArrayLike | Tensor, kinds: str) -> np.ndarray:
        values = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
        kind, dtype = ("numbers", np.float64) if "f" in kinds else ("integers", np.int64)
        inputs = len(self.layers[0].low)
        if values.dtype.kind not in kinds:
            raise TypeError(f"{name} has dtype {values.dtype}; expected {kind}")
        if values.ndim != 2 or values.shape[1] != inputs:
            raise ValueError(f"{name} has shape {values.shape}; expected (N, {inputs})")
        if np.isnan(values).any():
            raise ValueError(f"{name} has nan in it; expected {kind}")
        return values.astype(dtype)


@torch.no_grad()
def to_tables(
    model: nn.Module | Formula,
    x: Tensor,
    *,
    entries: int = 32,
    bits: int = 8,
    interpolate: bool = True,
    scales: str = "edge",
    centered: bool = True,
    input_bits: int = 16,
) -> Tables:
    r"""Make lookup tables of a trained KAN.

    A table has equal steps over the range of the values that reach its edge on samples x. With
    interpolation it is the line from entry to entry, without it the staircase, that is nearest to
    the edge in the sense of least squares: a spline of degree 1 or 0, whose coefficients are then
    rounded. Sums are in the finest unit that keeps all of them in 32 bits, so that of everything
    that is rounded only the entries matter.

    An input counts from 0, for its smallest sample, to ``2**input_bits``, for its largest, if
    ``entries - 1`` is a power of two (without interpolation, if ``entries`` is), else to somewhat
    less. So the n bits of an analog-to-digital converter can be taken as they are, shifted left by
    ``input_bits - n``, if the samples reach from its 0 to its full scale.

    Args:
        model: layers of edges in a row, or one: ``KANLayer``, ``TanhLayer`` (without a tanh of
            sums), ``FormulaLayer``; or a :class:`~kanbook.functions.Formula`. An ``nn.Linear``
            after one becomes part of its edges, and so does one before the first if it scales and
            shifts each input alone; else its weights become edges.
        x: samples of the inputs, shape (N, I): many, up to the ends of what may come, since values
            beyond those that they reach are cut off, in every layer.
        entries: of each table, 4 to 4096.
        bits: of each entry, 2 to 16; up to 8 take one byte, more take two.
        interpolate: between entries.
        scales: who has a unit of entries in common: nobody, ``"edge"``; all edges into an
            ``"output"``; all in a ``"layer"``. Units are rounded up to powers of two times the unit
            in which the output counts.
        centered: let each edge's smallest value be its entries' zero; else entries reach from minus
            to plus the largest size in their layer.
        input_bits: of the inputs.

    Raises:
        TypeError, ValueError: the model holds other modules, or an edge that is not finite; x does
            not fit it; another argument is out of range.

    Example:
        >>> from kanbook import KAN
        >>> x = torch.rand(100, 2, generator=torch.Generator().manual_seed(0))
        >>> model = KAN([2, 3, 1], generator=0)
        >>> [row["error"] < 0.01 for row in to_tables(model, x).report(model, x)]
        [True, True]
    """
    check_integer("entries", entries, 4, 4096)
    check_integer("bits", bits, 2, 16)
    check_name("scales", scales, ("edge", "output", "layer"))
    for name, value in (("interpolate", interpolate), ("centered", centered)):
        if not isinstance(value, bool):
            raise TypeError(f"{name}={value!r}; expected True or False")
    steps = entries - interpolate
    depth = (steps - 1).bit_length()  # upper bits of an input, for the place in a table
    finest = min(30 - depth, 31 - bits)  # lower ones, at most, in 31 bits and in their product
    check_integer("input_bits", input_bits, depth, depth + finest)
    layers, x = edge_layers(model, x)

    knots = splines.uniform_knots(steps, int(interpolate), (0, steps), dtype=x.dtype)
    u = (torch.arange(POINTS * steps, dtype=x.dtype) + 0.5) / POINTS
    basis = splines.basis(u, knots, int(interpolate))  # (M, E)
    fit = torch.linalg.solve(basis.T @ basis, basis.T)  # (E, M): from values to coefficients
    made, fraction = [], input_bits - depth
    low, step = _range(x, steps)
    unit = step * 2.0**-fraction
    for n, (edges, bias) in enumerate(layers, start=1):
        curves = torch.einsum("em,mio->ioe", fit, edges(low + step * u.unsqueeze(1)))
        if not curves.isfinite().all():
            raise ValueError(f"model has an edge in layer {n} that is not finite; expected none")
        x = _outputs([(edges, bias)], x)
        widest = fraction if interpolate else 31  # an entry may count as many bits of a sum
        next_low, step = _range(x, steps)
        limits = finest, min(depth, widest - 1)
        if n == len(layers):  # a power of two as the unit, and no tables to fill
            next_low, step, limits = 0 * bias, 0 * bias + 1, (1000, math.inf)
        parts = curves.numpy(), (bias - next_low).numpy(), step.numpy()
        found = _round(*parts, bits, widest, *limits, scales, centered)
        rounded, shifts, bias, step, next_fraction = found
        layer = rounded, fraction - shifts if interpolate else shifts, bias
        types = np.uint8 if bits <= 8 else np.uint16, np.uint8, np.int32
        layer = [array.astype(dtype) for array, dtype in zip(layer, types, strict=True)]
        made.append(TableLayer(*layer, fraction, interpolate, low.numpy(), unit.numpy()))
        low, step, fraction = next_low, torch.from_numpy(step), next_fraction
        unit = step * 2.0**-fraction
    return Tables(made, fraction)


def _round(curves, constant, step, bits, widest, finest, room, scales, centered):
    """Integers for curves (I, O, E) and a constant (O,), whose sums count 2^-f steps (O,) as one.

    The f is the largest, at most ``finest``, with which sums have 32 bits and shifts are at most
    ``widest``. The steps grow where all sums together move less than one unit of the entries.

    Returns:
        Entries, shifts to the left, biases, steps, f.
    """
    zero, size = curves.min(2), np.ptp(curves, 2)
    if not centered:
        most = np.abs(curves).max()
        zero, size = np.full_like(zero, -most), np.full_like(zero, 2 * most)
    shared = {"edge": size, "output": size.max(0), "layer": size.max()}[scales] + 0 * size
    least, constant = shared / (2**bits - 1), constant + zero.sum(0)
    step = np.maximum(step, least.sum(0) * 2.0**-room)
    f = min(finest, 32 - np.frexp((np.abs(constant) + size.sum(0)) / step)[1].max())
    while True:
        unit = step * 2.0**-f
        shifts = np.frexp(least / unit)[1].clip(0)
        bias, one = np.rint(constant / unit), unit * 2.0**shifts
        highest = bias + (np.rint(size / one) * 2.0**shifts).sum(0)
        if max(-bias.min(), highest.max()) < 2**31 and shifts.max() <= widest:
            return np.rint((curves - zero[..., None]) / one[..., None]), shifts, bias, step, int(f)
        f -= 1


def _range(x: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The least value of each column, and the step that as many times makes the largest."""
    low, high = x.aminmax(dim=0)
    moves = high - low > 2.0**-40 * torch.maximum(low.abs(), high.abs())  # more than by rounding
    return low, torch.where(moves, high - low, 1.0) / steps


def edge_layers(model: nn.Module | Formula, x: Tensor) -> tuple[list[tuple[Edges, Tensor]], Tensor]:
    """Each layer's edges and biases, (O,), and samples x that fit them; all in float64."""
    check_inputs("x", x)
    model = model.network if isinstance(model, Formula) else model
    modules = in_a_row(copy.deepcopy(model).cpu().double()) if isinstance(model, nn.Module) else []
    layers, line = [], None  # of the first layer, if it only scales and shifts each input
    for module in modules or [model]:
        fits = isinstance(module, (KANLayer, TanhLayer, FormulaLayer, nn.Linear))
        if not fits or getattr(module, "tanh", None) == "sum":
            expected = "expected layers of edges in a row, such as KAN, and nn.Linear"
            raise TypeError(f"model holds {module!r}; {expected}")
        bias = torch.zeros(module.out_features, dtype=torch.float64)
        bias = bias if module.bias is None else module.bias
        if not isinstance(module, nn.Linear):
            edges = module.edges
            if line is not None:
                layers, edges = [], lambda x, f=edges, a=line[0], b=line[1]: f(a * x + b)
            layers.append((edges, bias))
        elif layers:
            weight, (edges, before) = module.weight.T, layers.pop()
            layers.append((lambda x, f=edges, w=weight: f(x) @ w, before @ weight + bias))
        else:
            weight = module.weight.T
            layers.append((lambda x, w=weight: x.unsqueeze(-1) * w, bias))
            line = (weight.diag(), bias) if torch.equal(weight, weight.diag().diag()) else None
            continue
        line = None
    check_features(x, modules[0].in_features, "x", x)
    return layers, x.detach().cpu().double()


def _outputs(layers: list[tuple[Edges, Tensor]], x: Tensor) -> Tensor:
    for edges, bias in layers:
        x = torch.cat([edges(part).sum(1) for part in x.split(ROWS)]) + bias
    return x
