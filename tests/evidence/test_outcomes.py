"""What became of the hypotheses: every one is judged by its rows, and the numbers are theirs."""

import numpy as np
import pytest

import evidence
from evidence import EXPERIMENTS
from evidence.verdicts import comparisons, outcomes

VERDICTS = {  # of those whose rows are complete; who changes rows or a rule looks again
    "holds": "A 2, A 3, A 5, A dense, F 6, F 7, F 8, F 10, H 3, H 4, H 5, I 2, I 3, I 5, I 6, I 7, "
    "J 1, J 3, J 4, J 6, K 3, K 4, K 5, K 6, L 1, L 2, L 3, L 4, N 2, N 3, "
    "R 2, R 4, R 5, S 1, S 3, T 1, T 2, T 3, T 4, T 5, T 6, T 7, T 8, T 10, T 11, "
    "T 12, U 1, U 2, U 3, U 6, U 7, V 2, V 3, V 7, V 8, V 10, V 11, V 14, V 16, V 18, V 19, V 20, "
    "W 1, W 2, W 3, W 6, W 9, W 11, W 12, W 13",
    "half": "A 7, A dense why, C 1, D 1, D 3, F 1, F 2, F 3, F 10 control, F 11, H 1, H 2, I 4, "
    "J 2, J 5, K 1, L 5, S 4, S 6, T 9, U 4, V 1, V 4, V 5, V 12, V 13, V 15, V 17, V 21, "
    "W 7, W 10",
    "lost": "A 4, A 6, C 2, C 3, D 2, D 4, E 1, F 5, F 12, G 1, I 1, K 2, K 7, L 6, N 1, R 3, "
    "R 6, R 7, S 2, U 5, V 6, V 9, W 4, W 5, W 8",
    "undecided": "A 1, B 1, B 2, F 4, F 9, F 11 controls, F 13, R 1, S 5",
    "open": "M 1, M 2, M 3, M 4, M 5, M 6, M 7, M 8, "
    "P 1, P 2, P 3, P 4, P 5, P 6, P 7, Q 1, Q 2, Q 3, Q 4, Q 5",
}


@pytest.fixture(scope="module")
def found():
    return {outcome.label: outcome for outcome in outcomes.outcomes()}


def test_every_hypothesis_of_the_plan_is_there_once(found):
    texts = outcomes.hypotheses()
    assert set(texts) <= set(found) and len(texts) == 151
    assert texts["B 1"].startswith("With 20 % noise") and texts["L 6"].endswith("thousandth.")
    for label, outcome in found.items():
        assert set(outcome.experiments) <= set(EXPERIMENTS) and outcome.hypothesis
        assert outcome.hypothesis == texts.get(label, outcome.hypothesis)


def test_the_verdicts_are_those_of_the_rows(found):
    for verdict, labels in VERDICTS.items():
        assert {label for label in found if found[label].verdict == verdict} == set(
            labels.split(", ")
        )
    assert all(bool(made.because) == (made.verdict != "open") for made in found.values())


def test_open_is_what_lacks_rows(found, monkeypatch):
    complete = comparisons.rows("climbs-adam")
    monkeypatch.setattr(complete, "attrs", {"runs": complete.attrs["runs"] - 1})
    of = {outcome.label: outcome for outcome in outcomes.outcomes()}
    assert {label for label in of if of[label].verdict == "open"} == {
        label for label in of if "climbs-adam" in of[label].experiments
    } | set(VERDICTS["open"].split(", "))
    assert of["F 8"].because == ""


def test_a_number_is_the_mean_of_the_logarithms(found):
    rows = evidence.load("climbs-adam").assign(log=lambda rows: np.log(rows["test_error"]))
    means = rows.pivot_table("log", "task", "family")  # no run of these two diverged
    ratio = np.exp((means["5, 10, 20"] - means["20"]).mean())
    assert f"“5, 10, 20” / “20” **{ratio:.2f}**" in found["F 8"].because
    once = evidence.load("sequence").query("task == 'sequence:peaks' and contestant == 'MLP'")
    middle = once[once["way"] == "in turn"]["test_error"].median()
    assert f"MLP, peaks: in turn **{middle:.2f}**" in found["J 2"].because


@pytest.mark.parametrize(
    ("claims", "verdict"),
    [
        ([True, True], "holds"),
        ([True, None], "half"),
        ([True, False], "half"),
        ([False, None], "lost"),
        ([None], "undecided"),
    ],
)
def test_claims_together(claims, verdict):
    assert outcomes.verdict(claims) == verdict
