"""The KAN Lab's teacher: the narrator's sentences, the guided tour, and links that drive a lab."""

import json
import math
import re

import numpy as np
import pytest
from lab_node import run
from test_lab_page import PHONE_OPTIONS, Lab

from kanbook import KANLab
from notebook_files import ROOT

ACTIONS = ["play", "update", "reset", "fade", "seed"]


@pytest.fixture
def put(show):
    return lambda *labs, **options: Lab(show(*labs, **options))


# --- the narrator --------------------------------------------------------------------------------

MADE_UP = """({ kan, mlp, every = 10, events = [], settings = {}, said = [] }) => {
  const race = new Race({ task: "zigzag", ...settings }), step = kan.map((_, p) => p * every);
  Object.assign(race, { steps: step.at(-1), events, history: { step, kan, mlp } });
  return [narrate(race, new Set(said))?.words ?? null, conclude(race)];
}"""


def level(*parts):
    """Errors that stay where they are for so many entries each: (error, entries), ..."""
    return [error for error, count in parts for _ in range(count)]


def test_sentences_of_made_up_races():
    update = [{"step": 200, "name": "update", "text": ""}]
    cases = {
        "Step 200: the MLP has passed the KAN.": {
            "kan": level((0.4, 30)),
            "mlp": level((0.8, 20), (0.2, 10)),
        },
        "The MLP is ahead.": {"kan": level((0.4, 31)), "mlp": level((0.2, 31))},
        "The KAN has the shape; the MLP is hardly better yet than a straight line.": {
            "kan": level((0.25, 9)),
            "mlp": level((0.95, 9)),
        },
        "The KAN has come no further since step 100: its test error was 0.4 then.": {
            "kan": level((0.9, 10), (0.4, 1), (0.45, 80)),
            "mlp": level((0.45, 91)),
        },
        "The KAN has come no further since step 100, and its error swings: the learning rate of 2 "
        "may be too high.": {
            "kan": level((0.9, 10), (0.4, 1)) + [0.45, 0.95] * 40,
            "mlp": level((0.9, 91)),
            "settings": {"lr": 2},
            "said": ["ahead KAN", "shape"],
        },
        "Since the knots moved, the KAN's test error has fallen: it was 0.8.": {
            "kan": level((0.8, 20), (0.9, 5), (0.5, 10)),
            "mlp": level((0.5, 35)),
            "events": update,
        },
    }
    found = run(MADE_UP, list(cases.values()))
    assert [words for words, _ in found] == list(cases)
    nothing = [
        {"kan": level((0.4, 5)), "mlp": level((0.8, 5))},  # too early
        {"kan": level((0.4, 35)), "mlp": level((0.41, 35))},  # level
        {"kan": level((0.4, 30)), "mlp": level((None, 30))},  # an MLP that has to catch up
        {"kan": [0.4, 0.5] * 20, "mlp": [0.5, 0.4] * 20},  # nobody leads for long
    ]
    said, ends = zip(*run(MADE_UP, nothing), strict=True)
    assert set(said) == {None}
    assert ends == (
        "Step 40: too early to say who learns better.",
        "Step 340: the two are level, with test errors of 0.4 and 0.41.",
        "Step 290: the KAN's test error is 0.4; the new MLP has yet to catch up.",
        "Step 390: the MLP is ahead, with a test error of 0.4 against 0.5.",
    )


OF_A_TABLE = """points => {
  const race = new Race({ task: "table" }, { points });
  for (let s = 0; s < 60; s++) race.step();
  const { kan, mlp, task: { testX, testN } } = race;
  return [conclude(race), ...[kan, mlp].map(net => net.predict(testX, testN))];
}"""


