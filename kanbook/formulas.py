r"""From curves to formulas: fade, prune, snap.

A trained KAN is a drawing: a curve on every edge. Three steps make a formula of it. :func:`fade` is
a penalty under which edges that are not needed go to zero. :func:`prune` takes them away, with the
nodes that nothing reaches or leaves. :func:`snap` puts functions that have a name in the place of
curves, one edge at a time, as long as the network as a whole stays as good as it was.
:func:`discover` does all of it, from samples to a formula. None of them changes its arguments.

In the book: chapter 15.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import grids, training
from ._checks import (
    as_generator,
    check_finite,
    check_integer,
    check_number,
    check_samples,
    check_widths,
)
from .counting import count_parameters
from .functions import LIBRARY, Formula, FormulaLayer, Function, Snap, candidates
from .layers import KANLayer
from .networks import KAN, Network, in_a_row

__all__ = ["LIBRARY", "Formula", "Function", "candidates", "discover", "fade", "prune", "snap"]

INF = math.inf
BEAM = 3  # networks that the search keeps


# --- fade and prune ------------------------------------------------------------------------------


def edges(model: nn.Module, x: Tensor) -> list[Tensor]:
    """What every edge of a KAN gives at samples x (N, I): for each layer (N, I, O).

    Raises:
        TypeError: a module of the model is no :class:`~kanbook.layers.KANLayer`.
    """
    found = []
    for layer in in_a_row(model):
        if not isinstance(layer, (KANLayer, FormulaLayer)):
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
        >>> history = training.fit(model, x, x**2, steps=300, lr=0.1, penalty=fade(x, 0.02))
        >>> prune(model, x)[0].out_features < 4
        True

    Source: Yuan and Lin, "Model selection and estimation in regression with grouped variables"
    (2006). In the book: chapter 15.
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
            is not in [0, 1], or so high that nothing would reach an output.

    Example:
        >>> model, x = KAN([2, 5, 1], domain=(-4, 4), generator=0), torch.rand(50, 2)
        >>> with torch.no_grad():
        ...     _ = model[1].coef[1:].fill_(0.5)  # four of five hidden nodes do nothing
        >>> small = prune(model, x)
        >>> small[0].out_features, torch.allclose(small(x), model(x), atol=1e-6)
        (1, True)

    In the book: chapter 15.
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
        in_a_row(model), edges(model, x), alive, pairwise(nodes), strict=True
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
        self.model, self.noisy = copy.deepcopy(model), False
        self.best = refit(self.model, x, y, 30)
        for _ in range(doublings):
            coarse, self.loss = self.model, self.best
            self.model, self.numbers = copy.deepcopy(coarse), count_parameters(coarse)
            _extend(self.model, x, 2 * coarse[0].grid_size)
            self.best = refit(self.model, x, y, 20)
            before, after = (  # what a network without a free number would leave
                loss * self.n / max(self.n - count_parameters(m), 1)
                for loss, m in ((self.loss, coarse), (self.best, self.model))
            )
            self.variance = min(before, after)
            if after > 0.5 * before:
                self.noisy = not _neighbors_agree(x, y - self.model(x))
                self.model = coarse if self.noisy else self.model
                break

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

        With noise it is the Bayesian information criterion. Without, a loss says little as long as
        some edges are curves: twice the loss is worth one number.
        """
        weight, floor = (self.n, 1e-9) if self.noisy else (10, 1e-18)
        prices = sum(f.price for layer in model for *_, f in layer.functions)
        simplicity = math.log(self.n) * (count_parameters(model) + prices)
        return weight * math.log(loss / self.spread + floor) + simplicity

    def exact(self, loss: float) -> bool:
        return loss < 1e-20 * self.spread


@torch.no_grad()
def _neighbors_agree(x: Tensor, residuals: Tensor) -> bool:
    """Whether residuals (N, O) of nearest neighbors among samples x (N, I) are correlated."""
    spread = x.std(0)
    x, r = (x / spread)[:2000, spread > 1e-12], residuals[:2000]  # of inputs that vary
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
            good = trial is not None and standard.allows(refit(trial, x, y, 20), trial)
            if good and not _cancels(trial, x):
                model = trial
                break
            refused += 1
        else:
            return model


