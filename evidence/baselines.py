"""What the field itself would use: the cheap rivals of networks in every comparison.

What they may choose is chosen from a grid by the error on the validation part: root mean squared,
or log-loss for classes. Only the Gaussian process chooses by the likelihood of its training part.

- "linear": ridge regression (of a series: autoregression), or logistic regression.
- "additive": a sum of one curve for each input, cubic B-splines with a penalty on second
  differences of their coefficients (Eilers and Marx, "Flexible Smoothing with B-splines and
  Penalties", 1996).
- "polynomial": least squares with a small ridge, in products of Chebyshev polynomials up to a total
  degree, or for two and three inputs up to a degree in each.
- "gaussian process": the kernel exp(-r^2 / 2) with one length for each input, and white noise
  (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and 5).
- "boosted trees": gradient boosting on histograms (Ke et al., "LightGBM", 2017), stopped early.
- "interpolation": a radial function at every sample, r, r^2 log r (a thin plate) or r^3, and a
  plane, through the samples or near them (Wahba, "Spline Models for Observational Data", 1990).
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from kanbook._checks import check_integer, check_name, check_pair, needed

__all__ = ["BASELINES", "Baseline", "fit"]

Arrays = tuple[np.ndarray, np.ndarray]

# The grids. Ridges are in units of the largest singular value squared.
RIDGES = np.logspace(-26, 0, 27)
RIDGES_OF_CURVES = RIDGES[18:]  # 1e-8 and up: with less, they run wild where an input has a gap
RIDGES_OF_CLASSES = 10.0 ** np.arange(-8, 1)
INTERVALS = (4, 8, 16, 32)  # of an additive model's splines
DEGREES = (*range(1, 13), 14, 16, 18, 20, 24, 28, 32, 36, 40)
TERMS = 2000  # of a polynomial at most, and no more than samples
TREES = {"learning_rate": (0.05, 0.15), "max_leaf_nodes": (4, 15, 31), "min_samples_leaf": (5, 20)}
TREES_AT_MOST, BLOCK, PATIENCE = 1000, 50, 50  # trees between looks, and without a better one
KERNELS, SMOOTHINGS = ("linear", "thin_plate_spline", "cubic"), (0.0, *np.logspace(-6, 0, 7))
SAMPLES, FIRST = 2000, 500  # that a Gaussian process sees; that its restarts see
JITTERS = 0, 1e-10, 1e-8, 1e-6  # on its diagonal, beside the noise: the first with a Cholesky root


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline.

    Attributes:
        predict: from inputs (N, I) to values (N, 1), or to the probabilities (N, C) of classes.
        parameters: how many numbers were fitted, None where that says nothing.
        note: what was chosen.
    """

    predict: Callable[[np.ndarray], np.ndarray]
    parameters: int | None
    note: str


def sklearn(module: str) -> ModuleType:
    return needed(f"sklearn.{module}")


def error_of(predicted: np.ndarray, targets: np.ndarray, classes: bool) -> float:
    """Root mean squared error, or log-loss."""
    if not classes:
        return float(np.sqrt(np.mean((predicted - targets) ** 2)))
    return sklearn("metrics").log_loss(targets, predicted, labels=range(predicted.shape[1]))


def ridge(
    train: Arrays, validation: Arrays, ridges: np.ndarray = RIDGES
) -> tuple[float, np.ndarray, float, float]:
    """Least squares with the best of these ridges: error, coefficients, constant, ridge."""
    (a, y), (b, z) = train, validation
    center, mean = a.mean(0), y.mean()
    u, s, vt = np.linalg.svd(a - center, full_matrices=False)
    shrunk = s / (s**2 + ridges[:, None] * s[0] ** 2) * (u.T @ (y - mean))[:, 0]
    coefs = shrunk @ vt  # one row for each ridge
    errors = np.sqrt(np.mean((mean + (b - center) @ coefs.T - z) ** 2, axis=0))
    best = errors.argmin()
    return errors[best], coefs[best], mean - center @ coefs[best], ridges[best]


def on_features(
    candidates: Iterable[tuple[str, Callable[[np.ndarray], np.ndarray]]],
    train: Arrays,
    validation: Arrays,
    classes: bool,
    ridges: np.ndarray = RIDGES,
) -> Baseline:
    """The best of several sets of features, each a note and a function, in a linear model."""
    fits, logistic = [], sklearn("linear_model").LogisticRegression
    for note, features in candidates:
        a, b = features(train[0]), features(validation[0])
        if not classes:
            error, *model, weight = ridge((a, train[1]), (b, validation[1]), ridges)
            fits.append((error, f"{note}ridge {weight:.0e}", features, model))
            continue
        largest = np.linalg.norm(a - a.mean(0), 2)
        for weight in RIDGES_OF_CLASSES:
            model = logistic(C=1 / (weight * largest**2), max_iter=1000)
            with warnings.catch_warnings():  # with too small a ridge, which others beat anyway
                warnings.simplefilter("ignore", sklearn("exceptions").ConvergenceWarning)
                model.fit(a, train[1])
            error = error_of(model.predict_proba(b), validation[1], classes)
            fits.append((error, f"{note}ridge {weight:.0e}", features, model))
    _, note, features, model = min(fits, key=lambda candidate: candidate[0])
    if classes:
        count = model.coef_.size + model.intercept_.size
        return Baseline(lambda x: model.predict_proba(features(x)), count, note)
    coef, constant = model
    return Baseline(lambda x: (features(x) @ coef + constant)[:, None], len(coef) + 1, note)


