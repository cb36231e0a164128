"""The benchmark's own arithmetic, on kanbook and PyTorch alone: no other package, no clock."""

import json
import math

import benchmark
import pytest

from kanbook import results

NAMES = ["kanbook", "kanbook, uneven knots", "kanbook, silu", "nn.Linear", "floor"]


def test_speed(monkeypatch, capsys):
    monkeypatch.setitem(benchmark.CONTESTANTS, "absent", (lambda layer: 1 / 0, "kanbook", True))
    names = [*NAMES, "absent"]
    setting = (8, 3, 2, 5, 3, "float32")
    result = benchmark.speed(setting, names, rounds=3)
    assert list(result["seconds"]) == NAMES
    assert list(result["ratios"]) == NAMES[1:]
    assert all(low <= middle <= high for low, middle, high in result["ratios"].values())
    assert result["difference"].keys() == {"kanbook, silu"}
    assert result["difference"]["kanbook, silu"] < 1e-6
    assert result["skipped"] == {"absent": "ZeroDivisionError: division by zero"}

    benchmark.print_speed([(benchmark.describe(setting), result)], names)
    printed = capsys.readouterr().out
    assert "| 8, 3 -> 2, G=5, k=3, float32 | " in printed
    assert "absent: ZeroDivisionError" in printed


def test_ratios_of_training_leave_out_what_was_not_reached(capsys):
    ours = [["train_kanbook", 1.0, 10, 2.0, 20, 1e-4], ["train_kanbook", 3.0, 30, 4.0, 40, 1e-4]]
    theirs = [["train_pykan", 2.0, 10, 4.0, 20, 1e-4], ["train_pykan", *[math.inf] * 2, 4.0, 40, 1]]
    benchmark.print_accuracy(ours + theirs, ladder=[3, 5])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "seconds to" in line]
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[2:5] == ["2.00 (1.00-3.00)", "inf (2.00-inf)", "0.5 (0.5-0.5)"]


def test_what_is_saved_is_what_is_loaded(tmp_path):
    setting = (8, 3, 2, 5, 3, "float32")
    speed = benchmark.speed(setting, NAMES, rounds=3)
    memory = {"kanbook": {"mebibytes": 3.5}, "pykan": {"skipped": "9 GiB needed"}}
    training = [["train_kanbook", 1.0, 10, 2.0, 20, 1e-4]]
    training += [["train_pykan", math.inf, math.inf, 4, 40, 1]]
    path = tmp_path / "benchmark.json"
    benchmark.save(path, {"speed": [{"contestant": "old"}]}, {"date": "yesterday"})
    training = list(benchmark.training_rows(training))
    benchmark.save(path, {"training": training}, {"date": "long ago"})
    parts = {
        "speed": list(benchmark.speed_rows([(setting, 1, speed)])),
        "memory": list(benchmark.memory_rows([(setting, memory)])),
    }
    benchmark.save(path, parts, {"date": "today"})
    failed = list(benchmark.training_rows({"failed": "no package"}))
    benchmark.save(path, {"training": failed}, {"date": "tomorrow"})  # loses nothing
    json.loads(path.read_text(), parse_constant=pytest.fail)  # no NaN, no infinity

    frame = results.benchmark("speed", path=path).set_index("contestant")
    assert list(frame.index) == NAMES
    assert frame.attrs["provenance"] == {"date": "today"}
    assert frame.loc["floor", "milliseconds"] == 1e3 * speed["seconds"]["floor"]
    assert frame.loc["floor", "ratio"] == speed["ratios"]["floor"][1]
    assert math.isnan(frame.loc["kanbook", "ratio"])
    frame = results.benchmark("memory", path=path)
    assert frame.mebibytes[0] == 3.5 and math.isnan(frame.mebibytes[1])
    frame = results.benchmark("training", path=path).set_index("package")
    assert frame.loc["kanbook", "seconds_to_target"] == 1
    assert math.isnan(frame.loc["pykan", "seconds_to_target"])
    assert frame.attrs["provenance"] == {"date": "long ago"}


def test_the_steps_of_chapter_16(capsys):
    result = benchmark.run_job("steps", calls=1, rounds=3)
    assert {row["step"] for row in result["steps"]} > {"per edge", "by hand", "kanbook"}
    ours = [row["ratio"] for row in result["steps"] if row["step"] == "kanbook"]
    assert ours == [1, 1] and all(row["milliseconds"] > 0 for row in result["profile"])
    benchmark.print_steps(result)
    assert "1 (1-1)" in capsys.readouterr().out


def test_no_part_and_no_file(tmp_path):
    path = tmp_path / "benchmark.json"
    with pytest.raises(results.ResultsError, match="benchmark.json cannot be read .* make bench"):
        results.benchmark(path=path)
    path.write_text('{"speed": {"provenance": {}, "rows": []}}')
    with pytest.raises(ValueError, match="part='size'; expected one of 'speed'"):
        results.benchmark("size", path=path)


def test_a_folder_that_is_missing_is_found_out_first(tmp_path, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["--quick", "--save", str(tmp_path / "none" / "x.json")])
    assert "there is no folder" in capsys.readouterr().err
