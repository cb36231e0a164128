"""The fast functions of splines against the plain formulas, SciPy and finite differences."""

import copy

import numpy as np
import pytest
import torch
from helpers import assert_compiles, assert_transforms, generator, kept_bytes
from scipy.interpolate import BSpline

from kanbook import KAN, KANLayer, TanhKAN, splines, update_grid
from kanbook import fast as module
from kanbook.fast import sum_splines
from kanbook.spline_mlp import SplineMLP, apply_splines

KINDS = ["uniform", "random", "clamped", "repeated"]


def _generator(seed=5):
    return generator(seed)


def make_knots(kind, inputs, grid_size, degree, generator, dtype=torch.float64):
    if kind == "uniform":
        rows = [
            splines.uniform_knots(grid_size, degree, (-1.0 - i, 1.0 + i / 2), dtype=torch.float64)
            for i in range(inputs)
        ]
        return torch.stack(rows).to(dtype)
    count = grid_size + 2 * degree + 1
    steps = torch.rand(inputs, count, generator=generator, dtype=torch.float64) + 0.05
    if kind == "clamped":
        steps[:, 1 : degree + 1] = 0
        steps[:, -degree or count :] = 0
    if kind == "repeated" and grid_size > 2:
        steps[:, degree + 2] = 0
    return (steps.cumsum(-1) - 1).to(dtype)


def make_points(knots, batch, generator):
    start, stop = knots[:, 0], knots[:, -1]
    x = torch.rand(batch, len(knots), generator=generator, dtype=torch.float64).to(knots)
    x = start + (x * 1.4 - 0.2) * (stop - start)  # a part of them beyond all knots
    return torch.cat([x, knots.T])  # and every knot itself, both ends of the domain among them


def plain(x, coef, knots, degree):
    """What sum_splines returns, or for coefficients of shape (I, n), apply_splines."""
    formula = "...in,ion->...o" if coef.ndim == 3 else "...in,in->...i"
    return torch.einsum(formula, splines.cox_de_boor(x, knots, degree), coef)


def fast(x, coef, knots, degree):
    return (sum_splines if coef.ndim == 3 else apply_splines)(x, coef, knots, degree)


