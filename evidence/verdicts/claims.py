"""What is said about KANs, and what the stored runs say: the verdicts of chapter 19.

Each claim has a function that looks at the stored rows and returns a word and the numbers behind
it. Errors are compared as KAN / rival, below 1 the KAN is better, with a 95 % interval over tasks
(:func:`.comparisons.compared`), or over pairs of seeds where there is one task
(:func:`evidence.reading.compare`). Each comparison has a verdict of :mod:`kanbook.certainty`: a
kind of work that of :func:`.kinds.kinds`, others corrected for those of the claim
(:func:`.judging.together`). The word follows from these by :func:`.judging.word`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pandas import DataFrame, Series, concat

from kanbook.certainty import TIE, VERDICTS

from .. import reading, statistics
from ..tasks.laws import LAWS
from ..tasks.targets import TARGETS
from . import comparisons, kinds
from .comparisons import Pairing, Phases, Waves, by_kind, compared, products, rows, solutions, where
from .judging import number, percent, show, together, word

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
WORDS = "stands", "narrower", "hardly", "falls", "open"
FIRST = "beat", "smooth", "half", "slow", "formula"


class Claim(NamedTuple):
    """A claim: who made it, the chapters that tested it, what is left of it, and its judge.

    The judge returns one of ``WORDS``, and the numbers that say why.
    """

    said: str
    who: str
    chapters: tuple[int, ...]
    but: str
    judge: Judge


Judge = Callable[[], tuple[str, str]]
PAPER, POST, SAID = "KAN paper", "the post", "often said"
CLAIMS: list[Claim] = []


def claim(who: str, *chapters: int, but: str = "") -> Callable[[Judge], Judge]:
    """Of a function makes a claim; its docstring is what was said."""

    def add(judge: Judge) -> Judge:
        CLAIMS.append(Claim(judge.__doc__ or "", who, chapters, but, judge))
        return judge

    return add


def listed(ratios: Mapping[str, Any], names: Mapping[str, str] = kinds.NAMES) -> str:
    """Ratios with the names of what they compare: "time series 1.00 [0.95, 1.06], ..."."""
    return ", ".join(f"{names.get(kind, kind)} {show(row)}" for kind, row in ratios.items())


def against_mlp(*names: str) -> dict[str, Any]:
    """KAN / MLP for some kinds of work, as they stand in the picture of all."""
    return {name: kinds.against_mlp(name) for name in names}


def verdicts(ratios: Mapping[str, Any]) -> list[str]:
    """Those of kinds of work."""
    return [row.verdict for row in ratios.values()]


def roots(a: Series, b: Series) -> reading.Comparison:
    """The errors of two kinds of runs, whose losses are mean squares."""
    return reading.compare(np.sqrt(a), np.sqrt(b))


# --- the claims


@claim(
    "KAN paper; often said",
    4,
    7,
    11,
    14,
    16,
    but="on formulas like a KAN with many samples, or where the MLP is not searched",
)
def beat():
    """KANs beat MLPs of as many parameters."""
    works = where(kinds.kinds(), rival="MLP").set_index("kind")
    works = works.loc[sorted(works.index, key=lambda kind: kind not in kinds.NAMES.values())]
    parts = []
    for shown in (shown for shown in VERDICTS if shown in set(works.verdict)):
        rows = list(where(works, verdict=shown).itertuples())
        is_clear = shown.startswith("clearly")
        names = [f"{row.Index}: {show(row)}" if is_clear else row.Index for row in rows]
        those = f" ({'; '.join(names)})" if shown != "undecided" else ""
        parts.append(f"{shown} in {len(rows)}{those}")
    text = f"Of {len(works)} comparisons, some of the same tasks, the KAN is {', '.join(parts)}."
    return word(works.verdict), text


@claim(SAID, 11, but="on formulas like a KAN, with many samples")
def half():
    """A KAN needs half of an MLP's parameters."""
    runs = where(rows("scaling"), depth=2).set_index(["family", "size"]).sort_index().loss
    sizes = sorted(set(runs.index.get_level_values("size")))
    mlps = {size: [runs["MLP", size]] for size in sizes}  # with tanh, and with SiLU where it ran
    for size, part in where(rows("race-audit"), activation="silu").groupby("size"):
        mlps[size].append(part.loss)  # on the pixels; "final" are those between
    best = {size: min(losses, key=lambda loss: loss.median()) for size, losses in mlps.items()}
    photo = {
        f"{small:,}:": roots(runs["KAN", small], best[large]) for small, large in pairwise(sizes)
    }
    of = {family: rows(f"formulas-{n}") for family, n in (("KAN", "dense"), ("MLP", "many"))}
    both = concat([where(frame, family=family) for family, frame in of.items()])
    pairing = Pairing(both, "KAN", "MLP")
    names = {"axes": "along the axes", "rotated": "rotated"}
    formulas = {said: pairing.over(kind) for kind, said in names.items()}
    text = "On a photograph's 4,096 pixels, KAN of a size / MLP of twice that (the better of tanh "
    text += "and, from 10,000, SiLU), with the range of pairs of seeds: "
    text += listed(photo).replace("], ", "]; ")
    text += f". Of 300 / 1,000 on formulas, 10,000 samples: {listed(formulas, {})}."
    every = together([*photo.values(), *formulas.values()])
    enough = ("clearly better" if shown == "a tie" else shown for shown in every)
    return word(enough), text


