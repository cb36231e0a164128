r"""Networks that solve differential equations, and what a plain spline does there.

A network u is trained until it satisfies an equation at points: what is left of the equation there,
the *residual*, is squared and minimized. No value of the solution is shown, except on the boundary.

Each equation is posed on [-1, 1] in every input:

- Poisson's in one dimension, :math:`u'' = f`, and in two, :math:`u_{xx} + u_{yy} = f`, with u = 0
  on the boundary, and f such that the solution is known;
- Burgers', :math:`u_t + u\, u_x = \nu u_{xx}` with :math:`\nu = 0.05 / \pi`, from t = 0, where
  :math:`u = -\sin \pi x`, to t = 1; u = 0 at both walls. A steep front forms at x = 0. The time is
  scaled to [-1, 1] as the first input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kanbook import derivatives, grids, splines, training
from kanbook.counting import count_parameters

from ..design import Measurement, experiment
from ..settings import Settings, first_sized, kan, mlp
from . import trials

Jet = tuple[Tensor, Tensor, Tensor]  # values, with first and second derivatives along the axes

PI = math.pi
VISCOSITY = 0.05 / PI  # five times the usual one; the front has a slope of about 25
UPDATES = 10  # of a KAN's knots, with a fresh optimizer, in the first half; for MLPs that alone
WEIGHT = 0.1  # of the residual inside, if the boundary is penalized; its square is PyKAN's 0.01


@dataclass(frozen=True)
class Equation:
    """One equation with its solution.

    Attributes:
        inputs: I, their number.
        residual: of points ``(N, I)``, u ``(N, 1)`` and its first and second derivatives along the
            axes ``(I, N, 1)``: what is left of the equation, ``(N, 1)``.
        solution: of points, shape ``(N, 1)``.
        start: what u is where ``window`` is 0, with derivatives, fulfils the boundary's conditions.
        window: 0 on the boundary, with derivatives.
    """

    inputs: int
    residual: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    solution: Callable[[Tensor], Tensor]
    start: Callable[[Tensor], Jet]
    window: Callable[[Tensor], Jet]


def _columns(*columns: Tensor) -> Tensor:
    """Derivatives along the axes: shape ``(I, N, 1)``."""
    return torch.stack(columns).unsqueeze(-1)


def _nothing(x: Tensor) -> Jet:
    zero = torch.zeros_like(x.T).unsqueeze(-1)
    return zero[0], zero, zero


def _box(x: Tensor) -> Jet:
    """The product of 1 - x^2 over the inputs, one or two."""
    sides = 1 - x**2
    others = torch.ones_like(x) if x.shape[1] == 1 else sides.flip(1)
    along = (-2 * x * others).T.unsqueeze(-1), (-2 * others).T.unsqueeze(-1)
    return sides.prod(1, keepdim=True), *along


def _poisson(solution: Callable[[Tensor], Tensor], source: Callable[[Tensor], Tensor], inputs: int):
    def residual(x: Tensor, u: Tensor, slopes: Tensor, bends: Tensor) -> Tensor:
        return bends.sum(0) - source(x)

    return Equation(inputs, residual, solution, _nothing, _box)


def _two_waves(x: Tensor) -> Tensor:
    return (PI * x).sin() + 0.2 * (6 * PI * x).sin()


def _bends_of_two_waves(x: Tensor) -> Tensor:
    return -(PI**2) * ((PI * x).sin() + 7.2 * (6 * PI * x).sin())


def _bump(x: Tensor) -> Tensor:
    return (PI * x).sin().prod(1, keepdim=True)


def _burgers_residual(x: Tensor, u: Tensor, slopes: Tensor, bends: Tensor) -> Tensor:
    return 2 * slopes[0] + u * slopes[1] - VISCOSITY * bends[1]  # 2: d/dt of the scaled time


def _wave(x: Tensor) -> Jet:
    s, c, zero = (PI * x[:, 1]).sin(), (PI * x[:, 1]).cos(), torch.zeros(len(x)).to(x)
    return -s.unsqueeze(1), _columns(zero, -PI * c), _columns(zero, PI**2 * s)


def _from_the_start(x: Tensor) -> Jet:
    """t (1 - x^2), with t = (1 + first input) / 2."""
    t, x = (1 + x[:, 0]) / 2, x[:, 1]
    value, zero = t * (1 - x**2), torch.zeros_like(x)
    return value.unsqueeze(1), _columns((1 - x**2) / 2, -2 * t * x), _columns(zero, -2 * t)


def _cole_hopf(x: Tensor) -> Tensor:
    """The solution of Burgers' equation: two integrals, by Gauss and Hermite's rule.

    Source: Basdevant et al., "Spectral and finite difference solutions of the Burgers equation"
    (1986).
    """
    nodes, weights = map(torch.from_numpy, np.polynomial.hermite.hermgauss(150))
    t, x = (1 + x[:, :1].double()) / 2, x[:, 1:].double()
    shifted = x - nodes * (4 * VISCOSITY * t).sqrt()
    # The exponent lies between -20 and 0.
    height = weights * torch.exp(-((PI * shifted).cos() + 1) / (2 * PI * VISCOSITY))
    return -((PI * shifted).sin() * height).sum(1, keepdim=True) / height.sum(1, keepdim=True)


EQUATIONS = {
    "poisson-1d": _poisson(_two_waves, _bends_of_two_waves, 1),
    "poisson-2d": _poisson(_bump, lambda x: -2 * PI**2 * _bump(x), 2),
    "burgers": Equation(2, _burgers_residual, _cole_hopf, _wave, _from_the_start),
}


def trial_solution(equation: Equation, x: Tensor, *network: Tensor) -> Jet:
    """start + window * network: right on the boundary, whatever the network is."""
    start, window, (n, slopes, bends) = equation.start(x), equation.window(x), network
    return (
        start[0] + window[0] * n,
        start[1] + window[0] * slopes + window[1] * n,
        start[2] + window[0] * bends + 2 * window[1] * slopes + window[2] * n,
    )


class Residual(nn.Module):
    """What is left of an equation where a network stands for the solution.

    Args:
        network: maps ``(N, I)`` to ``(N, 1)``, as this does.
        equation: a key of ``EQUATIONS``.
        built_in: the solution is start + window * network; else it is the network itself, and at
            points on the boundary the residual is u - start.
    """

    def __init__(self, network: nn.Module, equation: str, built_in: bool = True) -> None:
        super().__init__()
        self.network, self.equation = network, EQUATIONS[equation]
        self.built_in = built_in

    def forward(self, x: Tensor) -> Tensor:
        axes = torch.eye(self.equation.inputs, dtype=x.dtype, device=x.device)
        every = derivatives.along(self.network, x, axes, 2)
        u = every[0, 0], every[1], every[2]
        if self.built_in:
            return self.equation.residual(x, *trial_solution(self.equation, x, *u))
        inside = WEIGHT * self.equation.residual(x, *u)
        on_boundary = self.equation.window(x)[0].abs() < 1e-12
        return torch.where(on_boundary, u[0] - self.equation.start(x)[0], inside)

    def solution(self, x: Tensor) -> Tensor:
        """u at points, shape ``(N, I)`` to ``(N, 1)``."""
        if not self.built_in:
            return self.network(x)
        return self.equation.start(x)[0] + self.equation.window(x)[0] * self.network(x)


# --- runs ----------------------------------------------------------------------------------------


def sample(equation: Equation, n: int, seed: int, on_boundary: bool = False) -> Tensor:
    """Random points in [-1, 1], shape ``(n, I)``, float64; on one wall each, if wanted."""
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.rand(n, equation.inputs, generator=generator, dtype=torch.float64) - 1
    if on_boundary:
        which = torch.randint(equation.inputs, (n, 1), generator=generator)
        x.scatter_(1, which, x.gather(1, which).sign())
    return x


@torch.no_grad()
def error(equation: Equation, solution: Callable[[Tensor], Tensor]) -> float:
    """The root mean square of what a solution is off, relative to that of the right one.

    On 201 points, or 101 x 101 points.
    """
    line = torch.linspace(-1, 1, 201 if equation.inputs == 1 else 101, dtype=torch.float64)
    x = torch.cartesian_prod(*[line] * equation.inputs).view(-1, equation.inputs)
    right = equation.solution(x)
    return ((solution(x) - right).norm() / right.norm()).item()


@trials.ready()
def solve(settings: Settings, seed: int, *, device: str = "cpu", **how: Any) -> dict:
    """Solve one equation.

    ``task`` is "equation:" and a key of ``EQUATIONS``. A network is trained on so many ``points``,
    by Adam, and ``then`` so many steps of Levenberg-Marquardt.

    Returns:
        As :func:`~evidence.runs.trials.run_trial`; ``loss`` is the mean square of the residual at
        2,000 other points, ``test_loss`` the square of the relative :func:`error`, and ``probes``
        has both after each optimizer.
    """
    equation = EQUATIONS[name := settings["task"].partition(":")[2]]
    if settings["model"] == "collocation":
        return _solve_by_collocation(settings, equation)
    generator = torch.Generator().manual_seed(seed)
    network = trials.make_model(settings, generator=generator, device=device)
    model = Residual(network, name, settings["boundary"] == "built in")
    x = sample(equation, settings["points"], 10_000 + seed)
    if not model.built_in:
        x = torch.cat([x, sample(equation, settings["points"] // 4, 20_000 + seed, True)])
    x, others = x.to(device), sample(equation, 2000, 9_999).to(device)

    @torch.no_grad()
    def look() -> dict[str, float | None]:
        loss = model(others).square().mean().item()
        off = error(equation, lambda x: model.solution(x.to(device)).cpu())
        return {"loss": trials.rounded(loss, 6), "error": trials.rounded(off, 6)}

    result = _train(model, x, settings, look, device=device, **how)
    result |= {"parameters": count_parameters(network), "loss": None, "test_loss": None}
    if not result["diverged"]:
        last = result["probes"][-1]
        result |= {"loss": last["loss"], "test_loss": trials.rounded(last["error"] ** 2, 6)}
    return result


def _train(
    model: Residual,
    x: Tensor,
    settings: Settings,
    look: Callable[[], dict[str, float | None]],
    *,
    device: str,
    limit: float = math.inf,
    points: int = trials.POINTS,
) -> dict[str, Any]:
    """By one optimizer after the other, with one curve, and a ``look`` after each."""
    fresh = trials.in_first_half(settings["steps"], UPDATES)
    adam = {"lr": settings["lr"], "restart_at": fresh, "schedule": lambda t: 1 - t}
    stages = [("adam", settings["steps"], adam)]
    stages += [("lm", settings["then"], {})] if "then" in settings else []
    curve: dict[str, list] = {"step": [], "evaluations": [], "seconds": [], "loss": []}
    probes, spent = [], 0.0

    def note(step: int, history: training.History) -> None:
        watch.note(step, history)
        if step + 1 in fresh and settings["model"] == "kan" and optimizer == "adam":
            grids.update_grid(model.network, x)
        watch.end_in_time()

    for optimizer, steps, options in stages:
        watch = trials.Watch(steps, device=device, points=points, limit=limit - spent)
        options = options | {"optimizer": optimizer, "steps": steps, "callback": note}
        watch.fit(model, x, torch.zeros(len(x), 1).to(x), **options)
        for name, column in curve.items():  # counts and times go on from those of the stage before
            first = column[-1] if column and name != "loss" else 0
            column += [first + value for value in watch.curve[name]] if first else watch.curve[name]
        spent += watch.spent
        probes.append({"optimizer": optimizer, "seconds": trials.rounded(spent, 4)} | look())
        diverged = watch.history.diverged
        complete = diverged or len(watch.history.loss) == steps
        if diverged or not complete:
            break
    return {
        "evaluations": curve["evaluations"][-1] if curve["step"] else 0,
        "seconds": trials.rounded(spent, 4),
        "diverged": diverged,
        "complete": complete,
        "curve": curve,
        "probes": probes,
    }


# --- the simplest rival --------------------------------------------------------------------------


class TensorSpline:
    """Products of splines in each input: linear in its coefficients, which is all that it has.

    ``grid_sizes`` are those of one or two inputs, whose knots are repeated at the ends. The
    ``size``, the number of coefficients, is the product of all G + k.
    """

    def __init__(self, grid_sizes: Sequence[int], degree: int) -> None:
        self.inputs, self.degree, self.knots = len(grid_sizes), degree, []
        for grid_size in grid_sizes:
            line = torch.linspace(-1, 1, grid_size + 1, dtype=torch.float64)
            ends = line.new_ones(degree)
            self.knots.append(torch.cat([-ends, line, ends]))
        self.size = math.prod(grid_size + degree for grid_size in grid_sizes)

    def functions(self, x: Tensor) -> Jet:
        """All functions at points ``(N, I)``, with first and second derivatives along the axes.

        Shapes ``(N, size)``, ``(I, N, size)`` twice.
        """
        every = []
        for column, knots in zip(x.split(1, 1), self.knots, strict=True):
            knots = knots.unsqueeze(0)
            coef = torch.eye(knots.shape[1] - self.degree - 1).to(x).unsqueeze(0)
            jet = []
            for degree in range(self.degree, self.degree - 3, -1):
                jet.append(splines.evaluate(column, coef, knots, degree)[:, 0])
                coef = splines.differentiate(coef, knots, degree)
            every.append(jet)
        values, slopes, bends = zip(*every, strict=True)
        if self.inputs == 1:
            return values[0], slopes[0].unsqueeze(0), bends[0].unsqueeze(0)

        def times(a: Tensor, b: Tensor) -> Tensor:
            return torch.einsum("ni,nj->nij", a, b).flatten(1)

        along = (
            torch.stack([times(first, values[1]), times(values[0], second)])
            for first, second in (slopes, bends)
        )
        return times(*values), *along


def collocate(equation: Equation, spline: TensorSpline, steps: int = 60) -> tuple[Tensor, float]:
    """Least-squares collocation, with the k + 1 points of Gauss's rule in each interval and input.

    Linear equations take one step; others are made linear where the solution is, and solved again:
    the step of Gauss and Newton, halved while it leads to more. Returns the coefficients, and the
    integral of the square of the residual.
    """
    nodes, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(spline.degree + 1))
    lines, scales = [], []
    for breaks in map(torch.unique, spline.knots):
        middles, halves = (breaks[:-1] + breaks[1:]) / 2, breaks.diff() / 2
        lines.append((middles.unsqueeze(1) + halves.unsqueeze(1) * nodes).flatten())
        scales.append((halves.unsqueeze(1) * weights).sqrt().flatten())
    x = torch.cartesian_prod(*lines).view(-1, spline.inputs)
    # Without Gauss's weights the intervals' ends count too much: 66 times the error for u'' = f.
    scale = torch.cartesian_prod(*scales).view(-1, spline.inputs).prod(1, keepdim=True)
    functions = spline.functions(x)
    coef = best = move = torch.zeros(spline.size, 1, dtype=x.dtype)
    least = math.inf
    # How u and its derivatives depend on the coefficients: no matter where, they are linear.
    zero = [torch.zeros_like(values[..., :1]) for values in functions]
    first = trial_solution(equation, x, *zero)
    slopes = [a - b for a, b in zip(trial_solution(equation, x, *functions), first, strict=True)]
    length = 1.0
    for _ in range(steps):
        u = [(a + b @ coef).requires_grad_() for a, b in zip(first, slopes, strict=True)]
        residual = scale * equation.residual(x, *u)
        square = residual.detach().square().sum().item()
        if square >= least:  # too far
            length /= 2
            if length < 1e-3:
                break
            coef = best - length * move
            continue
        settled, best, least, length = square > (1 - 1e-9) * least, coef, square, 1.0
        if settled:
            break
        parts = torch.autograd.grad(residual.sum(), u, materialize_grads=True)
        matrix = parts[0] * slopes[0]
        for part, slope in zip(parts[1:], slopes[1:], strict=True):
            matrix = matrix + (part * slope).sum(0)
        move = np.linalg.lstsq(matrix.numpy(), residual.detach().numpy(), rcond=None)[0]
        move = torch.from_numpy(move)
        coef = best - move
    return best, least


def _solve_by_collocation(settings: Settings, equation: Equation) -> dict[str, Any]:
    watch, grid_sizes = trials.Watch(1), settings["grid_size"]
    if isinstance(grid_sizes, int):
        grid_sizes = [grid_sizes] * equation.inputs
    spline = TensorSpline(grid_sizes, settings["degree"])
    coef, square = collocate(equation, spline)
    seconds = trials.rounded(watch.seconds, 4)

    def solution(x: Tensor) -> Tensor:
        u = (functions @ coef for functions in spline.functions(x))
        return trial_solution(equation, x, *u)[0]

    test_loss = trials.rounded(error(equation, solution) ** 2, 6)
    result = trials.told_at_once(spline.size, seconds, trials.rounded(square, 6))
    return result | {"test_loss": test_loss, "probes": []}


# --- who takes part ------------------------------------------------------------------------------

# Of the splines for Burgers: functions along the time, along x, degree.
TIMES_AND_PLACES = [(16, 31, 5), (11, 45, 5), (8, 62, 3), (8, 62, 5), (14, 71, 5), (10, 100, 5)]


def settings() -> Iterable[Settings]:
    """Who solves differential equations best: KANs, MLPs, or a plain spline?"""
    adam = {"optimizer": "adam", "steps": 1000, "dtype": "float64"}
    once = {"family": "splines", "model": "collocation", "optimizer": "none"}
    once |= {"steps": 1, "lr": None}

    def task(name: str, points: int, boundary: str = "built in") -> Settings:
        return adam | {"task": f"equation:{name}", "points": points, "boundary": boundary}

    def solved(base: Settings, family: Settings, size: int, depth: int) -> Settings:
        ends = EQUATIONS[base["task"].partition(":")[2]].inputs, 1
        network = base | {"then": 100} | family
        coarser = ({"grid_size": g} for g in (8, 7, 6, 5) if family["model"] == "kan")
        choices = [network | grid for grid in coarser] or [network]
        return first_sized(choices, size, depth, ends=ends) | {"size": size}

    kans = [kan(8, degree) for degree in (3, 5)]
    mlps = [mlp("tanh"), mlp("sine")]
    for size, boundary in ((100, "built in"), (300, "built in"), (300, "penalized")):
        base = task("poisson-2d", 1000, boundary)
        yield from (solved(base, network, size, 1) for network in kans)
        yield from (solved(base, network, size, 2) for network in mlps)
    base = task("poisson-2d", 1000)
    yield solved(base, mlp("tanh"), 3000, 2)
    yield {k: v for k, v in solved(base, mlp("tanh"), 10_000, 3).items() if k != "then"}
    base = task("poisson-1d", 200)
    yield from (solved(base, network, 100, 1) for network in kans)
    yield from (solved(base, network, 100, 2) for network in mlps)
    base = task("burgers", 2000)
    yield from (solved(base, network, 500, 2) for network in (*kans, *mlps))
    grids = {"poisson-1d": ((97, 3), (95, 5)), "burgers": ((19, 3), (17, 5))}
    grids["poisson-2d"] = ((7, 3), (5, 5), (14, 3), (12, 5))
    for name, shapes in grids.items():
        for grid_size, degree in shapes:
            base = task(name, 0) | once | {"grid_size": grid_size, "degree": degree}
            yield base | {"size": (grid_size + degree) ** EQUATIONS[name].inputs}
    for times, places, degree in TIMES_AND_PLACES:
        shape = {"grid_size": [times - degree, places - degree], "degree": degree}
        yield task("burgers", 0) | once | shape | {"size": times * places}


def evaluations(settings: Settings) -> int:
    """How often the loss and its gradient are computed, about."""
    return trials.evaluations(settings) + 10 * settings.get("then", 0)


EXPERIMENT = experiment(
    "equations", (17, 19), measurement=Measurement(solve, evaluations), minutes=70
)(settings)
