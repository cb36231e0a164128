"""Checks of arguments: errors that name the argument, its value and what was expected."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from types import ModuleType

import torch
from torch import Tensor

MAX_DEGREE = 7


def check_name(argument: str, value: str, known: Iterable[str]) -> None:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{argument}={value!r}; expected one of {', '.join(known)}")


def check_integer(name: str, value: int, minimum: int, maximum: int | None = None) -> None:
    wanted = f">= {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    expected = f"an integer {wanted}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r}; expected {expected}")
    if value < minimum or (maximum is not None and value > maximum):
        raise ValueError(f"{name}={value!r}; expected {expected}")


def check_degree(degree: int, name: str = "degree") -> None:
    check_integer(name, degree, 0, MAX_DEGREE)


def check_number(
    name: str, value: float, *, minimum: float, maximum: float = math.inf, positive: bool = False
) -> None:
    expected = f"finite number {'>' if positive else '>='} {minimum}"
    if maximum < math.inf:
        expected = f"number from {minimum} to {maximum}"
    if not isinstance(value, Real):
        raise TypeError(f"{name}={value!r}; expected a {expected}")
    if not minimum <= value <= maximum or value == math.inf or (positive and value == 0):
        raise ValueError(f"{name}={value!r}; expected a {expected}")


def check_dtype(dtype: torch.dtype | None) -> None:
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype={dtype!r}; expected a floating-point torch.dtype, or None")


def check_domain(domain: tuple[float, float]) -> tuple[float, float]:
    ends = tuple(domain) if isinstance(domain, (tuple, list)) else ()
    numbers = [float(end) for end in ends if isinstance(end, Real) and math.isfinite(end)]
    if len(ends) != 2 or len(numbers) != 2 or numbers[0] >= numbers[1]:
        raise ValueError(f"domain={domain!r}; expected two finite numbers (a, b) with a < b")
    return numbers[0], numbers[1]


def check_widths(widths: Sequence[int]) -> None:
    if isinstance(widths, str) or not isinstance(widths, Sequence) or len(widths) < 2:
        raise ValueError(f"widths={widths!r}; expected a list of two or more integers >= 1")
    for position, width in enumerate(widths):
        check_integer(f"widths[{position}]", width, 1)


def check_tensor(name: str, value: Tensor) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}; expected a torch.Tensor")
    if not value.is_floating_point():
        raise TypeError(f"{name} has dtype {value.dtype}; expected a floating-point dtype")


def check_finite(name: str, values: Tensor) -> None:
    check_tensor(name, values)
    wrong = ~torch.isfinite(values)
    if wrong.any():
        raise ValueError(
            f"{name} is {values[wrong][0].item()} at index {wrong.nonzero()[0].tolist()}; "
            "expected finite values"
        )


def check_like(name: str, value: Tensor, reference_name: str, reference: Tensor) -> None:
    check_tensor(name, value)
    if value.dtype != reference.dtype:
        raise TypeError(
            f"{name} has dtype {value.dtype}; expected {reference.dtype}, as {reference_name}"
        )
    if value.device != reference.device:
        raise ValueError(
            f"{name} is on device {value.device}; expected {reference.device}, as {reference_name}"
        )


def check_knots(knots: Tensor, degree: int, name: str = "knots") -> None:
    check_degree(degree)
    check_tensor(name, knots)
    if knots.ndim not in (1, 2) or knots.shape[-1] < 2 * degree + 2:
        raise ValueError(
            f"{name} has shape {tuple(knots.shape)}; expected (m,) or (I, m) with "
            f"m >= 2 * degree + 2 = {2 * degree + 2}"
        )
    check_finite(name, knots)
    falls = (knots.diff() < 0).nonzero()
    if len(falls):
        *row, i = falls[0].tolist()
        t = knots[tuple(row)].tolist()
        raise ValueError(
            f"{name} is not sorted, {t[i]} stands before {t[i + 1]}; expected values that never "
            "decrease"
        )
    start = knots[..., degree]
    empty = start == knots[..., -degree - 1]
    if empty.any():
        raise ValueError(
            f"{name}[..., {degree}] and {name}[..., {-degree - 1}] are both "
            f"{start[empty][0].item()}: the domain between them is empty"
        )


def check_points(x: Tensor, knots: Tensor) -> None:
    check_like("x", x, "knots", knots)
    if knots.ndim == 2 and (x.ndim == 0 or x.shape[-1] != knots.shape[0]):
        raise ValueError(
            f"x has shape {tuple(x.shape)}; expected (..., {knots.shape[0]}) to match knots of "
            f"shape {tuple(knots.shape)}"
        )


def check_coef(coef: Tensor, knots: Tensor, degree: int) -> None:
    check_like("coef", coef, "knots", knots)
    n = knots.shape[-1] - degree - 1
    inputs = knots.shape[0] if knots.ndim == 2 else "I"
    layer = coef.ndim == 3 and coef.shape[-1] == n and inputs in ("I", coef.shape[0])
    if not layer and not (knots.ndim == 1 and coef.shape == (n,)):
        raise ValueError(
            f"coef has shape {tuple(coef.shape)}; expected "
            + (f"({n},) or " if knots.ndim == 1 else "")
            + f"({inputs}, O, {n}) to match knots of shape {tuple(knots.shape)} and degree {degree}"
        )


def check_features(x: Tensor, in_features: int, reference_name: str, reference: Tensor) -> None:
    check_like("x", x, reference_name, reference)
    if x.ndim == 0 or x.shape[-1] != in_features:
        raise ValueError(f"x has shape {tuple(x.shape)}; expected (..., {in_features})")


def check_function(name: str, value: object) -> None:
    if not callable(value) or isinstance(value, type):
        raise TypeError(f"{name}={value!r}; expected a function")


def as_generator(
    generator: int | torch.Generator | None, device: torch.device | str | None = "cpu"
) -> torch.Generator | None:
    """A number becomes a generator that starts from it; None stays None, PyTorch's global one."""
    if generator is None or isinstance(generator, torch.Generator):
        return generator
    check_integer("generator", generator, 0, 2**63 - 1)
    device = torch.device(device or torch.get_default_device())
    device = "cpu" if device.type == "meta" else device  # where numbers are not even made
    return torch.Generator(device).manual_seed(int(generator))


