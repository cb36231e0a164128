"""What the pages of results and of the plan show, made from the rows as the book is built."""

import os
import re
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import evidence
from evidence import charts, draws, statistics
from evidence.verdicts import bits, outcomes
from evidence.verdicts.judging import number, quoted, show, task_name
from evidence.verdicts.tables import of_defaults
from kanbook import plots
from kanbook._figures import picture as svg

# In the order of a reader's questions; what is not named comes last.
GROUPS = {
    "KAN, MLP and others": "formulas formulas-dense formulas-many formulas-few "
    "formulas-many-seconds formulas-many-fields formulas-redraws formulas-redraws-few "
    "formulas-lbfgs formulas-lm tables real-tables noise pictures functions-1d waves "
    "pace pace-many pace-real",
    "What makes a good KAN": "extras-factorial extras-lbfgs extras-lm extras-pykan weights knots "
    "climbs-adam climbs-lbfgs intervals depth recipe-adam recipe-lm recipe-open recipe-locked "
    "starts optimizers",
    "tanh and mixtures": "tanh-readings mixtures",
    "One photograph": "cold-case cold-case-finale race scaling between race-audit pace-encoding "
    "encoding encoding-why encoding-long encoding-post encoding-tables",
    "Digits and formulas": "second-order digits turned recovery recovery-rivals",
    "Equations and forgetting": "equations sequence",
    "On a chip": "bits",
}

# Who is compared with whom first, where no KAN meets an MLP.
FIRST = {"knots": ("moved, kept", "still, kept"), "extras-pykan": ("update", "still")}
FIRST |= {"recipe-adam": ("recipe", "all intervals at once"), "recipe-lm": ("recipe", "MLP")}
FIRST |= dict.fromkeys(("climbs-adam", "climbs-lbfgs"), ("5, 10, 20", "20"))
FIRST["intervals"] = "24", "6"
FIRST |= dict.fromkeys(("encoding", "encoding-long"), ("KAN, plain", "MLP SiLU, encoded"))
FIRST |= {"encoding-why": ("white", "encoded"), "encoding-tables": ("KAN, target", "KAN, one-hot")}

# Where contestants of a family differ, the pair that the first number is of.
PAIRS = {"race": ("KAN", "MLP, tanh"), "cold-case-finale": ("splines + all three", "MLP")}
PAIRS |= {"digits": ("KAN, degree 3", "MLP"), "sequence": ("KAN, two layers", "MLP")}
PAIRS |= {"encoding-post": ("B-splines, finer", "his MLP")}
PAIRS |= {"waves": ("KAN, G = 20", "MLP, tanh, Fourier features")}
# What is equal in a pair.
EQUAL = ("task", "size", "depth", "part", "steps", "samples", "frequencies", "optimizer", "knob")
EQUAL += ("batch_size", "boundary", "places", "dtype", "suspect")

# Of the settings, first what names a row, then its losses; `evidence.load` has all the rest.
LABELS = ("task", "size", "family", "contestant", "knob", "kinds", "part", "optimizer")
HIDDEN = ("model", "activation", "bias", "spline_weight", "base", "update_grid")
HIDDEN += ("extend_grid", "restart", "samples", "steps", "watch")


def _grouped():
    """Titles of groups, and the experiments of each."""
    every, named = evidence.EXPERIMENTS, " ".join(GROUPS.values()).split()
    others = " ".join(name for name in every if name not in named)
    for title, names in (GROUPS | {"Others": others}).items():
        if group := [every[name] for name in names.split() if name in every]:
            yield title, group


class _Stored(SphinxDirective):
    """What the directives of this page share: what is read and judged once a page."""

    def load(self, name):
        """An experiment's rows, with those that stand for two contests; None if there are none."""
        kept = self.env.temp_data.setdefault("stored-rows", {})
        if name not in kept and name in evidence.names():
            self.env.note_dependency(str(evidence.FOLDER / f"{name}.jsonl"))
            kept[name] = evidence.load(name)
            kept[name].attrs["name"] = name
            if "contest" in kept[name]:
                kept[name] = statistics.with_own(kept[name], _first_pair(kept[name])[0])
        return kept.get(name)

    def outcomes(self):
        self.env.note_dependency(str(outcomes.PLAN))
        if "stored-outcomes" not in self.env.temp_data:
            self.env.temp_data["stored-outcomes"] = outcomes.outcomes()
        return self.env.temp_data["stored-outcomes"]


