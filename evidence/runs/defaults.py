"""Estimators as they come, nothing searched: how good is what somebody gets who types one line?

What is asked and what is expected stands in ``plan.md``, part Q.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from pandas import DataFrame
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from kanbook import estimators, rivals

from ..design import Measurement, experiment
from ..settings import Settings
from ..tasks import real_tables
from ..tasks.targets import TARGETS, target
from . import trials

SEEN = "franke", "five_curves", "rational"  # formulas that the defaults were tuned on
SAMPLES, TESTED = 1250, 10_000  # of a formula
ROWS, ROWS_OF_PROCESS = 5000, 500  # of a table to learn from, at most

Parts = tuple[Any, np.ndarray, Any, np.ndarray]  # X and y to learn from, and to test on
Contestants = dict[str, tuple[Callable[..., Any], Callable[..., Any] | None]]


def _standardized(model: Any) -> TransformedTargetRegressor:
    return TransformedTargetRegressor(model, transformer=StandardScaler())


# For numbers, and for classes; called with the seed.
CONTESTANTS: Contestants = {
    "KAN": (
        lambda seed: estimators.KANRegressor(random_state=seed),
        lambda seed: estimators.KANClassifier(random_state=seed),
    ),
    "MLP, trained alike": (
        lambda seed: estimators.MLPRegressor(random_state=seed),
        lambda seed: estimators.MLPClassifier(random_state=seed),
    ),
    "MLP of scikit-learn": (
        lambda seed: _standardized(MLPRegressor(random_state=seed)),
        lambda seed: MLPClassifier(random_state=seed),
    ),
    "boosted trees": (
        lambda seed: HistGradientBoostingRegressor(random_state=seed),
        lambda seed: HistGradientBoostingClassifier(random_state=seed),
    ),
    "linear": (
        lambda _: RidgeCV(np.logspace(-6, 6, 25)),
        lambda seed: LogisticRegressionCV(random_state=seed, max_iter=1000),
    ),
    "gaussian process": (lambda seed: rivals.gaussian_process(random_state=seed), None),
    "PyKAN": (lambda seed: rivals.PyKANRegressor(grid_size=3, random_state=seed), None),
}


def of_table(name: str, seed: int, **how: bool) -> Parts:
    """At most ``ROWS`` of the four fifths of the rows that are not to test on, and those."""
    table = real_tables.real_table(name, **how)
    train, choose, test = real_tables.parts(table, seed)
    rows = np.random.default_rng(seed).permutation(np.concatenate([train, choose]))[:ROWS]
    X, y = table.frame.drop(columns=table.target), table.frame[table.target]
    return X.iloc[rows], y.iloc[rows].to_numpy(), X.iloc[test], y.iloc[test].to_numpy()


def _parts(task: str, seed: int) -> Parts:
    kind, _, name = task.partition(":")
    if kind == "real":
        return of_table(name, seed)
    generator = torch.Generator().manual_seed(10_000 + seed)
    how = {"generator": generator, "dtype": torch.float64}
    (x, y), (u, v) = (target(name, n, **how) for n in (SAMPLES, TESTED))
    return x.numpy(), y[:, 0].numpy(), u.numpy(), v[:, 0].numpy()


@trials.ready()
def fit_default(settings: Settings, seed: int, **_: Any) -> dict[str, Any]:
    """Fit one estimator and test it; see :func:`told`. What PyKAN raises is noted."""
    X, y, *test = _parts(settings["task"], seed)
    classes, name = settings["kind"] == "classes", settings["contestant"]
    if name == "gaussian process":
        X, y = X[:ROWS_OF_PROCESS], y[:ROWS_OF_PROCESS]
    parts, start = (X, y, *test), time.process_time()
    try:
        return told(CONTESTANTS[name][classes](seed), parts, classes)
    except Exception as error:
        if name != "PyKAN":
            raise
        seconds, note = time.process_time() - start, f"{type(error).__name__}: {error}"
    lost = {"test_error": None, "seconds": trials.rounded(seconds, 4), "parameters": None}
    return lost | {"note": {"error": note}, "loss": None, "diverged": True}


def told(model: Any, parts: Parts, classes: bool) -> dict[str, Any]:
    """Fit an estimator and test it.

    Returns:
        ``test_error``: RMSE in spreads of the test's targets, or log-loss; ``seconds`` of the
        processor for fitting, a table's preparation included; ``note``: what a network chose.
    """
    X, y, U, v = parts
    start = time.process_time()
    if isinstance(X, DataFrame) and not isinstance(model, Pipeline):
        from skrub import tabular_pipeline  # which Colab, where stored rows are read, has not

        model = tabular_pipeline(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
        seconds = time.process_time() - start
        if classes:
            error = log_loss(v, model.predict_proba(U), labels=model.classes_)
        else:
            error = np.sqrt(np.mean((model.predict(U) - v) ** 2)) / np.std(v)
    last = model[-1] if isinstance(model, Pipeline) else model
    names = "hidden_layer_sizes_", "optimizer_", "n_parameters_", "validation_error_"
    note = {name: getattr(last, name) for name in names if hasattr(last, name)}
    result = {"test_error": trials.rounded(error, 6), "seconds": trials.rounded(seconds, 4)}
    result |= {"parameters": note.pop("n_parameters_", None), "note": note}
    return result | {"loss": None, "diverged": False}


def settings() -> Iterable[Settings]:
    """Who has the least error with nothing but its defaults?"""
    tables = {f"real:{name}": real_tables.CHOICES[name].kind for name in real_tables.unlocked()}
    formulas = {f"formula:{name}": "regression" for name in TARGETS if name not in SEEN}
    for contestant, makers in CONTESTANTS.items():
        for task, kind in (tables | formulas).items():
            if makers[kind == "classes"] is not None:
                yield {"measure": "default", "task": task, "kind": kind, "contestant": contestant}


EXPERIMENT = experiment(
    "defaults",
    (16,),
    measurement=Measurement(fit_default, lambda _: 1, None, pinned=False),
    seeds=3,
    minutes=150,
)(settings)
