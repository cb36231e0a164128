"""Networks of functions as SymPy expressions. In the book: chapter 15."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import sympy

from .networks import Network


def expressions(network: Network, names: Sequence[str]) -> list[Any]:
    """Each output of formula layers in a row, of symbols with these names."""
    values, u = [sympy.Symbol(name) for name in names], sympy.Symbol("u")
    for number, layer in enumerate(network, start=1):
        sums = [*map(_number, layer.bias.tolist(), layer.free_bias.tolist())]
        for i, o in layer.curves():
            sums[o] += sympy.Function(f"s{number}_{i + 1}_{o + 1}")(values[i])
        constants = zip(layer.constants.tolist(), layer.free_constants.tolist(), strict=True)
        for (i, o, _, f), (values_of_f, free) in zip(layer.functions, constants, strict=True):
            c, a, b = map(_number, values_of_f, free)
            sums[o] += c * sympy.sympify(f.text).subs(u, a * values[i] + b)
        values = [_multiplied_out(total) for total in sums]
    return values


def text(expression: Any) -> str:
    """An expression, its floats with four digits."""
    floats = {f: sympy.Float(f, 4) for f in expression.atoms(sympy.Float)}
    return str(expression.xreplace(floats))


def _multiplied_out(total: Any) -> Any:
    """A SymPy sum, its products multiplied out if shorter: (x + y)^2 - (x - y)^2 is 4 x y."""
    terms, products = sympy.Add.make_args(total), []
    for term in terms:
        factors = [f.expand(deep=False) if f.is_Pow else f for f in sympy.Mul.make_args(term)]
        products += sympy.Add.make_args(sympy.Mul(*factors).expand(deep=False))
    if len(products) == len(terms):
        return total
    sums, sizes = Counter(), Counter()
    for factor, part in (product.as_coeff_Mul() for product in products):
        sums[part] += factor
        sizes[part] += abs(factor)
    for part, factor in sums.items():
        if abs(factor) <= 1e-12 * sizes[part]:  # they cancel
            sums[part] = 0
        elif factor.is_Float:
            sums[part] = _number(float(factor), free=False)
    product = sympy.factor(sympy.Add(*(factor * part for part, factor in sums.items())))
    return min(total, product, key=sympy.count_ops)


def _number(value: float, free: bool) -> Any:
    """A SymPy number; of one that is fixed, the fraction, or the part of pi, that it is."""
    if value == 0 and not free:
        return sympy.Integer(0)
    if free or not 1e-9 < abs(value) < 1e9:
        return sympy.Float(value)
    power = Fraction(10) ** min(math.floor(math.log10(abs(value))), 0)
    for unit, name in ((1.0, 1), (math.pi, sympy.pi)):
        part = Fraction(value / unit / float(power)).limit_denominator(100) * power
        if abs(float(part) * unit - value) <= 1e-12 * max(abs(value), 1e-3):
            return sympy.Rational(part.numerator, part.denominator) * name
    return sympy.Float(value)
