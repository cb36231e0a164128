"""Sphinx extension of this book: its pages ask no other host, and log no error in the browser.

And live figures: a widget that a notebook shows keeps the picture that is stored beside it, and
what widgets of one kind have in common, their script, is one file for all pages.
"""

import hashlib
import importlib.util
import json
import math
import os
import re
import shutil
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst.directives import unchanged_required
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from kanbook import KANLab

MATHJAX_PACKAGE = "sphinx-mathjax-offline"  # used for its files only, not as an extension
# The program, its fonts, and the TeX commands that it loads on first use, such as \\boldsymbol.
MATHJAX_FILES = ("tex-mml-chtml.js", "output/chtml/fonts", "input/tex/extensions", "ui/lazy.js")
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def mathjax_folder():
    """The folder of MathJax 3 inside the installed package."""
    spec = importlib.util.find_spec(MATHJAX_PACKAGE)
    folder = Path(spec.origin).parent / "static" / "mathjax" if spec else Path()
    if not (folder / MATHJAX_FILES[0]).is_file():
        raise ExtensionError(
            f"bookext: no {MATHJAX_FILES[0]} found in the package {MATHJAX_PACKAGE}; "
            "run `pip install -r requirements.txt -c constraints.txt`"
        )
    return folder


def copy_mathjax(app, exception):
    """Copies what TeX in the browser needs, 2 MB of the package's 24."""
    if exception is not None or app.builder.format != "html":
        return
    source, target = mathjax_folder(), Path(app.outdir) / "_static" / "mathjax"
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


def empty_fontawesome(app, exception):
    """Empties the theme's script of icons, 1.5 MB: the style sheet draws them with fonts."""
    script = Path(app.outdir) / "_static" / "scripts" / "fontawesome.js"
    if exception is None and script.is_file():
        script.write_text("// Not needed: the style sheet has the icons.\n", encoding="utf-8")


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


class StoredResults(SphinxDirective):
    """One section for each experiment: question, summary, figure; folded, its rows and making."""

    def run(self):
        from kanbook import results
        from kanbook.experiments import EXPERIMENTS, engine

        self.env.note_dependency(results.__file__)
        sections = []
        for name, experiment in EXPERIMENTS.items():
            section = nodes.section(ids=[f"results-{name}"])
            section += nodes.title("", name)
            chapters = ", ".join(map(str, experiment.chapters))
            facts = f"Chapters {chapters}; about {experiment.cost} core minutes."
            section += nodes.paragraph("", f"{experiment.question} {facts}")
            try:
                frame = results.load(name)
            except ValueError:
                section += nodes.paragraph("", "No results yet.")
            else:
                made, planned = frame.attrs["runs"], engine.total(experiment)
                if made < planned:
                    text = (
                        f"Not complete: {made:,} of {planned:,} runs are made, and this may change."
                    )
                    section += nodes.paragraph("", text)
                if {"contest", "test_error"} <= set(frame):
                    section += self._contests(name, frame)
                else:
                    section += self._settings(frame)
            sections.append(section)
        return sections

    def _contests(self, name, frame):
        from kanbook.results import contests

        made, frame = _provenance(frame), contests.with_own(frame)
        table = contests.medians(frame)
        title = f"{len(table)} rows: test error of a family on a task"
        folded = self.parse_text_to_nodes(_folded_table(title, table, made))
        families = list(dict.fromkeys(frame["family"]))
        factorial = "minimal" in families
        reference = "KAN" if "KAN" in families else families[0]
        if factorial:
            summary = _effects(frame)
        elif contests.rivals(frame, reference) and len(families) <= 10:
            summary = _summary(frame, reference)
        else:  # starts, or whoever meets nobody
            return folded
        figure = self._figure(name, frame, None if factorial else reference, summary)
        return [*self.parse_text_to_nodes(summary), figure, *folded]

    def _figure(self, name, frame, reference, summary):
        import matplotlib.pyplot as plt

        from kanbook import plots
        from kanbook._figures import picture as draw
        from kanbook.results import contests

        with plt.rc_context():
            plots.use_style()
            if reference is None:
                drawn = plots.plot_effects(contests.effects(frame))
            else:
                drawn = plots.plot_ratios(frame, reference)
            picture = Path(self.env.doctreedir) / f"results-{name}.svg"
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_text(draw(drawn)[0]["image/svg+xml"], encoding="utf-8")
            plt.close(drawn)
        what = f"the error of {reference} divided by a rival's. A grey dot is a task; the marker"
        what += " is the mean over the tasks of a class (how many, in brackets)"
        if reference is None:
            what = "the error of a KAN with an extra divided by that without; the diamond is the"
            what += " mean over all subsets of the others"
        caption = f"{name}: {what}, the line its 95 % interval. Filled: there is a verdict. Shaded:"
        caption += " ratios that make no difference in practice."
        figure = nodes.figure(ids=[f"fig-results-{name}"])
        uri = f"/{os.path.relpath(picture, self.env.srcdir)}"
        figure += nodes.image(uri=uri, alt=summary.replace("**", ""))
        figure += nodes.caption("", caption)
        return figure

    # Of the settings, first what names a row, then its losses; `results.load` has all the rest.
    LABELS = ("task", "size", "family", "variant", "contestant", "knob", "kinds", "part")
    LABELS += ("optimizer",)
    HIDDEN = ("model", "activation", "bias", "spline_weight", "base", "tanh_bias", "update_grid")
    HIDDEN += ("extend_grid", "restart", "samples", "steps", "watch")

    def _settings(self, frame):
        from kanbook import results
        from kanbook.results import contests

        if "prediction_seconds" in frame:
            table = contests.paces(frame)
            title = f"{len(table)} rows: milliseconds of a step, microseconds of a prediction"
            return self.parse_text_to_nodes(_folded_table(title, table, _provenance(frame)))
        table = results.summarize(frame)
        first = [name for name in self.LABELS if name in table] + list(table.columns[-7:])
        shown = first + [name for name in table if name not in (*first, *self.HIDDEN)]
        what = "how many were found" if "found" in table else "median, least and largest loss"
        title = f"{len(table)} settings: {what}"
        return self.parse_text_to_nodes(_folded_table(title, table[shown], _provenance(frame)))


