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


def across(ratio, limits=LIMITS):
    """The place of a ratio on the axis, in percent; what is beyond its ends lies at them."""
    low, here, high = map(math.log, (limits[0], ratio, limits[1]))
    return f"{100 * min(max((here - low) / (high - low), 0), 1):.2f}%"


def bar(kind, low, high, limits=LIMITS):
    left, right = across(low, limits), across(high, limits)
    return f'<i class="{kind}" style="left:{left};right:calc(100% - {right})"></i>'


def mark(what, row, limits=LIMITS):
    """One comparison: what it is and what it gave in words, and its mark on the axis."""
    sense = "better" if "better" in row.verdict else "worse" if "worse" in row.verdict else "open"
    said = row.verdict if sense == "open" else f"KAN {row.verdict}"
    drawn = bar("zone", 1 / TIE, TIE, limits) + bar("interval", row.low, row.high, limits)
    drawn += f'<i class="mark" style="left:{across(row.ratio, limits)}"></i>'
    return (
        f'<li class="{sense}" data-rival="{row.rival}" data-verdict="{row.verdict}">'
        f'<span class="what">{what}</span> <b>{said}</b> '
        f'<span class="numbers">{interval(row)}</span>'
        f'<span class="axis" aria-hidden="true">{drawn}</span></li>'
    )


def foot(ticks, limits=LIMITS, rival="the MLP"):
    """What stands below the marks."""
    ticks = (f'<i style="left:{across(v, limits)}">{said}</i>' for v, said in ticks.items())
    said = f'<span class="axis">{"".join(ticks)}</span>'
    said += f"<span>the KAN is better</span><span>{rival} is better</span>"
    return f'<div class="foot" aria-hidden="true">{said}</div>'


class Chart(SphinxDirective):
    """Where KANs stand, in three rows: each a mark with its interval, and what it says."""

    def run(self):
        stored(self.env)
        rows = []
        for title, works in CHART.items():
            found = {name: kinds.against_mlp(kind) for name, kind in works.items()}
            marks = [mark(name.format(COUNTS[row.tasks]), row) for name, row in found.items()]
            rows.append(f"<div><p>{title}</p><ul>{''.join(marks)}</ul></div>")
        html = f'<div class="marks standing">{"".join(rows)}{foot(TICKS)}</div>'
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
