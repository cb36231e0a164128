"""Sphinx extension: what the first page shows of the book, made from its rows and its chapters."""

import json
import math
import re
from html import escape
from pathlib import Path

import yaml
from bookext import LabDirective
from docutils import nodes
from figures import svg_size
from sphinx.util.docutils import SphinxDirective, SphinxRole

import evidence
from evidence.verdicts import claims, kinds
from evidence.verdicts.comparisons import where
from kanbook.certainty import TIE
from kanbook.lab.cover import KANCover

MANY = "10,000 samples and 1,000 parameters"
# What the chart shows: kinds of work, by the names of `kinds`, under what they are of.
CHART = {
    "Tables of numbers": {"{} tables": "tables, regression"},
    "Formulas, 10,000 exact samples": {
        "{} built from curves": f"{MANY}, along the axes",
        "the same {}, mixed": f"{MANY}, rotated",
    },
    "Photographs": {
        "{}, pixels not shown": "pictures, 1,000 parameters",
        "{}, pixels learned": "a photograph, its own pixels",
    },
}
COUNTS = {1: "one", 6: "six", 8: "eight"}
LIMITS = 0.2, 5  # of its axis
TICKS = {0.25: "¼", 0.5: "½", 1: "1", 2: "2", 4: "4"}
# Should one use a KAN? By what became of the claim that it beats an MLP of its size.
ANSWERS = {"stands": "Yes.", "narrower": "Often.", "hardly": "Seldom.", "falls": "No."}

# Its start, as it is about to play; its end, where it cannot.
STILL = """<div class="still"><picture>
<source media="(scripting) and (max-width: 700px)"
 srcset="../_static/cover-phone-start.svg" {phone}>
<source media="(scripting)" srcset="../_static/cover-start.svg" {desktop}>
<source media="(max-width: 700px)" srcset="../_static/cover-phone.svg" {phone}>
<img class="drawing" src="../_static/cover.svg" {desktop} alt="{alt}" fetchpriority="high">
</picture><p>{alt}</p><p class="acts"><a href="lab.html">Try it yourself</a></p></div>"""


def sized(svg):
    return 'width="{}" height="{}"'.format(*svg_size(svg))


class Cover(LabDirective):
    """The cover; its still stands at its place until it lives (still_cover.py)."""

    classes = ["live-figure"]

    def widget(self, **settings):
        return KANCover(**settings)

    def picture(self, widget, number, alt):
        static = Path(self.env.srcdir, "book", "_static")
        desktop, phone = (
            (static / name).read_text(encoding="utf-8") for name in ("cover.svg", "cover-phone.svg")
        )
        alt = re.search("<title>(.*?)</title>", desktop)[1]
        html = STILL.format(desktop=sized(desktop), phone=sized(phone), alt=alt)
        return nodes.raw("", html, format="html")


def stored(env):
    """The page is built anew when rows change."""
    for name in evidence.names():
        env.note_dependency(str(evidence.FOLDER / f"{name}.jsonl"))


class Answer(SphinxRole):
    """{answer}`Here is when.`: should one use a KAN? In a word, and what is in the role, a link."""

    def run(self):
        stored(self.env)
        verdict, _ = claims.beat()
        link = nodes.reference("", self.text, refid=nodes.make_id(self.text))
        return [nodes.strong("", f"{ANSWERS[verdict]} ", link, classes=["answer"])], []


class Compared(SphinxRole):
    """{compared}`KIND` or {compared}`KIND / RIVAL`: a row of `kinds` in numbers, and in a word."""

    def run(self):
        stored(self.env)
        kind, _, rival = self.text.partition(" / ")
        found = where(kinds.kinds(), kind=kind, rival=rival or "MLP")
        if found.empty:
            return [], [self.inliner.reporter.error(f"compared: no row {self.text!r} in kinds")]
        row = found.iloc[0]
        return [nodes.Text(f"{interval(row)}: {row.verdict}")], []


def interval(row):
    return f"{row.ratio:.2f} ({row.low:.2f} to {row.high:.2f})"


def across(ratio):
    """The place of a ratio on the axis, in percent."""
    low, high = map(math.log, LIMITS)
    return f"{100 * (math.log(ratio) - low) / (high - low):.2f}%"


def bar(kind, low, high):
    return f'<i class="{kind}" style="left:{across(low)};right:calc(100% - {across(high)})"></i>'


def mark(name, row):
    """One comparison: what it is and what it gave in words, and its mark on the axis."""
    sense = "better" if "better" in row.verdict else "worse" if "worse" in row.verdict else "open"
    said = row.verdict if sense == "open" else f"KAN {row.verdict}"
    drawn = bar("zone", 1 / TIE, TIE) + bar("interval", row.low, row.high)
    drawn += f'<i class="mark" style="left:{across(row.ratio)}"></i>'
    return (
        f'<li class="{sense}"><span class="what">{name.format(COUNTS[row.tasks])}</span> '
        f"<b>{said}</b> "
        f'<span class="numbers">{interval(row)}</span>'
        f'<span class="axis" aria-hidden="true">{drawn}</span></li>'
    )


class Chart(SphinxDirective):
    """Where KANs stand, in three rows: each a mark with its interval, and what it says."""

    def run(self):
        stored(self.env)
        rows = []
        for title, works in CHART.items():
            marks = [mark(name, kinds.against_mlp(kind)) for name, kind in works.items()]
            rows.append(f"<div><p>{title}</p><ul>{''.join(marks)}</ul></div>")
        ticks = (f'<i style="left:{across(v)}">{said}</i>' for v, said in TICKS.items())
        foot = f'<span class="axis">{"".join(ticks)}</span>'
        foot += "<span>the KAN is better</span><span>the MLP is better</span>"
        foot = f'<div class="foot" aria-hidden="true">{foot}</div>'
        html = f'<div class="standing">{"".join(rows)}{foot}</div>'
        return [nodes.raw("", html, format="html")]


class Chapters(SphinxDirective):
    """The chapters by part, each with its question and a picture."""

    def run(self):
        toc = Path(self.env.srcdir, "_toc.yml")
        self.env.note_dependency(str(toc))
        html = ""
        for part in yaml.safe_load(toc.read_text(encoding="utf-8"))["parts"]:
            files = [chapter["file"] for chapter in part["chapters"]]
            cards = [self.card(file) for file in files if re.match(r"notebooks/\d", file)]
            if cards:
                html += f"<h3>{escape(part['caption'])}</h3>"
                html += f'<ul class="chapters">{"".join(cards)}</ul>'
        return [nodes.raw("", html, format="html")]

    def card(self, file):
        path = Path(self.env.srcdir, f"{file}.ipynb")
        self.env.note_dependency(str(path))
        opening = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][1]["source"])
        title, question = re.match(r"# (.*)\n\n\*\*(.*)\*\*", opening).groups()
        thumbnail = f"../_static/thumbs/{file}.webp"  # of the extension `cards`
        return (
            f'<li><a href="../{file}.html"><img src="{thumbnail}" width="480" height="300" '
            f'loading="lazy" alt=""><b>{escape(title)}</b> <span>{escape(question)}</span></a></li>'
        )


def setup(app):
    app.setup_extension("bookext")
    app.add_directive("kan-cover", Cover)
    app.add_directive("front-chart", Chart)
    app.add_directive("front-chapters", Chapters)
    app.add_role("answer", Answer())
    app.add_role("compared", Compared())
    app.add_css_file("front.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
