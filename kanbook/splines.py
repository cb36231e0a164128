r"""B-splines as pure functions: knots, basis functions, curves, least squares, refinement.

A spline of degree :math:`k` on knots :math:`t_0 \le \dots \le t_{m-1}` is a weighted sum of
:math:`n = m - k - 1` basis functions, :math:`s(x) = \sum_i c_i B_{i,k}(x)`. Its *domain* is
:math:`[t_k, t_n]`: there the basis functions sum to one. Outside they fade to zero at the
outermost knots, and the spline with them.

Every function works on one spline, or on those of a layer, with one knot vector for each input:

========  ===================  =========================  =======================================
argument  one spline           layer                      what it is
========  ===================  =========================  =======================================
x         ``(...)``            ``(..., I)``               points
knots     ``(m,)``             ``(I, m)``                 sorted, m >= 2k + 2; some may be equal
coef      ``(n,)``             ``(I, O, n)``              coefficients, n = m - k - 1
degree                                                    k, 0 to 7
========  ===================  =========================  =======================================

with I inputs, O outputs, G grid intervals and n = G + k basis functions. A ``TypeError`` says that
a tensor is not floating point, dtypes differ or the degree is no integer; a ``ValueError`` that
shapes or devices do not fit, or that knots are unsorted, too few or not finite.

Source: C. de Boor, *A Practical Guide to Splines*, revised edition (2001), chapters IX to XIV.
In the book: chapter 1.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ._checks import (
    check_coef,
    check_degree,
    check_domain,
    check_dtype,
    check_features,
    check_finite,
    check_integer,
    check_knots,
    check_like,
    check_number,
    check_points,
)

__all__ = ["uniform_knots", "basis", "cox_de_boor", "differentiate", "evaluate", "fit", "refine"]


def uniform_knots(
    grid_size: int,
    degree: int,
    domain: tuple[float, float] = (-1.0, 1.0),
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Return equally spaced knots: ``grid_size`` intervals on the domain, ``degree`` beyond each.

    Args:
        grid_size: number of intervals G on the domain, at least 1.
        domain: its two ends (a, b), finite, a < b.
        device, dtype: of the result; ``torch.get_default_dtype()`` if not given.

    Returns:
        Knots of shape ``(G + 2k + 1,)``. ``knots[k]`` is a and ``knots[-k - 1]`` is b, exactly.

    Raises:
        ValueError: the domain is too narrow for G steps in ``dtype``, or too wide.

    Example:
        >>> uniform_knots(2, 1, (0.0, 1.0))
        tensor([-0.5000,  0.0000,  0.5000,  1.0000,  1.5000])
    """
    check_degree(degree)
    check_integer("grid_size", grid_size, 1)
    a, b = check_domain(domain)
    check_dtype(dtype)
    dtype = torch.get_default_dtype() if dtype is None else dtype
    exact = {"dtype": torch.float64, "device": "cpu"}
    inside = torch.linspace(a, b, grid_size + 1, **exact)
    beyond = (b - a) / grid_size * torch.arange(1, degree + 1, **exact)
    knots = torch.cat([a - beyond.flip(0), inside, b + beyond]).to(dtype)
    if not (torch.isfinite(knots).all() and (knots.diff() > 0).all()):
        raise ValueError(
            f"domain={domain!r} with grid_size={grid_size} is too wide or too narrow for {dtype}: "
            "knots would be infinite or equal"
        )
    return knots.to(device if device is not None else torch.empty(0).device)


def basis(x: Tensor, knots: Tensor, degree: int) -> Tensor:
    r"""Evaluate every B-spline basis function :math:`B_{i,k}` at every x.

    Each function is positive on its support :math:`(t_i, t_{i+k+1})` and exactly zero elsewhere;
    on the domain they sum to one. At a jump the value is the one from the right, at the right end
    of the domain the one from the left. NaN gives NaN. Differentiable in x, and in distinct knots.

    Returns:
        Shape ``(..., n)``, or ``(..., I, n)``.

    Example:
        >>> basis(torch.tensor([0.25]), uniform_knots(2, 1, (0.0, 1.0)), 1)
        tensor([[0.5000, 0.5000, 0.0000]])

    Source: de Boor (2001), chapter IX. In the book: chapter 1.
    """
    check_knots(knots, degree)
    check_points(x, knots)
    return cox_de_boor(x, knots, degree)


