"""Networks: layers in a row, how many parameters they have and how much they compute."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ._checks import check_dtype, check_features, check_function, check_widths
from .functional import autocasts
from .layers import KANLayer, SplineActivation, TanhLayer

__all__ = [
    "KAN",
    "MLP",
    "TanhKAN",
    "SplineMLP",
    "Mixture",
    "count_parameters",
    "count_operations",
    "Operations",
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


def _linear(
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
            modules += [_linear(i, o, device, dtype, generator), Activation(activation)]
        super().__init__(*modules[:-1])


class SplineMLP(Network):
    """An MLP that learns its activation functions: a spline of its own at every hidden node.

    It stands between MLP and KAN: splines, but one for each node instead of one for each edge.
    The linear layers start as those of :class:`MLP`, the splines as ``start``.

    Args:
        widths: number of nodes in each layer, inputs first, outputs last; at least two numbers.
        grid_size, degree, domain, start: of every
            :class:`~kanbook.layers.SplineActivation`.
        device, dtype: of parameters and knots.
        generator: source of the random numbers, on the same device; PyTorch's global one if not
            given.

    Shape:
        ``(..., widths[0])`` to ``(..., widths[-1])``.

    Raises:
        TypeError, ValueError: ``widths`` is not a sequence of two or more integers >= 1, or as
            :class:`~kanbook.layers.SplineActivation`; in ``forward``, x has another last
            dimension, dtype or device than the first layer.

    Example:
        >>> count_parameters(SplineMLP([2, 5, 1], grid_size=3))  # as the MLP, and 5 splines of 6
        51

    Source: Yu et al., "KAN or MLP: A Fairer Comparison" (2024). In the book: chapter 4.
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
        generator: torch.Generator | None = None,
    ) -> None:
        check_widths(widths)
        spline = {"grid_size": grid_size, "degree": degree, "domain": domain, "start": start}
        modules: list[nn.Module] = []
        for i, o in pairwise(widths):
            activation = SplineActivation(o, **spline, device=device, dtype=dtype)
            modules += [_linear(i, o, device, dtype, generator), activation]
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
                modules += [_linear(i, o, **options), Activation(activation)]
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


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters: single numbers that the optimizer changes.

    Shared parameters count once; knots are buffers and do not count.

    Example:
        >>> count_parameters(KAN([2, 5, 1], grid_size=3, degree=3))  # 15 edges of 6 coefficients
        90
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


class Operations(NamedTuple):
    """What one sample costs: multiply-adds, and evaluations of nonlinear functions."""

    multiply_adds: int
    functions: int


def count_operations(model: nn.Module, convention: str = "shared") -> Operations:
    r"""Return how many operations a network needs for one sample, forward, by its formulas.

    **Counting rule.** A multiply-add, :math:`a b + c`, counts as one, and so does a multiplication,
    an addition or a subtraction alone. Every sum starts at the bias, or at zero where there is
    none: so a product costs one with its addition, and a bias costs nothing. Calls of the base
    function, of tanh and of an activation function are counted apart. What depends on parameters
    or knots alone, such as :math:`1 / (t_{i+p} - t_i)`, is no cost of a sample; finding the
    interval in which x lies (degree 0) is not counted.

    **Conventions.** What the edges of one input have in common - basis functions, base function,
    :math:`x^2` of a tanh layer - is computed R times. A layer computes it once for each input,
    R = I: ``"shared"``. Published counts let every edge compute all that it needs, R = IO:
    ``"edge"``.

    **Basis functions.** Level p of the Cox-de Boor recursion has :math:`G + 2k - p` functions. Each
    takes 6: two differences to knots, two products with an inverse width, a product and a
    multiply-add with functions of level p - 1. For all levels together

    .. math:: C = 6 \sum_{p=1}^{k} (G + 2k - p) = 3k\,(2G + 3k - 1)

    This is :func:`~kanbook.splines.cox_de_boor`: all G + k functions. A KAN layer in fact
    skips those that are zero: it does less, and its time depends on other things too (chapter 16).

    ================  =====================================================  ====================
    layer             multiply-adds                                          functions
    ================  =====================================================  ====================
    KANLayer          RC (bases) + IO(G + k) (coefficients times bases)      R with base
                      + IO with spline_weight + IO with base
    TanhLayer         R (:math:`x^2`) + 2 IO (:math:`a x^2 + b x`)           IO
                      + IO (the sum of the edges)
    nn.Linear         IO                                                     0
    SplineActivation  I(C + G + k)                                           0
    activation        0                                                      I
    ================  =====================================================  ====================

    Args:
        model: one of these layers, or an ``nn.Sequential`` of them, such as every network here.
        convention: ``"shared"`` or ``"edge"``.

    Returns:
        ``Operations(multiply_adds, functions)``.

    Raises:
        TypeError: the model contains another module.
        ValueError: ``convention`` is unknown, or an activation function comes first, where the
            number of its inputs is not known.

    Example:
        >>> count_operations(MLP([2, 5, 1]))
        Operations(multiply_adds=15, functions=5)
        >>> count_operations(KAN([2, 5, 1])), count_operations(KAN([2, 5, 1]), "edge")
        (Operations(multiply_adds=1254, functions=0), Operations(multiply_adds=2550, functions=0))

    In the book: chapter 4.
    """
    if convention not in ("shared", "edge"):
        raise ValueError(f"convention={convention!r}; expected 'shared' or 'edge'")
    multiply_adds = functions = 0
    width = None  # number of outputs of the module before
    for module in _in_a_row(model):
        if isinstance(module, Activation):
            if width is None:
                raise ValueError(f"model starts with {module}; expected a layer before it")
            functions += width
            continue
        if isinstance(module, SplineActivation):
            width = module.features
            multiply_adds += width * (_basis_operations(module) + module.coef.shape[-1])
            continue
        if not isinstance(module, (KANLayer, TanhLayer, nn.Linear)):
            raise TypeError(
                f"model contains a {type(module).__name__}; expected KANLayer, TanhLayer, "
                "nn.Linear, SplineActivation, Activation, or nn.Sequential of them"
            )
        edges = module.in_features * module.out_features
        repeats = module.in_features if convention == "shared" else edges
        width = module.out_features
        if isinstance(module, KANLayer):
            multiply_adds += repeats * _basis_operations(module) + edges * module.coef.shape[-1]
            if module.spline_weight is not None:
                multiply_adds += edges
            if module.base_weight is not None:
                multiply_adds += edges
                functions += repeats
        elif isinstance(module, TanhLayer):
            multiply_adds += repeats + 3 * edges
            functions += edges
        else:
            multiply_adds += edges
    return Operations(multiply_adds, functions)


def _in_a_row(model: nn.Module) -> Iterator[nn.Module]:
    """The modules of a nested ``nn.Sequential``; one that occurs twice comes twice."""
    if isinstance(model, nn.Sequential):
        for module in model:
            yield from _in_a_row(module)
    else:
        yield model


def _basis_operations(layer: KANLayer | SplineActivation) -> int:
    """Multiply-adds of the Cox-de Boor recursion for one x: C in :func:`count_operations`."""
    g, k = layer.grid_size, layer.degree
    return 6 * sum(g + 2 * k - p for p in range(1, k + 1))
