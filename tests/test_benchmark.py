"""The benchmark's own arithmetic, on kanbook and PyTorch alone: no other package, no clock."""

import math

import benchmark

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
