"""The pages in book/: a term of the glossary is a link where a page first uses it."""

import json
import re

import numpy as np
import pytest

import evidence
import notebook_files
from evidence.verdicts import kinds
from notebook_files import ROOT

GLOSSARY = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
ENTRIES = "".join(re.findall(r"```\{glossary\}\n(.*?)```", GLOSSARY, flags=re.DOTALL))
TERMS = [line for line in ENTRIES.splitlines() if line and not line.startswith(" ")]
# Words that the pages use in their everyday sense, too.
EVERYDAY = {"order", "step", "support", "pairs", "restart", "spread", "ladder", "grid", "stage"}
PAGES = ["intro", "how_to_use", "notation", "results", "references"]
NO_PROSE = re.compile(
    r"\A---\n.*?\n---\n|```.*?```|`[^`\n]*`|\{[a-z:]+\}`[^`]*`|\[[^\]]*\]\([^)]*\)|\$\$.*?\$\$|\$[^$\n]*\$|^#[^\n]*",
    flags=re.DOTALL | re.MULTILINE,
)
LINK = re.compile(r"\{term\}`(?:[^`<]*<)?([^`<>]*)>?`")


def in_prose(term):
    words = r"\s+".join(map(re.escape, term.split()))
    flags = 0 if term in ("KAN", "MLP", "Adam") else re.IGNORECASE
    return re.compile(rf"(?<![\w-]){words}(es|s)?(?![\w-])", flags)


@pytest.mark.parametrize("name", PAGES)
def test_terms_are_linked_at_first_use(name):
    page = (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")
    links = {}
    for link in LINK.finditer(page):
        links.setdefault(link[1], link.start())
    assert set(links) <= set(TERMS)
    prose = NO_PROSE.sub(lambda found: "\0" * len(found[0]), page)
    # A longer term that holds this one, "grid update" say, may come first.
    for term in sorted(TERMS, key=len, reverse=True):
        for use in in_prose(term).finditer(prose):
            if term not in EVERYDAY:
                line = page[: use.start()].count("\n") + 1
                assert links.get(term, len(page)) < use.start(), f"{name}.md, line {line}: {term}"
            prose = prose[: use.start()] + "\0" * len(use[0]) + prose[use.end() :]


def test_terms_are_there_once():
    assert len(TERMS) > 70
    assert len(TERMS) == len({term.lower() for term in TERMS})


# Of how sure a comparison is, every page speaks in the words of chapter 4.
OTHER_WORDS = re.compile(r"ahead of|\b(is|are) (ahead|behind)\b|\bleads\b(?! to)|for certain")
TOLD = [ROOT / "README.md", *(ROOT / "book").glob("*.md"), *notebook_files.find()]


@pytest.mark.parametrize("path", TOLD, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_has_words_of_its_own_for_how_sure_it_is(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = notebook_files.read(path)["cells"]
        words = [cell["source"] for cell in cells if cell["cell_type"] == "markdown"]
        text = "\n".join([*words, *(json.dumps(cell["metadata"]) for cell in cells)])
    assert not [found[0] for found in OTHER_WORDS.finditer(text)]


@pytest.fixture(scope="module")
def readme():
    return " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


def told(kind):
    """KAN / MLP for a kind of work, by the picture of all, and how a page tells its interval."""
    row = kinds.against_mlp(kind)
    return row, f"{row.low:.2f} to {row.high:.2f}"


def test_readme_says_what_tables_gave(readme):
    numbers, interval = told("tables, regression")
    series, _ = told("time series")
    assert (numbers.tasks, series.tasks) == (6, 3)
    assert numbers.verdict == series.verdict == "a tie"
    assert f"**{numbers.ratio:.2f} on tables.**" in readme
    assert f"the two tie (95 % interval {interval})" in readme


def test_readme_says_what_formulas_gave(readme):
    many = "10,000 samples and 1,000 parameters"
    axes, interval = told(f"{many}, along the axes")
    turned, _ = told(f"{many}, rotated")
    assert axes.verdict == "clearly better"
    assert f"**{axes.ratio:.2f} or {turned.ratio:.2f} on formulas without noise.**" in readme
    assert f"{axes.ratio:.2f} at equal steps ({interval}: clearly better)" in readme
    for kind in (f"{many}, rotated", "formulas, along the axes", "formulas, rotated"):
        row, interval = told(kind)
        assert row.tasks == 8 and row.verdict == "undecided"
        assert f"{row.ratio:.2f} ({interval}" in readme


def test_readme_says_what_photographs_gave(readme):
    found, interval = told("pictures, 1,000 parameters")
    assert f"it is {found.ratio:.2f} ({interval}: {found.verdict})" in readme
    words = kinds.kinds().set_index(["kind", "rival"]).verdict
    assert found.tasks == 6 and words["pictures, 8,000 parameters", "MLP"] == "a tie"
    for n in ("1,000", "8,000"):
        assert words[f"pictures, {n} parameters", kinds.OWN] == "a tie"
    frame = evidence.load("race")
    frame = frame[frame.contestant.isin(["KAN", "MLP, tanh"])]
    assert frame.groupby("family").seed.nunique().tolist() == [5, 5]
    kan, mlp = (runs.sort_values("seed") for _, runs in frame.groupby("family"))
    assert kan.parameters.max() == pytest.approx(mlp.parameters.max(), rel=0.01)
    ratio = np.exp((np.log(kan.final).mean() - np.log(mlp.final).mean()) / 2)
    assert f"**{found.ratio:.2f} or {ratio:.1f} on photographs.**" in readme
    photograph, _ = told("a photograph, its own pixels")
    assert photograph.ratio == pytest.approx(ratio) and photograph.verdict == "clearly worse"
    times = kan.seconds.median() / mlp.seconds.median()
    assert f"after {times:.0f} times the MLP's seconds" in readme
    first_page = " ".join((ROOT / "book" / "intro.md").read_text(encoding="utf-8").split())
    assert f"the KAN took {times:.0f} times the MLP's" in first_page
