"""Networks in integers: how many bits and bytes does an error take, and who needs the fewest?

What is asked and what is expected stands in ``plan.md``, part W.
"""

from __future__ import annotations

import itertools
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from kanbook import MLP, estimators
from kanbook._checks import needed
from kanbook.lookup import to_tables
from kanbook.tasks import FUNCTIONS_1D

from .. import int8
from ..design import Measurement, experiment
from ..settings import Settings
from ..tasks.targets import target
from . import contest_run, trials

FIRST = 100  # what is added to seeds: by seed 0 the sizes and the time were found
SAMPLES, TESTED = 3000, 5000  # of a formula, to learn from and to test on
ROWS = 8000  # of a table in all
# Smooth ones, by the rule of the plan; then real tables and pictures of digits.
FORMULAS = (
    "curve:sine",
    *(f"formula:{name}" for name in ("exp_sine", "franke", "product", "field_5", "ten_waves")),
)
DATA = {"table:diamonds": "regression", "table:flights": "regression", "table:digits": "classes"}
FEW = FORMULAS[:4]  # of three inputs at most

BITS = 2, 3, 4, 6, 8, 12, 16
ENTRIES = tuple(2**n for n in range(2, 11))  # of an edge's table
GAUGES = {"gauge on": {}, "gauge off": {"scales": "layer", "centered": False}}
MOST = 2**14  # entries of a table for all inputs
STRENGTHS = 1e-8, 1e-6, 1e-4, 1e-2, 1.0, 100.0  # of the penalty there
RIDGES = 1e-6, 1.6e-5, 2.5e-4, 4e-3, 6.3e-2, 1.0
TRIALS: dict[str, list[Settings]] = {
    "KAN": [{"hidden": list(h)} for h in ((2,), (3,), (5,), (8,), (3, 3), (5, 5))],
    "additive": [{"hidden": [], "grid_size": grid} for grid in (3, 6, 12, 24, 48, 96)],
    "MLP": [
        {"hidden": [width, width], "activation": activation}
        for activation, width in itertools.product(("tanh", "relu"), (6, 12, 24))
    ],
    "linear": [{"ridge": ridge} for ridge in RIDGES],
    "table": [{"strength": strength} for strength in STRENGTHS],
}
WHOLE = {"hidden": [5]}, {"hidden": [], "grid_size": 12}  # trials that keep every variant

Samples = tuple[Tensor, Tensor]
Predict = Callable[[Tensor], Any]  # from inputs (N, I) to outputs (N, O)


class Variant(NamedTuple):
    """A way to store a network: its kind, what it is called in a row, its bytes, and how it runs.

    The ``key`` of a table is bits and entries, of an MLP the bits of an activation.
    """

    kind: str
    key: tuple[int, ...]
    bytes: int
    predict: Predict


