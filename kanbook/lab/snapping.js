// From curves to formulas, as kanbook/snapping.py: a function in the place of a curve, where the network
// stays as good. What takes long is a generator that yields while it works, so that a page can go on.

import { candidates } from "./functions.js";
import { extendGrid } from "./grids.js";
import { CURVE, FUNCTION, Layer, MISSING } from "./layer.js";
import { Network } from "./network.js";
import { deviation, ends, moments, range, rowsOf, sum } from "./numbers.js";
import { LevenbergMarquardt, lossOf } from "./optimizers.js";
import { keep } from "./pruning.js";
import { SEARCH } from "./search.js"; // the numbers of kanbook/snapping.py, which bundle.py writes

const sortBy = (list, key) => list.sort((a, b) => key(a) - key(b));

/** A copy whose edges may be functions: every layer has a bias. */
export function named(net) {
  return new Network(net.layers.map(layer => new Layer({
    ...layer, bias: layer.bias ?? new Float64Array(layer.outputs),
    constants: layer.constants ?? new Float64Array(3 * layer.kind.length),
  })));
}

/** Replace the curve of an edge by a function; in place, of a network from `named`. */
function put(net, [l, i, o], { name, a, b, c, d }) {
  const layer = net.layers[l];
  layer.setFunction(i * layer.outputs + o, name, [c, a, b]);
  layer.bias[o] += d;
  layer.coefOf(i, o).fill(0);
  net.refresh();
  return net;
}

/** At most so many steps of Levenberg-Marquardt; returns the mean squared error. */
export function* refit(net, data, steps) {
  const tape = net.tape(data.x, data.n), losses = [];
  const updater = steps > 0 ? new LevenbergMarquardt(net, tape, data.y) : null;
  for (let step = 0; step < steps; step++) {
    losses.push(yield* updater.linearize());
    const loss = losses.at(-1), slow = losses.length > 3 && loss > SEARCH.slow * losses.at(-4);
    if (slow || !(SEARCH.least < loss && loss < Infinity)) break;
    yield* updater.step();
    yield;
  }
  const loss = lossOf(tape, data.y);
  return Number.isFinite(loss) ? loss : Infinity;
}

// --- as good as the curves

/** How good a network of curves is, and so how good a formula has to be: as Standard. */
export class Standard {
  constructor(data) {
    this.data = data;
    this.spread = moments(data.y)[1];
    this.rounding = SEARCH.exact * this.spread;
    this.noisy = false;
  }

