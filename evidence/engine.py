"""Running experiments: on all cores or on a cluster, interrupted and resumed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import platform
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
from kanbook._checks import needed

from .design import Design, Job
from .table import FOLDER, ResultsError, Table, digest

# For the processes that train. On Linux, the C library would give the memory of large tensors back
# to the system after every use; to keep it makes a KAN 1.4 times and a tanh KAN 1.9 times faster.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
}
WAIT = 10  # seconds for a scheduler to answer


class EngineError(Exception):
    """An experiment cannot be run; the message says why and what to do."""


def table_of(design: Design, folder: Path | None = None) -> Table:
    """Read the stored runs of an experiment; ``folder`` is that of the package if not given."""
    return Table(path_of(design, folder), design.name, design.version)


def path_of(design: Design, folder: Path | None = None) -> Path:
    return Path(folder or FOLDER) / f"{design.name}.jsonl"


# --- what is to be done --------------------------------------------------------------------------


def known(design: Design, table: Table, seeds: int) -> list[Job]:
    """All jobs of an experiment that the stored runs let us name."""
    return [job for part in design.parts() for job in design.known(part, table, seeds)]


def missing(jobs: Iterable[Job], table: Table) -> list[Job]:
    return [job for job in jobs if job["run"] not in table.runs]


def check_settings(design: Design, table: Table) -> None:
    """Raise a ResultsError if a table has runs that the experiment does not have now."""
    allowed = {(job["stage"], digest(job["settings"])) for job in known(design, table, 1)}
    for row in table.runs.values():
        if (row["stage"], digest(row["settings"])) not in allowed:
            raise ResultsError(
                f"{table.path}: run {row['run']} has settings that {design.name!r} does not "
                "have, so it was made by another version of the definition; use the commit that it "
                "was made with, or move the file away and run it again"
            )


# --- doing it ------------------------------------------------------------------------------------


def perform(
    job: Job, make: Callable[..., dict[str, Any]], device: str = "cpu"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make one run here; return the job with its measurements, and what is known of the machine."""
    return job | make(device=device), machine(device)


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


def check_device(device: str) -> None:
    """Raise an :class:`EngineError` if PyTorch cannot train there, before anything starts."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(f"--device {device}: PyTorch cannot train there ({error})") from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing to the file of a table.

    Raises:
        ResultsError: one does.
    """
    filelock = needed("filelock")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(path.with_suffix(".lock"), timeout=0):
            yield
    except filelock.Timeout:
        raise ResultsError(f"{path} is being written by another process; wait for it") from None


@contextlib.contextmanager
def workers(scheduler: str | None = None, count: int | None = None) -> Iterator[futures.Executor]:
    """What runs are submitted to: a process for each core here, or the Dask cluster at an address.

    Raises:
        EngineError: nobody answers at the address, or the cluster there has no workers.
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
    """Processes that start here have ``ENVIRONMENT``; Ctrl+C is left to the first, which ends
    them."""
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
    design: Design,
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
        seeds: how many; the experiment's own number if not given.
        scheduler: address of a Dask cluster; the cores of this machine if not given.
        processes: how many at a time here; one for each core if not given.
        folder: where the tables are; that of the package if not given.
        command: for the provenance.

    Returns:
        The table, complete.

    Raises:
        ResultsError: the stored table is damaged, in use, or cannot be written.
        EngineError: the device is not there, the cluster cannot be reached or was lost, a process
            died, or runs failed; what was made is stored all the same.
    """
    seeds = design.seeds if seeds is None else seeds
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(path_of(design, folder)))
        table = table_of(design, folder)
        check_settings(design, table)
        stored = [job for job in known(design, table, seeds) if job["run"] in table.runs]
        if len(stored) == (count := design.total(seeds)):
            return table
        if scheduler is None:
            check_device(device)
        origin = {"commit": commit(), "command": command, "date": date.today().isoformat()}
        bar = stack.enter_context(_bar(design, seeds, stored, progress))
        bar.set_postfix_str(f"{len(stored)} of {count} runs")

        def store(row: dict[str, Any], how: dict[str, Any]) -> None:
            table.append(row, origin | how)
            stored.append(row)
            bar.set_postfix_str(f"{len(stored)} of {count} runs", refresh=False)
            bar.update(design.cost(row["settings"]))

        executor = stack.enter_context(workers(scheduler, processes))
        failures: list[str] = []
        tried: set[str] = set()  # a job that failed is not tried again
        for part in design.parts():
            while jobs := [
                job
                for job in missing(design.known(part, table, seeds), table)
                if job["run"] not in tried
            ]:
                tried.update(job["run"] for job in jobs)
                calls = [(job, design.maker(job), device) for job in jobs]
                failures += _perform_all(executor, calls, store)
    if failures:
        raise EngineError(f"{len(failures)} runs failed, the first with: {failures[0]}")
    return table


def _bar(design: Design, seeds: int, stored: list[Job], shown: bool) -> tqdm:
    """How much of the work is done, and the time left, by the evaluations of the runs."""
    done = sum(design.cost(job["settings"]) for job in stored)
    options = {"total": design.work(seeds), "initial": done, "smoothing": 0, "disable": not shown}
    style = "{desc}: {percentage:3.0f}% |{bar}| {elapsed}, {remaining} left{postfix}"
    return tqdm(desc=design.name, bar_format=style, **options)


def _perform_all(
    executor: futures.Executor, calls: list[tuple[Any, ...]], store: Callable[..., None]
) -> list[str]:
    """Call :func:`perform` many times and store what comes; return what failed runs raised.

    Dask repeats the runs of a worker that dies, up to three times.

    Raises:
        EngineError: the connection to the scheduler is lost, or a process here died.
    """
    failures = []
    try:
        with _starting():
            begun = [executor.submit(perform, *arguments) for arguments in calls]
        for future in futures.as_completed(begun):
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
