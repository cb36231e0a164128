"""What the build makes of pages: sizes of images, formulas, one style sheet, scripts that wait."""

import sys

import pytest
import sphinx_build
from bs4 import BeautifulSoup
from PIL import Image
from sphinx.errors import SphinxError

from notebook_files import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))

import figures  # noqa: E402
import formulas  # noqa: E402
import reach  # noqa: E402

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 195">{}</svg>'


@pytest.mark.parametrize(
    "start, size",
    [
        ('<svg width="460.8pt" height="230.4pt" viewBox="0 0 460.8 230.4">', (614, 307)),
        ('<svg viewBox="0 0 640 195">', (640, 195)),
        ('<svg width="640" viewBox="0 0 720 300">', (640, 267)),
    ],
)
def test_size_of_a_drawing(start, size):
    assert figures.svg_size(start) == size


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """book(name): a page as the book has it; book.out: where all are."""
    folder = tmp_path_factory.mktemp("book")
    Image.new("L", (1320, 660)).save(folder / "fine.png", dpi=(220, 220))
    Image.new("L", (320, 200)).save(folder / "plain.png")
    (folder / "lines.svg").write_text(SVG.format("<path/>"), encoding="utf-8")
    (folder / "colors.svg").write_text(SVG.format("<image/>"), encoding="utf-8")
    images = "\n\n".join(
        f"![An image]({name})" for name in ("fine.png", "plain.png", "lines.svg", "colors.svg")
    )
    pages = {"index": "# Book\n```{toctree}\nformula\n```\n" + images, "formula": "# F\n$x^2$"}
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    out, said = sphinx_build.build(
        folder,
        [
            "myst_nb",
            "sphinx_thebe",
            "sphinx_togglebutton",
            "sphinx_design",
            "figures",
            "formulas",
            "reach",
            "cards",
        ],
        html_theme="sphinx_book_theme",
        html_theme_options={"repository_url": "https://github.com/Ada/book"},
        templates_path=[str(ROOT / "book" / "_templates")],
        html_css_files=["type.css", ["print.css", {"media": "print"}]],
        myst_enable_extensions=["dollarmath"],
    )
    assert not said
    return {
        path.stem: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in out.glob("*.html")
    } | {"out": out}


def test_images_have_sizes_and_later_ones_wait(book):
    fine, plain, lines, colors = book["index"].select("article img")
    sizes = [(int(img["width"]), int(img["height"])) for img in (fine, plain, lines, colors)]
    assert sizes == [(576, 288), (320, 200), (640, 195), (640, 195)]
    assert [img.get("loading") for img in (fine, plain, lines, colors)] == [None, *3 * ["lazy"]]
    assert lines["class"] == ["drawing"] and colors["class"] == ["drawing", "with-pixels"]


def test_every_page_has_a_card_for_who_shares_it(book):
    def told(page, name):
        return book[page].select_one(f'meta[property="og:{name}"]')["content"]

    for page, title in (("index", "Book"), ("formula", "F")):
        assert told(page, "title") == title
        assert told(page, "image") == f"https://ada.github.io/book/_static/cards/{page}.png"
        with Image.open(book["out"] / "_static" / "cards" / f"{page}.png") as card:
            assert card.size == (1200, 630)
    assert told("formula", "description") == "x^2"
    with Image.open(book["out"] / "_static" / "thumbs" / "index.webp") as thumb:
        assert thumb.size == (480, 300)
    assert not (book["out"] / "_static" / "thumbs" / "formula.webp").exists()  # it has no figure


@pytest.mark.parametrize(
    "tex, place, text",
    [
        (r"\sum_{i<n} c_i", "munder > mo", "∑"),
        (r"\hat y = \tanh x", "mover > mi", "y"),
        (r"s'(x)", "msup > mo", "′"),
        (r"\Bigl(x + y\Bigr)^2", "msup > mrow > mo", ")"),
        (r"\begin{aligned} a &= b \\[4pt] c &= d \end{aligned}", "mtr:last-child", "c=d"),
    ],
)
def test_a_formula_is_mathml(tex, place, text):
    math = BeautifulSoup(formulas.mathml(tex, display=True), "html.parser").math
    assert math["alttext"] == tex and math["display"] == "block"
    assert math.select_one(place).get_text() == text


def test_a_bad_formula_stops_the_build(tmp_path):
    (tmp_path / "index.md").write_text(r"# T" "\n" r"$x$ and $\nosuch{x}$", encoding="utf-8")
    with pytest.raises(SphinxError, match=r"index: \\nosuch\{x\}"):
        sphinx_build.build(tmp_path, ["myst_nb", "formulas"], myst_enable_extensions=["dollarmath"])


CSS = """\
.used, .unused{color:red} .unused:hover{x:y} /* .a{} */
@media print{.unused{a:b}} @media (min-width:3.5px){p .used[href$=".pdf"]{c:d}}
@font-face{font-family:F;src:url(f.woff)} :is(.unused,a):not(.other){e:f} #gone .used{g:h}
.bs-tooltip-top{i:j} .used{k:l; &:has(.unused){m:n}}
"""


def test_style_sheet_holds_what_may_match():
    kept = reach.used_rules(CSS, {"used", "a"})
    assert "".join(kept.split()) == (
        '.used,.unused{color:red}@mediaprint{}@media(min-width:3.5px){p.used[href$=".pdf"]{c:d}}'
        "@font-face{font-family:F;src:url(f.woff)}:is(.unused,a):not(.other){e:f}"
        ".bs-tooltip-top{i:j}.used{k:l;}"
    )


def test_pages_have_one_style_sheet(book):
    for page in ("index", "formula", "search"):
        (link,) = book[page].select("link[rel=stylesheet]")
        assert link["href"] == "_static/all.css"
    css = (book["out"] / "_static" / "all.css").read_text(encoding="utf-8")
    # Sphinx, the theme, last our own, of which one is for paper alone.
    parts = [
        "a.headerlink {",
        ".bd-article-container{",
        "--book-serif:",
        "@media print{\n#jb-print",
    ]
    places = [css.index(part) for part in parts]
    assert places == sorted(places)
    assert "url(../" not in css and "@import" not in css and "@charset" not in css


def test_scripts_wait_and_unused_ones_are_gone(book):
    for page in ("index", "formula", "search"):
        scripts = book[page].select("script[src]")
        assert all(script.has_attr("defer") for script in scripts), page
        text = str(book[page].head)
        assert not [
            w for w in ("fontawesome.js", "thebe", "toggleHint", "design-tabs") if w in text
        ]
        inline = [s for s in book[page].select("script") if "DOCUMENTATION_OPTIONS" in s.get_text()]
        assert inline and all(script["type"] == "module" for script in inline)
        assert ("searchindex.js" in text) == (page == "search")
        assert "MathJax" not in text
    assert book["formula"].select_one("article math")
