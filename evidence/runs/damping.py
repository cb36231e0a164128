"""Levenberg-Marquardt as it was damped when the stored rows were made, and as part T damps it.

There D is the diagonal of J'J with no element below ``FLOOR`` times the largest of all, the damping
falls to a tenth after every move that is made, and a step may be of any length.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from kanbook import optimizers

FLOOR = 1e-6
SHIPPED = optimizers.LevenbergMarquardt.move


@torch.no_grad()
def move(solver: optimizers.LevenbergMarquardt) -> int:
    """The former :meth:`kanbook.optimizers.LevenbergMarquardt.move`."""
    if solver.total == solver.stuck_at:
        return 0
    before = torch.cat([parameter.flatten() for parameter in solver.parameters]).double()
    diagonal = solver.square.diagonal()
    scale = diagonal.clamp(min=FLOOR * diagonal.max().item() or 1.0).sqrt()
    matrix = solver.square.div_(scale).div_(scale.unsqueeze(1))
    undamped, tried = matrix.diagonal().clone(), 0
    while solver.damping < 1e8:
        matrix.diagonal().copy_(undamped + solver.damping)
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if not failed:
            step = torch.cholesky_solve((solver.slope / scale).unsqueeze(1), factor).squeeze(1)
            solver._move_to(before - step / scale)
            residuals = (solver.model(solver.inputs) - solver.targets).double()
            tried += 1
            if residuals.square().sum() < solver.total:
                solver.damping = max(1e-16, solver.damping / 10)
                return tried
        solver.damping *= 2
    solver._move_to(before)
    solver.damping, solver.stuck_at = optimizers.DAMPING, solver.total
    return tried


def as_stored(run: Callable[..., dict[str, Any]], *arguments: Any, **how: Any) -> dict[str, Any]:
    """Make a run with the former moves."""
    with _changed(optimizers.LevenbergMarquardt, "move", move):
        return run(*arguments, **how)


@contextlib.contextmanager
def damped(settings: Mapping[str, Any]) -> Iterator[None]:
    """Those moves with another damping to begin with, or another floor: 1 makes D even.

    With a ``reach`` they are kanbook's own moves, with this reach and floor.
    """
    with contextlib.ExitStack() as changes:
        if "reach" in settings:
            owner = optimizers
            changes.enter_context(_changed(optimizers.LevenbergMarquardt, "move", SHIPPED))
            changes.enter_context(_changed(optimizers, "REACH", settings["reach"]))
        else:
            owner = sys.modules[__name__]
        first = settings.get("damping", optimizers.DAMPING)
        changes.enter_context(_changed(optimizers, "DAMPING", first))
        changes.enter_context(_changed(owner, "FLOOR", settings.get("floor", FLOOR)))
        yield


@contextlib.contextmanager
def _changed(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
