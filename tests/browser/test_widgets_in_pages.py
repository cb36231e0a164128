"""The loader of widgets, afm-host.js, in small pages on disk, without a book."""

import json

import pytest
from visitor import DESKTOP

from notebook_files import ROOT

HOST = ROOT / "book" / "_static" / "afm-host.js"
SCRIPT = """
globalThis.modules = (globalThis.modules ?? 0) + 1;
export default () => ({ render({ model, el }) { el.textContent = `I am ${model.get("name")}`; } });
"""
STYLE = ".live-figure div { color: rgb(1, 2, 3); }"
FIGURE = '<div class="live-figure"><script type="%s">{"model_id": "%s"}</script><img></div>'
SPACE = '<div style="height: 3000px"></div>'


@pytest.fixture
def put(browser, tmp_path):
    """put(html, hash, name=state, ...): a page; figure(name) in its html is where a widget is."""
    page = browser.new_page(viewport=DESKTOP)
    problems = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))

    def put(html, hash="", **states):
        models = {name: {"model_module": "anywidget", "state": s} for name, s in states.items()}
        state = json.dumps({"state": models})
        (tmp_path / "page.html").write_text(
            f'<script type="application/vnd.jupyter.widget-state+json">{state}</script>'
            f"<script>{HOST.read_text(encoding='utf-8')}</script><body>{html}"
        )
        page.goto("about:blank")
        page.goto((tmp_path / "page.html").as_uri() + hash)
        return page

    put.problems = problems
    yield put
    page.close()


def figure(name):
    return FIGURE % ("application/vnd.jupyter.widget-view+json", name)


def alive(page):
    """The texts of the widgets that live, once all are there that will come by themselves."""
    page.evaluate("() => new Promise(done => setTimeout(done, 200))")
    return page.locator(".live-figure.is-live").all_inner_texts()


def widget(name, **more):
    return {"name": name} | (more or {"_esm": SCRIPT, "_css": STYLE})


def test_widgets_start_when_they_come_near(put):
    page = put(figure("a") + SPACE + figure("b") + figure("c"), **{n: widget(n) for n in "abc"})
    assert alive(page) == ["I am a"]
    page.mouse.wheel(0, 2000)  # a window's height before it can be seen
    assert alive(page) == ["I am a", "I am b", "I am c"] and not put.problems


def test_widget_in_a_fold_starts_when_it_opens(put):
    fold = f"<details><summary>more</summary>{figure('a')}</details>"
    page = put(fold + figure("b"), a=widget("a"), b=widget("b"))
    assert alive(page) == ["I am b"]
    page.locator("summary").click()
    assert alive(page) == ["I am a", "I am b"]


def test_link_with_a_state_starts_all(put):
    html = figure("a") + SPACE + figure("b")
    assert len(alive(put(html, "#section", a=widget("a"), b=widget("b")))) == 1
    assert len(alive(put(html, "#lab=abc", a=widget("a"), b=widget("b")))) == 2


def test_script_and_style_are_loaded_once(put, tmp_path):
    texts = json.dumps({"_esm": SCRIPT, "_css": STYLE})
    (tmp_path / "texts.js").write_text(f"document.currentScript.texts = {texts};")
    states = {name: widget(name, _texts=["texts.js"]) for name in "ab"} | {"c": widget("c")}
    page = put(figure("a") + figure("b") + figure("a") + figure("c"), **states)
    assert alive(page) == ["I am a", "I am b", "I am a", "I am c"]
    assert page.evaluate("modules") == page.locator("style").count() == 1
    assert page.locator("script[src]").count() == 1
    color = page.locator(".live-figure div").last.evaluate("e => getComputedStyle(e).color")
    assert color == "rgb(1, 2, 3)" and not put.problems


def test_parts_of_scripts_are_shared(put, tmp_path):
    """Two widgets of two kinds, whose scripts begin alike: that part is loaded once."""
    start, end = SCRIPT.split("export")
    parts = {"engine": start, "a": f"export{end}", "b": f"export{end.replace('I am', 'I was')}"}
    for name, part in parts.items():
        text = f"document.currentScript.texts = {json.dumps({'_esm': part})};"
        (tmp_path / f"{name}.js").write_text(text)
    page = put(
        figure("a") + figure("b"),
        **{name: widget(name, _texts=["engine.js", f"{name}.js"]) for name in "ab"},
    )
    assert alive(page) == ["I am a", "I was b"] and not put.problems
    assert page.evaluate("modules") == 2
    assert page.locator("script[src]").count() == 3


def test_picture_stays_where_the_file_is_missing(put):
    page = put(figure("a") + figure("b"), a=widget("a", _texts=["none.js"]), b=widget("b"))
    assert alive(page) == ["I am b"]
    assert "its picture stays" in put.problems[-1]


@pytest.mark.parametrize(
    "script",
    [
        "no script",
        "export default { render({ el }) { el.textContent = 'half'; throw 1; } }",
        "export default { initialize: () => new Promise(() => {}) }",
    ],
)
def test_bad_widget_leaves_the_others_alone(put, script):
    page = put(
        figure("a") + figure("b") + figure("none"), a=widget("a", _esm=script), b=widget("b")
    )
    assert alive(page) == ["I am b"]
    assert "half" not in page.locator("body").inner_text()
    assert all("its picture stays" in problem for problem in put.problems)
