r"""B-splines as pure functions: knots, basis functions, curves, least squares, refinement.

A spline of degree :math:`k` on knots :math:`t_0 \le \dots \le t_{m-1}` is a weighted sum of
:math:`n = m - k - 1` basis functions, :math:`s(x) = \sum_i c_i B_{i,k}(x)`. Its *domain* is
:math:`[t_k, t_n]`: there the basis functions sum to one. Outside they fade to zero at the
outermost knots, and the spline with them.

Every function works on one spline (``knots`` of shape ``(m,)``) or on one knot vector for each
input of a layer (``knots`` of shape ``(I, m)``, ``x`` of shape ``(..., I)``). Shapes are written
with I inputs, O outputs, G grid intervals, k degree, n = G + k basis functions.

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
    check_finite,
    check_grid_size,
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
        degree: degree k of the splines, 0 to 7.
        domain: its two ends (a, b), finite, a < b.
        device, dtype: of the result; ``torch.get_default_dtype()`` if not given.

    Returns:
        Knots of shape ``(G + 2k + 1,)``. ``knots[k]`` is a and ``knots[-k - 1]`` is b, exactly.

    Raises:
        TypeError: ``grid_size`` or ``degree`` is not an integer, ``domain`` not a pair of numbers.
        ValueError: one of them is out of range, or the domain too narrow for G steps in ``dtype``.

    Example:
        >>> uniform_knots(2, 1, (0.0, 1.0))
        tensor([-0.5000,  0.0000,  0.5000,  1.0000,  1.5000])
    """
    check_degree(degree)
    check_grid_size(grid_size)
    a, b = check_domain(domain)
    check_dtype(dtype)
    dtype = torch.get_default_dtype() if dtype is None else dtype
    exact = {"dtype": torch.float64, "device": "cpu"}
    inside = torch.linspace(a, b, grid_size + 1, **exact)
    beyond = (b - a) / grid_size * torch.arange(1, degree + 1, **exact)
    knots = torch.cat([a - beyond.flip(0), inside, b + beyond]).to(dtype)
    if not torch.isfinite(knots).all():
        raise ValueError(f"domain={domain!r} is too wide for {dtype}; expected a narrower domain")
    if not (knots.diff() > 0).all():
        raise ValueError(
            f"domain={domain!r} is too narrow for grid_size={grid_size} in {dtype}: "
            "neighboring knots would be equal; expected a wider domain or a wider dtype"
        )
    return knots.to(device if device is not None else torch.empty(0).device)


def basis(x: Tensor, knots: Tensor, degree: int) -> Tensor:
    r"""Evaluate every B-spline basis function :math:`B_{i,k}` at every x.

    Each function is positive on its support :math:`(t_i, t_{i+k+1})` and exactly zero elsewhere;
    on the domain they sum to one. At a jump (a knot repeated k + 1 times) the value is the one
    from the right; at the right end of the domain it is the one from the left, so that both ends
    belong to the domain. NaN gives NaN. Differentiable in x, and in the knots where those are
    distinct.

    Args:
        x: points, shape ``(...)``, or ``(..., I)`` with one knot vector per input.
        knots: sorted, shape ``(m,)`` or ``(I, m)``, m >= 2k + 2; repeated knots are allowed.
        degree: k, 0 to 7.

    Returns:
        Shape ``(..., m - k - 1)``, or ``(..., I, m - k - 1)``.

    Raises:
        TypeError: a tensor is not floating point, dtypes differ, ``degree`` is not an integer.
        ValueError: wrong shape or device, knots unsorted, not finite or too few, bad ``degree``.

    Example:
        >>> basis(torch.tensor([0.25]), uniform_knots(2, 1, (0.0, 1.0)), 1)
        tensor([[0.5000, 0.5000, 0.0000]])

    Source: de Boor (2001), chapter IX. In the book: chapter 1.
    """
    check_knots(knots, degree)
    check_points(x, knots)
    return cox_de_boor(x, knots, degree)


def cox_de_boor(x: Tensor, knots: Tensor, degree: int) -> Tensor:
    r"""The Cox-de Boor recursion itself: :func:`basis` without the checks.

    For callers whose knots are known to be good, such as a layer's forward pass.

    .. math::
        B_{i,0}(x) = [t_i \le x < t_{i+1}], \qquad
        B_{i,p}(x) = \frac{x - t_i}{t_{i+p} - t_i} B_{i,p-1}(x)
                   + \frac{t_{i+p+1} - x}{t_{i+p+1} - t_{i+1}} B_{i+1,p-1}(x), \quad \tfrac00 = 0

    Args, returns: as :func:`basis`.
    """
    *_, bases = lower_degrees(x, knots, degree)
    return bases


