// The guided tour: a card that tells, on the lab itself, what a KAN does, and when it loses. Each beat is over
// when the race says so, whoever did it; what the reader does not do, the button shows.

import { count, edges, leavingNode, percent } from "./narrator.js";
import { grouped, short } from "./numbers.js";
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
  table: { speed: 2 },
};

const last = (race, name) => race.events.findLast(event => event.name === name);
const after = (race, name, steps) => (last(race, name)?.step ?? Infinity) + steps;
const error = race => short(race.errors().kan);
const wins = race => race.errors().kan < race.errors().mlp;
const against = race => `${error(race)} against the MLP's ${short(race.errors().mlp)}`;
const before = (race, name) => short(last(race, name).before);
const since = (race, name) => race.steps - last(race, name).step;
const edgeAt = (race, edge) => `.edges [aria-label^="${race.edgeName(...edge)}"]`;

/** Of the edges from the first input, the one whose output varies most. */
function strongest({ kan, task }) {
  const spreads = kan.observe(task.x, task.n)[0].spreads.slice(0, kan.widths[1]);
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

/** Where a contest's KAN was at its best, if that was long ago. */
const turn = ({ history: { step, kan } }, best = Math.min(...kan)) => (kan.at(-1) < 1.05 * best ? ""
  : ` Its test error was lowest, ${short(best)}, at step ${grouped(step[kan.indexOf(best)])}: since then it learns its samples by heart.`);

/**
 * `wish`: what the card says first; `does`: the button that begins it, or what else does; `until`: the step at which
 * it is over, Infinity if it has not begun; `going`: what the card says meanwhile, `found`: at the end; `seen`: that,
 * in a few words; `mark`: what is marked. The beats of one task are one race, which the first of them begins.
 */
export const BEATS = [{
  task: "exp_sine", begins: true, until: () => LEARN, mark: () => ".network",
  wish: () => "Two networks with equally many numbers want to become the target. The KAN has a curve on every edge, and all "
    + "of them begin as straight lines. Watch them bend.",
  found: () => "Out of curves of one variable, and sums of them, comes a picture of two.",
}, {
  task: "exp_sine", until: race => after(race, "edit", 0), mark: race => edgeAt(race, strongest(race)),
  wish: () => "What does one curve do? Click the marked one and pull at a dot. How much of the KAN's picture will change?",
  does(lab) {
    lab.race.beginEdit();
    lab.say(last(lab.race, "edit").text);
    lab.run(bend(lab.race, strongest(lab.race)), () => {}, () => lab.report());
  },
  found: () => "Only a part of it. A dot moves its curve near itself and nowhere else, so training can mend it there.",
}, {
  task: "exp_sine", until: race => after(race, "update", AGAIN), mark: race => edgeAt(race, leavingNode(race).edge),
  wish: race => "The ticks under a curve are its knots: its pieces meet there, and beyond the last it learns nothing. The "
    + `triangles at the marked one: ${percent(leavingNode(race).share)} of its values are out there. What if the knots followed?`,
  does(lab) {
    lab.do("update");
    lab.publish({ follow: true });
  },
  found: race => `They lie where the values are now, and follow from here on. Test error: ${before(race, "update")} before, `
    + `${error(race)} after. The ${since(race, "update")} steps of training between had their part in it.`,
}, {
  task: "exp_sine", does: "fade", speed: 10, mark: () => "[data-do=fade]",
  until: race => (last(race, "prune") ? 0 : race.settings.fade ? race.fadeStart + FADE : Infinity),
  wish: race => `${edges(count(race.kan))} for one picture. Fade puts a small price on each. How many will earn their place?`,
  going: () => "Each edge has its price now. Watch those that are not worth it grow pale.",
  found: ({ kan, task: { x, n } }) => `${edges(count(prune(kan, x, n) ?? kan))} still work. The pale ones hand on next to nothing.`,
}, {
  task: "exp_sine", does: "prune", until: race => after(race, "prune", SETTLE), mark: () => "[data-do=prune]",
  wish: race => `Prune takes the pale ones out. The test error is ${error(race)}: guess what that will cost.`,
  going: race => `They are out: ${last(race, "prune").text}. The others settle.`,
  found: race => `${edges(count(race.kan))} are left. Test error: ${before(race, "prune")} before, ${error(race)} `
    + `${since(race, "prune")} steps later.`,
  seen: race => `${edges(count(race.kan)).toLowerCase()} were enough for its picture`,
}, {
  task: "exp_sine", does: "snap", until: race => (race.formula() ? 0 : Infinity), mark: () => "[data-do=snap]",
  wish: () => "So few curves one can read. Is one a wave, one a parabola? Snap looks for the function that each might be.",
  found: race => `<i>f</i> = ${race.formula().html}, with a test error of ${error(race)}. (A box may hang upside down: if the `
    + "next one turns it back, the two mirrorings cancel.) The target was made of such functions; real data seldom are.",
  seen: race => `as a formula it has a test error of ${error(race)}`,
}, {
  task: "checkers", begins: true, until: () => CONTEST, mark: () => ".learned",
  wish: () => "Should you use a KAN, then? The squares of this board follow x and y, as its first curves do. Which one will win?",
  found: race => `The KAN ${wins(race) ? "wins" : "loses, although such squares should suit it"}: ${against(race)}.${turn(race)}`,
  seen: race => `on a board it ${wins(race) ? "won" : "lost"}, ${against(race)}`,
}, {
  task: "rotated", begins: true, until: () => CONTEST, mark: () => ".learned",
  wish: () => "And now the same board, turned by 30 degrees. Nothing else has changed. Which one will win?",
  found: race => `The KAN ${wins(race) ? "wins even so" : "loses, as a curve of x or of y alone no longer follows a square"}: `
    + `${against(race)}. One start proves nothing: New seed, under More, runs another.`,
  seen: race => `on the turned board it ${wins(race) ? "won" : "lost"}, ${against(race)}`,
}];

/** What a beat needs, as far as it has not happened. */
export function show(lab, beat) {
  const { does, until } = beat;
  if (until(lab.race) === Infinity) typeof does === "string" ? lab.do(does) : does(lab);
  goOn(lab, beat);
}

/** Trains to the end of a beat that has begun. */
function goOn(lab, { until, speed }) {
  const goal = until(lab.race);
  if (goal === Infinity || goal <= lab.race.steps) return;
  lab.script = [];
  if (speed) lab.publish({ speed });
  lab.playTo(goal);
}

export const CARD = `<section class="tour" aria-label="guided tour" data-offer>
  <p aria-live="polite" aria-atomic="true"><b></b> <span>New here?</span></p>
  <p><button type="button" data-tour="back" hidden>Back</button>
    <button type="button" data-tour="next">Take the tour: two minutes</button>
    <a hidden>Why: chapter 3</a> <button type="button" data-tour="leave">No, thanks</button></p></section>`;

/** The card of one view; it offers the tour, until that is begun or dismissed. `close`: closes the sheet of an edge. */
export function tourCard(lab, root, close) {
  const card = root.querySelector(".tour"), [place, words] = card.firstElementChild.children;
  const [back, next, chapter, leave] = card.lastElementChild.children;
  let at = -1, tries = 0, wish = "", state = ""; // at: the beat; -1: the offer; after the last: the end
  let starts = [], seen = []; // by beat: the race as it was, what was seen

  const isHere = () => lab.race.settings.task === BEATS[at]?.task;
  const goal = () => (isHere() ? BEATS[at].until(lab.race) : Infinity);
  const isOver = () => !lab.job && lab.race.steps >= goal();

  function draw() {
    if (card.hidden || !BEATS[at]) return;
    const over = isOver(), busy = !over && isHere() && (!!lab.job || (lab.playing && goal() < Infinity));
    const now = [over, busy, tries, over && !lab.playing && lab.race.steps].join();
    if (now === state) return;
    state = now;
    const { does, going, found, seen: noted, mark: what } = BEATS[at];
    if (over && noted) seen[at] = noted(lab.race);
    const said = over ? found(lab.race) : busy && going ? going(lab.race) : wish;
    if (words.innerHTML !== said) words.innerHTML = said;
    set(next, { "aria-disabled": busy });
    write(next, busy ? "Running …" : over || tries >= TRIES ? "Next" : does ? "Show me" : "Watch");
    if (!busy) mark(over ? null : what(lab.race)); // what is marked stays while it does what it was pressed for
  }

  function mark(selector) {
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
    close();
    lab.play(false);
    if (at === BEATS.length) return sumUp();
    if (BEATS[at].begins) begin(BEATS[at].task);
    starts[at] = { race: lab.race, state: lab.race.state };
    wish = BEATS[at].wish(lab.race);
    write(place, `${at + 1} of ${BEATS.length}`);
    write(leave, "Leave the tour");
    back.hidden = at === 0;
    chapter.hidden = true;
    mark(BEATS[at].mark(lab.race));
    if (isNarrow(root)) root.querySelector(".learned .plots").scrollIntoView(); // and the network below it, above the card
    if (at === 0 && !still()) act();
    lab.redraw();
  }

  function sumUp() {
    const said = seen.filter(Boolean).join("; "), link = document.querySelector("a[href*='03_minimal_kan']");
    write(place, "The end.");
    write(leave, "Done");
    chapter.hidden = !link;
    chapter.href = link?.href;
    write(words, said ? `What you have seen of the KAN: ${said}.` : "That was the tour.");
    write(next, "Your own table");
    mark(null);
  }

  /** What the beat needs; after a reader's detour, what came before it. */
  function act() {
    const { task } = BEATS[at];
    tries++;
    if (!isHere() || lab.race.stopped) begin(task);
    show(lab, BEATS.slice(0, at + 1).find(beat => beat.task === task && lab.race.steps < beat.until(lab.race)));
    lab.redraw();
  }

  function end() {
    if (at >= 0) {
      lab.script = []; // no pause at the end of a beat
      lab.say("The tour has ended.");
    }
    at = -1;
    card.hidden = true;
    mark(null);
    write(words, "");
    root.querySelector("[data-do=play]").focus();
  }

  function openTable() {
    begin("table");
    requestAnimationFrame(() => { // once it is drawn
      end();
      root.querySelector(".own summary").focus();
    });
  }

  return {
    draw, end,
    isOn: () => at >= 0,
    start() {
      card.hidden = false;
      delete card.dataset.offer;
      [starts, seen] = [[], []];
      enter(0);
      next.focus();
    },
    next() {
      if (at < 0) return this.start();
      if (next.ariaDisabled === "true") return;
      if (at === BEATS.length) openTable();
      else if (!isOver() && tries < TRIES) act();
      else enter(at + 1);
      if (at >= 0) next.focus(); // which a sheet that closed has taken
    },
    /** To the beat before, as it began. */
    back() {
      const { race, state } = starts[at - 1];
      lab.play(false);
      race.resume(state);
      race.past = [];
      lab.adopt(race);
      enter(at - 1);
    },
    /** A reader has pressed a button of the lab: what it begins goes on as far as the beat needs. */
    acted(name) {
      if (!isHere() || (name === "play" ? !lab.playing : ![BEATS[at].does, "seed"].includes(name))) return;
      const { steps } = lab.race;
      goOn(lab, goal() > steps && goal() < Infinity ? BEATS[at] : { until: () => (lab.playing ? steps + AGAIN : Infinity) });
    },
    leave: () => !card.hidden && !end(),
  };
}
