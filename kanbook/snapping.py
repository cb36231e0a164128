"""The search behind :func:`kanbook.formulas.snap`: networks of curves become networks of functions.

The KAN Lab does the same in ``lab/snapping.js``. In the book: chapter 15.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import grids
from .counting import count_parameters
from .functions import Check, FormulaLayer, Function, Snap, candidates, divide_outputs
from .networks import Network
from .optimizers import LevenbergMarquardt
from .pruning import edges, keep

INF = math.inf


@dataclass(frozen=True)
class SearchOptions:
    """The numbers of the search, for this file and for the KAN Lab. Steps: at most so many."""

    slow: float = 0.97  # a refit ends where three steps leave more than this share of the loss,
    least: float = 1e-30  # or at a loss this low
    doublings: int = 2  # of the curves' grid,
    curve_steps: int = 30  # of a refit before them,
    grid_steps: int = 20  # and after each;
    halved: float = 0.5  # the last is one that leaves more than this share of the loss
    correlated: float = 4  # standard deviations of chance, beyond which neighbors agree
    chance: float = 3  # standard deviations of the noise, within which a loss is as good
    worse: float = 30  # without noise: times the curves' loss,
    floor: float = 1e-9  # or this share of the targets' variance, if that is more
    complete: float = 0.01  # with no curve left: times the curves' loss,
    exact: float = 1e-20  # or a share of the variance that is rounding error
    noisy_floor: float = 1e-9  # added to a loss before its logarithm becomes a score, with noise,
    clean_floor: float = 1e-18  # and without;
    clean_weight: float = 10  # of the logarithm, without noise
    trial_steps: int = 20  # without a node or an edge
    cancel: float = 30  # edges do that spread so many times as far as their sum
    points: int = 300  # of an edge's curve
    first_steps: int = 3  # with each function in its place;
    line_steps: int = 8  # more, with a straight line
    # Then, in rounds: steps, networks that stay, how much worse than the best they may score.
    rounds: tuple[tuple[int, int, float], ...] = ((0, 6, 200), (8, 3, 60), (25, 3, INF))
    beam: int = 3  # networks that stay from edge to edge,
    margin: float = 60  # and how much worse than the best they may score
    start_steps: int = 20  # before the first edge,
    end_steps: int = 100  # and after the last
    round_steps: int = 25  # with a number fixed;
    worse_rounded: float = 3  # times the loss before, without noise
    far: float = 0.05  # a change by more than this share of a number
    near_zero: float = 1e-10  # that is not near zero
    shares: tuple[float, ...] = (0.3, 0.6)  # goes these shares of the way first,
    part_steps: int = 4  # with steps at each
    readable: float = 0.02  # by which share a number may change to a fraction
    denominators: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8, 10)  # with one of these


SEARCH = SearchOptions()


# --- as good as the curves -----------------------------------------------------------------------


def refit(model: nn.Module, x: Tensor, y: Tensor, steps: int) -> float:
    """Make at most so many steps of Levenberg-Marquardt; return the mean squared error."""
    solver = LevenbergMarquardt(model, x, y)
    losses = []
    for _ in range(steps):
        losses.append(solver.linearize().item())
        slow = len(losses) > 3 and losses[-1] > SEARCH.slow * losses[-4]
        if slow or not SEARCH.least < losses[-1] < INF:
            break
        solver.move()
    with torch.no_grad():
        loss = (model(x) - y).square().mean().item()
    return loss if math.isfinite(loss) else INF


class Standard:
    """How good a network of curves is, and so how good a formula has to be.

    The grid is refined until twice as many knots do not halve the loss any more. If neighbors do
    not agree in what is left then, it is noise. Else it is what the curves cannot follow.

    Attributes:
        model: the network, refitted on the last grid, or on the one before if the rest is noise.
        loss, numbers: mean squared error on the grid before, and how many numbers that took.
        finest, best: the network on the last grid, and its mean squared error.
        variance: of the noise, if the rest is noise.
        rounding: that of an exact formula is below.
    """

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, doublings: int) -> None:
        self.x, self.y, self.n = x, y, y.numel()
        self.spread = y.var(correction=0).item()
        self.rounding = SEARCH.exact * self.spread
        self.model, self.noisy = copy.deepcopy(model).requires_grad_(), False
        self.best = self.refit(self.model, SEARCH.curve_steps)
        for _ in range(doublings):
            coarse, self.loss, self.numbers = self.model, self.best, count_parameters(self.model)
            self.model = copy.deepcopy(coarse)
            with warnings.catch_warnings():  # of inputs off the domain: a refit follows
                warnings.simplefilter("ignore", RuntimeWarning)
                grids.extend_grid(self.model, x, 2 * coarse[0].grid_size)
            self.best, self.finest = self.refit(self.model, SEARCH.grid_steps), self.model
            before, after = (  # what a network without a free number would leave
                loss * self.n / max(self.n - count_parameters(network), 1)
                for loss, network in ((self.loss, coarse), (self.best, self.model))
            )
            self.variance = min(before, after)
            if after > SEARCH.halved * before:
                self.noisy = not neighbors_agree(x, y - self.model(x))
                self.model = coarse if self.noisy else self.model
                break

    def refit(self, network: nn.Module, steps: int) -> float:
        return refit(network, self.x, self.y, steps)

    def allows(self, loss: float, network: nn.Module, *, complete: bool = False) -> bool:
        """Whether a loss is that of the curves, but for chance or for the curves' own error."""
        if self.noisy:  # a number less leaves the noise of one sample more, on average
            fewer = max(self.numbers - count_parameters(network), 0)
            more = fewer + SEARCH.chance * math.sqrt(2 * fewer)  # chi squared
            return loss <= self.loss + self.variance * more / self.n
        if complete:
            return loss <= SEARCH.complete * self.best or loss < self.rounding
        return loss <= SEARCH.worse * max(self.best, SEARCH.floor * self.spread)

    @torch.no_grad()
    def check(self, network: nn.Module, x: Tensor, y: Tensor) -> Check:
        """How a formula does on samples that nothing was fitted to, at each end of each input."""
        r = (network(x) - y).nan_to_num(nan=INF, posinf=INF, neginf=INF)
        spread = torch.cat([self.y, y]).var(correction=0).item()
        left, noise = r.square().mean().item(), self.variance if self.noisy else 0.0
        if left < self.rounding or not self.noisy:
            good = left < self.rounding or self.allows(left, network, complete=True)
            return Check(len(x), left / spread, 0.0, 0.0 if good else INF, good)
        places = (x - self.x.mean(0)) / self.x.std(0).clamp(min=1e-300)
        farthest = places.abs().argmax(1, keepdim=True)
        ends = (2 * farthest + (places.gather(1, farthest) > 0)).squeeze(1)
        means = [r[ends == end].sum(0) / (ends == end).sum().sqrt() for end in ends.unique()]
        off = torch.stack(means).abs().max().item() / math.sqrt(noise)
        off = max(off, (left / noise - 1) * math.sqrt(r.numel() / 2))  # chi squared
        return Check(len(x), left / spread, noise / spread, off, off <= SEARCH.chance)

    def score(self, loss: float, network: nn.Module) -> float:
        """Goodness and simplicity in one number: with noise, the Bayesian information criterion."""
        weight, floor = SEARCH.clean_weight, SEARCH.clean_floor
        if self.noisy:
            weight, floor = self.n, SEARCH.noisy_floor
        prices = sum(f.price for layer in network for *_, f in layer.functions)
        simplicity = math.log(self.n) * (count_parameters(network) + prices)
        return weight * math.log(loss / self.spread + floor) + simplicity


