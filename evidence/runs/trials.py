"""One run of an experiment: settings and a seed in, measurements out."""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from kanbook import layers, networks, tasks, training
from kanbook.counting import count_parameters
from kanbook.grids import in_first_half
from kanbook.spline_mlp import SplineMLP

from . import coordinates, damping, rivals, slices, starts, weights

Settings = Mapping[str, Any]
ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "silu": nn.functional.silu}
ACTIVATIONS["sine"] = torch.sin
N_TRAIN, N_TEST = 1000, 10_000  # samples of a formula
POINTS = 60  # of a stored loss curve, at most
WATCHED = (1, 10, 100, 1000, 10_000)  # steps at which a watched model is looked into


def make_model(
    settings: Settings, *, generator: int | torch.Generator | None = None, device: str = "cpu"
) -> nn.Module:
    """Build the network that the settings describe, with random numbers drawn on the CPU.

    Raises:
        ValueError: ``model`` is no kind of network, or as the network itself.
    """
    family, widths = settings["model"], list(settings["widths"])
    where = {"dtype": getattr(torch, settings["dtype"]), "generator": generator}
    spline = {key: settings[key] for key in ("grid_size", "degree") if key in settings}
    if "domain" in settings:
        spline["domain"] = tuple(settings["domain"])
    kan = dict(spline)
    kan |= {key: settings[key] for key in ("bias", "spline_weight") if key in settings}
    if settings.get("base"):
        kan["base"] = ACTIVATIONS[settings["base"]]
    activation = ACTIVATIONS[settings.get("activation", "tanh")]
    if family == "kan":
        model = networks.KAN(widths, **kan, **where)
    elif family in ("naive-kan", "soft-kan"):
        layer = rivals.NaiveKANLayer if family == "naive-kan" else rivals.SoftKANLayer
        model = nn.Sequential(*(layer(i, o, **kan, **where) for i, o in pairwise(widths)))
    elif family == "tanh":
        options = settings.get("bias", False), settings.get("tanh", "edge")
        model = networks.TanhKAN(widths, *options, **where)
    elif family == "mlp":
        model = networks.MLP(widths, activation, **where)
    elif family == "node-tanh":
        model = networks.MLP(widths, activation, **where)
        for i in range(1, len(model), 2):
            model[i] = rivals.NodeTanh(model[i - 1].out_features, where["dtype"])
    elif family == "spline-mlp":
        model = SplineMLP(widths, **spline, **where)
    elif family == "mixture":
        options = {"kan": kan} if "kan" in settings["kinds"] else {}
        if "tanh" in settings["kinds"]:
            options["tanh"] = {"bias": True}
        model = networks.Mixture(
            widths, list(settings["kinds"]), activation=activation, **options, **where
        )
    else:
        raise ValueError(f"model={family!r} is no kind of network")
    if grid_size := settings.get("first_grid"):
        model[0] = type(model[0])(*widths[:2], **kan | {"grid_size": grid_size}, **where)
    if start := settings.get("start"):
        starts.start(model, start, generator)
    return model.to(device)


def make_data(
    settings: Settings, seed: int, device: str = "cpu"
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor] | None]:
    """Return inputs ``(N, I)`` and targets ``(N, 1)`` of a ``task`` to learn from, and to test on.

    The second pair is None where there is nothing besides: a picture has pixels in between only if
    ``test_size`` names a finer one.
    """
    task, where = settings["task"], place(settings, device)
    if task.startswith("slices-"):
        return slices.make(settings, seed, **where)
    if task.startswith("image-"):

        def picture(size: int) -> tuple[Tensor, Tensor]:
            inputs, targets = tasks.image(size, **where)
            return features(settings, inputs), targets

        finer = picture(settings["test_size"]) if "test_size" in settings else None
        return picture(int(task.removeprefix("image-"))), finer
    if task in tasks.FUNCTIONS_1D:
        return tasks.function_1d(task, 200, **where), tasks.function_1d(task, 2000, **where)
    samples = torch.Generator().manual_seed(10_000 + seed)  # other samples for every seed,
    test = torch.Generator().manual_seed(9_999)  # one test for all
    return (
        tasks.formula(task, settings.get("samples", N_TRAIN), generator=samples, **where),
        tasks.formula(task, N_TEST, generator=test, **where),
    )


