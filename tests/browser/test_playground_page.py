"""The spline playground in the built book: what a reader sees and does, without any kernel.

Each test opens the chapter's first playground (degree 3, grid size 5) and ends with the check that
nothing went wrong: no console error or warning, no request to another host, no failed request. What
is drawn is read from the page as numbers and compared with kanbook. Nothing waits for a clock: the
history, which tells gestures apart by their time, sees a fixed one.
"""

import json
import math
import re

import numpy as np
import pytest
import torch
from visitor import DESKTOP, HTML, NEEDS_BOOK, PAGES, PHONE, Visitor

from kanbook import SplinePlayground, splines
from kanbook.lab.playground import MAX_DEGREE, Spline
from notebook_files import ROOT

PATH = "notebooks/02_playground.html"

pytestmark = [
    NEEDS_BOOK,
    pytest.mark.skipif(PATH not in PAGES, reason="no chapter of the playground in _build/html"),
]

# What a playground shows, as numbers.
READ = """root => {
  const all = selector => [...root.querySelectorAll(selector)];
  const number = text => Number(text.replace("−", "-"));
  const corner = root.querySelector("svg").getBoundingClientRect();
  const ticks = anchor => all(`.axes [text-anchor=${anchor}]`).map(e => ({
    value: number(e.textContent),
    x: corner.x + Number(e.getAttribute("x")), y: corner.y + Number(e.getAttribute("y")) }));
  const shown = {
    degree: +all("[name=degree]")[0].value, grid_size: +all("[name=grid_size]")[0].value,
    domain: all("[type=number]").map(e => +e.value), wrong: all("[aria-invalid=true]").length,
    bases: all(".bases path").map(e => e.getAttribute("d")),
    alive: all(".bases path").flatMap((e, i) => e.classList.contains("alive") ? [i] : []),
    readout: all(".readout")[0].textContent.replaceAll("−", "-"),
    status: all(".status")[0].textContent,
    rms: number(all(".rms")[0].textContent.split(" ").pop()),
    ticks: { x: ticks("middle"), y: ticks("end") }, at: {},
  };
  for (const name of ["curve", "ghost", "sum"]) shown[name] = all("." + name)[0].getAttribute("d");
  for (const kind of ["coefs", "knots", "probes"]) {
    const handles = all(`.${kind} .handle`);
    shown[kind] = handles.map(e => Number(e.ariaValueNow));
    shown.at[kind] = handles.map(e => [e.getScreenCTM().e, e.getScreenCTM().f]);
  }
  return shown;
}"""
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


