r"""From curves to formulas: fade, prune, snap.

A trained KAN is a drawing: a curve on every edge. Three steps make a formula of it. :func:`fade` is
a penalty under which edges that are not needed go to zero. :func:`prune` takes them away, with the
nodes that nothing reaches or leaves. :func:`snap` puts functions that have a name in the place of
curves, one edge at a time, as long as the network as a whole stays as good as it was.
:func:`discover` does all of it, from samples to a formula. None of them changes its arguments.

In the book: chapter 18.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import grids, training
from ._checks import as_generator, check_finite, check_integer, check_number, check_samples
from .counting import count_parameters
from .layers import KANLayer
from .networks import KAN, Network

__all__ = ["LIBRARY", "Formula", "Function", "candidates", "discover", "fade", "prune", "snap"]

INF = math.inf


# --- fade and prune ------------------------------------------------------------------------------


def edges(model: nn.Module, x: Tensor) -> list[Tensor]:
    """What every edge of a KAN gives at samples x (N, I): for each layer (N, I, O).

    Raises:
        TypeError: a module of the model is no :class:`~kanbook.layers.KANLayer`.
    """
    found = []
    for layer in model if isinstance(model, nn.Sequential) else [model]:
        if not isinstance(layer, KANLayer):
            raise TypeError(
                f"model holds a {type(layer).__name__}; expected KAN layers in a row, such as KAN"
            )
        found.append(layer.edges(x))
        x = found[-1].sum(-2)
        x = x if layer.bias is None else x + layer.bias
    return found


def fade(
    x: Tensor, strength: float = 0.01, *, smooth: float = 1e-3
) -> Callable[[nn.Module], Tensor]:
    r"""Return a penalty for ``fit`` that sends edges which are not needed to zero.

    .. math:: \lambda \sum_{e} \sqrt{\operatorname{var}_x \varphi_e + \epsilon^2}

    over all edges e: the sum of their spreads, the standard deviations of what they give. The pull
    on an edge does not weaken as the edge gets small, so that it ends at zero (a group lasso).
    A constant costs nothing.

    Args:
        x: samples of the inputs, shape ``(N, I)``; a hundred are enough.
        strength: the factor lambda, in units of the loss divided by those of the targets: for a
            mean squared error, 0.01 times the targets' standard deviation is a good start.
        smooth: epsilon, below which the root is round, in units of an edge's output.

    Raises:
        TypeError, ValueError: x is not finite, a number is negative; when called, the model is not
            made of KAN layers.

    Example:
        >>> x = torch.linspace(-1, 1, 100).unsqueeze(-1)
        >>> model = KAN([1, 4, 1], generator=0)
        >>> history = training.fit(model, x, x**2, steps=300, penalty=fade(x))
        >>> bool((edges(model, x)[0].std(0) < 0.01).sum() >= 2)
        True

    Source: Yuan and Lin, "Model selection and estimation in regression with grouped variables"
    (2006). In the book: chapter 18.
    """
    check_finite("x", x)
    check_number("strength", strength, minimum=0)
    check_number("smooth", smooth, minimum=0)

    def penalty(model: nn.Module) -> Tensor:
        variances = [values.var(0, correction=0) for values in edges(model, x)]
        return strength * sum((v + smooth**2).sqrt().sum() for v in variances)

    return penalty


@torch.no_grad()
def prune(model: nn.Module, x: Tensor, threshold: float = 0.03) -> Network:
    """Return a network without the edges whose spread is small, and otherwise the same function.

    Nodes that are left without edges on one side go, too, and the layers become smaller; single
    edges that are missing are marked in ``layer.mask``. What a missing edge gave on average is
    added to the strongest edge into the same node (all B-splines of an edge together are 1).

    Args:
        model: a :class:`~kanbook.networks.KAN`; it stays as it is.
        x: samples of the inputs, shape ``(N, I)``.
        threshold: edges go whose standard deviation over the samples is below this share of the
            largest in their layer.

    Raises:
        TypeError, ValueError: the model is not made of KAN layers, x is not finite, ``threshold``
            is not in [0, 1), or so high that nothing would reach an output.

    Example:
        >>> model, x = KAN([2, 5, 1], generator=0), torch.rand(50, 2)
        >>> with torch.no_grad():
        ...     model[1].coef[1:] = 0.5  # four of five hidden nodes do nothing
        >>> small = prune(model, x)
        >>> small[0].out_features, torch.allclose(small(x), model(x), atol=1e-6)
        (1, True)

    In the book: chapter 18.
    """
    check_finite("x", x)
    check_number("threshold", threshold, minimum=0, maximum=1)
    spreads = [values.std(0, correction=0) for values in edges(model, x)]
    found = _keep(model, x, [(s > threshold * s.max()) for s in spreads])
    if found is None:
        raise ValueError(f"threshold={threshold!r} cuts an output off; expected a lower one")
    return found


@torch.no_grad()
def _keep(model: nn.Module, x: Tensor, alive: Sequence[Tensor]) -> Network | None:
    """A copy with these edges, (I, O) for each layer; None if nothing would reach an output."""
    model = model if isinstance(model, nn.Sequential) else [model]
    alive = [a.clone() for a in alive]
    for _ in alive:
        for before, after in pairwise(alive):
            node = before.any(0) & after.any(1)
            before &= node
            after &= node.unsqueeze(1)
    if not alive[-1].any(0).all():
        return None
    nodes = [slice(None), *(a.any(1) for a in alive[1:]), slice(None)]
    layers = []
    for layer, values, a, (rows, columns) in zip(
        model, edges(nn.Sequential(*model), x), alive, pairwise(nodes), strict=True
    ):
        layer = copy.deepcopy(layer)
        mask = a.to(layer.coef)
        layer.coef.mul_(mask.unsqueeze(-1))
        lost = (values.mean(0) * ~a).sum(0)
        strongest = (values.var(0, correction=0) * mask).argmax(0)
        place = strongest, torch.arange(layer.out_features)
        if layer.spline_weight is not None:
            lost = lost / layer.spline_weight[place]
        layer.coef[place] += (lost * mask[place]).unsqueeze(-1)
        for name in ("coef", "spline_weight", "base_weight"):
            if getattr(layer, name) is not None:
                setattr(layer, name, nn.Parameter(getattr(layer, name)[rows][:, columns].clone()))
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias[columns].clone())
        layer.knots, mask = layer.knots[rows].clone(), mask[rows][:, columns].clone()
        layer.mask = None if mask.all() else mask
        layer.in_features, layer.out_features = mask.shape
        layers.append(layer)
    return Network(*layers)


# --- functions with a name -----------------------------------------------------------------------


@dataclass(frozen=True)
class Function:
    """A function f that an edge may be, as c f(a x + b) + d.

    Args:
        f: of a tensor, element by element.
        text: the same in SymPy's notation, of u.
        free: which of ``"a"`` and ``"b"`` may be chosen. Where a choice changes nothing that c and
            d could not, it is left out: exp(x + b) is a multiple of exp(x).
        domain: open interval of u in which f is defined and has no pole. Beyond it the value is
            NaN, so no fit can lead there, and no pole can hide between two samples.
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
def candidates(
    x: Tensor, y: Tensor, library: Mapping[str, Function] | None = None
) -> list[Candidate]:
    """Fit every function of a library to a curve: a and b from a table, c and d by least squares.

    Args:
        x, y: points of the curve, shape ``(N,)``.
        library: functions by name; ``LIBRARY`` if not given.

    Returns:
        The best of each function that is defined at all points, by falling R^2.

    Raises:
        TypeError, ValueError: x or y is not finite.

    Example:
        >>> x = torch.linspace(0.1, 2, 50)
        >>> candidates(x, torch.log(3 * x))[0].name
        'log'

    In the book: chapter 18.
    """
    check_finite("x", x)
    check_finite("y", y)
    found = []
    for name, function in (LIBRARY if library is None else library).items():
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
        found.append(Candidate(name, *(number.item() for number in numbers)))
    return sorted(found, key=lambda one: -one.r2)


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
    middles = torch.linspace(-3.2, 3.2, 24, **like)
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
        free, free_bias: buffers that say which of these numbers may change.

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
        self.register_buffer("free", torch.zeros(0, 3, dtype=torch.bool))
        self.register_buffer("free_bias", torch.ones(self.out_features, dtype=torch.bool))

    def curves(self) -> list[tuple[int, int]]:
        """The edges (input, output) that are curves."""
        return (
            [] if self.splines is None else [tuple(e) for e in self.splines.mask.nonzero().tolist()]
        )

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
            self.splines = None
        self.bias[o] += start.d
        new = self.constants.new_tensor([[start.c, start.a, start.b]])
        free = torch.tensor([[True, "a" in function.free, "b" in function.free]]).to(self.free)
        self._set(
            [*self.functions, (i, o, start.name, function)],
            torch.cat([self.constants, new]),
            torch.cat([self.free, free]),
        )

    @torch.no_grad()
    def drop(self, number: int) -> None:
        """Take a function away."""
        keep = [n for n in range(len(self.functions)) if n != number]
        self._set([self.functions[n] for n in keep], self.constants[keep], self.free[keep])

    def _set(self, functions: list, constants: Tensor, free: Tensor) -> None:
        self.functions, self.free = functions, free
        self.constants = nn.Parameter(constants.clone())

    def fixed_numbers(self) -> int:
        """How many of the layer's own parameters may not change."""
        return int((~self.free).sum() + (~self.free_bias).sum())

    def _values(self, u: Tensor) -> Tensor:
        return torch.stack(
            [f(v) for (*_, f), v in zip(self.functions, u.unbind(-1), strict=True)], -1
        )

    def _ends(self) -> tuple[list[int], Tensor]:
        """The input of each function, and (functions, O): 1 at its output."""
        outputs = [o for _, o, *_ in self.functions]
        return [i for i, *_ in self.functions], torch.eye(self.out_features).to(self.constants)[
            outputs
        ]

    def forward(self, x: Tensor) -> Tensor:
        y = self.bias.where(self.free_bias, self.bias.detach())
        if self.splines is not None:
            y = y + self.splines(x)
        if self.functions:
            c, a, b = self.constants.where(self.free, self.constants.detach()).unbind(1)
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
        parts = torch.stack([g * v, inner * x[:, inputs], inner], -1) * self.free
        return torch.cat([parts.flatten(1), slopes * self.free_bias], 1)


