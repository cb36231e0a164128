"""Running experiments: on all cores or on a cluster, interrupted and resumed, and verified."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ..results import FOLDER, ResultsError, Table, digest
from . import trials
from .definitions import EXPERIMENTS, TUNING_SEEDS, Experiment, Settings

# For the processes that train. On Linux, the C library would give the memory of large tensors back
# to the system after every use; to keep it makes a KAN 1.4 times and a tanh KAN 1.9 times faster.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
}
POINTS = {"tuning": 8, "result": 60}  # of stored loss curves
WAIT = 10  # seconds for a scheduler to answer


class EngineError(Exception):
    """An experiment cannot be run; the message says why and what to do."""


def get(name: str) -> Experiment:
    """Return an experiment by name.

    Raises:
        ValueError: there is none of that name; the message lists those there are.
    """
    if not isinstance(name, str) or name not in EXPERIMENTS:
        raise ValueError(f"name={name!r}; expected one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]


def table_of(experiment: Experiment, folder: Path | None = None) -> Table:
    path = (FOLDER if folder is None else Path(folder)) / f"{experiment.name}.jsonl"
    return Table(path, experiment.name, experiment.version)


# --- what is to be done --------------------------------------------------------------------------


def task(stage: str, settings: Settings, seed: int) -> dict[str, Any]:
    """A run that is still to be made, under the key that it will be stored with."""
    what = {"stage": stage, "settings": settings, "seed": seed}
    return {"run": digest(what)} | what


def tuning_tasks(experiment: Experiment) -> list[dict[str, Any]]:
    """The short runs that choose learning rates; settings that tune alike share theirs."""
    tasks = {}
    for settings in experiment.settings:
        for tried in experiment.tuning_settings(settings):
            for seed in TUNING_SEEDS:
                one = task("tuning", tried, seed)
                tasks[one["run"]] = one
    return list(tasks.values())


def result_tasks(experiment: Experiment, table: Table, seeds: int) -> list[dict[str, Any]]:
    """The runs that count, as far as their learning rates are known; all first seeds first."""
    tasks = []
    for seed in range(seeds):
        for settings in experiment.settings:
            tried = experiment.tuning_settings(settings)
            losses: dict[float, list[float | None]] = {}
            for one in tried:
                keys = [task("tuning", one, s)["run"] for s in TUNING_SEEDS]
                if all(key in table.runs for key in keys):
                    losses[one["lr"]] = [table.runs[key]["loss"] for key in keys]
            if len(losses) == len(tried):
                lr = experiment.choose(settings, losses) if tried else None
                tasks.append(task("result", experiment.tuned(settings, lr), seed))
    return tasks


def missing(tasks: Iterable[dict[str, Any]], table: Table) -> list[dict[str, Any]]:
    return [one for one in tasks if one["run"] not in table.runs]


def total(experiment: Experiment, seeds: int | None = None) -> int:
    """How many runs the experiment has."""
    seeds = experiment.seeds if seeds is None else seeds
    return len(tuning_tasks(experiment)) + seeds * len(experiment.settings)


# --- doing it ------------------------------------------------------------------------------------


def perform(one: dict[str, Any], device: str = "cpu") -> tuple[dict[str, Any], dict[str, Any]]:
    """Make one run, here; return it and what is known of the machine."""
    if "measure" in one["settings"]:
        measured = {"parameters": None, "loss": None, "diverged": False}
        measured |= trials.time_steps(one["settings"])
    else:
        points = POINTS[one["stage"]]
        measured = trials.run_trial(one["settings"], one["seed"], device=device, points=points)
    return one | measured, machine(device)


def machine(device: str = "cpu") -> dict[str, Any]:
    """Versions and hardware of this process."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = (names or [name])[0]
    if torch.device(device).type == "cuda":
        name = torch.cuda.get_device_name(device)
    return {
        "device": device,
        "processor": name,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kanbook": metadata.version("kanbook"),
    }


def commit() -> str:
    """The commit of the code that runs, with a plus sign if files differ from it."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", str(here.parent), f":!{FOLDER}")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@contextlib.contextmanager
def workers(scheduler: str | None = None, count: int | None = None) -> Iterator[Any]:
    """A Dask client: of the cluster at this address, or of one process for each core here.

    Raises:
        EngineError: dask.distributed is not installed, or nobody answers at the address.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise EngineError(
            "dask.distributed is not installed; run `pip install 'kanbook[experiments]'`"
        ) from error
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            settings = {"distributed.nanny.pre-spawn-environ": ENVIRONMENT}
            stack.enter_context(dask.config.set(settings))
            count = count or len(os.sched_getaffinity(0))
            options = {"n_workers": count, "threads_per_worker": 1, "dashboard_address": None}
            cluster = LocalCluster(**options, memory_limit=None, silence_logs="CRITICAL")
            scheduler = stack.enter_context(cluster)
        try:
            client = Client(scheduler, timeout=WAIT)
        except (OSError, ValueError, TimeoutError) as error:
            raise EngineError(
                f"--scheduler {scheduler}: no Dask scheduler answers there ({error}); start one "
                "with `dask scheduler` and workers with `dask worker ADDRESS --nthreads 1`, or "
                "leave the option out to use this machine"
            ) from error
        yield stack.enter_context(client)


