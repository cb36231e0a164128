"""Living figures: small ones to touch, one idea each, with the modules of the KAN Lab."""

from __future__ import annotations

import math
from functools import cache

import torch
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn.functional import silu

from .. import grids, plots, splines, tasks
from ..layers import KANLayer
from . import bundle
from .living_counts import FORMER, LINE, Bits, Waves
from .transfer import Random, start, start_rival
from .widget import LivingFigure

__all__ = ["FIGURES", "Bits", "Death", "Desk", "Knots", "Nudge", "Rates", "Waves"]

# As in the modules living_*.js.
RATES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
DEATH_RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
NUDGES = tuple((n - 12) / 20 for n in range(25))
TENTHS = tuple((n - 10) / 10 for n in range(31))
CENTERS = tuple((n - 28) / 10 for n in range(57))
WAVE = [-0.6, -0.9, -0.2, 0.6, 0.9, 0.2, -0.5, -0.7]  # coefficients of Desk and Knots, on KNOTS
KNOTS = splines.uniform_knots(5, 3, dtype=torch.float64)
GENERATOR = Random(0)
NORMAL = [GENERATOR.normal() for _ in range(40)]
CLOUD = [round(value / max(map(abs, NORMAL)), 3) for value in NORMAL]  # values of Knots, -1 to 1
CIRCLES = {"color": plots.ROLES["KAN"]["color"], "markersize": 8, "markerfacecolor": "none"}
STEPS = 300  # of Rates
LAST = 2.2  # knot of the hidden values in Death
LARGEST = 2**31 - 1  # seed