def refit(model: nn.Module, x: Tensor, y: Tensor, steps: int) -> float:
    """Make at most so many steps of Levenberg-Marquardt; return the mean squared error."""
    updater = training.LevenbergMarquardt([*model.parameters()], model, x, y, training.History())
    losses = []
    for _ in range(steps):
        losses.append(updater.linearize().item())
        slow = len(losses) > 3 and losses[-1] > 0.97 * losses[-4]
        if slow or not 1e-30 < losses[-1] < INF:
            break
        updater.step(None)
    with torch.no_grad():
        loss = (model(x) - y).square().mean().item()
    return loss if math.isfinite(loss) else INF


# --- as good as the curves -----------------------------------------------------------------------


class Standard:
    """How good a network of curves is, and so how good a formula has to be.

    The grid is refined until twice as many knots do not halve the loss any more. If neighbors do
    not agree in what is left then, it is noise, and its size is known. Else it is what the curves
    cannot follow, or have not learned, and a true formula has none of it.

    Attributes:
        model: the network, refitted on its last grid.
        loss, numbers: mean squared error on the grid before, and how many numbers that took.
        best: mean squared error on the last grid.
    """

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, doublings: int) -> None:
        self.n, self.spread = len(y), y.var(correction=0).item()
        self.model, size = copy.deepcopy(model), model[0].grid_size
        self.best, self.numbers = refit(self.model, x, y, 30), count_parameters(self.model)
        variance = INF
        for _ in range(doublings):
            self.loss, numbers, coarse = self.best, count_parameters(self.model), self.model
            self.model, size = copy.deepcopy(coarse), 2 * size
            _extend(self.model, x, size)
            self.best = refit(self.model, x, y, 20)
            free = [max(self.n - count_parameters(m), 1) for m in (coarse, self.model)]
            before, after = (
                loss * self.n / f for loss, f in zip((self.loss, self.best), free, strict=True)
            )
            self.numbers, variance = numbers, min(before, after)
            if after > 0.5 * before:
                self.noisy = not _neighbors_agree(x, y - self.model(x))
                self.variance = variance
                if self.noisy:
                    self.model = coarse
                return
        self.noisy, self.variance = False, variance

    def allows(self, loss: float, model: nn.Module, *, complete: bool = False) -> bool:
        """Whether a loss is that of the curves, but for chance or for the curves' own error."""
        if self.noisy:  # a number less leaves the noise of one sample more, on average
            fewer = max(self.numbers - count_parameters(model), 0)
            more = fewer + 3 * math.sqrt(2 * fewer)  # chi squared, three standard deviations
            return loss <= self.loss + self.variance * more / self.n
        if complete:
            return loss <= 0.01 * self.best or self.exact(loss)
        return loss <= 30 * max(self.best, 1e-9 * self.spread)

    def score(self, loss: float, model: nn.Module) -> float:
        """Goodness and simplicity in one number, the lower the better.

        With noise it is the Bayesian information criterion. Without, the loss of curves that are
        to become functions says less, and counts as if of 50 samples.
        """
        weight, floor = (self.n, 1e-9) if self.noisy else (50, 1e-18)
        prices = sum(f.price for layer in model for *_, f in layer.functions)
        simplicity = math.log(self.n) * (count_parameters(model) + prices)
        return weight * math.log(loss / self.spread + floor) + simplicity

    def exact(self, loss: float) -> bool:
        return loss < 1e-20 * self.spread


