"""Finds the browser of the tests. As a program it prints where; exit status 1: there is none.

In this order: KANBOOK_BROWSER; an installed Chromium or Chrome; the one that Playwright fetched.
"""

import os
import shutil
import sys

from playwright.sync_api import sync_playwright

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
MISSING = (
    "no Chromium or Chrome: install one, name its program in KANBOOK_BROWSER, "
    "or run `python -m playwright install chromium`"
)


def find(playwright):
    """The path of a browser's program, or None."""
    if named := os.environ.get("KANBOOK_BROWSER"):
        return shutil.which(named)
    fetched = playwright.chromium.executable_path
    return next(filter(None, map(shutil.which, [*NAMES, fetched])), None)


if __name__ == "__main__":
    with sync_playwright() as playwright:
        program = find(playwright)
    print(program or MISSING)
    sys.exit(program is None)
