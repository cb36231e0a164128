"""Every public function and class, called with sensible arguments of which one or two are spoiled.

What may come of it is an error that names a spoiled argument, or the right answer: no NaN where all
arguments are finite, and NaN where one has it; the same as for plain float64 copies of them; for
each sample the same as for that sample alone. Nothing else may change.
"""

import copy
import importlib
import inspect
import math
import pkgutil
import random
import re
import warnings
from contextlib import suppress
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import generator
from torch import Tensor, nn
from traitlets import TraitError

import kanbook

MODULES = [info.name for info in pkgutil.walk_packages(kanbook.__path__, "kanbook.")]
MODULES = [kanbook, *map(importlib.import_module, MODULES)]

# --- what to call --------------------------------------------------------------------------------

CALLS = """
splines.uniform_knots(size, k, (-1.0, 1.0)); splines.differentiate(cubic, line[0].knots, 3);
splines.basis(x, knots, k); splines.basis(x[:, 0], knots[0], k);
splines.evaluate(x, coef, knots, k); splines.evaluate(x, coef, knots[0], k);
splines.evaluate(x[:, 0], coef[0, 0], knots[0], k); splines.fit(x, curves, knots, k, 0.1);
splines.fit(x[:, 0], curves[:, 0, 0], knots[0], k); splines.refine(coef, knots, new_knots, k);
kanbook.KANLayer(I, O, **options, generator=3); kanbook.TanhLayer(I, O, bias=True, generator=3);
kanbook.KAN(widths, **options, generator=3);
kanbook.TanhKAN(widths, generator=3); kanbook.MLP(widths, generator=3);
kanbook.Mixture([I, *widths], kinds, kan={"grid_size": 3}, tanh={"bias": True}, generator=3);
spline_mlp.SplineMLP(widths, generator=3); spline_mlp.SplineActivation(I, grid_size=size, degree=k);
kan.forward(x); tanh.forward(x); mixed.forward(x); rival.forward(x); mlp.forward(x);
kan[0].edges(x); parabolas.edges(x);
counting.count_parameters(model); counting.count_operations(model);
grids.update_grid(kan, x, grid_eps=0.3); grids.extend_grid(kan, x, 2 * size);
derivatives.along(analytic, x, direction, order);
training.fit(model, x, y, steps=3, restart_at=[2], batch_size=7, generator=3, **stops);
training.fit(kan, x, y, optimizer="lm", steps=2, update_grid_at=[1]);
export.to_dict(model); export.from_dict(export.to_dict(model)); export.to_c(model);
export.to_javascript(model); functions.candidates(x[:, 0], y[:, 0]);
lookup.to_tables(kan, x, entries=8, bits=6); functions.FormulaLayer(kan[0]);
pruning.edges(kan, x); pruning.fade(x, 0.1); pruning.prune(kan, x);
formulas.snap(line, x[:, :1], torch.sin(3 * x[:, :1]));
importances.importance(kan, x, y, repeats=1);
racing.race(x, y, contestants=["linear"], cv=2, parameters=30, progress=False);
racing.race(frame, "c", kind="regression", contestants="linear", cv=2, progress=False);
plots.plot_basis(knots[0], k, coef=coef[0, 0]); plots.draw_kan(kan, x); plots.draw_mlp(mlp);
tasks.function_1d(curve); tasks.formula(formula, generator=3); tasks.image(9); tasks.psnr(0.3);
tasks.positional_encoding(x, 3); tasks.zigzag(x); tasks.sine(x); tasks.step(x); tasks.chirp(x);
playground_now.values(x); kanbook.SplinePlayground(**traits); kanbook.KANLab(**settings)
"""
CALLS = [line.strip() for line in CALLS.split(";")]
NOT_CALLED = {
    "records that functions return": "Check Formula Function History Operations Race Snap "
    "TableLayer Tables",
    "estimators, which scikit-learn's own checks try, or laws that they must find": "KANClassifier "
    "KANRegressor MLPClassifier MLPRegressor PyKANRegressor additive boosted_trees "
    "gaussian_process linear polynomial",
    "of a table that a function returns": "plot_importance",
    "to_dict and from_dict, with a file between": "save load",
    "parts of fit": "LBFGS LevenbergMarquardt",
    "parts of layers, which check arguments": "apply_splines cox_de_boor sum_splines",
    "takes too long; calls fit, prune and snap": "discover",
    "without arguments, or of lines with labels only": "use_style label_lines",
    "their settings are traits": "Bits Death Desk Knots Nudge Rates Waves",
    "rules on numbers, which NaN passes through": "verdict holm",
}
# They change their argument "model".
IN_PLACE = {"grids.update_grid", "grids.extend_grid", "training.fit"}
# They have a value for each sample in x, along this dimension of the result.
BY_SAMPLE = {"splines.basis", "splines.evaluate", "kan[0].edges", "parabolas.edges"}
BY_SAMPLE |= {"tasks.zigzag", "tasks.sine", "tasks.step", "tasks.chirp", "playground_now.values"}
BY_SAMPLE |= {"kan.forward", "tanh.forward", "mixed.forward", "rival.forward", "mlp.forward"}
BY_SAMPLE = dict.fromkeys([*BY_SAMPLE, "tasks.positional_encoding"], 0) | {"derivatives.along": -2}
WORK = {"steps", "seeds", "attempts", "order"}  # as much is done as is asked for
# Of an argument so many ways are tried, where a call takes long.
FEW = {"formulas.snap": 2, "racing.race": 2, "training.fit": 4}
FEW |= {"plots.draw_kan": 6, "plots.draw_mlp": 6, "plots.plot_basis": 6}


