// A network as a formula in print, and as Python.

import { CURVE, FUNCTION, MISSING } from "./layer.js";
import { list, range } from "./numbers.js";

const PRINT = { minus: "−", times: " ", pi: "π", name: name => `<i>${name}</i>`, form: "html" };
const PYTHON = { minus: "-", times: "*", pi: "pi", name: identifier, form: "text" };
const TAKEN = new Set(`False None True and as assert async await break class continue def del elif else except finally for from
  global if import in is lambda nonlocal not or pass raise return try while with yield abs asin atan atanh exp log pi sin sqrt
  tanh`.split(/\s+/)); // words of Python, and the functions that stand in a formula

/** The name of a column as one that Python allows. */
function identifier(name) {
  const word = name.replace(/\P{XIDC}+/gu, "_").replace(/^(?![\p{XIDS}_])/u, "_");
  return TAKEN.has(word) ? `${word}_` : word;
}

// f(-u) is this times f(u).
const SIGN = {
  "x^2": 1, "1/x^2": 1, gauss: 1, abs: 1,
  "x^3": -1, "1/x": -1, sin: -1, tanh: -1, atanh: -1, atan: -1, asin: -1,
};

/** A number: whole, a fraction or a part of pi if it is one to the last digits, else to four digits. */
function number(value, { minus, times, pi }) {
  const sign = value < 0 ? minus : "", size = Math.abs(value);
  for (const [unit, name] of [[1, ""], [Math.PI, pi]])
    for (let q = 1; q <= 20; q++) {
      const p = Math.round((size / unit) * q);
      if (p === 0 || p > 1000 || Math.abs((p * unit) / q - size) > 1e-9 * size) continue;
      const top = name && p === 1 ? name : `${p}${name && times.trim()}${name}`;
      return sign + (q === 1 ? top : `${top}/${q}`);
    }
  return size < 1e-12 ? "0" : sign + String(+size.toPrecision(4)).replace("e+", "e");
}

/** Terms that are added: [factor, text]; a text of "" is 1. */
function join(terms, how) {
  const parts = terms.filter(([factor]) => Math.abs(factor) > 1e-12).map(([factor, text], n) => {
    const size = number(Math.abs(factor), how);
    const plus = n === 0 ? "" : " + ", minus = n === 0 ? how.minus : ` ${how.minus} `;
    const words = !text ? size : size === "1" ? text : `${size}${how.times}${text}`;
    return (factor < 0 ? minus : plus) + words;
  });
  return parts.join("") || "0";
}

const times = (by, terms) => terms.map(([factor, text]) => [by * factor, text]);

/** Equal terms once, numbers last. */
function collect(terms) {
  const sums = new Map();
  for (const [factor, text] of terms) sums.set(text, (sums.get(text) ?? 0) + factor);
  return [...sums].map(([text, factor]) => [factor, text]).sort((a, b) => (a[1] === "") - (b[1] === ""));
}

/** c f(a u + b) of a list of terms u, as a list; a straight edge hands them on, so no brackets pile up. */
function applied({ name, f, c, a, b }, u, how) {
  const inside = collect([...times(a, u), [b, ""]]);
  if (name === "x") return times(c, inside);
  const flip = SIGN[name] && inside[0]?.[0] < 0; // sin(-u) is -sin(u)
  const text = join(flip ? times(-1, inside) : inside, how);
  return [[flip ? SIGN[name] * c : c, f[how.form](text)]];
}

/** Each node is a list of terms. */
function write(net, task, how) {
  let nodes = task.names.map((name, i) => {
    const [low, high] = task.scale?.[i] ?? [-1, 1], by = 2 / (high - low); // inputs were scaled to [-1, 1]
    return [[by, how.name(name)], [-1 - by * low, ""]];
  });
  for (const layer of net.layers)
    nodes = range(layer.outputs).map(o => {
      const edges = nodes.map((node, i) => [node, i * layer.outputs + o]);
      const there = edges.filter(([, e]) => layer.kind[e] === FUNCTION);
      const terms = there.flatMap(([node, e]) => applied(layer.functionOf(e), node, how));
      return collect([...terms, [layer.bias[o], ""]]);
    });
  const [mean, spread] = task.targetScale ?? [0, 1];
  return join(collect([...times(spread, nodes[0]), [mean, ""]]), how);
}

/** { text, html } of a network without curves, of its task's own inputs; else null. */
export function formulaOf(net, task) {
  if (net.edges(CURVE).length || !net.edges(FUNCTION).length) return null;
  return { text: write(net, task, PYTHON), html: write(net, task, PRINT) };
}

/** Lines that bring inputs to [-1, 1], and what stands before and after a result to bring it back. */
function scaling({ scale, targetScale }) {
  if (!scale) return { inputs: [], result: text => text };
  const ends = [0, 1].map(end => `torch.tensor(${list(scale.map(pair => pair[end]))}, dtype=x.dtype)`);
  const inputs = [`    low, high = ${ends.join(", ")}`, "    x = 2 * (x - low) / (high - low) - 1"];
  const [mean, spread] = targetScale ?? [0, 1];
  return { inputs, result: targetScale ? text => `${mean} + ${spread} * ${text}` : text => text };
}