def lower_degrees(x: Tensor, knots: Tensor, degree: int) -> list[Tensor]:
    """What the recursion passes on its way: the basis functions of degree 0, 1, ..., ``degree``."""
    x = x.unsqueeze(-1)
    t = knots
    inside = (t[..., :-1] <= x) & (x < t[..., 1:])
    # The right end of the domain belongs to the last interval that is not empty.
    end = t[..., -degree - 1, None]
    inside = torch.where(x == end, (t[..., :-1] < x) & (x <= t[..., 1:]), inside)
    # Beyond the outermost knots all is zero already; without the clamp, inf * 0 would give NaN.
    x = torch.where(x < t[..., :1], t[..., :1], torch.where(x > t[..., -1:], t[..., -1:], x))
    # 0 * x: lets NaN through, ties degree 0 to the graph of x
    bases = [inside.to(x.dtype) + 0 * x]
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

    Args:
        x: points, shape ``(...)`` for one spline, ``(..., I)`` for a layer.
        coef: shape ``(n,)`` for one spline, ``(I, O, n)`` for a layer.
        knots: shape ``(m,)`` or ``(I, m)`` with m = n + k + 1.
        degree: k, 0 to 7.

    Returns:
        Shape ``(...)`` for one spline; ``(..., I, O)``, one value per edge, for a layer.

    Raises:
        TypeError, ValueError: as :func:`basis`, or ``coef`` does not fit the others.

    Example:
        >>> knots = uniform_knots(2, 1, (0.0, 1.0))
        >>> evaluate(torch.tensor([0.25, 0.5]), torch.tensor([0.0, 1.0, 0.0]), knots, 1)
        tensor([0.5000, 1.0000])

    Source: de Boor (2001), chapter IX. In the book: chapter 1.
    """
    check_knots(knots, degree)
    check_coef(coef, knots, degree)
    check_points(x, knots)
    if coef.ndim == 3 and (x.ndim == 0 or x.shape[-1] != coef.shape[0]):
        raise ValueError(
            f"x has shape {tuple(x.shape)}; expected (..., {coef.shape[0]}) to match coef of "
            f"shape {tuple(coef.shape)}"
        )
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

    Args:
        coef: shape ``(n,)`` for one spline, ``(I, O, n)`` for a layer.
        knots: shape ``(m,)`` or ``(I, m)``.
        degree: k, 1 to 7.

    Returns:
        Coefficients of the functions of degree k - 1, in units of y / x, shape ``(n + 1,)`` or
        ``(I, O, n + 1)``.

    Raises:
        TypeError, ValueError: as :func:`evaluate`; ``degree`` is 0.

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
    return nn.functional.pad(coef, (1, 1)).diff() * (
        slope if coef.ndim == 1 else slope.unsqueeze(1)
    )


def fit(x: Tensor, y: Tensor, knots: Tensor, degree: int, ridge: float = 0.0) -> Tensor:
    r"""Fit splines to samples by least squares.

    Minimizes :math:`\sum_j (s(x_j) - y_j)^2 + \text{ridge} \cdot \sum_i c_i^2`. With
    ``ridge=0`` and data that leave some basis functions untouched there are many minimizers; the
    one of smallest norm is returned, in which an untouched function has coefficient 0. With
    samples few and uneven, a minimizer may swing widely *between* them; a small ridge calms it, at
    the price of a small bias towards zero. Exercise 4 of chapter 1 measures it: for 60 noisy
    samples and 43 coefficients, 0.03 did best of 0.003, 0.03 and 0.3, and each was far better than
    none.

    The solution goes through a singular value decomposition in float64, whatever the dtype of the
    arguments. The default driver of ``torch.linalg.lstsq`` on CPUs can return all zeros when a
    column of the matrix is zero. Gradients flow to ``y``, not to ``x`` or ``knots``.

    Args:
        x: shape ``(N,)`` for one spline, ``(N, I)`` for a layer.
        y: shape ``(N,)`` for one spline, ``(N, I, O)`` for a layer.
        knots: shape ``(m,)`` or ``(I, m)``.
        degree: k, 0 to 7.
        ridge: weight of the penalty, in units of squared y over squared coefficient, >= 0.

    Returns:
        Coefficients of shape ``(n,)`` or ``(I, O, n)``.

    Raises:
        TypeError, ValueError: as :func:`basis`; shapes do not fit; x or y not finite; no samples;
            ``ridge`` negative.

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
    single = x.ndim == 1 and y.ndim == 1 and knots.ndim == 1
    if not single and not (x.ndim == 2 and y.ndim == 3 and y.shape[:2] == x.shape):
        raise ValueError(
            f"x has shape {tuple(x.shape)} and y {tuple(y.shape)}; expected (N,) and (N,) for one "
            "spline, or (N, I) and (N, I, O) for a layer"
        )
    if single and x.shape != y.shape:
        raise ValueError(f"y has shape {tuple(y.shape)}; expected {tuple(x.shape)}, as x")
    if x.shape[0] == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}; expected at least one sample")
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
    whole: bool = False,
) -> Tensor:
    r"""Express splines on other knots, or in another degree.

    The new curve is the old one's best approximation on the domain in the least-squares sense:
    :math:`\int (s_{new} - s_{old})^2 dx` is minimal, the integral being exact (Gauss-Legendre
    points between all knots, old and new). When the old knots inside the domain are among the
    new, the old curve itself is the minimizer and is kept to rounding error (1e-12 in float64).
    If the domains differ, what counts is the part that they share, or, with ``whole``, all of the
    new domain: there the old curve is what its own knots beyond its domain make of it, zero at
    the last.

    Args:
        coef: shape ``(n,)`` or ``(I, O, n)``.
        knots: the old knots, shape ``(m,)`` or ``(I, m)``.
        new_knots: shape ``(m',)`` or ``(I, m')``, as many dimensions as ``knots``.
        degree: k, 0 to 7, of both, unless ``new_degree`` is given for the new.
        new_degree: 0 to 7.
        whole: approximate on the whole new domain.

    Returns:
        Coefficients on the new knots, shape ``(n',)`` or ``(I, O, n')``.

    Raises:
        TypeError, ValueError: as :func:`evaluate`; the domains do not overlap and ``whole`` is
            False.

    Example:
        >>> old, new = uniform_knots(1, 1, (0.0, 1.0)), uniform_knots(2, 1, (0.0, 1.0))
        >>> refine(torch.tensor([0.0, 1.0]), old, new, 1).round(decimals=4).abs()
        tensor([0.0000, 0.5000, 1.0000])

    Source: de Boor (2001), chapters XI and XIV. In the book: chapters 1 and 8.
    """
    check_knots(knots, degree)
    new_degree = degree if new_degree is None else new_degree
    check_knots(new_knots, new_degree, name="new_knots")
    check_coef(coef, knots, degree)
    check_like("new_knots", new_knots, "knots", knots)
    if new_knots.shape[:-1] != knots.shape[:-1]:
        raise ValueError(
            f"new_knots has shape {tuple(new_knots.shape)}; expected {(*knots.shape[:-1], 'm')} "
            f"to match knots of shape {tuple(knots.shape)}"
        )
    if knots.ndim == 2 and len(knots) > 1 and all((t == t[0]).all() for t in (knots, new_knots)):
        edges = coef.reshape(1, -1, coef.shape[-1])  # one decomposition serves all inputs
        options = {"new_degree": new_degree, "whole": whole}
        edges = refine(edges, knots[:1], new_knots[:1], degree, **options)
        return edges.view(*coef.shape[:2], -1)
    start, end = new_knots[..., new_degree], new_knots[..., -new_degree - 1]
    if not whole:
        start = torch.maximum(start, knots[..., degree])
        end = torch.minimum(end, knots[..., -degree - 1])
    if not (start < end).all():
        one = (start >= end).nonzero()[0].tolist()[0] if knots.ndim == 2 else ...
        old, new = (
            [t[one, k].item(), t[one, -k - 1].item()]
            for t, k in ((knots, degree), (new_knots, new_degree))
        )
        raise ValueError(
            f"new_knots has the domain {new}, which does not overlap that of knots, {old}; "
            "expected domains with a common part"
        )

    result, coef = coef, to_float64(coef)
    knots, new_knots, start, end = map(to_float64, (knots, new_knots, start, end))
    with torch.no_grad():
        breaks = torch.cat([knots, new_knots], -1).sort(-1).values
        breaks = breaks.clamp(start.unsqueeze(-1), end.unsqueeze(-1))
        nodes, weights = (
            torch.as_tensor(values, dtype=knots.dtype, device=knots.device) / 2
            for values in np.polynomial.legendre.leggauss(max(degree, new_degree) + 1)
        )
        left, width = breaks[..., :-1, None], breaks.diff(dim=-1).unsqueeze(-1)
        x = (left + width * (nodes + 0.5)).flatten(-2)  # (N,) or (I, N)
        weight = (width * weights).sqrt().flatten(-2).unsqueeze(-1)  # 0 on empty intervals
        x = x.movedim(-1, 0)  # (N,) or (N, I)
        matrix = weight * cox_de_boor(x, new_knots, new_degree).movedim(0, -2)
        old_bases = cox_de_boor(x, knots, degree).movedim(0, -2)
        # In units of its size on the domain, no function is lost as rounding noise, however little
        # of it reaches into the domain; what is lost are true repetitions.
        size = torch.linalg.vector_norm(matrix, dim=-2, keepdim=True)
        size = torch.where(size > 0, size, 1.0)
    old = old_bases @ (coef.unsqueeze(-1) if coef.ndim == 1 else coef.mT)
    noise = matrix.shape[-1] * torch.finfo(matrix.dtype).eps
    coef = _least_squares(matrix / size, weight * old, noise) / size.mT  # (..., n', 1 or O)
    return (coef.squeeze(-1) if result.ndim == 1 else coef.mT).to(result).contiguous()
