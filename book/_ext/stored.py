"""What the pages of results and of the plan show, made from the rows as the book is built."""

import math
import os
import re
from itertools import groupby
from pathlib import Path

import matplotlib.pyplot as plt
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import evidence
from evidence import charts, statistics
from evidence.verdicts import outcomes
from evidence.verdicts.judging import Versus, number, quoted, show, task_name
from kanbook import plots
from kanbook._figures import picture as svg

# In the order of a reader's questions; what is not named comes last.
GROUPS = {
    "KAN, MLP and others": "formulas formulas-dense formulas-many formulas-few formulas-lbfgs "
    "formulas-lm tables noise pictures functions-1d waves pace",
    "What makes a good KAN": "extras-factorial extras-lbfgs extras-lm extras-pykan knots "
    "climbs-adam climbs-lbfgs recipe-adam recipe-lm starts optimizers",
    "tanh and mixtures": "tanh-readings mixtures",
    "One photograph": "cold-case cold-case-finale race scaling between race-audit",
    "Digits and formulas": "second-order digits recovery recovery-rivals",
    "Equations and forgetting": "equations sequence",
}

# Who is compared with whom first, where no KAN meets an MLP.
FIRST = {"knots": ("moved, kept", "still, kept"), "extras-pykan": ("update", "still")}
FIRST |= {"recipe-adam": ("recipe", "all intervals at once"), "recipe-lm": ("recipe", "MLP")}
FIRST |= dict.fromkeys(("climbs-adam", "climbs-lbfgs"), ("5, 10, 20", "20"))

# Where contestants of a family differ, the pair that the first number is of.
PAIRS = {"race": ("KAN", "MLP, tanh"), "cold-case-finale": ("splines + all three", "MLP")}
PAIRS |= {"digits": ("KAN, degree 3", "MLP"), "sequence": ("KAN, two layers", "MLP")}
PAIRS |= {"waves": ("KAN, G = 20", "MLP, tanh, Fourier features")}
# What is equal in a pair.
EQUAL = ("task", "size", "depth", "part", "steps", "samples", "frequencies", "optimizer", "knob")
EQUAL += ("batch_size", "boundary", "places", "dtype", "suspect")


def _grouped():
    """Titles of groups, and the experiments of each."""
    every, named = evidence.EXPERIMENTS, " ".join(GROUPS.values()).split()
    others = " ".join(name for name in every if name not in named)
    for title, names in (GROUPS | {"Others": others}).items():
        if group := [every[name] for name in names.split() if name in every]:
            yield title, group


class _Stored(SphinxDirective):
    """What the directives of this page share; each experiment is read once a page."""

    def load(self, name):
        """An experiment's rows, with those that stand for two contests; None if there are none."""
        kept = self.env.temp_data.setdefault("stored-rows", {})
        if name not in kept:
            self.env.note_dependency(evidence.__file__)
            try:
                frame = evidence.load(name)
            except ValueError:
                frame = None
            else:
                self.env.note_dependency(str(evidence.FOLDER / f"{name}.jsonl"))
                frame.attrs["name"] = name
                if "contest" in frame:
                    frame = statistics.with_own(frame, _pair(frame)[0])
            kept[name] = frame
        return kept[name]

    def outcomes(self):
        kept = self.env.temp_data
        if "stored-outcomes" not in kept:
            self.env.note_dependency(outcomes.__file__)
            self.env.note_dependency(str(outcomes.PLAN))
            kept["stored-outcomes"] = outcomes.outcomes()
        return kept["stored-outcomes"]


class StoredList(_Stored):
    """One line for each experiment: its question, a link, and its first number."""

    def run(self):
        found = []
        for title, group in _grouped():
            found += self.parse_text_to_nodes(f"**{title}**")
            lines = nodes.bullet_list()
            for experiment in group:
                line, where = nodes.paragraph(), f"results-{experiment.name}"
                line += nodes.reference("", experiment.question, refid=where, internal=True)
                line += nodes.Text(" ")
                frame = self.load(experiment.name)
                first = "No rows yet." if frame is None else _first(frame)
                for one in self.parse_text_to_nodes(first):
                    line += one.children
                lines += nodes.list_item("", line)
            found.append(lines)
        return found


