// Charts of the KAN Lab: heat maps, and how the errors of KAN and MLP fall.

import { clamp, ends, short } from "./numbers.js";
import { children, label, round, set, text, textAt, ticks, write } from "./page.js";

export const brief = x => {
  if (!Number.isFinite(x)) return "…"; // an MLP that has to catch up
  return text(short(x));
};

/** The least and the largest value, with some room. */
export function rangeOf(values, room = 0) {
  const [low, high] = ends(values), more = high > low ? room * (high - low) : 1e-9;
  return [low - more, high + more];
}

/** Places along a line in the same order, with this gap at least from one to the next, within [low, high]. */
export function apart(places, gap, low, high) {
  const order = [...places.keys()].sort((a, b) => places[a] - places[b]), moved = [];
  let least = low, most = high;
  for (const n of order) least = (moved[n] = Math.max(places[n], least)) + gap;
  for (const n of order.reverse()) most = (moved[n] = Math.min(moved[n], most)) - gap;
  return moved;
}

/** Marks [place, value] along an axis from a to b; the values in units of which -1 and 1 are `ends`. */
export function marksOf(a, b, count, [low, high] = [-1, 1]) {
  const half = (high - low) / 2, valueAt = place => low + half * (place + 1);
  return ticks(valueAt(a), valueAt(b), count).map(value => [(value - low) / half - 1, value]);
}

// --- heat maps

// From low over the middle to high: brown and teal, which people with color-blindness can tell apart.
export const HEAT = {
  light: [[150, 92, 28], [214, 178, 118], [246, 246, 242], [122, 190, 182], [16, 110, 102]],
  dark: [[240, 175, 95], [150, 98, 40], [34, 38, 43], [28, 110, 104], [110, 225, 210]],
  gray: [[0, 0, 0], [255, 255, 255]],
};

/** 256 colors of a scale, as four bytes each: red, green, blue, opaque. */
export function palette(stops) {
  const bytes = new Uint8ClampedArray(1024).fill(255);
  for (let c = 0; c < 256; c++) {
    const at = (c / 255) * (stops.length - 1), left = Math.min(Math.floor(at), stops.length - 2);
    stops[left].forEach((v, rgb) => (bytes[4 * c + rgb] = v + (at - left) * (stops[left + 1][rgb] - v)));
  }
  return bytes;
}

export const colorAt = (value, [low, high]) => clamp(Math.round((255 * (value - low)) / (high - low)), 0, 255) || 0;

