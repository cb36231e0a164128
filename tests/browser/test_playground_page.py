"""The spline playground: what a reader sees and does, without any kernel.

In the built book as far as the book matters, else in a page with nothing besides. What is drawn is
read from the page as numbers and compared with kanbook. Nothing waits for a clock: the history,
which tells gestures apart by their time, sees a fixed one.
"""

import re

import numpy as np
import pytest
from helpers import float64
from visitor import DESKTOP, HTML, PAGES, PHONE, Visitor, swipe

from kanbook import SplinePlayground, splines

PATH = "notebooks/02_playground.html"

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
    def __init__(self, page, index=0):
        self.page = page
        self.root = page.locator(".kan-playground").nth(index)
        self.root.locator(".curve[d]").wait_for(state="attached")
        self.time = 0
        self.pause()

    def pause(self):
        self.time += 10_000  # the next gesture is a step of its own in the history
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

    def set_domain(self, **ends):
        for name, text in ends.items():
            node = self.root.get_by_label(f"domain {name}", exact=True)
            node.fill(text)
            node.press("Tab")
            shown = self.shown()  # it writes both ends anew
        return shown

    def drag(self, kind, index, dx, dy, button="left"):
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

    def as_python(self):
        self.press("copy as Python")
        names = {}
        exec(self.root.locator("textarea").input_value(), names)
        return names


def assert_close(actual, expected, atol=1e-9):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def pieces(d):
    """The lines of a path in data units: one array of corners (N, 2) for each."""
    parts = [[corner.split() for corner in part.split("L")] for part in d.split("M")[1:]]
    return [np.array(part, dtype=float) for part in parts]


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
def book(server):
    """The address of the built book, with the playground's chapter."""
    if PATH not in PAGES:
        pytest.skip("no chapter of the playground in _build/html: run `make book`")
    return server


@pytest.fixture
def playground(show):
    return Playground(show(SplinePlayground()))


# --- the page ------------------------------------------------------------------------------------


def test_alive_in_the_book_and_a_picture_in_print(desktop, book):
    page = desktop.open(PATH, "light")
    in_book = Playground(page)
    shown = in_book.shown()
    assert (shown["degree"], shown["grid_size"], shown["domain"]) == (3, 5, [-1, 1])
    assert len(shown["coefs"]) == 8 and len(shown["knots"]) == 4
    images = page.locator(".live-figure img").all()
    for figure in page.locator(".live-figure").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".curve[d]").wait_for(state="attached")
    plots = page.locator(".kan-playground > svg").evaluate_all("all => all.map(e => e.ariaLabel)")
    assert page.locator(".live-figure.is-live").count() == len(images) == len(set(plots)) >= 2
    assert not any(image.is_visible() for image in images)
    for theme in ("dark", "light"):
        desktop.switch_to(theme)
        page.wait_for_selector(f".kan-playground[data-theme={theme}]")
    page.emulate_media(media="print")
    assert in_book.root.is_hidden()
    assert all(image.is_visible() and image.get_attribute("alt") for image in images)
    page.emulate_media(media="screen")
    assert not desktop.problems


def test_without_scripts_the_picture_stands_in(browser, book):
    visitor = Visitor(browser, book, PHONE, "light", java_script_enabled=False)
    visitor.page.goto(book + PATH)
    images = visitor.page.locator(".live-figure img").all()
    assert images and all(image.is_visible() for image in images)
    visitor.context.close()


@pytest.mark.usefixtures("book")
def test_book_opened_from_disk(browser):
    visitor = Visitor(browser, HTML.as_uri() + "/", DESKTOP, "light")
    playground = Playground(visitor.open(PATH))
    assert playground.drag("coefs", 2, 0, -20)["coefs"] != SplinePlayground().coefs
    # On disk a font cannot be preloaded, which is said in two lines, and comes by the style sheet.
    fonts = "font", "Failed to load resource: net::ERR_FAILED"
    problems = [p for p in visitor.problems if not any(word in p for word in ("warning", *fonts))]
    assert not problems
    assert visitor.page.evaluate("document.fonts.check('16px \"Source Serif 4\"')")
    visitor.context.close()


