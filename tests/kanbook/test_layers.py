"""The KAN layer against plain loops, and the experiment behind its initialization."""

import itertools
from functools import partial

import pytest
import torch
from helpers import assert_compiles, assert_gradients, assert_transforms, generator, shaken
from torch import nn

from kanbook import KAN, KANLayer, Mixture, TanhKAN, splines
from kanbook.layers import run_and_record
from kanbook.optimizers import jacobian_by_autograd
from kanbook.spline_mlp import SplineMLP

OPTIONS = [
    {"bias": bias, "spline_weight": weight, "base": base}
    for bias, weight, base in itertools.product([False, True], [False, True], [None, torch.sin])
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("degree", [0, 1, 3, 7])
def test_forward_equals_loops(degree, options):
    layer = KANLayer(3, 2, grid_size=4, degree=degree, dtype=torch.float64, **options)
    for parameter in layer.parameters():  # also those that start as no-ops
        parameter.data.normal_(generator=generator(parameter.numel()))
    x = torch.rand(5, 3, dtype=torch.float64, generator=generator()) * 3 - 1.5
    expected = torch.zeros(5, 2, dtype=torch.float64)
    for b, o in itertools.product(range(5), range(2)):
        for i in range(3):
            spline = splines.evaluate(x[b, i], layer.coef[i, o], layer.knots[i], degree)
            weight = layer.spline_weight[i, o] if options["spline_weight"] else 1
            expected[b, o] += weight * spline
            if options["base"]:
                expected[b, o] += layer.base_weight[i, o] * torch.sin(x[b, i])
        if options["bias"]:
            expected[b, o] += layer.bias[o]
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
    total = layer.edges(x).sum(-2) + (layer.bias if options["bias"] else 0)
    torch.testing.assert_close(total, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [OPTIONS[0], OPTIONS[-1]], ids=["minimal", "all"])
def test_clamped_splines_keep_their_values_at_the_ends(options):
    options = {**options, "domain": (0.0, 2.0), "dtype": torch.float64, "generator": 0}
    layer, free = shaken(KANLayer(3, 2, clamp=True, **options)), shaken(KANLayer(3, 2, **options))
    x = 4 * torch.randn(40, 3, dtype=torch.float64, generator=generator())
    x[:3] = torch.tensor([[0.0, 2.0, -1e6]])
    x.requires_grad_()
    inside = x.clamp(0, 2)
    expected = free.edges(inside)
    if free.base is not None:
        expected = expected + (x.sin() - inside.sin()).unsqueeze(-1) * free.base_weight
    torch.testing.assert_close(layer.edges(x), expected, rtol=1e-12, atol=1e-12)
    expected = expected.sum(-2) + (0 if free.bias is None else free.bias)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)
    (found,), (slope,) = (torch.autograd.grad(y.sum(), x) for y in (layer(x), expected))
    torch.testing.assert_close(found, slope, rtol=1e-12, atol=1e-12)
    assert options["base"] or not found[(x < 0) | (x > 2)].any()
    assert_compiles(layer, x.detach())
    assert_transforms(layer, x.detach()[3:])
    assert layer(torch.full((1, 3), torch.nan, dtype=torch.float64)).isnan().all()
    by_layer = layer.jacobian(x, torch.ones(40, 2, dtype=torch.float64))
    torch.testing.assert_close(by_layer, jacobian_by_autograd(layer, x.detach()).sum(1))
    assert "clamp=True" in repr(layer) and "clamp" not in repr(free)


@pytest.mark.parametrize("options", OPTIONS)
def test_options_start_as_no_ops(options):
    x = torch.rand(7, 3) * 2 - 1
    minimal, layer = KANLayer(3, 4, generator=0), KANLayer(3, 4, generator=0, **options)
    torch.testing.assert_close(layer(x), minimal(x), rtol=1e-6, atol=1e-6)
    for name in ("bias", "spline_weight"):
        assert (getattr(layer, name) is not None) == options[name]
    assert (layer.base_weight is not None) == (options["base"] is not None)


