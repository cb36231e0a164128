// Functions that an edge may be, as c f(a x + b) + d: kanbook/functions.py in JavaScript, with slopes.

import { ends, evenly, moments } from "./numbers.js";

/**
 * f, its slope, and how f(u) is written in Python and in print; `free` says which of a and b may be
 * chosen where c and d could not do the same; beyond `domain` the value is NaN, so no fit can lead
 * there; `signs` are those of a where it is not free; `price`: what it counts for beside its numbers.
 */
const define = (f, slope, [text, html], options) =>
  ({ f, slope, text, html, free: "ab", domain: [-Infinity, Infinity], signs: [1], price: 1, ...options });

const POSITIVE = { free: "b", domain: [0, Infinity], signs: [1, -1] };
const bare = u => /^(<i>\w+<\/i>|\w+)$/.test(u), within = u => (bare(u) ? u : `(${u})`);
const called = (name, print = name) => [u => `${name}(${u})`, u => `${print}(${u})`];
const power = n => [u => `${within(u)}**${n}`, u => `${within(u)}<sup>${n}</sup>`];
const inverse = (u, html) => [v => `1/${u(v)}`, html];

export const LIBRARY = {
  "x": define(u => u, () => 1, [u => u, u => u], { free: "", price: 0 }),
  "x^2": define(u => u * u, u => 2 * u, power(2), { free: "b" }),
  "x^3": define(u => u ** 3, u => 3 * u * u, power(3), { free: "b" }),
  "exp": define(Math.exp, Math.exp, called("exp"), { free: "a" }),
  "log": define(Math.log, u => 1 / u, called("log"), POSITIVE),
  "sqrt": define(Math.sqrt, u => 0.5 / Math.sqrt(u), called("sqrt", "√"), POSITIVE),
  "1/x": define(u => 1 / u, u => -1 / (u * u), inverse(within, u => `1/${within(u)}`), POSITIVE),
  "1/x^2": define(u => 1 / (u * u), u => -2 / u ** 3, inverse(u => `${within(u)}**2`, u => `1/${within(u)}<sup>2</sup>`), POSITIVE),
  "1/sqrt": define(u => 1 / Math.sqrt(u), u => -0.5 / u ** 1.5, inverse(u => `sqrt(${u})`, u => `1/√(${u})`), POSITIVE),
  "sin": define(Math.sin, Math.cos, called("sin")),
  "tanh": define(Math.tanh, u => 1 - Math.tanh(u) ** 2, called("tanh")),
  "atanh": define(Math.atanh, u => 1 / (1 - u * u), called("atanh", "artanh"), { domain: [-1, 1] }),
  "gauss": define(u => Math.exp(-u * u), u => -2 * u * Math.exp(-u * u),
    [u => `exp(-${within(u)}**2)`, u => `exp(−${within(u)}<sup>2</sup>)`], { price: 2 }),
  "atan": define(Math.atan, u => 1 / (1 + u * u), called("atan", "arctan"), { price: 2 }),
  "abs": define(Math.abs, Math.sign, [u => `abs(${u})`, u => `|${u}|`], { free: "b", price: 2 }),
  "asin": define(Math.asin, u => 1 / Math.sqrt(1 - u * u), called("asin", "arcsin"), { domain: [-1, 1], price: 3 }),
};
export const NAMES = Object.keys(LIBRARY);

export function valueOf({ f, domain: [low, high] }, u) {
  return u > low && u < high ? f(u) : NaN;
}

// --- which function a curve looks like

/** Fit every function to a curve: a and b from a table, c and d by least squares; by falling R^2. */
export function candidates(x, y) {
  const [meanY, varianceY] = moments(y), all = [], v = new Float64Array(x.length);
  for (const [name, f] of Object.entries(LIBRARY)) {
    let best = null;
    for (const [a, b] of starts(f, x)) {
      for (let s = 0; s < x.length; s++) v[s] = valueOf(f, a * x[s] + b);
      const [mean, variance] = moments(v);
      if (!Number.isFinite(mean) || !Number.isFinite(variance)) continue;
      let covariance = 0;
      for (let s = 0; s < x.length; s++) covariance += (v[s] - mean) * (y[s] - meanY);
      covariance /= x.length;
      const c = covariance / Math.max(variance, 1e-300), r2 = (c * covariance) / Math.max(varianceY, 1e-300);
      if (!best || r2 > best.r2) best = { name, r2, a, b, c, d: meanY - c * mean };
    }
    if (best) all.push(best);
  }
  return all.sort((a, b) => b.r2 - a.r2);
}

const powers = (a, b, n) => Array.from(evenly(a, b, n), v => 10 ** v);

/** Pairs (a, b) to try, by what they make of the range of x: as _starts. */
function starts({ free, domain: [near, far], signs }, x) {
  const [low, high] = ends(x), bounded = near > -Infinity;
  const center = (low + high) / 2, half = Math.max(high - low, 1e-12) / 2;
  if (free === "") return [[1, 0]];
  if (free === "a")
    return [1, -1].flatMap(sign => powers(-1.5, 1.2, 28).map(a => [(sign * a) / half, 0]));
  if (free === "b")
    return signs.flatMap(sign => {
      const end = near - Math.min(sign * low, sign * high);
      const shifts = bounded // the range begins a little inside the domain, or far
        ? powers(-2.5, 1.5, 24).map(b => b * half + end)
        : Array.from(evenly(-3, 3, 61), b => half * b - center);
      return shifts.map(b => [sign, b]);
    });
  const reach = bounded ? (far - near) / 2 : 1, middle = bounded ? (near + far) / 2 : 0;
  const widths = bounded ? [...evenly(0.05, 0.995, 24)] : powers(-1, 1.1, 40);
  const middles = bounded ? evenly(-0.95, 0.95, 15) : evenly(-3.2, 3.2, 25);
  return widths.flatMap(h => Array.from(middles, m =>
    [(h * reach) / half, middle + m * reach - (h * reach * center) / half]));
}
