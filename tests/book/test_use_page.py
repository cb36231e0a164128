"""What readers copy runs: how to use kanbook, to compare by it, to come from PyKAN; the cheat
sheet; the answers of chapter 19.
"""

import copy
import ctypes
import functools
import inspect
import json
import re
import subprocess
import warnings
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import pandas
import pytest
import scipy.interpolate
import torch
from helpers import needs

import evidence
from kanbook import KAN, KANLayer, KANRegressor, _estimator, certainty, estimators, export, rivals
from kanbook.racing import Race, race
from notebook_files import ROOT

NAMES = "use_in_your_project", "compare", "from_pykan", "cheat_sheet"
USE, COMPARE, PYKAN, SHEET = ((ROOT / "book" / f"{name}.md").read_text("utf-8") for name in NAMES)


def blocks(language, page=USE):
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)


def run(page, folder):
    """The names that the page's Python leaves, and what it prints."""
    names = {}
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(StringIO()) as printed,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "X does not have valid feature names")  # MAPIE's
        warnings.filterwarnings("ignore", category=FutureWarning)  # torch.onnx, of torch itself
        patch.chdir(folder)
        for block in blocks("python", page):
            exec(compile(block, "page", "exec"), names)
    plt.close("all")
    return names, printed.getvalue()


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder in which the page's Python ran, its names, and what it printed."""
    folder = tmp_path_factory.mktemp("page")
    return folder, *run(USE, folder)


def test_its_tables_are_learned(ran):
    _, names, printed = ran
    assert float(re.search(r"R² on new rows: ([\d.]+)", printed)[1]) > 0.98
    rent, ends = names["flats"].rent[470:].to_numpy(), names["ends"][:, :, 0]
    assert np.mean((ends[:, 0] < rent) & (rent < ends[:, 1])) > 0.75
    assert "depth*width complete" in printed and "\nexp(x2**2 + sin(pi*x1))\n" in printed


def test_its_race_came_out_so(ran):
    """The table that the page shows: errors to a third, and what is clear."""
    shown, found = blocks("text")[0], ran[1]["found"]
    rows = dict(re.findall(r"^([a-zA-Z ]+?) +([\d.]+) +0\.", shown, re.M))
    assert sorted(rows) == sorted(found.table.index)
    for name, row in found.table.iterrows():
        assert row.error == pytest.approx(float(rows[name]), rel=0.33)
    for name in ("linear", "additive"):
        assert f"{name} against the KAN: {found.table.word[name]}; its error is" in shown
    assert re.search(r"\ninput.*\narea .*\ndistrict ", ran[2])


