// The KAN Lab's engine: networks, gradients, optimizers, grids; no page, no library. What kanbook does
// with tensors is done here in loops over samples, which lie column by column: of x, shape (N, I),
// first all samples of input 0. Letters as in the book: knots t, degree k, coefficients c.

import { LIBRARY, NAMES, valueOf } from "./functions.js";
import { refine, uniformKnots } from "./splines.js";

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

// --- a layer of curves: as KANLayer and FormulaLayer

export const MISSING = 0, CURVE = 1, FUNCTION = 2; // what an edge is

/** SiLU and its slopes. */
function silu(x, values, slopes) {
  for (let s = 0; s < x.length; s++) {
    const gate = 1 / (1 + Math.exp(-x[s]));
    values[s] = x[s] * gate;
    slopes[s] = gate * (1 + x[s] * (1 - gate));
  }
}

/**
 * Its numbers are parts of one array, so that an optimizer sees all of the network's in a row: c
 * (I, O, G + k), then, if there are any, spline and base weights (I, O), the bias (O), and c, a, b of
 * the functions (I, O, 3). `free` says which of them may change.
 */
export class Layer {
  constructor(inputs, outputs, degree, grids, parts) {
    this.inputs = inputs;
    this.outputs = outputs;
    this.degree = degree;
    this.grids = grids; // of each input: its knots, and k more on either side that no result depends on
    this.size = grids[0].length - 3 * degree - 1; // G + k basis functions
    this.splineWeight = parts.splineWeight;
    this.baseWeight = parts.baseWeight;
    this.bias = parts.bias;
    this.named = parts.named; // whether edges may be functions
    this.kind = parts.kind ?? new Uint8Array(inputs * outputs).fill(CURVE);
    this.names = parts.names ?? new Uint8Array(inputs * outputs); // of an edge's function: its place in NAMES
    this.fixed = parts.fixed ?? new Set(); // numbers that no fit may change, by their place in this layer
    const edges = inputs * outputs;
    this.at = { coef: 0, splineWeight: edges * this.size };
    this.at.baseWeight = this.at.splineWeight + (this.splineWeight ? edges : 0);
    this.at.bias = this.at.baseWeight + (this.baseWeight ? edges : 0);
    this.at.constants = this.at.bias + (this.bias ? outputs : 0);
    this.length = this.at.constants + (this.named ? 3 * edges : 0);
    this.theta = this.gradient = null; // set by the network
  }

  get grid_size() {
    return this.size - this.degree;
  }

  /** As the constructor wants it; what is given replaces what is. */
  parts(changes = {}) {
    const { splineWeight, baseWeight, bias, named, kind, names, fixed } = this;
    return { splineWeight, baseWeight, bias, named, kind: kind.slice(), names: names.slice(), fixed: new Set(fixed), ...changes };
  }

  domain(i) {
    return [this.grids[i][2 * this.degree], this.grids[i][this.degree + this.size]];
  }

  knotsOf(i) {
    return this.grids[i].subarray(this.degree, this.grids[i].length - this.degree);
  }

  /** The coefficients of an edge, a view: writing changes the network. */
  coefOf(i, o) {
    const start = (i * this.outputs + o) * this.size;
    return this.theta.subarray(start, start + this.size);
  }

  /** Whether the number at this place may change. */
  isFree(place) {
    if (this.fixed.has(place)) return false;
    const { at, kind, size } = this;
    if (place < at.splineWeight) return kind[Math.floor(place / size)] === CURVE;
    if (place < at.baseWeight) return kind[place - at.splineWeight] === CURVE;
    if (place < at.bias) return kind[place - at.baseWeight] === CURVE;
    if (place < at.constants) return true;
    const e = Math.floor((place - at.constants) / 3), { free } = LIBRARY[NAMES[this.names[e]]];
    return kind[e] === FUNCTION && (place - at.constants) % 3 <= (free.includes("b") ? 2 : 1)
      && ((place - at.constants) % 3 !== 1 || free.includes("a"));
  }

  /** The values of all edges (I, O, N) and sums (O, N) of the samples in t.x (I, N), into t. */
  forward(t, keepTables) {
    const { inputs: I, outputs: O, size, theta, at, kind } = this, { n, x, phi, spline, y } = t, K = this.degree + 1;
    if (!(keepTables && t.grids === this.grids)) {
      for (let i = 0; i < I; i++) tabulate(this.grids[i], this.degree, x, i * n, n, t);
      if (this.baseWeight) silu(x, t.base, t.baseSlopes);
      t.grids = this.grids;
    }
    for (let o = 0; o < O; o++) y.fill(this.bias ? theta[at.bias + o] : 0, o * n, (o + 1) * n);
    for (let i = 0, e = 0; i < I; i++)
      for (let o = 0; o < O; o++, e++) {
        const values = e * n, sums = o * n;
        if (kind[e] === MISSING) {
          phi.fill(0, values, values + n);
          continue;
        }
        if (kind[e] === FUNCTION) {
          const f = LIBRARY[NAMES[this.names[e]]], p = at.constants + 3 * e;
          const c = theta[p], a = theta[p + 1], b = theta[p + 2];
          for (let s = 0; s < n; s++) phi[values + s] = c * valueOf(f, a * x[i * n + s] + b);
        } else {
          evaluate(theta, e * size, t.first, t.bases, i * n, n, K, spline, values);
          const w = this.splineWeight ? theta[at.splineWeight + e] : 1;
          const u = this.baseWeight ? theta[at.baseWeight + e] : 0;
          if (phi !== spline)
            for (let s = 0; s < n; s++)
              phi[values + s] = w * spline[values + s] + (this.baseWeight ? u * t.base[i * n + s] : 0);
        }
        for (let s = 0; s < n; s++) y[sums + s] += phi[values + s];
      }
  }

