"""Training: one loop that minimizes the mean squared error and keeps the accounts."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ._checks import check_integer, check_number, check_pair

__all__ = ["History", "fit"]


@dataclass
class History:
    """What happened during :func:`fit`.

    Attributes:
        loss: training loss (mean squared error) at every step, before that step's update.
        validation_loss: the same on the validation data; empty if there are none.
        evaluations: how often the loss and its gradient were computed on a batch.
        seconds: wall-clock time of the whole run, validation and callback included.
        diverged: whether training stopped because the loss was no longer finite.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    evaluations: int = 0
    seconds: float = 0.0
    diverged: bool = False


def fit(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    optimizer: str = "adam",
    steps: int = 1000,
    lr: float | None = None,
    batch_size: int | None = None,
    validation: tuple[Tensor, Tensor] | None = None,
    callback: Callable[[int, History], None] | None = None,
    progress: bool = False,
    generator: torch.Generator | None = None,
) -> History:
    """Train ``model`` to map ``inputs`` to ``targets``, in place, by the mean squared error.

    Args:
        model: maps ``(N, I)`` to ``(N, O)``.
        inputs: shape ``(N, I)``.
        targets: shape ``(N, O)``.
        optimizer: ``"adam"`` (Kingma and Ba, 2015, with PyTorch's defaults).
        steps: number of updates.
        lr: learning rate; 0.01 if not given.
        batch_size: samples per step, drawn without repeats until all have been seen; all if not
            given.
        validation: (inputs, targets) whose loss is recorded at every step, never trained on.
        callback: called after every step with the step number (from 1) and the history so far.
        progress: show a progress bar.
        generator: source of the order of mini-batches, on the CPU; PyTorch's global one if not
            given. The same model, data and generator state give the same result.

    Returns:
        The :class:`History`. If the loss stops being finite, training stops with a
        ``RuntimeWarning`` and ``diverged`` is set.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or shape; the model is unchanged.

    Example:
        >>> from kanbook.networks import KAN
        >>> x = torch.linspace(-1, 1, 50).unsqueeze(-1)
        >>> history = fit(KAN([1, 1]), x, x**2, steps=300, lr=0.05)
        >>> history.loss[-1] < 1e-3, history.evaluations
        (True, 300)

    In the book: chapter 3.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}; expected a torch.nn.Module")
    check_pair("inputs", inputs, "targets", targets)
    if optimizer != "adam":
        raise ValueError(f"optimizer={optimizer!r}; expected 'adam'")
    check_integer("steps", steps, 0)
    lr = 0.01 if lr is None else lr
    check_number("lr", lr, minimum=0)
    if batch_size is not None:
        check_integer("batch_size", batch_size, 1)
    if validation is not None:
        if not isinstance(validation, (tuple, list)) or len(validation) != 2:
            raise TypeError(
                f"validation is a {type(validation).__name__}; expected a pair (inputs, targets)"
            )
        check_pair("validation inputs", validation[0], "validation targets", validation[1])
    if callback is not None and not callable(callback):
        raise TypeError(f"callback={callback!r}; expected a function of step and history")

    history = History()
    adam = torch.optim.Adam(model.parameters(), lr=lr)
    batches = _batches(len(inputs), batch_size, generator)
    start = time.perf_counter()
    for step in tqdm(range(1, steps + 1), disable=not progress, unit="step"):
        batch = next(batches)
        loss = _loss(model, inputs[batch], targets[batch], "targets")
        if validation is not None:
            with torch.no_grad():
                validation_loss = _loss(model, *validation, "validation targets")
            history.validation_loss.append(validation_loss.item())
        adam.zero_grad()
        loss.backward()
        history.evaluations += 1
        history.loss.append(loss.item())
        if not math.isfinite(history.loss[-1]):
            history.diverged = True
            warnings.warn(
                f"loss is {history.loss[-1]} at step {step}, training stopped; "
                f"try a learning rate below lr={lr}",
                RuntimeWarning,
                stacklevel=2,
            )
            break
        adam.step()
        if callback is not None:
            callback(step, history)
    history.seconds = time.perf_counter() - start
    return history


def _loss(model: nn.Module, inputs: Tensor, targets: Tensor, name: str) -> Tensor:
    output = model(inputs)
    if output.shape != targets.shape:  # else the difference would be broadcast, and wrong
        raise ValueError(
            f"{name} of shape {tuple(targets.shape)} meet an output of shape "
            f"{tuple(output.shape)}; expected equal shapes"
        )
    return (output - targets).square().mean()


def _batches(n, batch_size, generator):
    """Yield indices of mini-batches for ever, in a new random order in each pass over the data."""
    if batch_size is None or batch_size >= n:
        while True:
            yield slice(None)
    while True:
        yield from torch.randperm(n, generator=generator).split(batch_size)
