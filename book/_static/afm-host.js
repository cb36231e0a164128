// Brings the anywidgets of a page to life without a kernel. Their state, script and style are stored
// in the notebook and so in the page; this file gives each the small model that such a script asks
// for (https://anywidget.dev/en/afm/). Pages with other kinds of widgets are none of its business.

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

async function load(model) {
  const url = URL.createObjectURL(new Blob([model.get("_esm")], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  URL.revokeObjectURL(url);
  const style = model.get("_css");
  if (style && ![...document.styleSheets].some(sheet => sheet.ownerNode?.textContent === style)) {
    const node = document.createElement("style");
    node.textContent = style;
    document.head.append(node);
  }
  const parts = typeof widget === "function" ? await widget() : widget;
  await parts.initialize?.({ model });
  return parts;
}

async function bringToLife() {
  const states = [...document.querySelectorAll(STATE)].map(node => JSON.parse(node.textContent).state);
  const stored = Object.assign({}, ...states);
  const loaded = {}; // one model for all views of a widget
  for (const script of document.querySelectorAll(VIEW)) {
    const id = JSON.parse(script.textContent).model_id;
    if (stored[id]?.model_module !== "anywidget") continue;
    const model = stored[id].model ??= new Model(stored[id].state);
    try {
      const { render } = await (loaded[id] ??= load(model));
      const el = document.createElement("div");
      script.before(el);
      await render({ model, el });
      script.closest(".live-figure")?.classList.add("is-live");
    } catch (error) {
      console.error("A widget of this page did not start; its picture stays.", error);
    }
  }
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", bringToLife);
else bringToLife();
