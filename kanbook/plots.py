"""Pictures: one style, colors with fixed roles, basis functions, edge functions, networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, FancyBboxPatch
from torch import Tensor, nn

from . import splines
from ._checks import check_coef, check_finite, check_inputs, check_knots
from ._figures import show_as_svg
from .functions import Formula, FormulaLayer
from .layers import KANLayer, run_and_record
from .networks import Activation

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = [
    "ROLES",
    "draw_kan",
    "draw_mlp",
    "label_lines",
    "plot_basis",
    "plot_importance",
    "use_style",
]

# What a color means is the same in every figure, and never carried by color alone. The colors
# are Okabe and Ito's, which people with color-blindness can tell apart.
ROLES = {
    "KAN": {"color": "#0072B2", "linestyle": "-"},
    "MLP": {"color": "#D55E00", "linestyle": "--"},
    "tanh": {"color": "#009E73", "linestyle": "-."},
    "target": {"color": "#444444", "linestyle": ":"},
    "knots": {"color": "#AA4499", "linestyle": "none", "marker": "|"},
}
# For curves of one kind, such as basis functions: alternating colors and line styles.
SERIES = ("#E69F00", "#56B4E9", "#CC79A7", "#888888", "#7A5C2E")
LINE_STYLES = ("-", "--", "-.")
OUTSIDE = {"color": "#BBBBBB", "alpha": 0.35, "linewidth": 0, "zorder": 0}
INK = "#1C1C1C"  # wires and nodes, as in the Lab
FONTS = Path(__file__).parent / "fonts"  # the book's face; what it lacks is taken from the next


def use_style() -> None:
    """Set Matplotlib's defaults to the book's; a notebook shows figures as SVG from then on."""
    show_as_svg()
    for path in sorted(FONTS.glob("*.ttf")):
        font_manager.fontManager.addfont(path)
    serif = "Source Serif 4"
    plt.rcParams.update(
        {
            "font.family": [serif, "DejaVu Serif", "DejaVu Sans"],
            "mathtext.fontset": "custom",
            "mathtext.fallback": "stix",
            "mathtext.rm": serif,
            "mathtext.it": f"{serif}:italic",
            "mathtext.bf": f"{serif}:bold",
            "mathtext.cal": f"{serif}:italic",
            "figure.figsize": (6.4, 3.6),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "font.size": 14,  # 12 pixels where a phone of 390 shows 6.4 inches from edge to edge
            "axes.titlesize": 14,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "lines.linewidth": 1.8,
            "legend.frameon": False,
            "legend.fontsize": 14,
            "image.cmap": "gray",
        }
    )


def label_lines(ax: Axes) -> None:
    """Write the label of every line beside its last point, in its color, in place of a legend.

    Labels that would touch move apart. Call it last: places are those of the layout as it is.

    Example:
        >>> ax = plt.figure().gca()
        >>> _ = ax.plot([0, 1], [0, 1], label="KAN"), ax.plot([0, 1], [0, 2], label="MLP")
        >>> label_lines(ax)
        >>> [text.get_text() for text in ax.texts]
        ['KAN', 'MLP']
    """
    lines = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
    ax.figure.draw_without_rendering()
    ends = np.array(
        [line.get_xydata()[np.isfinite(line.get_xydata()).all(1)][-1] for line in lines]
    )
    heights = ax.transData.transform(ends)[:, 1] * 72 / ax.figure.dpi  # in points, as fonts
    places, order = heights.copy(), heights.argsort()
    room = 1.1 * plt.rcParams["font.size"]
    for _ in range(100):  # each time, neighbors that touch share what they lack
        lack = (room - np.diff(places[order])).clip(0) / 2
        places[order[:-1]] -= lack
        places[order[1:]] += lack
    places += max(0, ax.bbox.y0 * 72 / ax.figure.dpi + room / 2 - places.min())  # above the ticks
    for line, end, shift in zip(lines, ends, places - heights, strict=True):
        style = {"color": line.get_color(), "va": "center", "textcoords": "offset points"}
        ax.annotate(line.get_label(), end, (6, shift), annotation_clip=False, **style)


def plot_basis(
    knots: Tensor, degree: int, *, coef: Tensor | None = None, ax: Axes | None = None
) -> Axes:
    """Draw every basis function over its support, the knots, and the domain (white, not gray).

    Args:
        knots: shape ``(m,)``.
        degree: k, 0 to 7.
        coef: shape ``(n,)``; if given, each function is drawn times its coefficient, and their
            sum, the spline, on top.
        ax: where to draw; a new figure if not given.

    Raises:
        TypeError, ValueError: as :func:`kanbook.splines.basis`; ``knots`` is not one vector.

    Example:
        >>> ax = plot_basis(splines.uniform_knots(4, 2), 2)
    """
    check_knots(knots, degree)
    if knots.ndim != 1:
        raise ValueError(f"knots has shape {tuple(knots.shape)}; expected (m,)")
    if coef is not None:
        check_coef(coef, knots, degree)
    low, high = knots[0].item(), knots[-1].item()
    x = torch.cat([torch.linspace(low, high, 1001, dtype=knots.dtype), knots.cpu()]).sort().values
    x = x.to(knots.device)
    bases = splines.basis(x, knots, degree)
    curves = bases if coef is None else bases * coef
    ax = plt.figure().gca() if ax is None else ax
    for i in range(curves.shape[-1]):
        on_support = (knots[i] <= x) & (x < knots[i + degree + 1])  # it may jump at its end
        ax.plot(
            *_numpy(x[on_support], curves[on_support, i]),
            color=SERIES[i % len(SERIES)],
            linestyle=LINE_STYLES[i % len(LINE_STYLES)],
            linewidth=1.4,
        )
    if coef is not None:
        ax.plot(*_numpy(x, curves.sum(-1)), **ROLES["KAN"], linewidth=2.6, label="spline")
    ax.plot(*_numpy(knots, torch.zeros_like(knots)), **ROLES["knots"], markersize=11, label="knots")
    for start, end in ((low, knots[degree].item()), (knots[-degree - 1].item(), high)):
        if start < end:
            ax.axvspan(start, end, **OUTSIDE)
    ax.set_xlabel("x")
    return ax


def draw_kan(model: nn.Module | Formula, inputs: Tensor, *, ax: Axes | None = None) -> Axes:
    """Draw a KAN as a network: a little curve on every edge, a sum at every node.

    Data flow upwards. Each curve spans the values that really reach it when ``inputs`` go through
    the model, and fills its box; an edge is as strong as its curve is tall in its layer. In a
    formula, functions have their names beside them, and inputs theirs.

    Args:
        model: a :class:`~kanbook.networks.KAN`, at most 60 edges in a layer, or a
            :class:`~kanbook.functions.Formula`.
        inputs: shape ``(N, I)``.
        ax: where to draw; a new figure if not given.

    Raises:
        TypeError, ValueError: ``model`` holds no KAN layer, a layer too large to draw or a curve
            that is not finite; ``inputs`` do not fit.

    In the book: chapter 3.
    """
    layers = _recorded_curves(model, inputs)
    most = max(len(_present_edges(layer)) for layer, *_ in layers)
    if most > 60:
        raise ValueError(f"model has a layer of {most} edges; expected at most 60 to draw them")
    widths = [layers[0][0].in_features, *(layer.out_features for layer, *_ in layers)]
    ax = plt.figure(figsize=(6.4, 1.9 * len(layers) + 0.8)).gca() if ax is None else ax
    aspect = _aspect(ax, len(widths))
    # Width of a box on an axis from 0 to 1; its height leaves space for the nodes.
    size = min(0.9 / most, 0.13, 0.45 / aspect)
    for level, (layer, points, curves) in enumerate(layers):
        spread = curves.std(0)
        strength = (spread / spread.max().clamp_min(1e-12)).clamp(0.15, 1)
        below, above = _places(widths[level]), _places(widths[level + 1])
        present = _present_edges(layer)
        for place, (i, o) in zip(_places(len(present)), present, strict=True):
            y, height, alpha = level + 0.5, size * aspect, strength[i, o].item()
            line = {"color": INK, "alpha": 0.75 * alpha, "linewidth": 0.5 + alpha, "zorder": 1}
            ax.plot(*_wire((below[i], level), (place, y - height / 2)), **line)
            ax.plot(*_wire((place, y + height / 2), (above[o], level + 1)), **line)
            corner, shape = (
                (place - size / 2, y - height / 2),
                f"round,pad=0,rounding_size={size / 8}",
            )
            frame = FancyBboxPatch(corner, size, height, shape, mutation_aspect=aspect)
            frame.set(fc="white", ec=(INK, 0.15 + 0.55 * alpha), lw=0.8, zorder=2)
            ax.add_patch(frame)
            little = _little_curve(ax, points[:, i], curves[:, i, o], (place, y), (size, height))
            little.set_alpha(alpha)
            if isinstance(layer, FormulaLayer):
                name = next((name for *edge, name, _ in layer.functions if edge == [i, o]), "")
                ax.text(place + 0.6 * size, y, name, va="center")
    named = model.input_names() if isinstance(model, Formula) else None
    _draw_nodes(ax, widths, aspect, named)
    for level, width in enumerate(widths[1:], 1):
        for place in _places(width):
            beside = (place + 1.4 * _node_radius(aspect), level)
            ax.text(*beside, "Σ", va="center", color="#5C5C5C", zorder=4)
    ax.set_title("KAN: a curve on every edge")
    return ax


def draw_mlp(model: nn.Module, *, ax: Axes | None = None) -> Axes:
    """Draw an MLP as a network: a number on every edge, the same fixed curve at every hidden node.

    Data flow upwards. An edge is as wide as its weight is large; dashed if the weight is negative.

    Args:
        model: a :class:`~kanbook.networks.MLP`.
        ax: where to draw; a new figure if not given.

    Raises:
        ValueError: ``model`` holds no linear layer.

    In the book: chapter 3.
    """
    linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
    if not linears:
        raise ValueError(f"model is a {type(model).__name__} without linear layers; expected one")
    widths = [linears[0].in_features, *(m.out_features for m in linears)]
    ax = plt.figure(figsize=(6.4, 1.9 * len(linears) + 0.8)).gca() if ax is None else ax
    aspect = _aspect(ax, len(widths))
    for level, linear in enumerate(linears):
        weight = splines.to_float64(linear.weight.detach())
        largest = weight.abs().max().clamp_min(1e-12)
        for o, top in enumerate(_places(widths[level + 1])):
            for i, bottom in enumerate(_places(widths[level])):
                share = (weight[o, i] / largest).item()
                line = {"color": ROLES["MLP"]["color"], "linestyle": "-" if share >= 0 else "--"}
                line |= {"linewidth": 0.4 + 2.2 * abs(share), "zorder": 1}
                ax.plot([bottom, top], [level, level + 1], **line)
    _draw_nodes(ax, widths, aspect)
    z, size = torch.linspace(-3, 3, 41).to(linears[0].weight), 4 * _node_radius(aspect)
    activations = (m for m in model.modules() if isinstance(m, Activation))
    for level, activation in enumerate(activations, 1):
        for place in _places(widths[level]):
            circle = Ellipse(
                (place, level), size, size * aspect, fc="white", ec=INK, lw=0.8, zorder=4
            )
            ax.add_patch(circle)
            box = 0.75 * size, 0.75 * size * aspect
            _little_curve(ax, z, activation(z), (place, level), box, role="MLP")
    ax.set_title("MLP: a number on every edge")
    return ax


def plot_importance(table: DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw what share of a model's variance each input has, most important on top.

    Args:
        table: as :func:`~kanbook.importances.importance` returns it, or its first rows.
        ax: where to draw; a new figure if not given.

    Returns:
        Axes with a dot for each input and a line from ``share_low`` to ``share_high``. A diamond
        stands for inputs that go together, at their ``group_share``, beside their rows.
    """
    places = range(len(table))
    ax = plt.figure(figsize=(5.6, 1.2 + 0.4 * len(table))).gca() if ax is None else ax
    color = ROLES["KAN"]["color"]
    ax.hlines(places, table.share_low, table.share_high, color=color, linewidth=3, alpha=0.4)
    ax.plot(table.share, places, "o", color=color, markersize=7)
    together = (frozenset([i, *others]) for i, others in table.shared.items() if others)
    for names in dict.fromkeys(together):  # in their order, the same in every run
        rows = np.flatnonzero(table.index.isin(names))
        share, middle = table.group_share.iloc[rows[0]], rows.mean()
        ax.vlines(share, rows[0] - 0.3, rows[-1] + 0.3, color=INK, linewidth=1.2)
        ax.plot(share, middle, "D", color=INK, markerfacecolor="white", markersize=7)
        beside = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
        ax.annotate("together", (share, middle), (8, 0), **beside)
    ax.set_yticks(places, table.index.map(str))
    ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(table) - 0.5, -0.5), xlabel="share of the variance lost without it")
    ax.grid(axis="x", alpha=0.3)
    return ax


