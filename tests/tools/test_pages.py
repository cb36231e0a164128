"""The pages in book/: a term of the glossary is a link where a page first uses it."""

import re

import pytest

from notebook_files import ROOT

GLOSSARY = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
ENTRIES = "".join(re.findall(r"```\{glossary\}\n(.*?)```", GLOSSARY, flags=re.DOTALL))
TERMS = [line for line in ENTRIES.splitlines() if line and not line.startswith(" ")]
# Words that the pages use in their everyday sense, too.
EVERYDAY = {"order", "step", "support", "pairs", "restart", "spread", "ladder", "grid", "stage"}
PAGES = ["intro", "how_to_use", "notation", "results", "references"]
NO_PROSE = re.compile(
    r"```.*?```|`[^`\n]*`|\{[a-z:]+\}`[^`]*`|\[[^\]]*\]\([^)]*\)|\$\$.*?\$\$|\$[^$\n]*\$|^#[^\n]*",
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
    assert len(TERMS) > 80
    assert len(TERMS) == len({term.lower() for term in TERMS})