def test_its_network_learns_and_goes_out_of_python(ran):
    folder, names, printed = ran
    x, saddle = names["x"], names["saddle"]
    assert 0 < names["history"].validation_loss[-1] < 1e-4
    slopes = names["slopes"][:, :, 0].T.detach()  # of a product: the other factor
    torch.testing.assert_close(slopes, x[names["test"]].flip(1), rtol=0.1, atol=2.0)
    assert printed.count("torch.Size([32, 4])") == 3
    expected = names["mean"] + names["spread"] * names["model"](names["u"])
    torch.testing.assert_close(saddle(x), expected, rtol=1e-4, atol=0.05)
    for network in (names["body"], names["normal"]):
        export.to_c(network)
    session = onnxruntime.InferenceSession(folder / "saddle.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(found, saddle(x).detach(), rtol=1e-4, atol=0.05)


def test_its_two_layers_go_around_an_estimator(ran):
    X = np.random.default_rng(0).uniform(0, 9, (60, 2))
    y, affine = X.prod(1), ran[1]["affine"]
    model = KANRegressor((3,), optimizer="adam", steps=20, starts=1, random_state=0).fit(X, y)
    numbers = X.min(0), X.max(0), y.mean(keepdims=True), y.std(keepdims=True)
    low, high, mean, spread = map(torch.from_numpy, numbers)
    into, back = affine(2 / (high - low), -(high + low) / (high - low)), affine(spread, mean)
    whole = torch.nn.Sequential(into, model.model_, back)
    np.testing.assert_allclose(
        whole(torch.from_numpy(X)).detach()[:, 0], model.predict(X), rtol=1e-9
    )
    far = torch.tensor([[20.0, 4.0], [-9.0, 30.0]], dtype=torch.float64)
    with pytest.warns(RuntimeWarning, match="beyond the training rows"):
        expected = model.predict(far.numpy())
    found = whole(far.clip(low, high)).detach()[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert not np.allclose(whole(far).detach()[:, 0], expected, rtol=0.1)


def test_its_training_goes_on_where_it_was_killed(ran, tmp_path, monkeypatch):
    path, model, save = tmp_path / "checkpoint.pt", KAN([2, 3, 1], generator=0), torch.save

    def save_and_die(*what):
        save(*what)
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        ran[1]["long_training"](model, path, steps=300)
    monkeypatch.setattr(torch, "save", save)
    last = ran[1]["long_training"](KAN([2, 3, 1], generator=1), path, steps=300)
    found = model(ran[1]["u"][:700]), ran[1]["v"][:700]
    assert len(last.loss) == 200
    assert last.loss[0] == pytest.approx(torch.nn.functional.mse_loss(*found).item(), rel=0.1)


@needs("cc")
def test_its_c_computes_the_same(ran):
    folder, names, _ = ran
    (folder / "predict.c").write_text("".join(blocks("c")))
    options = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wdouble-promotion"]
    options += ["-shared", "-fPIC", "-lm", "-o", "predict.so"]
    subprocess.run(["cc", "predict.c", *options], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "predict.so"))
    x = torch.cat([names["x"][:50], torch.tensor([[-7.0, 30.0], [20.0, 90.0], [90.0, -40.0]])])
    for function in (library.predict, library.look_up):
        function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float] * 2
    found = torch.tensor([library.predict(*row) for row in x.tolist()])
    torch.testing.assert_close(found, names["saddle"](x).detach()[:, 0], rtol=1e-4, atol=0.05)
    found = [library.look_up(*row) for row in x.tolist()]
    grid = names["a"].double().numpy(), names["b"].double().numpy()
    between = scipy.interpolate.RegularGridInterpolator(grid, names["table"].detach().double())
    inside = x.maximum(names["low"]).minimum(names["high"]).double().numpy()
    inside = np.clip(inside, [axis[0] for axis in grid], [axis[-1] for axis in grid])
    np.testing.assert_allclose(found, between(inside), rtol=1e-4, atol=0.05)


@needs("node")
def test_its_javascript_runs(ran):
    (ran[0] / "page.mjs").write_text(blocks("javascript")[0])
    done = subprocess.run(["node", "page.mjs"], cwd=ran[0], check=True, capture_output=True)
    assert float(done.stdout.strip(b"[] \n")) == pytest.approx(200, abs=1)


def test_its_numbers_are_those_of_the_benchmark():
    frame = evidence.load_benchmark("microcontroller").query("inputs == 2").set_index("program")
    kan, text = frame.loc["KAN, degree 3"], " ".join(USE.split())
    single, fast, double = kan.instructions
    assert [*kan.dtype + kan.optimize] == ["float32-O2", "float32-O3", "float64-O2"]
    assert f"{single:,} instructions" in text and 0.4 < fast / single < 0.5
    assert f"{double / single:.0f} times as many" in text
    sizes = [f"{size / 1000:.1f} kB" for size in kan.linked_bytes]
    assert sizes == ["1.5 kB", "3.7 kB", "5.1 kB"] and all(size in text for size in sizes)
    table = frame.loc["table, 32 x 32"]
    cost = f"takes {table.instructions} instructions and {table.linked_bytes / 1000:.1f} kB"
    assert cost in text
    rows = evidence.load_benchmark("hellokan").groupby("package")
    seconds, exact = rows.seconds.median(), rows.equal.sum()
    assert f"took {seconds.kanbook:.1f} s of processor time" in text
    assert f"exact in {exact.kanbook} of 5, where" in text
    assert f"took {seconds.pykan:.0f} s and were exact in {exact.pykan} of 5" in text
    assert {*rows.size()} == {5}


