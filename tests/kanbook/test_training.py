"""Training: the optimizers against loops by hand, grids, schedules, accounts, refused calls."""

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from kanbook import KAN, MLP, History, KANLayer, fit, grids, training

OPTIMIZERS = ["adam", "sgd", "lbfgs"]
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def problem(n=40, dtype=torch.float32):
    x = torch.linspace(-1, 1, n, dtype=dtype).unsqueeze(-1)
    return x, torch.sin(3 * x)


def kan(widths=(1, 3, 1), **options):
    return KAN(list(widths), generator=0, **options)


def line(weight=0.0, dtype=torch.float64):
    model = nn.Linear(1, 1, bias=False, dtype=dtype)
    nn.init.constant_(model.weight, weight)
    return model


def assert_same(model, other):
    """The same parameters and buffers, bit for bit."""
    state = other.state_dict()
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def mean_square(output, target):
    return (output - target).square().mean()


def by_hand(model, x, y, optimizer, steps, batches=None, loss=mean_square):
    """The loop as everybody writes it; returns the losses."""
    losses = []
    for step in range(steps):
        batch = slice(None) if batches is None else batches[step]
        optimizer.zero_grad()
        value = loss(model(x[batch]), y[batch])
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize(
    "optimizer, lr, reference",
    [
        ("adam", None, partial(torch.optim.Adam, lr=0.01)),
        ("adam", 0.03, partial(torch.optim.Adam, lr=0.03)),
        ("sgd", None, partial(torch.optim.SGD, lr=0.1)),
        ("sgd", 0.03, partial(torch.optim.SGD, lr=0.03)),
        (torch.optim.AdamW, None, torch.optim.AdamW),
        (momentum := partial(torch.optim.SGD, momentum=0.9), 0.02, partial(momentum, lr=0.02)),
    ],
)
def test_first_order_optimizers_equal_a_loop_by_hand(optimizer, lr, reference, batch_size):
    x, y = problem()
    model = kan()
    other = copy.deepcopy(model)
    options = {"batch_size": batch_size, "generator": 3, "lr": lr}
    history = fit(model, x, y, optimizer=optimizer, steps=15, **options)
    g = torch.Generator().manual_seed(3)
    batches = [b for _ in range(3) for b in torch.randperm(40, generator=g).split(7)]
    losses = by_hand(other, x, y, reference(other.parameters()), 15, batch_size and batches)
    assert history.loss == losses
    assert_same(model, other)
    assert history.evaluations == 15 and history.evaluations_at == list(range(1, 16))


@pytest.mark.parametrize("dtype, scale", [(torch.float32, 1), (torch.float64, 2**33)])
def test_lbfgs_equals_a_loop_by_hand(dtype, scale):
    x, y = problem(dtype=dtype)
    model = kan(dtype=dtype)
    other = copy.deepcopy(model)
    history = fit(model, x, y, optimizer="lbfgs", steps=6)
    options = {"line_search_fn": "strong_wolfe", "tolerance_grad": 0, "tolerance_change": 1e-32}
    lbfgs = torch.optim.LBFGS(other.parameters(), **options)
    losses, calls, starts = [], [], []

    def closure():
        lbfgs.zero_grad()
        loss = scale * mean_square(other(x), y)
        loss.backward()
        calls.append(loss.item() / scale)
        return loss

    for _ in range(6):
        starts.append(len(calls) + 1)
        losses.append(lbfgs.step(closure).item() / scale)
    assert history.loss == losses and history.evaluations == len(calls)
    assert history.evaluations_at == starts
    assert all(1 <= n <= 26 for n in np.diff([*starts, len(calls) + 1]))
    assert_same(model, other)


