// What KAN and MLP have learned: of one input, both lines over the target; of two, a heat map of each. Of an
// edge that is lit, the part of the KAN's output that goes through it.

import { HEAT, apart, brief, colorAt, paint, palette, pixelCenters, rangeOf, truthOn } from "./charts.js";
import { clamp, evenly } from "./numbers.js";
import { listen, round, set, show, textAt, ticks, write } from "./page.js";

const PIXELS = 40, POINTS = 121;
const LINES = `<g class="axes"></g><path class="part"/><path class="truth"/><path class="fitted mlp"/>
  <path class="fitted kan"/><g class="points"></g><path class="stroke"/>
  <text class="truth-end">target</text><text class="mlp-end"></text><text class="kan-end"></text>`;

/** In `node`, whose plots may be some of lines, kan, mlp and target. `drawn(points)` is called after a stroke. */
export function fitChart(lab, root, node, drawn = null) {
  const svg = node.querySelector(".lines svg"), said = node.querySelector(".lit");
  const plots = Object.fromEntries(["kan", "mlp", "target"].map(name => [name, { node: node.querySelector(`.plot.${name}`) }]));
  const pixels = pixelCenters(PIXELS), line = evenly(-1, 1, POINTS), pad = { left: 8, right: 82, top: 8, bottom: 20 };
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
    two ? beginMaps(task) : beginLines(task);
    lit = undefined; // so that what stands there without is drawn
  }

  const ownStops = () => HEAT[race.task.name === "portrait" ? "gray" : theme];

  function beginLines({ truth, x, y, n, names: [name] }) {
    set(svg, { viewBox: `0 0 ${width} ${height}`, height });
    svg.innerHTML = LINES;
    const foot = height - pad.bottom, marks = ticks(-1, 1, 4).map(at => textAt(px(at), height - 5, "middle", show(at)));
    const zero = range[0] < 0 && range[1] > 0 ? `<path d="M${pad.left} ${py(0)}H${width - pad.right}"/>` : "";
    svg.querySelector(".axes").innerHTML = `<path d="M${pad.left} ${foot}H${width - pad.right}"/>${zero}
      ${marks.join("")}${textAt(width - pad.right + 12, height - 5, "start", `<tspan font-style="italic">${name}</tspan>`)}`;
    const few = n <= 100 || !truth;
    const dots = few ? Array.from(y, (v, s) => `<circle cx="${px(x[s])}" cy="${py(v)}" r="2.5"/>`) : [];
    svg.querySelector(".points").innerHTML = dots.join("");
    set(svg.querySelector(".truth"), { d: truth ? path(line, truthOn(race.task, line, POINTS)) : "" });
  }

  function beginMaps({ truth, x, y, n }) {
    const map = plots.target.node.querySelector("svg");
    colors = palette(ownStops());
    partColors = palette(HEAT[theme]);
    const radius = round(clamp(24 / Math.sqrt(n), 1.2, 4), 1);
    map.innerHTML = truth && n > 100 ? "" : Array.from(y, (v, s) => {
      const c = 4 * colorAt(v, range), [across, down] = [100 * (1 + x[s]), 100 * (1 - x[n + s])];
      const fill = `fill:rgb(${colors.subarray(c, c + 3)})`;
      return `<circle cx="${round(across, 1)}" cy="${round(down, 1)}" r="${radius}" style="${fill}"/>`;
    }).join("");
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
    const { truth } = race.task, { node: plot } = plots.target, canvas = plot.querySelector("canvas");
    const most = part && Math.max(1e-9, ...part.map(Math.abs)), shown = part ? [-most, most] : range;
    canvas.hidden = !part && !truth; // a table has but its points
    if (part) paint(canvas, part, shown, partColors);
    else if (truth) paint(canvas, truthOn(race.task, pixels, PIXELS ** 2), range, colors);
    plot.querySelector("svg").style.display = part ? "none" : "";
    write(plot.querySelector(".what"), words ?? "target");
    const [low, bar, high] = plot.querySelector(".scale").children, stops = part ? HEAT[theme] : ownStops();
    bar.style.background = `linear-gradient(90deg, ${stops.map(rgb => `rgb(${rgb})`).join()})`;
    [low.textContent, high.textContent] = shown.map(show);
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