@cache
def sensible(seed):
    """Arguments, float64."""
    rng = random.Random(seed)
    I, O, k, size, N = (rng.randint(*ends) for ends in ((1, 3), (1, 3), (0, 4), (1, 5), (25, 30)))
    where = {"dtype": torch.float64, "generator": generator(seed)}
    x, y = 2 * torch.rand(N, I, **where) - 1, torch.randn(N, O, **where)
    coef, curves = torch.randn(I, O, size + k, **where), torch.randn(N, I, O, **where)
    even = [kanbook.splines.uniform_knots(n, k, dtype=x.dtype) for n in (size, 2 * size)]
    knots, new_knots = even[0].repeat(I, 1), even[1].repeat(I, 1)
    knots += 0.1 / size * torch.rand(knots.shape, **where)
    widths, kinds = [I, rng.randint(1, 3), O], rng.sample(["kan", "tanh", "linear"], 3)
    options = {"grid_size": size, "degree": k, "base": rng.choice([None, nn.functional.silu])}
    options |= {"bias": rng.random() < 0.5, "spline_weight": rng.random() < 0.5}
    kan, line = kanbook.KAN(widths, **options, **where), kanbook.KAN([1, 1], **where)
    cubic, mlp = line[0].coef.detach(), kanbook.MLP(widths, **where)
    tanh = kanbook.TanhKAN(widths, True, **where)
    rival = kanbook.spline_mlp.SplineMLP(widths, **where)
    mixed = kanbook.Mixture([I, *widths], kinds, **where)
    model, analytic = rng.choice([kan, mlp, tanh, mixed]), rng.choice([kan, mlp])
    parabolas = kanbook.TanhLayer(I, O, tanh=rng.choice(["edge", "sum", None]), **where)
    direction, order = rng.choice([0, x[0]]), rng.randint(1, 3)
    stops = {"validation": (x[:5], y[:5]), "patience": 3, "lr": 0.01}
    stops["optimizer"] = rng.choice(["adam", "sgd", "lbfgs"])
    words = (["u", "v", "w"] * N)[:N]
    frame = pd.DataFrame({"a": x[:, 0].numpy(), "b": words, "c": y[:, 0].numpy()})
    curve = rng.choice([*kanbook.tasks.FUNCTIONS_1D])
    formula = rng.choice([*kanbook.tasks.FORMULAS])
    playground_now = kanbook.SplinePlayground(k, size)
    traits = {"degree": 1, "grid_size": 3, "domain": (0.0, 1.0), "target": "sine"}
    traits |= {"knots": [-0.3, 0.0, 0.4, 0.6, 1.0, 1.3], "coefs": [0.1, 0.2, 0.3, 0.4]}
    settings = {"task": "product", "widths": (2, 3, 1), "grid_size": 3, "domain": (-2.0, 2.0)}
    settings |= {"degree": 2, "optimizer": "lm", "lr": 0.1, "seed": 3, "speed": 3, "size": "small"}
    settings |= {"script": [(3, "extend")], "points": [(0.0, 1.0), (1.0, 3.0)]}
    return locals()


