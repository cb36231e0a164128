"""What became of each hypothesis of ``plan.md``, by the numbers of the stored rows.

A hypothesis is split into its claims. It *holds* if all of them do, and *half* if some do; else it
is *lost* if one of them is wrong, and *undecided* if the rows allow all of them. It is *open* as
long as rows are missing. Of two families one is *ahead* by the rule of the contests: p < 0.05 and
beyond 20 %. Elsewhere a claim is judged by medians over the seeds, as the plan says. Nothing here
is a stored number: what the book prints is computed as it is built.

The judge of a hypothesis is named after what it says and given the rows of its experiments. It
yields, for each number that it looks at, a claim by its name, whether that number allows it, and
the number in words. A claim is so if all numbers under its name say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import results
from ..results import compare, contests
from . import engine, slices
from .contests import ends
from .definitions import EXPERIMENTS
from .judging import Versus, number, ratio, versus, versus_on, where

if TYPE_CHECKING:
    from pandas import DataFrame, Series

__all__ = ["Outcome", "hypotheses", "outcomes", "verdict"]

PLAN = Path(__file__).with_name("plan.md")


class Outcome(NamedTuple):
    """One hypothesis and what became of it.

    ``label``, part and number in the plan, such as "B 1"; ``experiments``, whose rows decide;
    ``hypothesis``, its words; ``verdict``, "holds", "half", "lost", "undecided" or "open";
    ``because``, the numbers that decide, in Markdown, empty if open.
    """

    label: str
    experiments: tuple[str, ...]
    hypothesis: str
    verdict: str
    because: str


def hypotheses() -> dict[str, str]:
    """The numbered hypotheses of the plan by their labels, "A 1", in its order."""
    found: dict[str, str] = {}
    for part in re.split(r"^## (?=[A-Z]\. )", PLAN.read_text(encoding="utf-8"), flags=re.M)[1:]:
        for count, text in re.findall(r"^(\d+)\. (.*?)(?=\n\d+\. |\n\n|\Z)", part, re.M | re.S):
            found[f"{part[0]} {count}"] = " ".join(text.split())
    return found


Claims = Iterator[tuple[str, bool | None, Any]]  # None: the rows allow it, and its contrary
JUDGES: dict[str, tuple[tuple[str, ...], str | None, Callable[..., Claims] | None]] = {}


def judge(label: str, *experiments: str, text: str | None = None):
    """Register how a hypothesis is judged; ``text``, its words, if it has no number in the plan."""

    def register(judge: Callable[..., Claims] | None) -> Callable[..., Claims] | None:
        JUDGES[label] = experiments, text, judge
        return judge

    return register


def outcomes() -> list[Outcome]:
    """What became of each hypothesis, in the order of the plan."""
    texts, load = hypotheses(), cache(_rows)
    found = []
    for label, (experiments, text, judge) in JUDGES.items():
        frames = [load(name) for name in experiments]
        became, because = "open", ""
        if judge and all(frame is not None for frame in frames):
            claims: dict[str, list[bool | None]] = {}
            said = []
            for name, so, numbers in judge(*frames):
                claims.setdefault(name, []).append(so)
                said.append(str(numbers))
            became = verdict(every(one) for one in claims.values())
            because = "; ".join(filter(None, said))
        found.append(Outcome(label, experiments, text or texts[label], became, because))
    return found


def _rows(name: str) -> DataFrame | None:
    """All results, those of the KAN at equal seconds too; None if some are missing."""
    if name not in results.names():
        return None
    frame = results.load(name)
    if frame.attrs["runs"] < engine.total(EXPERIMENTS[name]):
        return None
    return contests.with_own(frame) if "contest" in frame else frame


def every(so: list[bool | None]) -> bool | None:
    """What is said of several at once."""
    return False if False in so else None if None in so else True


def verdict(claims) -> str:
    """What became of a hypothesis, from whether each of its claims is so."""
    claims = list(claims)
    if any(claims):
        return "holds" if all(claims) else "half"
    return "lost" if False in claims else "undecided"


# A. Formulas

EQUAL = "parameters", "seconds"


@judge("A 1", "formulas")
def kan_is_ahead_along_the_axes(frame):
    for equal in EQUAL:
        one = versus(where(frame, contest=equal), "KAN", "MLP", "axes")
        yield f"equal {equal}", one.ahead, f"equal {equal}, along the axes: {one}"


@judge("A 2", "formulas")
def kan_is_not_ahead_rotated(frame, kind="rotated"):
    for equal in EQUAL:
        one = versus(where(frame, contest=equal), "KAN", "MLP", kind)
        yield f"equal {equal}", one.not_ahead, f"equal {equal}, {kind}: {one}"


@judge("A 3", "formulas")
def kan_is_not_ahead_on_generic_ones(frame):
    return kan_is_not_ahead_rotated(frame, "generic")


@judge("A 4", "formulas")
def own_methods_beat_every_network(frame):
    frame = where(frame, contest="parameters", diverged=False)
    frame = frame[[ends(task)[0] <= 3 for task in frame["task"]]]
    frame = frame.assign(log=np.log(frame["test_error"]))
    groups = frame.groupby(["task", "family"])
    errors, seconds = groups["log"].mean().unstack(), groups["seconds"].median().unstack()
    own = ["polynomial", "gaussian process"]
    networks = errors.columns.difference(own)
    best = errors[own].idxmin(axis=1)
    won, quick = (
        sum(table.at[task, name] < table.loc[task, networks].min() for task, name in best.items())
        for table in (errors, seconds)
    )
    said = f"ahead of every network on **{won}** of {len(best)} formulas, in less time on {quick}"
    yield "ahead", won == len(best), said
    yield "in less time", quick == len(best), ""


@judge("A 5", "formulas")
def spline_mlp_is_no_worse_rotated(frame):
    one = versus(where(frame, contest="parameters"), "spline MLP", "KAN", "rotated")
    so = one.not_ahead if one.side == "undecided" else one.side != "b"
    yield "no worse", so, f"rotated: {one}"


judge("A 6", "formulas", "tanh-readings")(None)
judge("A 7", "formulas", "formulas-lbfgs", "formulas-lm")(None)


@judge(
    "A dense",
    "formulas-dense",
    text="With 300 parameters and 10,000 samples the KAN is better along the axes at equal "
    "parameters, and not when rotated.",
)
def kan_is_ahead_along_the_axes_only(frame):
    frame = where(frame, contest="parameters")
    axes, rotated = (versus(frame, "KAN", "MLP", kind) for kind in ("axes", "rotated"))
    yield "ahead", axes.ahead, f"{axes} along the axes"
    yield "not ahead", rotated.not_ahead, f"{rotated} rotated"


# B. Noise


@judge("B 1", "noise")
def families_tie_with_much_noise(frame):
    for rival in ("MLP", "spline MLP", "tanh after the sum"):
        one = versus(frame, "KAN", rival, "noise 20%, 200 samples")
        yield "all tie", one.tie, one


def log_ratios(frame: DataFrame, a: str, b: str) -> Series:
    """Of each task the mean logarithm of a / b."""
    return np.log(contests.per_task(frame, a, b).groupby("task")["ratio"].first())


@judge("B 2", "noise")
def kan_loses_more_by_noise(frame):
    for samples in (200, 2000):
        few = where(frame, samples=samples)
        loud, still = (log_ratios(where(few, noise=noise), "KAN", "MLP") for noise in (0.2, 0.0))
        gap = contests.interval(loud - still)
        one = Versus("(KAN / MLP at 20 %)", "(at 0 %)", gap)
        yield "loses more", one.more, f"{samples:,} samples: {one}"


# C. Tables


@judge("C 1", "tables")
def networks_tie_and_trees_beat_them(frame):
    frame = where(frame, contest="parameters")
    one = versus(frame, "KAN", "MLP", "regression")
    yield "a tie", one.tie, one
    for task, network in product(("diamonds", "flights"), ("KAN", "MLP")):
        one = versus_on(frame, "boosted trees", network, f"table:{task}")
        yield "trees beat both", one.ahead, f"{task}: {one}"


@judge("C 2", "tables")
def mlp_is_ahead_on_mnist1d(frame):
    one = versus_on(where(frame, contest="parameters"), "MLP", "KAN", "table:mnist1d")
    yield "ahead", one.ahead, f"log-loss, {one}"


@judge("C 3", "tables")
def kan_is_ahead_on_friedmans(frame):
    for n in (1, 2, 3):
        one = versus_on(where(frame, contest="parameters"), "KAN", "MLP", f"table:friedman{n}")
        yield "ahead on all", one.ahead, f"Friedman {n}: {one}"


# D. Images

judge("D 1", "pictures")(None)
judge("D 2", "pictures")(None)
judge("D 3", "pictures")(None)

# E. Starts


@judge("E 1", "starts")
def starts_are_close_and_power_law_is_ahead_at_20(frame):
    logs = contests.log_errors(frame)
    means = logs.groupby([frame["task"], frame["family"]]).mean().groupby("family").mean()
    for layers in (1, 3):
        at = means.filter(like=f"{layers} layers, G = 5").sort_values(ascending=False)
        worst, second = np.exp(at.iloc[:2] - at.iloc[-1])
        names = [name.partition(",")[0] for name in at.index]
        said = f"G = 5, hidden layers {layers}: {names[0]} / the best **{number(worst)}**, "
        yield "close at 5", worst < 2, f"{said}{names[1]} / the best {number(second)}"
    for layers in (1, 3):
        at = means.filter(like=f"{layers} layers, G = 20")
        power = f"power law, {layers} layers, G = 20"
        best = at.drop(power).idxmin()
        name = f"the best other ({best.partition(',')[0]})"
        one = Versus("power law", name, ratio(frame, power, best))
        yield "ahead at 20", one.ahead, f"G = 20, hidden layers {layers}: {one}"


# F. Extras


def main_effects(frame: DataFrame, extra: str) -> Iterator[tuple[str, Versus]]:
    for row in where(contests.effects(frame), where="main", extra=extra).itertuples():
        yield name_of(row.task), Versus("with", "without", row)


def name_of(task: str) -> str:
    return task.partition(":")[2].replace("_", " ")


@judge("F 1", "extras-factorial")
def updates_help_on_all(frame):
    for task, one in main_effects(frame, "update"):
        yield task, one.less, f"{task}: {one}"


@judge("F 2", "extras-factorial")
def spline_weights_help_on_none(frame):
    for task, one in main_effects(frame, "spline weight"):
        useless = False if one.less else True if one.found.low > 1 / contests.TIE else None
        yield task, useless, f"{task}: {one}"


@judge("F 3", "extras-factorial")
def updates_and_extension_do_not_add_up(frame):
    extras = [frozenset(name.split(" + ")) - {"minimal"} for name in frame["family"]]
    frame = frame.assign(log=contests.log_errors(frame), extras=extras)
    for task, runs in frame.groupby("task", sort=False):
        logs = runs.pivot(index="extras", columns="seed", values="log")
        found = contests.wider(interaction(logs, "update", "extension"))
        one = Versus("effect of both", "product of the two", found)
        yield task, one.more, f"{name_of(task)}: {one}"


def interaction(logs: DataFrame, a: str, b: str) -> DataFrame:
    """How far both extras miss the product of the two, for each set of others and each seed."""
    others = [one for one in logs.index if not one & {a, b}]

    def added(*extras: str) -> DataFrame:
        return logs.loc[[one.union(extras) for one in others]].set_axis(others)

    return added(a, b) - added(a) - added(b) + added()


@judge("F 4", "extras-pykan")
def pykan_gains_by_moving_but_less(frame):
    kept = "update, optimizer kept"
    for name, a, b in (("gains", kept, "still"), ("fresh is ahead", "update", kept)):
        one = versus(frame, a, b)
        yield name, one.ahead, one


@judge("F 5", "knots")
def fresh_optimizers_help_and_moves_with_them(frame):
    for knots in ("still", "moved"):
        one = versus(frame, f"{knots}, fresh", f"{knots}, kept")
        yield "fresh ones help", one.ahead, one
    fresh, kept = (versus(frame, f"moved, {how}", f"still, {how}") for how in ("fresh", "kept"))
    yield "moves help with fresh ones only", fresh.ahead, fresh
    yield "moves help with fresh ones only", kept.not_ahead, kept


@judge("F 6", "knots")
def even_spacing_is_a_tie_with_quantiles(frame):
    for spacing in ("half even, fresh", "even, fresh"):
        one = versus(frame, spacing, "moved, fresh")
        yield spacing, one.tie, one


@judge("F 7", "knots")
def fresh_optimizers_help_the_mlp_less(frame):
    pairs = {"KAN": ("still, fresh", "still, kept"), "MLP": ("MLP, fresh", "MLP, kept")}
    said = [f"{who}: {Versus('fresh', 'kept', ratio(frame, *two))}" for who, two in pairs.items()]
    kan, mlp = (log_ratios(frame, *two) for two in pairs.values())
    one = Versus("that of the KAN", "that of the MLP", contests.interval(kan - mlp))
    yield "less", one.less, "; ".join([*said, str(one)])


@judge("F 8", "climbs-adam", "climbs-lbfgs")
def climbing_beats_20_from_the_start(adam, lbfgs):
    for name, frame, rival in (
        ("Adam", adam, "20"),
        ("L-BFGS", lbfgs, "20"),
        ("L-BFGS", lbfgs, "20, fresh"),
    ):
        one = versus(frame, "5, 10, 20", rival)
        yield f"{name}, {rival}", one.ahead, f"{name}: {one}"


@judge("F 9", "climbs-adam", "climbs-lbfgs")
def width_beats_climbing_off_the_axes(adam, lbfgs):
    for name, frame in (("Adam", adam), ("L-BFGS", lbfgs)):
        one = versus(frame[frame["kind"] != "axes"], "5", "5, 10, 20")
        yield name, one.ahead, f"{name}, rotated and generic: {one}"


@judge("F 10", "climbs-adam", "climbs-lbfgs")
def updates_before_extensions_help(adam, lbfgs):
    for name, frame in (("Adam", adam), ("L-BFGS", lbfgs)):
        one = versus(frame, "5, 10, 20, updated", "5, 10, 20")
        yield name, one.ahead, f"{name}: {one}"


@judge(
    "F 10 control",
    "climbs-adam",
    "climbs-lbfgs",
    text="The updated climb is ahead of “20, updated” with both optimizers, by less than the plain "
    "climb of plain 20.",
)
def updated_climb_is_ahead_of_updated_20(adam, lbfgs):
    for name, frame in (("Adam", adam), ("L-BFGS", lbfgs)):
        found = ratio(frame, "5, 10, 20, updated", "20, updated")
        updated = Versus("updated climb", "“20, updated”", found)
        plain = Versus("plain climb", "“20”", ratio(frame, "5, 10, 20", "20"))
        yield "ahead", updated.ahead, f"{name}: {updated}"
        yield "by less", updated.ratio > plain.ratio, plain


ONCE = "all intervals at once"


@judge("F 11", "recipe-adam", "recipe-lm")
def recipe_beats_all_at_once(adam, lm):
    for name, frame in (("Adam", adam), ("Levenberg-Marquardt", lm)):
        one = versus(frame, "recipe", ONCE)
        yield name, one.ahead, f"{name}: {one}"


@judge(
    "F 11 controls",
    "recipe-lm",
    text="Each half of the recipe alone, the climb and the updates, beats all intervals at once, "
    "and the recipe is ahead of both.",
)
def each_half_helps_and_both_more(frame):
    halves = "climbed only", "moved only"
    for half in halves:
        one = versus(frame, half, ONCE)
        yield "halves beat all at once", one.ahead, one
    for half in halves:
        one = versus(frame, "recipe", half)
        yield "the recipe beats halves", one.ahead, one


@judge("F 12", "recipe-adam", "recipe-lm")
def recipe_is_ahead_on_axes_and_behind_nowhere(adam, lm):
    one = versus(adam, "recipe", "MLP", "axes")
    yield "ahead along the axes", one.ahead, f"Adam, axes: {one}"
    one = versus(lm, "recipe", "MLP", "axes")
    yield "ahead along the axes", one.ahead, ""
    for kind in ("axes", "rotated", "generic"):
        one = versus(lm, "recipe", "MLP", kind)
        yield "behind nowhere", one.side != "b", f"Levenberg-Marquardt, {kind}: {one}"


@judge("F 13", "recipe-adam", "recipe-lm")
def both_do_better_with_levenberg_marquardt(adam, lm):
    import pandas

    for family in ("recipe", "MLP"):
        ways = {"Levenberg-Marquardt": lm, "Adam": adam}
        rows = [where(one, family=family).assign(family=name) for name, one in ways.items()]
        one = Versus(*ways, ratio(pandas.concat(rows), *ways))
        yield family, one.ahead, f"{family}: {one}"


# G. An audit

judge("G 1", "race-audit")(None)

# H. A cold case

RATE = 0.005  # the post's


@cache
def _spread() -> float:
    portrait = {"task": "slices-32", "slices": 1, "frequencies": 4}
    return slices.make(portrait, 0)[1][1].double().std().item()


def medians_kept(frame: DataFrame, *by: str) -> Series:
    """The median share of the spread that is kept between the pixels."""
    return (frame.assign(kept=frame["final"] ** 0.5 / _spread()).groupby(list(by))["kept"]).median()


@judge("H 1", "cold-case")
def normal_starts_fail_and_others_do_not(frame):
    kept = medians_kept(where(frame, part="starts"), "start", "lr", "depth")
    normal = kept["normal"].drop([1, 2], level="depth").min()
    lines, products = (kept[start][0.003].max() for start in ("lines", "products"))
    said = f"normal, three hidden layers and more, at best **{normal:.2f}** of the spread"
    yield "normal fails", normal > 0.5, said
    said = f"at 0.003 at worst, lines **{lines:.2f}**, products **{products:.2f}**"
    yield "lines do not", lines <= 0.5, said
    yield "products do not", products <= 0.5, ""


@judge("H 2", "cold-case")
def no_difference_makes_it_fail(frame):
    kept = medians_kept(where(frame, part="suspects", lr=RATE, family="KAN"), "suspect")
    single = kept.drop(["ours", "all", "all, with the extras"])
    failed = ", ".join(f"{name} **{value:.2f}**" for name, value in single[single > 0.5].items())
    yield "no single one", not failed, f"fail: {failed or 'none'}"
    yield "nor all", kept["all"] <= 0.5, f"all together **{kept['all']:.2f}**"


def final_errors(frame: DataFrame, steps: int) -> Series:
    """Lists of errors after the training, by the contestant."""
    ends = where(frame[frame["models"].isna()], steps=steps)
    return (ends["final"] ** 0.5).groupby(ends["contestant"]).apply(np.array)


@judge("H 3", "cold-case-finale")
def extras_are_ahead_early_and_not_late(frame):
    for steps in (2000, 20_000):
        errors = final_errors(frame, steps)
        found = compare(errors["splines + all three"], errors["MLP"])
        one = Versus("splines with all three", "MLP", found)
        yield f"{steps}", (one.ratio < 1) == (steps == 2000), f"{steps:,} steps: {one}"


@judge("H 4", "cold-case-finale")
def each_extra_changes_little(frame):
    errors = final_errors(frame, 2000)
    for extra in ("bias", "spline weights", "base"):
        found = compare(errors[f"splines + {extra}"], errors["splines"])
        yield extra, 1 / 1.5 < found.ratio < 1.5, Versus(f"with {extra}", "without", found)


@judge("H 5", "cold-case-finale")
def mlp_is_ahead_in_equal_seconds(frame):
    paces = frame[frame["models"].notna()]
    seconds = {
        (model["model"], model["contestant"]): np.median(times)
        for model, *times in zip(paces["models"].iloc[0], *paces["step_seconds"], strict=True)
    }
    mlp = np.median(final_errors(frame, 20_000)["MLP"])
    for name in ("splines", "splines + all three"):
        steps = 20_000 * seconds["mlp", "MLP"] / seconds["soft-kan", name]
        curves = where(frame, contestant=name, steps=20_000)["curve"]
        behind = np.median([loss_near(curve, steps) for curve in curves]) ** 0.5 / mlp
        said = f"{name} after {steps:,.0f} steps / MLP after 20,000 **{number(behind)}**"
        yield name, behind > 1.5, said


def loss_near(curve: dict[str, list[float]], step: float) -> float:
    """The loss near a step, the geometric mean of five stored ones: batches make it shake."""
    at = int(np.searchsorted(curve["step"], step))
    return float(np.exp(np.mean(np.log(curve["loss"][at - 3 : at + 2]))))


# I. Differential equations

KANS = ("kan", 3), ("kan", 5)
MLPS = ("mlp", "tanh"), ("mlp", "sine")
SIZES = {"poisson-1d": 100, "poisson-2d": 300, "burgers": 500}  # of the contest itself


def solutions(
    frame: DataFrame, task: str, model: str, which: Any, *, size: int = 0, at: str = "built in"
) -> DataFrame:
    """Runs of a model of that degree, or activation, and about that size; no oblong splines.

    They get an ``error``, and ``adam``, that after Adam alone.
    """
    kind = {"activation" if model == "mlp" else "degree": which}
    frame = where(frame, task=f"equation:{task}", boundary=at, model=model, **kind)
    oblong = np.array([isinstance(sizes, tuple) for sizes in frame["grid_size"]], dtype=bool)
    near = (frame["size"] / (size or SIZES[task]) - 1).abs() < 0.05
    frame = frame[near & ~oblong]
    adam = [probes[0]["error"] if probes else np.nan for probes in frame["probes"]]
    return frame.assign(error=frame["final"] ** 0.5, adam=adam)


@judge("I 1", "equations")
def quintic_kan_has_a_tenth_of_mlps(frame):
    kan = solutions(frame, "poisson-2d", "kan", 5)
    for mlp in MLPS:
        found = compare(kan["error"], solutions(frame, "poisson-2d", *mlp)["error"])
        one = Versus("KAN of degree 5", f"{mlp[1]} MLP", found)
        yield f"a tenth of {mlp[1]}", one.ratio < 0.1, one
    adam = [solutions(frame, "poisson-2d", *one)["adam"].median() for one in KANS + MLPS]
    furthest = max(adam) / min(adam)
    said = f"after Adam the worst / the best **{number(furthest)}**"
    yield "close after Adam", furthest < 3, said


@judge("I 2", "equations")
def degree_5_has_a_fifth_of_degree_3(frame):
    for task in SIZES:
        five, three = (solutions(frame, task, "kan", degree)["error"] for degree in (5, 3))
        one = Versus("degree 5", "degree 3", compare(five, three))
        yield task, one.ratio < 0.2, f"{task}: {one}"


@judge("I 3", "equations")
def one_spline_beats_every_network_in_a_tenth_of_the_time(frame):
    def best(task: str, *kinds: tuple[str, Any]) -> DataFrame:
        runs = [solutions(frame, task, *kind) for kind in kinds]
        return min(runs, key=lambda one: one["error"].median())

    for task in ("poisson-1d", "poisson-2d"):
        spline = best(task, ("collocation", 3), ("collocation", 5))
        network = best(task, *KANS, *MLPS)
        one = Versus("spline", "best network", compare(spline["error"], network["error"]))
        times = spline["seconds"].median() / network["seconds"].median()
        yield f"{task}: less error", one.ratio < 1, f"{task}: {one}, seconds {number(times)}"
        yield f"{task}: less time", times < 0.1, ""


@judge("I 4", "equations")
def mlp_is_ahead_on_burgers_and_the_spline_is_lost(frame):
    def best(*kinds: tuple[str, Any]) -> Series:
        return min((solutions(frame, "burgers", *one)["error"] for one in kinds), key=np.median)

    one = Versus("best MLP", "best KAN", compare(best(*MLPS), best(*KANS)))
    yield "ahead", one.ratio < 1, one
    spline = best(("collocation", 3), ("collocation", 5)).median()
    yield "the spline is lost", spline > 0.1, f"the spline keeps **{number(spline)}**"


@judge("I 5", "equations")
def penalized_boundaries_cost_a_factor_3(frame):
    for model, which in KANS + MLPS:
        ways = (solutions(frame, "poisson-2d", model, which, at=at) for at in BOUNDARIES)
        one = Versus("penalized", "built in", compare(*(runs["error"] for runs in ways)))
        name = f"KAN of degree {which}" if model == "kan" else f"{which} MLP"
        yield name, one.ratio > 3, f"{name}: {one}"


BOUNDARIES = "penalized", "built in"


@judge("I 6", "equations")
def small_kan_has_no_hundredth_of_a_large_mlp(frame):
    small = solutions(frame, "poisson-2d", "kan", 3, size=100)["adam"]
    large = [solutions(frame, "poisson-2d", *mlp, size=10_000)["adam"] for mlp in MLPS]
    found = compare(small, min((one for one in large if len(one)), key=np.median))
    one = Versus("KAN of degree 3 with 100 parameters", "MLP with 10,000", found)
    yield "no hundredth", one.ratio > 0.01, f"Adam: {one}"


@judge("I 7", "equations")
def the_best_shape_of_a_spline_comes_near(frame):
    kan = solutions(frame, "burgers", "kan", 5)["error"].median()
    splines = where(frame, task="equation:burgers", model="collocation")
    splines = splines.drop_duplicates(["size", "degree", "grid_size"])
    oblong = np.array([isinstance(sizes, tuple) for sizes in splines["grid_size"]])
    square = splines[~oblong]["final"].min() ** 0.5
    small, shapes = splines["size"] < 700, splines[oblong]
    few, many = (
        part.loc[part["loss"].idxmin(), "final"] ** 0.5  # of the least residual
        for part in (shapes[small], shapes[~small])
    )
    gain, behind, near = few / square, few / kan, many / kan
    said = f"500 numbers: best shape / square **{number(gain)}**, / KAN of degree 5 "
    yield "a fifth of the square one", gain < 0.2, f"{said}**{number(behind)}**"
    yield "behind the KAN", behind > 3, ""
    yield "near with 1,000", near <= 3, f"1,000 numbers / KAN **{number(near)}**"


# J. Forgetting

ONE, TWO, EXTRAS = "KAN, one layer", "KAN, two layers", "KAN, one layer, extras"


class Phases:
    """Medians after the last phase, by task, contestant and way."""

    def __init__(self, frame: DataFrame):
        frame = frame.assign(task=frame["task"].str.removeprefix("sequence:"))
        groups = frame.groupby(["task", "contestant", "way"])
        self.errors, self.accuracy = groups["test_error"].median(), groups["accuracy"].median()

    def forgets(self, task: str, who: str) -> bool:
        turn, once = self.errors[task, who, "in turn"], self.errors[task, who, "at once"]
        return turn > 0.1 and turn > 3 * once

    def said(self, task: str, who: str) -> str:
        turn, once = self.errors[task, who, "in turn"], self.errors[task, who, "at once"]
        return f"{who}, {task}: in turn **{number(turn)}**, at once {number(once)}"


@judge("J 1", "sequence")
def one_spline_keeps_the_peaks_without_extras(frame):
    of = Phases(frame)
    yield "keeps", not of.forgets("peaks", ONE), of.said("peaks", ONE)
    yield "forgets with extras", of.forgets("peaks", EXTRAS), of.said("peaks", EXTRAS)


@judge("J 2", "sequence")
def two_layers_forget_like_the_mlp(frame):
    of = Phases(frame)
    for task, who in product(("peaks", "hills"), (TWO, "MLP")):
        yield "forget", of.forgets(task, who), of.said(task, who)
    for task in ("peaks", "hills"):
        two, mlp = (of.errors[task, who, "in turn"] for who in (TWO, "MLP"))
        said = f"{task}, in turn: two layers / MLP **{number(two / mlp)}**"
        yield "within a factor 2", 0.5 < two / mlp < 2, said


@judge("J 3", "sequence")
def one_layer_keeps_hills_and_cannot_learn_them(frame):
    of = Phases(frame)
    least = min(of.errors["hills", ONE, way] for way in ("in turn", "at once"))
    turn, once = (of.errors["rotated hills", ONE, way] for way in ("in turn", "at once"))
    yield "keeps", not of.forgets("hills", ONE), of.said("hills", ONE)
    yield "cannot learn", least > 0.3, ""
    yield "ends higher, rotated", turn > once, of.said("rotated hills", ONE)


@judge("J 4", "sequence")
def phases_share_splines_of_the_second_layer(frame):
    for task in ("peaks", "hills", "rotated hills"):
        runs = where(frame, task=f"sequence:{task}", contestant=TWO, way="in turn")
        shares = [[one["shared"] for one in probes if "shared" in one] for probes in runs["probes"]]
        first, second = np.median(np.mean(shares, axis=1), axis=0)
        so = first > 1 / 3 if task == "rotated hills" else first < 0.25
        said = f"{task}: first layer **{100 * first:.0f} %**, second **{100 * second:.0f} %**"
        yield f"{task}, first", so, said
        yield f"{task}, second", second > 1 / 3, ""


@judge("J 5", "sequence")
def digits_need_replay(frame):
    right = Phases(frame).accuracy["digits"]
    turn, replay = (right.xs(way, level="way") for way in ("in turn", "replay"))
    said = f"right at most **{100 * turn.max():.0f} %** in turn ({turn.idxmax()}), at least "
    said += f"**{100 * replay.min():.0f} %** with replay ({replay.idxmin()})"
    yield "few in turn", turn.max() <= 0.3, said
    yield "more with replay", replay.min() > 0.6, ""


@judge("J 6", "sequence")
def replay_matters_more_than_the_network(frame):
    of = Phases(frame)
    tasks = "peaks", "hills", "rotated hills", "digits"
    logs = np.log((1 - of.accuracy).fillna(of.errors)).unstack("way").loc[list(tasks)]
    two, mlp = (logs.xs(who, level="contestant") for who in (TWO, "MLP"))
    gain = np.exp(np.mean([who["in turn"] - who["replay"] for who in (two, mlp)]))
    choice = np.exp((two["in turn"] - mlp["in turn"]).abs().mean())
    said = f"in turn / replay **{number(gain)}**; one network / the other **{number(choice)}**"
    yield "matters more", gain > choice, said


# K. Waves


class Waves:
    """Medians over the seeds: shares that are missing, by look and wave, and errors."""

    def __init__(self, frame: DataFrame, task: str = "waves:50"):
        self.frame = where(frame, task=task)
        self.missing, self.steps = {}, {}
        for name, runs in self.frame.groupby("contestant"):
            looks = [[look["missing"] for look in probes] for probes in runs["probes"]]
            self.missing[name] = np.median(looks, axis=0)
            self.steps[name] = [look["step"] for look in runs["probes"].iloc[0]]

    def learned(self, name: str) -> int:
        """How many of the ten waves."""
        return int((self.missing[name][-1] < 0.5).sum())

    def half(self, name: str, wave: int) -> float:
        """The step at which half of a wave is learned, read between the looks."""
        shares, steps = self.missing[name][:, wave], self.steps[name]
        for (one, next_), (a, b) in zip(pairwise(steps), pairwise(shares), strict=True):
            if b < 0.5:
                return one * (next_ / one) ** (max(a - 0.5, 0) / (a - b))
        return np.inf

    def pace(self, name: str) -> float:
        """Steps for the highest wave, divided by those for the lowest."""
        return self.half(name, 9) / self.half(name, 0)

    def error(self, name: str) -> Series:
        return where(self.frame, contestant=name)["test_loss"] ** 0.5


@judge("K 1", "waves")
def mlps_learn_low_waves_first_and_no_high_ones(frame):
    of = Waves(frame)
    for name in ("MLP, tanh", "MLP, ReLU", "MLP, sine"):
        missing = of.missing[name][-1]
        least = missing[5:].min()  # 30 periods and more
        said = f"{name}: missing of 5 periods **{missing[0]:.2f}**, of those above 25 at "
        yield "low first", of.half(name, 0) < of.half(name, 9), f"{said}least **{least:.2f}**"
        yield "no high ones", least >= 0.5, ""


@judge("K 2", "waves")
def one_spline_learns_at_one_pace(frame):
    pace = Waves(frame).pace("one spline, G = 200")
    yield "one pace", 0.5 <= pace <= 2, f"steps for the highest / the lowest **{number(pace)}**"


@judge("K 3", "waves")
def kans_learn_all_with_20_intervals_low_ones_first(frame):
    of = Waves(frame)
    few, some, many = (of.learned(f"KAN, G = {G}") for G in (5, 20, 80))
    pace = of.pace("KAN, G = 20")
    said = f"learned with 5, 20, 80 intervals: **{few}**, **{some}**, **{many}** of 10"
    yield "20 learn all", some == 10, said
    yield "80 learn all", many == 10, ""
    yield "5 not the highest", of.missing["KAN, G = 5"][-1][8:].min() >= 0.5, ""
    said = f"with 20, steps for the highest / the lowest **{number(pace)}**"
    yield "low ones first", pace > 2, said


@judge("K 4", "waves")
def extension_ends_below_5_and_not_below_20(frame):
    of = Waves(frame)
    climb = of.error("KAN, G = 5, 20, 80")
    few, some = (compare(climb, of.error(f"KAN, G = {G}")) for G in (5, 20))
    yield "below 5", few.ratio < 1 and few.separated, Versus("extension", "5", few)
    yield "not below 20", some.ratio >= 1, Versus("extension", "20", some)


@judge("K 5", "waves")
def kan_of_80_learns_by_heart(frame):
    runs = where(frame, contestant="KAN, G = 80", task="waves:50")
    fitted = [curve["loss"][-1] ** 0.5 for curve in runs["curve"]]
    one = Versus("error on the test", "on the samples", compare(runs["test_loss"] ** 0.5, fitted))
    yield "by heart", one.ratio > 10, one


@judge("K 6", "waves")
def sines_and_fourier_features_cure_mlps(frame):
    of = Waves(frame)
    cures = "MLP, sine, inputs x 30", "MLP, tanh, Fourier features", "MLP, tanh, inputs x 10"
    sine, fourier, tanh = (of.learned(name) for name in cures)
    found = compare(of.error(cures[1]), of.error("KAN, G = 20"))
    said = "learned by sine x 30, Fourier features, tanh x 10: "
    yield "sines", sine == 10, f"{said}**{sine}**, **{fourier}**, **{tanh}** of 10"
    yield "Fourier features", fourier == 10, ""
    yield "not tanh", tanh < 10, ""
    yield "near the KAN", found.ratio <= 3, Versus("Fourier features", "KAN, G = 20", found)


@judge("K 7", "waves")
def easy_waves_are_learned_by_all(frame):
    of = Waves(frame, "waves:10")
    learned = {name: of.learned(name) for name in of.missing}
    few = [f"{name} **{n}** of 10" for name, n in learned.items() if n < 10]
    said = f"**{len(learned) - len(few)}** of {len(learned)} learn all"
    yield "all", not few, "; ".join([said, *few])


# L. The last digits

LAST = 1e-9


def products(
    frame: DataFrame, contestant: str, places: str = "uniform", dtype: str = "float64"
) -> DataFrame:
    """Who learned to multiply: errors in spreads on the samples, on new points, on 99 % of them."""
    task = "digits:product"
    runs = where(frame, contestant=contestant, task=task, places=places, dtype=dtype)
    return runs.assign(
        fitted=runs["loss"] ** 0.5 / runs["spread"],
        error=runs["test_loss"] ** 0.5 / runs["spread"],
        most=[quantiles[2] for quantiles in runs["quantiles"]],
    )


@judge("L 1", "digits")
def most_points_are_exact_and_a_few_spoil_it(frame):
    exact = products(frame, "KAN, degree 3")[["fitted", "most", "error"]] < LAST
    fitted, most, error = exact.sum()
    said = f"below 1e-9 in ten seeds: **{fitted}** on the samples, **{most}** at 99 % of new "
    yield "samples", fitted >= 7, f"{said}points, **{error}** by the RMSE there"
    yield "most new points", most >= 7, ""
    yield "a few spoil it", error <= 4, ""


@judge("L 2", "digits")
def samples_at_the_edges_settle_new_points(frame):
    runs = products(frame, "KAN, degree 3", "edges")
    ratios = runs["error"] / runs["fitted"]
    near = ratios.between(0.1, 10).sum()
    yield "near", near >= 9, f"**{near}** of 10; the median ratio is {number(ratios.median())}"


@judge("L 3", "digits")
def degree_5_is_exact_less_often(frame):
    for places in ("uniform", "edges"):
        five, three = (
            (products(frame, f"KAN, degree {degree}", places)["fitted"] < LAST).sum()
            for degree in (5, 3)
        )
        said = f"{places}: degree 5 in **{five}** seeds, degree 3 in **{three}**"
        yield places, five < three, said


@judge("L 4", "digits")
def no_mlp_is_exact(frame):
    names = "MLP", "MLP, two layers", "MLP, wide"
    cases = product(names, ("uniform", "edges"))
    best = min(products(frame, *case)["fitted"].min() for case in cases)
    yield "none", best >= LAST, f"the best MLP of all has **{number(best)}** on its samples"


@judge("L 5", "digits")
def in_32_bits_kan_and_mlp_are_close(frame):
    kan, mlp = (products(frame, who, dtype="float32")["fitted"] for who in ("KAN, degree 3", "MLP"))
    yield "not exact", kan.median() > 1e-7, f"the KAN's median is **{number(kan.median())}**"
    one = Versus("KAN", "MLP", compare(kan, mlp))
    yield "close", 1 / 30 < one.ratio < 30, one


@judge("L 6", "digits")
def turned_the_lead_is_gone(frame):
    runs = where(frame, task="digits:turned exp_sine")
    kan, mlp = (where(runs, family=name).set_index("seed")["test_loss"] for name in ("KAN", "MLP"))
    one = Versus("KAN", "MLP", contests.interval(np.log(kan**0.5 / mlp**0.5).astype(float)))
    yield "above a third", one.ratio > 1 / 3, one
