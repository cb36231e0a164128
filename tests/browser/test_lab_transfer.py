"""A network is the same on both sides: kanbook's modules and those of the Lab, in Node."""

import itertools

import numpy as np
import torch
from helpers import generator, shaken
from lab_node import run

from kanbook import KAN, KANLab, count_parameters, formulas, update_grid
from kanbook.functions import LIBRARY, Candidate, FormulaLayer
from kanbook.lab import kan_lab, transfer
from kanbook.networks import Network

F64 = {"dtype": torch.float64}
silu = torch.nn.functional.silu
OPTIONS = [
    {"bias": bias, "spline_weight": weight, "base": silu if base else None}
    for bias, weight, base in itertools.product([False, True], repeat=3)
]


def places(n, seed, width=1):
    return width * (2 * torch.rand(n, 2, generator=generator(seed), **F64) - 1)


def scrambled(model, seed):
    shaken(model, seed, 1)
    if model[0].degree > 0:  # else the knots are exactly where steps of the layer before end
        update_grid(model, places(50, seed))
    return model


def networks():
    for seed, (options, degree) in enumerate(itertools.product(OPTIONS, range(6))):
        model = KAN([2, 3, 2, 1], degree=degree, grid_size=4, generator=seed, **options, **F64)
        yield scrambled(model, seed)
    model = scrambled(KAN([2, 4, 3, 1], bias=True, generator=0, **F64), 0)
    yield formulas.prune(model, places(100, 1), 0.4)
    for seed in range(len(LIBRARY)):
        model = scrambled(KAN([2, 2, 1], generator=seed, **F64), seed)
        layers = [FormulaLayer(layer) for layer in model]
        names = np.roll([*LIBRARY], seed)
        edges = [(0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 1, 0)]  # and one or two curves stay
        for (n, i, o), name in zip(edges[: 3 + seed % 2], names, strict=False):
            start = Candidate(str(name), 1.0, 0.3, 0.2, 0.7, 0.1)
            layers[n].put(i, o, LIBRARY[start.name], start)
        layers[0].fix("bias", (1,), 0.5)
        layers[0].fix("constants", (0, 0), 1.5)
        yield Network(*layers)


def test_page_computes_the_same_and_sends_it_back():
    x, models = places(300, 0, 1.5), list(networks())
    work = """([x, networks]) => networks.map(network => {
      const net = Network.from(network);
      const y = [...net.predict(Float64Array.from(x), x.length / 2)].map(String);
      return [y, net.toJSON(), net.count()];
    })"""
    (found,) = run(work, [[x.T.flatten().tolist(), [*map(transfer.to_page, models)]]])
    for model, (y, network, count) in zip(models, found, strict=True):
        expected = model(x).squeeze(1).detach().numpy()
        named = isinstance(model[0], FormulaLayer)
        tolerance = 1e-8 if named else 1e-12  # near a pole, rounding grows
        np.testing.assert_allclose(np.array(y, float), expected, rtol=tolerance, atol=tolerance)
        assert network == transfer.to_page(model)
        lab = KANLab()
        lab.set_state({"network": network})
        again = lab.model()(x).squeeze(1).detach().numpy()
        np.testing.assert_allclose(again, expected, rtol=1e-14, atol=1e-14)
        assert count == count_parameters(model)


def test_both_start_from_the_same_lines():
    starts, cases = [], []
    every = itertools.product((OPTIONS[0], OPTIONS[-1]), range(6), [(-1, 1), (-2.0, 3.5)])
    for number, (options, degree, domain) in enumerate(every):
        seed, shape = 2**31 - 1 - number, {"degree": degree, "grid_size": 7, "domain": domain}
        starts.append(transfer.start((2, 4, 3, 1), seed, **shape, **options))
        cases.append(shape | options | {"base": options["base"] is not None, "seed": seed})
    found = run("settings => Network.start([2, 4, 3, 1], settings).toJSON()", cases)
    for start, there in zip(starts, map(transfer.from_page, found), strict=True):
        for a, b in zip(start.state_dict().values(), there.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-14, atol=1e-14)


def test_both_know_the_same_settings_and_tasks():
    lab = KANLab()
    work = """portrait => [DEFAULTS, Object.fromEntries(Object.keys(TASKS).map(
      name => [name, makeTask(name, { portrait }).inputs]))]"""
    ((defaults, inputs),) = run(work, [[0] * 48**2])
    own = {name: getattr(lab, name) for name in defaults}
    assert own | {"widths": [*lab.widths], "domain": [*lab.domain]} == defaults
    assert inputs == kan_lab.TASKS
