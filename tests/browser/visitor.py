"""What the tests of pages share: the built book, a web server, a visitor taking notes.

Tests ask for the fixtures `browser` and `server` of conftest.py. Every request to another host is a
failure.
"""

import contextlib
import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from notebook_files import ROOT

HTML = ROOT / "_build" / "html"
NO_PAGES = {"_static", "_sources", "_images", "_downloads", "index.html"}  # index: sends on only
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if path.relative_to(HTML).parts[0] not in NO_PAGES
    and 'http-equiv="refresh"' not in path.read_text(encoding="utf-8")  # an old address
)
NEEDS_BOOK = pytest.mark.skipif(not PAGES, reason="no book in _build/html: run `make book`")
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


class QuietHandler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serve(folder):
    """The address of a server of this folder."""
    handler = functools.partial(QuietHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        # Asked to stop, it looks up every 0.02 seconds, not every half.
        thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def swipe(page, points):
    """One finger, as the browser gets it from a screen."""
    session = page.context.new_cdp_session(page)
    for i, (x, y) in enumerate(points):
        event = {"type": "touchMove" if i else "touchStart", "touchPoints": [{"x": x, "y": y}]}
        session.send("Input.dispatchTouchEvent", event)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


class Visitor:
    """One browser window that notes everything that goes wrong on a page.

    `server` is what every address begins with, such as that of the fixture `server`. Options are
    those of playwright's `new_context`.
    """

    def __init__(self, browser, server, viewport, scheme, **options):
        self.server = server
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.problems = []
        self.page.on("console", self.note_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        self.page.on("request", self.note_request)
        self.page.on("requestfailed", self.note_failure)
        self.page.on("response", self.note_response)

    def note_console(self, message):
        # On a busy machine it takes some seconds until a font that was preloaded is used.
        late = "preloaded using link preload but not used within a few seconds" in message.text
        if message.type in ("error", "warning") and not late:
            self.problems.append(f"console {message.type}: {message.text}")

    def note_request(self, request):
        if not request.url.startswith((self.server, "data:", "blob:")):
            self.problems.append(f"request to another host: {request.url}")

    def note_failure(self, request):
        if request.failure != "net::ERR_ABORTED":  # as when the next page is opened meanwhile
            self.problems.append(f"failed request: {request.url}: {request.failure}")

    def note_response(self, response):
        if response.status >= 400:
            self.problems.append(f"status {response.status}: {response.url}")

    def open(self, path, scheme=None):
        self.problems.clear()
        self.page.emulate_media(color_scheme=scheme)
        self.page.goto(self.server + path, wait_until="load")
        return self.page

    def switch_to(self, scheme):
        """The reader's system turns light or dark; the page follows."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
