"""The contests: families of networks, each at the best that the same search finds for it.

What is asked, measured and concluded is written down in ``plan.md``, before the runs. Here stands
who takes part: on which tasks, with which settings to choose from, and in which order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cache, cached_property, partial
from itertools import combinations, product
from typing import Any, NamedTuple

from .design import Design, Job, Measurement, planned, score
from .families import FAMILIES, candidates, ends, fitted
from .runs import contest_run
from .settings import Settings
from .table import FOLDER, Table, key
from .tasks import real_tables
from .tasks.tables import TABLES, table
from .tasks.targets import KINDS, TARGETS, named

SEARCH_SEEDS, FINALIST_SEEDS = (1000,), (1001, 1002)  # no result uses them
# Seeds, at most, of what takes long and differs little between them.
SLOW = {"gaussian process": 3, "boosted trees": 5}
SLOW |= {"sparse gaussian process": 2, "projection pursuit": 2}


class Cell(NamedTuple):
    """A task, a contest and a family: who is tuned and tested for itself."""

    task: Settings
    contest: str
    family: str


@dataclass(frozen=True)
class Contest(Design):
    """Families of networks on tasks.

    Every family on every task is tuned by itself: ``draws`` settings are drawn at random, the same
    of a family for all tasks, and trained for a share of the steps; the ``finalists`` that did best
    on the validation samples are trained in full, with two more seeds; the best of them, by its
    mean log error on the validation samples, is trained with the seeds that count.

    Attributes:
        make_tasks: what is learned: settings with "task", "kind" (the class of tasks, for the
            statistics), "size" (of the networks, in parameters) and "steps".
        families: who takes part, by contest: keys of ``FAMILIES`` or of ``fixed``, or names of
            baselines; all that are ``fixed``, at equal parameters, if not given.
        baselines: of a task, what its own field would take, besides.
        fixed: settings of families of which nothing is drawn: all values of tuples are tried, and
            all ``rates``, if no "lr" stands there.
        share: of the steps, in the search.
        paced_by: the family whose seconds the others get at equal seconds.
    """

    make_tasks: Callable[[], Sequence[Settings]]
    families: dict[str, Sequence[str]] | None = None
    _: KW_ONLY
    baselines: Callable[[Settings], Sequence[str]] = lambda task: ()
    fixed: Callable[[], dict[str, Settings]] = dict
    rates: tuple[float | None, ...] = (0.003, 0.01, 0.03, 0.1)
    paced_by: str = "KAN"
    draws: int = 12
    share: float = 0.25
    finalists: int = 2
    search_seeds: tuple[int, ...] = SEARCH_SEEDS
    measurement: Measurement = Measurement(contest_run.run_contestant, contest_run.evaluations)

    POINTS = {"search": 3, "finalist": 3, "result": 15}

    @cached_property
    def settings(self) -> list[Cell]:
        return [cell for task in self.make_tasks() for cell in self.cells(task)]

    def cells(self, task: Settings) -> list[Cell]:
        families = self.families or {"parameters": tuple(self.fixed())}
        pairs = [(contest, name) for contest, names in families.items() for name in names]
        pairs += [("parameters", name) for name in self.baselines(task)]
        return [Cell(task, contest, family) for contest, family in pairs]

    def parts(self) -> list[list[Cell]]:
        """What is run one after the other: tasks."""
        return [self.cells(task) for task in self.make_tasks()]

    def total(self, seeds: int | None = None) -> int:
        """How many jobs there are."""
        seeds = self.seeds if seeds is None else seeds
        finals = self.finalists * len(FINALIST_SEEDS)
        tries = [self._tries(cell) for cell in self.settings]
        tuning = [n * len(self.search_seeds) + finals for n in tries if n > 1]
        return sum(self._seeds(cell, seeds) for cell in self.settings) + sum(tuning)

    def work(self, seeds: int) -> int:
        """The evaluations of all jobs."""
        return sum(self._work(cell, seeds) for cell in self.settings)

    def _work(self, cell: Cell, seeds: int) -> int:
        tuning = 0.0
        if (tries := self._tries(cell)) > 1:
            tuning = self.share * tries * len(self.search_seeds)
            tuning += self.finalists * len(FINALIST_SEEDS)
        return round(self.cost(self._candidates(cell)[0]) * (tuning + self._seeds(cell, seeds)))

    def _tries(self, cell: Cell) -> int:
        """How many settings the family has to choose from."""
        if cell.family in FAMILIES:
            return self.draws
        return len(self._choices(cell.family)) if cell.family in self.fixed() else 1

    def _choices(self, family: str) -> list[Settings]:
        """The settings of a family of which nothing is drawn, with each value that is tried."""
        settings = {} if self.rates == (None,) else {"lr": self.rates}
        settings |= self.fixed()[family]
        tried = {name: values for name, values in settings.items() if isinstance(values, tuple)}
        return [
            settings | dict(zip(tried, values, strict=True)) for values in product(*tried.values())
        ]

    @staticmethod
    def _seeds(cell: Cell, seeds: int) -> int:
        return min(seeds, SLOW.get(cell.family, seeds))

    def known(self, part: list[Cell], table: Table, seeds: int) -> list[Job]:
        """The jobs that a part is known to need, as far as the stored runs tell."""
        return [job for cell in part for job in self._known(cell, table, seeds)]

    def _known(self, cell: Cell, table: Table, seeds: int) -> list[Job]:
        every = self._candidates(cell)
        seeds = self._seeds(cell, seeds)
        if len(every) == 1:  # nothing to choose
            return [planned("result", every[0], seed) for seed in range(seeds)]
        steps = every[0]["steps"]
        tried = [settings | {"steps": max(1, round(self.share * steps))} for settings in every]
        jobs = [planned("search", short, seed) for seed in self.search_seeds for short in tried]
        if _incomplete(jobs, table):
            return jobs
        best = _ranked("search", tried, self.search_seeds, table)[: max(1, self.finalists)]
        best = [settings | {"steps": steps} for settings in best]
        if self.finalists:
            finals = [planned("finalist", full, seed) for seed in FINALIST_SEEDS for full in best]
            jobs += finals
            if _incomplete(finals, table):
                return jobs
            best = _ranked("finalist", best, FINALIST_SEEDS, table)
        return jobs + [planned("result", best[0], seed) for seed in range(seeds)]

    def _candidates(self, cell: Cell) -> list[Settings]:
        task, contest, family = cell
        base = task | {"contest": contest, "family": family}
        if contest == "seconds":
            steps = base["steps"] * pace(base)[self.paced_by] / pace(base)[family]
            base["steps"] = round(steps)
        if family in self.fixed():
            return [fitted(base | choice) for choice in self._choices(family)]
        if family not in FAMILIES:
            return [base | {"baseline": family, "steps": 1}]
        return candidates(base, self.draws)


def _incomplete(jobs: list[Job], table: Table) -> bool:
    return any(job["run"] not in table.runs for job in jobs)


def _ranked(
    stage: str, every: Sequence[Settings], seeds: Sequence[int], table: Table
) -> list[Settings]:
    """Best first, by the mean log error on the validation samples; lost runs come last."""

    def scored(settings: Settings) -> float:
        rows = [table.runs[key(stage, settings, seed)] for seed in seeds]
        return score(None if row["diverged"] else row["validation_error"] for row in rows)

    return sorted(every, key=scored)


# --- on what -------------------------------------------------------------------------------------

RUN = {"optimizer": "adam", "steps": 2000, "dtype": "float32"}
MANY = {"samples": 10_000, "batch_size": 500}
NETWORKS = ("KAN", "MLP", "spline MLP", "tanh after the sum")


def formulas(size: int = 1000, names: Sequence[str] | None = None, **more: Any) -> list[Settings]:
    base = RUN | {"samples": 1000, "size": size}
    return [
        base | {"task": f"formula:{name}", "kind": named(name).kind} | more
        for name in names or TARGETS
    ]


REDRAWS = 1, 2, 3  # the draws of settings beside the first one


def redrawn(**more: Any) -> list[Settings]:
    """All formulas, for each draw of settings as tasks of their own."""
    return [task | {"redraw": number} for number in REDRAWS for task in formulas(1000, **more)]


def _axes_and_rotated(size: int, **more: Any) -> list[Settings]:
    return [task for task in formulas(size, **more) if task["kind"] != "generic"]


def some_of_each(number: int, size: int, first: int = 0, **more: Any) -> list[Settings]:
    """So many formulas of each class, counted from the first."""
    names = []
    for kind in KINDS:
        names += [name for name in TARGETS if TARGETS[name].kind == kind][first : first + number]
    return formulas(size, names, **more)


def noisy() -> list[Settings]:
    """Two formulas along the axes, one rotated, one generic; a class is a noise and a number."""
    names = ["exp_sine", "five_curves", "rotated exp_sine", "rational"]
    return [
        task | {"samples": samples, "noise": noise, "kind": f"noise {noise:.0%}, {samples} samples"}
        for samples, noise in product((200, 2000), (0.0, 0.05, 0.2))
        for task in formulas(300, names, steps=1000)
    ]


SMALL = {"size": 300, "steps": 1000}  # for tables of a few hundred rows


def tables() -> list[Settings]:
    """Tables, classes and series; of the two largest, 10,000 rows."""
    base = RUN | {"size": 3000, "batch_size": 256, "samples": 10_000}
    few_rows = ("diabetes", "wine", "sunspots", "co2", "el-nino")
    return [
        base
        | {"task": f"table:{name}", "kind": table(name).kind}
        | (SMALL if name in few_rows else {})
        for name in TABLES
    ]


def of_tables(task: Settings) -> tuple[str, ...]:
    """The methods of the field."""
    naive = ("a season ago", "the last value") if task["kind"] == "series" else ()
    additive = ("additive",) if task["kind"] == "regression" else ()
    return (*naive, "linear", *additive, "boosted trees")


def tables_of_the_rule() -> list[Settings]:
    """Real tables that no lot has locked."""
    base = RUN | {"size": 10_000, "steps": 4000, "batch_size": 256, "redraw": 1}
    return [
        base | {"task": f"real:{name}", "kind": real_tables.CHOICES[name].kind}
        for name in real_tables.unlocked()
    ]


PICTURES = ("portrait", "camera", "cat", "hopper", "china", "flower")


def pictures() -> list[Settings]:
    return [
        RUN | {"task": f"picture:{name}", "pixels": 64, "size": size, "kind": f"{size} parameters"}
        for size, name in product((1000, 8000), PICTURES)
    ]


# --- PyKAN's extras and starts: settings that nobody draws, with a learning rate that is chosen

THREE = "picture:portrait", "formula:five_curves", "formula:rotated five_curves"
EXTRAS: dict[str, Settings] = {
    "bias": {"bias": True},
    "spline weight": {"spline_weight": True},
    "base": {"base": "silu"},
    "update": {"update_grid": 10},
    "extension": {"grid_size": 3, "extend_grid": [[0.5, 6]]},
}


def subsets(most: int = 5) -> dict[str, Settings]:
    """A KAN with every subset of the extras, of at most so many of them or all, by its name."""
    minimal = {"model": "kan", "grid_size": 6, "degree": 3, "depth": 2}
    families = {}
    for n in sorted({*range(most + 1), 5}):
        for names in combinations(EXTRAS, n):
            settings = dict(minimal)
            for name in names:
                settings |= EXTRAS[name]
            families[" + ".join(names) or "minimal"] = settings
    return families


def for_extras(**more: Any) -> list[Settings]:
    base = RUN | {"steps": 1000} | more
    picture = {"pixels": 64, "frequencies": 4, "size": 1520}  # that all subsets can have
    formula = {"samples": 1000, "size": 1040}
    return [
        base | {"task": task, "kind": task} | (picture if "picture" in task else formula)
        for task in THREE
    ]


def as_pykan() -> dict[str, Settings]:
    """KANs that start as PyKAN's do, with knots that stay or move."""
    layer = {"model": "kan", "start": "pykan", "base": "silu", "spline_weight": True}
    layer |= {"grid_size": 6, "degree": 3, "depth": 2}
    updates = {"update, optimizer kept": {"update_kept": 10}, "update": {"update_grid": 10}}
    every = {"still": {}} | updates | {"restarts": {"restart": 10}}
    return {name: layer | options for name, options in every.items()}


