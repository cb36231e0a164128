"""Networks as JSON, C and JavaScript: the same numbers, whoever computes them."""

import copy
import ctypes
import json
import math
import random
import re
import subprocess
from contextlib import suppress

import numpy as np
import pytest
import torch
from helpers import generator, needs, shaken
from scipy.interpolate import BSpline
from torch import nn
from torch.nn import functional as F

from kanbook import KAN, MLP, KANLayer, Mixture, TanhKAN, TanhLayer, update_grid
from kanbook.export import FUNCTIONS, from_dict, load, save, to_c, to_dict, to_javascript
from kanbook.formulas import prune
from kanbook.functions import (
    LIBRARY,
    Candidate,
    Check,
    Formula,
    FormulaLayer,
    Function,
    Snap,
)
from kanbook.networks import Network

DOUBLE = {"dtype": torch.float64}
SINGLE = {"dtype": torch.float32}


def random_kan(seed, dtype=torch.float64):
    """Any KAN there can be: of all degrees, with any extras, on moved knots, pruned."""
    r = random.Random(seed)
    options = {"degree": seed % 6, "grid_size": r.randint(1, 6), "dtype": dtype, "generator": seed}
    options |= {"bias": r.random() < 0.5, "spline_weight": r.random() < 0.5}
    options["base"] = r.choice([None, *(alike[0] for alike in FUNCTIONS.values())])
    options["domain"] = r.choice([(-1.0, 1.0), (-2.0, 3.0), (0.1, 0.7)])
    options["clamp"] = r.random() < 0.5
    widths = [r.randint(1, 4) for _ in range(r.randint(2, 4))]
    model = shaken(KAN(widths, **options), seed)
    x = torch.randn(40, widths[0], generator=generator(seed)).to(dtype)
    if seed % 4 >= 2 and (seed % 6 or len(model) == 1):  # hidden steps would jump at values of x
        update_grid(model, x)
    if seed % 2:
        layer = model[0]  # two edges in a layer stay, of as many as there are
        with torch.no_grad():
            layer.coef[1:, 1:] *= 1e-3
            if layer.base_weight is not None:
                layer.base_weight[1:, 1:] *= 1e-3
        model = prune(model, x, threshold=0.02)
    return model


