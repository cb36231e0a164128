"""Fade, prune, snap: against plain formulas, SciPy, autograd and SymPy."""

import copy
import dataclasses
import math
import pickle
import re

import numpy as np
import pytest
import scipy.optimize
import sympy
import torch
from helpers import generator, shaken
from torch.nn.utils import parameters_to_vector

from kanbook import KAN, KANLayer, TanhKAN, count_parameters, extend_grid, fit, update_grid
from kanbook._expressions import _multiplied_out
from kanbook.formulas import _mixed, discover, edges, fade, prune, snap
from kanbook.functions import LIBRARY, Candidate, FormulaLayer, Function, Snap, candidates
from kanbook.lab import bundle
from kanbook.networks import Network
from kanbook.optimizers import jacobian, jacobian_by_autograd
from kanbook.snapping import (
    Search,
    SearchOptions,
    Standard,
    Trial,
    cancels,
    neighbors_agree,
    readable,
)

F64 = {"dtype": torch.float64}
OPTIONS = {"bias": True, "spline_weight": True, "base": torch.nn.functional.silu}


def points(n=60, inputs=2, seed=1):
    return 2 * torch.rand(n, inputs, generator=generator(seed), **F64) - 1


def state(model):
    return parameters_to_vector(model.parameters()).detach().clone()


def test_fade_is_the_sum_of_the_spreads():
    model, x = shaken(KAN([2, 3, 1], generator=0, **OPTIONS, **F64)), points()
    total = 0.0
    h = x
    for layer in model:
        for i in range(layer.in_features):
            for o in range(layer.out_features):
                values = layer.edges(h)[:, i, o].detach().numpy()
                total += math.sqrt(np.var(values) + 1e-6)
        h = layer(h)
    assert fade(x, 0.3)(model).item() == pytest.approx(0.3 * total, rel=1e-12)


def test_gradient_of_fade_by_finite_differences():
    model, x = shaken(KAN([2, 2, 1], grid_size=2, generator=0, **F64)), points(20)
    penalty, names = fade(x), [name for name, _ in model.named_parameters()]

    def of(*values):
        clone = copy.deepcopy(model)
        for name, value in zip(names, values, strict=True):
            layer, parameter = name.split(".")
            del clone[int(layer)]._parameters[parameter]
            setattr(clone[int(layer)], parameter, value)
        return penalty(clone)

    assert torch.autograd.gradcheck(of, tuple(model.parameters()))


def test_fading_leaves_fewer_edges_than_training_alone():
    x = points(200)
    y = x.sum(1, keepdim=True) ** 2
    left = []
    for penalty in (None, fade(x, 0.02)):
        model = KAN([2, 4, 1], generator=0, **F64)
        fit(model, x, y, steps=400, lr=0.1, penalty=penalty)
        left.append(sum(int((e.std(0) > 0.03).sum()) for e in edges(model, x)))
    assert left[1] <= 6 < left[0]


def with_constant_edges(**options):
    """A KAN [2, 4, 2] with a dead node, one edge out of a live node gone, one into it, too."""
    model = shaken(KAN([2, 4, 2], generator=0, **options, **F64))
    with torch.no_grad():
        for parameter in model[0].parameters():
            parameter *= 0.3  # hidden values stay on the domain
        for n, i, o in ((0, 0, 1), (1, 2, 0), (1, 3, 0), (1, 3, 1)):
            model[n].coef[i, o] = 0.7  # a constant
            if model[n].base_weight is not None:
                model[n].base_weight[i, o] = 0
    return model


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["minimal", "all options"])
def test_pruned_network_is_the_same_function(options):
    model, x = with_constant_edges(**options), 0.9 * points()
    before = state(model)
    small = prune(model, x, threshold=1e-9)
    assert torch.allclose(small(x), model(x), atol=1e-12)
    assert torch.equal(state(model), before)
    assert [(m.in_features, m.out_features) for m in small] == [(2, 3), (3, 2)]
    assert [int(m.mask.sum()) for m in small] == [5, 5]
    numbers = 8 + 2 * bool(options)
    assert count_parameters(small) == 10 * numbers + 5 * bool(options)
    assert not small[0].edges(x)[:, 0, 1].any()
    nested = torch.nn.Sequential(model[:1], model[1])
    assert torch.equal(state(prune(nested, x, threshold=1e-9)), state(small))


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["minimal", "all options"])
def test_everything_works_on_a_pruned_network(options, tmp_path):
    x = points()
    small = prune(with_constant_edges(**options), x, threshold=1e-9)
    y = torch.cat([x.prod(1, keepdim=True), x.sum(1, keepdim=True)], 1)
    fast = torch.cat(jacobian(small, x)[1], 0)
    plain = jacobian_by_autograd(small, x).transpose(0, 1).flatten(0, 1)
    assert torch.allclose(fast, plain, atol=1e-12)
    loss = (small(x) - y).square().mean()
    for optimizer in ("adam", "lbfgs", "lm"):
        fit(small, x, y, optimizer=optimizer, steps=3)
    assert (small(x) - y).square().mean() < loss
    missing = small[0].mask == 0
    assert missing.any() and not small[0].coef[missing].any()
    update_grid(small, x)
    before = small(x)
    extend_grid(small, x, 10)
    assert torch.allclose(small(x), before, atol=1e-10)
    torch.save(small.state_dict(), tmp_path / "small.pt")
    loaded = KAN([2, 3, 2], **options, **F64)
    loaded.load_state_dict(torch.load(tmp_path / "small.pt"))
    assert torch.equal(loaded(x), small(x))
    assert count_parameters(loaded) == count_parameters(small)
    assert torch.equal(copy.deepcopy(small)(x), small(x))


