"""The experiments: what each of them trains, and the list of them all, ``EXPERIMENTS``.

A new one is a function of settings here, or has a module of its own, and stands in that list.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from kanbook._checks import check_name
from kanbook.tasks import FUNCTIONS_1D

from .contests import CONTESTS, pace_many_settings, pace_real_settings, pace_settings
from .design import Design, experiment
from .runs import (
    bits,
    defaults,
    digits,
    encoding,
    equations,
    recipe,
    recovery,
    sequence,
    turned,
    waves,
)
from .settings import (
    ALL,
    RESTARTS,
    UPDATE,
    Settings,
    first_sized,
    image,
    kan,
    mlp,
    narrowed,
    samples,
    sized,
    tanh,
)

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


@experiment("functions-1d", (4, 12, 19), minutes=42)
def functions_1d() -> Iterable[Settings]:
    """Which network fits curves best at 100, 200 and 400 parameters?"""
    for task, size, depth in product(FUNCTIONS_1D, (100, 200, 400), (1, 2)):
        base = samples(task, 3000, size=size, depth=depth)
        yield first_sized([base | kan(grid_size) for grid_size in (7, 6, 5, 4)], size, depth)
        yield sized(base | tanh(), size, depth)
        yield sized(base | mlp(), size, depth)


DIARY = (58, 28, 16, 8, 2)  # the hidden widths of the post's spline network,
DIARY_MLP = (256, 128, 64, 48, 32)  # and of the others


@experiment("cold-case", (11, 19), minutes=45)
def cold_case() -> Iterable[Settings]:
    """A post's KAN failed on pictures and ours does not: which difference is it?"""
    ours = samples("slices-32", 2000, slices=1, frequencies=4, watch=True) | kan(4)
    size = 2480
    products = {"start": "products", "spline_weight": True}
    begin = {"lines": {}, "products": products, "normal": {"start": "normal"}}
    for depth, (start, options), lr in product((1, 2, 3, 4, 5), begin.items(), (0.003, 0.01, 0.03)):
        base = ours | options | {"lr": lr, "depth": depth, "start": start, "size": size}
        yield sized(base, size, depth) | {"part": "starts"}

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
    every = {key: value for options in differences.values() for key, value in options.items()}
    suspects = {"ours": {}} | differences | {"all": every}
    suspects |= {"all, with the extras": every | ALL}
    rivals = {"ours": mlp(), "all": mlp() | many | {"raw": True, "cosines": False, "decay": False}}
    rivals["all"]["shape"] = list(DIARY_MLP)
    for lr in (0.005, 0.02):
        for name, options in suspects.items():
            yield _shaped(ours | options, size) | {"part": "suspects", "suspect": name, "lr": lr}
        for name, options in rivals.items():
            base = samples("slices-32", 2000, slices=1, frequencies=4) | options
            yield _shaped(base, size) | {"part": "suspects", "suspect": name, "lr": lr}


FINAL = samples("slices-32", 2000, slices=8, frequencies=5, lr=0.005, raw=True, cosines=False)
FINAL |= {"positions": 50_000, "batch_size": 512, "decay": False}


def finalists() -> dict[str, Settings]:
    """Networks for all slices, with the proportions and the rate of the post."""
    splines = kan(4, model="soft-kan", start="products", shape=list(DIARY))
    networks = {
        "splines": splines,
        "splines + bias": splines | {"bias": True},
        "splines + spline weights": splines | {"spline_weight": True},
        "splines + base": splines | {"base": "silu"},
        "splines + all three": splines | ALL,
        "parabolas": tanh(False, tanh="sum", shape=list(DIARY_MLP)),
        "MLP": mlp(shape=list(DIARY_MLP)),
    }
    return {name: _shaped(FINAL | network, 5000) for name, network in networks.items()}


def cold_case_steps() -> Iterable[Settings]:
    """The times of a step of the finalists, and of the same with our layers instead."""
    every = [settings | {"contestant": name} for name, settings in finalists().items()]
    soft = [settings for settings in every if settings["model"] == "soft-kan"]
    for model in ("naive-kan", "kan"):
        every += [settings | {"model": model} for settings in soft]
    shared = {key: FINAL[key] for key in ("task", "slices", "raw", "cosines", "frequencies")}
    shared |= {"dtype": "float32", "positions": FINAL["batch_size"]}
    models = [{k: v for k, v in settings.items() if k not in shared} for settings in every]
    yield shared | {"measure": "seconds", "models": models}


