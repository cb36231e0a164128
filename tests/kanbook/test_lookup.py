"""Lookup tables: integers in place of curves, the same in every language."""

import copy
import itertools
import math
import pickle
import re

import numpy as np
import pytest
import torch
from helpers import float64, generator, needs, shaken
from torch import nn
from torch.nn import functional as F

from evidence.benchmark import languages
from kanbook import KAN, MLP, KANLayer, TanhKAN, TanhLayer, export
from kanbook.functions import LIBRARY, Candidate, Formula, FormulaLayer
from kanbook.lookup import Tables, to_tables
from kanbook.networks import Network

DOUBLE = {"dtype": torch.float64}
OPTIONS = [
    {},
    {"bits": 2, "entries": 4},
    {"bits": 16, "entries": 100, "input_bits": 12},
    {"bits": 7, "entries": 33, "scales": "layer", "centered": False},
    {"bits": 12, "entries": 64, "interpolate": False},
    {"bits": 8, "entries": 256, "interpolate": False, "input_bits": 8},
    {"bits": 10, "entries": 20, "scales": "output"},
    {"bits": 4, "entries": 300, "centered": False, "input_bits": 30},
]


def samples(n, inputs, seed=0):
    return 2 * torch.rand(n, inputs, generator=generator(seed), **DOUBLE) - 1


def functions(dtype=torch.float64):
    """A layer with a function on one edge and curves on the others."""
    layer = FormulaLayer(KANLayer(2, 2, bias=True, dtype=dtype, generator=0))
    layer.put(0, 1, LIBRARY["log"], Candidate("log", math.nan, 0.3, 0.8, -2.0, 1.0))
    return layer


