"""The fair race on a reader's own data."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics

from kanbook import KAN, MLP, baselines, count_parameters, race
from kanbook.race import fair_race

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
    measured = [name for name in first if "seconds" not in name]
    assert first[measured].equals(second[measured])
    other = fair_race(x, y, generator=1, **QUICK)
    assert not np.allclose(first.rmse, other.rmse)


def test_by_levenberg_marquardt():
    x, y = samples()
    torch.set_default_dtype(torch.float32)  # what a reader has
    names = "KAN", "MLP", "spline MLP"
    found = fair_race(x, y, optimizer="lm", steps=20, seeds=2, contestants=names)
    assert found.rate.isna().all() and found.groupby("family").size().eq(2).all()
    adam = fair_race(x, y, contestants=names, **QUICK).error.min()
    assert (found.groupby("family").error.min() < 0.3 * adam).all()
    with pytest.raises(ValueError, match="optimizer='lm' is for numbers; expected 'adam'"):
        fair_race(x, (y > 1).long().ravel(), kind="classes", optimizer="lm", contestants=names)
    with pytest.raises(ValueError, match="optimizer='sgd'; expected one of adam, lm"):
        fair_race(x, y, optimizer="sgd")
    with pytest.raises(ValueError, match=r"rates=\(\); expected one learning rate or more"):
        fair_race(x, y, rates=())


def test_units_do_not_matter_and_constant_columns_are_harmless():
    x, y = samples()
    plain = fair_race(x, y, **QUICK)
    moved = fair_race(x * torch.tensor([1e3, 1e-3, 7.0]) - 4, 1e4 * y + 3, **QUICK)
    np.testing.assert_allclose(plain.rmse, moved.rmse, rtol=1e-3)
    constant = fair_race(torch.cat([x, torch.full((len(x), 1), 2.5)], 1), y, **QUICK)
    assert np.isfinite(constant.rmse).all()


def test_sizes_are_equal_and_the_plane_is_least_squares():
    for inputs, outputs, hidden in [(1, 1, 5), (3, 1, 5), (8, 2, 6), (30, 1, 4)]:
        make = race._networks(inputs, outputs, hidden)
        assert isinstance(make["KAN"](0), KAN) and isinstance(make["MLP"](0), MLP)
        kan = count_parameters(make["KAN"](0))
        for rival in "MLP", "spline MLP":
            assert abs(kan - count_parameters(make[rival](0))) <= max(4, 0.03 * kan)
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
    keep = race._errors

    def note(model, part):
        trained.append([*model.parameters()] if isinstance(model, torch.nn.Module) else [])
        return keep(model, part)

    monkeypatch.setattr(race, "_errors", note)
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


def flats(n=300, generator=0):
    """A table as it is read from a file: gaps, words, an outlier."""
    g = np.random.default_rng(generator)
    frame = pd.DataFrame({"area": g.uniform(20, 200, n), "town": g.choice(["Ulm", "Bonn"], n)})
    frame["rent"] = 400 * np.sin(frame.area / 40) + 300 * (frame.town == "Ulm")
    frame["dear"] = np.where(frame.rent > 200, "yes", "no")
    frame.loc[::11, "town"] = None
    frame.loc[3, "area"] *= 100
    return frame


def test_a_file_of_the_readers_own(tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "TREES", {k: v[-1:] for k, v in baselines.TREES.items()})
    monkeypatch.setattr(baselines, "TREES_AT_MOST", 50)
    flats().to_csv(tmp_path / "flats.csv", index=False)
    frame = pd.read_csv(tmp_path / "flats.csv")
    options = {"steps": 60, "rates": (0.1,), "seeds": 1}
    numbers = fair_race(frame.drop(columns="dear"), "rent", **options)
    classes = fair_race(frame.drop(columns="rent"), "dear", **options)
    for found in (numbers, classes):
        assert tuple(found.family.unique()) == race.CONTESTANTS
        assert found.prediction_seconds.between(1e-7, 1).all()
        error = found.set_index("family").error
        assert error.max() < 0.5 and error["additive"] < 0.5 * error["linear"]
    assert numbers.rmse.equals(numbers.error) and "accuracy" not in numbers
    assert classes.accuracy.between(0.7, 1).all() and "rmse" not in classes
    again = fair_race(frame[["area", "town"]], frame.rent, contestants=("KAN",), **options)
    assert again.error[0] == numbers.set_index("family").error["KAN"]


def test_errors_of_classes_against_scikit_learn():
    outputs = torch.randn(50, 3, dtype=torch.float64)
    y = torch.arange(50) % 3 * (torch.arange(50) % 2)
    shares = np.tile(np.bincount(y) / 50, (50, 1))
    expected = metrics.log_loss(y, outputs.softmax(1)) / metrics.log_loss(y, shares)
    found = race._errors(lambda x: outputs, (torch.zeros(50, 1), y))
    assert found["error"] == pytest.approx(expected, rel=1e-6)
    assert found["accuracy"] == metrics.accuracy_score(y, outputs.argmax(1))
    constant = torch.tensor(shares).log()
    assert race._errors(lambda x: constant, (torch.zeros(50, 1), y))["error"] == pytest.approx(1)


def test_arrays_of_classes_and_of_several_outputs():
    x, y = samples()
    one = {**QUICK, "contestants": ("linear", "additive")}
    classes = fair_race(x, (y > y.median()).long().ravel(), kind="classes", **one)
    assert (classes.accuracy > 0.85).all()
    both = fair_race(x, torch.cat([y, -y], 1), **one)
    np.testing.assert_allclose(both.error, fair_race(x, y, **one).error, rtol=1e-6)
    assert both.parameters.tolist() == [8, 2 * fair_race(x, y, **one).parameters[1]]


def test_parts_of_classes_are_alike_and_those_in_time_follow_each_other():
    classes = torch.tensor([0] * 80 + [1] * 15 + [2] * 5)
    parts = race._split(100, classes, True, torch.Generator().manual_seed(0))
    assert [classes[part].bincount().tolist() for part in parts] == [
        [48, 9, 3],
        [16, 3, 1],
        [16, 3, 1],
    ]
    assert sorted(torch.cat(parts).tolist()) == [*range(100)]
    parts = race._split(100, classes, False, torch.Generator())
    assert torch.cat(parts).tolist() == [*range(100)] and len(parts[2]) == 20
