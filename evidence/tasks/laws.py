"""Formulas to be found again from samples: what is hidden, where it is sampled, who may see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kanbook._checks import as_generator


@dataclass(frozen=True)
class Law:
    """A formula of ``x1``, ``x2`` and so on, in SymPy's notation, and where it is sampled.

    Attributes:
        ranges: of each input, in which samples are uniform.
        widths: of the network that is to find it.
        holds: whether a KAN of these widths with edges from ``formulas.LIBRARY`` can be equal to
        it.
        development: whether methods may be tuned on it; the others are a test.
    """

    formula: str
    ranges: tuple[tuple[float, float], ...]
    widths: tuple[int, ...]
    holds: bool = True
    development: bool = False
    source: str = ""

    @cached_property
    def function(self) -> Callable[[np.ndarray], np.ndarray]:
        """The formula as a function of points (n, I), with values (n,); NaN where undefined."""
        return numeric(self.formula, len(self.ranges))


def numeric(formula, inputs: int) -> Callable[[np.ndarray], np.ndarray]:
    """A SymPy expression of x1, x2, ..., or its text, as a NumPy function of points (n, I)."""
    import sympy

    symbols = sympy.symbols(f"x1:{inputs + 1}")
    compute = sympy.lambdify(symbols, sympy.sympify(formula), "numpy")

    def values(points: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            computed = np.asarray(compute(*points.T))
        if np.iscomplexobj(computed):  # a number such as sqrt(-1) in the expression
            computed = np.where(computed.imag == 0, computed.real, np.nan)
        return np.broadcast_to(computed.astype(float), len(points))

    return values


def generalized(formula: str, inputs: int) -> tuple[Any, tuple[Any, ...], np.ndarray]:
    """A formula of x1, x2, ... with more symbols in place of its constants; these, and those."""
    import sympy

    expression = sympy.sympify(formula)
    constants = sorted(expression.atoms(sympy.Float))
    symbols = sympy.symbols(f"x{inputs + 1}:{inputs + 1 + len(constants)}")
    general = expression.xreplace(dict(zip(constants, symbols, strict=True)))
    return general, symbols, np.array([float(c) for c in constants])


def law(
    name: str,
    n: int = 1000,
    *,
    noise: float = 0.0,
    wider: float = 1.0,
    generator: int | torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Sample one of the laws at n random points.

    Args:
        name: a key of ``LAWS``.
        n: number of points, at least 2.
        noise: standard deviation of normal noise on the targets, in units of theirs.
        wider: factor on every range, about its center.

    Returns:
        Inputs (n, I) and targets (n, 1), float64; targets are NaN where the law is not defined.

    Example:
        >>> inputs, targets = law("product", 5)
        >>> torch.allclose(targets, inputs.prod(-1, keepdim=True))
        True

    In the book: chapter 15.
    """
    generator = as_generator(generator)
    low, high = torch.tensor(LAWS[name].ranges, dtype=torch.float64).T
    unit = torch.rand(n, len(low), dtype=torch.float64, generator=generator)
    inputs = (low + high) / 2 + (high - low) * wider * (unit - 0.5)
    targets = torch.from_numpy(LAWS[name].function(inputs.numpy()).copy())
    if noise:
        errors = torch.randn(n, dtype=torch.float64, generator=generator)
        targets = targets + noise * targets.std() * errors
    return inputs, targets.unsqueeze(1)


U = (-1.0, 1.0)  # the unit
P = (0.5, 2.0)  # positive, such as masses and distances

