// What all views of one KAN Lab share: the race, and who works on it, 8 ms a frame. The race
// (race.js) knows nothing of the page.

import { conclude, narrate } from "./narrator.js";
import { equal } from "./numbers.js";
import { still } from "./page.js";
import { DEFAULTS, Race } from "./race.js";

const FRAME = 8, LONG = 20; // milliseconds of work in a frame; of Levenberg-Marquardt's, whose steps take several
const LIVE = ["lr", "optimizer", "follow", "fade"]; // settings that may change in the midst of a race
const CALM = 50; // steps between two pictures where motion is to be reduced

// By name: what a button says, and what it does.
export const ACTIONS = {
  play: ["Play", "train, a few steps a frame"],
  update: ["Update", "move the knots to where the values are"],
  extend: ["G × 2", "twice as many intervals for the same curves"],
  fade: ["Fade", "a small price on every edge: those of little use fade away"],
  prune: ["Prune", "take out the edges that have faded"],
  snap: ["Snap", "find the function that each curve looks like, and put it in its place"],
  step: ["Step", "one step of training"],
  undo: ["Undo", "back to before the last event"],
  reset: ["Reset", "the same start again"],
  seed: ["New seed", "another start, by other random numbers"],
  seeds: ["Five seeds", "the same race from five other starts"],
};

const bytes = base64 => (base64 ? Uint8Array.from(atob(base64), c => c.charCodeAt(0)) : null);

export class Session {
  constructor(model) {
    this.model = model;
    this.scripted = model.get("task");
    this.views = new Set();
    this.playing = false;
    this.job = null; // what is worked on in place of training: a generator, and who hears of it
    this.others = []; // five more races
    this.looking = null; // the number of the snapshot that is shown; null: what is now
    this.turn = this.waiting = 0;
    this.version = 0; // counts what was done by hand
    this.whole = true; // whether the next picture is drawn at once, not part by part
    this.message = "";
    this.start(model.get("network"));
    for (const name of [...Object.keys(DEFAULTS), "points"]) model.on(`change:${name}`, () => this.later());
    model.on("change:network", () => {
      if (model.get("network") !== this.sent) this.start(model.get("network"));
    });
    model.on("change:playing", () => model.get("playing") !== this.playing && this.do("play"));
  }

  get settings() {
    return Object.fromEntries(Object.keys(DEFAULTS).map(name => [name, this.model.get(name)]));
  }

  /** A new race by the traits; of a network that Python shows, if there is one. */
  start(network = null) {
    this.given = network;
    this.points = this.model.get("points");
    this.portrait = bytes(this.model.get("_portrait"));
    this.take(new Race(this.settings, { points: this.points, portrait: this.portrait, network }));
  }

  take(race) {
    this.cancel();
    this.race = race;
    this.others = [];
    this.looking = null;
    const script = race.settings.task === this.scripted ? this.model.get("script") : []; // written for one task
    this.script = script.filter(([step]) => step >= race.steps);
    this.told = new Set(); // what the narrator has said of this race
    this.until = [50, 0]; // the steps and the time before which he does not speak
    this.changed();
  }

  /** A race from elsewhere; the traits follow. */
  adopt(race) {
    this.points = race.task.points;
    this.publish({ points: this.points });
    this.take(race);
    this.report();
  }

  /** Traits come one by one; what they change is done once they are all there. */
  later() {
    if (this.settling) return;
    this.settling = true;
    queueMicrotask(() => {
      this.settling = false;
      const old = this.race.settings, wanted = Object.entries(this.settings);
      const changes = wanted.filter(([name, value]) => !equal(value, old[name]));
      const otherPoints = !equal(this.model.get("points"), this.points);
      if (otherPoints || changes.some(([name]) => !LIVE.includes(name))) this.start();
      else if (changes.length) this.act(() => this.race.set(Object.fromEntries(changes)));
    });
  }

  publish(changes) {
    this.model.set(changes);
    this.model.save_changes();
  }

  /** What Python shall see: after events and pauses, not at every step. */
  report() {
    this.sent = this.race.kan.toJSON();
    this.publish({ ...this.race.settings, network: this.sent, steps: this.race.steps });
  }

  say(words, line = null) {
    [this.message, this.line] = [words, line]; // line: the narrator's, if it is one
    this.until = [this.race.steps + 100, performance.now() + 5000]; // some training, and time to read
    for (const view of this.views) view.say(words);
  }

  changed() {
    this.version++;
    this.redraw();
  }

  /** All of the picture at once, of the same race. */
  redraw() {
    this.whole = true;
    this.wake();
  }

  act(what) {
    this.cancel();
    this.looking = null;
    const count = this.race.events.length;
    try {
      what();
    } catch (error) {
      return this.say(error.message);
    }
    if (this.race.events.length > count) this.say(this.race.events.at(-1).text);
    this.report();
    this.changed();
  }

  play(on) {
    if (on === this.playing) return;
    this.playing = on;
    this.looking = null;
    if (on) this.cancel();
    this.publish({ playing: on });
    if (!on) {
      this.race.settle();
      this.report();
      this.say(conclude(this.race));
    }
    this.changed();
  }

  /** Train to a step, then pause. */
  playTo(step) {
    this.script = [...this.script.filter(([at]) => at < step), [step, "pause"]];
    this.play(true);
  }

