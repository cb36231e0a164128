"""The KAN Lab: a network that learns before the reader's eyes, by the scripts of this folder."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor, nn

from .. import plots, splines, tasks, training
from .._checks import check_finite, check_integer, check_number, check_widths
from ..functions import FormulaLayer
from ..layers import KANLayer
from ..networks import KAN
from . import bundle
from .transfer import from_page, silu, start, to_page
from .widget import MAX_DEGREE, Number, PicturedWidget, check_page_domain, checked, trait_errors

__all__ = ["PRESETS", "KANLab"]

# By name: the inputs of a task. Those of a table are as many as its points have.
TASKS = {"zigzag": 1, "drawn": 1, "exp_sine": 2, "product": 2, "velocities": 2, "spirals": 2}
TASKS |= {"checkers": 2, "rotated": 2, "noisy": 1, "portrait": 2, "table": 1}
BUTTONS = ("update", "extend", "fade", "prune", "snap", "step", "undo", "reset", "seed", "seeds")
ACTIONS = ("play", "pause", *BUTTONS)
SHAPE = ("grid_size", "degree", "domain", "bias", "spline_weight")
RANGES = {"grid_size": (1, 100), "degree": (0, MAX_DEGREE), "seed": (0, 2**31 - 1)}
RANGES |= {"speed": (1, 1000), "steps": (0, None)}
MAX_LAYERS, MAX_EDGES = 5, 60  # of a network, of a layer: more can hardly be drawn
MAX_ROWS = 5000

_BY_HAND = {"follow": False, "actions": ["update", "reset"]}
_SMALL = {
    "leaving": _BY_HAND,
    "update": {"follow": False, "lr": 0.1, "script": [[200, "update"]]},
    "extension": {
        "task": "zigzag",
        "grid_size": 3,
        "script": [[300 * n, "extend"] for n in (1, 2, 3)],
    },
    "death": {"task": "zigzag", "lr": 1.0, "seed": 2, **_BY_HAND},
    "fade": {"script": [[300, "fade"], [2000, "prune"]], "speed": 10},
}
#: The settings of small labs that show one thing each, as in ``KANLab(**PRESETS["update"])``:
#: values leave their knots; knots follow once; their number doubles three times; the learning rate
#: is 1; fifteen edges become few.
PRESETS = {
    name: {"size": "small", "actions": ["reset"], **settings} for name, settings in _SMALL.items()
}

# Where kanbook has the task too: samples for the picture of a new network.
SAMPLES = {"zigzag": lambda: tasks.function_1d("zigzag", dtype=torch.float64)}
SAMPLES |= {
    name: partial(tasks.formula, name, 400, dtype=torch.float64, generator=0)
    for name in ("exp_sine", "product")
}


def _velocities() -> tuple[Tensor, Tensor]:
    """Two velocities up to 0.75, as shares of it, and their sum by Einstein's rule."""
    generator = torch.Generator().manual_seed(0)
    u, v = x = 1.5 * (torch.rand(2, 400, dtype=torch.float64, generator=generator) - 0.5)
    return x.T / 0.75, ((u + v) / (1 + u * v)).unsqueeze(1)


SAMPLES["velocities"] = _velocities


