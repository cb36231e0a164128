// What networks learn in the KAN Lab: samples to train on, others to test on.

import { Random, clamp, deviation, ends, evenly, moments, range } from "./numbers.js";

const ZIGZAG = [[-1, 0.1], [-0.72, 0.85], [-0.55, -0.6], [-0.2, 0.45], [-0.08, -0.75], [0.31, 0.9], [0.48, -0.2],
  [0.77, 0.55], [1, -0.5]]; // as kanbook.tasks

/** Straight pieces between points in rising order of x; level beyond them. */
function interpolate(points, x) {
  const i = points.findIndex(([end]) => x < end);
  if (i === -1) return points.at(-1)[1];
  if (i === 0) return points[0][1];
  const [[x0, y0], [x1, y1]] = points.slice(i - 1, i + 1);
  return y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
}

const sign = value => (value < 0 ? -1 : 1);
const checkers = (x, y) => sign(Math.sin(Math.PI * 1.5 * x) * Math.sin(Math.PI * 1.5 * y));
const turned = angle => (x, y) => checkers(x * Math.cos(angle) - y * Math.sin(angle), x * Math.sin(angle) + y * Math.cos(angle));

/** -1 or 1: which of two spiral arms is nearer. */
function spirals(x, y) {
  const turns = Math.atan2(y, x) / Math.PI - 3 * Math.hypot(x, y);
  return sign(Math.sin(Math.PI * turns));
}

/**
 * By name: how a task is called, its inputs, samples to train on, the noise on them, and the truth; the
 * names of its inputs and what they were before they were scaled to [-1, 1], if that is something else.
 */
export const TASKS = {
  zigzag: { label: "zigzag", inputs: 1, samples: 200, truth: x => interpolate(ZIGZAG, x) },
  drawn: { label: "draw your own", inputs: 1 },
  exp_sine: { label: "exp(sin πx + y²)", inputs: 2, samples: 400, truth: (x, y) => Math.exp(Math.sin(Math.PI * x) + y * y) },
  product: { label: "x · y", inputs: 2, samples: 400, truth: (x, y) => x * y },
  velocities: { // as evidence.tasks.laws has it
    label: "two velocities", inputs: 2, samples: 400, names: ["v", "w"], scale: [[-0.75, 0.75], [-0.75, 0.75]],
    truth: (x, y) => (0.75 * (x + y)) / (1 + 0.5625 * x * y),
  },
  spirals: { label: "two spirals", inputs: 2, samples: 600, truth: spirals },
  checkers: { label: "checkers", inputs: 2, samples: 600, truth: checkers },
  rotated: { label: "checkers, rotated", inputs: 2, samples: 600, truth: turned(Math.PI / 6) },
  noisy: { label: "forty noisy points", inputs: 1, samples: 40, noise: 0.3, truth: x => Math.sin(1.5 * Math.PI * x) },
  portrait: { label: "portrait", inputs: 2, samples: 1000 },
  table: { label: "your own table", inputs: 1 },
};

/**
 * Samples are stored column by column: of x (inputs, n), first all of input 0. Points, [x, y] or
 * [x1, x2, y], are for "drawn" and "table", and before them there may be names of the columns; of a
 * table's every fifth is kept for the test. A portrait is 48 x 48 grey values from 0 to 255.
 */
export function makeTask(name, { seed = 0, points = null, portrait = null } = {}) {
  if (!TASKS[name]) throw new Error(`task=${JSON.stringify(name)}; expected one of ${Object.keys(TASKS).join(", ")}`);
  const task = name === "table" ? fromTable(points ?? EXAMPLE) : fromTruth(name, seed, points, portrait);
  return { name, label: TASKS[name].label, points, spread: deviation(task.testY) || 1, ...task };
}

function fromTruth(name, seed, points, portrait) {
  const { inputs, samples: n = 200, noise = 0, names = ["x", "y"], scale, ...task } = TASKS[name];
  const truth = name === "drawn" ? stroke(points ?? ZIGZAG.map(([x, y]) => [x, 0.6 * y]))
    : name === "portrait" ? (x, y) => pixel(portrait, x, y) : task.truth;
  const random = new Random(seed + 77), line = inputs === 1, even = line && !noise;
  const x = even ? evenly(-1, 1, n) : new Float64Array(inputs * n).map(() => 2 * random.uniform() - 1);
  if (line) x.sort();
  const centers = range(30).map(p => (2 * p + 1) / 30 - 1);
  const testX = line ? evenly(-1, 1, 401)
    : Float64Array.of(...centers.flatMap(() => centers), ...centers.flatMap(y => Array(30).fill(y)));
  const testN = testX.length / inputs;
  const values = (x, n) => Float64Array.from({ length: n }, (_, s) => truth(x[s], x[n + s]));
  const y = values(x, n).map(value => value + noise * random.normal());
  return { inputs, x, y, n, testX, testY: values(testX, testN), testN, truth, scale, names: names.slice(0, inputs) };
}

