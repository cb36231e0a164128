// The rival: tanh of weighted sums, biases everywhere.

import { Random, dot, range, rowsOf, sum, total } from "./numbers.js";

/** Its numbers are in one array, of each layer the weights (O, I) and then the biases (O). */
export class MLP {
  /** Starts as MLP of kanbook, within 1 / sqrt(inputs). */
  constructor(widths, { seed = 0 } = {}) {
    const sizes = widths.slice(1).map((outputs, l) => (widths[l] + 1) * outputs);
    const random = new Random(seed + 1000);
    this.widths = [...widths];
    this.starts = sizes.map((_, l) => sum(sizes.slice(0, l))); // of layers
    this.theta = new Float64Array(sum(sizes));
    this.gradient = new Float64Array(this.theta.length);
    this.free = new Uint8Array(this.theta.length).fill(1);
    const scales = sizes.flatMap((size, l) => Array(size).fill(1 / Math.sqrt(widths[l])));
    scales.forEach((scale, p) => (this.theta[p] = scale * (2 * random.uniform() - 1)));
  }

  /** Widths with two hidden layers, as alike as they can be with a count within 3.5 % (else the nearest). */
  static like(inputs, count) {
    const size = (h, g) => (inputs + 1) * h + (h + 1) * g + g + 1;
    const most = Math.ceil(Math.sqrt(count)) + 6, all = [];
    for (let h = 1; h < most; h++)
      for (let g = 1; g < most; g++) {
        const off = Math.abs(size(h, g) / count - 1);
        all.push({ h, g, off, rank: off < 0.035 ? Math.abs(h - g) : 1000 });
      }
    const { h, g } = all.sort((a, b) => a.rank - b.rank || a.off - b.off)[0];
    return [inputs, h, g, 1];
  }

  count() {
    return this.theta.length;
  }

  tape(x, n) {
    return new Tape(this, x, n);
  }

  predict(x, n) {
    return this.tape(x, n).forward();
  }

  copy() {
    return MLP.from(this.toJSON());
  }

  toJSON() {
    return { widths: this.widths, theta: [...this.theta] };
  }

  static from({ widths, theta }) {
    const mlp = new MLP(widths);
    mlp.theta.set(theta);
    return mlp;
  }
}

/** Buffers for passes over the same samples, as those of a Network. */
class Tape {
  constructor(net, x, n) {
    const rows = count => range(count).map(() => new Float64Array(n));
    let inputs = rowsOf(x, n);
    this.net = net;
    this.parts = net.widths.slice(1).map((outputs, l) => {
      const part = { x: inputs, y: rows(outputs), gy: rows(outputs), start: net.starts[l] };
      inputs = part.y;
      return part;
    });
    [this.output] = inputs;
    [this.outputSlopes] = this.parts.at(-1).gy;
  }

  forward() {
    const { theta } = this.net, last = this.parts.at(-1);
    for (const part of this.parts) {
      const { x, y, start } = part, I = x.length, biases = start + I * y.length;
      for (let o = 0; o < y.length; o++) {
        y[o].fill(theta[biases + o]);
        for (let i = 0; i < I; i++) addProduct(y[o], theta[start + o * I + i], x[i]);
        if (part !== last) squash(y[o]);
      }
    }
    return this.output;
  }

  backward() {
    const { theta, gradient } = this.net, { parts } = this;
    for (let l = parts.length - 1; l >= 0; l--) {
      const { x, y, gy, start } = parts[l], I = x.length, O = y.length, gx = parts[l - 1]?.gy;
      gx?.forEach(row => row.fill(0));
      for (let o = 0; o < O; o++) {
        if (l < parts.length - 1) squashSlopes(y[o], gy[o]);
        for (let i = 0, place = start + o * I; i < I; i++, place++) {
          gradient[place] = dot(gy[o], x[i]);
          if (gx) addProduct(gx[i], theta[place], gy[o]);
        }
        gradient[start + I * O + o] = total(gy[o]);
      }
    }
  }

  row(s, places, slopes) {
    let count = 0;
    for (const { x, gy } of this.parts) {
      for (const g of gy) for (const values of x) slopes[count++] = g[s] * values[s];
      for (const g of gy) slopes[count++] = g[s];
    }
    for (let p = 0; p < count; p++) places[p] = p;
    return count;
  }
}

function squash(row) {
  for (let s = 0; s < row.length; s++) row[s] = Math.tanh(row[s]);
}

/** Slopes in tanh's inputs from those in its values. */
function squashSlopes(values, slopes) {
  for (let s = 0; s < values.length; s++) slopes[s] *= 1 - values[s] * values[s];
}

function addProduct(row, weight, values) {
  for (let s = 0; s < row.length; s++) row[s] += weight * values[s];
}
