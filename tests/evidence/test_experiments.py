"""The engine of the experiments: killed and resumed, on clusters, verified; and what it trains."""

import copy
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
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import needs
from running import Running, change_row, command, rows, without_times
from small_disk import small_disk

import evidence
from evidence import EXPERIMENTS, Experiment, engine, make_data, make_model
from evidence.definitions import RATES, TUNING_SEEDS, evaluations, parameters, planned
from evidence.runs import contest_run, trials
from kanbook import tasks

distributed = pytest.importorskip("distributed")
pytest.importorskip("filelock")

SINE = {"task": "sine", "optimizer": "adam", "steps": 4, "dtype": "float32"}
MLP = SINE | {"family": "MLP", "model": "mlp", "widths": [1, 3, 1]}
KAN = SINE | {"family": "KAN", "model": "kan", "widths": [1, 1], "grid_size": 3, "degree": 3}
FIXED = MLP | {"lr": 0.01}  # nothing to tune


def of(*settings, seeds=1, **options):
    """An experiment with these settings."""
    return Experiment("tiny", "Does it run?", (1,), lambda: settings, seeds=seeds, **options)


TINY = of(MLP, KAN, seeds=2)
N_RATES = len(RATES["adam"])
KEYS = 2 * N_RATES * 2 + 2 * 2  # settings, rates and seeds that tune; settings and seeds that count
# A cluster of the kind that --scheduler is for.
ONE_WORKER = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
ONE_WORKER |= {"memory_limit": None, "silence_logs": "CRITICAL"}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The command line knows TINY."""
    monkeypatch.setitem(EXPERIMENTS, "tiny", TINY)


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(**ONE_WORKER) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def made_here(tmp_path_factory):
    """TINY's table, made in this process, one run after the other."""
    table = engine.table_of(TINY, tmp_path_factory.mktemp("here"))
    while todo := engine.missing(engine.known(TINY, table, TINY.seeds), table):
        for one in todo:
            table.append(*engine.perform(one))
    return table


@pytest.fixture
def table(made_here, tmp_path):
    """A copy of it, to spoil."""
    (tmp_path / "tiny.jsonl").write_bytes(made_here.path.read_bytes())
    return engine.table_of(TINY, tmp_path)


# On a cluster, interrupted and resumed


def test_on_a_cluster_the_rows_are_the_same(cluster, made_here, tmp_path, capsys):
    arguments = ["run", "tiny", "--scheduler", cluster.scheduler_address]
    assert command(tmp_path, *arguments) == 0
    table = engine.table_of(TINY, tmp_path)
    assert len(table.runs) == KEYS == TINY.total() and rows(table) == rows(made_here)
    out, err = capsys.readouterr()
    assert out == f"{table.path}: {KEYS} runs\n"
    assert f", 0 of {KEYS} runs" in err and err.endswith(f" 00:00 left, {KEYS} of {KEYS} runs\n")
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


SLOW = MLP | {"steps": 200}  # about 0.1 seconds
SLOW_TINY = of(SLOW, seeds=9, tuning=1)
DEFINITION = f'Experiment("tiny", "?", (1,), lambda: [{SLOW!r}], seeds=9, tuning=1)'


@pytest.fixture
def after_the_first(monkeypatch):
    """Calls a function once one run is stored."""
    append = evidence.Table.append

    def call(function):
        def appended(table, *made):
            append(table, *made)
            if len(table.runs) == 1:
                function()

        monkeypatch.setattr(evidence.Table, "append", appended)

    return call


def test_interrupted_by_ctrl_c_and_killed_nothing_is_lost(cluster, tmp_path):
    # On processes of its own: Ctrl+C in a terminal, which all of them get.
    running = Running(DEFINITION, tmp_path, "--processes", "1")
    children = running.wait_for(2)
    assert children
    with pytest.raises(evidence.ResultsError, match="is being written by another process"):
        engine.run(SLOW_TINY, folder=tmp_path)
    err, kept = running.end(signal.SIGINT, group=True, children=children)
    assert "interrupted; what was made is stored" in err and "Traceback" not in err
    assert kept.count(b'"stage"') >= 2

    # kill -9 on a cluster, at a moment that nobody chose; of its own: test_contest_run.py.
    running = Running(DEFINITION, tmp_path, "--scheduler", cluster.scheduler_address)
    running.wait_for(8)
    time.sleep(random.Random(8).random() / 5)
    _, kept = running.end(signal.SIGKILL, kept)

    table = engine.run(SLOW_TINY, folder=tmp_path, scheduler=cluster.scheduler_address)
    content = table.path.read_bytes()
    assert content.startswith(kept), "nothing stored is made again"
    again = engine.table_of(SLOW_TINY, tmp_path)
    wanted = engine.known(SLOW_TINY, again, 9)
    assert {one["run"] for one in wanted} == set(again.runs)
    assert content.count(b'"stage"') == N_RATES * 2 + 9 == len(again.runs)
    one = again.runs[wanted[-1]["run"]]  # made after all of that
    assert without_times(engine.perform(wanted[-1])[0]) == without_times(one)


