r"""Moving and multiplying the knots of a trained network, while it computes the same function.

:func:`update_grid` lays the knots out again, where the data are; :func:`extend_grid` puts more of
them into the same domain. Both find the coefficients with which every edge keeps its curve.

In the book: chapters 7 and 8.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from . import splines
from ._checks import check_finite, check_integer, check_number, check_points, check_tensor
from .layers import SplineLayer, named_spline_layers, samples_of, uncompiled

__all__ = ["update_grid", "extend_grid"]

# The narrowest interval that update_grid makes, in mean intervals.
NARROWEST = 1e-3


@torch.inference_mode(False)  # tensors made in it could never be trained again
@torch.no_grad()
def update_grid(model: nn.Module, x: Tensor, *, grid_eps: float = 0.02) -> None:
    r"""Lay out the knots of every spline layer anew, where its inputs are; keep its function.

    The new domain of an input reaches from its smallest to its largest sample. With G intervals,
    the knots inside are a blend of evenly spaced ones and of quantiles, between which lie equally
    many samples: ``grid_eps * uniform + (1 - grid_eps) * quantiles``, more even where it takes
    that for every interval to be at least a thousandth of the mean one. On either side follow k
    more knots at the distance of the outermost two. An input without spread keeps its knots.

    The new curve is the best approximation of the old one on the new domain
    (:func:`kanbook.splines.refine`). Where the data lie beyond the old knots the old curve was
    zero, or with ``clamp`` constant, and stays so. Layers are visited in the order of the forward
    pass in evaluation mode, each with the inputs that the layers already updated make of ``x``. An
    optimizer's memory of the old coefficients is worth nothing afterwards:
    :func:`kanbook.training.fit` makes a new one.

    Args:
        model: a layer or network, changed in place. Parameters stay the same objects.
        x: samples of its inputs, shape ``(..., I)``, at least two that differ.
        grid_eps: 0 for quantiles, 1 for even spacing.

    Raises:
        TypeError, ValueError: the model has no spline layer; x does not fit it, is not finite or
            holds fewer than two different samples; a number in the model is not finite; layers
            share coefficients, or one runs twice or not at all. The model is then unchanged.

    Example:
        >>> from kanbook import KAN
        >>> model = KAN([1, 3, 1])
        >>> update_grid(model, torch.linspace(0, 2, 50).unsqueeze(-1))
        >>> model[0].knots[0, 3].item(), model[0].knots[0, -4].item()
        (0.0, 2.0)

    Source: Liu et al., "KAN: Kolmogorov-Arnold Networks" (2024), section 2.4.
    In the book: chapter 7.
    """
    check_number("grid_eps", grid_eps, minimum=0, maximum=1)
    _rebuild(model, x, lambda _, layer, samples: _follow(layer, samples, grid_eps), once=True)


@torch.inference_mode(False)  # tensors made in it could never be trained again
@torch.no_grad()
def extend_grid(model: nn.Module, x: Tensor, grid_size: int) -> None:
    r"""Give every spline layer more knots in the same domain; keep its function.

    New knots stand where the old ones, as a function of their number, are interpolated linearly. If
    ``grid_size`` is a multiple of the old one, all old knots are among the new and the function
    stays the same to rounding error. Otherwise the new curve is the best approximation on the
    domain. Outside the domain the function changes, and a ``RuntimeWarning`` says how many inputs
    lie there. ``layer.coef`` becomes a new parameter, for a new optimizer.

    Args:
        model: a layer or network, changed in place.
        x: samples of its inputs, shape ``(..., I)``, at least two that differ.
        grid_size: the new number of intervals G of every spline layer, no less than the present.

    Raises:
        TypeError, ValueError: as :func:`update_grid`; ``grid_size`` is below that of a layer, or
            so large that rounding would make knots equal.

    Example:
        >>> from kanbook import KANLayer
        >>> layer, x = KANLayer(1, 1, grid_size=5), torch.linspace(-1, 1, 50).unsqueeze(-1)
        >>> before = layer(x)
        >>> extend_grid(layer, x, 10)
        >>> layer.grid_size, torch.allclose(layer(x), before, atol=1e-6)
        (10, True)

    Source: Liu et al., "KAN: Kolmogorov-Arnold Networks" (2024), section 2.4.
    In the book: chapter 8.
    """
    check_integer("grid_size", grid_size, 1)
    for name, layer in spline_layers(model).items():
        if grid_size < layer.grid_size:
            raise ValueError(
                f"grid_size={grid_size!r}; expected at least {layer.grid_size}, the present one of "
                f"{label(name)}"
            )
    outside = []

    def finer(name: str, layer: SplineLayer, samples: Tensor) -> Tensor:
        knots = _subdivide(layer, grid_size)
        start, end = layer.domain
        rounding = 1e-6 * (end - start)
        beyond = (samples < start - rounding) | (samples > end + rounding)
        if beyond.any() and knots is not layer.knots and not layer.clamp:
            share = beyond.double().mean().item()
            outside.append(f"{share:.1%} of the inputs of {label(name)}")
        return knots

    _rebuild(model, x, finer, once=False)
    if outside:
        warnings.warn(
            f"{', '.join(outside)} lie outside its domain, where the new curves differ from the "
            "old; call update_grid first (in fit: the same step in update_grid_at)",
            RuntimeWarning,
            stacklevel=4,  # the caller of both decorators
        )


def spline_layers(model: nn.Module) -> dict[str, SplineLayer]:
    """The spline layers of a model by name; there must be some, each with its own coefficients."""
    layers = named_spline_layers(model)
    if not layers:
        raise ValueError(
            f"model is a {type(model).__name__} without spline layers; expected at least one layer "
            "with knots, such as KANLayer"
        )
    if len({layer.coef for layer in layers.values()}) < len(layers):
        raise ValueError("spline layers share their coef; expected one for each")
    return layers


def label(name: str) -> str:
    """How messages call a layer of that name."""
    return f"layer {name!r}" if name else "the layer"


def check_calls(model: nn.Module, calls: list[tuple[SplineLayer, Tensor]]) -> None:
    """Refuse a model whose forward pass does not run every spline layer just once."""
    ran = [layer for layer, _ in calls]
    for name, layer in spline_layers(model).items():
        if ran.count(layer) != 1:
            raise ValueError(f"{label(name)} runs {ran.count(layer)} times; expected one a pass")


def _rebuild(
    model: nn.Module, x: Tensor, new_knots: Callable[[str, SplineLayer, Tensor], Tensor], once: bool
) -> None:
    """Give each spline layer ``new_knots(name, layer, inputs)`` and coefficients for its old curve.

    A copy of the model runs on x and changes each layer just before that layer's turn. Only when it
    has got through are its grids handed to the model.
    """
    layers = spline_layers(model)
    check_tensor("x", x)
    check_finite("x", x)
    if x.ndim < 2 or (x == x.reshape(-1, x.shape[-1])[:1]).all():
        raise ValueError(
            f"x has shape {tuple(x.shape)}; expected (N, I), at least two samples that differ"
        )
    trial = copy.deepcopy(model).eval()
    copies = {layer: name for name, layer in spline_layers(trial).items()}
    visited = set()

    def change(layer: SplineLayer, args: tuple, kwargs: dict) -> None:
        name, samples = copies[layer], samples_of(args, kwargs)
        if layer in visited:
            if once:
                raise ValueError(f"{label(name)} runs more than once; expected one call a pass")
            return
        visited.add(layer)
        check_points(samples, layer.knots)
        check_finite(f"the input of {label(name)}", samples)
        check_finite(f"coef of {label(name)}", layer.coef)
        knots = new_knots(name, layer, samples)
        grid = layer.knots, knots, layer.degree
        coef = splines.refine(layer.coef, *grid, clamp=layer.clamp)
        if knots.shape == layer.knots.shape:  # to the last bit where nothing has changed
            same = (knots == layer.knots).all(-1)[:, None, None]
            coef = torch.where(same, layer.coef, coef)
        layer.set_grid(knots, coef)

    for layer in copies:
        layer.register_forward_pre_hook(change, with_kwargs=True)
    with uncompiled(trial):
        trial(x)
    for layer, name in copies.items():
        if layer not in visited:
            raise ValueError(f"{label(name)} takes no part in the forward pass; expected one call")
    for layer, name in copies.items():
        layers[name].set_grid(layer.knots, layer.coef)


def in_first_half(steps: int, n: int) -> list[int]:
    """So many steps, evenly over the first half."""
    return [1 + round(steps / 2 * i / n) for i in range(1, n + 1)]


def _follow(layer: SplineLayer, samples: Tensor, grid_eps: float) -> Tensor:
    """Knots for samples of shape (N, I): quantiles blended with even spacing."""
    size = layer.grid_size
    ordered = splines.to_float64(samples).sort(0).values
    start, end = ordered[0], ordered[-1]
    step = (end - start) / size
    like = {"dtype": ordered.dtype, "device": ordered.device}
    position = torch.linspace(0, len(ordered) - 1, size + 1, **like)
    below = position.long()
    above = (below + 1).clamp(max=len(ordered) - 1)
    weight = (position - below).unsqueeze(-1)
    quantiles = torch.lerp(ordered[below], ordered[above], weight)  # (G + 1, I)
    number = torch.arange(size + 1, device=ordered.device).unsqueeze(-1)
    even = start + (end - start) * number / size
    inside = torch.lerp(quantiles, even, grid_eps)
    short = NARROWEST * step - inside.diff(dim=0).amin(0)
    more = short / ((1 - NARROWEST) * step + short)  # lifts the narrowest to NARROWEST * step
    inside = torch.lerp(inside, even, torch.where(short > 0, more, 0.0))
    inside[0], inside[-1] = start, end
    knots = _with_margin(inside.T, layer.degree).to(layer.knots)
    # Too narrow for this dtype to tell its knots apart: all samples are as good as equal.
    return torch.where(_too_close(knots), layer.knots, knots)


def _subdivide(layer: SplineLayer, grid_size: int) -> Tensor:
    """Knots of ``grid_size`` intervals, interpolated from the layer's."""
    if grid_size == layer.grid_size:
        return layer.knots
    k, old = layer.degree, splines.to_float64(layer.knots)
    inside = old[:, k : k + layer.grid_size + 1]
    # Whole numbers first, so that a new knot at an old one's place is that knot exactly.
    numerator = torch.arange(grid_size + 1, device=old.device) * layer.grid_size
    below = (numerator // grid_size).clamp(max=layer.grid_size - 1)
    weight = (numerator - below * grid_size).to(old) / grid_size
    inside = torch.lerp(inside[:, below], inside[:, below + 1], weight)
    knots = _with_margin(inside, k).to(layer.knots)
    close = _too_close(knots)
    if close.any():
        domain = [inside[close.squeeze(-1), end][0].item() for end in (0, -1)]
        raise ValueError(
            f"grid_size={grid_size!r} is too large for the domain {domain} in {knots.dtype}: "
            "neighboring knots would be equal; expected fewer intervals"
        )
    return knots


def _too_close(knots: Tensor) -> Tensor:
    """Whether some interval is no wider than a few steps of rounding, shape (I, 1)."""
    rounding = torch.finfo(knots.dtype).eps * knots.abs().amax(-1, keepdim=True)
    return (knots.diff() <= 8 * rounding).any(-1, keepdim=True)


def _with_margin(inside: Tensor, k: int) -> Tensor:
    """Add k knots on either side, at the distance of the outermost two inside: (I, G + 2k + 1)."""
    # With wider ones, the outermost functions would hardly reach in, and get huge coefficients.
    far = torch.arange(1, k + 1, dtype=inside.dtype, device=inside.device)
    before = inside[:, :1] - far.flip(0) * (inside[:, 1:2] - inside[:, :1])
    after = inside[:, -1:] + far * (inside[:, -1:] - inside[:, -2:-1])
    return torch.cat([before, inside, after], 1)
