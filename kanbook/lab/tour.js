// The guided tour: a card that tells, on the lab itself, what a KAN does, and when it loses. Each beat is over
// when the race says so, whoever did it; what the reader does not do, the button shows.

import { edges, leavingNode, percent, short } from "./narrator.js";
import { isNarrow, set, still, write } from "./page.js";
import { DEFAULTS } from "./race.js";

const LEARN = 250, AGAIN = 250, FADE = 1500, SETTLE = 200, CONTEST = 600; // steps
const TRIES = 2; // what cannot be shown by so many is passed over

// The races of the tour: everything else is as in a new lab. With 10 intervals the two boards are told apart early.
const RACES = {
  exp_sine: { follow: false, speed: 2 },
  checkers: { grid_size: 10, speed: 5 },
  rotated: { grid_size: 10, speed: 5 },
};

const stepOf = (race, name) => race.events.findLast(event => event.name === name)?.step ?? Infinity;
const errors = ({ history: { kan, mlp } }) => [kan.at(-1), mlp.at(-1)];
const against = race => errors(race).map(short).join(" against ");
const count = ({ kan }) => kan.layers.reduce((all, { kind }) => all + kind.filter(Boolean).length, 0);

/** Of the edges from the first input, the one whose output varies most. */
function strongest({ kan, task }) {
  const { outputs } = kan.layers[0], spreads = kan.observe(task.x, task.n)[0].spreads.slice(0, outputs);
  return [0, 0, spreads.indexOf(Math.max(...spreads))];
}

/** Pulls at the middle of a curve until it is bent, in a second and a half. */
function* bend(race, [l, i, o]) {
  const coef = race.kan.layers[l].coefOf(i, o), j = coef.length >> 1, old = coef[j], far = Math.max(...coef) - Math.min(...coef);
  const start = performance.now(), part = () => Math.min(1, (performance.now() - start) / 1500);
  while (race.kan.layers[l].coefOf(i, o)[j] !== old + far) {
    race.setCoef(l, i, o, j, part() < 1 ? old + far * Math.sin((Math.PI / 2) * part()) : old + far);
    yield;
  }
}

/**
 * `wish`: what the card says first; `show`: makes it happen; `over`: whether it has happened; `found`: what the card
 * says then; `mark`: what is marked meanwhile. The beats of one task are one race.
 */
