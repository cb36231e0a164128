// A KAN and an MLP of equal size on the same task: their steps, what happens to them, their history.

import { formulaOf, pythonOf } from "./formula.js";
import { extendGrid, updateGrid } from "./grids.js";
import { CURVE, FUNCTION } from "./layer.js";
import { MLP } from "./mlp.js";
import { Network } from "./network.js";
import { deviation, short } from "./numbers.js";
import { Adam, LevenbergMarquardt, gradientOf, lossOf } from "./optimizers.js";
import { keep, prune } from "./pruning.js";
import { Standard, named, snapAll, tryEdge } from "./snapping.js";
import { makeTask } from "./tasks.js";

export const DEFAULTS = {
  task: "exp_sine", widths: [2, 5, 1], grid_size: 5, degree: 3, domain: [-1, 1], bias: false, spline_weight: false,
  base: false, optimizer: "adam", lr: 0.05, follow: true, fade: false, seed: 0,
};
const FADE = 0.005; // times the targets' spread, after a ramp of RAMP steps
const RAMP = 300, WARM = 50, COOL = 300, COOL_FADING = 1200; // steps; see rate()
const follows = step => (step < 400 ? step % 50 === 49 : step % 200 === 199); // whether knots follow after a step
const SLACK = 0.02; // of a domain: knots follow values that leave it by more, or fill too little of it
const ENTRIES = 400, SNAPSHOTS = 100; // kept at most
const CATCH_UP = 20; // steps of a new MLP for one of the KAN's
const LARGE = 400; // numbers with which steps of Levenberg-Marquardt are still quick

export class Race {
  constructor(settings = {}, { points = null, portrait = null, network = null } = {}) {
    this.settings = { ...DEFAULTS, ...settings };
    this.task = makeTask(this.settings.task, { seed: this.settings.seed, points, portrait });
    const hidden = this.settings.widths.slice(1, -1);
    this.settings.widths = [this.task.inputs, ...hidden, 1];
    this.kan = network ? Network.from(network) : Network.start(this.settings.widths, this.settings);
    this.mlp = this.newMLP();
    this.steps = this.mlpSteps = this.fadeStart = this.resumed = 0;
    this.seconds = { kan: 0, mlp: 0 };
    this.events = [];
    this.past = []; // for undo
    this.stride = null; // a step under way
    this.stopped = ""; // why it cannot go on, a sentence
    this.every = 1; // steps from one entry of the history to the next
    this.history = { step: [], kan: [], mlp: [], kanSeconds: [], mlpSeconds: [] };
    this.snapshots = [];
    this.restart();
    this.record();
  }

  newMLP() {
    return MLP.start(MLP.like(this.task.inputs, this.kan.count()), this.settings);
  }

  /** Fresh buffers and optimizers, after a network or its shape has changed. */
  restart({ kan = true, mlp = true } = {}) {
    const { task } = this;
    const make = net => this.fresh({ net, tape: net.tape(task.x, task.n), test: net.tape(task.testX, task.testN) });
    if (kan) this.kanState = make(this.kan);
    if (mlp) this.mlpState = make(this.mlp);
  }

  fresh(state) {
    const { net, tape } = state, newton = this.settings.optimizer === "lm";
    return { ...state, optimizer: newton ? new LevenbergMarquardt(net, tape, this.task.y) : new Adam(net) };
  }

  /** The learning rate of a step: slowly up after an event, then down with the steps since. */
  rate(step) {
    const fresh = [...this.events.map(event => event.step), this.resumed]; // when optimizers began anew
    const last = Math.max(0, ...fresh.filter(start => start <= step));
    const warm = last > 0 ? Math.min(1, (step - last + 1) / WARM) : 1;
    return (this.settings.lr * warm) / (1 + (step - last) / (this.settings.fade ? COOL_FADING : COOL));
  }

  get fadeStrength() {
    const spread = deviation(this.task.y), { fade } = this.settings;
    return fade ? FADE * spread * Math.min(1, (this.steps - this.fadeStart) / RAMP) : 0;
  }

  /** One step of both, or what is left of one. */
  step() {
    while (!this.slice());
  }

  /** A part of a step, a few milliseconds at most; whether the step is complete. */
  slice() {
    if (this.stopped && !this.stride) return true;
    this.stride ??= this.strides();
    if (!this.stride.next().done) return false;
    this.stride = null;
    return true;
  }