def cox_de_boor(x: Tensor, knots: Tensor, degree: int) -> Tensor:
    r"""The Cox-de Boor recursion itself: :func:`basis` without the checks, as layers call it.

    .. math::
        B_{i,0}(x) = [t_i \le x < t_{i+1}], \qquad
        B_{i,p}(x) = \frac{x - t_i}{t_{i+p} - t_i} B_{i,p-1}(x)
                   + \frac{t_{i+p+1} - x}{t_{i+p+1} - t_{i+1}} B_{i+1,p-1}(x), \quad \tfrac00 = 0
    """
    *_, bases = lower_degrees(x, knots, degree)
    return bases


def lower_degrees(x: Tensor, knots: Tensor, degree: int) -> list[Tensor]:
    """What the recursion passes on its way: the basis functions of degree 0, 1, ..., ``degree``."""
    x = x.unsqueeze(-1)
    t = knots
    inside = ((t[..., :-1] <= x) & (x < t[..., 1:])).to(x.dtype)
    # The right end of the domain belongs to the last interval that is not empty.
    end = t[..., -degree - 1, None]
    inside = torch.where(x == end, ((t[..., :-1] < x) & (x <= t[..., 1:])).to(x.dtype), inside)
    # Beyond the outermost knots all is zero already; without the clamp, inf * 0 would give NaN.
    x = torch.where(x < t[..., :1], t[..., :1], torch.where(x > t[..., -1:], t[..., -1:], x))
    # 0 * x: lets NaN through, ties degree 0 to the graph of x
    bases = [inside + 0 * x]
    for p in range(1, degree + 1):
        inverse = _inverse(t[..., p:] - t[..., :-p])
        rising = (x - t[..., : -p - 1]) * inverse[..., :-1]
        falling = (t[..., p + 1 :] - x) * inverse[..., 1:]
        bases.append(rising * bases[-1][..., :-1] + falling * bases[-1][..., 1:])
    return bases


def _inverse(width: Tensor) -> Tensor:
    """1 / width, and 0 where the width is 0, with finite gradients in both cases."""
    empty = width == 0
    return torch.where(empty, 0.0, 1 / torch.where(empty, 1.0, width))


def evaluate(x: Tensor, coef: Tensor, knots: Tensor, degree: int) -> Tensor:
    r"""Evaluate splines :math:`s(x) = \sum_i c_i B_{i,k}(x)`.

    Returns:
        Shape ``(...)`` for one spline; ``(..., I, O)``, one value per edge, for a layer.

    Example:
        >>> knots = uniform_knots(2, 1, (0.0, 1.0))
        >>> evaluate(torch.tensor([0.25, 0.5]), torch.tensor([0.0, 1.0, 0.0]), knots, 1)
        tensor([0.5000, 1.0000])

    Source: de Boor (2001), chapter IX. In the book: chapter 1.
    """
    check_knots(knots, degree)
    check_coef(coef, knots, degree)
    check_points(x, knots)
    if coef.ndim == 3:
        check_features(x, len(coef), "coef", coef)
    bases = cox_de_boor(x, knots, degree)
    if coef.ndim == 1:
        return bases @ coef
    return torch.einsum("...in,ion->...io", bases, coef)


def differentiate(coef: Tensor, knots: Tensor, degree: int) -> Tensor:
    r"""Return the derivative of splines: on the same knots, of one degree less.

    .. math::
        s'(x) = \sum_{i=0}^{n} c'_i B_{i,k-1}(x), \qquad
        c'_i = k \, \frac{c_i - c_{i-1}}{t_{i+k} - t_i}, \quad c_{-1} = c_n = 0,
        \quad \tfrac{\cdot}{0} = 0

    Returns:
        Coefficients of the functions of degree k - 1, in units of y / x, shape ``(n + 1,)`` or
        ``(I, O, n + 1)``.

    Raises:
        ValueError: ``degree`` is 0.

    Example:
        >>> knots = uniform_knots(2, 1, (0.0, 1.0))
        >>> slopes = differentiate(torch.tensor([0.0, 1.0, 0.5]), knots, 1)
        >>> evaluate(torch.tensor([0.2, 0.7]), slopes, knots, 0)
        tensor([ 2., -1.])

    Source: de Boor (2001), chapter X. In the book: chapters 1 and 17.
    """
    check_knots(knots, degree)
    check_coef(coef, knots, degree)
    if degree == 0:
        raise ValueError("degree=0; expected 1 or more: the slope of a staircase is 0")
    slope = degree * _inverse(knots[..., degree:] - knots[..., :-degree])
    slope = slope if coef.ndim == 1 else slope.unsqueeze(1)
    return nn.functional.pad(coef, (1, 1)).diff() * slope


