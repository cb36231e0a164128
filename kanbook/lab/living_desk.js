// Living figure: one edge with a bias, a spline weight and a base function; what of them can its coefficients undo?

import { HANDLE, chart, field, fields, figure, slider } from "./living.js";
import { clamp, dot, equal, evenly, range } from "./numbers.js";
import { set, show, text, write } from "./page.js";
import { basis, centers, columnsOf, leastSquares, uniformKnots } from "./splines.js";

const SETTINGS = ["coef", "bias", "spline_weight", "base_weight", "zoomed", "_old"];
const KNOTS = uniformKnots(5, 3, [-1, 1]), PLACES = centers(KNOTS, 3);
const STOPS = range(31).map(n => (n - 10) / 10), SMALL = STOPS.slice(0, 21), COEFS = range(81).map(n => (n - 40) / 20);
const REST = [0, 1, 0];

const silu = x => x / (1 + Math.exp(-x));
const pointsOn = (from, to) => Array.from(evenly(from, to, 401), x => ({ x, bumps: basis(x, KNOTS, 3), silu: silu(x) }));
const NEAR = pointsOn(-1, 1), FAR = pointsOn(-4, 4);
/** The spline that is SiLU on the domain, as nearly as a spline can be. */
const [SILU] = leastSquares(columnsOf(NEAR.map(({ bumps }) => bumps)), [NEAR.map(point => point.silu)], 0);

const edge = (points, coef, [bias, w, u]) => points.map(({ bumps, silu }) => bias + w * dot(coef, bumps) + u * silu);

/** Coefficients whose edge is, on the domain, as near as can be to the spline `old`: the bumps' sum is 1 there. */
export const refitted = (old, [bias, w, u]) => old.map((c, j) => (c - bias - u * SILU[j]) / w);

/** What is seen: how far the edge is from the spline `old`, on the domain and beyond the last knots, where `old` is zero. */
export function sentence({ coef, bias, spline_weight: w, base_weight: u, zoomed, _old: old }) {
  const now = [bias, w, u], names = ["bias", "spline weight", "base weight"];
  const turned = names.map((name, n) => [name, now[n]]).filter(([, value], n) => value !== REST[n]);
  if (!turned.length) return "The three sliders are at rest. Move one of them, or several, and press Undo.";
  const before = edge(NEAR, old, REST), off = Math.max(...edge(NEAR, coef, now).map((y, p) => Math.abs(y - before[p])));
  const undone = w !== 0 && refitted(old, now).every((c, j) => Math.abs(c - coef[j]) < 1e-9);
  const here = off < 1e-9 ? "what it was" : `off by at most ${text(+off.toPrecision(2))}`;
  const said = [
    `The ${turned.map(([name, value], n) => `${name} ${n ? "" : "is "}at ${text(value)}`).join(", the ")}.`,
    w ? `On the domain the ${undone ? "refitted " : ""}curve is ${here}.`
      : `So no coefficient is heard, and none can undo it: on the domain the curve is ${here}.`,
  ];
  const at = x => show(bias + u * silu(x));
  if (!zoomed) said.push(undone ? "Is it the same edge, then? Zoom out." : w ? "Can the coefficients undo that? Press Undo." : "");
  else if (u) said.push(`Beyond the last knots the edge now says ${at(-4)} at −4 and ${at(4)} at 4, instead of 0.`);
  else said.push(bias ? `From the last knots on, the edge now says ${text(bias)} instead of 0.` : "Beyond the last knots it is zero, as it was.");
  return said.join(" ").trim();
}

const HTML = `<svg class="edge" role="group" aria-label="A curve on an edge, and what it was; its eight coefficients as sliders">
    <path class="outside"/><g class="axes"></g><path class="knots"/><path class="last"/>
    <path class="before"/><path class="part"/><path class="kan-line"/>
    ${PLACES.map(() => `<g class="handle">${HANDLE}</g>`).join("")}</svg>
  <div class="line">${field("bias", "bias", SMALL.length - 1)}${field("spline_weight", "spline weight", STOPS.length - 1)}
    ${field("base_weight", "base weight", SMALL.length - 1)}</div>
  <div class="line"><button type="button" data-undo>Undo</button><button type="button" data-over>Start over</button>
    <button type="button" data-zoom disabled></button></div>`;

function axes(zoomed) {
  const [far, high, marks] = zoomed ? [4, 4, [-2, 0, 2]] : [1.5, 2, [-1, 0, 1]];
  const says = zoomed ? "the edge; broad: what it was; dotted: no spline" : "the edge; broad: what it was; circles: coefficients";
  return {
    x: { from: -far, to: far, marks, says: "one input (gray: beyond the domain)" }, y: { from: -high, to: high, marks, says }, height: 270,
  };
}

export default figure("desk", SETTINGS, HTML, view => {
  const { $, get, put, say, wake } = view;
  const svg = $(".edge"), path = (name, d) => set(svg.querySelector(name), { d });
  const state = () => Object.fromEntries(SETTINGS.map(name => [name, get(name)])), first = state();
  const extras = () => SETTINGS.slice(1, 4).map(get);
  let plot = null, zoom = null, offered = false; // zooming is, after the first Undo

  const handles = PLACES.map((_, j) => slider(svg.querySelectorAll(".handle")[j], {
    name: `coefficient ${j + 1}`, stops: COEFS, py: v => plot.py(v),
    moved: at => put({ coef: get("coef").map((c, i) => (i === j ? COEFS[at] : c)) }),
  }));
  const stops = { stops: STOPS, words: text };
  const showFields = fields(view, { bias: stops, spline_weight: stops, base_weight: stops });
  $("[data-undo]").addEventListener("click", () => {
    offered = true;
    if (get("spline_weight")) put({ coef: refitted(get("_old"), extras()) });
    wake();
  });
  $("[data-over]").addEventListener("click", () => put(first));
  $("[data-zoom]").addEventListener("click", () => put({ zoomed: !get("zoomed") }));

  return () => {
    const { coef, zoomed } = state(), points = zoomed ? FAR : NEAR, now = extras();
    if (equal(now, REST) && !equal(coef, get("_old"))) put({ _old: coef });
    if (zoomed !== zoom) plot = chart(svg, axes(zoomed));
    zoom = zoomed;
    plot.fit();
    const { px, py, top, bottom } = plot, line = ys => plot.line(points.map(({ x }) => x), ys);
    path(".outside", plot.outside(-1, 1));
    path(".knots", KNOTS.filter(t => zoomed || Math.abs(t) < 1.5).map(t => `M${px(t)} ${bottom}v-8`).join(""));
    path(".last", zoomed ? [KNOTS[0], KNOTS.at(-1)].map(t => `M${px(t)} ${top}V${bottom}`).join("") : "");
    path(".before", line(edge(points, get("_old"), REST)));
    path(".part", zoomed ? line(edge(points, coef, [now[0], 0, now[2]])) : "");
    path(".kan-line", line(edge(points, coef, now)));
    handles.forEach((place, j) => place(clamp(Math.round(20 * coef[j] + 40), 0, 80), px(PLACES[j]), show(coef[j])));
    set(svg, { "data-zoomed": zoomed });
    write($("[data-zoom]"), zoomed ? "Zoom in" : "Zoom out");
    $("[data-zoom]").disabled = !offered && !zoomed;
    showFields();
    say(sentence(state()));
  };
});
