"""The race on a user's own data: what it takes, compares and says."""

import os
import signal
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from skrub import TableVectorizer

from kanbook import _estimator, racing, rivals
from kanbook.plots import ROLES
from kanbook.racing import CONTESTANTS, race, resampled_t


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(_estimator, "STEPS", {"adam": 25, "lm": 4})
    monkeypatch.setattr(rivals, "TREES", {"max_leaf_nodes": (4, 8)})
    monkeypatch.setattr(rivals, "RIDGES", (1e-6, 1e-3, 1))


def numbers(n=80, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 3))
    return x, 50 * np.sin(3 * x[:, 0]) + 100 * x[:, 1] ** 2 + 1000


def flats(n=120, seed=0):
    """As it is read from a file: gaps, words, dates, numbers as strings, the same row twice."""
    g = np.random.default_rng(seed)
    frame = pd.DataFrame({"area": g.uniform(20, 200, n), "town": g.choice(["Ulm", "Bonn"], n)})
    frame["rent"] = 4 * frame.area + 300 * (frame.town == "Ulm")
    frame["rooms"] = g.integers(1, 6, n).astype(str)
    frame["since"] = pd.date_range("2020", periods=n, freq="D")
    frame["land"], frame["garden"] = "DE", g.random(n) < 0.5
    frame.loc[::11, ["town", "area"]] = None
    frame.loc[5, "since"] = pd.NaT
    return pd.concat([frame, frame.tail(10)], ignore_index=True)


def raced(X, y, *args, **options):
    return race(X, y, *args, **{"contestants": ["linear"], "progress": False} | options)


def test_numbers_as_arrays_and_tensors(capfd):
    X, y = numbers()
    torch.manual_seed(3)
    found = raced(X, y, contestants=None, cv=3)
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(1)) and capfd.readouterr() == ("", "")
    assert {*found.table.index} == {*CONTESTANTS} and found.table.folds.eq(3).all()
    assert found.table.error.is_monotonic_increasing and found.table.failure.isna().all()
    sizes = found.runs.groupby("contestant").parameters.unique()
    assert all(size <= 180 for size in sizes["KAN"])  # [3, 5, 1], of 6 + 3 numbers an edge
    assert (np.abs(sizes["MLP"] - 180) < 25).all()
    again = raced(torch.tensor(X), torch.tensor(y)[:, None], contestants="KAN", cv=3)
    assert again.table.error["KAN"] == found.table.error["KAN"]
    linear = [found.runs.contestant == "linear"]
    for row, (train, test) in zip(
        found.runs[linear[0]].itertuples(),
        KFold(3, shuffle=True, random_state=0).split(X),
        strict=True,
    ):
        misses = LinearRegression().fit(X[train], y[train]).predict(X[test]) - y[test]
        assert row.error == pytest.approx(np.sqrt(np.mean(misses**2)), rel=0.02)
        constant = np.sqrt(np.mean((y[train].mean() - y[test]) ** 2))
        assert row.relative == pytest.approx(row.error / constant)


@pytest.mark.filterwarnings("ignore:Found unknown categories")  # in later rows: Rome
def test_a_table_of_the_users_own():
    frame = flats()
    kept = frame.copy()
    found = raced(frame, "rent", contestants=None, cv=2, parameters=60)
    pd.testing.assert_frame_equal(frame, kept)
    assert found.table.failure.isna().all() and found.table.relative["linear"] < 0.6
    later = flats(20, seed=1).drop(columns="rent").assign(town="Rome")
    for model in found.models.values():
        assert np.isfinite(model.predict(later)).all() and len(model.predict(later)) == len(later)
    apart = raced(frame.drop(columns="rent"), frame.rent, cv=2)
    assert apart.table.error["linear"] == found.table.error["linear"]