@claim(PAPER, 13, but="PyKAN's do, this book's three times")
def slow():
    """KANs train ten times as slowly."""
    step = statistics.paces(rows("pace")).pivot(index=["task", "size"], columns="family")
    ours = step["step_ms", "KAN"] / step["step_ms", "MLP"]
    timed = reading.load_benchmark("tanh").query("framework == 'PyTorch'")
    timed = timed.set_index("contestant").ratio
    theirs = timed["PyKAN"] / timed["MLP"]
    verdict = "narrower" if theirs > 8 > ours.max() else "stands" if ours.min() > 8 else "falls"
    text = f"A training step: {ours.median():.1f} times an MLP's ({ours.min():.1f} to "
    text += f"{ours.max():.1f}); PyKAN's {theirs:.0f} times."
    return verdict, text


@claim(PAPER, 15, but="small laws, exact data")
def formula():
    """A KAN can be read: it turns into a formula."""
    frame = rows("recovery")
    held = frame[[LAWS[law].holds for law in frame.law]]
    share = (held.outcome == "found").groupby(held.noise).mean()
    wrong = (held[held.noise == 0.01].outcome == "wrong").mean()
    verdict = "stands" if share.min() > 0.95 else "narrower" if share.min() > 0.5 else "falls"
    laws = set(held.law)
    text = f"{len(laws)} laws that a small KAN can hold: found in {percent(share[0.0])} of runs; "
    text += f"with 1 % noise {percent(share[0.01])}, and {percent(wrong)} wrong formulas."
    frame = rows("recovery-rivals").query("noise == 0 and law in @laws")
    share = (frame.outcome == "found").groupby(frame.method).mean()
    names = {"pykan": "PyKAN's tutorial", "pykan, tuned": "PyKAN tuned by us"}
    names |= {"operon": "Operon, no network"}
    text += "".join(f" {names[m]}: {percent(share[m])}." for m in names)
    return verdict, text


@claim(PAPER, 8, 10, but="only if the knots move, too")
def climb():
    """More knots on the way beat all of them from the start."""
    ways = {"20 throughout": ("", "20"), "5 throughout and more width": ("", "5")}
    ways["the same, with moved knots"] = (", updated", "5")
    every, parts = [], []
    for name, (how, rival) in ways.items():
        pair = f"5, 10, 20{how}", rival
        both = [compared(f"climbs-{by}", *pair).over() for by in ("adam", "lbfgs")]
        every += both
        parts.append(f"{name} {show(both[0])} and {show(both[1])}")
    text = "Climbing from 5 to 20 intervals, by Adam and by L-BFGS, six formulas: "
    text += f"against {'; against '.join(parts)}."
    return word(together(every)), text


@claim(PAPER, 17, but="by Adam within a factor of three of a tanh MLP of 100 times the size")
def hundred():
    """Differential equations: 100 times more accurate with 100 times fewer parameters."""
    plane = rows("equations"), "poisson-2d"
    small = solutions(*plane, "kan", 3, size=100).adam
    big, sine = solutions(*plane, "mlp", "tanh", size=10_000), solutions(*plane, "mlp", "sine")
    tanh, other = (reading.compare(small, runs.adam) for runs in (big, sine))
    verdict = "stands" if tanh.high < 0.02 else "narrower" if tanh.ratio < TIE else "falls"
    text = "Cubic KAN of 100 parameters / tanh MLP of 10,000, by Adam: "
    text += f"{show(tanh)}; against a sine MLP of 300: {show(other)}."
    return verdict, text


