"""How long a training step and a single prediction of a network take."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median_low
from typing import Any

import torch
from torch import nn

from kanbook import training

from . import contest_run, trials

ROUNDS, WARM_UP = 15, 2  # of all networks in turns; rounds before them that do not count
STEPS, PREDICTIONS = 5, 20  # of a network in a round


@trials.ready()
def time_steps(
    settings: Mapping[str, Any], seed: int = 0, *, rounds: int = ROUNDS, **how: Any
) -> dict[str, Any]:
    """Measure the seconds of a training step and of a single prediction of networks in turns.

    ``models`` says what differs between the networks, the rest is shared; the seed has no effect.
    Of contests, ``batch_size`` counts; else a step takes all samples.

    Returns:
        ``step_seconds`` and, where the ``inputs`` are named, ``prediction_seconds``: for each
        network, the median over the rounds.
    """
    contestants = [_contestant(settings | model) for model in settings["models"]]
    steps: list[list[float]] = [[] for _ in contestants]
    predictions: list[list[float]] = [[] for _ in contestants]
    for turn in range(WARM_UP + rounds):
        for number, (model, samples, options) in enumerate(contestants):
            ends: list[float] = []
            watch = {"callback": lambda *_, ends=ends: ends.append(time.process_time())}
            training.fit(model, *samples, steps=1 + STEPS, **options, **watch)  # 1 for the set-up
            between = time.process_time()
            with torch.no_grad():
                for i in range(PREDICTIONS):
                    model(samples[0][i : i + 1])
            if turn >= WARM_UP:
                steps[number].append((ends[-1] - ends[0]) / STEPS)
                predictions[number].append((time.process_time() - between) / PREDICTIONS)
    result = {"parameters": None, "loss": None, "diverged": False}
    result["step_seconds"] = _medians(steps)
    return result | ({"prediction_seconds": _medians(predictions)} if "inputs" in settings else {})


def _contestant(settings: Mapping[str, Any]) -> tuple[nn.Module, Any, dict[str, Any]]:
    """A network, what it learns, and how."""
    options: dict[str, Any] = {"lr": 1e-4, "generator": 0}
    if ":" in settings["task"]:
        split = contest_run.make_split(settings, 0)
        samples, options["batch_size"] = split.train, settings.get("batch_size")
        options["loss"] = nn.functional.cross_entropy if split.classes else None
    else:
        samples, _ = trials.make_data(settings, 0)
    return trials.make_model(settings, generator=0), samples, options


def _medians(times: list[list[float]]) -> list[float | None]:
    return [trials.rounded(median_low(spent), 4) for spent in times]


def evaluations(settings: Mapping[str, Any]) -> int:
    """How often a loss and its gradient are computed: in every round but the predictions."""
    return STEPS * (WARM_UP + ROUNDS) * len(settings["models"])
