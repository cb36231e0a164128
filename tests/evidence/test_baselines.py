"""The field's own baselines: they find what they can hold, and choose on validation data."""

import functools

import numpy as np
import pytest
from sklearn import linear_model, metrics

from evidence import baselines
from evidence.baselines import FOR_CLASSES, fit


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(baselines, "TREES_AT_MOST", 200)


def samples(function, n, d, seed, noise=0.0):
    numbers = np.random.default_rng(seed)
    x = numbers.uniform(-1, 1, (n, d))
    return x, function(x)[:, None] + noise * numbers.normal(size=(n, 1))


def relative_error(model, function, d):
    x, y = samples(function, 2000, d, 9)
    predicted = model.predict(x)
    assert predicted.shape == y.shape
    return np.sqrt(np.mean((predicted - y) ** 2)) / y.std()


def plane(x):
    return 3 + 2 * x[:, 0] - x[:, 1]


def curves(x):
    return np.sin(4 * x[:, 0]) + np.abs(x[:, 1])


def cubic(x):
    return 1 + x[:, 0] ** 2 * x[:, 1] - 2 * x[:, 0] * x[:, 1]


def wave(x):
    return np.sin(3 * x[:, 0] + 2 * x[:, 1])


@pytest.mark.parametrize(
    ("name", "function", "limit"),
    [
        ("linear", plane, 1e-9),
        ("additive", plane, 1e-4),
        ("additive", curves, 0.02),
        ("polynomial", cubic, 1e-9),
        ("polynomial", wave, 1e-7),
        ("gaussian process", wave, 1e-3),
        ("boosted trees", wave, 0.25),
        ("interpolation", wave, 1e-2),
    ],
)
def test_each_finds_what_it_can_hold(name, function, limit):
    train, validation = samples(function, 300, 2, 0), samples(function, 150, 2, 1)
    assert relative_error(fit(name, train, validation), function, 2) < limit


@pytest.mark.parametrize(("name", "function"), [("linear", curves), ("additive", wave)])
def test_and_not_what_it_cannot(name, function):
    train, validation = samples(function, 300, 2, 0), samples(function, 150, 2, 1)
    assert relative_error(fit(name, train, validation), function, 2) > 0.3


def test_ridge_against_scikit_learn():
    train, validation = samples(wave, 40, 5, 0, noise=0.3), samples(wave, 40, 5, 1, noise=0.3)
    for weight in (1e-3, 0.5):
        error, coef, constant, _ = baselines.ridge(train, validation, np.array([weight]))
        largest = np.linalg.norm(train[0] - train[0].mean(0), 2)
        other = linear_model.Ridge(alpha=weight * largest**2).fit(*train)
        np.testing.assert_allclose(coef, other.coef_.ravel(), rtol=1e-9)
        np.testing.assert_allclose(constant, other.intercept_, rtol=1e-9)
        expected = np.sqrt(
            np.mean((other.predict(validation[0]).reshape(-1, 1) - validation[1]) ** 2)
        )
        assert error == pytest.approx(expected)


def test_the_penalty_of_the_additive_model_is_on_second_differences():
    # coefficients of splines from those of the features, with a second difference for each of them
    x = np.linspace(0, 1, 200)[:, None]
    features = baselines.curves(x, 8)(x)
    assert features.shape == (200, 1 + 9)
    spline = baselines.sklearn("preprocessing").SplineTransformer(9).fit_transform(x)
    coefs = np.linalg.lstsq(spline, features, rcond=None)[0]
    np.testing.assert_allclose(spline @ coefs, features, atol=1e-10)
    np.testing.assert_allclose(np.diff(coefs[:, 1:], 2, axis=0), np.eye(9), atol=1e-8)
    np.testing.assert_allclose(np.diff(coefs[:, 0], 2), 0, atol=1e-9)


def test_the_terms_of_a_polynomial():
    powers = np.array([[0, 0], [3, 1]])
    features = baselines.products(powers, np.array([0.0, -2.0]), np.array([2.0, 2.0]))
    t, u = 0.3, -0.5
    found = features(np.array([[1 + t, 2 * u]]))
    np.testing.assert_allclose(found, [[1, (4 * t**3 - 3 * t) * u]])


def test_what_is_chosen_follows_the_validation_part():
    train = samples(curves, 60, 2, 0, noise=0.5)
    x, y = samples(curves, 400, 2, 1)
    calm = fit("polynomial", train, (x, y))
    wild = fit("polynomial", train, train)  # as if overfitting were wanted
    assert relative_error(calm, curves, 2) < 0.5 * relative_error(wild, curves, 2)
    assert wild.parameters > calm.parameters


def test_a_polynomial_has_no_more_terms_than_samples():
    train, validation = samples(wave, 50, 2, 0), samples(wave, 50, 2, 1)
    model = fit("polynomial", train, validation)
    assert model.parameters <= 51 and "degree" in model.note


def test_trees_stop_where_validation_is_best():
    noisy, calm = samples(plane, 300, 2, 0, noise=2.0), samples(plane, 2000, 2, 1)
    model = fit("boosted trees", noisy, calm)
    assert int(model.note.split()[0]) <= 100
    assert relative_error(model, plane, 2) < 0.5


