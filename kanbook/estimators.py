"""Networks as scikit-learn's estimators, with scaling, starts and early stopping inside.

A table with words, gaps or dates is no obstacle: ``skrub.tabular_pipeline(KANRegressor())``.

In the book: *Use kanbook in your project*.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from pandas import DataFrame
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import nn

from . import formulas
from ._checks import check_integer, check_name
from ._estimator import NetworkEstimator, Settings, doubled
from .networks import KAN, MLP
from .plots import ROLES

__all__ = ["KANClassifier", "KANRegressor", "MLPClassifier", "MLPRegressor"]

GRIDS = {"adam": 6, "lm": 16}  # intervals at the end of a training
KEPT = 1000  # rows, at most, that `formula` looks at
ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "silu": nn.functional.silu}


class _Regressor(RegressorMixin):
    def fit(self, X: Any, y: Any, sample_weight: Any = None):
        """Fit to X (N, I) and y (N,) or (N, O), with weights (N,) >= 0 of the rows, if given."""
        X, y = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=np.float64, ensure_min_samples=2
        )
        X, y, weights = _weighted(X, np.asarray(y, float), sample_weight)
        self._flat, columns = y.ndim == 1, y.reshape(len(y), -1)
        spread = columns.std(0)
        self._mean, self._spread = columns.mean(0), np.where(spread > 0, spread, 1)
        self.n_outputs_ = columns.shape[1]
        targets = torch.from_numpy((columns - self._mean) / self._spread)
        kept = np.random.default_rng(0).permutation(len(X))[:KEPT]
        self._kept = X[kept], columns[kept]
        return self._train(X, targets, self.n_outputs_, weights)

    def predict(self, X: Any) -> np.ndarray:
        """Return numbers in the units of y: (N,) or (N, O), as y was."""
        outputs = self._outputs(X).numpy()
        y = self._mean + self._spread * outputs
        return y[:, 0] if self._flat else y

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class _Classifier(ClassifierMixin):
    def fit(self, X: Any, y: Any, sample_weight: Any = None):
        """Fit to X (N, I) and labels y (N,), with weights (N,) >= 0 of the rows, if given."""
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        X, y, weights = _weighted(X, y, sample_weight)
        self.classes_, classes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has the class {y[0]!r} alone; expected two classes or more")
        return self._train(X, torch.from_numpy(classes), len(self.classes_), weights)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities (N, C) of ``classes_``."""
        return self._outputs(X).softmax(1).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest class of each row, (N,)."""
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(1).numpy()]


def _weighted(X: np.ndarray, y: np.ndarray, sample_weight: Any):
    """Rows of weight 0 are left out; weights that are all equal are none."""
    if sample_weight is None:
        return X, y, None
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    there = weights > 0
    X, y, weights = X[there], y[there], weights[there]
    return X, y, None if len(X) and (weights == weights[0]).all() else weights


class _KAN(NetworkEstimator):
    RATES = (0.03,)

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | None = None,
        *,
        parameters: int | None = None,
        grid_size: int | None = None,
        degree: int = 3,
        optimizer: str = "auto",
        lr: float | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        starts: int = 2,
        validation_fraction: float = 0.2,
        beyond: str = "warn",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        progress: bool = False,
    ) -> None:
        self.hidden_layer_sizes, self.parameters = hidden_layer_sizes, parameters
        self.grid_size, self.degree = grid_size, degree
        self.optimizer, self.lr, self.steps, self.batch_size = optimizer, lr, steps, batch_size
        self.starts, self.validation_fraction, self.beyond = starts, validation_fraction, beyond
        self.n_jobs, self.random_state, self.progress = n_jobs, random_state, progress

    def _sizes(self) -> list[tuple[int, ...]]:
        return [(), (5,)]

    def _own(self, optimizer: str) -> Settings:
        grid_size = GRIDS[optimizer] if self.grid_size is None else self.grid_size
        return {"grid_size": grid_size, "degree": self.degree}

    def _count(self, widths: Sequence[int], grid_size: int, degree: int) -> int:
        return (grid_size + degree) * sum(i * o for i, o in pairwise(widths))

    def _make(self, ends: tuple[int, int], settings: Settings, seed: int) -> KAN:
        own = settings["own"] | {"grid_size": doubled(settings["own"]["grid_size"])[0]}
        widths = [ends[0], *settings["hidden"], ends[1]]
        return KAN(widths, **own, generator=seed, dtype=torch.float64)

    def curves(self) -> DataFrame:
        """Return the curves on the edges of the first layer, over the range of the training rows.

        Without hidden layers they are the whole model: the prediction is their sum, and the mean.

        Returns:
            101 rows for each edge, with the name of its ``input``; ``node``, the number of the
            hidden node or of the output that it leads to; ``x`` as the estimator gets it, in
            a pipeline from the step before; ``value``, what the edge adds there, without hidden
            layers in the units of y (of classes: of the logarithm of their odds).
        """
        check_is_fitted(self)
        first, places = self.model_[0], np.linspace(0, 1, 101)[:, None]
        x = self._low + places * (self._high - self._low)
        with torch.no_grad():
            values = first.edges(self._scaled(x)).numpy()
        if len(self.model_) == 1:
            values = values * getattr(self, "_spread", 1.0)
        places, inputs, nodes = np.indices(values.shape).reshape(3, -1)
        edges = {"input": np.array(self._names())[inputs], "node": nodes, "x": x[places, inputs]}
        return DataFrame(edges | {"value": values.ravel()})

    def plot_curves(self, most: int = 12) -> Figure:
        """Draw :meth:`curves`: a plot for each of the inputs whose curves vary most."""
        check_integer("most", most, 1)
        curves = self.curves()
        spreads = curves.groupby(["input", "node"], sort=False).value.std().groupby("input").max()
        shown = spreads.nlargest(most).index
        columns = min(4, len(shown))
        rows = -(-len(shown) // columns)
        figure, axes = plt.subplots(
            rows, columns, figsize=(2.2 * columns, 2 * rows), sharey=True, squeeze=False
        )
        for ax, name in zip_longest(axes.flat, shown):
            if name is None:
                ax.set_axis_off()
                continue
            for _, curve in curves[curves.input == name].groupby("node"):
                ax.plot(curve.x, curve.value, **ROLES["KAN"] | {"linewidth": 1})
            ax.set_xlabel(name)
        figure.tight_layout()
        return figure


class KANRegressor(_Regressor, _KAN):
    """A KAN for numbers, as an estimator of scikit-learn.

    Inputs are scaled to [-1, 1], targets to mean 0 and standard deviation 1. Some rows are held
    out; a few networks are trained on the others, each ends as it was when it did best on the rows
    held out, and the best of them stays, unless its answers run away where inputs come together as
    in no row.

    Args:
        hidden_layer_sizes: numbers of hidden nodes, ``(5,)`` say, or ``()`` for a sum of curves,
            one for each input. If not given, both are tried.
        parameters: if given, hidden layers become wider or narrower, all alike, until the network
            has as nearly so many parameters as it can.
        grid_size: intervals of the splines at the end of a training, which begins with a half, a
            fourth, ... of them, two or more; if not given, 6 for Adam, 16 for Levenberg-Marquardt.
        degree: of the splines.
        optimizer: "adam", "lm" (Levenberg-Marquardt; not for classes or weights), or "auto": both,
            where a step of "lm" is not too long (1,000 parameters on 1,000 rows). ``optimizer_``
            says what won.
        lr: learning rate of Adam, which falls to zero; if not given, 0.03.
        steps: of a training; if not given, 400 of Adam, 60 of Levenberg-Marquardt. Knots move four
            times in the first half, and before there are more of them.
        batch_size: rows in a step of Adam; if not given, all of up to 2,000, else 256.
        starts: what was best is trained again from other random numbers, until there are so many.
        validation_fraction: of the rows, held out, 2,000 at most. With 0, or where that is fewer
            than two rows, networks are chosen on the rows that they learn from.
        beyond: what to do if inputs lie beyond the range of the training rows by more than a tenth
            of it: "warn", "ignore" or "raise". Predicted is what is predicted at the edge.
        n_jobs: how many trainings run at a time, as everywhere in scikit-learn.
        random_state: of the rows held out and of the starts.
        progress: show a progress bar over the trainings.

    Attributes:
        model_: the :class:`~kanbook.networks.KAN`, float64, of scaled inputs and targets.
        validation_error_: on the rows held out, root mean squared, in standard deviations of y.
        hidden_layer_sizes_, optimizer_, lr_: what was best.
        history_: of its training, a :class:`~kanbook.training.History`.
        n_parameters_, n_outputs_, n_features_in_, feature_names_in_: as their names say; the last
            only for a frame.

    Raises:
        TypeError, ValueError: an argument is out of range, or X and y are not what scikit-learn's
            estimators take.

    Example:
        >>> x = np.random.default_rng(0).uniform(0, 50, (300, 2))
        >>> model = KANRegressor(random_state=0).fit(x, x[:, 0] * x[:, 1])
        >>> model.predict([[10.0, 20.0]]).round().tolist(), model.optimizer_
        ([200.0], 'lm')
    """

    def formula(self, **options: Any) -> formulas.Formula:
        """Look for a formula behind the training rows, or 1,000 of them, with as many hidden nodes.

        Args:
            options: of :func:`kanbook.formulas.discover`.

        Returns:
            A :class:`~kanbook.functions.Formula` in the units and names of the table, for the first
            output only where there are several; ``complete`` says whether it is one.
        """
        check_is_fitted(self)
        widths = [self.n_features_in_, *self.hidden_layer_sizes_, self.n_outputs_]
        found = formulas.discover(*map(torch.from_numpy, self._kept), widths, **options)
        found.names = self._names()
        return found


class KANClassifier(_Classifier, _KAN):
    """A KAN for classes, as an estimator of scikit-learn.

    Args, attributes and errors are those of :class:`KANRegressor`, save that there is no "lm",
    ``validation_error_`` is the log-loss, and ``classes_`` has the labels of y.

    Example:
        >>> x = np.random.default_rng(0).uniform(-1, 1, (300, 2))
        >>> y = np.where(x[:, 0] ** 2 + x[:, 1] ** 2 < 0.5, "in", "out")
        >>> KANClassifier(random_state=0).fit(x, y).predict([[0, 0], [0.9, 0.9]]).tolist()
        ['in', 'out']
    """


class _MLP(NetworkEstimator):
    RATES = (0.003, 0.01, 0.03)

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | None = None,
        *,
        parameters: int | None = None,
        activation: str = "tanh",
        optimizer: str = "auto",
        lr: float | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        starts: int = 2,
        validation_fraction: float = 0.2,
        beyond: str = "warn",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        progress: bool = False,
    ) -> None:
        self.hidden_layer_sizes, self.parameters = hidden_layer_sizes, parameters
        self.activation = activation
        self.optimizer, self.lr, self.steps, self.batch_size = optimizer, lr, steps, batch_size
        self.starts, self.validation_fraction, self.beyond = starts, validation_fraction, beyond
        self.n_jobs, self.random_state, self.progress = n_jobs, random_state, progress

    def _check(self) -> None:
        super()._check()
        check_name("activation", self.activation, ACTIVATIONS)

    def _sizes(self) -> list[tuple[int, ...]]:
        return [(16,), (8, 8)]

    def _own(self, optimizer: str) -> Settings:
        return {}

    def _count(self, widths: Sequence[int]) -> int:
        return sum((i + 1) * o for i, o in pairwise(widths))

    def _make(self, ends: tuple[int, int], settings: Settings, seed: int) -> MLP:
        widths, activation = [ends[0], *settings["hidden"], ends[1]], ACTIVATIONS[self.activation]
        return MLP(widths, activation, generator=seed, dtype=torch.float64)


class MLPRegressor(_Regressor, _MLP):
    """An MLP that is trained as :class:`KANRegressor` is, so that the two can be compared.

    Args, attributes and errors are the same, but for ``activation``, "tanh", "relu" or "silu", in
    place of what splines have. If not given, the sizes (16,) and (8, 8) are tried, and the rates
    0.003, 0.01 and 0.03; where the knots of a KAN move, Adam begins anew.

    Example:
        >>> x = np.random.default_rng(0).uniform(0, 50, (300, 2))
        >>> model = MLPRegressor(parameters=90, random_state=0).fit(x, x[:, 0] * x[:, 1])
        >>> 80 < model.n_parameters_ <= 90
        True
    """


class MLPClassifier(_Classifier, _MLP):
    """An MLP that is trained as :class:`KANClassifier` is; all else as :class:`MLPRegressor`."""
