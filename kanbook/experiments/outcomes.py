"""What became of each hypothesis of ``plan.md``, by the numbers of the stored rows.

A hypothesis is split into its claims. It *holds* if all of them do, and *half* if some do; else it
is *lost* if one of them is wrong, and *undecided* if the rows allow all of them. It is *open* as
long as rows are missing. Of two families one is *ahead* by the rule of the contests: p < 0.05 and
beyond 20 %. Elsewhere a claim is judged by medians over the seeds, as the plan says. Nothing here
is a stored number: what the book prints is computed as it is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import results
from ..results import contests
from . import engine, slices
from .definitions import EXPERIMENTS

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Outcome", "hypotheses", "outcomes"]

PLAN = Path(__file__).with_name("plan.md")


class Outcome(NamedTuple):
    """One hypothesis and what became of it.

    ``label``, part and number in the plan, such as "B 1"; ``experiments``, whose rows decide;
    ``hypothesis``, its words; ``verdict``, "holds", "half", "lost", "undecided" or "open";
    ``because``, the numbers that decide, in Markdown, empty if open.
    """

    label: str
    experiments: tuple[str, ...]
    hypothesis: str
    verdict: str
    because: str


def hypotheses() -> dict[str, str]:
    """The numbered hypotheses of the plan by their labels, "A 1", in its order."""
    found: dict[str, str] = {}
    for part in re.split(r"^## (?=[A-Z]\. )", PLAN.read_text(encoding="utf-8"), flags=re.M)[1:]:
        for number, text in re.findall(r"^(\d+)\. (.*?)(?=\n\d+\. |\n\n|\Z)", part, re.M | re.S):
            found[f"{part[0]} {number}"] = " ".join(text.split())
    return found


Claims = tuple[list[bool | None], str]  # None: the rows allow it, and its contrary
_JUDGES: dict[str, tuple[tuple[str, ...], str | None, Callable[..., Claims] | None]] = {}


def _judge(label: str, *experiments: str, text: str | None = None):
    """Register how a hypothesis is judged; the function gets the rows of each experiment."""

    def register(judge: Callable[..., Claims]) -> Callable[..., Claims]:
        _JUDGES[label] = experiments, text, judge
        return judge

    return register


def outcomes() -> list[Outcome]:
    """What became of each hypothesis, in the order of the plan."""
    texts, load = hypotheses(), cache(_rows)
    found = []
    for label, (experiments, text, judge) in _JUDGES.items():
        frames = [load(name) for name in experiments]
        verdict, because = "open", ""
        if judge and all(frame is not None for frame in frames):
            claims, because = judge(*frames)
            verdict = _verdict(claims)
        found.append(Outcome(label, experiments, text or texts[label], verdict, because))
    return found


def _rows(name: str) -> DataFrame | None:
    """All results, those of the KAN at equal seconds too; None if some are missing."""
    if name not in results.names():
        return None
    frame = results.load(name)
    if frame.attrs["runs"] < engine.total(EXPERIMENTS[name]):
        return None
    return contests.with_own(frame) if "contest" in frame else frame


def _verdict(claims: list[bool | None]) -> str:
    if any(claims):
        return "holds" if all(claims) else "half"
    return "lost" if False in claims else "undecided"


# How numbers are said.


def _number(x: float) -> str:
    if x < 1e-4 or x >= 10_000:
        return f"{x:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{x:.2g}" if x < 0.095 else f"{x:.2f}" if x < 9.95 else f"{x:,.0f}"


def _end(x: float) -> str:
    """An end of an interval; two tasks may leave it wide."""
    return "<0.001" if x < 1e-3 else ">1,000" if x > 1000 else _number(x)


def _said(a: str, b: str, row: Any) -> str:
    """'a / b **ratio** [low, high]' of contests, or of :func:`results.compare`."""
    interval = "" if row.low != row.low else f" [{_end(row.low)}, {_end(row.high)}]"
    return f"{a} / {b} **{_number(row.ratio)}**{interval}"


def _ahead(row: Any) -> bool | None:
    """Whether the first is better by the rule of the contests; None if that is undecided."""
    return None if row.verdict == "undecided" else row.verdict == "a"


def _no_better(row: Any) -> bool | None:
    """Whether the first is not better; None if undecided, and its mean says it is."""
    undecided = row.verdict == "undecided" and row.ratio < 1 / contests.TIE
    return None if undecided else row.verdict != "a"


def _tie(row: Any) -> bool | None:
    return None if row.verdict == "undecided" else row.verdict == "tie"


def _all(claims: list[bool | None]) -> bool | None:
    """What is said of several at once."""
    return False if False in claims else None if None in claims else True


def _row(frame: DataFrame, a: str, b: str, kind: str = "all", contest: str | None = None) -> Any:
    """The ratio of two families over a class; if no contest is named, there is but one."""
    frame = frame.assign(contest="") if contest is None else frame[frame["contest"] == contest]
    found = contests.ratios(frame, a, b)
    return next(found[found["kind"] == kind].itertuples())


def _task(frame: DataFrame, a: str, b: str, task: str) -> Any:
    """The ratio on one task, whose pairs of seeds decide by the same rule."""
    found = contests.per_task(frame.assign(contest=""), a, b)
    found = found[found["task"] == task].assign(p_holm=found["p"])
    found["verdict"] = [contests._verdict(row) for row in found.itertuples()]
    return next(found.itertuples())


def _against(first: Any, second: Any) -> Any:
    """The mean over the tasks of how many times larger one ratio is than another."""
    logs = {}
    for name, (frame, a, b) in (("first", first), ("second", second)):
        table = contests.per_task(frame.assign(contest=""), a, b)
        logs[name] = np.log(table.groupby("task")["ratio"].first())
    return _Ratio(**contests._interval((logs["first"] - logs["second"]).to_numpy()))


class _Ratio(NamedTuple):
    ratio: float
    low: float
    high: float
    p: float


def _parts(items: list[str]) -> str:
    return "; ".join(items)


# A. Formulas


@_judge("A 1", "formulas")
def _(frame):
    found = {c: _row(frame, "KAN", "MLP", "axes", c) for c in ("parameters", "seconds")}
    said = [f"equal {c}, along the axes: {_said('KAN', 'MLP', r)}" for c, r in found.items()]
    return list(map(_ahead, found.values())), _parts(said)


def _no_lead(kind: str) -> Callable[..., Claims]:
    def judge(frame):
        found = {c: _row(frame, "KAN", "MLP", kind, c) for c in ("parameters", "seconds")}
        said = [f"equal {c}, {kind}: {_said('KAN', 'MLP', r)}" for c, r in found.items()]
        return list(map(_no_better, found.values())), _parts(said)

    return judge


_judge("A 2", "formulas")(_no_lead("rotated"))
_judge("A 3", "formulas")(_no_lead("generic"))


@_judge("A 4", "formulas")
def _(frame):
    frame = frame[(frame["contest"] == "parameters") & ~frame["diverged"]]
    small = frame[[one.startswith("formula") for one in frame["task"]]]
    baselines = "polynomial", "gaussian process"
    kept = small[
        [widths[0] <= 3 if isinstance(widths, tuple) else True for widths in small["widths"]]
    ]
    tasks = set(kept.loc[kept["family"] == "KAN", "task"])
    logs = np.log(kept["test_error"]).groupby([kept["task"], kept["family"]]).mean().unstack()
    times = kept.groupby(["task", "family"])["seconds"].median().unstack()
    won = quick = 0
    for task in sorted(tasks):
        best = logs.loc[task, list(baselines)].idxmin()
        networks = logs.loc[task].drop(list(baselines)).dropna()
        won += logs.loc[task, best] < networks.min()
        quick += times.loc[task, best] < times.loc[task, networks.index].min()
    said = f"ahead of every network on **{won}** of {len(tasks)} formulas, in less time on {quick}"
    return [won == len(tasks), quick == len(tasks)], said


@_judge("A 5", "formulas")
def _(frame):
    row = _row(frame, "spline MLP", "KAN", "rotated", "parameters")
    return [
        _no_better(row) if row.verdict == "undecided" else row.verdict != "b"
    ], f"rotated: {_said('spline MLP', 'KAN', row)}"


_JUDGES["A 6"] = ("formulas", "tanh-readings"), None, None
_JUDGES["A 7"] = ("formulas", "formulas-lbfgs", "formulas-lm"), None, None


@_judge(
    "A dense",
    "formulas-dense",
    text="With 300 parameters and 10,000 samples the KAN is better along the axes at equal "
    "parameters, and not when rotated.",
)
def _(frame):
    axes, rotated = (_row(frame, "KAN", "MLP", k, "parameters") for k in ("axes", "rotated"))
    said = [
        f"{_said('KAN', 'MLP', axes)} along the axes",
        f"{_said('KAN', 'MLP', rotated)} rotated",
    ]
    return [_ahead(axes), _no_better(rotated)], _parts(said)


# B. Noise


@_judge("B 1", "noise")
def _(frame):
    kind = "noise 20%, 200 samples"
    found = {b: _row(frame, "KAN", b, kind) for b in ("MLP", "spline MLP", "tanh after the sum")}
    said = _parts([_said("KAN", name, row) for name, row in found.items()])
    return [_all(list(map(_tie, found.values())))], said


@_judge("B 2", "noise")
def _(frame):
    loud, still = (frame[frame["noise"] == n] for n in (0.2, 0.0))
    claims, said = [], []
    for samples in (200, 2000):
        pair = [(one[one["samples"] == samples], "KAN", "MLP") for one in (loud, still)]
        row = _against(*pair)
        claims.append(None if row.low < 1 < row.high else row.low > 1)
        said.append(f"{samples:,} samples: {_said('(KAN / MLP at 20 %)', '(at 0 %)', row)}")
    return [_all(claims)], _parts(said)


# C. Tables


@_judge("C 1", "tables")
def _(frame):
    equal = frame[frame["contest"] == "parameters"]
    tie = _row(equal, "KAN", "MLP", "regression")
    beaten, said = [], [_said("KAN", "MLP", tie)]
    for task, family in product(("diamonds", "flights"), ("KAN", "MLP")):
        row = _task(equal, "boosted trees", family, f"table:{task}")
        beaten.append(_ahead(row))
        said.append(f"{task}: {_said('boosted trees', family, row)}")
    return [_tie(tie), _all(beaten)], _parts(said)


@_judge("C 2", "tables")
def _(frame):
    row = _task(frame[frame["contest"] == "parameters"], "MLP", "KAN", "table:mnist1d")
    return [_ahead(row)], f"log-loss, {_said('MLP', 'KAN', row)}"


@_judge("C 3", "tables")
def _(frame):
    equal = frame[frame["contest"] == "parameters"]
    found = {n: _task(equal, "KAN", "MLP", f"table:friedman{n}") for n in (1, 2, 3)}
    said = _parts([f"Friedman {n}: {_said('KAN', 'MLP', row)}" for n, row in found.items()])
    return [_all(list(map(_ahead, found.values())))], said


# D. Images

_JUDGES["D 1"] = ("pictures",), None, None
_JUDGES["D 2"] = ("pictures",), None, None
_JUDGES["D 3"] = ("pictures",), None, None

# E. Starts


@_judge("E 1", "starts")
def _(frame):
    frame = frame.assign(log=np.log(frame["test_error"].where(~frame["diverged"], 1.0)))
    means = frame.groupby(["task", "family"])["log"].mean().groupby("family").mean()
    near, ahead, said = [], [], []
    for layers in (1, 3):
        at = means.filter(like=f"{layers} layers, G = 5").sort_values()
        worst = [np.exp(at.iloc[last] - at.iloc[0]) for last in (-1, -2)]
        names = [at.index[last].partition(",")[0] for last in (-1, -2)]
        near.append(worst[0] < 2)
        said.append(
            f"G = 5, hidden layers {layers}: {names[0]} / the best **{_number(worst[0])}**, "
            f"{names[1]} / the best {_number(worst[1])}"
        )
    for layers in (1, 3):
        at = means.filter(like=f"{layers} layers, G = 20")
        power = f"power law, {layers} layers, G = 20"
        best = at.drop(power).idxmin()
        row = contests.ratios(frame, power, best, by="contest").iloc[-1]
        ahead.append(_ahead(row))
        name = f"the best other ({best.partition(',')[0]})"
        said.append(f"G = 20, hidden layers {layers}: {_said('power law', name, row)}")
    return [_all(near), _all(ahead)], _parts(said)


# F. Extras


@_judge("F 1", "extras-factorial")
def _(frame):
    return _main(frame, "update", helps=True)


@_judge("F 2", "extras-factorial")
def _(frame):
    return _main(frame, "spline weight", helps=False)


def _name(task: str) -> str:
    return task.partition(":")[2].replace("_", " ")


def _main(frame: DataFrame, extra: str, *, helps: bool) -> Claims:
    found = contests.effects(frame)
    found = found[(found["where"] == "main") & (found["extra"] == extra)]
    claims, said = [], []
    for row in found.itertuples():
        helped = True if row.high < 1 else False if row.low > 1 else None
        useless = False if helped else True if row.low > 1 / contests.TIE else None
        claims.append(helped if helps else useless)
        said.append(f"{_name(row.task)}: {_said('with', 'without', row)}")
    return claims, _parts(said)


@_judge("F 3", "extras-factorial")
def _(frame):
    frame = frame.assign(
        log=np.log(frame["test_error"].where(~frame["diverged"], 1.0)),
        set=[frozenset(set(name.split(" + ")) - {"minimal"}) for name in frame["family"]],
    )
    claims, said = [], []
    both = frozenset(["update", "extension"])
    for task, runs in frame.groupby("task", sort=False):
        logs = runs.pivot(index="set", columns="seed", values="log")
        rest = [one for one in logs.index if not one & both]
        cells = [
            logs.loc[[one | extra for one in rest]].to_numpy()
            for extra in (both, {"update"}, {"extension"}, frozenset())
        ]
        table = logs.loc[rest] * 0 + (cells[0] - cells[1] - cells[2] + cells[3])
        row = _Ratio(**contests._wider(table))
        claims.append(None if row.low < 1 < row.high else row.low > 1)
        said.append(f"{_name(task)}: {_said('effect of both', 'product of the two', row)}")
    return claims, _parts(said)


def _beat(frame: DataFrame, pairs: dict[tuple[str, str], bool], prefix: str = "") -> Claims:
    """Pairs of families, and whether the first is said to be ahead of the second."""
    found = {pair: _row(frame, *pair) for pair in pairs}
    claims = [
        _ahead(found[pair]) if ahead else _no_better(found[pair]) for pair, ahead in pairs.items()
    ]
    return claims, _parts([prefix + _said(f"“{a}”", f"“{b}”", r) for (a, b), r in found.items()])


def _join(*judged: Claims) -> Claims:
    return [claim for claims, _ in judged for claim in claims], _parts([said for _, said in judged])


@_judge("F 4", "extras-pykan")
def _(frame):
    kept = "update, optimizer kept"
    return _beat(frame, {(kept, "still"): True, ("update", kept): True})


@_judge("F 5", "knots")
def _(frame):
    pairs = {
        ("still, fresh", "still, kept"): True,
        ("moved, fresh", "moved, kept"): True,
        ("moved, fresh", "still, fresh"): True,
        ("moved, kept", "still, kept"): False,
    }
    claims, said = _beat(frame, pairs)
    return [_all(claims[:2]), _all(claims[2:])], said


@_judge("F 6", "knots")
def _(frame):
    found = {
        name: _row(frame, name, "moved, fresh") for name in ("half even, fresh", "even, fresh")
    }
    said = _parts([_said(f"“{name}”", "“moved, fresh”", row) for name, row in found.items()])
    return list(map(_tie, found.values())), said


@_judge("F 7", "knots")
def _(frame):
    pairs = {"KAN": ("still, fresh", "still, kept"), "MLP": ("MLP, fresh", "MLP, kept")}
    row = _against(*((frame, *pair) for pair in pairs.values()))
    said = [f"{name}: {_said('fresh', 'kept', _row(frame, *p))}" for name, p in pairs.items()]
    said.append(_said("that of the KAN", "that of the MLP", row))
    return [None if row.low < 1 < row.high else row.high < 1], _parts(said)


@_judge("F 8", "climbs-adam", "climbs-lbfgs")
def _(adam, lbfgs):
    climb = "5, 10, 20"
    first = _beat(adam, {(climb, "20"): True}, "Adam: ")
    return _join(first, _beat(lbfgs, {(climb, "20"): True, (climb, "20, fresh"): True}, "L-BFGS: "))


@_judge("F 9", "climbs-adam", "climbs-lbfgs")
def _(*frames):
    claims, said = [], []
    for name, frame in zip(("Adam", "L-BFGS"), frames, strict=True):
        row = _row(frame[frame["kind"] != "axes"], "5", "5, 10, 20")
        claims.append(_ahead(row))
        said.append(f"{name}, rotated and generic: {_said('“5”', '“5, 10, 20”', row)}")
    return claims, _parts(said)


@_judge("F 10", "climbs-adam", "climbs-lbfgs")
def _(adam, lbfgs):
    pair = {("5, 10, 20, updated", "5, 10, 20"): True}
    return _join(_beat(adam, pair, "Adam: "), _beat(lbfgs, pair, "L-BFGS: "))


@_judge(
    "F 10 control",
    "climbs-adam",
    "climbs-lbfgs",
    text="The updated climb is ahead of “20, updated” with both optimizers, by less than the plain "
    "climb of plain 20.",
)
def _(*frames):
    ahead, less, said = [], [], []
    for name, frame in zip(("Adam", "L-BFGS"), frames, strict=True):
        updated = _row(frame, "5, 10, 20, updated", "20, updated")
        plain = _row(frame, "5, 10, 20", "20")
        ahead.append(_ahead(updated))
        less.append(updated.ratio > plain.ratio)
        said.append(f"{name}: {_said('updated climb', '“20, updated”', updated)}")
        said.append(f"{_said('plain climb', '“20”', plain)}")
    return [_all(ahead), _all(less)], _parts(said)


ONCE = "all intervals at once"


@_judge("F 11", "recipe-adam", "recipe-lm")
def _(adam, lm):
    pair = {("recipe", ONCE): True}
    return _join(_beat(adam, pair, "Adam: "), _beat(lm, pair, "Levenberg-Marquardt: "))


@_judge(
    "F 11 controls",
    "recipe-lm",
    text="Each half of the recipe alone, the climb and the updates, beats all intervals at once, "
    "and the recipe is ahead of both.",
)
def _(frame):
    halves = "climbed only", "moved only"
    pairs = {(half, ONCE): True for half in halves} | {("recipe", half): True for half in halves}
    claims, said = _beat(frame, pairs)
    return [_all(claims[:2]), _all(claims[2:])], said


@_judge("F 12", "recipe-adam", "recipe-lm")
def _(adam, lm):
    axes, behind, said = [], [], []
    for name, frame in (("Adam", adam), ("Levenberg-Marquardt", lm)):
        for kind in ("axes",) if name == "Adam" else ("axes", "rotated", "generic"):
            row = _row(frame, "recipe", "MLP", kind)
            if kind == "axes":
                axes.append(_ahead(row))
            if frame is lm:
                behind.append(row.verdict == "b")
            said.append(f"{name}, {kind}: {_said('recipe', 'MLP', row)}")
    return [_all(axes), not any(behind)], _parts(said)


@_judge("F 13", "recipe-adam", "recipe-lm")
def _(adam, lm):
    import pandas

    claims, said = [], []
    for family in ("recipe", "MLP"):
        both = [one[one["family"] == family] for one in (adam, lm)]
        both = [one.assign(family=n) for n, one in zip(("Adam", "LM"), both, strict=True)]
        row = _row(pandas.concat(both), "LM", "Adam")
        claims.append(_ahead(row))
        said.append(f"{family}: {_said('Levenberg-Marquardt', 'Adam', row)}")
    return claims, _parts(said)


# G. An audit

_JUDGES["G 1"] = ("race-audit",), None, None

# H. A cold case

RATE = 0.005  # the post's


@cache
def _spread() -> float:
    portrait = {"task": "slices-32", "slices": 1, "frequencies": 4}
    return slices.make(portrait, 0)[1][1].double().std().item()


def _kept(frame: DataFrame, by: list[str]) -> Any:
    """The median share of the spread that is kept between the pixels."""
    return (frame.assign(kept=frame["final"] ** 0.5 / _spread()).groupby(by)["kept"]).median()


@_judge("H 1", "cold-case")
def _(frame):
    kept = _kept(frame[frame["part"] == "starts"], ["start", "lr", "depth"])
    normal = kept["normal"].drop([1, 2], level="depth").min()
    lines, products = (kept[start][0.003].max() for start in ("lines", "products"))
    said = (
        f"normal, three hidden layers and more, at best **{normal:.2f}** of the spread; at 0.003 "
    )
    said += f"at worst, lines **{lines:.2f}**, products **{products:.2f}**"
    return [normal > 0.5, lines <= 0.5, products <= 0.5], said


@_judge("H 2", "cold-case")
def _(frame):
    one = frame[(frame["part"] == "suspects") & (frame["lr"] == RATE) & (frame["family"] == "KAN")]
    kept = _kept(one, ["suspect"])
    single = kept.drop(["ours", "all", "all, with the extras"])
    failed = ", ".join(f"{name} **{value:.2f}**" for name, value in single[single > 0.5].items())
    said = f"fail: {failed or 'none'}; all together **{kept['all']:.2f}**"
    return [not failed, kept["all"] <= 0.5], said


def _finale(frame: DataFrame, steps: int) -> Callable[[str], Any]:
    """The errors of a contestant after its training."""
    frame = frame[frame["models"].isna() & (frame["steps"] == steps)]
    return lambda name: frame.loc[frame["contestant"] == name, "final"].to_numpy() ** 0.5


@_judge("H 3", "cold-case-finale")
def _(frame):
    claims, said = [], []
    for steps, wanted in ((2000, True), (20_000, False)):
        of = _finale(frame, steps)
        row = results.compare(of("splines + all three"), of("MLP"))
        claims.append((row.ratio < 1) == wanted)
        said.append(f"{steps:,} steps: {_said('splines with all three', 'MLP', row)}")
    return claims, _parts(said)


@_judge("H 4", "cold-case-finale")
def _(frame):
    of = _finale(frame, 2000)
    names = "bias", "spline weights", "base"
    found = {name: results.compare(of(f"splines + {name}"), of("splines")) for name in names}
    said = _parts([_said(f"with {name}", "without", row) for name, row in found.items()])
    return [1 / 1.5 < row.ratio < 1.5 for row in found.values()], said


@_judge("H 5", "cold-case-finale")
def _(frame):
    paces = frame[frame["models"].notna()].iloc[0]
    seconds = {
        (model["model"], model["contestant"]): np.median(times)
        for model, *times in zip(
            paces["models"],
            *frame.loc[frame["models"].notna(), "step_seconds"],
            strict=True,
        )
    }
    claims, said = [], []
    mlp = np.median(_finale(frame, 20_000)("MLP"))
    for name in ("splines", "splines + all three"):
        steps = 20_000 * seconds["mlp", "MLP"] / seconds["soft-kan", name]
        runs = frame[(frame["contestant"] == name) & (frame["steps"] == 20_000)]
        then = [_near(curve, steps) for curve in runs["curve"]]
        ratio = np.median(then) ** 0.5 / mlp
        claims.append(ratio > 1.5)
        said.append(f"{name} after {steps:,.0f} steps / MLP after 20,000 **{_number(ratio)}**")
    return claims, _parts(said)


def _near(curve: dict[str, list[float]], step: float) -> float:
    """The loss near a step, the geometric mean of five stored ones: batches make it shake."""
    at = int(np.searchsorted(curve["step"], step))
    return float(np.exp(np.mean(np.log(curve["loss"][at - 3 : at + 2]))))


# I. Differential equations


class _Equations:
    """Errors of the solutions: after all optimizers, or after Adam."""

    def __init__(self, frame: DataFrame):
        adam = [probes[0]["error"] if probes else None for probes in frame["probes"]]
        self.frame = frame.assign(error=frame["final"] ** 0.5, adam=adam)

    def runs(
        self, task: str, model: str, which: Any, size: int | None = None, at: str = "built in"
    ):
        """Which: the degree of splines, or the activation; only shapes that are square."""
        frame, column = self.frame, "activation" if model == "mlp" else "degree"
        keep = (frame["task"] == f"equation:{task}") & (frame["boundary"] == at)
        keep &= (frame["model"] == model) & (frame[column] == which)
        keep &= np.array([not isinstance(sizes, tuple) for sizes in frame["grid_size"]])
        found = frame[keep]
        if size is None:  # the size of the contest itself
            size = {"poisson-1d": 100, "poisson-2d": 300, "burgers": 500}[task]
        near = found["size"].map(lambda one: abs(one / size - 1) < 0.05)
        return found[near]

    def error(self, *which: Any, column: str = "error", **where: Any):
        return self.runs(*which, **where)[column].to_numpy(dtype=float)


MLPS = "tanh", "sine"


@_judge("I 1", "equations")
def _(frame):
    of = _Equations(frame)
    claims, said = [], []
    five = of.error("poisson-2d", "kan", 5)
    for name in MLPS:
        row = results.compare(five, of.error("poisson-2d", "mlp", name))
        claims.append(row.ratio < 0.1)
        said.append(_said("KAN of degree 5", f"{name} MLP", row))
    adam = {k: np.median(of.error("poisson-2d", "kan", k, column="adam")) for k in (3, 5)}
    adam |= {k: np.median(of.error("poisson-2d", "mlp", k, column="adam")) for k in MLPS}
    furthest = max(adam.values()) / min(adam.values())
    claims.append(furthest < 3)
    return claims, _parts([*said, f"after Adam the worst / the best **{_number(furthest)}**"])


@_judge("I 2", "equations")
def _(frame):
    of = _Equations(frame)
    claims, said = [], []
    for task in ("poisson-1d", "poisson-2d", "burgers"):
        row = results.compare(of.error(task, "kan", 5), of.error(task, "kan", 3))
        claims.append(row.ratio < 0.2)
        said.append(f"{task}: {_said('degree 5', 'degree 3', row)}")
    return claims, _parts(said)


@_judge("I 3", "equations")
def _(frame):
    of = _Equations(frame)
    claims, said = [], []
    for task in ("poisson-1d", "poisson-2d"):
        kinds = [("kan", 3), ("kan", 5), ("mlp", "tanh"), ("mlp", "sine")]
        networks = {kind: of.runs(task, *kind) for kind in kinds}
        best = min(networks.values(), key=lambda runs: runs["error"].median())
        splines = [of.runs(task, "collocation", k) for k in (3, 5)]
        spline = min(splines, key=lambda runs: runs["error"].median())
        row = results.compare(spline["error"], best["error"])
        times = spline["seconds"].median() / best["seconds"].median()
        claims += [row.ratio < 1, times < 0.1]
        said.append(f"{task}: {_said('spline', 'best network', row)}, seconds {_number(times)}")
    return claims, _parts(said)


@_judge("I 4", "equations")
def _(frame):
    of = _Equations(frame)
    mlp = min((of.error("burgers", "mlp", name) for name in MLPS), key=np.median)
    kan = min((of.error("burgers", "kan", k) for k in (3, 5)), key=np.median)
    spline = min(np.median(of.error("burgers", "collocation", k)) for k in (3, 5))
    row = results.compare(mlp, kan)
    said = f"{_said('best MLP', 'best KAN', row)}; the spline keeps **{_number(spline)}**"
    return [row.ratio < 1, spline > 0.1], said


@_judge("I 5", "equations")
def _(frame):
    of = _Equations(frame)
    claims, said = [], []
    for model, which in (("kan", 3), ("kan", 5), ("mlp", "tanh"), ("mlp", "sine")):
        penalized = of.error("poisson-2d", model, which, at="penalized")
        row = results.compare(penalized, of.error("poisson-2d", model, which))
        claims.append(row.ratio > 3)
        name = f"KAN of degree {which}" if model == "kan" else f"{which} MLP"
        said.append(f"{name}: {_said('penalized', 'built in', row)}")
    return claims, _parts(said)


@_judge("I 6", "equations")
def _(frame):
    of = _Equations(frame)
    small = of.error("poisson-2d", "kan", 3, size=100, column="adam")
    big = min(
        (of.error("poisson-2d", "mlp", name, size=10_000, column="adam") for name in MLPS),
        key=lambda errors: np.median(errors) if len(errors) else np.inf,
    )
    row = results.compare(small, big)
    said = _said("KAN of degree 3 with 100 parameters", "MLP with 10,000", row)
    return [row.ratio > 0.01], f"Adam: {said}"


@_judge("I 7", "equations")
def _(frame):
    of = _Equations(frame)
    kan = np.median(of.error("burgers", "kan", 5))
    splines = frame[(frame["task"] == "equation:burgers") & (frame["model"] == "collocation")]
    splines = splines.drop_duplicates(["size", "degree", "grid_size"])
    shaped = [isinstance(sizes, tuple) for sizes in splines["grid_size"]]
    square = splines[~np.array(shaped)]["final"].min() ** 0.5
    splines = splines[shaped]
    found = {}
    for name, part in (("500", splines["size"] < 700), ("1,000", splines["size"] >= 700)):
        those = splines[part]
        found[name] = those.loc[those["loss"].idxmin(), "final"] ** 0.5
    gain, behind, near = found["500"] / square, found["500"] / kan, found["1,000"] / kan
    said = f"500 numbers: best shape / square **{_number(gain)}**, / KAN of degree 5 "
    said += f"**{_number(behind)}**; 1,000 numbers / KAN **{_number(near)}**"
    return [gain < 0.2, behind > 3, near <= 3], said


# J. Forgetting

TWO, ONE = "KAN, two layers", "KAN, one layer"


class _Phases:
    """Medians after the last phase, by task, contestant and way."""

    def __init__(self, frame: DataFrame):
        frame = frame.assign(task=frame["task"].str.removeprefix("sequence:"))
        groups = frame.groupby(["task", "contestant", "way"])
        self.frame, self.errors = frame, groups["test_error"].median()
        self.accuracy = groups["accuracy"].median()

    def error(self, task: str, who: str, way: str = "in turn") -> float:
        return self.errors[task, who, way]

    def forgets(self, task: str, who: str) -> bool:
        turn, once = (self.error(task, who, way) for way in ("in turn", "at once"))
        return turn > 0.1 and turn > 3 * once


def _ends(of: _Phases, task: str, who: str) -> str:
    turn, once = (of.error(task, who, way) for way in ("in turn", "at once"))
    return f"{who}, {task}: in turn **{_number(turn)}**, at once {_number(once)}"


@_judge("J 1", "sequence")
def _(frame):
    of = _Phases(frame)
    claims = [not of.forgets("peaks", ONE), of.forgets("peaks", f"{ONE}, extras")]
    return claims, _parts([_ends(of, "peaks", who) for who in (ONE, f"{ONE}, extras")])


@_judge("J 2", "sequence")
def _(frame):
    of = _Phases(frame)
    cases = list(product(("peaks", "hills"), (TWO, "MLP")))
    claims = [_all([of.forgets(*case) for case in cases])]
    said, close = [_ends(of, *case) for case in cases], []
    for task in ("peaks", "hills"):
        ratio = of.error(task, TWO) / of.error(task, "MLP")
        close.append(bool(0.5 < ratio < 2))
        said.append(f"{task}, in turn: two layers / MLP **{_number(ratio)}**")
    return [*claims, _all(close)], _parts(said)


@_judge("J 3", "sequence")
def _(frame):
    of = _Phases(frame)
    ways = [of.error("hills", ONE, way) for way in ("in turn", "at once")]
    turned = [of.error("rotated hills", ONE, way) for way in ("in turn", "at once")]
    claims = [not of.forgets("hills", ONE), min(ways) > 0.3, turned[0] > turned[1]]
    return claims, _parts([_ends(of, task, ONE) for task in ("hills", "rotated hills")])


@_judge("J 4", "sequence")
def _(frame):
    of = _Phases(frame)
    claims, said = [], []
    for task in ("peaks", "hills", "rotated hills"):
        runs = of.frame[(of.frame["task"] == task) & (of.frame["contestant"] == TWO)]
        runs = runs[runs["way"] == "in turn"]
        shares = [[one["shared"] for one in probes if "shared" in one] for probes in runs["probes"]]
        first, second = np.median(np.mean(shares, axis=1), axis=0)
        claims += [first > 1 / 3 if task == "rotated hills" else first < 0.25, second > 1 / 3]
        said.append(f"{task}: first layer **{100 * first:.0f} %**, second **{100 * second:.0f} %**")
    return claims, _parts(said)


@_judge("J 5", "sequence")
def _(frame):
    right = _Phases(frame).accuracy["digits"]
    turn, replay = (right.xs(way, level="way") for way in ("in turn", "replay"))
    said = f"right at most **{100 * turn.max():.0f} %** in turn ({turn.idxmax()}), at least "
    said += f"**{100 * replay.min():.0f} %** with replay ({replay.idxmin()})"
    return [turn.max() <= 0.3, replay.min() > 0.6], said


@_judge("J 6", "sequence")
def _(frame):
    of = _Phases(frame)
    wrong = 1 - of.accuracy

    def end(task: str, who: str, way: str) -> float:
        return wrong[task, who, way] if task == "digits" else of.error(task, who, way)

    tasks = "peaks", "hills", "rotated hills", "digits"
    gains = [
        np.log(end(t, w, "in turn") / end(t, w, "replay")) for t in tasks for w in (TWO, "MLP")
    ]
    choice = [abs(np.log(end(t, TWO, "in turn") / end(t, "MLP", "in turn"))) for t in tasks]
    gain, choice = (np.exp(np.mean(one)) for one in (gains, choice))
    said = f"in turn / replay **{_number(gain)}**; one network / the other **{_number(choice)}**"
    return [gain > choice], said


# K. Waves


class _Waves:
    """Medians over the seeds: shares that are missing, by look and wave, and errors."""

    def __init__(self, frame: DataFrame, task: str = "waves:50"):
        self.frame = frame[frame["task"] == task]
        self.missing, self.steps = {}, {}
        for name, runs in self.frame.groupby("contestant"):
            looks = [[look["missing"] for look in probes] for probes in runs["probes"]]
            self.missing[name] = np.median(looks, axis=0)
            self.steps[name] = [look["step"] for look in runs["probes"].iloc[0]]

    def learned(self, name: str) -> int:
        """How many of the ten waves."""
        return int((self.missing[name][-1] < 0.5).sum())

    def half(self, name: str, wave: int) -> float:
        """The step at which half of a wave is learned, read between the looks."""
        shares, steps = self.missing[name][:, wave], self.steps[name]
        for (one, next_), (a, b) in zip(pairwise(steps), pairwise(shares), strict=True):
            if b < 0.5:
                return one * (next_ / one) ** (max(a - 0.5, 0) / (a - b))
        return np.inf

    def pace(self, name: str) -> float:
        """Steps for the highest wave, divided by those for the lowest."""
        return self.half(name, 9) / self.half(name, 0)

    def error(self, name: str):
        return self.frame.loc[self.frame["contestant"] == name, "test_loss"].to_numpy() ** 0.5


@_judge("K 1", "waves")
def _(frame):
    of = _Waves(frame)
    low, none, said = [], [], []
    for name in ("MLP, tanh", "MLP, ReLU", "MLP, sine"):
        least = of.missing[name][-1][5:].min()  # 30 periods and more
        low.append(of.half(name, 0) < of.half(name, 9))
        none.append(bool(least >= 0.5))
        said.append(
            f"{name}: missing of 5 periods **{of.missing[name][-1][0]:.2f}**, of those above 25 at "
            f"least **{least:.2f}**"
        )
    return [all(low), _all(none)], _parts(said)


@_judge("K 2", "waves")
def _(frame):
    pace = _Waves(frame).pace("one spline, G = 200")
    return [0.5 <= pace <= 2], f"steps for the highest / the lowest **{_number(pace)}**"


@_judge("K 3", "waves")
def _(frame):
    of = _Waves(frame)
    learned = {G: of.learned(f"KAN, G = {G}") for G in (5, 20, 80)}
    high = of.missing["KAN, G = 5"][-1][8:].min()
    pace = of.pace("KAN, G = 20")
    said = f"learned with 5, 20, 80 intervals: **{learned[5]}**, **{learned[20]}**, "
    said += f"**{learned[80]}** of 10; with 20, steps for the highest / the lowest "
    said += f"**{_number(pace)}**"
    return [learned[20] == 10, learned[80] == 10, high >= 0.5, pace > 2], said


@_judge("K 4", "waves")
def _(frame):
    of = _Waves(frame)
    climb = of.error("KAN, G = 5, 20, 80")
    few, middle = (results.compare(climb, of.error(f"KAN, G = {G}")) for G in (5, 20))
    said = _parts([_said("extension", "5", few), _said("extension", "20", middle)])
    return [few.ratio < 1 and few.separated, middle.ratio >= 1], said


@_judge("K 5", "waves")
def _(frame):
    runs = frame[(frame["contestant"] == "KAN, G = 80") & (frame["task"] == "waves:50")]
    fitted = np.array([curve["loss"][-1] for curve in runs["curve"]]) ** 0.5
    row = results.compare(runs["test_loss"].to_numpy() ** 0.5, fitted)
    return [row.ratio > 10], _said("error on the test", "on the samples", row)


@_judge("K 6", "waves")
def _(frame):
    of = _Waves(frame)
    sine, fourier = "MLP, sine, inputs x 30", "MLP, tanh, Fourier features"
    learned = [of.learned(name) for name in (sine, fourier, "MLP, tanh, inputs x 10")]
    row = results.compare(of.error(fourier), of.error("KAN, G = 20"))
    said = (
        f"learned by sine x 30, Fourier features, tanh x 10: **{learned[0]}**, **{learned[1]}**, "
    )
    said += f"**{learned[2]}** of 10; {_said('Fourier features', 'KAN, G = 20', row)}"
    return [learned[0] == 10, learned[1] == 10, learned[2] < 10, row.ratio <= 3], said


@_judge("K 7", "waves")
def _(frame):
    of = _Waves(frame, "waves:10")
    learned = {name: of.learned(name) for name in of.missing}
    few = {name: n for name, n in learned.items() if n < 10}
    said = "; ".join(f"{name} **{n}** of 10" for name, n in few.items())
    return [not few], f"**{len(learned) - len(few)}** of {len(learned)} learn all; {said}".rstrip(
        "; "
    )


# L. The last digits

LAST = 1e-9


def _of(
    frame: DataFrame, name: str, places: str = "uniform", task: str = "product", bits: int = 64
):
    keep = (frame["contestant"] == name) & (frame["task"] == f"digits:{task}")
    keep &= (frame["places"] == places) & (frame["dtype"] == f"float{bits}")
    runs = frame[keep]
    return runs.assign(
        fitted=runs["loss"] ** 0.5 / runs["spread"],
        error=runs["test_loss"] ** 0.5 / runs["spread"],
        most=[quantiles[2] for quantiles in runs["quantiles"]],
    )


@_judge("L 1", "digits")
def _(frame):
    runs = _of(frame, "KAN, degree 3")
    counts = [int((runs[name] < LAST).sum()) for name in ("fitted", "most", "error")]
    said = "below 1e-9 in ten seeds: **{}** on the samples, **{}** at 99 % of new points, "
    said += "**{}** by the RMSE there"
    return [counts[0] >= 7, counts[1] >= 7, counts[2] <= 4], said.format(*counts)


@_judge("L 2", "digits")
def _(frame):
    runs = _of(frame, "KAN, degree 3", "edges")
    n = int((runs["error"] / runs["fitted"]).between(0.1, 10).sum())
    middle = (runs["error"] / runs["fitted"]).median()
    return [n >= 9], f"**{n}** of 10; the median ratio is {_number(middle)}"


@_judge("L 3", "digits")
def _(frame):
    claims, said = [], []
    for places in ("uniform", "edges"):
        n = [(_of(frame, f"KAN, degree {k}", places)["fitted"] < LAST).sum() for k in (5, 3)]
        claims.append(n[0] < n[1])
        said.append(f"{places}: degree 5 in **{n[0]}** seeds, degree 3 in **{n[1]}**")
    return claims, _parts(said)


@_judge("L 4", "digits")
def _(frame):
    names = "MLP", "MLP, two layers", "MLP, wide"
    best = min(_of(frame, *one)["fitted"].min() for one in product(names, ("uniform", "edges")))
    return [best >= LAST], f"the best MLP of all has **{best:.0e}** on its samples"


@_judge("L 5", "digits")
def _(frame):
    kan, mlp = (_of(frame, name, bits=32)["fitted"] for name in ("KAN, degree 3", "MLP"))
    row = results.compare(kan, mlp)
    claims = [kan.median() > 1e-7, 1 / 30 < row.ratio < 30]
    return claims, f"the KAN's median is **{kan.median():.0e}**; {_said('KAN', 'MLP', row)}"


@_judge("L 6", "digits")
def _(frame):
    runs = frame[frame["task"] == "digits:turned exp_sine"]
    kan, mlp = (
        runs[runs["family"] == f].set_index("seed")["test_loss"] ** 0.5 for f in ("KAN", "MLP")
    )
    row = _Ratio(**contests._interval(np.log(kan / mlp).to_numpy(dtype=float)))
    return [row.ratio > 1 / 3], _said("KAN", "MLP", row)
