"""Functions with a name, and networks whose edges they are. In the book: chapter 15."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ._checks import check_features, check_finite, check_like
from .layers import KANLayer
from .networks import Network

__all__ = ["LIBRARY", "Check", "Formula", "FormulaLayer", "Function", "Snap", "candidates"]

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


def _gauss(u: Tensor) -> Tensor:
    return torch.exp(-(u**2))


_RIGHT = {"free": "b", "domain": (0.0, INF), "signs": (1, -1)}

LIBRARY: dict[str, Function] = {  # no lambda: they can be pickled
    "x": Function(torch.positive, "u", free="", price=0),
    "x^2": Function(torch.square, "u**2", free="b"),
    "x^3": Function(partial(torch.pow, exponent=3), "u**3", free="b"),
    "exp": Function(torch.exp, "exp(u)", free="a"),
    "log": Function(torch.log, "log(u)", **_RIGHT),
    "sqrt": Function(torch.sqrt, "sqrt(u)", **_RIGHT),
    "1/x": Function(torch.reciprocal, "1/u", **_RIGHT),
    "1/x^2": Function(partial(torch.pow, exponent=-2), "1/u**2", **_RIGHT),
    "1/sqrt": Function(torch.rsqrt, "1/sqrt(u)", **_RIGHT),
    "sin": Function(torch.sin, "sin(u)"),
    "tanh": Function(torch.tanh, "tanh(u)"),
    "atanh": Function(torch.atanh, "atanh(u)", domain=(-1.0, 1.0)),
    "gauss": Function(_gauss, "exp(-u**2)", price=2),
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
        TypeError, ValueError: x or y is not finite, or not of a shape and dtype with the other.

    Example:
        >>> x = torch.linspace(0.1, 2, 50)
        >>> candidates(x, torch.log(3 * x))[0].name
        'log'

    In the book: chapter 15.
    """
    check_finite("x", x)
    check_like("y", y, "x", x)
    check_finite("y", y)
    if x.ndim != 1 or x.shape != y.shape or len(x) == 0:
        shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
        raise ValueError(f"x and y have shapes {shapes}; expected (N,) of both, N >= 1")
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


def divide_outputs(layer: KANLayer, by: Tensor) -> None:
    """Divide every output of a layer, in place, by its number of ``by``, shape (O,)."""
    layer.coef.div_(by.unsqueeze(-1))
    for part in (layer.base_weight, layer.bias):
        if part is not None:
            part.div_(by)


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

    @torch.no_grad()
    def take_inputs(self, x: Tensor, center: Tensor, size: Tensor) -> None:
        """Be the same function of x (N, I) that it was of (x - center) / size."""
        if self.splines is not None:
            self.splines.knots.mul_(size.unsqueeze(1)).add_(center.unsqueeze(1))
        for number, (i, o, _, f) in enumerate(self.functions):
            if center[i] == 0 and size[i] == 1:
                continue
            a, b = self.constants[number, 1:].clone()
            a, b = a / size[i], b - a * center[i] / size[i]
            self.constants[number, 1:] = torch.stack([a, b])
            # What is not free goes into c and the bias, if numbers allow that.
            unit = 1 if "a" in f.free else a.abs()
            a, b = a / unit, b / unit * ("b" in f.free)
            simple, values = f(a * x[:, i] + b), self.edges(x)[:, i, o]
            z, w = simple - simple.mean(), values - values.mean()
            c = (z @ w) / (z @ z)
            if (w - c * z).std() < 1e-9 * w.std():
                self.constants[number] = torch.stack([c, a, b])
                self.bias[o] += values.mean() - c * simple.mean()

    @torch.no_grad()
    def give_outputs(self, center: Tensor, size: Tensor) -> None:
        """Let outputs y become center + size y; numbers that are fixed stay so."""
        if self.splines is not None:
            divide_outputs(self.splines, 1 / size)
        self.constants[:, 0] *= size[[o for _, o, *_ in self.functions]]
        self.bias.mul_(size).add_(center)
        self.bias.masked_fill_(self.bias.abs() < 1e-12 * center.abs(), 0.0)

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
        check_features(x, self.in_features, "the constants", self.constants)
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


