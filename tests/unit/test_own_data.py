"""The fair race on a reader's own data."""

import numpy as np
import pytest
import torch

from kanbook import KAN, MLP, count_parameters
from kanbook.experiments import fair_race, own_data

pytestmark = pytest.mark.usefixtures("float64")
QUICK = {"steps": 30, "rates": (0.01, 0.1), "seeds": 2}


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def samples(n=200, generator=0):
    x = torch.rand(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(generator))
    return x, torch.sin(3 * x[:, :1]) + 5 * x[:, 1:2] ** 2


def test_same_numbers_again_and_global_generator_untouched():
    x, y = samples()
    torch.manual_seed(3)
    first = fair_race(x, y, **QUICK)
    after = torch.rand(1)
    second = fair_race(x.numpy(), y.numpy().ravel(), **QUICK)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(1))
    measured = [name for name in first if name != "seconds"]
    assert first[measured].equals(second[measured])
    other = fair_race(x, y, generator=1, **QUICK)
    assert not np.allclose(first.rmse, other.rmse)


def test_units_do_not_matter_and_constant_columns_are_harmless():
    x, y = samples()
    plain = fair_race(x, y, **QUICK)
    moved = fair_race(x * torch.tensor([1e3, 1e-3, 7.0]) - 4, 1e4 * y + 3, **QUICK)
    np.testing.assert_allclose(plain.rmse, moved.rmse, rtol=1e-3)
    constant = fair_race(torch.cat([x, torch.full((len(x), 1), 2.5)], 1), y, **QUICK)
    assert np.isfinite(constant.rmse).all()


def test_sizes_are_equal_and_the_plane_is_least_squares():
    for inputs, outputs, hidden in [(1, 1, 5), (3, 1, 5), (8, 2, 6), (30, 1, 4)]:
        make = own_data._networks(inputs, outputs, hidden, "cpu")
        kan, mlp = count_parameters(make["KAN"](0)), count_parameters(make["MLP"](0))
        assert isinstance(make["KAN"](0), KAN) and isinstance(make["MLP"](0), MLP)
        assert abs(kan - mlp) <= max(2, 0.02 * kan)
    x = torch.randn(100, 2, dtype=torch.float64)
    y = x @ torch.tensor([[1.0], [-2.0]], dtype=torch.float64) + 3
    assert fair_race(x, y, **QUICK).set_index("family").rmse["linear"] < 1e-10
    assert fair_race(x, y + torch.randn(100, 1), **QUICK).rmse.between(0.1, 2).all()


def test_the_test_samples_decide_nothing(monkeypatch):
    """Other targets of the test samples change the result and neither a rate nor a network."""
    x, y = samples()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    spoiled = y.clone()
    spoiled[order[round(0.8 * len(x)) :]] *= -1
    trained = []
    keep = own_data._rmse

    def note(model, part):
        trained.append([*model.parameters()])
        return keep(model, part)

    monkeypatch.setattr(own_data, "_rmse", note)
    first = fair_race(x, y, **QUICK)
    half, trained[:] = [*trained], []
    second = fair_race(x, spoiled, **QUICK)
    assert first.rate.equals(second.rate) and (second.rmse > 1.5 * first.rmse).all()
    for before, after in zip(half, trained, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.rand(30, 2), torch.rand(29, 1), "x has 30 samples and y 29"),
        (torch.rand(5, 2), torch.rand(5, 1), "at least 20"),
        (torch.rand(30, 2, 2), torch.rand(30), r"x has shape \(30, 2, 2\)"),
        (torch.full((30, 2), torch.nan), torch.rand(30), "x is nan at index"),
    ],
)
def test_bad_data_are_named(x, y, message):
    with pytest.raises(ValueError, match=message):
        fair_race(x, y)
