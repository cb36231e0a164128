"""What became of the hypotheses of part W: how many bits, and who is smallest on a chip?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from pandas import DataFrame, Series

from .. import reading, statistics
from ..runs import bits
from .comparisons import where
from .judging import Versus, number, task_name, together
from .registry import judge

SMALL = 0.01, 0.001  # errors of formulas, relative to the spread
ABOVE = {0.01: 0.1, 0.001: 0.01}  # of data: above the least of any float network
UNREACHED = 64 * 1024  # bytes, where a mean needs a number
AXES = "formula:exp_sine", "formula:product", "formula:ten_waves"
GENERIC = "formula:franke", "formula:field_5"


def limits(frame: DataFrame, small: float) -> Series:
    """The validation error that reaches it, for each row."""
    networks = frame[frame["side"] != "table"]
    least = networks.groupby(["task", "seed"])["validation_error"].min().rename("least")
    least = frame.join(least, on=["task", "seed"])["least"]
    return Series(small, frame.index).where(
        frame["task"].isin(bits.FORMULAS), (1 + ABOVE[small]) * least
    )


def chosen(frame: DataFrame, small: float, kinds: Iterable[str] = ()) -> DataFrame:
    """What reaches an error with the fewest ``bytes``, and its ``test_error``; by task, side, seed.

    Args:
        frame: rows of the experiment.
        small: 0.01 or 0.001: of formulas the error itself; of data 10 % and 1 % above the least.
        kinds: of variants, such as "float"; all but float ones with none.

    Returns:
        Infinite bytes, and NaN, where nothing reaches it.
    """

    def fewest(fronts: dict[str, Any], limit: float) -> tuple[float, float]:
        among = [*kinds] or [kind for kind in fronts if kind != "float"]
        found = [row for kind in among for row in fronts.get(kind, ())]
        reached = [(row[0], row[2]) for row in found if row[1] <= limit]
        return min(reached, default=(np.inf, np.nan))

    found = [*map(fewest, frame["fronts"], limits(frame, small))]
    by = ["task", "side", "seed"]
    both = frame[by].assign(bytes=[size for size, _ in found], test_error=[e for _, e in found])
    return both.sort_values("bytes", kind="stable").groupby(by).head(1).set_index(by).sort_index()


def smallest(frame: DataFrame, small: float, kinds: Iterable[str] = ()) -> Series:
    """The bytes of :func:`chosen`."""
    return chosen(frame, small, kinds)["bytes"]


def medians(frame: DataFrame, small: float, kinds: Iterable[str] = ()) -> DataFrame:
    """The median over seeds of :func:`smallest`: a row a task, a column a side."""
    return smallest(frame, small, kinds).groupby(["task", "side"]).median().unstack()


def fewer(first: Series, second: Series) -> bool:
    """Whether the first needs fewer bytes in four of five seeds."""
    return bool((first < second).mean() >= 0.8)


def errors(frame: DataFrame, kind: str, width: int, entries: int) -> Series:
    """Logarithms of the test errors of a variant of the KAN with five nodes, by task and seed."""
    rows = where(frame, side="KAN").dropna(subset="grid")
    at = bits.BITS.index(width), bits.ENTRIES.index(entries)
    logs = [np.log(grid[kind][at[0]][at[1]]) for grid in rows["grid"]]
    return Series(logs, [rows["task"], rows["seed"]])


def ratio(name: str, logs: Series) -> Versus:
    """Over the tasks; over the seeds of a single one."""
    tasks = logs.groupby("task").mean()
    return Versus(*name.split(" / "), statistics.interval(tasks if len(tasks) > 1 else logs))


def formulas(values: Series) -> Series:
    return values[values.index.get_level_values("task").isin(bits.FORMULAS)]


ON, OFF, NEAREST = "interpolated, gauge on", "interpolated, gauge off", "nearest, gauge on"


@judge("W 1", "bits")
def one_scale_ruins_eight_bits(frame):
    logs = errors(frame, OFF, 8, 32) - errors(frame, ON, 8, 32)
    found = ratio("off / on", formulas(logs))
    yield {"worse": together([found.found]) == ["clearly worse"]}, found


@judge("W 2", "bits")
def on_data_it_does_not(frame):
    logs = errors(frame, OFF, 8, 32) - errors(frame, ON, 8, 32)
    found = {task: ratio("off / on", logs[[task]]) for task in bits.DATA}
    worse = together(one.found for one in found.values()).count("clearly worse")
    said = ", ".join(f"{task_name(task)} {one}" for task, one in found.items())
    yield {"not worse": worse < 2}, said


@judge("W 3", "bits")
def twelve_bits_are_enough_and_eight_are_not(frame):
    full = errors(frame, ON, 16, 32)
    for width in (12, 8):
        found = ratio(f"{width} bits / 16", formulas(errors(frame, ON, width, 32) - full))
        tie = found.tie
        yield {f"{width}": tie if width == 12 else None if tie is None else not tie}, found


@judge("W 4", "bits")
def interpolation_pays(frame):
    kans = where(frame, side="KAN")
    lines, stairs = (smallest(kans, SMALL[0], [kind]) for kind in (ON, NEAREST))
    for task in bits.FORMULAS:
        if np.isfinite([lines[task].median(), stairs[task].median()]).all():
            yield {"pays": fewer(lines[task], stairs[task])}, _medians(task, lines, stairs)


def _medians(task: str, *bytes: Series) -> str:
    shown = (one[task].median() for one in bytes)
    sizes = " and ".join("none" if np.isinf(size) else f"{size:,.0f}" for size in shown)
    return f"{task_name(task)}: **{sizes}** bytes"


@judge("W 5", "bits")
def along_the_axes_the_kan_is_smaller(frame):
    found = smallest(frame, SMALL[0])
    for task in (*AXES, *GENERIC):
        kan, mlp = (found.xs(side, level="side") for side in ("KAN", "MLP"))
        so = fewer(kan[task], mlp[task])
        claim = "axes" if task in AXES else "generic"
        yield {claim: so == (task in AXES)}, _medians(task, kan, mlp)


@judge("W 6", "bits")
def eight_bits_do_not_reach_a_thousandth(frame):
    found = smallest(frame, SMALL[1])
    kan, mlp = (found.xs(side, level="side") for side in ("KAN", "MLP"))
    for task in bits.FORMULAS[1:]:
        yield {"MLP": bool(np.isinf(mlp[task]).all())}, _medians(task, kan, mlp)
    for task in AXES[:2]:
        yield {"KAN": bool(np.isfinite(kan[task]).sum() >= 3)}, _medians(task, kan, mlp)


@judge("W 7", "bits")
def one_table_is_for_one_input(frame):
    found = smallest(frame, SMALL[0])
    table, kan = (found.xs(side, level="side") for side in ("table", "KAN"))
    for side in ("KAN", "additive", "MLP", "linear"):
        other = found.xs(side, level="side")
        task = bits.FEW[0]
        yield {"one input": fewer(table[task], other[task])}, _medians(task, table, other)
    for task in bits.FEW[1:]:
        yield {"two and three": fewer(kan[task], table[task])}, _medians(task, table, kan)


@judge("W 8", "bits")
def on_data_the_mlp_is_smaller(frame):
    found = smallest(frame, SMALL[0])
    kan, mlp = (found.xs(side, level="side") for side in ("KAN", "MLP"))
    for task in bits.DATA:
        yield {"smaller": fewer(mlp[task], kan[task])}, _medians(task, kan, mlp)


@judge("W 9", "bits")
def one_formula_misleads(frame):
    found = formulas(smallest(frame, SMALL[0]).clip(upper=UNREACHED))
    kan, mlp = (found.xs(side, level="side") for side in ("KAN", "MLP"))
    logs = np.log(mlp / kan).groupby("task").mean()
    alone, all_of_them = (float(np.exp(x)) for x in (logs["formula:exp_sine"], logs.mean()))
    said = f"MLP / KAN: **{number(alone)}** alone, **{number(all_of_them)}** over all"
    yield {"twice": alone >= 2 * all_of_them}, said


@judge("W 10", "bits")
def floats_take_more(frame):
    mlps = where(frame, side="MLP")
    for small, claim in zip(SMALL, ("1 %", "0.1 %"), strict=True):
        whole, real = (smallest(mlps, small, [kind]) for kind in ("8 bits a weight", "float"))
        reached = []
        for task in bits.FORMULAS:
            both = np.isfinite([whole[task].median(), real[task].median()])
            reached.append(both)
            if claim == "1 %" and both.all():
                yield {claim: fewer(whole[task], real[task])}, _medians(task, whole, real)
        if claim == "0.1 %":
            integers, floats = np.any(reached, axis=0)
            said = f"formulas with 0.1 %: **{np.sum(reached, axis=0)[1]}** by floats"
            yield {claim: bool(floats and not integers)}, said


# Chips


def instructions() -> DataFrame:
    """Of each program, by chip and number of inputs."""
    frame = reading.load_benchmark("bits")
    return frame.pivot(index=["chip", "inputs"], columns="program", values="instructions")


@judge("W 11", "bits")
def tables_take_few_of_the_instructions_of_splines(_):
    counts = instructions()
    shares = (counts["tables, interpolated"] / counts["splines, float"]).drop(1, level="inputs")
    for chip, most in {"Cortex-M0": 1 / 20, "Cortex-M4F": 1 / 3}.items():
        worst = shares[chip].max()
        yield {chip: bool(worst < most)}, f"{chip}: at most **{number(worst)}**"


@judge("W 12", "bits")
def tables_take_fewer_than_the_mlp(_):
    counts = instructions()
    for width in (8, 16):
        mlp = counts[f"MLP, 8 bits a weight, {width} an activation"]
        worst = (counts["tables, interpolated"] / mlp).max()
        yield {"fewer": bool(worst < 1)}, f"tables / MLP at most **{number(worst)}**"


@judge("W 13", "bits")
def stairs_take_somewhat_fewer(_):
    counts = instructions()
    shares = counts["tables, nearest"] / counts["tables, interpolated"]
    said = f"**{number(shares.min())}** to **{number(shares.max())}**"
    yield {"between": bool(shares.between(0.5, 0.9).all())}, said
