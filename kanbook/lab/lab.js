// The KAN Lab's view: what a reader sees and does. It draws one part of the picture in each frame, and
// says what happened. A large lab has everything; a small one a network, a race and a few buttons.

import { brief, drawIcon, raceChart } from "./charts.js";
import { networkDiagram } from "./diagram.js";
import { DRAWN, fitChart } from "./fit.js";
import { fullSize } from "./formula.js";
import { edgeInspector } from "./inspector.js";
import { CURVE } from "./layer.js";
import { listenToLinks } from "./links.js";
import { FAIR, FIFTH, HIDDEN, SPEEDS, page } from "./markup.js";
import { clamp, equal } from "./numbers.js";
import { children, copyFrom, isNarrow, listen, mount, set, show, still, swallow, text, watch, widget, write } from "./page.js";
import { Race } from "./race.js";
import { ACTIONS, Session } from "./session.js";
import { TASKS, makeTask, parseCSV, readsOf } from "./tasks.js";
import { tourCard } from "./tour.js";

const RUN = 1000; // steps that a table is trained

/** Which points are which, and along which axes. */
function legendOf({ name, inputs, names, scale, target, n, testN }) {
  if (!target) return name === "drawn" ? "Draw a curve over the target, with finger or mouse; all other tasks need neither." : "";
  const [across, up] = names.map((name, i) => `${name}, ${scale[i].map(end => text(+end.toPrecision(6))).join(" to ")}`);
  const axes = inputs === 2 ? ` From left to right ${across}; upwards ${up}.` : "";
  return `Circles are learned from, diamonds held out: ${testN} of ${n + testN}, every fifth row.${axes}${n > DRAWN ? " Not all are drawn." : ""}`;
}

/** A picture of each task on its chip, drawn one after the other when there is time. */
function drawChips(root, portrait) {
  const names = Object.keys(TASKS), next = () => {
    const name = names.shift(), canvas = root.querySelector(`[value=${name}] + canvas`);
    if (name !== "portrait" || portrait) drawIcon(canvas, makeTask(name, { portrait }));
    if (names.length) setTimeout(next, 30);
  };
  setTimeout(next, 30);
}

