"""The KAN Lab as a reader has it: in a page that holds nothing else, without a kernel.

Networks in the page are read from the widget's model; what is drawn, from the page.
"""

import itertools
import math
import re
import time

import numpy as np
import pytest
import torch
from scipy.signal import find_peaks
from visitor import PHONE, swipe

from kanbook import KANLab

TWO_FRAMES = """() => Promise.all([
  ...document.querySelector("main").getAnimations({ subtree: true }).map(one => one.finished),
  new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))])"""


REST = "Update", "G × 2", "Step", "Undo", "Reset", "New seed", "Five seeds"
REST += "Copy link", "Copy as Python"


class Lab:
    """One lab of a page, and what it shows."""

    def __init__(self, page, index=0):
        self.page = page
        self.root = page.locator(".kan-lab").nth(index)
        self.root.scroll_into_view_if_needed()
        self.root.locator(".edges .curve[d]").first.wait_for(state="attached")

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)

    def press(self, *names):
        for name in names:
            if name in REST:
                self.unfold("More")
            self.button(name).click()
        return self.drawn()

    def unfold(self, name):
        """What a button holds, unless it is open."""
        for button in self.root.get_by_role("button", name=name, exact=True, expanded=False).all():
            button.click()

    def drawn(self):
        """Once it has drawn what was done."""
        self.page.evaluate(TWO_FRAMES)
        return self

    def text(self, selector):
        return self.root.locator(selector).first.inner_text()

    @property
    def status(self):
        return self.text(".status")

    @property
    def step(self):
        return int(re.search(r"step (\d+)", self.text(".now"))[1])

    def run_to(self, step):
        """Train to a step at least, and pause."""
        self.press("Play")
        self.wait_for(step)
        return self.press("Pause")

    def wait_for(self, step, timeout=60_000):
        self.page.wait_for_function(
            "([root, step]) => +root.querySelector('.now').textContent.match(/\\d+/)[0] >= step",
            arg=[self.root.element_handle(), step],
            timeout=timeout,
        )

    @property
    def edges(self):
        return self.root.locator(".edges [role=button]")

    def open_edge(self, index):
        self.edges.nth(index).click()
        return self.drawn().root.get_by_role("dialog")

    def errors(self):
        """The errors at the ends of the lines: KAN, MLP."""
        shown = (self.root.locator(f".{name}-now").text_content() for name in ("kan", "mlp"))
        return [float(text.split()[1].replace("−", "-")) for text in shown]

    def curves(self):
        return self.edges.locator(".curve").evaluate_all("all => all.map(e => e.getAttribute('d'))")

    def truth(self):
        return self.root.locator(".learned .lines .truth").get_attribute("d")

    def events(self):
        return self.root.locator(".events text").all_text_contents()

    def set(self, **values):
        self.unfold("More")
        if not self.root.locator("details.settings").evaluate("e => e.open"):
            self.root.locator(".settings summary").click()
        for name, value in values.items():
            control = self.root.locator(f".settings [name={name}]")
            if name in ("widths", "optimizer"):
                control.select_option(value)
            elif isinstance(value, bool):
                control.set_checked(value)
            else:
                control.fill(str(value))
        return self.drawn()

    def choose(self, task):
        self.unfold("More tasks")
        self.root.locator(f".chip [value={task}]").check(force=True)
        self.page.wait_for_function(
            "([root, task]) => root.dataset.task === task", arg=[self.root.element_handle(), task]
        )
        return self.drawn()


@pytest.fixture
def put(show):
    """put(lab, ...): the first of these labs, in a page with all of them."""
    return lambda *labs, **options: Lab(show(*labs, **options))


PHONE_OPTIONS = {"viewport": PHONE, "has_touch": True, "is_mobile": True}


# --- training ------------------------------------------------------------------------------------


