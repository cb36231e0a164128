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
from .functions import LIBRARY, Check, Formula, FormulaLayer, Function, candidates
from .networks import KAN, Network, in_a_row
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
    units of 20 or 1000, say, and the formula is brought back. Some samples are held out,
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
    generator, found = as_generator(generator), []
    inputs, targets = _mixed(inputs, targets)
    near, far = ((inputs[these], targets[these]) for these in _near_and_far(inputs, held_out))
    units = _unit(inputs), _unit(targets, 10 if ends[1] == 1 else 1)
    x, y = _scaled(near, units)
    for _ in range(attempts):
        model = KAN(widths, dtype=x.dtype, generator=generator)
        curves, faded = _train_and_fade(model, x, y)
        try:
            model = prune(faded, x)
        except ValueError:  # an output has faded, too
            model = copy.deepcopy(curves)
        grids.update_grid(model, x, grid_eps=1.0)
        search, trial, complete = _search(model, curves, x, y, LIBRARY, progress, {})
        formula = _finish(search, trial, complete, near, far, units)
        if formula.complete:
            return formula
        found.append((trial.loss, formula))
    return min(found, key=lambda pair: pair[0])[1]


class _Unit(NamedTuple):
    """Of columns (N, K): numbers v become (v - center) / size, both (K,)."""

    center: Tensor
    size: Tensor

    def of(self, values: Tensor) -> Tensor:
        return (values - self.center) / self.size


def _unit(values: Tensor, usual: float = 10) -> _Unit:
    """Center 0 and size 1, if spreads are below ``usual`` and above its inverse; else round ones.

    A size is 1, 2 or 5 times a power of ten, so that numbers are as readable as in such units.
    """
    mean, spread = values.mean(0), values.std(0, correction=0)
    spread = spread.where(spread > 1e-12 * mean.abs(), 1.0)  # of what never varies
    decade = 10 ** spread.log10().floor()
    digit = torch.bucketize(spread / decade, values.new_tensor([1.4, 3.2, 7.1]))
    size = decade * values.new_tensor([1.0, 2.0, 5.0, 10.0])[digit]
    center = (size * (mean / size).round()).where(mean.abs() > 5 * spread, 0.0)
    return _Unit(center, size.where((spread <= 1 / usual) | (spread >= usual), 1.0))