def test_lbfgs_goes_on_where_pytorch_forgets_the_curvature():
    x = 2 * torch.rand(100, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 1
    teacher, model = (KAN([2, 2, 1], grid_size=3, generator=g, dtype=x.dtype) for g in (5, 0))
    y = teacher(x).detach()
    assert fit(model, x, y, optimizer="lbfgs", steps=25).loss[-1] < 1e-13  # unscaled: 1e-9


@each_optimizer
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


class Curve(nn.Module):
    """x times a function of its one parameter; remembers whether that was a number."""

    def __init__(self, start, function):
        super().__init__()
        self.w, self.function, self.seen = nn.Parameter(torch.tensor(start)), function, []

    def forward(self, x):
        y = x * self.function(self.w)
        self.seen.append(y.isnan().any().item())
        return y


def test_lbfgs_steps_back_from_trial_points_that_are_not_finite():
    model, x = Curve(3.0, torch.log), torch.ones(3, 1)
    history = fit(model, x, x * math.log(0.01), optimizer="lbfgs", lr=5, steps=10)
    assert any(model.seen) and not history.diverged
    assert model.w.item() == pytest.approx(0.01, rel=1e-3)


@each_optimizer
@pytest.mark.parametrize("batch_size", [None, 7])
def test_same_state_same_result_and_no_global_state(optimizer, batch_size):
    x, y = problem()
    before = torch.get_rng_state()
    one, two = kan(), kan()
    options = {"optimizer": optimizer, "batch_size": batch_size, "steps": 8, "update_grid_at": [4]}
    first = fit(one, x, y, generator=7, **options)
    second = fit(two, x, y, generator=torch.Generator().manual_seed(7), **options)
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(one, two)
    assert first.loss == second.loss and first.evaluations_at == second.evaluations_at


def test_without_a_generator_the_order_is_pytorchs():
    x, y = problem()
    state = torch.get_rng_state()
    first = fit(kan(), x, y, steps=5, batch_size=7)
    assert fit(kan(), x, y, steps=5, batch_size=7).loss != first.loss
    torch.set_rng_state(state)
    assert fit(kan(), x, y, steps=5, batch_size=7).loss == first.loss


class Spy(nn.Linear):
    """Remembers the inputs that it was trained on, one list for each evaluation."""

    seen = ()

    def forward(self, x):
        if torch.is_grad_enabled():
            self.seen = [*self.seen, x.squeeze(-1).tolist()]
        return super().forward(x)


def test_lbfgs_stays_on_one_batch_within_a_step():
    x, y = problem(10)
    model = Spy(1, 1)
    history = fit(model, x, y, optimizer="lbfgs", steps=4, batch_size=3, generator=0)
    ends = [*history.evaluations_at[1:], history.evaluations + 1]
    steps = [model.seen[a - 1 : b - 1] for a, b in zip(history.evaluations_at, ends, strict=True)]
    assert all(step == [step[0]] * len(step) for step in steps)
    assert sorted(sum((step[0] for step in steps), [])) == sorted(x.squeeze(-1).tolist())


@each_optimizer
def test_frozen_parameters_and_modes_stay(optimizer):
    x, y = problem()
    model = kan((1, 2, 1), bias=True, grid_size=4)
    model[0].eval()
    model[0].coef.requires_grad_(False).grad = torch.ones_like(model[0].coef)
    frozen = model[0].coef.clone()
    fit(model, x, y, optimizer=optimizer, steps=3)
    assert torch.equal(model[0].coef, frozen) and not model[0].coef.requires_grad
    assert [module.training for module in (model, *model)] == [True, False, True]
    assert all(p.grad is None for p in model.parameters() if p.requires_grad)


def test_the_data_stay():
    x, y = problem()
    x.requires_grad_()
    y = y + 0 * x  # with a graph behind it
    before = x.detach().clone(), y.detach().clone()
    fit(kan(), x, y, steps=3, update_grid_at=[2])
    assert x.grad is None and torch.equal(x, before[0]) and torch.equal(y, before[1])


def test_validation_does_not_train():
    x, _ = problem()

    def run(validation):
        torch.manual_seed(0)
        model = nn.Sequential(nn.BatchNorm1d(1), nn.Dropout(0.3), nn.Linear(1, 1))
        fit(model, x, x**2, steps=5, validation=validation)
        assert model.training and all(module.training for module in model)
        return model

    assert_same(run(None), run((x + 100, x)))


def test_schedule_equals_lambda_lr():
    def cosine(t):
        return 0.5 * (1 + math.cos(math.pi * t))

    x, y = problem()
    model, other = kan(), kan()
    history = fit(model, x, y, steps=20, lr=0.05, schedule=cosine)
    optimizer = torch.optim.Adam(other.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step / 20))
    losses = []
    for _ in range(20):
        losses += by_hand(other, x, y, optimizer, 1)
        schedule.step()
    assert history.loss == losses
    assert_same(model, other)


