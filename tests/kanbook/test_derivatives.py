"""Derivatives of networks: against autograd, SciPy and finite differences."""

from functools import partial

import numpy as np
import pytest
import torch
from helpers import generator, shaken
from scipy.interpolate import BSpline
from torch import nn

from kanbook import derivatives, splines
from kanbook.formulas import prune
from kanbook.layers import KANLayer
from kanbook.networks import KAN, MLP, Mixture
from kanbook.tanh import TanhLayer

DOUBLE = {"dtype": torch.float64}
EXTRAS = {"bias": True, "spline_weight": True, "base": nn.functional.silu}


def by_autograd(model, x, direction, order):
    t = torch.zeros(len(x), 1, dtype=x.dtype, requires_grad=True)
    found = [model(x + t * direction)]
    for _ in range(order):
        each = [
            torch.autograd.grad(y.sum(), t, create_graph=True)[0] for y in found[-1].split(1, 1)
        ]
        found.append(torch.cat(each, 1))
    return torch.stack(found)


def points(n, inputs, seed=0):
    return 2.4 * torch.rand(n, inputs, generator=generator(seed), **DOUBLE) - 1.2


@pytest.mark.parametrize("options", [{}, EXTRAS, {"clamp": True}, EXTRAS | {"clamp": True}])
@pytest.mark.parametrize("seed", range(7))
def test_of_a_kan_as_by_autograd(options, seed):
    random = np.random.default_rng(seed)
    widths = random.integers(1, 5, random.integers(2, 5)).tolist()
    model = shaken(KAN(widths, degree=1 + seed % 6, generator=0, **options, **DOUBLE), seed)
    x, order = points(7, widths[0], seed), 3
    direction = points(1, widths[0], seed + 1)[0]
    found = derivatives.along(model, x, direction, order)
    expected = by_autograd(model, x, direction, order)
    assert found.shape == (order + 1, 7, widths[-1])
    scale = expected.abs().amax((1, 2), keepdim=True) + 1
    torch.testing.assert_close(found / scale, expected / scale, rtol=1e-9, atol=1e-9)


def test_of_a_staircase_nothing():
    model, x = shaken(KAN([2, 3, 1], degree=0, **DOUBLE)), points(5, 2)
    value, slope = derivatives.along(model, x, 0, 1)
    torch.testing.assert_close(value, model(x))
    assert (slope == 0).all()


@pytest.mark.parametrize("activation", [torch.tanh, torch.sin, nn.functional.silu])
def test_of_an_mlp_as_by_autograd(activation):
    model, x = MLP([2, 5, 5, 3], activation, generator=0, **DOUBLE), points(9, 2)
    direction = torch.tensor([0.3, -2.0], **DOUBLE)
    expected = by_autograd(model, x, direction, 4)
    for same in (model, nn.Sequential(model[:2], model[2:])):
        torch.testing.assert_close(derivatives.along(same, x, direction, 4), expected)


def test_of_a_mixture_and_of_a_pruned_kan():
    x = points(9, 2)
    mixture = Mixture([2, 4, 4, 1], ["linear", "kan", "linear"], generator=0, **DOUBLE)
    pruned = shaken(KAN([2, 5, 1], generator=0, **DOUBLE))
    pruned = prune(pruned, x, 0.5)
    assert any(layer.mask is not None for layer in pruned)
    for model in (shaken(mixture), pruned):
        expected = by_autograd(model, x, torch.tensor([1.0, 0.0], **DOUBLE), 2)
        torch.testing.assert_close(derivatives.along(model, x, 0, 2), expected)


def test_of_points_that_are_repeated_in_memory():
    for model in (KAN([2, 3, 1], base=torch.sin, generator=0, **DOUBLE), MLP([2, 3, 1], **DOUBLE)):
        x = points(1, 2).expand(5, 2)
        expected = derivatives.along(model, x.clone(), 0, 2)
        torch.testing.assert_close(derivatives.along(model, x, 0, 2), expected)


