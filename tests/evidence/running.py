"""A tiny experiment, its tables, and the command line."""

import json
from importlib.util import find_spec

import torch

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


def can_train(settings):
    """Whether its optimizer is installed: SOAP is a rival's, Muon came with PyTorch 2.9."""
    there = {"soap": find_spec("pytorch_optimizer"), "muon": hasattr(torch.optim, "Muon")}
    return there.get(settings["optimizer"], True)