class StoredList(_Stored):
    """One line for each experiment: its question, a link, and its first number."""

    def run(self):
        lines = []
        for title, group in _grouped():
            lines += ["", f"**{title}**", ""]
            for experiment in group:
                frame = self.load(experiment.name)
                first = "No rows yet." if frame is None else _summary(frame)[0]
                link = _link(f"#results-{experiment.name}", experiment.question)
                lines.append(f"- {link} {first}")
        return self.parse_text_to_nodes("\n".join(lines))


class StoredResults(_Stored):
    """One section for each experiment: question, table, figure, outcomes; folded, its rows."""

    def run(self):
        found = []
        for title, group in _grouped():
            section = nodes.section(ids=[nodes.make_id(f"results-of-{title}")])
            section += [nodes.title("", title), *map(self._section, group)]
            found.append(section)
        return found

    def _section(self, experiment):
        name = experiment.name
        section = nodes.section(ids=[f"results-{name}"])
        section += nodes.title("", f"{experiment.question} ", nodes.literal("", name))
        frame = self.load(name)
        if frame is None:
            lines = ["No rows yet. " + self._chapters(experiment), "", *self._outcomes(name)]
            section += self.parse_text_to_nodes("\n".join(lines))
            return section
        made, planned = frame.attrs["runs"], experiment.total()
        short = f"Not complete: {made:,} of {planned:,} runs are made, and this may change. "
        _, lead, table = _summary(frame)
        facts = (short if made < planned else "") + self._chapters(experiment)
        facts += _unplanned(name)
        section += self.parse_text_to_nodes("\n\n".join([facts, lead, _table(table)]))
        if "contest" in frame and "redraw" not in frame and not _has_many(frame):
            section += self._figure(name, frame)
        made = "\n\n".join(map(_made, frame.attrs["provenance"].values()))
        folded = _folded(*_rows(frame), more=made)
        section += self.parse_text_to_nodes("\n".join([*self._outcomes(name), "", *folded]))
        return section

    def _chapters(self, experiment):
        links = []
        for n in experiment.chapters:
            docs = [doc for doc in self.env.found_docs if doc.startswith(f"notebooks/{n:02d}_")]
            links += [f"{{doc}}`{n} </{docs[0]}>`" if docs else str(n)]
        return f"Chapter{'s' if len(links) > 1 else ''} {', '.join(links)}."

    def _figure(self, name, frame):
        with plt.rc_context():
            plots.use_style()
            if "minimal" in set(frame["family"]):
                drawn = charts.plot_effects(statistics.effects(frame))
                what = "the error of a KAN with an extra / that without: alone (circle), beside"
                what += " all others (square), and the mean over all sets of the others (diamond)."
            else:
                drawn = charts.plot_ratios(frame, _reference(frame))
                what = f"the error of {quoted(_reference(frame))} divided by a rival's."
            picture = Path(self.env.doctreedir) / f"results-{name}.svg"
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_text(svg(drawn)[0]["image/svg+xml"], encoding="utf-8")
            plt.close(drawn)
        figure = nodes.figure(ids=[f"fig-results-{name}"])
        uri = f"/{os.path.relpath(picture, self.env.srcdir)}"
        figure += nodes.image(uri=uri, alt=f"The table above for {name}, with a dot for each task.")
        figure += nodes.caption("", f"{name}: {what}")
        return figure

    def _outcomes(self, name):
        """What became of the hypotheses; of several experiments, under the last."""
        concerned = [one for one in self.outcomes() if name in one.experiments]
        judged = [one for one in concerned if one.experiments[-1] == name]
        others = sorted({one.experiments[-1] for one in concerned} - {name})
        lines = []
        if judged:
            verdicts = ", ".join(f"{one.label} {one.verdict}" for one in judged)
            lines += [f"::::{{dropdown}} Hypotheses: {verdicts}", ":class-container: hypotheses"]
            lines += [f":name: hypotheses-{name}", ""]
            for one in judged:
                end = f": {one.because}." if one.because else ", until all rows are made."
                lines.append(f"- **{one.label}** *{one.hypothesis}* **{one.verdict.title()}**{end}")
            lines += ["::::", ""]
        if others:
            links = ", ".join(_link(f"#results-{other}", other) for other in others)
            lines.append(f"{'More of its' if judged else 'Its'} hypotheses: under {links}.")
        return lines


