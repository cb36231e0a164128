"""Grid updates and extensions: the function stays, whatever the samples are like."""

import copy

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from torch import nn

from kanbook import KAN, MLP, extend_grid, splines, update_grid
from kanbook.layers import SplineActivation

FLAGS = {"bias": True, "spline_weight": True, "base": nn.functional.silu}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make(widths=(2, 4, 1), seed=0, dtype=torch.float64, **options):
    """A KAN with curved edges and spline weights that are not 1."""
    model = KAN(list(widths), dtype=dtype, generator=generator(seed), **options)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator(seed), dtype=dtype)
    return model


def samples(n=500, inputs=2, seed=1, dtype=torch.float64):
    return 2 * torch.rand(n, inputs, generator=generator(seed), dtype=dtype) - 1


def inside(layer, n=400):
    """Points all over the domain of each input, both ends among them."""
    k = layer.degree
    a, b = layer.knots[:, k], layer.knots[:, -k - 1]
    x = a + (b - a) * torch.linspace(0, 1, n, dtype=a.dtype).unsqueeze(-1)
    return torch.minimum(x, b)


@pytest.mark.parametrize("degree", range(6))
@pytest.mark.parametrize("old, new", [(1, 7), (3, 6), (5, 10), (4, 12), (10, 20), (5, 5)])
@pytest.mark.parametrize("adaptive", [False, True])
def test_extension_to_a_multiple_is_exact(degree, old, new, adaptive):
    layer = make((3, 2), grid_size=old, degree=degree, **FLAGS)[0]
    if adaptive:
        update_grid(layer, samples(inputs=3) ** 3)
    x = inside(layer)
    before = layer(x)
    extend_grid(layer, samples(inputs=3), new)
    assert layer.grid_size == new and layer.coef.shape == (3, 2, new + degree)
    assert (layer(x) - before).abs().max() < 1e-12


@pytest.mark.parametrize("old, new", [(3, 5), (20, 50)])
def test_other_extensions_are_the_best_approximation(old, new):
    layer = make((1, 1), grid_size=old)[0]
    before = copy.deepcopy(layer)
    extend_grid(layer, samples(inputs=1), new)
    x = inside(layer, 20001)
    error = (layer(x) - before(x)).square().mean().sqrt()
    assert 1e-6 < error < 0.05 * before(x).std()
    # Least squares on very many points, by SciPy, does no better.
    design = BSpline.design_matrix(x[:, 0].numpy(), layer.knots[0].numpy(), 3).toarray()
    target = before(x).detach().numpy()
    best = np.linalg.lstsq(design, target, rcond=None)[0]
    floor = np.sqrt(np.mean((design @ best - target) ** 2))
    assert error.item() == pytest.approx(floor, rel=1e-2)


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


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("grid_eps", [0.0, 0.02, 0.5, 1.0])
def test_update_lays_knots_on_the_blend_of_quantiles_and_even_spacing(seed, grid_eps):
    layer = make((2, 3), seed, grid_size=7)[0]
    x = samples(301, 2, seed) ** 3 + torch.tensor([0.0, 5.0])
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
    x = inside(layer, 20001)
    error = (layer(x) - before(x)).square().mean().sqrt().item()
    design = BSpline.design_matrix(x[:, 0].numpy(), layer.knots[0].numpy(), 3).toarray()
    target = before(x).detach().numpy()
    best = np.linalg.lstsq(design, target, rcond=None)[0]
    assert error == pytest.approx(np.sqrt(np.mean((design @ best - target) ** 2)), rel=1e-2)


def test_update_where_the_curve_can_follow_is_exact():
    layer = make((2, 3), grid_size=6, degree=3, **FLAGS)[0]
    update_grid(layer, samples() * 0.7, grid_eps=0.3)
    layer.coef.data.copy_(  # curves that any cubic grid can follow
        splines.fit(
            inside(layer), (inside(layer) ** 3).unsqueeze(-1).expand(-1, 2, 3), layer.knots, 3
        )
    )
    x = samples() * 0.5
    before = layer(x)
    update_grid(layer, x)
    assert (layer(x) - before).abs().max() < 1e-12
    update_grid(layer, x)  # again: the same knots, so nothing changes
    knots, coef = layer.knots.clone(), layer.coef.clone()
    update_grid(layer, x)
    assert layer.knots.equal(knots) and layer.coef.equal(coef)