def formula(dtype):
    """Two layers; the first has each function of the library once, and curves with all extras."""
    random = np.random.default_rng(0)
    options = {"bias": True, "base": F.silu, "dtype": dtype, "generator": 0}
    layers = [FormulaLayer(KANLayer(4, 5, **options)), FormulaLayer(KANLayer(5, 1, **options))]
    edges = [(0, n // 4, n % 4, *function) for n, function in enumerate(LIBRARY.items())]
    edges += [(1, i, 0, "tanh", LIBRARY["tanh"]) for i in range(5)]
    for place, i, o, name, f in edges:
        b = 0.1 if f.domain == (-1.0, 1.0) else 0.8
        c, d = random.normal(size=2)
        layers[place].put(i, o, f, Candidate(name, math.nan, random.uniform(0.1, 0.3), b, c, d))
    layers[0].fix("constants", (0, 1), 0.5)
    layers[1].fix("bias", (0,), -0.25)
    snaps = [Snap(place, i, o, name) for place, i, o, name, _ in edges]
    return Formula(Network(*layers), snaps, 0.5, 0.25, False, Check(9, math.inf, 0.0, 3.5, False))


def networks(dtype):
    """Every other network of the book."""
    new = {"dtype": dtype, "generator": 0}
    kinds = ["linear", "kan", "tanh", "linear"]
    found = {f"mlp-{name}": MLP([2, 4, 3, 2], f[0], **new) for name, f in FUNCTIONS.items()}
    found["mlp-one"] = MLP([3, 2], **new)
    for tanh in ("edge", "sum", None):
        found[f"tanh-{tanh}"] = TanhKAN([2, 4, 3, 2], False, tanh, **new)
        found[f"tanh-{tanh}-bias"] = TanhKAN([2, 4, 1], True, tanh, **new)
    found["mixture"] = Mixture([2, 4, 3, 3, 1], kinds, tanh={"bias": True}, **new)
    found["mixture-end"] = Mixture([2, 4, 1], ["kan", "linear"], kan={"base": F.silu}, **new)
    found["kan-layer"] = KANLayer(3, 2, bias=True, base=torch.tanh, **new)
    found["tanh-layer"] = TanhLayer(3, 2, **new)
    found["linear"] = nn.Linear(2, 3, bias=False, dtype=dtype)
    found["module-as-base"] = KAN([2, 2, 1], base=nn.SiLU(), **new)
    inner = nn.Sequential(KANLayer(3, 3, **new), nn.ReLU(), nn.Linear(3, 3, dtype=dtype), nn.SiLU())
    found["inner"] = nn.Sequential(nn.Linear(2, 3, dtype=dtype), nn.Tanh(), inner, nn.Sigmoid())
    first = [nn.Flatten(), nn.Tanh(), nn.BatchNorm1d(2), KANLayer(2, 4, base=nn.ELU(0.5), **new)]
    middle = [nn.LayerNorm(4), nn.GELU(), nn.Dropout(0.5), KANLayer(4, 3, base=F.gelu, **new)]
    last = [nn.Identity(), nn.LeakyReLU(0.3), nn.BatchNorm1d(3, affine=False), nn.GELU("tanh")]
    last += [nn.LayerNorm(3, elementwise_affine=False), nn.Softplus(2, 1.5)]
    with torch.no_grad():
        for numbers in (last[2].running_mean, last[2].running_var, first[2].running_var):
            numbers += torch.rand(len(numbers), generator=generator(0))
    found["others"] = nn.Sequential(*first, *middle, *last).to(dtype).eval()
    found["formula"] = formula(dtype).network
    found["slice"] = KAN([2, 3, 1], **new)[:1]
    found["wide"] = KAN([1, 30, 1], grid_size=40, **new)
    found["clamped"] = KAN([2, 3, 1], **new)
    knots = torch.tensor([-1.0] * 4 + [-0.5, 0.1, 0.25, 0.5] + [1.0] * 4, dtype=dtype)
    for layer in found["clamped"]:
        layer.set_grid(knots.expand(layer.in_features, -1), layer.coef.detach())
    return {name: shaken(model, 0) for name, model in found.items()}


def every(dtype):
    return {f"kan-{seed}": random_kan(seed, dtype) for seed in range(36)} | networks(dtype)


def features(model):
    first = next(layer for layer in model.modules() if hasattr(layer, "in_features"))
    return first.in_features, getattr(first, "knots", None)


def points(model):
    """On every knot of the first layer, a rounding error beside it, and anywhere, far out too."""
    inputs, knots = features(model)
    anywhere = torch.randn(60, inputs, generator=generator(1), **DOUBLE)
    found = [anywhere, 3 * anywhere]
    if knots is not None:
        on = knots.double().T
        found += [on, torch.nextafter(on, on + 1), torch.nextafter(on, on - 1), on.roll(1, 1)]
        found.append(torch.tensor([[-1e9], [1e9]], **DOUBLE).expand(2, inputs))
    return torch.cat(found)


@pytest.fixture(scope="module")
def models():
    found = every(torch.float64)
    kans = [m for name, m in found.items() if name.startswith("kan-") and name[4:].isdigit()]
    masks = [layer.mask for m in kans for layer in m]
    assert sum(mask is not None for mask in masks) >= 5, "pruned ones are among them"
    return found


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_round_trip_changes_no_bit(dtype, tmp_path):
    for name, model in (every(dtype) if dtype != torch.bfloat16 else networks(dtype)).items():
        before, random_state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
        path = tmp_path / f"{name}.json"
        save(model, path)
        again = load(path)
        assert torch.equal(torch.get_rng_state(), random_state), name
        assert type(again) is type(model), name
        flat = name in ("inner", "others")
        assert flat or name == "module-as-base" or repr(again) == repr(model)
        assert flat or again.state_dict().keys() == before.keys(), name
        for values, *others in zip(
            before.values(), *(m.state_dict().values() for m in (model, again)), strict=True
        ):
            assert all(torch.equal(v, values) and v.dtype == values.dtype for v in others), name
        x = points(model).to(dtype)
        torch.testing.assert_close(again(x), model(x), rtol=0, atol=0, equal_nan=True)
        assert all(p.requires_grad for p in again.parameters())
        assert to_dict(again) == to_dict(model) == json.loads(path.read_text()), name


def test_the_description_is_what_another_program_needs():
    options = {"bias": True, "spline_weight": True, "base": F.silu}
    model = shaken(KAN([3, 2], grid_size=4, degree=2, **options, **DOUBLE), 0)
    x = torch.rand(50, 3, **DOUBLE) * 2 - 1
    update_grid(model, x)
    model[0].mask = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], **DOUBLE)
    data = to_dict(model)
    layer = data.pop("layers")[0]
    assert data == {"format": "kanbook", "version": 1, "network": "KAN", "dtype": "float64"}
    assert {key: layer[key] for key in ("kind", "in_features", "out_features")} == {
        "kind": "kan",
        "in_features": 3,
        "out_features": 2,
    }
    assert (layer["grid_size"], layer["degree"], layer["base"]) == (4, 2, "silu")
    y = np.array([layer["bias"]] * 50)
    for i in range(3):
        u = x[:, i].numpy().clip(layer["knots"][i][2], layer["knots"][i][-3])
        for o in range(2):
            spline = BSpline(np.array(layer["knots"][i]), np.array(layer["coef"][i][o]), 2)
            edge = layer["spline_weight"][i][o] * spline(u)
            edge += layer["base_weight"][i][o] * u / (1 + np.exp(-u))
            y[:, o] += layer["mask"][i][o] * edge
    inside = ((x >= model[0].knots[:, 2]) & (x <= model[0].knots[:, -3])).all(1)
    assert inside.sum() > 30
    np.testing.assert_allclose(y[inside], model(x)[inside].detach(), rtol=1e-12, atol=1e-12)