class Playground:
    """One playground of a page: its controls, its handles, and what it shows."""

    def __init__(self, page, index=0):
        self.page = page
        self.root = page.locator(".kan-playground").nth(index)
        self.root.locator(".curve[d]").wait_for(state="attached")
        self.time = 0

    def pause(self):
        """The next gesture comes much later: a step of its own in the history."""
        self.time += 10_000
        self.page.clock.set_fixed_time(self.time)

    def shown(self):
        """What it shows once it has drawn."""
        self.page.evaluate(TWO_FRAMES)
        return self.root.evaluate(READ)

    def in_the_middle(self):
        self.root.locator("svg").first.evaluate("e => e.scrollIntoView({ block: 'center' })")
        return self.shown()

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)

    def press(self, name):
        self.button(name).click()
        return self.shown()

    def set(self, **values):
        """Turns sliders, ticks boxes, chooses a target."""
        for name, value in values.items():
            self.pause()
            control = self.root.locator(f"[name={name}]")
            if name == "target":
                control.select_option(value)
            elif isinstance(value, bool):
                control.set_checked(value)
            else:
                control.fill(str(value))
        return self.shown()

    def set_domain(self, a=None, b=None):
        for node, text in zip(self.root.locator("[type=number]").all(), (a, b), strict=True):
            if text is not None:
                node.fill(text)
                node.press("Tab")
        return self.shown()

    def drag(self, kind, index, dx, dy, button="left"):
        """With the mouse, by this many pixels."""
        self.pause()
        x, y = self.in_the_middle()["at"][kind][index]
        mouse = self.page.mouse
        mouse.move(x, y)
        mouse.down(button=button)
        mouse.move(x + dx, y + dy, steps=4)
        mouse.up(button=button)
        return self.shown()

    def key(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
        return self.shown()

    def focus(self, kind, index=0):
        self.root.locator(f".{kind} .handle").nth(index).focus()
        return self.shown()

    def bounds(self, kind, index=0):
        handle = self.root.locator(f".{kind} .handle").nth(index)
        return [float(handle.get_attribute(f"aria-value{end}")) for end in ("min", "max")]

    def as_python(self):
        """What its text in Python makes: knots, coef, x and y."""
        self.press("copy as Python")
        names = {}
        exec(self.root.locator("textarea").input_value(), names)
        return names

    def spline(self):
        names, shown = self.as_python(), self.shown()
        assert_close(names["coef"], shown["coefs"], atol=1e-12)
        k, knots = shown["degree"], names["knots"].tolist()
        return Spline(k, shown["grid_size"], None, knots, names["coef"].tolist())


def assert_close(actual, expected, atol=1e-9):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


def pieces(d):
    """The lines of a path in data units: one array of corners (N, 2) for each."""
    number = r"-?[\d.]+(?:e[+-]?\d+)?"
    assert re.fullmatch(f"(?:[ML]{number} {number})*", d)
    lines = [re.findall(f"({number}) ({number})", part) for part in d.split("M")[1:]]
    return [np.array(line, dtype=float) for line in lines]


def corners(d):
    return np.concatenate(pieces(d))


def on_screen(shown, points):
    """Where the axes' numbers say that points lie: by the outermost two of each axis."""
    points = np.array(points, dtype=float)
    # The foot of a digit of the left axis is 4 px below what it names.
    for column, axis, shift in ((0, "x", 0), (1, "y", -4)):
        low, high = shown["ticks"][axis][0], shown["ticks"][axis][-1]
        scale = (high[axis] - low[axis]) / (high["value"] - low["value"])
        points[:, column] = low[axis] + shift + scale * (points[:, column] - low["value"])
    return points


def unit(shown):
    """Pixels of one unit along x, and up along y."""
    (x0, y0), (x1, y1) = on_screen(shown, [(0, 0), (1, 1)])
    return x1 - x0, y0 - y1


@pytest.fixture(scope="module")
def desktop(browser, server):
    visitor = Visitor(browser, server, DESKTOP, "light")
    yield visitor
    visitor.context.close()


@pytest.fixture
def phone(browser, server):
    visitor = Visitor(browser, server, PHONE, "light", has_touch=True, is_mobile=True)
    yield visitor
    assert not visitor.problems
    visitor.context.close()


def arrive(visitor):
    visitor.problems.clear()
    visitor.page.emulate_media(color_scheme="light", media="screen", reduced_motion="no-preference")
    visitor.page.goto(visitor.server + PATH, wait_until="load")
    playground = Playground(visitor.page)
    playground.pause()
    return playground


@pytest.fixture
def playground(desktop):
    yield arrive(desktop)
    assert not desktop.problems


# --- the page ------------------------------------------------------------------------------------


def test_alive_in_the_book_and_a_picture_in_print(desktop, playground):
    page, shown = desktop.page, playground.shown()
    assert (shown["degree"], shown["grid_size"], shown["domain"]) == (3, 5, [-1, 1])
    assert len(shown["coefs"]) == 8 and len(shown["knots"]) == 4
    count = page.locator(".kan-playground").count()
    assert page.locator(".live-figure").count() == count >= 2
    assert page.locator(".live-figure.is-live").count() == count
    images = page.locator(".live-figure img").all()
    assert not any(image.is_visible() for image in images)
    scripts = page.evaluate("[...document.scripts].map(script => script.src)")
    assert not [source for source in scripts if re.search(r"require|jupyter|widgets", source)]
    plots = page.locator(".kan-playground > svg").all()
    assert len({plot.get_attribute("aria-label") for plot in plots}) == count
    page.emulate_media(media="print")
    assert playground.root.is_hidden()
    assert all(image.is_visible() and image.get_attribute("alt") for image in images)


def test_without_scripts_the_picture_stands_in(browser, server):
    visitor = Visitor(browser, server, PHONE, "light", java_script_enabled=False)
    visitor.page.goto(server + PATH)
    images = visitor.page.locator(".live-figure img").all()
    assert images and all(image.is_visible() for image in images)
    for image in images:
        image.scroll_into_view_if_needed()
        assert image.bounding_box()["width"] > 200
    visitor.context.close()


def test_book_opened_from_disk(browser):
    visitor = Visitor(browser, HTML.as_uri() + "/", DESKTOP, "light")
    playground = Playground(visitor.open(PATH))
    assert playground.drag("coefs", 2, 0, -20)["coefs"] != SplinePlayground().coefs
    assert not [problem for problem in visitor.problems if "warning" not in problem]
    visitor.context.close()


STATE, VIEW = (f"application/vnd.jupyter.widget-{kind}+json" for kind in ("state", "view"))


@pytest.fixture
def put(browser):
    """A page with nothing but widgets and their host: put([name of a view, ...], name=state)."""
    page = browser.new_page(viewport=DESKTOP)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(f"{error}"))
    page.on("console", lambda message: page.problems.append(message.text))

    def put(views, background="white", **states):
        models = {name: {"model_module": "anywidget", "state": s} for name, s in states.items()}
        models["other"] = {"model_module": "other", "state": {}}
        figure = f'<div class="live-figure"><script type="{VIEW}">{{"model_id": %s}}</script></div>'
        page.set_content(
            f'<body style="background: {background}"><script type="{STATE}">{{ torn</script>'
            f'<script type="{STATE}">{json.dumps({"state": models}, default=str)}</script>'
            + "".join(figure % name for name in views)
        )
        page.add_script_tag(path=ROOT / "book" / "_static" / "afm-host.js")
        page.locator(".kan-playground .curve[d]").first.wait_for(state="attached")
        page.problems.remove(next(text for text in page.problems if "cannot be read" in text))
        return page

    yield put
    page.close()


