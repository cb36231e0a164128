r"""A network on its way out: as JSON, and as a function in C or JavaScript.

PyTorch writes ONNX itself, if the packages onnx and onnxscript are there::

    torch.onnx.export(model, (x[:2],), "model.onnx", dynamo=True, dynamic_shapes=({0: "rows"},))

In the book: chapter 20.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import _programs
from ._checks import check_finite, check_knots
from .functions import LIBRARY, Check, Formula, FormulaLayer, Function, Snap
from .layers import KANLayer
from .lookup import Tables
from .networks import KAN, MLP, Activation, Mixture, Network, TanhKAN
from .tanh import TanhLayer

__all__ = ["from_dict", "load", "save", "to_c", "to_dict", "to_javascript"]

# Functions with a name: what goes by it; the first is what comes back, or, with settings, the last.
FUNCTIONS = {
    "silu": (F.silu, nn.SiLU),
    "tanh": (torch.tanh, F.tanh, nn.Tanh),
    "relu": (torch.relu, F.relu, nn.ReLU),
    "sigmoid": (torch.sigmoid, F.sigmoid, nn.Sigmoid),
    "sin": (torch.sin,),
    "cos": (torch.cos,),
    "elu": (F.elu, nn.ELU),
    "gelu": (F.gelu, nn.GELU),
    "leaky_relu": (F.leaky_relu, nn.LeakyReLU),
    "softplus": (F.softplus, nn.Softplus),
}
NETWORKS = {kind.__name__: kind for kind in (KAN, MLP, TanhKAN, Mixture, Network, nn.Sequential)}
LAYERS = {
    "kan": KANLayer,
    "formula": FormulaLayer,
    "tanh": TanhLayer,
    "linear": nn.Linear,
    "activation": Activation,
    "batchnorm": nn.BatchNorm1d,
    "layernorm": nn.LayerNorm,
}
LEFT_OUT = (nn.Identity, nn.Dropout, nn.Flatten)
# The settings of a layer, as they are, and its arrays; functions come between them.
EDGES = ("in_features", "out_features")
SETTINGS = {
    "kan": (*EDGES, "grid_size", "degree"),
    "formula": EDGES,
    "tanh": (*EDGES, "tanh"),
    "linear": EDGES,
    "batchnorm": ("num_features", "eps"),
    "layernorm": ("normalized_shape", "eps"),
}
ARRAYS = {
    "kan": ("knots", "coef", "spline_weight", "base_weight", "bias", "mask"),
    "formula": ("constants", "bias", "free_constants", "free_bias"),
    "tanh": ("a", "b", "bias"),
    "linear": ("weight", "bias"),
    "batchnorm": ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
    "layernorm": ("weight", "bias"),
}
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16)
}


# --- numbers, lists and names --------------------------------------------------------------------


def to_dict(model: nn.Module | Formula | Tables) -> dict[str, Any]:
    r"""Return what a network is, in nothing but dicts, lists, numbers, names and None.

    The whole is ``{"format": "kanbook", "version": 1, "network": "KAN", "dtype": "float32",
    "layers": [...]}``. A layer has its ``"kind"`` and, after ``"in_features"`` I and
    ``"out_features"`` O, its arrays as nested lists, None where it has none:

    - ``"kan"``: ``grid_size`` G, ``degree`` k, ``base`` (a function or None), ``knots``
      (I, G + 2k + 1), ``coef`` (I, O, G + k), ``spline_weight``, ``base_weight`` and ``mask``
      (I, O), ``bias`` (O,), and ``clamp``, but only if true;
    - ``"tanh"``: ``tanh`` ("edge", "sum" or None), ``a`` and ``b`` (I, O), ``bias`` (O,);
    - ``"linear"``: ``weight`` (O, I), ``bias`` (O,);
    - ``"activation"``: only ``function``, a name, or a dict of ``name`` and settings;
    - ``"batchnorm"``, ``"layernorm"``: ``eps``, ``weight`` and ``bias``, each of (I,), and of the
      first ``running_mean`` and ``running_var``;
    - ``"formula"``: ``functions``, a list of [input, output, name in
      ``kanbook.formulas.LIBRARY``]; of each, ``constants`` c, a and b; ``bias`` (O,); which of
      these may change; ``splines``, the ``"kan"`` layer of the edges that are curves, or None;
    - ``"lookup"``: the attributes of a :class:`~kanbook.lookup.TableLayer`, as integers but for
      ``low`` and ``unit``.

    Args:
        model: a KAN, MLP, TanhKAN or Mixture, what :func:`kanbook.formulas.prune` made of a KAN, a
            :class:`~kanbook.functions.Formula`, :class:`~kanbook.lookup.Tables`, a single layer, or
            layers in an ``nn.Sequential``, with activations, ``nn.BatchNorm1d`` and
            ``nn.LayerNorm``. It counts as in evaluation mode: ``nn.Dropout`` is left out, as are
            ``nn.Identity`` and ``nn.Flatten``.

    Raises:
        TypeError: the model is of another kind, or holds one.
        ValueError: a function has no known name, or a number is not finite.

    Example:
        >>> data = to_dict(nn.Sequential(nn.Linear(4, 2), nn.Tanh(), KANLayer(2, 1, grid_size=3)))
        >>> [layer["kind"] for layer in data["layers"]], len(data["layers"][2]["coef"][0][0])
        (['linear', 'activation', 'kan'], 6)
    """
    if isinstance(model, Tables):
        return model.to_dict()
    if isinstance(model, Formula):
        record = vars(model) | {"snaps": [*map(list, model.snaps)]}
        network = record.pop("network")
        if model.check is not None:  # JSON has no infinity
            record["check"] = [value if math.isfinite(value) else None for value in model.check]
        return to_dict(network) | {"formula": record}
    layers = _describe("model", model)
    if not layers:
        raise TypeError(f"model is a {type(model).__name__} without layers; expected one or more")
    kind = type(model) if type(model) in NETWORKS.values() else LAYERS[layers[0]["kind"]]
    dtypes = [str(p.dtype).removeprefix("torch.") for p in model.parameters()]
    head = {"format": "kanbook", "version": 1, "network": kind.__name__}
    return head | {"dtype": dtypes[0] if dtypes else "float32", "layers": layers}


def _describe(place: str, module: nn.Module) -> list[dict[str, Any]]:
    if type(module) in NETWORKS.values():
        parts = [_describe(f"{place}[{i}]", inner) for i, inner in enumerate(module)]
        return [layer for part in parts for layer in part]
    if type(module) in LEFT_OUT:
        return []
    if any(type(module) in alike for alike in FUNCTIONS.values()):
        module = Activation(module)
    kinds = {type_: kind for kind, type_ in LAYERS.items()}
    if type(module) not in kinds:
        raise TypeError(
            f"{place} is a {type(module).__name__}; expected a KAN, MLP, TanhKAN, Mixture, Formula "
            f"or nn.Sequential, or one of {', '.join(t.__name__ for t in (*kinds, *LEFT_OUT))} and "
            f"PyTorch's activations {', '.join(FUNCTIONS)}"
        )
    kind = kinds[type(module)]
    data = {"kind": kind} | {name: getattr(module, name) for name in SETTINGS.get(kind, ())}
    if kind == "activation":
        data["function"] = _describe_function(f"{place}.function", module.function)
    elif kind == "kan":
        data["base"] = module.base and _describe_function(f"{place}.base", module.base)
        data |= {"clamp": True} if module.clamp else {}
    elif kind == "formula":
        data["splines"] = module.splines and _describe(f"{place}.splines", module.splines)[0]
        data["functions"] = [_named(place, *edge) for edge in module.functions]
    elif kind == "layernorm":
        data["normalized_shape"] = module.normalized_shape[-1]
    for name in ARRAYS.get(kind, ()):
        data[name] = values = getattr(module, name)
        if values is not None:
            check_finite(f"{place}.{name}", values.to(torch.float64))
            data[name] = values.tolist()
    return [data]


def _describe_function(place: str, function: object) -> str | dict[str, Any]:
    for name, alike in FUNCTIONS.items():
        if function in alike:
            return name
        if type(function) in alike:
            keys = [key for key in _programs.DEFAULTS if hasattr(function, key)]
            settings = {key: getattr(function, key) for key in keys}
            return {"name": name} | settings if settings else name
    raise ValueError(f"{place} is {function!r}; expected one of PyTorch's {', '.join(FUNCTIONS)}")


def _named(place: str, i: int, o: int, name: str, function: Function) -> list[Any]:
    if name not in LIBRARY or LIBRARY[name].text != function.text:
        raise ValueError(f"{place} has a function {name!r}; expected one of {', '.join(LIBRARY)}")
    return [i, o, name]


def from_dict(data: Mapping[str, Any]) -> nn.Module | Formula | Tables:
    """Return the network that :func:`to_dict` described: the same kind, dtype and numbers.

    It is in evaluation mode.

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
    if data.get("network") == "Tables":
        return Tables.from_dict(data)
    try:
        dtype = DTYPES[data["dtype"]]
        layers = [_restore(layer, dtype) for layer in layers]
        if data["network"] == type(layers[0]).__name__:
            return layers[0].eval()
        network = NETWORKS[data["network"]]
    except KeyError as error:
        raise ValueError(f"data has no {error}, or it is unknown; see to_dict") from None
    model = network.__new__(network)
    nn.Sequential.__init__(model, *layers)  # a KAN's own __init__ would make layers itself
    model.eval()
    if "formula" not in data:
        return model
    record = dict(data["formula"])
    record["snaps"] = [Snap(*snap) for snap in record["snaps"]]
    if record["check"] is not None:
        record["check"] = Check(*(math.inf if v is None else v for v in record["check"]))
    return Formula(model, **record)