def test_prune_refuses_to_cut_an_output_off_but_takes_small_ones():
    model, x = KAN([2, 3, 2], generator=0, **F64), points()
    with torch.no_grad():
        model[1].coef[:, 1] *= 1e-6
    assert edges(prune(model, x), x)[-1].std(0).any(0).all()
    model[1].coef.data[:, 1] = 0.0
    with pytest.raises(ValueError, match="threshold=0.5 cuts an output off"):
        prune(model, x, 0.5)
    with pytest.raises(ValueError, match="threshold=0.03 .*over x, .* the largest are 0, 0$"):
        prune(model, x[:1])
    with torch.no_grad():
        model[0].coef[1, 2, 3] = math.nan
    with pytest.raises(ValueError, match="finite spreads > 0 .* of model .* are nan, nan$"):
        prune(model, x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m, x: prune(m, x, -1), ValueError, "threshold=-1"),
        (lambda m, x: prune(m, x * math.nan), ValueError, "x"),
        (lambda m, x: prune(TanhKAN([2, 1], **F64), x), TypeError, "TanhLayer"),
        (lambda m, x: prune(m, x[0]), ValueError, r"x has shape \(2,\); expected \(N, I\)"),
        (lambda m, x: prune(m, x[None]), ValueError, r"x has shape \(1, 60, 2\)"),
        (lambda m, x: prune(Network(), x), TypeError, "model holds a Network"),
        (lambda m, x: fade(x, -1), ValueError, "strength=-1"),
        (lambda m, x: fade(x[:0]), ValueError, r"x has shape \(0, 2\); expected .* N >= 1"),
        (lambda m, x: snap(m, x, x[:9]), ValueError, "y"),
        (lambda m, x: snap(m, x, x[:, :1], library={}), ValueError, "library={}"),
        (lambda m, x: snap(KAN([2, 1]), x.float(), x[:, :1].float()), ValueError, "float64"),
        (lambda m, x: discover(x, x[:, :1], [2, 1], attempts=0), ValueError, "attempts=0"),
        (lambda m, x: discover(x, x[:, :1], [2, 2]), ValueError, r"widths=\[2, 2\]; expected 2 f"),
        (lambda m, x: discover(x, x[:, :1], [2, 1], held_out=2), ValueError, "held_out=2"),
        (
            lambda m, x: discover(x, 0 * x[:, :1] + 3, [2, 1]),
            ValueError,
            r"\[:, 0\] is .* 3",
        ),
        (lambda m, x: discover(x[:3], x[:3, :1], [2, 1]), ValueError, "inputs has 3 samples"),
        (lambda m, x: snap(m, x, 0 * x[:, :1]), ValueError, r"y\[:, 0\] is always"),
        (lambda m, x: snap(m, x, x[:, :1], library=["sin"]), TypeError, r"library=\['sin'\]"),
        (lambda m, x: snap(m, x, x[:, :1], library={"sin": 1}), TypeError, "library="),
        (
            lambda m, x: snap(m, x, x[:, :1], functions={(0, 0, 1): "sin"}),
            ValueError,
            r"functions=.*not \(0, 0, 1\)",
        ),
        (
            lambda m, x: snap(m, x, x[:, :1], functions={(0, 0, 0): "cos"}),
            ValueError,
            "functions=.*'cos'",
        ),
        (lambda m, x: snap(m, x, x), ValueError, r"y has shape \(60, 2\); expected \(N, 1\)"),
        (lambda m, x: snap(m, x, x[:, :0]), ValueError, r"y has shape \(60, 0\)"),
        (lambda m, x: snap(m, x, x[:, :1], like=KAN([2, 2], **F64)), ValueError, "as of like"),
        (lambda m, x: snap(torch.nn.Sequential(), x, x), TypeError, "model holds a Sequential"),
        (lambda m, x: candidates(x[:, 0].float(), x[:, 0]), TypeError, "y has dtype"),
        (lambda m, x: candidates(x[:0, 0], x[:, 0]), ValueError, r"x and y have shapes \(0,\)"),
        (lambda m, x: candidates(x[:0, 0], x[:0, 0]), ValueError, r"x and y have shapes \(0,\)"),
        (lambda m, x: candidates(x, x), ValueError, r"shapes \(60, 2\)"),
    ],
)
def test_bad_input_is_named(call, error, message):
    model, x = KAN([2, 1], **F64), points()
    before = state(model)
    with pytest.raises(error, match=message):
        call(model, x)
    assert torch.equal(state(model), before)