def test_from_load_to_a_formula_by_buttons_alone(put):
    lab = put(KANLab(speed=10))
    start = time.monotonic()
    lab.press("Play")
    lab.wait_for(200)
    lab.press("Fade")
    lab.wait_for(1500)
    assert lab.button("Fade").get_attribute("aria-pressed") == "true"
    lab.press("Prune")
    assert re.fullmatch(r"15 edges to \d+, test error .*", lab.status)
    assert lab.edges.count() < 15
    lab.wait_for(1800)
    lab.press("G × 2")
    assert re.match(r"grid 5 to 10: \d+ to \d+ numbers, test error", lab.status)
    lab.wait_for(2000)
    lab.press("Snap")
    formula = lab.root.locator(".formula")
    formula.wait_for(timeout=30_000)
    assert time.monotonic() - start < 60
    assert formula.inner_text().replace("\n", "") == "f(x, y) = exp(sin(π x) + y2)"
    assert formula.locator("sup").inner_text() == "2"
    assert lab.errors()[0] < 1e-4
    assert sorted(lab.edges.locator(".name").all_text_contents()) == ["exp", "sin", "x²"]
    assert lab.events() == ["f", "p", "g", "s"]
    snapped = lab.root.locator(".events g").last
    assert snapped.get_attribute("aria-label").startswith("all edges are functions now")
    assert snapped.locator("title").text_content() == snapped.get_attribute("aria-label")
    lab.press("Undo")
    assert not formula.is_visible() and lab.status == "undone: Snap"


def test_noisy_task_says_so_and_a_wide_middle_layer_is_a_matrix(put):
    lab = put(KANLab(task="noisy"), KANLab(widths=(2, 5, 5, 1)), background="#14171a")
    assert lab.root.get_attribute("data-theme") == "dark"
    assert "noise" in lab.text(".fair")
    assert lab.root.locator(".learned .points circle").count() == 40
    boxes = [edge.bounding_box() for edge in Lab(lab.page, 1).edges.all()]
    assert len(boxes) == 40
    columns, rows = ([round(box[side]) for box in boxes[10:35]] for side in "xy")
    assert len(set(columns)) == len(set(rows)) == 5


def test_curves_race_and_pictures_move_while_it_trains(put):
    lab = put(KANLab())
    read = """root => [".network .curve", ".kan-line", ".mlp-line"].map(s =>
        root.querySelector(s).getAttribute("d")).concat(
        [...root.querySelectorAll(".learned canvas")].map(e => e.toDataURL()))"""
    before = lab.root.evaluate(read)
    lab.run_to(60)
    after = lab.root.evaluate(read)
    changed = [a != b for a, b in zip(before, after, strict=True)]
    assert changed == [True, True, True, True, True, False]  # all but the target
    lab.press("Step")
    assert lab.curves()[0] != after[0]


def test_buttons_say_why_they_cannot(put):
    lab = put(KANLab())
    lab.set(widths="5, 5, 5", optimizer="lm")
    assert "Levenberg-Marquardt would take too long" in lab.status
    assert lab.root.locator("[name=optimizer]").input_value() == "adam"


def test_death_at_a_high_rate_stops_with_a_sentence(put):
    lab = put(KANLab(lr=10.0, follow=False, widths=(2, 5, 5, 1)))
    lab.page.evaluate("Number.isFinite = () => false")  # as if the loss were no number
    lab.press("Play")
    lab.button("Play").wait_for()
    assert "no longer a finite number" in lab.status


def test_edges_that_lead_nowhere_are_dead(put):
    model = KANLab(widths=(2, 3, 1), seed=5).model()
    with torch.no_grad():
        model[1].coef[0] = 0
    lab = put(KANLab(model))
    assert lab.root.get_attribute("data-theme") == "light"
    dead = [edge.get_attribute("class").strip() == "dead" for edge in lab.edges.all()]
    assert dead == [True, True, False, False, False, False, True, False, False]
    assert "nothing goes on from there" in lab.edges.first.get_attribute("aria-label")


def test_messages_go_once_training_goes_on(put):
    lab = put(KANLab(speed=10)).press("Reset")
    assert lab.status == "the same start again"
    lab.press("Copy as Python")
    assert lab.text(".took").startswith("Cop") and lab.status == "the same start again"
    lab.run_to(300)
    assert lab.text(".took") == "" and lab.root.locator(".copied").is_visible()
    said = lab.status  # how the run has ended; then nothing, or what the narrator sees next
    lab.press("Play")
    lab.page.wait_for_function(
        "said => document.querySelector('.status').textContent !== said", arg=said
    )
    lab.press("Reset")
    assert not lab.root.locator(".copied").is_visible()


