"""Stored results: one table of runs per experiment, as text, with how each run was made.

A table is a file of JSON lines, ``kanbook/results/NAME.jsonl``: a header, then one line for each
run, and before the first run made in some way one line that says in which. Lines are only ever
appended, and a line counts once it is complete: a run may be killed at any moment.
"""

from . import contests
from .reading import Comparison, benchmark, compare, load, loss_at, names, published, summarize
from .table import FOLDER, ResultsError, Table, digest, key

__all__ = [
    "FOLDER",
    "Comparison",
    "ResultsError",
    "Table",
    "benchmark",
    "compare",
    "contests",
    "digest",
    "key",
    "load",
    "loss_at",
    "names",
    "published",
    "summarize",
]
