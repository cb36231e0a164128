"""A fair race of KANs, an MLP and what the field would use, on data of your own."""

from __future__ import annotations

import math
import time
import timeit
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import baselines
from ._checks import check_finite, check_integer, check_name, check_number
from .counting import count_parameters
from .grids import in_first_half
from .networks import KAN, MLP
from .spline_mlp import SplineActivation, SplineMLP
from .tables import checked, named, prepare
from .training import fit

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["CONTESTANTS", "fair_race"]

CONTESTANTS = "linear", "additive", "boosted trees", "KAN, one layer", "KAN", "MLP"
PLAIN = "linear", "KAN", "MLP"  # of them, for numbers as tensors
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
        y: the name of the column to predict, or such a column that x is without; or numbers of
            shape ``(N, O)`` or ``(N,)``, for classes ``(N,)``.
        kind: "regression" or "classes"; if not given, for a table found out as ``prepare`` does,
            for arrays regression, unless y holds words or True and False.
        contestants: which of ``CONTESTANTS`` and ``OTHERS``, of which the first two are not for
            classes. If not given, ``CONTESTANTS``; for numbers as arrays "linear", "KAN", "MLP".
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
        progress: show a progress bar over the contestants.

    Returns:
        A ``pandas.DataFrame`` with one row a network: ``family`` (the contestant), ``parameters``,
        ``rate`` (NaN where none was chosen), ``seed``, ``error`` on the test samples, ``seconds``
        of its training and ``prediction_seconds``, those of one row alone (median of 20). The error
        is relative: 1 is what the best constant would have. Of numbers it is the root mean square,
        also in the column ``relative_rmse``; of classes the log-loss, with ``accuracy`` beside it.
        A contestant that fails is one row at the end, with NaN and, as ``failure``, the exception.

    Raises:
        TypeError, ValueError: an argument is out of range, x and y do not fit, y is the same in all
            rows of a part, a class has fewer than 5 samples, or as ``prepare``.

    Example:
        >>> x = torch.rand(60, 2)
        >>> found = fair_race(x, x[:, 0] * x[:, 1], steps=20, rates=(0.03,), seeds=2)
        >>> found.groupby("family", sort=False).seed.count().to_dict()
        {'linear': 1, 'KAN': 2, 'MLP': 2}

    In the book: chapters 16 and 19.
    """
    check_name("optimizer", optimizer, STEPS)
    check_name("kind", "regression" if kind is None else kind, ("regression", "classes"))
    steps = STEPS[optimizer] if steps is None else steps
    tried = np.ravel(rates).tolist() if optimizer == "adam" else []
    if not tried and optimizer == "adam":
        raise ValueError(f"rates={rates!r}; expected one learning rate or more")
    for rate in tried:
        check_number("rates", rate, minimum=0, positive=True)
    for name, value in (("hidden", hidden), ("steps", steps), ("seeds", seeds)):
        check_integer(name, value, 1)
    check_integer("generator", generator, 0, 2**53)
    parts = _parts(x, y, kind, shuffle, torch.Generator().manual_seed(int(generator)))
    classes = parts[0][1].ndim == 1
    if classes and optimizer == "lm":
        raise ValueError("optimizer='lm' is for numbers; expected 'adam' for classes")
    if contestants is None:
        contestants = CONTESTANTS if classes or hasattr(x, "columns") else PLAIN
    contestants = np.ravel(contestants).tolist()
    known = CONTESTANTS + (OTHERS[2:] if classes else OTHERS)
    for name in contestants:
        if name not in known:
            raise ValueError(f"contestants has {name!r}; expected some of {known}")
    train, choose, test = (_ready(part, optimizer, device) for part in parts)
    outputs = train[1].shape[1] if train[1].ndim == 2 else int(train[1].max()) + 1
    networks = _networks(train[0].shape[1], outputs, hidden, train[0].dtype)
    first = 1000 * int(generator)  # of the seeds

    def trained(make):
        rate, least = next(iter(tried), math.nan), math.inf
        for candidate in tried:
            model = make(first + 999).to(device)
            _train(model, train, choose, steps, candidate)
            if (error := _errors(model, choose)["error"]) < least:
                rate, least = candidate, error
        for seed in range(first, first + seeds):
            model = make(seed).to(device)
            seconds = _train(model, train, choose, steps, rate)
            yield model, count_parameters(model), rate, seed, seconds

    rows, failed = [], []
    for family in tqdm(contestants, disable=not progress, unit="contestant"):
        try:
            make = networks.get(family)
            entries = [*trained(make)] if make else [_baseline(family, train, choose)]
            for predict, parameters, rate, seed, seconds in entries:
                row = {"family": family, "parameters": parameters, "rate": rate, "seed": seed}
                row |= _errors(predict, test) | {"seconds": seconds}
                rows.append(row | {"prediction_seconds": _prediction_seconds(predict, test[0][:1])})
        except Exception as error:  # whatever it is, the others race on
            failure = f"{type(error).__name__}: {error}"
            failed.append({"family": family, "error": math.nan, "failure": failure})
    return _shown_whole(rows + failed)


def _shown_whole(rows: list[dict[str, Any]]) -> DataFrame:
    """A table that is printed with all its columns, however narrow the terminal."""
    from pandas import DataFrame

    class Race(DataFrame):
        __repr__ = DataFrame.to_string

        def __reduce__(self):  # a class in here cannot be pickled
            return DataFrame, (DataFrame(self),)

    return Race(rows)


def _parts(x, y, kind, shuffle, generator) -> list[Samples]:
    """The samples that train, choose and test, of a table or of numbers."""
    from pandas import DataFrame, Series

    if not isinstance(x, DataFrame):
        if kind == "regression" or kind is None and _array(y).dtype.kind in "iuf":
            return _of_numbers(x, y, shuffle, generator)
        x = DataFrame(_samples("x", x).numpy())
    elif isinstance(y, (DataFrame, Series)) and not y.index.equals(x.index):
        raise ValueError("y has another index than x; expected the same rows in the same order")
    if np.ndim(y) > 0 and not (isinstance(y, tuple) and y in x):  # a name of several levels
        x, y = _joined(x, y)
    frame, target, kind = checked(x, y, kind)
    classes = None
    if kind == "classes":
        counts = frame[target].astype(object).value_counts()  # no levels without rows
        if counts.min() < 5:
            raise ValueError(
                f"target column {target!r} has {counts.idxmin()!r} in {counts.min()} rows only; "
                "expected 5 or more of each class: join rare ones or leave them out"
            )
        classes = torch.from_numpy(frame[target].factorize()[0])
    parts = [frame.iloc[rows] for rows in _split(len(frame), classes, shuffle, generator)]
    return [*map(prepare(parts[0], target, kind=kind), parts)]


def _joined(x: DataFrame, y: Any) -> tuple[DataFrame, str]:
    """The table with y as one column more, and the name of this column."""
    if hasattr(y, "array") and y.name in x and y.equals(x[y.name]):
        raise ValueError(f"y is column {y.name!r} of x; expected x without it, or y={y.name!r}")
    values = y.array if hasattr(y, "array") else np.atleast_1d(_array(y).squeeze())
    if values.shape != (len(x),):
        raise ValueError(f"y has shape {values.shape}; expected one for each of {len(x)} rows of x")
    x, name = named(x), "y"
    while name in x:
        name += "'"
    return x.assign(**{name: values}), name


def _ready(samples: Samples, optimizer: str, device: torch.device | str) -> Samples:
    """On the device; numbers as the optimizer wants them, in 64 bits for Levenberg-Marquardt."""
    x, y = (values.to(device) for values in samples)
    if (y == y[0]).all(0).any():
        raise ValueError(f"y is the same in all {len(y)} rows of one part; expected two values")
    dtype = torch.float64 if optimizer == "lm" else torch.get_default_dtype()
    return x.to(dtype), y if y.ndim == 1 else y.to(dtype)


def _of_numbers(x, y, shuffle, generator) -> list[Samples]:
    x, y = _samples("x", x), _samples("y", y)
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} samples and y {len(y)}; expected as many")
    parts = _split(len(x), None, shuffle, generator)
    for values in (x, y):
        mean, deviation = values[parts[0]].mean(0), values[parts[0]].std(0)
        values.sub_(mean).div_(torch.where(deviation > 0, deviation, 1))
    return [(x[part], y[part]) for part in parts]


def _split(n: int, classes: Tensor | None, shuffle: bool, generator) -> list[Tensor]:
    """Which rows train, choose and test; of shuffled classes, of each 3, 1 and 1 of any 5."""
    if n < 20:
        raise ValueError(f"x has {n} rows; expected at least 20")
    order = torch.randperm(n, generator=generator) if shuffle else torch.arange(n)
    if shuffle and classes is not None:
        order = order[classes[order].argsort(stable=True)]
        turn = torch.arange(n) % 5
        return [order[turn < 3], order[turn == 3], order[turn == 4]]
    return [*order.tensor_split([round(SHARES[0] * n), round(sum(SHARES) * n)])]


def _array(values: Any) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values  # NumPy has no bfloat16
    return np.asarray(values)


def _samples(name: str, values: Any) -> Tensor:
    array = _array(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {array.dtype}; expected numbers, or x as a DataFrame")
    tensor = torch.from_numpy(np.array(array, float, order="C"))
    tensor = tensor.unsqueeze(-1) if tensor.ndim == 1 else tensor
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}; expected (N, columns >= 1)")
    check_finite(name, tensor)
    return tensor


def _networks(inputs: int, outputs: int, hidden: int, dtype: torch.dtype | None = None):
    """For each family a function of the seed that makes a network."""
    widths = [inputs, hidden, outputs]
    size = count_parameters(KAN(widths, generator=0))
    pairs = [(a, b) for a in range(1, round(size**0.5) + 2) for b in range(a, 2 * a + 1)]

    def closest(own: int) -> list[int]:  # numbers of a hidden node's own function
        def excess(a, b):
            return (inputs + 1 + own) * a + (a + 1 + own) * b + (b + 1) * outputs - size

        return [inputs, *min(pairs, key=lambda pair: abs(excess(*pair))), outputs]

    mlp, splines = closest(0), closest(SplineActivation(1).coef.numel())
    return {
        "KAN, one layer": lambda seed: KAN([inputs, outputs], generator=seed, dtype=dtype),
        "KAN": lambda seed: KAN(widths, generator=seed, dtype=dtype),
        "MLP": lambda seed: MLP(mlp, generator=seed, dtype=dtype),
        "spline MLP": lambda seed: SplineMLP(splines, generator=seed, dtype=dtype),
    }


def _train(model: nn.Module, train: Samples, choose: Samples, steps: int, rate: float) -> float:
    """Train by Adam with this rate, or by Levenberg-Marquardt if it is NaN; return the seconds."""
    fresh = {1, *in_first_half(steps, FRESH)}
    how = {"lr": rate, "schedule": lambda t: 1 - t}
    how = {"optimizer": "lm"} if math.isnan(rate) else how
    how |= {"update_grid_at" if isinstance(model, KAN) else "restart_at": fresh}
    how |= {"loss": nn.functional.cross_entropy} if train[1].ndim == 1 else {}
    return fit(model, *train, steps=steps, validation=choose, patience=steps, **how).seconds


def _baseline(name: str, train: Samples, choose: Samples) -> tuple:
    """What the field would use, one model for each output: all of its row but the errors."""
    baselines.sklearn("ensemble")  # nobody's time is that of the import
    start = time.perf_counter()
    (x, y), (u, v) = ([t.cpu().double().numpy() for t in part] for part in (train, choose))
    if y.ndim == 1:
        models = [baselines.fit(name, (x, y.astype(int)), (u, v.astype(int)), kind="classes")]
    else:
        pairs = zip(np.hsplit(y, y.shape[1]), np.hsplit(v, v.shape[1]), strict=True)
        models = [baselines.fit(name, (x, a), (u, b)) for a, b in pairs]

    def predict(x: Tensor) -> Tensor:
        columns = np.hstack([model.predict(x.cpu().double().numpy()) for model in models])
        columns = np.log(columns.clip(1e-6)) if y.ndim == 1 else columns
        return torch.from_numpy(columns).to(x)

    sizes = [model.parameters for model in models]
    parameters = None if None in sizes else sum(sizes)
    return predict, parameters, math.nan, 0, time.perf_counter() - start


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
    error = ((output - y).square().mean() / (y - y.mean(0)).square().mean()).sqrt()
    return dict.fromkeys(("error", "relative_rmse"), error.nan_to_num(nan=math.inf).item())


@torch.no_grad()
def _prediction_seconds(predict: Predict, row: Tensor) -> float:
    # Once on the CPU, a GPU has finished.
    return float(np.median(timeit.repeat(lambda: predict(row).cpu(), number=1, repeat=20)))