def test_a_worker_that_dies_has_its_run_repeated(cluster, tmp_path, after_the_first):
    long = FIXED | {"steps": 1500}
    (worker,) = cluster.workers.values()
    pid = worker.pid  # the second run is in the middle, or about to be
    after_the_first(lambda: threading.Timer(0.1, os.kill, (pid, signal.SIGKILL)).start())
    table = engine.run(of(FIXED, long), folder=tmp_path, scheduler=cluster.scheduler_address)
    assert worker.pid != pid, "the worker did not die"
    short, whole = table.runs.values()
    assert whole["settings"]["steps"] == 1500 and whole["complete"] and short["complete"]
    here, _ = engine.perform(planned("result", long, 0))
    assert without_times(whole) == without_times(here)


def test_a_process_that_dies_here(tmp_path, after_the_first):
    experiment, others = of(FIXED, seeds=60), multiprocessing.active_children()

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
    experiment = of(FIXED | {"steps": 300}, seeds=5)
    with distributed.LocalCluster(**ONE_WORKER, processes=False, protocol="tcp") as cluster:
        closing = threading.Thread(target=cluster.close)
        after_the_first(closing.start)
        with pytest.raises(engine.EngineError, match="the Dask scheduler is gone"):
            engine.run(experiment, folder=tmp_path, scheduler=cluster.scheduler_address)
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
    experiment = of(FIXED, FIXED | {"model": "transformer"}, seeds=2)
    monkeypatch.setitem(EXPERIMENTS, "tiny", experiment)
    assert command(tmp_path, "run", "tiny", "--scheduler", cluster.scheduler_address) == 1
    err = capsys.readouterr().err
    assert "2 runs failed, the first with: ValueError: model='transformer' is no kind of" in err
    assert len(engine.table_of(experiment, tmp_path).runs) == 2


def test_no_space_in_the_middle(cluster, made_here, tmp_path, capsys, monkeypatch):
    arguments = [tmp_path, "run", "tiny", "--scheduler", cluster.scheduler_address]
    with monkeypatch.context() as patch:
        patch.setattr(evidence.table, "open", small_disk(3000), raising=False)
        assert command(*arguments) == 1
    assert "cannot be written: File too large" in capsys.readouterr().err
    kept = (tmp_path / "tiny.jsonl").read_bytes()
    assert kept.endswith(b"\n") and 0 < len(engine.table_of(TINY, tmp_path).runs) < KEYS
    assert command(*arguments) == 0 and (tmp_path / "tiny.jsonl").read_bytes().startswith(kept)
    assert rows(engine.table_of(TINY, tmp_path)) == rows(made_here)


