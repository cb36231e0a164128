"""Networks in integers: samples, variants and their bytes, fronts, and how they are judged."""

import itertools

import numpy as np
import pytest
import torch
from pandas import DataFrame

from evidence import EXPERIMENTS
from evidence.runs import bits
from evidence.table import digest
from evidence.tasks import targets
from evidence.verdicts import bits as verdicts
from evidence.verdicts import outcomes, registry
from kanbook import KAN
from kanbook.lookup import to_tables

SETTINGS = EXPERIMENTS["bits"].settings


def some(task, side, **values):
    """The first settings with these values."""
    values |= {"task": task, "side": side}
    return next(s for s in SETTINGS if all(s.get(k) == v for k, v in values.items()))


def test_all_have_six_trials_of_their_own():
    sides = {(s["task"], s["side"]) for s in SETTINGS}
    assert len(SETTINGS) == 6 * len(sides) == len({digest(s) for s in SETTINGS})
    assert len(sides) == 9 * 4 + 4 and {*bits.FEW} == {t for t, side in sides if side == "table"}


def test_formulas_are_those_of_the_rule():
    left = {(kind, d): [] for kind, d in itertools.product(("axes", "generic"), (2, 3, 5, 10))}
    for name, one in targets.TARGETS.items():
        if one.kind != "rotated" and one.smooth:
            left[one.kind, one.inputs].append(f"formula:{name}")
    turns = ("axes", 2), ("generic", 2), ("axes", 3), ("generic", 5), ("axes", 10)
    assert bits.FORMULAS[1:] == tuple(left[turn][0] for turn in turns)


@pytest.mark.parametrize("task", [*bits.FORMULAS[:2], "table:digits"])
def test_samples_are_in_the_box_of_those_to_learn_from(task):
    parts = bits.make_parts(task, 1)
    (x, y), *_ = parts
    assert all(part.abs().max() <= 1 and part.dtype == torch.float64 for part, _ in parts)
    bounds = x.aminmax(dim=0)
    moves = bounds.min < bounds.max
    assert torch.allclose(bounds.min[moves], -torch.ones(()).double())
    assert torch.allclose(bounds.max[moves], torch.ones(()).double())
    if y.ndim > 1:
        assert abs(y.mean()) < 1e-12 and abs(y.std(correction=0) - 1) < 1e-12
        assert len(x) == 3000 and 4800 < len(parts[2][0]) <= 5000
    assert torch.equal(bits.make_parts(task, 1)[0][0], x)
    assert not torch.equal(bits.make_parts(task, 2)[0][0], x)


def beaten(front):
    """Whether one of them is beaten by another in bytes and validation error."""
    return any(a[0] >= b[0] or a[1] <= b[1] for a, b in itertools.pairwise(front))


def test_a_kan_keeps_every_variant(monkeypatch):
    monkeypatch.setattr(bits, "ENTRIES", (4, 8, 16))
    few = some("curve:sine", "KAN", hidden=[5]) | {"steps": 3}
    result = bits.run(few, 0)
    assert result["note"]["optimizer"] == "lm" and result["seconds"] > 0
    assert {*result["grid"]} == {*result["fronts"]} and len(result["grid"]) == 4
    assert np.shape([*result["grid"].values()]) == (4, len(bits.BITS), 3)
    edges, nodes = 10, 6
    for front in result["fronts"].values():
        assert not beaten(front)
        for size, _, _, width, entries in front:
            assert size == edges * (entries * (1 + (width > 8)) + 1) + 4 * nodes
    parts = bits.make_parts(few["task"], bits.FIRST)
    model, _ = bits.train(few, parts[0], bits.FIRST)
    made = to_tables(model, parts[0][0], entries=8, bits=6, scales="layer", centered=False)
    x, y = parts[2]
    off = (made.predict(x) - y.numpy()) / y.numpy().std()
    kept = result["grid"]["interpolated, gauge off"][bits.BITS.index(6)][1]
    assert kept == pytest.approx(np.sqrt(np.mean(off**2)), rel=0.01)
    with torch.no_grad():
        exact = (model(x) - y).square().mean().sqrt().item() / y.numpy().std()
    assert result["test_error"] == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(
    "wanted",
    [
        some("table:digits", "KAN", hidden=[3]),
        some("formula:exp_sine", "additive", grid_size=3),
        some("formula:exp_sine", "MLP", hidden=[6, 6]),
        some("table:digits", "MLP", activation="relu"),
        some("table:digits", "linear"),
        some("curve:sine", "linear"),
        some("curve:sine", "table"),
        some("formula:franke", "table"),
    ],
    ids=lambda wanted: f"{wanted['side']}, {wanted['task']}",
)
def test_every_side_gives_fronts(wanted, monkeypatch):
    monkeypatch.setattr(bits, "ENTRIES", (4, 8))
    result = bits.run(wanted | {"steps": 2}, 1)
    assert result["fronts"] and not any(map(beaten, result["fronts"].values()))
    assert 0 < result["test_error"] < 20 and "grid" not in result
    assert ("accuracy" in result["note"]) == (
        wanted["kind"] == "classes" and wanted["side"] != "table"
    )
    if wanted["side"] in ("MLP", "linear"):
        ((size, _, test, width),) = result["fronts"]["float"]
        assert (size, width) == (4 * result["parameters"], 32)
        assert test == pytest.approx(result["test_error"], rel=0.01)
        assert result["fronts"]["8 bits a weight"][0][0] < size + 130


