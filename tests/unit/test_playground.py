"""The spline playground without its page: traits, refits, messages, and its script's arithmetic.

The traits and refits run in Python alone. What playground.js computes is compared with kanbook in a
blank page; test_playground_page.py is about what a reader sees and does.
"""

import base64
import contextlib
import copy
import json
import math
import random
import re
import struct
from fractions import Fraction

import ipywidgets
import numpy as np
import pytest
import torch
import traitlets
from scipy.interpolate import BSpline

import notebook_files as notebooks
from kanbook import SplinePlayground, splines, tasks
from kanbook.lab import playground
from kanbook.lab.playground import MAX_DEGREE, MAX_GRID_SIZE, Spline
from notebook_files import ROOT

DEGREES = range(MAX_DEGREE + 1)
PAIR = r"expected two (finite )?numbers \(a, b\)"
CLAMPED = [-1.0] * 4 + [-0.2, 0.5] + [1.0] * 4
ANY = torch.linspace(-1, 1, 301, dtype=torch.float64)


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


def state(p):
    return Spline(*(getattr(p, name) for name in Spline._fields))


def assert_one_spline(p):
    """The five traits belong together."""
    k = p.degree
    assert len(p.knots) == p.grid_size + 2 * k + 1 and len(p.coefs) == p.grid_size + k
    assert p.domain == (p.knots[k], p.knots[-k - 1])
    assert p.knots == sorted(p.knots)


