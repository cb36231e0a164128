"""The page of results: for contests a table and a figure; rows and provenance folded."""

import dataclasses
import importlib
import math
import re

import pandas
import pytest
import sphinx_build
from bs4 import BeautifulSoup

import evidence
from evidence import EXPERIMENTS, Table, reading, statistics
from evidence.verdicts import comparisons
from notebook_files import ROOT

HOW = {"command": "python -m evidence run formulas", "commit": "0" * 40}
HOW |= {"date": "2026-01-01", "processor": "a processor", "python": "3.12", "torch": "2.6"}
RATIO = {"axes": 0.3, "generic": 1.0}  # KAN / MLP


def rows(seeds=2, tasks=3):
    """Runs of contests as the engine stores them."""
    for contest in ("parameters", "seconds"):
        for kind, ratio in RATIO.items():
            for task in range(tasks):
                for seed in range(seeds):
                    for family, factor in (("KAN", ratio), ("MLP", 1 + 0.01 * task)):
                        settings = {"task": f"{kind} {task}", "kind": kind, "contest": contest}
                        settings |= {"family": family, "config": 3, "steps": 10}
                        error = 0.1 * factor * (1 + seed)
                        measured = {"validation_error": error, "test_error": error, "p90": error}
                        measured |= {"parameters": 99, "seconds": 1.5, "diverged": False}
                        if (contest, family, task, seed) == ("seconds", "KAN", 0, 0):
                            measured |= {"test_error": None, "diverged": True}
                        key = evidence.key("result", settings, seed)
                        run = {"run": key, "stage": "result", "settings": settings, "seed": seed}
                        yield run | measured


@pytest.fixture
def unread():
    """No rows that were read before, here or afterwards."""
    for cached in (comparisons.rows, comparisons.compared):
        cached.cache_clear()
    yield
    for cached in (comparisons.rows, comparisons.compared):
        cached.cache_clear()


@pytest.fixture
def build(unread, tmp_path, monkeypatch):
    """build(runs): the page of one experiment, its figures, and what Sphinx warned of."""
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    monkeypatch.setattr(reading, "FOLDER", tmp_path)
    experiment = dataclasses.replace(next(iter(EXPERIMENTS.values())), name="formulas")
    monkeypatch.setattr(evidence, "EXPERIMENTS", {"formulas": experiment})

    def build(runs):
        table = Table(tmp_path / "formulas.jsonl", "formulas", 1)
        for run in runs:
            table.append(run, HOW)
        page = "# Results\n\n```{stored-list}\n```\n\n## All\n\n```{stored-results}\n```\n"
        (tmp_path / "index.md").write_text(page, encoding="utf-8")
        extensions = ["myst_nb", "sphinx_design", "bookext"]
        settings = {"myst_enable_extensions": ["colon_fence"]}
        out, said = sphinx_build.build(tmp_path, extensions, **settings)
        return (out / "index.html").read_text(encoding="utf-8"), out, said

    return build


def cells(table):
    """The texts of a table's rows, the head first."""
    return [
        [cell.get_text().strip() for cell in row.select("th, td")] for row in table.select("tr")
    ]


def test_contests_have_a_table_a_figure_and_folded_rows(build):
    html, out, said = build(rows())
    assert not said
    frame = evidence.load("formulas")
    section = BeautifulSoup(html, "html.parser").select_one("#results-formulas")
    planned = next(iter(EXPERIMENTS.values())).total()
    assert f"Not complete: {len(frame)} of {planned:,} runs are made" in section.p.get_text()
    shown, folded = section.select("table.stored-results")
    expected = [["KAN /", "all tasks", "KAN is", "equal", "axes", "generic", "tasks"]]
    for contest, found in statistics.against_rivals(frame).groupby("contest"):
        axes, generic, every = found.itertuples()
        assert every.verdict == "undecided"
        ratio = f"{every.ratio:.2f} [{every.low:.2f}, {every.high:.2f}]"
        classes = [f"{axes.ratio:.2f}", f"{generic.ratio:.2f}"]
        expected.append(["MLP", ratio, "undecided", contest, *classes, "6"])
    assert cells(shown) == expected and expected[1][4] == f"{RATIO['axes']:.2f}"
    assert not shown.find_parent("details") and folded.find_parent("details")
    assert section.select_one("details strong + strong, details em + strong").get_text() == "Open"
    (picture,) = section.select("img")
    assert (out / picture["src"]).read_text(encoding="utf-8").startswith("<svg ")
    table = statistics.medians(frame)
    _, first, *others = cells(folded)
    assert first[:6] == ["parameters", "axes", "axes 0", "KAN", "2", "0.045"]
    assert 1 + len(others) == len(table) == 2 * 6 * 2
    assert "inf" in sum(others, []) and math.isclose(table["median"][0], 0.045)
    assert "Made by" in folded.find_parent("details").get_text()
    assert re.findall(r'<script defer="defer" src="_static/sort-tables.js', html)


