// Rows of numbers: random ones, evenly spaced ones, their mean and variance.

/** Random numbers from a seed, the same everywhere (mulberry32; normal ones by Box and Muller). */
export class Random {
  constructor(seed) {
    this.state = Math.imul(seed + 1, 0x9e3779b1);
  }

  uniform() {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let a = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    a = (a + Math.imul(a ^ (a >>> 7), 61 | a)) ^ a;
    return ((a ^ (a >>> 14)) >>> 0) / 2 ** 32;
  }

  normal() {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }
}

export const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
export const equal = (a, b) => JSON.stringify(a) === JSON.stringify(b);
export const list = values => `[${[...values].join(", ")}]`; // as in Python
export const range = count => Array.from({ length: count }, (_, i) => i);

export const ends = values => [Math.min(...values), Math.max(...values)];
export const sum = values => values.reduce((total, value) => total + value, 0);

// Loops are fast as long as all arrays that they see are of one type: these are for Float64Array.

export function total(row) {
  let total = 0;
  for (let i = 0; i < row.length; i++) total += row[i];
  return total;
}

export function dot(a, b) {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i] * b[i];
  return total;
}

/** Adds weight * values to the sums. */
export function addProduct(sums, weight, values) {
  for (let s = 0; s < sums.length; s++) sums[s] += weight * values[s];
}

export const evenly = (from, to, n) =>
  Float64Array.from({ length: n }, (_, p) => from + ((to - from) * p) / (n - 1));

export function moments(values) {
  const mean = total(values) / values.length;
  let variance = 0;
  for (let s = 0; s < values.length; s++) variance += (values[s] - mean) ** 2;
  return [mean, variance / values.length];
}

export const deviation = values => Math.sqrt(moments(values)[1]);

/** Views of the rows of a typed array (rows, n): writing changes the array. */
export const rowsOf = (values, n) =>
  range(values.length / n).map(r => values.subarray(r * n, (r + 1) * n));

// Numbers as words say them: two digits, thousands apart.
export const short = v => (v && v < 1e-4 ? v.toExponential(1) : String(+v.toPrecision(2)));
export const grouped = count => count.toLocaleString("en");