def _recorded_curves(
    model: nn.Module | Formula, inputs: Tensor
) -> list[tuple[KANLayer | FormulaLayer, Tensor, Tensor]]:
    """Every KAN layer of the model, in the order of use, with its curves over the values that
    reach it: points of shape (200, I), and every edge's values there, (200, I, O).
    """
    check_inputs("inputs", inputs)
    recorded = []
    for layer, x in _calls(model, inputs):
        if isinstance(layer, (KANLayer, FormulaLayer)):
            low, high, share = x.amin(0), x.amax(0), torch.linspace(0, 1, 200).to(x).unsqueeze(1)
            points = low + (high - low) * share
            with torch.no_grad():
                curves = layer.edges(points)
            check_finite(f"layer {len(recorded)} of model", curves)
            recorded.append((layer, splines.to_float64(points), splines.to_float64(curves)))
    if not recorded:
        raise ValueError(f"model is a {type(model).__name__} without KAN layers; expected one")
    return recorded


def _calls(model: nn.Module | Formula, x: Tensor) -> list[tuple[nn.Module, Tensor]]:
    """Layers in the order of use, each with what reaches it."""
    if not isinstance(model, Formula):
        return run_and_record(model, x)[1]
    layers = model.network
    return [(layer, layers[:n](x).detach()) for n, layer in enumerate(layers)]


