"""The arithmetic of the playground equals kanbook's, in Node."""

import re

import numpy as np
import torch
from helpers import assert_close, float64
from lab_node import run
from random_splines import KINDS, random_spline

from kanbook import SplinePlayground, splines
from kanbook.lab import playground
from kanbook.lab.playground import MAX_DEGREE, Spline
from notebook_files import ROOT

DEGREES = range(MAX_DEGREE + 1)


def as_case(spline, **more):
    return spline._asdict() | {"domain": list(spline.domain)} | more


def all_splines(seed, sizes=(1, 2, 3, 8, 20)):
    """Of every degree, of several sizes, with knots of every kind."""
    rng = np.random.default_rng(seed)
    return [random_spline(rng, kind, k, n) for k in DEGREES for n in sizes for kind in KINDS]


def test_evaluates():
    """Inside and outside the knots, on them, and at the ends of the domain."""
    rng = np.random.default_rng(0)
    cases = []
    for s in all_splines(0):
        inside = rng.uniform(*s.domain, 30).tolist()
        around = rng.uniform(s.knots[0] - 1, s.knots[-1] + 1, 20).tolist()
        cases.append(as_case(s, x=[*inside, *around, *s.knots]))
    found = run(
        """({ x, coefs: c, knots: t, degree: k }) =>
          x.map(x => [basis(x, t, k), evaluate(x, c, t, k), interval(x, t, k)])""",
        cases,
    )
    for case, results in zip(cases, found, strict=True):
        b, y, j = zip(*results, strict=True)
        x, knots, k = float64(case["x"]), float64(case["knots"]), case["degree"]
        expected = splines.basis(x, knots, k)
        assert_close(b, expected)
        assert_close(y, splines.evaluate(x, float64(case["coefs"]), knots, k))
        first = torch.tensor(j).unsqueeze(-1) - k  # no function is alive but these k + 1
        i = torch.arange(expected.shape[-1])
        assert (expected[(i < first) | (i > first + k)] == 0).all()
        between = ((knots[0] <= x) & (x < knots[-1])) | (x == case["domain"][1])
        assert ((torch.tensor(j) >= 0) == between).all()


def test_solves_least_squares():
    """Also with fewer points than coefficients, and with functions that no point touches."""
    rng = np.random.default_rng(1)
    cases = []
    for spline in all_splines(1):
        a, b = spline.domain
        for x in (rng.uniform(a, b, 60), rng.uniform(a, (a + b) / 2, 40), rng.uniform(a, b, 4)):
            y = rng.normal(size=len(x)).tolist()
            cases.append(as_case(spline, x=x.tolist(), y=y))
    found = run(
        """({ x, y, knots, degree }) => {
          const rows = x.map(x => basis(x, knots, degree));
          const noise = Math.max(rows.length, rows[0].length) * Number.EPSILON;
          return leastSquares(columnsOf(rows), [y], noise)[0];
        }""",
        cases,
    )
    for case, coefs in zip(cases, found, strict=True):
        x, y, knots = (float64(case[name]) for name in ("x", "y", "knots"))
        expected = splines.fit(x, y, knots, case["degree"])
        size = float(expected.abs().max())  # grows with the condition of the matrix
        assert_close(coefs, expected, 1e-12 * max(1, size) ** 2)
        assert ((float64(coefs) == 0) == (expected == 0)).all()


def test_moves_knots_and_refits():
    rng = np.random.default_rng(2)
    pairs, errors = [], []
    for shape in [*all_splines(2), *all_splines(3)]:
        a = rng.uniform(-2, 1) if rng.integers(2) else shape.domain[0]
        b = a + rng.uniform(0.5, 3) if rng.integers(2) else max(a + 0.5, shape.domain[1])
        domain = (round(float(a), 3), round(float(b), 3))
        other = random_spline(rng)
        pairs.append((shape, other._replace(domain=domain)))
    cases = [[as_case(shape), as_case(new)] for shape, new in pairs]
    moved = run("([shape, changes]) => moveKnots(shape, changes)", cases)
    expected = [playground._move_knots(shape, new) for shape, new in pairs]
    cases = [[as_case(s), t, new.degree] for (s, new), t in zip(pairs, expected, strict=True)]
    refits = run("([shape, t, k]) => refitted(shape, t, k)", cases)
    for (shape, new), knots, t, coefs in zip(pairs, moved, expected, refits, strict=True):
        assert_close(knots, t)
        assert knots == sorted(knots)
        c, t = float64(playground._refit(shape, t, new.degree)), float64(t)
        x = torch.linspace(*new.domain, 99, dtype=torch.float64)
        gap = splines.evaluate(x, float64(coefs) - c, t, new.degree)
        errors.append(gap.abs().max())
        size = max(1, float(c.abs().max()))  # huge where a function barely reaches in
        assert_close(coefs, c, 1e-6 * size)
    assert np.quantile(errors, 0.9) < 1e-13 and max(errors) < 1e-8


def test_page_and_python_follow_alike():
    """Any sequence of changes gives the same five traits in a page without a kernel."""
    rng = np.random.default_rng(4)
    cases, expected = [], []
    for kind in KINDS * 8:
        start = random_spline(rng, kind)
        p = SplinePlayground(start.degree, knots=start.knots, coefs=start.coefs)
        cases.append([as_case(start), []])
        for name in rng.choice(Spline._fields, 12):
            other = random_spline(rng)
            if name in ("knots", "coefs"):
                other = random_spline(rng, "uneven", p.degree, p.grid_size)
            setattr(p, name, getattr(other, name))
            cases[-1][1].append({name: as_case(other)[name]})
            expected.append(Spline(*(getattr(p, name) for name in Spline._fields)))
    # Last, what only a link of one trait to another could set: knots of another grid.
    cases.append([as_case(start), [{"knots": [0, 1]}]])
    expected.append(start)
    host = (ROOT / "book" / "_static" / "afm-host.js").read_text(encoding="utf-8")
    (class_model,) = re.findall(r"^class Model .*?^}", host, re.MULTILINE | re.DOTALL)
    found = run(
        f"const Model = {class_model};"
        """([start, changes]) => {
          const model = new Model(start);
          new Curve(model);
          return changes.map(change => {
            model.set(change);
            return { ...model.state };
          });
        }""",
        cases,
    )
    for actual, spline in zip(sum(found, []), expected, strict=True):
        assert (actual["degree"], actual["grid_size"]) == (spline.degree, spline.grid_size)
        assert_close(actual["domain"], spline.domain)
        assert_close(actual["knots"], spline.knots, 1e-11)
        size = max(1, *map(abs, spline.coefs))
        assert_close(actual["coefs"], spline.coefs, 1e-7 * size)
