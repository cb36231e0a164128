"""Spectral bias: which frequencies of a sum of waves a network learns first, and which not at all.

What is asked and what is expected stands in ``plan.md``, part K.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..design import Measurement, experiment
from ..settings import Settings, kan, mlp, samples, sized
from . import trials

N_TRAIN, N_VALIDATION, N_TEST = 1000, 500, 2000
PROBES = 12  # looks at the frequencies in a training, ever farther apart


def frequencies(task: str) -> Tensor:
    """The ten numbers of waves on the domain: "waves:50" has 5, 10, to 50; shape ``(10,)``."""
    highest = int(task.removeprefix("waves:"))
    return torch.arange(1, 11, dtype=torch.float64) * highest / 10


def waves(x: Tensor, k: Tensor, phases: Tensor) -> Tensor:
    r"""Return a sum of waves of equal height, with deviation 1 over [-1, 1].

    .. math::
        y(x) = \sqrt{2 / K} \sum_k \sin(2 \pi k u + \varphi_k), \qquad u = (x + 1) / 2

    Args:
        x: shape ``(N, 1)``, on [-1, 1].
        k, phases: shape ``(K,)``; whole numbers of waves on the domain, and radians.

    Returns:
        Shape ``(N, 1)``.

    Example:
        >>> x = torch.tensor([[-1.0], [-0.5], [0.0]])
        >>> waves(x, torch.tensor([1.0]), torch.zeros(1)).round(decimals=2).abs()
        tensor([[0.0000],
                [1.4100],
                [0.0000]])

    Source: Rahaman et al., "On the Spectral Bias of Neural Networks" (ICML 2019), section 3.
    In the book: chapter 8.
    """
    angles = torch.pi * k * (x + 1) + phases
    return math.sqrt(2 / len(k)) * angles.sin().sum(-1, keepdim=True)


def missing(residual: Tensor, k: Tensor) -> Tensor:
    r"""Return how much of each wave a residual still has: 1 if nothing is learned, 0 if all is.

    .. math::
        \left| \frac{2}{N} \sum_n r_n e^{-2 \pi i k u_n} \right| \bigg/ \sqrt{2 / K}

    Args:
        residual: target minus output at N equally spaced places, the middles of equal parts of
            the domain, shape ``(N, 1)``.
        k: shape ``(K,)``; whole numbers below N / 2.

    Returns:
        Shape ``(K,)``; above 1 where there is more to undo than to learn.

    Example:
        >>> x, k = middles(100), torch.tensor([1.0, 2.0])
        >>> second = waves(x, k, torch.zeros(2)) - waves(x, k[:1], torch.zeros(1)) / 2**0.5
        >>> missing(second, k).round(decimals=3).abs()
        tensor([0., 1.], dtype=torch.float64)
    """
    angles = torch.pi * k.double() * (middles(len(residual)) + 1)
    turned = residual.double() * torch.polar(torch.ones_like(angles), -angles)
    return 2 * turned.mean(0).abs() / math.sqrt(2 / len(k))


def middles(n: int) -> Tensor:
    """The middles of n equal parts of [-1, 1], shape ``(n, 1)``, float64."""
    return ((2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1).unsqueeze(-1)


def sample_waves(task: str, seed: int, **where: Any) -> list[tuple[Tensor, Tensor]]:
    """Return places ``(N, 1)`` and heights ``(N, 1)`` to learn from, to choose by, and to test on.

    Phases and places are of the seed; the places of the test are equally spaced.
    """
    generator = torch.Generator().manual_seed(10_000 + seed)
    k = frequencies(task)
    phases = 2 * torch.pi * torch.rand(len(k), dtype=torch.float64, generator=generator)
    random = torch.rand(N_TRAIN + N_VALIDATION, 1, dtype=torch.float64, generator=generator)
    places = *(2 * random - 1).split([N_TRAIN, N_VALIDATION]), middles(N_TEST)
    return [(x.to(**where), waves(x, k, phases).to(**where)) for x in places]


@trials.ready()
def learn_waves(settings: Settings, seed: int, *, device: str = "cpu", **how: Any) -> dict:
    """Train one network on waves and look at the frequencies.

    Returns:
        As :func:`~evidence.runs.trials.run_trial`, except that ``loss`` is that at 500 places that
        were not learned from, for choosing rates; ``test_loss`` is that at 2,000 others. With
        ``watch``, ``probes``: the share of each wave that is :func:`missing`, lowest first.
    """
    wanted = trials.spread(settings["steps"], PROBES) if settings.get("watch") else set()
    k, probes = frequencies(settings["task"]), []
    heights = sample_waves(settings["task"], seed, **trials.place(settings, device))
    train, validation, (x, y) = ((trials.features(settings, x), y) for x, y in heights)

    def look(step: int, model: nn.Module) -> None:
        if step in wanted:
            with torch.no_grad():
                shares = missing((y - model(x)).cpu(), k).tolist()
            probes.append({"step": step, "missing": [trials.rounded(s, 3) for s in shares]})

    model, watch = trials.train_once(settings, seed, train, look, device=device, **how)
    result = watch.told(model, watch.error(model, validation))
    result["test_loss"] = trials.rounded(watch.error(model, (x, y)), 8)
    return result | ({"probes": probes} if settings.get("watch") else {})


SIZE = 1000
CONTESTANTS: dict[str, tuple[int, Settings]] = {  # hidden layers, and the network
    "MLP, tanh": (2, mlp("tanh")),
    "MLP, ReLU": (2, mlp("relu")),
    "MLP, tanh, inputs x 10": (2, mlp("tanh", input_scale=10)),
    "MLP, sine": (2, mlp("sine")),
    "MLP, sine, inputs x 30": (2, mlp("sine", input_scale=30)),
    "MLP, tanh, Fourier features": (2, mlp("tanh", frequencies=6)),
    "KAN, G = 5": (1, kan(5)),
    "KAN, G = 20": (1, kan(20)),
    "KAN, G = 80": (1, kan(80)),
    "KAN, G = 5, 20, 80": (1, kan(80, extend_grid=[[1 / 3, 20], [2 / 3, 80]])),
    "KAN, G = 80, new Adams": (1, kan(80, extend_grid=[[1 / 3, 80], [2 / 3, 80]])),
    "KAN, three layers, G = 20": (2, kan(20)),
}


def settings() -> Iterable[Settings]:
    """Who learns which frequencies, and when?"""
    for task in ("waves:50", "waves:10"):
        base = samples(task, 2000, watch=True)
        for name, (hidden, network) in CONTESTANTS.items():
            ends = (2 * network.get("frequencies", 0) or 1, 1)
            contestant = sized(base | network, SIZE, hidden, ends=ends) | {"contestant": name}
            if name == "KAN, G = 5, 20, 80":
                contestant["grid_size"] = 5  # counted with the grid that it ends with
            yield contestant | {"size": SIZE}
        yield base | kan(200, widths=[1, 1], contestant="one spline, G = 200")


EXPERIMENT = experiment("waves", (8,), measurement=Measurement(learn_waves), minutes=14)(settings)