def test_sentence_of_a_table_is_true_of_its_rows():
    """In its own units; by chance, if the squared errors differ by less than twice their noise."""
    rng = np.random.default_rng(0)
    tables = []
    for n, noise in ((60, 0), (60, 0.5), (61, 3), (5000, 0.2), (1000, 0)):
        x = rng.uniform(10, 90, n)
        tables.append(np.stack([x, 1e4 * np.sin(x / 9) + 1e4 * noise * rng.normal(size=n)], 1))
    points = [[["t", "price"], *table.tolist()] for table in tables]
    endings = set()
    for table, (words, *outputs) in zip(tables, run(OF_A_TABLE, points), strict=True):
        y = table[:, 1]
        held = y[np.arange(len(y)) % 5 == 2]
        squares = [(np.array(found) * y.std() + y.mean() - held) ** 2 for found in outputs]
        errors = [np.sqrt(one.mean()) for one in squares]
        gap = squares[0] - squares[1]
        chance = abs(gap.mean()) < 2 * gap.std(ddof=1) / math.sqrt(len(held))
        said = re.fullmatch(
            r"On the ([\d,]+) rows held out the KAN's error is (\S+) of their spread \((\S+) in "
            r"units of price\), the MLP's (\S+): (.*)",
            words,
        )
        count, kan, own, mlp = (float(text.replace(",", "")) for text in said.groups()[:4])
        assert count == len(held)
        expected = [errors[0] / held.std(), errors[0], errors[1] / held.std()]
        np.testing.assert_allclose([kan, own, mlp], expected, rtol=0.06)
        ahead = "KAN" if errors[0] < errors[1] else "MLP"
        number = {12: "Twelve", 200: "200", 1000: "1,000"}[len(held)]
        near = max(errors) < (1.3 if chance else 1.1) * min(errors)
        ending = "level" if near else f"the {ahead} is ahead"
        ending += ", perhaps by chance" if chance and not near else ""
        assert said[5] == ending + (f". {number} rows cannot tell more." if chance else ".")
        endings.add((near, chance))
    assert len(endings) > 2


STALE = """cases => {
  const race = new Race({ task: "zigzag" }), show = ({ kan, mlp }) => {
    const step = kan.map((_, p) => p * 10);
    Object.assign(race, { steps: step.at(-1), history: { step, kan, mlp } });
  };
  show(cases[0]);
  const line = narrate(race, new Set());
  return cases.map(one => (show(one), line.isTrue(race)));
}"""


def test_sentence_is_true_or_is_taken_back():
    kan, mlp = level((0.4, 41)), level((0.8, 20), (0.2, 21))
    begun = {"kan": kan[:31], "mlp": mlp[:31]}
    later, over = {"kan": kan, "mlp": mlp}, {"kan": kan[:31] + [0.1] * 4, "mlp": mlp[:35]}
    assert run(STALE, [[begun, later, over]]) == [[True, True, False]]


TOLD = """({ settings, plan }) => {
  const race = new Race(settings), said = new Set(), told = [];
  for (const [name, steps] of plan) {
    if (name === "fade") race.set({ fade: true });
    else if (name) race[name]();
    for (let s = 0; s < steps; s++) {
      race.step();
      const next = race.steps % 50 ? null : narrate(race, said);
      said.add(next?.name);
      if (next) told.push([next.words, race.errors()]);
    }
  }
  return { told, end: conclude(race), left: count(race.kan) };
}"""


def test_narrator_of_real_races():
    plan = [[None, 250], ["update", 250], ["fade", 1200], ["prune", 300]]
    story, death = run(
        TOLD,
        [
            {"settings": {"follow": False, "seed": 6}, "plan": plan},
            {"settings": {"task": "zigzag", "lr": 1, "follow": False}, "plan": [[None, 1200]]},
        ],
    )
    words = [words for words, _ in story["told"]]
    assert len(set(words)) == len(words)  # nothing is said twice
    assert re.search(r"\d+ % of the values that reach one node are beyond its knots", words[0])
    assert "Three edges do nearly all the work. Prune?" in words and story["left"] == 3
    assert "The curves that are left have settled. Snap?" in words
    assert "Update moves these" in " ".join(words for words, _ in death["told"])
    for told in (story, death):
        for words, errors in told["told"]:
            ahead = re.search(r"The (KAN|MLP) is ahead", words)
            assert not ahead or (errors["kan"] < errors["mlp"]) == (ahead[1] == "KAN")
    assert re.match(r"Step 2,000: the KAN is ahead, with a test error of", story["end"])