each_function = pytest.mark.parametrize("outputs", [(2,), ()], ids=["sum", "apply"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", range(8))
@pytest.mark.parametrize("grid_size", [1, 2, 23])
def test_values_and_gradients_equal_the_plain_formula(kind, degree, grid_size):
    generator = _generator(degree * 100 + grid_size)
    for inputs, *outputs in [(1, 1), (3, 2), (3,)]:
        knots = make_knots(kind, inputs, grid_size, degree, generator)
        x = make_points(knots, 40, generator).requires_grad_()
        coef = torch.randn(inputs, *outputs, grid_size + degree, generator=generator).double()
        coef.requires_grad_()
        expected = plain(x, coef, knots, degree)
        result = fast(x, coef, knots, degree)
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)
        upstream = torch.randn(expected.shape, generator=generator).double()
        # A spline has no slope where it is not smooth: at a knot repeated, or of degree 1.
        smooth = kind in ("uniform", "random") and degree >= 2
        rows = slice(None) if smooth else slice(40)
        upstream[40:] *= smooth
        grads = (torch.autograd.grad(y, (x, coef), upstream) for y in (result, expected))
        for place, value, reference in zip((rows, ...), *grads, strict=True):
            scale = reference.abs().max().clamp(min=1)
            value, reference = value[place] / scale, reference[place] / scale
            torch.testing.assert_close(value, reference, rtol=0, atol=1e-12)


@pytest.mark.parametrize("degree", range(8))
@pytest.mark.parametrize("grid_size", [1, 5, 200])
def test_float32_is_as_accurate_as_its_numbers(degree, grid_size):
    for kind in ("uniform", "random"):
        knots = make_knots(kind, 1, grid_size, degree, _generator(), torch.float32)
        x = make_points(knots, 300, _generator())
        start, end = knots[0, [degree, -degree - 1]]
        inside = (x[:, 0] >= start) & (x[:, 0] <= end)
        if degree == 0:
            inside &= x[:, 0] < knots[0, -1]
        points = x[inside, 0].double().numpy()
        n = grid_size + degree
        for j in {0, n // 2, n - 1}:
            coef = torch.eye(n)[j].view(1, 1, n)
            exact = BSpline(knots[0].double().numpy(), np.eye(n)[j], degree)(points)
            result = sum_splines(x, coef, knots, degree)[:, 0]
            assert torch.equal(apply_splines(x, coef[:, 0], knots, degree)[:, 0], result)
            assert np.abs(result[inside].double().numpy() - exact).max() < 2e-6, (kind, j)


@pytest.mark.parametrize("shape", [(1, 1, -1), (1, -1)], ids=["sum", "apply"])
def test_second_and_third_derivatives_equal_scipys(shape):
    knots = splines.uniform_knots(6, 5, dtype=torch.float64)
    coef = torch.randn(11, generator=_generator()).double()
    x = torch.linspace(-0.95, 0.95, 31, dtype=torch.float64).unsqueeze(-1).requires_grad_()
    y = fast(x, coef.view(shape), knots.unsqueeze(0), 5)
    spline = BSpline(knots.numpy(), coef.numpy(), 5)
    for order in (1, 2, 3):
        (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        exact = spline.derivative(order)(x.detach().numpy())
        np.testing.assert_allclose(y.detach().numpy(), exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["uniform", "random"])
@pytest.mark.parametrize("degree", [0, 1, 3])
def test_nan_spoils_its_row_alone_and_infinity_adds_nothing(kind, degree):
    knots = make_knots(kind, 2, 5, degree, _generator())
    coef = torch.ones(2, 5 + degree, dtype=torch.float64)
    x = knots[:, degree + 2].repeat(4, 1)
    x[1, 0], x[2, 0], x[3, 1] = torch.nan, torch.inf, -torch.inf
    x.requires_grad_()
    nan = torch.nan
    each = torch.tensor([[1, 1], [nan, 1], [0, 1], [1, 0]], dtype=torch.float64)
    for y, expected in (
        (apply_splines(x, coef, knots, degree), each),
        (sum_splines(x, coef.unsqueeze(1), knots, degree), each.sum(-1, keepdim=True)),
    ):
        torch.testing.assert_close(y, expected, equal_nan=True)
        (slope,) = torch.autograd.grad(y.nansum(), x)
        assert slope[[0, 2, 3]].isfinite().all()
    # A coefficient that is not finite spoils the values on the support of its function alone.
    coef[1, 0] = torch.nan
    start = knots[:, 0] + 1e-3
    y = apply_splines(torch.stack([start, knots[:, -1] - 1e-3, start - 1]), coef, knots, degree)
    assert y[0, 1].isnan() and y.isnan().sum() == 1


LAYOUTS = {
    "one row": lambda x: x[0],
    "leading dimensions": lambda x: x[:8].view(2, 4, 3),
    "empty": lambda x: x[:0],
    "empty, leading dimensions": lambda x: x[:0].view(2, 0, 3),
    "columns": lambda x: x.T.contiguous().T,
    "every other row": lambda x: x[::2],
    "expanded": lambda x: x[:1].expand(4, 3),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("kind", ["uniform", "random"])
@pytest.mark.parametrize("degree", [0, 3])
@each_function
def test_x_of_any_shape_and_layout(layout, kind, degree, outputs):
    knots = make_knots(kind, 3, 5, degree, _generator())
    coef = torch.randn(3, *outputs, 5 + degree, generator=_generator()).double().requires_grad_()
    x = layout(make_points(knots, 30, _generator())).detach().requires_grad_()
    y, expected = (f(x, coef, knots, degree) for f in (fast, plain))
    torch.testing.assert_close(y, expected)
    grads, references = (torch.autograd.grad(v.sum(), (x, coef)) for v in (y, expected))
    torch.testing.assert_close(grads, references)


@pytest.mark.parametrize("create_graph", [False, True])
@each_function
def test_only_what_is_asked_for_gets_a_gradient(outputs, create_graph):
    knots = splines.uniform_knots(5, 3).repeat(2, 1)
    for needs in ((False, False), (True, False), (False, True), (True, True)):
        shapes = (4, 2), (2, *outputs, 8)
        pair = [torch.zeros(s, requires_grad=need) for s, need in zip(shapes, needs, strict=True)]
        y = fast(*pair, knots, 3)
        assert y.requires_grad == any(needs)
        if wanted := [v for v in pair if v.requires_grad]:
            grads = torch.autograd.grad(y.sum(), wanted, create_graph=create_graph)
            assert [g.shape for g in grads] == [v.shape for v in wanted]


@each_function
def test_gradient_reaches_the_knots(outputs):
    knots = make_knots("random", 2, 4, 3, _generator()).requires_grad_()
    x = make_points(knots.detach(), 5, _generator())[:5]
    coef = torch.ones(2, *outputs, 7, dtype=torch.float64)
    coef[..., ::2] = 0
    assert torch.autograd.gradcheck(lambda t: fast(x, coef, t, 3), knots)


@pytest.mark.parametrize("uniform", [True, False])
def test_saved_memory_does_not_grow_with_batch_times_inputs_times_outputs(uniform):
    def saved(outputs):
        layer = KANLayer(16, outputs, grid_size=5)
        if not uniform:
            layer.knots += 0.05 * torch.rand_like(layer.knots)
        x = torch.rand(1000, 16, requires_grad=True)
        _, kept = kept_bytes(lambda: layer(x))
        return kept - 4 * outputs * 16 * 8 * 2  # but for the coefficients

    few, many = saved(1), saved(200)
    assert abs(many - few) < 0.05 * few
    assert few < 1000 * 16 * (5 + 3) * 4 * 4


@pytest.mark.parametrize("create_graph", [False, True])
@each_function
def test_gradient_where_x_and_coefficients_depend_on_each_other(create_graph, outputs):
    layer = KANLayer(2, 2, generator=_generator(), dtype=torch.float64)
    coef = layer.coef.detach() + torch.randn(layer.coef.shape, generator=_generator())
    coef = (coef if outputs else coef[:, 0]).requires_grad_()
    x = torch.rand(6, 2, generator=_generator()).double() - 0.5

    def again(layer_function):
        y = layer_function(layer_function(x)).square().sum()
        return torch.autograd.grad(y, coef, create_graph=create_graph)[0]

    result = again(lambda v: fast(v, coef, layer.knots, 3))
    torch.testing.assert_close(result, again(lambda v: plain(v, coef, layer.knots, 3)))

    x.requires_grad_()
    y = fast(x, x.mean() * torch.ones_like(coef), layer.knots, 3).sum()
    z = plain(x, x.mean() * torch.ones_like(coef), layer.knots, 3).sum()
    a, b = (torch.autograd.grad(v, x, create_graph=create_graph)[0] for v in (y, z))
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("domain", [(999.0, 1001.0), (9999.0, 10001.0), (0.0, 1e-3), (-1.0, 1.0)])
@pytest.mark.parametrize("grid_size", [5, 50])
def test_float32_grids_far_from_zero(domain, grid_size):
    layer = KANLayer(1, 1, grid_size=grid_size, domain=domain, generator=_generator())
    layer.coef.data.normal_(generator=_generator())
    x = torch.linspace(*domain, 301).unsqueeze(-1).requires_grad_()
    double = copy.deepcopy(layer).double()  # the same numbers: float32 knots and coefficients
    z = x.detach().double().requires_grad_()
    y, exact = layer(x), plain(z, double.coef, double.knots, 3)
    assert (y - exact).abs().max() < 1e-5
    (slope,), (exact_slope,) = (torch.autograd.grad(a.sum(), b) for a, b in ((y, x), (exact, z)))
    assert (slope - exact_slope).abs().max() < 1e-4 * exact_slope.abs().max()


@pytest.mark.parametrize(
    "grid_size", [5, 40]
)  # without gradients, another sum from 32 functions on
def test_large_batches_are_computed_in_parts(monkeypatch, grid_size):
    options = {"grid_size": grid_size, "generator": _generator(), "dtype": torch.float64}
    layer = KANLayer(3, 2, **options)
    x = torch.rand(50, 3, generator=_generator()).double().requires_grad_()

    def computed():
        y = layer(x)
        with torch.no_grad():
            again = layer(x)
        return y, again, *torch.autograd.grad(y.square().sum(), (x, layer.coef))

    whole = computed()
    monkeypatch.setattr(module, "CHUNK", 7 * (grid_size + 3 + 2) * 3)  # 7 rows
    for part, expected in zip(computed(), whole, strict=True):
        torch.testing.assert_close(part, expected, rtol=0, atol=1e-13)


def test_gradients_of_many_samples_are_added_up_exactly():
    knots = make_knots("uniform", 2, 5, 3, _generator(), torch.float32)
    x = torch.rand(100_000, 2, generator=_generator()) - 0.5
    coef = torch.ones(2, 8, requires_grad=True)
    (result,) = torch.autograd.grad(apply_splines(x, coef, knots, 3).sum(), coef)
    exact = splines.cox_de_boor(x.double(), knots.double(), 3).sum(0)
    # One after the other: off by 1.3e-5.
    torch.testing.assert_close(result.double(), exact, rtol=0, atol=1e-6 * exact.max().item())


def test_nothing_is_kept_from_inference_mode():
    layer = KANLayer(3, 2, grid_size=7, degree=6)  # of no other test
    with torch.inference_mode():
        expected = layer(torch.zeros(4, 3))
    y = layer(torch.zeros(4, 3, requires_grad=True))
    y.sum().backward()
    torch.testing.assert_close(y, expected.clone())


OPTIONS = {
    "all": {"bias": True, "spline_weight": True, "base": torch.nn.functional.silu},
    "adaptive": {"bias": True},
    "activation": {},
}


def make_model(name):
    kind = SplineMLP if name == "activation" else KAN
    model = kind([2, 3, 1], generator=0, **OPTIONS[name]).double()
    if name == "adaptive":
        for layer in model:
            layer.knots += 0.05 * torch.rand(layer.knots.shape, generator=_generator())
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=_generator())
    return model


@pytest.mark.parametrize("name", ["all", "activation"])  # other knots: test_compiled.py
def test_torch_compile_gives_the_same(name):
    x = torch.rand(20, 2, dtype=torch.float64, generator=_generator())
    assert_compiles(make_model(name), x)


@pytest.mark.parametrize("name", OPTIONS)
def test_torch_func_transforms_and_forward_mode_give_the_same(name):
    model = make_model(name)
    x = torch.rand(6, 2, dtype=torch.float64, generator=_generator())
    assert_transforms(model, x)
    hessian = torch.func.vmap(torch.func.hessian(lambda v: model(v).squeeze(-1)))(x)
    for row, point in zip(hessian, x, strict=True):
        exact = torch.autograd.functional.hessian(lambda v: model(v).squeeze(-1), point)
        torch.testing.assert_close(row, exact, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", OPTIONS)
def test_gradient_of_a_second_derivative_reaches_the_parameters(name):
    # What a physics-informed loss needs: d/dparameters of (d2y/dx2)^2.
    model = make_model(name)
    x = torch.rand(5, 2, dtype=torch.float64, generator=_generator()).requires_grad_()

    def loss():
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        return bend.square().mean()

    parameter = next(layer for layer in model if hasattr(layer, "coef")).coef
    (gradient,) = torch.autograd.grad(loss(), parameter)
    step, values = 1e-6, []
    for move in (step, -2 * step):
        parameter.data[0, -1, 3] += move
        values.append(loss().item())
    slope = (values[0] - values[1]) / (2 * step)
    assert slope == pytest.approx(gradient[0, -1, 3].item(), rel=1e-4)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_a_traced_model_is_right_for_other_rows():
    """As torch.onnx.export without dynamo has it: what is no operation on x is a constant."""
    models = [KAN([3, 2], grid_size=size, generator=0) for size in (5, 40)]
    models += [copy.deepcopy(models[0]), SplineMLP([3, 4, 2], generator=0), TanhKAN([3, 500, 2])]
    update_grid(models[2], torch.randn(50, 3, generator=_generator()))
    x = torch.randn(4000, 3, generator=_generator())
    for model in models:
        traced = torch.jit.trace(model, (x[:50] / 3,))
        torch.testing.assert_close(traced(x), model(x), rtol=1e-4, atol=1e-5)
