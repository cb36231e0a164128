"""Networks, parameter counts, training and tasks."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from kanbook import KAN, MLP, History, KANLayer, count_parameters, fit, tasks


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


def test_count_parameters_leaves_out_frozen_and_shared():
    linear = nn.Linear(3, 2)
    assert count_parameters(nn.Sequential(linear, linear)) == 8
    linear.bias.requires_grad_(False)
    assert count_parameters(linear) == 6


@pytest.mark.parametrize("network", [KAN, MLP])
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


# Training


def problem(n=40):
    x = torch.linspace(-1, 1, n).unsqueeze(-1)
    return x, torch.sin(3 * x)


def test_fit_equals_a_loop_by_hand():
    x, y = problem()
    model = KAN([1, 3, 1], generator=generator())
    by_hand = copy.deepcopy(model)
    history = fit(model, x, y, steps=20, lr=0.02)
    adam = torch.optim.Adam(by_hand.parameters(), lr=0.02)
    losses = []
    for _ in range(20):
        adam.zero_grad()
        loss = nn.functional.mse_loss(by_hand(x), y)
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert history.loss == pytest.approx(losses, rel=1e-5)
    for a, b in zip(model.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert isinstance(history, History) and history.evaluations == 20 and history.seconds > 0
    assert not history.diverged and history.validation_loss == []


def test_fit_with_mini_batches_is_repeatable_and_sees_every_sample():
    x, y = problem(10)
    seen = []

    class Spy(nn.Linear):
        def forward(self, x):
            if torch.is_grad_enabled():
                seen.extend(x.squeeze(-1).tolist())
            return super().forward(x)

    fit(Spy(1, 1), x, y, steps=4, batch_size=3, generator=generator())
    assert sorted(seen) == sorted(x.squeeze(-1).tolist()) != seen
    seen.clear()
    fit(Spy(1, 1), x, y, steps=8, batch_size=3, generator=generator())
    assert seen[:10] != seen[10:] and sorted(seen[:10]) == sorted(seen[10:])  # shuffled anew
    results = []
    for _ in range(2):
        model = KAN([1, 2, 1], generator=generator())
        results.append(fit(model, x, y, steps=30, batch_size=3, generator=generator(7)).loss)
    assert results[0] == results[1]


def test_fit_records_validation_and_calls_back():
    x, y = problem()
    calls = []
    model = KAN([1, 1], generator=generator())
    history = fit(
        model,
        x,
        y,
        steps=5,
        validation=(x[:3], y[:3]),
        callback=lambda s, h: calls.append((s, len(h.loss))),
    )
    assert calls == [(s, s) for s in range(1, 6)]
    assert len(history.validation_loss) == 5 and history.evaluations == 5
    on_three = fit(copy.deepcopy(model), x[:3], y[:3], steps=1)
    history = fit(model, x, y, steps=1, validation=(x[:3], y[:3]))
    assert history.validation_loss == pytest.approx(on_three.loss) != history.loss
    assert fit(model, x, y, steps=0).loss == []


def test_fit_shows_progress_only_on_request(capsys):
    x, y = problem()
    fit(KAN([1, 1]), x, y, steps=3)
    assert capsys.readouterr() == ("", "")
    fit(KAN([1, 1]), x, y, steps=3, progress=True)
    assert "3/3" in capsys.readouterr().err


def test_fit_stops_when_it_diverges():
    x, y = problem()
    with pytest.warns(RuntimeWarning, match=r"step .*lr=1e\+20"):
        history = fit(nn.Sequential(nn.Linear(1, 9), nn.Linear(9, 1)), x, y, steps=50, lr=1e20)
    assert history.diverged and len(history.loss) < 50 and not np.isfinite(history.loss[-1])


X, Y = problem()


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"optimizer": "adamw"}, ValueError, r"optimizer='adamw'.*'adam'"),
        ({"steps": -1}, ValueError, r"steps=-1"),
        ({"steps": 2.5}, TypeError, r"steps=2.5"),
        ({"lr": -0.1}, ValueError, r"lr=-0.1"),
        ({"lr": "big"}, TypeError, r"lr='big'"),
        ({"batch_size": 0}, ValueError, r"batch_size=0"),
        ({"targets": Y[:-1]}, ValueError, r"targets \(39, 1\)"),
        ({"targets": Y.squeeze(-1)}, ValueError, r"targets \(40,\)"),
        (
            {"targets": Y.repeat(1, 2)},
            ValueError,
            r"targets of shape \(40, 2\).*output of shape \(40, 1\)",
        ),
        ({"targets": Y.double()}, TypeError, r"targets has dtype torch.float64"),
        ({"inputs": X[:0], "targets": Y[:0]}, ValueError, r"N >= 1"),
        ({"inputs": X.repeat(1, 2)}, ValueError, r"x has shape \(40, 2\)"),
        ({"validation": X}, TypeError, r"validation is a Tensor; expected a pair"),
        ({"validation": (X, Y[:2])}, ValueError, r"validation inputs"),
        ({"validation": (X, Y.repeat(1, 3))}, ValueError, r"validation targets of shape \(40, 3\)"),
        ({"validation": (X.repeat(1, 2), Y)}, ValueError, r"x has shape \(40, 2\)"),
        ({"callback": 3}, TypeError, r"callback=3"),
        ({"model": torch.tanh}, TypeError, r"model is a"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(arguments, error, message):
    model = KAN([1, 1], generator=generator())
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(error, match=message):
        fit(**{"model": model, "inputs": X, "targets": Y, **arguments})
    assert all(torch.equal(a, before[name]) for name, a in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "x, error, message",
    [
        (torch.zeros(3, 3), ValueError, r"x has shape \(3, 3\); expected \(..., 2\)"),
        (torch.zeros(3, 2, dtype=int), TypeError, r"x has dtype torch.int64"),
        (torch.zeros(3, 2, device="meta"), ValueError, r"x is on device meta"),
    ],
)
def test_mlp_names_bad_input(x, error, message):
    with pytest.raises(error, match=message):
        MLP([2, 1])(x)


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
