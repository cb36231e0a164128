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
LAYER_NORM = """    $real mean$number = 0.0$f, spread$number = 0.0$f;
    for ($int o = 0; o < $outputs; o++)
        mean$number += $x[o] / $outputs;
    for ($int o = 0; o < $outputs; o++)
        spread$number += ($x[o] - mean$number) * ($x[o] - mean$number) / $outputs;
    spread$number = ${math}sqrt$f(spread$number + $eps);
"""
LOOKUP = """    for ($int i = 0, p = 0, e = 0; i < $inputs; i++) {
        $int q = $x[i] < 0 ? 0 : $x[i] > $last ? $last : $x[i];
        $int k = q >> $fraction;
        for ($int o = 0; o < $outputs; o++, e++, p += $size) {
            $int t = $entries[p + k];
            $y[o] += $value;
        }
    }
"""
RISING = "((t << $fraction) + ($entries[p + k + 1] - t) * (q & $mask)) >> $shifts[e]"
UNITS = """
/* All in integers: x[i] stands for low + unit * x[i], and y[o] for y[o] / 2^$point, with
   low: $low
   unit: $unit
*/
"""
FUNCTIONS = {  # of activations, then of formulas
    "silu": "x / (1.0$f + ${math}exp$f(-x))",
    "tanh": "${math}tanh$f(x)",
    "relu": "x < 0.0$f ? 0.0$f : x",
    "sigmoid": "1.0$f / (1.0$f + ${math}exp$f(-x))",
    "sin": "${math}sin$f(x)",
    "cos": "${math}cos$f(x)",
    "elu": "x > 0.0$f ? x : $alpha * ${math}expm1$f(x)",
    "leaky_relu": "x < 0.0$f ? $negative_slope * x : x",
    "softplus": "$beta * x > $threshold ? x : ${math}log1p$f(${math}exp$f($beta * x)) / $beta",
    "gelu": "0.5$f * x * (1.0$f + $erf(x * 0.7071067811865476$f))",
    "gelu_tanh": "0.5$f * x * (1.0$f + ${math}tanh$f(x * (0.7978845608028654$f"
    " + 0.035677408136300125$f * x * x)))",
    "x": "x",
    "x^2": "x * x",
    "x^3": "x * x * x",
    "exp": "${math}exp$f(x)",
    "log": "x > 0.0$f ? ${math}log$f(x) : $nan",
    "sqrt": "x > 0.0$f ? ${math}sqrt$f(x) : $nan",
    "1/x": "x > 0.0$f ? 1.0$f / x : $nan",
    "1/x^2": "x > 0.0$f ? 1.0$f / (x * x) : $nan",
    "1/sqrt": "x > 0.0$f ? 1.0$f / ${math}sqrt$f(x) : $nan",
    "atanh": "x > -1.0$f && x < 1.0$f ? ${math}atanh$f(x) : $nan",
    "gauss": "${math}exp$f(-x * x)",
    "atan": "${math}atan$f(x)",
    "abs": "x < 0.0$f ? -x : x",
    "asin": "x > -1.0$f && x < 1.0$f ? ${math}asin$f(x) : $nan",
}
# Settings of all activations.
DEFAULTS = {"alpha": 1.0, "approximate": "none", "beta": 1.0, "negative_slope": 0.01}
DEFAULTS["threshold"] = 20.0
# JavaScript has no erf: 2 / sqrt(pi) exp(-x^2) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...).
ERF = """
function ${name}_erf(x)
{
    let term = 1.1283791670955126 * x * Math.exp(-x * x), sum = term;
    for (let n = 3; n < 400; n += 2) {
        term *= 2 * x * x / n;
        sum += term;
    }
    return Math.abs(x) < 6 ? sum : Math.sign(x);
}
"""

