"""A spline weight taken apart: what of its gain comes from the steps that it scales?

With a weight w an edge has the curve C = w c. By the chain rule Adam's first step, at the rate r,
moves it by about -r (abs(w) sign(g) + c sign(c . g)), where g is the gradient in C: every edge
has a rate of its own, and the whole curve is stretched. Each control has one of the two terms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any

import torch
from torch import Tensor, nn

Factors = Callable[[Sequence[Tensor]], Sequence[Tensor | float]]
LEAST = 0.1  # of a weight's size, where a step is divided by it


class ScaledAdam(torch.optim.Adam):
    """Adam whose steps are multiplied, one factor for each parameter that it is told."""

    def __init__(self, parameters: Any, *, factors: Factors, **options: Any) -> None:
        super().__init__(parameters, **options)
        self.factors = factors

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        parameters = self.param_groups[0]["params"]
        before, factors = [p.clone() for p in parameters], self.factors(parameters)
        loss = super().step(closure)
        for parameter, old, factor in zip(parameters, before, factors, strict=True):
            parameter.copy_(old + factor * (parameter - old))
        return loss


def sizes(model: nn.Module) -> list[Tensor]:
    """The sizes of the spline weights of a KAN, (I, O, 1) for each layer."""
    return [layer.spline_weight.detach().abs()[..., None] for layer in model]


def of_one_size(weights: Sequence[Tensor]) -> list[Tensor]:
    """One number for all edges, the median."""
    median = torch.cat([layer.flatten() for layer in weights]).median()
    return [median] * len(weights)


def replaying(weights: Sequence[Sequence[Tensor]]) -> Callable[..., ScaledAdam]:
    """Makes optimizers whose steps in the coefficients are as long as these weights, one by one.

    The last, if the training they are from has diverged, for all that follow.
    """
    steps = chain(weights, repeat(weights[-1]))
    return partial(ScaledAdam, factors=lambda parameters: next(steps))


def stretching(parameters: Sequence[Tensor]) -> list[Tensor | float]:
    """Of layers with weights: the step in the coefficients is not multiplied by them."""
    weights = (p.abs().clamp(min=LEAST)[..., None] for p in parameters if p.ndim == 2)
    return [1 / next(weights) if p.ndim == 3 else 1.0 for p in parameters]