@pytest.mark.parametrize("name", LIBRARY)
def test_library(name):
    """Text and function agree; on its own curve every function is found again."""
    function = LIBRARY[name]
    low, high = function.domain
    u = torch.linspace(max(low, -2) + 0.05, min(high, 2) - 0.05, 50, **F64)
    text = sympy.lambdify("u", sympy.sympify(function.text), "numpy")
    assert np.allclose(function(u).numpy(), text(u.numpy()), rtol=1e-12)
    if math.isfinite(low):
        assert function(torch.tensor([low - 0.1, low])).isnan().all()
    best = candidates(u, -1.7 * function(u) + 0.3)
    own = next(candidate for candidate in best if candidate.name == name)
    assert own.r2 > 0.995
    assert own.r2 >= best[0].r2 - 0.005


def test_candidates_find_what_scipy_finds():
    x = torch.linspace(-1, 2, 80, **F64)
    y = 0.7 * torch.tanh(1.9 * x - 0.4) - 0.2
    tanh = next(candidate for candidate in candidates(x, y) if candidate.name == "tanh")
    (c, a, b, d), _ = scipy.optimize.curve_fit(
        lambda x, c, a, b, d: c * np.tanh(a * x + b) + d,
        x.numpy(),
        y.numpy(),
        p0=[tanh.c, tanh.a, tanh.b, tanh.d],
    )
    assert (c, a, b, d) == pytest.approx((0.7, 1.9, -0.4, -0.2), abs=1e-6)
    assert (tanh.c, tanh.a, tanh.b, tanh.d) == pytest.approx((c, a, b, d), abs=0.3)
    assert tanh.r2 > 0.998


def test_no_pole_hides_between_samples():
    x = torch.tensor([-1.0, -0.5, 0.5, 1.0], **F64)
    fitted = {candidate.name: candidate for candidate in candidates(x, 1 / x)}
    for name in ("1/x", "1/x^2", "1/sqrt", "log", "sqrt"):
        u = fitted[name].a * x + fitted[name].b
        assert (u > 0).all()


def formula_layers():
    """A network with splines and functions side by side, a fixed number and an edge missing."""
    first, second = (
        FormulaLayer(shaken(KANLayer(2, 2, generator=0, **F64))),
        FormulaLayer(shaken(KANLayer(2, 1, generator=1, **F64))),
    )
    x = torch.linspace(-1, 1, 30, **F64)
    for layer, i, o, name in ((first, 0, 0, "sin"), (first, 1, 1, "exp"), (second, 0, 0, "x^2")):
        curve = layer.curve(i, o, x)
        start = next(fitted for fitted in candidates(x, curve) if fitted.name == name)
        layer.put(i, o, LIBRARY[name], start)
    first.fix("constants", (0, 1), 0.5)
    first.fix("bias", (1,), 0.25)
    return Network(first, second)


def test_jacobian_of_a_formula_layer_against_autograd():
    net, x = formula_layers(), points(30)
    _, (fast,) = jacobian(net, x)
    plain = jacobian_by_autograd(net, x)[:, 0]
    assert fast.shape == plain.shape
    assert torch.allclose(fast, plain, atol=1e-11)


