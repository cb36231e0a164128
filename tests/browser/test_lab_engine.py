"""The KAN Lab's engine equals kanbook: losses, gradients, grids, networks that become formulas.

Both sides start from the same numbers in float64. Where rounding errors grow, as in a long
training, small networks and many samples keep them below what is asserted.
"""

import itertools
import warnings

import numpy as np
import pytest
import torch
from lab_node import run

from evidence.tasks import laws
from kanbook import KAN, MLP, count_parameters, extend_grid, formulas, training, update_grid
from kanbook.functions import LIBRARY, Candidate, Formula, FormulaLayer, candidates
from kanbook.lab import transfer
from kanbook.networks import Network

silu = torch.nn.functional.silu
OPTIONS = {"bias": True, "spline_weight": True, "base": silu}


def samples(n, inputs, seed):
    """Uniform on [-1, 1], ends and center among them, and an uneven target."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(n, inputs, generator=generator, dtype=torch.float64) - 1
    x[:3] = torch.tensor([[-1.0], [0.0], [1.0]])
    y = torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, -1:] ** 2) / 3
    return x, y


def scrambled(widths, seed, *, size=0.2, masked=False, **options):
    """A network whose every number is random, in part without edges."""
    generator = torch.Generator().manual_seed(seed)
    model = KAN(widths, **options, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(size * torch.randn(p.shape, generator=generator, dtype=p.dtype))
        for layer in model if masked else ():
            layer.mask = (torch.rand(layer.coef.shape[:2], generator=generator) < 0.7).double()
            layer.mask[0, 0], layer.mask[-1, -1] = 1, 0
    return model


def as_case(model, x, y, **more):
    """A network and its samples as Node gets them."""
    if isinstance(model, MLP):
        more |= {"mlp": {"widths": widths_of(model), "theta": numbers_of(model)}}
    else:
        more |= {"network": transfer.to_page(model)}
    return {"x": columns(x), "y": y.flatten().tolist(), **more}


def widths_of(mlp):
    linear = [layer for layer in mlp if isinstance(layer, torch.nn.Linear)]
    return [linear[0].in_features, *(layer.out_features for layer in linear)]


def numbers_of(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()]).tolist()


def columns(x):
    return x.T.flatten().tolist()


def assert_close(actual, expected, rtol, atol=0.0):
    actual, expected = (
        v.detach().numpy() if isinstance(v, torch.Tensor) else np.array(v, dtype=float)
        for v in (actual, expected)
    )
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def assert_same_numbers(model, other, tolerance):
    """Knots and parameters, in units of the largest of their kind."""
    for layer, theirs in zip(model, other, strict=True):
        theirs = theirs.state_dict()
        assert layer.state_dict().keys() == theirs.keys()
        for name, values in layer.state_dict().items():
            assert_close(theirs[name], values, 0, tolerance * (values.abs().max().item() or 1))


TRAIN = """({ network, mlp, rates, fade, ...samples }) => {
  const net = network ? Network.from(network) : MLP.from(mlp), { x, y, n } = samplesOf(samples);
  const tape = net.tape(x, n), adam = new Adam(net);
  const losses = rates.map(rate => {
    const loss = gradientOf(tape, y, fade);
    adam.step(rate);
    return loss;
  });
  return { losses, network: net.toJSON() };
}"""
NETWORKS = [
    {"widths": [1, 1], "degree": 0, "grid_size": 6},
    {"widths": [1, 5, 1], "degree": 0, "base": silu, "bias": True},
    {"widths": [1, 5, 1], "degree": 1, "grid_size": 8},
    {"widths": [1, 5, 1], "degree": 4, "grid_size": 3},
    {"widths": [1, 5, 1], "degree": 5, **OPTIONS},
    {"widths": [2, 5, 1]},
    {"widths": [2, 5, 1], "grid_size": 20, "base": silu, "bias": True},
    {"widths": [2, 5, 1], "spline_weight": True},
    {"widths": [2, 5, 1], "base": silu},
    {"widths": [2, 5, 1], **OPTIONS},
    {"widths": [2, 5, 1], "domain": (-0.5, 0.5), "degree": 2, "base": silu},
    {"widths": [2, 5, 1], "domain": (0.0, 3.0), "grid_size": 1, "bias": True},
    {"widths": [2, 5, 1], "masked": True},
    {"widths": [2, 5, 5, 1], "masked": True, "degree": 2, **OPTIONS},
]
TRAININGS = [
    *({"network": network} for network in NETWORKS),
    {"network": {"widths": [2, 5, 1]}, "fade": 0.02},
    {"network": {"widths": [2, 5, 1], "degree": 1, **OPTIONS}, "fade": 0.02},
    {"network": {"widths": [2, 5, 5, 1], "masked": True, **OPTIONS}, "fade": 0.01},
    {"network": {"widths": [2, 5, 5, 1]}, "lr": 0.02, "schedule": lambda t: min(1, 4 * t)},
]
STEPS = 100


@pytest.fixture(scope="module")
def trainings():
    """Of each training: the network before, how it goes on, what Node makes of it."""
    found = []
    for seed, training_ in enumerate(TRAININGS):
        one = {"lr": 0.01, "schedule": None, "fade": 0, **training_}
        model = scrambled(seed=seed, **one["network"])
        x, y = samples(120, model[0].in_features, seed)
        factor = one["schedule"] or (lambda t: 1)
        rates = [one["lr"] * factor(step / STEPS) for step in range(STEPS)]
        found.append((one, model, x, y, as_case(model, x, y, rates=rates, fade=one["fade"])))
    results = run(TRAIN, [case for *_, case in found])
    return [(*one, result) for one, result in zip(found, results, strict=True)]


@pytest.mark.parametrize("number", range(len(TRAININGS)))
def test_adam(trainings, number):
    one, model, x, y, _, result = trainings[number]
    history = training.fit(
        model,
        x,
        y,
        steps=STEPS,
        lr=one["lr"],
        schedule=one["schedule"],
        penalty=formulas.fade(x, one["fade"]) if one["fade"] else None,
    )
    assert history.loss[-1] < 0.9 * history.loss[0]
    assert_close(result["losses"], history.loss, rtol=1e-12)
    assert_same_numbers(model, transfer.from_page(result["network"]), 1e-8)


@pytest.mark.parametrize("widths", [[1, 8, 1], [2, 6, 6, 1]])
def test_adam_of_mlp(widths):
    model, (x, y) = MLP(widths, dtype=torch.float64, generator=0), samples(120, widths[0], 0)
    (result,) = run(TRAIN, [as_case(model, x, y, rates=[0.01] * STEPS, fade=0)])
    history = training.fit(model, x, y, steps=STEPS)
    assert_close(result["losses"], history.loss, rtol=1e-12)
    assert_close(result["network"]["theta"], numbers_of(model), 0, 1e-12)


GRIDS = """({ network, x, n, changes, probe }) => {
  const net = Network.from(network), inputs = Float64Array.from(x);
  return changes.map(size => {
    if (size) extendGrid(net, inputs, n, size);
    else updateGrid(net, inputs, n);
    return { network: net.toJSON(), y: net.predict(Float64Array.from(probe), n) };
  });
}"""


def uneven(x):
    """Samples that crowd, repeat, leave the domain, are all alike in one input, are but two."""
    return {
        "even": x,
        "crowded": x**3,
        "beyond": torch.exp(3 * x) / 5,
        "repeated": (2 * x).round() / 2,
        "mostly 0": x * (x > 0.4),
        "alike": torch.stack([x[:, 0], torch.full_like(x[:, 0], 0.3)], 1),
        "two": torch.where(x > 0, x.new_tensor([0.0, 1.0]), x.new_tensor([1.0, 0.0])),
    }


def test_grids():
    """An update, then 5 to 10 to 14: hidden values start beyond their knots, or far inside."""
    made, seed = [], 0
    for x in uneven(samples(150, 2, 0)[0]).values():
        for options in ({"size": 3}, {"masked": True, **OPTIONS}, {"degree": 1}, {"degree": 5}):
            seed += 1
            made.append((scrambled([2, 4, 3, 1], seed, **options), x))
    for x in uneven(samples(150, 1, 0)[0].repeat(1, 2)).values():  # a staircase has no hidden nodes
        made.append((scrambled([2, 1], seed, degree=0), x))
    changes = [None, 10, 14]
    probe = 1.1 + 1.4 * samples(150, 2, 1)[0]  # no edge of the samples among them
    shared = {"n": len(probe), "probe": columns(probe), "changes": changes}
    cases = [shared | {"network": transfer.to_page(model), "x": columns(x)} for model, x in made]
    for (model, x), result in zip(made, run(GRIDS, cases), strict=True):
        for size, found in zip(changes, result, strict=True):
            with warnings.catch_warnings():  # of values beyond the knots
                warnings.simplefilter("ignore", RuntimeWarning)
                extend_grid(model, x, size) if size else update_grid(model, x, grid_eps=1)
            assert_same_numbers(model, transfer.from_page(found["network"]), 1e-10)
            expected = model(probe).flatten()
            assert_close(found["y"], expected, 0, 1e-10 * expected.abs().max().item())
        assert model[0].grid_size == 14


def test_knots_stay_where_values_fill_them():
    """What a race asks for as it follows: knots whose samples hardly leave them."""
    work = """reaches => {
      const net = Network.start([reaches.length, 1]), n = 50;
      const x = Float64Array.from(reaches.flatMap(reach =>
        Array.from({ length: n }, (_, s) => reach * ((2 * s) / (n - 1) - 1))));
      updateGrid(net, x, n, 0.02);
      return reaches.map((_, i) => net.layers[0].domain(i));
    }"""
    reaches = {0.7: 0.7, 0.9: 1, 1.03: 1, 1.05: 1.05}  # and where the domain ends then
    (found,) = run(work, [[*reaches]])
    assert found == [pytest.approx([-end, end]) for end in reaches.values()]


MOVES = """({ network, mlp, moves, ...samples }) => {
  const net = network ? Network.from(network) : MLP.from(mlp), { x, y, n } = samplesOf(samples);
  const newton = new LevenbergMarquardt(net, net.tape(x, n), y);
  return Array.from({ length: moves }, () => {
    const loss = finish(newton.linearize());
    finish(newton.step());
    return loss;
  });
}"""


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("options", [{}, {"degree": 2, "base": silu}, OPTIONS])
def test_levenberg_marquardt(options, masked):
    """Small networks and many samples: elsewhere a rounding error grows tenfold with each move."""
    x, y = samples(400, 2, 3)
    model = scrambled([2, 2, 1], 3, masked=masked, **options)
    (losses,) = run(MOVES, [as_case(model, x, y, moves=15)])
    history = training.fit(model, x, y, optimizer="lm", steps=15)
    assert history.loss[-1] < history.loss[0] / 5
    assert_close(losses, history.loss, 1e-7)


def test_levenberg_marquardt_of_mlp():
    model, (x, y) = MLP([2, 3, 3, 1], dtype=torch.float64, generator=0), samples(400, 2, 0)
    (losses,) = run(MOVES, [as_case(model, x, y, moves=15)])
    history = training.fit(model, x, y, optimizer="lm", steps=15)
    assert_close(losses, history.loss, 1e-7)


AS_GRADIENT = """({ network, fade, ...samples }) => {
  const net = Network.from(network), { x, y, n } = samplesOf(samples);
  const loss = gradientOf(net.tape(x, n), y, fade);
  net.theta.set(net.gradient);
  return { loss, gradient: net.toJSON() };
}"""
REFIT = """({ network, steps, ...samples }) => {
  const net = Network.from(network);
  return [finish(refit(net, samplesOf(samples), steps)), net.toJSON()];
}"""


def with_functions():
    """Networks of curves and functions, each name in three places; some numbers are fixed.

    The last has a function whose factor c is 0.
    """
    for seed in range(0, len(LIBRARY), 2):
        layers = [FormulaLayer(one) for one in scrambled([2, 2, 1], seed, size=0.1)]
        for layer, (i, o), shift in zip(
            (0, 0, 1), ((0, 0), (1, 1), (seed // 2 % 2, 0)), (0, 1, 4), strict=True
        ):
            name = [*LIBRARY][(seed + shift) % len(LIBRARY)]
            start = Candidate(name, 1.0, 0.25, 0.5, 0.1, 0.2)
            layers[layer].put(i, o, LIBRARY[name], start)
        layers[0].fix("bias", (1,), 0.05)
        layers[1].fix("constants", (0, 0), 0.2)
        yield Network(*layers)
    layer = FormulaLayer(scrambled([2, 1], 0)[0])
    layer.put(1, 0, LIBRARY["sin"], Candidate("sin", 1.0, 2.0, 0.5, 0.0, 0.2))
    yield Network(layer)


@pytest.mark.parametrize("fade", [0, 0.05])
def test_gradients_with_functions(fade):
    x, y = samples(100, 2, 0)
    models = list(with_functions())
    assert {f[2] for model in models for layer in model for f in layer.functions} == {*LIBRARY}
    for model, found in zip(
        models, run(AS_GRADIENT, [as_case(m, x, y, fade=fade) for m in models]), strict=True
    ):
        loss = (model(x) - y).square().mean()
        assert_close(found["loss"], loss, 1e-12)
        (loss + formulas.fade(x, fade)(model)).backward()
        for layer, gradient in zip(model, transfer.from_page(found["gradient"]), strict=True):
            numbers = dict(gradient.named_parameters())
            for name, p in layer.named_parameters():
                free = getattr(layer, f"free_{name}", 1)
                assert_close(numbers[name], p.grad * free, 1e-10, 1e-13)


def test_refits_with_functions():
    x, y = samples(200, 2, 1)
    models = list(with_functions())
    results = run(REFIT, [as_case(model, x, y, steps=4) for model in models])
    for model, (loss, network) in zip(models, results, strict=True):
        assert count_parameters(model) < sum(p.numel() for p in model.parameters())
        before = (model(x) - y).square().mean().item()
        assert_close(loss, formulas.refit(model, x, y, 4), 1e-8)
        assert loss < before
        assert_close(transfer.from_page(network)(x), model(x), 0, 1e-6)


PRUNE = """({ network, threshold, ...samples }) => {
  const { x, n } = samplesOf(samples), found = prune(Network.from(network), x, n, threshold);
  return found && { network: found.toJSON(), y: found.predict(x, n), count: found.count() };
}"""


@pytest.mark.parametrize("options", [{}, {"bias": True}, {"masked": True, **OPTIONS}])
def test_prune(options):
    """Strong and weak edges, so that nodes go, too."""
    x, y = samples(100, 2, 0)
    models = [scrambled([2, 5, 4, 1], seed, **options) for seed in range(8)]
    generator, kept = torch.Generator().manual_seed(0), set()
    for model in models:
        with torch.no_grad():
            for layer in model:
                weak = torch.rand(layer.coef.shape[:2], generator=generator) < 0.6
                layer.coef[weak] *= 1e-4
                if layer.base is not None:
                    layer.base_weight[weak] *= 1e-4
    found = run(PRUNE, [as_case(model, x, y, threshold=0.05) for model in models])
    for model, one in zip(models, found, strict=True):
        try:
            small = formulas.prune(model, x, 0.05)
        except ValueError:  # it would cut the output off
            kept.add(None)
            assert one is None
            continue
        kept.add((small[0].out_features, small[1].out_features))
        assert one["count"] == count_parameters(small) < count_parameters(model)
        assert_same_numbers(small, transfer.from_page(one["network"]), 1e-12)
        assert_close(one["y"], small(x).flatten(), 0, 1e-12)
    assert len(kept) > 2


def test_edge_taken_away_leaves_its_mean():
    """Also where functions are, which kanbook.formulas.prune never meets."""
    x, y = samples(100, 2, 0)
    work = """({ network, edge, ...samples }) => {
      const { x, n } = samplesOf(samples);
      return keep(Network.from(network), x, n, [[0, 1].map(e => +(e !== edge))]).predict(x, n);
    }"""
    curves = scrambled([2, 1], 0, **OPTIONS)
    mixed = Network(FormulaLayer(scrambled([2, 1], 1)[0]))
    mixed[0].put(0, 0, LIBRARY["exp"], Candidate("exp", 1.0, 2.0, 0.0, 0.5, 0.3))
    cases = [(model, edge) for model in (curves, mixed) for edge in (0, 1)]
    found = run(work, [as_case(model, x, y, edge=edge) for model, edge in cases])
    for (model, edge), values in zip(cases, found, strict=True):
        lost = model[0].edges(x)[:, edge]
        assert_close(values, (model(x) - lost + lost.mean(0)).flatten(), 0, 1e-12)


def test_library():
    work = """() => Object.entries(LIBRARY).map(([name, { free, domain, signs, price, text }]) =>
      [name, free, domain.map(String), signs, price, text("u")])"""
    (ours,) = run(work, [None])
    assert [name for name, *_ in ours] == [*LIBRARY]
    u = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    for name, free, domain, signs, price, text in ours:
        theirs = LIBRARY[name]
        assert (free, tuple(signs), price) == (theirs.free, theirs.signs, theirs.price)
        assert tuple(float(end) for end in domain) == theirs.domain
        assert_close(eval(text, vars(torch) | {"u": u}), theirs(u), 1e-15)


CURVES = {  # of an uneven x; none is exactly in the table of numbers to try
    "wave": lambda x: torch.sin(3 * x + 0.4),
    "bowl": lambda x: 0.3 * (x - 0.7) ** 2 + 1,
    "growth": lambda x: 2 * torch.exp(-1.3 * x) - 5,
    "root": lambda x: torch.sqrt(x + 1.2),
    "pole": lambda x: 1 / (x + 1.5),
    "corner": lambda x: (x - 0.2).abs() + 0.1 * x,
    "step": lambda x: torch.tanh(4 * x - 1),
    "none": lambda x: torch.sin(9 * x) * x + x**3,
}


def test_candidates():
    """Of every curve the same functions in the same order, with the same numbers."""
    cases, expected = [], []
    for (low, high), curve in itertools.product([(-1, 1.1), (0.3, 7), (-250, 31)], CURVES.values()):
        unit = torch.linspace(-1, 0.9, 73, dtype=torch.float64) ** 3
        x = low + (high - low) * (unit - unit.min()) / (unit.max() - unit.min())
        y = curve(unit)
        cases.append({"x": x.tolist(), "y": y.tolist()})
        expected.append(candidates(x, y))
    work = "({ x, y }) => candidates(Float64Array.from(x), Float64Array.from(y))"
    for ours, theirs in zip(run(work, cases), expected, strict=True):
        assert [one["name"] for one in ours] == [one.name for one in theirs]
        for name in ("r2", "a", "b", "c", "d"):
            scale = max(abs(getattr(one, name)) for one in theirs)
            assert_close(
                [one[name] for one in ours],
                [getattr(one, name) for one in theirs],
                1e-7,
                1e-12 * scale,
            )


PREPARE = """({ seed, fade, ...samples }) => { // as a visitor: fade, prune, extend
  const { x, y, n } = samplesOf(samples);
  let net = Network.start([2, 5, 1], { seed });
  const train = (steps, fade) => {
    let tape = net.tape(x, n);
    const adam = new Adam(net);
    for (let step = 0; step < steps; step++) {
      gradientOf(tape, y, fade * Math.min(1, step / 300));
      adam.step((0.05 * Math.min(1, (step + 1) / 50)) / (1 + step / 600));
      if (step % 50 === 49) tape = updateGrid(net, x, n).tape(x, n);
    }
  };
  train(300, 0);
  train(2000, fade * Math.sqrt(moments(y)[1]));
  net = updateGrid(prune(net, x, n), x, n);
  train(200, 0);
  extendGrid(net, x, n, 10);
  train(200, 0);
  return net.toJSON();
}"""
LAWS = {"exp_sine": (0, 0), "velocities": (0, 0), "sum": (1, 0.05)}  # seed, noise


@pytest.fixture(scope="module")
def prepared():
    """Networks of a few curves, faded, pruned and extended: by law, with its samples."""
    data, cases = {}, []
    for name, (seed, noise) in LAWS.items():
        x, y = data[name] = laws.law(name, 200, noise=noise, generator=seed)
        fade = 0.02 if noise else 0.005
        cases.append({"x": columns(x), "y": y.flatten().tolist(), "seed": seed, "fade": fade})
    networks = map(transfer.from_page, run(PREPARE, cases))
    return {name: (next(networks), *data[name]) for name in LAWS}


def kink(x):
    return (x - 0.13).abs()


@pytest.mark.parametrize(
    ("target", "noise", "grid_size", "noisy", "sizes"),
    [
        (torch.exp, 0, 5, False, 20),  # doubling helps much
        (kink, 0, 5, False, 20),  # it helps somewhat
        (kink, 0.1, 5, True, 5),  # it does not; what is left is noise
        (lambda x: torch.sin(40 * x), 0, 1, False, 2),  # nor here, but neighbors agree
    ],
)
def test_how_good_a_formula_has_to_be(target, noise, grid_size, noisy, sizes):
    x, _ = samples(150, 1, 0)
    errors = torch.randn(150, 1, generator=torch.Generator().manual_seed(0)).double()
    y, model = target(x) + noise * errors, scrambled([1, 1], 0, grid_size=grid_size)
    work = """({ network, factors, ...samples }) => {
      const standard = finish(new Standard(samplesOf(samples)).measure(Network.from(network), 2));
      const { best, noisy, variance, numbers, spread, loss, net } = standard;
      const allowed = factors.map(factor => [standard.allows(factor * best, net),
        standard.allows(factor * best, net, true)]);
      return [{ best, noisy, variance, numbers, spread, loss }, allowed, net.layers[0].grid_size];
    }"""
    factors = np.geomspace(1e-6, 1e12, 300).tolist()
    ((numbers, allowed, size),) = run(work, [as_case(model, x, y, factors=factors)])
    standard = formulas.Standard(model, x, y, doublings=2)
    assert (numbers["noisy"], size) == (standard.noisy, standard.model[0].grid_size)
    assert (numbers["noisy"], size) == (noisy, sizes)
    for name, value in numbers.items():
        assert_close(value, getattr(standard, name), 1e-6, 1e-20)
    for factor, both in zip(factors, allowed, strict=True):
        for complete, good in enumerate(both):
            loss = factor * standard.best
            assert good == standard.allows(loss, standard.model, complete=bool(complete))


SNAP = """({ network, ...samples }) => {
  const found = finish(snapAll(Network.from(network), samplesOf(samples)));
  return { ...found, net: found.net.toJSON() };
}"""


@pytest.mark.parametrize("name", LAWS)
def test_snap(prepared, name):
    """The same functions on the same edges, the same numbers made readable."""
    model, x, y = prepared[name]
    (found,) = run(SNAP, [as_case(model, x, y)])
    formula = formulas.snap(model, x, y)
    names = [(*one["edge"], one["name"]) for one in found["snaps"]]
    assert names == [(one.layer, one.input, one.output, one.name) for one in formula.snaps]
    assert found["complete"] == formula.complete
    assert_close(found["best"], formula.curve_loss, 1e-3, 1e-20)
    assert_close(found["loss"], formula.loss, 1e-6, 1e-20)
    ours = Formula(transfer.from_page(found["net"]), [], found["loss"], found["best"], True)
    assert str(ours) == str(formula)
