"""What :mod:`kanbook.export` writes as programs: from the description of a network to its text.

C and JavaScript compute alike: the templates here are for both, and what differs stands in the
``words`` of a language. In C, ``$real`` is the type of a number, and ``$f`` ends those of a float.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from string import Template
from typing import Any

import numpy as np

# The recursion on living functions only, as in kanbook.fast.
SPLINES = """
/* To y add the splines of every x[i]: of n functions those k + 1 that are not zero there. In the
   table, n + k + 1 knots have k more on either side, for functions that do not exist: beyond all
   knots no others are left. */
$splines
{
    for ($int i = 0; i < I; i++) {
        $int m = n + k + 1;
        $int t = i * (m + 2 * k) + k; /* the place of the first knot */
        $int c = -1; /* of the last at or before x[i], counted from the first */
        $real end = knots[t + n]; /* of the domain, to which it belongs */
        $basis
        while (c + 1 < m && (knots[t + c + 1] < x[i] || (knots[t + c + 1] == x[i] && x[i] != end)))
            c++;
        for ($int o = 0; o < O && x[i] != x[i]; o++)
            y[o] += x[i]; /* not a number */
        for ($int p = 1; p <= k; p++) { /* from degree p - 1 to p */
            $real rising = 0.0$f;
            for ($int r = 0; r < p; r++) {
                $real low = knots[t + c + r + 1 - p];
                $real high = knots[t + c + r + 1];
                $real ratio = b[r] / (high - low);
                b[r] = rising + (high - x[i]) * ratio;
                rising = (x[i] - low) * ratio;
            }
            b[p] = rising;
        }
        for ($int r = 0; r <= k; r++) {
            $int j = c - k + r; /* the number of the function */
            for ($int o = 0; o < O && j >= 0 && j < n; o++)
                y[o] += b[r] * coef[(i * n + j) * O + o];
        }
    }
}
"""
FUNCTION = """
$function
{
    return $value;
}
"""
EDGES = """    for ($int i = 0; i < $inputs; i++) {
        $real u = $u;
        for ($int o = 0; o < $outputs; o++)
            $y[o] += $edge;
    }
"""
CLAMPED = """    for ($int i = 0; i < $inputs; i++)
        $y[i] = $x[i] < $low[i] ? $low[i] : $x[i] > $high[i] ? $high[i] : $x[i];
"""
NODES = """    for ($int o = 0; o < $outputs; o++)
        $y[o] = $value;
"""
FUNCTIONS = {
    "silu": "x / (1.0$f + ${math}exp$f(-x))",
    "tanh": "${math}tanh$f(x)",
    "relu": "x < 0.0$f ? 0.0$f : x",
    "sigmoid": "1.0$f / (1.0$f + ${math}exp$f(-x))",
    "sin": "${math}sin$f(x)",
    "cos": "${math}cos$f(x)",
}

C = {
    "int": "int",
    "math": "",
    "table": "\nstatic const $real $table[] = {$values};\n",
    "array": "    $real $y[$outputs] = {$values};\n",
    "room": "    $real $y[$outputs];\n",
    "basis": "$real b[8] = {1.0$f};",
    "function": "static $real $function($real x)",
    "splines": """static void ${name}_splines(const $real *x, $real *y, int I, int O, int n, int k,
                 const $real *knots, const $real *coef)""",
    "program": """/* $name: $inputs numbers in, $outputs out. Written by kanbook.export. */
#include <math.h>

enum { ${name}_inputs = $inputs, ${name}_outputs = $outputs };
$parts
void $name(const $real *x, $real *y)
{
$steps    for (int o = 0; o < $outputs; o++)
        y[o] = $y[o];
}
""",
}
DOUBLE = C | {"real": "double", "f": ""}
FLOAT = C | {"real": "float", "f": "f"}
JAVASCRIPT = {
    "int": "let",
    "real": "let",
    "f": "",
    "math": "Math.",
    "table": "\nconst $table = [$values];\n",
    "array": "    const $y = [$values];\n",
    "room": "    const $y = [];\n",
    "basis": "const b = [1.0];",
    "function": "function $function(x)",
    "splines": """function ${name}_splines(x, y, I, O, n, k,
                 knots, coef)""",
    "program": """/* $name: $inputs numbers in, $outputs out. Written by kanbook.export. */
$parts
export function $name(x)
{
    if (x.length !== $inputs)
        throw new RangeError(`x has $${x.length} numbers; expected $inputs`);
$steps    return $y;
}
""",
}

# Words of C and JavaScript, and functions of math.h: none of them can be the name of a function.
TAKEN = """
    auto break case char const continue default do double else enum extern float for goto if inline
    int long main register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while
    arguments await catch class debugger delete eval export extends false finally function
    implements import in instanceof interface let new null package private protected public super
    this throw true try typeof var with yield Math RangeError
    acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs
    fdim floor fma fmax fmin fmod frexp hypot ilogb isfinite isinf isnan ldexp lgamma llrint llround
    log log10 log1p log2 logb lrint lround modf nan nearbyint nextafter pow remainder remquo rint
    round scalbln scalbn signbit sin sinh sqrt tan tanh tgamma trunc gamma j0 j1 jn y0 y1 yn
