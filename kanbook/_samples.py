"""What people want to race on, checked: a table or an array, what to predict, and folds."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import torch
from pandas import DataFrame, Series, to_numeric
from pandas.api.types import is_numeric_dtype
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)
from torch import Tensor

from ._checks import check_finite, check_integer, check_name

FEW = 10  # up to so many different whole numbers are classes
ROWS, OF_EACH_CLASS = 20, 5  # at least

Fold = tuple[np.ndarray, np.ndarray]  # numbers of the rows to train on, and to test on


class Samples(NamedTuple):
    """Inputs, a table or an array; targets, numbers or labels; the classes, if any; their name."""

    X: Any
    y: np.ndarray
    classes: np.ndarray | None
    target: str

    @property
    def table(self) -> bool:
        return isinstance(self.X, DataFrame)

    def inputs(self, rows: np.ndarray) -> Any:
        return self.X.iloc[rows] if self.table else self.X[rows]


def samples(X: Any, y: Any, kind: str | None) -> Samples:
    """What was given, checked."""
    check_name("kind", "regression" if kind is None else kind, ("regression", "classes"))
    X = _inputs(X)
    X, y = _apart(X, y)
    if len(y) != len(X):
        raise ValueError(f"y has {len(y)} rows; expected one for each of the {len(X)} rows of X")
    if len(y) < ROWS:
        raise ValueError(f"X has {len(y)} rows; expected at least {ROWS}")
    if gaps := y.isna().any(axis=1).sum():
        raise ValueError(f"y is missing in {gaps} of {len(y)} rows; expected none: leave them out")
    for _, column in y.items():
        if column.nunique() < 2:
            raise ValueError(
                f"y is {column.iloc[0]} in all {len(y)} rows; expected two values or more"
            )
    target, columns = ", ".join(map(str, y)), [_numbers(column) for _, column in y.items()]
    if kind is None:
        kind = "classes" if len(columns) == 1 and _few(columns[0]) else "regression"
    if kind == "classes":
        return Samples(X, *_labels(y), target)
    for (_, column), numbers in zip(y.items(), columns, strict=True):
        if numbers is None:
            raise ValueError(f"y has {column.iloc[0]!r}; expected numbers for kind='regression'")
        check_finite("y", torch.from_numpy(numbers))
    y = columns[0] if len(columns) == 1 else np.column_stack(columns)
    return Samples(X, y, None, target)


def _apart(X: Any, y: Any) -> tuple[Any, DataFrame]:
    """Inputs without the column that is to be predicted, and the columns to predict."""
    table = isinstance(X, DataFrame)
    if np.ndim(y) == 0:
        if not table or y not in X or X.shape[1] == 1:
            wanted = f"one of two or more columns: {[*X]}" if table else "values; X is no DataFrame"
            raise ValueError(f"y={y!r}; expected {wanted}")
        return X.drop(columns=[y]), X[[y]]
    if not isinstance(y, (DataFrame, Series)):
        y = as_array(y)
        if y.ndim > 2 or y.size == 0:
            raise ValueError(f"y has shape {y.shape}; expected (N,) or (N, O)")
        return X, DataFrame(y).set_axis(["y"] if y.size == len(y) else range(y.shape[1]), axis=1)
    if table and not y.index.equals(X.index):
        raise ValueError("y has another index than X; expected the same rows in the same order")
    y = y.to_frame("y" if y.name is None else y.name) if isinstance(y, Series) else y
    for name, column in y.items():
        if table and name in X and column.equals(X[name]):
            raise ValueError(f"y is column {name!r} of X; expected X without it, or y={name!r}")
    return X, y


def _numbers(column: Series) -> np.ndarray | None:
    """Also those that were read as strings; None if there is any other, or they are levels."""
    if column.dtype.kind in "mMc":
        raise ValueError(f"y holds {column.dtype}; expected numbers or labels")
    numbers = to_numeric(column, errors="coerce")
    if column.dtype == "category" or numbers.dtype.kind == "b" or numbers.isna().any():
        return None
    return np.array(numbers, float)


def _few(numbers: np.ndarray | None) -> bool:
    return numbers is None or len(np.unique(numbers)) <= FEW and bool((numbers % 1 == 0).all())


def _labels(y: DataFrame) -> tuple[np.ndarray, np.ndarray]:
    if y.shape[1] > 1:
        raise ValueError(f"y has {y.shape[1]} columns; expected one for kind='classes'")
    labels = np.array(y.iloc[:, 0].tolist())
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < OF_EACH_CLASS:
        raise ValueError(
            f"y has {classes[counts.argmin()].item()!r} in {counts.min()} rows only; expected "
            f"{OF_EACH_CLASS} or more of each class: join rare ones or leave them out"
        )
    return labels, classes


def _inputs(X: Any) -> Any:
    if not isinstance(X, DataFrame):
        X = as_array(X)
        if X.dtype.kind not in "biuf":
            raise TypeError(f"X has dtype {X.dtype}; expected numbers, or X as a pandas.DataFrame")
        if X.ndim != 2 or X.shape[1] == 0:
            raise ValueError(f"X has shape {X.shape}; expected (N, columns >= 1)")
        check_finite("X", torch.from_numpy(X.astype(float)))
        return X
    if X.columns.has_duplicates:
        twice = X.columns[X.columns.duplicated()][0]
        raise ValueError(f"X has two columns {twice!r}; expected a name of its own for each")
    for name, column in X.items():
        _check_column(name, column.dropna())
    return X


def _check_column(name: Any, present: Series) -> None:
    if is_numeric_dtype(present) and np.isinf(present.to_numpy(float)).any():
        raise ValueError(f"column {name!r} of X is infinite somewhere; expected finite numbers")
    if present.dtype.kind != "O" or present.dtype == "category":
        return
    words = to_numeric(present.astype(str), errors="coerce").isna()
    if 0 < words.mean() < 0.5:
        raise ValueError(
            f"column {name!r} of X holds numbers and {present[words].iloc[0]!r}; expected numbers "
            f"or words: pandas.to_numeric(X[{name!r}], errors='coerce') makes such words gaps"
        )


def as_array(values: Any) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype == torch.bfloat16 else values  # NumPy has none
    return np.asarray(values)


def folds_of(data: Samples, cv: Any, groups: Any, random_state: int) -> tuple[list[Fold], str]:
    """For all contestants the same, and how they were made."""
    X, y, classes, _ = data
    if groups is not None and np.shape(groups) != (len(y),):
        raise ValueError(f"groups has shape {np.shape(groups)}; expected ({len(y)},), as y")
    split = _splitter(classes, cv, groups, random_state)
    with warnings.catch_warnings():  # what ignores groups is refused below
        warnings.filterwarnings("ignore", "The groups parameter is ignored")
        found = [*split.split(X, y, groups)]
    for number, (train, test) in enumerate(found, 1):
        if groups is not None and len(both := _shared(groups, train, test)):
            raise ValueError(
                f"cv={split} has group {both[0].item()!r} in both parts of fold {number}; expected "
                "a splitter that keeps groups together, such as GroupKFold"
            )
        if classes is not None and len(missing := np.setdiff1d(classes, y[train])):
            raise ValueError(
                f"cv={split} leaves no row of class {missing[0].item()!r} to train on in fold "
                f"{number}; expected all classes there"
            )
    return found, str(split)


def _shared(groups: Any, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    labels = np.asarray(groups)
    return np.intersect1d(labels[train], labels[test])


def _splitter(classes: Any, cv: Any, groups: Any, random_state: int) -> Any:
    """The user's own, or one that shuffles and keeps groups, and shares of classes, together."""
    if not isinstance(cv, Integral):
        return check_cv(cv)
    check_integer("cv", cv, 2)
    if groups is None:
        kind = KFold if classes is None else StratifiedKFold
    else:
        kind = GroupKFold if classes is None else StratifiedGroupKFold
        if (found := len(np.unique(groups))) < cv:
            raise ValueError(f"groups has {found} different labels; expected {cv}, as cv, or more")
    return kind(int(cv), shuffle=True, random_state=random_state)
