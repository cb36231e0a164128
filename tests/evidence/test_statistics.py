"""How families compare: ratios with intervals against formulas and loops, and what is refused."""

import itertools
import math

import numpy as np
import pandas
import pytest
from scipy import stats

from evidence import statistics
from kanbook.certainty import holm

KINDS = {"axes": 8, "rotated": 8, "generic": 3}


def contest(effects, *, kinds=KINDS, seeds=10, noise=0.3, contest="parameters"):
    """Rows of KAN and MLP; the KAN's log error is the MLP's and its class's effect, and noise."""
    draw = np.random.default_rng(0)
    rows = []
    for kind, tasks in kinds.items():
        for task in range(tasks):
            hard, own = draw.normal(size=2)
            for seed in range(seeds):
                for family in ("KAN", "MLP"):
                    log = hard - 4 + noise * draw.normal()
                    log += (effects[kind] + noise * own) * (family == "KAN")
                    rows.append({"task": f"{kind} {task}", "kind": kind, "contest": contest})
                    rows[-1] |= {"family": family, "seed": seed, "stage": "result", "config": 0}
                    rows[-1] |= {"test_error": math.exp(log), "diverged": False}
    return pandas.DataFrame(rows)


EFFECTS = {"axes": math.log(0.3), "rotated": math.log(3), "generic": 0.0}


def test_ratios_by_students_t():
    frame = contest(EFFECTS)
    found = statistics.ratios(frame.sample(frac=1, random_state=0), "KAN", "MLP").set_index("kind")
    assert set(found.index[:-1]) == set(KINDS) and found.index[-1] == "all"
    for kind, row in found.iterrows():
        rows = frame if kind == "all" else frame[frame.kind == kind]
        wide = np.log(rows.pivot(index="seed", columns=["family", "task"], values="test_error"))
        logs = (wide["KAN"] - wide["MLP"]).mean()  # one a task
        n, mean, error = len(logs), logs.mean(), logs.std() / math.sqrt(len(logs))
        assert row["tasks"] == n == KINDS.get(kind, 19) and row.diverged == 0
        reach = stats.t.ppf(0.975, n - 1) * error
        expected = [math.exp(log) for log in (mean, mean - reach, mean + reach)]
        expected.append(2 * stats.t.sf(abs(mean) / error, n - 1))
        np.testing.assert_allclose(list(row[["ratio", "low", "high", "p"]]), expected, rtol=1e-9)
    words = ["clearly better", "clearly worse", "undecided"]
    assert list(found.loc[["axes", "rotated", "generic"], "verdict"]) == words


def test_by_hand():
    """Two tasks, two seeds: ratios 1/2 and 1/8, so 1/4; 8 and 8. Mean log2 -2 and 3."""
    errors = {("s", 0): (1, 2), ("s", 1): (1, 8), ("t", 0): (8, 1), ("t", 1): (4, 0.5)}
    rows = [
        {"task": task, "kind": "k", "seed": seed, "family": family, "test_error": error}
        for (task, seed), pair in errors.items()
        for family, error in zip("ab", pair, strict=True)
    ]
    frame = pandas.DataFrame(rows).assign(diverged=False)
    (one,) = statistics.ratios(frame, "a", "b").itertuples(index=False)
    assert one.kind == "k" and one.ratio == pytest.approx(2**0.5)
    reach = 12.706204736 * 2.5 * math.log(2)  # t of one degree of freedom, times standard error
    assert math.log(one.high / one.ratio) == pytest.approx(reach)
    s, t = statistics.per_task(frame, "a", "b").itertuples(index=False)
    assert (s.task, s.seeds, t.task) == ("s", 2, "t")
    assert [s.ratio, t.ratio, t.low, t.high] == pytest.approx([1 / 4, 8, 8, 8])
    assert math.log(s.high / s.ratio) == pytest.approx(12.706204736 * math.log(2))