def test_two_views_of_one_widget_stay_in_step(show):
    p = SplinePlayground(2, 4, target="sine")
    page = show(p, views=2)
    first, second = Playground(page), Playground(page, 1)
    assert first.drag("coefs", 1, 0, 25)["coefs"] != p.coefs
    two, one = second.set(degree=4), first.shown()
    assert one["coefs"] == two["coefs"] and len(one["coefs"]) == 8 and one["curve"] == two["curve"]
    second.press("undo")
    assert first.press("undo")["coefs"] == second.shown()["coefs"] == p.coefs
    first.press("descend")  # what goes on in one view ends with what is done in another
    second.press("undo")
    assert first.shown()["coefs"] == first.shown()["coefs"] == p.coefs
    assert first.button("descend").is_visible()


@pytest.mark.parametrize("background", ["color-mix(in srgb, white 96%, black)", "oklch(0.2 0 0)"])
def test_theme_follows_the_page_and_labels_suit_any_height(show, background):
    height, knots = 1.5e12, [-1.5, -1.0, -0.5, 5.55e-17, 0.5, 1.0, 1.5]
    p = SplinePlayground(1, knots=knots, coefs=[height, -height, height, -height, height])
    root = Playground(show(p, background=background)).root
    assert root.get_attribute("data-theme") == ("dark" if "oklch" in background else "light")
    left = root.bounding_box()["x"]
    assert all(label.bounding_box()["x"] >= left for label in root.locator(".axes text").all())
    assert root.locator(".coefs .handle").first.get_attribute("aria-valuenow") == "1500000000000"
    assert root.locator(".knots .handle").nth(1).get_attribute("aria-valuenow") == "0"


# --- what is drawn -------------------------------------------------------------------------------


def drag_about(playground):
    """A point up, and two knots aside where there are some: nothing even is left."""
    shown = playground.drag("coefs", 1, 0, -33)
    per_x, _ = unit(shown)
    for index, share in ((0, 0.3), (len(shown["knots"]) - 1, -0.4)):
        playground.drag("knots", index, share * per_x * 2 / shown["grid_size"], 3)
    return playground.shown()


@pytest.mark.parametrize("degree", [0, 1, 3, 5])
def test_drawn_curve_is_the_spline(playground, degree):
    before = playground.set(degree=degree, show_sum=True)
    shown, k = drag_about(playground), degree
    knots, c = (playground.as_python()[name] for name in ("knots", "coef"))
    t = knots.tolist()
    assert_close(shown["coefs"], c)
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
    assert i + 1 == len(t) - k - 1 == 5 + k

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
    expected = on_screen(shown, [*zip(places, shown["coefs"], strict=True)])
    assert_close(shown["at"]["coefs"], expected, 1)
    expected = on_screen(shown, [(x, 0) for x in shown["knots"]])
    assert_close([x for x, _ in shown["at"]["knots"]], expected[:, 0], 1)

    # The curve that was shaped stays as the ghost of a change of degree.
    ghost = playground.set(degree=(degree + 2) % 6)["ghost"]
    assert ghost != before["ghost"]
    compare(ghost, lambda basis: basis @ c)


def test_toggles(playground):
    shown = playground.shown()
    assert len(shown["bases"]) == 8 and not shown["sum"]
    assert not playground.set(show_basis=False)["bases"]
    playground.set(show_basis=True, show_sum=True)
    weighted = playground.set(weighted=True)
    assert weighted["sum"] == weighted["curve"] == shown["curve"]
    for plain, times, c in zip(shown["bases"], weighted["bases"], shown["coefs"], strict=True):
        assert_close(pieces(times)[0][:, 1], c * pieces(plain)[0][:, 1])


# --- the mouse, and fingers ----------------------------------------------------------------------


