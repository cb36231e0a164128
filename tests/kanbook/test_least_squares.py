"""fit(optimizer="lm"): the Jacobian against autograd, the way down against SciPy, refused calls."""

import copy
import math
from itertools import pairwise

import pytest
import scipy.optimize
import torch
from helpers import generator, shaken
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from kanbook import KAN, MLP, KANLayer, Mixture, TanhKAN, TanhLayer, fit, optimizers
from kanbook.optimizers import jacobian, jacobian_by_autograd

F64 = {"dtype": torch.float64}


def samples(n=40, inputs=2, outputs=1, dtype=torch.float64):
    x = 2 * torch.rand(n, inputs, generator=generator(3), dtype=dtype) - 1
    return x, torch.stack([torch.sin((o + 2) * x.prod(1)) for o in range(outputs)], 1)


class Twice(nn.Module):
    """Its layer runs twice in a pass."""

    def __init__(self):
        super().__init__()
        self.layer = KANLayer(2, 2, generator=0, **F64)

    def forward(self, x):
        return self.layer(self.layer(x))


class Own(nn.Module):
    """Has a parameter, and no method ``jacobian``."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2, **F64))

    def forward(self, x):
        return x * self.scale


def tied():
    model = MLP([2, 2, 2], generator=0, **F64)
    model[2].weight = model[0].weight
    return model


def frozen():
    model = KAN([2, 3, 2], bias=True, spline_weight=True, generator=0, **F64)
    for name in ("0.coef", "1.bias"):
        model.get_parameter(name).requires_grad_(False)
    return model


EVERYTHING = {"bias": True, "spline_weight": True, "base": torch.sin}
KNOWN = {
    "minimal": lambda: KAN([2, 3, 2], generator=0, **F64),
    "degree 1": lambda: KAN([2, 3, 2], degree=1, generator=0, **F64),
    "degree 0": lambda: KAN([2, 3, 2], degree=0, generator=0, **F64),
    "all": lambda: KAN([2, 3, 2], **EVERYTHING, generator=0, **F64),
    "tanh": lambda: TanhKAN([2, 3, 2], bias=True, generator=0, **F64),
    "tanh, no bias": lambda: TanhLayer(2, 2, generator=0, **F64),
    "tanh, sum": lambda: TanhKAN([2, 3, 2], True, "sum", generator=0, **F64),
    "mlp": lambda: MLP([2, 3, 3, 2], generator=0, **F64),
    "linear, no bias": lambda: nn.Linear(2, 2, bias=False, **F64),
    "in place": lambda: nn.Sequential(nn.Linear(2, 2, **F64), nn.ReLU(inplace=True)),
    "mixture": lambda: Mixture([2, 3, 3, 2], ["linear", "tanh", "kan"], generator=0, **F64),
}
OTHERS = {
    "base with parameters": lambda: KAN([2, 2], base=Own(), generator=0, **F64),
    "twice": Twice,
    "without the method": lambda: nn.Sequential(KAN([2, 2], generator=0, **F64), Own()),
    "tied": tied,
    "frozen": frozen,
}


@pytest.mark.parametrize("name", [*KNOWN, *OTHERS])
def test_jacobian_is_that_of_autograd(name, monkeypatch):
    model = shaken((KNOWN | OTHERS)[name]())
    x, _ = samples()
    free = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
    expected = torch.func.jacrev(lambda p: torch.func.functional_call(model, p, x))(free)
    expected = torch.cat([expected[n].flatten(2) for n in free], 2)
    called = []
    by_autograd = lambda *args: called.append(1) or jacobian_by_autograd(*args)  # noqa: E731
    monkeypatch.setattr(optimizers, "jacobian_by_autograd", by_autograd)
    output, rows = jacobian(model, x)
    assert torch.equal(output, model(x)) and not output.requires_grad
    torch.testing.assert_close(torch.stack(rows, 1), expected, rtol=1e-9, atol=1e-11)
    assert bool(called) == (name in OTHERS)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    "make",
    [
        lambda: KAN([2, 2, 2], grid_size=2, generator=0, **F64),
        lambda: MLP([2, 3, 2], generator=0, **F64),
    ],
)
def test_ends_where_scipy_does(make):
    """Near a teacher whose outputs are noisy, so that the minimum is no zero."""
    x, _ = samples(400)
    model = shaken(make())
    y = model(x).detach()
    y += 0.01 * torch.randn(y.shape, generator=generator(0), **F64)
    start = 0.97 * parameters_to_vector(model.parameters()).detach()
    vector_to_parameters(start.clone(), model.parameters())
    other = copy.deepcopy(model)

    def at(p):
        vector_to_parameters(torch.from_numpy(p), other.parameters())
        output, rows = jacobian(other, x)
        return (output - y).T.flatten().numpy(), torch.cat(rows).numpy()

    history = fit(model, x, y, optimizer="lm", steps=100)
    calls = {"fun": lambda p: at(p)[0], "jac": lambda p: at(p)[1]}
    found = scipy.optimize.least_squares(**calls, x0=start.numpy(), method="lm", max_nfev=300)
    ours = (model(x) - y).square().sum().item() / 2
    assert ours == pytest.approx(found.cost, rel=1e-3)
    assert ours < 0.7 * history.loss[0] * y.numel() / 2


def test_a_step_is_that_of_the_formula():
    x, y = samples()
    model = shaken(KNOWN["all"]())
    other = copy.deepcopy(model)
    fit(model, x, samples(outputs=2)[1], optimizer="lm", steps=1)
    output, rows = jacobian(other, x)
    J, r = torch.cat(rows), (output - samples(outputs=2)[1]).T.flatten()
    A, mu = J.T @ J, optimizers.DAMPING
    parts = A.diagonal().split([p.numel() for p in other.parameters()])
    D = torch.cat([part.clamp(min=optimizers.FLOOR * part.max()) for part in parts])
    before = parameters_to_vector(other.parameters()).detach()
    while True:
        step = torch.linalg.solve(A + mu * D.diag(), J.T @ r)
        vector_to_parameters(before - step, other.parameters())
        short = step.norm() <= optimizers.REACH * max(1, before.norm())
        if short and (other(x) - samples(outputs=2)[1]).square().sum() < r.square().sum():
            break
        mu *= 2
    moved = parameters_to_vector(model.parameters())
    torch.testing.assert_close(
        moved, parameters_to_vector(other.parameters()), rtol=1e-6, atol=1e-8
    )


def test_a_linear_problem_is_solved_once_the_parameters_are_large_enough():
    x, y = samples(200)
    model = KAN([2, 1], generator=0, **F64)
    history = fit(model, x, y, optimizer="lm", steps=15)
    bases = jacobian(model, x)[1][0]
    best = torch.linalg.lstsq(bases, y, driver="gelsd").solution  # of less than full rank
    assert history.loss[-1] == pytest.approx((bases @ best - y).square().mean().item(), rel=1e-6)


def test_multiplies_to_the_last_digits():
    x, _ = samples(400)
    model = KAN([2, 2, 1], grid_size=3, generator=0, **F64)
    history = fit(model, x, x.prod(1, keepdim=True), optimizer="lm", steps=150)
    assert history.loss[-1] < 1e-18


@pytest.mark.parametrize("widths", [[2, 5, 1], [2, 5, 5, 1]])
def test_the_scale_of_the_targets_does_little(widths):
    """With one damping for all parameters, targets of size 10 ended at a tenth of their spread."""
    x, y = samples(400)

    def error(scale):
        model = KAN(widths, generator=0, **F64)
        history = fit(model, x, scale * y, optimizer="lm", steps=60)
        return math.sqrt(history.loss[-1]) / scale / y.std()

    assert max(map(error, [0.1, 1.0, 10.0, 100.0])) < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_two_hidden_layers_are_no_worse_than_one(seed):
    """With Marquardt's D alone, rarely felt coefficients ran away, and values left the domain."""
    x, _ = samples(400)
    y = torch.sin(math.pi * x[:, :1]).add(x[:, 1:].square()).exp()
    model = KAN([2, 5, 5, 1], generator=seed, **F64)
    fit(model, x, y, optimizer="lm", steps=40)
    assert (model(x) - y).square().mean().sqrt() < 1e-3 * y.std()
    assert all(layer.coef.abs().max() < 10 for layer in model)


