"""What is said about KANs, and what the stored runs say: the verdicts of chapter 19.

Each claim has a function that looks at the stored rows and returns a word and the numbers behind
it. Errors are compared as KAN / rival, below 1 the KAN is better, with a 95 % interval over tasks
(:func:`evidence.statistics.ratios`), or over pairs of seeds where there is one task
(:func:`kanbook.reading.compare`). The words follow from them by :func:`statistics.side` and
:func:`judging.word`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import reading, statistics
from ..statistics import TIE, side
from ..tasks.laws import LAWS
from ..tasks.targets import TARGETS
from .comparisons import Phases, Waves, final_errors, products, solutions, where
from .judging import number, percent, ratio, show, word
from .kinds import NAMES, SCALES, over, phases, singles, solved, with_methods

if TYPE_CHECKING:
    from pandas import DataFrame, Series

FILES = """01_splines 02_playground 03_minimal_kan 04_fair_race 05_picture 06_three_extras
07_grid_updates 08_grid_extension 09_second_order 10_recipe 11_cold_case 12_tanh 13_speed
14_precision 15_formulas 16_real_data 17_equations"""
WORDS = "stands", "narrower", "hardly", "falls", "open"
FIRST = "beat", "smooth", "half", "slow", "formula"


class Found(NamedTuple):
    """What the rows say of a claim: one of ``WORDS``, and why."""

    word: str
    numbers: str


Judge = Callable[["Rows"], Found]


class Claim(NamedTuple):
    """A claim: who made it, the chapters that tested it, what is left of it, and its judge."""

    said: str
    who: str
    chapters: tuple[int, ...]
    but: str
    judge: Judge


class Rows:
    """The stored rows, each table read once."""

    def __init__(self) -> None:
        self._load = cache(reading.load)

    def __call__(self, name: str, contest: str = "") -> DataFrame:
        """The rows of an experiment, or of one of its two contests."""
        frame = self._load(name)
        return statistics.with_own(frame).query("contest == @contest") if contest else frame

    def each(self, name: str, rival: str = "MLP") -> dict[str, Any]:
        """KAN / rival at equal parameters, for each class of tasks."""
        found = statistics.ratios(self(name, "parameters"), "KAN", rival)
        return dict(found.set_index("kind").drop("all").iterrows())


def each(found: Mapping[str, Any], names: Mapping[str, str] = NAMES) -> str:
    """Ratios with the names of what they compare: "time series 1.00 [0.95, 1.06], ..."."""
    return ", ".join(f"{names.get(one, one)} {show(row)}" for one, row in found.items())


def pairs(a: Series, b: Series) -> reading.Comparison:
    """The errors of two kinds of runs, whose losses are mean squares."""
    return reading.compare(np.sqrt(a), np.sqrt(b))


# --- the claims ----------------------------------------------------------------------------------

PAPER, POST, SAID = "KAN paper", "the post", "often said"
CLAIMS: list[Claim] = []


def claim(who: str, *chapters: int, but: str = "") -> Callable[[Judge], Judge]:
    """Of a function makes a claim; its docstring is what was said."""

    def add(judge: Judge) -> Judge:
        CLAIMS.append(Claim(judge.__doc__ or "", who, chapters, but, judge))
        return judge

    return add


@claim(
    "KAN paper; often said",
    4,
    7,
    11,
    14,
    16,
    but="on formulas like a KAN with many samples, or where the MLP is not searched",
)
def beat(rows: Rows) -> Found:
    """KANs beat MLPs of as many parameters."""
    names = "formulas", "noise", "tables", "pictures"
    found = {kind: row for n in names for kind, row in rows.each(n).items() if kind in NAMES}
    for of in SCALES:
        found |= {f"{of} {kind}": row for kind, row in rows.each(f"formulas-{of}").items()}
    found["twelve formulas, by L-BFGS"] = over(rows("formulas-lbfgs"))
    found["twelve formulas, by LM"] = over(rows("formulas-lm"))
    found["six formulas, the recipe"] = over(rows("recipe-lm"), "recipe")
    found["equations"] = over(solved(rows("equations")))
    found["learning in turn"] = over(phases(rows("sequence")))
    found |= {kind: over(frame) for kind, frame in singles(rows).items()}
    ways = {"a": "ahead", "b": "behind", "little a": "a little ahead"}
    ways |= {"little b": "a little behind", "tie": "level"}
    parts = []
    for way, said in ways.items():
        those = {NAMES.get(kind, kind): row for kind, row in found.items() if side(row) == way}
        names = [f"{kind}: {show(row)}" for kind, row in those.items()] if way in "ab" else those
        parts += [f"{said} in {len(those)} ({'; '.join(names)})"] if those else []
    undecided = list(map(side, found.values())).count("undecided")
    text = f"Of {len(found)} kinds of work the KAN is {', '.join(parts)}, undecided in "
    return Found(word(map(side, found.values())), f"{text}{undecided}.")


@claim(SAID, 11, but="perhaps on formulas like a KAN, with many samples")
def half(rows: Rows) -> Found:
    """A KAN needs half of an MLP's parameters."""
    import pandas

    runs = rows("scaling")
    runs = runs[runs.depth == 2].set_index(["family", "size"]).sort_index().loss
    sizes = sorted(set(runs.index.get_level_values("size")))
    mlps = {n: [runs["MLP", n]] for n in sizes}  # with tanh, and with SiLU where it ran
    for n, part in rows("race-audit").query("activation == 'silu'").groupby("size"):
        mlps[n].append(part.loss)  # on the pixels; "final" are those between
    best = {n: min(finals, key=lambda final: final.median()) for n, finals in mlps.items()}
    found = [pairs(runs["KAN", a], best[b]) for a, b in zip(sizes, sizes[1:], strict=False)]
    sides = ["a" if one.ratio <= 1 else "b" for one in found]
    said = "; ".join(f"{a:,}: {show(one)}" for a, one in zip(sizes, found, strict=False))
    text = "On a photograph's 4,096 pixels, KAN of a size / MLP of twice that (the better of tanh "
    text += "and, from 10,000, SiLU), with the range of pairs of seeds: "
    of = {family: rows(f"formulas-{n}") for family, n in (("KAN", "dense"), ("MLP", "many"))}
    both = pandas.concat([frame[frame.family == family] for family, frame in of.items()])
    both = statistics.ratios(both, "KAN", "MLP").set_index("kind")
    sides += ["a" if ratio <= 1 else "b" for ratio in both.ratio[["axes", "rotated"]]]
    said += ". Of 300 / 1,000 on formulas, 10,000 samples: along the axes "
    said += f"{show(both.loc['axes'])}, rotated {show(both.loc['rotated'])}"
    return Found(word(sides), f"{text}{said}.")


