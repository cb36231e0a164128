"""What a reader does with the built book, in a browser; and its links.

`make book` builds it first, and test_every_page.py looks at each page. Needs a Chromium or Chrome;
KANBOOK_BROWSER names one elsewhere. The pages come from a server of this test, and every request to
another host is a failure: visitor.py.
"""

import colorsys
import functools
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader
from visitor import DESKTOP, HTML, NEEDS_BOOK, PAGES, PHONE, Visitor

import bake_repo
from kanbook import plots
from notebook_files import ROOT

NOTEBOOK_PAGES = [page for page in PAGES if page.startswith("notebooks/")]

pytestmark = NEEDS_BOOK


def test_front_door_leads_to_the_first_page_which_loads_no_search_index(fresh_desktop):
    loaded = []
    fresh_desktop.page.on("request", lambda request: loaded.append(request.url))
    fresh_desktop.page.goto(fresh_desktop.server)
    fresh_desktop.page.wait_for_url("**/book/intro.html")
    assert not [url for url in loaded if re.search("searchindex|webfonts", url)]
    # its one flaw is that of any page without an icon: the browser asks for /favicon.ico
    assert not [problem for problem in fresh_desktop.problems if "host" in problem]


def test_the_way_to_the_top_shows_for_who_scrolls_up(fresh_desktop):
    page = fresh_desktop.open("book/how_to_use.html")
    page.evaluate("document.body.style.paddingBottom = '5000px'")
    for y, shown in [(3000, False), (2800, True), (2900, False), (2700, True), (100, False)]:
        page.evaluate(f"scrollTo({{ top: {y}, behavior: 'instant' }})")
        hidden = "document.querySelector('#back-to-top').hidden"
        page.wait_for_function(f"shown => {hidden} !== shown", arg=shown)


def bottom(page, selector):
    box = page.locator(selector).bounding_box()
    return box["y"] + box["height"]


def test_first_page_shows_picture_and_answer_and_its_list_of_chapters_on_demand(fresh_desktop):
    page = fresh_desktop.page
    page.set_viewport_size({"width": 1366, "height": 900})
    fresh_desktop.open("book/intro.html")
    page.locator(".kan-lab .fit path[d]").first.wait_for()
    assert page.get_by_role("heading", level=1).last.is_visible()
    assert bottom(page, ".answer") < bottom(page, ".kan-lab .acts") <= 900
    chapters = page.locator("#pst-primary-sidebar")
    assert not chapters.is_visible()
    page.locator(".primary-toggle").click()
    chapters.wait_for(state="visible")
    page.get_by_role("link", name="Try it yourself").click()
    page.wait_for_url("**/book/lab.html")
    page.locator(".kan-lab[data-size=large] .edges .curve[d]").first.wait_for()
    assert not chapters.is_visible() and not fresh_desktop.problems


def test_first_page_on_a_phone_has_a_still_until_it_lives(browser, server):
    phone = {"width": 390, "height": 844}
    visitor = Visitor(browser, server, phone, "dark", has_touch=True, is_mobile=True)
    page = visitor.open("book/intro.html")
    still = page.locator(".still img")
    assert bottom(page, ".still img") <= phone["height"]
    assert pixels(still).min(2).max() > 0.8 and pixels(still)[2, 2].max() < 0.1  # dark, and drawn
    height = still.bounding_box()["height"]
    page.locator(".kan-lab .fit path[d]").first.wait_for()
    live = page.locator(".kan-lab .fit").bounding_box()
    assert not still.is_visible() and live["y"] + live["height"] <= phone["height"]
    top = page.locator(".kan-lab .cover").bounding_box()["y"]
    assert live["y"] + live["height"] - top == pytest.approx(height, abs=6)
    assert not visitor.problems
    visitor.context.close()


def pixels(element):
    """The colors of an element on the screen, ``(rows, columns, 3)``, from 0 to 1."""
    picture = Image.open(io.BytesIO(element.screenshot())).convert("RGB")
    return np.asarray(picture) / 255


