"""What the build makes of pages: a dark look of figures, one style sheet, scripts that wait."""

import base64
import io
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pydata_sphinx_theme
import pytest
from fontTools.ttLib import TTFont
from PIL import Image

from kanbook import _figures, plots
from notebook_files import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))

import figures  # noqa: E402
import reach  # noqa: E402

COLORS = [role["color"] for role in plots.ROLES.values()] + list(plots.SERIES)


def parts(color):
    return [int(color[i : i + 2], 16) for i in (1, 3, 5)]


# --- figures -------------------------------------------------------------------------------------


def test_roles_can_be_read_and_told_apart_in_the_dark():
    dark = [figures.dark_color(color) for color in COLORS]
    assert len(set(dark)) == len(COLORS)
    assert min(figures.contrast(parts(color)) for color in dark) > 4.5


@pytest.mark.parametrize("color", ["#0000ff", "#800000", "#123456", "#ffeecc", "#336633"])
def test_other_colors_keep_their_distance_from_the_page(color):
    light = figures.contrast(parts(color), "#ffffff")
    dark = figures.contrast(parts(figures.dark_color(color)))
    assert dark > 4.5 if light > 4.5 else dark > 1


def test_grays_are_mirrored():
    assert figures.dark_color("white") == figures.dark_color("#FFF") == figures.PAGE
    assert figures.dark_color("black") == "#e6e6e6"
    grays = [int(figures.dark_color(f"#{g:02x}{g:02x}{g:02x}")[1:3], 16) for g in (0, 90, 180, 255)]
    assert grays == sorted(grays, reverse=True)


def test_looks_of_a_figure():
    with plt.rc_context():
        plots.use_style()
        figure, ax = plt.subplots()
        ax.plot([0, 1], [0, 1], **plots.ROLES["KAN"])
        ax.text(0, 0, "#0072B2 black")
        svg = _figures.picture(figure)[0]["image/svg+xml"]
        plt.close(figure)
    light, dark = figures.looks(svg)
    assert svg.count("fill:#ffffff") == light.count("fill:#ffffff") + 1  # the sheet is gone
    assert "#0072b2" in light and "#56b4e9" not in light
    assert "#0072b2" not in dark and "#56b4e9" in dark and "#000000" not in dark
    assert dark.startswith('<svg fill="#e6e6e6"')
    assert figures.svg_size(light) == figures.svg_size(dark)


def test_looks_of_a_drawing_keep_its_words():
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 195"><style>p {stroke: black}'
        '</style>\n<rect width="640" height="195" fill="white"/><text>black #FFF</text>'
        '<path fill="#DDDDDD" id="a"/></svg>'
    )
    light, dark = figures.looks(drawn)
    assert "<rect" not in light and "<text>black #FFF</text>" in dark
    assert "{stroke: #e6e6e6}" in dark and "#DDDDDD" not in dark


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


def test_size_of_pixels(tmp_path):
    Image.new("L", (1320, 660)).save(tmp_path / "fine.png", dpi=(220, 220))
    Image.new("L", (320, 200)).save(tmp_path / "plain.png")
    assert figures.picture_size(tmp_path / "fine.png") == (576, 288)
    assert figures.picture_size(tmp_path / "plain.png") == (320, 200)


# --- reach ---------------------------------------------------------------------------------------

CSS = """\
.used, .unused{color:red} .unused:hover{x:y}
@media print{.unused{a:b}} @media (min-width:3px){p .used[data-x="}"]{c:d}}
@font-face{font-family:F;src:url(f.woff)} :is(.unused,a):not(.other){e:f} .a\\:b{g:h}
"""


def test_style_sheet_holds_what_is_used():
    kept = "".join(reach.kept_rules(CSS, {"used", "a:b"})).replace("\n", "")
    assert kept == (
        '.used{color:red}@media (min-width:3px){p .used[data-x="}"]{c:d}}'
        "@font-face{font-family:F;src:url(f.woff)}:is(.unused,a):not(.other){e:f}.a\\:b{g:h}"
    )


def test_icons_come_inside_the_style_sheet(tmp_path):
    theme = Path(pydata_sphinx_theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static"
    (tmp_path / "_static").symlink_to(theme)
    source = "src:url(../vendor/fontawesome/webfonts/fa-solid-900.woff2)"
    css = f'@font-face{{font-family:F;{source}}}.sun{{--fa:"\\f185"}}.minus{{--i:"\uf010"}}'
    packed = reach.with_icons(tmp_path, css)
    (data,) = re.findall(r"src:url\(data:font/woff;base64,([^)]*)\)", packed)
    font = TTFont(io.BytesIO(base64.b64decode(data)))
    assert {0xF185, 0xF010} <= set(font.getBestCmap()) and len(data) < 5000


PAGE = """\
<html><head><title>T</title>
<script src="_static/documentation_options.js?v=1"></script>
<script src="_static/doctools.js"></script>
<script>DOCUMENTATION_OPTIONS.pagename = 'x';</script>
<script>window.MathJax = {"options": {}}</script>
<script defer="defer" src="_static/mathjax/tex.js"></script>
<script src="_static/mine.js"></script>
<script src="searchindex.js"></script>
<script type="application/json">{"a": 1}</script>
</head><body><article>%s</article></body>
"""


def test_scripts_wait_in_their_order():
    page = reach.scripts_that_wait(PAGE % "", "all.js", searches=False)
    scripts = reach.SCRIPT.findall(page)
    assert [tag for tag, *_ in scripts] == [
        '<script defer src="all.js">',
        '<script type="module">',
        '<script defer src="_static/mine.js">',
        '<script type="application/json">',
    ]


def test_search_and_maths_where_they_are_needed():
    page = reach.scripts_that_wait(PAGE % '<div class="math x">', "all.js", searches=True)
    assert '<script defer src="searchindex.js">' in page
    assert '{src: "_static/mathjax/tex.js"}' in page and '"ui/lazy"' in page