@pytest.mark.parametrize("outputs", [1, 2])
def test_chunks_change_nothing(outputs, monkeypatch):
    x, y = samples(outputs=outputs)
    model = shaken(KAN([2, 2, outputs], generator=0, **F64))
    other = copy.deepcopy(model)
    fit(model, x, y, optimizer="lm", steps=2)
    monkeypatch.setattr(
        optimizers, "HELD", 7 * outputs * sum(p.numel() for p in other.parameters())
    )
    fit(other, x, y, optimizer="lm", steps=2)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-8)


def test_float32():
    x, y = samples(200, dtype=torch.float32)
    model = KAN([2, 3, 1], generator=0, dtype=torch.float32)
    history = fit(model, x, y, optimizer="lm", steps=40)
    assert history.loss[-1] < 1e-5 and model[0].coef.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stays_at_a_minimum(dtype):
    x, _ = samples(dtype=dtype)
    model = KAN([2, 2, 1], generator=0, dtype=dtype)
    before = copy.deepcopy(model)
    for shift in (0.0, 1e-7, 1e-15, torch.finfo(dtype).tiny):
        history = fit(model, x, before(x).detach() + shift, optimizer="lm", steps=30)
        assert not history.diverged and history.loss[-1] <= history.loss[0]
    history = fit(model, x, model(x).detach(), optimizer="lm", steps=30)
    assert history.loss == [0] * 30