def test_edges_and_bias_of_a_formula_layer_make_its_output():
    net, x = formula_layers(), points(30)
    for layer in net:
        assert torch.allclose(layer.edges(x).sum(-2) + layer.bias, layer(x), atol=1e-12)
        x = layer(x)


def test_fixed_numbers_stay():
    net, x = formula_layers(), points(50)
    free = count_parameters(net)
    fit(net, x, x.prod(1, keepdim=True), optimizer="lm", steps=3)
    assert net[0].constants[0, 1].item() == 0.5
    assert net[0].bias[1].item() == 0.25
    # Two curves and one of 8 numbers each; sin without a, exp with a, x^2 with b; 2 biases of 3.
    assert free == 3 * 8 + 2 + 2 + 2 + 2


def test_snap_finds_a_formula_and_leaves_the_network_alone():
    x = points(300)
    y = torch.exp(x[:, :1] ** 2 + torch.sin(3 * x[:, 1:]))
    model = KAN([2, 1, 1], generator=0, **F64)
    fit(model, x, y, steps=300, lr=0.03, update_grid_at=[50, 100])
    before, random = state(model), torch.get_rng_state()
    formula = snap(model, x, y)
    assert formula.complete
    assert [edge.name for edge in sorted(formula.snaps)] == ["x^2", "sin", "exp"]
    difference = formula.expression(["v", "w"]) - sympy.sympify("exp(v**2 + sin(3*w))")
    assert sympy.simplify(difference) == 0
    assert formula.loss < 1e-20 < formula.curve_loss
    assert torch.allclose(formula.network(x), y, atol=1e-9)
    assert torch.equal(state(model), before)
    assert torch.equal(torch.get_rng_state(), random)
    with pytest.raises(ValueError, match="names"):
        formula.expression(["v"])


def test_functions_that_are_chosen_come_first_good_or_not():
    x = points(300)
    y = torch.exp(x[:, :1] ** 2 + torch.sin(3 * x[:, 1:]))
    model = KAN([2, 1, 1], generator=0, **F64)
    fit(model, x, y, steps=300, lr=0.03, update_grid_at=[50, 100])
    chosen = {(1, 0, 0): "exp", (0, 1, 0): "sin"}
    right = snap(model, x, y, functions=chosen)
    assert sympy.simplify(right.expression(["v", "w"]) - sympy.sympify("exp(v**2+sin(3*w))")) == 0
    assert right.snaps == [(1, 0, 0, "exp"), (0, 1, 0, "sin"), (0, 0, 0, "x^2")]
    wrong = snap(model, x, y, functions={(0, 0, 0): "x"})
    assert not wrong.complete and wrong.snaps[0] == (0, 0, 0, "x")


def test_snap_takes_frozen_layers_in_rows_in_rows():
    x, model = points(100, inputs=1), KAN([1, 1], generator=0, **F64).requires_grad_(False)
    assert str(snap(torch.nn.Sequential(model), x, torch.sin(3 * x))) == "sin(3*x1)"
    assert not model[0].coef.requires_grad


def test_what_fits_nothing_stays_a_curve():
    x = points(300, inputs=1)
    y = torch.sin(4 * x) / (1.3 + x)
    formula, again = (discover(x, y, [1, 1], attempts=1, generator=0) for _ in range(2))
    assert not formula.complete
    assert formula.snaps == [(0, 0, 0, None)]
    assert "s1_1_1(x1)" in str(formula)
    assert str(formula).endswith("(not complete: edges that are curves: 1)")
    assert formula.loss == again.loss  # to the last digit: it is seeded


def test_own_library(capsys):
    sinc = Function(torch.sinc, "sin(pi*u)/(pi*u)", price=2)
    x = points(300, inputs=1)
    y, model = torch.sinc(2 * x), KAN([1, 1], generator=0, **F64)
    fit(model, x, y, steps=100, lr=0.02)
    library = {"x": LIBRARY["x"], "x^2": LIBRARY["x^2"], "sinc": sinc}
    formula = snap(model, x, y, library=library, progress=True)
    assert formula.complete and formula.snaps == [(0, 0, 0, "sinc")]
    assert "1/1" in capsys.readouterr().err


def test_discover_finds_through_noise():
    x = points(300, inputs=1)
    noise = torch.randn(300, 1, generator=generator(2), **F64)
    y = torch.exp(-2 * x) + 0.02 * noise
    formula = discover(x, y, [1, 1, 1], generator=3)
    assert str(formula) == "exp(-2*x1)"
    assert formula.loss == pytest.approx(0.02**2, rel=0.2)
    assert formula.check.samples == 60 and formula.check.off < 3
    assert formula.check.noise == pytest.approx(0.02**2 / y.var().item(), rel=0.3)
    assert "of the variance of 60 samples held out" in repr(formula)