def test_spline_weights_do_not_enter_twice():
    # A refit of weight * curve that is stored as the curve would square the weights.
    layer = make((2, 2), grid_size=5, spline_weight=True)[0]
    layer.spline_weight.data.fill_(3.0)
    x = samples()
    before = layer(x)
    update_grid(layer, x, grid_eps=1.0)
    assert (layer(x) - before).abs().max() < 0.02 * before.abs().max()


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


def test_layers_see_what_the_updated_layers_before_them_put_out():
    model = make()
    x = samples()
    update_grid(model, x)
    hidden = model[0](x)
    torch.testing.assert_close(model[1].knots[:, 3], hidden.amin(0), rtol=0, atol=1e-13)
    torch.testing.assert_close(model[1].knots[:, -4], hidden.amax(0), rtol=0, atol=1e-13)


def test_any_module_that_holds_spline_layers():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = make((2, 2))
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return x + self.drop(self.inner(x))

    model = nn.Sequential(Residual(), nn.BatchNorm1d(2).double(), SplineActivation(2).double())
    statistics = copy.deepcopy(model[1].state_dict())
    update_grid(model, samples())
    extend_grid(model, samples(), 10)
    assert model[0].inner[0].grid_size == model[2].grid_size == 10
    assert all(v.equal(statistics[name]) for name, v in model[1].state_dict().items())
    assert all(not module._forward_pre_hooks for module in model.modules())
    assert model.training


def test_parameters_stay_where_their_shape_does():
    model = make()
    parameters = list(model.parameters())
    model(samples()).sum().backward()
    model[0].coef.requires_grad_(False)
    update_grid(model, samples())
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert model[1].coef.grad is None  # it belonged to the old grid
    extend_grid(model, samples(), 10)
    assert not model[0].coef.requires_grad and model[1].coef.requires_grad
    assert isinstance(model[1].coef, nn.Parameter)
    assert set(model.state_dict()) == {"0.knots", "0.coef", "1.knots", "1.coef"}


@pytest.mark.parametrize("flags", [{}, FLAGS], ids=["minimal", "all"])
def test_a_grown_grid_loads_into_a_fresh_model(flags, tmp_path):
    model = make(grid_size=5, **flags)
    update_grid(model, samples())
    extend_grid(model, samples(), 11)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    for grid_size in (5, 11, 20):
        fresh = make(grid_size=grid_size, seed=3, **flags)
        fresh.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
        assert fresh[0].grid_size == 11
        assert fresh(samples()).equal(model(samples()))
        fresh(samples()).sum().backward()
        assert fresh[0].coef.grad.shape == fresh[0].coef.shape
    twin = copy.deepcopy(model)
    assert twin(samples()).equal(model(samples()))
    assert twin.float()(samples().float()).dtype == torch.float32


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


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda m: update_grid(m, GOOD, grid_eps=-0.1), ValueError, "grid_eps=-0.1"),
        (lambda m: update_grid(m, GOOD, grid_eps=1.5), ValueError, "grid_eps=1.5.*0 to 1"),
        (lambda m: update_grid(m, GOOD, grid_eps="a"), TypeError, "grid_eps='a'"),
        (lambda m: update_grid(m, GOOD[:1]), ValueError, r"x has shape \(1, 2\).*two samples"),
        (lambda m: update_grid(m, GOOD[0]), ValueError, r"x has shape \(2,\)"),
        (lambda m: update_grid(m, GOOD[:0]), ValueError, r"x has shape \(0, 2\)"),
        (lambda m: update_grid(m, GOOD * torch.nan), ValueError, "x is nan at index"),
        (lambda m: update_grid(m, GOOD / 0), ValueError, "x is .*inf at index"),
        (lambda m: update_grid(m, GOOD * 0 + 0.5), ValueError, "x has the same row in all 20"),
        (lambda m: update_grid(m, GOOD[:, :1]), ValueError, r"x has shape"),
        (lambda m: update_grid(m, GOOD.float()), TypeError, "x has dtype torch.float32"),
        (lambda m: update_grid(m, GOOD.tolist()), TypeError, "x is a list"),
        (lambda m: update_grid(3, GOOD), TypeError, "model is a int"),
        (lambda m: update_grid(MLP([2, 1]).double(), GOOD), ValueError, "without spline layers"),
        (lambda m: extend_grid(m, GOOD, 4), ValueError, "grid_size=4.*at least 5.*layer '0'"),
        (lambda m: extend_grid(m, GOOD, 0), ValueError, "grid_size=0"),
        (lambda m: extend_grid(m, GOOD, 7.0), TypeError, "grid_size=7.0"),
        (lambda m: extend_grid(m, GOOD * torch.nan, 10), ValueError, "x is nan"),
        (lambda m: extend_grid(m, GOOD[:1], 10), ValueError, "two samples"),
        (lambda m: extend_grid(m, GOOD * 0, 10), ValueError, "x has the same row"),
        (lambda m: extend_grid(m[0], GOOD, 4), ValueError, "the layer"),
    ],
)
def test_refused_calls_name_the_argument_and_change_nothing(call, error, message):
    model = make()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=message):
        call(model)
    assert all(v.equal(before[name]) for name, v in model.state_dict().items())


