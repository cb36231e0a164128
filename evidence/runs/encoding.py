"""The cold case of chapter 11: is it the encoding that lets an MLP learn a picture better per step?

What is asked and what is expected stands in ``plan.md``, part V.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import product
from typing import Any

from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, TargetEncoder

from kanbook import estimators

from ..contests import PICTURES, RUN, Contest
from ..design import Measurement, experiment
from ..families import ends, fitted
from ..settings import ALL, UPDATE, Settings
from ..tasks import real_tables
from ..tasks.tables import table
from . import defaults, trials

SIZES = 1040, 2512, 5184  # that all families can have within 1 %
KAN = {"model": "kan", "grid_size": 6, "degree": 3, "depth": 2}
WAVES, FINER = {"frequencies": 5}, {"first_grid": 32}  # of the trial, about
TURNED = WAVES | {"rank": 67}  # so many of the 180 features of the waves are independent
ACTIVATIONS = {"tanh": "tanh", "SiLU": "silu", "sine": "sine"}


def mlp(activation: str = "tanh", **more: Any) -> Settings:
    return {"model": "mlp", "activation": activation, "depth": 2} | more


def whole_pictures(*sizes: int, names: Iterable[str] = PICTURES, **more: Any) -> list[Settings]:
    """All pixels to learn, and those between them to test on."""
    base = RUN | {"pixels": 64, "test_pixels": 128, "steps": 1000} | more
    return [
        base | {"task": f"picture:{name}", "size": size, "kind": f"{size} parameters"}
        for size, name in product(sizes, names)
    ]


def inputs() -> dict[str, Settings]:
    """KANs and MLPs whose inputs are encoded or plain, each in its own best way."""
    encoded, plain = {"frequencies": (3, 4, 5)}, {"input_scale": (3, 10, 30)}
    families = {"KAN, encoded": KAN | encoded, "KAN, plain": KAN | {"first_grid": (16, 32, 64)}}
    for name, activation in ACTIVATIONS.items():
        families[f"MLP {name}, encoded"] = mlp(activation) | encoded
        families[f"MLP {name}, plain"] = mlp(activation) | plain
    return families


QUICK = "MLP SiLU, encoded", "MLP sine, plain"  # who also gets as many seconds as the plain KAN


def for_inputs() -> list[Settings]:
    return whole_pictures(*SIZES)


class Inputs(Contest):
    """At equal seconds one size is enough."""

    def cells(self, task: Settings) -> list[Any]:
        every = super().cells(task)
        return [cell for cell in every if cell.contest == "parameters" or task["size"] == SIZES[1]]


def pace_settings() -> Iterator[Settings]:
    """Networks of the contest at equal seconds, to take turns: the middle one of each choice."""
    task = whole_pictures(SIZES[1])[0]
    shared = {key: task[key] for key in ("task", "size", "pixels", "test_pixels", "dtype")}
    models = []
    for name in ("KAN, plain", *QUICK):
        settings = inputs()[name]
        middle = {key: value[1] for key, value in settings.items() if isinstance(value, tuple)}
        models.append(fitted(task | settings | middle | {"family": name}))
    yield shared | {"measure": "seconds", "inputs": ends(task["task"])[0], "models": models}


def coordinates() -> dict[str, Settings]:
    """The same functions in other coordinates, other optimizers, and extras on top."""
    encoded, plain, copies = KAN | WAVES, KAN | FINER, KAN | {"copies": True}
    waves, soap = mlp() | WAVES, {"optimizer": "soap"}
    return {
        "encoded": encoded,
        "turned": KAN | TURNED | {"coordinates": "turned"},
        "white": KAN | TURNED | {"coordinates": "white"},
        "turned, as narrow": KAN | TURNED | {"coordinates": "turned", "size": 1503},
        "MLP, encoded": waves,
        "MLP, mixed": waves | {"mixed": 1.0},
        "MLP, stretched": waves | {"mixed": 0.01},
        "plain": plain,
        "copies": copies,
        "copies, turned": copies | {"coordinates": "turned", "rank": TURNED["rank"]},
        "encoded, SOAP": encoded | soap,
        "encoded, Muon": encoded | {"optimizer": "muon"},
        "MLP, SOAP": waves | soap,
        "encoded, updated": encoded | UPDATE,
        "encoded, extras": encoded | ALL | UPDATE,
        "plain, updated": plain | UPDATE,
        "plain, extras": plain | ALL | UPDATE,
    }


def to_the_end() -> dict[str, Settings]:
    return {"KAN, plain": KAN | FINER, "MLP SiLU, encoded": mlp("silu") | WAVES}


RATES = 0.005, 0.01, 0.02, 0.04, 0.08, 0.16
CONTESTS = (
    Inputs(
        "encoding",
        "Who learns all pixels of a picture best, with inputs encoded or plain?",
        (11, 19),
        for_inputs,
        {"parameters": tuple(inputs()), "seconds": QUICK},
        fixed=inputs,
        rates=RATES,
        paced_by="KAN, plain",
        finalists=0,
        minutes=130,
    ),
    Contest(
        "encoding-why",
        "Why does a KAN learn encoded pictures slowly: is it the coordinates of its first layer?",
        (11,),
        partial(whole_pictures, SIZES[1], names=PICTURES[:4]),
        fixed=coordinates,
        rates=RATES,
        finalists=0,
        minutes=70,
    ),
    Contest(
        "encoding-long",
        "And after 20,000 steps?",
        (11, 19),
        partial(whole_pictures, SIZES[1], names=PICTURES[:2], steps=20_000),
        fixed=to_the_end,
        rates=RATES[1:5],
        share=0.05,
        finalists=0,
        minutes=40,
    ),
)

# --- Tables

WORDS = "hotel-rates", "rice-farms", "saratoga", "lending-club"
SERIES = "sunspots", "co2", "el-nino"
ENCODERS = {
    "one-hot": lambda **_: None,
    "ordinal": lambda **_: OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    "target": TargetEncoder,
}
MODELS = {
    "KAN": (estimators.KANRegressor, estimators.KANClassifier),
    "MLP": (estimators.MLPRegressor, estimators.MLPClassifier),
}


@trials.ready()
def fit_encoded(settings: Settings, seed: int, **_: Any) -> dict[str, Any]:
    """Fit one estimator to a table or series and test it; see `defaults.told`."""
    (kind, _, name), classes = settings["task"].partition(":"), settings["kind"] == "classes"
    family, how = settings["family"].split(", ")
    model = MODELS[family][classes](random_state=seed)
    if kind == "real":
        parts = defaults.of_table(name, seed)
        from skrub import tabular_pipeline  # which Colab, where stored rows are read, has not

        model = tabular_pipeline(model)
        target = "auto" if classes else "continuous"  # whole numbers would pass for classes
        if encoder := ENCODERS[how](target_type=target, random_state=seed):
            words = ("low_cardinality", "high_cardinality")
            model.set_params(**{f"tablevectorizer__{which}": encoder for which in words})
    else:
        parts = _of_series(name)
        model = make_pipeline(PCA(), model) if how == "turned" else model
    return defaults.told(model, parts, classes)


def _of_series(name: str) -> defaults.Parts:
    """Lags and values; the last fifth is to test on."""
    series = table(name)
    x, y = series.inputs.numpy(), series.targets[:, 0].numpy()
    end = round(0.8 * len(x))
    return x[:end], y[:end], x[end:], y[end:]


def settings() -> Iterator[Settings]:
    """Words as one-hot columns or one of numbers, lags as they are or turned: does it matter?"""
    tasks = [
        (f"real:{name}", real_tables.CHOICES[name].kind, how)
        for name, how in product(WORDS, ENCODERS)
    ]
    tasks += [(f"table:{name}", "series", how) for name, how in product(SERIES, ("raw", "turned"))]
    for (task, kind, how), family in product(tasks, MODELS):
        what = {"task": task, "kind": kind, "contest": "rows", "family": f"{family}, {how}"}
        yield {"measure": "encoding"} | what


TABLES = experiment(
    "encoding-tables", (16,), measurement=Measurement(fit_encoded, lambda _: 1, None), minutes=30
)(settings)
EXPERIMENTS = (*CONTESTS, TABLES)