def test_a_gaussian_process_sees_some_of_many_samples(monkeypatch):
    monkeypatch.setattr(baselines, "SAMPLES", 60)
    train, validation = samples(wave, 200, 2, 0), samples(wave, 50, 2, 1)
    one, same, other = (fit("gaussian process", train, validation, seed=s) for s in (0, 0, 1))
    assert one.note.startswith("60 of 200 samples") and one.parameters is None
    np.testing.assert_array_equal(one.predict(train[0]), same.predict(train[0]))
    assert not np.array_equal(one.predict(train[0]), other.predict(train[0]))


def test_a_gaussian_process_gets_the_jitter_it_needs(monkeypatch):
    monkeypatch.setattr(baselines, "FIRST", 150)
    train = samples(lambda x: x.prod(1), 400, 2, 0)  # exact: its matrix has no Cholesky root
    assert relative_error(fit("gaussian process", train, train), lambda x: x.prod(1), 2) < 1e-4


def test_more_inputs_than_samples_and_samples_in_one_place():
    train, validation = samples(plane, 12, 30, 0), samples(plane, 6, 30, 1)
    assert fit("polynomial", train, validation).note.startswith("total degree 1,")
    x, y = samples(wave, 100, 2, 0)
    twice = np.vstack([x, x]), np.vstack([y - 0.01, y + 0.01])
    model = fit("interpolation", twice, samples(wave, 50, 2, 1))
    assert relative_error(model, wave, 2) < 0.05


def classes(n, seed):
    x, y = samples(lambda x: 2 * x[:, 0] + np.abs(x[:, 1]), n, 3, seed, noise=0.3)
    return x, np.digitize(y[:, 0], [-0.5, 1.0])


@functools.cache
def fitted(name):
    return fit(name, classes(600, 0), classes(300, 1), kind="classes")


@pytest.mark.parametrize("name", FOR_CLASSES)
def test_classes(name):
    x, y = classes(2000, 9)
    predicted = fitted(name).predict(x)
    assert predicted.shape == (2000, 3)
    np.testing.assert_allclose(predicted.sum(1), 1)
    chance = metrics.log_loss(y, np.tile(np.bincount(y) / len(y), (len(y), 1)))
    assert metrics.log_loss(y, predicted) < 0.65 * chance
    assert (predicted.argmax(1) == y).mean() > 0.75


def test_an_additive_model_of_classes_bends_where_a_linear_one_cannot():
    x, y = classes(2000, 9)
    losses = [metrics.log_loss(y, fitted(name).predict(x)) for name in ("additive", "linear")]
    assert losses[0] < 0.9 * losses[1]


@pytest.mark.parametrize("name", ["linear", "additive", "polynomial", "boosted trees"])
def test_columns_of_two_values_or_one(name):
    def function(x):
        return x[:, 0] + (x[:, 1] > 0)

    def table(n, seed):
        x, y = samples(function, n, 2, seed)
        return np.column_stack([x[:, 0], x[:, 1] > 0, np.ones(n)]), y

    x, y = table(1000, 9)
    predicted = fit(name, table(300, 0), table(200, 1)).predict(x)
    assert np.sqrt(np.mean((predicted - y) ** 2)) < 0.05 * y.std()


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("forest", "regression", "name='forest'"),
        ("polynomial", "classes", "name='polynomial'; expected for classes"),
        ("linear", "class", "kind='class'"),
    ],
)
def test_bad_input_is_named(name, kind, message):
    train = samples(plane, 20, 2, 0)
    with pytest.raises(ValueError, match=message):
        fit(name, train, train, kind=kind)


@pytest.mark.parametrize("seed", ["no", -1, 2**32])
def test_a_bad_seed_is_named(seed):
    train = samples(plane, 20, 2, 0)
    with pytest.raises((TypeError, ValueError), match=f"seed={seed!r}; expected an integer from 0"):
        fit("linear", train, train, seed=seed)


@pytest.mark.parametrize(
    ("part", "change", "kind", "message"),
    [
        (0, lambda x, y: (x, y[:, 0]), "regression", r"train has shapes \(20, 2\), \(20,\); exp"),
        (1, lambda x, y: (x, y[:, 0]), "regression", r"validation has .*expected \(N, I\), \(N, 1"),
        (0, lambda x, y: (), "regression", r"train is a tuple; expected a pair \(inputs, targe"),
        (1, lambda x, y: None, "regression", "validation is a NoneType; expected a pair"),
        (0, lambda x, y: (x * np.nan, y), "regression", "train, float64 and float64, has what is"),
        (0, lambda x, y: (x, np.where(y[:, 0] > 3, 1, 2)), "classes", r"classes are \[0, 1, 2\]"),
        (1, lambda x, y: (x, np.where(y[:, 0] > 3, 1, 2)), "classes", "all of them in train"),
        (0, lambda x, y: (x, np.where(y[:, 0] > 3, "a", "b")), "classes", "train, float64 and <U1"),
    ],
)
def test_bad_parts_are_named(part, change, kind, message):
    x, y = samples(plane, 20, 2, 0)
    parts = [(x, (y[:, 0] > 3).astype(int) if kind == "classes" else y)] * 2
    parts[part] = change(x, y)
    with pytest.raises((TypeError, ValueError), match=message):
        fit("linear", *parts, kind=kind)