@experiment("cold-case-finale", (11, 12, 19), timed=cold_case_steps, seeds=3, minutes=60)
def cold_case_finale() -> Iterable[Settings]:
    """Does the post's own network, rebuilt, beat its MLP?"""
    finals = finalists()
    yield from (settings | {"contestant": name} for name, settings in finals.items())
    for name in ("splines + all three", "splines", "MLP"):
        yield finals[name] | {"contestant": name, "steps": 20_000}


@experiment("encoding-post", (11, 19), minutes=30)
def encoding_post() -> Iterable[Settings]:
    """Would the post's own network have won with plain inputs?"""
    plain = {key: FINAL[key] for key in FINAL if key not in ("frequencies", "raw", "cosines")}
    finer, his = {"first_grid": 32}, {"start": "products", "shape": list(DIARY)} | ALL
    networks = {
        "his splines": kan(4, model="soft-kan") | his,
        "his splines, finer": kan(4, model="soft-kan") | his | finer,
        "B-splines, finer": kan(4) | his | finer,
        "ours": kan(6) | finer,
        "his MLP": mlp(shape=list(DIARY_MLP)),
    }
    for name, network in networks.items():
        contestant = _shaped(plain | network, 5000) | {"contestant": name}
        yield contestant
        if name in ("B-splines, finer", "ours"):
            yield contestant | {"steps": 20_000}


def _shaped(settings: Settings, target: int) -> Settings:
    """With widths for so many parameters: in the proportions of ``shape``, or two equal layers."""
    settings = settings | {"size": target}
    if shape := settings.pop("shape", None):
        return narrowed(settings, tuple(shape), target)
    return sized(settings, target, 2)


@experiment("optimizers", (9, 19), minutes=16)
def optimizers() -> Iterable[Settings]:
    """SGD, Adam or L-BFGS, by evaluations and by seconds?"""
    for dtype, optimizer in product(("float32", "float64"), ("sgd", "adam", "lbfgs")):
        for task, size, evaluations in (("exp_sine", 412, 5000), ("image-32", 2500, 2500)):
            steps = evaluations // 25 if optimizer == "lbfgs" else evaluations
            base = image(32, steps) if task == "image-32" else samples(task, steps)
            base |= {"optimizer": optimizer, "dtype": dtype, "size": size}
            for family in (kan(5, **ALL), mlp()):
                yield sized(base | family, size, 2)


