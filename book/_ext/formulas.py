"""Sphinx extension: formulas become MathML as the book is built, without scripts in the page."""

import re
from html import escape

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.errors import SphinxError

CONVERTER = LatexToMathML(fancy_error=False)


def mathml(tex, display):
    """The element <math> of a formula in TeX, within a line or on lines of its own."""
    rows_alike = re.sub(r"(\\\\)\[[^]]*\]", r"\1", tex)  # space between rows would become text
    found = CONVERTER.convert_with_local_state(rows_alike, displaystyle=display)
    # Chromium gives a delimiter that has a script the height of \Bigr only in a row of its own.
    found = re.sub("(<m(?:sub|sup|subsup)>)(<mo minsize.*?</mo>)", r"\1<mrow>\2</mrow>", found)
    return found.replace("<math", f'<math alttext="{escape(tex.strip())}"', 1)


def visit(self, node):
    display = isinstance(node, nodes.math_block)
    try:
        found = mathml(node.astext(), display)
    except LatexError as error:
        where = f"{self.builder.current_docname}: {node.astext()}"
        raise SphinxError(f"no formula in {where}: {error}") from error
    box = self.starttag(node, "div", CLASS="math"), "</div>\n"  # which scrolls
    self.body.append(found.join(box) if display else found)
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit, None), (visit, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