def make_parts(task: str, seed: int) -> list[Samples]:
    """Samples to learn from, to choose by and to test on, float64.

    Inputs are in [-1, 1], and fill it over those to learn from; of formulas, others are drawn from
    there alone. Targets that are numbers have mean 0 and deviation 1 over those to learn from.
    Both as an estimator has them inside.
    """
    kind, _, name = task.partition(":")
    if kind == "table":
        split = contest_run.make_split({"task": task, "samples": ROWS, "dtype": "float64"}, seed)
        parts = [*split[:3]]
    else:
        generator, parts = torch.Generator().manual_seed(10_000 + seed), []
        for n in (SAMPLES, SAMPLES // 2, TESTED):
            if kind == "curve":
                x = 2 * torch.rand(n, 1, dtype=torch.float64, generator=generator) - 1
                y = FUNCTIONS_1D[name](x)
            else:
                x, y = target(name, n, generator=generator, dtype=torch.float64)
            parts.append((x, y))
        low, high = parts[0][0].aminmax(dim=0)
        inside = [((x >= low) & (x <= high)).all(1) for x, _ in parts]
        parts = [(x[i], y[i]) for (x, y), i in zip(parts, inside, strict=True)]
        parts = [(((2 * x - low - high) / (high - low)).clamp(-1, 1), y) for x, y in parts]
    y = parts[0][1]
    if y.ndim == 1:
        return parts
    mean, deviation = y.mean(), y.std(correction=0)
    return [(x, (y - mean) / deviation) for x, y in parts]


def error(predict: Predict, samples: Samples) -> dict[str, float]:
    """RMSE in spreads of these targets, or log-loss; see ``contest_run.errors``."""
    spread = 1.0 if samples[1].ndim == 1 else samples[1].std(correction=0).item()
    return contest_run.errors(lambda x: torch.as_tensor(predict(x)), samples, spread)


# --- sides ---------------------------------------------------------------------------------------


def train(settings: Settings, train: Samples, seed: int) -> tuple[nn.Module, dict[str, Any]]:
    """A network of scaled inputs and targets, and what is noted of its training."""
    x, y = train[0].numpy(), train[1].numpy()
    classes, side = y.ndim == 1, settings["side"]
    if side == "linear":
        return _linear(x, y, settings["ridge"]), {}
    options: Settings = {"hidden_layer_sizes": tuple(settings["hidden"]), "starts": 1}
    options |= {name: settings[name] for name in ("activation", "grid_size") if name in settings}
    if settings["task"] in FORMULAS:
        options["optimizer"] = "lm"
    if "steps" in settings:
        options["steps"] = settings["steps"]
    name = ("MLP" if side == "MLP" else "KAN") + ("Classifier" if classes else "Regressor")
    model = getattr(estimators, name)(random_state=seed, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y if classes else y[:, 0])
    return model.model_, {"optimizer": model.optimizer_}


def _linear(x: np.ndarray, y: np.ndarray, ridge: float) -> nn.Module:
    linear = needed("sklearn.linear_model")
    if y.ndim == 1:
        model = linear.LogisticRegression(C=1 / (ridge * len(x)), max_iter=1000)
    else:
        model = linear.Ridge(alpha=ridge * len(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
    weight = torch.from_numpy(np.atleast_2d(model.coef_))
    found = MLP([weight.shape[1], weight.shape[0]], generator=0, dtype=torch.float64)
    with torch.no_grad():
        found[0].weight.copy_(weight)
        found[0].bias.copy_(torch.as_tensor(model.intercept_))
    return found


def tables(model: nn.Module, x: Tensor, whole: bool) -> Iterator[Variant]:
    """A KAN as tables, made with samples x.

    If not ``whole``, they have a full byte an entry or two, and are nearest with the gauge on only.
    """
    ways = itertools.product(ENTRIES, (True, False), BITS if whole else (8, 16), GAUGES)
    for entries, interpolate, bits, gauge in ways:
        kind = f"{'interpolated' if interpolate else 'nearest'}, {gauge}"
        if whole or kind != "nearest, gauge off":
            how = {"bits": bits, "entries": entries, "interpolate": interpolate}
            made = to_tables(model, x, **how, **GAUGES[gauge])
            yield Variant(kind, (bits, entries), made.nbytes, made.predict)


def integers(model: nn.Module, x: Tensor) -> Iterator[Variant]:
    """An MLP with 8 bits a weight and 8 or 16 an activation, and in floats of 4 bytes."""
    for bits in (8, 16):
        made = int8.to_integers(model, x, bits=bits)
        yield Variant("8 bits a weight", (bits,), made.nbytes, made.predict)
    yield Variant("float", (32,), 4 * _parameters(model), _float(model))


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _float(model: nn.Module) -> Predict:
    return torch.no_grad()(model)


# --- one table for all inputs --------------------------------------------------------------------


def places(x: np.ndarray, entries: int, interpolate: bool) -> Any:
    """The matrix (N, entries^I) that reads a table at x (N, I) in [-1, 1]; sparse."""
    sparse = needed("scipy.sparse")
    u = (np.rint((x + 1) / 2 * 65535) / 65535).clip(0, 1)  # 16 bits, as for all
    if not interpolate:
        cells, corners = (u * entries).astype(int).clip(max=entries - 1), [(0,) * x.shape[1]]
        shares = np.zeros_like(u)
    else:
        u = u * (entries - 1)
        cells = u.astype(int).clip(max=entries - 2)
        corners, shares = [*itertools.product((0, 1), repeat=x.shape[1])], u - cells
    shape, total = (entries,) * x.shape[1], entries ** x.shape[1]
    rows, matrix = np.arange(len(x)), 0
    for corner in corners:
        weight = np.where(corner, shares, 1 - shares).prod(1)
        column = np.ravel_multi_index(tuple((cells + corner).T), shape)
        matrix = matrix + sparse.csr_matrix((weight, (rows, column)), (len(x), total))
    return matrix


def bends(entries: int, inputs: int) -> Any:
    """The matrix of all second differences of a table along its inputs; sparse."""
    sparse = needed("scipy.sparse")
    second = sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], (entries - 2, entries))
    one = sparse.identity(entries)
    parts = []
    for i in range(inputs):
        product = sparse.identity(1)
        for j in range(inputs):
            product = sparse.kron(product, second if i == j else one)
        parts.append(product)
    return sparse.vstack(parts)


def one_table(train: Samples, strength: float) -> Iterator[Variant]:
    """One table of all inputs, by least squares with a penalty on its second differences."""
    solve = needed("scipy.sparse.linalg").spsolve
    x, y = train[0].numpy(), train[1].numpy()[:, 0]
    for entries, interpolate in itertools.product(ENTRIES, (True, False)):
        if entries ** x.shape[1] > MOST:
            continue
        read, bend = places(x, entries, interpolate), bends(entries, x.shape[1])
        square = read.T @ read / len(x) + strength * bend.T @ bend / bend.shape[0]
        table = solve(square.tocsc(), read.T @ y / len(x))
        kind = "interpolated" if interpolate else "nearest"
        for bits in BITS:
            unit = np.ptp(table) / (2**bits - 1) or 1.0
            rounded = table.min() + unit * np.rint((table - table.min()) / unit)
            size = 5 + len(table) * (1 if bits <= 8 else 2)

            def predict(x: Tensor, t=rounded, how=(entries, interpolate)) -> np.ndarray:
                return (places(x.numpy(), *how) @ t)[:, None]

            yield Variant(kind, (bits, entries), size, predict)


# --- a run ---------------------------------------------------------------------------------------


@trials.ready()
def run(settings: Settings, seed: int, **_: Any) -> dict[str, Any]:
    """Train one network and store it in every way; ``FIRST`` is added to the seed.

    Returns:
        ``validation_error`` and ``test_error`` in floats (of a table, of its best variant),
        ``parameters``, ``seconds`` of the training; ``fronts``, for each kind of variant a list of
        those that no other beats in bytes and validation error: bytes, validation error, test
        error, and the key; ``grid``, of trials in ``WHOLE``, the test errors by kind, a list for
        each of ``BITS`` over ``ENTRIES``.
    """
    seed += FIRST
    parts, start = make_parts(settings["task"], seed), time.process_time()
    own = {name: settings[name] for name in ("hidden", "grid_size") if name in settings}
    whole, result = own in WHOLE, {"loss": None, "diverged": False, "note": {}}
    if settings["side"] == "table":
        variants = one_table(parts[0], settings["strength"])
        model = None
    else:
        model, note = train(settings, parts[0], seed)
        result |= {"note": note, "parameters": _parameters(model)}
        tested = error(_float(model), parts[2])
        floats = error(_float(model), parts[1])["error"], tested.pop("error")
        result["note"] |= {name: trials.rounded(value, 4) for name, value in tested.items()}
        is_kan = settings["side"] in ("KAN", "additive")
        x = parts[0][0]
        variants = tables(model, x, whole) if is_kan else integers(model, x)
    result["seconds"] = trials.rounded(time.process_time() - start, 4)
    measured = [
        (one, *(error(one.predict, part)["error"] for part in parts[1:])) for one in variants
    ]
    if model is None:
        floats = min((validation, test) for _, validation, test in measured)
        result["parameters"] = None
    result |= dict(
        zip(("validation_error", "test_error"), (trials.rounded(e, 5) for e in floats), strict=True)
    )
    kinds = dict.fromkeys(one.kind for one, *_ in measured)
    result["fronts"] = {kind: front([m for m in measured if m[0].kind == kind]) for kind in kinds}
    if whole:
        found = {(one.kind, *one.key): trials.rounded(test, 3) for one, _, test in measured}
        result["grid"] = {k: [[found[k, b, e] for e in ENTRIES] for b in BITS] for k in kinds}
    return result


def front(measured: list[tuple[Variant, float, float]]) -> list[list[float | None]]:
    """Those that no other beats in bytes and validation error, smallest first."""
    rows, least = [], math.inf
    for one, *errors in sorted(measured, key=lambda m: (m[0].bytes, m[1])):
        validation, test = (trials.rounded(e, 3) for e in errors)
        if validation is not None and validation < least:
            least = validation
            rows.append([one.bytes, validation, test, *one.key])
    return rows


def settings() -> Iterable[Settings]:
    """How many bits does an edge need, and how many bytes a network?"""
    kinds = dict.fromkeys(FORMULAS, "regression") | DATA
    for (task, kind), (side, options) in itertools.product(kinds.items(), TRIALS.items()):
        if side != "table" or task in FEW:
            for option in options:
                yield {"measure": "bits", "task": task, "kind": kind, "side": side} | option


EXPERIMENT = experiment(
    "bits",
    (18, 19),
    measurement=Measurement(run, lambda _: 1, None, pinned=False),
    seeds=5,
    minutes=100,
)(settings)
