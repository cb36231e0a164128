// The KAN Lab's view: what a reader sees and does. The race (race.js) knows nothing of the page. This
// file runs it, at most 8 ms a frame, draws one part of the picture in each frame, and says what
// happened. A large lab has everything; a small one a network, a race and a few buttons.

import { LIBRARY } from "./functions.js";
import { CURVE, FUNCTION } from "./engine.js";
import { EXAMPLE, TASKS, makeTask, parseCSV } from "./tasks.js";
import { DEFAULTS, Race } from "./race.js";
import { children, clamp, copyFrom, keepKeys, label, listen, round, set, show, text, ticks, watch } from "./page.js";

// --- what all views of one widget share: the race, and who works on it

const FRAME = 8; // milliseconds of work in a frame
const SPEEDS = [1, 2, 5, 10, 20, 50];
const LIVE = ["lr", "optimizer", "follow", "fade"]; // settings that may change in the midst of a race
const CALM = 50; // steps between two pictures where motion is to be reduced

// By name: what a button says, and what it does.
const ACTIONS = {
  play: ["Play", "train, a few steps a frame"],
  update: ["Update", "move the knots to where the values are"],
  extend: ["G × 2", "twice as many intervals for the same curves"],
  fade: ["Fade", "a small price on every edge: those of little use fade away"],
  prune: ["Prune", "take out the edges that have faded"],
  snap: ["Snap", "find the function that each curve looks like, and put it in its place"],
  step: ["Step", "one step of training"],
  undo: ["Undo", "back to before the last event"],
  reset: ["Reset", "the same start again"],
  seed: ["New seed", "another start, by other random numbers"],
  seeds: ["Five seeds", "the same race from five other starts"],
};
const THUMB = ["play", "update", "extend", "fade", "prune", "snap"];

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const alike = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const bytes = base64 => (base64 ? Uint8Array.from(atob(base64), c => c.charCodeAt(0)) : null);

class Lab {
  constructor(model) {
    this.model = model;
    this.views = new Set();
    this.playing = false;
    this.job = null; // what is worked on in place of training: a generator, and who hears of it
    this.others = []; // five more races
    this.looking = null; // the number of the snapshot that is shown; null: what is now
    this.turn = this.waiting = 0;
    this.whole = true; // whether the next picture is drawn at once, not part by part
    this.start(model.get("network"));
    for (const name of [...Object.keys(DEFAULTS), "points"]) model.on(`change:${name}`, () => this.later());
    model.on("change:network", () => {
      if (model.get("network") !== this.sent) this.start(model.get("network"));
    });
    model.on("change:playing", () => model.get("playing") !== this.playing && this.do("play"));
  }

  wanted() {
    return Object.fromEntries(Object.keys(DEFAULTS).map(name => [name, this.model.get(name) ?? DEFAULTS[name]]));
  }

  /** A new race by the traits. */
  start(network = null) {
    this.points = this.model.get("points") ?? null;
    this.portrait = bytes(this.model.get("_portrait"));
    try {
      this.take(new Race(this.wanted(), { points: this.points, portrait: this.portrait, network }));
    } catch (error) {
      if (!this.race) throw error;
      this.say(error.message);
    }
  }

  take(race) {
    this.cancel();
    this.race = race;
    this.others = [];
    this.script = [...(this.model.get("script") ?? [])];
    this.changed();
  }

  /** Traits come one by one; what they change is done once they are all there. */
  later() {
    if (this.settling) return;
    this.settling = true;
    queueMicrotask(() => {
      this.settling = false;
      const wanted = this.wanted(), points = this.model.get("points") ?? null;
      const names = Object.keys(wanted).filter(name => !alike(wanted[name], this.race.settings[name]));
      const other = !alike(points, this.points);
      if (other || names.some(name => !LIVE.includes(name))) this.start();
      else if (names.length) this.act(() => this.race.set(Object.fromEntries(names.map(name => [name, wanted[name]]))));
    });
  }

  publish(changes) {
    this.model.set(changes);
    this.model.save_changes();
  }

  /** What Python shall see: after events and pauses, not at every step. */
  report() {
    this.sent = this.race.kan.toJSON();
    this.publish({ ...this.race.settings, network: this.sent, steps: this.race.steps });
  }

  say(words) {
    this.message = words;
    for (const view of this.views) view.say(words);
  }

  changed() {
    this.whole = true;
    this.wake();
  }

  /** Do what the race notes as an event, and say what it did. */
  act(what) {
    this.cancel();
    this.looking = null;
    const count = this.race.events.length;
    try {
      what();
    } catch (error) {
      return this.say(error.message);
    }
    if (this.race.events.length > count) this.say(this.race.events.at(-1).text);
    this.report();
    this.changed();
  }

  play(on) {
    if (on === this.playing) return;
    this.playing = on;
    this.looking = null;
    if (on) this.cancel();
    this.publish({ playing: on });
    if (!on) this.report();
    this.changed();
  }

  do(name) {
    const { race } = this, reason = race.limits()[name];
    if (reason) return this.say(reason);
    const doing = {
      play: () => this.play(!this.playing),
      step: () => {
        this.cancel();
        this.looking = null;
        this.step();
        this.changed();
      },
      update: () => this.act(() => race.update()),
      extend: () => this.act(() => race.extend(2 * race.kan.layers[0].grid_size)),
      fade: () => this.act(() => race.set({ fade: !race.settings.fade })),
      prune: () => this.act(() => race.prune()),
      snap: () => this.snapAll(),
      undo: () => {
        const last = race.events.at(-1);
        this.act(() => race.undo());
        if (last) this.say(`undone: ${last.text}`);
      },
      reset: () => {
        this.start();
        this.say("the same start again");
      },
      seed: () => {
        this.publish({ seed: race.settings.seed + 1 });
        this.say(`a start from seed ${race.settings.seed + 1}`);
      },
      seeds: () => this.five(),
      pause: () => this.play(false), // for scripts
    };
    doing[name]();
  }

  /** Work on a generator, within the frames, until it is done or something else is. */
  run(generator, heard, done) {
    this.cancel();
    this.play(false);
    this.job = { generator, heard, done };
    this.changed();
  }

  cancel() {
    this.job?.generator.return();
    this.job = null;
  }

  snapAll() {
    this.looking = null;
    const count = this.race.events.length;
    this.run(this.race.snapAll(), at => {
      this.edge = at.edge;
      this.say(`comparing curves with functions: ${at.done} of ${at.of}`);
    }, ({ complete, left }) => {
      this.edge = null;
      if (this.race.events.length > count) this.say(this.race.events.at(-1).text);
      if (!complete) this.say(`${left} of the curves look like no function of the list: train on, or click one and choose`);
      this.report();
    });
  }

  five() {
    const { settings } = this.race, { points, portrait } = this;
    this.others = [1, 2, 3, 4, 5].map(n => new Race({ ...settings, seed: settings.seed + n }, { points, portrait }));
    this.say(`seeds ${settings.seed + 1} to ${settings.seed + 5}, with the settings of now`);
    this.changed();
  }

  /** How far the other races shall run: as far as the first one, and far enough to see something. */
  behind() {
    const goal = Math.max(300, this.race.steps);
    return this.others.filter(race => race.steps < goal).sort((a, b) => a.steps - b.steps)[0];
  }

  step() {
    const { race } = this;
    while (this.script.length && this.script[0][0] <= race.steps) this.do(this.script.shift()[1]);
    if (race === this.race && !this.job) race.step();
  }

  // One frame: some work, then a part of the picture.

  wake() {
    this.waiting ||= requestAnimationFrame(() => this.frame());
  }

  frame() {
    this.waiting = 0;
    const views = [...this.views].filter(view => view.seen);
    if (!views.length) return; // whoever comes into sight wakes it
    const steps = this.race.steps, busy = this.work(performance.now() + FRAME);
    const calm = still() && busy && !this.whole && Math.floor(steps / CALM) === Math.floor(this.race.steps / CALM);
    const whole = this.whole || !busy || still();
    this.whole = false;
    const now = this.shown();
    if (this.playing && !Number.isFinite(now.errors.kan)) {
      this.play(false);
      this.say("The error is no longer a number. Undo, or lower the learning rate and reset.");
    }
    if (!calm) for (const view of views) view.draw(now, whole ? null : this.turn);
    this.turn++;
    if (busy || this.whole) this.wake();
  }