def test_a_failure_halfway_changes_nothing():
    model = make()
    model[1].coef.data[0, 0, 0] = torch.nan
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="coef of layer '1' is nan"):
        update_grid(model, samples())
    for name, v in model.state_dict().items():
        torch.testing.assert_close(v, before[name], rtol=0, atol=0, equal_nan=True)


def test_a_hidden_value_that_is_not_finite_is_named():
    model = nn.Sequential(make((1, 1)), nn.Hardtanh(-1e300, 1e300), make((1, 1)))
    model[0][0].coef.data.fill_(1e308)
    model[0].append(nn.Linear(1, 1, dtype=torch.float64))
    model[0][1].weight.data.fill_(1e308)
    before = copy.deepcopy(model.state_dict())
    model[1] = nn.Identity()
    with pytest.raises(ValueError, match="the input of layer '2.0' is -?inf"):
        update_grid(model, samples(inputs=1))
    assert all(v.equal(before[name]) for name, v in model.state_dict().items())


def test_layers_that_cannot_keep_their_function_are_refused():
    def refused(model, message, call=update_grid):
        before = copy.deepcopy(model.state_dict())
        with pytest.raises(ValueError, match=message):
            call(model, samples())
        assert all(v.equal(before[name]) for name, v in model.state_dict().items())

    shared = make((2, 2))[0]
    refused(nn.Sequential(shared, shared), "layer '0' runs more than once")
    twice = nn.Sequential(shared, shared)
    extend_grid(twice, samples(), 10)  # in the same domain, the function is kept in every call
    assert shared.grid_size == 10

    tied = make((2, 2, 2))
    tied[1].coef = tied[0].coef
    for call in (update_grid, lambda model, x: extend_grid(model, x, 10)):
        refused(tied, "layer '0' and layer '1' share their coef", call)

    parametrized = make((2, 2))
    nn.utils.parametrize.register_parametrization(parametrized[0], "coef", nn.Identity())
    refused(parametrized, "coef of layer '0' is parametrized")

    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = make((2, 1)), make((2, 1))

        def forward(self, x):
            return self.used[0](x=x)

    refused(Idle(), "layer 'idle.0' takes no part in the forward pass")
    one = Idle()
    del one.idle
    update_grid(one, samples())  # called by keyword
    assert one.used[0].knots[0, 3] == samples()[:, 0].min()


def test_dropout_is_off_and_no_random_number_is_drawn():
    model = nn.Sequential(make((2, 4)), nn.Dropout(0.5), make((4, 1)))
    twin = nn.Sequential(copy.deepcopy(model[0]), copy.deepcopy(model[2]))
    state = torch.get_rng_state()
    update_grid(model, samples())
    update_grid(twin, samples())
    assert torch.get_rng_state().equal(state) and model.training
    assert model[2][0].knots.equal(twin[1][0].knots)


def test_grids_changed_in_inference_mode_can_be_trained():
    model = make()
    with torch.inference_mode():
        update_grid(model, samples())
        extend_grid(model, samples(), 10)
    model(samples().requires_grad_()).sum().backward()
    assert model[0].coef.grad is not None


def test_a_default_device_does_not_matter():
    model = make()
    with torch.device("meta"):
        update_grid(model, samples_there := GOOD)
        extend_grid(model, samples_there, 10)
        assert model(samples_there).device.type == "cpu"


def test_the_sample_tensor_is_left_alone():
    x = samples()
    twin = x.clone()
    update_grid(make(), x)
    extend_grid(make(), x, 10)
    assert x.equal(twin) and not x.requires_grad