def test_mouse_drags_a_coefficient(playground):
    before = playground.set(grid_size=12)
    after = playground.drag("coefs", 6, 15, -60)
    moved = np.array(after["coefs"]) - before["coefs"]
    assert np.flatnonzero(moved).tolist() == [6]
    assert moved[6] == pytest.approx(60 / unit(before)[1], abs=2e-3)
    assert after["knots"] == before["knots"]
    # Past the edge too; the other button is for the browser.
    assert playground.drag("coefs", 2, 0, -900)["coefs"][2] > before["coefs"][2] + 1
    before = playground.press("undo")["coefs"]
    assert playground.drag("coefs", 3, 0, 50, button="right")["coefs"] == before


def test_mouse_drags_a_knot_no_further_than_its_neighbors(playground):
    before = playground.shown()
    per_x, _ = unit(before)
    after = playground.drag("knots", 1, 0.1 * per_x, 30)
    expected = before["knots"][0], before["knots"][1] + 0.1, *before["knots"][2:]
    assert_close(after["knots"], expected, 2e-3)
    assert after["coefs"] == before["coefs"]
    assert playground.drag("knots", 1, 3 * per_x, 0)["knots"][1] == before["knots"][2]
    # What stands below another knot can be taken away again, and lands on a near one.
    x = playground.drag("knots", 1, -0.3 * per_x, 0)["knots"]
    assert x[1] < before["knots"][2] - 0.2
    assert playground.drag("knots", 1, 3 - (x[1] - x[0]) * per_x, 0)["knots"][1] == x[0]


@pytest.mark.parametrize("kind", ["coefs", "knots"])
@pytest.mark.parametrize("change", [{}, {"grid_size": 3}], ids=["undo", "another layout"])
def test_drag_ends_with_undo_and_with_another_layout(playground, kind, change):
    playground.set(grid_size=9)
    playground.pause()
    before = playground.in_the_middle()
    x, y = before["at"][kind][-1]
    mouse = playground.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 5, y - 5, steps=2)
    held = playground.shown()
    changed = playground.set(**change) if change else playground.key("Control+z")
    mouse.move(x - 15, y + 20, steps=2)
    mouse.up()
    assert playground.shown()[kind] == changed[kind] != held[kind] != before[kind]
    if change:
        assert playground.press("undo")[kind] == held[kind]
        playground.press("undo")
    after = playground.shown()
    assert (after["coefs"], after["knots"]) == (before["coefs"], before["knots"])


@pytest.mark.parametrize("degree", [0, 1, 5])
def test_probe_lists_what_is_alive(playground, degree):
    """The k + 1 functions there, their values, their sum, the curve; beyond the domain fewer."""
    pattern = r"x = (\S+?)( \(outside the domain\))?\. Alive: (.*); sum (\S+)\. Curve: (\S+)"
    playground.set(degree=degree)
    names, shown = playground.as_python(), playground.in_the_middle()
    for x in (0.13, 1.05):
        playground.page.mouse.move(*on_screen(shown, [(x, 1.1)])[0])
        seen = playground.shown()
        (at,) = seen["probes"]
        assert at == pytest.approx(x, abs=0.01)
        b = splines.basis(float64(at), names["knots"], degree)
        said, outside, alive, total, y = re.fullmatch(pattern, seen["readout"]).groups()
        listed = re.findall(r"B(\d+) = (\S+?)(?:,|$)", alive)
        assert [int(i) for i, _ in listed] == np.flatnonzero(b).tolist()
        assert (x > 1) == bool(outside) and (outside or len(listed) == degree + 1)
        assert outside or seen["alive"] == [int(i) for i, _ in listed]
        numbers = [float(v) for v in (said, total, y, *(value for _, value in listed))]
        expected = [at, b.sum().item(), (b @ names["coef"]).item(), *b[b != 0].tolist()]
        assert numbers == pytest.approx(expected, rel=6e-3, abs=1e-9)
    playground.page.mouse.move(5, 5)
    assert "Alive" not in playground.shown()["readout"]


