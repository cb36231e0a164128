// The KAN Lab's view: what a reader sees and does. The race (race.js) knows nothing of the page. This
// file runs it, at most 8 ms a frame, draws one part of the picture in each frame, and says what
// happened. A large lab has everything; a small one a network, a race and a few buttons.

import { CURVE } from "./engine.js";
import { brief, drawIcon, learnedChart, raceChart } from "./charts.js";
import { edgeInspector, networkDiagram } from "./diagram.js";
import { children, copyFrom, isNarrow, keepKeys, listen, set, show, still, watch, write } from "./page.js";
import { DEFAULTS, Race } from "./race.js";
import { EXAMPLE, TASKS, makeTask, parseCSV } from "./tasks.js";

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
const THUMB = ["play", "update", "extend", "fade", "prune", "snap"]; // within reach of it on a phone
const MORE = ["step", "undo", "reset", "seed", "seeds"];

const alike = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const bytes = base64 => (base64 ? Uint8Array.from(atob(base64), c => c.charCodeAt(0)) : null);

class Lab {
  constructor(model) {
    this.scripted = model.get("task");
    this.model = model;
    this.views = new Set();
    this.playing = false;
    this.job = null; // what is worked on in place of training: a generator, and who hears of it
    this.others = []; // five more races
    this.looking = null; // the number of the snapshot that is shown; null: what is now
    this.turn = this.waiting = 0;
    this.version = 0; // counts what was done by hand
    this.whole = true; // whether the next picture is drawn at once, not part by part
    this.message = "";
    this.given = model.get("network"); // a network that Python shows, or null
    this.start();
    for (const name of [...Object.keys(DEFAULTS), "points"]) model.on(`change:${name}`, () => this.later());
    model.on("change:network", () => {
      if (model.get("network") === this.sent) return;
      this.given = model.get("network");
      this.start();
    });
    model.on("change:playing", () => model.get("playing") !== this.playing && this.do("play"));
  }

  get settings() {
    return Object.fromEntries(Object.keys(DEFAULTS).map(name => [name, this.model.get(name)]));
  }

  /** A new race by the traits. */
  start() {
    this.points = this.model.get("points");
    this.portrait = bytes(this.model.get("_portrait"));
    this.take(new Race(this.settings, { points: this.points, portrait: this.portrait, network: this.given }));
  }

  startAnew() {
    this.given = null;
    this.start();
  }

  take(race) {
    this.cancel();
    this.race = race;
    this.others = [];
    this.looking = null;
    const script = race.settings.task === this.scripted ? this.model.get("script") : []; // written for one task
    this.script = script.filter(([step]) => step >= race.steps);
    this.changed();
  }

  /** A race from elsewhere; the traits follow. */
  adopt(race) {
    this.points = race.task.points;
    this.publish({ points: this.points });
    this.take(race);
    this.report();
  }

