"""Sphinx extension: an SVG of a page gets a dark twin, and every image its size.

A page shows the twin where it is dark, and loads only the one that it shows. An image of pixels has
one look, and in the dark keeps a light card (figures.css). A size given beforehand lets nothing
jump, and what is further down is loaded when a reader comes near.
"""

import colorsys
import re
from pathlib import Path

from PIL import Image

PAGE = "#121212"  # the theme's background in the dark
INK = 230  # the gray that black turns into
# As in the widgets: page.css in kanbook/lab. After them kanbook.plots.SERIES.
DARK = {
    "#0072b2": "#56b4e9",
    "#d55e00": "#ff8a3d",
    "#009e73": "#34c79c",
    "#444444": "#d0d0d0",
    "#aa4499": "#dd8fd0",
    "#e69f00": "#ffc042",
    "#56b4e9": "#aedff7",
    "#cc79a7": "#f0a8cb",
    "#888888": "#a0a0a0",
    "#7a5c2e": "#c4a06a",
}
NAMES = {"white": "#ffffff", "black": "#000000", "gray": "#808080", "grey": "#808080"}
COLOR = re.compile(
    r"(?<=[:;\"\s])(#(?:[0-9a-f]{6}|[0-9a-f]{3})|white|black|gr[ae]y)(?=[;\"}\s])", re.IGNORECASE
)
STYLED = re.compile(  # where colors stand, and no text of a figure
    r"<style.*?</style>|(?:style|fill|stroke|stop-color|values|from|to)=\"[^\"]*\"", re.DOTALL
)
# The white sheet that Matplotlib, and the drawings of chapters 7 and 8, put below everything.
SHEET = re.compile(
    r'(?P<start>^<svg [^>]*>(?:<defs><style.*?</defs>|<style.*?</style>)?\s*(?:<g>)*)'
    r'(?:<path d="M 0 [^"]*" style="fill:#ffffff"/>|<rect [^>]*fill="white"/>)', re.DOTALL
)  # fmt: skip
IMAGE = re.compile(r"<img [^>]*>")
PIXELS = {"pt": 96 / 72, "px": 1, "": 1}


def dark_color(color):
    """The color that takes this one's place in the dark: as far from the page as before."""
    color = NAMES.get(color.lower(), color.lower())
    if len(color) == 4:
        color = "#" + "".join(2 * digit for digit in color[1:])
    if color in DARK:
        return DARK[color]
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    if max(red, green, blue) - min(red, green, blue) <= 16:  # a gray
        page = int(PAGE[1:3], 16)
        gray = round(INK + (page - INK) * (red + green + blue) / 3 / 255)
        return f"#{gray:02x}{gray:02x}{gray:02x}"
    hue, light, saturation = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    if light > 0.8:  # a tint
        light = 1.05 - light
    parts = _rgb(hue, light, saturation)
    while 0.2 < light < 1 and contrast(parts) < 4.5:
        light += 0.01
        parts = _rgb(hue, light, saturation)
    return "#" + "".join(f"{part:02x}" for part in parts)


def _rgb(hue, light, saturation):
    return [round(255 * part) for part in colorsys.hls_to_rgb(hue, min(light, 1), saturation)]


def contrast(parts, page=PAGE):
    """The contrast of red, green, blue with the page, as WCAG measures it."""

    def luminance(parts):
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in (value / 255 for value in parts)
        ]
        return sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    behind = [int(page[i : i + 2], 16) for i in (1, 3, 5)]
    low, high = sorted([luminance(parts), luminance(behind)])
    return (high + 0.05) / (low + 0.05)


def looks(svg):
    """The SVG without a sheet below it, and its dark twin."""
    light = SHEET.sub(r"\g<start>", svg, count=1)
    dark = STYLED.sub(lambda part: COLOR.sub(lambda c: dark_color(c[0]), part[0]), light)
    black = f"#{INK:02x}{INK:02x}{INK:02x}"  # of what names no color, such as text
    return light, dark.replace("<svg ", f'<svg fill="{black}" ', 1)


def svg_size(svg):
    """Width and height in pixels of CSS."""
    start = svg[svg.index("<svg") : svg.index(">")]
    box = re.search(r'viewBox="([^"]*)"', start)
    box = [float(number) for number in box[1].split()[2:]] if box else None
    sizes = [re.search(rf'\b{name}="([\d.]+)(pt|px|)"', start) for name in ("width", "height")]
    sizes = [float(found[1]) * PIXELS[found[2]] if found else None for found in sizes]
    if box and sizes[0] is None:
        sizes[0] = sizes[1] * box[0] / box[1] if sizes[1] else box[0]
    if box and sizes[1] is None:
        sizes[1] = sizes[0] * box[1] / box[0]
    return tuple(map(round, sizes))


def picture_size(path):
    """Width and height in pixels of CSS; the file may say how many of its own go to an inch."""
    with Image.open(path) as image:
        dpi = image.info.get("dpi", (96, 96))
        return tuple(
            round(pixels * 96 / (dots if dots > 72.5 else 96))
            for pixels, dots in zip(image.size, dpi, strict=True)
        )


def describe_images(app, pagename, templatename, context, doctree):
    """Gives the images of a page their sizes, and the SVGs among them a twin."""
    if not doctree or "body" not in context:
        return
    sources = {name: Path(app.srcdir, source) for source, name in app.builder.images.items()}
    seen = 0

    def described(found):
        nonlocal seen
        tag = found[0]
        name = re.search(r'src="[^"]*?_images/([^"/]+)"', tag)
        if name is None or name[1] not in sources:
            return tag
        seen += 1
        path = sources[name[1]]
        is_svg = path.suffix == ".svg"
        size = svg_size(path.read_text(encoding="utf-8")) if is_svg else picture_size(path)
        tag = re.sub(r' (?:width|height|style|loading)="[^"]*"', "", tag)
        more = f' width="{size[0]}" height="{size[1]}"'
        # Of twins, one is not shown, and only a lazy image that is not shown is not loaded.
        more += ' loading="lazy"' if is_svg or seen > 1 else ' fetchpriority="high"'
        tag = re.sub(r"\s*/?>$", f"{more} />", tag)
        if not is_svg:
            return tag
        tags = []
        for look in ("light", "dark"):
            twin = re.sub(r' class="[^"]*"', "", tag)
            twin = twin.replace("<img ", f'<img class="drawing only-{look}" ', 1)
            tags.append(twin.replace(name[1], _twin(name[1], look)))
        return "".join(tags)

    context["body"] = IMAGE.sub(described, context["body"])


def _twin(name, look):
    return f"{name.removesuffix('.svg')}-{look}.svg"


def write_twins(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    for path in (Path(app.outdir) / "_images").glob("*.svg"):
        if re.search(r"-(light|dark)\.svg$", path.name):
            continue
        for look, svg in zip(("light", "dark"), looks(path.read_text("utf-8")), strict=True):
            path.with_name(_twin(path.name, look)).write_text(svg, encoding="utf-8")
        path.unlink()


def setup(app):
    app.connect("html-page-context", describe_images)
    app.connect("build-finished", write_twins)
    app.add_css_file("figures.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
