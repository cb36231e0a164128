// The rival: tanh of weighted sums, biases everywhere.

import { Random, addProduct, dot, range, total } from "./numbers.js";
import { Net } from "./tape.js";

/** tanh(W x + b), or the last, without tanh; the weights W are (O, I). */
class Dense {
  parts = ["weights", "biases"];

  constructor({ weights, biases, last }) {
    Object.assign(this, { weights, biases, last });
    this.outputs = biases.length;
    this.inputs = weights.length / biases.length;
  }

  refresh() {
    this.free.weights.fill(1);
    this.free.biases.fill(1);
  }

  buffers(x, n) {
    const rows = () => range(this.outputs).map(() => new Float64Array(n));
    return { x, y: rows(), gy: rows() };
  }

  forward({ x, y }) {
    const { inputs: I, weights, biases } = this;
    for (let o = 0; o < y.length; o++) {
      y[o].fill(biases[o]);
      for (let i = 0; i < I; i++) addProduct(y[o], weights[o * I + i], x[i]);
      if (!this.last) squash(y[o]);
    }
  }

  backward({ x, y, gy }, gx) {
    const { inputs: I, weights, gradient } = this;
    gx?.forEach(row => row.fill(0));
    for (let o = 0; o < y.length; o++) {
      if (!this.last) squashSlopes(y[o], gy[o]);
      for (let i = 0, e = o * I; i < I; i++, e++) {
        gradient.weights[e] = dot(gy[o], x[i]);
        if (gx) addProduct(gx[i], weights[e], gy[o]);
      }
      gradient.biases[o] = total(gy[o]);
    }
  }

  row({ x, gy }, s, put) {
    gy.forEach((g, o) => x.forEach((values, i) =>
      put(this.at.weights + o * this.inputs + i, g[s] * values[s])));
    gy.forEach((g, o) => put(this.at.biases + o, g[s]));
  }
}

export class MLP extends Net {
  /** Numbers within 1 / sqrt(inputs), as MLP of kanbook. */
  static start(widths, { seed = 0 } = {}) {
    const random = new Random(seed + 1000);
    return new MLP(widths.slice(1).map((outputs, l) => {
      const inputs = widths[l], scale = 1 / Math.sqrt(inputs);
      const numbers = count => new Float64Array(count).map(() => scale * (2 * random.uniform() - 1));
      const weights = numbers(inputs * outputs), biases = numbers(outputs);
      return new Dense({ weights, biases, last: l === widths.length - 2 });
    }));
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

  toJSON() {
    return { widths: this.widths, theta: [...this.theta] };
  }

  static from({ widths, theta }) {
    const mlp = MLP.start(widths);
    mlp.theta.set(theta);
    return mlp;
  }
}

function squash(row) {
  for (let s = 0; s < row.length; s++) row[s] = Math.tanh(row[s]);
}

function squashSlopes(values, slopes) {
  for (let s = 0; s < values.length; s++) slopes[s] *= 1 - values[s] * values[s];
}
