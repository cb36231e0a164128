// The spline playground: the drawing of one curve. Its other half is playground.py.
// Letters as in the book: knots t, degree k, coefficients c.

import { Curve, FIELDS, isDomain, pythonOf } from "./curve.js";
import { path, sumOf, tabulate } from "./lines.js";
import { clamp, dot, equal, sum } from "./numbers.js";
import {
  children, copyFrom, label, listen, mount, plain, round, set, show, still, swallow, text, textAt, ticks,
  watch, widget,
} from "./page.js";
import { HANDLES, page } from "./playground_markup.js";
import { basis, centers, interval, uniformKnots } from "./splines.js";

const digits = ([a, b]) => 3 - Math.floor(Math.log10(b - a)); // that tell a 1000th of a domain

function view(model, curve, el) {
  const number = document.querySelectorAll(".kan-playground").length + 1; // of those on the page
  const root = mount(el, "kan-playground", page(Object.keys(model.get("_targets")), number));
  const $ = selector => root.querySelector(selector);
  const svg = $("svg"), readout = $(".readout"), status = $(".status"), code = $("textarea");
  const ends = root.querySelectorAll("[type=number]");
  const button = Object.fromEntries(
    [...root.querySelectorAll("button")].map(node => [node.textContent, node]));

  const commit = (changes, what) => { // another control: another step of the history
    if (what !== curve.what && !curve.held) curve.fresh = true;
    curve.what = what;
    model.set(changes);
    model.save_changes();
  };
  const step = changes => { // a step of its own in the history
    curve.fresh = true;
    commit(changes);
    curve.fresh = true;
  };
  const say = words => (status.textContent = words);
  const begin = () => { // something new, by hand
    curve.release();
    say("");
  };

  // --- geometry: data units to pixels and back

  const pad = { left: 34, right: 10, top: 18, bottom: 65 };
  const at = {}; // where the handles of each kind are, in pixels
  const active = { coefs: 0, knots: 0, probes: 0 }; // the one of each kind that Tab reaches
  const tables = new Map();
  let width = 0, height = 0, bottom = 0, box = null, drag = null, probe = null, descent = 0, fields = "";
  const px = x => pad.left + ((x - box.x0) / (box.x1 - box.x0)) * (width - pad.left - pad.right);
  const py = y => bottom + ((y - box.y0) / (box.y1 - box.y0)) * (pad.top - bottom);
  const dataX = p => box.x0 + ((p - pad.left) / (width - pad.left - pad.right)) * (box.x1 - box.x0);
  const dataY = p => box.y0 + ((p - bottom) / (pad.top - bottom)) * (box.y1 - box.y0);
  const middle = () => (curve.now.domain[0] + curve.now.domain[1]) / 2;
  const showX = x => text(round(x, digits(curve.now.domain)));

  function frame() {
    box = curve.window(target());
    const labels = ticks(box.y0, box.y1, 4).map(y => label(y).length);
    pad.left = Math.max(34, 2 + 9 * Math.max(...labels));
    if (probe !== null) probe = clamp(probe, box.x0, box.x1);
  }

  function target() {
    const y = model.get("_targets")[model.get("target")] ?? [], last = y.length - 1, [a, b] = curve.now.domain;
    return y.map((v, i) => [(2 * i - last) / last, v]).filter(([x]) => a <= x && x <= b);
  }

  function change() {
    const gap = curve.gap();
    return gap < 1e-9 ? "the curve is the same" : `the curve moved by up to ${show(gap)}`;
  }

  // --- drawing

  let waiting = 0;
  const schedule = () => (waiting ||= requestAnimationFrame(draw));

  /** The pieces of a spline's drawing, kept while its knots and the window stay. */
  function piecesOf({ knots, degree }) {
    const key = [knots, degree, width, box.x0, box.x1].join();
    if (tables.size > 3) tables.clear();
    if (!tables.has(key)) tables.set(key, tabulate(knots, degree, [box.x0, box.x1], px(1) - px(0)));
    return tables.get(key);
  }

  function draw() {
    waiting = 0;
    if (!width) return;
    const { now, shape } = curve, { degree: k, domain: [a, b], knots: t, coefs: c } = now;
    if (!box || !drag) frame();
    const focused = $(":focus"), kind = focused?.parentNode.classList[0];
    const { x0, x1, y0, y1 } = box, pieces = piecesOf(now), inner = t.slice(k, t.length - k);
    set(svg, { width, height });
    const w = Math.max(0, width - pad.right), h = bottom - pad.top;
    set($(".plot"), { y: pad.top, width: w, height: h, viewBox: `0 ${pad.top} ${w} ${h}` });
    set($(".outside"), { d: `M${x0} ${y0}H${a}V${y1}H${x0}zM${b} ${y0}H${x1}V${y1}H${b}z` });
    set($(".zero"), { d: `M${x0} 0H${x1}` });
    set($(".knot-lines"), { d: inner.map(x => `M${x} ${y0}V${y1}`).join("") });
    drawTicks();
    set($(".data"), { transform: `matrix(${px(1) - px(0)} 0 0 ${py(1) - py(0)} ${px(0)} ${py(0)})` });
    const points = target(), weighted = model.get("weighted"), ones = c.map(() => 1);
    set($(".samples"), { d: points.map(([x, y]) => `M${x} ${y}h0`).join("") });
    set($(".curve"), { d: path(pieces, sumOf(c)) });
    set($(".ghost"), { d: equal(shape, now) ? "" : path(piecesOf(shape), sumOf(shape.coefs)) });
    set($(".sum"), { d: model.get("show_sum") ? path(pieces, sumOf(weighted ? c : ones)) : "" });
    drawBases(pieces, weighted ? c : ones);
    drawHandles();
    const probed = drawProbe(weighted);
    drawControls(points);
    if (focused && (focused.disabled || !focused.isConnected)) // it goes, and the focus stays
      ($(`.${kind} [tabindex="0"]`) ?? $('.coefs [tabindex="0"]')).focus({ preventScroll: true });
    const { kind: of, index } = drag ?? (probe === null ? handleAt($(".handle:focus")) : null) ?? {};
    readout.textContent = of === "coefs" ? `coefficient c${index} = ${show(c[index])}`
      : of === "knots" ? `knot ${index + 1} at x = ${showX(t[k + 1 + index])}`
      : probe !== null ? probed : "Drag a point, or a knot below. Point at the plot to see which functions are alive.";
  }

  function drawTicks() {
    const { x0, x1, y0, y1 } = box;
    $(".axes").innerHTML = [
      ...ticks(y0, y1, 4).map(y => textAt(pad.left - 5, py(y) + 4, "end", label(y))),
      ...ticks(x0, x1, width < 480 ? 4 : 8).map(x => textAt(px(x), height - 6, "middle", label(x))),
    ].join("");
  }

  function drawBases(pieces, factors) {
    const { degree: k, knots: t } = curve.now;
    const j = probe === null ? -1 : interval(probe, t, k);
    const count = model.get("show_basis") ? factors.length : 0;
    children($(".bases"), count, "<path/>").forEach((node, i) => set(node, {
      class: `basis series-${i % 5} dash-${i % 3}${j >= 0 && j - k <= i && i <= j ? " alive" : ""}`,
      d: path(pieces, (b, first) => (i - first in b ? factors[i] * b[i - first] : undefined)),
    }));
  }

  function drawHandles() {
    const { coefs: c, knots: t, degree: k, grid_size } = curve.now, y = bottom + 14;
    const high = i => (py(c[i]) < pad.top - 1 ? 1 : py(c[i]) > bottom + 1 ? -1 : 0); // off the plot
    at.coefs = centers(t, k).map((x, i) => [px(x), clamp(py(c[i]), pad.top, bottom)]);
    set($(".polygon"), { d: "M" + c.map((value, i) => `${at.coefs[i][0]} ${py(value)}`).join("L") });
    const inner = t.slice(k + 1, k + grid_size);
    let stack = 0;
    at.knots = inner.map((x, i) => {
      stack = x - inner[i - 1] < 1e-9 ? stack + 1 : 0; // knots on one place stand below each other
      return [px(x), y + Math.min(7 * stack, 21)];
    });
    const seen = t.filter(x => box.x0 <= x && x <= box.x1).map(x => `M${px(x)} ${y - 5}v10`);
    set($(".rail"), { d: `M${pad.left} ${y}H${width - pad.right}${seen.join("")}` });
    place("coefs", i => [
      `coefficient ${i} of 0 to ${c.length - 1}`,
      show(c[i]), c[i], Math.min(box.y0, c[i]), Math.max(box.y1, c[i]),
    ]).forEach((node, i) => set(node.lastChild, {
      d: high(i) ? `M-7 ${3 * high(i)}h14L0 ${-9 * high(i)}z` : "M-6 0a6 6 0 1 1 12 0a6 6 0 1 1-12 0",
    }));
    place("knots", i => [
      `knot ${i + 1} of ${inner.length} inside the domain`,
      showX(inner[i]), inner[i], t[k + i], t[k + 2 + i],
    ]);
  }

  /** The handles of one kind, where at[kind] says; `describe(i)`: name, value in words, value, limits. */
  function place(kind, describe) {
    const count = at[kind].length, nodes = children($(`.${kind}`), count, HANDLES[kind]);
    active[kind] = clamp(active[kind], 0, Math.max(0, count - 1));
    nodes.forEach((node, i) => {
      const [name, said, now, low, high] = describe(i);
      set(node, {
        "aria-label": name, "aria-valuetext": said, "aria-valuenow": plain(now),
        "aria-valuemin": plain(low), "aria-valuemax": plain(high),
        transform: `translate(${at[kind][i]})`, tabindex: i === active[kind] ? 0 : -1,
      });
    });
    return nodes;
  }

  function drawProbe(weighted) {
    const { knots: t, degree: k, coefs: c, domain } = curve.now, x = probe ?? middle();
    const b = [...basis(x, t, k)], alive = b.flatMap((value, i) => (value > 0 ? [i] : []));
    const y = dot(c, b), circle = (y, r, name) => `<circle class="${name}" r="${r}" cx="${px(x)}" cy="${py(y)}"/>`;
    const where = x < domain[0] || x > domain[1] ? " (outside the domain)" : "";
    const list = alive.map(i => `B${i} = ${show(b[i])}`).join(", ") || "no function";
    const said = `x = ${showX(x)}${where}. Alive: ${list}; sum ${show(sum(b))}. Curve: ${show(y)}`;
    const dots = model.get("show_basis") ? alive.map(i => circle((weighted ? c[i] : 1) * b[i], 3.5, "")) : [];
    $(".probe").innerHTML = probe === null ? "" :
      `<path d="M${px(x)} ${pad.top}V${bottom}"/>${dots.join("")}${circle(y, 5, "on-curve")}`;
    at.probes = [[px(x), pad.top - 9]];
    place("probes", () => ["probe: a point x", said, x, box.x0, box.x1]);
    return said;
  }

  function drawControls(points) {
    for (const input of root.querySelectorAll("[name]")) {
      const value = model.get(input.name);
      if (input.type === "checkbox") input.checked = value;
      else input.value = value;
      if (input.type === "range") input.nextSibling.textContent = value;
    }
    if (fields !== String(curve.now.domain)) ends.forEach((input, i) => { // else leave what is typed
      input.value = round(curve.now.domain[i], 6);
      set(input, { "aria-invalid": false });
    });
    fields = String(curve.now.domain);
    const nothing = model.get("target") === "none" ? "" : "no samples in the domain";
    $(".rms").textContent = points.length ? `RMS error ${show(curve.rms(points))}` : nothing;
    button.fit.disabled = button.descend.disabled = !points.length;
    button.descend.textContent = descent ? "stop" : "descend";
    button.undo.disabled = !curve.past.length;
    button.redo.disabled = !curve.future.length;
    if (!code.hidden) code.value = pythonOf(curve.now);
  }

  // --- moving things

  function moveCoef(i, value) {
    commit({ coefs: curve.now.coefs.map((c, j) => (j === i ? round(value, 3) : c)) }, `c${i}`);
  }

  /** A knot stays between its neighbors, and lands on one that is nearer than `snap`. */
  function moveKnot(i, x, snap = 0) {
    const t = [...curve.now.knots], j = curve.now.degree + 1 + i, low = t[j - 1], high = t[j + 1];
    t[j] = x - low <= snap ? low : high - x <= snap ? high
      : clamp(round(x, digits(curve.now.domain) + 1), low, high);
    commit({ knots: t }, `t${i}`);
  }

  function moveProbe(x) {
    probe = x === null ? null : clamp(x, box.x0, box.x1);
    schedule();
  }

  function handleAt(node) {
    const handle = node?.closest(".handle"), group = handle?.parentNode;
    return handle && { kind: group.classList[0], index: [...group.children].indexOf(handle) };
  }

  function under(event) {
    const corner = svg.getBoundingClientRect(), reach = event.pointerType === "mouse" ? 16 : 24;
    const x = event.clientX - corner.left, y = event.clientY - corner.top;
    const handles = ["coefs", "knots"].flatMap(kind => at[kind].map(([hx, hy], index) =>
      ({ kind, index, dx: hx - x, dy: hy - y, distance: Math.hypot(hx - x, hy - y) })));
    const best = handles.sort((a, b) => a.distance - b.distance)[0];
    return { x, y, best: best.distance <= reach ? best : null };
  }

  const pointer = {
    pointerdown(event) {
      if (!box || drag || event.button) return;
      const { x, best } = under(event);
      if (!best) return moveProbe(dataX(x));
      event.preventDefault();
      begin();
      curve.hold(() => {
        drag = null;
        schedule();
      });
      drag = { ...best, id: event.pointerId };
      probe = null;
      svg.setPointerCapture(event.pointerId);
      $(`.${best.kind}`).children[best.index].focus({ preventScroll: true });
    },
    pointermove(event) {
      if (!box || (drag && event.pointerId !== drag.id)) return;
      const { x, y } = under(event);
      if (!drag) moveProbe(dataX(x));
      else if (drag.kind === "coefs") moveCoef(drag.index, dataY(y + drag.dy));
      else moveKnot(drag.index, dataX(x + drag.dx), dataX(x + 4) - dataX(x));
    },
    pointerup(event) {
      if (event.pointerId === drag?.id) curve.release();
    },
    touchstart(event) {
      const [{ clientX, clientY }] = event.touches;
      if (box && under({ clientX, clientY }).best) event.preventDefault(); // a drag, and no scrolling
    },
    pointerleave(event) {
      if (!drag && event.pointerType === "mouse") moveProbe(null);
    },
  };
  pointer.pointercancel = pointer.lostpointercapture = pointer.pointerup;

  /** What a key does at handle i. */
  function keys(kind, i, { key, shiftKey }) {
    const { coefs, knots: t, degree: k, domain: [a, b] } = curve.now, j = k + 1 + i;
    const [value, size, low, high, move] = {
      coefs: [coefs[i], 0.05, box.y0, box.y1, moveCoef],
      knots: [t[j], 0.01 * (b - a), t[j - 1], t[j + 1], moveKnot],
      probes: [probe ?? middle(), 0.01 * (b - a), box.x0, box.x1, (_, x) => moveProbe(x)],
    }[kind];
    const by = size * (shiftKey ? 5 : 1), to = x => () => {
      if (kind !== "probes") {
        begin();
        probe = null; // the readout is for what moves
      }
      move(i, x);
    };
    const go = to => () => $(`.${kind}`).children[to]?.focus();
    const turn = { ArrowUp: "ArrowRight", ArrowDown: "ArrowLeft", ArrowRight: "ArrowUp", ArrowLeft: "ArrowDown" };
    return {
      ArrowUp: to(value + by), ArrowDown: to(value - by), ArrowRight: go(i + 1), ArrowLeft: go(i - 1),
      Home: to(low), End: to(high), Escape: kind === "probes" && to(null),
    }[(kind !== "coefs" && turn[key]) || key];
  }

  function onKey(event) {
    const handle = handleAt(event.target), key = event.key?.toLowerCase();
    const command = event.ctrlKey || event.metaKey;
    let action;
    if (command && (key === "z" || key === "y") && event.target !== code)
      action = () => press(key === "y" || event.shiftKey ? "redo" : "undo");
    else if (handle && !command && !event.altKey) action = keys(handle.kind, handle.index, event);
    if (!action) return;
    swallow(event);
    action();
  }

  function onFocus(event) {
    const { kind, index } = handleAt(event.target) ?? {};
    if (kind) active[kind] = index;
    if (kind === "probes") probe ??= middle();
    schedule();
  }

  function onBlur(event) {
    if (handleAt(event.target)?.kind === "probes") probe = null;
    schedule();
  }

  // --- controls

  function onInput({ target: input }) {
    if (!input.name) return;
    const numeric = input.type === "range", value = numeric ? +input.value : input.value;
    const toggles = input.type === "checkbox";
    if (!toggles) begin();
    commit({ [input.name]: toggles ? input.checked : value }, input.name);
    if (numeric) say(`${input.ariaLabel} ${value}; ${change()}`);
  }

  function onDomain({ target: input }) {
    if (input.type !== "number") return;
    const domain = [...ends].map(node => node.valueAsNumber), [a, b] = domain;
    const good = isDomain(domain);
    ends.forEach(node => set(node, { "aria-invalid": !good }));
    if (good) step({ domain });
    say(good ? `domain ${showX(a)} to ${showX(b)}; ${change()}`
      : "The domain needs two numbers from −1000 to 1000, the second larger by 0.01 at least.");
  }

  const actions = {
    undo: () => curve.travel(model, curve.past, curve.future),
    redo: () => curve.travel(model, curve.future, curve.past),
    reset: () => step(curve.first),
    "even knots"() {
      const { grid_size, degree, domain } = curve.now;
      step({ knots: uniformKnots(grid_size, degree, domain) });
    },
    fit() {
      const points = target();
      step({ coefs: curve.fitted(points) });
      say(`least squares on ${points.length} points`);
    },
    descend,
    async "copy as Python"() {
      code.hidden = false;
      code.value = pythonOf(curve.now);
      say((await copyFrom(code)) ? "Copied." : "Copy the text below.");
    },
  };

  function press(name) {
    if (name === "descend" && descent) return curve.release();
    begin();
    fields = ""; // the domain as it is, in place of one that was refused
    actions[name]();
    schedule();
  }

  /** One step a frame. */
  function descend() {
    const name = model.get("target"), { knots } = curve.now, descended = curve.descent(target());
    let steps = 0;
    const count = () => say(`gradient descent: ${steps} steps`);
    curve.hold(() => {
      cancelAnimationFrame(descent);
      descent = 0;
      count();
      schedule();
    });
    const next = () => {
      if (model.get("target") !== name || !equal(curve.now.knots, knots)) return curve.release();
      let c = curve.now.coefs;
      for (let i = still() ? 100 : 1; i > 0; i--, steps++) c = descended(c);
      commit({ coefs: c });
      if (steps % 100 === 0) count(); // a screen reader shall not hear of each
      if (still() || steps >= 1000) curve.release();
      else descent = requestAnimationFrame(next);
    };
    descent = requestAnimationFrame(next);
  }

  const unwatch = watch(root, () => {
    width = root.clientWidth;
    height = Math.round(clamp(0.62 * width, 290, 430));
    bottom = height - pad.bottom;
    schedule();
  });
  listen(svg, pointer);
  listen(root, { keydown: onKey, focusin: onFocus, focusout: onBlur, input: onInput, change: onDomain });
  for (const name in button) button[name].addEventListener("click", () => press(name));
  for (const name of [...FIELDS, "target", "show_basis", "show_sum", "weighted"])
    model.on(`change:${name}`, schedule);
  return () => {
    if (drag || descent) curve.release();
    cancelAnimationFrame(waiting);
    unwatch();
  };
}

export default widget(Curve, view);
