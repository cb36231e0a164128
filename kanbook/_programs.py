"""What :mod:`kanbook.export` writes as programs: from the description of a network to its text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

# Functions with a name, as C computes them.
FUNCTIONS = {
    "silu": "x / (1.0 + exp(-x))",
    "tanh": "tanh(x)",
    "relu": "x < 0.0 ? 0.0 : x",
    "sigmoid": "1.0 / (1.0 + exp(-x))",
    "sin": "sin(x)",
    "cos": "cos(x)",
}
FUNCTION = """
static double {name}(double x)
{{
    return {text};
}}
"""
# The recursion on living functions only, as in kanbook.fast.
SPLINES = """
/* To y add the splines of every x[i]: of n functions those k + 1 that are not zero there. In the
   table, n + k + 1 knots have k more on either side, for functions that do not exist: beyond all
   knots no others are left. */
static void NAME(const double *x, double *y, int I, int O, int n, int k,
                 const double *knots, const double *coef)
{
    for (int i = 0; i < I; i++) {
        int m = n + k + 1;
        int t = i * (m + 2 * k) + k; /* the place of the first knot */
        int c = -1; /* of the last at or before x[i], counted from the first */
        double end = knots[t + n]; /* of the domain, to which it belongs */
        double b[8] = {1.0};
        while (c + 1 < m && (knots[t + c + 1] < x[i] || (knots[t + c + 1] == x[i] && x[i] != end)))
            c++;
        for (int o = 0; o < O && x[i] != x[i]; o++)
            y[o] += x[i]; /* not a number */
        for (int p = 1; p <= k; p++) { /* from degree p - 1 to p */
            double rising = 0.0;
            for (int r = 0; r < p; r++) {
                double low = knots[t + c + r + 1 - p];
                double high = knots[t + c + r + 1];
                double ratio = b[r] / (high - low);
                b[r] = rising + (high - x[i]) * ratio;
                rising = (x[i] - low) * ratio;
            }
            b[p] = rising;
        }
        for (int r = 0; r <= k; r++) {
            int j = c - k + r; /* the number of the function */
            for (int o = 0; o < O && j >= 0 && j < n; o++)
                y[o] += b[r] * coef[(i * n + j) * O + o];
        }
    }
}
"""
EDGES = """    for (int i = 0; i < {inputs}; i++) {{
        double u = {u};
        for (int o = 0; o < {outputs}; o++)
            {y}[o] += {edge};
    }}
"""
NODES = """    for (int o = 0; o < {outputs}; o++)
        {y}[o] = {value};