@pytest.mark.parametrize("width", [360, 640, 1280])
def test_controls_stay_in_place_whatever_is_read_out(playground, width):
    """Else a click is lost: they move between its press and its release."""
    playground.page.set_viewport_size({"width": width, "height": 1200})
    playground.set(degree=5, grid_size=20)
    playground.in_the_middle()
    undo, texts = playground.button("undo"), set()
    plot, place = playground.root.locator("svg").first.bounding_box(), undo.bounding_box()
    for share in np.linspace(0.12, 0.95, 40):
        playground.page.mouse.move(plot["x"] + share * plot["width"], plot["y"] + 100)
        texts.add(playground.shown()["readout"])
        assert undo.bounding_box() == place, (width, texts)
    assert any("outside the domain" in text for text in texts) and max(map(len, texts)) > 110


def test_finger_drags_points_and_knots_and_scrolls_beside_them(show):
    page = show(SplinePlayground(), viewport=PHONE, has_touch=True, is_mobile=True)
    playground = Playground(page)
    before = playground.in_the_middle()
    scrolled = page.evaluate("scrollY")
    x, y = before["at"]["coefs"][3]
    swipe(page, np.linspace((x + 6, y - 8), (x + 10, y - 88), 9).tolist())
    after = playground.shown()
    moved = np.array(after["coefs"]) - before["coefs"]
    assert np.flatnonzero(moved).tolist() == [3]
    assert moved[3] == pytest.approx(80 / unit(before)[1], abs=0.02)
    x, y = after["at"]["knots"][1]
    swipe(page, np.linspace((x, y + 8), (x + 12, y + 40), 9).tolist())
    shown = playground.shown()
    moved = shown["knots"][1] - before["knots"][1]
    assert moved == pytest.approx(12 / unit(before)[0], abs=0.02)
    assert page.evaluate("scrollY") == scrolled
    box = playground.root.locator("svg").first.bounding_box()
    x = box["x"] + box["width"] - 14  # beside the outermost point
    y = box["y"] + (40 if abs(shown["at"]["coefs"][-1][1] - box["y"] - 40) > 60 else 150)
    swipe(page, np.linspace((x, y), (x, y - 150), 16).tolist())
    page.wait_for_function(f"scrollY > {scrolled} + 60")
    assert playground.shown()["coefs"] == shown["coefs"]


# --- keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, more, less, onward, step, name",
    [
        ("coefs", "ArrowUp", "ArrowDown", "Right Right Left", 0.05, "coefficient 1 of 0 to 7"),
        ("knots", "ArrowRight", "ArrowLeft", "Up Up Down", 0.02, "knot 2 of 4 inside the domain"),
        ("probes", "ArrowRight", "ArrowLeft", "", 0.02, "probe: a point x"),
    ],
)
def test_keys_move_a_handle(playground, kind, more, less, onward, step, name):
    playground.focus(kind)
    start = playground.key(*(f"Arrow{way}" for way in onward.split()))
    handle, i = playground.root.locator(":focus"), 1 if onward else 0
    assert handle.get_attribute("aria-label") == name
    expected = list(start[kind])
    for key, by in ((more, step), (f"Shift+{less}", -5 * step), (less, -step)):
        expected[i] += by
        assert_close(playground.key(key)[kind], expected, 1e-4)
    for key, end in (("End", "max"), ("Home", "min")):
        bound = float(handle.get_attribute(f"aria-value{end}"))
        shown = playground.key(key)
        assert shown[kind][i] == pytest.approx(bound, abs=1e-3)
    assert all(shown[other] == start[other] for other in {"coefs", "knots", "probes"} - {kind})
    if kind == "probes":
        assert bound < -1 and "outside the domain" in shown["readout"]
        assert "Alive" not in playground.key("Escape")["readout"]
        assert "Alive" in playground.key("ArrowLeft")["readout"]


