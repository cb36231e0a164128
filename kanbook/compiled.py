r"""Splines of many inputs as one function, for ``torch.compile``: a few long loops.

A compiler can do in one loop what :mod:`kanbook.fast` does in two dozen, if nothing in it depends
on x but numbers: no branch, no address. So an input's interval is found, and its k + 1 values are
brought to their places among n, by choosing between two numbers again and again. Where k + 1 of n
are few, the coefficients are gathered instead, and nothing is multiplied by zeros.

In the book: chapter 13.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

# From so many functions of an input on, coefficients are gathered.
MANY = 32


def sum_splines(x: Tensor, coef: Tensor, knots: Tensor, k: int) -> Tensor:
    """As :func:`kanbook.fast.sum_splines`."""
    rows = x.reshape(-1, x.shape[-1])
    y = (_Gathered if _gathers(coef) else _Dense).apply(rows, coef, knots, k)
    return y.view(*x.shape[:-1], y.shape[-1])


def _gathers(coef: Tensor) -> bool:
    # Faster on one thread only: several would add up a gradient by atomic additions.
    return coef.shape[-1] >= MANY and coef.device.type == "cpu" and _one_thread()


@torch.compiler.assume_constant_result
def _one_thread() -> bool:
    return torch.get_num_threads() == 1


class _Dense(torch.autograd.Function):
    """y = A W as one loop over all x, without a scatter, and one matrix product.

    The same comparisons of x with knots that find its interval also move the k + 1 values to their
    places, and in the backward pass n gradients to k + 1. The backward pass finds the interval
    again, which costs less than to write it into memory.
    """

    @staticmethod
    def forward(ctx, x, coef, knots, k):
        n = coef.shape[-1]
        t = _table(knots, k)
        x, window, passed = _window(x, t, k)
        values, _ = _recursion(x, window, k)
        columns = _spread(values, passed, n)
        columns[0] = torch.where(x.isnan(), x, columns[0])  # a NaN: where it will be seen
        a = torch.stack(columns, 1).flatten(1)  # (batch, n I)
        ctx.degree = k
        ctx.save_for_backward(x, coef, knots, a)
        return a @ coef.permute(2, 0, 1).flatten(0, 1)

    @staticmethod
    def backward(ctx, g):
        x, coef, knots, a = ctx.saved_tensors
        inputs, outputs, n = coef.shape
        k = ctx.degree
        grad_coef = (a.T @ g).view(n, inputs, outputs).permute(1, 2, 0)
        grad_a = (g @ coef.permute(2, 0, 1).flatten(0, 1).T).view(-1, n, inputs)
        x, window, passed = _window(x, _table(knots, k), k)
        _, ratios = _recursion(x, window, k)
        grad_values = _collect(grad_a.unbind(1), passed, k)
        return _slope_of(grad_values, ratios, k, x), grad_coef, None, None


class _Gathered(torch.autograd.Function):
    """The same for many functions: each input's k + 1 coefficients are gathered.

    Row i n + j of W holds the coefficients of function j of input i. An embedding bag, PyTorch's
    name for a weighted sum of rows of a table, does the rest.
    """

    @staticmethod
    def forward(ctx, x, coef, knots, k):
        values, _, rows, _ = _gather_places(x, knots, k)
        ctx.degree = k
        ctx.save_for_backward(x, coef, knots)
        values, rows = (torch.stack(parts, 1).flatten(1) for parts in (values, rows))
        w = _stored(coef.transpose(1, 2)).view(-1, coef.shape[1])
        return embedding_bag(rows, w, mode="sum", per_sample_weights=values)

    @staticmethod
    def backward(ctx, g):
        x, coef, knots = ctx.saved_tensors
        inputs, outputs, n = coef.shape
        k = ctx.degree
        values, ratios, rows, exists = _gather_places(x, knots, k)
        rows = torch.stack(rows, 1)  # (batch, k + 1, I)
        w = _stored(coef.transpose(1, 2)).view(-1, outputs)
        g = g[:, None, None]
        products = torch.stack(values, 1).unsqueeze(-1) * g
        grad_w = torch.zeros_like(w).index_put(
            (rows.flatten(),), products.flatten(0, 2), accumulate=True
        )
        grad_values = (w[rows] * g).sum(-1).unbind(1)
        grad_values = [torch.where(e, v, 0.0) for e, v in zip(exists, grad_values, strict=True)]
        grad_coef = grad_w.view(inputs, n, outputs).transpose(1, 2)
        return _slope_of(grad_values, ratios, k, x), grad_coef, None, None


def _stored(x: Tensor) -> Tensor:
    """x, contiguous, in memory: the compiler does not compute it again wherever it is read."""
    x = x.contiguous()
    return x.as_strided(x.shape, x.stride())


def _table(knots: Tensor, k: int) -> Tensor:
    """The knots in rows, (m + 2k + 1, I): there are k more before them and k + 1 after them.

    Those at the right end of the domain stand a rounding error further on: x at the end belongs to
    the last interval that is not empty.
    """
    start, stop, end = knots[:, :1], knots[:, -1:], knots[:, -k - 1, None]
    rounding = torch.finfo(knots.dtype)
    further = end + (0.75 * rounding.eps * end.abs() + rounding.tiny)  # ONNX has no nextafter
    far = torch.arange(1, k + 2, device=knots.device) * (stop - start)
    inner = torch.where(knots == end, further, knots)
    return _stored(torch.cat([start - far[:, :k].flip(-1), inner, stop + far], 1).T)


def _near(x: Tensor, t: Tensor, k: int) -> Tensor:
    """x, no further out than half the knots' width, so that nothing becomes infinite."""
    start, stop = t[k], t[-k - 2]
    half = (stop - start) / 2
    return torch.minimum(torch.maximum(x, start - half), stop + half)


