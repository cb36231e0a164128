"""One run of a contest: data in three parts, a network or a baseline, and its error on the last."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kanbook import grids, training
from kanbook.tasks import positional_encoding

from ..tasks.pictures import picture
from ..tasks.tables import table
from ..tasks.targets import target
from . import trials

Settings = Mapping[str, Any]
Samples = tuple[Tensor, Tensor]
CHECKS = 100  # looks at the validation samples in a training, at most; the best weights are kept
SHARES = 0.6, 0.2  # of a table: to learn from, to choose by; the rest is the test


class Data(NamedTuple):
    """Inputs ``(N, I)`` and targets ``(N, O)``, or classes ``(N,)``, in three parts.

    Inputs are scaled so that those to learn from fill [-1, 1] in every column, and cut off there;
    targets that are numbers have mean 0 and deviation 1 over those to learn from. ``spread`` is the
    deviation of the test targets, without noise, in that unit.
    """

    train: Samples
    validation: Samples
    test: Samples
    spread: float
    classes: int | None = None


def make_data(settings: Settings, seed: int) -> Data:
    """Return the samples that every family gets for this task and seed, in its ``dtype``.

    Raises:
        ValueError: ``task`` is none.
    """
    kind, _, name = settings["task"].partition(":")
    generator = torch.Generator().manual_seed(10_000 + seed)
    classes = None
    if kind == "formula":
        sample = partial(target, name, generator=generator, dtype=torch.float64)
        noise, n = settings.get("noise", 0.0), settings["samples"]
        parts = [sample(n, noise=noise), sample(n // 2, noise=noise), sample(5000)]
    elif kind == "picture":
        x, y = picture(name, settings["pixels"], dtype=torch.float64)
        parts = _parts(x, y, torch.randperm(len(x), generator=generator), (0.4, 0.1))
    else:
        found = table(name)
        n = len(found.inputs)
        order = torch.arange(n)
        if found.kind != "series":  # whose test part comes last
            order = torch.randperm(n, generator=generator)
        parts = _parts(found.inputs, found.targets, order[: settings.get("samples", n)], SHARES)
        classes = int(found.targets.max()) + 1 if found.kind == "classes" else None
    return _scaled(parts, classes, settings)


def _parts(x: Tensor, y: Tensor, order: Tensor, shares: tuple[float, float]) -> list[Samples]:
    ends = [round(shares[0] * len(order)), round(sum(shares) * len(order))]
    return [(x[part], y[part]) for part in order.tensor_split(ends)]


def _scaled(parts: list[Samples], classes: int | None, settings: Settings) -> Data:
    (x, y), dtype = parts[0], getattr(torch, settings["dtype"])
    low, high = x.min(0).values, x.max(0).values
    center, half = (low + high) / 2, torch.where(high > low, (high - low) / 2, 1)
    mean, deviation = (0.0, 1.0) if classes else (y.mean(), y.std())

    def scaled(x: Tensor, y: Tensor) -> Samples:
        x = ((x - center) / half).clamp(-1, 1).to(dtype)
        if frequencies := settings.get("frequencies"):
            x = positional_encoding(x, frequencies)
        x = x * settings.get("input_scale", 1)
        return x, y if classes else ((y - mean) / deviation).to(dtype)

    parts = [scaled(*part) for part in parts]
    spread = 1.0 if classes else parts[2][1].double().std().item()
    return Data(*parts, spread, classes)


@torch.no_grad()
def errors(predict: Callable[[Tensor], Tensor], samples: Samples, data: Data) -> dict[str, float]:
    """The error on some samples: RMSE in spreads, or log-loss; and what else is told of the test.

    Returns:
        ``error``; ``p90``, the 90th percentile of the errors of single samples, in spreads; of
        classes instead ``accuracy``.
    """
    x, y = samples
    output = predict(x).double()
    if data.classes:
        loss = nn.functional.cross_entropy(output, y).item()
        return {"error": loss, "accuracy": (output.argmax(-1) == y).double().mean().item()}
    miss = (output - y.double()).abs() / data.spread
    return {"error": miss.square().mean().sqrt().item(), "p90": miss.quantile(0.9).item()}


@trials.one_thread()
def run(
    settings: Settings, seed: int, *, device: torch.device | str = "cpu", **how: Any
) -> dict[str, Any]:
    """Train one contestant and test it.

    Args:
        settings: who on which task, as a contest defines it.
        seed: of the samples, their noise, the initial parameters and the order of mini-batches:
            whoever has the same seed has the same samples.
        device, how: as of :func:`~evidence.runs.trials.run_trial`.

    Returns:
        As :func:`~evidence.runs.trials.run_trial`, without ``test_loss``; instead
        ``validation_error`` and ``test_error`` (RMSE relative to the spread of the test targets
        without noise; log-loss of classes) of the weights that did best on the validation samples
        at one of 100 looks, ``best_step``, ``p90`` or ``accuracy`` on the test, see
        :func:`errors`.
    """
    data = make_data(settings, seed)
    if "baseline" in settings:
        return _run_baseline(settings, seed, data)
    names = "train", "validation", "test"
    on_device = {name: tuple(t.to(device) for t in getattr(data, name)) for name in names}
    return _train(data._replace(**on_device), settings, seed, device, **how)


def _train(data: Data, settings: Settings, seed: int, device: Any, **how: Any) -> dict[str, Any]:
    steps = settings["steps"]
    # As "update_grid", but the optimizer goes on; after a step, not before the next.
    kept = {step - 1 for step in trials.in_first_half(steps, settings.get("update_kept", 0))}
    checks = {max(1, round(steps * i / CHECKS)) for i in range(1, CHECKS + 1)}
    best = {"error": math.inf, "step": 0, "model": None}

    def look(step: int, model: nn.Module) -> None:
        if step in kept:
            grids.update_grid(model, data.train[0], grid_eps=settings.get("grid_eps", 0.02))
        if step in checks:
            error = errors(model, data.validation, data)["error"]
            if error < best["error"]:
                best.update(error=error, step=step, model=copy.deepcopy(model))

    loss = nn.functional.cross_entropy if data.classes else None
    how |= {"loss": loss, "device": device}
    model, watch = trials.train_once(settings, seed, data.train, look, **how)
    found = {"error": math.nan} if best["model"] is None else errors(best["model"], data.test, data)
    return (
        watch.told(model, math.nan)
        | {
            "loss": trials.digits(watch.history.loss[-1] if watch.history.loss else math.nan, 6),
            "diverged": watch.history.diverged,
            "validation_error": trials.digits(best["error"], 6),
            "best_step": best["step"],
        }
        | _told(found)
    )


def _told(found: dict[str, float]) -> dict[str, float | None]:
    names = {"error": "test_error"}
    return {names.get(name, name): trials.digits(value, 6) for name, value in found.items()}


def _run_baseline(settings: Settings, seed: int, data: Data) -> dict[str, Any]:
    """The same of a method of the task's own field, which chooses by the validation samples."""
    from kanbook import baselines  # needs packages that nothing else here does

    if settings["baseline"] in NAIVE:
        return _run_naive(settings)
    pairs = [(x.double().numpy(), y.numpy()) for x, y in (data.train, data.validation)]
    kind = "classes" if data.classes else "regression"
    start = time.process_time()
    model = baselines.fit(settings["baseline"], *pairs, kind=kind, seed=seed)
    seconds = time.process_time() - start

    def predict(x: Tensor) -> Tensor:
        y = torch.from_numpy(model.predict(x.double().numpy()))
        return y.clamp(min=1e-6).log() if data.classes else y

    error = trials.digits(errors(predict, data.validation, data)["error"], 6)
    test = errors(predict, data.test, data)
    return _of_baseline(model.parameters, trials.digits(seconds, 4), error, test, model.note)