class StoredResults(_Stored):
    """One section for each experiment: question, summary, figure, outcomes; folded, its rows."""

    def run(self):
        found = []
        for title, group in _grouped():
            section = nodes.section(ids=[nodes.make_id(f"results-of-{title}")])
            section += nodes.title("", title)
            section += map(self._section, group)
            found.append(section)
        return found

    def _section(self, experiment):
        name = experiment.name
        section = nodes.section(ids=[f"results-{name}"])
        section += nodes.title(
            "", "", nodes.Text(f"{experiment.question} "), nodes.literal("", name)
        )
        frame = self.load(name)
        if frame is None:
            section += self.parse_text_to_nodes(f"No rows yet. {self._chapters(experiment)}")
            section += self._outcomes(name)
            return section
        made, planned = frame.attrs["runs"], experiment.total()
        short = f"Not complete: {made:,} of {planned:,} runs are made, and this may change. "
        facts = f"{short if made < planned else ''}{self._chapters(experiment)}"
        section += self.parse_text_to_nodes(facts)
        if "contest" in frame:
            section += self._contests(name, frame)
        else:
            section += self._settings(frame)
        section += self._outcomes(name)
        section += self._rows(frame)
        return section

    def _chapters(self, experiment):
        links = []
        for n in experiment.chapters:
            docs = [doc for doc in self.env.found_docs if doc.startswith(f"notebooks/{n:02d}_")]
            links += [f"{{doc}}`{n} </{docs[0]}>`" if docs else str(n)]
        return f"Chapter{'s' if len(links) > 1 else ''} {', '.join(links)}."

    def _outcomes(self, name):
        """What became of the hypotheses; of several experiments, under the last."""
        judged, others = [], set()
        for one in self.outcomes():
            last = one.experiments[-1]
            if last == name:
                judged.append(one)
            elif name in one.experiments:
                others.add(last)
        found = []
        if judged:
            verdicts = ", ".join(f"{one.label} {one.verdict}" for one in judged)
            block = [f"::::{{dropdown}} Hypotheses: {verdicts}", ":class-container: hypotheses"]
            block += [f":name: hypotheses-{name}", ""]
            for one in judged:
                end = f": {one.because}." if one.because else ", until all rows are made."
                said = f"**{one.label}** *{one.hypothesis}* **{one.verdict.title()}**{end}"
                block.append(f"- {said}")
            found += self.parse_text_to_nodes("\n".join([*block, "::::"]))
        if others:
            line = nodes.paragraph("", f"{'More of its' if judged else 'Its'} hypotheses: ")
            for i, other in enumerate(sorted(others)):
                where, code = f"results-{other}", nodes.literal("", other)
                line += [nodes.Text(", " if i else "under ")]
                line += nodes.reference("", "", code, refid=where, internal=True)
            line += nodes.Text(".")
            found.append(line)
        return found

    def _contests(self, name, frame):
        if "minimal" in set(frame["family"]):
            lines, reference = _effects(frame), None
            alone = set(_main_effects(frame)["where"]) == {"alone"}
            beside = "alone" if alone else "the mean over all sets of the others"
            lead = f"Error with an extra / without, {beside}:"
        else:
            reference = _reference(frame)
            if not statistics.rivals(frame, reference) or frame["family"].nunique() > 10:
                return self._bullets(*_extremes(frame))
            lines, lead = _summary(frame, reference), None
        figure = self._figure(name, frame, reference, " ".join(lines))
        return [*self._bullets(lead, lines), figure]

    def _bullets(self, lead, lines):
        text = "\n".join(f"- {line}" for line in lines)
        return self.parse_text_to_nodes(f"{lead}\n\n{text}" if lead else text)

    def _figure(self, name, frame, reference, summary):
        with plt.rc_context():
            plots.use_style()
            if reference is None:
                drawn = charts.plot_effects(statistics.effects(frame))
            else:
                drawn = charts.plot_ratios(frame, reference)
            picture = Path(self.env.doctreedir) / f"results-{name}.svg"
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_text(svg(drawn)[0]["image/svg+xml"], encoding="utf-8")
            plt.close(drawn)
        what = f"the error of {quoted(reference)} divided by a rival's."
        if reference is None:
            what = "the error of a KAN with an extra / that without: alone (circle), beside"
            what += " all others (square), and the mean over all sets of the others (diamond)."
        caption = f"{name}: {what}"
        figure = nodes.figure(ids=[f"fig-results-{name}"])
        uri = f"/{os.path.relpath(picture, self.env.srcdir)}"
        figure += nodes.image(uri=uri, alt=summary.replace("**", ""))
        figure += nodes.caption("", caption)
        return figure

    def _settings(self, frame):
        if "prediction_seconds" in frame:
            return self._bullets(None, _paces(frame))
        if "outcome" in frame:
            return self._bullets(
                "Found, that is equal but for constants within 1 %:", _found(frame)
            )
        return self._bullets(*_best(frame))

    # Of the settings, first what names a row, then its losses; `evidence.load` has all the rest.
    LABELS = ("task", "size", "family", "contestant", "knob", "kinds", "part", "optimizer")
    HIDDEN = ("model", "activation", "bias", "spline_weight", "base", "update_grid")
    HIDDEN += ("extend_grid", "restart", "samples", "steps", "watch")

    def _rows(self, frame):
        made = _provenance(frame)
        if "contest" in frame:
            table = statistics.medians(frame)
            title = f"{len(table)} rows: test error of a family on a task"
        elif "prediction_seconds" in frame:
            table = statistics.paces(frame)
            title = f"{len(table)} rows: milliseconds of a step, microseconds of a prediction"
        else:
            table = evidence.summarize(frame)
            first = [name for name in self.LABELS if name in table] + list(table.columns[-7:])
            shown = first + [name for name in table if name not in (*first, *self.HIDDEN)]
            what = "how many were found" if "found" in table else "median, least and largest loss"
            title, table = f"{len(table)} settings: {what}", table[shown]
        return self.parse_text_to_nodes(_folded_table(title, table, made))