"""
# The texts above, and those below, in single precision, and in JavaScript.
SINGLE = [
    (r"\bdouble\b", "float"),
    (r"\b\d+(?:\.\d+(?:e[+-]\d+)?|e[+-]\d+)\b", lambda number: str(np.float32(number[0])) + "f"),
    (r"\b(exp|tanh|sin|cos)\(", r"\1f("),
]
JAVASCRIPT = [
    (r"(?:static const )?double (\w+)\[\w*\] = \{([^}]*)\};", r"const \1 = [\2];"),
    (r"double (\w+)\[\w+\];", r"const \1 = [];"),
    (r"static \w+ (\w+)\(", r"function \1("),
    (r"(?:const )?(?:double|int) \*?(\w+)(?=[,)])", r"\1"),
    (r"(?:double|int) (?=\w+ =)", "let "),
    (r"\b(?=(?:exp|tanh|sin|cos)\()", "Math."),
]


def write_c(data: Mapping[str, Any], name: str, single: bool = False) -> str:
    inputs, outputs, parts, steps, y = _write(data, name)
    steps += NODES.format(outputs=outputs, y="y", value=f"{y}[o]")
    text = f"{parts}\nvoid {name}(const double *x, double *y)\n{{\n{steps}}}\n"
    for pattern, replacement in SINGLE if single else []:
        text = re.sub(pattern, replacement, text)
    return (
        f"/* {name}: {inputs} numbers in, {outputs} out. Written by kanbook.export. */\n"
        "#include <math.h>\n\n"
        f"enum {{ {name}_inputs = {inputs}, {name}_outputs = {outputs} }};\n{text}"
    )


def write_javascript(data: Mapping[str, Any], name: str) -> str:
    inputs, outputs, parts, steps, y = _write(data, name)
    for pattern, replacement in JAVASCRIPT:
        parts, steps = (re.sub(pattern, replacement, text) for text in (parts, steps))
    wrong = f"x has ${{x.length}} numbers; expected {inputs}"
    return (
        f"/* {name}: {inputs} numbers in, {outputs} out. Written by kanbook.export. */\n"
        f"{parts}\nexport function {name}(x)\n{{\n"
        f"    if (x.length !== {inputs})\n        throw new RangeError(`{wrong}`);\n"
        f"{steps}    return {y};\n}}\n"
    )


def _write(data: Mapping[str, Any], name: str) -> tuple[int, int, str, str, str]:
    """How many numbers in and out; tables and functions, and the steps, in C; the last array."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise ValueError(f"name={name!r}; expected a name in C, such as 'kan'")
    tables, functions, steps, x = [], {}, [], "x"
    first = inputs = outputs = None

    def table(kind: str, values: Any) -> str:
        own = f"{name}_{kind}{number}"
        values = _list(np.ravel(values).tolist())
        tables.append(f"\nstatic const double {own}[] = {values};\n")
        return own

    def function(which: str) -> str:
        own = f"{name}_{which}"
        functions[own] = FUNCTION.format(name=own, text=FUNCTIONS[which])
        return own

    def add(edge: str, u: str = "{x}[i]") -> None:
        u = u.format(x=x)
        steps.append(EDGES.format(inputs=inputs, outputs=outputs, y=y, u=u, edge=edge))

    for number, layer in enumerate(data["layers"], start=1):
        y, kind = f"v{number}", layer["kind"]
        if kind == "activation":
            if first is None:
                raise ValueError("model starts with an Activation; expected a layer before it")
            value = f"{function(layer['function'])}({x}[o])"
            steps.append(f"    double {y}[{outputs}];\n")
            steps.append(NODES.format(outputs=outputs, y=y, value=value))
            x = y
            continue
        inputs, outputs = layer["in_features"], layer["out_features"]
        first = first or inputs
        steps.append(f"    double {y}[{outputs}] = {_list(layer['bias'] or [0.0] * outputs)};\n")
        at = f"[i * {outputs} + o]"
        if kind == "linear":
            add(f"u * {table('weight', np.transpose(layer['weight']))}{at}")
        elif kind == "tanh":
            curve = f"u * (u * {table('a', layer['a'])}{at} + {table('b', layer['b'])}{at})"
            add(f"tanh({curve})" if layer["tanh"] == "edge" else curve)
            if layer["tanh"] == "sum":
                steps.append(NODES.format(outputs=outputs, y=y, value=f"tanh({y}[o])"))
        else:
            knots, coef, weight = _splines(layer)
            others = f"{inputs}, {outputs}, {coef.shape[1]}, {layer['degree']}"
            others += f", {table('knots', knots)}, {table('coef', coef)}"
            functions["splines"] = SPLINES.replace("NAME", f"{name}_splines")
            steps.append(f"    {name}_splines({x}, {y}, {others});\n")
            if weight is not None:
                add(f"u * {table('base', weight)}{at}", f"{function(layer['base'])}({{x}}[i])")
        x = y
    parts = "".join([*tables, *functions.values()])
    return first, outputs, parts, "".join(steps), x


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


def _list(values: Iterable[float]) -> str:
    text = textwrap.fill(", ".join(map(repr, values)), 92)
    return "{" + text + "}" if "\n" not in text else "{\n" + textwrap.indent(text, " " * 8) + "}"
