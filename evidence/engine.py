"""Running experiments: on all cores or on a cluster, interrupted and resumed, and verified."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import platform
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from datetime import date
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from kanbook import __version__
from kanbook._checks import check_name, needed

from .contests import Contest
from .definitions import EXPERIMENTS, Experiment, evaluations
from .runs import contest_run, digits, equations, recovery, sequence, trials, waves
from .table import FOLDER, ResultsError, Table, digest
from .tasks.laws import outcome

# For the processes that train. On Linux, the C library would give the memory of large tensors back
# to the system after every use; to keep it makes a KAN 1.4 times and a tanh KAN 1.9 times faster.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
}
EARLY = 0.001  # relative difference that `judge` allows in the first 30 losses
# Of the range of a setting's seeds, see `judge`. Of the stored results, 97 % lie in that of their
# other seeds, widened by the first; of the tuning runs, with two seeds, 96 % by the second.
WIDER, WIDER_OF_FEW = 5.0, 10.0
# What trains a task, by what stands before its colon; those of the first kind have none.
RUNNERS = {"digits": digits.run, "equation": equations.run}
RUNNERS |= {"sequence": sequence.run, "waves": waves.run}
# Points of stored loss curves, at most; of contests, whose runs are many, fewer.
POINTS, POINTS_OF_CONTESTS = {"tuning": 8, "result": 60}, {"search": 3, "finalist": 3, "result": 15}
WAIT = 10  # seconds for a scheduler to answer


class EngineError(Exception):
    """An experiment cannot be run; the message says why and what to do."""


def get(name: str) -> Experiment | Contest:
    """Return an experiment by name.

    Raises:
        ValueError: there is none of that name; the message lists those there are.
    """
    check_name("name", name, EXPERIMENTS)
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


def known(experiment: Experiment | Contest, table: Table, seeds: int) -> list[dict[str, Any]]:
    """All runs of an experiment that the stored ones let us name."""
    return [one for part in experiment.parts() for one in experiment.known(part, table, seeds)]


def missing(tasks: Iterable[dict[str, Any]], table: Table) -> list[dict[str, Any]]:
    return [one for one in tasks if one["run"] not in table.runs]


def check_settings(experiment: Experiment, table: Table) -> None:
    """Refuse a table with runs that the experiment, as it is defined now, does not have.

    Raises:
        ResultsError: there is one.
    """
    allowed = {(one["stage"], digest(one["settings"])) for one in known(experiment, table, 1)}
    for stored in table.runs.values():
        if (stored["stage"], digest(stored["settings"])) not in allowed:
            raise ResultsError(
                f"{table.path}: run {stored['run']} has settings that {experiment.name!r} does not "
                "have, so it was made by another version of the definition; use the commit that it "
                "was made with, or move the file away and run it again"
            )


# --- doing it ------------------------------------------------------------------------------------


def perform(one: dict[str, Any], device: str = "cpu") -> tuple[dict[str, Any], dict[str, Any]]:
    """Make one run, here.

    Returns:
        The run with its measurements, and what is known of the machine.
    """
    if "measure" in one["settings"]:
        measured = {"parameters": None, "loss": None, "diverged": False}
        if "law" in one["settings"]:
            measured |= recovery.run(one["settings"], one["seed"])
        else:
            measured |= contest_run.time_steps(one["settings"])
    else:
        measured = train(one, device=device)
    return one | measured, machine(device)


def train(one: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Make a run that trains: one of a contest, of a kind of ``RUNNERS``, or of the older kind."""
    if "contest" in one["settings"]:
        points = POINTS_OF_CONTESTS[one["stage"]]
        return contest_run.run(one["settings"], one["seed"], points=points, **options)
    run = RUNNERS.get(one["settings"]["task"].partition(":")[0], trials.run_trial)
    return run(one["settings"], one["seed"], points=POINTS[one["stage"]], **options)


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
    root = FOLDER.parent.parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "evidence/__init__.py")  # else it is of something else
        tables = (f":!evidence/{FOLDER.name}/*.{end}" for end in ("jsonl", "lock"))
        changed = git("status", "--porcelain", "--", "kanbook", "evidence", *tables)
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
def workers(scheduler: str | None = None, count: int | None = None) -> Iterator[futures.Executor]:
    """What runs are submitted to: a process for each core here, or the Dask cluster at an address.

    Raises:
        EngineError: nobody answers at the address, or the cluster there has no workers.
        ImportError: dask.distributed is not installed.
    """
    if scheduler is None:
        others = multiprocessing.active_children()
        spawn = multiprocessing.get_context("spawn")
        executor = futures.ProcessPoolExecutor(count or cores(), spawn, _end_with_parent)
        try:
            yield executor
        finally:
            for process in multiprocessing.active_children():
                if process not in others:  # in the middle of a run, perhaps
                    process.terminate()
            executor.shutdown()
        return
    distributed = needed("distributed")
    with contextlib.ExitStack() as stack:
        try:
            client = stack.enter_context(distributed.Client(scheduler, timeout=WAIT))
            client.wait_for_workers(1, timeout=WAIT)
        except (OSError, ValueError, distributed.TimeoutError) as error:
            raise EngineError(
                f"--scheduler {scheduler}: no Dask scheduler with workers answers there ({error}); "
                "start one with `dask scheduler` and workers with `dask worker ADDRESS --nthreads "
                "1`, or leave the option out to use this machine"
            ) from error
        executor = client.get_executor(pure=False)
        stack.callback(executor.shutdown, wait=False)  # what is left to do is taken back
        yield executor