  /** Traits come one by one; what they change is done once they are all there. */
  later() {
    if (this.settling) return;
    this.settling = true;
    queueMicrotask(() => {
      this.settling = false;
      const old = this.race.settings, wanted = Object.entries(this.settings);
      const changes = wanted.filter(([name, value]) => !alike(value, old[name]));
      const otherPoints = !alike(this.model.get("points"), this.points);
      if (otherPoints || changes.some(([name]) => !LIVE.includes(name))) this.startAnew();
      else if (changes.length) this.act(() => this.race.set(Object.fromEntries(changes)));
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
    this.until = [this.race.steps + 100, performance.now() + 5000]; // some training, and time to read
    for (const view of this.views) view.say(words);
  }

  changed() {
    this.version++;
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
    const { race } = this, { settings } = race, reason = race.limits()[name];
    if (reason) return this.say(reason);
    const done = {
      play: () => this.play(!this.playing),
      pause: () => this.play(false), // for scripts
      step: () => {
        this.look(null);
        race.step();
      },
      update: () => this.act(() => race.update()),
      extend: () => this.act(() => race.extend()),
      fade: () => this.act(() => race.set({ fade: !settings.fade })),
      prune: () => this.act(() => race.prune()),
      snap: () => this.snapAll(),
      undo: () => this.undo(),
      reset: () => {
        this.publish({ fade: false });
        this.start();
        this.say("the same start again");
      },
      seed: () => {
        this.publish({ fade: false, seed: settings.seed + 1 });
        this.startAnew();
        this.say(`a start from seed ${settings.seed + 1}`);
      },
      seeds: () => this.five(),
    };
    done[name]();
  }

  undo() {
    const { events, canUndo } = this.race;
    if (!canUndo) return this.say("There is nothing to undo.");
    this.act(() => this.race.undo());
    const gone = events[this.race.events.length];
    this.say(gone ? `undone: ${ACTIONS[gone.name]?.[0] ?? "a change by hand"}` : "undone");
  }

  /** Show a snapshot, or what is now: null. */
  look(index) {
    this.play(false);
    this.cancel();
    this.looking = index;
    this.changed();
  }

  rewind() {
    const index = this.looking;
    this.act(() => this.race.rewind(index));
    this.say(`on from step ${this.race.steps}`);
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
    this.say("looking for functions …");
    const heard = at => at && this.say(`curve ${at.done + 1} of ${at.of}: comparing with functions …`);
    this.run(this.race.snapAll(), heard, ({ complete, text }) => {
      this.say(complete ? this.race.events.at(-1).text : text);
      this.report();
    });
  }

  five() {
    const { points, portrait, race: { settings } } = this;
    const seeds = [1, 2, 3, 4, 5].map(n => settings.seed + n);
    this.others = seeds.map(seed => new Race({ ...settings, seed }, { points, portrait }));
    this.say(`seeds ${seeds[0]} to ${seeds[4]}, with the settings of now`);
    this.changed();
  }

  /** How far the other races shall run: as far as the first one, and far enough to see something. */
  behind() {
    const goal = Math.max(300, this.race.steps);
    return this.others.filter(race => race.steps < goal).sort((a, b) => a.steps - b.steps)[0];
  }

  /** A few steps, and between them what the script says. */
  train(end) {
    for (let n = 0; n < this.model.get("speed") && performance.now() < end; n++) {
      while (this.script.length && this.script[0][0] <= this.race.steps) this.do(this.script.shift()[1]);
      if (!this.playing) return;
      this.race.step();
    }
  }

  // One frame: some work, then a part of the picture.

  wake() {
    this.waiting ||= requestAnimationFrame(() => this.frame());
  }

  frame() {
    this.waiting = 0;
    const views = [...this.views].filter(view => view.seen);
    if (!views.length) return; // whoever comes into sight wakes it
    const pictures = () => Math.floor(this.race.steps / CALM), before = pictures();
    const busy = this.work(performance.now() + FRAME), whole = this.whole || !busy || still();
    const calm = still() && busy && !this.whole && pictures() === before;
    this.whole = false;
    const now = this.shown(whole);
    const { race } = this;
    if (this.playing && race.stopped) {
      this.play(false);
      this.say(race.stopped);
    }
    if (this.playing && this.message && race.steps > this.until[0] && performance.now() > this.until[1]
      && !race.formula()) this.say("");
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
    if (this.playing) this.train(end);
    let other;
    while (performance.now() < end && (other = this.behind())) other.step();
    return this.playing || !!other;
  }

  /** The networks and errors that are shown; between two pictures of the whole, the last errors noted. */
  shown(whole) {
    const { race, looking } = this, { kan, mlp } = race.history;
    if (looking !== null) return { ...race.view(looking), seconds: race.snapshots[looking].seconds };
    const errors = whole ? race.errors() : { kan: kan.at(-1), mlp: mlp.at(-1) };
    return { kan: race.kan, mlp: race.mlp, errors, step: race.steps, seconds: race.seconds };
  }
}

// --- the page

const HIDDEN = ["", "1", "2", "3", "5", "8", "12", "3, 3", "5, 5", "5, 5, 5"]; // widths of hidden layers
// Where the contest flatters one of the two.
const FAIR = {
  exp_sine: "This target is itself a small KAN, of three edges: the contest flatters the KAN.",
  product: "This target is itself a small KAN: the contest flatters the KAN.",
  rotated: "Turned by 30 degrees, the pattern no longer follows x and y, which flatters neither.",
  noisy: "Few points with noise: the KAN's curves have room to follow the noise.",
};

const buttons = names => names.map(name => {
  const [says, does] = ACTIONS[name];
  return `<button type="button" data-do="${name}" title="${does}">${says}</button>`;
}).join("");
const slider = (name, says, limits) =>
  `<label>${says}<input type="range" name="${name}" aria-label="${says}" ${limits}><output></output></label>`;
const toggle = (name, says) => `<label class="toggle"><input type="checkbox" name="${name}">${says}</label>`;
// No figure with a caption: pages have styles for those.
const plot = (name, says, words) => `<div class="plot ${name}">
  <div><canvas hidden aria-hidden="true"></canvas><svg role="img" aria-label="${words}"></svg></div>
  <p class="under">${says} <span class="value"></span></p></div>`;
const chip = (group, name) => `<label class="chip"><input type="radio" name="${group}" value="${name}">
  <canvas width="28" height="28" aria-hidden="true"></canvas><span>${TASKS[name].label}</span></label>`;
const chips = group => `<div class="tasks" role="radiogroup" aria-label="task">
  ${Object.keys(TASKS).map(name => chip(group, name)).join("")}</div>`;

const NETWORK = `<section class="net" aria-label="the KAN">
  <p class="title"><b>The KAN</b> <span class="about numbers"></span></p>
  <svg class="network" role="group"></svg><p class="formula" hidden></p>
  <dialog aria-label="one edge"><p class="title"></p>
    <button type="button" class="close" data-act="close" aria-label="close">×</button>
    <svg viewBox="0 0 420 220" role="group" aria-label="the curve, its coefficients as sliders">
      <path class="outside"/><path class="values"/><path class="zero"/><path class="knots"/>
      <path class="curve"/><g class="axes"></g><g class="handles"></g></svg>
    <p class="note"></p><ol></ol>
    <p class="acts"><button type="button" data-act="off">Switch off</button>
      <button type="button" data-act="undo">Undo</button></p></dialog></section>`;

const LEARNED = `<section class="learned" aria-label="what they have learned">
  <p class="title"><b>What they have learned</b>
    <button type="button" data-clear hidden>Clear the drawing</button></p>
  <div class="plots">${plot("target", "target", "the target")}
    ${plot("kan", "KAN", "what the KAN has learned")}${plot("mlp", "MLP", "what the MLP has learned")}</div>
  <p class="scale" hidden><span class="low"></span><i></i><span class="high"></span></p></section>`;

const RACE = `<section class="race" aria-label="the race of test errors">
  <p class="title"><b>Test error</b> <span class="about">relative RMSE</span>
    <span class="switch" role="group" aria-label="against">
      <button type="button" aria-pressed="true" data-unit="steps">steps</button>
      <button type="button" aria-pressed="false" data-unit="seconds">seconds</button></span></p>
  <svg class="chart" role="img" aria-label="test errors, none yet"></svg>
  <div class="scrub">
    <input type="range" min="0" value="0" step="any" aria-label="look back through the training"></div>
  <p class="back" hidden><span></span> <button type="button" data-back="go">Go on from here</button>
    <button type="button" data-back="now">Back to now</button></p></section>`;

const SETTINGS = `<details class="settings"><summary>Settings <span class="changed" hidden>● changed</span></summary>
  <div class="grid">${slider("speed", "steps a frame", `min="0" max="${SPEEDS.length - 1}"`)}
    ${slider("lr", "learning rate", `min="-3" max="0" step="0.05"`)}
    <label>optimizer<select name="optimizer"><option value="adam">Adam</option>
      <option value="lm">Levenberg-Marquardt</option></select></label>
    ${toggle("follow", "knots follow the values")}</div>
  <p class="about">And these begin a new race:</p>
  <div class="grid"><label>hidden nodes<select name="widths"></select></label>
    ${slider("grid_size", "intervals G", `min="1" max="30"`)}${slider("degree", "degree", `min="0" max="5"`)}
    <span class="domain">domain <input type="number" name="low" step="0.1" aria-label="domain from"> to
      <input type="number" name="high" step="0.1" aria-label="domain to"></span>
    ${toggle("bias", "bias")}${toggle("spline_weight", "spline weight")}
    ${toggle("base", "base (SiLU)")}</div></details>`;

const OWN = `<details class="own"><summary>Your own data</summary>
  <p>Two or three columns, the last to be learned from the others. The data never leave this page.</p>
  <textarea rows="6" aria-label="own data, as CSV" spellcheck="false"></textarea>
  <p><button type="button" data-own>Train on these</button>
    <span class="wrong" role="alert"></span></p></details>`;

const HELP = `<details class="help"><summary>What is what</summary><dl>
  ${Object.values(ACTIONS).map(([says, does]) => `<dt>${says}</dt><dd>${does}</dd>`).join("")}
  <dt>a box</dt><dd>the curve on an edge, strong where its output varies much; at its foot the values
    that reach it, and its knots; a triangle: values beyond them. Click it, or press Enter; arrow keys go
    to the next.</dd>
  <dt>a letter in a circle</dt><dd>what was done there: u Update, g G × 2, f Fade, p Prune, s Snap, e a curve by
    hand, o another optimizer</dd>
  <dt>relative RMSE</dt><dd>root mean squared error on test data in units of their standard deviation:
    1 is as bad as to say the mean</dd></dl></details>`;

const SHARE = `<div class="take"><button type="button" data-share="link">Copy link</button>
  <button type="button" data-share="python">Copy as Python</button>
  <span class="took" role="status"></span></div>
  <textarea class="copied" readonly hidden rows="8" aria-label="copied text"></textarea>`;

const page = (large, actions) => `<div class="lab">${large ? chips(`task${Math.random()}`) : ""}
  <div class="dock"><div class="said"><p class="status" role="status"></p><span class="now"></span></div>
    <div class="bar">${buttons(large ? THUMB : ["play", ...actions])}</div></div>
  ${large ? `<div class="more">${buttons(MORE)}</div>` : ""}${NETWORK}${large ? LEARNED : ""}${RACE}
  <p class="fair"><span></span> <button type="button" data-match hidden>MLP of equal size</button></p>
  ${large ? `<div class="five" hidden></div>${SETTINGS}${OWN}${HELP}${SHARE}` : ""}</div>`;

const FIFTH = `<div><svg role="img"></svg><p class="under"></p></div>`;

/** A picture of each task on its chip, drawn one after the other when there is time. */
function drawChips(root, portrait) {
  const names = Object.keys(TASKS), next = () => {
    const name = names.shift(), canvas = root.querySelector(`[value=${name}] + canvas`);
    if (name !== "portrait" || portrait) drawIcon(canvas, makeTask(name, { portrait }));
    if (names.length) setTimeout(next, 30);
  };
  setTimeout(next, 30);
}

function view(model, lab, el) {
  const large = model.get("size") !== "small", root = document.createElement("div");
  const first = large && !document.querySelector(".kan-lab[data-size=large]");
  root.className = "kan-view kan-lab";
  root.dataset.size = large ? "large" : "small";
  root.innerHTML = page(large, model.get("actions") ?? []);
  el.append(root);
  keepKeys(root);
  const $ = selector => root.querySelector(selector), $$ = selector => [...root.querySelectorAll(selector)];
  const mine = { seen: false, draw, say: words => write($(".status"), words) };
  const network = networkDiagram(lab, $(".network"), box => inspector.open(box));
  const inspector = edgeInspector(lab, root, network);
  const chart = raceChart($(".chart")), scrubber = $(".scrub input");
  const learned = large && learnedChart(lab, root, points => {
    lab.publish({ points });
    lab.play(true);
  });
  let unit = "steps", five = [], formula = null, counts = "", task = "", begun = false, taken = null;

  // --- drawing

  /** All of the picture; or, by the turn, a part of it. */
  function draw(now, turn) {
    const part = turn === null ? null : turn % 3, whole = part === null;
    if (whole || part === 0) {
      network.draw(now.kan);
      inspector.draw(now.kan, whole);
    }
    if (whole || part === 1) {
      const place = placeOf(now), at = lab.looking === null ? null : place;
      scrubber.max = chart.draw(lab.race, { unit, at, errors: now.errors });
      scrubber.value = place;
      drawNumbers(now);
      drawFive();
      if (taken && (lab.race !== taken.race || lab.race.steps > taken.step + 100)) write($(".took"), "");
    }
    if (large && (whole || part === 2)) learned.draw(now, whole ? null : turn % 6 === 2 ? "kan" : "mlp");
    if (whole) drawControls(now);
  }

  function drawNumbers({ kan, mlp, step }) {
    const { race, script } = lab, name = race.settings.task;
    const next = script.length ? `; ${ACTIONS[script[0][1]]?.[0] ?? "pause"} at ${script[0][0]}` : "";
    const [first] = kan.layers;
    const grid = kan.edges(CURVE).length ? `, G = ${first.grid_size}` : "";
    const numbers = kan.count() ? `${kan.count()} parameters` : "all numbers rounded";
    write($(".numbers"), `[${kan.widths.join(", ")}]${grid}, ${numbers}`);
    write($(".now"), `step ${step}${next}`);
    const behind = race.mlpSteps < race.steps ? ` New MLP: step ${race.mlpSteps} of ${race.steps}.` : "";
    const sizes = `${kan.count()} ${mlp.count()} ${name} ${behind}`;
    if (sizes === counts) return;
    counts = sizes;
    const uneven = kan.count() > 0 && Math.abs(Math.log(kan.count() / mlp.count())) > 0.15;
    const counted = `Parameters: KAN ${kan.count()}, MLP ${mlp.count()} [${mlp.widths.join(", ")}].`;
    $(".fair span").textContent = `${counted}${uneven ? " The MLP kept its size." : ""}${behind} ${FAIR[name] ?? ""}`;
    $("[data-match]").hidden = !uneven || kan.count() < 20;
  }

  function drawFive() {
    const { others } = lab;
    if (!large || (!others.length && !five.length)) return;
    $(".five").hidden = !others.length;
    const nodes = children($(".five"), others.length, FIFTH);
    if (five.length !== others.length) {
      five = nodes.map(node => ({ node, chart: raceChart(node.firstChild, { labels: false }), drawn: "" }));
      resize();
    }
    five.forEach((one, n) => {
      const { steps, settings: { seed } } = others[n], drawn = `${seed} ${steps} ${unit}`;
      if (one.drawn === drawn) return;
      const errors = others[n].errors(), kan = `KAN ${brief(errors.kan)}`, mlp = `MLP ${brief(errors.mlp)}`;
      one.drawn = drawn;
      one.chart.draw(others[n], { unit, at: null, errors });
      set(one.node.firstChild, { "aria-label": `seed ${seed}, step ${steps}: ${kan}, ${mlp}` });
      one.node.lastChild.innerHTML = `seed ${seed}<br><b>${kan}</b><br><i>${mlp}</i>`;
    });
  }

  /** What changes by hand only, and what a screen reader reads. */
  function drawControls({ kan, errors, step }) {
    const { race } = lab, written = lab.looking === null ? race.formula()?.html ?? null : null;
    const said = `step ${step}: KAN ${brief(errors.kan)}, MLP ${brief(errors.mlp)}`;
    const events = race.events.map(one => `. Step ${one.step}: ${one.text}`).join("");
    network.describe(kan);
    set($(".chart"), { "aria-label": `At ${said}${events}` });
    set(scrubber, { "aria-valuetext": said });
    for (const node of $$("[data-do=play]")) node.textContent = lab.playing ? "Pause" : "Play";
    for (const node of $$("[data-do=fade]")) set(node, { "aria-pressed": race.settings.fade });
    $(".back").hidden = lab.looking === null;
    $(".back span").textContent = `Step ${step} of ${race.steps}.`;
    if (written !== formula) {
      formula = written;
      $(".formula").hidden = !formula;
      const names = race.task.names.map(name => `<i>${name}</i>`).join(", ");
      $(".formula").innerHTML = `<i>f</i>(${names}) = ${formula}`;
    }
    if (large) drawSettings(race.settings);
    if (race === taken?.race) return;
    for (const node of $$(".copied")) node.hidden = true;
  }

  function drawSettings({ widths, degree, domain: [low, high], lr, optimizer, ...settings }) {
    const hidden = widths.slice(1, -1).join(", "), select = $("[name=widths]");
    const options = [...new Set([...HIDDEN, hidden])];
    if (select.options.length !== options.length)
      select.innerHTML = options.map(one => `<option value="${one}">${one || "none"}</option>`).join("");
    const speed = SPEEDS.filter(one => one <= model.get("speed")).length - 1;
    const values = { widths: hidden, grid_size: lab.race.kan.layers[0].grid_size, degree, low, high, optimizer, lr: Math.log10(lr), speed };
    const said = { ...values, lr: show(lr), speed: model.get("speed") };
    for (const name in values) {
      const input = $(`[name=${name}]`);
      input.value = values[name];
      if (input.type !== "range") continue;
      input.nextSibling.textContent = said[name];
      set(input, { "aria-valuetext": said[name] });
    }
    for (const input of $$(".settings [type=checkbox]")) input.checked = settings[input.name];
    $(".changed").hidden = alike(chosen(), defaults);
    if (task === settings.task) return;
    task = root.dataset.task = settings.task;
    for (const input of $$(".chip input")) input.checked = input.value === task;
    const chips = $(".tasks"), one = $(".chip:has(:checked)");
    chips.scrollLeft = one.offsetLeft - (chips.clientWidth - one.clientWidth) / 2;
    $("[data-clear]").hidden = task !== "drawn";
    resize();
  }

  // --- controls

  const hiddenWidths = () => lab.race.settings.widths.slice(1, -1);

  /** What the settings are, whatever the task. */
  function chosen() {
    const { task, widths, fade, seed, ...settings } = lab.race.settings;
    return [hiddenWidths(), settings, model.get("speed")];
  }
  const defaults = chosen();

  const changes = {
    widths({ value }) {
      const hidden = value ? value.split(", ").map(Number) : [];
      return { widths: [lab.race.task.inputs, ...hidden, 1] };
    },
    lr: ({ value }) => ({ lr: +(10 ** value).toPrecision(2) }),
    speed: ({ value }) => ({ speed: SPEEDS[value] }),
    low: ({ valueAsNumber }) => ({ domain: [valueAsNumber, lab.race.settings.domain[1]] }),
    high: ({ valueAsNumber }) => ({ domain: [lab.race.settings.domain[0], valueAsNumber] }),
  };

  function onInput({ target }) {
    const { name, type, value, checked } = target;
    const given = { checkbox: checked, range: +value }[type] ?? value;
    if (target === scrubber) lookAt(+value);
    else if (target.closest(".tasks")) choose(value);
    else if (target.closest(".settings")) change(changes[name]?.(target) ?? { [name]: given });
  }

  function change(settings) {
    const [low, high] = settings.domain ?? [0, 1], limit = lab.race.limits()[settings.optimizer];
    if (!(high - low >= 0.01)) return lab.say("The domain needs two numbers, the second the larger one.");
    if (limit) lab.say(limit);
    else lab.publish(settings);
    if (settings.grid_size === lab.race.settings.grid_size) lab.startAnew(); // back from an extension
    lab.changed();
  }

  function choose(name) {
    const inputs = name === "table" ? EXAMPLE[0].length - 1 : TASKS[name].inputs;
    lab.publish({ task: name, points: null, fade: false, widths: [inputs, ...hiddenWidths(), 1] });
    if (name === "table") $(".own").open = true;
    lab.say(name === "drawn" ? "Draw a curve over the target, with finger or mouse." : "");
  }

  function train() {
    try {
      const points = parseCSV($(".own textarea").value);
      $(".wrong").textContent = "";
      lab.publish({ points, task: "table", fade: false, widths: [points[0].length - 1, ...hiddenWidths(), 1] });
      lab.play(true);
      lab.say(`${points.length} rows, of which every fifth is kept for the test`);
    } catch (error) {
      $(".wrong").textContent = `${error.message}.`;
    }
  }

  /** Where something lies on the axis: steps or seconds. */
  const placeOf = ({ step, seconds }) => (unit === "steps" ? step : seconds.kan);

  /** The snapshot nearest to a place; at the end, what is now. */
  function lookAt(place) {
    const { steps, seconds, snapshots } = lab.race, gaps = snapshots.map(one => Math.abs(placeOf(one) - place));
    lab.look(place >= placeOf({ step: steps, seconds }) ? null : gaps.indexOf(Math.min(...gaps)));
  }

  async function share(what) {
    const area = $(".copied"), link = what === "link";
    taken = { race: lab.race, step: lab.race.steps };
    area.hidden = false;
    area.value = link ? `${location.href.split("#")[0]}#lab=${await lab.race.encode()}` : lab.race.python();
    const copied = await copyFrom(area);
    const said = link ? "Copied: a link that holds all of this." : "Copied.";
    write($(".took"), copied ? said : "Copy the text below.");
  }

  function measure(by) {
    unit = by;
    for (const node of $$("[data-unit]")) set(node, { "aria-pressed": node.dataset.unit === unit });
    lab.changed();
  }

  const pressed = {
    do: name => lab.do(name),
    unit: measure,
    share,
    back: to => (to === "now" ? lab.look(null) : lab.rewind()),
    match: () => lab.act(() => lab.race.matchMLP()),
    own: train,
    clear() {
      lab.play(false);
      lab.publish({ points: [[-1, 0], [1, 0]] });
    },
  };

  function onClick({ target }) {
    for (const name in target.dataset) pressed[name]?.(target.dataset[name]);
  }

  function onKey(event) {
    const { key, target } = event, way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[key];
    const back = (event.ctrlKey || event.metaKey) && key.toLowerCase() === "z";
    if (back && !target.matches("textarea, [type=number]")) lab.do("undo");
    else if (target === scrubber && way) {
      const { length } = lab.race.snapshots, index = (lab.looking ?? length) + way;
      lab.look(index >= length ? null : Math.max(0, index));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // --- life

  function resize() {
    const width = $(".race").clientWidth, beside = !isNarrow(root), { inputs } = lab.race.task;
    network.resize($(".net").clientWidth, !beside ? 320 : large && inputs === 1 ? 610 : large ? 450 : 320);
    chart.resize(width, width < 420 ? 190 : 210);
    for (const one of five) one.chart.resize(one.node.clientWidth, 64);
    const [left, right] = [chart.pad.left - 8, chart.pad.right - 8]; // so the thumb stands below the cursor
    $(".scrub").style.padding = `0 ${right}px 0 ${left}px`;
    lab.changed();
  }

  async function restore() {
    const [, state] = location.hash.match(/^#lab=(.+)/) ?? [];
    if (!first || !state) return;
    const race = await Race.decode(state, { portrait: lab.portrait }).catch(() => null);
    if (!race) return lab.say("The state in this link cannot be read, so this is a new start.");
    lab.adopt(race);
    root.scrollIntoView();
  }

  const sight = new IntersectionObserver(([{ isIntersecting }]) => {
    mine.seen = isIntersecting;
    if (!isIntersecting) return;
    if (!begun && model.get("playing") && !still()) lab.play(true);
    begun = true;
    lab.changed();
  }, { threshold: 0.05 });
  listen(root, { click: onClick, input: onInput, keydown: onKey });
  const unwatch = watch(root, resize);
  sight.observe(root);
  lab.views.add(mine);
  mine.say(lab.message);
  if (large) {
    $(".own textarea").value = EXAMPLE.map(row => row.map(v => +v.toFixed(3)).join(", ")).join("\n");
    $(".settings").open = root.clientWidth >= 900;
    drawChips(root, lab.portrait);
  }
  restore();
  return () => {
    unwatch();
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