  /**
   * From the slopes of the loss in the sums, t.gy (O, N), those in the inputs, into gx (I, N) unless it
   * is null, and those in the layer's own numbers, added to this.gradient. With `fade` > 0 the loss
   * has fade * sqrt(variance + 1e-6) of every edge besides.
   */
  backward(t, gx, fade) {
    const { inputs: I, outputs: O, size, theta, gradient, at, kind } = this, { n, x, phi, spline, gy, g } = t, K = this.degree + 1;
    gx?.fill(0);
    if (this.bias)
      for (let o = 0; o < O; o++)
        for (let s = 0; s < n; s++) gradient[at.bias + o] += gy[o * n + s];
    for (let i = 0, e = 0; i < I; i++)
      for (let o = 0; o < O; o++, e++) {
        if (kind[e] === MISSING) continue;
        const values = e * n, inputs = i * n;
        if (fade > 0) fadeSlopes(phi, values, n, fade, gy, o * n, g);
        else for (let s = 0; s < n; s++) g[s] = gy[o * n + s];
        if (kind[e] === FUNCTION) {
          const f = LIBRARY[NAMES[this.names[e]]], p = at.constants + 3 * e;
          const c = theta[p], a = theta[p + 1], b = theta[p + 2];
          let gc = 0, ga = 0, gb = 0;
          for (let s = 0; s < n; s++) {
            const u = a * x[inputs + s] + b, inner = g[s] * c * f.slope(u);
            gc += g[s] * valueOf(f, u);
            ga += inner * x[inputs + s];
            gb += inner;
            if (gx) gx[inputs + s] += inner * a;
          }
          gradient[p] += gc;
          gradient[p + 1] += ga;
          gradient[p + 2] += gb;
          continue;
        }
        if (this.baseWeight) {
          const u = theta[at.baseWeight + e];
          let gu = 0;
          for (let s = 0; s < n; s++) {
            gu += g[s] * t.base[inputs + s];
            if (gx) gx[inputs + s] += g[s] * u * t.baseSlopes[inputs + s];
          }
          gradient[at.baseWeight + e] += gu;
        }
        if (this.splineWeight) {
          const w = theta[at.splineWeight + e];
          let gw = 0;
          for (let s = 0; s < n; s++) {
            gw += g[s] * spline[values + s];
            g[s] *= w;
          }
          gradient[at.splineWeight + e] += gw;
        }
        accumulate(gradient, e * size, t.first, t.bases, inputs, n, K, g);
        if (gx) chain(theta, e * size, t.first, t.slopes, inputs, n, K, g, gx);
      }
  }

  /** Values of an edge at these x. */
  curve(i, o, xs) {
    const one = new Layer(1, 1, this.degree, [this.grids[i]], this.parts({
      bias: false, kind: this.kind.slice(i * this.outputs + o, i * this.outputs + o + 1),
      names: this.names.slice(i * this.outputs + o, i * this.outputs + o + 1), fixed: new Set(),
    }));
    const e = i * this.outputs + o;
    one.theta = new Float64Array(one.length);
    one.theta.set(this.coefOf(i, o));
    for (const [part, width] of [["splineWeight", 1], ["baseWeight", 1], ["constants", 3]])
      if (part === "constants" ? this.named : this[part])
        one.theta.set(this.theta.subarray(this.at[part] + width * e, this.at[part] + width * (e + 1)), one.at[part]);
    const t = buffers(one, Float64Array.from(xs), xs.length);
    one.forward(t, false);
    return t.phi;
  }
}

/** What a layer's passes over n samples need. */
function buffers(layer, x, n) {
  const { inputs: I, outputs: O, degree } = layer, phi = new Float64Array(I * O * n);
  const plain = !layer.splineWeight && !layer.baseWeight;
  return {
    n, x, grids: null, first: new Int32Array(I * n), phi, spline: plain ? phi : new Float64Array(I * O * n),
    bases: new Float64Array(I * n * (degree + 1)), slopes: new Float64Array(I * n * (degree + 1)),
    base: new Float64Array(layer.baseWeight ? I * n : 0), baseSlopes: new Float64Array(layer.baseWeight ? I * n : 0),
    y: new Float64Array(O * n), gy: new Float64Array(O * n), g: new Float64Array(n),
  };
}

/**
 * For n values of x from `start`: the number of the first of the k + 1 basis functions that are alive,
 * their values and slopes; beyond the knots all are 0. A function of degree p - 1 over the width of its
 * support is a part of two of degree p, one falling and one rising there (de Boor 2001, chapter X). `t`
 * has k more knots on either side than the functions need, so that no index leaves it.
 */
