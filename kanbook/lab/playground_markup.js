// The spline playground's page, as HTML.

import { MAX_DEGREE, MAX_GRID } from "./curve.js";
import { toggle } from "./page.js";

const slider = (name, label, min, max) => `<label>${label}
  <input type="range" name="${name}" aria-label="${label}" min="${min}" max="${max}"><b></b></label>`;
const buttons = names => names.map(name => `<button type="button">${name}</button>`).join("");

const handle = (parts, way) => `<g class="handle" role="slider" aria-orientation="${way}"
  data-lm-suppress-shortcuts="true">${parts}</g>`;
export const HANDLES = {
  coefs: handle(`<circle class="hit" r="22"/><path class="dot"/>`, "vertical"),
  knots: handle(`<circle class="hit" r="17" cy="4"/><path class="dot" d="M0-7L6 3V9H-6V3z"/>`, "horizontal"),
  probes: handle(`<circle class="hit" r="11"/><path class="dot" d="M-6-5h12l-6 9z"/>`, "horizontal"),
};

export const page = (targets, number) => `
<svg role="group" aria-label="Spline ${number}, its coefficients and knots as sliders">
  <g class="axes"></g>
  <svg class="plot" overflow="hidden">
    <g class="data"><path class="outside"/><path class="zero"/><path class="knot-lines"/>
      <path class="samples"/><g class="bases"></g><path class="sum"/><path class="ghost"/><path class="curve"/></g>
    <path class="polygon"/><g class="probe"></g>
  </svg>
  <path class="rail"/><g class="probes"></g><g class="knots"></g><g class="coefs"></g>
</svg>
<p class="readout"></p>
<div class="line">${slider("degree", "degree", 0, MAX_DEGREE)}${slider("grid_size", "grid size", 1, MAX_GRID)}
  <span>domain <input type="number" step="0.1" aria-label="domain from"> to
  <input type="number" step="0.1" aria-label="domain to"></span></div>
<div class="line">${toggle("show_basis", "basis functions", "short")}
  ${toggle("weighted", "times coefficients", "short")}${toggle("show_sum", "their sum", "short")}</div>
<div class="line"><label class="short">target <select name="target" aria-label="target">
  ${["none", ...targets].map(name => `<option>${name}</option>`).join("")}</select></label>
  ${buttons(["fit", "descend"])}<span class="rms"></span></div>
<div class="line">${buttons(["undo", "redo", "even knots", "reset", "copy as Python"])}</div>
<p class="status" role="status"></p>
<textarea readonly hidden rows="8" aria-label="this curve in Python"></textarea>
<details><summary>keys and gestures</summary><dl>
  <dt>a point (coefficient)</dt><dd>drag it up or down, or ↑ ↓; ← → go to another</dd>
  <dt>a knot</dt><dd>drag it sideways, or ← →, Home and End onto its neighbors; ↑ ↓ go to another</dd>
  <dt>a triangle at the edge</dt><dd>a point that lies beyond it</dd>
  <dt>the probe</dt><dd>point at the plot, tap it, or ← → at the small handle above; Escape hides it</dd>
  <dt>everywhere</dt><dd>Shift: larger steps; Ctrl+Z, Ctrl+Shift+Z: undo, redo</dd></dl></details>`;