@pytest.mark.parametrize(
    "effect, noise, verdict",
    [
        (0.0, 0.05, "a tie"),
        (0.0, 1.0, "undecided"),
        (-0.1, 0.01, "a tie"),
        (-0.17, 0.05, "a little, but surely better"),
        (0.3, 0.05, "clearly worse"),
    ],
)
def test_verdicts(effect, noise, verdict):
    """A small effect is a tie however sure it is: -0.1 has p far below 0.05."""
    frame = contest({"k": effect}, kinds={"k": 8}, noise=noise)
    (one,) = statistics.ratios(frame, "KAN", "MLP").itertuples()
    assert one.verdict == verdict
    assert (one.p < 0.05) == (effect != 0)


def closed_test(p):
    """Holm's p are those of the closed procedure with Bonferroni's test of every intersection."""
    sets = [s for n in range(1, len(p) + 1) for s in itertools.combinations(range(len(p)), n)]
    local = {s: min(1, len(s) * min(p[i] for i in s)) for s in sets}
    return [max(value for s, value in local.items() if i in s) for i in range(len(p))]


def test_p_is_corrected_for_all_that_stands_together():
    effects = {kind: math.log(1.5) for kind in "abcdefg"}
    frame = contest(effects, kinds=dict.fromkeys("abcdef", 4) | {"g": 1}, noise=0.25)
    found = statistics.ratios(frame, "KAN", "MLP").set_index("kind")
    tested = found.index.drop("g")  # of one task: no hypothesis
    assert len(tested) == 7 and math.isnan(found.p_holm["g"])
    np.testing.assert_allclose(found.p_holm[tested], closed_test(list(found.p[tested])))
    alone = [statistics.judged(found.loc[[kind]]).verdict.iloc[0] for kind in tested]
    taken = alone.count("clearly worse") - list(found.verdict).count("clearly worse")
    assert taken > 0, "the correction may take a verdict away"
    again = statistics.judged(pandas.concat([found, found]))
    assert (again.p_holm.dropna() >= pandas.concat([found, found]).p_holm.dropna()).all()


def test_rivals_in_all_contests_are_judged_together():
    frame = contest({"k": 0.5, "l": 0.0}, kinds={"k": 4, "l": 3})
    other = frame[frame.family == "MLP"].assign(family="GP")
    both = pandas.concat([frame, other, frame.assign(contest="seconds")])
    found = statistics.against_rivals(both)
    assert len(found) == 3 * 3
    np.testing.assert_allclose(found.p_holm, holm(found.p))
    (row,) = found.query("contest == 'seconds' and kind == 'k'").itertuples()
    single = statistics.ratios(frame, "KAN", "MLP").set_index("kind").loc["k"]
    assert (row.rival, row.ratio, row.low, row.p) == ("MLP", single.ratio, single.low, single.p)


def test_a_run_that_diverged_counts_as_the_mean():
    frame = contest(EFFECTS, kinds={"axes": 2}, seeds=3)
    lost = (frame.family == "KAN") & (frame.seed == 1) & (frame.task == "axes 0")
    frame.loc[lost, ["test_error", "diverged"]] = math.inf, True
    counted = frame.assign(test_error=frame.test_error.where(~lost, 1.0), diverged=False)
    found = statistics.ratios(frame, "KAN", "MLP")
    assert list(found.diverged) == [1]
    expected = statistics.ratios(counted, "KAN", "MLP").drop(columns="diverged")
    pandas.testing.assert_frame_equal(found.drop(columns="diverged"), expected)
    assert list(statistics.per_task(frame, "KAN", "MLP").diverged) == [1, 0]
    first = statistics.medians(frame).iloc[0]
    assert (first.family, first.diverged, first.largest) == ("KAN", 1, math.inf)