@pytest.mark.parametrize("scheme, page_color", [("light", 255), ("dark", 18)])
def test_a_drawing_lies_on_the_page(browser, server, scheme, page_color):
    visitor = Visitor(browser, server, DESKTOP, scheme)
    page = visitor.open("notebooks/10_recipe.html")
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert color == f"rgb({page_color}, {page_color}, {page_color})"
    drawing = page.locator("article img.drawing:not(.with-pixels, .covered *)").first
    drawing.scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.images].some(i => i.matches('.drawing') && i.naturalWidth)"
    )
    shown = 255 * pixels(drawing)
    assert np.abs(shown[2, 2] - page_color).max() <= 1
    assert np.abs(shown - page_color).max() > 200  # its letters
    page.set_viewport_size({"width": 390, "height": 844})  # on a phone, its text is legible
    shrunk = page.locator("article img.drawing").evaluate_all(
        "all => all.map(i => i.getBoundingClientRect().width / i.getAttribute('width'))"
    )
    assert min(shrunk) * 14 * 96 / 72 >= 11  # of 14 points, the size of kanbook.plots.use_style
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not visitor.problems
    visitor.context.close()


def luminance(color):
    """Of red, green and blue from 0 to 1, as WCAG defines it."""
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in color]
    return np.dot((0.2126, 0.7152, 0.0722), linear)


def test_roles_keep_their_hue_and_stand_out_in_the_dark(fresh_desktop):
    colors = ["#ffffff", *(role["color"] for role in plots.ROLES.values()), *plots.SERIES]
    style = "width: 20px; height: 20px; float: left; background:"
    cells = "".join(f"<i style='{style} {color}'></i>" for color in colors)
    fresh_desktop.page.set_content(
        f"<p style='width: {20 * len(colors)}px; height: 20px'>{cells}</p>"
    )
    css = (ROOT / "book" / "_static" / "figures.css").read_text(encoding="utf-8")
    (look,) = re.findall(r"filter: ([^;]*);", css)
    swatches = fresh_desktop.page.locator("p")
    light = pixels(swatches)[10, 10::20]
    swatches.evaluate("(element, look) => { element.style.filter = look; }", look)
    dark = pixels(swatches)[10, 10::20]
    for before, after in zip(light[1:], dark[1:], strict=True):
        on_white = 1.05 / (luminance(before) + 0.05)
        on_page = (luminance(after) + 0.05) / (luminance(dark[0]) + 0.05)
        assert on_page > 3 and on_page > min(on_white, 4.5)
        if np.ptp(before) > 0.1:  # no gray
            hues = [colorsys.rgb_to_hsv(*color)[0] for color in (before, after)]
            assert abs((hues[0] - hues[1] + 0.5) % 1 - 0.5) < 15 / 360


def test_a_film_is_a_still_where_less_motion_is_wanted(fresh_desktop):
    page = fresh_desktop.open("notebooks/07_grid_updates.html")
    film = page.locator("#fig-update-film img:visible")
    film.scroll_into_view_if_needed()
    for motion, moves in (("no-preference", True), ("reduce", False)):
        page.emulate_media(reduced_motion=motion)
        page.wait_for_timeout(1000)
        first = film.screenshot()
        page.wait_for_timeout(1000)
        assert (film.screenshot() != first) == moves
    assert not fresh_desktop.problems


@pytest.mark.parametrize("before", ["book/intro.html", "notebooks/20_engines.html"])
def test_the_list_of_chapters_shows_where_the_reader_is(fresh_desktop, before):
    fresh_desktop.open(before)
    page = fresh_desktop.open("notebooks/15_formulas.html")
    entry = page.locator("#pst-primary-sidebar li.active > a").bounding_box()
    assert 0 < entry["y"] < DESKTOP["height"] - 100


def test_search_finds_a_chapter(desktop):
    page = desktop.open("search.html?q=B-spline")
    page.locator("#search-results li a").first.wait_for()
    results = page.locator("#search-results li a").evaluate_all("links => links.map(a => a.href)")
    assert any("/notebooks/01_" in result for result in results), results
    assert not desktop.problems


def test_the_icon_of_the_search_leaves_its_words_free(fresh_desktop):
    page = fresh_desktop.open("notebooks/04_fair_race.html")
    page.locator(".search-button-field").click()
    field, icon = (
        page.locator(f"#pst-search-dialog {part}") for part in ("input", "form i, form svg")
    )
    words = field.bounding_box()["x"] + field.evaluate(
        "field => parseFloat(getComputedStyle(field).paddingLeft)"
    )
    assert icon.first.bounding_box()["x"] + icon.first.bounding_box()["width"] < words