export const BEATS = [
  {
    task: "exp_sine", mark: ".network", begins: true,
    wish: () => "Two networks with equally many numbers want to become the picture called target. The MLP has a number on each "
      + "edge; the KAN, whose edges you see, has a small curve there. All of them begin as straight lines. Watch them bend.",
    show: lab => lab.playTo(LEARN),
    over: ({ steps }) => steps >= LEARN,
    found: race => `After ${LEARN} steps the curves have found the picture, nearly. Test error of KAN and MLP: ${against(race)}.`,
  },
  {
    task: "exp_sine", mark: race => `.edges [aria-label^="${race.edgeName(...strongest(race))}"]`,
    wish: () => "What does one curve do? Click the marked one and pull at its middle dot, or let the lab bend it for you. Before "
      + "you do: how much of the KAN's picture will change?",
    show(lab) {
      lab.race.beginEdit();
      lab.run(bend(lab.race, strongest(lab.race)), () => {}, () => lab.report());
    },
    over: race => race.had("edit"),
    found: () => "Only a strip. A dot moves its curve near itself and nowhere else, so a KAN can mend one place and keep the "
      + "rest. Training will do that now.",
  },
  {
    task: "exp_sine", mark: ".network",
    wish(race) {
      const { name, share } = leavingNode(race);
      return `But see the triangles. The curves have learned so hard that ${percent(share)} of the values that reach ${name} are `
        + "now beyond its knots, where a curve ends and learns nothing. The knots would have to follow them.";
    },
    show(lab) {
      if (!lab.race.had("update")) lab.do("update");
      lab.publish({ follow: true });
      lab.playTo(stepOf(lab.race, "update") + AGAIN);
    },
    over: race => race.steps >= stepOf(race, "update") + AGAIN,
    found: race => `The knots went to where the values are, and the strip is mended: test error ${short(errors(race)[0])}. From now on `
      + "they follow by themselves.",
  },
  {
    task: "exp_sine", mark: "[data-do=fade]",
    wish: race => `${edges(count(race))} for one picture: who needs them all? Fade puts a small price on every edge, so that each `
      + "has to earn it. How many will stay?",
    show(lab) {
      if (!lab.race.settings.fade) lab.do("fade");
      lab.publish({ speed: 10 });
      lab.playTo(lab.race.fadeStart + FADE);
    },
    over: race => race.had("prune") || (race.settings.fade && race.steps >= race.fadeStart + FADE),
    found: () => "Most have given up: the pale ones with a dashed frame hand on next to nothing.",
  },
  {
    task: "exp_sine", mark: "[data-do=prune]",
    wish: race => `Prune takes the faded ones out. The test error is ${short(errors(race)[0])}: guess what it will be without them.`,
    show(lab) {
      if (!lab.race.had("prune")) lab.do("prune");
      lab.playTo(stepOf(lab.race, "prune") + SETTLE);
    },
    over: race => race.steps >= stepOf(race, "prune") + SETTLE,
    found: race => `${edges(count(race))} are left, and ${SETTLE} steps without the price later the test error is ${short(errors(race)[0])}.`,
  },
  {
    task: "exp_sine", mark: "[data-do=snap]",
    wish: () => "So few curves one can read. Does one look like a wave to you, one like a parabola? Snap compares each with the "
      + "functions that it knows, and puts in the one that does as well.",
    show: lab => lab.do("snap"),
    over: race => race.formula() !== null,
    found: () => "A formula, below the network: no more curves, and nothing left of the error. The target was made of exactly these "
      + "functions, which real data seldom are.",
  },
  {
    task: "checkers", mark: ".learned", begins: true,
    wish: () => "Should you use a KAN, then? Here is a board whose squares follow x and y, as the KAN's first curves do. Watch both.",
    show: lab => lab.playTo(CONTEST),
    over: ({ steps }) => steps >= CONTEST,
    found: race => contest(race, "the squares suit it", "though the squares should suit it"),
  },
  {
    task: "rotated", mark: ".learned", begins: true,
    wish: () => "Now the same board, turned by 30 degrees. Nothing else has changed, and to an MLP it is all the same. Watch both.",
    show: lab => lab.playTo(CONTEST),
    over: ({ steps }) => steps >= CONTEST,
    found: race => `${contest(race, "even so", "a curve of x or of y alone no longer meets an edge of the board")} One start proves `
      + "nothing: press New seed, under More, and look again. The book counts hundreds.",
  },
];

function contest(race, won, lost) {
  const [kan, mlp] = errors(race);
  return `The KAN ${kan < mlp ? "wins" : "loses"}, ${against(race)}: ${kan < mlp ? won : lost}.`;
}

export const CARD = `<section class="tour" aria-label="guided tour" hidden>
  <p><b></b> <span aria-live="polite"></span></p>
  <p><button type="button" data-tour="next"></button> <button type="button" data-tour="leave"></button></p></section>`;

/** The card of one view; it offers the tour, until that is begun or dismissed. */
export function tourCard(lab, root) {
  const card = root.querySelector(".tour"), [place, words] = card.firstElementChild.children;
  const [next, leave] = card.querySelectorAll("button");
  let at = -1, tries = 0, told = false, state = ""; // at: the beat; -1: the offer

  const isOver = () => !lab.job && lab.race.settings.task === BEATS[at].task && BEATS[at].over(lab.race);

  function draw() {
    if (card.hidden || at < 0) return;
    const over = isOver(), busy = !over && (lab.playing || !!lab.job), now = [at, over, busy, tries].join();
    if (now === state) return;
    state = now;
    if (over && !told) write(words, BEATS[at].found(lab.race));
    told ||= over;
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
    [at, tries, told, state] = [beat, 0, false, ""];
    if (BEATS[at].begins) begin(BEATS[at].task);
    write(place, `${at + 1} of ${BEATS.length}`);
    write(words, BEATS[at].wish(lab.race));
    if (isNarrow(root)) root.querySelector(".learned").scrollIntoView(); // and the network below it, above the card
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

  write(words, "New here? Take the tour: two minutes.");
  write(next, "Take the tour");
  write(leave, "No, thanks");
  card.hidden = false;
  return {
    draw, end,
    start() {
      card.hidden = false;
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
