// Living figure: a KAN learns a row of a picture, and its hidden values stay on the knots or leave them.

import { ANOTHER, brief, chart, figure, train } from "./living.js";
import { Network } from "./network.js";
import { clamp, deviation, evenly, range, sum } from "./numbers.js";
import { lossOf } from "./optimizers.js";
import { set, still, write } from "./page.js";

export const RATES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1], STEPS = 120;
const FREQUENCIES = 4, HIDDEN = 8;
const LAST = 2.2, INNER = range(6).map(g => -1 + 0.4 * g); // the last knot; those of the domain
const END = 5, BIN = 0.2, BINS = range(50), LINE = evenly(-END, END, 201); // of hidden values in the picture
const PLAY = 6000; // milliseconds from the first step to the last: slowly at first, when most happens
const start = seed => Network.start([2 * FREQUENCIES, HIDDEN, 1], { seed });

/** Brightness along a row of pixels; their places as sines and cosines (chapter 5). */
export function taskOf(row) {
  const n = row.length, at = range(n).map(s => (2 * s + 1) / n - 1), waves = range(FREQUENCIES).map(f => 2 ** f * Math.PI);
  const x = Float64Array.from(waves.flatMap(w => [...at.map(v => Math.sin(w * v)), ...at.map(v => Math.cos(w * v))]));
  return { x, y: Float64Array.from(row), n, at };
}

/** A training: all numbers before each step and at the end, the share of hidden values beyond the knots, the error at the end. */
export function* live({ x, y, n }, { lr, warm_up, seed }, found) {
  const net = start(seed), tape = net.tape(x, n), numbers = [], shares = [];
  const note = () => {
    numbers.push(net.theta.slice());
    shares.push(sum(tape.parts[1].x.map(values => values.filter(v => Math.abs(v) > LAST).length)) / (HIDDEN * n));
  };
  for (const step of train(net, tape, y, STEPS, step => lr * Math.min(1, (step + 1) / (warm_up || 1)))) {
    note();
    yield step;
  }
  const error = Math.sqrt(lossOf(tape, y)) / deviation(y);
  note();
  Object.assign(found, { numbers, shares, error });
}

/** What is seen at a step, and what became of the network. */
export function sentence({ shares, error }, step) {
  const lay = `At step ${step}, ${Math.round(100 * shares[step])} % of the hidden values lay beyond the knots.`;
  const why = shares[step] > 0.5 ? " There the curves are flat zero: no slope, no way back." : "";
  const end = error > 0.9 ? `the network is dead: its error is ${brief(error)}, that of an even gray would be 1`
    : error > 0.2 ? `what is left of it has learned a part: its error is ${brief(error)}` : `it has learned the row: its error is ${brief(error)}`;
  return `${lay}${why} After ${STEPS} steps ${end}.`;
}

const slider = (name, says, most, by) =>
  `<label>${says} <input type="range" name="${name}" aria-label="${says}" min="0" max="${most}" step="${by}"><output></output></label>`;
const HTML = `<div class="line">${slider("lr", "learning rate", RATES.length - 1, 1)}${slider("warm_up", "warm-up", 100, 5)}
    <span><button type="button" data-play>Play</button> ${ANOTHER}</span></div>
  <div class="charts"><svg class="values" role="img" aria-label="Where the hidden values lie, and the curves that they go through">
    <path class="domain"/><g class="axes"></g><path class="edges"/><path class="inside"/><path class="beyond"/><path class="knots"/><path class="last"/></svg>
  <svg class="fits" role="img" aria-label="Brightness along the row, and what the KAN makes of it">
    <g class="axes"></g><path class="truth"/><path class="kan-line"/></svg></div>
  <svg class="shares" role="img" aria-label="Share of the hidden values beyond the knots, over the steps">
    <g class="axes"></g><path class="area"/><path class="cursor"/></svg>
  <input type="range" name="step" aria-label="step" min="0" max="${STEPS}">`;