def test_every_run_ends_in_a_sentence_and_a_line_has_its_five_seconds(put):
    lab = put(KANLab(speed=1))
    lab.page.evaluate(
        """() => {
          window.said = [];
          const note = ([{ target }]) => said.push([performance.now(), target.textContent]);
          new MutationObserver(note).observe(document.querySelector(".status"),
            { childList: true, characterData: true, subtree: true });
        }"""
    )
    lab.press("Play")
    lab.page.wait_for_function("said.length > 1", timeout=30_000)
    lab.press("Pause")
    (first, _), (second, _), *_, (_, last) = lab.page.evaluate("said")
    assert second - first >= 5000
    assert re.match(r"Step [\d,]+: the (two are level|KAN is ahead|MLP is ahead)", last)


# --- the tour ------------------------------------------------------------------------------------

BY_ITSELF = """({ task, seed }) => {
  const lab = {
    race: new Race({ ...RACES[task], task, seed }),
    report() {},
    say() {},
    publish: ({ follow }) => follow && lab.race.set({ follow }),
    playTo(step) { while (lab.race.steps < step) lab.race.step(); },
    run: finish,
    do: name => (name === "fade" ? lab.race.set({ fade: true })
      : name === "snap" ? finish(lab.race.snapAll()) : lab.race[name]()),
  };
  return BEATS.filter(beat => beat.task === task).map(beat => {
    const over = () => lab.race.steps >= beat.until(lab.race);
    const before = over(), wish = beat.wish(lab.race);
    show(lab, beat);
    return [before, over(), wish, beat.found(lab.race)];
  });
}"""


@pytest.mark.parametrize("seed", range(2))
def test_beats_end_as_told(seed):
    story, square, turned = run(
        BY_ITSELF,
        [{"task": task, "seed": seed} for task in ("exp_sine", "checkers", "rotated")],
    )
    assert all(beat[:2] == [False, True] for beat in story + square + turned)
    share = re.search(r"triangles at the marked one: (\d+) %", story[2][2])
    assert int(share[1]) > 20
    formula = "<i>f</i> = exp(sin(π <i>x</i>) + <i>y</i><sup>2</sup>), with a test error of 0."
    assert story[-1][3].startswith(formula)
    assert square[0][3].startswith("The KAN wins") and turned[0][3].startswith("The KAN loses")


class Tour:
    def __init__(self, lab):
        self.lab, self.card = lab, lab.root.locator(".tour")
        self.next = self.card.locator("[data-tour=next]")

    @property
    def beat(self):
        return int(self.card.locator("b").inner_text()[0])

    def wait_until(self, label):
        self.lab.page.wait_for_function(
            "([node, label]) => node.textContent.match(label)",
            arg=[self.next.element_handle(), label],
            timeout=60_000,
        )
        return self.card.inner_text()

    def skip(self):
        """To the next beat, without waiting for what is shown."""
        beat = self.beat
        while self.beat == beat:
            self.lab.page.evaluate(
                """() => {
                  if (document.querySelector("[data-do=play]").textContent === "Pause")
                    document.querySelector("[data-do=play]").click();
                }"""
            )
            self.lab.drawn()
            self.next.evaluate("node => node.click()")
            self.lab.drawn()