class StoredOutcomes(_Stored):
    """How many hypotheses held, and where each of them is judged."""

    def run(self):
        verdicts = defaultdict(list)
        for one in self.outcomes():
            where = f"results.html#hypotheses-{one.experiments[-1]}"
            verdicts[one.verdict].append(_link(where, one.label))
        rows = (
            f"| {name} | {len(links)} | {', '.join(links)} |" for name, links in verdicts.items()
        )
        lines = ["| verdict | how many | hypotheses |", "|---|---|---|", *rows]
        return self.parse_text_to_nodes("\n".join(lines))


class StoredBenchmark(SphinxDirective):
    """The benchmark's tables and how they were made, from the stored file."""

    TITLES = {
        "speed": "Milliseconds of a call, and kanbook's time divided by the contestant's",
        "alone": "Milliseconds and page faults of a call, each layer alone in its process",
        "memory": "MiB at the peak of a pass",
        "prediction": "Microseconds of one prediction",
        "training": "Seconds and evaluations to a test error of 0.001, and of the whole run",
        "hellokan": "Seconds from the samples of PyKAN's first tutorial to a formula",
        "profile": "Milliseconds of the parts of a call, for two layers of chapter 13",
        "steps": "Time of a call of chapter 13's layers, kanbook's = 1",
        "tanh": "Time of a training step of chapter 12's networks, tanh after the sum = 1",
        "engines": "Milliseconds of a step of chapter 20's network in each engine",
        "derivatives": "Milliseconds of a Laplacian and its gradient, by autograd and by series",
        "microcontroller": "Instructions and bytes of one prediction on an emulated Cortex-M4F",
    }

    def run(self):
        self.env.note_dependency(str(evidence.FOLDER / "benchmark.json"))
        lines, made = [], {}
        for part, title in self.TITLES.items():
            frame = evidence.load_benchmark(part)
            lines += [*_folded(title, frame, name=f"benchmark-{part}"), ""]
            made[_made(frame.attrs["provenance"])] = None
        return self.parse_text_to_nodes("\n".join([*lines, "\n\n".join(made)]))


def _unplanned(name):
    """A sentence on an experiment that stands in no part of the plan."""
    plan = outcomes.PLAN.read_text(encoding="utf-8")
    older = plan.partition("## Before the contests")[2].partition("\n## ")[0]
    if f"`{name}`" in older:
        expected = _link("plan.html#before-the-contests", "What was expected")
        return f" In no plan. {expected} stood in its code."
    return "" if f"`{name}`" in plan else " In no plan."


def _link(address, text):
    return f'<a class="reference internal" href="{address}">{text}</a>'


def _made(how):
    """How rows were made."""
    cores = f", {how['cores']} cores" if "cores" in how else ""
    versions = {"Python": how["python"]} | (how.get("versions") or {"PyTorch": how["torch"]})
    return (
        f"Made by `{how['command']}` at commit {how['commit'][:10]}, {how['date']}, on "
        f"{how['processor']}{cores} with {', '.join(map(' '.join, versions.items()))}."
    )


def _table(frame):
    """A table that a reader can sort, in Markdown."""
    rows = [list(frame), *frame.astype(object).values.tolist()]
    lines = [", ".join(f'"{_cell(value)}"' for value in row) for row in rows]
    head = [":::{csv-table}", ":header-rows: 1", ":class: stored-results", ""]
    return "\n".join([*head, *lines, ":::"])


def _folded(title, frame, *, more="", name=""):
    """The lines of a fold with a table."""
    options = [f":name: {name}", ""] if name else []
    return [f"::::{{dropdown}} {title}", *options, _table(frame), "", more, "::::"]


def _cell(value):
    if value is None or value != value:  # not a number
        return ""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, tuple):
        return " ".join(map(_cell, value))
    return re.sub(r"^[-+]", r"\\\g<0>", str(value).replace('"', "'"))  # no list


