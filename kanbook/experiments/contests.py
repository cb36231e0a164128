"""The contests: families of networks, each at the best that the same search finds for it.

What is asked, measured and concluded is written down in ``plan.md``, before the runs. Here stands
who takes part: on which tasks, with which settings to draw from, and in which order.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from ..results import FOLDER, Table, key
from ..tasks.tables import table
from ..tasks.targets import TARGETS
from .definitions import EXPERIMENTS, Experiment, Settings, sized

SEARCH_SEEDS, FINALIST_SEEDS = (1000,), (1001, 1002)  # no result uses them
TOLERANCE = 0.01  # of parameter counts, so that any two are within 2 %


class Cell(NamedTuple):
    """A task, a contest and a family: who is tuned and tested for itself."""

    task: Settings
    contest: str
    family: str


@dataclass(frozen=True)
class Contest:
    """One stored table: families of networks on tasks.

    Every family on every task is tuned by itself: ``draws`` settings are drawn at random, the same
    of a family for all tasks, and trained for a share of the steps; the ``finalists`` that did best
    on the validation samples are trained in full, with two more seeds; the best of them, by its
    mean log error on the validation samples, is trained with the seeds that count.

    Attributes:
        name, question, chapters, seeds, cost, version, early: as of an
            :class:`~kanbook.experiments.definitions.Experiment`.
        make_tasks: what is learned: settings with "task", "kind" (the class of tasks, for the
            statistics), "size" (of the networks, in parameters) and "steps".
        families: who takes part, by contest: keys of ``FAMILIES`` or names of baselines.
        share: of the steps, in the search.
    """

    name: str
    question: str
    chapters: tuple[int, ...]
    make_tasks: Callable[[], Sequence[Settings]]
    families: dict[str, tuple[str, ...]]
    draws: int = 12
    share: float = 0.25
    finalists: int = 2
    search_seeds: tuple[int, ...] = SEARCH_SEEDS
    seeds: int = 10
    cost: int = 0
    version: int = 1
    early: float = 0.001

    @property
    def settings(self) -> list[Cell]:
        return [cell for task in self.make_tasks() for cell in self.cells(task)]

    def cells(self, task: Settings) -> list[Cell]:
        pairs = [(contest, one) for contest, names in self.families.items() for one in names]
        return [Cell(task, contest, family) for contest, family in pairs]

    def parts(self) -> Iterator[list[Cell]]:
        """What is run one after the other: tasks."""
        for task in self.make_tasks():
            yield self.cells(task)

    def total(self, seeds: int | None = None) -> int:
        seeds = self.seeds if seeds is None else seeds
        tuning = self.draws * len(self.search_seeds) + self.finalists * len(FINALIST_SEEDS)
        return sum(seeds + tuning * (cell.family in FAMILIES) for cell in self.settings)

    def work(self, cell: Cell, seeds: int) -> int:
        """The steps of all runs of a cell."""
        if cell.family not in FAMILIES:
            return seeds * 1000
        steps = self._candidates(cell)[0]["steps"]
        searched = self.share * self.draws * len(self.search_seeds)
        return round(steps * (searched + self.finalists * len(FINALIST_SEEDS) + seeds))

    def known(self, cells: Sequence[Cell], table: Table, seeds: int) -> list[dict[str, Any]]:
        """The runs that these cells are known to need, as far as the stored ones tell."""
        return [one for cell in cells for one in self._known(cell, table, seeds)]

    def _known(self, cell: Cell, table: Table, seeds: int) -> list[dict[str, Any]]:
        every = self._candidates(cell)
        if len(every) == 1:  # nothing to choose
            return self._planned("result", every, range(seeds))
        steps = every[0]["steps"]
        short = [one | {"steps": max(1, round(self.share * one["steps"]))} for one in every]
        runs = self._planned("search", short, self.search_seeds)
        if any(one["run"] not in table.runs for one in runs):
            return runs
        best = self._ranked("search", short, self.search_seeds, table)
        best = [one | {"steps": steps} for one in best[: max(1, self.finalists)]]
        if self.finalists:
            finals = self._planned("finalist", best, FINALIST_SEEDS)
            runs += finals
            if any(one["run"] not in table.runs for one in finals):
                return runs
            best = self._ranked("finalist", best, FINALIST_SEEDS, table)
        return runs + self._planned("result", best[:1], range(seeds))

    def _candidates(self, cell: Cell) -> list[Settings]:
        task, contest, family = cell
        run = task | {"contest": contest, "family": family}
        if family not in FAMILIES:
            return [run | {"baseline": family, "steps": 1}]
        if contest == "seconds":
            run["steps"] = round(run["steps"] * pace(run)["KAN"] / pace(run)[family])
        return candidates(run, self.draws)

    @staticmethod
    def _planned(stage: str, every: Sequence[Settings], seeds: Sequence[int]) -> list[dict]:
        runs = [{"stage": stage, "settings": one, "seed": seed} for seed in seeds for one in every]
        return [{"run": key(**what)} | what for what in runs]

    @staticmethod
    def _ranked(stage: str, every: Sequence[Settings], seeds: Sequence[int], table: Table):
        """Best first, by the mean log error on the validation samples; lost runs come last."""

        def score(settings: Settings) -> float:
            found = [table.runs[key(stage, settings, seed)]["validation_error"] for seed in seeds]
            return sum(math.inf if x is None else math.log(max(x, 1e-300)) for x in found)

        return sorted(every, key=score)


# --- who takes part ------------------------------------------------------------------------------

Draw = Callable[[random.Random], Settings]


def _kan(r: random.Random) -> Settings:
    extras = r.choice([{}, {"bias": True}, {"bias": True, "base": "silu"}])
    start = r.choice(["lines", "uniform 0.1", "power law"])
    if start == "power law":  # it is one for the path of the base function, too
        extras = {"bias": True, "base": "silu"}
    fresh = r.choice([{}, {"restart": 10}, {"update_grid": 10}, {"update_grid": 10}])
    return (
        {"model": "kan", "start": start, "depth": r.choice([1, 2, 3])} | _spline(r) | extras | fresh
    )


def _mlp(r: random.Random) -> Settings:
    activation = r.choice(["tanh", "silu", "relu", "sine"])
    return {"model": "mlp", "activation": activation} | _plain(r)


def _spline_mlp(r: random.Random) -> Settings:
    settings = {"model": "spline-mlp", "domain": r.choice([[-1, 1], [-3, 3]])} | _spline(r)
    settings |= {"depth": r.choice([1, 2, 3]), "input_scale": r.choice([1, 3])}
    return settings | r.choice([{}, {"restart": 10}, {"update_grid": 10}])


def _tanh(where: str) -> Draw:
    if where == "node":
        return lambda r: {"model": "node-tanh"} | _plain(r)
    return lambda r: {"model": "tanh", "tanh": where, "bias": True} | _plain(r)


def _spline(r: random.Random) -> Settings:
    return {"grid_size": r.choice([3, 5, 8, 12, 20]), "degree": r.choice([1, 2, 3])}


def _plain(r: random.Random) -> Settings:
    """What networks without a domain have to choose from."""
    settings = {"depth": r.choice([1, 2, 3, 4]), "input_scale": r.choice([1, 3, 10])}
    return settings | r.choice([{}, {"restart": 10}])


FAMILIES: dict[str, Draw] = {
    "KAN": _kan,
    "MLP": _mlp,
    "spline MLP": _spline_mlp,
    "tanh after the sum": _tanh("sum"),
    "tanh at the node": _tanh("node"),
    "tanh on every edge": _tanh("edge"),
}


@cache
def draw(family: str, number: int) -> Settings:
    """The settings of this number that chance draws for a family; the same for every task."""
    r = random.Random(f"{family} {number}")
    lr = float(f"{10 ** r.uniform(-3, -0.5):.2g}")
    return {"config": number, "lr": lr, "frequencies": r.randint(0, 5)} | FAMILIES[family](r)


def candidates(run: Settings, draws: int) -> list[Settings]:
    """The first drawn settings of a family that can have as many parameters as the task says.

    Where a grid size cannot, one larger or smaller by one or two may stand in for it.
    """
    found, number = [], 0
    picture = run["task"].startswith("picture:")
    while len(found) < draws:
        settings = {**draw(run["family"], number)}
        number += 1
        if not picture:
            del settings["frequencies"]
        if run["optimizer"] != "adam":
            del settings["lr"]
        depth = settings.pop("depth")
        if (fitting := _shaped(run | settings, depth)) is not None:
            found.append(fitting)
    return found


def _shaped(settings: Settings, depth: int) -> Settings | None:
    inputs, outputs = ends(settings["task"])
    inputs = inputs * 2 * settings["frequencies"] if settings.get("frequencies") else inputs
    sizes = (
        [settings["grid_size"] + more for more in (0, -1, 1, -2, 2)]
        if "grid_size" in settings
        else [None]
    )
    for grid_size in sizes:
        tried = settings if grid_size is None else settings | {"grid_size": grid_size}
        try:
            return sized(
                tried, settings["size"], depth, ends=(inputs, outputs), tolerance=TOLERANCE
            )
        except ValueError:
            continue
    return None


@cache
def ends(task: str) -> tuple[int, int]:
    """Numbers of inputs and outputs."""
    kind, _, name = task.partition(":")
    if kind == "formula":
        return TARGETS[name].inputs, 1
    if kind == "picture":
        return 2, 1
    found = table(name)
    classes = found.kind == "classes"
    return found.inputs.shape[1], int(found.targets.max()) + 1 if classes else 1


# --- on what -------------------------------------------------------------------------------------

RUN = {"optimizer": "adam", "steps": 2000, "dtype": "float32"}
NETWORKS = ("KAN", "MLP", "spline MLP", "tanh after the sum")


def formulas(size: int = 1000, names: Sequence[str] | None = None, **more: Any) -> list[Settings]:
    return [
        RUN
        | {"task": f"formula:{name}", "kind": TARGETS[name].kind, "samples": 1000}
        | {"size": size}
        | more
        for name in names or TARGETS
    ]


def pace_settings() -> list[Settings]:
    """The step times of the networks of a contest at equal seconds, taking turns."""
    first = {ends(task["task"])[0]: task for task in reversed(formulas())}
    wanted = [task | {"contest": "parameters"} for _, task in sorted(first.items())]
    return [
        {"measure": "seconds", "inputs": ends(task["task"])[0], "size": task["size"]}
        | {"task": task["task"], "samples": task["samples"], "dtype": task["dtype"]}
        | {
            "models": [
                one for family in FAMILIES for one in candidates(task | {"family": family}, 8)
            ]
        }
        for task in wanted
    ]


def pace(run: Settings) -> dict[str, float]:
    """Mean seconds of a training step by family, for networks of this size and these inputs.

    Raises:
        ValueError: they are not stored.
    """
    return _pace(ends(run["task"])[0], run["size"])


@cache
def _pace(inputs: int, size: int) -> dict[str, float]:
    for one in Table(FOLDER / "pace.jsonl", "pace").runs.values():
        what = one["settings"]
        if (what["inputs"], what["size"]) == (inputs, size):
            times: dict[str, list[float]] = {}
            for model, seconds in zip(what["models"], one["step_seconds"], strict=True):
                times.setdefault(model["family"], []).append(seconds)
            return {family: sum(found) / len(found) for family, found in times.items()}
    raise ValueError(
        f"no step times for {inputs} inputs and {size} parameters are stored; "
        "run `python -m kanbook.experiments run pace` on a quiet machine"
    )


EXPERIMENTS.update(
    (experiment.name, experiment)
    for experiment in (
        Experiment(
            "pace",
            "How long is a step of each family, and how long a single prediction?",
            (15, 16, 21),
            pace_settings,
            seeds=1,
            cost=1,
        ),
        Contest(
            "formulas",
            "Who learns which smooth functions best, each family at its best?",
            (12, 15, 21),
            formulas,
            {
                "parameters": (*NETWORKS, "polynomial", "gaussian process"),
                "seconds": ("MLP",),
            },
            cost=160,
        ),
        Contest(
            "tanh-readings",
            "Where does the tanh belong: on every edge, at the node, or after the sum?",
            (13, 21),
            lambda: [task for task in formulas() if task["kind"] == "axes"],
            {"parameters": ("tanh at the node", "tanh on every edge")},
            cost=25,
        ),
    )
)
