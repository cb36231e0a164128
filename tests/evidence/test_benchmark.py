"""The benchmark's own arithmetic, on kanbook and PyTorch alone: no other package, no clock."""

import json
import math

import pytest
import torch
from helpers import needs

import evidence
import kanbook
from evidence.benchmark import microcontroller, speed
from evidence.runs import rivals

NAMES = ["kanbook", "kanbook, uneven knots", "kanbook, silu", "nn.Linear", "floor"]
SETTING = (8, 3, 2, 5, 3, "float32")
TRAINED = [
    speed.training_row("kanbook", 0, [(0.5, 5, 0.1), (1.0, 10, 9e-4), (2.0, 20, 1e-4)]),
    speed.training_row("pykan", 0, [(4.0, 40, 1)]),
]


def test_speed(monkeypatch, tmp_path):
    absent = (lambda layer: 1 / 0, speed.SILU, "kanbook")
    monkeypatch.setitem(speed.CONTESTANTS, "absent", absent)
    found = speed.speed(SETTING, [*NAMES, "absent"], rounds=3)
    assert found["skipped"] == {"absent": "ZeroDivisionError('division by zero')"}
    speed.save(path := tmp_path / "benchmark.json", {"speed": found["speed"]}, {})
    frame = evidence.load_benchmark("speed", path=path).set_index("contestant")
    assert [*frame.index] == NAMES and (frame.milliseconds > 0).all()
    assert [*frame.index[frame.ratio.notna()]] == NAMES[1:]
    assert (frame.ratio_low <= frame.ratio).sum() == (frame.ratio <= frame.ratio_high).sum() == 4
    exact = frame[["difference", "worst"]]
    assert [*exact.dropna().index] == NAMES[:3] and (exact.dropna() < 1e-6).all(axis=None)
    assert {*frame.worst_at.dropna()} <= {"knots", "ends", "far"}


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


def test_single_predictions(monkeypatch, tmp_path):
    how = {"eager": speed.HOW["eager"], "wrong": lambda model, x: lambda x: model(x) + 1}
    monkeypatch.setattr(speed, "HOW", how)  # no compiler
    found = speed.prediction((2, 5, 1), rounds=3)
    assert [*found["skipped"]] == ["KAN, wrong", "MLP, wrong"]
    speed.save(path := tmp_path / "benchmark.json", {"prediction": found["prediction"]}, {})
    frame = evidence.load_benchmark("prediction", path=path)
    assert [*frame.model] == ["KAN", "MLP"] and (frame.how == "eager").all()
    assert (frame.microseconds_low <= frame.microseconds).all() and (frame.microseconds > 0).all()
    kan, mlp = frame.parameters
    assert kan == kanbook.count_parameters(kanbook.KAN([2, 5, 1])) and 0.98 < kan / mlp < 1.02


@needs("git")
def test_checkouts_take_part_where_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHONPATH", "before")
    (tmp_path / "fast-kan" / "fastkan").mkdir(parents=True)
    names, commits = speed.find_checkouts(tmp_path)
    assert speed.os.environ["PYTHONPATH"].split(":") == ["before", str(tmp_path / "fast-kan")]
    assert {*speed.CONTESTANTS} - {*names} == {"efficient-kan", "efficient-kan, compiled"}
    assert [*commits] == ["fast-kan"]
    assert capsys.readouterr().out.splitlines() == [
        "left out: efficient-kan: needs a checkout of that name in --peers FOLDER"
    ]


def test_what_is_saved_is_what_is_loaded(tmp_path):
    path = tmp_path / "benchmark.json"
    speed.save(path, {"training": [{"package": "old"}]}, {"date": "yesterday"})
    memory = [{"mebibytes": 3.5}, {"mebibytes": None}]
    speed.save(path, {"memory": memory}, {"date": "long ago"})
    speed.save(path, {"training": TRAINED}, {"date": "today"})
    json.loads(path.read_text(), parse_constant=pytest.fail)  # no NaN, no infinity
    frame = evidence.load_benchmark("training", path=path)
    assert frame.seconds_to_target[0] == 1 and math.isnan(frame.seconds_to_target[1])
    assert [*frame.evaluations] == [20, 40] and [*frame.error] == [1e-4, 1]
    assert frame.attrs["provenance"] == {"date": "today"}
    frame = evidence.load_benchmark("memory", path=path)
    assert frame.mebibytes[0] == 3.5 and math.isnan(frame.mebibytes[1])
    assert frame.attrs["provenance"] == {"date": "long ago"}


