// The KAN Lab's page, as HTML.

import { toggle } from "./page.js";
import { ACTIONS } from "./session.js";
import { TASKS } from "./tasks.js";
import { CARD } from "./tour.js";

export const SPEEDS = [1, 2, 5, 10, 20, 50];
const STORY = ["play", "fade", "prune", "snap"], MORE = ["update", "extend", "step", "undo", "reset", "seed", "seeds"];
const FIRST = ["zigzag", "exp_sine", "rotated"]; // what suits a KAN's curves, what it can be read from, what suits neither

export const HIDDEN = ["", "1", "2", "3", "5", "8", "12", "3, 3", "5, 5", "5, 5, 5"]; // widths of hidden layers
// Where the contest flatters one of the two.
export const FAIR = {
  exp_sine: "This target is itself a small KAN, of three edges: the contest flatters the KAN.",
  product: "This target is itself a small KAN: the contest flatters the KAN.",
  rotated: "Turned by 30 degrees, the pattern no longer follows x and y, which flatters neither.",
  noisy: "Few points with noise: the KAN's curves have room to follow the noise.",
};

const buttons = names => names.map(name => {
  const [says, does] = ACTIONS[name];
  return `<button type="button" data-do="${name}" title="${does}">${says}</button>`;
}).join("");
const slider = (name, says, limits) =>
  `<label>${says}<input type="range" name="${name}" aria-label="${says}" ${limits}><output></output></label>`;
// No figure with a caption: pages have styles for those.
const map = (name, says, words, more = "") => `<div class="plot ${name}">
  <div><canvas aria-hidden="true"></canvas><svg viewBox="0 0 200 200" role="img" aria-label="${words}"></svg></div>
  <p class="under"><span class="what">${says}</span> <span class="value"></span>${more}</p></div>`;
const LINES = `<div class="plot lines">
  <svg role="img" aria-label="what the KAN and the MLP have learned, over the target"></svg></div>`;
const KAN = map("kan", "KAN", "what the KAN has learned"), MLP = map("mlp", "MLP", "what the MLP has learned");
const TARGET = map("target", "target", "the target", `<span class="scale"><span></span><i></i><span></span></span>`);
const chip = (group, name) => `<label class="chip ${FIRST.includes(name) ? "" : "rare"}">
  <input type="radio" name="${group}" value="${name}">
  <canvas width="28" height="28" aria-hidden="true"></canvas><span>${TASKS[name].label}</span></label>`;
const chips = group => `<div class="tasks"><div class="chips" role="radiogroup" aria-label="task">
  ${[...FIRST, ...Object.keys(TASKS).filter(name => !FIRST.includes(name))].map(name => chip(group, name)).join("")}</div>
  <button type="button" data-all aria-expanded="false">More tasks</button></div>`;

const NETWORK = `<section class="net" aria-label="the KAN">
  <p class="title"><b>The KAN</b> <span class="about numbers"></span></p>
  <svg class="network" role="group"></svg><p class="formula" hidden></p>
  <dialog aria-label="one edge"><p class="title"></p>
    <button type="button" class="close" data-act="close" aria-label="close">×</button>
    <div class="small"><p class="about lit"></p><div class="plots">${LINES}${KAN}${TARGET}</div></div>
    <p class="purpose"></p>
    <svg class="large" viewBox="0 0 420 220" role="group" aria-label="the curve, its coefficients as sliders">
      <path class="outside"/><path class="values"/><path class="zero"/><path class="knots"/>
      <path class="curve"/><g class="axes"></g><g class="handles"></g></svg>
    <p class="acts"><button type="button" data-act="off">Switch off</button>
      <button type="button" data-act="undo">Undo</button></p>
    <details class="alike"><summary>What function does it look like?</summary><p class="note"></p><ol></ol></details>
    </dialog></section>`;

const OWN = `<details class="own" hidden><summary>Your own table</summary>
  <p>Paste two or three columns, or choose a file: the last column is learned from the others. The data never leave this page.</p>
  <textarea rows="6" aria-label="own data, as CSV" spellcheck="false"></textarea>
  <p><button type="button" data-own>Train on these</button>
    <span class="wrong" role="alert"></span>
    <label>or choose a file <input type="file" accept=".csv,.tsv,.txt"></label></p></details>`;

