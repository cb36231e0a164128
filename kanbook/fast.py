r"""Splines of many inputs as one function, fast: only k + 1 functions are alive anywhere.

:func:`kanbook.splines.cox_de_boor` computes all n = G + k basis functions of every input, through
a table of functions of lower degree, and nearly all the numbers in it are zeros. The kernels here
find the interval in which each input lies, and the k + 1 functions that are not zero there:

=====================================  =============================================  ==========
Kernel                                 Where                                          Time
=====================================  =============================================  ==========
``_alive_uniform``: one polynomial     evenly spaced knots on a CPU, k >= 2           1
``_alive``: recursion on the living    other knots, other devices                     1.45
``compiled._Dense``: no addresses      inside ``torch.compile``                       0.60
``compiled._Gathered``: no zeros       the same, n >= 32, on one thread of a CPU      0.41, 0.14
plain formula                          ``torch.func``, forward mode, derivatives of   6.9
                                       gradients, knots that learn, other dtypes,
                                       ``torch.jit.trace``, ``torch.onnx.export``
=====================================  =============================================  ==========

The time is that of a forward and a backward pass from 64 to 64 (batch 1,024, cubic, G = 5, float32,
one thread), in units of the first; of the fourth with G = 50 and 200, in units of the first with
these (``evidence/benchmark/speed.py``, parts "speed" and "steps"). The first two put their values
into a matrix of zeros and multiply that by the coefficients; without gradients and with n >= 32,
they sum up rows of coefficients instead. ``by_hand`` chooses between the formula, a compiler's
kernel and those; ``find`` between the first two.

In the book: chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.functional import embedding_bag

from . import compiled
from .splines import cox_de_boor

__all__ = ["sum_splines"]

# Numbers of A and dL/dA worked at at a time: 4 MiB of float32.
CHUNK = 2**20

# GNU's C library gives a large block back to the system as soon as it is free, and takes it again
# page by page, which is nearly half of a training step. But it keeps blocks as large as the largest
# that has been freed, up to 32 MiB, and of them up to 64 MiB (``man mallopt``). So it is shown one
# that nobody writes into, which costs nothing. Other C libraries do not mind.
torch.empty(31 * 2**18, dtype=torch.float32, device="cpu")


def sum_splines(x: Tensor, coef: Tensor, knots: Tensor, degree: int) -> Tensor:
    r"""Return :math:`y_o = \sum_i s_{i,o}(x_i)`, with :math:`s_{i,o} = \sum_j c_{i,o,j} B_{i,j}`.

    The same numbers as ``splines.evaluate(x, coef, knots, degree).sum(-2)``, to rounding error,
    but nothing of shape ``(..., I, O)`` is ever made, and arguments are not checked. Memory grows
    as batch * I * n. Inside ``torch.compile`` there are no second derivatives and no ``torch.func``
    transforms.

    Args:
        x: shape ``(..., I)``.
        coef: shape ``(I, O, n)``.
        knots: shape ``(I, n + k + 1)``, sorted.
        degree: k.

    Returns:
        Shape ``(..., O)``.

    Example:
        >>> from kanbook import splines
        >>> knots = splines.uniform_knots(2, 1, (0.0, 1.0)).repeat(3, 1)
        >>> sum_splines(torch.full((5, 3), 0.25), torch.ones(3, 2, 3), knots, 1).shape
        torch.Size([5, 2])
    """
    return _sum_splines(x, coef, knots, degree)


def autocasts(x: Tensor) -> bool:
    """Whether a matrix product of x would run in the lower precision of ``torch.autocast``."""
    device = x.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def _plain_sum(x: Tensor, coef: Tensor, knots: Tensor, k: int) -> Tensor:
    return torch.einsum("...in,ion->...o", cox_de_boor(x, knots, k), coef)


def by_hand(
    plain: Callable[..., Tensor],
    forward: Callable[..., tuple[Tensor, tuple[Tensor, ...]]],
    backward: Callable[..., tuple[Tensor | None, Tensor | None]],
    compiled: Callable[..., Tensor] | None = None,
) -> Callable[[Tensor, Tensor, Tensor, int], Tensor]:
    """A function of (x, coef, knots, k) with derivatives by hand.

    Args:
        plain: the same function as a formula, which PyTorch can transform and differentiate.
        forward: for x of shape (batch, I), and whether a backward pass can follow: the value, and a
            tuple of tensors to keep.
        backward: of the gradient in the value, which two gradients are needed, x, coef, k, and what
            was kept: the gradients in x and coef, None where not needed.
        compiled: the same for ``torch.compile``; the formula if not given.
    """

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, coef, knots, k, keep):
            y, kept = forward(x, coef, knots, k, keep)
            ctx.degree = k
            ctx.save_for_backward(x, coef, knots, *kept)
            return y

        @staticmethod
        def backward(ctx, g):
            x, coef, knots, *kept = ctx.saved_tensors
            needed = ctx.needs_input_grad[:2]
            # A backward pass inside autocast's context is in full precision, too.
            whole = torch.autocast(g.device.type, enabled=False) if autocasts(g) else nullcontext()
            with whole:
                if torch.is_grad_enabled():
                    both = partial(plain, knots=knots, k=ctx.degree)
                    grads = torch.func.vjp(both, x, coef)[1](g)
                else:
                    grads = backward(g, needed, x, coef, ctx.degree, *kept)
            pairs = zip(grads, needed, strict=True)
            return *(grad if need else None for grad, need in pairs), None, None, None

    def apply(x: Tensor, coef: Tensor, knots: Tensor, k: int) -> Tensor:
        if knots.requires_grad or knots.dtype not in (torch.float32, torch.float64):
            return plain(x, coef, knots, k)
        if torch.compiler.is_compiling():
            chosen = plain if torch.onnx.is_in_onnx_export() else compiled or plain
            return chosen(x, coef, knots, k)
        if _is_transformed(x, coef) or torch.jit.is_tracing():
            return plain(x, coef, knots, k)
        keep = torch.is_grad_enabled() and (x.requires_grad or coef.requires_grad)
        rows = x if x.ndim == 2 else x.reshape(-1, x.shape[-1])
        y = Function.apply(rows.contiguous(), coef, knots, k, keep)
        return y if x.ndim == 2 else y.view(*x.shape[:-1], y.shape[-1])

    return apply


def _is_transformed(*tensors: Tensor) -> bool:
    """Whether a transform of ``torch.func``, or forward-mode differentiation, is at work."""
    # As Function.apply asks itself. A method setup_context would cost time at every call.
    if torch._C._are_functorch_transforms_active():
        return True
    return any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors)


def _sum_forward(x, coef, knots, k, keep):
    r"""y = A W, where row b of the matrix A holds every :math:`B_{i,j}(x_{b,i})`.

    Let :math:`t_c \le x < t_{c+1}`. Of the functions of degree k, those numbered c - k to c are
    alive at x. Their values are scattered into zeros: A has one column for each function j and
    input i, at place j I + i. Functions numbered below 0 or from n on do not exist; one block of I
    columns on either side of A, with zeros in W, takes what falls there::

        | nowhere | function 0 | function 1 |  ...  | function n-1 | nowhere |
          I columns  I columns    I columns            I columns     I columns
    """
    inputs, outputs, n = coef.shape
    w, y, kept = pad(coef.permute(2, 0, 1)), x.new_empty(len(x), outputs), []
    rows = _rows_at_a_time(w)
    for x_part, y_part in zip(x.split(rows), y.split(rows), strict=True):
        place, values, slopes = find(x_part, knots, k)
        columns, values = list_columns(place, k, n).flatten(1), values.flatten(1)
        if not keep and n >= compiled.MANY:  # no zeros: for each input a weighted sum of rows of W
            y_part.copy_(embedding_bag(columns, w, mode="sum", per_sample_weights=values))
            continue
        a = x.new_zeros(len(x_part), len(w)).scatter_(1, columns, values)[:, inputs:-inputs]
        torch.mm(a, w[inputs:-inputs], out=y_part)
        if keep:  # the columns of many blocks would take much memory
            kept += [a, columns if len(x) <= rows else place, *slopes]
    return y, (w, *kept)


def _sum_backward(g, needed, x, coef, k, w, *kept):
    r"""The gradients, from g, that of the loss in y.

    .. math::
        \frac{\partial L}{\partial W} = A^T g, \qquad
        \frac{\partial L}{\partial A} = g W^T, \qquad
        \frac{\partial L}{\partial x_{b,i}}
            = \sum_{r=0}^{k} \frac{\partial L}{\partial A_{b,(c-k+r,\,i)}} B_{i,c-k+r}'(x_{b,i}) .

    Of :math:`\partial L / \partial A`, k + 1 entries are gathered for each x.
    """
    inputs, outputs, n = coef.shape
    needs_x, needs_coef = needed
    grad_w, grads_x, blocks = None, [], g.split(_rows_at_a_time(w))
    each = len(kept) // len(blocks)
    for number, g_part in enumerate(blocks):
        a, where, *slopes = kept[number * each : (number + 1) * each]
        if needs_coef:
            grad_w = grad_w.addmm_(g_part.T, a) if number else g_part.T @ a
        if needs_x:
            columns = where if len(blocks) == 1 else list_columns(where, k, n).flatten(1)
            grad_values = (g_part @ w.T).gather(1, columns)
            grads_x.append(slope(grad_values.view(-1, inputs, k + 1), k, *slopes))
    grad_coef = grad_w.view(outputs, n, inputs).permute(2, 0, 1) if needs_coef else None
    grad_x = None if not needs_x else grads_x[0] if len(blocks) == 1 else torch.cat(grads_x)
    return grad_x, grad_coef


def _rows_at_a_time(w: Tensor) -> int:
    return max(1, CHUNK // len(w))


_sum_splines = by_hand(_plain_sum, _sum_forward, _sum_backward, compiled.sum_splines)


def find(x: Tensor, knots: Tensor, k: int) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Find the functions alive at each x: where the last one is in W, shape (batch, I); values,
    shape (batch, I, k + 1); what :func:`slope` needs.
    """
    step = _even_step(knots, k)
    found = _alive(x, knots, k) if step is None else _alive_uniform(x, knots, k, step)
    place, values, slopes = found
    return place, values.view(*x.shape, k + 1), slopes


