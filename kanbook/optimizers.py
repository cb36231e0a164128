"""Optimizers: L-BFGS, Levenberg-Marquardt and the steps of training. In the book: chapter 9."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain, repeat

import torch
from torch import Tensor, nn

from .layers import named_spline_layers

__all__ = ["LBFGS", "LevenbergMarquardt"]


def trainable(model: nn.Module) -> list[nn.Parameter]:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError("model has no parameter that requires a gradient; expected at least one")
    return parameters


class LBFGS(torch.optim.LBFGS):
    r"""PyTorch's L-BFGS with a line search, at home with tiny losses and wild trial points.

    PyTorch ignores curvature pairs whose product is below 1e-10. A mean squared error gets there
    long before float64 is exhausted, so it is scaled up, by a power of two. That changes no search
    direction, only the first length that is tried. A loss of NaN counts as infinite: comparisons
    with NaN are false, which would make the line search go on that way.

    Source: Liu and Nocedal (1989).
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


OPTIMIZERS = {  # of gradients, by name: (class, default learning rate)
    "adam": (torch.optim.Adam, 0.01),
    "sgd": (torch.optim.SGD, 0.1),
    "lbfgs": (LBFGS, 1.0),
}


class Diverged(ArithmeticError):
    """A loss or a parameter is no longer finite."""


class Stepper:
    """Steps of training: each evaluates the loss of a batch, records it and updates the model.

    A kind of steps says how to ``restart``, ``evaluate`` and ``update``, and its ``advice`` where
    training diverged.
    """

    def __init__(self, model, inputs, targets, history) -> None:
        self.model, self.inputs, self.targets, self.history = model, inputs, targets, history

    def step(self, batch: Tensor | slice, factor: float) -> float:
        """Update the model, with ``factor`` on the learning rate; return the loss before."""
        loss, total = self.evaluate(batch)
        self.history.record(loss.item())
        step = len(self.history.loss)
        if not math.isfinite(total.item()):
            raise Diverged(f"loss is {total.item()} at step {step}")
        parameters = trainable(self.model)
        before = [parameter.detach().clone() for parameter in parameters]
        self.update(batch, total, factor)
        if not all(parameter.isfinite().all() for parameter in parameters):
            with torch.no_grad():
                for parameter, value in zip(parameters, before, strict=True):
                    parameter.copy_(value)
            raise Diverged(f"update of step {step} made a parameter infinite or NaN: taken back")
        return self.history.loss[-1]


class GradientStepper(Stepper):
    """Steps of an optimizer of PyTorch's kind, by gradients of the loss on a batch."""

    def __init__(self, model, inputs, targets, history, loss, penalty, optimizer, lr) -> None:
        super().__init__(model, inputs, targets, history)
        self.loss, self.penalty = loss, penalty
        if isinstance(optimizer, str) and optimizer in OPTIMIZERS:
            optimizer, default = OPTIMIZERS[optimizer]
            lr = default if lr is None else lr
        elif isinstance(optimizer, str) or not callable(optimizer):
            raise ValueError(
                f"optimizer={optimizer!r}; expected one of {[*OPTIMIZERS, 'lm']}, or a function "
                "of parameters, such as torch.optim.AdamW"
            )
        self.make_optimizer, self.options = optimizer, {} if lr is None else {"lr": float(lr)}

    def restart(self) -> None:
        """Make the optimizer anew, without old moments or curvature pairs."""
        self.optimizer = self.make_optimizer(trainable(self.model), **self.options)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]

    @property
    def advice(self) -> str:
        if any(parameter.dtype == torch.float16 for parameter in trainable(self.model)):
            return (
                "torch.float16 is too narrow (Adam's eps is 0 in it): train in float32 or bfloat16"
            )
        return f"try a learning rate below lr={self.rates[0]}"

    def evaluate(self, batch: Tensor | slice) -> tuple[Tensor, Tensor]:
        """The loss, and with the penalty, whose gradient is left in the parameters."""
        self.optimizer.zero_grad()
        output = self.model(self.inputs[batch])
        loss = total = one_number("loss", self.loss(output, self.targets[batch]))
        if self.penalty is not None:
            total = total + one_number("penalty", self.penalty(self.model))
        total.backward()
        self.history.evaluations += 1
        return loss, total.detach()

    def update(self, batch: Tensor | slice, total: Tensor, factor: float) -> None:
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        # The optimizer asks for the loss as often as it likes, the first time where the parameters
        # are: there it gets the evaluation that has been made already.
        totals = chain([total], (self.evaluate(again)[1] for again in repeat(batch)))
        self.optimizer.step(lambda: next(totals))