def models():
    new = {"generator": 0, **DOUBLE}
    found = {"kan": KAN([3, 4, 2], bias=True, base=F.silu, spline_weight=True, **new)}
    found["deep"] = KAN([1, 3, 2, 3, 1], grid_size=9, degree=2, **new)
    found["stairs"] = KAN([2, 2], degree=0, **new)
    found["tanh"] = TanhKAN([2, 5, 1], True, **new)
    found["parabolas"] = nn.Sequential(TanhLayer(2, 3, tanh=None, **new), KANLayer(3, 2, **new))
    found["formula"] = nn.Sequential(functions(), KANLayer(2, 1, **new))
    found["layer"] = KANLayer(2, 3, **new)
    found["pruned"] = KAN([3, 2, 1], **new)
    found["pruned"][0].mask = float64([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    around = nn.Linear(2, 2, **DOUBLE), nn.Linear(1, 3, **DOUBLE)
    found["linear"] = nn.Sequential(around[0], KAN([2, 3, 1], **new), around[1])
    found = {name: shaken(model, 1) for name, model in found.items()}
    found["zero"] = copy.deepcopy(found["deep"])
    nn.init.zeros_(found["zero"][1].coef)
    return found


MODELS = models()
PAIRS = [*zip(MODELS, itertools.cycle(OPTIONS), strict=False)]


def made(name, **options):
    inputs = [m for m in MODELS[name].modules() if hasattr(m, "in_features")][0].in_features
    return to_tables(MODELS[name], samples(300, inputs), **options)


def one_by_one(tables, row):
    """The outputs for one row, as the documentation has them, edge by edge in Python's integers."""
    for layer in tables.layers:
        inputs, outputs, size = layer.entries.shape
        top = (size - 1 if layer.interpolate else size) * 2**layer.fraction - 1
        sums = [int(number) for number in layer.bias]
        for i in range(inputs):
            k, r = divmod(min(max(int(row[i]), 0), top), 2**layer.fraction)
            for o in range(outputs):
                entries, shift = layer.entries[i, o].tolist(), int(layer.shifts[i, o])
                if layer.interpolate:
                    product = (entries[k + 1] - entries[k]) * r
                    term = entries[k] * 2**layer.fraction + product
                    assert abs(product) < 2**31 and 0 <= term < 2**31 and 0 <= shift < 32
                    sums[o] += term // 2**shift
                else:
                    sums[o] += entries[k] * 2**shift
                assert -(2**31) <= sums[o] < 2**31
        row = sums
    return row


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_integers_are_those_of_the_formula(name, options):
    tables = made(name, **options)
    q = languages.inputs(tables, 100)
    y = tables.run(q)
    assert y.dtype == np.int32
    assert y.tolist() == [one_by_one(tables, row) for row in q]
    assert tables.run(q[:0]).shape == (0, y.shape[1])
    assert np.array_equal(tables.run(torch.from_numpy(q)), y)
    small = q.clip(0, 255).astype(np.uint8)
    assert np.array_equal(tables.run(small), tables.run(small.astype(np.int64)))


UNDEFINED = ("-fsanitize=undefined", "-fno-sanitize-recover=all")


@needs("cc")
@pytest.mark.parametrize("name, options", PAIRS, ids=str)
def test_c_gives_the_same_integers_and_nothing_undefined(name, options):
    tables = made(name, **options)
    q = languages.inputs(tables, 2000)
    assert np.array_equal(languages.run_c(tables, q, *UNDEFINED), tables.run(q))
    text = re.sub(r"/\*.*?\*/", "", export.to_c(tables), flags=re.DOTALL)
    assert not re.search(r"float|double|[0-9]\.|/|math", text)
    assert text.count("*") == 2 + len(tables.layers) * options.get("interpolate", True)


@needs("cc", "node")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_three_languages_agree(options):
    assert languages.differences(made("kan", **options), 10_000) == {"C": 0, "JavaScript": 0}


def error(tables, model, x):
    with torch.no_grad():
        y = model(x).numpy()
    return np.sqrt(np.mean((tables.predict(x) - y) ** 2)) / y.std()


def sine():
    """One edge that is nearly a sine."""
    layer = FormulaLayer(KANLayer(1, 1, generator=0, **DOUBLE))
    layer.put(0, 0, LIBRARY["sin"], Candidate("sin", math.nan, 3.0, 0.0, 1.0, 0.0))
    return layer


def test_error_falls_with_entries_and_bits():
    model, x = sine(), torch.linspace(-1, 1, 4001, **DOUBLE).unsqueeze(1)
    ends = float64([[-1.0], [1.0]])
    fine = {"bits": 16, "input_bits": 18}
    lines = [
        error(to_tables(model, ends, entries=n + 1, **fine), model, x) for n in (8, 16, 32, 64)
    ]
    assert all(3.7 < a / b < 4.3 for a, b in zip(lines, lines[1:], strict=False))
    # The best line from entry to entry, h^2 |f''| / sqrt(720), where f'' is 9 f.
    assert lines[2] == pytest.approx((2 / 32) ** 2 * 9 / math.sqrt(720), rel=0.03)
    stairs = {"interpolate": False, **fine}
    steps = [error(to_tables(model, ends, entries=n, **stairs), model, x) for n in (64, 128, 256)]
    assert all(1.9 < a / b < 2.1 for a, b in zip(steps, steps[1:], strict=False))
    entries = [error(to_tables(model, ends, entries=512, bits=b), model, x) for b in (4, 6, 8)]
    assert all(3 < a / b < 5.5 for a, b in zip(entries, entries[1:], strict=False))
    # Between two entries, each wrong by up to half of 2^-6, in units of the sine's spread, 0.72.
    assert entries[2] == pytest.approx(2**-6 / math.sqrt(12) * math.sqrt(2 / 3) / 0.72, rel=0.15)


def line(slope):
    model = KANLayer(1, 1, generator=0, **DOUBLE)
    with torch.no_grad():
        model.coef.copy_(slope * model.knots[:, 1:-1].unfold(-1, 3, 1).mean(-1))
    return model


@pytest.mark.parametrize("slope", [3.0, -0.5, -1e-6, 1e9])
def test_a_line_is_exact_where_its_entries_are_integers(slope):
    model, x = line(slope), torch.linspace(-1, 1, 1000, **DOUBLE).unsqueeze(1)
    unit = 2.0 ** math.ceil(math.log2(2 * abs(slope) / 255))
    for entries in (5, 17, 100):
        tables = to_tables(model, x, entries=entries)
        whole = 2 * slope / (entries - 1) % unit == 0
        assert whole == (slope in (3.0, -0.5) and entries < 100)
        found, half = tables.predict(x) - model(x).detach().numpy(), 1 / tables.layers[0].last
        assert np.abs(found).max() < 2.1 * half * abs(slope) + (0 if whole else unit / 2)


def test_constants_and_units_of_nodes_cost_nothing():
    """Constants of edges that cancel, and a hidden node that counts in other units."""
    plain = shaken(KAN([2, 4, 1], generator=0, grid_size=8, clamp=True, **DOUBLE), 3)
    model, x, new = copy.deepcopy(plain), samples(2000, 2), samples(2000, 2, 1)
    with torch.no_grad():
        model[1].coef[0] += 20
        model[1].coef[1] -= 20
        model[0].coef[:, 2] *= 20
        knots = model[1].knots.clone()
        knots[2] *= 20
        model[1].set_grid(knots, model[1].coef)
        torch.testing.assert_close(model(new), plain(new))
    own = error(to_tables(plain, x), plain, new)
    assert error(to_tables(model, x), model, new) == pytest.approx(own, rel=0.1)
    for scales, centered in itertools.product(("edge", "output", "layer"), (True, False)):
        found = error(to_tables(model, x, scales=scales, centered=centered), model, new)
        spoiled = scales == "layer" or not centered
        assert found > 4 * own if spoiled else found < 1.5 * own, (scales, centered)


def test_a_node_without_values_of_its_own_harms_no_other():
    """Its values differ by rounding alone, or by less than entries can tell."""
    model = shaken(KAN([2, 4, 1], generator=0, clamp=True, **DOUBLE), 3)
    x = samples(2000, 2)
    before = error(to_tables(model, x), model, x)
    for size in (0.0, 1e-13, 1e-6, 1e-4):
        for constant in (0.0, 7.0):
            with torch.no_grad():
                model[0].coef[:, 1] = constant + size * torch.randn(2, 8, generator=generator(0))
            for options in OPTIONS:
                to_tables(model, x, **options)
            assert error(to_tables(model, x), model, x) < 2 * before
    with torch.no_grad():  # what reaches all nodes cancels but for rounding
        model[0].coef[1] = -model[0].coef[0]
        for options in OPTIONS:
            tables = to_tables(model, x[:, :1].expand(-1, 2), **options)
            assert min(layer.fraction for layer in tables.layers) >= 0


def test_report_goes_from_layer_to_layer():
    model, x = MODELS["deep"], samples(2000, 1)
    tables = to_tables(model, x, bits=5)
    rows = tables.report(model, x)
    assert [row["layer"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["error"] == pytest.approx(error(tables, model, x), rel=1e-6)
    assert rows[0]["cut_off"] == 0 and all(row["cut_off"] < 0.2 for row in rows)
    cut_off = tables.report(model, 2 * x)[0]["cut_off"]
    assert cut_off == pytest.approx((x.abs() > 0.5).double().mean().item(), abs=0.01)
    first, rest = to_tables(model[0], x, bits=5), model[1:]
    with torch.no_grad():
        exact, y = model(x), rest(torch.from_numpy(first.predict(x)))
    expected = (y - exact).square().mean().sqrt() / exact.std()
    assert rows[0]["error"] == pytest.approx(expected.item(), rel=0.5)  # nodes are cut off


def test_inputs_of_a_converter_are_taken_as_they_are():
    """12 bits from 0 to 3.3 volts."""
    into = nn.Linear(2, 2, **DOUBLE)
    into.load_state_dict(
        {"weight": float64([[2 / 3.3, 0.0], [0.0, 2 / 3.3]]), "bias": -torch.ones(2)}
    )
    model = nn.Sequential(into, KAN([2, 3, 1], generator=0, **DOUBLE))
    x = torch.cat(
        [3.3 * torch.rand(200, 2, generator=generator(), **DOUBLE), float64([[0.0, 0], [3.3, 3.3]])]
    )
    for options in ({"entries": 33}, {"entries": 32, "interpolate": False}):
        tables = to_tables(model, x, input_bits=12, **options)
        assert len(tables.layers) == 2, "no layer for the volts"
        codes = np.random.default_rng(0).integers(0, 4096, (500, 2))
        volts = codes * 3.3 / 4096
        assert np.array_equal(tables.scale_inputs(volts), codes)
        assert tables.layers[0].last == 4095
        shifted = to_tables(model, x, **options)
        assert np.array_equal(shifted.scale_inputs(volts), codes << 4)


def test_a_linear_layer_becomes_part_of_the_edges():
    after, x = nn.Linear(1, 3, **DOUBLE), samples(500, 2)
    kan = KAN([2, 3, 1], generator=0, **DOUBLE)
    tables = to_tables(nn.Sequential(kan, after), x, bits=16)
    assert [layer.entries.shape[:2] for layer in tables.layers] == [(2, 3), (3, 3)]
    mixing = nn.Linear(2, 2, **DOUBLE)
    lines = to_tables(nn.Sequential(mixing, nn.Linear(2, 2, **DOUBLE), kan), x, bits=16)
    assert [layer.entries.shape[:2] for layer in lines.layers] == [(2, 2), (2, 3), (3, 1)]
    for model in (nn.Sequential(kan, after), nn.Sequential(mixing, kan), nn.Sequential(after)):
        x = samples(500, 1 if len(model) == 1 else 2)
        assert error(to_tables(model, x, bits=16, entries=256), model, x) < 1e-3


def test_a_formula_and_any_dtype():
    law = Formula(Network(functions()), [], 0.0, 0.0, False)
    x = samples(300, 2)
    assert error(to_tables(law, x, bits=16, entries=256), law, x) < 1e-3
    for dtype in (torch.float32, torch.bfloat16):
        model = KAN([2, 3, 1], generator=0).to(dtype)
        tables, same = (
            to_tables(model, x.to(dtype)),
            to_tables(model.double(), x.to(dtype).double()),
        )
        assert tables.to_dict() == same.to_dict()


def test_bytes():
    tables = made("kan", entries=20, bits=8)
    assert tables.nbytes == (12 + 8) * (20 + 1) + 4 * (4 + 2)
    assert made("kan", entries=20, bits=9).nbytes == (12 + 8) * (40 + 1) + 4 * (4 + 2)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_saved_copied_and_pickled(options, tmp_path):
    tables = made("kan", **options)
    export.save(tables, tmp_path / "tables.json")
    q = languages.inputs(tables, 100)
    for again in (export.load(tmp_path / "tables.json"), pickle.loads(pickle.dumps(tables))):
        assert type(again) is Tables and again.to_dict() == export.to_dict(tables)
        assert np.array_equal(again.run(q), tables.run(q)) and again.nbytes == tables.nbytes
        assert export.to_c(again) == export.to_c(tables)


def test_the_model_and_the_samples_stay_as_they_are():
    model, x = copy.deepcopy(MODELS["linear"]), samples(100, 2).requires_grad_()
    before = copy.deepcopy(model.state_dict())
    to_tables(model, x).report(model, x)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def infinite():
    model = KAN([2, 1], **DOUBLE)
    nn.init.constant_(model[0].coef, math.nan)
    return model


X = samples(50, 2)


@pytest.mark.parametrize(
    "change, error, message",
    [
        (
            {"model": MLP([2, 3, 1])},
            TypeError,
            "model holds Activation\\(tanh\\); expected layers of edges",
        ),
        (
            {"model": TanhLayer(2, 1, tanh="sum")},
            TypeError,
            "TanhLayer.*tanh='sum'.*; expected",
        ),
        ({"model": nn.Sequential()}, TypeError, "model holds Sequential.*; expected"),
        ({"model": "kan"}, TypeError, "model holds 'kan'; expected"),
        ({"model": infinite()}, ValueError, "model has an edge in layer 1 that is not finite"),
        ({"x": X[:, :1]}, ValueError, r"x has shape \(50, 1\); expected \(..., 2\)"),
        ({"x": X[:0]}, ValueError, r"x has shape \(0, 2\); expected \(N, I\)"),
        ({"x": X.long()}, TypeError, "x has dtype torch.int64; expected a floating-point"),
        ({"entries": 3}, ValueError, "entries=3; expected an integer from 4 to 4096"),
        ({"entries": 8.0}, TypeError, "entries=8.0; expected an integer"),
        ({"bits": 17}, ValueError, "bits=17; expected an integer from 2 to 16"),
        ({"scales": "node"}, ValueError, "scales='node'; expected one of edge, output, layer"),
        ({"interpolate": 1}, TypeError, "interpolate=1; expected True or False"),
        ({"centered": None}, TypeError, "centered=None; expected True or False"),
        ({"input_bits": 4}, ValueError, "input_bits=4; expected an integer from 5 to 28"),
        (
            {"input_bits": 29, "bits": 8},
            ValueError,
            "input_bits=29; expected an integer from 5 to 28",
        ),
    ],
)
def test_what_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        to_tables(**{"model": KAN([2, 1], **DOUBLE), "x": X} | change)


def test_what_tables_refuse():
    tables = made("kan")
    with pytest.raises(TypeError, match="q has dtype float64; expected integers"):
        tables.run(X)
    for call, name in ((tables.run, "q"), (tables.predict, "x")):
        with pytest.raises(ValueError, match=rf"{name} has shape \(2, 2\); expected \(N, 3\)"):
            call([[0, 0], [0, 0]])
    with pytest.raises(ValueError, match="x has nan in it; expected numbers"):
        tables.scale_inputs([[0.0, math.nan, 0.0]])
    assert tables.scale_inputs([[-math.inf, math.inf, 1e300]]).tolist() == [[0, 63487, 63487]]