def test_its_settings_for_a_table_are_those_of_the_estimator():
    (row,) = re.findall(r"^\| a noisy table.*", USE, re.M)
    (rate,), grids = KANRegressor.RATES, _estimator.doubled(estimators.GRIDS["adam"])
    assert f"Adam, {rate} falling to zero, {_estimator.STEPS['adam']} steps" in row
    assert KANRegressor()._sizes() == [(), (5,)] and "none or 5 hidden nodes" in row
    assert f"G {', then '.join(map(str, grids))}" in row
    (exact,) = re.findall(r"^\| some 1,000 exact.*", USE, re.M)
    grids = _estimator.doubled(estimators.GRIDS["lm"])
    for text in (row, exact):
        assert f"{_estimator.STEPS['lm']} steps" in text
        assert f"G {', '.join(map(str, grids))}" in text
    assert "a sum of curves and 5 hidden nodes" in exact and KANRegressor().starts == 2
    assert f"up to {_estimator.WORK:.0e}".replace("+0", "") in USE
    assert f"{_estimator.HELD:,} at most" in USE


def test_its_settings_for_many_samples_and_for_pixels_are_those_of_the_rows():
    (row,) = re.findall(r"^\| 10,000 exact.*", USE, re.M)
    frame = evidence.load("formulas-many")
    runs = frame[(frame.family == "KAN") & ~frame.task.str.contains("rotated")]
    assert {*runs.steps} == {2000} and {*runs.batch_size} == {500} and {*runs["size"]} == {1000}
    assert "Adam, 2,000 steps in batches of 500" in row and "1,000 parameters" in row
    assert runs.lr.between(0.01, 0.04).all() and "0.01 to 0.04 falling" in row
    layers = {len(widths) - 2 for widths in runs.widths}
    assert layers == {1, 2, 3} and "one to three hidden layers" in row
    (row,) = re.findall(r"^\| pixels.*", USE, re.M)
    frame = evidence.load("pictures").query("family == 'KAN' and size == 1000")
    best = frame.groupby("task")[["widths", "grid_size", "lr", "steps"]].first()
    assert (best == [(2, 24, 1), 11, 0.024, 2000]).all(axis=1).sum() == 5
    assert "`KAN([2, 24, 1], grid_size=11)`" in row and "2,000 steps, 0.024 falling" in row


# --- Your own comparison -------------------------------------------------------------------------


def test_the_comparison_came_out_so(tmp_path):
    names, _ = run(COMPARE, tmp_path)
    (shown,), found = blocks("text", COMPARE), names["found"]
    rows = dict(re.findall(r"^([a-zA-Z ]+?) +([\d.]+) +0\.", shown, re.M))
    assert [*rows] == ["additive", "linear", "MLP", "KAN", "boosted trees"]
    assert sorted(rows) == sorted(found.table.index)
    for name, row in found.table.iterrows():
        assert row.error == pytest.approx(float(rows[name]), rel=0.05)
        assert name == "KAN" or (row.word == "a tie" and f"{name} against the KAN: a tie;" in shown)
    text = " ".join(COMPARE.replace("\n> ", " ").split())
    assert found.folds == 5 and "[five random] folds" in text and "[four] comparisons" in text
    assert " 495 parameters " in found.how and "sized for [495] trainable" in text


def test_the_comparison_says_how_many_settings_are_tried():
    models = KANRegressor(parameters=495), estimators.MLPRegressor(parameters=495)
    rows = 442 * 4 // 5 * 4 // 5  # of five folds, and without those held out
    tries = [len([*model._tried((10, 1), rows, squares=True)]) for model in models]
    assert tries == [4, 8] and "[four settings of the KAN, eight of the MLP]" in COMPARE
    assert "the KAN tries\nfour here and the MLP eight" in COMPARE