def test_two_views_of_one_widget_stay_in_step(put):
    """As a notebook that displays one widget twice."""
    p = SplinePlayground(2, 4, target="sine")
    page = put(['"one"', '"one"', '"other"'], one=p.get_state())
    page.locator(".live-figure.is-live").nth(1).wait_for()
    first, second = Playground(page), Playground(page, 1)
    assert page.locator(".kan-playground").count() == 2
    assert page.evaluate("document.querySelectorAll('head style').length") == 1
    assert first.drag("coefs", 1, 0, 25)["coefs"] != p.coefs
    second.set(degree=4)
    one, two = first.shown(), second.shown()
    assert one["coefs"] == two["coefs"] and len(one["coefs"]) == 8 and one["curve"] == two["curve"]
    second.press("undo")
    first.press("undo")
    assert first.shown()["coefs"] == second.shown()["coefs"] == p.coefs
    first.press("descend")  # what goes on in one view ends with what is done in another
    second.press("undo")
    assert first.shown()["coefs"] == first.shown()["coefs"] == p.coefs
    assert first.button("descend").is_visible() and not page.problems


@pytest.mark.parametrize(
    "view, script",
    [
        ("not JSON", ""),
        ('"missing"', ""),
        ('"bad"', "no script"),
        ('"bad"', "export default { render({ el }) { el.textContent = 'half'; throw 1; } }"),
        ('"bad"', "export default { initialize: () => new Promise(() => {}) }"),
    ],
)
def test_bad_widget_leaves_the_others_alone(put, view, script):
    state = SplinePlayground().get_state()
    page = put([view, '"good"', view], good=state, bad={"_esm": script})
    live = page.locator(".live-figure").evaluate_all(
        "nodes => nodes.map(e => e.classList.contains('is-live'))"
    )
    assert live == [False, True, False]
    assert "half" not in page.locator("body").inner_text()
    assert all("its picture stays" in problem for problem in page.problems)


@pytest.mark.parametrize(
    "background, theme",
    [("color-mix(in srgb, white 96%, black)", "light"), ("oklch(0.2 0 0)", "dark")],
)
def test_theme_and_labels_suit_any_page_and_height(put, background, theme):
    height = 1.5e12
    p = SplinePlayground(1, 4, coefs=[height, -height, height, -height, height])
    page = put(['"one"'], background, one=p.get_state())
    root = page.locator(".kan-playground")
    assert root.get_attribute("data-theme") == theme
    left = root.bounding_box()["x"]
    labels = page.locator(".axes text").all()
    assert labels and all(label.bounding_box()["x"] >= left for label in labels)
    assert page.locator(".coefs .handle").first.get_attribute("aria-valuenow") == "1500000000000"
    assert not page.problems


# --- what is drawn -------------------------------------------------------------------------------


def drag_about(playground):
    """Two points up and down, and two knots aside where there are some: nothing even is left."""
    shown = playground.shown()
    per_x, _ = unit(shown)
    playground.drag("coefs", 1, 0, -33)
    playground.drag("coefs", len(shown["coefs"]) - 2, 0, 27)
    for index, share in ((0, 0.3), (len(shown["knots"]) - 1, -0.4)):
        playground.drag("knots", index, share * per_x * 2 / shown["grid_size"], 3)
    return playground.shown()


@pytest.mark.parametrize("degree", range(MAX_DEGREE + 1))
def test_drawn_curve_is_the_spline(playground, degree):
    before = playground.set(degree=degree, show_sum=True)
    shown = drag_about(playground)
    spline = playground.spline()
    k, t, knots, c = degree, spline.knots, float64(spline.knots), float64(spline.coefs)
    assert_close(shown["knots"], t[k + 1 : -k - 1])
    assert not np.allclose(np.diff(shown["knots"]), np.diff(shown["knots"])[0])

    def compare(d, function):
        """Along the whole drawing, between its corners."""
        middles = np.concatenate([(line[1:] + line[:-1]) / 2 for line in pieces(d)])
        assert_close(middles[:, 1], function(splines.basis(float64(middles[:, 0]), knots, k)), 3e-3)
        return middles[:, 0]

    x = compare(shown["curve"], lambda basis: basis @ c)
    assert x.min() < -1.05 and x.max() > 1.05  # beyond the domain too
    compare(shown["sum"], lambda basis: basis.sum(-1))
    for i, line in enumerate(shown["bases"]):
        compare(line, lambda basis, i=i: basis[:, i])
    assert i + 1 == len(shown["coefs"]) == len(t) - k - 1 == 5 + k

    # All of it lies where the axes say.
    samples = playground.root.locator(".curve").evaluate(
        """path => Array.from({ length: 40 }, (_, i) => {
          const p = path.getPointAtLength((path.getTotalLength() * (i + 0.5)) / 40);
          const q = p.matrixTransform(path.getScreenCTM());
          return [[p.x, p.y], [q.x, q.y]];
        })"""
    )
    data, pixels = np.array(samples).transpose(1, 0, 2)
    shown = playground.shown()
    assert_close(on_screen(shown, data), pixels, 1)
    places = [np.mean(t[i + 1 : i + k + 1] if k else t[i : i + 2]) for i in range(5 + k)]
    expected = on_screen(shown, [*zip(places, spline.coefs, strict=True)])
    assert_close(shown["at"]["coefs"], expected, 1)
    expected = on_screen(shown, [(x, 0) for x in shown["knots"]])
    assert_close([x for x, _ in shown["at"]["knots"]], expected[:, 0], 1)

    # The curve that was shaped stays as the ghost of a change of degree.
    ghost = playground.set(degree=(degree + 2) % 6)["ghost"]
    assert ghost != before["ghost"]
    compare(ghost, lambda basis: basis @ c)


