"""Networks: layers in a row, and how many parameters they have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ._checks import check_like, check_widths
from .layers import KANLayer

__all__ = ["KAN", "MLP", "count_parameters"]


class Network(nn.Sequential):
    """An ``nn.Sequential`` whose slices are plain ones: they need no ``widths``."""

    def __getitem__(self, index: int | slice) -> nn.Module:
        if isinstance(index, slice):
            return nn.Sequential(*list(self)[index])
        return super().__getitem__(index)


class KAN(Network):
    """A Kolmogorov-Arnold network: KAN layers in a row, nothing between them.

    Args:
        widths: number of nodes in each layer, inputs first, outputs last; at least two numbers.
        layer_options: passed to every :class:`~kanbook.layers.KANLayer`: ``grid_size``,
            ``degree``, ``domain``, ``bias``, ``generator``, ...

    Shape:
        ``(..., widths[0])`` to ``(..., widths[-1])``.

    Raises:
        TypeError, ValueError: ``widths`` is not a sequence of two or more integers >= 1, or as
            :class:`~kanbook.layers.KANLayer`.

    Example:
        >>> model = KAN([2, 5, 1], grid_size=3)
        >>> model(torch.zeros(10, 2)).shape
        torch.Size([10, 1])

    Source: Liu et al., "KAN: Kolmogorov-Arnold Networks" (2024), section 2.2.
    In the book: chapter 3.
    """

    def __init__(self, widths: Sequence[int], **layer_options: Any) -> None:
        check_widths(widths)
        super().__init__(*(KANLayer(i, o, **layer_options) for i, o in pairwise(widths)))


class Activation(nn.Module):
    """A function as a module, so that it can stand in an ``nn.Sequential``."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)


class MLP(Network):
    """A multilayer perceptron: linear layers with a fixed activation function between them.

    Weights and biases start as in ``nn.Linear``: uniform within 1 / sqrt(number of inputs).

    Args:
        widths: number of nodes in each layer, inputs first, outputs last; at least two numbers.
        activation: function applied at every hidden node, ``torch.tanh`` say.
        device, dtype: of the parameters.
        generator: source of the random numbers, on the same device; PyTorch's global one if not
            given.

    Shape:
        ``(..., widths[0])`` to ``(..., widths[-1])``.

    Raises:
        TypeError, ValueError: ``widths`` is not a sequence of two or more integers >= 1, or
            ``activation`` cannot be called; in ``forward``, x has another last dimension, dtype or
            device than the first layer.

    Example:
        >>> count_parameters(MLP([2, 5, 1]))
        21

    In the book: chapters 3 and 4.
    """

    def __init__(
        self,
        widths: Sequence[int],
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        check_widths(widths)
        if not callable(activation):
            raise TypeError(f"activation={activation!r}; expected a function of a tensor")
        modules: list[nn.Module] = []
        for i, o in pairwise(widths):
            linear = nn.Linear(i, o, device="meta", dtype=dtype)
            linear.to_empty(device=device if device is not None else torch.empty(0).device)
            for parameter in linear.parameters():
                nn.init.uniform_(parameter, -(i**-0.5), i**-0.5, generator=generator)
            modules += [linear, Activation(activation)]
        super().__init__(*modules[:-1])

    def forward(self, x: Tensor) -> Tensor:
        first = self[0]
        check_like("x", x, "the weights", first.weight)
        if x.ndim == 0 or x.shape[-1] != first.in_features:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (..., {first.in_features})")
        return super().forward(x)


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters: single numbers that the optimizer changes.

    Shared parameters count once; knots are buffers and do not count.

    Example:
        >>> count_parameters(KAN([2, 5, 1], grid_size=3, degree=3))  # 15 edges of 6 coefficients
        90
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
