// A KAN: layers in a row.

import { Layer } from "./layer.js";
import { Random, deviation, moments, range } from "./numbers.js";
import { centers, uniformKnots } from "./splines.js";
import { Net } from "./tape.js";

export class Network extends Net {
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

  /** All edges (l, i, o) that are of a kind. */
  edges(kind) {
    return this.layers.flatMap((layer, l) => [...layer.kind].flatMap((own, e) =>
      (own === kind ? [[l, Math.floor(e / layer.outputs), e % layer.outputs]] : [])));
  }

  /** The function of an edge (l, i, o), and its numbers. */
  functionOf([l, i, o]) {
    return this.layers[l].functionOf(i * this.layers[l].outputs + o);
  }

  /** Of each layer at these samples: its inputs and the spreads of its edges. */
  observe(x, n) {
    return this.passed(x, n).parts.map(({ x: inputs, phi }) => ({ inputs, spreads: phi.map(deviation) }));
  }

  /** The part of the output that goes through an edge, after a pass forward: what is lost when the edge gives its mean. */
  partOf(tape, [l, i, o]) {
    const whole = tape.output.slice(), { phi, y } = tape.parts[l], values = phi[i * this.layers[l].outputs + o];
    const [mean] = moments(values);
    values.forEach((value, s) => (y[o][s] -= value - mean));
    for (let m = l + 1; m < this.layers.length; m++) this.layers[m].forward(tape.parts[m]);
    return whole.map((value, s) => value - tape.output[s]);
  }

  /** As KANLab's trait `network`. */
  toJSON() {
    return { layers: this.layers.map(layer => layer.toJSON()) };
  }

  static from({ layers }) {
    return new Network(layers.map(Layer.from));
  }
}
