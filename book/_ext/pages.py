"""Sphinx extension of this book: what its pages make of plain patterns in the notebooks.

Colab and GitHub show the same cells as plain Markdown. Here the first lines of a chapter become a
card, quotes that begin with **Predict.**, **Summary.** or **Aside.** callouts and margin notes, and
tables and folds get what a phone or a screen reader needs. How all this looks is in book/_static.
"""

import re

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.html5 import HTML5Translator

WORDS_A_MINUTE = 120  # of text with formulas, and code and figures to look at
PROSE_ROW = 80  # characters in a row of a table that reads as text rather than as numbers


def opening_words(node):
    """The text that a paragraph begins with in bold, or the empty text."""
    words = [child for child in node.children if child.astext()] or [node]
    bold = isinstance(node, nodes.paragraph) and isinstance(words[0], nodes.strong)
    return words[0].astext() if bold else ""


def reading_minutes(document):
    """How long a page's words take; those of code and its outputs do not count."""

    def words(node):
        if isinstance(node, nodes.Text):
            return len(node.split())
        is_code = isinstance(node, (nodes.literal_block, nodes.raw, nodes.comment))
        return 0 if is_code or node.get("nb_element") else sum(map(words, node.children))

    return max(1, round(words(document) / WORDS_A_MINUTE))


class Opener(SphinxTransform):
    """A card of what stands between a chapter's title and its running time."""

    default_priority = 400

    def apply(self, **kwargs):
        chapter = next(self.document.findall(nodes.section), None)
        kinds = [opening_words(node) for node in chapter.children] if chapter else []
        if "Running time:" not in kinds:
            return
        end = kinds.index("Running time:") + 1
        question, time = chapter[1], chapter[end - 1]
        time["classes"].append("opener-time")
        minutes = reading_minutes(self.document)
        time += [nodes.Text(" "), nodes.strong("", "Reading time:")]
        time += nodes.Text(f" {minutes} minute{'s' * (minutes > 1)}.")
        if "What you need:" in kinds[:end]:
            chapter[kinds.index("What you need:")]["classes"].append("opener-need")
        description = " ".join(question.astext().split())  # which search engines show
        if opening_words(question) == question.astext():
            question["classes"].append("opener-question")
        else:  # solutions ask no question
            description = f"{chapter[0].astext()}. {description}"
        chapter[1:end] = [nodes.container("", *chapter[1:end], classes=["opener"])]
        self.document.insert(0, nodes.meta(name="description", content=description))


class Callouts(SphinxTransform):
    """Callouts and margin notes of quotes that begin with a word in bold; closing sections."""

    default_priority = 401
    SECTIONS = {"where-this-breaks": "breaks", "summary": "summary"}

    def apply(self, **kwargs):
        for section in self.document.findall(nodes.section):
            for name, kind in self.SECTIONS.items():
                if section["ids"] and section["ids"][0].startswith(name):
                    section["classes"] += ["callout", kind]
        for quote in list(self.document.findall(nodes.block_quote)):
            kind = opening_words(quote[0]) if quote.children else ""
            if kind == "Aside.":
                quote[0].remove(next(quote[0].findall(nodes.strong)))  # its place and look say it
                quote.replace_self(nodes.sidebar("", *quote.children, classes=["margin"]))
            elif kind in ("Predict.", "Summary."):
                callout = nodes.container(classes=["callout", kind.rstrip(".").lower()])
                answer = self.folded_answer(quote) if kind == "Predict." else []
                for node in answer:
                    node.parent.remove(node)
                quote.replace_self(callout)
                if kind == "Predict.":
                    self.cover_what_follows(callout)
                callout += [*quote.children, *answer]

    @staticmethod
    def cover_what_follows(callout):
        """Marks the next output, with nothing but code before it: it gives the answer away.

        Not what a reader sets going, such as a lab.
        """
        for cell in callout.parent[callout.parent.index(callout) + 1 :]:
            if "cell" not in cell.get("classes", []):
                return
            outputs = [node for node in cell.children if "cell_output" in node.get("classes", [])]
            if outputs and "tag_hide-cell" not in cell["classes"]:
                kinds = {node.get("mime_type") for node in outputs[0].findall(nodes.container)}
                if "application/vnd.jupyter.widget-view+json" not in kinds:
                    outputs[0]["classes"].append("covered")
                return

    @staticmethod
    def folded_answer(quote):
        """The nodes that follow from <details> to </details>, or none."""
        following = quote.parent[quote.parent.index(quote) + 1 :]
        if not following or not following[0].astext().startswith("<details"):
            return []
        for count, node in enumerate(following, start=1):
            if isinstance(node, nodes.raw) and "</details>" in node.astext():
                return following[:count]
        return []


