"""Charts of stored runs: what is drawn is what the runs say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas
import pytest
from helpers import shaded

from evidence import charts, statistics
from kanbook.certainty import TIE
from kanbook.plots import ROLES


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def frame_of(losses):
    """Runs as evidence.load gives them: kind -> losses of its seeds; None diverged."""
    rows = []
    for kind, values in losses.items():
        for seed, loss in enumerate(values):
            row = {"kind": kind, "seed": seed, "loss": np.inf if loss is None else loss}
            rows.append(row)
    return pandas.DataFrame(rows)


def test_medians_are_the_medians():
    frame = frame_of({"MLP": [0.1, 0.3, 0.2], "KAN": [0.4, None, 0.6], "tanh KAN": [None] * 3})
    ax = charts.plot_medians(frame, "kind")
    medians = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert medians == [0.2, 0.6]
    assert [text.get_text() for text in ax.texts] == [" 1 of 3 diverged", " 3 of 3 diverged"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["MLP", "KAN", "tanh KAN"]


def effects_of(rows):
    columns = ["extra", "task", "where", "ratio", "low", "high", "p", "seconds"]
    return pandas.DataFrame(rows, columns=columns)


EFFECTS = [
    ("bias", "one", "main", 1.1, 0.9, 1.3, 0.5, 1.0),
    ("update", "one", "main", 0.5, 0.4, 0.6, 0.001, 1.3),
    ("update", "one", "alone", 0.6, 0.4, 0.9, 0.03, 1.3),  # two others were tested beside it
    ("update", "two", "main", 2.0, 1.5, 2.5, 0.002, 1.2),
]


def test_effects_are_drawn_where_they_are_and_hollow_where_undecided():
    figure = charts.plot_effects(effects_of(EFFECTS))
    one, two = figure.axes
    assert (one.get_title(), two.get_title()) == ("one", "two")
    for ax, rows in ((one, EFFECTS[:3]), (two, EFFECTS[3:])):
        marks = [line for line in ax.lines if line.get_marker() in "Dos" and len(line.get_xdata())]
        assert [mark.get_xdata()[0] for mark in marks] == [row[3] for row in rows]
        filled = [mark.get_markerfacecolor() != "white" for mark in marks]
        assert filled == [row[6] < 0.01 for row in rows]
        spans = [line.get_xdata() for line in ax.lines if line.get_marker() == "None"]
        assert [tuple(span) for span in spans[1:]] == [row[4:6] for row in rows]  # after that of 1
    assert [text.get_text() for text in one.texts] == ["1.0×", "1.3×", "time"]


def contest_of(ratios, contest="parameters"):
    """Rows of contests: (class, rival) -> KAN / rival of its tasks; two seeds."""
    rows = []
    for (kind, rival), values in ratios.items():
        for task, ratio in enumerate(values):
            for seed in (0, 1):
                for family, error in (("KAN", 0.1), (rival, 0.1 / ratio)):
                    row = {"task": f"{kind} {task}", "kind": kind, "contest": contest}
                    row |= {"family": family, "seed": seed, "stage": "result"}
                    rows.append(row | {"test_error": error, "diverged": False})
    return pandas.DataFrame(rows).drop_duplicates()


BETTER, UNCLEAR = [0.09, 0.1, 0.11], [0.5, 2.0, 3.0]


def test_ratios_are_those_of_the_contests():
    frame = contest_of(
        {
            ("axes", "MLP"): BETTER,
            ("axes", "tanh KAN"): UNCLEAR,
            ("generic", "MLP"): UNCLEAR,
            ("generic", "tanh KAN"): UNCLEAR,
        }
    )
    both = pandas.concat([frame, frame.assign(contest="seconds")])
    figure = charts.plot_ratios(both)
    figure.canvas.draw()
    above, below = figure.axes
    assert [ax.get_title() for ax in (above, below)] == ["equal parameters", "equal seconds"]
    assert below.get_xlabel() == "test error, KAN / rival\n(below 1: the KAN is better)"
    names = [label.get_text() for label in above.get_yticklabels()]
    rivals = ["MLP", "tanh KAN"]
    assert names == ["axes (3)", *rivals, "generic (3)", *rivals, "all (6)", *rivals]
    low, high = shaded(above)[0]
    assert (low, high) == (round(1 / TIE, 3), TIE)
    for rival, rows in (("MLP", (1, 4, 7)), ("tanh KAN", (2, 5, 8))):
        judged = statistics.against_rivals(both).query("contest == 'seconds' and rival == @rival")
        for y, found in zip(rows, judged.itertuples(), strict=True):
            (mean,) = (line for line in above.lines if list(line.get_ydata()) == [y])
            (span,) = (line for line in above.lines if list(line.get_ydata()) == [y, y])
            assert mean.get_xdata()[0] == found.ratio
            assert list(span.get_xdata()) == [found.low, found.high]
            role = "MLP" if rival == "MLP" else "tanh"
            assert mean.get_color() == span.get_color() == ROLES[role]["color"]
            hollow = mean.get_markerfacecolor() == "white"
            assert hollow == (found.verdict == "undecided") == (y != 1)
    dots = [line.get_xdata() for line in above.lines if line.get_color() == "#777777"]
    np.testing.assert_allclose(dots[0], BETTER)
    np.testing.assert_allclose(np.sort(dots[4]), sorted(BETTER + UNCLEAR))


def test_ratios_of_one_rival_need_no_headings():
    ax = charts.plot_ratios(contest_of({("k", "MLP"): BETTER, ("l", "MLP"): UNCLEAR})).axes[0]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["k (3)", "l (3)", "all (6)"] and "KAN / MLP" in ax.get_xlabel()
    ax = charts.plot_ratios(contest_of({("k", "MLP"): BETTER})).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["k (3)"], "all is the same"


def test_ratios_of_what_is_there_so_far():
    """A rival that is in one contest only, and another that has no task in common yet."""
    first = contest_of({("k", "MLP"): BETTER, ("k", "GP"): UNCLEAR, ("l", "GP"): UNCLEAR})
    second = contest_of({("k", "MLP"): BETTER}, contest="seconds")
    other = first[:1].assign(family="tanh KAN", task="m")
    above, below = charts.plot_ratios(pandas.concat([first, second, other])).axes
    names = [[label.get_text() for label in ax.get_yticklabels()] for ax in (above, below)]
    assert names[0] == ["k (3)", "MLP", "GP", "l (3)", "GP", "all (6)", "GP"]
    assert names[1] == ["k (3)", "MLP"]
    gp = [line for line in above.lines if line.get_marker() == "s"]
    assert [line.get_ydata()[0] for line in gp] == [2, 4, 6]


def test_an_interval_may_leave_the_picture():
    ax = charts.plot_ratios(contest_of({("k", "MLP"): [0.5, 4.0]})).axes[0]
    low, high = ax.get_xlim()
    assert 0.3 < low < 0.5 and 4 < high < 6
    (span,) = (line.get_xdata() for line in ax.lines if list(line.get_ydata()) == [0, 0])
    assert span[0] < 1e-4 and span[1] > 1e4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: charts.plot_ratios(f), "no column 'contest'"),
        (
            lambda f: charts.plot_ratios(contest_of({("k", "MLP"): BETTER}), "GP"),
            "family='GP' has no task and seed in common with another",
        ),
        (lambda f: charts.plot_medians(f[:0], "kind"), "frame has no rows"),
        (lambda f: charts.plot_medians(f, "family"), "no column 'family'"),
        (lambda f: charts.plot_effects(f), "no column 'extra'"),
    ],
)
def test_frames_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call(frame_of({"KAN": [0.1]}))
