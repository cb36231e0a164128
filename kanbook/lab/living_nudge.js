// Living figure: a part of an MLP, an S-curve, is nudged, and one of a KAN, a bump; where do the curves move?

import { HANDLE, brief, chart, dragged, field, fields, figure } from "./living.js";
import { dot, evenly, range } from "./numbers.js";
import { set, text } from "./page.js";
import { basis, columnsOf, leastSquares, uniformKnots } from "./splines.js";

const SETTINGS = ["s_curve", "bump", "nudge"], NUDGES = range(25).map(n => (n - 12) / 20);
const GRID = 8, DEGREE = 3, KNOTS = uniformKnots(GRID, DEGREE, [-1, 1]), STEEPNESS = 5;
const LINE = evenly(-1, 1, 401), BACK = LINE.slice().reverse(), GENTLE = LINE.map(x => 0.6 * Math.sin(3 * x + 0.8));

/** Eleven parts whose weighted sum is the gentle curve; numbers 1 to `most` can be nudged, of which `place` is on the axis. */
function sum(setting, says, most, place, parts) {
  const [weights] = leastSquares(parts, [GENTLE], 0);
  const curve = LINE.map((_, p) => dot(weights, parts.map(part => part[p])));
  return { setting, says, stops: range(most).map(n => n + 1), place, parts, weights, curve };
}

const placeOfCurve = n => (2 * n - 11) / 10, placeOfBump = n => (n - 5) / 4;
const curveOf = n => LINE.map(x => Math.tanh(STEEPNESS * (x - placeOfCurve(n))));
export const SUMS = { // the first part of the MLP is a constant; bumps 0 and 10 stand beyond the ends
  mlp: sum("s_curve", "S-curve", 10, placeOfCurve, [LINE.map(() => 1), ...range(10).map(n => curveOf(n + 1))]),
  kan: sum("bump", "bump", 9, placeOfBump, columnsOf(Array.from(LINE, x => basis(x, KNOTS, DEGREE)))),
};

/** What moved. Only at its place is a tanh 0; on interval g there are the bumps g to g + 3. */
export function sentence(s_curve, bump, nudge) {
  if (!nudge) return "Nothing is nudged. Drag a handle up or down, and see where its curve moves.";
  const part = SUMS.mlp.parts[s_curve], moved = range(GRID).filter(g => g <= bump && bump <= g + DEGREE).length;
  const went = by => `${by < 0 ? "down" : "up"} by ${brief(Math.abs(by))}`;
  return `Nudged by ${text(nudge)}, the S-curve at ${text(placeOfCurve(s_curve))} moved all of the curve but one point: the left end `
    + `${went(nudge * part[0])}, the right end ${went(nudge * part.at(-1))}. The bump at ${text(placeOfBump(bump))} moved ${moved} of the `
    + `${GRID} intervals, and nothing else.`;
}

const panel = (net, label) => `<div><svg class="${net}" role="img" aria-label="${label}, before and after one of them was nudged">
    <path class="moved"/><g class="axes"></g><path class="knots"/><path class="part"/>
    <path class="old ${net}-line"/><path class="new ${net}-line"/>
    <path class="points"/><path class="${net}-rate"/><g class="handle ${net}">${HANDLE}</g></svg>
  ${field(SUMS[net].setting, SUMS[net].says, SUMS[net].stops.length - 1)}</div>`;

const HTML = `<div class="charts">${panel("mlp", "A sum of ten S-curves")}${panel("kan", "A sum of eleven bumps")}</div>
  <div class="line">${field("nudge", "nudge both by", NUDGES.length - 1)}<button type="button" data-back>Back</button></div>`;

export default figure("nudge", SETTINGS, HTML, view => {
  const { $, get, put, say } = view;
  const nearest = (stops, away) => stops.reduce((best, stop) => (away(stop) < away(best) ? stop : best));

  /** The chart of a sum, where the reader picks a part and drags its weight; returns what draws it. */
  function show(net, says) {
    const { setting, stops, place, parts, weights, curve } = SUMS[net], svg = $(`svg.${net}`), handle = $(`.handle.${net}`);
    const { fit, line, px, py, bottom } = chart(svg, {
      x: { from: -1, to: 1, marks: [-1, 0, 1], says: "one input" }, y: { from: -1.3, to: 1.3, marks: [-1, 0, 1], says }, height: 230,
    });
    const path = (name, d) => set(svg.querySelector(name), { d });
    svg.addEventListener("click", ({ target, clientX }) => {
      const x = clientX - svg.getBoundingClientRect().left;
      if (!target.closest(".handle")) put({ [setting]: nearest(stops, n => Math.abs(px(place(n)) - x)) });
    });
    dragged(handle, ({ clientY }) => {
      const y = clientY - svg.getBoundingClientRect().top, weight = weights[get(setting)];
      put({ nudge: nearest(NUDGES, by => Math.abs(py(weight + by) - y)) });
    });
    return () => {
      const n = get(setting), nudge = get("nudge"), moved = curve.map((y, p) => y + nudge * parts[n][p]);
      fit();
      const x = px(place(n)), y = py(weights[n] + nudge);
      path(".moved", `${line([...LINE, ...BACK], [...curve, ...moved.slice().reverse()])}z`);
      path(".part", line(LINE, parts[n].map(value => (weights[n] + nudge) * value)));
      path(".old", line(LINE, curve));
      path(".new", line(LINE, moved));
      path(".points", stops.map(m => `M${px(place(m))} ${py(weights[m])}h0`).join(""));
      path(`.${net}-rate`, `M${x} ${py(weights[n])}V${y}`);
      if (net === "kan") path(".knots", range(GRID + 1).map(g => `M${px(KNOTS[DEGREE + g])} ${bottom}v-8`).join(""));
      set(handle, { transform: `translate(${x} ${y})` });
    };
  }

  const panels = [
    show("mlp", "ten S-curves, one in gray; points: their heights"), show("kan", "eleven bumps, one in gray; points: coefficients"),
  ];
  const at = ({ stops, place }) => ({ stops, words: n => `at ${text(place(n))}` });
  const showFields = fields(view, { s_curve: at(SUMS.mlp), bump: at(SUMS.kan), nudge: { stops: NUDGES, words: text } });
  $("[data-back]").addEventListener("click", () => put({ nudge: 0 }));

  return () => {
    for (const draw of panels) draw();
    showFields();
    say(sentence(...SETTINGS.map(get)));
  };
});
