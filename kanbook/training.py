"""Training: one loop that minimizes a loss and keeps the accounts."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import _checks, grids
from .layers import SplineLayer, run_and_record

__all__ = ["History", "fit"]


@dataclass
class History:
    """What happened during :func:`fit`.

    The lists have one entry per step. A step of one optimizer can cost as much as 26 of another,
    so compare by evaluations or seconds: ``plt.semilogy(history.evaluations_at, history.loss)``.

    Attributes:
        loss: training loss at every step, before that step's update and without the penalty; that
            of the step's mini-batch, if there are any.
        validation_loss: the same on the validation data; empty if there are none.
        evaluations_at: number of the evaluation, from 1, that gave this entry of ``loss``.
        seconds_at: seconds from the start to that evaluation's end.
        evaluations: how often the loss and its gradient were computed on a batch, in all.
        seconds: wall-clock time of the call, all of it.
        best_step: with ``patience``, the model is as it was before the update of this step; one
            more than the number of steps if the last update was the best.
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
        optimizer: ``"adam"`` (Kingma and Ba, 2015, with PyTorch's defaults), ``"sgd"`` (plain
            gradient steps, no momentum) or ``"lbfgs"`` (Liu and Nocedal, 1989: PyTorch's, with
            strong-Wolfe line search and up to 100 curvature pairs). One step of L-BFGS is up to
            20 iterations on the same batch, 21 to 26 evaluations far from the minimum. Or a
            function of parameters, and of ``lr`` if that is given, such as ``torch.optim.AdamW``.
        steps: number of updates.
        lr: learning rate, > 0. If not given, 0.01 for Adam, 0.1 for SGD, 1 for L-BFGS, whose line
            search tries this length first, and the default of an optimizer of your own.
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
        update_grid_at: steps, from 1, before which the knots move to where ``inputs`` are
            (:func:`kanbook.grids.update_grid`).
        extend_grid_at: the grid size that the model gets before a step, by step
            (:func:`kanbook.grids.extend_grid`). At a step that is also in ``update_grid_at`` the
            update comes first: extension keeps a curve only on its domain. Both change what the
            coefficients mean, so a fresh optimizer follows, without old moments or curvature pairs.
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
        infinitely bad and tries shorter lengths. Another ``RuntimeWarning`` says if most inputs of
        a spline layer lie beyond its outermost knots, where splines are zero and learn nothing: at
        the start, or at the end where it was not so at the start.

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
    start = time.perf_counter()
    _check_model(model)
    _checks.check_integer("steps", steps, 0)
    if lr is not None:
        _checks.check_number("lr", lr, minimum=0, positive=True)
    if batch_size is not None:
        _checks.check_integer("batch_size", batch_size, 1)
    for name, function in (("loss", loss), ("penalty", penalty), ("callback", callback)):
        if function is not None:
            _checks.check_function(name, function)
    _checks.check_samples("inputs", inputs, "targets", targets, any_targets=loss is not None)
    if validation is not None:
        _checks.check_validation(validation, any_targets=loss is not None)
    if patience is not None:
        _checks.check_integer("patience", patience, 1)
        if validation is None:
            raise ValueError(f"patience={patience!r} without validation data; expected both")
    extend_grid_at = {} if extend_grid_at is None else extend_grid_at
    _check_grid_steps(model, update_grid_at, extend_grid_at, steps)
    _checks.check_steps("restart_at", restart_at, steps)
    generator = _checks.as_generator(generator)
    factors = _factors(schedule, steps)
    make_optimizer = _optimizer_maker(optimizer, lr)
    objective = _mean_squared_error if loss is None else loss

    inputs, targets = inputs.detach(), targets.detach()
    output, calls = run_and_record(model, inputs)  # refused now, or never
    _one_number("loss", objective(output, targets))
    if validation is not None:
        _one_number("loss", objective(run_and_record(model, validation[0])[0], validation[1]))
    if penalty is not None:
        _one_number("penalty", penalty(model))
    if update_grid_at:
        grids.check_calls(model, calls)
    lost = _lost(model, calls)
    if 1 not in update_grid_at:
        _warn_of_lost(lost, "")
    updater, rates = make_optimizer(model)
    batches = _batches(len(inputs), batch_size, generator)
    history, problem = History(), None
    best, best_state = math.inf, None

    def evaluate() -> Tensor:
        """Return what is minimized, leave its gradient in the parameters, and count."""
        nonlocal data_loss
        updater.zero_grad()
        data_loss = _one_number("loss", objective(model(inputs[batch]), targets[batch]))
        total = data_loss
        if penalty is not None:
            total = total + _one_number("penalty", penalty(model))
        total.backward()
        history.evaluations += 1
        return total.detach()

    def validate(step: int) -> float:
        """The validation loss before the update of this step; keep the model if it is the least."""
        nonlocal best, best_state
        value = objective(run_and_record(model, validation[0])[0], validation[1]).item()
        if patience is not None and value < best:
            best, history.best_step, best_state = value, step, copy.deepcopy(model.state_dict())
        return value

    bar = tqdm(range(1, steps + 1), disable=not progress, unit="step")
    for step in bar:
        if step in update_grid_at:
            grids.update_grid(model, inputs)
        if step in extend_grid_at:
            grids.extend_grid(model, inputs, extend_grid_at[step])
        if step in update_grid_at or step in extend_grid_at or step in restart_at:
            updater, rates = make_optimizer(model)
        for group, rate in zip(updater.param_groups, rates, strict=True):
            group["lr"] = rate * factors[step - 1]
        if validation is not None:
            value = validate(step)
            if patience is not None and step - (history.best_step or 0) >= patience:
                break  # before the lists differ in length
            history.validation_loss.append(value)

        batch, data_loss = next(batches), None
        total = evaluate()
        history.loss.append(data_loss.item())
        history.evaluations_at.append(history.evaluations)
        history.seconds_at.append(time.perf_counter() - start)
        if not math.isfinite(total.item()):
            problem = f"loss is {total.item()} at step {step}"
            break
        if not _update(model, updater, total, evaluate):
            problem = f"update of step {step} made a parameter infinite or NaN and is taken back"
            break
        bar.set_postfix_str(f"loss={history.loss[-1]:.3g}", refresh=False)
        if callback is not None:
            callback(step, history)
    updater.zero_grad()
    if patience is not None and problem is None and len(history.loss) == steps:
        validate(steps + 1)
    if best_state is not None:
        model.load_state_dict(best_state)
    if problem is None and history.loss:
        now = _lost(model, run_and_record(model, inputs)[1])
        _warn_of_lost({name: text for name, text in now.items() if name not in lost}, "by now ")
    history.seconds = time.perf_counter() - start
    if problem is not None:
        history.diverged = True
        advice = f"try a learning rate below lr={rates[0]}"
        advice += " or larger batches" if batch_size else ""
        if not math.isfinite(history.loss[0]):
            advice = "nothing was trained yet, so look at the model and the scale of the data"
        message = f"{problem}, training stopped; {advice}"
        warnings.warn(message, RuntimeWarning, stacklevel=3)  # the caller of enable_grad's
    return history


