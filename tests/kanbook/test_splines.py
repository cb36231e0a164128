"""Splines against SciPy, finite differences and exact properties, over random knots and degrees."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from kanbook import splines

DEGREES = range(8)
GOOD = splines.uniform_knots(4, 2)
X = torch.zeros(3)


def random_knots(rng, degree, kind, intervals):
    """Knots of one of the kinds that a user may meet, as a float64 array."""
    m = intervals + 2 * degree + 1
    if kind == "uniform":
        return splines.uniform_knots(intervals, degree, dtype=torch.float64).numpy()
    if kind == "random":
        return np.sort(rng.uniform(-1, 1, m))
    if kind == "clamped":
        inside = np.sort(rng.uniform(-1, 1, intervals - 1))
        return np.concatenate([[-1] * (degree + 1), inside, [1] * (degree + 1)])
    # Repeated: whole numbers, many of them equal, but no jump at the ends of the domain, where
    # SciPy and we choose differently which of two empty intervals counts.
    inside = np.sort(rng.integers(1, max(2, intervals // 2) + 1, intervals - 1)).astype(float)
    steps = np.arange(degree, -1.0, -1)
    return np.concatenate([-steps, inside, inside.max(initial=0) + 1 + steps[::-1]])


KINDS = ["uniform", "random", "clamped", "repeated"]


def sample(rng, knots, degree, dtype):
    """Points inside, outside, and on the knots, exactly representable in dtype."""
    around = rng.uniform(knots[0] - 1, knots[-1] + 1, 200)
    inside = rng.uniform(knots[degree], knots[-degree - 1], 400)
    return torch.tensor(np.concatenate([around, inside, knots]), dtype=dtype)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 2e-6), (torch.float64, 1e-13)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", DEGREES)
def test_basis_equals_scipy(degree, kind, dtype, tolerance):
    rng = np.random.default_rng(degree)
    for intervals in (1, 2, 5, 31):
        knots = torch.tensor(random_knots(rng, degree, kind, intervals), dtype=dtype)
        x = sample(rng, knots.double().numpy(), degree, dtype)
        ours = splines.basis(x, knots, degree).double().numpy()
        t, points = knots.double().numpy(), x.double().numpy()
        for i in range(ours.shape[1]):
            inside = (points > t[i]) & (points < t[i + degree + 1])
            assert (ours[(points < t[i]) | (points > t[i + degree + 1]), i] == 0).all()
            if inside.any():
                element = BSpline.basis_element(t[i : i + degree + 2], extrapolate=False)
                assert np.abs(ours[inside, i] - element(points[inside])).max() <= tolerance
        # On the closed domain, both ends included: all functions at once, and their sum.
        domain = (points >= t[degree]) & (points <= t[-degree - 1])
        scipy = BSpline(t, np.eye(len(t) - degree - 1), degree)(points[domain])
        assert np.abs(ours[domain] - scipy).max() <= tolerance
        assert np.abs(ours[domain].sum(1) - 1).max() <= tolerance


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", DEGREES)
def test_evaluate_and_its_derivative_equal_scipy(degree, kind):
    rng = np.random.default_rng(100 + degree)
    for intervals in (1, 4, 50):
        t = random_knots(rng, degree, kind, intervals)
        coef = rng.normal(size=len(t) - degree - 1)
        x = rng.uniform(t[degree], t[-degree - 1], 200)
        x = np.append(x, [t[degree], t[-degree - 1]])
        reference = BSpline(t, coef, degree)
        points = torch.tensor(x, requires_grad=True)
        y = splines.evaluate(points, torch.tensor(coef), torch.tensor(t), degree)
        np.testing.assert_allclose(y.detach(), reference(x), atol=1e-12)
        (slope,) = torch.autograd.grad(y.sum(), points)
        expected = reference(x, nu=1) if degree else np.zeros_like(x)
        np.testing.assert_allclose(slope, expected, atol=1e-12 * max(1, np.abs(expected).max()))


def test_outside_it_fades_to_zero_and_never_explodes():
    knots = splines.uniform_knots(5, 3)
    x = torch.tensor([-2.2, 2.2, -3.0, 3.0, 1e30, -1e30, torch.inf, -torch.inf])
    assert (splines.basis(x, knots, 3) == 0).all()
    assert splines.basis(torch.tensor([1.4]), knots, 3).sum().item() == pytest.approx(5 / 6)


@pytest.mark.parametrize("degree", DEGREES)
def test_nan_passes_through_and_empty_batches_work(degree):
    knots = splines.uniform_knots(5, degree)
    bases = splines.basis(torch.tensor([0.1, torch.nan]), knots, degree)
    assert torch.isfinite(bases[0]).all() and torch.isnan(bases[1]).any()
    x = torch.empty(0, requires_grad=True)
    y = splines.evaluate(x, torch.ones(5 + degree), knots, degree)
    assert y.shape == (0,)
    y.sum().backward()
    assert x.grad.shape == (0,)


def test_one_knot_vector_per_input():
    rng = np.random.default_rng(1)
    knots = torch.tensor(np.stack([random_knots(rng, 3, "random", 6) for _ in range(4)]))
    coef = torch.tensor(rng.normal(size=(4, 2, 9)))
    x = torch.tensor(rng.uniform(-1, 1, (5, 7, 4)))
    bases = splines.basis(x, knots, 3)
    values = splines.evaluate(x, coef, knots, 3)
    assert bases.shape == (5, 7, 4, 9) and values.shape == (5, 7, 4, 2)
    for i in range(4):
        torch.testing.assert_close(bases[..., i, :], splines.basis(x[..., i], knots[i], 3))
        for o in range(2):
            single = splines.evaluate(x[..., i], coef[i, o], knots[i], 3)
            torch.testing.assert_close(values[..., i, o], single)


@pytest.mark.parametrize("degree", [1, 3, 5])
def test_gradients_in_every_argument(degree):
    torch.manual_seed(0)
    x = (torch.rand(4, 2, dtype=torch.float64) * 2 - 1).requires_grad_()
    coef = torch.randn(2, 3, 4 + degree, dtype=torch.float64, requires_grad=True)
    knots = splines.uniform_knots(4, degree, dtype=torch.float64).repeat(2, 1).requires_grad_()

    def curve(x, coef, knots):
        return splines.evaluate(x, coef, knots, degree)

    assert torch.autograd.gradcheck(curve, (x, coef, knots))
    if degree > 1:
        assert torch.autograd.gradgradcheck(lambda x, c: curve(x, c, knots.detach()), (x, coef))


def test_repeated_knots_have_finite_gradients():
    knots = torch.tensor([0.0, 0.0, 0.0, 0.5, 0.5, 1.0, 1.0, 1.0], requires_grad=True)
    x = torch.tensor([0.0, 0.25, 0.5, 1.0], requires_grad=True)
    splines.cox_de_boor(x, knots, 2).square().sum().backward()
    assert torch.isfinite(x.grad).all() and torch.isfinite(knots.grad).all()


def test_uniform_knots():
    for degree in DEGREES:
        for grid_size in (1, 3, 200):
            knots = splines.uniform_knots(grid_size, degree, (0.1, 0.7))
            assert knots.shape == (grid_size + 2 * degree + 1,)
            assert knots[[degree, -degree - 1]].equal(torch.tensor([0.1, 0.7]))
            expected = torch.full((len(knots) - 1,), 0.6 / grid_size)
            torch.testing.assert_close(knots.diff(), expected, atol=1e-6, rtol=1e-4)
    assert splines.uniform_knots(2, 1, dtype=torch.float64).dtype == torch.float64


@pytest.mark.parametrize("degree", DEGREES)
def test_fit_recovers_a_spline(degree):
    rng = np.random.default_rng(degree)
    knots = torch.tensor(random_knots(rng, degree, "uniform", 6))
    coef = torch.tensor(rng.normal(size=6 + degree))
    x = torch.linspace(-1, 1, 400, dtype=torch.float64)
    found = splines.fit(x, splines.evaluate(x, coef, knots, degree), knots, degree)
    torch.testing.assert_close(found, coef, atol=1e-9, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("where", ["half", "five points", "one point"])
def test_fit_is_minimum_norm_where_data_are_missing(where, dtype):
    """The case in which torch.linalg.lstsq's default CPU driver may return all zeros."""
    rng = np.random.default_rng(0)
    x = {
        "half": rng.uniform(0, 1, 100),
        "five points": rng.choice([-0.9, -0.3, 0.0, 0.2, 0.7], 100),
        "one point": np.full(100, 0.3),
    }[where]
    knots, y = splines.uniform_knots(20, 3, dtype=torch.float64), np.cos(3 * x)
    design = splines.basis(torch.tensor(x), knots, 3).numpy()
    x, data = (torch.tensor(values, dtype=dtype) for values in (x, y))
    found = splines.fit(x, data, knots.to(dtype), 3)
    untouched = (design == 0).all(0)
    assert untouched.any() and (found[untouched] == 0).all()
    error = np.abs(design @ found.double().numpy() - y).max()
    assert error < (1e-3 if dtype == torch.float32 else 1e-4)
    if dtype == torch.float64:
        expected = np.linalg.lstsq(design, y, rcond=100 * np.finfo(float).eps)[0]
        np.testing.assert_allclose(found, expected, atol=1e-8)


