"""What was counted in published runs: its arithmetic, and the numbers that the book tells."""

import itertools

import numpy as np
import pytest

import evidence
from evidence import kanbefair
from evidence.statistics import expected_least

FRAME = evidence.published()
PICTURES, TABLES = (FRAME[FRAME.kind == kind] for kind in ("picture", "table"))


@pytest.mark.parametrize("n", range(1, 8))
def test_expected_least_against_all_draws(n):
    values = [3.0, -1.0, 2.0, 2.0, 0.5, 7.0, -4.0]
    draws = [min(draw) for draw in itertools.combinations(values, n)]
    assert expected_least(values, n) == pytest.approx(np.mean(draws))


@pytest.mark.parametrize("n", [1, 24, 864, 1728])  # more draws than a float can count
def test_expected_least_of_many(n):
    assert expected_least(range(1, 1729), n) == pytest.approx(1729 / (n + 1))


def test_a_row_against_all_draws():
    kan = np.array([[10, 100 * k / 7, 5 + k] for k in (1, 2, 3, 3, 5, 6)])
    mlp = np.array([[20, 500 / 7, 99], [20, 400 / 7, 11], [20, 200 / 7, 4]])
    row = kanbefair.count("Rice", kan, mlp)
    draws = [max(draw) for draw in itertools.combinations(kan[:, 1], 3)]
    small = [max(draw) for draw in itertools.combinations(kan[:, 1], 2)]
    assert row["kan_equal"] == pytest.approx(np.mean(draws), abs=1e-4)
    assert row["chance"] == pytest.approx(np.mean(np.array(draws) > 500 / 7), abs=1e-4)
    assert row["small_kan_equal"] == pytest.approx(np.mean(small), abs=1e-4)
    assert row["small_mlp_best"] == pytest.approx(400 / 7, abs=1e-4)
    numbers = [row[name] for name in ("samples", "kans", "mlps", "short", "small_mlps")]
    assert numbers == [7, 6, 3, 6, 2]


def test_equal_reruns_count_once_and_special_functions_do_not():
    line = "{},{},MLP,32,False,relu,128,20,0.001,1,default,90.0,{},610,99.0,{},1.0"
    runs = [("one", "Bank", 89.5, 3.1), ("two", "Bank", 89.5, 3.2), ("three", "Bank", 89.4, 3.1)]
    runs.append(("4", "Special_x", 1, 2))
    found = kanbefair.read("\n".join(line.format(*run) for run in runs))
    assert list(found) == [("Bank", "MLP")]
    assert found["Bank", "MLP"].tolist() == [[20, 89.5, 610], [20, 89.4, 610]]


def test_how_unequal_the_tries_were():
    assert (FRAME.mlps == 24).all() and (FRAME.small_mlps == 16).all()
    assert TABLES.kans.between(384, 460).all() and PICTURES.kans.between(1356, 1728).all()
    assert (PICTURES.short == 0).all()  # as many epochs as the MLPs
    assert (TABLES.short / TABLES.kans).min() > 0.8
    assert TABLES.short.sum() / TABLES.kans.sum() > 0.96


def test_who_is_ahead():
    ahead = TABLES.data[TABLES.kan_best > TABLES.mlp_best]
    assert set(ahead) == {"Bank", "Card", "Income", "Student", "Telescope"}
    equal = TABLES.data[TABLES.kan_equal > TABLES.mlp_best]
    assert set(equal) == {"Bank", "Card", "Income", "Student"}
    assert set(TABLES.data[TABLES.chance > 0.5]) == set(equal)
    assert set(TABLES.data[TABLES.small_kan_equal > TABLES.small_mlp_best]) == set(equal)
    assert (TABLES.kan_best > TABLES.small_mlp_best).sum() == 7  # and Bean is a tie
    assert (PICTURES.kan_best < PICTURES.small_mlp_best).all()


def test_margins_and_noise():
    for ours in ("kan_best", "kan_equal"):
        assert ((TABLES[ours] - TABLES.mlp_best).abs() < TABLES.noise).all()
    assert (PICTURES.small_mlp_best - PICTURES.kan_best > PICTURES.noise).all()