def features(settings: Settings, x: Tensor) -> Tensor:
    """What the network sees of inputs: themselves, with copies, or encoded, mixed; stretched."""
    if settings.get("copies"):
        x = coordinates.with_copies(x)
    if count := settings.get("frequencies"):
        x = tasks.positional_encoding(x, count)
    if least := settings.get("mixed"):
        x = coordinates.mixed(x, least)
    return x * settings.get("input_scale", 1)


def place(settings: Settings, device: str) -> dict[str, Any]:
    """Where the tensors of a run are, and of which type."""
    return {"dtype": getattr(torch, settings["dtype"]), "device": device}


@contextlib.contextmanager
def ready() -> Iterator[None]:
    """One thread: on several, small matrices run slower, and the results could differ.

    And what PyTorch loads on the first step of a process, a second of it, counts for no run.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _load()
        yield
    finally:
        torch.set_num_threads(before)


@cache
def _load() -> None:
    x = torch.zeros(2, 1, dtype=torch.float32)
    model = networks.MLP([1, 1], dtype=torch.float32, generator=0)
    training.fit(model, x, x, steps=1, lr=0.01)


class Enough(Exception):
    """Ends a training early."""


class Watch:
    """Notes the losses of a training at some steps, ever farther apart, and when to end it.

    Args:
        points: of the curve, at most.
        limit: seconds, by :attr:`seconds`, after which ``end_in_time`` raises :class:`Enough`.

    Attributes:
        curve: lists of equal length: ``step``, ``evaluations``, ``seconds``, ``loss``.
        history: of the training; while it runs, the last one noted.
        spent: seconds of the training, once it is over.
    """

    def __init__(
        self, steps: int, *, device: str = "cpu", points: int = POINTS, limit: float = math.inf
    ) -> None:
        self.steps, self.wanted, self.limit = steps, spread(steps, points), limit
        self.history, self.spent = training.History(), 0.0
        self.curve: dict[str, list] = {"step": [], "evaluations": [], "seconds": [], "loss": []}
        cpu = torch.device(device).type == "cpu"
        self.clock = time.process_time if cpu else time.perf_counter
        self.began = self.clock()

    @property
    def seconds(self) -> float:
        """Since it was made: of the processor's time; by the clock on other devices than a CPU."""
        return self.clock() - self.began

    def note(self, step: int, history: training.History) -> None:
        """Take what the callback of a training is told."""
        self.history = history
        if step in self.wanted:
            row = step, history.evaluations_at[-1], rounded(self.seconds, 3)
            row += (rounded(history.loss[-1], 5),)
            for column, value in zip(self.curve.values(), row, strict=True):
                column.append(value)

    def end_in_time(self) -> None:
        """Raise :class:`Enough` when the time is up."""
        if self.seconds > self.limit:
            raise Enough

    def fit(self, model: nn.Module, inputs: Tensor, targets: Tensor, **options: Any) -> None:
        """Train, with a callback that calls ``note``."""
        with quietly():
            self.history = training.fit(model, inputs, targets, **options)
        self.spent = self.seconds

    @torch.no_grad()
    def error(self, model: nn.Module, samples: tuple[Tensor, Tensor]) -> float:
        """The mean squared error, NaN if the training diverged."""
        inputs, targets = samples
        lost = self.history.diverged
        return math.nan if lost else (model(inputs) - targets).square().mean().item()

    def told(self, model: nn.Module, loss: float) -> dict[str, Any]:
        """What every training tells of itself, in JSON types; see :func:`run_trial`."""
        lost = self.history.diverged
        return {
            "parameters": count_parameters(model),
            "evaluations": self.history.evaluations,
            "seconds": rounded(self.spent, 4),
            "loss": rounded(loss, 8),
            "diverged": lost or not math.isfinite(loss),
            "complete": lost or len(self.history.loss) == self.steps,
            "curve": self.curve,
        }


