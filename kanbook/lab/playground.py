"""The spline playground: a curve to touch, which the script ``playground.js`` draws and moves."""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

import torch
import traitlets
from matplotlib.figure import Figure
from torch import Tensor

from .. import plots, splines, tasks
from .._checks import check_finite, check_integer, check_knots, check_tensor
from . import bundle
from .widget import MAX_DEGREE, Number, PicturedWidget, check_page_domain, checked, trait_errors

__all__ = ["SplinePlayground"]

MAX_GRID_SIZE = 20
MAX_KNOT, MAX_COEF = 1e6, 1e30  # far from overflow, also of the float32 that browsers draw with
N_SAMPLES = 101  # of a target, evenly on [-1, 1]
TARGETS = ("zigzag", "sine", "step", "noise")


class Spline(NamedTuple):
    """One state of the curve, in the types of the traits."""

    degree: int
    grid_size: int
    domain: tuple[float, float]
    knots: list[float]
    coefs: list[float]


class SplinePlayground(PicturedWidget):
    r"""A spline to drag: its coefficients, its knots, its degree, its grid.

    In a live kernel the traits below sync both ways. Set one of ``degree``, ``grid_size`` and
    ``domain``, and knots and coefficients follow: the new curve is the least-squares
    approximation of the last curve that was shaped by coefficients or knots
    (:func:`kanbook.splines.refine`). Set ``knots`` or ``coefs``, and the rest stays.

    Args:
        degree, grid_size: k, 0 to 5; number of intervals G on the domain, 1 to 20.
        domain: (a, b), a < b; evenly spaced knots unless ``knots`` are given.
        knots: all G + 2k + 1 knots in rising order; they decide ``grid_size`` and ``domain``.
        coefs: G + k coefficients; a gentle wave if not given.
        target: points to approximate: "none", "zigzag", "sine", "step" or "noise".
        show_basis, show_sum: draw the basis functions; draw their sum.
        weighted: draw each basis function times its coefficient; their sum then is the curve.

    Attributes:
        degree, grid_size, domain, knots, coefs, target, show_basis, show_sum, weighted: as above.

    Raises:
        traitlets.TraitError: a value is not allowed, now or when it is set later. The message says
            what is, and the widget stays as it was.

    Example:
        >>> p = SplinePlayground(degree=3, grid_size=5)
        >>> p.grid_size = 10
        >>> len(p.knots), len(p.coefs)
        (17, 13)

    In the book: chapters 1 and 2.
    """

    _esm = bundle.script("playground")
    _css = bundle.style("page", "playground")

    degree = traitlets.Int(3).tag(sync=True)
    grid_size = traitlets.Int(5).tag(sync=True)
    domain = traitlets.Tuple(Number(), Number()).tag(sync=True)
    knots = traitlets.List(Number()).tag(sync=True)
    coefs = traitlets.List(Number()).tag(sync=True)
    target = traitlets.Enum(("none", *TARGETS), "none").tag(sync=True)
    show_basis = traitlets.Bool(True).tag(sync=True)
    show_sum = traitlets.Bool(False).tag(sync=True)
    weighted = traitlets.Bool(False).tag(sync=True)
    _targets = traitlets.Dict().tag(sync=True)  # name -> heights at N_SAMPLES points

    def __init__(
        self,
        degree: int = 3,
        grid_size: int | None = None,
        *,
        domain: tuple[float, float] | None = None,
        knots: list[float] | None = None,
        coefs: list[float] | None = None,
        target: str = "none",
        show_basis: bool = True,
        show_sum: bool = False,
        weighted: bool = False,
    ):
        self._settled = self._shape = None  # the last state; the last one made by hand
        with trait_errors():
            _check_sizes(degree=degree)
            if domain is not None:
                domain = check_page_domain(domain)
            if knots is not None:
                check_knots(_numbers("knots", knots, MAX_KNOT), degree)
                own = (knots[degree], knots[-degree - 1]), len(knots) - 2 * degree - 1
                given = (domain, grid_size)
                for name, value, said in zip(("domain", "grid_size"), given, own, strict=True):
                    if value not in (None, said):
                        raise ValueError(f"{name}={value!r}; expected {said!r}, as in knots")
                domain, grid_size = own
            domain = (-1.0, 1.0) if domain is None else domain
            grid_size = 5 if grid_size is None else grid_size
            _check_sizes(grid_size=grid_size)
            if knots is None:
                knots = splines.uniform_knots(grid_size, degree, domain, dtype=torch.float64)
            coefs = _wave(grid_size + degree) if coefs is None else coefs
            _numbers("coefs", coefs, MAX_COEF)
        super().__init__(
            degree=degree,
            grid_size=grid_size,
            domain=domain,
            knots=[*map(float, knots)],
            coefs=list(coefs),
            target=target,
            show_basis=show_basis,
            show_sum=show_sum,
            weighted=weighted,
            _targets={name: _heights(name).tolist() for name in TARGETS},
        )

    def values(self, x: Tensor | None = None) -> Tensor:
        """Heights of the curve, float64, at points x of any shape; 201 on the domain by itself."""
        if x is None:
            x = torch.linspace(*self.domain, 201, dtype=torch.float64)
        check_tensor("x", x)
        knots, coefs = _float64(self.knots), _float64(self.coefs)
        return splines.evaluate(splines.to_float64(x).cpu(), coefs, knots, self.degree)

    def samples(self) -> tuple[Tensor, Tensor]:
        """The points (N,), (N,) of the chosen target that lie in the domain: what "fit" fits."""
        if self.target == "none":
            raise ValueError(f"target={self.target!r}; expected one of {', '.join(TARGETS)}")
        x, y = _sample_points(), _heights(self.target)
        inside = (self.domain[0] <= x) & (x <= self.domain[1])
        return x[inside], y[inside]

    # --- five traits, one spline -----------------------------------------------------------------

    @checked("degree", "grid_size")
    def _check_size(self, value, name):
        _check_sizes(**{name: value})
        return value

    @checked("domain")
    def _check_domain(self, domain, name):
        return check_page_domain(domain)

    @checked("knots")
    def _check_knots(self, knots, name):
        k = self.degree
        _check_count(name, knots, "grid_size + 2 * degree + 1", self.grid_size + 2 * k + 1)
        check_knots(_numbers(name, knots, MAX_KNOT), k)
        check_page_domain((knots[k], knots[-k - 1]))
        return knots

    @checked("coefs")
    def _check_coefs(self, coefs, name):
        _check_count(name, coefs, "grid_size + degree", self.grid_size + self.degree)
        if self._settled is None or coefs != self._settled.coefs:  # no refit's
            _numbers(name, coefs, MAX_COEF)
        return coefs

    @traitlets.observe("degree", "grid_size", "domain", "knots", "coefs")
    def _settle(self, change):
        """Make the five traits one spline again, after some of them were set."""
        now = Spline(self.degree, self.grid_size, self.domain, [*self.knots], [*self.coefs])
        old = self._settled
        if now == old:
            return
        if old is None:
            self._settled = self._shape = now
            return
        knots, coefs = now.knots, now.coefs
        given = knots != old.knots
        resized = now[:3] != old[:3]  # degree, grid_size, domain
        if resized and not given:
            knots = _move_knots(self._shape, now)
        keeps = len(coefs) == len(knots) - now.degree - 1
        refits = not keeps or (resized and not given and coefs == old.coefs)
        if refits:
            coefs = _refit(self._shape, knots, now.degree)
        ends = (knots[now.degree], knots[-now.degree - 1])
        new = now._replace(domain=ends, knots=knots, coefs=coefs)
        if not refits and not _is_refit(new, self._shape):
            self._shape = new
        self._settled = new
        if new == now:
            return
        self._states_to_send.update(Spline._fields)  # the page gets the five together
        with self.hold_trait_notifications():
            for name, value in new._asdict().items():
                setattr(self, name, value)

    # --- what a notebook stores ------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"SplinePlayground(degree={self.degree}, grid_size={self.grid_size})"

    def _draw(self, figure: Figure) -> None:
        knots, coefs, k = _float64(self.knots), _float64(self.coefs), self.degree
        ax = figure.subplots()
        plots.plot_basis(knots, k, coef=coefs if self.weighted else None, ax=ax)
        for line in ax.lines[: 0 if self.show_basis else len(coefs)]:
            line.set_visible(False)
        if self.target != "none":
            ax.plot(*self.samples(), ".", color=plots.ROLES["target"]["color"], markersize=4)
        x = torch.linspace(*self.knots[:: len(self.knots) - 1], 1001, dtype=torch.float64)
        ax.plot(x, self.values(x), **plots.ROLES["KAN"], linewidth=2.6)
        centers = (knots.unfold(0, k, 1).mean(-1)[1:-1]) if k else (knots[1:] + knots[:-1]) / 2
        ax.plot(centers, coefs, "o:", color=plots.ROLES["KAN"]["color"], linewidth=1)


