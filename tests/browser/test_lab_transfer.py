"""A network is the same on both sides: kanbook's modules and engine.js, in a blank page."""

import itertools

import numpy as np
import pytest
import torch

from kanbook import KAN, KANLab, count_parameters, formulas, update_grid
from kanbook.functions import LIBRARY, Candidate, FormulaLayer
from kanbook.lab import bundle, kan_lab, transfer
from kanbook.networks import Network

silu = torch.nn.functional.silu
OPTIONS = [
    {"bias": bias, "spline_weight": weight, "base": silu if base else None}
    for bias, weight, base in itertools.product([False, True], repeat=3)
]


@pytest.fixture(scope="module")
def page(browser):
    """A page with what the scripts export: engine, race, tasks."""
    page = browser.new_page()
    for name in ("engine", "race", "tasks"):
        page.evaluate(
            """async ([name, text]) => {
              const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
              window[name] = await import(url);
            }""",
            [name, bundle.script(name)],
        )
    yield page
    page.close()


def scrambled(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype))
    if model[0].degree > 0:  # else the knots are exactly where steps of the layer before end
        update_grid(model, 2 * torch.rand(50, 2, generator=generator, dtype=torch.float64) - 1)
    return model


def networks():
    for seed, (options, degree) in enumerate(itertools.product(OPTIONS, range(6))):
        model = KAN([2, 3, 2, 1], degree=degree, grid_size=4, dtype=torch.float64, **options)
        yield scrambled(model, seed)
    x = 2 * torch.rand(100, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1
    yield formulas.prune(scrambled(KAN([2, 4, 3, 1], dtype=torch.float64, bias=True), 0), x, 0.4)
    for seed in range(len(LIBRARY)):
        model = scrambled(KAN([2, 2, 1], dtype=torch.float64), seed)
        layers = [FormulaLayer(layer) for layer in model]
        names = np.roll([*LIBRARY], seed)
        edges = [(0, 0, 0), (0, 1, 1), (1, 0, 0), (1, 1, 0)]  # and one or two curves stay
        for (n, i, o), name in zip(edges[: 3 + seed % 2], names, strict=False):
            start = Candidate(str(name), 1.0, 0.3, 0.2, 0.7, 0.1)
            layers[n].put(i, o, LIBRARY[start.name], start)
        layers[0].fix("bias", (1,), 0.5)
        layers[0].fix("constants", (0, 0), 1.5)
        yield Network(*layers)


def test_page_computes_the_same_and_sends_it_back(page):
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.rand(300, 2, generator=generator, dtype=torch.float64) - 1.5
    columns = x.T.flatten().tolist()
    models = list(networks())
    found = page.evaluate(
        """([x, networks]) => networks.map(network => {
          const net = engine.Network.from(network);
          const y = [...net.predict(Float64Array.from(x), x.length / 2)].map(String);
          return [y, net.toJSON(), net.count()];
        })""",
        [columns, [transfer.to_page(model) for model in models]],
    )
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


@pytest.mark.parametrize("options", OPTIONS[:1] + OPTIONS[-1:], ids=["plain", "all"])
def test_both_start_from_the_same_lines(page, options):
    for seed, (degree, domain) in enumerate(itertools.product(range(6), [(-1, 1), (-2.0, 3.5)])):
        shape = {"degree": degree, "grid_size": 7, "domain": domain}
        start = transfer.start((2, 4, 3, 1), 2**31 - 1 - seed, **shape, **options)
        settings = shape | options | {"base": options["base"] is not None, "seed": 2**31 - 1 - seed}
        numbers = page.evaluate(
            "([widths, settings]) => new engine.Network(widths, settings).toJSON()",
            [[2, 4, 3, 1], settings],
        )
        there = transfer.from_page(numbers)
        for a, b in zip(start.state_dict().values(), there.state_dict().values(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-14, atol=1e-14)


def test_both_know_the_same_settings_and_tasks(page):
    lab = KANLab()
    defaults = page.evaluate("race.DEFAULTS")
    own = {name: getattr(lab, name) for name in defaults}
    assert own | {"widths": [*lab.widths], "domain": [*lab.domain]} == defaults
    inputs = page.evaluate(
        """portrait => Object.fromEntries(Object.keys(tasks.TASKS).map(
          name => [name, tasks.makeTask(name, { portrait }).inputs]))""",
        [0] * 48**2,
    )
    assert inputs == kan_lab.TASKS
