"""What an experiment is: settings, how a run of them is made, and the rule that tunes them.

Every setting of an ``Experiment`` is trained with several seeds. Where one names no learning
rate, the rule of ``RATES`` finds it, the same for every family.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

from . import verification
from .runs import damping, timing, trials
from .settings import Settings
from .table import Table, digest, key

Job = dict[str, Any]  # a run that is still to be made: "run" (its key), "stage", "settings", "seed"

# The rule for learning rates: each of these is tried with the seeds below, which no result uses,
# for a share of the steps; the lowest mean log loss wins, and a run that diverged loses.
RATES = {
    "adam": (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
    "sgd": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    "lbfgs": (1.0,),  # its line search finds the length of a step
    "lm": (None,),  # it has none
}
TUNING_SEEDS = (1000, 1001)


@dataclass(frozen=True)
class Measurement:
    """How a run is made, how long it takes, and how it is verified.

    Attributes:
        run: called with settings and a seed, and by name with ``points``, ``device`` and ``limit``;
            returns what was measured, in JSON types, as :func:`~evidence.runs.trials.run_trial`
            does.
        cost: of settings: how often a run computes the loss and its gradient, about.
        verify: makes a stored run again and compares; None where no second run repeats the first,
            since both measured seconds.
        pinned: whether Levenberg-Marquardt is damped as when the first rows were stored, whatever
            kanbook does today.
    """

    run: Callable[..., dict[str, Any]] = trials.run_trial
    cost: Callable[[Settings], int] = trials.evaluations
    verify: Callable[..., tuple[bool, str]] | None = verification.verify_training
    pinned: bool = True


TIMING = Measurement(timing.time_steps, timing.evaluations, None)


@dataclass(frozen=True)
class Design:
    """What the engine, the command line and the book ask of every experiment.

    A design has ``settings``; it runs them in ``parts()``, one after the other, and says of a part
    which jobs are ``known`` from what is stored. ``total`` counts all jobs before any is made, and
    ``work`` their evaluations.

    Attributes:
        chapters: where the book uses it.
        seeds: how many, 0 to seeds - 1.
        minutes: of one core, that all runs take, about, with the tuning.
        version: changes when a stored table no longer means the same.
    """

    name: str
    question: str
    chapters: tuple[int, ...]
    _: KW_ONLY
    seeds: int = 5
    minutes: int = 0
    version: int = 1
    measurement: Measurement = Measurement()

    POINTS: ClassVar[dict[str, int]]  # of stored loss curves, at most, by the stages there are

    def measured_by(self, settings: Settings) -> Measurement:
        return self.measurement

    def cost(self, settings: Settings) -> int:
        """The evaluations of one run: its share of the time."""
        return self.measured_by(settings).cost(settings)

    def verifiable(self, table: Table) -> list[dict[str, Any]]:
        """The stored runs that a second one can be compared with."""
        return [row for row in table.runs.values() if self.measured_by(row["settings"]).verify]

    def maker(self, job: Job) -> Callable[..., dict[str, Any]]:
        """What makes a job, or a stored run again, when called; takes ``device`` and ``limit``."""
        measured = self.measured_by(job["settings"])
        run = partial(damping.as_stored, measured.run) if measured.pinned else measured.run
        return partial(run, job["settings"], job["seed"], points=self.POINTS[job["stage"]])


@dataclass(frozen=True)
class Experiment(Design):
    """Settings, each with a learning rate that a rule finds where they have no "lr".

    Attributes:
        tuning: share of the steps that a tuning run makes.
        timed: networks that take turns, to measure the seconds of their steps.
    """

    make_settings: Callable[[], Iterable[Settings]]
    _: KW_ONLY
    tuning: float = 0.25
    timed: Callable[[], Iterable[Settings]] = tuple

    POINTS = {"tuning": 8, "result": 60}

    @cached_property
    def settings(self) -> list[Settings]:
        return [*self.make_settings(), *self.timed()]

    @cached_property
    def _timed(self) -> set[str]:
        return {digest(settings) for settings in self.timed()}

    def measured_by(self, settings: Settings) -> Measurement:
        return TIMING if digest(settings) in self._timed else self.measurement

    def parts(self) -> list[list[Settings]]:
        """What is run one after the other: here, all settings at once."""
        return [self.settings]

    def known(self, part: list[Settings], table: Table, seeds: int) -> list[Job]:
        """The jobs that a part is known to need, as far as the stored runs tell.

        First those that tune, then those that count, of all settings the first seed first.
        """
        tuned = [best for settings in part if (best := self.tuned(settings, table))]
        results = [planned("result", settings, seed) for seed in range(seeds) for settings in tuned]
        return [*self.tuning_jobs(part), *results]

    def total(self, seeds: int | None = None) -> int:
        """How many jobs there are."""
        seeds = self.seeds if seeds is None else seeds
        return len(self.tuning_jobs(self.settings)) + seeds * len(self.settings)

    def work(self, seeds: int) -> int:
        """The evaluations of all jobs."""
        tuning = [job["settings"] for job in self.tuning_jobs(self.settings)]
        return sum(map(self.cost, tuning + seeds * self.settings))

    def rates(self, settings: Settings) -> tuple[float, ...]:
        """The learning rates to choose from; none if the settings name theirs, or need none."""
        if "lr" in settings or "optimizer" not in settings:
            return ()
        return RATES[settings["optimizer"]]

    def tuning_settings(self, settings: Settings) -> list[Settings]:
        """The short runs that choose a learning rate for these settings, if there are several."""
        if len(rates := self.rates(settings)) < 2:
            return []
        steps = max(1, round(self.tuning * settings["steps"]))
        settings = {k: v for k, v in settings.items() if k not in ("watch", "then")}
        return [settings | {"steps": steps, "lr": lr} for lr in rates]

    def tuning_jobs(self, part: list[Settings]) -> list[Job]:
        """The jobs that choose learning rates; settings that tune alike share theirs."""
        jobs = [
            planned("tuning", tried, seed)
            for settings in part
            for tried in self.tuning_settings(settings)
            for seed in TUNING_SEEDS
        ]
        return list({job["run"]: job for job in jobs}.values())

    def choose(self, settings: Settings, losses: Mapping[float, list[float | None]]) -> float:
        """Apply the rule to the losses of the tuning runs, by learning rate."""
        return min(self.rates(settings), key=lambda lr: score(losses[lr]))

    def tuned(self, settings: Settings, table: Table) -> Settings | None:
        """The settings of the runs that count; None as long as one that tunes is missing."""
        if not (rates := self.rates(settings)):
            return settings
        losses = {}
        for tried in self.tuning_settings(settings):
            rows = [table.runs.get(key("tuning", tried, seed)) for seed in TUNING_SEEDS]
            if None in rows:
                return None
            losses[tried["lr"]] = [row["loss"] for row in rows]
        return settings | {"lr": self.choose(settings, losses) if losses else rates[0]}


def experiment(name: str, chapters: tuple[int, ...], **options: Any) -> Callable[..., Experiment]:
    """Of a function that yields settings makes an experiment; its docstring is the question."""

    def made(make_settings: Callable[[], Iterable[Settings]]) -> Experiment:
        question = make_settings.__doc__ or ""
        return Experiment(name, question, chapters, make_settings, **options)

    return made


def score(errors: Iterable[float | None]) -> float:
    """What is least for the best: the sum of logarithms, infinite if a run was lost (None)."""
    return sum(math.inf if x is None else math.log(max(x, 1e-300)) for x in errors)


def planned(stage: str, settings: Settings, seed: int) -> Job:
    """A job, under the key that its run will be stored with."""
    what = {"stage": stage, "settings": settings, "seed": seed}
    return {"run": key(**what)} | what
