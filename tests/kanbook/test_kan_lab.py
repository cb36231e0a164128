"""The KAN Lab seen from Python: its settings, networks on their way to the page and back, pictures.

tests/browser is about its scripts.
"""

import base64
import copy
import itertools
import math

import numpy as np
import pandas
import pytest
import torch
import traitlets
from helpers import shaken

import kanbook
from kanbook import KAN, MLP, KANLab, formulas, tasks
from kanbook.functions import LIBRARY, Candidate, Formula, FormulaLayer, Function
from kanbook.lab.kan_lab import ACTIONS, MAX_ROWS, TASKS
from kanbook.layers import KANLayer

silu = torch.nn.functional.silu
FLAGS = ("bias", "spline_weight", "base")


def settings(lab):
    return {name: getattr(lab, name) for name in lab.trait_names(sync=True)}


def test_defaults():
    lab = KANLab()
    assert (lab.task, lab.widths, lab.grid_size, lab.degree) == ("exp_sine", (2, 5, 1), 5, 3)
    assert (lab.domain, lab.optimizer, lab.lr, lab.seed) == ((-1.0, 1.0), "adam", 0.05, 0)
    assert not any(getattr(lab, name) for name in (*FLAGS, "fade", "playing", "points", "script"))
    assert lab.follow and lab.network is None and lab.steps == 0
    assert repr(lab) == "KANLab(task='exp_sine', widths=(2, 5, 1))"
    picture = np.frombuffer(base64.b64decode(lab._portrait), dtype=np.uint8) / 255
    np.testing.assert_allclose(picture, tasks.image(48)[1].squeeze(), atol=0.5 / 255 + 1e-6)


def test_widths_follow_the_task():
    assert [KANLab(task=task).widths[0] for task in TASKS] == [*TASKS.values()]
    lab = KANLab(widths=[2, 3, 4, 1])
    messages = []
    lab._send = lambda data, buffers=None: messages.append(data["state"])
    lab.task = "zigzag"
    assert lab.widths == (1, 3, 4, 1)
    assert messages == [{"task": "zigzag", "widths": (1, 3, 4, 1)}]  # no page sees one alone
    lab.task = "table"
    lab.points = np.random.default_rng(0).normal(size=(20, 3))
    assert lab.widths == (2, 3, 4, 1) and len(lab.points) == 20 and len(lab.points[0]) == 3
    assert KANLab(task="table", points=torch.rand(9, 2)).widths == (1, 5, 1)


def test_a_table_keeps_its_names():
    frame = pandas.DataFrame({"t": [1, 2, 3], "price": [0.5, 2.5, 7.0]})
    lab = KANLab(task="table", points=frame)
    assert lab.points == [["t", "price"], [1.0, 0.5], [2.0, 2.5], [3.0, 7.0]]
    assert lab.widths == (1, 5, 1)
    assert KANLab(task="table", points=lab.points).points == lab.points
    lab.points = frame.assign(wear=[1, 2, 4])
    assert lab.points[0] == ["t", "price", "wear"] and lab.widths == (2, 5, 1)


BAD = [
    ({"task": "cosine"}, r"'task'.*'zigzag', 'drawn', .*'cosine'"),
    ({"widths": (3, 5, 1)}, r"widths=.* with task='exp_sine'; expected 2 at the beginning"),
    ({"widths": (2, 5, 2)}, r"widths=\(2, 5, 2\) .* and 1 at the end"),
    ({"widths": (2, 0, 1)}, r"widths\[1\]=0; expected an integer >= 1"),
    ({"widths": (2, 8, 8, 1)}, r"widths=.* layers of \[16, 64, 8\] edges; expected .* at most 60"),
    ({"widths": (2, *[1] * 6)}, r"widths=.*at most 5 layers"),
    ({"grid_size": 101}, r"grid_size=101; expected an integer from 1 to 100"),
    ({"degree": 6}, r"degree=6; expected an integer from 0 to 5"),
    ({"domain": (1, 1)}, r"domain=\(1.0, 1.0\); expected two finite numbers"),
    ({"optimizer": "sgd"}, r"'optimizer'.*'adam', 'lm'.*'sgd'"),
    ({"lr": 0.0}, r"lr=0.0; expected a number from 0 to 10"),
    ({"size": "huge"}, r"'size'.*'large', 'small'.*'huge'"),
    ({"actions": ["explode"]}, r"'actions'.*'update'.*'explode'"),
    ({"script": [(10, "explode")]}, r"script has the entry \(10, 'explode'\); expected pairs"),
    ({"script": [(-1, "update")]}, r"script: step=-1; expected an integer >= 0"),
    ({"points": [1.0, 2.0]}, r"points has shape \(2,\); expected \(N, 2\) or \(N, 3\)"),
    ({"points": [[0.0, 1.0]] * (MAX_ROWS + 1)}, rf"points has shape \({MAX_ROWS + 1}, 2\)"),
    ({"points": [[0.0, math.inf]] * 3}, r"points is inf at index \[0, 1\]"),
    ({"points": "abc"}, r"points='abc'; expected rows of numbers"),
    ({"points": [["a", "a"], [1, 2], [2, 3]]}, r"points has the names \['a', 'a'\]; expected 2"),
]


