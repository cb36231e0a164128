// What KAN and MLP have learned: of one input, both lines over the target; of two, a heat map of each. Of an
// edge that is lit, the part of the KAN's output that goes through it.

import { HEAT, apart, brief, colorAt, marksOf, paint, palette, pixelCenters, rangeOf, truthOn } from "./charts.js";
import { clamp, evenly } from "./numbers.js";
import { clip, label, listen, round, set, show, textAt, write } from "./page.js";

const PIXELS = 40, POINTS = 121;
const LINES = `<g class="axes"></g><path class="part"/><path class="truth"/><g class="points"></g>
  <path class="fitted mlp"/><path class="fitted kan"/><path class="stroke"/>
  <text class="truth-end">target</text><text class="mlp-end"></text><text class="kan-end"></text>`;

export const DRAWN = 500; // points to learn from, at most
const circle = ([x, y], r, look) => `<circle cx="${x}" cy="${y}" r="${r}" ${look}/>`;
const diamond = ([x, y], r, look) => `<path class="held" d="M${x - r} ${y}l${r} ${-r} ${r} ${r} ${-r} ${r}z" ${look}/>`;

/** A task's samples as circles, those of a table that are held out as diamonds; `place(x, y, s, n)`: of sample s of n. */
function dotsOf({ x, y, n, testX, testY, testN, truth }, radius, place, look = () => "") {
  const every = Math.ceil(n / DRAWN);
  const part = (shape, x, y, n, r) => Array.from(y, (v, s) => (s % every ? "" : shape(place(x, v, s, n), r, look(v))));
  return [...part(circle, x, y, n, radius), ...(truth ? [] : part(diamond, testX, testY, testN, radius + 1))].join("");
}

