// Networks with fewer edges: as kanbook/pruning.py.

import { CURVE, MISSING } from "./layer.js";
import { Network } from "./network.js";
import { moments, range, sum } from "./numbers.js";

/**
 * A network with the edges that `alive` has, a list of arrays (I, O), and nodes that have some on both
 * sides; null if nothing would reach an output. What a lost edge gave on average goes to the strongest
 * into the same node, or the bias where there is one for functions.
 */
export function keep(net, x, n, alive) {
  alive = alive.map(a => Uint8Array.from(a));
  const { widths } = net, last = alive.length - 1;
  const into = (l, h) => range(widths[l]).map(i => i * widths[l + 1] + h); // edges of layer l
  const from = (l, h) => range(widths[l + 1]).map(o => h * widths[l + 1] + o);
  const some = (l, edges) => edges.some(e => alive[l][e]);
  for (let pass = 0; pass <= last; pass++)
    for (let l = 0; l < last; l++)
      for (let h = 0; h < widths[l + 1]; h++) {
        const before = into(l, h), after = from(l + 1, h);
        if (some(l, before) && some(l + 1, after)) continue;
        before.forEach(e => (alive[l][e] = 0));
        after.forEach(e => (alive[l + 1][e] = 0));
      }
  if (!range(widths[last + 1]).every(o => some(last, into(last, o)))) return null;
  const nodes = widths.map((width, l) =>
    range(width).filter(h => l === 0 || l > last || some(l, from(l, h))));
  const { parts } = net.passed(x, n);
  return new Network(net.layers.map((layer, l) =>
    thinned(layer, parts[l].phi, alive[l], nodes[l], nodes[l + 1])));
}

/** A layer with the edges that are alive between these inputs and outputs; phi: the values of all. */
function thinned(layer, phi, alive, rows, columns) {
  const { inputs, outputs: O, splineWeight } = layer, small = layer.pick(rows, columns);
  small.kind.forEach((kind, e) => {
    const old = rows[Math.floor(e / columns.length)] * O + columns[e % columns.length];
    if (!alive[old]) small.kind[e] = MISSING;
    if (small.kind[e] !== CURVE) small.coef.fill(0, e * small.size, (e + 1) * small.size);
  });
  columns.forEach((o, column) => {
    const into = range(inputs).map(i => i * O + o), left = into.filter(e => alive[e]);
    const lost = sum(into.map(e => (alive[e] ? 0 : moments(phi[e])[0])));
    if (small.constants) small.bias[column] += lost;
    else if (left.length) {
      const strongest = left.reduce((a, e) => (moments(phi[e])[1] > moments(phi[a])[1] ? e : a));
      const coef = small.coefOf(rows.indexOf(Math.floor(strongest / O)), column);
      const share = lost / (splineWeight ? splineWeight[strongest] : 1);
      coef.forEach((c, j) => (coef[j] = c + share));
    }
  });
  return small;
}

/** Without the edges whose spread is below this share of the largest in their layer: as prune. */
export function prune(net, x, n, threshold = 0.03) {
  const spreads = net.observe(x, n).map(layer => layer.spreads);
  return keep(net, x, n, spreads.map(layer => layer.map(s => +(s > threshold * Math.max(...layer)))));
}
