// From curves to formulas, as kanbook/formulas.py: a function with a name in the place of a curve, where
// the whole network stays as good. What takes long is a generator that yields while it works, so that
// a page can go on; `yield*` hands that through.

import { CURVE, FUNCTION, MISSING, Layer, LevenbergMarquardt, Network, extendGrid, keep, lossOf, moments } from "./engine.js";
import { LIBRARY, NAMES, valueOf } from "./functions.js";

const sum = values => values.reduce((a, b) => a + b, 0);
const sortBy = (list, key) => list.sort((a, b) => key(a) - key(b)); // stable
const linspace = (a, b, n) => Array.from({ length: n }, (_, i) => a + ((b - a) * i) / (n - 1));
const logspace = (a, b, n) => linspace(a, b, n).map(v => 10 ** v);

// --- one curve

/** Fit every function to a curve: a and b from a table, c and d by least squares; by falling R^2. */
export function candidates(x, y) {
  const [meanY, varianceY] = moments(y), found = [], v = new Float64Array(x.length);
  for (const [name, f] of Object.entries(LIBRARY)) {
    let best = null;
    for (const [a, b] of starts(f, x)) {
      for (let s = 0; s < x.length; s++) v[s] = valueOf(f, a * x[s] + b);
      const [mean, variance] = moments(v);
      if (!Number.isFinite(mean) || !Number.isFinite(variance)) continue;
      let covariance = 0;
      for (let s = 0; s < x.length; s++) covariance += (v[s] - mean) * (y[s] - meanY);
      covariance /= x.length;
      const c = covariance / Math.max(variance, 1e-300), r2 = (c * covariance) / Math.max(varianceY, 1e-300);
      if (!best || r2 > best.r2) best = { name, r2, a, b, c, d: meanY - c * mean };
    }
    if (best) found.push(best);
  }
  return sortBy(found, one => -one.r2);
}

/** Pairs (a, b) to try, by what they make of the range of x. */
function starts({ free, domain: [near, far], signs }, x) {
  const low = Math.min(...x), high = Math.max(...x), center = (low + high) / 2, half = Math.max(high - low, 1e-12) / 2;
  if (free === "") return [[1, 0]];
  if (free === "a") return [1, -1].flatMap(sign => logspace(-1.5, 1.2, 28).map(a => [(sign * a) / half, 0]));
  if (free === "b")
    return signs.flatMap(sign => {
      const end = near - Math.min(sign * low, sign * high); // the range begins a little inside the domain, or far
      const shifts = near > -Infinity ? logspace(-2.5, 1.5, 24).map(b => b * half + end) : linspace(-3, 3, 61).map(b => half * b - center);
      return shifts.map(b => [sign, b]);
    });
  let middle = 0, widths = logspace(-1, 1.1, 40), middles = linspace(-3.2, 3.2, 25);
  if (near > -Infinity) {
    const reach = (far - near) / 2;
    middle = (near + far) / 2;
    widths = linspace(0.05, 0.995, 24).map(w => w * reach);
    middles = linspace(-0.95, 0.95, 15).map(m => m * reach);
  }
  return widths.flatMap(h => middles.map(m => [h / half, middle + m - (h * center) / half]));
}

/** A copy whose edges may be functions: every layer has a bias. */
export function named(net) {
  return Network.of(net.layers.map(layer => {
    const one = new Layer(layer.inputs, layer.outputs, layer.degree, layer.grids, layer.parts({ bias: true, named: true }));
    one.theta = new Float64Array(one.length);
    one.theta.set(layer.theta.subarray(0, layer.at.bias));
    if (layer.bias) one.theta.set(layer.theta.subarray(layer.at.bias, layer.at.constants), one.at.bias);
    if (layer.named) one.theta.set(layer.theta.subarray(layer.at.constants), one.at.constants);
    return one;
  }));
}

/** Replace the curve of an edge by a function; in place, of a network from `named`. */
export function put(net, [l, i, o], { name, a, b, c, d }) {
  const layer = net.layers[l], e = i * layer.outputs + o;
  layer.kind[e] = FUNCTION;
  layer.names[e] = NAMES.indexOf(name);
  layer.theta.set([c, a, b], layer.at.constants + 3 * e);
  layer.theta[layer.at.bias + o] += d;
  layer.coefOf(i, o).fill(0);
  net.refresh();
  return net;
}

