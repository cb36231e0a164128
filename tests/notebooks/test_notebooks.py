"""The rules that every notebook of the book keeps.

A rule is a function: it takes a notebook and returns the problems that it finds, as sentences. Each
has a bad example below that proves it can fail. What is checked here is what a reader would trip
over: outputs out of order, figures without a description, cells too long to read, set-up that works
on one machine only.
"""

import copy
import itertools
import re
from pathlib import Path

import pytest
import yaml

import bake_repo
import notebook_files as notebooks
from notebook_files import ROOT, is_tagged

MAX_LINES = 20
MAX_WIDTH = 80  # what the page shows without scrolling
SHORT_LINES = 8
MAX_BUDGET = 90
MIN_ALT = 40
CHAPTER_HEADINGS = ["Where this breaks", "Summary", "Exercises", "Further reading"]
IMAGE_TYPES = ("image/png", "image/jpeg", "image/svg+xml")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


class Notebook:
    """A notebook with what the rules ask of it. `path` is relative to the root."""

    def __init__(self, path, content):
        self.path = Path(path)
        self.content = content
        self.cells = content["cells"]
        self.is_chapter = self.path.parent.name == "notebooks"

    @classmethod
    def load(cls, path):
        return cls(path.relative_to(ROOT), notebooks.read(path))

    def of_type(self, cell_type):
        """Position in the file, from 1, and cell."""
        return [(i, c) for i, c in enumerate(self.cells, start=1) if c["cell_type"] == cell_type]

    @property
    def code(self):
        return self.of_type("code")

    @property
    def markdown(self):
        return self.of_type("markdown")

    @property
    def lessons(self):
        """The code cells that a reader reads: all but the set-up cell."""
        return [(i, cell) for i, cell in self.code if not is_tagged(cell, "setup")]

    @property
    def opening(self):
        """The first Markdown cell after the badge."""
        texts = [cell["source"] for _, cell in self.markdown[1:2]]
        return texts[0] if texts else ""

    def headings(self):
        texts = (without_code(cell["source"]) for _, cell in self.markdown)
        return [h.strip() for text in texts for h in re.findall(r"^#+ (.*)$", text, re.M)]


def without_code(text):
    """Markdown without fenced blocks and code spans."""
    text = re.sub(r"^(`{3,}|~{3,}).*?^\1", "", text, flags=re.M | re.S)
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text, flags=re.S)


def lines(cell):
    return [line for line in cell["source"].splitlines() if line.strip()]


def output_texts(cell):
    """Every text that a cell has stored."""
    for output in cell["outputs"]:
        yield "".join(output.get("text", ""))
        yield "\n".join(output.get("traceback", []))
        for kind, data in output.get("data", {}).items():
            if kind.startswith("text/"):
                yield "".join(data)


def images(cell):
    return [o for o in cell["outputs"] if any(kind in o.get("data", {}) for kind in IMAGE_TYPES)]


# --- the rules -----------------------------------------------------------------------------------


def ran_in_order(notebook):
    counts = [cell["execution_count"] for _, cell in notebook.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}, not 1 to {len(counts)}: run `make notebooks`"


def stores_no_error(notebook):
    for i, cell in notebook.code:
        failed = any(output["output_type"] == "error" for output in cell["outputs"])
        if failed and not is_tagged(cell, "raises-exception"):
            yield f"cell {i} stores an error; if it is meant, tag the cell raises-exception"
        if not failed and is_tagged(cell, "raises-exception"):
            yield f"cell {i} is tagged raises-exception but stores no error"


def every_cell_is_compared(notebook):
    for i, cell in notebook.code:
        if is_tagged(cell, "live-only") and not is_tagged(cell, "nbval-ignore-output"):
            yield f"cell {i} is live-only, so its output is not stored: tag it nbval-ignore-output"
        for tag in ("nbval-skip", "skip-execution"):
            if is_tagged(cell, tag):
                yield f"cell {i} is tagged {tag}: a cell that no test runs may be wrong"


