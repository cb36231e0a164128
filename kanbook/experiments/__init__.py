"""The experiments behind the book's numbers: what they train, and how to run them again.

``python -m kanbook.experiments list`` shows them. ``definitions`` says what is trained, ``trials``
trains once, ``engine`` runs all of it, resumes and verifies; :mod:`kanbook.results` stores.
"""

from . import engine
from .definitions import EXPERIMENTS, Experiment
from .engine import get, rerun, run
from .own_data import fair_race
from .own_table import prepare
from .trials import make_data, make_model, run_trial

__all__ = [
    "EXPERIMENTS",
    "Experiment",
    "check",
    "fair_race",
    "get",
    "make_data",
    "make_model",
    "prepare",
    "rerun",
    "run",
    "run_trial",
]


def check(name: str, run: str, *, seconds: float = 10.0, device: str = "cpu") -> dict:
    """Make a stored run again, or as much of its beginning as the time allows, and compare.

    Args:
        name: of the experiment.
        run: which of its runs: a value of the column "run" of ``results.load(name)``.
        seconds: after so many the training stops.
        device: where to train.

    Returns:
        What :func:`~kanbook.experiments.engine.rerun` found: ``steps`` made, ``early``, the largest
        relative difference in the first 30 evaluations, names of what ``changed``, and more.

    Raises:
        ValueError: there is no such experiment or run, or the run measured seconds.
    """
    runs = engine.table_of(get(name)).runs
    if run not in runs:
        raise ValueError(f"run={run!r}; expected one of the {len(runs)} stored runs of {name!r}")
    return rerun(runs[run], seconds=seconds, device=device)
