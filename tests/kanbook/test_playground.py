"""The spline playground seen from Python: its traits, refits and messages, what a notebook stores.

tests/browser is about its script: test_playground_script.py about the arithmetic,
test_playground_page.py about what a reader sees and does.
"""

import contextlib
import copy
import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
import traitlets
from helpers import assert_close, float64
from random_splines import KINDS, random_spline
from scipy.interpolate import BSpline

from kanbook import SplinePlayground, splines, tasks
from kanbook.lab.playground import MAX_DEGREE, MAX_GRID_SIZE, Spline

DEGREES = range(MAX_DEGREE + 1)


def state(p):
    return Spline(*(getattr(p, name) for name in Spline._fields))


def widget(spline):
    return SplinePlayground(spline.degree, knots=spline.knots, coefs=spline.coefs)


def assert_one_spline(p):
    """The five traits belong together."""
    k = p.degree
    assert len(p.knots) == p.grid_size + 2 * k + 1 and len(p.coefs) == p.grid_size + k
    assert p.domain == (p.knots[k], p.knots[-k - 1])
    assert p.knots == sorted(p.knots)


def test_defaults():
    p = SplinePlayground()
    assert (p.degree, p.grid_size, p.domain) == (3, 5, (-1.0, 1.0))
    assert p.knots == splines.uniform_knots(5, 3, dtype=torch.float64).tolist()
    assert len(p.coefs) == 8 and 0.3 < max(map(abs, p.coefs)) < 1
    assert (p.target, p.show_basis, p.show_sum, p.weighted) == ("none", True, False, False)
    assert repr(p) == "SplinePlayground(degree=3, grid_size=5)"


@pytest.mark.parametrize("number", [int, np.float32, Fraction])
def test_arguments_become_traits(number):
    knots, coefs = [*map(number, range(12))], [*map(number, range(8))]
    p, q = SplinePlayground(knots=knots, coefs=coefs, show_sum=True), SplinePlayground()
    q.knots, q.coefs = knots, coefs
    assert state(p) == state(q) == (3, 5, (3, 8), knots, coefs) and p.show_sum
    assert {type(v) for v in (*q.knots, *q.coefs, *q.domain)} == {float}
    assert SplinePlayground(2, 4, domain=[0, 2]).domain == (0.0, 2.0)
    assert SplinePlayground(1, 3, knots=[0, 1, 2.5, 2.5, 4, 5], domain=(1, 4)).grid_size == 3


PAIR = r"expected two (finite )?numbers \(a, b\)"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"domain": (2, -1)}, rf"domain=\(2, -1\); {PAIR}"),
        ({"domain": (0, 1001)}, r"domain=\(0, 1001\); expected numbers from -1000 to 1000"),
        ({"domain": (0, 0.009)}, r"domain=\(0, 0.009\); .* larger by 0.01"),
        ({"knots": "abcdefgh"}, r"knots='abcdefgh'; expected a list of numbers"),
        ({"knots": [0, 1, 2]}, r"knots has shape \(3,\).*8"),
        ({"knots": [0, 1, 2, 3, 4, 5, 7, 6]}, r"knots is not sorted, 7.0 stands before 6.0"),
        ({"knots": [*range(40)]}, r"grid_size=33.*1 to 20"),
        ({"knots": [*range(8)], "grid_size": 2}, r"grid_size=2; expected 1, as in knots"),
        ({"knots": [*range(8)], "domain": (3, 5)}, r"domain=.* expected \(3, 4\), as in knots"),
        ({"coefs": ["a"] * 8}, r"coefs=.*'a'.*expected a list of numbers"),
    ],
    ids=str,
)
def test_bad_argument_is_named(arguments, message):
    with pytest.raises(traitlets.TraitError, match=message):
        SplinePlayground(**arguments)


def set_traits(p, values):
    """As a program does: one alone, several together."""
    with p.hold_trait_notifications() if len(values) > 1 else contextlib.nullcontext():
        for name, value in values.items():
            setattr(p, name, value)


