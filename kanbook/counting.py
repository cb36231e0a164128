"""What a network costs: its parameters, and the operations of one sample."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from .layers import KANLayer, SplineLayer
from .networks import Activation, in_a_row
from .tanh import TanhLayer

__all__ = ["Operations", "count_operations", "count_parameters"]


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters: single numbers that the optimizer changes.

    Knots do not count, nor do edges that were pruned and numbers of a formula that were rounded.

    Example:
        >>> from kanbook import KAN
        >>> count_parameters(KAN([2, 5, 1], grid_size=3, degree=3))  # 15 edges of 6 coefficients
        90
    """
    fixed = sum(m.fixed_numbers() for m in model.modules() if hasattr(m, "fixed_numbers"))
    return sum(p.numel() for p in model.parameters() if p.requires_grad) - fixed


class Operations(NamedTuple):
    """What one sample costs: multiply-adds, and evaluations of nonlinear functions."""

    multiply_adds: int
    functions: int


def count_operations(model: nn.Module, convention: str = "shared") -> Operations:
    r"""Return how many operations a network needs for one sample, forward.

    A multiply-add, :math:`a b + c`, counts as one, and so does a multiplication, an addition or a
    subtraction alone; a bias costs nothing. What depends on parameters or knots alone is no cost of
    a sample; finding the interval of x is not counted.

    What the edges of one input have in common - basis functions, base function, :math:`x^2` of a
    tanh layer - is computed R times: ``"shared"``, once for each input, R = I, as layers do;
    ``"edge"``, by every edge, R = IO, as published counts have it. Both compute all n = G + k basis
    functions. ``"local"`` is as ``"shared"``, but computes only the n = k + 1 functions that are
    not zero at x. Each function of a level p of the Cox-de Boor recursion takes 6, or in
    ``"local"`` 5, so that the bases of an input cost

    .. math:: C = 6 \sum_{p=1}^{k} (G + 2k - p) = 3k\,(2G + 3k - 1) \quad\text{or}\quad
              C = 5 \sum_{p=1}^{k} p = \tfrac{5}{2} k\,(k + 1) \ .

    ================  =====================================================  ====================
    layer             multiply-adds                                          functions
    ================  =====================================================  ====================
    KANLayer          RC (bases) + IO n (coefficients times bases)           R with base
                      + IO with spline_weight + IO with base
    TanhLayer         R (:math:`x^2`) + 2 IO (:math:`a x^2 + b x`)           IO
                      + IO (the sum of the edges)
    with tanh="sum"   R (:math:`x^2`) + 2 IO                                 O; with None: 0
    nn.Linear         IO                                                     0
    spline at nodes   I(C + n)                                               0
    activation        0                                                      I
    ================  =====================================================  ====================

    Args:
        model: one of these layers, or an ``nn.Sequential`` of them, such as every network here.
        convention: ``"shared"``, ``"edge"`` or ``"local"``.

    Raises:
        TypeError: the model contains another module.
        ValueError: ``convention`` is unknown, or an activation function comes first.

    Example:
        >>> from kanbook import KAN, MLP
        >>> count_operations(MLP([2, 5, 1]))
        Operations(multiply_adds=15, functions=5)
        >>> count_operations(KAN([2, 5, 1]), "local")  # 7 * 30 for bases, 15 * 4 for coefficients
        Operations(multiply_adds=270, functions=0)

    In the book: chapter 4.
    """
    if convention not in ("shared", "edge", "local"):
        raise ValueError(f"convention={convention!r}; expected 'shared', 'edge' or 'local'")
    multiply_adds = functions = 0
    width = None  # number of outputs of the module before
    for module in in_a_row(model):
        if isinstance(module, Activation):
            if width is None:
                raise ValueError(f"model starts with {module}; expected a layer before it")
            functions += width
        elif isinstance(module, SplineLayer) and not isinstance(module, KANLayer):
            width = len(module.knots)  # a spline at every node
            multiply_adds += width * sum(_basis_operations(module, convention))
        elif isinstance(module, (KANLayer, TanhLayer, nn.Linear)):
            width = module.out_features
            of_layer = _layer_operations(module, convention)
            multiply_adds, functions = multiply_adds + of_layer[0], functions + of_layer[1]
        else:
            raise TypeError(
                f"model contains a {type(module).__name__}; expected KANLayer, TanhLayer, "
                "nn.Linear, Activation, or nn.Sequential of them"
            )
    return Operations(multiply_adds, functions)


def _layer_operations(layer: nn.Module, convention: str) -> tuple[int, int]:
    """The rows of the table that have edges."""
    edges = layer.in_features * layer.out_features
    if isinstance(layer, KANLayer) and layer.mask is not None:
        edges = int(layer.mask.sum())
    repeats = edges if convention == "edge" else layer.in_features
    if isinstance(layer, KANLayer):
        bases, n = _basis_operations(layer, convention)
        with_base = layer.base_weight is not None
        weights = (layer.spline_weight is not None) + with_base
        return repeats * bases + edges * (n + weights), repeats * with_base
    if isinstance(layer, TanhLayer):
        functions = {"edge": edges, "sum": layer.out_features, None: 0}[layer.tanh]
        return repeats + (3 if layer.tanh == "edge" else 2) * edges, functions
    return edges, 0


def _basis_operations(layer: SplineLayer, convention: str) -> tuple[int, int]:
    """C and n of :func:`count_operations`: multiply-adds of the bases at one x, and how many."""
    g, k = layer.grid_size, layer.degree
    if convention == "local":
        return 5 * k * (k + 1) // 2, k + 1
    return 6 * sum(g + 2 * k - p for p in range(1, k + 1)), g + k
