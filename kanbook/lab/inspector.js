// One edge of a KAN, large: what it does, its coefficients to drag, the functions that its curve looks like.

import { brief, marksOf, rangeOf } from "./charts.js";
import { ARROWS, FEW, hill, inputOf, percent } from "./diagram.js";
import { fitChart } from "./fit.js";
import { LIBRARY } from "./functions.js";
import { CURVE } from "./layer.js";
import { clamp, deviation, evenly } from "./numbers.js";
import { children, isNarrow, label, listen, round, set, show, swallow, text, textAt } from "./page.js";
import { centers } from "./splines.js";

const HANDLE = `<g class="handle" role="slider" tabindex="0" aria-orientation="vertical"
  data-lm-suppress-shortcuts="true"><circle class="hit" r="16"/><circle class="dot" r="6"/></g>`;
const FAINT = 0.03; // a share of the output's spread that is hardly anything
const ROW = `<li><button type="button"><span class="function"></span><span class="r2"></span>
  <span class="loss"></span></button></li>`;

/** A function of LIBRARY with its free numbers, in type. */
function typed(name) {
  const { free, html } = LIBRARY[name], x = free.includes("a") ? "<i>ax</i>" : "<i>x</i>";
  return html(free.includes("b") ? `${x} + <i>b</i>` : x);
}

function written(layer, [, i, o]) {
  const { f, ...numbers } = layer.functionOf(i * layer.outputs + o);
  const [c, a, b] = [numbers.c, numbers.a, numbers.b].map(v => +v.toPrecision(4));
  const factor = (v, dot) => (v === 1 ? "" : v === -1 ? "−" : text(v) + dot), plus = b < 0 ? " − " : " + ";
  const inside = `${factor(a, " ")}<i>x</i>${b ? plus + text(Math.abs(b)) : ""}`;
  return factor(c, " · ") + f.html(inside);
}

/** What an edge does, in a sentence, from its part of the output at the samples. */
function purposeOf(part, output, { x, n, inputs, names, scale }) {
  const share = deviation(part) / deviation(output), sizes = part.map(Math.abs), top = sizes.indexOf(Math.max(...sizes));
  if (share < FAINT) return `Hardly anything goes through this edge: ${percent(share)} of the output's spread.`;
  const values = names.map((name, i) => {
    const [low, high] = scale?.[i] ?? [-1, 1], value = low + ((x[i * n + top] + 1) / 2) * (high - low);
    return `<i>${name}</i>&nbsp;=&nbsp;${text(round(value, Math.max(0, -Math.floor(Math.log10((high - low) / 50)))))}`;
  });
  const does = part[top] > 0 ? "lifts" : "lowers";
  return `${percent(share)} of the output's spread goes through this edge. It ${does} the output most near ${values.join(", ")}.`;
}

