// A KAN: layers in a row.

import { Layer, PARTS, buffers } from "./layer.js";
import { Random, deviation, range, rowsOf, sum } from "./numbers.js";
import { centers, uniformKnots } from "./splines.js";

export class Network {
  /** Of layers that belong to no other network. */
  constructor(layers) {
    this.assemble(layers);
  }

  /** The straight lines of random slopes that KANLayer starts with. */
  static start(widths, {
    grid_size = 5, degree = 3, domain = [-1, 1], bias = false, spline_weight = false, base = false, seed = 0,
  } = {}) {
    const random = new Random(seed), knots = Float64Array.from(uniformKnots(grid_size, degree, domain));
    const center = (domain[0] + domain[1]) / 2, line = centers(knots, degree);
    return new Network(widths.slice(1).map((outputs, l) => {
      const inputs = widths[l], edges = inputs * outputs;
      const coef = range(edges).flatMap(() => {
        const slope = random.normal() / Math.sqrt(inputs);
        return line.map(t => slope * (t - center) + center / inputs);
      });
      return new Layer({
        outputs, degree, knots: Array(inputs).fill(knots), coef: Float64Array.from(coef),
        splineWeight: spline_weight ? new Float64Array(edges).fill(1) : null,
        baseWeight: base ? new Float64Array(edges) : null,
        bias: bias ? new Float64Array(outputs) : null, constants: null,
      });
    }));
  }

  /** Take these layers, and all their numbers into one array. */
  assemble(layers) {
    const length = sum(layers.flatMap(layer => PARTS.map(part => layer[part]?.length ?? 0)));
    this.layers = layers;
    this.theta = new Float64Array(length);
    this.gradient = new Float64Array(length);
    this.free = new Uint8Array(length); // whether a number may change
    let start = 0;
    for (const layer of layers) {
      Object.assign(layer, { gradient: {}, free: {}, at: {} });
      for (const part of PARTS.filter(part => layer[part])) {
        const end = start + layer[part].length;
        this.theta.set(layer[part], start);
        layer[part] = this.theta.subarray(start, end);
        layer.gradient[part] = this.gradient.subarray(start, end);
        layer.free[part] = this.free.subarray(start, end);
        layer.at[part] = start;
        start = end;
      }
    }
    this.refresh();
    return this;
  }

  /** After a change of what edges are: which numbers may change now. */
  refresh() {
    for (const layer of this.layers) layer.refresh();
  }

  get widths() {
    return [this.layers[0].inputs, ...this.layers.map(layer => layer.outputs)];
  }

  count() {
    return sum(this.free);
  }

  /** All edges (l, i, o) that are of a kind. */
  edges(kind) {
    return this.layers.flatMap((layer, l) => [...layer.kind].flatMap((own, e) =>
      (own === kind ? [[l, Math.floor(e / layer.outputs), e % layer.outputs]] : [])));
  }

  /** For passes over n samples: of x, first all samples of input 0. */
  tape(x, n) {
    return new Tape(this, x, n);
  }

  predict(x, n) {
    return this.tape(x, n).forward();
  }

  /** Of each layer at these samples: its inputs, the spreads of its edges, shares beyond the domains. */
  observe(x, n) {
    const tape = this.tape(x, n);
    tape.forward();
    return this.layers.map((layer, l) => {
      const { x: inputs, phi } = tape.parts[l];
      const outside = inputs.map((values, i) => {
        const [a, b] = layer.domain(i), rounding = 1e-6 * (b - a);
        return values.filter(v => v < a - rounding || v > b + rounding).length / n;
      });
      return { inputs, spreads: phi.map(deviation), outside };
    });
  }

  copy() {
    return new Network(this.layers.map(layer => new Layer(layer)));
  }

  /** As KANLab's trait `network`. */
  toJSON() {
    return { layers: this.layers.map(layer => layer.toJSON()) };
  }

  static from({ layers }) {
    return new Network(layers.map(Layer.from));
  }
}

/** Buffers for passes over the same samples; the first layer's basis functions are kept. */
class Tape {
  constructor(net, x, n) {
    this.net = net;
    let inputs = rowsOf(x, n);
    this.parts = net.layers.map(layer => {
      const part = buffers(layer, inputs, n);
      inputs = part.y;
      return part;
    });
    [this.output] = inputs;
    [this.outputSlopes] = this.parts.at(-1).gy;
  }

  forward() {
    this.net.layers.forEach((layer, l) => layer.forward(this.parts[l], l === 0));
    return this.output;
  }

  /** From `outputSlopes`, those of the loss in the output, to net.gradient. */
  backward(fade = 0) {
    const { layers, gradient, free } = this.net, { parts } = this;
    gradient.fill(0);
    for (let l = layers.length - 1; l >= 0; l--) layers[l].backward(parts[l], parts[l - 1]?.gy ?? null, fade);
    for (let p = 0; p < gradient.length; p++) if (!free[p]) gradient[p] = 0;
  }

  /** The slopes of the output at sample s in the free numbers on its way, and their places; how many. */
  row(s, places, slopes) {
    let count = 0;
    this.net.layers.forEach((layer, l) => layer.row(this.parts[l], s, (place, slope) => {
      places[count] = place;
      slopes[count++] = slope;
    }));
    return count;
  }
}