def _trainable(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _check_model(model):
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}; expected a torch.nn.Module")
    if not _trainable(model):
        raise ValueError("model has no parameter that requires a gradient; expected at least one")


def _check_grid_steps(model, update_grid_at, extend_grid_at, steps):
    if not isinstance(extend_grid_at, Mapping):
        raise TypeError(f"extend_grid_at={extend_grid_at!r}; expected a dict from steps to sizes")
    _checks.check_steps("update_grid_at", update_grid_at, steps)
    _checks.check_steps("extend_grid_at", [*extend_grid_at], steps)
    if not (update_grid_at or extend_grid_at):
        return
    size = max(layer.grid_size for layer in grids.spline_layers(model).values())
    for step in sorted(extend_grid_at):
        _checks.check_integer(f"extend_grid_at[{step}]", extend_grid_at[step], size)
        size = extend_grid_at[step]


def _factors(schedule, steps):
    """What the learning rate of every step is multiplied by."""
    if schedule is None:
        return [1.0] * steps
    _checks.check_function("schedule", schedule)
    factors = {step / steps: schedule(step / steps) for step in range(steps)}
    for progress, factor in factors.items():
        _checks.check_number(f"schedule({progress:.6g})", factor, minimum=0)
    return [float(factor) for factor in factors.values()]


