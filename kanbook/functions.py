"""Functions with a name, and networks whose edges they are. In the book: chapter 15."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ._checks import check_finite
from .layers import KANLayer
from .networks import Network

__all__ = ["LIBRARY", "Formula", "FormulaLayer", "Function", "Snap", "candidates"]

INF = math.inf


@dataclass(frozen=True)
class Function:
    """A function f that an edge may be, as c f(a x + b) + d.

    Args:
        f: of a tensor, element by element.
        text: the same in SymPy's notation, of u.
        free: which of ``"a"`` and ``"b"`` may be chosen, those that change what c and d cannot.
        domain: open interval of u in which f is defined and has no pole; NaN beyond.
        signs: of a, where a is not free.
        price: how many numbers this function counts for beside a, b, c and d.
    """

    f: Callable[[Tensor], Tensor]
    text: str
    free: str = "ab"
    domain: tuple[float, float] = (-INF, INF)
    signs: tuple[int, ...] = (1,)
    price: float = 1.0

    def __call__(self, u: Tensor) -> Tensor:
        low, high = self.domain
        v = self.f(u)
        return v if (low, high) == (-INF, INF) else torch.where((u > low) & (u < high), v, math.nan)


_RIGHT = {"free": "b", "domain": (0.0, INF), "signs": (1, -1)}

LIBRARY: dict[str, Function] = {
    "x": Function(lambda u: u, "u", free="", price=0),
    "x^2": Function(torch.square, "u**2", free="b"),
    "x^3": Function(lambda u: u**3, "u**3", free="b"),
    "exp": Function(torch.exp, "exp(u)", free="a"),
    "log": Function(torch.log, "log(u)", **_RIGHT),
    "sqrt": Function(torch.sqrt, "sqrt(u)", **_RIGHT),
    "1/x": Function(torch.reciprocal, "1/u", **_RIGHT),
    "1/x^2": Function(lambda u: u**-2, "1/u**2", **_RIGHT),
    "1/sqrt": Function(torch.rsqrt, "1/sqrt(u)", **_RIGHT),
    "sin": Function(torch.sin, "sin(u)"),
    "tanh": Function(torch.tanh, "tanh(u)"),
    "atanh": Function(torch.atanh, "atanh(u)", domain=(-1.0, 1.0)),
    "gauss": Function(lambda u: torch.exp(-(u**2)), "exp(-u**2)", price=2),
    "atan": Function(torch.atan, "atan(u)", price=2),
    "abs": Function(torch.abs, "Abs(u)", free="b", price=2),
    "asin": Function(torch.asin, "asin(u)", domain=(-1.0, 1.0), price=3),
}


class Candidate(NamedTuple):
    """A function fitted to a curve: the numbers of c f(a x + b) + d, and R^2."""

    name: str
    r2: float
    a: float
    b: float
    c: float
    d: float


@torch.no_grad()
def candidates(x: Tensor, y: Tensor, library: Mapping[str, Function] = LIBRARY) -> list[Candidate]:
    """Fit every function of a library to a curve: a and b from a table, c and d by least squares.

    Args:
        x, y: points of the curve, shape ``(N,)``.
        library: functions by name.

    Returns:
        The best of each function that is defined at all points, by falling R^2.

    Raises:
        TypeError, ValueError: x or y is not finite.

    Example:
        >>> x = torch.linspace(0.1, 2, 50)
        >>> candidates(x, torch.log(3 * x))[0].name
        'log'

    In the book: chapter 15.
    """
    check_finite("x", x)
    check_finite("y", y)
    fitted = []
    for name, function in library.items():
        ab = _starts(function, x)
        v = function(ab[:, :1] * x + ab[:, 1:])  # (m, N)
        defined = v.isfinite().all(1)
        if not defined.any():
            continue
        ab, v = ab[defined], v[defined]
        mean = v.mean(1)
        z, w = v - mean.unsqueeze(1), y - y.mean()
        c = (z @ w) / z.square().sum(1).clamp(min=1e-300)
        r2 = c * (z @ w) / w.square().sum().clamp(min=1e-300)
        best = r2.nan_to_num(-1).argmax()
        d = y.mean() - c[best] * mean[best]
        numbers = (r2[best], *ab[best], c[best], d)
        fitted.append(Candidate(name, *(number.item() for number in numbers)))
    return sorted(fitted, key=lambda candidate: -candidate.r2)


def _starts(function: Function, x: Tensor) -> Tensor:
    """Pairs (a, b) to try, shape (m, 2), by what they make of the range of x."""
    low, high = x.min(), x.max()
    center, half = (low + high) / 2, (high - low).clamp(min=1e-12) / 2
    like = {"dtype": x.dtype, "device": x.device}
    signs = torch.tensor(function.signs, **like).unsqueeze(1)
    near, far = function.domain
    if function.free == "":
        return torch.tensor([[1.0, 0.0]], **like)
    if function.free == "a":
        a = torch.logspace(-1.5, 1.2, 28, **like) / half
        return torch.stack([torch.cat([a, -a]), torch.zeros(56, **like)], 1)
    if function.free == "b":
        b = (half * torch.linspace(-3, 3, 61, **like) - center).expand(len(signs), -1)
        if near > -INF:  # the range begins a little inside the domain, or far
            end = near - torch.minimum(signs * low, signs * high)
            b = torch.logspace(-2.5, 1.5, 24, **like) * half + end
        return torch.stack([signs.expand_as(b), b], -1).flatten(0, 1)
    middle, widths = 0.0, torch.logspace(-1, 1.1, 40, **like)
    middles = torch.linspace(-3.2, 3.2, 25, **like)
    if near > -INF:  # a bounded domain
        middle, reach = (near + far) / 2, (far - near) / 2
        widths = torch.linspace(0.05, 0.995, 24, **like) * reach
        middles = torch.linspace(-0.95, 0.95, 15, **like) * reach
    h, m = torch.cartesian_prod(widths, middles).unbind(1)
    return torch.stack([h / half, middle + m - h * center / half], 1)


# --- networks of curves and functions ------------------------------------------------------------


class FormulaLayer(nn.Module):
    """A KAN layer, some or all of whose edges are functions c f(a x + b); with a bias.

    Attributes:
        splines: a KAN layer with the edges that are curves, or None if there are none.
        functions: (input, output, name, function) of each edge that has one.
        constants: parameter of shape ``(functions, 3)``: c, a, b.
        bias: parameter of shape ``(O,)``.
        free_constants, free_bias: buffers that say which of these numbers may change.

    Shape:
        ``(..., I)`` to ``(..., O)``.
    """

    def __init__(self, layer: KANLayer) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.splines: KANLayer | None = copy.deepcopy(layer)
        if layer.mask is None:
            self.splines.mask = torch.ones_like(layer.coef[..., 0])
        self.functions: list[tuple[int, int, str, Function]] = []
        self.constants = nn.Parameter(layer.knots.new_zeros(0, 3))
        self.bias = nn.Parameter(layer.knots.new_zeros(self.out_features))
        self.register_buffer("free_constants", torch.zeros(0, 3, dtype=torch.bool))
        self.register_buffer("free_bias", torch.ones(self.out_features, dtype=torch.bool))

    def curves(self) -> list[tuple[int, int]]:
        """The edges (input, output) that are curves."""
        mask = torch.zeros(0, 2) if self.splines is None else self.splines.mask
        return [(i, o) for i, o in mask.nonzero().tolist()]

    @torch.no_grad()
    def curve(self, i: int, o: int, x: Tensor) -> Tensor:
        """Values of the curve of an edge at x (N,)."""
        points = self.splines.knots.mean(1).repeat(len(x), 1)
        points[:, i] = x
        return self.splines.edges(points)[:, i, o]

    @torch.no_grad()
    def put(self, i: int, o: int, function: Function, start: Candidate) -> None:
        """Replace the curve of an edge by a function, with these numbers to begin with."""
        self.splines.mask[i, o] = 0
        if not self.splines.mask.any():
            if self.splines.bias is not None:
                self.bias += self.splines.bias
            self.splines = None
        self.bias[o] += start.d
        constants = self.constants.new_tensor([[start.c, start.a, start.b]])
        free = [[True, "a" in function.free, "b" in function.free]]
        self.functions = [*self.functions, (i, o, start.name, function)]
        self.constants = nn.Parameter(torch.cat([self.constants, constants]))
        self.free_constants = torch.cat([self.free_constants, self.free_constants.new_tensor(free)])

    @torch.no_grad()
    def drop(self, number: int) -> None:
        others = [n for n in range(len(self.functions)) if n != number]
        self.functions = [self.functions[n] for n in others]
        self.constants = nn.Parameter(self.constants[others])
        self.free_constants = self.free_constants[others]

    def places(self) -> list[tuple[str, tuple[int, ...]]]:
        """Where numbers that may change are: names and indices, biases first, then b, a and c."""
        constants = sorted(self.free_constants.nonzero().tolist(), key=lambda place: -place[1])
        places = [("bias", tuple(place)) for place in self.free_bias.nonzero().tolist()]
        return places + [("constants", tuple(place)) for place in constants]

    @torch.no_grad()
    def fix(self, name: str, place: tuple[int, ...], value: float) -> None:
        """Set a number and let no fit change it any more."""
        getattr(self, name)[place] = value
        getattr(self, f"free_{name}")[place] = False

    def fixed_numbers(self) -> int:
        """How many of the layer's own parameters may not change."""
        return int((~self.free_constants).sum() + (~self.free_bias).sum())

    def _values(self, u: Tensor) -> Tensor:
        columns = zip(self.functions, u.unbind(-1), strict=True)
        return torch.stack([f(column) for (*_, f), column in columns], -1)

    def _ends(self) -> tuple[list[int], Tensor]:
        """The input of each function, and (functions, O): 1 at its output."""
        inputs, outputs, *_ = zip(*self.functions, strict=True)
        return list(inputs), torch.eye(self.out_features).to(self.constants)[list(outputs)]

    def edges(self, x: Tensor) -> Tensor:
        """Return every edge's value, shape ``(..., I, O)``; their sum, plus bias, is the output."""
        values = x.new_zeros(*x.shape, self.out_features)
        if self.splines is not None:
            values = values + self.splines.edges(x)
        for (i, o, _, f), (c, a, b) in zip(self.functions, self.constants, strict=True):
            values[..., i, o] = c * f(a * x[..., i] + b)
        return values

    def forward(self, x: Tensor) -> Tensor:
        y = self.bias.where(self.free_bias, self.bias.detach())
        if self.splines is not None:
            y = y + self.splines(x)
        if self.functions:
            c, a, b = self.constants.where(self.free_constants, self.constants.detach()).unbind(1)
            inputs, outputs = self._ends()
            y = y + (c * self._values(a * x[..., inputs] + b)) @ outputs
        return y.expand(*x.shape[:-1], -1)

    @torch.no_grad()
    def jacobian(self, x: Tensor, slopes: Tensor) -> Tensor:
        """As :meth:`kanbook.layers.KANLayer.jacobian`."""
        if not self.functions:
            return slopes * self.free_bias
        c, a, b = self.constants.unbind(1)
        inputs, outputs = self._ends()
        with torch.enable_grad():
            u = (a * x[:, inputs] + b).requires_grad_()
            v = self._values(u)
            (derivative,) = torch.autograd.grad(v.sum(), u)
        g = slopes @ outputs.T
        inner = g * c * derivative
        parts = torch.stack([g * v, inner * x[:, inputs], inner], -1) * self.free_constants
        return torch.cat([parts.flatten(1), slopes * self.free_bias], 1)


