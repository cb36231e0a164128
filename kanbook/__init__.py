"""kanbook: the small library under the book "Kolmogorov-Arnold networks in practice".

The lesson, an evening's read in this order: ``splines`` (curves), ``layers`` (a curve on every
edge), ``tanh`` (an edge of two numbers), ``networks`` (layers in a row), ``counting`` (what they
cost), ``grids`` (moving knots), ``training`` (one loop), ``optimizers`` (for smooth problems),
``derivatives`` (of any order).

Uses of it: ``functions``, ``pruning``, ``snapping`` and ``formulas`` (from curves to formulas),
``export`` (JSON, C, JavaScript), ``lookup`` (integers), ``estimators`` (for scikit-learn),
``rivals`` and ``racing`` (a fair race on data of your own), ``importances`` (which input matters),
``certainty`` (how sure a comparison is), ``spline_mlp`` (an MLP that learns its activations),
``tasks`` (what to learn), ``plots`` (pictures), ``lab`` (a curve and a network to touch). Made
fast: ``fast`` (the same sum) and ``compiled`` (for a compiler). The stored runs behind the book's
numbers are the package ``evidence``, beside this one in the repository.
"""

import importlib

from . import grids, splines
from .counting import Operations, count_operations, count_parameters
from .grids import extend_grid, update_grid
from .layers import KANLayer
from .networks import KAN, MLP, Mixture, TanhKAN
from .tanh import TanhLayer
from .training import History, fit

__version__ = "1.0.0"

# Loaded when first used, since some of them need packages that others do not.
_MODULES = (
    "derivatives",
    "export",
    "formulas",
    "functions",
    "lab",
    "lookup",
    "plots",
    "rivals",
    "tasks",
)
_IN_MODULES = {
    "KANClassifier": "estimators",
    "KANLab": "lab",
    "KANRegressor": "estimators",
    "SplinePlayground": "lab",
    "importance": "importances",
    "race": "racing",
}

__all__ = [
    "KAN",
    "KANClassifier",
    "KANLab",
    "KANRegressor",
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
    "derivatives",
    "export",
    "extend_grid",
    "fit",
    "formulas",
    "functions",
    "grids",
    "importance",
    "lab",
    "lookup",
    "plots",
    "race",
    "rivals",
    "splines",
    "tasks",
    "update_grid",
]


def __getattr__(name: str):
    if name not in (*_MODULES, *_IN_MODULES):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_IN_MODULES.get(name, name)}")
    except ModuleNotFoundError as error:
        needs = f"kanbook.{name} needs {error.name}, of kanbook's extra [race]"
        raise ImportError(f"{needs}: run `pip install pandas scikit-learn skrub`") from error
    return getattr(module, name) if name in _IN_MODULES else module


def __dir__() -> list[str]:
    return __all__