def _optimizer_maker(optimizer, lr):
    """A function that makes the optimizer of a model anew, and tells its learning rates."""
    if isinstance(optimizer, str) and optimizer in OPTIMIZERS:
        optimizer, default = OPTIMIZERS[optimizer]
        lr = default if lr is None else lr
    elif isinstance(optimizer, str) or not callable(optimizer):
        raise ValueError(
            f"optimizer={optimizer!r}; expected one of {list(OPTIMIZERS)}, or a function of "
            "parameters, such as torch.optim.AdamW"
        )

    def make(model):
        updater = optimizer(_trainable(model), **({} if lr is None else {"lr": lr}))
        if not isinstance(updater, torch.optim.Optimizer):
            raise TypeError(
                f"optimizer returned a {type(updater).__name__}; expected a torch.optim.Optimizer"
            )
        return updater, [group["lr"] for group in updater.param_groups]

    return make


def _batches(n, batch_size, generator):
    """Yield indices of mini-batches for ever, in a new random order in each pass over the data."""
    if batch_size is None or batch_size >= n:
        while True:
            yield slice(None)
    while True:
        yield from torch.randperm(n, generator=generator, device="cpu").split(batch_size)


def _mean_squared_error(output, targets):
    if output.shape != targets.shape:  # else the difference would be broadcast, and wrong
        raise ValueError(
            f"targets of shape {tuple(targets.shape)} meet an output of shape "
            f"{tuple(output.shape)}; expected equal shapes"
        )
    return (output - targets).square().mean()


def _one_number(name, value):
    if not isinstance(value, Tensor) or value.numel() != 1:
        what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{name} returned {what}; expected a tensor with one number")
    return value.squeeze()


def _lost(model, calls):
    """What to say of layers most of whose inputs lie where splines are zero, by name."""
    names = {layer: name for name, layer in model.named_modules() if isinstance(layer, SplineLayer)}
    found = {}
    for layer, x in calls:
        low, high = layer.knots[:, 0], layer.knots[:, -1]
        share = ((x < low) | (x > high)).double().mean().item()
        if share > 0.5:
            reach = f"{low.min().item():.3g} to {high.max().item():.3g}"
            found[names[layer]] = (
                f"{share:.0%} of the inputs of {grids.call(names[layer])} lie beyond its outermost "
                f"knots, {reach}, where splines are zero and learn nothing"
            )
    return found


def _warn_of_lost(lost, when):
    """One warning for all of them."""
    if lost:
        advice = "scale the inputs to the domain, or move the knots: update_grid(model, inputs)"
        if when:
            advice = "try a lower learning rate, warm-up, or update_grid_at"
        warnings.warn(f"{when}{'; '.join(lost.values())}; {advice}", RuntimeWarning, stacklevel=4)


def _update(model, updater, total, evaluate):
    """Let the optimizer move the parameters; return False, nothing moved, if not to finite values.

    The optimizer asks for the loss as often as it likes, the first time where the parameters are:
    there it gets the evaluation that has been made already.
    """
    made = [total]
    parameters = _trainable(model)
    before = [parameter.detach().clone() for parameter in parameters]
    updater.step(lambda: made.pop() if made else evaluate())
    if all(parameter.isfinite().all() for parameter in parameters):
        return True
    with torch.no_grad():
        for parameter, value in zip(parameters, before, strict=True):
            parameter.copy_(value)
    return False
