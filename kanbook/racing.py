"""A fair race of KANs, MLPs and what the field would use, on data of your own."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from pandas import DataFrame
from scipy import stats
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import RandomizedSearchCV, ShuffleSplit, StratifiedShuffleSplit
from sklearn.pipeline import Pipeline
from skrub import tabular_pipeline
from tqdm import tqdm

from . import rivals
from ._checks import check_integer, check_number, needed
from ._samples import Fold, Samples, folds_of, samples
from .certainty import holm, verdict
from .estimators import GRIDS, KANClassifier, KANRegressor, MLPClassifier, MLPRegressor
from .plots import ROLES

__all__ = ["CONTESTANTS", "RANGES", "Race", "race"]

CONTESTANTS = "KAN", "MLP", "boosted trees", "additive", "linear"
OTHERS = "gaussian process", "polynomial", "PyKAN"  # for numbers, if asked for
HIDDEN = 5  # nodes of the KAN that says how many parameters all networks have

# What `search` draws from. Hidden layers become wider or narrower, for the parameters of all.
RANGES = {
    "KAN": {
        "hidden_layer_sizes": [(), (5,), (5, 5)],
        "grid_size": [*range(3, 13)],
        "degree": [2, 3],
        "lr": stats.loguniform(0.01, 0.3),
    },
    "MLP": {
        "hidden_layer_sizes": [(8,), (8, 8), (8, 8, 8)],
        "activation": ["tanh", "silu", "relu"],
        "lr": stats.loguniform(0.001, 0.1),
    },
    "PyKAN": {"grid_size": [*range(3, 13)], "degree": [2, 3]},
}

NUMBERS = "error", "relative", "accuracy", "seconds", "parameters"  # in a row of `runs`


@dataclass(repr=False)
class Race:
    """What :func:`race` found; printed, the table and a sentence for each contestant.

    Attributes:
        runs: a row for each contestant and fold: ``error`` in the user's units, ``relative`` to the
            constant that is best on the training part, ``accuracy`` of classes, ``seconds`` of
            training, ``parameters`` of networks, ``settings`` that were chosen, ``warnings``, and
            the ``failure``, if it failed.
        models: name to estimator, fitted on all rows.
        target, measure: what was predicted; "RMSE", with a unit of its own, or "log-loss".
        folds, share: how many were wanted; rows of a test part / of its training part.
        how: sentences on what was equal for all, and how long it took.
    """

    runs: DataFrame
    models: dict[str, Any]
    target: str
    measure: str
    folds: int
    share: float
    how: str

    @cached_property
    def table(self) -> DataFrame:
        """A row for each contestant, the best first, with means over the folds.

        Its ``word`` compares it with the KAN (:func:`~kanbook.certainty.verdict`), as do ``ratio``,
        its error / the KAN's, and the 95 % interval from ``low`` to ``high``.
        """
        numbers = [name for name in NUMBERS if name in self.runs]
        by_name = self.runs.groupby("contestant", sort=False)
        table = by_name[numbers].mean()
        table["folds"], table["failure"] = by_name.size(), by_name.failure.first()
        table.loc[table.failure.notna(), numbers] = np.nan
        logs = self.runs.pivot(index="fold", columns="contestant", values="error")
        logs = np.log(np.maximum(logs, np.finfo(float).tiny))
        ran = [name for name in table.index[table.error.notna()] if "KAN" in logs and name != "KAN"]
        tests = {name: resampled_t(logs[name] - logs["KAN"], self.share) for name in ran}
        p = holm([test[-1] for test in tests.values()])
        table["word"], table[["ratio", "low", "high"]] = "", np.nan
        for (name, (ratio, low, high, _)), corrected in zip(tests.items(), p, strict=True):
            word = verdict(ratio, low, high, corrected)
            table.loc[name, "word"] = word if len(logs) > 1 else f"{word}, one fold"
            table.loc[name, ["ratio", "low", "high"]] = ratio, low, high
        return table.sort_values("error")

    @property
    def sentences(self) -> list[str]:
        """One for each contestant, the KAN and what became of the race."""
        said, failed = [], self.table.failure.dropna()
        for name, row in self.table.iterrows():
            if name in failed:
                said.append(f"{name} failed: {row.failure}.")
            elif row.word:
                interval = f" (95 %: {row.low:.2f} to {row.high:.2f})" if row.folds > 1 else ""
                ratio = f"its error is {row.ratio:.2f} times the KAN's{interval}"
                said.append(f"{name} against the KAN: {row.word}; {ratio}.")
        for name, warned in self.runs[self.runs.warnings.fillna("") != ""].groupby("contestant"):
            first = warned.warnings.iloc[0].split("\n")[0]
            said.append(f"{name} warned in folds {', '.join(map(str, warned.fold))}: {first}.")
        done = self.runs.fold.nunique()
        share = f"; {done} folds share rows, which the test corrects for (Nadeau and Bengio 2003)"
        share += ", and words are corrected for their number, intervals are not"
        said.append(f"Said of this data set only{share if done > 1 else ''}.")
        if done < self.folds:
            said.append(f"It was stopped after {done} of {self.folds} folds.")
        if not self.models:
            said.append("No model is fitted on all rows.")
        return said

    def __repr__(self) -> str:
        table = self.table[[name for name in (*NUMBERS, "word") if name in self.table]]
        text = table.to_string(float_format="{:.4g}".format, na_rep="", index_names=False)
        head = f"{self.target}: {self.measure}; relative 1 is what the best constant has"
        return "\n".join([head, "", text, "", *self.sentences])

    def report(self) -> str:
        """What a reviewer wants to know, as a paragraph: what was equal, searched, split, sure."""
        first = self.table.iloc[0]
        best = (
            f"Least {self.measure} of {self.target}: {first.error:.4g} by {first.name}, "
            f"{first.relative:.3g} of the best constant's, as a mean of {first.folds} folds."
        )
        sure = (
            "Words and intervals are those of the corrected resampled t-test over the folds' "
            "log-ratios of errors; p is corrected for all comparisons in the table (Holm)."
        )
        return " ".join([self.how, best, *self.sentences, sure])

    def plot(self) -> Figure:
        """Draw a dot for each fold, and their mean, of each contestant; the best on top."""
        table = self.table[self.table.failure.isna()]
        size = plt.rcParams["font.size"] / 14  # legible where a phone shows it from edge to edge
        shape = 6.4 * size, (1.4 + 0.55 * len(table)) * size
        figure, ax = plt.subplots(figsize=shape, layout="constrained")
        for place, name in enumerate(table.index):
            color = ROLES.get(name, ROLES["target"])["color"]
            errors = self.runs.error[self.runs.contestant == name]
            ax.plot(errors, [place] * len(errors), "o", color=color, alpha=0.35, markersize=5)
            ax.plot(table.error[name], place, "D", color=color, markersize=8)
        if table.error.max() > 10 * table.error.min() > 0:
            ax.set_xscale("log")
        ax.set_yticks(range(len(table)), table.index)
        ax.set(ylim=(len(table) - 0.5, -0.5), xlabel=f"{self.measure} (less is better)")
        ax.grid(axis="y", alpha=0.3)
        return figure


def race(
    X: Any,
    y: Any,
    also: dict[str, Any] | None = None,
    *,
    contestants: Sequence[str] | None = None,
    kind: str | None = None,
    cv: Any = 5,
    groups: Any = None,
    search: int | None = None,
    seconds: float | None = None,
    parameters: int | None = None,
    n_jobs: int | None = None,
    random_state: int = 0,
    progress: bool = True,
) -> Race:
    """Race a KAN, an MLP of as many parameters, and what the field would use, on the same folds.

    What is learned, scaling too, and chosen, is so in each fold's training part alone. Of a table,
    words, gaps and dates become numbers there (``skrub.tabular_pipeline``), unless a contestant is
    a ``Pipeline``. At last all are fitted on all rows. How long that takes, the progress bar says
    once the first fold is done. Ctrl-C returns what is there, if that is a fold or more.

    Args:
        X: a ``pandas.DataFrame``, or finite numbers of shape ``(N, I)``; 20 rows at least.
        y: the name of a column of X, or values of shape ``(N,)``, or numbers ``(N, O)``.
        also: more contestants: name to estimator, or to a function that returns a fresh one.
        contestants: names of those wanted, of ``CONTESTANTS`` and, for numbers, "gaussian process",
            "polynomial" (both for some thousand rows) and "PyKAN" (slow).
        kind: "regression" or "classes"; if not given, found out: words, True and False, and up to
            10 different whole numbers are classes.
        cv: how many folds, shuffled (of classes, all in the same shares), or a splitter of
            scikit-learn, such as ``TimeSeriesSplit()``.
        groups: labels ``(N,)``; rows of the same label are in the same fold.
        search: so many random settings (``RANGES``) are tried for each network, and compared on a
            fifth of the training part. If not given, each tries its few defaults there.
        seconds: after the first fold, no other is begun that would leave no time for the training
            on all rows, which is left out, too, if the first fold took too long.
        parameters: of each network, as nearly as widths allow; if not given, those of a KAN with
            one hidden layer of 5 nodes and 6 intervals.
        n_jobs: how many contestants are trained at a time.
        random_state: of folds, networks and trees.
        progress: show a progress bar.

    Returns:
        A :class:`Race`. Errors are RMSE in the units of y (of several outputs, in standard
        deviations), or the log-loss. A contestant that fails is a row with a reason.

    Raises:
        TypeError, ValueError: an argument is out of range, y does not fit X, has gaps, is the same
            in all rows or has a class with fewer than 5 rows; before anything is trained.

    Example:
        >>> x = np.random.default_rng(0).uniform(size=(60, 2))
        >>> found = race(x, x[:, 0] + x[:, 1], contestants=["linear"], progress=False)
        >>> found.table.index.tolist(), found.table.error.max() < 1e-3
        (['linear'], np.True_)

    Source: Nadeau and Bengio, "Inference for the generalization error" (2003).
    """
    data = samples(X, y, kind)
    classes, shape = data.classes is not None, np.shape(data.y)
    for name, value in (("search", search), ("parameters", parameters)):
        if value is not None:
            check_integer(name, value, 1)
    if seconds is not None:
        check_number("seconds", seconds, minimum=0, positive=True)
    check_integer("random_state", random_state, 0, 2**32 - 1)
    folds, split = folds_of(data, cv, groups, random_state)
    if parameters is None:
        kan, x = KANRegressor(), data.inputs(folds[0][0])
        x = tabular_pipeline(kan)[:-1].fit_transform(x) if data.table else x
        outputs = len(data.classes) if classes else shape[1] if len(shape) == 2 else 1
        parameters = (GRIDS["adam"] + kan.degree) * HIDDEN * (x.shape[1] + outputs)
    networks = {"parameters": parameters, "random_state": random_state}
    models = _contestants(classes, contestants, search, networks) | _own(also, classes)
    makers = {name: partial(_fresh, model, data.table) for name, model in models.items()}
    start, rows, models = time.perf_counter(), [], {}
    look = "{desc}{percentage:.0f} %|{bar}| {n}/{total} trained, {elapsed}"
    trainings = (len(folds) + 1) * len(makers)
    with tqdm(total=trainings, disable=not progress, bar_format=look) as bar:
        try:
            for found, last in _rounds(makers, data, folds, seconds, n_jobs, bar):
                rows += found
                models = last
        except KeyboardInterrupt:
            if not rows:
                raise
    chosen = f"{search} random ones of kanbook.racing.RANGES" if search else "their few defaults"
    how = (
        f"{len(makers)} contestants, {shape[0]} rows, {data.X.shape[1]} columns, and {len(folds)} "
        f"folds that were the same for all: {split}. What was learned, scaling too, or chosen, was "
        "so in each training part alone. Networks with hidden layers had as nearly "
        f"{parameters} parameters as widths allow (a KAN fewer, if it did best before its last "
        "grid; a KAN without them is a sum of curves), the same training, and the best "
        f"settings of {chosen}, on a fifth of the training part; the other defaults chose by "
        "cross-validation in it, both with rows taken at random. "
        f"All took {time.perf_counter() - start:.0f} s."
    )
    numbers = NUMBERS if classes else [name for name in NUMBERS if name != "accuracy"]
    columns = ["contestant", "fold", *numbers, "settings", "warnings", "failure"]
    unit = "log-loss" if classes else "RMSE" + ", in standard deviations" * (len(shape) == 2)
    share = float(np.mean([len(test) / len(train) for train, test in folds]))
    runs = DataFrame(rows, columns=columns)
    return Race(runs, models, data.target, unit, len(folds), share, how)


def resampled_t(differences: Any, share: float) -> tuple[float, float, float, float]:
    """Test whether log-ratios of errors, one for each of k folds, are 0 in the mean.

    Their mean has the variance (1 / k + share) s^2, since parts to train on overlap; share is rows
    to test on / rows to train on. Returns the ratio, the ends of its 95 % interval, and p.
    """
    k, mean = len(differences), np.mean(differences)
    if k == 1:
        return np.exp(mean), np.nan, np.nan, np.nan
    spread = np.sqrt((1 / k + share) * np.var(differences, ddof=1))
    half = stats.t.ppf(0.975, k - 1) * spread
    with np.errstate(divide="ignore", invalid="ignore"):  # no spread
        p = 2 * stats.t.sf(abs(mean) / spread, k - 1)
    return np.exp(mean), np.exp(mean - half), np.exp(mean + half), p


def _contestants(
    classes: bool, wanted: Sequence[str] | None, search: int | None, networks: dict[str, int]
) -> dict[str, Any]:
    seed = networks["random_state"]
    every = {
        "KAN": (KANClassifier if classes else KANRegressor)(**networks),
        "MLP": (MLPClassifier if classes else MLPRegressor)(**networks),
        "boosted trees": rivals.boosted_trees(classes, seed),
        "additive": rivals.additive(classes),
        "linear": rivals.linear(classes),
    }
    if not classes:
        every["gaussian process"] = rivals.gaussian_process(seed)
        every["polynomial"] = rivals.polynomial()
        every["PyKAN"] = rivals.PyKANRegressor(**networks)
    wanted = CONTESTANTS if wanted is None else np.ravel(wanted).tolist()
    for name in wanted:
        if name not in every:
            raise ValueError(f"contestants has {name!r}; expected some of {', '.join(every)}")
        if name == "PyKAN":
            needed("kan", "pykan==0.2.8")
        if search is not None and name in RANGES:
            held_out = StratifiedShuffleSplit if classes else ShuffleSplit
            every[name] = RandomizedSearchCV(
                every[name],
                RANGES[name],
                n_iter=search,
                scoring="neg_log_loss" if classes else "r2",
                cv=held_out(1, test_size=0.2, random_state=seed),
                random_state=seed,
                error_score="raise",
            )
    return {name: every[name] for name in wanted}


def _own(also: dict[str, Any] | None, classes: bool) -> dict[str, Any]:
    also = {} if also is None else also
    if not isinstance(also, dict):
        raise TypeError(f"also is a {type(also).__name__}; expected a dict of names and estimators")
    method = "predict_proba" if classes else "predict"
    for name, model in also.items():
        if name in CONTESTANTS + OTHERS:
            raise ValueError(f"also has {name!r}, the name of a default; expected another")
        fresh = _fresh(model, False) if callable(model) or hasattr(model, "fit") else model
        if not (hasattr(fresh, "fit") and hasattr(fresh, method)):
            raise TypeError(f"also[{name!r}] is {fresh!r}; expected what has fit and {method}")
    return also


def _fresh(model: Any, table: bool) -> Any:
    """A new estimator of this kind; for a table, with what makes numbers of it."""
    made = hasattr(model, "fit") and not isinstance(model, type)
    model = clone(model, safe=False) if made else model()
    return tabular_pipeline(model) if table and not isinstance(model, Pipeline) else model


def _rounds(
    makers: dict[str, partial], data: Samples, folds: list[Fold], seconds, n_jobs, bar
) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Rows of each fold in turn; with the last, no rows but models that are fitted to all rows."""
    start, pace = time.perf_counter(), 0.0
    for number, (train, test) in enumerate([*folds, (np.arange(len(data.y)), None)]):
        begun = time.perf_counter()
        ahead = pace if test is None else 2 * pace
        if number and seconds is not None and begun - start + ahead > seconds:
            continue
        work = (delayed(_run)(name, make, data, train, test) for name, make in makers.items())
        done = []
        for found in Parallel(n_jobs, return_as="generator")(work):
            done.append(found)
            bar.update()
        pace = time.perf_counter() - begun
        if number == 0:
            bar.set_description(f"about {pace * (len(folds) + 1):.0f} s in all")
        if test is None:
            yield [], {row["contestant"]: model for row, model in done if model is not None}
        else:
            yield [row | {"fold": number + 1} for row, _ in done], {}


