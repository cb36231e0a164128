"""A fair race of KAN and MLP on data of your own, in a minute or so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from .._checks import check_finite, check_integer
from ..counting import count_parameters
from ..networks import KAN, MLP
from ..training import fit

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["fair_race"]

SHARES = (0.6, 0.2)  # of the samples: to train on, to choose by; the rest is for the test
FRESH = 3  # grid updates of the KAN, restarts of the MLP's optimizer, in the first half


def fair_race(
    x: Any,
    y: Any,
    *,
    hidden: int = 5,
    steps: int = 300,
    rates: Sequence[float] = (0.01, 0.03, 0.1, 0.3),
    seeds: int = 3,
    generator: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> DataFrame:
    """Race a KAN against an MLP of as many parameters, on new samples, and both against a plane.

    The samples are shuffled; 60 % train, 20 % choose, 20 % test. Columns of x and y are
    standardized by the mean and deviation of the training part; a constant column becomes 0. Both
    networks are trained by Adam with a rate that falls to zero, and keep the weights that did best
    on the samples that choose. So is the rate chosen, with a seed that no result uses. Nothing but
    the result is taken from the test samples.

    Args:
        x: shape ``(N, I)``, a tensor or array of finite numbers, at least 20 samples.
        y: shape ``(N, O)`` or ``(N,)``.
        hidden: hidden nodes of the KAN, widths ``[I, hidden, O]``. The MLP has two hidden layers,
            of the widths that come closest in parameters.
        steps: of each training.
        rates: learning rates that are tried.
        seeds: how many networks of each family are tested.
        generator: number from which the shuffling and the networks start.
        device: where to train.
        progress: show a progress bar over the trainings.

    Returns:
        A ``pandas.DataFrame`` with one row a network: ``family`` ("KAN", "MLP", "linear"),
        ``parameters``, ``rate``, ``seed``, ``rmse`` (on the test samples, relative: 1 is what the
        mean of the targets would have) and ``seconds`` of its training.

    Raises:
        TypeError, ValueError: x and y do not fit, are not finite or too few.

    Example:
        >>> x = torch.rand(60, 2)
        >>> found = fair_race(x, x[:, 0] * x[:, 1], steps=20, rates=(0.03,), seeds=2)
        >>> found.groupby("family", sort=False).seed.count().to_dict()
        {'linear': 1, 'KAN': 2, 'MLP': 2}

    In the book: chapter 21.
    """
    x, y = _samples("x", x), _samples("y", y)
    if len(x) != len(y) or len(x) < 20:
        raise ValueError(
            f"x has {len(x)} samples and y {len(y)}; expected equal numbers, at least 20"
        )
    for name, value in (("hidden", hidden), ("steps", steps), ("seeds", seeds)):
        check_integer(name, value, 1)
    check_integer("generator", generator, 0)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(generator))
    ends = [round(SHARES[0] * len(x)), round(sum(SHARES) * len(x))]
    train, choose, test = order.tensor_split(ends)
    x, y = _standardized(x, train).to(device), _standardized(y, train).to(device)
    train, choose, test = ((x[part], y[part]) for part in (train, choose, test))

    makers = _networks(x.shape[1], y.shape[1], hidden, device)
    rows = [_linear(train, test)]
    first = 1000 * generator  # of the seeds
    bar = tqdm(total=len(makers) * (len(rates) + seeds), disable=not progress, unit="training")
    for family, make in makers.items():
        chosen, least = rates[0], math.inf
        for rate in rates:
            model = make(first + 999)
            _train(model, train, choose, steps, rate)
            if (error := _rmse(model, choose)) < least:
                chosen, least = rate, error
            bar.update()
        for seed in range(first, first + seeds):
            model = make(seed)
            seconds = _train(model, train, choose, steps, chosen)
            row = {"family": family, "parameters": count_parameters(model), "rate": chosen}
            rows.append(row | {"seed": seed, "rmse": _rmse(model, test), "seconds": seconds})
            bar.update()
    bar.close()
    from pandas import DataFrame

    return DataFrame(rows)


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
    scaled = (values - mean) / torch.where(deviation > 0, deviation, 1)
    return scaled.to(torch.get_default_dtype())


def _networks(inputs: int, outputs: int, hidden: int, device: torch.device | str):
    """For each family a function of the seed that makes a network."""
    widths = [inputs, hidden, outputs]
    size = count_parameters(KAN(widths, generator=0))
    pairs = [(a, b) for a in range(1, round(size**0.5) + 2) for b in range(a, 2 * a + 1)]
    shapes = [[inputs, *pair, outputs] for pair in pairs]

    def parameters(shape: list[int]) -> int:
        return sum((i + 1) * o for i, o in zip(shape[:-1], shape[1:], strict=True))

    closest = min(shapes, key=lambda shape: abs(parameters(shape) - size))
    return {
        "KAN": lambda seed: KAN(widths, generator=seed).to(device),
        "MLP": lambda seed: MLP(closest, generator=seed).to(device),
    }


def _train(
    model: nn.Module,
    train: tuple[Tensor, Tensor],
    choose: tuple[Tensor, Tensor],
    steps: int,
    rate: float,
) -> float:
    """Train, keep the weights that did best on the samples that choose, return the seconds."""
    fresh = {1, *(1 + round(steps / 2 * i / FRESH) for i in range(1, FRESH + 1))}
    change = {"update_grid_at" if isinstance(model, KAN) else "restart_at": fresh}
    options = {"lr": rate, "schedule": lambda t: 1 - t, "validation": choose, "patience": steps}
    return fit(model, *train, steps=steps, **options, **change).seconds


def _linear(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """The plane that fits the training samples best: what both networks have to beat."""
    x, y = (values.double().cpu().numpy() for values in train)
    weights = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)[0]
    model = nn.utils.skip_init(nn.Linear, x.shape[1], y.shape[1])  # no random numbers
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(weights[:-1].T))
        model.bias.copy_(torch.from_numpy(weights[-1]))
    rmse = _rmse(model.to(test[0]), test)
    return {"family": "linear", "parameters": weights.size, "seed": 0, "rmse": rmse, "seconds": 0.0}


@torch.no_grad()
def _rmse(model: nn.Module, samples: tuple[Tensor, Tensor]) -> float:
    """Relative to the deviation of these targets; infinite if the outputs are not finite."""
    x, y = samples
    error = (model(x) - y).square().mean() / (y - y.mean(0)).square().mean()
    return error.sqrt().nan_to_num(nan=math.inf).item()