/** In `node`, whose plots may be some of lines, kan, mlp and target. `drawn(points)` is called after a stroke. */
export function fitChart(lab, root, node, drawn = null) {
  const svg = node.querySelector(".lines svg"), said = node.querySelector(".lit");
  const plots = Object.fromEntries(["kan", "mlp", "target"].map(name => [name, { node: node.querySelector(`.plot.${name}`) }]));
  const pixels = pixelCenters(PIXELS), line = evenly(-1, 1, POINTS), pad = { right: 82, bottom: 20 };
  let race = null, range = null, colors = null, partColors = null, theme = "", width = 0, height = 0, two = false, lit = null;
  const px = x => round(pad.left + ((x + 1) / 2) * (width - pad.left - pad.right), 1);
  const py = y => round(pad.top + ((range[1] - y) / (range[1] - range[0])) * (height - pad.top - pad.bottom), 1);
  const points = (xs, ys) => Array.from(xs, (x, p) => `${px(x)} ${py(ys[p])}`);
  const path = (xs, ys) => `M${points(xs, ys).join("L")}`;

  /** What does not change in a race: the target, the points, the scale. */
  function begin() {
    const { task } = lab.race;
    race = lab.race;
    theme = root.dataset.theme;
    two = task.inputs === 2;
    range = task.name === "drawn" ? [-1.1, 1.1] : rangeOf([...task.y, ...task.testY], two ? 0 : 0.08);
    Object.assign(node.dataset, { inputs: task.inputs, table: !task.truth });
    write(said, "");
    two ? beginMaps(task) : beginLines(task);
    lit = undefined; // so that what stands there without is drawn
  }

  const ownStops = () => HEAT[race.task.name === "portrait" ? "gray" : theme];

  /** The heights of a table have marks, as they have units. */
  function beginLines(task) {
    const { truth, n, names: [name], target = "", scale, targetScale: [mean, spread] = [0, 1] } = task;
    Object.assign(pad, truth ? { left: 8, top: 8 } : { left: 46, top: 24 });
    set(svg, { viewBox: `0 0 ${width} ${height}`, height });
    svg.innerHTML = LINES;
    const level = y => `<path d="M${pad.left} ${y}H${width - pad.right}"/>`;
    const italic = (x, y, said) => textAt(x, y, "start", `<tspan font-style="italic">${clip(said)}</tspan>`);
    const zero = range[0] < 0 && range[1] > 0 ? [[0, ""]] : [];
    const up = truth ? zero : marksOf(...range, 4, [mean - spread, mean + spread]);
    svg.querySelector(".axes").innerHTML = [
      level(height - pad.bottom), italic(width - pad.right + 12, height - 5, name), italic(0, 14, target),
      ...marksOf(-1, 1, 4, scale?.[0]).map(([x, value]) => textAt(px(x), height - 5, "middle", label(value))),
      ...up.map(([y, value]) => level(py(y)) + textAt(pad.left - 6, py(y) + 4, "end", label(value))),
    ].join("");
    svg.querySelector(".points").innerHTML = truth && n > 100 ? "" : dotsOf(task, 2.5, (x, y, s) => [px(x[s]), py(y)]);
    set(svg.querySelector(".truth"), { d: truth ? path(line, truthOn(race.task, line, POINTS)) : "" });
  }

  /** The points of a table have the colors of their heights: where a point is hardly seen, the map is right. */
  function beginMaps(task) {
    colors = palette(ownStops());
    partColors = palette(HEAT[theme]);
    const radius = round(clamp(24 / Math.sqrt(task.n), 1.8, 4), 1);
    const place = (x, y, s, n) => [round(100 * (1 + x[s]), 1), round(100 * (1 - x[n + s]), 1)];
    const fill = v => `style="fill:rgb(${colors.subarray(4 * colorAt(v, range)).slice(0, 3)})"`;
    const dots = task.truth ? "" : dotsOf(task, radius, place, fill);
    for (const map of node.querySelectorAll("canvas + svg")) map.innerHTML = dots;
  }

  /** The tape of a network over all that is drawn, after a pass forward. */
  function pass(plot, net) {
    const x = two ? pixels : line;
    if (plot.net !== net || plot.layers !== net.layers || plot.x !== x)
      Object.assign(plot, { net, layers: net.layers, x, tape: net.tape(x, two ? PIXELS ** 2 : POINTS) });
    plot.tape.forward();
    return plot.tape;
  }

  function drawNet(name, net, error) {
    const plot = plots[name];
    if (two && !plot.node) return; // a small one shows the KAN alone
    const { output } = pass(plot, net);
    plot.end = output[POINTS - 1];
    if (!two) return set(svg.querySelector(`.fitted.${name}`), { d: path(line, output) });
    paint(plot.node.querySelector("canvas"), output, range, colors);
    write(plot.node.querySelector(".value"), brief(error));
  }

  /** Names and errors at the ends of the lines. */
  function drawNames({ kan, mlp }) {
    const { truth } = race.task, ends = [plots.kan.end, plots.mlp.end, ...(truth ? [truth(1)] : [])];
    const places = apart(ends.map(py), 15, pad.top, height - pad.bottom);
    const nodes = ["kan", "mlp", "truth"].map(name => svg.querySelector(`.${name}-end`));
    places.forEach((y, n) => set(nodes[n], { x: width - pad.right + 6, y: round(y + 4, 1) }));
    write(nodes[0], `KAN ${brief(kan)}`);
    write(nodes[1], `MLP ${brief(mlp)}`);
    nodes[2].style.display = truth ? "" : "none";
  }

  /** The part that goes through an edge: a band from the line to where it were without; a map in the target's place. */
  function drawPart(kan, edge) {
    if (!edge && lit === null) return;
    lit = edge;
    const { tape } = plots.kan, whole = tape.output.slice(), part = edge && kan.partOf(tape, edge);
    const words = edge && `what goes ${race.edgeName(...edge)}`;
    if (two) return drawPartMap(part, words);
    const band = edge ? `M${[...points(line, whole), ...points(line, tape.output).reverse()].join("L")}z` : "";
    set(svg.querySelector(".part"), { d: band });
    write(said, edge ? `shaded: ${words}` : "");
  }

  function drawPartMap(part, words) {
    const { truth, target = "target", targetScale: [mean, spread] = [0, 1] } = race.task;
    const { node: plot } = plots.target, canvas = plot.querySelector("canvas");
    const most = part && Math.max(1e-9, ...part.map(Math.abs)), shown = part ? [-most, most] : range;
    canvas.hidden = !part && !truth; // a table has but its points
    if (part) paint(canvas, part, shown, partColors);
    else if (truth) paint(canvas, truthOn(race.task, pixels, PIXELS ** 2), range, colors);
    plot.querySelector("svg").style.display = part ? "none" : "";
    write(plot.querySelector(".what"), words ?? target);
    const [low, bar, high] = plot.querySelector(".scale").children, stops = part ? HEAT[theme] : ownStops();
    bar.style.background = `linear-gradient(90deg, ${stops.map(rgb => `rgb(${rgb})`).join()})`;
    [low.textContent, high.textContent] = shown.map(v => show((part ? 0 : mean) + spread * v));
  }

  /** All of it, or the KAN or the MLP in turn; `edge`: the one that is lit. */
  function draw(now, which, edge = null) {
    if (!width) return;
    const fresh = lab.race !== race || root.dataset.theme !== theme;
    if (fresh) begin();
    if (fresh || which !== "kan") drawNet("mlp", now.mlp, now.errors.mlp);
    if (fresh || which !== "mlp") {
      drawNet("kan", now.kan, now.errors.kan);
      drawPart(now.kan, edge);
    }
    if (!two) drawNames(now.errors);
  }

  // A stroke: where it goes back, and where older strokes were, it replaces what was there.

  let stroke = null;
  const where = ({ clientX, clientY }) => {
    const { left, top } = svg.getBoundingClientRect();
    const x = (2 * (clientX - left - pad.left)) / (width - pad.left - pad.right) - 1;
    const y = range[1] - ((clientY - top - pad.top) / (height - pad.top - pad.bottom)) * (range[1] - range[0]);
    return [round(clamp(x, -1, 1), 3), round(clamp(y, ...range), 3)];
  };
  listen(svg, {
    pointerdown(event) {
      if (!drawn || race.task.name !== "drawn" || event.button) return;
      event.preventDefault();
      svg.setPointerCapture(event.pointerId);
      lab.play(false);
      stroke = [where(event)];
    },
    pointermove(event) {
      if (!stroke) return;
      const [x, y] = where(event), [last] = stroke.at(-1);
      if (Math.abs(x - last) < 0.01) return;
      stroke = [...stroke.filter(([at]) => at === last || (at - last) * (x - last) < 0), [x, y]];
      set(svg.querySelector(".stroke"), { d: path(stroke.map(([x]) => x), stroke.map(([, y]) => y)) });
    },
    pointerup() {
      if (!stroke) return;
      const [low, high] = rangeOf(stroke.map(([x]) => x)), flat = !lab.points?.some(([, y]) => y), old = flat ? [] : lab.points;
      const points = [...old.filter(([x]) => x < low || x > high), ...stroke];
      stroke = null;
      drawn(points.sort((a, b) => a[0] - b[0]));
    },
    pointercancel: () => (stroke = null),
  });

  return {
    draw,
    resize(w, h) {
      [width, height] = [w, h];
      race = null; // to begin anew
    },
  };
}