def images_are_described(notebook):
    for i, cell in notebook.code:
        found = images(cell)
        if not found:
            continue
        if len(found) > 1:
            yield f"cell {i} shows {len(found)} images: one each, so that each has alt and caption"
        mystnb = cell["metadata"].get("mystnb", {})
        alt = mystnb.get("image", {}).get("alt", "")
        figure = mystnb.get("figure", {})
        if len(alt) < MIN_ALT or re.fullmatch(r"\S+\.\w{2,4}", alt):
            yield f"cell {i}: mystnb image alt {alt!r} must say the finding ({MIN_ALT}+ characters)"
        if not figure.get("caption", "").strip():
            yield f"cell {i}: mystnb figure caption is missing"
        if not re.fullmatch(r"fig-[a-z0-9]+(-[a-z0-9]+)*", figure.get("name", "")):
            yield f"cell {i}: mystnb figure name {figure.get('name', '')!r} must be like fig-hats"


def markdown_images_have_alt(notebook):
    for i, cell in notebook.markdown:
        text = without_code(cell["source"])
        if re.search(r"!\[\s*\]\(", text) or re.search(r"<img(?![^>]*\balt=\"[^\"]+\")", text):
            yield f"cell {i} has an image without alt text"


def cells_are_short(notebook):
    sizes = [(i, len(lines(cell))) for i, cell in notebook.lessons]
    for i, size in sizes:
        if size > MAX_LINES:
            yield f"cell {i} has {size} lines, more than {MAX_LINES}: split it"
    for i, cell in notebook.lessons:
        wide = [line for line in lines(cell) if len(line) > MAX_WIDTH]
        if wide:
            yield f"cell {i} has a line of over {MAX_WIDTH} characters: {wide[0]!r}"
    short = sum(size < SHORT_LINES for _, size in sizes)
    if 2 * short < len(sizes):
        yield f"only {short} of {len(sizes)} code cells have fewer than {SHORT_LINES} lines"


def code_is_explained(notebook):
    for i, (before, cell) in enumerate(itertools.pairwise(notebook.cells), start=2):
        if before["cell_type"] != "code" or cell["cell_type"] != "code":
            continue
        if not is_tagged(before, "setup") and not is_tagged(cell, "raises-exception"):
            yield f"cells {i - 1} and {i} are code without a sentence between"


def no_cell_is_empty(notebook):
    for i, cell in enumerate(notebook.cells, start=1):
        if not cell["source"].strip():
            yield f"cell {i} is empty"


def chapter_checks_itself(notebook):
    if notebook.is_chapter and not any(
        re.search(r"\bassert(_\w+)?\b", cell["source"]) for _, cell in notebook.lessons
    ):
        yield "no cell has an assert: a chapter checks what it claims"


def states_its_budget(notebook):
    budget = notebook.content["metadata"].get("kanbook", {}).get("budget_seconds")
    if not isinstance(budget, int) or not 0 < budget <= MAX_BUDGET:
        yield f"metadata kanbook.budget_seconds is {budget!r}, not a number from 1 to {MAX_BUDGET}"
    sentence = f"**Running time:** under {budget} seconds on one CPU thread"
    if sentence not in notebook.opening:
        yield f"the opening does not say {sentence!r}"


def set_up_cell_comes_first(notebook):
    slug, branch = bake_repo.configured(ROOT)
    repair = "run `python book/_tools/bake_repo.py`"
    if not notebook.code or not is_tagged(notebook.code[0][1], "setup"):
        yield f"the first code cell is not the set-up cell: {repair}"
    setups = [(i, cell) for i, cell in notebook.code if is_tagged(cell, "setup")]
    if len(setups) > 1:
        yield f"{len(setups)} cells are tagged setup"
    for i, cell in setups:
        if cell["source"] != bake_repo.setup_cell(slug, branch):
            yield f"cell {i}: the set-up cell is not bake_repo.SETUP_CELL: {repair}"
        if not is_tagged(cell, "hide-cell"):
            yield f"cell {i}: the set-up cell is not tagged hide-cell"


def badge_comes_first(notebook):
    slug, branch = bake_repo.configured(ROOT)
    first = notebook.cells[0]
    if first["source"] != bake_repo.badge_cell(slug, branch, notebook.path):
        yield "the first cell is not this notebook's badge: run `python book/_tools/bake_repo.py`"
    elif not is_tagged(first, "remove-cell"):
        yield "the badge is not tagged remove-cell, so that the book would load it from outside"


