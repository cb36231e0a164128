"""What the field would use, as scikit-learn estimators that tune themselves, and PyKAN."""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, train_test_split
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from ._checks import needed

__all__ = [
    "PyKANRegressor",
    "additive",
    "boosted_trees",
    "gaussian_process",
    "linear",
    "polynomial",
]

RIDGES = np.logspace(-6, 6, 13)
STRENGTHS = np.logspace(-3, 4, 8)  # C of a logistic regression: large is hardly penalized
KNOTS = 4, 7, 12  # of an additive model's curves
TREES = {"learning_rate": (0.03, 0.1), "max_leaf_nodes": (4, 12, 31)}
DEGREES = range(1, 7)
GRIDS = 3, 5, 10  # of PyKAN


def _chosen(estimator: BaseEstimator, options: dict, classes: bool = False) -> GridSearchCV:
    """With the options that are best over three parts of the rows, in any order."""
    parts = (StratifiedKFold if classes else KFold)(3, shuffle=True, random_state=0)
    return GridSearchCV(estimator, options, cv=parts, scoring="neg_log_loss" if classes else "r2")


def _on(features: list[BaseEstimator], options: dict, classes: bool) -> GridSearchCV:
    """A linear model on such features, with a ridge, too, that is best."""
    last = LogisticRegression(max_iter=1000) if classes else Ridge()
    strengths = {"logisticregression__C": STRENGTHS} if classes else {"ridge__alpha": RIDGES}
    return _chosen(make_pipeline(*features, last), options | strengths, classes)


def linear(classes: bool = False) -> GridSearchCV:
    """A linear model, or a logistic regression, with a ridge chosen by cross-validation.

    Example:
        >>> x = np.arange(20.0)[:, None]
        >>> linear().fit(x, 3 * x[:, 0] + 1).predict([[30.0]]).round(3).tolist()
        [91.0]
    """
    return _on([StandardScaler()], {}, classes)


def additive(classes: bool = False) -> GridSearchCV:
    """A cubic spline of every input, added up: ridge and number of knots by cross-validation."""
    curves = SplineTransformer(extrapolation="linear", include_bias=False)
    return _on([StandardScaler(), curves], {"splinetransformer__n_knots": KNOTS}, classes)


def boosted_trees(classes: bool = False, random_state: int | None = None) -> Pipeline:
    """Boosted trees, in steps and sizes chosen by cross-validation, until they get no better.

    Tables go in as they are: gaps stay gaps, and words are levels.
    """
    make = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    how = {"max_iter": 1000, "early_stopping": True, "n_iter_no_change": 20}
    trees = make(categorical_features="from_dtype", random_state=random_state, **how)
    from skrub import tabular_pipeline  # Colab has none, and imports this file for stored rows

    *steps, (name, _) = tabular_pipeline(trees).steps
    if classes:
        return Pipeline([*steps, (name, _chosen(trees, TREES, classes))])
    options = {f"estimator__{option}": values for option, values in TREES.items()}
    return Pipeline([*steps, (name, _chosen(_EachOutput(trees), options))])


class _EachOutput(MultiOutputRegressor):
    """One model for each output, also where there is one alone."""

    def fit(self, X, y, **options):
        self.one_ = np.ndim(y) == 1
        return super().fit(X, np.reshape(y, (len(y), -1)), **options)

    def predict(self, X):
        values = super().predict(X)
        return values[:, 0] if self.one_ else values


def polynomial() -> BaseEstimator:
    """All products of inputs up to a degree, as kernel ridge regression; cubic in rows.

    Degree and ridge are chosen by cross-validation.
    """
    options = {"regressor__kernelridge__degree": DEGREES}
    options["regressor__kernelridge__alpha"] = np.logspace(-6, 2, 5)
    model = make_pipeline(StandardScaler(), KernelRidge(kernel="poly"))
    return _chosen(TransformedTargetRegressor(model, transformer=StandardScaler()), options)


def gaussian_process(random_state: int | None = None) -> GaussianProcessRegressor:
    """A Gaussian process with a length for every input, of most likelihood; cubic in rows."""
    how = {"alpha": 1e-8, "normalize_y": True, "n_restarts_optimizer": 1}
    return _Lengths(random_state=random_state, **how)


