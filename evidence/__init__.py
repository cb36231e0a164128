"""The laboratory under the book: every stored run, how it is read, and how it is made again.

``evidence.load(name)`` gives the runs of an experiment as a pandas frame, one row a run;
``evidence.ratios`` and its neighbours say how two families of networks compare. ``python -m
evidence list`` shows all experiments, ``run NAME`` makes what is missing, ``verify NAME`` makes
stored runs again.

The rooms: ``plan.md`` (what was fixed before the runs), ``experiments`` (all of them, in one list),
``contests`` and ``families`` (those of families of networks), ``settings`` (of one network),
``design`` (what an experiment is), ``tasks`` (on what is trained), ``runs`` (one run of each kind),
``engine`` (all runs of an experiment), ``verification`` (made again), ``rows`` (the stored runs),
``table``, ``reading`` and ``statistics`` (read and compared), ``charts``, ``verdicts`` (what became
of hypotheses and claims), ``benchmark`` (speed).

A table is a file of JSON lines: a header, then one line for each run, and before the first run made
in some way one line that says in which. Lines are only ever appended, and a line counts once it is
complete: a run may be killed at any moment.
"""

from . import engine
from .design import Experiment
from .experiments import EXPERIMENTS, get
from .reading import Comparison, compare, load, load_benchmark, loss_at, names, published, summarize
from .runs.trials import make_data, make_model
from .statistics import effects, interval, judged, medians, paces, per_task, ratios, with_own
from .table import FOLDER, ResultsError, Table, key
from .verification import rerun

__all__ = [
    "EXPERIMENTS",
    "FOLDER",
    "Comparison",
    "Experiment",
    "ResultsError",
    "Table",
    "check",
    "compare",
    "effects",
    "get",
    "interval",
    "judged",
    "key",
    "load",
    "load_benchmark",
    "loss_at",
    "make_data",
    "make_model",
    "medians",
    "names",
    "paces",
    "per_task",
    "published",
    "ratios",
    "summarize",
    "with_own",
]


def check(name: str, run: str, *, seconds: float = 10.0, device: str = "cpu") -> dict:
    """Make a stored run again, or as much of its beginning as the ``seconds`` allow, and compare.

    ``run`` is a value of the column "run" of ``evidence.load(name)``.

    Returns:
        As :func:`~evidence.verification.rerun`: ``steps`` made, ``early``, the largest relative
        difference in the first 30 evaluations, names of what ``changed``, and more.

    Raises:
        ValueError: there is no such experiment or run, or the run is no training.
    """
    rows = engine.table_of(get(name)).runs
    if run not in rows:
        raise ValueError(f"run={run!r}; expected one of the {len(rows)} stored runs of {name!r}")
    return rerun(get(name).maker(rows[run]), rows[run], seconds=seconds, device=device)