@pytest.mark.parametrize("degree", [1, 2, 3, 7])
@pytest.mark.parametrize("domain", [(-1.0, 1.0), (0.0, 1.0), (2.0, 10.0)])
def test_edges_start_as_straight_lines(degree, domain):
    layer = KANLayer(4, 3, degree=degree, domain=domain, dtype=torch.float64, generator=generator())
    x = torch.linspace(*domain, 101, dtype=torch.float64).unsqueeze(-1).expand(-1, 4)
    phi = layer.edges(x).detach()
    assert phi.diff(n=2, dim=0).abs().max() < 1e-12 * domain[1]
    center = sum(domain) / 2
    torch.testing.assert_close(phi[50], torch.full((4, 3), center / 4, dtype=torch.float64))
    torch.testing.assert_close(layer(x)[50], torch.full((3,), center, dtype=torch.float64))


def spread_through_depth(make, change=None, seeds=5):
    """Standard deviation of the signal after 8 layers of width 16, and growth of the gradient's."""
    signal, gradient = [], []
    for seed in range(seeds):
        g = generator(seed)
        model = make([16] * 9, generator=g)
        for layer in model if change else ():
            change(layer, g)
        x = (torch.rand(1000, 16, generator=g) * 2 - 1).requires_grad_()
        y = model(x)
        y.backward(torch.randn(y.shape, generator=g))
        signal.append(y.std().item())
        gradient.append(x.grad.std().item())
    return sum(signal) / seeds, sum(gradient) / seeds


def independent(layer, g):
    """Independent coefficients with the same output variance, 1/3."""
    bases = splines.basis(torch.linspace(-1, 1, 1001), layer.knots[0], 3)
    share = bases.square().sum(-1).mean()
    layer.coef.data.normal_(0, (1 / 3 / 16 / share) ** 0.5, generator=g)


def narrow(layer, g):
    layer.b.data.normal_(0, 1 / 4, generator=g)


def wide(layer, g, a=1 / 4):
    layer.a.data.normal_(0, a, generator=g)
    layer.b.data.normal_(0, a, generator=g)


@pytest.mark.parametrize(
    "make, change, signal, gradient, off",
    [
        (partial(KAN, grid_size=5), None, 0.45, 1.3, 0.1),
        (partial(KAN, grid_size=20), None, 0.36, 7.5, 0.1),
        (partial(KAN, grid_size=5), independent, 0.58, 67, 0.2),
        (partial(KAN, grid_size=20), independent, 0.56, 3.9e6, 0.3),
        (TanhKAN, None, 0.50, 0.95, 0.02),
        (TanhKAN, wide, 1.9, 12, 0.1),
        (TanhKAN, partial(wide, a=1), 3.2, 600, 0.2),
        (partial(TanhKAN, tanh="sum"), None, 0.41, 0.93, 0.02),
        (partial(TanhKAN, tanh="sum"), narrow, 0.23, 0.46, 0.02),
    ],
)
def test_initialization_keeps_signal_and_gradient(make, change, signal, gradient, off):
    """The figures in the docstrings of KANLayer and TanhLayer."""
    expected = pytest.approx(signal, rel=0.03), pytest.approx(gradient, rel=off)
    assert spread_through_depth(make, change) == expected


def test_base_may_be_a_module():
    layer = KANLayer(2, 1, base=nn.Sequential())  # the identity; as a list it is empty
    layer.base_weight.data.fill_(1)
    x = torch.rand(3, 2)
    torch.testing.assert_close(layer(x), layer.edges(x).sum(-2))


