// The narrator: what happens in a race, as one sentence or none. It says no more than the race shows: each
// sentence stands beside its condition. What it says depends on the race and on what it has said before.

import { CURVE, FUNCTION } from "./layer.js";
import { deviation, grouped, moments, rowsOf, short, sum } from "./numbers.js";
import { lossOf } from "./optimizers.js";
import { prune } from "./pruning.js";

const WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
  "thirteen", "fourteen", "fifteen"];
const AHEAD = 1.1; // times an error: less is level
const NEAR = 1.3; // the same, where it may be chance
const HELD = 50; // steps that a lead lasts before somebody who passes is worth a word
const SHAPE = 0.3; // the test error of a network that has the shape
const SINCE = { // what was done to the KAN
  update: "the knots moved", extend: "the grid became finer", prune: "the pruning", edit: "the change by hand",
  optimizer: "the change of the optimizer",
};

export const percent = share => `${Math.round(100 * share)} %`;
const other = name => (name === "KAN" ? "MLP" : "KAN");

const counted = (n, things) => (WORDS[n] ?? grouped(n)).replace(/^./, first => first.toUpperCase()) + ` ${things}`;
export const edges = n => counted(n, n === 1 ? "edge" : "edges");

/** Who leads, since which step; who led before that, and for how many steps. */
function contest({ step, kan, mlp }) {
  let leader = null, since = 0, before = null, held = 0;
  step.forEach((now, p) => {
    const ahead = kan[p] * AHEAD < mlp[p] ? "KAN" : mlp[p] * AHEAD < kan[p] ? "MLP" : leader;
    if (ahead === leader || mlp[p] === null) return; // null: a new MLP that has to catch up
    [before, held, leader, since] = [leader, now - since, ahead, now];
  });
  return { leader, since, before, held };
}

/** The test error of the best straight line or plane, where the test's inputs are evenly spread. */
function flatError({ truth, testX, testY, testN }) {
  if (!truth) return Infinity;
  const [mean, variance] = moments(testY);
  const explained = rowsOf(testX, testN).map(x =>
    (sum(x.map((v, s) => v * (testY[s] - mean))) / testN) ** 2 / (moments(x)[1] * variance));
  return Math.sqrt(Math.max(0, 1 - sum(explained)));
}

/** The edge out of a hidden node with the largest share of values beyond its knots. */
export function leavingNode({ kan, task: { x, n } }) {
  const nodes = kan.observe(x, n).flatMap(({ inputs }, l) => (l === 0 ? [] : inputs.map((values, i) => {
    const [a, b] = kan.layers[l].domain(i);
    return { edge: [l, i, 0], share: values.filter(v => v < a || v > b).length / n };
  })));
  return nodes.sort((one, two) => two.share - one.share)[0] ?? null;
}

export const count = net => net.edges(CURVE).length + net.edges(FUNCTION).length;

/** How many edges Prune would leave; null if there is nothing to prune, or the test error would suffer. */
function working({ kan, task, history }) {
  const small = prune(kan, task.x, task.n);
  if (!small || count(small) === count(kan)) return null;
  const error = Math.sqrt(lossOf(small.tape(task.testX, task.testN), task.testY)) / task.spread;
  return error < 1.25 * history.kan.at(-1) ? count(small) : null;
}

/** The best error of the last 300 steps (a third of all, later) and that before them, since something was done. */
function progress({ step, kan }, steps, since) {
  const from = steps - Math.max(300, steps / 3), start = step.findIndex(at => at >= since);
  if (from < since + 100) return null;
  const middle = step.findLastIndex(at => at <= from) + 1, early = kan.slice(start, middle), late = kan.slice(middle);
  const best = Math.min(...early), swing = deviation(Float64Array.from(late, Math.log));
  return { best, step: step[start + early.indexOf(best)], late: Math.min(...late), swing };
}

// From the most telling on. Each: under which name it is said but once, when it is true, what it says.

