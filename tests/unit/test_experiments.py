"""The engine of the experiments: killed and resumed, on clusters, verified; and what it trains."""

import copy
import json
import math
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from small_disk import small_disk

from kanbook import count_parameters, grids, results, tasks
from kanbook.experiments import (
    EXPERIMENTS,
    Experiment,
    definitions,
    engine,
    make_data,
    make_model,
    rerun_start,
    run_trial,
    trials,
)
from kanbook.experiments.__main__ import main
from kanbook.experiments.definitions import RATES, TOLERANCE, TUNING_SEEDS

pytest.importorskip("distributed")
pytest.importorskip("filelock")

SINE = {"task": "sine", "optimizer": "adam", "steps": 4, "dtype": "float32"}
MLP = {"family": "MLP", "model": "mlp", "widths": [1, 3, 1]}
KAN = {"family": "KAN", "model": "kan", "widths": [1, 1], "grid_size": 3, "degree": 3}
TINY = Experiment("tiny", "Does it run?", (1,), lambda: [SINE | MLP, SINE | KAN], seeds=2)
N_RATES = len(RATES["adam"])
TUNING = 2 * N_RATES * 2  # settings, rates and seeds that tune
KEYS = TUNING + 2 * 2  # and settings and seeds that count


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The command line knows TINY."""
    monkeypatch.setitem(EXPERIMENTS, "tiny", TINY)


@pytest.fixture(scope="module")
def cluster():
    """One Dask cluster of the kind that --scheduler is for, with one worker."""
    from distributed import LocalCluster

    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options, memory_limit=None, silence_logs="CRITICAL") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def made_here(tmp_path_factory):
    """TINY's table, made in this process, one run after the other."""
    folder = tmp_path_factory.mktemp("here")
    table = engine.table_of(TINY, folder)
    for find in (engine.tuning_tasks, lambda e: engine.result_tasks(e, table, e.seeds)):
        for one in engine.missing(find(TINY), table):
            table.append(*engine.perform(one))
    return table


@pytest.fixture
def table(made_here, tmp_path):
    """A copy of it, to spoil."""
    (tmp_path / "tiny.jsonl").write_bytes(made_here.path.read_bytes())
    return engine.table_of(TINY, tmp_path)


def without_times(run):
    run = copy.deepcopy(run)
    run.pop("seconds", None)
    run.pop("made", None)
    run.get("curve", {}).pop("seconds", None)
    return run


def same_rows(a, b):
    """Whether two tables hold the same runs, whatever their order, but for times and machines."""
    return {key: without_times(run) for key, run in a.runs.items()} == {
        key: without_times(run) for key, run in b.runs.items()
    }


def command(where, *arguments):
    """Run the command line on a folder, or on that of a table; return the exit code."""
    folder = where.path.parent if isinstance(where, results.Table) else where
    return main(["--folder", str(folder), *arguments])


# On a cluster, interrupted and resumed


def test_on_a_cluster_the_rows_are_the_same(cluster, made_here, tmp_path, capsys):
    arguments = ["run", "tiny", "--scheduler", cluster.scheduler_address]
    assert command(tmp_path, *arguments) == 0
    table = engine.table_of(TINY, tmp_path)
    assert len(table.runs) == KEYS == engine.total(TINY) and same_rows(table, made_here)
    out, err = capsys.readouterr()
    assert out == f"{table.path}: {KEYS} runs\n"
    assert all(text in err for text in ("tiny:   0% |", f", 0 of {KEYS} runs", " 100% |"))
    assert err.endswith(f" 00:00 left, {KEYS} of {KEYS} runs\n")
    (how,) = table.provenance.values()
    assert how["command"].endswith(" run tiny --scheduler " + cluster.scheduler_address)
    assert how["torch"] == torch.__version__ and how["device"] == "cpu" and how["processor"]

    before = table.path.read_bytes()  # nothing is left to do, so nobody is asked
    assert command(tmp_path, "run", "tiny", "--scheduler", "tcp://127.0.0.1:1") == 0
    assert command(tmp_path, "run", "tiny", "--seeds", "1", "--device", "nonsense") == 0
    assert table.path.read_bytes() == before

    assert command(tmp_path, *arguments, "--seeds", "3") == 0  # one seed more
    assert len(engine.table_of(TINY, tmp_path).runs) == KEYS + 2
    assert table.path.read_bytes().startswith(before)
    assert f", {KEYS} of {KEYS + 2} runs" in capsys.readouterr().err


