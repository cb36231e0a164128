"""Training: one loop that minimizes a loss and keeps the accounts."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import grids
from ._checks import (
    as_generator,
    check_function,
    check_integer,
    check_like,
    check_number,
    check_pair,
    check_samples,
)
from .layers import named_spline_layers, run_and_record
from .optimizers import Diverged, GradientStepper, LeastSquaresStepper, one_number, trainable

__all__ = ["History", "fit"]


@dataclass(repr=False)
class History:
    """What happened during :func:`fit`, in lists with one entry per step.

    Attributes:
        loss: training loss at every step, before that step's update and without the penalty.
        validation_loss: the same on the validation data; empty if there are none.
        evaluations_at: number of the evaluation, from 1, that gave this entry of ``loss``.
        seconds_at: seconds from the start to that evaluation's end.
        evaluations: how often the loss and its gradient were computed on a batch, in all. With
            ``"lm"`` the equations of a step count as (3 + P // 50) a model output for P
            parameters, and each move that was tried as 1.
        seconds: wall-clock time of the call, all of it.
        best_step: with ``patience``, the model is as it was before the update of this step.
        diverged: whether training stopped because a number was no longer finite.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    evaluations_at: list[int] = field(default_factory=list)
    seconds_at: list[float] = field(default_factory=list)
    evaluations: int = 0
    seconds: float = 0.0
    best_step: int | None = None
    diverged: bool = False

    def __post_init__(self) -> None:
        self._start = time.perf_counter()

    def __repr__(self) -> str:
        losses = f"loss {self.loss[0]:.3g} to {self.loss[-1]:.3g}, " if self.loss else ""
        diverged = "diverged, " if self.diverged else ""
        return f"History({len(self.loss)} steps, {losses}{diverged}{self.seconds:.3g} seconds)"

    def record(self, loss: float) -> None:
        """Add the loss of a step, which has just been evaluated."""
        self.loss.append(loss)
        self.evaluations_at.append(self.evaluations)
        self.seconds_at.append(self.elapsed())

    def elapsed(self) -> float:
        return time.perf_counter() - self._start


@contextmanager
def _with_gradients():
    """And without torch.autocast's cache, which would keep weights as they were when first cast."""
    cached = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        with torch.enable_grad():
            yield
    finally:
        torch.set_autocast_cache_enabled(cached)
        torch.clear_autocast_cache()


@_with_gradients()
def fit(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    optimizer: str | Callable[..., torch.optim.Optimizer] = "adam",
    steps: int = 1000,
    lr: float | None = None,
    batch_size: int | None = None,
    schedule: Callable[[float], float] | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    penalty: Callable[[nn.Module], Tensor] | None = None,
    validation: tuple[Tensor, Tensor] | None = None,
    patience: int | None = None,
    update_grid_at: Collection[int] = (),
    extend_grid_at: Mapping[int, int] | None = None,
    restart_at: Collection[int] = (),
    callback: Callable[[int, History], None] | None = None,
    progress: bool = False,
    generator: int | torch.Generator | None = None,
) -> History:
    """Train ``model`` to map ``inputs`` to ``targets``, in place.

    Args:
        model: maps ``(N, I)`` to ``(N, O)``.
        inputs: shape ``(N, I)``.
        targets: shape ``(N, O)``; with a ``loss`` of your own, whatever that takes for N samples.
        optimizer: ``"adam"`` (Kingma and Ba, 2015), ``"sgd"`` (plain gradient steps, no momentum),
            ``"lbfgs"`` (:class:`kanbook.optimizers.LBFGS`: a step is up to 20 iterations on the
            same batch) or ``"lm"`` (:class:`kanbook.optimizers.LevenbergMarquardt`: a step is one
            move that lowers the mean squared error of all samples, or none; no ``lr``,
            ``schedule``, ``batch_size``, ``loss`` or ``penalty``). Or a function of parameters,
            and of ``lr`` if that is given, such as ``torch.optim.AdamW``.
        steps: number of updates.
        lr: learning rate, > 0. If not given, 0.01 for Adam, 0.1 for SGD, 1 for L-BFGS, and the
            default of an optimizer of your own.
        batch_size: samples per step, drawn without repeats until all have been seen; all if not
            given.
        schedule: function of the progress (step - 1) / steps that returns a factor >= 0 on the
            learning rate for that step, ``lambda t: 1 - t`` say; constant if not given.
        loss: function of outputs and targets that returns one number, such as
            ``torch.nn.functional.cross_entropy``; the mean squared error if not given.
        penalty: function of the model whose value, one number, is minimized together with the loss.
        validation: (inputs, targets) whose loss is recorded at every step, never trained on.
        patience: stop when the validation loss has had no new minimum for so many steps. Whether
            or not it comes to that, the model ends as it was at the minimum.
        update_grid_at: steps, from 1, before which :func:`kanbook.grids.update_grid` moves knots.
        extend_grid_at: the grid size that :func:`kanbook.grids.extend_grid` gives the model before
            a step, by step, after an update at the same step. Both change what the coefficients
            mean, so a fresh optimizer follows.
        restart_at: steps before which the optimizer is made anew, nothing else.
        callback: called after every step with the step number (from 1) and the history so far.
        progress: show a progress bar with the loss.
        generator: of the order of mini-batches, on the CPU, or a number to start one from;
            PyTorch's global one if not given.

    Returns:
        The :class:`History`. Training stops with a ``RuntimeWarning`` and ``diverged`` set if the
        loss at the start of a step is not finite, or if an update makes a parameter infinite or
        NaN; that update is taken back. Another ``RuntimeWarning`` says, at the start or the end,
        if most inputs of a spline layer lie beyond its outermost knots, where splines are zero; and
        one at the start, if targets have a mean beyond 10 standard deviations, or one of these not
        from 0.01 to 100, and the model is no better than their mean (not with a ``loss``).

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range; samples do not fit
            or are not finite; the model has nothing to train, no grid to change or too many
            parameters for ``"lm"``. The model is then unchanged.

    Example:
        >>> from kanbook.networks import KAN
        >>> x = torch.linspace(-1, 1, 50).unsqueeze(-1)
        >>> history = fit(KAN([1, 1]), x, x**2, steps=300, lr=0.05)
        >>> history.loss[-1] < 1e-3, history.evaluations
        (True, 300)
        >>> model = KAN([1, 1], grid_size=3)
        >>> history = fit(model, x, x.abs(), optimizer="lm", steps=8, extend_grid_at={5: 12})
        >>> history.loss[-1] < history.loss[3] / 2, model[0].grid_size
        (True, 12)

    In the book: chapters 3, 5 and 7 to 9.
    """
    history = History()
    extend_grid_at = {} if extend_grid_at is None else extend_grid_at
    functions = {"loss": loss, "penalty": penalty, "schedule": schedule, "callback": callback}
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}; expected an nn.Module")
    trainable(model)  # an error, if there is none
    _check_numbers(steps, lr, batch_size, functions)
    factors = _factors(schedule, steps)
    _check_samples(inputs, targets, validation, patience, any_targets=loss is not None)
    _check_changes(model, steps, update_grid_at, extend_grid_at, restart_at)
    objective = _mean_squared_error if loss is None else loss
    inputs, targets = inputs.detach(), targets.detach()
    samples = inputs, targets, history
    if optimizer == "lm":
        unused = {"lr": lr, "batch_size": batch_size, "schedule": schedule, "penalty": penalty}
        largest = max(extend_grid_at.values(), default=0)
        stepper = LeastSquaresStepper(model, *samples, largest, loss=loss, **unused)
    else:
        stepper = GradientStepper(model, *samples, objective, penalty, optimizer, lr)
    output, calls = _try_out(model, inputs, targets, objective, penalty, validation)
    if len(update_grid_at):
        grids.check_calls(model, calls)
    watch = validation and Validation(model, validation, objective, patience, history)
    batches = _batches(len(inputs), batch_size, as_generator(generator))
    if loss is None:
        _warn_of_raw(targets.float(), output.float())
    problem = None

    with _off_grid_warnings(model, inputs, calls, history, at_start=1 not in update_grid_at):
        stepper.restart()
        try:
            for step in (bar := tqdm(range(1, steps + 1), disable=not progress, unit="step")):
                changed = _change_grid(model, inputs, step, update_grid_at, extend_grid_at)
                if changed or step in restart_at:
                    stepper.restart()
                if watch and watch.record_or_stop(step):
                    break
                last = stepper.step(next(batches), factors[step - 1])
                bar.set_postfix_str(f"loss={last:.3g}", refresh=False)
                if callback is not None:
                    callback(step, history)
        except Diverged as reason:
            history.diverged, problem = True, reason
        for parameter in trainable(model):
            parameter.grad = None
        if watch:
            watch.restore_best(steps)
    history.seconds = history.elapsed()
    if problem is not None:
        advice = stepper.advice + (" or larger batches" if batch_size else "")
        if not math.isfinite(history.loss[0]):
            advice = "nothing was trained yet, so look at the model and the scale of the data"
        message = f"{problem}, training stopped; {advice}"
        warnings.warn(message, RuntimeWarning, stacklevel=3)  # the caller
    return history