@torch.no_grad()
def _neighbors_agree(x: Tensor, residuals: Tensor) -> bool:
    """Whether residuals (N, O) of nearest neighbors among samples x (N, I) are correlated."""
    x, r = x[:2000] / x.std(0), residuals[:2000]
    distance = torch.cdist(x, x).fill_diagonal_(INF)
    r = (r - r.mean(0)) / r.std(0)
    agreement = (r * r[distance.argmin(1)]).mean(0)
    return bool((agreement > 4 / math.sqrt(len(x))).any())


def _extend(model: nn.Module, x: Tensor, grid_size: int) -> None:
    with warnings.catch_warnings():  # of inputs beyond the domain: a refit follows
        warnings.simplefilter("ignore", RuntimeWarning)
        grids.extend_grid(model, x, grid_size)


def _peel(model: nn.Module, x: Tensor, y: Tensor, standard: Standard, parts: str) -> nn.Module:
    """Take away nodes (or edges), the weakest first, without which the network is as good."""
    refused = 0
    while True:
        spreads = [values.std(0, correction=0) for values in edges(model, x)]
        if parts == "nodes":
            found = [(s[i].sum(), n, i) for n, s in enumerate(spreads) if n for i in range(len(s))]
        else:
            found = [(s[i, o], n, (i, o)) for n, s in enumerate(spreads) for i, o in s.nonzero()]
        found.sort(key=lambda one: one[0].item())
        for _, n, which in found[refused:]:
            alive = [s > 0 for s in spreads]
            alive[n][which] = False
            trial = _keep(model, x, alive)
            if trial is not None and standard.allows(refit(trial, x, y, 20), trial):
                model = trial
                break
            refused += 1
        else:
            return model