def for_knots() -> list[Settings]:
    portrait = for_extras()[0]
    pictures = [{"task": f"picture:{name}", "kind": "picture"} for name in PICTURES[:2]]
    return some_of_each(2, 1040, steps=1000) + [portrait | picture for picture in pictures]


def knots() -> dict[str, Settings]:
    """Knots that stay or move, each with an optimizer that is kept or made anew."""
    kan = {"model": "kan", "grid_size": 6, "degree": 3, "depth": 2}
    mlp = {"model": "mlp", "activation": "tanh", "depth": 2}
    moved, fresh = {"update_kept": 10}, {"restart": 10}
    return {
        "still, kept": kan,
        "still, fresh": kan | fresh,
        "moved, kept": kan | moved,
        "moved, fresh": kan | moved | fresh,
        "half even, fresh": kan | moved | fresh | {"grid_eps": 0.5},
        "even, fresh": kan | moved | fresh | {"grid_eps": 1.0},
        "MLP, kept": mlp,
        "MLP, fresh": mlp | fresh,
    }


def for_weights() -> list[Settings]:
    return for_extras()[1:] + for_knots()


def weights() -> dict[str, Settings]:
    """KANs with and without spline weights, and with a part of what these do to the steps."""
    kan = {"model": "kan", "grid_size": 6, "degree": 3, "depth": 2}
    weighted = kan | {"spline_weight": True}
    kinds = {"without": kan, "weights": weighted}
    parts = "rates", "median", "stretch"  # see evidence/runs/weights.py
    controls = {part: weighted | {"steps_of_weights": part} for part in parts}
    schedules = {"still": {}, "fresh": {"restart": 10}, "moved": {"update_grid": 10}}
    return {
        f"{schedule}, {name}": settings | changes
        for schedule, changes in schedules.items()
        for name, settings in (kinds | (controls if schedule != "fresh" else {})).items()
    }


