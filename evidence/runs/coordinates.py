"""The same functions in other coordinates: what an optimizer without a sense of direction feels.

A layer of splines is linear in its coefficients: its outputs are F C, with the features F
``(N, I n)`` of its inputs and the matrix C ``(I n, O)``. With C = B W, where W is learned and B is
fixed, the layer has the same functions as long as the columns of B span all that the features
tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from kanbook import splines
from kanbook._checks import needed
from kanbook.layers import KANLayer

COPIES = 9  # of each input, bent


class Basis(nn.Module):
    """Makes coefficients ``(I, O, n)`` of what is learned, ``(r, O)``, by a basis ``(I n, r)``."""

    def __init__(self, basis: Tensor, inputs: int) -> None:
        super().__init__()
        self.register_buffer("basis", basis)
        self.inputs = inputs

    def forward(self, learned: Tensor) -> Tensor:
        return (self.basis @ learned).unflatten(0, (self.inputs, -1)).transpose(1, 2)

    def right_inverse(self, coef: Tensor) -> Tensor:
        return torch.linalg.pinv(self.basis) @ coef.transpose(1, 2).flatten(0, 1)


def directions(layer: KANLayer, x: Tensor, kind: str, rank: int) -> Tensor:
    """The first singular directions ``(I n, rank)`` of a layer's features at inputs ``(N, I)``.

    "turned" leaves the features their sizes; with "white" the mean square of all is 1.
    """
    features = splines.basis(x.double(), layer.knots.double(), layer.degree).flatten(1)
    _, sizes, turned = torch.linalg.svd(features, full_matrices=False)
    scale = len(x) ** 0.5 / sizes[:rank] if kind == "white" else 1
    return (turned[:rank].T * scale).to(x)


def change(model: nn.Module, settings: Mapping[str, Any], x: Tensor) -> None:
    """Give the first layer other coordinates, and all a matrix where the optimizer needs one."""
    layers = [layer for layer in model if isinstance(layer, KANLayer)]
    bases = {}
    if kind := settings.get("coordinates"):
        bases[layers[0]] = directions(layers[0], x, kind, settings["rank"])
    elif settings["optimizer"] in OPTIMIZERS:
        bases = {layer: torch.eye(layer.coef[:, 0].numel()).to(layer.coef) for layer in layers}
    for layer, basis in bases.items():
        parametrize.register_parametrization(layer, "coef", Basis(basis, layer.in_features))


def mixed(x: Tensor, least: float) -> Tensor:
    """Inputs ``(N, I)`` times a random matrix with singular values from 1 to ``least``."""
    generator = torch.Generator().manual_seed(0)
    both = torch.randn(2, *x.shape[1:] * 2, generator=generator, dtype=torch.float64)
    first, second = torch.linalg.qr(both).Q
    sizes = torch.logspace(0, math.log10(least), x.shape[1], dtype=torch.float64)
    return x @ (first * sizes @ second).to(x)


def with_copies(x: Tensor) -> Tensor:
    """Inputs ``(N, I)`` in [-1, 1] and ``COPIES`` of each, bent by powers from 1/2 to 2."""
    generator = torch.Generator().manual_seed(0)
    powers = torch.rand(COPIES * x.shape[1], generator=generator, dtype=torch.float64)
    many = x.repeat(1, COPIES)
    return torch.cat([x, many.sign() * many.abs() ** 2 ** (2 * powers - 1).to(x)], 1)


def soap(parameters: list[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """Adam in the eigenvectors of a matrix's mean squared gradients, found anew every ten steps."""
    library = needed("pytorch_optimizer", install="'kanbook[rivals]'")
    return library.SOAP(parameters, lr=lr, weight_decay=0.0)


def muon(parameters: list[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """Momentum whose singular values are all made one."""
    return torch.optim.Muon(parameters, lr=lr, weight_decay=0.0)


# Those that turn the gradient of a matrix.
OPTIMIZERS = {"soap": soap, "muon": muon}
