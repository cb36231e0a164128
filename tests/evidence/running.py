"""A tiny experiment, its tables, and the command line in a process that tests may kill."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil

import evidence
from evidence import Experiment, engine
from evidence.__main__ import main

SINE = {"task": "sine", "optimizer": "adam", "steps": 4, "dtype": "float32"}
MLP = SINE | {"family": "MLP", "model": "mlp", "widths": [1, 3, 1]}
KAN = SINE | {"family": "KAN", "model": "kan", "widths": [1, 1], "grid_size": 3, "degree": 3}
FIXED = MLP | {"lr": 0.01}  # nothing to tune


def of(*settings, seeds=1, **options):
    """An experiment with these settings."""
    return Experiment("tiny", "Does it run?", (1,), lambda: settings, seeds=seeds, **options)


TINY = of(MLP, KAN, seeds=2)


def perform(design, job):
    """Make a run of an experiment in this process."""
    return engine.perform(job, design.maker(job))


def make_all(design, folder):
    """Make all runs of an experiment in this process, one after the other."""
    table = engine.table_of(design, folder)
    while jobs := engine.missing(engine.known(design, table, design.seeds), table):
        for job in jobs:
            table.append(*perform(design, job))
    return table


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if tests run in the background
from evidence import EXPERIMENTS, Experiment
from evidence.__main__ import main
from evidence.contests import Contest
EXPERIMENTS["tiny"] = {}
sys.exit(main(sys.argv[1:]))
"""


class Running:
    """The command line in a process of its own, in a process group as a terminal makes it.

    Args:
        definition: of the experiment "tiny", in Python.
        folder: of its table.
        arguments: more of the command line.
    """

    def __init__(self, definition, folder, *arguments):
        self.path = folder / "tiny.jsonl"
        script = SCRIPT.format(definition)
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, "--folder", str(folder), "run", "tiny", *arguments],
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def wait_for(self, rows):
        """Until so many runs are stored; return the processes that train."""
        deadline = time.monotonic() + 120
        while not self.path.exists() or self.path.read_bytes().count(b'"stage"') < rows:
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline, "no new row in two minutes"
            time.sleep(0.01)
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number, kept=b"", *, group=False, children=()):
        """Send a signal; return what stands on stderr, and the complete lines that are stored."""
        (os.killpg if group else os.kill)(self.process.pid, number)
        err = self.process.communicate(timeout=60)[1]
        assert self.process.returncode == (-number if number == signal.SIGKILL else 130), err
        assert not psutil.wait_procs(children, timeout=20)[1], "processes were left behind"
        content = self.path.read_bytes()  # the last line may be half a line
        assert content.startswith(kept)
        return err, content[: evidence.Table(self.path, "tiny").size]


def command(folder, *arguments):
    """Run the command line on a folder; return the exit code."""
    return main(["--folder", str(folder), *arguments])


def without_times(run):
    run = {name: value for name, value in run.items() if name not in ("seconds", "made")}
    curve = {name: value for name, value in run["curve"].items() if name != "seconds"}
    return run | {"curve": curve}


def rows(table):
    """Its runs, whatever their order, but for times and machines."""
    return {key: without_times(run) for key, run in table.runs.items()}


def change_row(table, change, index=-1):
    """Change what a run measured in the file; return its key."""
    lines = table.path.read_text().splitlines()
    record = json.loads(lines[index])
    change(record)
    lines[index] = json.dumps(record)
    table.path.write_text("\n".join(lines) + "\n")
    return record["run"]
