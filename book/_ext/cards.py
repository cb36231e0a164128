"""Sphinx extension: every page has a picture and a description for who shares its address.

The picture is that of the cell tagged `cover`, else the first that is wide enough. With the page's
title it becomes _static/cards/PAGE.png (1200 x 630, as Open Graph wants it), alone
_static/thumbs/PAGE.webp (480 x 300), which the list of chapters shows. Stored figures are SVG;
resvg, a renderer in one wheel without anything else to install, turns them into pixels.
"""

import io
import re
import textwrap
from html import escape
from pathlib import Path

import resvg_py
from docutils import nodes
from figures import picture_size, svg_size
from PIL import Image, ImageDraw, ImageFont

CARD, THUMB = (1200, 630), (480, 300)
WIDE = 400  # pixels of CSS; what is smaller is an icon or a detail
STATIC = Path(__file__).resolve().parents[1] / "_static"
FONT = STATIC / "fonts" / "source-serif-4-latin-600-normal.woff2"
INK, BLUE, GRAY = "#1c1c1c", "#0072b2", "#5c5c5c"


def best_picture(doctree, builder):
    """The file of a page's picture, or None."""
    sources = {name: Path(builder.srcdir, path) for path, name in builder.images.items()}
    files = {node: sources[Path(node["uri"]).name] for node in doctree.findall(nodes.image)}
    for cell in doctree.findall(nodes.container):
        if "tag_cover" in cell["classes"]:
            return next(files[node] for node in cell.findall(nodes.image))
    return next((path for path in files.values() if size(path)[0] >= WIDE), None)


def size(path):
    is_drawing = path.suffix == ".svg"
    return svg_size(path.read_text(encoding="utf-8")) if is_drawing else picture_size(path)


def drawn(path, room):
    """The picture in pixels, as large as fits; one that is much too tall loses its lower part."""
    width, height = size(path)
    width_now = round(max(min(room[0], room[1] * width / height), 0.6 * room[0]))
    if path.suffix == ".svg":
        data = resvg_py.svg_to_bytes(
            svg_path=str(path), width=width_now, dpi=96, background="white"
        )
        image = Image.open(io.BytesIO(bytes(data)))
    else:
        image = Image.open(path)
        image = image.resize((width_now, round(width_now * height / width)))
    return image.convert("RGB").crop((0, 0, width_now, min(image.height, room[1])))


def on_white(image, full, place):
    """The image on a white sheet, in the middle of the box (left, top, right, bottom)."""
    sheet = Image.new("RGB", full, "white")
    left, top, right, bottom = place
    sheet.paste(image, ((left + right - image.width) // 2, (top + bottom - image.height) // 2))
    return sheet


def card(title, path, book):
    """The sheet that is shown where a page is shared: title, the book's name, and the picture."""
    left, top, right, bottom = place = (490, 50, 1160, 600)
    sheet = on_white(drawn(path, (right - left, bottom - top)), CARD, place)
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((0, 0, CARD[0], 14), fill=BLUE)
    large, small = (ImageFont.truetype(FONT, points) for points in (50, 26))
    pen.text((50, 60), "\n".join(textwrap.wrap(title, 16)), INK, large, spacing=10)
    pen.text((50, 530), "\n".join(textwrap.wrap(book, 26)), GRAY, small, spacing=8)
    return sheet.quantize(128)


def first_words(doctree):
    """The page's own description, else the beginning of its text."""
    for meta in doctree.findall(nodes.meta):
        if meta.get("name") == "description":
            return meta["content"]
    paragraph = next(doctree.findall(nodes.paragraph), None)
    return textwrap.shorten(paragraph.astext() if paragraph else "", 200, placeholder=" ...")


def share(app, pagename, templatename, context, doctree):
    """Writes the pictures, and says in the page's head where they are."""
    if doctree is None:
        return
    title, book = app.env.titles[pagename].astext(), app.config.html_title or app.config.project
    static = Path(app.outdir) / "_static"
    picture = best_picture(doctree, app.builder)
    targets = static / "cards" / f"{pagename}.png", static / "thumbs" / f"{pagename}.webp"
    for target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
    card(title, picture or STATIC / "logo.svg", book).save(targets[0], optimize=True)
    if picture:
        on_white(drawn(picture, THUMB), THUMB, (0, 0, *THUMB)).save(targets[1], quality=60)
    repository = app.config.html_theme_options["repository_url"]
    owner, name = re.search(r"github\.com/([^/]+)/([^/]+)", repository).groups()
    site = f"https://{owner.lower()}.github.io/{name}/"  # an address that is shared is a whole one
    told = {
        "og:type": "article",
        "og:site_name": book,
        "og:title": title,
        "og:description": first_words(doctree),
        "og:url": f"{site}{pagename}.html",
        "og:image": f"{site}_static/cards/{pagename}.png",
        "og:image:width": CARD[0],
        "og:image:height": CARD[1],
    }
    tags = [f'<meta property="{key}" content="{escape(str(told[key]))}" />' for key in told]
    tags.append('<meta name="twitter:card" content="summary_large_image" />')
    context["metatags"] += "\n".join(tags) + "\n"


def setup(app):
    app.connect("html-page-context", share)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
