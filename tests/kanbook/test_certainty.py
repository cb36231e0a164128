"""One vocabulary of certainty: the words by their definition, and Holm's correction."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from kanbook.certainty import LEVEL, TIE, VERDICTS, holm, verdict


def test_the_words_follow_from_their_definition_in_this_order():
    draw = np.random.default_rng(0)
    seen = set()
    for _ in range(2000):
        mean, reach = draw.normal(0, 0.3), draw.exponential(0.15)
        p = draw.choice([0.001, 0.0499, LEVEL, 0.5, math.nan])
        ratio, low, high = np.exp([mean, mean - reach, mean + reach])
        is_near = abs(mean) <= math.log(TIE)
        side = "better" if mean < 0 else "worse"
        rules = [("a tie", abs(mean) + reach <= math.log(TIE)), ("undecided", not p < LEVEL)]
        rules += [(f"a little, but surely {side}", is_near), (f"clearly {side}", True)]
        word = verdict(ratio, low, high, p)
        assert word == next(word for word, is_so in rules if is_so)
        other = {"better": "worse", "worse": "better"}
        swapped = " ".join(other.get(part, part) for part in word.split())
        assert verdict(1 / ratio, 1 / high, 1 / low, p) == swapped
        seen.add(word)
    assert seen == set(VERDICTS)


def test_a_single_run_has_no_interval_and_shows_nothing():
    assert verdict(0.1, math.nan, math.nan, math.nan) == "undecided"


@pytest.mark.parametrize("n", [1, 2, 7, 51])
def test_holm_is_that_of_statsmodels(n):
    p = np.random.default_rng(n).beta(0.3, 3, n)
    p[n // 2] = p[0]  # two are equal
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    some = np.insert(p, [0, n], math.nan)
    np.testing.assert_allclose(holm(some), np.r_[math.nan, holm(p), math.nan])