@each_optimizer
def test_schedule_is_asked_for_each_step_and_may_say_zero(optimizer):
    x, y = problem()
    asked, model = [], kan()
    options = {"optimizer": optimizer, "steps": 8}
    history = fit(model, x, y, schedule=lambda t: asked.append(t) or 0.0, **options)
    assert asked == [step / 8 for step in range(8)]
    assert len(set(history.loss)) == 1 and history.evaluations == 8
    assert_same(model, kan())
    # The fresh optimizer after a grid change has the rate of its step, too.
    late = {"schedule": lambda t: float(t >= 0.5), "update_grid_at": [2]}
    history = fit(model, x, y, **late, **options)
    assert len(set(history.loss[1:5])) == 1 and history.loss[5] != history.loss[4]


def test_a_loss_of_ones_own_with_targets_of_its_own_kind():
    x, _ = problem()
    classes = (x.squeeze(-1) > 0.2).long() + (x.squeeze(-1) > 0.6)
    model, other = MLP([1, 5, 3], generator=0), MLP([1, 5, 3], generator=0)
    loss = nn.functional.cross_entropy
    history = fit(model, x, classes, loss=loss, steps=30, validation=(x[::3], classes[::3]))
    adam = torch.optim.Adam(other.parameters(), lr=0.01)
    assert history.loss == by_hand(other, x, classes, adam, 30, loss=loss)
    assert_same(model, other)
    start = MLP([1, 5, 3], generator=0)
    assert history.validation_loss[0] == loss(start(x[::3]), classes[::3]).item()


def test_a_penalty_is_minimized_and_not_recorded():
    """Ridge regression, whose solution is a formula."""
    g = torch.Generator().manual_seed(1)
    x, y = (torch.randn(50, n, generator=g, dtype=torch.float64) for n in (4, 1))
    model = nn.Linear(4, 1, bias=False, dtype=torch.float64)
    nn.init.zeros_(model.weight)
    options = {"optimizer": "lbfgs", "penalty": lambda m: 0.3 * m.weight.square().sum()}
    history = fit(model, x, y, steps=30, validation=(x, y), **options)
    eye = torch.eye(4, dtype=torch.float64)
    exact = torch.linalg.solve(x.T @ x / 50 + 0.3 * eye, x.T @ y / 50)
    torch.testing.assert_close(model.weight.T, exact, rtol=0, atol=1e-12)
    expected = mean_square(x @ exact, y).item()
    assert [history.loss[-1], history.validation_loss[-1]] == pytest.approx([expected] * 2)


# Patience: the weight w of a line goes from 0 to 2, by a fifth of what is left at every step


def towards_two(steps, validated=1.0, **options):
    x, model, weights = torch.ones(3, 1, dtype=torch.float64), line(), [0.0]
    options = {"optimizer": "sgd", "steps": steps, "validation": (x, validated * x), **options}
    after = {"callback": lambda step, history: weights.append(model.weight.item())}
    return fit(model, x, 2 * x, **options, **after), model.weight.item(), weights


@pytest.mark.parametrize(
    "steps, patience, best, made",  # w - 1 is -1, -0.6, -0.28, -0.024, 0.18, ...: step 4 is best
    [(50, 1, 4, 4), (50, 3, 4, 6), (5, 3, 4, 5), (4, 3, 4, 4), (3, 1, 4, 3), (2, 9, 3, 2)],
)
def test_patience_stops_and_keeps_the_best(steps, patience, best, made):
    history, weight, weights = towards_two(steps, patience=patience)
    assert history.best_step == best and weight == weights[best - 1]
    lists = (history.loss, history.validation_loss, history.evaluations_at, history.seconds_at)
    assert [len(values) for values in lists] == [made] * 4
    assert history.validation_loss == pytest.approx([(w - 1) ** 2 for w in weights[:made]])
    assert history.evaluations == made and not history.diverged


def test_without_patience_the_last_weights_stay():
    history, weight, weights = towards_two(9)
    assert history.best_step is None and weight == weights[-1] and len(history.loss) == 9


