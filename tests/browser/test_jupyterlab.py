"""Playground and KAN Lab in a live JupyterLab: Python sees what is done, the page what is set.

A JupyterLab of the test's own keeps all its files in a temporary folder, and reads none of the
reader's. All tests share it, one kernel and one browser page; each shows a new widget there.
"""

import json
import os
import secrets
import subprocess
import sys
import time

import nbformat
import numpy as np
import pytest
from helpers import float64
from visitor import Visitor

from kanbook import splines

SECONDS = 30  # longer than anything takes
PAGE_CONFIG = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
PLAYGROUND = f"{PANEL} .kan-playground"
IMPORTS = """\
import json, ipywidgets
import torch
from kanbook import KAN, KANLab, SplinePlayground, update_grid
FIELDS = ("degree", "grid_size", "domain", "knots", "coefs")"""
KAN_LAB = f"{PANEL} .kan-lab"
NEW = """\
p, changes = SplinePlayground(), []
p.observe(lambda change: changes.append([change.name, change.new]), FIELDS)
display(p)
"""
LINKED = """\
slider = ipywidgets.IntSlider(value=p.degree, min=0, max=5)
link = ipywidgets.{link}((slider, "value"), (p, "degree"))
display(slider)
"""


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory):
    """The address of a JupyterLab with one notebook: live.ipynb has three cells to fill."""
    folder = tmp_path_factory.mktemp("jupyter")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON"))}
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        variables[f"JUPYTER_{kind}_DIR"] = str(folder / kind.lower())
    variables |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1"}
    variables |= {"JUPYTER_TOKEN": secrets.token_hex(), "OMP_NUM_THREADS": "1"}
    (folder / "notebooks").mkdir()
    live = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell() for _ in range(3)])
    live.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(live, folder / "notebooks" / "live.ipynb")
    (folder / "config" / "labconfig").mkdir(parents=True)
    page_config = folder / "config" / "labconfig" / "page_config.json"
    page_config.write_text(json.dumps(PAGE_CONFIG), encoding="utf-8")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += ["--port=0", f"--notebook-dir={folder / 'notebooks'}"]
    command += ["--expose-app-in-browser", "--LabApp.extension_manager=readonly"]
    with (
        open(folder / "log.txt", "w", encoding="utf-8") as log,
        subprocess.Popen(command, env=variables, stdout=log, stderr=log) as server,
    ):
        try:
            deadline, found = time.monotonic() + SECONDS, ""
            while not found.endswith("}"):
                assert server.poll() is None and time.monotonic() < deadline, log.name
                time.sleep(0.1)
                files = (folder / "runtime").glob("jpserver-*.json")
                found = "".join(file.read_text(encoding="utf-8") for file in files)
            yield json.loads(found)["url"], variables["JUPYTER_TOKEN"]
        finally:
            server.terminate()  # and it ends its kernels


class Lab(Visitor):
    """JupyterLab in a browser, open at a notebook, with a playground `p` in its second cell."""

    def note_console(self, message):  # JupyterLab has its own complaints: only ours count
        text = message.text + message.location["url"]
        if any(word in text for word in ("blob:", "anywidget", "kan-playground", "kan-lab")):
            super().note_console(message)

    def note_response(self, response):
        pass  # JupyterLab asks for files that may be missing

    def command(self, name, **options):
        """Lets JupyterLab do something, and waits until it is done."""
        execute = "([name, options]) => jupyterapp.commands.execute(name, options).then(() => null)"
        self.page.evaluate(execute, [name, options])

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
        outputs = "jupyterapp.shell.currentWidget.content.widgets.at(at).model.outputs"
        return self.page.evaluate(f"at => {outputs}.toJSON()", cell)

    def ask(self, expression):
        """The value of a Python expression in the kernel."""
        (output,) = self.run(f"print(json.dumps({expression}))")
        return json.loads(output["text"])

    def show(self, code):
        """Runs the code in the second cell, and waits until its playground is drawn."""
        self.run(code, cell=1)
        self.part(".curve[d]").wait_for(state="attached")

    def part(self, selector):
        return self.page.locator(PLAYGROUND).locator(selector)

    def handle(self, kind, index):
        return self.part(f".{kind} .handle").nth(index)

    def drag(self, handle, dx, dy):
        """Drags a handle with the mouse, and does not let go."""
        box, mouse = handle.locator(".dot").bounding_box(), self.page.mouse
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + dx, y + dy, steps=5)

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def seen(self):
        """What a playground shows, once it has drawn what it knows: numbers, and the curve."""
        return self.part("xpath=.").evaluate(
            """async root => {
              for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
              const all = selector => [...root.querySelectorAll(selector)];
              const sizes = all("[type=range], [type=number]").map(input => +input.value);
              const handles = all(".knots .handle, .coefs .handle").map(e => +e.ariaValueNow);
              return [[...sizes, ...handles], all(".curve")[0].getAttribute("d")];
            }"""
        )

    def agreed(self, **expected):
        """The state of `p` in Python, once it is as expected, and the page shows the same."""
        deadline = time.monotonic() + SECONDS
        while True:
            shown, path = self.seen()
            state = self.ask("{name: getattr(p, name) for name in FIELDS}")
            k, size, domain, knots, coefs = state.values()
            own = [k, size, *domain, *knots[k + 1 : -k - 1], *coefs]
            same = len(own) == len(shown) and np.allclose(own, shown, rtol=0, atol=1e-11)
            if same and state == state | expected:  # else a message is on its way
                points = [xy.split() for xy in path.replace("M", "L").split("L")[1:]]
                x, y = float64(np.array(points, dtype=float).T)
                curve = splines.evaluate(x, float64(coefs), float64(knots), k)
                assert np.allclose(curve, y, rtol=0, atol=1e-6)
                return state
            assert time.monotonic() < deadline, (expected, state, shown)

    def jupyter_state(self):
        """What a shortcut of JupyterLab would change."""
        return self.page.evaluate(
            """() => {
              const { activeCellIndex, mode, widgets } = jupyterapp.shell.currentWidget.content;
              return [activeCellIndex, mode, widgets.map(cell => cell.model.id)];
            }"""
        )