# --- snap ----------------------------------------------------------------------------------------


class Snap(NamedTuple):
    """What became of one edge: a function, or None where it stays a curve.

    ``r2`` is that of the function fitted to the edge's curve alone, ``before`` and ``after`` are
    losses of the whole network, and ``alternatives`` are (name, r2, loss) of other functions.
    """

    layer: int
    input: int
    output: int
    name: str | None
    r2: float | None
    before: float
    after: float
    alternatives: tuple[tuple[str, float, float], ...] = ()


@dataclass
class Formula:
    """What :func:`snap` and :func:`discover` return.

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
        """Each output as a SymPy expression.

        Numbers that were rounded are exact there. A curve is an undefined function: ``s1_2_3`` in
        layer 1, from input 2 to output 3.

        Args:
            names: of the inputs; x1, x2 and so on if not given.

        Raises:
            ValueError: there are not as many names as inputs.
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
            for (i, o, _, f), constants, free in zip(
                layer.functions, layer.constants.tolist(), layer.free.tolist(), strict=True
            ):
                c, a, b = map(_number, constants, free)
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

    def latex(self, names: Sequence[str] | None = None, digits: int = 4) -> str:
        """The first output in LaTeX, with so many digits of numbers that were not rounded."""
        import sympy

        expression = self.expression(names)
        floats = {f: sympy.Float(f, digits) for f in expression.atoms(sympy.Float)}
        return sympy.latex(expression.xreplace(floats))


