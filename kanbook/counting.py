"""What a network costs: its parameters, and the operations of one sample."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from .layers import KANLayer, SplineLayer, TanhLayer
from .networks import Activation, in_a_row

__all__ = ["Operations", "count_operations", "count_parameters"]


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters: single numbers that the optimizer changes.

    Shared parameters count once; knots are buffers and do not count, nor do edges that were pruned
    and numbers of a formula that were rounded.

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

    **Counting rule.** A multiply-add, :math:`a b + c`, counts as one, and so does a multiplication,
    an addition or a subtraction alone. Every sum starts at the bias, or at zero where there is
    none: so a product costs one with its addition, and a bias costs nothing. Calls of the base
    function, of tanh and of an activation function are counted apart. What depends on parameters
    or knots alone, such as :math:`1 / (t_{i+p} - t_i)`, is no cost of a sample; finding the
    interval in which x lies (degree 0) is not counted.

    **Conventions.** What the edges of one input have in common - basis functions, base function,
    :math:`x^2` of a tanh layer - is computed R times. A layer computes it once for each input,
    R = I: ``"shared"``. Published counts let every edge compute all that it needs, R = IO:
    ``"edge"``. Both follow the formula and compute all n = G + k basis functions. ``"local"`` is
    as ``"shared"``, but uses their local support: it computes only the n = k + 1 functions that are
    not zero at x, whatever G is. So do the programs of :mod:`kanbook.export`. Layers compute no
    other functions either, but may multiply coefficients by zeros, where a matrix product is
    faster; and their time depends on other things too (chapter 13).

    **Basis functions.** Level p of the Cox-de Boor recursion has :math:`G + 2k - p` functions. Each
    takes 6: two differences to knots, two products with an inverse width, a product and a
    multiply-add with functions of level p - 1. For all levels together

    .. math:: C = 6 \sum_{p=1}^{k} (G + 2k - p) = 3k\,(2G + 3k - 1)

    This is :func:`~kanbook.splines.cox_de_boor`. In ``"local"``, level p makes p + 1 functions
    of p. Each of these p is divided by the width of its support, and has a share in two
    neighbours: 5 with the two differences, so

    .. math:: C = 5 \sum_{p=1}^{k} p = \tfrac{5}{2} k\,(k + 1)

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

    Returns:
        ``Operations(multiply_adds, functions)``.

    Raises:
        TypeError: the model contains another module.
        ValueError: ``convention`` is unknown, or an activation function comes first, where the
            number of its inputs is not known.

    Example:
        >>> from kanbook import KAN, MLP
        >>> count_operations(MLP([2, 5, 1]))
        Operations(multiply_adds=15, functions=5)
        >>> count_operations(KAN([2, 5, 1])), count_operations(KAN([2, 5, 1]), "edge")
        (Operations(multiply_adds=1254, functions=0), Operations(multiply_adds=2550, functions=0))
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
            continue
        if isinstance(module, SplineLayer) and not isinstance(module, KANLayer):
            width = len(module.knots)  # a spline at every node
            bases, n = _basis_operations(module, convention)
            multiply_adds += width * (bases + n)
            continue
        if not isinstance(module, (KANLayer, TanhLayer, nn.Linear)):
            raise TypeError(
                f"model contains a {type(module).__name__}; expected KANLayer, TanhLayer, "
                "nn.Linear, Activation, or nn.Sequential of them"
            )
        edges = module.in_features * module.out_features
        repeats = edges if convention == "edge" else module.in_features
        width = module.out_features
        if isinstance(module, KANLayer):
            if module.mask is not None:
                edges = int(module.mask.sum())
                repeats = edges if convention == "edge" else module.in_features
            bases, n = _basis_operations(module, convention)
            multiply_adds += repeats * bases + edges * n
            if module.spline_weight is not None:
                multiply_adds += edges
            if module.base_weight is not None:
                multiply_adds += edges
                functions += repeats
        elif isinstance(module, TanhLayer):
            multiply_adds += repeats + (3 if module.tanh == "edge" else 2) * edges
            functions += {"edge": edges, "sum": width, None: 0}[module.tanh]
        else:
            multiply_adds += edges
    return Operations(multiply_adds, functions)


def _basis_operations(layer: SplineLayer, convention: str) -> tuple[int, int]:
    """C and n of :func:`count_operations`: multiply-adds of the bases at one x, and how many."""
    g, k = layer.grid_size, layer.degree
    if convention == "local":
        return 5 * k * (k + 1) // 2, k + 1
    return 6 * sum(g + 2 * k - p for p in range(1, k + 1)), g + k