@claim(PAPER, 13, but="PyKAN's do, this book's three times")
def slow(rows: Rows) -> Found:
    """KANs train ten times as slowly."""
    step = statistics.paces(rows("pace")).pivot(index=["task", "size"], columns="family")
    ours = step["step_ms", "KAN"] / step["step_ms", "MLP"]
    timed = reading.load_benchmark("tanh").query("framework == 'PyTorch'")
    timed = timed.set_index("contestant").ratio
    theirs = timed["PyKAN"] / timed["MLP"]
    verdict = "narrower" if theirs > 8 > ours.max() else "stands" if ours.min() > 8 else "falls"
    text = f"A training step: {ours.median():.1f} times an MLP's ({ours.min():.1f} to "
    text += f"{ours.max():.1f}); PyKAN's {theirs:.0f} times."
    return Found(verdict, text)


@claim(PAPER, 15, but="small laws, exact data")
def formula(rows: Rows) -> Found:
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
    return Found(verdict, text)


@claim(PAPER, 8, 10, but="only if the knots move, too")
def climb(rows: Rows) -> Found:
    """More knots on the way beat all of them from the start."""
    ways = {"20 throughout": ("", "20"), "5 throughout and more width": ("", "5")}
    ways["the same, with moved knots"] = (", updated", "5")
    tables, sides, parts = (rows("climbs-adam"), rows("climbs-lbfgs")), [], []
    for name, (how, rival) in ways.items():
        found = [ratio(one, f"5, 10, 20{how}", rival) for one in tables]
        sides += map(side, found)
        parts.append(f"{name} {show(found[0])} and {show(found[1])}")
    text = "Climbing from 5 to 20 intervals, by Adam and by L-BFGS, six formulas: "
    text += f"against {'; against '.join(parts)}."
    return Found(word(sides), text)