class Validation:
    """The validation loss of every step and, with patience, the model where it was least."""

    def __init__(self, model, data, objective, patience, history) -> None:
        self.model, (self.inputs, self.targets), self.objective = model, data, objective
        self.patience, self.history = patience, history
        self.least, self.best_state = math.inf, None

    def record_or_stop(self, step: int) -> bool:
        """Whether patience is at an end; else the loss before the update is recorded."""
        loss = self.look(step)
        if self.patience is not None and step - (self.history.best_step or 0) >= self.patience:
            return True  # before the lists differ in length
        self.history.validation_loss.append(loss)
        return False

    def look(self, step: int) -> float:
        """The loss before the update of this step; keep the model if it is the least."""
        output, _ = run_and_record(self.model, self.inputs)
        loss = self.objective(output, self.targets).item()
        if self.patience is not None and loss < self.least:
            self.least, self.history.best_step = loss, step
            self.best_state = copy.deepcopy(self.model.state_dict())
        return loss

    def restore_best(self, steps: int) -> None:
        finished = len(self.history.loss) == steps and not self.history.diverged
        if self.patience is not None and finished:
            self.look(steps + 1)
        if self.best_state is not None:
            self.model.load_state_dict(self.best_state)


def _change_grid(model, inputs, step, update_grid_at, extend_grid_at) -> bool:
    """Change the knots where it is their step; return whether it is."""
    if step in update_grid_at:
        grids.update_grid(model, inputs)
    if step in extend_grid_at:
        grids.extend_grid(model, inputs, extend_grid_at[step])
    return step in update_grid_at or step in extend_grid_at