def test_whole_tour(put):
    """With nothing but the card's button; at the end, what was seen and what comes next."""
    lab = put(KANLab(task="zigzag", widths=(1, 5, 1)))
    link = "<a href=03_minimal_kan.html>Chapter 3</a>"
    lab.page.evaluate("link => document.body.insertAdjacentHTML('beforeend', link)", link)
    tour = Tour(lab)
    assert "New here?" in tour.card.inner_text()
    tour.next.click()
    texts, heights = [], set()
    for beat in range(1, 9):
        assert tour.beat == beat
        if beat > 1:
            tour.wait_until("^(Show me|Watch)$")
            assert lab.root.locator("[data-marked]").count() == 1
            heights.add(tour.card.bounding_box()["height"])
            tour.next.click()
        texts.append(tour.wait_until("^Next$"))
        heights.add(tour.card.bounding_box()["height"])
        tour.next.click()
        lab.drawn()
    heights.add(tour.card.bounding_box()["height"])
    assert len(heights) == 1
    assert "Only a part of it" in texts[1] and "exp(sin(π x) + y" in texts[5]
    assert "The KAN wins" in texts[6] and "The KAN loses" in texts[7]
    assert not lab.root.locator("[data-marked]").count()
    numbers = re.findall(r"[\d.]*\d against the MLP's [\d.]*\d", "".join(texts[6:]))
    end = tour.card.inner_text()
    assert len(numbers) == 2 and all(number in end for number in numbers)
    assert "three edges were enough" in end and tour.card.get_by_role("link").is_visible()
    assert not lab.root.locator(".changed").is_visible()
    tour.next.click()
    lab.root.locator(".own textarea").wait_for()
    tour.card.wait_for(state="hidden")
    assert "G = 5" in lab.text(".numbers") and not lab.root.locator(".changed").is_visible()
    assert lab.root.locator(".own summary").evaluate("node => node === document.activeElement")


def test_tour_goes_on_when_a_reader_does_it(put):
    """What is marked may be pressed, and training stops where the beat has its steps."""
    lab = put(KANLab())
    tour = Tour(lab)
    tour.next.click()
    tour.wait_until("^Next$")
    for _ in range(3):
        tour.skip()
    lab.press("Play")
    assert tour.next.inner_text() == "Show me"  # and not disabled
    lab.button("Play").wait_for()
    lab.press("Fade").button("Pause").wait_for()
    assert "Each edge has its price" in tour.card.inner_text()
    assert "edges still work" in tour.wait_until("^Next$")  # how many depends on skipped beats
    lab.button("Play").wait_for()
    before = lab.errors()[0]
    tour.next.click()
    lab.press("Prune")
    said = tour.wait_until("^Next$")
    lab.drawn()
    assert f"Test error: {before} before, {lab.errors()[0]} 200 steps later." in said
    tour.next.click()
    lab.press("Snap")
    assert "with a test error of" in tour.wait_until("^Next$")
    tour.next.click()
    assert lab.drawn().step == 0 and "Which one will win?" in tour.card.inner_text()
    lab.press("Play")
    tour.wait_until("^Next$")
    lab.press("New seed")
    assert lab.drawn().step < 600
    tour.wait_until("^Next$")
    assert lab.step == 600


def test_tour_goes_back_to_a_beat_as_it_began(put):
    lab = put(KANLab())
    tour = Tour(lab)
    tour.next.click()
    tour.wait_until("^Next$")
    tour.next.click()
    lab.drawn()
    marked, before = lab.root.locator(".edges [data-marked]"), lab.curves()
    assert "marked by the tour" in marked.get_attribute("aria-label")
    assert "2 of 8" in lab.root.locator(".tour [aria-live]").inner_text()
    marked.click()
    dialog = lab.drawn().root.get_by_role("dialog")
    dialog.get_by_role("slider").nth(3).press("ArrowUp")
    tour.wait_until("^Next$")
    tour.next.click()
    lab.drawn()
    assert not dialog.is_visible() and tour.beat == 3
    assert tour.next.evaluate("node => node === document.activeElement")
    tour.card.get_by_role("button", name="Back").click()
    lab.drawn()
    assert tour.beat == 2 and lab.curves() == before and not lab.events()
    assert tour.next.inner_text() == "Show me"


def test_tour_on_a_phone_by_keyboard(put):
    lab = put(KANLab(), **PHONE_OPTIONS)
    tour, page = Tour(lab), lab.page
    tour.next.focus()
    page.keyboard.press("Enter")
    for beat in range(1, 9):
        tour.wait_until("^(Next|Watch|Show me)$")
        card, net = tour.card.bounding_box(), lab.root.locator(".network").bounding_box()
        fit = lab.root.locator(".plots").first.bounding_box()
        assert fit["y"] > -5 and card["y"] - net["y"] > 0.6 * net["height"]
        assert card["y"] + card["height"] < 740 and tour.beat == beat
        assert tour.next.evaluate("node => node === document.activeElement")
        if tour.next.inner_text() != "Next":
            page.keyboard.press("Enter")
            lab.drawn()
            tour.wait_until("^Next$")
        page.keyboard.press("Enter")
        lab.drawn()
    lab.press("Done")
    assert lab.status == "The tour has ended." and not lab.root.locator(".tour span").text_content()
    assert lab.button("Play").evaluate("node => node === document.activeElement")


