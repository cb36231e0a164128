"""What readers copy runs: the page "Use kanbook in your project", the answers of chapter 19."""

import ctypes
import functools
import json
import re
import subprocess
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pandas
import pytest
import scipy.interpolate
import torch
from helpers import needs

import evidence
from kanbook import KAN, _estimator, rivals
from kanbook.racing import Race, race
from notebook_files import ROOT

PAGE = ROOT / "book" / "use_in_your_project.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder in which the page's Python ran, its names, and what it printed."""
    folder, names = tmp_path_factory.mktemp("page"), {}
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as printed:
        patch.chdir(folder)
        for block in blocks("python"):
            exec(compile(block, PAGE.name, "exec"), names)
    return folder, names, printed.getvalue()


def test_its_python_runs(ran):
    _, names, printed = ran
    assert 0 < names["history"].validation_loss[-1] < 1e-3
    assert torch.allclose(
        names["program"].module()(names["u"]), names["model"](names["u"]), atol=1e-5
    )
    assert names["least"].loss[-1] < 1e-2 * names["history"].validation_loss[-1] < 1e-5
    slopes = names["slopes"][:, :, 0].T.detach()  # of a product: the other factor
    torch.testing.assert_close(slopes, names["x"][names["test"]].flip(1), rtol=0.1, atol=2.0)
    assert "torch.Size([32, 4]) torch.Size([32, 4])" in printed


@needs("cc")
def test_its_c_computes_the_same(ran):
    folder, names, _ = ran
    (folder / "predict.c").write_text("".join(blocks("c")))
    options = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wdouble-promotion"]
    options += ["-shared", "-fPIC", "-lm", "-o", "predict.so"]
    subprocess.run(["cc", "predict.c", *options], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "predict.so"))
    predict, look_up = library.predict, library.look_up
    predict.restype = look_up.restype = ctypes.c_float
    x = torch.cat([names["x"][:50], torch.tensor([[-7.0, 30.0], [20.0, 90.0], [90.0, -40.0]])])
    found = torch.tensor([predict((ctypes.c_float * 2)(*row)) for row in x.tolist()])
    low, high, mean, spread = (names[name] for name in ("low", "high", "mean", "spread"))
    expected = names["predict"](x).detach()[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0.05)
    u = (2 * (x - low) / (high - low) - 1).clamp(-1, 1)
    found = [look_up((ctypes.c_float * 2)(*row)) for row in x.tolist()]
    grid, values = names["s"].double().numpy(), names["table"].detach().double().numpy()
    between = scipy.interpolate.RegularGridInterpolator((grid, grid), values)
    expected = mean.item() + spread.item() * between(u.double().numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=0.05)


def test_its_numbers_are_those_of_the_benchmark():
    frame = evidence.load_benchmark("microcontroller").query("inputs == 2").set_index("program")
    kan, text = frame.loc["KAN, degree 3"], " ".join(PAGE.read_text("utf-8").split())
    single, fast, double = kan.instructions
    assert [*kan.dtype + kan.optimize] == ["float32-O2", "float32-O3", "float64-O2"]
    assert f"{single:,} instructions" in text and 0.4 < fast / single < 0.5
    assert f"{double / single:.0f} times as many" in text
    sizes = [f"{size / 1000:.1f} kB" for size in kan.linked_bytes]
    assert sizes == ["1.5 kB", "3.7 kB", "5.1 kB"] and all(size in text for size in sizes)
    table = frame.loc["table, 32 x 32"]
    cost = f"takes {table.instructions} instructions and {table.linked_bytes / 1000:.1f} kB"
    assert cost in text


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