def test_patience_where_no_validation_loss_is_a_number():
    infinite = {"loss": lambda output, target: (output - target).square().mean() / (target - 1)[0]}
    history, weight, weights = towards_two(50, patience=3, **infinite)
    assert history.best_step is None and len(history.loss) == 2 and weight == weights[-1]


def test_patience_gives_the_grid_back_that_was_best():
    x, y = problem()
    model = kan((1, 1), grid_size=5)
    validation = x, model(x).detach()  # best before the first step
    history = fit(model, x, y, validation=validation, patience=4, extend_grid_at={2: 10})
    assert history.best_step == 1 and len(history.loss) == 4
    assert_same(model, kan((1, 1), grid_size=5))


@each_optimizer
@pytest.mark.parametrize("batch_size", [None, 14])
def test_grids_change_at_their_steps_and_a_fresh_optimizer_follows(optimizer, batch_size):
    """Equal to training in pieces, with the changes between them, the update before the rest."""
    x, y = problem()
    g = torch.Generator().manual_seed(1)
    options = {"optimizer": optimizer, "batch_size": batch_size}
    model, other = kan(grid_size=3), kan(grid_size=3)
    at = {"extend_grid_at": {4: 6}, "update_grid_at": {1, 4, 7}}
    history = fit(model, x, y, steps=9, generator=1, **at, **options)
    losses = []
    for size in (3, 6, 6):
        grids.update_grid(other, x)
        grids.extend_grid(other, x, size)
        losses += fit(other, x, y, steps=3, generator=g, **options).loss
    assert history.loss == losses
    assert_same(model, other)


@pytest.mark.filterwarnings("ignore:.*outside its domain")
@pytest.mark.parametrize("killed", [1, 3, 6])
def test_a_training_that_was_killed_goes_on_from_its_checkpoint(killed, tmp_path):
    """By a callback and an optimizer of one's own, it ends as if nothing had been."""
    (x, y), path, steps = problem(), tmp_path / "checkpoint.pt", 9
    updates, extensions = {2, 4, 8}, {4: 6, 8: 9}

    def train(model, killed=math.inf):
        saved, made = {"step": 0}, []
        if path.exists():
            saved = torch.load(path)
            model.load_state_dict(saved["model"])  # before the optimizer: the grid may have grown
        done = saved["step"]

        def adam(parameters):
            made.append(torch.optim.Adam(parameters, lr=0.02))
            if done and len(made) == 1:
                made[0].load_state_dict(made[0].state_dict() | {"state": saved["memory"]})
            return made[-1]

        def save(step, history):
            state = {"step": done + step, "model": model.state_dict()}
            torch.save(state | {"memory": made[-1].state_dict()["state"]}, path)
            if done + step == killed:
                raise KeyboardInterrupt

        return fit(
            model,
            x,
            y,
            optimizer=adam,
            steps=steps - done,
            callback=save,
            schedule=lambda t: 1 - (done + t * (steps - done)) / steps,
            update_grid_at=[step - done for step in updates if step > done],
            extend_grid_at={step - done: n for step, n in extensions.items() if step > done},
        )

    model, other = kan(grid_size=3), kan(grid_size=3)
    losses = train(other).loss
    path.unlink()
    with pytest.raises(KeyboardInterrupt):
        train(model, killed)
    model = kan(grid_size=3)  # another process
    torch.testing.assert_close(train(model).loss, losses[killed:], rtol=1e-6, atol=0)
    assert model[0].grid_size == other[0].grid_size == 9


@each_optimizer
def test_a_restart_is_a_fresh_optimizer_and_nothing_else(optimizer):
    x, y = problem()
    model, other = kan(), kan()
    history = fit(model, x, y, optimizer=optimizer, steps=9, restart_at=[4, 6])
    losses = [fit(other, x, y, optimizer=optimizer, steps=n).loss for n in (3, 2, 4)]
    assert history.loss == sum(losses, [])
    assert_same(model, other)