def _scaled(samples: Sequence[Tensor], units: Sequence[_Unit]) -> list[Tensor]:
    return [unit.of(values) for values, unit in zip(samples, units, strict=True)]


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
    functions: Mapping[tuple[int, int, int], str] | None = None,
    library: Mapping[str, Function] = LIBRARY,
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
        functions: those that you choose, by edge: ``{(0, 1, 0): "sin"}`` in the first layer, from
            the second input to the first output. They come first, good enough or not, and if there
            are any, nothing is taken away before.
        library: functions by name.
        progress: show a progress bar over the edges.

    Raises:
        TypeError, ValueError: the model is not made of KAN layers, the samples do not fit it, are
            not finite or too few, a target never varies, the library is no dict of functions, or
            ``functions`` names an edge or a function that is not there.

    Example:
        >>> x = torch.linspace(-1, 1, 100, dtype=torch.float64).unsqueeze(-1)
        >>> model = KAN([1, 1], dtype=torch.float64, generator=0)
        >>> print(snap(model, x, torch.sin(3 * x)))
        sin(3*x1)
        >>> print(snap(model, x, torch.sinh(x), functions={(0, 0, 0): "x"}).verdict[:12])
        not complete

    In the book: chapter 15.
    """
    _check_samples("x", x, "y", y)
    if not isinstance(library, Mapping) or not all(
        isinstance(function, Function) for function in library.values()
    ):
        raise TypeError(f"library={library!r}; expected a dict of Functions by name")
    if not library:
        raise ValueError(f"library={library!r}; expected at least one function")
    model = _layers("model", model, x, y)
    like = None if like is None else _layers("like", like, x, y)
    functions = {} if functions is None else functions
    places = [(n, *edge) for n, layer in enumerate(model) for edge in FormulaLayer(layer).curves()]
    for edge, name in functions.items():
        if edge not in places or name not in library:
            raise ValueError(
                f"functions={functions!r}; expected names of the library by edges of model (layer, "
                f"input, output), not {edge!r}: {name!r}"
            )
    search, trial, complete = _search(model, like, *_mixed(x, y), library, progress, functions)
    if complete:
        search.round(trial)
    return Formula(trial.network, [*trial.snaps], trial.loss, search.standard.best, complete)


def _layers(name: str, model: nn.Module, x: Tensor, y: Tensor) -> Network:
    outputs = edges(model, x[:1])[-1].shape[-1]  # an error, if there are other layers
    if outputs != y.shape[1]:
        raise ValueError(f"y has shape {tuple(y.shape)}; expected (N, {outputs}), as of {name}")
    return Network(*in_a_row(model))


def _search(
    model: nn.Module,
    like: nn.Module | None,
    x: Tensor,
    y: Tensor,
    library: Mapping[str, Function],
    progress: bool,
    functions: Mapping[tuple[int, int, int], str],
) -> tuple[Search, Trial, bool]:
    """Put functions in the place of curves; the last is whether the best network is complete."""
    standard = Standard(model, x, y, SEARCH.doublings)
    model = standard.model
    if like is not None:
        whole = Standard(like, x, y, doublings=1)
        if whole.best < standard.best and not whole.allows(standard.loss, model):
            standard = whole  # too much was pruned
    if not functions:
        model = peel(peel(model, standard, "nodes"), standard, "edges")
    network = normalized(model, x)
    search = Search(standard, library, progress)
    start = Trial(network, refit(network, x, y, SEARCH.start_steps))
    for edge, name in functions.items():
        (start,) = Search(standard, {name: library[name]}).try_all(start, edge)
    order = [(n, *edge) for n, layer in enumerate(start.network) for edge in layer.curves()]
    for direction in (order[::-1], order):
        trial = search.run(start, direction)
        complete = not trial.curves() and standard.allows(trial.loss, trial.network, complete=True)
        if complete:
            break
    if standard.noisy:  # a constant has a score of 0
        complete = complete and standard.score(trial.loss, trial.network) < 0
    return search, trial, complete


def _finish(
    search: Search,
    trial: Trial,
    complete: bool,
    near: Sequence[Tensor],
    far: Sequence[Tensor],
    units: Sequence[_Unit],
) -> Formula:
    """Round numbers, check the formula on samples far out, refit it on all, and leave the units."""
    standard, check = search.standard, None
    trial.network[0].take_inputs(near[0], *units[0])
    standard.x = near[0]
    if complete:
        search.round(trial)
    network, samples = trial.network, [torch.cat(pair) for pair in zip(near, far, strict=True)]
    x, y = _scaled(samples, units)
    if len(far[0]):
        if complete:
            check = standard.check(network, far[0], units[1].of(far[1]))
        elif trial.curves():
            grids.update_grid(network, samples[0], grid_eps=1.0)
        trial.loss = refit(network, samples[0], y, SEARCH.end_steps)
        grids.update_grid(standard.model, x, grid_eps=1.0)
        standard = Standard(standard.model, x, y, doublings=1)
        as_good = trial.loss <= max(standard.best, standard.rounding)
        as_good = as_good or standard.allows(trial.loss, network, complete=True)
        complete = complete and check.passed and as_good
    network[-1].give_outputs(*units[1])
    with torch.no_grad():
        loss = (network(samples[0]) - samples[1]).square().mean().item()
        curve_loss = ((standard.finest(x) - y) * units[1].size).square().mean().item()
    loss = loss if math.isfinite(loss) else math.inf  # beyond the domain of one of its functions
    return Formula(network, [*trial.snaps], loss, curve_loss, complete, check)


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
