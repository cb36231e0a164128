// The picture of a KAN: a box with its curve on every edge.

import { rangeOf } from "./charts.js";
import { CURVE, FUNCTION } from "./layer.js";
import { arrange, wire } from "./layout.js";
import { clamp, ends, evenly, range } from "./numbers.js";
import { children, clip, listen, round, set, still, swallow } from "./page.js";

const UNIT = 40; // a box is as wide in its own drawing
const INSET = 3;
const SAMPLES = 33; // points of a small curve
const BINS = 14;
export const FEW = 0.005; // a share of values beyond the knots that is not worth a mark
const DEAD = 0.03; // of the largest spread of a layer, below which an edge counts as dead
const FLOW = 700; // milliseconds from one layout to the next

/** The shares of these values in each bin of [a, b], and below and above it. */
function histogram(values, [a, b]) {
  const bins = new Float64Array(BINS), rounding = 1e-6 * (b - a), one = 1 / values.length;
  let below = 0, above = 0;
  for (const v of values)
    if (v < a - rounding) below += one;
    else if (v > b + rounding) above += one;
    else bins[clamp(Math.floor((BINS * (v - a)) / (b - a)), 0, BINS - 1)] += one;
  return { bins, below, above };
}

export function hill(bins, left, floor, width, height) {
  const top = Math.max(...bins) || 1, w = width / bins.length;
  const steps = Array.from(bins, (share, i) =>
    `V${round(floor - (height * share) / top, 1)}H${round(left + (i + 1) * w, 1)}`);
  return `M${left} ${floor}${steps.join("")}V${floor}z`;
}

export const percent = share => `${Math.max(1, Math.round(100 * share))} %`;

/** An input of a layer: the values that reach it, and what of it is drawn, its domain. */
export function inputOf(layer, i, { inputs }, n) {
  const kinds = layer.kind.subarray(i * layer.outputs, (i + 1) * layer.outputs);
  const values = inputs[i], curves = kinds.includes(CURVE);
  const domain = curves ? layer.domain(i) : rangeOf(values); // functions have no knots
  const knots = layer.knots[i], { degree } = layer;
  return {
    ...histogram(values, domain), domain, knots, xs: evenly(...domain, SAMPLES),
    inner: curves ? knots.subarray(degree, knots.length - degree) : [],
  };
}

const functionOf = (layer, { i, o }) =>
  layer.functionOf(i * layer.outputs + o).name.replace("^2", "²").replace("^3", "³").replace("sqrt", "√");

/** A curve in a word or two; turns by less than a tenth of its rise do not count. */
function shapeOf(ys) {
  const [low, high] = ends(ys), ways = [];
  let turn = ys[0];
  for (const y of ys) {
    if ((y > turn) !== ways.at(-1) && Math.abs(y - turn) > 0.1 * (high - low)) ways.push(y > turn);
    if ((y > turn) === ways.at(-1)) turn = y;
  }
  return ["flat", ways[0] ? "rising" : "falling", ways[0] ? "a peak" : "a valley"][ways.length] ?? "a wave";
}

const BOX = `<g role="button" data-lm-suppress-shortcuts="true">
  <rect x="-20" y="-20" width="40" height="40" rx="5"/><path class="values"/>
  <path class="knots"/><path class="curve"/><path class="beyond"/>
  <text class="share" text-anchor="end" x="17"/><text class="name" x="-16"/></g>`;
