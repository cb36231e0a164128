"""What pages of the book make of plain patterns: cards, callouts, margin notes, tables, folds."""

import nbformat.v4 as nb
import pytest
import sphinx_build
from bs4 import BeautifulSoup

from notebook_files import ROOT

OPENER = """\
# 3. A chapter

**Does it work?**

It does.

**What you need:** nothing.

**Running time:** under 10 seconds.
"""
BODY = """\
> **Predict.** How many?

<details><summary>Answer</summary>

Four.

</details>

> **Aside.** There were *five* once.

After the aside.

> A plain quote.

<details><summary>Not an answer</summary>

Text.

</details>

|   | claim | found |
|---|---|---|
| 1 | a claim that needs a dozen words before it says what it says | another such dozen |

| | a | b |
|---|---|---|
| 1 | 2 | 3 |

## Summary

So it is.
"""

NEXT = """\
## Next

> **Predict.** What is one and one?
"""

KERNEL = {
    "kernelspec": {"name": "python3", "display_name": "Python 3"},
    "language_info": {"name": "python", "pygments_lexer": "python"},
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The built chapter and its solutions."""
    folder = tmp_path_factory.mktemp("book")
    (folder / "solutions").mkdir()
    words = nb.new_markdown_cell("word " * 590)  # and about ten more
    cells = [nb.new_markdown_cell(OPENER), words, nb.new_markdown_cell(BODY)]
    printed = [nb.new_output("stream", text="2\n")]
    for tags, source, outputs in [
        (["setup", "hide-cell"], "1\n" * 500, []),
        (["hide-input"], "print(2)", printed),
        (["hide-cell"], "one = 1", []),
        (["hide-cell"], "print(1 + one)", printed),
    ]:
        cells.append(nb.new_code_cell(source, metadata={"tags": tags}, outputs=outputs))
    cells.append(nb.new_markdown_cell(NEXT))
    for source, outputs in [("one = 1", []), ("one + one", printed), ("one", printed)]:
        cells.append(nb.new_code_cell(source, outputs=outputs))
    index = "# Book\n```{toctree}\n:caption: Solutions\nsolutions/one\n```\n"
    index += "```{toctree}\n:caption: Chapters\nchapter\n```\n"
    (folder / "index.md").write_text(index, encoding="utf-8")
    solution = OPENER.replace("**Does it work?**", "Try first.").replace(
        "3. A chapter", "Solutions"
    )
    for name, own in (("chapter", cells), ("solutions/one", [nb.new_markdown_cell(solution)])):
        nb_text = nb.writes(nb.new_notebook(cells=own, metadata=KERNEL))
        (folder / f"{name}.ipynb").write_text(nb_text, encoding="utf-8")
    settings = {"nb_execution_mode": "off", "html_theme": "sphinx_book_theme"}
    settings |= {"templates_path": [str(ROOT / "book" / "_templates")]}
    out, said = sphinx_build.build(folder, ["myst_nb", "pages"], **settings)
    assert not said
    return [
        BeautifulSoup((out / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
        for name in ("chapter", "solutions/one")
    ]


def test_a_chapter_opens_with_a_card(pages):
    for page, lines in zip(pages, (4, 4), strict=True):
        card = page.select_one("h1 + .opener")
        assert len(card.select("p")) == lines
    chapter, solutions = pages
    assert chapter.select_one(".opener-question").get_text() == "Does it work?"
    assert chapter.select_one(".opener-need").get_text() == "What you need: nothing."
    times = "Running time: under 10 seconds. Reading time: 5 minutes."
    assert chapter.select_one(".opener-time").get_text() == times
    assert not solutions.select(".opener-question")
    assert "Reading time: 1 minute." in solutions.select_one(".opener").get_text()
    described = [page.select_one("meta[name=description]")["content"] for page in pages]
    assert described == ["Does it work?", "Solutions. Try first."]


def test_quotes_become_callouts_and_margin_notes(pages):
    page = pages[0]
    callout, _ = page.select(".callout.predict")
    assert callout.select_one("details").get_text(" ", strip=True) == "Answer Four."
    (aside,) = page.select("aside.margin")
    assert aside.get_text().strip() == "There were five once."
    assert aside.find_next_sibling().get_text() == "After the aside."
    assert page.select_one("article blockquote").get_text().strip() == "A plain quote."
    assert page.select_one("article section > details").get_text().split()[0] == "Not"
    assert page.select_one("section.callout.summary h2").get_text().startswith("Summary")


def test_the_output_after_a_question_is_its_answer(pages):
    (answer,) = pages[0].select(".covered")
    assert answer.find_parent(class_="cell").pre.get_text() == "one + one\n"


def test_tables_and_folds_have_names(pages):
    page = pages[0]
    prose, numbers = page.select("article table")
    assert "prose" in prose["class"] and "prose" not in numbers["class"]
    names = [[cell.get_text() for cell in table.select("th")] for table in (prose, numbers)]
    assert names == [["Row", "claim", "found"], ["Row", "a", "b"]]
    folds = page.select("details.hide")
    names = [fold.select_one("summary").get_text() for fold in folds]
    assert names == ["Set-up", "Code", "Code and output"]
    assert folds[2].get_text().split()[3:] == ["one", "=", "1", "print(1", "+", "one)", "2"]


def test_solutions_are_folded_except_among_them(pages):
    lists = [page.select_one("nav.bd-docs-nav details.solutions") for page in pages]
    assert [part.has_attr("open") for part in lists] == [False, True]
    assert all(part.select_one("li a").get_text() == "Solutions" for part in lists)
    assert "A chapter" in pages[1].select_one("nav.bd-docs-nav").get_text()
    assert "A chapter" not in lists[1].get_text()