  /** One step of both; of an MLP that was made anew, several, until it has caught up. */
  *strides() {
    yield* this.timed("kan", this.moveKAN());
    this.steps++;
    yield;
    for (let moves = 0; moves < CATCH_UP && this.mlpSteps < this.steps; moves++) yield* this.timed("mlp", this.moveMLP());
    yield;
    if (this.steps % this.every === 0) this.record();
  }

  /** Work in slices, with the seconds that they take, and none of those between. */
  *timed(name, work) {
    for (;;) {
      const start = performance.now(), { done } = work.next();
      this.seconds[name] += (performance.now() - start) / 1000;
      if (done) return;
      yield;
    }
  }

  *moveKAN() {
    yield* this.move(this.kanState, this.rate(this.steps), this.fadeStrength);
    if (this.settings.follow && follows(this.steps)) this.follow();
  }

  *moveMLP() {
    if (this.events.some(event => event.step === this.mlpSteps)) this.mlpState = this.fresh(this.mlpState);
    yield* this.move(this.mlpState, this.rate(this.mlpSteps), 0);
    this.mlpSteps++;
    const entry = this.history.step.indexOf(this.mlpSteps);
    if (entry >= 0) this.history.mlp[entry] = this.error(this.mlpState.test);
  }

  /** To the end of a step that is under way. */
  settle() {
    if (this.stride) this.step();
  }

  *move({ net, tape, optimizer }, rate, fade) {
    const before = net.theta.slice();
    let loss;
    if (optimizer instanceof LevenbergMarquardt) {
      loss = yield* optimizer.linearize();
      if (Number.isFinite(loss)) yield* optimizer.step();
    } else {
      loss = gradientOf(tape, this.task.y, fade);
      optimizer.step(rate);
    }
    if (Number.isFinite(loss) && net.theta.every(Number.isFinite)) return;
    net.theta.set(before);
    const name = net === this.kan ? "KAN" : "MLP";
    this.stopped = `The loss of the ${name} is no longer a finite number. Lower the learning rate, then undo or reset.`;
  }

  /** Knots to where the values are, evenly; the optimizer goes on, as each curve's numbers keep their places. */
  follow() {
    updateGrid(this.kan, this.task.x, this.task.n, SLACK);
    const { optimizer } = this.kanState;
    this.restart({ mlp: false });
    if (optimizer instanceof Adam) this.kanState.optimizer = optimizer;
  }

  // --- what is known of it

  /** The root mean squared error on the test data, in units of their spread. */
  error(test) {
    return Math.sqrt(lossOf(test, this.task.testY)) / this.task.spread;
  }

  errors() {
    return { kan: this.error(this.kanState.test), mlp: this.error(this.mlpState.test) };
  }

  record() {
    const { history, steps } = this, { kan, mlp } = this.errors();
    const entry = { step: steps, kan, mlp: this.mlpSteps < steps ? null : mlp, kanSeconds: this.seconds.kan, mlpSeconds: this.seconds.mlp };
    for (const name in entry) history[name].push(entry[name]);
    if (history.step.length > ENTRIES) {
      for (const name in history) history[name] = history[name].filter((_, p) => p % 2 === 0);
      this.every *= 2;
    }
    if (steps % (this.every * (ENTRIES / SNAPSHOTS)) === 0) {
      const { kan, mlp, seconds, settings, fadeStart, events } = this;
      this.snapshots.push({ step: steps, kan: kan.copy(), mlp: mlp.copy(), seconds: { ...seconds }, settings, fadeStart, events: events.length });
    }
    if (this.snapshots.length > SNAPSHOTS) this.snapshots = this.snapshots.filter((_, p) => p % 2 === 0);
  }

  view(index) {
    const { kan, mlp, step, seconds } = this.snapshots[index], { testX, testN } = this.task;
    const error = net => this.error(net.tape(testX, testN));
    return { step, kan, mlp, seconds, errors: { kan: error(kan), mlp: error(mlp) } };
  }

  /** Why something cannot be done now, a sentence; null if it can. */
  limits() {
    const curves = this.kan.edges(CURVE).length, numbers = this.kan.count();
    const most = Math.max(numbers, this.mlp.count());
    return {
      lm: most > LARGE ? `${most} numbers: Levenberg-Marquardt would take too long here. It is for ${LARGE} at most; prune first.` : null,
      extend: this.kan.layers[0].grid_size >= 40 ? "The grid has 40 intervals, the most that fit here." : null,
      snap: !curves ? "No curve is left to snap." : curves > 12 || numbers > LARGE
        ? `${curves} curves with ${numbers} numbers are too many to try. Fade and prune first.` : null,
    };
  }

