// Knots that move and become more: as kanbook/grids.py.

import { Layer } from "./layer.js";
import { ends, equal, range, rowsOf } from "./numbers.js";
import { divided, refine, uniformKnots, withMargin } from "./splines.js";

/** New knots for every layer in turn, `newKnots(layer, values, knots)`, and the same curves on them. */
function rebuild(net, x, n, newKnots) {
  let inputs = rowsOf(x, n); // from layers that have changed already
  return net.assemble(net.layers.map(layer => {
    const { degree } = layer, knots = layer.knots.map((old, i) => newKnots(layer, inputs[i], old));
    const coef = knots.flatMap((t, i) => {
      const curves = range(layer.outputs).map(o => layer.coefOf(i, o)), old = layer.knots[i];
      return (equal(t, old) ? curves : refine(curves, old, degree, t)).flatMap(c => [...c]);
    });
    const rebuilt = new Layer({ ...layer, knots, coef: Float64Array.from(coef) });
    const t = rebuilt.buffers(inputs, n);
    rebuilt.forward(t);
    inputs = t.y;
    return rebuilt;
  }));
}

/**
 * Even knots from the least to the largest sample: as update_grid with grid_eps=1. An input keeps its
 * knots if its samples fill their domain and leave it by no more than `slack`, a share of its width.
 */
export function updateGrid(net, x, n, slack = 0) {
  return rebuild(net, x, n, ({ degree, grid_size }, values, old) => {
    const [start, end] = ends(values);
    const a = old[degree], b = old[degree + grid_size], far = slack * (b - a);
    if (a - far < start && end < b + far && end - start > b - a - 10 * far) return old;
    const t = Float64Array.from(uniformKnots(grid_size, degree, [start, end]));
    const rounding = 2 ** -49 * Math.max(...t.map(Math.abs));
    return t.some((v, g) => g > 0 && v - t[g - 1] <= rounding) ? old : t; // all samples as good as equal
  });
}

/** More knots in the same domain: as extend_grid. */
export function extendGrid(net, x, n, size) {
  return rebuild(net, x, n, ({ degree, grid_size: G }, _, old) => {
    if (G === size) return old;
    return withMargin(divided(old.subarray(degree, degree + G + 1), size), degree);
  });
}
