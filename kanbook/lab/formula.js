// A network as a formula in print, and as Python.

import { CURVE, FUNCTION } from "./engine.js";
import { LIBRARY, NAMES } from "./functions.js";

const PRINT = { minus: "−", times: " ", pi: "π", name: name => `<i>${name}</i>`, form: "html" };
const PYTHON = { minus: "-", times: "*", pi: "pi", name: name => name, form: "text" };

// f(-u) is this times f(u).
const SIGN = { "x^2": 1, "1/x^2": 1, gauss: 1, abs: 1, "x^3": -1, "1/x": -1, sin: -1, tanh: -1, atanh: -1, atan: -1, asin: -1 };

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
  return size < 1e-12 ? "0" : sign + String(+size.toPrecision(4)).replace(/e\+?(-?)/, (_, s) => `e${s}`);
}

/** Terms that are added: [factor, text]; a text of "" is 1. */
function join(terms, how) {
  const parts = terms.filter(([factor]) => Math.abs(factor) > 1e-12).map(([factor, text]) => {
    const size = number(Math.abs(factor), how), one = size === "1" && text;
    return [factor < 0, one ? text : text ? `${size}${how.times}${text}` : size];
  });
  if (!parts.length) return "0";
  return parts.map(([negative, text], i) => (i === 0 ? (negative ? how.minus : "") : negative ? ` ${how.minus} ` : " + ") + text).join("");
}

/** Each node is a list of terms; a straight edge hands its own on, so that no brackets pile up. */
function write(net, task, how) {
  let nodes = task.names.map((name, i) => {
    const [low, high] = task.scale?.[i] ?? [-1, 1], by = 2 / (high - low); // inputs were scaled to [-1, 1]
    return [[by, how.name(name)], [-1 - by * low, ""]];
  });
  net.layers.forEach(layer => {
    const { inputs, outputs, at, theta } = layer;
    nodes = Array.from({ length: outputs }, (_, o) => {
      const terms = [];
      for (let i = 0; i < inputs; i++) {
        const e = i * outputs + o, name = NAMES[layer.names[e]];
        if (layer.kind[e] !== FUNCTION) continue;
        const [c, a, b] = theta.subarray(at.constants + 3 * e, at.constants + 3 * e + 3);
        let inside = collect([...nodes[i].map(([factor, text]) => [a * factor, text]), [b, ""]]), flip = 1;
        if (SIGN[name] && inside[0]?.[0] < 0) { // sin(-u) is -sin(u)
          inside = inside.map(([factor, text]) => [-factor, text]);
          flip = SIGN[name];
        }
        if (name === "x") terms.push(...inside.map(([factor, text]) => [c * factor, text]));
        else terms.push([flip * c, LIBRARY[name][how.form](join(inside, how))]);
      }
      return collect([...terms, [theta[at.bias + o], ""]]);
    });
  });
  const [mean, spread] = task.targetScale ?? [0, 1];
  return join(collect([...nodes[0].map(([factor, text]) => [spread * factor, text]), [mean, ""]]), how);
}

/** Equal terms once, numbers last. */
function collect(terms) {
  const sums = new Map();
  for (const [factor, text] of terms) sums.set(text, (sums.get(text) ?? 0) + factor);
  return [...sums].map(([text, factor]) => [factor, text]).sort((a, b) => (a[1] === "") - (b[1] === ""));
}

/** { text, html } of a network without curves, of its task's own inputs; else null. */
export function formulaOf(net, task) {
  if (net.edges(CURVE).length || !net.edges(FUNCTION).length) return null;
  return { text: write(net, task, PYTHON), html: write(net, task, PRINT) };
}

// --- Python

const list = values => `[${[...values].join(", ")}]`;

/** Lines that bring inputs to [-1, 1], and what stands before and after a result to bring it back. */
function scaling({ scale, targetScale }) {
  if (!scale) return { inputs: [], result: text => text };
  const ends = [0, 1].map(end => `torch.tensor(${list(scale.map(pair => pair[end]))}, dtype=x.dtype)`);
  const inputs = [`    low, high = ${ends.join(", ")}`, "    x = 2 * (x - low) / (high - low) - 1"];
  const [mean, spread] = targetScale ?? [0, 1];
  return { inputs, result: targetScale ? text => `${mean} + ${spread} * ${text}` : text => text };
}

/** Program text for the same network, with its numbers; of data that were scaled, in their own units. */
export function pythonOf(net, task) {
  const formula = formulaOf(net, task);
  if (formula) {
    const used = [...new Set(formula.text.match(/[a-z]\w+/g))].filter(word => !task.names.includes(word)).sort();
    const needed = used.length ? `from torch import ${used.join(", ")}\n\n\n` : "";
    return `${needed}def f(${task.names.join(", ")}):\n    return ${formula.text}\n`;
  }
  return net.layers.some(layer => layer.named) ? mixedPython(net, task) : plainPython(net, task);
}