def _present_edges(layer: KANLayer | FormulaLayer) -> list[tuple[int, int]]:
    """The pairs (input, output) of the edges that are there."""
    if isinstance(layer, FormulaLayer):
        return sorted(layer.curves() + [(i, o) for i, o, *_ in layer.functions])
    every = torch.ones(layer.in_features, layer.out_features) if layer.mask is None else layer.mask
    return [(i, o) for i, o in every.nonzero().tolist()]


def _places(count: int) -> list[float]:
    """Evenly spread positions on (0, 1)."""
    return [(j + 0.5) / count for j in range(count)]


def _aspect(ax: Axes, levels: int) -> float:
    """Prepare the axes for a drawing; return how many y units look as long as one x unit."""
    low, high = -0.3, levels - 0.7
    ax.set(xlim=(0, 1), ylim=(low, high))
    ax.axis("off")
    box = ax.get_position()
    width, height = ax.figure.get_size_inches() * (box.width, box.height)
    return (high - low) * width / height


def _node_radius(aspect: float) -> float:
    return min(0.012, 0.045 / aspect)


def _wire(start, end):
    """x and y of a line that leaves and arrives upright: a Bézier curve, as in the Lab."""
    t = np.linspace(0, 1, 25)
    (x0, y0), (x1, y1) = start, end
    return x0 + (x1 - x0) * (3 - 2 * t) * t**2, y0 + (y1 - y0) * (1.5 * t * (1 - t) + t**3)