def _number(value: float, free: bool) -> Any:
    """A SymPy number; of one that is fixed, the fraction, or the part of pi, that it is."""
    import sympy

    if free:
        return sympy.Float(value)
    for unit, name in ((1.0, 1), (math.pi, sympy.pi)):
        part = Fraction(value / unit).limit_denominator(100)
        if abs(float(part) * unit - value) <= 1e-12 * abs(value):
            return sympy.Rational(part.numerator, part.denominator) * name
    return sympy.Float(value)


@dataclass
class _State:
    net: Network
    loss: float
    score: float = INF
    snaps: tuple[Snap, ...] = ()


def snap(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    like: nn.Module | None = None,
    library: Mapping[str, Function] | None = None,
    beam: int = 3,
    progress: bool = False,
) -> Formula:
    """Put functions with a name in the place of curves, where the whole network stays as good.

    The network is refitted by least squares and, if its loss is not noise, its grid refined; what
    it does not need is taken away. Then, edge by edge, from the inputs on: each function of the
    library is fitted to the edge's curve, put in its place, and all numbers of the network are
    refitted. What counts is the loss of the whole, and a price for each number: an edge's own
    curve is often not unique. The best few networks are kept, so that an early choice can turn
    out wrong (beam search). An edge without a function that is good enough stays a curve. In the
    end, numbers are rounded to readable ones where the loss allows it.

    Args:
        model: a :class:`~kanbook.networks.KAN`, trained, and small: as :func:`prune` leaves it.
        x, y: samples, shapes ``(N, I)`` and ``(N, O)``.
        like: a network of curves that the formula has to be as good as, such as the one before
            pruning; ``model`` itself if not given.
        library: functions by name; ``LIBRARY`` if not given.
        beam: how many networks are kept.
        progress: show a progress bar over the edges.

    Raises:
        TypeError, ValueError: the model is not made of KAN layers, the samples do not fit it or
            are not finite, the library is empty, or ``beam`` is no integer >= 1.

    In the book: chapter 18.
    """
    check_samples("x", x, "y", y, any_targets=False)
    check_integer("beam", beam, 1)
    library = LIBRARY if library is None else library
    if not library:
        raise ValueError(f"library={library!r}; expected at least one function")
    edges(model, x[:1])
    standard = Standard(model, x, y, doublings=2)
    model = standard.model
    if like is not None:
        whole = Standard(like, x, y, doublings=1)
        if whole.best < standard.best and not whole.allows(standard.loss, model):
            standard = whole  # too much was pruned
    model = _peel(_peel(model, x, y, standard, "nodes"), x, y, standard, "edges")
    first = _State(_normalized(model, x), INF)
    first.loss = refit(first.net, x, y, 20)
    found = _search(first, x, y, library, standard, beam, progress)
    curves = any(layer.curves() for layer in found.net)
    complete = not curves and standard.allows(found.loss, found.net, complete=True)
    if complete:
        _round(found, x, y, standard)
    return Formula(found.net, [*found.snaps], found.loss, standard.best, complete)


@torch.no_grad()
def _normalized(model: nn.Module, x: Tensor) -> Network:
    """The same function by formula layers, with hidden nodes that run from -1 to 1."""
    net = Network(*(FormulaLayer(layer) for layer in model))
    for layer, following in pairwise(net):
        h = layer(x)
        center, half = (h.amax(0) + h.amin(0)) / 2, (h.amax(0) - h.amin(0)).clamp(min=1e-12) / 2
        layer.splines.coef.div_(half.unsqueeze(-1))
        for part in (layer.splines.base_weight, layer.splines.bias):
            if part is not None:
                part.div_(half)
        layer.bias.copy_(-center / half)
        following.splines.knots.sub_(center.unsqueeze(1)).div_(half.unsqueeze(1))
        x = layer(x)
    return net


