// Living figure: the values of a hidden node leave the knots of the curve that reads them, and the knots go after them.

import { HANDLE, brief, chart, field, fields, figure, slider } from "./living.js";
import { ends, equal, evenly, range } from "./numbers.js";
import { set, text } from "./page.js";
import { basis, columnsOf, divided, evaluate, refine, withMargin } from "./splines.js";

const SETTINGS = ["center", "width", "_cloud", "_knots", "_coef"], DEGREE = 3, GRID = 5, EPS = 0.02;
const CENTERS = range(57).map(n => (n - 28) / 10), WIDTHS = range(11).map(n => (n + 2) / 10), LINE = evenly(-4, 4, 801);
const LOW = -2.9, BAR = -1.4; // in the chart, the ground of the bumps, and the place of the handle

const valuesOf = ({ center, width, _cloud }) => _cloud.map(z => center + width * z);
const curveOn = (xs, { _knots, _coef }) => Array.from(xs, x => evaluate(x, _coef, _knots, DEGREE));
const domainOf = knots => [knots[DEGREE], knots.at(-1 - DEGREE)];

/** The same curve on knots where the values are: quantiles blended with even spacing, as by update_grid. */
export function follow({ _knots, _coef }, values, eps) {
  const [a, b] = ends(values), inner = divided(Float64Array.from(values).sort(), GRID);
  const knots = withMargin(inner.map((q, g) => [a, b][g / GRID] ?? eps * (a + ((b - a) * g) / GRID) + (1 - eps) * q), DEGREE);
  return { _knots: [...knots], _coef: [...refine([_coef], _knots, DEGREE, knots)[0]] };
}

/** The numbers of the bumps that are above zero at some value. */
const feltBy = (values, knots) => {
  const rows = values.map(v => basis(v, knots, DEGREE));
  return range(GRID + DEGREE).filter(j => rows.some(row => row[j] > 0));
};

/** What is seen: where the values are, and what became of the curve that there was at first. */
export function sentence(now, first) {
  const values = valuesOf(now), { _knots: knots } = now, [a, b] = domainOf(knots), felt = feltBy(values, knots).length;
  const beyond = (a, b) => `${Math.round((100 * values.filter(v => v < a || v > b).length) / values.length)} %`;
  const away = `${beyond(a, b)} of the values lie beyond the domain, ${beyond(knots[0], knots.at(-1))} beyond the last knots.`;
  const lie = values.every(v => a <= v && v <= b) ? "All values lie on the domain." : away;
  const feel = felt ? `They feel ${felt === 8 ? "all" : `${felt} of the`} 8 bumps.`
    : "They feel no bump: the curve is flat zero there, with no slope and no way back.";
  if (equal(knots, first._knots)) return `${lie} ${feel}`;
  const xs = evenly(a, b, 201), ys = curveOn(xs, now), old = curveOn(xs, first), most = y => Math.max(...y.map(Math.abs));
  const off = most(ys.map((y, p) => y - old[p])), flat = most(ys) < 1e-9;
  const kept = off < 1e-9 ? "what it was" : `off by at most ${brief(off)} from what it was at first`;
  return `${lie} ${feel} On the new domain the curve is ${kept}${flat && felt ? ": flat zero, but now training can bend it" : ""}.`;
}

const HTML = `<svg class="values" role="group" aria-label="Values of a hidden node, and the curve that reads them; their center as a slider">
    <path class="outside"/><g class="axes"></g><path class="bumps"/><path class="felt"/><path class="knots"/><path class="last"/>
    <path class="before"/><path class="kan-line"/><path class="points"/><path class="span"/><g class="handle">${HANDLE}</g></svg>
  <div class="line">${field("width", "width of the values", WIDTHS.length - 1)}
    <button type="button" data-move>Move the knots</button><button type="button" data-even>Spread evenly</button>
    <button type="button" data-over>Start over</button></div>`;

export default figure("knots", SETTINGS, HTML, view => {
  const { $, get, put, say } = view;
  const path = (name, d) => set($(`svg ${name}`), { d }), press = (name, changes) => $(name).addEventListener("click", () => put(changes()));
  const state = () => Object.fromEntries(SETTINGS.map(name => [name, get(name)])), first = state();
  const { fit, line, px, py, top, bottom, outside } = chart($(".values"), {
    x: { from: -4, to: 4, marks: [-4, -2, 0, 2, 4], says: "value of the node (gray: beyond the domain)" }, height: 300,
    y: { from: -3, to: 1.3, marks: [-1, 0, 1], says: "the curve (dotted: at first) and its bumps (blue: felt)" },
  });
  const handle = slider($(".handle"), {
    name: "center of the values", stops: CENTERS, px, moved: at => put({ center: CENTERS[at] }),
  });
  const showFields = fields(view, { width: { stops: WIDTHS, words: text } });
  press("[data-move]", () => follow(state(), valuesOf(state()), EPS));
  press("[data-even]", () => follow(state(), valuesOf(state()), 1));
  press("[data-over]", () => first);

  return () => {
    const now = state(), { center, _knots: knots } = now, values = valuesOf(now), felt = feltBy(values, knots), heights = curveOn(values, now);
    const columns = columnsOf(Array.from(LINE, x => basis(x, knots, DEGREE)));
    const bump = j => line(LINE.filter((_, p) => columns[j][p] > 0), columns[j].filter(v => v > 0).map(v => LOW + 1.4 * v));
    fit();
    path(".outside", outside(...domainOf(knots)));
    path(".bumps", columns.map((_, j) => bump(j)).join(""));
    path(".felt", felt.map(bump).join(""));
    path(".knots", knots.map(t => `M${px(t)} ${bottom}v-8`).join(""));
    path(".last", [knots[0], knots.at(-1)].map(t => `M${px(t)} ${top}V${bottom}`).join(""));
    path(".before", line(LINE, curveOn(LINE, first)));
    path(".kan-line", line(LINE, curveOn(LINE, now)));
    path(".points", values.map((v, s) => `M${px(v)} ${py(heights[s])}h0`).join(""));
    path(".span", `M${ends(values).map(px).join(` ${py(BAR)}H`)}`);
    handle(CENTERS.indexOf(center), py(BAR), text(center));
    showFields();
    say(sentence(now, first));
  };
});
