"""The recipe of chapter 10, whole and with one of its lines left out, beside what the field takes.

What is asked and what is expected stands in ``plan.md``, part U.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from math import pi
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from scipy.stats import loguniform
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import ParameterSampler

from kanbook import _estimator, estimators, rivals, training
from kanbook.training import History

from ..design import Measurement, experiment
from ..settings import Settings
from ..tasks import real_tables
from ..tasks.laws import Law
from . import defaults, trials
from .defaults import Parts

DRAWS = 20  # of the MLP's settings
MLPS = {
    "hidden_layer_sizes": [(16,), (64,), (16, 16), (64, 64), (16, 16, 16)],
    "activation": ["tanh", "silu", "relu"],
    "lr": loguniform(0.001, 0.1),
    "optimizer": ["adam", "auto"],
}

UNIT, BOTH, TURN, MOST = (0.0, 1.0), (-1.0, 1.0), (0.0, 2 * pi), (0.1 * pi, 0.9 * pi)
# Of the 120 equations of PyKAN 0.2.8 (kan.feynman), with the ranges there, shuffled by
# random.Random("the formulas of chapter 10"): the first six of 3 to 8 inputs, no value of which
# among 100,000 is 20 standard deviations from the mean, and which are no law of chapter 15.
FORMULAS = {
    "slits": Law(
        "4*x1*sin(x2/2)**2*sin(x4*x3/2)**2/(x2**2*sin(x3/2)**2)",
        (UNIT, MOST, MOST, (0.5, 1.0)),
        (),
        source="N-slit diffraction",
    ),
    "anharmonic": Law(
        "x1*(x2*cos(x3*x4)**2 + cos(x3*x4))", (UNIT, UNIT, TURN, UNIT), (), source="Feynman I.50.26"
    ),
    "interference": Law(
        "x1 + x2 + 2*sqrt(x1*x2)*cos(x3)",
        ((0.1, 1.0), (0.1, 1.0), TURN),
        (),
        source="Feynman I.37.4",
    ),
    "dot product": Law("x1*x2 + x3*x4 + x5*x6", (BOTH,) * 6, (), source="Feynman I.11.19"),
    "diffusion": Law("x1*x2*x3", (UNIT,) * 3, (), source="Feynman I.43.31"),
    "gas": Law("x3*x2/(x1 - 1)", ((1.5, 3.0), UNIT, UNIT), (), source="Feynman I.39.11"),
}


def samples(name: str, n: int, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, I), uniform in the ranges of the formula, and its values (n,)."""
    low, high = torch.tensor(FORMULAS[name].ranges, dtype=torch.float64).T
    unit = torch.rand(n, len(low), dtype=torch.float64, generator=generator)
    inputs = (low + (high - low) * unit).numpy()
    return inputs, FORMULAS[name].function(inputs)


def _parts(task: str, seed: int) -> Parts:
    kind, _, name = task.partition(":")
    if kind == "real":
        return defaults.of_table(name, seed, open_locked=True)
    generator = torch.Generator().manual_seed(10_000 + seed)
    return *samples(name, defaults.SAMPLES, generator), *samples(name, defaults.TESTED, generator)


def _still(*samples: Any, update_grid_at: Any, **how: Any) -> History:
    """Train with a fresh optimizer where the recipe would move knots."""
    return training.fit(*samples, restart_at=update_grid_at, **how)


@contextmanager
def _at_once() -> Iterator[None]:
    with ExitStack() as stack:
        for module in (_estimator, estimators):
            stack.enter_context(patch.object(module, "doubled", lambda grid_size: [grid_size]))
        yield


# The recipe, and what it is without one of its lines: options, and what is changed besides.
RECIPES: dict[str, tuple[Settings, Callable[[], AbstractContextManager]]] = {
    "recipe": ({}, nullcontext),
    "without 1, nothing held out": ({"validation_fraction": 0.0}, nullcontext),
    "without 2, two layers of 16": ({"hidden_layer_sizes": (16, 16)}, nullcontext),
    "without 3, knots stay": ({}, partial(patch.object, _estimator, "fit", _still)),
    "without 4, Adam alone": ({"optimizer": "adam"}, nullcontext),
    "without 5, all intervals at once": ({}, _at_once),
}
RIVALS: dict[str, Callable[[bool, int], Any]] = {
    "boosted trees": rivals.boosted_trees,
    "boosted trees, as they come": lambda classes, seed: (
        HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    )(random_state=seed),
    "additive": lambda classes, _: rivals.additive(classes),
    "linear": lambda classes, _: rivals.linear(classes),
}
SEARCHED = "MLP, searched"


@trials.ready()
def run(settings: Settings, seed: int, **_: Any) -> dict[str, Any]:
    """Fit one contestant and test it; see :func:`~evidence.runs.defaults.fit_default`.

    Of a search, ``note`` has a list for each draw: seconds until it was done, its
    ``validation_error`` and its ``test_error``.
    """
    parts, classes = _parts(settings["task"], seed), settings["kind"] == "classes"
    name = settings["contestant"]
    if name == SEARCHED:
        return _search(parts, classes, seed)
    if name in RIVALS:
        return defaults.told(RIVALS[name](classes, seed), parts, classes)
    options, changed = RECIPES[name]
    kan = estimators.KANClassifier if classes else estimators.KANRegressor
    with changed():
        return defaults.told(kan(random_state=seed, **options), parts, classes)


def _search(parts: Parts, classes: bool, seed: int) -> dict[str, Any]:
    mlp = estimators.MLPClassifier if classes else estimators.MLPRegressor
    done, seconds = [], 0.0
    for options in ParameterSampler(MLPS, DRAWS, random_state=seed):
        told = defaults.told(mlp(random_state=seed, starts=1, **options), parts, classes)
        seconds += told["seconds"]
        error = trials.rounded(told["note"]["validation_error_"], 6)
        done.append((error, told, [trials.rounded(seconds, 4), error, told["test_error"]]))
    _, best, _ = min(done, key=lambda draw: draw[0])
    note = best["note"] | {"draws": [draw for *_, draw in done]}
    return best | {"seconds": trials.rounded(seconds, 4), "note": note}


def _settings(tables: Iterable[str], formulas: Iterable[str]) -> Iterator[Settings]:
    tasks = {f"real:{name}": real_tables.CHOICES[name].kind for name in tables}
    tasks |= {f"equation:{name}": "regression" for name in formulas}
    for task, kind in tasks.items():
        for contestant in (*RECIPES, SEARCHED, *RIVALS):
            if kind != "classes" or not contestant.startswith("without 4"):  # it has no other
                yield {"measure": "recipe", "task": task, "kind": kind, "contestant": contestant}


def open_settings() -> Iterator[Settings]:
    """What does each line of the recipe earn on the tables that no lot has locked?"""
    return _settings(real_tables.unlocked(), ())


def locked_settings() -> Iterator[Settings]:
    """Does the recipe work on tables and formulas that nothing was chosen on?"""
    return _settings(real_tables.locked(), FORMULAS)


MEASUREMENT = Measurement(run, lambda _: 1, None, pinned=False)
EXPERIMENTS = (
    experiment("recipe-open", (10,), measurement=MEASUREMENT, seeds=1, minutes=60)(open_settings),
    experiment("recipe-locked", (10, 19), measurement=MEASUREMENT, seeds=3, minutes=180)(
        locked_settings
    ),
)
