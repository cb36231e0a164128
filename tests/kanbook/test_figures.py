"""Figures as notebooks show them: SVG, the same in every run; PNG where an SVG would be heavy."""

import base64
import re
import struct
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest

from kanbook import _figures, plots


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        plots.use_style()
        yield
    plt.close("all")


def curve():
    figure, ax = plt.subplots()
    ax.plot(np.linspace(0, 1, 50), np.linspace(0, 1, 50) ** 2, label="a curve")
    ax.legend()
    return figure


def test_figure_is_a_lean_svg():
    data, metadata = _figures.picture(curve())
    svg = data.pop("image/svg+xml")
    assert not data and not metadata
    root = ElementTree.fromstring(svg)
    width = float(root.get("width").removesuffix("pt"))
    assert width == pytest.approx(6.4 * 72, abs=20)  # points: sizes of text are what they say
    assert len(svg) < 20_000 and not re.search(r"<metadata|<!--|<\?xml", svg)
    assert not re.search(r'[dxy]="[^"]*\.\d{3}', svg)
    assert not list(root.iter("{http://www.w3.org/2000/svg}text"))  # but paths, as all readers see


def test_two_runs_give_the_same_bytes():
    assert _figures.picture(curve()) == _figures.picture(curve())


def test_ids_that_nothing_refers_to_are_gone():
    svg = _figures.picture(curve())[0]["image/svg+xml"]
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    assert set(re.findall(r' id="([^"]+)"', svg)) <= used


def test_what_a_colour_map_colours_is_pixels():
    figure, ax = plt.subplots()
    ax.pcolormesh(np.random.default_rng(0).random((60, 60)))
    ax.contour(np.arange(12).reshape(3, 4), colors="black")
    data, _ = _figures.picture(figure)
    svg = data["image/svg+xml"]
    assert svg.count("<image ") == 1 and len(svg) < 100_000
    assert len(set(re.findall("#[0-9a-f]{6}", svg))) < 6


def test_heavy_svg_becomes_a_fine_png():
    figure, ax = plt.subplots(figsize=(3, 2))
    ax.plot(*np.random.default_rng(0).random((2, 20_000)), "o", markersize=1)
    data, metadata = _figures.picture(figure)
    (png,) = data.values()
    width, height = struct.unpack(">II", base64.b64decode(png)[16:24])
    shown = metadata["image/png"]
    assert width / shown["width"] == pytest.approx(_figures.DPI / 96, rel=0.01)
    assert height / shown["height"] == pytest.approx(_figures.DPI / 96, rel=0.01)


def test_empty_figure_is_not_shown():
    assert _figures.picture(plt.figure()) == ({}, {})
