"""How a notebook shows a figure: as SVG, or as a fine PNG where that is much the lighter one."""

from __future__ import annotations

import re
import struct
import warnings
from base64 import b64encode
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.artist import Artist
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

HEAVIEST = 200_000  # characters of an SVG
DPI = 220  # of pictures, alone or inside an SVG: two pixels of a fine screen for one of CSS
# The same bytes in every run. Matplotlib keeps glyphs as paths, which all readers see alike.
OPTIONS = {"svg.fonttype": "path", "svg.hashsalt": "kanbook"}
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
# What an SVG is made leaner by, in this order.
LEANER = (
    (r"(?s)^.*?(?=<svg )|<metadata>.*?</metadata>|<!--.*?-->", ""),
    (r'<g id="[^"]*"', "<g"),  # nothing refers to them, and a page may hold several figures
    (r"\s*\n\s*", " "),
    (r"> <", "><"),
    (r"<g><g>(<use [^>]*/>)</g></g>", r"\1"),
    (r" (?=[\"z])|(?<=\") (?=/)|(?<=[:;]) ", ""),
    (r"</g>(?=<g)", "</g>\n"),  # lines, for who compares two versions
)
# Places are rounded to a hundredth of a point.
PLACES = re.compile(r'(?<= )(?:d|points|x|y|width|height|viewBox)="[^"]*"|translate\([^)]*\)')
PATH = re.compile(r' d="[^"]*"')  # its letters need no space around them
LONG_NUMBER = re.compile(r"(-?\d+)\.(\d\d)\d+")


def show_as_svg() -> None:
    """In a notebook, from now on, show figures as :func:`picture` draws them; else do nothing."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None or "inline" not in matplotlib.get_backend():
        return
    from matplotlib_inline import backend_inline  # noqa: F401  its own formats come first, once

    for formatter in shell.display_formatter.formatters.values():
        formatter.pop(Figure, None)
    shell.display_formatter.mimebundle_formatter.for_type(Figure, picture)


def picture(figure: Figure) -> tuple[dict[str, str], dict[str, Any]]:
    """The figure as a MIME bundle with its metadata: an SVG or, instead of a heavy one, a PNG.

    What a colour map colours is pixels inside it, which a page in dark mode must not change.
    """
    if not figure.axes and not figure.lines:
        return {}, {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Rasterization")  # contours stay lines in Matplotlib 3.10
        for artist in figure.findobj(_is_coloured_by_data):
            artist.set_rasterized(True)
    with plt.rc_context(OPTIONS):
        svg = _lean(_print(figure, "svg", metadata=NO_METADATA).decode())
    if len(svg) <= HEAVIEST:
        return {"image/svg+xml": svg}, {}
    png = _print(figure, "png")
    width, height = (round(size * 96 / DPI) for size in struct.unpack(">II", png[16:24]))
    size = {"width": width, "height": height}  # in pixels of CSS
    return {"image/png": b64encode(png).decode()}, {"image/png": size}


def _is_coloured_by_data(artist: Artist) -> bool:
    if isinstance(artist, AxesImage) or not isinstance(artist, ScalarMappable):
        return False
    return artist.get_array() is not None and getattr(artist, "colors", None) is None


def _print(figure: Figure, kind: str, **options: Any) -> bytes:
    from IPython.core.pylabtools import print_figure

    data = print_figure(figure, kind, dpi=DPI, **options)
    return data.encode() if isinstance(data, str) else data


def _lean(svg: str) -> str:
    for pattern, replacement in LEANER:
        svg = re.sub(pattern, replacement, svg)
    svg = PLACES.sub(lambda found: LONG_NUMBER.sub(r"\1.\2", found[0]), svg)
    return PATH.sub(lambda found: re.sub(" ?([A-Zz]) ?", r"\1", found[0]), svg)