def test_settings_begin_a_new_race_or_change_this_one(put):
    lab = put(KANLab())
    for size in (7, 5):
        lab.set(grid_size=size)
        assert lab.root.locator(".changed").is_visible() == (size == 7)
    lab.run_to(30).set(lr=-1)
    assert lab.step >= 30
    lab.set(grid_size=8, bias=True, degree=2)
    assert lab.step == 0
    assert "G = 8, 156 parameters" in lab.text(".numbers")  # 15 edges of 10, and 6 biases
    lab.set(widths="3, 3")
    assert "[2, 3, 3, 1]" in lab.text(".numbers")
    lab.root.locator("[name=low]").fill("3")
    assert "The domain needs two numbers" in lab.status


def test_new_seed_five_seeds_and_reset(put):
    lab = put(KANLab())
    first = lab.curves()
    lab.press("New seed")
    assert lab.curves() != first
    lab.run_to(40).press("Five seeds")
    captions = lab.root.locator(".five .under")
    goal = max(300, lab.step)  # a slow machine may run further than asked for
    lab.page.wait_for_function(
        "goal => [...document.querySelectorAll('.five svg')].every(e =>"
        " e.ariaLabel?.includes(`step ${goal}:`))",
        arg=goal,
        timeout=60_000,
    )
    texts = captions.all_inner_texts()
    assert [text.split("\n")[0] for text in texts] == [f"seed {n}" for n in range(2, 7)]
    assert len({text.split("\n")[1] for text in texts}) > 1
    lab.press("Reset")
    assert lab.step == 0 and not lab.root.locator(".five").is_visible()


# --- looking back, and links ---------------------------------------------------------------------


def test_scrubber_shows_the_past_and_goes_on_from_there(put):
    lab = put(KANLab()).run_to(120)
    now, end = lab.curves(), lab.step
    scrubber = lab.root.get_by_label("look back through the training")
    scrubber.fill("0")
    labels = lab.drawn().root.locator(".chart :is(.kan-now, .mlp-now)")
    heights = labels.evaluate_all("all => all.map(e => +e.getAttribute('y'))")
    assert abs(heights[0] - heights[1]) >= 15  # at the upper edge they do not collide
    scrubber.fill("40")
    assert 30 <= lab.drawn().step <= 50
    assert lab.curves() != now and lab.errors()[0] > 0
    past = lab.step
    settings = lab.root.locator(".settings").bounding_box()
    scrubber.press("ArrowLeft")
    assert lab.drawn().step == float(scrubber.input_value()) < past
    lab.press("seconds")
    part = float(scrubber.input_value()) / float(scrubber.get_attribute("max"))
    track, line = scrubber.bounding_box(), lab.root.locator(".cursor").bounding_box()
    thumb = track["x"] + 8 + part * (track["width"] - 16)
    assert 0 < part < 1 and thumb == pytest.approx(line["x"] + line["width"] / 2, abs=1.5)
    lab.press("steps")
    lab.press("Back to now")
    assert lab.step == end and lab.curves() == now
    assert lab.root.locator(".settings").bounding_box() == settings  # nothing was pushed
    scrubber.fill("40")
    lab.press("Go on from here")
    assert lab.step == past and not lab.button("Back to now").is_visible()
    lab.run_to(past + 10)


def test_link_holds_everything(put):
    lab = put(KANLab(task="product", grid_size=4)).run_to(60)
    lab.press("G × 2").press("Copy link")
    lab.root.locator(".copied").wait_for()
    link = lab.root.locator(".copied").input_value()
    expected = lab.curves(), lab.errors(), lab.step, lab.text(".numbers"), lab.events()
    other = put(KANLab(), KANLab(size="small"), hash="#" + link.split("#")[1])
    other.page.wait_for_function("document.querySelector('.kan-lab').dataset.task === 'product'")
    found = other.curves(), other.errors(), other.step, other.text(".numbers"), other.events()
    assert found == expected
    assert Lab(other.page, 1).step == 0  # the first lab only
    other.run_to(expected[2] + 10)


def test_torn_link_is_a_new_start(put):
    lab = put(KANLab(), hash="#lab=torn")
    lab.root.get_by_text("The state in this link cannot be read").wait_for()
    assert lab.step == 0


# --- one edge ------------------------------------------------------------------------------------