def _batches(n, batch_size, generator):
    """Yield indices of mini-batches for ever, in a new random order in each pass over the data."""
    if batch_size is None or batch_size >= n:
        while True:
            yield slice(None)
    while True:
        yield from torch.randperm(n, generator=generator, device="cpu").split(int(batch_size))


def _mean_squared_error(output, targets):
    if output.shape != targets.shape:  # else the difference would be broadcast, and wrong
        raise ValueError(
            f"targets of shape {tuple(targets.shape)} meet an output of shape "
            f"{tuple(output.shape)}; expected equal shapes"
        )
    return (output - targets).square().mean()


@contextmanager
def _off_grid_warnings(model, inputs, calls, history, at_start):
    """Warn of inputs where splines are zero: at the start, and at the end of those new since."""
    before = _off_grid(model, calls)
    if before and at_start:
        _warn(before.values(), "scale the inputs to the domain, or update_grid(model, inputs)")
    yield
    if history.loss and not history.diverged:
        now = _off_grid(model, run_and_record(model, inputs)[1])
        new = [f"by now {text}" for name, text in now.items() if name not in before]
        if new:
            _warn(new, "try a lower learning rate, warm-up, or update_grid_at")


def _warn(described, advice):
    # Past contextlib, twice, and fit, to the caller.
    warnings.warn(f"{'; '.join(described)}; {advice}", RuntimeWarning, stacklevel=6)


