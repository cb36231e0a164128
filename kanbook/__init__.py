"""kanbook: the small library under the book "Kolmogorov-Arnold networks in practice".

An evening's read, in this order: ``splines`` (curves), ``layers`` (a curve on every edge),
``networks`` (layers in a row), ``counting`` (what they cost), ``grids`` (moving knots),
``training`` (one loop), ``derivatives`` (of any order); then ``functions`` and ``formulas`` (from
curves to formulas); last ``fast`` (the same sum, fast), ``compiled`` (for a compiler) and
``export`` (JSON, C, JavaScript).

The workshop, loaded when it is first used: ``plots`` (pictures), ``tasks`` (what to learn), ``lab``
(a curve and a network to touch), ``results`` and ``experiments`` (the stored runs behind the book's
numbers, and how to make them again).
"""

import importlib

from . import grids, splines
from .counting import Operations, count_operations, count_parameters
from .grids import extend_grid, update_grid
from .layers import KANLayer, TanhLayer
from .networks import KAN, MLP, Mixture, TanhKAN
from .training import History, fit

__version__ = "1.0.0"

# The workshop: a module by its own name, anything else by where it is.
_WORKSHOP = {
    "KANLab": "lab",
    "SplinePlayground": "lab",
    **dict.fromkeys(["derivatives", "experiments", "export", "formulas"]),
    **dict.fromkeys(["functions", "lab", "plots", "results", "tasks"]),
}

__all__ = [
    "KAN",
    "KANLab",
    "MLP",
    "History",
    "KANLayer",
    "Mixture",
    "Operations",
    "SplinePlayground",
    "TanhKAN",
    "TanhLayer",
    "count_operations",
    "count_parameters",
    "export",
    "extend_grid",
    "fit",
    "formulas",
    "grids",
    "lab",
    "plots",
    "results",
    "splines",
    "tasks",
    "update_grid",
]


def __getattr__(name: str):
    if name not in _WORKSHOP:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _WORKSHOP[name]
    module = importlib.import_module(f"{__name__}.{home or name}")
    return getattr(module, name) if home else module