class StoredOutcomes(_Stored):
    """How many hypotheses held, and where each of them is judged."""

    VERDICTS = {"holds": "hold", "half": "hold in half", "lost": "are lost"}
    VERDICTS |= {"undecided": "are undecided", "open": "are open, since rows are missing"}

    def run(self):
        found = self.outcomes()
        counts = {
            words: sum(one.verdict == verdict for one in found)
            for verdict, words in self.VERDICTS.items()
        }
        said = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
        lead = nodes.paragraph("", f"What became of {len(found)} hypotheses: {said}.")
        lines = nodes.bullet_list()
        for part, ones in groupby(found, lambda one: one.label.partition(" ")[0]):
            line = nodes.paragraph()
            for i, one in enumerate(ones):
                uri = self.env.app.builder.get_relative_uri("book/plan", "book/results")
                label = one.label.partition(" ")[2]
                link = nodes.reference("", label, internal=True)
                link["refuri"] = f"{uri}#hypotheses-{one.experiments[-1]}"
                line += [nodes.Text("; " if i else f"{part}: "), link]
                line += nodes.Text(f" {one.verdict}")
            lines += nodes.list_item("", line)
        return [lead, lines]


def _pair(frame):
    """Who is compared with whom first."""
    return FIRST.get(frame.attrs["name"], ("KAN", "MLP"))


def _reference(frame):
    first, families = _pair(frame)[0], list(frame["family"])
    return first if first in families else families[0]


def _compared(a, b, row):
    return str(Versus(quoted(a), quoted(b), row))


def _ratios(frame, family):
    """For each contest, its rows and how the family compares with each rival; the MLP first."""
    for contest, rows in frame.groupby("contest", sort=False):
        rivals = statistics.rivals(rows, family)
        rivals.sort(key=lambda name: name != _pair(frame)[1])
        found = {rival: statistics.ratios(rows, family, rival) for rival in rivals}
        if found:
            yield contest, found


