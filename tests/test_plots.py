"""Plots: what is drawn is what the network computes."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from kanbook import KAN, MLP, plots, splines


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def kan(widths, **options):
    return KAN(widths, generator=torch.Generator().manual_seed(0), **options)


def test_basis_plot_draws_every_function():
    knots = splines.uniform_knots(4, 2)
    coef = torch.arange(6.0)
    ax = plots.plot_basis(knots, 2, coef=coef, total=True)
    lines = ax.get_lines()
    assert len(lines) == 6 + 3  # functions, spline, sum, knots
    spline = next(line for line in lines if line.get_label() == "spline")
    x, y = (torch.tensor(np.asarray(v), dtype=torch.float32) for v in spline.get_data())
    torch.testing.assert_close(y, splines.evaluate(x, coef, knots, 2))


@pytest.mark.parametrize("widths", [[1, 5, 1], [2, 4, 3, 1], [3, 1], [1, 1], [2, 9]])
def test_edge_plot_draws_every_edge_over_its_real_range(widths):
    model = kan(widths)
    inputs = torch.rand(50, widths[0]) * 3 - 1.5
    figure = plots.plot_edges(model, inputs)
    figure.canvas.draw()
    assert len(figure.axes) == sum(i * o for i, o in zip(widths, widths[1:], strict=False))
    last = model[:-1](inputs).detach()
    axes = figure.axes[-widths[-2] * widths[-1] :]
    for ax, (i, o) in zip(
        axes, [(i, o) for i in range(widths[-2]) for o in range(widths[-1])], strict=True
    ):
        x, y = (torch.tensor(np.asarray(v)) for v in ax.get_lines()[0].get_data())
        assert x[0] == last[:, i].min() and x[-1].item() == pytest.approx(last[:, i].max().item())
        row = torch.zeros(len(x), widths[-2])
        row[:, i] = x
        torch.testing.assert_close(y, model[-1].edges(row)[:, i, o].detach())
        assert ax.get_title() == f"{i} → {o}"


def test_drawings_hold_every_edge():
    _, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    plots.draw_kan(kan([2, 3, 1]), torch.rand(20, 2), ax=left)
    plots.draw_mlp(MLP([2, 3, 1]), ax=right)
    assert len(left.get_lines()) == 3 * (6 + 3)  # two line ends and a curve an edge
    assert len(right.get_lines()) == 6 + 3 + 3  # edges, and a curve a hidden node
    left.figure.canvas.draw()


def test_plots_leave_the_model_alone():
    model = kan([1, 2, 1])
    before = [p.clone() for p in model.parameters()]
    plots.plot_edges(model, torch.rand(5, 1))
    plots.draw_kan(model, torch.rand(5, 1))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert not any(layer._forward_pre_hooks for layer in model)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            lambda: plots.plot_edges(MLP([1, 1]), torch.zeros(2, 1)),
            ValueError,
            "MLP without KAN layers",
        ),
        (
            lambda: plots.draw_kan(MLP([1, 1]), torch.zeros(2, 1)),
            ValueError,
            "MLP without KAN layers",
        ),
        (lambda: plots.draw_mlp(kan([1, 1])), ValueError, "KAN without linear layers"),
        (lambda: plots.draw_kan(kan([9, 9]), torch.zeros(2, 9)), ValueError, "81 edges.*60"),
        (lambda: plots.plot_edges(kan([1, 1]), torch.zeros(2, 3)), ValueError, "x has shape"),
        (lambda: plots.plot_basis(torch.zeros(2, 9), 2), ValueError, r"knots has shape \(2, 9\)"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