@pytest.mark.parametrize("name", ["target", "y", 0])
def test_a_column_of_any_name_is_harmless(name):
    X, y = numbers()
    plain, named = pd.DataFrame(X, columns=list("abc")), pd.DataFrame(X, columns=["a", name, "c"])
    expected = raced(plain, y).table.error["linear"]
    assert raced(named, y).table.error["linear"] == expected
    assert raced(named, pd.Series(y, name=name)).table.error["linear"] == expected
    assert raced(plain.assign(b=y).rename(columns={"b": name}), name).target == str(name)


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (["yes", "no"] * 20, "log-loss"),
        (pd.Series(["yes", "no"] * 20, dtype="category"), "log-loss"),
        (torch.tensor([True, False] * 20), "log-loss"),
        (pd.array([0, 1, 2, 3] * 10, dtype="Int64"), "log-loss"),
        (np.array([0.5, 1.0] * 20), "RMSE"),
        ([str(i) for i in range(40)], "RMSE"),
        (range(40), "RMSE"),
    ],
)
def test_kinds(y, kind):
    X = np.random.default_rng(0).normal(size=(40, 2))
    found = raced(X, y, cv=2)
    assert found.measure == kind and found.table.failure.isna().all()
    labels = np.asarray(y).tolist()
    if kind == "log-loss":
        assert {*found.models["linear"].predict(X).tolist()} <= {*labels}


def test_labels():
    X, y = numbers()
    y = np.where(y > 1030, "dear", np.where(y < 990, "cheap", "Fair"))
    found = raced(X, y, {"forest": RandomForestClassifier(random_state=0)}, contestants=None, cv=3)
    assert found.table.accuracy.between(0.5, 1).all() and found.table.failure.isna().all()
    assert {*found.models["KAN"].predict(X)} <= {*y}
    guess = raced(X, y, {"guess": lambda: DummyClassifier(strategy="prior")}, cv=3)
    folds = StratifiedKFold(3, shuffle=True, random_state=0).split(X, y)
    expected = [
        log_loss(y[test], DummyClassifier().fit(X[train], y[train]).predict_proba(X[test]))
        for train, test in folds
    ]
    assert guess.table.error["guess"] == pytest.approx(np.mean(expected))
    assert guess.table.relative["guess"] == pytest.approx(1)
    with pytest.raises(ValueError, match="contestants has 'PyKAN'; expected some of KAN, MLP, bo"):
        raced(X, y, contestants=["PyKAN"])


def test_two_outputs_of_different_units():
    X, y = numbers()
    Y = pd.DataFrame({"price": y, "size": 1e-6 * X[:, 2]})
    found = raced(pd.DataFrame(X), Y, contestants=None, cv=2)
    assert found.table.failure.isna().all() and found.target == "price, size"
    assert found.models["boosted trees"].predict(pd.DataFrame(X)).shape == Y.shape
    guess = raced(X, Y.to_numpy(), {"guess": DummyRegressor}).table.loc["guess"]
    assert guess.relative == pytest.approx(1) and guess.error == pytest.approx(1, rel=0.05)


class Column(BaseEstimator):
    """Predicts a column, (N, 1), and is no scikit-learn estimator of a known kind."""

    seen = []

    def fit(self, X, y):
        self.mean, self.shape = np.mean(y), X.shape
        Column.seen.append((np.array(X, float), y))
        return self

    def predict(self, X):
        return np.full((len(X), 1), self.mean)


def test_contestants_of_ones_own():
    X, y = numbers()
    own = {
        "forest": RandomForestRegressor(10, random_state=0),
        "as function": lambda: RandomForestRegressor(10, random_state=0),
        "column": Column,
        "own steps": make_pipeline(TableVectorizer(), LinearRegression()),
    }
    found = raced(X, y, own, contestants=[], cv=2).table
    assert found.error["forest"] == found.error["as function"] < found.error["column"]
    assert found.word.eq("").all() and found.relative["column"] == pytest.approx(1)
    assert not hasattr(own["forest"], "estimators_")
    found = raced(flats().dropna(), "rent", own, cv=2)
    assert found.models["own steps"].steps[0][0] == "tablevectorizer" and found.models.keys() > {
        *own
    }
    assert len(found.models["own steps"]) == 2 and len(found.models["forest"]) > 1


@pytest.mark.parametrize(
    "cv", [4, TimeSeriesSplit(3), ShuffleSplit(3, test_size=0.3, random_state=1), GroupKFold(4)]
)
def test_folds_are_those_of_the_splitter_and_the_same_for_all(cv):
    X, y = numbers()
    groups = np.arange(len(X)) // 8 if cv == 4 or isinstance(cv, GroupKFold) else None
    Column.seen.clear()
    found = raced(X, y, {"a": Column, "b": Column}, contestants=[], cv=cv, groups=groups)
    splitter = GroupKFold(4, shuffle=True, random_state=0) if cv == 4 else cv
    folds = [*splitter.split(X, y, groups)]
    expected = [train for train, _ in folds] + [np.arange(len(X))]
    for pair, rows in zip(zip(*[iter(Column.seen)] * 2, strict=True), expected, strict=True):
        for inputs, targets in pair:
            assert np.array_equal(inputs, X[rows]) and np.array_equal(targets, y[rows])
    assert found.share == pytest.approx(np.mean([len(test) / len(train) for train, test in folds]))


