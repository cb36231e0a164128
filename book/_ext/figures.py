"""Sphinx extension: every image of a page has its size, and loads when a reader comes near.

A size given beforehand lets nothing jump. An SVG is a `drawing`, which figures.css turns dark by a
filter; one with pixels inside (photographs, color maps) is also `with-pixels` and, like an image of
pixels, keeps a light card in the dark, since its colors are data.
"""

import re
from pathlib import Path

from docutils import nodes
from PIL import Image
from sphinx.writers.html5 import HTML5Translator

PIXELS = {"pt": 96 / 72, "px": 1, "": 1}  # of CSS


def svg_size(svg):
    """Width and height in pixels of CSS; without a width of its own, those of its box."""
    start = re.search(r"<svg [^>]*>", svg)[0]
    *_, width, height = map(float, re.search(r'viewBox="([^"]*)"', start)[1].split())
    own = re.search(r' width="([\d.]+)(pt|px|)"', start)
    shown = float(own[1]) * PIXELS[own[2]] if own else width
    return round(shown), round(shown * height / width)


def picture_size(path):
    """Width and height in pixels of CSS; the file may say how many of its own go to an inch."""
    with Image.open(path) as image:
        dots = image.info.get("dpi", (96, 96))[0]
        return tuple(round(side * 96 / (dots if dots > 72.5 else 96)) for side in image.size)


def visit_image(self, node):
    path = Path(self.builder.srcdir, node["uri"])
    if path.suffix == ".svg":
        svg = path.read_text(encoding="utf-8")
        width, height = svg_size(svg)
        node["classes"] += ["drawing", "with-pixels"] if "<image" in svg else ["drawing"]
    else:
        width, height = picture_size(path)
    for option in ("width", "height", "scale"):  # docutils would put them into a style
        node.attributes.pop(option, None)
    first = node is next(self.document.findall(nodes.image))
    loads = 'fetchpriority="high"' if first else 'loading="lazy"'
    start = len(self.body)
    HTML5Translator.visit_image(self, node)
    tag = f'<img width="{width}" height="{height}" {loads} '
    self.body[start:] = [text.replace("<img ", tag, 1) for text in self.body[start:]]


def setup(app):
    app.add_node(nodes.image, override=True, html=(visit_image, None))
    app.add_css_file("figures.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
