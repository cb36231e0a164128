"""The spline MLP, between MLP and KAN: a spline at every node in place of every edge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from . import splines
from ._checks import (
    as_generator,
    check_finite,
    check_function,
    check_integer,
    check_points,
    check_widths,
)
from .fast import by_hand, find, list_columns, pad, slope
from .layers import SplineLayer, full_precision
from .networks import Network, linear_layer
from .splines import cox_de_boor

__all__ = ["SplineActivation", "SplineMLP", "apply_splines"]

# Samples whose gradients are added up one after the other, before those sums are.
ROWS = 1024


class SplineActivation(SplineLayer):
    r"""A learnable activation function for each node: :math:`y_i = s_i(x_i)`.

    Each spline starts as the least-squares fit of ``start`` on the domain. Beyond the domain
    splines fade to zero, so it should hold what a linear layer puts out.

    Args:
        features: number of nodes I, at least 1.
        grid_size, degree, domain, device, dtype: as :class:`~kanbook.layers.KANLayer`.
        start: a function of a tensor, element by element, that every spline starts as.

    Attributes:
        knots: buffer of shape ``(I, G + 2k + 1)``.
        coef: parameter of shape ``(I, 1, G + k)``.

    Shape:
        ``(..., I)`` to ``(..., I)``.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range, ``start`` returns
            values that are not finite, or x does not fit.

    Example:
        >>> SplineActivation(2)(torch.tensor([-1.0, 1.0])).round(decimals=2)
        tensor([-0.7600,  0.7600], grad_fn=<RoundBackward1>)

    Source: Yu et al., "KAN or MLP: A Fairer Comparison" (2024). In the book: chapters 11 and 16.
    """

    def __init__(
        self,
        features: int,
        *,
        grid_size: int = 5,
        degree: int = 3,
        domain: tuple[float, float] = (-1.0, 1.0),
        start: Callable[[Tensor], Tensor] = torch.tanh,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_integer("features", features, 1)
        check_function("start", start)
        super().__init__(features, 1, grid_size, degree, domain, device=device, dtype=dtype)
        self.features = features
        self.start = start
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Fit every spline to ``start`` on its domain."""
        if self.knots.is_meta:  # no values to fit
            return
        a, b = self.domain
        x = torch.lerp(a, b, torch.linspace(0, 1, 20 * self.grid_size + 1).to(a).unsqueeze(-1))
        y = self.start(x)
        check_finite("start(x)", y)
        self.coef.copy_(splines.fit(x, y.unsqueeze(-1), self.knots, self.degree))

    @full_precision
    def forward(self, x: Tensor) -> Tensor:
        check_points(x, self.knots)
        return apply_splines(x, self.coef.squeeze(1), self.knots, self.degree)

    def extra_repr(self) -> str:
        return f"{self.features}, grid_size={self.grid_size}, degree={self.degree}"


class SplineMLP(Network):
    """An MLP that learns its activation functions: a spline of its own at every hidden node.

    Args:
        widths: number of nodes in each layer, as in a :class:`~kanbook.networks.KAN`.
        grid_size, degree, domain, start: of every :class:`SplineActivation`.
        device, dtype, generator: as :class:`~kanbook.layers.KANLayer`.

    Shape:
        ``(..., widths[0])`` to ``(..., widths[-1])``.

    Raises:
        TypeError, ValueError: as :class:`~kanbook.networks.MLP` and :class:`SplineActivation`.

    Example:
        >>> from kanbook import count_parameters
        >>> count_parameters(SplineMLP([2, 5, 1], grid_size=3))  # as the MLP, and 5 splines of 6
        51

    In the book: chapters 11 and 16.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        grid_size: int = 5,
        degree: int = 3,
        domain: tuple[float, float] = (-1.0, 1.0),
        start: Callable[[Tensor], Tensor] = torch.tanh,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: int | torch.Generator | None = None,
    ) -> None:
        check_widths(widths)
        spline = {"grid_size": grid_size, "degree": degree, "domain": domain, "start": start}
        where, modules = {"device": device, "dtype": dtype}, []
        generator = as_generator(generator, device)
        for i, o in pairwise(widths):
            linear = linear_layer(i, o, **where, generator=generator)
            modules += [linear, SplineActivation(o, **spline, **where)]
        super().__init__(*modules[:-1])


def apply_splines(x: Tensor, coef: Tensor, knots: Tensor, degree: int) -> Tensor:
    r"""Return :math:`y_i = s_i(x_i)`, with :math:`s_i = \sum_j c_{i,j} B_{i,j}`: one spline each.

    The same numbers as ``splines.evaluate(x, coef, knots, degree)``, to rounding error, without its
    checks and with memory for k + 1 numbers an x in place of n. The plain formula is used where
    :func:`~kanbook.fast.sum_splines` uses it.

    Args:
        x: shape ``(..., I)``.
        coef: shape ``(I, n)``.
        knots: shape ``(I, n + k + 1)``, sorted.
        degree: k.

    Returns:
        Shape ``(..., I)``.

    Example:
        >>> from kanbook import splines
        >>> knots = splines.uniform_knots(2, 1, (0.0, 1.0)).repeat(2, 1)
        >>> coef = torch.tensor([[0.0, 0.5, 1.0], [0.0, 2.0, 0.0]])
        >>> apply_splines(torch.tensor([[0.25, 0.25], [0.5, 1.0]]), coef, knots, 1)
        tensor([[0.2500, 1.0000],
                [0.5000, 0.0000]])
    """
    return _apply_splines(x, coef, knots, degree)


def _plain_each(x: Tensor, coef: Tensor, knots: Tensor, k: int) -> Tensor:
    return torch.einsum("...in,in->...i", cox_de_boor(x, knots, k), coef)


def _each_forward(x, coef, knots, k, keep):
    r"""y = sum of the living functions times their coefficients, gathered from W.

    W is that of :func:`kanbook.fast.sum_splines`, for one output.
    """
    place, values, slopes = find(x, knots, k)
    columns = list_columns(place, k, coef.shape[-1])
    living = pad(coef.T).index_select(0, columns.view(-1)).view(columns.shape)
    return torch.einsum("bir,bir->bi", living, values), (living, values, columns, *slopes)


def _each_backward(g, needed, x, coef, k, living, values, columns, *slopes):
    r"""The gradients, from g, that of the loss in y.

    .. math::
        \frac{\partial L}{\partial x_{b,i}}
            = g_{b,i} \sum_{r=0}^{k} c_{i,c-k+r}\, B_{i,c-k+r}'(x_{b,i}),

    and each product :math:`g_{b,i} B_{i,c-k+r}(x_{b,i})` is added to the gradient of the
    coefficient that it came from.
    """
    grad_x = grad_coef = None
    needs_x, needs_coef = needed
    if needs_coef:
        inputs, n = coef.shape
        grad_w = coef.new_zeros((n + 2) * inputs)
        products = g.unsqueeze(-1) * values
        # In parts: a long sum is more exact as a sum of sums.
        for c, p in zip(columns.split(ROWS), products.split(ROWS), strict=True):
            grad_w += torch.zeros_like(grad_w).scatter_add_(0, c.view(-1), p.view(-1))
        grad_coef = grad_w[inputs:-inputs].view(n, inputs).T
    if needs_x:
        grad_x = g * slope(living, k, *slopes)
    return grad_x, grad_coef


_apply_splines = by_hand(_plain_each, _each_forward, _each_backward)
