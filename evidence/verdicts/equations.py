"""The judges of part I ask who solves differential equations best."""

from __future__ import annotations

import numpy as np
from pandas import DataFrame

from . import comparisons
from .comparisons import solutions, versus_runs, where
from .judging import number
from .registry import judge

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
