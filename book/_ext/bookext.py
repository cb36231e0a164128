"""Sphinx extension of this book: its pages ask no other host, and log no error in the browser.

And live figures: a widget that a notebook shows keeps the picture that is stored beside it, and
what widgets of one kind have in common, their script, is one file for all pages.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst.directives import unchanged_required
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from kanbook import KANLab

# The laboratory is not installed: pages read its rows and its docstrings from the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

MATHJAX_PACKAGE = "sphinx-mathjax-offline"  # used for its files only, not as an extension
# The program, its fonts, and the TeX commands that it loads on first use, such as \\boldsymbol.
MATHJAX_FILES = ("tex-mml-chtml.js", "output/chtml/fonts", "input/tex/extensions", "ui/lazy.js")
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def copy_mathjax(app, exception):
    """Copies what TeX in the browser needs, 2 MB of the package's 24."""
    if exception is not None or app.builder.format != "html":
        return
    package = Path(importlib.util.find_spec(MATHJAX_PACKAGE).origin).parent
    source, target = package / "static" / "mathjax", Path(app.outdir) / "_static" / "mathjax"
    for name in MATHJAX_FILES:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / name, target / name)


def drop_thebe(app, pagename, templatename, context, doctree):
    """Takes the scripts of Thebe off the page.

    The book starts no kernels, and Jupyter Book's default set-up puts Thebe's inline script on each
    page twice, which the browser reports as an error.
    """
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in f"{getattr(script, 'filename', script)}"
        and "THEBE" not in (getattr(script, "attributes", None) or {}).get("body", "")
    ]


class LiveFigures(SphinxPostTransform):
    """Keeps widget and picture of one output, of which MyST-NB would choose one.

    The picture is for readers without scripts and for print; afm-host.js and book.css hide it where
    the widget lives.
    """

    default_priority = 3  # before MyST-NB's SelectMimeType
    formats = ("html",)
    KEPT = (WIDGET_VIEW, "image/png")

    def run(self, **kwargs):
        for bundle in list(self.document.findall(nodes.container)):
            if bundle.get("nb_element") != "mime_bundle":
                continue
            outputs = {output["mime_type"]: output for output in bundle.children}
            if not all(kind in outputs for kind in self.KEPT):
                continue
            figure = nodes.container(classes=["live-figure"])
            figure += [child for kind in self.KEPT for child in outputs[kind].children]
            bundle.replace_self(figure)


def _setting(text):
    """What an option says: JSON, or else a word."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


class LabDirective(SphinxDirective):
    """A KAN Lab on a page that is no notebook; its options are the settings of `KANLab`.

    The option `alt` describes its picture, for those who see neither.
    """

    option_spec = dict.fromkeys(KANLab.class_trait_names(sync=True), _setting)
    option_spec["alt"] = unchanged_required

    def run(self):
        settings = dict(self.options)
        alt = settings.pop("alt", None)
        if alt is None:
            raise self.error("kan-lab: no option alt; expected one that describes the picture")
        try:
            lab = KANLab(**settings)
        except Exception as error:
            raise self.error(f"kan-lab: {error}") from error
        number = f"kan-lab-{self.env.new_serialno('kan-lab')}"
        picture = Path(self.env.doctreedir) / f"{self.env.docname}-{number}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(lab.picture())
        view = f'<script type="{WIDGET_VIEW}">{{"model_id": "{number}"}}</script>'
        figure = nodes.container(classes=["live-figure", "at-once"])
        figure["widget"] = {number: {"model_module": "anywidget", "state": lab.get_state()}}
        figure += nodes.raw("", view, format="html")
        figure += nodes.image(uri=f"/{os.path.relpath(picture, self.env.srcdir)}", alt=alt)
        return [figure]


def share_scripts(app, pagename, templatename, context, doctree):
    """Puts the scripts of a page's widgets into files, and the labs of `kan-lab` beside the others.

    Such a file is the same for all pages. It is no module, and no JSON: a page on disk may load
    neither. So it leaves its texts where the loader finds them, at its own element.
    """
    labs = {}
    for figure in doctree.findall(nodes.container) if doctree else ():
        labs |= figure.get("widget", {})
    if labs:
        app.add_js_file("afm-host.js")
        app.add_js_file(None, type=WIDGET_STATE, body=json.dumps({"state": labs}))
    for script in context.get("script_files", []):
        attributes = getattr(script, "attributes", {})
        if attributes.get("type") != WIDGET_STATE:
            continue
        content = json.loads(attributes["body"])
        for model in content["state"].values():
            texts = {
                key: model["state"].pop(key) for key in ("_esm", "_css") if key in model["state"]
            }
            if texts:
                body = f"document.currentScript.texts = {json.dumps(texts, ensure_ascii=False)};\n"
                kind = model["state"]["_anywidget_id"].rpartition(".")[2]
                name = f"{kind}-{hashlib.sha256(body.encode()).hexdigest()[:10]}.js"
                file = Path(app.outdir) / "_static" / name
                file.parent.mkdir(exist_ok=True)
                file.write_text(body, encoding="utf-8")
                model["state"]["_texts"] = context["pathto"](f"_static/{name}", True)
        attributes["body"] = json.dumps(content).replace("</", "<\\/")


# Browsers let no page on disk read another: there, the search lists pages without excerpts.
ON_DISK = 'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'


def setup(app):
    app.config.mathjax_path = "mathjax/tex-mml-chtml.js"
    app.add_js_file(None, body=ON_DISK)
    app.add_post_transform(LiveFigures)
    app.add_directive("kan-lab", LabDirective)
    app.setup_extension("stored")
    app.connect("html-page-context", share_scripts, priority=800)  # after MyST-NB's
    app.connect("html-page-context", drop_thebe, priority=900)  # after those who add scripts
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