  /** The same for a reader's buttons, which come in the order of a story: train, fade, prune, snap. */
  locks() {
    const { steps, fadeStart } = this, error = this.history.kan.at(-1), limits = this.limits();
    const fading = this.settings.fade || this.had("fade"), faded = fading && steps >= fadeStart + RAMP;
    const begun = fading || error < 0.3 || steps >= RAMP;
    const few = this.had("prune") || (this.kan.edges(CURVE).length <= 6 && error < 0.1);
    return {
      ...limits,
      fade: begun ? null : `Train first: Fade waits for a test error below 0.3, or for ${RAMP} steps.`,
      prune: faded ? null : `Fade first: after ${RAMP} steps of it some edges are faint enough to go.`,
      snap: few ? limits.snap : "Prune first: functions are sought for the few curves that are left.",
    };
  }

  had(name) {
    return this.events.some(event => event.name === name);
  }

  /** What leads on in that story, once it can be done. */
  next() {
    const { fade } = this.settings, name = this.had("prune") ? "snap" : fade ? "prune" : "fade";
    return this.locks()[name] ? null : name;
  }

  formula() {
    return formulaOf(this.kan, this.task);
  }

  python() {
    return pythonOf(this.kan, this.task);
  }

  // --- what can be done to it

  /** Settings that may change on the way: lr, optimizer, follow, fade. */
  set(changes) {
    this.settle();
    const before = this.settings;
    if ("fade" in changes && changes.fade !== before.fade) {
      this.remember();
      if (changes.fade) this.fadeStart = this.steps;
      this.event("fade", changes.fade ? "fade: edges that are not needed go to zero" : "fade ended");
    }
    const other = "optimizer" in changes && changes.optimizer !== before.optimizer;
    this.settings = { ...before, ...changes };
    if (other) this.event("optimizer", changes.optimizer === "lm" ? "Levenberg-Marquardt" : "Adam");
    this.restart();
  }

  event(name, text) {
    this.events.push({ step: this.steps, name, text, kanSeconds: this.seconds.kan, mlpSeconds: this.seconds.mlp });
    this.stopped = "";
  }

  /** Do something to the KAN; says in the event what became of the error. */
  change(name, text, act) {
    this.remember();
    const before = this.error(this.kanState.test);
    this.kan = act();
    this.event(name, "");
    this.restart();
    const after = this.error(this.kanState.test), event = this.events.at(-1);
    event.before = before;
    event.text = `${typeof text === "function" ? text() : text}, test error ${short(before)} to ${short(after)}`;
    this.record();
  }

  update() {
    const { x, n } = this.task;
    this.change("update", "knots to where the values are", () => updateGrid(this.kan, x, n));
  }

  extend(size = 2 * this.kan.layers[0].grid_size) {
    const { x, n } = this.task, old = this.kan.layers[0].grid_size, count = this.kan.count();
    this.change("extend", () => `grid ${old} to ${size}: ${count} to ${this.kan.count()} numbers`, () => {
      if (this.settings.follow) updateGrid(this.kan, x, n, SLACK);
      return extendGrid(this.kan, x, n, size);
    });
  }

  prune() {
    const { x, n } = this.task, edges = net => net.edges(CURVE).length + net.edges(FUNCTION).length;
    const old = edges(this.kan), small = prune(this.kan, x, n);
    if (!small) throw new Error("Without the edges that have faded, nothing would reach the output. Train on first.");
    this.change("prune", () => `${old} edges to ${edges(this.kan)}`, () => {
      this.settings = { ...this.settings, fade: false };
      return this.settings.follow ? updateGrid(small, x, n) : small;
    });
  }

  /** Take an edge away by hand; false if nothing would reach the output without it. */
  switchOff(l, i, o) {
    const alive = this.kan.layers.map(layer => layer.kind.slice());
    alive[l][i * this.kan.layers[l].outputs + o] = 0;
    const small = keep(this.kan, this.task.x, this.task.n, alive);
    if (small) this.change("edit", "one edge off", () => small);
    return !!small;
  }

