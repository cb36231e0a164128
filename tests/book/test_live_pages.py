"""Widgets in the pages that Sphinx builds: their scripts are files, their pictures stay."""

import json
import re

import pytest
import sphinx_build

from kanbook import KANLab

LAB = """\
```{{kan-lab}}
{options}
```
"""
STATE = re.compile(
    r'<script type="application/vnd.jupyter.widget-state\+json">(.*?)</script>', re.S
)


@pytest.fixture
def build(tmp_path):
    """build(options, ...): the folder of two pages with labs, and what Sphinx warned of."""

    def build(*labs):
        page, index = (
            "\n".join(["# A page", *(LAB.format(options=one) for one in options)])
            for options in (labs, [":alt: Here, too."])
        )
        (tmp_path / "page.md").write_text(page, encoding="utf-8")
        (tmp_path / "index.md").write_text(index + "```{toctree}\npage\n```", encoding="utf-8")
        return sphinx_build.build(tmp_path, ["myst_nb", "bookext"])

    return build


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
        text = (out / state["_texts"]).read_text(encoding="utf-8")
        start, end = "document.currentScript.texts = ", ";\n"
        assert text.startswith(start) and text.endswith(end)
        assert json.loads(text[len(start) : -len(end)]) == KANLab().get_state(["_esm", "_css"])
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
    _, said = build(*wrong)
    for message in wrong.values():
        assert len(re.findall(message, said)) == 1, message
