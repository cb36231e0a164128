r"""A network on its way out: as JSON, and as a function in C or JavaScript.

In the book: chapter 20.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from . import _programs
from ._checks import check_finite, check_knots
from .functions import Formula, FormulaLayer
from .layers import KANLayer
from .networks import KAN, MLP, Activation, Mixture, Network, TanhKAN
from .tanh import TanhLayer

__all__ = ["from_dict", "load", "save", "to_c", "to_dict", "to_javascript"]

# Functions with a name: what goes by it; the first is what comes back.
FUNCTIONS = {
    "silu": (F.silu, nn.SiLU),
    "tanh": (torch.tanh, F.tanh, nn.Tanh),
    "relu": (torch.relu, F.relu, nn.ReLU),
    "sigmoid": (torch.sigmoid, F.sigmoid, nn.Sigmoid),
    "sin": (torch.sin,),
    "cos": (torch.cos,),
}
NETWORKS = {kind.__name__: kind for kind in (KAN, MLP, TanhKAN, Mixture, Network, nn.Sequential)}
LAYERS = {"kan": KANLayer, "tanh": TanhLayer, "linear": nn.Linear, "activation": Activation}
# The settings of a layer, as they are, and its arrays; a base function comes between them.
SETTINGS = {"kan": ("grid_size", "degree"), "tanh": ("tanh",), "linear": (), "activation": ()}
ARRAYS = {
    "kan": ("knots", "coef", "spline_weight", "base_weight", "bias", "mask"),
    "tanh": ("a", "b", "bias"),
    "linear": ("weight", "bias"),
    "activation": (),
}
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16)
}


# --- numbers, lists and names --------------------------------------------------------------------


def to_dict(model: nn.Module) -> dict[str, Any]:
    r"""Return what a network is, in nothing but dicts, lists, numbers, names and None.

    The whole is ``{"format": "kanbook", "version": 1, "network": "KAN", "dtype": "float32",
    "layers": [...]}``. A layer has its ``"kind"`` and, after ``"in_features"`` I and
    ``"out_features"`` O, its arrays as nested lists, None where it has none:

    - ``"kan"``: ``grid_size`` G, ``degree`` k, ``base`` (a name), ``knots`` (I, G + 2k + 1),
      ``coef`` (I, O, G + k), ``spline_weight``, ``base_weight`` and ``mask`` (I, O), ``bias`` (O,),
      and ``clamp``, but only if true;
    - ``"tanh"``: ``tanh`` ("edge", "sum" or None), ``a`` and ``b`` (I, O), ``bias`` (O,);
    - ``"linear"``: ``weight`` (O, I), ``bias`` (O,);
    - ``"activation"``: only ``function``, a name.

    Args:
        model: a KAN, MLP, TanhKAN or Mixture, what :func:`kanbook.formulas.prune` made of a KAN, a
            single layer, or these with ``nn.SiLU``, ``nn.Tanh``, ``nn.ReLU`` and ``nn.Sigmoid`` in
            an ``nn.Sequential``.

    Raises:
        TypeError: the model is of another kind, or holds one.
        ValueError: a function has no known name, or a number is not finite.

    Example:
        >>> data = to_dict(nn.Sequential(nn.Linear(4, 2), nn.Tanh(), KANLayer(2, 1, grid_size=3)))
        >>> [layer["kind"] for layer in data["layers"]], len(data["layers"][2]["coef"][0][0])
        (['linear', 'activation', 'kan'], 6)
    """
    layers = _describe("model", model)
    kind = type(model) if type(model) in NETWORKS.values() else LAYERS[layers[0]["kind"]]
    dtypes = [str(p.dtype).removeprefix("torch.") for p in model.parameters()]
    head = {"format": "kanbook", "version": 1, "network": kind.__name__}
    return head | {"dtype": dtypes[0] if dtypes else "float32", "layers": layers}


def _describe(place: str, module: nn.Module) -> list[dict[str, Any]]:
    if type(module) in NETWORKS.values() and len(module):
        parts = [_describe(f"{place}[{i}]", inner) for i, inner in enumerate(module)]
        return [layer for part in parts for layer in part]
    if isinstance(module, (Formula, FormulaLayer)):
        raise TypeError(
            f"{place} is a {type(module).__name__}, which SymPy writes as a program: "
            "sympy.ccode(formula.expression()), or sympy.jscode"
        )
    if any(type(module) in alike for alike in FUNCTIONS.values()):
        module = Activation(module)
    kinds = {type_: kind for kind, type_ in LAYERS.items()}
    if type(module) not in kinds:
        raise TypeError(
            f"{place} is a {type(module).__name__}; expected a KAN, MLP, TanhKAN or Mixture, or a "
            "KANLayer, TanhLayer, nn.Linear, Activation, nn.SiLU, nn.Tanh, nn.ReLU or nn.Sigmoid"
        )
    kind = kinds[type(module)]
    if kind == "activation":
        return [{"kind": kind, "function": _name_of(f"{place}.function", module.function)}]
    names = ["in_features", "out_features", *SETTINGS[kind]]
    data = {"kind": kind} | {name: getattr(module, name) for name in names}
    if kind == "kan":
        data["base"] = None if module.base is None else _name_of(f"{place}.base", module.base)
        data |= {"clamp": True} if module.clamp else {}
    for name in ARRAYS[kind]:
        data[name] = values = getattr(module, name)
        if values is not None:
            check_finite(f"{place}.{name}", values)
            data[name] = values.tolist()
    return [data]


def _name_of(place: str, function: object) -> str:
    for name, alike in FUNCTIONS.items():
        if function in alike or type(function) in alike:
            return name
    raise ValueError(f"{place} is {function!r}; expected one of PyTorch's {', '.join(FUNCTIONS)}")


def from_dict(data: Mapping[str, Any]) -> nn.Module:
    """Return the network that :func:`to_dict` described: the same kind, dtype and numbers.

    Raises:
        ValueError, RuntimeError: ``data`` is no such description.

    Example:
        >>> model, x = KAN([2, 5, 1], base=F.silu), torch.rand(10, 2)
        >>> torch.equal(from_dict(to_dict(model))(x), model(x))
        True
    """
    layers = data.get("layers")
    if (data.get("format"), data.get("version")) != ("kanbook", 1):
        raise ValueError("data is no description in version 1; see to_dict")
    if not isinstance(layers, list) or not layers:
        raise ValueError(f"data has layers={layers!r}; expected a list of one or more")
    try:
        dtype = DTYPES[data["dtype"]]
        layers = [_restore(layer, dtype) for layer in layers]
        if data["network"] == type(layers[0]).__name__:
            return layers[0]
        network = NETWORKS[data["network"]]
    except KeyError as error:
        raise ValueError(f"data has no {error}, or it is unknown; see to_dict") from None
    model = network.__new__(network)
    nn.Sequential.__init__(model, *layers)  # a KAN's own __init__ would make layers itself
    return model


def _restore(data: Mapping[str, Any], dtype: torch.dtype) -> nn.Module:
    kind = data["kind"]
    if kind == "activation":
        return Activation(FUNCTIONS[data["function"]][0])
    options = {name: data[name] for name in ("in_features", "out_features", *SETTINGS[kind])}
    options["bias"] = data["bias"] is not None
    if kind == "kan":
        options["spline_weight"] = data["spline_weight"] is not None
        options["base"] = data["base"] and FUNCTIONS[data["base"]][0]
        options["clamp"] = data.get("clamp", False)
    device = torch.get_default_device()
    layer = nn.utils.skip_init(LAYERS[kind], dtype=dtype, device=device, **options)
    arrays = {name: data[name] for name in ARRAYS[kind] if data[name] is not None}
    layer.load_state_dict(
        {name: torch.tensor(values, dtype=dtype, device="cpu") for name, values in arrays.items()}
    )
    if kind == "kan":
        check_knots(layer.knots, layer.degree)
    return layer


def save(model: nn.Module, path: str | PathLike[str]) -> None:
    """Write :func:`to_dict` of a network to a file, as JSON; errors as there.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     save(KAN([2, 5, 1]), f"{folder}/model.json")
        ...     load(f"{folder}/model.json")[1].in_features
        5
    """
    Path(path).write_text(json.dumps(to_dict(model), allow_nan=False) + "\n", encoding="utf-8")


def load(path: str | PathLike[str]) -> nn.Module:
    """Return the network that :func:`save` wrote to a file; errors as :func:`from_dict`."""
    return from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


def to_c(model: nn.Module, name: str = "kan", *, dtype: torch.dtype = torch.float64) -> str:
    """Return a network as one function in C99, ``void kan(const double *x, double *y)``.

    It needs nothing but ``math.h``; ``kan_inputs`` and ``kan_outputs`` are the lengths of x and y.
    In ``torch.float32`` every ``double`` is a ``float``, x and y too, and ``exp`` is ``expf``: for
    processors that compute in single precision only, such as a Cortex-M4.

    Args:
        model: as :func:`to_dict`, of any dtype.
        name: of the function. Other names in the text begin with it and an underscore.
        dtype: in which it computes: ``torch.float64`` or ``torch.float32``.

    Raises:
        TypeError, ValueError: as :func:`to_dict`; ``name`` is no name in C; the model starts with
            an Activation; a number is too large for ``dtype``.

    Example:
        >>> print(to_c(KAN([2, 1])).splitlines()[0])
        /* kan: 2 numbers in, 1 out. Written by kanbook.export. */
        >>> "void kan(const float *x, float *y)" in to_c(KAN([2, 1]), dtype=torch.float32)
        True

    Source of the splines' recursion: de Boor (2001), chapter X, subroutine BSPLVB.
    """
    if dtype not in (torch.float64, torch.float32):
        raise ValueError(f"dtype={dtype!r}; expected torch.float64 or torch.float32")
    if dtype == torch.float64:
        return _programs.write(to_dict(model), name, _programs.DOUBLE)
    rounded = from_dict(to_dict(model)).float()
    return _programs.write(to_dict(rounded), name, _programs.FLOAT)


def to_javascript(model: nn.Module, name: str = "kan") -> str:
    """Return a network as a JavaScript module with one function: ``kan(x)`` returns an array.

    An array of another length is a RangeError; the rest is as :func:`to_c` has it.

    Example:
        >>> "export function plane(x)" in to_javascript(KAN([2, 1]), "plane")
        True
    """
    return _programs.write(to_dict(model), name, _programs.JAVASCRIPT)
