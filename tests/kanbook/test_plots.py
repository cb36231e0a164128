"""Plots: what is drawn is what the network computes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from helpers import shaded
from matplotlib import font_manager
from sklearn.linear_model import LinearRegression

from kanbook import KAN, MLP, importance, plots, splines
from kanbook.formulas import LIBRARY, snap


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def kan(widths, **options):
    return KAN(widths, generator=0, **options)


def test_basis_plot_draws_every_function():
    knots = splines.uniform_knots(4, 2)
    coef = torch.arange(6.0)
    ax = plots.plot_basis(knots, 2, coef=coef)
    lines = ax.get_lines()
    assert len(lines) == 6 + 2  # functions, spline, knots
    spline = next(line for line in lines if line.get_label() == "spline")
    x, y = (torch.tensor(np.asarray(v), dtype=torch.float32) for v in spline.get_data())
    torch.testing.assert_close(y, splines.evaluate(x, coef, knots, 2))
    for i, line in enumerate(lines[:6]):
        x, y = (torch.tensor(np.asarray(v), dtype=torch.float32) for v in line.get_data())
        torch.testing.assert_close(y, coef[i] * splines.basis(x, knots, 2)[:, i])
        assert x[0] == knots[i] and x[-1] == pytest.approx(knots[i + 3].item(), abs=0.01)
    assert shaded(ax) == [(-2, -1), (1, 2)]


@pytest.mark.parametrize("look", [{}, {"style": "italic"}, {"weight": "bold"}])
def test_figures_have_the_letters_of_the_book(look):
    with plt.rc_context():
        plots.use_style()
        wanted = font_manager.FontProperties(family=plt.rcParams["font.family"][:1], **look)
        path = font_manager.findfont(wanted, fallback_to_default=False)
        assert path.startswith(str(plots.FONTS))
        name = path.removeprefix(f"{plots.FONTS}/SourceSerif4-").removesuffix(".ttf")
        assert name.lower() == next(iter(look.values()), "regular")


def test_labels_stand_at_the_ends_of_lines_apart_from_each_other():
    ax = plt.figure().gca()
    ends = torch.rand(6).tolist()
    for n, end in enumerate(ends):
        ax.plot([0, 1, 2], [n, end, np.nan], label=f"line {n}")
    ax.plot([0, 1], [0, 0])  # has no label
    ax.set_ylim(-1, 7)
    plots.label_lines(ax)
    ax.figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in ax.texts), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 3 for low, high in zip(boxes[:-1], boxes[1:], strict=True))
    written = {text.get_text(): text for text in ax.texts}
    for n, end in enumerate(ends):
        text = written.pop(f"line {n}")
        assert text.get_color() == ax.lines[n].get_color() and text.xy == (1, end)
    assert not written


def test_drawings_hold_every_edge():
    _, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    plots.draw_kan(kan([2, 3, 1]), torch.rand(20, 2), ax=left)
    plots.draw_mlp(MLP([2, 3, 1]), ax=right)
    assert len(left.get_lines()) == 3 * (6 + 3)  # two line ends and a curve an edge
    assert len(right.get_lines()) == 6 + 3 + 3  # edges, and a curve a hidden node
    left.figure.canvas.draw()


def test_kan_drawing_shows_each_curve_upright_and_faint_if_flat():
    model = kan([1, 2], degree=1, grid_size=2)
    with torch.no_grad():  # a tall curve that rises, a flat one that falls
        model[0].coef[0, 0] = torch.tensor([-1.0, 0.0, 1.0])
        model[0].coef[0, 1] = torch.tensor([0.4, 0.0, -0.4])
    lines = plots.draw_kan(model, torch.linspace(-1, 1, 50).unsqueeze(-1)).get_lines()
    tall, flat = lines[:3], lines[3:]
    assert tall[2].get_alpha() == pytest.approx(1) and flat[2].get_alpha() == pytest.approx(0.4)
    assert (np.diff(tall[2].get_ydata()) > 0).all() and (np.diff(flat[2].get_ydata()) < 0).all()


def test_formula_drawing_shows_functions_beside_curves():
    x = torch.linspace(-1, 1, 60, dtype=torch.float64).unsqueeze(-1)
    y = torch.exp(torch.sinc(3 * x) + x)
    model = kan([1, 1, 1], dtype=torch.float64)
    formula = snap(model, x, y, functions={(1, 0, 0): "exp"}, library={"exp": LIBRARY["exp"]})
    assert formula.snaps[1:] == [(0, 0, 0, None)]
    ax = plots.draw_kan(formula, x)
    assert [text.get_text() for text in ax.texts if text.get_text()] == ["exp", "x1", "Σ", "Σ"]
    (_, _, inner), (_, _, outer) = ax.lines[:3], ax.lines[3:]
    for line, i in ((inner, 0), (outer, 1)):
        h = formula.network[:i](x)
        points = h.min() + (h.max() - h.min()) * torch.linspace(0, 1, 200, dtype=h.dtype)[:, None]
        expected = formula.network[i](points).detach().flatten()
        drawn = torch.tensor(np.asarray(line.get_ydata()))
        expected, drawn = ((v - v.min()) / (v.max() - v.min()) for v in (expected, drawn))
        torch.testing.assert_close(drawn, expected, rtol=0, atol=1e-5)


def test_mlp_drawing_shows_size_and_sign_of_weights():
    model = MLP([2, 1], dtype=torch.float64)
    model[0].weight.data.copy_(torch.tensor([[2.0, -1.0]]))
    large, negative = plots.draw_mlp(model).get_lines()
    assert large.get_linestyle() == "-" and negative.get_linestyle() == "--"
    assert large.get_linewidth() > 1.5 * negative.get_linewidth()
    plots.draw_mlp(MLP([1, 2, 1], torch.nn.PReLU(dtype=torch.float64), dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_drawings_of_low_precision(dtype):
    """In float16 the smallest spread, 1e-12, was 0, and NumPy has no bfloat16."""
    x, flat = torch.linspace(-1, 1, 50, dtype=dtype).unsqueeze(-1), kan([1, 2], dtype=dtype)
    torch.nn.init.zeros_(flat[0].coef)
    knots = splines.uniform_knots(4, 2, dtype=dtype)
    drawn = plots.draw_kan(flat, x), plots.draw_mlp(MLP([1, 1], dtype=dtype))
    for ax in (*drawn, plots.plot_basis(knots, 2)):
        assert all(np.isfinite(line.get_xydata().astype(float)).all() for line in ax.lines)


def test_importance_shows_shares_ranges_and_groups():
    drawn = np.random.default_rng(0).normal(size=(100, 3))
    drawn[:, 2] = drawn[:, 0]
    model = LinearRegression().fit(drawn[:, :2], drawn @ [2, 1, 0])
    model.coef_, model.n_features_in_ = np.array([1, 1, 1]), 3
    table = importance(model, drawn, random_state=0)
    ax = plots.plot_importance(table)
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_yticklabels()] == [*table.index]
    assert {*table.index[:2]} == {"x1", "x3"} and ax.yaxis_inverted()
    dots, diamond = ax.get_lines()
    np.testing.assert_allclose(dots.get_xydata(), [*zip(table.share, range(3), strict=True)])
    np.testing.assert_allclose(diamond.get_xydata(), [[table.group_share.iloc[0], 0.5]])
    ends = [segment[:, 0] for segment in ax.collections[0].get_segments()]
    np.testing.assert_allclose(ends, table[["share_low", "share_high"]])


X = torch.zeros(2, 1)
KNOTS = splines.uniform_knots(4, 2)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: plots.draw_kan(MLP([1, 1]), X), "MLP without KAN layers"),
        (lambda: plots.draw_kan(kan([1, 1]), X[:0]), r"inputs has shape \(0, 1\); expected"),
        (
            lambda: plots.draw_kan(kan([1, 1, 1], base=torch.log), X),
            "layer 0 of model is -?(nan|inf)",
        ),
        (lambda: plots.draw_kan(kan([9, 9]), torch.zeros(2, 9)), "81 edges.*60"),
        (lambda: plots.draw_mlp(kan([1, 1])), "KAN without linear layers"),
        (lambda: plots.plot_basis(KNOTS.repeat(2, 1), 2), r"knots has shape \(2, 9\)"),
        (lambda: plots.plot_basis(KNOTS, 2, coef=torch.ones(1)), r"coef has shape \(1,\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