def _of_baseline(parameters, seconds, validation_error, test, note) -> dict[str, Any]:
    found = trials.told_at_once(parameters, seconds, validation_error)
    found |= {"validation_error": validation_error, "best_step": 0, "note": note}
    return found | _told(test)


NAIVE = "a season ago", "the last value"  # of a series


def _run_naive(settings: Settings) -> dict[str, Any]:
    """What came before in a series, in its own units, as the prediction."""
    series = table(settings["task"].partition(":")[2])
    column = series.seasonal if settings["baseline"] == "a season ago" else 0
    found = []
    for x, y in _parts(series.inputs, series.targets, torch.arange(len(series.inputs)), SHARES):
        miss = (x[:, column, None] - y).abs() / y.std()
        error, p90 = miss.square().mean().sqrt().item(), miss.quantile(0.9).item()
        found.append({"error": error, "p90": p90})
    validation_error = trials.digits(found[1]["error"], 6)
    return _of_baseline(0, 0.0, validation_error, found[2], "nothing was learned")


@trials.one_thread()
def time_steps(settings: Settings, rounds: int = 15) -> dict[str, Any]:
    """Measure the seconds of a training step and of a single prediction of networks in turns.

    Args:
        settings: ``models`` says what differs between the networks, the rest is shared. Of
            contests, ``batch_size`` counts; else a step takes all samples.
        rounds: in each, every network makes five steps and 20 predictions. Two more go first, to
            warm up.

    Returns:
        ``step_seconds`` and, where the ``inputs`` are named, ``prediction_seconds``: for each
        network, the median over the rounds.
    """
    trials.warm_up()
    runs = []
    for one in settings["models"]:
        one, options = settings | one, {"lr": 1e-4, "generator": 0}
        if ":" in one["task"]:
            data = make_data(one, 0)
            samples, options["batch_size"] = data.train, one.get("batch_size")
            options["loss"] = nn.functional.cross_entropy if data.classes else None
        else:
            samples, _ = trials.make_data(one, 0)
        runs.append((trials.make_model(one, generator=0), samples, options))
    times: list[tuple[list[float], list[float]]] = [([], []) for _ in runs]
    for turn in range(rounds + 2):
        for (model, samples, options), (steps, predictions) in zip(runs, times, strict=True):
            start = time.process_time()
            training.fit(model, *samples, steps=5, **options)
            between = time.process_time()
            with torch.no_grad():
                for i in range(20):
                    model(samples[0][i : i + 1])
            if turn >= 2:
                steps.append((between - start) / 5)
                predictions.append((time.process_time() - between) / 20)
    names = ["step_seconds", "prediction_seconds"][: 2 if "inputs" in settings else 1]
    medians = [
        [trials.digits(sorted(spent)[rounds // 2], 4) for spent in column]
        for column in zip(*times, strict=True)
    ]
    return dict(zip(names, medians, strict=False))
