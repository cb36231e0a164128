"""The tanh layer: a KAN layer without splines, two numbers an edge."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._checks import as_generator, check_features, check_integer
from .fast import autocasts
from .layers import full_precision

__all__ = ["TanhLayer"]

# Values of edges: fewer than FEW are computed the plain way, CHUNK at a time at most.
FEW, CHUNK = 2**15, 2**20


class TanhLayer(nn.Module):
    r"""A KAN layer without splines: every edge is a tanh of a parabola through the origin.

    .. math::
        y_o = \sum_i \tanh(a_{i,o}\, x_i^2 + b_{i,o}\, x_i) + \beta_o

    with two numbers per edge, and the ``bias`` :math:`\beta` only if it is asked for.
    ``tanh="sum"`` takes one tanh at every node instead, after the sum,
    :math:`y_o = \tanh(\sum_i (a_{i,o}\, x_i^2 + b_{i,o}\, x_i) + \beta_o)`, and ``tanh=None``
    takes none: the edges are parabolas, and the layer is two matrix products.

    With ``tanh="edge"``, training takes memory for batch * I * O numbers on a CPU, several times as
    many elsewhere.

    **Initialization.** :math:`b_{i,o} \sim N(0, 1/I)` and :math:`a_{i,o} \sim N(0, 1/(16 I))`: near
    zero an edge is the line :math:`b x`, and the layer keeps the spread of its signal. A tanh of
    the sum shrinks it more, so there :math:`b_{i,o} \sim N(0, 4/(3I))`. The bias starts as 0.

    Args:
        in_features, out_features: numbers of inputs I and outputs O.
        bias: add a learnable number to each output, or to the sum inside its tanh.
        tanh: where it is taken: at every ``"edge"``, of the ``"sum"``, or nowhere, None.
        device, dtype, generator: as :class:`~kanbook.layers.KANLayer`.

    Attributes:
        a, b: parameters of shape ``(I, O)``.
        bias: parameter of shape ``(O,)``, or None.

    Shape:
        ``(..., I)`` to ``(..., O)``.

    Example:
        >>> layer = TanhLayer(2, 3)
        >>> layer(torch.zeros(1, 2)).shape, layer.edges(torch.zeros(1, 2)).shape
        (torch.Size([1, 3]), torch.Size([1, 2, 3]))

    Source of ``"sum"``: the code of Casey Primozic's post "Exploring the Kolmogorov-Arnold Network"
    (2024). In the book: chapter 12.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = False,
        tanh: str | None = "edge",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: int | torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_integer("in_features", in_features, 1)
        check_integer("out_features", out_features, 1)
        if tanh not in ("edge", "sum", None):
            raise ValueError(f"tanh={tanh!r}; expected 'edge', 'sum' or None")
        factory = {"device": device, "dtype": dtype}
        self.in_features, self.out_features, self.tanh = in_features, out_features, tanh
        self.a = nn.Parameter(torch.empty(in_features, out_features, **factory))
        self.b = nn.Parameter(torch.empty(in_features, out_features, **factory))
        self.bias = nn.Parameter(torch.empty(out_features, **factory)) if bias else None
        self.reset_parameters(generator)

    @torch.no_grad()
    def reset_parameters(self, generator: int | torch.Generator | None = None) -> None:
        """Make every edge nearly a straight line of random slope, and the bias 0."""
        generator = as_generator(generator, self.a.device)
        self.a.normal_(0, self.in_features**-0.5 / 4, generator=generator)
        gain = (4 / 3) ** 0.5 if self.tanh == "sum" else 1
        self.b.normal_(0, gain * self.in_features**-0.5, generator=generator)
        if self.bias is not None:
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        # The backward pass of autocast would round products.
        products = isinstance(x, Tensor) and not autocasts(x)
        if products and self.tanh != "edge":
            y = self._sum_parabolas(x)
        elif (
            products
            and not torch.compiler.is_compiling()
            and not torch.jit.is_tracing()
            and x.device.type == "cpu"
            and self.out_features > 1  # products with vectors: slower
            and x.numel() * self.out_features >= FEW
        ):
            y = self._sum_products(x)
        else:
            y = self._sum_edges(x)
        y = y if self.bias is None else y + self.bias
        return torch.tanh(y) if self.tanh == "sum" else y

    def _sum_parabolas(self, x: Tensor) -> Tensor:
        check_features(x, self.in_features, "a", self.a)
        y = x @ self.b
        return torch.addmm(y, x**2, self.a) if x.ndim == 2 else y + x**2 @ self.a

    @full_precision
    def _sum_edges(self, x: Tensor) -> Tensor:
        return self.edges(x).sum(-2)

    def _sum_products(self, x: Tensor) -> Tensor:
        """The same by way of matrix products, a part of the batch at a time."""
        check_features(x, self.in_features, "a", self.a)
        powers = torch.stack([x**2, x], -1).view(-1, self.in_features, 2).transpose(0, 1)
        weights = torch.stack([self.a, self.b], 1)  # (I, 2, O)
        rows = max(1, CHUNK // self.a.numel())
        y = torch.cat([(part @ weights).tanh_().sum(0) for part in powers.split(rows, 1)])
        return y.view(*x.shape[:-1], self.out_features)

    @torch.no_grad()
    def jacobian(self, x: Tensor, slopes: Tensor) -> Tensor:
        """As :meth:`kanbook.layers.KANLayer.jacobian`."""
        if self.tanh == "sum":
            slopes = slopes * (1 - self(x).square())
        inside = slopes.unsqueeze(1)
        if self.tanh == "edge":
            inside = inside * (1 - self.edges(x).square())  # (N, I, O)
        x = x.unsqueeze(-1)
        parts = [inside * x**2, inside * x] + ([] if self.bias is None else [slopes])
        return torch.cat([part.flatten(1) for part in parts], 1)

    @full_precision
    def edges(self, x: Tensor) -> Tensor:
        """Return every edge function's value, shape ``(..., I, O)``, before the tanh of a sum."""
        check_features(x, self.in_features, "a", self.a)
        x = x.unsqueeze(-1)
        parabolas = self.a * x**2 + self.b * x
        return torch.tanh(parabolas) if self.tanh == "edge" else parabolas

    def extra_repr(self) -> str:
        bias = "" if self.bias is None else ", bias=True"
        tanh = "" if self.tanh == "edge" else f", tanh={self.tanh!r}"
        return f"{self.in_features}, {self.out_features}{bias}{tanh}"
