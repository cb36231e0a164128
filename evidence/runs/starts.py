"""Other starts of a KAN than the library's straight lines: random numbers of several widths."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from kanbook import splines
from kanbook._checks import as_generator, check_name
from kanbook.layers import KANLayer


def _uniform(layer: KANLayer, generator: torch.Generator | None, *, bound: float) -> None:
    layer.coef.uniform_(-bound, bound, generator=generator)


def _products(layer: KANLayer, generator: torch.Generator | None, *, bound: float) -> None:
    for parameter in layer.parameters():
        parameter.uniform_(-bound, bound, generator=generator)


def _normal(layer: KANLayer, generator: torch.Generator | None) -> None:
    layer.coef.normal_(generator=generator)


def _pykan(layer: KANLayer, generator: torch.Generator | None) -> None:
    knots, size, width = layer.knots, layer.grid_size, layer.in_features**-0.5
    x = knots[:, layer.degree : size + layer.degree + 1].T  # (G + 1, I), those of the domain
    noise = torch.empty(*x.shape, layer.out_features).to(x)
    noise.uniform_(-0.15 / size, 0.15 / size, generator=generator)
    layer.coef.copy_(splines.fit(x, noise, knots, layer.degree))
    layer.base_weight.uniform_(-width, width, generator=generator)
    layer.spline_weight.fill_(width)


def _power_law(layer: KANLayer, generator: torch.Generator | None) -> None:
    terms = layer.in_features * (layer.grid_size + layer.degree + 1)
    layer.base_weight.normal_(0, terms**-0.25, generator=generator)
    layer.coef.normal_(0, terms**-1.75, generator=generator)


STARTS: dict[str, Callable[[KANLayer, torch.Generator | None], None]] = {
    "lines": KANLayer.reset_parameters,
    "uniform 0.1": partial(_uniform, bound=0.1),
    "uniform 0.25": partial(_uniform, bound=0.25),
    "products": partial(_products, bound=0.25),
    "normal": _normal,
    "power law": _power_law,
    "pykan": _pykan,
}


@torch.no_grad()
def start(model: nn.Module, name: str, generator: int | torch.Generator | None = None) -> nn.Module:
    r"""Give every KAN layer of a model new random numbers, and return the model.

    ==============  ================================================================
    name            new numbers
    ==============  ================================================================
    "lines"         all of :class:`~kanbook.layers.KANLayer`
    "uniform 0.1"   coefficients, uniform on [-0.1, 0.1]
    "uniform 0.25"  coefficients, uniform on [-0.25, 0.25]
    "products"      every parameter, uniform on [-0.25, 0.25]
    "normal"        coefficients, standard deviation 1
    "power law"     coefficients, :math:`m^{-1.75}`, and base weights, :math:`m^{-0.25}`
    "pykan"         curves through noise of ±0.15 / G at the knots, base weights uniform
                    in ±:math:`I^{-1/2}`, spline weights :math:`I^{-1/2}`
    ==============  ================================================================

    The numbers of "normal" and "power law" are normal, with these standard deviations, where
    :math:`m = I (G + k + 1)` terms are added up in an output. Whatever is not named stays as it is.
    "power law" and "pykan" need layers with a base function, "pykan" spline weights, too.

    Source of "uniform 0.25" and "products": the code of Casey Primozic's post (2024). Of "power
    law": Rigas et al., "Initialization Schemes for Kolmogorov-Arnold Networks: An Empirical Study"
    (ICLR 2026), with the exponents of ``srigas/KAN_Initialization_Schemes``. Of "pykan":
    ``KANLayer.__init__`` of PyKAN 0.2.8 with ``noise_scale=0.3``, the default of its ``KAN``.

    Raises:
        ValueError: ``name`` is none of ``STARTS``.
    """
    check_name("name", name, STARTS)
    layers = [module for module in model.modules() if isinstance(module, KANLayer)]
    generator = as_generator(generator, layers[0].coef.device)
    for layer in layers:
        STARTS[name](layer, generator)
    return model
