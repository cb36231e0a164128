"""The laws that are to be found again, and what counts as found."""

import numpy as np
import pytest
import torch

import evidence
from evidence import EXPERIMENTS
from evidence.runs import recovery
from evidence.tasks.laws import LAWS, law, outcome


@pytest.mark.parametrize("name", LAWS)
def test_samples(name):
    inputs, targets = law(name, 500, generator=1)
    low, high = torch.tensor(LAWS[name].ranges, dtype=torch.float64).T
    assert inputs.shape == (500, len(LAWS[name].ranges)) and targets.shape == (500, 1)
    assert (inputs >= low).all() and (inputs <= high).all() and targets.isfinite().all()
    assert LAWS[name].widths[0] == inputs.shape[1]
    wide, _ = law(name, 500, wider=1.3, generator=1)
    assert (wide > high).any() and ((wide - (low + high) / 2).abs() <= 0.65 * (high - low)).all()
    again, noisy = law(name, 500, noise=0.05, generator=1)
    assert torch.equal(again, inputs)
    assert ((noisy - targets).std() / targets.std()).item() == pytest.approx(0.05, rel=0.15)
    assert recovery.errors(LAWS[name].formula, name)["error"] == 0
    assert not LAWS[name].holds or recovery.equal(LAWS[name].formula, name)


@pytest.mark.parametrize(
    ("name", "formula", "same"),
    [
        ("velocities", "tanh(atanh(x1) + atanh(x2))", True),
        ("velocities", "tanh(1.003*atanh(x1) + 0.998*atanh(x2))", True),
        ("velocities", "tanh(1.03*atanh(x1) + 0.998*atanh(x2))", False),
        ("velocities", "x1 + x2", False),
        ("product", "(0.5*x1 + 0.5*x2)**2 - 0.25*(x1 - 1.001*x2)**2", True),
        ("exp_sine", "0.74*exp(cos(3.1416*x1 - 1.5708) + x2**2 + 0.3011)", True),
        ("exp_sine", "exp(sin(3.1416*x1)) + x2**2", False),
        ("sum", "log(x1) + x2", False),
    ],
)
def test_equal_but_for_the_last_digits(name, formula, same):
    assert recovery.equal(formula, name) is same


def test_errors_against_plain_numpy():
    found = recovery.errors("x1*x2 + 0.01", "product")
    x, _ = law("product", 2000, generator=9_997)
    assert found["error"] == pytest.approx(0.01 / np.std(x.prod(1).numpy()), rel=1e-9)
    assert found["wide_error"] < found["error"]
    assert recovery.errors("log(x1) + x2", "product")["error"] == np.inf
    wide = recovery.errors("tanh(atanh(1.2*x1) + atanh(1.2*x2))", "velocities")["wide_error"]
    assert 0 < wide < np.inf  # where both are defined


@pytest.mark.parametrize(
    ("noise", "error", "wide", "expected"),
    [
        (0.0, 9e-7, 0.004, "found"),
        (0.0, 2e-6, 0.0, "wrong"),
        (0.01, 0.0029, 0.0049, "found"),
        (0.01, 0.0029, 0.0051, "wrong"),
        (0.05, 0.014, 0.024, "found"),
        (0.05, None, 0.0, "wrong"),
    ],
)
def test_outcome(noise, error, wide, expected):
    run = {"formula": "x1", "noise": noise, "error": error, "wide_error": wide}
    assert outcome(run) == expected
    assert outcome(run | {"formula": None}) == "none"


def test_a_run_is_a_row_with_an_outcome():
    settings = next(one for one in EXPERIMENTS["recovery"].settings if one["law"] == "bell")
    assert settings["method"] == "kanbook"
    one = recovery.find_formula(settings, 1000)
    assert one["equal"] and one["complexity"] < 15 and one["seconds"] < 60
    row = evidence.reading.flat({"settings": settings, "loss": None, "diverged": False} | one)
    assert row["outcome"] == "found"