def fit(x: Tensor, y: Tensor, knots: Tensor, degree: int, ridge: float = 0.0) -> Tensor:
    r"""Fit splines to samples by least squares.

    Minimizes :math:`\sum_j (s(x_j) - y_j)^2 + \text{ridge} \cdot \sum_i c_i^2`, in float64. Of many
    minimizers the one of smallest norm is returned, in which a basis function that no sample
    touches has coefficient 0. Gradients flow to ``y``, not to ``x`` or ``knots``.

    Args:
        x: samples, shape ``(N,)`` for one spline, ``(N, I)`` for a layer; finite.
        y: shape ``(N,)`` for one spline, ``(N, I, O)`` for a layer; finite.
        ridge: weight of the penalty, in units of squared y over squared coefficient, >= 0.

    Returns:
        Coefficients of shape ``(n,)`` or ``(I, O, n)``.

    Example:
        >>> knots = uniform_knots(2, 1, (0.0, 1.0))
        >>> coef = fit(torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.0, 1.0, 0.5]), knots, 1)
        >>> coef.round(decimals=4).abs()
        tensor([0.0000, 1.0000, 0.5000])

    Source: de Boor (2001), chapter XIV. In the book: chapter 1.
    """
    check_knots(knots, degree)
    check_points(x, knots)
    check_like("y", y, "x", x)
    single = x.ndim == 1 and knots.ndim == 1
    fits = x.shape == y.shape if single else (x.ndim, x.shape) == (2, y.shape[:-1])
    if not fits or len(x) == 0:
        raise ValueError(
            f"x has shape {tuple(x.shape)} and y {tuple(y.shape)}; expected (N,) and (N,) for one "
            "spline, or (N, I) and (N, I, O) for a layer, with N >= 1"
        )
    check_finite("x", x)
    check_finite("y", y)
    check_number("ridge", ridge, minimum=0)

    with torch.no_grad():
        bases = cox_de_boor(to_float64(x), to_float64(knots), degree)
    # Rounding noise: of the decomposition, as LAPACK and NumPy have it, and of the coefficients.
    n = bases.shape[-1]
    noise = max(max(len(x), n) * torch.finfo(bases.dtype).eps, n * torch.finfo(y.dtype).eps)
    if single:
        coef = _least_squares(bases, to_float64(y).unsqueeze(-1), noise, ridge).squeeze(-1)
    else:  # (N, I, n), (N, I, O) -> (I, N, n), (I, N, O) -> (I, n, O) -> (I, O, n)
        coef = _least_squares(bases.movedim(1, 0), to_float64(y).movedim(1, 0), noise, ridge).mT
    return coef.to(y).contiguous()


