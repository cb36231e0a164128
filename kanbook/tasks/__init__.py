"""What the networks learn: the targets of the book's experiments."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import torch
from matplotlib.image import imread
from torch import Tensor

from .._checks import (
    as_generator,
    check_dtype,
    check_integer,
    check_name,
    check_number,
    check_tensor,
)

__all__ = [
    "FORMULAS",
    "FUNCTIONS_1D",
    "chirp",
    "formula",
    "function_1d",
    "image",
    "positional_encoding",
    "psnr",
    "sine",
    "step",
    "zigzag",
]

PORTRAIT = Path(__file__).with_name("portrait.png")
LUMINANCE = (0.2126, 0.7152, 0.0722)  # weights of red, green and blue: ITU-R BT.709

# Corners of the zigzag: uneven steps and sharp turns, so that no uniform grid meets them all.
ZIGZAG_X = (-1.0, -0.72, -0.55, -0.2, -0.08, 0.31, 0.48, 0.77, 1.0)
ZIGZAG_Y = (0.1, 0.85, -0.6, 0.45, -0.75, 0.9, -0.2, 0.55, -0.5)


# The functions take a floating-point tensor of any shape, on [-1, 1], and return one of that shape.


def zigzag(x: Tensor) -> Tensor:
    """Straight pieces with sharp turns at uneven places: continuous, but not smooth."""
    check_tensor("x", x)
    corners, values = (
        torch.tensor(v, dtype=x.dtype, device=x.device) for v in (ZIGZAG_X, ZIGZAG_Y)
    )
    piece = torch.bucketize(x.detach().contiguous(), corners[1:-1], right=True)
    x0, x1, y0, y1 = corners[piece], corners[piece + 1], values[piece], values[piece + 1]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def sine(x: Tensor) -> Tensor:
    """One and a half periods of a sine: smooth everywhere."""
    check_tensor("x", x)
    return torch.sin(1.5 * torch.pi * x)


def step(x: Tensor) -> Tensor:
    """A jump from -0.5 to 0.5 at x = 0.1: not even continuous. NaN stays NaN."""
    check_tensor("x", x)
    return torch.where(x < 0.1, -0.5, torch.where(x >= 0.1, 0.5, x))


def chirp(x: Tensor) -> Tensor:
    """A wave whose frequency rises from left to right: detail in one place, none in another."""
    check_tensor("x", x)
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
        name: a key of ``FUNCTIONS_1D``.
        n: number of points, at least 2.
        device, dtype: of the result.

    Returns:
        Inputs and targets, both in [-1, 1] and of shape ``(n, 1)``.

    Raises:
        TypeError, ValueError: ``name`` is unknown, or ``n`` is not an integer >= 2.

    Example:
        >>> inputs, targets = function_1d("zigzag", 5)
        >>> targets.squeeze(-1)
        tensor([ 0.1000, -0.4500, -0.4115, -0.1483, -0.5000])
    """
    check_name("name", name, FUNCTIONS_1D)
    check_integer("n", n, 2)
    check_dtype(dtype)
    inputs = torch.linspace(-1, 1, n, device=device, dtype=dtype).unsqueeze(-1)
    return inputs, FUNCTIONS_1D[name](inputs)


# Formulas take a tensor of shape (N, I), on [-1, 1], and return one of shape (N, 1).


def product(x: Tensor) -> Tensor:
    """x y: a network of squares, widths [2, 2, 1], holds it exactly."""
    return x[:, :1] * x[:, 1:]


def exp_sine(x: Tensor) -> Tensor:
    """exp(sin(pi x) + y^2): a sum of two curves, and a curve of the sum."""
    return torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:] ** 2)


def deep(x: Tensor) -> Tensor:
    """exp((sin(pi (x1^2 + x2^2)) + sin(pi (x3^2 + x4^2))) / 2): three curves deep."""
    squares = x**2
    pairs = torch.stack([squares[:, :2].sum(-1), squares[:, 2:].sum(-1)], -1)
    return torch.exp(torch.sin(torch.pi * pairs).mean(-1, keepdim=True))


FORMULAS = {"product": (2, product), "exp_sine": (2, exp_sine), "deep": (4, deep)}


