"""Every page, loaded once: on a desktop and on a phone, in light and in dark, nothing is wrong.

Nothing is broken or too wide, every formula is typeset, no request leaves, and axe-core finds
nothing to object to. Contrast is three quarters of its time: it is looked at in light and dark on
one page of each kind. Those pages are loaded on a phone, too, in the dark, and axe-core tries all
its rules there; on the others, which have the same menus, that what scrolls can be reached.
"""

from importlib.resources import files

import pytest
from visitor import DESKTOP, NEEDS_BOOK, PAGES, PHONE

pytestmark = NEEDS_BOOK
LOOK = """() => {
  const problems = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const scrolls = e => e && (getComputedStyle(e).overflowX !== "visible" ||
      scrolls(e.parentElement.closest("article *")));
    const wide = [...document.querySelectorAll("article *")].filter(e =>
      e.getBoundingClientRect().right > root.clientWidth && !scrolls(e));
    problems.push(`the page scrolls sideways: ${root.scrollWidth} px in ${root.clientWidth} px, ` +
      wide.slice(0, 3).map(e => `<${e.localName} class="${e.className}">`).join(" "));
  }
  for (const image of document.images) {
    const source = image.getAttribute("src");
    if (image.getClientRects().length && image.complete && !image.naturalWidth)
      problems.push(`broken image ${source}`);
    const alt = image.getAttribute("alt");
    const said = image.closest("a")?.innerText; // beside a picture that says no more
    if (!alt?.trim() && !(alt === "" && said)) problems.push(`image without alt: ${source}`);
    else if (/^\\S+\\.(png|svg|jpe?g|gif|webp)$/i.test(alt.trim()))
      problems.push(`image whose alt is a file name: ${alt}`);
  }
  for (const math of document.querySelectorAll("article math"))
    if (math.checkVisibility() && !math.clientHeight || math.querySelector("merror"))
      problems.push(`formula that is not typeset: ${math.getAttribute("alttext")}`);
  const text = document.querySelector("article")?.cloneNode(true);
  text?.querySelectorAll("pre, code, script, style").forEach(e => e.remove());
  const raw = text?.textContent.match(/.{0,20}(\\$\\$|\\\\[(\\[]|\\\\[a-z]+\\{).{0,20}/);
  if (raw) problems.push(`raw TeX in the text: ${raw[0]}`);
  return problems;
}"""


AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
UNHEARD = '["th:has(math)"]'  # axe hears no formula in the head of a column
RUN = """async rules => {
  const settings = { preload: false, resultTypes: ["violations"], ...rules };
  const found = (await axe.run({ exclude: UNHEARD }, settings)).violations;
  return found.flatMap(rule => rule.nodes.map(node =>
    `${rule.id}: ${node.html.slice(0, 160)} (${node.any[0]?.message ?? rule.help})`));
}""".replace("UNHEARD", UNHEARD)
# The keyboard is given what scrolls, and a widget starts, when a reader is a window's height away.
# So the page is read first, a frame for every two windows: once it is idle, for which the host of
# widgets waits, too, and asked before. What is read sooner is not near any more when it listens.
READ = """async () => {
  await new Promise(done => requestIdleCallback(done, { timeout: 3000 }));
  for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight) {
    scrollTo({ top: y, behavior: "instant" });
    await new Promise(done => { // a browser that is busy may owe a frame for ever
      requestAnimationFrame(() => requestAnimationFrame(done));
      setTimeout(done, 2000);
    });
  }
}"""
REACHED = """[...document.querySelectorAll("pre, div.math, .text_html")].every(
  box => box.scrollWidth <= box.clientWidth || box.tabIndex === 0
    || box.closest("details:not([open])"))
  && [...document.querySelectorAll(".live-figure:not(.is-live)")].every(
  figure => figure.closest("details:not([open])"))"""
# All pages share one style sheet.
KINDS = {
    "book/intro.html",
    "book/references.html",
    "notebooks/02_playground.html",
    "notebooks/03_minimal_kan.html",
    "notebooks/13_speed.html",
    "notebooks/19_verdict.html",
    "search.html",
}
ONLY_CONTRAST = {"runOnly": ["color-contrast"]}
NO_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}
ONLY_WIDTH = {"runOnly": ["scrollable-region-focusable"]}  # the rule that the width decides
LISTING = "_modules/kanbook/layers.html"  # one stands for all that Sphinx makes of the source
VISITED = [page for page in PAGES if page == LISTING or not page.startswith("_modules/kanbook/")]


def axe(page, rules):
    page.wait_for_function(REACHED, timeout=60_000)  # a lab starts slowly on a slow machine
    return page.evaluate(RUN, rules)


@pytest.mark.parametrize("path", VISITED)
def test_nothing_is_wrong(desktop, path):
    desktop.page.set_viewport_size(DESKTOP)
    page = desktop.open(path, "light")
    listing = path.startswith("_modules/")  # whose template is not ours: without axe
    page.evaluate(AXE)
    page.evaluate(READ)
    found = page.evaluate(LOOK)
    if not listing:
        found += axe(page, {} if path in KINDS else NO_CONTRAST)
    desktop.switch_to("dark")
    found += page.evaluate(LOOK)
    if path in KINDS:
        page.wait_for_timeout(500)  # colors fade into those of the dark
        found += page.evaluate(RUN, ONLY_CONTRAST)
    page.set_viewport_size(PHONE)
    page.evaluate(READ)  # meanwhile all is drawn anew in its new width
    found += page.evaluate(LOOK)
    if not listing:
        found += axe(page, NO_CONTRAST if path in KINDS else ONLY_WIDTH)
    desktop.switch_to("light")
    found += page.evaluate(LOOK)
    assert not desktop.problems + found, "\n".join(desktop.problems + found)


@pytest.mark.parametrize("path", sorted(KINDS))
def test_first_load_on_a_phone_in_the_dark(phone, path):
    page = phone.open(path, "dark")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"  # as the system's
    found = phone.problems + page.evaluate(LOOK)
    assert not found, "\n".join(found)


def test_every_kind_is_a_page():
    assert {*PAGES} >= {*KINDS, LISTING}
