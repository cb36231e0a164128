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

function bringToLife() {
  const stored = storedStates(); // none waits for another: each view starts on its own
  for (const script of document.querySelectorAll(VIEW)) show(script, stored);
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", bringToLife);
else bringToLife();
