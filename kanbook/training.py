"""Training: one loop that minimizes the mean squared error and keeps the accounts."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import _checks, grids

__all__ = ["History", "fit"]


@dataclass
class History:
    """What happened during :func:`fit`.

    The lists have one entry per step. A step of one optimizer can cost as much as 26 of another,
    so compare by evaluations or seconds: ``plt.semilogy(history.evaluations_at, history.loss)``.

    Attributes:
        loss: training loss (mean squared error) at every step, before that step's update; that of
            the step's mini-batch, if there are any.
        validation_loss: the same on the validation data; empty if there are none.
        evaluations_at: number of the evaluation, from 1, that gave this entry of ``loss``.
        seconds_at: seconds from the start to that evaluation's end.
        evaluations: how often the loss and its gradient were computed on a batch, in all.
        seconds: wall-clock time of the loop, validation and callback included.
        diverged: whether training stopped because a number was no longer finite.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    evaluations_at: list[int] = field(default_factory=list)
    seconds_at: list[float] = field(default_factory=list)
    evaluations: int = 0
    seconds: float = 0.0
    diverged: bool = False


class LBFGS(torch.optim.LBFGS):
    """PyTorch's L-BFGS with a line search, at home with tiny losses and wild trial points.

    PyTorch ignores curvature pairs whose product is below 1e-10. A mean squared error gets there
    long before float64 is exhausted (not float32), so it is scaled up, which changes no search
    direction; a power of two adds no rounding error. A loss of NaN counts as infinite: comparisons
    with NaN are false, which the line search would take for a reason to go on in that direction.
    """

    def __init__(self, parameters: list[nn.Parameter], lr: float) -> None:
        # tolerance_change is not 0, since the line search divides by the width of its bracket.
        stop = {"max_iter": 20, "tolerance_grad": 0, "tolerance_change": 1e-32}
        super().__init__(parameters, lr, **stop, line_search_fn="strong_wolfe")
        self.scale = 2.0**33 if parameters[0].dtype == torch.float64 else 1.0

    def step(self, closure: Callable[[], Tensor]) -> None:
        group = self.param_groups[0]

        def scaled() -> Tensor:
            loss = closure()
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.mul_(self.scale)
            return self.scale * loss.nan_to_num(nan=math.inf, posinf=math.inf)

        if group["lr"] > 0:  # no search along a line of length 0
            super().step(scaled)


OPTIMIZERS = {  # name: (class, default learning rate)
    "adam": (torch.optim.Adam, 0.01),
    "sgd": (torch.optim.SGD, 0.1),
    "lbfgs": (LBFGS, 1.0),
}


