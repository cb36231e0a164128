"""The file of a table: what is written, what is refused, and how a line is appended."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "rows"
FORMAT = 2  # of the files; up to 1, every line carried a checksum


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
    return (json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n").encode()


class Table:
    """The runs of one experiment, in memory and in its file, which need not exist.

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
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise self._damaged(number, "is no JSON object")
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
        """Store a run with how it was made, which has its own line before the first run made so.

        Raises:
            ResultsError: it cannot be written. What was stored before is as it was: a line counts
                once it is complete.
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
            with open(self.path, "ab") as file:
                file.truncate(self.size)  # half a line, of a run that was killed
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
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