def _summary(frame, family):
    """Two lines for each contest: the first rival in numbers, and who else is better or worse."""
    words = {"a": "better than", "b": "worse than", "tie": "a tie with"}
    words["undecided"] = "undecided against"
    lines = []
    for contest, found in _ratios(frame, family):
        first, table = next(iter(found.items()))
        of = table.iloc[-1]
        classes = [f"{row.kind}: {number(row.ratio)}" for row in table[:-1].itertuples()]
        classes = f" ({'; '.join(classes)})" if 1 < len(classes) < 7 else ""
        lines.append(f"Equal {contest}, {of.tasks} tasks: {_compared(family, first, of)}{classes}.")
        said = []
        for verdict, word in words.items():
            names = [quoted(r) for r, rows in found.items() if rows.iloc[-1].verdict == verdict]
            said += [f"{word} {', '.join(names)}"] if names else []
        lines.append(f"Over all tasks {quoted(family)} is {'; '.join(said)}.")
    return lines


def _main_effects(frame):
    """What extras are worth over all companies, or alone where they have none."""
    found = statistics.effects(frame)
    return found[found["where"] == ("main" if "main" in set(found["where"]) else "alone")]


def _effects(frame):
    """A line for each task."""
    lines = []
    for task, rows in _main_effects(frame).groupby("task", sort=False):
        said = ", ".join(f"{row.extra} {show(row, '**')}" for row in rows.itertuples())
        lines.append(f"{task_name(task)}: {said}.")
    return lines


def _extremes(frame):
    """Of many families, the best and the worst on each task."""
    lines = []
    for task, rows in statistics.medians(frame).groupby("task", sort=False):
        rows = rows.sort_values("median")
        best, worst = (
            f"“{row['family']}” **{row['median']:.2g}**" for _, row in rows.iloc[[0, -1]].iterrows()
        )
        lines.append(f"{task_name(task)}: from {best} to {worst}.")
    return f"Median test errors, the best and the worst of {frame['family'].nunique()}:", lines[:5]


def _errors(frame):
    """Root mean square errors: for each task, of each family, the least median and its setting."""
    frame = frame[frame["way"] == "in turn"] if "way" in frame else frame
    table = evidence.summarize(frame)
    root = 1 if "test_error" in frame else 0.5
    table = table.assign(error=table["median"].astype(float) ** root)
    task = table["task"] if "task" in table else frame["task"].iloc[0]
    table = table.assign(task=task)
    settings = table.groupby(["task", "family"], sort=False)["error"]
    return table.assign(settings=settings.transform("size")).loc[settings.idxmin()]


def _best(frame):
    lines = []
    for task, rows in _errors(frame).groupby("task", sort=False):
        said = [
            f"{row.family} **{row.error:.2g}**"
            + (f" (best of {row.settings})" if row.settings > 1 else "")
            for row in rows.itertuples()
        ]
        lines.append(f"{task_name(task)}: {', '.join(said)}.")
    what = "Errors in turn, of digits the log-loss"
    if "way" not in frame:
        what = f"Root mean square errors {_where(frame)}"
    return f"{what}, medians over the seeds; of each family the best of its settings:", lines[:5]


def _where(frame):
    new = "test_loss" in frame and frame["test_loss"].notna().sum()
    if not new:
        return "on the samples that were learned"
    return "on new samples" if new > 0.9 * len(frame) else "on new samples where there are any"


def _paces(frame):
    keys = ["task", "inputs", "size"]
    table = statistics.paces(frame).set_index([*keys, "family"])
    lines = []
    for column, what in (("step_ms", "training step"), ("prediction_us", "single prediction")):
        ratio = table[column].unstack()
        ratio = ratio["KAN"] / ratio["MLP"]
        lines.append(
            f"A {what} of the KAN takes **{ratio.median():.1f}** times that of the MLP in eager "
            f"PyTorch (from {ratio.min():.1f} to {ratio.max():.1f}, by the shape of the task)."
        )
    return lines


def _found(frame):
    lines = []
    for method, rows in frame.groupby("method", sort=False):
        said = [
            f"**{(part.outcome == 'found').sum()}** of {len(part)} with {100 * noise:g} % of noise"
            for noise, part in rows.groupby("noise")
        ]
        lines.append(f"{method}: {', '.join(said)}.")
    return lines


