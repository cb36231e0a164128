"""Writes badge and set-up cell into the notebooks, and for publishing the repository's name.

    python book/_tools/bake_repo.py                                 a new notebook gets both cells
    python book/_tools/bake_repo.py alice/kanbook --ref SHA --branch colab          for publishing

`--branch` is the branch that the Colab buttons open, `--ref` the branch, tag or commit that the
set-up cells fetch. For publishing, the old path of a notebook that moved gets a notebook that leads
on. Standard library only: it runs before anything is installed.
"""

import argparse
import posixpath
import re
from pathlib import Path

from notebook_files import ROOT, dump, find, is_tagged, read, write

# The set-up cell of every notebook. This is its only home: change it here, then run this tool.
SETUP_CELL = """\
# Finds kanbook and evidence: in the checkout around this notebook, else (on Colab) fetches them.
import pathlib, subprocess, sys

here, needed = pathlib.Path.cwd(), ("kanbook/__init__.py", "evidence/__init__.py")
around = [p for p in here.parents if all((p / name).is_file() for name in needed)]
root = around[0] if around else here / "kanbook-checkout"
source = "the checkout around this notebook"
if not around:
    url, ref = "https://github.com/{slug}", "{ref}"
    root.mkdir(exist_ok=True)
    for step in ("init", f"fetch --depth 1 {{url}} {{ref}}", "checkout FETCH_HEAD"):
        command, *arguments = step.split()
        try:
            subprocess.run(["git", command, "--quiet", *arguments], cwd=root, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise RuntimeError(
                f"`git {{step}}` failed in {{root}}; its message is above. Check the network and "
                "run this cell again, or clone the repository and open the notebook inside it."
            ) from error
    source = f"{{ref}} of {{url}}"
sys.path.insert(0, str(root))
print("kanbook and evidence:", source)

import kanbook.plots
import torch

kanbook.plots.use_style()
torch.set_default_dtype(torch.float64)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")"""

BADGE_IMAGE = "https://colab.research.google.com/assets/colab-badge.svg"
SETUP_TAGS = ["setup", "hide-cell", "nbval-ignore-output"]  # says where it found the code
BADGE_TAGS = ["badge", "remove-cell"]  # the book has a button of its own


def configured(root):
    """The owner/name and the branch that _config.yml states."""
    text = (Path(root) / "_config.yml").read_text(encoding="utf-8")
    pattern = r"^repository:\n +url: https://github\.com/(\S+)\n +branch: (\S+)"
    return re.search(pattern, text, re.M).groups()


def setup_cell(slug, ref):
    return SETUP_CELL.format(slug=slug, ref=ref)


def badge_cell(slug, branch, path):
    """The badge of the notebook at `path`, relative to the root."""
    return f"[![Open in Colab]({BADGE_IMAGE})]({colab_url(slug, branch, path)})"


def colab_url(slug, branch, path):
    return f"https://colab.research.google.com/github/{slug}/blob/{branch}/{Path(path).as_posix()}"


def add_cells(notebook, path, slug, branch):
    """Writes badge and set-up cell into the notebook, and adds the one that is missing."""
    cells = notebook["cells"]
    if not (cells and is_tagged(cells[0], "badge")):
        cells.insert(0, {"cell_type": "markdown", "id": "badge"})
    cells[0] |= {"source": badge_cell(slug, branch, path), "metadata": {"tags": BADGE_TAGS}}
    code = [index for index, cell in enumerate(cells) if cell["cell_type"] == "code"]
    at = code[0] if code else len(cells)
    if not (code and is_tagged(cells[at], "setup")):
        new = {"cell_type": "code", "id": "setup", "outputs": [], "execution_count": None}
        cells.insert(at, new)
    cells[at] |= {"source": setup_cell(slug, branch), "metadata": {"tags": SETUP_TAGS}}
    return notebook


def rename(root, slug, ref, branch):
    """Replaces the repository's name in every file that links to it."""
    old, main = configured(root)
    new = {
        f'github.com/{old}\\", \\"{main}\\"': f'github.com/{slug}\\", \\"{ref}\\"',  # set-up cells
        f"github/{old}/blob/{main}/": f"github/{slug}/blob/{branch}/",  # on Colab
        f"github.com/{old}\n  branch: {main}\n": f"github.com/{slug}\n  branch: {branch}\n",
        f"github.com/{old}": f"github.com/{slug}",
    }
    named = [root / name for name in ("_config.yml", "pyproject.toml", "CITATION.cff")]
    for path in [*named, *root.glob("*.md"), *root.glob("book/*.md"), *find(root)]:
        text = path.read_text(encoding="utf-8")
        write(path, re.sub("|".join(map(re.escape, new)), lambda found: new[found[0]], text))


def lead_on(root, slug, branch):
    """Puts a notebook of one cell at every old path that the redirects of _config.yml name."""
    text = (root / "_config.yml").read_text(encoding="utf-8")
    for old, target in re.findall(r"^ +(notebooks/\S+): +(\S+)\.html$", text, re.M):
        new = posixpath.normpath(posixpath.join(posixpath.dirname(old), f"{target}.ipynb"))
        title = re.match("# (.+)", lesson_of(read(root / new)))[1]
        source = f"This notebook has moved: [{title}]({colab_url(slug, branch, new)})."
        cell = {"cell_type": "markdown", "id": "moved", "metadata": {}, "source": source}
        write(
            root / f"{old}.ipynb",
            dump({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}),
        )


def lesson_of(notebook):
    """The first text of a notebook that is no badge."""
    return next(
        cell["source"]
        for cell in notebook["cells"]
        if cell["cell_type"] == "markdown" and not is_tagged(cell, "badge")
    )


def main(arguments=None, root=ROOT):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("slug", nargs="?", help="owner/name of the repository to publish")
    parser.add_argument("--ref", default="main", help="what the set-up cells fetch")
    parser.add_argument("--branch", default="main", help="what the badges open")
    options = parser.parse_args(arguments)
    if options.slug and not re.fullmatch(r"[\w-]+/[\w.-]+", options.slug):
        parser.error(f"{options.slug!r} is not a repository; give owner/name, say alice/kanbook")
    for path in find(root):
        notebook = read(path)
        before = dump(notebook)
        after = dump(add_cells(notebook, path.relative_to(root), *configured(root)))
        if after != before:  # one that agrees keeps the layout that it has
            write(path, after)
    if options.slug:
        rename(root, options.slug, options.ref, options.branch)
        lead_on(root, options.slug, options.branch)


if __name__ == "__main__":
    main()