@needs("git")
def test_the_commit_of_the_code(tmp_path, monkeypatch):
    for package in ("kanbook", "evidence"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    monkeypatch.setattr(engine, "FOLDER", tmp_path / "evidence" / "rows")

    def git(*arguments):
        command = ["git", "-C", tmp_path, "-c", "user.name=A", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    git("commit", "--allow-empty", "--message=somebody else's")
    assert engine.commit() == "unknown", "the repository is not that of the package"
    git("add", "kanbook", "evidence")
    git("commit", "--message=both packages")
    (tmp_path / "evidence" / "rows").mkdir()
    (tmp_path / "evidence" / "rows" / "tiny.jsonl").touch()
    (tmp_path / "notes").touch()
    assert engine.commit() == git("rev-parse", "HEAD"), "only the code counts"
    (tmp_path / "kanbook" / "new.py").touch()
    assert engine.commit() == git("rev-parse", "HEAD") + "+"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("run tiny --seeds 3 --device nonsense", "--device nonsense: PyTorch cannot train there"),
        ("run tiny --seeds 3 --device meta", "--device meta: PyTorch cannot train there"),
        ("verify tiny --device cuda:77", "--device cuda:77: PyTorch cannot train there"),
        ("run tiny --seeds 3 --scheduler tcp://127.0.0.1:1", "127.0.0.1:1: no Dask scheduler"),
        ("run tiny --seeds 3 --scheduler nonsense", "--scheduler nonsense: no Dask scheduler"),
        ("run tinny", "name='tinny'; expected one of functions-1d, "),
        ("--folder nowhere verify", "nowhere holds no tables"),
        ("--folder nowhere verify tiny", "no runs yet; `python -m evidence run tiny`"),
        ("--folder nowhere table tiny", "expected one of the stored results"),
        ("run tiny --seeds 0", "0 is not a whole number from 1 up"),
        ("verify tiny --seconds nan", "nan is not a positive number of seconds"),
    ],
)
def test_refused(table, capsys, monkeypatch, arguments, message):
    assert engine.WAIT <= 10
    monkeypatch.setattr(engine, "WAIT", 0.5)
    before = table.path.read_bytes()
    try:
        assert command(table.path.parent, *arguments.split()) == 1
    except SystemExit as usage:
        assert usage.code == 2
    assert message in capsys.readouterr().err and table.path.read_bytes() == before


@pytest.mark.parametrize("module", ["distributed", "filelock"])
def test_what_is_not_installed_is_named(tmp_path, capsys, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert command(tmp_path, "run", "tiny", "--scheduler", "tcp://127.0.0.1:1") == 1
    assert f"{module} is not installed; run `pip install {module}`" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["run", "verify", "table"])
def test_a_table_that_does_not_fit_is_left_as_it_is(table, capsys, monkeypatch, what):
    def refused(message, experiment=TINY):
        monkeypatch.setitem(EXPERIMENTS, "tiny", experiment)
        before = table.path.read_bytes()
        assert command(table.path.parent, what, "tiny") == 1
        assert message in capsys.readouterr().err and table.path.read_bytes() == before

    if what != "table":  # which shows whatever there is
        refused("holds version 1 of 'tiny' (format 2), but this is", of(MLP, KAN, version=2))
        refused("has settings that 'tiny' does not have", of(MLP, seeds=2))
        refused("has settings that 'tiny' does not have", of(MLP, KAN, seeds=2, tuning=0.5))
        with monkeypatch.context() as patch:  # by another rule, other learning rates would count
            patch.setattr(Experiment, "choose", lambda self, settings, losses: min(losses))
            refused("has settings that 'tiny' does not have")
    lines = table.path.read_bytes().splitlines(keepends=True)
    table.path.write_bytes(b"".join([*lines[:5], b"=======\n", *lines[6:]]))
    refused(f"{table.path}: line 6 ")


def test_a_folder_that_cannot_be_written(made_here, capsys):
    user, (run, *_) = os.geteuid(), made_here.runs.values()
    denied = "cannot be written: Permission denied"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tiny.jsonl")
        path.write_bytes(made_here.path.read_bytes())
        path.chmod(0o444)
        os.chmod(folder, 0o555)
        if user == 0:  # root may write everywhere
            os.seteuid(65534)
        try:
            assert command(folder, "run", "tiny", "--seeds", "3") == 1
            assert command(Path(folder, "new"), "run", "tiny") == 1
            with pytest.raises(evidence.ResultsError, match=denied):
                engine.table_of(TINY, folder).append(run, {})
        finally:
            os.seteuid(user)
            os.chmod(folder, 0o755)
        assert capsys.readouterr().err.count(denied) == 2
        assert path.read_bytes() == made_here.path.read_bytes()


