"""The spline playground in a live JupyterLab: Python sees what is dragged, the page what is set.

A JupyterLab of the test's own keeps all its files in a temporary folder, and reads none of the
reader's. All tests share it, one kernel and one browser page; each shows a new playground there.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import time

import nbformat
import pytest
import torch
from visitor import Visitor

from kanbook import splines
from notebook_files import ROOT

SECONDS = 30  # longer than anything takes
PAGE_CONFIG = {
    "buildAvailable": False,
    "buildCheck": False,
    "disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True},
}
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
PLAYGROUND = f"{PANEL} .kan-playground"
IMPORTS = """\
import json

import ipywidgets

from kanbook.lab.playground import SplinePlayground

FIELDS = ("degree", "grid_size", "domain", "knots", "coefs")"""
NEW = """\
p, changes = SplinePlayground(), []
p.observe(lambda change: changes.append([change.name, change.new]), FIELDS)
display(p)
"""
LINKED = """\
slider = ipywidgets.IntSlider(value=p.{name}, min=1, max=p.traits()["{name}"].max)
link = ipywidgets.{link}((slider, "value"), (p, "{name}"))
display(slider)
"""
SAVED = """\
from kanbook.lab.playground import SplinePlayground

SplinePlayground(coefs=[0.5] * 8)"""
KNOTS = [-1.9, -1.6, -1.3, -1.0, -0.7, -0.1, -0.1, 0.8, 1.0, 1.3, 1.6, 1.9]


# --- the server ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A folder, and variables that let Jupyter keep its files there."""
    folder = tmp_path_factory.mktemp("jupyter")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON"))}
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        kept[f"JUPYTER_{kind}_DIR"] = str(folder / kind.lower())
    kept |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1"}
    return folder, kept | {"JUPYTER_TOKEN": secrets.token_hex(), "OMP_NUM_THREADS": "1"}


