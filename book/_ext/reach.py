"""Sphinx extension: pages that a phone on a slow line shows soon.

When all pages are written, they get one style sheet that holds only rules of use in this book, with
the few icons inside it; scripts that wait for the page; no search index where nobody searches, and
no MathJax without a formula.
"""

import base64
import hashlib
import io
import json
import posixpath
import re
from pathlib import Path

from fontTools import subset
from sphinx.util import logging

logger = logging.getLogger(__name__)

# A tag with its attributes, and what stands between it and its end.
STYLE = re.compile(r'<link [^>]*rel="stylesheet"[^>]*>\s*')
SCRIPT = re.compile(r"(?P<tag><script(?P<attributes>[^>]*)>)(?P<body>.*?)</script>\s*", re.DOTALL)
PRELOAD = re.compile(r'<link rel="preload" as="script"[^>]*>\s*')
SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
# One file of them, in this order: small, on every page, and none asks where it comes from.
JOINED = ("documentation_options", "doctools", "sphinx_highlight", "clipboard.min", "copybutton")
JOINED += ("scripts/sphinx-book-theme", "togglebutton")
# Classes that a script puts together from pieces.
KEPT = re.compile(r"bs-tooltip|tooltip|mjx|copybtn|tb-|toggle|scrolled|noprint|hide|show")
AUTO = 'localStorage.getItem("theme") || "auto"'
LOOKED_UP = (
    'localStorage.getItem("theme") || '
    '(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")'
)


