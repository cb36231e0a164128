// A layer of a KAN, its edges curves or functions: as KANLayer and FormulaLayer. What kanbook does with
// tensors is done here in loops over samples, a row of n of them for each input, edge or output.
//
// All numbers of a network are in one array `theta`, so that an optimizer sees them in a row. A layer
// of I inputs and O outputs, whose edges are e = i * O + o, has these parts of it, as views:
//
//   theta  ... | coef            | splineWeight | baseWeight | bias | constants       | next layer ...
//                I * O * (G + k)   I * O          I * O        O      I * O * (c, a, b)
//
// All but `coef` may be absent: null. `gradient` and `free` of the network have views by the same names.

import { LIBRARY, NAMES, valueOf } from "./functions.js";
import { addProduct, dot, range, rowsOf, total } from "./numbers.js";
import { accumulate, addFadeSlopes, addSlopes, evaluate, silu, tabulate } from "./passes.js";

export const MISSING = 0, CURVE = 1, FUNCTION = 2; // what an edge is
const PARTS = ["coef", "splineWeight", "baseWeight", "bias", "constants"];

export class Layer {
  parts = PARTS;

  /**
   * From parts, or another layer, whose numbers it shares until a network takes it. Of each input:
   * `knots`. Of each edge: its `kind`, and the place of its function in NAMES. `fixed`: numbers that
   * no fit may change.
   */
  constructor({ outputs, degree, knots, coef, splineWeight, baseWeight, bias, constants, ...edges }) {
    const inputs = knots.length, count = inputs * outputs;
    Object.assign(this, { inputs, outputs, degree, knots: [...knots] });
    Object.assign(this, { coef, splineWeight, baseWeight, bias, constants });
    this.size = knots[0].length - degree - 1; // G + k basis functions
    this.kind = edges.kind?.slice() ?? new Uint8Array(count).fill(CURVE);
    this.names = edges.names?.slice() ?? new Uint8Array(count);
    this.fixed = {
      bias: edges.fixed?.bias.slice() ?? new Uint8Array(outputs),
      constants: edges.fixed?.constants.slice() ?? new Uint8Array(3 * count),
    };
  }

  get grid_size() {
    return this.size - this.degree;
  }

  domain(i) {
    return [this.knots[i][this.degree], this.knots[i][this.size]];
  }

  /** The coefficients of an edge, a view. */
  coefOf(i, o) {
    const start = (i * this.outputs + o) * this.size;
    return this.coef.subarray(start, start + this.size);
  }

  /** The function of an edge, and its numbers. */
  functionOf(e) {
    const { constants } = this, name = NAMES[this.names[e]];
    return { name, f: LIBRARY[name], c: constants[3 * e], a: constants[3 * e + 1], b: constants[3 * e + 2] };
  }

  setFunction(e, name, cab) {
    this.kind[e] = FUNCTION;
    this.names[e] = NAMES.indexOf(name);
    this.constants.set(cab, 3 * e);
  }

  /** Notes in `free` which numbers may change, now that edges are what they are. */
  refresh() {
    const { kind, names, size, free, fixed } = this;
    free.bias?.forEach((_, o) => (free.bias[o] = 1 - fixed.bias[o]));
    kind.forEach((kind, e) => {
      const curve = +(kind === CURVE), chosen = LIBRARY[NAMES[names[e]]].free;
      free.coef.fill(curve, e * size, (e + 1) * size);
      for (const part of [free.splineWeight, free.baseWeight]) if (part) part[e] = curve;
      if (!free.constants) return;
      [true, chosen.includes("a"), chosen.includes("b")].forEach((chosen, part) => {
        const place = 3 * e + part;
        free.constants[place] = +(kind === FUNCTION && chosen && !fixed.constants[place]);
      });
    });
  }

  pick(rows, columns) {
    const edges = rows.flatMap(i => columns.map(o => i * this.outputs + o));
    const take = (values, places, width = 1) => values?.constructor.from(
      places.flatMap(p => [...values.subarray(p * width, (p + 1) * width)]));
    return new Layer({
      outputs: columns.length, degree: this.degree, knots: rows.map(i => this.knots[i]),
      coef: take(this.coef, edges, this.size), splineWeight: take(this.splineWeight, edges),
      baseWeight: take(this.baseWeight, edges), bias: take(this.bias, columns),
      constants: take(this.constants, edges, 3), kind: take(this.kind, edges),
      names: take(this.names, edges),
      fixed: { bias: take(this.fixed.bias, columns), constants: take(this.fixed.constants, edges, 3) },
    });
  }

