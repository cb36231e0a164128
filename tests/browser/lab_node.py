"""The KAN Lab's modules in Node, as they are."""

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

# The Node that drives Playwright's browsers: there wherever the tests in a browser run, and new
# enough for these modules, as one from a distribution may not be. No public name leads to it.
from playwright._impl._driver import compute_driver_executable

from kanbook.lab import bundle

MODULES = ["links", "narrator", "tour"]
MODULES += ["curve", "formula", "functions", "grids", "layer", "mlp", "network", "numbers"]
MODULES += ["optimizers", "pruning", "race", "snapping", "splines", "story", "tasks"]
PROGRAM = f"""
import {{ readFileSync }} from "node:fs";
globalThis.matchMedia = () => ({{}}); // page.js asks for it
for (const name of {MODULES})
  Object.assign(globalThis, await import(`./${{name}}.js`));
globalThis.samplesOf = ({{ x, y }}) =>
  ({{ x: Float64Array.from(x), y: Float64Array.from(y), n: y.length }});
globalThis.finish = work => {{
  for (;;) {{
    const {{ done, value }} = work.next();
    if (done) return value;
  }}
}};
globalThis.outsideOf = (kan, {{ x, n }}) => kan.observe(x, n).map(({{ inputs }}, l) => {{
  const outside = (values, [a, b], rounding = 1e-6 * (b - a)) =>
    values.filter(v => v < a - rounding || v > b + rounding).length / n;
  return inputs.map((values, i) => outside(values, kan.layers[l].domain(i)));
}});
const {{ work, cases }} = JSON.parse(readFileSync(0, "utf8"));
const run = (0, eval)(work), found = [];
for (const one of cases) found.push(await run(one));
const plain = (_, value) => (ArrayBuffer.isView(value) ? [...value] : value);
process.stdout.write(JSON.stringify(found, plain));
"""


def run(work, cases):
    """What a function, a JavaScript expression, gives for each case: JSON in, JSON out.

    It finds all that the modules export among its global names, and ``samplesOf(case)``,
    ``finish``, which runs a generator to its end, and ``outsideOf(kan, task)``: by layer and input,
    the share of samples beyond the domain. A figure's module is imported where it is used.
    """
    node, _ = compute_driver_executable()
    options = ["--no-warnings", "--input-type=module", "--eval", PROGRAM]
    text = json.dumps({"work": work, "cases": cases})
    with TemporaryDirectory() as folder:
        for name in ["search", *(path.stem for path in bundle.FOLDER.glob("*.js"))]:
            Path(folder, f"{name}.js").write_text(bundle.module(name), encoding="utf-8")
        done = subprocess.run(
            [node, *options], input=text, capture_output=True, text=True, cwd=folder
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