def test_readout_and_focus_follow(playground):
    playground.set(grid_size=6)
    assert playground.focus("knots", 2)["readout"] == "knot 3 at x = 0"
    playground.focus("knots", 4)
    playground.key("ArrowLeft")
    shown = playground.key("Control+z", "Control+z")  # now there are but 4 of them
    assert playground.root.locator(":focus").get_attribute("aria-label").startswith("knot 4 of 4")
    playground.focus("coefs", 1)
    assert playground.key("ArrowUp")["readout"] == f"coefficient c1 = {shown['coefs'][1] + 0.05:g}"
    playground.button("undo").focus()
    playground.key("Enter")  # which leaves nothing to undo, and the button
    assert playground.key("Control+y")["coefs"] != shown["coefs"]
    playground.focus("probes")
    assert "Alive" in playground.key("End")["readout"]
    playground.set_domain(to="-0.8")
    playground.focus("probes")
    assert playground.key("End", "Control+z", "Home", "Control+y")["probes"][0] > -1.5
    playground.root.locator("[name=degree]").focus()  # the probe goes with the focus
    assert playground.shown()["readout"].startswith("Drag a point")


def test_tab_reaches_one_handle_of_each_kind_and_every_control(playground):
    focused = """() => {
      const e = document.activeElement, ring = e.querySelector(".hit");
      const { stroke, strokeWidth, outlineColor, outlineWidth } = getComputedStyle(ring ?? e);
      return e.closest(".kan-playground") === document.querySelector(".kan-playground") ? [
        e.ariaLabel || e.textContent.trim() || e.name,
        ...(ring ? [stroke, strokeWidth] : [outlineColor, outlineWidth]),
      ] : null;
    }"""
    for place in ("beforebegin", "afterend"):  # something that Tab reaches on either side
        link = "(e, place) => e.insertAdjacentHTML(place, '<a href=\"#\">a link</a>')"
        playground.page.locator("main").evaluate(link, place)
    playground.set(target="sine")
    playground.focus("coefs", 0)
    playground.key("ArrowUp")  # something to undo
    playground.focus("probes")
    seen, names = [], ["probe: a point x", "knot 1 of 4 inside the domain"]
    names += ["coefficient 0 of 0 to 7", "degree", "grid size", "domain from", "domain to"]
    names += ["show_basis", "weighted", "show_sum", "target", "fit", "descend"]
    names += ["undo", "even knots", "reset", "copy as Python", "keys and gestures"]
    for key in ["Shift+Tab", *["Tab"] * (len(names) + 1)]:
        playground.page.keyboard.press(key)
        seen.append(playground.page.evaluate(focused))
    assert seen == [None, *([name, "rgb(213, 94, 0)", "3px"] for name in names), None]


# --- controls ------------------------------------------------------------------------------------


def test_domain_is_changed_or_refused_with_a_reason(playground):
    before = playground.shown()
    for bad in ({"from": "1"}, {"to": ""}):
        shown = playground.set_domain(**bad)
        assert shown["coefs"] == before["coefs"] and shown["curve"] == before["curve"], bad
        assert shown["status"].startswith("The domain needs two numbers from −1000 to 1000")
        assert shown["wrong"] == 2
        shown = playground.press("reset")  # the fields show the domain again
        assert (shown["domain"], shown["wrong"]) == ([-1, 1], 0)
    shown = playground.set_domain(to="2.5")
    assert shown["status"].startswith("domain −1 to 2.5; the curve")
    p = SplinePlayground()
    p.domain = (-1, 2.5)
    assert_close(shown["coefs"], p.coefs)
    assert_close(shown["knots"], p.knots[4:-4])
    playground.root.get_by_label("domain to").focus()
    shown = playground.key("Control+z")
    assert (shown["coefs"], shown["domain"]) == (before["coefs"], [-1, 1])


def test_fit_is_least_squares(playground):
    assert playground.button("fit").is_disabled()
    playground.set(target="noise", degree=2, grid_size=9)
    shown, p = playground.press("fit"), SplinePlayground(2, 9, target="noise")
    (x, y), knots = p.samples(), float64(p.knots)
    expected = splines.fit(x, y, knots, 2)
    assert_close(shown["coefs"], expected)
    error = (splines.evaluate(x, expected, knots, 2) - y).square().mean().sqrt().item()
    assert shown["rms"] == pytest.approx(error, rel=6e-3)
    assert shown["status"] == "least squares on 101 points"


