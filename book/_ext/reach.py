"""Sphinx extension: pages that a phone on a slow line shows soon.

What Jupyter Book brings along and no page uses goes. Scripts wait until a page has been read. The
style sheets become one, of the rules that some page may use, since a page is shown when all have
come. The theme's own links and scripts: book/_templates.
"""

import re
from pathlib import Path

UNUSED = re.compile("thebe|toggle|design-tabs", re.IGNORECASE)  # kernels, toggles, tabs
THEME_SHEETS = ("basic.css", "styles/pydata-sphinx-theme.css")
# Browsers let no page on disk read another: there, the search lists pages without excerpts.
ON_DISK = 'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'


def trim_assets(app, pagename, templatename, context, doctree):
    def used(asset):
        text = f"{asset.filename} {asset.attributes.get('body', '')[:40]}"  # how it begins
        return not UNUSED.search(text)

    context["script_files"] = list(filter(used, context["script_files"]))
    for script in context["script_files"]:
        if script.filename:
            script.attributes.setdefault("defer", "defer")
        elif "DOCUMENTATION_OPTIONS" in script.attributes.get("body", ""):
            script.attributes["type"] = "module"  # which waits for the script that makes them
    sheets = sorted(filter(used, context["css_files"]), key=lambda sheet: sheet.priority)
    app.builder.sheets = sheets  # all pages have the same
    context["css_files"] = []  # the templates link to all.css


def used_rules(css, words):
    """The rules that something may match: all classes and ids of a selector are of these words."""

    def kept(rule):
        selectors = re.sub(r":not\([^)]*\)|\[[^\]]*\]", "", rule[1]).split(",")
        names = (re.findall(r"[.#]([\w-]+)", selector) for selector in selectors)
        # A script composes the names of tooltips.
        used = (all(n in words or "bs-tooltip" in n for n in selector) for selector in names)
        return rule[0] if any(used) else ""

    return re.sub(r"([^{};]+)\{[^{}]*\}", kept, re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))


def write_assets(app, exception):
    if exception is not None or not hasattr(app.builder, "sheets"):  # or no page was written
        return
    out = Path(app.outdir)
    static = out / "_static"
    css = "".join((static / name).read_text(encoding="utf-8") for name in THEME_SHEETS)
    for sheet in app.builder.sheets:
        text = (out / sheet.filename).read_text(encoding="utf-8")
        css += f"@media {sheet.attributes.get('media', 'all')}{{{text}}}"
    css = css.replace("url(../vendor/", "url(vendor/").replace('@charset "UTF-8";', "")
    readers = [*out.rglob("*.html"), *static.glob("*.js"), *static.glob("scripts/*.js")]
    texts = (path.read_text(encoding="utf-8") for path in readers)
    words = set().union(*(re.findall(r"[\w-]+", text) for text in texts))
    (static / "all.css").write_text(used_rules(css, words), encoding="utf-8")


def setup(app):
    app.add_js_file(None, body=ON_DISK)
    app.connect("html-page-context", trim_assets, priority=900)  # after those who add scripts
    app.connect("build-finished", write_assets, priority=900)  # after those who write style sheets
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