@torch.no_grad()
def neighbors_agree(x: Tensor, residuals: Tensor) -> bool:
    """Whether residuals (N, O) of nearest neighbors among samples x (N, I) are correlated."""
    spread = x.std(0)
    x, r = (x / spread)[:2000, spread > 1e-12], residuals[:2000]  # of inputs that vary
    distance = torch.cdist(x, x).fill_diagonal_(INF)
    r = (r - r.mean(0)) / r.std(0)
    agreement = (r * r[distance.argmin(1)]).mean(0)
    return bool((agreement > SEARCH.correlated / math.sqrt(len(x))).any())


@torch.no_grad()
def cancels(model: nn.Module, x: Tensor) -> bool:
    """Whether edges into a node almost take each other away: x^2 - (x - 0.001 y)^2 is x y."""
    sizes = [
        e.std(0, correction=0).sum(0) / e.sum(-2).std(0, correction=0) for e in edges(model, x)
    ]
    return max(size.max().item() for size in sizes) > SEARCH.cancel


# --- the search ----------------------------------------------------------------------------------


def peel(model: nn.Module, standard: Standard, parts: str) -> nn.Module:
    """Take away nodes (or edges), the weakest first, without which the network is as good."""
    refused, x = 0, standard.x
    while True:
        spreads = [values.std(0, correction=0) for values in edges(model, x)]
        if parts == "nodes":
            places = [(s[i].sum(), n, i) for n, s in enumerate(spreads) if n for i in range(len(s))]
        else:
            places = [(s[i, o], n, (i, o)) for n, s in enumerate(spreads) for i, o in s.nonzero()]
        if refused >= len(places):
            return model
        _, n, place = sorted(places, key=lambda part: part[0].item())[refused]
        alive = [s > 0 for s in spreads]
        alive[n][place] = False
        smaller = keep(model, x, alive)
        good = smaller and standard.allows(standard.refit(smaller, SEARCH.trial_steps), smaller)
        if good and not cancels(smaller, x):
            model = smaller
        else:
            refused += 1