def _rows(frame):
    """A title and the table of all rows."""
    if "contest" in frame:
        table = statistics.medians(frame)
        return f"{len(table)} rows: test error of a family on a task", table
    if "prediction_seconds" in frame:
        table = statistics.paces(frame)
        return f"{len(table)} rows: milliseconds of a step, microseconds of a prediction", table
    if "fronts" in frame:
        table = _fewest(frame, bits.SMALL[1])
        return f"{len(table)} tasks: bytes for a tenth of that error", table
    if "outcome" not in frame and "family" not in frame:
        table = frame.pivot_table("test_error", "task", "contestant").reset_index()
        return f"{len(table)} tasks: mean test error of each contestant", table
    table = evidence.summarize(frame)
    first = [name for name in LABELS if name in table] + list(table.columns[-7:])
    shown = first + [name for name in table if name not in (*first, *HIDDEN)]
    what = "how many were found" if "found" in table else "median, least and largest loss"
    return f"{len(table)} settings: {what}", table[shown]


def _summary(frame):
    """The first number of an experiment, what its table holds, and this table."""
    if "prediction_seconds" in frame:
        return _paces(frame)
    if "outcome" in frame:
        return _found(frame)
    if "fronts" in frame:
        return _bytes(frame)
    if "family" not in frame:
        return _ready_made(frame)
    if "contest" not in frame:
        return _errors(frame)
    if "minimal" in set(frame["family"]):
        return _effects(frame)
    return _extremes(frame) if _has_many(frame) else _ratios(frame)


def _has_many(frame):
    """Whether there are too many families to compare them one by one, or none to compare with."""
    return frame["family"].nunique() > 10 or not statistics.rivals(frame, _reference(frame))


def _first_pair(frame):
    """Who is compared with whom first."""
    return FIRST.get(frame.attrs["name"], ("KAN", "MLP"))


def _reference(frame):
    first, families = _first_pair(frame)[0], list(frame["family"])
    return first if first in families else families[0]


def _ratios(frame):
    """A row for each contest and rival; of classes of tasks, the ratios alone."""
    if "redraw" in frame:
        return _over_draws(frame)
    family, rival_first = _reference(frame), _first_pair(frame)[1]
    found = statistics.against_rivals(frame, family).groupby(["contest", "rival"], sort=False)
    rows = []
    for (contest, rival), ratios in sorted(found, key=lambda g: (g[0][0], g[0][1] != rival_first)):
        *classes, every = ratios.itertuples()
        row = {f"{family} /": rival, "all tasks": show(every)}
        row |= {f"{family} is": every.verdict, "equal": contest}
        if 1 < len(classes) < 7:
            row |= {one.kind: number(one.ratio) for one in classes}
        rows.append(row | {"tasks": every.tasks})
        if len(rows) == 1:
            pair = f"{quoted(family)} / {quoted(rival)}"
            first = f"{pair} {show(every, '**')}, equal {contest}: {every.verdict}."
    return first, "", pandas.DataFrame(rows).fillna("")


def _over_draws(frame):
    """A row for each contest and class of tasks, over its tasks and the draws of the settings."""
    found = draws.ratios(frame, "KAN", "MLP")
    table = found[["kind", "contest", "tasks", "draws"]].rename(columns={"contest": "equal"})
    table["KAN / MLP"] = [show(row) for row in found.itertuples()]
    table["the KAN is"] = found["verdict"]
    kind, equal, tasks, (count, _), ratio, verdict = table.iloc[0]
    first = f"KAN / MLP **{ratio}** on {kind}, equal {equal}: {verdict}; {tasks} tasks, "
    first += f"draws: {count}."
    return first, "The draws of KANs and MLPs are counted each:", table


def _effects(frame):
    """A row for each task: what extras are worth over all companies, or alone without any."""
    effects = statistics.effects(frame)
    where = "main" if "main" in set(effects["where"]) else "alone"
    effects = effects[effects["where"] == where]
    ends = [effects.loc[of] for of in (effects["ratio"].idxmin(), effects["ratio"].idxmax())]
    first = "Error with / without: from {} to {}.".format(
        *(f"**{number(end.ratio)}** ({end.extra}, {task_name(end.task)})" for end in ends)
    )
    beside = "alone" if where == "alone" else "the mean over all sets of the others"
    shown = [show(row) for row in effects.itertuples()]
    table = _crossed(effects.assign(shown=shown), "task", "extra", "shown")
    return first, f"Error with an extra / without, {beside}:", table


