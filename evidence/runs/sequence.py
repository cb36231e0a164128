"""Does a network forget? Tasks that come in phases, one after the other, none of them twice.

Each phase is a training of its own, as in PyKAN's demonstration: with a fresh optimizer, whose
rate falls to zero. (One that is kept would go on moving coefficients that the new phase does not
touch, by its momentum.) ``plan.md`` has the hypotheses, part J.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kanbook import splines, training
from kanbook.layers import run_and_record

from ..design import Measurement, experiment
from ..settings import ALL, Settings, kan, mlp, sized
from . import contest_run, trials

Samples = tuple[Tensor, Tensor]
REPLAY = 0.1  # share of a phase's samples that are kept for the later ones
PEAKS = -0.8, -0.4, 0.0, 0.4, 0.8  # as in PyKAN's Example_8_continual_learning
# Apart on both axes; rotated by 45 degrees, every one has its place on each axis with another.
HILLS = (-0.75, -0.25), (-0.25, -0.75), (0.25, 0.75), (0.75, 0.25)
RADIUS, SPREAD = 0.2, 0.06  # of what a phase shows around its place; of a hill


class Phases(NamedTuple):
    """For each phase, inputs ``(N, I)`` and targets ``(N, 1)``, or classes ``(N,)``; three parts.

    ``spread`` is the standard deviation of all test targets together; 1 for classes.
    """

    train: list[Samples]
    validation: list[Samples]
    test: list[Samples]
    spread: float = 1.0


def peaks(x: Tensor) -> Tensor:
    """PyKAN's five peaks in a row: ``(N, 1)`` to ``(N, 1)``."""
    return sum((-300 * (x - center) ** 2).exp() for center in PEAKS)


def hills(x: Tensor) -> Tensor:
    """Four round hills of standard deviation 0.06: ``(N, 2)`` to ``(N, 1)``."""
    squares = ((x.unsqueeze(1) - x.new_tensor(HILLS)) / SPREAD).square().sum(-1)
    return (-squares / 2).exp().sum(-1, keepdim=True)


