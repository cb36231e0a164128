"""The KAN layer: a learnable curve on every edge, a sum at every output."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from . import splines
from ._checks import check_integer, check_points

__all__ = ["KANLayer"]


class KANLayer(nn.Module):
    r"""A layer whose edges are splines: :math:`y_o = \sum_i \varphi_{o,i}(x_i)`.

    With every option off this is the minimal KAN,
    :math:`\varphi_{o,i}(x) = s_{i,o}(x) = \sum_j c_{i,o,j} B_j(x)`. Each option adds one term:

    .. math::
        y_o = \sum_i \bigl( w_{i,o}\, s_{i,o}(x_i) + u_{i,o}\, g(x_i) \bigr) + \beta_o

    with :math:`w` the ``spline_weight``, :math:`g` the ``base`` function, :math:`u` its
    ``base_weight`` and :math:`\beta` the ``bias``.

    **Initialization.** Every edge starts as a straight line, :math:`\varphi_{o,i}(x) = r_{i,o}
    (x - \bar x) + \bar x / I`, with random slopes :math:`r_{i,o} \sim N(0, 1/I)` and
    :math:`\bar x` the center of the domain. A spline is the line :math:`x` when each coefficient
    is the mean of the k knots inside the support of its basis function. So the layer starts as a
    linear layer that keeps the spread of its signal in both directions. Measured on 8 layers of
    width 16 (cubic, inputs uniform on [-1, 1], mean of 5 seeds): the standard deviation of the
    signal goes from 0.58 at the input to 0.45 at the output with G=5 and to 0.36 with G=20; that
    of the gradient grows 1.3 and 7.5 times from output to input. Independent normal coefficients
    of the same output variance keep the signal as well (0.58 and 0.56), but neighboring
    coefficients differ, the curves are steep, and the gradient grows 67 times (G=5) and 3.9
    million times (G=20). ``tests/test_layers.py`` holds this experiment. The options start as
    no-ops: bias 0, spline weights 1, base weights 0. Degree 0 is a staircase: no gradient passes
    through it to earlier layers.

    Args:
        in_features: number of inputs I, at least 1.
        out_features: number of outputs O, at least 1.
        grid_size: number of grid intervals G on the domain.
        degree: degree k of the splines, 0 to 7.
        domain: interval (a, b) on which the knots lie. Beyond it the splines fade to zero.
        bias: add a learnable number to each output.
        spline_weight: multiply each edge's spline by a learnable number.
        base: a function applied to each input, ``torch.nn.functional.silu`` say, that is added to
            each edge with a learnable weight.
        device, dtype: of parameters and knots.
        generator: source of the random numbers, on the same device; PyTorch's global one if not
            given.

    Attributes:
        knots: buffer of shape ``(I, G + 2k + 1)``.
        coef: parameter of shape ``(I, O, G + k)``.
        spline_weight, base_weight: parameters of shape ``(I, O)``, or None.
        bias: parameter of shape ``(O,)``, or None.

    Shape:
        ``(..., I)`` to ``(..., O)``.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range; in ``forward``, x
            has another last dimension, dtype or device than the layer.

    Example:
        >>> layer = KANLayer(2, 3, grid_size=4)
        >>> layer(torch.zeros(10, 2)).shape
        torch.Size([10, 3])

    Source: Liu et al., "KAN: Kolmogorov-Arnold Networks" (2024), section 2. In the book: chapter 3.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        grid_size: int = 5,
        degree: int = 3,
        domain: tuple[float, float] = (-1.0, 1.0),
        bias: bool = False,
        spline_weight: bool = False,
        base: Callable[[Tensor], Tensor] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_integer("in_features", in_features, 1)
        check_integer("out_features", out_features, 1)
        if base is not None and not callable(base):
            raise TypeError(f"base={base!r}; expected a function of a tensor, or None")
        factory = {"device": device, "dtype": dtype}
        knots = splines.uniform_knots(grid_size, degree, domain, **factory)

        self.in_features = in_features
        self.out_features = out_features
        self.degree = degree
        self.base = base
        self.register_buffer("knots", knots.repeat(in_features, 1))
        edges = (in_features, out_features)
        self.coef = nn.Parameter(torch.empty(*edges, grid_size + degree, **factory))
        self.spline_weight = nn.Parameter(torch.empty(edges, **factory)) if spline_weight else None
        self.base_weight = nn.Parameter(torch.empty(edges, **factory)) if base is not None else None
        self.bias = nn.Parameter(torch.empty(out_features, **factory)) if bias else None
        self.reset_parameters(generator)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Make every edge a straight line of random slope, and every option a no-op."""
        a, b = self.knots[:, self.degree, None], self.knots[:, -self.degree - 1, None]
        center = (a + b) / 2
        # The coefficients of the line x: the mean of the k knots inside each support.
        if self.degree == 0:
            line = (self.knots[:, :-1] + self.knots[:, 1:]) / 2
        else:
            line = self.knots[:, 1:-1].unfold(-1, self.degree, 1).mean(-1)
        slope = torch.empty_like(self.coef[..., :1])
        slope.normal_(0, self.in_features**-0.5, generator=generator)
        self.coef.copy_(
            slope * (line - center).unsqueeze(1) + (center / self.in_features).unsqueeze(1)
        )
        if self.spline_weight is not None:
            self.spline_weight.fill_(1)
        if self.base_weight is not None:
            self.base_weight.zero_()
        if self.bias is not None:
            self.bias.zero_()

    @property
    def grid_size(self) -> int:
        """Number of grid intervals G on the domain."""
        return self.knots.shape[-1] - 2 * self.degree - 1

    def forward(self, x: Tensor) -> Tensor:
        check_points(x, self.knots)
        bases = splines.cox_de_boor(x, self.knots, self.degree)  # (..., I, n)
        coef = self.coef
        if self.spline_weight is not None:
            coef = coef * self.spline_weight.unsqueeze(-1)
        y = torch.einsum("...in,ion->...o", bases, coef)
        if self.base_weight is not None:
            y = y + self.base(x) @ self.base_weight
        if self.bias is not None:
            y = y + self.bias
        return y

    def edges(self, x: Tensor) -> Tensor:
        """Return every edge function's value, shape ``(..., I, O)``.

        The sum over the inputs, plus the bias if there is one, is the layer's output.
        """
        check_points(x, self.knots)
        bases = splines.cox_de_boor(x, self.knots, self.degree)
        phi = torch.einsum("...in,ion->...io", bases, self.coef)
        if self.spline_weight is not None:
            phi = phi * self.spline_weight
        if self.base_weight is not None:
            phi = phi + self.base(x).unsqueeze(-1) * self.base_weight
        return phi

    def extra_repr(self) -> str:
        parts = [f"{self.in_features}, {self.out_features}"]
        parts.append(f"grid_size={self.grid_size}, degree={self.degree}")
        parts += [
            f"{name}=True" for name in ("bias", "spline_weight") if getattr(self, name) is not None
        ]
        if self.base is not None:
            parts.append(f"base={getattr(self.base, '__name__', type(self.base).__name__)}")
        return ", ".join(parts)