const columnsOf = ({ names, target }) => (target ? `: ${names.join(", ")}; gives ${target}` : "");

/** Python that races a table at full size; `reads`: what pandas has to know of its file beside the names. */
export function fullSize({ points, names, target, n, testN }, reads) {
  if (n + testN < 20) return "# At full size, kanbook.race needs 20 rows or more.\n";
  const columns = [...names, target].map(name => JSON.stringify(name)).join(", ");
  const header = typeof points[0][0] === "string" ? 0 : "None";
  return `# At full size, of the table saved as table.csv:
import pandas, kanbook
table = pandas.read_csv("table.csv", names=[${columns}], header=${header}${reads})
print(kanbook.race(table, ${JSON.stringify(target)}, kind="regression"))
`;
}

const importsOf = names => (names.length ? `from torch import ${names.join(", ")}\n` : "");

/** Program text for the same network, with its numbers; of data that were scaled, in their own units. */
export function pythonOf(net, task) {
  const formula = formulaOf(net, task);
  if (!formula) return net.layers.some(layer => layer.constants) ? mixedPython(net, task) : plainPython(net, task);
  const names = task.names.map(identifier), words = formula.text.match(/[\p{XIDS}_]\p{XIDC}+/gu);
  const imports = importsOf([...new Set(words)].filter(word => !names.includes(word)).sort());
  const head = `def ${identifier(task.target ?? "f")}(${names.join(", ")}):`;
  return `${imports && `${imports}\n\n`}${head}\n    return ${formula.text}\n`;
}

function plainPython(net, task) {
  const [first] = net.layers, { inputs, result } = scaling(task);
  const options = [
    `grid_size=${first.grid_size}`, `degree=${first.degree}`, first.bias && "bias=True",
    first.splineWeight && "spline_weight=True", first.baseWeight && "base=torch.nn.functional.silu",
    "dtype=torch.float64",
  ].filter(Boolean).join(", ");
  const lines = net.layers.flatMap((layer, l) => {
    const numbers = layer.toJSON(), edges = [layer.inputs, layer.outputs];
    const shapes = {
      knots: [layer.inputs, layer.knots[0].length], coef: [...edges, layer.size], spline_weight: edges,
      base_weight: edges, bias: [layer.outputs, ""], mask: edges,
    };
    return Object.keys(shapes).filter(name => numbers[name]).map(name =>
      `    "${l}.${name}": (${list(numbers[name])}, (${shapes[name].join(", ").trim()})),`);
  });
  const scaled = !inputs.length ? "" : `

def f(x):  # (N, ${net.widths[0]}), float64, in the data's own units${columnsOf(task)}
${inputs.join("\n")}
    return ${result("model(x)")}
`;
  return `import torch
from kanbook import KAN

numbers = {
${lines.join("\n")}
}
model = KAN(${list(net.widths)}, ${options})
model.load_state_dict({
    name: torch.tensor(values, dtype=torch.float64).view(shape)
    for name, (values, shape) in numbers.items()
})
${scaled}`;
}

function termOf(layer, l, i, o) {
  const e = i * layer.outputs + o, x = `h${l}[${i}]`, { splineWeight, baseWeight } = layer;
  if (layer.kind[e] === FUNCTION) {
    const { name, f, c, a, b } = layer.functionOf(e);
    return name === "x" ? `${c * a} * ${x} + ${c * b}` : `${c} * ${f.text(`${a} * ${x} + ${b}`)}`;
  }
  const weight = splineWeight ? `${splineWeight[e]} * ` : "";
  const curve = `curve(${x}, ${list(layer.knots[i])}, ${list(layer.coefOf(i, o))}, ${layer.degree})`;
  const base = baseWeight ? `\n        + ${baseWeight[e]} * torch.nn.functional.silu(${x})` : "";
  return weight + curve + base;
}

/** Some edges are functions: the network written out, edge by edge. */
function mixedPython(net, task) {
  const depth = net.layers.length, { inputs, result } = scaling(task);
  const lines = net.layers.flatMap((layer, l) => range(layer.outputs).map(o => {
    const there = range(layer.inputs).filter(i => layer.kind[i * layer.outputs + o] !== MISSING);
    const terms = [...there.map(i => termOf(layer, l, i, o)), layer.bias[o]];
    return `    h${l + 1}.append(${terms.join("\n        + ")})`;
  }));
  const used = net.edges(FUNCTION).flatMap(edge =>
    net.functionOf(edge).f.text("u").match(/\b[a-z]{3,}\b/g) ?? []);
  const hidden = range(depth).map(l => `h${l + 1}`).join(", ");
  return `import torch
from kanbook import splines
${importsOf([...new Set(used)].sort())}

def curve(x, knots, coef, degree):
    knots, coef = (torch.tensor(v, dtype=x.dtype) for v in (knots, coef))
    return splines.evaluate(x, coef, knots, degree)


def f(x):  # (N, ${net.widths[0]}), float64${columnsOf(task)}
${inputs.map(line => `${line}\n`).join("")}    h0, ${hidden} = x.unbind(-1), ${Array(depth).fill("[]").join(", ")}
${lines.join("\n")}
    return ${result(`torch.stack(h${depth}, -1)`)}
`;
}
