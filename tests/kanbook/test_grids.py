"""Grid updates and extensions: the function stays, whatever the samples are like."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from helpers import generator, shaken
from scipy.interpolate import BSpline
from torch import nn

from kanbook import KAN, MLP, extend_grid, fit, splines, tasks, update_grid
from kanbook.spline_mlp import SplineActivation

FLAGS = {"bias": True, "spline_weight": True, "base": nn.functional.silu}


def make(widths=(2, 4, 1), seed=0, dtype=torch.float64, **options):
    """A KAN with curved edges and spline weights that are not 1."""
    return shaken(KAN(list(widths), dtype=dtype, generator=seed, **options), seed, 0.2)


def samples(n=500, inputs=2, seed=1, dtype=torch.float64):
    return 2 * torch.rand(n, inputs, generator=generator(seed), dtype=dtype) - 1


def inside(layer, n=400):
    """Points all over the domain of each input, both ends among them."""
    k = layer.degree
    a, b = layer.knots[:, k], layer.knots[:, -k - 1]
    x = a + (b - a) * torch.linspace(0, 1, n, dtype=a.dtype).unsqueeze(-1)
    return torch.minimum(x, b)


def assert_best(layer, before):
    """No spline on the layer's knots is closer to its old curve: SciPy's least squares."""
    x = inside(layer, 20001)
    target = before(x).detach().numpy()
    design = BSpline.design_matrix(x[:, 0].numpy(), layer.knots[0].numpy(), 3).toarray()
    best = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    errors = [np.sqrt(np.mean((y - target) ** 2)) for y in (layer(x).detach().numpy(), best)]
    assert 1e-6 < errors[0] == pytest.approx(errors[1], rel=1e-2)


@pytest.mark.parametrize("degree", range(6))
@pytest.mark.parametrize("old, new", [(1, 7), (3, 6), (4, 12), (5, 5)])
@pytest.mark.parametrize("adaptive", [False, True])
def test_extension_to_a_multiple_is_exact(degree, old, new, adaptive):
    layer = make((3, 2), grid_size=old, degree=degree, **FLAGS)[0]
    data = samples(inputs=3)
    if adaptive:
        data = data**3
        update_grid(layer, data)
    x = inside(layer)
    before = layer(x)
    extend_grid(layer, data, new)
    assert layer.grid_size == new and layer.coef.shape == (3, 2, new + degree)
    assert (layer(x) - before).abs().max() < 1e-12


@pytest.mark.parametrize("old, new", [(3, 5), (20, 50)])
def test_other_extensions_are_the_best_approximation(old, new):
    layer = make((1, 1), grid_size=old)[0]
    before = copy.deepcopy(layer)
    extend_grid(layer, samples(inputs=1), new)
    assert_best(layer, before)
    x = inside(layer)
    assert (layer(x) - before(x)).std() < 0.05 * before(x).std()


def test_extension_of_a_network_keeps_its_function_on_the_data():
    model = make(grid_size=5, **FLAGS)
    x = samples()
    update_grid(model, x)  # so that hidden values lie in their domains
    before = model(x)
    extend_grid(model, x, 10)
    assert [layer.grid_size for layer in model] == [10, 10]
    assert (model(x) - before).abs().max() < 1e-12
    model(x).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_extension_says_how_many_inputs_lie_outside():
    x = torch.linspace(-1, 1, 1000, dtype=torch.float64).unsqueeze(-1)  # the domain
    model = make((1, 3, 1))
    model[0].coef.data *= 5
    share = (model[0](x).abs() > 1).double().mean().item()
    message = f"^{share:.1%} of the inputs of layer '1' lie outside its domain"
    with pytest.warns(RuntimeWarning, match=message) as caught:
        extend_grid(copy.deepcopy(model), x, 10)
    assert 0.1 < share < 0.9 and len(caught) == 1 and caught[0].filename == __file__
    with pytest.warns(RuntimeWarning, match="^50.0% of the inputs of the layer lie outside"):
        extend_grid(make((1, 1))[0], 2 * x, 10)
    extend_grid(model, x, 5)  # silent: nothing changes; and where an update came first, in fit too
    fit(model, x, x, steps=2, update_grid_at=[2], extend_grid_at={2: 10})
    update_grid(model, x)
    extend_grid(model, x, 20)


def test_an_update_before_an_extension_keeps_what_was_learned():
    x, y = tasks.formula("exp_sine", 200, generator=1, dtype=torch.float64)
    alone = KAN([2, 5, 1], generator=2, dtype=torch.float64)
    fit(alone, x, y, steps=60, lr=0.05)
    updated, error = copy.deepcopy(alone), lambda model: (model(x) - y).square().mean().item()
    learned = error(alone)
    update_grid(updated, x)
    extend_grid(updated, x, 10)
    with pytest.warns(RuntimeWarning, match="layer '1' lie outside its domain"):
        extend_grid(alone, x, 10)
    assert error(updated) < 1.5 * learned and error(alone) > 5 * learned


@pytest.mark.parametrize("grid_eps", [0.0, 0.02, 0.5, 1.0])
def test_update_lays_knots_on_the_blend_of_quantiles_and_even_spacing(grid_eps):
    layer = make((2, 3), grid_size=7)[0]
    x = samples(301, 2) ** 3 + torch.tensor([0.0, 5.0])
    update_grid(layer, x, grid_eps=grid_eps)
    for i in range(2):
        quantiles = np.quantile(x[:, i].numpy(), np.linspace(0, 1, 8))
        even = np.linspace(x[:, i].min().item(), x[:, i].max().item(), 8)
        expected = grid_eps * even + (1 - grid_eps) * quantiles
        knots = layer.knots[i].numpy()
        np.testing.assert_allclose(knots[3:-3], expected, rtol=0, atol=1e-13)
        np.testing.assert_allclose(np.diff(knots[:4]), knots[4] - knots[3], rtol=1e-9)
        np.testing.assert_allclose(np.diff(knots[-4:]), knots[-4] - knots[-5], rtol=1e-9)
        assert knots[3] == x[:, i].min() and knots[-4] == x[:, i].max()


def test_update_is_the_best_approximation_on_the_new_domain():
    layer = make((1, 1), grid_size=5, spline_weight=True)[0]
    before = copy.deepcopy(layer)
    update_grid(layer, 1.5 * samples(inputs=1) ** 3)
    assert layer.spline_weight.equal(before.spline_weight)
    assert_best(layer, before)


def test_update_where_the_curve_can_follow_is_exact():
    layer = make((2, 3), grid_size=6, degree=3, **FLAGS)[0]
    update_grid(layer, samples() * 0.7, grid_eps=0.3)
    x = inside(layer)  # curves that any cubic grid can follow
    cubes = (x**3).unsqueeze(-1).expand(-1, 2, 3)
    layer.coef.data.copy_(splines.fit(x, cubes, layer.knots, 3))
    layer.spline_weight.data.fill_(3)  # which a refit of the weighted curve would square
    x = samples() * 0.5
    before = layer(x)
    update_grid(layer, x)
    assert (layer(x) - before).abs().max() < 1e-12
    knots, coef = layer.knots.clone(), layer.coef.clone()
    update_grid(layer, x)  # again: the same knots, so nothing changes
    assert layer.knots.equal(knots) and layer.coef.equal(coef)


def test_clamped_layers_keep_their_function_far_out():
    """Constant ends are no single polynomial, but with many knots nearly a spline."""
    model = KAN([2, 3, 1], grid_size=20, clamp=True, dtype=torch.float64, generator=0)
    wide = 3 * torch.rand(500, 2, dtype=torch.float64, generator=generator()) - 1.5
    before = model(wide)
    for change in (update_grid, partial(extend_grid, grid_size=33)):
        change(model, wide)
        assert (model(wide) - before).abs().max() < 0.05 * before.std()
    assert model[0].domain[0].equal(wide.amin(0)) and model[0].domain[1].equal(wide.amax(0))
    extend_grid(model, 2 * wide, 66)  # far out they stay as they are: no warning


@pytest.mark.parametrize(
    "x",
    {
        "two": torch.tensor([[-1.0, 0.0], [1.0, 0.5]]),
        "few": samples(4, dtype=torch.float32),
        "repeated": torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]).repeat(50, 1),
        "one constant": torch.stack([torch.linspace(-1, 1, 30), torch.full((30,), 0.3)], 1),
        "narrow": 0.5 + 1e-7 * samples(50, dtype=torch.float32),
        "far out": 1e4 + samples(50, dtype=torch.float32),
        "far apart": torch.cat([samples(50, dtype=torch.float32), torch.full((1, 2), 1e6)]),
        "heavy tails": samples(500, dtype=torch.float32) ** 21,
    }.items(),
    ids=lambda item: item[0],
)
@pytest.mark.parametrize("grid_eps", [0.0, 0.02, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_update_is_robust(x, grid_eps, dtype):
    name, x = x
    x = x.to(dtype)
    model = make(dtype=dtype, **FLAGS)
    before = model(x)
    update_grid(model, x, grid_eps=grid_eps)
    extend_grid(model, x, 10)
    after = model(x)
    assert after.isfinite().all()
    for layer in model:
        steps = layer.knots.double().diff()
        domain = (layer.knots[:, -4] - layer.knots[:, 3]).double().unsqueeze(-1)
        assert (steps > 0).all()
        rounding = 4 * torch.finfo(dtype).eps * layer.knots.double().abs().amax(-1, keepdim=True)
        assert (steps[:, 3:-3] >= 0.999e-3 * domain / 10 / 2 - rounding).all()
        assert layer.coef.isfinite().all()
        # No swings between the samples: the curve stays of the size that it had.
        assert layer.coef.abs().max() < 30
    if name in ("two", "few"):
        assert (after - before).abs().max() < 0.3 * before.abs().max()


def test_constant_inputs_keep_their_grid_to_the_last_bit():
    layer = make((2, 3), grid_size=4)[0]
    knots, coef = layer.knots[1].clone(), layer.coef[1].clone()
    update_grid(layer, torch.stack([torch.linspace(0, 2, 30), torch.zeros(30)], 1).double())
    assert layer.knots[1].equal(knots) and layer.coef[1].equal(coef)
    assert not layer.knots[0].equal(knots)


def test_data_beyond_all_knots_find_curves_that_are_zero_there():
    layer = make((1, 2))[0]
    x = samples(inputs=1) + 50
    assert (layer(x) == 0).all()
    update_grid(layer, x)
    assert (layer(x) == 0).all() and (layer.coef == 0).all()
    assert layer.knots[0, 3] == x.min()


def test_any_module_that_holds_spline_layers():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = make((2, 2))
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return x + self.drop(self.inner(x))

    model = nn.Sequential(Residual(), nn.BatchNorm1d(2).double(), SplineActivation(2).double())
    statistics, state = copy.deepcopy(model[1].state_dict()), torch.get_rng_state()
    update_grid(model, x := samples())
    extend_grid(model, x, 10)
    assert model[0].inner[0].grid_size == model[2].grid_size == 10
    assert all(v.equal(statistics[name]) for name, v in model[1].state_dict().items())
    assert all(not module._forward_pre_hooks for module in model.modules())
    assert model.training and x.equal(samples())
    # Dropout is off: no random number is drawn, and the next layers see what they will see.
    assert torch.get_rng_state().equal(state)
    seen = model.eval()[:2](x)
    torch.testing.assert_close(model[2].knots[:, 3], seen.amin(0), rtol=0, atol=1e-9)


def test_parameters_stay_where_their_shape_does():
    model, x = make(), samples()
    parameters = list(model.parameters())
    model(x).sum().backward()
    model[0].coef.requires_grad_(False)
    update_grid(model, x)
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert model[1].coef.grad is None  # it belonged to the old grid
    extend_grid(model, x, 10)
    assert not model[0].coef.requires_grad and model[1].coef.requires_grad
    assert isinstance(model[1].coef, nn.Parameter)
    assert set(model.state_dict()) == {"0.knots", "0.coef", "1.knots", "1.coef"}


@pytest.mark.parametrize("flags", [{}, FLAGS], ids=["minimal", "all"])
def test_a_grown_grid_loads_into_a_fresh_model(flags, tmp_path):
    model, x = make(grid_size=5, **flags), samples()
    update_grid(model, x)
    extend_grid(model, x, 10)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    for grid_size in (5, 10, 20):
        fresh = make(grid_size=grid_size, seed=3, **flags)
        fresh.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
        assert fresh[0].grid_size == 10 and fresh(x).equal(model(x))
        fresh(x).sum().backward()
        assert fresh[0].coef.grad.shape == fresh[0].coef.shape
    twin = copy.deepcopy(model)
    assert twin(x).equal(model(x)) and twin.float()(x.float()).dtype == torch.float32


@pytest.mark.parametrize(
    "widths, options",
    [((2, 5, 1), {}), ((2, 4, 1), {"degree": 2}), ((3, 4, 1), {}), ((2, 4, 1), {"bias": True})],
)
def test_a_state_dict_of_another_model_is_refused(widths, options):
    with pytest.raises(RuntimeError, match="Error"):
        make(grid_size=5).load_state_dict(make(widths, grid_size=6, **options).state_dict())


def test_an_extension_that_float32_cannot_hold_is_refused():
    layer = make((1, 1), dtype=torch.float32, domain=(1000.0, 1001.0))[0]
    with pytest.raises(ValueError, match="grid_size=100000 is too large for the domain"):
        extend_grid(layer, samples(inputs=1, dtype=torch.float32), 100_000)
    assert layer.grid_size == 5


GOOD = samples(20)


def assert_refused(call, model, error, message):
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=message):
        call(model)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda m: update_grid(m, GOOD, grid_eps=1.5), ValueError, "grid_eps=1.5.*0 to 1"),
        (lambda m: update_grid(m, GOOD, grid_eps="a"), TypeError, "grid_eps='a'.*0 to 1"),
        (lambda m: update_grid(m, GOOD[:1]), ValueError, r"x has shape \(1, 2\).*two samples"),
        (lambda m: update_grid(m, GOOD / 0), ValueError, "x is .*inf at index"),
        (lambda m: update_grid(m, GOOD * 0 + 0.5), ValueError, "two samples that differ"),
        (lambda m: update_grid(m, GOOD[:, :1]), ValueError, r"x has shape"),
        (lambda m: update_grid(m, GOOD.float()), TypeError, "x has dtype torch.float32"),
        (lambda _: update_grid(MLP([2, 1]), GOOD), ValueError, "without spline layers"),
        (lambda m: extend_grid(m, GOOD, 4), ValueError, "grid_size=4.*at least 5.*layer '0'"),
        (lambda m: extend_grid(m[0], GOOD, 4), ValueError, "the layer"),
    ],
)
def test_refused_calls_name_the_argument_and_change_nothing(call, error, message):
    assert_refused(call, make(), error, message)


def test_a_failure_halfway_changes_nothing():
    def update(model):
        update_grid(model, samples())

    model = make()
    model[1].coef.data[0, 0, 0] = torch.nan
    assert_refused(update, model, ValueError, "coef of layer '1' is nan")
    overflow = nn.Linear(2, 2, dtype=torch.float64)
    overflow.weight.data.fill_(1e308)
    overflow.bias.data.fill_(1e308)
    model = nn.Sequential(make((2, 2)), nn.Linear(2, 2, dtype=torch.float64), overflow, make())
    model[1].bias.data.fill_(9)
    assert_refused(update, model, ValueError, "the input of layer '3.0' is inf")


def test_layers_that_cannot_keep_their_function_are_refused():
    def update(model):
        update_grid(model, samples())

    shared = make((2, 2))[0]
    twice = nn.Sequential(shared, shared)
    assert_refused(update, twice, ValueError, "layer '0' runs more than once")
    extend_grid(nn.Sequential(shared, nn.Tanh(), shared), samples(), 10)  # in the same domain, it
    assert shared.grid_size == 10  # keeps its function in every call

    tied = make((2, 2, 2))
    tied[1].coef = tied[0].coef
    for call in (update, lambda model: extend_grid(model, samples(), 10)):
        assert_refused(call, tied, ValueError, "share their coef")

    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = make((2, 1)), make((2, 1))

        def forward(self, x):
            return self.used[0](x=x)

    assert_refused(update, Idle(), ValueError, "layer 'idle.0' takes no part in the forward pass")
    one = Idle()
    del one.idle
    update(one)  # called by keyword
    assert one.used[0].knots[0, 3] == samples()[:, 0].min()
