// The arithmetic of one spline, as kanbook/splines.py. Letters as in the book: knots t, degree k,
// coefficients c.

import { dot, equal, range, sum } from "./numbers.js";

/** The j with t[j] <= x < t[j+1]; at the right end of the domain, the interval before; or -1. */
export function interval(x, t, k) {
  const end = t[t.length - 1 - k];
  for (let j = t.length - 2; j >= 0; j--)
    if (x === end ? t[j] < x && x <= t[j + 1] : t[j] <= x && x < t[j + 1]) return j;
  return -1;
}

/**
 * The k + 1 basis functions alive at x, where t[j] <= x < t[j+1]: values and slopes, from `at` on. A
 * function of degree p - 1 over the width of its support is a part of two of degree p, one falling and
 * one rising there (de Boor 2001, chapter X). For k functions at the ends, t needs k knots more.
 */
export function alive(x, t, k, j, values, slopes, at = 0) {
  values[at] = 1;
  slopes[at] = 0;
  for (let p = 1; p <= k; p++) {
    let rising = 0, before = 0;
    for (let r = 0; r < p; r++) {
      const left = t[j + r + 1 - p], right = t[j + r + 1], part = values[at + r] / (right - left);
      values[at + r] = rising + (right - x) * part;
      slopes[at + r] = p * (before - part);
      rising = (x - left) * part;
      before = part;
    }
    values[at + p] = rising;
    slopes[at + p] = p * before;
  }
}

export function basis(x, t, k, j = interval(x, t, k)) {
  const all = new Float64Array(t.length - 1 - k), values = new Float64Array(k + 1);
  if (j < 0) return all;
  alive(x, withMargin(t, k), k, j + k, values, new Float64Array(k + 1));
  return all.map((_, i) => values[i - (j - k)] ?? 0);
}

export const columnsOf = rows => range(rows[0].length).map(i => Float64Array.from(rows, row => row[i]));
export const evaluate = (x, c, t, k) => dot(c, basis(x, t, k));

export function uniformKnots(size, k, [a, b]) {
  const h = (b - a) / size;
  const knot = i => (i <= 0 ? a + i * h : i >= size ? b + (i - size) * h : a + i * h);
  return Array.from({ length: size + 2 * k + 1 }, (_, i) => knot(i - k));
}

/** Where coefficients are drawn, and lie on a straight curve: the means of the knots inside supports. */
export function centers(t, k) {
  return range(t.length - k - 1).map(i =>
    (k ? sum(t.slice(i + 1, i + k + 1)) / k : (t[i] + t[i + 1]) / 2));
}

/** k more knots on either side, at the distance of the outermost two. */
export function withMargin(inner, k) {
  const last = inner.length - 1, t = new Float64Array(inner.length + 2 * k);
  t.set(inner, k);
  for (let r = 1; r <= k; r++) {
    t[k - r] = inner[0] - r * (inner[1] - inner[0]);
    t[k + last + r] = inner[last] + r * (inner[last] - inner[last - 1]);
  }
  return t;
}

/** These breaks with others between them, so that there are `size` intervals: old ones stay if they can. */
export function divided(breaks, size) {
  const G = breaks.length - 1;
  return Float64Array.from({ length: size + 1 }, (_, g) => {
    const below = Math.min(Math.floor((g * G) / size), G - 1), weight = (g * G - below * size) / size;
    return weight === 0 ? breaks[below] : breaks[below] + weight * (breaks[below + 1] - breaks[below]);
  });
}

/**
 * Least squares: for each of several y the shortest c that minimizes |A c - y|, A given by its columns.
 * One-sided Jacobi turns pairs of columns until all are orthogonal: A V = U diag(s), hence
 * c = V diag(1/s) U' y. Directions with s <= noise * max(s) contribute nothing, and untouched columns
 * get exactly 0.
 */
