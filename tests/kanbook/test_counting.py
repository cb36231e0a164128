"""Counts of parameters and operations: by hand, by numbers that count, against published ones."""

import pytest
import torch
from torch import nn

from kanbook import KAN, MLP, KANLayer, Mixture, TanhLayer, count_operations, count_parameters
from kanbook.spline_mlp import SplineActivation


def test_count_parameters_leaves_out_frozen_and_shared():
    linear = nn.Linear(3, 2)
    assert count_parameters(nn.Sequential(linear, linear)) == 8
    linear.bias.requires_grad_(False)
    assert count_parameters(linear) == 6


# A cubic basis on 5 intervals: levels of 10, 9 and 8 functions, 6 operations each; 8 coefficients.
CUBIC = 6 * (10 + 9 + 8)


@pytest.mark.parametrize(
    "layer, shared, edge",
    [
        (nn.Linear(4, 3), (12, 0), (12, 0)),
        (nn.Linear(4, 3, bias=False), (12, 0), (12, 0)),
        (TanhLayer(4, 3), (4 + 36, 12), (12 + 36, 12)),
        (TanhLayer(4, 3, bias=True), (4 + 36, 12), (12 + 36, 12)),
        (TanhLayer(4, 3, tanh="sum"), (4 + 24, 3), (12 + 24, 3)),
        (TanhLayer(4, 3, bias=True, tanh=None), (4 + 24, 0), (12 + 24, 0)),
        (KANLayer(2, 3), (2 * CUBIC + 6 * 8, 0), (6 * CUBIC + 6 * 8, 0)),
        (KANLayer(2, 3, bias=True), (2 * CUBIC + 6 * 8, 0), (6 * CUBIC + 6 * 8, 0)),
        (KANLayer(2, 3, spline_weight=True), (2 * CUBIC + 6 * 9, 0), (6 * CUBIC + 6 * 9, 0)),
        (KANLayer(2, 3, base=torch.sin), (2 * CUBIC + 6 * 9, 2), (6 * CUBIC + 6 * 9, 6)),
        # Degree 1, two intervals: 3 hats. Degree 0: no operation finds the interval.
        (KANLayer(4, 5, grid_size=2, degree=1), (4 * 18 + 20 * 3, 0), (20 * 18 + 20 * 3, 0)),
        (KANLayer(3, 2, grid_size=4, degree=0), (6 * 4, 0), (6 * 4, 0)),
        (SplineActivation(3), (3 * (CUBIC + 8), 0), (3 * (CUBIC + 8), 0)),
        (MLP([2, 5, 1]), (15, 5), (15, 5)),
        (nn.Sequential(), (0, 0), (0, 0)),
    ],
    ids=str,
)
def test_operations_by_hand(layer, shared, edge):
    assert count_operations(layer) == shared and count_operations(layer, "edge") == edge


def test_operations_of_a_network_are_those_of_its_layers():
    model = Mixture([2, 3, 2, 3, 1], ["tanh", "linear", "kan", "linear"])
    layers = [model[0], model[1], model[3], model[4]]
    for convention in ("shared", "edge", "local"):
        counts = [count_operations(layer, convention) for layer in layers]
        multiply_adds, functions = map(sum, zip(*counts, strict=True))
        # An activation function at two nodes.
        assert count_operations(model, convention) == (multiply_adds, functions + 2)
    shared = nn.Linear(3, 3)  # run twice, so it counts twice
    assert count_operations(nn.Sequential(shared, nn.Sequential(shared))) == (18, 0)


class Counted:
    """A number that counts: products, quotients, differences, and sums that are none's sum."""

    total = 0

    def __init__(self, value):
        self.value = float(value)

    def one(self, value):
        Counted.total += 1
        return Counted(value)

    def __sub__(self, other):
        return self.one(self.value - other.value)

    def __mul__(self, other):
        return self.one(self.value * other.value)

    def __truediv__(self, other):
        return self.one(self.value / other)

    def plus(self, a, b):
        """self + a b: one multiply-add."""
        return self.one(self.value + a.value * b.value)