@torch.enable_grad()
def fit(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    optimizer: str = "adam",
    steps: int = 1000,
    lr: float | None = None,
    batch_size: int | None = None,
    schedule: Callable[[float], float] | None = None,
    validation: tuple[Tensor, Tensor] | None = None,
    update_grid_at: Collection[int] = (),
    extend_grid_at: Mapping[int, int] | None = None,
    restart_at: Collection[int] = (),
    callback: Callable[[int, History], None] | None = None,
    progress: bool = False,
    generator: int | torch.Generator | None = None,
) -> History:
    """Train ``model`` to map ``inputs`` to ``targets``, in place, by the mean squared error.

    Args:
        model: maps ``(N, I)`` to ``(N, O)``.
        inputs: shape ``(N, I)``.
        targets: shape ``(N, O)``.
        optimizer: ``"adam"`` (Kingma and Ba, 2015, with PyTorch's defaults), ``"sgd"`` (plain
            gradient steps, no momentum) or ``"lbfgs"`` (Liu and Nocedal, 1989: PyTorch's, with
            strong-Wolfe line search and up to 100 curvature pairs). One step of L-BFGS is up to
            20 iterations on the same batch, 21 to 26 evaluations far from the minimum.
        steps: number of updates.
        lr: learning rate, > 0. If not given, 0.01 for Adam, 0.1 for SGD, 1 for L-BFGS, whose line
            search tries this length first.
        batch_size: samples per step, drawn without repeats until all have been seen; all if not
            given.
        schedule: function of the progress (step - 1) / steps that returns a factor >= 0 on ``lr``
            for that step, ``lambda t: 1 - t`` say; constant if not given.
        validation: (inputs, targets) whose loss is recorded at every step, never trained on.
        update_grid_at: steps, from 1, before which the knots move to where ``inputs`` are
            (:func:`kanbook.grids.update_grid`).
        extend_grid_at: the grid size that the model gets before a step, by step
            (:func:`kanbook.grids.extend_grid`). At a step that is also in ``update_grid_at`` this
            comes first: a finer grid loses less when it moves. Both change what the coefficients
            mean, so a fresh optimizer follows, without old moments or curvature pairs.
        restart_at: steps before which the optimizer is made anew, nothing else. The control that
            shows whether it was the new knots that helped, or the fresh optimizer.
        callback: called after every step with the step number (from 1) and the history so far.
        progress: show a progress bar with the loss.
        generator: source of the order of mini-batches, on the CPU, or a number to start one from;
            PyTorch's global one if not given. The same model, data and generator state give the
            same result.

    Returns:
        The :class:`History`. Training stops with a ``RuntimeWarning`` and ``diverged`` set if the
        loss at the start of a step is not finite, or if an update makes a parameter infinite or
        NaN; that update is taken back. L-BFGS counts a trial point whose loss is not finite as
        infinitely bad and tries shorter lengths.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or shape, out of range or not
            finite, or the model has nothing to train or no grid to change; it is then unchanged.

    Example:
        >>> from kanbook.networks import KAN
        >>> x = torch.linspace(-1, 1, 50).unsqueeze(-1)
        >>> history = fit(KAN([1, 1]), x, x**2, steps=300, lr=0.05)
        >>> history.loss[-1] < 1e-3, history.evaluations
        (True, 300)
        >>> model = KAN([1, 1], grid_size=3)
        >>> history = fit(model, x, x.abs(), optimizer="lbfgs", steps=8, extend_grid_at={5: 12})
        >>> history.loss[-1] < history.loss[3] / 10, model[0].grid_size
        (True, 12)

    In the book: chapters 3, 5 and 9 to 11.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}; expected a torch.nn.Module")
    if not _trainable(model):
        raise ValueError("model has no parameter that requires a gradient; expected at least one")
    _checks.check_pair("inputs", inputs, "targets", targets)
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer={optimizer!r}; expected one of {list(OPTIMIZERS)}")
    make_optimizer, default_lr = OPTIMIZERS[optimizer]
    _checks.check_integer("steps", steps, 0)
    lr = default_lr if lr is None else lr
    _checks.check_number("lr", lr, minimum=0, positive=True)
    if batch_size is not None:
        _checks.check_integer("batch_size", batch_size, 1)
    _checks.check_validation(validation)
    extend_grid_at = {} if extend_grid_at is None else extend_grid_at
    _checks.check_grid_steps(extend_grid_at, update_grid_at, steps)
    _checks.check_steps("restart_at", restart_at, steps)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback={callback!r}; expected a function of step and history")
    generator = _checks.as_generator(generator)
    rates = _rates(lr, schedule, steps)

    grid_changes = {
        step: (extend_grid_at.get(step), step in update_grid_at)
        for step in sorted({*extend_grid_at, *update_grid_at})
    }
    restarts = {*grid_changes, *restart_at}
    rehearsal = copy.deepcopy(model)  # refused now, or never
    for change in grid_changes.values():
        _change_grids(rehearsal, inputs, *change)
    _validate(rehearsal, inputs, targets, "targets")
    if validation is not None:
        _validate(rehearsal, *validation, "validation targets")

    inputs, targets = inputs.detach(), targets.detach()
    updater = make_optimizer(_trainable(model), lr)
    batches = _batches(len(inputs), batch_size, generator)
    history, problem = History(), None
    start = time.perf_counter()
    bar = tqdm(range(1, steps + 1), disable=not progress, unit="step")
    for step in bar:
        if step in grid_changes:
            _change_grids(model, inputs, *grid_changes[step])
        if step in restarts:
            updater = make_optimizer(_trainable(model), lr)
        updater.param_groups[0]["lr"] = rates[step - 1]
        if validation is not None:
            history.validation_loss.append(_validate(model, *validation, "validation targets"))

        batch = next(batches)
        evaluate = partial(_evaluate, model, inputs[batch], targets[batch], updater, history)
        loss = evaluate()
        history.loss.append(loss.item())
        history.evaluations_at.append(history.evaluations)
        history.seconds_at.append(time.perf_counter() - start)
        if not math.isfinite(history.loss[-1]):
            problem = f"loss is {history.loss[-1]} at step {step}"
            break
        if not _update(updater, loss, evaluate):
            problem = f"update of step {step} made a parameter infinite or NaN and is taken back"
            break
        bar.set_postfix_str(f"loss={history.loss[-1]:.3g}", refresh=False)
        if callback is not None:
            callback(step, history)
    updater.zero_grad()
    history.seconds = time.perf_counter() - start
    if problem is not None:
        history.diverged = True
        advice = f"try a learning rate below lr={lr}" + (" or larger batches" if batch_size else "")
        if not math.isfinite(history.loss[0]):
            advice = "nothing was trained yet, so look at the model and the scale of the data"
        message = f"{problem}, training stopped; {advice}"
        warnings.warn(message, RuntimeWarning, stacklevel=3)  # the caller of enable_grad's
    return history


def _trainable(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _rates(lr, schedule, steps):
    """The learning rate of every step."""
    if schedule is None:
        return [lr] * steps
    if not callable(schedule):
        raise TypeError(f"schedule={schedule!r}; expected a function of the training progress")
    factors = {step / steps: schedule(step / steps) for step in range(steps)}
    for progress, factor in factors.items():
        _checks.check_number(f"schedule({progress:.6g})", factor, minimum=0)
    return [lr * float(factor) for factor in factors.values()]


def _change_grids(model, inputs, grid_size, update):
    if grid_size is not None:
        grids.extend_grid(model, inputs, grid_size)
    if update:
        grids.update_grid(model, inputs)


def _batches(n, batch_size, generator):
    """Yield indices of mini-batches for ever, in a new random order in each pass over the data."""
    if batch_size is None or batch_size >= n:
        while True:
            yield slice(None)
    while True:
        yield from torch.randperm(n, generator=generator, device="cpu").split(batch_size)


def _loss(model, inputs, targets, name):
    output = model(inputs)
    if output.shape != targets.shape:  # else the difference would be broadcast, and wrong
        raise ValueError(
            f"{name} of shape {tuple(targets.shape)} meet an output of shape "
            f"{tuple(output.shape)}; expected equal shapes"
        )
    return (output - targets).square().mean()


@torch.no_grad()
def _validate(model, inputs, targets, name):
    """The loss in evaluation mode."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        return _loss(model, inputs, targets, name).item()
    finally:
        for module in training:
            module.training = True


def _evaluate(model, inputs, targets, updater, history):
    """Return the loss, leave its gradient in the parameters, and count."""
    updater.zero_grad()
    loss = _loss(model, inputs, targets, "targets")
    loss.backward()
    history.evaluations += 1
    return loss.detach()


def _update(updater, loss, evaluate):
    """Let the optimizer move the parameters; return False, nothing moved, if not to finite values.

    The optimizer asks for the loss as often as it likes, the first time where the parameters are:
    there it gets the evaluation that has been made already.
    """
    made = [loss]
    parameters = updater.param_groups[0]["params"]
    before = [parameter.detach().clone() for parameter in parameters]
    updater.step(lambda: made.pop() if made else evaluate())
    if all(parameter.isfinite().all() for parameter in parameters):
        return True
    with torch.no_grad():
        for parameter, value in zip(parameters, before, strict=True):
            parameter.copy_(value)
    return False
