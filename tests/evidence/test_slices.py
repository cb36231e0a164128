"""The cold case: its pictures between the pixels, its features, its soft boxes, its widths."""

import numpy as np
import pytest
import torch
from scipy.interpolate import RegularGridInterpolator

from evidence import EXPERIMENTS
from evidence.runs import rivals, slices, trials
from evidence.tasks.pictures import PICTURES, picture
from kanbook.splines import uniform_knots

ONE = {"task": "slices-16", "slices": 1, "frequencies": 2}


def test_luminance_between_the_pixels_is_that_of_scipy():
    settings = ONE | {"slices": 3, "raw": True, "positions": 500}
    (x, y), _ = slices.make(settings, 0, dtype=torch.float64)
    places = x[:, [5, 10]] / torch.pi - 1  # behind five features of the slice and five of x
    centers = (2 * np.arange(16) + 1) / 16 - 1
    inside = (places.abs() < centers[-1]).all(-1)
    which = (x[:, 0] / torch.pi).round().long()  # 0, pi, 2 pi
    assert set(which.tolist()) == {0, 1, 2} and inside.sum() > 300
    for i, name in enumerate([*PICTURES][:3]):
        values = picture(name, 16, dtype=torch.float64)[1].view(16, 16).T.numpy()  # by x, then y
        reference = RegularGridInterpolator((centers, centers), values)
        chosen = inside & (which == i)
        np.testing.assert_allclose(y[chosen, 0], reference(places[chosen]), atol=1e-12)


def test_pixels_are_those_of_the_pictures_and_the_test_is_the_same_for_all():
    (x, y), test = slices.make(ONE | {"slices": 2}, 0, dtype=torch.float32)
    assert torch.equal(y, torch.cat([picture(n, 16)[1] for n in [*PICTURES][:2]]))
    assert x.shape == (512, slices.inputs_of(ONE | {"slices": 2})) and test[0].shape[0] == 10_000
    _, other = slices.make(ONE | {"slices": 2, "positions": 9}, 1, dtype=torch.float32)
    assert torch.equal(test[0], other[0]) and torch.equal(test[1], other[1])


@pytest.mark.parametrize("cosines", [True, False])
@pytest.mark.parametrize("raw", [True, False])
def test_features(raw, cosines):
    x, which = torch.tensor([[-1.0, 0.5]]), torch.tensor([1])
    found = slices.encode(x, which, 3, frequencies=2, cosines=cosines, raw=raw)
    wanted = []
    for u in (torch.pi, 0.0, 1.5 * torch.pi):  # the middle slice, x, y
        wanted += [u] * raw
        for f in (1, 2):
            wanted += [np.sin(f * u)] + [np.cos(f * u)] * cosines
    np.testing.assert_allclose(found[0], wanted, atol=1e-6)
    settings = {"slices": 3, "frequencies": 2, "cosines": cosines, "raw": raw}
    assert slices.inputs_of(settings) == len(wanted)


def by_recursion(x, t, j, k):
    if k == 0:
        return 1 / (1 + np.exp(-4 * (x - t[j]))) / (1 + np.exp(-4 * (t[j + 1] - x)))
    left = (x - t[j]) / (t[j + k] - t[j]) * by_recursion(x, t, j, k - 1)
    right = (t[j + k + 1] - x) / (t[j + k + 1] - t[j + 1]) * by_recursion(x, t, j + 1, k - 1)
    return left + right


def test_soft_boxes():
    knots = torch.stack([uniform_knots(4, 3, (-1, b), dtype=torch.float64) for b in (1.0, 2.0)])
    x = torch.linspace(-3, 3, 50, dtype=torch.float64).unsqueeze(-1).repeat(1, 2)
    found = rivals.soft_basis(x, knots, 3)
    for i, j in np.ndindex(2, 7):
        wanted = by_recursion(x[:, i].numpy(), knots[i].numpy(), j, 3)
        np.testing.assert_allclose(found[j, :, i], wanted, atol=1e-12)
    inside = x[:, 0].abs() <= 1
    assert 1.1 < found[:, inside, 0].sum(0).mean() < 1.3  # where B-splines add up to 1


def test_soft_layer_is_its_formula():
    layer = rivals.SoftKANLayer(
        2, 3, bias=True, spline_weight=True, base=torch.sin, dtype=torch.float64, generator=0
    )
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    x = torch.rand(9, 2, dtype=torch.float64)
    bases = rivals.soft_basis(x, layer.knots, 3)
    wanted = layer.bias.repeat(9, 1)
    for i in range(2):
        spline = sum(bases[j, :, i, None] * layer.coef[i, :, j] for j in range(8))
        wanted = wanted + spline * layer.spline_weight[i]
        wanted = wanted + x[:, i, None].sin() * layer.base_weight[i]
    torch.testing.assert_close(layer(x), wanted)


@pytest.mark.parametrize("name", ["cold-case", "cold-case-finale"])
def test_networks_are_as_large_as_they_should_be(name):
    for settings in EXPERIMENTS[name].settings:
        if "measure" in settings:
            continue
        model = trials.make_model(settings, generator=0)
        n = sum(p.numel() for p in model.parameters())
        assert abs(n / settings["size"] - 1) <= 0.02
        assert min(settings["widths"][1:-1]) >= 2
        assert settings["widths"][0] == slices.inputs_of(settings)


def test_a_run_of_the_cold_case():
    settings = EXPERIMENTS["cold-case"].settings[-3] | {"steps": 20, "positions": 2000}
    run = trials.run_trial(settings, 0)
    assert run["test_loss"] < 0.1 and run["complete"]
