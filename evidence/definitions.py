"""The experiments of the book: what is trained, how often, and by which rule.

Every setting of an experiment is trained with several seeds. Where a setting names no learning
rate, the rule of ``RATES`` finds one, the same for every family.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import product
from typing import Any

from kanbook.tasks import FORMULAS, FUNCTIONS_1D

from .runs import slices
from .table import Table, key
from .tasks.laws import LAWS

Settings = dict[str, Any]

# The rule for learning rates: each of these is tried with the seeds below, which no result uses,
# for a share of the steps; the lowest mean log loss wins, and a run that diverged loses.
RATES = {
    "adam": (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
    "sgd": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    "lbfgs": (1.0,),  # its line search finds the length of a step
    "lm": (None,),  # it has none
}
TUNING_SEEDS = (1000, 1001)
TOLERANCE = 0.02  # of parameter counts


@dataclass(frozen=True)
class Experiment:
    """One stored table: settings, and what they are to answer.

    Of this and of a contest the engine asks the same: ``parts``, ``known``, ``total``, ``work``.

    Attributes:
        name: as in ``python -m evidence run NAME``.
        question: one sentence.
        chapters: where the book uses it.
        settings: what is trained; without "lr" where it is to be tuned.
        seeds: how many, 0 to seeds - 1.
        tuning: share of the steps that a tuning run makes.
        cost: core minutes that all runs take, about, with the tuning.
        version: changes when a stored table no longer means the same.
    """

    name: str
    question: str
    chapters: tuple[int, ...]
    make_settings: Callable[[], Iterable[Settings]]
    seeds: int = 5
    tuning: float = 0.25
    cost: int = 0
    version: int = 1

    @cached_property
    def settings(self) -> list[Settings]:
        return list(self.make_settings())

    def parts(self) -> list[list[Settings]]:
        """What is run one after the other: here, all settings at once."""
        return [self.settings]

    def known(self, part: list[Settings], table: Table, seeds: int) -> list[dict[str, Any]]:
        """The runs that a part is known to need, as far as the stored ones tell.

        First those that tune, then those that count, of all settings the first seed first.
        """
        tuned = [one for settings in part if (one := self.tuned(settings, table))]
        results = [planned("result", settings, seed) for seed in range(seeds) for settings in tuned]
        return [*self.tuning_runs(part), *results]

    def total(self, seeds: int | None = None) -> int:
        """How many runs there are."""
        seeds = self.seeds if seeds is None else seeds
        return len(self.tuning_runs(self.settings)) + seeds * len(self.settings)

    def work(self, seeds: int) -> int:
        """The evaluations of all runs."""
        tuning = [one["settings"] for one in self.tuning_runs(self.settings)]
        return sum(map(evaluations, tuning + seeds * self.settings))

    def rates(self, settings: Settings) -> tuple[float, ...]:
        """The learning rates to choose from; none if the settings name theirs, or need none."""
        return () if "lr" in settings or "measure" in settings else RATES[settings["optimizer"]]

    def tuning_settings(self, settings: Settings) -> list[Settings]:
        """The short runs that choose a learning rate for these settings, if there are several."""
        if len(rates := self.rates(settings)) < 2:
            return []
        steps = max(1, round(self.tuning * settings["steps"]))
        settings = {k: v for k, v in settings.items() if k not in ("watch", "then")}
        return [settings | {"steps": steps, "lr": lr} for lr in rates]

    def tuning_runs(self, part: list[Settings]) -> list[dict[str, Any]]:
        """The short runs that choose learning rates; settings that tune alike share theirs."""
        tasks = [
            planned("tuning", tried, seed)
            for settings in part
            for tried in self.tuning_settings(settings)
            for seed in TUNING_SEEDS
        ]
        return list({one["run"]: one for one in tasks}.values())

    def choose(self, settings: Settings, losses: Mapping[float, list[float | None]]) -> float:
        """Apply the rule to the losses of the tuning runs, by learning rate."""
        return min(self.rates(settings), key=lambda lr: score(losses[lr]))

    def tuned(self, settings: Settings, table: Table) -> Settings | None:
        """The settings of the runs that count; None as long as one that tunes is missing."""
        if not (rates := self.rates(settings)):
            return settings
        losses = {}
        for tried in self.tuning_settings(settings):
            runs = [table.runs.get(key("tuning", tried, seed)) for seed in TUNING_SEEDS]
            if None in runs:
                return None
            losses[tried["lr"]] = [run["loss"] for run in runs]
        return settings | {"lr": self.choose(settings, losses) if losses else rates[0]}


def score(errors: Iterable[float | None]) -> float:
    """What is least for the best: the sum of logarithms, infinite if a run was lost (None)."""
    return sum(math.inf if x is None else math.log(max(x, 1e-300)) for x in errors)


def planned(stage: str, settings: Settings, seed: int) -> dict[str, Any]:
    """A run that is still to be made, under the key that it will be stored with."""
    what = {"stage": stage, "settings": settings, "seed": seed}
    return {"run": key(**what)} | what


def evaluations(settings: Settings) -> int:
    """How often a run computes the loss and its gradient, about: its share of the time."""
    if "law" in settings:
        return settings["limit"]
    if "measure" in settings:
        return 85 * len(settings["models"])
    if "baseline" in settings:
        return 1000
    steps = settings["steps"] * {"lbfgs": 25, "lm": 10}.get(settings["optimizer"], 1)
    return steps + 10 * settings.get("then", 0)


# --- building settings ---------------------------------------------------------------------------


# The settings, with "kinds", that say how many parameters a network of given widths has.
COUNTED = "model", "grid_size", "degree", "spline_weight", "base", "bias"


def parameters(settings: Settings, widths: list[int]) -> int:
    """Number of trainable parameters, by the formulas; quick, so that many widths can be tried.

    An edge of a spline layer holds G + k coefficients, and one weight more for each of two extras;
    an edge of a tanh layer 2, of a linear layer 1. A bias is one for each output.
    """
    kind = settings["model"]
    coefficients = settings.get("grid_size", 0) + settings.get("degree", 0)
    spline = coefficients + settings.get("spline_weight", False) + ("base" in settings)
    bias = int(settings.get("bias", False))
    costs = {"kan": (spline, bias), "tanh": (2, bias), "linear": (1, 1)}  # of edges and of outputs
    names = {"kan": "kan", "naive-kan": "kan", "soft-kan": "kan", "tanh": "tanh"}
    kinds = settings.get("kinds") or [names.get(kind, "linear")] * (len(widths) - 1)
    total = 0
    for name, i, o in zip(kinds, widths[:-1], widths[1:], strict=True):
        edge, output = costs[name] if name != "tanh" or kind == "tanh" else (2, 1)
        total += edge * i * o + output * o
    return total + {"spline-mlp": coefficients, "node-tanh": 2}.get(kind, 0) * sum(widths[1:-1])


def sized(
    settings: Settings,
    target: int,
    hidden_layers: int,
    *,
    ends: tuple[int, int] | None = None,
    tolerance: float = TOLERANCE,
) -> Settings:
    """The settings with hidden widths that give ``target`` parameters, within 2 %.

    All hidden layers are equally wide, except that the last may be up to twice or half as wide, as
    little different as possible. ``ends``, the numbers of inputs and outputs, follow from the task
    if not given.

    Raises:
        ValueError: no such widths come within 2 %.
    """
    counted = {name: settings[name] for name in COUNTED if name in settings}
    kinds, ends = tuple(settings.get("kinds", ())), ends or (inputs_of(settings), 1)
    widths = _widths(target, hidden_layers, ends, tolerance, kinds=kinds, **counted)
    if widths is None:
        raise ValueError(
            f"no widths with {hidden_layers} hidden layers come within {tolerance:.0%} of {target} "
            f"parameters for {settings}"
        )
    return settings | {"widths": [*widths]}


@cache
def _widths(
    target: int, hidden_layers: int, ends: tuple[int, int], tolerance: float, **settings: Any
) -> list[int] | None:
    """The search of `sized`, which asks the same for every task and every look at a contest."""
    best = (math.inf, math.inf), None
    for w in range(1, target):
        if (
            parameters(settings, [ends[0], *[w] * (hidden_layers - 1), max(1, w // 2), ends[1]])
            > (1 + tolerance) * target
        ):
            break
        for v in range(max(1, (w + 1) // 2), 2 * w + 1) if hidden_layers > 1 else (w,):
            widths = [ends[0], *[w] * (hidden_layers - 1), v, ends[1]]
            off = abs(parameters(settings, widths) / target - 1)
            if off <= tolerance:
                best = min(best, ((max(w, v) / min(w, v), off), widths))
    return best[1]


def first_sized(choices: list[Settings], *target: int, **ends: tuple[int, int]) -> Settings:
    """The first of these settings that can have so many parameters; what else, as of `sized`."""
    for settings in choices[:-1]:
        with contextlib.suppress(ValueError):
            return sized(settings, *target, **ends)
    return sized(choices[-1], *target, **ends)


def narrowed(settings: Settings, shape: tuple[int, ...], target: int) -> Settings:
    """The settings with hidden widths in about these proportions, as near to ``target`` as can be.

    The first of them may be up to 2 more or less, so that the number can be met.

    Raises:
        ValueError: no such widths come within 2 %.
    """
    every = []
    for scale, more in product([i / 1000 for i in range(10, 2000)], range(-2, 3)):
        first, *others = [max(2, round(scale * w)) for w in shape]
        every.append([inputs_of(settings), max(2, first + more), *others, 1])
    best = min(every, key=lambda widths: abs(parameters(settings, widths) - target))
    if abs(parameters(settings, best) / target - 1) > TOLERANCE:
        raise ValueError(f"no widths like {shape} have about {target} parameters for {settings}")
    return settings | {"widths": best}


def inputs_of(settings: Settings) -> int:
    if settings["task"].startswith("slices-"):
        return slices.inputs_of(settings)
    if settings["task"].startswith("image-"):
        return 4 * settings["frequencies"] or 2
    return FORMULAS[settings["task"]][0] if settings["task"] in FORMULAS else 1


def image(pixels: int, steps: int, frequencies: int = 4, **more: Any) -> Settings:
    base = {"task": f"image-{pixels}", "frequencies": frequencies}
    return base | {"optimizer": "adam", "steps": steps, "dtype": "float32"} | more


def samples(task: str, steps: int, **more: Any) -> Settings:
    return {"task": task, "optimizer": "adam", "steps": steps, "dtype": "float32"} | more


def kan(grid_size: int, degree: int = 3, **more: Any) -> Settings:
    return {"family": "KAN", "model": "kan", "grid_size": grid_size, "degree": degree} | more


def mlp(activation: str = "tanh", **more: Any) -> Settings:
    return {"family": "MLP", "model": "mlp", "activation": activation} | more


def tanh(bias: bool = True, **more: Any) -> Settings:
    return {"family": "tanh KAN", "model": "tanh", "bias": bias} | more


ALL = {"bias": True, "spline_weight": True, "base": "silu"}  # PyKAN's, of the layer
UPDATE = {"update_grid": 10}
RESTARTS = {"restart": 10}  # of the optimizer, at the same steps


# --- the experiments -----------------------------------------------------------------------------


def functions_1d() -> Iterable[Settings]:
    for task, size, depth in product(FUNCTIONS_1D, (100, 200, 400), (1, 2)):
        run = samples(task, 3000, size=size, depth=depth)
        yield first_sized([run | kan(grid_size) for grid_size in (7, 6, 5, 4)], size, depth)
        yield sized(run | tanh(), size, depth)
        yield sized(run | mlp(), size, depth)


def optimizers() -> Iterable[Settings]:
    for dtype, optimizer in product(("float32", "float64"), ("sgd", "adam", "lbfgs")):
        for task, size, evaluations in (("exp_sine", 412, 5000), ("image-32", 2500, 2500)):
            steps = evaluations // 25 if optimizer == "lbfgs" else evaluations
            run = image(32, steps) if task == "image-32" else samples(task, steps)
            run |= {"optimizer": optimizer, "dtype": dtype, "size": size}
            for family in (kan(5, **ALL), mlp()):
                yield sized(run | family, size, 2)


def mixtures() -> Iterable[Settings]:
    run, size = image(32, 2000), 2560
    orders = [list(kinds) for kinds in product(("linear", "kan"), repeat=3)]
    orders += [["linear", "tanh", "linear"], ["tanh", "linear", "linear"]]
    orders += [["tanh", "tanh", "linear"], ["linear", "tanh", "kan"], ["tanh", "tanh", "tanh"]]
    for kinds in orders:
        mixture = {"family": "mixture", "model": "mixture", "kinds": kinds, "activation": "tanh"}
        if "kan" in kinds:
            mixture |= {"grid_size": 5, "degree": 3, **ALL}
        yield sized(run | mixture, size, 2) | {"knob": "order", "size": size}
    for depth, family in product((1, 2, 3, 4), (kan(5, **ALL), mlp())):
        if depth != 2:  # in the orders above
            yield sized(run | family, size, depth) | {"knob": "depth", "depth": depth, "size": size}
    for lr, family in product((0.001, 0.003, 0.01, 0.03), (kan(5, **ALL), mlp())):
        yield sized(run | family, size, 2) | {"knob": "learning rate", "lr": lr, "size": size}
    for batch, family in product((256, 64), (kan(5, **ALL), mlp())):
        passes = {"steps": 500 * 1024 // batch, "batch_size": batch}  # a quarter of the passes
        yield sized(run | family | passes, size, 2) | {"knob": "batch size", "size": size}


def race() -> Iterable[Settings]:
    run = image(64, 20_000, frequencies=5)
    contestants = {  # as many fresh optimizers for everyone as the KAN's grid updates bring
        "MLP, tanh": mlp("tanh") | RESTARTS,
        "MLP, SiLU": mlp("silu") | RESTARTS,
        "MLP, ReLU": mlp("relu") | RESTARTS,
        "KAN": BEST_KAN,
        "KAN, layer extras": kan(5, **ALL) | RESTARTS,
        "tanh KAN": tanh() | RESTARTS,
        "mixture": BEST_MIXTURE | RESTARTS,
        "spline MLP": SPLINE_MLP | RESTARTS,
        "MLP, no restarts": mlp("tanh"),
        "KAN, no updates": kan(6),
    }
    for name, family in contestants.items():
        yield sized(run | family, 2500, 2) | {"contestant": name, "size": 2500}


def scaling() -> Iterable[Settings]:
    run = image(64, 2000, frequencies=5)
    families = mlp() | RESTARTS, BEST_KAN, tanh() | RESTARTS
    for size, family in product((680, 1320, 2500, 5000, 10_000, 20_000), families):
        yield sized(run | family, size, 2) | {"depth": 2, "size": size}
    for size, family in product((680, 1320), families):
        # Two hidden layers of splines are very narrow here, so one, too.
        coarser = [{"grid_size": g} for g in (5, 4, 3)] if family is BEST_KAN else []
        choices = [run | family | options for options in ({}, *coarser)]
        yield first_sized(choices, size, 1) | {"depth": 1, "size": size}


def between() -> Iterable[Settings]:
    run = image(64, 2000, frequencies=5) | {"test_size": 128}
    rates = {"MLP": (0.03, 0.03), "KAN": (0.03, 0.01)}  # as chosen in "scaling", for both sizes
    for family in (mlp() | RESTARTS, BEST_KAN):
        for size, lr in zip((2500, 10_000), rates[family["family"]], strict=True):
            yield sized(run | family, size, 2) | {"size": size, "lr": lr}
        yield sized(run | family | {"frequencies": 2}, 2500, 2) | {"size": 2500}


def race_audit() -> Iterable[Settings]:
    """Controls of "race" and "scaling"; what they are to show stands in ``plan.md``."""
    long, short = (image(64, n, frequencies=5) | {"test_size": 128} for n in (20_000, 2000))
    slow = {"lr": 0.01}
    controls: dict[str, tuple[Settings, int]] = {
        "KAN, rate 0.01, 20,000 steps": (long | BEST_KAN | slow, 2500),
        "KAN, degree 1, rate 0.01, 20,000 steps": (long | kan(6, 1, **UPDATE) | slow, 2500),
        "spline MLP, no restarts, rate 0.01, 20,000 steps": (long | SPLINE_MLP | slow, 2500),
        "KAN, rate 0.01": (short | BEST_KAN | slow, 2500),
        "KAN, rate 0.01, 5,000 parameters": (short | BEST_KAN | slow, 5000),
        "MLP, rate 0.01, 10,000 parameters": (short | mlp() | RESTARTS | slow, 10_000),
        "MLP, SiLU, 10,000 parameters": (short | mlp("silu") | RESTARTS, 10_000),
        "MLP, SiLU, 20,000 parameters": (short | mlp("silu") | RESTARTS, 20_000),
        "KAN, restarts alone": (short | kan(6) | RESTARTS, 2500),
        "KAN, warm-up": (short | BEST_KAN | {"warmup": 0.05}, 2500),
        "KAN, degree 1": (short | kan(6, 1, **UPDATE), 2500),
        "KAN, 2 frequencies": (short | BEST_KAN | {"frequencies": 2}, 2500),
        "MLP, 2 frequencies": (short | mlp() | RESTARTS | {"frequencies": 2}, 2500),
    }
    for name, (settings, size) in controls.items():
        yield sized(settings, size, 2) | {"contestant": name, "size": size}


def second_order() -> Iterable[Settings]:
    """Least squares by Levenberg-Marquardt ("lm") against L-BFGS, for KANs and MLPs of equal size.

    Written before the runs. Hypotheses, on ten seeds: (1) on the product, "lm" takes the KAN to a
    training loss below 1e-20 in at least eight seeds, L-BFGS in none; (2) on the smooth formula,
    "lm" takes the cubic KAN to an RMSE on new samples below 1e-4 of the spread in all seeds;
    (3) the MLP of equal size ends higher with either optimizer. Measured: the loss at the end, on
    samples that were trained and on new ones, and CPU seconds. No run stops early; on the formula
    the MLPs and L-BFGS get more seconds than the KAN with "lm". Where the grid grows, its knots
    move first to where the hidden values are, with both optimizers.
    """
    for optimizer in ("lm", "lbfgs"):
        run = {"dtype": "float64", "optimizer": optimizer}
        steps = 200 if optimizer == "lm" else 100  # of some 25 evaluations
        exact = samples("product", steps) | run | {"part": "exact structure"}
        yield exact | kan(3, widths=[2, 2, 1])
        yield sized(exact | mlp(), 37, 1)
        smooth = samples("exp_sine", steps) | run | {"samples": 3000, "part": "smooth formula"}
        grows = {"extend_grid": [[1 / 3, 10], [2 / 3, 20]], "update_before": True}
        grows["steps"] = 60 if optimizer == "lm" else 100
        for degree in (3, 5):
            yield smooth | kan(5, degree, widths=[2, 5, 1]) | grows
            yield sized(smooth | mlp(), 15 * (20 + degree), 2)


def formulas(methods: Iterable[str], noises: Iterable[float]) -> Iterable[Settings]:
    """What ``recovery`` is about, and measures; its head has the hypotheses."""
    for noise, method, law in product(noises, methods, LAWS):
        what = {"measure": "formula", "law": law, "noise": noise, "method": method}
        yield what | {"limit": 60}


DIARY = (58, 28, 16, 8, 2)  # the hidden widths of the post's spline network,
DIARY_MLP = (256, 128, 64, 48, 32)  # and of the others


def cold_case() -> Iterable[Settings]:
    """Chapter 11: what the post's network had and ours has not; hypotheses in ``plan.md``."""
    ours = samples("slices-32", 2000, slices=1, frequencies=4, watch=True) | kan(4)
    size = 2480
    products = {"start": "products", "spline_weight": True}
    begin = {"lines": {}, "products": products, "normal": {"start": "normal"}}
    for depth, (start, options), lr in product((1, 2, 3, 4, 5), begin.items(), (0.003, 0.01, 0.03)):
        run = ours | options | {"lr": lr, "depth": depth, "start": start, "size": size}
        yield sized(run, size, depth) | {"part": "starts"}

    # One difference at a time, then all of them.
    many = {"positions": 50_000, "batch_size": 1024}
    differences: dict[str, Settings] = {
        "products": products,
        "soft boxes": {"model": "soft-kan"},
        "raw coordinates": {"raw": True},
        "no cosines": {"cosines": False},
        "narrowing": {"shape": list(DIARY)},
        "random positions": many,
        "constant rate": {"decay": False},
    }
    every = {key: value for one in differences.values() for key, value in one.items()}
    suspects = {"ours": {}} | differences | {"all": every}
    suspects |= {"all, with the extras": every | ALL}
    rivals = {"ours": mlp(), "all": mlp() | many | {"raw": True, "cosines": False, "decay": False}}
    rivals["all"]["shape"] = list(DIARY_MLP)
    for lr in (0.005, 0.02):
        for name, options in suspects.items():
            yield _shaped(ours | options, size) | {"part": "suspects", "suspect": name, "lr": lr}
        for name, options in rivals.items():
            run = samples("slices-32", 2000, slices=1, frequencies=4) | options
            yield _shaped(run, size) | {"part": "suspects", "suspect": name, "lr": lr}