def assert_close(actual, expected, tolerance=1e-12):
    """Lists of numbers, or pairs of states."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def random_knots(rng, degree, grid_size, kind):
    """Knots on a domain of any place and width: even, uneven, or in part repeated."""
    a = rng.uniform(-2, 1)
    b = a + rng.uniform(0.3, 3)
    if kind == "even":
        return splines.uniform_knots(grid_size, degree, (a, b), dtype=torch.float64).tolist()
    inside = np.sort(rng.uniform(a, b, grid_size - 1))
    if kind == "repeated" and grid_size > 2:
        inside[: grid_size // 2] = inside[0]
        inside[-1] = b if rng.integers(2) else inside[-1]
    steps = np.cumsum(rng.uniform(0.05, 0.5, (2, degree)) * (b - a) / grid_size, axis=1)
    return [*(a - steps[0][::-1]), a, *inside, b, *(b + steps[1])]


KINDS = ("even", "uneven", "repeated")


def random_spline(rng, kind="uneven", degree=None, grid_size=None):
    degree = int(rng.integers(0, MAX_DEGREE + 1)) if degree is None else degree
    grid_size = int(rng.integers(1, MAX_GRID_SIZE + 1)) if grid_size is None else grid_size
    knots = [float(t) for t in random_knots(rng, degree, grid_size, kind)]
    coefs = rng.normal(size=grid_size + degree).round(3).tolist()
    return Spline(degree, grid_size, (knots[degree], knots[-degree - 1]), knots, coefs)


def widget(spline):
    return SplinePlayground(spline.degree, knots=spline.knots, coefs=spline.coefs)


# --- traits --------------------------------------------------------------------------------------


def test_defaults():
    p = SplinePlayground()
    assert (p.degree, p.grid_size, p.domain) == (3, 5, (-1.0, 1.0))
    assert p.knots == splines.uniform_knots(5, 3, dtype=torch.float64).tolist()
    assert len(p.coefs) == 8 and 0.3 < max(map(abs, p.coefs)) < 1
    assert (p.target, p.show_basis, p.show_sum, p.weighted) == ("none", True, False, False)
    assert repr(p) == "SplinePlayground(degree=3, grid_size=5)"
    for k in DEGREES:
        for size in (1, 2, MAX_GRID_SIZE):
            assert_one_spline(SplinePlayground(k, size))


def test_arguments_become_traits():
    p = SplinePlayground(
        2, 4, domain=[0, 2], coefs=[0, 1, 2, 3, 4, 5], target="sine", show_sum=True
    )
    assert (p.degree, p.grid_size, p.domain) == (2, 4, (0.0, 2.0))
    assert p.coefs == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert (p.target, p.show_sum) == ("sine", True)
    knots = [0, 1, 2.5, 2.5, 4, 5]
    for beside in ({}, {"grid_size": 3}, {"domain": (1, 4)}, {"domain": [1.0, 4.0]}):
        p = SplinePlayground(1, knots=knots, **beside)
        assert (p.grid_size, p.domain, p.knots) == (3, (1.0, 4.0), knots)
        assert_one_spline(p)


@pytest.mark.parametrize("number", [np.float32, np.float64, np.int64, Fraction])
def test_numbers_of_other_types_become_floats(number):
    knots, coefs = [number(i) for i in range(12)], [number(i) for i in range(8)]
    p, q = SplinePlayground(knots=knots, coefs=coefs), SplinePlayground()
    q.knots, q.coefs = knots, coefs
    assert state(p) == state(q)
    assert {type(v) for v in (*q.knots, *q.coefs, *q.domain)} == {float}
    q.domain = (number(0), number(1))
    assert q.domain == (0.0, 1.0)


BAD_ARGUMENTS = [
    ({"degree": 6}, r"degree=6.*0 to 5"),
    ({"degree": -1}, r"degree=-1.*0 to 5"),
    ({"degree": 2.0}, r"degree=2.0.*integer"),
    ({"degree": "3"}, r"degree='3'.*integer"),
    ({"degree": True}, r"degree=True.*integer"),
    ({"grid_size": 0}, r"grid_size=0.*1 to 20"),
    ({"grid_size": 21}, r"grid_size=21.*1 to 20"),
    ({"grid_size": True}, r"grid_size=True.*integer"),
    ({"domain": (1, 1)}, rf"domain=\(1, 1\); {PAIR}"),
    ({"domain": (2, -1)}, rf"domain=\(2, -1\); {PAIR}"),
    ({"domain": (0, math.nan)}, rf"domain=\(0, nan\); {PAIR}"),
    ({"domain": (0, math.inf)}, rf"domain=\(0, inf\); {PAIR}"),
    ({"domain": (0, 1, 2)}, rf"domain=\(0, 1, 2\); {PAIR}"),
    ({"domain": 3}, rf"domain=3; {PAIR}"),
    ({"domain": (0, 1001)}, r"domain=\(0, 1001\); expected numbers from -1000 to 1000"),
    ({"domain": (0, 0.009)}, r"domain=\(0, 0.009\); .* larger by 0.01"),
    ({"domain": "ab"}, rf"domain='ab'; {PAIR}"),
    ({"domain": (-1e308, 1e308)}, r"domain=\(-1e\+308, 1e\+308\)"),
    ({"knots": 3}, r"knots=3; expected"),
    ({"knots": "abcdefgh"}, r"knots='abcdefgh'; expected a list of numbers"),
    ({"knots": [1.0] * 8}, r"knots.*1\.0: the domain between them is empty"),
    ({"knots": [0, 1, 2]}, r"knots has shape \(3,\).*8"),
    ({"knots": [0, 1, 2, 3, 4, 5, 7, 6]}, r"knots is not sorted, 7.0 stands before 6.0"),
    ({"knots": [0, 1, 2, math.nan, 4, 5, 6, 7]}, r"knots is nan at index \[3\].*finite"),
    ({"knots": [*range(7), math.inf]}, r"knots is inf at index \[7\].*finite"),
    ({"knots": list(range(40))}, r"grid_size=33.*1 to 20"),
    ({"knots": [*range(8)], "grid_size": 2}, r"grid_size=2; expected 1, as in knots"),
    (
        {"knots": [*range(8)], "domain": (3, 5)},
        r"domain=\(3.0, 5.0\); expected \(3, 4\), as in knots",
    ),
    ({"knots": [*range(16)], "degree": 6}, r"degree=6.*0 to 5"),
    ({"coefs": 3}, r"coefs=3; expected"),
    ({"coefs": [0.0] * 7}, r"coefs has 7 values; expected grid_size \+ degree = 8"),
    ({"coefs": ["a"] * 8}, r"coefs=.*'a'.*expected a list of numbers"),
    ({"coefs": [math.nan] * 8}, r"coefs is nan at index \[0\].*finite"),
    ({"coefs": [2e30] * 8}, r"coefs=.*from -1e\+30 to 1e\+30"),
    ({"coefs": [True] * 8}, r"coefs=\[True.*expected a list of numbers"),
    ({"coefs": [10**400] * 8}, r"coefs is inf at index \[0\].*finite"),
    ({"knots": [*range(7), 10**400]}, r"knots is inf at index \[7\].*finite"),
    ({"domain": (0, 10**400)}, r"domain=\(0, 1000.*expected numbers from -1000 to 1000"),
    ({"domain": (False, True)}, rf"domain=\(False, True\); {PAIR}"),
    ({"target": "cosine"}, r"'target'.*'zigzag', 'sine', 'step', 'noise'.*'cosine'"),
    ({"target": None}, r"'target'.*'zigzag', 'sine', 'step', 'noise'.*None"),
    ({"show_basis": "yes"}, r"'show_basis'.*boolean.*'yes'"),
    ({"weighted": None}, r"'weighted'.*boolean.*None"),
]


@pytest.mark.parametrize("arguments, message", BAD_ARGUMENTS, ids=str)
def test_bad_argument_is_named(arguments, message):
    with pytest.raises(traitlets.TraitError, match=message):
        SplinePlayground(**arguments)


def test_unknown_argument_is_named():
    with pytest.raises(TypeError, match="colour"):
        SplinePlayground(colour="red")


BAD_VALUES = [
    ({"degree": 6}, r"degree=6.*0 to 5"),
    ({"degree": -1}, r"degree=-1.*0 to 5"),
    ({"degree": 2.5}, r"'degree'.*int.*2\.5"),
    ({"degree": True}, r"degree=True.*integer"),
    ({"degree": None}, r"'degree'.*int.*None"),
    ({"grid_size": 0}, r"grid_size=0.*1 to 20"),
    ({"grid_size": 21}, r"grid_size=21.*1 to 20"),
    ({"grid_size": "5"}, r"'grid_size'.*int.*'5'"),
    ({"grid_size": True}, r"grid_size=True.*integer"),
    ({"domain": (1, 1)}, rf"domain=\(1.0, 1.0\); {PAIR}"),
    ({"domain": (2, 1)}, rf"domain=\(2.0, 1.0\); {PAIR}"),
    ({"domain": (0, math.nan)}, rf"domain=\(0.0, nan\); {PAIR}"),
    ({"domain": (0, math.inf)}, rf"domain=\(0.0, inf\); {PAIR}"),
    ({"domain": (-1e308, 1e308)}, r"domain=\(-1e\+308, 1e\+308\)"),
    ({"domain": (0, 1e-320)}, r"domain=\(0.0, 1e-320\)"),
    ({"domain": (1, 1 + 4e-16)}, r"domain=\(1.0, 1.0000000000000004\)"),
    ({"domain": (1, "2")}, r"'domain'.*float.*'2'"),
    ({"domain": (0, 1, 2)}, r"'domain'.*2 elements.*\(0, 1, 2\)"),
    ({"domain": 3}, r"'domain'.*tuple.*3"),
    ({"knots": 3}, r"'knots'.*list.*3"),
    ({"knots": [0.0] * 11}, r"knots has 11 values; expected .* = 12"),
    ({"knots": [0.0] * 12}, r"knots.*0\.0: the domain between them is empty"),
    ({"knots": ["a"] * 12}, r"'knots'.*float.*'a'"),
    ({"knots": [*range(10), 11, 10]}, r"knots is not sorted, 11.0 stands before 10.0"),
    ({"knots": [math.nan] * 12}, r"knots is nan at index \[0\].*finite"),
    ({"knots": [*range(11), math.inf]}, r"knots is inf at index \[11\].*finite"),
    ({"knots": [-1e308] * 4 + [0.0] * 4 + [1e308] * 4}, r"knots"),
    ({"coefs": 3}, r"'coefs'.*list.*3"),
    ({"coefs": [0.0] * 9}, r"coefs has 9 values; expected grid_size \+ degree = 8"),
    ({"coefs": ["a"] * 8}, r"'coefs'.*float.*'a'"),
    ({"coefs": [math.inf] * 8}, r"coefs is inf at index \[0\].*finite"),
    ({"coefs": [None] * 8}, r"'coefs'.*float.*None"),
    ({"coefs": [True] * 8}, r"'coefs'.*float.*True"),
    ({"coefs": [10**400] * 8}, r"coefs is inf at index \[0\].*finite"),
    ({"knots": [False] * 6 + [True] * 6}, r"'knots'.*float.*False"),
    ({"knots": [-(10**400), *range(11)]}, r"knots is -inf at index \[0\].*finite"),
    ({"domain": (False, True)}, r"'domain'.*float.*False"),
    ({"domain": (0, 10**400)}, rf"domain=\(0.0, inf\); {PAIR}"),
    ({"target": "cosine"}, r"'target'.*'zigzag', 'sine', 'step', 'noise'.*'cosine'"),
    ({"show_basis": "yes"}, r"'show_basis'.*boolean.*'yes'"),
    ({"show_sum": None}, r"'show_sum'.*boolean.*None"),
    ({"weighted": []}, r"'weighted'.*boolean"),
    # Two at once, of which one is bad, or which do not belong together.
    ({"degree": 2, "grid_size": 21}, r"grid_size=21.*1 to 20"),
    ({"grid_size": 7, "degree": "2"}, r"'degree'.*int.*'2'"),
    ({"target": "sine", "coefs": [0.0] * 9}, r"coefs has 9 values"),
    ({"degree": 2, "knots": [*range(12)]}, r"knots has 12 values; expected .* = 10"),
    ({"grid_size": 6, "coefs": [0.0] * 8}, r"coefs has 8 values; expected .* = 9"),
    ({"coefs": [1.0] * 8, "domain": (3, 3)}, rf"domain=\(3.0, 3.0\); {PAIR}"),
]


def set_traits(p, values):
    """As a program does: one alone, several together."""
    with p.hold_trait_notifications() if len(values) > 1 else contextlib.nullcontext():
        for name, value in values.items():
            setattr(p, name, value)


@pytest.mark.parametrize("sender", [set_traits, SplinePlayground.set_state])
@pytest.mark.parametrize("values, message", BAD_VALUES, ids=str)
def test_bad_value_changes_nothing(values, message, sender):
    p = SplinePlayground(target="zigzag")
    p.coefs = [0.5] * 8
    before = copy.deepcopy(p.get_state())
    heard = []
    p.observe(heard.append, [*Spline._fields, "target", "show_basis"])
    with pytest.raises(traitlets.TraitError, match=message):
        sender(p, values)
    assert p.get_state() == before and not heard
    p.grid_size = 6  # and it works on
    assert_one_spline(p)


# --- refits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_changes_of_degree_and_grid_lead_back(kind):
    """However far the way, the curve that was shaped by hand comes back."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        start = random_spline(rng, kind)
        p = widget(start)
        for _ in range(3):
            p.degree = int(rng.integers(0, MAX_DEGREE + 1))
            p.grid_size = int(rng.integers(1, MAX_GRID_SIZE + 1))
            assert_one_spline(p)
        p.grid_size, p.degree = start.grid_size, start.degree
        assert state(p) == start
    p = SplinePlayground()
    start = state(p)
    for p.grid_size in (7, 10, 5):
        assert_one_spline(p)
    assert state(p) == start