def markdown_is_plain(notebook):
    for i, cell in notebook.markdown:
        if re.search(r"^\s*(`{3,}|~{3,}|:{3,})\s*\{", cell["source"], re.M):
            yield f"cell {i} has a MyST directive, which Colab and GitHub show as it stands"
        text = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", "", without_code(cell["source"]), flags=re.S)
        if re.search(r"\{[a-z][a-z:_-]*\}`", re.sub("`[^`]*`", "`", cell["source"])):
            yield f"cell {i} has a MyST role, which Colab and GitHub show as it stands"
        if re.search(r"^\([\w-]+\)=\s*$", text, re.M) or re.search(r"\{\{.*?\}\}", text):
            yield f"cell {i} has a MyST label or substitution"


def maths_stands_alone(notebook):
    for i, cell in notebook.markdown:
        text = without_code(cell["source"])
        marks = [m.span() for m in re.finditer(r"\$\$", text)]
        if len(marks) % 2:
            yield f"cell {i}: a $$ is not closed"
        for (start, _), (_, end) in zip(marks[::2], marks[1::2], strict=False):
            before = text[:start].rpartition("\n")[2].strip(" >")
            after = text[end:].partition("\n")[0].strip()
            if before or after:
                yield f"cell {i}: $$ must have lines of its own, else it is not shown as maths"


def names_no_machine(notebook):
    own = [str(ROOT), str(Path.home())]
    pattern = re.compile(
        r"(?<![\w.:/-])(?:/(?:home|Users|root|tmp|mnt|private|var|opt)/\w|[A-Z]:\\\\?\w)[^\s\"']*"
    )
    for i, cell in enumerate(notebook.cells, start=1):
        texts = [cell["source"], *(output_texts(cell) if cell["cell_type"] == "code" else [])]
        for text in texts:
            text = text.replace("/tmp/ipykernel_0/0.py", "")
            found = [match[0] for match in pattern.finditer(text)]
            found += [path for path in own if len(path) > 1 and path in text]
            if found:
                yield f"cell {i} names a path of one machine: {found[0]}"


def widgets_need_no_kernel(notebook):
    widgets = notebook.content["metadata"].get("widgets", {}).get(WIDGET_STATE, {})
    models = widgets.get("state", {})
    for i, cell in notebook.code:
        for output in cell["outputs"]:
            view = output.get("data", {}).get(WIDGET_VIEW)
            if view is None:
                continue
            model = models.get(view["model_id"], {})
            if model.get("model_module") != "anywidget":
                kind = model.get("model_name", "a widget whose state is not stored")
                yield f"cell {i} shows {kind}, which is dead without a kernel (a progress bar?)"


def has_its_parts(notebook):
    title = notebook.opening.partition("\n")[0]
    number = int(notebook.path.name.split("_")[0])
    if not re.match(r"# \S", title):
        yield f"the cell after the badge begins with {title!r}, not with the title"
    if notebook.is_chapter and not title.startswith(f"# {number}. "):
        yield f"the title {title!r} does not begin with the chapter's number, '# {number}. '"
    if not notebook.is_chapter:
        return
    first_words = notebook.opening.partition("\n")[2].strip().split("\n\n")[0]
    if not re.search(r"\?[*_]*$", first_words):
        yield f"the first paragraph is not the chapter's question: {first_words[:60]!r}"
    headings = notebook.headings()
    for heading in CHAPTER_HEADINGS:
        if headings.count(heading) != 1:
            yield f"the heading {heading!r} stands {headings.count(heading)} times, not once"
    present = [heading for heading in headings if heading in CHAPTER_HEADINGS]
    if present != [heading for heading in CHAPTER_HEADINGS if heading in present]:
        yield f"the closing sections are in another order than {CHAPTER_HEADINGS}"


RULES = [
    ran_in_order,
    stores_no_error,
    every_cell_is_compared,
    images_are_described,
    markdown_images_have_alt,
    cells_are_short,
    code_is_explained,
    no_cell_is_empty,
    chapter_checks_itself,
    states_its_budget,
    set_up_cell_comes_first,
    badge_comes_first,
    markdown_is_plain,
    maths_stands_alone,
    names_no_machine,
    widgets_need_no_kernel,
    has_its_parts,
]


# --- the book keeps them -------------------------------------------------------------------------

PATHS = notebooks.find()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_notebook_keeps_rule(path, rule):
    problems = list(rule(Notebook.load(path)))
    assert not problems, "\n".join([f"{path.relative_to(ROOT)}:", *problems])