def climbs() -> dict[str, Settings]:
    """KANs with few intervals, with many, and with few that become many."""
    kan = {"model": "kan", "degree": 3, "depth": 2}
    stairs = {"grid_size": 5, "extend_grid": [[1 / 3, 10], [2 / 3, 20]]}
    fresh = {"extend_grid": [[1 / 3, 20], [2 / 3, 20]]}  # no knot more, but the optimizer is new
    return {
        "5": kan | {"grid_size": 5},
        "20": kan | {"grid_size": 20},
        "20, fresh": kan | {"grid_size": 20} | fresh,
        "20, updated": kan | {"grid_size": 20} | fresh | {"update_before": True},
        "5, 10, 20": kan | stairs,
        "5, 10, 20, updated": kan | stairs | {"update_before": True},
    }


QUICK = 1, 4, 8  # how many times as quick as that of exp_sine its wave is


def for_intervals() -> list[Settings]:
    """A formula whose wave gets quicker, with 1,000 samples and with 10,000, 1,000 a step."""
    names = [f"exp_sine {times}" for times in QUICK]
    few = formulas(916, names, steps=1000, kind="1,000 samples")
    many = {"kind": "10,000 samples", "samples": 10_000, "batch_size": 1000}
    return few + [task | many for task in few]


def intervals() -> dict[str, Settings]:
    """KANs with few intervals and many, as many parameters; and six in a network narrow as 24's."""
    kan = {"model": "kan", "degree": 3, "depth": 2}
    stairs = {"extend_grid": [[1 / 4, 6], [1 / 2, 12], [3 / 4, 24]], "update_before": True}
    moved = {"extend_grid": [[share, 6] for share, _ in stairs["extend_grid"]]}
    return {
        **{str(grid_size): kan | {"grid_size": grid_size} for grid_size in (3, 6, 12, 24)},
        "6, updated": kan | {"grid_size": 6} | stairs | moved,
        "6, narrow": kan | {"grid_size": 6, "size": 306},
        "3, 6, 12, 24, updated": kan | {"grid_size": 3} | stairs,
    }