@pytest.mark.parametrize("sender", [set_traits, SplinePlayground.set_state])
@pytest.mark.parametrize(
    "values, message",
    [
        ({"degree": -1}, r"degree=-1.*0 to 5"),
        ({"grid_size": 21}, r"grid_size=21.*1 to 20"),
        ({"grid_size": "5"}, r"'grid_size'.*int.*'5'"),
        ({"domain": (0, math.nan)}, rf"domain=\(0.0, nan\); {PAIR}"),
        ({"knots": [0.0] * 12}, r"knots.*0\.0: the domain between them is empty"),
        ({"knots": [*range(10), 11, 10]}, r"knots is not sorted, 11.0 stands before 10.0"),
        ({"knots": [*range(0, 12000, 1000)]}, r"domain=\(3000.0, 8000.0\); expected numbers from"),
        ({"coefs": [0.0] * 9}, r"coefs has 9 values; expected grid_size \+ degree = 8"),
        ({"coefs": [math.inf] * 8}, r"coefs is inf at index \[0\].*finite"),
        ({"target": "cosine"}, r"'target'.*'zigzag', 'sine', 'step', 'noise'.*'cosine'"),
        # Two at once, of which one is bad, or which do not belong together.
        ({"target": "sine", "coefs": [0.0] * 9}, r"coefs has 9 values"),
        ({"degree": 2, "knots": [*range(12)]}, r"knots has 12 values; expected .* = 10"),
    ],
    ids=str,
)
def test_bad_value_changes_nothing(values, message, sender):
    p = SplinePlayground(target="zigzag")
    p.coefs = [0.5] * 8
    before = copy.deepcopy(p.get_state())
    heard = []
    p.observe(heard.append, [*Spline._fields, "target"])
    with pytest.raises(traitlets.TraitError, match=message):
        sender(p, values)
    assert p.get_state() == before and not heard
    p.grid_size = 6  # and it works on
    assert_one_spline(p)


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


@pytest.mark.parametrize("degree", DEGREES)
def test_more_knots_between_the_old_ones_keep_the_curve(degree):
    for grid_size, more in ((5, 10), (1, 20), (4, 12)):
        p = SplinePlayground(degree, grid_size)
        x = torch.linspace(-0.999, 0.999, 301, dtype=torch.float64)  # off the knots: degree 0 jumps
        before = p.values(x)
        p.grid_size = more
        assert_close(p.values(x), before)


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
    # Knots on the ends of the domain stay there, to the last digit.
    rng = np.random.default_rng(0)
    for _ in range(100):
        a, b = round(rng.uniform(-3, 0), 3), round(rng.uniform(0.1, 3), 3)
        p = SplinePlayground(2, knots=[-2, -2, -1, -1, 0.5, 1, 1, 1.5, 1.5])
        p.domain = (a, b)
        assert_one_spline(p)
        assert p.knots[2:4] == [a, a] and p.knots[5:7] == [b, b]


@pytest.mark.parametrize("kind", KINDS)
def test_knots_and_coefs_keep_the_rest(kind):
    rng = np.random.default_rng(3)
    for i in range(20):
        p = widget(random_spline(rng, kind))
        p.degree = i % (MAX_DEGREE + 1)
        for name in ("coefs", "knots", "coefs"):
            before = state(p)
            values = getattr(random_spline(rng, "uneven", p.degree, p.grid_size), name)
            setattr(p, name, values)
            ends = (p.knots[p.degree], p.knots[-p.degree - 1])
            assert state(p) == before._replace(**{"domain": ends, name: values})


def test_knots_of_a_flat_curve_are_shaped_by_hand_too():
    p = SplinePlayground(coefs=[0.5] * 8)  # which looks the same on all knots
    p.knots = moved = [*p.knots[:5], 0.0, *p.knots[6:]]
    p.coefs = [0.6, *p.coefs[1:]]
    assert p.knots == moved


def wire(p):
    """The messages that the widget sends, as they come; without echoes."""
    sent = []
    p.comm.publish_msg = lambda msg_type, data=None, **rest: (
        data["method"] == "echo_update" or sent.append(data)
    )
    return sent