  beginEdit() {
    this.remember();
    this.event("edit", "a curve changed by hand");
    this.restart();
  }

  setCoef(l, i, o, j, value) {
    this.kan.layers[l].coefOf(i, o)[j] = value;
  }

  matchMLP() {
    this.remember();
    this.mlp = this.newMLP();
    this.mlpSteps = 0;
    this.history.mlp.fill(null);
    this.restart({ kan: false });
  }

  /** Functions for an edge, the best first: { name, r2, loss, net }, the network with it and its error. */
  *rank(l, i, o) {
    const standard = yield* new Standard(this.task).measure(this.kan, 0);
    const { tried, dropped } = yield* tryEdge({ net: named(this.kan), loss: standard.best }, [l, i, o], this.task, standard);
    const spread = Math.sqrt(standard.spread);
    return [...tried, ...dropped].map(({ start, loss, net }) => ({ name: start.name, r2: start.r2, loss: Math.sqrt(loss) / spread, net }));
  }

  edgeName(l, i, o) {
    const { names, target = "the output" } = this.task, last = l === this.kan.layers.length - 1;
    return `from ${l === 0 ? names[i] : `node ${i + 1}`} to ${last ? target : `node ${o + 1}`}`;
  }

  /** Put a function of `rank`'s in the place of a curve; the KAN's numbers have been fitted anew there. */
  snap(edge, { name, net }) {
    const text = `the edge ${this.edgeName(...edge)} is ${name} now, all of the KAN's numbers are fitted anew`;
    this.change("snap", text, () => net.copy());
  }

  /** Snap all curves or none. Yields { done, of, edge } now and then; returns { complete, text }. */
  *snapAll() {
    const { complete, net } = yield* snapAll(this.kan, this.task), left = net.edges(CURVE).length;
    if (complete) this.change("snap", "all edges are functions now", () => net);
    const why = left ? `for ${left === 1 ? "one edge" : `${left} edges`} no function is as good as the curve` : "the curves are better";
    return { complete, text: complete ? "" : `No formula found: ${why}. Fade, prune and extend first, or snap single edges.` };
  }

  /** All that changes, so that undo can go back to it. */
  get state() {
    const { kan, mlp, settings, steps, mlpSteps, seconds, every, fadeStart, events, history, snapshots } = this;
    const rest = structuredClone({ settings, steps, mlpSteps, seconds, every, fadeStart, events, history });
    return { ...rest, kan: kan.copy(), mlp: mlp.copy(), snapshots: [...snapshots] };
  }

  remember() {
    this.settle();
    this.past.push(this.state);
    if (this.past.length > 30) this.past.shift();
  }

  resume(state) {
    Object.assign(this, state, { stopped: "", stride: null, resumed: state.steps });
    this.restart();
  }

  /** Back to before the last thing that was done; whether there was one. */
  undo() {
    if (!this.past.length) return false;
    this.resume(this.past.pop());
    return true;
  }

  rewind(index) {
    this.remember();
    const { step, kan, mlp, seconds, settings, fadeStart, events } = this.snapshots[index];
    const kept = this.history.step.filter(at => at <= step).length;
    for (const name in this.history) this.history[name].length = kept;
    this.resume({
      kan: kan.copy(), mlp: mlp.copy(), seconds: { ...seconds }, settings, fadeStart, steps: step, mlpSteps: step,
      events: this.events.slice(0, events), snapshots: this.snapshots.slice(0, index + 1),
    });
  }

  // --- as text, for links: JSON, deflated, in the letters that a link may have

  async encode() {
    this.settle();
    const { snapshots, history, ...state } = this.state, { points } = this.task;
    for (const name in history) history[name] = history[name].map(v => v && +v.toPrecision(5));
    const json = JSON.stringify({ ...state, history, points });
    const stream = new Blob([json]).stream().pipeThrough(new CompressionStream("deflate-raw"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    const letters = btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""));
    return letters.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  }

  static async decode(letters, { portrait = null } = {}) {
    const bytes = Uint8Array.from(atob(letters.replaceAll("-", "+").replaceAll("_", "/")), letter => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const { kan, mlp, settings, points, ...rest } = JSON.parse(await new Response(stream).text());
    const race = new Race(settings, { points, portrait });
    race.resume({ ...rest, kan: Network.from(kan), mlp: MLP.from(mlp), snapshots: [] });
    return race;
  }
}
