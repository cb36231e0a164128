"""Training: the optimizers against loops by hand, grids, schedules, accounts, refused calls."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from kanbook import KAN, History, KANLayer, fit, grids, training

OPTIMIZERS = ["adam", "sgd", "lbfgs"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def problem(n=40, dtype=torch.float32):
    x = torch.linspace(-1, 1, n, dtype=dtype).unsqueeze(-1)
    return x, torch.sin(3 * x)


def kan(widths=(1, 3, 1), **options):
    return KAN(list(widths), generator=generator(), **options)


def assert_same(model, other):
    """The same parameters and buffers, bit for bit."""
    state = other.state_dict()
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def by_hand(model, x, y, optimizer, steps, batches=None):
    """The loop as everybody writes it; returns the losses."""
    losses = []
    for step in range(steps):
        batch = slice(None) if batches is None else batches[step]
        optimizer.zero_grad()
        loss = (model(x[batch]) - y[batch]).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# Optimizers


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize(
    "name, make, default_lr",
    [("adam", torch.optim.Adam, 0.01), ("sgd", torch.optim.SGD, 0.1)],
)
def test_adam_and_sgd_equal_a_loop_by_hand(name, make, default_lr, batch_size, dtype):
    x, y = problem(dtype=dtype)
    for lr in (None, 0.03):
        model = kan(dtype=dtype)
        other = copy.deepcopy(model)
        g = generator(3)
        options = {"batch_size": batch_size, "generator": generator(3)}
        history = fit(model, x, y, optimizer=name, steps=15, lr=lr, **options)
        batches = [b for _ in range(3) for b in torch.randperm(40, generator=g).split(7)]
        optimizer = make(other.parameters(), lr=lr or default_lr)
        losses = by_hand(other, x, y, optimizer, 15, batches if batch_size else None)
        assert history.loss == losses
        assert_same(model, other)
        assert history.evaluations == 15 and history.evaluations_at == list(range(1, 16))


@pytest.mark.parametrize("dtype, scale", [(torch.float32, 1), (torch.float64, 2**33)])
def test_lbfgs_equals_a_loop_by_hand(dtype, scale):
    x, y = problem(dtype=dtype)
    model = kan(dtype=dtype)
    other = copy.deepcopy(model)
    history = fit(model, x, y, optimizer="lbfgs", steps=6)
    lbfgs = torch.optim.LBFGS(
        other.parameters(),
        line_search_fn="strong_wolfe",
        tolerance_grad=0,
        tolerance_change=1e-32,
    )
    losses, calls = [], []

    def closure():
        lbfgs.zero_grad()
        loss = scale * (other(x) - y).square().mean()
        loss.backward()
        calls.append(loss.item() / scale)
        return loss

    starts = []
    for _ in range(6):
        starts.append(len(calls) + 1)
        losses.append(lbfgs.step(closure).item() / scale)
    assert history.loss == losses and history.evaluations == len(calls)
    assert history.evaluations_at == starts
    assert all(1 <= n <= 26 for n in np.diff([*starts, len(calls) + 1]))
    assert_same(model, other)


def test_lbfgs_solves_a_quadratic_to_machine_precision_and_rests_there():
    x = torch.randn(60, 8, generator=generator(1), dtype=torch.float64)
    x = x * torch.logspace(0, -2, 8, dtype=torch.float64)  # condition number of the Hessian: 1e4
    weight = torch.randn(8, 1, generator=generator(2), dtype=torch.float64)
    model = nn.Linear(8, 1, bias=False, dtype=torch.float64)
    torch.nn.init.zeros_(model.weight)
    history = fit(model, x, x @ weight, optimizer="lbfgs", steps=30)
    assert not history.diverged and history.loss[-1] < 1e-30 < 1e-2 < history.loss[0]
    torch.testing.assert_close(model.weight, weight.T, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        model.weight.T, torch.linalg.lstsq(x, x @ weight).solution, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lbfgs_learns_tiny_targets(dtype):
    x, _ = problem(dtype=dtype)
    model = nn.Linear(1, 1, bias=False, dtype=dtype)
    nn.init.zeros_(model.weight)
    history = fit(model, x, 1e-9 * x, optimizer="lbfgs", steps=20)  # gradients below 1e-9
    assert history.loss[-1] < 1e-6 * history.loss[0]


def test_lbfgs_goes_on_where_pytorch_forgets_the_curvature():
    x = torch.rand(300, 2, generator=generator(1), dtype=torch.float64) * 2 - 1
    y = KAN([2, 2, 1], grid_size=3, generator=generator(5), dtype=torch.float64)(x).detach()
    model = KAN([2, 2, 1], grid_size=3, generator=generator(0), dtype=torch.float64)
    assert fit(model, x, y, optimizer="lbfgs", steps=60).loss[-1] < 1e-13  # unscaled: 1e-9


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_model_at_its_optimum_stays_there(optimizer, dtype):
    x, _ = problem(dtype=dtype)
    model = kan(dtype=dtype)
    before = copy.deepcopy(model)
    history = fit(model, x, model(x).detach(), optimizer=optimizer, steps=5)
    assert history.loss == [0] * 5 and history.evaluations == 5
    assert_same(model, before)
    # Almost there: gradients of rounding size, and of the smallest numbers there are.
    for tiny in (1e-7, 1e-15, torch.finfo(dtype).tiny):
        target = model(x).detach() + tiny
        history = fit(copy.deepcopy(model), x, target, optimizer=optimizer, steps=5)
        assert not history.diverged and max(history.loss) <= history.loss[0] + 1e-3


class Logarithm(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(3.0))
        self.seen = []

    def forward(self, x):
        y = x * torch.log(self.w)
        self.seen.append(y.isnan().any().item())
        return y


def test_lbfgs_steps_back_from_trial_points_that_are_not_finite():
    model = Logarithm()
    x = torch.ones(3, 1)
    history = fit(model, x, x * math.log(0.01), optimizer="lbfgs", lr=5, steps=10)
    assert any(model.seen) and not history.diverged
    assert model.w.item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [None, 7])
def test_same_state_same_result_and_no_global_state(optimizer, batch_size):
    x, y = problem()
    before = torch.get_rng_state()
    results = []
    for _ in range(2):
        model = kan()
        results.append(
            (
                model,
                fit(
                    model,
                    x,
                    y,
                    optimizer=optimizer,
                    steps=12,
                    batch_size=batch_size,
                    update_grid_at=[4],
                    generator=generator(7),
                ),
            )
        )
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(results[0][0], results[1][0])
    assert results[0][1].loss == results[1][1].loss
    assert results[0][1].evaluations_at == results[1][1].evaluations_at


def test_without_a_generator_the_order_is_pytorchs():
    x, y = problem()
    state = torch.get_rng_state()
    first = fit(kan(), x, y, steps=5, batch_size=7)
    torch.set_rng_state(state)
    assert fit(kan(), x, y, steps=5, batch_size=7).loss == first.loss


class Spy(nn.Linear):
    """Remembers the inputs that it was trained on, one list for each evaluation."""

    def __init__(self, *args):
        super().__init__(*args)
        self.seen = []

    def forward(self, x):
        if torch.is_grad_enabled():
            self.seen.append(x.squeeze(-1).tolist())
        return super().forward(x)


def test_mini_batches_see_every_sample_in_a_new_order():
    x, y = problem(10)
    model = Spy(1, 1)
    fit(model, x, y, steps=8, batch_size=3, generator=generator())
    assert [len(batch) for batch in model.seen] == [3, 3, 3, 1] * 2
    first, second = sum(model.seen[:4], []), sum(model.seen[4:], [])
    assert sorted(first) == sorted(second) == sorted(x.squeeze(-1).tolist())
    assert first != second != sorted(second)


def test_lbfgs_stays_on_one_batch_within_a_step():
    x, y = problem(10)
    model = Spy(1, 1)
    history = fit(model, x, y, optimizer="lbfgs", steps=4, batch_size=3, generator=generator())
    ends = [*history.evaluations_at[1:], history.evaluations + 1]
    steps = [model.seen[a - 1 : b - 1] for a, b in zip(history.evaluations_at, ends, strict=True)]
    assert all(step == [step[0]] * len(step) for step in steps)
    assert sorted(sum((step[0] for step in steps), [])) == sorted(x.squeeze(-1).tolist())


def test_frozen_parameters_and_modes_stay():
    x, y = problem()
    for optimizer in OPTIMIZERS:
        model = kan((1, 2, 1), bias=True, grid_size=4)
        model.eval()
        model[0].coef.requires_grad_(False).grad = torch.ones_like(model[0].coef)
        frozen = model[0].coef.clone()
        fit(model, x, y, optimizer=optimizer, steps=3)
        assert torch.equal(model[0].coef, frozen) and not model[0].coef.requires_grad
        assert not any(module.training for module in model.modules())
        assert all(
            parameter.grad is None for parameter in model.parameters() if parameter.requires_grad
        )


def test_the_data_stay():
    x, y = problem()
    x.requires_grad_()
    y = y + 0 * x  # with a graph behind it
    before = x.detach().clone(), y.detach().clone()
    fit(kan(), x, y, steps=3, update_grid_at=[2])
    assert x.grad is None and torch.equal(x, before[0]) and torch.equal(y, before[1])


# Learning rate


@pytest.mark.parametrize("name, make", [("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)])
def test_schedule_equals_lambda_lr(name, make):
    def cosine(t):
        return 0.5 * (1 + math.cos(math.pi * t))

    x, y = problem()
    model = kan()
    other = copy.deepcopy(model)
    history = fit(model, x, y, optimizer=name, steps=20, lr=0.05, schedule=cosine)
    optimizer = make(other.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step / 20))
    losses = []
    for _ in range(20):
        losses += by_hand(other, x, y, optimizer, 1)
        schedule.step()
    assert history.loss == losses
    assert_same(model, other)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_schedule_is_asked_for_each_step_and_may_say_zero(optimizer):
    x, y = problem()
    asked = []
    model = kan()
    history = fit(
        model, x, y, optimizer=optimizer, steps=8, schedule=lambda t: asked.append(t) or 0.0
    )
    assert asked == [step / 8 for step in range(8)]
    assert len(set(history.loss)) == 1 and history.evaluations == 8
    assert_same(model, kan())
    history = fit(
        model, x, y, optimizer=optimizer, steps=8, schedule=lambda t: t >= 0.5 and 1.0 or 0
    )
    assert len(set(history.loss[:5])) == 1 and history.loss[5] != history.loss[4]


# Grids


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [None, 7])
def test_grids_change_at_their_steps_and_a_fresh_optimizer_follows(optimizer, batch_size):
    """Equal to training in pieces, with the changes between them."""
    x, y = problem()
    options = {"optimizer": optimizer, "batch_size": batch_size, "generator": generator(1)}
    model = kan(grid_size=3)
    history = fit(model, x, y, steps=18, extend_grid_at={7: 6}, update_grid_at={1, 13}, **options)

    other = kan(grid_size=3)
    options["generator"] = generator(1)
    grids.update_grid(other, x)
    losses = fit(other, x, y, steps=6, **options).loss
    grids.extend_grid(other, x, 6)
    losses += fit(other, x, y, steps=6, **options).loss
    grids.update_grid(other, x)
    losses += fit(other, x, y, steps=6, **options).loss
    assert history.loss == losses
    assert_same(model, other)
    assert [layer.grid_size for layer in model] == [6, 6]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_restart_is_a_fresh_optimizer_and_nothing_else(optimizer):
    x, y = problem()
    model, other = kan(), kan()
    history = fit(model, x, y, optimizer=optimizer, steps=9, restart_at=[4, 6])
    losses = [fit(other, x, y, optimizer=optimizer, steps=n).loss for n in (3, 2, 4)]
    assert history.loss == sum(losses, [])
    assert_same(model, other)
    # Where the grid changes there is one already.
    options = {"optimizer": optimizer, "steps": 6, "update_grid_at": [3]}
    once, twice = (fit(kan(), x, y, **options, restart_at=at).loss for at in ((), (3,)))
    assert once == twice


def test_grids_are_called_with_all_inputs_and_in_order(monkeypatch):
    x, y = problem()
    calls = []
    model = kan()

    def record(name):
        def call(changed, inputs, *size):
            assert torch.equal(inputs, x)
            if changed is model:  # not the copy on which fit rehearses
                calls.append((name, *size))

        return call

    monkeypatch.setattr(grids, "update_grid", record("update"))
    monkeypatch.setattr(grids, "extend_grid", record("extend"))
    fit(
        model,
        x,
        y,
        steps=6,
        batch_size=7,
        update_grid_at=range(2, 7, 2),
        extend_grid_at={4: 10, np.int64(5): 20},
        callback=lambda step, _: calls.append(step),
    )
    assert calls == [
        1,
        ("update",),
        2,
        3,
        ("extend", 10),
        ("update",),
        4,
        ("extend", 20),
        5,
        ("update",),
        6,
    ]


def test_the_learning_rate_goes_on_after_a_grid_change():
    x, y = problem()
    history = fit(
        kan(), x, y, steps=6, update_grid_at=[4], schedule=lambda t: 1.0 if t < 0.5 else 0.0
    )
    assert len(set(history.loss[:4])) == 4 and len(set(history.loss[3:])) == 1


def test_a_finer_grid_learns_more():
    x, _ = problem(200, torch.float64)
    y = torch.sin(10 * x)
    model = KAN([1, 1], grid_size=5, generator=generator(), dtype=torch.float64)
    ladder = {11: 10, 21: 20, 31: 40}
    history = fit(model, x, y, optimizer="lbfgs", steps=40, extend_grid_at=ladder)
    reached = [history.loss[step - 2] for step in (11, 21, 31, 41)]
    assert all(fine < coarse / 5 for coarse, fine in pairwise(reached))
    assert reached[-1] < 1e-7 < 1e-2 < reached[0]
    after = [history.loss[step - 1] for step in ladder]  # twice as many intervals: same function
    assert after == pytest.approx(reached[:-1], rel=1e-9)


# Accounts


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_history_adds_up(optimizer):
    x, y = problem()
    calls = []
    history = fit(
        kan(),
        x,
        y,
        optimizer=optimizer,
        steps=5,
        validation=(x[:3], y[:3]),
        callback=lambda step, h: calls.append((step, len(h.loss), len(h.validation_loss))),
    )
    assert isinstance(history, History) and not history.diverged
    assert calls == [(step, step, step) for step in range(1, 6)]
    lists = (history.loss, history.validation_loss, history.evaluations_at, history.seconds_at)
    assert all(len(values) == 5 for values in lists)
    assert history.evaluations_at[0] == 1 and np.all(np.diff(history.evaluations_at) >= 1)
    assert history.evaluations_at[-1] <= history.evaluations
    assert np.all(np.diff([0, *history.seconds_at, history.seconds]) > 0)
    on_three = fit(kan(), x[:3], y[:3], steps=1)
    assert history.validation_loss[0] == on_three.loss[0] != history.loss[0]
    assert fit(kan(), x, y, optimizer=optimizer, steps=0) == History(
        seconds=pytest.approx(0, abs=1)
    )


def test_progress_is_shown_only_on_request(capsys):
    x, y = problem()
    fit(kan((1, 1)), x, y, steps=3)
    assert capsys.readouterr() == ("", "")
    history = fit(kan((1, 1)), x, y, steps=3, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "3/3" in err and f"loss={history.loss[-1]:.3g}" in err


# Divergence


def lines():
    return nn.Sequential(nn.Linear(1, 9), nn.Linear(9, 1))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("batch_size", [None, 7])
def test_fit_stops_when_it_diverges(optimizer, batch_size):
    x, y = problem()
    calls = []
    advice = r"loss is (inf|nan) at step .*lr=1e\+20" + (" or larger batches" if batch_size else "")
    with pytest.warns(RuntimeWarning, match=advice) as caught:
        history = fit(
            lines(),
            x,
            y,
            optimizer=optimizer,
            steps=50,
            lr=1e20,
            batch_size=batch_size,
            validation=(x, y),
            callback=lambda step, _: calls.append(step),
        )
    assert len(caught) == 1 and caught[0].filename == __file__
    assert history.diverged and len(history.loss) < 50 and not np.isfinite(history.loss[-1])
    assert np.all(np.isfinite(history.loss[:-1]))
    lists = (history.validation_loss, history.evaluations_at, history.seconds_at, [0, *calls])
    assert all(len(values) == len(history.loss) for values in lists)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_loss_that_overflows_at_once_is_not_blamed_on_the_learning_rate(optimizer):
    x, y = problem()
    model = kan()
    with pytest.warns(RuntimeWarning, match="loss is inf at step 1.*scale of the data"):
        history = fit(model, x, 1e30 * y, optimizer=optimizer)
    assert history.diverged and history.loss == [math.inf]
    assert_same(model, kan())


class Corner(nn.Module):
    """Its loss is finite at w = 0, its gradient is not."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return x * self.w.square().sum().sqrt()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_update_to_nan_is_taken_back(optimizer):
    model = Corner()
    x = torch.ones(3, 1)
    with pytest.warns(RuntimeWarning, match="update of step 1 made a parameter .* taken back"):
        history = fit(model, x, x, optimizer=optimizer)
    assert history.diverged and history.loss == [1]
    assert torch.equal(model.w, torch.zeros(2))


