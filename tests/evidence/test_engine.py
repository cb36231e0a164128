"""The engine of the experiments: what is planned, what is made, where, and what is refused."""

import os
import subprocess

import pytest
import torch
from helpers import needs
from running import FIXED, KAN, MLP, TINY, command, of, rows

import evidence
from evidence import EXPERIMENTS, Experiment, engine
from evidence.design import RATES, TUNING_SEEDS, planned

distributed = pytest.importorskip("distributed")
pytest.importorskip("filelock")

N_RATES = len(RATES["adam"])
KEYS = 2 * N_RATES * 2 + 2 * 2  # settings, rates and seeds that tune; settings and seeds that count


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The command line knows TINY."""
    monkeypatch.setitem(EXPERIMENTS, "tiny", TINY)


@pytest.fixture(scope="module")
def cluster():
    """A cluster of the kind that --scheduler is for."""
    one_worker = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    one_worker |= {"memory_limit": None, "silence_logs": "CRITICAL"}
    with distributed.LocalCluster(**one_worker) as cluster:
        yield cluster


# What is planned


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
    assert [job["seed"] for job in tuning[:2]] == list(TUNING_SEEDS)
    of_mlp = [job for job in tuning if job["settings"]["family"] == "MLP"]
    assert len(of_mlp) == N_RATES * 2 and all(job["settings"]["steps"] == 1 for job in tuning)
    products = dict.fromkeys(RATES["adam"], 1.0)
    for job in of_mlp:
        assert engine.known(TINY, table, 2) == tuning
        table.append(made_here.runs[job["run"]], {"commit": "?"})
        products[job["settings"]["lr"]] *= made_here.runs[job["run"]]["loss"]
    tuned = MLP | {"lr": min(products, key=products.get)}
    assert engine.known(TINY, table, 2) == tuning + [planned("result", tuned, s) for s in (0, 1)]


def test_the_cost_of_a_run():
    costs = [TINY.cost(MLP | {"optimizer": name}) for name in ("adam", "lbfgs", "lm")]
    assert costs == [4, 4 * 25, 4 * 10]
    (finale,) = [s for s in EXPERIMENTS["cold-case-finale"].settings if "models" in s]
    costs = [EXPERIMENTS[name].cost(EXPERIMENTS[name].settings[0]) for name in ("recovery", "pace")]
    assert costs[0] == 60 and costs[1] == 5 * 17 * len(EXPERIMENTS["pace"].settings[0]["models"])
    assert EXPERIMENTS["cold-case-finale"].cost(finale) == 5 * 17 * len(finale["models"])
    steps = {"optimizer": "adam", "steps": 1000, "then": 100}
    assert EXPERIMENTS["equations"].cost(steps) == 2000


# What is made, and where


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


def test_one_process_writes_at_a_time(tmp_path):
    with (
        engine.locked(engine.path_of(TINY, tmp_path)),
        pytest.raises(evidence.ResultsError, match="is being written by another process"),
    ):
        engine.run(TINY, folder=tmp_path)


def test_processes_have_their_environment_and_this_one_its_own(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = dict(os.environ)
    with engine.workers(count=1) as executor:
        with engine._starting():
            asked = [executor.submit(os.getenv, name) for name in engine.ENVIRONMENT]
        assert dict(os.environ) == before
        assert [future.result() for future in asked] == [*engine.ENVIRONMENT.values()]


def test_a_run_that_fails_leaves_the_others(cluster, tmp_path, capsys, monkeypatch):
    experiment = of(FIXED, FIXED | {"model": "transformer"}, seeds=2)
    monkeypatch.setitem(EXPERIMENTS, "tiny", experiment)
    assert command(tmp_path, "run", "tiny", "--scheduler", cluster.scheduler_address) == 1
    err = capsys.readouterr().err
    assert "2 runs failed, the first with: ValueError: model='transformer' is no kind of" in err
    assert len(engine.table_of(experiment, tmp_path).runs) == 2


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


# What is refused


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("run tiny --seeds 3 --device nonsense", "--device nonsense: PyTorch cannot train there"),
        ("verify tiny --device cuda:77", "--device cuda:77: PyTorch cannot train there"),
        ("run tiny --seeds 3 --scheduler tcp://127.0.0.1:1", "127.0.0.1:1: no Dask scheduler"),
        ("run tinny", "name='tinny'; expected one of functions-1d, "),
        ("--folder nowhere verify", "nowhere holds no tables"),
        ("--folder nowhere verify tiny", "no runs yet; `python -m evidence run tiny`"),
        ("--folder nowhere table tiny", "expected one of the stored results"),
    ],
)
def test_refused(table, capsys, monkeypatch, arguments, message):
    monkeypatch.setattr(engine, "WAIT", 0.5)
    before = table.path.read_bytes()
    assert command(table.path.parent, *arguments.split()) == 1
    assert message in capsys.readouterr().err and table.path.read_bytes() == before


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


# What is shown


def test_list_and_table(table, capsys):
    assert command(table.path.parent, "table", "tiny") == 0
    header, mlp, kan, *_ = capsys.readouterr().out.splitlines()
    assert header.endswith("diverged  seconds") and "NaN" not in mlp
    assert "MLP" in mlp and "KAN" in kan
    assert command(table.path.parent, "list") == 0
    out = capsys.readouterr().out
    assert all(f"{name}: {design.question}" in out for name, design in EXPERIMENTS.items())
    assert f"2 settings, 2 seeds, {KEYS} runs with tuning (stored)" in out
    assert "(0 stored)" in out
