"""Networks that only the races need.

:class:`NodeTanh` has chapter 12's curve at every node instead of every edge;
:class:`NaiveKANLayer` is the KAN layer before it was made fast, ``SoftKANLayer`` one of soft
boxes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kanbook.layers import KANLayer


class NodeTanh(nn.Module):
    """tanh(a z^2 + b z) at every node of an MLP: the tanh edge, once per node."""

    def __init__(self, features: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(features, dtype=dtype))
        self.b = nn.Parameter(torch.ones(features, dtype=dtype))

    def forward(self, z: Tensor) -> Tensor:
        """Map ``(..., features)`` to the same shape."""
        return torch.tanh(self.a * z**2 + self.b * z)


class NaiveKANLayer(KANLayer):
    """The KAN layer as it is first written: every edge of every sample, then the sum."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., I)`` to ``(..., O)``."""
        y = self.edges(x).sum(-2)
        return y if self.bias is None else y + self.bias


class SoftKANLayer(KANLayer):
    r"""A KAN layer whose splines are made of soft boxes.

    The recursion of Cox and de Boor starts from :math:`\sigma(4 (x - t_j))\, \sigma(4 (t_{j+1} -
    x))` in place of a box: what a framework can differentiate that cannot differentiate a
    comparison. The functions are smooth and overlap more than B-splines do; outside their knots
    they are small, not 0, and they do not add up to 1.

    Source: the code of Casey Primozic's post (2024). In the book: chapter 11.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, I)`` to ``(N, O)``."""
        coef = (
            self.coef if self.spline_weight is None else self.coef * self.spline_weight[..., None]
        )
        y = torch.einsum("nbi,ion->bo", soft_basis(x, self.knots, self.degree), coef)
        if self.base is not None:
            y = y + self.base(x) @ self.base_weight
        return y if self.bias is None else y + self.bias


def soft_basis(x: Tensor, knots: Tensor, degree: int) -> Tensor:
    """Cox and de Boor's recursion from soft boxes: ``(N, I)`` and ``(I, m)`` to ``(n, N, I)``."""
    t = knots.T.unsqueeze(1)  # functions first: what is added then lies together in memory
    rise = torch.sigmoid(4 * (x - t))
    basis = rise[:-1] * (1 - rise[1:])
    for k in range(1, degree + 1):
        up = (x - t[: -k - 1]) / (t[k:-1] - t[: -k - 1])
        down = (t[k + 1 :] - x) / (t[k + 1 :] - t[1:-k])
        basis = up * basis[:-1] + down * basis[1:]
    return basis