def write_notebook(path, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    metadata["kanbook"] = {"budget_seconds": SECONDS}
    path.parent.mkdir(exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)


def address(server, folder):
    """Where the server answers, once it does."""
    deadline = time.monotonic() + SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        for file in (folder / "runtime").glob("jpserver-*.json"):
            if (text := file.read_text(encoding="utf-8")).endswith("}"):
                return json.loads(text)["url"]
        time.sleep(0.1)
    log = (folder / "log.txt").read_text(encoding="utf-8")
    raise AssertionError(
        f"no JupyterLab (exit code {server.poll()}); its last words:\n{log[-3000:]}"
    )


@pytest.fixture(scope="module")
def jupyter(environment):
    """The address of a JupyterLab with a notebook of three cells, live.ipynb."""
    folder, variables = environment
    write_notebook(folder / "notebooks" / "live.ipynb", IMPORTS, "", "")
    settings = folder / "config" / "labconfig"
    settings.mkdir(parents=True)
    (settings / "page_config.json").write_text(json.dumps(PAGE_CONFIG), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", f"--notebook-dir={folder / 'notebooks'}"]
    command += ["--expose-app-in-browser", "--LabApp.extension_manager=readonly"]
    with open(folder / "log.txt", "w", encoding="utf-8") as log:
        server = subprocess.Popen(
            command, env=variables, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield address(server, folder)
        finally:
            server.terminate()  # and it ends its kernels
            try:
                server.wait(SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()  # which its kernels notice
                server.wait()


@pytest.fixture(scope="module")
def saved(environment, jupyter):
    """A notebook with outputs, as those of the book are stored."""
    folder, variables = environment
    path = folder / "notebooks" / "saved.ipynb"
    write_notebook(path, SAVED)
    command = [sys.executable, ROOT / "book" / "_tools" / "run_notebooks.py", path]
    run = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return path.name


# --- the page ------------------------------------------------------------------------------------


class Lab(Visitor):
    """JupyterLab in a browser, open at a notebook, with a playground `p` in its second cell."""

    def __init__(self, browser, server):
        super().__init__(browser, server, {"width": 1200, "height": 1500}, "light")
        self.page.set_default_timeout(SECONDS * 1000)

    def note_console(self, message):  # JupyterLab has its own complaints: only ours count
        text = message.text + message.location["url"]
        if any(word in text for word in ("blob:", "anywidget", "kan-playground")):
            super().note_console(message)

    def note_response(self, response):
        pass  # JupyterLab asks for files that may be missing

    def command(self, name, **options):
        """Lets JupyterLab do something, and waits until it is done."""
        self.page.evaluate(
            """async ([name, options, time]) => {
              const late = new Promise((_, fail) => setTimeout(fail, time, `${name}: no end`));
              await Promise.race([jupyterapp.commands.execute(name, options), late]);
            }""",
            [name, options, SECONDS * 1000],
        )

    def open(self, path):
        """Opens a notebook, and waits for its kernel."""
        self.command("docmanager:open", path=path)
        self.page.wait_for_function(
            """path => {
              const { context, sessionContext } = jupyterapp.shell.currentWidget ?? {};
              return context?.path === path && sessionContext.session?.kernel?.status === "idle";
            }""",
            arg=path,
        )

    def run(self, code, cell=-1):
        """Runs the code in a cell; returns the cell's outputs."""
        self.page.evaluate(
            """([code, at]) => {
              const { content } = jupyterapp.shell.currentWidget, cell = content.widgets.at(at);
              cell.model.sharedModel.setSource(code);
              content.activeCellIndex = content.widgets.indexOf(cell);
            }""",
            [code, cell],
        )
        self.command("notebook:run-cell")
        return self.page.evaluate(
            "at => jupyterapp.shell.currentWidget.content.widgets.at(at).model.outputs.toJSON()",
            cell,
        )

    def ask(self, expression):
        """The value of a Python expression in the kernel."""
        (output,) = self.run(f"print(json.dumps({expression}))")
        return json.loads(output["text"])

    def show(self, code, views=1):
        """Runs the code in the second cell, and waits until its playgrounds are drawn."""
        outputs = self.run(code, cell=1)
        assert all(output["output_type"] == "display_data" for output in outputs), outputs
        self.drawn(views)

    def drawn(self, views=1):
        self.page.wait_for_function(
            "([curves, views]) => document.querySelectorAll(curves).length === views",
            arg=[f"{PLAYGROUND} .curve[d]", views],
        )

    def part(self, selector, view=0):
        return self.page.locator(PLAYGROUND).nth(view).locator(selector)

    def handle(self, kind, index, view=0):
        return self.part(f".{kind} .handle", view).nth(index)

    def drag(self, handle, dx, dy):
        """Drags a handle with the mouse; returns what lets go of it."""
        box, mouse = handle.locator(".dot").bounding_box(), self.page.mouse
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + dx, y + dy, steps=5)
        return mouse.up

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def seen(self, view=0):
        """The state that a playground shows, once it has drawn what it knows."""
        return self.part("xpath=.", view).evaluate(
            """async root => {
              for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
              const all = selector => [...root.querySelectorAll(selector)];
              const values = kind => all(`.${kind} .handle`).map(handle => +handle.ariaValueNow);
              return {
                degree: +all("[name=degree]")[0].value,
                grid_size: +all("[name=grid_size]")[0].value,
                domain: all("[type=number]").map(input => +input.value),
                knots: values("knots"),
                coefs: values("coefs"),
                curve: all(".curve")[0].getAttribute("d"),
              };
            }"""
        )

    def agreed(self, view=0, **expected):
        """The state of `p` in Python, once it is as expected, and the page shows the same."""
        deadline = time.monotonic() + SECONDS
        while True:
            shown, state = self.seen(view), self.ask("{name: getattr(p, name) for name in FIELDS}")
            curve, degree = shown.pop("curve"), state["degree"]
            same = shown == state | {"knots": state["knots"][degree + 1 : -degree - 1]}
            if same and state == state | expected and is_drawn(state, curve):
                assert len(state["knots"]) == state["grid_size"] + 2 * degree + 1
                assert len(state["coefs"]) == state["grid_size"] + degree
                assert state["domain"] == [state["knots"][degree], state["knots"][-degree - 1]]
                return state
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"expected {expected}\nPython has {state}\nthe page shows {shown}\nand {curve}"
                )

    def rests(self):
        """Whether `p`, in Python and on the page, stays as it is for one second."""
        before = self.agreed(), self.ask("changes")
        self.page.wait_for_timeout(1000)
        return (self.agreed(), self.ask("changes")) == before

    def jupyter_state(self):
        """What a shortcut of JupyterLab would change."""
        return self.page.evaluate(
            """() => {
              const { activeCellIndex, mode, widgets } = jupyterapp.shell.currentWidget.content;
              return [activeCellIndex, mode, widgets.map(cell => cell.model.id)];
            }"""
        )


def is_drawn(state, curve):
    """Whether a drawn curve, given in the units of the data, is the spline."""
    points = [point.split() for point in curve.replace("M", "L").split("L")[1:]]
    x, y = torch.tensor([[float(v) for v in point] for point in points], dtype=torch.float64).T
    knots, coefs = (torch.tensor(state[name], dtype=torch.float64) for name in ("knots", "coefs"))
    gap = splines.evaluate(x, coefs, knots, state["degree"]) - y
    return len(x) > state["grid_size"] and gap.abs().max() < 1e-6


@pytest.fixture(scope="module")
def visitor(browser, jupyter, environment):
    visitor = Lab(browser, jupyter)
    token = environment[1]["JUPYTER_TOKEN"]
    visitor.page.goto(f"{jupyter}lab/tree/live.ipynb?token={token}")
    visitor.page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.context?.isReady")
    visitor.open("live.ipynb")
    assert visitor.run(IMPORTS, cell=0) == []
    yield visitor
    visitor.context.close()


@pytest.fixture
def lab(visitor):
    """JupyterLab with a new playground `p`; Python notes its changes."""
    visitor.problems.clear()
    visitor.open("live.ipynb")
    visitor.show(NEW)
    yield visitor
    assert not visitor.problems


# --- from the page to Python ---------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "dx", "dy"), [("coefs", 0, 30), ("knots", -15, 0)])
def test_drag_reaches_python(lab, kind, dx, dy):
    start = lab.agreed()
    drop = lab.drag(lab.handle(kind, 2), dx, dy)
    held = lab.agreed()  # Python does not wait for the end of the drag
    drop()
    lab.drag(lab.handle(kind, 2), dx, dy)()
    end = lab.agreed()
    assert held == start | {kind: held[kind]} and end == start | {kind: end[kind]}
    ((before, between, after),) = (
        values
        for values in zip(*(s[kind] for s in (start, held, end)), strict=True)
        if len(set(values)) > 1
    )
    assert before > between > after
    changes = lab.ask("changes")
    assert [kind, held[kind]] in changes and changes[-1] == [kind, end[kind]]
    assert {name for name, _ in changes} == {kind}


@pytest.mark.parametrize(
    ("kind", "keys", "by"),
    [
        ("coefs", ["ArrowUp", "Shift+ArrowDown"], -0.2),
        ("knots", ["ArrowRight", "Shift+ArrowLeft"], -0.08),
    ],
)
def test_keys_move_a_handle_and_nothing_else(lab, kind, keys, by):
    start = lab.agreed()
    lab.handle(kind, 2).click()
    before = lab.jupyter_state()
    lab.press(*keys, "a", "x", "d", "d", "Enter")
    assert lab.jupyter_state() == before
    index = 2 + (kind == "knots") * (start["degree"] + 1)
    values = list(start[kind])
    values[index] = round(values[index] + by, 3)
    assert lab.agreed(**{kind: values}) == start | {kind: values}
    lab.handle(kind, 2).click()
    lab.press("Control+z", "Control+z")
    assert lab.jupyter_state() == before
    assert lab.agreed(**{kind: start[kind]}) == start


def test_keys_move_a_slider_and_nothing_else(lab):
    lab.part("[name=grid_size]").focus()
    before = lab.jupyter_state()
    lab.press("ArrowUp", "ArrowRight", "ArrowUp", "ArrowDown", "b", "x")
    assert lab.jupyter_state() == before
    lab.agreed(grid_size=7)


# --- from Python to the page ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("p.degree = 2", {"degree": 2, "grid_size": 5}),
        ("p.grid_size = 10", {"degree": 3, "grid_size": 10}),
        ("p.domain = (0, 2.5)", {"domain": [0, 2.5]}),
        ("p.coefs = [1.0, -2.0] * 4", {"coefs": [1, -2] * 4}),
        (f"p.knots = {KNOTS}", {"knots": KNOTS}),
        ("p.grid_size = 7; p.coefs = [0.5] * 10; p.degree = 1", {"degree": 1, "grid_size": 7}),
        ("for size in range(1, 16): p.grid_size = size", {"grid_size": 15}),
    ],
)
def test_page_shows_what_python_sets(lab, code, expected):
    assert lab.run(code) == []
    lab.agreed(**expected)


