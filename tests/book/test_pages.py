"""The pages in book/: a term of the glossary is a link where a page first uses it."""

import re

import numpy as np
import pytest

import evidence
from evidence import statistics
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


@pytest.fixture(scope="module", params=["book/intro.md", "README.md"])
def first_page(request):
    page = (ROOT / request.param).read_text(encoding="utf-8")
    return " ".join(page.split())


def kan_to_mlp(name):
    frame = evidence.load(name).query("contest == 'parameters'")
    return statistics.ratios(frame, "KAN", "MLP").set_index("kind")


def test_first_page_says_what_tables_gave(first_page):
    found = kan_to_mlp("tables")
    numbers, series = found.loc["regression"], found.loc["series"]
    assert (numbers.tasks, series.tasks) == (6, 3)
    assert numbers.verdict == series.verdict == "tie"
    assert f"**{numbers.ratio:.2f} on tables.**" in first_page
    assert f"(95 % interval {numbers.low:.2f} to {numbers.high:.2f})" in first_page


def test_first_page_says_what_formulas_gave(first_page):
    found = kan_to_mlp("formulas")
    axes, turned = found.loc["axes"], found.loc["rotated"]
    assert (axes.tasks, turned.tasks) == (8, 8)
    assert (axes.verdict, turned.verdict) == ("undecided", "b")
    many = kan_to_mlp("formulas-many").loc[["axes", "rotated"]]
    assert many.tasks.tolist() == [8, 8] and many.verdict.tolist() == ["a", "undecided"]
    ratios = " or ".join(f"{ratio:.2f}" for ratio in many.ratio)
    assert f"**{ratios} on formulas without noise.**" in first_page
    for row in axes, turned, *many.itertuples():
        assert f"{row.ratio:.2f} ({row.low:.2f} to {row.high:.2f}" in first_page


def test_first_page_says_what_photographs_gave(first_page):
    found = kan_to_mlp("pictures").loc["1000 parameters"]
    assert found.tasks == 6 and found.high < 1
    assert f"it is {found.ratio:.2f} ({found.low:.2f} to {found.high:.2f})" in first_page
    equal = evidence.load("pictures").query("contest == 'parameters'")
    for network in "KAN", "MLP":
        assert (statistics.per_task(equal, network, "interpolation").low > 1).all()
    frame = evidence.load("race")
    frame = frame[frame.contestant.isin(["KAN", "MLP, tanh"])]
    assert frame.groupby("family").seed.nunique().tolist() == [5, 5]
    kan, mlp = (runs.sort_values("seed") for _, runs in frame.groupby("family"))
    assert kan.parameters.max() == pytest.approx(mlp.parameters.max(), rel=0.01)
    ratio = np.exp((np.log(kan.final).mean() - np.log(mlp.final).mean()) / 2)
    assert f"**{found.ratio:.2f} or {ratio:.1f} on photographs.**" in first_page
    times = kan.seconds.median() / mlp.seconds.median()
    assert f"after {times:.0f} times the MLP's seconds" in first_page