def test_several_directions_at_once():
    model, x = shaken(KAN([3, 4, 2], generator=0, **EXTRAS, **DOUBLE)), points(5, 3)
    every = torch.cat([torch.eye(3, **DOUBLE), torch.ones(1, 3, **DOUBLE)])
    found = derivatives.along(model, x, every, 2)
    assert found.shape == (3, 4, 5, 2)
    for i, direction in enumerate(every):
        torch.testing.assert_close(found[:, i], derivatives.along(model, x, direction, 2))
    # Mixed derivatives from such.
    both = derivatives.along(model, x, every[0] + every[1], 2)[2]
    mixed = (both - found[2, 0] - found[2, 1])[:, 0] / 2
    of_first = partial(torch.autograd.functional.hessian, lambda p: model(p)[0])
    torch.testing.assert_close(mixed, torch.stack([of_first(p)[0, 1] for p in x]))


def test_gradients_flow_to_parameters_and_points():
    model = shaken(KAN([2, 3, 1], degree=4, generator=0, **EXTRAS, **DOUBLE))
    x = points(4, 2).requires_grad_()

    def laplacian(*values):
        return derivatives.along(model, x, torch.eye(2, **DOUBLE), 2)[2].sum(0)

    assert torch.autograd.gradcheck(laplacian, (x, *model.parameters()), atol=1e-4)


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_the_derivative_of_a_spline_is_scipys(degree):
    rng = np.random.default_rng(degree)
    knots = np.sort(rng.uniform(-1, 1, 12))
    coef = rng.normal(size=12 - degree - 1)
    found = splines.differentiate(torch.tensor(coef), torch.tensor(knots), degree)
    inside = torch.linspace(knots[degree], knots[-degree - 1], 50, **DOUBLE)[:-1]
    expected = BSpline(knots, coef, degree).derivative()(inside)
    values = splines.evaluate(inside, found, torch.tensor(knots), degree - 1)
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-9)
    # And beyond the domain, up to the last knot, where SciPy goes another way.
    x = torch.linspace(knots[0] - 1, knots[-1] + 1, 301, **DOUBLE)
    for curve in (torch.tensor(coef), torch.ones(1, 2, len(coef), **DOUBLE)):
        layer = curve.ndim == 3
        t = torch.tensor(knots).unsqueeze(0) if layer else torch.tensor(knots)
        at = x.unsqueeze(1) if layer else x
        high, low = (splines.evaluate(at + h, curve, t, degree) for h in (1e-6, -1e-6))
        values = splines.evaluate(at, splines.differentiate(curve, t, degree), t, degree - 1)
        far = (x.unsqueeze(1) - torch.tensor(knots)).abs().min(1).values > 1e-5
        torch.testing.assert_close(values[far], ((high - low) / 2e-6)[far], rtol=1e-5, atol=1e-5)


def test_refusals():
    x = points(3, 2)
    with pytest.raises(TypeError, match="model has a TanhLayer; expected KANLayer, nn.Linear"):
        derivatives.along(nn.Sequential(TanhLayer(2, 1, **DOUBLE)), x, 0, 1)
    with pytest.raises(ValueError, match="order=-1; expected"):
        derivatives.along(KANLayer(2, 1, **DOUBLE), x, 0, -1)
    with pytest.raises(ValueError, match="direction=2; expected an integer from 0 to 1"):
        derivatives.along(KANLayer(2, 1, **DOUBLE), x, 2, 1)
    with pytest.raises(ValueError, match=r"direction has shape \(3,\) and x \(3, 2\)"):
        derivatives.along(KANLayer(2, 1, **DOUBLE), x, torch.ones(3, **DOUBLE), 1)
    with pytest.raises(ValueError, match="degree=0; expected 1 or more"):
        splines.differentiate(torch.ones(3), splines.uniform_knots(3, 0), 0)
