"""Pictures that packages hold, as functions like ``tasks.image``; nothing is fetched.

They need the packages of the extra ``experiments``: ``pip install 'kanbook[evidence]'``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kanbook._checks import check_name
from kanbook.tasks import as_function, read_luminance

from .tables import data_file

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

    Returns:
        Inputs (x, y) of the pixels' centers in [-1, 1], of shape ``(size * size, 2)``, and
        luminance in [0, 1], of shape ``(size * size, 1)``; in the order of ``tasks.image``.

    Raises:
        TypeError, ValueError: an argument is none of these, or ``dtype`` no floating-point type.
        ImportError: the package that holds it is not installed.

    Example:
        >>> inputs, targets = picture("portrait", 32)
        >>> inputs.shape, targets.shape
        (torch.Size([1024, 2]), torch.Size([1024, 1]))
    """
    check_name("name", name, PICTURES)
    return as_function(read_luminance(data_file(*PICTURES[name])), size, device, dtype)