@torch.no_grad()
def normalized(model: nn.Module, x: Tensor) -> Network:
    """The same function by formula layers, with hidden nodes that run from -1 to 1."""
    network = Network(*(FormulaLayer(layer) for layer in model))
    for layer, following in pairwise(network):
        if following.splines.base is None:  # else a fixed function, which cannot move
            h = layer(x)
            center, half = (h.amax(0) + h.amin(0)) / 2, (h.amax(0) - h.amin(0)).clamp(min=1e-12) / 2
            divide_outputs(layer.splines, half)
            layer.bias.copy_(-center / half)
            following.splines.knots.sub_(center.unsqueeze(1)).div_(half.unsqueeze(1))
        x = layer(x)
    return network


@dataclass
class Trial:
    """A network on its way to a formula, and what became of its edges so far."""

    network: Network
    loss: float
    snaps: tuple[Snap, ...] = ()
    score: float = INF

    def curves(self) -> bool:
        return any(snap.name is None for snap in self.snaps)


@dataclass
class Search:
    """Puts functions in the place of curves, edge by edge, and then rounds their numbers."""

    standard: Standard
    library: Mapping[str, Function]
    progress: bool = False

    def run(self, start: Trial, order: Sequence[tuple[int, int, int]]) -> Trial:
        """Go through the edges (layer, input, output), with the best few networks."""
        trials = [Trial(copy.deepcopy(start.network), start.loss, start.snaps)]
        for edge in tqdm(order, disable=not self.progress, unit="edge"):
            children = [child for trial in trials for child in self.children(trial, edge)]
            if children:
                trials = _best(children, SEARCH.beam, SEARCH.margin)
                if trials[0].loss < self.standard.rounding:
                    trials = trials[:1]
            else:
                for trial in trials:
                    trial.snaps += (Snap(*edge, None),)
        trials[0].loss = self.standard.refit(trials[0].network, SEARCH.end_steps)
        return trials[0]

    def children(self, trial: Trial, edge: tuple[int, int, int]) -> list[Trial]:
        """The best networks with a function on this edge, if they are good enough."""
        tried = self.try_all(trial, edge)
        for steps, most, margin in SEARCH.rounds:
            for child in tried:
                child.loss = self.standard.refit(child.network, steps)
                child.score = self.standard.score(child.loss, child.network)
            tried = _best(tried, most, margin)
        return [child for child in tried if self.standard.allows(child.loss, child.network)]

    def try_all(self, trial: Trial, edge: tuple[int, int, int]) -> list[Trial]:
        """Each function on this edge; none after a straight line that is as good as the curve."""
        n, i, o = edge
        with torch.no_grad():
            inputs = trial.network[:n](self.standard.x)[:, i]
        points = torch.cat([inputs[: SEARCH.points], torch.stack(inputs.aminmax())])
        curve, tried = trial.network[n].curve(i, o, points), []
        for start in candidates(points, curve, self.library):
            network = copy.deepcopy(trial.network)
            network[n].put(i, o, self.library[start.name], start)
            loss = self.standard.refit(network, SEARCH.first_steps)
            tried.append(Trial(network, loss, (*trial.snaps, Snap(*edge, start.name))))
            if start.name == "x":
                loss = self.standard.refit(network, SEARCH.line_steps)
                if loss <= max(trial.loss, self.standard.rounding):
                    break  # nothing is simpler
        return tried

    def round(self, trial: Trial) -> None:
        """Drop functions that are not needed; fix numbers at 0, 1 or a readable one, if free."""
        # Scale and shift can move from layer to layer: 0 and 1 are tried however far they are.
        for n, layer in enumerate(trial.network):
            for number in reversed(range(len(layer.functions))):
                network = copy.deepcopy(trial.network)
                network[n].drop(number)
                self.accept(trial, network)
            left = [(n, i, o) for i, o, *_ in trial.network[n].functions]
            trial.snaps = tuple(s for s in trial.snaps if s.layer != n or s[:3] in left)
        for values in (_zero, _one, readable):
            places = [
                (n, *place) for n, layer in enumerate(trial.network) for place in layer.places()
            ]
            for n, name, index in sorted(places, key=lambda place: place[1]):  # biases first
                self.fix(trial, n, name, index, values)

    def fix(self, trial: Trial, n: int, name: str, index: tuple, values: Callable) -> None:
        """Fix a number at the first of some values that leaves the network as good."""
        old = getattr(trial.network[n], name)[index].item()
        is_shift = name == "bias" or index[1] == 2  # or b
        for value in values(old, is_shift):
            network = copy.deepcopy(trial.network)
            if abs(value - old) > SEARCH.far * abs(old) > SEARCH.near_zero:
                for share in SEARCH.shares:
                    network[n].fix(name, index, old + share * (value - old))
                    self.standard.refit(network, SEARCH.part_steps)
            network[n].fix(name, index, value)
            if self.accept(trial, network):
                return

    def accept(self, trial: Trial, network: Network) -> bool:
        """Take a simpler network in the place of the trial's, if it is as good."""
        standard = self.standard
        loss = standard.refit(network, SEARCH.round_steps)
        good = loss <= max(SEARCH.worse_rounded * trial.loss, standard.rounding)
        if standard.noisy:  # each number that is fixed may cost as much as it is worth
            fewer = count_parameters(trial.network) - count_parameters(network)
            good = loss <= trial.loss * standard.n ** (fewer / standard.n)
        if good and not cancels(network, standard.x):
            trial.network, trial.loss = network, loss
        return trial.network is network


def _best(trials: list[Trial], most: int, margin: float) -> list[Trial]:
    """The few with the lowest scores, none of them higher than the lowest by the margin."""
    trials = sorted(trials, key=lambda trial: trial.score)
    return [trial for trial in trials[:most] if trial.score < trials[0].score + margin]


def _zero(value: float, is_shift: bool) -> list[float]:
    return [0.0] if is_shift else []


def _one(value: float, is_shift: bool) -> list[float]:
    return [] if is_shift else [math.copysign(1.0, value), -math.copysign(1.0, value)]


def readable(value: float, is_shift: bool) -> Iterator[float]:
    """Fractions and parts of pi near a value, the simplest first."""
    for unit in (1.0, math.pi):
        for q in SEARCH.denominators:
            part = round(value / unit * q) * unit / q
            if part and abs(part - value) <= SEARCH.readable * abs(value):
                yield part
