"""The programs besides Python that tests, the PDF and a chapter need: finds them.

    python3 book/_tools/programs.py                what is missing here and how to get it: one line
    python3 book/_tools/programs.py chromium       the same of this one
    python3 book/_tools/programs.py --packages     only the Debian packages, a line each

Exit status 1: something is missing. Nothing needs to be installed for this but Python.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

# What each is needed for, and the Debian packages that bring it: a further one is a further line.
PACKAGES = {
    "make": "make",
    "git": "git",
    "cc": "gcc libc6-dev",  # compiles a network that kanbook.export wrote in C
    "node": "nodejs",  # runs one in JavaScript
    "g++": "g++",  # compiles for torch.compile,
    "Python.h": "python3-dev",  # against this header
    "clang": "clang",  # compiles for Tinygrad, an engine of a chapter
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",  # for a microcontroller,
    "qemu-system-arm": "qemu-system-arm",  # which this emulates
    "chromium": "chromium",  # shows pages, and prints the book
}
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]


def started(name):
    """The path of a browser that starts: one without its libraries does not, nor Ubuntu's stub."""
    path = shutil.which(name)
    command = [path, "--version"]
    return path if path and not subprocess.run(command, capture_output=True).returncode else None


def fetched():
    """The path of the browser that Playwright fetched, or None."""
    if importlib.util.find_spec("playwright") is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return started(playwright.chromium.executable_path)


def find_browser():
    """In this order: KANBOOK_BROWSER; an installed Chromium or Chrome; the one of Playwright."""
    if named := os.environ.get("KANBOOK_BROWSER"):
        return started(named)
    return next(filter(None, map(started, BROWSERS)), None) or fetched()


def find(name):
    """The path of a program, by its name in PACKAGES, or None."""
    if name == "chromium":
        return find_browser()
    if name == "Python.h":
        path = Path(sysconfig.get_path("include"), name)
        return str(path) if path.is_file() else None
    return shutil.which(name)


def packages(names):
    """The Debian packages that bring these programs."""
    return [package for name in names for package in PACKAGES[name].split()]


def how_to_get(names):
    """One line: ``needs clang: apt-get install clang``."""
    text = f"needs {', '.join(names)}: apt-get install {' '.join(packages(names))}"
    return text + " (or name a browser in KANBOOK_BROWSER)" * ("chromium" in names)


def main(arguments):
    names = [name for name in arguments if name in PACKAGES] or PACKAGES
    if missing := [name for name in names if not find(name)]:
        lines = packages(missing) if "--packages" in arguments else [how_to_get(missing)]
        print(*lines, sep="\n")
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