""".split()  # noqa: SIM905


def write(data: Mapping[str, Any], name: str, words: Mapping[str, str]) -> str:
    """The program of a network that :func:`kanbook.export.to_dict` described."""
    usable = isinstance(name, str) and re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII)
    if not usable or {name, re.sub("[fl]$", "", name)} & {*TAKEN}:  # expf and expl, too
        raise ValueError(
            f"name={name!r}; expected a name in C, such as 'kan', that is no word of C or "
            "JavaScript and no function of math.h"
        )
    if data["layers"][0]["kind"] == "activation":
        raise ValueError("model starts with an Activation; expected a layer before it")
    program = Program(name, words)
    for number, layer in enumerate(data["layers"], start=1):
        program.add(number, layer)
    parts = "".join([*program.tables, *program.functions.values()])
    inputs, steps = data["layers"][0]["in_features"], "".join(program.steps)
    return program.fill(words["program"], inputs=inputs, parts=parts, steps=steps)


class Program:
    """Tables of numbers, functions, and steps: each computes an array y from the one before, x."""

    def __init__(self, name: str, words: Mapping[str, str]) -> None:
        self.name, self.words = name, words
        self.tables, self.functions, self.steps = [], {}, []
        self.inputs, self.outputs, self.x, self.y = None, None, None, "x"

    def fill(self, template: str, **values: Any) -> str:
        own = {"name": self.name, "inputs": self.inputs, "outputs": self.outputs, "y": self.y}
        return Template(template).substitute(self.words | own | values)

    def add(self, number: int, layer: Mapping[str, Any]) -> None:
        self.number, self.x, self.y = number, self.y, f"v{number}"
        if layer["kind"] == "activation":
            self.steps.append(self.fill(self.words["room"]))
            self.each_node(f"{self.function(layer['function'])}({self.x}[o])")
            return
        self.inputs, self.outputs = layer["in_features"], layer["out_features"]
        start = self.values(layer["bias"] or [0.0] * self.outputs)
        self.steps.append(self.fill(self.words["array"], values=start))
        {"linear": self.linear, "tanh": self.tanh, "kan": self.kan}[layer["kind"]](layer)

    def linear(self, layer: Mapping[str, Any]) -> None:
        self.each_edge(f"u * {self.table('weight', np.transpose(layer['weight']))}")

    def tanh(self, layer: Mapping[str, Any]) -> None:
        curve = f"u * (u * {self.table('a', layer['a'])} + {self.table('b', layer['b'])})"
        tanh = self.fill("${math}tanh$f")
        self.each_edge(f"{tanh}({curve})" if layer["tanh"] == "edge" else curve)
        if layer["tanh"] == "sum":
            self.each_node(f"{tanh}({self.y}[o])")

    def kan(self, layer: Mapping[str, Any]) -> None:
        knots, coef, base = _splines(layer)
        sizes = f"{self.inputs}, {self.outputs}, {coef.shape[1]}, {layer['degree']}"
        tables = f"{self.table('knots', knots, '')}, {self.table('coef', coef, '')}"
        head = self.fill(self.words["splines"])
        basis = self.fill(self.words["basis"])
        self.functions["splines"] = self.fill(SPLINES, splines=head, basis=basis)
        x = self.clamped(layer) if layer.get("clamp") else self.x
        self.steps.append(f"    {self.name}_splines({x}, {self.y}, {sizes}, {tables});\n")
        if base is not None:
            u = f"{self.function(layer['base'])}({self.x}[i])"
            self.each_edge(f"u * {self.table('base', base)}", u)

    def clamped(self, layer: Mapping[str, Any]) -> str:
        """The name of an array of its own: x, no further out than the domain."""
        y, k, knots = f"u{self.number}", layer["degree"], np.array(layer["knots"])
        self.steps.append(self.fill(self.words["room"], y=y, outputs=self.inputs))
        ends = {
            "low": self.table("low", knots[:, k], ""),
            "high": self.table("high", knots[:, -k - 1], ""),
        }
        self.steps.append(self.fill(CLAMPED, y=y, x=self.x, **ends))
        return y

    def each_edge(self, edge: str, u: str | None = None) -> None:
        self.steps.append(self.fill(EDGES, edge=edge, u=u or f"{self.x}[i]"))

    def each_node(self, value: str) -> None:
        self.steps.append(self.fill(NODES, value=value))

    def table(self, kind: str, values: Any, place: str = "[i * $outputs + o]") -> str:
        """A table and, as the name of its entry for an edge, its name and place."""
        table, values = f"{self.name}_{kind}{self.number}", self.values(np.ravel(values).tolist())
        self.tables.append(self.fill(self.words["table"], table=table, values=values))
        return table + self.fill(place)

    def function(self, kind: str) -> str:
        function, value = f"{self.name}_{kind}", self.fill(FUNCTIONS[kind])
        head = self.fill(self.words["function"], function=function)
        self.functions[kind] = self.fill(FUNCTION, function=head, value=value)
        return function

    def values(self, numbers: Iterable[float]) -> str:
        single = self.words["f"]
        texts = (str(np.float32(number)) + "f" if single else repr(number) for number in numbers)
        text = textwrap.fill(", ".join(texts), 92)
        return text if "\n" not in text else "\n" + textwrap.indent(text, " " * 8)


def _splines(layer: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Knots with k more on either side; coefficients (I, n, O) with their weights; base weights."""
    knots, coef, k = np.array(layer["knots"]), np.array(layer["coef"]), layer["degree"]
    far = np.arange(1, k + 1) * (knots[:, -1:] - knots[:, :1])
    knots = np.concatenate([knots[:, :1] - far[:, ::-1], knots, knots[:, -1:] + far], 1)
    there = 1.0 if layer["mask"] is None else np.array(layer["mask"])
    weight = there if layer["spline_weight"] is None else there * np.array(layer["spline_weight"])
    coef = coef * np.broadcast_to(weight, coef.shape[:2])[..., None]
    base = None if layer["base"] is None else there * np.array(layer["base_weight"])
    return knots, coef.transpose(0, 2, 1), base
