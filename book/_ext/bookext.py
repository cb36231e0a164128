"""Sphinx extension of this book: its pages ask no other host, and log no error in the browser."""

import importlib.util
import shutil
from pathlib import Path

from sphinx.errors import ExtensionError

MATHJAX_PACKAGE = "sphinx-mathjax-offline"  # used for its files only, not as an extension
# The program, its fonts, and the TeX commands that it loads on first use, such as \\boldsymbol.
MATHJAX_FILES = ("tex-mml-chtml.js", "output/chtml/fonts", "input/tex/extensions")


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


def setup(app):
    app.config.mathjax_path = "mathjax/tex-mml-chtml.js"
    app.connect("html-page-context", drop_thebe, priority=900)  # after those who add scripts
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