def for_depth() -> list[Settings]:
    """The sum of five curves, as in extras-lm, and the formulas of recipe-lm."""
    how = {"optimizer": "lm", "dtype": "float64"}
    curves = formulas(1040, ["five_curves"], steps=40, **how)
    return curves + some_of_each(2, 500, first=2, steps=60, **how)


def depth() -> dict[str, Settings]:
    """KANs of one hidden layer and two by L-BFGS, and Levenberg-Marquardt damped in nine ways."""
    strong, even = {"damping": 1.0}, {"floor": 1.0}
    ways = {"kept": {}, "strong": strong, "even": even, "strong and even": strong | even}
    ways["L-BFGS"] = {"optimizer": "lbfgs"}
    endless, low = {"reach": 1e9}, {"floor": 1e-6}
    shipped = {"floor": 0.01, "reach": 0.5}
    ways |= {"shipped": shipped, "shipped, reach 0.1": shipped | {"reach": 0.1}}
    ways |= {"floor alone": shipped | endless, "reach alone": shipped | low}
    ways["neither"] = endless | low
    kan = {"model": "kan", "grid_size": 6, "degree": 3}
    return {
        f"{name}, {way}": kan | {"depth": layers} | options
        for way, options in ways.items()
        for layers, name in ((1, "one layer"), (2, "two layers"))
    }