@pytest.mark.parametrize("truth", [lambda x: torch.sinc(1.2 * x), lambda x: x * torch.exp(x)])
def test_what_goes_wrong_beyond_the_middle_is_not_complete(truth):
    """One function fits these among samples with noise, but they are none."""
    x = points(300, inputs=1, seed=2)
    y = truth(x) + 0.03 * truth(x).std() * torch.randn(300, 1, generator=generator(5), **F64)
    formula = discover(x, y, [1, 1], attempts=1, generator=0)
    assert formula.snaps[0].name is not None
    assert not formula.complete and not formula.check.passed
    assert "not complete: of the variance of 60 samples" in str(formula)


def test_noise_is_no_formula():
    x, y = points(100, inputs=1), torch.randn(100, 1, generator=generator(0), **F64)
    assert not discover(x, y, [1, 1], attempts=1, generator=0).complete
    assert not snap(KAN([1, 1], generator=0, **F64), x[:30], y[:30]).complete


@pytest.mark.parametrize(
    ("center", "size", "offset", "factor"),
    [(0, 1, 3, 1e-6), (0, 1, -4e6, 1e6), (1000, 50, 0, 1), (0, 1e-4, 300, 1)],
)
def test_samples_of_any_place_and_size(center, size, offset, factor):
    x = points(300, inputs=1)
    y = offset + factor * torch.exp(-2 * x)
    formula = discover(center + size * x, y, [1, 1], generator=0)
    assert formula.complete and formula.snaps == [(0, 0, 0, "exp")]
    assert torch.allclose(formula(center + size * x), y, rtol=1e-12, atol=1e-12 * factor)


def test_outputs_of_very_different_spread():
    x = points(300, inputs=1)
    y = torch.cat([1000 * torch.sin(3 * x), torch.exp(x) / 1000], 1)
    assert str(discover(x, y, [1, 2], generator=0)) == "1000*sin(3*x1)\nexp(x1)/1000"


def test_an_attempt_in_which_an_output_fades_is_only_one_attempt(monkeypatch):
    def refuse(model, x):
        raise ValueError("threshold=0.03 cuts an output off")

    monkeypatch.setattr("kanbook.formulas.prune", refuse)
    x = points(100, inputs=1)
    assert str(discover(x, torch.sin(3 * x), [1, 1], generator=0)) == "sin(3*x1)"


def test_samples_in_order_are_mixed_and_others_stay():
    x = points(500)
    ordered = x[x[:, 1].argsort()]
    assert _mixed(x, x[:, :1])[0] is x
    inputs, targets = _mixed(ordered, ordered[:, :1])
    assert torch.equal(inputs[:, :1], targets) and torch.equal(inputs.sort(0)[0], x.sort(0)[0])
    assert inputs[:100, 1].max() - inputs[:100, 1].min() > 1.8


def test_an_input_that_never_varies_hides_nothing():
    x = 2 * torch.rand(500, 1, generator=generator(1), **F64) - 1
    left = torch.sin(9 * x)  # what curves have not learned
    still = torch.cat([x, torch.full_like(x, 0.5)], dim=1)
    assert neighbors_agree(x, left) and neighbors_agree(still, left)


def test_a_network_that_has_not_learned_is_no_noise():
    x = points(500)
    y = torch.sin(3 * x.sum(1, keepdim=True))
    model = KAN([2, 1], generator=0, **F64)  # cannot learn it
    fit(model, x, y, steps=50)
    assert not Standard(model, x, y, doublings=2).noisy
    noise = torch.randn(500, 1, generator=generator(2), **F64)
    assert Standard(model, x, x.sum(1, keepdim=True) + noise, doublings=2).noisy


def test_chance_is_shared_by_all_outputs():
    """By chi squared of as many numbers as the network has less, over all errors."""
    x = points(300, inputs=1)
    y = x + 0.1 * torch.randn(300, 3, generator=generator(0), **F64)
    standard = Standard(KAN([1, 3], generator=0, **F64), x, y, doublings=1)
    lines = KAN([1, 3], grid_size=1, degree=1, **F64)
    fewer = standard.numbers - 6
    more = standard.variance * (fewer + 3 * math.sqrt(2 * fewer)) / 900
    assert standard.noisy and standard.allows(standard.loss + 0.99 * more, lines)
    assert not standard.allows(standard.loss + 1.01 * more, lines)