def _end_with_parent() -> None:
    """In a process that trains: end with the one that started it, also if that one is killed."""

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """Processes that start here have ``ENVIRONMENT``, and ignore Ctrl+C.

    A terminal sends it to all processes of a command, but only the first should end the others.
    """
    environment, interrupt = dict(os.environ), signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        signal.signal(signal.SIGINT, interrupt)


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
    progress: bool = False,
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
        progress: show a bar with the time left.

    Returns:
        The table, complete.

    Raises:
        ResultsError: the stored table is damaged, in use, or cannot be written.
        EngineError: the device is not there, the cluster cannot be reached or was lost, a process
            died, or runs failed; what was made is stored all the same.
    """
    seeds = experiment.seeds if seeds is None else seeds
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(path_of(experiment, folder)))
        table = table_of(experiment, folder)
        check_settings(experiment, table)
        made = [one for one in known(experiment, table, seeds) if one["run"] in table.runs]
        if len(made) == (count := experiment.total(seeds)):
            return table
        check_device(device, here=scheduler is None)
        origin = {"commit": commit(), "command": command, "date": date.today().isoformat()}
        style = "{desc}: {percentage:3.0f}% |{bar}| {elapsed}, {remaining} left{postfix}"
        work = {"total": experiment.work(seeds)}
        work["initial"] = sum(evaluations(one["settings"]) for one in made)
        bar = tqdm(
            desc=experiment.name, **work, smoothing=0, bar_format=style, disable=not progress
        )
        stack.enter_context(bar)
        bar.set_postfix_str(f"{len(made)} of {count} runs")

        def store(one: dict[str, Any], how: dict[str, Any]) -> None:
            table.append(one, origin | how)
            made.append(one)
            bar.set_postfix_str(f"{len(made)} of {count} runs", refresh=False)
            bar.update(evaluations(one["settings"]))

        executor = stack.enter_context(workers(scheduler, processes))
        failures: list[str] = []
        tried: set[str] = set()  # one that failed is not made again
        for part in experiment.parts():
            while todo := [
                one
                for one in missing(experiment.known(part, table, seeds), table)
                if one["run"] not in tried
            ]:
                tried.update(one["run"] for one in todo)
                failures += _make(executor, todo, device, store)
    if failures:
        raise EngineError(f"{len(failures)} runs failed, the first with: {failures[0]}")
    return table


def _make(
    executor: futures.Executor, tasks: list[dict[str, Any]], device: str, store: Callable[..., None]
) -> list[str]:
    """Make runs and store what :func:`perform` returns, as it comes.

    Dask repeats the runs of a worker that dies, up to three times.

    Returns:
        What the runs that failed raised.

    Raises:
        EngineError: the connection to the scheduler is lost, or a process here died.
    """
    failures = []
    try:
        with _starting():
            submitted = [executor.submit(perform, one, device) for one in tasks]
        for future in futures.as_completed(submitted):
            if error := future.exception():
                if isinstance(error, futures.BrokenExecutor):
                    raise error
                failures.append(f"{type(error).__name__}: {error}")
            else:
                store(*future.result())
    except (futures.BrokenExecutor, futures.CancelledError) as error:
        lost = "a process died, perhaps for lack of memory"
        if isinstance(error, futures.CancelledError):  # nobody else cancels
            lost = "the Dask scheduler is gone"
        raise EngineError(
            f"{lost}; what was made is stored, and the same command goes on"
        ) from error
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
        losses in the first 30 evaluations, or to the first that is more than twice the loss at the
        start; ``end``: its losses at the end, by name, None where not finite; ``points``: of the
        curve, if time ran out, else None; ``changed``: names of the numbers that are not equal, but
        for times; ``identical``: whether there are none.

    Raises:
        ValueError: the run measured seconds, which no second run repeats.
    """
    if "measure" in stored["settings"]:
        raise ValueError(f"run {stored['run']} measured seconds; expected one with a loss")
    new = train(stored, device=device, limit=seconds)
    curve, old = new["curve"], stored["curve"]
    n = len(curve["step"])
    early = []
    for count, a, b in zip(curve["evaluations"], curve["loss"], old["loss"], strict=False):
        if count <= 30:
            early.append(_difference(a, b))
        if count > 30 or _finite(b) > 2 * _finite(old["loss"][0]):
            break
    changed = [
        f"curve: {name}"
        for name in ("step", "evaluations", "loss")
        if curve[name] != old[name][: n if not new["complete"] else None]
    ]
    if new["complete"]:
        timed = ("curve", "seconds")
        changed += [name for name in new if name not in timed and new[name] != stored.get(name)]
    points = None if new["complete"] else n
    return {
        "steps": curve["step"][-1] if n else 0,
        "early": max(early, default=0.0),
        "end": end(new, points),
        "points": points,
        "changed": changed,
        "identical": not changed,
    }


