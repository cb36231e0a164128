"""A browser, and the built book to look at."""

import pytest
from playwright.sync_api import sync_playwright
from visitor import DESKTOP, HTML, PHONE, Visitor, serve

import programs

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


@pytest.fixture(scope="module")
def desktop(browser, server):
    visitor = Visitor(browser, server, DESKTOP, "light")
    yield visitor
    visitor.context.close()


@pytest.fixture(scope="module")
def phone(browser, server):
    visitor = Visitor(browser, server, PHONE, "dark")
    yield visitor
    visitor.context.close()
