"""A browser, and the built book to look at."""

import json
import shutil

import pytest
from playwright.sync_api import sync_playwright
from visitor import DESKTOP, HTML, PHONE, Visitor, serve

import programs
from notebook_files import ROOT

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width"><title>Widgets</title></head>
<body style="background: %s; margin: 4px"><main>%s</main><div style="height: 3000px"></div>
<script src="afm-host.js"></script></body></html>"""
FIGURE = '<div class="live-figure">%s</div>'
STORED = '<script type="application/vnd.jupyter.widget-%s+json">%s</script>'

MISSING = programs.how_to_get(["chromium"])
OPTIONS = [
    "--no-sandbox",  # which a container's root needs; only our own pages are opened
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no other host, even by mistake
]


@pytest.fixture(scope="module")  # playwright keeps an event loop running, and no other can start
def browser():
    """A Chromium without a window."""
    program = programs.find("chromium")
    if program is None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    report = (yield).get_result()
    if report.skipped and report.longrepr[2].endswith(MISSING):
        report.longrepr = __file__, 1, MISSING  # one line in the summary for all tests


@pytest.fixture(scope="module")
def server():
    """The address of the built book."""
    with serve(HTML) as address:
        yield address


def visiting(viewport, scheme, scope):
    @pytest.fixture(scope=scope)
    def visitor(browser, server):
        visitor = Visitor(browser, server, viewport, scheme)
        yield visitor
        visitor.context.close()

    return visitor


desktop = visiting(DESKTOP, "light", "module")
phone = visiting(PHONE, "dark", "module")
fresh_desktop = visiting(DESKTOP, "light", "function")  # nothing in the browser's storage


@pytest.fixture
def show(browser, tmp_path):
    """show(widget, ...): a page with these widgets and nothing else, where nothing may go wrong."""
    visitors = []
    with serve(tmp_path) as server:

        def show(
            *widgets, views=1, viewport=DESKTOP, background="white", between="", hash="", **options
        ):
            models = {
                str(n): {"model_module": "anywidget", "state": widget.get_state()}
                for n, widget in enumerate(widgets)
            }
            for model in models.values():
                del model["state"]["layout"]
            stored = STORED % ("state", json.dumps({"state": models}).replace("</", "<\\/"))
            figures = [
                FIGURE % (STORED % ("view", json.dumps({"model_id": name}))) for name in models
            ]
            text = PAGE % (background, stored + between.join(figures * views))
            (tmp_path / "page.html").write_text(text, "utf-8")
            shutil.copy(ROOT / "book" / "_static" / "afm-host.js", tmp_path)
            visitors.append(Visitor(browser, server, viewport, "light", **options))
            return visitors[-1].open(f"page.html{hash}")

        yield show
        problems = [problem for visitor in visitors for problem in visitor.problems]
        for visitor in visitors:
            visitor.context.close()
    assert not problems
