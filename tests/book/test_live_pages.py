"""Widgets in the pages that Sphinx builds: their scripts are files, their pictures stay."""

import json
import re

import pytest
import sphinx_build

from kanbook import KANLab
from kanbook.lab import bundle, living

LAB = """\
```{{kan-lab}}
{options}
```
"""
FIGURE = """\
```{{living-figure}} {name}
{options}
```
"""
STATE = re.compile(
    r'<script type="application/vnd.jupyter.widget-state\+json">(.*?)</script>', re.S
)


@pytest.fixture
def build(tmp_path):
    """build(options, ..., name=options): the folder of two pages with labs, the first with figures
    too, and what Sphinx warned of.
    """

    def build(*labs, **figures):
        page, index = (
            "\n".join(["# A page", *(LAB.format(options=one) for one in options)])
            for options in (labs, [":alt: Here, too."])
        )
        page += "".join(FIGURE.format(name=n, options=one) for n, one in figures.items())
        (tmp_path / "page.md").write_text(page, encoding="utf-8")
        (tmp_path / "index.md").write_text(index + "```{toctree}\npage\n```", encoding="utf-8")
        return sphinx_build.build(tmp_path, ["myst_nb", "bookext"])

    return build


def texts(file):
    text, start, end = file.read_text(encoding="utf-8"), "document.currentScript.texts = ", ";\n"
    assert text.startswith(start) and text.endswith(end)
    return json.loads(text[len(start) : -len(end)])


def test_living_figures_in_a_page(build):
    """Beside a lab, whose engine they share."""
    out, said = build(
        ":alt: A lab.", death=":warm_up: 30\n:alt: It lives.", rates=":kan_rate: 0.1\n:alt: Rates."
    )
    assert not said
    html = (out / "page.html").read_text(encoding="utf-8")
    for alt in ("A lab.", "It lives.", "Rates."):
        (picture,) = re.findall(rf'<img alt="{alt}" src="([^"]*)"', html)
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    states = [model["state"] for model in json.loads(STATE.findall(html)[0])["state"].values()]
    assert (states[1]["warm_up"], states[2]["kan_rate"]) == (30, 0.1)
    files = [state["_texts"] for state in states]
    assert len({engine for engine, _ in files}) == 1 and len({own for _, own in files}) == 3
    assert texts(out / files[0][0]) == {"_esm": bundle.engine()}
    kinds = zip(files[1:], (living.Death, living.Rates), strict=True)
    for (_, own), kind in kinds:
        assert bundle.engine() + texts(out / own)["_esm"] == kind().get_state()["_esm"]


def test_lab_in_a_page(build):
    settings = ':task: zigzag\n:widths: [1, 3, 1]\n:playing: true\n:script: [[50, "update"]]\n'
    out, said = build(settings + ":alt: A zigzag.")
    assert not said
    for name, alt in (("page", "A zigzag."), ("index", "Here, too.")):
        html = (out / f"{name}.html").read_text(encoding="utf-8")
        assert len(re.findall(r'<script src="_static/afm-host.js[^"]*">', html)) == 1
        (picture,) = re.findall(rf'<img alt="{alt}" src="([^"]*)"', html)
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
        (state,) = STATE.findall(html)
        (number,) = re.findall(r'widget-view\+json">{"model_id": "([^"]*)"}', html)
        state = json.loads(state)["state"][number]["state"]
        assert "_esm" not in state and "_css" not in state
        engine, own = (texts(out / file) for file in state["_texts"])
        assert own | {"_esm": engine["_esm"] + own["_esm"]} == KANLab().get_state(["_esm", "_css"])
    assert len(list((out / "_static").glob("KANLab-*.js"))) == 1
    html = (out / "page.html").read_text(encoding="utf-8")
    state = json.loads(STATE.findall(html)[0])["state"]["kan-lab-0"]["state"]
    assert (state["task"], state["widths"], state["playing"]) == ("zigzag", [1, 3, 1], True)
    assert state["script"] == [[50, "update"]] and state["lr"] == 0.05


def test_wrong_options_are_named(build):
    wrong = {
        ":task: zigzag": "kan-lab: no option alt",
        ":alt: A.\n:task: cosine": "kan-lab: The 'task' trait .* 'cosine'",
        ":alt: A.\n:widths: [3, 1]": r"kan-lab: widths=\(3, 1\) with task='exp_sine'; expected 2",
        ":alt: A.\n:colour: red": "colour",
    }
    _, said = build(*wrong, tilt=":alt: A.", death=":alt: A.\n:lr: 7", rates=":linked: true")
    figures = [
        '"tilt" unknown; choose from "rates", "death", "nudge", "desk", "knots", "waves", or '
        '"bits"',
        "The 'lr' trait .* 7",
        "no option alt",
    ]
    for message in [*wrong.values(), *(f"living-figure: {message}" for message in figures)]:
        assert len(re.findall(message, said)) == 1, message


def test_links_that_drive_a_lab_lead_nowhere(tmp_path):
    text = "# A page\n\n[run](#lab?lr=1&reset&run=500) and [lost](#nowhere)\n"
    (tmp_path / "index.md").write_text(text, encoding="utf-8")
    out, said = sphinx_build.build(tmp_path, ["myst_nb", "bookext"])
    html = (out / "index.html").read_text(encoding="utf-8")
    assert '<a class="reference internal" href="#lab?lr=1&amp;reset&amp;run=500">run</a>' in html
    assert said.count("nowhere") == said.count("not found") == 1