  /** The narrator's next sentence; what was said before has had its time, or is not true any more. */
  tell() {
    const next = narrate(this.race, this.told);
    this.told.add(next?.name);
    if (next || (this.message && !this.race.formula())) this.say(next?.words ?? "", next);
    else this.until[1] = performance.now() + 1000;
  }

  do(name) {
    const { race } = this, { settings } = race, reason = race.limits()[name];
    if (reason) return this.say(reason);
    const done = {
      play: () => this.play(!this.playing),
      pause: () => this.play(false), // for scripts
      step: () => {
        this.look(null);
        race.step();
      },
      fade: () => this.act(() => race.set({ fade: !settings.fade })),
      snap: () => this.snapAll(),
      undo: () => this.undo(),
      reset: () => {
        this.publish({ fade: false });
        this.start(this.given);
        this.say("the same start again");
      },
      seed: () => {
        this.publish({ fade: false, seed: settings.seed + 1 });
        this.start();
        this.say(`a start from seed ${settings.seed + 1}`);
      },
      seeds: () => this.five(),
    };
    (done[name] ?? (() => this.act(() => race[name]())))(); // update, extend, prune
  }

  undo() {
    const { events, past } = this.race;
    if (!past.length) return this.say("There is nothing to undo.");
    this.act(() => this.race.undo());
    const gone = events[this.race.events.length];
    this.say(gone ? `undone: ${ACTIONS[gone.name]?.[0] ?? "a change by hand"}` : "undone");
  }

  /** Show a snapshot, or what is now: null. */
  look(index) {
    this.play(false);
    this.cancel();
    this.looking = index;
    this.changed();
  }

  rewind() {
    const index = this.looking;
    this.act(() => this.race.rewind(index));
    this.say(`on from step ${this.race.steps}`);
  }

  /** Work on a generator, within the frames, until it is done or something else is. */
  run(generator, heard, done) {
    this.cancel();
    this.play(false);
    this.job = { generator, heard, done };
    this.changed();
  }

  cancel() {
    this.job?.generator.return();
    this.job = null;
  }

  snapAll() {
    this.looking = null;
    this.play(false);
    this.say("looking for functions …");
    const heard = at => at && this.say(`curve ${at.done + 1} of ${at.of}: comparing with functions …`);
    this.run(this.race.snapAll(), heard, ({ complete, text }) => {
      this.say(complete ? this.race.events.at(-1).text : text);
      this.report();
    });
  }

  five() {
    const { points, portrait, race: { settings } } = this;
    const seeds = [1, 2, 3, 4, 5].map(n => settings.seed + n);
    this.others = seeds.map(seed => new Race({ ...settings, seed }, { points, portrait }));
    this.say(`seeds ${seeds[0]} to ${seeds[4]}, with the settings of now`);
    this.changed();
  }

  /** How far the other races shall run: as far as the first one, and far enough to see something. */
  behind() {
    const goal = Math.max(300, this.race.steps);
    return this.others.filter(race => race.stride || race.steps < goal).sort((a, b) => a.steps - b.steps)[0];
  }

  train(end) {
    for (let n = 0; n < this.model.get("speed") && performance.now() < end;) {
      while (this.script.length && this.script[0][0] <= this.race.steps) this.do(this.script.shift()[1]);
      if (!this.playing) return;
      n += this.race.slice();
    }
  }

  // One frame: some work, then a part of the picture.

  wake() {
    this.waiting ||= requestAnimationFrame(() => this.frame());
  }

  frame() {
    this.waiting = 0;
    const views = [...this.views].filter(view => view.seen);
    if (!views.length) return; // whoever comes into sight wakes it
    const pictures = () => Math.floor(this.race.steps / CALM), before = pictures();
    const room = this.race.settings.optimizer === "lm" ? LONG : FRAME;
    const busy = this.work(performance.now() + room), whole = this.whole || !busy || still();
    const calm = still() && busy && !this.whole && pictures() === before;
    this.whole = false;
    const now = this.shown(whole);
    const { race } = this;
    if (this.playing && race.stopped) this.play(false);
    const due = race.steps > this.until[0] && performance.now() > this.until[1];
    if (this.playing && (due || (this.line && race.steps % 20 === 0 && !this.line.isTrue(race)))) this.tell();
    if (!calm) for (const view of views) view.draw(now, whole ? null : this.turn);
    this.turn++;
    if (busy || this.whole) this.wake();
  }

  /** Whether there is more to do. */
  work(end) {
    const { job } = this;
    if (job) {
      do {
        const { value, done } = job.generator.next();
        if (done) {
          this.job = null;
          job.done(value);
          this.whole = true;
        } else job.heard(value);
      } while (this.job === job && performance.now() < end);
      return true;
    }
    if (this.playing) this.train(end);
    let other;
    while (performance.now() < end && (other = this.behind())) other.slice();
    return this.playing || !!other;
  }

  /** The networks and errors that are shown; between two pictures of the whole, the last errors noted. */
  shown(whole) {
    const { race, looking } = this, { kan, mlp } = race.history;
    if (looking !== null) return race.view(looking);
    const errors = whole ? race.errors() : { kan: kan.at(-1), mlp: mlp.at(-1) };
    return { kan: race.kan, mlp: race.mlp, errors, step: race.steps, seconds: race.seconds };
  }
}