# What is no name of a function in C: keywords of all its editions, what some compilers take for a
# word, and the standard library, whose functions of numbers have other forms: expf, expl, cexp.
WORDS = """
    alignas alignof and and_eq asm assert auto bitand bitor bool break case char compl complex const
    constexpr continue default do double else enum errno extern false float for fortran goto if
    imaginary inline int linux long main not not_eq nullptr offsetof or or_eq register restrict
    return short signed sizeof static static_assert stderr stdin stdout struct switch thread_local
    true typedef typeof typeof_unqual union unix unsigned void volatile while xor xor_eq
    abort abs aligned_alloc asctime atexit atof atoi atol atoll bsearch calloc clearerr clock ctime
    difftime div exit fclose feof ferror fflush fgetc fgetpos fgets fopen fprintf fputc fputs fread
    free freopen fscanf fseek fsetpos ftell fwrite getc getchar getenv gets gmtime imaxabs imaxdiv
    isalnum isalpha isblank iscntrl isdigit isgraph islower isprint ispunct isspace isupper isxdigit
    labs ldiv lgamma_r lgammaf_r lgammal_r llabs lldiv localeconv localtime longjmp malloc mblen
    mbstowcs mbtowc memchr memcmp memcpy memmove memset mktime perror printf putc putchar puts qsort
    raise rand realloc remove rename rewind scanf setbuf setjmp setlocale setvbuf signal snprintf
    sprintf srand sscanf strcat strchr strcmp strcoll strcpy strcspn strerror strftime strlen
    strncat strncmp strncpy strpbrk strrchr strspn strstr strtod strtof strtok strtol strtold
    strtoll strtoul strtoull strxfrm system time tmpfile tmpnam tolower toupper ungetc va_arg
    va_copy va_end va_start vfprintf vfscanf vprintf vscanf vsnprintf vsprintf vsscanf
""".split()  # noqa: SIM905
MATH = """
    acos acosh acospi arg asin asinh asinpi atan atan2 atan2pi atanh atanpi canonicalize cbrt ceil
    compoundn conj copysign cos cosh cospi dadd ddiv dfma dmul drem dsqrt dsub erf erfc exp exp10
    exp10m1 exp2 exp2m1 expm1 fabs fadd fdim fdiv ffma finite floor fma fmax fmaximum fmaximum_mag
    fmaximum_mag_num fmaximum_num fmaxmag fmin fminimum fminimum_mag fminimum_mag_num fminimum_num
    fminmag fmod fmul fpclassify frexp fromfp fromfpx fsqrt fsub gamma getpayload hypot ilogb imag
    iscanonical iseqsig isfinite isgreater isgreaterequal isinf isless islessequal islessgreater
    isnan isnormal issignaling issubnormal isunordered iszero j0 j1 jn ldexp lgamma llogb llrint
    llround log log10 log10p1 log1p log2 log2p1 logb logp1 lrint lround math_errhandling modf nan
    nearbyint nextafter nextdown nexttoward nextup pow pown powr proj real remainder remquo rint
    rootn round roundeven rsqrt scalb scalbln scalbn setpayload setpayloadsig signbit signgam
    significand sin sincos sinh sinpi sqrt tan tanh tanpi tgamma totalorder totalordermag trunc
    ufromfp ufromfpx y0 y1 yn
""".split()  # noqa: SIM905
FORMS = [(c, f) for c in ("", "c") for f in ("", "f", "l", "f32", "f64", "f128", "f32x", "f64x")]
# Macros have names in capitals, types end with _t, and what begins with _ is the compiler's.
C_NAME = r"(?![A-Z0-9_]+$)[A-Za-z]\w*(?<!_t)"
C_TAKEN = {*WORDS, *(c + word + f for word in MATH for c, f in FORMS)}
JAVASCRIPT_TAKEN = """
    arguments await break case catch class const continue debugger default delete do else enum eval
    export extends false finally for function if implements import in instanceof interface let new
    null package private protected public return static super switch this throw true try typeof var
    void while with yield Infinity Math NaN RangeError undefined
""".split()  # noqa: SIM905

