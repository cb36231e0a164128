// The inner loops of a layer's passes: one input or one edge, all samples. K = k + 1 basis functions are
// alive at each sample: `bases` and `slopes` hold K numbers for each, `first` the place of the first.

import { moments } from "./numbers.js";
import { alive, withMargin } from "./splines.js";

/** The basis functions alive at these x, their values and slopes; beyond the knots all are 0. */
export function tabulate(knots, k, x, first, bases, slopes) {
  const t = withMargin(knots, k); // so that no index leaves it
  const size = knots.length - k - 1, low = t[k], high = t[2 * k + size], end = t[k + size];
  const step = (high - low) / (size + k), K = k + 1;
  for (let s = 0; s < x.length; s++) {
    const v = x[s], from = s * K;
    if (!(v >= low && v < high) && v !== end) {
      first[s] = 0;
      bases.fill(v === v ? 0 : NaN, from, from + K);
      slopes.fill(0, from, from + K);
      continue;
    }
    let j = k + Math.floor((v - low) / step);
    while (t[j] > v) j--;
    while (t[j + 1] <= v) j++;
    if (v === end) j = k + size - 1; // the right end belongs to the domain's last interval
    alive(v, t, k, j, bases, slopes, from);
    const own = j - 2 * k; // the first alive, were there functions beyond the layer's
    first[s] = Math.max(0, Math.min(own, size - K));
    if (first[s] === own) continue;
    moveDown(bases, from, K, first[s] - own);
    moveDown(slopes, from, K, first[s] - own);
  }
}

/** Numbers move down by so many places (up if negative); zeros follow. */
function moveDown(values, start, count, places) {
  for (let m = 0; m < count; m++) {
    const r = places > 0 ? m : count - 1 - m, from = r + places;
    values[start + r] = from >= 0 && from < count ? values[start + from] : 0;
  }
}

// The cubic case is written out: a step of the KAN takes 1.7 times as long without.

/** The sum over j of c[p + j] * values[q + j]. */
function product(c, p, values, q, K) {
  if (K === 4)
    return c[p] * values[q] + c[p + 1] * values[q + 1] + c[p + 2] * values[q + 2] + c[p + 3] * values[q + 3];
  let total = 0;
  for (let j = 0; j < K; j++) total += c[p + j] * values[q + j];
  return total;
}

/** The values of an edge, whose coefficients begin at c[edge]. */
export function evaluate(c, edge, first, bases, K, values) {
  for (let s = 0; s < values.length; s++)
    values[s] = product(c, edge + first[s], bases, s * K, K);
}

/** From the slopes of the loss in an edge's values, g: those in its input, added to gx. */
export function addSlopes(c, edge, first, slopes, K, g, gx) {
  for (let s = 0; s < g.length; s++) gx[s] += g[s] * product(c, edge + first[s], slopes, s * K, K);
}

/** The same in its coefficients, added to the gradient. */
export function accumulate(g, first, bases, K, gradient, edge) {
  for (let s = 0, q = 0; s < g.length; s++, q += K) {
    const p = edge + first[s];
    if (K === 4) {
      gradient[p] += g[s] * bases[q];
      gradient[p + 1] += g[s] * bases[q + 1];
      gradient[p + 2] += g[s] * bases[q + 2];
      gradient[p + 3] += g[s] * bases[q + 3];
    } else for (let j = 0; j < K; j++) gradient[p + j] += g[s] * bases[q + j];
  }
}

export function silu(x, values, slopes) {
  for (let s = 0; s < x.length; s++) {
    const gate = 1 / (1 + Math.exp(-x[s]));
    values[s] = x[s] * gate;
    slopes[s] = gate * (1 + x[s] * (1 - gate));
  }
}

/** Adds the slopes of fade * sqrt(variance + 1e-6) in an edge's values, phi, to g. */
export function addFadeSlopes(phi, fade, g) {
  const [mean, variance] = moments(phi), n = phi.length, scale = fade / (n * Math.sqrt(variance + 1e-6));
  for (let s = 0; s < n; s++) g[s] += scale * (phi[s] - mean);
}