def test_edge_opens_shows_functions_and_closes(put):
    lab = put(KANLab(widths=(2, 2, 1))).run_to(200)
    sheet = lab.open_edge(4)
    assert sheet.locator(".title").inner_text() == "from node 1 to the output"
    assert sheet.get_by_role("slider").count() == 8
    rows = sheet.locator("li button")
    assert not rows.count()  # they are compared when they are asked for
    sheet.get_by_text("What function does it look like?").click()
    rows.first.wait_for(timeout=30_000)
    assert rows.count() >= 8 and re.search(r"R².*error", rows.first.inner_text(), re.DOTALL)
    rows.filter(has_text=re.compile(r"^\s*sin")).click()
    lab.drawn()
    assert re.match(r"the edge from node 1 to the output is sin now, .*test error", lab.status)
    assert sheet.get_by_role("slider").count() == 0
    assert re.search(r"function now: .*sin\(.*x.*\)", sheet.locator(".purpose").inner_text())
    assert lab.edges.nth(4).locator(".name").text_content() == "sin"
    sheet.get_by_role("button", name="Undo").click()
    lab.drawn()
    assert sheet.get_by_role("slider").count() == 8
    lab.page.keyboard.press("Escape")
    assert not sheet.is_visible()
    assert lab.edges.nth(4).evaluate("e => e === document.activeElement")
    lab.edges.nth(2).click()
    lab.press("Switch off")
    assert lab.status.startswith("one edge off, test error") and lab.edges.count() == 5
    assert not sheet.is_visible()


def test_coefficients_are_dragged_and_moved_by_keys(put):
    lab = put(KANLab()).run_to(30)
    handles = lab.open_edge(12).get_by_role("slider")

    def coefs():
        return [float(handle.get_attribute("aria-valuenow")) for handle in handles.all()]

    before = coefs()
    box = handles.nth(3).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    lab.page.mouse.move(x, y)
    lab.page.mouse.down()
    lab.page.mouse.move(x, y - 30, steps=5)
    lab.page.mouse.up()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown"):
        lab.page.keyboard.press(key)
    lab.drawn()
    moved = [b - a for a, b in zip(before, coefs(), strict=True)]
    assert moved[3] > 0 > moved[4] and not any(moved[:3] + moved[5:])
    lab.page.keyboard.press("Escape")
    assert lab.events() == ["e", "e"]  # a gesture is one event
    lab.press("Undo", "Undo", "Undo")
    assert lab.status == "There is nothing to undo."
    lab.open_edge(12)
    assert coefs() == before


def test_edges_are_named_by_their_shape(put):
    lab = put(KANLab()).run_to(150)
    found = set()
    for curve, edge in zip(lab.curves(), lab.edges.all(), strict=True):
        y = -np.array(curve[1:].replace("L", " ").split(), float)[1::2]
        peaks, valleys = (len(find_peaks(side, prominence=0.1 * np.ptp(y))[0]) for side in (y, -y))
        name = {
            (0, 0): "rising" if y[-1] > y[0] else "falling",
            (1, 0): "a peak",
            (0, 1): "a valley",
        }
        word = re.search(": ([^,]*)", edge.get_attribute("aria-label"))[1]
        assert word in ("faded", name.get((peaks, valleys), "a wave"))
        found.add(word)
    assert len(found) > 2


def test_network_by_keyboard(put):
    lab = put(KANLab())
    page = lab.page
    assert lab.root.locator(".edges [tabindex='0']").count() == 1
    lab.edges.first.focus()
    focused = "document.activeElement.ariaLabel"
    assert page.evaluate(focused).startswith("from x to node 1: falling, spread")
    for key, name in [
        ("ArrowRight", "from x to node 2"),
        ("ArrowUp", "from y to node 2"),
        ("ArrowUp", "from node 2 to the output"),
        ("ArrowRight", "from node 3 to the output"),
        ("ArrowDown", "from y to node 3"),
    ]:
        page.keyboard.press(key)
        assert page.evaluate(focused).startswith(name)
    for key, index in ("End", 14), ("Home", 0):
        page.keyboard.press(key)
        assert lab.edges.nth(index).evaluate("node => node === document.activeElement")
    for key in "ArrowRight", "ArrowRight", "ArrowUp":
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    lab.drawn()
    assert lab.root.get_by_role("dialog").is_visible()
    assert page.evaluate(focused) == "close"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "coefficient 1 of 8, near −1.4"
    page.keyboard.press("Escape")
    assert page.evaluate(focused).startswith("from y to node 3")
    page.keyboard.press("Control+z")
    assert lab.status == "There is nothing to undo."


