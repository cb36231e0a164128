"""From a reader's table to numbers: gaps, words, outliers, and nothing learned from test rows."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch

from evidence.tasks.preparing import prepare


def houses(n=200, seed=0):
    g = np.random.default_rng(seed)
    frame = pd.DataFrame({"area": g.uniform(20, 200, n), "rooms": g.integers(1, 6, n)})
    frame["town"] = g.choice(["Ulm", "Bonn", "Kiel"], n)
    frame["garden"] = g.random(n) < 0.4
    frame["price"] = 3 * frame.area + 90 * (frame.town == "Kiel") + 50 * frame.garden
    return frame


def column(prepared, frame, name):
    return prepared.inputs(frame)[:, prepared.columns.index(name)].double()


def test_every_column_fills_the_range_and_goes_back_to_its_units():
    frame = houses()
    one = prepare(frame, "price")
    x, y = one(frame)
    assert one.columns == ("area", "rooms", "garden", "town=Bonn", "town=Kiel", "town=Ulm")
    assert (x.min(0).values == -1).all() and (x.max(0).values == 1).all()
    torch.testing.assert_close(y.double().std(correction=0).item(), 1.0, rtol=0, atol=1e-5)
    np.testing.assert_allclose(y[:, 0] * one.deviation + one.mean, frame.price, rtol=1e-5)
    units = one.in_units(x)
    np.testing.assert_allclose(units[:, 0], frame.area, rtol=1e-4)
    np.testing.assert_allclose(units[:, 4], frame.town == "Kiel", atol=1e-4)


def test_scaling_against_its_formula():
    rng = np.random.default_rng(1)
    train, later = rng.standard_t(2, 300), np.array([-1e6, 0.3, 1e6])
    one = prepare(pd.DataFrame({"x": train, "y": train}), "y")

    def squashed(x):
        low, middle, high = np.percentile(train, [5, 50, 95])
        return np.sin(np.arctan((x - middle) / (high - low)))

    ends = squashed(train.min()), squashed(train.max())
    expected = np.interp(squashed(later), ends, (-1, 1))
    np.testing.assert_allclose(one.inputs(pd.DataFrame({"x": later}))[:, 0], expected, atol=1e-6)


def test_an_outlier_leaves_the_others_their_room():
    frame = houses()
    frame.loc[0, "area"] *= 100
    area = column(prepare(frame, "price"), frame, "area")
    others = area[1:]
    assert area[0] == 1 and others.max() - others.min() > 1


def test_a_missing_number_is_the_median_with_a_column_that_says_so():
    frame = houses()
    gaps = frame.index % 7 == 0
    frame["area"] = frame["area"].mask(gaps)
    one = prepare(frame, "price")
    middle = frame.assign(area=frame.area.fillna(frame.area.median()))
    torch.testing.assert_close(column(one, frame, "area"), column(one, middle, "area"))
    np.testing.assert_array_equal(column(one, frame, "area missing"), np.where(gaps, 1, -1))
    later = frame.head(2).assign(area=None, rooms=[None, 3], garden=[True, None], town=None)
    assert torch.isfinite(one.inputs(later)).all()


def test_gaps_in_every_kind_of_column():
    frame = houses()
    kinds = {"rooms": "Int64", "garden": "boolean", "town": "category"}
    gaps = frame.astype(kinds)
    for name in kinds:
        gaps.loc[gaps.index % 9 == 0, name] = pd.NA
    one = prepare(gaps, "price")
    assert {"rooms missing", "garden missing", "town=missing"} < {*one.columns}
    assert torch.isfinite(one.inputs(gaps)).all()
    plain, same = prepare(frame, "price"), prepare(frame.astype(kinds), "price")
    assert torch.equal(plain.inputs(frame), same.inputs(frame))


def test_rare_and_unseen_levels():
    frame = houses()
    rome = frame.head(1).assign(town="Rome")
    assert (prepare(frame, "price").inputs(rome)[0, -3:] == -1).all()  # in no column
    frame.loc[:2, "town"] = ["Jena", "Linz", "Linz"]
    one = prepare(frame, "price")
    assert one.columns[-4:] == ("town=Bonn", "town=Kiel", "town=Ulm", "town=other levels")
    assert column(one, frame, "town=other levels").gt(0).nonzero().ravel().tolist() == [0, 1, 2]
    assert column(one, rome, "town=other levels") == 1
    frame.loc[50:90, "town"] = "other"  # as the rare ones were called
    assert {"town=other", "town=other levels"} < {*prepare(frame, "price").columns}


def test_what_says_nothing_is_left_out():
    frame = houses().assign(always=0.1, land="DE", owner=[f"owner {i}" for i in range(200)])
    with pytest.warns(UserWarning, match="'owner' is left out: none of its 200 levels is in 5"):
        assert prepare(frame, "price").columns == prepare(houses(), "price").columns


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (["yes", "no"] * 20, "classes"),
        ([True, False] * 20, "classes"),
        (pd.Categorical(["a", "b"] * 20), "classes"),
        ([0, 1, 2, 3] * 10, "classes"),
        ([0.0, 1.0] * 20, "classes"),
        ([0.5, 1.0] * 20, "regression"),
        ([*range(40)], "regression"),
    ],
)
def test_kinds(target, kind):
    frame = pd.DataFrame({"x": range(40), "y": target})
    one = prepare(frame, "y")
    assert (one.classes is not None) == (kind == "classes")
    if kind == "classes":
        assert [one.classes[i] for i in one.targets(frame)] == [*target]


def test_a_level_without_rows_is_no_class():
    sizes = pd.Categorical(["S", "L"] * 20, categories=["S", "M", "L"])
    frame = pd.DataFrame({"x": range(40), "size": sizes})
    assert prepare(frame, "size").classes == ("L", "S")


def spoiled(**columns):
    return houses().assign(**columns)


@pytest.mark.parametrize(
    ("frame", "target", "options", "message"),
    [
        (houses(), "prize", {}, r"target='prize'; expected one of .*'area', .*'price'"),
        (houses()[["price"]], "price", {}, "two or more columns"),
        (houses(), "price", {"kind": "numbers"}, "kind='numbers'; expected one of regre"),
        (houses(), "town", {"kind": "regression"}, "column 'town' has '.*'; expected numbers"),
        (spoiled(price=7), "price", {}, "column 'price' is .*7.* in all 200 rows"),
        (spoiled(price=[None, *range(199)]), "price", {}, "missing in 1 of 200 .*dropna"),
        (spoiled(price=[np.inf, *range(199)]), "price", {}, "column 'price' is inf"),
        (spoiled(sold=pd.Timestamp("2024-01-02")), "price", {}, "'sold' holds datetime64.*month"),
        (spoiled(sold=pd.Timedelta("3 days")), "price", {}, "'sold' holds timedelta64.*seconds"),
        (spoiled(price=pd.date_range("2024", periods=200)), "price", {}, "'price' holds datetime"),
        (spoiled(phase=1j), "price", {}, "'phase' holds complex128; expected numbers or words"),
        (houses().iloc[:0], "price", {}, r"frame has shape \(0, \d\); expected rows and columns"),
        (houses().rename(columns={"area": "rooms"}), "price", {}, "two columns 'rooms'"),
        (houses().rename(columns={"area": 1, "town": "1"}), "price", {}, "two columns '1'"),
        (houses()[["price"]].assign(land="DE"), "price", {}, "no column beside 'price' that tells"),
        (spoiled(notes=np.nan), "price", {}, "column 'notes' has no value in any of 200 rows"),
        (spoiled(ratio=[np.inf] + [1.0] * 199), "price", {}, "column 'ratio' is inf"),
        (spoiled(age=["?", *map(str, range(199))]), "price", {}, r"'age' holds .*'\?'.*to_numeric"),
    ],
)
def test_bad_tables_are_named(frame, target, options, message):
    with pytest.raises(ValueError, match=message):
        prepare(frame, target, **options)


def test_more_bad_input(monkeypatch):
    with pytest.raises(TypeError, match="frame is a ndarray; expected a pandas.DataFrame"):
        prepare(np.zeros((30, 2)), "y")
    with pytest.raises(ValueError, match="column 'town' has 'Rome'; expected a class that is in"):
        prepare(houses(), "town").targets(houses().assign(town="Rome"))
    one = prepare(houses(), "price")
    for function in (one, one.inputs, one.targets):
        with pytest.raises(TypeError, match="frame is a dict; expected a pandas.DataFrame"):
            function({"area": [80.0], "price": [200.0]})
        with pytest.raises(ValueError, match="frame has shape .*; expected rows and columns"):
            function(houses().iloc[:0])
    with pytest.raises(ValueError, match="column 'area': .*'big'; expected numbers"):
        one.inputs(houses().assign(area="big"))
    with pytest.raises(ValueError, match="column 'area' is inf"):
        one.inputs(houses().assign(area=np.inf))
    monkeypatch.setitem(sys.modules, "sklearn.compose", None)
    with pytest.raises(ImportError, match="scikit-learn is not installed"):
        prepare(houses(), "price")


def test_numbers_as_names_of_columns():
    x = torch.rand(60, 2)
    frame = pd.DataFrame(torch.cat([x, x[:, :1]], 1).numpy())
    assert prepare(frame, 2).columns == ("0", "1")


@pytest.mark.parametrize("kind", [str, object])
def test_numbers_read_as_strings_are_numbers(kind):
    frame = houses()
    frame["area"] = frame["area"].mask(frame.index % 7 == 0)
    read = frame.assign(price=frame.price.astype(kind), rooms=frame.rooms.astype(kind))
    read["area"] = frame["area"].astype(kind).where(frame["area"].notna())
    plain, same = prepare(frame, "price"), prepare(read, "price")
    assert plain.columns == same.columns and plain.words == same.words == ("town",)
    for a, b in zip(plain(frame), same(read), strict=True):
        assert torch.equal(a, b)
    codes = prepare(frame.assign(rooms=frame.rooms.astype(str).astype("category")), "price")
    assert codes.words == ("rooms", "town")  # of a category they are words


def test_an_outlier_whose_square_is_no_number_is_far_out():
    frame = houses()
    one = prepare(frame, "price")
    assert (column(one, frame.assign(area=1e200), "area") == 1).all()


def test_columns_of_several_levels():
    frame = pd.concat({"house": houses()}, axis=1)
    one = prepare(frame, ("house", "price"))
    assert torch.equal(one.inputs(frame), prepare(houses(), "price").inputs(houses()))


def test_classes_of_several_types():
    frame = pd.DataFrame({"x": range(40), "y": ["a", "b", "c", 1] * 10})
    assert [prepare(frame, "y").classes[i] for i in prepare(frame, "y").targets(frame)] == [
        *frame.y
    ]
