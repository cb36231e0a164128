"""The rules that every notebook of the book keeps.

A rule is a function: it takes a notebook and returns the problems that it finds, as sentences.
What is checked is what a reader would trip over: outputs out of order, figures without a
description, cells too long to read, code without a word.
Outputs are compared by nbval, names of figures by Sphinx.
"""

import re
from pathlib import Path

import pytest

import notebook_files as notebooks
from notebook_files import ROOT, is_tagged

MAX_LINES = 20
MAX_WIDTH = 80  # what the page shows without scrolling
SHORT_LINES = 8
MAX_BUDGET = 90
MIN_ALT = 40
LAST_HEADINGS = ["Exercises", "Further reading"]
CHAPTER_ENDS = (
    ["What still bothers us", *LAST_HEADINGS],
    ["Where this breaks", "Summary", *LAST_HEADINGS],  # chapters 6 to 20, until they are rewritten
)
IMAGE_TYPES = ("image/png", "image/jpeg", "image/svg+xml")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
HIDDEN = ("hide-cell", "hide-input", "remove-cell", "remove-input")  # no code on the page


class Notebook:
    """A notebook with what the rules ask of it: cells with their positions in the file, from 1."""

    def __init__(self, path, content):
        self.path, self.content, self.cells = Path(path), content, content["cells"]
        self.is_chapter = re.match(r"notebooks/\d", self.path.as_posix()) is not None
        cells = list(enumerate(self.cells, start=1))
        self.code = [(i, cell) for i, cell in cells if cell["cell_type"] == "code"]
        self.lessons = [(i, cell) for i, cell in self.code if not is_tagged(cell, "setup")]
        self.markdown = [(i, cell) for i, cell in cells if cell["cell_type"] == "markdown"]
        self.opening = self.markdown[1][1]["source"]  # the first cell is the badge

    @classmethod
    def load(cls, path):
        return cls(path.relative_to(ROOT), notebooks.read(path))


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
    before, paragraphs = None, []
    for i, cell in enumerate(notebook.cells, start=1):
        if any(is_tagged(cell, tag) for tag in HIDDEN):
            continue
        if cell["cell_type"] == "markdown":
            paragraphs += without_code(cell["source"]).strip().split("\n\n")
            continue
        sentences = [text for text in paragraphs if re.match(r"(?!#|<|\$\$).*\w", text)]
        silent = not (cell["outputs"] or "assert" in cell["source"] or is_tagged(cell, "live-only"))
        if before and not sentences:
            yield f"cells {before} and {i} are code without a sentence between"
        elif before and silent and len(paragraphs) == 1 and sentences[0].rstrip("*_")[-1] == ".":
            # A paragraph with a full stop speaks of what was before.
            yield f"cell {i} shows nothing: say what it does, and end with a colon"
        before, paragraphs = i, []


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
    if not re.match(r"# \S", title):
        yield f"the cell after the badge begins with {title!r}, not with the title"
    if not notebook.is_chapter:
        return
    number = int(notebook.path.name.split("_")[0])
    if not title.startswith(f"# {number}. "):
        yield f"the title {title!r} does not begin with the chapter's number, '# {number}. '"
    first_words = notebook.opening.partition("\n")[2].strip().split("\n\n")[0]
    if not re.search(r"\?[*_]*$", first_words):
        yield f"the first paragraph is not the chapter's question: {first_words[:60]!r}"
    text = "\n".join(without_code(cell["source"]) for _, cell in notebook.markdown)
    known = {heading for end in CHAPTER_ENDS for heading in end}
    closing = [h for h in re.findall(r"^#+ (.*?)\s*$", text, re.M) if h in known]
    if closing not in CHAPTER_ENDS:
        yield f"the closing sections are {closing}, not {CHAPTER_ENDS[0]}"


RULES = [
    ran_in_order,
    every_cell_is_compared,
    images_are_described,
    markdown_images_have_alt,
    cells_are_short,
    code_is_explained,
    no_cell_is_empty,
    chapter_checks_itself,
    states_its_budget,
    markdown_is_plain,
    maths_stands_alone,
    names_no_machine,
    widgets_need_no_kernel,
    has_its_parts,
]


# --- the book keeps them -------------------------------------------------------------------------

PATHS = notebooks.find()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_notebook_keeps_the_rules(path):
    notebook = Notebook.load(path)
    problems = [problem for rule in RULES for problem in rule(notebook)]
    assert not problems, "\n".join([f"{path.relative_to(ROOT)}:", *problems])


def test_table_of_contents_has_every_notebook_once():
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    listed = re.findall(r"(?:file|root): *(notebooks/\S+)", toc)
    assert sorted(listed) == sorted(p.relative_to(ROOT).with_suffix("").as_posix() for p in PATHS)


def test_every_chapter_has_solutions():
    folders = {"notebooks": set(), "solutions": set()}
    for path in PATHS:
        if path.name[0].isdigit():
            folders[path.parent.name].add(path.name)
    assert folders["notebooks"] == folders["solutions"] != set()
