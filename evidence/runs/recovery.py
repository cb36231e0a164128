"""Who finds a formula again from samples of it? The methods, and what counts as found.

What is expected stands in ``plan.md``. Every method gets the same 1,000 samples of a law, with
noise of 0, 1 or 5 % of their spread, and a seed; it returns a formula, or says that it has none. An
attempt of kanbook that has begun is finished, so that some runs take longer than the limit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kanbook import formulas

from ..design import Experiment, Measurement
from ..settings import Settings
from ..table import Table
from ..tasks.laws import LAWS, generalized, law, numeric, outcome
from ..verification import Make
from . import regressors
from .trials import rounded

SAMPLES, N_TEST, WIDER = 1000, 2000, 1.3


def errors(formula: str, name: str) -> dict[str, float]:
    """The error of a formula, in spreads of the law: on new points, and on a wider domain.

    There, points where one of both is not defined do not count; on the domain itself the error is
    infinite if the formula is not defined everywhere.
    """
    by_domain = {}
    for key, wider, seed in (("error", 1.0, 9_997), ("wide_error", WIDER, 9_998)):
        inputs, targets = (t.numpy() for t in law(name, N_TEST, wider=wider, generator=seed))
        targets = targets[:, 0]
        values = numeric(formula, inputs.shape[1])(inputs)
        both = np.isfinite(values) & np.isfinite(targets)
        miss, truth = (values - targets)[both], targets[both]
        usable = both.all() if wider == 1 else both.any()
        by_domain[key] = math.sqrt(np.mean(miss**2)) / np.std(truth) if usable else math.inf
    return by_domain


def equal(formula: str, name: str, tolerance: float = 0.01) -> bool:
    """Whether a formula is the law but for the last digits of its constants.

    That is, whether constants within 1 % of those of the formula (or within 0.001, for those near
    zero) make it equal to the law: Gauss-Newton from where they are must come to an error below
    1e-9 there. No form is preferred: tanh(atanh(x1) + atanh(x2)) is (x1 + x2)/(1 + x1*x2).
    """
    inputs, targets = (t.numpy() for t in law(name, N_TEST, generator=9_996))
    targets, width = targets[:, 0], inputs.shape[1]
    general, symbols, first = generalized(formula, width)
    every = general, *(general.diff(symbol) for symbol in symbols)
    parts, now = [numeric(part, width + len(symbols)) for part in every], first
    for _ in range(20):
        points = np.hstack([inputs, np.broadcast_to(now, (len(inputs), len(now)))])
        value, *slopes = (part(points) for part in parts)
        if not np.isfinite([value, *slopes]).all():
            return False
        if np.sqrt(np.mean((value - targets) ** 2)) < 1e-9 * np.std(targets):
            return bool((abs(now - first) <= np.maximum(tolerance * abs(first), 1e-3)).all())
        if not slopes:
            return False
        now = now + np.linalg.lstsq(np.stack(slopes, 1), targets - value, rcond=1e-10)[0]
    return False


def complexity(formula: str) -> int:
    """How many numbers, inputs and operations SymPy's tree of it has."""
    import sympy

    return sum(1 for _ in sympy.preorder_traversal(sympy.sympify(formula)))


def find_formula(settings: Mapping[str, Any], seed: int, **how: Any) -> dict[str, Any]:
    """Let one ``method``, a key of ``METHODS``, look for one ``law`` in samples with ``noise``.

    The seed is of the samples, and of all that is random in the method.

    Returns:
        ``formula`` (text, or None), ``error``, ``wide_error`` (None where infinite), ``equal``,
        ``complexity``, ``seconds`` of processor time, and what the method itself reports in
        ``note``.
    """
    name, noise = settings["law"], settings["noise"]
    inputs, targets = law(name, SAMPLES, noise=noise, generator=10_000 + seed)
    start = time.process_time()
    formula, note = METHODS[settings["method"]](name, inputs, targets, settings["limit"], seed)
    seconds = time.process_time() - start
    result = {"parameters": None, "loss": None, "diverged": False}
    result |= {"formula": formula, "error": None, "wide_error": None, "equal": False}
    result |= {"complexity": None, "seconds": rounded(seconds, 4), "note": note}
    if formula is not None:
        result |= {k: rounded(v, 4) for k, v in errors(formula, name).items()}
        result |= {"equal": equal(formula, name), "complexity": complexity(formula)}
    return result


def _kanbook(name: str, inputs: Tensor, targets: Tensor, limit: float, seed: int):
    """``formulas.discover``, from as many random starts as the time allows."""
    generator, start, last = torch.Generator().manual_seed(seed), time.process_time(), 0.0
    attempts = 0
    while True:
        attempts += 1
        before = time.process_time()
        options = {"attempts": 1, "held_out": 0, "generator": generator}  # the rows are older
        discovery = formulas.discover(inputs, targets, LAWS[name].widths, **options)
        last = max(last, time.process_time() - before)
        if discovery.complete or time.process_time() - start + last > limit:
            break
    curves = sum(len(layer.curves()) for layer in discovery.network)
    note = {"attempts": attempts, "curves": curves, "loss": rounded(discovery.loss, 4)}
    return str(discovery.expression()) if discovery.complete else None, note


METHODS: dict[str, Any] = {
    "kanbook": _kanbook,
    "pykan": regressors.pykan,
    "pykan, tuned": regressors.pykan_tuned,
    "operon": regressors.operon,
}


# --- who takes part ------------------------------------------------------------------------------


def settings(methods: Iterable[str], noises: Iterable[float]) -> Iterable[Settings]:
    for noise, method, name in product(noises, methods, LAWS):
        what = {"measure": "formula", "law": name, "noise": noise, "method": method}
        yield what | {"limit": 60}


def verify_formula(
    make: Make, table: Table, stored: dict[str, Any], **how: Any
) -> tuple[bool, str]:
    """Look for a formula again; whether as much was found, and one line with both formulas."""
    new = stored["settings"] | make()
    old = stored["settings"] | stored
    what = "{law}, noise {noise}, {method}".format(**stored["settings"])
    good = outcome(new) == outcome(old)
    return good, f"{what}: {new['formula']}; stored: {old['formula']}"


MEASUREMENT = Measurement(find_formula, lambda settings: settings["limit"], verify_formula)
EXPERIMENTS = (
    Experiment(
        "recovery",
        "How often does a small KAN become the formula behind its samples?",
        (15, 19),
        partial(settings, ["kanbook"], [0.0, 0.01, 0.05]),
        measurement=MEASUREMENT,
        seeds=10,
        minutes=120,
    ),
    Experiment(
        "recovery-rivals",
        "How often do PyKAN and genetic programming find the same formulas?",
        (15, 19),
        partial(settings, ["pykan", "pykan, tuned", "operon"], [0.0, 0.01]),
        measurement=MEASUREMENT,
        seeds=3,
        minutes=250,
    ),
)
