"""The judges of parts D, G and H ask who paints pictures best, and what spoils a KAN there."""

from __future__ import annotations

import numpy as np

from .. import reading
from . import comparisons
from .comparisons import versus_runs, where
from .judging import number
from .registry import duel, judge

# D. Images

for n in (1000, 8000):
    among = {"kind": f"{n} parameters", "said": f"{n:,} parameters"}
    duel("D 1", "pictures", "KAN", "tie", "MLP", contest="parameters", **among)
    duel("D 2", "pictures", "MLP", "better", "KAN", contest="seconds", **among)
    for network in ("KAN", "MLP", "spline MLP", "tanh after the sum"):
        every = among | {"contest": "parameters", "claim": among["kind"]}
        duel("D 4", "pictures", "interpolation", "better", network, **every)


@judge("D 3", "pictures")
def degree_one_learns_what_it_saw(frame):
    tried = where(reading.load("pictures", tuning=True), stage="search", family="KAN")
    few = where(tried, degree=1)["config"].nunique()
    for column, said in ("loss", "those they saw"), ("test_error", "the others"):
        best = tried.loc[tried.groupby(["kind", "task"])[column].idxmin(), "degree"]
        most = (best == 1).mean() > 0.5
        numbers = f"**{(best == 1).sum()}** of {len(best)}"
        claimed = {said: most if column == "loss" else not most}
        yield claimed, f"on {said} the best KAN tried has degree 1 in {numbers}"
    yield {}, f"settings of degree 1: {few} of {tried['config'].nunique()}"


# G. An audit


@judge("G 1", "race-audit", "scaling")
def jump_is_the_rates(audit, scaling):
    """Whether a common rate takes away more than half of it, counted in logarithms."""
    chosen = where(scaling, family="KAN", depth=2)
    few, many = (where(chosen, size=n)["loss"] ** 0.5 for n in (5000, 10_000))
    same = where(audit, contestant="KAN, rate 0.01, 5,000 parameters")["loss"] ** 0.5
    jump, left = (np.median(errors) / np.median(many) for errors in (few, same))
    said = f"error with 5,000 / with 10,000 parameters, rates chosen **{number(jump)}**, "
    yield {"the rate's": np.log(left) < np.log(jump) / 2}, f"{said}both 0.01 **{number(left)}**"


# H. A cold case


@judge("H 1", "cold-case")
def normal_starts_fail_and_others_do_not(frame):
    kept = comparisons.medians_kept(where(frame, part="starts"), "start", "lr", "depth")
    normal = kept["normal"].drop([1, 2], level="depth").min()
    line, drawn = (kept[start][0.003].max() for start in ("lines", "products"))
    said = f"normal, three hidden layers and more, at best **{normal:.2f}** of the spread"
    yield {"normal fails": normal > 0.5}, said
    said = f"at 0.003 at worst, lines **{line:.2f}**, products **{drawn:.2f}**"
    yield {"lines do not": line <= 0.5, "products do not": drawn <= 0.5}, said


@judge("H 2", "cold-case")
def no_difference_makes_it_fail(frame):
    suspects = where(frame, part="suspects", lr=0.005, family="KAN")
    kept = comparisons.medians_kept(suspects, "suspect")
    single = kept.drop(["ours", "all", "all, with the extras"])
    failed = ", ".join(f"{name} **{value:.2f}**" for name, value in single[single > 0.5].items())
    yield {"no single one": not failed}, f"fail: {failed or 'none'}"
    yield {"nor all": kept["all"] <= 0.5}, f"all together **{kept['all']:.2f}**"


@judge("H 3", "cold-case-finale")
def extras_are_ahead_early_and_not_late(frame):
    for steps in (2000, 20_000):
        errors = comparisons.final_errors(frame, steps)
        all_three, mlp = errors["splines + all three"], errors["MLP"]
        ratio = versus_runs("splines with all three", all_three, "MLP", mlp)
        yield {f"{steps}": (ratio.value < 1) == (steps == 2000)}, f"{steps:,} steps: {ratio}"


@judge("H 4", "cold-case-finale")
def each_extra_changes_little(frame):
    errors = comparisons.final_errors(frame, 2000)
    for extra in ("bias", "spline weights", "base"):
        added = errors[f"splines + {extra}"]
        ratio = versus_runs(f"with {extra}", added, "without", errors["splines"])
        yield {extra: 1 / 1.5 < ratio.value < 1.5}, ratio


@judge("H 5", "cold-case-finale")
def mlp_is_ahead_in_equal_seconds(frame):
    paces = frame[frame["models"].notna()]
    seconds = {
        (model["model"], model["contestant"]): np.median(times)
        for model, *times in zip(paces["models"].iloc[0], *paces["step_seconds"], strict=True)
    }
    mlp = np.median(comparisons.final_errors(frame, 20_000)["MLP"])
    for name in ("splines", "splines + all three"):
        steps = 20_000 * seconds["mlp", "MLP"] / seconds["soft-kan", name]
        curves = where(frame, contestant=name, steps=20_000)["curve"]
        behind = np.median([comparisons.loss_near(curve, steps) for curve in curves]) ** 0.5 / mlp
        said = f"{name} after {steps:,.0f} steps / MLP after 20,000 **{number(behind)}**"
        yield {name: behind > 1.5}, said
