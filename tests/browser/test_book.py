"""What a reader does with the built book, in a browser; and its links.

`make book` builds it first, and test_every_page.py looks at each page. Needs a Chromium or Chrome;
KANBOOK_BROWSER names one elsewhere. The pages come from a server of this test, and every request to
another host is a failure: visitor.py.
"""

import functools
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from visitor import DESKTOP, HTML, NEEDS_BOOK, PAGES, PHONE, Visitor

import bake_repo
from notebook_files import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from figures import PAGE  # noqa: E402

NOTEBOOK_PAGES = [page for page in PAGES if page.startswith("notebooks/")]

pytestmark = NEEDS_BOOK


@pytest.fixture
def fresh_desktop(browser, server):
    """A first visit: nothing in the browser's storage."""
    visitor = Visitor(browser, server, DESKTOP, "light")
    yield visitor
    visitor.context.close()


def test_front_door_leads_to_the_first_page_which_loads_no_mathjax(fresh_desktop):
    loaded = []
    fresh_desktop.page.on("request", lambda request: loaded.append(request.url))
    fresh_desktop.page.goto(fresh_desktop.server)
    fresh_desktop.page.wait_for_url("**/book/intro.html")
    assert not [url for url in loaded if re.search("mathjax|searchindex|webfonts", url)]
    # its one flaw is that of any page without an icon: the browser asks for /favicon.ico
    assert not [problem for problem in fresh_desktop.problems if "host" in problem]


# --- what a reader does --------------------------------------------------------------------------


def test_phone_menu_opens_and_leads_on(phone):
    page = phone.open(NOTEBOOK_PAGES[0])
    link = page.locator(".bd-sidebar-primary a.reference.internal:visible").last
    assert link.count() == 0, "the menu is open before it is asked for"
    page.locator("button.primary-toggle").click()
    link.wait_for(state="visible")
    box = link.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"] + 1
    before = page.url
    link.click()
    page.wait_for_url(lambda url: url != before)
    assert not phone.problems


def test_theme_switch_is_remembered(fresh_desktop):
    page = fresh_desktop.open(NOTEBOOK_PAGES[0])
    seen = set()
    for _ in range(3):
        page.locator("button.theme-switch-button").first.click()
        seen.add(page.evaluate("document.documentElement.dataset.mode"))
    assert seen == {"auto", "dark", "light"}
    while page.evaluate("document.documentElement.dataset.mode") != "dark":
        page.locator("button.theme-switch-button").first.click()
    fresh_desktop.open(NOTEBOOK_PAGES[-1])
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background)[:3])) < 80, background
    assert not fresh_desktop.problems


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_drawing_is_shown_and_loaded_in_one_look(browser, server, scheme):
    visitor = Visitor(browser, server, DESKTOP, scheme)
    loaded = []
    visitor.page.on("request", lambda request: loaded.append(request.url))
    page = visitor.open("notebooks/10_recipe.html")
    page.locator("article img.drawing:visible").first.scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.images].some(i => i.matches('.drawing') && i.naturalWidth)"
    )
    shown = page.locator("article img.drawing:visible").evaluate_all("all => all.map(i => i.src)")
    assert shown and all(source.endswith(f"-{scheme}.svg") for source in shown)
    drawings = [url for url in loaded if url.endswith(".svg") and "_images" in url]
    assert drawings and all(url.endswith(f"-{scheme}.svg") for url in drawings)
    if scheme == "dark":  # what is white in a drawing has the page's color
        page_color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert page_color == f"rgb({', '.join(str(int(PAGE[i : i + 2], 16)) for i in (1, 3, 5))})"
    page.set_viewport_size({"width": 390, "height": 844})  # on a phone, its text is legible
    shrunk = page.locator("article img.drawing:visible").evaluate_all(
        "all => all.map(i => i.getBoundingClientRect().width / i.getAttribute('width'))"
    )
    assert min(shrunk) * 13 * 96 / 72 >= 11  # of 13 points, the size of kanbook.plots.use_style
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not visitor.problems
    visitor.context.close()


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


def test_search_finds_a_chapter(desktop):
    page = desktop.open("search.html?q=B-spline")
    page.locator("#search-results li a").first.wait_for()
    results = page.locator("#search-results li a").evaluate_all("links => links.map(a => a.href)")
    assert any("/notebooks/01_" in result for result in results), results
    assert not desktop.problems


def test_folded_set_up_cell_opens(desktop):
    page = desktop.open(NOTEBOOK_PAGES[0])
    cell = page.locator("div.cell.tag_setup")
    code = cell.locator("pre").first
    assert not code.is_visible()
    cell.locator("summary").click()
    code.wait_for(state="visible")


def test_a_link_from_the_first_page_opens_an_answer(fresh_desktop):
    page = fresh_desktop.open("book/intro.html")
    page.get_by_role("link", name="a microcontroller").click()
    page.wait_for_url("**/19_verdict.html#microcontroller")
    assert page.locator("#microcontroller > blockquote").is_visible()
    assert not page.locator("#noisy-table > blockquote").is_visible()
    page.evaluate("location.hash = 'noisy-table'")
    page.locator("#noisy-table > blockquote").wait_for(state="visible")


def test_a_table_of_results_is_sorted_by_keyboard(desktop):
    page = desktop.open("book/results.html")
    section = page.locator("#results-functions-1d")
    table = section.locator("table.stored-results")
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


# --- links ---------------------------------------------------------------------------------------


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
        if re.match(r"[a-z]+:|//", link):
            continue  # to another host
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
