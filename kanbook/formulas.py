r"""From curves to formulas, of which :func:`discover` is all: fade, prune, snap.

:func:`fade` is a penalty under which edges that are not needed go to zero. :func:`prune` takes them
away. :func:`snap` puts functions that have a name in the place of curves. None of them changes its
arguments.

In the book: chapter 15.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from . import grids, training
from ._checks import as_generator, check_integer, check_number, check_samples, check_widths
from .functions import LIBRARY, Check, Formula, Function, candidates, divide_outputs
from .networks import KAN, in_a_row
from .pruning import edges, fade, prune
from .snapping import SEARCH, Search, Standard, Trial, normalized, peel, refit

__all__ = ["LIBRARY", "Check", "Formula", "Function"]
__all__ += ["candidates", "discover", "fade", "prune", "snap"]

FEWEST = 10  # samples
SOME = 100  # samples that the penalty of fading looks at


def discover(
    inputs: Tensor,
    targets: Tensor,
    widths: Sequence[int],
    *,
    attempts: int = 3,
    held_out: float = 0.2,
    progress: bool = False,
    generator: int | torch.Generator | None = None,
) -> Formula:
    """Look for a formula behind samples: train, fade, prune, snap.

    Samples may be of any scale: where their mean or spread is far from usual, the search works in
    units of ten or a thousand, say, and the formula is brought back. Some samples are held out,
    those farthest from the middle in one of the inputs, where a wrong formula goes wrong first. A
    formula that leaves more there than noise explains is not complete.

    Args:
        inputs, targets: shapes ``(N, I)`` and ``(N, O)``, float64.
        widths: of the network to begin with, ``[I, 5, O]`` say.
        attempts: from so many random starts at most, until a formula is complete.
        held_out: this share of the samples is held out, up to a half; in the end all numbers are
            refitted on all samples. With 0 no formula is checked.
        progress: as in :func:`snap`.
        generator: of the random starts, on the CPU, or a number to start one from.

    Returns:
        The first complete :class:`~kanbook.functions.Formula`, else the one of lowest loss.

    Raises:
        TypeError, ValueError: the samples are not finite, too few, or do not fit the widths; a
            target never varies.

    Example:
        >>> x = torch.linspace(-1, 1, 200, dtype=torch.float64).unsqueeze(-1)
        >>> print(discover(x, torch.exp(-2 * x), [1, 1], generator=0))
        exp(-2*x1)

    In the book: chapter 15.
    """
    _check_samples("inputs", inputs, "targets", targets)
    check_widths(widths)
    ends = inputs.shape[1], targets.shape[1]
    if (widths[0], widths[-1]) != ends:
        raise ValueError(
            f"widths={widths!r}; expected {ends[0]} first and {ends[1]} last, for inputs of shape "
            f"{tuple(inputs.shape)} and targets of shape {tuple(targets.shape)}"
        )
    check_integer("attempts", attempts, 1)
    check_number("held_out", held_out, minimum=0, maximum=0.5)
    generator, formulas = as_generator(generator), []
    inputs, targets = _mixed(inputs, targets)
    near, far = _near_and_far(inputs, held_out)
    near, far = (inputs[near], targets[near]), (inputs[far], targets[far])
    units = _Units(_unit(inputs, 10), _unit(targets, 10 if ends[1] == 1 else 1))
    x, y = units.of(*near)
    for _ in range(attempts):
        model = KAN(widths, dtype=x.dtype, generator=generator)
        curves, faded = _train_and_fade(model, x, y)
        try:
            model = prune(faded, x)
        except ValueError:  # an output has faded, too
            model = copy.deepcopy(curves)
        grids.update_grid(model, x, grid_eps=1.0)
        options = {"like": curves, "library": LIBRARY, "progress": progress}
        formulas.append(_snap(model, near, far if len(far[0]) else None, units, **options))
        if formulas[-1].complete:
            return formulas[-1]
    return min(formulas, key=lambda formula: formula.loss)


class _Unit(NamedTuple):
    """Of columns (N, K): numbers v become (v - center) / size, both (K,)."""

    center: Tensor
    size: Tensor
    decimal: Tensor  # the power of ten near the size


class _Units(NamedTuple):
    """Of inputs and targets, in a search."""

    x: _Unit
    y: _Unit

    def of(self, *samples: Tensor) -> list[Tensor]:
        pairs = zip(samples, self, strict=True)
        return [(values - unit.center) / unit.size for values, unit in pairs]


def _unit(values: Tensor, most: float) -> _Unit:
    """Center 0 and size 1 for what is usual: a spread below ``most`` and above its inverse."""
    largest = values.abs().amax(0).clamp(min=1e-300)  # whose square may be too much
    mean, spread = values.mean(0), (values / largest).std(0, correction=0) * largest
    spread = spread.where(spread > 1e-12 * mean.abs(), 1.0)  # of what never varies
    usual = (spread > 1 / most) & (spread < most)
    decimal = 10 ** spread.log10().round()
    center = (decimal * (mean / decimal).round()).where(mean.abs() > 5 * spread, 0.0)
    return _Unit(center, spread.where(~usual, 1.0), decimal.where(~usual, 1.0))


def _mixed(inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """In random order, if the first samples do not tell of all: parts of the search see only them.

    Those in random order stay as they are.
    """
    first, every = (values.amax(0) - values.amin(0) for values in (inputs[:SOME], inputs))
    if (first >= 0.8 * every).all():
        return inputs, targets
    order = torch.randperm(len(inputs), generator=as_generator(0)).to(inputs.device)
    return inputs[order], targets[order]


def _near_and_far(inputs: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Indices of samples, and of this share of them that is outermost, by ranks, in any input."""
    columns = inputs.T.contiguous()
    ordered = columns.sort(1).values
    sides = (torch.searchsorted(ordered, columns, right=right) for right in (False, True))
    far = (sum(sides) / len(inputs) - 1).abs().amax(0).argsort(stable=True)
    count = len(inputs) - round(share * len(inputs))
    return far[:count].sort().values, far[count:]


