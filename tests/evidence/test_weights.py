"""A spline weight taken apart: the controls of the experiment `weights`."""

from __future__ import annotations

import pytest
import torch

from evidence.contests import fitted, for_weights, weights
from evidence.runs import trials
from evidence.runs.weights import ScaledAdam, of_one_size, replaying, sizes, stretching
from kanbook import KAN, training

PARTS = "rates", "median", "stretch"
TASK = for_weights()[2] | {"contest": "parameters", "lr": 0.1, "steps": 3, "family": ""}


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(4)
    x = 2 * torch.rand(50, 2, generator=generator) - 1
    return x, torch.sin(3 * x[:, :1]) * x[:, 1:]


def curves(model):
    """The coefficients of what is drawn: those of a layer, times its weights."""
    return [
        layer.coef.detach() * (1 if layer.spline_weight is None else layer.spline_weight[..., None])
        for layer in model
    ]


def moved(samples, start, make_optimizer):
    """By how much one step moves the curves of a network, and the gradients in them before."""
    x, y = (t.double() for t in samples)
    model = KAN([2, 3, 1], spline_weight=start is not None, generator=0, dtype=torch.float64)
    if start is not None:
        with torch.no_grad():
            for layer, weight in zip(model, start, strict=True):
                layer.coef.div_(weight)
                layer.spline_weight.copy_(weight[..., 0])
    before = curves(model)
    optimizer = make_optimizer(list(model.parameters()), lr=1e-4)
    (model(x) - y).square().mean().backward()
    gradients = [layer.coef.grad.clone() for layer in model]
    optimizer.step()
    return [(now - old).detach() for now, old in zip(curves(model), before, strict=True)], gradients


def test_a_step_with_weights_is_the_sum_of_what_the_controls_take(samples):
    """To first order: |w| sign(g), which `rates` has, and c sign(c . g), what `stretch` adds."""
    generator = torch.Generator().manual_seed(1)
    start = [0.3 + torch.rand(*ends, 1, generator=generator) for ends in ((2, 3), (3, 1))]
    both, _ = moved(samples, start, torch.optim.Adam)
    rates, _ = moved(samples, None, replaying([start]))
    stretched, _ = moved(samples, start, lambda p, lr: ScaledAdam(p, factors=stretching, lr=lr))
    plain, gradients = moved(samples, None, torch.optim.Adam)
    for i in range(2):
        seen = gradients[i] != 0
        assert torch.allclose(rates[i], start[i] * plain[i], rtol=1e-3, atol=1e-9)
        sum_of_both = (rates[i] + stretched[i] - plain[i])[seen]
        assert torch.allclose(both[i][seen], sum_of_both, rtol=5e-3, atol=2e-7)


def test_replayed_weights_are_those_of_the_twin(samples):
    """A training by the rates of weights that never leave one is the one without weights."""
    twin = fitted(TASK | weights()["moved, weights"])
    noted = []
    trials.train_once(twin, 0, samples, lambda step, model: noted.append(sizes(model)))
    assert len(noted) == 3 and (noted[-1][0] != 1).any()
    replayed, _ = trials.train_once(twin | {"steps_of_weights": "rates"}, 0, samples)
    by_hand = trials.make_model(twin | {"spline_weight": False}, generator=0)
    how = trials.fit_options(twin)
    how["optimizer"] = replaying([[torch.ones_like(size) for size in noted[0]], *noted])
    training.fit(by_hand, *samples, **how)
    for ours, wanted in zip(replayed, by_hand, strict=True):
        assert torch.equal(ours.coef, wanted.coef)

    x, y = samples
    ends = []
    for steps in ([[torch.ones(2, 3, 1), torch.ones(3, 1, 1)]], None):
        model = KAN([2, 3, 1], generator=0)
        optimizer = (replaying(steps) if steps else torch.optim.Adam)(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (model(x) - y).square().mean().backward()
            optimizer.step()
        ends.append(model[0].coef)
    assert torch.allclose(*ends)
    assert of_one_size([torch.tensor([1.0, 2.0]), torch.tensor([9.0])]) == [2.0, 2.0]


@pytest.mark.parametrize("name", [name for name in weights() if name.split(", ")[1] in PARTS])
def test_controls_have_the_widths_of_the_network_with_weights(name, samples):
    schedule = name.split(", ")[0]
    settings = fitted(TASK | weights()[name])
    assert settings["widths"] == fitted(TASK | weights()[f"{schedule}, weights"])["widths"]
    model, watch = trials.train_once(settings, 0, samples)
    assert (model[0].spline_weight is None) == ("stretch" not in name)
    assert not watch.history.diverged
