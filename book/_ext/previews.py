"""Sphinx extension: what a link leads to, told before it is followed (closer.js shows it).

Chapters by their question and picture; terms, sources and functions by their first paragraph. One
script for all pages, which the first preview loads: a page on disk may load no other file.
"""

import json
import re
from html import unescape
from pathlib import Path

PLACES = {  # page: the address of a place on it, and its first paragraph
    "book/glossary.html": r'<dt id="(term-[^"]*)">.*?<dd>(<p>.*?</p>)',
    "book/references.html": r'<div class="citation" id="([^"]*)">.*?(<p>.*?</p>)',
    "book/api.html": r'<dt class="sig[^"]*" id="([^"]*)">(?:(?!<dt ).)*?<dd>(<p>.*?</p>)',
}
LINK = re.compile(r"</?a\b[^>]*>")  # nobody can follow one inside a preview


def told(page, html, thumbs):
    """The title of a page, its question and its picture."""
    title, question = (
        re.search(rf'<meta property="og:{name}" content="([^"]*)"', html)[1]
        for name in ("title", "description")
    )
    picture = Path(page).with_suffix(".webp")
    image = f'<img src="_static/thumbs/{picture.as_posix()}" alt="">'
    return f"{image * (thumbs / picture).exists()}<p><b>{title}</b></p><p>{question}</p>"


def write_previews(app, exception):
    if exception is not None or app.builder.name != "html":
        return
    out, previews = Path(app.outdir), {}
    for name in sorted(app.env.found_docs):
        page = f"{name}.html"
        html = (out / page).read_text(encoding="utf-8")
        previews[page] = told(page, html, out / "_static" / "thumbs")
        for place, text in re.findall(PLACES.get(page, "(?!)()()"), html, re.DOTALL):
            previews[f"{page}#{unescape(place)}"] = LINK.sub("", text)
    script = f"document.currentScript.previews = {json.dumps(previews, ensure_ascii=False)};\n"
    (out / "_static" / "previews.js").write_text(script, encoding="utf-8")


def setup(app):
    app.add_js_file("closer.js", loading_method="defer")
    app.connect("build-finished", write_previews)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
