// Living figure: a KAN whose edges are tables; what do entries, bits and units cost on an edge and in the answer?

import { brief, chart, field, fields, figure } from "./living.js";
import { clamp, ends, evenly, range, sum } from "./numbers.js";
import { set, toggle } from "./page.js";
import { evaluate, uniformKnots } from "./splines.js";

const SETTINGS = ["bits", "entries", "own", "edge"], HIDDEN = 3;
const KNOTS = uniformKnots(3, 3, [-1, 1]), FINE = evenly(-1, 1, 201);
const HALF = 0.5 - 1e-6; // what lies in the middle is rounded down, by every machine
const ENTRIES = [5, 9, 17, 33, 65], SPREAD = Math.sqrt(3 * (1 - 8 / 3 + 16 / 5)), SPEED = 0.5;
const crossed = n => [...evenly(-1, 1, n)].flatMap(x => Array.from(evenly(-1, 1, n), v => [x, v]));
const REACHED = crossed(21), TESTED = crossed(41);

const friction = (x, v) => ((1 - 4 * x * x) * 3 * v) / SPREAD;
const curve = (x, c) => evaluate(x, c, KNOTS, 3);
/** What a layer of three inputs or fewer makes of x, where `edge(n, x)` is its edge number n. */
const layer = (x, outputs, edge) => range(outputs).map(o => sum(x.map((value, i) => edge(i * outputs + o, value))));

/** Of each edge where its table begins and ends, its entries, those rounded, and the unit. */
export function tables({ bits, entries, own, _coef }) {
  const hidden = REACHED.map(x => layer(x, HIDDEN, (n, value) => curve(value, _coef[n])));
  const reached = [[-1, 1], [-1, 1], ...range(HIDDEN).map(h => ends(hidden.map(row => row[h])))];
  const exact = _coef.map((c, n) => {
    const [low, high] = reached[n < 2 * HIDDEN ? Math.floor(n / HIDDEN) : n - 2 * HIDDEN + 2];
    return { low, high, heights: Array.from(evenly(low, high, entries), x => curve(x, c)) };
  });
  const largest = from => Math.max(...exact.slice(...from).flatMap(({ heights }) => heights.map(Math.abs)));
  const shared = [[0, 2 * HIDDEN], [2 * HIDDEN]].map(from => largest(from) / (2 ** (bits - 1) - 1));
  return exact.map((table, n) => {
    const [least, most] = ends(table.heights), zero = own ? least : 0;
    const unit = own ? (most - least) / (2 ** bits - 1) : shared[+(n >= 2 * HIDDEN)];
    return { ...table, unit, rounded: table.heights.map(v => zero + unit * Math.floor((v - zero) / unit + HALF)) };
  });
}

function read({ low, high, rounded }, x) {
  const place = clamp((x - low) / (high - low), 0, 1) * (rounded.length - 1), k = Math.min(Math.floor(place), rounded.length - 2);
  return rounded[k] + (place - k) * (rounded[k + 1] - rounded[k]);
}

export function answer(all, x, v) {
  const hidden = layer([x, v], HIDDEN, (n, value) => read(all[n], value));
  return layer(hidden, 1, (n, value) => read(all[2 * HIDDEN + n], value))[0];
}

export const missed = all => Math.sqrt(sum(TESTED.map(([x, v]) => (answer(all, x, v) - friction(x, v)) ** 2)) / TESTED.length);

const nameOf = n => (n < 2 * HIDDEN ? `${"xv"[Math.floor(n / HIDDEN)]} to node ${(n % HIDDEN) + 1}` : `node ${n - 2 * HIDDEN + 1} to answer`);

/** What is seen: bytes, what the network misses, and the steps that the edge uses. */
export function sentence(all, { bits, entries, own, edge }) {
  const [least, most] = ends(all[edge].heights), used = Math.max(1, Math.round((most - least) / all[edge].unit));
  const whole = missed(all.map(table => ({ ...table, rounded: table.heights })));
  return `Nine tables of ${entries} entries take ${9 * entries * (bits > 8 ? 2 : 1)} bytes. The network misses ${brief(100 * missed(all))} %, and `
    + `${brief(100 * whole)} % if nothing is rounded. The edge from ${nameOf(edge)} uses ${used} of ${2 ** bits - (own ? 1 : 2)} steps.`;
}

const HTML = `<div class="charts">
  <svg class="edge" role="img" aria-label="One edge: its curve, and the table that stands for it"><g class="axes"></g><path class="before"/><path class="kan-line"/></svg>
  <svg class="out" role="img" aria-label="The network's answer over the place, and the friction"><g class="axes"></g><path class="truth"/><path class="kan-line"/></svg></div>
  <div class="line">${toggle("own", "own zero, own unit")}${field("edge", "edge", 8)}</div>
  <div class="line">${field("bits", "bits", 10)}${field("entries", "entries", ENTRIES.length - 1)}</div>`;

export default figure("bits", SETTINGS, HTML, view => {
  const { $, get, put, say } = view, own = $("[name=own]"), marks = [-1, 0, 1];
  const edge = chart($(".edge"), {
    x: { from: -1.1, to: 1.1, marks, says: "what reaches the edge" },
    y: { from: -2.6, to: 2.6, marks: [-2, 0, 2], says: "broad: the edge; blue: its table" }, height: 250,
  });
  const out = chart($(".out"), {
    x: { from: -1, to: 1, marks, says: "place, at half the speed" }, y: { from: -2.3, to: 1.1, marks: [-2, -1, 0, 1], says: "dotted: the friction; blue: the answer" }, height: 250,
  });
  const showFields = fields(view, { edge: { stops: range(9), words: nameOf }, bits: { stops: range(11).map(n => n + 2) }, entries: { stops: ENTRIES } });
  own.addEventListener("change", () => put({ own: own.checked }));

  return () => {
    const now = Object.fromEntries([...SETTINGS, "_coef"].map(name => [name, get(name)]));
    const all = tables(now), { low, high, rounded } = all[now.edge], whole = evenly(low, high, 201);
    for (const each of [edge, out]) each.fit();
    const draw = (svg, name, d) => set($(svg).querySelector(name), { d });
    draw(".edge", ".before", edge.line(whole, whole.map(at => curve(at, now._coef[now.edge]))));
    draw(".edge", ".kan-line", edge.line(evenly(low, high, now.entries), rounded));
    draw(".out", ".truth", out.line(FINE, FINE.map(at => friction(at, SPEED))));
    draw(".out", ".kan-line", out.line(FINE, FINE.map(at => answer(all, at, SPEED))));
    own.checked = now.own;
    showFields();
    say(sentence(all, now));
  };
});