def recipe(optimizer: str) -> dict[str, Settings]:
    """KANs by the recipe of chapter 10, of one hidden layer and two, without it, and half of it."""
    kan, stairs = {"model": "kan", "degree": 3, "depth": 1}, [[0.5, 6]]
    moved, last = {"spline_weight": True, "update_grid": 10}, 6
    if optimizer == "lm":
        stairs = [[0, 3], [1 / 3, 6], [2 / 3, 12]]  # the first moves the knots only
        moved, last = {"update_before": True}, 12
    steps = kan | {"grid_size": 3, "extend_grid": stairs} | moved
    families = {
        "recipe": steps,
        "recipe, two layers": steps | {"depth": 2},
        "all intervals at once": kan | {"grid_size": last},
    }
    if optimizer == "lm":  # one half of it without the other
        same = {"extend_grid": [[step, last] for step, _ in stairs]}
        families["climbed only"] = steps | {"update_before": False}
        families["moved only"] = steps | {"grid_size": last} | same
    return families


def for_starts() -> list[Settings]:
    return for_extras() + formulas(1040, ["exp_sine"], steps=1000, kind="formula:exp_sine")


def starts() -> dict[str, Settings]:
    """KANs with every start, of two depths and two grid sizes."""
    names = "lines", "uniform 0.1", "uniform 0.25", "normal", "power law"
    return {
        f"{name}, {depth} layers, G = {grid_size}": {"model": "kan", "start": name, "depth": depth}
        | {"grid_size": grid_size, "degree": 3, "bias": True, "base": "silu"}
        for name, depth, grid_size in product(names, (1, 3), (5, 20))
    }


# --- the pace ------------------------------------------------------------------------------------


def pace_settings() -> list[Settings]:
    """Networks of each contest at equal seconds, to take turns; one row for each shape of task."""
    every = [*formulas(), *tables(), *pictures()]
    first = {_shape(task): task for task in reversed(every)}
    families = [{"contest": "parameters", "family": family} for family in FAMILIES]
    return [
        {"measure": "seconds", "inputs": ends(task["task"])[0], "size": task["size"]}
        | {key: task[key] for key in ("task", "samples", "dtype") if key in task}
        | {"models": [model for family in families for model in candidates(task | family, 8)]}
        for _, task in sorted(first.items())
    ]


def _shape(settings: Settings) -> tuple[str, int, int, int]:
    """Tasks of the same kind of data, inputs, outputs and parameters take the same time."""
    task = settings["task"]
    return task.partition(":")[0], *ends(task), settings["size"]


def pace_many_settings() -> list[Settings]:
    """KANs and MLPs that learn formulas from many samples, of the first draw and of the others."""
    first = {ends(task["task"]): task for task in reversed(formulas(1000, **MANY))}
    return [
        _timed(task, draws, "samples", "batch_size")
        for _, task in sorted(first.items())
        for draws in ((), REDRAWS)
    ]


def pace_real_settings() -> list[Settings]:
    """KANs and MLPs on the real tables."""
    return [_timed(task, (1,), "batch_size") for task in tables_of_the_rule()]


def _timed(task: Settings, draws: Sequence[int], *shared: str) -> Settings:
    numbers = [{"redraw": number} for number in draws] or [{}]
    models = [
        model
        for number, family in product(numbers, NETWORKS[:2])
        for model in candidates(task | number | {"contest": "parameters", "family": family}, 12)
    ]
    where = {"measure": "seconds", "inputs": ends(task["task"])[0], "size": task["size"]}
    where |= {"redrawn": bool(draws)} | {key: task[key] for key in ("task", *shared, "dtype")}
    return where | {"models": models}


