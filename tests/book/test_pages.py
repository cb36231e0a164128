"""The pages in book/: a term of the glossary is a link where a page first uses it."""

import json
import re

import pytest

import evidence
import notebook_files
from evidence.verdicts import comparisons, encoding, kinds
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


@pytest.fixture(scope="module")
def first_page():
    return " ".join((ROOT / "book" / "intro.md").read_text(encoding="utf-8").split())


def test_readme_answers_as_the_picture_of_all_contests_does(readme):
    many = "10,000 samples and 1,000 parameters"
    assert kinds.against_mlp("tables, regression").verdict == "a tie"
    formulas = kinds.against_mlp(f"{many}, along the axes")
    assert formulas.verdict == "clearly better"
    assert f"the KAN clearly wins, and its error is {formulas.ratio:.2f} times" in readme
    photograph = kinds.against_mlp("a photograph, its own pixels")
    assert photograph.verdict == "clearly worse"
    assert f"the KAN's error is {photograph.ratio:.1f} times as large" in readme
    for kind in (f"{many}, rotated", "formulas, along the axes", "formulas, rotated"):
        assert kinds.against_mlp(kind).verdict == "undecided"


def test_first_page_says_what_plain_coordinates_do(first_page):
    """On the pixels learned, of six pictures, at three sizes."""
    frame = encoding.on_pixels(comparisons.rows("encoding"))
    for name in encoding.CURVED:
        for _, ratio in encoding.sizes(frame, "KAN, plain", f"MLP {name}, encoded"):
            assert ratio.not_worse
    *_, (_, largest) = encoding.sizes(frame, "KAN, plain", "MLP sine, encoded")
    assert largest.verdict == "clearly worse" and 5.5 < largest.found.ratio < 6.5
    assert "an encoded MLP of sines has a sixth of its error" in first_page


def test_first_page_says_how_long_the_photograph_took(first_page):
    frame = evidence.load("race")
    frame = frame[frame.contestant.isin(["KAN", "MLP, tanh"])]
    assert frame.groupby("family").seed.nunique().tolist() == [5, 5]
    kan, mlp = (runs.sort_values("seed") for _, runs in frame.groupby("family"))
    assert kan.parameters.max() == pytest.approx(mlp.parameters.max(), rel=0.01)
    times = kan.seconds.median() / mlp.seconds.median()
    assert frame.steps.unique().tolist() == [20_000] and "for 20,000 steps" in first_page
    assert f"the KAN took {times:.0f} times the MLP's" in first_page
