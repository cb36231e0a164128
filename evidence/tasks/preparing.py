"""From a table of your own, with gaps, words and outliers, to what a network can learn from."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kanbook._checks import check_finite, check_name

from ..baselines import sklearn

if TYPE_CHECKING:
    from pandas import DataFrame, Series

__all__ = ["Prepared", "prepare"]

RARE, FEWEST = 0.02, 5  # a level in a smaller share of the rows, or in fewer rows, is rare
FEW = 10  # up to so many different whole numbers are classes


@dataclass(frozen=True)
class Prepared:
    """What :func:`prepare` learned: called with a table, it returns its inputs and targets.

    Attributes:
        target: name of the target's column.
        columns: names of the I inputs, in order.
        words: names of the table's columns that hold words or categories.
        classes: levels of the target, in the order of their numbers; None if it is a number.
        mean, deviation: of the target on the training rows; 0 and 1 for classes.
    """

    target: str
    columns: tuple[str, ...]
    words: tuple[str, ...]
    classes: tuple[Any, ...] | None
    mean: float
    deviation: float
    steps: Any = field(repr=False)

    def __call__(self, frame: DataFrame) -> tuple[Tensor, Tensor]:
        """Inputs (N, I) in [-1, 1]; targets (N, 1), standardized, or classes (N,) as numbers."""
        return self.inputs(frame), self.targets(frame)

    def inputs(self, frame: DataFrame) -> Tensor:
        """Inputs alone, as for rows whose target is not known yet."""
        cells = _cells(named(frame)[self.steps.feature_names_in_], self.words)
        return torch.tensor(self.steps.transform(cells), dtype=torch.get_default_dtype())

    def targets(self, frame: DataFrame) -> Tensor:
        values = named(frame)[self.target]
        if self.classes is None:
            scaled = (_numbers(values) - self.mean) / self.deviation
            return torch.tensor(scaled[:, None], dtype=torch.get_default_dtype())
        for value in values.unique():
            if value not in self.classes:
                raise ValueError(
                    f"column {self.target!r} has {value!r}; expected a class that is in the "
                    f"training rows: {self.classes}"
                )
        return torch.tensor([self.classes.index(value) for value in values])

    def in_units(self, inputs: Tensor) -> np.ndarray:
        """From inputs (N, I) in [-1, 1] back to the units of their columns, as for an axis."""
        return self.steps[2:].inverse_transform(inputs.detach().cpu().double().numpy())


def prepare(frame: DataFrame, target: str, *, kind: str | None = None) -> Prepared:
    r"""Learn from the training rows of a table how its columns become inputs in [-1, 1].

    - Numbers, also those read as strings, True and False: a missing one becomes the median, and if
      there is any, one column more says which.
    - Words and categories: one column for each level, with "missing" as a level. Levels in less
      than 2 % of the rows, or in fewer than 5, share the column "other levels", and so do levels
      that are new in later rows; without that column, those are in none.
    - Columns that never change are left out; so are those of words that all are rare.
    - Each column is scaled: with u = (x - median) / (95th - 5th percentile), the range of
      :math:`u / \sqrt{1 + u^2}` becomes [-1, 1]. Later rows are cut off there: beyond its knots a
      spline fades to zero.

    Args:
        frame: the training rows.
        target: name of the column to predict; none of its values is missing.
        kind: "regression" or "classes". If not given, classes are words, True and False, and whole
            numbers with at most 10 different values.

    Raises:
        TypeError, ValueError: the target is no column, has gaps, one value only, or words for
            regression; two columns have one name; a column holds dates, nothing, an infinite
            number, or numbers among which there are words; or no column tells rows apart.
        ImportError: scikit-learn is not installed.

    Example:
        >>> from pandas import DataFrame
        >>> rows = {"area": [50, 80, None, 120] * 5, "town": ["Ulm", "Bonn"] * 10}
        >>> one = prepare(DataFrame(rows | {"price": range(20)}), "price")
        >>> one.columns
        ('area', 'area missing', 'town=Bonn', 'town=Ulm')
        >>> one.inputs(DataFrame({"area": [900.0], "town": ["Rome"]}))
        tensor([[ 1., -1., -1., -1.]])

    In the book: the solutions to chapter 16.
    """
    frame, target, kind = checked(frame, target, kind)
    inputs = frame.drop(columns=target)
    words = [name for name, column in inputs.items() if _holds_words(column)]
    cells, least = _cells(inputs, words), max(FEWEST, math.ceil(RARE * len(frame)))
    counts = {name: column.value_counts(dropna=False) for name, column in cells.items()}
    rare = [name for name in words if counts[name].max() < least]
    for name in rare:
        warnings.warn(
            f"column {name!r} is left out: none of its {len(counts[name])} levels is in {least} or "
            f"more of {len(frame)} rows",
            stacklevel=2,
        )
    if all(name in rare or len(levels) < 2 for name, levels in counts.items()):
        raise ValueError(f"frame has no column beside {target!r} that tells its rows apart")
    compose, scaling = sklearn("compose"), sklearn("preprocessing")
    median = sklearn("impute").SimpleImputer(strategy="median", add_indicator=True)
    one_hot = scaling.OneHotEncoder(
        min_frequency=least,
        handle_unknown="infrequent_if_exist",
        feature_name_combiner=_level_name,
        sparse_output=False,
    )
    parts = [("numbers", median, cells.columns.drop(words)), ("words", one_hot, words)]
    steps = sklearn("pipeline").make_pipeline(
        compose.ColumnTransformer(parts, verbose_feature_names_out=False),
        sklearn("feature_selection").VarianceThreshold(),
        scaling.RobustScaler(quantile_range=(5, 95)),
        scaling.FunctionTransformer(_squashed, _stretched, feature_names_out="one-to-one"),
        scaling.MinMaxScaler((-1, 1), clip=True),
    )
    steps.fit(cells)
    columns = tuple(_indicator_name(name) for name in steps.get_feature_names_out())
    if kind == "classes":
        levels = frame[target].unique().tolist()
        classes = tuple(sorted(levels, key=lambda level: (str(type(level)), level)))
        return Prepared(target, columns, tuple(words), classes, 0.0, 1.0, steps)
    y = _numbers(frame[target])
    return Prepared(target, columns, tuple(words), None, float(y.mean()), float(y.std()), steps)


def named(frame: DataFrame) -> DataFrame:
    """The same with strings as names of its columns."""
    from pandas import DataFrame

    if not isinstance(frame, DataFrame):
        raise TypeError(f"frame is a {type(frame).__name__}; expected a pandas.DataFrame")
    if frame.empty:
        raise ValueError(f"frame has shape {frame.shape}; expected rows and columns")
    frame = frame.set_axis([*map(str, frame.columns)], axis=1)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"frame has two columns {twice!r}; expected a name of its own for each")
    return frame


def checked(frame: DataFrame, target: str, kind: str | None = None) -> tuple[DataFrame, str, str]:
    """The table and its target with strings as names, and what there is to predict, the kind."""
    check_name("kind", "regression" if kind is None else kind, ("regression", "classes"))
    frame = named(frame)
    if str(target) not in frame or len(frame.columns) < 2:
        raise ValueError(f"target={target!r}; expected one of two or more columns: {[*frame]}")
    target = str(target)
    values, name = frame[target], f"target column {target!r}"
    if values.isna().any():
        raise ValueError(
            f"{name} is missing in {values.isna().sum()} of {len(frame)} rows; expected none: "
            "leave those rows out, as by dropna"
        )
    for column in frame:
        _check_column(column, frame[column])
    if values.nunique() < 2:
        raise ValueError(
            f"{name} is {values.iloc[0]!r} in all {len(frame)} rows; expected two values or more"
        )
    is_number = values.dtype.kind != "b" and not _holds_words(values)
    if kind == "regression" and not is_number:
        raise ValueError(f"{name} has {values.iloc[0]!r}; expected numbers for kind='regression'")
    if kind is None:
        few = is_number and values.nunique() <= FEW and (_numbers(values) % 1 == 0).all()
        kind = "regression" if is_number and not few else "classes"
    return frame, target, kind


def _holds_words(column: Series) -> bool:
    """Neither numbers, of their type or read as strings, nor True and False."""
    if column.dtype.kind in "iufb":
        return False
    return column.dtype == "category" or bool(_no_numbers(column.dropna()).any())


def _no_numbers(present: Series) -> Series:
    from pandas import to_numeric

    return to_numeric(present.astype(str), errors="coerce").isna()


def _check_column(name: str, column: Series) -> None:
    if column.dtype.kind in "mMc":
        raise ValueError(
            f"column {name!r} holds {column.dtype}; expected numbers or words: make columns of "
            "what may matter in it (the month, the seconds, the real part), and drop it"
        )
    present = column.dropna()
    if present.empty:
        raise ValueError(f"column {name!r} has no value in any of {len(column)} rows; drop it")
    if not _holds_words(column):
        _numbers(column)
        return
    no_number = _no_numbers(present)
    if 0 < no_number.mean() < 0.5:
        raise ValueError(
            f"column {name!r} holds numbers and {present[no_number].iloc[0]!r}; expected numbers "
            f"or words: pandas.to_numeric(frame[{name!r}], errors='coerce') makes words missing"
        )


def _numbers(column: Series) -> np.ndarray:
    """Its numbers, NaN where one is missing; refuses what is none, or infinite."""
    try:
        numbers = column.astype(object).where(column.notna(), np.nan).to_numpy(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {column.name!r}: {error}; expected numbers") from error
    check_finite(
        f"column {column.name!r}", torch.from_numpy(np.where(np.isnan(numbers), 0, numbers))
    )
    return numbers


def _cells(frame: DataFrame, words: Collection[str]) -> DataFrame:
    """The same with floats and strings alone, of whatever types the columns were."""
    cells = frame.copy()
    for name, column in frame.items():
        text = column.astype(object).where(column.notna(), "missing")
        cells[name] = text.astype(str) if name in words else _numbers(column)
    return cells


def _level_name(column: str, level: str) -> str:
    return f"{column}={'other levels' if level == 'infrequent_sklearn' else level}"


def _indicator_name(name: str) -> str:
    column = name.removeprefix("missingindicator_")
    return name if column == name else f"{column} missing"


def _squashed(u: np.ndarray) -> np.ndarray:
    return u / np.hypot(1, u)


def _stretched(u: np.ndarray) -> np.ndarray:
    return u / np.sqrt(1 - u**2)