def test_tasks_by_keyboard(put):
    lab = put(KANLab(), KANLab())
    lab.root.locator(".chip :checked").focus()
    lab.page.keyboard.press("ArrowRight")
    assert lab.drawn().root.get_attribute("data-task") == "rotated"
    other = Lab(lab.page, 1).drawn()  # whose tasks are a group of their own
    assert other.root.locator(".chip :checked").get_attribute("value") == "exp_sine"
    assert lab.root.locator(".chip :checked").get_attribute("value") == "rotated"


# --- what goes through an edge, and what has to wait ----------------------------------------------


def test_an_edge_that_is_pointed_at_lights_its_part_of_the_output(put):
    lab = put(KANLab(task="zigzag", widths=(1, 3, 1)), KANLab()).run_to(100)
    part = lab.root.locator(".learned .part")
    bands = set()
    for index in (1, 4):
        lab.edges.nth(index).hover()
        lab.drawn()
        bands.add(part.get_attribute("d"))
        name = lab.edges.nth(index).get_attribute("aria-label").split(":")[0]
        assert lab.text(".learned .lit") == f"shaded: what goes {name}"
    assert len(bands) == 2 and not bands & {None, ""}
    lab.root.locator(".race .title").hover()
    lab.drawn()
    assert not part.get_attribute("d") and not lab.text(".learned .lit")

    maps = Lab(lab.page, 1)
    pixels = "e => e.querySelector('.learned .target canvas').toDataURL()"
    target = maps.root.evaluate(pixels)
    maps.edges.first.focus()
    lab.page.keyboard.press("ArrowRight")  # by keys, too
    maps.drawn()
    assert maps.text(".learned .target .what") == "what goes from x to node 2"
    assert maps.root.evaluate(pixels) != target
    lab.page.keyboard.press("Shift+Tab")
    maps.drawn()
    assert maps.root.evaluate(pixels) == target


def test_a_sheet_pauses_and_says_what_its_edge_does(put):
    lab = put(KANLab()).press("Play")
    lab.wait_for(60)
    sheet = lab.open_edge(12)
    assert lab.button("Play").is_visible()
    words = r"\d+ % of the output's spread goes through this edge\. It (lifts|lowers) .* near x"
    assert re.match(words, sheet.locator(".purpose").inner_text())
    assert not sheet.locator(".small").is_visible()  # the large fit stands beside it
    step = lab.step
    lab.page.keyboard.press("Escape")
    lab.wait_for(step + 5)  # it goes on
    lab.press("Pause")
    lab.open_edge(12)
    lab.page.keyboard.press("Escape")
    assert lab.drawn().button("Play").is_visible()


def test_a_phones_sheet_has_a_small_fit_that_moves_while_one_bends(put):
    lab = put(KANLab(task="zigzag", widths=(1, 3, 1)), **PHONE_OPTIONS).run_to(30)
    sheet = lab.open_edge(4)
    small = sheet.locator(".small .fitted.kan")
    before, boxes = small.get_attribute("d"), [sheet.locator(".small").bounding_box()]
    sheet.get_by_role("slider").nth(3).press("Shift+ArrowUp")
    lab.drawn()
    assert small.get_attribute("d") != before
    boxes += [
        sheet.get_by_role("button", name=name).bounding_box() for name in ("Switch off", "Undo")
    ]
    for box in boxes:  # all of them in view
        assert 0 < box["y"] < box["y"] + box["height"] < PHONE["height"]


def test_a_finger_bends_a_curve_as_far_as_it_goes(put):
    """The sheet does not take it for scrolling after some pixels."""
    lab = put(KANLab(task="zigzag", widths=(1, 3, 1)), **PHONE_OPTIONS).run_to(30)
    handle = lab.open_edge(4).get_by_role("slider").nth(3)

    def middle():
        box = handle.bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    x, y = middle()
    swipe(lab.page, [(x, y + way) for way in range(0, 37, 4)])
    lab.drawn()
    assert middle()[1] - y == pytest.approx(36, abs=4)


