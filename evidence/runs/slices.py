"""The cold case of chapter 11: the pictures of a post on KANs, as its code fed them to a network.

One network learns several pictures at once, the slices of a volume: (slice, x, y) -> luminance, at
random positions between the pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..tasks.pictures import PICTURES, picture

FREQUENCIES = 2  # of the number of the slice, of which there are few
N_TEST = 10_000


def make(settings: Mapping[str, Any], seed: int, **where: Any) -> tuple[tuple[Tensor, Tensor], ...]:
    """Return inputs ``(N, I)`` and luminances ``(N, 1)`` to learn from, and others to test on.

    ``task`` is "slices-" and the width of the pictures in pixels; ``positions``, how many random
    ones to learn from, by the seed; all pixels' centers if not given. ``where`` are dtype and
    device.
    """
    size, count = int(settings["task"].removeprefix("slices-")), settings["slices"]
    pictures = [picture(name, size, **where) for name in list(PICTURES)[:count]]
    volume = torch.stack([y.view(size, size) for _, y in pictures])
    options = {key: settings[key] for key in ("frequencies", "cosines", "raw") if key in settings}

    def sample(n: int, seed: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        which = torch.randint(count, (n,), generator=generator).to(volume.device)
        x = (2 * torch.rand(n, 2, generator=generator, dtype=torch.float64) - 1).to(volume)
        grid = x.expand(count, 1, n, 2)  # all positions in all slices
        how = {"mode": "bilinear", "padding_mode": "border", "align_corners": False}
        every = nn.functional.grid_sample(volume.unsqueeze(1), grid, **how)[:, 0, 0]
        y = every.gather(0, which.unsqueeze(0)).T
        return encode(x, which, count, **options), y

    if n := settings.get("positions"):
        train = sample(n, 10_000 + seed)
    else:
        x = torch.cat([x for x, _ in pictures])
        which = torch.arange(count, device=x.device).repeat_interleave(size * size)
        train = encode(x, which, count, **options), volume.reshape(-1, 1)
    return train, sample(N_TEST, 9_999)


def encode(
    x: Tensor,
    which: Tensor,
    slices: int,
    *,
    frequencies: int = 0,
    cosines: bool = True,
    raw: bool = False,
) -> Tensor:
    r"""Return the features, ``(N, I)``, of positions x ``(N, 2)`` in slices ``which`` ``(N,)``.

    With :math:`u = \pi (x + 1)`, from 0 to :math:`2 \pi`: :math:`\sin 2^f u` and, if wanted,
    :math:`\cos 2^f u` and :math:`u` itself, for both coordinates; and the same with 2 frequencies
    of the slice's number, scaled to [-1, 1], if there is more than one. Without frequencies the
    coordinates and the number themselves.
    """
    columns = [(x[:, i], frequencies) for i in range(2)]
    if slices > 1:
        columns = [(2 * which.to(x) / (slices - 1) - 1, FREQUENCIES), *columns]
    if not frequencies:
        return torch.stack([column for column, _ in columns], -1)
    features = []
    for column, count in columns:
        u = torch.pi * (column + 1)
        features += [u] if raw else []
        for f in range(count):
            features.append((2**f * u).sin())
            features += [(2**f * u).cos()] if cosines else []
    return torch.stack(features, -1)


def inputs_of(settings: Mapping[str, Any]) -> int:
    """The number of features I."""
    if not settings.get("frequencies"):
        return 2 + (settings["slices"] > 1)
    each = [settings["frequencies"]] * 2 + [FREQUENCIES] * (settings["slices"] > 1)
    both = 1 + settings.get("cosines", True)
    return sum(both * f + settings.get("raw", False) for f in each)
