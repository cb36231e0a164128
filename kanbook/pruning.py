"""Fewer edges: a penalty under which they fade, and a network without. In the book: chapter 15."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from ._checks import check_inputs, check_number
from .functions import FormulaLayer
from .layers import KANLayer
from .networks import Network, in_a_row

__all__ = ["edges", "fade", "prune"]

SMOOTH = 1e-3  # the spread below which fade's root is round


def edges(model: nn.Module, x: Tensor) -> list[Tensor]:
    """What every edge of a KAN, else TypeError, gives at samples x (N, I): (N, I, O) a layer."""
    values = []
    for layer in in_a_row(model) or [model]:  # an empty nn.Sequential is no KAN
        if not isinstance(layer, (KANLayer, FormulaLayer)):
            raise TypeError(
                f"model holds a {type(layer).__name__}; expected KAN layers in a row, such as KAN"
            )
        values.append(layer.edges(x))
        x = values[-1].sum(-2)
        x = x if layer.bias is None else x + layer.bias
    return values


def fade(x: Tensor, strength: float = 0.01) -> Callable[[nn.Module], Tensor]:
    r"""Return a penalty for ``fit`` that sends edges which are not needed to zero.

    .. math:: \lambda \sum_{e} \sqrt{\operatorname{var}_x \varphi_e + \epsilon^2},
        \qquad \epsilon = 0.001

    Args:
        x: samples of the inputs, shape ``(N, I)``.
        strength: lambda, in units of the loss divided by those of the targets.

    Raises:
        TypeError, ValueError: x is not finite, ``strength`` is negative; when called, the model is
            not made of KAN layers.

    Example:
        >>> from kanbook import KAN, fit
        >>> x = torch.linspace(-1, 1, 100).unsqueeze(-1)
        >>> model = KAN([1, 4, 1], generator=0)
        >>> history = fit(model, x, x**2, steps=300, lr=0.1, penalty=fade(x, 0.02))
        >>> prune(model, x)[0].out_features < 4
        True

    Source: Yuan and Lin, "Model selection and estimation in regression with grouped variables"
    (2006). In the book: chapter 15.
    """
    check_inputs("x", x)
    check_number("strength", strength, minimum=0)

    def penalty(model: nn.Module) -> Tensor:
        variances = [values.var(0, correction=0) for values in edges(model, x)]
        return strength * sum((v + SMOOTH**2).sqrt().sum() for v in variances)

    return penalty


@torch.no_grad()
def prune(model: nn.Module, x: Tensor, threshold: float = 0.03) -> Network:
    """Return a network without the edges whose spread is small, and otherwise the same function.

    Nodes that are left without edges on one side go, too; single edges that are missing are marked
    in ``layer.mask``. What a missing edge gave on average is added to the strongest edge into the
    same node.

    Args:
        model: a :class:`~kanbook.networks.KAN`; it stays as it is.
        x: samples of the inputs, shape ``(N, I)``.
        threshold: edges go whose standard deviation over the samples is below this share of the
            largest in their layer; of the largest into the same output, in the last one.

    Raises:
        TypeError, ValueError: the model is not made of KAN layers, x is not finite, ``threshold``
            is not in [0, 1], or so high that nothing would reach an output, as any is where x
            makes no edge vary.

    Example:
        >>> from kanbook import KAN
        >>> model, x = KAN([2, 5, 1], domain=(-4, 4), generator=0), torch.rand(50, 2)
        >>> with torch.no_grad():
        ...     _ = model[1].coef[1:].fill_(0.5)  # four of five hidden nodes do nothing
        >>> small = prune(model, x)
        >>> small[0].out_features, torch.allclose(small(x), model(x), atol=1e-6)
        (1, True)

    In the book: chapter 15.
    """
    check_inputs("x", x)
    check_number("threshold", threshold, minimum=0, maximum=1)
    spreads = [values.std(0, correction=0) for values in edges(model, x)]
    largest = [*(s.max() for s in spreads[:-1]), spreads[-1].amax(0)]
    alive = [s > threshold * most for s, most in zip(spreads, largest, strict=True)]
    small = keep(model, x, alive)
    if small is None:
        most = ", ".join(f"{s.max():.3g}" for s in spreads)
        raise ValueError(
            f"threshold={threshold!r} cuts an output off; expected a lower one, and finite spreads "
            f"> 0 in each layer of model over x, where the largest are {most}"
        )
    return small


@torch.no_grad()
def keep(model: nn.Module, x: Tensor, alive: Sequence[Tensor]) -> Network | None:
    """A copy with these edges, (I, O) for each layer; None if nothing would reach an output."""
    alive = [layer_alive.clone() for layer_alive in alive]
    for _ in alive:  # a node that goes may take others with it
        for before, after in pairwise(alive):
            node = before.any(0) & after.any(1)
            before &= node
            after &= node.unsqueeze(1)
    if not alive[-1].any(0).all():
        return None
    nodes = [slice(None), *(a.any(1) for a in alive[1:]), slice(None)]
    layers = zip(in_a_row(model), edges(model, x), alive, pairwise(nodes), strict=True)
    return Network(*(_cut(layer, values, a, *ends) for layer, values, a, ends in layers))


def _cut(layer: KANLayer, values: Tensor, alive: Tensor, rows: Tensor, columns: Tensor) -> KANLayer:
    """A copy with these edges of these nodes; what others gave goes to the strongest."""
    layer = copy.deepcopy(layer)
    mask = alive.to(layer.coef)
    layer.coef.mul_(mask.unsqueeze(-1))
    lost = (values.mean(0) * ~alive).sum(0)
    strongest = (values.var(0, correction=0) * mask).argmax(0), torch.arange(layer.out_features)
    if layer.spline_weight is not None:
        lost = lost / layer.spline_weight[strongest]
    layer.coef[strongest] += (lost * mask[strongest]).unsqueeze(-1)
    for name in ("coef", "spline_weight", "base_weight"):
        if getattr(layer, name) is not None:
            setattr(layer, name, nn.Parameter(getattr(layer, name)[rows][:, columns].clone()))
    if layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias[columns].clone())
    layer.knots, mask = layer.knots[rows].clone(), mask[rows][:, columns].clone()
    layer.mask = None if mask.all() else mask
    layer.in_features, layer.out_features = mask.shape
    return layer