@pytest.mark.parametrize(
    "names, change",
    [
        ("loss", lambda run: run.update(loss=run["loss"] * 1.01)),
        ("loss", lambda run: run.update(loss=None)),
        ("test_loss", lambda run: run.update(test_loss=run["test_loss"] * 3)),
        ("curve: loss", lambda run: run["curve"]["loss"].__setitem__(0, 0.123)),
        ("curve: loss", lambda run: run["curve"]["loss"].__setitem__(-1, None)),
        ("parameters, evaluations", lambda run: run.update(evaluations=5, parameters=1)),
    ],
)
def test_what_changed_is_named(table, capsys, monkeypatch, names, change):
    key = change_row(table, change)
    differs = "loss" in names  # else it agrees all the same
    if names != "test_loss":  # with it all rows are made again, else this one
        only = engine.table_of(TINY, table.path.parent).runs[key]
        monkeypatch.setattr(engine, "sample", lambda *args, **options: [only])
    assert command(table.path.parent, "verify", "tiny") == differs
    _, *others, line = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{'DIFFERS' if differs else 'agrees'}: run {key},")
    assert line.endswith(f"not equal: {names}")
    assert len(others) == (KEYS - 1 if names == "test_loss" else 0)
    assert all(x.startswith("agrees: ") and x.endswith("to the last digit") for x in others)


def test_verify_some_rows(table, capsys, monkeypatch):
    def lines(*arguments):
        assert command(table.path.parent, "verify", "tiny", "--rows", *arguments) == 0
        return capsys.readouterr().out.splitlines()[1:]

    assert len(lines("3")) == 3 and len(lines("999")) == KEYS
    assert lines("3") == lines("3")
    key = change_row(table, lambda run: run.update(seconds=1e-6), index=10)
    (line,) = lines("1", "--cheapest")
    assert f"run {key}," in line
    monkeypatch.setattr(engine, "FOLDER", table.path.parent)
    assert evidence.check("tiny", key)["identical"]
    with pytest.raises(ValueError, match=f"run='x'; expected one of the {KEYS} stored runs"):
        evidence.check("tiny", "x")


def test_verify_the_beginning_of_a_long_run(tmp_path, capsys, monkeypatch):
    long = FIXED | {"steps": 100}
    stored, how = engine.perform(planned("result", long, 0))
    found = engine.rerun(stored, seconds=1e-9)
    first = {"steps": 1, "early": 0, "points": 1, "changed": [], "identical": True}
    assert found == first | {"end": {"loss": stored["curve"]["loss"][0]}}
    stored["curve"]["loss"][0] *= 1.1
    assert engine.rerun(stored, seconds=1e-9)["early"] > 0.05
    monkeypatch.setitem(EXPERIMENTS, "tiny", of(long))
    engine.table_of(of(long), tmp_path).append(stored, how)
    assert command(tmp_path, "verify", "tiny", "--seconds", "1e-9") == 1
    assert ", 1 of 100 steps: " in capsys.readouterr().out


def test_the_beginning_ends_where_the_loss_leaps():
    stored, _ = engine.perform(planned("result", FIXED | {"steps": 30, "lr": 100.0}, 0))
    losses = stored["curve"]["loss"]
    assert losses[1] > 2 * losses[0]
    losses[2] *= 1.1
    assert engine.rerun(stored)["early"] == 0
    losses[1] *= 1.1
    assert engine.rerun(stored)["early"] > 0.05


def test_a_stored_divergence_that_does_not_happen_again(table):
    stored, _ = engine.perform(planned("result", FIXED | {"steps": 50}, 0))
    stored |= {"loss": None, "diverged": True, "test_loss": None}
    stored["curve"] = {name: values[:3] for name, values in stored["curve"].items()}
    table.runs = {stored["run"]: stored}
    for seconds in (math.inf, 1e-9):
        found = engine.rerun(stored, seconds=seconds)
        assert found["early"] == 0
        ended = found["steps"] > 3  # later than the stored one diverged
        good, why = engine.judge(table, stored, found)
        assert good != ended and ("inf to inf allowed" in why) == ended


SPREAD = [1e-3, 2e-3, 5e-4]
OFF = "first 30 evaluations 1.1e-03 off, 1.0e-03 allowed"
SEEDS = "1.00e-04 to 1.00e-02 allowed by "


