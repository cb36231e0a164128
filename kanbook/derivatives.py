r"""Derivatives of a network in its inputs, of any order, without a graph for each order.

This is automatic differentiation in Taylor mode. On a line through x, every number in a network is
a series :math:`z_0 + z_1 t + z_2 t^2 + \dots`, of which a curve f makes

.. math:: f(z) = \sum_m \frac{f^{(m)}(z_0)}{m!} \, h^m, \qquad h = z_1 t + z_2 t^2 + \dots

In the output, the m-th term times m! is the m-th derivative. Gradients flow through it, to the
parameters and to x.

Source: Griewank and Walther, *Evaluating Derivatives*, second edition (2008), chapter 13.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral

import torch
from torch import Tensor, nn

from . import splines
from ._checks import check_features, check_integer, check_like, check_tensor
from .layers import KANLayer
from .networks import in_a_row

__all__ = ["along"]

Series = list[Tensor]  # z_0, z_1, ...; terms that are missing at the end are 0


def along(model: nn.Module, x: Tensor, direction: int | Tensor, order: int) -> Tensor:
    r"""Return a network's value and its derivatives along a line,
    :math:`\frac{d^m}{dt^m} f(x + t v)` at t = 0 for m = 0, 1, ..., ``order``.

    Args:
        model: an ``nn.Sequential`` of KAN layers, linear layers and functions that are applied to
            each number, such as ``nn.Tanh``: every :class:`~kanbook.networks.KAN` and ``MLP``.
        x: points, shape ``(N, I)``.
        direction: v: the number of an input, or a tensor of shape ``(I,)``; or D of them, of shape
            ``(D, I)``, such as ``torch.eye(I)`` for all inputs.
        order: of the highest derivative, 0 or more. Those of a spline beyond its degree are 0;
            that of the degree jumps at the knots.

    Returns:
        Shape ``(order + 1, N, O)``, or ``(order + 1, D, N, O)``, in units of y / t^m.

    Raises:
        TypeError, ValueError: an argument does not fit; the model has modules of other kinds.

    Example:
        >>> from kanbook.networks import KAN
        >>> value, slope = along(KAN([2, 3, 1], generator=0), torch.zeros(4, 2), 0, 1)
        >>> slope.shape
        torch.Size([4, 1])

    In the book: chapter 17.
    """
    check_integer("order", order, 0)
    check_tensor("x", x)
    if x.ndim != 2:
        raise ValueError(f"x has shape {tuple(x.shape)}; expected (N, I)")
    x = x.contiguous()  # what is repeated in memory has no derivative in forward mode
    modules = in_a_row(model)
    for module in modules:
        if not isinstance(module, KANLayer | nn.Linear) and [*module.parameters()]:
            raise TypeError(
                f"model has a {type(module).__name__}; expected KANLayer, nn.Linear and functions "
                "without parameters, in a row"
            )
    if isinstance(direction, Integral):
        check_integer("direction", direction, 0, x.shape[1] - 1)
        direction = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)[direction]
    check_like("direction", direction, "x", x)
    if direction.ndim not in (1, 2) or direction.shape[-1] != x.shape[1]:
        raise ValueError(
            f"direction has shape {tuple(direction.shape)} and x {tuple(x.shape)}; expected (I,) "
            "or (D, I), and (N, I)"
        )
    shape = *direction.shape[:-1], *x.shape
    z = [x, direction.unsqueeze(-2).expand(shape)][: order + 1]  # z_0 is the same for all
    for module in modules:
        if isinstance(module, KANLayer | nn.Linear):
            check_features(z[0], module.in_features, "the layer", next(module.parameters()))
        if isinstance(module, KANLayer):
            z = _through_splines(module, z, order)
        elif isinstance(module, nn.Linear):
            z = [nn.functional.linear(z[0], module.weight, module.bias)] + [
                term @ module.weight.T for term in z[1:]
            ]
        else:
            z = _through_curve(module, z, order)
    z += [torch.zeros_like(z[0])] * (order + 1 - len(z))
    terms = torch.broadcast_tensors(*z)
    return torch.stack([math.factorial(m) * term for m, term in enumerate(terms)])


def _powers(z: Series, order: int) -> list[dict[int, Tensor]]:
    """The powers of h, from the first, each by the powers of t that it has."""
    h = dict(enumerate(z[1:], 1))
    powers = [h] if h else []
    while len(powers) < order and powers:
        product: dict[int, Tensor] = {}
        for i, a in powers[-1].items():
            for j, b in h.items():
                if i + j <= order:
                    product[i + j] = product[i + j] + a * b if i + j in product else a * b
        powers.append(product)
    return powers


def _collect(terms: list[tuple[int, Tensor]], order: int) -> Series:
    """Add up terms of a series, each with its power of t."""
    total: list[Tensor | None] = [None] * (order + 1)
    for k, term in terms:
        total[k] = term if total[k] is None else total[k] + term
    return [torch.zeros_like(total[0]) if term is None else term for term in total]


def _through_curve(f: Callable[[Tensor], Tensor], z: Series, order: int) -> Series:
    """What a function that is applied to each number makes of a series."""
    values = _slopes(f, z[0], order)
    terms = [(0, values[0])]
    for m, power in enumerate(_powers(z, order), 1):
        terms += [(k, values[m] / math.factorial(m) * h) for k, h in power.items()]
    return _collect(terms, order)


def _slopes(f: Callable[[Tensor], Tensor], x: Tensor, order: int) -> list[Tensor]:
    """f and its derivatives at every number of x."""
    unit, functions = torch.ones_like(x), [f]
    for _ in range(order):
        functions.append(lambda x, g=functions[-1]: torch.func.jvp(g, (x,), (unit,))[1])
    return [g(x) for g in functions]


def _through_splines(layer: KANLayer, z: Series, order: int) -> Series:
    """What the edges of a layer make of a series, summed over the inputs."""
    x, knots, coef = layer.within(z[0]), layer.knots, layer.weighted_coef()
    inner = [x] + [torch.where(x == z[0], term, 0.0) if layer.clamp else term for term in z[1:]]
    bases = splines.lower_degrees(x, knots, layer.degree)
    zeroth = {0: torch.ones_like(x)}
    terms = []
    for m, power in enumerate([zeroth, *_powers(inner, order)[: layer.degree]]):
        if m:
            coef = splines.differentiate(coef, knots, layer.degree - m + 1)
        edges = torch.einsum("nij,ioj->nio", bases[layer.degree - m], coef / math.factorial(m))
        terms += [(k, torch.einsum("...ni,nio->...no", h, edges)) for k, h in power.items()]
    if layer.base_weight is not None:
        weight = layer.masked(layer.base_weight)
        terms += [(k, term @ weight) for k, term in enumerate(_through_curve(layer.base, z, order))]
    if layer.bias is not None:
        terms.append((0, layer.bias.expand(len(x), -1)))
    return _collect(terms, order)