SLOW = 200  # steps, about 0.1 seconds
SCRIPT = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if tests run in the background
from kanbook.experiments import EXPERIMENTS, Experiment
from kanbook.experiments.__main__ import main
settings = {SINE | MLP | {"steps": SLOW}!r}
EXPERIMENTS["tiny"] = Experiment("tiny", "?", (1,), lambda: [settings], seeds=9, tuning=1)
sys.exit(main(sys.argv[1:]))
"""
SLOW_KEYS = N_RATES * 2 + 9
SLOW_TINY = Experiment("tiny", "?", (1,), lambda: [SINE | MLP | {"steps": SLOW}], seeds=9, tuning=1)


@pytest.fixture
def after_the_first(monkeypatch):
    """Calls a function once one run is stored."""
    append = results.Table.append

    def call(function):
        def appended(table, *made):
            append(table, *made)
            if len(table.runs) == 1:
                function()

        monkeypatch.setattr(results.Table, "append", appended)

    return call


class Running:
    """The command line in a process of its own, in a process group as a terminal makes it."""

    def __init__(self, folder, *arguments):
        self.path = folder / "tiny.jsonl"
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, "--folder", str(folder), "run", "tiny", *arguments],
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def rows(self):
        return max(0, self.path.read_bytes().count(b"\n") - 2) if self.path.exists() else 0

    def wait_for(self, rows):
        deadline = time.monotonic() + 120
        while self.rows() < rows and self.process.poll() is None:
            assert time.monotonic() < deadline, "no new row in two minutes"
            time.sleep(0.01)

    def children(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number, *, group=False):
        """Send a signal; return what stands on stderr."""
        (os.killpg if group else os.kill)(self.process.pid, number)
        return self.process.communicate(timeout=60)[1]


def test_interrupted_by_ctrl_c_and_killed_nothing_is_lost(cluster, tmp_path):
    # On processes of its own: Ctrl+C in a terminal, which all of them get.
    running = Running(tmp_path, "--processes", "1")
    running.wait_for(2)
    children = running.children()
    assert len(children) >= 1
    with pytest.raises(results.ResultsError, match="is being written by another process"):
        engine.run(SLOW_TINY, folder=tmp_path)
    err = running.end(signal.SIGINT, group=True)
    assert running.process.returncode == 130, err
    assert "interrupted; what was made is stored" in err and "Traceback" not in err
    assert not psutil.wait_procs(children, timeout=20)[1], "processes were left behind"
    kept = engine.table_of(SLOW_TINY, tmp_path).path.read_bytes()
    assert running.rows() >= 2

    # kill -9, which gives it no chance to end the others.
    running = Running(tmp_path, "--processes", "1")
    running.wait_for(4)
    children = running.children()
    running.end(signal.SIGKILL)
    assert running.process.returncode == -signal.SIGKILL
    assert not psutil.wait_procs(children, timeout=20)[1], "processes were left behind"
    killed = engine.table_of(SLOW_TINY, tmp_path)  # the last line may be half a line
    assert running.path.read_bytes().startswith(kept)
    kept = running.path.read_bytes()[: killed.size]

    # And again on a cluster, at moments that nobody chose.
    for rows in (8, 13):
        running = Running(tmp_path, "--scheduler", cluster.scheduler_address)
        running.wait_for(rows)
        time.sleep(random.Random(rows).random() / 5)
        running.end(signal.SIGKILL)
        killed = engine.table_of(SLOW_TINY, tmp_path)
        assert running.path.read_bytes().startswith(kept)
        kept = running.path.read_bytes()[: killed.size]

    table = engine.run(SLOW_TINY, folder=tmp_path, scheduler=cluster.scheduler_address)
    assert table.path.read_bytes().startswith(kept), "nothing stored is made again"
    again = engine.table_of(SLOW_TINY, tmp_path)
    wanted = engine.tuning_tasks(SLOW_TINY) + engine.result_tasks(SLOW_TINY, again, 9)
    assert {one["run"] for one in wanted} == set(again.runs) and len(again.runs) == SLOW_KEYS
    assert table.path.read_bytes().count(b'"stage"') == SLOW_KEYS
    one = again.runs[wanted[-1]["run"]]  # made after all of that
    assert without_times(engine.perform(wanted[-1])[0]) == without_times(one)


def test_a_worker_that_dies_has_its_run_repeated(cluster, tmp_path, after_the_first):
    long = SINE | MLP | {"lr": 0.01, "steps": 1500}
    experiment = Experiment("tiny", "?", (1,), lambda: [long | {"steps": 3}, long], seeds=1)
    (worker,) = cluster.workers.values()
    pid = worker.pid  # the second run is in the middle, or about to be
    after_the_first(lambda: threading.Timer(0.1, os.kill, (pid, signal.SIGKILL)).start())
    table = engine.run(experiment, folder=tmp_path, scheduler=cluster.scheduler_address)
    assert worker.pid != pid, "the worker did not die"
    short, whole = table.runs.values()
    assert whole["settings"]["steps"] == 1500 and whole["complete"] and short["complete"]
    here, _ = engine.perform(engine.planned("result", long, 0))
    assert without_times(whole) == without_times(here)


def test_a_process_that_dies_here(tmp_path, after_the_first):
    experiment = Experiment("tiny", "?", (1,), lambda: [SINE | MLP | {"lr": 0.01}], seeds=60)
    others = multiprocessing.active_children()

    def kill():
        (process,) = (p for p in multiprocessing.active_children() if p not in others)
        process.kill()

    after_the_first(kill)
    with pytest.raises(engine.EngineError, match="a process died, .* the same command goes on"):
        engine.run(experiment, folder=tmp_path, processes=1)
    assert set(multiprocessing.active_children()) <= set(others)
    table = engine.table_of(experiment, tmp_path)
    assert 1 <= len(table.runs) < 60
    kept = table.path.read_bytes()
    again = engine.run(experiment, folder=tmp_path, processes=1)
    assert len(again.runs) == 60 and table.path.read_bytes().startswith(kept)


def test_a_scheduler_that_goes_away(tmp_path, after_the_first):
    from distributed import LocalCluster

    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    one = SINE | MLP | {"lr": 0.01, "steps": 300}
    experiment = Experiment("tiny", "?", (1,), lambda: [one], seeds=5)
    with LocalCluster(**options, processes=False, protocol="tcp", silence_logs="CRITICAL") as c:
        closing = threading.Thread(target=c.close)
        after_the_first(closing.start)
        with pytest.raises(engine.EngineError, match="the Dask scheduler is gone"):
            engine.run(experiment, folder=tmp_path, scheduler=c.scheduler_address)
        closing.join()
    assert 1 <= len(engine.table_of(experiment, tmp_path).runs) < 5


def test_processes_have_their_environment_and_this_one_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = dict(os.environ)
    with engine.workers(count=1) as executor:
        with engine._starting():
            found = [executor.submit(os.getenv, name) for name in engine.ENVIRONMENT]
        assert dict(os.environ) == before
        assert [future.result() for future in found] == [*engine.ENVIRONMENT.values()]


def test_a_run_that_fails_leaves_the_others(cluster, tmp_path, capsys, monkeypatch):
    wrong = SINE | MLP | {"lr": 0.01, "model": "transformer"}
    experiment = Experiment("tiny", "?", (1,), lambda: [SINE | MLP | {"lr": 0.01}, wrong], seeds=2)
    monkeypatch.setitem(EXPERIMENTS, "tiny", experiment)
    assert command(tmp_path, "run", "tiny", "--scheduler", cluster.scheduler_address) == 1
    err = capsys.readouterr().err
    assert "2 runs failed, the first with: ValueError: model='transformer' is no kind of" in err
    assert len(engine.table_of(experiment, tmp_path).runs) == 2


def test_no_space_in_the_middle(cluster, made_here, tmp_path, capsys, monkeypatch):
    arguments = ["run", "tiny", "--scheduler", cluster.scheduler_address]
    path = tmp_path / "tiny.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(results.table, "open", small_disk(3000), raising=False)
        assert command(tmp_path, *arguments) == 1
    assert "cannot be written: File too large" in capsys.readouterr().err
    kept = path.read_bytes()
    assert kept.endswith(b"\n") and 0 < len(engine.table_of(TINY, tmp_path).runs) < KEYS
    assert command(tmp_path, *arguments) == 0
    assert path.read_bytes().startswith(kept)
    assert same_rows(engine.table_of(TINY, tmp_path), made_here)


def test_the_commit_of_the_code(tmp_path, monkeypatch):
    package = tmp_path / "package"
    (package / "results").mkdir(parents=True)
    monkeypatch.setattr(engine, "FOLDER", package / "results")

    def git(*arguments):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    (tmp_path / "README").write_text("")
    (package / "__init__.py").write_text("")
    git("add", "README")
    git("commit", "--message=somebody else's")
    assert engine.commit() == "unknown", "the repository is not that of the package"
    git("add", "package")
    git("commit", "--message=the package")
    head = git("rev-parse", "HEAD")
    (package / "results" / "tiny.jsonl").write_text("")
    (tmp_path / "notes").write_text("")
    assert engine.commit() == head, "only the code counts"
    (package / "new.py").write_text("")
    assert engine.commit() == head + "+"


# Refused


def test_a_scheduler_that_does_not_answer(tmp_path, capsys, monkeypatch):
    assert engine.WAIT <= 10
    monkeypatch.setattr(engine, "WAIT", 0.5)
    assert command(tmp_path, "run", "tiny", "--scheduler", "tcp://127.0.0.1:1") == 1
    assert "--scheduler tcp://127.0.0.1:1: no Dask scheduler" in capsys.readouterr().err
    assert command(tmp_path, "run", "tiny", "--scheduler", "nonsense") == 1
    assert "--scheduler nonsense: no Dask scheduler" in capsys.readouterr().err
    assert not (tmp_path / "tiny.jsonl").exists()


@pytest.mark.parametrize("device", ["nonsense", "meta", "cuda:77"])
@pytest.mark.parametrize("what", ["run", "verify"])
def test_a_device_that_is_not_there(table, tmp_path, capsys, device, what):
    more = ["--seeds", "3"] if what == "run" else []
    assert command(table, what, "tiny", *more, "--device", device) == 1
    assert f"--device {device}: PyTorch cannot train there" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["run", "verify", "table"])
def test_an_unknown_name_lists_the_known(tmp_path, capsys, what):
    assert command(tmp_path, what, "tinny") == 1
    assert "name='tinny'; expected one of functions-1d, " in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["run", "tiny", "--seeds", "0"], ["run", "tiny", "--seeds", "2.5"],
     ["run", "tiny", "--processes", "-1"], ["verify", "tiny", "--rows", "0"],
     ["verify", "tiny", "--seconds", "nan"], ["verify", "tiny", "--seconds", "0"],
     ["run"], ["walk", "tiny"], []],
)  # fmt: skip
def test_bad_arguments_end_with_a_usage(tmp_path, capsys, arguments):
    with pytest.raises(SystemExit) as error:
        command(tmp_path, *arguments)
    assert error.value.code == 2 and "usage:" in capsys.readouterr().err


def test_what_is_not_installed_is_named(tmp_path, capsys, monkeypatch):
    for module in ("distributed", "filelock"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            assert command(tmp_path, "run", "tiny", "--scheduler", "tcp://127.0.0.1:1") == 1
        err = capsys.readouterr().err
        assert f"{module} is not installed; run `pip install {module}`" in err


@pytest.mark.parametrize("what", ["run", "verify", "table"])
def test_a_damaged_file_is_left_as_it_is(table, capsys, what):
    lines = table.path.read_bytes().splitlines(keepends=True)
    lines[5] = b"=======\n"
    check_refused(table, lines, what, capsys, f"{table.path}: line 6 ")


def check_refused(table, lines, what, capsys, message):
    table.path.write_bytes(b"".join(lines))
    assert command(table, what, "tiny") == 1
    assert message in capsys.readouterr().err
    assert table.path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("what", ["run", "verify"])
def test_a_table_of_another_definition_is_refused(table, capsys, monkeypatch, what):
    lines = table.path.read_bytes().splitlines(keepends=True)

    def defined(**changes):
        settings = changes.pop("settings", TINY.settings)
        options = {"seeds": 2} | changes
        new = Experiment("tiny", "?", (1,), lambda: settings, **options)
        monkeypatch.setitem(EXPERIMENTS, "tiny", new)

    defined(version=2)
    check_refused(table, lines, what, capsys, "holds version 1 of 'tiny' (format 2), but this is")
    defined(settings=TINY.settings[:1])
    check_refused(table, lines, what, capsys, "has settings that 'tiny' does not have")
    defined(tuning=0.5)
    check_refused(table, lines, what, capsys, "has settings that 'tiny' does not have")
    with monkeypatch.context() as patch:  # by another rule, other learning rates would count
        patch.setattr(Experiment, "choose", lambda self, settings, losses: min(losses))
        defined()
        check_refused(table, lines, what, capsys, "has settings that 'tiny' does not have")


def test_a_folder_that_cannot_be_written(table, capsys):
    before, user = table.path.read_bytes(), os.geteuid()
    folder = table.path.parent
    for outer in folder.parents:  # pytest's folders are closed to others
        if outer.stat().st_uid == user and Path(tempfile.gettempdir()) in outer.parents:
            outer.chmod(0o755)
    folder.chmod(0o555)
    if user == 0:  # root may write everywhere
        os.seteuid(65534)
    try:
        code = command(table, "run", "tiny", "--seeds", "3")
        elsewhere = main(["--folder", str(folder / "new"), "run", "tiny"])
    finally:
        os.seteuid(user)
        folder.chmod(0o755)
    err = capsys.readouterr().err
    assert (code, elsewhere) == (1, 1) and err.count("cannot be written: Permission denied") == 2
    assert table.path.read_bytes() == before


# Made again


def test_verify_on_this_machine(table, capsys):
    assert command(table, "verify", "tiny") == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == KEYS
    assert all(line.startswith("agrees: ") and line.endswith("to the last digit") for line in lines)


def changed(table, change, index=-1):
    """Change what a run measured in the file."""
    lines = table.path.read_text().splitlines()
    record = json.loads(lines[index])
    change(record)
    lines[index] = json.dumps(record)
    table.path.write_text("\n".join(lines) + "\n")
    return record["run"]


@pytest.mark.parametrize(
    "name, change",
    [
        ("loss", lambda run: run.update(loss=run["loss"] * 1.01)),
        ("loss", lambda run: run.update(loss=None)),
        ("test_loss", lambda run: run.update(test_loss=run["test_loss"] * 3)),
        ("curve: loss", lambda run: run["curve"]["loss"].__setitem__(0, 0.123)),
        ("curve: loss", lambda run: run["curve"]["loss"].__setitem__(-1, None)),
    ],
)
def test_a_changed_loss_is_found_and_named(table, capsys, name, change):
    key = changed(table, change)
    assert command(table, "verify", "tiny") == 1
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("DIFFERS")]
    assert f"run {key}," in line and line.endswith(f"not equal: {name}")
    assert out.count("agrees: ") == KEYS - 1


def test_other_changes_are_named(table, capsys):
    key = changed(table, lambda run: run.update(evaluations=5, parameters=1))
    assert not engine.rerun(engine.table_of(TINY, table.path.parent).runs[key])["identical"]
    assert command(table, "verify", "tiny") == 0  # no loss is wrong
    assert "not equal: parameters, evaluations" in capsys.readouterr().out


def test_verify_some_rows(table, capsys):
    assert command(table, "verify", "tiny", "--rows", "3") == 0
    first = capsys.readouterr().out.splitlines()[1:]
    assert command(table, "verify", "tiny", "--rows", "3") == 0
    assert capsys.readouterr().out.splitlines()[1:] == first and len(first) == 3
    key = changed(table, lambda run: run.update(seconds=1e-6), index=10)
    assert command(table, "verify", "tiny", "--rows", "1", "--cheapest") == 0
    assert f"run {key}," in capsys.readouterr().out
    assert command(table, "verify", "tiny", "--rows", "999") == 0
    assert capsys.readouterr().out.count("agrees: ") == KEYS


def test_verify_the_beginning_of_a_long_run(tmp_path, capsys, monkeypatch):
    long = SINE | MLP | {"lr": 0.01, "steps": 100}
    whole = engine.perform(engine.planned("result", long, 0))
    found = engine.rerun(whole[0], seconds=1e-9)
    first = whole[0]["curve"]["loss"][0]
    assert found == {
        "steps": 1, "early": 0, "end": {"loss": first}, "points": 1, "changed": [],
        "identical": True,
    }  # fmt: skip
    whole[0]["curve"]["loss"][0] *= 1.1
    assert engine.rerun(whole[0], seconds=1e-9)["early"] > 0.05

    experiment = Experiment("tiny", "?", (1,), lambda: [long], seeds=1)
    monkeypatch.setitem(EXPERIMENTS, "tiny", experiment)
    engine.table_of(experiment, tmp_path).append(*whole)
    assert command(tmp_path, "verify", "tiny", "--seconds", "1e-9") == 1
    assert ", 1 of 100 steps: " in capsys.readouterr().out


def test_a_stored_divergence_that_does_not_happen_again(table):
    stored = engine.perform(engine.planned("result", SINE | MLP | {"lr": 0.01, "steps": 50}, 0))[0]
    stored |= {"loss": None, "diverged": True, "test_loss": None}
    stored["curve"] = {name: values[:3] for name, values in stored["curve"].items()}
    table.runs = {stored["run"]: stored}
    for seconds in (math.inf, 1e-9):
        found = engine.rerun(stored, seconds=seconds)
        assert found["early"] == 0
        ended = found["steps"] > 3  # later than the stored one diverged
        good, why = engine.judge(TINY, table, stored, found)
        assert good != ended and ("inf to inf allowed" in why) == ended


def seeds_that_end_with(*losses):
    """A table of runs with equal settings, and what a rerun of the first found, to be changed."""
    runs = [engine.planned("result", SINE | MLP | {"lr": 0.01}, n) for n in range(len(losses))]
    for run, loss in zip(runs, losses, strict=True):
        run |= {"loss": loss, "test_loss": loss, "curve": {"loss": [1.0, loss]}}
    table = results.Table("nowhere", "tiny", 1)
    table.runs = {run["run"]: run for run in runs}
    other = engine.planned("result", SINE | KAN | {"lr": 0.01}, 0) | {"loss": 1e9, "test_loss": 0}
    table.runs[other["run"]] = other  # of other settings, so it does not count
    changed = ["curve: loss", "loss"]
    end = {"loss": losses[0], "test_loss": losses[0]}
    found = {"steps": 4, "early": 1e-9, "points": None, "changed": changed, "identical": False}
    return table, runs[0], found | {"end": end}


@pytest.mark.parametrize(
    "factor, good",
    [(1.69, True), (1 / 1.69, True), (9.9, True), (10.1, False), (0.11, True), (0.09, False)],
)
def test_the_end_is_judged_by_the_spread_of_the_seeds(factor, good):
    """Long trainings are chaotic: a rerun elsewhere was 69 % off at the end, equal at first."""
    table, stored, found = seeds_that_end_with(1e-3, 2e-3, 5e-4)  # so 1e-4 to 1e-2 is allowed
    found["end"]["loss"] *= factor
    agrees, why = engine.judge(TINY, table, stored, found)
    assert agrees == good
    assert f"loss {factor * 1e-3:.2e}, 1.00e-04 to 1.00e-02 allowed by 3 seed(s)" in why
    cut = found | {"points": 2, "end": {"loss": found["end"]["loss"]}}  # time ran out
    assert engine.judge(TINY, table, stored, cut)[0] == good
    found["early"] = 0.0011  # the beginning is not: this the first 30 evaluations decide
    assert engine.judge(TINY, table, stored, found) == (
        False, "first 30 evaluations 1.1e-03 off, 1.0e-03 allowed",
    )  # fmt: skip


@pytest.mark.parametrize("loss, good", [(None, False), (math.nan, False), (9e-3, True)])
def test_the_end_of_a_setting_with_few_seeds(loss, good):
    table, stored, found = seeds_that_end_with(1e-3)
    found["end"]["test_loss"] = loss
    agrees, why = engine.judge(TINY, table, stored, found)
    assert agrees == good and "1.00e-04 to 1.00e-02 allowed by 1 seed(s)" in why


def test_an_end_that_no_rounding_explains():
    table, stored, found = seeds_that_end_with(1e-3, 2e-3, 5e-4)
    found |= {"changed": ["loss"], "end": {"loss": 1.69e-3}}  # after a curve that is equal
    agrees, why = engine.judge(TINY, table, stored, found)
    assert not agrees and "allowed by an equal curve" in why


def test_verify_every_stored_table(table, capsys, monkeypatch):
    other = Experiment("other", "?", (1,), TINY.make_settings, seeds=2)
    monkeypatch.setitem(EXPERIMENTS, "other", other)
    header = json.dumps({"experiment": "other", "version": 1, "format": 2})
    lines = table.path.read_text().splitlines()
    (table.path.parent / "other.jsonl").write_text("\n".join([header, *lines[1:]]) + "\n")
    assert command(table, "verify", "--rows", "1") == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.endswith(":")] == ["other:", "tiny:"]
    changed(table, lambda run: run.update(loss=9.0, seconds=0))
    assert command(table, "verify", "--rows", "1", "--cheapest") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line[:7] for line in lines] == ["other:", "agrees:", "tiny:", "DIFFERS"]
    assert command(table.path.parent / "nowhere", "verify") == 1
    assert "nowhere holds no tables" in capsys.readouterr().err


def test_make_verify_fails_where_python_does(tmp_path):
    python, installed = tmp_path / "python", tmp_path / "installed"
    python.write_text("#!/bin/sh\necho cannot import kanbook >&2\nexit 1\n")
    python.chmod(0o755)
    installed.touch()
    made = subprocess.run(
        ["make", "verify", f"BIN={tmp_path}", f"INSTALLED={installed}"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True,
    )  # fmt: skip
    assert "cannot import kanbook" in made.stderr and made.returncode != 0


def test_nothing_to_verify(tmp_path, capsys):
    assert command(tmp_path, "verify", "tiny") == 1
    assert "holds no runs yet; `python -m kanbook.experiments run tiny`" in capsys.readouterr().err


def test_check_one_run(table, monkeypatch):
    monkeypatch.setattr(engine, "FOLDER", table.path.parent)
    key = next(iter(table.runs))
    assert rerun_start("tiny", key)["identical"]
    with pytest.raises(ValueError, match=f"run='x'; expected one of the {KEYS} stored runs"):
        rerun_start("tiny", "x")


# Shown


def test_list(table, capsys):
    assert command(table, "list") == 0
    out = capsys.readouterr().out
    assert all(f"{name}: {one.question}" in out for name, one in EXPERIMENTS.items())
    assert f"2 settings, 2 seeds, {KEYS} runs with tuning (stored)" in out and "(0 stored)" in out
    table.path.write_bytes(b"x\n")
    assert command(table, "list") == 0 and "(not readable)" in capsys.readouterr().out


def test_a_reader_that_leaves_early_is_no_error():
    command = [sys.executable, "-m", "kanbook.experiments", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()  # before the first word
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_table(table, tmp_path, capsys):
    assert command(table, "table", "tiny") == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[-7:] == [
        "parameters", "seeds", "median", "least", "largest", "diverged", "seconds",
    ]  # fmt: skip
    assert "MLP" in rows[0] and "KAN" in rows[1] and "NaN" not in rows[0]
    assert command(tmp_path / "nowhere", "table", "tiny") == 1
    assert "expected one of the stored results" in capsys.readouterr().err


def test_time_goes_by_evaluations():
    assert engine.evaluations(SINE | MLP) == 4
    assert engine.evaluations(SINE | MLP | {"optimizer": "lbfgs"}) == 100


# One run


MINI = {"task": "deep", "optimizer": "sgd", "steps": 6, "dtype": "float32", "batch_size": 64}
TRIALS = [
    SINE | MLP | {"lr": 0.01},
    MINI | MLP | {"lr": 0.1, "widths": [4, 3, 1]},
    SINE | KAN | {"lr": 0.01, "update_grid": 1, "extend_grid": [[0.5, 6]], "watch": True},
    SINE | KAN | {"lr": 1.0, "optimizer": "lbfgs", "base": "silu", "spline_weight": True},
]


def global_generators():
    numbers = np.random.get_state()[1].tolist()  # noqa: NPY002
    return torch.get_rng_state().tolist(), random.getstate(), numbers


def test_a_run_depends_on_settings_and_seed_only():
    first = [run_trial(settings, 3) for settings in TRIALS]
    torch.manual_seed(99)
    torch.set_default_dtype(torch.float64)
    states = global_generators()
    before, threads = copy.deepcopy(TRIALS), torch.get_num_threads()
    try:
        second = [run_trial(settings, 3) for settings in reversed(TRIALS)][::-1]
    finally:
        torch.set_default_dtype(torch.float32)
    for a, b in zip(first, second, strict=True):
        assert without_times(a) == without_times(b)
    assert global_generators() == states
    assert before == TRIALS and torch.get_num_threads() == threads
    other = [run_trial(settings, 4) for settings in TRIALS]
    assert all(a["loss"] != b["loss"] for a, b in zip(first, other, strict=True))


def test_a_control_restarts_where_the_grid_would_change():
    at = trials.fit_options(SINE | {"lr": 1, "steps": 2000, "update_grid": 10, "restart": 10})
    assert at["restart_at"] == at["update_grid_at"] == list(range(101, 1002, 100))
    once = trials.fit_options(SINE | {"lr": 1, "steps": 7, "restart": 1, "extend_grid": [[0.5, 9]]})
    assert once["restart_at"] == [*once["extend_grid_at"]] == [5]


def test_where_both_meet_the_grid_is_extended_first(monkeypatch):
    """So it was when the runs were stored; fit has another order now."""
    calls = []
    for name in ("extend_grid", "update_grid"):
        change = getattr(grids, name)
        spy = lambda *args, name=name, change=change: calls.append(name) or change(*args)  # noqa: E731
        monkeypatch.setattr(grids, name, spy)
    at = trials.fit_options(TRIALS[2])
    assert at["update_grid_at"] == [*at["extend_grid_at"]] == [3]
    assert run_trial(TRIALS[2], 0)["complete"]
    assert calls == ["extend_grid", "update_grid"]


def test_what_a_run_measures():
    found = run_trial(TRIALS[1], 0)
    assert found["parameters"] == 4 * 3 + 3 + 3 + 1 and found["evaluations"] == 6
    assert found["curve"]["step"] == [1, 2, 3, 4, 5, 6] == found["curve"]["evaluations"]
    assert found["complete"] and not found["diverged"] and found["seconds"] > 0
    (inputs, targets), test = make_data(TRIALS[1], 0)
    model = make_model(TRIALS[1], generator=torch.Generator().manual_seed(0))
    assert found["curve"]["loss"][0] == pytest.approx(
        trials.mean_squared_error(model, inputs, targets), rel=0.5
    )  # that of a mini-batch
    assert len(test[0]) == 10_000 and found["test_loss"] > 0
    picture = {"task": "image-8", "dtype": "float32", "frequencies": 2}
    assert make_data(picture, 0)[1] is None
    _, (inputs, targets) = make_data(picture | {"test_size": 16}, 0)
    assert inputs.shape == (256, 8) and torch.equal(
        targets, tasks.image(16, dtype=torch.float32)[1]
    )


def test_points_of_the_curve():
    assert trials.spread(1, 8) == {1} and trials.spread(5, 60) == {1, 2, 3, 4, 5}
    for steps, points in ((20_000, 60), (500, 8)):
        chosen = sorted(trials.spread(steps, points))
        assert chosen[0] == 1 and chosen[-1] == steps and len(chosen) <= points


def test_a_run_can_be_stopped_and_watched():
    seen = []
    settings = TRIALS[0] | {"steps": 1000}
    found = run_trial(settings, 0, limit=1e-9, progress=lambda *args: seen.append(args))
    assert not found["complete"] and seen == [(1, 1000)] and found["curve"]["step"] == [1]
    assert math.isfinite(found["loss"])


def test_what_is_inside_a_network():
    probes = run_trial(TRIALS[2], 0)["probes"]
    assert [probe["step"] for probe in probes] == [1, 4]
    model = make_model(SINE | KAN | {"widths": [1, 2, 1]}, generator=torch.Generator())
    inputs = torch.tensor([[-0.5], [0.0], [2.0], [3.0]])
    found = trials.look_into(model, inputs, torch.zeros(4, 1))
    assert found["outside"][0] == 0.5 and found["dead"] == [0, 0] and found["gradient"][0] > 0
    assert trials.look_into(model, inputs + 100, torch.zeros(4, 1))["dead"][0] == 1
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_run_that_diverges_is_kept_and_marked(tmp_path):
    wild = SINE | MLP | {"optimizer": "sgd", "lr": 1e20, "steps": 50}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run, how = engine.perform(engine.planned("result", wild, 0))
    assert run["diverged"] and run["loss"] is None and run["test_loss"] is None
    assert run["complete"] and run["curve"]["step"][-1] < 50
    text = json.dumps(run, allow_nan=False)
    assert "NaN" not in text and "Infinity" not in text
    experiment = Experiment("tiny", "?", (1,), lambda: [wild], seeds=1)
    table = engine.table_of(experiment, tmp_path)
    table.append(run, how)
    row = results.load("tiny", folder=tmp_path).iloc[0]
    assert row["loss"] == row["test_loss"] == math.inf and row["diverged"]
    assert engine.rerun(table.runs[run["run"]])["identical"]


@pytest.mark.parametrize("name, value", [("model", "cnn"), ("task", "mnist")])
def test_a_wrong_setting_is_named(name, value):
    with pytest.raises(ValueError, match=f"{name}={value!r}|name='mnist'"):
        run_trial(TRIALS[0] | {name: value}, 0)


# The rule for learning rates


def test_the_lowest_mean_log_loss_is_chosen():
    rates = RATES["adam"]
    losses = {lr: [1.0, 1.0] for lr in rates}
    losses[rates[2]] = [1e-6, 0.1]  # the lower mean of logarithms,
    losses[rates[3]] = [1e-2, 1e-2]  # the lower mean
    losses[rates[4]] = [1e-30, None]  # best, when it does not diverge
    assert TINY.choose(SINE | MLP, losses) == rates[2]
    losses = {lr: [None, None] for lr in rates} | {rates[5]: [1e9, 1e9]}
    assert TINY.choose(SINE | MLP, losses) == rates[5]
    assert TINY.choose(SINE | MLP, {lr: [None, 0.1] for lr in rates}) == rates[0]


def test_results_wait_for_all_runs_that_tune(made_here, tmp_path):
    tuning, table = engine.tuning_tasks(TINY), engine.table_of(TINY, tmp_path)
    assert [one["seed"] for one in tuning[:2]] == list(TUNING_SEEDS)
    of_mlp = [one for one in tuning if one["settings"]["family"] == "MLP"]
    assert len(of_mlp) == N_RATES * 2 and all(one["settings"]["steps"] == 1 for one in tuning)
    for one in of_mlp:
        assert engine.result_tasks(TINY, table, 2) == []
        run = dict(made_here.runs[one["run"]])
        table.append(run, {"commit": "?"})
    seeds = engine.result_tasks(TINY, table, 2)
    assert [one["seed"] for one in seeds] == [0, 1]
    assert {one["settings"]["family"] for one in seeds} == {"MLP"}
    means = {}
    for one in of_mlp:
        means.setdefault(one["settings"]["lr"], []).append(made_here.runs[one["run"]]["loss"])
    best = min(means, key=lambda lr: math.prod(means[lr]))
    assert {one["settings"]["lr"] for one in seeds} == {best}


# What the book trains


def final(settings):
    grown = settings.get("extend_grid", [])
    return settings | ({"grid_size": grown[-1][1]} if grown else {})


REAL = [name for name in EXPERIMENTS if name != "tiny"]


@pytest.mark.parametrize("name", REAL)
def test_every_setting_has_the_parameters_it_says(name):
    for settings in EXPERIMENTS[name].settings:
        for one in settings.get("models", [settings]):
            one = settings | one
            n = count_parameters(make_model(final(one)))
            assert n == definitions.parameters(final(one), one["widths"])
            assert abs(n / one.get("size", n) - 1) <= TOLERANCE, one


@pytest.mark.parametrize("name", REAL)
def test_no_run_appears_twice(name):
    experiment = EXPERIMENTS[name]
    keys = [one["run"] for one in engine.tuning_tasks(experiment)]
    for settings in experiment.settings:
        for lr in experiment.rates(settings) or (None,):
            tuned = experiment.tuned(settings, lr)
            runs = (engine.planned("result", tuned, seed) for seed in range(experiment.seeds))
            keys += [one["run"] for one in runs]
    assert len(set(keys)) == len(keys)
    texts = [json.dumps(settings, sort_keys=True) for settings in experiment.settings]
    assert len(set(texts)) == len(texts)
    assert json.loads(json.dumps(experiment.settings)) == experiment.settings, "else keys change"


def kinds(experiment):
    """One of every kind of setting: of the networks that differ in more than numbers."""
    found = {}
    for settings in experiment.settings:
        for one in settings.get("models", [settings]):
            one = {k: v for k, v in (settings | one).items() if k not in ("models", "measure")}
            what = ("model", "kinds", "optimizer", "dtype", "activation", "batch_size")
            key = frozenset(one), *(str(one.get(name)) for name in what)
            found.setdefault(key, one)
    return list(found.values())


@pytest.mark.parametrize("name", REAL)
def test_every_kind_of_setting_can_be_trained(name):
    for settings in kinds(EXPERIMENTS[name]):
        few = 4 if settings.get("extend_grid") else 2
        few = {"optimizer": "adam", "lr": 0.001} | settings | {"steps": few, "samples": 50}
        few |= {"task": "image-8"} if "frequencies" in few else {}
        if few["optimizer"] == "lbfgs":
            few["lr"] = 1.0
        found = run_trial(few, 0)
        assert found["complete"] and not found["diverged"] and found["loss"] < 100
        assert found["parameters"] == count_parameters(make_model(final(few)))


def test_seconds_of_steps():
    (settings, *_) = [s for s in EXPERIMENTS["tanh"].settings if "measure" in s]
    found = trials.time_steps(settings, rounds=1)["step_seconds"]
    assert len(found) == len(settings["models"]) and all(seconds > 0 for seconds in found)
    with pytest.raises(ValueError, match="measured seconds"):
        engine.rerun(engine.planned("result", settings, 0))