DEVELOPMENT = {  # for developing and tuning the methods
    "exp_sine": Law("exp(sin(pi*x1) + x2**2)", (U, U), (2, 5, 1)),
    "product": Law("x1*x2", (U, U), (2, 5, 1)),
    "sum": Law("sin(3*x1) + x2**2", (U, U), (2, 5, 1)),
    "radius": Law("sqrt(x1**2 + x2**2)", (U, U), (2, 5, 1)),
    "bell": Law("exp(-x1**2/2)/sqrt(2*pi)", ((-3.0, 3.0),), (1, 3, 1), source="Feynman I.6.20a"),
    "quotient": Law("x1/(1 + x2)", ((0.2, 2.0), (0.0, 2.0)), (2, 5, 1)),
    "velocities": Law(
        "(x1 + x2)/(1 + x1*x2)", ((-0.75, 0.75), (-0.75, 0.75)), (2, 5, 1), source="Feynman I.16.6"
    ),
    "barometer": Law("x1*exp(-x2)", (P, (0.0, 2.0)), (2, 5, 1), source="Feynman I.40.1"),
    "product_sum": Law("x1*x2 + x3", (U, U, U), (3, 5, 1)),
    "nested": Law(
        "exp((sin(pi*(x1**2 + x2**2)) + sin(pi*(x3**2 + x4**2)))/2)", (U, U, U, U), (4, 4, 2, 1)
    ),
    "damped": Law("exp(-x1)*sin(pi*x2)", ((0.0, 2.0), U), (2, 5, 1)),
    "chirp": Law("exp(sin(5*x1 + 3*x1**2) + x2**2)", (U, U), (2, 5, 1), holds=False),
}
TEST = {
    "lens": Law("1/(1/x1 + 1/x2)", (P, P), (2, 5, 1), source="Feynman I.27.6"),
    "gravity": Law("x1*x2/x3**2", (P, P, P), (3, 5, 1), source="Feynman I.9.18, on a line"),
    "kinetic": Law(
        "x1*(x2**2 + x3**2 + x4**2)/2", (P, U, U, U), (4, 4, 2, 1), source="Feynman I.13.4"
    ),
    "doppler": Law(
        "sqrt((1 + x1)/(1 - x1))",
        ((-0.75, 0.75),),
        (1, 3, 1),
        source="Feynman I.34.14, both factors",
    ),
    "magnet": Law("x1*tanh(x2)", (P, (-2.0, 2.0)), (2, 5, 1), source="Feynman II.35.21"),
    "logistic": Law("1/(1 + exp(x2 - 3*x1))", (U, U), (2, 5, 1)),
    "isotherm": Law("x1*log(x3/x2)", (P, P, P), (3, 5, 1), source="Feynman I.44.4"),
    "pendulum": Law("2*pi*sqrt(x1/x2)", (P, P), (2, 5, 1)),
    "wave": Law("sin(2*x1 - 3*x2)", (U, U), (2, 5, 1)),
    "five": Law("sin(2*x1) + x2**2 + exp(x3) - x4 + 1/(2 + x5)", (U,) * 5, (5, 5, 1)),
    "ripples": Law("sin(3*x1*x2) + cos(2*x1 - x2**2)", (U, U), (2, 5, 1), holds=False),
    "nearest": Law(
        "Min(sqrt((x1 - 0.5)**2 + x2**2), sqrt((x1 + 0.3)**2 + (x2 - 0.6)**2), "
        "sqrt((x1 + 0.3)**2 + (x2 + 0.6)**2))",
        (U, U),
        (2, 5, 1),
        holds=False,
    ),
}
LAWS = {name: replace(one, development=True) for name, one in DEVELOPMENT.items()} | TEST

# Found: the error against the law without noise, on new points and on a domain 1.3 times as wide,
# is below these shares of the spread. By the noise.
CLOSE = {0.0: 1e-6, 0.01: 0.003, 0.05: 0.015}
CLOSE_WIDER = {0.0: 0.005, 0.01: 0.005, 0.05: 0.025}


def outcome(run: Mapping[str, Any]) -> str:
    """What a run came to: "found", "wrong", or "none" if it returned no formula."""
    if run["formula"] is None:
        return "none"
    noise, error, wide = run["noise"], run["error"], run["wide_error"]
    if error is None or wide is None:  # infinite
        return "wrong"
    return "found" if error < CLOSE[noise] and wide < CLOSE_WIDER[noise] else "wrong"
