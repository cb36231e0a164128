"""Estimators: what scikit-learn asks of them, and what users do with them."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import skrub
import sympy
import torch
from mapie.regression import SplitConformalRegressor
from sklearn.base import clone
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from kanbook.estimators import KANClassifier, KANRegressor, MLPClassifier, MLPRegressor

EVERY = KANRegressor, KANClassifier, MLPRegressor, MLPClassifier
QUICK = {"steps": 20, "starts": 1, "lr": 0.1, "random_state": 0}


def samples(n=200, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 3))
    return x, np.exp(x[:, 0]) + x[:, 1] * x[:, 2]


@pytest.mark.parametrize("kind", EVERY)
def test_scikit_learn_finds_nothing_but_that_a_weight_is_no_repetition(kind):
    reason = "a row that is repeated is held out more often than one of weight two"
    failing = dict.fromkeys(["check_sample_weight_equivalence_on_dense_data"], reason)
    model = kind((3,), steps=30, starts=1, lr=0.1, optimizer="adam")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(model, expected_failed_checks=failing, on_skip=None, on_fail="raise")


def test_it_does_what_estimators_do():
    x, y = samples()
    model = KANRegressor((), optimizer="lm", **QUICK | {"lr": None})
    assert cross_val_score(model, x, y, cv=3).min() > 0.6  # a sum of curves has no product
    grid = {"kanregressor__grid_size": [2, 4]}
    search = GridSearchCV(make_pipeline(StandardScaler(), model), grid, cv=2).fit(x, y)
    best = search.best_estimator_
    matters = permutation_importance(best, x, y, random_state=0).importances_mean
    assert matters.argmax() == 0
    for again in (clone(best).fit(x, y), pickle.loads(pickle.dumps(best))):
        np.testing.assert_array_equal(again.predict(x), best.predict(x))


@pytest.mark.parametrize("kind", EVERY)
def test_the_same_numbers_whoever_computes_and_no_global_generator(kind):
    x, y = samples()
    y = y if "Regressor" in kind.__name__ else y > 1
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second, other = (
        kind(**QUICK | {"starts": 2, "n_jobs": jobs, "random_state": seed}).fit(x, y)
        for jobs, seed in ((None, 0), (2, 0), (None, 1))
    )
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all()  # noqa: NPY002
    np.testing.assert_allclose(first.predict(x) * 1.0, second.predict(x) * 1.0, rtol=1e-9)
    assert first.history_.loss != other.history_.loss


def test_units_do_not_matter():
    x, y = samples()
    far = x * [1e-4, 7.0, 1e6] + [3.0, -50.0, 1e5]
    for kind in (KANRegressor, MLPRegressor):
        model = kind((3,), optimizer="adam", **QUICK)  # Levenberg-Marquardt makes much of little
        plain = model.fit(x, y).predict(x)
        np.testing.assert_allclose(
            model.fit(far, 1e4 * y - 3).predict(far), 1e4 * plain - 3, rtol=1e-4
        )


def test_levenberg_marquardt_is_found_better_where_data_are_exact_and_adam_alone_weighs():
    x, y = samples(400)
    exact = KANRegressor((4,), random_state=0).fit(x, y)
    assert exact.optimizer_ == "lm" and exact.validation_error_ < 0.01
    assert KANRegressor((4,), **QUICK).fit(x, y, 1 + (y > 1)).optimizer_ == "adam"


@pytest.mark.parametrize("kind", EVERY)
def test_weights(kind):
    x, y = samples()
    y = y if "Regressor" in kind.__name__ else np.where(y > 1, "up", "down")
    weights = np.random.default_rng(1).integers(0, 3, len(x)).astype(float)
    there = weights > 0
    some = kind(**QUICK).fit(x[there], y[there], weights[there])
    np.testing.assert_array_equal(kind(**QUICK).fit(x, y, weights).predict(x), some.predict(x))
    np.testing.assert_array_equal(
        kind(**QUICK).fit(x, y, np.full(len(x), 3.0)).predict(x),
        kind(**QUICK).fit(x, y).predict(x),
    )
    # In one place two answers: the weights decide between them.
    place, answers = np.repeat([[0.0], [1.0]], 50, 0), np.tile([0, 1], 50)
    heavy = kind((), **QUICK | {"steps": 200}).fit(place, answers, np.where(answers, 9.0, 1.0))
    found = heavy.predict_proba(place)[:, 1] if hasattr(heavy, "classes_") else heavy.predict(place)
    np.testing.assert_allclose(found, 0.9, atol=0.05)


def test_several_outputs_and_classes_of_any_name():
    x, y = samples()
    both = KANRegressor(**QUICK).fit(x, np.column_stack([y, 100 - y]))
    assert both.predict(x).shape == (200, 2) and both.n_outputs_ == 2
    assert both.score(x, np.column_stack([y, 100 - y])) > 0.8
    names = np.array(["low", "middle", "high"])[np.digitize(y, [0.8, 1.5])]
    model = KANClassifier(**QUICK).fit(x, names)
    assert model.score(x, names) > 0.8
    chances = model.predict_proba(x)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert (model.classes_[chances.argmax(1)] == model.predict(x)).all()


def test_beyond_the_training_rows():
    x, y = samples()
    options = {"hidden_layer_sizes": (), "optimizer": "lm"} | QUICK | {"lr": None}
    model = KANRegressor(**options).fit(x, y)
    edge = [x[:, 0].max(), 0, 0]
    slightly = model.predict([np.add(edge, [0.1, 0, 0])])
    with pytest.warns(RuntimeWarning, match=r"50.0% of the rows of X lie beyond .* in x1: they"):
        far = model.predict([np.add(edge, [3, 0, 0]), edge])
    np.testing.assert_allclose(far, slightly[[0, 0]], rtol=1e-12)
    model.set_params(beyond="ignore").predict([[9.0, 9.0, 9.0]])
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    named = KANRegressor(**options, beyond="raise").fit(frame, y)
    with pytest.raises(ValueError, match="in b, c; expected rows within"):
        named.predict(frame.assign(b=5.0, c=-5.0))


def test_a_column_that_never_changes_is_nothing():
    x, y = samples()
    wider = np.insert(x, 1, 7.0, axis=1)
    model = MLPRegressor(**QUICK).fit(wider, y)
    wider[:, 1] = 8.0
    with pytest.warns(RuntimeWarning, match="in x2:"):
        changed = model.predict(wider)
    wider[:, 1] = 7.0
    np.testing.assert_array_equal(changed, model.predict(wider))
    assert (KANRegressor(**QUICK).fit(x, 0 * y + 4).predict(x) == 4).all()


def test_curves_are_the_whole_of_a_network_without_hidden_nodes():
    x, y = samples()
    frame = pd.DataFrame(1000 * x, columns=["a", "b", "c"])
    model = KANRegressor((), optimizer="lm", steps=20, random_state=0).fit(frame, 50 * y)
    curves = model.curves()
    total = 50 * y.mean() + sum(
        np.interp(frame[name], curve.x, curve.value) for name, curve in curves.groupby("input")
    )
    np.testing.assert_allclose(model.predict(frame), total, atol=0.1)
    axes = model.plot_curves(most=2).axes
    assert axes[0].get_xlabel() == "a" and len(axes) == 2  # it matters most
    deep = KANClassifier((4,), **QUICK).fit(frame, y > 1)
    assert deep.curves().groupby(["input", "node"]).size().tolist() == [101] * 12


def test_a_formula_in_the_units_and_names_of_the_table():
    rows = np.random.default_rng(0).uniform(10, 30, (300, 1))
    frame = pd.DataFrame(rows, columns=["age"])
    model = KANRegressor((), random_state=0).fit(frame, 300 * np.exp(-0.1 * rows[:, 0]))
    found = model.formula(generator=0)
    assert found.complete
    age = sympy.Symbol("age")
    assert sympy.simplify(found.expression() - 300 * sympy.exp(-age / 10)) == 0
    assert "age" in str(found)


def test_widths_for_a_number_of_parameters():
    x, y = samples(60)
    for kind, sizes, wanted in ((KANRegressor, (1,), 252), (MLPRegressor, (2, 1), 300)):
        quick = QUICK | {"steps": 2, "optimizer": "adam"}
        model = kind(sizes, parameters=wanted, **quick).fit(x, y)
        assert model.n_parameters_ == sum(p.numel() for p in model.model_.parameters())
        assert abs(model.n_parameters_ - wanted) / wanted < 0.02, model.hidden_layer_sizes_
    alone = KANRegressor((), parameters=999, optimizer="adam", **QUICK).fit(x, y)
    assert alone.n_parameters_ == 27  # no hidden layer, nothing to widen


def test_a_table_with_words_gaps_dates_and_numbers_as_words():
    random = np.random.default_rng(0)
    day = pd.to_datetime("2026-01-01") + pd.to_timedelta(random.integers(0, 300, 300), "D")
    area, town = random.uniform(20, 200, 300), random.choice(["Ulm", "Bonn", None], 300)
    frame = pd.DataFrame({"area": area, "text": area.round(1).astype(str), "town": town})
    frame = frame.assign(day=day.strftime("%Y-%m-%d"), always="yes", nothing=np.nan)
    frame.loc[::7, "area"] = np.nan
    rent = 8 * area + 200 * (town == "Ulm") + (day.month == 5) * 100
    train, test = frame[:200], frame[200:]
    model = skrub.tabular_pipeline(KANRegressor(random_state=0)).fit(train, rent[:200])
    assert model.score(test, rent[200:]) > 0.95


def test_an_unknown_word_does_not_explode_where_columns_say_the_same():
    random, n = np.random.default_rng(1), 150
    frame = pd.DataFrame({"a": random.normal(size=n), "city": random.choice([*"abcdefgh"], n)})
    days = pd.to_timedelta(random.integers(0, 700, n), "D")
    frame["day"] = (pd.Timestamp("2024-01-01") + days).strftime("%Y-%m-%d")
    frame["power"] = random.uniform(40, 300, n)
    y = 3 * frame.a + 2 * (frame.city == "a") + 0.02 * frame.power + random.normal(size=n)
    train, test = [*KFold(3, shuffle=True, random_state=0).split(frame)][2]
    model = skrub.tabular_pipeline(KANRegressor(random_state=0)).fit(frame.iloc[train], y[train])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the word
        found = model.predict(frame.iloc[test].assign(city="zzz"))
    assert np.abs(found).max() < 1.5 * y.abs().max()  # once 340


def test_the_error_on_rows_held_out_is_that_on_new_ones():
    (x, y), (u, v) = samples(400), samples(1000, 1)
    y, v = (values + np.random.default_rng(2).normal(size=len(values)) * 0.5 for values in (y, v))
    model = KANRegressor(**QUICK).fit(x, y)
    error = np.sqrt(np.mean((model.predict(u) - v) ** 2)) / y.std()
    assert model.validation_error_ == pytest.approx(error, rel=0.2)


def test_intervals_hold_what_they_say():
    x, y = samples(1500)
    y = y + np.random.default_rng(1).normal(size=len(y)) * 0.3
    (x, u), (y, v) = (train_test_split(part, test_size=1000, random_state=0) for part in (x, y))
    model = KANRegressor(**QUICK).fit(x[:250], y[:250])
    around = SplitConformalRegressor(model, confidence_level=0.9).conformalize(x[250:], y[250:])
    low, high = around.predict_interval(u)[1][:, :, 0].T
    assert 0.85 < np.mean((low <= v) & (v <= high)) < 0.95  # 250 rows: 0.9, give or take 0.02


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", (0,)),
        ("hidden_layer_sizes", "five"),
        ("parameters", 0),
        ("grid_size", 0),
        ("degree", -1),
        ("optimizer", "sgd"),
        ("lr", 0.0),
        ("steps", 0),
        ("batch_size", 0),
        ("starts", 0),
        ("validation_fraction", 1.0),
        ("beyond", "clamp"),
    ],
)
def test_an_argument_that_is_wrong_is_named(name, value):
    with pytest.raises((TypeError, ValueError), match=name):
        KANRegressor(**{name: value}).fit(*samples(30))


def test_data_that_are_wrong():
    x, y = samples(30)
    with pytest.raises(ValueError, match="one class|class .* alone"):
        KANClassifier().fit(x, np.full(30, "a"))
    with pytest.raises(ValueError, match="'lm' is for regression"):
        KANClassifier(optimizer="lm").fit(x, y > 1)
    with pytest.raises(ValueError, match="NaN"):
        KANRegressor().fit(np.where(x > 0.9, np.nan, x), y)
    with pytest.raises(ValueError, match="activation='gelu'"):
        MLPRegressor(activation="gelu").fit(x, y)
    few = KANRegressor(**QUICK).fit(x[:3], y[:3])  # too few to hold some out
    assert np.isfinite(few.predict(x[:3])).all()
    assert (
        LinearRegression().fit(x, y).predict(x).shape
        == KANRegressor(**QUICK).fit(x, y).predict(x).shape
    )