@claim(PAPER, 17, but="by Adam about as accurate as a tanh MLP of 100 times the size")
def hundred(rows: Rows) -> Found:
    """Differential equations: 100 times more accurate with 100 times fewer parameters."""
    plane = rows("equations"), "poisson-2d"
    small = solutions(*plane, "kan", 3, size=100).adam
    big, sine = solutions(*plane, "mlp", "tanh", size=10_000), solutions(*plane, "mlp", "sine")
    found, other = (reading.compare(small, runs.adam) for runs in (big, sine))
    verdict = "stands" if found.high < 0.02 else "narrower" if found.ratio < TIE else "falls"
    text = "Cubic KAN of 100 parameters / tanh MLP of 10,000, by Adam: "
    text += f"{show(found)}; against a sine MLP of 300: {show(other)}."
    return Found(verdict, text)


@claim(PAPER, 17, but="one spline only")
def forget(rows: Rows) -> Found:
    """KANs learn new things without forgetting old ones."""
    frame = rows("sequence")
    errors = Phases(frame).errors.unstack("way")
    two = errors.xs("KAN, two layers", level="contestant")
    lost = (two["in turn"] / two["at once"]).min()
    kept = errors.loc[("peaks", "KAN, one layer"), "in turn"]
    verdict = ("narrower" if kept < 0.01 else "falls") if lost > 3 else "stands"
    found = ratio(phases(frame), "KAN", "MLP")
    text = f"One spline keeps five peaks (error {number(kept)}). Two layers end with at least "
    text += f"{lost:.0f} times the error they have at once; KAN / MLP, in turn: {show(found)}."
    return Found(verdict, text)


@claim("Wang et al.", 8, but="those that a plain tanh MLP misses")
def waves(rows: Rows) -> Found:
    """KANs learn quick waves that MLPs miss."""
    of = Waves(rows("waves"))
    rivals = {"tanh": "MLP, tanh", "Fourier features": "MLP, tanh, Fourier features"}
    rivals["sines"] = "MLP, sine, inputs x 30"
    kan = of.error("KAN, G = 20")
    found = {f"with {name}": reading.compare(kan, of.error(who)) for name, who in rivals.items()}
    text = f"Ten waves, KAN of 20 intervals / MLP {each(found)}."
    return Found(word(map(side, found.values())), text)


@claim("PyKAN", 7, but="errors fall by a tenth")
def update(rows: Rows) -> Found:
    """Knots should follow the data."""
    frame = rows("knots")
    ways = {"with one Adam": "kept", "with fresh ones": "fresh"}
    found = {name: ratio(frame, f"moved, {how}", f"still, {how}") for name, how in ways.items()}
    less = [row.ratio < 1 and row.p < 0.05 for row in found.values()]
    sides = ["little a" if one else "undecided" for one in less]
    return Found(word(sides), f"Moved / still, eight tasks: {each(found)}.")


@claim("PyKAN", 9, but="MLPs gain as much, least squares beats it")
def second(rows: Rows) -> Found:
    """L-BFGS is the optimizer for a KAN."""
    runs = rows("optimizers").query("dtype == 'float64' and task == 'exp_sine'")
    end = {key: part.final for key, part in runs.groupby(["family", "optimizer"])}
    found = {f: pairs(end[f, "lbfgs"], end[f, "adam"]) for f in ("KAN", "MLP")}
    more = rows("second-order").query("task == 'exp_sine' and parameters == 345")
    end = {key: part.final for key, part in more.groupby("optimizer")}
    text = f"L-BFGS / Adam on a formula: KAN {show(found['KAN'])}, MLP {show(found['MLP'])}. "
    other = pairs(end["lm"], end["lbfgs"])
    text += f"Levenberg-Marquardt / L-BFGS: {show(other)}."
    better = {"a": "b", "b": "a"}.get(side(other), "tie")  # L-BFGS, than the other
    return Found(word([side(found["KAN"]), better]), text)


