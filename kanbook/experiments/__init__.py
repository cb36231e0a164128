"""The experiments behind the book's numbers: what they train, and how to run them again.

``python -m kanbook.experiments list`` shows them. ``definitions`` says what is trained, ``trials``
trains once, ``engine`` runs all of it, resumes and verifies; :mod:`kanbook.results` stores.
"""

from .definitions import EXPERIMENTS, Experiment
from .engine import get, rerun, run
from .trials import make_data, make_model, run_trial

__all__ = [
    "EXPERIMENTS",
    "Experiment",
    "get",
    "make_data",
    "make_model",
    "rerun",
    "run",
    "run_trial",
]
