"""The judges of parts A, B, M and N ask who learns formulas best: without noise and with it, with
other settings drawn, and with inputs turned.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from pandas import DataFrame, Series, concat

from .. import draws, reading, statistics
from ..families import ends
from . import comparisons
from .comparisons import versus, versus_logs, where
from .judging import LM, Versus, number, percent
from .registry import duel, judge

# A. Formulas

for contest in ("parameters", "seconds"):
    equal, among = f"equal {contest}", {"contest": contest}
    duel("A 1", "formulas", "KAN", "better", "MLP", "axes", said=f"{equal}, axes", **among)
    for label, kind in (("A 2", "rotated"), ("A 3", "generic")):
        duel(label, "formulas", "KAN", "not_better", "MLP", kind, said=f"{equal}, {kind}", **among)


@judge("A 4", "formulas")
def own_methods_beat_every_network(frame):
    frame = where(frame, contest="parameters", diverged=False)
    frame = frame[[ends(task)[0] <= 3 for task in frame["task"]]]
    groups = frame.assign(log=np.log(frame["test_error"])).groupby(["task", "family"])
    errors, seconds = groups["log"].mean().unstack(), groups["seconds"].median().unstack()
    own = ["polynomial", "gaussian process"]
    networks = errors.columns.difference(own)
    best = errors[own].idxmin(axis=1)
    won, quick = (
        sum(table.at[task, name] < table.loc[task, networks].min() for task, name in best.items())
        for table in (errors, seconds)
    )
    said = f"less error than every network on **{won}** of {len(best)}, in less time on {quick}"
    yield {"less error": won == len(best), "in less time": quick == len(best)}, said


among = {"contest": "parameters"}
duel("A 5", "formulas", "KAN", "not_better", "spline MLP", "rotated", said="rotated", **among)


@judge("A 6", "formulas", "tanh-readings")
def one_tanh_after_the_sum_is_near_the_mlp_and_the_best_reading(frame, readings):
    first, frame = "tanh after the sum", where(frame, contest="parameters")
    for kind in ("axes", "rotated", "generic"):
        ratio = versus(frame, first, "MLP", kind)
        yield {"within 1.5": ratio.within(1.5)}, f"{kind}: {ratio}"
    both = concat([where(frame, kind="axes"), readings])
    for other in ("tanh at the node", "tanh on every edge"):
        ratio = versus(both, first, other)
        yield {"ahead of both": ratio.better}, f"axes: {ratio}"


@judge("A 7", "formulas", "formulas-lbfgs", "formulas-lm")
def second_order_widens_the_lead_along_the_axes_alone(adam, *others):
    adam = where(adam, contest="parameters")
    for name, frame in zip(("L-BFGS", LM), others, strict=True):
        axes = (where(part, kind="axes") for part in (frame, adam))
        now, then = (comparisons.log_ratios(part, "KAN", "MLP") for part in axes)
        ratio = versus_logs(f"(KAN / MLP by {name})", now, "(by Adam)", then)
        yield {"grows along the axes": ratio.less}, f"axes: {ratio}"
        ratio = versus(frame, "KAN", "MLP", "rotated")
        yield {"none rotated": ratio.not_better}, f"rotated, {name}: {ratio}"


duel("A dense", "formulas-dense", "KAN", "better", "MLP", "axes", said="axes", **among)
duel("A dense", "formulas-dense", "KAN", "not_better", "MLP", "rotated", said="rotated", **among)
duel("A dense why", "formulas-many", "KAN", "better", "MLP", "axes", said="many", **among)
duel("A dense why", "formulas-few", "KAN", "not_better", "MLP", "axes", said="few", **among)


# B. Noise

for rival in ("MLP", "spline MLP", "tanh after the sum"):
    duel("B 1", "noise", "KAN", "tie", rival, "noise 20%, 200 samples", claim="all tie")


@judge("B 2", "noise")
def kan_loses_more_by_noise(frame):
    for samples in (200, 2000):
        loud, still = (
            comparisons.log_ratios(where(frame, samples=samples, noise=noise), "KAN", "MLP")
            for noise in (0.2, 0.0)
        )
        ratio = versus_logs("(KAN / MLP at 20 %)", loud, "(at 0 %)", still)
        yield {"loses more": ratio.more}, f"{samples:,} samples: {ratio}"


# M. The luck of the draw

MANY = "formulas-many", "formulas-many-seconds", "formulas-redraws"
FEW = "formulas", "formulas-redraws-few"


def over_draws(experiment: str, contest: str, kind: str) -> Versus:
    """KAN / MLP over tasks and draws, judged with all contests and classes of the experiment."""
    table = draws.ratios(comparisons.drawn_again(experiment), "KAN", "MLP")
    return Versus("KAN", "MLP", where(table, contest=contest, kind=kind).iloc[0])


@judge("M 1", *MANY)
def many_samples_equal_steps(*_):
    ratio = over_draws("formulas-many", "parameters", "axes")
    yield {"clearly better": ratio.better}, ratio


@judge("M 2", *MANY)
def many_samples_equal_seconds(*_):
    ratio = over_draws("formulas-many", "seconds", "axes")
    yield {"not clearly better": ratio.not_better}, ratio


@judge("M 3", *MANY)
def off_the_axes(*_):
    for contest, kind in product(("parameters", "seconds"), ("rotated", "generic")):
        ratio = over_draws("formulas-many", contest, kind)
        yield {f"{contest}, {kind}": ratio.not_better}, f"equal {contest}, {kind}: {ratio}"


@judge("M 4", *MANY)
def draws_widen_the_interval(first, *_):
    def width(found: Any) -> float:
        return np.log(found.high / found.low)

    with_draws = over_draws("formulas-many", "parameters", "axes").found
    without = comparisons.compared("formulas-many", "KAN", "MLP").over("axes")
    times = width(with_draws) / width(without)
    yield {"1.5 times as wide": times > 1.5}, f"**{number(times)}** times as wide"


@judge("M 5", *FEW)
def few_samples(*_):
    ratio = over_draws("formulas", "parameters", "axes")
    yield {"not clearly better": ratio.not_better}, ratio


@judge("M 6", "formulas-redraws", "formulas-redraws-few")
def best_settings_lie_inside(*_):
    names = "formulas-redraws", "formulas-redraws-few"
    tried = concat(reading.load(name, tuning=True).assign(of=name) for name in names)
    tried = where(tried, stage="search").assign(
        layers=lambda frame: frame["widths"].map(len) - 2,
        log=lambda frame: statistics.log_errors(frame, "validation_error"),
    )
    cells = ["of", "contest", "task", "redraw", "family"]
    tried["rank"] = tried.groupby(cells)["lr"].rank()
    best = tried.loc[tried.groupby(cells)["log"].idxmin()]
    ends = {
        "KAN": {"grid_size": (0, 2, 30, 40), "degree": (5,), "layers": (4,)},
        "MLP": {"input_scale": (30,), "layers": (5,)},
    }
    for family, columns in ends.items():
        own = where(best, family=family)
        at = {"rates": own["rank"].isin([1, 12]).mean()}
        at |= {name: own[name].isin(values).mean() for name, values in columns.items()}
        for name, share in at.items():
            claimed = {f"{family}, {name}": bool(share < 0.1)}
            yield claimed, f"{family}, {name}: **{percent(share)}**"


def against_fields(frame: DataFrame) -> DataFrame:
    """For each formula the logarithms of the errors of both networks and of the field's own."""
    networks = where(comparisons.drawn_again("formulas-many"), contest="parameters")
    errors = {name: draws.errors(networks, name).mean(axis=1) for name in ("KAN", "MLP")}
    means = frame.groupby(["task", "family"])["validation_error"].mean().unstack()
    logs = statistics.log_errors(frame).groupby([frame["task"], frame["family"]]).mean().unstack()
    best = means.idxmin(axis=1)
    own = {task: logs.at[task, method] for task, method in best.items()}
    return DataFrame(errors | {"own": Series(own), "method": best})


