"""Pictures that packages hold, as functions like ``tasks.image``; nothing is fetched.

They need the packages of the extra ``experiments``: ``pip install 'kanbook[experiments]'``.
"""

from __future__ import annotations

from functools import cache

import torch
from matplotlib.image import imread
from torch import Tensor

from .._checks import check_name
from . import as_function
from .tables import data_file

__all__ = ["PICTURES", "picture"]

LUMINANCE = (0.2126, 0.7152, 0.0722)  # weights of red, green and blue: ITU-R BT.709

# Package and file: read as they lie there, since some packages' own functions may fetch.
PICTURES = {
    "portrait": ("kanbook", "tasks/portrait.png"),  # the one of tasks.image
    "camera": ("skimage", "data/camera.png"),  # Lav Varshney, CC0
    "cat": ("skimage", "data/chelsea.png"),  # Stefan van der Walt, CC0
    "coffee": ("skimage", "data/coffee.png"),  # Rachel Michetti, CC0
    "bricks": ("skimage", "data/brick.png"),  # CC0Textures, CC0
    "hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),  # US Navy, public domain
    "china": ("sklearn", "datasets/images/china.jpg"),  # Daniel Buechele, CC BY 2.0
    "flower": ("sklearn", "datasets/images/flower.jpg"),  # flickr.com/photos/vultilion, CC BY 2.0
}


@cache
def _luminance(name: str) -> Tensor:
    """The square in the middle: luminance in [0, 1], shape (M, M), float64."""
    file = data_file(*PICTURES[name])
    pixels = torch.from_numpy(imread(file).astype("float64"))
    if file.suffix == ".jpg":  # of which imread makes bytes, but numbers in [0, 1] of a PNG
        pixels = pixels / 255
    if pixels.ndim == 3:
        pixels = pixels[..., :3] @ torch.tensor(LUMINANCE, dtype=torch.float64)
    side = min(pixels.shape)
    top, left = ((length - side) // 2 for length in pixels.shape)
    return pixels[top : top + side, left : left + side]


def picture(
    name: str,
    size: int = 64,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Return one of the pictures as a function: where a pixel is, and how bright.

    The largest square in the middle; each pixel is the mean brightness of what it covers.

    Args:
        name: a key of ``PICTURES``.
        size: width and height in pixels, 8 to 128.
        device, dtype: of the result.

    Returns:
        Inputs (x, y) of the pixels' centers in [-1, 1], of shape ``(size * size, 2)``, and
        luminance in [0, 1], of shape ``(size * size, 1)``; in the order of ``tasks.image``.

    Raises:
        TypeError, ValueError: ``name`` is unknown, ``size`` is not an integer from 8 to 128, or
            ``dtype`` is no floating-point type.
        ImportError: the package that holds it is not installed.

    Example:
        >>> inputs, targets = picture("portrait", 32)
        >>> inputs.shape, targets.shape
        (torch.Size([1024, 2]), torch.Size([1024, 1]))
    """
    check_name("name", name, PICTURES)
    return as_function(_luminance(name), size, device, dtype)