def test_a_first_number_is_of_pairs_that_are_equal_in_what_is_set_for_both(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    stored = importlib.import_module("stored")
    runs = [("KAN", 100, 0.1), ("KAN", 200, 0.4), ("MLP", 100, 0.2), ("MLP", 200, 0.2)]
    frame = pandas.DataFrame(
        [
            {"task": "a", "size": size, "family": family, "final": error**2, "stage": "result"}
            | {"test_loss": error**2}
            for family, size, error in runs
        ]
    )
    said = stored._paired(frame)
    assert said == "KAN / MLP **1.00** (0.50 to 2.00), the mean of 2 pairs, on new samples."
    assert stored._paired(frame[frame.family == "KAN"]) == ""


def test_draws_of_the_settings_are_counted_not_their_runs(build):
    def drawn(n, times):
        for run in rows():
            run["settings"]["redraw"] = n
            run["test_error"] = run["test_error"] and times * run["test_error"]
            yield run | {"run": evidence.key("result", run["settings"], run["seed"])}

    html, _, said = build([*drawn(1, 1), *drawn(2, 3)])
    section = BeautifulSoup(html, "html.parser").select_one("#results-formulas")
    head, first, *_ = cells(section.select_one("table.stored-results"))
    assert not said and not section.select("img")
    assert head == ["kind", "equal", "tasks", "draws", "KAN / MLP", "the KAN is"]
    assert first[:4] == ["axes", "parameters", "3", "2 2"] and first[5] == "undecided"


def test_what_stands_in_no_plan_says_so(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    stored = importlib.import_module("stored")
    said = {name: stored._unplanned(name) for name in EXPERIMENTS}
    older = {name for name, sentence in said.items() if "What was expected" in sentence}
    assert older == {"second-order", "recovery", "recovery-rivals"}
    never = {"race", "scaling", "between", "functions-1d", "mixtures", "optimizers"}
    assert {name for name, sentence in said.items() if sentence} == older | never


def test_a_contest_without_rivals_has_its_rows(build):
    html, _, said = build(run for run in rows() if run["settings"]["family"] == "KAN")
    assert not said and "<img" not in html.split("<h2>")[-1]
    assert "12 rows: test error" in html and "sort-tables.js" in html


def test_extras_have_their_effects(build):
    factor = {"minimal": 1.0, "bias": 0.9, "update": 0.5, "bias + update": 0.5}
    runs = []
    for family, one in factor.items():
        for run in (run for run in rows() if run["settings"]["family"] == "KAN"):
            settings = run["settings"] | {"family": family, "contest": "parameters"}
            key = evidence.key("result", settings, run["seed"])
            if key not in {run["run"] for run in runs} and not run["diverged"]:
                error = one * run["test_error"] * (1 + 0.01 * len(runs))
                runs.append(run | {"run": key, "settings": settings, "test_error": error})
    html, out, said = build(runs)
    assert not said
    found = statistics.effects(evidence.load("formulas"))
    row = found[(found.extra == "update") & (found["where"] == "main")].iloc[0]
    head, shown = cells(BeautifulSoup(html, "html.parser").select_one("table.stored-results"))[:2]
    assert shown[head.index("update")] == f"{row.ratio:.2f} [{row.low:.2f}, {row.high:.2f}]"
    assert html.count('src="_images/results-formulas.svg"') == 1
