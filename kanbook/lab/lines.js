// Splines as lines of a drawing, exact at knots and jumps.

import { basis } from "./splines.js";

/** Points x from x0 to x1 with the functions alive there, by interval; `unit`: pixels of one x. */
export function tabulate(t, k, [x0, x1], unit) {
  const edges = [-Infinity, ...t, Infinity];
  return edges.slice(1).flatMap((edge, e) => {
    const start = Math.max(edges[e], x0), end = Math.min(edge, x1), j = e - 1;
    if (!(start < end)) return [];
    const first = Math.max(0, j - k);
    const count = k < 2 ? 1 : Math.max(3, Math.ceil((unit * (end - start)) / 3));
    const points = Array.from({ length: count + 1 }, (_, i) => {
      const x = i === count ? end : start + ((end - start) * i) / count;
      return [x, basis(x, t, k, j).slice(first, j + 1)];
    });
    return [{ first, points }];
  });
}

/** One value for each of these points, from the functions alive there: a line with its jumps. */
export function path(pieces, value) {
  let d = "", before = NaN;
  for (const { first, points } of pieces)
    points.forEach(([x, b], i) => {
      const y = value(b, first);
      if (y === undefined) return;
      d += `${i || Math.abs(y - before) < 1e-9 ? "L" : "M"}${x} ${y}`;
      before = y;
    });
  return d;
}

/** For `path`: the sum of functions times c. */
export const sumOf = c => (b, first) => b.reduce((sum, value, i) => sum + value * c[first + i], 0);