def test_nothing_is_learned_from_the_rows_of_the_test(monkeypatch):
    """Whatever they hold, all contestants are the same, and have as many parameters."""
    frame, trained = flats().drop(columns=["since", "rooms"]), []
    spoiled = frame.copy()
    spoiled.loc[80:, ["area", "rent"]] *= 1000
    spoiled.loc[80:, "town"] = "Rome"
    errors = racing._errors

    def note(model, data, train, test):
        trained.append((model, data.inputs(train)))
        return errors(model, data, train, test)

    monkeypatch.setattr(racing, "_errors", note)
    cv = PredefinedSplit(np.where(np.arange(len(frame)) < 80, -1, 0))
    runs = [raced(part, "rent", contestants=None, cv=cv).runs for part in (frame, spoiled)]
    assert runs[0].settings.equals(runs[1].settings) and runs[0].parameters.equals(
        runs[1].parameters
    )
    assert (runs[0].error != runs[1].error).all()
    for (first, rows), (second, same) in zip(trained[:5], trained[5:], strict=True):
        assert np.array_equal(first.predict(rows), second.predict(same))


class Fails(Column):
    def __init__(self, at=0, error=RuntimeError):
        self.at, self.error = at, error

    def fit(self, X, y):
        if len(Column.seen) >= self.at:
            raise self.error("no root of a matrix")
        return super().fit(X, y)


def test_pykan_beside_the_kan(monkeypatch):
    monkeypatch.setattr(rivals, "GRIDS", (3,))
    X, y = numbers()
    cv = ShuffleSplit(1, test_size=0.3, random_state=0)
    found = raced(X, y, contestants=["KAN", "PyKAN"], cv=cv, parameters=160)
    assert found.table.parameters["PyKAN"] == 160 and found.table.relative["PyKAN"] < 0.5
    assert found.runs.settings[1] == {"grid_size": 3}
    assert np.isfinite(found.models["PyKAN"].predict(X)).all()


def test_one_that_fails_is_a_row_and_the_others_race_on():
    Column.seen.clear()
    X, y = numbers()
    found = raced(X, y, {"weak": Fails(at=1), "nan": lambda: Nothing()}, contestants=["KAN"], cv=2)
    assert found.table.index.tolist()[0] == "KAN" and {*found.models} == {"KAN", "nan"}
    assert found.table.failure["weak"] == "RuntimeError: no root of a matrix"
    assert found.table.loc["weak", ["error", "relative", "seconds"]].isna().all()
    assert "weak failed: RuntimeError: no root of a matrix." in str(found) and found.plot()
    assert found.table.failure["nan"] == "ValueError: what it predicts is not finite"


class Nothing(Column):
    def predict(self, X):
        return np.full(len(X), np.nan)


@pytest.mark.parametrize("done", [1, 2])
def test_what_is_there_after_ctrl_c(done):
    Column.seen.clear()
    X, y = numbers()
    stops = {"guess": Fails(at=done, error=KeyboardInterrupt)}
    found = raced(X, y, stops, contestants=["KAN"])
    assert found.table.folds.eq(done).all() and found.models == {}
    for text in (str(found), found.report()):
        assert f"It was stopped after {done} of 5 folds" in text and "No model is fi" in text
        assert ("undecided, one fold" in text) == (done == 1) and "nan" not in text
    with pytest.raises(KeyboardInterrupt):
        raced(X, y, {"guess": Fails(error=KeyboardInterrupt)})


def test_seconds_leave_time_for_the_models():
    class Slow(Column):
        def fit(self, X, y):
            time.sleep(0.2)
            return super().fit(X, y)

    X, y = numbers()
    start = time.perf_counter()
    found = raced(X, y, {"slow": Slow}, contestants=[], seconds=0.9)
    assert time.perf_counter() - start < 0.9 + 0.3
    assert 1 <= found.runs.fold.nunique() <= 3 and "slow" in found.models
    assert "of 5 folds" in str(found)
    only = raced(X, y, {"slow": Slow}, contestants=[], seconds=0.01)
    assert only.runs.fold.tolist() == [1] and not only.models