@claim("Fairer Comparison", 16, but="on pictures")
def fairer(rows: Rows) -> Found:
    """Everywhere but on formulas MLPs are better."""
    found = rows.each("tables")
    theirs = reading.published().set_index("kind")
    apart = (theirs.mlp_best - theirs.kan_best).abs() > theirs.noise
    pictures, tables = apart["picture"], apart["table"]
    text = f"Our tables, KAN / MLP: {each(found, {})}. Their runs, counted again: MLPs ahead on "
    text += f"{pictures.sum()} of {len(pictures)} sets of pictures, and apart on {tables.sum()} of "
    text += f"{len(tables)} tables."
    sides = [*map(side, found.values()), "b" if pictures.all() else "undecided"]
    return Found(word(sides, "b"), text)


@claim(POST, 11, but="it does worse, it does not fail")
def image(rows: Rows) -> Found:
    """On an image a KAN fails, whatever one tries."""
    end = final_errors(rows("cold-case-finale"), 20_000)
    names = {"bare": "splines", "with the extras": "splines + all three"}
    found = {name: reading.compare(end[who], end["MLP"]) for name, who in names.items()}
    text = f"Rebuilt, KAN / MLP after 20,000 steps (a failure: above 5): {each(found)}."
    worst = max(one.ratio for one in found.values())
    return Found("stands" if worst > 5 else "hardly" if worst > TIE else "falls", text)


@claim(POST, 11, but="in one of two")
def race(rows: Rows) -> Found:
    """A tanh MLP wins, with a loss of 0.0006 against 0.0011."""
    found = over(singles(rows)["a photograph, its own pixels"])
    again = rows("cold-case-finale").query("steps == 20000").groupby("contestant").final.median()
    text = f"KAN / MLP after 20,000 steps: {show(found)}. The post's network rebuilt: losses of "
    text += f"{again['MLP']:.4f} and {again['splines + all three']:.4f}."
    return Found(word([side(found)], "b"), text)


@claim(POST, 6, 10, but="one of the three helps, on one task")
def extras(rows: Rows) -> Found:
    """Bias, spline weight and SiLU help somewhat, and slow training a lot."""
    main = where(statistics.effects(rows("extras-factorial")), where="main").set_index("extra")
    main = main.loc[["bias", "spline weight", "base"]]
    ratios = main.ratio.map(number).groupby(level=0, sort=False).agg(", ".join)
    said = "; ".join(f"{extra} {numbers}" for extra, numbers in ratios.items())
    sides = [side(row) for row in main.itertuples()]
    text = f"With / without, three tasks: {said}. Separated for the better: "
    text += f"{sides.count('a')} of {len(sides)}. Seconds: {main.seconds.min():.2f} to "
    text += f"{main.seconds.max():.2f} times."
    return Found(word(sides), text)


@claim(POST, 12, but="fast only against the post's splines")
def tanh(rows: Rows) -> Found:
    """tanh(a x² + b x) comes close to the splines, ten times as fast."""
    found = rows.each("formulas", "tanh after the sum")
    times = reading.load_benchmark("tanh").set_index(["framework", "contestant"]).ratio
    soft, shared = times["Tinygrad", "soft KAN"], times["PyTorch", "KAN"]
    near = all(row.high > 0.5 for row in found.values())
    text = f"KAN / one tanh after the sum: {each(found)}. A step is {soft:.0f} times as quick as "
    text += "with the post's splines in its framework, "
    text += f"{shared:.0f} times as quick as with kanbook's."
    fast = "stands" if min(soft, shared) > 8 else "narrower" if soft > 8 else "falls"
    return Found(fast if near else "falls", text)


@claim(POST, 12, but="some of them")
def knobs(rows: Rows) -> Found:
    """Order of layers, depth, rate, batch: all within 20 %."""
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
    return Found(verdict, f"Largest error / least, at equal parameters: {said}.")


@claim(POST, 14, but="most KANs, on exact products")
def digits(rows: Rows) -> Found:
    """64-bit KANs come close to machine precision, MLPs do not."""
    runs = products(rows("digits"))
    kan, mlps = where(runs, contestant="KAN, degree 3"), where(runs, family="MLP")
    uniform, edges = (where(kan, places=places) for places in ("uniform", "edges"))
    got = [(errors < 1e-9).sum() for errors in (uniform.fitted, uniform.error, edges.error)]
    few = (mlps.fitted < 1e-9).sum()
    text = f"Learning to multiply, errors below a billionth: on their own samples {got[0]} KANs "
    text += f"of {len(edges)}, on new points {got[1]}, with samples at the edges {got[2]}; "
    text += f"MLPs {few} of {len(mlps)}."
    return Found("stands" if min(got) == 10 else "narrower" if got[0] > 5 > few else "falls", text)


