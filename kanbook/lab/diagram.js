// The picture of a KAN: a box with its curve on every edge; and one edge, large, to take in hand.

import { CURVE, FUNCTION } from "./engine.js";
import { LIBRARY, NAMES } from "./functions.js";
import { brief, evenly, rangeOf } from "./charts.js";
import { children, clamp, isNarrow, listen, round, set, show, still, text, ticks } from "./page.js";

const UNIT = 40; // a box is as wide in its own drawing
const INSET = 3;
const SAMPLES = 33; // points of a small curve
const BINS = 14;
const FEW = 0.005; // a share of values beyond the knots that is not worth a mark
const DEAD = 0.03; // of the largest spread of a layer, below which an edge counts as dead
const FLOW = 700; // milliseconds from one layout to the next

// --- where everything stands

const across = (j, n, width) => (width * (j + 0.5)) / n;

/** (i, o) of the edges that a layer still has, side by side with those of the same node. */
function edgesOf({ inputs: I, outputs: O, kind }) {
  const all = [...kind.keys()].filter(e => kind[e]).map(e => [Math.floor(e / O), e % O]);
  return I > O ? all : all.sort((a, b) => a[1] - b[1] || a[0] - b[0]);
}

/** How the boxes of a layer stand together: in a row, in a few rows, or as a matrix. */
function blockOf(layer, width) {
  const { inputs: I, outputs: O } = layer, edges = edgesOf(layer);
  return edges.length > 12 && Math.min(I, O) > 2 ? matrixOf(I, O, edges, width) : rowOf(I, O, edges, width);
}

function rowOf(I, O, edges, width) {
  const rows = width / edges.length < 32 ? Math.min(I, O) : 1, columns = Math.ceil(edges.length / rows);
  const size = Math.min(width < 480 ? 56 : 98, width / columns - 6);
  const boxes = edges.map(([i, o], e) => {
    const x = across(Math.floor(e / rows), columns, width), y = (size + 6) * ((e % rows) + 0.5);
    return { i, o, x, y, size, lane: null };
  });
  return { boxes, height: rows * (size + 6) };
}

/**
 * A column for each input, a row for each output. Rows end in lanes beside the matrix that lead up to
 * their nodes, to the left or the right; the nearer a node is to the middle, the higher its row.
 */
function matrixOf(I, O, edges, width) {
  const pitch = Math.min(60, (width - 30 - 6 * O) / I, 320 / O), left = (width - pitch * I) / 2;
  const aside = o => across(o, O, width) - width / 2;
  const order = Array.from({ length: O }, (_, o) => o);
  order.sort((a, b) => Math.abs(aside(a)) - Math.abs(aside(b)) || a - b);
  const boxes = edges.map(([i, o]) => {
    const row = order.indexOf(o), side = aside(o) < 0 ? -1 : 1;
    const lane = { side, x: width / 2 + side * ((pitch * I) / 2 + 5 + 3.5 * row) };
    return { i, o, x: left + pitch * (i + 0.5), y: pitch * (O - row - 0.5), size: pitch - 6, lane };
  });
  return { boxes, height: pitch * O };
}

/** Nodes by layer, and boxes, from the inputs below to the output above; y goes up. As high as it may. */
function arrange(kan, width, height) {
  const blocks = kan.layers.map(layer => blockOf(layer, width)), boxes = [], nodes = [];
  const room = height - 58 - blocks.reduce((sum, { height }) => sum + height, 0);
  const gap = clamp(room / 2 / blocks.length, 28, 88);
  let up = 34;
  const row = n => nodes.push(Array.from({ length: n }, (_, j) => [across(j, n, width), up]));
  row(kan.widths[0]);
  blocks.forEach((block, l) => {
    const foot = up + gap, head = foot + block.height;
    up = head + gap;
    row(kan.widths[l + 1]);
    for (const box of block.boxes)
      boxes.push({ ...box, l, y: foot + box.y, foot, head, from: nodes[l][box.i], to: nodes[l + 1][box.o] });
  });
  return { boxes, nodes, height: up + 24 };
}