@torch.no_grad()
def _cancels(model: nn.Module, x: Tensor) -> bool:
    """Whether edges into a node almost take each other away: x^2 - (x - 0.001 y)^2 is x y."""
    found = edges(model, x)
    sizes = [e.std(0, correction=0).sum(0) / e.sum(-2).std(0, correction=0) for e in found]
    return max(size.max().item() for size in sizes) > 30


# --- snap ----------------------------------------------------------------------------------------


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
    progress: bool = False,
) -> Formula:
    """Put functions with a name in the place of curves, where the whole network stays as good.

    The network is refitted by least squares and, if its loss is not noise, its grid refined; what
    it does not need is taken away. Then, edge by edge, from the outputs back: each function of the
    library is fitted to the edge's curve, put in its place, and all numbers of the network are
    refitted. What counts is the loss of the whole, and a price for each number: an edge's own
    curve is often not unique. The best few networks are kept, so that an early choice can turn
    out wrong (beam search). An edge without a function that is good enough stays a curve; if there
    is one, all is tried once more from the inputs on. In the end, numbers are rounded to readable
    ones where the loss allows it.

    Outputs come first because the curves before them are then determined: with exp at the end,
    exp(u(y) - x) - exp(v(y) - x) can be exp(-x) sin(y) for any u; with squares it is one product.

    Args:
        model: a :class:`~kanbook.networks.KAN`, trained, and small: as :func:`prune` leaves it.
        x, y: samples, shapes ``(N, I)`` and ``(N, O)``.
        like: a network of curves that the formula has to be as good as, such as the one before
            pruning; ``model`` itself if not given.
        library: functions by name; ``LIBRARY`` if not given.
        progress: show a progress bar over the edges.

    Raises:
        TypeError, ValueError: the model is not made of KAN layers, the samples do not fit it or
            are not finite, or the library is empty.

    In the book: chapter 15.
    """
    _check_samples("x", x, "y", y)
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
    net = _normalized(model, x)
    first = _State(net, refit(net, x, y, 20))
    order = [(n, *edge) for n, layer in enumerate(first.net) for edge in layer.curves()]
    for each in (order[::-1], order):
        found = _search(first, each, x, y, library, standard, progress)
        curves = any(layer.curves() for layer in found.net)
        complete = not curves and standard.allows(found.loss, found.net, complete=True)
        if complete:
            _round(found, x, y, standard)
            break
    return Formula(found.net, [*found.snaps], found.loss, standard.best, complete)


def _check_samples(inputs_name: str, inputs: Tensor, targets_name: str, targets: Tensor) -> None:
    check_samples(inputs_name, inputs, targets_name, targets, any_targets=False)
    if inputs.dtype != torch.float64:  # the fits go to the last digit
        raise ValueError(f"{inputs_name} is {inputs.dtype}; expected torch.float64")


@torch.no_grad()
def _normalized(model: nn.Module, x: Tensor) -> Network:
    """The same function by formula layers, with hidden nodes that run from -1 to 1."""
    net = Network(*(FormulaLayer(layer) for layer in model))
    for layer, following in pairwise(net):
        h = layer(x)
        if following.splines.base is not None:  # a fixed function, which cannot move
            x = h
            continue
        center, half = (h.amax(0) + h.amin(0)) / 2, (h.amax(0) - h.amin(0)).clamp(min=1e-12) / 2
        layer.splines.coef.div_(half.unsqueeze(-1))
        for part in (layer.splines.base_weight, layer.splines.bias):
            if part is not None:
                part.div_(half)
        layer.bias.copy_(-center / half)
        following.splines.knots.sub_(center.unsqueeze(1)).div_(half.unsqueeze(1))
        x = layer(x)
    return net


