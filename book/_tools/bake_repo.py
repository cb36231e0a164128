"""Writes the repository's owner/name into badges, set-up cells and links, and compares them.

    python book/_tools/bake_repo.py                        copy the slug of _config.yml everywhere
    python book/_tools/bake_repo.py --check                only compare; names what disagrees
    python book/_tools/bake_repo.py alice/kanbook          a new slug, _config.yml included
    python book/_tools/bake_repo.py alice/kanbook --ref SHA --branch colab    for publishing

`--branch` is the branch that the Colab buttons open, `--ref` the branch, tag or commit that the
set-up cells install. Standard library only: it runs before anything is installed.
"""

import argparse
import re
import sys
from pathlib import Path

from notebook_files import ROOT, dump, find, is_tagged, read, write

# The set-up cell of every notebook. This is its only home: change it here, then run this tool.
SETUP_CELL = """\
# Finds kanbook: in the checkout around this notebook, else installed, else (on Colab) installs it.
import importlib.util, pathlib, subprocess, sys

checkouts = [p for p in pathlib.Path.cwd().parents if (p / "kanbook" / "__init__.py").is_file()]
sys.path[:0] = [str(folder) for folder in checkouts[:1]]
if importlib.util.find_spec("kanbook") is None:
    source = "git+https://github.com/{slug}@{ref}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", source]
    if subprocess.run(pip).returncode != 0:
        raise RuntimeError(
            f"pip could not install {{source}}; its message is above. Check the network and run "
            "this cell again, or clone the repository and open the notebook inside it."
        )
    importlib.invalidate_caches()
import kanbook.plots
import torch

kanbook.plots.use_style()
torch.set_default_dtype(torch.float64)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")"""

BADGE_IMAGE = "https://colab.research.google.com/assets/colab-badge.svg"
BADGE_CELL = "[![Open in Colab]({image})]({url})"
SETUP_TAGS = ["setup", "hide-cell"]
BADGE_TAGS = ["badge", "remove-cell"]  # the book has a button of its own

OWNER = r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}"  # GitHub gives names with _ to a company's own accounts
NAME = r"[A-Za-z0-9._-]*[A-Za-z0-9_-]"
REF = r"[A-Za-z0-9_](?:[A-Za-z0-9_./-]*[A-Za-z0-9_])?"
PACKAGE = "kanbook"  # a link to anyone's repository of this name is a link to this one

LINK = re.compile(
    r"(github\.com/|raw\.githubusercontent\.com/|colab\.research\.google\.com/github/)"
    rf"({OWNER})/({NAME})(@{REF}|/blob/{REF}(?=/notebooks/))?"
)
PAGES = re.compile(rf"(https://)({OWNER})(\.github\.io/)({NAME})")
SETTING = r"^repository:[ \t]*\n(?:[ \t]+.*\n)*?[ \t]+{}:[ \t]*(\S+)"  # in _config.yml


class BakeError(Exception):
    """A slug or a file that cannot be used; the message says what to do."""


def check_slug(slug):
    if not re.fullmatch(rf"{OWNER}/{NAME}", slug) or slug.endswith(".git"):
        raise BakeError(f"{slug!r} is not a repository; give owner/name, for example alice/kanbook")
    return slug


def check_ref(ref, option):
    if not re.fullmatch(REF, ref) or ".." in ref:
        raise BakeError(f"{option} {ref!r} is not a branch, a tag or a commit")
    return ref


def configured(root):
    """The slug and the branch that _config.yml names."""
    path = Path(root) / "_config.yml"
    text = path.read_text(encoding="utf-8")
    url, branch = (re.search(SETTING.format(key), text, re.M) for key in ("url", "branch"))
    if not url or not branch:
        raise BakeError(f"{path}: needs `repository:` with `url:` and `branch:` indented below it")
    prefix = "https://github.com/"
    if not url[1].startswith(prefix):
        raise BakeError(f"{path}: repository url {url[1]!r} must be {prefix}owner/name")
    return check_slug(url[1].removeprefix(prefix)), branch[1]


def text_files(root):
    """The files besides the notebooks that may link to the repository."""
    root = Path(root)
    paths = [root / name for name in ("_config.yml", "pyproject.toml", "CITATION.cff")]
    paths += [path for folder in (root, root / "book") for path in sorted(folder.glob("*.md"))]
    return [path for path in paths if path.is_file()]