def list_columns(place: Tensor, k: int, n: int) -> Tensor:
    """The places of all k + 1 living functions, shape (batch, I, k + 1)."""
    inputs = place.shape[-1]
    blocks = torch.arange(-k * inputs, 1, inputs, device=place.device)  # (k + 1,)
    return (place.unsqueeze(-1) + blocks).clamp_(0, (n + 2) * inputs - 1)


def slope(grad_values: Tensor, k: int, *slopes: Tensor) -> Tensor:
    """Return sum_r grad_values[..., r] * (derivative of the r-th living function)."""
    return (_slope_uniform if len(slopes) == 3 else _slope)(grad_values, k, *slopes)


def pad(coef: Tensor) -> Tensor:
    """Return W: the coefficients, shape (n, I, ...), between two blocks of I rows of zeros."""
    nowhere = coef.new_zeros(1, *coef.shape[1:])
    return torch.cat([nowhere, coef, nowhere]).flatten(0, 1)


def _even_step(knots: Tensor, k: int) -> Tensor | None:
    """The distance of neighboring knots of every input, shape (I,), if nothing but rounding varies.

    Elsewhere than on a CPU the answer would hold up the device for longer than it saves.
    """
    if k < 2 or knots.device.type != "cpu":
        return None
    t = knots.detach().numpy()  # on numbers so few quicker than PyTorch
    step = (t[:, -1] - t[:, 0]) / (t.shape[1] - 1)
    off = np.abs(np.diff(t) - step[:, None]).max()
    return torch.from_numpy(step) if off <= 64 * np.finfo(t.dtype).eps * step.min() else None