def test_what_rounding_drops_is_no_longer_listed():
    x, layer = points(100), FormulaLayer(KANLayer(2, 1, generator=0, **F64))
    for i, name, c in ((0, "sin", 1.0), (1, "x^2", 1e-12)):
        layer.put(i, 0, LIBRARY[name], Candidate(name, 1.0, 1.0, 0.0, c, 0.0))
    y = torch.sin(x[:, :1])
    standard = Standard(KAN([2, 1], generator=0, **F64), x, y, doublings=1)
    trial = Trial(Network(layer), 1e-24, (Snap(0, 0, 0, "sin"), Snap(0, 1, 0, "x^2")))
    Search(standard, LIBRARY).round(trial)
    assert trial.snaps == (Snap(0, 0, 0, "sin"),)


def test_terms_that_cancel():
    net = Network(FormulaLayer(KANLayer(2, 1, generator=0, **F64)))
    x = points()
    layer = net[0]
    with torch.no_grad():
        layer.splines.coef[0, 0] *= 1000
    assert cancels(KAN([2, 1], generator=0, **F64), x) is False
    with torch.no_grad():
        layer.splines.coef[1, 0] = layer.splines.coef[0, 0]
    close = torch.stack([x[:, 0], -x[:, 0] + 1e-4 * x[:, 1]], 1)
    assert cancels(net, close)


def test_readable_numbers():
    assert next(readable(0.4999, False)) == 0.5
    assert math.pi in readable(3.14, False)
    assert math.pi / 2 in readable(1.5707, False)
    assert [*readable(1e-9, False)] == []


def test_the_lab_searches_by_the_same_numbers():
    """Its script uses every number of the search, and no other."""
    script = bundle.script("lab")
    used = re.findall(r"\bSEARCH\.(\w+)", script)
    used += re.findall(r"\w+", ",".join(re.findall(r"\{([^{}]*)\} = SEARCH\b", script)))
    assert {*used} == {field.name for field in dataclasses.fields(SearchOptions)}


def test_the_last_curve_leaves_the_layers_bias_behind():
    layer, x = KANLayer(1, 1, bias=True, generator=0, **F64), points(inputs=1)  # a straight line
    torch.nn.init.constant_(layer.bias, 0.5)
    net = FormulaLayer(layer)
    line = candidates(x[:, 0], net.curve(0, 0, x[:, 0]), {"x": LIBRARY["x"]})[0]
    net.put(0, 0, LIBRARY["x"], line)
    assert net.splines is None and torch.allclose(net(x), layer(x))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x**2/2 + y**2/2 - (x - y)**2/2", "x*y"),
        ("0.3317*(x + tanh(2*y))**2 - 0.3317*(x - tanh(2*y))**2", "1.3268*x*tanh(2*y)"),
        ("(x**2 + y)**2/4 - (x**2 - y)**2/4", "x**2*y"),
        ("1 - x + y - (1 - x)*(1 + y)", "x*y"),
        ("pi*(x + y + 1)**2/4 - pi*(x - y + 3)**2/4", "pi*(x + 2)*(y - 1)"),
        ("(x + y)**2", "(x + y)**2"),
        ("sin(2*x + 2*y)", "sin(2*x + 2*y)"),
    ],
)
def test_a_product_is_written_as_one(text, expected):
    assert str(_multiplied_out(sympy.sympify(text))) == expected


def test_a_formula_is_called_copied_pickled_and_saved(tmp_path):
    x = points(100, inputs=1)
    formula = snap(KAN([1, 1], generator=0, **F64), x, torch.sin(3 * x))
    torch.save(formula, tmp_path / "formula.pt")
    again = torch.load(tmp_path / "formula.pt", weights_only=False)
    for other in (again, pickle.loads(pickle.dumps(formula)), copy.deepcopy(formula)):
        assert torch.equal(other(x), formula(x)) and str(other) == str(formula) == "sin(3*x1)"
    assert torch.allclose(formula(x), torch.sin(3 * x), atol=1e-12)
    for wrong in (points(5, inputs=2), x[:, 0], x.float()):
        with pytest.raises((TypeError, ValueError), match="x has"):
            formula(wrong)
    u, library = torch.linspace(0.1, 0.9, 5), pickle.loads(pickle.dumps(LIBRARY))
    assert all(torch.equal(library[name](u), f(u)) for name, f in LIBRARY.items())