def call(line, seed):
    """The function of a call, its arguments by name, and those that it cannot do without."""
    names = {module.__name__.split(".")[-1]: module for module in MODULES} | sensible(seed)
    names |= {"torch": torch, "note": lambda function, *given, **more: (function, given, more)}
    function, given, more = eval(f"note({line.replace('(', ', ', 1)}", names)
    signature = inspect.signature(function)
    given = signature.bind(*given, **more).arguments
    given |= given.pop("settings", {})
    defaults = {name: p.default for name, p in signature.parameters.items()}
    optional = {name: p for name, p in defaults.items() if p is not inspect.Parameter.empty}
    return function, optional | given, given.keys() - optional.keys()


# --- how to spoil an argument x ------------------------------------------------------------------

NONSENSE = "'no such'; object()"
WAYS = {
    Tensor: """
    x.tolist(); x.numpy(); x.half(); x.bfloat16(); x.float(); x.long(); x.bool(); x[0]; x[:0];
    x[:1]; x[:2]; x[None]; x[..., None]; x[..., :0]; x[..., :-1]; x.flatten(); x.flatten()[0];
    x.mT; torch.cat([x, x[..., :1]], -1); x.repeat_interleave(2, 0); x[:1].expand_as(x);
    torch.cat([0 * x[..., :1], x[..., 1:]], -1); x.sort(0).values; x.flip(0); -x; 0 * x; 1e6 * x;
    1e-30 * x; 1e30 * x; x + 1e8; x.repeat_interleave(2, -1)[..., ::2]; spot(x, nan);
    spot(x, inf); spot(x, -inf); spot(x, 1e30); x.clone().requires_grad_()""",
    nn.Module: """
    copy(x).requires_grad_(False); copy(x).eval(); copy(x).half(); copy(x).float(); nn.ReLU();
    nn.Sequential(copy(x)); nn.Sequential(copy(x), nn.Softmax(-1)); nn.Sequential();
    spot(x, 0); spot(x, nan); spot(x, 1e30)""",
    pd.DataFrame: """
    x[:0]; x[:1]; x[[]]; x.to_numpy(); pd.concat([x, x]); x.reindex([*x.index, -1]);
    x.astype('category'); x.set_axis(range(len(x.columns)), axis=1)""",
    bool: "",  # whatever it is, it is true or false
    int | float: """
    0; -1; 1; 2; -x; 1e-30; 1e30; nan; inf; -inf; True; 10**15; x + 0.5; float(x); np.float32(x);
    np.array(x)[()]; np.array(x); torch.tensor(x); [x]""",
    str: "''; x.upper() + '!'; [x]",
    list | tuple: """
    x[:0]; x[:-1]; [*x, *x[-1:]]; x[::-1]; [*x]; (*x,); [x, x]; [x[0]] * len(x); {*map(str, x)};
    iter(x); np.array(x); torch.tensor(np.array(x)); [*np.array(x)]; last(x, 0); last(x, -1);
    last(x, 2.5); last(x, nan); last(x, inf); last(x, 'no such'); last(x, None); last(x, 1e30);
    last(x, True); last(x, 10**15)""",
    dict: """
    {}; dict([*x.items()][:-1]); last(x, None); last(x, 'no such'); last(x, -1); last(x, []);
    last(x, nan)""",
    object: "''",
}


