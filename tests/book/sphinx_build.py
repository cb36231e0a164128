"""Pages of a test, built as those of the book."""

import io

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from notebook_files import ROOT


def build(folder, extensions, **settings):
    """Build the pages in a folder; return where they are, and what Sphinx warned of."""
    settings |= {"extensions": extensions, "exclude_patterns": ["out"]}
    settings |= {"html_static_path": [str(ROOT / "book" / "_static")]}
    out, said = folder / "out", io.StringIO()
    options = {"confoverrides": settings, "status": None, "warning": said}
    with pytest.MonkeyPatch.context() as patch, docutils_namespace():  # nothing is left behind
        patch.syspath_prepend(ROOT / "book" / "_ext")
        Sphinx(folder, None, out, out / "doctrees", "html", **options).build()
    return out, said.getvalue()
