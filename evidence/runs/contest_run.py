"""One run of a contest: data in three parts, a network or a baseline, and its error on the last."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from kanbook import grids

from ..tasks import real_tables
from ..tasks.pictures import picture
from ..tasks.preparing import prepare
from ..tasks.tables import table
from ..tasks.targets import target
from . import trials

if TYPE_CHECKING:
    from pandas import DataFrame

Settings = Mapping[str, Any]
Samples = tuple[Tensor, Tensor]
CHECKS = 100  # looks at the validation samples in a training, at most; the best weights are kept
SHARES = 0.6, 0.2  # of a table: to learn from, to choose by; the rest is the test


class Split(NamedTuple):
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


def make_split(settings: Settings, seed: int) -> Split:
    """Return the samples that every family gets for this task and seed, in its ``dtype``.

    Raises:
        ValueError: ``task`` is none.
    """
    kind, _, name = settings["task"].partition(":")
    generator = torch.Generator().manual_seed(10_000 + seed)
    if kind == "formula":
        sample = partial(target, name, generator=generator, dtype=torch.float64)
        noise, n = settings.get("noise", 0.0), settings["samples"]
        parts = [sample(n, noise=noise), sample(n // 2, noise=noise), sample(5000)]
        return _scaled(parts, None, settings)
    if kind == "picture" and "test_pixels" in settings:
        return _whole_picture(name, settings)
    if kind == "picture":
        x, y = picture(name, settings["pixels"], dtype=torch.float64)
        order = torch.randperm(len(x), generator=generator)
        return _scaled(_parts(x, y, order, (0.4, 0.1)), None, settings)
    if kind == "real":
        return _real_split(name, settings, seed)
    data = table(name)
    n = len(data.inputs)
    # Of a series the test part comes last.
    order = torch.arange(n) if data.kind == "series" else torch.randperm(n, generator=generator)
    parts = _parts(data.inputs, data.targets, order[: settings.get("samples", n)], SHARES)
    return _scaled(parts, data.classes, settings)


def _whole_picture(name: str, settings: Settings) -> Split:
    """All pixels to learn from and to choose by, and those of a finer picture to test on.

    Inputs stay where the pixels are: at -1 and 1 all waves would be the same.
    """
    dtype = getattr(torch, settings["dtype"])
    shown, finer = (
        picture(name, settings[size], dtype=torch.float64) for size in ("pixels", "test_pixels")
    )
    mean, deviation = shown[1].mean(), shown[1].std()
    shown, finer = (
        (trials.features(settings, x).to(dtype), ((y - mean) / deviation).to(dtype))
        for x, y in (shown, finer)
    )
    return Split(shown, shown, finer, finer[1].double().std().item())


def _real_frames(name: str, seed: int) -> tuple[real_tables.RealTable, list[DataFrame]]:
    data = real_tables.real_table(name)
    return data, [data.frame.iloc[rows] for rows in real_tables.parts(data, seed)]


def _real_split(name: str, settings: Settings, seed: int) -> Split:
    """A table of words, gaps and outliers, prepared by what the rows to learn from tell of it.

    Columns that only other rows have are constant.
    """
    data, frames = _real_frames(name, seed)
    prepared, columns = prepare(frames[0], data.target, kind=data.kind), real_tables.columns(name)
    known = [column in columns for column in prepared.columns]
    place = [columns.index(column) for column in prepared.columns if column in columns]
    dtype, samples = getattr(torch, settings["dtype"]), []
    for frame in frames:
        x = torch.full((len(frame), len(columns)), -1.0, dtype=dtype)
        x[:, place] = prepared.inputs(frame)[:, known].to(dtype)
        y = prepared.targets(frame)
        samples.append((x, y if prepared.classes else y.to(dtype)))
    if prepared.classes:
        return Split(*samples, 1.0, len(prepared.classes))
    return Split(*samples, samples[2][1].double().std().item())


def _parts(x: Tensor, y: Tensor, order: Tensor, shares: tuple[float, float]) -> list[Samples]:
    ends = [round(shares[0] * len(order)), round(sum(shares) * len(order))]
    return [(x[part], y[part]) for part in order.tensor_split(ends)]


def _scaled(parts: list[Samples], classes: int | None, settings: Settings) -> Split:
    (x, y), dtype = parts[0], getattr(torch, settings["dtype"])
    low, high = x.min(0).values, x.max(0).values
    center, half = (low + high) / 2, torch.where(high > low, (high - low) / 2, 1)
    mean, deviation = (0.0, 1.0) if classes else (y.mean(), y.std())

    def scaled(x: Tensor, y: Tensor) -> Samples:
        x = trials.features(settings, ((x - center) / half).clamp(-1, 1).to(dtype))
        return x, y if classes else ((y - mean) / deviation).to(dtype)

    parts = [scaled(*part) for part in parts]
    spread = 1.0 if classes else parts[2][1].double().std().item()
    return Split(*parts, spread, classes)


@torch.no_grad()
def errors(
    predict: Callable[[Tensor], Tensor], samples: Samples, spread: float
) -> dict[str, float]:
    """The error on some samples, RMSE in spreads, or log-loss; and what else is told of the test.

    That is ``p90``, the 90th percentile of the errors of single samples, or ``accuracy`` of
    classes.
    """
    x, y = samples
    output = predict(x).double()
    if y.ndim == 1:
        loss = nn.functional.cross_entropy(output, y).item()
        return {"error": loss, "accuracy": (output.argmax(-1) == y).double().mean().item()}
    miss = (output - y.double()).abs() / spread
    return {"error": miss.square().mean().sqrt().item(), "p90": miss.quantile(0.9).item()}


BINS = 15


@torch.no_grad()
def calibration(predict: Callable[[Tensor], Tensor], samples: Samples) -> dict[str, float]:
    """Brier's score of the probabilities of classes, and by how much they are off.

    That is the mean over ``BINS`` bins of equally many samples, by the largest probability, of
    abs(mean probability - share that is right).

    Source: Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
    Binning" (2015).
    """
    x, y = samples
    shares = predict(x).double().softmax(-1)
    brier = (shares - nn.functional.one_hot(y, shares.shape[-1])).square().sum(-1).mean()
    most, chosen = shares.max(-1)
    right = (chosen == y).double()
    parts = most.argsort().tensor_split(BINS)
    off = [(most[part].mean() - right[part].mean()).abs() * len(part) for part in parts]
    return {"brier": brier.item(), "calibration": (sum(off) / len(y)).item()}


@trials.ready()
def run_contestant(settings: Settings, seed: int, *, device: str = "cpu", **how: Any) -> dict:
    """Train one contestant and test it.

    Whoever has the same seed has the same samples, with their noise.

    Returns:
        As :func:`~evidence.runs.trials.run_trial`, without ``test_loss``; instead
        ``validation_error`` and ``test_error`` (RMSE relative to the spread of the test targets
        without noise; log-loss of classes) of the weights that did best on the validation samples
        at one of 100 looks, ``best_step``, ``p90`` or ``accuracy`` on the test, see
        :func:`errors`.
    """
    split = make_split(settings, seed)
    if settings.get("baseline") in NAIVE:
        return _predict_from_before(settings)
    if settings.get("baseline") == "RealMLP":
        return _fit_frames(settings, seed)
    if "baseline" in settings:
        return _fit_baseline(settings, seed, split)
    parts = "train", "validation", "test"
    there = {part: tuple(t.to(device) for t in getattr(split, part)) for part in parts}
    return _train(split._replace(**there), settings, seed, device=device, **how)


def _train(split: Split, settings: Settings, seed: int, **how: Any) -> dict[str, Any]:
    steps = settings["steps"]
    # As "update_grid", but the optimizer goes on; after a step, not before the next.
    kept = {step - 1 for step in trials.in_first_half(steps, settings.get("update_kept", 0))}
    checks = {max(1, round(steps * i / CHECKS)) for i in range(1, CHECKS + 1)}
    best_error, best_step, best_model = math.inf, 0, None

    def look(step: int, model: nn.Module) -> None:
        nonlocal best_error, best_step, best_model
        if step in kept:
            grids.update_grid(model, split.train[0], grid_eps=settings.get("grid_eps", 0.02))
        if step in checks:
            error = errors(model, split.validation, split.spread)["error"]
            if error < best_error:
                best_error, best_step, best_model = error, step, copy.deepcopy(model)

    loss = nn.functional.cross_entropy if split.classes else None
    model, watch = trials.train_once(settings, seed, split.train, look, loss=loss, **how)
    lost, losses = {"error": math.nan}, watch.history.loss
    result = watch.told(model, math.nan) | {"diverged": watch.history.diverged}
    result["loss"] = trials.rounded(losses[-1], 6) if losses else None
    result |= {"validation_error": trials.rounded(best_error, 6), "best_step": best_step}
    tested = lost if best_model is None else errors(best_model, split.test, split.spread)
    if best_model is not None and split.classes and settings["task"].startswith("real:"):
        tested |= calibration(best_model, split.test)
    return result | _on_test(tested)


def _on_test(found: dict[str, float]) -> dict[str, float | None]:
    names = {"error": "test_error"}
    return {names.get(name, name): trials.rounded(value, 6) for name, value in found.items()}


def _fit_baseline(settings: Settings, seed: int, split: Split) -> dict[str, Any]:
    """The same of a method of the task's own field, which chooses by the validation samples."""
    from .. import baselines  # needs packages that nothing else here does
    from . import fields

    name = settings["baseline"]
    pairs = [(x.double().numpy(), y.numpy()) for x, y in (split.train, split.validation)]
    kind = "classes" if split.classes else "regression"
    start = time.process_time()
    if name in fields.METHODS:
        model = fields.METHODS[name](*pairs, seed)
    else:
        model = baselines.fit(name, *pairs, kind=kind, seed=seed)
    seconds = time.process_time() - start

    def predict(x: Tensor) -> Tensor:
        y = torch.from_numpy(model.predict(x.double().numpy()))
        return y.clamp(min=1e-6).log() if split.classes else y

    error = errors(predict, split.validation, split.spread)["error"]
    test = errors(predict, split.test, split.spread)
    if split.classes and settings["task"].startswith("real:"):
        test |= calibration(predict, split.test)
    return _of_baseline(model.parameters, seconds, error, test, model.note)


