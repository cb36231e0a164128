// The guided tour: a card that tells, on the lab itself, what a KAN does, and when it loses. Each beat is over
// when the race says so, whoever did it; what the reader does not do, the button shows.

import { count, edges, leavingNode, percent } from "./narrator.js";
import { short } from "./numbers.js";
import { isNarrow, set, still, write } from "./page.js";
import { prune } from "./pruning.js";
import { DEFAULTS } from "./race.js";

const LEARN = 250, AGAIN = 250, FADE = 900, SETTLE = 200, CONTEST = 600; // steps
const TRIES = 2; // what cannot be shown by so many is passed over

// The races of the tour: everything else is as in a new lab. With 10 intervals the two boards are told apart early.
export const RACES = {
  exp_sine: { follow: false, speed: 2 },
  checkers: { grid_size: 10, speed: 5 },
  rotated: { grid_size: 10, speed: 5 },
};

const stepOf = (race, name) => race.events.findLast(event => event.name === name)?.step ?? Infinity;
const error = race => short(race.history.kan.at(-1));
const wins = ({ history: { kan, mlp } }) => kan.at(-1) < mlp.at(-1);

/** Of the edges from the first input, the one whose output varies most. */
function strongest({ kan, task }) {
  const { outputs } = kan.layers[0], spreads = kan.observe(task.x, task.n)[0].spreads.slice(0, outputs);
  return [0, 0, spreads.indexOf(Math.max(...spreads))];
}

/** Pulls at the third dot of a curve until it is bent, in a second and a half. */
function* bend(race, [l, i, o]) {
  const coef = race.kan.layers[l].coefOf(i, o), old = coef[2], far = (Math.max(...coef) - Math.min(...coef)) / 2;
  const start = performance.now();
  for (let part = 0; part < 1;) {
    part = Math.min(1, (performance.now() - start) / 1500);
    race.setCoef(l, i, o, 2, old - far * Math.sin((Math.PI / 2) * part));
    yield;
  }
}

/**
 * `wish`: what the card says first; `show`: makes it happen; `over`: whether it has happened; `found`: what the card
 * says then; `mark`: what is marked meanwhile. The beats of one task are one race, which the first of them begins.
 */
export const BEATS = [
  {
    task: "exp_sine", begins: true, mark: ".network",
    wish: () => "Two networks with equally many numbers want to become the target. The KAN has a curve on every edge, and all "
      + "of them begin as straight lines. Watch them bend.",
    show: lab => lab.playTo(LEARN),
    over: ({ steps }) => steps >= LEARN,
    found: () => "Out of curves of one variable, and sums of them, comes a picture of two.",
  },
  {
    task: "exp_sine", mark: race => `.edges [aria-label^="${race.edgeName(...strongest(race))}"]`,
    wish: () => "What does one curve do? Click the marked one and pull at a dot. How much of the KAN's picture will change?",
    show(lab) {
      lab.race.beginEdit();
      lab.run(bend(lab.race, strongest(lab.race)), () => {}, () => lab.report());
    },
    over: race => race.had("edit"),
    found: () => "Only a part of it. A dot moves its curve near itself and nowhere else, so training can mend it there.",
  },
  {
    task: "exp_sine", mark: ".network",
    wish(race) {
      const { name, share } = leavingNode(race);
      return `But see the triangles: ${percent(share)} of what reaches ${name} is beyond its knots, where a curve ends and `
        + "learns nothing. What if the knots followed?";
    },
    show(lab) {
      if (!lab.race.had("update")) lab.do("update");
      lab.publish({ follow: true });
      lab.playTo(stepOf(lab.race, "update") + AGAIN);
    },
    over: race => race.steps >= stepOf(race, "update") + AGAIN,
    found: race => `They lie where the values are now, and from here on they follow by themselves. Test error ${error(race)}.`,
  },
  {
    task: "exp_sine", mark: "[data-do=fade]",
    wish: race => `${edges(count(race.kan))} for one picture. Fade puts a small price on each, so that it has to earn its `
      + "place. How many will stay?",
    show(lab) {
      if (!lab.race.settings.fade) lab.do("fade");
      lab.publish({ speed: 10 });
      lab.playTo(lab.race.fadeStart + FADE);
    },
    over: race => race.had("prune") || (race.settings.fade && race.steps >= race.fadeStart + FADE),
    found({ kan, task: { x, n } }) {
      return `${edges(count(prune(kan, x, n) ?? kan))} still work. The pale ones hand on next to nothing.`;
    },
  },
  {
    task: "exp_sine", mark: "[data-do=prune]",
    wish: race => `Prune takes the pale ones out. The test error is ${error(race)}: guess what that will cost.`,
    show(lab) {
      if (!lab.race.had("prune")) lab.do("prune");
      lab.playTo(stepOf(lab.race, "prune") + SETTLE);
    },
    over: race => race.steps >= stepOf(race, "prune") + SETTLE,
    found: race => `${edges(count(race.kan))} are left, and ${SETTLE} steps later the test error is ${error(race)}.`,
  },
  {
    task: "exp_sine", mark: "[data-do=snap]",
    wish: () => "So few curves one can read. Is one a wave, one a parabola? Snap looks for the function that each might be.",
    show: lab => lab.do("snap"),
    over: race => race.formula() !== null,
    found: race => `<i>f</i> = ${race.formula().html}, with a test error of ${error(race)}. The target was made of such `
      + "functions; real data seldom are.",
  },
  {
    task: "checkers", begins: true, mark: ".learned",
    wish: () => "Should you use a KAN, then? The squares of this board follow x and y, as a KAN's first curves do. Watch both.",
    show: lab => lab.playTo(CONTEST),
    over: ({ steps }) => steps >= CONTEST,
    found: race => (wins(race) ? "The KAN wins: such squares suit it." : "The KAN loses, although such squares should suit it."),
  },
  {
    task: "rotated", begins: true, mark: ".learned",
    wish: () => "And now the same board, turned by 30 degrees. Nothing else has changed. Watch both.",
    show: lab => lab.playTo(CONTEST),
    over: ({ steps }) => steps >= CONTEST,
    found: race => `The KAN ${wins(race) ? "wins even so" : "loses: a curve of x or of y alone no longer follows a square"}. `
      + "One start proves nothing: try New seed, under More.",
  },
];

