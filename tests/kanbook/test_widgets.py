"""What the widgets bring along: one script and one style sheet, which ask nobody for anything."""

import base64
import gzip
import re
import struct
from functools import partial

import pytest
import traitlets

import notebook_files as notebooks
from kanbook import KANLab, SplinePlayground
from kanbook.lab import bundle
from kanbook.lab.cover import KANCover
from kanbook.lab.living import FIGURES, Bits, Death, Desk, Knots, Nudge, Rates, Waves

KINDS = SplinePlayground, KANLab, *FIGURES.values()


def zipped(text):
    return len(gzip.compress(text.encode()))


@pytest.mark.parametrize("kind", [*KINDS, partial(KANCover, task="zigzag")])
def test_script_asks_for_nothing(kind):
    stored = kind().get_state()
    imports = r"""import\s*[({"'*]|import \w+ from ["']"""
    requests = r"fetch|XMLHttp|WebSocket|https?:|eval\(|\bFunction\("
    assert not re.findall(f"{imports}|{requests}", stored["_esm"])
    assert not re.findall(r"@import|url\(|https?:", stored["_css"])
    assert sum(zipped(stored[name]) for name in ("_esm", "_css")) < 66_000


@pytest.mark.parametrize("kind", [Rates, Death])
def test_figures_share_their_engine_with_the_lab(kind):
    """A page has it once; what a figure brings beside it is below 15 kB, also as it is."""
    engine, script = bundle.engine(), kind().get_state()["_esm"]
    assert KANLab().get_state()["_esm"].startswith(engine) and script.startswith(engine)
    own = script.removeprefix(engine)
    assert not set(re.findall(r"^const (\$\w+) = \(", own, re.M)) & set(
        re.findall(r"^const (\$\w+) = \(", engine, re.M)
    )
    assert len(own) < 15_000 and zipped(own) < 6_000


@pytest.mark.parametrize("kind", [Nudge, Desk, Knots, Waves, Bits])
def test_a_figure_that_trains_nothing_comes_without_the_engine(kind):
    script = kind().get_state()["_esm"]
    assert "class Network" in bundle.engine() and "class Network" not in script
    assert zipped(script) < 9_000


SIZES = [(SplinePlayground, 640, 360), (KANLab, 640, 450)]
SIZES += [(Rates, 720, 320), (Death, 720, 360), (Nudge, 720, 300), (Desk, 720, 300)]
SIZES += [(Knots, 720, 420), (Waves, 720, 300), (Bits, 720, 300)]


@pytest.mark.parametrize("kind, width, height", SIZES)
def test_output_holds_view_and_picture(kind, width, height):
    widget, twin = kind(), kind()
    data, _ = widget._repr_mimebundle_()
    assert data["text/plain"] == repr(widget)
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id
    png = base64.b64decode(data["image/png"], validate=True)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == (width, height)
    assert twin._repr_mimebundle_()[0]["image/png"] == data["image/png"]


def test_a_cover_refuses_what_it_cannot_draw():
    cover = KANCover(task="noisy")
    for change in (KANCover, lambda: setattr(cover, "task", "exp_sine")):
        with pytest.raises(traitlets.TraitError, match="task='exp_sine'; expected one of .*zigzag"):
            change()
    assert cover.task == "noisy"


def test_notebooks_store_the_current_scripts():
    current = {kind.__name__: kind().get_state(["_esm", "_css"]) for kind in KINDS}
    found, old = [], []
    for path in notebooks.find():
        for content in notebooks.read(path)["metadata"].get("widgets", {}).values():
            for state in (model["state"] for model in content["state"].values()):
                name = state.get("_anywidget_id", "").rpartition(".")[2]
                found += [path.name] if name in current else []
                if any(state[key] != text for key, text in current.get(name, {}).items()):
                    old.append(f"{path.name}: an old {name}; run `make notebooks`")
    assert found and not old