@pytest.fixture(scope="module")
def visitor(browser, jupyter):
    address, token = jupyter
    visitor = Lab(browser, address, {"width": 1200, "height": 1500}, "light")
    visitor.page.set_default_timeout(SECONDS * 1000)
    visitor.page.goto(f"{address}lab/tree/live.ipynb?token={token}")
    visitor.page.wait_for_function(
        """() => {
          const { context, sessionContext } = window.jupyterapp?.shell?.currentWidget ?? {};
          return context?.isReady && sessionContext.session?.kernel?.status === "idle";
        }"""
    )
    assert visitor.run(IMPORTS, cell=0) == []
    yield visitor
    visitor.context.close()


@pytest.fixture
def lab(visitor):
    """JupyterLab with a new playground `p`; Python notes its changes."""
    visitor.problems.clear()
    visitor.show(NEW)
    yield visitor
    assert not visitor.problems


@pytest.mark.parametrize(
    "kind, dx, dy, keys, by",
    [
        ("coefs", 0, 30, ["ArrowUp", "Shift+ArrowDown"], -0.2),
        ("knots", -15, 0, ["ArrowRight", "Shift+ArrowLeft"], -0.08),
    ],
)
def test_drags_and_keys_reach_python_and_nothing_else(lab, kind, dx, dy, keys, by):
    start = lab.agreed()
    index = 2 + (kind == "knots") * (start["degree"] + 1)
    lab.drag(lab.handle(kind, 2), dx, dy)
    held = lab.agreed()  # Python does not wait for the end of the drag
    lab.page.mouse.up()
    lab.handle(kind, 2).click()
    assert held[kind][index] < start[kind][index] and held == start | {kind: held[kind]}
    before = lab.jupyter_state()
    lab.press(*keys, "a", "x", "d", "d", "Enter")
    assert lab.jupyter_state() == before
    values = list(held[kind])
    values[index] = round(values[index] + by, 3 if kind == "coefs" else 4)
    lab.agreed(**{kind: values})
    changes = lab.ask("changes")
    assert [kind, held[kind]] in changes and {name for name, _ in changes} == {kind}
    lab.handle(kind, 2).click()
    lab.press("Control+z", "Control+z")
    assert lab.jupyter_state() == before
    lab.agreed(**start)


def test_keys_move_a_slider_and_nothing_else(lab):
    lab.part("[name=grid_size]").focus()
    before = lab.jupyter_state()
    lab.press("ArrowUp", "ArrowRight", "ArrowUp", "ArrowDown", "b", "x")
    assert lab.jupyter_state() == before
    lab.agreed(grid_size=7)