class Tables(SphinxPostTransform):
    """Names columns without a name for screen readers, marks tables that phones stack (page.js)."""

    default_priority = 10  # after MyST-NB has chosen what an output shows
    formats = ("html",)

    def run(self, **kwargs):
        for table in self.document.findall(nodes.table):
            for head in table.findall(nodes.thead):
                for entry in head.findall(nodes.entry):
                    if not entry.astext().strip():
                        name = nodes.inline("", "Row", classes=["visually-hidden"])
                        entry[:] = [nodes.paragraph("", "", name)]
            rows = [row for body in table.findall(nodes.tbody) for row in body.children]
            long = sum(len(row.astext()) for row in rows) > PROSE_ROW * len(rows)
            if long and len(rows[0]) > 2 and "stored-results" not in table["classes"]:
                table["classes"].append("prose")
        for raw in list(self.document.findall(nodes.raw)):
            if raw["format"] == "html" and "<th></th>" in raw.astext():  # a corner of pandas'
                text = raw.astext().replace("<th></th>", "<td></td>")
                raw.replace_self(nodes.raw("", text, format="html"))


class Folds(SphinxPostTransform):
    """A folded cell says what it holds; one without output joins the folded cell after it."""

    default_priority = 200  # after MyST-NB's HideInputCells
    formats = ("html",)
    NAMES = {"tag_setup": "Set-up", "tag_hide-output": "Output"}

    def run(self, **kwargs):
        before = None  # a folded cell of code alone
        for cell in list(self.document.findall(nodes.container)):
            found = [child for child in cell.children if isinstance(child, HideCodeCellNode)]
            if not found:
                continue
            (fold,) = found
            names = [name for tag, name in self.NAMES.items() if tag in cell["classes"]]
            if before and not names and before.next_node(descend=False, siblings=True) is cell:
                fold[:0] = before[0].children
                before.parent.remove(before)
            output = any("cell_output" in node["classes"] for node in fold.findall(nodes.container))
            fold["name"] = names[0] if names else "Code and output" if output else "Code"
            before = cell if cell.children == [fold] and fold["name"] == "Code" else None


def visit_fold(self, node):
    """Whether it is open, the browser says."""
    self.body.append(f'<details class="hide {" ".join(node["classes"])}">\n')
    self.body.append(f"<summary>{node['name']}</summary>\n")


def depart_fold(self, node):
    self.body.append("</details>\n")


def visit_citation(self, node):
    """Without the roles of docutils: one is deprecated, and the other then lacks its children."""
    start = len(self.body)
    HTML5Translator.visit_citation(self, node)
    roles = re.compile(' role="(list|doc-biblioentry)"')
    self.body[start:] = [roles.sub("", text) for text in self.body[start:]]


def fold_solutions(app, pagename, templatename, context, doctree):
    """Folds the solutions in the list of chapters, but where one of them is read."""
    toctree = context["generate_toctree_html"]
    opened = " open" if "solutions/" in pagename else ""
    part = re.compile(r"<p[^>]*><span[^>]*>(Solutions)</span></p>\s*(<ul.*?</ul>)", re.DOTALL)
    folded = rf'<details class="solutions"{opened}><summary>\1</summary>\2</details>'
    context["generate_toctree_html"] = lambda **settings: part.sub(folded, str(toctree(**settings)))


def setup(app):
    app.add_transform(Opener)
    app.add_transform(Callouts)
    app.add_post_transform(Tables)
    app.add_post_transform(Folds)
    app.add_node(HideCodeCellNode, override=True, html=(visit_fold, depart_fold))
    citation = visit_citation, HTML5Translator.depart_citation
    app.add_node(nodes.citation, override=True, html=citation)
    app.connect("html-page-context", fold_solutions, priority=800)  # after the theme's
    app.add_js_file("page.js", priority=400, loading_method="defer")  # before the theme's script
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
