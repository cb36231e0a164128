"""Networks: layers in a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ._checks import as_generator, check_features, check_function, check_widths
from .fast import autocasts
from .layers import KANLayer
from .tanh import TanhLayer

__all__ = ["KAN", "MLP", "Mixture", "TanhKAN"]


class Network(nn.Sequential):
    """Modules in a row: names a wrong x, and its slices are plain ``nn.Sequential``."""

    def forward(self, x: Tensor) -> Tensor:
        for module in self:
            # The other layers check x themselves; under autocast, nn.Linear takes other dtypes.
            if isinstance(module, nn.Linear) and not (isinstance(x, Tensor) and autocasts(x)):
                check_features(x, module.in_features, "the weights", module.weight)
            x = module(x)
        return x

    def __getitem__(self, index: int | slice) -> nn.Module:
        if isinstance(index, slice):
            return nn.Sequential(*list(self)[index])
        return super().__getitem__(index)


class Activation(nn.Module):
    """A function as a module, so that it can stand in an ``nn.Sequential``."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        check_function("activation", function)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)


def in_a_row(model: nn.Module) -> list[nn.Module]:
    """The modules of a nested ``nn.Sequential``; one that occurs twice comes twice."""
    if not isinstance(model, nn.Sequential):
        return [model]
    return [inner for module in model for inner in in_a_row(module)]


def linear_layer(
    in_features: int,
    out_features: int,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: torch.Generator | None = None,
) -> nn.Linear:
    """An ``nn.Linear`` that starts as PyTorch's does, but from the given generator."""
    device = torch.get_default_device() if device is None else device
    linear = nn.utils.skip_init(nn.Linear, in_features, out_features, device=device, dtype=dtype)
    for parameter in linear.parameters():
        nn.init.uniform_(parameter, -(in_features**-0.5), in_features**-0.5, generator=generator)
    return linear


class KAN(Network):
    """A Kolmogorov-Arnold network: KAN layers in a row, nothing between them.

    Args:
        widths: number of nodes in each layer, inputs first, outputs last; at least two numbers.
        grid_size, degree, domain, clamp, bias, spline_weight, base, device, dtype, generator: of
            every :class:`~kanbook.layers.KANLayer`. Beyond the domain predictions are nonsense:
            with ``clamp``, those at its edge take their place.

    Shape:
        ``(..., widths[0])`` to ``(..., widths[-1])``.

    Raises:
        TypeError, ValueError: ``widths`` are no such numbers, or as the layers.

    Example:
        >>> model = KAN([2, 5, 1], grid_size=3, generator=0)
        >>> model(torch.zeros(10, 2)).shape
        torch.Size([10, 1])

    Source: Liu et al., "KAN: Kolmogorov-Arnold Networks" (2024), section 2.2.
    In the book: chapter 3.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        grid_size: int = 5,
        degree: int = 3,
        domain: tuple[float, float] = (-1.0, 1.0),
        clamp: bool = False,
        bias: bool = False,
        spline_weight: bool = False,
        base: Callable[[Tensor], Tensor] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: int | torch.Generator | None = None,
    ) -> None:
        check_widths(widths)
        options = {"grid_size": grid_size, "degree": degree, "domain": domain, "clamp": clamp}
        options |= {"bias": bias, "spline_weight": spline_weight, "base": base}
        options |= _where(device, dtype, generator)
        super().__init__(*(KANLayer(i, o, **options) for i, o in pairwise(widths)))


class TanhKAN(Network):
    """A KAN whose edges are the two-parameter curves of :class:`~kanbook.tanh.TanhLayer`.

    Args:
        widths: number of nodes in each layer, as in a :class:`KAN`.
        bias: add a learnable number to each output of each layer.
        tanh: of every layer; with ``"sum"``, one tanh at every node, the last layer has none.
        device, dtype, generator: as :class:`~kanbook.layers.KANLayer`.

    Example:
        >>> from kanbook import count_parameters
        >>> count_parameters(TanhKAN([2, 5, 1], bias=True))  # 15 edges of 2 numbers, 6 biases
        36

    In the book: chapter 12.
    """

    def __init__(
        self,
        widths: Sequence[int],
        bias: bool = False,
        tanh: str | None = "edge",
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: int | torch.Generator | None = None,
    ) -> None:
        check_widths(widths)
        options = {"bias": bias} | _where(device, dtype, generator)
        places = [tanh] * (len(widths) - 2) + [None if tanh == "sum" else tanh]
        pairs = zip(pairwise(widths), places, strict=True)
        super().__init__(*(TanhLayer(i, o, tanh=place, **options) for (i, o), place in pairs))


class MLP(Network):
    """A multilayer perceptron: linear layers with a fixed activation function between them.

    Args:
        widths: number of nodes in each layer, as in a :class:`KAN`.
        activation: function applied at every hidden node, ``torch.tanh`` say.
        device, dtype, generator: as :class:`~kanbook.layers.KANLayer`.

    Example:
        >>> from kanbook import count_parameters
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
        generator: int | torch.Generator | None = None,
    ) -> None:
        check_widths(widths)
        where = _where(device, dtype, generator)
        modules: list[nn.Module] = []
        for i, o in pairwise(widths):
            modules += [linear_layer(i, o, **where), Activation(activation)]
        super().__init__(*modules[:-1])