def test_buttons_of_the_story_wait_and_say_why(put):
    lab = put(KANLab(task="checkers"))

    def locked():
        return [lab.button(n).get_attribute("aria-disabled") for n in ("Fade", "Prune", "Snap")]

    def next_ones():
        return lab.root.locator("[data-next]").all_inner_texts()

    assert locked() == ["true"] * 3 and next_ones() == ["Play"]
    assert lab.button("Snap").get_attribute("title").startswith("Prune first")
    lab.button("Prune").click(force=True)
    assert lab.drawn().status.startswith("Fade first") and lab.events() == []
    lab.set(speed=5).run_to(310)
    assert locked() == ["false", "true", "true"] and next_ones() == ["Fade"]
    lab.press("Fade")
    assert next_ones() == ["Play"]  # until there is something to prune
    lab.press("New seed")
    assert locked() == ["true"] * 3


def test_more_holds_the_rest_and_a_task_that_is_chosen_stays(put):
    lab = put(KANLab(task="spirals"))
    chips = lab.root.locator(".chip:visible")
    names = ["zigzag", "exp(sin πx + y²)", "checkers, rotated"]
    assert chips.all_inner_texts() == [*names, "two spirals"]
    lab.press("More tasks")
    assert chips.count() == 11 and lab.button("Fewer tasks").is_visible()
    assert not lab.button("Five seeds").is_visible()
    lab.press("More")
    assert all(lab.button(name).is_visible() for name in ("Five seeds", "Undo", "Copy link"))
    lab.press("More", "Fewer tasks").choose("zigzag")
    lab.press("Fewer tasks")
    assert chips.all_inner_texts() == names


# --- own data ------------------------------------------------------------------------------------


def stroke_of(lab, points=40):
    """A wave over the target's plot, in pixels of the window."""
    box = lab.root.locator(".learned .lines svg").bounding_box()
    return [
        (
            box["x"] + box["width"] * (0.04 + 0.92 * i / points),
            box["y"] + box["height"] * (0.5 + 0.35 * math.sin(7 * i / points)),
        )
        for i in range(points + 1)
    ]


def test_drawn_curve_is_learned(put):
    lab = put(KANLab(speed=10))
    lab.choose("drawn")
    assert "Draw a curve" in lab.text(".legend")
    target = lab.truth()
    (x, y), *rest = stroke_of(lab)
    lab.page.mouse.move(x, y)
    lab.page.mouse.down()
    for x, y in rest:
        lab.page.mouse.move(x, y)
    lab.page.mouse.up()
    lab.drawn()
    assert lab.truth() != target
    lab.wait_for(300)  # it plays by itself
    lab.press("Pause")
    assert lab.errors()[0] < 0.2
    lab.press("Play", "Clear the drawing")
    flat = lab.truth()
    assert len(set(re.findall(r" (-?[\d.]+)", flat))) == 1
    assert lab.step == 0 and lab.button("Play").is_visible()


def test_finger_draws_without_scrolling(put):
    lab = put(KANLab(task="drawn"), **PHONE_OPTIONS)
    target = lab.truth()
    scrolled = lab.page.evaluate("scrollY")
    swipe(lab.page, stroke_of(lab))
    assert lab.page.evaluate("scrollY") == scrolled
    lab.wait_for(20)
    assert lab.truth() != target


@pytest.mark.parametrize("options", [{}, PHONE_OPTIONS], ids=["desktop", "phone"])
def test_table_of_ones_own(put, options):
    lab = put(KANLab(), **options)
    lab.choose("table")
    area = lab.root.get_by_label("own data, as CSV")
    assert area.input_value().split("\n")[::60] == ["seconds, swing", "9.83, 0.059"]  # an example
    box = area.bounding_box()
    assert box["y"] > 0 and box["y"] + box["height"] < lab.page.viewport_size["height"] - 100
    area.fill("a, b\n1, 2")
    lab.press("Train on these")
    assert lab.text(".wrong") == "1 rows; at least 10 are needed."
    grid = itertools.product([0, 5, 10], [1, 2, 3, 4])
    area.fill("\n".join(f"{x};{y};{x * y}" for x, y in grid))
    lab.press("Train on these")
    assert lab.text(".wrong") == "" and "12 rows" in lab.status
    lab.wait_for(100)
    lab.press("Pause")
    assert lab.root.locator(".network .nodes text").all_text_contents()[:2] == ["x", "y"]
    lab.choose("product").choose("table")
    assert area.input_value().split("\n")[:2] == ["0, 1, 0", "0, 2, 0"]  # still there


