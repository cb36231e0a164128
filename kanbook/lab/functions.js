// Functions that an edge may be, as c f(a x + b) + d: kanbook/functions.py in JavaScript, with slopes.

/**
 * f, its slope, and how f(u) is written in Python and in print; `free` says which of a and b may be
 * chosen where c and d could not do the same; beyond `domain` the value is NaN, so no fit can lead
 * there; `signs` are those of a where it is not free; `price`: what it counts for beside its numbers.
 */
function define(f, slope, [text, html], { free = "ab", domain = [-Infinity, Infinity], signs = [1], price = 1 } = {}) {
  return { f, slope, text, html, free, domain, signs, price };
}

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

/** f(u), NaN beyond its domain. */
export function valueOf({ f, domain: [low, high] }, u) {
  return u > low && u < high ? f(u) : NaN;
}