class Mixture(Network):
    """Layers of different kinds in a row.

    A "kan" layer is a :class:`~kanbook.layers.KANLayer`, a "tanh" layer a
    :class:`~kanbook.tanh.TanhLayer`, a "linear" layer an ``nn.Linear`` followed by the activation
    function, unless it is the last.

    Args:
        widths: number of nodes in each layer, as in a :class:`KAN`.
        kinds: ``"kan"``, ``"tanh"`` or ``"linear"`` for each layer, ``len(widths) - 1`` of them.
        activation: function applied after a linear layer, ``torch.tanh`` say.
        kan: options of every KAN layer: ``{"grid_size": 3}``, say.
        tanh: options of every tanh layer: ``{"bias": True}``, say.
        device, dtype, generator: as :class:`~kanbook.layers.KANLayer`.

    Example:
        >>> Mixture([2, 5, 1], ["linear", "kan"], kan={"grid_size": 3})
        Mixture(
          (0): Linear(in_features=2, out_features=5, bias=True)
          (1): Activation(tanh)
          (2): KANLayer(5, 1, grid_size=3, degree=3)
        )

    In the book: chapter 12.
    """

    def __init__(
        self,
        widths: Sequence[int],
        kinds: Sequence[str],
        *,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        kan: Mapping[str, Any] | None = None,
        tanh: Mapping[str, Any] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: int | torch.Generator | None = None,
    ) -> None:
        check_widths(widths)
        known = {"kan", "tanh", "linear"}
        if not isinstance(kinds, Sequence) or len(kinds) != len(widths) - 1 or {*kinds} - known:
            raise ValueError(
                f"kinds={kinds!r}; expected 'kan', 'tanh' or 'linear' for each of the "
                f"{len(widths) - 1} layers of widths={widths!r}"
            )
        where = _where(device, dtype, generator)
        modules: list[nn.Module] = []
        for kind, (i, o) in zip(kinds, pairwise(widths), strict=True):
            if kind == "kan":
                modules.append(KANLayer(i, o, **(kan or {}), **where))
            elif kind == "tanh":
                modules.append(TanhLayer(i, o, **(tanh or {}), **where))
            else:
                modules += [linear_layer(i, o, **where), Activation(activation)]
        super().__init__(*(modules[:-1] if kinds[-1] == "linear" else modules))


def _where(
    device: torch.device | str | None,
    dtype: torch.dtype | None,
    generator: int | torch.Generator | None,
) -> dict[str, Any]:
    """What all layers of a network get; one generator, so that no two start alike."""
    return {"device": device, "dtype": dtype, "generator": as_generator(generator, device)}