@pytest.mark.parametrize(
    "losses, end, found, good, why",
    [
        # Long trainings are chaotic: a rerun elsewhere was 69 % off at the end, equal at first.
        (SPREAD, {"loss": 1.69e-3, "test_loss": 1e-3}, {}, True, SEEDS),
        *((SPREAD, {"loss": loss}, {}, True, SEEDS) for loss in (1e-3 / 1.69, 9.9e-3, 1.1e-4)),
        *((SPREAD, {"loss": loss}, {}, False, SEEDS) for loss in (1.01e-2, 9e-5)),
        (SPREAD, {"loss": 9.9e-3}, {"points": 2}, True, SEEDS),  # time ran out
        (SPREAD, {"loss": 1.01e-2}, {"points": 2}, False, SEEDS),
        (SPREAD, {"loss": 1e-3}, {"early": 0.0011}, False, OFF),  # whatever the end
        (SPREAD, {"loss": 1.69e-3}, {"changed": ["loss"]}, False, "allowed by an equal curve"),
        *(([1e-3], {"test_loss": loss}, {}, False, SEEDS) for loss in (None, math.nan)),
        ([1e-3], {"test_loss": 9e-3}, {}, True, SEEDS),
    ],
)
def test_the_end_is_judged_by_the_spread_of_the_seeds(losses, end, found, good, why):
    table = evidence.Table("nowhere", "tiny", 1)
    for seed, loss in enumerate(losses):
        run = planned("result", FIXED, seed) | {"loss": loss, "test_loss": loss}
        table.runs[run["run"]] = run | {"curve": {"loss": [1.0, loss]}}
    stored = next(iter(table.runs.values()))
    table.runs["other settings"] = stored | {"settings": KAN, "loss": 1e9, "test_loss": 0}
    again = {"early": 1e-9, "points": None, "changed": ["curve: loss", "loss"], "identical": False}
    agrees, said = engine.judge(table, stored, again | {"end": end} | found)
    assert agrees == good and why in said


def test_verify_every_stored_table(table, capsys, monkeypatch):
    other = Experiment("other", "?", (1,), TINY.make_settings, seeds=2)
    monkeypatch.setitem(EXPERIMENTS, "other", other)
    text = table.path.read_text().replace('"experiment": "tiny"', '"experiment": "other"')
    table.path.with_stem("other").write_text(text)
    change_row(table, lambda run: run.update(loss=9.0, seconds=0))
    assert command(table.path.parent, "verify", "--rows", "1", "--cheapest") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line[:7] for line in lines] == ["other:", "agrees:", "tiny:", "DIFFERS"]


def test_list_and_table(table, capsys):
    assert command(table.path.parent, "table", "tiny") == 0
    header, mlp, kan, *_ = capsys.readouterr().out.splitlines()
    assert header.endswith("diverged  seconds") and "NaN" not in mlp
    assert "MLP" in mlp and "KAN" in kan
    assert command(table.path.parent, "list") == 0
    out = capsys.readouterr().out
    assert all(f"{name}: {one.question}" in out for name, one in EXPERIMENTS.items())
    assert f"2 settings, 2 seeds, {KEYS} runs with tuning (stored)" in out
    assert "(0 stored)" in out


