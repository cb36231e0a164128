"""Networks, and what importing them leaves alone."""

import copy
import itertools
import pickle
import subprocess
import sys

import pytest
import torch
from torch import nn

from evidence.runs.rivals import NodeTanh
from kanbook import KAN, MLP, KANLayer, Mixture, TanhKAN, TanhLayer, count_parameters
from kanbook.networks import Activation
from kanbook.spline_mlp import SplineActivation, SplineMLP


def test_kan_is_its_layers_in_a_row():
    model = KAN([2, 5, 3, 1], grid_size=4, degree=2, generator=0)
    assert isinstance(model, nn.Sequential) and all(isinstance(m, KANLayer) for m in model)
    shapes = [(m.in_features, m.out_features, m.grid_size, m.degree) for m in model]
    assert shapes == [(2, 5, 4, 2), (5, 3, 4, 2), (3, 1, 4, 2)]
    x = torch.rand(7, 2)
    torch.testing.assert_close(model(x), model[2](model[1](model[0](x))))
    assert count_parameters(model) == (2 * 5 + 5 * 3 + 3 * 1) * (4 + 2)


@pytest.mark.parametrize(
    "tanh, places",
    [("edge", ["edge"] * 3), ("sum", ["sum", "sum", None]), (None, [None] * 3)],
)
def test_tanh_kan_says_where_its_layers_take_the_tanh(tanh, places):
    model = TanhKAN([2, 5, 4, 1], True, tanh, generator=0)
    assert [layer.tanh for layer in model] == places
    assert [layer.tanh for layer in TanhKAN([2, 1], tanh=tanh)] == places[-1:]
    assert count_parameters(model) == 2 * (10 + 20 + 4) + 10


def test_mlp_equals_its_formula_and_starts_like_torch():
    model = MLP([2, 50, 1], generator=0)
    x = torch.rand(7, 2)
    first, _, last = model
    expected = torch.tanh(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(model(x), expected)
    for linear in (first, last):
        bound = linear.in_features**-0.5
        assert all(p.abs().max() <= bound for p in linear.parameters())
        assert linear.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.25)
    assert count_parameters(model) == 2 * 50 + 50 + 50 + 1 and len(MLP([2, 1])) == 1


def test_spline_mlp_is_an_mlp_that_learns_its_activations():
    mlp, model = MLP([2, 9, 9, 1], generator=0), SplineMLP([2, 9, 9, 1], generator=0)
    assert [type(m) for m in model] == [nn.Linear, SplineActivation] * 2 + [nn.Linear]
    for i in (0, 2, 4):
        assert all(map(torch.equal, mlp[i].parameters(), model[i].parameters()))
    x = torch.rand(50, 2) * 2 - 1
    torch.testing.assert_close(model(x), model[4](model[3](model[2](model[1](model[0](x))))))
    wide = SplineMLP([2, 9, 9, 1], grid_size=20, domain=(-3, 3), generator=0)
    assert (wide(x) - mlp(x)).abs().max() < 1e-3  # it starts as the tanh MLP
    assert count_parameters(model) == count_parameters(mlp) + 18 * 8 and len(SplineMLP([2, 1])) == 1


def test_node_tanh_starts_as_tanh_and_is_a_parabola_inside():
    layer, x = NodeTanh(2, torch.float64), torch.tensor([[0.5, -2.0]], dtype=torch.float64)
    assert layer(x).equal(torch.tanh(x))
    layer.a.data.copy_(torch.tensor([1.0, -1.0]))
    layer.b.data.copy_(torch.tensor([2.0, 0.5]))
    torch.testing.assert_close(layer(x), torch.tanh(torch.tensor([[1.25, -5.0]]).double()))


@pytest.mark.parametrize(
    "network, kind, options",
    [
        (KAN, "kan", {"grid_size": 3, "degree": 2, "bias": True, "base": nn.functional.silu}),
        (TanhKAN, "tanh", {"bias": True}),
        (MLP, "linear", {}),
    ],
)
@pytest.mark.parametrize("widths", [[2, 1], [2, 5, 3, 1]])
def test_mixture_of_one_kind_is_that_network(network, kind, options, widths):
    factory = {"dtype": torch.float64, "generator": 0}
    model = network(widths, **options, **factory)
    nested = {kind: options} if options else {}
    mixture = Mixture(widths, [kind] * (len(widths) - 1), **nested, **factory)
    expected, state = model.state_dict(), mixture.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    x = torch.rand(7, 2, dtype=torch.float64)
    assert torch.equal(mixture(x), model(x))