def _provenance(frame):
    return "\n\n".join(
        f"Made by `{how['command']}` at commit {how['commit'][:10]}, {how['date']}, on "
        f"{how['processor']} with Python {how['python']} and PyTorch {how['torch']}."
        for how in frame.attrs["provenance"].values()
    )


def _summary(frame, family):
    """For each contest, how a family compares over all tasks: with the MLP in numbers."""
    from kanbook.results import contests

    words = {"a": "better than", "b": "worse than", "tie": "a tie with"}
    words["undecided"] = "undecided against"
    parts = []
    for contest, rows in frame.groupby("contest", sort=False):
        found = {
            rival: contests.ratios(rows, family, rival).iloc[-1]
            for rival in contests.rivals(rows, family)
        }
        if not found:
            continue
        first = "MLP" if "MLP" in found else next(iter(found))
        of = found[first]
        interval = "" if math.isnan(of.low) else f" [{of.low:.2g}, {of.high:.2g}]"
        said = [f"{family} / {first} **{of.ratio:.2g}**{interval}"]
        for verdict, word in words.items():
            names = [rival for rival, row in found.items() if row.verdict == verdict]
            said += [f"{family} {word} {', '.join(names)}"] if names else []
        parts.append(f"Equal {contest}, {of.tasks} tasks: {'; '.join(said)}.")
    return " ".join(parts)


def _effects(frame):
    """What extras are worth, task by task: the main effects, or those alone."""
    from kanbook.results import contests

    found = contests.effects(frame)
    where = "main" if "main" in set(found["where"]) else "alone"
    parts = []
    for task, rows in found[found["where"] == where].groupby("task", sort=False):
        said = [
            f"{row.extra} **{row.ratio:.2f}** [{row.low:.2f}, {row.high:.2f}]"
            for row in rows.itertuples()
        ]
        parts.append(f"{task}: {', '.join(said)}.")
    return f"Error with an extra / without. {' '.join(parts)}"


class StoredBenchmark(SphinxDirective):
    """The benchmark's tables and how they were made, from the stored file."""

    TITLES = {
        "speed": "Milliseconds of a call, and kanbook's time divided by the contestant's",
        "memory": "MiB at the peak of a pass",
        "prediction": "Microseconds of one prediction",
        "training": "Seconds and evaluations to a test error of 0.001, and of the whole run",
        "profile": "Milliseconds of the parts of a call, for two layers of chapter 16",
        "steps": "Time of a call of chapter 16's layers, kanbook's = 1",
        "tanh": "Time of a training step of chapter 13's networks, tanh after the sum = 1",
        "engines": "Milliseconds of a step of chapter 22's network in each engine",
    }

    def run(self):
        from kanbook import results

        self.env.note_dependency(str(results.FOLDER / "benchmark.json"))
        found, made = [], []
        for part, title in self.TITLES.items():
            frame = results.benchmark(part)
            found += self.parse_text_to_nodes(_folded_table(title, frame))
            made += [frame.attrs["provenance"]] if frame.attrs["provenance"] not in made else []
        for how in made:
            versions = ", ".join(f"{name} {number}" for name, number in how["versions"].items())
            text = (
                f"Made by `{how['command']}` at commit {how['commit'][:10]}, {how['date']}, on "
                f"{how['processor']}, {how['cores']} cores, Python {how['python']}, {versions}."
            )
            found += self.parse_text_to_nodes(text)
        return found


def _folded_table(title, frame, more=""):
    rows = [list(frame), *frame.astype(object).values.tolist()]
    lines = [", ".join(f'"{_cell(value)}"' for value in row) for row in rows]
    block = [f"::::{{dropdown}} {title}", ":::{csv-table}", ":header-rows: 1"]
    return "\n".join([*block, ":class: stored-results", "", *lines, ":::", "", more, "::::"])


def _cell(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if value != value else f"{value:.3g}"
    if isinstance(value, tuple):
        return " ".join(map(_cell, value))
    return re.sub(r"^[-+]", r"\\\g<0>", str(value).replace('"', "'"))  # no list


def sort_tables(app, pagename, templatename, context, doctree):
    """Makes the tables of results sortable."""
    tables = doctree.findall(nodes.table) if doctree else ()
    if any("stored-results" in table["classes"] for table in tables):
        app.add_js_file("sort-tables.js", loading_method="defer")


# Browsers let no page on disk read another: there, the search lists pages without excerpts.
ON_DISK = 'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'


def setup(app):
    app.config.mathjax_path = "mathjax/tex-mml-chtml.js"
    app.add_js_file(None, body=ON_DISK)
    app.add_post_transform(LiveFigures)
    app.add_directive("kan-lab", LabDirective)
    app.add_directive("stored-results", StoredResults)
    app.add_directive("stored-benchmark", StoredBenchmark)
    app.connect("html-page-context", share_scripts, priority=800)  # after MyST-NB's
    app.connect("html-page-context", sort_tables)
    app.connect("html-page-context", drop_thebe, priority=900)  # after those who add scripts
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", empty_fontawesome)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