function tabulate(t, k, x, start, n, { first, bases, slopes }) {
  const size = t.length - 3 * k - 1, low = t[k], high = t[k + size + k], end = t[k + size];
  const step = (high - low) / (size + k);
  for (let s = start; s < start + n; s++) {
    const v = x[s], out = s * (k + 1);
    if (!(v >= low && v < high) && v !== end) {
      first[s] = 0;
      bases.fill(v === v ? 0 : NaN, out, out + k + 1);
      slopes.fill(0, out, out + k + 1);
      continue;
    }
    let j = k + Math.floor((v - low) / step);
    while (t[j] > v) j--;
    while (t[j + 1] <= v) j++;
    if (v === end) j = k + size - 1; // the right end belongs to the domain's last interval
    if (k === 3) {
      const l1 = v - t[j], l2 = v - t[j - 1], l3 = v - t[j - 2], r1 = t[j + 1] - v, r2 = t[j + 2] - v, r3 = t[j + 3] - v;
      const u = 1 / (l1 + r1), v0 = (r1 * u) / (l2 + r1), v1 = (l1 * u) / (l1 + r2);
      const w0 = (r1 * v0) / (l3 + r1), w1 = (l2 * v0 + r2 * v1) / (l2 + r2), w2 = (l1 * v1) / (l1 + r3);
      bases[out] = r1 * w0;
      bases[out + 1] = l3 * w0 + r2 * w1;
      bases[out + 2] = l2 * w1 + r3 * w2;
      bases[out + 3] = l1 * w2;
      slopes[out] = -3 * w0;
      slopes[out + 1] = 3 * (w0 - w1);
      slopes[out + 2] = 3 * (w1 - w2);
      slopes[out + 3] = 3 * w2;
    } else {
      bases[out] = 1;
      slopes[out] = 0;
      for (let p = 1; p <= k; p++) {
        let rising = 0, before = 0;
        for (let r = 0; r < p; r++) {
          const left = t[j + r + 1 - p], right = t[j + r + 1], part = bases[out + r] / (right - left);
          bases[out + r] = rising + (right - v) * part;
          slopes[out + r] = p * (before - part);
          rising = (v - left) * part;
          before = part;
        }
        bases[out + p] = rising;
        slopes[out + p] = p * before;
      }
    }
    const f = Math.max(0, Math.min(j - 2 * k, size - 1 - k)), gone = f - (j - 2 * k);
    first[s] = f;
    if (gone !== 0) { // beyond the domain so many of them are none of the layer's
      moveDown(bases, out, k + 1, gone);
      moveDown(slopes, out, k + 1, gone);
    }
  }
}

/** Numbers move down by so many places (up if negative); zeros follow. */
function moveDown(values, start, count, places) {
  for (let m = 0; m < count; m++) {
    const r = places > 0 ? m : count - 1 - m, from = r + places;
    values[start + r] = from >= 0 && from < count ? values[start + from] : 0;
  }
}

/** Sums of K products for n samples: the values of one edge. The cubic case is written out, for speed. */
function evaluate(c, edge, first, bases, start, n, K, values, out) {
  for (let s = 0, q = start * K; s < n; s++, q += K) {
    const p = edge + first[start + s];
    if (K === 4)
      values[out + s] = c[p] * bases[q] + c[p + 1] * bases[q + 1] + c[p + 2] * bases[q + 2] + c[p + 3] * bases[q + 3];
    else {
      let sum = 0;
      for (let j = 0; j < K; j++) sum += c[p + j] * bases[q + j];
      values[out + s] = sum;
    }
  }
}

/** The same sums with slopes in place of bases, times g, added to the slopes in the inputs. */
function chain(c, edge, first, slopes, start, n, K, g, gx) {
  for (let s = 0, q = start * K; s < n; s++, q += K) {
    const p = edge + first[start + s];
    if (K === 4)
      gx[start + s] += g[s] * (c[p] * slopes[q] + c[p + 1] * slopes[q + 1] + c[p + 2] * slopes[q + 2] + c[p + 3] * slopes[q + 3]);
    else {
      let sum = 0;
      for (let j = 0; j < K; j++) sum += c[p + j] * slopes[q + j];
      gx[start + s] += g[s] * sum;
    }
  }
}

function accumulate(gradient, edge, first, bases, start, n, K, g) {
  for (let s = 0, q = start * K; s < n; s++, q += K) {
    const p = edge + first[start + s];
    if (K === 4) {
      gradient[p] += g[s] * bases[q];
      gradient[p + 1] += g[s] * bases[q + 1];
      gradient[p + 2] += g[s] * bases[q + 2];
      gradient[p + 3] += g[s] * bases[q + 3];
    } else for (let j = 0; j < K; j++) gradient[p + j] += g[s] * bases[q + j];
  }
}

/** g = gy + the slopes of fade * sqrt(variance + 1e-6) in an edge's values. */
function fadeSlopes(phi, values, n, fade, gy, sums, g) {
  const [mean, variance] = moments(phi, values, n), scale = fade / (n * Math.sqrt(variance + 1e-6));
  for (let s = 0; s < n; s++) g[s] = gy[sums + s] + scale * (phi[values + s] - mean);
}