def test_labels_tell_places_apart_and_stay_free(playground):
    playground.set_domain(b="101")
    shown = playground.set_domain(a="100")
    values = [tick["value"] for tick in shown["ticks"]["x"]]
    assert len(set(values)) == len(values) >= 4
    handles = playground.root.locator(".knots .handle").all()
    texts = [handle.get_attribute("aria-valuetext") for handle in handles]
    assert texts == ["100.2", "100.4", "100.6", "100.8"]
    for index in (1, 2, 3):  # onto one place, where they stand below each other
        playground.focus("knots", index)
        shown = playground.key("Home")
    assert len(set(shown["knots"])) == 1
    assert max(y for _, y in shown["at"]["knots"]) < shown["ticks"]["x"][0]["y"] - 15


# --- the mouse -----------------------------------------------------------------------------------


def test_mouse_drags_a_coefficient(playground):
    before = playground.set(grid_size=12)
    after = playground.drag("coefs", 6, 15, -60)
    moved = np.array(after["coefs"]) - before["coefs"]
    assert np.flatnonzero(moved).tolist() == [6]
    assert moved[6] == pytest.approx(60 / unit(before)[1], abs=2e-3)
    assert after["knots"] == before["knots"]
    # Only the part of the drawing over the function's k + 1 intervals has moved, and all of that.
    knots = playground.spline().knots
    start, end = knots[6] + 1e-9, knots[6 + 3 + 1] - 1e-9
    old, new = corners(before["curve"]), corners(after["curve"])
    x = new[:, 0]
    assert np.array_equal(old[:, 0], x)
    assert np.array_equal(old[:, 1] != new[:, 1], (start < x) & (x < end))
    # Past the edge too; the other button is for the browser.
    assert playground.drag("coefs", 2, 0, -900)["coefs"][2] > before["coefs"][2] + 1
    before = playground.press("undo")["coefs"]
    assert playground.drag("coefs", 3, 0, 50, button="right")["coefs"] == before


def test_mouse_drags_a_knot_no_further_than_its_neighbors(playground):
    before = playground.shown()
    per_x, _ = unit(before)
    after = playground.drag("knots", 1, 0.1 * per_x, 30)
    assert after["knots"][1] == pytest.approx(before["knots"][1] + 0.1, abs=2e-3)
    assert np.delete(after["knots"], 1).tolist() == np.delete(before["knots"], 1).tolist()
    assert after["coefs"] == before["coefs"]
    assert playground.drag("knots", 1, 3 * per_x, 0)["knots"][1] == before["knots"][2]
    # What stands below another knot can be taken away again, and lands on a near one.
    x = playground.drag("knots", 1, -0.3 * per_x, 0)["knots"]
    assert x[1] < before["knots"][2] - 0.2
    assert playground.drag("knots", 1, 3 - (x[1] - x[0]) * per_x, 0)["knots"][1] == x[0]


@pytest.mark.parametrize("kind, change", [("coefs", {"degree": 1}), ("knots", {"grid_size": 3})])
@pytest.mark.parametrize("undone", [False, True])
def test_drag_ends_with_another_layout_and_with_undo(playground, kind, change, undone):
    playground.set(grid_size=9)
    playground.pause()
    before = playground.in_the_middle()
    x, y = before["at"][kind][-1]
    mouse = playground.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 5, y - 5, steps=2)
    held = playground.shown()
    assert held[kind] != before[kind]
    changed = playground.key("Control+z") if undone else playground.set(**change)
    mouse.move(x - 15, y + 20, steps=2)
    mouse.up()
    assert playground.shown()[kind] == changed[kind]
    if not undone:
        assert playground.press("undo")[kind] == held[kind]
        playground.press("undo")
    after = playground.shown()
    assert (after["coefs"], after["knots"]) == (before["coefs"], before["knots"])


def test_probe_lists_what_is_alive(playground):
    """At a point between knots: the k + 1 functions there, their values, their sum, the curve."""
    pattern = r"x = (\S+?)( \(outside the domain\))?\. Alive: (.*); sum (\S+)\. Curve: (\S+)"

    def probe(x):
        names, shown = playground.as_python(), playground.in_the_middle()
        playground.page.mouse.move(*on_screen(shown, [(x, 1.1)])[0])
        shown = playground.shown()
        (at,) = shown["probes"]
        assert at == pytest.approx(x, abs=0.01)
        b = splines.basis(float64(at), names["knots"], shown["degree"])
        y = splines.evaluate(float64(at), names["coef"], names["knots"], shown["degree"])
        found = re.fullmatch(pattern, shown["readout"])
        listed = re.findall(r"B(\d+) = (\S+?)(?:,|$)", found[3])
        assert [int(i) for i, _ in listed] == np.flatnonzero(b).tolist() == shown["alive"]
        said = [found[1], found[4], found[5], *(value for _, value in listed)]
        expected = [at, b.sum().item(), y.item(), *b[b != 0].tolist()]
        assert [float(v) for v in said] == pytest.approx(expected, rel=6e-3, abs=1e-9)
        assert bool(found[2]) == (at > 1)
        return len(listed)

    for degree in (0, 1, 5):
        playground.set(degree=degree)
        assert probe(0.13) == degree + 1
    probe(1.1)
    playground.page.mouse.move(5, 5)
    assert "Alive" not in playground.shown()["readout"] and not playground.shown()["alive"]