def to_float64(x: Tensor) -> Tensor:
    """As float64; on the CPU where the device has no such numbers."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def _least_squares(matrix: Tensor, y: Tensor, noise: float, ridge: float = 0.0) -> Tensor:
    """Minimum-norm (or ridge) solution c of matrix @ c = y.

    Shapes: matrix (..., N, n), y (..., N, O), c (..., n, O).

    With matrix = U diag(s) V', c = V diag(s / (s^2 + ridge)) U' y. Directions whose singular value
    is at most ``noise`` times the largest contribute nothing.
    """
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    gain = torch.where(s > noise * s[..., :1], s / (s.square() + ridge), 0.0)
    solution = vh.mT @ (gain.unsqueeze(-1) * (u.mT @ y))
    touched = (matrix != 0).any(-2).unsqueeze(-1)
    return torch.where(touched, solution, 0.0)  # exactly 0, not rounding noise


def refine(
    coef: Tensor,
    knots: Tensor,
    new_knots: Tensor,
    degree: int,
    *,
    new_degree: int | None = None,
    clamp: bool = False,
) -> Tensor:
    r"""Express splines on other knots, or in another degree.

    The new curve is the old one's best approximation on the new domain in the least-squares sense:
    :math:`\int (s_{new} - s_{old})^2 dx` is minimal, the integral being exact (Gauss-Legendre
    points between all knots, old and new). When the old knots inside the domain are among the
    new, the old curve is kept to rounding error. ``degree`` is that of both, unless ``new_degree``
    is given for the new. With ``clamp``, the old curve is constant beyond its domain.

    Returns:
        Coefficients on the new knots, shape ``(n',)`` or ``(I, O, n')``.

    Example:
        >>> old, new = uniform_knots(1, 1, (0.0, 1.0)), uniform_knots(2, 1, (0.0, 1.0))
        >>> refine(torch.tensor([0.0, 1.0]), old, new, 1).round(decimals=4).abs()
        tensor([0.0000, 0.5000, 1.0000])

    Source: de Boor (2001), chapters XI and XIV. In the book: chapters 1 and 8.
    """
    check_knots(knots, degree)
    new_degree = degree if new_degree is None else new_degree
    check_degree(new_degree, "new_degree")
    check_knots(new_knots, new_degree, name="new_knots")
    check_coef(coef, knots, degree)
    check_like("new_knots", new_knots, "knots", knots)
    if new_knots.shape[:-1] != knots.shape[:-1]:
        raise ValueError(
            f"new_knots has shape {tuple(new_knots.shape)}; expected a vector for each of knots, "
            f"which has shape {tuple(knots.shape)}"
        )
    if knots.ndim == 2 and len(knots) > 1 and all((t == t[0]).all() for t in (knots, new_knots)):
        edges = coef.reshape(1, -1, coef.shape[-1])  # one decomposition serves all inputs
        options = {"new_degree": new_degree, "clamp": clamp}
        edges = refine(edges, knots[:1], new_knots[:1], degree, **options)
        return edges.view(*coef.shape[:2], -1)

    exact = to_float64(coef)
    knots, new_knots = to_float64(knots), to_float64(new_knots)
    with torch.no_grad():
        x, weight = _integration_points(knots, new_knots, degree, new_degree)
        matrix = weight * cox_de_boor(x, new_knots, new_degree).movedim(0, -2)
        domain = knots[..., degree], knots[..., -degree - 1]
        old_bases = cox_de_boor(x.clamp(*domain) if clamp else x, knots, degree).movedim(0, -2)
        # In units of its size on the domain, no function is lost as rounding noise, however little
        # of it reaches into the domain; what is lost are true repetitions.
        size = torch.linalg.vector_norm(matrix, dim=-2, keepdim=True)
        size = torch.where(size > 0, size, 1.0)
    old = old_bases @ (exact.unsqueeze(-1) if coef.ndim == 1 else exact.mT)
    noise = matrix.shape[-1] * torch.finfo(matrix.dtype).eps
    new = _least_squares(matrix / size, weight * old, noise) / size.mT  # (..., n', 1 or O)
    return (new.squeeze(-1) if coef.ndim == 1 else new.mT).to(coef).contiguous()


def _integration_points(
    knots: Tensor, new_knots: Tensor, degree: int, new_degree: int
) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre points of the new domain, (N,) or (N, I), and roots of their weights."""
    start, end = new_knots[..., new_degree, None], new_knots[..., -new_degree - 1, None]
    breaks = torch.cat([knots, new_knots], -1).sort(-1).values.clamp(start, end)
    nodes, weights = (
        torch.as_tensor(values, dtype=knots.dtype, device=knots.device) / 2
        for values in np.polynomial.legendre.leggauss(max(degree, new_degree) + 1)
    )
    left, width = breaks[..., :-1, None], breaks.diff(dim=-1).unsqueeze(-1)
    x = (left + width * (nodes + 0.5)).flatten(-2)
    weight = (width * weights).sqrt().flatten(-2).unsqueeze(-1)  # 0 on empty intervals
    return x.movedim(-1, 0), weight
