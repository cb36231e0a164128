"""Stored results: one table of runs per experiment, as text, with how each run was made.

A table is a file of JSON lines, ``kanbook/results/NAME.jsonl``: a header, then one line for each
run, and before the first run made in some way one line that says in which. Every line carries a
checksum, so that a table that was changed by hand is refused. Lines are only ever appended, and a
line counts once it is complete: a run may be killed at any moment.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["FOLDER", "ResultsError", "Table", "benchmark", "load", "names"]

FOLDER = Path(__file__).parent
FORMAT = 1  # of the files


class ResultsError(Exception):
    """Something is wrong with a file of results; the message says what to do."""


def digest(value: Any) -> str:
    """Twelve hexadecimal digits that stand for a value of JSON types.

    Raises:
        ValueError: a number in it is infinite or NaN, which JSON does not have.
    """
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def key(stage: str, settings: Mapping[str, Any], seed: int) -> str:
    """What a run is stored under: it stands for all that determines the run."""
    return digest({"stage": stage, "settings": settings, "seed": seed})


def _line(record: dict[str, Any]) -> bytes:
    return (json.dumps(record | {"check": digest(record)}, allow_nan=False) + "\n").encode()


class Table:
    """The runs of one experiment, in memory and in its file.

    Args:
        path: the file; it need not exist.
        name: of the experiment.
        version: of its definition; any if not given.

    Attributes:
        runs: the stored runs by :func:`key`, in the order of the file.
        provenance: how runs were made, by the digest that a run calls ``made``.

    Raises:
        ResultsError: the file is damaged, or of another experiment or version.
    """

    def __init__(self, path: Path, name: str, version: int | None = None) -> None:
        self.path = Path(path)
        self.header = {"experiment": name, "version": version, "format": FORMAT}
        self.runs: dict[str, dict[str, Any]] = {}
        self.provenance: dict[str, dict[str, Any]] = {}
        self.size = 0  # bytes of complete lines
        for number, record in self._records():
            self._take(number, record)

    def _records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ResultsError(f"{self.path} cannot be read: {error.strerror}") from error
        self.size = content.rfind(b"\n") + 1  # a line that was being written does not count
        for number, line in enumerate(content[: self.size].splitlines(), start=1):
            try:
                record = json.loads(line)
                check = record.pop("check")
                right = digest(record)
            except (ValueError, KeyError, AttributeError, TypeError):
                raise self._damaged(number, "is no record with a checksum") from None
            if check != right:
                raise self._damaged(number, "does not agree with its checksum")
            yield number, record

    def _damaged(self, number: int, what: str) -> ResultsError:
        return ResultsError(
            f"{self.path}: line {number} {what}, so the file was changed after it was written; "
            "restore it (git checkout), or move it away and run the experiment again"
        )

    def _take(self, number: int, record: dict[str, Any]) -> None:
        if number == 1:
            if self.header["version"] is None and "version" in record:
                self.header["version"] = record["version"]
            if record != self.header:
                raise ResultsError(
                    f"{self.path} holds {_call(record)}, but this is {_call(self.header)}; "
                    "use the commit that it was made with, or move it away and run it again"
                )
        elif "provenance" in record:
            self.provenance[str(record["provenance"])] = record
        elif record.get("run") != key(*(record.get(k) for k in ("stage", "settings", "seed"))):
            raise self._damaged(number, "is no run under its own key")
        elif str(record.get("made")) not in self.provenance:
            raise self._damaged(number, "does not say how it was made")
        elif record["run"] in self.runs:
            raise self._damaged(number, f"repeats the run {record['run']}")
        else:
            self.runs[record["run"]] = record

    def append(self, run: dict[str, Any], provenance: dict[str, Any]) -> None:
        """Store a run with how it was made; all of it, or nothing.

        Args:
            run: ``run`` (its key), ``stage``, ``settings``, ``seed`` and what was measured.
            provenance: how it was made; a line of its own before the first run made so.

        Raises:
            ResultsError: it cannot be written. The file is then as before.
            ValueError: a number is infinite or NaN.
        """
        made = digest(provenance)
        run = run | {"made": made}
        lines = b"" if self.size else _line(self.header)
        if made not in self.provenance:
            lines += _line({"provenance": made} | provenance)
        lines += _line(run)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "r+b" if self.path.exists() else "w+b", buffering=0) as file:
                file.truncate(self.size)
                file.seek(self.size)
                try:
                    view = memoryview(lines)
                    while view:  # a full disk takes a part first
                        view = view[file.write(view) :]
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(self.size)
                    if self.size == 0:
                        self.path.unlink()
                    raise
        except OSError as error:
            raise ResultsError(
                f"{self.path} cannot be written: {error.strerror}; what was stored before is as it "
                "was, and the same command goes on from there"
            ) from error
        self.size += len(lines)
        self.provenance[made] = {"provenance": made} | provenance
        self.runs[run["run"]] = run


def _call(header: dict[str, Any]) -> str:
    return (
        f"version {header.get('version')} of {header.get('experiment')!r} "
        f"(format {header.get('format')})"
    )


def names(folder: Path | str | None = None) -> list[str]:
    """Return the names of all stored tables, of those that came with kanbook if not told where."""
    return sorted(path.stem for path in Path(folder or FOLDER).glob("*.jsonl"))


def load(name: str, *, tuning: bool = False, folder: Path | str | None = None):
    """Load the stored results of an experiment.

    Args:
        name: of the experiment; ``names()`` lists those that are stored.
        tuning: load the short runs that chose the learning rates, instead of the results.
        folder: of the files; those that came with kanbook if not given.

    Returns:
        A ``pandas.DataFrame`` with one row a run: its settings, seed and measurements, as the page
        "Results" of the book describes column by column. The loss of a run that diverged is
        infinite, so that no median leaves it out. Lists, such as ``widths``, are tuples, so that
        rows can be grouped by them. ``frame.attrs["provenance"]`` says how the runs were made, by
        the value of the column ``made``.

    Raises:
        ValueError: there are no results of that name, or no such runs among them.
        ResultsError: the file is damaged.

    Example:
        >>> frame = load("functions-1d")
        >>> bool((frame.groupby(["task", "family"]).seed.nunique() >= 5).all())
        True
    """
    import pandas

    if name not in names(folder):
        stored = ", ".join(names(folder)) or "none yet"
        raise ValueError(f"name={name!r}; expected one of the stored results: {stored}")
    table = Table(Path(folder or FOLDER) / f"{name}.jsonl", name)
    stage = "tuning" if tuning else "result"
    rows = [flat(run) for run in table.runs.values() if run["stage"] == stage]
    if not rows:
        raise ValueError(f"tuning={tuning!r}; {table.path} holds no such runs")
    frame = pandas.DataFrame(rows)
    frame.attrs["provenance"] = table.provenance
    return frame


# Columns that say what came out, or that are not one value for each setting.
MEASURED = {"run", "made", "seed", "parameters", "evaluations", "seconds", "loss", "test_loss"}
MEASURED |= {"diverged", "complete", "curve", "probes", "measure", "models", "step_seconds"}


def summarize(frame, loss: str | None = None):
    """Medians with ranges: one row for each setting, over its seeds.

    Args:
        frame: as :func:`load` returns it, or some of its rows. Those that measured seconds of
            steps only, and have no loss, are left out.
        loss: the column to sum up; if not given, the loss on test samples where there is one, else
            the loss.

    Returns:
        A ``pandas.DataFrame`` with the settings that vary, ``parameters``, ``seeds``, ``median``,
        ``least``, ``largest``, ``diverged`` (how many) and the median ``seconds``.
    """
    frame = frame[frame["curve"].notna()]
    if loss is None:
        shown = frame["test_loss"].fillna(frame["loss"]) if "test_loss" in frame else frame["loss"]
    else:
        shown = frame[loss]
    settings = [name for name in frame if name not in MEASURED | {loss}]
    varied = [name for name in settings if frame[name].nunique(dropna=False) > 1]
    groups = frame.assign(shown=shown).groupby(varied or settings[:1], dropna=False, sort=False)
    columns = {
        "parameters": ("parameters", "first"),
        "seeds": ("seed", "nunique"),
        "median": ("shown", "median"),
        "least": ("shown", "min"),
        "largest": ("shown", "max"),
        "diverged": ("diverged", "sum"),
        "seconds": ("seconds", "median"),
    }
    return groups.agg(**columns).reset_index()


def benchmark(part: str = "speed", *, path: Path | str | None = None):
    """Load the stored benchmark: kanbook's layer beside other packages, which took turns.

    Args:
        part: ``"speed"``: milliseconds of a forward and backward pass, and kanbook's time divided
            by the contestant's (``ratio``, the median over the rounds, with its quartiles
            ``ratio_low`` and ``ratio_high``). ``"memory"``: MiB at the peak of a pass, NaN where
            the machine had too little. ``"training"``: seconds and evaluations to a test error of
            0.001, NaN where it was not reached, and of the whole run. ``"profile"``: milliseconds
            of the parts of a call. ``"steps"``: the layers that chapter 16 builds, their time
            divided by that of kanbook's layer (``ratio``, with quartiles).
        path: of the file; the one that came with kanbook if not given.

    Returns:
        A ``pandas.DataFrame``. ``frame.attrs["provenance"]`` says when, where, with which versions
        and by which command it was made.

    Raises:
        ValueError: there is no such part.
        ResultsError: the file cannot be read.

    Example:
        >>> frame = benchmark("speed")
        >>> bool((frame.milliseconds > 0).all())
        True

    In the book: chapter 16.
    """
    import pandas

    path = Path(path or FOLDER / "benchmark.json")
    try:
        parts = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ResultsError(
            f"{path} cannot be read ({error}); make it again: make bench ARGS='--save {path}'"
        ) from error
    if part not in parts:
        raise ValueError(f"part={part!r}; expected one of {', '.join(map(repr, parts))}")
    frame = pandas.DataFrame(parts[part]["rows"])
    frame.attrs["provenance"] = parts[part]["provenance"]
    return frame


def flat(run: dict[str, Any]) -> dict[str, Any]:
    """One row: settings and measurements side by side, lists as tuples, lost losses infinite."""
    row = run["settings"] | {k: v for k, v in run.items() if k not in ("settings", "stage")}
    row = {name: _hashable(value) for name, value in row.items()}
    for name in ("loss", "test_loss"):
        if run["diverged"] and name in row:
            row[name] = math.inf
    return row


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
