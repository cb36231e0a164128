"""Which input matters, and how sure that is."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import torch
from pandas import DataFrame
from scipy.sparse.csgraph import connected_components
from scipy.stats import rankdata
from sklearn.base import clone, is_classifier
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted
from torch import nn
from tqdm import tqdm

from ._checks import check_integer
from ._samples import as_array
from .layers import KANLayer
from .networks import in_a_row

__all__ = ["importance"]


class Importance(DataFrame):
    """What :func:`importance` returns; printed, it says what is shared and what is not settled."""

    def __str__(self) -> str:
        lines = [self.drop(columns="shared").round(3).to_string()]
        for i, others in self.shared.items():
            names = [str(name) for name in self.index if name == i or name in others]
            if others and names[0] == str(i):
                lines.append(f"{' and '.join(names)} share it: {self.group_share[i]:.2f} together.")
        ranks = self[["rank_low", "rank_high"]].itertuples()
        unsettled = [f"{i} ({low} to {high})" for i, low, high in ranks if low < high]
        return "\n".join(lines) + f"\nRanks not settled: {', '.join(unsettled) or 'none'}."


def importance(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    repeats: int = 10,
    refits: int = 0,
    random_state: int | None = None,
    progress: bool = True,
) -> Importance:
    r"""Say how much of a model's answers f, and of their error, hangs on each input.

    .. math:: \text{share}_i = \operatorname{E}[(f(x) - f(x^{(i)}))^2] / (2 \operatorname{Var} f(x))

    where :math:`x^{(i)}` is x with input i of another row: the part of the variance that is lost
    without it, also of what it does only with others. For a KAN of one layer it is the variance of
    the input's curve by that of the sum. Variances of outputs, or of probabilities, are added.

    Args:
        model: a trained network, or any fitted scikit-learn estimator.
        X: inputs as the model takes them, ``(N, I)``, best of rows that it was not trained on.
        y: what it should answer, ``(N,)`` or ``(N, O)``, or classes ``(N,)``, if errors are wanted.
        repeats: how often each input is drawn anew.
        refits: how often the estimator is fitted afresh, with another ``random_state``, on a random
            half of the rows, and asked about the other half.
        progress: show a progress bar over the refits.

    Returns:
        A ``pandas.DataFrame``, one row an input, most important first: ``share``; ``error``, the
        rise of the root mean squared error, in standard deviations of y, or of the log-loss of
        classes, when the input is drawn anew; ``shared``, the inputs that go with it, linked by
        Spearman correlations beyond 0.7, of which a model may use any; ``group_share``, which ranks
        the rows, and ``group_error``, of all these drawn together; ``..._low`` and ``..._high``,
        also of ``rank``: the range over the repeats, which tells of this model only, or over it and
        its refits. ``str`` adds what is shared and what is not settled.

    Raises:
        TypeError, ValueError: the model is not fitted or does not fit X and y; answers not finite.

    Example:
        >>> from sklearn.linear_model import LinearRegression
        >>> X = np.mgrid[:20, :20].reshape(2, -1).T
        >>> model = LinearRegression().fit(X, 3 * X[:, 0] + X[:, 1])
        >>> importance(model, X, random_state=0).share.round(1).to_dict()
        {'x1': 0.9, 'x2': 0.1}

    Source: Jansen, Computer Physics Communications 117 (1999); Breiman, Machine Learning 45 (2001).
    """
    check_integer("repeats", repeats, 1, 10_000)
    check_integer("refits", refits, 0, 10_000)
    if random_state is not None:
        check_integer("random_state", random_state, 0)
    if isinstance(model, nn.Module):
        model = copy.deepcopy(model).eval()
    elif not hasattr(model, "predict"):
        raise TypeError(f"model is {model!r}; expected a network or a fitted estimator")
    else:
        check_is_fitted(model)
    X = X if isinstance(X, DataFrame) else as_array(X)
    if X.ndim != 2 or len(X) < 2 or X.shape[1] == 0:
        raise ValueError(f"X has shape {X.shape}; expected (N, I) with N >= 2")
    if refits and (isinstance(model, nn.Module) or y is None):
        raise ValueError(f"refits={refits}; expected 0 for a network, and without y")
    y = None if y is None else _targets(y, _answers(model, X))
    frame = X if isinstance(X, DataFrame) else DataFrame(X).rename(columns=lambda i: f"x{i + 1}")
    codes = frame.apply(lambda x: x if x.dtype.kind in "biuf" else x.factorize()[0])
    linked = connected_components(codes.corr("spearman").abs().to_numpy() > 0.7)[1]
    groups = [tuple(np.flatnonzero(linked == own).tolist()) for own in linked]
    sets = list(dict.fromkeys([*((i,) for i in range(len(groups))), *groups]))
    generator = np.random.default_rng(random_state)
    runs = _measure(model, X, y, sets, repeats, generator)
    fits = [runs.mean(0)]
    for _ in tqdm(range(refits), disable=not (progress and refits), unit="fit"):
        seed, classes = int(generator.integers(2**31)), y if is_classifier(model) else None
        a, b, y_a, y_b = train_test_split(X, y, train_size=0.5, stratify=classes, random_state=seed)
        fresh = clone(model)
        seeds = [name for name in fresh.get_params() if name.endswith("random_state")]
        fresh.set_params(**dict.fromkeys(seeds, seed)).fit(a, y_a)
        fits.append(_measure(fresh, b, y_b, sets, repeats, generator).mean(0))
    runs = np.stack(fits) if refits else runs
    names, own, joint = frame.columns, slice(len(groups)), [sets.index(group) for group in groups]
    table = Importance(index=names.rename("input"))
    for kind, value, drawn in zip(("share", "error"), fits[0], runs.swapaxes(0, 1), strict=False):
        table[kind], table[f"group_{kind}"] = value[own], value[joint]
        table[f"{kind}_low"], table[f"{kind}_high"] = drawn.min(0)[own], drawn.max(0)[own]
    ranks = rankdata(-runs[:, 0, joint], "min", axis=1).astype(int)
    table["rank_low"], table["rank_high"] = ranks.min(0), ranks.max(0)
    table["shared"] = [tuple(names[j] for j in g if j != i) for i, g in enumerate(groups)]
    return Importance(table.sort_values(["group_share", "share"], ascending=False))


def _targets(y: Any, answers: np.ndarray) -> np.ndarray:
    y, n = as_array(y), len(answers)
    if y.shape[:1] != (n,) or y.ndim > 2 or y.ndim == 2 and y.shape != answers.shape:
        raise ValueError(f"y has shape {y.shape}; expected one for each of {n} rows of X")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("y has numbers that are not finite; expected finite ones")
    if (y == y[0]).all(0).any():
        raise ValueError(f"y is the same in all {n} rows; expected values that differ")
    return y


def _measure(model, X, y, sets, repeats, generator) -> np.ndarray:
    """Share and, with y, error of each set of inputs, (repeats, 1 or 2, sets)."""
    answers = _answers(model, X)
    variance = answers.var(0).sum() or 1  # 0: nothing can be lost
    runs = np.zeros((repeats, 1 if y is None else 2, len(sets)))
    for run in runs:
        order = generator.permutation(len(X))
        for s, columns in enumerate(sets):
            drawn = X.copy()
            for i in columns:
                if isinstance(X, DataFrame):
                    drawn.isetitem(i, X.iloc[order, i].array)
                else:
                    drawn[:, i] = X[order, i]
            with warnings.catch_warnings():  # it has warned of these rows above
                warnings.simplefilter("ignore", RuntimeWarning)
                changed = _answers(model, drawn)
            run[0, s] = np.square(changed - answers).mean(0).sum() / 2 / variance
            if y is not None:
                run[1, s] = _error(model, changed, y) - _error(model, answers, y)
    layers = in_a_row(model)
    if len(layers) == 1 and isinstance(layer := layers[0], KANLayer):
        curves = layer.edges(layer.knots.new_tensor(np.array(X, float))).detach().cpu().numpy()
        runs[:, 0] = [curves[:, columns].sum(1).var(0).sum() / variance for columns in sets]
    return runs


def _answers(model, X) -> np.ndarray:
    """Numbers (N, O), of a classifier probabilities."""
    if isinstance(model, nn.Module):
        like = next(model.parameters(), torch.zeros(1))
        try:
            answers = model(like.new_tensor(np.array(X, float))).detach().double().cpu().numpy()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"X has shape {X.shape}, which model does not take: {error}"
            ) from error
    else:
        answers = model.predict_proba(X) if is_classifier(model) else model.predict(X)
    if not np.isfinite(answers).all():
        raise ValueError("model answers X with numbers that are not finite; expected finite ones")
    if answers.shape[:1] != (len(X),):
        raise ValueError(f"model answers X with shape {answers.shape}; expected {len(X)} rows")
    return answers.reshape(len(X), -1)


def _error(model, answers: np.ndarray, y: np.ndarray) -> float:
    """Log-loss, or the root mean squared error in standard deviations of y."""
    if hasattr(model, "predict_proba"):
        return log_loss(y, answers, labels=model.classes_)
    if y.ndim == 1 < answers.shape[1] and y.dtype.kind in "biu":
        return nn.functional.cross_entropy(torch.tensor(answers), torch.tensor(y).long()).item()
    return (root_mean_squared_error(y, answers, multioutput="raw_values") / y.std(0)).mean()