def test_fit_with_ridge_solves_its_normal_equations():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, 30), rng.normal(size=30)
    knots = splines.uniform_knots(40, 3, dtype=torch.float64)
    a = splines.basis(torch.tensor(x), knots, 3).numpy()
    for ridge in (1e-6, 1e-2, 10):
        found = splines.fit(torch.tensor(x), torch.tensor(y), knots, 3, ridge=ridge).numpy()
        np.testing.assert_allclose(a.T @ (a @ found - y) + ridge * found, 0, atol=1e-10)


@pytest.mark.parametrize("ridge", [0, 0.5])
def test_fit_of_a_layer_equals_single_fits(ridge):
    rng = np.random.default_rng(0)
    x, y = torch.tensor(rng.uniform(-1, 1, (60, 3))), torch.tensor(rng.normal(size=(60, 3, 2)))
    knots = torch.tensor(np.stack([random_knots(rng, 2, "clamped", 5) for _ in range(3)]))
    coef = splines.fit(x, y, knots, 2, ridge=ridge)
    assert coef.shape == (3, 2, 7)
    for i, o in np.ndindex(3, 2):
        single = splines.fit(x[:, i], y[:, i, o], knots[i], 2, ridge=ridge)
        torch.testing.assert_close(coef[i, o], single, atol=1e-8, rtol=1e-8)


