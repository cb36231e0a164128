"""The tanh layer and the spline activation, and the experiments behind their defaults."""

import copy
import itertools
import math
import statistics

import pytest
import torch
from helpers import assert_compiles, assert_gradients, assert_transforms, generator, kept_bytes

from kanbook import MLP, TanhKAN, TanhLayer, fit, splines, tasks
from kanbook import tanh as tanh_module
from kanbook.spline_mlp import SplineActivation, SplineMLP


def random_layers():
    """A layer of each kind, float64, three inputs, every parameter random."""
    kinds = [TanhLayer(3, 2, bias=True, tanh=tanh, dtype=torch.float64) for tanh in PLACES]
    kinds.append(SplineActivation(3, grid_size=4, domain=(-2.0, 2.0), dtype=torch.float64))
    for layer in kinds:
        for parameter in layer.parameters():
            parameter.data.normal_(generator=generator(parameter.numel()))
    return kinds


PLACES = "edge", "sum", None  # where a tanh layer takes its tanh
each_layer = pytest.mark.parametrize("layer", random_layers(), ids=repr)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("tanh", PLACES)
def test_tanh_layer_equals_loops(tanh, bias):
    layer = TanhLayer(3, 2, bias=bias, tanh=tanh, dtype=torch.float64)
    for parameter in layer.parameters():
        parameter.data.normal_(0, 0.5, generator=generator(parameter.numel()))
    x = torch.randn(5, 3, dtype=torch.float64, generator=generator(2))
    of_edge, of_sum = (math.tanh if tanh == place else float for place in ("edge", "sum"))
    a, b, points = layer.a.tolist(), layer.b.tolist(), x.tolist()
    for n, o in itertools.product(range(5), range(2)):
        edges = [of_edge(a[i][o] * v * v + b[i][o] * v) for i, v in enumerate(points[n])]
        assert layer.edges(x)[n, :, o].tolist() == pytest.approx(edges, rel=1e-12)
        y = of_sum(sum(edges) + (layer.bias[o].item() if bias else 0))
        assert layer(x)[n, o].item() == pytest.approx(y, rel=1e-12, abs=1e-12)
        assert layer(x[n])[o].item() == pytest.approx(y, rel=1e-12, abs=1e-12)
    torch.testing.assert_close(layer(x.view(5, 1, 3)), layer(x).view(5, 1, 2))


@pytest.mark.parametrize("tanh", PLACES)
def test_jacobian_equals_finite_differences(tanh):
    layer = TanhLayer(3, 2, bias=True, tanh=tanh, dtype=torch.float64, generator=0)
    x, slopes = (torch.randn(4, n, dtype=torch.float64, generator=generator(n)) for n in (3, 2))
    columns, h = [], 1e-6
    with torch.no_grad():
        for parameter in layer.parameters():
            for number in parameter.view(-1):
                number += h
                above = layer(x)
                number -= 2 * h
                columns.append(((above - layer(x)) * slopes).sum(1) / (2 * h))
                number += h
    expected = torch.stack(columns, 1)
    torch.testing.assert_close(layer.jacobian(x, slopes), expected, rtol=1e-7, atol=1e-8)


def test_a_tanh_after_the_sum_keeps_no_number_an_edge():
    model, x = TanhLayer(20, 30, tanh="sum"), torch.zeros(2000, 20, requires_grad=True)
    _, kept = kept_bytes(lambda: model(x))
    assert kept <= 4 * (2000 * (20 + 20 + 30) + 2 * 20 * 30)  # x, x^2, y; a, b