def spot(x, number):
    """One number of a tensor, or of a model, replaced."""
    x = copy.deepcopy(x)
    values = x.data if isinstance(x, Tensor) else next(x.parameters()).data
    values.view(-1)[values.numel() // 2] = number
    return x


def last(x, value):
    return x | {[*x][-1]: value} if isinstance(x, dict) else type(x)([*x[:-1], value])


def spoiled(name, x, required):
    """Whatever can be made of it: pairs of what is done, and what it becomes."""
    codes = next(codes for kind, codes in WAYS.items() if isinstance(x, kind))
    codes = codes and f"{NONSENSE};{codes}" + "; None" * required
    names = globals() | {"x": x, "nan": math.nan, "inf": math.inf, "copy": copy.deepcopy}
    for code in map(str.strip, codes.split(";")):
        if code and (code != "10**15" or name not in WORK):
            with suppress(RuntimeError, TypeError, ValueError, IndexError):
                yield code, eval(code, names)


def plain(value, sane):
    """The same in float64, contiguous, without gradients; numbers of Python, lists and tuples."""
    if isinstance(sane, Tensor) and isinstance(value, (Tensor, list, np.ndarray)):
        return torch.as_tensor(value).detach().double().contiguous().clone()
    if isinstance(value, nn.Module):
        return copy.deepcopy(value).double()
    if isinstance(value, (np.generic, np.ndarray, Tensor)) and not isinstance(sane, np.ndarray):
        value = value.tolist()
    if isinstance(sane, (list, tuple)) and isinstance(value, (list, tuple)):
        return type(sane)(plain(part, part) for part in value)
    return value


# --- what may come of it -------------------------------------------------------------------------

# What else an argument is called in messages.
ALSO = {"inputs": "x", "coef": "x", "x": "direction", "X": "columns?", "degree": "knots"}
ALSO |= {"model": "layer|x|inputs|weights|coef|knots", "steps": "restart_at|update_grid_at"}
ALSO |= {"y": "target", "like": "model"}
# Errors of Python, NumPy, PyTorch and pandas that say as much: of what is no such object, no array,
# no options, names no device, has not these columns, has no number, or more than memory; of no
# folds, no number of jobs.
AS_GOOD = "has no attribute|not callable|unhashable|evice string|in the .columns|of 0 elements"
AS_GOOD += "|tried to allocate|inhomogeneous|must be a mapping|cannot unpack|int.. argument must be"
SHOWN = {"History": "loss", "Formula": "network", "SplinePlayground": "coefs", "KANLab": "script"}


def leaves(value):
    """All numbers in a value, as arrays, and all texts."""
    value = getattr(value, SHOWN.get(type(value).__name__, ""), value)
    value = value.state_dict() if isinstance(value, nn.Module) else value
    value = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    if isinstance(value, (list, tuple)) and not all(type(part) in (int, float) for part in value):
        return [leaf for part in value for leaf in leaves(part)]
    value = value.detach().double().numpy() if isinstance(value, Tensor) else value
    if isinstance(value, (bool, int, float, str, list, tuple, np.number, np.ndarray)):
        array = np.array(value)
        return [array] if array.dtype.kind in "biufU" else []
    return []


def has(test, value):
    return any(test(leaf).any() for leaf in leaves(value) if leaf.dtype.kind != "U")


def assert_same(one, other, tolerance=0.0):
    one, other = leaves(one), leaves(other)
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        if b.dtype.kind == "U":
            assert np.array_equal(a, b)
        else:
            scale = max(1.0, np.abs(b[np.isfinite(b)]).max(initial=0))
            assert a.shape == b.shape and np.allclose(a, b, 0, tolerance * scale, equal_nan=True)


def world():
    """What no call may change."""
    own = torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    settings = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
    return [*own, random.getstate(), *settings, [*warnings.filters]]


def outcome(label, function, arguments):
    """What a call returns, or the error that it raises; and whether it warned."""
    given = copy.deepcopy(arguments)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)  # of PyTorch
        before = world()
        try:
            result = function(**given)
        except Exception as error:
            result = error
        draws = "generator" in given and given["generator"] is None  # from PyTorch's own
        assert world()[draws:] == before[draws:], "something else has changed"
    plt.close("all")
    wrong = [str(warning) for warning in caught if warning.filename != __file__]
    assert not wrong, f"a warning of an inner line: {wrong}"
    if label in IN_PLACE and not isinstance(result, Exception):
        result = [result, given.pop("model")]
    assert_same(given, {name: arguments[name] for name in given})
    return result, bool(caught)