@claim(PAPER, 17, but="one spline only")
def forget():
    """KANs learn new things without forgetting old ones."""
    errors = Phases(rows("sequence")).errors.unstack("way")
    two = errors.xs("KAN, two layers", level="contestant")
    lost = (two["in turn"] / two["at once"]).min()
    kept = errors.loc[("peaks", "KAN, one layer"), "in turn"]
    verdict = ("narrower" if kept < 0.01 else "falls") if lost > 3 else "stands"
    in_turn = kinds.against_mlp("learning in turn")
    text = f"One spline keeps five peaks (error {number(kept)}). Two layers end with at least "
    text += f"{lost:.0f} times the error they have at once; KAN / MLP, in turn: {show(in_turn)}."
    return verdict, text


@claim("Wang et al.", 8, but="those that a plain tanh MLP misses")
def waves():
    """KANs learn quick waves that MLPs miss."""
    of = Waves(rows("waves"))
    rivals = {"tanh": "MLP, tanh", "Fourier features": "MLP, tanh, Fourier features"}
    rivals["sines"] = "MLP, sine, inputs x 30"
    kan = of.error("KAN, G = 20")
    ratios = {f"with {name}": reading.compare(kan, of.error(who)) for name, who in rivals.items()}
    text = f"Ten waves, KAN of 20 intervals / MLP {listed(ratios)}."
    return word(together(ratios.values())), text


@claim("PyKAN", 7, but="a little")
def update():
    """Knots should follow the data."""
    pairs = {
        "moved knots (one Adam)": ("moved, kept", "still, kept"),
        "moved knots (fresh Adams)": ("moved, fresh", "still, fresh"),
        "fresh Adams (knots stay)": ("still, fresh", "still, kept"),
        "fresh Adams (knots move)": ("moved, fresh", "moved, kept"),
        "fresh Adams (MLP)": ("MLP, fresh", "MLP, kept"),
    }  # the figure of chapter 7, of which the first two are claimed
    ratios = {name: compared("knots", *pair).over() for name, pair in pairs.items()}
    text = f"With / without, eight tasks: {listed(ratios)}."
    return word(together(ratios.values())[:2]), text


@claim("PyKAN", 9, but="MLPs gain as much, least squares beats it")
def second():
    """L-BFGS is the optimizer for a KAN."""
    runs = rows("optimizers").query("dtype == 'float64' and task == 'exp_sine'")
    end = {key: part.final for key, part in runs.groupby(["family", "optimizer"])}
    kan, mlp = (roots(end[family, "lbfgs"], end[family, "adam"]) for family in ("KAN", "MLP"))
    more = rows("second-order").query("task == 'exp_sine' and parameters == 345")
    end = {key: part.final for key, part in more.groupby("optimizer")}
    text = f"L-BFGS / Adam on a formula: KAN {show(kan)}, MLP {show(mlp)}. "
    other = roots(end["lbfgs"], end["lm"])
    text += f"L-BFGS / Levenberg-Marquardt: {show(other)}."
    return word(together([kan, other])), text


@claim("Fairer Comparison", 16, but="where pictures are sorted into classes")
def fairer():
    """Everywhere but on formulas MLPs are better."""
    ours = against_mlp("tables, regression", "tables, classes", "time series")
    theirs = reading.published().set_index("kind")
    apart = theirs.mlp_best - theirs.kan_best > theirs.noise
    pictures, tables = apart["picture"], apart["table"]
    text = f"KAN / MLP: {listed(ours)}. Their runs, counted again: the best MLP is better than the "
    text += f"best KAN, by more than noise, on {pictures.sum()} of {len(pictures)} sets of "
    text += f"pictures and {tables.sum()} of {len(tables)} tables."
    theirs = "clearly worse" if pictures.all() else "undecided"
    return word([*verdicts(ours), theirs], "worse"), text


@claim(
    POST,
    4,
    11,
    16,
    but="in nearly half of the comparisons; all others but one are too wide to tell",
)
def match():
    """With much tuning, a KAN mostly comes close to an MLP of as many parameters, or matches it."""
    works = where(kinds.kinds(), rival="MLP")
    close = (works.high < 2).sum()  # of errors, by the whole interval
    worse = {row.kind: row for row in works.itertuples() if row.verdict == "clearly worse"}
    text = f"In {close} of {len(works)} comparisons, some of the same tasks, the whole interval of "
    text += f"KAN / MLP is below 2. The KAN is clearly worse in {len(worse)}: {listed(worse)}."
    everywhere, often = close == len(works), close >= len(works) / 5
    return "stands" if everywhere else "narrower" if often else "falls", text


