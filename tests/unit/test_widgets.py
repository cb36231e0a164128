"""What the widgets bring along: one script and one style sheet, which ask nobody for anything."""

import gzip
import re

import pytest

import notebook_files as notebooks
from kanbook import KANLab, SplinePlayground
from kanbook.lab import bundle
from notebook_files import ROOT

WIDGETS = pytest.mark.parametrize("kind", [SplinePlayground, KANLab])


@WIDGETS
def test_script_asks_for_nothing(kind, record_property):
    stored = kind().get_state()
    imports = r"""import\s*[({"'*]|import \w+ from ["']"""
    requests = r"fetch|XMLHttp|WebSocket|https?:|eval\(|Function\("
    assert not re.findall(f"{imports}|{requests}", stored["_esm"])
    assert not re.findall(r"@import|url\(|https?:", stored["_css"])
    size = {name: len(gzip.compress(stored[name].encode())) for name in ("_esm", "_css")}
    assert sum(size.values()) < 60_000
    for name in size:
        record_property(f"{kind.__name__}: {name}, bytes compressed", size[name])


def test_script_holds_each_file_once_and_exports_the_last(tmp_path, monkeypatch):
    files = {
        "a.js": "export const a = 1;\n",
        "b.js": 'import { a } from "./a.js";\nexport function b() {\n  return a; // export a\n}\n',
        "c.js": 'import { b } from "./b.js";\nimport {\n  a,\n} from "./a.js";\nexport { b };\n',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(bundle, "FOLDER", tmp_path)
    text = re.sub(r"\n+", "\n", bundle.script("c.js"))
    expected = "const a = 1;\nfunction b() {\n  return a; // export a\n}\nexport { b };\n"
    assert text == expected


@pytest.mark.parametrize(
    "path", notebooks.find(), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_notebook_stores_the_current_script(path):
    current = {
        kind.__name__: kind().get_state(["_esm", "_css"]) for kind in (SplinePlayground, KANLab)
    }
    widgets = notebooks.read(path)["metadata"].get("widgets", {})
    for model in (model for content in widgets.values() for model in content["state"].values()):
        name = model["state"].get("_anywidget_id", "").rpartition(".")[2]
        if name in current:
            stored = {key: model["state"][key] for key in current[name]}
            assert stored == current[name], f"{path.name}: an old {name}; run `make notebooks`"