@pytest.mark.parametrize("degree", DEGREES)
def test_more_knots_between_the_old_ones_keep_the_curve(degree):
    for grid_size, more in ((5, 10), (1, 20), (4, 12)):
        p = SplinePlayground(degree, grid_size)
        x = torch.linspace(-0.999, 0.999, 301, dtype=torch.float64)  # off the knots: degree 0 jumps
        before = p.values(x)
        p.grid_size = more
        assert_close(p.values(x), before)


@pytest.mark.parametrize("degree", DEGREES)
def test_one_degree_more_is_exact_for_one_interval(degree):
    p = SplinePlayground(degree, 1)
    before = p.values(ANY)
    p.degree = min(degree + 1, MAX_DEGREE)
    assert_close(p.values(ANY), before)


def best_approximation(curve, knots, degree):
    """Plain least squares on a dense grid, with SciPy's splines."""
    start, end = knots[degree], knots[-degree - 1]
    n = 7000
    x = start + (end - start) * (np.arange(n) + 0.5) / n
    matrix = BSpline.design_matrix(x, np.array(knots), degree).toarray()
    size = np.linalg.norm(matrix, axis=0)
    coefs = np.linalg.lstsq(matrix / size, curve(float64(x)).numpy())[0] / size
    return x, BSpline(np.array(knots), coefs, degree)(x)