function view(model, lab, el) {
  const large = model.get("size") !== "small";
  const first = large && !document.querySelector(".kan-lab[data-size=large]");
  const root = mount(el, "kan-lab", page(large, model.get("actions") ?? []));
  root.dataset.size = large ? "large" : "small";
  const $ = selector => root.querySelector(selector), $$ = selector => [...root.querySelectorAll(selector)];
  const mine = { seen: false, draw, say: words => write($(".status"), words) };
  const network = networkDiagram(lab, $(".network"), box => inspector.open(box), edge => {
    lit = edge;
    lab.redraw();
  });
  const inspector = edgeInspector(lab, root, network);
  const tour = large ? tourCard(lab, root, inspector.close) : null;
  const chart = raceChart($(".chart")), scrubber = $(".scrub input");
  const learned = !large ? null : fitChart(lab, root, $(".learned"), points => {
    lab.publish({ points });
    lab.play(true);
  });
  let unit = "steps", five = [], formula = null, counts = "", task = "", begun = false, taken = null, lit = null;
  let own = null, reads = ""; // the reader's table, and how pandas reads it

  // --- drawing

  /** All of the picture; or, by the turn, a part of it. */
  function draw(now, turn) {
    const part = turn === null ? null : turn % 3, whole = part === null;
    if (whole || part === 0) {
      network.draw(now.kan);
      inspector.draw(now, whole);
    }
    if (whole || part === 1) {
      const place = placeOf(now), at = lab.looking === null ? null : place;
      scrubber.max = chart.draw(lab.race, { unit, at, errors: now.errors });
      scrubber.value = place;
      drawNumbers(now);
      drawButtons();
      drawFive(whole ? null : Math.floor(turn / 3));
      tour?.draw();
      if (taken && (lab.race !== taken.race || lab.race.steps > taken.step + 100)) write($(".took"), "");
    }
    if (large && (whole || part === 2)) learned.draw(now, whole ? null : turn % 6 === 2 ? "kan" : "mlp", lit ?? inspector.edge);
    if (whole) drawControls(now);
  }

  function drawNumbers({ kan, mlp, step }) {
    const { race, script } = lab, name = race.settings.task;
    const next = script.length ? `; ${ACTIONS[script[0][1]]?.[0] ?? "pause"} at ${script[0][0]}` : "";
    const [first] = kan.layers;
    const grid = kan.edges(CURVE).length ? `, G = ${first.grid_size}` : "";
    const numbers = kan.count() ? `${kan.count()} parameters` : "all numbers rounded";
    write($(".numbers"), `[${kan.widths.join(", ")}]${grid}, ${numbers}`);
    write($(".now"), `step ${step}${next}`);
    const behind = race.mlpSteps < race.steps ? ` New MLP: step ${race.mlpSteps} of ${race.steps}.` : "";
    const sizes = `${kan.count()} ${mlp.count()} ${name} ${behind}`;
    if (sizes === counts) return;
    counts = sizes;
    const uneven = kan.count() > 0 && Math.abs(Math.log(kan.count() / mlp.count())) > 0.15;
    const counted = `Parameters: KAN ${kan.count() || "none left to learn"}, MLP ${mlp.count()} [${mlp.widths.join(", ")}].`;
    $(".fair span").textContent = `${counted}${uneven ? " The MLP kept its size." : ""}${behind} ${FAIR[name] ?? ""}`;
    $("[data-match]").hidden = !uneven || kan.count() < 20;
  }

  /** Which buttons have to wait, and the one that leads on. */
  function drawButtons() {
    const locks = locksOf(), next = lab.race.next() ?? (lab.playing ? "" : "play");
    for (const node of $$("[data-do]")) {
      const name = node.dataset.do, why = locks[name];
      set(node, { "aria-disabled": !!why, title: why ?? ACTIONS[name][1] });
      node.toggleAttribute("data-next", name === next);
    }
  }

  /** All of them; or, by the turn, one. */
  function drawFive(turn) {
    const { others } = lab;
    if (!large || (!others.length && !five.length)) return;
    $(".five").hidden = !others.length;
    const nodes = children($(".five"), others.length, FIFTH);
    if (five.length !== others.length) {
      five = nodes.map(node => ({ node, chart: raceChart(node.firstChild, { labels: false }), drawn: "" }));
      resize();
    }
    five.forEach((one, n) => {
      const { history, steps, settings: { seed } } = others[n], drawn = `${seed} ${steps} ${unit}`;
      if (one.drawn === drawn || (turn !== null && turn % five.length !== n)) return;
      const errors = { kan: history.kan.at(-1), mlp: history.mlp.at(-1) }; // the last ones noted
      const kan = `KAN ${brief(errors.kan)}`, mlp = `MLP ${brief(errors.mlp)}`;
      one.drawn = drawn;
      one.chart.draw(others[n], { unit, at: null, errors });
      set(one.node.firstChild, { "aria-label": `seed ${seed}, step ${steps}: ${kan}, ${mlp}` });
      one.node.lastChild.innerHTML = `seed ${seed}<br><b>${kan}</b><br><i>${mlp}</i>`;
    });
  }

  /** What changes by hand only, and what a screen reader reads. */
  function drawControls({ kan, errors, step }) {
    const { race } = lab, written = lab.looking === null ? race.formula()?.html ?? null : null;
    const said = `step ${step}: KAN ${brief(errors.kan)}, MLP ${brief(errors.mlp)}`;
    const events = race.events.map(one => `. Step ${one.step}: ${one.text}`).join("");
    network.describe(kan);
    set($(".chart"), { "aria-label": `At ${said}${events}` });
    set(scrubber, { "aria-valuetext": said });
    for (const node of $$("[data-do=play]")) node.textContent = lab.playing ? "Pause" : "Play";
    for (const node of $$("[data-do=fade]")) set(node, { "aria-pressed": race.settings.fade });
    $(".back").hidden = lab.looking === null;
    $(".back span").textContent = `Step ${step} of ${race.steps}.`;
    if (written !== formula) {
      formula = written;
      $(".formula").hidden = !formula;
      const { names, target = "f" } = race.task, [f, ...inputs] = [target, ...names].map(name => `<i>${name}</i>`);
      $(".formula").innerHTML = `${f}(${inputs.join(", ")}) = ${formula}`;
    }
    if (large) {
      const full = race.task.target && race.steps >= 50;
      $(".full").hidden = !full;
      write($(".full"), full ? fullSize(race.task, reads) : "");
      write($(".legend"), legendOf(race.task));
      drawSettings(race.settings);
    }
    if (race === taken?.race) return;
    for (const node of $$(".copied")) node.hidden = true;
  }

  function drawSettings({ widths, degree, domain: [low, high], lr, optimizer, ...settings }) {
    const hidden = widths.slice(1, -1).join(", "), select = $("[name=widths]");
    const options = [...new Set([...HIDDEN, hidden])];
    if (select.options.length !== options.length)
      select.innerHTML = options.map(one => `<option value="${one}">${one || "none"}</option>`).join("");
    const speed = SPEEDS.filter(one => one <= model.get("speed")).length - 1;
    const values = { widths: hidden, grid_size: lab.race.kan.layers[0].grid_size, degree, low, high, optimizer, lr: Math.log10(lr), speed };
    const said = { ...values, lr: show(lr), speed: model.get("speed") };
    for (const name in values) {
      const input = $(`[name=${name}]`);
      input.value = values[name];
      if (input.type !== "range") continue;
      input.nextSibling.textContent = said[name];
      set(input, { "aria-valuetext": said[name] });
    }
    for (const input of $$(".settings [type=checkbox]")) input.checked = settings[input.name];
    if (tour.isOn()) defaults = chosen(); // they are the tour's, no reader's
    $(".changed").hidden = equal(chosen(), defaults);
    if (task === settings.task) return;
    task = root.dataset.task = settings.task;
    for (const input of $$(".chip input")) input.checked = input.value === task;
    const chips = $(".chips"), one = $(".chip:has(:checked)");
    chips.scrollLeft = one.offsetLeft - (chips.clientWidth - one.clientWidth) / 2;
    $("[data-clear]").hidden = task !== "drawn";
    $(".own").hidden = task !== "table";
    if (task === "table") {
      if (lab.points) own = lab.points;
      $(".own").open = !lab.points;
      $(".own textarea").value = lab.race.task.points.map(row => row.join(", ")).join("\n");
    }
    resize();
  }

  // --- controls

  const hiddenWidths = () => lab.race.settings.widths.slice(1, -1);

  /** What the settings are, whatever the task. */
  function chosen() {
    const { task, widths, fade, seed, ...settings } = lab.race.settings;
    return [hiddenWidths(), settings, model.get("speed")];
  }
  let defaults = chosen();

  const changes = {
    widths({ value }) {
      const hidden = value ? value.split(", ").map(Number) : [];
      return { widths: [lab.race.task.inputs, ...hidden, 1] };
    },
    lr: ({ value }) => ({ lr: +(10 ** value).toPrecision(2) }),
    speed: ({ value }) => ({ speed: SPEEDS[value] }),
    low: ({ valueAsNumber }) => ({ domain: [valueAsNumber, lab.race.settings.domain[1]] }),
    high: ({ valueAsNumber }) => ({ domain: [lab.race.settings.domain[0], valueAsNumber] }),
  };

  function onInput({ target }) {
    const { name, type, value, checked } = target;
    const given = { checkbox: checked, range: +value }[type] ?? value;
    if (target === scrubber) lookAt(+value);
    else if (type === "file") target.files[0].text().then(table => ($(".own textarea").value = table));
    else if (target.closest(".tasks")) choose(value);
    else if (target.closest(".settings")) change(changes[name]?.(target) ?? { [name]: given });
  }

  function change(settings) {
    const [low, high] = settings.domain ?? [0, 1], limit = lab.race.limits()[settings.optimizer];
    if (!(high - low >= 0.01)) return lab.say("The domain needs two numbers, the second the larger one.");
    if (limit) lab.say(limit);
    else lab.publish(settings);
    if (settings.grid_size === lab.race.settings.grid_size) lab.start(); // back from an extension
    lab.changed();
  }

  function choose(name) {
    const points = name === "table" ? own : null, inputs = points ? points[0].length - 1 : TASKS[name].inputs;
    lab.publish({ task: name, points, fade: false, widths: [inputs, ...hiddenWidths(), 1] });
    lab.say(name === "table" ? "This is an example. Paste your own table over it, or choose a file." : "");
  }

  async function train() {
    const { value } = $(".own textarea");
    try {
      own = parseCSV(value);
    } catch ({ message }) {
      return write($(".wrong"), `${message}.`);
    }
    write($(".wrong"), "");
    reads = readsOf(value);
    lab.publish({ points: own, fade: false, widths: [own[0].length - 1, ...hiddenWidths(), 1] });
    await null; // as the lab hears of it
    lab.playTo(lab.race.steps + RUN);
    const { n, testN } = lab.race.task;
    lab.say(`${n + testN} rows; held out for the test: ${testN} of ${n + testN}, every fifth`);
    $(".own").open = false;
    $(".own summary").focus();
  }

  const placeOf = ({ step, seconds }) => (unit === "steps" ? step : seconds.kan);

  /** The snapshot nearest to a place; at the end, what is now. */
  function lookAt(place) {
    const { steps, seconds, snapshots } = lab.race, gaps = snapshots.map(one => Math.abs(placeOf(one) - place));
    lab.look(place >= placeOf({ step: steps, seconds }) ? null : gaps.indexOf(Math.min(...gaps)));
  }

  async function share(what) {
    const area = $(".copied"), link = what === "link", { task } = lab.race;
    const tail = task.target ? `\n\n${fullSize(task, reads)}` : "";
    taken = { race: lab.race, step: lab.race.steps };
    area.hidden = false;
    area.value = link ? `${location.href.split("#")[0]}#lab=${await lab.race.encode()}` : lab.race.python() + tail;
    const copied = await copyFrom(area);
    const said = link ? "Copied: a link that holds all of this." : "Copied.";
    write($(".took"), copied ? said : "Copy the text below.");
  }

  function measure(by) {
    unit = by;
    for (const node of $$("[data-unit]")) set(node, { "aria-pressed": node.dataset.unit === unit });
    lab.changed();
  }

  /** Opens what a button holds, or closes it. */
  function unfold(button, open = button.ariaExpanded !== "true") {
    set(button, { "aria-expanded": open });
    if ("more" in button.dataset) $(".rest").hidden = !open;
    else write(button, open ? "Fewer tasks" : "More tasks");
  }

  /** Why a button cannot be pressed. A small lab's buttons are whatever its author wants. */
  const locksOf = () => (large ? lab.race.locks() : lab.race.limits());

  const pressed = {
    do(name) {
      const why = locksOf()[name];
      if (why) return lab.say(why);
      lab.do(name);
      tour?.acted(name);
    },
    more: (_, button) => unfold(button),
    all: (_, button) => unfold(button),
    tour: name => tour[name](),
    unit: measure,
    share,
    back: to => (to === "now" ? lab.look(null) : lab.rewind()),
    match: () => lab.act(() => lab.race.matchMLP()),
    own: train,
    clear() {
      lab.play(false);
      lab.publish({ points: [[-1, 0], [1, 0]] });
    },
  };

  function onClick({ target }) {
    for (const name in target.dataset) pressed[name]?.(target.dataset[name], target);
  }

  function onKey(event) {
    const { key, target } = event, way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[key];
    const back = (event.ctrlKey || event.metaKey) && key.toLowerCase() === "z";
    if (key === "Escape" && tour?.isOn() && tour.leave()) return swallow(event);
    if (back && !target.matches("textarea, [type=number]")) lab.do("undo");
    else if (target === scrubber && way) {
      const { length } = lab.race.snapshots, index = (lab.looking ?? length) + way;
      lab.look(index >= length ? null : Math.max(0, index));
    } else return;
    swallow(event);
  }

  function resize() {
    const width = $(".race").clientWidth, beside = !isNarrow(root);
    network.resize($(".net").clientWidth, large && beside ? 560 : 320);
    chart.resize(width, large ? 180 : 210);
    learned?.resize(width, clamp(0.56 * width, 210, 340));
    inspector.resize();
    for (const one of five) one.chart.resize(one.node.clientWidth, 64);
    const [left, right] = [chart.pad.left - 8, chart.pad.right - 8]; // so the thumb stands below the cursor
    $(".scrub").style.padding = `0 ${right}px 0 ${left}px`;
    lab.changed();
  }

  async function restore() {
    const [, state] = location.hash.match(/^#lab=(.+)/) ?? [];
    if (!first || !state) return;
    const race = await Race.decode(state, { portrait: lab.portrait }).catch(() => null);
    if (!race) return lab.say("The state in this link cannot be read, so this is a new start.");
    lab.adopt(race);
    root.scrollIntoView();
  }

  const sight = new IntersectionObserver(changes => {
    mine.seen = changes.at(-1).isIntersecting; // several may come at once
    if (!mine.seen) return;
    if (!begun && model.get("playing") && !still()) lab.play(true);
    begun = true;
    lab.changed();
  }, { threshold: 0.05 });
  listen(root, { click: onClick, input: onInput, keydown: onKey });
  const unwatch = watch(root, resize), unlink = listenToLinks(lab, root, Object.keys(ACTIONS));
  sight.observe(root);
  lab.views.add(mine);
  mine.say(lab.message);
  if (large) drawChips(root, lab.portrait);
  restore();
  return () => {
    unwatch();
    unlink();
    sight.disconnect();
    lab.views.delete(mine);
  };
}

export default widget(Session, view);