def own(x):
    return x


def own_formula():
    layer = FormulaLayer(KANLayer(2, 1))
    layer.put(0, 0, Function(own, "u"), Candidate("cube", 1.0, 1.0, 0.0, 1.0, 0.0))
    return layer


def diverged():
    model = KAN([2, 2])
    with torch.no_grad():
        model[0].coef[1, 0, 2] = math.nan
    return model


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: KAN([2, 1], base=own), ValueError, r"model\[0\].base is <function own.* expected"),
        (lambda: MLP([2, 2, 1], own), ValueError, "function is .*; expected one of PyTorch's "),
        (diverged, ValueError, r"model\[0\].coef is nan at index \[1, 0, 2\]; expected finite"),
        (lambda: nn.LSTM(2, 1), TypeError, "model is a LSTM; expected a KAN"),
        (lambda: nn.Sequential(nn.Linear(2, 1), nn.CELU()), TypeError, r"model\[1\] is a CELU"),
        (lambda: nn.Sequential(), TypeError, "model is a Sequential without layers"),
        (lambda: Network(own_formula()), ValueError, r"model\[0\] has a function 'cube'; exp"),
        (lambda: "kan", TypeError, "model is a str; expected a KAN"),
    ],
)
def test_what_cannot_be_described(make, error, message):
    for write in (to_dict, to_c, to_javascript):
        with pytest.raises(error, match=message):
            write(make())


def broken(**changes):
    data = to_dict(KAN([2, 1]))
    layer = data["layers"][0]
    for key, value in changes.items():
        place = layer if key in layer else data
        place[key] = value
        if value is ...:
            del place[key]
    return data