def extended(rng, inside, degree):
    left = inside[0] - np.cumsum(rng.uniform(0.1, 0.4, degree))[::-1]
    return torch.tensor(
        np.concatenate([left, inside, inside[-1] + np.cumsum(rng.uniform(0.1, 0.4, degree))])
    )


@pytest.mark.parametrize("degree", DEGREES)
def test_refine_is_exact_when_the_old_knots_are_among_the_new(degree):
    rng = np.random.default_rng(degree)
    for _ in range(10):
        old = np.concatenate([[-1], np.sort(rng.uniform(-1, 1, rng.integers(0, 8))), [1]])
        new = np.sort(np.concatenate([old, rng.uniform(-1, 1, rng.integers(0, 12))]))
        knots, new_knots = extended(rng, old, degree), extended(rng, new, degree)
        coef = torch.tensor(rng.normal(size=len(knots) - degree - 1))
        found = splines.refine(coef, knots, new_knots, degree)
        x = torch.tensor(rng.uniform(-1, 1, 500))
        before = splines.evaluate(x, coef, knots, degree)
        after = splines.evaluate(x, found, new_knots, degree)
        assert (before - after).abs().max() < 1e-12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", [0, 1, 3, 7])
def test_refine_with_other_knots_for_each_input(degree, kind):
    """Against single splines: knots of every kind, one more knot in each vector."""
    rng = np.random.default_rng(degree)
    knots = torch.tensor(np.stack([random_knots(rng, degree, kind, 5) for _ in range(3)]))
    extra = torch.stack([(t[degree] + t[-degree - 1]) / 2.1 for t in knots]).unsqueeze(-1)
    new_knots = torch.cat([knots, extra], -1).sort(-1).values
    coef = torch.tensor(rng.normal(size=(3, 2, 5 + degree)))
    found = splines.refine(coef, knots, new_knots, degree)
    for i in range(3):
        x = torch.tensor(rng.uniform(knots[i, degree], knots[i, -degree - 1], 300))
        for o in range(2):
            before = splines.evaluate(x, coef[i, o], knots[i], degree)
            single = splines.refine(coef[i, o], knots[i], new_knots[i], degree)
            for new in (found[i, o], single):
                after = splines.evaluate(x, new, new_knots[i], degree)
                assert (before - after).abs().max() < 1e-12