def _run(
    name: str, make: partial, data: Samples, train: np.ndarray, test: np.ndarray | None
) -> tuple[dict[str, Any], Any]:
    """Train one contestant; its row, and without a test the model, None if it failed."""
    row, model = {"contestant": name}, make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            start = time.perf_counter()
            model.fit(data.inputs(train), data.y[train])
            row["seconds"] = time.perf_counter() - start
            if test is None:
                return row, model
            row |= _described(model) | _errors(model, data, train, test)
        except Exception as error:  # whatever it is, the others race on
            row["failure"] = f"{type(error).__name__}: {error}"
    row["warnings"] = "; ".join(dict.fromkeys(str(warning.message) for warning in caught))
    return row, None


def _errors(model: Any, data: Samples, train: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """Of the model, and relative to the mean, or the shares of classes, of the training part."""
    X, (known, y) = data.inputs(test), (data.y[rows] for rows in (train, test))
    accuracy = {}
    if data.classes is None:
        scale = data.y.std(0) if y.ndim == 2 else 1.0
        misses = np.reshape(model.predict(X), y.shape) - y, known.mean(0) - y
        error, constant = (np.sqrt(np.mean((miss / scale) ** 2)) for miss in misses)
    else:
        found, shares = model.predict_proba(X), np.mean(known[:, None] == data.classes, axis=0)
        shares = np.tile(shares, (len(y), 1))
        error, constant = (log_loss(y, p, labels=data.classes) for p in (found, shares))
        accuracy["accuracy"] = np.mean(data.classes[np.argmax(found, 1)] == y)
    if not np.isfinite(error):
        raise ValueError("what it predicts is not finite")
    return {"error": error, "relative": error / constant} | accuracy


def _described(model: Any) -> dict[str, Any]:
    """The number of parameters and what was chosen, where it says so."""
    last = model[-1] if isinstance(model, Pipeline) else model
    settings = getattr(last, "best_params_", {})
    last = getattr(last, "best_estimator_", last)
    for name in ("hidden_layer_sizes", "grid_size", "optimizer", "lr"):
        if hasattr(last, f"{name}_"):
            settings = settings | {name: getattr(last, f"{name}_")}
    return {"settings": settings, "parameters": getattr(last, "n_parameters_", np.nan)}
