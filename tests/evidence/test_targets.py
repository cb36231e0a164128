"""Targets along the axes, rotated and generic: what they are, and how they are sampled."""

import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from evidence.tasks.targets import TARGETS, in_ball, named, rotation, spread, target

AXES = [name for name, one in TARGETS.items() if one.kind == "axes"]


@pytest.mark.parametrize("d", [2, 3, 5, 10])
def test_points_are_uniform_in_a_ball(d):
    points = in_ball(20_000, d, torch.Generator().manual_seed(0)).numpy()
    radius = math.sqrt((d + 2) / 3)
    distance = np.linalg.norm(points, axis=1) / radius
    assert stats.kstest(distance**d, "uniform").pvalue > 0.001  # volume grows with r^d
    np.testing.assert_allclose(np.cov(points.T), np.eye(d) / 3, atol=0.015)


@pytest.mark.parametrize("d", [2, 3, 5, 10])
def test_a_rotation_keeps_lengths_and_no_axis(d):
    q = rotation(d)
    torch.testing.assert_close(q @ q.T, torch.eye(d, dtype=q.dtype), atol=1e-14, rtol=0)
    assert q.abs().max() < 0.9


@pytest.mark.parametrize("name", AXES)
def test_a_rotated_target_is_the_same_function_of_rotated_points(name):
    x, y = target(f"rotated {name}", 300, generator=1, dtype=torch.float64)
    turned = torch.stack([rotation(x.shape[1]) @ point for point in x])
    torch.testing.assert_close(TARGETS[name].function(turned), y[:, 0], rtol=1e-9, atol=1e-9)
    assert not torch.allclose(TARGETS[name].function(x), y[:, 0], atol=0.1)
    assert spread(f"rotated {name}") == pytest.approx(spread(name), rel=0.02)


# Sums of curves, once the function outside is taken off: f of a point whose coordinates come from
# two points in turn tells it, f(a, b) - f(a, b') does not depend on a.
INVERSES = {
    "exp_sine": torch.log,
    "cliff": torch.atanh,
    "skyline": lambda y: y,
    "product": torch.log,
    "five_curves": lambda y: y,
    "ten_waves": torch.log,
}


@pytest.mark.parametrize("name", INVERSES)
def test_a_curve_of_a_sum_of_curves(name):
    d = TARGETS[name].inputs
    a, b, c = 0.4 * in_ball(200, d, torch.Generator().manual_seed(2)).repeat(3, 1, 1)
    b, c = b.roll(1, 0), c.roll(2, 0)

    def inside(first, second):
        x = torch.cat([first[:, : d // 2], second[:, d // 2 :]], 1)
        return INVERSES[name](TARGETS[name].function(x))

    left, right = inside(a, b) - inside(a, c), inside(b, b) - inside(b, c)
    torch.testing.assert_close(left, right, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", TARGETS)
def test_no_target_is_a_plane_or_a_constant(name):
    x, y = (values.numpy() for values in target(name, 4000, generator=3, dtype=torch.float64))
    assert np.isfinite(y).all() and y.std() == pytest.approx(spread(name), rel=0.06)
    columns = np.hstack([x, np.ones_like(y)])
    left = y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
    assert left.var() > 0.1 * y.var()


@pytest.mark.parametrize("name", TARGETS)
def test_a_kink_does_not_fade_under_the_microscope(name):
    one = TARGETS[name]
    ends = in_ball(20, one.inputs, torch.Generator().manual_seed(0)).reshape(10, 2, -1)
    bends = []
    for n in (1001, 10001):  # the change of slope from one piece of a line to the next
        t = torch.linspace(0, 1, n, dtype=torch.float64).reshape(-1, 1, 1)
        values = one.function(torch.lerp(ends[:, 0], ends[:, 1], t).flatten(0, 1))
        bends.append((n - 1) * values.reshape(n, -1).diff(n=2, dim=0).abs().max())
    assert (bends[0] / bends[1] > 5) == one.smooth


def test_values_by_hand():
    def value(name, point):
        return TARGETS[name].function(torch.tensor([point], dtype=torch.float64)).item()

    assert value("exp_sine", [0.5, 1.0]) == pytest.approx(math.exp(2))
    assert value("deep", [0.0, 0.0, 0.0, 0.0, 0.0]) == pytest.approx(math.sqrt(1.05))
    assert value("bessel", [0.5, 0.1, 0.3]) == pytest.approx(special.j0(3.5))
    assert value("rational", [1.0, 1.0, 0.0]) == pytest.approx(1.3 / 0.65)
    # Franke's own coordinates of [0, 1] squared: at (2 / 9, 2 / 9) the first hill is 0.75 high
    hill = 0.75 + 0.75 * math.exp(-9 / 49 - 0.3) + 0.5 * math.exp(-26 / 4)
    assert value("franke", [-5 / 9, -5 / 9]) == pytest.approx(hill - 0.2 * math.exp(-29))


@pytest.mark.parametrize(("name", "length"), [("field_2", 0.35), ("field_5", 1.5)])
def test_fields_lose_correlation_as_a_gaussian_does(name, length):
    # averaged over places and directions in a box of many lengths
    generator = torch.Generator().manual_seed(4)
    d = TARGETS[name].inputs
    x = 100 * length * torch.rand(20_000, d, dtype=torch.float64, generator=generator)
    step = torch.randn(20_000, d, dtype=torch.float64, generator=generator)
    there = x + length * step / step.norm(dim=1, keepdim=True)
    here, there = TARGETS[name].function(x), TARGETS[name].function(there)
    found = np.corrcoef(here.numpy(), there.numpy())[0, 1]
    assert found == pytest.approx(math.exp(-0.5), abs=0.12)


def test_noise_is_in_units_of_the_spread_and_leaves_the_rest_alone():
    clean, y = target("product", 5000, generator=5, dtype=torch.float64)
    x, noisy = target("product", 5000, noise=0.2, generator=5, dtype=torch.float64)
    assert torch.equal(x, clean)
    errors = (noisy - y)[:, 0].numpy() / spread("product")
    assert errors.std() == pytest.approx(0.2, rel=0.03)
    assert abs(np.corrcoef(errors, y[:, 0])[0, 1]) < 0.05
    # also where the few samples happen to spread less or more
    few, clean = (target("product", 20, noise=noise, generator=5)[1] for noise in (0.2, 0.0))
    numbers = torch.Generator().manual_seed(5)
    in_ball(20, 3, numbers)
    errors = 0.2 * spread("product") * torch.randn(20, 1, generator=numbers, dtype=torch.float64)
    torch.testing.assert_close(few - clean, errors.float(), rtol=1e-4, atol=1e-5)


def test_the_same_samples_for_every_dtype():
    exact = target("bessel", 50, generator=6, dtype=torch.float64)
    for values, rounded in zip(exact, target("bessel", 50, generator=6), strict=True):
        assert rounded.dtype == torch.float32 and torch.equal(values.float(), rounded)


def test_a_quicker_wave():
    x, y = target("exp_sine 4", 300, generator=1, dtype=torch.float64)
    a, b = x.numpy().T
    np.testing.assert_allclose(y[:, 0], np.exp(np.sin(4 * np.pi * a) + b**2), rtol=1e-12)
    for name in ("exp_sine", "exp_sine 1"):
        assert torch.equal(*(named(n).function(x) for n in (name, "exp_sine")))
    assert named("exp_sine 8").inputs == 2 and named("rotated cliff") is TARGETS["rotated cliff"]
    with pytest.raises(KeyError):
        named("exp_sine four")