@pytest.mark.parametrize("steps", [1, 30, 300])
@pytest.mark.parametrize("degree", [1, 3, 5, 7])
def test_refine_is_exact_with_margin_knots_far_out(degree, steps):
    """There, basis functions reach into the domain by next to nothing, and still count."""
    inside, beyond = np.linspace(-1, 1, 6), np.arange(1, degree + 1)
    knots, new_knots = (
        torch.tensor(np.concatenate([-1 - h * beyond[::-1], inside, 1 + h * beyond]))
        for h in (0.4, 0.4 * steps)
    )
    coef = torch.tensor(np.random.default_rng(0).normal(size=5 + degree))
    found = splines.refine(coef, knots, new_knots, degree)
    x = torch.linspace(-1, 1, 500, dtype=torch.float64)
    before = splines.evaluate(x, coef, knots, degree)
    assert (before - splines.evaluate(x, found, new_knots, degree)).abs().max() < 1e-12


@pytest.mark.parametrize("degree", range(7))
def test_refine_to_a_higher_degree_keeps_a_polynomial(degree):
    """One interval is one polynomial piece, which every higher degree holds."""
    rng = np.random.default_rng(degree)
    knots = extended(rng, np.array([-1.0, 1.0]), degree)
    coef = torch.tensor(rng.normal(size=degree + 1))
    x = torch.linspace(-1, 1, 300, dtype=torch.float64)
    before = splines.evaluate(x, coef, knots, degree)
    for higher in (degree + 1, 7):
        new_knots = extended(rng, np.array([-1.0, 1.0]), higher)
        found = splines.refine(coef, knots, new_knots, degree, new_degree=higher)
        assert found.shape == (higher + 1,)
        assert (splines.evaluate(x, found, new_knots, higher) - before).abs().max() < 1e-12


@pytest.mark.parametrize(
    "degree, new_degree", [(0, 0), (1, 1), (3, 3), (2, 3), (1, 5), (5, 1), (0, 3), (3, 0)]
)
def test_refine_is_best(degree, new_degree):
    """Against least squares on a dense grid, by SciPy's splines."""
    rng = np.random.default_rng(0)
    knots = extended(rng, np.linspace(-1, 1, 6), degree)
    new_knots = extended(rng, np.linspace(-1, 1, 7), new_degree)
    coef = torch.tensor(rng.normal(size=5 + degree))
    found = splines.refine(coef, knots, new_knots, degree, new_degree=new_degree)
    x = -1 + 2 * (np.arange(6000) + 0.5) / 6000  # all knots lie between two points
    matrix = BSpline.design_matrix(x, new_knots.numpy(), new_degree).toarray()
    best = np.linalg.lstsq(matrix, BSpline(knots.numpy(), coef.numpy(), degree)(x))[0]
    np.testing.assert_allclose(matrix @ found.numpy(), matrix @ best, atol=1e-5)


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_refine_to_a_wider_domain(degree):
    """Where the old domain ends, the old curve fades, and the new one does as well as it can."""
    knots = splines.uniform_knots(6, degree, (-1.0, 0.5), dtype=torch.float64)
    new_knots = splines.uniform_knots(9, degree, (-2.0, 1.0), dtype=torch.float64)
    coef = torch.tensor(np.random.default_rng(0).normal(size=6 + degree))
    x = -2 + 3 * (torch.arange(9000, dtype=torch.float64) + 0.5) / 9000
    old = splines.evaluate(x, coef, knots, degree)
    found = splines.refine(coef, knots, new_knots, degree)
    best = splines.fit(x, old, new_knots, degree)
    torch.testing.assert_close(found, best, atol=1e-4, rtol=0)


