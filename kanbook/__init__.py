"""kanbook: the small library under the book "Kolmogorov-Arnold networks in practice".

Read it in this order: ``splines`` (curves), ``layers`` (a curve on every edge), ``functional`` (the
same, fast), ``networks`` (layers in a row), ``grids`` (moving knots), ``training`` (one loop),
``tasks`` (what to learn), ``plots`` (pictures), ``playground`` (a curve to touch), ``results`` and
``experiments`` (the stored runs behind the book's numbers, and how to make them again).
"""

from . import functional, grids, plots, results, splines, tasks
from .grids import extend_grid, update_grid
from .layers import KANLayer, SplineActivation, TanhLayer
from .networks import (
    KAN,
    MLP,
    Mixture,
    Operations,
    SplineMLP,
    TanhKAN,
    count_operations,
    count_parameters,
)
from .playground import SplinePlayground
from .training import History, fit

__version__ = "0.1.0"

__all__ = [
    "KAN",
    "MLP",
    "History",
    "KANLayer",
    "Mixture",
    "Operations",
    "SplineActivation",
    "SplineMLP",
    "SplinePlayground",
    "TanhKAN",
    "TanhLayer",
    "count_operations",
    "count_parameters",
    "extend_grid",
    "fit",
    "functional",
    "grids",
    "plots",
    "results",
    "splines",
    "tasks",
    "update_grid",
]