def test_the_comparison_has_the_words_of_certainty():
    assert (certainty.TIE, certainty.LEVEL) == (1.2, 0.05)
    assert "interval within 1/1.2 to\n> 1.2" in COMPARE and "p is 0.05 or more" in COMPARE


# --- The cheat sheet -----------------------------------------------------------------------------


def test_the_sheet_has_the_training_of_the_estimator(monkeypatch):
    asked = []

    def note(model, *samples, **how):
        asked.append((model, how))

    x, y = torch.rand(50, 3), torch.rand(50, 1)
    monkeypatch.setattr("kanbook.fit", note)
    monkeypatch.setattr(_estimator, "fit", note)
    (code,) = blocks("python", SHEET)
    exec(code, {"x": x, "y": y, "x_held": x, "y_held": y})
    model, own = KANRegressor(), {"grid_size": estimators.GRIDS["adam"], "degree": 3}
    settings = {"hidden": (5,), "optimizer": "adam", "lr": KANRegressor.RATES[0], "own": own}
    settings |= {"steps": None, "batch": None}
    network = model._make((3, 1), settings, 0)
    _estimator.trial(network, (x.double(), y), (x.double(), y), None, settings, 0)
    (ours, told), (theirs, how) = asked
    widths, grids = ([(a.coef.shape, a.grid_size) for a in one] for one in (ours, theirs))
    assert widths == grids
    assert {*told["update_grid_at"]} == how["update_grid_at"]
    assert {1: ours[0].grid_size} | told["extend_grid_at"] == how["extend_grid_at"]
    assert [told["schedule"](t) for t in (0, 0.3)] == [how["schedule"](t) for t in (0, 0.3)]
    for name in ("steps", "patience", "lr"):
        assert told[name] == how[name]
    assert model.validation_fraction == 0.2 and "A fifth of the rows is held out" in SHEET
    grids = _estimator.doubled(estimators.GRIDS["lm"])
    assert all(b == 2 * a for a, b in pairwise(grids))
    said = (
        f"{_estimator.STEPS['lm']} steps and intervals that double from {grids[0]} to {grids[-1]}"
    )
    assert f"with {said}." in " ".join(SHEET.split())


def test_the_sheet_has_the_shapes_of_a_layer():
    layer = KANLayer(4, 3)
    (G, k), sizes = (layer.grid_size, layer.degree), {"I": 4, "O": 3}
    assert f"$G = {G}$, $k = {k}$\neight an edge" in SHEET and G + k == 8
    for name, shape in re.findall(r"`layer\.(\w+)`, `(\(.*?\))`", SHEET.replace("2k", "2*k")):
        assert getattr(layer, name).shape == eval(shape, {"G": G, "k": k} | sizes)
    assert [*dict(layer.named_parameters())] == ["coef"] and "`layer.knots`" in SHEET
    assert layer(torch.rand(7, 4)).shape == (7, 3)


def test_the_sheet_has_the_speed_of_the_rows():
    paces = evidence.paces(evidence.load("pace")).set_index(["task", "size", "family"])
    for name, low, high in (("step_ms", 2, 4), ("prediction_us", 10, 25)):
        times = paces[name].unstack()
        ratio = times.KAN / times.MLP
        assert low < ratio.min() and ratio.max() < high
    one = evidence.load_benchmark("prediction").query("how == 'exported'")
    one = one.pivot(index="widths", columns="model", values="microseconds")
    assert (one.KAN / one.MLP).between(1.25, 1.42).all()
    said = "two to four times an MLP's time for a step of training, "
    said += "ten to 25 times for one prediction,"
    assert f"{said} and a third more once exported" in " ".join(SHEET.split())


def test_the_sheet_says_what_helped_on_all_tasks():
    effects = evidence.effects(evidence.load("extras-factorial")).query("where == 'main'")
    main = evidence.judged(effects)
    helps = main.verdict.str.endswith("better").groupby(main.extra).all()
    assert [*helps.index[helps]] == ["extension"] and main.task.nunique() == 3


