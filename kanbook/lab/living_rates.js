// Living figure: a KAN and an MLP of equal size, trained at every rate; the reader picks two of them.

import { ANOTHER, HANDLE, brief, chart, figure, slider } from "./living.js";
import { MLP } from "./mlp.js";
import { Network } from "./network.js";
import { evenly } from "./numbers.js";
import { lossOf, train } from "./optimizers.js";
import { set, toggle, write } from "./page.js";
import { makeTask } from "./tasks.js";

export const RATES = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2], STEPS = 300;
const NETS = ["kan", "mlp"], LINE = evenly(-1, 1, 121);

/** All runs of one start, as they are done: of each network and rate, its test error and its curve. */
export function* sweep(seed, found) {
  const task = makeTask("noisy", { seed });
  Object.assign(found, { task, kan: [], mlp: [] });
  for (const rate of RATES) {
    const kan = Network.start([1, 5, 1], { seed });
    for (const [name, net] of [["kan", kan], ["mlp", MLP.start(MLP.like(1, kan.count()), { seed })]]) {
      yield* train(net, net.tape(task.x, task.n), task.y, STEPS, () => rate);
      const error = Math.sqrt(lossOf(net.tape(task.testX, task.testN), task.testY)) / task.spread;
      found[name].push({ rate, error, curve: net.predict(LINE, LINE.length) });
    }
  }
}

const bestOf = runs => runs.reduce((best, run) => (run.error < best.error ? run : best));

function verdict(kan, mlp) {
  const [name, factor] = kan < mlp ? ["KAN", mlp / kan] : ["MLP", kan / mlp];
  return factor < 1.05 ? "the two are equal" : `the ${name} wins by a factor of ${factor.toFixed(factor < 9.95 ? 1 : 0)}`;
}

/** What is seen: who wins at two rates (by their numbers) and at the best ones, and in how many of all starts. */
export function sentence(now, starts, k, m) {
  const best = { kan: bestOf(now.kan), mlp: bestOf(now.mlp) };
  const count = won => starts.filter(won).length, here = count(({ kan, mlp }) => kan[k].error < mlp[m].error);
  const there = count(({ kan, mlp }) => bestOf(kan).error < bestOf(mlp).error);
  return `At ${RATES[k]} and ${RATES[m]} ${verdict(now.kan[k].error, now.mlp[m].error)}. At each one's best rate, ${best.kan.rate} for `
    + `the KAN and ${best.mlp.rate} for the MLP, ${verdict(best.kan.error, best.mlp.error)}. ${starts.length === 1 ? "This is one start."
      : `The KAN won in ${here} of ${starts.length} starts at these rates, in ${there} at the best ones.`}`;
}

const HTML = `<div class="charts">
  <svg class="errors" role="group" aria-label="Test error over the learning rate; two learning rates as sliders">
    <g class="axes"></g><path class="old kan-line"/><path class="old mlp-line"/><path class="kan-line"/><path class="mlp-line"/>
    ${NETS.map(name => `<path class="${name}-rate"/><g class="handle ${name}">${HANDLE}</g><text class="${name}-says"></text>`).join("")}
  </svg>
  <svg class="fits" role="img" aria-label="Forty noisy points, the curve that they come from, and what KAN and MLP make of them at these rates">
    <g class="axes"></g><path class="truth"/><path class="points"/><path class="kan-line"/><path class="mlp-line"/></svg></div>
  <div class="line">${toggle("linked", "the same rate for both")}${ANOTHER}</div>`;

export default figure("rates", ["kan_rate", "mlp_rate", "linked", "seed"], HTML, ({ $, get, put, work, say }) => {
  const sweeps = new Map(), errors = $(".errors"), fits = $(".fits"), linked = $("[name=linked]");
  const plot = chart(errors, {
    x: { from: 0.0004, to: 2.5, log: true, marks: [0.001, 0.01, 0.1, 1], says: "learning rate" },
    y: { from: 0.07, to: 3, log: true, marks: [0.1, 0.2, 0.5, 1, 2], says: "test error" }, height: 250,
  });
  const fit = chart(fits, {
    x: { from: -1, to: 1, says: "one input" }, y: { from: -2, to: 2, marks: [-1, 0, 1], says: "what they learn" }, height: 250,
  });
  const handles = NETS.map(net => slider(errors.querySelector(`.${net}`), {
    name: `learning rate of the ${net.toUpperCase()}`, stops: RATES, px: plot.px,
    moved: at => put(Object.fromEntries((get("linked") ? NETS : [net]).map(name => [`${name}_rate`, RATES[at]]))),
  }));
  linked.addEventListener("change", () => put({ linked: linked.checked, ...(linked.checked && { mlp_rate: get("kan_rate") }) }));
  const path = (svg, name, d) => set(svg.querySelector(name), { d });
  const all = runs => plot.line(runs.map(run => run.rate), runs.map(run => run.error));

  let shown = null;
  return () => {
    const seed = get("seed");
    if (!sweeps.has(seed)) {
      const found = {};
      sweeps.set(seed, { found, steps: sweep(seed, found) });
    }
    if (seed !== shown) work(sweeps.get(seed).steps);
    shown = seed;
    const { found: now } = sweeps.get(seed), starts = [...sweeps.values()].map(({ found }) => found);
    linked.checked = get("linked");
    if (!now.task) return;
    for (const each of [plot, fit]) each.fit();
    path(fits, ".truth", fit.line(LINE, LINE.map(x => now.task.truth(x))));
    path(fits, ".points", Array.from(now.task.x, (x, s) => `M${fit.px(x)} ${fit.py(now.task.y[s])}h0`).join(""));
    const at = NETS.map(net => RATES.indexOf(get(`${net}_rate`))), runs = NETS.map((net, n) => now[net][at[n]]);
    const above = runs[0]?.error > runs[1]?.error ? 0 : 1; // whose words stand above its handle
    NETS.forEach((net, n) => {
      const rate = RATES[at[n]], run = runs[n], y = run ? plot.py(run.error) : plot.bottom, value = run ? brief(run.error) : "";
      path(errors, `.old.${net}-line`, starts.map(found => (found === now ? "" : all(found[net] ?? []))).join(""));
      path(errors, `.${net}-line:not(.old)`, all(now[net]));
      path(errors, `.${net}-rate`, `M${plot.px(rate)} ${y}V${plot.bottom}`);
      path(fits, `.${net}-line`, run ? fit.line(LINE, run.curve) : "");
      handles[n](at[n], y, value ? `${rate}: test error ${value}` : `${rate}`);
      const words = errors.querySelector(`.${net}-says`);
      set(words, { x: plot.px(rate), y: n === above ? y - 13 : y + 24, "text-anchor": at[n] > 8 ? "end" : "start" });
      write(words, `${net.toUpperCase()} ${value}`);
    });
    const done = starts.filter(({ mlp }) => mlp?.length === RATES.length);
    say(done.includes(now) ? sentence(now, done, ...at) : `Training, ${STEPS} steps at each of ${RATES.length} rates …`);
  };
});