def test_what_reaches_spline_layers_is_recorded():
    """In evaluation mode, whose layers and hooks are as before, also after an error."""
    layer, other = (KANLayer(2, 2, generator=seed) for seed in (0, 1))
    model = nn.Sequential(layer, nn.Dropout(0.5), other, layer)
    model[2].eval()
    x = torch.rand(3, 4, 2)
    output, calls = run_and_record(model, x)
    assert output.equal(layer(other(layer(x)))) and not output.requires_grad
    assert [called for called, _ in calls] == [layer, other, layer]
    for (_, seen), expected in zip(calls, (x, layer(x), other(layer(x))), strict=True):
        assert seen.equal(expected.reshape(12, 2))
    with pytest.raises(ValueError, match="x has shape"):
        run_and_record(model, torch.zeros(3, 5))
    assert [module.training for module in (model, *model)] == [True, True, True, False, True]
    assert not any(module._forward_pre_hooks for module in model)


X = torch.zeros(5, 2)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: KANLayer(0, 2), ValueError, r"in_features=0"),
        (lambda: KANLayer(2, 1, domain=(1.0, 0.0)), ValueError, r"domain="),
        (lambda: KANLayer(2, 1, base="silu"), TypeError, r"base='silu'"),
        (lambda: KANLayer(2, 1, base=nn.SiLU), TypeError, r"base=<class .*SiLU'>; expected a func"),
        (lambda: KANLayer(2, 1, clamp=(-1, 1)), TypeError, r"clamp=\(-1, 1\); expected True or F"),
        (lambda: KANLayer(2, 1, generator=-1), ValueError, r"generator=-1"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "base, error, message",
    [
        (lambda x: x.sum(-1), ValueError, r"base returned torch.float32 of shape \(5,\).*\(5, 2\)"),
        (lambda x: x.double(), ValueError, "base returned torch.float64.*torch.float32"),
    ],
)
def test_a_base_that_changes_its_argument_is_refused(base, error, message):
    layer = KANLayer(2, 3, base=base)
    for call in (layer, layer.edges):
        with pytest.raises(error, match=message):
            call(X)


def test_autocast_leaves_splines_in_their_own_precision():
    model = KAN([2, 3, 1], generator=0, bias=True, spline_weight=True, base=torch.sin)
    x = torch.rand(50, 2, generator=generator())

    def results():
        model.zero_grad()
        y = model(x)
        y.square().sum().backward()
        return [y, model[0].edges(x), *(layer.coef.grad for layer in model)]

    expected = results()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(results(), expected)  # of the same dtypes, too
        for kinds in itertools.product(("kan", "tanh", "linear"), repeat=2):
            Mixture([2, 3, 1], kinds)(x).sum().backward()
        SplineMLP([2, 3, 1])(x).sum().backward()


def test_second_derivatives_are_the_same_inside_autocast():
    model, x = KAN([2, 3, 1], generator=0), torch.rand(50, 2, generator=generator())

    def results(autocast):
        z = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            (slope,) = torch.autograd.grad(model(z).sum(), z, create_graph=True)
        return slope, *torch.autograd.grad(slope.square().sum(), [z, *model.parameters()])

    torch.testing.assert_close(results(True), results(False))


@pytest.mark.parametrize("even", [True, False], ids=["even", "uneven"])
@pytest.mark.parametrize("degree", [2, 3])
@pytest.mark.parametrize("options", [OPTIONS[0], OPTIONS[-1]], ids=["minimal", "all"])
def test_gradients_of_a_network_are_right_twice(degree, even, options):
    options = {**options, "degree": degree, "dtype": torch.float64}
    model, noise = KAN([2, 2, 1], generator=0, grid_size=4, **options), generator()
    for tensor in [*model.parameters()] + [layer.knots for layer in model if not even]:
        tensor.data += 0.05 * torch.rand(tensor.shape, generator=noise, dtype=tensor.dtype)
    x = 2 * torch.rand(3, 2, generator=noise, dtype=torch.float64) - 1
    assert_gradients(model, x, twice=degree == 3)  # whose slope has a slope at the knots