@pytest.mark.parametrize(
    "code",
    [
        "p.degree = -1",
        "p.grid_size = 1000",
        "p.domain = (1, -1)",
        "p.coefs = [1.0]",
        "p.coefs = [float('nan')] * 8",
        "p.knots = p.knots[::-1]",
    ],
)
def test_bad_value_changes_nothing(lab, code):
    before = lab.agreed()
    (error,) = lab.run(code)
    assert error["ename"] == "TraitError"
    assert lab.agreed() == before
    assert lab.ask("changes") == []


# --- more than one widget, more than one view ----------------------------------------------------


@pytest.mark.parametrize("link", ["jslink", "link"])
@pytest.mark.parametrize(
    ("name", "start", "keys", "end"),
    [
        ("degree", 3, ["ArrowLeft"] * 2 + ["ArrowRight"] * 3, 4),
        ("grid_size", 5, ["ArrowLeft"] * 3 + ["ArrowRight"] * 6, 8),
    ],
)
def test_linked_slider(lab, link, name, start, keys, end):
    lab.show(NEW + LINKED.format(link=link, name=name))
    slider = lab.page.locator(f"{PANEL} .widget-slider")
    slider.locator(".noUi-handle").focus()
    lab.press(*keys)
    lab.agreed(**{name: end})
    lab.part(f"[name={name}]").focus()
    lab.press(*keys)
    end += end - start
    lab.agreed(**{name: end})
    assert lab.rests()
    assert lab.ask("slider.value") == end
    assert slider.locator(".widget-readout").inner_text() == str(end)


