"""Tests of the search for formulas: the laws, what counts as found, and the methods."""

import random

import numpy as np
import pytest
import torch

from evidence.runs import recovery, regressors
from evidence.tasks.laws import law, numeric, outcome

# --- the rivals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pykan", "pykan, tuned"])
def test_pykan_leaves_nothing_behind(method, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002
    formula, note = recovery.METHODS[method]("sum", *law("sum", generator=1), 1.0, 0)
    assert formula is None and "stage" in str(note)  # one second is too short for a formula
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (str(np.random.get_state()), random.getstate()) == before[1:]  # noqa: NPY002
    assert torch.get_default_dtype() == torch.float32
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(0.5 + ((-2.0) * X1))", "0.5 - 2*x1"),
        ("((1.5 * X1) ^ 2)", "2.25*x1**2"),
        ("(exp((0.1 * X2)) / sqrt((X1 + 3.0)))", "exp(0.1*x2)/sqrt(x1 + 3)"),
        ("(log((2.0 * X12)) - tanh(sin(X2)))", "log(2*x12) - tanh(sin(x2))"),
        ("((-0.00000002) * (22404208.0 * X1))", "-0.44808416*x1"),
    ],
)
def test_operon_formulas_in_sympy_notation(text, expected):
    points = np.random.default_rng(0).uniform(0.1, 2, (100, 12))
    ours = numeric(regressors.sympy_text(text), 12)(points)
    np.testing.assert_allclose(ours, numeric(expected, 12)(points), rtol=1e-12)


def test_polish_fits_constants_in_double_precision():
    points = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    formula, error = regressors.polish(
        "1.1*sin(2.9*x1) + x2**2", points, numeric("sin(3*x1) + x2**2", 2)(points)
    )
    assert error < 1e-14 and recovery.equal(formula, "sum")


def test_operon_finds_a_sum_and_converts_what_it_found(monkeypatch):
    operon = pytest.importorskip("pyoperon.sklearn")
    kept = []

    def spy(self, *data):
        kept[:] = [self]
        return fit(self, *data)

    fit = operon.SymbolicRegressor.fit
    monkeypatch.setattr(operon.SymbolicRegressor, "fit", spy)
    settings = {"law": "sum", "noise": 0.0, "method": "operon", "limit": 30.0}
    run = settings | recovery.find_formula(settings, 1000)
    assert outcome(run) == "found" and run["equal"] and run["note"]["solved"]
    points = law("sum", generator=2)[0].numpy()
    for model in kept[0].pareto_front_:  # theirs is in single precision
        text = regressors.sympy_text(kept[0].get_model_string(model["tree"], 20))
        theirs = kept[0].evaluate_model(model["tree"], points)
        np.testing.assert_allclose(numeric(text, 2)(points), theirs, rtol=1e-4, atol=1e-4)