def linear(train: Arrays, validation: Arrays, classes: bool, seed: int) -> Baseline:
    scale = sklearn("preprocessing").StandardScaler().fit(train[0])
    return on_features([("", scale.transform)], train, validation, classes)


def curves(x: np.ndarray, intervals: int) -> Callable[[np.ndarray], np.ndarray]:
    """Features of which a ridge is the penalty on second differences of spline coefficients.

    Coefficients are a + b j and the second sums of their second differences. The line's column, 10
    times its input's spread, is hardly penalized. Inputs of only two values get the line alone.
    """
    scale = sklearn("preprocessing").StandardScaler().fit(x)
    bent = [i for i, column in enumerate(x.T) if len(np.unique(column)) > 2]
    j = np.arange(intervals + 3)
    sums = np.maximum(j[:, None] - j[1:-1], 0)  # column m: how coefficients follow difference m
    splines = sklearn("preprocessing").SplineTransformer(intervals + 1, extrapolation="linear")
    if bent:
        splines.fit(x[:, bent])

    def features(x: np.ndarray) -> np.ndarray:
        line = 10 * scale.transform(x)
        if not bent:
            return line
        basis = splines.transform(x[:, bent]).reshape(len(x), len(bent), len(j))
        return np.hstack([line, (basis @ sums).reshape(len(x), -1)])

    return features


def additive(train: Arrays, validation: Arrays, classes: bool, seed: int) -> Baseline:
    candidates = ((f"{g} intervals, ", curves(train[0], g)) for g in INTERVALS)
    return on_features(candidates, train, validation, classes, RIDGES_OF_CURVES)


def products(powers: np.ndarray, low: np.ndarray, high: np.ndarray) -> Callable:
    """Products of Chebyshev polynomials, one for each row (d,) of degrees, on a box."""

    def features(x: np.ndarray) -> np.ndarray:
        x = (2 * x - low - high) / np.where(high > low, high - low, 1)
        result = np.ones((len(x), len(powers)))
        for column, degrees in zip(x.T, powers.T, strict=True):
            result *= np.polynomial.chebyshev.chebvander(column, degrees.max())[:, degrees]
        return result

    return features


def polynomial(train: Arrays, validation: Arrays, classes: bool, seed: int) -> Baseline:
    x = np.vstack([train[0], validation[0]])
    (n, d), low, high = train[0].shape, x.min(0), x.max(0)
    terms, candidates = min(n, TERMS), []
    for p in DEGREES:
        if p == 1 or math.comb(d + p, p) <= terms:
            powers = sklearn("preprocessing").PolynomialFeatures(p).fit(np.zeros((1, d))).powers_
            candidates.append((f"total degree {p}, ", products(powers, low, high)))
        if d in (2, 3) and (p + 1) ** d <= terms:
            powers = np.array(list(itertools.product(range(p + 1), repeat=d)))
            candidates.append((f"degree {p} in each, ", products(powers, low, high)))
    return on_features(candidates, train, validation, classes)


def gaussian_process(train: Arrays, validation: Arrays, classes: bool, seed: int) -> Baseline:
    """Lengths, height and noise of most likelihood: two restarts on 500 samples, then on all."""
    kernels, d = sklearn("gaussian_process.kernels"), train[0].shape[1]
    kernel = kernels.ConstantKernel(1.0, (1e-3, 1e6)) * kernels.RBF(np.ones(d), (1e-2, 1e3))
    kernel = kernel + kernels.WhiteKernel(1e-3, (1e-10, 10))
    scale = sklearn("preprocessing").StandardScaler().fit(train[0])
    chosen = np.random.default_rng(seed).permutation(len(train[0]))[:SAMPLES]
    x, y = scale.transform(train[0][chosen]), train[1][chosen, 0]

    def likeliest(kernel: Any, n: int, restarts: int) -> Any:
        model = sklearn("gaussian_process").GaussianProcessRegressor(
            kernel, normalize_y=True, n_restarts_optimizer=restarts, random_state=seed
        )
        for jitter in JITTERS:
            try:
                return model.set_params(alpha=jitter).fit(x[:n], y[:n])
            except np.linalg.LinAlgError as error:
                failure = error
        raise failure

    with warnings.catch_warnings():  # a length at its bound: an input that does not matter
        warnings.simplefilter("ignore", sklearn("exceptions").ConvergenceWarning)
        model = likeliest(likeliest(kernel, FIRST, 2).kernel_, SAMPLES, 0)
    note = f"{len(y)} of {len(train[0])} samples, {model.kernel_}"
    return Baseline(lambda x: model.predict(scale.transform(x))[:, None], None, note)