@pytest.mark.parametrize(
    "code, expected",
    [
        ("p.degree = 2; p.domain = (0, 2.5)", {"degree": 2, "domain": [0, 2.5]}),
        ("p.coefs = [1.0, -2.0] * 4", {"coefs": [1, -2] * 4}),
        ("p.knots = [t / 10 for t in range(-60, 60, 10)]", {"domain": [-3, 2]}),
        ("for size in range(1, 16): p.grid_size = size", {"grid_size": 15}),
        ("p.coefs = [float('nan')] * 8", {}),
    ],
)
def test_page_shows_what_python_sets(lab, code, expected):
    before = lab.agreed()
    errors = lab.run(code)
    assert [error["ename"] for error in errors] == ([] if expected else ["TraitError"])
    lab.agreed(**(expected or before))


@pytest.mark.parametrize("link", ["jslink", "link"])
def test_linked_slider(lab, link):
    lab.show(NEW + LINKED.format(link=link))
    slider = lab.page.locator(f"{PANEL} .widget-slider")
    for degree, control in ((4, slider.locator(".noUi-handle")), (5, lab.part("[name=degree]"))):
        control.focus()
        lab.press("ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowRight", "ArrowRight")
        before = lab.agreed(degree=degree), lab.ask("changes")
    lab.page.wait_for_timeout(400)
    assert (lab.agreed(), lab.ask("changes")) == before  # the two do not chase each other
    assert lab.ask("slider.value") == 5
    assert slider.locator(".widget-readout").inner_text() == "5"


def test_theme_follows_that_of_jupyterlab(lab):
    for theme in ("Dark", "Light"):
        lab.command("apputils:change-theme", theme=f"JupyterLab {theme}")
        lab.page.wait_for_selector(f"{PLAYGROUND}[data-theme={theme.lower()}]")
        lab.page.wait_for_selector("#jupyterlab-splash", state="detached")  # the change is complete


# The error that the page shows, from the network that it sent: on the centers of 30 x 30 squares.
ERROR = """\
centers = (2 * torch.arange(30, dtype=torch.float64) + 1) / 30 - 1
x = torch.cartesian_prod(centers, centers)
def error(k):
    y = torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:] ** 2)
    return ((k.model()(x) - y).square().mean().sqrt() / y.std(correction=0)).item()
"""


def shown_error(lab):  # two digits
    text = lab.page.locator(f"{KAN_LAB} .kan-now").text_content()
    return float(text.split()[1])


def show_lab(lab, code):
    lab.run(ERROR + code + "\ndisplay(k)", cell=1)
    lab.page.locator(f"{KAN_LAB} .edges .curve[d]").first.wait_for(state="attached")


def has_edges(lab, count):
    lab.page.wait_for_function(
        "([path, n]) => document.querySelectorAll(path).length === n",
        arg=[f"{KAN_LAB} .edges [role=button]", count],
    )


def press(lab, action):
    lab.page.locator(f"{KAN_LAB} [data-do={action}]").first.click()


def agree(lab, expression):
    """Until Python knows what the page has sent."""
    deadline = time.monotonic() + SECONDS
    while not lab.ask(expression):
        assert time.monotonic() < deadline, expression


def train(lab, steps):
    """Plays for so many steps at least, until Python has heard of the end."""
    press(lab, "play")
    reached = "([path, n]) => +document.querySelector(path).textContent.match(/\\d+/)[0] >= n"
    lab.page.wait_for_function(reached, arg=[f"{KAN_LAB} .now", steps])
    press(lab, "play")
    agree(lab, f"k.steps >= {steps} and not k.playing")


def test_lab_shows_what_python_sets(lab):
    show_lab(lab, "k = KANLab()")
    has_edges(lab, 15)
    lab.run("k.task = 'zigzag'")
    lab.page.wait_for_selector(f"{KAN_LAB}[data-task=zigzag]")
    has_edges(lab, 10)
    errors = lab.run("k.degree = 9")
    assert [error["ename"] for error in errors] == ["TraitError"]
    lab.run("k.widths = (1, 3, 1)")
    has_edges(lab, 6)


def test_lab_shows_a_model_and_its_training_reaches_python(lab):
    code = """\
model = KAN([2, 3, 1], base=torch.nn.functional.silu, bias=True, generator=0)
update_grid(model, x.float())
k = KANLab(model, speed=50)"""
    show_lab(lab, code)
    has_edges(lab, 9)
    start = lab.ask("error(k)")
    assert start == pytest.approx(shown_error(lab), rel=0.05)
    assert lab.ask("(k.model()(x) - model.double()(x)).abs().max().item()") < 1e-12
    train(lab, 300)
    assert lab.ask("error(k)") == pytest.approx(shown_error(lab), rel=0.05)
    assert shown_error(lab) < start / 2
    lab.page.locator(f"{KAN_LAB} [data-more]").click()
    press(lab, "extend")
    agree(lab, "k.model()[0].grid_size == 10")