@claim(POST, 11, but="it does worse, it does not fail")
def image():
    """On an image a KAN fails, whatever one tries."""
    end = comparisons.final_errors(rows("cold-case-finale"), 20_000)
    names = {"bare": "splines", "with the extras": "splines + all three"}
    ratios = {name: reading.compare(end[who], end["MLP"]) for name, who in names.items()}
    text = f"Rebuilt, KAN / MLP after 20,000 steps (a failure: above 5): {listed(ratios)}."
    fails = max(row.ratio for row in ratios.values()) > 5
    worse = "clearly worse" in together(ratios.values())
    return "stands" if fails else "hardly" if worse else "falls", text


@claim(POST, 11, but="in one of two")
def race():
    """A tanh MLP wins, with a loss of 0.0006 against 0.0011."""
    photo = kinds.against_mlp("a photograph, its own pixels")
    again = rows("cold-case-finale").query("steps == 20000").groupby("contestant").final.median()
    text = f"KAN / MLP after 20,000 steps: {show(photo)}. The post's network rebuilt: losses of "
    text += f"{again['MLP']:.4f} and {again['splines + all three']:.4f}."
    return word([photo.verdict], "worse"), text


@claim(POST, 6, 10, but="one of the three helps, on one task")
def extras():
    """Bias, spline weight and SiLU help somewhat, and slow training a lot."""
    main = comparisons.main_effects("extras-factorial").set_index("extra")
    main = main.loc[["bias", "spline weight", "base"]]
    ratios = main.ratio.map(number).groupby(level=0, sort=False).agg(", ".join)
    said = "; ".join(f"{extra} {numbers}" for extra, numbers in ratios.items())
    every = together(main.itertuples())
    text = f"With / without, three tasks: {said}; clearly better in "
    text += f"{every.count('clearly better')} of {len(every)}. Seconds: {main.seconds.min():.2f} "
    text += f"to {main.seconds.max():.2f} times."
    return word(every), text


@claim(POST, 12, but="fast only against the post's splines")
def tanh():
    """tanh(a x² + b x) comes close to the splines, ten times as fast."""
    ratios = by_kind("formulas", "tanh after the sum")
    times = reading.load_benchmark("tanh").set_index(["framework", "contestant"]).ratio
    soft, shared = times["Tinygrad", "soft KAN"], times["PyTorch", "KAN"]
    near = all(row.high > 0.5 for row in ratios.values())
    text = f"KAN / one tanh after the sum: {listed(ratios)}. A step is {soft:.0f} times as quick "
    text += "as with splines like the post's in its framework, "
    text += f"{shared:.0f} times as quick as with kanbook's."
    fast = "stands" if min(soft, shared) > 8 else "narrower" if soft > 8 else "falls"
    return fast if near else "falls", text


@claim(POST, 12, but="some of them")
def knobs():
    """Order of layers, depth, width, rate and batch make little difference."""
    spans = {}
    for knob, part in rows("mixtures").groupby("knob", sort=False):
        who = "knob" if knob == "order" else "family"
        what = ("kinds",) if knob == "order" else ("lr", "batch_size", "depth")
        by = [name for name in what if name in part and part[name].nunique() > 1]
        logs = np.log(part.final) / 2
        middle = np.exp(logs.groupby([part[name] for name in [who, *by]], dropna=False).mean())
        spans[knob] = (middle.groupby(who).max() / middle.groupby(who).min()).max()
    said = ", ".join(f"{knob} {number(span)}" for knob, span in spans.items())
    verdict = "stands" if max(spans.values()) < 1.5 else "falls"
    return verdict, f"Largest error / least, at equal parameters: {said}."


@claim(POST, 14, but="most KANs, on exact products")
def digits():
    """64-bit KANs come close to machine precision, MLPs do not."""
    runs = products(rows("digits"))
    kan, mlps = where(runs, contestant="KAN, degree 3"), where(runs, family="MLP")
    uniform, edges = (where(kan, places=places) for places in ("uniform", "edges"))
    got = [(errors < 1e-9).sum() for errors in (uniform.fitted, uniform.error, edges.error)]
    few = (mlps.fitted < 1e-9).sum()
    text = f"Learning to multiply, errors below a billionth: on their own samples {got[0]} KANs "
    text += f"of {len(edges)}, on new points {got[1]}, with samples at the edges {got[2]}; "
    text += f"MLPs {few} of {len(mlps)}."
    return "stands" if min(got) == 10 else "narrower" if got[0] > 5 > few else "falls", text