def test_nothing_to_gain_and_nothing_seen():
    """Samples in a corner leave most coefficients without a say, samples far away all of them."""
    x, y = samples()
    model = KAN([2, 2, 1], generator=0, **F64)
    fit(model, 1e-3 * x - 0.9, y, optimizer="lm", steps=10)
    assert parameters_to_vector(model.parameters()).isfinite().all()
    model = KAN([2, 1], generator=0, **F64)
    before = model[0].coef.clone()
    with pytest.warns(RuntimeWarning, match="beyond"):
        fit(model, x + 50, y, optimizer="lm", steps=3)
    assert torch.equal(model[0].coef, before)


def test_steps_into_nowhere_are_not_made():
    class Log(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor(3.0, **F64))

        def forward(self, x):
            return x * torch.log(self.w)

    model, x = Log(), torch.ones(3, 1, **F64)
    history = fit(model, x, x * math.log(0.01), optimizer="lm", steps=20)
    assert not history.diverged and model.w.item() == pytest.approx(0.01, rel=1e-6)


def test_frozen_parameters_stay_and_no_gradients_are_left():
    x, y = samples(outputs=2)
    model = frozen()
    before = model[0].coef.clone()
    history = fit(model, x, y, optimizer="lm", steps=10)
    assert history.loss[-1] < history.loss[0] / 2 and torch.equal(model[0].coef, before)
    assert all(p.grad is None for p in model.parameters())
    assert not model[0].coef.requires_grad and model[1].coef.requires_grad


def test_works_with_the_rest_of_fit():
    x, y = samples(300)
    model = KAN([2, 3, 1], grid_size=3, generator=0, **F64)
    seen = []
    options = {"update_grid_at": [6], "extend_grid_at": {6: 6}, "restart_at": [9], "patience": 40}
    options |= {"callback": lambda step, history: seen.append((step, history.evaluations))}
    history = fit(model, x, y, optimizer="lm", steps=15, validation=samples(50), **options)
    assert model[0].grid_size == 6 and history.best_step > 6
    assert history.loss[-1] < 0.1 * history.loss[4] and len(history.validation_loss) == 15
    assert [step for step, _ in seen] == list(range(1, 16))
    assert history.evaluations == seen[-1][1]


def test_evaluations_are_what_the_docstring_says():
    x, y = samples(outputs=2)
    model = MLP([2, 12, 2], generator=0, **F64)  # 62 parameters
    history = fit(model, x, y, optimizer="lm", steps=3)
    assert history.evaluations_at[0] == 2 * (3 + 62 // 50)
    trials = [b - a - 8 for a, b in pairwise(history.evaluations_at)]
    assert min(trials) >= 1


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.1},
        {"batch_size": 10},
        {"schedule": lambda t: 1 - t},
        {"loss": nn.functional.l1_loss},
        {"penalty": lambda model: 0 * model[0].coef.sum()},
    ],
)
def test_refuses_what_it_cannot_use(options):
    x, y = samples()
    model = KAN([2, 1], generator=0, **F64)
    before = copy.deepcopy(model)
    with pytest.raises(ValueError, match=rf"{next(iter(options))}=.*'lm'.*expected none"):
        fit(model, x, y, optimizer="lm", steps=1, **options)
    assert torch.equal(model[0].coef, before[0].coef)


def test_refuses_too_many_parameters():
    x, y = samples()
    with pytest.raises(ValueError, match=r"5101 parameters.*5000 at most"):
        fit(MLP([2, 1275, 1], generator=0, **F64), x, y, optimizer="lm", steps=1)


def test_refuses_a_model_that_is_frozen():
    with pytest.raises(ValueError, match="model has no parameter that requires a gradient"):
        optimizers.LevenbergMarquardt(KAN([2, 1], **F64).requires_grad_(False), *samples())


def test_refuses_a_layer_that_is_held_twice():
    x, y = samples()
    layer = KANLayer(2, 2, generator=0, **F64)
    with pytest.raises(ValueError, match="model holds a layer twice"):
        fit(nn.Sequential(layer, layer, nn.Linear(2, 1, **F64)), x, y, optimizer="lm", steps=1)
    assert layer.coef.requires_grad
    tanh = nn.Tanh()
    fit(nn.Sequential(tanh, layer, tanh, nn.Linear(2, 1, **F64)), x, y, optimizer="lm", steps=1)
