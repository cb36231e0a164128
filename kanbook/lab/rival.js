// The picture of an MLP, the rival: on every edge a line, as wide as its weight is large and dashed where
// it is negative, and the weight itself where there is room for it.

import { range } from "./numbers.js";
import { children, round, set, text, textAt, write } from "./page.js";

const FOOT = 34, HEAD = 24; // as in the picture of a KAN
const ROOM = [42, 17]; // of a number, and some air
const PARTS = [0.5, 0.4, 0.6, 0.3, 0.7, 0.22, 0.78]; // of an edge, where its number may stand

/** For each edge the place of its number, where it touches neither a node nor another number; or null. */
function placesOf(edges, nodes) {
  const taken = nodes.flat();
  return edges.map(({ from, to }) => {
    const all = PARTS.map(part => [0, 1].map(axis => from[axis] + part * (to[axis] - from[axis])));
    const place = all.find(one => taken.every(other => ROOM.some((room, axis) => Math.abs(one[axis] - other[axis]) > room)));
    if (place) taken.push(place);
    return place ?? null;
  });
}

export function rivalDiagram(lab, svg) {
  svg.classList.add("rival");
  svg.innerHTML = `<g class="wires"></g><g class="nodes"></g><g class="weights"></g>`;
  const [wires, dots, weights] = svg.children;
  let width = 0, height = 0, shape = "", edges = [];

  function layOut({ widths }) {
    const rise = (height - FOOT - HEAD) / (widths.length - 1);
    const nodes = widths.map((n, l) => range(n).map(j => [(width * (j + 0.5)) / n, height - FOOT - l * rise]));
    edges = nodes.slice(1).flatMap((row, l) => row.flatMap((to, o) => nodes[l].map((from, i) => ({ l, e: o * widths[l] + i, from, to }))));
    const places = placesOf(edges, nodes), lines = children(wires, edges.length, "<path/>");
    const numbers = children(weights, places.filter(Boolean).length, `<text text-anchor="middle"></text>`);
    edges.forEach((edge, n) => {
      const { from, to } = edge, place = places[n];
      set(edge.line = lines[n], { d: `M${from.map(v => round(v, 1))}L${to.map(v => round(v, 1))}` });
      if (place) set(edge.number = numbers.shift(), { x: round(place[0], 1), y: round(place[1] + 4, 1) });
    });
    const { names } = lab.race.task, named = (said, [x, y], down) => textAt(round(x, 1), y + down, "middle", said);
    dots.innerHTML = nodes.flat().map(([x, y]) => `<circle r="5" cx="${round(x, 1)}" cy="${round(y, 1)}"/>`).join("")
      + nodes[0].map((node, i) => named(names[i], node, 20)).join("") + named("output", nodes.at(-1)[0], -11);
    set(svg, { viewBox: `0 0 ${width} ${height}`, height });
  }

  return {
    draw(mlp) {
      if (!width) return;
      const now = [width, height, ...mlp.widths].join();
      if (now !== shape) layOut(mlp);
      shape = now;
      const largest = mlp.layers.map(({ weights }) => Math.max(...weights.map(Math.abs)));
      for (const { l, e, line, number } of edges) {
        const weight = mlp.layers[l].weights[e], share = Math.abs(weight) / largest[l];
        set(line, { class: weight < 0 ? "minus" : "", style: `--ink:${round(0.2 + 0.8 * share, 1)}` });
        if (number) write(number, text(weight.toFixed(1)));
      }
    },
    resize: (w, h) => ([width, height] = [w, h]),
  };
}