def look_again(stored: dict[str, Any]) -> tuple[bool, str]:
    """Look for a formula again; whether as much was found, and one line with both formulas."""
    new = stored["settings"] | recovery.run(stored["settings"], stored["seed"])
    old = stored["settings"] | stored
    outcomes = [outcome(run) for run in (new, old)]
    return outcomes[0] == outcomes[1], f"{new['formula']}; stored: {old['formula']}"


def end(run: dict[str, Any], points: int | None = None) -> dict[str, float | None]:
    """The losses at the end of a run, or after so many points of its curve."""
    if points is None:
        names = ("loss", "test_loss", "validation_error", "test_error", "p90")
        return {name: run[name] for name in names if name in run}
    losses = run["curve"]["loss"]  # of a run that diverged before, they end there
    return {"loss": losses[points - 1] if points <= len(losses) else None}


def judge(table: Table, stored: dict[str, Any], found: dict[str, Any]) -> tuple[bool, str]:
    """Whether what :func:`rerun` found agrees with a stored run, and by what.

    The beginning is judged strictly. The end is not: long trainings, and steps so large that the
    loss leaps, amplify the rounding errors in which processors differ, until the run is as good as
    one with another seed. So each loss at the end must lie within the range of the stored seeds of
    the same settings, widened by the factor ``WIDER`` on both sides; by ``WIDER_OF_FEW`` if there
    are fewer than three. Where the curves are equal to the last digit no rounding has grown, and
    the end is judged as the beginning.

    Returns:
        Whether it agrees, and one line with what spoke and the numbers.
    """
    begins = f"first 30 evaluations {found['early']:.1e} off, {EARLY:.1e} allowed"
    if found["early"] > EARLY:
        return False, begins
    if found["identical"]:
        return True, "to the last digit"
    what = stored["stage"], stored["settings"]
    alike = [run for run in table.runs.values() if (run["stage"], run["settings"]) == what]
    wider = WIDER if len(alike) >= 3 else WIDER_OF_FEW
    by = f"{len(alike)} seed(s)"
    if not any(name.startswith("curve") for name in found["changed"]):
        alike, wider, by = [stored], 1 + EARLY, "an equal curve"
    ends = [end(run, found["points"]) for run in alike]
    good, texts = True, [begins]
    for name, loss in found["end"].items():
        losses = [_finite(one.get(name)) for one in ends]
        low, high = min(losses) / wider, max(losses) * wider
        good = good and low <= _finite(loss) <= high
        texts.append(f"{name} {_finite(loss):.2e}, {low:.2e} to {high:.2e} allowed by {by}")
    return good, "; ".join(texts)


def _finite(loss: float | None) -> float:
    """A stored loss, infinite where it was not finite."""
    return math.inf if loss is None else loss


def _difference(a: float | None, b: float | None) -> float:
    """Relative; of losses that were not finite (None): none if both are, else infinite."""
    if a is None or b is None:
        return 0.0 if a is b else math.inf
    return abs(a - b) / max(abs(a), abs(b), 1e-300)


def sample(table: Table, rows: int | None, *, cheapest: bool = False) -> list[dict[str, Any]]:
    """Stored runs to verify, seconds excepted: all, the quickest, or always the same few."""
    runs = [run for run in table.runs.values() if run["settings"].get("measure") != "seconds"]
    if rows is None:
        return runs
    if cheapest:
        return sorted(runs, key=lambda run: run["seconds"])[:rows]
    return random.Random(0).sample(runs, min(rows, len(runs)))
