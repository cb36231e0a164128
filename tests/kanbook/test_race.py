"""The fair race on a reader's own data."""

import pickle

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
    assert not np.allclose(first.relative_rmse, other.relative_rmse)


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
    with pytest.raises(ValueError, match="rates=-0.1; expected a finite number > 0"):
        fair_race(x, y, rates=(-0.1,))


def test_units_do_not_matter_and_constant_columns_are_harmless():
    x, y = samples()
    plain = fair_race(x, y, **QUICK)
    moved = fair_race(x * torch.tensor([1e3, 1e-3, 7.0]) - 4, 1e4 * y + 3, **QUICK)
    np.testing.assert_allclose(plain.relative_rmse, moved.relative_rmse, rtol=1e-3)
    constant = fair_race(torch.cat([x, torch.full((len(x), 1), 2.5)], 1), y, **QUICK)
    assert np.isfinite(constant.relative_rmse).all()


def test_sizes_are_equal_and_the_plane_is_least_squares():
    for inputs, outputs, hidden in [(1, 1, 5), (3, 1, 5), (8, 2, 6), (30, 1, 4)]:
        make = race._networks(inputs, outputs, hidden)
        assert isinstance(make["KAN"](0), KAN) and isinstance(make["MLP"](0), MLP)
        kan = count_parameters(make["KAN"](0))
        for rival in "MLP", "spline MLP":
            assert abs(kan - count_parameters(make[rival](0))) <= max(4, 0.03 * kan)
    x = torch.randn(100, 2, dtype=torch.float64)
    y = x @ torch.tensor([[1.0], [-2.0]], dtype=torch.float64) + 3
    assert fair_race(x, y, **QUICK).set_index("family").relative_rmse["linear"] < 1e-10
    assert fair_race(x, y + torch.randn(100, 1), **QUICK).relative_rmse.between(0.1, 2).all()


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
    assert (
        first.rate.equals(second.rate) and (second.relative_rmse > 1.5 * first.relative_rmse).all()
    )
    for before, after in zip(half, trained, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.rand(30, 2), torch.rand(29, 1), "x has 30 samples and y 29"),
        (torch.rand(5, 2), torch.rand(5, 1), "at least 20"),
        (torch.rand(30, 2, 2), torch.rand(30), r"x has shape \(30, 2, 2\)"),
        (torch.full((30, 2), torch.nan), torch.rand(30), "x is nan at index"),
        (torch.rand(30, 2) + 1j, torch.rand(30), "x has dtype complex64; expected numbers"),
        (np.full((30, 2), "a"), torch.rand(30), "x has dtype <U1; expected numbers, or x as a Da"),
        (torch.rand(30, 2), torch.full((30,), 0.1), "y is the same in all 18 rows of one part"),
        (torch.rand(30, 2), ["a"] * 30, "column 'y' is 'a' in all 30 rows"),
        (torch.rand(30, 2), "price", "target='price'; expected one of two or more columns"),
        (torch.rand(30, 0), torch.rand(30), r"x has shape \(30, 0\); expected \(N, columns >= 1"),
    ],
)
def test_bad_data_are_named(x, y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fair_race(x, y)


@pytest.mark.parametrize(
    ("name", "value"), [("kind", "classification"), ("kind", ""), ("generator", 10**17)]
)
def test_options_are_checked_for_arrays(name, value):
    x, y = samples()
    with pytest.raises(ValueError, match=f"{name}={value!r}; expected "):
        fair_race(x, torch.cat([y, y], 1), **{name: value})


def test_contestants_are_checked_all_at_once():
    x, y = samples()
    with pytest.raises(ValueError, match="contestants has <object"):
        fair_race(x, y, contestants=object())
    assert fair_race(x, y, contestants="linear").family.tolist() == ["linear"]


def test_a_failed_contestant_is_a_row_and_the_others_race_on(monkeypatch):
    x, y = samples()
    options = {"contestants": ("linear", "additive", "KAN"), "steps": 2, "rates": 0.1}
    whole = fair_race(x, y, **options)
    fit = baselines.fit
    error = np.linalg.LinAlgError("no root " + 40 * "of a matrix ")

    def fail(name, *parts, **options):
        if name == "linear":
            raise error
        return fit(name, *parts, **options)

    monkeypatch.setattr(baselines, "fit", fail)
    found = fair_race(x, y, **options)
    assert found.family.tolist() == [*whole.family[1:], "linear"]
    assert found.error[:-1].tolist() == whole.error[1:].tolist()
    assert found.failure.tolist() == [np.nan] * 4 + [f"LinAlgError: {error}"]
    assert found.iloc[-1, 1:-1].isna().all() and str(error) in str(found)


def test_all_columns_are_printed_and_the_result_can_be_stored():
    found = fair_race(*samples(), steps=1, rates=0.1, seeds=1)
    with pd.option_context("display.width", 40, "display.max_columns", 2):
        header = str(found).splitlines()[0]
    assert header.split() == [*found] and "relative_rmse" in found
    stored = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(stored, pd.DataFrame(found))


def parts(x, y, kind=None):
    """All numbers of the three parts."""
    found = race._parts(x, y, kind, True, torch.Generator().manual_seed(0))
    return torch.cat([t.ravel().double() for part in found for t in part])


def test_strides_and_bytes_of_any_order():
    x, y = (values.numpy() for values in samples())
    for u, v in [(x[::-1].copy()[::-1], y), (np.asfortranarray(x), y.astype(">f8"))]:
        assert torch.equal(parts(u, v), parts(x, y))


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
    assert numbers.relative_rmse.equals(numbers.error) and "accuracy" not in numbers
    assert classes.accuracy.between(0.7, 1).all() and "relative_rmse" not in classes
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


def test_a_column_of_y_beside_columns_of_any_name():
    frame = flats().drop(columns="dear")
    expected, inputs = parts(frame, "rent"), frame[["area", "town"]]
    for name in "target", "y", ("y", 1):
        named = inputs.rename(columns={"area": name})
        for y in (frame.rent, frame.rent.rename(name), frame[["rent"]], [*frame.rent]):
            assert torch.equal(parts(named, y), expected)
    assert torch.equal(parts(pd.concat({"a": frame}, axis=1), ("a", "rent")), expected)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (flats().rent, "y is column 'rent' of x; expected x without it, or y='rent'"),
        (flats().rent.sort_values(), "y has another index than x; expected the same rows"),
        (flats()[["rent", "area"]], r"y has shape \(300, 2\); expected one for each of 300 rows"),
        (["rent"], r"y has shape \(1,\); expected one for each of 300 rows"),
        ([0.1] * 300, "column 'y' is .*0.1.* in all 300 rows"),
    ],
)
def test_a_bad_column_of_y_is_named(y, message):
    with pytest.raises(ValueError, match=message):
        fair_race(flats(), y, kind="regression")


def test_labels_beside_arrays_are_classes(monkeypatch):
    monkeypatch.setattr(race, "CONTESTANTS", ("linear", "KAN"))
    x, y = samples()
    high = (y > y.median()).ravel()
    labels = np.where(high, "high", "Low")
    for same in (high, high.numpy(), labels, labels.tolist(), pd.Series(labels, dtype="category")):
        assert torch.equal(parts(x, same), parts(x, high.long(), "classes"))
    assert "accuracy" in fair_race(x, labels, steps=1, rates=0.1, seeds=1)
    with pytest.raises(ValueError, match="contestants has 'polynomial'; expected some of"):
        fair_race(x, labels, contestants=("linear", "polynomial"))
    with pytest.raises(TypeError, match="y has dtype <U4; expected numbers"):
        fair_race(x, labels, kind="regression")


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