/** The names of the columns, which may go into a page as they are, and the rows. */
function splitTable(points) {
  const named = typeof points[0][0] === "string", rows = points.slice(+named);
  const names = named ? points[0].map(name => name.replace(/[<>"]/g, "")) : ["x", "y", "z"].slice(0, rows[0].length);
  return { names, rows };
}

/** The function through the points of a stroke, which may go back and forth. */
function stroke(points) {
  const sorted = splitTable(points).rows.sort((a, b) => a[0] - b[0]).filter(([x], i, all) => i === 0 || x > all[i - 1][0] + 1e-3);
  return x => interpolate(sorted, x);
}

function pixel(portrait, x, y) {
  if (!portrait) throw new Error("the portrait is missing");
  const place = v => clamp(((v + 1) / 2) * 47, 0, 46.999), column = place(x), row = place(-y);
  const c = Math.floor(column), r = Math.floor(row), at = (r, c) => portrait[48 * r + c] / 255;
  const mix = (a, b, part) => a + part * (b - a);
  return mix(mix(at(r, c), at(r, c + 1), column - c), mix(at(r + 1, c), at(r + 1, c + 1), column - c), row - r);
}

const EXAMPLE = [["seconds", "swing"], ...range(60).map(i => { // which dies away
  const t = +(i / 6).toFixed(2);
  return [t, +(Math.exp(-t / 4) * Math.cos(2 * t)).toFixed(3)];
})];

function fromTable(points) {
  const { names, rows } = splitTable(points), inputs = names.length - 1, column = i => rows.map(row => row[i]);
  const scale = range(inputs).map(i => ends(column(i)));
  const [mean, variance] = moments(column(inputs)), spread = Math.sqrt(variance);
  const part = rows => [
    Float64Array.from(scale.flatMap(([low, high], i) => rows.map(row => (2 * (row[i] - low)) / (high - low) - 1))),
    Float64Array.from(rows, row => (row[inputs] - mean) / spread), rows.length,
  ];
  const [x, y, n] = part(rows.filter((_, i) => i % 5 !== 2));
  const [testX, testY, testN] = part(rows.filter((_, i) => i % 5 === 2));
  return {
    inputs, x, y, n, testX, testY, testN, truth: null, points, scale, targetScale: [mean, spread],
    names: names.slice(0, inputs), target: names[inputs],
  };
}

/** What stands between two columns, and before the decimals: 0,5;1 is two numbers. */
function formatOf(text) {
  const between = [";", "\t", ","].find(sign => text.includes(sign)) ?? " ";
  return { between, decimal: between !== "," && /\d,\d/.test(text) ? "," : "." };
}

/** What pandas.read_csv has to be told of such a text. */
export function readsOf(text) {
  const { between, decimal } = formatOf(text), sep = { ";": '";"', "\t": '"\\t"', " ": 'r"\\s+"' }[between];
  return (sep ? `, sep=${sep}` : "") + (decimal === "," ? `, decimal=","` : "");
}

/** Rows of two or three numbers; a first line of words, their names, stays before them. Throws an error to show. */
export function parseCSV(text) {
  const lines = text.split(/\r?\n/).map(line => line.trim()).filter(Boolean), { between, decimal } = formatOf(text);
  const cellsOf = line => line.split(between === " " ? /\s+/ : between).map(cell => cell.trim().replace(/^"(.*)"$/, "$1"));
  const cells = lines.map(cellsOf);
  const rows = cells.map(row => row.map(cell => (cell === "" ? NaN : Number(cell.replace(decimal, ".")))));
  const start = rows.length && rows[0].every(Number.isNaN) ? 1 : 0, points = rows.slice(start), width = points[0]?.length;
  if (!points.length) throw new Error("no row of numbers; expected x, y or x1, x2, y in each line");
  if (width !== 2 && width !== 3)
    throw new Error(`the first row has ${width === 1 ? "one number" : `${width} numbers`}; expected two (x, y) or three (x1, x2, y)`);
  points.forEach((row, i) => {
    if (row.length !== width || row.some(v => !Number.isFinite(v)))
      throw new Error(`line ${i + 1 + start}, "${lines[i + start].slice(0, 40)}": expected ${width} numbers`);
  });
  if (start && (cells[0].length !== width || new Set(cells[0].filter(Boolean)).size !== width))
    throw new Error(`the first line, "${lines[0].slice(0, 40)}": expected ${width} different names`);
  if (points.length < 10) throw new Error(`${points.length} rows; at least 10 are needed`);
  if (points.length > 5000) throw new Error(`${points.length} rows; at most 5,000 fit`);
  for (let c = 0; c < width; c++)
    if (points.every(row => row[c] === points[0][c])) throw new Error(`column ${c + 1} is ${points[0][c]} in every row; it must vary`);
  return start ? [cells[0], ...points] : points;
}