@experiment("mixtures", (4, 12, 19), minutes=18)
def mixtures() -> Iterable[Settings]:
    """How much do the order of layers, depth, learning rate and batch size matter?"""
    base, size = image(32, 2000), 2560
    orders = [list(kinds) for kinds in product(("linear", "kan"), repeat=3)]
    orders += [["linear", "tanh", "linear"], ["tanh", "linear", "linear"]]
    orders += [["tanh", "tanh", "linear"], ["linear", "tanh", "kan"], ["tanh", "tanh", "tanh"]]
    for kinds in orders:
        mixture = {"family": "mixture", "model": "mixture", "kinds": kinds, "activation": "tanh"}
        if "kan" in kinds:
            mixture |= {"grid_size": 5, "degree": 3, **ALL}
        yield sized(base | mixture, size, 2) | {"knob": "order", "size": size}
    for depth, family in product((1, 2, 3, 4), (kan(5, **ALL), mlp())):
        if depth != 2:  # in the orders above
            knob = {"knob": "depth", "depth": depth, "size": size}
            yield sized(base | family, size, depth) | knob
    for lr, family in product((0.001, 0.003, 0.01, 0.03), (kan(5, **ALL), mlp())):
        yield sized(base | family, size, 2) | {"knob": "learning rate", "lr": lr, "size": size}
    for batch, family in product((256, 64), (kan(5, **ALL), mlp())):
        passes = {"steps": 500 * 1024 // batch, "batch_size": batch}  # a quarter of the passes
        yield sized(base | family | passes, size, 2) | {"knob": "batch size", "size": size}


@experiment("race", (11, 19), tuning=0.05, minutes=150)
def race() -> Iterable[Settings]:
    """Who wins on the image in 20,000 epochs with 2,500 parameters?"""
    base = image(64, 20_000, frequencies=5)
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
        yield sized(base | family, 2500, 2) | {"contestant": name, "size": 2500}


@experiment("scaling", (11, 19), seeds=3, tuning=0.1, minutes=70)
def scaling() -> Iterable[Settings]:
    """How many parameters does each family need for the same loss?"""
    base = image(64, 2000, frequencies=5)
    families = mlp() | RESTARTS, BEST_KAN, tanh() | RESTARTS
    for size, family in product((680, 1320, 2500, 5000, 10_000, 20_000), families):
        yield sized(base | family, size, 2) | {"depth": 2, "size": size}
    for size, family in product((680, 1320), families):
        # Two hidden layers of splines are very narrow here, so one, too.
        coarser = [{"grid_size": g} for g in (5, 4, 3)] if family is BEST_KAN else []
        choices = [base | family | options for options in ({}, *coarser)]
        yield first_sized(choices, size, 1) | {"depth": 1, "size": size}


@experiment("between", (11, 19), seeds=3, tuning=0.1, minutes=7)
def between() -> Iterable[Settings]:
    """Does a network that fits the pixels also fit what lies between them?"""
    base = image(64, 2000, frequencies=5) | {"test_size": 128}
    rates = {"MLP": (0.03, 0.03), "KAN": (0.03, 0.01)}  # as chosen in "scaling", for both sizes
    for family in (mlp() | RESTARTS, BEST_KAN):
        for size, lr in zip((2500, 10_000), rates[family["family"]], strict=True):
            yield sized(base | family, size, 2) | {"size": size, "lr": lr}
        yield sized(base | family | {"frequencies": 2}, 2500, 2) | {"size": 2500}


@experiment("race-audit", (11, 19), seeds=3, minutes=80)
def race_audit() -> Iterable[Settings]:
    """What if the race had been run otherwise?"""
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


@experiment("second-order", (9, 14, 19), seeds=10, minutes=14)
def second_order() -> Iterable[Settings]:
    """How far does least squares take small networks, and in which time?"""
    for optimizer in ("lm", "lbfgs"):
        base = {"dtype": "float64", "optimizer": optimizer}
        steps = 200 if optimizer == "lm" else 100  # of some 25 evaluations
        exact = samples("product", steps) | base | {"part": "exact structure"}
        yield exact | kan(3, widths=[2, 2, 1])
        yield sized(exact | mlp(), 37, 1)
        smooth = samples("exp_sine", steps) | base | {"samples": 3000, "part": "smooth formula"}
        grows = {"extend_grid": [[1 / 3, 10], [2 / 3, 20]], "update_before": True}
        grows["steps"] = 60 if optimizer == "lm" else 100
        for degree in (3, 5):
            yield smooth | kan(5, degree, widths=[2, 5, 1]) | grows
            yield sized(smooth | mlp(), 15 * (20 + degree), 2)


@experiment("pace", (11, 13, 19), timed=pace_settings, seeds=1, minutes=1)
def pace() -> Iterable[Settings]:
    """How long is a step of each family, and how long a single prediction?"""
    return ()


@experiment("pace-many", (4, 19), timed=pace_many_settings, seeds=1, minutes=2)
def pace_many() -> Iterable[Settings]:
    """How long is a step of KANs and MLPs that learn from many samples?"""
    return ()


@experiment("pace-real", (16, 19), timed=pace_real_settings, seeds=1, minutes=4)
def pace_real() -> Iterable[Settings]:
    """How long is a step of KANs and MLPs on real tables?"""
    return ()


@experiment("pace-encoding", (11, 19), timed=encoding.pace_settings, seeds=1, minutes=1)
def pace_encoding() -> Iterable[Settings]:
    """How long is a step of a KAN and of MLPs that learn all pixels?"""
    return ()


EXPERIMENTS: dict[str, Design] = {
    design.name: design
    for design in (
        *(functions_1d, cold_case, cold_case_finale, optimizers, mixtures, race, scaling, between),
        *(race_audit, second_order, *recovery.EXPERIMENTS, pace, pace_many, pace_real),
        *CONTESTS,
        *(digits.EXPERIMENT, equations.EXPERIMENT, sequence.EXPERIMENT, turned.EXPERIMENT),
        *(waves.EXPERIMENT, defaults.EXPERIMENT, *recipe.EXPERIMENTS),
        *(pace_encoding, *encoding.EXPERIMENTS, encoding_post, bits.EXPERIMENT),
    )
}


def get(name: str) -> Design:
    """Return an experiment by name; if there is none, a ValueError lists those there are."""
    check_name("name", name, EXPERIMENTS)
    return EXPERIMENTS[name]