const SENTENCES = [
  [f => `passed ${f.leader} ${Math.floor(f.since / 500)}`,
    f => f.before && f.errors[f.leader] < f.errors[f.before] && f.held >= Math.max(HELD, f.since / 10)
      && f.race.steps - f.since >= HELD / 2 && f.race.steps - f.since < 300,
    f => `Step ${grouped(f.since)}: the ${f.leader} has passed the ${f.before}.`],
  [f => `working ${f.working}`,
    f => f.fading > 300 && (f.working = working(f.race)) !== null,
    f => `${edges(f.working)} ${f.working === 1 ? "does" : "do"} nearly all the work. Prune?`],
  [() => "shape",
    f => f.leader && !f.level && f.errors[f.leader] < SHAPE && f.errors[other(f.leader)] > 0.85 * flatError(f.race.task),
    f => `The ${f.leader} has the shape; the ${other(f.leader)} is hardly better yet than a straight `
      + `${f.race.task.inputs === 1 ? "line" : "plane"}.`],
  [f => `leaving ${f.events}`,
    f => f.still && (f.leaving = leavingNode(f.race))?.share > 0.2,
    f => `${beyond(f.leaving)}, where its curves end.`],
  [f => `stuck ${f.events}`,
    f => f.progress && f.progress.late > 0.97 * f.progress.best,
    f => `The KAN has come no further since step ${grouped(f.progress.step)}${why(f)}`],
  [f => `since ${f.events} ${f.errors.KAN < f.old}`,
    f => SINCE[f.last?.name] && f.calm >= 100 && Math.max(f.errors.KAN / f.old, f.old / f.errors.KAN) > 1.3,
    f => `Since ${SINCE[f.last.name]}, the KAN's test error has ${f.errors.KAN < f.old ? "fallen" : "risen"}: `
      + `it was ${short(f.old)}.`],
  [f => `settled ${f.events}`,
    f => f.last?.name === "prune" && f.calm >= 150 && !f.race.locks().snap,
    () => "The curves that are left have settled. Snap?"],
  [f => `ahead ${f.leader}`,
    f => !f.level && f.errors.MLP < Infinity && f.race.steps >= Math.max(100, f.since + HELD),
    f => `The ${f.leader} is ahead.`],
];

const beyond = ({ share }) => `${percent(share)} of the values that reach one node are beyond its knots`;

function why({ progress: { swing, best }, race, still }) {
  const { lr, optimizer } = race.settings, leaving = still && leavingNode(race);
  if (swing > 0.2 && optimizer === "adam") return `, and its error swings: the learning rate of ${lr} may be too high.`;
  if (leaving?.share > 0.2) return `: ${beyond(leaving)}. Update moves these.`;
  return `: its test error was ${short(best)} then.`;
}

function facts(race) {
  const { history, events, settings, steps } = race, last = events.at(-1), from = last?.step ?? 0;
  const KAN = history.kan.at(-1), MLP = history.mlp.at(-1) ?? Infinity;
  return {
    ...contest(history), race, last, events: events.length, calm: steps - from,
    still: !settings.follow && !race.had("snap"), errors: { KAN, MLP }, level: Math.max(KAN / MLP, MLP / KAN) < AHEAD,
    fading: settings.fade ? steps - race.fadeStart : 0, progress: settings.fade ? null : progress(history, steps, from),
    old: history.kan[history.step.findLastIndex(at => at < from)],
  };
}

/** The next sentence, a name for it among those `said` before, or null. `isTrue(race)`: whether it is so still. */
export function narrate(race, said) {
  const now = facts(race);
  for (const [nameOf, holds, say] of SENTENCES) {
    if (!holds(now)) continue;
    const name = nameOf(now), holdsIn = facts => !!holds(facts) && nameOf(facts) === name;
    if (!said.has(name)) return { name, words: say(now), isTrue: race => holdsIn(facts(race)) };
  }
  return null;
}

/** Of a table, in its own units. A lead may be chance where the squared errors, row by row, differ by less than twice their noise. */
function concludeTable({ kan, mlp, task: { testX, testY, testN: n, spread, target, targetScale } }) {
  const squares = [kan, mlp].map(net => net.predict(testX, n).map((value, s) => (value - testY[s]) ** 2));
  const [KAN, MLP] = squares.map(all => Math.sqrt(moments(all)[0]) / spread);
  const [gap, variance] = moments(squares[0].map((square, s) => square - squares[1][s]));
  const ratio = Math.max(KAN / MLP, MLP / KAN), chance = gap ** 2 < (4 * variance) / (n - 1);
  const ahead = `the ${KAN < MLP ? "KAN" : "MLP"} is ahead${chance ? ", perhaps by chance" : ""}`;
  const ends = (ratio < (chance ? NEAR : AHEAD) ? "level" : ahead) + (chance ? `. ${counted(n, "rows")} cannot tell more` : "");
  return `On the ${grouped(n)} rows held out the KAN's error is ${short(KAN)} of their spread `
    + `(${short(KAN * spread * targetScale[1])} in units of ${target}), the MLP's ${short(MLP)}: ${ends}.`;
}

/** How a run has ended. */
export function conclude(race) {
  const { leader, level, errors: { KAN, MLP } } = facts(race), step = `Step ${grouped(race.steps)}`;
  if (race.stopped) return race.stopped;
  if (race.formula()) return `${step}: the KAN is a formula, with a test error of ${short(KAN)}.`;
  if (race.steps < 50) return `${step}: too early to say who learns better.`;
  if (MLP === Infinity) return `${step}: the KAN's test error is ${short(KAN)}; the new MLP has yet to catch up.`;
  if (race.task.target) return concludeTable(race);
  if (level) return `${step}: the two are level, with test errors of ${short(KAN)} and ${short(MLP)}.`;
  return `${step}: the ${leader} is ahead, with a test error of ${short(Math.min(KAN, MLP))} against ${short(Math.max(KAN, MLP))}.`;
}