/** Mean and variance of n values from `start`. */
export function moments(values, start = 0, n = values.length) {
  let mean = 0, variance = 0;
  for (let s = start; s < start + n; s++) mean += values[s];
  mean /= n;
  for (let s = start; s < start + n; s++) variance += (values[s] - mean) ** 2;
  return [mean, variance / n];
}

// --- networks

/** A KAN: layers in a row, all their numbers in one array. Start: straight lines, as KANLayer. */
export class Network {
  constructor(widths, { grid_size = 5, degree = 3, domain = [-1, 1], bias = false, spline_weight = false, base = false, seed = 0 } = {}) {
    const parts = { splineWeight: spline_weight, baseWeight: base, bias, named: false };
    const knots = Float64Array.from(uniformKnots(grid_size, degree, domain)), random = new Random(seed);
    this.assemble(widths.slice(1).map((outputs, l) =>
      new Layer(widths[l], outputs, degree, Array.from({ length: widths[l] }, () => withMargin(knots, degree)), { ...parts })));
    const center = (domain[0] + domain[1]) / 2;
    for (const layer of this.layers) {
      const lines = Array.from({ length: layer.size }, (_, j) => degree === 0 ? (knots[j] + knots[j + 1]) / 2
        : knots.slice(j + 1, j + degree + 1).reduce((sum, t) => sum + t) / degree);
      for (let i = 0; i < layer.inputs; i++)
        for (let o = 0; o < layer.outputs; o++) {
          const slope = random.normal() / Math.sqrt(layer.inputs);
          layer.coefOf(i, o).set(lines.map(t => slope * (t - center) + center / layer.inputs));
        }
      if (spline_weight) layer.theta.fill(1, layer.at.splineWeight, layer.at.baseWeight);
    }
  }

  /** Take these layers, and the numbers they bring along. */
  assemble(layers) {
    const old = layers.map(layer => layer.theta);
    this.layers = layers;
    this.theta = new Float64Array(layers.reduce((sum, layer) => sum + layer.length, 0));
    this.gradient = new Float64Array(this.theta.length);
    this.free = new Uint8Array(this.theta.length);
    let start = 0;
    layers.forEach((layer, l) => {
      layer.start = start;
      layer.theta = this.theta.subarray(start, start + layer.length);
      layer.gradient = this.gradient.subarray(start, start + layer.length);
      if (old[l]) layer.theta.set(old[l]);
      start += layer.length;
    });
    this.refresh();
    return this;
  }

  /** After a change of what edges are: which numbers may change now. */
  refresh() {
    for (const layer of this.layers)
      for (let p = 0; p < layer.length; p++) this.free[layer.start + p] = +layer.isFree(p);
  }

  get widths() {
    return [this.layers[0].inputs, ...this.layers.map(layer => layer.outputs)];
  }

  count() {
    return this.free.reduce((sum, one) => sum + one, 0);
  }

  /** All edges (l, i, o) that are of a kind. */
  edges(kind) {
    return this.layers.flatMap((layer, l) => [...layer.kind].flatMap((one, e) =>
      one === kind ? [[l, Math.floor(e / layer.outputs), e % layer.outputs]] : []));
  }

  tape(x, n) {
    return new Tape(this, x, n);
  }

  predict(x, n) {
    return this.tape(x, n).forward();
  }

  observe(x, n) {
    const tape = this.tape(x, n);
    tape.forward();
    return this.layers.map((layer, l) => {
      const { x: inputs, phi } = tape.parts[l];
      const spreads = Float64Array.from(layer.kind, (_, e) => Math.sqrt(moments(phi, e * n, n)[1]));
      const outside = Float64Array.from({ length: layer.inputs }, (_, i) => {
        const [a, b] = layer.domain(i), rounding = 1e-6 * (b - a);
        return inputs.subarray(i * n, (i + 1) * n).filter(v => v < a - rounding || v > b + rounding).length / n;
      });
      return { inputs, spreads, outside };
    });
  }

  copy() {
    return Network.of(this.layers.map(layer => {
      const one = new Layer(layer.inputs, layer.outputs, layer.degree, layer.grids, layer.parts());
      one.theta = layer.theta;
      return one;
    }));
  }

  static of(layers) {
    return Object.create(Network.prototype).assemble(layers);
  }

  /** As KANLab's trait `network`. */
  toJSON() {
    return { layers: this.layers.map(layer => {
      const { inputs, outputs, degree, at, theta, kind } = layer;
      const part = (present, from, to) => (present ? [...theta.slice(from, to)] : null);
      const functions = [...kind].flatMap((one, e) => one === FUNCTION
        ? [[Math.floor(e / outputs), e % outputs, NAMES[layer.names[e]], ...theta.slice(at.constants + 3 * e, at.constants + 3 * e + 3)]] : []);
      return {
        inputs, outputs, degree, knots: range(inputs).flatMap(i => [...layer.knotsOf(i)]),
        coef: [...theta.slice(0, at.splineWeight)],
        mask: kind.every(one => one === CURVE) ? null : [...kind].map(one => +(one === CURVE)),
        spline_weight: part(layer.splineWeight, at.splineWeight, at.baseWeight),
        base_weight: part(layer.baseWeight, at.baseWeight, at.bias),
        bias: part(layer.bias, at.bias, at.constants), functions, named: layer.named, fixed: [...layer.fixed],
      };
    }) };
  }

