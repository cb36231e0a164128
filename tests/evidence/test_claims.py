"""The claims of chapter 19: their numbers against the raw rows, their words against their rules."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import evidence
from evidence.statistics import Ratio
from evidence.verdicts import claims, kinds, outcomes
from evidence.verdicts.judging import together, word
from kanbook.certainty import VERDICTS, holm

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def table():
    return claims.table().set_index("claim")


@pytest.fixture(scope="module")
def by_kind():
    return kinds.kinds().set_index(["kind", "rival"])


def raw(name):
    lines = (evidence.FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    runs = [json.loads(line) for line in lines]
    return [run | run["settings"] for run in runs if run.get("stage") == "result"]


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["clearly better"] * 2, "stands"),
        (["clearly better", "a tie"], "narrower"),
        (["a little, but surely better"], "hardly"),
        (["a little, but surely worse", "undecided"], "falls"),
        (["clearly better", "a tie", "clearly worse", "a tie"], "narrower"),
        (["clearly better", *["a tie"] * 5], "hardly"),
        (["undecided"] * 2, "open"),
        (["undecided", "a tie"], "falls"),
        (["clearly worse", "a tie"], "falls"),
    ],
)
def test_word_follows_from_the_verdicts(verdicts, expected):
    assert word(verdicts) == expected
    other = {"better": "worse", "worse": "better"}
    swapped = [" ".join(other.get(part, part) for part in text.split()) for text in verdicts]
    assert word(swapped, "worse") == expected


def test_comparisons_of_a_claim_are_corrected_for_each_other():
    one = Ratio(0.5, 0.3, 0.9, 0.03)
    assert together([one]) == ["clearly better"] and together([one] * 2) == ["undecided"] * 2


def test_every_claim_is_judged_in_words_with_numbers(table):
    assert len(table) == len(claims.CLAIMS) == 21 and table.index.is_unique
    assert set(table.verdict) <= set(claims.WORDS)
    assert ((table.but != "") == table.verdict.isin(["narrower", "hardly"])).all()
    assert list(table["first"]) == [True] * 5 + [False] * 16
    for row in table.itertuples():
        assert row.Index.endswith(".") and "\n" not in row.Index + row.numbers
        assert "|" not in row.Index + row.numbers and "nan" not in row.numbers
        assert re.search(r"\d", row.numbers)


def test_what_is_left_of_claims_has_its_numbers(table):
    said = table.loc[[name.startswith("Differential") for name in table.index]].numbers.iloc[0]
    low, high = map(float, re.search(r"by Adam: [\d.]+ \[([\d.]+), ([\d.]+)\]", said).groups())
    assert low > 1 / 3 and high < 3  # "within a factor of three"
    works = kinds.kinds().query("rival == 'MLP'")
    assert 0.4 < (works.high < 2).mean() < 0.5  # "nearly half"
    assert (works.low > 2).sum() == 1 and (works.high >= 2).sum() > 10  # "all others but one"


def test_no_other_words_are_used_for_a_verdict(table, by_kind):
    assert set(by_kind.verdict) <= set(VERDICTS)
    because = [one.because for one in outcomes.outcomes()]
    for text in (*table.numbers, *because):
        assert not re.search(r"\b(ahead|behind|level|leads?|certain|separated)\b", text), text


def test_chapters_exist_and_the_table_links_them(table):
    files = {int(path.name[:2]): path.name for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    text = claims.markdown(table.reset_index())
    links = re.findall(r"\[(\d+)\]\((\S+?)\)", text)
    assert links and all(files[int(number)] == name for number, name in links)
    elsewhere = re.findall(r"\]\((\S+?)\)", claims.listing(table.reset_index(), "../notebooks/"))
    assert elsewhere == [f"../notebooks/{name}" for _, name in links]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == len(table) + 4 and len({line.count("|") for line in lines}) == 1
    assert text.count("<details>") == text.count("</details>") == 1 + len(table)
    for row in table.itertuples():  # a verdict is read without brackets; they are one click away
        assert f"**{row.verdict}**" in text and f"</summary>{row.numbers}</details>" in text


def errors(runs, **which):
    return {
        (run["task"], run["seed"]): math.log(run["test_error"])
        for run in runs
        if all(run.get(name) == value for name, value in which.items())
    }


def test_tables_of_numbers_from_the_raw_rows(by_kind, table):
    runs = [run for run in raw("tables") if run["kind"] == "regression"]
    kan, mlp = (errors(runs, family=f, contest="parameters") for f in ("KAN", "MLP"))
    assert kan.keys() == mlp.keys()
    tasks = {}
    for key in kan:
        tasks.setdefault(key[0], []).append(kan[key] - mlp[key])
    means = [np.mean(logs) for logs in tasks.values()]
    half = 2.5706 * np.std(means, ddof=1) / math.sqrt(6)  # Student's t, 5 degrees of freedom
    row = by_kind.loc["tables, regression", "MLP"]
    expected = np.exp([np.mean(means), np.mean(means) - half, np.mean(means) + half])
    np.testing.assert_allclose([row.ratio, row.low, row.high], expected, rtol=1e-4)
    said = table.loc["Everywhere but on formulas MLPs are better.", "numbers"]
    assert f"{expected[0]:.2f} [{expected[1]:.2f}, {expected[2]:.2f}]" in said
    assert "a tie in 3 (tables, regression; time series; pic" in table.numbers.iloc[0]


def test_half_the_parameters_from_the_raw_rows(table):
    runs, audit = raw("scaling"), raw("race-audit")

    def errors_of(runs, **which):
        found = [run["loss"] for run in runs if all(run.get(k) == v for k, v in which.items())]
        return math.sqrt(np.median(found)) if found else math.inf

    said = table.loc["A KAN needs half of an MLP's parameters.", "numbers"]
    said = dict(re.findall(r"([\d,]+): (\d+\.\d+)", said))
    for small, large in ((680, 1320), (2500, 5000), (5000, 10_000), (10_000, 20_000)):
        mlp = errors_of(runs, depth=2, family="MLP", size=large)
        silu = errors_of(audit, contestant=f"MLP, SiLU, {large:,} parameters")
        ratio = errors_of(runs, depth=2, family="KAN", size=small) / min(mlp, silu)
        assert float(said[f"{small:,}"]) == pytest.approx(ratio, abs=0.006)


def test_a_third_of_the_parameters_on_formulas_from_the_raw_rows(table):
    kan = errors(raw("formulas-dense"), family="KAN", kind="axes")
    mlp = errors(raw("formulas-many"), family="MLP", kind="axes")
    assert set(kan) == set(mlp) and len(kan) == 8 * 5
    ratio = math.exp(np.mean([kan[key] - mlp[key] for key in kan]))
    said = table.loc["A KAN needs half of an MLP's parameters.", "numbers"]
    assert f"along the axes {ratio:.2f} [" in said


def test_the_fields_own_is_chosen_on_validation_samples():
    frame = evidence.load("formulas").query("contest == 'parameters'")
    own = kinds.fields(frame)
    assert set(own.family) == {kinds.OWN}
    for task, part in own.groupby("task"):
        assert part.baseline.nunique() == 1
        rivals = frame[(frame.task == task) & frame.baseline.notna()]
        logs = np.log(rivals.validation_error).groupby(rivals.baseline).mean()
        assert logs.idxmin() == part.baseline.iloc[0]


def test_equations_compare_equal_sizes_and_choose_without_the_solution(by_kind):
    rows = kinds.solved(evidence.load("equations"))
    assert (rows.groupby(["task", "family"]).seed.nunique() == 5).all()
    networks = rows[rows.family != kinds.OWN].groupby("task").parameters
    assert (networks.max() / networks.min() < 1.04).all()
    spline = rows[(rows.family == kinds.OWN) & (rows.task == "equation:burgers")]
    shapes = {
        tuple(n + k for n in size) for size, k in zip(spline.grid_size, spline.degree, strict=True)
    }
    assert shapes == {(8, 62)}  # not the square one
    assert by_kind.loc["equations", "MLP"].tasks == 3


def test_forgetting_counts_wrong_digits():
    rows = kinds.phases(evidence.load("sequence")).set_index("task")
    assert set(rows.family) == {"KAN", "MLP"} and set(rows.way) == {"in turn"}
    digits = rows.loc["sequence:digits"]
    np.testing.assert_allclose(digits.test_error, 1 - digits.accuracy)


def test_the_fields_own_has_names(by_kind):
    own = by_kind.xs(kinds.OWN, level="rival").methods
    assert own["formulas, along the axes"] == "Gaussian process"
    assert own["tables, regression"] == "boosted trees 5, additive 1"
    assert own["equations"] == "one spline" and (own != "").all()


def test_kinds_are_means_of_their_tasks(by_kind):
    assert {"time series", "learning in turn"} <= set(by_kind.index.get_level_values("kind"))
    for row in by_kind.itertuples():
        mean = math.exp(np.mean(np.log(row.each)))
        assert len(row.each) == row.tasks and row.ratio == pytest.approx(mean)
        assert row.low < row.ratio < row.high
    np.testing.assert_allclose(by_kind.p_holm, holm(by_kind.p))  # one picture, one correction