def told_at_once(parameters: int, seconds: float | None, loss: float | None) -> dict[str, Any]:
    """What a method tells that is no training: the same, of one step."""
    once = {"step": [1], "evaluations": [1], "seconds": [seconds], "loss": [loss]}
    result = {"parameters": parameters, "evaluations": 1, "seconds": seconds, "loss": loss}
    return result | {"diverged": False, "complete": True, "curve": once}


@ready()
def run_trial(settings: Settings, seed: int, *, device: str = "cpu", **how: Any) -> dict:
    """Train one network and measure.

    Args:
        settings: what to train, as an experiment defines it.
        seed: of the initial parameters, the samples of a formula and the order of mini-batches.
        device: where to train.
        how: ``limit``, seconds after which training stops, for a look at the beginning only, and
            ``points`` of the stored curve, at most: those of ``Watch``.

    Returns:
        Measurements in JSON types, where None is a number that is not finite. They are
        ``parameters``, ``evaluations``, ``seconds`` (of processor time; by the clock on other
        devices than the CPU), ``loss`` at the end on all samples, ``diverged``, ``complete`` (False
        if the ``limit`` was reached), ``curve`` (``step``, ``evaluations``, ``seconds`` and the
        ``loss`` before that step's update), ``test_loss`` where there are samples to test on, and
        ``probes`` if ``watch`` is set: what :func:`~evidence.runs.trials.look_into` finds.

    Raises:
        KeyError, ValueError: a setting is missing or wrong.
    """
    wanted = {*WATCHED} & spread(settings["steps"], how.get("points", POINTS))
    wanted, probes = wanted if settings.get("watch") else set(), []

    def look(step: int, model: nn.Module) -> None:
        if step in wanted:
            probes.append({"step": step} | look_into(model, *train))

    train, test = make_data(settings, seed, device)
    model, watch = train_once(settings, seed, train, look, device=device, **how)
    result = watch.told(model, watch.error(model, train))
    if test is not None:
        test_loss = math.nan if result["diverged"] else watch.error(model, test)
        result["test_loss"] = rounded(test_loss, 8)
    if settings.get("watch"):
        if not result["diverged"]:
            probes.append({"step": len(watch.history.loss)} | look_into(model, *train))
        result["probes"] = probes
    return result


def train_once(
    settings: Settings,
    seed: int,
    samples: tuple[Tensor, Tensor],
    look: Callable[[int, nn.Module], None] = lambda step, model: None,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    device: str = "cpu",
    **how: Any,
) -> tuple[nn.Module, Watch]:
    """Make the network of the settings and train it on samples, ``look``-ing at it in every step.

    The other arguments are those of :func:`run_trial`, and ``loss`` of
    :func:`kanbook.training.fit`.
    """
    options = fit_options(settings)
    if control := settings.get("steps_of_weights"):
        options["optimizer"] = _steps(control, settings, seed, samples, loss, device)
        settings = {**settings, "spline_weight": control == "stretch"}
    generator = torch.Generator().manual_seed(seed)
    model = make_model(settings, generator=generator, device=device)
    coordinates.change(model, settings, samples[0])

    def note(step: int, history: training.History) -> None:
        watch.note(step, history)
        look(step, model)
        watch.end_in_time()

    watch = Watch(settings["steps"], device=device, **how)
    options |= {"callback": note, "generator": generator, "loss": loss}
    with damping.damped(settings):
        watch.fit(model, *samples, **options)
    return model, watch