def repeated_names(books):
    """Figure names that two cells of the book share."""
    seen = {}
    for notebook in books:
        for i, cell in notebook.code:
            name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
            if name in seen:
                yield f"{notebook.path} cell {i}: {name} is also the name of {seen[name]}"
            elif name:
                seen[name] = f"{notebook.path} cell {i}"


def test_figure_names_are_unique():
    assert not list(repeated_names(map(Notebook.load, PATHS)))


def toc_files(node):
    """Every `file:` of the table of contents, and its root."""
    if isinstance(node, list):
        return [name for item in node for name in toc_files(item)]
    if not isinstance(node, dict):
        return []
    own = [node[key] for key in ("root", "file") if key in node]
    return own + [name for value in node.values() for name in toc_files(value)]


def test_table_of_contents_has_every_notebook_once():
    toc = toc_files(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
    listed = sorted(name for name in toc if name.startswith("notebooks/"))
    present = sorted(str(p.relative_to(ROOT).with_suffix("").as_posix()) for p in PATHS)
    assert present, "there are no notebooks"
    assert listed == present


def test_every_chapter_has_solutions():
    chapters = {path.name for path in PATHS if path.parent.name == "notebooks"}
    solutions = {path.name for path in PATHS if path.parent.name == "solutions"}
    assert solutions <= chapters, "solutions without a chapter"
    assert chapters <= solutions, "chapters without solutions"


# --- each rule can fail --------------------------------------------------------------------------


def markdown(text, tags=()):
    return {"cell_type": "markdown", "metadata": {"tags": list(tags)}, "source": text}


def code(text, count, outputs=(), **metadata):
    return {
        "cell_type": "code",
        "execution_count": count,
        "metadata": metadata,
        "outputs": list(outputs),
        "source": text,
    }


def printed(text):
    return {"output_type": "stream", "name": "stdout", "text": [text]}


IMAGE = {"output_type": "display_data", "data": {"image/png": "iVBO"}, "metadata": {}}
ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["no"]}
FIGURE = {
    "image": {"alt": "Four hats on a grid of five knots; at every x the heights add up to one"},
    "figure": {"caption": "Hats.", "name": "fig-hats"},
}


def good_notebook():
    """A small chapter that keeps every rule."""
    slug, branch = bake_repo.configured(ROOT)
    path = "notebooks/01_hats.ipynb"
    opening = (
        "# 1. Hats\n\n**What is a hat?**\n\n**Running time:** under 30 seconds on one CPU thread."
    )
    cells = [
        markdown(bake_repo.badge_cell(slug, branch, path), bake_repo.BADGE_TAGS),
        markdown(opening),
        code(bake_repo.setup_cell(slug, branch), 1, tags=bake_repo.SETUP_TAGS),
        markdown("A sum, in `{curly}` braces:\n\n$$\ny = \\sum_{i} c_{i} B_i(x)\n$$"),
        code("print(object())\nassert True", 2, [printed("<object at 0x000000000000>\n")]),
        markdown("A picture:"),
        code("plot()", 3, [IMAGE], mystnb=FIGURE),
        markdown("## Where this breaks\n\n## Summary\n\n## Exercises\n\n## Further reading"),
    ]
    metadata = {"kanbook": {"budget_seconds": 30}}
    return Notebook(path, {"cells": cells, "metadata": metadata, "nbformat": 4})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_accepts_good_notebook(rule):
    assert list(rule(good_notebook())) == []


def edit(position, **changes):
    """An edit of the good notebook: other values in the cell at this position, from 0."""
    return lambda notebook: notebook.cells[position].update(changes)


def add(*cells, at=5):
    def change(notebook):
        notebook.cells[at:at] = cells

    return change


def without(position):
    return lambda notebook: notebook.cells.pop(position)


def figure(**changes):
    """An edit of the figure's description: alt, caption or name."""

    def change(notebook):
        mystnb = copy.deepcopy(FIGURE)
        for key, value in changes.items():
            mystnb["image" if key == "alt" else "figure"][key] = value
        notebook.cells[6]["metadata"]["mystnb"] = mystnb

    return change


def budget(seconds):
    return lambda notebook: notebook.content["metadata"].update(kanbook={"budget_seconds": seconds})