@pytest.mark.parametrize(
    "data, error, message",
    [
        ({}, ValueError, "no description in version 1; see to_dict"),
        (broken(network="RNN"), ValueError, "data has no 'RNN', or it is unknown"),
        (broken(layers=[]), ValueError, r"data has layers=\[\]; expected a list of one or more"),
        (broken(dtype="int8"), ValueError, "no 'int8'"),
        (broken(base="own"), ValueError, "no 'own'"),
        (broken(knots=...), ValueError, "no 'knots'"),
        (broken(coef=[[1.0]]), RuntimeError, "size mismatch for coef"),
        (broken(knots=[[0.0] * 12] * 2), ValueError, r"knots.* domain between them is empty"),
        (broken(degree=9), ValueError, "degree=9; expected an integer from 0 to 7"),
    ],
)
def test_what_is_no_description(data, error, message):
    with pytest.raises(error, match=message):
        from_dict(data)


# What onnxruntime lacks in float64, it has in float32: Elu and Atanh.
ONNX = {"kan-9 kan-18 mixture tanh-edge-bias clamped wide": torch.float64}
ONNX |= {"kan-4 others formula": torch.float32}


@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize("name, dtype", [(n, ONNX[names]) for names in ONNX for n in names.split()])
def test_pytorch_writes_onnx_for_any_number_of_rows(name, dtype, models, tmp_path):
    pytest.importorskip("torch", "2.9", reason="another exporter, without names for dimensions")
    onnxruntime = pytest.importorskip("onnxruntime")
    model, path = copy.deepcopy(models[name]).to(dtype), tmp_path / "model.onnx"
    x = torch.randn(1000, features(model)[0], generator=generator(0), **DOUBLE).to(dtype)
    torch.onnx.export(model, (x[:3],), path, dynamic_shapes=({0: "rows"},), verbose=False)
    session = onnxruntime.InferenceSession(path)
    x[5, 0] = math.nan
    for part in (x[:1], x[:7], x):
        (y,) = session.run(None, {session.get_inputs()[0].name: part.numpy()})
        check(model, part, y, name, 1e-12 if dtype == torch.float64 else 1e-5)


STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-shared", "-fPIC"]


def check(model, x, y, name, tolerance=1e-12):
    with torch.no_grad():
        expected = model(x)
    y = torch.tensor(y, dtype=x.dtype)
    torch.testing.assert_close(
        y,
        expected,
        rtol=tolerance,
        atol=tolerance,
        equal_nan=True,
        msg=lambda found: f"{name}: {found}",
    )


def compile_c(text, folder, *options):
    source, library = folder / "all.c", folder / "all.so"
    source.write_text(text)
    command = ["cc", *STRICT, *options, str(source), "-o", str(library), "-lm"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return ctypes.CDLL(str(library))


def call_c(library, name, rows, outputs, number=ctypes.c_double):
    y = (number * outputs)()
    function = getattr(library, name)
    function.restype = None
    result = []
    for row in rows:
        function((number * len(row))(*row), y)
        result.append(list(y))
    return result


@needs("cc")
def test_c_of_a_float32_network_computes_in_float64(tmp_path):
    model = random_kan(16, torch.float32)
    x = points(model)
    library = compile_c(to_c(model), tmp_path)
    check(model.double(), x, call_c(library, "kan", x.tolist(), model(x[:1]).shape[1]), "float32")


NO_DOUBLE = ["-Wdouble-promotion", "-Wfloat-conversion"]


@needs("cc")
@pytest.mark.parametrize(
    "dtype, number, flags, tolerance",
    [
        (torch.float64, ctypes.c_double, [], 1e-12),
        (torch.float32, ctypes.c_float, NO_DOUBLE, 1e-4),
    ],
)
def test_c_agrees_with_every_network(models, tmp_path, dtype, number, flags, tolerance):
    texts = [to_c(model, f"m{i}", dtype=dtype) for i, model in enumerate(models.values())]
    library = compile_c("\n".join(texts), tmp_path, *flags)
    for i, (name, model) in enumerate(models.items()):
        model = copy.deepcopy(model).to(dtype)
        x = points(model).to(dtype)
        y = call_c(library, f"m{i}", x.tolist(), model(x[:1]).shape[1], number)
        check(model, x, y, name, tolerance)


def test_numbers_of_single_precision(tmp_path):
    model = nn.Linear(2, 1, **DOUBLE)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1 / 3, -1e-20]]))
        model.bias.fill_(3e30)
    text = to_c(model, **SINGLE)
    assert "{0.33333334f, -1e-20f}" in text and "v1[1] = {3e+30f}" in text
    assert to_c(model.float(), **SINGLE) == text
    with torch.no_grad():
        model.double().weight[0, 1] = 1e39
    with pytest.raises(ValueError, match=r"weight is inf at index \[0, 1\]; expected finite"):
        to_c(model, **SINGLE)
    for dtype in (torch.float16, torch.int64, "float32", None):
        with pytest.raises(ValueError, match="dtype=.*; expected torch.float64 or torch.float32"):
            to_c(model, dtype=dtype)