def test_search_draws_the_same_number_for_all_networks(monkeypatch):
    X, y = numbers()
    found = raced(X, y, contestants=["KAN", "MLP"], search=3, parameters=60, cv=2)
    for name in "KAN", "MLP":
        assert len(found.models[name].cv_results_["params"]) == 3
        for chosen in found.runs[found.runs.contestant == name].settings:
            assert {*racing.RANGES[name]} < {*chosen}
    wide = found.runs[found.runs.contestant == "MLP"].parameters
    assert wide.between(50, 70).all() and "the best settings of 3 random ones" in found.report()


def test_words_and_what_is_printed():
    X, y = numbers(150)
    found = raced(X, y, {"guess": DummyRegressor()}, contestants=["KAN", "linear"])
    text, report = str(found), found.report()
    assert found.table.word["guess"] == "clearly worse" and found.table.word["KAN"] == ""
    for part in (
        "y: RMSE; relative 1 is what the best constant has",
        "guess against the KAN: clearly worse; its error is ",
        "Said of this data set only; 5 folds share rows, which the test corrects for (Nadeau and",
    ):
        assert part in text
    for part in ("KFold(n_splits=5", "as nearly 180 parameters", "by KAN", "Holm", "clearly worse"):
        assert part in report
    assert "\n" not in report


def test_the_plot_has_the_best_on_top_and_is_legible_on_a_phone():
    X, y = numbers()
    found = raced(X, y, {"guess": DummyRegressor()}, contestants=["KAN", "linear"], cv=3)
    for size in (10, 14):
        with plt.rc_context({"font.size": size}):
            figure = found.plot()
        (ax,) = figure.axes
        low, high = ax.get_ylim()
        assert [label.get_text() for label in ax.get_yticklabels()] == [*found.table.index]
        assert low > high and ax.lines[0].get_color() == ROLES["KAN"]["color"]
        assert sorted(ax.lines[0].get_xdata()) == sorted(
            found.runs.error[found.runs.contestant == "KAN"]
        )
        pixels = ax.get_yticklabels()[0].get_size() * 360 / (72 * figure.get_figwidth())
        assert pixels > 10


def test_the_corrected_test_against_its_formula_and_its_false_positives():
    g = np.random.default_rng(0)
    logs = g.normal(0.1, 0.3, 10)
    ratio, low, high, p = resampled_t(logs, 0.25)
    t = logs.mean() / np.sqrt((1 / 10 + 0.25) * logs.var(ddof=1))
    assert p == pytest.approx(2 * stats.t.sf(abs(t), 9))
    assert np.log([low, high]) == pytest.approx(
        np.log(ratio) * (1 + np.array([-1, 1]) * stats.t.ppf(0.975, 9) / t)
    )
    plain, corrected = [], []
    for _ in range(400):  # two learners that are equally good, on 15 splits of the same 60 rows
        a, b = g.normal(size=(2, 60))
        splits = [g.permutation(60)[:20] for _ in range(15)]
        # each learns one number from the rows that are not in the test
        errors = [
            [np.mean((np.delete(c, s).mean() - 1 - (c[s] - 1)) ** 2) for s in splits]
            for c in (a, b)
        ]
        differences = np.log(errors[0]) - np.log(errors[1])
        plain.append(stats.ttest_1samp(differences, 0).pvalue < 0.05)
        corrected.append(resampled_t(differences, 20 / 40)[-1] < 0.05)
    assert np.mean(plain) > 0.2 and np.mean(corrected) < 0.1