export function leastSquares(columns, ys, noise) {
  const n = columns.length, { u, ys: z } = triangle(columns, ys);
  const v = u.map((_, i) => Float64Array.from(u, (_, j) => +(i === j)));
  for (let sweep = 0, turned = true; turned && sweep < 40; sweep++) {
    turned = false;
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        const alpha = dot(u[p], u[p]), beta = dot(u[q], u[q]), gamma = dot(u[p], u[q]);
        if (Math.abs(gamma) <= 1e-15 * Math.sqrt(alpha * beta)) continue;
        turned = true;
        const zeta = (beta - alpha) / (2 * gamma);
        const tan = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const cos = 1 / Math.hypot(1, tan), sin = cos * tan;
        for (const m of [u, v])
          for (let i = 0; i < m[p].length; i++) {
            const left = m[p][i], right = m[q][i];
            m[p][i] = cos * left - sin * right;
            m[q][i] = sin * left + cos * right;
          }
      }
  }
  const s2 = u.map(column => dot(column, column)), cut = noise ** 2 * Math.max(...s2);
  return z.map(y => {
    const w = u.map((column, i) => (s2[i] > cut ? dot(column, y) / s2[i] : 0));
    return columns.map((column, j) =>
      (column.some(value => value !== 0) ? sum(w.map((w, i) => w * v[i][j])) : 0));
  });
}

/** Householder reflections: n rows in place of many, for which the same c are best. */
function triangle(columns, ys) {
  const u = columns.map(column => Float64Array.from(column)), z = ys.map(y => Float64Array.from(y));
  const rows = z[0].length, n = Math.min(rows, u.length);
  for (let p = 0; p < n; p++) {
    const mirror = u[p].slice(p), size = Math.sqrt(dot(mirror, mirror));
    if (size === 0) continue;
    mirror[0] += mirror[0] < 0 ? -size : size;
    const scale = 2 / dot(mirror, mirror);
    for (const column of [...u.slice(p), ...z]) {
      let along = 0;
      for (let i = p; i < rows; i++) along += mirror[i - p] * column[i];
      for (let i = p; i < rows; i++) column[i] -= scale * along * mirror[i - p];
    }
  }
  return { u: u.map(column => column.slice(0, n)), ys: z.map(y => y.slice(0, n)) };
}

// Nodes and weights of Gauss-Legendre quadrature on [-1, 1], exact up to degree 11.
const GAUSS = [
  [0.2386191860831969, 0.467913934572691], [0.6612093864662645, 0.3607615730481386],
  [0.932469514203152, 0.1713244923791704],
].flatMap(([x, w]) => [[-x, w], [x, w]]);

/** Coefficients on knots t, degree k, of the best approximations on the whole domain of these curves. */
export function refine(curves, knots, degree, t, k = degree) {
  const start = t[k], end = t[t.length - 1 - k], x = [], weights = [];
  const breaks = [...knots, ...t].map(x => Math.min(Math.max(x, start), end)).sort((a, b) => a - b);
  for (let i = 1; i < breaks.length; i++) {
    const half = (breaks[i] - breaks[i - 1]) / 2;
    if (half > 0)
      for (const [node, w] of GAUSS) {
        x.push(breaks[i - 1] + half * (1 + node));
        weights.push(Math.sqrt(half * w));
      }
  }
  const rows = x.map(x => basis(x, t, k)), old = x.map(x => basis(x, knots, degree));
  const columns = columnsOf(rows).map(column => column.map((value, r) => weights[r] * value));
  const sizes = columns.map(column => Math.sqrt(dot(column, column)) || 1);
  const scaled = columns.map((column, i) => column.map(value => value / sizes[i]));
  const ys = curves.map(c => old.map((row, r) => weights[r] * dot(row, c)));
  const fits = leastSquares(scaled, ys, sizes.length * Number.EPSILON);
  return fits.map(c => c.map((value, i) => value / sizes[i]));
}

/** The same of one curve in its other form. */
export function refitted(shape, t, k) {
  if (k === shape.degree && equal(t, shape.knots)) return shape.coefs;
  return refine([shape.coefs], shape.knots, shape.degree, t, k)[0];
}

/** The knots of `shape` for another degree, grid size and domain: as _move_knots in playground.py. */
export function moveKnots(shape, { degree, grid_size, domain }) {
  const same = degree === shape.degree && grid_size === shape.grid_size && equal(domain, shape.domain);
  if (same) return shape.knots;
  const [a, b] = domain, [start, end] = shape.domain;
  const breaks = shape.knots
    .slice(shape.degree, shape.degree + shape.grid_size + 1)
    .map(t => (t < end ? Math.min(b, a + (b - a) * ((t - start) / (end - start))) : b));
  const inner = divided(breaks, grid_size);
  [inner[0], inner[grid_size]] = domain;
  return [...withMargin(inner, degree)];
}
