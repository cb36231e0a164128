"""Sphinx extension: what is said about KANs, and what the stored runs say, as a table."""

from docutils.parsers.rst import directives
from front import stored
from sphinx.util.docutils import SphinxDirective

from evidence.verdicts import claims


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


def setup(app):
    app.add_directive("claims", Claims)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