def boosted_trees(train: Arrays, validation: Arrays, classes: bool, seed: int) -> Baseline:
    kind = "Classifier" if classes else "Regressor"
    make = getattr(sklearn("ensemble"), f"HistGradientBoosting{kind}")

    def predict(model: Any, x: np.ndarray) -> np.ndarray:
        return model.predict_proba(x) if classes else model.predict(x)[:, None]

    def grow(settings: dict[str, float], trees: int, **more) -> Any:
        return make(**settings, max_iter=trees, early_stopping=False, random_state=seed, **more)

    best, x, y = (math.inf,), train[0], train[1].ravel()
    for values in itertools.product(*TREES.values()):
        settings, least, at = dict(zip(TREES, values, strict=True)), math.inf, 0
        model = grow(settings, 0, warm_start=True)
        while at + PATIENCE > model.max_iter < TREES_AT_MOST:
            model.set_params(max_iter=model.max_iter + BLOCK).fit(x, y)
            error = error_of(predict(model, validation[0]), validation[1], classes)
            if error < least:
                least, at = error, model.max_iter
        best = min(best, (least, at, settings), key=lambda candidate: candidate[0])
    _, trees, settings = best
    model = grow(settings, trees).fit(x, y)
    note = ", ".join([f"{trees} trees", *(f"{key} {value}" for key, value in settings.items())])
    return Baseline(lambda x: predict(model, x), None, note)


def interpolation(train: Arrays, validation: Arrays, classes: bool, seed: int) -> Baseline:
    """For some thousand samples at most: the time is cubic in their number."""
    make, fits = needed("scipy.interpolate").RBFInterpolator, []
    for kernel, smoothing in itertools.product(KERNELS, SMOOTHINGS):
        try:
            model = make(*train, kernel=kernel, smoothing=smoothing, degree=1)
        except np.linalg.LinAlgError:
            if smoothing > 0:
                raise
            continue  # not through two samples in one place
        error = error_of(model(validation[0]), validation[1], classes)
        fits.append((error, f"{kernel}, smoothing {smoothing:.0e}", model))
    _, note, model = min(fits, key=lambda candidate: candidate[0])
    return Baseline(model, train[1].size + train[0].shape[1] + 1, note)


BASELINES = {
    "linear": linear,
    "additive": additive,
    "polynomial": polynomial,
    "gaussian process": gaussian_process,
    "boosted trees": boosted_trees,
    "interpolation": interpolation,
}
FOR_CLASSES = ("linear", "additive", "boosted trees")


def fit(
    name: str, train: Arrays, validation: Arrays, *, kind: str = "regression", seed: int = 0
) -> Baseline:
    """Fit one of the baselines, with what it may choose chosen on validation data.

    Args:
        name: a key of ``BASELINES``.
        train, validation: inputs (N, I) and targets (N, 1), float64; or classes (N,), integers
            0, 1, ..., C - 1, all of which are among the training targets.
        kind: "regression" or "classes".
        seed: of a Gaussian process and of trees.

    Raises:
        TypeError, ValueError: ``name`` or ``kind`` is unknown, ``seed`` no integer from 0 to
            2**32 - 1, the baseline not for classes; or a part is no pair of arrays that fit and
            hold finite numbers.
        ImportError: scikit-learn is not installed.

    Example:
        >>> x = np.linspace(-1, 1, 40)[:, None]
        >>> cubic = fit("polynomial", (x[::2], x[::2] ** 3), (x[1::2], x[1::2] ** 3))
        >>> cubic.predict(np.array([[0.5]])).round(6)
        array([[0.125]])
    """
    check_name("kind", kind, ("regression", "classes"))
    check_integer("seed", seed, 0, 2**32 - 1)
    classes = kind == "classes"
    names = FOR_CLASSES if classes else tuple(BASELINES)
    if name not in names:
        raise ValueError(f"name={name!r}; expected for {kind} one of {', '.join(names)}")
    gaps = name == "boosted trees"  # may be NaN
    train = _part("train", train, classes, gaps)
    validation = _part("validation", validation, classes, gaps)
    if classes:
        learned, others = ({*part[1].tolist()} for part in (train, validation))
        if learned != {*range(len(learned))} or not others <= learned:
            wanted = "0, 1, ..., C - 1, all of them in train"
            raise ValueError(f"the classes are {sorted(learned | others)}; expected {wanted}")
    return BASELINES[name](train, validation, classes, seed)


def _part(name: str, part: Arrays, classes: bool, gaps: bool) -> Arrays:
    check_pair(name, part)
    x, y = map(np.asarray, part)
    if x.ndim != 2 or y.shape != (len(x), 1)[: 2 - classes]:
        wanted = "(N,)" if classes else "(N, 1)"
        raise ValueError(f"{name} has shapes {x.shape}, {y.shape}; expected (N, I), {wanted}")
    kinds = {x.dtype.kind, y.dtype.kind}
    if kinds - {*"biuf"} or not (np.isfinite(y).all() and (gaps or np.isfinite(x).all())):
        raise ValueError(f"{name}, {x.dtype} and {y.dtype}, has what is no finite number")
    return x, y
