"""The benchmark's own arithmetic, on kanbook and PyTorch alone: no other package, no clock."""

import json
import platform
import subprocess
import sys
from itertools import product

import pytest
import sympy
import torch
from helpers import needs

import evidence
import kanbook
from evidence.benchmark import alone, chips, hellokan, microcontroller, speed
from evidence.runs import rivals
from evidence.tasks.laws import law, numeric

NAMES = ["kanbook", "kanbook, uneven knots", "kanbook, silu", "nn.Linear", "floor"]
SETTING = (8, 3, 2, 5, 3, "float32")


def test_speed(tmp_path):
    found = speed.speed(SETTING, NAMES, rounds=3)
    assert not found["skipped"]
    speed.save(path := tmp_path / "benchmark.json", {"speed": found["speed"]}, {})
    frame = evidence.load_benchmark("speed", path=path).set_index("contestant")
    assert [*frame.index] == NAMES and (frame.milliseconds > 0).all()
    assert [*frame.index[frame.ratio.notna()]] == NAMES[1:]
    assert (frame.ratio_low <= frame.ratio).sum() == (frame.ratio <= frame.ratio_high).sum() == 4
    exact = frame[["difference", "worst"]]
    assert [*exact.dropna().index] == NAMES[:3] and (exact.dropna() < 1e-6).all(axis=None)
    assert {*frame.worst_at.dropna()} <= {"knots", "ends", "far"}


def test_alone():
    rows = [*alone.take_turns([(*SETTING, 1)], layers=["floor", "missing"], rounds=1, calls=2)]
    assert [row["memory"] for row in rows] == ["as shipped"] * 3 + ["kept"] * 3
    assert [row.get("milliseconds", 0) > 0 for row in rows] == [True, False, False] * 2
    assert alone.measure("kanbook", False, SETTING, threads=torch.get_num_threads(), calls=2)


def test_others_alone_get_no_memory_from_kanbook():
    code = f"import runpy, sys; runpy.run_path({alone.__file__!r}, run_name='__main__')"
    code += "; assert 'torch' in sys.modules and 'kanbook' not in sys.modules"
    job = {"layer": "floor", "compiled": False, "setting": SETTING, "threads": 1, "calls": 1}
    subprocess.run([sys.executable, "-c", code, json.dumps(job)], check=True)


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries keep memory or not"
)
def test_a_step_keeps_its_memory():
    job = {"layer": "kanbook", "compiled": False, "setting": (1024, 64, 64, 5, 3, "float32")}
    job = json.dumps(job | {"threads": 1, "calls": 10})
    found = subprocess.run([sys.executable, alone.__file__, job], check=True, capture_output=True)
    assert json.loads(found.stdout)["faults"] < 100  # 2,000 if it is given back


@pytest.mark.parametrize(
    "where, wrong",
    [
        ("as timed", lambda x, y: y + 0.1),
        ("knots", lambda x, y: y + 0.1 * (x[:, :1] == 0.2)),
        ("ends", lambda x, y: y + 0.1 * (x[:, :1].abs() == 1.001)),
        ("far", lambda x, y: y + 0.1 * (x[:, :1].abs() >= 100)),
    ],
)
def test_errors_are_found_where_they_are(where, wrong):
    layer = speed.silu_layer(*SETTING[1:])
    x = torch.rand(8, 3)
    asked = [*speed.tried(layer, speed.SILU, x)]
    found = speed.errors(lambda x: wrong(x, layer(x)), asked, x)
    largest = max(y.abs().max().item() for _, _, y in asked)
    assert found["worst_at"] == where or where == "as timed"
    large = found["difference" if where == "as timed" else "worst"]
    assert 0.1 / largest < large * 1.01 and large < 1
    assert (found["difference"] < 1e-6) == (where != "as timed")


def test_the_steps_of_chapter_13(tmp_path):
    speed.save(path := tmp_path / "benchmark.json", speed.run_job("steps", calls=1, rounds=3), {})
    steps = evidence.load_benchmark("steps", path=path)
    assert {*steps.step} > {"per edge", "by hand", "kanbook"}
    assert [*steps.ratio[steps.step == "kanbook"]] == [1, 1]
    assert (evidence.load_benchmark("profile", path=path).milliseconds > 0).all()


def test_the_target_is_reached_where_the_error_is_below_it():
    row = speed.training_row("kanbook", 0, [(0.5, 5, 0.1), (1.0, 10, 9e-4), (2.0, 20, 1e-4)])
    assert (row["seconds_to_target"], row["evaluations"], row["error"]) == (1, 20, 1e-4)
    assert speed.training_row("pykan", 0, [(4.0, 40, 1)])["seconds_to_target"] is None