def test_ctrl_c_while_two_processes_train(tmp_path):
    X, y = numbers()
    parent, third = os.getpid(), 3

    class Interrupts(Column):
        def fit(self, X, y):
            (tmp_path / f"{time.time_ns()}").touch()
            if len([*tmp_path.iterdir()]) == third:
                os.kill(parent, signal.SIGINT)
                time.sleep(20)
            return super().fit(X, y)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # xdist hears none
    try:
        found = raced(X, y, {"own": Interrupts}, n_jobs=2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert found.table.folds.eq(2).all()


X, Y = numbers(40)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=Y)


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        (X, Y[:-1], {}, "y has 39 rows; expected one for each of the 40 rows of X"),
        (X[:5], Y[:5], {}, "X has 5 rows; expected at least 20"),
        (X[:, :, None], Y, {}, r"X has shape \(40, 3, 1\); expected \(N, columns >= 1\)"),
        (X[:, :0], Y, {}, r"X has shape \(40, 0\)"),
        (X, X[:, :, None], {}, r"y has shape \(40, 3, 1\); expected \(N,\) or \(N, O\)"),
        (np.where(X > 0.9, np.inf, X), Y, {}, r"X is inf at index \[\d+, \d\]; expected finite"),
        (X.astype(str), Y, {}, "X has dtype <U.*; expected numbers, or X as a pandas.DataFrame"),
        (FRAME.assign(a=np.inf), "y", {}, "column 'a' of X is infinite somewhere"),
        (
            FRAME.assign(a=["?", *map(str, range(39))]),
            "y",
            {},
            r"'a' of X holds .*'\?'.*to_numeric",
        ),
        (FRAME.rename(columns={"a": "b"}), "y", {}, "X has two columns 'b'"),
        (FRAME, "price", {}, r"y='price'; expected one of two or more columns: \['a', .*'y'\]"),
        (X, "price", {}, "y='price'; expected values; X is no DataFrame"),
        (FRAME[["y"]], "y", {}, "expected one of two or more columns"),
        (FRAME, ["a", "y"], {}, "y has 2 rows"),
        (FRAME, FRAME.y.sort_values(), {}, "y has another index than X"),
        (FRAME, FRAME.y, {}, "y is column 'y' of X; expected X without it, or y='y'"),
        (X, np.where(Y[3] < Y, np.nan, Y), {}, r"y is missing in \d+ of 40 rows; .*leave them out"),
        (X, np.where(Y[3] < Y, np.inf, Y), {}, "y is inf at index"),
        (X, [0.1] * 40, {}, "y is 0.1 in all 40 rows; expected two values"),
        (X, ["a"] * 36 + ["b"] * 4, {}, "y has 'b' in 4 rows only; expected 5 or more of each"),
        (X, ["a", "b"] * 20, {"kind": "regression"}, "y has 'a'; expected numbers for kind='regr"),
        (X, np.stack([Y, Y], 1), {"kind": "classes"}, "y has 2 columns; expected one for kind="),
        (X, pd.date_range("2024", periods=40), {}, "y holds datetime64.*; expected numbers or la"),
        (X, Y, {"kind": "classification"}, "kind='classification'; expected one of regression"),
        (X, Y, {"cv": 1}, "cv=1; expected an integer >= 2"),
        (X, Y, {"groups": [0, 1] * 19}, r"groups has shape \(38,\); expected \(40,\)"),
        (X, Y, {"groups": "g"}, r"groups has shape \(\); expected \(40,\)"),
        (X, Y, {"groups": [0, 1] * 20, "cv": KFold(2)}, "has group 0 in both parts of fold 1"),
        (X, Y, {"groups": [0, 1] * 20}, "groups has 2 different labels; expected 5, as cv, or m"),
        (X, ["a"] * 20 + ["b"] * 20, {"cv": TimeSeriesSplit(4)}, "no row of class 'b'.*in fold 1"),
        (X, Y, {"contestants": ["forest"]}, "contestants has 'forest'; expected some of KAN, MLP"),
        (X, Y, {"also": {"MLP": LinearRegression()}}, "also has 'MLP', the name of a default"),
        (X, Y, {"also": LinearRegression()}, "also is a LinearRegression; expected a dict"),
        (X, Y, {"also": {"mine": "forest"}}, r"also\['mine'\] is 'forest'; expected what has fit"),
        (
            X,
            ["a", "b"] * 20,
            {"also": {"mine": LinearRegression()}},
            "what has fit and predict_pro",
        ),
        (X, Y, {"search": 0}, "search=0; expected an integer >= 1"),
        (X, Y, {"seconds": 0}, "seconds=0; expected a finite number > 0"),
        (X, Y, {"parameters": 1.5}, "parameters=1.5; expected an integer"),
        (X, Y, {"random_state": None}, "random_state=None; expected an integer"),
    ],
)
def test_bad_input_is_named_before_anything_is_trained(X, y, options, message, monkeypatch):
    monkeypatch.setattr(racing, "_run", None)
    with pytest.raises((TypeError, ValueError), match=message):
        race(X, y, **{"progress": False} | options)
