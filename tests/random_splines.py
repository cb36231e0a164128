"""Splines of every degree and size, with knots of every kind, for the tests of the playground."""

import numpy as np
import torch

from kanbook import splines
from kanbook.lab.playground import MAX_DEGREE, MAX_GRID_SIZE, Spline

KINDS = ("even", "uneven", "repeated")


def random_knots(rng, degree, grid_size, kind):
    """Knots on a domain of any place and width: even, uneven, or in part repeated."""
    a = rng.uniform(-2, 1)
    b = a + rng.uniform(0.3, 3)
    if kind == "even":
        return splines.uniform_knots(grid_size, degree, (a, b), dtype=torch.float64)
    inside = np.sort(rng.uniform(a, b, grid_size - 1))
    if kind == "repeated" and grid_size > 2:
        inside[: grid_size // 2] = inside[0]
        inside[-1] = b if rng.integers(2) else inside[-1]
    steps = np.cumsum(rng.uniform(0.05, 0.5, (2, degree)) * (b - a) / grid_size, axis=1)
    return [*(a - steps[0][::-1]), a, *inside, b, *(b + steps[1])]


def random_spline(rng, kind="uneven", degree=None, grid_size=None):
    k = int(rng.integers(0, MAX_DEGREE + 1)) if degree is None else degree
    size = int(rng.integers(1, MAX_GRID_SIZE + 1)) if grid_size is None else grid_size
    knots = [float(t) for t in random_knots(rng, k, size, kind)]
    coefs = rng.normal(size=size + k).round(3).tolist()
    return Spline(k, size, (knots[k], knots[-k - 1]), knots, coefs)