export function edgeInspector(lab, root, network) {
  const box = root.querySelector("dialog"), svg = box.querySelector(".large"), list = box.querySelector("ol");
  const fold = box.querySelector(".alike"), small = box.querySelector(".small"), fit = fitChart(lab, root, small);
  const handles = svg.querySelector(".handles"), W = 420, H = 220, top = 12, floor = H - 34, margin = 16;
  let edge = null, resumes = false, widths = "", ranked = null, view = null, grip = null, version = -1, touched = -1;
  const layerOf = () => lab.race.kan.layers[edge[0]];
  const isCurve = layer => layer.kind[edge[1] * layer.outputs + edge[2]] === CURVE;
  const weightOf = ({ splineWeight, outputs }) => splineWeight?.[edge[1] * outputs + edge[2]] ?? 1;
  const heights = layer => layer.coefOf(edge[1], edge[2]).map(c => weightOf(layer) * c); // of the handles

  function open(from) {
    edge = [from.l, from.i, from.o];
    widths = String(lab.race.kan.widths);
    view = null;
    version = -1;
    resumes ||= lab.playing;
    lab.play(false);
    box.querySelector(".title").innerHTML = `<b>${from.title}</b>`;
    if (!box.open) isNarrow(root) ? box.showModal() : box.show();
    resize();
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
    lab.redraw();
    if (resumes) lab.play(true);
    resumes = false;
  }

  /** A sheet that hides the fit has a small one. */
  function resize() {
    fit.resize(small.clientWidth, 120);
  }

  /** Functions are compared when nothing else goes on. */
  function compare() {
    if (lab.playing || version !== lab.version) ranked = null;
    if (lab.playing || lab.job || grip || version === lab.version) return;
    if (fold.open && isCurve(layerOf()))
      lab.run(lab.race.rank(...edge), () => {}, found => {
        ranked = found;
        drawList();
      });
    version = lab.version;
  }

  function drawList() {
    const rows = ranked ?? [];
    fold.hidden = !isCurve(layerOf());
    box.querySelector(".note").innerHTML = ranked ? `Simple before good: a function with more numbers has to lower
        the error enough for each. R²: with the curve; error: of the network. Choosing one fits all of the KAN's
        numbers anew (Levenberg-Marquardt).`
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

  function draw(now, whole) {
    if (!edge) return;
    if (lab.playing) resumes = false; // it goes on already, as the reader wants
    const { kan } = now, [l, i, o] = edge, layer = kan.layers[l];
    if (String(kan.widths) !== widths || !layer.kind[i * layer.outputs + o]) return close(); // it is gone
    if (whole && lab.looking === null) compare();
    const { task } = lab.race, tape = kan.passed(task.x, task.n), output = tape.output.slice();
    const input = inputOf(layer, i, { inputs: tape.parts[l].x }, task.n), [a, b] = input.domain;
    const coef = isCurve(layer) ? heights(layer) : [], room = 0.12 * (b - a);
    const xs = evenly(a - room, b + room, 161), ys = layer.curve(i, o, xs);
    if (!grip) {
      const [low, high] = rangeOf([...layer.curve(i, o, input.xs), ...coef, 0], 0.12);
      view = { a: xs[0], b: xs.at(-1), low, high };
    }
    drawPaths(input, xs, ys);
    drawHandles(coef, centers(input.knots, layer.degree));
    fit.draw(now, null, edge);
    if (!whole) return;
    drawList();
    const purpose = purposeOf(kan.partOf(tape, edge), output, task);
    box.querySelector(".purpose").innerHTML = isCurve(layer) ? purpose : `A function now: ${written(layer, edge)}. ${purpose}`;
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
    const units = edge[0] === 0 ? lab.race.task.scale?.[edge[1]] : undefined;
    svg.querySelector(".axes").innerHTML = marksOf(view.a, view.b, 6, units).map(([x, said]) =>
      textAt(px(x), H - 12, "middle", label(said))).join("")
      + beyond(below, 4, "start") + beyond(above, W - 4, "end");
  }

  function drawHandles(coef, places) {
    children(handles, coef.length, HANDLE).forEach((node, j) => set(node, {
      transform: `translate(${px(clamp(places[j], view.a, view.b))} ${clamp(py(coef[j]), 8, floor)})`,
      "aria-label": `coefficient ${j + 1} of ${coef.length}, near ${show(places[j])}`, "aria-valuetext": show(coef[j]),
      "aria-valuenow": round(coef[j], 4), "aria-valuemin": round(Math.min(view.low, coef[j]), 4),
      "aria-valuemax": round(Math.max(view.high, coef[j]), 4),
    }));
  }

  // One gesture at one coefficient is one event: a drag, or keys until the focus goes on.

  function move(j, value) {
    lab.play(false);
    lab.cancel();
    if (touched !== j) lab.race.beginEdit();
    if (touched !== j) lab.say(lab.race.events.at(-1).text); // errors that were told are others now
    touched = j;
    lab.race.setCoef(...edge, j, value / weightOf(layerOf()));
    lab.changed();
  }

  function release() {
    grip = null;
    if (touched < 0) return;
    touched = -1;
    lab.report();
    lab.changed();
  }

  function switchOff() {
    lab.act(() => {
      if (!lab.race.switchOff(...edge)) throw new Error("Nothing would reach the output without this edge: it stays.");
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
    touchstart: event => event.preventDefault(), // or the sheet scrolls: in an SVG, touch-action is not heeded
    keydown(event) {
      const j = indexOf(event.target), [dx, dy] = ARROWS[event.key] ?? [];
      if (dx) handles.children[j + dx]?.focus();
      else if (dy) {
        const step = (event.shiftKey ? 0.1 : 0.02) * (view.high - view.low);
        move(j, heights(layerOf())[j] + dy * step);
      } else return;
      swallow(event);
    },
  });
  fold.addEventListener("toggle", () => {
    version = -1;
    lab.redraw();
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
      swallow(event);
      close();
    },
    cancel(event) {
      event.preventDefault();
      close();
    },
  });
  return {
    open, close, draw, resize,
    get edge() {
      return edge;
    },
  };
}
