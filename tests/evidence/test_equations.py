"""Differential equations: solutions, residuals and the plain spline, against other ways to them."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_bvp, solve_ivp
from torch import nn

from evidence.runs import equations
from evidence.runs.equations import EQUATIONS, Residual, TensorSpline
from kanbook import optimizers, training
from kanbook.networks import KAN, MLP


@pytest.mark.parametrize("name", EQUATIONS)
def test_solutions_leave_nothing(name):
    equation = EQUATIONS[name]
    x = equations.sample(equation, 100, 0).requires_grad_()
    u = equation.solution(x)
    slopes = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
    bends = [torch.autograd.grad(s.sum(), x, retain_graph=True)[0] for s in slopes.split(1, 1)]
    bends = torch.stack([b[:, i] for i, b in enumerate(bends)]).unsqueeze(-1)
    left = equation.residual(x, u, slopes.T.unsqueeze(-1), bends)
    assert left.abs().max() < 1e-10
    walls = equations.sample(equation, 200, 1, on_boundary=True)
    if name == "burgers":
        walls = walls[(walls[:, 0] < 1)]  # no condition at the end of time
    assert (equation.solution(walls) - equation.start(walls)[0]).abs().max() < 1e-9
    assert equation.window(walls)[0].abs().max() < 1e-12


def test_burgers_as_a_method_of_lines():
    x = np.linspace(-1, 1, 801)
    h = x[1] - x[0]

    def rate(t, u):
        full = np.r_[0, u, 0]
        flux = -(full[2:] ** 2 - full[:-2] ** 2) / (4 * h)
        return flux + equations.VISCOSITY * np.diff(full, 2) / h**2

    found = solve_ivp(rate, (0, 0.6), -np.sin(np.pi * x[1:-1]), "BDF", rtol=1e-8, atol=1e-8)
    points = torch.tensor(np.c_[np.full(len(x), 2 * 0.6 - 1), x])
    right = EQUATIONS["burgers"].solution(points)[1:-1, 0].numpy()
    assert abs(found.y[:, -1] - right).max() < 2e-3


def test_residual_as_by_autograd():
    network = MLP([2, 5, 1], generator=0, dtype=torch.float64)
    model = Residual(network, "poisson-2d")
    x = equations.sample(model.equation, 20, 0)

    def u(p):
        return ((1 - p[0] ** 2) * (1 - p[1] ** 2) * network(p.unsqueeze(0))).squeeze()

    bends = torch.stack([torch.func.hessian(u)(p).diagonal().sum() for p in x])
    source = -2 * math.pi**2 * torch.sin(math.pi * x).prod(1)
    torch.testing.assert_close(model(x)[:, 0], bends - source)
    torch.testing.assert_close(model.solution(x)[:, 0], torch.stack([u(p) for p in x]))


def test_penalized_walls():
    model = Residual(KAN([1, 1], generator=0, dtype=torch.float64), "poisson-1d", built_in=False)
    walls = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    torch.testing.assert_close(model(walls), model.network(walls))


@pytest.mark.parametrize(("grid_size", "degree", "below"), [(20, 3, 0.03), (20, 5, 0.02)])
def test_collocation_of_a_linear_equation(grid_size, degree, below):
    equation = EQUATIONS["poisson-1d"]
    spline = TensorSpline([grid_size], degree)
    coef, _ = equations.collocate(equation, spline)
    x = torch.linspace(-1, 1, 101, dtype=torch.float64).unsqueeze(1)
    u = equations.trial_solution(equation, x, *(one @ coef for one in spline.functions(x)))[0]

    def system(t, y):
        p = torch.tensor(t).unsqueeze(1)
        zero = torch.zeros(1, len(t), 1, dtype=torch.float64)
        return np.stack([y[1], -equation.residual(p, zero[0], zero, zero)[:, 0].numpy()])

    t = np.linspace(-1, 1, 200)
    other = solve_bvp(system, lambda a, b: np.r_[a[0], b[0]], t, np.zeros((2, 200)), tol=1e-6)
    assert abs(u[:, 0].numpy() - other.sol(x[:, 0].numpy())[0]).max() < below


def test_the_spline_converges_with_its_order():
    def off(grid_size):
        run = {"task": "equation:poisson-2d", "model": "collocation", "degree": 3}
        return equations.solve(run | {"grid_size": grid_size}, 0)["test_loss"] ** 0.5

    assert 3 < off(6) / off(12) < 40  # of order 2 at least: 4; of 4: 16
    assert off([6, 6]) == off(6)
    assert off([6, 12]) < off(6) and off([12, 6]) == pytest.approx(off([6, 12]))


def test_collocation_has_the_weights_of_gauss():
    run = {"task": "equation:poisson-1d", "model": "collocation", "degree": 5, "grid_size": 95}
    assert equations.solve(run, 0)["test_loss"] ** 0.5 < 1e-7  # without: 1.5e-6


def test_least_squares_sees_all_ways_to_a_parameter():
    """A model that looks at derivatives, or at weights, is no row of layers."""
    x = torch.linspace(-1, 1, 40, dtype=torch.float64).unsqueeze(1)

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = MLP([1, 4, 1], generator=0, dtype=torch.float64)

        def forward(self, x):
            return self.network(x) * (1 + self.network[0].weight.sum())

    model = Tied()
    assert not optimizers.is_made_of_layers(model, x[:2])
    assert optimizers.is_made_of_layers(nn.ModuleList([model.network])[0], x[:2])
    assert training.fit(model, x, x.sin(), optimizer="lm", steps=15).loss[-1] < 1e-4


def test_a_run_twice():
    settings = dict(equations.EXPERIMENT.settings[0]) | {"lr": 0.01, "steps": 12, "then": 2}
    settings |= {"points": 30}
    first, second = (equations.solve(settings, 2000) for _ in range(2))
    for one in (first, second):
        one["curve"].pop("seconds"), one.pop("seconds")
        [probe.pop("seconds") for probe in one["probes"]]
    assert first == second
    assert first["complete"] and first["curve"]["step"][-1] == 14
    assert [probe["optimizer"] for probe in first["probes"]] == ["adam", "lm"]
    stopped = equations.solve(settings, 2000, limit=0)
    assert not stopped["complete"] and len(stopped["curve"]["step"]) == 1
