"""What the first page shows is what the rows and the chapters say."""

import json
import math
import re

import pytest
import sphinx_build
import yaml
from bs4 import BeautifulSoup

from evidence.verdicts import claims, kinds
from kanbook.certainty import TIE
from notebook_files import ROOT

PAGE = """\
# A page
{answer}`Here is when.`

- {compared}`time series`
- {compared}`tables, regression / MLP, equal seconds`
- {compared}`cakes`

```{front-chart}
```

```{front-chapters}
```
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("front")
    (folder / "index.md").write_text(PAGE, encoding="utf-8")
    (folder / "_toc.yml").symlink_to(ROOT / "_toc.yml")
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    settings = {"include_patterns": ["index.md"]}
    out, said = sphinx_build.build(folder, ["myst_nb", "front"], **settings)
    assert len(said.strip().splitlines()) == 1 and "compared: no row 'cakes' in kinds" in said
    soup = BeautifulSoup((out / "index.html").read_text(encoding="utf-8"), "html.parser")
    soup.out = out
    return soup


def test_answer_is_what_became_of_the_claim(page):
    assert claims.beat()[0] == "hardly"
    assert page.select_one(".answer").get_text() == "Seldom. Here is when."


@pytest.mark.parametrize(
    "n, kind, rival",
    [(0, "time series", "MLP"), (1, "tables, regression", "MLP, equal seconds")],
)
def test_words_of_the_text_come_from_rows(page, n, kind, rival):
    (row,) = kinds.kinds().query(f"kind == {kind!r} and rival == {rival!r}").itertuples()
    said = f"{row.ratio:.2f} ({row.low:.2f} to {row.high:.2f}): {row.verdict}"
    assert page.select(".body li")[n].get_text(strip=True) == said


def test_chart_draws_its_rows(page):
    many = "10,000 samples and 1,000 parameters"
    works = ["tables, regression", f"{many}, along the axes", f"{many}, rotated"]
    works += ["pictures, 1,000 parameters", "a photograph, its own pixels"]
    for mark, kind in zip(page.select(".standing li"), works, strict=True):
        row = kinds.against_mlp(kind)
        who = "KAN " if row.verdict.endswith(("better", "worse")) else ""
        assert mark.b.get_text() == who + row.verdict
        numbers = mark.select_one(".numbers").get_text()
        assert numbers == f"{row.ratio:.2f} ({row.low:.2f} to {row.high:.2f})"
        drawn = [1 / TIE, TIE, row.low, row.high, row.ratio]
        places = re.findall(r"(?:left:|100% - )([\d.]+)%", str(mark))
        for place, ratio in zip(places, drawn, strict=True):  # the axis goes from 1 / 5 to 5
            assert float(place) == pytest.approx(50 + 50 * math.log(ratio, 5), abs=0.01)


def test_every_chapter_has_a_card_under_its_part(page):
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    cards = page.select(".chapters")
    titles = [cards_of.find_previous("h3").get_text() for cards_of in cards]
    assert titles == [part["caption"] for part in parts][1:-2]
    links = [link["href"] for link in page.select(".chapters a")]
    files = [chapter["file"] for part in parts[1:-2] for chapter in part["chapters"]]
    assert links == [f"../{file}.html" for file in files]
    for link, file in zip(page.select(".chapters a"), files, strict=True):
        cells = json.loads((ROOT / f"{file}.ipynb").read_text(encoding="utf-8"))["cells"]
        title, question = (link.select_one(name).get_text() for name in ("b", "span"))
        assert "".join(cells[1]["source"]).startswith(f"# {title}\n\n**{question}**")
        assert link.img["src"] == f"../_static/thumbs/{file}.webp"
