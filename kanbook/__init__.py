"""kanbook: the small library under the book "Kolmogorov-Arnold networks in practice".

Read it in this order: ``splines`` (curves), ``layers`` (a curve on every edge), ``networks``
(layers in a row), ``training`` (one loop), ``tasks`` (what to learn), ``plots`` (pictures).
"""

from . import plots, splines, tasks
from .layers import KANLayer
from .networks import KAN, MLP, count_parameters
from .training import History, fit

__version__ = "0.1.0"

__all__ = [
    "KAN",
    "MLP",
    "History",
    "KANLayer",
    "count_parameters",
    "fit",
    "plots",
    "splines",
    "tasks",
]