  /** The values of all edges of an input, a row for each output. */
  curves(i, xs) {
    const edges = this.pick([i], range(this.outputs)), t = edges.buffers([xs], xs.length);
    edges.forward(t);
    return t.phi;
  }

  curve(i, o, xs) {
    return this.curves(i, xs)[o];
  }

  // --- passes over samples

  /** What they need, for n samples of the inputs x, a row for each. */
  buffers(x, n) {
    const { inputs: I, outputs: O, degree, splineWeight, baseWeight } = this;
    const rows = (count, width = n) => range(count).map(() => new Float64Array(width));
    const phi = rows(I * O), plain = !splineWeight && !baseWeight, tables = () => rows(I, n * (degree + 1));
    return {
      n, x, knots: null, first: range(I).map(() => new Int32Array(n)), bases: tables(), slopes: tables(),
      base: rows(I), baseSlopes: rows(I), spline: plain ? phi : rows(I * O), phi,
      y: rows(O), gy: rows(O), g: new Float64Array(n),
    };
  }

  /** From the inputs t.x: the values of edges, t.phi, and their sums with the bias, t.y. */
  forward(t, keepTables = false) {
    const { outputs: O, kind, bias } = this;
    if (!keepTables || t.knots !== this.knots) this.tabulate(t);
    t.y.forEach((y, o) => y.fill(bias ? bias[o] : 0));
    for (let e = 0; e < kind.length; e++) {
      const i = Math.floor(e / O);
      if (kind[e] === CURVE) this.curveForward(t, i, e);
      else if (kind[e] === FUNCTION) this.functionForward(t, i, e);
      else t.phi[e].fill(0);
      if (kind[e] !== MISSING) addProduct(t.y[e % O], 1, t.phi[e]);
    }
  }

  /** What of each input all its edges need: basis functions, and SiLU. */
  tabulate(t) {
    const { degree: k, baseWeight } = this;
    t.knots = this.knots;
    t.x.forEach((x, i) => {
      tabulate(this.knots[i], k, x, t.first[i], t.bases[i], t.slopes[i]);
      if (baseWeight) silu(x, t.base[i], t.baseSlopes[i]);
    });
  }

  /** phi = w * spline(x) + u * silu(x) */
  curveForward(t, i, e) {
    const { splineWeight, baseWeight } = this, spline = t.spline[e], phi = t.phi[e];
    evaluate(this.coef, e * this.size, t.first[i], t.bases[i], this.degree + 1, spline);
    if (phi === spline) return;
    const w = splineWeight ? splineWeight[e] : 1, u = baseWeight ? baseWeight[e] : 0, base = t.base[i];
    for (let s = 0; s < t.n; s++) phi[s] = w * spline[s] + u * base[s];
  }

  /** phi = c * f(a * x + b) */
  functionForward(t, i, e) {
    const { f, a, b, c } = this.functionOf(e), x = t.x[i], phi = t.phi[e];
    for (let s = 0; s < t.n; s++) phi[s] = c * valueOf(f, a * x[s] + b);
  }

  /** From the loss's slopes in the sums, t.gy: those in the inputs, to gx (or null), and in `gradient`. */
  backward(t, gx, fade) {
    const { outputs: O, kind, gradient } = this;
    gx?.forEach(row => row.fill(0));
    gradient.bias?.forEach((_, o) => (gradient.bias[o] += total(t.gy[o])));
    for (let e = 0; e < kind.length; e++) {
      const i = Math.floor(e / O);
      if (kind[e] === MISSING) continue;
      t.g.set(t.gy[e % O]);
      if (fade > 0) addFadeSlopes(t.phi[e], fade, t.g);
      if (kind[e] === CURVE) this.curveBackward(t, i, e, gx?.[i]);
      else this.functionBackward(t, i, e, gx?.[i]);
    }
  }

  curveBackward(t, i, e, gx) {
    const { splineWeight, baseWeight, gradient, size, degree } = this, { n, g } = t;
    if (baseWeight) {
      const u = baseWeight[e], baseSlopes = t.baseSlopes[i];
      gradient.baseWeight[e] += dot(g, t.base[i]);
      if (gx) for (let s = 0; s < n; s++) gx[s] += g[s] * u * baseSlopes[s];
    }
    if (splineWeight) {
      gradient.splineWeight[e] += dot(g, t.spline[e]);
      for (let s = 0; s < n; s++) g[s] *= splineWeight[e];
    }
    accumulate(g, t.first[i], t.bases[i], degree + 1, gradient.coef, e * size);
    if (gx) addSlopes(this.coef, e * size, t.first[i], t.slopes[i], degree + 1, g, gx);
  }

