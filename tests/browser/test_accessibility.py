"""axe-core finds nothing to object to on any page, on a desktop and a phone.

Contrast is three quarters of its time: it is looked at in light and dark on one page of each kind.
"""

from importlib.resources import files

import pytest
from visitor import DESKTOP, NEEDS_BOOK, PAGES, PHONE, Visitor

pytestmark = NEEDS_BOOK
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
UNHEARD = '["th:has(.math)"]'  # axe hears no formula in the head of a column
RUN = """async rules => {
  const settings = { preload: false, resultTypes: ["violations"], ...rules };
  const found = (await axe.run({ exclude: UNHEARD }, settings)).violations;
  return found.flatMap(rule => rule.nodes.map(node =>
    `${rule.id}: ${node.html.slice(0, 160)} (${node.any[0]?.message ?? rule.help})`));
}""".replace("UNHEARD", UNHEARD)
# The keyboard is given what scrolls when a reader comes near. So the page is read first.
READ = """async () => {
  for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight) {
    scrollTo({ top: y, behavior: "instant" });
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  }
}"""
REACHED = """[...document.querySelectorAll("pre, .text_html")].every(
  box => box.scrollWidth <= box.clientWidth || box.tabIndex === 0
    || box.closest("details:not([open])"))"""
# All pages share one style sheet.
KINDS = {
    "book/intro.html",
    "book/references.html",
    "notebooks/02_playground.html",
    "notebooks/03_minimal_kan.html",
    "notebooks/16_speed.html",
    "notebooks/21_verdict.html",
    "search.html",
}
ONLY_CONTRAST = {"runOnly": ["color-contrast"]}
NO_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}


@pytest.fixture(scope="module")
def visitor(browser, server):
    visitor = Visitor(browser, server, DESKTOP, "light")
    yield visitor
    visitor.context.close()


# Not the listings of the library's source, which Sphinx makes.
@pytest.mark.parametrize("path", [page for page in PAGES if not page.startswith("_modules/")])
def test_axe_finds_nothing(visitor, path):
    visitor.page.set_viewport_size(DESKTOP)
    page = visitor.open(path, "light")
    page.evaluate(READ)
    page.wait_for_function(REACHED)
    page.evaluate(AXE)
    found = page.evaluate(RUN, {} if path in KINDS else NO_CONTRAST)
    if path in KINDS:
        visitor.switch_to("dark")
        found += page.evaluate(RUN, ONLY_CONTRAST)
    page.set_viewport_size(PHONE)
    page.evaluate(READ)
    page.wait_for_function(REACHED)
    found += page.evaluate(RUN, NO_CONTRAST)
    assert not found, "\n".join(found)