def make_phases(settings: Settings, seed: int) -> Phases:
    """Return the samples of all phases, by ``task``, ``dtype`` and ``input_scale`` of the settings.

    The seed is of the samples, or of who is in which part; PyKAN's samples to learn have none.
    """
    generator = torch.Generator().manual_seed(10_000 + seed)
    dtype, scale = getattr(torch, settings["dtype"]), settings.get("input_scale", 1)
    name = settings["task"].partition(":")[2]
    if name == "digits":  # two of them in a phase
        parts = contest_run.make_split(settings | {"task": "table:digits"}, seed)[:3]
        return Phases(*([(x[y // 2 == p], y[y // 2 == p]) for p in range(5)] for x, y in parts))

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1

    def disk(n: int) -> Tensor:
        angle, radius = math.pi * uniform(n), ((1 + uniform(n)) / 2).sqrt()
        return radius.unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], 1)

    turn = torch.eye(1 if name == "peaks" else 2, dtype=torch.float64)
    if name == "peaks":
        centers, function = torch.tensor(PEAKS).double().unsqueeze(1), peaks
        even = torch.linspace(-1, 1, 100, dtype=torch.float64).unsqueeze(1)
        around = [even for _ in PEAKS], *([uniform(n, 1) for _ in PEAKS] for n in (100, 400))
    elif name in ("hills", "rotated hills"):
        centers, function = torch.tensor(HILLS).double(), hills
        around = [[disk(400) for _ in HILLS] for _ in range(3)]
        if name == "rotated hills":
            turn = turn.new_tensor([[1, 1], [-1, 1]]) / 2**0.5
    else:
        raise ValueError(
            f"task={settings['task']!r}; expected sequence:peaks, hills, rotated hills or digits"
        )

    def sample(center: Tensor, shift: Tensor) -> Samples:
        x = center + RADIUS * shift
        return (scale * x @ turn).to(dtype), function(x).to(dtype)

    parts = [[*map(sample, centers, part)] for part in around]
    return Phases(*parts, joined(parts[2])[1].double().std().item())


def joined(phases: Iterable[Samples]) -> Samples:
    return tuple(map(torch.cat, zip(*phases, strict=True)))


def lessons(phases: list[Samples], way: str, generator: torch.Generator) -> list[Samples]:
    """What is learned, one after the other: the phases "in turn", or all "at once", or by "replay".

    That is in turn, together with a random tenth of the samples of each earlier phase.
    """
    if way == "at once":
        return [joined(phases)]
    every, kept = [], []
    for x, y in phases:
        every.append(joined([(x, y), *kept]))
        some = torch.randperm(len(x), generator=generator)[: round(REPLAY * len(x))]
        kept += [(x[some], y[some])] if way == "replay" else []
    return every


@torch.no_grad()
def error(model: nn.Module, samples: Samples, spread: float) -> tuple[float, float]:
    """The loss, mean square or log-loss, and the error: RMSE in spreads, or the share of wrong."""
    x, y = samples
    output = model(x).double()
    if y.ndim == 1:
        wrong = (output.argmax(-1) != y).double().mean().item()
        return nn.functional.cross_entropy(output, y).item(), wrong
    loss = (output - y).square().mean().item()
    return loss, loss**0.5 / spread


@torch.no_grad()
def shared(model: nn.Module, before: Tensor, now: Tensor) -> list[float]:
    """For each layer of splines, how much of what one set of inputs uses another uses, too.

    Of the B-splines (of all inputs of the layer) that are not zero at some sample of ``before``,
    ``(N, I)``, the share that is in use at some sample of ``now``, too; NaN if there are none.
    """

    def used(x: Tensor) -> list[Tensor]:
        _, calls = run_and_record(model, x)
        return [(splines.basis(x, layer.knots, layer.degree) > 0).any(0) for layer, x in calls]

    pairs = zip(used(before), used(now), strict=True)
    return [b[a].double().mean().item() for a, b in pairs]


@torch.no_grad()
def moved(model: nn.Module, before: nn.Module) -> list[float]:
    """For each parameter tensor, the share that moved by over 1 % of their root mean square."""
    pairs = zip(model.parameters(), before.parameters(), strict=True)
    far = [(a - b).abs() > 0.01 * b.square().mean().sqrt() for a, b in pairs]
    return [share.double().mean().item() for share in far]


@trials.ready()
def learn_in_phases(settings: Settings, seed: int, *, device: str = "cpu", **how: Any) -> dict:
    """Train one network, phase by phase, and test it on all phases after each.

    ``settings`` are a network, a ``task``, the ``way`` of :func:`lessons`, and the ``steps`` of all
    phases together.

    Returns:
        As :func:`~evidence.runs.trials.run_trial`, except: ``loss``, of validation samples of all
        phases (mean square, or log-loss of classes), which chooses the learning rate;
        ``test_error``, of test samples of all phases together (RMSE in their spreads, or log-loss),
        and ``accuracy`` of classes. In ``probes``, for each lesson, the ``errors`` on the test
        samples of every phase after it (RMSE in spreads of all, or the share that is wrong); what
        :func:`moved` in it; and what it :func:`shared` with all earlier ones, from the second on.
    """
    generator = torch.Generator().manual_seed(seed)
    model = trials.make_model(settings, generator=generator, device=device)
    *parts, spread = make_phases(settings, seed)
    train, validation, test = ([(x.to(device), y.to(device)) for x, y in part] for part in parts)
    todo, classes = lessons(train, settings["way"], generator), train[0][1].ndim == 1
    steps = settings["steps"] // len(todo)
    watch = trials.Watch(steps * len(todo), device=device, **how)
    history, probes = watch.history, []

    def note(step: int, lesson: training.History) -> None:
        history.loss.append(lesson.loss[-1])
        history.evaluations = len(history.loss)
        history.evaluations_at.append(history.evaluations)
        watch.note(len(history.loss), history)
        watch.end_in_time()

    options = trials.fit_options(settings | {"steps": steps}) | {"callback": note}
    if classes:
        options["loss"] = nn.functional.cross_entropy
    with trials.quietly():
        for number, lesson in enumerate(todo):
            before = copy.deepcopy(model)
            if training.fit(model, *lesson, **options).diverged:
                history.diverged = True
                break
            errors = [error(model, phase, spread)[1] for phase in test]
            probe = {"errors": errors, "moved": moved(model, before)}
            if number:
                earlier = joined(train[:number])[0]
                probe["shared"] = shared(model, earlier, train[number][0])
            probes.append(
                {k: [trials.rounded(v, 4) for v in values] for k, values in probe.items()}
            )
    watch.spent, none = watch.seconds, (math.nan, math.nan)
    held_out, tested = (
        none if history.diverged else error(model, joined(part), spread)
        for part in (validation, test)
    )
    result = watch.told(model, held_out[0])
    result["test_error"] = trials.rounded(tested[0] if classes else tested[1], 6)
    result["probes"] = probes
    return result | ({"accuracy": trials.rounded(1 - tested[1], 6)} if classes else {})


def settings() -> Iterable[Settings]:
    """Does a KAN keep what it has learned while it learns the next thing?"""
    base = {"optimizer": "adam", "dtype": "float32"}
    shallow, deep = {"contestant": "KAN, one layer"}, {"contestant": "KAN, two layers"}
    extras = kan(200, widths=[1, 1], **ALL) | {"contestant": "KAN, one layer, extras"}
    perceptron = mlp(contestant="MLP")
    row = base | {"task": "sequence:peaks", "steps": 2000, "size": 203}
    every = [
        row | kan(200, widths=[1, 1]) | shallow,
        row | extras,
        row | kan(31, widths=[1, 3, 1]) | deep,
    ]
    every += [sized(row | perceptron | {"input_scale": 3}, 203, 2, ends=(1, 1))]
    for name in ("hills", "rotated hills"):
        row = base | {"task": f"sequence:{name}", "steps": 2000, "size": 400}
        every += [row | kan(197, widths=[2, 1]) | shallow, row | kan(24, widths=[2, 5, 1]) | deep]
        every += [sized(row | perceptron | {"input_scale": 3}, 400, 2, ends=(2, 1))]
    row = base | {"task": "sequence:digits", "steps": 500, "size": 5120}
    every += [
        row | kan(5, widths=[64, 10]) | shallow,
        row | kan(3, widths=[64, 10, 10], bias=True, base="silu") | deep,
    ]
    every += [sized(row | perceptron, 5120, 1, ends=(64, 10))]
    for way, row in product(("in turn", "replay", "at once"), every):
        yield row | {"way": way}


EXPERIMENT = experiment(
    "sequence", (17, 19), measurement=Measurement(learn_in_phases), tuning=1.0, minutes=25
)(settings)