def bake_links(text, slug, ref, branch, own):
    """The text with every link to one of the repositories `own` leading to `slug`."""

    def is_own(theirs):
        return theirs in own or theirs.split("/")[1] == PACKAGE

    def link(match):
        host, owner, name, rest = match.groups(default="")
        suffix = ".git" if name.endswith(".git") else ""
        if not is_own(f"{owner}/{name.removesuffix('.git')}"):
            return match[0]
        if rest.startswith("@"):
            rest = f"@{ref}"
        elif rest and host.startswith("colab"):
            rest = f"/blob/{branch}"
        return f"{host}{slug}{suffix}{rest}"

    def pages(match):
        owner, name = slug.split("/")
        return f"https://{owner}.github.io/{name}" if is_own(f"{match[2]}/{match[4]}") else match[0]

    return PAGES.sub(pages, LINK.sub(link, text))


def badge_slugs(path):
    """The repositories that a notebook's badge leads to, whatever slug they have."""
    first = read(path)["cells"][:1]
    links = LINK.finditer(first[0]["source"] if first else "")
    return {f"{link[2]}/{link[3]}" for link in links if link[1].startswith("colab")}


def setup_cell(slug, ref):
    return SETUP_CELL.format(slug=slug, ref=ref)


def badge_cell(slug, branch, path):
    """The badge of the notebook at `path`, relative to the root."""
    url = f"https://colab.research.google.com/github/{slug}/blob/{branch}/{Path(path).as_posix()}"
    return BADGE_CELL.format(image=BADGE_IMAGE, url=url)


def bake_notebook(notebook, path, slug, ref, branch):
    """Writes badge and set-up cell into the notebook, and adds the one that is missing."""
    cells = notebook["cells"]
    if not (cells and cells[0]["cell_type"] == "markdown" and BADGE_IMAGE in cells[0]["source"]):
        cells.insert(0, {"cell_type": "markdown", "id": "badge", "metadata": {}})
    cells[0]["source"] = badge_cell(slug, branch, path)
    cells[0]["metadata"]["tags"] = BADGE_TAGS

    code = [index for index, cell in enumerate(cells) if cell["cell_type"] == "code"]
    at = code[0] if code else len(cells)
    if not (code and is_tagged(cells[at], "setup")):
        new = {"cell_type": "code", "id": "setup", "metadata": {}}
        cells.insert(at, new | {"outputs": [], "execution_count": None})
    cells[at]["source"] = setup_cell(slug, ref)
    cells[at]["metadata"]["tags"] = SETUP_TAGS
    return notebook


def baked(root, slug, ref, branch):
    """Every file that would change, with its new text."""
    root = Path(root)
    notebooks = find(root)
    old = {path: path.read_text(encoding="utf-8") for path in text_files(root) + notebooks}
    own = {configured(root)[0]}.union(*map(badge_slugs, notebooks))
    new = {}
    for path, text in old.items():
        if path.suffix == ".ipynb":
            notebook = read(path)
            before = dump(notebook)
            after = dump(bake_notebook(notebook, path.relative_to(root), slug, ref, branch))
            # A notebook that agrees keeps the layout that it has.
            new[path] = bake_links(text if after == before else after, slug, ref, branch, own)
        else:
            new[path] = bake_links(text, slug, ref, branch, own)
    config = root / "_config.yml"  # whose branch the book's own Colab buttons open
    found = re.search(SETTING.format("branch"), new[config], re.M)
    new[config] = new[config][: found.start(1)] + branch + new[config][found.end(1) :]
    return {path: text for path, text in new.items() if text != old[path]}


def main(arguments=None, root=ROOT):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("slug", nargs="?", help="owner/name; default: that of _config.yml")
    parser.add_argument("--ref", help="what the set-up cells install; default: the branch")
    parser.add_argument("--branch", help="what the badges open; default: that of _config.yml")
    parser.add_argument("--check", action="store_true", help="only compare, write nothing")
    options = parser.parse_args(arguments)
    try:
        config_slug, config_branch = configured(root)
        slug = check_slug(options.slug or config_slug)
        branch = check_ref(options.branch or config_branch, "--branch")
        ref = check_ref(options.ref or branch, "--ref")
        changes = baked(root, slug, ref, branch)
    except (BakeError, ValueError, OSError) as error:
        print(f"bake_repo: {error}", file=sys.stderr)
        return 2
    for path, text in changes.items():
        verdict = "disagrees with" if options.check else "now says"
        print(f"{path.relative_to(root)}: {verdict} {slug}")
        if not options.check:
            write(path, text)
    if options.check and changes:
        print("bake_repo: run `python book/_tools/bake_repo.py` to repair", file=sys.stderr)
    return 1 if options.check and changes else 0


if __name__ == "__main__":
    sys.exit(main())