def test_a_reader_that_leaves_early_is_no_error():
    command = [sys.executable, "-m", "evidence", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()  # before the first word
        assert process.stderr.read() == b""
    assert process.returncode == 1


# One run

TRIALS = [
    FIXED,
    FIXED | {"task": "deep", "widths": [4, 3, 1]}
    | {"optimizer": "sgd", "lr": 0.1, "steps": 6, "batch_size": 64},
    KAN | {"lr": 0.01, "update_grid": 1, "extend_grid": [[0.5, 6]], "watch": True},
    KAN | {"lr": 1.0, "optimizer": "lbfgs", "base": "silu", "spline_weight": True},
    KAN | {"lr": None, "optimizer": "lm", "update_before": True, "extend_grid": [[0.5, 6]]},
]  # fmt: skip


def test_a_run_depends_on_settings_and_seed_only():
    def around():  # what a run must leave alone
        generators = torch.get_rng_state().tolist(), random.getstate()
        numbers = np.random.get_state()[1].tolist()  # noqa: NPY002
        return copy.deepcopy(TRIALS), generators, numbers, torch.get_num_threads()

    first = [trials.run_trial(settings, 3) for settings in TRIALS]
    torch.manual_seed(99)
    torch.set_default_dtype(torch.float64)
    before = around()
    try:
        second = [trials.run_trial(settings, 3) for settings in reversed(TRIALS)][::-1]
    finally:
        torch.set_default_dtype(torch.float32)
    assert [*map(without_times, first)] == [*map(without_times, second)] and around() == before
    other = [trials.run_trial(settings, 4) for settings in TRIALS]
    curves = [[run["curve"]["loss"] for run in runs] for runs in (first, other)]
    assert all(a != b for a, b in zip(*curves, strict=True)), "one optimum may end all seeds"


def test_what_settings_stand_for():
    at = trials.fit_options(SINE | {"lr": 1, "steps": 2000, "update_grid": 10, "restart": 10})
    assert at["restart_at"] == at["update_grid_at"] == list(range(101, 1002, 100)), "a control"
    once = trials.fit_options(SINE | {"lr": 1, "steps": 7, "restart": 1, "extend_grid": [[0.5, 9]]})
    assert once["restart_at"] == [*once["extend_grid_at"]] == [5]
    assert trials.spread(1, 8) == {1} and trials.spread(5, 60) == {1, 2, 3, 4, 5}
    grows = {"lr": None, "steps": 6, "extend_grid": [[0.5, 9]], "update_before": True}
    least_squares = trials.fit_options(SINE | grows | {"optimizer": "lm"})
    assert least_squares["update_grid_at"] == [*least_squares["extend_grid_at"]] == [4]
    assert "schedule" not in least_squares
    chosen = sorted(trials.spread(20_000, 60))
    assert chosen[0] == 1 and chosen[-1] == 20_000 and len(chosen) <= 60
    assert [evaluations(MLP | {"optimizer": name}) for name in ("adam", "lbfgs")] == [4, 100]


def test_what_a_run_measures():
    found = trials.run_trial(TRIALS[1], 0)
    assert found["parameters"] == 4 * 3 + 3 + 3 + 1 and found["evaluations"] == 6
    assert found["curve"]["step"] == [1, 2, 3, 4, 5, 6] == found["curve"]["evaluations"]
    assert found["complete"] and not found["diverged"] and found["seconds"] > 0
    (inputs, targets), test = make_data(TRIALS[1], 0)
    model = make_model(TRIALS[1], generator=torch.Generator().manual_seed(0))
    whole = (model(inputs) - targets).square().mean().item()
    assert found["curve"]["loss"][0] == pytest.approx(whole, rel=0.5), "that of a mini-batch"
    assert len(test[0]) == 10_000 and found["test_loss"] > 0
    picture = {"task": "image-8", "dtype": "float32", "frequencies": 2}
    assert make_data(picture, 0)[1] is None
    _, (inputs, targets) = make_data(picture | {"test_size": 16}, 0)
    assert inputs.shape == (256, 8)
    assert torch.equal(targets, tasks.image(16, dtype=torch.float32)[1])


@pytest.mark.parametrize("tanh", ["edge", "sum", None])
def test_a_tanh_kan_takes_its_tanh_where_the_settings_say(tanh):
    settings = SINE | {"model": "tanh", "widths": [1, 6, 4, 1], "bias": True, "tanh": tanh}
    model = make_model(settings, generator=0)
    assert [layer.tanh for layer in model] == [tanh, tanh, "edge" if tanh == "edge" else None]
    assert make_model(SINE | {"model": "tanh", "widths": [1, 1]})[0].tanh == "edge"
    assert parameters(settings, settings["widths"]) == trials.count_parameters(model)


def test_what_is_inside_a_network():
    probes = trials.run_trial(TRIALS[2], 0)["probes"]
    assert [probe["step"] for probe in probes] == [1, 4]
    model = make_model(KAN | {"widths": [1, 2, 1]}, generator=torch.Generator())
    inputs = torch.tensor([[-0.5], [0.0], [2.0], [3.0]])
    found = trials.look_into(model, inputs, torch.zeros(4, 1))
    assert found["outside"][0] == 0.5 and found["dead"] == [0, 0] and found["gradient"][0] > 0
    assert trials.look_into(model, inputs + 100, torch.zeros(4, 1))["dead"][0] == 1
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_run_that_diverges_is_kept_and_marked(tmp_path):
    wild = MLP | {"optimizer": "sgd", "lr": 1e20, "steps": 50}
    run, how = engine.perform(planned("result", wild, 0))  # a warning would be an error
    assert run["diverged"] and run["loss"] is None and run["test_loss"] is None
    assert run["complete"] and run["curve"]["step"][-1] < 50
    table = engine.table_of(of(wild), tmp_path)
    table.append(run, how)
    row = evidence.load("tiny", folder=tmp_path).iloc[0]
    assert row["loss"] == row["test_loss"] == math.inf and row["diverged"]
    assert engine.rerun(table.runs[run["run"]])["identical"]


def test_the_lowest_mean_log_loss_is_chosen():
    rates = RATES["adam"]
    losses = {lr: [1.0, 1.0] for lr in rates}
    losses[rates[2]] = [1e-6, 0.1]  # the lower mean of logarithms,
    losses[rates[3]] = [1e-2, 1e-2]  # the lower mean
    losses[rates[4]] = [1e-30, None]  # best, when it does not diverge
    assert TINY.choose(MLP, losses) == rates[2]
    losses = {lr: [None, None] for lr in rates} | {rates[5]: [1e9, 1e9]}
    assert TINY.choose(MLP, losses) == rates[5]
    assert TINY.choose(MLP, {lr: [None, 0.1] for lr in rates}) == rates[0]


def test_results_wait_for_all_runs_that_tune(made_here, tmp_path):
    table = engine.table_of(TINY, tmp_path)
    tuning = engine.known(TINY, table, 2)
    assert [one["seed"] for one in tuning[:2]] == list(TUNING_SEEDS)
    of_mlp = [one for one in tuning if one["settings"]["family"] == "MLP"]
    assert len(of_mlp) == N_RATES * 2 and all(one["settings"]["steps"] == 1 for one in tuning)
    products = dict.fromkeys(RATES["adam"], 1.0)
    for one in of_mlp:
        assert engine.known(TINY, table, 2) == tuning
        table.append(made_here.runs[one["run"]], {"commit": "?"})
        products[one["settings"]["lr"]] *= made_here.runs[one["run"]]["loss"]
    tuned = MLP | {"lr": min(products, key=products.get)}
    assert engine.known(TINY, table, 2) == tuning + [planned("result", tuned, s) for s in (0, 1)]


# Those of contests are trained in test_contest_run.py, those with a runner of their own in its
# test; the others train nothing, or no network of ours.
TRAINED = [name for name, one in EXPERIMENTS.items() if isinstance(one, Experiment)]
TRAINED = [name for name in TRAINED if name != "pace" and "recovery" not in name]
TRAINED = [
    name
    for name in TRAINED
    if EXPERIMENTS[name].settings[0]["task"].partition(":")[0] not in engine.RUNNERS
]


# What is a number, or says who it is.
NAMES = {"contestant", "depth", "family", "knob", "lr", "part", "size", "steps", "suspect", "task"}


def test_every_kind_of_setting_can_be_trained():
    kinds = {}  # of networks that differ in more than numbers, from one experiment or another
    for settings in (settings for name in TRAINED for settings in EXPERIMENTS[name].settings):
        for one in settings.get("models", [settings]):
            one = {k: v for k, v in (settings | one).items() if k not in ("models", "measure")}
            what = ("model", "kinds", "optimizer", "dtype", "activation", "start")
            kinds.setdefault((frozenset(one) - NAMES, *(str(one.get(name)) for name in what)), one)
    for settings in kinds.values():
        grids = settings.get("extend_grid")
        few = {"optimizer": "adam", "lr": 0.001} | settings | {"samples": 50}
        few |= {"positions": 50} if "positions" in few else {}
        small = "slices-8" if "slices" in few else "image-8"
        few |= {"steps": 4 if grids else 2}
        few |= {"task": small} if "frequencies" in few and ":" not in few["task"] else {}
        few |= {"lr": {"lbfgs": 1.0, "lm": None}.get(few["optimizer"], few["lr"])}
        found = engine.train({"stage": "result", "settings": few, "seed": 0})
        assert found["complete"] and not found["diverged"] and found["loss"] < 100
        few |= {"grid_size": grids[-1][1]} if grids else {}
        assert found["parameters"] == parameters(few, few["widths"])


def test_seconds_of_steps():
    (settings, *_) = [s for s in EXPERIMENTS["cold-case-finale"].settings if "measure" in s]
    few = settings | {"models": settings["models"][::6]}
    found = contest_run.time_steps(few, rounds=1)["step_seconds"]
    assert len(found) == len(few["models"]) and all(seconds > 0 for seconds in found)
    with pytest.raises(ValueError, match="measured seconds"):
        engine.rerun(planned("result", settings, 0))
