"""Charts of stored runs: medians, effects of extras, ratios of contests.

The frames are those of :func:`evidence.reading.load`, or a part of one: one row a run.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from pandas import DataFrame

from kanbook.certainty import TIE
from kanbook.plots import ROLES, SERIES

from . import statistics


def plot_medians(frame: DataFrame, by: str, *, loss: str = "loss", ax: Axes | None = None) -> Axes:
    """Draw the final loss of every run, and for each kind of run the median and the range.

    Args:
        by: the column that says which runs are of a kind; one row of the figure for each value, in
            the order in which they come.
        loss: the column to draw, on a logarithmic scale.
        ax: where to draw; a new figure if not given.

    Raises:
        ValueError: the frame is empty or has no such column.
    """
    _check_frame(frame, by, loss)
    kinds = list(dict.fromkeys(frame[by]))
    ax = plt.figure(figsize=(5.8, 0.8 + 0.36 * len(kinds))).gca() if ax is None else ax
    for row, kind in enumerate(kinds):
        runs = frame[frame[by] == kind][loss]
        finite = runs[np.isfinite(runs)]
        color = _role_color(kind) or SERIES[row % len(SERIES)]
        if len(finite):
            ax.plot([finite.min(), finite.max()], [row, row], color=color, linewidth=3, alpha=0.35)
            ax.plot(finite, [row] * len(finite), "|", color=color, markersize=9)
        if np.isfinite(runs.median()):
            ax.plot(runs.median(), row, "o", color=color, markersize=7)
        if len(finite) < len(runs):
            text = f" {len(runs) - len(finite)} of {len(runs)} diverged"
            ax.text(1, row, text, transform=ax.get_yaxis_transform(), va="center", fontsize=12)
    ax.set_xscale("log")
    ax.set_yticks(range(len(kinds)), [str(kind) for kind in kinds])
    ax.set_ylim(len(kinds) - 0.5, -0.5)
    ax.grid(axis="x", alpha=0.3)
    ax.set_xlabel(loss)
    return ax


def plot_effects(effects: DataFrame) -> Figure:
    """Draw what each extra of a factorial is worth, and what it costs.

    Args:
        effects: as :func:`evidence.statistics.effects` returns it, or some of its rows, which are
            judged together.

    Returns:
        A figure with a part for each task, in it a row for each extra, which shows the error with
        it, divided by that without. The diamond is its main effect, above it is the effect alone
        (a circle), below in company (a square), with intervals of 95 %. What is undecided
        (:func:`~evidence.statistics.judged`) is faint and its mark hollow. The tie zone is shaded.
        At the right edge, the time of a training, with / without.

    Raises:
        ValueError: the frame is empty or lacks a column.
    """
    _check_frame(effects, "extra", "task", "where", "ratio", "low", "high", "p", "seconds")
    effects = statistics.judged(effects)
    looks = {"main": ("D", 0, "over all"), "alone": ("o", -0.26, "alone")}
    looks["company"] = ("s", 0.26, "with the others")
    extras = list(dict.fromkeys(effects["extra"]))
    tasks = list(effects.groupby("task", sort=False))
    size = (5.6, 0.9 + len(tasks) * (0.5 + 0.42 * len(extras)))
    figure, axes = plt.subplots(len(tasks), 1, sharex=True, squeeze=False, figsize=size)
    for ax, (task, rows) in zip(axes[:, 0], tasks, strict=True):
        _shade_ties(ax)
        for row in rows.itertuples():
            mark, shift, _ = looks[row.where]
            y = extras.index(row.extra) + shift
            color = "#444444" if row.where != "main" else ROLES["KAN"]["color"]
            is_decided = row.verdict != "undecided"
            faint = {} if is_decided else {"alpha": 0.45}
            ax.plot([row.low, row.high], [y, y], color=color, linewidth=1.6, **faint)
            fill = color if is_decided else "white"
            look = {"markersize": 7 if row.where == "main" else 5, "markerfacecolor": fill}
            ax.plot(row.ratio, y, mark, color=color, **look, **faint)
        for extra, seconds in rows.groupby("extra")["seconds"].first().items():
            place = {"transform": ax.get_yaxis_transform(), "va": "center"}
            ax.text(1.03, extras.index(extra), f"{seconds:.1f}×", **place)
        ax.text(1.03, -0.75, "time", transform=ax.get_yaxis_transform(), va="bottom")
        ax.set_yticks(range(len(extras)), extras)
        ax.tick_params(axis="y", length=0)
        ax.set(title=task, xscale="log", ylim=(len(extras) - 0.5, -0.6))
    _label_ratios(ax)
    ax.set_xlabel("error with it / without\n(below 1: it helps)")
    drawn = [look for where, look in looks.items() if where in set(effects["where"])]
    for mark, _, name in drawn:
        ax.plot([], [], mark, color="#444444", markersize=6, label=name)
    figure.legend(loc="outside upper center", ncols=len(drawn), handletextpad=0.2, columnspacing=1)
    return figure


def plot_ratios(frame: DataFrame, family: str = "KAN") -> Figure:
    """Draw how a family compares with its rivals on classes of tasks, as contests found it.

    Args:
        frame: rows as :mod:`evidence.statistics` reads them, of one contest or of several.
        family: whose error is divided by that of the rivals; left of 1 it is better.

    Returns:
        A figure with a part for each contest, in it a row for each class and rival, and for all
        tasks. A grey dot is a task; the marker and the line are the mean of the tasks with its 95 %
        interval. The marker is hollow where :func:`~evidence.statistics.against_rivals` is
        undecided. The tie zone is shaded.

    Raises:
        ValueError: the frame is empty, or as :func:`~evidence.statistics.against_rivals`.
    """
    _check_frame(frame, "contest", "family", "kind", "test_error")
    means = statistics.against_rivals(frame, family)
    rivals = list(means["rival"].unique())
    parts = {
        contest: _ratio_lines(frame[frame["contest"] == contest], family, rivals, rows)
        for contest, rows in means.groupby("contest", sort=False)
    }
    heights = [len(lines) + 1 for lines in parts.values()]
    figure, axes = plt.subplots(
        len(parts), 1, sharex=True, squeeze=False, height_ratios=heights,
        figsize=(4.8, 0.9 + 0.24 * sum(heights)),
    )  # fmt: skip
    ends = [1 / TIE, TIE]
    for ax, (contest, lines) in zip(axes[:, 0], parts.items(), strict=True):
        _shade_ties(ax)
        for y, line in enumerate(lines):
            if line.ratio is not None:
                _draw_ratio(ax, y, line)
                ends += [*line.tasks, line.ratio.ratio]
        ax.set_yticks(range(len(lines)), [line.label for line in lines], fontsize=11)
        for label, line in zip(ax.get_yticklabels(), lines, strict=True):
            label.set_fontweight("bold" if line.ratio is None else "normal")
        ax.tick_params(axis="y", length=0)
        ax.set(title=f"equal {contest}", ylim=(len(lines) - 0.4, -0.6))
    ax.set(xscale="log", xlim=(min(ends) / 1.3, max(ends) * 1.3))
    _label_ratios(ax, (1,) if max(ends) / min(ends) > 100 else (1, 2, 5))
    rival = rivals[0] if len(rivals) == 1 else "rival"
    ax.set_xlabel(f"test error, {family} / {rival}\n(below 1: the {family} is better)")
    return figure


class _Line(NamedTuple):
    """A class of tasks and a rival; a heading has no ratio."""

    label: str
    ratio: Any = None
    tasks: list[float] = []
    style: dict[str, str] = {}


def _ratio_lines(frame: DataFrame, family: str, rivals: list[str], rows: DataFrame) -> list[_Line]:
    """Lines for each class of tasks and for all, in one contest; a heading above several rivals."""
    means = {(row.kind, row.rival): row for row in rows.itertuples()}
    tasks = {}
    for rival in rows["rival"].unique():
        each = statistics.per_task(frame, family, rival)
        tasks |= {(kind, rival): list(part) for kind, part in each.groupby("kind")["ratio"]}
        logs = np.log(each["ratio"]).groupby(each["task"]).mean()
        tasks["all", rival] = list(np.exp(logs))
    met = {kind for kind, _ in means}
    lines = []
    for kind in [kind for kind in [*dict.fromkeys(frame["kind"]), "all"] if kind in met]:
        there = [rival for rival in rivals if (kind, rival) in means]
        title = f"{kind} ({max(means[kind, rival].tasks for rival in there)})"
        lines += [_Line(title)] if len(rivals) > 1 else []
        for rival in there:
            style = {"color": _role_color(rival) or ROLES["target"]["color"]}
            style["marker"] = "osD^vPX"[rivals.index(rival) % 7]
            label = rival if len(rivals) > 1 else title
            lines.append(_Line(label, means[kind, rival], tasks[kind, rival], style))
    return lines


def _draw_ratio(ax: Axes, y: int, line: _Line) -> None:
    ratio, color = line.ratio, line.style["color"]
    below = [y + 0.24] * len(line.tasks)  # the line, which would hide them
    ax.plot(line.tasks, below, "o", color="#777777", markersize=3.5, alpha=0.7)
    ax.plot([ratio.low, ratio.high], [y, y], color=color, linewidth=2, solid_capstyle="butt")
    fill = "white" if ratio.verdict == "undecided" else color
    ax.plot(ratio.ratio, y, **line.style, markersize=7, markerfacecolor=fill)


def _shade_ties(ax: Axes) -> None:
    ax.axvspan(1 / TIE, TIE, color="#BBBBBB", alpha=0.35, linewidth=0)
    ax.axvline(1, color="#444444", linewidth=1)


def _label_ratios(ax: Axes, steps: tuple[int, ...] = (1, 2, 5)) -> None:
    ax.xaxis.set_major_locator(LogLocator(subs=steps, numticks=6))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _role_color(kind: object) -> str | None:
    """That of a role if the name of a kind of run begins with one."""
    role = re.match(r"(KAN|MLP|tanh)($|[ ,])", str(kind))
    return ROLES[role[1]]["color"] if role else None


def _check_frame(frame: DataFrame, *columns: str) -> None:
    if len(frame) == 0:
        raise ValueError("frame has no rows; expected at least one run")
    statistics.check_columns(frame, *columns)
