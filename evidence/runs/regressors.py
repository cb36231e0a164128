"""PyKAN 0.2.8, as its first tutorial does it and tuned, and Operon, which look for formulas, too.

What they are called with and return is described in ``recovery``. Nothing global is other than
before when they return. Both were tuned on the laws for development alone, without noise, with
seeds from 1000 up: PyKAN for 60 minutes of single tries, Operon for 13.
"""

from __future__ import annotations

import contextlib
import copy
import math
import re
import time
import traceback
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kanbook._checks import needed
from kanbook.rivals import contained

from ..tasks.laws import LAWS, generalized, numeric

Outcome = tuple[str | None, dict[str, Any]]

SOLVED = 1e-9  # an error, in spreads

# What hellokan.ipynb does, at commit ecde4ec of github.com/KindXiaoming/pykan.
TUTORIAL = {
    "lamb": 0.001,  # strength of the penalty that thins the network out
    "steps": (50, 50, 50, 50),  # of L-BFGS: with the penalty, pruned, on the finer grid, as formula
    "library": {"x": 1}  # with the complexities of PyKAN
    | dict.fromkeys(("x^2", "exp", "log", "sqrt", "sin"), 2)
    | dict.fromkeys(("x^3", "x^4", "tanh", "abs"), 3),
    "floor": 1e-5,  # of 1 - R2, of which the logarithm counts
    "slopes": 10,  # a of f(a x + b) is sought from -10 to 10
    "snap": 250,  # samples in that search: with all, it takes 4 s an edge, and few runs would end
    "careful": False,  # whether poles are softened, and what is lost by a bad step is taken back
    "starts": 1,  # of the last training, each with a new optimizer, while it halves the loss
    "edges": math.inf,  # when more are left after pruning, the search ends without a formula
}
TUNED = TUTORIAL | {
    "steps": (50, 50, 50, 20),
    "library": {"x": 1, "x^2": 2}
    | dict.fromkeys(("x^3", "1/x", "sqrt", "exp", "log"), 2.5)
    | dict.fromkeys(("sin", "tanh", "arctanh", "abs"), 3),
    "floor": 1e-7,
    "slopes": 40,
    "snap": 400,
    "careful": True,
    "starts": 3,
    "edges": 10,
}
LAMBS = 0.001, 0.01, 0.003  # of the first try, the second and so on
SHARES = 0.4, 0.5, 0.6, 1.0  # of the time: when a training must end, so that a formula comes