export default figure("death", ["lr", "warm_up", "step", "seed"], HTML, ({ $, get, put, wake, work, say }) => {
  const task = taskOf(get("_row")), net = start(0), tape = net.tape(task.x, task.n), play = $("[data-play]");
  const values = chart($(".values"), {
    x: { from: -END, to: END, marks: [-4, -2, 0, 2, 4], says: "hidden value (the outermost bars: further out)" },
    y: { from: -1, to: 1, says: "curves of the second layer; below, the hidden values" }, height: 220,
  });
  const fits = chart($(".fits"), {
    x: { from: -1, to: 1, says: "place in the row" }, y: { from: -0.5, to: 1.5, marks: [0, 1], says: "brightness" }, height: 220,
  });
  const shares = chart($(".shares"), {
    x: { from: 0, to: STEPS, marks: [0, 40, 80, 120], says: "step" },
    y: { from: 0, to: 1, says: "share of the hidden values beyond the knots, from none to all" }, height: 96,
  });
  const path = (selector, d) => set($(selector), { d });
  let trained = "", life = null, began = null; // settings of the training that is shown or worked on; it; when Play was pressed

  function bars(hidden) {
    const counts = BINS.map(() => 0), up = count => values.py(-1 + 0.9 * Math.min(1, count / 160));
    for (const row of hidden) for (const v of row) counts[clamp(Math.floor((v + END) / BIN), 0, BINS.length - 1)]++;
    const bar = b => `M${values.px(b * BIN - END)} ${values.bottom}V${up(counts[b])}H${values.px((b + 1) * BIN - END)}V${values.bottom}z`;
    const inside = b => Math.abs((b + 0.5) * BIN - END) < LAST;
    path(".inside", BINS.filter(inside).map(bar).join(""));
    path(".beyond", BINS.filter(b => !inside(b)).map(bar).join(""));
  }

  function draw(step) {
    net.theta.set(life.numbers[step]);
    const { px, py, top, bottom } = values, output = tape.forward(), curves = range(HIDDEN).map(h => net.layers[1].curve(h, 0, LINE));
    const most = Math.max(1, ...curves.map(curve => Math.max(...curve.map(Math.abs))));
    for (const each of [values, fits, shares]) each.fit();
    path(".domain", `M${px(-1)} ${top}H${px(1)}V${bottom}H${px(-1)}z`);
    path(".knots", [...INNER, 1.4, 1.8, -1.4, -1.8].map(t => `M${px(t)} ${py(0)}v8`).join(""));
    path(".last", [-LAST, LAST].map(t => `M${px(t)} ${top}V${bottom}`).join(""));
    path(".edges", curves.map(curve => values.line(LINE, curve.map(v => 0.5 + (0.4 * v) / most))).join(""));
    bars(tape.parts[1].x);
    path(".truth", fits.line(task.at, task.y));
    path(".kan-line", fits.line(task.at, output));
    path(".area", `${shares.line(range(STEPS + 1), life.shares)}V${shares.bottom}H${shares.px(0)}z`);
    path(".cursor", `M${shares.px(step)} ${shares.top}V${shares.bottom}`);
  }

  const stop = step => {
    began = null;
    put({ step });
  };
  const playing = () => Math.floor(STEPS * Math.min(1, (performance.now() - began) / PLAY) ** 2);
  play.addEventListener("click", () => {
    if (began !== null) return stop(playing());
    if (still()) return stop(STEPS);
    began = performance.now();
    wake();
  });
  for (const input of [$("[name=lr]"), $("[name=warm_up]"), $("[name=step]")])
    input.addEventListener("input", () => {
      began = null;
      put({ [input.name]: input.name === "lr" ? RATES[input.value] : +input.value });
    });

  return () => {
    const settings = { lr: get("lr"), warm_up: get("warm_up"), seed: get("seed") }, wanted = JSON.stringify(settings);
    if (wanted !== trained) {
      trained = wanted;
      const found = {};
      work(function* () {
        yield* live(task, settings, found);
        life = found;
      }());
    }
    const step = began === null ? get("step") : playing();
    const shown = { lr: [RATES.indexOf(settings.lr), settings.lr], warm_up: [settings.warm_up, `${settings.warm_up} steps`], step: [step, step] };
    for (const name in shown) {
      const input = $(`[name=${name}]`), [at, words] = shown[name];
      input.value = at;
      set(input, { "aria-valuetext": words });
      if (name !== "step") write(input.nextSibling, String(words));
    }
    write(play, began === null ? "Play" : "Pause");
    if (!life) return say("Training …");
    draw(step);
    say(sentence(life, step), began !== null);
    if (step === STEPS && began !== null) stop(STEPS);
    if (began !== null) wake();
  };
});