def test_a_link_from_the_first_page_opens_an_answer(fresh_desktop):
    page = fresh_desktop.open("book/intro.html")
    page.get_by_text("Where something else comes first").click()
    page.get_by_role("link", name="a microcontroller").click()
    page.wait_for_url("**/19_verdict.html#microcontroller")
    assert page.locator("#microcontroller > blockquote").is_visible()
    assert 0 < page.locator("#microcontroller").bounding_box()["y"] < DESKTOP["height"]
    assert not page.locator("#noisy-table > blockquote").is_visible()
    page.evaluate("location.hash = 'noisy-table'")
    page.locator("#noisy-table > blockquote").wait_for(state="visible")


@pytest.mark.parametrize("way", ["its button", "the answer in words", "a link"])
def test_a_figure_that_answers_a_question_waits(fresh_desktop, way):
    page = fresh_desktop.open("notebooks/04_fair_race.html")
    answer = page.locator(".covered:has(#fig-lead)")
    figure, button = answer.locator("img"), answer.get_by_role("button", name="Show what happened")
    assert not figure.is_visible() and not answer.locator(".enlarge").is_visible()
    assert button.get_attribute("aria-expanded") == "false"
    if way == "its button":
        button.press("Enter")
        assert answer.evaluate("element => element === document.activeElement")
    elif way == "a link":
        page.evaluate("location.hash = 'fig-lead'")
    else:
        page.locator(".predict", has_text="a landslide").locator("summary").click()
    figure.wait_for(state="visible")
    assert not button.is_visible()
    page.emulate_media(media="print")
    assert all(part.is_visible() for part in page.locator(".covered img").all())
    assert not fresh_desktop.problems


def test_the_cheat_sheet_is_one_sheet(desktop):
    page = desktop.open("book/cheat_sheet.html")
    margin = {"top": "18mm", "right": "17mm", "bottom": "20mm", "left": "17mm"}  # as in make pdf
    printed = page.pdf(format="A4", margin=margin)
    assert len(PdfReader(io.BytesIO(printed)).pages) == 1


def test_contests_are_chosen_by_rival_verdict_and_words(desktop):
    page = desktop.open("book/claims.html")
    box = page.locator(".contests")
    rivals = box.locator("li").evaluate_all("items => items.map(item => item.dataset.rival)")
    assert box.locator("li:visible").count() == len(rivals) > 40
    box.get_by_label("Against").select_option("MLP of its size")
    assert box.locator("li:visible").count() == rivals.count("MLP")
    box.get_by_label("Verdict").select_option("clearly better")
    shown = box.locator("li:visible")
    assert 0 < shown.count() == box.locator("li.better:visible").count()
    assert f"{shown.count()} of {len(rivals)}: the KAN better in" in box.inner_text()
    box.get_by_label("Verdict").select_option("all")
    box.get_by_label("Containing").fill("NOISE")
    assert all("noise" in text for text in shown.all_inner_texts())
    assert shown.count() == 4 and not desktop.problems


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_a_figure_opens_large(browser, server, viewport):
    visitor = Visitor(browser, server, viewport, "dark")
    page = visitor.open("notebooks/06_three_extras.html")
    figure = page.locator("#fig-bias-constant")
    button = figure.get_by_role("button", name="Enlarge fig.")
    button.focus()
    page.keyboard.press("Enter")
    large = page.locator("dialog.closer[open]")
    assert large.locator("figcaption").inner_text() == figure.locator("figcaption").inner_text()
    width = large.locator("img").bounding_box()["width"]
    assert width >= 1.2 * figure.locator("img").bounding_box()["width"]
    page.keyboard.press("Escape")
    assert not large.count() and button.evaluate("element => element === document.activeElement")
    figure.locator("img").click()
    large.locator("img").click()
    assert not large.count() and not visitor.problems
    visitor.context.close()