def _search(state, x, y, library, standard, beam, progress) -> _State:
    """Edge by edge, from the inputs on; keep the best few networks."""
    states = [state]
    order = [(n, *edge) for n, layer in enumerate(state.net) for edge in layer.curves()]
    for edge in tqdm(order, disable=not progress, unit="edge"):
        children = [c for s in states for c in _children(s, edge, x, y, library, standard)]
        if not children:
            for s in states:
                s.snaps += (Snap(*edge, None, None, s.loss, s.loss),)
            continue
        children.sort(key=lambda child: child.score)
        keep = 1 if standard.exact(children[0].loss) else beam
        states = [c for c in children[:keep] if c.score < children[0].score + 60]
    states[0].loss = refit(states[0].net, x, y, 100)
    return states[0]


def _children(state, edge, x, y, library, standard) -> list[_State]:
    """The networks with a function on this edge that are good enough: three at most.

    All functions get a short refit, the better ones a longer.
    """
    n, i, o = edge
    with torch.no_grad():
        inputs = nn.Sequential(*list(state.net)[:n])(x)[:, i]
    points = torch.cat([inputs[:300], inputs.aminmax().min[None], inputs.aminmax().max[None]])
    tried = []
    for start in candidates(points, state.net[n].curve(i, o, points), library):
        net = copy.deepcopy(state.net)
        net[n].put(i, o, library[start.name], start)
        tried.append((refit(net, x, y, 3), start, net))
        if start.name == "x" and refit(net, x, y, 8) <= max(state.loss, 1e-20 * standard.spread):
            break  # nothing is simpler than a straight line, if that is as good as the curve
    alternatives = []
    for steps, keep, margin in ((0, 6, 600), (8, 3, 200), (25, 3, INF)):
        tried = [(refit(net, x, y, steps), start, net) for _, start, net in tried]
        tried = [one for one in tried if one[0] < INF]
        scores = {id(net): standard.score(loss, net) for loss, _, net in tried}
        tried.sort(key=lambda one: scores[id(one[2])])
        alternatives += [(start.name, start.r2, loss) for loss, start, _ in tried[keep:]]
        tried = [one for one in tried[:keep] if scores[id(one[2])] < min(scores.values()) + margin]
    children = []
    for loss, start, net in tried:
        others = [(s.name, s.r2, value) for value, s, _ in tried if s is not start] + alternatives
        found = Snap(*edge, start.name, start.r2, state.loss, loss, tuple(others))
        if standard.allows(loss, net):
            children.append(_State(net, loss, scores[id(net)], (*state.snaps, found)))
    return children


def _round(state: _State, x: Tensor, y: Tensor, standard: Standard) -> None:
    """Drop functions that are not needed; fix numbers at 0, at 1, at readable ones, if that is free.

    Scale and shift can move from a layer to the next without a change of the function, so 0 and 1
    are tried however far they are; fractions and parts of pi within 2 %.
    """

    def accept(net: Network, steps: int = 25) -> bool:
        loss = refit(net, x, y, steps)
        good = loss <= max(3 * state.loss, 1e-20 * standard.spread)
        if standard.noisy:  # each number that is fixed may cost as much as it is worth
            fewer = count_parameters(state.net) - count_parameters(net)
            good = standard.n * math.log(loss / state.loss) <= math.log(standard.n) * fewer
        if good:
            state.net, state.loss = net, loss
        return good

    def fix(where: tuple[int, int | None, int], value: float) -> bool:
        net, old = copy.deepcopy(state.net), _get(state.net, where)
        if abs(value - old) > 0.05 * abs(old) > 1e-10:  # a long way, in three parts
            for share in (0.3, 0.6):
                _set(net, where, old + share * (value - old))
                refit(net, x, y, 4)
        _set(net, where, value)
        return accept(net)

    for n, layer in enumerate(state.net):
        for number in reversed(range(len(layer.functions))):
            net = copy.deepcopy(state.net)
            net[n].drop(number)
            accept(net)
    for where in _free(state.net):
        if where[1] is None or where[2] == B:
            fix(where, 0.0)
    for where in _free(state.net):
        if where[1] is not None and where[2] != B:
            sign = math.copysign(1.0, _get(state.net, where))
            fix(where, sign) or fix(where, -sign)
    for where in _free(state.net):
        any(fix(where, value) for value in _readable(_get(state.net, where)))