# Refused calls

X, Y = problem()
NAN = X.clone()
NAN[3, 0] = math.nan


def frozen():
    return kan().requires_grad_(False)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"optimizer": "adamw"}, ValueError, r"optimizer='adamw'.*'adam', 'sgd', 'lbfgs'"),
        ({"optimizer": ["adam"]}, ValueError, r"optimizer=\['adam'\]"),
        ({"optimizer": None}, ValueError, r"optimizer=None"),
        ({"steps": -1}, ValueError, r"steps=-1"),
        ({"steps": 2.5}, TypeError, r"steps=2.5"),
        ({"steps": True}, TypeError, r"steps=True"),
        ({"lr": -0.1}, ValueError, r"lr=-0.1; expected a finite number > 0"),
        ({"lr": 0}, ValueError, r"lr=0"),
        ({"lr": math.nan}, ValueError, r"lr=nan"),
        ({"lr": math.inf}, ValueError, r"lr=inf"),
        ({"lr": "big"}, TypeError, r"lr='big'"),
        ({"batch_size": 0}, ValueError, r"batch_size=0"),
        ({"batch_size": 2.0}, TypeError, r"batch_size=2.0"),
        ({"schedule": "cosine"}, TypeError, r"schedule='cosine'; expected a function"),
        ({"schedule": lambda t: 1 - 2 * t}, ValueError, r"schedule\(0.501\)=-0.00"),
        ({"schedule": lambda t: math.nan}, ValueError, r"schedule\(0\)=nan"),
        ({"schedule": lambda t: math.inf}, ValueError, r"schedule\(0\)=inf"),
        ({"schedule": lambda t: None}, TypeError, r"schedule\(0\)=None"),
        ({"targets": Y[:-1]}, ValueError, r"targets \(39, 1\)"),
        ({"targets": Y.squeeze(-1)}, ValueError, r"targets \(40,\)"),
        (
            {"targets": Y.repeat(1, 2)},
            ValueError,
            r"targets of shape \(40, 2\).*output of shape \(40, 1\)",
        ),
        (
            {"targets": Y.repeat(1, 2), "update_grid_at": [1]},
            ValueError,
            r"targets of shape \(40, 2\).*output of shape \(40, 1\)",
        ),
        ({"targets": Y.double()}, TypeError, r"targets has dtype torch.float64"),
        ({"targets": Y.tolist()}, TypeError, r"targets is a list"),
        ({"targets": NAN}, ValueError, r"targets is nan at index \[3, 0\]"),
        ({"inputs": NAN}, ValueError, r"inputs is nan at index \[3, 0\]"),
        ({"inputs": 1 / (X - X[5])}, ValueError, r"inputs is inf at index \[5, 0\]"),
        ({"inputs": X[:0], "targets": Y[:0]}, ValueError, r"N >= 1"),
        ({"inputs": X.repeat(1, 2)}, ValueError, r"x has shape \(40, 2\)"),
        ({"inputs": X.double(), "targets": Y.double()}, TypeError, r"float64"),
        ({"validation": X}, TypeError, r"validation is a Tensor; expected a pair"),
        ({"validation": (X, Y[:2])}, ValueError, r"validation inputs"),
        ({"validation": (X, NAN)}, ValueError, r"validation targets is nan at index \[3, 0\]"),
        ({"validation": (NAN, Y)}, ValueError, r"validation inputs is nan at index \[3, 0\]"),
        ({"validation": (X, Y.repeat(1, 3))}, ValueError, r"validation targets of shape \(40, 3\)"),
        ({"validation": (X.repeat(1, 2), Y)}, ValueError, r"x has shape \(40, 2\)"),
        (
            {"validation": (X, Y.repeat(1, 3)), "update_grid_at": [1]},
            ValueError,
            r"validation targets of shape \(40, 3\)",
        ),
        ({"update_grid_at": 5}, TypeError, r"update_grid_at=5"),
        ({"update_grid_at": {5: 10}}, TypeError, r"update_grid_at=\{5: 10\}"),
        ({"update_grid_at": [0]}, ValueError, r"update_grid_at: step=0.*from 1 to 1000"),
        ({"update_grid_at": [3, 1001]}, ValueError, r"update_grid_at: step=1001.*from 1 to 1000"),
        ({"update_grid_at": [3.0]}, TypeError, r"update_grid_at: step=3.0"),
        ({"update_grid_at": [1], "steps": 0}, ValueError, r"update_grid_at: step=1"),
        ({"restart_at": 5}, TypeError, r"restart_at=5; expected a collection of steps"),
        ({"restart_at": [1001]}, ValueError, r"restart_at: step=1001.*from 1 to 1000"),
        ({"extend_grid_at": [5]}, TypeError, r"extend_grid_at=\[5\]"),
        ({"extend_grid_at": {0: 9}}, ValueError, r"extend_grid_at: step=0.*from 1 to 1000"),
        ({"extend_grid_at": {"1": 9}}, TypeError, r"extend_grid_at: step='1'"),
        ({"extend_grid_at": {2: 0}}, ValueError, r"extend_grid_at\[2\]=0"),
        ({"extend_grid_at": {2: 9.5}}, TypeError, r"extend_grid_at\[2\]=9.5"),
        ({"extend_grid_at": {1: 9, 2: 7}}, ValueError, r"grid_size=7; expected at least 9"),
        ({"update_grid_at": [9], "model": lines()}, ValueError, r"without spline layers"),
        ({"extend_grid_at": {9: 9}, "model": lines()}, ValueError, r"without spline layers"),
        ({"callback": 3}, TypeError, r"callback=3"),
        ({"generator": 7}, TypeError, r"generator=7; expected a torch.Generator"),
        ({"model": torch.tanh}, TypeError, r"model is a"),
        ({"model": KANLayer}, TypeError, r"model is a type"),
        ({"model": frozen()}, ValueError, r"model has no parameter that requires a gradient"),
        ({"model": nn.Tanh()}, ValueError, r"model has no parameter that requires a gradient"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(optimizer, arguments, error, message):
    arguments = {
        "model": kan((1, 2, 1)),
        "inputs": X,
        "targets": Y,
        "optimizer": optimizer,
        **arguments,
    }
    model = arguments["model"]
    module = model if isinstance(model, nn.Module) else nn.Identity()
    module.train(optimizer == "adam")  # either mode must stay
    before = copy.deepcopy(module)
    with pytest.raises(error, match=message):
        fit(**arguments)
    assert_same(module, before)
    assert module.training == before.training == (optimizer == "adam")
    for parameter, old in zip(module.parameters(), before.parameters(), strict=True):
        assert parameter.requires_grad == old.requires_grad and parameter.grad is None


def test_every_optimizer_is_tested():
    assert list(training.OPTIMIZERS) == OPTIMIZERS


def test_validation_does_not_train():
    inputs = torch.linspace(-1, 1, 20).unsqueeze(-1)

    def run(validation):
        torch.manual_seed(0)
        model = nn.Sequential(nn.BatchNorm1d(1), nn.Dropout(0.3), nn.Linear(1, 1))
        fit(model, inputs, inputs**2, steps=5, validation=validation)
        assert model.training and all(module.training for module in model)
        return model.state_dict()

    without, with_it = run(None), run((inputs + 100, inputs))
    assert all(v.equal(with_it[name]) for name, v in without.items())


def test_a_refusal_leaves_buffers_alone():
    model = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1))
    x = torch.linspace(-1, 1, 20).unsqueeze(-1)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="targets of shape"):
        fit(model, x, torch.cat([x, x], 1))
    assert all(v.equal(before[name]) for name, v in model.state_dict().items())


def test_fit_works_where_gradients_are_off():
    x = torch.linspace(-1, 1, 20).unsqueeze(-1)
    with torch.no_grad():
        history = fit(KAN([1, 1]), x, x**2, steps=20)
    assert history.loss[-1] < history.loss[0]
