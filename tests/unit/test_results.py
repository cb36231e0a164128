"""Files of results: what is stored, what is refused, and what a table looks like."""

import itertools
import json
import math
import os
import tempfile
from pathlib import Path

import pandas
import pytest
from small_disk import small_disk

from kanbook import results
from kanbook.results import ResultsError, Table, compare, load, loss_at, names, summarize

HOW = {"commit": "0" * 40, "date": "2026-01-01"}


def made(seed, stage="result", loss=0.5, **settings):
    """A run as the engine makes it."""
    settings = {"task": "sine", "widths": [1, 4, 1], "lr": 0.1} | settings
    run = {"run": results.key(stage, settings, seed), "stage": stage}
    run |= {"settings": settings, "seed": seed, "parameters": 13, "evaluations": 2, "seconds": 0.1}
    run |= {"loss": loss, "diverged": loss is None, "complete": True}
    return run | {"curve": {"step": [1, 2], "loss": [1.0, loss]}, "test_loss": loss}


def stored(folder, runs, name="tiny"):
    table = Table(Path(folder) / f"{name}.jsonl", name, 1)
    for run in runs:
        table.append(run, HOW)
    return table


@pytest.fixture
def path(tmp_path):
    return stored(tmp_path, [made(seed) for seed in range(3)]).path


def test_what_was_stored_is_read(tmp_path):
    table = stored(tmp_path, [made(0), made(1, loss=None)])
    table.append(made(2), HOW | {"commit": "1" * 40})
    again = Table(table.path, "tiny", 1)
    assert again.runs == table.runs and again.provenance == table.provenance
    assert [run["seed"] for run in again.runs.values()] == [0, 1, 2]
    assert [again.provenance[run["made"]]["commit"][0] for run in again.runs.values()] == [*"001"]
    lines = table.path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 1 + 2 + 3, "a header, two ways of making runs, three runs"
    assert b"NaN" not in b"".join(lines) and b"Infinity" not in b"".join(lines)
    assert json.loads(lines[0]) == {"experiment": "tiny", "version": 1, "format": 2}


def test_numbers_that_json_lacks_are_not_written(path):
    before = path.read_bytes()
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError):
            Table(path, "tiny", 1).append(made(7, loss=value), HOW)
    assert path.read_bytes() == before


def test_killed_at_any_byte_of_a_line(path):
    """A file that ends anywhere in its last lines is as before them, and goes on from there."""
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(whole) - len(lines[-1]), len(whole)):
        path.write_bytes(whole[:cut])
        table = Table(path, "tiny", 1)
        assert [run["seed"] for run in table.runs.values()] == [0, 1]
        assert path.read_bytes() == whole[:cut], "reading changes nothing"
        table.append(made(2), HOW)
        assert path.read_bytes() == whole


def test_a_torn_line_leaves_nothing_behind_a_shorter_one(path):
    before = path.read_bytes()
    path.write_bytes(before + b'{"run": "' + b"x" * 5000)
    Table(path, "tiny", 1).append(made(3), HOW)
    assert path.read_bytes().startswith(before) and b"x" not in path.read_bytes()[len(before) :]
    assert len(Table(path, "tiny", 1).runs) == 4


def test_killed_at_any_byte_of_the_first_write(path):
    """Header, provenance and the first run are written at once; any part of them is no harm."""
    whole = path.read_bytes()
    first = len(b"".join(whole.splitlines(keepends=True)[:3]))
    for cut in range(first):
        path.write_bytes(whole[:cut])
        table = Table(path, "tiny", 1)
        assert table.runs == {}
        table.append(made(0), HOW)
        assert path.read_bytes() == whole[:first]


