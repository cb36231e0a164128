"""The same integers in three languages: lookup tables run by NumPy, C and JavaScript.

``differences(tables)`` counts the outputs that are not the same, bit for bit, over inputs at random
and at the extremes. It needs ``cc`` and ``node``.
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from kanbook.export import to_c, to_javascript

CC = ["cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-O2"]
INT32 = np.iinfo(np.int32)
C = """
#include <stdio.h>

int main(void)
{
    int32_t x[kan_inputs], y[kan_outputs];
    while (fread(x, sizeof x, 1, stdin) == 1) {
        kan(x, y);
        fwrite(y, sizeof y, 1, stdout);
    }
    return 0;
}
"""
JAVASCRIPT = """
import { readFileSync, writeFileSync } from "node:fs";
const x = new Int32Array(new Uint8Array(readFileSync("x")).buffer), y = [];
for (let n = 0; n < x.length; n += INPUTS)
    y.push(...kan(x.subarray(n, n + INPUTS)));
writeFileSync("y", Float64Array.from(y));
"""


def inputs(tables, rows, seed=0):
    """Integers (rows, I): in and around the tables, on their steps, extremes, and any others."""
    random, first = np.random.default_rng(seed), tables.layers[0]
    last, shape = first.last, (rows, len(first.low))
    q = random.integers(-last // 8, last + last // 8, shape)
    steps = random.integers(0, last >> first.fraction, shape) << first.fraction
    ends = np.array([INT32.min, -1, 0, 1, last - 1, last, last + 1, INT32.max])
    kind = random.integers(0, 16, shape)
    q = np.where(kind == 0, random.choice(ends, shape), q)
    q = np.where(kind == 1, steps - random.integers(0, 2, shape), q)
    q = np.where(kind == 2, random.integers(INT32.min, INT32.max, shape, endpoint=True), q)
    return q.astype(np.int32)


def run_c(tables, q, *options):
    """Outputs (N, O), int32, of the program in C; ``options`` are the compiler's."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "kan.c"), Path(folder, "kan")
        source.write_text(to_c(tables) + C)
        subprocess.run([*CC, *options, source, "-o", program], check=True)
        out = subprocess.run([program], input=q.tobytes(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(out.stdout, np.int32).reshape(len(q), -1)


def run_javascript(tables, q):
    """Outputs (N, O), as JavaScript's own numbers, of the program in it."""
    with tempfile.TemporaryDirectory() as folder:
        text = to_javascript(tables) + JAVASCRIPT.replace("INPUTS", str(q.shape[1]))
        Path(folder, "kan.mjs").write_text(text)
        Path(folder, "x").write_bytes(q.tobytes())
        subprocess.run(["node", "kan.mjs"], cwd=folder, check=True)
        return np.fromfile(Path(folder, "y")).reshape(len(q), -1)


def differences(tables, rows=1_000_000, seed=0):
    """How many outputs of C and of JavaScript differ from those of NumPy."""
    q = inputs(tables, rows, seed)
    expected = tables.run(q)
    found = {"C": run_c(tables, q), "JavaScript": run_javascript(tables, q)}
    return {language: int((y != expected).sum()) for language, y in found.items()}