export const CARD = `<section class="tour" aria-label="guided tour" data-offer>
  <p><b></b> <span aria-live="polite"></span></p>
  <p><button type="button" data-tour="next"></button> <button type="button" data-tour="leave"></button></p></section>`;

/** The card of one view; it offers the tour, until that is begun or dismissed. */
export function tourCard(lab, root) {
  const card = root.querySelector(".tour"), [place, words] = card.firstElementChild.children;
  const [next, leave] = card.querySelectorAll("button");
  let at = -1, tries = 0, wish = "", state = ""; // at: the beat; -1: the offer

  const isOver = () => !lab.job && lab.race.settings.task === BEATS[at].task && BEATS[at].over(lab.race);

  function draw() {
    if (card.hidden || at < 0) return;
    const over = isOver(), busy = !over && (lab.playing || !!lab.job), now = [at, over, busy, tries].join();
    if (now === state) return;
    state = now;
    words.innerHTML = over ? BEATS[at].found(lab.race) : wish;
    set(next, { "aria-disabled": busy });
    const end = at === BEATS.length - 1 ? "Done" : "Next";
    write(next, busy ? "Watch …" : over || tries >= TRIES ? end : "Show me");
    mark(BEATS[at].mark);
  }

  function mark(what) {
    const selector = typeof what === "function" ? what(lab.race) : what;
    for (const node of root.querySelectorAll("[data-marked]")) node.removeAttribute("data-marked");
    if (selector) set(root.querySelector(selector), { "data-marked": "" });
  }

  function begin(task) {
    lab.play(false);
    lab.say("");
    lab.publish({ ...DEFAULTS, points: null, ...RACES[task], task });
    lab.start();
    lab.script = [];
  }

  function enter(beat) {
    [at, tries, state] = [beat, 0, ""];
    if (BEATS[at].begins) begin(BEATS[at].task);
    wish = BEATS[at].wish(lab.race);
    write(place, `${at + 1} of ${BEATS.length}`);
    if (isNarrow(root)) root.querySelector(".learned .plots").scrollIntoView(); // and the network below it, above the card
    if (BEATS[at].begins && !still()) show();
    lab.redraw();
  }

  /** What the beat needs, as far as it has not happened; after a reader's detour, what came before it. */
  function show() {
    const { task } = BEATS[at], { race } = lab;
    tries++;
    if (race.settings.task !== task || race.stopped) begin(task);
    BEATS.slice(0, at + 1).find(beat => beat.task === task && !beat.over(lab.race)).show(lab);
    lab.redraw();
  }

  function end() {
    if (at >= 0) lab.script = []; // no pause at the end of a beat
    at = -1;
    card.hidden = true;
    mark(null);
    root.querySelector("[data-do=play]").focus();
  }

  write(words, "New here?");
  write(next, "Take the tour: two minutes");
  write(leave, "No, thanks");
  return {
    draw, end,
    start() {
      card.hidden = false;
      delete card.dataset.offer;
      write(leave, "Leave the tour");
      enter(0);
      next.focus();
    },
    next() {
      if (at < 0) return this.start();
      if (next.ariaDisabled === "true") return;
      if (!isOver() && tries < TRIES) show();
      else if (at < BEATS.length - 1) enter(at + 1);
      else end();
    },
    /** Whether there was something to leave. */
    leave: () => !card.hidden && !end(),
  };
}