# --- keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, more, less, onward, step, name",
    [
        ("coefs", "ArrowUp", "ArrowDown", "ArrowRight", 0.05, "coefficient 1 of 0 to 7"),
        ("knots", "ArrowRight", "ArrowLeft", "ArrowUp", 0.02, "knot 2 of 4 inside the domain"),
        ("probes", "ArrowRight", "ArrowLeft", None, 0.02, "probe: a point x"),
    ],
)
def test_keys_move_a_handle(playground, kind, more, less, onward, step, name):
    playground.focus(kind)
    i = 0
    if onward:
        back = {"ArrowRight": "ArrowLeft", "ArrowUp": "ArrowDown"}[onward]
        playground.key(onward, onward, back)
        i = 1
    assert playground.page.evaluate("document.activeElement.ariaLabel") == name
    start = playground.shown()
    expected = list(start[kind])
    for key, by in ((more, step), (f"Shift+{less}", -5 * step), (less, -step)):
        expected[i] += by
        assert_close(playground.key(key)[kind], expected, 1e-4)
    low, high = playground.bounds(kind, i)
    assert playground.key("End")[kind][i] == pytest.approx(high, abs=1e-3)
    assert playground.key("Home")[kind][i] == pytest.approx(low, abs=1e-3)
    end = playground.shown()
    others = {"coefs", "knots", "probes"} - {kind}
    assert all(end[other] == start[other] for other in others)
    assert playground.page.evaluate("scrollX") == 0
    if kind == "probes":
        assert low < -1 and "outside the domain" in end["readout"]
        assert "Alive" not in playground.key("Escape")["readout"]
        assert "Alive" in playground.key("ArrowLeft")["readout"]


@pytest.mark.parametrize("domain", [("-1", "1"), ("0", "0.0128")])
def test_keys_put_knots_where_they_say(playground, domain):
    """To the last digit onto a neighbor; by a hundredth of the domain, however narrow it is."""
    playground.set(grid_size=6)
    playground.set_domain(*domain)
    start, step = playground.shown()["knots"], 0.01 * (float(domain[1]) - float(domain[0]))
    playground.focus("knots", 2)
    assert playground.key("End")["knots"][2] == start[3]
    assert playground.key("Home")["knots"][2] == start[1]
    moved = playground.key("ArrowRight", "ArrowRight")["knots"][2]
    assert moved == pytest.approx(start[1] + 2 * step, abs=0.02 * step)


def test_readout_follows_the_focus(playground):
    coefs = playground.shown()["coefs"]
    playground.set(grid_size=6)
    assert playground.focus("knots", 2)["readout"] == "knot 3 at x = 0"  # 5.6e-17
    middle = playground.root.locator(".knots .handle").nth(2)
    assert [middle.get_attribute(f"aria-value{key}") for key in ("now", "text")] == ["0", "0"]
    playground.set(grid_size=5)
    assert playground.focus("coefs", 1)["readout"] == f"coefficient c1 = {coefs[1]}"
    assert playground.key("ArrowUp")["readout"] == f"coefficient c1 = {coefs[1] + 0.05:.2g}"
    assert "Alive" in playground.focus("probes")["readout"]
    playground.key("End")
    playground.set_domain(b="-0.8")  # the probe stays in a window that shrinks
    playground.focus("probes")
    playground.key("End", "Control+z", "Home", "Control+y")
    (x,), (low, high) = playground.shown()["probes"], playground.bounds("probes")
    assert low <= x <= high and "Alive" in playground.shown()["readout"]
    playground.root.locator("[name=degree]").focus()  # the probe goes with the focus
    shown = playground.shown()
    assert shown["readout"].startswith("Drag a point") and not shown["alive"]


@pytest.mark.parametrize("kind, index, key", [("coefs", 8, "ArrowUp"), ("knots", 4, "ArrowLeft")])
def test_focus_survives_its_handle_and_its_button(playground, kind, index, key):
    playground.set(grid_size=6)
    playground.focus(kind, index)
    playground.key(key)
    assert playground.key("Control+z", "Control+z")["grid_size"] == 5
    focused = "document.activeElement.closest('.handle')?.parentNode.classList[0]"
    assert playground.page.evaluate(focused) == kind
    moved = playground.key("Control+y", "Control+y")
    assert moved["grid_size"] == 6
    playground.button("undo").focus()
    playground.key("Enter", "Enter")  # and there is nothing left to undo
    assert playground.key("Control+y", "Control+y")[kind] == moved[kind]


