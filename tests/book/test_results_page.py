"""The page of results: for contests a summary and a figure; rows and provenance folded."""

import dataclasses
import importlib
import math
import re

import pandas
import pytest
import sphinx_build

import evidence
from evidence import EXPERIMENTS, Table, reading, statistics
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
def build(tmp_path, monkeypatch):
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


def test_contests_have_a_summary_a_figure_and_folded_rows(build):
    html, out, said = build(rows())
    assert not said
    frame = evidence.load("formulas")
    above, folded = html.split("<details", 1)
    planned = next(iter(EXPERIMENTS.values())).total()
    assert f"Not complete: {len(frame)} of {planned:,} runs are made" in above
    for contest in ("parameters", "seconds"):
        found = statistics.ratios(frame[frame.contest == contest], "KAN", "MLP").iloc[-1]
        ratio = f"<strong>{found.ratio:.2f}</strong> [{found.low:.2f}, {found.high:.2f}]"
        assert found.verdict == "undecided"
        classes = f"axes: {RATIO['axes']:.2f}" if contest == "parameters" else "axes: "
        assert f"Equal {contest}, 6 tasks: KAN / MLP {ratio} ({classes}" in above
    assert above.count("Over all tasks KAN is undecided against MLP.") == 4  # and in pictures
    assert "<strong>Open</strong>" in folded  # rows are missing
    ((alt, picture),) = re.findall(r'<img alt="([^"]*)" src="([^"]*)"', above)
    assert alt.startswith("Equal parameters, 6 tasks: KAN / MLP") and "*" not in alt
    assert (out / picture).read_text(encoding="utf-8").startswith("<svg ")
    cells = [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td>(.*?)</td>", folded)]
    table = statistics.medians(frame)
    assert len(cells) == table.size and "inf" in cells and len(table) == 2 * 6 * 2
    assert cells[:6] == ["parameters", "axes", "axes 0", "KAN", "2", "0.045"]
    assert math.isclose(table["median"][0], 0.045)
    assert "Made by" in folded and "Made by" not in above
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
    text = f"update <strong>{row.ratio:.2f}</strong> [{row.low:.2f}, {row.high:.2f}]"
    assert text in html.split("<details", 1)[0]
    assert html.count('src="_images/results-formulas.svg"') == 1


def test_without_a_kan_the_first_family_is_compared(build):
    runs = []
    for run in rows():
        settings = run["settings"] | {"family": "moved " + run["settings"]["family"]}
        key = evidence.key("result", settings, run["seed"])
        runs.append(run | {"run": key, "settings": settings})
    html, _, said = build(runs)
    assert not said and "“moved KAN” / “moved MLP” <strong>" in html
    assert "the error of “moved KAN” divided by a rival" in html