def _draw_nodes(ax: Axes, widths: list[int], aspect: float, names: list[str] | None = None) -> None:
    """Draw a dot for each node; the inputs by name."""
    radius = _node_radius(aspect)
    for level, width in enumerate(widths):
        for place in _places(width):
            size = 2 * radius, 2 * radius * aspect
            ax.add_patch(Ellipse((place, level), *size, fc=INK, ec="white", lw=1.2, zorder=3))
    names = [f"$x_{{{i}}}$" for i in range(widths[0])] if names is None else names
    for name, place in zip(names, _places(widths[0]), strict=True):
        ax.text(place, -1.8 * radius * aspect, name, ha="center", va="top", zorder=4)


def _little_curve(ax: Axes, x: Tensor, y: Tensor, center, size, role: str = "KAN") -> Line2D:
    """Draw y(x) so that it fills 80 % of a box; constant curves in the middle."""
    scaled = []
    for values, place, length in zip((x, y), center, size, strict=True):
        low, high = values.aminmax()
        span, middle = (high - low).clamp_min(1e-12), (high + low) / 2
        scaled.append(place + 0.8 * length * (values - middle) / span)
    (line,) = ax.plot(*_numpy(*scaled), color=ROLES[role]["color"], linewidth=1.5, zorder=5)
    return line


def _numpy(*tensors: Tensor):
    return [splines.to_float64(tensor.detach()).cpu().numpy() for tensor in tensors]
