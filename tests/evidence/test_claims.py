"""The claims of chapter 19: their numbers against the raw rows, their words against their rules."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import evidence
from evidence import Comparison, statistics
from evidence.verdicts import claims, kinds
from evidence.verdicts.judging import word

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
    ("low", "high", "expected"),
    [
        (0.2, 0.6, "a"),
        (2, 3, "b"),
        (0.9, 1.1, "tie"),
        (0.5, 2, "undecided"),
        (0.8, 0.97, "little a"),
        (1.02, 1.3, "little b"),
    ],
)
def test_side_follows_from_the_interval(low, high, expected):
    ratio = Comparison(math.sqrt(low * high), low, high, 0, 25)
    assert statistics.side(ratio) == expected
    assert statistics.verdict(ratio) == ("undecided" if "little" in expected else expected)


def test_side_of_a_contest_uses_the_corrected_p():
    frame = evidence.load("tables").query("contest == 'parameters'")
    row = statistics.ratios(frame, "KAN", "linear").set_index("kind").loc["regression"]
    assert row.high < 1 and statistics.side(row) == "a"
    assert statistics.side(row.replace({row.p_holm: 0.06})) == "undecided"


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        (["a", "a"], "stands"),
        (["a", "tie"], "narrower"),
        (["little a"], "hardly"),
        (["little b", "undecided"], "falls"),
        (["a", "tie", "b", "tie"], "narrower"),
        (["a", *["tie"] * 5], "hardly"),
        (["undecided"] * 2, "open"),
        (["undecided", "tie"], "falls"),
        (["b", "tie"], "falls"),
    ],
)
def test_word_follows_from_the_sides(sides, expected):
    assert word(sides) == expected
    swapped = str.maketrans("ab", "ba")  # of the last letters
    swapped = [s if s in ("tie", "undecided") else s.translate(swapped) for s in sides]
    assert word(swapped, "b") == expected


def test_every_claim_is_judged_in_words_with_numbers(table):
    assert len(table) == len(claims.CLAIMS) == 20 and table.index.is_unique
    assert set(table.verdict) <= set(claims.WORDS)
    assert ((table.but != "") == table.verdict.isin(["narrower", "hardly"])).all()
    assert list(table["first"]) == [True] * 5 + [False] * 15
    for row in table.itertuples():
        assert row.Index.endswith(".") and "\n" not in row.Index + row.numbers
        assert "|" not in row.Index + row.numbers and "nan" not in row.numbers
        assert re.search(r"\d", row.numbers)


def test_chapters_exist_and_the_table_links_them(table):
    files = {int(path.name[:2]): path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    text = claims.markdown(table.reset_index())
    links = re.findall(r"\[(\d+)\]\((\S+?)\)", text)
    assert links and all(files[int(number)] == name for number, name in links)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == len(table) + 4 and len({line.count("|") for line in lines}) == 1
    assert text.count("<details>") == text.count("</details>") == 1


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
    assert "level in 3 (tables, regression; time series; pic" in table.numbers.iloc[0]


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