  static from({ layers }) {
    return Network.of(layers.map(({ inputs, outputs, degree, knots, coef, mask, spline_weight, base_weight, bias, functions = [], named = false, fixed = [] }) => {
      const count = knots.length / inputs;
      const grids = Array.from({ length: inputs }, (_, i) => withMargin(knots.slice(i * count, (i + 1) * count), degree));
      named ||= functions.length > 0;
      const layer = new Layer(inputs, outputs, degree, grids, {
        splineWeight: !!spline_weight, baseWeight: !!base_weight, bias: !!bias || named, named,
        kind: mask ? Uint8Array.from(mask) : undefined, fixed: new Set(fixed),
      });
      layer.theta = new Float64Array(layer.length);
      layer.theta.set([...coef, ...(spline_weight ?? []), ...(base_weight ?? []), ...(bias ?? [])]);
      for (const [i, o, name, c, a, b] of functions) {
        const e = i * outputs + o;
        layer.kind[e] = FUNCTION;
        layer.names[e] = NAMES.indexOf(name);
        layer.theta.set([c, a, b], layer.at.constants + 3 * e);
      }
      return layer;
    }));
  }
}

/** Buffers for passes over the same n samples; the first layer's basis functions are kept. */
class Tape {
  constructor(net, x, n) {
    this.net = net;
    this.n = n;
    this.parts = [];
    for (const layer of net.layers) {
      this.parts.push(buffers(layer, x, n));
      x = this.parts.at(-1).y;
    }
  }

  forward() {
    this.net.layers.forEach((layer, l) => layer.forward(this.parts[l], l === 0));
    return this.parts.at(-1).y;
  }

  /** Slopes of the last layer's outputs have been put into parts.at(-1).gy. */
  backward(fade) {
    const { layers, gradient } = this.net;
    gradient.fill(0);
    for (let l = layers.length - 1; l >= 0; l--)
      layers[l].backward(this.parts[l], l > 0 ? this.parts[l - 1].gy : null, fade);
    for (let p = 0; p < gradient.length; p++) if (!this.net.free[p]) gradient[p] = 0;
  }

  /** The slopes of the output of sample s in all free numbers on its way; how many. After backward with gy = 1. */
  row(s, places, values) {
    let m = 0;
    const put = (place, value) => {
      places[m] = place;
      values[m++] = value;
    };
    this.net.layers.forEach((layer, l) => {
      const { inputs: I, outputs: O, size, start, theta, at, kind, degree } = layer, t = this.parts[l], { n } = this;
      for (let i = 0, e = 0; i < I; i++)
        for (let o = 0; o < O; o++, e++) {
          if (kind[e] !== CURVE) continue;
          const g = t.gy[o * n + s] * (layer.splineWeight ? theta[at.splineWeight + e] : 1), q = (i * n + s) * (degree + 1);
          for (let j = 0; j <= degree; j++) put(start + e * size + t.first[i * n + s] + j, g * t.bases[q + j]);
        }
      if (layer.splineWeight)
        kind.forEach((one, e) => one === CURVE && put(start + at.splineWeight + e, t.gy[(e % O) * n + s] * t.spline[e * n + s]));
      if (layer.baseWeight)
        kind.forEach((one, e) => one === CURVE
          && put(start + at.baseWeight + e, t.gy[(e % O) * n + s] * t.base[Math.floor(e / O) * n + s]));
      if (layer.bias)
        for (let o = 0; o < O; o++) if (this.net.free[start + at.bias + o]) put(start + at.bias + o, t.gy[o * n + s]);
      if (layer.named)
        kind.forEach((one, e) => {
          if (one !== FUNCTION) return;
          const { slope } = LIBRARY[NAMES[layer.names[e]]], p = at.constants + 3 * e, [c, a, shift] = theta.subarray(p, p + 3);
          const g = t.gy[(e % O) * n + s], x = t.x[Math.floor(e / O) * n + s], inner = g * c * slope(a * x + shift);
          const f = valueOf(LIBRARY[NAMES[layer.names[e]]], a * x + shift);
          [g * f, inner * x, inner].forEach((value, part) => this.net.free[start + p + part] && put(start + p + part, value));
        });
    });
    return m;
  }
}

/** The rival: tanh of weighted sums, biases everywhere; starts as MLP, within 1 / sqrt(inputs). */
export class MLP {
  constructor(widths, { seed = 0 } = {}) {
    this.widths = [...widths];
    this.starts = [0];
    for (let l = 1; l < widths.length; l++) this.starts.push(this.starts[l - 1] + (widths[l - 1] + 1) * widths[l]);
    const random = new Random(seed + 1000);
    this.theta = new Float64Array(this.starts.pop());
    this.gradient = new Float64Array(this.theta.length);
    this.free = new Uint8Array(this.theta.length).fill(1);
    this.starts.forEach((start, l) => {
      const scale = 1 / Math.sqrt(widths[l]), end = start + (widths[l] + 1) * widths[l + 1];
      for (let p = start; p < end; p++) this.theta[p] = scale * (2 * random.uniform() - 1);
    });
  }