def _extremes(frame):
    """Of many families, the best and the worst on each task."""
    rows = []
    for task, errors in statistics.medians(frame).groupby("task", sort=False):
        best, worst = errors.sort_values("median").iloc[[0, -1]].itertuples()
        row = {"task": task_name(task), "best": best.family, "best error": f"{best.median:.2g}"}
        rows.append(row | {"worst": worst.family, "worst error": f"{worst.median:.2g}"})
    first = (
        "Median test errors, {task}: from “{best}” **{best error}** to “{worst}” **{worst error}**."
    )
    lead = f"Median test errors, the best and the worst of {frame['family'].nunique()}:"
    return first.format(**rows[0]), lead, pandas.DataFrame(rows)


def _bytes(frame):
    """How many tasks come out well enough in integers, and a row for each."""
    kan, mlp = (np.isfinite(bits.medians(frame, bits.SMALL[0])[side]) for side in ("KAN", "MLP"))
    first = f"Exact enough in integers: of {len(kan)} tasks the KAN on **{kan.sum()}**, "
    first += f"the MLP on **{mlp.sum()}**."
    lead = "Fewest bytes for 1 % (on data, 10 % above the best float network), medians over seeds:"
    return first, lead, _fewest(frame, bits.SMALL[0])


def _fewest(frame, small):
    """A row for each task: of each side the fewest bytes that reach an error."""
    sizes = bits.medians(frame, small).rename(task_name)
    return sizes.map("{:,.0f}".format).replace({"inf": "none", "nan": "untested"}).reset_index()


def _ready_made(frame):
    """A row for each contestant: the KAN's error / its own, geometric means over the tasks."""
    ours = "recipe" if "recipe" in set(frame["contestant"]) else "KAN"
    parts = {"tables of numbers": "numbers", "classes": "classes"}
    parts |= {"formulas along the axes": "axes", "formulas of other forms": "formulas"}
    columns = {}
    for title, part in parts.items():
        logs = of_defaults(frame, part)
        beside = logs.drop(columns=ours).rsub(logs[ours], axis=0).mean().dropna()
        if len(beside):
            columns[title] = np.exp(beside).map(number)
    table = pandas.DataFrame(columns).fillna("").rename_axis(f"{ours} /").reset_index()
    first = f"{ours} / {table.iloc[0, 0]} **{table.iloc[0, 1]}** on {table.columns[1]}."
    lead = f"The error of the {ours} / that of another, geometric means over the tasks:"
    return first, lead, table


def _errors(frame):
    """A row for each task: root mean square errors, of each family the least median."""
    turns = frame[frame["way"] == "in turn"] if "way" in frame else frame
    table = evidence.summarize(turns)
    if "task" not in table:
        table["task"] = turns["task"].iloc[0]
    table["error"] = table["median"].astype(float) ** (1 if "test_error" in frame else 0.5)
    settings = table.groupby(["task", "family"], sort=False)["error"]
    best = table.assign(settings=settings.transform("size")).loc[settings.idxmin()]
    best["shown"] = [
        f"{row.error:.2g}" + (f" (best of {row.settings})" if row.settings > 1 else "")
        for row in best.itertuples()
    ]
    table = _crossed(best, "task", "family", "shown")
    lead = f"Root mean square errors {_where(frame)}, medians over the seeds, of the best settings:"
    return _paired(frame) or _first_row(table), lead, table


def _where(frame):
    if "way" in frame:
        return "in turn (of digits, log-losses)"
    new = "test_loss" in frame and frame["test_loss"].notna().sum()
    if not new:
        return "on the samples that were learned"
    return "on new samples" if new > 0.9 * len(frame) else "on new samples where there are any"