@pytest.mark.parametrize("values, message", BAD, ids=str)
def test_bad_value_is_named_and_changes_nothing(values, message):
    with pytest.raises(traitlets.TraitError, match=message):
        KANLab(**values)
    lab = KANLab(task="product", lr=0.1)
    if "with task" in message:
        message = message.replace("exp_sine", "product")
    for change in (lambda: lab.set_state(values), lambda: setattr(lab, *values.popitem())):
        before = copy.deepcopy(settings(lab) | {"layout": None})
        with pytest.raises(traitlets.TraitError, match=message):
            change()
        assert settings(lab) | {"layout": None} == before


def test_unknown_setting_is_named():
    for name in ("colour", "_portrait", "_esm"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
            KANLab(**{name: 1})


def assert_same(model, found, tolerance=1e-14):
    assert isinstance(found, KAN)
    x = 3 * torch.rand(200, model[0].in_features, dtype=torch.float64) - 1.5
    expected = copy.deepcopy(model).double()(x)
    assert found(x).dtype == torch.float64
    torch.testing.assert_close(found(x), expected, rtol=tolerance, atol=tolerance)


OPTIONS = [dict(zip(FLAGS, on, strict=True)) for on in itertools.product([False, True], repeat=3)]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_model_comes_back(options, dtype):
    options = options | {"base": silu if options["base"] else None, "dtype": dtype}
    for seed, (degree, size) in enumerate(zip(range(6), (1, 4) * 3, strict=True)):
        shape = {"degree": degree, "grid_size": size, "domain": (-1.5, 2.0)}
        model = shaken(KAN([2, 3, 2, 1], generator=seed, **shape, **options), seed, 1)
        kanbook.update_grid(model, 2 * torch.rand(50, 2, dtype=dtype) - 1)
        lab = KANLab(model)
        assert (lab.widths, lab.degree, lab.grid_size) == ((2, 3, 2, 1), degree, size)
        assert [getattr(lab, name) for name in FLAGS] == [bool(options[name]) for name in FLAGS]
        assert_same(model, lab.model())
        assert_same(model, KANLab(lab.model()).model())
        assert [p.shape for p in lab.model().parameters()] == [p.shape for p in model.parameters()]


def test_model_that_was_pruned_comes_back():
    x = 2 * torch.rand(100, 2, dtype=torch.float64) - 1
    model = shaken(KAN([2, 4, 1], dtype=torch.float64, bias=True, base=silu, generator=0), 1, 1)
    small = formulas.prune(model, x, 0.5)
    assert small[0].mask is not None or small[1].mask is not None
    found = KANLab(small).model()
    assert_same(small, found)
    assert kanbook.count_parameters(found) == kanbook.count_parameters(small)
    kanbook.fit(found, x, x.prod(1, keepdim=True), steps=2)  # and learns on


def snapped(seed):
    """A network with curves and functions side by side, fixed numbers and missing edges."""
    layers, rng = [], np.random.default_rng(seed)
    for inputs, outputs in ((2, 3), (3, 1)):
        options = {"bias": seed % 2 == 1, "dtype": torch.float64, "generator": seed}
        layer = FormulaLayer(shaken(KANLayer(inputs, outputs, **options), seed, 1))
        layer.splines.mask[0, 0] = float(rng.integers(2))
        last = inputs * outputs if seed % 3 else inputs * outputs - 1  # in some, no curve is left
        for e in range(1, last):
            name = str(rng.choice(["x", "sin", "x^2", "exp", "gauss"]))
            start = Candidate(name, 1.0, *rng.normal(size=3).tolist(), 0.5)
            layer.put(*divmod(e, outputs), LIBRARY[name], start)
        if rng.integers(2) and layer.splines is not None:
            layer.splines.mask.zero_()
            layer.splines = None
        layer.fix("bias", (0,), 0.25)
        layer.fix("constants", (0, 0), 2.0)
        layers.append(layer)
    return kanbook.networks.Network(*layers)


@pytest.mark.parametrize("seed", range(12))
def test_formula_comes_back(seed):
    model = snapped(seed)
    found = KANLab(model).model()
    assert_same(model, found)
    for old, new in zip(model, found, strict=True):
        assert new.functions == old.functions and new.curves() == old.curves()
        assert torch.equal(new.constants, old.constants)
        assert torch.equal(new.free_bias, old.free_bias)
        assert torch.equal(new.free_constants, old.free_constants)
    if seed % 2 == 0:  # else the curves' layer has a bias of its own, which no formula tells
        texts = [Formula(m, [], 0, 0, True).expressions() for m in (model, found)]
        assert texts[0] == texts[1]


def test_new_network_is_a_straight_start():
    lab = KANLab(widths=(2, 3, 1), degree=2, domain=(-2, 2), seed=3, base=True, bias=True)
    model = lab.model()
    assert model[0].base_weight is not None and not model[0].base_weight.any()
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None].repeat(1, 2)
    for values in model[0].edges(x).flatten(1).T:
        assert torch.allclose(values.diff(n=2), torch.zeros(7, dtype=x.dtype), atol=1e-12)
    lab.seed = 4
    assert not torch.equal(lab.model()[0].coef, model[0].coef)
    ends = torch.tensor([[-1.0, -1.0], [1.0, 1.0]], dtype=x.dtype)
    labs = [KANLab(widths=(2, 30, 1), seed=seed) for seed in range(50)]
    rises = torch.cat([lab.model()[0].edges(ends).diff(dim=0) for lab in labs]) / 2**0.5
    assert 0.95 < rises.std() < 1.05 and abs(rises.mean()) < 0.05