@pytest.mark.parametrize("degree", DEGREES)
def test_refit_is_the_best_approximation(degree):
    rng = np.random.default_rng(degree)
    start = random_spline(rng, "uneven", degree, 5)
    for new in ({"grid_size": 7}, {"degree": 5 - degree}, {"domain": (-2.0, 1.5)}):
        p = widget(start)
        set_traits(p, new)
        assert_one_spline(p)
        assert {name: getattr(p, name) for name in new} == new
        x, expected = best_approximation(widget(start).values, p.knots, p.degree)
        # Sums see a jump up to half a step off.
        tolerance = 3e-3 if min(degree, p.degree) == 0 else 3e-5
        assert_close(p.values(float64(x)), expected, tolerance)


def test_domain_stretches_the_knots_and_shows_the_same_curve():
    p = SplinePlayground()
    p.knots = [*p.knots[:5], -0.3, *p.knots[6:]]
    knots = float64(p.knots)
    x = torch.linspace(-0.99, 0.99, 51, dtype=torch.float64)
    before = p.values(x)
    p.domain = (-1, 3)
    assert_one_spline(p)
    assert_close(p.knots[3:9], 1 + 2 * knots[3:9])
    assert p.values(float64([2.9])).abs() < 0.1  # where the old curve has faded to zero
    p.domain = (-1, 1)
    assert_close(p.knots[3:9], knots[3:9])
    assert_close(p.values(x), before)


