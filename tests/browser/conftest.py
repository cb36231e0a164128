"""A browser, and the built book to look at."""

import pytest
from browser import HTML, launch, serve

# For one module each: playwright keeps an event loop running, in which no other can start. It is
# imported on use: only the tests of pages need it.


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window."""
    with launch() as browser:
        yield browser


@pytest.fixture(scope="module")
def server():
    """The address of the built book."""
    with serve(HTML) as address:
        yield address