def torn_and_ended(lines):
    lines[-1] = lines[-1][: len(lines[-1]) // 2] + b"\n"


def merge_conflict(lines):
    lines.insert(3, b"<<<<<<< HEAD\n")


def no_object(lines):
    lines.insert(3, b'["run"]\n')


def merged_twice(lines):
    lines.append(lines[3])


def no_provenance(lines):
    del lines[1]


def other_seed(lines):
    lines[3] = lines[3].replace(b'"seed": 1', b'"seed": 77')


def two_tables(lines):
    lines.append(lines[0])


def no_header(lines):
    del lines[0]


DAMAGE = {
    torn_and_ended: "line 5 is no JSON object",
    merge_conflict: "line 4 is no JSON object",
    no_object: "line 4 is no JSON object",
    merged_twice: "line 6 repeats the run",
    no_provenance: "line 2 does not say how it was made",
    other_seed: "line 4 is no run under its own key",
    two_tables: "line 6 is no run under its own key",
    no_header: r"holds version None of None .* but this is version 1 of 'tiny'",
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damage_is_named_and_left_as_it_is(path, damage):
    lines = path.read_bytes().splitlines(keepends=True)
    damage(lines)
    path.write_bytes(b"".join(lines))
    with pytest.raises(ResultsError, match=DAMAGE[damage]) as error:
        Table(path, "tiny", 1)
    assert str(path) in str(error.value) and "run" in str(error.value), "what to do"
    if damage is not no_header:
        with pytest.raises(ResultsError, match=DAMAGE[damage]):
            load("tiny", folder=path.parent)
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("name, version", [("tiny", 2), ("other", 1)])
def test_another_experiment_or_version_is_refused(path, name, version):
    expected = f"holds version 1 of 'tiny' .* but this is version {version} of '{name}'"
    with pytest.raises(ResultsError, match=expected):
        Table(path, name, version)


def test_line_ends_of_other_systems_are_read(path):
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(Table(path, "tiny", 1).runs) == 3


# When it cannot be written


@pytest.fixture
def limit(monkeypatch):
    """Lets tables grow to so many bytes only."""
    return lambda n: monkeypatch.setattr(results.table, "open", small_disk(n), raising=False)


@pytest.mark.parametrize("space", [0, 1, 100])
def test_no_space_leaves_the_file_as_it_was(path, limit, space):
    before, table = path.read_bytes(), Table(path, "tiny", 1)
    limit(len(before) + space)
    with pytest.raises(ResultsError, match="cannot be written: File too large; what was stored"):
        table.append(made(3), HOW)
    assert path.read_bytes() == before and len(table.runs) == 3
    limit(10**6)
    table.append(made(3), HOW)  # there is space again
    assert path.read_bytes().startswith(before) and len(Table(path, "tiny", 1).runs) == 4


@pytest.mark.parametrize("space", [0, 100])
def test_no_space_for_the_first_run(tmp_path, limit, space):
    limit(space)
    with pytest.raises(ResultsError, match="cannot be written"):
        stored(tmp_path, [made(0)])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    with tempfile.TemporaryDirectory() as folder:
        path = stored(folder, [made(0)]).path
        before = path.read_bytes()
        path.chmod(0o444)
        os.chmod(folder, 0o555)
        user = os.geteuid()
        if user == 0:  # root may write everywhere
            os.seteuid(65534)
        try:
            with pytest.raises(ResultsError, match="cannot be written: Permission denied"):
                Table(path, "tiny", 1).append(made(1), HOW)
            with pytest.raises(ResultsError, match="cannot be written: Permission denied"):
                stored(folder, [made(0)], name="other")
        finally:
            os.seteuid(user)
            os.chmod(folder, 0o755)
        assert path.read_bytes() == before and len(list(Path(folder).iterdir())) == 1


def test_a_folder_in_place_of_the_file(tmp_path):
    (tmp_path / "tiny.jsonl").mkdir()
    with pytest.raises(ResultsError, match="cannot be read: Is a directory"):
        Table(tmp_path / "tiny.jsonl", "tiny", 1)


# What is loaded


def test_load(tmp_path):
    short = [made(seed, "tuning", lr=lr) for seed in (1000, 1001) for lr in (0.1, 0.2)]
    stored(tmp_path, [*short, made(0, extend_grid=[[0.5, 6]]), made(1, loss=None)])
    frame = load("tiny", folder=tmp_path)
    assert list(frame["seed"]) == [0, 1] and list(frame["loss"]) == [0.5, math.inf]
    assert list(frame["test_loss"]) == [0.5, math.inf] and list(frame["diverged"]) == [False, True]
    assert list(frame["final"]) == [0.5, math.inf]
    assert list(frame["widths"]) == [(1, 4, 1)] * 2 and frame["extend_grid"][0] == ((0.5, 6),)
    assert frame["curve"][0]["step"] == [1, 2] and "settings" not in frame and "stage" not in frame
    assert frame.attrs["provenance"][frame["made"][0]]["commit"] == "0" * 40
    assert frame["loss"].median() == math.inf, "a run that diverged counts"
    tuning = load("tiny", tuning=True, folder=str(tmp_path))
    assert list(tuning["lr"]) == [0.1, 0.2, 0.1, 0.2] and set(tuning["seed"]) == {1000, 1001}
    assert names(tmp_path) == ["tiny"]


def test_the_final_loss_is_that_on_new_samples_where_there_are_any(tmp_path):
    runs = [made(0) | {"test_loss": 0.7}, made(1), made(2, loss=None)]
    del runs[1]["test_loss"]
    measured = made(3, measure="seconds") | {"loss": None}
    del measured["test_loss"], measured["curve"]
    stored(tmp_path, [*runs, measured])
    final = load("tiny", folder=tmp_path)["final"]
    assert list(final[:3]) == [0.7, 0.5, math.inf] and math.isnan(final[3])


@pytest.mark.parametrize("name", ["other", "", None, ["tiny"], "../tiny"])
def test_an_unknown_name_lists_the_known(path, name):
    with pytest.raises(ValueError, match="expected one of the stored results: tiny"):
        load(name, folder=path.parent)


def test_nothing_stored(tmp_path, path):
    with pytest.raises(ValueError, match="expected one of the stored results: none yet"):
        load("tiny", folder=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="tuning=True; .* holds no such runs"):
        load("tiny", tuning=True, folder=path.parent)


def test_summarize(tmp_path):
    losses = [0.3, 0.1, None, 0.4, 0.2]
    runs = [made(seed, loss=loss, size=1) for seed, loss in enumerate(losses)]
    runs += [
        made(seed, size=2, widths=[1, 9, 1], base="silu") | {"test_loss": 3.0} for seed in range(3)
    ]
    measured = made(0, size=3, measure="seconds", models=[{"model": "mlp"}])
    del measured["curve"]
    stored(tmp_path, [*runs, measured])
    summary = summarize(load("tiny", folder=tmp_path))
    columns = ["widths", "size", "parameters", "seeds", "median", "least", "largest", "diverged"]
    assert list(summary) == [*columns[:2], "base", *columns[2:], "seconds"]
    first, second = summary.to_dict("records")
    assert first["widths"] == (1, 4, 1) and second["widths"] == (1, 9, 1)
    assert (first["seeds"], first["diverged"]) == (5, 1)
    assert (first["median"], first["least"], first["largest"]) == (0.3, 0.1, math.inf)
    assert (second["median"], second["seeds"], second["parameters"]) == (3.0, 3, 13)
    train = summarize(load("tiny", folder=tmp_path), loss="loss").to_dict("records")
    assert train[1]["median"] == 0.5


def test_summarize_a_single_setting(path):
    summary = summarize(load("tiny", folder=path.parent))
    assert isinstance(summary, pandas.DataFrame) and len(summary) == 1
    assert summary["seeds"][0] == 3 and summary["median"][0] == 0.5


# What is compared


def test_compare():
    """By hand: pairs 1:2 1:5 1:8, 4:2 4:5 4:8, 6:2 6:5 6:8; of nine, none is left out."""
    found = compare(pandas.Series([4, 1, 6], index=[7, 8, 9]), (2, 5, 8))
    assert (found.ratio, found.won, found.pairs) == (4 / 5, 6, 9)
    assert (found.low, found.high) == (1 / 8, 6 / 2) and not found.separated


@pytest.mark.parametrize("m, n", [(1, 1), (3, 3), (5, 5), (3, 6), (7, 4)])
def test_an_interval_misses_1_by_luck_once_in_20_times_at_most(m, n):
    """All orders of m + n equal runs, as chapter 6 counts them."""
    wins = []
    for places in itertools.combinations(range(m + n), m):
        others = set(range(m + n)) - set(places)
        found = compare([1.5**p for p in places], [1.5**p for p in others])
        assert found.won == sum(a < b for a in places for b in others)
        wins.append((min(found.won, m * n - found.won), found.separated))
    most = max((won for won, apart in wins if apart), default=-1)
    assert all(apart == (won <= most) for won, apart in wins)
    by_luck = [sum(won <= k for won, _ in wins) / len(wins) for k in range(most + 2)]
    assert most <= 0 or by_luck[most] <= 0.05
    assert by_luck[most + 1] > 0.05, "not wider than it must be"
    assert (m, n) != (5, 5) or most == 2
    assert (m, n) != (3, 3) or most == 0


def test_equal_and_diverged_losses_are_compared():
    assert compare([1.0] * 5, [1.0] * 5)[:4] == (1, 1, 1, 0)
    lost = compare([math.inf] * 5, [1, 2, 3, math.inf, math.inf])
    assert lost == (math.inf, 1, math.inf, 0, 25) and not lost.separated
    assert compare([0.0], [math.inf])[:4] == (0, 0, 0, 1)


@pytest.mark.parametrize("bad", [[], [1, -1], [math.nan], [[1.0]], 3.0])
def test_losses_that_cannot_be_compared(bad):
    with pytest.raises(ValueError, match=r"^a=.*; expected a list of losses, each 0 or more"):
        compare(bad, [1.0])
    with pytest.raises(ValueError, match=r"^b="):
        compare([1.0], bad)


CURVE = {"step": [1, 10], "evaluations": [2, 20], "seconds": [0.5, 1.5], "loss": [100.0, 1.0]}


def test_loss_at():
    assert math.isclose(loss_at(CURVE, 1.0), 10), "halfway in the logarithms"
    assert math.isclose(loss_at(CURVE, 4, "step"), 100 * 10 ** (-2 / 3))
    assert math.isclose(loss_at(CURVE, 11, by="evaluations"), 10)
    assert [loss_at(CURVE, at) for at in (0, 0.5)] == pytest.approx([100, 100])
    assert [loss_at(CURVE, at) for at in (1.5, 99)] == pytest.approx([1, 1])


@pytest.mark.parametrize("at", [-1, math.nan])
def test_a_point_that_no_curve_has(at):
    with pytest.raises(ValueError, match="at=.*; expected a number of seconds, 0 or more"):
        loss_at(CURVE, at)
    with pytest.raises(ValueError, match="by='loss'; expected one of 'seconds', 'evaluations'"):
        loss_at(CURVE, 1, by="loss")


def test_what_chapters_print():
    """Chapters 6 and 8: ratio and pairs of final losses, and at the seconds of the quicker."""
    image = load("extras").query("task == 'image-32'").groupby("variant")
    for first, second, final, cut in (
        ("+ bias", "minimal", (0.26, 17), (0.37, 17)),
        ("all", "all - base", (1.79, 3), (1.97, 1)),
    ):
        a, b = image.get_group(first), image.get_group(second)
        end = min(a.seconds.median(), b.seconds.median())
        at_end = [[loss_at(curve, end) for curve in of.curve] for of in (a, b)]
        for found, expected in ((compare(a.final, b.final), final), (compare(*at_end), cut)):
            assert (round(found.ratio, 2), found.won) == expected