def test_library_touches_no_generator():
    before = torch.get_rng_state()
    lab = KANLab(KAN([2, 3, 1], generator=0))
    lab.model(), KANLab().model(), lab.picture()
    assert torch.equal(torch.get_rng_state(), before)


def strange_function():
    layer = FormulaLayer(KANLayer(2, 1, dtype=torch.float64))
    layer.put(0, 0, Function(torch.cos, "cos(u)"), Candidate("cos", 1.0, 1.0, 0.0, 1.0, 0.0))
    return torch.nn.Sequential(layer)


def not_finite():
    model = KAN([2, 3, 1])
    with torch.no_grad():
        model[1].coef[0, 0, 0] = math.nan
    return model


@pytest.mark.parametrize(
    "model, options, message",
    [
        (MLP([2, 3, 1]), {}, "model holds a Linear; expected a KAN, or the network of a formula"),
        (KAN([3, 2, 1]), {}, "model has 3 inputs and 1 outputs; expected 1 or 2 inputs"),
        (torch.nn.Sequential(KANLayer(2, 3), KANLayer(2, 1)), {}, r"model\[0\] has 3 outputs and"),
        (KAN([2, 1], base=torch.tanh), {}, r"model\[0\] has the base .*tanh.* None or .*silu"),
        (KAN([2, 1], clamp=True), {}, r"model\[0\] has clamp=True; expected False"),
        (KAN([2, 1], degree=6), {}, r"model\[0\] has degree 6; expected at most 5"),
        (KAN([1, 3, 1]), {}, r"widths=\(1, 3, 1\) with task='exp_sine'; expected 2"),
        (KAN([2, 3, 1]), {"widths": (2, 4, 1)}, r"widths=\(2, 4, 1\); expected \(2, 3, 1\)"),
        (KAN([2, 3, 1]), {"grid_size": 7}, r"grid_size=7; expected 5, as in model"),
        (KAN([2, 3, 1]), {"domain": (0, 1)}, r"domain=\(0, 1\); expected \(-1.0, 1.0\)"),
        (KAN([2, 61, 1]), {}, r"at most 60"),
        (not_finite(), {}, r"model\[1\].coef is nan"),
        (strange_function(), {}, r"model\[0\] has a function 'cos'; expected one of x, x\^2"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, torch.nn.Module) else None,
)  # fmt: skip
def test_model_that_no_page_can_show_is_refused(model, options, message):
    with pytest.raises(traitlets.TraitError, match=message):
        KANLab(model, **options)


@pytest.mark.parametrize(
    "options", [{"task": t} for t in TASKS] + [{"degree": 0}, {"base": True, "bias": True}], ids=str
)
def test_every_task_has_a_picture(options):
    assert len(KANLab(**options).picture()) > 5000


def test_picture_shows_the_model():
    pictures = {KANLab(KAN([2, 3, 1], generator=seed)).picture() for seed in (0, 0, 1)}
    assert len(pictures) == 2
    assert {KANLab(snapped(seed)).picture() for seed in range(3)}.isdisjoint(pictures)


def test_actions_are_those_of_the_page():
    text = KANLab._esm.partition("const ACTIONS = {")[2].partition("};")[0]
    names = {line.split(":")[0].strip() for line in text.strip().splitlines()}
    assert names | {"pause"} == set(ACTIONS)