def check_inputs(name: str, inputs: Tensor) -> None:
    check_finite(name, inputs)
    if inputs.ndim != 2 or inputs.numel() == 0:
        raise ValueError(f"{name} has shape {tuple(inputs.shape)}; expected (N, I) with N >= 1")


def check_pair(name: str, pair: Sequence) -> None:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"{name} is a {type(pair).__name__}; expected a pair (inputs, targets)")


def check_samples(
    inputs_name: str, inputs: Tensor, targets_name: str, targets: Tensor, *, any_targets: bool
) -> None:
    """Targets of any kind, one for each input, are for losses of the caller's own."""
    check_finite(inputs_name, inputs)
    if not any_targets:
        check_like(targets_name, targets, inputs_name, inputs)
        check_finite(targets_name, targets)
    pair = inputs.ndim == targets.ndim == 2 or any_targets and targets.ndim > 0
    if not pair or len(inputs) != len(targets) or len(inputs) == 0:
        raise ValueError(
            f"{inputs_name} has shape {tuple(inputs.shape)} and {targets_name} "
            f"{tuple(targets.shape)}; expected (N, I) and (N, O) with N >= 1"
        )


def needed(module: str, install: str | None = None) -> ModuleType:
    """Import a module that few need; ``install`` is what pip is told, if not the package's name."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise not_installed(module, install) from error


def not_installed(module: str, install: str | None = None) -> ImportError:
    name = module.split(".")[0]
    package = {"kan": "pykan", "sklearn": "scikit-learn", "skimage": "scikit-image"}.get(name, name)
    return ImportError(f"{package} is not installed; run `pip install {install or package}`")