def test_one_table_is_exact_where_it_can_be():
    x = 2 * torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)).double() - 1
    y = ((1 + x[:, :1]) * (2 - x[:, 1:2]) * x[:, 2:]).double()
    made = [v for v in bits.one_table((x, y), 1e-8) if v.kind == "interpolated"]
    assert {v.key[1] for v in made} == {4, 8, 16}  # 32 an input are too many
    fine = next(v for v in made if v.key == (16, 4))
    assert fine.bytes == 2 * 4**3 + 5
    assert np.abs(fine.predict(x) - y.numpy()).max() < 1e-3
    coarse = next(v for v in made if v.key == (4, 4))
    assert coarse.bytes == 4**3 + 5 and np.abs(coarse.predict(x) - y.numpy()).max() > 0.05
    places = torch.linspace(-1, 1, 4).double()[:, None]
    assert (bits.places(places.numpy(), 4, True).toarray() == np.eye(4)).all()
    stairs = bits.places(np.array([[-1.0, 1.0], [0.1, -0.1]]), 2, False).toarray()
    assert (stairs == np.eye(4)[[1, 2]]).all()


def test_bends_are_second_differences_along_each_input():
    squares = np.add.outer(np.arange(5) ** 2, 3 * np.arange(5) ** 2).ravel()
    found = bits.bends(5, 2) @ squares
    assert sorted(found) == 15 * [2] + 15 * [6]


def test_additive_is_a_kan_without_hidden_layer():
    parts = bits.make_parts("formula:exp_sine", 0)
    model, _ = bits.train(some("formula:exp_sine", "additive") | {"steps": 2}, parts[0], 0)
    assert isinstance(model, KAN) and len(model) == 1


# What is made of the rows


def rows(change=lambda row: row):
    """Rows as the experiment would have them; the fewer bytes, the larger the error."""
    found = []
    for seed, settings in itertools.product(range(5), SETTINGS):
        side, task = settings["side"], settings["task"]
        factor = {"KAN": 1, "additive": 3, "MLP": 2, "linear": 30, "table": 4}[side]
        sizes = [100, 1000, 10_000]
        kinds = ["8 bits a weight", "float"]
        if side in ("KAN", "additive"):
            kinds = [f"{how}, gauge on" for how in ("interpolated", "nearest")]
            kinds.append("interpolated, gauge off")
        elif side == "table":
            kinds = ["interpolated", "nearest"]
        fronts = {}
        for n, kind in enumerate(kinds):
            errors = [factor * (1 + n) * 1.2 / size for size in sizes]
            fronts[kind] = [[s, e, e, 8, 16] for s, e in zip(sizes, errors, strict=True)]
        row = settings | {"seed": seed, "fronts": fronts, "validation_error": factor * 1e-4}
        own = {name: settings[name] for name in ("hidden", "grid_size") if name in settings}
        if own in bits.WHOLE:
            widths = [[2.0**-width] * len(bits.ENTRIES) for width in bits.BITS]
            kinds.append("nearest, gauge off")
            worse = {kind: (1 + 0.1 * seed) * (8 if "off" in kind else 1) for kind in kinds}
            row["grid"] = {kind: [[x * worse[kind] for x in w] for w in widths] for kind in kinds}
        found.append(change(row | {"task": task}))
    return DataFrame(found)