def numbers(texts):
    return [float(text.replace("−", "-")) for text in texts if re.search(r"\d", text)]


def test_a_table_keeps_its_names_and_units_and_ends_in_a_sentence(put, tmp_path):
    rows = [f"{1990 + i};{0.3 * i + 40 + 5 * math.sin(0.3 * i):.2f}" for i in range(60)]
    file = tmp_path / "own.csv"
    file.write_text("\n".join(["year;unit price", *rows]).replace(".", ","), "utf-8")
    lab = put(KANLab(speed=50))
    lab.choose("table")
    lab.root.get_by_label("or choose a file").set_input_files(file)
    lab.page.wait_for_function("document.querySelector('.own textarea').value.includes('1990')")
    lab.press("Train on these")
    lab.button("Play").wait_for(timeout=60_000)  # it ends by itself
    assert 1000 <= lab.step < 1100
    assert re.fullmatch(
        r"On the 12 rows held out the KAN's error is [\d.]+ of their spread \([\d.]+ in units of "
        r"unit price\), the MLP's [\d.]+: (level|the (KAN|MLP) is ahead).*",
        lab.status,
    )
    assert "held out: 12 of 60, every fifth" in lab.text(".legend")
    plot = lab.root.locator(".learned .lines svg")
    assert plot.locator("circle").count() == 48 and plot.locator(".held").count() == 12
    axes = plot.locator(".axes text").all_text_contents()
    assert axes[:2] == ["year", "unit price"]
    marks = numbers(axes)
    assert {2000, 2020, 2040} <= {*marks} and all(30 <= m <= 70 for m in marks if m < 1990)
    nodes = lab.root.locator(".network .nodes text").all_text_contents()
    assert nodes[0] == "year" and nodes[-1] == "unit price"
    sheet = lab.open_edge(0)
    assert sheet.locator(".title").inner_text() == "from year to node 1"
    assert re.search(r"most near year\s=\s(199\d|20\d\d)\b", sheet.inner_text())
    assert {2000, 2020, 2040} <= {*numbers(sheet.locator(".large .axes text").all_text_contents())}
    lab.page.keyboard.press("Escape")
    code = lab.text(".full")
    assert 'names=["year", "unit price"], header=0, sep=";", decimal=","' in code
    lab.press("Copy as Python")
    assert lab.root.locator(".copied").input_value().endswith(code)
    lab.choose("product")
    assert not lab.root.locator(".full").is_visible() and lab.text(".legend") == ""


def test_points_of_a_table_lie_on_its_maps(put):
    grid = list(itertools.product(range(0, 50, 5), range(100, 110)))
    points = [["speed", "load", "wear"], *([x, y, x * y] for x, y in grid)]
    lab = put(KANLab(task="table", points=points))
    for name in ("kan", "mlp", "target"):
        plot = lab.root.locator(f".learned .{name} svg")
        assert plot.locator("circle").count() == 80 and plot.locator(".held").count() == 20
    first = lab.root.locator(".learned .kan circle").first  # of the row 0, 100
    assert [first.get_attribute(at) for at in ("cx", "cy")] == ["0", "200"]
    assert "From left to right speed, 0 to 45; upwards load, 100 to 109." in lab.text(".legend")
    assert lab.text(".learned .target .scale").split() == ["0", "4910"]  # of 4905
    assert lab.text(".target .what") == "wear"
    assert not lab.root.get_by_label("own data, as CSV").is_visible()
    lab.choose("product")
    assert lab.root.locator(".learned .plot circle").count() == 0


def test_extension_reaches_the_settings_and_an_mlp_of_equal_size_follows(put):
    lab = put(KANLab())
    equal = lab.button("MLP of equal size")
    assert not equal.is_visible()
    lab.press("G × 2")
    assert lab.root.locator("[name=grid_size]").input_value() == "10"
    assert "KAN 195, MLP 116" in lab.text(".fair") and "kept its size" in lab.text(".fair")
    lab.press("MLP of equal size")
    kan, mlp = map(int, re.findall(r"(?:KAN|MLP) (\d+)", lab.text(".fair"))[:2])
    assert kan == 195 and abs(math.log(mlp / kan)) < 0.1 and not equal.is_visible()


# --- small labs ----------------------------------------------------------------------------------