def _check_sizes(**sizes: int) -> None:
    ranges = {"degree": (0, MAX_DEGREE), "grid_size": (1, MAX_GRID_SIZE)}
    for name, value in sizes.items():
        check_integer(name, value, *ranges[name])


def _check_count(name: str, values: list[float], formula: str, count: int) -> None:
    if len(values) != count:
        raise ValueError(
            f"{name} has {len(values)} values; expected {formula} = {count} "
            "(to change their number, set grid_size or degree)"
        )


def _float64(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _numbers(name: str, values: list[float], limit: float) -> Tensor:
    if not isinstance(values, (list, tuple)) or not all(isinstance(v, Real) for v in values):
        raise TypeError(f"{name}={values!r}; expected a list of numbers")
    numbers = _float64([float(v) for v in values])
    check_finite(name, numbers)
    if (numbers.abs() > limit).any():
        raise ValueError(f"{name}={values!r}; expected numbers from {-limit:g} to {limit:g}")
    return numbers


def _wave(n: int) -> list[float]:
    """Coefficients of the first curve: neither flat nor clever."""
    return [round(0.7 * math.sin(1.9 * math.pi * (i + 0.5) / n - 0.6), 2) for i in range(n)]


def _sample_points() -> Tensor:
    """The numbers of the page, to the last digit: one may lie on the domain's end."""
    last = N_SAMPLES - 1
    return (2 * torch.arange(N_SAMPLES, dtype=torch.float64) - last) / last


def _heights(name: str) -> Tensor:
    """The heights of a target at the sample points, rounded as they travel to the page."""
    x = torch.linspace(-1, 1, N_SAMPLES, dtype=torch.float64)
    if name == "noise":
        generator = torch.Generator().manual_seed(0)
        noise = 0.25 * torch.randn(N_SAMPLES, generator=generator, dtype=x.dtype)
        return (tasks.sine(x) + noise).round(decimals=6)
    return tasks.FUNCTIONS_1D[name](x).round(decimals=6)


# splines.js has the first two, playground.js the third; tests compare them.


def _move_knots(shape: Spline, new: Spline) -> list[float]:
    """The knots of ``shape``, stretched and resampled for another degree, grid size and domain."""
    if new[:3] == shape[:3]:
        return shape.knots
    (a, b), (start, end), k, size = new.domain, shape.domain, shape.degree, shape.grid_size
    breaks = [
        min(b, a + (b - a) * ((t - start) / (end - start))) if t < end else b
        for t in shape.knots[k : k + size + 1]
    ]
    inner = [a]
    for j in range(1, new.grid_size):
        whole, rest = divmod(j * size, new.grid_size)
        right = breaks[min(whole + 1, size)]
        inner.append(breaks[whole] + rest / new.grid_size * (right - breaks[whole]))
    inner.append(b)
    left = [a - i * (inner[1] - a) for i in range(new.degree, 0, -1)]
    return [*left, *inner, *(b + i * (b - inner[-2]) for i in range(1, new.degree + 1))]


def _refit(shape: Spline, knots: list[float], degree: int) -> list[float]:
    """The coefficients of the best approximation of ``shape`` on other knots."""
    if (degree, knots) == (shape.degree, shape.knots):
        return shape.coefs
    old, new = _float64(shape.knots), _float64(knots)
    return splines.refine(_float64(shape.coefs), old, new, shape.degree, new_degree=degree).tolist()


def _is_refit(curve: Spline, shape: Spline) -> bool:
    """Whether the curve is what a change of degree, grid or domain made of ``shape``."""
    moved, refit = _move_knots(shape, curve), _refit(shape, curve.knots, curve.degree)
    pairs = ((moved, curve.knots), (refit, curve.coefs))
    return all(torch.allclose(_float64(a), _float64(b), rtol=1e-6, atol=1e-6) for a, b in pairs)
