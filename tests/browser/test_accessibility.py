"""axe-core finds nothing to object to on any page, on a desktop and a phone, in light and dark."""

from importlib.resources import files

import pytest
from visitor import DESKTOP, NEEDS_BOOK, PAGES, PHONE, Visitor

pytestmark = NEEDS_BOOK
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
# Contrast is what dark changes, and costs half the time: on a phone the colours are the same.
RUN = """async rules => {
  const found = await axe.run(document, { resultTypes: ["violations"], ...rules });
  return found.violations.flatMap(rule => rule.nodes.map(node =>
    `${rule.id}: ${node.html.slice(0, 160)} (${node.any[0]?.message ?? rule.help})`));
}"""
ONLY_CONTRAST = {"runOnly": ["color-contrast"]}
NO_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}


@pytest.fixture(scope="module")
def visitor(browser, server):
    visitor = Visitor(browser, server, DESKTOP, "light")
    yield visitor
    visitor.context.close()


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing(visitor, path):
    visitor.page.set_viewport_size(DESKTOP)
    page = visitor.open(path, "light")
    page.evaluate(AXE)
    found = page.evaluate(RUN, {})
    visitor.switch_to("dark")
    found += page.evaluate(RUN, ONLY_CONTRAST)
    page.set_viewport_size(PHONE)
    found += page.evaluate(RUN, NO_CONTRAST)
    assert not found, "\n".join(found)