def test_descent_is_animated_and_stops(playground):
    before = playground.set(target="sine")
    playground.press("descend")
    seen = [playground.shown() for _ in range(6)]
    errors = [shown["rms"] for shown in seen]
    assert len(set(errors)) == 6 and errors == sorted(errors, reverse=True)
    assert {shown["status"] for shown in seen} == {""}  # a screen reader shall not hear each step
    stopped = playground.press("stop")
    assert stopped["coefs"] == playground.shown()["coefs"]
    assert re.fullmatch(r"gradient descent: \d+ steps", stopped["status"])
    assert playground.press("undo")["coefs"] == before["coefs"]  # the descent is one step


@pytest.mark.parametrize("name, value, steps", [("target", "none", 1), ("degree", 4, 2)])
def test_descent_ends_with_what_is_done_next(playground, name, value, steps):
    start = playground.set(target="sine")["coefs"]
    playground.press("descend")
    coefs = playground.set(**{name: value})["coefs"]
    assert playground.shown()["coefs"] == coefs != start
    assert playground.button("descend").is_visible()
    assert [playground.press("undo")["coefs"] for _ in range(steps)][-1] == start


def test_descent_without_motion(playground):
    """One jump of 100 steps of gradient descent at the largest safe rate."""
    playground.page.emulate_media(reduced_motion="reduce")
    coefs = float64(playground.set(target="sine", degree=1, grid_size=4)["coefs"])
    shown, p = playground.press("descend"), SplinePlayground(1, 4, target="sine")
    assert shown["status"] == "gradient descent: 100 steps"
    x, y = p.samples()
    matrix = splines.basis(x, float64(p.knots), 1)
    for _ in range(100):
        coefs = coefs - matrix.T @ (matrix @ coefs - y) / matrix.sum(0).max()
    assert_close(shown["coefs"], coefs)


def test_history_and_reset(playground):
    """Every kind of change is one step back, and all of them lead forth again."""
    states = [playground.shown()]
    playground.focus("coefs", 3)
    states.append(playground.key("ArrowUp", "ArrowUp"))  # quick ones are one step
    playground.root.locator("[name=degree]").focus()
    states.append(playground.key("ArrowRight"))  # another control at once: another step
    for change in (
        lambda: playground.drag("knots", 0, 30, 0),
        lambda: playground.set(grid_size=8),
        lambda: playground.set_domain(to="1.5"),
        lambda: playground.press("even knots"),
        lambda: playground.set(target="sine") and playground.press("fit"),  # one step: the curve's
        lambda: playground.press("reset"),
    ):
        playground.pause()
        states.append(change())
    assert_close(np.diff(states[6]["knots"]), 2.5 / 8)
    same = ("degree", "grid_size", "domain", "coefs", "knots", "curve", "ghost")
    assert all(states[-1][name] == states[0][name] for name in same)
    keys = {"undo": "Control+z", "redo": "Control+Shift+z"}
    for act in (lambda name: playground.press(name), lambda name: playground.key(keys[name])):
        for direction, way in (("undo", states[-2::-1]), ("redo", states[1:])):
            for expected in way:
                shown = act(direction)
                assert [shown[name] for name in same] == [expected[name] for name in same]
            assert playground.button(direction).is_disabled()


def test_copied_text_runs_in_python(playground):
    page = playground.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    drag_about(playground)
    names = playground.as_python()
    text = playground.root.locator("textarea").input_value()
    page.wait_for_function("document.querySelector('.status').textContent === 'Copied.'")
    assert page.evaluate("navigator.clipboard.readText()") == text
    line, x = np.concatenate(pieces(playground.shown()["curve"])), names["x"].numpy()
    assert len(x) == 201 and (x[0], x[-1]) == (-1, 1)
    assert_close(names["y"], np.interp(x, line[:, 0], line[:, 1]), 1e-3)