def _train_and_fade(model: KAN, x: Tensor, y: Tensor) -> tuple[KAN, KAN]:
    """The network as trained, and as it is when edges have faded."""
    fading = {"steps": 600, "lr": 0.1, "schedule": lambda t: min(1, 2 - 2 * t)}
    fading |= {"update_grid_at": range(60, 420, 60)}
    fading |= {"penalty": fade(x[:SOME], 0.01 * y.std().item())}
    grids.update_grid(model, x, grid_eps=1.0)
    with warnings.catch_warnings():  # of inputs off the domain, which follows them
        warnings.simplefilter("ignore", RuntimeWarning)
        training.fit(model, x, y, steps=150, lr=0.02, update_grid_at=[40, 80])
        curves = copy.deepcopy(model)
        training.fit(model, x, y, **fading)
    return curves, model


def snap(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    like: nn.Module | None = None,
    library: Mapping[str, Function] = LIBRARY,
    validation: tuple[Tensor, Tensor] | None = None,
    progress: bool = False,
) -> Formula:
    """Put functions with a name in the place of curves, where the whole network stays as good.

    The network is refitted by least squares and, if its loss is not noise, its grid refined; what
    it does not need is taken away. Then, edge by edge, from the outputs back: each function of the
    library is fitted to the edge's curve, put in its place, and all numbers of the network are
    refitted. What counts is the loss of the whole, and a price for each number. The best few
    networks are kept (beam search). An edge without a function that is good enough stays a curve;
    if there is one, all is tried once more from the inputs on. In the end, numbers are rounded to
    readable ones where the loss allows it.

    Args:
        model: a :class:`~kanbook.networks.KAN`, trained, and small: as :func:`prune` leaves it.
        x, y: samples, shapes ``(N, I)`` and ``(N, O)``, float64.
        like: a network of curves that the formula has to be as good as, such as the one before
            pruning; ``model`` itself if not given.
        library: functions by name.
        validation: samples ``(x, y)`` that are held out. A formula that leaves more there than
            noise explains is not complete. In the end all numbers are refitted on all samples.
        progress: show a progress bar over the edges.

    Raises:
        TypeError, ValueError: the model is not made of KAN layers, the samples do not fit it, are
            not finite or too few, a target never varies, or the library is no dict of functions.

    Example:
        >>> x = torch.linspace(-1, 1, 100, dtype=torch.float64).unsqueeze(-1)
        >>> model = KAN([1, 1], dtype=torch.float64, generator=0)
        >>> print(snap(model, x, torch.sin(3 * x)))
        sin(3*x1)

    In the book: chapter 15.
    """
    _check_samples("x", x, "y", y)
    if not isinstance(library, Mapping) or not all(
        isinstance(function, Function) for function in library.values()
    ):
        raise TypeError(f"library={library!r}; expected a dict of Functions by name")
    if not library:
        raise ValueError(f"library={library!r}; expected at least one function")
    edges(model, x[:1])  # an error, if there are other layers
    if validation is not None:
        names = "validation[0]", "validation[1]"
        check_samples(names[0], validation[0], names[1], validation[1], any_targets=False)
        for name, far, near in zip(names, validation, (x, y), strict=True):
            if far.shape[1] != near.shape[1]:
                raise ValueError(
                    f"{name} has shape {tuple(far.shape)}; expected (M, {near.shape[1]})"
                )
    x, y = _mixed(x, y)
    zero, one = x.new_zeros(x.shape[1]), x.new_ones(x.shape[1])
    unit = _unit(y, 10 if y.shape[1] == 1 else 1)
    units = _Units(_Unit(zero, one, one), unit._replace(center=torch.zeros_like(unit.center)))
    model, like = (m and _divided(m, unit.size) for m in (model, like))
    return _snap(model, (x, y), validation, units, like, library, progress)