  /** Whether there is more to do. */
  work(end) {
    const { job } = this;
    if (job) {
      do {
        const { value, done } = job.generator.next();
        if (done) {
          this.job = null;
          job.done(value);
          this.whole = true;
        } else job.heard(value);
      } while (this.job === job && performance.now() < end);
      return true;
    }
    const speed = this.model.get("speed") ?? 2;
    for (let n = 0; this.playing && n < speed && performance.now() < end; n++) this.step();
    let other;
    while (performance.now() < end && (other = this.behind())) other.step();
    return this.playing || !!other;
  }

  /** The networks and errors that are shown. */
  shown() {
    const { race, looking } = this;
    return looking === null ? { kan: race.kan, mlp: race.mlp, errors: race.errors(), step: race.steps }
      : { ...race.view(looking), step: race.snapshots[looking].step };
  }
}

// --- the network: a box with its curve on every edge

const UNIT = 40; // a box is as wide in its own drawing
const MARGIN = 3;
const SAMPLES = 33; // points of a small curve
const BINS = 14;

const across = (j, n, width) => (width * (j + 0.5)) / n;
const evenly = (from, to, n) => Float64Array.from({ length: n }, (_, p) => from + ((to - from) * p) / (n - 1));

/** (i, o) of the edges that a layer still has, side by side with those of the same node. */
function edgesOf({ inputs: I, outputs: O, kind }) {
  const all = [...kind.keys()].filter(e => kind[e]).map(e => [Math.floor(e / O), e % O]);
  return I > O ? all : all.sort((a, b) => a[1] - b[1] || a[0] - b[0]);
}

/** How the boxes of a layer stand together: in a row, in a few rows, or as a matrix. */
function blockOf({ inputs: I, outputs: O }, edges, width) {
  if (edges.length > 12 && Math.min(I, O) > 2) { // a column for each input, a row for each output
    const pitch = Math.min(50, (width - 70) / I, 320 / O), left = (width - pitch * I) / 2;
    const at = ([i, o]) => [left + pitch * (i + 0.5), pitch * (O - o - 0.5)];
    return { size: pitch - 6, height: pitch * O, right: left + pitch * I, at };
  }
  const rows = width / edges.length < 32 ? Math.min(I, O) : 1, columns = Math.ceil(edges.length / rows);
  const size = Math.min(62, width / columns - 6);
  const at = (_, e) => [across(Math.floor(e / rows), columns, width), (size + 6) * ((e % rows) + 0.5)];
  return { size, height: rows * (size + 6), right: 0, at };
}

/** Where everything stands: nodes by layer, boxes in order, from the inputs below to the output above. */
function arrange(kan, width) {
  const gap = width < 480 ? 24 : 34, boxes = [], nodes = [];
  let up = 34;
  const row = n => nodes.push(Array.from({ length: n }, (_, j) => [across(j, n, width), up]));
  row(kan.widths[0]);
  kan.layers.forEach((layer, l) => {
    const edges = edgesOf(layer), block = blockOf(layer, edges, width), base = up + gap;
    up = base + block.height + gap;
    row(layer.outputs);
    edges.forEach(([i, o], e) => {
      const [x, y] = block.at([i, o], e);
      boxes.push({
        l, i, o, x, y: base + y, size: block.size, right: block.right, base, top: base + block.height,
        from: nodes[l][i], to: nodes[l + 1][o],
      });
    });
  });
  return { boxes, nodes, height: up + 24 };
}

/** The line from a node to a box and on to the next node; through a matrix along column and row. */
function wire({ x, y, size, right, base, top, from: [x0, y0], to: [x1, y1] }, height) {
  const half = size / 2, v = y => round(height - y, 1), h = x => round(x, 1);
  const rise = (xa, ya, xb, yb) => `C${h(xa)} ${v(ya + 0.5 * (yb - ya))} ${h(xb)} ${v(ya + 0.5 * (yb - ya))} ${h(xb)} ${v(yb)}`;
  if (!right) return `M${h(x0)} ${v(y0)}${rise(x0, y0, x, y - half)}M${h(x)} ${v(y + half)}${rise(x, y + half, x1, y1)}`;
  const out = right + 6 + 0.25 * (top - y);
  return `M${h(x0)} ${v(y0)}${rise(x0, y0, x, base)}V${v(y - half)}M${h(x + half)} ${v(y)}H${h(right)}`
    + `C${h(out + 12)} ${v(y)} ${h(out + 12)} ${v(top + 4)} ${h(x1)} ${v(y1)}`;
}

/** The shares of these values in each bin of [a, b], and below and above it. */
function histogram(values, [a, b]) {
  const bins = new Float64Array(BINS), rounding = 1e-6 * (b - a), one = 1 / values.length;
  let below = 0, above = 0;
  for (const v of values)
    if (v < a - rounding) below += one;
    else if (v > b + rounding) above += one;
    else bins[clamp(Math.floor((BINS * (v - a)) / (b - a)), 0, BINS - 1)] += one;
  return { bins, below, above };
}

/** A histogram as steps over a floor. */
function steps(bins, left, floor, width, height) {
  const top = Math.max(...bins) || 1, w = width / bins.length;
  const heights = Array.from(bins, share => round((height * share) / top, 1));
  return `M${left} ${floor}${heights.map((h, i) => `V${floor - h}H${round(left + (i + 1) * w, 1)}`).join("")}V${floor}z`;
}

const EDGE = `<rect x="-20" y="-20" width="40" height="40" rx="5"/><path class="values"/><path class="knots"/>
  <path class="curve"/><path class="beyond"/><text class="share" text-anchor="end" x="17"/><text class="name" x="-16" y="-9"/>`;

