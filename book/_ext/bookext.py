"""Sphinx extension of this book: live figures.

A widget that a notebook shows keeps the picture that is stored beside it, and what widgets of one
kind have in common, their script, is one file for all pages; the engine, with which these begin,
another. `kan-lab` and `living-figure` put widgets on any page, and a link to `#lab?...` drives the
nearest lab.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import yaml
from docutils import nodes
from docutils.parsers.rst.directives import choice, unchanged_required
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from kanbook import KANLab
from kanbook.lab import living
from kanbook.lab.bundle import engine

# The laboratory is not installed: pages read its rows and its docstrings from the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


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
            if outputs["text/plain"].astext().startswith("KANLab"):  # uses the margin (page.js)
                figure["classes"].append("lab")
            figure += [child for kind in self.KEPT for child in outputs[kind].children]
            bundle.replace_self(figure)


class LabLinks(SphinxTransform):
    """Leaves links that drive a lab as they are: they lead to no place in the page."""

    default_priority = 800  # before MyST looks for their places

    def apply(self, **kwargs):
        for link in self.document.findall(nodes.reference):
            if link.get("refuri", "").startswith("#lab?"):
                del link["id_link"]
                link["internal"] = True  # no sign of a link to elsewhere


class LabDirective(SphinxDirective):
    """A KAN Lab on a page that is no notebook; its options are the settings of `KANLab`, in YAML.

    The option `alt` describes its picture, for those who see neither.
    """

    option_spec = dict.fromkeys(KANLab.class_trait_names(sync=True), yaml.safe_load)
    option_spec["alt"] = unchanged_required
    classes = ["live-figure", "lab", "at-once"]

    def widget(self, **settings):
        return KANLab(**settings)

    def run(self):
        settings = dict(self.options)
        alt = settings.pop("alt", None)
        try:
            widget = self.widget(**settings)
        except Exception as error:
            raise self.error(f"{self.name}: {error}") from error
        number = f"{self.name}-{self.env.new_serialno(self.name)}"
        view = f'<script type="{WIDGET_VIEW}">{{"model_id": "{number}"}}</script>'
        figure = nodes.container(classes=self.classes)
        figure["widget"] = {number: {"model_module": "anywidget", "state": widget.get_state()}}
        figure += nodes.raw("", view, format="html")
        figure += self.picture(widget, number, alt)
        return [figure]

    def picture(self, widget, number, alt):
        """What stands at its place until it lives."""
        if alt is None:
            raise self.error(f"{self.name}: no option alt; expected one that describes the picture")
        picture = Path(self.env.doctreedir) / f"{self.env.docname}-{number}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(widget.picture())
        return nodes.image(uri=f"/{os.path.relpath(picture, self.env.srcdir)}", alt=alt)


class LivingDirective(LabDirective):
    """One of the living figures, by its name; its options are the settings of that figure."""

    required_arguments = 1
    option_spec = {"alt": unchanged_required} | {
        name: yaml.safe_load
        for figure in living.FIGURES.values()
        for name in figure.class_trait_names(sync=True)
    }
    classes = ["live-figure"]

    def widget(self, **settings):
        return living.FIGURES[choice(self.arguments[0], [*living.FIGURES])](**settings)


def share_scripts(app, pagename, templatename, context, doctree):
    """Puts the scripts of a page's widgets into files, and those of directives beside the others.

    Such a file is the same for all pages. It is no module, and no JSON: a page on disk may load
    neither. So it leaves its texts where the loader finds them, at its own element.
    """
    widgets = {}
    for figure in doctree.findall(nodes.container) if doctree else ():
        widgets |= figure.get("widget", {})
    if widgets:
        app.add_js_file("afm-host.js")
        app.add_js_file(None, type=WIDGET_STATE, body=json.dumps({"state": widgets}))

    def put(kind, texts):
        body = f"document.currentScript.texts = {json.dumps(texts, ensure_ascii=False)};\n"
        name = f"{kind}-{hashlib.sha256(body.encode()).hexdigest()[:10]}.js"
        file = Path(app.outdir) / "_static" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(body, encoding="utf-8")
        return context["pathto"](f"_static/{name}", True)

    for script in context.get("script_files", []):
        attributes = getattr(script, "attributes", {})
        if attributes.get("type") != WIDGET_STATE:
            continue
        content = json.loads(attributes["body"])
        for state in (model["state"] for model in content["state"].values()):
            texts = {key: state.pop(key) for key in ("_esm", "_css") if key in state}
            if not texts:
                continue
            kind, state["_texts"] = state["_anywidget_id"].rpartition(".")[2], []
            if texts["_esm"].startswith(engine()):
                texts["_esm"] = texts["_esm"].removeprefix(engine())
                state["_texts"].append(put("engine", {"_esm": engine()}))
            state["_texts"].append(put(kind, texts))
        attributes["body"] = json.dumps(content).replace("</", "<\\/")


def setup(app):
    app.add_transform(LabLinks)
    app.add_post_transform(LiveFigures)
    app.add_directive("kan-lab", LabDirective)
    app.add_directive("living-figure", LivingDirective)
    app.setup_extension("stored")
    app.connect("html-page-context", share_scripts, priority=800)  # after MyST-NB's
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