def _paces(frame):
    """For each family beside the KAN a row for the step of a training, and one for a prediction."""
    times = statistics.paces(frame).set_index(["task", "inputs", "size", "family"])
    times = times[["step_ms", "prediction_us"]].unstack()
    kan, *others = sorted({family for _, family in times}, key=lambda name: name[:3] != "KAN")
    parts = []
    for rival in others:
        ratios = times.xs(kan, axis=1, level=1) / times.xs(rival, axis=1, level=1)
        part = ratios.agg(["median", "min", "max"]).T.round(1).astype(str)
        part.columns = ["median", "least", "largest"]
        part.insert(0, "of a", ["training step", "single prediction"])
        part.insert(0, f"{kan} /", rival)
        parts.append(part)
    table = pandas.concat(parts, ignore_index=True)
    first = "A training step of “{0}” takes **{3}** times that of “{1}” in eager PyTorch (from "
    first += "{4} to {5}, by the shape of the task)."
    said = first.format(kan, *table.iloc[0])
    return said, "Times in eager PyTorch, over the shapes of tasks:", table


def _found(frame):
    counts = frame.assign(found=frame["outcome"] == "found")
    counts = counts.groupby(["method", "noise"], sort=False)["found"].agg(found="sum", runs="count")
    counts = counts.reset_index()
    counts["noise"] = [f"at {100 * noise:g} % of noise" for noise in counts["noise"]]
    counts["shown"] = [f"{row.found} of {row.runs}" for row in counts.itertuples()]
    table = _crossed(counts, "method", "noise", "shown")
    return f"Found: {_first_row(table)}", "Found, but for constants within 1 %:", table


def _first_row(table):
    name, *values = table.iloc[0].items()
    return f"{name[1]}: {', '.join(f'{column} **{value}**' for column, value in values)}."


def _crossed(table, rows, columns, values):
    """The values in a row for each of `rows` and a column for each of `columns`, in their order."""
    crossed = table.pivot(index=rows, columns=columns, values=values)
    crossed = crossed.reindex(table[rows].unique()).reindex(columns=table[columns].unique())
    crossed.insert(0, rows, [task_name(name) if rows == "task" else name for name in crossed.index])
    return crossed.fillna("")


def _paired(frame):
    """KAN / MLP, the mean over pairs that are equal in what is set for both; "" without any."""
    name = frame.attrs.get("name")
    found = frame[frame["family"].isin(["KAN", "MLP"]) & frame["final"].notna()]
    if name in PAIRS:
        found = found[found["contestant"].isin(PAIRS[name])]
    elif any(found[kind].nunique() > 1 for kind in ("degree", "activation") if kind in found):
        return ""
    if "way" in found:
        found = found[found["way"] == "in turn"]
    kan, mlp = (found[found["family"] == family] for family in ("KAN", "MLP"))
    keys = [key for key in EQUAL if key in found and set(kan[key]) & set(mlp[key])]
    keys = [found[key].map(str) for key in keys] or [found["stage"]]
    errors = found["final"] ** (1 if "test_error" in found else 0.5)
    errors = errors.groupby([*keys, found["family"]]).agg(_middle).unstack()
    if not {"KAN", "MLP"} <= set(errors):
        return ""
    ratio = (errors["KAN"] / errors["MLP"]).dropna()
    a, b = PAIRS.get(name, ("KAN", "MLP"))
    text = f"{quoted(a)} / {quoted(b)} **{number(_middle(ratio))}**"
    if len(ratio) > 1:
        low, high = number(ratio.min()), number(ratio.max())
        text += f" ({low} to {high}), the mean of {len(ratio)} pairs"
    return f"{text}, {_where(frame)}."


def _middle(values):
    """The geometric mean; the median, if one of the values is infinite."""
    is_finite = values.between(0, np.inf, inclusive="neither").all()
    return np.exp(np.log(values).mean()) if is_finite else values.median()


def sort_tables(app, pagename, templatename, context, doctree):
    """Makes the tables of results sortable."""
    tables = doctree.findall(nodes.table) if doctree else ()
    if any("stored-results" in table["classes"] for table in tables):
        app.add_js_file("sort-tables.js", priority=300, loading_method="defer")


def setup(app):
    app.add_directive("stored-list", StoredList)
    app.add_directive("stored-results", StoredResults)
    app.add_directive("stored-outcomes", StoredOutcomes)
    app.add_directive("stored-benchmark", StoredBenchmark)
    app.connect("html-page-context", sort_tables)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
