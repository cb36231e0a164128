"""What the networks learn: the targets of the book's experiments."""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import check_integer

__all__ = ["FUNCTIONS_1D", "zigzag", "sine", "step", "chirp", "function_1d"]

# Corners of the zigzag: uneven steps and sharp turns, so that no uniform grid meets them all.
ZIGZAG_X = (-1.0, -0.72, -0.55, -0.2, -0.08, 0.31, 0.48, 0.77, 1.0)
ZIGZAG_Y = (0.1, 0.85, -0.6, 0.45, -0.75, 0.9, -0.2, 0.55, -0.5)


# The functions take a floating-point tensor of any shape, on [-1, 1], and return one of that shape.


def zigzag(x: Tensor) -> Tensor:
    """Straight pieces with sharp turns at uneven places: continuous, but not smooth."""
    corners, values = (
        torch.tensor(v, dtype=x.dtype, device=x.device) for v in (ZIGZAG_X, ZIGZAG_Y)
    )
    piece = torch.bucketize(x.detach().contiguous(), corners[1:-1], right=True)
    x0, x1, y0, y1 = corners[piece], corners[piece + 1], values[piece], values[piece + 1]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def sine(x: Tensor) -> Tensor:
    """One and a half periods of a sine: smooth everywhere."""
    return torch.sin(1.5 * torch.pi * x)


def step(x: Tensor) -> Tensor:
    """A jump from -0.5 to 0.5 at x = 0.1: not even continuous."""
    return torch.where(x < 0.1, -0.5, 0.5).to(x.dtype)


def chirp(x: Tensor) -> Tensor:
    """A wave whose frequency rises from left to right: detail in one place, none in another."""
    return torch.sin(torch.pi * (1.5 * (x + 1)) ** 2 / 2)


FUNCTIONS_1D = {"zigzag": zigzag, "sine": sine, "step": step, "chirp": chirp}


def function_1d(
    name: str,
    n: int = 200,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Sample one of the 1-D functions at n equally spaced points.

    Args:
        name: a key of ``FUNCTIONS_1D``: "zigzag", "sine", "step" or "chirp".
        n: number of points, at least 2.
        device, dtype: of the result.

    Returns:
        Inputs in [-1, 1] and targets in [-1, 1], both of shape ``(n, 1)``.

    Raises:
        TypeError, ValueError: ``name`` is unknown, ``n`` is not an integer >= 2.

    Example:
        >>> inputs, targets = function_1d("zigzag", 5)
        >>> targets.squeeze(-1)
        tensor([ 0.1000, -0.4500, -0.4115, -0.1483, -0.5000])
    """
    if not isinstance(name, str) or name not in FUNCTIONS_1D:
        raise ValueError(f"name={name!r}; expected one of {', '.join(FUNCTIONS_1D)}")
    check_integer("n", n, 2)
    inputs = torch.linspace(-1, 1, n, device=device, dtype=dtype).unsqueeze(-1)
    return inputs, FUNCTIONS_1D[name](inputs)