def _alive(x: Tensor, knots: Tensor, k: int) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Find the interval c of each x and the values of the k + 1 functions alive there.

    The recursion of Cox and de Boor runs on living functions only: of degree p there are p + 1,
    computed from the knots t_{c-p+1}, ..., t_{c+p}. No interval found is empty, so no width is 0.
    Source: de Boor (2001), chapter X, subroutine BSPLVB.

    The slopes are the last ratios of the recursion: with them the derivative of the function
    number c - k + r is k (ratios[r - 1] - ratios[r]).
    """
    inputs, batch = len(knots), len(x)
    start, stop = knots[:, :1], knots[:, -1:]
    width = stop - start
    # k knots more on either side: functions that do not exist get finite values there.
    far = torch.arange(1, k + 1, device=x.device) * width
    t = torch.cat([start - far.flip(-1), knots, stop + far], 1).T.reshape(-1)
    x = torch.minimum(torch.maximum(x, (start - width).T), (stop + width).T)
    cell = _count_knots(x, knots, knots[:, -k - 1, None]) - 1
    # A NaN, the number that is not equal to itself, has c = -1 now; put it where it will be seen.
    cell += torch.ne(x, x, out=torch.empty_like(x)) * (k + 1)
    place = cell.to(torch.int32).add_(1).mul_(inputs)
    place += torch.arange(inputs, dtype=torch.int32, device=x.device)
    if k == 0:
        return place, torch.ones_like(x) + 0 * x, (x.new_empty(0),)
    blocks = torch.arange(0, 2 * k * inputs, inputs, dtype=torch.int32, device=x.device)
    around = place + blocks[:, None, None]
    around = t.index_select(0, around.view(-1)).view(2 * k, batch, inputs)
    left, right = x - around[:k], around[k:] - x  # of t_{c-k+1}, ..., t_c; to t_{c+1}, ..., t_{c+k}
    functions = torch.ones_like(x).unsqueeze(0)
    for p in range(1, k + 1):
        fall, rise = right[:p], left[k - p :]
        ratios = functions / (fall + rise)
        functions = x.new_zeros(p + 1, batch, inputs)
        torch.mul(fall, ratios, out=functions[:p])
        functions[1:].addcmul_(rise, ratios)
    return place, functions.permute(1, 2, 0).contiguous(), (ratios,)


def _count_knots(x: Tensor, knots: Tensor, end: Tensor) -> Tensor:
    """Return how many knots lie at or before each x, as x.dtype.

    At x = end, the right end of the domain, those before it: the end belongs to the last interval
    that is not empty. A NaN has none. On a CPU, comparing all numbers with one knot after the
    other takes less time than a binary search for each number, up to about 100 knots.
    """
    knots = torch.where(knots == end, torch.nextafter(end, end + knots[:, -1:].abs() + 1), knots)
    if x.device.type == "cpu" and knots.shape[-1] <= 100:
        count, passed = torch.zeros_like(x), torch.empty_like(x)
        for knot in knots.T.contiguous():
            count += torch.ge(x, knot, out=passed)
        return count
    x = x.nan_to_num(-torch.inf).T.contiguous()
    return torch.searchsorted(knots, x, right=True).T.to(x.dtype).contiguous()


def _slope(grad_values: Tensor, k: int, ratios: Tensor) -> Tensor:
    total = grad_values.new_zeros(grad_values.shape[:-1])
    for r, ratio in enumerate(ratios):
        total.addcmul_(ratio, grad_values[..., r + 1] - grad_values[..., r], value=k)
    return total


def _alive_uniform(x, knots, k, step):
    """As :func:`_alive`, for equally spaced knots: functions are polynomials in u = (x - t_c) / h,
    in [0, 1), with the same coefficients in every interval.
    """
    inputs, m = knots.shape
    inverse = 1 / step
    u = (x - knots[:, 0]).mul_(inverse)
    cell = u.clamp_(-1, m - 1).floor().nan_to_num_(k)  # a NaN: where it will be seen
    place = cell.to(torch.int32).mul_(inputs)
    place += torch.arange(inputs, 2 * inputs, dtype=torch.int32, device=x.device)
    # From the knot t_c itself, not from the first: less rounding. There is none before the first.
    left = torch.constant_pad_nd(knots.T, (0, 0, 1, 0)).view(-1)
    left = left.index_select(0, place.view(-1)).view(x.shape)
    torch.sub(x, left, out=u).mul_(inverse).clamp_(-1, 2)  # finite, however far out x may lie
    powers = x.new_ones(k + 1, *x.shape)
    for p in range(1, k + 1):
        torch.mul(powers[p - 1], u, out=powers[p])
    pieces, derivatives = map(torch.from_numpy, _pieces(k, str(x.dtype).removeprefix("torch.")))
    values = (powers.view(k + 1, -1).T @ pieces).view(*x.shape, k + 1)
    return place, values, (u, inverse, derivatives)


def _slope_uniform(grad_values, k, u, inverse, derivatives):
    """The same: gather the gradient by powers of u, and sum them by Horner's rule."""
    powers = (derivatives @ grad_values.view(-1, k + 1).T).view(k, *u.shape)
    total = powers[-1]
    for p in reversed(range(k - 1)):
        total = torch.addcmul(powers[p], total, u)
    return total * inverse


@lru_cache
def _pieces(k: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Living functions on even knots as polynomials, (powers of u, k + 1), and derivatives."""
    u = np.polynomial.Polynomial([0, 1])
    functions = [np.polynomial.Polynomial([1])]
    for p in range(1, k + 1):  # the recursion, on polynomials; r counts the living functions
        rising = [0, *((u + (p - 1 - r)) / p * f for r, f in enumerate(functions))]
        falling = [*((r + 1 - u) / p * f for r, f in enumerate(functions)), 0]
        functions = [a + b for a, b in zip(rising, falling, strict=True)]
    coef = np.stack([np.pad(f.coef, (0, k + 1 - len(f.coef))) for f in functions], -1)
    slope = coef[1:] * np.arange(1, k + 1)[:, None]
    return coef.astype(dtype), slope.astype(dtype)