@pytest.mark.parametrize(
    "path, link, told",
    [
        ("book/intro.html", "a[href*='term-KAN']", "Kolmogorov-Arnold network:"),
        ("book/intro.html", "a[href*='references.html#']", "Ziming Liu"),
        ("notebooks/12_tanh.html", ".opener-need a", "3. The minimal KAN"),
    ],
)
def test_a_link_tells_what_it_leads_to(fresh_desktop, path, link, told):
    page = fresh_desktop.open(path)
    page.wait_for_load_state("networkidle")  # nothing moves the link away from the mouse any more
    for ask in ("hover", "focus"):
        page.keyboard.press("Shift")  # from now on the focus is shown
        getattr(page.locator(f"article {link}").first, ask)()
        preview = page.get_by_role("tooltip")
        preview.wait_for()
        assert told in preview.inner_text()
        page.keyboard.press("Escape")
        assert not preview.is_visible()
        page.mouse.move(5, 5)
    assert not fresh_desktop.problems


def test_what_is_wide_uses_the_margin(fresh_desktop):
    page = fresh_desktop.open("notebooks/03_minimal_kan.html")
    lab, text = page.locator("#fig-minimal-lab .live-figure"), page.locator("article p").first
    lab.scroll_into_view_if_needed()
    lab.locator(".kan-lab").wait_for(timeout=60_000)
    assert lab.bounding_box()["width"] > 1.3 * text.bounding_box()["width"]
    page.wait_for_function("document.querySelector('.bd-sidebar-secondary.hide')")
    page.set_viewport_size({"width": 1800, "height": 900})
    figure = page.locator("#fig-kan-multiplier")
    picture, caption = (figure.locator(part).bounding_box() for part in ("img", "figcaption"))
    assert caption["x"] > picture["x"] + picture["width"]
    contents = page.locator(".bd-sidebar-secondary").bounding_box()
    assert caption["x"] + caption["width"] < contents["x"]


def test_a_table_of_results_is_sorted_by_keyboard(desktop):
    page = desktop.open("book/results.html")
    section = page.locator("#results-functions-1d")
    table = section.locator("details table.stored-results")
    assert not table.is_visible()
    section.locator("summary").click()
    names = table.locator("th").all_inner_texts()
    medians = table.locator(f"td:nth-child({names.index('median') + 1})")
    stored = medians.all_inner_texts()
    heading = table.locator("th").nth(names.index("median"))
    other = table.locator("th").nth(names.index("family"))
    heading.locator("button").focus()
    for key, way in (("Enter", "ascending"), ("Space", "descending")):
        page.keyboard.press(key)
        assert heading.get_attribute("aria-sort") == way
        rows = sorted(stored, key=float, reverse=way == "descending")
        assert [float(text) for text in medians.all_inner_texts()] == [float(x) for x in rows]
    other.get_by_role("button", name="family").click()
    assert heading.get_attribute("aria-sort") is None
    families = table.locator(f"td:nth-child({names.index('family') + 1})").all_inner_texts()
    assert families == sorted(families) and len(set(families)) == 3
    assert not desktop.problems


class Page(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed((HTML / path).read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        self.anchors |= {attributes[key] for key in ("id", "name") if attributes.get(key)}


@functools.cache
def read(path):
    return Page(path)


def broken_links(path):
    for link in read(path).links:
        if re.match(r"[a-z]+:|//|#lab\?", link):
            continue  # to another host, or one that drives a lab
        target, anchor = urldefrag(urljoin(f"/{path}", link))
        target = unquote(target.partition("?")[0]).lstrip("/")
        if not (HTML / target).is_file():
            yield f"{link}: no such file"
        elif anchor and target.endswith(".html") and unquote(anchor) not in read(target).anchors:
            yield f"{link}: no such place on that page"


@pytest.mark.parametrize("path", PAGES)
def test_links_resolve(path):
    assert not list(broken_links(path))


@pytest.mark.parametrize("path", NOTEBOOK_PAGES)
def test_colab_button_opens_this_notebook(path):
    slug, branch = bake_repo.configured(ROOT)
    notebook = Path(path).with_suffix(".ipynb").as_posix()
    colab = [link for link in read(path).links if link.startswith("https://colab.research")]
    assert colab == [f"https://colab.research.google.com/github/{slug}/blob/{branch}/{notebook}"]


@pytest.mark.parametrize("path", ["book/lab.html", "notebooks/03_minimal_kan.html"])
def test_a_lab_is_no_wider_than_the_window(browser, server, path):
    visitor = Visitor(browser, server, DESKTOP, "light")
    page = visitor.open(path)
    for width in (1200, 1366, 1500, 1800, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
    visitor.context.close()