function networkPane(lab, root, open) {
  const svg = root.querySelector(".network"), layers = ["wires", "nodes", "edges"];
  svg.innerHTML = layers.map(name => `<g class="${name}"></g>`).join("");
  const [wires, nodes, edges] = svg.children;
  let plan = null, items = [], key = "", width = 0, active = 0, moving = 0, beginning = 0, described = "";

  /** Attributes that changed since the last time, without asking the page for them. */
  const put = (item, part, name, value) => {
    const id = `${part} ${name}`;
    if (item.drawn[id] === value) return;
    item.drawn[id] = value;
    item.parts[part].setAttribute(name, value);
  };

  function layOut(kan) {
    const before = items, calm = still() || !plan || lab.race !== plan.race;
    plan = { ...arrange(kan, width), race: lab.race };
    const lines = children(wires, plan.boxes.length, "<path/>");
    const groups = children(edges, plan.boxes.length, `<g role="button" data-lm-suppress-shortcuts="true">${EDGE}</g>`);
    items = plan.boxes.map((box, n) => {
      const g = groups[n], [rect, values, knots, curve, beyond, share, name] = g.children;
      const coef = kan.layers[box.l].coefOf(box.i, box.o).slice();
      return { ...box, coef, drawn: {}, parts: { g, line: lines[n], rect, values, knots, curve, beyond, share, name } };
    });
    active = clamp(active, 0, items.length - 1);
    items.forEach((item, n) => set(item.parts.g, { tabindex: n === active ? 0 : -1 }));
    set(svg, { viewBox: `0 0 ${width} ${plan.height}`, height: plan.height });
    for (const item of items) item.start = calm ? item : origin(item, before);
    drawNodes(kan);
    cancelAnimationFrame(moving);
    beginning = performance.now();
    place(calm ? 1 : 0);
    if (!calm) moving = requestAnimationFrame(flow);
  }

  /** Where a box comes from: the one of the last layout in its layer whose curve was most like it. */
  function origin({ l, coef, ...box }, before) {
    const rise = (c, j) => c[j + 1] - c[j]; // heights may be moved by what is pruned
    const gap = other => Math.hypot(...[0, 1, 2].map(j => rise(coef, j) - rise(other.coef, j)));
    const same = before.filter(item => item.l === l && item.coef.length === coef.length);
    const { x, y, size, from, to, right, base, top } = same.sort((a, b) => gap(a) - gap(b))[0] ?? box;
    return { x, y, size, from, to, right, base, top };
  }

  function flow(time) {
    const part = clamp((time - beginning) / 700, 0, 1);
    place(part < 0.5 ? 4 * part ** 3 : 1 - (2 - 2 * part) ** 3 / 2);
    if (part < 1) moving = requestAnimationFrame(flow);
  }

  /** Everything at a part of its way from the last layout to this one. */
  function place(part) {
    const mix = (a, b) => a + part * (b - a), both = (a, b) => [mix(a[0], b[0]), mix(a[1], b[1])];
    for (const item of items) {
      const { start } = item, x = mix(start.x, item.x), y = mix(start.y, item.y), size = mix(start.size, item.size);
      const from = both(start.from, item.from), to = both(start.to, item.to);
      put(item, "line", "d", wire({ ...item, x, y, size, from, to }, plan.height));
      put(item, "g", "transform", `translate(${round(x, 1)} ${round(plan.height - y, 1)}) scale(${round(size / UNIT, 3)})`);
      for (const [l, j, at] of [[item.l, item.i, from], [item.l + 1, item.o, to]]) {
        const node = plan.dots[l][j];
        if (node) set(node, { transform: `translate(${round(at[0], 1)} ${round(plan.height - at[1], 1)})` });
      }
    }
  }

  function drawNodes(kan) {
    const names = lab.race.task.names, last = kan.widths.length - 1;
    nodes.replaceChildren();
    plan.dots = plan.nodes.map((row, l) => row.map(([x, y], j) => {
      const said = l === 0 ? names[j] : l === last ? "output" : "", below = l === 0 ? 20 : -11;
      nodes.insertAdjacentHTML("beforeend",
        `<g transform="translate(${x} ${plan.height - y})"><circle r="5"/><text y="${below}" text-anchor="middle">${said}</text></g>`);
      return nodes.lastChild;
    }));
  }

  function draw(kan) {
    if (!width) return;
    const now = [width, ...kan.layers.map(layer => `${layer.inputs} ${layer.kind.join("")}`)].join();
    if (now !== key || lab.race !== plan.race) {
      key = now;
      layOut(kan);
    }
    const { task } = lab.race, seen = kan.observe(task.x, task.n);
    let n = 0;
    kan.layers.forEach((layer, l) => {
      const inputs = Array.from({ length: layer.inputs }, (_, i) => {
        const domain = layer.domain(i), values = seen[l].inputs.subarray(i * task.n, (i + 1) * task.n);
        return { domain, xs: evenly(...domain, SAMPLES), ...histogram(values, domain), knots: layer.knotsOf(i) };
      });
      const curves = [];
      for (let m = n; items[m]?.l === l; m++) curves.push(layer.curve(items[m].i, items[m].o, inputs[items[m].i].xs));
      const spans = curves.map(ys => [Math.min(...ys), Math.max(...ys)]);
      const tallest = Math.max(1e-9, ...spans.map(([low, high]) => high - low)), most = Math.max(1e-12, ...seen[l].spreads);
      curves.forEach((ys, m) => {
        const item = items[n + m], [low, high] = spans[m], strength = seen[l].spreads[item.i * layer.outputs + item.o] / most;
        item.coef.set(layer.coefOf(item.i, item.o).subarray(0, item.coef.length));
        drawEdge(item, layer, inputs[item.i], ys, (low + high) / 2, 13 / Math.sqrt(tallest * Math.max(high - low, 1e-3 * tallest)) * 2, strength);
      });
      n += curves.length;
    });
  }

  /** `scale` lets a curve of a quarter of the layer's largest rise fill half of its box. */
  function drawEdge(item, layer, { domain: [a, b], knots, bins, below, above }, ys, middle, scale, strength) {
    const left = MARGIN - UNIT / 2, w = UNIT - 2 * MARGIN, e = item.i * layer.outputs + item.o;
    const px = x => round(left + (w * (x - a)) / (b - a), 1);
    const points = Array.from(ys, (y, p) => `${round(left + (w * p) / (SAMPLES - 1), 1)} ${round((middle - y) * scale, 1)}`);
    put(item, "curve", "d", `M${points.join("L")}`);
    put(item, "values", "d", steps(bins, left, 19, w, 9));
    const inner = knots.subarray(layer.degree, knots.length - layer.degree);
    put(item, "knots", "d", layer.kind[e] === CURVE ? Array.from(inner, t => `M${px(t)} 16v3.5`).join("") : "");
    const marks = [below > 0.002 && "M-20 8l-6 4l6 4z", above > 0.002 && "M20 8l6 4l-6 4z"];
    put(item, "beyond", "d", marks.filter(Boolean).join(""));
    const outside = below + above;
    item.parts.share.textContent = outside > 0.002 ? `${Math.max(1, Math.round(100 * outside))} %` : "";
    const small = round(Math.max(9, (10.5 * UNIT) / item.size), 1); // as large on the page in every box
    put(item, "share", "font-size", small);
    put(item, "share", "y", -20 + small);
    put(item, "name", "font-size", small);
    const named = layer.kind[e] === FUNCTION;
    item.parts.name.textContent = named && item.size > 32 ? layer.nameOf(item.i, item.o) : "";
    const look = [named && "named", strength < 0.03 && "dead", lab.edge && alike(lab.edge, [item.l, item.i, item.o]) && "busy"];
    put(item, "g", "class", look.filter(Boolean).join(" "));
    put(item, "line", "class", strength < 0.03 ? "dead" : "");
    const ink = round(0.12 + 0.88 * Math.sqrt(Math.min(1, strength)), 2);
    put(item, "g", "style", `--ink:${ink}`);
    put(item, "line", "style", `--ink:${round(ink * (item.right ? 0.35 : 0.8), 2)}`);
    item.about = `${strength < 0.03 ? "faded, " : ""}${named ? layer.nameOf(item.i, item.o) : "curve"}, spread ${
      Math.round(100 * strength)} % of the layer's largest${outside > 0.002 ? `, ${item.parts.share.textContent} of values beyond the knots` : ""}`;
  }

  /** What a screen reader hears of the edges: as they are when nothing runs. */
  function describe(kan) {
    const { names } = lab.race.task, last = kan.layers.length - 1;
    const node = (l, j) => (l === 0 ? names[j] ?? `input ${j + 1}` : l > last ? "the output" : `node ${j + 1} of layer ${l}`);
    for (const item of items) {
      item.title = `${node(item.l, item.i)} to ${node(item.l + 1, item.o)}`;
      set(item.parts.g, { "aria-label": `${item.title}: ${item.about}` });
    }
    const words = `KAN ${kan.widths.join(", ")}: ${items.length} edges, each a button`;
    if (words !== described) set(svg, { "aria-label": (described = words) });
  }

  const indexOf = node => items.findIndex(item => item.parts.g === node.closest?.("[role=button]"));

  /** The next box in a direction: of those that lie there, the nearest. */
  function neighbor(n, dx, dy) {
    const { x, y } = items[n];
    const ahead = items.map((item, m) => ({ m, along: (item.x - x) * dx + (item.y - y) * dy, aside: Math.abs((item.x - x) * dy) + Math.abs((item.y - y) * dx) }));
    return ahead.filter(({ along, aside }) => along > 1 && (dy || aside < 1)).sort((a, b) => (dy ? 4 * a.along + a.aside - 4 * b.along - b.aside : a.along - b.along))[0]?.m;
  }

  listen(edges, {
    click: ({ target }) => indexOf(target) >= 0 && open(items[indexOf(target)]),
    focusin({ target }) {
      const n = indexOf(target);
      set(items[active].parts.g, { tabindex: -1 });
      active = n;
      set(target, { tabindex: 0 });
    },
    keydown(event) {
      const n = indexOf(event.target), way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (event.key === "Enter" || event.key === " ") open(items[n]);
      else if (way) items[neighbor(n, ...way) ?? n].parts.g.focus();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
  });

  return {
    draw,
    describe,
    resize(w) {
      width = w;
    },
    item: (l, i, o) => items.find(item => item.l === l && item.i === i && item.o === o),
  };
}

// --- what they have learned: curves of one input, heat maps of two

const PIXELS = 40;
// From low over the middle to high: brown and teal, which people with color-blindness can tell apart.
const HEAT = {
  light: [[140, 81, 10], [216, 179, 101], [245, 245, 240], [90, 180, 172], [1, 102, 94]],
  dark: [[240, 175, 95], [150, 98, 40], [34, 38, 43], [28, 110, 104], [110, 225, 210]],
  gray: [[0, 0, 0], [64, 64, 64], [128, 128, 128], [192, 192, 192], [255, 255, 255]],
};

/** 256 colors of a scale, each as red, green, blue. */
function palette(stops) {
  const colors = new Uint8Array(768);
  for (let c = 0; c < 256; c++) {
    const at = (c / 255) * (stops.length - 1), left = Math.min(Math.floor(at), stops.length - 2);
    stops[left].forEach((v, rgb) => (colors[3 * c + rgb] = v + (at - left) * (stops[left + 1][rgb] - v)));
  }
  return colors;
}

const ofScale = (value, [low, high]) => clamp(Math.round((255 * (value - low)) / (high - low)), 0, 255) || 0;

/** Values at the centers of pixels, row by row from the top, painted into a canvas. */
function paint(canvas, values, range, colors) {
  const side = Math.sqrt(values.length), context = canvas.getContext("2d");
  canvas.width = canvas.height = side;
  const image = context.createImageData(side, side);
  values.forEach((value, p) => {
    const c = 3 * ofScale(value, range);
    image.data.set([colors[c], colors[c + 1], colors[c + 2], 255], 4 * p);
  });
  context.putImageData(image, 0, 0);
}

/** The centers of the pixels of [-1, 1] squared: all x, then all y. */
function pixelCenters(side) {
  const at = p => (2 * p + 1) / side - 1, n = side * side;
  return Float64Array.from({ length: 2 * n }, (_, p) => (p < n ? at(p % side) : -at(Math.floor((p - n) / side))));
}

/** The least and the largest value, with some room; for heat maps, as far to both sides of the middle. */
function rangeOf(values, room = 0) {
  const low = Math.min(...values), high = Math.max(...values), more = room * (high - low) || 1e-9;
  return [low - more, high + more];
}

const truthOn = (task, x, n) => Float64Array.from({ length: n }, (_, s) => task.truth(x[s], x[n + s]));

function learnedPane(lab, root, draw) {
  const figures = [...root.querySelectorAll(".learned figure")].map(node => ({
    canvas: node.querySelector("canvas"), svg: node.querySelector("svg"), value: node.querySelector(".value"),
  }));
  const [target, kan, mlp] = figures, pixels = pixelCenters(PIXELS), line = evenly(-1, 1, 121);
  let race = null, range = null, colors = null, theme = "", size = [0, 0];
  const W = 200, H = 120; // of a plot of curves, in its own units
  const px = x => round(((x + 1) / 2) * W, 1), py = y => round(H - (H * (y - range[0])) / (range[1] - range[0]), 1);
  const path = (xs, ys) => `M${Array.from(xs, (x, p) => `${px(x)} ${py(ys[p])}`).join("L")}`;

  /** What does not change in a race: the target, the points, the scale. */
  function begin() {
    const { task } = lab.race, two = task.inputs === 2, few = task.n <= 100 || !task.truth;
    race = lab.race;
    theme = root.dataset.theme;
    colors = palette(task.name === "portrait" ? HEAT.gray : HEAT[theme] ?? HEAT.light);
    root.querySelector(".learned").dataset.inputs = task.inputs;
    range = task.name === "drawn" ? [-1.1, 1.1] : rangeOf([...task.y, ...task.testY], two ? 0 : 0.08);
    for (const { canvas, svg } of figures) {
      canvas.hidden = !two;
      set(svg, { viewBox: two ? "0 0 200 200" : `0 0 ${W} ${H}` });
      svg.innerHTML = `<path class="zero"/><path class="truth"/><path class="fitted"/><g class="points"></g><path class="stroke"/>`;
    }
    if (two) {
      if (task.truth) paint(target.canvas, truthOn(task, pixels, PIXELS ** 2), range, colors);
      target.canvas.hidden = !task.truth;
    } else for (const { svg } of figures) {
      set(svg.querySelector(".zero"), { d: range[0] < 0 && range[1] > 0 ? `M0 ${py(0)}H${W}` : "" });
      if (task.truth) set(svg.querySelector(".truth"), { d: path(line, truthOn(task, line, line.length)) });
    }
    if (few) target.svg.querySelector(".points").innerHTML = Array.from(task.y, (y, s) => two
      ? `<circle cx="${100 + 100 * task.x[s]}" cy="${100 - 100 * task.x[task.n + s]}" r="3.5"
          fill="rgb(${colors.subarray(3 * ofScale(y, range), 3 * ofScale(y, range) + 3)})"/>`
      : `<circle cx="${px(task.x[s])}" cy="${py(y)}" r="2.2"/>`).join("");
    root.querySelector(".scale").hidden = !two;
    [root.querySelector(".low").textContent, root.querySelector(".high").textContent] = range.map(show);
  }

  function drawNet({ canvas, svg }, net) {
    if (race.task.inputs === 2) paint(canvas, net.predict(pixels, PIXELS ** 2), range, colors);
    else set(svg.querySelector(".fitted"), { d: path(line, net.predict(line, line.length)) });
  }

  // A stroke over the target's plot gives points; where it goes again, it replaces what was there.
  let stroke = null;
  const where = event => {
    const { left, top, width, height } = target.svg.getBoundingClientRect();
    const x = ((event.clientX - left) / width) * 2 - 1, y = range[1] - ((event.clientY - top) / height) * (range[1] - range[0]);
    return [round(clamp(x, -1, 1), 3), round(clamp(y, ...range), 3)];
  };
  const extend = event => {
    const [x, y] = where(event), last = stroke.at(-1)[0];
    if (Math.abs(x - last) < 0.005) return;
    stroke = stroke.filter(([at]) => (at - last) * (at - x) > 0 || at === last);
    stroke.push([x, y]);
    set(target.svg.querySelector(".stroke"), { d: `M${stroke.map(([x, y]) => `${px(x)} ${py(y)}`).join("L")}` });
  };
  listen(target.svg, {
    pointerdown(event) {
      if (race.task.name !== "drawn" || event.button) return;
      event.preventDefault();
      target.svg.setPointerCapture(event.pointerId);
      lab.play(false);
      stroke = [where(event)];
    },
    pointermove: event => stroke && extend(event),
    pointerup() {
      if (!stroke) return;
      const [low, high] = rangeOf(stroke.map(([x]) => x)), kept = (lab.points ?? []).filter(([x]) => x < low || x > high);
      const points = [...kept, ...stroke].sort((a, b) => a[0] - b[0]);
      stroke = null;
      draw(points);
    },
    pointercancel: () => (stroke = null),
  });

  return {
    /** All of it, or the KAN or the MLP in turn. */
    draw({ kan: network, mlp: rival, errors }, which) {
      if (lab.race !== race || root.dataset.theme !== theme) {
        begin();
        which = null;
      }
      if (which !== "mlp") drawNet(kan, network);
      if (which !== "kan") drawNet(mlp, rival);
      kan.value.textContent = brief(errors.kan);
      mlp.value.textContent = brief(errors.mlp);
    },
  };
}

const brief = x => text(Number.isFinite(x) ? +x.toPrecision(2) : "none");

// --- the race: test errors of both, in steps or in seconds

const letterOf = ({ name }) => name[0];

function chart(svg, { labels = true } = {}) {
  const pad = labels ? { left: 38, right: 88, top: 20, bottom: 20 } : { left: 4, right: 4, top: 6, bottom: 4 };
  svg.innerHTML = `<g class="axes"></g><g class="events"></g><path class="mlp-line"/><path class="kan-line"/><path class="cursor"/>
    ${labels ? `<text class="kan-now"/><text class="mlp-now"/>` : ""}`;
  const [axes, events, mlpLine, kanLine, cursor, kanNow, mlpNow] = svg.children;
  let width = 0, height = 0, drawn = "";

  /** The data of a race along the chosen axis. */
  function series({ history: h, steps, events }, unit) {
    const x = unit === "steps" ? [h.step, h.step] : [h.kanSeconds, h.mlpSeconds];
    const end = unit === "steps" ? Math.max(steps, 100) : Math.max(0.2, x[0].at(-1), x[1].at(-1));
    const marks = events.map(event => ({ event, x: unit === "steps" ? event.step : event.kanSeconds }));
    return { x, end, marks };
  }

  function draw(race, { unit = "steps", at = null, errors = null } = {}) {
    if (!width) return;
    const { x, end, marks } = series(race, unit), { kan, mlp } = race.history;
    const all = [...kan, ...mlp].filter(v => v > 0 && v < Infinity);
    const low = Math.min(-1, Math.floor(Math.log10(Math.min(...all)) - 0.1)), high = Math.max(0.3, Math.log10(Math.max(...all)));
    const px = v => round(pad.left + (v / end) * (width - pad.left - pad.right), 1);
    const py = v => round(pad.top + ((high - Math.log10(clamp(v, 1e-16, 1e9))) / (high - low)) * (height - pad.top - pad.bottom), 1);
    const path = (xs, ys) => (ys.length ? `M${ys.map((y, p) => `${px(xs[p])} ${py(y)}`).join("L")}` : "");
    set(kanLine, { d: path(x[0], kan) });
    set(mlpLine, { d: path(x[1], mlp) });
    set(cursor, { d: at === null ? "" : `M${px(at)} ${pad.top}V${height - pad.bottom}` });
    if (labels) drawLabels([[kanNow, "KAN", px(x[0].at(-1)), py(errors.kan), errors.kan], [mlpNow, "MLP", px(x[1].at(-1)), py(errors.mlp), errors.mlp]]);
    drawAxes({ low, high, end, unit, px, py });
    drawMarks(marks, px);
  }

  /** The values of now at the ends of the lines, one above the other where they would touch. */
  function drawLabels(ends) {
    const gap = ends[0][3] - ends[1][3], push = Math.abs(gap) < 15 ? (15 - Math.abs(gap)) / 2 : 0;
    ends.forEach(([node, name, x, y, value], n) => {
      const sign = (gap > 0) === (n === 0) ? 1 : -1;
      set(node, { x: x + 7, y: round(clamp(y + sign * push, pad.top, height - pad.bottom) + 4, 1) });
      node.textContent = `${name} ${brief(value)}`;
    });
  }

  function drawAxes({ low, high, end, unit, px, py }) {
    const tens = Array.from({ length: Math.floor(high) - low + 1 }, (_, p) => low + p), every = Math.ceil(tens.length / 6);
    const shown = tens.filter(p => p % every === 0), right = width - pad.right, floor = height - pad.bottom;
    const below = labels ? ticks(0, end, width < 420 ? 3 : 5) : [];
    const html = shown.map(p => `<path d="M${pad.left} ${py(10 ** p)}H${right}"/>${labels
      ? `<text x="${pad.left - 6}" y="${py(10 ** p) + 4}" text-anchor="end">${p < -3 ? `10<tspan dy="-4" font-size="9">${text(p)}</tspan>` : 10 ** p}</text>` : ""}`)
      .concat(below.map(v => `<text x="${px(v)}" y="${floor + 15}" text-anchor="middle">${label(v)}${
        v && v === below.at(-1) ? ` ${unit === "steps" ? "steps" : "s"}` : ""}</text>`)).join("");
    if (html !== drawn) axes.innerHTML = drawn = html;
  }

  function drawMarks(marks, px) {
    let last = -Infinity, low = 0;
    const nodes = children(events, labels ? marks.length : 0, `<g><path/><circle r="7.5"/><text text-anchor="middle"></text></g>`);
    nodes.forEach((node, m) => {
      const x = px(marks[m].x);
      low = x - last < 15 ? (low + 1) % 3 : 0; // letters that would touch go below each other
      last = x;
      const y = pad.top - 9 + 15 * low;
      set(node.children[0], { d: `M${x} ${y}V${height - pad.bottom}` });
      set(node.children[1], { cx: x, cy: y });
      set(node.children[2], { x, y: y + 4 });
      node.children[2].textContent = letterOf(marks[m].event);
    });
  }

  return {
    draw,
    pad,
    resize(w, h) {
      [width, height] = [w, h];
      set(svg, { viewBox: `0 0 ${w} ${h}`, height: h });
    },
  };
}

// --- one edge, large: its coefficients to drag, and the functions that its curve looks like

const HANDLE = `<g class="handle" role="slider" aria-orientation="vertical" data-lm-suppress-shortcuts="true">
  <circle class="hit" r="16"/><circle class="dot" r="6"/></g>`;

/** A function of LIBRARY with its free numbers, in type. */
function typed(name) {
  const { free, html } = LIBRARY[name], x = free.includes("a") ? "<i>ax</i>" : "<i>x</i>";
  return html(free.includes("b") ? `${x} + <i>b</i>` : x);
}

function inspector(lab, root, network) {
  const box = root.querySelector("dialog"), svg = box.querySelector("svg"), list = box.querySelector("ol");
  const title = box.querySelector(".title"), note = box.querySelector(".note"), handles = svg.querySelector(".handles");
  const W = 420, H = 220, pad = { x: 16, top: 12, bottom: 34 };
  let edge = null, ranked = null, range = null, grip = null, version = -1, touched = -1;
  const part = name => svg.querySelector(`.${name}`);
  const layerOf = () => lab.race.kan.layers[edge[0]];
  const isCurve = layer => layer.kind[edge[1] * layer.outputs + edge[2]] === CURVE;

  function open(item) {
    edge = [item.l, item.i, item.o];
    ranked = range = null;
    version = -1;
    lab.play(false);
    title.innerHTML = `<b>${item.title}</b>`;
    const narrow = root.clientWidth < 680;
    if (!box.open) narrow ? box.showModal() : box.show();
    const from = item.parts.g.getBoundingClientRect(), to = box.getBoundingClientRect();
    box.style.transformOrigin = `${from.x + from.width / 2 - to.x}px ${from.y + from.height / 2 - to.y}px`;
    box.querySelector(".close").focus();
    lab.changed();
  }

  function close() {
    if (!box.open) return;
    lab.cancel();
    box.close();
    network.item(...edge)?.parts.g.focus();
    edge = null;
  }

  /** Functions are compared when nothing else goes on. */
  function compare() {
    if (lab.playing) ranked = null;
    if (lab.playing || lab.job || grip || version === lab.version) return;
    ranked = null;
    if (isCurve(layerOf()))
      lab.run(lab.race.rank(...edge), () => {}, found => {
        ranked = found;
        drawList();
      });
    version = lab.version;
  }

  function drawList() {
    const curve = isCurve(layerOf());
    note.textContent = !curve ? "This edge is a function now." : ranked ? "Functions like this curve: R², and the error of the whole network with it."
      : lab.playing ? "Pause to compare the curve with functions." : "Comparing the curve with functions …";
    const rows = curve && ranked ? ranked.slice(0, 8) : [];
    children(list, rows.length, `<li><button type="button"><span class="function"></span><span class="r2"></span><span class="loss"></span></button></li>`)
      .forEach((node, n) => {
        const { name, r2, loss } = rows[n], [words, fit, error] = node.firstChild.children;
        words.innerHTML = typed(name);
        fit.textContent = r2 > 0.9999 ? `R² 1 − ${show(Math.max(1 - r2, 1e-16))}` : `R² ${text(r2.toFixed(4))}`;
        error.textContent = loss === null ? "" : `error ${brief(loss)}`;
        node.firstChild.onclick = () => lab.act(() => lab.race.snap(...edge, name));
      });
  }

  const px = x => round(pad.x + ((x - range.a) / (range.b - range.a)) * (W - 2 * pad.x), 1);
  const py = y => round(pad.top + ((range.high - y) / (range.high - range.low)) * (H - pad.top - pad.bottom), 1);
  const valueAt = y => range.high - ((y - pad.top) / (H - pad.top - pad.bottom)) * (range.high - range.low);

  /** A coefficient is drawn where its function has its middle: at the mean of the knots inside its support. */
  const middleOf = (t, k, j) => (k ? t.subarray(j + 1, j + k + 1).reduce((sum, v) => sum + v) / k : (t[j] + t[j + 1]) / 2);

  function draw(kan, whole) {
    if (!edge) return;
    const [l, i, o] = edge, layer = kan.layers[l], e = layer && i * layer.outputs + o;
    if (!layer || i >= layer.inputs || o >= layer.outputs || !layer.kind[e]) return close();
    if (whole && kan === lab.race.kan) compare();
    const [a, b] = layer.domain(i), room = 0.12 * (b - a), knots = layer.knotsOf(i), curve = isCurve(layer);
    const xs = evenly(a - room, b + room, 161), ys = layer.curve(i, o, xs), inside = ys.filter((_, p) => xs[p] >= a && xs[p] <= b);
    const coef = curve ? layer.coefOf(i, o) : [];
    if (!grip) {
      const [low, high] = rangeOf([...inside, ...coef, 0], 0.12);
      range = { a: xs[0], b: xs.at(-1), low, high };
    }
    const { task } = lab.race, { inputs } = kan.observe(task.x, task.n)[l], floor = H - pad.bottom;
    const { bins, below, above } = histogram(inputs.subarray(i * task.n, (i + 1) * task.n), [a, b]);
    const d = {
      outside: `M0 ${pad.top}H${px(a)}V${floor}H0zM${px(b)} ${pad.top}H${W}V${floor}H${px(b)}z`, zero: `M0 ${py(0)}H${W}`,
      values: steps(bins, px(a), floor, px(b) - px(a), 46), curve: `M${Array.from(xs, (x, p) => `${px(x)} ${py(ys[p])}`).join("L")}`,
      knots: curve ? Array.from(knots.subarray(layer.degree, knots.length - layer.degree), t => `M${px(t)} ${floor - 5}v10`).join("") : "",
    };
    for (const name in d) set(part(name), { d: d[name] });
    const beyond = (share, x, side) => (share ? `<text x="${x}" y="${floor - 8}" text-anchor="${side}" class="share">${Math.max(1, Math.round(100 * share))} %</text>` : "");
    part("axes").innerHTML = ticks(range.a, range.b, 6).map(x => `<text x="${px(x)}" y="${H - 12}" text-anchor="middle">${show(x)}</text>`).join("")
      + beyond(below, 4, "start") + beyond(above, W - 4, "end");
    children(handles, coef.length, HANDLE).forEach((node, j) => set(node, {
      transform: `translate(${px(clamp(middleOf(knots, layer.degree, j), range.a, range.b))} ${clamp(py(coef[j]), 4, floor)})`,
      tabindex: 0, "aria-label": `coefficient ${j + 1} of ${coef.length}`, "aria-valuenow": round(coef[j], 4),
      "aria-valuemin": round(Math.min(range.low, coef[j]), 4), "aria-valuemax": round(Math.max(range.high, coef[j]), 4), "aria-valuetext": show(coef[j]),
    }));
    if (whole) drawList();
  }

  const indexOf = node => [...handles.children].indexOf(node.closest?.(".handle"));

  /** One gesture at one coefficient is one event: a drag, or keys until the focus goes on. */
  function move(j, value) {
    lab.cancel();
    lab.play(false);
    if (touched !== j) lab.race.beginEdit();
    touched = j;
    lab.race.setCoef(...edge, j, value);
    lab.changed();
  }

  function settle() {
    grip = null;
    touched = -1;
    lab.report();
    lab.say(lab.race.events.at(-1).text);
    lab.changed();
  }

  listen(handles, {
    pointerdown(event) {
      const j = indexOf(event.target), { top, height } = svg.getBoundingClientRect();
      event.preventDefault();
      handles.setPointerCapture(event.pointerId);
      handles.children[j].focus();
      touched = -1;
      grip = { j, top, scale: H / height, id: event.pointerId };
    },
    pointermove: ({ pointerId, clientY }) => {
      if (grip?.id === pointerId) move(grip.j, clamp(valueAt((clientY - grip.top) * grip.scale), range.low, range.high));
    },
    pointerup: () => grip && (touched >= 0 ? settle() : (grip = null)),
    pointercancel: () => grip && (touched >= 0 ? settle() : (grip = null)),
    keydown(event) {
      const j = indexOf(event.target), by = { ArrowUp: 1, ArrowDown: -1 }[event.key], to = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by) move(j, layerOf().coefOf(edge[1], edge[2])[j] + by * (event.shiftKey ? 0.1 : 0.02) * (range.high - range.low));
      else if (to) handles.children[j + to]?.focus();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    focusout: () => touched >= 0 && !grip && settle(),
  });
  listen(box, {
    click({ target }) {
      const { act } = target.dataset;
      if (act === "close" || target === box) close(); // a click beside the sheet
      else if (act === "off") {
        lab.act(() => lab.race.switchOff(...edge));
        close();
      } else if (act === "undo") lab.do("undo");
    },
    keydown(event) {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      close();
    },
    cancel(event) {
      event.preventDefault();
      close();
    },
  });
  return { open, draw };
}

// --- the page

const button = name => {
  const [says, does] = ACTIONS[name];
  return `<button type="button" data-do="${name}" title="${does}">${says}</button>`;
};
const HIDDEN = ["", "1", "2", "3", "5", "8", "12", "3, 3", "5, 5", "5, 5, 5"]; // widths of hidden layers
const slider = (name, says, attributes) => `<label>${says}<input type="range" name="${name}" aria-label="${says}" ${attributes}><output></output></label>`;
const toggle = (name, says) => `<label class="toggle"><input type="checkbox" name="${name}">${says}</label>`;
const plot = (name, words) => `<figure class="${name}"><div><canvas hidden aria-hidden="true"></canvas><svg role="img" aria-label="${words}"></svg></div>
  <figcaption>${name === "target" ? "target" : name.toUpperCase()} <span class="value"></span></figcaption></figure>`;

const TASK_CHIPS = Object.entries(TASKS).map(([name, { label }]) =>
  `<label class="chip"><input type="radio" value="${name}"><canvas width="28" height="28" aria-hidden="true"></canvas><span>${label}</span></label>`).join("");

const RACE = `<section class="race" aria-label="race of test errors"><p class="title"><b>Error on test data</b>
  <span class="about">relative RMSE, log scale</span><span class="switch" role="group" aria-label="against">
  <button type="button" aria-pressed="true" data-unit="steps">steps</button><button type="button" aria-pressed="false" data-unit="seconds">seconds</button></span></p>
  <svg class="chart" role="img"></svg>
  <div class="scrub"><input type="range" min="0" value="0" step="any" aria-label="look back through the training"></div>
  <p class="back" hidden><span></span> <button type="button" data-back="go">Go on from here</button> <button type="button" data-back="now">Back to now</button></p></section>`;

const NETWORK = `<section class="net" aria-label="the KAN"><p class="title"><b>The KAN</b> <span class="about numbers"></span></p>
  <svg class="network" role="group"></svg><p class="formula" hidden></p>
  <dialog aria-label="one edge"><p class="title"></p><button type="button" class="close" data-act="close" aria-label="close">×</button>
    <svg viewBox="0 0 420 220" role="group" aria-label="the curve, its coefficients as sliders"><path class="outside"/><path class="values"/><path class="zero"/>
      <path class="knots"/><path class="curve"/><g class="axes"></g><g class="handles"></g></svg>
    <p class="note"></p><ol></ol>
    <p class="acts"><button type="button" data-act="off">Switch off</button><button type="button" data-act="undo">Undo</button></p></dialog></section>`;

const LEARNED = `<section class="learned" aria-label="what they have learned"><p class="title"><b>What they have learned</b>
    <button type="button" class="clear" data-clear hidden>Clear the drawing</button></p>
  <div class="plots">${plot("target", "the target")}${plot("kan", "what the KAN has learned")}${plot("mlp", "what the MLP has learned")}</div>
  <p class="scale" hidden><span class="low"></span><i></i><span class="high"></span></p></section>`;

const SETTINGS = `<details class="settings"><summary>Settings</summary><div class="grid">
  <label>hidden nodes<select name="widths" aria-label="hidden nodes"></select></label>
  ${slider("grid_size", "intervals G", `min="1" max="30"`)}${slider("degree", "degree", `min="0" max="5"`)}
  <span class="domain">domain <input type="number" name="low" step="0.1" aria-label="domain from"> to <input type="number" name="high" step="0.1" aria-label="domain to"></span>
  <label>optimizer<select name="optimizer" aria-label="optimizer"><option value="adam">Adam</option><option value="lm">Levenberg-Marquardt</option></select></label>
  ${slider("lr", "learning rate", `min="-3" max="0" step="0.05"`)}${slider("speed", "steps a frame", `min="0" max="${SPEEDS.length - 1}"`)}
  ${toggle("bias", "bias")}${toggle("spline_weight", "spline weight")}${toggle("base", "base (SiLU)")}${toggle("follow", "grids follow")}</div></details>`;

const OWN = `<details class="own"><summary>Your own data</summary><p>Two or three columns, the last one to be learned from the others. The data never leave this page.</p>
  <textarea rows="6" aria-label="own data, as CSV" spellcheck="false"></textarea><p><button type="button" data-own>Train on these</button> <span class="wrong" role="alert"></span></p></details>`;

const SHARE = `<div class="share-row"><button type="button" data-share="link">Copy link</button><button type="button" data-share="python">Copy as Python</button></div>
  <textarea class="copied" readonly hidden rows="8" aria-label="copied text"></textarea>`;

const HELP = `<details class="help"><summary>What is what</summary><dl>${Object.values(ACTIONS).map(([says, does]) => `<dt>${says}</dt><dd>${does}</dd>`).join("")}
  <dt>a box</dt><dd>the curve on an edge; the hill at its foot: the values that reach it; ticks: its knots; a triangle: values beyond them. Click it, or Enter; arrow keys go to the next</dd>
  <dt>relative RMSE</dt><dd>root mean squared error on test data, divided by their standard deviation: 1 is as bad as the mean</dd></dl></details>`;

// Where the contest flatters one of the two.
const FAIR = {
  exp_sine: "This target is itself a small KAN of three edges, so the contest flatters the KAN.",
  product: "This target is itself a small KAN, so the contest flatters the KAN.",
  noisy: "Forty noisy points: a KAN bends to the noise.",
  rotated: "Turned by 30 degrees, the pattern is no sum of functions of x and of y.",
};

const page = (large, actions) => `<div class="lab">
  ${large ? `<div class="tasks" role="radiogroup" aria-label="task">${TASK_CHIPS}</div>` : ""}
  <div class="dock"><p class="status" role="status"></p><div class="bar">${(large ? THUMB : ["play", ...actions]).map(button).join("")}</div></div>
  ${large ? `<div class="more">${["step", "undo", "reset", "seed", "seeds"].map(button).join("")}</div>` : ""}
  ${NETWORK}${large ? LEARNED : ""}${RACE}
  <p class="fair"><span></span> <button type="button" data-match hidden>MLP of equal size</button></p>
  ${large ? `<div class="five" hidden></div>${SETTINGS}${OWN}${HELP}${SHARE}` : ""}</div>`;

/** A picture of each task for its chip, drawn when there is time. */
function drawChips(root, portrait) {
  const names = Object.keys(TASKS).filter(name => name !== "table" && (name !== "portrait" || portrait));
  const next = () => {
    const name = names.shift(), canvas = root.querySelector(`.chip [value=${name}] + canvas`);
    const task = makeTask(name, { portrait }), side = 28;
    if (task.inputs === 2) paint(canvas, truthOn(task, pixelCenters(side), side * side), rangeOf(task.testY), palette(name === "portrait" ? HEAT.gray : HEAT.light));
    else {
      const ink = canvas.getContext("2d"), [low, high] = rangeOf(task.y, 0.1);
      ink.strokeStyle = ink.fillStyle = "#888";
      ink.lineWidth = 2;
      task.x.forEach((x, s) => {
        const at = [((x + 1) / 2) * side, side * (1 - (task.y[s] - low) / (high - low))];
        if (task.n < 100) ink.fillRect(at[0] - 1, at[1] - 1, 2, 2);
        else ink.lineTo(...at);
      });
      ink.stroke();
    }
    if (names.length) setTimeout(next, 30);
  };
  setTimeout(next, 30);
}

function view(model, lab, el) {
  const large = model.get("size") !== "small", root = document.createElement("div"), actions = model.get("actions") ?? [];
  const first = large && !document.querySelector(".kan-lab[data-size=large]");
  root.className = "kan-view kan-lab";
  root.dataset.size = large ? "large" : "small";
  root.innerHTML = page(large, actions);
  el.append(root);
  keepKeys(root);
  const $ = selector => root.querySelector(selector), $$ = selector => [...root.querySelectorAll(selector)];
  const mine = { seen: false, draw, say: words => ($(".status").textContent = words) };
  const network = networkPane(lab, root, item => inspect.open(item)), inspect = inspector(lab, root, network);
  const learned = large && learnedPane(lab, root, points => {
    lab.publish({ points });
    lab.play(true);
  });
  const races = chart($(".chart")), scrubber = $(".scrub input");
  let unit = "steps", five = [], formula = null, counts = "", shownTask = "", started = false;

  // --- drawing

  /** Part 0, 1 or 2 of the picture, the parts taking turns; or all of it. */
  function draw(now, turn) {
    const { race } = lab, whole = turn === null, part = whole ? -1 : turn % 3;
    if (whole || part === 0) {
      network.draw(now.kan);
      inspect.draw(now.kan, whole);
    }
    if (whole || part === 1) {
      races.draw(race, { unit, at: lab.looking === null ? null : axisAt(now.step), errors: now.errors });
      drawNumbers(now);
      drawFive();
    }
    if (large && (whole || part === 2)) learned.draw(now, whole ? null : turn % 6 === 2 ? "kan" : "mlp");
    if (whole) drawControls(now);
  }

  function axisAt(step) {
    const { step: all, kanSeconds } = lab.race.history;
    return unit === "steps" ? step : kanSeconds[Math.max(0, all.findIndex(s => s >= step))];
  }

  function drawNumbers({ kan, mlp, step }) {
    const { race } = lab, edges = kan.layers.reduce((sum, { kind }) => sum + kind.filter(Boolean).length, 0);
    $(".numbers").textContent = `[${kan.widths.join(", ")}], G = ${kan.layers[0].grid_size}, ${edges} edges, ${kan.count()} parameters · step ${step}`;
    const sizes = `${kan.count()} ${mlp.count()} ${race.settings.task}`;
    if (sizes !== counts) {
      counts = sizes;
      const uneven = Math.abs(Math.log(kan.count() / mlp.count())) > 0.15, kept = uneven ? " The MLP kept its size." : "";
      $(".fair span").textContent = `Parameters: KAN ${kan.count()}, MLP ${mlp.count()} [${mlp.widths.join(", ")}].${kept} ${FAIR[race.settings.task] ?? ""}`;
      $("[data-match]").hidden = !uneven;
    }
    if (document.activeElement !== scrubber || lab.playing) {
      scrubber.max = race.steps || 1;
      scrubber.value = step;
    }
  }

  function drawFive() {
    if (!large || (!lab.others.length && !five.length)) return;
    const box = $(".five");
    box.hidden = !lab.others.length;
    children(box, lab.others.length, `<figure><svg role="img"></svg><figcaption></figcaption></figure>`);
    if (five.length !== lab.others.length) {
      five = [...box.children].map(node => ({ node, chart: chart(node.firstChild, { labels: false }), steps: -1 }));
      size();
    }
    five.forEach((one, n) => {
      const race = lab.others[n], { kan, mlp } = race.history, words = `seed ${race.settings.seed}: KAN ${brief(kan.at(-1))}, MLP ${brief(mlp.at(-1))}`;
      if (one.steps === race.steps && one.race === race) return;
      Object.assign(one, { steps: race.steps, race });
      one.chart.draw(race, { unit });
      set(one.node.firstChild, { "aria-label": words });
      one.node.lastChild.innerHTML = `seed ${race.settings.seed}<br><b>KAN ${brief(kan.at(-1))}</b><br><i>MLP ${brief(mlp.at(-1))}</i>`;
    });
  }

  function drawControls({ kan, errors, step }) {
    const { race } = lab, { settings } = race;
    network.describe(kan);
    for (const node of $$("[data-do=play]")) node.textContent = lab.playing ? "Pause" : "Play";
    for (const node of $$("[data-do=fade]")) set(node, { "aria-pressed": settings.fade });
    for (const node of $$("[data-do=undo], [data-act=undo]")) node.disabled = !race.canUndo;
    const written = race.formula();
    if (written?.html !== formula) {
      formula = written?.html ?? null;
      $(".formula").hidden = !formula;
      $(".formula").innerHTML = formula ? `<i>f</i>(${race.task.names.map(name => `<i>${name}</i>`).join(", ")}) = ${formula}` : "";
    }
    const marks = race.events.map(({ step, text }) => `step ${step}: ${text}`).join("; ");
    set($(".chart"), { "aria-label": `At step ${step}: KAN ${brief(errors.kan)}, MLP ${brief(errors.mlp)}. ${marks}` });
    set(scrubber, { "aria-valuetext": `step ${step}: KAN ${brief(errors.kan)}, MLP ${brief(errors.mlp)}` });
    $(".back").hidden = lab.looking === null;
    $(".back span").textContent = `Looking back at step ${step} of ${race.steps}.`;
    if (large) drawSettings(settings);
  }

  function drawSettings(settings) {
    const hidden = settings.widths.slice(1, -1).join(", "), options = [...new Set([...HIDDEN, hidden])], select = $("[name=widths]");
    if (select.options.length !== options.length) select.innerHTML = options.map(one => `<option value="${one}">${one || "none"}</option>`).join("");
    select.value = hidden;
    const speed = Math.max(0, SPEEDS.indexOf(model.get("speed") ?? 2));
    const values = { grid_size: settings.grid_size, degree: settings.degree, lr: Math.log10(settings.lr), speed, optimizer: settings.optimizer, low: settings.domain[0], high: settings.domain[1] };
    const said = { ...values, lr: show(settings.lr), speed: SPEEDS[speed] };
    for (const name in values) {
      const input = $(`[name=${name}]`);
      if (document.activeElement !== input || input.type === "range") input.value = values[name];
      if (input.type !== "range") continue;
      input.nextSibling.textContent = said[name];
      set(input, { "aria-valuetext": said[name] });
    }
    for (const input of $$(".settings [type=checkbox]")) input.checked = settings[input.name];
    for (const input of $$(".chip input")) input.checked = input.value === settings.task;
    if (shownTask !== settings.task) $(".chip :checked").closest(".chip").scrollIntoView({ block: "nearest", inline: "center" });
    shownTask = settings.task;
    $("[data-clear]").hidden = settings.task !== "drawn";
    root.dataset.task = settings.task;
  }

  // --- controls

  const changes = {
    widths: ({ value }) => ({ widths: [lab.race.task.inputs, ...(value ? value.split(", ").map(Number) : []), 1] }),
    lr: ({ value }) => ({ lr: +(10 ** value).toPrecision(2) }),
    speed: ({ value }) => ({ speed: SPEEDS[value] }),
    low: ({ valueAsNumber: low }) => ({ domain: [low, lab.race.settings.domain[1]] }),
    high: ({ valueAsNumber: high }) => ({ domain: [lab.race.settings.domain[0], high] }),
  };

  function onInput({ target }) {
    const { name, type } = target;
    if (target === scrubber) return lookAt(+target.value);
    if (target.closest(".tasks")) return choose(target.value);
    if (!target.closest(".settings")) return;
    const change = changes[name]?.(target) ?? { [name]: type === "checkbox" ? target.checked : type === "range" ? +target.value : target.value };
    const [low, high] = change.domain ?? [0, 1];
    if (!(high - low > 0.01)) return lab.say("The domain needs two numbers, the second larger than the first.");
    const limit = change.optimizer && lab.race.limits()[change.optimizer];
    if (limit) lab.say(limit);
    else lab.publish(change);
    lab.changed();
  }

  function choose(task) {
    const own = task === "table" || (task === "drawn" && lab.race.settings.task === "drawn"), hidden = lab.race.settings.widths.slice(1, -1);
    lab.publish({ task, points: own ? lab.points : null, widths: [TASKS[task].inputs, ...hidden, 1] });
    if (task === "table") $(".own").open = true;
    if (task === "drawn") lab.say("Draw a curve over the target, with finger or mouse.");
  }

  function train() {
    try {
      const points = parseCSV($(".own textarea").value);
      $(".wrong").textContent = "";
      lab.publish({ points, task: "table", widths: [points[0].length - 1, ...lab.race.settings.widths.slice(1, -1), 1] });
      lab.play(true);
      lab.say(`${points.length} rows; every fifth is kept for the test`);
    } catch (error) {
      $(".wrong").textContent = `${error.message}.`;
    }
  }

  /** The snapshot nearest to a step; the last one is now. */
  function lookAt(step) {
    const { snapshots } = lab.race, gap = n => Math.abs(snapshots[n].step - step);
    const nearest = [...snapshots.keys()].reduce((best, n) => (gap(n) < gap(best) ? n : best), 0);
    look(step >= lab.race.steps ? null : nearest);
  }

  function look(n) {
    lab.play(false);
    lab.cancel();
    lab.looking = n;
    lab.changed();
  }

  async function share(name) {
    const area = $(".copied");
    area.hidden = false;
    area.value = name === "link" ? `${location.href.split("#")[0]}#lab=${lab.race.encode()}` : lab.race.python();
    lab.say((await copyFrom(area)) ? (name === "link" ? "Copied: a link that holds all of this." : "Copied.") : "Copy the text below.");
  }

  function onClick({ target }) {
    const { do: what, unit: axis, share: kind, back } = target.dataset;
    if (what) lab.do(what);
    else if (axis) {
      unit = axis;
      for (const node of $$("[data-unit]")) set(node, { "aria-pressed": node.dataset.unit === unit });
      for (const one of five) one.steps = -1;
      lab.changed();
    } else if (kind) share(kind);
    else if (back === "go") {
      const n = lab.looking;
      lab.act(() => lab.race.rewind(n));
      lab.say(`on from step ${lab.race.steps}`);
    } else if (back) look(null);
    else if ("match" in target.dataset) lab.act(() => lab.race.matchMLP());
    else if ("own" in target.dataset) train();
    else if ("clear" in target.dataset) lab.publish({ points: null });
  }

  function onKey(event) {
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && key === "z" && !event.target.matches("textarea, [type=number]")) lab.do("undo");
    else if (event.target === scrubber && /^arrow/.test(key)) {
      const last = lab.race.snapshots.length, by = key === "arrowleft" || key === "arrowdown" ? -1 : 1, n = (lab.looking ?? last) + by;
      look(n >= last ? null : Math.max(0, n));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // --- life

  function size() {
    network.resize($(".net").clientWidth);
    const width = $(".race").clientWidth;
    races.resize(width, width < 420 ? 190 : 210);
    Object.assign($(".scrub").style, { paddingLeft: `${races.pad.left - 8}px`, paddingRight: `${races.pad.right - 8}px` });
    for (const { node, chart } of five) chart.resize(node.clientWidth, 64);
    lab.changed();
  }

  async function restore() {
    const state = location.hash.match(/^#lab=(.+)/)?.[1];
    if (!first || !state) return;
    try {
      const race = Race.decode(state, { portrait: lab.portrait });
      lab.adopt(race);
      root.scrollIntoView();
    } catch {
      lab.say("The link's state cannot be read; this is a new start.");
    }
  }

  listen(root, { click: onClick, input: onInput, keydown: onKey });
  const end = watch(root, size);
  const sight = new IntersectionObserver(([{ isIntersecting }]) => {
    mine.seen = isIntersecting;
    if (isIntersecting && !started && model.get("playing") && !still()) lab.play(true);
    started ||= isIntersecting;
    if (isIntersecting) lab.changed();
  }, { threshold: 0.05 });
  sight.observe(root);
  lab.views.add(mine);
  mine.say(lab.message);
  if (large) {
    $(".own textarea").value = EXAMPLE.map(row => row.map(v => +v.toFixed(3)).join(", ")).join("\n");
    $(".settings").open = root.clientWidth >= 680;
    drawChips(root, lab.portrait);
  }
  restore();
  return () => {
    end();
    sight.disconnect();
    lab.views.delete(mine);
  };
}

export default () => {
  let lab;
  return {
    initialize({ model }) {
      lab = new Lab(model);
    },
    render: ({ model, el }) => view(model, lab, el),
  };
};
