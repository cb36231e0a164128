"""The layers against PyKAN 0.2.8, Liu et al.'s own implementation, with the same numbers in both.

Values, edges and gradients agree to 1e-12 in float64: inside the domain, at its ends, at every knot
and beyond the last. Left out is where they differ: PyKAN loses basis functions where knots meet,
and hides NaN in the splines; at the right end of the domain, where a spline of degree 1 has a kink,
it takes the slope from outside and kanbook the one from inside.
"""

import random

import numpy as np
import pytest
import torch

from kanbook import KAN, KANLayer

SHAPES = [(1, 1, 1), (3, 3, 40), (2, 6, 5)]
GRIDS = ["uniform", "rounded to float32", "adaptive", "uneven"]
OPTIONS = {"spline_weight": True, "base": torch.nn.functional.silu}


@pytest.fixture(autouse=True)
def contained(monkeypatch, tmp_path):
    """PyKAN seeds the global generators and writes files; it computes in the default dtype."""
    monkeypatch.chdir(tmp_path)
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(dtype)
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    random.setstate(states[2])


def random_tensor(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def pair(i, o, grid_size, degree, grid, seed):
    """A PyKAN layer with random parameters, one in five edges masked, and the same in kanbook."""
    from kan.KANLayer import KANLayer as PyKANLayer

    theirs = PyKANLayer(i, o, num=grid_size, k=degree)
    if grid == "rounded to float32":  # as PyKAN makes them when the default dtype is float32
        theirs.grid.data = theirs.grid.float().double()
    elif grid == "adaptive":
        theirs.update_grid_from_samples(0.5 * random_tensor(100, i, seed=seed) + torch.arange(i))
    elif grid == "uneven":  # other domains for other inputs, steps of 0.1 to 1.1
        steps = torch.rand(theirs.grid.shape, generator=torch.Generator().manual_seed(seed)) + 0.1
        theirs.grid.data = steps.cumsum(-1) - (grid_size + 1) / 2
    for number, parameter in enumerate((theirs.coef, theirs.scale_base, theirs.scale_sp)):
        parameter.data = random_tensor(*parameter.shape, seed=seed + number)
    theirs.mask.data = (random_tensor(i, o, seed=seed + 3) > -0.84).double()
    theirs.mask.data[0, 0] = 1
    ours = KANLayer(i, o, grid_size=grid_size, degree=degree, **OPTIONS)
    ours(torch.zeros(1, i))  # if a layer remembers anything of its knots, that is now out of date
    copy_layer(theirs, ours)
    return theirs, ours


@torch.no_grad()
def copy_layer(theirs, ours):
    ours.knots.copy_(theirs.grid)
    ours.coef.copy_(theirs.coef)
    ours.spline_weight.copy_(theirs.scale_sp * theirs.mask)
    ours.base_weight.copy_(theirs.scale_base * theirs.mask)


def points(knots, degree, seed):
    """Random points on the domain and beyond the outermost knots, and every knot, (N, I)."""
    first, last = knots[:, 0], knots[:, -1]
    share = torch.rand(40, len(knots), generator=torch.Generator().manual_seed(seed))
    around = first + (1.5 * share - 0.25) * (last - first)
    far = torch.stack([first - 1e3, last + 1e3])
    return torch.cat([around, knots.T, far])


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])  # PyKAN cannot do degree 0
@pytest.mark.parametrize("i, o, grid_size", SHAPES)
def test_layer_equals_pykan(i, o, grid_size, degree, grid):
    seed = 1000 * i + 100 * o + degree
    theirs, ours = pair(i, o, grid_size, degree, grid, seed)
    x = points(ours.knots, degree, seed)
    x1, x2 = (x.clone().requires_grad_() for _ in range(2))
    y1, _, edges1, _ = theirs(x1)
    y2 = ours(x2)
    assert_equal(y2, y1)
    assert_equal(ours.edges(x2), edges1.mT)  # theirs: (N, O, I)

    slopes = random_tensor(*y1.shape, seed=seed)
    y1.backward(slopes)
    y2.backward(slopes)
    smooth = x != ours.knots[:, -degree - 1] if degree == 1 else torch.ones_like(x).bool()
    assert_equal(x2.grad[smooth], x1.grad[smooth])
    assert_equal(ours.coef.grad, theirs.coef.grad)
    assert_equal(ours.spline_weight.grad * theirs.mask, theirs.scale_sp.grad)
    assert_equal(ours.base_weight.grad * theirs.mask, theirs.scale_base.grad)

    weight = random_tensor(*edges1.shape, seed=seed + 1)
    (slope1,) = torch.autograd.grad(theirs(x1)[2], x1, weight)
    (slope2,) = torch.autograd.grad(ours.edges(x2).mT, x2, weight)
    assert_equal(slope2[smooth], slope1[smooth])


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize("updated", [False, True])
def test_network_equals_pykan(symbolic, updated):
    from kan import KAN as PyKAN

    theirs = PyKAN([2, 5, 1], grid=6, k=3, symbolic_enabled=symbolic, auto_save=False)
    x = random_tensor(200, 2, seed=0)
    if updated:
        theirs.update_grid_from_samples(x)
    ours = KAN([2, 5, 1], grid_size=6, bias=True, **OPTIONS)
    for number, (their_layer, our_layer) in enumerate(zip(theirs.act_fun, ours, strict=True)):
        their_layer.coef.data = random_tensor(*their_layer.coef.shape, seed=number)
        theirs.node_bias[number].data = random_tensor(our_layer.out_features, seed=number + 2)
        copy_layer(their_layer, our_layer)
        our_layer.bias.data.copy_(theirs.node_bias[number])
    x1, x2 = (x.clone().requires_grad_() for _ in range(2))
    y1, y2 = theirs(x1), ours(x2)
    assert_equal(y2, y1)
    y1.square().sum().backward()
    y2.square().sum().backward()
    assert_equal(x2.grad, x1.grad)
    for their_layer, our_layer in zip(theirs.act_fun, ours, strict=True):
        assert_equal(our_layer.coef.grad, their_layer.coef.grad)
        assert_equal(our_layer.spline_weight.grad, their_layer.scale_sp.grad)
        assert_equal(our_layer.base_weight.grad, their_layer.scale_base.grad)