  *measure(net, doublings) {
    const { data } = this;
    this.net = net.copy();
    this.best = yield* refit(this.net, data, SEARCH.curve_steps);
    for (let d = 0; d < doublings; d++) {
      const coarse = this.net, fine = coarse.copy();
      this.loss = this.best;
      this.numbers = coarse.count();
      extendGrid(fine, data.x, data.n, 2 * coarse.layers[0].grid_size);
      this.best = yield* refit(fine, data, SEARCH.grid_steps);
      // What a network without a free number would leave.
      const [before, after] = [[this.loss, coarse], [this.best, fine]]
        .map(([loss, net]) => (loss * data.n) / Math.max(data.n - net.count(), 1));
      this.net = fine;
      this.variance = Math.min(before, after);
      if (after > SEARCH.halved * before) {
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
      const fewer = Math.max(this.numbers - net.count(), 0), more = fewer + SEARCH.chance * Math.sqrt(2 * fewer);
      return loss <= this.loss + (this.variance * more) / this.data.n;
    }
    if (complete) return loss <= SEARCH.complete * this.best || this.exact(loss);
    return loss <= SEARCH.worse * Math.max(this.best, SEARCH.floor * this.spread);
  }

  /** Goodness and simplicity in one number, the lower the better. */
  score(loss, net) {
    const { n } = this.data, { noisy_floor, clean_floor, clean_weight } = SEARCH;
    const [weight, floor] = this.noisy ? [n, noisy_floor] : [clean_weight, clean_floor];
    const prices = sum(net.edges(FUNCTION).map(edge => net.functionOf(edge).f.price));
    return weight * Math.log(loss / this.spread + floor) + Math.log(n) * (net.count() + prices);
  }

  exact(loss) {
    return loss < this.rounding;
  }
}

/** Whether residuals of nearest neighbors are correlated: then they are no noise. */
function neighborsAgree({ x, n }, residuals) {
  const columns = rowsOf(x, n), unbiased = values => Math.sqrt((moments(values)[1] * n) / (n - 1));
  const scales = columns.map(unbiased), [mean] = moments(residuals), spread = unbiased(residuals);
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
  return agreement > SEARCH.correlated / Math.sqrt(n);
}

/** Whether edges into a node almost take each other away. */
function cancels(net, { x, n }) {
  const tape = net.passed(x, n);
  return net.layers.some((layer, l) => {
    const { phi, y } = tape.parts[l];
    return y.some((values, o) => {
      const edges = phi.filter((_, e) => e % layer.outputs === o);
      return sum(edges.map(deviation)) / deviation(values) > SEARCH.cancel;
    });
  });
}

/** Take away nodes (or edges), the weakest first, without which the network is as good. */
function* peel(net, data, standard, parts) {
  for (let refused = 0; ;) {
    const spreads = net.observe(data.x, data.n).map(layer => layer.spreads);
    const found = net.layers.flatMap(({ inputs, outputs: O }, l) => {
      if (parts === "edges") return range(inputs * O).filter(e => spreads[l][e]).map(e => ({ l, edges: [e] }));
      return l === 0 ? [] : range(inputs).map(i => ({ l, edges: range(O).map(o => i * O + o) }));
    });
    sortBy(found, ({ l, edges }) => sum(edges.map(e => spreads[l][e])));
    let better = null;
    for (const { l, edges } of found.slice(refused)) {
      const alive = spreads.map(layer => Uint8Array.from(layer, s => +(s > 0)));
      edges.forEach(e => (alive[l][e] = 0));
      const trial = keep(net, data.x, data.n, alive);
      if (trial && standard.allows(yield* refit(trial, data, SEARCH.trial_steps), trial) && !cancels(trial, data)) {
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
    const following = net.layers[l + 1], { outputs: O } = layer;
    if (following.baseWeight) return; // a fixed function, which cannot move
    net.passed(x, n).parts[l].y.forEach((values, o) => {
      if (range(following.outputs).some(p => following.kind[o * following.outputs + p] === FUNCTION)) return;
      const [low, high] = ends(values);
      const center = (high + low) / 2, half = Math.max(high - low, 1e-12) / 2;
      for (let i = 0; i < layer.inputs; i++) {
        const e = i * O + o;
        layer.coefOf(i, o).forEach((c, j, coef) => (coef[j] = c / half));
        layer.constants[3 * e] /= half;
        if (layer.baseWeight) layer.baseWeight[e] /= half;
      }
      layer.bias[o] = (layer.bias[o] - center) / half;
      following.knots[o] = following.knots[o].map(t => (t - center) / half);
    });
  });
  return net;
}

/** Functions fitted to an edge's curve by falling R^2. */
function curveCandidates(net, [l, i, o], data) {
  const values = net.passed(data.x, data.n).parts[l].x[i], some = values.subarray(0, SEARCH.points);
  const points = Float64Array.of(...some, ...ends(values));
  return candidates(points, net.layers[l].curve(i, o, points));
}

/** All functions get a short refit in the place of a curve, the better ones a longer; best first. */
export function* tryEdge(state, edge, data, standard) {
  let tried = [];
  for (const start of curveCandidates(state.net, edge, data)) {
    const net = put(state.net.copy(), edge, start), loss = yield* refit(net, data, SEARCH.first_steps);
    tried.push({ start, net, loss });
    if (start.name === "x") {
      const longer = yield* refit(net, data, SEARCH.line_steps);
      if (longer <= Math.max(state.loss, standard.rounding)) break; // nothing is simpler than a line
    }
  }
  const dropped = [];
  for (const [steps, most, margin] of SEARCH.rounds) {
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

/** Edge by edge, with the best few networks. */
function* search(first, order, data, standard) {
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
    const most = standard.exact(found[0].loss) ? 1 : SEARCH.beam, worst = found[0].score + SEARCH.margin;
    states = found.slice(0, most).filter(child => child.score < worst);
  }
  states[0].loss = yield* refit(states[0].net, data, SEARCH.end_steps);
  return states[0];
}

/** As kanbook.formulas.snap. Returns { net, loss, best, complete, snaps }, `best` the loss of the curves. */
export function* snapAll(net, data) {
  const standard = yield* new Standard(data).measure(net, SEARCH.doublings);
  net = yield* peel(yield* peel(standard.net, data, standard, "nodes"), data, standard, "edges");
  net = normalized(net, data);
  const first = { net, loss: yield* refit(net, data, SEARCH.start_steps) }, order = net.edges(CURVE);
  let found, complete = false;
  for (const each of [[...order].reverse(), order]) {
    found = yield* search(first, each, data, standard);
    complete = !found.net.edges(CURVE).length && standard.allows(found.loss, found.net, true);
    if (!complete) continue;
    yield* roundNumbers(found, data, standard);
    break;
  }
  return { ...found, best: standard.best, complete };
}

/** Drop functions that are not needed; fix numbers at 0, 1 or a readable one if that is free: as Search.round. */
function* roundNumbers(state, data, standard) {
  function* accept(net) {
    const loss = yield* refit(net, data, SEARCH.round_steps);
    let good = loss <= Math.max(SEARCH.worse_rounded * state.loss, standard.rounding);
    if (standard.noisy) {
      const fewer = state.net.count() - net.count();
      good = data.n * Math.log(loss / state.loss) <= Math.log(data.n) * fewer;
    }
    if (!good || cancels(net, data)) return false;
    Object.assign(state, { net, loss });
    return true;
  }
  const value = ({ l, part, p }) => state.net.layers[l][part][p];
  function* fix({ l, part, p }, value) {
    const net = state.net.copy(), layer = net.layers[l], old = layer[part][p];
    layer.fixed[part][p] = 1;
    net.refresh();
    const little = SEARCH.far * Math.abs(old);
    if (Math.abs(value - old) > little && little > SEARCH.near_zero)
      for (const share of SEARCH.shares) {
        layer[part][p] = old + share * (value - old);
        yield* refit(net, data, SEARCH.part_steps);
      }
    layer[part][p] = value;
    return yield* accept(net);
  }
  const order = ([l, i, o]) => state.snaps.findIndex(({ edge }) => String(edge) === String([l, i, o]));
  const functions = l => sortBy(state.net.edges(FUNCTION).filter(edge => edge[0] === l), order);
  /** Numbers that may still change, shifts (biases and b) or scales (a and c): biases, then by layer. */
  function places(...shifts) {
    const biases = state.net.layers.flatMap(({ outputs }, l) =>
      range(outputs).map(p => ({ l, part: "bias", p, shift: true })));
    const constants = state.net.layers.flatMap(({ outputs }, l) => [2, 1, 0].flatMap(number =>
      functions(l).map(([, i, o]) =>
        ({ l, part: "constants", p: 3 * (i * outputs + o) + number, shift: number === 2 }))));
    return [...biases, ...constants].filter(({ l, part, p, shift }) =>
      shifts.includes(shift) && state.net.layers[l].free[part][p]);
  }

  for (const l of state.net.layers.keys())
    for (const [, i, o] of functions(l).reverse()) {
      const net = state.net.copy(), layer = net.layers[l], e = i * layer.outputs + o;
      layer.kind[e] = MISSING;
      layer.constants.fill(0, 3 * e, 3 * e + 3);
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

/** Fractions and parts of pi near a number, the simplest first. */
function readable(value) {
  const all = [1, Math.PI].flatMap(unit =>
    SEARCH.denominators.map(q => (Math.round((value / unit) * q) * unit) / q));
  return all.filter(number => number && Math.abs(number - value) <= SEARCH.readable * Math.abs(value));
}