C = {
    "language": "C",
    "form": C_NAME,
    "taken": C_TAKEN,
    "int": "int",
    "math": "",
    "nan": "NAN",
    "erf_part": "",
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
DOUBLE = C | {"real": "double", "f": "", "erf": "erf"}
FLOAT = C | {"real": "float", "f": "f", "erf": "erff"}
INTEGERS = C | {"real": "int32_t", "int": "int32_t", "f": "", "erf": ""}
INTEGERS["program"] = C["program"].replace("math.h", "stdint.h").replace("int o", "$int o")
JAVASCRIPT = {
    "language": "JavaScript",
    "form": r"[A-Za-z_]\w*",
    "taken": JAVASCRIPT_TAKEN,
    "int": "let",
    "real": "let",
    "f": "",
    "math": "Math.",
    "nan": "NaN",
    "erf": "${name}_erf",
    "erf_part": ERF,
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


def write(data: Mapping[str, Any], name: str, words: Mapping[str, Any]) -> str:
    """The program of a network that :func:`kanbook.export.to_dict` described."""
    usable = isinstance(name, str) and re.fullmatch(words["form"], name, re.ASCII)
    if not usable or name in words["taken"]:
        raise ValueError(
            f"name={name!r}; expected a name that {words['language']} leaves to functions such as "
            "this, 'kan' say"
        )
    widths = [layer["in_features"] for layer in data["layers"] if "in_features" in layer]
    if not widths:
        raise ValueError("model has no layer that tells how many numbers go in; expected one")
    program = Program(name, words, widths[0])
    if "point" in data:
        units = {key: program.values(data["layers"][0][key]) for key in ("low", "unit")}
        program.tables.append(program.fill(UNITS, point=data["point"], **units))
    for number, layer in enumerate(data["layers"], start=1):
        program.add(number, layer)
    parts = "".join([*program.tables, *program.functions.values()])
    steps = "".join(program.steps)
    return program.fill(words["program"], inputs=widths[0], parts=parts, steps=steps)


class Program:
    """Tables of numbers, functions, and steps: each computes an array y from the one before, x."""

    def __init__(self, name: str, words: Mapping[str, Any], inputs: int) -> None:
        self.words = words | {"name": name, "erf": Template(words["erf"]).substitute(name=name)}
        self.tables, self.functions, self.steps = [], {}, []
        self.name, self.inputs, self.outputs = name, inputs, inputs
        self.number, self.x, self.y = 0, "", "x"

    def fill(self, template: str, **values: Any) -> str:
        names = ("number", "inputs", "outputs", "x", "y")
        own = {name: getattr(self, name) for name in names}
        return Template(template).substitute(self.words | own | values)

    def add(self, number: int, layer: Mapping[str, Any]) -> None:
        self.number, self.x, self.y = number, self.y, f"v{number}"
        if "in_features" in layer:
            self.inputs, self.outputs = layer["in_features"], layer["out_features"]
            start = self.values(layer["bias"] or [0.0] * self.outputs)
            self.steps.append(self.fill(self.words["array"], values=start))
        else:
            self.steps.append(self.fill(self.words["room"]))
        getattr(self, layer["kind"])(layer)

    def activation(self, layer: Mapping[str, Any]) -> None:
        self.each_node(f"{self.function(layer['function'])}({self.x}[o])")

    def batchnorm(self, layer: Mapping[str, Any]) -> None:
        spread = np.sqrt(np.array(layer["running_var"]) + layer["eps"])
        scale = np.array(layer["weight"] or 1.0) / spread
        mean = self.table("mean", layer["running_mean"], "[o]")
        self.each_node(f"({self.x}[o] - {mean}) * {self.scaled(scale, layer)}")

    def layernorm(self, layer: Mapping[str, Any]) -> None:
        self.steps.append(self.fill(LAYER_NORM, eps=self.values([layer["eps"]])))
        unit = self.fill("($x[o] - mean$number) / spread$number")
        self.each_node(f"{unit} * {self.scaled(layer['weight'] or [1.0] * self.outputs, layer)}")

    def scaled(self, scale: Any, layer: Mapping[str, Any]) -> str:
        scale = self.table("scale", scale, "[o]")
        return f"{scale} + {self.table('bias', layer['bias'] or [0.0] * self.outputs, '[o]')}"

    def formula(self, layer: Mapping[str, Any]) -> None:
        if layer["splines"]:
            self.kan(layer["splines"])
            if layer["splines"]["bias"]:
                bias = self.table("bias", layer["splines"]["bias"], "[o]")
                self.each_node(f"{self.y}[o] + {bias}")
        for (i, o, name), numbers in zip(layer["functions"], layer["constants"], strict=True):
            c, a, b = (self.values([number]) for number in numbers)
            value = f"{self.function(name)}({a} * {self.x}[{i}] + {b})"
            self.steps.append(f"    {self.y}[{o}] += {c} * {value};\n")

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

    def lookup(self, layer: Mapping[str, Any]) -> None:
        size, fraction = len(layer["entries"][0][0]), layer["fraction"]
        words = {"size": size, "fraction": fraction, "mask": (1 << fraction) - 1}
        words["last"] = ((size - layer["interpolate"]) << fraction) - 1
        for kind, dtype in (("entries", layer["dtype"]), ("shifts", "uint8")):
            words[kind] = self.table(kind, layer[kind], "", real=f"{dtype}_t")
        value = RISING if layer["interpolate"] else "t << $shifts[e]"
        self.steps.append(self.fill(LOOKUP, value=self.fill(value, **words), **words))

    def each_edge(self, edge: str, u: str | None = None) -> None:
        self.steps.append(self.fill(EDGES, edge=edge, u=u or f"{self.x}[i]"))

    def each_node(self, value: str) -> None:
        self.steps.append(self.fill(NODES, value=value))

    def table(self, kind: str, values: Any, place: str = "[i * $outputs + o]", **words: str) -> str:
        """A table and, as the name of its entry for an edge, its name and place."""
        table, values = f"{self.name}_{kind}{self.number}", self.values(np.ravel(values).tolist())
        self.tables.append(self.fill(self.words["table"], table=table, values=values, **words))
        return table + self.fill(place)

    def function(self, function: str | Mapping[str, Any]) -> str:
        """The name of a function, which is one of this layer only if it has settings."""
        settings = DEFAULTS | ({"name": function} if isinstance(function, str) else function)
        kind, layer = settings.pop("name"), "" if isinstance(function, str) else self.number
        if settings.pop("approximate") == "tanh":
            kind = "gelu_tanh"
        name = f"{self.name}_{re.sub('[^a-z0-9]', '_', kind)}{layer}"
        numbers = {key: self.values([number]) for key, number in settings.items()}
        head = self.fill(self.words["function"], function=name)
        value = self.fill(FUNCTIONS[kind], **numbers)
        self.functions[name] = self.fill(FUNCTION, function=head, value=value)
        if kind == "gelu":
            self.functions["erf"] = self.fill(self.words["erf_part"])
        return name

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