@pytest.mark.parametrize("degree", [3, 7])
@pytest.mark.parametrize("samples", [1000, 20_000])
def test_fit_in_float32_is_as_good_as_float32(degree, samples):
    x = torch.tensor(np.random.default_rng(0).uniform(-1, 1, samples), dtype=torch.float32)
    knots, grid = splines.uniform_knots(10, degree), torch.linspace(-1, 1, 500)
    coef = splines.fit(x, torch.sin(3 * x), knots, degree)
    exact = splines.fit(x.double(), torch.sin(3 * x.double()), knots.double(), degree)
    curve = splines.evaluate(grid, coef, knots, degree)
    reference = splines.evaluate(grid.double(), exact, knots.double(), degree)
    assert coef.dtype == torch.float32 and (curve - reference).abs().max() < 5e-6


def test_fit_and_refine_pass_gradients_and_dtypes_on():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(30, generator=generator), torch.rand(30, generator=generator)
    y.requires_grad_()
    coef = splines.fit(x, y, GOOD, 2)
    splines.refine(coef, GOOD, splines.uniform_knots(8, 2), 2).square().sum().backward()
    assert y.grad.abs().max() > 0
    half = splines.fit(x.half(), y.detach().half(), GOOD.half(), 2)
    assert half.dtype == torch.float16 and (half - coef).abs().max() < 0.2


def knots(*arguments, **options):
    return lambda: splines.uniform_knots(*arguments, **options)


def basis(x, knots):
    return lambda: splines.basis(x, knots, 2)


def refine(new_knots, new_degree=2):
    return lambda: splines.refine(torch.ones(6), GOOD, new_knots, 2, new_degree=new_degree)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (knots(4, -1), ValueError, r"degree=-1.*0 to 7"),
        (knots(4, 8), ValueError, r"degree=8.*0 to 7"),
        (knots(0, 2), ValueError, r"grid_size=0.*>= 1"),
        (knots(2.5, 2), TypeError, r"grid_size=2.5.*integer"),
        (knots(4, 2, (0, torch.inf)), ValueError, r"domain=.*finite"),
        (knots(4, 2, (-1e39, 1e39)), ValueError, r"too wide or too narrow"),
        (knots(4, 2, dtype=torch.int64), TypeError, r"dtype=torch.int64"),
        (basis(X, GOOD[:5]), ValueError, r"knots has shape \(5,\).*6"),
        (basis(X, GOOD.flip(0)), ValueError, r"knots is not sorted, .* before "),
        (basis(X, GOOD / 0), ValueError, r"knots is -inf at index \[0\]"),
        (basis(X, torch.ones(9)), ValueError, r"are both 1.0: the domain between them is empty"),
        (basis(X.long(), GOOD), TypeError, r"x has dtype torch.int64"),
        (basis(X.double(), GOOD), TypeError, r"x has dtype torch.float64.*float32"),
        (basis([0.0], GOOD), TypeError, r"x is a list.*Tensor"),
        (basis(X.to("meta"), GOOD), ValueError, r"x is on device meta.*cpu"),
        (basis(X, GOOD.repeat(2, 1)), ValueError, r"x has shape \(3,\).*\(\.\.\., 2\)"),
        (lambda: splines.evaluate(X, X, GOOD, 2), ValueError, r"coef has shape \(3,\).*\(6,\)"),
        (lambda: splines.fit(X, X[:2], GOOD, 2), ValueError, r"x has shape \(3,\) and y \(2,\)"),
        (lambda: splines.fit(X[:0], X[:0], GOOD, 2), ValueError, r"N >= 1"),
        (lambda: splines.fit(X, X / 0, GOOD, 2), ValueError, r"y is nan at index"),
        (lambda: splines.fit(X, X, GOOD, 2, ridge=-1.0), ValueError, r"ridge=-1.0"),
        (refine(GOOD, 4), ValueError, r"new_knots has shape \(9,\).*10"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