@claim(SAID, 10, 11, 14, 16, but="on formulas like a KAN, against an MLP")
def smooth(rows: Rows) -> Found:
    """Smooth, two to four inputs, no noise: take a KAN."""
    stored = rows("formulas", "parameters"), rows("formulas-lm")
    frame, squares = (one[[_smooth(task) for task in one.task]] for one in stored)
    mlp, process = (ratio(frame, "KAN", rival) for rival in ("MLP", "gaussian process"))
    both = with_methods(squares, frame)
    least, other = ratio(squares, "KAN", "MLP"), ratio(both, "KAN", "gaussian process")
    single = singles(rows)
    names = "a formula like a KAN, degree 3", "the same turned, degree 5"
    alike = [over(single[name]) for name in names]
    turned = single[names[1]].query("family == 'MLP'").test_error
    text = "Smooth formulas of 2 or 3 inputs, by Adam and by Levenberg-Marquardt. KAN / Gaussian "
    text += f"process: {show(process)} and {show(other)}. KAN / MLP: {show(mlp)} and "
    text += f"{show(least)}; on a formula like a KAN {show(alike[0])}, the same turned "
    text += f"{show(alike[1])} ({(turned > 0.1).sum()} of {len(turned)} MLPs fail there)."
    sides = map(side, [mlp, process, least, other, *alike])
    return Found(word(sides), text)


def _smooth(task: str) -> bool:
    one = TARGETS[task.removeprefix("formula:")]
    return one.smooth and one.inputs <= 3


@claim(SAID, 16, but="with some numbers of samples")
def noisy(rows: Rows) -> Found:
    """With noise: take an MLP."""
    found = rows.each("noise")
    found = {f"{n:,} samples": found[f"noise 20%, {n} samples"] for n in (200, 2000)}
    return Found(word(map(side, found.values()), "b"), f"20 % noise, KAN / MLP: {each(found)}.")


@claim(SAID, 11)
def painted(rows: Rows) -> Found:
    """For a picture: take an MLP."""
    found = rows.each("pictures")
    text = f"Pixels that were not shown, KAN / MLP: {each(found)}."
    return Found(word(map(side, found.values()), "b"), text)


def table() -> DataFrame:
    """All claims with their verdicts.

    Returns:
        ``claim``, ``who`` made it, ``verdict``, one of ``WORDS``, ``numbers``, ``chapters``,
        ``but``, what is left of a claim that is narrower or hardly holds; and ``first``, whether
        many ask it: these come first.
    """
    import pandas

    rows = Rows()
    order = sorted(CLAIMS, key=lambda one: (*FIRST, one.judge.__name__).index(one.judge.__name__))
    lines = [(one, one.judge(rows)) for one in order]
    return pandas.DataFrame(
        {"claim": one.said, "who": one.who, "verdict": found.word, "numbers": found.numbers}
        | {"chapters": one.chapters}
        | {"but": one.but if found.word in ("narrower", "hardly") else ""}
        | {"first": one.judge.__name__ in FIRST}
        for one, found in lines
    )


def markdown(frame: DataFrame) -> str:
    """The table as Markdown, with links to the chapters; what few ask is folded."""
    rest = frame[~frame["first"]]
    found = _markdown(frame[frame["first"]])
    if rest.empty:
        return found
    on = "noise, pictures, equations, knots, optimizers, the post"
    summary = f"<summary>{len(rest)} more: {on}</summary>"
    return f"{found}\n\n<details>\n{summary}\n\n{_markdown(rest)}\n\n</details>"


def _markdown(frame: DataFrame) -> str:
    files = FILES.split()
    lines = ["| claim | verdict | what the runs say | chapter |", "|---|---|---|---|"]
    for row in frame.itertuples():
        links = ", ".join(f"[{n}]({files[n - 1]}.ipynb)" for n in row.chapters)
        said = row.claim.rstrip(".")
        word = f"**{row.verdict}**: {row.but}" if row.but else f"**{row.verdict}**"
        lines.append(f"| {said} *({row.who})* | {word} | {row.numbers} | {links} |")
    return "\n".join(lines)