def _restore(data: Mapping[str, Any], dtype: torch.dtype) -> nn.Module:
    kind = data["kind"]
    if kind == "activation":
        return Activation(_restore_function(data["function"]))
    if kind == "formula":
        return _restore_formula(data, dtype)
    options = {name: data[name] for name in SETTINGS[kind]} | {"bias": data["bias"] is not None}
    if kind == "kan":
        options["spline_weight"] = data["spline_weight"] is not None
        options["base"] = data["base"] and _restore_function(data["base"])
        options["clamp"] = data.get("clamp", False)
    elif kind == "batchnorm":
        options["affine"] = options.pop("bias")
    elif kind == "layernorm":
        options["elementwise_affine"] = data["weight"] is not None
    device = torch.get_default_device()
    layer = nn.utils.skip_init(LAYERS[kind], dtype=dtype, device=device, **options)
    arrays = {name: data[name] for name in ARRAYS[kind] if data[name] is not None}
    layer.load_state_dict(
        {
            name: torch.tensor(values, dtype=torch.float64, device="cpu")
            for name, values in arrays.items()
        }
    )
    if kind == "kan":
        check_knots(layer.knots, layer.degree)
    return layer


def _restore_function(data: str | Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    if isinstance(data, str):
        return FUNCTIONS[data][0]
    settings = dict(data)
    return FUNCTIONS[settings.pop("name")][-1](**settings)


def _restore_formula(data: Mapping[str, Any], dtype: torch.dtype) -> FormulaLayer:
    edges = data["in_features"], data["out_features"]
    layer = FormulaLayer(KANLayer(*edges, dtype=dtype, generator=0))
    layer.splines = data["splines"] and _restore(data["splines"], dtype)
    layer.functions = [(i, o, name, LIBRARY[name]) for i, o, name in data["functions"]]
    for name, shape in {"constants": (-1, 3), "bias": (-1,)}.items():
        values = layer.bias.new_tensor(data[name]).view(shape)
        setattr(layer, name, nn.Parameter(values))
        setattr(layer, f"free_{name}", values.new_tensor(data[f"free_{name}"]).view(shape).bool())
    return layer


def save(model: nn.Module | Formula | Tables, path: str | PathLike[str]) -> None:
    """Write :func:`to_dict` of a network to a file, as JSON; errors as there.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     save(KAN([2, 5, 1]), f"{folder}/model.json")
        ...     load(f"{folder}/model.json")[1].in_features
        5
    """
    Path(path).write_text(json.dumps(to_dict(model), allow_nan=False) + "\n", encoding="utf-8")


def load(path: str | PathLike[str]) -> nn.Module | Formula | Tables:
    """Return the network that :func:`save` wrote to a file; errors as :func:`from_dict`."""
    return from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


def to_c(
    model: nn.Module | Formula | Tables, name: str = "kan", *, dtype: torch.dtype = torch.float64
) -> str:
    """Return a network as one function in C99, ``void kan(const double *x, double *y)``.

    It needs nothing but ``math.h``; ``kan_inputs`` and ``kan_outputs`` are the lengths of x and y.
    In ``torch.float32`` every ``double`` is a ``float``, x and y too, and ``exp`` is ``expf``: for
    processors that compute in single precision only, such as a Cortex-M4. Of
    :class:`~kanbook.lookup.Tables` every ``double`` becomes an ``int32_t``, ``math.h`` becomes
    ``stdint.h``, and ``dtype`` means nothing: for those without a floating-point unit. Outputs are
    those of ``Tables.run``, bit for bit; nothing in it is left to the compiler.

    Args:
        model: as :func:`to_dict`, of any dtype.
        name: of the function. Other names in the text begin with it and an underscore. In C it is
            no name of the standard library, not in capitals only (macros are), does not begin with
            an underscore or end with ``_t``; it is no word of the language.
        dtype: in which it computes: ``torch.float64`` or ``torch.float32``.

    Raises:
        TypeError, ValueError: as :func:`to_dict`; ``name`` is taken, or no name at all; no layer
            tells how many numbers go in; a number is too large for ``dtype``.

    Example:
        >>> print(to_c(KAN([2, 1])).splitlines()[0])
        /* kan: 2 numbers in, 1 out. Written by kanbook.export. */
        >>> "void kan(const float *x, float *y)" in to_c(KAN([2, 1]), dtype=torch.float32)
        True

    Source of the splines' recursion: de Boor (2001), chapter X, subroutine BSPLVB.
    """
    if dtype not in (torch.float64, torch.float32):
        raise ValueError(f"dtype={dtype!r}; expected torch.float64 or torch.float32")
    if isinstance(model, Tables):
        return _programs.write(to_dict(model), name, _programs.INTEGERS)
    if dtype == torch.float64:
        return _programs.write(to_dict(model), name, _programs.DOUBLE)
    rounded = from_dict(to_dict(model) | {"dtype": "float32"})
    return _programs.write(to_dict(rounded), name, _programs.FLOAT)


def to_javascript(model: nn.Module | Formula | Tables, name: str = "kan") -> str:
    """Return a network as a JavaScript module with one function: ``kan(x)`` returns an array.

    An array of another length is a RangeError; the rest is as :func:`to_c` has it, but for the
    names that are taken.

    Example:
        >>> "export function plane(x)" in to_javascript(KAN([2, 1]), "plane")
        True
    """
    return _programs.write(to_dict(model), name, _programs.JAVASCRIPT)
