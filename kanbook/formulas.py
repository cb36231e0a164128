r"""From curves to formulas, of which :func:`discover` is all: fade, prune, snap.

:func:`fade` is a penalty under which edges that are not needed go to zero. :func:`prune` takes them
away. :func:`snap` puts functions that have a name in the place of curves. None of them changes its
arguments.

In the book: chapter 15.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from . import grids, training
from ._checks import as_generator, check_integer, check_samples
from .functions import LIBRARY, Formula, Function, candidates
from .networks import KAN
from .pruning import edges, fade, prune
from .snapping import SEARCH, Search, Standard, Trial, normalized, peel, refit

__all__ = ["LIBRARY", "Formula", "Function", "candidates", "discover", "fade", "prune", "snap"]


def discover(
    inputs: Tensor,
    targets: Tensor,
    widths: Sequence[int],
    *,
    attempts: int = 3,
    progress: bool = False,
    generator: int | torch.Generator | None = None,
) -> Formula:
    """Look for a formula behind samples: train, fade, prune, snap.

    Args:
        inputs, targets: shapes ``(N, I)`` and ``(N, O)``, float64.
        widths: of the network to begin with, ``[I, 5, O]`` say.
        attempts: from so many random starts at most, until a formula is complete.
        progress: as in :func:`snap`.
        generator: of the random starts, on the CPU, or a number to start one from.

    Returns:
        The first complete :class:`~kanbook.functions.Formula`, else the one of lowest loss.

    Raises:
        TypeError, ValueError: the samples are not finite or do not fit the widths.

    Example:
        >>> x = torch.linspace(-1, 1, 200, dtype=torch.float64).unsqueeze(-1)
        >>> print(discover(x, torch.exp(-2 * x), [1, 1], generator=0))
        exp(-2*x1)

    In the book: chapter 15.
    """
    _check_samples("inputs", inputs, "targets", targets)
    check_integer("attempts", attempts, 1)
    generator, formulas = as_generator(generator), []
    for _ in range(attempts):
        model = KAN(widths, dtype=inputs.dtype, generator=generator)
        curves, faded = _train_and_fade(model, inputs, targets)
        model = prune(faded, inputs)
        grids.update_grid(model, inputs, grid_eps=1.0)
        formulas.append(snap(model, inputs, targets, like=curves, progress=progress))
        if formulas[-1].complete:
            return formulas[-1]
    return min(formulas, key=lambda formula: formula.loss)


def _train_and_fade(model: KAN, x: Tensor, y: Tensor) -> tuple[KAN, KAN]:
    """The network as trained, and as it is when edges have faded."""
    fading = {"steps": 600, "lr": 0.1, "schedule": lambda t: min(1, 2 - 2 * t)}
    fading |= {"update_grid_at": range(60, 420, 60)}
    fading |= {"penalty": fade(x[:100], 0.01 * y.std().item())}
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
        progress: show a progress bar over the edges.

    Raises:
        TypeError, ValueError: the model is not made of KAN layers, the samples do not fit it or
            are not finite, or the library is empty.

    Example:
        >>> x = torch.linspace(-1, 1, 100, dtype=torch.float64).unsqueeze(-1)
        >>> model = KAN([1, 1], dtype=torch.float64, generator=0)
        >>> print(snap(model, x, torch.sin(3 * x)))
        sin(3*x1)

    In the book: chapter 15.
    """
    _check_samples("x", x, "y", y)
    if not library:
        raise ValueError(f"library={library!r}; expected at least one function")
    edges(model, x[:1])  # an error, if there are other layers
    standard = Standard(model, x, y, SEARCH.doublings)
    model = standard.model
    if like is not None:
        whole = Standard(like, x, y, doublings=1)
        if whole.best < standard.best and not whole.allows(standard.loss, model):
            standard = whole  # too much was pruned
    network = normalized(peel(peel(model, standard, "nodes"), standard, "edges"), x)
    search = Search(standard, library, progress)
    start = Trial(network, refit(network, x, y, SEARCH.start_steps))
    order = [(n, *edge) for n, layer in enumerate(network) for edge in layer.curves()]
    for direction in (order[::-1], order):
        best = search.run(start, direction)
        curves = any(layer.curves() for layer in best.network)
        complete = not curves and standard.allows(best.loss, best.network, complete=True)
        if complete:
            search.round(best)
            break
    return Formula(best.network, [*best.snaps], best.loss, standard.best, complete)


def _check_samples(inputs_name: str, inputs: Tensor, targets_name: str, targets: Tensor) -> None:
    check_samples(inputs_name, inputs, targets_name, targets, any_targets=False)
    if inputs.dtype != torch.float64:  # the fits go to the last digit
        raise ValueError(f"{inputs_name} is {inputs.dtype}; expected torch.float64")
