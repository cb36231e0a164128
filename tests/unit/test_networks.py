"""Networks, counts of parameters and operations, and tasks."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from kanbook import KAN, MLP, KANLayer, count_parameters, tasks
from kanbook.layers import SplineActivation, TanhLayer
from kanbook.networks import (
    Activation,
    Mixture,
    Operations,
    SplineMLP,
    TanhKAN,
    count_operations,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_kan_is_its_layers_in_a_row():
    model = KAN([2, 5, 3, 1], grid_size=4, degree=2, generator=generator())
    assert isinstance(model, nn.Sequential) and all(isinstance(m, KANLayer) for m in model)
    assert [(m.in_features, m.out_features, m.grid_size, m.degree) for m in model] == [
        (2, 5, 4, 2),
        (5, 3, 4, 2),
        (3, 1, 4, 2),
    ]
    x = torch.rand(7, 2)
    torch.testing.assert_close(model(x), model[2](model[1](model[0](x))))
    assert count_parameters(model) == (2 * 5 + 5 * 3 + 3 * 1) * (4 + 2)


def test_mlp_equals_its_formula_and_starts_like_torch():
    model = MLP([2, 50, 1], generator=generator())
    x = torch.rand(7, 2)
    first, _, last = model
    expected = torch.tanh(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(model(x), expected)
    for linear in (first, last):
        bound = linear.in_features**-0.5
        assert all(p.abs().max() <= bound for p in linear.parameters())
        assert linear.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.25)
    again = MLP([2, 50, 1], generator=generator())
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )
    assert count_parameters(model) == 2 * 50 + 50 + 50 + 1
    assert len(MLP([2, 1])) == 1


def test_tanh_kan_is_its_layers_in_a_row():
    model = TanhKAN([2, 5, 1], bias=True, generator=generator())
    assert [type(m) for m in model] == [TanhLayer] * 2
    x = torch.rand(7, 2)
    torch.testing.assert_close(model(x), model[1](model[0](x)))
    assert count_parameters(model) == 2 * 15 + 6
    assert count_parameters(TanhKAN([2, 5, 1])) == 2 * 15


def test_spline_mlp_is_an_mlp_that_learns_its_activations():
    mlp = MLP([2, 9, 9, 1], generator=generator())
    model = SplineMLP([2, 9, 9, 1], generator=generator())
    assert [type(m) for m in model] == [nn.Linear, SplineActivation] * 2 + [nn.Linear]
    for i in (0, 2, 4):
        assert all(map(torch.equal, mlp[i].parameters(), model[i].parameters()))
    x = torch.rand(50, 2) * 2 - 1
    torch.testing.assert_close(model(x), model[4](model[3](model[2](model[1](model[0](x))))))
    wide = SplineMLP([2, 9, 9, 1], grid_size=20, domain=(-3, 3), generator=generator())
    assert (wide(x) - mlp(x)).abs().max() < 1e-3  # it starts as the tanh MLP
    assert count_parameters(model) == count_parameters(mlp) + 18 * 8
    assert len(SplineMLP([2, 1])) == 1


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
    factory = {"dtype": torch.float64}
    model = network(widths, **options, **factory, generator=generator())
    nested = {kind: options} if options else {}
    kinds = [kind] * (len(widths) - 1)
    mixture = Mixture(widths, kinds, **nested, **factory, generator=generator())
    expected, state = model.state_dict(), mixture.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[name], value) for name, value in expected.items())
    x = torch.rand(7, 2, **factory)
    assert torch.equal(mixture(x), model(x))


@pytest.mark.parametrize("kinds", list(itertools.product(["kan", "tanh", "linear"], repeat=3)))
def test_mixture_is_its_layers_in_a_row(kinds):
    model = Mixture([2, 4, 3, 1], kinds, activation=torch.sin, generator=generator())
    layers = {"kan": KANLayer, "tanh": TanhLayer, "linear": nn.Linear}
    x = expected = torch.rand(7, 2) * 2 - 1
    modules = iter(model)
    for position, kind in enumerate(kinds):
        layer = next(modules)
        assert type(layer) is layers[kind]
        expected = layer(expected)
        if kind == "linear" and position < 2:
            assert type(next(modules)) is Activation
            expected = torch.sin(expected)
    assert list(modules) == []
    torch.testing.assert_close(model(x), expected)


NETWORKS = {
    "KAN": lambda **o: KAN([2, 3, 1], bias=True, base=torch.sin, spline_weight=True, **o),
    "TanhKAN": lambda **o: TanhKAN([2, 3, 1], True, **o),
    "MLP": lambda **o: MLP([2, 3, 1], **o),
    "SplineMLP": lambda **o: SplineMLP([2, 3, 1], **o),
    "Mixture": lambda **o: Mixture([2, 3, 3, 4, 1], ["tanh", "linear", "kan", "linear"], **o),
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_networks_are_saved_copied_and_moved(make, tmp_path):
    state = torch.random.get_rng_state()
    model, other = make(generator=generator(1)), make(generator=generator(2))
    assert torch.equal(state, torch.random.get_rng_state())
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
    assert make(device="meta")(torch.zeros(3, 2, device="meta")).shape == (3, 1)


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize(
    "x, error, message",
    [
        (torch.zeros(3, 3), ValueError, r"x has shape \(3, 3\); expected \(..., 2\)"),
        (torch.tensor(0.0), ValueError, r"x has shape \(\)"),
        (torch.zeros(3, 2, dtype=int), TypeError, r"x has dtype torch.int64"),
        (torch.zeros(3, 2).double(), TypeError, r"x has dtype torch.float64"),
        (torch.zeros(3, 2, device="meta"), ValueError, r"x is on device meta"),
        ([[0.0, 0.0]], TypeError, r"x is a list"),
    ],
)
def test_networks_name_bad_x(make, x, error, message):
    with pytest.raises(error, match=message):
        make()(x)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"kinds": "kan"}, TypeError, r"kinds='kan'; expected a list"),
        ({"kinds": 2}, TypeError, r"kinds=2"),
        ({"kinds": ["kan", "mlp"]}, ValueError, r"kinds\[1\]='mlp'.*'kan', 'tanh', 'linear'"),
        ({"kinds": [["kan"], "kan"]}, ValueError, r"kinds\[0\]=\['kan'\]"),
        ({"kinds": ["kan"]}, ValueError, r"kinds=\['kan'\] has length 1, .* has length 3"),
        ({"kinds": ["kan"] * 3}, ValueError, r"has length 3, .* has length 3; expected .* 2"),
        ({"kinds": []}, ValueError, r"kinds=\[\] has length 0"),
        ({"tanh": {"bias": True}}, ValueError, r"tanh=\{'bias': True\}.*has no 'tanh'"),
        ({"kan": {"grid": 3}}, TypeError, r"kan=.* has the option 'grid'.*'grid_size'"),
        ({"kan": {"dtype": torch.float64}}, TypeError, r"the option 'dtype'"),
        ({"kan": {"degree": 9}}, ValueError, r"degree=9"),
        ({"kan": ["bias"]}, TypeError, r"kan=\['bias'\]; expected a dict"),
        ({"tanh": 3}, TypeError, r"tanh=3; expected a dict"),
        ({"activation": "tanh"}, TypeError, r"activation='tanh'"),
    ],
)
def test_mixture_names_bad_arguments_and_draws_nothing(arguments, error, message):
    g = generator()
    before = g.get_state()
    with pytest.raises(error, match=message):
        Mixture(**{"widths": [2, 3, 1], "kinds": ["linear", "kan"], **arguments}, generator=g)
    assert torch.equal(g.get_state(), before)


def test_options_are_left_as_they_were():
    kan = {"grid_size": 3}
    Mixture([2, 2, 1], ("kan", "tanh"), kan=kan, tanh={})
    assert kan == {"grid_size": 3}


@pytest.mark.parametrize("make", [SplineMLP, SplineActivation], ids=["network", "layer"])
def test_bad_start_is_named(make):
    with pytest.raises(TypeError, match="start='tanh'"):
        make([2, 3, 1] if make is SplineMLP else 2, start="tanh")


def test_count_parameters_leaves_out_frozen_and_shared():
    linear = nn.Linear(3, 2)
    assert count_parameters(nn.Sequential(linear, linear)) == 8
    linear.bias.requires_grad_(False)
    assert count_parameters(linear) == 6


class Tally:
    """What numbers that share it have cost."""

    def __init__(self):
        self.multiply_adds = self.functions = 0


class Number:
    """A number that counts: a product, and a sum unless it takes in a product just made."""

    def __init__(self, value, tally, product=False):
        self.value, self.tally, self.product = value, tally, product

    def _make(self, value, *, count, product=False):
        self.tally.multiply_adds += count
        return Number(value, self.tally, product)

    def __mul__(self, other):
        return self._make(self.value * value_of(other), count=1, product=True)

    def _sum(self, value, other):
        for number in (self, other):
            if isinstance(number, Number) and number.product:
                number.product = False  # a multiply-add: paid with the product
                return self._make(value, count=0)
        return self._make(value, count=1)

    def __add__(self, other):
        return self._sum(self.value + value_of(other), other)

    def __sub__(self, other):
        return self._sum(self.value - value_of(other), other)

    def __rsub__(self, other):
        return self._sum(value_of(other) - self.value, other)

    __rmul__, __radd__ = __mul__, __add__

    def call(self, function):
        self.tally.functions += 1
        value = function(torch.tensor(self.value, dtype=torch.float64)).item()
        return self._make(value, count=0)


def value_of(number):
    return number.value if isinstance(number, Number) else number


def counted_basis(x, t, k):
    """The Cox-de Boor recursion as splines.cox_de_boor has it, inside the domain."""
    bases = [Number(float(a <= x.value < b), x.tally) for a, b in itertools.pairwise(t)]
    for p in range(1, k + 1):
        inverse = [1 / (b - a) for a, b in zip(t, t[p:], strict=False)]  # of the knots alone
        bases = [
            (x - t[i]) * inverse[i] * bases[i] + (t[i + p + 1] - x) * inverse[i + 1] * bases[i + 1]
            for i in range(len(bases) - 1)
        ]
    return bases


def dot(start, numbers, others):
    for a, b in zip(numbers, others, strict=True):
        start = start + a * b
    return start


def counted_kan_layer(layer, x, shared):
    knots, coef = layer.knots.tolist(), layer.coef.tolist()

    def common(i):  # what all edges of input i need
        return counted_basis(x[i], knots[i], layer.degree), layer.base and x[i].call(layer.base)

    kept = [common(i) for i in range(len(x))] if shared else None
    result = []
    for o in range(layer.out_features):
        y = Number(0.0 if layer.bias is None else layer.bias[o].item(), x[0].tally)
        for i in range(len(x)):
            bases, base = kept[i] if shared else common(i)
            if layer.spline_weight is None:
                y = dot(y, coef[i][o], bases)
            else:
                spline = dot(Number(0.0, x[0].tally), coef[i][o], bases)
                y = y + layer.spline_weight[i, o].item() * spline
            if base is not None:
                y = y + layer.base_weight[i, o].item() * base
        result.append(y)
    return result


def counted_tanh_layer(layer, x, shared):
    a, b = layer.a.tolist(), layer.b.tolist()
    squares = [v * v for v in x] if shared else None
    result = []
    for o in range(layer.out_features):
        y = Number(0.0 if layer.bias is None else layer.bias[o].item(), x[0].tally)
        for i, v in enumerate(x):
            square = squares[i] if shared else v * v
            y = y + (a[i][o] * square + b[i][o] * v).call(torch.tanh)
        result.append(y)
    return result


def counted_linear(layer, x, shared):
    biases = [0.0] * layer.out_features if layer.bias is None else layer.bias.tolist()
    biases = [Number(bias, x[0].tally) for bias in biases]
    return [dot(bias, row, x) for bias, row in zip(biases, layer.weight.tolist(), strict=True)]


def counted_splines(layer, x, shared):
    return [
        dot(Number(0.0, v.tally), c, counted_basis(v, t, layer.degree))
        for v, (c,), t in zip(x, layer.coef.tolist(), layer.knots.tolist(), strict=True)
    ]


def counted_run(model, x, convention):
    """Outputs and Operations of a network for one sample, by its formulas in Python."""
    tally = Tally()
    counted = {
        KANLayer: counted_kan_layer,
        TanhLayer: counted_tanh_layer,
        nn.Linear: counted_linear,
        SplineActivation: counted_splines,
        Activation: lambda layer, x, shared: [v.call(layer.function) for v in x],
    }
    for layer in model if isinstance(model, nn.Sequential) else [model]:
        numbers = [Number(value_of(v), tally) for v in x]
        x = counted[type(layer)](layer, numbers, convention == "shared")
    return [v.value for v in x], Operations(tally.multiply_adds, tally.functions)


DOUBLE = {"dtype": torch.float64}
COUNTED = [
    *(
        KANLayer(i, o, grid_size=g, degree=k, bias=b, spline_weight=w, base=f, **DOUBLE)
        for i, o, g, k, b, w, f in [
            (1, 1, 1, 0, False, False, None),
            (3, 2, 4, 0, True, True, torch.sin),
            (2, 3, 3, 1, True, False, None),
            (2, 3, 5, 2, False, True, None),
            (3, 2, 5, 3, False, False, torch.sin),
            (3, 4, 2, 3, True, True, torch.sin),
            (1, 2, 1, 7, True, False, torch.sin),
        ]
    ),
    *(TanhLayer(i, o, bias=b, **DOUBLE) for i, o, b in [(1, 1, True), (3, 2, False), (2, 5, True)]),
    *(nn.Linear(i, o, bias=b, **DOUBLE) for i, o, b in [(1, 1, True), (3, 2, False), (2, 5, True)]),
    *(SplineActivation(i, grid_size=g, degree=k, **DOUBLE) for i, g, k in [(1, 5, 3), (3, 2, 0)]),
    MLP([2, 3, 4, 1], **DOUBLE),
    SplineMLP([2, 3, 4, 1], degree=2, domain=(-3, 3), **DOUBLE),
    Mixture([2, 3, 2, 3, 1], ["tanh", "linear", "kan", "linear"], **DOUBLE),
    nn.Sequential(nn.Linear(2, 3, **DOUBLE), Activation(torch.sin), TanhLayer(3, 1, **DOUBLE)),
]


@pytest.mark.parametrize("convention", ["shared", "edge"])
@pytest.mark.parametrize("model", COUNTED, ids=lambda m: type(m).__name__)
def test_count_operations_equals_a_counted_run(model, convention):
    model = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, **DOUBLE, generator=generator(1))
    first = model[0] if isinstance(model, nn.Sequential) else model
    width = first.features if isinstance(first, SplineActivation) else first.in_features
    x = torch.rand(width, **DOUBLE, generator=generator()) * 2 - 1
    outputs, operations = counted_run(model, x.tolist(), convention)
    torch.testing.assert_close(
        torch.tensor(outputs, **DOUBLE), model(x).detach(), rtol=1e-12, atol=1e-12
    )
    assert count_operations(model, convention) == operations


def test_count_operations_by_hand():
    assert count_operations(nn.Linear(4, 3)) == (12, 0)
    assert count_operations(TanhLayer(4, 3)) == (4 + 36, 12)
    assert count_operations(TanhLayer(4, 3), "edge") == (12 + 36, 12)
    # degree 1, two intervals: 3 hats, 6 operations each; 3 coefficients for each edge
    layer = KANLayer(4, 5, grid_size=2, degree=1, base=torch.sin)
    assert count_operations(layer) == (4 * 18 + 20 * 3 + 20, 4)
    assert count_operations(layer, "edge") == (20 * 18 + 20 * 3 + 20, 20)
    shared = nn.Linear(3, 3)  # run twice, so it counts twice
    assert count_operations(nn.Sequential(shared, nn.Sequential(shared))) == (18, 0)
    assert count_operations(nn.Sequential()) == (0, 0)


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
        (MLP([1, 1]), "flops", ValueError, r"convention='flops'; expected 'shared' or 'edge'"),
        (nn.Sequential(nn.Linear(1, 1), nn.ReLU()), "edge", TypeError, r"a ReLU; .*TanhLayer"),
        (nn.ModuleList(), "shared", TypeError, r"a ModuleList"),
        (torch.tanh, "shared", TypeError, r"a builtin_function"),
        (MLP([2, 3, 1])[1:], "shared", ValueError, r"starts with Activation\(tanh\)"),
    ],
)
def test_count_operations_names_what_it_does_not_know(model, convention, error, message):
    with pytest.raises(error, match=message):
        count_operations(model, convention)


@pytest.mark.parametrize("network", [KAN, MLP, TanhKAN, SplineMLP, lambda w: Mixture(w, ["kan"])])
@pytest.mark.parametrize(
    "widths, error, message",
    [
        ([3], ValueError, r"widths=\[3\].*two or more"),
        ([], ValueError, r"widths=\[\]"),
        ([3, 0], ValueError, r"widths\[1\]=0"),
        ([3, 2.5], TypeError, r"widths\[1\]=2.5"),
        (3, TypeError, r"widths=3"),
        ("31", TypeError, r"widths='31'"),
    ],
)
def test_bad_widths_are_named(network, widths, error, message):
    with pytest.raises(error, match=message):
        network(widths)


def test_bad_activation_is_named():
    with pytest.raises(TypeError, match="activation='tanh'"):
        MLP([1, 1], activation="tanh")


# Tasks


@pytest.mark.parametrize("name", tasks.FUNCTIONS_1D)
def test_functions_1d(name):
    x, y = tasks.function_1d(name, 500, dtype=torch.float64)
    assert x.shape == y.shape == (500, 1) and x.dtype == y.dtype == torch.float64
    assert x[0] == -1 and x[-1] == 1 and y.abs().max() <= 1


def test_zigzag_goes_through_its_corners():
    x, y = (torch.tensor(v, dtype=torch.float64) for v in (tasks.ZIGZAG_X, tasks.ZIGZAG_Y))
    torch.testing.assert_close(tasks.zigzag(x), y)
    points = np.linspace(-1, 1, 999)
    np.testing.assert_allclose(
        tasks.zigzag(torch.tensor(points)), np.interp(points, x, y), atol=1e-12
    )


def test_bad_task_is_named():
    with pytest.raises(ValueError, match="name='sawtooth'.*zigzag"):
        tasks.function_1d("sawtooth")
    with pytest.raises(ValueError, match="n=1"):
        tasks.function_1d("zigzag", 1)
    with pytest.raises(ValueError, match=r"name=\['zigzag'\]"):
        tasks.function_1d(["zigzag"])
