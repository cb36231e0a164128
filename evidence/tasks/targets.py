r"""Formulas of three kinds to be learned from samples: along the axes, rotated, and generic.

**Along the axes:** eight sums and compositions of curves of one input each, which a KAN with one or
two hidden layers can hold. ``exp_sine`` is from Liu et al., "KAN: Kolmogorov-Arnold Networks"
(2024), section 3.1.

**Rotated:** the same eight functions of Q x. The orthogonal matrix Q is drawn once for each number
of inputs, from all with equal chance (Mezzadri, "How to Generate Random Matrices from the Classical
Compact Groups", 2007).

**Generic:** eight that nobody made for networks of curves, after Franke ("A Critical Comparison of
Some Methods for Interpolation of Scattered Data", 1979), Rahimi and Recht ("Random Features for
Large-Scale Kernel Machines", 2007), Runge, and Boyd and Vandenberghe ("Convex Optimization", 2004,
section 3.1.5).

Inputs are uniform in a ball about 0 of radius :math:`\sqrt{(d + 2) / 3}`. Each then has the spread
of a number that is uniform on [-1, 1], whatever their number d. A rotation changes nothing about
the inputs: a function and the same one rotated differ in their axes alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor

from kanbook._checks import as_generator

KINDS = ("axes", "rotated", "generic")


@dataclass(frozen=True)
class Target:
    """A function to be learned, from points (n, d) to values (n,), both float64.

    Its kind is "axes", "rotated" or "generic"; it has ``inputs`` d, and is smooth if it has no
    kinks (which come from absolute values).
    """

    kind: str
    inputs: int
    function: Callable[[Tensor], Tensor]
    smooth: bool = True


def in_ball(n: int, d: int, generator: torch.Generator | None) -> Tensor:
    """n points (n, d), float64, uniform in the ball of radius sqrt((d + 2) / 3)."""
    direction = torch.randn(n, d, dtype=torch.float64, generator=generator)
    share = torch.rand(n, 1, dtype=torch.float64, generator=generator) ** (1 / d)
    return math.sqrt((d + 2) / 3) * share * direction / direction.norm(dim=1, keepdim=True)


@cache
def rotation(d: int) -> Tensor:
    """The orthogonal matrix (d, d) of the rotated targets: the same at each call.

    The seed is the first with which no entry is above 0.9, for 2, 3, 5 and 10 inputs: otherwise an
    axis would stay almost an axis.
    """
    q, r = torch.linalg.qr(normal(d, d, seed=4))
    return q * r.diagonal().sign()  # or the signs would depend on how QR is computed


def normal(*shape: int, seed: int) -> Tensor:
    """Standard normal numbers, the same at each call."""
    return torch.randn(shape, dtype=torch.float64, generator=as_generator(seed))


# Along the axes. A function takes points (n, d) and returns values (n,).


def exp_sine(x: Tensor, times: int = 1) -> Tensor:
    """A wave, so many times as quick, and a parabola, and the exponential of their sum."""
    return torch.exp(torch.sin(times * torch.pi * x[:, 0]) + x[:, 1] ** 2)


def cliff(x: Tensor) -> Tensor:
    """A plateau with a steep edge all around, which has two corners."""
    return torch.tanh(5 * (1.5 * x[:, 0] ** 2 + x[:, 1].abs() - 0.7))


def skyline(x: Tensor) -> Tensor:
    """A plain sum: a wave, a corner and a narrow peak."""
    return torch.sin(5 * x[:, 0]) + 2 * (x[:, 1] - 0.2).abs() + 2 * torch.exp(-12 * x[:, 2] ** 2)


def product(x: Tensor) -> Tensor:
    """A product of three positive curves: the exponential of the sum of their logarithms."""
    return (1.2 + torch.sin(3 * x[:, 0])) * torch.exp(x[:, 1]) / (0.3 + x[:, 2] ** 2)


def five_curves(x: Tensor) -> Tensor:
    """A plain sum of five: a wave, a corner, a step with round edges, a peak and a cubic."""
    a, b, c, d, e = x.unbind(1)
    steep = torch.tanh(8 * (c + 0.3)) + 1.5 / (1 + 16 * (d - 0.2) ** 2)
    return torch.sin(4 * a) + 2 * b.abs() + steep + 2 * e**3 - e


def deep(x: Tensor) -> Tensor:
    """Curves of sums of curves, two hidden layers deep: a wave, a valley and a peak, and a root."""
    a, b, c, d, e = x.unbind(1)
    wave = torch.sin(2 * a**2 + 2 * b)
    valley = (torch.exp(c) - d - 1).abs()
    return torch.sqrt(0.05 + (wave + valley + torch.cos(2 * e)) ** 2)


def ten_waves(x: Tensor) -> Tensor:
    """The exponential of a sum of ten waves, each with a phase of its own."""
    phases = torch.arange(10, dtype=x.dtype)
    return torch.exp(torch.sin(2 * x + phases).sum(1) / 3)


def ten_curves(x: Tensor) -> Tensor:
    """The sine of a sum of five curves, and a valley in a sum of five others."""
    a, b = x[:, :5], x[:, 5:]
    factor = torch.arange(1, 6, dtype=x.dtype) / 5
    return torch.sin((factor * a + 0.5 * a**2).sum(1)) + (torch.sin(2 * factor * b).sum(1)).abs()


# Generic


def franke(x: Tensor) -> Tensor:
    """Two hills, a saddle and a dip; its unit square is [-1, 1] squared here."""
    a, b = (9 * (x + 1) / 2).unbind(1)
    hills = 0.75 * torch.exp(-((a - 2) ** 2 + (b - 2) ** 2) / 4)
    hills = hills + 0.75 * torch.exp(-((a + 1) ** 2) / 49 - (b + 1) / 10)
    hills = hills + 0.5 * torch.exp(-((a - 7) ** 2 + (b - 3) ** 2) / 4)
    return hills - 0.2 * torch.exp(-((a - 4) ** 2) - (b - 7) ** 2)


def field(x: Tensor, *, length: float, seed: int, waves: int = 200) -> Tensor:
    """Random waves, more than a small network can hold one by one, of normal wave vectors.

    The values of two points at a distance r have a correlation of about exp(-(r / length)^2 / 2).
    """
    vectors = normal(waves, x.shape[1], seed=seed) / length
    phases = 2 * torch.pi * torch.rand(waves, dtype=x.dtype, generator=as_generator(seed + 1))
    return math.sqrt(2 / waves) * torch.cos(x @ vectors.T + phases).sum(1)


def bessel(x: Tensor) -> Tensor:
    """Round waves about a point beside the middle, that grow smaller with the distance."""
    center = torch.tensor([0.5, -0.4, 0.3], dtype=x.dtype)
    return torch.special.bessel_j0(7 * (x - center).norm(dim=1))


def rational(x: Tensor) -> Tensor:
    """A quotient of two quadratic polynomials: a ridge that changes its sign."""
    a, b, c = x.unbind(1)
    return (a * b + c + 0.3) / (0.15 + (a - b) ** 2 + 0.5 * (b + c) ** 2)


def soft_maximum(x: Tensor) -> Tensor:
    """log sum exp of eight random planes: convex, with flat faces and round edges."""
    return torch.logsumexp(4 * x @ normal(8, x.shape[1], seed=31).T, 1)


def sine_of_form(x: Tensor) -> Tensor:
    """The sine of a quadratic form in which every input meets every other."""
    matrix = normal(x.shape[1], x.shape[1], seed=41)
    return torch.sin(0.25 * ((x @ matrix) * x).sum(1) + 0.5)


AXES = {
    "exp_sine": (2, exp_sine),
    "cliff": (2, cliff),
    "skyline": (3, skyline),
    "product": (3, product),
    "five_curves": (5, five_curves),
    "deep": (5, deep),
    "ten_waves": (10, ten_waves),
    "ten_curves": (10, ten_curves),
}

GENERIC = {
    "franke": (2, franke),
    "field_2": (2, partial(field, length=0.35, seed=11)),
    "bessel": (3, bessel),
    "rational": (3, rational),
    "field_5": (5, partial(field, length=1.5, seed=21)),
    "soft_maximum": (5, soft_maximum),
    "sine_of_form": (10, sine_of_form),
    "field_10": (10, partial(field, length=2.2, seed=51)),
}


def rotated(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """The function of Q x."""
    return function(x @ rotation(x.shape[1]).T)


KINKED = {"cliff", "skyline", "five_curves", "deep", "ten_curves"}
TARGETS = (
    {name: Target("axes", d, function, name not in KINKED) for name, (d, function) in AXES.items()}
    | {
        f"rotated {name}": Target(
            "rotated", d, partial(rotated, function=function), name not in KINKED
        )
        for name, (d, function) in AXES.items()
    }
    | {name: Target("generic", d, function) for name, (d, function) in GENERIC.items()}
)


def named(name: str) -> Target:
    """A target by its name: a key of ``TARGETS``, or "exp_sine 4", with a wave 4 times as quick."""
    base, _, times = name.partition(" ")
    if base == "exp_sine" and times.isdigit():
        return Target("axes", 2, partial(exp_sine, times=int(times)))
    return TARGETS[name]


@cache
def spread(name: str) -> float:
    """The standard deviation of a target over the ball, from 50,000 points of its own."""
    points = in_ball(50_000, named(name).inputs, as_generator(3))
    return named(name).function(points).std().item()


def target(
    name: str,
    n: int = 1000,
    *,
    noise: float = 0.0,
    generator: int | torch.Generator | None = None,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Sample one of the targets at n random points, in float64 before it becomes ``dtype``.

    Args:
        name: of a target, as for :func:`named`.
        n: number of points, at least 2.
        noise: standard deviation of normal noise on the targets, in units of :func:`spread`.

    Returns:
        Inputs (n, d), uniform in a ball of radius sqrt((d + 2) / 3), and targets (n, 1).

    Example:
        >>> inputs, targets = target("franke", 5)
        >>> inputs.shape, targets.shape
        (torch.Size([5, 2]), torch.Size([5, 1]))
    """
    generator = as_generator(generator)
    inputs = in_ball(n, named(name).inputs, generator)
    targets = named(name).function(inputs).unsqueeze(1)
    if noise:
        errors = torch.randn(n, 1, dtype=torch.float64, generator=generator)
        targets = targets + noise * spread(name) * errors
    dtype = torch.get_default_dtype() if dtype is None else dtype
    return inputs.to(dtype), targets.to(dtype)