def receive(p, values):
    """A message from the front end."""
    data = {"method": "update", "state": json.loads(json.dumps(values)), "buffer_paths": []}
    p.comm.handle_msg({"content": {"data": data}, "buffers": []})


@pytest.mark.parametrize(
    "values", [{"grid_size": 7}, {"domain": (0.0, 1.0)}, {"degree": 2, "grid_size": 7}], ids=str
)
def test_what_changes_together_travels_together(values):
    """No page ever sees knots without the degree that they belong to."""
    p = SplinePlayground()
    before, sent = state(p), wire(p)
    p.coefs = p.coefs  # nothing new
    p.target = "sine"  # which travels alone
    assert [data["state"] for data in sent] == [{"target": "sine"}]
    sent.clear()
    set_traits(p, values)
    changed = {name for name in Spline._fields if getattr(p, name) != getattr(before, name)}
    assert changed >= values.keys() and changed <= sent[0]["state"].keys()
    assert len(values) > 1 or len(sent) == 1
    assert all(value == getattr(p, name) for data in sent for name, value in data["state"].items())


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
    sent.clear()
    receive(p, {"grid_size": 9})  # the rest is left to Python
    assert_one_spline(p)
    assert len(sent) == 1 and sent[0]["state"].keys() >= {"knots", "coefs"}


def test_observers_see_one_spline():
    p, heard = SplinePlayground(), []
    p.observe(lambda change: (heard.append(change.name), assert_one_spline(p)), Spline._fields)
    p.degree = 2
    assert sorted(heard) == ["coefs", "degree", "knots"]
    p.domain = (0, 1)
    p.knots = [t + 0.5 for t in p.knots]
    set_traits(p, {"degree": 4, "grid_size": 3, "domain": (0.0, 1.0)})
    assert (p.degree, p.grid_size, p.domain) == (4, 3, (0.0, 1.0))
    assert set(heard) == set(Spline._fields)
    new = random_spline(np.random.default_rng(1), "uneven", 2, 9)
    set_traits(p, {"degree": 2, "grid_size": 9, "knots": new.knots, "coefs": new.coefs})
    assert state(p) == new


def test_values():
    p = SplinePlayground(2, 4, domain=(0, 2))
    assert_close(p.values(), BSpline(p.knots, p.coefs, 2)(np.linspace(0, 2, 201)))
    points = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    assert p.values(points).shape == (3, 4) and p.values(points).dtype == torch.float64
    assert_close(p.values(points), BSpline(p.knots, p.coefs, 2)(points.double()))
    with pytest.raises(TypeError, match="^x "):
        p.values([0.0, 1.0])


def test_samples():
    before = torch.get_rng_state()
    p = SplinePlayground()
    with pytest.raises(ValueError, match="target='none'; expected one of zigzag, sine, step"):
        p.samples()
    for p.target in ("zigzag", "sine", "step"):
        x, y = p.samples()
        assert x.shape == y.shape == (101,) and x.dtype == y.dtype == torch.float64
        off_the_jump = (x - 0.1).abs() > 1e-9
        assert_close(y[off_the_jump], tasks.FUNCTIONS_1D[p.target](x)[off_the_jump], 1e-6)
    p.target = "noise"
    assert 0.2 < (p.samples()[1] - tasks.sine(x)).std() < 0.3
    assert torch.equal(p.samples()[1], SplinePlayground(target="noise").samples()[1])
    assert torch.equal(torch.get_rng_state(), before)
    p.domain = (3.0, 5.0)
    assert [len(v) for v in p.samples()] == [0, 0]
    for i in range(0, 100, 2):  # a domain that starts at a sample has that sample
        p.domain = (i / 100, 2.0)
        assert p.samples()[0].tolist() == [j / 100 for j in range(i, 101, 2)]


def test_picture_shows_the_curve():
    p = SplinePlayground(2, 4, target="zigzag")
    before = p.picture()
    p.coefs = [0.0] * 6
    assert p.picture() != before