PROGRESS_BAR = {"output_type": "display_data", "data": {WIDGET_VIEW: {"model_id": "1"}}}
OPENING = good_notebook().opening
PARTS = good_notebook().cells[7]["source"]

BAD = [
    (ran_in_order, edit(4, execution_count=7)),
    (ran_in_order, edit(4, execution_count=None)),
    (stores_no_error, edit(4, outputs=[ERROR])),
    (stores_no_error, edit(4, metadata={"tags": ["raises-exception"]})),
    (every_cell_is_compared, edit(4, metadata={"tags": ["nbval-skip"]})),
    (every_cell_is_compared, edit(4, metadata={"tags": ["live-only"]})),
    (images_are_described, edit(6, metadata={})),
    (images_are_described, edit(6, outputs=[IMAGE, IMAGE])),
    (images_are_described, figure(alt="A plot")),
    (images_are_described, figure(alt="../_images/a-very-long-file-name-of-a-picture-that-is.png")),
    (images_are_described, figure(caption=" ")),
    (images_are_described, figure(name="hats")),
    (markdown_images_have_alt, edit(3, source="![](hats.png)")),
    (markdown_images_have_alt, edit(3, source='<img src="hats.png">')),
    (cells_are_short, edit(4, source="x = 1\n" * 21)),
    (cells_are_short, edit(4, source="x = " + "1" * 80)),
    (cells_are_short, add(code("x = 1\n" * 8, 3), code("x = 1\n" * 8, 4), code("x = 1\n" * 8, 5))),
    (code_is_explained, without(5)),
    (no_cell_is_empty, edit(5, source=" \n")),
    (chapter_checks_itself, edit(4, source="x = 1")),
    (states_its_budget, budget(None)),
    (states_its_budget, budget(MAX_BUDGET + 1)),
    (states_its_budget, budget(20)),
    (set_up_cell_comes_first, without(2)),
    (set_up_cell_comes_first, edit(2, source="import kanbook")),
    (set_up_cell_comes_first, edit(2, metadata={"tags": ["setup"]})),
    (set_up_cell_comes_first, add(code("x = 1", 2, tags=["setup"]))),
    (badge_comes_first, without(0)),
    (badge_comes_first, edit(0, metadata={})),
    (badge_comes_first, lambda notebook: setattr(notebook, "path", Path("notebooks/02_a.ipynb"))),
    (markdown_is_plain, edit(3, source="```{note}\nNo.\n```")),
    (markdown_is_plain, edit(3, source=":::{note}\nNo.\n:::")),
    (markdown_is_plain, edit(3, source="As {cite}`liu2024` says")),
    (markdown_is_plain, edit(3, source="(a-label)=\n## Title")),
    (markdown_is_plain, edit(3, source="It took {{ seconds }} s")),
    (maths_stands_alone, edit(3, source="So $$y = x$$ holds")),
    (maths_stands_alone, edit(3, source="$$\ny = x")),
    (names_no_machine, edit(4, source='open("/home/me/data.csv")')),
    (names_no_machine, edit(4, source='open("C:\\\\data.csv")')),
    (names_no_machine, edit(4, outputs=[printed(f"saved in {ROOT}/book")])),
    (names_no_machine, edit(4, outputs=[printed("/tmp/ipykernel_123/456.py:1: UserWarning")])),
    (widgets_need_no_kernel, edit(4, outputs=[PROGRESS_BAR])),
    (has_its_parts, edit(1, source=OPENING.replace("# 1.", "# 2."))),
    (has_its_parts, edit(1, source=OPENING.replace("# 1.", "1."))),
    (has_its_parts, edit(1, source=OPENING.replace("?", "."))),
    (has_its_parts, edit(7, source=PARTS.replace("## Summary", "## The end"))),
    (has_its_parts, edit(7, source="## Further reading\n\n## Summary\n\n## Exercises")),
]


@pytest.mark.parametrize(("rule", "change"), BAD, ids=[rule.__name__ for rule, _ in BAD])
def test_rule_rejects_bad_notebook(rule, change):
    notebook = good_notebook()
    change(notebook)
    assert list(rule(notebook))


def test_every_rule_has_a_bad_example():
    assert {rule for rule, _ in BAD} == set(RULES)


def test_repeated_figure_name_is_found():
    assert len(list(repeated_names([good_notebook(), good_notebook()]))) == 1