def _off_grid(model, calls):
    """What to say of layers most of whose inputs lie beyond their knots, by name."""
    names, described = {layer: name for name, layer in named_spline_layers(model).items()}, {}
    for layer, x in calls:
        low, high = layer.knots[:, 0], layer.knots[:, -1]
        share = ((x < low) | (x > high)).double().mean().item()
        if share > 0.5:
            described[names[layer]] = (
                f"{share:.0%} of the inputs of {grids.label(names[layer])} lie beyond its "
                f"outermost knots, {low.min().item():.3g} to {high.max().item():.3g}, where "
                f"splines are {'constant' if layer.clamp else 'zero and learn nothing'}"
            )
    return described


def _warn_of_raw(targets, output):
    """Targets on a scale on which no step of usual length is right, unless the model is there."""
    mean, spread = targets.mean(0), targets.std(0, correction=0)
    raw = (mean.abs() > 10 * spread) | (spread < 0.01) | (spread > 100)
    far = (targets - output).square().mean(0) > spread.square()
    for column in (raw & far & (targets.amax(0) > targets.amin(0))).nonzero()[:1, 0]:
        message = (
            f"targets[:, {column}] has mean {mean[column]:.3g} and standard deviation "
            f"{spread[column]:.3g}; subtract the one and divide by the other, as outputs start "
            "with numbers near 1, and undo it in predictions"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=4)  # the caller of fit


def _factors(schedule, steps):
    """What the learning rate of every step is multiplied by."""
    factors = [1.0 if schedule is None else schedule(step / steps) for step in range(steps)]
    for step, factor in enumerate(factors):
        check_number(f"schedule({step / steps:.6g})", factor, minimum=0)
    return factors


def _check_numbers(steps, lr, batch_size, functions):
    check_integer("steps", steps, 0)
    if lr is not None:
        check_number("lr", lr, minimum=0, positive=True)
    if batch_size is not None:
        check_integer("batch_size", batch_size, 1)
    for name, function in functions.items():
        if function is not None:
            check_function(name, function)


def _check_samples(inputs, targets, validation, patience, any_targets):
    check_samples("inputs", inputs, "targets", targets, any_targets=any_targets)
    if validation is not None:
        check_pair("validation", validation)
        names = "validation inputs", "validation targets"
        check_samples(names[0], validation[0], names[1], validation[1], any_targets=any_targets)
        check_like(names[0], validation[0], "inputs", inputs)
        for name, part, other in zip(names, validation, (inputs, targets), strict=True):
            if part.shape[1:] != other.shape[1:]:
                wanted = (len(part), *other.shape[1:])
                raise ValueError(f"{name} have shape {tuple(part.shape)}; expected {wanted}")
    if patience is not None:
        check_integer("patience", patience, 1)
        if validation is None:
            raise ValueError(f"patience={patience!r} without validation data; expected both")


def _check_changes(model, steps, update_grid_at, extend_grid_at, restart_at):
    """Refuse steps that never come, and grids that shrink: nothing shall stop a training later."""
    if not isinstance(extend_grid_at, Mapping):
        raise TypeError(f"extend_grid_at={extend_grid_at!r}; expected a dict from steps to sizes")
    changes = {"update_grid_at": update_grid_at, "extend_grid_at": extend_grid_at}
    for name, at in (changes | {"restart_at": restart_at}).items():
        if not isinstance(at, Collection) or isinstance(at, str):
            raise TypeError(f"{name}={at!r}; expected a collection of steps")
        for step in at:
            check_integer(f"{name}: step", step, 1, steps)
    if len(update_grid_at) or extend_grid_at:
        size = max(layer.grid_size for layer in grids.spline_layers(model).values())
        for step in sorted(extend_grid_at):
            check_integer(f"extend_grid_at[{step}]", extend_grid_at[step], size)
            size = extend_grid_at[step]


def _try_out(model, inputs, targets, objective, penalty, validation):
    """Refuse now what would fail later; return the output, and what reached the spline layers."""
    output, calls = run_and_record(model, inputs)
    one_number("loss", objective(output, targets))
    if validation is not None:
        one_number("loss", objective(run_and_record(model, validation[0])[0], validation[1]))
    if penalty is not None:
        one_number("penalty", penalty(model))
    return output, calls
