// What the views share: numbers as text, small helpers for nodes, the page's theme.

export const text = x => String(x).replace("-", "−").replace("+", "");
export const show = x => text(Math.abs(x) < 1e-9 ? 0 : +x.toPrecision(3));
export const label = x => text(Math.abs(x) < 1e4 ? x : x.toExponential());
export const clip = name => (name.length > 16 ? `${name.slice(0, 15)}…` : name);
export const round = (x, digits) => +x.toFixed(digits);
// A number in an attribute: 5.55e-17 is none there.
const fixed = { maximumFractionDigits: 12, useGrouping: false };
export const plain = new Intl.NumberFormat("en", fixed).format;

/** No room for two columns: as in lab.css. */
export const isNarrow = root => root.clientWidth < 640;

const motion = matchMedia("(prefers-reduced-motion: reduce)");
export const still = () => motion.matches;

export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes))
    if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export function write(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

/** The children of a group, made `count`; those that stay keep the focus. */
export function children(group, count, html) {
  while (group.childElementCount > count) group.lastChild.remove();
  while (group.childElementCount < count) group.insertAdjacentHTML("beforeend", html);
  return [...group.children];
}

export function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(m => m * power >= rough), marks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) marks.push(+(i * step).toPrecision(9));
  return marks;
}

/** Text in a drawing; its anchor: start, middle or end. */
export const textAt = (x, y, anchor, said) => `<text x="${x}" y="${y}" text-anchor="${anchor}">${said}</text>`;

export const toggle = (name, says, style = "toggle") =>
  `<label class="${style}"><input type="checkbox" name="${name}">${says}</label>`;

/** Puts a view into its place in the page. JupyterLab leaves the keys to what has the focus in it. */
export function mount(place, className, html) {
  const root = document.createElement("div");
  root.className = `kan-view ${className}`;
  root.innerHTML = html;
  for (const node of root.querySelectorAll("input, select, button, textarea, summary"))
    node.dataset.lmSuppressShortcuts = "true";
  place.append(root);
  return root;
}

/** What anywidget wants, of a state that all views of one widget share. */
export const widget = (State, view) => () => {
  let state;
  return {
    initialize({ model }) {
      state = new State(model);
    },
    render: ({ model, el }) => view(model, state, el),
  };
};

/** Neither the page nor Jupyter sees the event. */
export function swallow(event) {
  event.preventDefault();
  event.stopPropagation();
}

export function listen(node, listeners) {
  for (const name in listeners) node.addEventListener(name, listeners[name], { passive: false });
}

/** Copies the text of a text area; whether the browser allowed it. */
export function copyFrom(area) {
  area.select();
  const copied = navigator.clipboard?.writeText(area.value) ?? Promise.reject();
  return copied.then(() => true, () => document.execCommand("copy"));
}

/** Whether the nearest background that is painted is dark, in whatever notation of colors. */
function isDark(node) {
  const ink = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  for (let e = node.parentElement; e; e = e.parentElement) {
    ink.clearRect(0, 0, 1, 1);
    ink.fillStyle = getComputedStyle(e).backgroundColor;
    ink.fillRect(0, 0, 1, 1);
    const [r, g, b, alpha] = ink.getImageData(0, 0, 1, 1).data;
    if (alpha > 127) return 0.3 * r + 0.6 * g + 0.1 * b < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Keeps the theme of `root` that of the page, calls `resized` at each new size; returns what ends both. */
export function watch(root, resized) {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => (root.dataset.theme = isDark(root) ? "dark" : "light");
  const themed = new MutationObserver(follow);
  for (const node of [document.documentElement, document.body]) themed.observe(node, { attributes: true });
  scheme.addEventListener("change", follow);
  const sized = new ResizeObserver(() => {
    follow();
    resized();
  });
  sized.observe(root);
  return () => {
    sized.disconnect();
    themed.disconnect();
    scheme.removeEventListener("change", follow);
  };
}
