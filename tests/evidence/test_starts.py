"""Other starts of a KAN: which numbers change, and how widely they spread."""

import copy

import pytest
import torch
from torch import nn

from evidence.runs.starts import STARTS, start
from kanbook import KAN, Mixture
from kanbook.layers import KANLayer


def a_kan(widths=(30, 40, 50), grid_size=6, degree=2, **options):
    """A KAN whose every parameter is 7."""
    options = {"base": nn.functional.silu, "bias": True, "spline_weight": True} | options
    model = KAN(widths, grid_size=grid_size, degree=degree, **options)
    for parameter in model.parameters():
        parameter.data.fill_(7)
    return model


@pytest.mark.parametrize("name", STARTS)
def test_only_what_is_named_changes_and_the_generator_decides(name):
    model, before = a_kan(), torch.get_rng_state()
    assert start(model, name, 3) is model
    assert torch.equal(torch.get_rng_state(), before)
    if name != "lines":
        changed = {n for n, p in model.named_parameters() if (p != 7).any()}
        kinds = ("coef", "base_weight") if name == "power law" else ("coef",)
        kinds = ("coef", "spline_weight", "base_weight") if name == "pykan" else kinds
        kinds = ("coef", "spline_weight", "base_weight", "bias") if name == "products" else kinds
        assert changed == {f"{n}.{kind}" for n in (0, 1) for kind in kinds}
    seeds = torch.Generator().manual_seed(3), 4
    again, other = (start(a_kan(), name, seed).state_dict() for seed in seeds)
    for key, value in model.state_dict().items():
        assert torch.equal(value, again[key])
    assert not torch.equal(model[0].coef, other["0.coef"])
    assert all(p.requires_grad and p.grad_fn is None for p in model.parameters())
    first, second = (layer.coef.flatten()[:100] for layer in model)
    assert not torch.allclose(first / first.std(), second / second.std())  # no two layers alike


def test_lines_are_the_librarys_start():
    fresh = KAN([3, 4, 2], base=torch.sin, bias=True, spline_weight=True, generator=5).state_dict()
    model = start(a_kan((3, 4, 2), 5, 3, base=torch.sin), "lines", 5).state_dict()
    assert all(torch.equal(model[key], value) for key, value in fresh.items())


@pytest.mark.parametrize("name, bound", [("uniform 0.1", 0.1), ("uniform 0.25", 0.25)])
def test_uniform_coefficients(name, bound):
    for layer in start(a_kan(), name, 0):
        assert 0.999 * bound < layer.coef.abs().max() <= bound
        assert layer.coef.mean().item() == pytest.approx(0, abs=0.02 * bound)
        assert layer.coef.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def is_normal(values, spread):
    """Mean, standard deviation and fourth moment are those of a normal distribution."""
    z = values.detach() / spread
    moments = [z.mean().item(), z.std().item(), (z**4).mean().item() / 3]
    return moments == pytest.approx([0, 1, 1], abs=10 / z.numel() ** 0.5)  # a uniform one has 0.6


def test_normal_coefficients():
    assert all(is_normal(layer.coef, 1) for layer in start(a_kan(), "normal", 0))


def test_power_law():
    for layer in start(a_kan(), "power law", 0):
        terms = layer.in_features * (6 + 2 + 1)  # G + k + 1
        assert is_normal(layer.coef, terms**-1.75) and is_normal(layer.base_weight, terms**-0.25)


def test_pykans_start_is_that_of_pykan():
    """Same spread of coefficients and weights as fresh layers of PyKAN itself."""
    kan = pytest.importorskip("kan")
    torch.manual_seed(0)
    theirs = kan.KANLayer(30, 40, num=6, k=2, noise_scale=0.3)
    (ours,) = start(a_kan((30, 40)), "pykan", 0)
    assert ours.coef.std().item() == pytest.approx(theirs.coef.std().item(), rel=0.03)
    assert ours.base_weight.std().item() == pytest.approx(theirs.scale_base.std().item(), rel=0.05)
    assert ours.base_weight.abs().max() <= theirs.in_dim**-0.5
    torch.testing.assert_close(ours.spline_weight, theirs.scale_sp)


def test_other_layers_stay_as_they_are():
    model = Mixture([2, 3, 4, 1], ["linear", "kan", "tanh"], generator=0)
    before = copy.deepcopy(model)
    start(model, "normal", 0)
    for old, new in zip(before, model, strict=True):
        same = all(map(torch.equal, old.parameters(), new.parameters()))
        assert same != isinstance(new, KANLayer)