# Columns of a FormulaLayer's constants.
C, A, B = 0, 1, 2


def _free(net: Network) -> list[tuple[int, int | None, int]]:
    """Numbers that may change: (layer, function, column), or (layer, None, output) for a bias."""
    biases = [
        (n, None, o)
        for n, layer in enumerate(net)
        for o in range(layer.out_features)
        if layer.free_bias[o]
    ]
    return biases + [
        (n, number, column)
        for n, layer in enumerate(net)
        for column in (B, A, C)
        for number in range(len(layer.functions))
        if layer.free[number, column]
    ]


def _get(net, where) -> float:
    n, number, column = where
    return (net[n].bias[column] if number is None else net[n].constants[number, column]).item()


@torch.no_grad()
def _set(net, where, value: float) -> None:
    """Fix a number."""
    n, number, column = where
    layer = net[n]
    values, free = (
        (layer.bias, layer.free_bias) if number is None else (layer.constants, layer.free)
    )
    place = column if number is None else (number, column)
    values[place], free[place] = value, False


def _readable(value: float) -> list[float]:
    """Fractions and parts of pi within 2 %, the simplest first."""
    found = []
    for unit in (1.0, math.pi):
        for q in (1, 2, 3, 4, 5, 6, 8, 10):
            p = round(value / unit * q)
            if p and abs(p * unit / q - value) <= 0.02 * abs(value):
                found.append(p * unit / q)
    return found


def discover(
    inputs: Tensor,
    targets: Tensor,
    widths: Sequence[int],
    *,
    attempts: int = 3,
    library: Mapping[str, Function] | None = None,
    progress: bool = False,
    generator: int | torch.Generator | None = None,
) -> Formula:
    """Look for a formula behind samples: train, fade, prune, snap.

    Args:
        inputs, targets: shapes ``(N, I)`` and ``(N, O)``, float64.
        widths: of the network to begin with, ``[I, 5, O]`` say.
        attempts: from so many random starts at most, until a formula is complete.
        library, progress: as in :func:`snap`.
        generator: source of the random starts, on the CPU, or a number to start one from;
            PyTorch's global one if not given.

    Returns:
        The first :class:`Formula` that is complete, else the one with the lowest loss.

    Raises:
        TypeError, ValueError: the samples are not finite or do not fit the widths; or as
            :func:`snap`.

    Example:
        >>> x = torch.linspace(-1, 1, 200, dtype=torch.float64).unsqueeze(-1)
        >>> print(discover(x, torch.exp(-2 * x), [1, 1, 1], generator=0))
        exp(-2*x1)

    In the book: chapter 18.
    """
    check_samples("inputs", inputs, "targets", targets, any_targets=False)
    check_integer("attempts", attempts, 1)
    generator, found = as_generator(generator), []
    for _ in range(attempts):
        model = KAN(widths, dtype=inputs.dtype, generator=generator)
        grids.update_grid(model, inputs, grid_eps=1.0)
        penalty = fade(inputs[:100], 0.01 * targets.std().item())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            training.fit(model, inputs, targets, steps=150, lr=0.02, update_grid_at=[40, 80])
            curves = copy.deepcopy(model)
            options = {"steps": 600, "lr": 0.1, "schedule": lambda t: min(1, 2 - 2 * t)}
            options["update_grid_at"] = range(60, 420, 60)
            training.fit(model, inputs, targets, penalty=penalty, **options)
        model = prune(model, inputs)
        grids.update_grid(model, inputs, grid_eps=1.0)
        options = {"like": curves, "library": library, "progress": progress}
        found.append(snap(model, inputs, targets, **options))
        if found[-1].complete:
            return found[-1]
    return min(found, key=lambda formula: formula.loss)