function plainPython(net, task) {
  const [first] = net.layers, flags = [first.bias && "bias=True", first.splineWeight && "spline_weight=True", first.baseWeight && "base=torch.nn.functional.silu"];
  const options = [`grid_size=${first.grid_size}`, `degree=${first.degree}`, ...flags.filter(Boolean), "dtype=torch.float64"];
  const lines = net.layers.flatMap((layer, l) => {
    const { inputs: I, outputs: O, size, at, theta } = layer, part = (name, values, shape) => `    "${l}.${name}": (${list(values)}, ${shape}),`;
    const weights = (there, name, from, to) => (there ? [part(name, theta.subarray(from, to), `(${I}, ${O})`)] : []);
    return [
      part("knots", Array.from({ length: I }, (_, i) => [...layer.knotsOf(i)]).flat(), `(${I}, ${size + layer.degree + 1})`),
      part("coef", theta.subarray(0, at.splineWeight), `(${I}, ${O}, ${size})`),
      ...weights(layer.splineWeight, "spline_weight", at.splineWeight, at.baseWeight),
      ...weights(layer.baseWeight, "base_weight", at.baseWeight, at.bias),
      ...(layer.bias ? [part("bias", theta.subarray(at.bias, at.bias + O), `(${O},)`)] : []),
      ...(layer.kind.every(kind => kind === CURVE) ? [] : [part("mask", [...layer.kind].map(kind => +(kind === CURVE)), `(${I}, ${O})`)]),
    ];
  });
  const { inputs, result } = scaling(task);
  const scaled = !inputs.length ? "" : `

def f(x):  # (N, ${net.widths[0]}), float64, in the data's own units
${inputs.join("\n")}
    return ${result("model(x)")}
`;
  return `import torch
from kanbook import KAN

numbers = {
${lines.join("\n")}
}
model = KAN(${list(net.widths)}, ${options.join(", ")})
model.load_state_dict({
    name: torch.tensor(values, dtype=torch.float64).view(shape)
    for name, (values, shape) in numbers.items()
})
${scaled}`;
}

/** Some edges are functions: the network written out, edge by edge. */
function mixedPython(net, task) {
  const used = new Set(), lines = [];
  net.layers.forEach((layer, l) => {
    for (let o = 0; o < layer.outputs; o++) {
      const terms = [];
      for (let i = 0; i < layer.inputs; i++) {
        const e = i * layer.outputs + o, x = `h${l}[${i}]`, { at, theta } = layer;
        if (layer.kind[e] === FUNCTION) {
          const [c, a, b] = theta.subarray(at.constants + 3 * e, at.constants + 3 * e + 3), name = NAMES[layer.names[e]];
          const text = LIBRARY[name].text(`${a} * ${x} + ${b}`);
          for (const word of text.match(/\b[a-z]{3,}\b/g) ?? []) used.add(word);
          terms.push(name === "x" ? `${c * a} * ${x} + ${c * b}` : `${c} * ${text}`);
        } else if (layer.kind[e] === CURVE) {
          const w = layer.splineWeight ? `${theta[at.splineWeight + e]} * ` : "";
          terms.push(`${w}curve(${x}, ${list(layer.knotsOf(i))}, ${list(layer.coefOf(i, o))}, ${layer.degree})`);
          if (layer.baseWeight) terms.push(`${theta[at.baseWeight + e]} * torch.nn.functional.silu(${x})`);
        }
      }
      lines.push(`    h${l + 1}.append(${[...terms, layer.theta[layer.at.bias + o]].join("\n        + ")})`);
    }
  });
  const depth = net.layers.length, names = [...used].sort(), { inputs, result } = scaling(task);
  return `import torch
from kanbook import splines${names.length ? `\nfrom torch import ${names.join(", ")}` : ""}


def curve(x, knots, coef, degree):
    knots, coef = (torch.tensor(v, dtype=x.dtype) for v in (knots, coef))
    return splines.evaluate(x, coef, knots, degree)


def f(x):  # (N, ${net.widths[0]}), float64
${inputs.map(line => `${line}\n`).join("")}    h0, ${Array.from({ length: depth }, (_, l) => `h${l + 1}`).join(", ")} = x.unbind(-1), ${Array(depth).fill("[]").join(", ")}
${lines.join("\n")}
    return ${result(`torch.stack(h${depth}, -1)`)}
`;
}