class Snap(NamedTuple):
    """What became of one edge: the name of a function, or None where it stays a curve."""

    layer: int
    input: int
    output: int
    name: str | None


@dataclass
class Formula:
    """What :func:`kanbook.formulas.snap` and :func:`kanbook.formulas.discover` return.

    Attributes:
        network: layers whose edges are functions, or curves where no function fits.
        snaps: what became of each edge, in the order of the work.
        loss: mean squared error on the samples.
        curve_loss: that of the network of curves that the formula is compared with.
        complete: whether no curve is left, and the loss is as good as that of the curves.
    """

    network: Network
    snaps: list[Snap]
    loss: float
    curve_loss: float
    complete: bool

    def expression(self, names: Sequence[str] | None = None):
        """The first output as a SymPy expression; :meth:`expressions` has all."""
        return self.expressions(names)[0]

    def expressions(self, names: Sequence[str] | None = None) -> list[Any]:
        """Each output as a SymPy expression, in which rounded numbers are exact.

        A curve is an undefined function: ``s1_2_3`` in layer 1, from input 2 to output 3.

        Args:
            names: one for each input, else ValueError; x1, x2 and so on if not given.
        """
        import sympy

        inputs = self.network[0].in_features
        names = [f"x{i + 1}" for i in range(inputs)] if names is None else list(names)
        if len(names) != inputs:
            raise ValueError(f"names={names!r}; expected {inputs}, one for each input")
        values, u = [sympy.Symbol(name) for name in names], sympy.Symbol("u")
        for number, layer in enumerate(self.network, start=1):
            sums = [*map(_number, layer.bias.tolist(), layer.free_bias.tolist())]
            for i, o in layer.curves():
                sums[o] += sympy.Function(f"s{number}_{i + 1}_{o + 1}")(values[i])
            constants = zip(layer.constants.tolist(), layer.free_constants.tolist(), strict=True)
            for (i, o, _, f), (values_of_f, free) in zip(layer.functions, constants, strict=True):
                c, a, b = map(_number, values_of_f, free)
                sums[o] += c * sympy.sympify(f.text).subs(u, a * values[i] + b)
            values = sums
        return values

    def __str__(self) -> str:
        import sympy

        texts = []
        for expression in self.expressions():
            floats = {f: sympy.Float(f, 4) for f in expression.atoms(sympy.Float)}
            texts.append(str(expression.xreplace(floats)))
        return "\n".join(texts)


def _number(value: float, free: bool) -> Any:
    """A SymPy number; of one that is fixed, the fraction, or the part of pi, that it is."""
    import sympy

    if free:
        return sympy.Float(value)
    for unit, name in ((1.0, 1), (math.pi, sympy.pi)):
        part = Fraction(value / unit).limit_denominator(100)
        if abs(float(part) * unit - value) <= 1e-12 * max(abs(value), 1e-3):
            return sympy.Rational(part.numerator, part.denominator) * name
    return sympy.Float(value)
