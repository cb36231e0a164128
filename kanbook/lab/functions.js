// Functions that an edge may be, as c f(a x + b) + d: kanbook/functions.py in JavaScript, with slopes.

/**
 * f, its slope, and how c f(u) is written; `free` says which of a and b may be chosen where c and d
 * could not do the same; beyond `domain` the value is NaN, so no fit can lead there; `signs` are
 * those of a where it is not free; `price` is what it counts for beside its numbers.
 */
const define = (f, slope, html, { free = "ab", domain = [-Infinity, Infinity], signs = [1], price = 1 } = {}) =>
  ({ f, slope, html, free, domain, signs, price });

const POSITIVE = { free: "b", domain: [0, Infinity], signs: [1, -1] };
const called = name => u => `${name}(${u})`;
const power = n => u => `${/^<i>\w+<\/i>$/.test(u) ? u : `(${u})`}<sup>${n}</sup>`;

export const LIBRARY = {
  "x": define(u => u, () => 1, u => u, { free: "", price: 0 }),
  "x^2": define(u => u * u, u => 2 * u, power("2"), { free: "b" }),
  "x^3": define(u => u ** 3, u => 3 * u * u, power("3"), { free: "b" }),
  "exp": define(Math.exp, Math.exp, called("exp"), { free: "a" }),
  "log": define(Math.log, u => 1 / u, called("log"), POSITIVE),
  "sqrt": define(Math.sqrt, u => 0.5 / Math.sqrt(u), called("√"), POSITIVE),
  "1/x": define(u => 1 / u, u => -1 / (u * u), power("−1"), POSITIVE),
  "1/x^2": define(u => 1 / (u * u), u => -2 / u ** 3, power("−2"), POSITIVE),
  "1/sqrt": define(u => 1 / Math.sqrt(u), u => -0.5 / u ** 1.5, power("−1/2"), POSITIVE),
  "sin": define(Math.sin, Math.cos, called("sin")),
  "tanh": define(Math.tanh, u => 1 - Math.tanh(u) ** 2, called("tanh")),
  "atanh": define(Math.atanh, u => 1 / (1 - u * u), called("artanh"), { domain: [-1, 1] }),
  "gauss": define(u => Math.exp(-u * u), u => -2 * u * Math.exp(-u * u), u => `exp(−${power("2")(u)})`, { price: 2 }),
  "atan": define(Math.atan, u => 1 / (1 + u * u), called("arctan"), { price: 2 }),
  "abs": define(Math.abs, Math.sign, u => `|${u}|`, { free: "b", price: 2 }),
  "asin": define(Math.asin, u => 1 / Math.sqrt(1 - u * u), called("arcsin"), { domain: [-1, 1], price: 3 }),
};
export const NAMES = Object.keys(LIBRARY);

/** f(u), NaN beyond its domain. */
export function valueOf({ f, domain: [low, high] }, u) {
  return u > low && u < high ? f(u) : NaN;
}
