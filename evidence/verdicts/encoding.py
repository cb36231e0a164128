"""What became of the hypotheses of part V: is it the encoding?"""

from __future__ import annotations

from typing import Any

import numpy as np
from pandas import DataFrame, Series, concat

from .. import statistics
from ..runs import encoding
from ..tasks.pictures import picture
from . import comparisons
from .comparisons import versus, versus_runs, where
from .judging import number, percent
from .registry import judge

MAIN, WHY, LONG = (contest.name for contest in encoding.CONTESTS)
CURVED = "tanh", "SiLU"


def on_pixels(frame: DataFrame, contest: str = "parameters") -> DataFrame:
    """Runs of a contest with the errors on the pixels in place of those between them."""
    frame = where(frame, contest=contest)
    return frame.assign(test_error=frame["validation_error"])


def sizes(frame: DataFrame, a: str, b: str) -> Any:
    """Two families, for each size."""
    for size in encoding.SIZES:
        yield f"{size:,}", versus(frame, a, b, f"{size} parameters")


@judge("V 1", MAIN)
def encoded_the_mlp_is_better(frame):
    for name in CURVED:
        for size, ratio in sizes(on_pixels(frame), f"MLP {name}, encoded", "KAN, encoded"):
            yield {f"{name}, {size}": ratio.better}, f"{size}: {ratio}"


@judge("V 2", MAIN)
def plain_the_kan_is_better_than_encoded(frame):
    for size, ratio in sizes(on_pixels(frame), "KAN, plain", "KAN, encoded"):
        yield {size: ratio.better}, f"{size}: {ratio}"


@judge("V 3", MAIN)
def the_plain_kan_holds_its_own(frame):
    for name in CURVED:
        for size, ratio in sizes(on_pixels(frame), "KAN, plain", f"MLP {name}, encoded"):
            yield {f"{name}, {size}": ratio.not_worse}, f"{size}: {ratio}"


@judge("V 4", MAIN)
def mlps_need_the_encoding(frame):
    for name in (*CURVED, "sine"):
        for size, ratio in sizes(on_pixels(frame), f"MLP {name}, encoded", f"MLP {name}, plain"):
            so = not ratio.better if name == "sine" else ratio.better
            yield {name: so}, f"{size}: {ratio}"


@judge("V 5", MAIN)
def at_equal_seconds_the_mlp_is_better(frame):
    kan = where(on_pixels(frame), family="KAN, plain", size=encoding.SIZES[1])
    both = concat([kan, on_pixels(frame, "seconds")]).assign(contest="seconds")
    for name in encoding.QUICK:
        ratio = versus(both, name, "KAN, plain")
        yield {name: ratio.better}, ratio


@judge("V 6", MAIN)
def between_the_pixels_it_is_the_same(frame):
    frame = where(frame, contest="parameters")
    for name in CURVED:
        for size, ratio in sizes(frame, "KAN, plain", f"MLP {name}, encoded"):
            yield {"beside the MLP": ratio.not_worse}, f"{size}: {ratio}"
    for size, ratio in sizes(frame, "KAN, plain", "KAN, encoded"):
        yield {"beside the encoded KAN": ratio.better}, f"{size}: {ratio}"


# Why


def gap(frame: DataFrame, a: str, b: str) -> float:
    """The mean logarithm of a / b on the pixels, over the pictures."""
    return comparisons.log_ratios(on_pixels(frame), a, b).mean()


def share(part: float, whole: float) -> float:
    """Of a gap; NaN if there is none."""
    return part / whole if whole > 0 else np.nan


def at_least(share: float, least: float) -> bool | None:
    return None if np.isnan(share) else bool(share >= least)


def shown(frame: DataFrame, a: str, b: str) -> Any:
    return versus(on_pixels(frame), a, b)


@judge("V 7", WHY)
def other_coordinates_help(frame):
    for name in ("turned", "white"):
        ratio = shown(frame, name, "encoded")
        yield {name: ratio.better}, ratio


@judge("V 8", WHY)
def white_coordinates_close_the_gap(frame):
    part = share(gap(frame, "encoded", "white"), gap(frame, "encoded", "MLP, encoded"))
    yield {"three quarters": at_least(part, 0.75)}, f"**{percent(part)}** of the gap"


@judge("V 9", WHY)
def it_is_not_the_parameters(frame):
    ratio = shown(frame, "turned, as narrow", "encoded")
    yield {"better": ratio.better}, ratio


@judge("V 10", WHY)
def bad_coordinates_spoil_the_mlp(frame):
    ratio = shown(frame, "MLP, mixed", "MLP, encoded")
    same = not ratio.verdict.startswith("clearly")
    yield {"mixed": same}, ratio
    ratio = shown(frame, "MLP, encoded", "MLP, stretched")
    yield {"stretched": ratio.better}, ratio
    whole = gap(frame, "encoded", "MLP, encoded")
    part = share(gap(frame, "MLP, stretched", "MLP, encoded"), whole)
    yield {"half": at_least(part, 0.5)}, f"**{percent(part)}** of the gap"