@claim(SAID, 10, 11, 14, 16, but="on formulas like a KAN, against an MLP")
def smooth():
    """Smooth, two to four inputs, no noise: take a KAN."""
    stored = where(rows("formulas"), contest="parameters"), rows("formulas-lm")
    adam, squares = (frame[frame.task.map(_smooth)] for frame in stored)
    with_process = adam, kinds.with_methods(squares, adam)
    process = [Pairing(frame, "KAN", "gaussian process").over() for frame in with_process]
    mlp = [Pairing(frame, "KAN", "MLP").over() for frame in (adam, squares)]
    names = "a formula like a KAN, degree 3", "twelve formulas turned, by LM, best of ten"
    alike = [kinds.against_mlp(name) for name in names]
    text = "Smooth formulas of 2 or 3 inputs, by Adam and by Levenberg-Marquardt. KAN / Gaussian "
    text += f"process: {show(process[0])} and {show(process[1])}. KAN / MLP: {show(mlp[0])} and "
    text += f"{show(mlp[1])}; on a formula like a KAN {show(alike[0])}, on twelve turned ones, "
    text += f"each with ten starts, {show(alike[1])}."
    every = [*together([*process, *mlp]), *(row.verdict for row in alike)]
    return word(every), text


def _smooth(task: str) -> bool:
    target = TARGETS[task.removeprefix("formula:")]
    return target.smooth and target.inputs <= 3


@claim(SAID, 16, but="with some numbers of samples")
def noisy():
    """With noise: take an MLP."""
    ratios = against_mlp("200 samples, 20 % noise", "2,000 samples, 20 % noise")
    return word(verdicts(ratios), "worse"), f"KAN / MLP: {listed(ratios)}."


@claim(SAID, 11)
def painted():
    """For a picture: take an MLP."""
    ratios = against_mlp("pictures, 1,000 parameters", "pictures, 8,000 parameters")
    text = f"Pixels that were not shown, KAN / MLP: {listed(ratios)}."
    return word(verdicts(ratios), "worse"), text


def table() -> DataFrame:
    """All claims with their verdicts.

    Returns:
        ``claim``, ``who`` made it, ``verdict``, one of ``WORDS``, ``numbers``, ``chapters``,
        ``but``, what is left of a claim that is narrower or hardly holds; and ``first``, whether
        many ask it: these come first.
    """
    names = [claim.judge.__name__ for claim in CLAIMS]
    first = [CLAIMS[names.index(name)] for name in FIRST]
    lines = []
    for claim in first + [claim for claim in CLAIMS if claim not in first]:
        verdict, numbers = claim.judge()
        line = {"claim": claim.said, "who": claim.who, "verdict": verdict, "numbers": numbers}
        line["chapters"] = claim.chapters
        line["but"] = claim.but if verdict in ("narrower", "hardly") else ""
        lines.append(line | {"first": claim in first})
    return DataFrame(lines)


def markdown(frame: DataFrame) -> str:
    """The table as Markdown, with links to the chapters; numbers and what few ask are folded."""
    rest = frame[~frame["first"]]
    on = "noise, pictures, equations, knots, optimizers, the post"
    summary = f"<summary>{len(rest)} more: {on}</summary>"
    folded = "<details><summary>numbers</summary>{}</details>"
    asked, others = (listing(part, numbers=folded) for part in (frame[frame["first"]], rest))
    return f"{asked}\n\n<details>\n{summary}\n\n{others}\n\n</details>"


def listing(frame: DataFrame, folder: str = "", numbers: str = "{}") -> str:
    """Claims as a table in Markdown; ``folder`` is where chapters are, seen from the page."""
    files = {int(path.name[:2]): path.name for path in NOTEBOOKS.glob("[0-9]*.ipynb")}
    lines = ["| claim | what the runs say | chapter |", "|---|---|---|"]
    for row in frame.itertuples():
        links = ", ".join(f"[{n}]({folder}{files[n]})" for n in row.chapters)
        verdict = f"**{row.verdict}**: {row.but}." if row.but else f"**{row.verdict}**."
        said = f"{row.claim.rstrip('.')} *({row.who})*"
        lines.append(f"| {said} | {verdict} {numbers.format(row.numbers)} | {links} |")
    return "\n".join(lines)