/** The line from a node to a box and on to the next node; through a matrix along column, row and lane. */
function wire({ x, y, size, lane, foot, head, from, to }, height) {
  const half = size / 2, at = (x, y) => `${round(x, 1)} ${round(height - y, 1)}`;
  const rise = ([x0, y0], [x1, y1]) => {
    const middle = (y0 + y1) / 2;
    return `C${at(x0, middle)} ${at(x1, middle)} ${at(x1, y1)}`;
  };
  if (!lane)
    return `M${at(...from)}${rise(from, [x, y - half])}M${at(x, y + half)}${rise([x, y + half], to)}`;
  const out = lane.x, bend = 6 * lane.side;
  return `M${at(...from)}${rise(from, [x, foot])}L${at(x, y - half)}M${at(x + half * lane.side, y)}`
    + `L${at(out - bend, y)}Q${at(out, y)} ${at(out, y + 6)}L${at(out, head)}${rise([out, head], to)}`;
}

// --- what a box shows

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

/** A histogram as steps over a floor. */
function hill(bins, left, floor, width, height) {
  const top = Math.max(...bins) || 1, w = width / bins.length;
  const steps = Array.from(bins, (share, i) =>
    `V${round(floor - (height * share) / top, 1)}H${round(left + (i + 1) * w, 1)}`);
  return `M${left} ${floor}${steps.join("")}V${floor}z`;
}

const percent = share => `${Math.max(1, Math.round(100 * share))} %`;

/** An input of a layer: the values that reach it, and what of it is drawn, its domain. */
function inputOf(layer, i, { inputs }, n) {
  const kinds = layer.kind.subarray(i * layer.outputs, (i + 1) * layer.outputs);
  const values = inputs.subarray(i * n, (i + 1) * n), curves = kinds.includes(CURVE);
  const domain = curves ? layer.domain(i) : rangeOf(values); // functions have no knots
  const knots = layer.knotsOf(i), { degree } = layer;
  return {
    ...histogram(values, domain), domain, knots, xs: evenly(...domain, SAMPLES),
    inner: curves ? knots.subarray(degree, knots.length - degree) : [],
  };
}

const functionOf = (layer, { i, o }) =>
  NAMES[layer.names[i * layer.outputs + o]].replace("^2", "²").replace("^3", "³").replace("sqrt", "√");

const BOX = `<g role="button" data-lm-suppress-shortcuts="true">
  <rect x="-20" y="-20" width="40" height="40" rx="5"/><path class="values"/>
  <path class="knots"/><path class="curve"/><path class="beyond"/>
  <text class="share" text-anchor="end" x="17"/><text class="name" x="-16"/></g>`;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** `open(box)` is called when one is chosen. */