class LeastSquaresStepper(Stepper):
    """Steps of Levenberg-Marquardt, on all samples."""

    advice = "look at the model and the scale of the data"

    def __init__(self, model, inputs, targets, history, largest_grid, **unused) -> None:
        super().__init__(model, inputs, targets, history)
        parameters = sum(parameter.numel() for parameter in trainable(model))
        for layer in named_spline_layers(model).values() if largest_grid else ():
            parameters += (largest_grid - layer.grid_size) * layer.coef[..., 0].numel()
        if parameters > MOST:
            raise ValueError(
                f"model has {parameters} parameters with optimizer='lm', which solves with a "
                f"matrix of as many rows and columns; expected {MOST} at most, or another optimizer"
            )
        held = (module for _, module in model.named_modules(remove_duplicate=False))
        layers = [module for module in held if [*module.parameters(recurse=False)]]
        if len(layers) > len({*layers}):  # torch.func.functional_call would spoil it
            raise ValueError("model holds a layer twice with optimizer='lm'; expected each once")
        for name, value in unused.items():
            if value is not None:
                raise ValueError(
                    f"{name}={value!r} with optimizer='lm', which solves least squares on all "
                    "samples; expected none"
                )

    def restart(self) -> None:
        """Forget the damping, and what a grid was before."""
        self.solver = LevenbergMarquardt(self.model, self.inputs, self.targets)

    def evaluate(self, batch: slice) -> tuple[Tensor, Tensor]:
        """The loss, twice; the equations are left in the solver."""
        loss = self.solver.linearize()
        self.history.evaluations += self.solver.cost
        return loss, loss

    def update(self, batch: slice, total: Tensor, factor: float) -> None:
        self.history.evaluations += self.solver.move()


def one_number(name: str, value: Tensor) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1:
        what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{name} returned {what}; expected a tensor with one number")
    return value.squeeze()


# Of Levenberg-Marquardt: the damping at the start, the floor of D, the longest step, numbers of a
# Jacobian that are held at a time, most parameters.
DAMPING, FLOOR, REACH, HELD, MOST = 1e-3, 1e-2, 0.5, 2**20, 5000


