// Brings the anywidgets of a page to life without a kernel, each once it comes near. Their states are
// stored in the page; script and style, too, or in files that pages share (bookext.py writes them). This
// file gives each the small model that such a script asks for (https://anywidget.dev/en/afm/). Pages
// with other kinds of widgets are none of its business.

const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';

class Model {
  constructor(state) {
    this.state = state;
    this.listeners = {};
  }
  get(name) {
    return this.state[name];
  }
  set(name, value) {
    const values = typeof name === "string" ? { [name]: value } : name;
    const changed = Object.keys(values).filter(
      key => JSON.stringify(values[key]) !== JSON.stringify(this.state[key]));
    for (const key of changed) this.state[key] = values[key]; // all, before anybody hears of one
    for (const key of changed)
      for (const heard of [...(this.listeners[`change:${key}`] ?? [])]) heard(this, this.state[key]);
  }
  on(event, listener) {
    (this.listeners[event] ??= new Set()).add(listener);
  }
  off(event, listener) {
    this.listeners[event]?.delete(listener);
  }
  save_changes() {} // there is no kernel to tell
  send() {}
}

/** A value for each key, made when it is first asked for. */
function once(make) {
  const made = new Map();
  return key => made.get(key) ?? made.set(key, make(key)).get(key);
}

/** A part of a script, or the rest of it and a style, that a file holds. A page on disk may load no module and no JSON, but a script. */
const textsOf = once(address => new Promise((done, failed) => {
  const node = document.createElement("script");
  node.onload = () => done(node.texts);
  node.onerror = () => failed(new Error(`${address} cannot be loaded`));
  node.src = address;
  document.head.append(node);
}));

const moduleOf = once(async text => {
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  URL.revokeObjectURL(url);
  return widget;
});

const addStyle = once(text => {
  const node = document.createElement("style");
  node.textContent = text;
  document.head.append(node);
  return node;
});

async function load(model) {
  const parts = await Promise.all(model.get("_texts")?.map(textsOf) ?? [model.state]);
  const widget = await moduleOf(parts.map(part => part._esm).join(""));
  for (const { _css } of parts) if (_css) addStyle(_css);
  const made = typeof widget === "function" ? await widget() : widget;
  await made.initialize?.({ model });
  return made;
}

/** The states that the page stores, by the id of their widget. */
function storedStates() {
  const stored = {};
  for (const node of document.querySelectorAll(STATE))
    try {
      Object.assign(stored, JSON.parse(node.textContent).state);
    } catch (error) {
      console.error("A state of widgets in this page cannot be read.", error);
    }
  return stored;
}

async function show(script, stored) {
  const el = document.createElement("div");
  try {
    const widget = stored[JSON.parse(script.textContent).model_id];
    if (widget?.model_module !== "anywidget") return;
    const model = widget.model ??= new Model(widget.state); // one for all views of a widget
    const { render } = await (widget.loaded ??= load(model));
    script.before(el);
    await render({ model, el });
    script.closest(".live-figure")?.classList.add("is-live");
  } catch (error) {
    el.remove();
    console.error("A widget of this page did not start; its picture stays.", error);
  }
}

function whenNear(node, act) {
  const watch = new IntersectionObserver(seen => {
    if (!seen.some(({ isIntersecting }) => isIntersecting)) return;
    watch.disconnect();
    act();
  }, { rootMargin: "100%" }); // a window's height above and below, as wide left and right
  watch.observe(node);
}

const states = once(storedStates);
const live = once(script => show(script, states())); // none waits for another: each view starts on its own

function bringToLife() {
  const called = location.hash.includes("="); // a link that carries the state of a widget
  for (const script of document.querySelectorAll(VIEW)) {
    if (called) live(script);
    else whenNear(script.parentElement, () => live(script));
  }
}

/** A link that drives a lab (kanbook/lab/links.js) wakes all of them first: the one that it means has to hear it. */
let awake = false;
addEventListener("click", async event => {
  const link = event.target.closest('a[href^="#lab?"]');
  if (!link || awake) return;
  event.preventDefault();
  event.stopPropagation();
  awake = true;
  await Promise.all([...document.querySelectorAll(VIEW)].map(live));
  setTimeout(() => link.click()); // not within the first click, where it would be ignored
}, true);

/** Text and pictures come first: a widget starts when the page is there, and nothing else is to do. */
function whenIdle(act) {
  if (globalThis.requestIdleCallback) requestIdleCallback(act, { timeout: 1000 });
  else setTimeout(act); // Safari
}

/** A phone has little to spare: there a widget waits for the first touch or turn, at most 5 seconds. */
function whenCalm(act) {
  if (!matchMedia("(max-width: 720px)").matches) return whenIdle(act);
  const signs = ["pointerdown", "scroll", "keydown"], timer = setTimeout(go, 5000);
  function go() {
    clearTimeout(timer);
    for (const sign of signs) removeEventListener(sign, go);
    whenIdle(act);
  }
  for (const sign of signs) addEventListener(sign, go, { passive: true });
}

if (document.readyState === "complete") whenCalm(bringToLife);
else addEventListener("load", () => whenCalm(bringToLife));
