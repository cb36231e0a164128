// Living figure: waves in, curves out; what does a curve on one wave add to those on the waves before it?

import { HANDLE, chart, field, fields, figure, slider } from "./living.js";
import { dot, evenly, range } from "./numbers.js";
import { set, textAt, toggle } from "./page.js";
import { basis, columnsOf, uniformKnots } from "./splines.js";

const SETTINGS = ["frequencies", "pixels", "curves", "wave", "bump"];
const KNOTS = uniformKnots(6, 3, [-1, 1]), BUMPS = 9, FINE = evenly(-1, 1, 401);
const WAVES = 10, PIXELS = [16, 32, 64, 128];
const SEEN = 1e-3, NOTHING = 1e-6; // a part of a function, and a size, of which the pixels see nothing

const wavesOf = count => range(count).map(w => x => Math[w % 2 ? "cos" : "sin"](2 ** (w >> 1) * Math.PI * x));
const under = w => `${w > 1 ? 2 ** (w >> 1) : ""}πx`;
export const nameOf = w => `${w % 2 ? "cos" : "sin"} ${under(w)}`;

/**
 * Of each wave's functions the values at the pixels' centers and, behind them, along x; and what is left of them
 * without all that the waves before can draw at the pixels.
 */
export function left({ frequencies, pixels, curves }) {
  const at = [...evenly(-1 + 1 / pixels, 1 - 1 / pixels, pixels), ...FINE], found = []; // each of length 1 at the pixels
  const size = v => Math.sqrt(dot(v.subarray(0, pixels), v));
  const without = v => found.reduce((rest, q) => {
    const share = dot(q.subarray(0, pixels), rest);
    return rest.map((value, p) => value - share * q[p]);
  }, v);
  return wavesOf(2 * frequencies).map(wave => {
    const values = at.map(wave), columns = curves ? columnsOf(values.map(v => basis(v, KNOTS, 3))) : [Float64Array.from(values)];
    const functions = columns.map(values => ({ values, rest: without(without(values)), size: size(values) }));
    let added = 0;
    for (const { values, size: whole } of functions) {
      const rest = without(without(values)), length = size(rest);
      if (length < SEEN * Math.max(whole, NOTHING)) continue;
      found.push(rest.map(value => value / length));
      added++;
    }
    return { added, functions: functions.map(each => ({ ...each, share: each.size < NOTHING ? 0 : size(each.rest) / each.size })) };
  });
}

/** What is seen: how many functions are independent, what a wave adds, and whether one of them is new. */
export function sentence(waves, { pixels, curves, wave, bump }) {
  const each = curves ? BUMPS : 1, total = waves.reduce((count, { added }) => count + added, 0), w = Math.min(wave, waves.length - 1);
  const of = `${waves.length * each} ${curves ? "splines on" : "weights of"} these ${waves.length} waves`;
  const { added, functions } = waves[w], { share, size } = functions[curves ? bump : 0];
  const adds = curves ? `${nameOf(w)} adds ${added} of its ${each}` : added ? `${nameOf(w)} adds its own` : `${nameOf(w)} adds nothing`;
  const drawn = size < NOTHING ? "No pixel sees the one that is drawn here."
    : share < SEEN ? "The one that is drawn here is a sum of curves on the waves before it, at every pixel."
      : share > 0.995 ? "The one that is drawn here is new."
        : `The waves before it can draw this one but for ${Math.max(1, Math.round(100 * share))} % of it.`;
  return `Of the ${of}, ${total} are independent on ${pixels} pixels. ${adds}. ${drawn}`;
}

const HTML = `<div class="charts">
  <svg class="counts" role="group" aria-label="For each wave how many functions it has, and how many of them are new; one wave as slider">
    <g class="axes"></g><g class="names"></g><path class="all"/><path class="new"/><g class="handle">${HANDLE}</g></svg>
  <svg class="drawn" role="img" aria-label="One function of this wave over x, and what curves on the waves before it make of it">
    <g class="axes"></g><path class="before"/><path class="kan-line"/><path class="points"/></svg></div>
  <div class="line">${toggle("curves", "curves, not weights")}${field("bump", "spline", BUMPS - 1)}</div>
  <div class="line">${field("frequencies", "frequencies", 4)}${field("pixels", "pixels", PIXELS.length - 1)}</div>`;

export default figure("waves", SETTINGS, HTML, view => {
  const { $, get, put, say } = view, counts = $(".counts"), drawn = $(".drawn"), curves = $("[name=curves]");
  const bars = chart(counts, {
    x: { from: 0, to: WAVES, says: "sine and cosine of" }, y: { from: 0, to: BUMPS + 1, marks: [0, 3, 6, 9], says: "functions; filled: new ones" },
    height: 250,
  });
  const plotFor = curves => chart(drawn, {
    x: { from: -1, to: 1, marks: [-1, 0, 1], says: "x (dots: pixels)" },
    y: { ...(curves ? { from: -0.1, to: 0.75, marks: [0, 0.3, 0.6] } : { from: -1.1, to: 1.1, marks: [-1, 0, 1] }),
      says: "broad: the function; blue: by the waves before" }, height: 250,
  });
  let plot = null, kind = null;
  const handle = slider($(".handle"), {
    name: "wave", stops: range(WAVES), px: w => bars.px(w + 0.5), moved: w => put({ wave: Math.min(w, 2 * get("frequencies") - 1) }),
  });
  const showFields = fields(view, {
    bump: { stops: range(BUMPS), words: at => String(at + 1) }, frequencies: { stops: range(5).map(n => n + 1) }, pixels: { stops: PIXELS },
  });
  curves.addEventListener("change", () => put({ curves: curves.checked }));
  const column = (w, height) => `M${bars.px(w + 0.1)} ${bars.bottom}V${bars.py(height)}H${bars.px(w + 0.9)}V${bars.bottom}`;

  return () => {
    const now = Object.fromEntries(SETTINGS.map(name => [name, get(name)]));
    const waves = left(now), w = Math.min(now.wave, waves.length - 1), { values, rest } = waves[w].functions[now.curves ? now.bump : 0];
    if (kind !== now.curves) plot = plotFor(now.curves);
    kind = now.curves;
    for (const each of [bars, plot]) each.fit();
    counts.querySelector(".names").innerHTML = range(now.frequencies)
      .map(f => textAt(bars.px(2 * f + 1), bars.bottom + 16, "middle", under(2 * f))).join("");
    const each = now.curves ? BUMPS : 1;
    set(counts.querySelector(".all"), { d: waves.map((_, at) => column(at, each)).join("") });
    set(counts.querySelector(".new"), { d: waves.map(({ added }, at) => (added ? column(at, added) : "")).join("") });
    handle(w, bars.py(each + 0.5), `${nameOf(w)}: ${waves[w].added} of ${each} new`);
    const along = v => v.subarray(now.pixels), copy = along(values).map((value, p) => value - along(rest)[p]);
    set(drawn.querySelector(".before"), { d: plot.line(FINE, along(values)) });
    set(drawn.querySelector(".kan-line"), { d: plot.line(FINE, copy) });
    const centers = evenly(-1 + 1 / now.pixels, 1 - 1 / now.pixels, now.pixels);
    set(drawn.querySelector(".points"), { d: Array.from(centers, (x, p) => `M${plot.px(x)} ${plot.py(values[p])}h0`).join("") });
    curves.checked = now.curves;
    $("[name=bump]").disabled = !now.curves;
    showFields();
    say(sentence(waves, now));
  };
});