def test_keys_undo_and_redo(playground):
    states = [playground.shown()["coefs"]]
    playground.focus("coefs", 3)
    for _ in range(3):
        playground.pause()
        states.append(playground.key("ArrowUp", "ArrowUp")["coefs"])  # quick ones are one step
    for keys, at in {"z": (2, 1), "Shift+z": (2,), "y": (3, 3), "z ": (2, 1, 0, 0)}.items():
        for i in at:
            assert playground.key(f"Control+{keys.strip()}")["coefs"] == states[i]
    playground.pause()
    assert playground.key("ArrowDown")["coefs"][3] == pytest.approx(states[0][3] - 0.05)
    assert playground.button("redo").is_disabled()
    # Another control is another step, also when it follows at once.
    playground.root.locator("[name=degree]").focus()
    playground.key("ArrowRight")
    playground.focus("coefs", 2)
    playground.key("ArrowUp")
    assert [playground.key("Control+z")["degree"] for _ in range(2)] == [4, 3]


def test_tab_reaches_one_handle_of_each_kind_and_every_control(playground):
    focused = """() => {
      const e = document.activeElement, ring = e.querySelector(".hit");
      const { stroke, strokeWidth, outlineColor, outlineWidth } = getComputedStyle(ring ?? e);
      return e.closest(".kan-playground") === document.querySelector(".kan-playground") ? [
        e.ariaLabel || e.textContent.trim() || e.name,
        ...(ring ? [stroke, strokeWidth] : [outlineColor, outlineWidth]),
      ] : null;
    }"""
    playground.set(target="sine")
    playground.focus("coefs", 0)
    playground.key("ArrowUp")  # something to undo
    playground.focus("probes")
    playground.page.keyboard.press("Shift+Tab")
    seen = [playground.page.evaluate(focused)]
    while len(seen) < 40 and (len(seen) == 1 or seen[-1]):
        playground.page.keyboard.press("Tab")
        seen.append(playground.page.evaluate(focused))
    names = ["probe: a point x", "knot 1 of 4 inside the domain", "coefficient 0 of 0 to 7"]
    names += ["degree", "grid size", "domain from", "domain to"]
    names += ["show_basis", "weighted", "show_sum", "target", "fit", "descend"]
    names += ["undo", "even knots", "reset", "copy as Python", "keys and gestures"]
    assert seen == [None, *([name, "rgb(213, 94, 0)", "3px"] for name in names), None]


# --- fingers -------------------------------------------------------------------------------------


