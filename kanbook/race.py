"""A fair race of KANs, an MLP and what the field would use, on data of your own."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import baselines
from ._checks import check_finite, check_integer, check_name
from .counting import count_parameters
from .grids import in_first_half
from .networks import KAN, MLP
from .spline_mlp import SplineActivation, SplineMLP
from .tables import kind_of, prepare
from .training import fit

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["CONTESTANTS", "fair_race"]

CONTESTANTS = "linear", "additive", "boosted trees", "KAN, one layer", "KAN", "MLP"
PLAIN = "linear", "KAN", "MLP"  # these need no scikit-learn
OTHERS = "gaussian process", "polynomial", "spline MLP"  # the first two: no classes, few inputs
STEPS = {"adam": 300, "lm": 60}
SHARES = (0.6, 0.2)  # of the samples: to train on, to choose by; the rest is for the test
FRESH = 3  # grid updates of a KAN, restarts of the MLP's optimizer, in the first half

Samples = tuple[Tensor, Tensor]  # inputs (N, I), and targets (N, O) or classes (N,)
Predict = Callable[[Tensor], Tensor]  # inputs (N, I) to numbers (N, O) or logits (N, C)


def fair_race(
    x: Any,
    y: Any,
    *,
    kind: str | None = None,
    contestants: Sequence[str] | None = None,
    hidden: int = 5,
    optimizer: str = "adam",
    steps: int | None = None,
    rates: Sequence[float] = (0.01, 0.03, 0.1, 0.3),
    seeds: int = 3,
    shuffle: bool = True,
    generator: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> DataFrame:
    """Race KANs, an MLP of as many parameters, and what the field would use, on new samples.

    Of the samples, shuffled, 60 % train, 20 % choose and 20 % test, of classes each in these
    shares. A table, and any classes, are prepared by what the training part shows
    (:func:`~kanbook.tables.prepare`); numbers as tensors are standardized by it. Networks keep the
    weights that did best on the samples that choose. So is the rate chosen, with a seed that no
    result uses, and all that the others may choose (:mod:`.baselines`).

    Args:
        x: a ``pandas.DataFrame``, or numbers of shape ``(N, I)``; 20 rows at least.
        y: the name of the column to predict, or such a column; or numbers of shape ``(N, O)`` or
            ``(N,)``, for classes ``(N,)``.
        kind: "regression" or "classes"; if not given, found out for a table as ``prepare`` does,
            regression for tensors.
        contestants: which of ``CONTESTANTS`` and ``OTHERS``: "gaussian process" and "polynomial"
            are for numbers. If not given, all of ``CONTESTANTS`` for a table or classes; for
            numbers as tensors "linear", "KAN" and "MLP".
        hidden: hidden nodes of the KAN, widths ``[I, hidden, O]``. The MLPs have two hidden layers,
            of the widths that come closest in parameters.
        optimizer: "adam", with a rate that falls to zero; or "lm", Levenberg-Marquardt in 64 bits,
            without rates, for numbers. KANs move their knots four times, the others restart then.
        steps: of each training; if not given, 300 of Adam, 60 of Levenberg-Marquardt.
        rates: learning rates that Adam tries.
        seeds: how many networks of each family are tested.
        shuffle: False where rows follow each other in time: the last ones are then the test.
        generator: number from which the shuffling and the networks start.
        device: where to train.
        progress: show a progress bar over the trainings.

    Returns:
        A ``pandas.DataFrame`` with one row a network: ``family`` (the contestant), ``parameters``,
        ``rate`` (NaN where none was chosen), ``seed``, ``error`` on the test samples, ``seconds``
        of its training and ``prediction_seconds``, those of one row alone (median of 20). The error
        is relative: 1 is what the best constant would have. Of numbers it is the root mean square,
        also in the column ``rmse``; of classes the log-loss, with ``accuracy`` beside it.

    Raises:
        TypeError, ValueError: x and y do not fit, are not finite or too few, a class has fewer than
            5 samples, a contestant or optimizer is unknown or not for classes, or as ``prepare``.
        ImportError: a contestant needs scikit-learn, and it is not installed.

    Example:
        >>> x = torch.rand(60, 2)
        >>> found = fair_race(x, x[:, 0] * x[:, 1], steps=20, rates=(0.03,), seeds=2)
        >>> found.groupby("family", sort=False).seed.count().to_dict()
        {'linear': 1, 'KAN': 2, 'MLP': 2}

    In the book: chapters 16 and 19.
    """
    from pandas import DataFrame

    check_name("optimizer", optimizer, STEPS)
    steps = STEPS[optimizer] if steps is None else steps
    if len(rates) == 0:
        raise ValueError(f"rates={rates!r}; expected one learning rate or more")
    for name, value in (("hidden", hidden), ("steps", steps), ("seeds", seeds)):
        check_integer(name, value, 1)
    if contestants is None:
        contestants = CONTESTANTS if isinstance(x, DataFrame) or kind == "classes" else PLAIN
    for name in contestants:
        if name not in CONTESTANTS + OTHERS:
            raise ValueError(f"contestants has {name!r}; expected some of {CONTESTANTS + OTHERS}")
    parts = _parts(x, y, kind, shuffle, torch.Generator().manual_seed(generator))
    if parts[0][1].ndim == 1 and optimizer == "lm":
        raise ValueError("optimizer='lm' is for numbers; expected 'adam' for classes")
    train, choose, test = (_ready(part, optimizer, device) for part in parts)
    outputs = train[1].shape[1] if train[1].ndim == 2 else int(train[1].max()) + 1
    networks = _networks(train[0].shape[1], outputs, hidden, train[0].dtype)
    tried = tuple(rates) if optimizer == "adam" else ()
    first = 1000 * generator  # of the seeds
    trainings = sum(len(tried) + seeds if name in networks else 1 for name in contestants)
    rows = []

    def note(family, predict, parameters, rate, seed, seconds):
        row = {"family": family, "parameters": parameters, "rate": rate, "seed": seed}
        row |= _errors(predict, test) | {"seconds": seconds}
        rows.append(row | {"prediction_seconds": _prediction_seconds(predict, test[0][:1])})

    with tqdm(total=trainings, disable=not progress, unit="training") as bar:
        for family in contestants:
            if family not in networks:
                start = time.perf_counter()
                predict, parameters = _baseline(family, train, choose)
                note(family, predict, parameters, math.nan, 0, time.perf_counter() - start)
                bar.update()
                continue
            make, rate, least = networks[family], next(iter(tried), math.nan), math.inf
            for candidate in tried:
                model = make(first + 999).to(device)
                _train(model, train, choose, steps, candidate)
                if (error := _errors(model, choose)["error"]) < least:
                    rate, least = candidate, error
                bar.update()
            for seed in range(first, first + seeds):
                model = make(seed).to(device)
                seconds = _train(model, train, choose, steps, rate)
                note(family, model, count_parameters(model), rate, seed, seconds)
                bar.update()
    return DataFrame(rows)


def _parts(x, y, kind, shuffle, generator) -> list[Samples]:
    """The samples that train, choose and test, of a table or of numbers."""
    from pandas import DataFrame

    if kind == "classes" and not isinstance(x, DataFrame):
        x = DataFrame(_samples("x", x).numpy())
    if not isinstance(x, DataFrame):
        return _of_numbers(x, y, shuffle, generator)
    if np.ndim(y) > 0:
        x, y = x.assign(target=np.ravel(y)), "target"
    return _of_table(x, y, kind, shuffle, generator)


def _ready(samples: Samples, optimizer: str, device: torch.device | str) -> Samples:
    """On the device; numbers as the optimizer wants them, in 64 bits for Levenberg-Marquardt."""
    x, y = (values.to(device) for values in samples)
    if y.ndim == 1:
        return x, y
    dtype = torch.float64 if optimizer == "lm" else torch.get_default_dtype()
    return x.to(dtype), y.to(dtype)


def _of_table(frame, target, kind, shuffle, generator) -> list[Samples]:
    kind = kind_of(frame, target, kind)
    if len(frame) < 20:
        raise ValueError(f"frame has {len(frame)} rows; expected at least 20")
    classes = None
    if kind == "classes":
        counts = frame[target].astype(object).value_counts()  # no levels without rows
        if counts.min() < 5:
            raise ValueError(
                f"target column {target!r} has {counts.idxmin()!r} in {counts.min()} rows only; "
                "expected 5 or more of each class: join rare ones or leave them out"
            )
        classes = torch.from_numpy(frame[target].factorize()[0])
    train, choose, test = (frame.iloc[i] for i in _split(len(frame), classes, shuffle, generator))
    prepared = prepare(train, target, kind=kind)
    return [prepared(part) for part in (train, choose, test)]


def _of_numbers(x, y, shuffle, generator) -> list[Samples]:
    x, y = _samples("x", x), _samples("y", y)
    if len(x) != len(y) or len(x) < 20:
        raise ValueError(
            f"x has {len(x)} samples and y {len(y)}; expected equal numbers, at least 20"
        )
    parts = _split(len(x), None, shuffle, generator)
    x, y = _standardized(x, parts[0]), _standardized(y, parts[0])
    return [(x[part], y[part]) for part in parts]


def _split(n: int, classes: Tensor | None, shuffle: bool, generator) -> list[Tensor]:
    """Which rows train, choose and test; of shuffled classes, of each 3, 1 and 1 of any 5."""
    order = torch.randperm(n, generator=generator) if shuffle else torch.arange(n)
    if shuffle and classes is not None:
        order = order[classes[order].argsort(stable=True)]
        turn = torch.arange(n) % 5
        return [order[turn < 3], order[turn == 3], order[turn == 4]]
    return [*order.tensor_split([round(SHARES[0] * n), round(sum(SHARES) * n)])]


def _samples(name: str, values: Any) -> Tensor:
    tensor = torch.as_tensor(values if isinstance(values, Tensor) else np.asarray(values))
    tensor = tensor.to("cpu", torch.float64)
    tensor = tensor.unsqueeze(-1) if tensor.ndim == 1 else tensor
    if tensor.ndim != 2:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}; expected (N, columns)")
    check_finite(name, tensor)
    return tensor


def _standardized(values: Tensor, train: Tensor) -> Tensor:
    mean, deviation = values[train].mean(0), values[train].std(0)
    return (values - mean) / torch.where(deviation > 0, deviation, 1)


def _networks(inputs: int, outputs: int, hidden: int, dtype: torch.dtype | None = None):
    """For each family a function of the seed that makes a network."""
    widths = [inputs, hidden, outputs]
    size = count_parameters(KAN(widths, generator=0))
    pairs = [(a, b) for a in range(1, round(size**0.5) + 2) for b in range(a, 2 * a + 1)]
    shapes = [[inputs, *pair, outputs] for pair in pairs]

    def closest(numbers: Callable[[list[int]], int]) -> list[int]:
        return min(shapes, key=lambda shape: abs(numbers(shape) - size))

    mlp = closest(_numbers_of_mlp)
    coefficients = SplineActivation(1).coef.numel()  # of each hidden node
    splines = closest(lambda shape: _numbers_of_mlp(shape) + coefficients * sum(shape[1:-1]))
    return {
        "KAN, one layer": lambda seed: KAN([inputs, outputs], generator=seed, dtype=dtype),
        "KAN": lambda seed: KAN(widths, generator=seed, dtype=dtype),
        "MLP": lambda seed: MLP(mlp, generator=seed, dtype=dtype),
        "spline MLP": lambda seed: SplineMLP(splines, generator=seed, dtype=dtype),
    }


def _numbers_of_mlp(widths: list[int]) -> int:
    return sum((i + 1) * o for i, o in pairwise(widths))


def _train(model: nn.Module, train: Samples, choose: Samples, steps: int, rate: float) -> float:
    """Train by Adam with this rate, or by Levenberg-Marquardt if it is NaN; return the seconds."""
    fresh = {1, *in_first_half(steps, FRESH)}
    how = {"lr": rate, "schedule": lambda t: 1 - t}
    how = {"optimizer": "lm"} if math.isnan(rate) else how
    how |= {"update_grid_at" if isinstance(model, KAN) else "restart_at": fresh}
    how |= {"loss": nn.functional.cross_entropy} if train[1].ndim == 1 else {}
    return fit(model, *train, steps=steps, validation=choose, patience=steps, **how).seconds


def _baseline(name: str, train: Samples, choose: Samples) -> tuple[Predict, int | None]:
    """What the field would use, one model for each output; and how many numbers it has."""
    (x, y), (u, v) = ([t.cpu().double().numpy() for t in part] for part in (train, choose))
    if y.ndim == 1:
        models = [baselines.fit(name, (x, y.astype(int)), (u, v.astype(int)), kind="classes")]
    else:
        fit_one = _plane if name == "linear" else lambda *parts: baselines.fit(name, *parts)
        pairs = zip(np.hsplit(y, y.shape[1]), np.hsplit(v, v.shape[1]), strict=True)
        models = [fit_one((x, a), (u, b)) for a, b in pairs]

    def predict(x: Tensor) -> Tensor:
        columns = np.hstack([model.predict(x.cpu().double().numpy()) for model in models])
        columns = np.log(columns.clip(1e-6)) if y.ndim == 1 else columns
        return torch.from_numpy(columns).to(x)

    sizes = [model.parameters for model in models]
    return predict, None if None in sizes else sum(sizes)


def _plane(train: tuple, choose: tuple) -> baselines.Baseline:
    """The linear baseline, of columns that are scaled already, without scikit-learn."""
    _, coef, constant, _ = baselines.ridge(train, choose)
    return baselines.Baseline(lambda x: (x @ coef + constant)[:, None], len(coef) + 1, "")


@torch.no_grad()
def _errors(predict: Predict, samples: Samples) -> dict[str, float]:
    """Relative to the best constant for these targets; infinite if the outputs are not finite."""
    x, y = samples
    output = predict(x)
    if y.ndim == 1:
        shares = y.bincount() / len(y)
        loss = nn.functional.cross_entropy(output, y) / torch.special.entr(shares).sum()
        accuracy = (output.argmax(1) == y).double().mean().item()
        return {"error": loss.nan_to_num(nan=math.inf).item(), "accuracy": accuracy}
    error = (output - y).square().mean() / (y - y.mean(0)).square().mean()
    error = error.sqrt().nan_to_num(nan=math.inf).item()
    return {"error": error, "rmse": error}


@torch.no_grad()
def _prediction_seconds(predict: Predict, row: Tensor) -> float:
    spent = []
    for _ in range(20):
        start = time.perf_counter()
        predict(row).cpu()  # a GPU has then finished
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)
