"""Networks: layers in a row."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ._checks import check_dtype, check_features, check_function, check_widths
from .fast import autocasts
from .layers import KANLayer, TanhLayer

__all__ = [
    "KAN",
    "MLP",
    "TanhKAN",
    "Mixture",
]


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
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def extra_repr(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)


def linear_layer(
    in_features: int,
    out_features: int,
    device: torch.device | str | None,
    dtype: torch.dtype | None,
    generator: torch.Generator | None,
) -> nn.Linear:
    """An ``nn.Linear`` that starts as PyTorch's does, but from the given generator."""
    check_dtype(dtype)
    linear = nn.Linear(in_features, out_features, device="meta", dtype=dtype)
    linear.to_empty(device=device if device is not None else torch.empty(0).device)
    for parameter in linear.parameters():
        nn.init.uniform_(parameter, -(in_features**-0.5), in_features**-0.5, generator=generator)
    return linear


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


class TanhKAN(Network):
    """A KAN whose edges are the two-parameter curves of :class:`~kanbook.layers.TanhLayer`.

    Args:
        widths: number of nodes in each layer, inputs first, outputs last; at least two numbers.
        bias: add a learnable number to each output of each layer.
        device, dtype: of the parameters.
        generator: source of the random numbers, on the same device; PyTorch's global one if not
            given.

    Shape:
        ``(..., widths[0])`` to ``(..., widths[-1])``.

    Raises:
        TypeError, ValueError: ``widths`` is not a sequence of two or more integers >= 1, or as
            :class:`~kanbook.layers.TanhLayer`.

    Example:
        >>> from kanbook import count_parameters
        >>> count_parameters(TanhKAN([2, 5, 1], bias=True))  # 15 edges of 2 numbers, 6 biases
        36

    In the book: chapter 13.
    """

    def __init__(
        self,
        widths: Sequence[int],
        bias: bool = False,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        check_widths(widths)
        options = {"bias": bias, "device": device, "dtype": dtype, "generator": generator}
        super().__init__(*(TanhLayer(i, o, **options) for i, o in pairwise(widths)))


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
        generator: torch.Generator | None = None,
    ) -> None:
        check_widths(widths)
        check_function("activation", activation)
        modules: list[nn.Module] = []
        for i, o in pairwise(widths):
            modules += [linear_layer(i, o, device, dtype, generator), Activation(activation)]
        super().__init__(*modules[:-1])


class Mixture(Network):
    """Layers of different kinds in a row.

    A "kan" layer is a :class:`~kanbook.layers.KANLayer`, a "tanh" layer a
    :class:`~kanbook.layers.TanhLayer`. A "linear" layer is an ``nn.Linear`` followed by the
    activation function, except that the last layer of a network is followed by nothing. So with
    one kind throughout this is a :class:`KAN`, a :class:`TanhKAN` or an :class:`MLP`.

    Args:
        widths: number of nodes in each layer, inputs first, outputs last; at least two numbers.
        kinds: ``"kan"``, ``"tanh"`` or ``"linear"`` for each layer, ``len(widths) - 1`` of them.
        activation: function applied after a linear layer, ``torch.tanh`` say.
        kan: options of every KAN layer: ``{"grid_size": 3}``, say.
        tanh: options of every tanh layer: ``{"bias": True}``, say.
        device, dtype: of parameters and knots.
        generator: source of the random numbers, on the same device; PyTorch's global one if not
            given.

    Shape:
        ``(..., widths[0])`` to ``(..., widths[-1])``.

    Raises:
        TypeError, ValueError: ``widths`` is not a sequence of two or more integers >= 1; ``kinds``
            is of another length or names an unknown kind; there are options for a kind that is
            not there, or unknown ones; or as the layers.

    Example:
        >>> Mixture([2, 5, 1], ["linear", "kan"], kan={"grid_size": 3})
        Mixture(
          (0): Linear(in_features=2, out_features=5, bias=True)
          (1): Activation(tanh)
          (2): KANLayer(5, 1, grid_size=3, degree=3)
        )

    In the book: chapter 14.
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
        generator: torch.Generator | None = None,
    ) -> None:
        check_widths(widths)
        check_function("activation", activation)
        _check_kinds(kinds, widths)
        _check_options("kan", kan, kinds, KANLayer, dtype)
        _check_options("tanh", tanh, kinds, TanhLayer, dtype)
        options = {"device": device, "dtype": dtype, "generator": generator}
        modules: list[nn.Module] = []
        for kind, (i, o) in zip(kinds, pairwise(widths), strict=True):
            if kind == "kan":
                modules.append(KANLayer(i, o, **(kan or {}), **options))
            elif kind == "tanh":
                modules.append(TanhLayer(i, o, **(tanh or {}), **options))
            else:
                modules += [linear_layer(i, o, **options), Activation(activation)]
        super().__init__(*(modules[:-1] if kinds[-1] == "linear" else modules))


KINDS = ("kan", "tanh", "linear")


def _check_kinds(kinds: Sequence[str], widths: Sequence[int]) -> None:
    if isinstance(kinds, str) or not isinstance(kinds, Sequence):
        raise TypeError(f"kinds={kinds!r}; expected a list of {KINDS}, one for each layer")
    for position, kind in enumerate(kinds):
        if kind not in KINDS:
            raise ValueError(f"kinds[{position}]={kind!r}; expected one of {KINDS}")
    if len(kinds) != len(widths) - 1:
        raise ValueError(
            f"kinds={kinds!r} has length {len(kinds)}, widths={widths!r} has length "
            f"{len(widths)}; expected one kind for each layer, {len(widths) - 1}"
        )


def _check_options(
    kind: str,
    options: Mapping[str, Any] | None,
    kinds: Sequence[str],
    layer: type[nn.Module],
    dtype: torch.dtype | None,
) -> None:
    if options is None:
        return
    parameters = inspect.signature(layer).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    known = [name for name in known if name not in ("device", "dtype", "generator")]
    if not isinstance(options, Mapping):
        raise TypeError(f"{kind}={options!r}; expected a dict of the options {known}, or None")
    for name in options:
        if name not in known:
            raise TypeError(f"{kind}={options!r} has the option {name!r}; expected one of {known}")
    if options and kind not in kinds:
        raise ValueError(f"{kind}={options!r}; expected None, as kinds={kinds!r} has no {kind!r}")
    layer(1, 1, **options, device="meta", dtype=dtype)  # names a wrong value; no random numbers


def __getattr__(name: str):  # places of the first edition
    if name == "SplineMLP":
        from .experiments.rivals import SplineMLP

        return SplineMLP
    if name in ("Operations", "count_operations", "count_parameters"):
        from . import counting

        return getattr(counting, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