def cold_case_finale() -> Iterable[Settings]:
    """All slices, with the proportions, the rate and the number of steps of the post.

    And the times of a step, of these networks and of the same with our layers instead.
    """
    final = samples("slices-32", 2000, slices=8, frequencies=5, lr=0.005, raw=True, cosines=False)
    final |= {"positions": 50_000, "batch_size": 512, "decay": False}
    splines = kan(4, model="soft-kan", start="products", shape=list(DIARY))
    contestants = {
        "splines": splines,
        "splines + bias": splines | {"bias": True},
        "splines + spline weights": splines | {"spline_weight": True},
        "splines + base": splines | {"base": "silu"},
        "splines + all three": splines | ALL,
        "parabolas": tanh(False, tanh="sum", shape=list(DIARY_MLP)),
        "MLP": mlp(shape=list(DIARY_MLP)),
    }
    size = 5000
    every = [
        _shaped(final | family, size) | {"contestant": name} for name, family in contestants.items()
    ]
    yield from every
    for name in ("splines + all three", "splines", "MLP"):
        yield _shaped(final | contestants[name], size) | {"contestant": name, "steps": 20_000}
    shared = {key: every[0][key] for key in ("task", "slices", "raw", "cosines", "frequencies")}
    shared |= {"dtype": "float32", "positions": every[0]["batch_size"]}
    for kind in ("naive-kan", "kan"):
        every += [one | {"model": kind} for one in every if one["model"] == "soft-kan"]
    models = [{k: v for k, v in one.items() if k not in shared} for one in every]
    yield shared | {"measure": "seconds", "models": models}