def pace(settings: Settings) -> dict[str, float]:
    """Mean seconds of a training step by family, for networks of this shape, if they are stored.

    Of the first draw, or of all others.
    """
    kind, redrawn = settings["task"].partition(":")[0], "redraw" in settings
    many = kind == "formula" and settings["samples"] == MANY["samples"]
    others = {"real": "pace-real"} if redrawn else {}
    if "test_pixels" in settings:
        others = {"picture": "pace-encoding"}
    return _pace("pace-many" if many else others.get(kind, "pace"), _shape(settings), redrawn)


@cache
def _pace(name: str, shape: tuple[str, int, int, int], redrawn: bool = False) -> dict[str, float]:
    for row in Table(FOLDER / f"{name}.jsonl", name).runs.values():
        settings = row["settings"]
        if _shape(settings) == shape and settings.get("redrawn", False) == redrawn:
            times: dict[str, list[float]] = {}
            for model, seconds in zip(settings["models"], row["step_seconds"], strict=True):
                times.setdefault(model["family"], []).append(seconds)
            return {family: sum(steps) / len(steps) for family, steps in times.items()}
    raise ValueError(
        f"no step times of the shape {shape} are stored; run `python -m evidence run {name}` on a "
        "quiet machine"
    )


# Where only the rate is chosen: in full length, with two seeds.
WITHOUT_DRAWS = {"share": 1.0, "finalists": 0, "search_seeds": (1000, 1001)}