  functionBackward(t, i, e, gx) {
    const { f, a, b, c } = this.functionOf(e), { n, g } = t, x = t.x[i], slopes = [0, 0, 0]; // in c, a, b
    for (let s = 0; s < n; s++) {
      const u = a * x[s] + b, inner = g[s] * c * f.slope(u);
      slopes[0] += g[s] * valueOf(f, u);
      slopes[1] += inner * x[s];
      slopes[2] += inner;
      if (gx) gx[s] += inner * a;
    }
    slopes.forEach((slope, part) => (this.gradient.constants[3 * e + part] += slope));
  }

  /** After a backward pass from 1: put(place, slope of the output at sample s), by rising place in theta. */
  row(t, s, put) {
    const { outputs: O, size, splineWeight, at, free } = this, K = this.degree + 1;
    const curves = [...this.kind.keys()].filter(e => this.kind[e] === CURVE);
    const inputOf = e => Math.floor(e / O), slopeOf = e => t.gy[e % O][s];
    for (const e of curves) {
      const bases = t.bases[inputOf(e)], start = at.coef + e * size + t.first[inputOf(e)][s];
      const g = slopeOf(e) * (splineWeight ? splineWeight[e] : 1);
      for (let j = 0; j < K; j++) put(start + j, g * bases[s * K + j]);
    }
    if (splineWeight) for (const e of curves) put(at.splineWeight + e, slopeOf(e) * t.spline[e][s]);
    if (this.baseWeight)
      for (const e of curves) put(at.baseWeight + e, slopeOf(e) * t.base[inputOf(e)][s]);
    free.bias?.forEach((free, o) => free && put(at.bias + o, t.gy[o][s]));
    if (this.constants)
      this.kind.forEach((kind, e) => {
        if (kind !== FUNCTION) return;
        const { f, a, b, c } = this.functionOf(e), g = slopeOf(e), x = t.x[inputOf(e)][s];
        const u = a * x + b, inner = g * c * f.slope(u);
        [g * valueOf(f, u), inner * x, inner].forEach((slope, part) =>
          free.constants[3 * e + part] && put(at.constants + 3 * e + part, slope));
      });
  }

  // --- as a layer of KANLab's trait `network`; numbers in `fixed` are places in the layer's numbers

  toJSON() {
    const { inputs, outputs, degree, kind, fixed } = this, list = values => (values ? [...values] : null);
    const [coef, spline_weight, base_weight, bias] = PARTS.map(part => list(this[part]));
    const start = [coef, spline_weight, base_weight].reduce((sum, part) => sum + (part?.length ?? 0), 0);
    const functions = range(kind.length).filter(e => kind[e] === FUNCTION).map(e => {
      const { name, c, a, b } = this.functionOf(e);
      return [Math.floor(e / outputs), e % outputs, name, c, a, b];
    });
    return {
      inputs, outputs, degree, knots: this.knots.flatMap(list), coef, spline_weight, base_weight, bias,
      mask: kind.every(kind => kind === CURVE) ? null : [...kind].map(kind => +(kind === CURVE)),
      functions, named: !!this.constants,
      fixed: [...fixed.bias, ...fixed.constants].flatMap((yes, p) => (yes ? [start + p] : [])),
    };
  }

  static from({
    inputs, outputs, degree, knots, mask, functions = [], named = functions.length > 0, fixed = [], ...numbers
  }) {
    const row = values => values && Float64Array.from(values);
    const coef = row(numbers.coef), splineWeight = row(numbers.spline_weight);
    const baseWeight = row(numbers.base_weight), bias = row(numbers.bias);
    const layer = new Layer({
      outputs, degree, knots: rowsOf(row(knots), knots.length / inputs), coef, splineWeight, baseWeight,
      bias, constants: named ? new Float64Array(3 * inputs * outputs) : null,
      kind: mask ? Uint8Array.from(mask) : null,
    });
    for (const [i, o, name, ...cab] of functions) layer.setFunction(i * outputs + o, name, cab);
    const start = [coef, splineWeight, baseWeight].reduce((sum, part) => sum + (part?.length ?? 0), 0);
    for (const place of fixed) {
      const p = place - start;
      if (p < outputs) layer.fixed.bias[p] = 1;
      else layer.fixed.constants[p - outputs] = 1;
    }
    return layer;
  }
}