/** At most so many steps of Levenberg-Marquardt; returns the mean squared error. */
export function* refit(net, data, steps) {
  const tape = net.tape(data.x, data.n), losses = [];
  const updater = steps > 0 ? new LevenbergMarquardt(net, tape, data.y) : null;
  for (let step = 0; step < steps; step++) {
    losses.push(updater.linearize());
    const loss = losses.at(-1), slow = losses.length > 3 && loss > 0.97 * losses.at(-4);
    if (slow || !(1e-30 < loss && loss < Infinity)) break;
    updater.step();
    yield;
  }
  const loss = lossOf(tape, data.y);
  return Number.isFinite(loss) ? loss : Infinity;
}

/** Run a generator to its end. */
export function finish(work) {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

// --- as good as the curves

/** How good a network of curves is, and so how good a formula has to be: as Standard. */
export class Standard {
  constructor(data) {
    this.data = data;
    this.spread = moments(data.y)[1];
    this.noisy = false;
  }

  *measure(net, doublings) {
    const { data } = this;
    this.net = net.copy();
    this.best = yield* refit(this.net, data, 30);
    for (let d = 0; d < doublings; d++) {
      const coarse = this.net, fine = coarse.copy();
      this.loss = this.best;
      this.numbers = coarse.count();
      extendGrid(fine, data.x, data.n, 2 * coarse.layers[0].grid_size);
      this.best = yield* refit(fine, data, 20);
      const without = (loss, one) => (loss * data.n) / Math.max(data.n - one.count(), 1);
      const before = without(this.loss, coarse), after = without(this.best, fine);
      this.net = fine;
      this.variance = Math.min(before, after);
      if (after > 0.5 * before) {
        const out = fine.predict(data.x, data.n);
        this.noisy = !neighborsAgree(data, data.y.map((y, s) => y - out[s]));
        if (this.noisy) this.net = coarse;
        break;
      }
    }
    return this;
  }

  allows(loss, net, complete = false) {
    if (this.noisy) {
      const fewer = Math.max(this.numbers - net.count(), 0), more = fewer + 3 * Math.sqrt(2 * fewer);
      return loss <= this.loss + (this.variance * more) / this.data.n;
    }
    if (complete) return loss <= 0.01 * this.best || this.exact(loss);
    return loss <= 30 * Math.max(this.best, 1e-9 * this.spread);
  }

  /** Goodness and simplicity in one number, the lower the better. */
  score(loss, net) {
    const { n } = this.data, [weight, floor] = this.noisy ? [n, 1e-9] : [10, 1e-18];
    const prices = sum(net.layers.flatMap(layer => [...layer.kind].map((kind, e) => (kind === FUNCTION ? LIBRARY[NAMES[layer.names[e]]].price : 0))));
    return weight * Math.log(loss / this.spread + floor) + Math.log(n) * (net.count() + prices);
  }

  exact(loss) {
    return loss < 1e-20 * this.spread;
  }
}

/** Whether residuals of nearest neighbors are correlated: then they are no noise. */
function neighborsAgree({ x, n }, residuals) {
  const inputs = x.length / n, columns = Array.from({ length: inputs }, (_, i) => x.subarray(i * n, (i + 1) * n));
  const scales = columns.map(column => Math.sqrt((moments(column)[1] * n) / (n - 1)));
  const [mean, variance] = moments(residuals), spread = Math.sqrt((variance * n) / (n - 1));
  const r = residuals.map(v => (v - mean) / spread);
  let agreement = 0;
  for (let s = 0; s < n; s++) {
    let nearest = -1, least = Infinity;
    for (let q = 0; q < n; q++) {
      let distance = 0;
      columns.forEach((column, i) => (distance += ((column[s] - column[q]) / scales[i]) ** 2));
      if (q !== s && distance < least) [nearest, least] = [q, distance];
    }
    agreement += (r[s] * r[nearest]) / n;
  }
  return agreement > 4 / Math.sqrt(n);
}

/** Whether edges into a node almost take each other away. */
function cancels(net, { x, n }) {
  const tape = net.tape(x, n);
  tape.forward();
  return net.layers.some((layer, l) => {
    const { phi, y } = tape.parts[l], spread = (values, p) => Math.sqrt(moments(values, p * n, n)[1]);
    return Array.from({ length: layer.outputs }, (_, o) => o).some(o => {
      let edges = 0;
      for (let i = 0; i < layer.inputs; i++) edges += spread(phi, i * layer.outputs + o);
      return edges / spread(y, o) > 30;
    });
  });
}

/** Take away nodes (or edges), the weakest first, without which the network is as good. */
function* peel(net, data, standard, parts) {
  for (let refused = 0; ;) {
    const spreads = net.observe(data.x, data.n).map(layer => layer.spreads), found = [];
    net.layers.forEach((layer, l) => {
      const { inputs: I, outputs: O } = layer;
      if (parts === "nodes" && l > 0)
        for (let i = 0; i < I; i++) {
          const edges = Array.from({ length: O }, (_, o) => i * O + o);
          found.push({ weight: sum(edges.map(e => spreads[l][e])), l, edges });
        }
      else if (parts === "edges") spreads[l].forEach((weight, e) => weight && found.push({ weight, l, edges: [e] }));
    });
    sortBy(found, one => one.weight);
    let better = null;
    for (const { l, edges } of found.slice(refused)) {
      const alive = spreads.map(layer => Uint8Array.from(layer, s => +(s > 0)));
      edges.forEach(e => (alive[l][e] = 0));
      const trial = keep(net, data.x, data.n, alive);
      if (trial && standard.allows(yield* refit(trial, data, 20), trial) && !cancels(trial, data)) {
        better = trial;
        break;
      }
      refused++;
    }
    if (!better) return net;
    net = better;
  }
}

/** The same function with hidden nodes that run from -1 to 1, ready for functions. */
function normalized(net, { x, n }) {
  net = named(net);
  net.layers.slice(0, -1).forEach((layer, l) => {
    const following = net.layers[l + 1], { at, theta, outputs: O } = layer, tape = net.tape(x, n);
    if (following.baseWeight) return; // a fixed function, which cannot move
    tape.forward();
    const { y } = tape.parts[l];
    following.grids = [...following.grids];
    for (let o = 0; o < O; o++) {
      if (following.kind.subarray(o * following.outputs, (o + 1) * following.outputs).includes(FUNCTION)) continue;
      const values = y.subarray(o * n, (o + 1) * n), low = Math.min(...values), high = Math.max(...values);
      const center = (high + low) / 2, half = Math.max(high - low, 1e-12) / 2;
      for (let i = 0; i < layer.inputs; i++) {
        const e = i * O + o;
        layer.coefOf(i, o).forEach((c, j, coef) => (coef[j] = c / half));
        theta[at.constants + 3 * e] /= half;
        if (layer.baseWeight) theta[at.baseWeight + e] /= half;
      }
      theta[at.bias + o] = (theta[at.bias + o] - center) / half;
      following.grids[o] = following.grids[o].map(t => (t - center) / half);
    }
  });
  return net;
}

// --- snap

/** What is known of an edge's curve: fitted functions by falling R^2. */
function curveCandidates(net, [l, i, o], data) {
  const tape = net.tape(data.x, data.n);
  tape.forward();
  const values = tape.parts[l].x.subarray(i * data.n, (i + 1) * data.n);
  const points = Float64Array.of(...values.subarray(0, 300), Math.min(...values), Math.max(...values));
  return candidates(points, net.layers[l].curve(i, o, points));
}

/**
 * All functions get a short refit in the place of an edge's curve, the better ones a longer. Returns
 * the tried, best score first in each round: { start, net, loss, kept }.
 */
export function* tryEdge(state, edge, data, standard) {
  let tried = [];
  for (const start of curveCandidates(state.net, edge, data)) {
    const net = put(state.net.copy(), edge, start), loss = yield* refit(net, data, 3);
    tried.push({ start, net, loss });
    if (start.name === "x") {
      const longer = yield* refit(net, data, 8);
      if (longer <= Math.max(state.loss, 1e-20 * standard.spread)) break; // nothing is simpler than a line
    }
  }
  const dropped = [];
  for (const [steps, most, margin] of [[0, 6, 200], [8, 3, 60], [25, 3, Infinity]]) {
    for (const one of tried) one.loss = yield* refit(one.net, data, steps);
    tried = tried.filter(one => one.loss < Infinity);
    for (const one of tried) one.score = standard.score(one.loss, one.net);
    sortBy(tried, one => one.score);
    const bar = Math.min(...tried.map(one => one.score)) + margin;
    const kept = tried.slice(0, most).filter(one => one.score < bar);
    dropped.unshift(...tried.slice(kept.length));
    tried = kept;
  }
  return { tried, dropped };
}

function* children(state, edge, data, standard) {
  const { tried } = yield* tryEdge(state, edge, data, standard);
  return tried.filter(one => standard.allows(one.loss, one.net))
    .map(({ net, loss, score, start }) => ({ net, loss, score, snaps: [...state.snaps, { edge, name: start.name }] }));
}

/** Edge by edge; keep the best few networks. */
function* search(first, order, data, standard, beam) {
  let states = [{ ...first, net: first.net.copy(), score: Infinity, snaps: [] }];
  for (const [number, edge] of order.entries()) {
    yield { done: number, of: order.length, edge };
    let found = [];
    for (const state of states) found = found.concat(yield* children(state, edge, data, standard));
    if (!found.length) {
      states.forEach(state => state.snaps.push({ edge, name: null }));
      continue;
    }
    sortBy(found, child => child.score);
    states = found.slice(0, standard.exact(found[0].loss) ? 1 : beam).filter(child => child.score < found[0].score + 60);
  }
  states[0].loss = yield* refit(states[0].net, data, 100);
  return states[0];
}

/**
 * Snap all curves: as kanbook.formulas.snap. Data: { x, y, n }. Yields { done, of, edge } now and then;
 * returns { net, loss, best, complete, snaps }, `best` the loss of the curves.
 */
export function* snapAll(net, data, beam = 3) {
  const standard = yield* new Standard(data).measure(net, 2);
  net = yield* peel(yield* peel(standard.net, data, standard, "nodes"), data, standard, "edges");
  net = normalized(net, data);
  const first = { net, loss: yield* refit(net, data, 20) }, order = net.edges(CURVE);
  let found, complete = false;
  for (const each of [[...order].reverse(), order]) {
    found = yield* search(first, each, data, standard, beam);
    complete = !found.net.edges(CURVE).length && standard.allows(found.loss, found.net, true);
    if (!complete) continue;
    yield* roundNumbers(found, data, standard);
    break;
  }
  return { ...found, best: standard.best, complete };
}

/** Drop functions that are not needed; fix numbers at 0, 1 or a readable one if that is free: as _round. */
function* roundNumbers(state, data, standard) {
  const now = place => state.net.theta[place];
  function* accept(net) {
    const loss = yield* refit(net, data, 25);
    let good = loss <= Math.max(3 * state.loss, 1e-20 * standard.spread);
    if (standard.noisy) {
      const fewer = state.net.count() - net.count();
      good = data.n * Math.log(loss / state.loss) <= Math.log(data.n) * fewer;
    }
    if (!good || cancels(net, data)) return false;
    Object.assign(state, { net, loss });
    return true;
  }
  function* fix({ layer, place }, value) {
    const net = state.net.copy(), old = now(net.layers[layer].start + place);
    const set = number => (net.layers[layer].theta[place] = number);
    net.layers[layer].fixed.add(place);
    net.refresh();
    if (Math.abs(value - old) > 0.05 * Math.abs(old) && 0.05 * Math.abs(old) > 1e-10)
      for (const share of [0.3, 0.6]) { // a long way, in three parts
        set(old + share * (value - old));
        yield* refit(net, data, 4);
      }
    set(value);
    return yield* accept(net);
  }
  const order = ([l, i, o]) => state.snaps.findIndex(({ edge }) => String(edge) === String([l, i, o]));
  const functions = () => sortBy(state.net.edges(FUNCTION), order);
  /** Numbers that may still change, biases and b (shifts) or a and c: biases, then b, a, c by layer. */
  function places(...shifts) {
    const found = [];
    state.net.layers.forEach((layer, l) => {
      for (let o = 0; o < layer.outputs; o++) found.push({ layer: l, place: layer.at.bias + o, shift: true, rank: -1 });
      for (const part of [2, 1, 0])
        for (const [, i, o] of functions().filter(edge => edge[0] === l))
          found.push({ layer: l, place: layer.at.constants + 3 * (i * layer.outputs + o) + part, shift: part === 2, rank: l });
    });
    return sortBy(found.filter(({ layer, place, shift }) => shifts.includes(shift) && state.net.layers[layer].isFree(place)), one => one.rank);
  }
  const value = ({ layer, place }) => now(state.net.layers[layer].start + place);

  for (const l of state.net.layers.keys())
    for (const [, i, o] of functions().filter(edge => edge[0] === l).reverse()) {
      const net = state.net.copy(), layer = net.layers[l], e = i * layer.outputs + o;
      layer.kind[e] = MISSING;
      layer.theta.fill(0, layer.at.constants + 3 * e, layer.at.constants + 3 * e + 3);
      net.refresh();
      yield* accept(net);
    }
  for (const place of places(true)) yield* fix(place, 0);
  for (const place of places(false)) {
    const sign = Math.sign(value(place)) || 1;
    if (!(yield* fix(place, sign))) yield* fix(place, -sign);
  }
  for (const place of places(true, false))
    for (const number of readable(value(place))) if (yield* fix(place, number)) break;
}

/** Fractions and parts of pi within 2 %, the simplest first. */
function readable(value) {
  return [1, Math.PI].flatMap(unit => [1, 2, 3, 4, 5, 6, 8, 10].flatMap(q => {
    const p = Math.round((value / unit) * q);
    return p && Math.abs((p * unit) / q - value) <= 0.02 * Math.abs(value) ? [(p * unit) / q] : [];
  }));
}