def test_small_lab_follows_its_script(put):
    script = [[20, "update"], [40, "extend"], [60, "pause"]]
    lab = put(KANLab(size="small", actions=["extend"], script=script, playing=True))
    names = lab.root.locator(".bar button").all_inner_texts()
    assert names[1:] == ["G × 2"] and not lab.root.locator(".tasks, .settings, .learned").count()
    lab.button("Play").wait_for()  # begun and ended by itself
    assert lab.step == 60 and lab.events() == ["u", "g"]
    assert "G = 10" in lab.text(".numbers") and lab.status.startswith("Step 60: the KAN is ahead")


def test_values_beyond_the_knots_are_marked(put):
    lab = put(KANLab(domain=(-0.5, 0.5), follow=False, size="small"))
    label = lab.edges.first.get_attribute("aria-label")
    share = int(re.search(r"(\d+) % of values beyond the knots", label)[1])
    assert 40 <= share <= 60  # of x, even on [-1, 1]
    assert lab.edges.first.locator(".beyond").get_attribute("d")
    assert lab.edges.first.locator(".share").text_content() == f"{share} %"


def test_views_of_one_widget_share_the_race(put):
    one = put(KANLab(size="small"), views=2)
    two = Lab(one.page, 1)
    one.run_to(20)
    assert one.step == two.step > 0 and one.curves() == two.curves()
    two.press("Play")
    one.press("Pause")
    assert two.button("Play").is_visible()


# --- phone, motion, sight ------------------------------------------------------------------------


def test_phone(put):
    lab = put(KANLab(), **PHONE_OPTIONS)
    page = lab.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    more = lab.button("More tasks").bounding_box()
    assert more["x"] + more["width"] <= 360
    bar = lab.root.locator(".dock")
    for scroll in (0, 300):
        page.evaluate(f"scrollTo(0, {scroll})")
        box = bar.bounding_box()
        assert box["y"] + box["height"] == pytest.approx(PHONE["height"], abs=1)
    page.evaluate("scrollTo(0, 4000)")
    assert bar.bounding_box()["y"] < 0  # gone with the lab
    page.evaluate("scrollTo(0, 0)")
    lab.unfold("More tasks")
    lab.unfold("More")
    for summary in lab.root.locator(".rest summary").all():
        summary.click()
    small = lab.root.evaluate(
        """root => [...root.querySelectorAll("button, select, input, summary, [role=button]")]
          .filter(e => {
            const { width, height, right } = (e.closest("label") ?? e).getBoundingClientRect();
            const away = right > 361 && !e.closest(".tasks");
            return height && (height < 24 || width < 24 || away);
          }).map(e => e.outerHTML)"""
    )
    assert not small
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert bar.bounding_box()["height"] < 0.75 * PHONE["height"]
    lab.button("More").tap()
    lab.edges.nth(12).tap()
    lab.drawn()
    sheet = lab.root.get_by_role("dialog").bounding_box()
    assert sheet["width"] == 360 and sheet["y"] + sheet["height"] == pytest.approx(740, abs=1)
    lab.root.get_by_role("button", name="close").tap()
    assert not lab.root.get_by_role("dialog").is_visible()


def test_little_motion(put):
    lab = put(KANLab(playing=True), reduced_motion="reduce")
    lab.page.wait_for_timeout(300)
    assert lab.step == 0  # it does not begin by itself
    seen = lab.root.evaluate(
        """root => new Promise(done => {
          const seen = [], curve = root.querySelector(".network .curve");
          new MutationObserver(() => {
            seen.push(+root.querySelector(".now").textContent.match(/\\d+/)[0]);
            if (seen.length > 4) done(seen);
          }).observe(curve, { attributes: true });
          root.querySelector("[data-do=play]").click();
        })"""
    )
    jumps = [b - a for a, b in itertools.pairwise(seen)]
    assert min(jumps) >= 40  # pictures of every 50 steps or so


def test_pauses_out_of_sight(put):
    lab = put(KANLab()).press("Play")
    lab.wait_for(20)
    lab.page.evaluate("scrollTo(0, 3500)")
    lab.page.wait_for_timeout(300)
    step = lab.step
    lab.page.wait_for_timeout(300)
    assert lab.step == step
    lab.page.evaluate("scrollTo(0, 0)")
    lab.wait_for(step + 20)