def polish(formula: str, inputs: np.ndarray, targets: np.ndarray) -> tuple[str, float]:
    """Fit the constants of a formula again: Operon's are single, and PyKAN's last training stalls.

    Returns the formula, and its root mean square error.
    """
    import sympy
    from scipy.optimize import least_squares

    n, width = inputs.shape
    general, symbols, numbers = generalized(formula, width)
    compute = numeric(general, width + len(symbols))

    def misses(numbers: np.ndarray) -> np.ndarray:
        points = np.hstack([inputs, np.broadcast_to(numbers, (n, len(numbers)))])
        return np.nan_to_num(compute(points) - targets, nan=1e9, posinf=1e9, neginf=-1e9)

    if 0 < len(numbers) < n:
        exact = {"method": "lm", "xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 1000}
        fitted = least_squares(misses, numbers, **exact)
        numbers = min(numbers, fitted.x, key=lambda some: np.sum(misses(some) ** 2))
    values = {name: sympy.Float(float(x)) for name, x in zip(symbols, numbers, strict=True)}
    return str(general.xreplace(values)), float(np.sqrt(np.mean(misses(numbers) ** 2)))


# --- PyKAN ---------------------------------------------------------------------------------------


class Late(Exception):
    """No time is left, or no reason to go on."""


class Search:
    """PyKAN's way from samples to a formula, by its own functions, until time is over.

    Inputs are (n, I), targets (n, 1), settings as in ``TUTORIAL``, seconds of processor time from
    now.
    """

    def __init__(
        self, inputs: Tensor, targets: Tensor, model: Any, settings: dict[str, Any], seconds: float
    ) -> None:
        self.inputs, self.targets = inputs, targets
        self.model, self.settings = model, settings
        self.start, self.seconds, self.stage = time.process_time(), seconds, "training 1"

    def check(self, share: float = 1.0) -> None:
        if time.process_time() - self.start > share * self.seconds:
            raise Late

    def train(self, number: int, lamb: float = 0.0) -> float:
        """Training ``number`` of four; ends when solved, stuck, lost, or when its time is over.

        Returns the least loss that a step came to, without penalty.
        """
        self.stage, losses, best = f"training {number + 1}", [math.inf], None
        careful, last = self.settings["careful"], number == 3
        options = {"singularity_avoiding": careful and last, "y_th": 1e10}
        solved = (SOLVED / 10) ** 2 * self.targets.var().item()

        def loss(outputs: Tensor, targets: Tensor) -> Tensor:
            return ((outputs - targets) ** 2).mean()

        def watch() -> Tensor:  # PyKAN calls it after every step
            nonlocal best
            self.check(SHARES[number])
            with torch.no_grad():
                now = loss(self.model(self.inputs, **options), self.targets).item()
            if careful and now < (min(losses) if last else math.inf):  # false for NaN
                best = copy.deepcopy(self.model.state_dict())
            losses.append(now)
            stuck = len(losses) > 6 and losses[-6:] == 6 * [now]
            if stuck or now < solved or not math.isfinite(now):
                raise Late
            return torch.zeros(())

        data = {f"{part}_input": self.inputs for part in ("train", "test")}
        data |= {f"{part}_label": self.targets for part in ("train", "test")}
        steps = self.settings["steps"][number]
        with contextlib.suppress(Late):
            self.model.fit(data, steps=steps, lamb=lamb, loss_fn=loss, metrics=[watch], **options)
        if best is not None:
            self.model.load_state_dict(best)
        self.model.symbolic_enabled = self.model.save_act = True  # off after an early end
        self.model.get_act(self.inputs)
        return min(losses)

    def curves(self) -> None:
        """Train and prune a network of splines."""
        self.train(0, self.settings["lamb"])
        self.stage = "pruning"
        self.model = self.model.prune()
        if sum(layer.mask.sum() for layer in self.model.act_fun) > self.settings["edges"]:
            raise Late
        self.train(1)
        self.model = self.model.refine(10)
        self.train(2)

    def functions(self) -> None:
        """Put a function in the place of every spline.

        Raises:
            Late: time is over.
        """
        self.stage, settings = "functions", self.settings
        suggest, library = self.model.suggest_symbolic, settings["library"]
        how = {
            "c_loss_fun": lambda _: np.array([*library.values()]),
            "r2_loss_fun": lambda r2: np.log2(1 + settings["floor"] - r2),
        }

        def suggest_in_time(*args: Any, **options: Any) -> Any:  # PyKAN calls it for every edge
            self.check()
            return suggest(*args, **options, **how)

        self.model.suggest_symbolic = suggest_in_time
        self.model.get_act(self.inputs[: settings["snap"]])
        slopes = -settings["slopes"], settings["slopes"]
        self.model.auto_symbolic(lib=[*library], a_range=slopes, verbose=0)
        loss = math.inf
        for _ in range(settings["starts"]):
            before, loss = loss, self.train(3)
            if loss > before / 2:
                break

    def outcome(self) -> Outcome:
        """The formula as text, or none, and how far the search got.

        What PyKAN raises is an outcome, too; what is raised elsewhere is an error of ours.
        """
        import sympy

        try:
            self.curves()
            self.functions()
            names = [f"x{i + 1}" for i in range(self.inputs.shape[1])]
            formulas = self.model.symbolic_formula(var=names)  # None if it fails
        except Late:
            return None, {"stage": self.stage}
        except Exception as error:
            frames = traceback.walk_tb(error.__traceback__)
            names = [frame.f_globals["__name__"] for frame, _ in frames]
            if [name for name in names if name.startswith(("kan.", __name__))][-1] == __name__:
                raise
            text = f"{type(error).__name__}: {error}"
            return None, {"stage": self.stage, "error": text[:100]}
        formula = sympy.sympify(formulas[0][0] if formulas else sympy.nan)
        if formula.has(sympy.nan, sympy.zoo, sympy.oo, sympy.I):
            return None, {"stage": self.stage, "error": "not a number"}
        return str(formula), {"stage": self.stage}


def pykan(name: str, inputs: Tensor, targets: Tensor, limit: float, seed: int) -> Outcome:
    """PyKAN's first tutorial, step by step."""
    with contained() as folder:
        kan, widths = needed("kan", "pykan==0.2.8"), [*LAWS[name].widths]
        model = kan.KAN(widths, grid=3, k=3, seed=seed, auto_save=False, ckpt_path=folder)
        return Search(inputs, targets, model, TUTORIAL, limit).outcome()


def pykan_tuned(name: str, inputs: Tensor, targets: Tensor, limit: float, seed: int) -> Outcome:
    """The same with better settings, and again with others; the best on a fifth kept aside wins.

    All tries but the first have targets of mean 0 and spread 1.
    """
    best, tries, kept = (math.inf, None), [], len(inputs) // 5
    points, values = inputs.numpy(), targets[:, 0].numpy()
    with contained() as folder:
        kan, start = needed("kan", "pykan==0.2.8"), time.process_time()
        while (left := limit - (time.process_time() - start)) > limit / 4 and best[0] > SOLVED:
            seed_, widths = 100 * seed + len(tries), [*LAWS[name].widths]
            model = kan.KAN(widths, grid=3, k=3, seed=seed_, auto_save=False, ckpt_path=folder)
            settings = TUNED | {"lamb": LAMBS[len(tries) % len(LAMBS)]}
            center, spread = (values.mean(), values.std()) if tries else (0.0, 1.0)
            known = inputs[kept:], (targets[kept:] - center) / spread
            text, note = Search(*known, model, settings, left).outcome()
            if text is not None:
                text = f"{center} + {spread}*({text})" if tries else text
                text, _ = polish(text, points[kept:], values[kept:])
                miss = numeric(text, inputs.shape[1])(points[:kept]) - values[:kept]
                error = float(np.sqrt(np.mean(miss**2)) / values.std())
                note["error aside"] = error if math.isfinite(error) else None
                best = min(best, (error, text), key=lambda one: one[0])  # never one that is NaN
            tries.append(note)
    return best[1], {"tries": tries}


# --- Operon --------------------------------------------------------------------------------------

OPERON = {
    "allowed_symbols": "add,sub,mul,div,sin,exp,log,sqrt,tanh,square,constant,variable",
    "objectives": ["nmse", "length"],
    "optimizer_iterations": 10,
    "population_size": 1000,
    "max_length": 30,
}
ROUND = 4  # seconds between looks at what there is


def sympy_text(text: str) -> str:
    """A formula as Operon prints it, in the notation of SymPy and with inputs x1, x2, ...

    Raises:
        ValueError: it has functions other than those of ``OPERON``.
    """
    text = re.sub(r"\bX(\d+)\b", r"x\1", text).replace("^", "**")
    known = OPERON["allowed_symbols"].split(",")
    for word in re.findall(r"[A-Za-z]\w*", text):
        if word not in known and not re.fullmatch(r"x\d+", word):
            raise ValueError(f"text={text!r}; expected no {word!r}")
    return text


def operon(name: str, inputs: Tensor, targets: Tensor, limit: float, seed: int) -> Outcome:
    """Genetic programming: small and exact formulas survive.

    Of all formulas of which none was both smaller and more exact, that is returned with the least
    n log(squared error) + log(n) size.
    """
    sklearn = needed("pyoperon.sklearn", "pyoperon==0.6.2")
    start, rounds, front = time.process_time(), 0, {}
    points, values = inputs.numpy(), targets.numpy()[:, 0]
    spread, n = values.std(), len(values)
    endless = {"generations": 10**6, "max_evaluations": 10**9, "epsilon": 0.0}
    search = sklearn.SymbolicRegressor(**OPERON, **endless, n_threads=1)

    def score(error: float, size: int) -> float:
        return n * math.log((error / spread) ** 2 + SOLVED**2) + math.log(n) * size

    for half in (0.5, 1.0):  # of the time; then a new beginning
        search.warm_start = False
        while (left := half * (limit - 5) - (time.process_time() - start)) > 0:
            search.max_time = max(1, round(min(left, ROUND)))
            search.random_state = 1000 * seed + rounds
            search.fit(points, values)
            search.warm_start, rounds, near = True, rounds + 1, []
            for model in search.pareto_front_:
                size, error = model["length"], math.sqrt(model["mean_squared_error"])
                text = sympy_text(search.get_model_string(model["tree"], 20))
                if error < front.get(size, (math.inf,))[0]:
                    front[size] = error, text
                    near += [(size, text)] if error < 1e-4 * spread else []
            for _, text in sorted(near)[:3]:
                text, error = polish(text, points, values)
                if error < SOLVED * spread:
                    return text, {"rounds": rounds, "solved": True}
    best = sorted((score(error, size), size, text) for size, (error, text) in front.items())[:10]
    ends = [(size, *polish(text, points, values)) for _, size, text in best]
    return min(ends, key=lambda end: score(end[2], end[0]))[1], {"rounds": rounds, "solved": False}