@judge("V 11", WHY)
def bent_copies_spoil_the_kan(frame):
    ratio = shown(frame, "plain", "copies")
    yield {"worse with copies": ratio.better}, ratio
    ratio = shown(frame, "copies, turned", "copies")
    yield {"better when turned": ratio.better}, ratio


@judge("V 12", WHY)
def optimizers_that_turn_help(frame):
    for name in ("SOAP", "Muon"):
        ratio = shown(frame, f"encoded, {name}", "encoded")
        yield {name: ratio.better}, ratio
    left = share(gap(frame, "encoded, SOAP", "MLP, SOAP"), gap(frame, "encoded", "MLP, encoded"))
    half = None if np.isnan(left) else bool(left <= 0.5)
    yield {"half": half}, f"with SOAP **{percent(left)}** of the gap is left"


@judge("V 13", WHY)
def updates_help_the_encoded_kan_and_plain_inputs_more(frame):
    ratio = shown(frame, "encoded, updated", "encoded")
    yield {"updates": ratio.better}, ratio
    for name in ("updated", "extras"):
        ratio = shown(frame, "plain", f"encoded, {name}")
        yield {"plain": ratio.better}, ratio


@judge("V 14", WHY)
def nothing_is_left_to_mend_with_plain_inputs(frame):
    for name in ("updated", "extras"):
        ratio = shown(frame, f"plain, {name}", "plain")
        yield {name: ratio.not_better}, ratio


# To the end, and the post


@judge("V 15", LONG)
def the_mlp_leads_in_the_end_but_not_by_much(frame):
    ratios = statistics.per_task(on_pixels(frame), "KAN, plain", "MLP SiLU, encoded")
    said = ", ".join(
        f"{row.task.partition(':')[2]} **{number(row.ratio)}**" for row in ratios.itertuples()
    )
    yield {"leads": bool((ratios["ratio"] > 1).all())}, said
    yield {"below 2": bool((ratios["ratio"] < 2).all())}, said


@judge("V 16", LONG, "race")
def the_race_would_have_been_another(frame, race):
    portrait = where(frame, task="picture:portrait", family="KAN, plain")
    encoded = where(race, contestant="KAN")["loss"] ** 0.5 / luminance()
    ratio = versus_runs("plain", portrait["validation_error"], "KAN of the race", encoded)
    yield {"half": bool(ratio.value < 0.5)}, ratio


def luminance() -> float:
    """The spread of the portrait."""
    return picture("portrait", 64)[1].double().std().item()


def post(frame: DataFrame, name: str, steps: int) -> Series:
    """Errors between the pixels."""
    return where(frame, contestant=name, steps=steps)["final"] ** 0.5


@judge("V 17", "encoding-post", "cold-case-finale")
def he_could_have_won(plain, finale):
    for steps in (2000, 20_000):
        mlp = post(finale, "MLP", steps)
        ratio = versus_runs("B-splines, plain", post(plain, "B-splines, finer", steps), "MLP", mlp)
        yield {f"{steps:,}": ratio.less}, f"{steps:,} steps: {ratio}"


@judge("V 18", "encoding-post", "cold-case-finale")
def but_not_with_his_own_boxes(plain, finale):
    encoded = post(finale, "splines + all three", 2000)
    for name in ("his splines", "his splines, finer"):
        ratio = versus_runs(f"{name}, plain", post(plain, name, 2000), "encoded", encoded)
        yield {name: not ratio.less}, ratio


# Tables


def fitted(frame: DataFrame, kind: str) -> DataFrame:
    """Runs on real tables, or on series, together."""
    return frame[frame["task"].str.startswith(kind)].assign(kind="")


@judge("V 19", "encoding-tables")
def one_column_a_word_is_no_better(frame):
    for name in ("ordinal", "target"):
        ratio = versus(fitted(frame, "real"), f"KAN, {name}", "KAN, one-hot")
        yield {name: ratio.not_better}, ratio


@judge("V 20", "encoding-tables")
def turned_lags_are_no_better(frame):
    ratio = versus(fitted(frame, "table"), "KAN, turned", "KAN, raw")
    yield {"lags": ratio.not_better}, ratio


# Rates


@judge("V 21", MAIN)
def best_rates_are_inside(frame):
    frame = where(frame, contest="parameters")
    rates = frame.groupby(["family", "kind", "task"])["lr"].first()
    at_end = rates.isin([min(encoding.RATES), max(encoding.RATES)])
    for name, ends in at_end.groupby(at_end.index.get_level_values("family").str[:3]):
        so = bool(ends.mean() <= 0.1)
        yield {name: so}, f"{name}: **{ends.sum()}** of {len(ends)} at an end"