def quicken(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    quicken_folder(Path(app.outdir))


def quicken_folder(folder):
    """Rewrites the pages of a folder."""
    pages = {
        path: path.read_text(encoding="utf-8")
        for path in folder.rglob("*.html")
        if path.relative_to(folder).parts[0] != "_static"
    }
    # The theme's script of icons, 1.5 MB: the style sheet draws them with fonts.
    (folder / "_static" / "scripts" / "fontawesome.js").unlink(missing_ok=True)
    words = used_words(folder, pages.values())
    joined = join_scripts(folder)
    ask_together(folder)
    sheets = {}
    for path, text in pages.items():
        if "<head>" not in text or not STYLE.search(text):
            continue  # it only sends on
        root = posixpath.relpath(folder.as_posix(), path.parent.as_posix())
        root = "" if root == "." else f"{root}/"
        key = tuple((path.parent / address(tag), medium(tag)) for tag in STYLE.findall(text))
        key = tuple((Path(posixpath.normpath(file.as_posix())), of) for file, of in key)
        if key not in sheets:
            sheets[key] = write_sheet(folder, key, words)
        text = one_sheet(text, f"{root}_static/{sheets[key]}")
        text = PRELOAD.sub("", text).replace(AUTO, LOOKED_UP)
        text = scripts_that_wait(text, f"{root}_static/{joined}", path.name == "search.html")
        text = text.replace('<img alt="Colab logo"', '<img loading="lazy" alt="Colab logo"')
        path.write_text(text, encoding="utf-8")


def address(tag):
    """Where a tag leads, without what only tells versions apart."""
    return re.search(r'(?:href|src)="([^"?]*)', tag)[1]


def medium(tag):
    """The medium that a style sheet is for, such as print; None: for all."""
    found = re.search(r'media="([^"]*)"', tag)
    return found and found[1]


def used_words(folder, texts):
    """Every word that may be a tag, a class or an id: of the pages, and of scripts' own."""
    words = set()
    for text in texts:
        words |= set(re.findall(r"<([a-z][\w-]*)", text))
        for values in set(re.findall(r' (?:class|id)="([^"]*)"', text)):
            words |= set(values.split())
    for path in (folder / "_static").rglob("*.js"):
        if "mathjax" not in path.parts:
            words |= set(re.findall(r"[\w-]+", path.read_text(encoding="utf-8")))
    return words


# --- style ---------------------------------------------------------------------------------------


def one_sheet(text, target):
    """The page with a link to this style sheet in place of all others."""
    first = STYLE.search(text).start()
    link = f'<link rel="stylesheet" href="{target}" />\n'
    return text[:first] + link + STYLE.sub("", text[first:])


def write_sheet(folder, files, words):
    css = "".join(f"@media {of}{{{sheet(file)}}}" if of else sheet(file) for file, of in files)
    css = with_icons(folder, "".join(kept_rules(css, words)))
    name = f"all-{hashlib.sha256(css.encode()).hexdigest()[:10]}.css"
    (folder / "_static" / name).write_text(css, encoding="utf-8")
    return name


def sheet(path):
    """The text of a style sheet, with those that it imports, and without comments."""
    css = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    css = re.sub(r'@charset "[^"]*";|\ufeff', "", css)
    return re.sub(r'@import "([^"]*)";', lambda found: sheet(path.parent / found[1]), css)


# What may hold a brace, and braces.
TOKEN = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|url\([^\"')]*\)|[{};]|\\.", re.DOTALL)


def blocks(css):
    """Pairs of what stands before a brace and inside it; a statement has no inside."""
    place = depth = start = 0
    for found in TOKEN.finditer(css):
        sign = found[0]
        if sign == "{":
            depth += 1
            if depth == 1:
                start = found.end()
        elif sign == "}":
            depth -= 1
            if depth == 0:
                yield css[place : start - 1].strip(), css[start : found.start()]
                place = found.end()
        elif sign == ";" and depth == 0:
            yield css[place : found.start()].strip(), None
            place = found.end()


def kept_rules(css, words):
    """The rules that something on a page, or made by a script, may match."""
    for before, inside in blocks(css):
        if inside is None:
            yield f"{before};"
        elif re.match(r"@(media|supports|layer|container)", before):
            within = "".join(kept_rules(inside, words))
            if within:
                yield f"{before}{{{within}}}"
        elif before.startswith("@"):
            yield f"{before}{{{inside.strip()}}}"
        else:
            kept = [part for part in split_selector(before) if may_match(part, words)]
            if kept:
                yield f"{','.join(kept)}{{{' '.join(inside.split())}}}\n"


def split_selector(selector):
    """The parts between commas that stand in no bracket."""
    parts, depth, part = [], 0, ""
    for sign in selector:
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += sign
    return [*parts, part.strip()]


def may_match(selector, words):
    """Whether all classes and ids of a selector occur; what stands in brackets asks for nothing."""
    plain = re.sub(r"\[[^\]]*\]", "", selector)
    while (shorter := re.sub(r"\([^()]*\)", "", plain)) != plain:
        plain = shorter
    names = [re.sub(r"\\(.)", r"\1", n) for n in re.findall(r"[.#]((?:[\w-]|\\.)+)", plain)]
    return all(name in words or KEPT.match(name) for name in names)


def with_icons(folder, css):
    """The style sheet with its fonts inside, which hold only the icons that it names."""
    icons = {int(code, 16) for code in re.findall(r"\\([0-9a-f]{2,5})", css)}
    icons |= {ord(sign) for sign in css if "\ue000" <= sign <= "\uf8ff"}

    def inline(found):
        font = re.search(r"vendor/fontawesome/webfonts/([\w-]+)\.", found[0])
        if font is None:
            return found[0]
        file = folder / "_static" / "vendor" / "fontawesome" / "webfonts" / f"{font[1]}.ttf"
        options = subset.Options(flavor="woff", layout_features=[], notdef_outline=True)
        options.drop_tables += ["FFTM"]
        packed = io.BytesIO()
        with subset.load_font(file, options, dontLoadGlyphNames=True) as loaded:
            subsetter = subset.Subsetter(options)
            subsetter.populate(unicodes=icons)
            subsetter.subset(loaded)
            subset.save_font(loaded, packed, options)
        data = base64.b64encode(packed.getvalue()).decode()
        return re.sub(
            r"src:.*$", f'src:url(data:font/woff;base64,{data}) format("woff")}}', found[0]
        )

    return re.sub(r"@font-face\{[^}]*\}", inline, css)


# --- scripts -------------------------------------------------------------------------------------


def join_scripts(folder):
    """Writes the small scripts of every page into one file; returns its name."""
    files = (folder / "_static" / f"{name}.js" for name in JOINED)
    text = "\n".join(
        re.sub(r"//# sourceMappingURL.*", "", file.read_text(encoding="utf-8")) + ";"
        for file in files
        if file.is_file()
    )
    name = f"all-{hashlib.sha256(text.encode()).hexdigest()[:10]}.js"
    (folder / "_static" / name).write_text(text, encoding="utf-8")
    return name


# MathJax comes after all that a page needs to be seen.
AFTER_LOAD = (
    'addEventListener("load", () => document.head.append('
    'Object.assign(document.createElement("script"), {src: "%s"})));'
)


def late_maths(body):
    """The settings of MathJax, with one more: it typesets a formula when a reader comes near."""
    name, _, settings = body.partition("=")
    settings = json.loads(settings.strip().rstrip(";"))
    settings.setdefault("loader", {})["load"] = ["ui/lazy"]
    settings.setdefault("options", {})["lazyMargin"] = "1000px"
    return f"{name.strip()} = {json.dumps(settings)}"


# The theme makes boxes that scroll reachable by keyboard. It asks each for its size just after it
# has changed another, so that the browser lays out the page some hundred times, and again when a
# formula or a figure has come.
ASK_EACH = re.compile(
    r'(document\.querySelectorAll\(\[[^\]]*\]\.join\(", "\)\))'
    r"\.forEach\(e=>\{e\.tabIndex=(e\.scrollWidth>[^}]*)\}\)"
)
# Instead, those near the window are asked together, and then changed.
ASK_NEAR = (
    r"(globalThis.boxes?.disconnect(),globalThis.boxes=new IntersectionObserver("
    r"seen=>seen.filter(s=>s.isIntersecting).map(({target:e})=>[e,\2])"
    r'.forEach(([e,t])=>{if(e.tabIndex!==t)e.tabIndex=t}),{rootMargin:"100%"}),'
    r"\1.forEach(e=>boxes.observe(e)))"
)


def ask_together(folder):
    script = folder / "_static" / "scripts" / "pydata-sphinx-theme.js"
    text, changed = ASK_EACH.subn(ASK_NEAR, script.read_text(encoding="utf-8"))
    if changed != 1:
        logger.warning("reach: expected one place in %s to change, found %d", script.name, changed)
    script.write_text(text, encoding="utf-8")


def scripts_that_wait(text, joined, searches):
    """The page with scripts that run when it has been read, in their order."""
    has_maths = re.search(r'class="[^"]*\bmath\b', text)
    has_tabs = 'class="sd-tab' in text
    there = False
    seen = set()

    def waiting(found):
        nonlocal there
        tag, attributes, body = found["tag"], found["attributes"], found["body"]
        if ' src="' not in attributes:
            if body in seen and body.startswith("var "):
                return ""
            seen.add(body)
            if "window.MathJax" in body:
                return f"{tag}{late_maths(body)}</script>\n" if has_maths else ""
            if not attributes and "DOCUMENTATION_OPTIONS" in body:  # it waits for the script
                return found[0].replace(tag, '<script type="module">', 1)
            return found[0]
        path = address(tag)
        name = posixpath.basename(path)
        unused = [name == "fontawesome.js", name in SEARCH and not searches]
        unused += ["/mathjax/" in path and not has_maths, name == "design-tabs.js" and not has_tabs]
        if any(unused):
            return ""
        if "/mathjax/" in path:
            return f"<script>{AFTER_LOAD % path}</script>\n"
        if any(path.endswith(f"_static/{one}.js") for one in JOINED):
            first, there = not there, True
            return f'<script defer src="{joined}"></script>\n' if first else ""
        if re.search(r"\b(defer|async|type)\b", attributes):
            return found[0]
        return found[0].replace("<script", "<script defer", 1)

    return SCRIPT.sub(waiting, text)


def setup(app):
    app.connect("build-finished", quicken, priority=900)  # after all who write files
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