@judge("M 7", "formulas-many-fields", *MANY)
def the_fields_own_on_three_of_each(frame, *_):
    table = against_fields(frame)
    won = table["own"] < table[["KAN", "MLP"]].min(axis=1)
    kinds = frame.drop_duplicates("task").set_index("task")["kind"]
    for kind, wins in won.groupby(kinds):
        claimed = {kind: bool(wins.sum() >= 3)}
        yield claimed, f"{kind}: less error than both on **{wins.sum()}** of {len(wins)}"


@judge("M 8", "formulas-many-fields", *MANY)
def the_fields_own_in_ten_dimensions(frame, *_):
    table = against_fields(frame)
    won = table["own"] < table[["KAN", "MLP"]].min(axis=1)
    ten = [task for task in table.index if ends(task)[0] == 10]
    yield {"on none": not won[ten].any()}, f"on **{won[ten].sum()}** of {len(ten)}"


# N. Turned


def turned_logs(frame: DataFrame, single: bool = False) -> DataFrame:
    """Mean logarithm of the errors over the samples: a row a formula, a column a family.

    Of the best start by the validation samples, or of all of them.
    """

    def of(starts: Series) -> float:
        every = sorted(errors for those in starts for errors in those)
        return np.mean(np.log([test for _, test in (every if single else every[:1])]))

    groups = lost_starts(frame).groupby(["task", "family", "seed"])["starts"].apply(of)
    return groups.groupby(["task", "family"]).mean().unstack()


def lost_starts(frame: DataFrame) -> DataFrame:
    """The same with the errors of starts that diverged as if they had predicted the mean."""
    filled = [[[1.0 if x is None else x for x in pair] for pair in own] for own in frame["starts"]]
    return frame.assign(starts=filled)


@judge("N 1", "turned")
def best_of_ten(frame):
    logs = turned_logs(frame)
    ratio = versus_logs("KAN", logs["KAN"], "MLP", logs["MLP"])
    yield {"clearly better": ratio.better}, ratio


@judge("N 2", "turned")
def single_starts_widen_the_lead(frame):
    single, best = (turned_logs(frame, single=single) for single in (True, False))
    then, now = (logs["KAN"] - logs["MLP"] for logs in (single, best))
    ratio = versus_logs("(KAN / MLP, single)", then, "(best of ten)", now)
    yield {"larger": ratio.less}, ratio


@judge("N 3", "turned")
def some_mlps_get_stuck(frame):
    shares = {}
    for family, runs in lost_starts(frame).groupby("family"):
        tests = runs.groupby(["task", "seed"])["starts"].apply(
            lambda starts: [test for those in starts for _, test in those]
        )
        shares[family] = np.mean([np.array(own) > 100 * min(own) for own in tests])
    said = "; ".join(f"{family} **{percent(share)}**" for family, share in shares.items())
    stuck = {"MLPs": shares["MLP"] > 0.1, "fewer KANs": shares["KAN"] < shares["MLP"]}
    yield {name: bool(so) for name, so in stuck.items()}, said