def _fit_frames(settings: Settings, seed: int) -> dict[str, Any]:
    """The same of a method that takes the table as it is."""
    from . import fields

    data, frames = _real_frames(settings["task"].partition(":")[2], seed)
    prepared = prepare(frames[0], data.target, kind=data.kind)
    start = time.process_time()
    model = fields.real_mlp(frames[:2], data.target, prepared.classes, seed)
    seconds, found = time.process_time() - start, []
    for frame in frames[1:]:
        y = torch.from_numpy(model.predict(frame)).double()
        if prepared.classes:
            y = y.clamp(min=1e-6).log()
        else:
            y = (y - prepared.mean) / prepared.deviation
        targets = prepared.targets(frame)
        spread = 1.0 if prepared.classes else targets.double().std().item()
        found.append(errors(lambda _, y=y: y, (y, targets), spread))
        if prepared.classes:
            found[-1] |= calibration(lambda _, y=y: y, (y, targets))
    return _of_baseline(model.parameters, seconds, found[0]["error"], found[1], model.note)


NAIVE = "a season ago", "the last value"  # of a series


def _predict_from_before(settings: Settings) -> dict[str, Any]:
    """What came before in a series, in its own units, as the prediction."""
    series = table(settings["task"].partition(":")[2])
    column = series.seasonal if settings["baseline"] == "a season ago" else 0
    order = torch.arange(len(series.inputs))
    _, validation, test = (
        errors(lambda x: x[:, column, None], (x, y), y.std())
        for x, y in _parts(series.inputs, series.targets, order, SHARES)
    )
    return _of_baseline(0, 0.0, validation["error"], test, "nothing was learned")


def _of_baseline(
    parameters: int, seconds: float, error: float, test: dict[str, float], note: str
) -> dict[str, Any]:
    error = trials.rounded(error, 6)
    result = trials.told_at_once(parameters, trials.rounded(seconds, 4), error)
    result |= {"validation_error": error, "best_step": 0, "note": note}
    return result | _on_test(test)


def evaluations(settings: Settings) -> int:
    """How often a run computes the loss and its gradient; what a baseline's time is worth."""
    return 1000 if "baseline" in settings else trials.evaluations(settings)