def test_tour_is_left_at_each_beat(put):
    """And no beat holds back a reader who pauses what it shows."""
    lab = put(KANLab())
    tour = Tour(lab)
    lab.press("No, thanks")
    assert not tour.card.is_visible()
    lab.press("More")
    for beat in range(8):
        lab.press("Tour")
        for _ in range(beat):
            tour.skip()
        assert tour.beat == beat + 1
        lab.page.keyboard.press("Escape")
        assert not tour.card.is_visible() and not lab.root.locator("[data-marked]").count()
        if lab.button("Pause").count():
            lab.press("Pause")
        before = lab.step
        lab.press("Play")
        lab.wait_for(before + 2)
        lab.press("Pause")


# --- links ---------------------------------------------------------------------------------------

PARSE = f"""link => {{
  try {{ return parseLink(link, {ACTIONS}); }} catch ({{ message }}) {{ return message; }}
}}"""


def test_links_are_read():
    good = {
        "lr=1&reset&run=500": {"settings": {"lr": 1}, "todo": ["reset"], "run": 500},
        "fade=true&fade&seed=3&seed": {
            "settings": {"fade": True, "seed": 3},
            "todo": ["fade", "seed"],
            "run": 0,
        },
        "task=zigzag&domain=-2,2": {
            "settings": {"task": "zigzag", "domain": [-2, 2], "widths": [1, 5, 1]},
            "todo": [],
            "run": 0,
        },
    }
    assert run(PARSE, [f"#lab?{link}" for link in good]) == list(good.values())
    bad = {
        "jump": r"jump; expected an action: play, update",
        "ls=1": r"ls=1; expected a setting: task, .*, speed, or run",
        "lr=fast": "lr=fast; expected a number",
        "widths=5": "widths=5; expected numbers",
        "task=portrai": "task=portrai; expected one of zigzag, ",
        "bias=1": "bias=1; expected one of true, false",
        "run=-5": "run=-5; expected a setting",
    }
    for message, pattern in zip(run(PARSE, [*bad]), bad.values(), strict=True):
        assert re.match(pattern, message)


def test_links_of_the_notebooks_are_right():
    pages = [*ROOT.glob("notebooks/**/*.ipynb"), *ROOT.glob("book/*.md")]
    links = re.findall(r"\]\((#lab\?[^)]*)\)", "".join(page.read_text("utf-8") for page in pages))
    assert links
    for found in run(PARSE, links):
        KANLab(**found["settings"])


def test_link_drives_the_nearest_lab_even_one_that_sleeps(put):
    """By keyboard; the second lab is too far away to have begun."""
    link = '<a href="#lab?task=zigzag&lr=0.1&run=30">run</a> <a href="#lab?ls=1">wrong</a>'
    lab = put(KANLab(), KANLab(), between=f'{link}<div style="height: 3000px"></div>')
    assert lab.page.locator(".kan-lab").count() == 1
    lab.page.get_by_text("run", exact=True).focus()
    lab.page.keyboard.press("Enter")
    lab.page.locator("[data-task=zigzag]").wait_for()
    other = Lab(lab.page, 1)
    other.wait_for(30)
    other.button("Play").wait_for()
    assert other.step == 30 and lab.step == 0 and "[1, 5, 1]" in other.text(".numbers")
    assert lab.page.evaluate("scrollY") > 500  # it was out of sight
    lab.page.get_by_text("wrong").click()
    assert other.drawn().status.startswith("This link asks for ls=1; expected a setting: task, ")
    assert "#lab" not in json.dumps(lab.page.url)
