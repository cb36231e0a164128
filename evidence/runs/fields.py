"""Methods of the field that only some contests need, beside :mod:`evidence.baselines`.

Both choose by the error on the validation part, as those do.
"""

from __future__ import annotations

import warnings

import numpy as np

from kanbook._checks import needed

from .. import baselines
from ..baselines import Arrays, Baseline

CURVES, DEGREES = 20, (9, 15)
LANDMARKS = 1000


def projection_pursuit(train: Arrays, validation: Arrays, seed: int) -> Baseline:
    """A sum of polynomials along directions that are found one after the other.

    Source: Friedman and Stuetzle, "Projection Pursuit Regression" (1981); the package
    projection-pursuit.
    """
    regressor = needed("skpp").ProjectionPursuitRegressor
    fits = []
    for degree in DEGREES:
        model = regressor(CURVES, degree=degree, stage_maxiter=20, random_state=seed)
        model.fit(train[0], train[1].ravel())
        error = baselines.error_of(model.predict(validation[0]), validation[1].ravel(), False)
        fits.append((error, f"{CURVES} curves of degree {degree}", model))
    _, note, model = min(fits, key=lambda fit: fit[0])
    return Baseline(lambda x: model.predict(x)[:, None], None, note)


def sparse_gaussian_process(train: Arrays, validation: Arrays, seed: int) -> Baseline:
    """The mean of a Gaussian process of all samples, by 1,000 of them (Nyström's approximation).

    Lengths are those of most likelihood on 500 samples; the noise is a ridge.

    Source: Williams and Seeger, "Using the Nyström Method to Speed Up Kernel Machines" (2001).
    """
    kernels, gaussian = (baselines.sklearn(f"gaussian_process{end}") for end in (".kernels", ""))
    nystroem = baselines.sklearn("kernel_approximation").Nystroem
    some = np.random.default_rng(seed).permutation(len(train[0]))[: baselines.FIRST]
    kernel = kernels.RBF(np.ones(train[0].shape[1]), (1e-2, 1e3))
    kernel = kernels.ConstantKernel(1.0, (1e-3, 1e6)) * kernel
    kernel = kernel + kernels.WhiteKernel(1e-3, (1e-10, 10))
    fitted = gaussian.GaussianProcessRegressor(kernel, random_state=seed)
    with warnings.catch_warnings():  # a length at its bound: an input that does not matter
        warnings.simplefilter("ignore", baselines.sklearn("exceptions").ConvergenceWarning)
        lengths = fitted.fit(train[0][some], train[1][some, 0]).kernel_.k1.k2.length_scale

    features = nystroem(kernels.RBF(lengths), n_components=LANDMARKS, random_state=seed)
    candidates = [("1,000 landmarks, ", features.fit(train[0]).transform)]
    return baselines.on_features(candidates, train, validation, False)


def real_mlp(frames: list, target: str, classes: tuple | None, seed: int) -> Baseline:
    """A network that is tuned on other tables and prepares raw columns itself.

    ``frames`` are the rows to learn from and those to choose by; it predicts a frame. As it
    refuses gaps in columns of numbers, these get what all other contestants get there, the
    median and a column of ones.

    Source: Holzmüller, Grinsztajn and Steinwart, "Better by Default: Strong Pre-Tuned MLPs and
    Boosted Trees on Tabular Data" (2024); package pytabkit.
    """
    import pandas

    numbers = frames[0].drop(columns=target).select_dtypes("number").columns
    gaps = baselines.sklearn("impute").SimpleImputer(strategy="median", add_indicator=True)
    gaps.set_output(transform="pandas").fit(frames[0][numbers])

    def filled(frame):
        rest = frame.drop(columns=[target, *numbers])
        return pandas.concat([rest, gaps.transform(frame[numbers])], axis=1)

    every = pandas.concat(frames, ignore_index=True)
    kind = "Classifier" if classes else "Regressor"
    make = getattr(needed("pytabkit"), f"RealMLP_TD_{kind}")
    model = make(random_state=seed, n_threads=1, device="cpu", verbosity=0)
    chosen = np.arange(len(frames[0]), len(every))
    y = every[target]
    model.fit(filled(every), y.map(classes.index) if classes else y, val_idxs=chosen)

    def predict(frame) -> np.ndarray:
        x = filled(frame)
        return model.predict_proba(x) if classes else model.predict(x).reshape(-1, 1)

    return Baseline(predict, None, "its defaults")


METHODS = {
    "projection pursuit": projection_pursuit,
    "sparse gaussian process": sparse_gaussian_process,
}
