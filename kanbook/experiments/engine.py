"""Running experiments: on all cores or on a cluster, interrupted and resumed, and verified."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import platform
import random
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from datetime import date
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..results import FOLDER, ResultsError, Table, digest, key
from . import trials
from .definitions import EXPERIMENTS, TUNING_SEEDS, Experiment, Settings

# For the processes that train. On Linux, the C library would give the memory of large tensors back
# to the system after every use; to keep it makes a KAN 1.4 times and a tanh KAN 1.9 times faster.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
}
CONFIGURATION = {"distributed.nanny.pre-spawn-environ": ENVIRONMENT}
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
    """Read the stored runs of an experiment; ``folder`` is that of the package if not given.

    Raises:
        ResultsError: the file is damaged, or of another version of the experiment.
    """
    return Table(path_of(experiment, folder), experiment.name, experiment.version)


def path_of(experiment: Experiment, folder: Path | None = None) -> Path:
    return Path(folder or FOLDER) / f"{experiment.name}.jsonl"


# --- what is to be done --------------------------------------------------------------------------


def task(stage: str, settings: Settings, seed: int) -> dict[str, Any]:
    """A run that is still to be made, under the key that it will be stored with."""
    what = {"stage": stage, "settings": settings, "seed": seed}
    return {"run": key(**what)} | what


def tuning_tasks(experiment: Experiment) -> list[dict[str, Any]]:
    """The short runs that choose learning rates; settings that tune alike share theirs."""
    tasks = [
        task("tuning", tried, seed)
        for settings in experiment.settings
        for tried in experiment.tuning_settings(settings)
        for seed in TUNING_SEEDS
    ]
    return list({one["run"]: one for one in tasks}.values())


def result_settings(experiment: Experiment, settings: Settings, table: Table) -> list[Settings]:
    """What these settings are with their learning rate, of all that are tried if still open."""
    losses: dict[float, list[float | None]] = {}
    for tried in experiment.tuning_settings(settings):
        keys = [key("tuning", tried, seed) for seed in TUNING_SEEDS]
        if not all(one in table.runs for one in keys):
            return [experiment.tuned(settings, lr) for lr in experiment.rates(settings)]
        losses[tried["lr"]] = [table.runs[one]["loss"] for one in keys]
    return [experiment.tuned(settings, experiment.choose(settings, losses) if losses else None)]


def result_tasks(experiment: Experiment, table: Table, seeds: int) -> list[dict[str, Any]]:
    """The runs that count, as far as their learning rates are known; all first seeds first."""
    found = [result_settings(experiment, settings, table) for settings in experiment.settings]
    known = [settings[0] for settings in found if len(settings) == 1]
    return [task("result", settings, seed) for seed in range(seeds) for settings in known]


def missing(tasks: Iterable[dict[str, Any]], table: Table) -> list[dict[str, Any]]:
    return [one for one in tasks if one["run"] not in table.runs]


def total(experiment: Experiment, seeds: int | None = None) -> int:
    """How many runs the experiment has."""
    seeds = experiment.seeds if seeds is None else seeds
    return len(tuning_tasks(experiment)) + seeds * len(experiment.settings)


def check_settings(experiment: Experiment, table: Table) -> None:
    """Refuse a table with runs that the experiment, as it is defined now, does not have.

    Raises:
        ResultsError: there is one.
    """
    allowed = {("tuning", digest(one["settings"])) for one in tuning_tasks(experiment)}
    for settings in experiment.settings:
        for one in result_settings(experiment, settings, table):
            allowed.add(("result", digest(one)))
    for stored in table.runs.values():
        if (stored["stage"], digest(stored["settings"])) not in allowed:
            raise ResultsError(
                f"{table.path}: run {stored['run']} has settings that {experiment.name!r} does not "
                "have, so it was made by another version of the definition; use the commit that it "
                "was made with, or move the file away and run it again"
            )


@dataclass
class Progress:
    """How far an experiment is.

    Attributes:
        runs, all_runs: how many are stored, and how many there are.
        work, all_work: evaluations in these runs, by which time goes: a tuning run is short.
    """

    runs: int
    all_runs: int
    work: int
    all_work: int

    @classmethod
    def of(cls, experiment: Experiment, table: Table, seeds: int) -> Progress:
        short = tuning_tasks(experiment)
        planned = [*short, *result_tasks(experiment, table, seeds)]
        stored = [one["settings"] for one in planned if one["run"] in table.runs]
        every = [one["settings"] for one in short] + seeds * experiment.settings
        work = sum(map(evaluations, stored)), sum(map(evaluations, every))
        return cls(len(stored), len(every), *work)

    def add(self, one: dict[str, Any]) -> None:
        """Count a run that has been stored."""
        self.runs += 1
        self.work += evaluations(one["settings"])


def evaluations(settings: Settings) -> int:
    """How often a run computes the loss and its gradient, about."""
    if "measure" in settings:
        return 85 * len(settings["models"])
    return settings["steps"] * (25 if settings["optimizer"] == "lbfgs" else 1)


# --- doing it ------------------------------------------------------------------------------------


def perform(one: dict[str, Any], device: str = "cpu") -> tuple[dict[str, Any], dict[str, Any]]:
    """Make one run, here.

    Returns:
        The run with its measurements, and what is known of the machine.
    """
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
        "kanbook": __version__,
    }


def commit() -> str:
    """The commit of the code that runs, with a plus sign if files differ from it."""
    package = FOLDER.parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # else the commit is of something else
        tables = (f":!{FOLDER.name}/*.{end}" for end in ("jsonl", "lock"))
        changed = git("status", "--porcelain", "--", ".", *tables)
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def check_device(device: str, here: bool = True) -> None:
    """Refuse a device that PyTorch does not know, or that is not here, before anything starts.

    Raises:
        EngineError: it is one.
    """
    try:
        torch.device(device)
        if here:
            torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise EngineError(
            f"--device {device}: PyTorch cannot train there ({reason}); use cpu, or cuda on a "
            "machine with a GPU"
        ) from error


def needed(module: str) -> Any:
    """Import what only running needs.

    Raises:
        EngineError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EngineError(
            f"{module} is not installed; run `pip install 'kanbook[experiments]'`"
        ) from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing to the file of a table.

    Raises:
        ResultsError: one does, or the folder cannot be written to.
    """
    filelock = needed("filelock")
    lock = filelock.FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise ResultsError(f"{path} is being written by another process; wait for it") from None
    except OSError as error:
        raise ResultsError(
            f"{path} cannot be written: {error.strerror or error}; nothing was run"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def workers(scheduler: str | None = None, count: int | None = None) -> Iterator[Any]:
    """A Dask client: of the cluster at this address, or of one process for each core here.

    Raises:
        EngineError: dask.distributed is not installed, nobody answers at the address, or the
            cluster there has no workers.
    """
    dask, distributed = needed("dask"), needed("distributed")
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            stack.enter_context(dask.config.set(CONFIGURATION))
            options = {"n_workers": count or cores(), "threads_per_worker": 1}
            options |= {"dashboard_address": "127.0.0.1:0", "memory_limit": None}
            with _sheltered():
                cluster = distributed.LocalCluster(**options, silence_logs="CRITICAL")
            scheduler = stack.enter_context(cluster)
        try:
            client = stack.enter_context(distributed.Client(scheduler, timeout=WAIT))
            client.wait_for_workers(1, timeout=WAIT)
        except (OSError, ValueError, distributed.TimeoutError) as error:
            raise EngineError(
                f"--scheduler {scheduler}: no Dask scheduler with workers answers there ({error}); "
                "start one with `dask scheduler` and workers with `dask worker ADDRESS --nthreads "
                "1`, or leave the option out to use this machine"
            ) from error
        yield client


@contextlib.contextmanager
def _sheltered() -> Iterator[None]:
    """Threads and processes that start here never see Ctrl+C; this one sees it afterwards.

    A terminal sends it to all processes of a command, but only the first should end the others.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    resource_tracker.ensure_running()  # when it starts, it would undo the next line
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(
    experiment: Experiment,
    *,
    seeds: int | None = None,
    device: str = "cpu",
    scheduler: str | None = None,
    processes: int | None = None,
    folder: Path | None = None,
    command: str = "",
    report: Callable[[Progress], Any] | None = None,
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
        report: called with the :class:`Progress` before the processes start, once they have, and
            after every run; not at all if nothing is to be done.

    Returns:
        The table, complete.

    Raises:
        ResultsError: the stored table is damaged, in use, or cannot be written.
        EngineError: the device is not there, the cluster cannot be reached or was lost, or runs
            failed; what was made is stored all the same.
    """
    seeds = experiment.seeds if seeds is None else seeds
    report = report or (lambda progress: None)
    with locked(path_of(experiment, folder)):
        table = table_of(experiment, folder)
        check_settings(experiment, table)
        progress = Progress.of(experiment, table, seeds)
        if progress.runs == progress.all_runs:
            return table
        check_device(device, here=scheduler is None)
        origin = {"commit": commit(), "command": command, "date": date.today().isoformat()}

        def store(made: dict[str, Any], how: dict[str, Any]) -> None:
            table.append(made, origin | how)
            progress.add(made)
            report(progress)

        report(progress)
        with workers(scheduler, processes) as client:
            report(progress)
            tasks = missing(tuning_tasks(experiment), table)
            failures = _make(client, tasks, device, store)
            tasks = missing(result_tasks(experiment, table, seeds), table)
            failures += _make(client, tasks, device, store)
    if failures:
        raise EngineError(f"{len(failures)} runs failed, the first with: {failures[0]}")
    return table


def _make(
    client: Any, tasks: list[dict[str, Any]], device: str, store: Callable[..., None]
) -> list[str]:
    """Make runs and store what :func:`perform` returns, as it comes.

    Dask repeats the runs of a worker that dies, up to three times.

    Returns:
        What the runs that failed raised.

    Raises:
        EngineError: the connection to the scheduler is lost.
    """
    call = uuid.uuid4().hex  # on a shared cluster, keys must be new
    futures = [
        client.submit(perform, one, device, key=f"kanbook-{one['run']}-{call}", pure=False)
        for one in tasks
    ]
    failures = []
    try:
        for future in needed("distributed").as_completed(futures):
            error = future.exception()
            if error is None:
                store(*future.result())
            else:
                failures.append(f"{type(error).__name__}: {error}")
            future.release()
    except CancelledError as error:  # which only a lost connection does
        raise EngineError(
            "the Dask scheduler is gone; what was made is stored, and the same command goes on"
        ) from error
    finally:
        client.cancel(futures)
    return failures


# --- checking it ---------------------------------------------------------------------------------


def rerun(
    stored: dict[str, Any], *, seconds: float = math.inf, device: str = "cpu"
) -> dict[str, Any]:
    """Make a stored run again, or its beginning, and compare.

    Args:
        stored: a run, as in ``Table.runs``.
        seconds: time after which the training stops; the beginning is compared all the same.
        device: where to train.

    Returns:
        ``steps``: how far the new run got; ``early``: the largest relative difference of the
        losses in the first 30 evaluations; ``late``: that of the last loss both have, on training
        or on test samples; ``changed``: names of the numbers that are not equal, but for times;
        ``identical``: whether there are none.

    Raises:
        ValueError: the run measured seconds, which no second run repeats.
    """
    if "measure" in stored["settings"]:
        raise ValueError(f"run {stored['run']} measured seconds; expected one with a loss")
    options = {"device": device, "limit": seconds, "points": POINTS[stored["stage"]]}
    new = trials.run_trial(stored["settings"], stored["seed"], **options)
    curve, old = new["curve"], stored["curve"]
    n = len(curve["step"])
    early = [
        _difference(a, b)
        for count, a, b in zip(curve["evaluations"], curve["loss"], old["loss"], strict=False)
        if count <= 30
    ]
    changed = [
        f"curve: {name}"
        for name in ("step", "evaluations", "loss")
        if curve[name] != old[name][: n if not new["complete"] else None]
    ]
    if new["complete"]:
        timed = ("curve", "seconds")
        changed += [name for name in new if name not in timed and new[name] != stored.get(name)]
        late = [_difference(new[k], stored.get(k)) for k in ("loss", "test_loss") if k in new]
    else:  # an old curve that ends before is of a run that diverged
        late = [
            _difference(curve["loss"][-1], old["loss"][n - 1] if n <= len(old["loss"]) else None)
        ]
    return {
        "steps": curve["step"][-1] if n else 0,
        "early": max(early, default=0.0),
        "late": max(late),
        "changed": changed,
        "identical": not changed,
    }


def agrees(experiment: Experiment, found: dict[str, Any]) -> bool:
    """Whether what :func:`rerun` found is within the experiment's tolerances.

    Where the curves are equal to the last digit, so must be the end: only what rounding errors
    have grown into may differ by as much as ``late``.
    """
    equal = not any(name.startswith("curve") for name in found["changed"])
    late = experiment.early if equal else experiment.late
    return found["early"] <= experiment.early and found["late"] <= late


def _difference(a: float | None, b: float | None) -> float:
    """Relative; of losses that were not finite (None): none if both are, else infinite."""
    if a is None or b is None:
        return 0.0 if a is b else math.inf
    return abs(a - b) / max(abs(a), abs(b), 1e-300)


def sample(table: Table, rows: int | None, *, cheapest: bool = False) -> list[dict[str, Any]]:
    """Stored runs to verify, of those with a loss: all, the quickest, or always the same few."""
    runs = [run for run in table.runs.values() if "measure" not in run["settings"]]
    if rows is None:
        return runs
    if cheapest:
        return sorted(runs, key=lambda run: run["seconds"])[:rows]
    return random.Random(0).sample(runs, min(rows, len(runs)))