def swipe(page, start, end, steps=8):
    """One finger, as the browser gets it from a screen."""
    session = page.context.new_cdp_session(page)
    for i in range(steps + 1):
        x, y = (a + (b - a) * i / steps for a, b in zip(start, end, strict=True))
        kind = "touchMove" if i else "touchStart"
        points = [{"x": x, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def test_finger_drags_points_and_knots_and_scrolls_beside_them(phone):
    playground, page = arrive(phone), phone.page
    before = playground.in_the_middle()
    scrolled = page.evaluate("scrollY")
    x, y = before["at"]["coefs"][3]
    swipe(page, (x + 6, y - 8), (x + 10, y - 88))
    after = playground.shown()
    moved = np.array(after["coefs"]) - before["coefs"]
    assert np.flatnonzero(moved).tolist() == [3]
    assert moved[3] == pytest.approx(80 / unit(before)[1], abs=0.02)
    x, y = after["at"]["knots"][1]
    swipe(page, (x, y + 8), (x + 12, y + 40))
    moved = playground.shown()["knots"][1] - before["knots"][1]
    assert moved == pytest.approx(12 / unit(before)[0], abs=0.02)
    assert page.evaluate("scrollY") == scrolled

    shown = playground.in_the_middle()
    corner = playground.root.locator("svg").first.bounding_box()
    x = corner["x"] + corner["width"] - 14  # beside the outermost point
    points = [*shown["at"]["coefs"], *shown["at"]["knots"]]
    y = max(
        np.linspace(corner["y"] + 30, corner["y"] + 180, 30),
        key=lambda y: min(math.hypot(x - px, y - py) for px, py in points),
    )
    swipe(page, (x, y), (x, y - 150), steps=15)
    page.wait_for_function(f"scrollY > {scrolled} + 60")
    assert playground.shown()["coefs"] == shown["coefs"]


def test_phone_has_room_for_everything(phone):
    playground = arrive(phone)
    playground.press("copy as Python")
    playground.root.locator("summary").click()
    playground.set(target="zigzag", degree=5, grid_size=20)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 360
    boxes = playground.root.evaluate(
        """root => [...root.querySelectorAll("button, input, select, summary, textarea, p, dl")]
          .filter(e => e.getClientRects().length && e.textContent + e.value)
          .map(e => [e.outerHTML, e.getBoundingClientRect().toJSON(),
            (e.closest("label") ?? e).getBoundingClientRect().height])"""
    )
    for html, box, height in boxes:
        assert box["left"] >= 0 and box["right"] <= 360, html
        assert height >= 24 or not re.match("<(button|input|select)", html), html
    handles = playground.root.locator(".handle .hit").evaluate_all(
        "nodes => nodes.map(e => e.getBoundingClientRect().width)"
    )
    assert min(handles) >= 22


# --- controls ------------------------------------------------------------------------------------


def test_degree_and_grid_size_refit_as_python_does(playground):
    drag_about(playground)
    start = playground.spline()
    p = SplinePlayground(start.degree, knots=start.knots, coefs=start.coefs)
    changes = [("grid_size", 7), ("degree", 1), ("degree", 5), ("grid_size", 20), ("degree", 3)]
    for name, value in [*changes, ("grid_size", 5)]:
        shown = playground.set(**{name: value})
        setattr(p, name, value)
        assert_close(shown["coefs"], p.coefs, 1e-6 * max(1, *map(abs, p.coefs)))
        assert_close(shown["knots"], p.knots[p.degree + 1 : -p.degree - 1])
        assert shown["status"].startswith(f"{name.replace('_', ' ')} {value}; the curve ")
    assert shown["status"] == "grid size 5; the curve is the same"
    assert_close(shown["coefs"], start.coefs, 1e-11)


def test_domain_is_changed_or_refused_with_a_reason(playground):
    before = playground.shown()
    for bad in ({"a": "1"}, {"b": "1e9"}, {"a": "0.995"}, {"b": ""}):
        shown = playground.set_domain(**bad)
        assert shown["coefs"] == before["coefs"] and shown["curve"] == before["curve"], bad
        assert shown["status"].startswith("The domain needs two numbers from −1000 to 1000")
        assert shown["wrong"] == 2
        shown = playground.press("reset")  # the fields show the domain again
        assert (shown["domain"], shown["wrong"]) == ([-1, 1], 0)
    shown = playground.set_domain(b="2.5")
    assert shown["status"].startswith("domain −1 to 2.5; the curve")
    p = SplinePlayground()
    p.domain = (-1, 2.5)
    assert_close(shown["coefs"], p.coefs)
    assert_close(playground.spline().knots, p.knots)
    playground.root.locator("[type=number]").nth(1).focus()
    shown = playground.key("Control+z")
    assert (shown["coefs"], shown["domain"]) == (before["coefs"], before["domain"])
    assert playground.set_domain("3", "4")["domain"] == [3, 4]  # one after the other


def test_toggles(playground):
    shown = playground.shown()
    assert len(shown["bases"]) == 8 and not shown["sum"]
    assert not playground.set(show_basis=False)["bases"]
    both = playground.set(show_basis=True, show_sum=True)
    assert_close([y for x, y in corners(both["sum"]) if -1 < x < 1], 1, 1e-12)
    weighted = playground.set(weighted=True)
    assert weighted["sum"] == weighted["curve"] == shown["curve"]
    for plain, times, c in zip(shown["bases"], weighted["bases"], shown["coefs"], strict=True):
        assert_close(corners(times)[:, 1], c * corners(plain)[:, 1], 1e-12)


def test_fit_is_least_squares(playground):
    assert playground.button("fit").is_disabled()
    playground.set(target="noise", degree=2, grid_size=9)
    shown = playground.press("fit")
    p = SplinePlayground(2, 9, target="noise")
    (x, y), knots = p.samples(), float64(p.knots)
    expected = splines.fit(x, y, knots, 2)
    assert_close(shown["coefs"], expected)
    error = (splines.evaluate(x, expected, knots, 2) - y).square().mean().sqrt().item()
    assert shown["rms"] == pytest.approx(error, rel=6e-3)
    assert shown["status"] == "least squares on 101 points"
    assert playground.set(target="sine")["status"] == ""  # that is what the points were of
    playground.set_domain(b="4")
    playground.set_domain(a="3")
    assert playground.button("fit").is_disabled()
    assert "no samples" in playground.root.locator(".rms").inner_text()


def test_descent_is_animated_and_stops(playground):
    before = playground.set(target="sine")
    playground.press("descend")
    errors, silent = [], True
    for _ in range(6):
        shown = playground.shown()
        errors.append(shown["rms"])
        silent &= shown["status"] == ""  # a screen reader shall not hear of each step
    assert silent and len(set(errors)) == 6 and errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.7 * before["rms"]
    stopped = playground.press("stop")
    assert stopped["coefs"] == playground.shown()["coefs"]
    assert re.fullmatch(r"gradient descent: \d+ steps", stopped["status"])
    assert playground.press("undo")["coefs"] == before["coefs"]  # the descent is one step


@pytest.mark.parametrize("other", ["zigzag", "none", "a key", "a slider", "fit"])
def test_descent_ends_with_what_is_done_next(playground, other):
    start = playground.set(target="sine")["coefs"]
    playground.press("descend")
    if other == "a key":
        playground.focus("coefs", 2)
        playground.key("ArrowUp")
    elif other == "a slider":
        playground.set(degree=4)
    elif other == "fit":
        playground.press("fit")
    else:
        playground.set(target=other)
    coefs = playground.shown()["coefs"]
    assert playground.shown()["coefs"] == coefs != start
    assert playground.button("descend").is_visible()
    for _ in range(1 if other in ("zigzag", "none") else 2):
        undone = playground.press("undo")
    assert undone["coefs"] == start


def test_descent_without_motion(desktop, playground):
    """One jump of 100 steps of gradient descent at the largest safe rate."""
    desktop.page.emulate_media(reduced_motion="reduce")
    coefs = float64(playground.set(target="sine", degree=1, grid_size=4)["coefs"])
    shown = playground.press("descend")
    assert shown["status"] == "gradient descent: 100 steps"
    p = SplinePlayground(1, 4, target="sine")
    x, y = p.samples()
    matrix = splines.basis(x, float64(p.knots), 1)
    for _ in range(100):
        coefs = coefs - matrix.T @ (matrix @ coefs - y) / matrix.sum(0).max()
    assert_close(shown["coefs"], coefs)


def test_history_and_reset(playground):
    """Every kind of change is one step back, and all of them lead forth again."""
    states = [playground.shown()]
    changes = [
        lambda: playground.drag("coefs", 2, 0, 40),
        lambda: playground.drag("knots", 0, 30, 0),
        lambda: playground.set(degree=5),
        lambda: playground.set(grid_size=8),
        lambda: playground.set_domain("-1", "1.5"),
        lambda: playground.press("even knots"),
        lambda: playground.set(target="sine"),  # no step: the curve stays
        lambda: playground.press("fit"),
        lambda: playground.press("reset"),
    ]
    same = ("degree", "grid_size", "domain", "coefs", "knots", "curve", "ghost")
    for change in changes:
        playground.pause()
        shown = change()
        if shown["curve"] != states[-1]["curve"]:
            states.append(shown)
    assert len(states) == len(changes)
    assert all(states[-1][name] == states[0][name] for name in same)
    assert_close(np.diff(states[6]["knots"]), 2.5 / 8)
    for direction, way in (("undo", states[-2::-1]), ("redo", states[1:])):
        for expected in way:
            shown = playground.press(direction)
            assert {name: shown[name] for name in same} == {name: expected[name] for name in same}
        assert playground.button(direction).is_disabled()


def test_copied_text_runs_in_python(desktop, playground):
    desktop.context.grant_permissions(["clipboard-read", "clipboard-write"])
    drag_about(playground)
    names = playground.as_python()
    text = playground.root.locator("textarea").input_value()
    desktop.page.wait_for_function("document.querySelector('.status').textContent === 'Copied.'")
    assert desktop.page.evaluate("navigator.clipboard.readText()") == text
    desktop.context.clear_permissions()
    assert text.startswith("import torch\nfrom kanbook import splines\n\nknots = ")
    line, x = corners(playground.shown()["curve"]), names["x"].numpy()
    assert len(x) == 201 and (x[0], x[-1]) == (-1, 1)
    assert_close(names["y"], np.interp(x, line[:, 0], line[:, 1]), 1e-3)
    # It follows what is done next, and works without a clipboard.
    desktop.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    playground.press("reset")
    playground.set(grid_size=6)
    playground.drag("knots", 0, 20, 0)  # no even knots, and the middle one is at 5.6e-17
    assert playground.root.locator("textarea").input_value() != text
    assert playground.as_python()["knots"][6] == 0
    assert playground.shown()["status"].startswith("Cop")


# --- for everybody -------------------------------------------------------------------------------


def test_names_and_values_for_screen_readers(playground):
    playground.set(grid_size=3)
    root = playground.root
    plot = root.get_by_role("group", name="its coefficients and knots as sliders")
    assert plot.count() == root.get_by_role("status").count() == 1
    handles = plot.get_by_role("slider").all()
    assert len(handles) == 6 + 2 + 1
    for handle in handles:
        label, text, *values = (
            handle.get_attribute(f"aria-{key}")
            for key in ("label", "valuetext", "valuemin", "valuenow", "valuemax")
        )
        assert all(re.fullmatch(r"-?\d+(\.\d+)?", value) for value in values)
        low, now, high = map(float, values)
        assert low <= now <= high
        if "probe" not in label:
            assert float(text.replace("−", "-")) == pytest.approx(now, rel=6e-3)
    tabs = plot.locator("[tabindex='0']").count(), plot.locator("[tabindex='-1']").count()
    assert tabs == (3, 6)
    for name in ("basis functions", "times coefficients", "their sum"):
        assert root.get_by_role("checkbox", name=name, exact=True).count() == 1, name


def luminance(color):
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (int(v) / 255 for v in re.findall(r"\d+", color)[:3])
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_follows_the_theme_with_contrast_in_both(desktop, playground):
    colors = """root => {
      const color = (selector, name) => getComputedStyle(root.querySelector(selector))[name];
      const text = [".readout", ".status", "button:enabled", "summary", "label"];
      const marks = [".coefs .dot", ".knots .dot", ".probes .dot"];
      return {
        surface: getComputedStyle(root).backgroundColor,
        text: [...text.map(node => color(node, "color")), color(".axes text", "fill")],
        shapes: [...marks.map(node => color(node, "fill")), color(".curve", "stroke")],
        focus: getComputedStyle(root).getPropertyValue("--focus"),
      };
    }"""
    for theme in ("dark", "light"):
        desktop.switch_to(theme)
        desktop.page.wait_for_selector(f".kan-playground[data-theme={theme}]")
        found = playground.root.evaluate(colors)
        assert (luminance(found["surface"]) < 0.2) == (theme == "dark")
        assert min(contrast(text, found["surface"]) for text in found["text"]) >= 4.5
        assert min(contrast(shape, found["surface"]) for shape in found["shapes"]) >= 3
        focus = tuple(int(found["focus"][i : i + 2], 16) for i in (1, 3, 5))
        assert contrast(f"rgb{focus}", found["surface"]) >= 3