@pytest.mark.parametrize("compiled", [torch.compile, lambda m, **o: m.compile(**o) or m])
def test_grids_change_in_compiled_models(compiled):
    """As in plain ones; inside torch.compile no hook tells what reaches a layer."""
    x, y = problem()
    plain, model = kan(), kan()
    at = {"steps": 6, "update_grid_at": [3, 5], "extend_grid_at": {5: 10}}
    history = fit(compiled(model, backend="eager"), x, y, **at)
    assert history.loss == pytest.approx(fit(plain, x, y, **at).loss, rel=1e-2)  # by processor
    torch.testing.assert_close(model[1].knots, plain[1].knots, rtol=1e-3, atol=1e-3)
    with pytest.warns(RuntimeWarning, match="of the inputs of layer '0' lie beyond"):
        fit(compiled(kan(), backend="eager"), x + 50, y, steps=1)


def test_inputs_beyond_the_knots_are_announced():
    x, y = torch.full((3, 2), 50.0), torch.zeros(3, 1)
    message = "^100% of the inputs of layer '0' lie beyond its outermost knots, -2.2 to 2.2.* scale"
    with pytest.warns(RuntimeWarning, match=message) as caught:
        fit(KAN([2, 5, 1]), x, y, steps=2)
    assert len(caught) == 1 and caught[0].filename == __file__
    x, y = problem()
    with pytest.warns(RuntimeWarning, match="52% of the inputs of the layer lie beyond"):
        fit(KANLayer(1, 1), torch.where(x > -0.05, x + 50, x), y, steps=0)
    fit(kan(), torch.where(x > 0, x - 50, x), y, steps=0)  # half of them: silence, as
    fit(kan(), x + 50, y, steps=2, update_grid_at=[1])  # where the knots follow at once


@pytest.mark.parametrize("mean, spread", [(3300, 2900), (40, 1), (0, 1e-3)])
def test_raw_targets_are_announced_once(mean, spread):
    x, y = problem()
    z = mean + spread * (y - y.mean()) / y.std(correction=0)
    with pytest.warns(RuntimeWarning, match=r"^targets\[:, 1\] has mean .*; subtract") as caught:
        fit(kan((1, 2)), x, torch.cat([y, z], 1), steps=2)
    assert len(caught) == 1 and caught[0].filename == __file__
    fit(kan(), x, z, steps=0, loss=mean_square)  # silence for other losses,
    fit(kan(), x, torch.full_like(z, 1e3), steps=0)  # nothing to divide by,
    fit(line(499.0), x.double(), 500 * x.double(), steps=0)  # a model that is near


def test_a_layer_that_died_in_training_is_announced():
    x, y = problem()
    model = kan(bias=True)
    far = {"steps": 3, "callback": lambda *_: model[0].bias.data.fill_(50)}
    with pytest.warns(RuntimeWarning, match=r"^by now 100% of .* layer '1'.*warm-up") as caught:
        fit(model, x, y, **far)
    assert len(caught) == 1 and caught[0].filename == __file__


@each_optimizer
def test_history_adds_up(optimizer):
    x, y = problem()
    calls = []
    validation = {"validation": (x[:3], y[:3])}
    note = {"callback": lambda step, h: calls.append((step, len(h.loss), len(h.validation_loss)))}
    history = fit(kan(), x, y, optimizer=optimizer, steps=5, **validation, **note)
    assert isinstance(history, History) and not history.diverged
    assert calls == [(step, step, step) for step in range(1, 6)]
    lists = (history.loss, history.validation_loss, history.evaluations_at, history.seconds_at)
    assert all(len(values) == 5 for values in lists)
    assert history.evaluations_at[0] == 1 and np.all(np.diff(history.evaluations_at) >= 1)
    assert history.evaluations_at[-1] <= history.evaluations
    assert history.validation_loss[0] == mean_square(kan()(x[:3]), y[:3]).item() != history.loss[0]
    ends = f"5 steps, loss {history.loss[0]:.3g} to {history.loss[-1]:.3g}"
    assert repr(history) == f"History({ends}, {history.seconds:.3g} seconds)"
    nothing = fit(kan(), x, y, optimizer=optimizer, steps=0)
    assert repr(nothing).startswith("History(0 steps, 0.")
    assert nothing == History(seconds=pytest.approx(0, abs=1))


def test_the_clock_runs_from_the_call_to_the_return(monkeypatch):
    """A clock that ticks with every forward pass: one before the first step, one after the last."""
    model = line(dtype=torch.float32)
    ticks = []
    model.register_forward_hook(lambda *_: ticks.append(1))
    monkeypatch.setattr(training.time, "perf_counter", lambda: float(len(ticks)))
    history = fit(model, *problem(), steps=3)
    assert history.seconds_at == [2, 3, 4] and history.seconds == len(ticks) == 5