/** Values at the centers of pixels, row by row from the top, painted into a canvas. */
export function paint(canvas, values, range, colors) {
  const side = Math.sqrt(values.length), image = new ImageData(side, side);
  const from = new Uint32Array(colors.buffer), to = new Uint32Array(image.data.buffer);
  for (let p = 0; p < values.length; p++) to[p] = from[colorAt(values[p], range)];
  if (canvas.width !== side) canvas.width = canvas.height = side;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** The centers of the pixels of [-1, 1] squared: all x, then all y. */
export function pixelCenters(side) {
  const at = p => (2 * p + 1) / side - 1, pixels = Array.from({ length: side * side }, (_, p) => p);
  return Float64Array.of(...pixels.map(p => at(p % side)), ...pixels.map(p => -at(Math.floor(p / side))));
}

export const truthOn = (task, x, n) => Float64Array.from({ length: n }, (_, s) => task.truth(x[s], x[n + s]));

export function drawIcon(canvas, task) {
  const { width: side } = canvas;
  if (task.inputs === 2) {
    const colors = palette(task.name === "portrait" ? HEAT.gray : HEAT.light);
    return paint(canvas, truthOn(task, pixelCenters(side), side * side), rangeOf(task.testY), colors);
  }
  const ink = canvas.getContext("2d"), [low, high] = rangeOf(task.y, 0.1), few = task.n < 100;
  ink.strokeStyle = ink.fillStyle = "#888";
  ink.lineWidth = 2;
  if (task.name === "drawn") return ink.stroke(new Path2D("M5 23l2-7L18 5l5 5L12 21zM15 8l5 5")); // a pencil
  task.x.forEach((x, s) => {
    const at = [((x + 1) / 2) * side, side * (1 - (task.y[s] - low) / (high - low))];
    few ? ink.fillRect(at[0] - 1, at[1] - 1, 2, 2) : ink.lineTo(...at);
  });
  ink.stroke();
}

// --- the race: test errors of both, in steps or in seconds

const LINES = `<g class="axes"></g><g class="events"></g><path class="mlp-line"/><path class="kan-line"/>
  <path class="cursor"/><text class="kan-now"></text><text class="mlp-now"></text>`;
const MARK = `<g role="img"><title></title><path/><circle r="7.5"/><text text-anchor="middle"></text></g>`;

export function raceChart(svg, { labels = true } = {}) {
  const bare = { left: 2, right: 2, top: 4, bottom: 4 };
  const pad = labels ? { left: 38, right: 92, top: 20, bottom: 20 } : bare;
  svg.innerHTML = LINES;
  const [axes, events, mlpLine, kanLine, cursor, kanNow, mlpNow] = svg.children;
  let width = 0, height = 0, axesDrawn = "";

  /** Where the entries of a race, its end and its events lie along the axis. */
  function along({ history: h, steps, seconds, events }, unit) {
    if (unit === "steps") {
      const all = [...h.step, steps];
      return { kan: all, mlp: all, end: Math.max(100, steps), marks: events.map(event => event.step) };
    }
    const { kan, mlp } = seconds, marks = events.map(event => event.kanSeconds);
    return { kan: [...h.kanSeconds, kan], mlp: [...h.mlpSeconds, mlp], end: Math.max(0.2, kan, mlp), marks };
  }

  /** `at`: where on the axis one looks back to; `errors`: what they are there, or now. Returns its end. */
  function draw(race, { unit, at, errors }) {
    if (!width) return;
    const x = along(race, unit), { history: h } = race, now = at === null ? errors : { kan: null, mlp: null };
    const y = { kan: [...h.kan, now.kan], mlp: [...h.mlp, now.mlp] };
    const logs = [...y.kan, ...y.mlp].filter(v => v > 0 && v < Infinity).map(Math.log10);
    const low = Math.min(-1, Math.floor(Math.min(...logs) - 0.1)), high = Math.max(0.3, ...logs);
    const px = v => round(pad.left + (v / x.end) * (width - pad.left - pad.right), 1);
    const py = v => {
      const part = (high - Math.log10(clamp(v, 10 ** low, 10 ** high))) / (high - low);
      return round(pad.top + part * (height - pad.top - pad.bottom), 1);
    };
    const line = net => {
      const points = y[net].flatMap((v, p) => (v !== null && v >= 0 ? [`${px(x[net][p])} ${py(v)}`] : []));
      return points.length ? `M${points.join("L")}` : "";
    };
    set(kanLine, { d: line("kan") });
    set(mlpLine, { d: line("mlp") });
    svg.classList.toggle("looking", at !== null);
    set(cursor, { d: at === null ? "" : `M${px(at)} ${pad.top}V${height - pad.bottom}` });
    drawAxes(low, high, x.end, unit, px, py);
    if (!labels) return;
    drawMarks(race.events, x.marks.map(px));
    const end = (node, name, net) => [node, name, px(at ?? x[net].at(-1)), errors[net]];
    drawNow([end(kanNow, "KAN", "kan"), end(mlpNow, "MLP", "mlp")], py);
    return x.end;
  }

  /** Values at the ends of the lines, or where one looks back to. */
  function drawNow(nows, py) {
    const places = apart(nows.map(([, , , value]) => py(value)), 15, pad.top, height - pad.bottom);
    nows.forEach(([node, name, x, value], n) => {
      set(node, { x: x + 7, y: round(places[n] + 4, 1) });
      write(node, `${name} ${brief(value)}`);
    });
  }

  function drawAxes(low, high, end, unit, px, py) {
    const tens = Array.from({ length: Math.floor(high) - low + 1 }, (_, p) => low + p);
    const every = Math.ceil(tens.length / 6), below = labels ? ticks(0, end, width < 420 ? 3 : 5) : [];
    const said = unit === "steps" ? unit : "seconds of computing", free = width - 7 * said.length;
    const power = p => (p < -3 ? `10<tspan dy="-4" font-size="9">${text(p)}</tspan>` : 10 ** p);
    const html = [
      ...tens.filter(p => p % every === 0).map(p => {
        const y = py(10 ** p), words = labels ? textAt(pad.left - 6, y + 4, "end", power(p)) : "";
        return `<path d="M${pad.left} ${y}H${width - pad.right}"/>${words}`;
      }),
      ...below.filter(v => px(v) < free).map(v => textAt(px(v), height - 5, "middle", label(v))),
      labels ? textAt(width, height - 5, "end", said) : "",
    ].join("");
    if (html !== axesDrawn) axes.innerHTML = axesDrawn = html;
  }

  function drawMarks(all, xs) {
    let last = -Infinity, row = 0;
    children(events, all.length, MARK).forEach((node, m) => {
      const [title, line, circle, letter] = node.children, x = xs[m], { name, text } = all[m];
      row = x - last < 15 ? (row + 1) % 3 : 0; // letters that would touch stand below each other
      last = x;
      const y = pad.top - 9 + 15 * row;
      set(line, { d: `M${x} ${y}V${height - pad.bottom}` });
      set(circle, { cx: x, cy: y });
      set(letter, { x, y: y + 4 });
      write(letter, name === "extend" ? "g" : name[0]); // the letters of the buttons
      write(title, text);
      set(node, { "aria-label": text });
    });
  }

  return {
    draw, pad,
    resize(w, h) {
      [width, height] = [w, h];
      set(svg, { viewBox: `0 0 ${w} ${h}`, height: h });
    },
  };
}