def test_the_smallest_is_the_first_that_reaches_the_error():
    frame = rows()
    found = verdicts.smallest(frame, 0.01)
    assert found["formula:franke", "KAN", 0] == 1000  # 1.2 / 1000
    assert found["formula:franke", "table", 0] == 1000
    assert found["formula:franke", "linear", 4] == 10_000
    assert np.isinf(verdicts.smallest(frame, 0.001)["formula:franke", "linear", 0])
    assert np.isinf(found["table:digits", "KAN", 0])  # 10 % above 0.0001
    tested = verdicts.chosen(frame, 0.01)["test_error"]
    assert tested["formula:franke", "KAN", 0] == pytest.approx(1.2e-3)
    assert np.isnan(tested["table:digits", "KAN", 0])
    only = verdicts.smallest(frame, 0.001, ["nearest, gauge on"])
    assert only["formula:franke", "KAN", 0] == 10_000
    assert verdicts.medians(frame, 0.01).loc["formula:franke", "KAN"] == 1000
    limits = verdicts.limits(frame, 0.001)
    assert limits[frame["task"] == "table:flights"].max() == pytest.approx(1.01e-4)
    assert limits[frame["task"] == "curve:sine"].unique().tolist() == [0.001]


def judged(frame, label):
    """The claims of a hypothesis, each with what all judges say of it."""
    found = {}
    for _, look in registry.JUDGES[label]:
        for claimed, said in look(frame):
            assert str(said)
            for claim, so in claimed.items():
                found.setdefault(claim, []).append(so)
    return {claim: outcomes._every(so) for claim, so in found.items()}


def test_judges_see_what_is_there(monkeypatch):
    frame = rows()
    found = {f"W {n}": judged(frame, f"W {n}") for n in range(1, 11)}
    assert found["W 1"] == {"worse": True} and found["W 2"] == {"not worse": False}
    assert found["W 3"] == {"12": False, "8": True}  # 2^-12 is far from 2^-16
    assert found["W 4"] == {"pays": False}  # equal bytes
    assert found["W 5"] == {"axes": False, "generic": True}
    assert found["W 6"] == {"MLP": False, "KAN": True}
    assert found["W 7"] == {"one input": False, "two and three": False}
    assert found["W 8"] == {"smaller": False} and found["W 9"] == {"twice": False}
    assert found["W 10"] == {"1 %": False, "0.1 %": False}

    def small_kan(row):
        """One that needs little along the axes, and an MLP that hardly learns exp_sine."""
        if row["side"] == "KAN" and row["task"] in verdicts.AXES:
            row["fronts"]["interpolated, gauge on"] = [[90, 1e-4, 1e-4, 8, 16]]
        if row["side"] == "MLP" and row["task"] == "formula:exp_sine":
            row["fronts"] = {"8 bits a weight": [[9, 1.0, 1.0, 8]], "float": [[9, 1.0, 1.0, 32]]}
        return row

    changed = rows(small_kan)
    assert judged(changed, "W 4") == {"pays": False} and judged(changed, "W 9") == {"twice": True}
    assert judged(changed, "W 5") == {"axes": True, "generic": True}
    counts = DataFrame(
        [
            {"chip": chip, "inputs": inputs, "program": program, "instructions": count}
            for chip, inputs in itertools.product(("Cortex-M0", "Cortex-M4F"), (1, 2))
            for program, count in {
                "tables, interpolated": 100,
                "tables, nearest": 70,
                "splines, float": 350 if chip == "Cortex-M4F" else 1900,
                "MLP, 8 bits a weight, 8 an activation": 200,
                "MLP, 8 bits a weight, 16 an activation": 99,
            }.items()
        ]
    )
    monkeypatch.setattr(verdicts.reading, "load_benchmark", lambda part: counts)
    assert judged(changed, "W 11") == {"Cortex-M0": False, "Cortex-M4F": True}
    assert judged(changed, "W 12") == {"fewer": False}
    assert judged(changed, "W 13") == {"between": True}