def _shaped(settings: Settings, target: int) -> Settings:
    """With widths for so many parameters: in the proportions of ``shape``, or two equal layers."""
    settings = settings | {"size": target}
    if shape := settings.pop("shape", None):
        return narrowed(settings, tuple(shape), target)
    return sized(settings, target, 2)


# What entered the race: the best KAN of the first edition's ladder of extras, and of "mixtures" the
# best by the median on the image (tests/evidence/test_stored_results.py holds the table to that).
BEST_KAN = kan(6, **UPDATE)
BEST_MIXTURE = {
    "family": "mixture",
    "model": "mixture",
    "kinds": ["linear", "linear", "kan"],
    "activation": "tanh",
    "grid_size": 5,
    "degree": 3,
} | ALL

SPLINE_MLP = {"family": "spline MLP", "model": "spline-mlp", "grid_size": 5, "degree": 3}

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "functions-1d",
            "Which network fits curves best at 100, 200 and 400 parameters?",
            (4, 12, 19),
            functions_1d,
            cost=42,
        ),
        Experiment(
            "cold-case",
            "A post's KAN failed on pictures and ours does not: which difference is it?",
            (11, 19),
            cold_case,
            cost=45,
        ),
        Experiment(
            "cold-case-finale",
            "Does the post's own network, rebuilt, beat its MLP?",
            (11, 12, 19),
            cold_case_finale,
            seeds=3,
            cost=60,
        ),
        Experiment(
            "optimizers",
            "SGD, Adam or L-BFGS, by evaluations and by seconds?",
            (9, 19),
            optimizers,
            cost=16,
        ),
        Experiment(
            "mixtures",
            "How much do the order of layers, depth, learning rate and batch size matter?",
            (4, 12, 19),
            mixtures,
            cost=18,
        ),
        Experiment(
            "race",
            "Who wins on the image in 20,000 epochs with 2,500 parameters?",
            (11, 19),
            race,
            tuning=0.05,
            cost=150,
        ),
        Experiment(
            "scaling",
            "How many parameters does each family need for the same loss?",
            (11, 19),
            scaling,
            seeds=3,
            tuning=0.1,
            cost=70,
        ),
        Experiment(
            "between",
            "Does a network that fits the pixels also fit what lies between them?",
            (11, 19),
            between,
            seeds=3,
            tuning=0.1,
            cost=7,
        ),
        Experiment(
            "race-audit",
            "What if the race had been run otherwise?",
            (11, 19),
            race_audit,
            seeds=3,
            cost=80,
        ),
        Experiment(
            "second-order",
            "How far does least squares take small networks, and in which time?",
            (9, 14, 19),
            second_order,
            seeds=10,
            cost=14,
        ),
        Experiment(
            "recovery",
            "How often does a small KAN become the formula behind its samples?",
            (15, 19),
            partial(formulas, ["kanbook"], [0.0, 0.01, 0.05]),
            seeds=10,
            cost=120,
        ),
        Experiment(
            "recovery-rivals",
            "How often do PyKAN and genetic programming find the same formulas?",
            (15, 19),
            partial(formulas, ["pykan", "pykan, tuned", "operon"], [0.0, 0.01]),
            seeds=3,
            cost=250,
        ),
    )
}
