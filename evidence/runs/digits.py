"""The last digits: how far least squares takes a network on exact samples, and where it stops.

What is asked and what is expected stands in ``plan.md``, part L.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from kanbook.tasks import FORMULAS

from ..design import Measurement, experiment
from ..settings import Settings, kan, mlp, samples, sized
from . import trials

N_TEST = 10_000
FIRST = 100  # what is added to seeds: by 0 to 19 the rule for the damping was chosen and tried
QUANTILES = (0.5, 0.9, 0.99, 1.0)


def exact_samples(
    settings: Settings, seed: int, device: str = "cpu"
) -> list[tuple[Tensor, Tensor]]:
    r"""Return places and values to learn from, by the seed, and 10,000 others, uniform, to test on.

    ``task`` is "digits:" and a formula of two inputs, or "digits:turned" and that, where the
    formula gets its inputs turned by 30 degrees; ``places`` is "uniform" on the square, or "edges",
    denser towards them, both inputs with density :math:`1 / (\pi \sqrt{1 - x^2})`.
    """
    *turned, name = settings["task"].removeprefix("digits:").split()
    learn, test = (torch.Generator().manual_seed(s) for s in (10_000 + seed, 9_999))
    count = settings.get("samples", trials.N_TRAIN)
    u = torch.rand(count, 2, dtype=torch.float64, generator=learn)
    x = (torch.pi * u).cos() if settings["places"] == "edges" else 2 * u - 1
    new = 2 * torch.rand(N_TEST, 2, dtype=torch.float64, generator=test) - 1
    function = FORMULAS[name][1]

    def values(x: Tensor) -> Tensor:
        if turned:
            c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
            x = x @ torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
        return function(x).reshape(-1, 1)

    where = trials.place(settings, device)
    return [(points.to(**where), values(points).to(**where)) for points in (x, new)]


@trials.ready()
def reach_digits(settings: Settings, seed: int, *, device: str = "cpu", **how: Any) -> dict:
    """Train one network and look at its errors one by one; ``FIRST`` is added to the seed.

    Returns:
        As :func:`~evidence.runs.trials.run_trial`, and ``spread``, the standard deviation of
        the targets of the test, and ``quantiles`` (``QUANTILES``) of the absolute errors there in
        units of it; None where the run diverged.
    """
    train, (x, y) = exact_samples(settings, FIRST + seed, device)
    model, watch = trials.train_once(settings, FIRST + seed, train, device=device, **how)
    result = watch.told(model, watch.error(model, train))
    with torch.no_grad():
        error = (model(x) - y).double()
    spread, lost = y.double().std().item(), result["diverged"]
    quantiles = (error.abs() / spread).quantile(error.new_tensor(QUANTILES)).tolist()
    return result | {
        "test_loss": None if lost else trials.rounded(error.square().mean().item(), 8),
        "spread": trials.rounded(spread, 8),
        "quantiles": None if lost else [trials.rounded(q, 4) for q in quantiles],
    }


def settings() -> Iterable[Settings]:
    """How many digits does least squares reach, on which samples, and what stops it?"""
    base = samples("digits:product", 200, dtype="float64", optimizer="lm")
    kans = {f"KAN, degree {k}": kan(3, k, widths=[2, 2, 1]) for k in (3, 5)}
    mlps = {  # with steps for as many seconds as the KAN of degree 3
        "MLP": mlp(widths=[2, 9, 1], steps=800),
        "MLP, two layers": mlp(widths=[2, 4, 4, 1], steps=600),
        "MLP, wide": mlp(widths=[2, 22, 1], steps=500),
    }
    for places in ("uniform", "edges"):
        for name, network in (kans | mlps).items():
            yield base | network | {"contestant": name, "places": places}
    for name, network in {"KAN, degree 3": kans["KAN, degree 3"], "MLP": mlps["MLP"]}.items():
        yield base | network | {"contestant": name, "places": "uniform", "dtype": "float32"}
    turned = samples("digits:turned exp_sine", 60, dtype="float64", optimizer="lm", samples=3000)
    turned["places"] = "uniform"
    grows = {"extend_grid": [[1 / 3, 10], [2 / 3, 20]], "update_before": True}
    yield turned | kan(5, 5, widths=[2, 5, 1]) | grows | {"contestant": "KAN, degree 5"}
    deep = sized(turned | mlp(), 375, 2, ends=(2, 1))
    yield deep | {"contestant": "MLP, two layers", "steps": 100}


EXPERIMENT = experiment(
    "digits", (14,), measurement=Measurement(reach_digits), seeds=10, minutes=4
)(settings)
