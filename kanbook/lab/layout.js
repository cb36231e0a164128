// Where the boxes, nodes and lines of a KAN's picture stand.

import { clamp, range } from "./numbers.js";
import { round } from "./page.js";

const across = (j, n, width) => (width * (j + 0.5)) / n;

/** (i, o) of the edges that a layer still has, side by side with those of the same node. */
function edgesOf({ inputs: I, outputs: O, kind }) {
  const all = [...kind.keys()].filter(e => kind[e]).map(e => [Math.floor(e / O), e % O]);
  return I > O ? all : all.sort((a, b) => a[1] - b[1] || a[0] - b[0]);
}

/** How the boxes of a layer stand together: in a row, in a few rows, or as a matrix. */
function blockOf(layer, width, height) {
  const { inputs: I, outputs: O } = layer, edges = edgesOf(layer);
  return edges.length > 8 && Math.min(I, O) > 2 ? matrixOf(I, O, edges, width, height) : rowOf(I, O, edges, width);
}

/** Two rows stand aside by a part of a column, so that the lines of one pass by the boxes of the other. */
function rowOf(I, O, edges, width) {
  const least = Math.min(I, O), rows = width / edges.length < (least === 2 ? 84 : 32) ? least : 1;
  const columns = Math.ceil(edges.length / rows), aside = rows === 2 ? (0.19 * width) / columns : 0;
  const size = Math.min(width < 480 ? 84 : 116, (rows === 2 ? 0.62 : 1) * (width / columns - 6));
  const boxes = edges.map(([i, o], e) => {
    const row = e % rows, x = across(Math.floor(e / rows), columns, width) + aside * (2 * row - 1);
    return { i, o, x, y: (size + 6) * (row + 0.5), size, lane: null };
  });
  return { boxes, height: rows * (size + 6) };
}

/**
 * A column for each input, a row for each output. Rows end in lanes beside the matrix that lead up to
 * their nodes, to the left or the right; the nearer a node is to the middle, the higher its row.
 */
function matrixOf(I, O, edges, width, height) {
  const pitch = Math.min(72, (width - 30 - 6 * O) / I, height / O), left = (width - pitch * I) / 2;
  const aside = o => across(o, O, width) - width / 2;
  const order = range(O).sort((a, b) => Math.abs(aside(a)) - Math.abs(aside(b)) || a - b);
  const boxes = edges.map(([i, o]) => {
    const row = order.indexOf(o), side = aside(o) < 0 ? -1 : 1;
    const lane = { side, x: width / 2 + side * ((pitch * I) / 2 + 5 + 3.5 * row) };
    return { i, o, x: left + pitch * (i + 0.5), y: pitch * (O - row - 0.5), size: pitch - 6, lane };
  });
  return { boxes, height: pitch * O };
}

/** Nodes by layer, and boxes, from the inputs below to the output above; y goes up. As high as it may. */
export function arrange(kan, width, height) {
  const most = Math.max(210, height / kan.layers.length - 70); // of a block
  const blocks = kan.layers.map(layer => blockOf(layer, width, most)), boxes = [], nodes = [];
  const room = height - 58 - blocks.reduce((sum, { height }) => sum + height, 0);
  const gap = clamp(room / 2 / blocks.length, 26, 56);
  let up = 34;
  const row = n => nodes.push(range(n).map(j => [across(j, n, width), up]));
  row(kan.widths[0]);
  blocks.forEach((block, l) => {
    const foot = up + gap, head = foot + block.height;
    up = head + gap;
    row(kan.widths[l + 1]);
    for (const box of block.boxes)
      boxes.push({ ...box, l, y: foot + box.y, foot, head, from: nodes[l][box.i], to: nodes[l + 1][box.o] });
  });
  return { boxes, nodes, height: up + 24 };
}

/** The line from a node to a box and on to the next node; through a matrix along column, row and lane. */
export function wire({ x, y, size, lane, foot, head, from, to }, height) {
  const half = size / 2, at = (x, y) => `${round(x, 1)} ${round(height - y, 1)}`;
  const rise = ([x0, y0], [x1, y1]) => {
    const middle = (y0 + y1) / 2;
    return `C${at(x0, middle)} ${at(x1, middle)} ${at(x1, y1)}`;
  };
  if (!lane)
    return `M${at(...from)}${rise(from, [x, y - half])}M${at(x, y + half)}${rise([x, y + half], to)}`;
  const out = lane.x, bend = 6 * lane.side;
  return `M${at(...from)}${rise(from, [x, foot])}L${at(x, y - half)}M${at(x + half * lane.side, y)}`
    + `L${at(out - bend, y)}Q${at(out, y)} ${at(out, y + 6)}L${at(out, head)}${rise([out, head], to)}`;
}
