"""Prints the built book of _build/html, all of it, into _build/book.pdf (`make pdf`).

All pages become one long page, so that links lead from chapter to chapter and the browser numbers
the sheets. The contents name the sheets: those are read from a first printing and stand in the
second. The outline is ours: the browser's has some headings twice.
"""

import os
import re
from io import BytesIO
from urllib.parse import unquote, urldefrag, urljoin

from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter

from notebook_files import ROOT
from programs import find, how_to_get

HTML = ROOT / "_build" / "html"
TARGET = ROOT / "_build" / "book.pdf"
STYLE = """
@page { size: A4; margin: 18mm 17mm 20mm }
.title, .sheet { break-after: page }
.title { padding-top: 30vh; text-align: center }
.contents p { break-after: avoid; font-weight: 600; margin: 1em 0 0.2em }
.contents a { color: inherit; text-decoration: none }
.contents li { display: flex; justify-content: space-between }
.contents ul { list-style: none; padding: 0 }
body { display: block }
"""
FOOTER = """<p style="font-size: 8pt; text-align: center; width: 100%">
<span class="pageNumber"></span></p>"""
READY = """async () => {
  await document.fonts.ready;
  await Promise.all([...document.images].map(image => {
    image.loading = "eager";
    return image.decode().catch(() => {});
  }));
}"""


def soup_of(path):
    return BeautifulSoup((HTML / path).read_text(encoding="utf-8"), "html.parser")


def reading_order():
    """Parts of the book with their pages, as the list of chapters has them."""
    listed = soup_of("book/intro.html").select_one("nav.bd-docs-nav")
    parts = [("", ["book/intro.html"])]
    for pages in listed.select("ul.bd-sidenav")[1:]:  # the first leads to the intro
        name = pages.find_previous(["p", "summary"]).get_text(strip=True)
        hrefs = [link["href"] for link in pages.select("a.internal")]
        parts.append((name, [urljoin("book/intro.html", href) for href in hrefs]))
    return parts


def place(path, anchor=""):
    """The id on the long page of what the book has at this address."""
    return re.sub(r"[^\w-]", "_", f"{path.removesuffix('.html')}--{unquote(anchor)}")


def article(path, pages):
    """A page's text, with ids and links of the long page, and addresses from its place on."""
    content = soup_of(path).select_one("article")
    content.name = "div"
    content["class"] = ["bd-article", "sheet"]
    content["id"] = place(path)
    for element in content.select("script, .headerlink, .live-figure > :not(img, .still)"):
        element.decompose()
    for element in content.find_all(id=True):
        if element is not content:
            element["id"] = place(path, element["id"])
    for link in content.find_all("a", href=True):
        target, anchor = urldefrag(urljoin(path, link["href"]))
        if target in pages:
            link["href"] = f"#{place(target, anchor)}"
        elif not re.match(r"[a-z]+:", target):
            del link["href"]  # a list of files and the like, which the print has not
    for image in content.find_all("img", src=True):
        if not image["src"].startswith("data:"):
            image["src"] = urljoin(path, image["src"])
    return content


def contents(parts, numbers):
    """The table of contents; `numbers` are the sheets of the pages, where they are known."""
    lines = ["<h1>Contents</h1>"]
    for name, pages in parts:
        lines.append(f"<p>{name}</p><ul>")
        for path, title in pages:
            number = numbers.get(place(path), "")
            lines.append(f'<li><a href="#{place(path)}">{title}</a><span>{number}</span></li>')
        lines.append("</ul>")
    return "".join(lines)


def with_outline(printed, parts, numbers):
    """The print with its parts and pages as an outline."""
    writer = PdfWriter(clone_from=BytesIO(printed))
    for name, pages in parts:
        part = None
        for path, title in pages:
            sheet = numbers[place(path)] - 1
            if name and part is None:
                part = writer.add_outline_item(title=name, page_number=sheet)
            writer.add_outline_item(title=title, page_number=sheet, parent=part)
    written = BytesIO()
    writer.write(written)
    return written.getvalue()


def long_page():
    """The whole book as one page, and its parts with path and title of their pages."""
    order = reading_order()
    pages = [path for _, paths in order for path in paths]
    articles = {path: article(path, pages) for path in pages}
    titles = {path: content.h1.get_text() for path, content in articles.items()}
    page = soup_of("notebooks/01_splines.html")  # whose head has all that a chapter needs
    for script in page.head.select("script"):
        script.decompose()
    for element in page.head.select("[href], [src]"):
        name = "href" if element.has_attr("href") else "src"
        element[name] = urljoin("notebooks/01_splines.html", element[name])
    page.html["data-theme"] = "light"
    page.head.append(page.new_tag("style", string=STYLE))
    title = page.new_tag("div", attrs={"class": "bd-article title"})
    title.append(BeautifulSoup(str(articles["book/intro.html"].h1), "html.parser"))
    listed = page.new_tag("div", attrs={"class": "bd-article contents sheet"})
    page.body.clear()
    page.body.extend([title, listed, *articles.values()])
    return page, [(name, [(path, titles[path]) for path in paths]) for name, paths in order]


def sheets(printed):
    """The sheet on which each place of the long page begins."""
    reader = PdfReader(BytesIO(printed))
    places = reader.named_destinations.items()
    return {
        name.lstrip("/"): reader.get_destination_page_number(where) + 1 for name, where in places
    }


def main():
    program = find("chromium")
    if program is None:
        raise SystemExit(f"print_book: {how_to_get(['chromium'])}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page()
        page, parts = long_page()
        file = HTML / "_print.html"
        file.write_text(str(page), encoding="utf-8")
        try:
            tab.goto(file.as_uri(), timeout=300_000)
        finally:
            file.unlink()
        numbers = {}
        for _ in range(2):
            tab.evaluate(
                "html => { document.querySelector('.contents').innerHTML = html }",
                contents(parts, numbers),
            )
            tab.evaluate(READY)
            printed = tab.pdf(
                prefer_css_page_size=True,
                print_background=True,
                tagged=True,
                display_header_footer=True,
                header_template="<p></p>",
                footer_template=FOOTER,
            )
            numbers = sheets(printed)
        browser.close()
    printed = with_outline(printed, parts, numbers)
    TARGET.write_bytes(printed)
    print(
        f"{os.path.relpath(TARGET)}: {len(printed) / 1e6:.1f} MB, "
        f"{len(PdfReader(BytesIO(printed)).pages)} sheets"
    )


if __name__ == "__main__":
    main()