class Check(NamedTuple):
    """How a formula does on samples that its search has not seen.

    Attributes:
        samples: how many they are.
        left: the share of the targets' variance that the formula leaves there.
        noise: the share that is noise, by the curves' loss on the other samples; 0 without noise.
        off: standard deviations of chance by which more than noise is left, or by which the mean
            error is not zero where one input is far up, or far down: the largest of these.
        passed: with noise, whether ``off`` is at most 3; else, whether what is left is rounding
            error, or a hundredth of what curves leave on the other samples.
    """

    samples: int
    left: float
    noise: float
    off: float
    passed: bool


@dataclass(repr=False)
class Formula:
    """What :func:`kanbook.formulas.snap` and :func:`kanbook.formulas.discover` return.

    It can be called, as ``formula(x)`` with x of shape ``(..., I)``, copied, pickled and saved.

    Attributes:
        network: layers whose edges are functions, or curves where no function fits.
        snaps: what became of each edge that is left, in the order of the work.
        loss: mean squared error on the samples.
        curve_loss: that of the network of curves that the formula is compared with, on its finest
            grid: with noise, somewhat too low.
        complete: whether no curve is left, the loss is as good as that of the curves, and the
            check, if there is one, is passed.
        check: how it does on samples held out; None if there were none or the rest is not true.
        names: of the inputs, in text and expressions; x1, x2 and so on if None.
    """

    network: Network
    snaps: list[Snap]
    loss: float
    curve_loss: float
    complete: bool
    check: Check | None = None
    names: Sequence[str] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return self.network(x)

    @property
    def verdict(self) -> str:
        """Whether it is complete and how that was checked, or why it is not, in one line."""
        start = "complete: " if self.complete else "not complete: "
        curves = sum(snap.name is None for snap in self.snaps)
        if curves:
            return f"{start}edges that are curves: {curves}"
        if self.check is None or self.check.passed and not self.complete:
            held_out = "" if self.check else "; not checked on samples held out"
            losses = f"its loss is {self.loss:.3g}, that of curves {self.curve_loss:.3g}"
            return f"{start}{losses}{held_out}"
        samples, left, noise, off, _ = self.check
        text = f"{start}of the variance of {samples} samples held out it leaves {left:.2g}"
        return text if noise == 0 else f"{text}, noise is {noise:.2g} (off by {off:.1f} sigma)"

    def __repr__(self) -> str:
        return f"Formula({self._text()!r}, {self.verdict})"

    def expression(self, names: Sequence[str] | None = None):
        """The first output as a SymPy expression; :meth:`expressions` has all."""
        return self.expressions(names)[0]

    def expressions(self, names: Sequence[str] | None = None) -> list[Any]:
        """Each output as a SymPy expression, in which rounded numbers are exact.

        A curve is an undefined function: ``s1_2_3`` in layer 1, from input 2 to output 3.

        Args:
            names: one for each input, else ValueError; if not given, as the attribute says.
        """
        from ._expressions import expressions

        inputs = self.network[0].in_features
        names = self.input_names() if names is None else list(names)
        if len(names) != inputs:
            raise ValueError(f"names={names!r}; expected {inputs}, one for each input")
        return expressions(self.network, names)

    def input_names(self) -> list[str]:
        if self.names is not None:
            return list(self.names)
        return [f"x{i + 1}" for i in range(self.network[0].in_features)]

    def __str__(self) -> str:
        return self._text() if self.complete else f"{self._text()}\n({self.verdict})"

    def _text(self) -> str:
        from ._expressions import text

        return "\n".join(map(text, self.expressions()))