def run(
    experiment: Experiment,
    *,
    seeds: int | None = None,
    device: str = "cpu",
    scheduler: str | None = None,
    processes: int | None = None,
    folder: Path | None = None,
    command: str = "",
    report: Callable[..., Any] | None = None,
) -> Table:
    """Make all runs of an experiment that are not stored yet, and store each as it comes.

    Args:
        experiment: what to run.
        seeds: how many; the experiment's own number if not given.
        device: where each run trains.
        scheduler: address of a Dask cluster; the cores of this machine if not given.
        processes: how many at a time here; one for each core if not given.
        folder: where the tables are; that of the package if not given.
        command: for the provenance.
        report: called with ``done`` and ``total`` after every run.

    Returns:
        The table, complete.

    Raises:
        ResultsError: the stored table is damaged, in use, or cannot be written.
        EngineError: the cluster cannot be reached, or runs failed; others are stored all the same.
    """
    from filelock import FileLock, Timeout

    seeds = experiment.seeds if seeds is None else seeds
    table = table_of(experiment, folder)
    check_settings(experiment, table)
    table.path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(table.path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ResultsError(
            f"{table.path} is being written by another process; wait for it"
        ) from None
    origin = {"commit": commit(), "command": command, "date": date.today().isoformat()}
    failures: list[str] = []
    try:
        table = table_of(experiment, folder)  # again: nobody else writes now
        n = total(experiment, seeds)

        def done() -> int:
            left = missing(tuning_tasks(experiment), table)
            known = result_tasks(experiment, table, seeds)
            waiting = seeds * len(experiment.settings) - len(known)
            return n - len(left) - len(missing(known, table)) - waiting

        if done() == n:
            return table
        with workers(scheduler, processes) as client:
            for stage in (tuning_tasks, lambda e: result_tasks(e, table, seeds)):
                for stored in _all(client, missing(stage(experiment), table), device, failures):
                    measured, how = stored
                    table.append(measured, origin | how)
                    if report is not None:
                        report(done=done(), total=n)
    finally:
        lock.release()
    if failures:
        raise EngineError(f"{len(failures)} runs failed, the first with: {failures[0]}")
    return table


def _all(client, tasks, device, failures) -> Iterator[tuple[dict, dict]]:
    """Results as they come. A worker that dies has its run repeated by Dask."""
    from distributed import as_completed

    futures = [
        client.submit(perform, one, device, key=f"kanbook-{one['run']}-{os.getpid()}", pure=False)
        for one in tasks
    ]
    try:
        for future in as_completed(futures):
            error = future.exception()
            if error is None:
                yield future.result()
            else:
                failures.append(f"{type(error).__name__}: {error}")
            future.release()
    finally:
        client.cancel(futures)


def check_settings(experiment: Experiment, table: Table) -> None:
    """Refuse a table with runs that the experiment, as it is defined now, does not have.

    Raises:
        ResultsError: there is one.
    """
    allowed = {digest(one["settings"]) for one in tuning_tasks(experiment)}
    allowed |= {
        digest(experiment.tuned(settings, lr))
        for settings in experiment.settings
        for lr in (experiment.rates(settings) or (None,))
    }
    for number, stored in enumerate(table.runs.values(), start=1):
        if digest(stored["settings"]) not in allowed:
            raise ResultsError(
                f"{table.path}: run {number} ({stored['run']}) has settings that "
                f"{experiment.name!r} does not have, so it was made by another version of the "
                "definition; use the commit that it was made with, or move the file away and run "
                "it again"
            )


# --- checking it ---------------------------------------------------------------------------------


def rerun(stored: dict[str, Any], *, seconds: float = math.inf, device: str = "cpu") -> dict:
    """Make a stored run again, or its beginning, and compare.

    Args:
        stored: a run, as in ``Table.runs``.
        seconds: time after which the training stops; the beginning is compared all the same.
        device: where to train.

    Returns:
        ``steps``: how far the new run got; ``early``: the largest relative difference of the
        losses in the first 30 evaluations; ``late``: that of the last loss both have;
        ``identical``: whether all numbers but the times are equal.
    """
    if "measure" in stored["settings"]:  # times are not compared
        return {"steps": 0, "early": 0.0, "late": 0.0, "identical": True}
    options = {"device": device, "limit": seconds, "points": POINTS[stored["stage"]]}
    new = trials.run_trial(stored["settings"], stored["seed"], **options)
    old_curve, curve = stored["curve"], new["curve"]
    n = len(curve["step"])
    pairs = list(zip(curve["evaluations"], curve["loss"], old_curve["loss"][:n], strict=True))
    early = max([_difference(a, b) for evaluations, a, b in pairs if evaluations <= 30], default=0)
    last = (new["loss"], stored["loss"]) if new["complete"] else pairs[-1][1:]
    keys = ("step", "evaluations", "loss")
    same = all(curve[key] == old_curve[key][:n] for key in keys)
    same &= not new["complete"] or new["loss"] == stored["loss"]
    steps = curve["step"][-1] if n else 0
    return {"steps": steps, "early": early, "late": _difference(*last), "identical": same}


def _difference(a: float | None, b: float | None) -> float:
    """Relative; of losses that were not finite (None): none if both are, else infinite."""
    if a is None or b is None:
        return 0.0 if a is b else math.inf
    return abs(a - b) / max(abs(a), abs(b), 1e-300)


def sample(table: Table, rows: int | None, *, cheapest: bool = False) -> list[dict[str, Any]]:
    """Stored runs to verify: all, the cheapest, or some that are the same in every call."""
    runs = list(table.runs.values())
    if rows is None:
        return runs
    if cheapest:
        return sorted(runs, key=lambda run: run.get("seconds", math.inf))[:rows]
    return random.Random(0).sample(runs, min(rows, len(runs)))


def quiet() -> None:
    """Keep warnings of other packages out of the progress bar."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
