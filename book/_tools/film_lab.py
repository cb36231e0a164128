"""Films the Lab of the built first page for the README: python book/_tools/film_lab.py

Writes book/_static/kan-lab.gif. Needs `make book` before, and Chromium.
"""

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from programs import find

ROOT = Path(__file__).resolve().parents[2]
STEPS = [round(2400 ** (i / 40)) for i in range(8, 41)]  # a picture at each, or soon after
REACHED = r"n => /step ([\d,]+)/.exec(document.body.innerText)?.[1].replace(',', '') >= n"


def film(page):
    """Pictures of what lies between the Lab's buttons, while its networks learn."""
    lab = page.locator(".kan-lab").first
    page.wait_for_function(REACHED, arg=1, timeout=60_000)
    names = "The KAN", "Parameters:"
    top, bottom = (lab.get_by_text(name).first.bounding_box() for name in names)
    box = lab.bounding_box() | {"y": top["y"] - 10, "height": bottom["y"] - top["y"]}
    for step in STEPS:
        page.wait_for_function(REACHED, arg=step, timeout=300_000)
        picture = Image.open(io.BytesIO(page.screenshot(clip=box, animations="allow")))
        yield picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64)


with sync_playwright() as p:
    browser = p.chromium.launch(executable_path=find("chromium"), args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 700, "height": 1400}, color_scheme="light")
    page.goto((ROOT / "_build/html/book/intro.html").as_uri())
    first, *others = film(page)
    browser.close()
target = ROOT / "book/_static/kan-lab.gif"
lengths = [250] * len(others) + [3000]  # milliseconds
first.save(target, save_all=True, append_images=others, duration=lengths, loop=0, optimize=True)
print(target.relative_to(ROOT), target.stat().st_size // 1000, "kB")
