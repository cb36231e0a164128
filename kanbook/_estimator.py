"""What all estimators of networks share: how they scale, hold out, train and choose."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from tqdm import tqdm

from ._checks import check_integer, check_name, check_number
from .counting import count_parameters
from .grids import in_first_half
from .networks import KAN
from .training import History, fit

STEPS = {"adam": 400, "lm": 60}
ALL, BATCH = 2000, 256  # up to so many rows, a step of Adam sees all; else a batch
FRESH = 3  # grid updates of a KAN, restarts of an MLP's optimizer, in the first half

WORK = 1e9  # of a step of Levenberg-Marquardt, at most: rows or parameters, times these squared
WILD = 3  # times the largest answer on the training rows
HELD = 2000  # rows held out, at most
SLACK = 0.1  # of an input's range: of what is that little beyond it, nobody is warned
ROWS = 2**16  # that are predicted at a time

Samples = tuple[Tensor, Tensor]
Settings = dict[str, Any]
Loss = Callable[[Tensor, Tensor], Tensor]


class Trial(NamedTuple):
    """A trained network, and how it did on the rows held out.

    It is wild if its answers run away where inputs come together as in no row: its curves, or
    columns that say the same, cancel each other.
    """

    wild: bool
    error: float
    model: nn.Module
    settings: Settings
    history: History


def loss_of(classes: bool, weighted: bool) -> Loss | None:
    """Of outputs and targets, whose last column are weights, if there are any."""
    if not weighted:
        return cross_entropy if classes else None
    return _weighted_log_loss if classes else _weighted_squares


def _weighted_log_loss(output: Tensor, targets: Tensor) -> Tensor:
    classes, weights = targets.unbind(1)
    return (weights * cross_entropy(output, classes.long(), reduction="none")).mean()


def _weighted_squares(output: Tensor, targets: Tensor) -> Tensor:
    return (targets[:, -1:] * (output - targets[:, :-1]).square()).mean()


def _falling(progress: float) -> float:
    return 1 - progress


def doubled(grid_size: int) -> list[int]:
    """The grids on the way to this one: it, its half, the half of that, no less than 2."""
    return [grid_size] if grid_size < 4 else [*doubled(grid_size // 2), grid_size]


def trial(
    model: nn.Module,
    train: Samples,
    held: Samples,
    loss: Loss | None,
    settings: Settings,
    seed: int,
) -> Trial:
    """Train one network; it ends as it was when it did best on the rows held out."""
    steps = settings["steps"] or STEPS[settings["optimizer"]]
    how: Settings = {"optimizer": "lm"}
    if settings["optimizer"] == "adam":
        batch = settings["batch"] or (BATCH if len(train[0]) > ALL else None)
        how = {"lr": settings["lr"], "schedule": _falling, "batch_size": batch, "loss": loss}
    fresh = {1, *in_first_half(steps, FRESH)}
    if isinstance(model, KAN):
        grids = doubled(settings["own"]["grid_size"])
        finer = {1 + steps * i // len(grids): grid for i, grid in enumerate(grids)}
        how |= {"update_grid_at": fresh | finer.keys(), "extend_grid_at": finer}
    else:
        how["restart_at"] = fresh
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a training that goes wrong loses
        history = fit(
            model, *train, steps=steps, validation=held, patience=steps, generator=seed, **how
        )
    with torch.no_grad():
        error = (loss or mse_loss)(model(held[0]), held[1])
        order = torch.rand(train[0].shape, generator=torch.Generator().manual_seed(seed)).argsort(0)
        apart, together = (model(x).abs().max() for x in (train[0].gather(0, order), train[0]))
    error = error if loss in (cross_entropy, _weighted_log_loss) else error.sqrt()
    error = error.nan_to_num(nan=np.inf).item()
    return Trial(bool(apart > WILD * together), error, model, settings, history)


class NetworkEstimator(BaseEstimator):
    """What all do: scale, hold rows out, train some networks, keep the one that does best there.

    A subclass says which are tried (``_sizes``, ``RATES``), with which options of their ``_own``,
    counts and makes them.
    """

    def _train(self, X: np.ndarray, targets: Tensor, outputs: int, weights: np.ndarray | None):
        """Targets are (N, O), standardized, or classes (N,)."""
        self._check()
        random = check_random_state(self.random_state)
        self._low, self._high = X.min(0), X.max(0)
        if (self._low == self._high).all():
            raise ValueError("X is the same in all rows; expected a column that varies")
        x, classes, ends = self._scaled(X), targets.ndim == 1, (X.shape[1], outputs)
        rows = self._split(len(X), targets if classes else None, random)
        if weights is not None:
            targets = torch.column_stack([targets, torch.from_numpy(weights / weights.mean())])
        parts = [(x[part], targets[part]) for part in rows]
        loss, first = loss_of(classes, weights is not None), int(random.randint(2**31 - 1))
        tried = [*self._tried(ends, len(parts[0][0]), squares=loss is None)]
        bar = tqdm(total=len(tried) + self.starts - 1, disable=not self.progress, unit="training")

        def trained(jobs: Sequence[tuple[Settings, int]]) -> list[Trial]:
            work = (
                delayed(trial)(self._make(ends, settings, seed), *parts, loss, settings, seed)
                for settings, seed in jobs
            )
            run = Parallel(self.n_jobs, return_as="generator")
            return [found for found in run(work) if bar.update() or True]

        with bar:
            done = trained([(settings, first) for settings in tried])
            best = min(done, key=attrgetter("wild", "error")).settings
            done += trained([(best, first + start) for start in range(1, self.starts)])
        best = min(done, key=attrgetter("wild", "error"))
        _, self.validation_error_, self.model_, settings, self.history_ = best
        self.hidden_layer_sizes_, self.lr_ = settings["hidden"], settings["lr"]
        self.optimizer_, self.n_parameters_ = settings["optimizer"], count_parameters(self.model_)
        return self

    def _check(self) -> None:
        if self.hidden_layer_sizes is not None:
            for size in np.ravel(self.hidden_layer_sizes).tolist():
                check_integer("hidden_layer_sizes", size, 1)
        for name in ("parameters", "steps", "starts", "batch_size"):
            if (value := getattr(self, name)) is not None:
                check_integer(name, value, 1)
        if self.lr is not None:
            check_number("lr", self.lr, minimum=0, positive=True)
        check_number("validation_fraction", self.validation_fraction, minimum=0, maximum=0.9)
        check_name("optimizer", self.optimizer, ("auto", *STEPS))
        check_name("beyond", self.beyond, ("warn", "ignore", "raise"))

    def _scaled(self, X: np.ndarray) -> Tensor:
        """Inputs in [-1, 1], those beyond the training range at its edge; 0 for a constant one."""
        span = self._high - self._low
        u = (2 * X - self._low - self._high) / np.where(span > 0, span, np.inf)
        return torch.from_numpy(u.clip(-1, 1))

    def _split(self, n: int, classes: Tensor | None, random: Any) -> Sequence[np.ndarray]:
        """Rows to train on, and those held out; all for both, where there are too few."""
        held = min(HELD, round(self.validation_fraction * n))
        if held < 2:
            return [np.arange(n)] * 2
        if classes is not None:
            counts = classes.bincount()
            classes = classes if counts.min() > 1 and len(counts) <= min(held, n - held) else None
        return train_test_split(np.arange(n), test_size=held, random_state=random, stratify=classes)

    def _tried(self, ends: tuple[int, int], rows: int, squares: bool) -> Iterator[Settings]:
        """What is tried with the first start; Levenberg-Marquardt is for squares alone."""
        if self.optimizer == "lm" and not squares:
            raise ValueError("optimizer='lm' is for regression without weights; expected 'adam'")
        every = ["adam", "lm"] if squares else ["adam"]
        wanted = every if self.optimizer == "auto" else [self.optimizer]
        given = self.hidden_layer_sizes
        sizes = self._sizes() if given is None else [np.ravel(given).astype(int).tolist()]
        for hidden, optimizer in product(sizes, wanted):
            own = self._own(optimizer)
            hidden = self._of_size(ends, tuple(hidden), own)
            count = self._count([ends[0], *hidden, ends[1]], **own)
            if optimizer == "lm" != self.optimizer and max(rows, count) * count**2 > WORK:
                continue
            rates = self.RATES if self.lr is None else (self.lr,)
            for lr in rates if optimizer == "adam" else (None,):
                shared = {"hidden": hidden, "optimizer": optimizer, "lr": lr, "own": own}
                yield shared | {"steps": self.steps, "batch": self.batch_size}

    def _of_size(
        self, ends: tuple[int, int], hidden: tuple[int, ...], own: Settings
    ) -> tuple[int, ...]:
        """All wider or narrower alike, for as nearly ``parameters`` as there can be."""
        if self.parameters is None or not hidden:
            return hidden
        scaled = (
            tuple(max(1, round(first * size / hidden[0])) for size in hidden)
            for first in range(1, self.parameters + 1)
        )

        def miss(sizes: tuple[int, ...]) -> int:
            return abs(self._count([ends[0], *sizes, ends[1]], **own) - self.parameters)

        return min(scaled, key=miss)

    @torch.no_grad()
    def _outputs(self, X: Any) -> Tensor:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        slack = SLACK * (self._high - self._low)
        far = np.maximum(self._low - X, X - self._high) > slack
        if self.beyond != "ignore" and far.any():
            names = ", ".join(np.array(self._names())[far.any(0)][:5])
            message = (
                f"{far.any(1).mean():.1%} of the rows of X lie beyond the training rows, in {names}"
            )
            if self.beyond == "raise":
                raise ValueError(f"{message}; expected rows within their range")
            message += ": they get the prediction at the edge of the training range"
            warnings.warn(message, RuntimeWarning, stacklevel=3)
        return torch.cat([self.model_(x) for x in self._scaled(X).split(ROWS)])

    def _names(self) -> list[str]:
        names = getattr(self, "feature_names_in_", None)
        return [f"x{i + 1}" for i in range(self.n_features_in_)] if names is None else [*names]
