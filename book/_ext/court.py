"""Sphinx extension: what is said about KANs, and what the stored runs say, in tables and marks."""

from html import escape

from docutils import nodes
from docutils.parsers.rst import directives
from front import foot, mark, stored
from sphinx.util.docutils import SphinxDirective

from evidence.verdicts import claims, kinds
from kanbook.certainty import VERDICTS

LIMITS = 0.02, 50
TICKS = {0.03: "0.03", 0.1: "0.1", 0.3: "0.3", 1: "1", 3: "3", 10: "10", 30: "30"}


class Claims(SphinxDirective):
    """All claims; with the option ``who`` those of one, with ``but`` those of all others."""

    option_spec = {"who": directives.unchanged, "but": directives.unchanged}

    def run(self):
        stored(self.env)
        frame = claims.table()
        if "who" in self.options:
            frame = frame[frame["who"] == self.options["who"]]
        if "but" in self.options:
            frame = frame[frame["who"] != self.options["but"]]
        return self.parse_text_to_nodes(claims.listing(frame, "../notebooks/"))


class Contests(SphinxDirective):
    """All kinds of work, each with its mark; by rival, by verdict and by words, a part of them."""

    def run(self):
        stored(self.env)
        self.env.metadata[self.env.docname]["filtered"] = True
        frame = kinds.kinds()
        names = {name: name for name in frame.rival} | {"MLP": "MLP of its size"}
        words = [word for word in VERDICTS if word in set(frame.verdict)]
        html = (
            '<p class="filters" hidden>'
            + choice("Against", "rival", names)
            + choice("Verdict", "verdict", {word: word for word in words})
            + '<label>Containing <input type="search" size="12" placeholder="noise"></label> '
            + '<output aria-live="polite"></output></p>'
            + f"<ul>{''.join(mark(what(row), row, LIMITS) for row in frame.itertuples())}</ul>"
            + foot(TICKS, LIMITS, "its rival")
        )
        return [nodes.raw("", f'<div class="marks contests">{html}</div>', format="html")]


def what(row):
    tasks = f"{row.tasks} task{'s' if row.tasks > 1 else ''}"
    rival = f"{row.rival}: {row.methods}" if row.methods else row.rival
    return f"{escape(row.kind)} <small>{tasks}, against {escape(rival)}</small>"


def choice(label, name, options):
    options = {"": "all"} | options
    found = "".join(f'<option value="{value}">{said}</option>' for value, said in options.items())
    return f'<label>{label} <select name="{name}">{found}</select></label> '


def filtered(app, pagename, templatename, context, doctree):
    if app.env.metadata.get(pagename, {}).get("filtered"):
        app.add_js_file("filter-contests.js", priority=300, loading_method="defer")


def setup(app):
    app.add_directive("claims", Claims)
    app.add_directive("contests", Contests)
    app.connect("html-page-context", filtered)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