export const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** `open(box)` is called when one is chosen, `light(edge)` when one is pointed at, and null after it. */
export function networkDiagram(lab, svg, open, light = () => {}) {
  svg.innerHTML = `<g class="wires"></g><g class="nodes"></g><g class="edges"></g>`;
  const [wires, nodes, edges] = svg.children;
  let plan = null, boxes = [], dots = [], shape = "", width = 0, height = 0, active = 0;
  let flowing = 0, since = 0;

  function layOut(kan) {
    const before = boxes, calm = still() || plan?.race !== lab.race;
    plan = { ...arrange(kan, width, height), race: lab.race };
    const count = plan.boxes.length, lines = children(wires, count, "<path/>");
    const groups = children(edges, count, BOX);
    boxes = plan.boxes.map((box, n) => {
      const [, values, knots, curve, beyond, share, name] = groups[n].children;
      const parts = { group: groups[n], line: lines[n], values, knots, curve, beyond, share, name };
      return { ...box, parts, coef: kan.layers[box.l].coefOf(box.i, box.o).slice() };
    });
    for (const box of boxes) box.start = calm ? box : origin(box, before);
    active = clamp(active, 0, boxes.length - 1);
    boxes.forEach(({ parts }, n) => set(parts.group, { tabindex: n === active ? 0 : -1 }));
    set(svg, { viewBox: `0 0 ${width} ${plan.height}`, height: plan.height });
    layNodes(kan);
    point(null);
    cancelAnimationFrame(flowing);
    since = performance.now();
    place(calm ? 1 : 0);
    if (!calm) flowing = requestAnimationFrame(flow);
  }

  /** Where a box comes from: of the last layout's in its layer, the one whose curve rose most like it. */
  function origin(box, before) {
    const rises = ({ coef }) => coef.slice(1).map((c, j) => c - coef[j]), own = rises(box);
    const gap = other => rises(other).reduce((sum, rise, j) => sum + Math.abs(rise - own[j]), 0);
    const alike = before.filter(other => other.l === box.l && other.coef.length === box.coef.length);
    return alike.sort((a, b) => gap(a) - gap(b))[0] ?? box;
  }

  function flow(time) {
    const part = clamp((time - since) / FLOW, 0, 1);
    place(part < 0.5 ? 4 * part ** 3 : 1 - (2 - 2 * part) ** 3 / 2);
    if (part < 1) flowing = requestAnimationFrame(flow);
  }

  /** Everything at a part of its way from the last layout to this one. */
  function place(part) {
    const mix = (a, b) => a + part * (b - a), both = (a, b) => [mix(a[0], b[0]), mix(a[1], b[1])];
    const shift = ([x, y]) => `translate(${round(x, 1)} ${round(plan.height - y, 1)})`;
    for (const box of boxes) {
      const { start } = box, size = mix(start.size, box.size);
      const x = mix(start.x, box.x), y = mix(start.y, box.y);
      const from = both(start.from, box.from), to = both(start.to, box.to);
      set(box.parts.line, { d: wire({ ...box, x, y, size, from, to }, plan.height) });
      set(box.parts.group, { transform: `${shift([x, y])} scale(${round(size / UNIT, 3)})` });
      set(dots[box.l][box.i], { transform: shift(from) });
      set(dots[box.l + 1][box.o], { transform: shift(to) });
    }
  }

  function layNodes(kan) {
    const { names, target = "output" } = lab.race.task, last = kan.widths.length - 1;
    nodes.replaceChildren();
    dots = plan.nodes.map((row, l) => row.map(([x, y], j) => {
      const said = l === 0 ? names[j] : l === last ? target : "";
      nodes.insertAdjacentHTML("beforeend", `<g transform="translate(${x} ${plan.height - y})"><circle r="5"/>
        <text y="${l === 0 ? 20 : -11}" text-anchor="middle">${clip(said)}</text></g>`);
      return nodes.lastChild;
    }));
  }

  function draw(kan) {
    if (!width) return;
    const kinds = kan.layers.map(({ inputs, kind }) => [inputs, ...kind.map(Boolean)].join(""));
    const now = [width, height, ...kinds].join();
    if (now !== shape || plan.race !== lab.race) layOut(kan);
    shape = now;
    const { task } = lab.race, seen = kan.observe(task.x, task.n);
    weigh(kan, seen);
    kan.layers.forEach((layer, l) => drawLayer(layer, l, seen[l], task.n));
    const feeds = (box, l, j) => (l === 0 ? box.l === 0 && box.i === j : box.l === l - 1 && box.o === j);
    const used = (l, j) => boxes.some(box => !box.dead && feeds(box, l, j));
    dots.forEach((row, l) => row.forEach((dot, j) => set(dot, { class: used(l, j) ? "" : "dead" })));
  }

  /** How strong edges are beside the strongest of their layer; dead: weak, or no living one goes on. */
  function weigh(kan, seen) {
    for (let l = kan.layers.length - 1; l >= 0; l--) {
      const own = boxes.filter(box => box.l === l), spread = ({ i, o }) => seen[l].spreads[i * kan.widths[l + 1] + o];
      const ahead = boxes.filter(box => box.l === l + 1 && !box.dead).map(({ i }) => i);
      const leads = ({ o }) => l === kan.layers.length - 1 || ahead.includes(o);
      const widest = Math.max(1e-12, ...own.filter(leads).map(spread));
      for (const box of own) {
        box.leads = leads(box);
        box.strength = box.leads ? spread(box) / widest : 0;
        box.dead = box.strength < DEAD;
      }
    }
  }

  /** Heights grow with the root of a curve's rise, so that small curves are seen and large ones fit. */
  function drawLayer(layer, l, seen, n) {
    const own = boxes.filter(box => box.l === l), living = boxes.filter(box => box.l === l - 1 && !box.dead);
    const inputs = range(layer.inputs).map(i => inputOf(layer, i, seen, n));
    const rows = inputs.map(({ xs }, i) => layer.curves(i, xs)), curves = own.map(({ i, o }) => rows[i][o]);
    const heights = curves.map(ends);
    const most = Math.max(1e-9, ...heights.map(([low, high]) => high - low));
    own.forEach((box, m) => {
      const [low, high] = heights[m], scale = 26 / Math.sqrt(most * Math.max(high - low, 1e-3 * most));
      box.coef = layer.coefOf(box.i, box.o).slice();
      const { below, above } = inputs[box.i], fed = l === 0 || living.some(({ o }) => o === box.i);
      const beyond = [below, above].map(share => (fed && share > FEW ? share : 0)); // not of a faded node's
      drawCurve(box, inputs[box.i], curves[m], (low + high) / 2, scale);
      drawLook(box, layer, beyond, curves[m]);
    });
  }

  function drawCurve({ parts }, { domain: [a, b], inner, bins }, ys, middle, scale) {
    const left = INSET - UNIT / 2, w = UNIT - 2 * INSET, px = part => round(left + w * part, 1);
    const points = Array.from(ys, (y, p) => `${px(p / (SAMPLES - 1))} ${round((middle - y) * scale, 1)}`);
    set(parts.curve, { d: `M${points.join("L")}` });
    set(parts.values, { d: hill(bins, left, 19, w, 9) });
    set(parts.knots, { d: Array.from(inner, t => `M${px((t - a) / (b - a))} 16v3.5`).join("") });
  }

  function drawLook(box, layer, [below, above], curve) {
    const { i, o, parts, lane, size, dead, strength } = box, out = below + above;
    const named = layer.kind[i * layer.outputs + o] === FUNCTION;
    const ink = round(0.1 + 0.05 * Math.round(18 * Math.sqrt(strength)), 2); // in steps, as styles cost time
    const type = round((11 * UNIT) / size, 1);
    const style = `--ink:${ink};font-size:${type}px`; // letters as large in boxes of all sizes
    set(parts.group, { class: `${named ? "named" : ""} ${dead ? "dead" : ""}`, style });
    set(parts.line, { class: dead ? "dead" : "", style: `--ink:${round(ink * (lane ? 0.4 : 0.8), 2)}` });
    set(parts.beyond, { d: `${below ? "M-19.5 8l4.5 -3v6z" : ""}${above ? "M19.5 8l-4.5 -3v6z" : ""}` });
    for (const node of [parts.share, parts.name]) set(node, { y: type - 19 });
    const words = [out ? percent(out) : "", named && size > 32 ? functionOf(layer, box) : ""];
    box.about = [
      dead ? "faded" : named ? functionOf(layer, box) : shapeOf(curve),
      box.leads ? `spread ${percent(strength)} of the layer's largest` : "nothing goes on from there",
      ...(out ? [`${percent(out)} of values beyond the knots`] : []),
    ].join(", ");
    if (String(words) === box.words) return;
    box.words = String(words);
    [parts.share.textContent, parts.name.textContent] = words;
    name(box); // which has to hold the words that are seen
  }

  function name(box) {
    box.title = lab.race.edgeName(box.l, box.i, box.o);
    const marked = box.parts.group.matches("[data-marked]") ? "marked by the tour, " : "";
    set(box.parts.group, { "aria-label": `${box.title}: ${marked}${box.about}` });
  }

  /** What a screen reader hears when nothing runs. */
  function describe(kan) {
    boxes.forEach(name);
    set(svg, { "aria-label": `KAN ${kan.widths.join(", ")}: ${boxes.length} edges, each a button` });
  }

  const indexOf = node => boxes.findIndex(({ parts }) => parts.group === node.closest("[role=button]"));

  /** The nearest box in a direction, in the same row or in the next. */
  function neighbor(n, [dx, dy]) {
    const ahead = boxes.map((box, m) => {
      const x = box.x - boxes[n].x, y = box.y - boxes[n].y;
      return { m, along: x * dx + y * dy, aside: Math.abs(x * dy) + Math.abs(y * dx) };
    }).filter(({ along, aside }) => along > 1 && (dy || aside < 1));
    return ahead.sort((a, b) => 4 * (a.along - b.along) + a.aside - b.aside)[0]?.m ?? n;
  }

  let pointed = null;

  function point(box) {
    const edge = box ? [box.l, box.i, box.o] : null;
    if (String(edge) !== String(pointed)) light((pointed = edge));
  }

  listen(edges, {
    click: ({ target }) => open(boxes[indexOf(target)]),
    pointerover: ({ target, pointerType }) => pointerType === "mouse" && point(boxes[indexOf(target)]),
    pointerleave: () => point(null),
    keydown(event) {
      const n = indexOf(event.target), way = ARROWS[event.key];
      if (way) boxes[neighbor(n, way)].parts.group.focus();
      else if (event.key === "Home" || event.key === "End") boxes.at(event.key === "End" ? -1 : 0).parts.group.focus();
      else if (event.key === "Enter" || event.key === " ") open(boxes[n]);
      else return;
      swallow(event);
    },
  });

  // Not on a part of the drawing: Chromium lets Tab stop at those that listen to the focus.
  svg.parentNode.addEventListener("focusin", ({ target }) => {
    const n = indexOf(target);
    if (n < 0) return;
    set(boxes[active].parts.group, { tabindex: -1 });
    set(target, { tabindex: 0 });
    active = n;
    if (target.matches(":focus-visible")) point(boxes[n]);
  });
  svg.parentNode.addEventListener("focusout", () => point(null));

  return {
    draw, describe,
    resize: (w, h) => ([width, height] = [w, h]),
    focus([l, i, o]) {
      const box = boxes.find(box => box.l === l && box.i === i && box.o === o) ?? boxes[active];
      box.parts.group.focus();
    },
  };
}