def test_knots_on_the_ends_of_the_domain_stay_there():
    """To the last digit, in domains whose widths are rounded."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        a, b = round(rng.uniform(-3, 0), 3), round(rng.uniform(0.1, 3), 3)
        p = SplinePlayground(2, knots=[-2, -2, -1, -1, 0.5, 1, 1, 1.5, 1.5])
        p.domain = (a, b)
        assert_one_spline(p)
        assert p.knots[2:4] == [a, a] and p.knots[5:7] == [b, b]


def test_knots_and_coefs_keep_the_rest():
    rng = np.random.default_rng(3)
    for kind in KINDS:
        for _ in range(20):
            p = widget(random_spline(rng, kind))
            if rng.integers(2):
                p.degree = int(rng.integers(0, MAX_DEGREE + 1))
            for name in ("coefs", "knots", "coefs"):
                before = state(p)
                values = getattr(random_spline(rng, "uneven", p.degree, p.grid_size), name)
                setattr(p, name, values)
                ends = (p.knots[p.degree], p.knots[-p.degree - 1])
                assert state(p) == before._replace(**{"domain": ends, name: values})


def test_knots_beyond_the_domain_stay():
    p = SplinePlayground(knots=CLAMPED)
    p.coefs = [0.5, *p.coefs[1:]]
    assert p.knots == CLAMPED


def test_knots_of_a_flat_curve_are_shaped_by_hand_too():
    """A curve of equal coefficients looks the same on all knots; its knots still count."""
    p = SplinePlayground(coefs=[0.5] * 8)
    moved = [*p.knots[:5], 0.0, *p.knots[6:]]
    p.knots = moved
    p.coefs = [0.6, *p.coefs[1:]]
    assert p.knots == moved
    p.grid_size = 10
    assert p.knots[7] == pytest.approx(0)


def test_several_traits_at_once():
    p = SplinePlayground()
    new = random_spline(np.random.default_rng(1), "uneven", 2, 9)
    set_traits(p, {"degree": 2, "grid_size": 9, "knots": new.knots, "coefs": new.coefs})
    assert state(p) == new
    set_traits(p, {"degree": 4, "grid_size": 3, "domain": (0.0, 1.0)})
    assert (p.degree, p.grid_size, p.domain) == (4, 3, (0.0, 1.0))
    assert_one_spline(p)


# --- messages and observers ----------------------------------------------------------------------


def wire(p, echo=False):
    """The messages that the widget sends, as they come."""
    sent = []

    def publish_msg(msg_type, data=None, **rest):
        if echo or data["method"] != "echo_update":
            sent.append(data)

    p.comm.publish_msg = publish_msg
    return sent


def receive(p, values):
    """A message from the front end."""
    values = json.loads(json.dumps(values))
    data = {"method": "update", "state": values, "buffer_paths": []}
    p.comm.handle_msg({"content": {"data": data}, "buffers": []})


@pytest.mark.parametrize("name, value", [("target", "sine"), ("coefs", [0.0] * 8)])
def test_what_changes_alone_travels_alone(name, value):
    p = SplinePlayground()
    sent = wire(p)
    setattr(p, name, value)
    setattr(p, name, value)  # nothing new
    assert sent == [{"method": "update", "state": {name: value}, "buffer_paths": []}]


@pytest.mark.parametrize(
    "values",
    [
        {"grid_size": 7},
        {"degree": 2},
        {"domain": (0.0, 1.0)},
        {"knots": [*range(12)]},
        {"degree": 2, "grid_size": 7},
    ],
    ids=str,
)
def test_what_changes_together_travels_together(values):
    """No page ever sees knots without the degree that they belong to."""
    p = SplinePlayground()
    before = state(p)
    sent = wire(p)
    set_traits(p, values)
    changed = {name for name in Spline._fields if getattr(p, name) != getattr(before, name)}
    assert changed >= values.keys() and changed <= sent[0]["state"].keys()
    assert len(values) > 1 or len(sent) == 1
    for data in sent:
        assert data["method"] == "update"
        for name, value in data["state"].items():
            assert value == getattr(p, name)
    messages = len(sent)
    set_traits(p, values)  # nothing new
    assert len(sent) == messages


def test_front_end_is_taken_at_its_word():
    """It has computed knots and coefficients by itself: no answer but the echo."""
    p, q = SplinePlayground(), SplinePlayground()
    q.degree = 2
    sent = wire(p)
    receive(p, {"degree": 2, "knots": q.knots, "coefs": q.coefs})
    assert not sent and state(p) == state(q)
    receive(p, {"coefs": [0.1] * 7})
    receive(p, {"knots": [-2, -1.5, *p.knots[2:]]})
    assert not sent and p.coefs == [0.1] * 7 and p.knots[:2] == [-2.0, -1.5]
    receive(p, {"domain": [0, 1], "knots": [*np.linspace(-0.4, 1.4, 10)], "coefs": [0.2] * 7})
    assert p.coefs == [0.2] * 7 and p.domain == (p.knots[2], p.knots[-3])
    assert sent[0]["state"]["domain"] == p.domain  # rounded as the knots are


def test_front_end_may_leave_the_rest_to_python():
    p, q = SplinePlayground(), SplinePlayground()
    sent = wire(p)
    q.grid_size = 9
    receive(p, {"grid_size": 9})
    assert state(p) == state(q)
    assert len(sent) == 1 and sent[0]["state"].keys() >= {"knots", "coefs"}


def test_observers_see_one_spline():
    p = SplinePlayground()
    heard = []

    def check(change):
        heard.append(change.name)
        assert_one_spline(p)

    p.observe(check, list(Spline._fields))
    p.degree = 2
    assert sorted(heard) == ["coefs", "degree", "knots"]
    p.grid_size = 8
    p.domain = (0, 1)
    p.knots = [t + 0.5 for t in p.knots]
    set_traits(p, {"degree": 4, "grid_size": 3})
    assert set(heard) == set(Spline._fields)


def test_link_to_a_slider():
    p, slider = SplinePlayground(), ipywidgets.IntSlider(3, 0, 5)
    ipywidgets.link((slider, "value"), (p, "degree"))
    slider.value = 1
    assert p.degree == 1
    assert_one_spline(p)
    receive(p, {"degree": 4})
    assert slider.value == 4
    assert_one_spline(p)


# --- the curve and the samples -------------------------------------------------------------------


def test_values():
    p = SplinePlayground(2, 4, domain=(0, 2))
    x = torch.linspace(0, 2, 201, dtype=torch.float64)
    expected = splines.evaluate(x, float64(p.coefs), float64(p.knots), 2)
    assert torch.equal(p.values(), expected)
    points = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    assert p.values(points).shape == (3, 4) and p.values(points).dtype == torch.float64
    scipy = BSpline(p.knots, p.coefs, 2)(points.double())
    assert_close(p.values(points), scipy)
    for bad in ([0.0, 1.0], torch.arange(3), 0.5):
        with pytest.raises(TypeError, match="^x "):
            p.values(bad)


def test_samples():
    p = SplinePlayground()
    with pytest.raises(ValueError, match="target='none'; expected one of zigzag, sine, step"):
        p.samples()
    for p.target in ("zigzag", "sine", "step"):
        x, y = p.samples()
        assert x.shape == y.shape == (101,) and x.dtype == y.dtype == torch.float64
        off_the_jump = (x - 0.1).abs() > 1e-9
        assert_close(y[off_the_jump], tasks.FUNCTIONS_1D[p.target](x)[off_the_jump], 1e-6)
    p.target = "noise"
    noise = p.samples()[1] - tasks.sine(x)
    assert 0.2 < noise.std() < 0.3
    assert torch.equal(p.samples()[1], SplinePlayground(target="noise").samples()[1])
    p.domain = (0.005, 5.0)
    x, y = p.samples()
    assert len(x) == len(y) == 50 and x[0] == pytest.approx(0.02)
    p.domain = (3.0, 5.0)
    assert [len(v) for v in p.samples()] == [0, 0]
    for i in range(0, 100, 2):  # a domain that starts at a sample has that sample
        p.domain = (i / 100, 2.0)
        assert p.samples()[0].tolist() == [j / 100 for j in range(i, 101, 2)]


def test_nothing_global_is_touched():
    torch.manual_seed(5), random.seed(5)
    before = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())  # noqa: NPY002
    p = SplinePlayground(target="noise")
    p.degree = 1
    p.samples(), p.values(), p._repr_mimebundle_()
    after = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())  # noqa: NPY002
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]


# --- what a notebook stores ----------------------------------------------------------------------


def test_output_holds_view_and_picture():
    p = SplinePlayground(2, 4, target="zigzag")
    data, _ = p._repr_mimebundle_()
    assert data["text/plain"] == repr(p)
    view = data["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == p.model_id
    png = base64.b64decode(data["image/png"], validate=True)
    assert png.startswith(b"\x89PNG\r\n\x1a\n") and png.endswith(b"IEND\xaeB`\x82")
    assert struct.unpack(">II", png[16:24]) == (640, 360)
    assert p._repr_mimebundle_()[0]["image/png"] == data["image/png"]
    twin = SplinePlayground(2, 4, target="zigzag")
    assert twin._repr_mimebundle_()[0]["image/png"] == data["image/png"]
    twin.coefs = [0.0] * 6
    assert twin._repr_mimebundle_()[0]["image/png"] != data["image/png"]


@pytest.mark.parametrize("name", ["playground.js", "playground.css"])
def test_stripping_leaves_strings_alone(name):
    """What _source takes from the end of a line stands in no template of several lines."""
    text = (ROOT / "kanbook" / name).read_text(encoding="utf-8")
    for template in re.findall(r"`[^`]*`", text):
        assert not re.search(r"[{(\[,;]\n|\n\s*\n| // ", template)
    for string in re.findall(r'"[^"\n]*"', text):
        assert " // " not in string


def test_script_is_small_and_asks_for_nothing():
    script = SplinePlayground._esm
    assert len(script.encode()) < 30_000
    imports = r"""import\s*[({"'*]|import \w+ from ["']"""
    requests = r"fetch|XMLHttp|WebSocket|https?:|eval\(|Function\("
    assert not re.findall(f"{imports}|{requests}", script.replace("http://www.w3.org/2000/svg", ""))
    assert not re.findall(r"@import|url\(|https?:", SplinePlayground._css)


@pytest.mark.parametrize(
    "path", notebooks.find(), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_notebook_stores_the_current_script(path):
    widgets = notebooks.read(path)["metadata"].get("widgets", {})
    for content in widgets.values():
        for model in content["state"].values():
            if model["model_module"] != "anywidget":
                continue
            current = (SplinePlayground._esm, SplinePlayground._css)
            stored = (model["state"]["_esm"], model["state"]["_css"])
            assert stored == current, f"{path.name}: an old playground; run `make notebooks`"


# --- the script's arithmetic, in a blank page ----------------------------------------------------


@pytest.fixture(scope="module")
def page(browser):
    """A blank page with the script's functions in `js`, and the model of pages without a kernel."""
    page = browser.new_page()
    page.evaluate(
        """async text => {
          const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
          window.js = await import(url);
        }""",
        SplinePlayground._esm,
    )
    page.add_script_tag(path=ROOT / "book" / "_static" / "afm-host.js")
    yield page
    page.close()


def compute(page, function, cases):
    """The results of a JavaScript function for many cases, all in one call."""
    return page.evaluate(f"cases => cases.map({function})", cases)


def as_case(spline):
    return spline._asdict() | {"domain": list(spline.domain)}


def all_splines(seed, sizes=(1, 2, 3, 5, 8, 13, 20)):
    """Of every degree, of several sizes, with knots of every kind."""
    rng = np.random.default_rng(seed)
    return [random_spline(rng, kind, k, n) for k in DEGREES for n in sizes for kind in KINDS]


def points_of(rng, spline):
    """Points inside and outside the knots, on them, and at the ends of the domain."""
    t = spline.knots
    inside = rng.uniform(*spline.domain, 30)
    return [float(x) for x in [*inside, *rng.uniform(t[0] - 1, t[-1] + 1, 20), *t]]


def test_script_evaluates_as_python(page):
    rng = np.random.default_rng(0)
    cases = [as_case(spline) | {"x": points_of(rng, spline)} for spline in all_splines(0)]
    bases = compute(page, "({ x, knots, degree }) => x.map(x => js.basis(x, knots, degree))", cases)
    curves = compute(
        page,
        "({ x, coefs, knots, degree }) => x.map(x => js.evaluate(x, coefs, knots, degree))",
        cases,
    )
    alive = compute(
        page, "({ x, knots, degree }) => x.map(x => js.interval(x, knots, degree))", cases
    )
    for case, b, y, j in zip(cases, bases, curves, alive, strict=True):
        x, knots, k = float64(case["x"]), float64(case["knots"]), case["degree"]
        expected = splines.basis(x, knots, k)
        assert_close(b, expected)
        assert_close(y, splines.evaluate(x, float64(case["coefs"]), knots, k))
        first = torch.tensor(j).unsqueeze(-1) - k  # no function is alive but these k + 1
        i = torch.arange(expected.shape[-1])
        assert (expected[(i < first) | (i > first + k)] == 0).all()
        between = ((knots[0] <= x) & (x < knots[-1])) | (x == case["domain"][1])
        assert ((torch.tensor(j) >= 0) == between).all()


def test_script_lays_out_the_same_knots(page):
    cases = [
        {"degree": k, "size": n, "domain": domain}
        for k in DEGREES
        for n in range(1, MAX_GRID_SIZE + 1)
        for domain in ([-1, 1], [0, 0.3], [-70.1, 99.7])
    ]
    found = compute(
        page, "({ size, degree, domain }) => js.uniformKnots(size, degree, domain)", cases
    )
    for case, knots in zip(cases, found, strict=True):
        expected = playground._uniform(case["size"], case["degree"], tuple(case["domain"]))
        assert_close(knots, expected)
        assert knots[case["degree"]] == case["domain"][0]
        assert knots[-case["degree"] - 1] == case["domain"][1]


def test_script_solves_least_squares_as_python(page):
    """Also with fewer points than coefficients, and with functions that no point touches."""
    rng = np.random.default_rng(1)
    cases = []
    for spline in all_splines(1):
        a, b = spline.domain
        for x in (rng.uniform(a, b, 60), rng.uniform(a, (a + b) / 2, 40), rng.uniform(a, b, 4)):
            y = rng.normal(size=len(x)).tolist()
            cases.append(as_case(spline) | {"x": x.tolist(), "y": y})
    found = compute(
        page,
        """({ x, y, knots, degree }) => {
          const rows = x.map(x => js.basis(x, knots, degree));
          const noise = Math.max(rows.length, rows[0].length) * Number.EPSILON;
          return js.leastSquares(rows, y, noise);
        }""",
        cases,
    )
    for case, coefs in zip(cases, found, strict=True):
        x, y, knots = (float64(case[name]) for name in ("x", "y", "knots"))
        expected = splines.fit(x, y, knots, case["degree"])
        size = float(expected.abs().max())  # grows with the condition of the matrix
        assert_close(coefs, expected, 1e-12 * max(1, size) ** 2)
        assert ((float64(coefs) == 0) == (expected == 0)).all()


def changed_splines(seed):
    """Pairs: a spline, and the degree, grid size and domain that it shall have."""
    rng = np.random.default_rng(seed)
    for spline in all_splines(seed, (1, 2, 5, 8, 20)):
        for _ in range(2):
            a = rng.uniform(-2, 1) if rng.integers(2) else spline.domain[0]
            b = a + rng.uniform(0.5, 3) if rng.integers(2) else max(a + 0.5, spline.domain[1])
            k, n = int(rng.integers(0, MAX_DEGREE + 1)), int(rng.integers(1, MAX_GRID_SIZE + 1))
            domain = (round(float(a), 3), round(float(b), 3))
            yield spline, spline._replace(degree=k, grid_size=n, domain=domain)


def test_script_moves_knots_as_python(page):
    pairs = list(changed_splines(2))
    cases = [[as_case(shape), as_case(new)] for shape, new in pairs]
    found = compute(page, "([shape, changes]) => js.moveKnots(shape, changes)", cases)
    for (shape, new), knots in zip(pairs, found, strict=True):
        assert_close(knots, playground._move_knots(shape, new))
        assert knots == sorted(knots)


def test_script_refits_as_python(page):
    pairs = list(changed_splines(3))
    pairs = [(s, new._replace(knots=playground._move_knots(s, new))) for s, new in pairs]
    cases = [[as_case(shape), new.knots, new.degree] for shape, new in pairs]
    found = compute(page, "([shape, t, k]) => js.refit(shape, t, k)", cases)
    errors = []
    for (shape, new), coefs in zip(pairs, found, strict=True):
        expected = float64(playground._refit(shape, new.knots, new.degree))
        x, knots = torch.linspace(*new.domain, 99, dtype=torch.float64), float64(new.knots)
        curve = splines.evaluate(x, expected, knots, new.degree)
        errors.append(abs(splines.evaluate(x, float64(coefs), knots, new.degree) - curve).max())
        size = max(1, float(expected.abs().max()))  # huge where a function barely reaches in
        assert_close(coefs, expected, 1e-6 * size)
    assert np.quantile(errors, 0.9) < 1e-13 and max(errors) < 1e-8


def test_page_refuses_knots_of_another_grid(page):
    """As a link of one trait to another could set them."""
    knots = page.evaluate(
        """start => {
          const model = new Model(start);
          js.default().initialize({ model });
          model.set("knots", [0, 1]);
          return model.get("knots");
        }""",
        as_case(state(SplinePlayground())),
    )
    assert knots == SplinePlayground().knots


def test_page_and_python_follow_alike(page):
    """Any sequence of changes gives the same five traits in a page without a kernel."""
    rng = np.random.default_rng(4)
    starts, sequences, expected = [], [], []
    for kind in KINDS * 8:
        p = widget(random_spline(rng, kind))
        starts.append(as_case(state(p)))
        sequences.append([])
        expected.append([])
        for name in rng.choice(["degree", "grid_size", "domain", "knots", "coefs"], 12):
            other = random_spline(rng, "uneven", p.degree, p.grid_size)
            value = {
                "degree": int(rng.integers(0, MAX_DEGREE + 1)),
                "grid_size": int(rng.integers(1, MAX_GRID_SIZE + 1)),
                "domain": list(other.domain),
                "knots": other.knots,
                "coefs": other.coefs,
            }[name]
            setattr(p, name, value)
            sequences[-1].append({name: value})
            expected[-1].append(state(p))
    found = compute(
        page,
        """([start, changes]) => {
          const model = new Model(start);
          js.default().initialize({ model });
          return changes.map(change => {
            model.set(change);
            return { ...model.state };
          });
        }""",
        [[start, changes] for start, changes in zip(starts, sequences, strict=True)],
    )
    for states, traits in zip(found, expected, strict=True):
        for actual, spline in zip(states, traits, strict=True):
            assert (actual["degree"], actual["grid_size"]) == (spline.degree, spline.grid_size)
            assert_close(actual["domain"], spline.domain)
            assert_close(actual["knots"], spline.knots, 1e-11)
            size = max(1, *map(abs, spline.coefs))
            assert_close(actual["coefs"], spline.coefs, 1e-7 * size)
