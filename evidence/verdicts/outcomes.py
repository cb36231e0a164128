"""What became of each hypothesis of ``plan.md``, by the numbers of the stored rows.

A hypothesis is split into its claims. It *holds* if all of them do, and *half* if some do; else it
is *lost* if one of them is wrong, and *undecided* if the rows allow all of them. It is *open* as
long as rows are missing. Where the plan calls one of two families *ahead*, or lets it *beat* the
other, it must be clearly better (:mod:`kanbook.certainty`). Elsewhere a claim is judged by medians
over the seeds. How judges are written stands in ``registry.py``; those of part V have a file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pandas import DataFrame, Series, concat
from scipy import stats

from kanbook.certainty import TIE

from .. import contests, draws, reading, statistics
from ..contests import ends
from ..experiments import EXPERIMENTS
from ..runs import recipe
from ..tasks import real_tables
from ..tasks.targets import TARGETS
from . import comparisons, encoding  # noqa: F401 - the judges of part V
from .comparisons import Phases, Waves, products, solutions, versus, versus_logs, versus_runs, where
from .judging import Versus, number, percent, quoted, task_name
from .registry import JUDGES, Judge, duel, judge

PLAN = Path(__file__).parents[1] / "plan.md"
UNNUMBERED = {  # of "Changed afterwards"
    "A dense": "With 300 parameters and 10,000 samples the KAN is better along the axes at equal "
    "parameters, and not when rotated.",
    "A dense why": "Along the axes the KAN is ahead at equal parameters with 1,000 parameters and "
    "10,000 samples, and not with 300 parameters and 1,000 samples.",
    "F 10 control": "The updated climb is ahead of “20, updated” with both optimizers, by less "
    "than the plain climb of plain 20.",
    "F 11 controls": "Each half of the recipe alone, the climb and the updates, beats all "
    "intervals at once, and the recipe is ahead of both.",
}


class Outcome(NamedTuple):
    """One hypothesis, and what became of it by the rows of ``experiments``.

    The label is part and number in the plan, such as "B 1"; the verdict "holds", "half", "lost",
    "undecided" or "open"; ``because`` has the numbers that decide, in Markdown, empty if open.
    """

    label: str
    experiments: tuple[str, ...]
    hypothesis: str
    verdict: str
    because: str


def hypotheses() -> dict[str, str]:
    """The numbered hypotheses of the plan by their labels, "A 1", in its order."""
    texts: dict[str, str] = {}
    for part in re.split(r"^## (?=[A-Z]\. )", PLAN.read_text(encoding="utf-8"), flags=re.M)[1:]:
        for count, text in re.findall(r"^(\d+)\. (.*?)(?=\n\d+\. |\n\n|\Z)", part, re.M | re.S):
            texts[f"{part[0]} {count}"] = " ".join(text.split())
    return texts


def outcomes() -> list[Outcome]:
    """What became of each hypothesis, in the order of the plan."""
    texts = hypotheses() | UNNUMBERED
    every = sorted(JUDGES.items(), key=lambda judges: judges[0][0])  # by part, else as written
    return [_outcome(label, texts[label], judges) for label, judges in every]


def _outcome(label: str, text: str, judges: list[tuple[tuple[str, ...], Judge]]) -> Outcome:
    names = tuple(dict.fromkeys(name for experiments, _ in judges for name in experiments))
    if not all(map(_complete, names)):
        return Outcome(label, names, text, "open", "")
    claims, said = defaultdict(list), []
    for experiments, look in judges:
        for claimed, numbers in look(*map(comparisons.rows, experiments)):
            said.append(str(numbers))
            for name, so in claimed.items():
                claims[name].append(so)
    became = verdict([_every(so) for so in claims.values()])
    return Outcome(label, names, text, became, "; ".join(dict.fromkeys(said)))


def _complete(name: str) -> bool:
    stored = name in reading.names()
    return stored and comparisons.rows(name).attrs["runs"] >= EXPERIMENTS[name].total()


def verdict(claims: list[bool | None]) -> str:
    """What became of a hypothesis, from its claims; None: the rows allow it, and its contrary."""
    if any(claims):
        return "holds" if all(claims) else "half"
    return "lost" if False in claims else "undecided"


def _every(so: list[bool | None]) -> bool | None:
    return False if False in so else None if None in so else True


LM = "Levenberg-Marquardt"

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


# C. Tables

among = {"contest": "parameters"}
duel("C 1", "tables", "KAN", "tie", "MLP", "regression", **among)
for name, network in product(("diamonds", "flights"), ("KAN", "MLP")):
    which = {"task": f"table:{name}", "claim": "trees beat both", "said": name}
    duel("C 1", "tables", "boosted trees", "better", network, **which, **among)
duel("C 2", "tables", "MLP", "better", "KAN", task="table:mnist1d", said="log-loss", **among)
for n in (1, 2, 3):
    which = {"task": f"table:friedman{n}", "claim": "all three", "said": f"Friedman {n}"}
    duel("C 3", "tables", "KAN", "better", "MLP", **which, **among)

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


# E. Starts


@judge("E 1", "starts")
def starts_are_close_and_power_law_is_ahead_at_20(frame):
    logs = statistics.log_errors(frame)
    means = logs.groupby([frame["task"], frame["family"]]).mean().groupby("family").mean()
    for layers in (1, 3):
        at = means.filter(like=f"{layers} layers, G = 5").sort_values(ascending=False)
        worst, second = np.exp(at.iloc[:2] - at.iloc[-1])
        names = [name.partition(",")[0] for name in at.index]
        said = f"G = 5, hidden layers {layers}: {names[0]} / the best **{number(worst)}**, "
        yield {"close at 5": worst < 2}, f"{said}{names[1]} / the best {number(second)}"
    for layers in (1, 3):
        at = means.filter(like=f"{layers} layers, G = 20")
        power = f"power law, {layers} layers, G = 20"
        best = at.drop(power).idxmin()
        name = f"the best other ({best.partition(',')[0]})"
        ratio = versus(frame, power, best, names=("power law", name))
        yield {"ahead at 20": ratio.better}, f"G = 20, hidden layers {layers}: {ratio}"


# F. Extras


def main_effects(extra: str) -> Iterator[tuple[str, Versus]]:
    for row in where(comparisons.main_effects("extras-factorial"), extra=extra).itertuples():
        yield task_name(row.task), Versus("with", "without", row)


@judge("F 1", "extras-factorial")
def updates_help_on_all(_):
    for task, ratio in main_effects("update"):
        yield {task: ratio.less}, f"{task}: {ratio}"


@judge("F 2", "extras-factorial")
def spline_weights_help_on_none(_):
    for task, ratio in main_effects("spline weight"):
        useless = False if ratio.less else True if ratio.found.low > 1 / TIE else None
        yield {task: useless}, f"{task}: {ratio}"


@judge("F 3", "extras-factorial")
def updates_and_extension_do_not_add_up(frame):
    extras = frame["family"].map(statistics.extras_of)
    frame = frame.assign(log=statistics.log_errors(frame), extras=extras)
    for task, runs in frame.groupby("task", sort=False):
        logs = runs.pivot(index="extras", columns="seed", values="log")
        both = statistics.wider(comparisons.interaction(logs, "update", "extension"))
        ratio = Versus("effect of both", "product of the two", both)
        yield {task: ratio.more}, f"{task_name(task)}: {ratio}"


duel("F 4", "extras-pykan", "update, optimizer kept", "better", "still")
duel("F 4", "extras-pykan", "update", "better", "update, optimizer kept")

duel("F 5", "knots", "still, fresh", "better", "still, kept", claim="fresh optimizers help")
duel("F 5", "knots", "moved, fresh", "better", "moved, kept", claim="fresh optimizers help")
duel("F 5", "knots", "moved, fresh", "better", "still, fresh", claim="moves help with them only")
duel("F 5", "knots", "moved, kept", "not_better", "still, kept", claim="moves help with them only")

duel("F 6", "knots", "half even, fresh", "tie", "moved, fresh")
duel("F 6", "knots", "even, fresh", "tie", "moved, fresh")


@judge("F 7", "knots")
def fresh_optimizers_help_the_mlp_less(frame):
    pairs = {"KAN": ("still, fresh", "still, kept"), "MLP": ("MLP, fresh", "MLP, kept")}
    both = {who: versus(frame, *two, names=("fresh", "kept")) for who, two in pairs.items()}
    said = [f"{who}: {ratio}" for who, ratio in both.items()]
    kan, mlp = (comparisons.log_ratios(frame, *two) for two in pairs.values())
    ratio = versus_logs("that of the KAN", kan, "that of the MLP", mlp)
    yield {"less": ratio.less}, "; ".join([*said, str(ratio)])


CLIMB, UPDATED = "5, 10, 20", "5, 10, 20, updated"
duel("F 8", "climbs-adam", CLIMB, "better", "20", said="Adam")
duel("F 8", "climbs-lbfgs", CLIMB, "better", "20", said="L-BFGS")
duel("F 8", "climbs-lbfgs", CLIMB, "better", "20, fresh", said="L-BFGS")


@judge("F 9", "climbs-adam", "climbs-lbfgs")
def width_beats_climbing_off_the_axes(adam, lbfgs):
    for name, frame in (("Adam", adam), ("L-BFGS", lbfgs)):
        ratio = versus(frame[frame["kind"] != "axes"], "5", CLIMB)
        yield {name: ratio.better}, f"{name}, rotated and generic: {ratio}"


duel("F 10", "climbs-adam", UPDATED, "better", CLIMB, said="Adam")
duel("F 10", "climbs-lbfgs", UPDATED, "better", CLIMB, said="L-BFGS")


@judge("F 10 control", "climbs-adam", "climbs-lbfgs")
def updated_climb_is_ahead_of_updated_20(adam, lbfgs):
    for name, frame in (("Adam", adam), ("L-BFGS", lbfgs)):
        updated = versus(frame, UPDATED, "20, updated", names=("updated climb", "“20, updated”"))
        plain = versus(frame, CLIMB, "20", names=("plain climb", "“20”"))
        claimed = {"ahead": updated.better, "by less": updated.value > plain.value}
        yield claimed, f"{name}: {updated}; {plain}"


ONCE = "all intervals at once"
duel("F 11", "recipe-adam", "recipe", "better", ONCE, said="Adam")
duel("F 11", "recipe-lm", "recipe", "better", ONCE, said=LM)

halves = "climbed only", "moved only"
for half in halves:
    duel("F 11 controls", "recipe-lm", half, "better", ONCE, claim="halves beat all at once")
for half in halves:
    duel("F 11 controls", "recipe-lm", "recipe", "better", half, claim="the recipe beats halves")

axes = {"kind": "axes", "claim": "ahead along the axes"}
duel("F 12", "recipe-adam", "recipe", "better", "MLP", said="Adam, axes", **axes)
duel("F 12", "recipe-lm", "recipe", "better", "MLP", said=f"{LM}, axes", **axes)
for kind in ("axes", "rotated", "generic"):
    nowhere = {"claim": "behind nowhere", "said": f"{LM}, {kind}"}
    duel("F 12", "recipe-lm", "recipe", "not_worse", "MLP", kind, **nowhere)


@judge("F 13", "recipe-adam", "recipe-lm")
def both_do_better_with_levenberg_marquardt(adam, lm):
    for family in ("recipe", "MLP"):
        ways = {LM: where(lm, family=family), "Adam": where(adam, family=family)}
        both = concat([runs.assign(family=name) for name, runs in ways.items()])
        ratio = versus(both, LM, "Adam", names=(LM, "Adam"))
        yield {family: ratio.better}, f"{family}: {ratio}"


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


# I. Differential equations

KANS, MLPS = (("kan", 3), ("kan", 5)), (("mlp", "tanh"), ("mlp", "sine"))
NETWORKS, SPLINES = KANS + MLPS, (("collocation", 3), ("collocation", 5))


@judge("I 1", "equations")
def quintic_kan_has_a_tenth_of_mlps(frame):
    runs = {which: solutions(frame, "poisson-2d", model, which) for model, which in NETWORKS}
    for name in ("tanh", "sine"):
        kan, mlp = runs[5]["error"], runs[name]["error"]
        ratio = versus_runs("KAN of degree 5", kan, f"{name} MLP", mlp)
        yield {name: ratio.value < 0.1}, ratio
    adam = [solved["adam"].median() for solved in runs.values()]
    furthest = max(adam) / min(adam)
    said = f"after Adam the worst / the best **{number(furthest)}**"
    yield {"close after Adam": furthest < 3}, said


@judge("I 2", "equations")
def degree_5_has_a_fifth_of_degree_3(frame):
    for task in comparisons.SIZES:
        five, three = (solutions(frame, task, "kan", degree)["error"] for degree in (5, 3))
        ratio = versus_runs("degree 5", five, "degree 3", three)
        yield {task: ratio.value < 0.2}, f"{task}: {ratio}"


@judge("I 3", "equations")
def one_spline_beats_every_network_in_a_tenth_of_the_time(frame):
    for task in ("poisson-1d", "poisson-2d"):
        spline = comparisons.best(frame, task, *SPLINES)
        network = comparisons.best(frame, task, *NETWORKS)
        ratio = versus_runs("spline", spline["error"], "best network", network["error"])
        times = spline["seconds"].median() / network["seconds"].median()
        claimed = {f"{task}, error": ratio.value < 1, f"{task}, time": times < 0.1}
        yield claimed, f"{task}: {ratio}, seconds {number(times)}"


@judge("I 4", "equations")
def mlp_is_ahead_on_burgers_and_the_spline_is_lost(frame):
    kan, mlp, spline = (
        comparisons.best(frame, "burgers", *kinds)["error"] for kinds in (KANS, MLPS, SPLINES)
    )
    ratio = versus_runs("best MLP", mlp, "best KAN", kan)
    apart = mlp.max() < kan.min() or kan.max() < mlp.min()
    yield {"ahead": ratio.value < 1 if apart else None}, ratio
    left = spline.median()
    yield {"the spline is lost": left > 0.1}, f"the spline keeps **{number(left)}**"


@judge("I 5", "equations")
def penalized_boundaries_cost_a_factor_3(frame):
    for model, which in NETWORKS:
        penalized, built_in = (
            solutions(frame, "poisson-2d", model, which, boundary=boundary)["error"]
            for boundary in ("penalized", "built in")
        )
        ratio = versus_runs("penalized", penalized, "built in", built_in)
        name = f"KAN of degree {which}" if model == "kan" else f"{which} MLP"
        yield {name: ratio.value > 3}, f"{name}: {ratio}"


@judge("I 6", "equations")
def small_kan_has_no_hundredth_of_a_large_mlp(frame):
    small = solutions(frame, "poisson-2d", "kan", 3, size=100)["adam"]
    large = [solutions(frame, "poisson-2d", *mlp, size=10_000)["adam"] for mlp in MLPS]
    large = min((runs for runs in large if len(runs)), key=np.median)
    ratio = versus_runs("KAN of degree 3 with 100 parameters", small, "MLP with 10,000", large)
    yield {"no hundredth": ratio.value > 0.01}, f"Adam: {ratio}"


@judge("I 7", "equations")
def the_best_shape_of_a_spline_comes_near(frame):
    kan = solutions(frame, "burgers", "kan", 5)["error"].median()
    splines = where(frame, task="equation:burgers", model="collocation")
    splines = splines.drop_duplicates(["size", "degree", "grid_size"])
    square, shapes = splines[~comparisons.oblong(splines)], splines[comparisons.oblong(splines)]

    def chosen(part: DataFrame) -> float:
        return part.loc[part["loss"].idxmin(), "final"] ** 0.5  # that of the least residual

    few, many = chosen(shapes[shapes["size"] < 700]), chosen(shapes[shapes["size"] >= 700])
    gain, behind, near = few / square["final"].min() ** 0.5, few / kan, many / kan
    said = f"500 numbers: best shape / square **{number(gain)}**, / KAN of degree 5 "
    yield {"a fifth": gain < 0.2, "behind the KAN": behind > 3}, f"{said}**{number(behind)}**"
    yield {"near with 1,000": near <= 3}, f"1,000 numbers / KAN **{number(near)}**"


# J. Forgetting

ONE, TWO, EXTRAS = "KAN, one layer", "KAN, two layers", "KAN, one layer, extras"


@judge("J 1", "sequence")
def one_spline_keeps_the_peaks_without_extras(frame):
    of = Phases(frame)
    yield {"keeps": not of.forgets("peaks", ONE)}, of.said("peaks", ONE)
    yield {"forgets with extras": of.forgets("peaks", EXTRAS)}, of.said("peaks", EXTRAS)


@judge("J 2", "sequence")
def two_layers_forget_like_the_mlp(frame):
    of = Phases(frame)
    for task, who in product(("peaks", "hills"), (TWO, "MLP")):
        yield {"forget": of.forgets(task, who)}, of.said(task, who)
    for task in ("peaks", "hills"):
        behind = of.ends(task, TWO)[0] / of.ends(task, "MLP")[0]
        said = f"{task}, in turn: two layers / MLP **{number(behind)}**"
        yield {"within a factor 2": 0.5 < behind < 2}, said


@judge("J 3", "sequence")
def one_layer_keeps_hills_and_cannot_learn_them(frame):
    of = Phases(frame)
    least, (turn, once) = min(of.ends("hills", ONE)), of.ends("rotated hills", ONE)
    claimed = {"keeps": not of.forgets("hills", ONE), "cannot learn": least > 0.3}
    yield claimed, of.said("hills", ONE)
    yield {"ends higher, rotated": turn > once}, of.said("rotated hills", ONE)


@judge("J 4", "sequence")
def phases_share_splines_of_the_second_layer(frame):
    for task in ("peaks", "hills", "rotated hills"):
        runs = where(frame, task=f"sequence:{task}", contestant=TWO, way="in turn")
        shares = [
            [probe["shared"] for probe in probes if "shared" in probe] for probes in runs["probes"]
        ]
        first, second = np.median(np.mean(shares, axis=1), axis=0)
        so = first > 1 / 3 if task == "rotated hills" else first < 0.25
        said = f"{task}: first layer **{percent(first)}**, second **{percent(second)}**"
        yield {f"{task}, first": so, f"{task}, second": second > 1 / 3}, said


@judge("J 5", "sequence")
def digits_need_replay(frame):
    right = Phases(frame).accuracy["digits"]
    turn, replay = (right.xs(way, level="way") for way in ("in turn", "replay"))
    said = f"right at most **{percent(turn.max())}** in turn ({turn.idxmax()}), at least "
    said += f"**{percent(replay.min())}** with replay ({replay.idxmin()})"
    yield {"few in turn": turn.max() <= 0.3, "more with replay": replay.min() > 0.6}, said


@judge("J 6", "sequence")
def replay_matters_more_than_the_network(frame):
    of = Phases(frame)
    tasks = "peaks", "hills", "rotated hills", "digits"
    logs = np.log((1 - of.accuracy).fillna(of.errors)).unstack("way").loc[list(tasks)]
    two, mlp = (logs.xs(who, level="contestant") for who in (TWO, "MLP"))
    gain = np.exp(np.mean([who["in turn"] - who["replay"] for who in (two, mlp)]))
    choice = np.exp((two["in turn"] - mlp["in turn"]).abs().mean())
    said = f"in turn / replay **{number(gain)}**; one network / the other **{number(choice)}**"
    yield {"matters more": gain > choice}, said


# K. Waves


@judge("K 1", "waves")
def mlps_learn_low_waves_first_and_no_high_ones(frame):
    of = Waves(frame)
    for name in ("MLP, tanh", "MLP, ReLU", "MLP, sine"):
        missing = of.missing[name][-1]
        least = missing[5:].min()  # 30 periods and more
        said = f"{name}: missing of 5 periods **{missing[0]:.2f}**, of those above 25 at least "
        claimed = {"low first": of.half(name, 0) < of.half(name, 9), "no high ones": least >= 0.5}
        yield claimed, f"{said}**{least:.2f}**"


@judge("K 2", "waves")
def one_spline_learns_at_one_pace(frame):
    pace = Waves(frame).pace("one spline, G = 200")
    yield {"one pace": 0.5 <= pace <= 2}, f"steps for the highest / the lowest **{number(pace)}**"


@judge("K 3", "waves")
def kans_learn_all_with_20_intervals_low_ones_first(frame):
    of = Waves(frame)
    few, some, many = (of.learned(f"KAN, G = {G}") for G in (5, 20, 80))
    pace = of.pace("KAN, G = 20")
    said = f"learned with 5, 20, 80 intervals: **{few}**, **{some}**, **{many}** of 10"
    highest = of.missing["KAN, G = 5"][-1][8:].min()
    yield {"20, all": some == 10, "80, all": many == 10, "5, not all": highest >= 0.5}, said
    said = f"with 20, steps for the highest / the lowest **{number(pace)}**"
    yield {"low ones first": pace > 2}, said


@judge("K 4", "waves")
def extension_ends_below_5_and_not_below_20(frame):
    of = Waves(frame)
    climb = of.error("KAN, G = 5, 20, 80")
    few, some = (
        versus_runs("extension", climb, f"{G}", of.error(f"KAN, G = {G}")) for G in (5, 20)
    )
    yield {"below 5": few.less}, few
    yield {"not below 20": some.value >= 1}, some


@judge("K 5", "waves")
def kan_of_80_learns_by_heart(frame):
    runs = where(frame, contestant="KAN, G = 80", task="waves:50")
    fitted = [curve["loss"][-1] ** 0.5 for curve in runs["curve"]]
    ratio = versus_runs("error on the test", runs["test_loss"] ** 0.5, "on the samples", fitted)
    yield {"by heart": ratio.value > 10}, ratio


@judge("K 6", "waves")
def sines_and_fourier_features_cure_mlps(frame):
    of = Waves(frame)
    fourier = "MLP, tanh, Fourier features"
    names = "MLP, sine, inputs x 30", fourier, "MLP, tanh, inputs x 10"
    n = [of.learned(name) for name in names]
    said = f"learned by sine x 30, Fourier features, tanh x 10: **{n[0]}**, **{n[1]}**, **{n[2]}**"
    yield {"sines": n[0] == 10, "features": n[1] == 10, "not tanh": n[2] < 10}, f"{said} of 10"
    kan = "KAN, G = 20"
    ratio = versus_runs("Fourier features", of.error(fourier), kan, of.error(kan))
    yield {"near the KAN": ratio.value <= 3}, ratio


@judge("K 7", "waves")
def easy_waves_are_learned_by_all(frame):
    of = Waves(frame, "waves:10")
    learned = {name: of.learned(name) for name in of.missing}
    few = [f"{name} **{n}** of 10" for name, n in learned.items() if n < 10]
    said = f"**{len(learned) - len(few)}** of {len(learned)} learn all"
    yield {"all": not few}, "; ".join([said, *few])


# L. The last digits

LAST = 1e-9
CUBIC = "KAN, degree 3"


@judge("L 1", "digits")
def most_points_are_exact_and_a_few_spoil_it(frame):
    exact = products(frame, contestant=CUBIC, places="uniform")[["fitted", "most", "error"]] < LAST
    fitted, most, error = exact.sum()
    said = f"below 1e-9 in ten seeds: **{fitted}** on the samples, **{most}** at 99 % of new "
    said += f"points, **{error}** by the RMSE there"
    yield {"samples": fitted >= 7, "most points": most >= 7, "a few spoil it": error <= 4}, said


@judge("L 2", "digits")
def samples_at_the_edges_settle_new_points(frame):
    runs = products(frame, contestant=CUBIC, places="edges")
    ratios = runs["error"] / runs["fitted"]
    near = ratios.between(0.1, 10).sum()
    yield {"near": near >= 9}, f"**{near}** of 10; the median ratio is {number(ratios.median())}"


@judge("L 3", "digits")
def degree_5_is_exact_less_often(frame):
    for places in ("uniform", "edges"):
        runs = products(frame, places=places)
        exact = runs[runs["fitted"] < LAST]["contestant"].value_counts()
        five, three = (exact.get(f"KAN, degree {k}", 0) for k in (5, 3))
        said = f"{places}: degree 5 in **{five}** seeds, degree 3 in **{three}**"
        yield {places: five < three}, said


@judge("L 4", "digits")
def no_mlp_is_exact(frame):
    best = products(frame, family="MLP")["fitted"].min()
    yield {"none": best >= LAST}, f"the best MLP of all has **{number(best)}** on its samples"


@judge("L 5", "digits")
def in_32_bits_kan_and_mlp_are_close(frame):
    runs = products(frame, "float32", places="uniform")
    kan, mlp = (where(runs, contestant=who)["fitted"] for who in (CUBIC, "MLP"))
    yield {"not exact": kan.median() > 1e-7}, f"the KAN's median is **{number(kan.median())}**"
    ratio = versus_runs("KAN", kan, "MLP", mlp)
    yield {"close": 1 / 30 < ratio.value < 30}, ratio


@judge("L 6", "digits")
def turned_the_lead_is_gone(frame):
    runs = where(frame, task="digits:turned exp_sine")
    losses = (where(runs, family=name).set_index("seed")["test_loss"] for name in ("KAN", "MLP"))
    kan, mlp = (np.log(loss.astype(float)) / 2 for loss in losses)
    ratio = versus_logs("KAN", kan, "MLP", mlp)
    yield {"above a third": ratio.value > 1 / 3}, ratio


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


# O. Pictures with plain coordinates

PAINTED = "pictures", "pictures-redraws"


@judge("O 1", *PAINTED)
def no_difference_at_equal_parameters(*_):
    for n in (1000, 8000):
        ratio = over_draws("pictures", "parameters", f"{n} parameters")
        same = ratio.verdict in ("a tie", "undecided")
        yield {f"{n}": same}, f"{n:,} parameters: {ratio}"


@judge("O 2", *PAINTED)
def not_better_at_equal_seconds(*_):
    for n in (1000, 8000):
        ratio = over_draws("pictures", "seconds", f"{n} parameters")
        yield {f"{n}": ratio.not_better}, f"{n:,} parameters: {ratio}"


def painted() -> DataFrame:
    """The search of the new draws, at equal parameters."""
    tried = where(reading.load("pictures-redraws", tuning=True), stage="search")
    tried = where(tried, contest="parameters")
    return tried.assign(log=statistics.log_errors(tried, "validation_error"))


@judge("O 3", "pictures-redraws")
def the_best_take_plain_coordinates(_):
    tried = painted()
    cells = ["family", "redraw", "kind", "task"]
    best = tried.loc[tried.groupby(cells)["log"].idxmin()]
    plain = (best["frequencies"] == 0).groupby([best["family"], best["redraw"]]).sum()
    for family, least in (("KAN", 9), ("MLP", 6)):
        so = bool((plain[family] >= least).all())
        yield {family: so}, f"{family}: **{', '.join(map(str, plain[family]))}** of 12"


@judge("O 4", "pictures-redraws")
def the_encoding_is_what_hurts(_):
    tried = painted()
    cells = ["task", "kind", "redraw", "family"]
    for said, part in (("plain", tried["frequencies"] == 0), ("encoded", tried["frequencies"] > 0)):
        logs = tried[part].groupby(cells)["log"].min().groupby(["task", "kind", "family"]).mean()
        mean = np.exp((logs.unstack()["KAN"] - logs.unstack()["MLP"]).mean())
        so = mean < 1.2 if said == "plain" else mean > 1.2
        yield {said: bool(so)}, f"{said}: KAN / MLP **{number(mean)}**"


# P. Real tables

among = {"contest": "parameters"}
for network in ("KAN", "MLP"):
    duel("P 1", "real-tables", network, "tie", "boosted trees", claim="tie", **among)
duel("P 2", "real-tables", "KAN", "tie", "MLP", said="equal parameters", **among)
duel("P 2", "real-tables", "KAN", "tie", "MLP", said="equal seconds", contest="seconds")
duel("P 3", "real-tables", "additive", "tie", "KAN", **among)


def on_tables(frame: DataFrame) -> DataFrame:
    """Mean logarithms of the errors at equal parameters: a row a table, a column a contestant."""
    frame = where(frame, contest="parameters")
    logs = statistics.log_errors(frame).groupby([frame["task"], frame["family"]]).mean()
    return logs.unstack()


@judge("P 1", "real-tables")
def trees_have_less_error_on_twelve(frame):
    logs = on_tables(frame)
    won = (logs["boosted trees"] < logs[["KAN", "MLP"]].min(axis=1)).sum()
    yield (
        {"twelve": bool(won >= 12)},
        f"trees have less error than both on **{won}** of {len(logs)}",
    )


@judge("P 4", "real-tables")
def lines_are_enough_on_some(frame):
    logs = on_tables(frame)
    best = logs.min(axis=1)
    least, near = (logs["linear"] == best).sum(), (logs["linear"] < best + np.log(1.02)).sum()
    said = f"the least error on **{least}** of {len(logs)}, within 2 % of the least on **{near}**"
    yield {"least": bool(least >= 3), "near": bool(near >= 6)}, said


@judge("P 5", "real-tables")
def tuned_elsewhere(frame):
    logs = on_tables(frame)
    for other in ("KAN", "MLP", "boosted trees"):
        won = (logs["RealMLP"] < logs[other]).sum()
        so = won < 12 if other == "boosted trees" else won >= 12
        yield {other: bool(so)}, f"less error than {quoted(other)} on **{won}** of {len(logs)}"


@judge("P 6", "real-tables")
def trees_gain_by_rows(frame):
    logs = on_tables(frame)
    rows = [len(real_tables.real_table(task.partition(":")[2]).frame) for task in logs.index]
    rank = stats.spearmanr(rows, logs["KAN"] - logs["boosted trees"]).statistic
    so = True if rank > 0.3 else None if rank > 0 else False
    yield {"grows": so}, f"rank correlation **{rank:.2f}**"


@judge("P 7", "real-tables")
def networks_are_calibrated(frame):
    frame = where(frame, contest="parameters", kind="classes")
    off = np.log(frame.groupby(["task", "family"])["calibration"].mean()).unstack()
    ratio = np.exp((off["KAN"] - off["linear"]).mean())
    yield {"within 1.5": bool(ratio <= 1.5)}, f"KAN / logistic **{number(ratio)}**"


# Q. One line

AXES = tuple(TARGETS)[:8]


def of_defaults(frame: DataFrame, part: str) -> DataFrame:
    """Mean logarithms of the errors on "axes", other "formulas", "numbers" or "classes"."""
    logs = statistics.log_errors(frame).groupby([frame["task"], frame["contestant"]]).mean()
    logs = logs.unstack()
    kinds = dict(zip(frame["task"], frame["kind"], strict=True))
    parts = {}
    for task in logs.index:
        kind, _, name = task.partition(":")
        of_table = "numbers" if kinds[task] == "regression" else "classes"
        of_formula = "axes" if name in AXES else "formulas"
        parts[task] = of_table if kind == "real" else of_formula
    return logs[logs.index.map(parts) == part]


def kan_against(frame: DataFrame, part: str, other: str) -> Versus:
    logs = of_defaults(frame, part)
    return versus_logs("KAN", logs["KAN"], other, logs[other])


@judge("Q 1", "defaults")
def along_the_axes_the_kan(frame):
    for other in ("MLP of scikit-learn", "MLP, trained alike"):
        ratio = kan_against(frame, "axes", other)
        yield {other: ratio.better}, ratio


@judge("Q 2", "defaults")
def elsewhere_no_better(frame):
    ratio = kan_against(frame, "formulas", "MLP, trained alike")
    yield {"not better": ratio.not_better}, ratio


@judge("Q 3", "defaults")
def trees_and_kan(frame):
    ratio = kan_against(frame, "numbers", "boosted trees")
    yield {"neither": ratio.verdict not in ("clearly better", "clearly worse")}, ratio


@judge("Q 4", "defaults")
def better_than_lines(frame):
    logs = concat([of_defaults(frame, part) for part in ("numbers", "classes")])
    won = (logs["KAN"] < logs["linear"]).sum()
    yield {"ten": bool(won >= 10)}, f"less error than lines on **{won}** of {len(logs)}"


@judge("Q 5", "defaults")
def better_than_pykan(frame):
    ratio = kan_against(frame, "numbers", "PyKAN")
    yield {"better": ratio.better}, ratio


# R. Spline weights, taken apart

STAY, FRESH, MOVE = "still", "fresh", "moved"

duel("R 1", "weights", f"{MOVE}, weights", "better", f"{MOVE}, without")
for schedule in (STAY, FRESH):
    duel("R 2", "weights", f"{schedule}, weights", "not_better", f"{schedule}, without")
for schedule in (STAY, MOVE):
    duel("R 5", "weights", f"{schedule}, median", "not_better", f"{schedule}, without")


def best_rates(frame: DataFrame) -> DataFrame:
    """The chosen rates: a row for each pair of task and schedule, without weights and with them."""
    names = frame["family"].str.split(", ", expand=True)
    chosen = frame["lr"].groupby([frame["task"], names[0], names[1]]).first().unstack()
    return chosen[["without", "weights"]]


@judge("R 3", "weights")
def best_rates_are_inside(frame):
    rates = EXPERIMENTS["weights"].rates
    at_end = best_rates(frame).isin([min(rates), max(rates)]).sum()
    for side, count in at_end.items():
        yield {side: bool(count <= 3)}, f"{side}: **{count}** of 30 at an end"


@judge("R 4", "weights")
def weights_want_larger_rates(frame):
    rates = best_rates(frame)
    larger = (rates["weights"] > rates["without"]).sum()
    smaller = (rates["weights"] < rates["without"]).sum()
    said = f"larger on **{larger}**, smaller on {smaller} of {len(rates)}"
    yield {"larger": bool(larger > smaller)}, said


def share_of_gain(frame: DataFrame, control: str) -> float:
    """Of the gain by weights beside knots that move; NaN if there is none."""
    part, gain = (
        comparisons.log_ratios(frame, f"{MOVE}, {name}", f"{MOVE}, without").mean()
        for name in (control, "weights")
    )
    return part / gain if gain < 0 else np.nan


@judge("R 6", "weights")
def rates_have_half_of_the_gain(frame):
    share = share_of_gain(frame, "rates")
    yield {"half": None if np.isnan(share) else bool(share >= 0.5)}, f"**{percent(share)}** of it"


@judge("R 7", "weights")
def the_stretch_has_less(frame):
    stretch, rates = (share_of_gain(frame, part) for part in ("stretch", "rates"))
    less = None if np.isnan(rates) else bool(stretch < rates)
    yield {"less": less}, f"stretch **{percent(stretch)}**, rates {percent(rates)}"


# S. Few intervals and many

SLOW, *_, QUICK = (f"formula:exp_sine {times}" for times in contests.QUICK)
STAIRS = "3, 6, 12, 24, updated"


def at(frame: DataFrame, a: str, b: str, task: str, column: str = "test_error") -> Series:
    """Two families on one formula, over its seeds."""
    return where(statistics.per_task(frame, a, b, column=column), task=task).iloc[0]


@judge("S 1", "intervals")
def the_gap_is_the_larger_part(frame):
    few = where(frame, samples=1000)
    new = Versus("24", "6", at(few, "24", "6", SLOW))
    fitted = at(few, "24", "6", SLOW, "loss").ratio ** 0.5
    said = f"m = 1: {new}; on the samples **{number(fitted)}**"
    worse = None if new.verdict == "undecided" else new.verdict == "clearly worse"
    yield {"worse": worse, "the gap": bool(fitted < new.value / fitted)}, said


@judge("S 2", "intervals")
def many_samples_make_many_intervals_harmless(frame):
    for times in contests.QUICK:
        task = f"formula:exp_sine {times}"
        ratio = Versus("24", "6", at(where(frame, samples=10_000), "24", "6", task))
        yield {"not worse": ratio.not_worse}, f"m = {times}: {ratio}"


duel("S 3", "intervals", "6, narrow", "better", "24", task=SLOW, samples=1000)


@judge("S 4", "intervals")
def the_quicker_the_less_of_a_mistake(frame):
    few = where(frame, samples=1000)
    tasks = [f"formula:exp_sine {times}" for times in contests.QUICK]
    ratios = [at(few, "24", "6", task).ratio for task in tasks]
    said = f"24 / 6 at m = 1, 4, 8: {', '.join(f'**{number(ratio)}**' for ratio in ratios)}"
    yield {"falls": ratios == sorted(ratios, reverse=True)}, said
    yield {"better": Versus("24", "6", at(few, "24", "6", QUICK)).better}, said


for n in (1000, 10_000):
    say = {"said": f"{n:,} samples", "claim": "better"}
    duel("S 5", "intervals", STAIRS, "better", "6, updated", task=SLOW, samples=n, **say)

duel("S 6", "intervals", STAIRS, "better", "24", task=SLOW, said="m = 1", samples=10_000)
duel("S 6", "intervals", STAIRS, "not_better", "24", task=QUICK, said="m = 8", samples=10_000)


# T. Depth and Levenberg-Marquardt

BOTH = "strong and even"
duel("T 1", "depth", "one layer, kept", "better", "two layers, kept")
duel("T 2", "depth", f"two layers, {BOTH}", "better", "two layers, kept")


@judge("T 3", "depth")
def each_change_alone_has_less_than_half(frame):
    both = versus(frame, f"two layers, {BOTH}", "two layers, kept")
    for way in ("strong", "even"):
        ratio = versus(frame, f"two layers, {way}", "two layers, kept")
        share = np.log(ratio.value) / np.log(both.value)
        yield {way: bool(share < 0.5) if both.better else None}, f"{ratio}, of {both}"


@judge("T 4", "depth")
def the_price_of_depth_falls(frame):
    now, then = (
        comparisons.log_ratios(frame, f"two layers, {way}", f"one layer, {way}")
        for way in (BOTH, "kept")
    )
    ratio = versus_logs(f"(two layers / one, {BOTH})", now, "(kept)", then)
    yield {"falls": ratio.better}, ratio


duel("T 5", "depth", f"two layers, {BOTH}", "not_worse", "two layers, L-BFGS")


@judge("T 6", "depth")
def it_is_not_overfitting_alone(frame):
    fits = np.log(frame["loss"].astype(float)).groupby([frame["task"], frame["family"]]).mean()
    fits = fits.unstack()
    kept, both, lbfgs = (fits[f"two layers, {way}"] for way in ("kept", BOTH, "L-BFGS"))
    kept, both = int((kept > lbfgs).sum()), int((both < lbfgs).sum())
    said = f"kept above on **{kept}** of {len(fits)}, {BOTH} below on **{both}**"
    yield {"above as kept": kept >= 5, "below with both": both >= 5}, said


duel("T 7", "depth", f"one layer, {BOTH}", "not_worse", "one layer, kept")


# U. The recipe

LOCKED, OPEN = "recipe-locked", "recipe-open"
TREES, SEARCHED = "boosted trees", "MLP, searched"
LINES = {int(name[8]): name for name in recipe.RECIPES if name != "recipe"}


def logs_of(frame: DataFrame, kind: str = "") -> DataFrame:
    """Mean logarithms of the errors: a row a task, "real" or "equation", a column a contestant."""
    frame = frame[frame["task"].str.startswith(kind)]
    logs = statistics.log_errors(frame).groupby([frame["task"], frame["contestant"]]).mean()
    return logs.unstack()


def recipe_against(frame: DataFrame, other: str, kind: str = "") -> Versus:
    logs = logs_of(frame, kind)
    return versus_logs("recipe", logs["recipe"], other, logs[other])


def in_time(frame: DataFrame) -> DataFrame:
    """The runs, where a search has only the draws that were done when the recipe was."""
    frame, limits = frame.copy(), {}
    for run in where(frame, contestant="recipe").itertuples():
        limits[run.task, run.seed] = run.seconds
    for i, run in where(frame, contestant=SEARCHED).iterrows():
        draws = run["note"]["draws"]
        done = [draw for draw in draws if draw[0] <= limits[run["task"], run["seed"]]] or draws[:1]
        frame.loc[i, "test_error"] = min(done, key=lambda draw: draw[1])[2]
    return frame


def earned(frame: DataFrame, kind: str) -> dict[int, Versus]:
    """What each line of the recipe earns: the error without it / that of the whole."""
    logs = logs_of(frame, kind)
    return {
        line: versus_logs(f"without {line}", logs[name], "recipe", logs["recipe"])
        for line, name in LINES.items()
    }


@judge("U 1", OPEN, LOCKED)
def not_fitted_to_its_tables(seen, locked):
    means = []
    for frame in (seen, locked):
        logs = logs_of(frame, "real")
        means.append((logs["recipe"] - logs[f"{TREES}, as they come"]).mean())
    said = " and ".join(number(np.exp(mean)) for mean in means)
    yield {"not worse": bool(means[1] <= means[0] + 0.05)}, f"recipe / trees **{said}**"


@judge("U 2", LOCKED)
def trees_cannot_be_told_from_it(frame):
    ratio = recipe_against(frame, TREES, "real")
    yield {"same": ratio.verdict in ("a tie", "undecided")}, ratio


@judge("U 3", LOCKED)
def not_worse_than_a_searched_mlp(frame):
    for said, runs in (("the whole search", frame), ("equal seconds", in_time(frame))):
        ratio = recipe_against(runs, SEARCHED)
        yield {said: ratio.not_worse}, f"{said}: {ratio}"


@judge("U 4", LOCKED)
def better_on_equations(frame):
    logs = logs_of(frame, "equation")
    for other, least in ((TREES, 6), (SEARCHED, 3)):
        won = (logs["recipe"] < logs[other]).sum()
        yield {other: bool(won >= least)}, f"less error than {quoted(other)} on **{won}** of 6"


@judge("U 5", LOCKED)
def holding_out_earns_most_on_tables(frame):
    gains = {line: ratio.value for line, ratio in earned(frame, "real").items()}
    order = sorted(gains, key=gains.__getitem__, reverse=True)
    said = ", ".join(f"{line}: {number(gains[line])}" for line in order)
    yield {"first": order[0] == 1, "second": order[1] == 2}, said


@judge("U 6", LOCKED)
def the_optimizer_earns_most_on_equations(frame):
    gains = {line: ratio.value for line, ratio in earned(frame, "equation").items()}
    said = ", ".join(f"{line}: {number(gain)}" for line, gain in gains.items())
    yield {"fourth": max(gains, key=gains.__getitem__) == 4}, said


@judge("U 7", LOCKED)
def moves_and_doublings_do_nothing_on_tables(frame):
    for line in (3, 5):
        ratio = earned(frame, "real")[line]
        yield {str(line): ratio.verdict in ("a tie", "undecided")}, ratio