def test_other_classes_and_columns():
    """The same tasks with and without noise: a class for each, and each task once in all."""
    frame = contest({"k": 0.5}, kinds={"k": 4})
    louder = frame.assign(test_error=frame.test_error**2)
    both = pandas.concat([frame.assign(kind=20), louder.assign(kind=200)])
    found = statistics.ratios(both, "KAN", "MLP").set_index("kind")
    assert list(found["tasks"]) == [4, 4, 4]
    assert found.ratio[200] == pytest.approx(found.ratio[20] ** 2)
    assert found.ratio["all"] == pytest.approx(found.ratio[20] ** 1.5)
    p90 = both.assign(p90=both.test_error, test_error=1.0)
    again = statistics.per_task(p90, "KAN", "MLP", column="p90")
    pandas.testing.assert_frame_equal(statistics.per_task(both, "KAN", "MLP"), again)


def test_runs_without_a_partner_and_of_the_search_are_left_out():
    frame = contest(EFFECTS)
    more = frame[frame.family == "KAN"].assign(seed=lambda f: f.seed + 100)
    search = frame.assign(stage="search", test_error=1.0)
    pandas.testing.assert_frame_equal(
        statistics.ratios(pandas.concat([frame, more, search]), "KAN", "MLP"),
        statistics.ratios(frame, "KAN", "MLP"),
    )