class Rates(LivingFigure):
    """A KAN and an MLP of equal size, trained at twelve learning rates each: who wins at which?

    Attributes:
        kan_rate, mlp_rate: the learning rates that are shown, of 0.0005, 0.001, 0.002, ... 2.
        linked: whether both have the same.
        seed: of the starts and of the forty noisy points.

    Raises:
        traitlets.TraitError: a value is not allowed, now or when it is set later.

    Example:
        >>> Rates(kan_rate=0.1, mlp_rate=0.1)
        Rates()

    In the book: chapter 4.
    """

    _esm = bundle.script("living_rates")
    _css = bundle.style("page", "living")

    kan_rate = traitlets.Enum(RATES, 0.001).tag(sync=True)
    mlp_rate = traitlets.Enum(RATES, 0.001).tag(sync=True)
    linked = traitlets.Bool(True).tag(sync=True)
    seed = traitlets.Int(0, min=0, max=LARGEST).tag(sync=True)

    def _draw(self, figure: Figure) -> None:
        figure.set_size_inches(7.2, 3.2)
        left, right = figure.subplots(1, 2)
        x, y = noisy_points(self.seed)
        right.plot(x, y, ".", color=plots.ROLES["target"]["color"])
        for name, rate in (("KAN", self.kan_rate), ("MLP", self.mlp_rate)):
            curves, at, role = sweep(name, self.seed), RATES.index(rate), plots.ROLES[name]
            truth = (1.5 * math.pi * LINE).sin()
            error = (curves - truth).square().mean((1, 2)).sqrt() / truth.std(correction=0)
            left.loglog(RATES, error, **role)
            left.plot(rate, error[at], "o", color=role["color"], markersize=9)
            place = {"xytext": (9, 4 if name == "MLP" else -14), "textcoords": "offset points"}
            words = {"color": role["color"], "fontsize": 12}
            left.annotate(f"{name} {error[at]:.2g}", (rate, error[at]), **place, **words)
            right.plot(LINE, curves[at], **role)
        left.set(xlabel="learning rate", ylabel="test error")
        left.set_xticks([0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
        left.set_yticks([0.1, 0.2, 0.5, 1, 2], ["0.1", "0.2", "0.5", "1", "2"])
        left.minorticks_off()
        right.set(xlabel="one input", ylabel="what they learn", ylim=(-2, 2))


def noisy_points(seed: int) -> tuple[Tensor, Tensor]:
    """The forty noisy points of tasks.js."""
    random = Random(seed + 77)
    x = sorted(2 * random.uniform() - 1 for _ in range(40))
    y = [math.sin(1.5 * math.pi * at) + 0.3 * random.normal() for at in x]
    return tuple(torch.tensor(v, dtype=torch.float64).unsqueeze(-1) for v in (x, y))


@cache
def sweep(family: str, seed: int) -> Tensor:
    """What a network has learned at each of RATES, at the points LINE: all at once, by Adam."""
    net = start([1, 5, 1], seed) if family == "KAN" else start_rival([1, 7, 7, 1], seed)
    (x, y), rates = noisy_points(seed), torch.tensor(RATES, dtype=torch.float64)
    names = [name for name, _ in net.named_parameters()]
    numbers = [torch.stack([p.detach()] * len(RATES)).requires_grad_() for p in net.parameters()]
    forward = vmap(
        lambda x, *numbers: functional_call(net, dict(zip(names, numbers, strict=True)), (x,)),
        in_dims=(None, *[0] * len(names)),
    )
    first, second = ([torch.zeros_like(p) for p in numbers] for _ in range(2))
    for step in range(1, STEPS + 1):
        loss = (forward(x, *numbers) - y).square().mean((1, 2)).sum()
        slopes = torch.autograd.grad(loss, numbers)
        with torch.no_grad():
            for p, g, m, v in zip(numbers, slopes, first, second, strict=True):
                m.lerp_(g, 0.1)
                v.lerp_(g * g, 0.001)
                move = m / (1 - 0.9**step) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
                p -= rates.view(-1, *[1] * (p.ndim - 1)) * move
    return forward(LINE, *numbers).detach()


class Death(LivingFigure):
    """A KAN learns a row of a picture; its hidden values stay on the knots, or leave them and die.

    Attributes:
        lr: learning rate of Adam, one of 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.
        warm_up: steps, 0 to 100, over which the rate rises to ``lr``.
        step: the step that is shown, 0 to 120.
        seed: of the start.

    Raises:
        traitlets.TraitError: a value is not allowed, now or when it is set later.

    Example:
        >>> Death(warm_up=30)
        Death()

    In the book: chapter 5.
    """

    _esm = bundle.script("living_death")
    _css = bundle.style("page", "living")

    lr = traitlets.Enum(DEATH_RATES, 0.3).tag(sync=True)
    warm_up = traitlets.Int(0, min=0, max=100).tag(sync=True)
    step = traitlets.Int(40, min=0, max=120).tag(sync=True)
    seed = traitlets.Int(0, min=0, max=LARGEST).tag(sync=True)
    _row = traitlets.List(traitlets.Float()).tag(sync=True)  # brightness of pixels, left to right

    @traitlets.default("_row")
    def _portrait_row(self):
        return row().tolist()

    def _draw(self, figure: Figure) -> None:
        place = (2 * torch.arange(64, dtype=torch.float64) + 1) / 64 - 1
        x, y = tasks.positional_encoding(place.unsqueeze(-1), 4), row().unsqueeze(-1)
        net = start([8, 8, 1], self.seed)
        adam = torch.optim.Adam(net.parameters(), lr=self.lr)
        warm = torch.optim.lr_scheduler.LambdaLR(
            adam, lambda step: min(1, (step + 1) / max(1, self.warm_up))
        )
        for _ in range(self.step):
            adam.zero_grad()
            (net(x) - y).square().mean().backward()
            adam.step()
            warm.step()
        with torch.no_grad():
            hidden, learned = net[0](x), net(x)
            at = torch.linspace(-5, 5, 501, dtype=torch.float64).unsqueeze(-1)
            curves = net[1].edges(at.expand(-1, 8)).squeeze(-1)
        figure.set_size_inches(7.2, 3.6)
        panels = figure.subplot_mosaic([["curves", "fit"], ["values", "fit"]])
        panels["curves"].plot(at, curves, **plots.ROLES["KAN"], linewidth=1.2)
        for beyond, color in ((False, plots.ROLES["KAN"]), (True, plots.ROLES["knots"])):
            chosen = hidden[(hidden.abs() > LAST) == beyond].clamp(-4.9, 4.9)
            panels["values"].hist(chosen.numpy(), bins=50, range=(-5, 5), color=color["color"])
        for name in ("curves", "values"):
            panels[name].axvspan(-1, 1, **plots.OUTSIDE)
            for knot in (-LAST, LAST):
                panels[name].axvline(knot, color=plots.ROLES["knots"]["color"], linestyle="--")
            panels[name].set(yticks=[], xlim=(-5, 5))
        panels["curves"].set(xticks=[], ylabel="curves")
        share = (hidden.abs() > LAST).double().mean()
        panels["values"].set(xlabel="hidden value", ylabel="how many")
        panels["fit"].set_title(f"step {self.step}: {share:.0%} beyond the knots", fontsize=12)
        panels["fit"].plot(place, y, **plots.ROLES["target"])
        panels["fit"].plot(place, learned, **plots.ROLES["KAN"])
        panels["fit"].set(xlabel="place in the row", ylabel="brightness", ylim=(-0.5, 1.5))


def row() -> Tensor:
    """A row of the portrait, 64 pixels, as they travel to the page."""
    _, brightness = tasks.image(64, dtype=torch.float64)
    return brightness.view(64, 64)[24].round(decimals=3)


class Nudge(LivingFigure):
    r"""One S-curve of an MLP and one bump of a KAN are nudged: which part of the curve moves?

    Both are fitted to one gentle curve: ten S-curves with heights w,
    :math:`b + \sum_j w_j \tanh(5 (x - p_j))`, and eleven cubic bumps with coefficients c,
    :math:`\sum_i c_i B_i(x)`.

    Attributes:
        s_curve, bump: which, from the left: 1 to 10, and 1 to 9 (two more stand beyond the ends).
        nudge: what is added to w and c, a multiple of 0.05 from -0.6 to 0.6.

    Raises:
        traitlets.TraitError: a value is not allowed, now or when it is set later.

    Example:
        >>> Nudge(s_curve=2, bump=2)
        Nudge()

    In the book: chapter 4.
    """

    _esm = bundle.script("living_nudge")
    _css = bundle.style("page", "living")

    s_curve = traitlets.Int(7, min=1, max=10).tag(sync=True)
    bump = traitlets.Int(5, min=1, max=9).tag(sync=True)
    nudge = traitlets.Enum(NUDGES, 0.4).tag(sync=True)

    def _draw(self, figure: Figure) -> None:
        figure.set_size_inches(7.2, 3)
        x, places = LINE.flatten(), torch.linspace(-1.1, 0.9, 11, dtype=torch.float64)
        s_curves = (5 * (LINE - places)).tanh()
        s_curves[:, 0] = 1
        bumps = splines.basis(x, splines.uniform_knots(8, 3, dtype=torch.float64), 3)
        sums = ("MLP", "S-curves", s_curves, self.s_curve), ("KAN", "bumps", bumps, self.bump)
        for panel, (name, says, parts, at) in zip(figure.subplots(1, 2), sums, strict=True):
            old = parts @ torch.linalg.lstsq(parts, 0.6 * (3 * LINE + 0.8).sin()).solution.flatten()
            new, color = old + self.nudge * parts[:, at], plots.ROLES[name]["color"]
            panel.fill_between(x, old, new, color=color, alpha=0.3, linewidth=0)
            panel.plot(x, old, color=color, linewidth=1)
            panel.plot(x, new, **plots.ROLES[name])
            panel.set(xlabel="one input", ylabel=f"a sum of {says}", ylim=(-1.3, 1.3))


class Desk(LivingFigure):
    r"""An edge with a bias, a spline weight and a base function: what can its spline undo of them?

    .. math:: y = \beta + w \sum_{j=0}^{7} c_j B_j(x) + u \, \mathrm{SiLU}(x)

    Attributes:
        coef: the eight coefficients c.
        bias, spline_weight, base_weight: beta, w and u, multiples of 0.1 from -1 to 1, w to 2.
        zoomed: whether x goes from -4 to 4, not from -1.5 to 1.5.

    Raises:
        traitlets.TraitError: a value is not allowed, now or when it is set later.

    Example:
        >>> Desk(bias=0.0, base_weight=1.0)
        Desk()

    In the book: chapter 6.
    """

    _esm = bundle.script("living_desk")
    _css = bundle.style("page", "living")

    coef = traitlets.List(traitlets.Float(), WAVE, minlen=8, maxlen=8).tag(sync=True)
    bias = traitlets.Enum(TENTHS[:21], 0.6).tag(sync=True)
    spline_weight = traitlets.Enum(TENTHS, 1.0).tag(sync=True)
    base_weight = traitlets.Enum(TENTHS[:21], 0.0).tag(sync=True)
    zoomed = traitlets.Bool(False).tag(sync=True)
    _old = traitlets.List(traitlets.Float()).tag(sync=True)  # at rest: bias 0, weights 1 and 0

    @traitlets.default("_old")
    def _as_it_is(self):
        return self.coef

    def _draw(self, figure: Figure) -> None:
        figure.set_size_inches(7.2, 3)
        near, w, u = LINE.flatten(), self.spline_weight, self.base_weight
        coef, old = torch.tensor([self.coef, self._old], dtype=torch.float64)
        wanted = splines.evaluate(near, old, KNOTS, 3) - self.bias - u * silu(near)
        undone = splines.fit(near, wanted / w, KNOTS, 3) if w else coef
        left, right = figure.subplots(1, 2)
        for panel, x, c, end in ((left, near, coef, 1.5), (right, 4 * near, undone, 4)):
            now = self.bias + w * splines.evaluate(x, c, KNOTS, 3) + u * silu(x)
            panel.plot(x, splines.evaluate(x, old, KNOTS, 3), **FORMER)
            panel.plot(x, now, **plots.ROLES["KAN"])
            shade(panel, -1, 1)
            panel.set(xlabel="one input", xlim=(-end, end))
        left.plot(torch.linspace(-1.4, 1.4, 8), coef, "o", **CIRCLES)
        left.set_title(f"bias {self.bias:g}, spline weight {w:g}, base weight {u:g}", fontsize=12)
        right.set_title("after Undo, zoomed out", fontsize=12)


def shade(panel: Axes, start: float, end: float) -> None:
    """Gray beyond a domain."""
    for side in ((-4, start), (end, 4)):
        panel.axvspan(*side, **plots.OUTSIDE)


class Knots(LivingFigure):
    """Values of a hidden node leave the knots of the curve that reads them, and the knots follow.

    They do so as by :func:`kanbook.grids.update_grid`.

    Attributes:
        center: of the forty values, a multiple of 0.1 from -2.8 to 2.8.
        width: the farthest value's distance from there, a multiple of 0.1 from 0.2 to 1.2.

    Raises:
        traitlets.TraitError: a value is not allowed, now or when it is set later.

    Example:
        >>> Knots(center=2.6, width=0.3)
        Knots()

    In the book: chapter 7.
    """

    _esm = bundle.script("living_knots")
    _css = bundle.style("page", "living")

    center = traitlets.Enum(CENTERS, -1.6).tag(sync=True)
    width = traitlets.Enum(TENTHS[12:23], 0.8).tag(sync=True)
    _cloud = traitlets.List(traitlets.Float(), CLOUD).tag(sync=True)
    _knots = traitlets.List(traitlets.Float(), KNOTS.tolist()).tag(sync=True)
    _coef = traitlets.List(traitlets.Float(), WAVE).tag(sync=True)

    def _draw(self, figure: Figure) -> None:
        figure.set_size_inches(7.2, 4.2)
        layer = KANLayer(1, 1, dtype=torch.float64, generator=0)
        knots, coef, cloud = map(layer.coef.new_tensor, (self._knots, self._coef, self._cloud))
        layer.set_grid(knots.view(1, -1), coef.view(1, 1, -1))
        x, values = 4 * LINE, (self.center + self.width * cloud).unsqueeze(-1)
        panels = figure.subplots(2, 1, sharex=True)
        for panel, says in zip(panels, ("knots stay", "knots moved"), strict=True):
            (start,), (end,) = layer.domain
            share = ((values < start) | (values > end)).double().mean()
            felt = (splines.basis(values.flatten(), layer.knots[0], 3) > 0).any(0).sum()
            panel.plot(x, layer(x).detach(), **plots.ROLES["KAN"])
            panel.plot(values, layer(values).detach(), "o", color="#444444", alpha=0.6)
            panel.plot(layer.knots[0], torch.full((12,), -1.2), **plots.ROLES["knots"])
            shade(panel, start, end)
            says += f": {share:.0%} of the values beyond the domain, {felt} of 8 bumps felt"
            panel.set_title(says, fontsize=12)
            panel.set(xlim=(-4, 4), ylim=(-1.4, 1.1))
            grids.update_grid(layer, values)
        panel.set_xlabel("value of the node")


#: By the name that pages give them.
FIGURES = {"rates": Rates, "death": Death, "nudge": Nudge, "desk": Desk, "knots": Knots}
FIGURES |= {"waves": Waves, "bits": Bits}