def _first(frame):
    """The first number of an experiment."""
    if "contest" in frame:
        if "minimal" in set(frame["family"]):
            found = _main_effects(frame)
            ends = [found.loc[of] for of in (found["ratio"].idxmin(), found["ratio"].idxmax())]
            return "Error with / without: from {} to {}.".format(
                *(f"**{number(end.ratio)}** ({end.extra}, {task_name(end.task)})" for end in ends)
            )
        family = _reference(frame)
        if frame["family"].nunique() <= 10:
            for contest, found in _ratios(frame, family):
                rival, table = next(iter(found.items()))
                return f"{_compared(family, rival, table.iloc[-1])}, equal {contest}."
        return f"Median test errors, {_extremes(frame)[1][0]}"
    if "prediction_seconds" in frame:
        return _paces(frame)[0]
    if "outcome" in frame:
        return f"Found: {_found(frame)[0]}"
    return _paired(frame) or _best(frame)[1][0]


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
    where = "in turn" if "way" in frame else _where(frame)
    return f"{text}, {where}."


def _middle(values):
    """The geometric mean; the median, if one of the values is infinite."""
    logs = [math.log(value) for value in values if 0 < value < math.inf]
    whole = logs and len(logs) == len(values)
    return math.exp(sum(logs) / len(logs)) if whole else values.median()


def _provenance(frame):
    return "\n\n".join(
        f"Made by `{how['command']}` at commit {how['commit'][:10]}, {how['date']}, on "
        f"{how['processor']} with Python {how['python']} and PyTorch {how['torch']}."
        for how in frame.attrs["provenance"].values()
    )


class StoredBenchmark(SphinxDirective):
    """The benchmark's tables and how they were made, from the stored file."""

    TITLES = {
        "speed": "Milliseconds of a call, and kanbook's time divided by the contestant's",
        "memory": "MiB at the peak of a pass",
        "prediction": "Microseconds of one prediction",
        "training": "Seconds and evaluations to a test error of 0.001, and of the whole run",
        "profile": "Milliseconds of the parts of a call, for two layers of chapter 13",
        "steps": "Time of a call of chapter 13's layers, kanbook's = 1",
        "tanh": "Time of a training step of chapter 12's networks, tanh after the sum = 1",
        "engines": "Milliseconds of a step of chapter 20's network in each engine",
        "derivatives": "Milliseconds of a Laplacian and its gradient, by autograd and by series",
        "microcontroller": "Instructions and bytes of one prediction on an emulated Cortex-M4F",
    }

    def run(self):
        self.env.note_dependency(str(evidence.FOLDER / "benchmark.json"))
        found, made = [], []
        for part, title in self.TITLES.items():
            frame = evidence.load_benchmark(part)
            found += self.parse_text_to_nodes(_folded_table(title, frame, name=f"benchmark-{part}"))
            made += [frame.attrs["provenance"]] if frame.attrs["provenance"] not in made else []
        for how in made:
            versions = ", ".join(f"{name} {version}" for name, version in how["versions"].items())
            text = (
                f"Made by `{how['command']}` at commit {how['commit'][:10]}, {how['date']}, on "
                f"{how['processor']}, {how['cores']} cores, Python {how['python']}, {versions}."
            )
            found += self.parse_text_to_nodes(text)
        return found


def _folded_table(title, frame, more="", name=""):
    rows = [list(frame), *frame.astype(object).values.tolist()]
    lines = [", ".join(f'"{_cell(value)}"' for value in row) for row in rows]
    block = [f"::::{{dropdown}} {title}", *([f":name: {name}", ""] if name else [])]
    block += [":::{csv-table}", ":header-rows: 1"]
    return "\n".join([*block, ":class: stored-results", "", *lines, ":::", "", more, "::::"])


def _cell(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if value != value else f"{value:.3g}"
    if isinstance(value, tuple):
        return " ".join(map(_cell, value))
    return re.sub(r"^[-+]", r"\\\g<0>", str(value).replace('"', "'"))  # no list


def sort_tables(app, pagename, templatename, context, doctree):
    """Makes the tables of results sortable."""
    tables = doctree.findall(nodes.table) if doctree else ()
    if any("stored-results" in table["classes"] for table in tables):
        app.add_js_file("sort-tables.js", loading_method="defer")


def setup(app):
    app.add_directive("stored-list", StoredList)
    app.add_directive("stored-results", StoredResults)
    app.add_directive("stored-outcomes", StoredOutcomes)
    app.add_directive("stored-benchmark", StoredBenchmark)
    app.connect("html-page-context", sort_tables)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