# --- Coming from PyKAN ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pykan(tmp_path_factory):
    return run(PYKAN, tmp_path_factory.mktemp("pykan"))[0]


def calls():
    """What runs, in the right column of the tables."""
    for line in PYKAN.splitlines():
        if line.startswith("| ") and not line.startswith("| PyKAN"):
            for code in re.findall("`([^`]*)`", re.split(r"(?<!\\) \| ", line)[1]):
                if re.search(r"[(\[]", code) and "..." not in code and not code.startswith("s1_"):
                    yield code.replace("\\|", "|")


@pytest.mark.filterwarnings("ignore:More than 20 figures")
def test_every_call_of_the_tables_runs(pykan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(pykan["formula"]) == "exp(x2**2 + sin(pi*x1))"
    assert len({*calls()}) > 50
    for code in dict.fromkeys(calls()):
        exec(code, pykan | {"model": copy.deepcopy(pykan["model"])})  # each on its own
    plt.close("all")


def test_no_argument_of_pykan_is_missing():
    theirs = pytest.importorskip("kan").KAN
    sections = re.findall(r"^## (`(?:model\.)?(\w+).*?)(?=^##|\Z)", PYKAN, re.M | re.S)
    for text, name in sections[:-1]:
        function = theirs.__init__ if name == "KAN" else getattr(theirs, name)
        for argument in [*inspect.signature(function).parameters][1:]:
            assert re.search(rf"`[^`]*\b{argument}\b", text), (name, argument)


def test_its_penalties_are_pykans(pykan, monkeypatch, tmp_path):
    kan = pytest.importorskip("kan")
    monkeypatch.chdir(tmp_path)
    options = {"grid": 4, "k": 3, "seed": 3, "auto_save": False}
    theirs = kan.KAN([2, 3, 1], **options)
    ours = KAN([2, 3, 1], grid_size=4, base=torch.nn.functional.silu, spline_weight=True)
    for layer, copied in zip(theirs.act_fun, ours, strict=True):
        copied.load_state_dict(
            copied.state_dict()
            | {"knots": layer.grid, "coef": layer.coef}
            | {"base_weight": layer.scale_base, "spline_weight": layer.scale_sp}
        )
    x = 2 * torch.rand(300, 2) - 1
    theirs.get_act(x)
    penalty = 0.001 * theirs.reg("edge_forward_spline_n", 1.0, 2.0, 0.0, 0.0)
    torch.testing.assert_close(pykan["pykan_penalty"](x)(ours), penalty, rtol=1e-4, atol=0)
    penalty = 0.5 * theirs.reg("edge_forward_spline_u", 1.0, 0.0, 0.0, 0.0)
    found = pykan["formulas"].fade(x, 0.5)(ours)
    torch.testing.assert_close(found, penalty, rtol=1e-2, atol=0)


# --- chapter 19 ----------------------------------------------------------------------------------


def test_the_answers_of_the_verdict_can_be_copied(monkeypatch):
    monkeypatch.setattr(_estimator, "STEPS", {"adam": 2, "lm": 1})
    cells = json.loads((ROOT / "notebooks" / "19_verdict.ipynb").read_text("utf-8"))["cells"]
    text = next(text for c in cells if 'class="chooser"' in (text := "".join(c["source"])))
    x = np.random.default_rng(0).uniform(-1, 1, (60, 2))
    frame = pandas.DataFrame(x, columns=["size", "age"]).assign(price=x.prod(1))
    quick = functools.partial(race, cv=2, progress=False)
    names = {"race": quick, "rivals": rivals, "scipy": scipy, "KAN": KAN, "frame": frame}
    names |= {"x": x, "y": x.prod(1), "new": x}
    starts = "rivals|race|KAN|scipy.interpolate.RBF"
    lines = set(re.findall(rf"(?:^|; |then )`((?:{starts}).*?\))`", text, re.M))
    assert len(lines) >= 7
    for line in lines:
        found = eval(line, names)
        assert not isinstance(found, Race) or found.table.failure.isna().all(), line