def _steps(
    control: str,
    settings: Settings,
    seed: int,
    samples: tuple[Tensor, Tensor],
    loss: Any,
    where: str,
) -> Callable[..., torch.optim.Optimizer]:
    """Adam with a part of what spline weights do to its steps; see :mod:`evidence.runs.weights`.

    "rates" and "median" first train the same network with weights, and note them.
    """
    if control == "stretch":
        return partial(weights.ScaledAdam, factors=weights.stretching)
    twin = {key: value for key, value in settings.items() if key != "steps_of_weights"}
    noted: list[list[Tensor]] = []

    def note(step: int, model: nn.Module) -> None:
        noted.append(weights.sizes(model))

    model, _ = train_once(twin, seed, samples, note, loss=loss, device=where)
    noted.insert(0, [torch.ones_like(size) for size in weights.sizes(model)])
    if control == "median":
        noted = [weights.of_one_size(sizes) for sizes in noted]
    return weights.replaying(noted)


def fit_options(settings: Settings) -> dict[str, Any]:
    """What :func:`kanbook.training.fit` is told: by default, the learning rate falls to 0."""
    steps = settings["steps"]
    optimizer = coordinates.OPTIMIZERS.get(settings["optimizer"], settings["optimizer"])
    options = {"steps": steps, "optimizer": optimizer, "lr": settings.get("lr")}
    options["batch_size"] = settings.get("batch_size")
    if settings.get("decay", True) and settings["optimizer"] not in ("lbfgs", "lm"):
        options["schedule"] = lambda t: 1 - t
        if share := settings.get("warmup"):  # of the steps, in which the rate rises first
            options["schedule"] = lambda t: min((t + 1e-3) / share, 1) * (1 - t)
    for key, name in (("update_grid", "update_grid_at"), ("restart", "restart_at")):
        if n := settings.get(key):
            options[name] = in_first_half(steps, n)
    if settings.get("extend_grid"):  # [share of the steps, grid size]
        options["extend_grid_at"] = {1 + round(steps * s): g for s, g in settings["extend_grid"]}
        if settings.get("update_before"):  # before each extension, nowhere else
            options["update_grid_at"] = [*options["extend_grid_at"]]
    return options


def evaluations(settings: Settings) -> int:
    """How often a run computes the loss and its gradient, about."""
    return settings["steps"] * {"lbfgs": 25, "lm": 10}.get(settings["optimizer"], 1)


def spread(steps: int, points: int) -> set[int]:
    """So many steps at most (two or more), from the first to the last, ever farther apart."""
    return {round(steps ** (i / (points - 1))) for i in range(points)}


@torch.enable_grad()
def look_into(model: nn.Module, inputs: Tensor, targets: Tensor) -> dict[str, list[float | None]]:
    """What goes on inside the layers of splines, one number a layer.

    Returns:
        ``outside``, the share of its inputs that lie outside the domain; ``dead``, the share of its
        input nodes all of whose samples lie beyond the outermost knots, so that no spline there
        gets a gradient; ``gradient``, the norm of the loss's gradient in its coefficients.
    """
    _, calls = layers.run_and_record(model, inputs)
    model.zero_grad()
    (model(inputs) - targets).square().mean().backward()
    outside, dead, gradient = [], [], []
    for layer, x in calls:
        a, b = layer.domain
        out = (x < a) | (x > b)
        outside.append(rounded(out.double().mean().item(), 4))
        beyond = (x < layer.knots[:, 0]) | (x > layer.knots[:, -1])
        dead.append(rounded(beyond.all(0).double().mean().item(), 4))
        gradient.append(rounded(layer.coef.grad.norm().item(), 4))
    model.zero_grad()
    return {"outside": outside, "dead": dead, "gradient": gradient}


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """A training that ends early, or diverges, is stored as such, without a word."""
    with warnings.catch_warnings(), contextlib.suppress(Enough):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def rounded(value: float, digits: int) -> float | None:
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