class KANLab(PicturedWidget):
    r"""A KAN to train, fade, prune and snap, beside an MLP of as many parameters.

    All happens in the page. With a kernel, the attributes below are traits that sync both ways.
    A link in the page drives the nearest lab, as ``[text](#lab?lr=1&reset&run=500)`` does: settings
    by the names below, actions by those of the buttons, and ``run``, a number of steps to play.

    Args:
        model: a trained network to show: a :class:`~kanbook.networks.KAN`, or another row of
            :class:`~kanbook.layers.KANLayer`, its base None or SiLU, pruned or not; or the network
            of a :class:`~kanbook.functions.Formula`. One or two inputs, one output, any dtype. A
            new network if not given.
        task: what to learn: "zigzag", "drawn" (a curve of the reader's own), "exp_sine",
            "product", "velocities", "spirals", "checkers", "rotated", "noisy", "portrait" or
            "table" (the reader's own numbers).
        widths: number of nodes in each layer, inputs first, outputs last. The first is the task's,
            the last is 1; at most 60 edges in a layer.
        settings: any of the attributes below, by its name.

    Attributes:
        task, widths: as above. Set ``task``, and the first of ``widths`` follows.
        grid_size, degree, domain, bias, spline_weight: of a new network, as in
            :class:`~kanbook.networks.KAN`; degree 0 to 5, grid_size 1 to 100. Of a ``model`` they
            are its own.
        base: whether edges have SiLU as their base function.
        optimizer: "adam" or "lm", Levenberg-Marquardt.
        lr: learning rate of Adam.
        follow: move the knots to where the values are, every 50 steps at first, every 200 later.
        fade: a penalty that sends edges to zero which are not needed.
        seed: of the start and of the samples.
        points: data of the reader's own, for the tasks "table" and "drawn": rows (x, y) or
            (x1, x2, y), at most 5,000 of them, before them a row of names if the columns have
            such; or a ``pandas.DataFrame`` of two or three columns. The network of a table, also a
            ``model``, sees inputs scaled to [-1, 1] and targets of mean 0 and standard deviation 1.
        speed: steps in a frame.
        playing: whether it trains; if set at first, it begins once it is in sight.
        size: "large", or "small" with a few buttons.
        actions: the buttons of a small lab beside "Play": "update", "extend", "fade", "prune",
            "snap", "step", "undo", "reset", "seed", "seeds".
        script: pairs (step, action): what is done by itself when training comes to that step; one
            of these actions, "play" or "pause".
        network: the numbers of the KAN, once the page has sent them, for :meth:`model`.
        steps: steps of training so far.

    Raises:
        traitlets.TraitError: an argument is not allowed, now or when it is set later. The message
            says what is, and the widget stays as it was.

    Example:
        >>> lab = KANLab(task="product", widths=(2, 3, 1), fade=True)
        >>> lab.model()(torch.zeros(1, 2, dtype=torch.float64)).shape
        torch.Size([1, 1])

    In the book: chapters 3 and 15.
    """

    _esm = bundle.script("lab")
    _css = bundle.style("page", "lab")

    task = traitlets.Enum(tuple(TASKS), "exp_sine").tag(sync=True)
    widths = traitlets.Tuple(default_value=(2, 5, 1)).tag(sync=True)
    grid_size = traitlets.Int(5).tag(sync=True)
    degree = traitlets.Int(3).tag(sync=True)
    domain = traitlets.Tuple(Number(), Number(), default_value=(-1.0, 1.0)).tag(sync=True)
    bias = traitlets.Bool(False).tag(sync=True)
    spline_weight = traitlets.Bool(False).tag(sync=True)
    base = traitlets.Bool(False).tag(sync=True)
    optimizer = traitlets.Enum(("adam", "lm"), "adam").tag(sync=True)
    lr = Number(0.05).tag(sync=True)
    follow = traitlets.Bool(True).tag(sync=True)
    fade = traitlets.Bool(False).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    points = traitlets.Any(None, allow_none=True).tag(sync=True)
    speed = traitlets.Int(2).tag(sync=True)
    playing = traitlets.Bool(False).tag(sync=True)
    size = traitlets.Enum(("large", "small"), "large").tag(sync=True)
    actions = traitlets.List(traitlets.Enum(BUTTONS)).tag(sync=True)
    script = traitlets.List().tag(sync=True)
    network = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    steps = traitlets.Int(0).tag(sync=True)
    _portrait = traitlets.Unicode().tag(sync=True)  # 48 x 48 bytes, row by row, in base 64

    def __init__(
        self,
        model: nn.Module | None = None,
        *,
        task: str = "exp_sine",
        widths: Sequence[int] = (2, 5, 1),
        **settings: Any,
    ):
        for name in settings:
            if name not in self.trait_names(sync=True) or name.startswith("_"):
                raise TypeError(f"KANLab() got an unexpected keyword argument {name!r}")
        with trait_errors():
            check_widths(widths)
            settings["points"] = _rows(settings.get("points"))
            if tuple(widths) != (2, 5, 1):
                settings["widths"] = tuple(widths)
            if model is not None:
                settings["network"] = to_page(model)
                own = _shape(settings["network"])
                for name in own.keys() & settings.keys():
                    if not np.array_equal(settings[name], own[name]):
                        raise ValueError(
                            f"{name}={settings[name]!r}; expected {own[name]!r}, as in model"
                        )
                settings |= own
            settings.setdefault("widths", (_inputs(task, settings["points"]), 5, 1))
        super().__init__(task=task, _portrait=_portrait(), **settings)

    def model(self) -> KAN:
        """Return the network as it is in the page, or as a new one starts there, in float64.

        Where edges have been snapped, its layers are :class:`~kanbook.functions.FormulaLayer`.
        """
        if self.network is not None:
            return from_page(self.network)
        options = {name: getattr(self, name) for name in SHAPE}
        return start(self.widths, self.seed, **options, base=silu if self.base else None)

    # --- traits ----------------------------------------------------------------------------------

    @checked("grid_size", "degree", "seed", "speed", "steps")
    def _check_integer(self, value, name):
        check_integer(name, value, *RANGES[name])
        return value

    @checked("widths")
    def _check_widths(self, widths, name):
        check_widths(widths)
        inputs = _inputs(self.task, self.points)
        if (widths[0], widths[-1]) != (inputs, 1):
            raise ValueError(
                f"widths={widths!r} with task={self.task!r}; expected {inputs} at the "
                "beginning and 1 at the end"
            )
        edges = [i * o for i, o in pairwise(widths)]
        if len(edges) > MAX_LAYERS or max(edges) > MAX_EDGES:
            raise ValueError(
                f"widths={widths!r} has layers of {edges} edges; expected at most "
                f"{MAX_LAYERS} layers of at most {MAX_EDGES}"
            )
        return tuple(map(int, widths))

    @checked("domain")
    def _check_domain(self, domain, name):
        return check_page_domain(domain)

    @checked("lr")
    def _check_lr(self, lr, name):
        check_number("lr", lr, minimum=0, maximum=10, positive=True)
        return lr

    @checked("points")
    def _check_points(self, points, name):
        return _rows(points)

    @checked("script")
    def _check_script(self, script, name):
        for entry in script:
            pair = isinstance(entry, (list, tuple)) and len(entry) == 2
            if not pair or entry[1] not in ACTIONS:
                raise ValueError(
                    f"script has the entry {entry!r}; expected pairs of a step and one of "
                    f"{', '.join(ACTIONS)}"
                )
            check_integer("script: step", entry[0], 0)
        return [list(entry) for entry in script]

    @traitlets.observe("task", "points")
    def _follow_task(self, change):
        inputs = _inputs(self.task, self.points)
        if self.widths[0] != inputs:
            self.widths = (inputs, *self.widths[1:])

    # --- what a notebook stores ------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"KANLab(task={self.task!r}, widths={self.widths!r})"

    def _draw(self, figure: Figure) -> None:
        model = self.model()
        if self.network is None and self.task in SAMPLES:  # lines, which learn a little
            options = {"steps": 200, "lr": 0.02, "update_grid_at": range(50, 200, 50)}
            training.fit(model, *SAMPLES[self.task](), **options)
        generator = torch.Generator().manual_seed(0)
        x = torch.rand(400, self.widths[0], generator=generator, dtype=torch.float64)
        x = self.domain[0] + (self.domain[1] - self.domain[0]) * x
        figure.set_size_inches(6.4, 2 * len(model) + 0.5)
        plots.draw_kan(_curves(model, x), x, ax=figure.subplots())