@torch.no_grad()
@pytest.mark.parametrize("k", range(6))
def test_local_operations_are_counted(k):
    """A loop over living functions, with numbers that count; and its sums are the layer's."""
    options = {"grid_size": 4, "degree": k, "bias": True, "dtype": torch.float64}
    layer = KANLayer(3, 2, generator=k, **options)
    x = torch.tensor([-0.9, 0.1, 0.65], dtype=torch.float64)
    Counted.total = 0
    y = [*map(Counted, layer.bias)]
    for i, t in enumerate(layer.knots.tolist()):
        u, c, b = Counted(x[i]), sum(knot <= x[i] for knot in t) - 1, [Counted(1)]
        for p in range(1, k + 1):
            rising, old, b = Counted(0), b, []
            for r in range(p):
                low, high = t[c + r + 1 - p], t[c + r + 1]
                ratio = old[r] / (high - low)
                b.append(rising.plus(Counted(high) - u, ratio))
                rising = (u - Counted(low)) * ratio
            b.append(rising)
        for o in range(2):
            for r in range(k + 1):
                y[o] = y[o].plus(b[r], Counted(layer.coef[i, o, c - k + r]))
    torch.testing.assert_close(torch.tensor([n.value for n in y]).double(), layer(x))
    assert count_operations(layer, "local") == (Counted.total, 0)
    more = KANLayer(3, 2, spline_weight=True, base=torch.sin, **options)
    assert count_operations(more, "local") == (Counted.total + 2 * 6, 3)


def test_local_operations_do_not_grow_with_the_grid():
    small, large = KAN([2, 5, 1], grid_size=5), KAN([2, 5, 1], grid_size=500)
    assert count_operations(small, "local") == count_operations(large, "local") == (270, 0)
    pruned = KAN([2, 5, 1], base=torch.sin)
    pruned[0].mask = torch.ones(2, 5)
    pruned[0].mask[0, 1:] = 0
    # Four edges fewer, each with four coefficients and the weight of the base function.
    assert count_operations(pruned, "local") == (270 + 15 - 4 * 5, 7)
    assert count_operations(SplineActivation(3), "local") == (3 * (30 + 4), 0)
    for layer in (MLP([2, 5, 1]), TanhLayer(4, 3)):
        assert count_operations(layer, "local") == count_operations(layer)


def test_published_counts_are_larger():
    """Yu et al. (2024): formulas of the code published with "KAN or MLP: A Fairer Comparison"."""
    i, o, g, k = 3, 4, 5, 3
    layer = KANLayer(i, o, grid_size=g, degree=k, bias=True, spline_weight=True, base=torch.sin)
    # One parameter per edge too many: an edge has G + k coefficients and two weights.
    assert i * o * (g + k + 3) + o == count_parameters(layer) + i * o
    # A spline on one edge or node. They count products and sums one by one, and 9 of them per
    # basis function: ours, 4 and 3, and the two differences of knots, which no sample changes.
    published = 9 * k * (g + 1.5 * k) + 2 * g - 2.5 * k - 1
    functions = sum(g + 2 * k - p for p in range(1, k + 1))
    assert published == 9 * functions + 2 * (g + k) - 1
    assert count_operations(SplineActivation(1)).multiply_adds == 6 * functions + g + k


@pytest.mark.parametrize(
    "model, convention, error, message",
    [
        (MLP([1, 1]), "flops", ValueError, r"convention='flops'; expected 'shared', 'edge'"),
        (nn.Sequential(nn.Linear(1, 1), nn.ReLU()), "edge", TypeError, r"a ReLU; .*TanhLayer"),
        (nn.ModuleList(), "shared", TypeError, r"a ModuleList"),
        (torch.tanh, "shared", TypeError, r"a builtin_function"),
        (MLP([2, 3, 1])[1:], "shared", ValueError, r"starts with Activation\(tanh\)"),
    ],
)
def test_count_operations_names_what_it_does_not_know(model, convention, error, message):
    with pytest.raises(error, match=message):
        count_operations(model, convention)