def test_hellokan_tells_the_law_from_what_is_near_it():
    pytest.importorskip("kan")

    def right(data, seed):
        return sympy.sympify("1.0001*exp(0.25*(2.0*x2 - 0.0002)**2 + sin(3.1416*x1))")

    def wrong(data, seed):
        return sympy.sympify("exp(x2**2 + tanh(3*x1))")

    rows = hellokan.hellokan([7], [right, wrong])["hellokan"]
    assert [row["package"] for row in rows] == ["right", "wrong"]
    assert [row["equal"] for row in rows] == [True, False]
    assert 1e-5 < rows[0]["error"] < 1e-3 < 0.1 < rows[1]["error"]
    assert torch.get_default_dtype() == torch.float32


def test_stored_hellokan():
    frame = evidence.load_benchmark("hellokan").set_index(["package", "seed"])
    assert sorted(frame.index) == sorted(product(["kanbook", "pykan"], hellokan.SEEDS))
    inputs, targets = law("exp_sine", generator=1)
    for row in frame.itertuples():
        miss = numeric(row.formula, 2)(inputs.numpy()) - targets[:, 0].numpy()
        assert row.error == pytest.approx((miss**2).mean() ** 0.5, rel=0.5, abs=1e-12)


STORED = "program", "inputs", "dtype", "optimize"


@needs("arm-none-eabi-gcc", "qemu-system-arm")
def test_instructions_come_out_again():
    found = [row for row in microcontroller.contestants() if row[0]["inputs"] == 2]
    # The emulator's outputs are compared with the networks' in there, and its clock is tested.
    rows = microcontroller.measure(found)
    stored = evidence.load_benchmark("microcontroller").set_index([*STORED])
    for row in rows:
        before = stored.loc[tuple(row[name] for name in STORED)]
        for name in ("instructions", "bytes", "linked_bytes"):  # another compiler, other counts
            assert row[name] == pytest.approx(before[name], rel=0.25), (row, name)
    wrong = (found[0][0], lambda x: x[:, 0], found[0][2])
    with pytest.raises(AssertionError, match="'KAN, degree 3'.* is wrong"):
        microcontroller.measure([wrong])


def test_stored_instructions():
    frame = evidence.load_benchmark("microcontroller")
    assert not frame.duplicated([*STORED]).any() and {*frame.inputs} == {1, 2, 3, 10}
    assert (frame.instructions > 0).all() and (frame.bytes <= frame.linked_bytes).all()
    with pytest.raises(ValueError, match="part='size'; expected one of"):
        evidence.load_benchmark("size")
    versions = frame.attrs["provenance"]["versions"]
    assert [*versions] == ["torch", "arm-none-eabi-gcc", "qemu-system-arm"]
    several = frame[(frame.dtype == "float32") & (frame.inputs > 1)].set_index("inputs")
    kan, mlp = (several[several.program == name] for name in ("KAN, degree 3", "MLP, tanh"))
    assert ((kan.parameters / mlp.parameters - 1).abs() < 0.02).all()


def test_stored_networks_have_equal_parameters():
    assert ((evidence.load_benchmark("tanh").parameters / 2600 - 1).abs() < 0.02).all()
    frame = evidence.load_benchmark("prediction").astype({"widths": str})
    sizes = frame.groupby("widths").parameters
    assert (sizes.max() / sizes.min() < 1.02).all() and len(sizes) == 2


@needs("clang")
@pytest.mark.parametrize("name", speed.tanh_readings.IN_TINYGRAD)
def test_layers_in_tinygrad_are_those_of_kanbook(name, monkeypatch):
    for variable, value in speed.tanh_readings.ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    tinygrad = pytest.importorskip("tinygrad")
    layer = {
        "MLP": torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh()),
        "tanh after the sum": kanbook.TanhLayer(3, 2, tanh="sum", generator=0),
        "tanh on every edge": kanbook.TanhLayer(3, 2, generator=0),
        "soft KAN": rivals.SoftKANLayer(3, 2, generator=0),
    }[name]
    numbers = [p.detach() for p in layer.parameters()]
    numbers = [numbers[0].T, numbers[1]] if name == "MLP" else numbers
    function, shapes = speed.tanh_readings.LAYERS[name]
    assert [tuple(n.shape) for n in numbers] == shapes(3, 2)
    x = 1.5 * torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    given = [tinygrad.Tensor(n.numpy()) for n in (x, *numbers)]
    found = torch.tensor(function(*given, tanh=True).numpy())
    assert torch.allclose(found, layer(x), atol=1e-5)


@needs("arm-none-eabi-gcc", "qemu-system-arm")
def test_two_chips_give_the_integers_of_numpy():
    rows = [*chips.measure(counts=(3,), rows=500)]
    assert len(rows) == 2 * 6
    for row in rows:
        if "float" in row["program"]:
            assert row["worst"] < 1e-5 and "different" not in row
        else:
            assert row["different"] == 0 and 1e-3 < row["error"] < row["worst"] < 0.3
        assert row["instructions"] > 0 and row["flash"] > row["data"] / 2 and row["ram"] > 0
    counts = {(row["chip"], row["program"]): row["instructions"] for row in rows}
    soft, hard = (counts[chip, "MLP, float"] for chip in chips.CHIPS)
    assert soft > 5 * hard  # what floating point takes where there is none
