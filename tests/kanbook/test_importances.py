"""Which input matters: against indices computed elsewhere, and where inputs share a job."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn import datasets
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skrub import tabular_pipeline

from kanbook import KAN, MLP, KANClassifier, KANRegressor, importance

INPUTS = [f"x{i + 1}" for i in range(10)]


class Known(RegressorMixin, BaseEstimator):
    """A function as an estimator."""

    def __init__(self, function):
        self.function = function

    def fit(self, X, y):
        self.is_fitted_ = True
        return self

    def predict(self, X):
        return self.function(X)


def known(function):
    return Known(function).fit(None, None)


def friedman1(x):
    waves = np.sin(np.pi * x[:, 0] * x[:, 1])
    return 10 * waves + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]


def friedman2(x):
    return (x[:, 0] ** 2 + (x[:, 1] * x[:, 2] - 1 / (x[:, 1] * x[:, 3])) ** 2) ** 0.5


def friedman3(x):
    return np.arctan((x[:, 1] * x[:, 2] - 1 / (x[:, 1] * x[:, 3])) / x[:, 0])


RANGES = [(0, 100), (40 * np.pi, 560 * np.pi), (0, 1), (1, 11)]


@pytest.mark.parametrize(
    ("function", "sample", "ranges"),
    [
        (friedman1, datasets.make_friedman1, [(0, 1)] * 10),
        (friedman2, datasets.make_friedman2, RANGES),
        (friedman3, datasets.make_friedman3, RANGES),
    ],
)
def test_shares_are_the_total_indices_of_sobol(function, sample, ranges):
    uniform = [stats.uniform(low, high - low) for low, high in ranges]
    reference = stats.sobol_indices(
        func=lambda x: function(x.T), n=2**16, dists=uniform, rng=np.random.default_rng(0)
    )
    X, y = sample(4000, random_state=0)
    np.testing.assert_allclose(function(X), y)
    trees = HistGradientBoostingRegressor(random_state=0).fit(X, y)
    kan = KANRegressor((5,), optimizer="lm", steps=20, starts=1, random_state=0)
    for model in (known(function), trees, kan.fit(X[:1000], y[:1000])):
        share = importance(model, X, random_state=0).share
        true = pd.Series(reference.total_order, [f"x{i + 1}" for i in range(len(ranges))])
        assert (share - true).abs().max() < 0.05
        assert (share[true < 1e-6] < 0.002).all()


def test_a_kan_of_one_layer_needs_no_drawing():
    model, X = KAN([3, 2], generator=0), 2 * torch.rand(3000, 3) - 1
    X[:, 1] = 0.9 * X[:, 0] + 0.1 * X[:, 1]
    torch.nn.init.normal_(model[0].coef, generator=torch.Generator().manual_seed(0))
    exact = importance(model, X)
    drawn = importance(torch.nn.Sequential(model, torch.nn.Identity()), X, random_state=0)
    columns = ["share", "group_share"]
    np.testing.assert_allclose(exact[columns], drawn.loc[exact.index, columns], rtol=0.06)
    assert (exact.share_low == exact.share_high).all()
    assert (drawn.share_low < drawn.share_high).all()


def test_errors_are_those_of_scikit_learn():
    X, y = datasets.make_friedman1(500, random_state=0, noise=1)
    model = LinearRegression().fit(X, y)
    options = {"scoring": "neg_root_mean_squared_error", "n_repeats": 30, "random_state": 0}
    reference = permutation_importance(model, X, y, **options).importances_mean / y.std()
    error = importance(model, X, y, repeats=30, random_state=0).error
    np.testing.assert_allclose(error[INPUTS], reference, atol=0.01)


def test_classes_by_log_loss():
    X, labels = datasets.make_classification(600, 4, n_informative=2, n_redundant=0, random_state=0)
    words = np.where(labels, "yes", "no")
    model = LogisticRegression().fit(X, words)
    options = {"scoring": "neg_log_loss", "n_repeats": 30, "random_state": 0}
    reference = permutation_importance(model, X, words, **options).importances_mean
    found = importance(model, X, words, repeats=30, refits=2, random_state=0)
    np.testing.assert_allclose(found.error[INPUTS[:4]], reference, atol=0.02)
    network = MLP([4, 2], dtype=torch.float64)
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor(np.vstack([0 * model.coef_, model.coef_])))
        network[0].bias.copy_(torch.tensor([0, model.intercept_[0]]))
    same = importance(network, torch.tensor(X), torch.tensor(labels), repeats=30, random_state=0)
    np.testing.assert_allclose(same.error[found.index], found.error)


def test_what_matters_only_together_matters():
    X = np.random.default_rng(0).uniform(-1, 1, (2000, 3))
    product = X[:, 0] * X[:, 1]
    exact = importance(known(lambda x: x[:, 0] * x[:, 1]), X, random_state=0)
    numbers = KANRegressor((5,), optimizer="lm", starts=1, random_state=0).fit(
        X[:300], product[:300]
    )
    classes = KANClassifier((5,), starts=1, random_state=0).fit(X, np.where(product > 0, "+", "-"))
    for found in exact, *(importance(model, X, random_state=0) for model in (numbers, classes)):
        assert found.share[["x1", "x2"]].between(0.9, 1.1).all() and found.share["x3"] < 0.02


@pytest.mark.parametrize("noise", [0, 0.33])  # correlations of 1 and 0.95
@pytest.mark.parametrize("used", ["first", "second", "both"])
def test_copies_share_it_whichever_the_model_uses(noise, used):
    random = np.random.default_rng(0)
    X = random.normal(size=(1000, 3))
    X[:, 1] = -X[:, 0] + noise * random.normal(size=1000)
    weights = {"first": [1, 0], "second": [0, -1], "both": [0.5, -0.5]}[used]
    model = known(lambda x: x @ np.array([*weights, 0.5]))
    found = importance(model, X, model.predict(X), random_state=0)
    assert found.shared.to_dict() == {"x1": ("x2",), "x2": ("x1",), "x3": ()}
    assert "x1 and x2 share it: 0.8" in str(found) or "x2 and x1 share it: 0.8" in str(found)
    assert [*found.index[2:]] == ["x3"] and (found.rank_high == [1, 1, 3]).all()
    np.testing.assert_allclose(found.group_share, [0.8, 0.8, 0.2], atol=0.05)
    np.testing.assert_allclose(found.share[["x1", "x2"]], 0.8 * np.square(weights), atol=0.05)
    first, second, other = found.group_error
    assert first == second > other > 0


def test_trees_share_noisy_copies():
    X, y = datasets.make_friedman1(1000, random_state=0)
    near = X[:, 3] + 0.33 * X[:, 3].std() * np.random.default_rng(0).normal(size=1000)
    assert np.corrcoef(near, X[:, 3])[0, 1] == pytest.approx(0.95, abs=0.01)
    frame = pd.DataFrame(X, columns=INPUTS).assign(near=near, same=X[:, 3])
    model = HistGradientBoostingRegressor(random_state=0).fit(frame, y)
    found = importance(model, frame, random_state=0)
    assert {*found.index[:3]} == {"x4", "near", "same"}
    assert found.group_share.iloc[0] == pytest.approx(0.34, abs=0.05)  # what x4 has alone
    said = [line for line in str(found).splitlines() if "share it" in line]
    assert len(said) == 1 and all(name in said[0] for name in ("x4", "near", "same"))


def flats(n=300):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"area": random.uniform(20, 200, n), "town": random.choice(["Ulm", "Bonn"], n)}
    )
    frame["code"] = frame.town.map({"Ulm": 89, "Bonn": 53}).astype("category")
    frame["floor"], frame["country"] = random.integers(0, 5, n), "DE"
    frame.loc[::11, "area"] = np.nan
    frame.index = random.permutation(n) // 2
    return frame, (frame.area.fillna(100) + 60 * (frame.town == "Ulm")).to_numpy()


def test_frames_with_words_keep_their_names_and_stay_as_they_are():
    X, y = flats()
    before = X.copy()
    model = tabular_pipeline(LinearRegression()).fit(X, y)
    found = importance(model, X, y, refits=2, random_state=0, progress=False)
    pd.testing.assert_frame_equal(X, before)
    assert {*found.index} == {*X} and found.shared["town"] == ("code",)
    assert found.loc["country", ["share", "share_high", "error"]].abs().max() == 0
    assert found.index[0] == "area" and found.share["floor"] < 0.01
    assert "town and code share it" in str(found) or "code and town share it" in str(found)


def test_rows_beyond_the_training_rows_are_told_of_once():
    X = np.random.default_rng(0).uniform(size=(100, 2))
    model = KANRegressor((), steps=20, random_state=0).fit(X, X[:, 0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        importance(model, 2 * X, random_state=0)
    assert len(caught) == 1 and "beyond the training rows" in str(caught[0].message)


def test_ranks_say_what_is_settled():
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 3))
    y = X @ [2, 1, 1] + random.normal(size=400)
    model = LinearRegression().fit(X, y)
    found = importance(model, X, y, refits=8, random_state=0, progress=False)
    assert found.rank_low.tolist() == [1, 2, 2] and found.rank_high.tolist() == [1, 3, 3]
    assert str(found).endswith("Ranks not settled: x2 (2 to 3), x3 (2 to 3).")
    assert (found.share_low <= found.share).all() and (found.share <= found.share_high).all()
    assert (found.error_low <= found.error).all() and (found.error <= found.error_high).all()
    again = importance(model, X, y, refits=8, random_state=0, progress=False)
    pd.testing.assert_frame_equal(found, again)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(found)), found)


def test_refits_differ_by_random_state_and_half(monkeypatch):
    seen = []
    fit = RandomForestClassifier.fit
    monkeypatch.setattr(
        RandomForestClassifier,
        "fit",
        lambda m, X, y: seen.append((m.random_state, len(X), y.sum())) or fit(m, X, y),
    )
    X = np.random.default_rng(0).normal(size=(100, 2))
    y = (X[:, 0] > 1).astype(int)
    pipeline = make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(X, y)
    found = importance(pipeline, X, y, refits=3, random_state=0, progress=False)
    states, rows, positive = zip(*seen[1:], strict=True)
    assert len({0, *states}) == 4 and {*rows} == {50} and max(positive) - min(positive) <= 1
    assert found.index[0] == "x1" and pipeline[1].random_state == 0


def test_several_outputs_and_dropout():
    X = torch.randn(500, 3)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2, bias=False), torch.nn.Dropout(0.9))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0, 0], [0, 2, 0]]))
    found = importance(model, X, X[:, :2] * torch.tensor([1, 2]), random_state=0)
    np.testing.assert_allclose(found.share, [0.8, 0.2, 0], atol=0.08)
    np.testing.assert_allclose(found.error, [0.5 * 2**0.5, 0.5 * 2**0.5, 0], atol=0.05)
    assert model.training


def test_a_model_that_answers_always_the_same_owes_it_to_nothing():
    X = np.random.default_rng(0).normal(size=(50, 2))
    assert (importance(known(lambda x: np.full(len(x), 0.1)), X).share == 0).all()


FITTED = LinearRegression().fit(np.eye(4, 3), np.arange(4))
NAMED = LinearRegression().fit(pd.DataFrame(np.eye(4, 2), columns=["a", "b"]), np.arange(4))


@pytest.mark.parametrize(
    ("model", "X", "options", "message"),
    [
        (FITTED, np.ones((4, 2)), {}, "X has 2 features, but LinearRegression is expecting 3"),
        (KAN([3, 1]), np.ones((4, 2)), {}, r"x has shape \(4, 2\); expected \(..., 3\)"),
        (
            NAMED,
            pd.DataFrame(np.ones((4, 2)), columns=["a", "c"]),
            {},
            "Feature names unseen.*\n- c",
        ),
        (
            FITTED,
            np.ones((4, 3)),
            {"y": np.ones(5)},
            r"y has shape \(5,\); expected one",
        ),
        (FITTED, np.ones((4, 3)), {"y": np.ones((4, 2))}, "y has shape"),
        (FITTED, np.ones((1, 3)), {}, r"X has shape \(1, 3\); expected \(N, I\) with N >= 2"),
        (FITTED, np.ones(3), {}, r"X has shape \(3,\); expected \(N, I\)"),
        (LinearRegression(), np.ones((4, 3)), {}, "LinearRegression instance is not fitted yet"),
        (KAN([3, 1]), torch.full((4, 3), torch.nan), {}, "model answers .* not finite"),
        (KAN([3, 1]), np.ones((4, 3)), {"y": np.ones(4), "refits": 2}, "refits=2; expected 0 for"),
        (FITTED, np.ones((4, 3)), {"refits": 2}, "refits=2; expected 0 for a network, and without"),
    ],
)
def test_bad_input_is_named(model, X, options, message):
    with pytest.raises(ValueError, match=message):
        importance(model, X, **options)