def _search(state, order, x, y, library, standard, progress) -> _State:
    """Edge by edge; keep the best few networks."""
    states = [_State(copy.deepcopy(state.net), state.loss)]
    for edge in tqdm(order, disable=not progress, unit="edge"):
        children = [c for s in states for c in _children(s, edge, x, y, library, standard)]
        if not children:
            for s in states:
                s.snaps += (Snap(*edge, None, None, s.loss, s.loss),)
            continue
        children.sort(key=lambda child: child.score)
        keep = 1 if standard.exact(children[0].loss) else BEAM
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
    for steps, keep, margin in ((0, 6, 200), (8, 3, 60), (25, 3, INF)):
        tried = [(refit(net, x, y, steps), start, net) for _, start, net in tried]
        tried = [one for one in tried if one[0] < INF]
        scores = {id(net): standard.score(loss, net) for loss, _, net in tried}
        tried.sort(key=lambda one: scores[id(one[2])])
        bar = min(scores.values(), default=0.0) + margin
        kept = [one for one in tried[:keep] if scores[id(one[2])] < bar]
        alternatives += [(start.name, start.r2, loss) for loss, start, _ in tried[len(kept) :]]
        tried = kept
    children = []
    for loss, start, net in tried:
        others = [(s.name, s.r2, value) for value, s, _ in tried if s is not start] + alternatives
        found = Snap(*edge, start.name, start.r2, state.loss, loss, tuple(others))
        if standard.allows(loss, net):
            children.append(_State(net, loss, scores[id(net)], (*state.snaps, found)))
    return children


def _round(state: _State, x: Tensor, y: Tensor, standard: Standard) -> None:
    """Drop functions that are not needed; fix numbers at 0, 1 or a readable one if that is free.

    Scale and shift can move from a layer to the next without a change of the function, so 0 and 1
    are tried however far they are; fractions and parts of pi within 2 %.
    """

    def accept(net: Network) -> bool:
        loss = refit(net, x, y, 25)
        good = loss <= max(3 * state.loss, 1e-20 * standard.spread)
        if standard.noisy:  # each number that is fixed may cost as much as it is worth
            fewer = count_parameters(state.net) - count_parameters(net)
            good = standard.n * math.log(loss / state.loss) <= math.log(standard.n) * fewer
        if good and not _cancels(net, x):
            state.net, state.loss = net, loss
        return state.net is net

    def fix(n: int, name: str, place: tuple[int, ...], value: float) -> bool:
        net, old = copy.deepcopy(state.net), now(n, name, place)
        if abs(value - old) > 0.05 * abs(old) > 1e-10:  # a long way, in three parts
            for share in (0.3, 0.6):
                net[n].fix(name, place, old + share * (value - old))
                refit(net, x, y, 4)
        net[n].fix(name, place, value)
        return accept(net)

    def now(n: int, name: str, place: tuple[int, ...]) -> float:
        return getattr(state.net[n], name)[place].item()

    def places(*wanted: bool) -> list[tuple]:
        """Numbers that may still change, shifts (biases and b) if True, scales if False."""
        found = [(n, *place) for n, layer in enumerate(state.net) for place in layer.places()]
        found.sort(key=lambda one: one[1])  # biases first
        shift = [one[1] == "bias" or one[2][1] == 2 for one in found]
        return [one for one, is_shift in zip(found, shift, strict=True) if is_shift in wanted]

    for n, layer in enumerate(state.net):
        for number in reversed(range(len(layer.functions))):
            net = copy.deepcopy(state.net)
            net[n].drop(number)
            accept(net)
    for place in places(True):
        fix(*place, 0.0)
    for place in places(False):
        sign = math.copysign(1.0, now(*place))
        fix(*place, sign) or fix(*place, -sign)
    for place in places(True, False):
        any(fix(*place, value) for value in _readable(now(*place)))


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
        The first :class:`~kanbook.functions.Formula` that is complete, else the one with the
        lowest loss.

    Raises:
        TypeError, ValueError: the samples are not finite or do not fit the widths; or as
            :func:`snap`.

    Example:
        >>> x = torch.linspace(-1, 1, 200, dtype=torch.float64).unsqueeze(-1)
        >>> print(discover(x, torch.exp(-2 * x), [1, 1], generator=0))
        exp(-2*x1)

    In the book: chapter 15.
    """
    _check_samples("inputs", inputs, "targets", targets)
    check_integer("attempts", attempts, 1)
    check_widths(widths)
    if (widths[0], widths[-1]) != (inputs.shape[1], targets.shape[1]):
        raise ValueError(
            f"widths={widths!r}; expected {inputs.shape[1]} at the beginning and "
            f"{targets.shape[1]} at the end, as inputs and targets have"
        )
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