@cache
def _portrait() -> str:
    _, luminance = tasks.image(48)
    return base64.b64encode((255 * luminance).round().byte().numpy()).decode()


def _inputs(task: str, points: list[list[Any]] | None) -> int:
    if task == "table" and points is not None:
        return len(points[0]) - 1
    return TASKS.get(task, 2)  # an unknown one is refused as such


def _rows(points: Any) -> list[list[Any]] | None:
    """Rows of points as lists of numbers, whatever they were; before them the columns' names."""
    if points is None:
        return None
    heads = [[*map(str, points.columns)]] if hasattr(points, "columns") else []
    if isinstance(points, list) and points and _are_names(points[0]):
        heads, points = points[:1], points[1:]
    try:
        rows = points if isinstance(points, Tensor) else np.array(points)
        rows = torch.as_tensor(rows, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"points={points!r}; expected rows of numbers") from None
    if rows.ndim != 2 or rows.shape[1] not in (2, 3) or not 2 <= len(rows) <= MAX_ROWS:
        raise ValueError(
            f"points has shape {tuple(rows.shape)}; expected (N, 2) or (N, 3), N from 2 to "
            f"{MAX_ROWS}"
        )
    check_finite("points", rows)
    for names in heads:
        if len(names) != rows.shape[1] or len({*names} - {""}) != len(names):
            raise ValueError(f"points has the names {names}; expected {rows.shape[1]} different")
    return heads + rows.tolist()


def _are_names(row: Any) -> bool:
    return isinstance(row, list) and bool(row) and all(isinstance(name, str) for name in row)


def _shape(network: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a network has by itself; of a grid that has moved, the first input's."""
    layers = network["layers"]
    first, k = layers[0], layers[0]["degree"]
    knots = first["knots"][: len(first["knots"]) // first["inputs"]]
    keys = {"bias": "bias", "spline_weight": "spline_weight", "base": "base_weight"}
    curves = [layer for layer in layers if not layer["named"]]
    return {
        "widths": (first["inputs"], *(layer["outputs"] for layer in layers)),
        "grid_size": len(knots) - 2 * k - 1,
        "degree": k,
        "domain": (knots[k], knots[-k - 1]),
        **{name: any(layer[key] is not None for layer in curves) for name, key in keys.items()},
    }


def _curves(model: nn.Module, x: Tensor) -> nn.Module:
    """The same with curves in the place of functions, near enough for a drawing."""
    layers = []
    for layer in model:
        if isinstance(layer, FormulaLayer):
            with torch.no_grad():
                values, domain = layer.edges(x), (x.min().item() - 0.01, x.max().item() + 0.01)
            options = {"grid_size": 40, "domain": domain, "bias": True, "dtype": x.dtype}
            drawn = KANLayer(layer.in_features, layer.out_features, **options, generator=0)
            drawn.set_grid(drawn.knots, splines.fit(x, values, drawn.knots, drawn.degree))
            drawn.bias = layer.bias
            drawn.mask = (values != 0).any(0).to(x)
            layer = drawn
        with torch.no_grad():
            x = layer(x)
        layers.append(layer)
    return nn.Sequential(*layers)