def test_progress_is_shown_only_on_request(capsys):
    x, y = problem()
    fit(kan((1, 1)), x, y, steps=3)
    assert capsys.readouterr() == ("", "")
    history = fit(kan((1, 1)), x, y, steps=3, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "3/3" in err and f"loss={history.loss[-1]:.3g}" in err


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("batch_size", [None, 7])
def test_fit_stops_when_it_diverges(optimizer, batch_size):
    x, y = problem()
    calls = []
    options = {"optimizer": optimizer, "batch_size": batch_size, "validation": (x, y), "lr": 1e20}
    advice = r"loss is (inf|nan) at step .*lr=1e\+20" + (" or larger batches" if batch_size else "")
    model = nn.Sequential(nn.Linear(1, 9), nn.Linear(9, 1))
    with pytest.warns(RuntimeWarning, match=advice) as caught:
        history = fit(model, x, y, steps=50, callback=lambda *_: calls.append(1), **options)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert history.diverged and len(history.loss) < 50 and not np.isfinite(history.loss[-1])
    assert np.all(np.isfinite(history.loss[:-1]))
    lists = (history.validation_loss, history.evaluations_at, history.seconds_at, [0, *calls])
    assert all(len(values) == len(history.loss) for values in lists)


@each_optimizer
def test_a_loss_that_overflows_at_once_is_not_blamed_on_the_learning_rate(optimizer):
    x, y = problem()
    model = kan()
    with pytest.warns(RuntimeWarning, match="loss is inf at step 1.*scale of the data"):
        history = fit(model, x, 1e30 * y, optimizer=optimizer)
    assert history.diverged and history.loss == [math.inf]
    assert_same(model, kan())


def test_half_precision_is_blamed_and_not_the_learning_rate():
    x, y = problem(dtype=torch.float16)
    with pytest.warns(RuntimeWarning, match="taken back.*float16 is too narrow.*bfloat16$"):
        fit(MLP([1, 3, 1], generator=0, dtype=torch.float16), x, y)


def test_inside_autocast_every_step_casts_the_weights_anew():
    x, y = problem()
    model, other = (MLP([1, 4, 1], generator=0) for _ in range(2))
    adam, losses = torch.optim.Adam(other.parameters(), lr=0.01), []
    for _ in range(9):
        with torch.autocast("cpu", torch.bfloat16):
            losses += by_hand(other, x, y, adam, 1)
    with torch.autocast("cpu", torch.bfloat16):
        model(x)
        assert fit(model, x, y, steps=9, validation=(x, y)).loss == losses
        assert torch.is_autocast_cache_enabled()
        inside = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert model(x).equal(inside)


@each_optimizer
def test_numbers_of_numpy_are_as_good_as_those_of_python(optimizer):
    rate = np.float32(0.01)
    one, other = (
        fit(kan(), X, Y, steps=9, generator=0, optimizer=optimizer, **numbers).loss
        for numbers in (
            {"lr": float(rate), "batch_size": 7},
            {"lr": rate, "batch_size": np.int64(7), "update_grid_at": np.array([])},
        )
    )
    assert one == other


@each_optimizer
def test_an_update_to_nan_is_taken_back(optimizer):
    # Finite where it starts; its gradient is not.
    corner = Curve([0.0, 0.0], lambda w: w.square().sum().sqrt())
    x = torch.ones(3, 1)
    with pytest.warns(RuntimeWarning, match="update of step 1 made a parameter .* taken back"):
        history = fit(corner, x, x, optimizer=optimizer)
    assert history.diverged and history.loss == [1]
    assert torch.equal(corner.w, torch.zeros(2))


X, Y = problem()
NAN = X.clone()
NAN[3, 0] = math.nan
WIDE = Y.repeat(1, 2)
BUFFERS = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 2))
SHAPES = r"targets of shape \(40, 2\).*output of shape \(40, 1\)"


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"optimizer": "adamw"}, ValueError, r"optimizer='adamw'.*'adam', 'sgd', 'lbfgs', 'lm'"),
        ({"steps": -1}, ValueError, r"steps=-1"),
        ({"steps": True}, TypeError, r"steps=True; expected an integer"),
        ({"lr": 0}, ValueError, r"lr=0; expected a finite number > 0"),
        ({"batch_size": 0}, ValueError, r"batch_size=0"),
        ({"schedule": "cosine"}, TypeError, r"schedule='cosine'; expected a function"),
        ({"schedule": lambda t: None}, TypeError, r"schedule\(0\)=None; expected .* number"),
        ({"callback": 3}, TypeError, r"callback=3; expected a function"),
        ({"schedule": lambda t: 1 - 2 * t}, ValueError, r"schedule\(0.501\)=-0.00"),
        ({"loss": "mse"}, TypeError, r"loss='mse'"),
        ({"loss": lambda y, t: y - t}, TypeError, r"loss returned \(40, 1\); .*one number"),
        ({"loss": torch.dist, "targets": Y[:9]}, ValueError, r"\(40, 1\) and targets \(9, 1\)"),
        ({"penalty": 0.1}, TypeError, r"penalty=0.1"),
        ({"penalty": lambda m: 0.1, "update_grid_at": [1]}, TypeError, r"penalty returned float"),
        ({"targets": Y.double()}, TypeError, r"targets has dtype torch.float64"),
        ({"targets": NAN}, ValueError, r"targets is nan at index \[3, 0\]"),
        ({"targets": WIDE, "update_grid_at": [1]}, ValueError, SHAPES),
        ({"inputs": 1 / (X - X[5])}, ValueError, r"inputs is inf at index \[5, 0\]"),
        ({"inputs": X[:0], "targets": Y[:0]}, ValueError, r"N >= 1"),
        ({"inputs": X.repeat(1, 2)}, ValueError, r"x has shape \(40, 2\)"),
        ({"validation": X}, TypeError, r"validation is a Tensor; expected a pair"),
        ({"validation": (X, Y[:2])}, ValueError, r"validation inputs"),
        ({"validation": (X, NAN)}, ValueError, r"validation targets is nan at index \[3, 0\]"),
        ({"validation": (X, WIDE)}, ValueError, r"validation targets .*\(40, 2\); .*\(40, 1\)"),
        ({"validation": (WIDE, Y)}, ValueError, r"validation inputs .*\(40, 2\); .*\(40, 1\)"),
        ({"validation": (X.double(), Y.double())}, TypeError, r"validation inputs has dtype"),
        ({"patience": 5}, ValueError, r"patience=5 without validation data"),
        ({"patience": 0, "validation": (X, Y)}, ValueError, r"patience=0"),
        ({"update_grid_at": [3, 1001]}, ValueError, r"update_grid_at: step=1001.*from 1 to 1000"),
        ({"restart_at": 5}, TypeError, r"restart_at=5; expected a collection of steps"),
        ({"restart_at": [0]}, ValueError, r"restart_at: step=0.*from 1 to 1000"),
        ({"extend_grid_at": [5]}, TypeError, r"extend_grid_at=\[5\]"),
        ({"extend_grid_at": {2: 4}}, ValueError, r"extend_grid_at\[2\]=4; expected .* >= 5"),
        ({"extend_grid_at": {2: 7, 1: 9}}, ValueError, r"extend_grid_at\[2\]=7; expected .* >= 9"),
        ({"update_grid_at": [9], "model": line()}, ValueError, r"without spline layers"),
        ({"model": X}, TypeError, r"model is a Tensor; expected an nn.Module"),
        ({"model": nn.Tanh()}, ValueError, r"model has no parameter that requires a gradient"),
        ({"model": BUFFERS}, ValueError, r"targets of shape \(40, 1\)"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(arguments, error, message):
    arguments = {"model": kan((1, 2, 1)), "inputs": X, "targets": Y, **arguments}
    model = arguments["model"]
    module = model if isinstance(model, nn.Module) else nn.Identity()
    before = copy.deepcopy(module)
    with pytest.raises(error, match=message):
        fit(**arguments)
    assert_same(module, before)
    assert module.training and not any(module._forward_pre_hooks for module in module.modules())
    for parameter, old in zip(module.parameters(), before.parameters(), strict=True):
        assert parameter.requires_grad == old.requires_grad and parameter.grad is None