def test_medians():
    frame = contest(EFFECTS, kinds={"axes": 1}, seeds=3).assign(parameters=7, p90=0.5, seconds=2.0)
    both = pandas.concat([frame, frame.assign(contest="seconds", stage="search")])
    found = statistics.medians(both)
    columns = "contest kind task family seeds median least largest diverged p90 parameters seconds"
    assert " ".join(found) == columns and list(found.family) == ["KAN", "MLP"]
    kan = frame[frame.family == "KAN"].test_error
    expected = kan.median(), kan.min(), kan.max()
    assert tuple(found.loc[0, ["median", "least", "largest"]]) == expected


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda f: statistics.ratios(f, "KAN", "GP"), "b='GP'; expected one of 'KAN', 'MLP'"),
        (lambda f: statistics.per_task(f, "kan", "MLP"), "a='kan'; expected one of 'KAN', 'MLP'"),
        (lambda f: statistics.ratios(f[["kind"]], "KAN", "MLP"), "frame has no column 'task'"),
        (
            lambda f: statistics.per_task(
                pandas.concat([f, f.assign(contest="seconds")]), "KAN", "MLP"
            ),
            r"the contests \['parameters', 'seconds'\]; expected one",
        ),
        (
            lambda f: statistics.ratios(pandas.concat([f, f]), "KAN", "MLP"),
            "several runs of 'KAN' with the same kind, task, seed",
        ),
        (
            lambda f: statistics.ratios(f[(f.family == "KAN") == (f.seed < 5)], "KAN", "MLP"),
            "no task and seed with both a='KAN' and b='MLP'",
        ),
        (lambda f: statistics.medians(f.drop(columns="task")), "frame has no column 'task'"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(contest(EFFECTS, kinds={"axes": 2}))


def test_the_family_that_set_the_pace_takes_part_in_the_contest_at_equal_seconds():
    rows = [("parameters", "KAN"), ("parameters", "MLP"), ("seconds", "MLP")]
    frame = pandas.DataFrame(
        {"contest": contest, "task": task, "family": family, "seed": 0, "error": error}
        for error, (contest, family) in enumerate(rows)
        for task in ("a", "b")
    )
    frame = pandas.concat([frame, frame[frame.family == "KAN"].assign(task="c")])
    found = statistics.with_own(frame)
    seconds = found[found.contest == "seconds"]
    assert sorted(zip(seconds.task, seconds.family, seconds.error, strict=True)) == [
        ("a", "KAN", 0), ("a", "MLP", 2), ("b", "KAN", 0), ("b", "MLP", 2)
    ]  # fmt: skip
    assert statistics.rivals(seconds) == ["MLP"] and len(statistics.with_own(found)) == len(found)


def test_the_pace_of_families():
    models = ({"family": "KAN"}, {"family": "KAN"}, {"family": "MLP"})
    what = {"task": "formula:f", "inputs": 2, "size": 1000, "models": models}
    times = {"step_seconds": (0.002, 0.004, 0.001), "prediction_seconds": (3e-4, 5e-4, 4e-5)}
    found = statistics.paces(pandas.DataFrame([what | times])).set_index("family")
    assert found.loc["KAN", "step_ms"] == pytest.approx(3) and len(found) == 2
    assert found.loc["KAN", ["least", "largest"]].tolist() == pytest.approx([2, 4])
    assert found.loc["MLP", "prediction_us"] == pytest.approx(40)


EXTRAS = "bias", "base", "update"


def factorial(rng, seeds=4):
    """All subsets of three extras on two tasks, with random errors."""
    rows = []
    for task, n in itertools.product(("one", "two"), range(4)):
        for names in itertools.combinations(EXTRAS, n):
            for seed in range(seeds):
                row = {"task": task, "family": " + ".join(names) or "minimal", "seed": seed}
                row |= {"test_error": math.exp(rng.normal()), "seconds": 1 + len(names)}
                rows.append(row | {"diverged": False, "stage": "result"})
    return pandas.DataFrame(rows)


def test_main_effects_are_those_of_least_squares():
    frame = factorial(np.random.default_rng(0))
    found = statistics.effects(frame).set_index(["task", "extra", "where"]).sort_index()
    assert len(found) == 2 * 3 * 3
    for task, runs in frame.groupby("task"):
        design = [[1.0] + [one in family for one in EXTRAS] for family in runs.family]
        fitted = np.linalg.lstsq(np.array(design), np.log(runs.test_error), rcond=None)[0]
        for extra, effect in zip(EXTRAS, fitted[1:], strict=True):
            assert found.ratio[task, extra, "main"] == pytest.approx(math.exp(effect))


def test_effects_alone_and_in_company_are_paired_t_tests():
    frame = factorial(np.random.default_rng(1))
    found = statistics.effects(frame).set_index(["task", "extra", "where"]).sort_index()
    logs = np.log(frame.set_index(["task", "family", "seed"]).sort_index().test_error)
    pairs = {"alone": ("base", "minimal"), "company": ("bias + base + update", "bias + update")}
    for where, (a, b) in pairs.items():
        expected = stats.ttest_rel(logs["one", a], logs["one", b]).confidence_interval(0.95)
        row = found.loc["one", "base", where]
        assert (row.low, row.high) == pytest.approx(tuple(np.exp(expected)))
        assert row.p == stats.ttest_rel(logs["one", a], logs["one", b]).pvalue
    assert found.seconds["one", "base", "alone"] == pytest.approx(2)
    assert found.seconds["one", "base", "main"] == pytest.approx((2 * 1.5**2 * 4 / 3) ** 0.25)


def test_the_interval_of_a_main_effect_is_the_wider_one():
    for spread, axis in (("family", 1), ("seed", 0)):
        frame = factorial(np.random.default_rng(2)).query("task == 'one'")
        noise = np.random.default_rng(3).normal(size=len(frame))
        codes = frame[spread].astype("category").cat.codes
        frame["test_error"] = np.exp(codes * frame.family.str.contains("update") + 0.01 * noise)
        row = statistics.effects(frame).set_index(["extra", "where"]).loc["update", "main"]
        logs = np.log(frame.pivot(index="family", columns="seed", values="test_error"))
        without = [name for name in logs.index if "update" not in name]
        withs = ["update" if name == "minimal" else f"{name} + update" for name in without]
        means = (logs.loc[withs].to_numpy() - logs.loc[without].to_numpy()).mean(axis)
        t = stats.t.interval(0.95, len(means) - 1, means.mean(), stats.sem(means))
        assert (row.low, row.high) == pytest.approx(tuple(np.exp(t)))


def test_effects_of_what_was_not_paired_are_left_out():
    frame = factorial(np.random.default_rng(4))
    few = frame[frame.family.isin(["minimal", *EXTRAS, " + ".join(EXTRAS)])]
    assert set(statistics.effects(few)["where"]) == {"alone"}
    with pytest.raises(ValueError, match="'diverged'"):
        statistics.effects(frame.drop(columns="diverged"))
    with pytest.raises(ValueError, match="no result with an extra and without"):
        statistics.effects(frame[frame.family == "bias"])