@needs("cc")
@pytest.mark.parametrize("make", [KAN, TanhKAN, MLP])
def test_nan_gives_nan_in_c(make, tmp_path):
    text = to_c(make([2, 3, 2]), "wide") + to_c(make([2, 3, 2]), "narrow", **SINGLE)
    library = compile_c(text, tmp_path)
    assert all(map(math.isnan, call_c(library, "wide", [[0.5, math.nan]], 2)[0]))
    assert all(map(math.isnan, call_c(library, "narrow", [[0.5, math.nan]], 2, ctypes.c_float)[0]))


RUN = """
import * as programs from "./all.mjs";
import { readFileSync } from "node:fs";
const result = {};
for (const [name, rows] of Object.entries(JSON.parse(readFileSync("points.json"))))
    result[name] = rows.map((row) => programs[name](row.map(Number)).map(String));
console.log(JSON.stringify(result));
"""


def run_javascript(text, rows, folder):
    """Numbers go as strings: JSON has no NaN."""
    (folder / "all.mjs").write_text(text)
    (folder / "run.mjs").write_text(RUN)
    rows = {name: [[*map(str, row)] for row in part] for name, part in rows.items()}
    (folder / "points.json").write_text(json.dumps(rows))
    run = subprocess.run(["node", "run.mjs"], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    return {name: [[*map(float, row)] for row in part] for name, part in found.items()}


@needs("node")
def test_javascript_agrees_with_every_network(models, tmp_path):
    text = "\n".join(to_javascript(model, f"m{i}") for i, model in enumerate(models.values()))
    rows = {f"m{i}": points(model).tolist() for i, model in enumerate(models.values())}
    found = run_javascript(text, rows, tmp_path)
    for i, (name, model) in enumerate(models.items()):
        check(model, points(model), found[f"m{i}"], name)


@needs("node")
def test_nan_and_wrong_lengths_in_javascript(tmp_path):
    found = run_javascript(to_javascript(KAN([2, 3, 2])), {"kan": [[0.5, math.nan]]}, tmp_path)
    assert all(map(math.isnan, found["kan"][0]))
    text = to_javascript(KAN([2, 1]), "f").replace("export ", "") + "f([1]);"  # a plain script
    run = subprocess.run(["node", "-e", text], capture_output=True, text=True)
    assert "RangeError: x has 1 numbers; expected 2" in run.stderr


def test_a_formula_comes_back_with_its_verdict_and_its_text(tmp_path):
    law = formula(torch.float64)
    save(copy.deepcopy(law), tmp_path / "law.json")
    again = load(tmp_path / "law.json")
    x = torch.randn(20, 4, generator=generator(0), **DOUBLE)
    torch.testing.assert_close(again(x), law(x), rtol=0, atol=0, equal_nan=True)
    assert {**vars(again), "network": 0} == {**vars(law), "network": 0}
    assert repr(again) == repr(law) and again.expressions() == law.expressions()
    law = Formula(Network(FormulaLayer(KANLayer(2, 1))), [], 0.1, 0.1, True)  # nothing but curves
    assert repr(from_dict(to_dict(law))) == repr(law)


@needs("cc", "node")
def test_a_formula_is_written_as_its_network(tmp_path):
    law = formula(torch.float64)
    assert to_c(law, "law") == to_c(law.network, "law")
    assert to_javascript(law, "law") == to_javascript(law.network, "law")


def test_the_first_layer_that_tells_gives_the_width():
    model = nn.Sequential(nn.Tanh(), KANLayer(3, 1))
    for write in (to_c, to_javascript):
        assert "kan: 3 numbers in, 1 out" in write(model)
        with pytest.raises(ValueError, match="no layer that tells how many numbers go in"):
            write(nn.Sequential(nn.Tanh(), nn.LayerNorm(3)))


# Of all editions of C, and of JavaScript.
WORDS = """
    auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while _Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary
    _Noreturn _Static_assert _Thread_local alignas alignof bool constexpr false nullptr
    static_assert thread_local true typeof typeof_unqual _BitInt _Decimal128 asm linux main __func__
    await async arguments class catch debugger delete eval export extends finally function get
    implements import in instanceof interface let new null of package private protected public set
    super this throw try var with yield undefined NaN Infinity Math RangeError Array Object
    globalThis NULL EOF INFINITY HUGE_VAL abs printf malloc time strlen exit exp expf expl cexp
    size_t x y u I kan_
""".split()  # noqa: SIM905


@needs("cc")
@pytest.mark.parametrize("edition", ["c99", "c11", "gnu17", "c2x"])
def test_every_name_that_is_accepted_compiles(edition, tmp_path):
    run = subprocess.run(
        ["cc", f"-std={edition}", "-E", "-dD", "-xc", "-"],
        input="#include <math.h>",
        capture_output=True,
        text=True,
    )
    names = {*WORDS, *re.findall(r"\b[A-Za-z_]\w*", run.stdout)}
    texts, refused = written(to_c, names)
    assert len(names) > 500 and {"x", "y", "u", "kan_", "async", "class"} <= texts.keys()
    assert {"double", "exp", "NULL", "EOF", "INFINITY", "true", "printf", "asm"} <= refused
    compile_c("\n".join(texts.values()), tmp_path, f"-std={edition}")


@needs("node")
def test_every_name_that_is_accepted_runs_in_javascript(tmp_path):
    texts, refused = written(to_javascript, WORDS)
    assert {"double", "exp", "NULL", "async", "x", "y", "kan_"} - refused <= texts.keys()
    assert {"class", "await", "null", "Math", "undefined"} <= refused
    found = run_javascript("\n".join(texts.values()), dict.fromkeys(texts, [[0.5]]), tmp_path)
    assert all(values == [[0.25]] for values in found.values())


def written(write, names):
    """Programs by those names that are accepted, and the other names."""
    model, texts = nn.Sequential(nn.Linear(1, 1), nn.ReLU()), {}
    nn.init.constant_(model[0].weight, 0.5)
    nn.init.zeros_(model[0].bias)
    for name in names:
        with suppress(ValueError):
            texts[name] = write(model, name)
    return texts, {*names} - texts.keys()


@pytest.mark.parametrize("write, language", [(to_c, "C"), (to_javascript, "JavaScript")])
def test_what_cannot_be_a_name(write, language):
    for name in ("2x", "my-kan", "kan inputs", "", 3, "while"):
        with pytest.raises(ValueError, match=f"name={name!r}; expected a name that {language} "):
            write(KAN([2, 1]), name)