def test_two_views_stay_in_step(lab):
    lab.show(NEW + "display(p)", views=2)
    start = lab.agreed()
    lab.drag(lab.handle("coefs", 3, view=0), 0, 50)()
    lab.drag(lab.handle("knots", 1, view=1), -20, 0)()
    end = lab.agreed()
    assert lab.seen(view=0) == lab.seen(view=1)
    assert start["coefs"] != end["coefs"] and start["knots"] != end["knots"]
    for view in (1, 0):
        lab.part("button", view).get_by_text("undo", exact=True).click()
    assert lab.agreed(view=0) == lab.agreed(view=1) == start


def test_playground_follows_the_theme(lab):
    for theme in ("Dark", "Light"):
        lab.command("apputils:change-theme", theme=f"JupyterLab {theme}")
        lab.page.wait_for_selector(f"{PLAYGROUND}[data-theme={theme.lower()}]")
        lab.page.wait_for_selector("#jupyterlab-splash", state="detached")  # the change is complete


def test_saved_playground_lives_without_a_run(lab, saved):
    lab.open(saved)
    lab.page.wait_for_selector(f"{PANEL} .jp-OutputArea img")  # no scripts until it is trusted
    lab.page.evaluate("void jupyterapp.commands.execute('notebook:trust')")
    lab.page.locator(".jp-Dialog").get_by_role("button", name="Trust").click()
    lab.drawn()
    before = lab.seen()
    assert before["coefs"] == [0.5] * 8
    lab.drag(lab.handle("coefs", 3), 0, 50)()
    after = lab.seen()
    assert after["coefs"][3] < 0.4 and after["curve"] != before["curve"]
