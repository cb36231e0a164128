// The cover of the book: a KAN and an MLP of equal size over one large fit. They train for twelve seconds,
// slowly at first, when much happens; then a sentence says what was seen.

import { rangeOf } from "./charts.js";
import { networkDiagram } from "./diagram.js";
import { evenly, grouped, short } from "./numbers.js";
import { isNarrow, listen, mount, round, set, still, watch, widget, write } from "./page.js";
import { rivalDiagram } from "./rival.js";
import { Session } from "./session.js";
import { story } from "./story.js";

const SECONDS = 12, STEPS = 3000;
const SLOWEST = 0.25; // seconds that a frame counts at most: a page out of sight stands still
const PROVES = "One start proves nothing: the evidence is below.";

const net = (name, says) => `<div class="${name.toLowerCase()}"><p class="title"><b>${name}</b>
  <span class="about">${says}</span> <span class="about count"></span></p>
  <div role="img"><div inert><svg class="network"></svg></div></div></div>`;
const PAGE = `<div class="cover">${net("KAN", "a curve on every edge")}${net("MLP", "a number on every edge")}
  <svg class="fit" role="img"></svg>
  <p class="told"><span class="now"></span><span role="status"></span></p>
  <p class="acts"><button type="button" data-do="play">Play</button></p></div>`;

const FIT = `<path class="truth"/><path class="mlp-line"/><path class="kan-line"/>
  <text class="target-now">target</text><text class="mlp-now">MLP</text><text class="kan-now">KAN</text>`;
const SIDE = 56; // for the labels at the ends of the lines

/** Target and both fits, in one plot. */
function fitChart(lab, svg) {
  svg.innerHTML = FIT;
  const lines = [...svg.querySelectorAll("path")], labels = [...svg.querySelectorAll("text")], xs = evenly(-1, 1, 241);
  let width = 0, height = 0;

  function draw({ kan, mlp }) {
    if (!width) return;
    const { task } = lab.race, [low, high] = rangeOf(task.testY, 0.15);
    const px = x => round(((x + 1) / 2) * (width - SIDE), 1), py = y => round((height * (high - y)) / (high - low), 1);
    const rows = [xs.map(x => task.truth(x)), ...[mlp, kan].map(net => net.predict(xs, xs.length))];
    rows.forEach((ys, n) => set(lines[n], { d: `M${Array.from(xs, (x, p) => `${px(x)} ${py(ys[p])}`).join("L")}` }));
    let free = 12; // the labels stand below each other where the lines end close together
    const ends = labels.map((label, n) => [label, py(rows[n].at(-1))]).sort((a, b) => a[1] - b[1]);
    ends.forEach(([label, y], n) => {
      const at = Math.min(Math.max(y + 4, free), height - 4 - 17 * (ends.length - 1 - n));
      set(label, { x: width - SIDE + 6, y: round(at, 1) });
      free = at + 17;
    });
  }

  return {
    draw,
    resize(w, h) {
      [width, height] = [w, h];
      set(svg, { viewBox: `0 0 ${w} ${h}`, height: h });
    },
  };
}

/** Trains to the end unseen, for readers who want less motion. */
async function train(race) {
  while (race.steps < STEPS && !race.stopped) {
    const end = performance.now() + 30;
    while (race.steps < STEPS && !race.stopped && performance.now() < end) race.step();
    await new Promise(done => setTimeout(done));
  }
}

async function view(model, lab, el) {
  if (still()) await train(lab.race);
  const figure = el.parentElement, root = mount(el, "kan-lab", PAGE);
  root.dataset.size = "cover";
  const $ = selector => root.querySelector(selector), play = $("button"), { kan, mlp } = lab.race;
  const network = networkDiagram(lab, $(".kan svg"), () => {}), rival = rivalDiagram(lab, $(".mlp svg")), fit = fitChart(lab, $(".fit"));
  const mine = { seen: false, draw, say() {} }; // the story has its own words
  let seconds = 0, last = 0, begun = still();

  const ended = () => seconds >= SECONDS || lab.race.steps >= STEPS || lab.race.stopped;

  /** How many steps are due in the next frame, by the clock. */
  function pace() {
    const now = performance.now() / 1000;
    seconds += Math.min(now - last, SLOWEST);
    last = now;
    if (ended()) return lab.play(false);
    const due = STEPS * Math.min(1, seconds / (SECONDS - SLOWEST)) ** 2; // all of them, a moment before the end
    model.set({ speed: Math.max(0, Math.ceil(due) - lab.race.steps) });
  }

  function draw(now, turn) {
    const whole = turn === null;
    if (lab.playing) pace();
    if (whole || turn % 2) {
      network.draw(now.kan);
      rival.resize($(".mlp").clientWidth, +$(".kan svg").getAttribute("height")); // both of one height
      rival.draw(now.mlp);
    } else fit.draw(now);
    if (whole) fit.draw(now);
    const done = ended() && !lab.playing;
    const { errors: { kan, mlp }, step } = now;
    write($(".now"), done ? "" : `Step ${grouped(step)}. Test error: KAN ${short(kan)}, MLP ${short(mlp)}.`);
    write($("[role=status]"), done ? `${story(lab.race)} ${PROVES}` : "");
    write(play, lab.playing ? "Pause" : done ? "Play again" : "Play");
  }

  function toggle() {
    if (ended() && !lab.playing) {
      seconds = 0;
      lab.start(lab.given);
    }
    begin(!lab.playing);
  }

  function begin(on) {
    last = performance.now() / 1000;
    model.set({ speed: 1 });
    lab.play(on);
  }

  function resize() {
    const narrow = isNarrow(root);
    network.resize($(".kan").clientWidth, narrow ? 250 : 300);
    fit.resize($(".fit").clientWidth, narrow ? 118 : 168);
    lab.changed();
  }

  const sight = new IntersectionObserver(([{ isIntersecting }]) => {
    mine.seen = isIntersecting;
    if (!isIntersecting) return;
    if (!begun && model.get("playing")) begin(true);
    begun = true;
    lab.changed();
  }, { threshold: 0.05 });
  const edges = kan.layers.reduce((count, { inputs, outputs }) => count + inputs * outputs, 0);
  const says = (name, net, words) => {
    write($(`.${name} .count`), `${net.count()} parameters`);
    set($(`.${name} [role=img]`), { "aria-label": words });
  };
  says("kan", kan, `the KAN: ${edges} edges, a small curve on each`);
  says("mlp", mlp, `the MLP, layers of ${mlp.widths.join(", ")} nodes: a number on each edge`);
  set($(".fit"), { "aria-label": "the target, and what KAN and MLP have made of it" });
  const link = figure?.querySelector(".still a"); // the page's own, to the whole Lab
  if (link) $(".acts").append(link);
  listen(play, { click: toggle });
  const unwatch = watch(root, resize);
  sight.observe(root);
  lab.views.add(mine);
  return () => {
    unwatch();
    sight.disconnect();
    lab.views.delete(mine);
  };
}

export default widget(Session, view);