export function networkDiagram(lab, svg, open) {
  svg.innerHTML = `<g class="wires"></g><g class="nodes"></g><g class="edges"></g>`;
  const [wires, nodes, edges] = svg.children;
  let plan = null, boxes = [], dots = [], shape = "", width = 0, height = 0, active = 0;
  let flowing = 0, since = 0;

  /** Sets an attribute of a part of a box if it changed, without asking the page. */
  const put = (box, part, name, value) => {
    const id = `${part} ${name}`;
    if (box.drawn[id] === value) return;
    box.drawn[id] = value;
    box.parts[part].setAttribute(name, value);
  };

  function layOut(kan) {
    const before = boxes, calm = still() || plan?.race !== lab.race;
    plan = { ...arrange(kan, width, height), race: lab.race };
    const count = plan.boxes.length, lines = children(wires, count, "<path/>");
    const groups = children(edges, count, BOX);
    boxes = plan.boxes.map((box, n) => {
      const [rect, values, knots, curve, beyond, share, name] = groups[n].children;
      const parts = { group: groups[n], line: lines[n], rect, values, knots, curve, beyond, share, name };
      return { ...box, parts, drawn: {}, coef: kan.layers[box.l].coefOf(box.i, box.o).slice() };
    });
    for (const box of boxes) box.start = calm ? box : origin(box, before);
    active = clamp(active, 0, boxes.length - 1);
    boxes.forEach(({ parts }, n) => set(parts.group, { tabindex: n === active ? 0 : -1 }));
    set(svg, { viewBox: `0 0 ${width} ${plan.height}`, height: plan.height });
    layNodes(kan);
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
      put(box, "line", "d", wire({ ...box, x, y, size, from, to }, plan.height));
      put(box, "group", "transform", `${shift([x, y])} scale(${round(size / UNIT, 3)})`);
      set(dots[box.l][box.i], { transform: shift(from) });
      set(dots[box.l + 1][box.o], { transform: shift(to) });
    }
  }

  function layNodes(kan) {
    const { names } = lab.race.task, last = kan.widths.length - 1;
    nodes.replaceChildren();
    dots = plan.nodes.map((row, l) => row.map(([x, y], j) => {
      const said = l === 0 ? names[j] : l === last ? "output" : "";
      nodes.insertAdjacentHTML("beforeend", `<g transform="translate(${x} ${plan.height - y})"><circle r="5"/>
        <text y="${l === 0 ? 20 : -11}" text-anchor="middle">${said}</text></g>`);
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
    const inputs = Array.from({ length: layer.inputs }, (_, i) => inputOf(layer, i, seen, n));
    const curves = own.map(({ i, o }) => layer.curve(i, o, inputs[i].xs));
    const ends = curves.map(ys => [Math.min(...ys), Math.max(...ys)]);
    const most = Math.max(1e-9, ...ends.map(([low, high]) => high - low));
    own.forEach((box, m) => {
      const [low, high] = ends[m], scale = 26 / Math.sqrt(most * Math.max(high - low, 1e-3 * most));
      box.coef = layer.coefOf(box.i, box.o).slice();
      const { below, above } = inputs[box.i], fed = l === 0 || living.some(({ o }) => o === box.i);
      const beyond = [below, above].map(share => (fed && share > FEW ? share : 0)); // not of a faded node's
      drawCurve(box, inputs[box.i], curves[m], (low + high) / 2, scale);
      drawLook(box, layer, beyond);
    });
  }

  function drawCurve(box, { domain: [a, b], inner, bins }, ys, middle, scale) {
    const left = INSET - UNIT / 2, w = UNIT - 2 * INSET, px = part => round(left + w * part, 1);
    const points = Array.from(ys, (y, p) => `${px(p / (SAMPLES - 1))} ${round((middle - y) * scale, 1)}`);
    put(box, "curve", "d", `M${points.join("L")}`);
    put(box, "values", "d", hill(bins, left, 19, w, 9));
    put(box, "knots", "d", Array.from(inner, t => `M${px((t - a) / (b - a))} 16v3.5`).join(""));
  }

  function drawLook(box, layer, [below, above]) {
    const { i, o, parts, lane, size, dead, strength } = box, out = below + above;
    const named = layer.kind[i * layer.outputs + o] === FUNCTION;
    const ink = round(0.1 + 0.05 * Math.round(18 * Math.sqrt(strength)), 2); // in steps, as styles cost time
    const type = round((11 * UNIT) / size, 1);
    put(box, "group", "class", `${named ? "named" : ""} ${dead ? "dead" : ""}`);
    put(box, "group", "style", `--ink:${ink};font-size:${type}px`); // letters as large in boxes of all sizes
    put(box, "line", "class", dead ? "dead" : "");
    put(box, "line", "style", `--ink:${round(ink * (lane ? 0.4 : 0.8), 2)}`);
    put(box, "beyond", "d", `${below ? "M-19.5 8l4.5 -3v6z" : ""}${above ? "M19.5 8l-4.5 -3v6z" : ""}`);
    put(box, "share", "y", type - 19);
    put(box, "name", "y", type - 19);
    const words = [out ? percent(out) : "", named && size > 32 ? functionOf(layer, box) : ""];
    box.about = [
      dead ? "faded" : named ? functionOf(layer, box) : "curve",
      box.leads ? `spread ${percent(strength)} of the layer's largest` : "nothing goes on from there",
      ...(out ? [`${percent(out)} of values beyond the knots`] : []),
    ].join(", ");
    if (String(words) === box.words) return;
    box.words = String(words);
    [parts.share.textContent, parts.name.textContent] = words;
    name(box); // which has to hold the words that are seen
  }

  /** What a screen reader hears of an edge. */
  function name(box) {
    box.title = lab.race.edgeName(box.l, box.i, box.o);
    set(box.parts.group, { "aria-label": `${box.title}: ${box.about}` });
  }

  /** What it hears of all, as they are when nothing runs. */
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

  listen(edges, {
    click: ({ target }) => open(boxes[indexOf(target)]),
    keydown(event) {
      const n = indexOf(event.target), way = ARROWS[event.key];
      if (way) boxes[neighbor(n, way)].parts.group.focus();
      else if (event.key === "Enter" || event.key === " ") open(boxes[n]);
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
  });

  // Not on a part of the drawing: Chromium lets Tab stop at those that listen to the focus.
  svg.parentNode.addEventListener("focusin", ({ target }) => {
    const n = indexOf(target);
    if (n < 0) return;
    set(boxes[active].parts.group, { tabindex: -1 });
    set(target, { tabindex: 0 });
    active = n;
  });

  return {
    draw, describe,
    resize: (w, h) => ([width, height] = [w, h]),
    focus([l, i, o]) {
      const box = boxes.find(box => box.l === l && box.i === i && box.o === o) ?? boxes[active];
      box.parts.group.focus();
    },
  };
}

// --- one edge, large: its coefficients to drag, and the functions that its curve looks like

const HANDLE = `<g class="handle" role="slider" tabindex="0" aria-orientation="vertical"
  data-lm-suppress-shortcuts="true"><circle class="hit" r="16"/><circle class="dot" r="6"/></g>`;
const ROW = `<li><button type="button"><span class="function"></span><span class="r2"></span>
  <span class="loss"></span></button></li>`;

/** A function of LIBRARY with its free numbers, in type. */
function typed(name) {
  const { free, html } = LIBRARY[name], x = free.includes("a") ? "<i>ax</i>" : "<i>x</i>";
  return html(free.includes("b") ? `${x} + <i>b</i>` : x);
}

/** The function of an edge with its numbers, in type. */
function written({ names, outputs, theta, at }, [, i, o]) {
  const e = i * outputs + o, start = at.constants + 3 * e;
  const [c, a, b] = Array.from(theta.subarray(start, start + 3), v => +v.toPrecision(4));
  const factor = (v, dot) => (v === 1 ? "" : v === -1 ? "−" : text(v) + dot), plus = b < 0 ? " − " : " + ";
  const inside = `${factor(a, " ")}<i>x</i>${b ? plus + text(Math.abs(b)) : ""}`;
  return factor(c, " · ") + LIBRARY[NAMES[names[e]]].html(inside);
}

/** Where a coefficient is drawn: at the mean of the knots inside its function's support. */
function middleOf(t, k, j) {
  return k ? t.subarray(j + 1, j + k + 1).reduce((sum, v) => sum + v) / k : (t[j] + t[j + 1]) / 2;
}

export function edgeInspector(lab, root, network) {
  const box = root.querySelector("dialog"), svg = box.querySelector("svg"), list = box.querySelector("ol");
  const handles = svg.querySelector(".handles"), W = 420, H = 220, top = 12, floor = H - 34, margin = 16;
  let edge = null, widths = "", ranked = null, view = null, grip = null, version = -1, touched = -1;
  const layerOf = () => lab.race.kan.layers[edge[0]];
  const isCurve = layer => layer.kind[edge[1] * layer.outputs + edge[2]] === CURVE;
  const weightOf = ({ splineWeight, outputs, theta, at }) =>
    (splineWeight ? theta[at.splineWeight + edge[1] * outputs + edge[2]] : 1);
  const heights = layer => layer.coefOf(edge[1], edge[2]).map(c => weightOf(layer) * c); // of the handles

  function open(from) {
    edge = [from.l, from.i, from.o];
    widths = String(lab.race.kan.widths);
    view = null;
    version = -1;
    lab.play(false);
    box.querySelector(".title").innerHTML = `<b>${from.title}</b>`;
    if (!box.open) isNarrow(root) ? box.showModal() : box.show();
    const { x, y, width } = from.parts.group.getBoundingClientRect(), end = box.getBoundingClientRect();
    box.style.transformOrigin = `${x + width / 2 - end.x}px ${y + width / 2 - end.y}px`;
    box.querySelector(".close").focus();
    lab.changed();
  }

  function close() {
    if (!box.open) return;
    lab.cancel();
    box.close();
    network.focus(edge);
    edge = null;
  }

  /** Functions are compared when nothing else goes on. */
  function compare() {
    if (lab.playing || version !== lab.version) ranked = null;
    if (lab.playing || lab.job || grip || version === lab.version) return;
    if (isCurve(layerOf()))
      lab.run(lab.race.rank(...edge), () => {}, found => {
        ranked = found;
        drawList();
      });
    version = lab.version;
  }

  function drawList() {
    const curve = isCurve(layerOf()), rows = (curve && ranked) || [];
    box.querySelector(".note").innerHTML = !curve ? `This edge is a function now: ${written(layerOf(), edge)}`
      : ranked ? `Simple before good: a function with more numbers has to lower the error enough for each.
        R²: with the curve; error: of the network. Choosing one fits all of the KAN's numbers anew
        (Levenberg-Marquardt).`
      : lab.playing ? "Pause to compare the curve with functions." : "Comparing the curve with functions …";
    children(list, rows.length, ROW).forEach(({ firstChild: button }, n) => {
      const { name, r2, loss } = rows[n], [words, fit, error] = button.children;
      words.innerHTML = typed(name);
      fit.textContent = `R² ${text(r2.toFixed(4))}`;
      error.textContent = `error ${brief(loss)}`;
      button.onclick = () => {
        box.querySelector(".close").focus(); // as the list goes
        lab.act(() => lab.race.snap(edge, rows[n]));
      };
    });
  }

  const px = x => round(margin + ((x - view.a) / (view.b - view.a)) * (W - 2 * margin), 1);
  const py = y => round(top + ((view.high - y) / (view.high - view.low)) * (floor - top), 1);
  const valueAt = y => view.high - ((y - top) / (floor - top)) * (view.high - view.low);

  function draw(kan, whole) {
    if (!edge) return;
    const [l, i, o] = edge, layer = kan.layers[l];
    if (String(kan.widths) !== widths || !layer.kind[i * layer.outputs + o]) return close(); // it is gone
    if (whole && lab.looking === null) compare();
    const { task } = lab.race, seen = kan.observe(task.x, task.n)[l];
    const input = inputOf(layer, i, seen, task.n), [a, b] = input.domain;
    const coef = isCurve(layer) ? heights(layer) : [], room = 0.12 * (b - a);
    const xs = evenly(a - room, b + room, 161), ys = layer.curve(i, o, xs);
    if (!grip) {
      const [low, high] = rangeOf([...layer.curve(i, o, input.xs), ...coef, 0], 0.12);
      view = { a: xs[0], b: xs.at(-1), low, high };
    }
    drawPaths(input, xs, ys);
    drawHandles(coef, middleOf.bind(null, input.knots, layer.degree));
    if (whole) drawList();
  }

  function drawPaths({ domain: [a, b], inner, bins, below, above }, xs, ys) {
    const paths = {
      outside: `M0 ${top}H${px(a)}V${floor}H0zM${px(b)} ${top}H${W}V${floor}H${px(b)}z`,
      zero: `M0 ${py(0)}H${W}`, values: hill(bins, px(a), floor, px(b) - px(a), 46),
      knots: Array.from(inner, t => `M${px(t)} ${floor - 5}v10`).join(""),
      curve: `M${Array.from(xs, (x, p) => [px(x), py(ys[p])]).filter(([, y]) => y > 2 && y <= floor).join("L")}`,
    };
    for (const name in paths) set(svg.querySelector(`.${name}`), { d: paths[name] });
    const beyond = (share, x, end) => (share > FEW
      ? `<text class="share" x="${x}" y="${floor - 8}" text-anchor="${end}">${percent(share)}</text>` : "");
    svg.querySelector(".axes").innerHTML = ticks(view.a, view.b, 6).map(x =>
      `<text x="${px(x)}" y="${H - 12}" text-anchor="middle">${show(x)}</text>`).join("")
      + beyond(below, 4, "start") + beyond(above, W - 4, "end");
  }

  function drawHandles(coef, middle) {
    children(handles, coef.length, HANDLE).forEach((node, j) => set(node, {
      transform: `translate(${px(clamp(middle(j), view.a, view.b))} ${clamp(py(coef[j]), 8, floor)})`,
      "aria-label": `coefficient ${j + 1} of ${coef.length}`, "aria-valuetext": show(coef[j]),
      "aria-valuenow": round(coef[j], 4), "aria-valuemin": round(Math.min(view.low, coef[j]), 4),
      "aria-valuemax": round(Math.max(view.high, coef[j]), 4),
    }));
  }

  // One gesture at one coefficient is one event: a drag, or keys until the focus goes on.

  function move(j, value) {
    lab.play(false);
    lab.cancel();
    if (touched !== j) lab.race.beginEdit();
    touched = j;
    lab.race.setCoef(...edge, j, value / weightOf(layerOf()));
    lab.changed();
  }

  function release() {
    grip = null;
    if (touched < 0) return;
    touched = -1;
    lab.report();
    lab.say(lab.race.events.at(-1).text);
    lab.changed();
  }

  function switchOff() {
    lab.act(() => {
      const gone = lab.race.switchOff(...edge);
      if (!gone) throw new Error("Nothing would reach the output without this edge: it stays.");
    });
    close();
  }

  const indexOf = node => [...handles.children].indexOf(node.closest(".handle"));
  listen(handles, {
    pointerdown(event) {
      const j = indexOf(event.target), { top: edge, height } = svg.getBoundingClientRect();
      event.preventDefault();
      release();
      handles.setPointerCapture(event.pointerId);
      handles.children[j].focus();
      grip = { j, id: event.pointerId, y: clientY => ((clientY - edge) * H) / height };
    },
    pointermove({ pointerId, clientY }) {
      if (grip?.id === pointerId) move(grip.j, clamp(valueAt(grip.y(clientY)), view.low, view.high));
    },
    pointerup: release,
    pointercancel: release,
    keydown(event) {
      const j = indexOf(event.target), [dx, dy] = ARROWS[event.key] ?? [];
      if (dx) handles.children[j + dx]?.focus();
      else if (dy) {
        const step = (event.shiftKey ? 0.1 : 0.02) * (view.high - view.low);
        move(j, heights(layerOf())[j] + dy * step);
      } else return;
      event.preventDefault();
      event.stopPropagation();
    },
  });
  listen(box, {
    click({ target }) {
      const { act } = target.dataset;
      if (act === "close" || target === box) close(); // or a click beside the sheet
      else if (act === "off") switchOff();
      else if (act === "undo") lab.do("undo");
    },
    focusout: () => grip ?? release(),
    keydown(event) {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      close();
    },
    cancel(event) {
      event.preventDefault();
      close();
    },
  });
  return { open, draw };
}