def check(label, function, sane, changes):
    """Call it with these changes, argument -> (what is done, what it becomes)."""
    arguments = sane | {name: value for name, (_, value) in changes.items()}
    result, warned = outcome(label, function, arguments)
    if isinstance(result, Exception):
        keys = [key for _, value in changes.values() if isinstance(value, dict) for key in value]
        words = "|".join([*changes, *keys, *(ALSO[name] for name in changes if name in ALSO)])
        names_one = re.search(rf"\b({words})\b", str(result))
        if not (names_one and isinstance(result, (TypeError, ValueError, TraitError))):
            assert re.search(AS_GOOD, str(result)), repr(result)
        return
    assert not any(how in NONSENSE.split("; ") for how, _ in changes.values()), "accepted"
    tensors = [value for value in arguments.values() if isinstance(value, Tensor)]
    models = [value for value in arguments.values() if isinstance(value, nn.Module)]
    if not has(np.isnan, arguments) and not has(np.isinf, arguments):
        assert not has(np.isnan, result), "NaN of finite numbers"
    elif has(np.isnan, [arguments.get(name) for name in ("x", "coef")]) and leaves(result):
        assert warned or has(np.isnan, result), "NaN is lost"
    weights = [weight for model in models for weight in model.parameters()]
    dtypes = {tensor.dtype for tensor in tensors + weights if tensor.is_floating_point()}
    tolerance = 1e3 * max((torch.finfo(dtype).eps for dtype in dtypes), default=1e-16)
    copies = {name: plain(value, sane[name]) for name, value in arguments.items()}
    if any(copies[name] is not arguments[name] for name in changes):
        expected, _ = outcome(label, function, copies)
        assert not isinstance(expected, Exception), f"but not as float64: {expected}"
        if label in BY_SAMPLE or tolerance < 1e-9:  # others magnify rounding
            assert_same(result, expected, tolerance if label in BY_SAMPLE else 1e-5)
    x = arguments.get("x")
    if label in BY_SAMPLE and isinstance(x, Tensor) and x.ndim >= max(1, sane["x"].ndim) and len(x):
        i = len(x) // 2
        alone, _ = outcome(label, function, arguments | {"x": x.detach()[i : i + 1]})
        assert_same(alone, result.narrow(BY_SAMPLE[label], i, 1), tolerance)


# --- the tests -----------------------------------------------------------------------------------


def all_changes(label, sane, required, rng):
    """None; each argument spoiled in every way; pairs of these; all tensors in other dtypes."""
    singles, few = [], FEW.get(label, 1000)
    for name in sane:
        ways = [*spoiled(name, sane[name], name in required)]
        singles += [{name: way} for way in rng.sample(ways, min(few, len(ways)))]
    yield from [{}, *singles]
    for _ in range(min(few, 10)):
        one, other = rng.sample([{}, {}, *singles], 2)
        yield one | other
    tensors = {name: v for name, v in sane.items() if isinstance(v, (Tensor, nn.Module))}
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        yield {name: (f"to({dtype})", copy.deepcopy(v).to(dtype)) for name, v in tensors.items()}


@pytest.mark.parametrize("line", CALLS, ids=lambda line: line.partition("(")[0])
def test_spoiled_arguments(line, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    label, rng, settings, failed = line.partition("(")[0], random.Random(line), {**plt.rcParams}, []
    function, sane, required = call(line, rng.randrange(4))
    for changes in all_changes(label, sane, required, rng):
        try:
            check(label, function, sane, changes)
        except Exception as error:
            done = "; ".join(f"{name}: {how}" for name, (how, _) in changes.items())
            failed.append(f"{line} with {done}: {str(error).splitlines()[0]}")
    assert not failed, "\n".join(failed)
    assert {**plt.rcParams} == settings
    assert [*tmp_path.iterdir()] == [] and capsys.readouterr() == ("", "")


def test_no_public_name_is_left_out():
    called = {call(line, 0)[0] for line in CALLS}
    for module in MODULES:
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if callable(value):
                assert (value in called) != (name in " ".join(NOT_CALLED.values()).split()), name