@torch.no_grad()
def _divided(model: nn.Module, size: Tensor) -> nn.Module:
    """A copy whose outputs are divided by these numbers."""
    model = copy.deepcopy(model)
    divide_outputs(in_a_row(model)[-1], size)
    return model


def _snap(
    model: nn.Module,
    near: tuple[Tensor, Tensor],
    far: tuple[Tensor, Tensor] | None,
    units: _Units,
    like: nn.Module | None,
    library: Mapping[str, Function],
    progress: bool,
) -> Formula:
    """As :func:`snap`, of networks in these units; samples and formula are not in them."""
    x, y = units.of(*near)
    standard = Standard(model, x, y, SEARCH.doublings)
    model = standard.model
    if like is not None:
        whole = Standard(like, x, y, doublings=1)
        if whole.best < standard.best and not whole.allows(standard.loss, model):
            standard = whole  # too much was pruned
    network = normalized(peel(peel(model, standard, "nodes"), standard, "edges"), x)
    search = Search(standard, library, progress, units.y.size / units.y.decimal)
    start = Trial(network, refit(network, x, y, SEARCH.start_steps))
    order = [(n, *edge) for n, layer in enumerate(network) for edge in layer.curves()]
    for direction in (order[::-1], order):
        best = search.run(start, direction)
        curves = any(layer.curves() for layer in best.network)
        complete = not curves and standard.allows(best.loss, best.network, complete=True)
        if complete:
            break
    best.network[0].take_inputs(near[0], *units.x[:2])
    standard.x, check = near[0], None
    if complete:
        search.round(best)
    network, samples, loss = best.network, near, best.loss
    if far is not None:
        samples = [torch.cat(pair) for pair in zip(near, far, strict=True)]
        check = standard.check(network, far[0], units.of(*far)[1]) if complete else None
        if curves:
            grids.update_grid(network, samples[0], grid_eps=1.0)
        loss = refit(network, samples[0], units.of(*samples)[1], SEARCH.end_steps)
        if complete:  # that is, as good as curves on all samples
            x, y = units.of(*samples)
            grids.update_grid(standard.model, x, grid_eps=1.0)
            standard = Standard(standard.model, x, y, doublings=1)
            good = loss <= max(standard.best, standard.rounding)
            good = good or standard.allows(loss, network, complete=True)
            complete = check.passed and good
    complete = complete and standard.score(loss, network) < 0  # more than a constant explains
    network[-1].give_outputs(units.y.center, units.y.size)
    with torch.no_grad():
        loss = (network(samples[0]) - samples[1]).square().mean().item()
        curve_loss = ((standard.finest(x) - y) * units.y.size).square().mean().item()
    loss = loss if math.isfinite(loss) else math.inf  # beyond the domain of one of its functions
    return Formula(network, [*best.snaps], loss, curve_loss, complete, check)


def _check_samples(inputs_name: str, inputs: Tensor, targets_name: str, targets: Tensor) -> None:
    check_samples(inputs_name, inputs, targets_name, targets, any_targets=False)
    if inputs.dtype != torch.float64:  # the fits go to the last digit
        raise ValueError(f"{inputs_name} is {inputs.dtype}; expected torch.float64")
    if len(inputs) < FEWEST:
        raise ValueError(f"{inputs_name} has {len(inputs)} samples; expected {FEWEST} or more")
    for o, column in enumerate(targets.T):
        if (column == column[0]).all():
            raise ValueError(
                f"{targets_name}[:, {o}] is always {column[0].item()}; expected values that vary"
            )
