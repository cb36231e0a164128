"""Tasks in phases: their samples, what is replayed, what a phase shares and moves."""

import math

import numpy as np
import pytest
import torch
from running import without_times

from evidence.runs import sequence
from evidence.tasks.tables import table
from kanbook import KAN, MLP

RUN = {"dtype": "float64", "optimizer": "adam", "lr": 0.1, "way": "in turn"}
SPLINE = RUN | {"task": "sequence:peaks", "model": "kan", "widths": [1, 1], "steps": 1000}
SPLINE |= {"grid_size": 200, "degree": 3}


def data(name, **more):
    return sequence.make_phases(RUN | {"task": f"sequence:{name}"} | more, 0)


def test_peaks_are_those_of_pykan():
    found = data("peaks")
    x, y = (t.numpy().ravel() for t in sequence.joined(found.train))
    centers = 2 / 5 * (np.arange(5) - 5 / 2 + 0.5)
    np.testing.assert_allclose(
        x, np.concatenate([np.linspace(c - 0.2, c + 0.2, 100) for c in centers]), atol=1e-15
    )
    np.testing.assert_allclose(y, sum(np.exp(-((x - c) ** 2) * 300) for c in centers), atol=1e-12)
    assert [len(x) for x, _ in found.test] == [400] * 5
    assert found.spread == pytest.approx(np.concatenate([y for _, y in found.test]).std(ddof=1))


def test_hills_have_their_own_stretch_of_both_axes_and_rotated_share_each_with_one_other():
    for name, partners in (("hills", [0, 0]), ("rotated hills", [1, 1])):
        for part in data(name)[:3]:
            for axis in (0, 1):
                ends = [(x[:, axis].min().item(), x[:, axis].max().item()) for x, _ in part]
                assert min(ends)[0] > -1 and max(b for _, b in ends) < 1
                for a, b in ends:  # a stretch overlaps with itself, too
                    assert sum(a < d and c < b for c, d in ends) == 1 + partners[axis]


def test_rotated_hills_are_the_same_hills():
    straight, turned = data("hills"), data("rotated hills")
    for (x, y), (u, v), (a, b) in zip(straight.test, turned.test, sequence.HILLS, strict=True):
        assert torch.equal(y, v) and u.norm(dim=1).allclose(x.norm(dim=1))
        center = np.array([a - b, a + b]) / 2**0.5
        near = np.exp(-((u.numpy() - center) ** 2).sum(1) / 2 / 0.06**2)
        np.testing.assert_allclose(v[:, 0], near, atol=1e-3)  # the other hills are far
        assert (u.numpy() - center).std() == pytest.approx(0.1, rel=0.05)  # uniform in a disk
    scaled = data("hills", input_scale=3)
    assert torch.equal(scaled.train[0][0], 3 * straight.train[0][0])
    assert torch.equal(scaled.train[0][1], straight.train[0][1])


def test_digits_come_in_pairs():
    found = data("digits")
    for part in found[:3]:
        assert [sorted(set(y.tolist())) for _, y in part] == [[2 * p, 2 * p + 1] for p in range(5)]
    assert sum(len(y) for part in found[:3] for _, y in part) == len(table("digits").targets)


def test_what_is_learned():
    phases = [(torch.full((20, 1), float(p)), torch.arange(20.0).view(-1, 1)) for p in range(3)]
    generator = torch.Generator().manual_seed(0)
    turns = sequence.lessons(phases, "in turn", generator)
    assert all(torch.equal(a, b) for a, b in zip(sum(turns, ()), sum(phases, ()), strict=True))
    ((x, _),) = sequence.lessons(phases, "at once", generator)
    assert len(x) == 60
    replayed = sequence.lessons(phases, "replay", generator)
    assert [x.flatten().int().tolist() for x, _ in replayed] == [
        [0] * 20,
        [1] * 20 + [0] * 2,
        [2] * 20 + [0] * 2 + [1] * 2,
    ]
    kept = replayed[2][1][20:22]
    assert torch.equal(replayed[1][1][20:], kept) and kept[0] != kept[1]  # the same two, always


def test_what_phases_share():
    """Of the splines of degree 1 with four knots a unit, those near x = 0.5 see -1 to 0.6, too."""
    model = KAN([1, 1], grid_size=8, degree=1)
    before, now = torch.linspace(-1, 0.49, 99), torch.linspace(0.3, 1, 99)
    (share,) = sequence.shared(model, before[:, None], now[:, None])
    assert share == pytest.approx(2 / 7)  # those at 0.25 and 0.5 of those at -1 to 0.5
    assert sequence.shared(MLP([1, 2, 1]), before[:, None], now[:, None]) == []
    (share,) = sequence.shared(model, before[:, None] + 9, now[:, None])
    assert math.isnan(share)


def test_one_spline_keeps_its_peaks_and_only_what_a_phase_sees_moves():
    found = sequence.learn_in_phases(SPLINE, 2000)
    assert found["test_error"] < 1e-3 and found["complete"] and found["parameters"] == 203
    errors = np.array([probe["errors"] for probe in found["probes"]])
    assert (errors[np.tril_indices(5)] < 2e-3).all() and (errors[np.triu_indices(5, 1)] > 0.3).all()
    last = found["probes"][-1]
    assert 3 <= last["shared"][0] * 163 < 5  # k of them, and one if a sample lies on the border
    assert 36 <= last["moved"][0] * 203 <= 43  # G / 5 + k are in use, some of them hardly
    assert found["curve"]["step"][-1] == 1000 == found["evaluations"]


def test_a_run_of_classes_repeats_to_the_last_digit():
    settings = RUN | {"task": "sequence:digits", "model": "mlp", "widths": [64, 9, 10]}
    settings |= {"steps": 50, "lr": 0.01, "way": "replay"}
    found = sequence.EXPERIMENT.maker({"stage": "result", "settings": settings, "seed": 2001})()
    assert without_times(found) == without_times(sequence.learn_in_phases(settings, 2001))
    assert 0.1 < found["accuracy"] < 0.9 and len(found["probes"]) == 5
    right = 1 - np.array(found["probes"][-1]["errors"])
    sizes = [len(y) for _, y in sequence.make_phases(settings, 2001).test]
    assert found["accuracy"] == pytest.approx(np.average(right, weights=sizes), abs=1e-3)
    short = sequence.learn_in_phases(settings, 2001, limit=0)
    assert not short["complete"] and short["curve"]["loss"] == found["curve"]["loss"][:1]


def test_all_networks_of_a_task_have_as_many_parameters():
    for settings in sequence.EXPERIMENT.settings:
        found = sequence.learn_in_phases(settings | {"steps": 5, "lr": 0.01}, 2002)
        assert abs(found["parameters"] / settings["size"] - 1) <= 0.02
        assert ("accuracy" in found) == (settings["task"] == "sequence:digits")