def formula(
    name: str,
    n: int = 1000,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    generator: int | torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Sample one of the formulas at n random points, the same for every dtype and device.

    Args:
        name: a key of ``FORMULAS``.
        n: number of points, at least 2.
        device, dtype: of the result.
        generator: of the random numbers, on the CPU, or a number to start one from.

    Returns:
        Inputs, uniform on [-1, 1], of shape ``(n, I)``, and targets of shape ``(n, 1)``.

    Raises:
        TypeError, ValueError: as :func:`function_1d`.

    Example:
        >>> inputs, targets = formula("product", 5)
        >>> inputs.shape, torch.allclose(targets, inputs.prod(-1, keepdim=True))
        (torch.Size([5, 2]), True)

    Source: Liu et al., "KAN: Kolmogorov-Arnold Networks" (2024), section 3.1. In the book: chapters
    10 and 14.
    """
    check_name("name", name, FORMULAS)
    check_integer("n", n, 2)
    check_dtype(dtype)
    features, function = FORMULAS[name]
    # Drawn in float64 on the CPU, and rounded.
    inputs = 2 * torch.rand(n, features, dtype=torch.float64, generator=as_generator(generator)) - 1
    dtype = torch.get_default_dtype() if dtype is None else dtype
    return inputs.to(device, dtype), function(inputs).to(device, dtype)


IMAGE_SIZES = (8, 128)  # smallest, largest


def image(
    size: int = 64, *, device: torch.device | None = None, dtype: torch.dtype | None = None
) -> tuple[Tensor, Tensor]:
    """Return a photograph as a function: where a pixel is, and how bright.

    A portrait of the astronaut Eileen Collins; ``kanbook/tasks/README.md`` has source and license.
    Smaller sizes than 128 hold the mean brightness of what each pixel covers.

    Args:
        size: width and height in pixels, 8 to 128.
        device, dtype: of the result.

    Returns:
        Inputs (x, y) of the pixels' centers, x from left to right and y from top to bottom, in
        [-1, 1], of shape ``(size * size, 2)``, and luminance in [0, 1], of shape
        ``(size * size, 1)``, row by row: ``targets.view(size, size)`` is the picture.

    Example:
        >>> inputs, targets = image(32)
        >>> inputs.shape, targets.shape, inputs[0]
        (torch.Size([1024, 2]), torch.Size([1024, 1]), tensor([-0.9688, -0.9688]))

    In the book: chapter 5.
    """
    return as_function(read_luminance(PORTRAIT), size, device, dtype)


@cache
def read_luminance(file: Path) -> Tensor:
    """The square in the middle of a picture: luminance in [0, 1], shape (M, M), float64."""
    pixels = torch.from_numpy(imread(file).astype("float64"))
    if file.suffix == ".jpg":  # of which imread makes bytes, but numbers in [0, 1] of a PNG
        pixels = pixels / 255
    if pixels.ndim == 3:
        pixels = pixels[..., :3] @ torch.tensor(LUMINANCE, dtype=torch.float64)
    side = min(pixels.shape)
    top, left = ((length - side) // 2 for length in pixels.shape)
    return pixels[top : top + side, left : left + side]


def as_function(picture: Tensor, size: int, device, dtype) -> tuple[Tensor, Tensor]:
    """A square picture of luminances (M, M) as ``image`` returns it, with its errors."""
    check_integer("size", size, *IMAGE_SIZES)
    check_dtype(dtype)
    dtype = torch.get_default_dtype() if dtype is None else dtype
    centers = (2 * torch.arange(size, dtype=torch.float64) + 1) / size - 1
    y, x = torch.meshgrid(centers, centers, indexing="ij")
    inputs = torch.stack([x, y], -1).view(-1, 2)
    # The mean over what each pixel covers, as a matrix: row i, the shares of the old pixels.
    edges = torch.linspace(0, len(picture), size + 1, dtype=torch.float64)
    old = torch.arange(len(picture), dtype=torch.float64)
    shares = torch.minimum(old + 1, edges[1:, None]) - torch.maximum(old, edges[:-1, None])
    shares = shares.clamp(min=0) * (size / len(picture))
    pixels = (shares @ picture @ shares.T).clamp(0, 1)
    return inputs.to(device, dtype), pixels.reshape(-1, 1).to(device, dtype)


def positional_encoding(x: Tensor, n_frequencies: int) -> Tensor:
    r"""Return sines and cosines of rising frequency in place of coordinates.

    .. math::
        \gamma(x) = (\sin \pi x, \cos \pi x, \sin 2 \pi x, \cos 2 \pi x, \dots,
        \sin 2^{F-1} \pi x, \cos 2^{F-1} \pi x)

    for each coordinate, one after the other.

    Args:
        x: shape ``(..., D)``.
        n_frequencies: F, an integer >= 1.

    Returns:
        Shape ``(..., 2 * D * F)``, in [-1, 1].

    Example:
        >>> positional_encoding(torch.tensor([[0.5]]), 2).round().abs()
        tensor([[1., 0., 0., 1.]])

    Source: Mildenhall et al., "NeRF" (2020), equation 4; why it works: Tancik et al., "Fourier
    Features Let Networks Learn High Frequency Functions in Low Dimensional Domains" (2020).
    In the book: chapter 5.
    """
    check_tensor("x", x)
    if x.ndim == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}; expected (..., D)")
    check_integer("n_frequencies", n_frequencies, 1)
    frequencies = torch.pi * 2 ** torch.arange(n_frequencies, dtype=x.dtype, device=x.device)
    angles = x.unsqueeze(-1) * frequencies
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-3)


def psnr(loss: float) -> float:
    """Return the peak signal-to-noise ratio of a mean squared error, in decibels.

    10 log10(1 / loss), for targets in [0, 1]: 20 dB is an error of 0.1, 40 dB one of 0.01.

    Args:
        loss: at least 0; infinite, as where training diverged, gives minus infinity.

    Example:
        >>> psnr(0.01)
        20.0
    """
    if loss == math.inf:
        return -math.inf
    check_number("loss", loss, minimum=0)
    return math.inf if loss == 0 else -10 * math.log10(loss)
