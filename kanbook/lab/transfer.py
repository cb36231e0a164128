"""Networks on their way to a page and back, as dicts that JSON can hold, ``{"layers": [...]}``.

``Network.from`` and ``toJSON`` in ``network.js`` are the other end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .. import splines
from .._checks import check_finite
from ..functions import LIBRARY, Candidate, FormulaLayer
from ..layers import KANLayer
from ..networks import KAN, MLP, in_a_row
from .widget import MAX_DEGREE

silu = nn.functional.silu


def to_page(model: nn.Module) -> dict[str, Any]:
    """The numbers of a network of curves and functions; an error, if a page cannot compute it."""
    layers = in_a_row(model)
    for layer in layers:
        if not isinstance(layer, (KANLayer, FormulaLayer)):
            raise TypeError(
                f"model holds a {type(layer).__name__}; expected a KAN, or the network of a formula"
            )
    ends = layers[0].in_features, layers[-1].out_features
    if ends[0] > 2 or ends[1] != 1:
        raise ValueError(
            f"model has {ends[0]} inputs and {ends[1]} outputs; expected 1 or 2 inputs and 1 output"
        )
    for n, (before, after) in enumerate(pairwise(layers)):
        if before.out_features != after.in_features:
            raise ValueError(
                f"model[{n}] has {before.out_features} outputs and model[{n + 1}] "
                f"{after.in_features} inputs; expected as many"
            )
    return {"layers": [_numbers(layer, f"model[{n}]") for n, layer in enumerate(layers)]}


def _numbers(layer: KANLayer | FormulaLayer, name: str) -> dict[str, Any]:
    named = isinstance(layer, FormulaLayer)
    curves = layer.splines if named else layer
    if curves is None:  # every edge is a function, and of curves only their absence is told
        edges = layer.in_features, layer.out_features
        curves = KANLayer(*edges, dtype=torch.float64, generator=0)
        curves.mask = torch.zeros_like(curves.coef[..., 0])
    if curves.degree > MAX_DEGREE:
        raise ValueError(f"{name} has degree {curves.degree}; expected at most {MAX_DEGREE}")
    if not (curves.base in (None, silu) or isinstance(curves.base, nn.SiLU)):
        raise ValueError(f"{name} has the base {curves.base!r}; expected None or {silu!r}")
    if curves.clamp:
        raise ValueError(f"{name} has clamp=True; expected False")
    tensors = {"knots": curves.knots, "coef": curves.coef, "mask": curves.mask}
    tensors |= {key: getattr(curves, key) for key in ("spline_weight", "base_weight", "bias")}
    lists = {key: _list(f"{name}.{key}", tensor) for key, tensor in tensors.items()}
    numbers = {"inputs": layer.in_features, "outputs": layer.out_features}
    numbers |= {"degree": curves.degree, **lists, "functions": [], "named": named, "fixed": []}
    if named:
        bias = layer.bias if curves.bias is None else layer.bias + curves.bias
        numbers["bias"] = _list(f"{name}.bias", bias)
        free = [*layer.free_bias.tolist(), *layer.free_constants.flatten().tolist()]
        check_finite(f"{name}.constants", layer.constants)
        for (i, o, function, f), cab in zip(layer.functions, layer.constants.tolist(), strict=True):
            if function not in LIBRARY or LIBRARY[function].text != f.text:
                raise ValueError(
                    f"{name} has a function {function!r}; expected one of {', '.join(LIBRARY)}"
                )
            numbers["functions"].append([i, o, function, *cab])
        numbers["fixed"] = [p for p, one in zip(_places(numbers), free, strict=True) if not one]
    return numbers


def _places(numbers: Mapping[str, Any]) -> list[int]:
    """Where the page has the biases, and c, a and b of each function, in the row of all numbers."""
    start = sum(len(numbers[key] or ()) for key in ("coef", "spline_weight", "base_weight"))
    outputs = numbers["outputs"]
    first = [start + outputs + 3 * (i * outputs + o) for i, o, *_ in numbers["functions"]]
    return [*range(start, start + outputs), *(p + n for p in first for n in range(3))]


def from_page(network: Mapping[str, Any]) -> KAN:
    """The network of these numbers, in float64: KAN layers, or formula layers."""
    layers = network["layers"]
    model = KAN([layers[0]["inputs"], *(layer["outputs"] for layer in layers)], generator=0)
    for n, layer in enumerate(layers):
        model[n] = _layer(layer)
    return model


def _layer(numbers: Mapping[str, Any]) -> KANLayer | FormulaLayer:
    edges = inputs, outputs = numbers["inputs"], numbers["outputs"]
    named, functions = numbers["named"], numbers["functions"]
    options = {"degree": numbers["degree"], "bias": not named and numbers["bias"] is not None}
    options["spline_weight"] = numbers["spline_weight"] is not None
    options["base"] = None if numbers["base_weight"] is None else silu
    layer = KANLayer(inputs, outputs, **options, dtype=torch.float64, generator=0)
    layer.set_grid(_tensor(numbers["knots"], inputs, -1), _tensor(numbers["coef"], *edges, -1))
    if numbers["mask"] is not None:
        layer.mask = _tensor(numbers["mask"], *edges)
    with torch.no_grad():
        for name in ("spline_weight", "base_weight"):
            if numbers[name] is not None:
                getattr(layer, name).copy_(_tensor(numbers[name], *edges))
        if options["bias"]:
            layer.bias.copy_(_tensor(numbers["bias"], outputs))
    if not named:
        return layer
    layer = FormulaLayer(layer)
    with torch.no_grad():
        layer.bias.copy_(_tensor(numbers["bias"], outputs))
    for i, o, *_ in functions:  # they stand where curves were
        layer.splines.mask[i, o] = 1
    for i, o, name, c, a, b in functions:
        layer.put(i, o, LIBRARY[name], Candidate(name, math.nan, a, b, c, 0.0))
    if not layer.curves():
        layer.splines = None
    for place in numbers["fixed"]:
        n = _places(numbers).index(place)
        if n < outputs:
            layer.free_bias[n] = False
        else:
            layer.free_constants[divmod(n - outputs, 3)] = False
    return layer


def _list(name: str, tensor: Tensor | None) -> list[float] | None:
    if tensor is None:
        return None
    check_finite(name, tensor)
    return splines.to_float64(tensor.detach()).cpu().flatten().tolist()


def start(widths: Sequence[int], seed: int, **options: Any) -> KAN:
    """The network that the page starts with: straight lines of the same random slopes."""
    model, random = KAN(widths, **options, dtype=torch.float64, generator=0), Random(seed)
    for layer in model:
        knots, k, inputs = layer.knots[0], layer.degree, layer.in_features
        line = knots[1:-1].unfold(-1, k, 1).mean(-1) if k else (knots[1:] + knots[:-1]) / 2
        center = (knots[k] + knots[-k - 1]) / 2
        slope = _tensor([random.normal() for _ in layer.coef.flatten(0, 1)], inputs, -1, 1)
        with torch.no_grad():
            layer.coef.copy_(slope / inputs**0.5 * (line - center) + center / inputs)
    return model


def start_rival(widths: Sequence[int], seed: int) -> MLP:
    """The MLP that the page starts with: numbers within 1 / sqrt(inputs)."""
    model, random = MLP(widths, generator=0).double(), Random(seed + 1000)
    with torch.no_grad():
        for layer in model[::2]:
            for numbers in (layer.weight, layer.bias):
                unit = _tensor([random.uniform() for _ in numbers.flatten()], *numbers.shape)
                numbers.copy_((2 * unit - 1) / layer.in_features**0.5)
    return model


class Random:
    """As in numbers.js: mulberry32; normal numbers by Box and Muller."""

    def __init__(self, seed: int):
        self.state = (seed + 1) * 0x9E3779B1

    def uniform(self) -> float:
        bits = 2**32 - 1
        self.state = (self.state + 0x6D2B79F5) & bits
        a = (self.state ^ (self.state >> 15)) * (1 | self.state) & bits
        a ^= (a + (a ^ (a >> 7)) * (61 | a)) & bits
        return (a ^ (a >> 14)) / 2**32

    def normal(self) -> float:
        radius = math.sqrt(-2 * math.log(1 - self.uniform()))
        return radius * math.cos(2 * math.pi * self.uniform())


def _tensor(values: Sequence[float], *shape: int) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(*shape)