def _window(x: Tensor, t: Tensor, k: int) -> tuple[Tensor, list[Tensor], list[tuple[int, Tensor]]]:
    """Find the 2k knots around each x by halving: each stage compares x with one knot.

    Returns x as :func:`_near` has it; the 2k knots; for each stage the shift that it decided on and
    whether it was made.
    """
    x = _near(x, t, k)
    window, passed = list(t.unbind(0)), []
    for bit in reversed(range((len(t) - 2 * k - 1).bit_length())):
        shift = 1 << bit
        after = x >= window[shift + k - 1]
        low, high = window[: 2 * k + shift - 1], window[shift : 2 * (k + shift) - 1]
        pairs = zip_longest(low, high, fillvalue=t[-1])  # which no x has passed
        window = [torch.where(after, far, near) for near, far in pairs]
        passed.append((shift, after))
    return x, window, passed


def _recursion(x: Tensor, window: list[Tensor], k: int) -> tuple[list[Tensor], list[Tensor]]:
    """The values of the k + 1 living functions, and the last ratios, as in ``fast._alive``."""
    left = [x - t for t in window[:k]]
    right = [t - x for t in window[k:]]
    functions, ratios = [torch.ones_like(x)], []
    for p in range(1, k + 1):
        fall, rise = right[:p], left[k - p :]
        ratios = [f / (a + b) for f, a, b in zip(functions, fall, rise, strict=True)]
        falling = [a * ratio for a, ratio in zip(fall, ratios, strict=True)]
        rising = [b * ratio for b, ratio in zip(rise, ratios, strict=True)]
        middle = [a + b for a, b in zip(falling[1:], rising[:-1], strict=True)]
        functions = [falling[0], *middle, rising[-1]]
    return functions, ratios


def _spread(values: list[Tensor], passed: list[tuple[int, Tensor]], n: int) -> list[Tensor]:
    """Move the k + 1 values to their places among n, with zeros elsewhere."""
    k, zero = len(values) - 1, values[0].new_zeros(())
    for shift, after in reversed(passed):
        gap = [zero] * shift
        pairs = zip([*values, *gap], [*gap, *values], strict=True)
        values = [torch.where(after, moved, stays) for stays, moved in pairs]
    return values[k + 1 : k + 1 + n]


def _collect(grads: Sequence[Tensor], passed: list[tuple[int, Tensor]], k: int) -> list[Tensor]:
    """The way back: of n gradients those of the k + 1 living functions."""
    most, zero = sum(shift for shift, _ in passed), grads[0].new_zeros(())
    grads = [*[zero] * (k + 1), *grads, *[zero] * most]
    for shift, after in passed:
        pairs = zip(grads[: k + shift], grads[shift:], strict=False)
        grads = [
            stays if moved is stays else torch.where(after, moved, stays) for stays, moved in pairs
        ]
    return grads


def _slope_of(grad_values: Sequence[Tensor], ratios: list[Tensor], k: int, x: Tensor) -> Tensor:
    """As ``fast._slope``."""
    total = torch.zeros_like(x)
    for ratio, low, high in zip(ratios, grad_values, grad_values[1:], strict=False):
        total = total + ratio * (high - low)
    return k * total


def _gather_places(x: Tensor, knots: Tensor, k: int) -> tuple[list[Tensor], ...]:
    """Of the k + 1 functions: their values, the last ratios, their rows in W, if they exist."""
    inputs, m = knots.shape
    n = m - k - 1
    t = _table(knots, k)
    nan, x = x.isnan(), _near(x, t, k)
    count = (x.unsqueeze(1) >= t[k : m + k]).to(x.dtype).sum(1).long()  # of knots passed
    i = torch.arange(inputs, device=x.device)
    window = [t.view(-1)[count * inputs + (i + r * inputs)] for r in range(2 * k)]
    values, ratios = _recursion(x, window, k)
    numbers = [count + (r - k - 1) for r in range(k + 1)]
    exists = [(j >= 0) & (j < n) for j in numbers]
    values = [torch.where(e, value, 0.0) for e, value in zip(exists, values, strict=True)]
    values[0] = torch.where(nan, torch.nan, values[0])
    return values, ratios, [j.clamp(0, n - 1) + i * n for j in numbers], exists