const LEARNED = `<section class="learned" aria-label="what they have learned">
  <p class="title"><b>What they have learned</b> <span class="about lit"></span>
    <button type="button" data-clear hidden>Clear the drawing</button></p>
  ${OWN}<p class="about legend"></p>
  <div class="plots">${LINES}${KAN}${MLP}${TARGET}</div></section>`;

const RACE = `<section class="race" aria-label="the race of test errors">
  <p class="title"><b>Test error</b> <span class="about">relative RMSE</span>
    <span class="switch" role="group" aria-label="against">
      <button type="button" aria-pressed="true" data-unit="steps">steps</button>
      <button type="button" aria-pressed="false" data-unit="seconds">seconds</button></span></p>
  <svg class="chart" role="img" aria-label="test errors, none yet"></svg>
  <div class="scrub">
    <input type="range" min="0" value="0" step="any" aria-label="look back through the training"></div>
  <p class="back" hidden><span></span> <button type="button" data-back="go">Go on from here</button>
    <button type="button" data-back="now">Back to now</button></p></section>`;

const SETTINGS = `<details class="settings"><summary>Settings <span class="changed" hidden>● changed</span></summary>
  <div class="grid">${slider("speed", "steps a frame", `min="0" max="${SPEEDS.length - 1}"`)}
    ${slider("lr", "learning rate", `min="-3" max="0" step="0.05"`)}
    <label>optimizer<select name="optimizer"><option value="adam">Adam</option>
      <option value="lm">Levenberg-Marquardt</option></select></label>
    ${toggle("follow", "knots follow the values")}</div>
  <p class="about">And these begin a new race:</p>
  <div class="grid"><label>hidden nodes<select name="widths"></select></label>
    ${slider("grid_size", "intervals G", `min="1" max="30"`)}${slider("degree", "degree", `min="0" max="5"`)}
    <span class="domain">domain <input type="number" name="low" step="0.1" aria-label="domain from"> to
      <input type="number" name="high" step="0.1" aria-label="domain to"></span>
    ${toggle("bias", "bias")}${toggle("spline_weight", "spline weight")}
    ${toggle("base", "base (SiLU)")}</div></details>`;

const HELP = `<details class="help"><summary>What is what</summary><dl>
  ${Object.values(ACTIONS).map(([says, does]) => `<dt>${says}</dt><dd>${does}</dd>`).join("")}
  <dt>a box</dt><dd>the curve on an edge, strong where its output varies much; at its foot the values
    that reach it, and its knots; a triangle: values beyond them. Click it, or press Enter; arrow keys go
    to the next.</dd>
  <dt>what goes through an edge</dt><dd>point at it, and its part of the output is lit: the output, less what it would
    be if the edge gave its mean everywhere</dd>
  <dt>a letter in a circle</dt><dd>what was done there: u Update, g G × 2, f Fade, p Prune, s Snap, e a curve by
    hand, o another optimizer</dd>
  <dt>relative RMSE</dt><dd>root mean squared error on test data in units of their standard deviation:
    1 is as bad as to say the mean</dd></dl></details>`;

const SHARE = `<div class="take"><button type="button" data-share="link">Copy link</button>
  <button type="button" data-share="python">Copy as Python</button>
  <span class="took" role="status"></span></div>
  <textarea class="copied" readonly hidden rows="8" aria-label="copied text"></textarea>`;

const FULL = `<pre class="full" tabindex="0" role="group" aria-label="the same at full size, in Python" hidden></pre>`;
const REST = `<div class="rest" hidden><div class="more">${buttons(MORE)}
  <button type="button" data-tour="start" title="what a KAN does, and when it loses, in two minutes">Tour</button></div>
  ${SETTINGS}${HELP}${SHARE}</div>`;

export const page = (large, actions) => `<div class="lab">${large ? chips(`task${Math.random()}`) : ""}
  <div class="dock">${large ? CARD : ""}<div class="bar">${buttons(large ? STORY : ["play", ...actions])}
      ${large ? `<button type="button" data-more aria-expanded="false">More</button>` : ""}</div>
    <div class="said"><p class="status" role="status"></p><span class="now"></span>${large ? FULL : ""}</div>${large ? REST : ""}</div>
  ${large ? LEARNED : ""}${NETWORK}${RACE}
  <p class="fair"><span></span> <button type="button" data-match hidden>MLP of equal size</button></p>
  ${large ? `<div class="five" hidden></div>` : ""}</div>`;

export const FIFTH = `<div><svg role="img"></svg><p class="under"></p></div>`;