@pytest.mark.parametrize("kinds", list(itertools.product(["kan", "tanh", "linear"], repeat=2)))
def test_mixture_is_its_layers_in_a_row(kinds):
    model = Mixture([2, 4, 1], kinds, activation=torch.sin, generator=0)
    layers = {"kan": KANLayer, "tanh": TanhLayer, "linear": nn.Linear}
    x = expected = torch.rand(7, 2) * 2 - 1
    modules = iter(model)
    for position, kind in enumerate(kinds):
        layer = next(modules)
        assert type(layer) is layers[kind]
        expected = layer(expected)
        if kind == "linear" and position < 1:
            assert type(next(modules)) is Activation
            expected = torch.sin(expected)
    assert list(modules) == []
    torch.testing.assert_close(model(x), expected)


OPTIONS = {"bias": True, "base": torch.sin, "spline_weight": True}
NETWORKS = {
    "KAN": lambda widths=(2, 3, 1), **o: KAN(widths, **OPTIONS, **o),
    "TanhKAN": lambda widths=(2, 3, 1), **o: TanhKAN(widths, True, **o),
    "TanhKAN, sum": lambda widths=(2, 3, 1), **o: TanhKAN(widths, True, "sum", **o),
    "MLP": lambda widths=(2, 3, 1), **o: MLP(widths, **o),
    "SplineMLP": lambda widths=(2, 3, 1), **o: SplineMLP(widths, **o),
    "Mixture": lambda widths=(2, 3, 3, 4, 1), **o: Mixture(
        widths, ["tanh", "linear", "kan", "linear"], kan=OPTIONS, **o
    ),
}
each_network = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)


@each_network
def test_networks_are_saved_copied_and_moved(make, tmp_path):
    model, other = make(generator=1), make(generator=2)
    x = torch.rand(5, 4, 2) * 2 - 1
    y = model(x)
    assert y.shape == (5, 4, 1) and not torch.equal(other(x), y)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    other.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    for same in (other, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(same(x), y) and type(same) is type(model)
    double = copy.deepcopy(model).to(torch.float64)(x.double())
    torch.testing.assert_close(double.float(), y, rtol=1e-4, atol=1e-5)
    assert type(model[:2]) is nn.Sequential and model[-1] is list(model)[-1]
    y.square().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    meta = {"device": "meta"}
    assert make(**meta, generator=0)(torch.zeros(3, 2, **meta)).shape == (3, 1)


@each_network
def test_random_numbers_come_from_one_generator(make):
    state, widths = torch.get_rng_state(), [3] * 5
    one, *same = (make(widths, generator=g) for g in (7, 7, torch.Generator().manual_seed(7)))
    assert torch.equal(torch.get_rng_state(), state)
    for other in same:
        assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))
    drawn = [p for p in one.parameters() if p.shape[1:2] == (3,) and p.std() > 0]
    assert len(drawn) >= 4 and not any(map(torch.equal, drawn, drawn[1:]))  # no two start alike


@each_network
@pytest.mark.parametrize(
    "x, error, message",
    [
        (torch.zeros(3, 3), ValueError, r"x has shape \(3, 3\); expected \(..., 2\)"),
        (torch.tensor(0.0), ValueError, r"x has shape \(\)"),
        (torch.zeros(3, 2, dtype=int), TypeError, r"x has dtype torch.int64"),
        (torch.zeros(3, 2, device="meta"), ValueError, r"x is on device meta"),
        ([[0.0, 0.0]], TypeError, r"x is a list"),
    ],
)
def test_networks_name_bad_x(make, x, error, message):
    with pytest.raises(error, match=message):
        make()(x)


@each_network
@pytest.mark.parametrize(
    "widths, error, message",
    [
        ([3], ValueError, r"widths=\[3\].*two or more"),
        ([3, 0], ValueError, r"widths\[1\]=0"),
        ("31", ValueError, r"widths='31'"),
        ([True, 2], TypeError, r"widths\[0\]=True; expected an integer"),
    ],
)
def test_bad_widths_are_named(make, widths, error, message):
    with pytest.raises(error, match=message):
        make(widths)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: KAN([2, 5, 1], grid=5), TypeError, r"\bKAN\b.*'grid'"),
        (lambda: MLP([1, 1], activation="tanh"), TypeError, r"activation='tanh'"),
        (lambda: SplineMLP([2, 3, 1], start="tanh"), TypeError, r"start='tanh'"),
        (lambda: Mixture([2, 3, 1], ["kan", "mlp"]), ValueError, r"kinds=\['kan', 'mlp'\].*'lin"),
        (lambda: Mixture([2, 3, 1], ["kan"]), ValueError, r"kinds=\['kan'\]; .*of the 2 layers"),
        (lambda: Mixture([1, 1], None), ValueError, r"kinds=None; expected .*of the 1 layers"),
        (lambda: Mixture([2, 1], ["kan"], kan={"grid": 3}), TypeError, r"'grid'"),
        (lambda: Mixture([2, 1], ["linear"], activation="tanh"), TypeError, r"activation='tanh'"),
    ],
)
def test_bad_options_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_importing_kanbook_leaves_the_workshop_alone():
    heavy = "matplotlib", "pandas", "anywidget", "ipywidgets", "sklearn", "evidence"
    code = f"import sys, kanbook; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
