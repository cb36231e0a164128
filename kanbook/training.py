"""Training: one loop that minimizes a loss and keeps the accounts."""

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
        evaluations: how often the loss and its gradient were computed on a batch, in all. With
            ``"lm"`` the equations of a step count as (3 + P // 50) a model output for P
            parameters, and each move that was tried as 1: measured for KANs; for MLPs, whose
            gradients cost less, it is two to four times too few.
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


class LevenbergMarquardt(torch.optim.Optimizer):
    r"""Least squares: a step goes where the sum of squares would be least, were the model linear.

    With r the residuals of all outputs of all samples, J their Jacobian and d the step,

    .. math:: (J^T J + \mu D)\, d = -J^T r, \qquad D = \mathrm{diag}(J^T J) .

    The damping mu ties the parameters to where they are. If the sum of squares falls, the step is
    made and mu divided by 10. Else mu is doubled and another d tried, until it falls or d is too
    short for that. Marquardt multiplied by 10, too; with 2, all of ten KANs learned to multiply to
    a loss below 1e-20, with 10 three of them; of another ten, nine and one. No element of D counts
    as less than ``FLOOR`` times the largest, so that a coefficient that hardly any sample sees
    stays near its place.

    Source: Marquardt (1963); Madsen, Nielsen and Tingleff, "Methods for Non-Linear Least Squares
    Problems" (2004), section 3.2.
    """

    def __init__(
        self,
        parameters: list[nn.Parameter],
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        history: History,
    ) -> None:
        super().__init__(parameters, {"lr": 1.0})
        self.model, self.inputs, self.targets, self.history = model, inputs, targets, history
        self.sizes = [parameter.numel() for parameter in parameters]
        self.damping, self.stuck_at = DAMPING, None
        self.by_layers = _is_made_of_layers(model, inputs[:2])

    @torch.no_grad()
    def linearize(self) -> Tensor:
        """Compute J'J and J'r where the parameters are, in float64; return the mean square of r."""
        size, outputs = sum(self.sizes), self.targets.shape[1]
        total = torch.zeros(1, dtype=torch.float64, device=self.targets.device)
        square, slope = total.new_zeros(size, size), total.new_zeros(size)
        rows = max(1, HELD // (size * outputs))
        for x, y in zip(self.inputs.split(rows), self.targets.split(rows), strict=True):
            output, jacobians = _jacobian(self.model, x, self.by_layers)
            residuals = (output - y).double()
            total += residuals.square().sum()
            for r, jacobian in zip(residuals.unbind(1), jacobians, strict=True):
                jacobian = jacobian.double()
                square.addmm_(jacobian.T, jacobian)
                slope.addmv_(jacobian.T, r)
        self.total, self.square, self.slope = total, square, slope
        self.history.evaluations += outputs * (3 + size // 50)
        return total.squeeze() / self.targets.numel()

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> None:
        """Make one move from where ``linearize`` was called, or none if none helps."""
        if self.total == self.stuck_at:
            return
        parameters = self.param_groups[0]["params"]

        def move_to(place: Tensor) -> None:
            for parameter, value in zip(parameters, place.split(self.sizes), strict=True):
                parameter.copy_(value.view_as(parameter))

        before = torch.cat([parameter.flatten() for parameter in parameters]).double()
        diagonal = self.square.diagonal()
        scale = diagonal.clamp(min=FLOOR * diagonal.max().item() or 1.0).sqrt()
        matrix = self.square.div_(scale).div_(scale.unsqueeze(1))  # D is the identity now
        undamped = matrix.diagonal().clone()
        while self.damping < 1e8:
            matrix.diagonal().copy_(undamped + self.damping)
            factor, failed = torch.linalg.cholesky_ex(matrix)
            if not failed:
                move = torch.cholesky_solve((self.slope / scale).unsqueeze(1), factor).squeeze(1)
                move_to(before - move / scale)
                residuals = (self.model(self.inputs) - self.targets).double()
                self.history.evaluations += 1
                if residuals.square().sum() < self.total:
                    self.damping = max(1e-16, self.damping / 10)
                    return
            self.damping *= 2
        move_to(before)
        self.damping, self.stuck_at = DAMPING, self.total


# Of Levenberg-Marquardt: the damping at the start, see there, numbers of a Jacobian that are held
# at a time, most parameters.
DAMPING, FLOOR, HELD, MOST = 1e-3, 1e-6, 2**20, 5000

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
            gradient steps, no momentum), ``"lbfgs"`` (Liu and Nocedal, 1989: PyTorch's, with
            strong-Wolfe line search and up to 100 curvature pairs) or ``"lm"``
            (Levenberg-Marquardt: Marquardt, 1963). One step of L-BFGS is up to 20 iterations on
            the same batch, 21 to 26 evaluations far from the minimum. One of
            Levenberg-Marquardt is one move that lowers the mean squared error of all samples, or
            none if none does. It is for a few thousand parameters at most, takes no ``lr``,
            ``schedule``, ``batch_size``, ``loss`` or ``penalty``, and needs a model in which
            samples do not meet (no batch normalization). Or a function of parameters, and of
            ``lr`` if that is given, such as ``torch.optim.AdamW``.
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
            finite, or the model has nothing to train, no grid to change or too many parameters
            for ``"lm"``; it is then unchanged.

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
        >>> history = fit(KAN([1, 1]), x, x**2, optimizer="lm", steps=3)
        >>> history.loss[-1] < 1e-3
        True

    In the book: chapters 3, 5 and 7 to 9.
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
    history, problem = History(), None
    if optimizer == "lm":
        unused = {"lr": lr, "batch_size": batch_size, "schedule": schedule}
        _check_least_squares(model, extend_grid_at, **unused, loss=loss, penalty=penalty)
        data = {"inputs": inputs.detach(), "targets": targets.detach()}
        optimizer = partial(LevenbergMarquardt, model=model, **data, history=history)
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
    best, best_state = math.inf, None

    def evaluate() -> Tensor:
        """Return what is minimized, leave its gradient in the parameters, and count."""
        nonlocal data_loss
        if isinstance(updater, LevenbergMarquardt):
            data_loss = updater.linearize()
            return data_loss  # there is no gradient to leave
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
            f"optimizer={optimizer!r}; expected one of {[*OPTIMIZERS, 'lm']}, or a function "
            "of parameters, such as torch.optim.AdamW"
        )

    def make(model):
        updater = optimizer(_trainable(model), **({} if lr is None else {"lr": lr}))
        return updater, [group["lr"] for group in updater.param_groups]

    return make


def _check_least_squares(model, extend_grid_at, **unused):
    """Refuse what the optimizer "lm" cannot use, and more parameters than its matrix can have."""
    for name, value in unused.items():
        if value is not None:
            raise ValueError(
                f"{name}={value!r} with optimizer='lm', which solves least squares on all samples; "
                "expected none"
            )
    parameters = sum(parameter.numel() for parameter in _trainable(model))
    for layer in model.modules() if extend_grid_at else ():
        if isinstance(layer, SplineLayer):
            more = max(extend_grid_at.values()) - layer.grid_size
            parameters += more * layer.coef[..., 0].numel()
    if parameters > MOST:
        raise ValueError(
            f"model has {parameters} parameters with optimizer='lm', which solves with a matrix of "
            f"as many rows and columns; expected {MOST} at most, or another optimizer"
        )


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


def _is_made_of_layers(model: nn.Module, x: Tensor) -> bool:
    """Whether outputs depend on parameters by the outputs of their layers alone.

    A model that looks at the weights, or at derivatives in x, has more ways.
    """
    if isinstance(model, nn.Sequential):
        return True
    by_layers = torch.stack(_jacobian(model, x, True)[1], 1)
    return torch.allclose(by_layers, _jacobian_by_autograd(model, x), rtol=1e-3, atol=1e-6)


def _jacobian(model: nn.Module, x: Tensor, by_layers: bool = True) -> tuple[Tensor, list[Tensor]]:
    """Outputs of samples (n, I), shape (n, O), and of each output the derivatives, shape (n, P).

    A backward pass for each output brings the slopes to every layer, whose ``jacobian`` turns them
    into derivatives in its own parameters. Where a layer has no such method, runs twice or shares
    parameters, autograd does it all. Samples must not depend on each other.
    """
    owners = [m for m in model.modules() if any(p.requires_grad for p in m.parameters(False))]
    values = {name: value.detach() for name, value in model.named_parameters()}
    calls = []

    def note(layer, args, kwargs, output):
        output.requires_grad_()
        calls.append((layer, [*args, *kwargs.values()][0].detach(), output))
        return output.clone()  # that the next module may change

    hooks = [layer.register_forward_hook(note, with_kwargs=True) for layer in owners]
    try:
        with torch.enable_grad():
            output = torch.func.functional_call(model, values, x)
    finally:
        for hook in hooks:
            hook.remove()
    known = all(type(layer) is nn.Linear or hasattr(layer, "jacobian") for layer in owners)
    once = {layer for layer, _, _ in calls} == {*owners} and len(calls) == len(owners)
    own = [p for layer in owners for p in layer.parameters(False) if p.requires_grad]
    flat = all(inputs.ndim == 2 for _, inputs, _ in calls)
    if not (by_layers and known and once and flat and len(own) == len(_trainable(model))):
        return output.detach(), [*_jacobian_by_autograd(model, x).unbind(1)]
    calls.sort(key=lambda call: owners.index(call[0]))
    rows = []
    for unit in torch.eye(output.shape[1]).to(output):  # one output after the other
        slopes = torch.autograd.grad(
            output,
            [output for _, _, output in calls],
            unit.expand_as(output),
            retain_graph=True,
            materialize_grads=True,
        )
        found = zip(calls, slopes, strict=True)
        rows.append(torch.cat([_own_jacobian(layer, x, g) for (layer, x, _), g in found], 1))
    return output.detach(), rows


def _own_jacobian(layer: nn.Module, x: Tensor, slopes: Tensor) -> Tensor:
    """The layer's ``jacobian`` without the columns of frozen parameters."""
    if type(layer) is nn.Linear:
        parts = [(slopes.unsqueeze(2) * x.unsqueeze(1)).flatten(1), slopes]
        rows = torch.cat(parts if layer.bias is not None else parts[:1], 1)
    else:
        rows = layer.jacobian(x, slopes)
    parameters = [*layer.parameters(False)]
    if all(p.requires_grad for p in parameters):
        return rows
    pieces = rows.split([p.numel() for p in parameters], 1)
    return torch.cat([r for r, p in zip(pieces, parameters, strict=True) if p.requires_grad], 1)


@torch.enable_grad()
def _jacobian_by_autograd(model: nn.Module, x: Tensor) -> Tensor:
    """The derivatives of any model, shape (n, O, P): a gradient for each output of each sample."""
    values = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}

    def outputs(values: dict[str, Tensor], sample: Tensor) -> Tensor:
        return torch.func.functional_call(model, values, sample.unsqueeze(0)).squeeze(0)

    parts = torch.vmap(torch.func.jacrev(outputs), (None, 0))(values, x)
    return torch.cat([parts[name].unsqueeze(2).flatten(2) for name in values], 2)


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