class _Lengths(GaussianProcessRegressor):
    def fit(self, X, y):
        spread = np.std(X, axis=0)
        spread = np.where(spread > 0, spread, 1)[:, None] * X.shape[1] ** 0.5  # so that rows meet
        lengths = RBF(spread[:, 0], spread * (1e-2, 1e3))
        self.kernel = ConstantKernel(1.0, (1e-3, 1e6)) * lengths + WhiteKernel(1e-3, (1e-10, 10))
        with warnings.catch_warnings():  # a length at its bound: an input that does not matter
            warnings.simplefilter("ignore", ConvergenceWarning)
            return super().fit(X, y)


@contextlib.contextmanager
def contained() -> Iterator[str]:
    """A folder for PyKAN to write in; it may print, warn and seed, and nothing global changes."""
    dtype, states = torch.get_default_dtype(), (np.random.get_state(), random.getstate())  # noqa: NPY002
    with (
        torch.random.fork_rng(devices=[]),
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory() as folder,
    ):
        warnings.simplefilter("ignore")
        torch.set_default_dtype(torch.float64)
        try:
            yield folder
        finally:
            torch.set_default_dtype(dtype)
            np.random.set_state(states[0])  # noqa: NPY002
            random.setstate(states[1])


class PyKANRegressor(RegressorMixin, BaseEstimator):
    """PyKAN 0.2.8 with one hidden layer, trained as its tutorials do it, by L-BFGS.

    Inputs and targets are standardized. Of some grids, that one is kept whose network, trained on
    80 % of the rows, errs least on the others.

    Args:
        parameters: trained numbers to come close to, G + k + 2 an edge, by the width of the hidden
            layer; if not given, this layer has 5 nodes.
        grid_size: G; if not given, 3, 5 and 10 are tried.
        degree: k.
        steps: of L-BFGS.
        random_state: seed of the network and of the rows held out.

    Attributes:
        model_: the ``kan.KAN``, of standardized numbers.
        n_parameters_, grid_size_: what it has.
        validation_error_: root mean squared error on the rows held out, in spreads of the targets.

    Raises:
        ImportError: pykan is not installed.
    """

    def __init__(self, *, parameters=None, grid_size=None, degree=3, steps=50, random_state=0):
        self.parameters = parameters
        self.grid_size = grid_size
        self.degree = degree
        self.steps = steps
        self.random_state = random_state

    def fit(self, X, y):
        how = {"multi_output": True, "y_numeric": True, "dtype": np.float64}
        X, y = validate_data(self, X, y, **how)
        self.flat_ = y.ndim == 1
        self.scales_ = StandardScaler().fit(X), StandardScaler().fit(y.reshape(len(y), -1))
        x, y = (
            torch.from_numpy(scale.transform(values.reshape(len(X), -1)))
            for scale, values in zip(self.scales_, (X, y), strict=True)
        )
        rows = train_test_split(np.arange(len(x)), test_size=0.2, random_state=self.random_state)
        parts = ("train", x[rows[0]], y[rows[0]]), ("test", x[rows[1]], y[rows[1]])
        data = {f"{part}_input": inputs for part, inputs, _ in parts}
        data |= {f"{part}_label": targets for part, _, targets in parts}
        grids = GRIDS if self.grid_size is None else (self.grid_size,)
        tried = [(*self._trained(grid, data), grid) for grid in grids]
        self.validation_error_, self.model_, self.grid_size_ = min(tried, key=lambda one: one[0])
        self.n_parameters_ = sum(
            p.numel() for p in self.model_.act_fun.parameters() if p.requires_grad
        )
        return self

    def _trained(self, grid, data):
        kan = needed("kan", "pykan==0.2.8")
        ends = data["train_input"].shape[1], data["train_label"].shape[1]
        edge = grid + self.degree + 2
        hidden = 5 if self.parameters is None else round(self.parameters / (edge * sum(ends)))
        with contained() as folder:
            model = kan.KAN(
                [ends[0], max(hidden, 1), ends[1]],
                grid=grid,
                k=self.degree,
                seed=self.random_state or 0,
                auto_save=False,
                ckpt_path=folder,
            )
            model.fit(data, opt="LBFGS", steps=self.steps)
            with torch.no_grad():
                error = (model(data["test_input"]) - data["test_label"]).square().mean().sqrt()
        return error.nan_to_num(nan=np.inf).item(), model

    def predict(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        with torch.no_grad():
            values = self.model_(torch.from_numpy(self.scales_[0].transform(X))).numpy()
        values = self.scales_[1].inverse_transform(values)
        return values[:, 0] if self.flat_ else values
