"""The judges of parts K and L ask which waves are learned, and who gets to the last digits."""

from __future__ import annotations

import numpy as np

from .comparisons import Waves, products, versus_logs, versus_runs, where
from .judging import number
from .registry import judge

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