class LevenbergMarquardt:
    r"""Least squares: a step goes where the sum of squares would be least, were the model linear.

    With r the residuals of all outputs of all samples, J their Jacobian and d the step,

    .. math:: (J^T J + \mu D)\, d = -J^T r, \qquad D = \mathrm{diag}(J^T J) .

    If the sum of squares falls, the step is made, and the damping mu is divided by 10 and by as
    much as r became shorter. Else mu is doubled and another d tried, until it falls or d is too
    short for that. Two things keep coefficients that few samples feel from running away: no element
    of D counts as less than ``FLOOR`` times the largest of its tensor, and no d is tried that is
    longer than ``REACH`` times all parameters (or times 1, if they are small).

    Args:
        model: P numbers to train, ``MOST`` at most: the matrix has P rows and columns. Samples must
            not depend on each other in it.
        inputs, targets: shapes ``(N, I)`` and ``(N, O)``.

    Example:
        >>> x = torch.linspace(-1, 1, 20).unsqueeze(-1)
        >>> solver = LevenbergMarquardt(nn.Linear(1, 1), x, 3 * x + 1)
        >>> for _ in range(20):
        ...     loss, moves_tried = solver.linearize(), solver.move()
        >>> bool(loss < 1e-8)
        True

    Source: Marquardt (1963); Madsen, Nielsen and Tingleff, "Methods for Non-Linear Least Squares
    Problems" (2004), section 3.2; damping that falls with the residuals: Fan, "A modified
    Levenberg-Marquardt algorithm for singular system of nonlinear equations" (2003).
    """

    def __init__(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> None:
        self.model, self.inputs, self.targets = model, inputs, targets
        self.parameters = [parameter for parameter in trainable(model) if parameter.numel()]
        self.sizes = [parameter.numel() for parameter in self.parameters]
        self.damping, self.stuck_at = DAMPING, None
        self.by_layers = is_made_of_layers(model, inputs[:2])

    @property
    def cost(self) -> int:
        """What ``linearize`` costs, in evaluations of the model: measured for KANs."""
        return self.targets.shape[1] * (3 + sum(self.sizes) // 50)

    @torch.no_grad()
    def linearize(self) -> Tensor:
        """Compute J'J and J'r where the parameters are, in float64; return the mean square of r."""
        size = sum(self.sizes)
        total = torch.zeros(1, dtype=torch.float64, device=self.targets.device)
        square, slope = total.new_zeros(size, size), total.new_zeros(size)
        rows = max(1, HELD // (size * self.targets.shape[1]))
        for x, y in zip(self.inputs.split(rows), self.targets.split(rows), strict=True):
            output, jacobians = jacobian(self.model, x, self.by_layers)
            residuals = (output - y).double()
            total += residuals.square().sum()
            for r, J in zip(residuals.unbind(1), jacobians, strict=True):
                J = J.double()
                square.addmm_(J.T, J)
                slope.addmv_(J.T, r)
        self.total, self.square, self.slope = total, square, slope
        return total.squeeze() / self.targets.numel()

    @torch.no_grad()
    def move(self) -> int:
        """Make one move from where ``linearize`` was called, or none; return how many it tried.

        It uses up the equations: call ``linearize`` before the next.
        """
        if self.total == self.stuck_at:
            return 0
        before = torch.cat([parameter.flatten() for parameter in self.parameters]).double()
        parts = self.square.diagonal().split(self.sizes)
        D = torch.cat([part.clamp(min=FLOOR * part.max().item() or 1.0) for part in parts])
        scale, reach = D.sqrt(), REACH * max(1.0, before.norm().item())
        matrix = self.square.div_(scale).div_(scale.unsqueeze(1))  # D is the identity now
        undamped, tried = matrix.diagonal().clone(), 0
        while self.damping < 1e8:
            matrix.diagonal().copy_(undamped + self.damping)
            factor, failed = torch.linalg.cholesky_ex(matrix)
            if not failed:
                step = torch.cholesky_solve((self.slope / scale).unsqueeze(1), factor).squeeze(1)
                step /= scale
            if not failed and step.norm() <= reach:
                self._move_to(before - step)
                total = (self.model(self.inputs) - self.targets).double().square().sum()
                tried += 1
                if total < self.total:
                    fallen = (total / self.total).sqrt().item()
                    self.damping = max(1e-16, self.damping / 10 * fallen)
                    return tried
            self.damping *= 2
        self._move_to(before)
        self.damping, self.stuck_at = DAMPING, self.total
        return tried

    def _move_to(self, place: Tensor) -> None:
        for parameter, value in zip(self.parameters, place.split(self.sizes), strict=True):
            parameter.copy_(value.view_as(parameter))


def is_made_of_layers(model: nn.Module, x: Tensor) -> bool:
    """Whether outputs depend on parameters by the outputs of their layers alone."""
    if isinstance(model, nn.Sequential):
        return True
    by_layers = torch.stack(jacobian(model, x)[1], 1)
    return torch.allclose(by_layers, jacobian_by_autograd(model, x), rtol=1e-3, atol=1e-6)


def jacobian(model: nn.Module, x: Tensor, by_layers: bool = True) -> tuple[Tensor, list[Tensor]]:
    """Outputs of samples (n, I), shape (n, O), and of each output the derivatives, shape (n, P).

    A backward pass for each output brings the slopes to every layer, whose ``jacobian`` turns them
    into derivatives in its own parameters. Where that is not possible, autograd does it all.
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
    flat = all(inputs.ndim == 2 for _, inputs, _ in calls)
    own = [parameter for layer in owners for parameter in layer.parameters(False)]
    if not (by_layers and known and once and flat and len(own) == len(trainable(model))):
        return output.detach(), [*jacobian_by_autograd(model, x).unbind(1)]
    calls.sort(key=lambda call: owners.index(call[0]))
    rows, outputs = [], [own_output for _, _, own_output in calls]
    for unit in torch.eye(output.shape[1]).to(output):  # one output after the other
        keep = {"retain_graph": True, "materialize_grads": True}
        slopes = torch.autograd.grad(output, outputs, unit.expand_as(output), **keep)
        pairs = zip(calls, slopes, strict=True)
        rows.append(torch.cat([_own_jacobian(layer, x, g) for (layer, x, _), g in pairs], 1))
    return output.detach(), rows


def _own_jacobian(layer: nn.Module, x: Tensor, slopes: Tensor) -> Tensor:
    if type(layer) is not nn.Linear:
        return layer.jacobian(x, slopes)
    parts = [(slopes.unsqueeze(2) * x.unsqueeze(1)).flatten(1), slopes]
    return torch.cat(parts if layer.bias is not None else parts[:1], 1)


@torch.enable_grad()
def jacobian_by_autograd(model: nn.Module, x: Tensor) -> Tensor:
    """The derivatives of any model, shape (n, O, P): a gradient for each output of each sample."""
    values = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}

    def outputs(values: dict[str, Tensor], sample: Tensor) -> Tensor:
        return torch.func.functional_call(model, values, sample.unsqueeze(0)).squeeze(0)

    parts = torch.vmap(torch.func.jacrev(outputs), (None, 0))(values, x)
    return torch.cat([parts[name].unsqueeze(2).flatten(2) for name in values], 2)