CONTESTS = (
    Contest(
        "formulas",
        "Who learns which formulas best, each family at its best?",
        (4, 10, 11, 19),
        formulas,
        {"parameters": (*NETWORKS, "polynomial", "gaussian process"), "seconds": ("MLP",)},
        seeds=10,
        minutes=160,
    ),
    Contest(
        "tanh-readings",
        "Where does the tanh belong: on every edge, at the node, or after the sum?",
        (12, 19),
        lambda: [task for task in formulas() if task["kind"] == "axes"],
        {"parameters": ("tanh at the node", "tanh on every edge")},
        minutes=17,
    ),
    Contest(
        "formulas-dense",
        "Who learns formulas best with few parameters and many samples?",
        (10, 11, 19),
        partial(formulas, 300, **MANY),
        {"parameters": NETWORKS[:3]},
        minutes=50,
    ),
    *(
        Contest(
            f"formulas-{name}",
            f"Is it the samples, or the small size? {question}",
            (4, 19),
            partial(_axes_and_rotated, size, **more),
            {"parameters": NETWORKS[:2]},
            minutes=30,
        )
        for name, question, size, more in (
            ("many", "1,000 parameters, 10,000 samples", 1000, MANY),
            ("few", "300 parameters, 1,000 samples", 300, {}),
        )
    ),
    Contest(
        "formulas-many-seconds",
        "And with as many seconds as the KAN, instead of as many steps?",
        (4, 19),
        partial(_axes_and_rotated, 1000, **MANY),
        {"seconds": ("MLP",)},
        minutes=20,
    ),
    Contest(
        "formulas-many-fields",
        "What does the field itself take when samples are many?",
        (4, 19),
        partial(formulas, 1000, **MANY),
        {
            "parameters": ("linear", "additive", "polynomial")
            + ("sparse gaussian process", "projection pursuit")
        },
        seeds=3,
        minutes=40,
    ),
    Contest(
        "formulas-redraws",
        "What if chance had drawn other settings? Many samples.",
        (4, 19),
        partial(redrawn, **MANY),
        {"parameters": NETWORKS[:2], "seconds": ("MLP",)},
        minutes=190,
    ),
    Contest(
        "formulas-redraws-few",
        "What if chance had drawn other settings? 1,000 samples.",
        (4, 19),
        redrawn,
        {"parameters": NETWORKS[:2]},
        seeds=3,
        minutes=90,
    ),
    *(
        Contest(
            f"formulas-{optimizer}",
            f"Who learns formulas best with {name}?",
            (9, 14, 19),
            partial(some_of_each, 4, 500, optimizer=optimizer, steps=60, dtype="float64"),
            {"parameters": NETWORKS},
            draws=8,
            share=1.0,
            finalists=2,
            minutes=40,
        )
        for optimizer, name in (("lbfgs", "L-BFGS"), ("lm", "Levenberg-Marquardt"))
    ),
    Contest(
        "noise",
        "What is left of the differences when samples are few or noisy?",
        (16, 19),
        noisy,
        {"parameters": (*NETWORKS, "additive", "gaussian process", "boosted trees")},
        draws=8,
        minutes=42,
    ),
    Contest(
        "tables",
        "Tables, classes and series: are networks worth it, and which?",
        (16, 19),
        tables,
        {"parameters": NETWORKS, "seconds": ("MLP",)},
        baselines=of_tables,
        minutes=58,
    ),
    Contest(
        "real-tables",
        "Tables with many columns, words and gaps: are networks worth it?",
        (16, 19),
        tables_of_the_rule,
        {
            "parameters": ("linear", "additive", "boosted trees", "RealMLP", *NETWORKS[:2]),
            "seconds": ("MLP",),
        },
        minutes=300,
    ),
    Contest(
        "pictures",
        "Who paints the pixels best that it was not shown?",
        (11, 19),
        pictures,
        {"parameters": (*NETWORKS, "interpolation"), "seconds": ("MLP",)},
        minutes=115,
    ),
    Contest(
        "extras-factorial",
        "What is each of PyKAN's extras worth, in every company?",
        (6, 7, 8, 10, 19),
        for_extras,
        fixed=subsets,
        **WITHOUT_DRAWS,
        minutes=65,
    ),
    *(
        Contest(
            f"extras-{optimizer}",
            f"What are the extras worth with {name}?",
            (9, 10, 19),
            partial(for_extras, optimizer=optimizer, dtype="float64", steps=40),
            fixed=partial(subsets, 1),
            rates=(None,),
            minutes=10,
        )
        for optimizer, name in (("lbfgs", "L-BFGS"), ("lm", "Levenberg-Marquardt"))
    ),
    Contest(
        "extras-pykan",
        "Under PyKAN's own conditions, do moving knots need a fresh optimizer?",
        (7, 10, 19),
        for_extras,
        fixed=as_pykan,
        **WITHOUT_DRAWS,
        minutes=8,
    ),
    Contest(
        "knots",
        "Is it the moved knots that help, or the fresh optimizer?",
        (7, 10, 19),
        for_knots,
        fixed=knots,
        **WITHOUT_DRAWS,
        minutes=25,
    ),
    Contest(
        "weights",
        "What is a spline weight's gain: larger steps, a rate for each edge, or the stretch?",
        (6, 10, 19),
        for_weights,
        fixed=weights,
        rates=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        **WITHOUT_DRAWS,
        minutes=100,
    ),
    *(
        Contest(
            f"climbs-{optimizer}",
            f"More knots in the middle of training, or from the start, with {name}?",
            (8, 10, 19),
            partial(some_of_each, 2, 1040, optimizer=optimizer, **how),
            fixed=climbs,
            rates=rates,
            **WITHOUT_DRAWS,
            minutes=18,
        )
        for optimizer, name, how, rates in (
            ("adam", "Adam", {"steps": 1000}, Contest.rates),
            ("lbfgs", "L-BFGS", {"steps": 45, "dtype": "float64"}, (None,)),
        )
    ),
    Contest(
        "intervals",
        "Why are many intervals a mistake here and best there, and what does a climb add to few?",
        (8,),
        for_intervals,
        fixed=intervals,
        share=1.0,
        finalists=0,
        minutes=32,
    ),
    Contest(
        "depth",
        "Why does a second hidden layer hurt Levenberg-Marquardt?",
        (9, 10, 19),
        for_depth,
        fixed=depth,
        rates=(None,),
        seeds=3,
        minutes=25,
    ),
    Contest(
        "recipe-adam",
        "Does the recipe work where nothing was chosen, with Adam?",
        (10, 19),
        partial(some_of_each, 2, 1000, first=2),
        {"parameters": tuple(recipe("adam")), "seconds": ("MLP",)},
        fixed=partial(recipe, "adam"),
        minutes=20,
    ),
    Contest(
        "recipe-lm",
        "Does the recipe work with Levenberg-Marquardt?",
        (10, 19),
        partial(some_of_each, 2, 500, first=2, optimizer="lm", steps=60, dtype="float64"),
        {"parameters": (*recipe("lm"), "MLP")},
        fixed=partial(recipe, "lm"),
        rates=(None,),
        draws=8,
        share=1.0,
        minutes=26,
    ),
    Contest(
        "starts",
        "Does it matter how a KAN starts?",
        (10, 11, 19),
        for_starts,
        fixed=starts,
        share=1.0,
        finalists=0,
        seeds=3,
        minutes=45,
    ),
)