def test_the_steps_of_chapter_13_and_a_part_that_fails(tmp_path, monkeypatch, capsys):
    path = tmp_path / "benchmark.json"
    speed.save(path, {"training": TRAINED}, {"date": "yesterday"})
    (broken := tmp_path / "python").write_text("#!/bin/sh\necho ValueError: no >&2\nexit 1\n")
    broken.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(speed.sys, "executable", str(broken))
        assert speed.run_job("accuracy") == {}
    assert "accuracy threads 1: failed: ValueError: no" in capsys.readouterr().out
    real = speed.run_job
    job = lambda name, **more: real(name, calls=1, rounds=3) if name == "steps" else {}  # noqa: E731
    monkeypatch.setattr(speed, "run_job", job)
    speed.main(["--parts", "steps", "training", "--save", str(path)])
    assert "ratio_high" in capsys.readouterr().out
    steps = evidence.load_benchmark("steps", path=path)
    assert {*steps.step} > {"per edge", "by hand", "kanbook"}
    assert [*steps.ratio[steps.step == "kanbook"]] == [1, 1]
    assert (evidence.load_benchmark("profile", path=path).milliseconds > 0).all()
    kept = evidence.load_benchmark("training", path=path).attrs["provenance"]
    assert kept == {"date": "yesterday"}, "of a part that fails, the old is kept"


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
    versions = frame.attrs["provenance"]["versions"]
    assert [*versions] == ["torch", "arm-none-eabi-gcc", "qemu-system-arm"]
    several = frame[(frame.dtype == "float32") & (frame.inputs > 1)].set_index("inputs")
    kan, mlp = (several[several.program == name] for name in ("KAN, degree 3", "MLP, tanh"))
    assert ((kan.parameters / mlp.parameters - 1).abs() < 0.02).all()


def test_who_has_no_compiler_reads_what_to_install(monkeypatch):
    monkeypatch.setattr(microcontroller.shutil, "which", lambda program: None)
    with pytest.raises(SystemExit, match="no arm-none-eabi-gcc here.*: apt-get install gcc-arm"):
        microcontroller.measure([])


def test_no_file_no_part_and_no_folder(tmp_path, capsys):
    path = tmp_path / "benchmark.json"
    speed.save(path, {"speed": []}, {})
    with pytest.raises(ValueError, match="part='size'; expected one of 'speed'"):
        evidence.load_benchmark("size", path=path)
    with pytest.raises(SystemExit):
        speed.main(["--quick", "--save", str(tmp_path / "none" / "x.json")])
    assert "there is no folder" in capsys.readouterr().err


def test_the_readings_of_the_tanh(monkeypatch, tmp_path):
    monkeypatch.setattr(speed.tanh_readings, "BATCH", 8)
    monkeypatch.delitem(speed.tanh_readings.FAMILIES, "PyKAN")
    found = speed.tanh(rounds=3, frameworks=["PyTorch"])
    assert found["skipped"] == {}
    speed.save(path := tmp_path / "benchmark.json", {"tanh": found["tanh"]}, {})
    frame = evidence.load_benchmark("tanh", path=path).set_index("contestant")
    assert {*frame.index} == {*speed.tanh_readings.FAMILIES}
    assert (frame.milliseconds > 0).all() and frame.ratio[speed.tanh_readings.SUM] == 1
    assert (frame.ratio_low <= frame.ratio).all() and (frame.ratio <= frame.ratio_high).all()
    assert ((frame.parameters / 2600 - 1).abs() < 0.02).all()


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
