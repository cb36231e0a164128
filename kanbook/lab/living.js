// What living figures share: a view with one sentence, charts, handles to drag, work in slices. A figure
// is a module living_NAME.js that exports `figure(NAME, settings, html, begin)`.

import { clamp, short } from "./numbers.js";
import { listen, mount, round, set, swallow, text, textAt, watch, write } from "./page.js";

const SLICE = 8; // milliseconds of work in a frame

/**
 * What anywidget wants, of a figure whose settings are these traits. `begin(view)` returns what draws it,
 * which is called after a setting or the place has changed, or some work was done. The view has
 *   $(selector)    a node of the figure
 *   get, put       a setting; changes of some
 *   work(steps)    does the steps of a generator, a slice a frame, while the figure is in sight
 *   wake()         draws in the next frame
 *   say(words)     the sentence: what is seen; of one that changes all the time (`moving`) no screen reader hears
 */
export const figure = (name, settings, html, begin) => ({
  render({ model, el }) {
    const root = mount(el, `kan-figure kan-${name}`, `${html}<p class="sentence" role="status"></p>`);
    const $ = selector => root.querySelector(selector);
    let job = null, seen = false, waiting = 0;
    const wake = () => (waiting ||= requestAnimationFrame(frame));
    function frame() {
      waiting = 0;
      if (!seen || !root.clientWidth) return;
      const end = performance.now() + SLICE;
      while (job && performance.now() < end) if (job.next().done) job = null;
      draw();
      if (job) wake();
    }
    const put = changes => {
      model.set(changes);
      model.save_changes();
    };
    const draw = begin({
      $, put, wake, get: setting => model.get(setting),
      work(steps) {
        job = steps;
        wake();
      },
      say(words, moving = false) {
        set($(".sentence"), { "aria-live": moving ? "off" : "polite" });
        write($(".sentence"), words);
      },
    });
    for (const setting of settings) model.on(`change:${setting}`, wake);
    $("[data-start]")?.addEventListener("click", () => put({ seed: model.get("seed") + 1 }));
    const sight = new IntersectionObserver(entries => {
      seen = entries.at(-1).isIntersecting;
      if (seen) wake();
    });
    sight.observe(root);
    const unwatch = watch(root, wake);
    return () => {
      sight.disconnect();
      unwatch();
      for (const setting of settings) model.off(`change:${setting}`, wake);
    };
  },
});

/** A slider with its name and value, of a setting; `fields` makes it live. */
export const field = (name, says, most) =>
  `<label>${says} <input type="range" name="${name}" aria-label="${says}" min="0" max="${most}"><output></output></label>`;

/** Of each such setting the values that it may have, and one in words; returns what shows them as they are. */
export function fields({ $, get, put }, settings) {
  const input = name => $(`[name=${name}]`);
  for (const [name, { stops }] of Object.entries(settings))
    input(name).addEventListener("input", event => put({ [name]: stops[event.target.value] }));
  return () => {
    for (const [name, { stops, words = String }] of Object.entries(settings)) {
      const value = get(name);
      input(name).value = stops.indexOf(value);
      set(input(name), { "aria-valuetext": words(value) });
      write(input(name).nextSibling, words(value));
    }
  };
}

export const brief = x => text(short(x));

/** The button of a figure whose numbers come from one random start, its setting `seed`. */
export const ANOTHER = `<button type="button" data-start>Another start</button>`;

// --- charts

const PAD = { left: 38, right: 12, top: 18, bottom: 34 };

/** Numbers between `from` and `to` as parts of the way from 0 to 1, those beyond as 0 or 1. */
const part = ({ from, to, log }) => {
  const [f, a, b] = log ? [Math.log, Math.log(from), Math.log(to)] : [v => v, from, to];
  return v => (f(clamp(v, from, to)) - a) / (b - a);
};

/**
 * A chart in an SVG that has a `<g class="axes">`: `x` and `y` are { from, to, log, marks, says }. Returns
 * px and py, where numbers are in pixels, and paths: `line(xs, ys)` and `outside(a, b)`, all but what lies between;
 * `fit()` makes it as wide as its place.
 */
export function chart(svg, { x, y, height }) {
  const alongX = part(x), alongY = part(y), bottom = height - PAD.bottom;
  let width = 0;
  const px = v => round(PAD.left + alongX(v) * (width - PAD.left - PAD.right), 1);
  const py = v => round(bottom - alongY(v) * (bottom - PAD.top), 1);
  return {
    px, py, bottom, top: PAD.top,
    outside: (a, b) =>
      `M${PAD.left} ${PAD.top}H${px(a)}V${bottom}H${PAD.left}zM${px(b)} ${PAD.top}H${width - PAD.right}V${bottom}H${px(b)}z`,
    line: (xs, ys) => (xs.length ? `M${Array.from(xs, (v, p) => `${px(v)} ${py(ys[p])}`).join("L")}` : ""),
    fit() {
      if (svg.clientWidth === width) return;
      width = svg.clientWidth;
      set(svg, { viewBox: `0 0 ${width} ${height}`, height });
      svg.querySelector(".axes").innerHTML = [
        `<path d="M${PAD.left} ${bottom}H${width - PAD.right}"/>`,
        ...(x.marks ?? []).map(v => `<path d="M${px(v)} ${bottom}v4"/>${textAt(px(v), bottom + 16, "middle", text(v))}`),
        ...(y.marks ?? []).map(v => textAt(PAD.left - 6, py(v) + 4, "end", text(v))),
        textAt(width - PAD.right, height - 4, "end", x.says), textAt(0, 12, "start", y.says),
      ].join("");
    },
  };
}

export const HANDLE = `<circle class="hit" r="22"/><circle class="dot" r="8"/>`;

/** Calls `moved(event)` while a node of an SVG is dragged. */
export const dragged = (node, moved) => listen(node, {
  touchstart: event => event.preventDefault(), // or the page scrolls: in an SVG, touch-action is not heeded
  pointerdown(event) {
    if (event.button) return;
    event.preventDefault();
    node.focus({ preventScroll: true });
    node.setPointerCapture(event.pointerId);
  },
  pointermove(event) {
    if (node.hasPointerCapture(event.pointerId)) moved(event);
  },
});

/** Makes a node in an SVG a slider over `stops`, along x or y, by finger, mouse and keys; `moved(number of the stop)`. */
export function slider(node, { name, stops, px, py, moved }) {
  const svg = node.ownerSVGElement, last = stops.length - 1;
  let at = 0;
  const go = to => {
    if (to !== at) moved(to);
  };
  const nearest = ({ clientX, clientY }) => {
    const { left, top } = svg.getBoundingClientRect();
    const away = stops.map(v => Math.abs(px ? px(v) - clientX + left : py(v) - clientY + top));
    go(away.indexOf(Math.min(...away)));
  };
  set(node, {
    role: "slider", tabindex: 0, "aria-label": name, "aria-valuemin": stops[0], "aria-valuemax": stops[last],
    "aria-valuenow": stops[at], // until it is drawn
    "aria-orientation": px ? "horizontal" : "vertical", "data-lm-suppress-shortcuts": true,
  });
  dragged(node, nearest);
  node.addEventListener("keydown", event => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, Home: -last, End: last }[event.key];
    if (!by) return;
    swallow(event);
    go(clamp(at + by, 0, last));
  });
  /** Where it is now: the number of the stop, its place across, and its value in words. */
  return (index, across, words) => {
    at = index;
    const place = px ? [px(stops[at]), across] : [across, py(stops[at])];
    set(node, { transform: `translate(${place.join(" ")})`, "aria-valuenow": stops[at], "aria-valuetext": words });
  };
}