@pytest.fixture
def in_parts(monkeypatch):
    """Tanh layers compute as with many samples: matrix products, two samples of 3 x 2 at a time."""
    monkeypatch.setattr(tanh_module, "FEW", 0)
    monkeypatch.setattr(tanh_module, "CHUNK", 12)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (5, 3), (2, 4, 3), (0, 3), (2, 0, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tanh_layer_in_parts_equals_the_sum_of_its_edges(in_parts, shape, dtype):
    layer = TanhLayer(3, 2, bias=True, dtype=dtype)
    for parameter in layer.parameters():
        parameter.data.normal_(generator=generator(1))
    x = torch.randn(shape, generator=generator(2), dtype=dtype).requires_grad_()
    y, expected = layer(x), layer.edges(x).sum(-2) + layer.bias
    torch.testing.assert_close(y, expected)
    upstream = torch.randn(y.shape, generator=generator(3), dtype=dtype)
    wanted = (x, *layer.parameters())
    grads, references = (torch.autograd.grad(v, wanted, upstream) for v in (y, expected))
    torch.testing.assert_close(grads, references)


def test_tanh_layer_keeps_one_number_an_edge_and_sample():
    layer, x = TanhLayer(20, 30), torch.zeros(2000, 20)
    y, kept = kept_bytes(lambda: layer(x))
    edges = 4 * 20 * 30 * 2000
    assert y.shape == (2000, 30) and edges <= kept < 1.1 * edges


def test_tanh_layer_in_parts_can_be_transformed(in_parts):
    layer = TanhLayer(3, 2, bias=True, dtype=torch.float64)
    assert_transforms(layer, torch.randn(5, 3, dtype=torch.float64, generator=generator()))


@pytest.mark.parametrize(
    "tanh, ending", [("edge", "(3, 2)"), ("sum", "(3, 2, tanh='sum')"), (None, "(3, 2, tanh=None)")]
)
def test_tanh_layer_names_its_options_and_keeps_0_at_0(tanh, ending):
    assert repr(TanhLayer(3, 2, tanh=tanh)).endswith(ending)
    assert TanhKAN([3, 4, 2], tanh=tanh)(torch.zeros(3)).tolist() == [0, 0]  # without biases


@pytest.mark.parametrize("degree, grid_size", [(0, 4), (1, 1), (3, 4), (7, 1)])
def test_spline_activation_is_one_spline_per_node(degree, grid_size):
    layer = SplineActivation(3, grid_size=grid_size, degree=degree, dtype=torch.float64)
    layer.coef.data.normal_(generator=generator())
    x = torch.rand(5, 3, dtype=torch.float64, generator=generator()) * 3 - 1.5
    for i, y in enumerate(layer(x).unbind(-1)):
        expected = splines.evaluate(x[:, i], layer.coef[i, 0], layer.knots[i], degree)
        torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("start", [torch.tanh, torch.relu, torch.nn.SiLU()])
@pytest.mark.parametrize("domain", [(-1.0, 1.0), (0.0, 10.0)])
def test_spline_activation_starts_as_the_least_squares_fit(start, domain):
    layer = SplineActivation(2, grid_size=8, degree=2, domain=domain, start=start)
    x = torch.linspace(*domain, 500).unsqueeze(-1).expand(-1, 2)
    assert (layer(x) - start(x)).abs().max() < 0.02 * (domain[1] - domain[0])
    expected = splines.fit(x[:, 0], start(x[:, 0]), layer.knots[0], 2)
    torch.testing.assert_close(layer.coef[1, 0].detach(), expected, rtol=0.02, atol=0.02)
    layer.coef.data.zero_()
    layer.reset_parameters()
    torch.testing.assert_close(layer.coef[0, 0].detach(), expected, rtol=0.02, atol=0.02)


def test_spline_activation_domain():
    """The figures in SplineActivation's docstring."""
    x = torch.linspace(-1, 1, 401).unsqueeze(-1)
    assert (SplineActivation(1)(x) - torch.tanh(x)).abs().max() < 3e-4

    def share(widths, inputs, bound):
        hidden = []
        for seed in range(5):
            model = MLP(widths, generator=generator(seed))
            hidden += [model[:1](inputs), model[:3](inputs)]
        return (torch.cat(hidden).abs() <= bound).float().mean().item()

    wide = torch.rand(1000, 16, generator=generator()) * 2 - 1
    assert share([1, 20, 20, 1], x, 1) == pytest.approx(0.94, abs=0.005)
    assert share([16, 64, 64, 1], wide, 1) == pytest.approx(0.997, abs=0.0005)
    assert min(share([1, 20, 20, 1], x, 2), share([16, 64, 64, 1], wide, 2)) > 0.9999

    x, y = tasks.function_1d("zigzag", 50)
    for end, expected in [(1.0, 0.0016), (2.0, 0.015), (4.0, 0.10)]:
        losses = []
        for seed in range(3):
            model = SplineMLP([1, 10, 10, 1], domain=(-end, end), generator=generator(seed))
            losses.append(fit(model, x, y, steps=200, lr=0.01).loss[-1])
        assert statistics.median(losses) == pytest.approx(expected, rel=0.3)


@each_layer
@pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])
def test_gradients_are_right_twice(layer, parts, request):
    if parts:
        request.getfixturevalue("in_parts")
    assert_gradients(layer, torch.rand(4, 3, dtype=torch.float64, generator=generator()) * 2 - 1)


@each_layer
def test_autocast_leaves_layers_in_their_own_precision(layer, in_parts):
    layer = copy.deepcopy(layer).float()
    x = torch.rand(20, 3, generator=generator()).requires_grad_()
    wanted = (x, *layer.parameters())
    y = layer(x)
    expected = y, *torch.autograd.grad(y.square().sum(), wanted)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
        result = y, *torch.autograd.grad(y.square().sum(), wanted)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("place", range(2), ids=PLACES[:2])
def test_torch_compile_gives_the_same(in_parts, place):
    batches = 20, 7, 9  # from the second on, of any size
    numbers = generator()
    x = [torch.rand(n, 3, dtype=torch.float64, generator=numbers) for n in batches]
    assert_compiles(random_layers()[place], *x)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: TanhLayer(0, 2), ValueError, r"in_features=0"),
        (lambda: TanhLayer(2, 1, tanh="node"), ValueError, r"tanh='node'; expected 'edge', 'sum'"),
        (lambda: TanhKAN([2, 1], tanh=True), ValueError, r"tanh=True"),
        (lambda: SplineActivation(0), ValueError, r"features=0"),
        (lambda: SplineActivation(2, domain=(1.0, 0.0)), ValueError, r"domain="),
        (lambda: SplineActivation(2, start="tanh"), TypeError, r"start='tanh'"),
        (lambda: SplineActivation(2, start=torch.log), ValueError, r"start\(x\) is nan"),
        (lambda: SplineActivation(2, start=torch.sum), ValueError, r"and y \(1,\)"),
        (lambda: SplineActivation(2)(torch.zeros(5, 3)), ValueError, r"x has shape \(5, 3\)"),
        (lambda: SplineActivation(2)([0.0, 0.0]), TypeError, r"x is a list"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
