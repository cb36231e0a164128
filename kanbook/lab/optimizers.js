// Losses and optimizers of both networks, which differ in their tapes only: as kanbook/optimizers.py.

export function lossOf(tape, y) {
  const out = tape.forward();
  let sum = 0;
  for (let s = 0; s < y.length; s++) sum += (out[s] - y[s]) ** 2;
  return sum / y.length;
}

/** The mean squared error; its slopes, with those of the penalty, go to net.gradient. */
export function gradientOf(tape, y, fade = 0) {
  const loss = lossOf(tape, y), { output, outputSlopes } = tape;
  for (let s = 0; s < y.length; s++) outputSlopes[s] = (2 * (output[s] - y[s])) / y.length;
  tape.backward(fade);
  return loss;
}

/** Kingma and Ba (2015), as PyTorch computes it. */
export class Adam {
  constructor(net) {
    this.net = net;
    this.steps = 0;
    this.m = new Float64Array(net.theta.length);
    this.v = new Float64Array(net.theta.length);
  }

  step(rate) {
    const { m, v, net: { theta, gradient } } = this, t = ++this.steps;
    const scale = rate / (1 - 0.9 ** t), root = Math.sqrt(1 - 0.999 ** t);
    for (let p = 0; p < theta.length; p++) {
      const g = gradient[p];
      m[p] += (g - m[p]) * (1 - 0.9);
      v[p] = v[p] * 0.999 + (1 - 0.999) * g * g;
      theta[p] -= (scale * m[p]) / (Math.sqrt(v[p]) / root + 1e-8);
    }
  }
}

/** Adam on all samples, at learning rates `rate(step)`; yields between the passes and the move of each step. */
export function* train(net, tape, y, steps, rate) {
  const adam = new Adam(net);
  for (let step = 0; step < steps; step++) {
    gradientOf(tape, y);
    yield step;
    adam.step(rate(step));
  }
}

const DAMPING = 1e-3, FLOOR = 1e-2, REACH = 0.5; // as in kanbook/optimizers.py
const SLICE = 1e6; // products of two numbers from one yield to the next: a millisecond or two

/**
 * Least squares: a step goes where the sum of squares would be least, were the network linear. What takes
 * long is a generator that yields now and then, while the network's numbers are those of before.
 */
export class LevenbergMarquardt {
  constructor(net, tape, y) {
    Object.assign(this, { net, tape, y, damping: DAMPING, stuckAt: null });
    this.places = Int32Array.from([...net.free.keys()].filter(p => net.free[p]));
    const { length: P } = this.places;
    this.order = new Int32Array(net.theta.length).fill(-1);
    this.places.forEach((p, q) => (this.order[p] = q));
    this.square = new Float64Array(P * P);
    this.matrix = new Float64Array(P * P);
    this.slope = new Float64Array(P);
  }

  /** J'J (its lower half) and J'r where the numbers are; returns the mean squared error. */
  *linearize() {
    const { tape, y, square, slope } = this, out = tape.forward().slice();
    tape.outputSlopes.fill(1);
    tape.backward();
    square.fill(0);
    slope.fill(0);
    const places = new Int32Array(this.net.theta.length), values = new Float64Array(this.net.theta.length);
    let total = 0, done = 0;
    for (let s = 0; s < y.length; s++) {
      const r = out[s] - y[s], count = tape.row(s, places, values);
      total += r * r;
      this.add(places, values, count, r);
      done += (count * count) / 2;
      if (done < SLICE) continue;
      done = 0;
      yield;
    }
    this.total = total;
    return total / y.length;
  }

  /** A row of J, and its residual, to the sums. */
  add(places, values, count, r) {
    const { square, slope, order, places: { length: P } } = this;
    for (let a = 0; a < count; a++) {
      const row = order[places[a]], v = values[a];
      slope[row] += v * r;
      if (v !== 0) for (let c = 0; c <= a; c++) square[row * P + order[places[c]]] += v * values[c];
    }
  }

  /** The roots of D: no element counts as less than FLOOR times the largest of its array of numbers. */
  scales() {
    const { net: { layers }, order, square, places: { length: P } } = this, scale = new Float64Array(P);
    for (const layer of layers) {
      for (const [part, start] of Object.entries(layer.at)) {
        const own = [...order.subarray(start, start + layer[part].length)].filter(p => p >= 0);
        const diagonal = own.map(p => square[p * P + p]), least = FLOOR * Math.max(0, ...diagonal) || 1;
        own.forEach((p, q) => (scale[p] = Math.sqrt(Math.max(diagonal[q], least))));
      }
    }
    return scale;
  }

  /** One move from where `linearize` was called, or none if none helps. */
  *step() {
    const { net: { theta }, places, tape, y, square, matrix, slope, total } = this, P = places.length;
    if (total === this.stuckAt) return;
    const before = theta.slice(), scale = this.scales(), move = new Float64Array(P);
    const reach = REACH * Math.max(1, Math.hypot(...before));
    while (this.damping < 1e8) {
      for (let p = 0; p < P; p++) {
        for (let q = 0; q <= p; q++) matrix[p * P + q] = square[p * P + q] / scale[q] / scale[p];
        matrix[p * P + p] += this.damping;
        move[p] = slope[p] / scale[p];
      }
      if (yield* cholesky(matrix, P)) {
        solve(matrix, P, move);
        for (let p = 0; p < P; p++) move[p] /= scale[p];
        for (let p = 0; p < P; p++) theta[places[p]] = before[places[p]] - move[p];
        const now = Math.hypot(...move) <= reach ? lossOf(tape, y) * y.length : Infinity;
        if (now < total) {
          this.damping = Math.max(1e-16, (this.damping / 10) * Math.sqrt(now / total));
          return;
        }
        theta.set(before);
      }
      this.damping *= 2;
    }
    this.damping = DAMPING;
    this.stuckAt = total;
  }
}

/** A = L L' in place (lower half); whether A is positive definite. */
function* cholesky(a, n) {
  for (let p = 0, done = 0; p < n; p++) {
    if (!choleskyRow(a, n, p)) return false;
    done += (p * p) / 2;
    if (done < SLICE) continue;
    done = 0;
    yield;
  }
  return true;
}

function choleskyRow(a, n, p) {
  for (let q = 0; q <= p; q++) {
    let sum = a[p * n + q];
    for (let r = 0; r < q; r++) sum -= a[p * n + r] * a[q * n + r];
    if (q < p) a[p * n + q] = sum / a[q * n + q];
    else if (sum > 0) a[p * n + p] = Math.sqrt(sum);
    else return false;
  }
  return true;
}

/** L L' x = y, in place of y. */
function solve(l, n, y) {
  for (let p = 0; p < n; p++) {
    for (let q = 0; q < p; q++) y[p] -= l[p * n + q] * y[q];
    y[p] /= l[p * n + p];
  }
  for (let p = n - 1; p >= 0; p--) {
    for (let q = p + 1; q < n; q++) y[p] -= l[q * n + p] * y[q];
    y[p] /= l[p * n + p];
  }
}
