"""Pictures: one style, colors with fixed roles, basis functions, edge functions, networks."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, Rectangle
from torch import Tensor, nn

from . import splines
from ._checks import check_coef, check_finite, check_inputs, check_knots
from ._figures import show_as_svg
from .layers import KANLayer, run_and_record
from .networks import Activation

__all__ = ["ROLES", "draw_kan", "draw_mlp", "plot_basis", "use_style"]

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


def use_style() -> None:
    """Set Matplotlib's defaults to the book's; a notebook shows figures as SVG from then on."""
    show_as_svg()
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "font.size": 13,  # 11 pixels where a phone of 390 shows 6.4 inches from edge to edge
            "axes.titlesize": 13,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "lines.linewidth": 1.8,
            "legend.frameon": False,
            "legend.fontsize": 13,
            "image.cmap": "gray",
        }
    )


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


def draw_kan(model: nn.Module, inputs: Tensor, *, ax: Axes | None = None) -> Axes:
    """Draw a KAN as a network: a little curve on every edge, a sum at every node.

    Data flow upwards. Each curve spans the values that really reach it when ``inputs`` go through
    the model, and fills its box; the edge is as opaque as its curve is tall in its layer.

    Args:
        model: a :class:`~kanbook.networks.KAN`, at most 60 edges in a layer.
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
            y, alpha = level + 0.5, strength[i, o].item()
            height = size * aspect
            line = {"color": ROLES["KAN"]["color"], "alpha": alpha, "linewidth": 1.2, "zorder": 1}
            ax.plot([below[i], place], [level, y - height / 2], **line)
            ax.plot([place, above[o]], [y + height / 2, level + 1], **line)
            corner, style = (place - size / 2, y - height / 2), {"lw": 0.8, "zorder": 2}
            ax.add_patch(Rectangle(corner, size, height, fc="white", ec="#888888", **style))
            _little_curve(ax, points[:, i], curves[:, i, o], (place, y), (size, height))
    _draw_nodes(ax, widths, aspect, hidden="Σ")
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
    _draw_nodes(ax, widths, aspect, hidden="")
    z, size = torch.linspace(-3, 3, 41).to(linears[0].weight), 1.5 * _node_radius(aspect)
    activations = (m for m in model.modules() if isinstance(m, Activation))
    for level, activation in enumerate(activations, 1):
        for place in _places(widths[level]):
            _little_curve(ax, z, activation(z), (place, level), (size, size * aspect), role="MLP")
    ax.set_title("MLP: a number on every edge")
    return ax


def _recorded_curves(model: nn.Module, inputs: Tensor) -> list[tuple[KANLayer, Tensor, Tensor]]:
    """Every KAN layer of the model, in the order of use, with its curves over the values that
    reach it: points of shape (200, I), and every edge's values there, (200, I, O).
    """
    check_inputs("inputs", inputs)
    recorded = []
    for layer, x in run_and_record(model, inputs)[1]:
        if isinstance(layer, KANLayer):
            low, high, share = x.amin(0), x.amax(0), torch.linspace(0, 1, 200).to(x).unsqueeze(1)
            points = low + (high - low) * share
            with torch.no_grad():
                curves = layer.edges(points)
            check_finite(f"layer {len(recorded)} of model", curves)
            recorded.append((layer, splines.to_float64(points), splines.to_float64(curves)))
    if not recorded:
        raise ValueError(f"model is a {type(model).__name__} without KAN layers; expected one")
    return recorded


def _present_edges(layer: KANLayer) -> list[list[int]]:
    """The pairs (input, output) of the edges that are there."""
    every = torch.ones(layer.in_features, layer.out_features) if layer.mask is None else layer.mask
    return every.nonzero().tolist()


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
    return min(0.042, 0.13 / aspect)


def _draw_nodes(ax: Axes, widths: list[int], aspect: float, *, hidden: str) -> None:
    """Draw the nodes: inputs by name, sums as such, ``hidden`` inside the hidden ones."""
    for level, width in enumerate(widths):
        for j, place in enumerate(_places(width)):
            size = (2 * _node_radius(aspect), 2 * _node_radius(aspect) * aspect)
            ax.add_patch(Ellipse((place, level), *size, fc="#F2F2F2", ec="#444444", lw=1, zorder=3))
            text = f"$x_{{{j}}}$" if level == 0 else "Σ" if level == len(widths) - 1 else hidden
            style = {"ha": "center", "va": "center", "fontsize": 13, "color": "black", "zorder": 4}
            ax.text(place, level, text, **style)


def _little_curve(ax: Axes, x: Tensor, y: Tensor, center, size, role: str = "KAN") -> None:
    """Draw y(x) so that it fills 80 % of a box; constant curves in the middle."""
    scaled = []
    for values, place, length in zip((x, y), center, size, strict=True):
        low, high = values.aminmax()
        span, middle = (high - low).clamp_min(1e-12), (high + low) / 2
        scaled.append(place + 0.8 * length * (values - middle) / span)
    ax.plot(*_numpy(*scaled), color=ROLES[role]["color"], linewidth=1.5, zorder=5)


def _numpy(*tensors: Tensor):
    return [splines.to_float64(tensor.detach()).cpu().numpy() for tensor in tensors]