  /** Widths with two hidden layers, as alike as they can be with a count within 3.5 % (else the nearest). */
  static like(inputs, count) {
    const size = (h, g) => (inputs + 1) * h + (h + 1) * g + g + 1, most = Math.ceil(Math.sqrt(count)) + 6, found = [];
    for (let h = 1; h < most; h++)
      for (let g = 1; g < most; g++) {
        const off = Math.abs(size(h, g) / count - 1);
        found.push({ h, g, off, rank: off < 0.035 ? Math.abs(h - g) : 1000 });
      }
    const { h, g } = found.sort((a, b) => a.rank - b.rank || a.off - b.off)[0];
    return [inputs, h, g, 1];
  }

  count() {
    return this.theta.length;
  }

  tape(x, n) {
    return new DenseTape(this, x, n);
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

/** Passes of an MLP. Of each layer: weights (O, I), then biases (O). */
class DenseTape {
  constructor(net, x, n) {
    this.net = net;
    this.n = n;
    this.parts = net.widths.slice(1).map(O => ({ n, x: null, y: new Float64Array(O * n), gy: new Float64Array(O * n) }));
    this.parts.forEach((t, l) => (t.x = l === 0 ? x : this.parts[l - 1].y));
  }

  forward() {
    const { widths, starts, theta } = this.net, { n } = this;
    this.parts.forEach(({ x, y }, l) => {
      const I = widths[l], O = widths[l + 1], biases = starts[l] + I * O, last = l === this.parts.length - 1;
      for (let o = 0; o < O; o++) {
        y.fill(theta[biases + o], o * n, (o + 1) * n);
        for (let i = 0; i < I; i++) addProduct(y, o * n, theta[starts[l] + o * I + i], x, i * n, n);
        if (!last) for (let s = o * n; s < (o + 1) * n; s++) y[s] = Math.tanh(y[s]);
      }
    });
    return this.parts.at(-1).y;
  }

  backward() {
    const { widths, starts, theta, gradient } = this.net, { n } = this;
    for (let l = this.parts.length - 1; l >= 0; l--) {
      const { x, y, gy } = this.parts[l], I = widths[l], O = widths[l + 1], gx = l > 0 ? this.parts[l - 1].gy : null;
      gx?.fill(0);
      if (l < this.parts.length - 1) for (let s = 0; s < O * n; s++) gy[s] *= 1 - y[s] * y[s];
      for (let o = 0; o < O; o++) {
        for (let i = 0; i < I; i++) {
          gradient[starts[l] + o * I + i] = product(gy, o * n, x, i * n, n);
          if (gx) addProduct(gx, i * n, theta[starts[l] + o * I + i], gy, o * n, n);
        }
        let sum = 0;
        for (let s = o * n; s < (o + 1) * n; s++) sum += gy[s];
        gradient[starts[l] + I * O + o] = sum;
      }
    }
  }

  row(s, places, values) {
    const { widths, starts } = this.net, { n } = this;
    let m = 0;
    this.parts.forEach(({ x, gy }, l) => {
      const I = widths[l], O = widths[l + 1];
      for (let o = 0; o < O; o++)
        for (let i = 0; i < I; i++) values[m++] = gy[o * n + s] * x[i * n + s];
      for (let o = 0; o < O; o++) values[m++] = gy[o * n + s];
    });
    for (let p = 0; p < m; p++) places[p] = p;
    return m;
  }
}

function addProduct(y, to, w, x, from, n) {
  for (let s = 0; s < n; s++) y[to + s] += w * x[from + s];
}

function product(x, from, y, start, n) {
  let sum = 0;
  for (let s = 0; s < n; s++) sum += x[from + s] * y[start + s];
  return sum;
}

// --- losses and optimizers

/** The mean squared error. */
export function lossOf(tape, y) {
  const out = tape.forward();
  let sum = 0;
  for (let s = 0; s < y.length; s++) sum += (out[s] - y[s]) ** 2;
  return sum / y.length;
}

/** The mean squared error; its slopes, with those of the penalty, go to net.gradient. */
export function gradientOf(tape, y, fade = 0) {
  const loss = lossOf(tape, y), { y: out, gy } = tape.parts.at(-1);
  for (let s = 0; s < y.length; s++) gy[s] = (2 * (out[s] - y[s])) / y.length;
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

  /** One step at a rate, from net.gradient. */
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

const DAMPING = 1e-3, FLOOR = 1e-6; // as in kanbook/training.py

/** Least squares: a step goes where the sum of squares would be least, were the network linear. */
export class LevenbergMarquardt {
  constructor(net, tape, y) {
    this.net = net;
    this.tape = tape;
    this.y = y;
    this.damping = DAMPING;
    this.stuckAt = null;
    this.places = Int32Array.from([...net.free.keys()].filter(p => net.free[p]));
    const { length: P } = this.places;
    this.order = new Int32Array(net.theta.length).fill(-1);
    this.places.forEach((p, q) => (this.order[p] = q));
    this.square = new Float64Array(P * P);
    this.matrix = new Float64Array(P * P);
    this.slope = new Float64Array(P);
  }

  /** J'J (its lower half) and J'r where the numbers are; returns the mean squared error. */
  linearize() {
    const { tape, y, square, slope, order, places: { length: P } } = this, out = tape.forward().slice();
    tape.parts.at(-1).gy.fill(1);
    tape.backward(0);
    square.fill(0);
    slope.fill(0);
    const places = new Int32Array(this.net.theta.length), values = new Float64Array(this.net.theta.length);
    let total = 0;
    for (let s = 0; s < y.length; s++) {
      const r = out[s] - y[s], m = tape.row(s, places, values);
      total += r * r;
      for (let a = 0; a < m; a++) {
        const row = order[places[a]], v = values[a];
        slope[row] += v * r;
        if (v !== 0) for (let c = 0; c <= a; c++) square[row * P + order[places[c]]] += v * values[c];
      }
    }
    this.total = total;
    return total / y.length;
  }

  /** One move from where `linearize` was called, or none if none helps. */
  step() {
    const { net: { theta }, places, tape, y, square, matrix, slope, total } = this, P = places.length;
    if (total === this.stuckAt) return;
    const before = theta.slice();
    let most = 0;
    for (let p = 0; p < P; p++) most = Math.max(most, square[p * P + p]);
    const least = FLOOR * most || 1, scale = new Float64Array(P), move = new Float64Array(P);
    for (let p = 0; p < P; p++) scale[p] = Math.sqrt(Math.max(square[p * P + p], least));
    while (this.damping < 1e8) {
      for (let p = 0; p < P; p++) {
        for (let q = 0; q <= p; q++) matrix[p * P + q] = square[p * P + q] / scale[q] / scale[p];
        matrix[p * P + p] += this.damping;
        move[p] = slope[p] / scale[p];
      }
      if (cholesky(matrix, P)) {
        solve(matrix, P, move);
        for (let p = 0; p < P; p++) theta[places[p]] = before[places[p]] - move[p] / scale[p];
        if (lossOf(tape, y) * y.length < total) {
          this.damping = Math.max(1e-16, this.damping / 10);
          return;
        }
      }
      this.damping *= 2;
    }
    theta.set(before);
    this.damping = DAMPING;
    this.stuckAt = total;
  }
}

/** A = L L' in place (lower half); whether A is positive definite. */
function cholesky(a, n) {
  for (let p = 0; p < n; p++) {
    for (let q = 0; q <= p; q++) {
      let sum = a[p * n + q];
      for (let r = 0; r < q; r++) sum -= a[p * n + r] * a[q * n + r];
      if (q < p) a[p * n + q] = sum / a[q * n + q];
      else if (sum > 0) a[p * n + p] = Math.sqrt(sum);
      else return false;
    }
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

// --- grids: as kanbook/grids.py

const NARROWEST = 1e-3;

/** New knots for every layer in turn, `newKnots(layer, inputs, i)`, and coefficients that keep its curves. */
function rebuild(net, x, n, newKnots) {
  let layers = [];
  for (const layer of net.layers) {
    const inputs = layers.length ? Network.of(layers).predict(x, n) : x; // of layers that have changed already
    const { degree: k } = layer;
    const knots = range(layer.inputs).map(i => newKnots(layer, inputs.subarray(i * n, (i + 1) * n), layer.knotsOf(i)));
    const one = new Layer(layer.inputs, layer.outputs, k, knots.map(t => withMargin(t, k)), layer.parts());
    one.theta = new Float64Array(one.length);
    one.theta.set(layer.theta.subarray(layer.at.splineWeight), one.at.splineWeight);
    const width = layer.outputs * layer.size, newWidth = layer.outputs * one.size;
    knots.forEach((t, i) => {
      const old = layer.theta.subarray(i * width, (i + 1) * width), oldKnots = layer.knotsOf(i);
      const curves = range(layer.outputs).map(o => old.subarray(o * layer.size, (o + 1) * layer.size));
      one.theta.set(equalArrays(t, oldKnots) ? old : refine(curves, oldKnots, k, t).flat(), i * newWidth);
    });
    layers = [...layers, one];
  }
  return net.assemble(layers);
}

const equalArrays = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

/**
 * Lay out the knots where the samples are: as update_grid. With `slack`, an input keeps its knots whose
 * samples fill its domain and leave it by no more than this share of its width.
 */
export function updateGrid(net, x, n, gridEps = 0.02, slack = 0) {
  return rebuild(net, x, n, (layer, inputs, old) => {
    const G = layer.grid_size, sorted = inputs.slice().sort(), start = sorted[0], end = sorted[n - 1], step = (end - start) / G;
    const a = old[layer.degree], b = old[old.length - 1 - layer.degree], far = slack * (b - a);
    if (a - far < start && end < b + far && end - start > b - a - 10 * far) return old;
    const inside = Float64Array.from({ length: G + 1 }, (_, g) => {
      const position = ((n - 1) * g) / G, below = Math.floor(position), above = Math.min(below + 1, n - 1);
      return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
    });
    const even = inside.map((_, g) => start + ((end - start) * g) / G);
    const blend = weight => inside.forEach((t, g) => (inside[g] = t + weight * (even[g] - t)));
    blend(gridEps);
    const short = NARROWEST * step - Math.min(...inside.slice(1).map((t, g) => t - inside[g]));
    if (short > 0) blend(short / ((1 - NARROWEST) * step + short));
    inside[0] = start;
    inside[G] = end;
    const t = withMargin(inside, layer.degree), rounding = 2 ** -49 * Math.max(...t.map(Math.abs));
    return t.some((v, g) => g > 0 && v - t[g - 1] <= rounding) ? old : t; // too narrow: all samples as good as equal
  });
}

/** More knots in the same domain: as extend_grid. */
export function extendGrid(net, x, n, size) {
  return rebuild(net, x, n, (layer, _, old) => {
    const G = layer.grid_size, k = layer.degree;
    if (G === size) return old;
    return withMargin(Float64Array.from({ length: size + 1 }, (_, g) => {
      const below = Math.min(Math.floor((g * G) / size), G - 1), weight = (g * G - below * size) / size;
      return weight === 0 ? old[k + below] : old[k + below] + weight * (old[k + below + 1] - old[k + below]);
    }), k);
  });
}

/** k more knots on either side, at the distance of the outermost two. A layer's knots get them twice. */
function withMargin(inside, k) {
  const last = inside.length - 1, t = new Float64Array(inside.length + 2 * k);
  t.set(inside, k);
  for (let r = 1; r <= k; r++) {
    t[k - r] = inside[0] - r * (inside[1] - inside[0]);
    t[k + last + r] = inside[last] + r * (inside[last] - inside[last - 1]);
  }
  return t;
}

// --- fewer edges: as kanbook/formulas.py

/**
 * A network with the edges that `alive` has, a list of arrays (I, O), and nodes that have some on both
 * sides; null if nothing would reach an output. What a lost edge gave on average goes to the strongest
 * into the same node, or the bias where there is one for functions.
 */
export function keep(net, x, n, alive) {
  alive = alive.map(a => Uint8Array.from(a));
  const { widths } = net;
  for (let pass = 0; pass < alive.length; pass++)
    for (let l = 0; l + 1 < alive.length; l++)
      for (let h = 0; h < widths[l + 1]; h++) {
        const into = i => i * widths[l + 1] + h, from = o => h * widths[l + 2] + o;
        const ins = range(widths[l]).map(into), outs = range(widths[l + 2]).map(from);
        if (ins.some(e => alive[l][e]) && outs.some(e => alive[l + 1][e])) continue;
        ins.forEach(e => (alive[l][e] = 0));
        outs.forEach(e => (alive[l + 1][e] = 0));
      }
  const nodes = widths.map((width, l) => range(width).filter(h => l === 0 || l === widths.length - 1
    || range(widths[l + 1]).some(o => alive[l][h * widths[l + 1] + o])));
  const last = alive.length - 1, outputs = widths[last + 1];
  if (!range(outputs).every(o => range(widths[last]).some(i => alive[last][i * outputs + o]))) return null;
  const tape = net.tape(x, n);
  tape.forward();
  return Network.of(net.layers.map((layer, l) => {
    const { phi } = tape.parts[l], { at, size, outputs: O, theta } = layer, rows = nodes[l], columns = nodes[l + 1];
    const edges = rows.flatMap(i => columns.map(o => i * O + o));
    const one = new Layer(rows.length, columns.length, layer.degree, rows.map(i => layer.grids[i]), layer.parts({
      kind: Uint8Array.from(edges, e => (alive[l][e] ? layer.kind[e] : MISSING)),
      names: Uint8Array.from(edges, e => layer.names[e]), fixed: new Set(),
    }));
    one.theta = new Float64Array(one.length);
    const place = new Map(); // old place -> new place
    edges.forEach((e, to) => {
      for (const [part, width, there] of [["coef", size, true], ["splineWeight", 1, layer.splineWeight],
        ["baseWeight", 1, layer.baseWeight], ["constants", 3, layer.named]])
        for (let j = 0; there && j < width; j++) place.set(at[part] + width * e + j, one.at[part] + width * to + j);
    });
    if (layer.bias) columns.forEach((o, to) => place.set(at.bias + o, one.at.bias + to));
    for (const [old, to] of place) one.theta[to] = theta[old];
    layer.fixed.forEach(old => place.has(old) && one.fixed.add(place.get(old)));
    one.kind.forEach((kind, e) => kind !== CURVE && one.theta.fill(0, e * size, (e + 1) * size));
    columns.forEach((o, to) => {
      const into = range(layer.inputs).map(i => i * O + o);
      const lost = into.reduce((sum, e) => sum + (alive[l][e] ? 0 : moments(phi, e * n, n)[0]), 0);
      if (layer.named) {
        one.theta[one.at.bias + to] += lost;
        return;
      }
      const left = into.filter(e => alive[l][e]);
      if (!left.length) return;
      const spread = e => moments(phi, e * n, n)[1], strongest = left.reduce((a, e) => (spread(e) > spread(a) ? e : a));
      const row = rows.indexOf(Math.floor(strongest / O));
      const w = layer.splineWeight ? theta[at.splineWeight + strongest] : 1;
      for (let j = 0; j < size; j++) one.theta[(row * columns.length + to) * size + j] += lost / w;
    });
    return one;
  }));
}

const range = count => Array.from({ length: count }, (_, i) => i);

/** Without the edges whose spread is below this share of the largest in their layer: as prune. */
export function prune(net, x, n, threshold = 0.03) {
  return keep(net, x, n, net.observe(x, n).map(({ spreads }) => spreads.map(s => +(s > threshold * Math.max(...spreads)))));
}
