// Living figure: a KAN learns a row of a picture, and its hidden values stay on the knots or leave them.

import { ANOTHER, brief, chart, field, fields, figure } from "./living.js";
import { Network } from "./network.js";
import { clamp, deviation, evenly, range, sum } from "./numbers.js";
import { lossOf, train } from "./optimizers.js";
import { set, still, write } from "./page.js";

export const RATES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1], STEPS = 120;
const FREQUENCIES = 4, HIDDEN = 8;
const LAST = 2.2, KNOTS = range(12).map(g => 0.4 * g - LAST); // of the second layer
const END = 5, BIN = 0.2, BINS = range(50), LINE = evenly(-END, END, 201); // of hidden values in the picture
const PLAY = 6000; // milliseconds from the first step to the last: slowly at first, when most happens
const start = seed => Network.start([2 * FREQUENCIES, HIDDEN, 1], { seed });

/** Brightness along a row of pixels; their places as sines and cosines (chapter 5). */
export function taskOf(row) {
  const n = row.length, at = range(n).map(s => (2 * s + 1) / n - 1), waves = range(FREQUENCIES).map(f => 2 ** f * Math.PI);
  const x = Float64Array.from(waves.flatMap(w => [...at.map(v => Math.sin(w * v)), ...at.map(v => Math.cos(w * v))]));
  return { x, y: Float64Array.from(row), n, at };
}

/** Trains; returns all numbers before each step and at the end, the shares of hidden values beyond the knots, the error at the end. */
export function* live({ x, y, n }, { lr, warm_up, seed }) {
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
  return { numbers, shares, error };
}

/** What is seen at a step, and what became of the network. */
export function sentence({ shares, error }, step) {
  const lay = `At step ${step}, ${Math.round(100 * shares[step])} % of the hidden values lay beyond the knots.`;
  const why = shares[step] > 0.5 ? " There the curves are flat zero: no slope, no way back." : "";
  const end = error > 0.9 ? "the network is dead" : error > 0.2 ? "what is left of it has learned a part" : "it has learned the row";
  return `${lay}${why} After ${STEPS} steps ${end}: its error is ${brief(error)} (an even gray has 1).`;
}

const HTML = `<div class="line">${field("lr", "learning rate", RATES.length - 1)}${field("warm_up", "warm-up", 100)}
    <span><button type="button" data-play>Play</button> ${ANOTHER}</span></div>
  <div class="charts"><svg class="values" role="img" aria-label="Where the hidden values lie, and the curves that they go through">
    <path class="domain"/><g class="axes"></g><path class="edges"/><path class="inside"/><path class="beyond"/><path class="knots"/><path class="last"/></svg>
  <svg class="fits" role="img" aria-label="Brightness along the row, and what the KAN makes of it">
    <g class="axes"></g><path class="truth"/><path class="kan-line"/></svg></div>
  <svg class="shares" role="img" aria-label="Share of the hidden values beyond the knots, over the steps">
    <g class="axes"></g><path class="area"/><path class="cursor"/></svg>${field("step", "step", STEPS)}`;

export default figure("death", ["lr", "warm_up", "step", "seed"], HTML, view => {
  const { $, get, put, wake, work, say } = view;
  const task = taskOf(get("_row")), net = start(0), tape = net.tape(task.x, task.n), play = $("[data-play]");
  const values = chart($(".values"), {
    x: { from: -END, to: END, marks: [-4, -2, 0, 2, 4], says: "hidden value (the outermost bars: further out)" },
    y: { from: -1, to: 1, says: "curves of layer 2; below, the hidden values" }, height: 220,
  });
  const fits = chart($(".fits"), {
    x: { from: -1, to: 1, says: "place in the row" }, y: { from: -0.5, to: 1.5, marks: [0, 1], says: "brightness" }, height: 220,
  });
  const shares = chart($(".shares"), {
    x: { from: 0, to: STEPS, marks: [0, 40, 80, 120], says: "step" },
    y: { from: 0, to: 1, says: "hidden values beyond the knots, none to all" }, height: 96,
  });
  const path = (selector, d) => set($(selector), { d });
  const steps = count => ({ stops: range(count + 1), words: step => `${step} steps` });
  const showFields = fields(view, { lr: { stops: RATES }, warm_up: steps(100), step: { stops: range(STEPS + 1) } });
  let trained = "", working = false, life = null, began = null; // settings of the last training; its result; when Play was pressed

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
    path(".knots", KNOTS.map(t => `M${px(t)} ${py(0)}v8`).join(""));
    path(".last", [-LAST, LAST].map(t => `M${px(t)} ${top}V${bottom}`).join(""));
    path(".edges", curves.map(curve => values.line(LINE, curve.map(v => 0.5 + (0.4 * v) / most))).join(""));
    bars(tape.parts[1].x);
    path(".truth", fits.line(task.at, task.y));
    path(".kan-line", fits.line(task.at, output));
    path(".area", `${shares.line(range(STEPS + 1), life.shares)}V${shares.bottom}H${shares.px(0)}z`);
    path(".cursor", `M${shares.px(step)} ${shares.top}V${shares.bottom}`);
  }

  play.addEventListener("click", () => {
    began = began === null ? performance.now() - (still() ? PLAY : 0) : null;
    wake();
  });
  $("[name=step]").addEventListener("input", () => (began = null));

  return () => {
    const settings = { lr: get("lr"), warm_up: get("warm_up"), seed: get("seed") }, wanted = JSON.stringify(settings);
    if (!working && wanted !== trained) {
      trained = wanted;
      working = true;
      work(function* () {
        life = yield* live(task, settings);
        working = false;
      }());
    }
    if (began !== null && life) {
      const step = Math.floor(STEPS * Math.min(1, (performance.now() - began) / PLAY) ** 2);
      if (step === STEPS) began = null;
      put({ step });
      wake();
    }
    showFields();
    write(play, began === null ? "Play" : "Pause");
    if (!life) return say("Training …");
    draw(get("step"));
    say(sentence(life, get("step")), began !== null);
  };
});
