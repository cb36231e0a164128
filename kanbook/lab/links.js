// Links of a page that drive a lab: [rate 1, then 500 steps](#lab?lr=1&reset&run=500). Settings are named as KANLab's
// attributes, actions as its buttons; run=N plays N steps. Where no lab listens, such a link does nothing.

import { DEFAULTS } from "./race.js";
import { TASKS } from "./tasks.js";

const START = { ...DEFAULTS, speed: 2 };
const CHOICES = { task: Object.keys(TASKS), optimizer: ["adam", "lm"], true: ["true", "false"] };

/** The value of a setting, or an error to show. */
function valueOf(name, text) {
  const old = START[name], kind = typeof old === "boolean" ? "true" : name, value = text.split(",").map(Number);
  if (old === undefined) throw new Error(`${name}=${text}; expected a setting: ${Object.keys(START).join(", ")}, or run`);
  const choices = CHOICES[kind];
  if (choices && !choices.includes(text)) throw new Error(`${name}=${text}; expected one of ${choices.join(", ")}`);
  if (choices) return kind === "true" ? text === "true" : text;
  const fits = value.every(Number.isFinite) && (Array.isArray(old) ? value.length > 1 : value.length === 1);
  if (!text || !fits) throw new Error(`${name}=${text}; expected ${Array.isArray(old) ? "numbers" : "a number"}`);
  return Array.isArray(old) ? value : value[0];
}

/** What a link asks for: { settings, todo, run }; todo, a list of actions. */
export function parseLink(link, actions) {
  const settings = {}, todo = [];
  let run = 0;
  for (const part of link.replace("#lab?", "").split("&")) {
    const [name, text] = part.split("=");
    if (name === "run" && text > 0) run = Number(text);
    else if (text !== undefined) settings[name] = valueOf(name, text);
    else if (actions.includes(name)) todo.push(name);
    else throw new Error(`${name}; expected an action: ${actions.join(", ")}`);
  }
  if (settings.task) settings.widths ??= [TASKS[settings.task].inputs, ...START.widths.slice(1)];
  return { settings, todo, run };
}

/** Settings first, then actions, then the run. */
async function follow(lab, link, actions) {
  try {
    const { settings, todo, run } = parseLink(link, actions);
    lab.play(false);
    lab.publish(settings);
    await null; // as the lab hears of them
    for (const name of todo) lab.do(name);
    if (run) lab.playTo(lab.race.steps + run);
  } catch ({ message }) {
    lab.say(`This link asks for ${message}.`);
  }
}

/** The first lab after a link, or the last before it. */
function nearest(link) {
  const labs = [...document.querySelectorAll(".kan-lab")];
  return labs.find(lab => link.compareDocumentPosition(lab) & Node.DOCUMENT_POSITION_FOLLOWING) ?? labs.at(-1);
}

/** Lets the links of the page drive a lab; returns what ends that. */
export function listenToLinks(lab, root, actions) {
  function heard(event) {
    const link = event.target.closest('a[href^="#lab?"]');
    if (!link || nearest(link) !== root) return;
    event.preventDefault();
    const { top, bottom } = root.getBoundingClientRect();
    if (top > 0.6 * innerHeight || bottom < 0.4 * innerHeight) root.scrollIntoView();
    follow(lab, link.getAttribute("href"), actions);
  }
  document.addEventListener("click", heard);
  return () => document.removeEventListener("click", heard);
}
