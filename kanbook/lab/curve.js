// The state of one curve: five traits, one spline; as SplinePlayground._settle.

import { clamp, dot, ends, equal, evenly, list, sum } from "./numbers.js";
import {
  basis, columnsOf, evaluate, leastSquares, moveKnots, refitted, uniformKnots,
} from "./splines.js";

export const FIELDS = ["degree", "grid_size", "domain", "knots", "coefs"];
export const MAX_DEGREE = 5, MAX_GRID = 20;
export const isDomain = ([a, b]) => Math.abs(a) <= 1000 && Math.abs(b) <= 1000 && b - a >= 0.01;
const read = model => Object.fromEntries(FIELDS.map(name => [name, model.get(name)]));

/** Whether the curve is what a change of degree, grid or domain made of `shape`. */
function isRefit(curve, shape) {
  const near = (a, b) => a.every((x, i) => Math.abs(x - b[i]) <= 1e-6 * (1 + Math.abs(x)));
  const { knots, coefs, degree } = curve;
  return near(moveKnots(shape, curve), knots) && near(refitted(shape, knots, degree), coefs);
}

/** What all views of one widget share: the shaped curve that refits start from, and the history. */
export class Curve {
  constructor(model) {
    this.now = this.shape = this.first = read(model);
    this.past = [];
    this.future = [];
    this.held = null; // while a drag or a descent goes on: what ends it
    this.fresh = true; // the next change starts a step of the history
    this.last = 0;
    for (const name of FIELDS) model.on(`change:${name}`, () => this.settle(model));
  }

  /** A gesture begins: one step of the history, until release() calls `end`. */
  hold(end) {
    this.release();
    this.fresh = true;
    this.held = end;
  }

  release() {
    const end = this.held;
    if (!end) return;
    this.held = null;
    this.fresh = true;
    end();
  }

  /** Make the traits one spline again, after a view, a link or the kernel set some of them. */
  settle(model) {
    const { now: old, shape } = this, now = read(model);
    if (equal(now, old)) return;
    const degree = clamp(Math.round(now.degree), 0, MAX_DEGREE);
    const grid_size = clamp(Math.round(now.grid_size), 1, MAX_GRID);
    let { domain, knots, coefs } = now;
    if (!isDomain(domain)) domain = old.domain;
    const given = !equal(knots, old.knots) && knots.length === grid_size + 2 * degree + 1;
    const resized = !equal([degree, grid_size, domain], [old.degree, old.grid_size, old.domain]);
    if (resized) this.release(); // what is dragged may be another handle now
    if (!given) knots = resized ? moveKnots(shape, { degree, grid_size, domain }) : old.knots;
    const keeps = coefs.length === knots.length - degree - 1;
    const refits = !keeps || (resized && !given && equal(coefs, old.coefs));
    if (refits) coefs = refitted(shape, knots, degree);
    domain = [knots[degree], knots[knots.length - 1 - degree]];
    this.remember();
    this.now = { degree, grid_size, domain, knots, coefs };
    if (!refits && !isRefit(this.now, shape)) this.shape = this.now;
    model.set(this.now);
  }

  remember() {
    const time = Date.now();
    if (this.fresh || (!this.held && time - this.last > 600)) {
      this.past.push([this.now, this.shape]);
      this.future = [];
    }
    this.fresh = false;
    this.last = time;
  }

  /** Undo: travel(model, past, future). Redo: travel(model, future, past). */
  travel(model, from, to) {
    if (!from.length) return;
    this.release();
    to.push([this.now, this.shape]);
    [this.now, this.shape] = from.pop();
    this.fresh = true;
    model.set(this.now);
    model.save_changes();
  }

  // --- arithmetic of the curve as it is, at points [x, y]

  points() {
    const { domain: [a, b], knots, degree, coefs } = this.now;
    return Array.from(evenly(a, b, 101), x => [x, evaluate(x, coefs, knots, degree)]);
  }

  /** The window of a plot: the domain with what fits beyond it, the heights of curve and samples. */
  window(samples) {
    const { domain: [a, b], degree: k, coefs: c, grid_size } = this.now, w = b - a, h = w / grid_size;
    const beyond = Math.max(((k - 1) / 2) * h + 0.04 * w, Math.min(k * h, 0.6 * w), 0.08 * w);
    const [low, high] = ends([...this.points(), ...samples].map(([, y]) => y)), [least, most] = ends(c);
    const room = 0.6 * (high - low) + 0.2;
    return {
      x0: a - beyond, x1: b + beyond,
      y0: Math.min(-1.2, low - 0.1, Math.max(least - 0.1, low - room)),
      y1: Math.max(1.2, high + 0.1, Math.min(most + 0.1, high + room)),
    };
  }

  /** The largest distance from the curve that was shaped by hand. */
  gap() {
    const { knots, degree, coefs } = this.shape;
    return Math.max(...this.points().map(([x, y]) => Math.abs(y - evaluate(x, coefs, knots, degree))));
  }

  matrix(points) {
    return points.map(([x]) => basis(x, this.now.knots, this.now.degree));
  }

  rms(points) {
    const squares = this.matrix(points).map((row, i) => (dot(row, this.now.coefs) - points[i][1]) ** 2);
    return Math.sqrt(sum(squares) / points.length);
  }

  fitted(points) {
    const rows = this.matrix(points), noise = Math.max(rows.length, rows[0].length) * Number.EPSILON;
    return leastSquares(columnsOf(rows), [points.map(([, y]) => y)], noise)[0];
  }

  /** A function that makes one step of gradient descent on the squared error, as large as is safe. */
  descent(points) {
    const rows = this.matrix(points), columns = columnsOf(rows);
    // No eigenvalue of A'A exceeds the largest column sum of A, as the rows of A sum to one at most.
    const largest = Math.max(...columns.map(sum));
    return c => {
      const residuals = rows.map((row, n) => dot(row, c) - points[n][1]);
      return c.map((value, j) => value - dot(columns[j], residuals) / largest);
    };
  }
}

export function pythonOf({ degree, grid_size, domain, knots, coefs }) {
  const width = domain[1] - domain[0];
  const uniform = uniformKnots(grid_size, degree, domain);
  const even = knots.every((t, i) => Math.abs(t - uniform[i]) < 1e-12 * width);
  const tidy = knots.map(t => (Math.abs(t) < 1e-12 * width ? 0 : t)); // no 5.55e-17
  const exact = "dtype=torch.float64", limits = domain.join(", ");
  return `import torch
from kanbook import splines\n
knots = ${even ? `splines.uniform_knots(${grid_size}, ${degree}, (${limits}), ` : `torch.tensor(${list(tidy)}, `}${exact})
coef = torch.tensor(${list(coefs)}, ${exact})
x = torch.linspace(${limits}, 201, ${exact})
y = splines.evaluate(x, coef, knots, ${degree})
`;
}
