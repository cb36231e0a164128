"""Speed, memory, exactness and time to a given error, against other packages in the same run.

``make bench`` installs the other packages (pyproject.toml's group ``bench``) and runs this script;
``make bench ARGS="--quick"`` takes a minute or two. Two packages are on no index; their checkouts,
``efficient-kan`` (github.com/Blealtan/efficient-kan) and ``fast-kan``
(github.com/ZiyaoLi/fast-kan), are in ``--peers FOLDER``. With ``--save FILE`` the numbers go to a
file that :func:`evidence.reading.load_benchmark` loads; what the columns mean stands there. How it
is measured:

- A call is a forward and a backward pass, with gradients of the parameters and of the inputs.
- Each setting has a process of its own. In it the contestants take turns: every round times each
  of them once, in random order, after a call that is not timed. A ratio is formed within a round;
  reported are medians over the rounds, and the quartiles of the ratios.
- Part "alone" measures some of them once more, each alone in its process (:mod:`.alone`), since in
  one process kanbook's import, and the tensors of others, keep the memory that a step frees.
- Packages that call ``torch.compile`` do so, from an empty cache; their first call is listed. So is
  that of the contestants "..., compiled": the same layers, but the whole layer compiled.
- Before any clock starts, the same coefficients are copied into every package that computes the
  same function, and the outputs are compared with the plain formula's in float64: at the inputs
  that are timed, and where rounding hurts most.
- Threads that wait do so asleep (OMP_WAIT_POLICY): on shared cores, those that spin hold up others.
"""

import argparse
import contextlib
import ctypes
import datetime
import importlib.metadata
import itertools
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from copy import deepcopy
from functools import partial
from pathlib import Path

import pandas
import torch
from torch import nn

import kanbook
from evidence import engine
from evidence.benchmark import alone, tanh_readings
from evidence.benchmark.hellokan import hellokan
from kanbook import KAN, MLP, count_parameters, derivatives, splines

SETTING = ("batch", "inputs", "outputs", "grid_size", "degree", "dtype")
SETTINGS = [
    *((1024, 64, outputs, 5, 3, "float32") for outputs in (16, 64, 256)),
    (4096, 20, 9, 5, 3, "float32"),
    (256, 784, 64, 5, 3, "float32"),
    *((1024, 64, 64, grid_size, 3, "float32") for grid_size in (20, 50, 200)),
    (1000, 2, 5, 10, 3, "float64"),
]
THREADED = [SETTINGS[1], SETTINGS[3], SETTINGS[6]]  # on more than one thread, too
ALONE = [(*SETTINGS[place], 1) for place in (1, 3, 4, 6, 8)]
ALONE += [(*setting, 2) for setting in THREADED]
LARGE = [(65536, 64, 64, 5, 3, "float32")]  # for memory
SIZES = [(2, 5, 1), (64, 64, 10)]  # of the networks whose single predictions are timed
ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
UPDATE_EVERY = 5  # steps; PyKAN's default
LONGEST_CALL = 10.0  # seconds; slower contestants are left out
TARGET = 1e-3  # test error (RMSE) to be reached on exp(sin(pi x) + y^2) by a network [2, 5, 1]


# --- contestants: a function of a kanbook layer, whose numbers are copied ------------------------


def minimal(layer, uneven=False):
    i, o, _ = layer.coef.shape
    options = {"degree": layer.degree, "dtype": layer.coef.dtype}
    copy = kanbook.KANLayer(i, o, grid_size=layer.grid_size, **options)
    copy.coef.data.copy_(layer.coef)
    if uneven:  # every knot moved by up to a quarter of a step
        shift = torch.rand(copy.knots.shape, generator=torch.Generator().manual_seed(1)) - 0.5
        copy.knots += shift / layer.grid_size
    return copy, copy


def inkan(layer):
    from inkan import KANLayer

    i, o, n = layer.coef.shape
    copy = KANLayer(i, o, grid_size=layer.grid_size).to(layer.coef.dtype)
    splines = layer.coef.transpose(0, 1).reshape(o, i * n)
    copy.weight.data.copy_(torch.cat([splines, layer.base_weight.T], 1))
    return copy, copy


def flashkan(layer):
    from flashkan import KANLayer

    i, o, _ = layer.coef.shape
    copy = KANLayer(i, o, grid_size=layer.grid_size).to(layer.coef.dtype)
    copy.spline_weight.data.copy_(layer.coef.transpose(0, 1))
    copy.base_weight.data.copy_(layer.base_weight.T)
    return copy, copy


def pykan(layer, whole=True, **options):
    from kan import KAN
    from kan.KANLayer import KANLayer

    i, o, _ = layer.coef.shape
    if whole:
        copy = KAN([i, o], grid=layer.grid_size, k=layer.degree, auto_save=False, **options)
        inner, function = copy.act_fun[0], copy
    else:
        copy = inner = KANLayer(i, o, num=layer.grid_size, k=layer.degree)
        function = lambda x: copy(x)[0]  # noqa: E731
    nn.Module.to(copy, layer.coef.dtype)  # its own .to() takes devices only
    inner.grid.data = layer.knots.clone()
    inner.coef.data = layer.coef.detach().clone()
    inner.scale_base.data = layer.base_weight.detach().clone()
    inner.scale_sp.data.fill_(1)
    return copy, function


def efficient_kan(layer):
    from efficient_kan import KANLinear

    i, o, _ = layer.coef.shape
    copy = KANLinear(i, o, layer.grid_size, layer.degree).to(layer.coef.dtype)
    copy.grid.copy_(layer.knots)
    copy.spline_weight.data.copy_(layer.coef.transpose(0, 1))
    copy.spline_scaler.data.fill_(1)
    copy.base_weight.data.copy_(layer.base_weight.T)
    return copy, copy


def fast_kan(layer):  # another function: nothing to copy but the sizes
    from fastkan import FastKANLayer

    i, o, n = layer.coef.shape
    copy = FastKANLayer(i, o, num_grids=n).to(layer.coef.dtype)
    return copy, copy


def linear(layer, wide=False):
    i, o, n = layer.coef.shape
    copy = nn.Linear(i * n if wide else i, o, dtype=layer.coef.dtype)
    return copy, (lambda x: copy(x.repeat(1, n))) if wide else copy


def compiled(make, layer):
    module, function = make(layer)
    return module, torch.compile(function)


SPLINES, UNEVEN, SILU = "splines", "splines on uneven knots", "splines + silu"
GAUSSIANS, PRODUCT = "Gaussians of normalized inputs + silu", "a matrix product"
# name: (how to make it, what it computes, the contestant whose time is divided by its own)
CONTESTANTS = {
    "kanbook": (minimal, SPLINES, None),
    "kanbook, uneven knots": (partial(minimal, uneven=True), UNEVEN, "kanbook"),
    "kanbook, silu": (lambda layer: (deepcopy(layer),) * 2, SILU, "kanbook"),
    "inkan": (inkan, SILU, "kanbook, silu"),
    "flashkan": (flashkan, SILU, "kanbook, silu"),
    "efficient-kan": (efficient_kan, SILU, "kanbook, silu"),
    "fast-kan": (fast_kan, GAUSSIANS, "kanbook, silu"),
    "pykan KANLayer": (partial(pykan, whole=False), SILU, "kanbook, silu"),
    "pykan, symbolic off": (partial(pykan, symbolic_enabled=False), SILU, "kanbook, silu"),
    "pykan": (pykan, SILU, "kanbook, silu"),
    "nn.Linear": (linear, PRODUCT, "kanbook"),
    "floor": (partial(linear, wide=True), PRODUCT, "kanbook"),
}
for name in (*[*CONTESTANTS][:3], "inkan", "flashkan", "efficient-kan"):
    make, computes, _ = CONTESTANTS[name]
    against = "kanbook" if "kanbook" in name else "kanbook, silu, compiled"
    CONTESTANTS[f"{name}, compiled"] = (partial(compiled, make), computes, against)
COMPILE = [name for name in CONTESTANTS if "compiled" in name or name in ("inkan", "flashkan")]
LAYERS = [name for name in CONTESTANTS if name not in ("pykan", "pykan, symbolic off")]
CHECKOUTS = {"efficient-kan": "src/efficient_kan", "fast-kan": "fastkan"}  # their packages in them


def silu_layer(inputs, outputs, grid_size, degree, dtype):
    options = {"grid_size": grid_size, "degree": degree, "dtype": getattr(torch, dtype)}
    layer = kanbook.KANLayer(inputs, outputs, base=nn.functional.silu, **options)
    generator = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=inputs**-0.5, generator=generator)
    return layer


def tried(layer, computes, x):
    """What a contestant is asked for: names, inputs (N, I), true outputs (N, O) in float64."""
    knots, k = minimal(layer, computes == UNEVEN)[0].knots.double(), layer.degree
    if computes != UNEVEN:
        knots = splines.uniform_knots(layer.grid_size, k, dtype=torch.float64).expand_as(knots)
    ends = knots[:, [k, -k - 1]].T.to(x.dtype)  # of the domain
    out = torch.tensor([[-1.0], [1.0]], dtype=x.dtype).expand_as(ends)
    inputs = {
        "as timed": x.detach(),
        "knots": knots.T.to(x.dtype),
        "ends": torch.cat([ends.nextafter(0 * out), ends.nextafter(2 * out), ends + out / 1000]),
        "far": torch.cat([2 * out, 10 * out, 100 * out]),
    }
    for name, points in inputs.items():
        exact = points.double()
        bases = splines.basis(exact, knots, k)
        y = torch.einsum("bin,ion->bo", bases, layer.coef.detach().double())
        if computes == SILU:
            y += nn.functional.silu(exact) @ layer.base_weight.detach().double()
        yield name, points, y


def errors(function, asked, x):
    """The largest error, relative to the largest value: as timed, and the worst, and where."""
    found, largest = {}, 0.0
    for name, points, y in asked:
        # As many as are timed, and with gradients: compilers need not compile again.
        rows = torch.arange(max(len(points), len(x))) % len(points)
        got = function(points[rows].to(x.device).requires_grad_())[: len(points)]
        largest = max(largest, y.abs().max().item())
        found[name] = (got.detach().cpu().double() - y).abs().max().item() / largest
    difference, worst_at = found.pop("as timed"), max(found, key=found.get)
    return {"difference": difference, "worst": found[worst_at], "worst_at": worst_at}


# --- jobs: each runs in a process of its own and returns numbers, and why it skipped others -------


def timed(x, call, *arguments):
    """Seconds of a call; on a GPU, x's device, which works on meanwhile, until it is done."""
    synchronize = torch.cuda.synchronize if x.is_cuda else lambda: None
    synchronize()
    start = time.perf_counter()
    call(*arguments)
    synchronize()
    return time.perf_counter() - start


def one_call(module, function, x, g):
    """Seconds of a forward and a backward pass."""
    x.grad = None
    module.zero_grad(set_to_none=True)
    return timed(x, lambda: function(x).backward(g))


def quartiles(name, values):
    """The median, by that name, and the quartiles."""
    low, middle, high = statistics.quantiles(values, method="inclusive") if values else [None] * 3
    return {name: middle, f"{name}_low": low, f"{name}_high": high}


def take_turns(calls, seconds, rounds):
    """Seconds of each call, a function that returns them, by round; at first it took `seconds`."""
    plan, times = {}, {name: [] for name in calls}
    for name, once in seconds.items():
        # In how many rounds it takes part, how many calls make up one time, and whether a call
        # that is not timed goes before.
        slow = (min(rounds, max(3, int(5 / once))), 1, False)
        plan[name] = slow if once >= 0.2 else (rounds, max(1, int(0.01 / once)), True)
    shuffle = random.Random(0)
    for number in range(rounds):
        for name in shuffle.sample(list(calls), len(calls)):
            taking_part, several, warm_up = plan[name]
            if number < taking_part:
                if warm_up:
                    calls[name]()
                times[name].append(sum(calls[name]() for _ in range(several)) / several)
    return times


def speed(setting, names, rounds, device="cpu"):
    batch, inputs, outputs, *rest, dtype = setting
    layer = silu_layer(inputs, outputs, *rest, dtype)
    generator = torch.Generator().manual_seed(1)
    x = 2 * torch.rand(batch, inputs, dtype=layer.coef.dtype, generator=generator) - 1
    g = torch.randn(batch, outputs, dtype=layer.coef.dtype, generator=generator)
    asked = {computes: [*tried(layer, computes, x)] for computes in (SPLINES, UNEVEN, SILU)}
    x, g = x.to(device).requires_grad_(), g.to(device)
    if {*COMPILE} & {*names}:
        torch.compile(torch.sin)(x)  # loads the compiler, which is nobody's own time

    calls, seconds, first, exactness, skipped = {}, {}, {}, {}, {}
    for name in names:
        make, computes, _ = CONTESTANTS[name]
        try:
            module, function = make(layer)
            call = partial(one_call, module.to(device), function, x, g)
            first[name] = once = call()
        except Exception as error:  # a compiler that is missing, say: the others still run
            skipped[name] = repr(error)[:120]
            continue
        if once < LONGEST_CALL or name in COMPILE:
            once = call()
        if once > LONGEST_CALL:
            skipped[name] = f"a call takes {once:.0f} s"
            continue
        if computes in asked:
            exactness[name] = errors(function, asked[computes], x)
        calls[name], seconds[name] = call, once

    times, rows = take_turns(calls, seconds, rounds), []
    for name, taken in times.items():
        _, computes, against = CONTESTANTS[name]
        pairs = [a / b for a, b in zip(times.get(against, []), taken, strict=False)]
        row = dict(zip(SETTING, setting, strict=True))
        row |= {"threads": torch.get_num_threads(), "contestant": name, "computes": computes}
        row |= {"milliseconds": 1e3 * statistics.median(taken), "against": against}
        row |= quartiles("ratio", pairs) | {"difference": None, "worst": None, "worst_at": None}
        rows.append(row | exactness.get(name, {}) | {"first_seconds": first[name]})
    return {"speed": rows, "skipped": skipped}


def memory(setting, name, device="cpu"):
    """MiB at the peak of a call, beyond parameters, inputs and all that is loaded. On Linux."""
    import psutil

    process = psutil.Process()

    def extra(*data):
        if device == "cuda":
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            one_call(module, function, *data)
            return torch.cuda.max_memory_allocated() - before
        ctypes.CDLL(None).malloc_trim(0)  # what is free goes back to the system
        before = process.memory_info().rss
        one_call(module, function, *data)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10 - before

    batch, inputs, outputs, *rest = setting
    layer = silu_layer(inputs, outputs, *rest)
    module, function = CONTESTANTS[name][0](layer)
    module.to(device)
    x = torch.rand(batch, inputs, dtype=layer.coef.dtype).to(device).requires_grad_()
    g = torch.ones(batch, outputs, dtype=layer.coef.dtype).to(device)
    for share in (32, 16):  # two, so that compilers no longer assume the size of the batch
        part = extra(x[: batch // share].detach().requires_grad_(), g[: batch // share])
    free = torch.cuda.mem_get_info()[0] if device == "cuda" else psutil.virtual_memory().available
    if part * share > 0.75 * free:
        return {"skipped": {name: f"{part * share / 2**30:.0f} GiB needed"}}
    return {"mebibytes": extra(x, g) / 2**20}


def exported(model, x):
    """Compiled ahead of time into a package of machine code, for programs without Python."""
    package = torch._inductor.aoti_compile_and_package(torch.export.export(model, (x,)))
    return torch._inductor.aoti_load_package(package)


HOW = {"eager": lambda model, x: model, "compiled": lambda model, x: torch.compile(model)}
HOW["exported"] = exported


@torch.no_grad()
def prediction(widths, rounds, device="cpu"):
    """One sample through a KAN, and through an MLP of as many parameters."""
    kan = kanbook.KAN(widths, generator=0)
    inputs, *_, outputs = widths
    hidden = round((kanbook.count_parameters(kan) - outputs) / (inputs + outputs + 1))
    models = {"KAN": kan, "MLP": kanbook.MLP([inputs, hidden, outputs], generator=0)}
    x = torch.rand(1, inputs, generator=torch.Generator().manual_seed(1)).to(device)

    calls, seconds, first, skipped = {}, {}, {}, {}
    for name, (how, make) in itertools.product(models, HOW.items()):
        model, start = models[name].to(device), time.perf_counter()
        try:
            function = make(model, x)
            torch.testing.assert_close(function(x), model(x))
        except Exception as error:
            skipped[f"{name}, {how}"] = repr(error)[:120]
            continue
        first[name, how] = time.perf_counter() - start
        calls[name, how] = partial(timed, x, function, x)
        seconds[name, how] = calls[name, how]()
    rows = []
    for (name, how), taken in take_turns(calls, seconds, rounds).items():
        row = {"widths": "-".join(map(str, widths)), "model": name, "how": how}
        row |= {"parameters": kanbook.count_parameters(models[name])}
        row |= quartiles("microseconds", [1e6 * each for each in taken])
        rows.append(row | {"first_seconds": first[name, how]})
    return {"prediction": rows, "skipped": skipped}


def accuracy(seeds, ladder, steps, lm_ladder, lm_steps):
    """Train in turn: both packages with L-BFGS, on grids updated and extended as PyKAN does, and
    the minimal KAN with Levenberg-Marquardt, on grids of its own."""
    torch.set_default_dtype(torch.float64)
    extras = {"base": nn.functional.silu, "spline_weight": True}
    trainings = {
        "kanbook": (partial(train_kanbook, "lbfgs", UPDATE_EVERY, extras), ladder, steps),
        "pykan": (train_pykan, ladder, steps),
        "kanbook, lm": (partial(train_kanbook, "lm", lm_steps, {}), lm_ladder, lm_steps),
    }
    rows = []
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        x, x_test = (2 * torch.rand(1000, 2, generator=generator) - 1 for _ in range(2))
        y, y_test = (torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:] ** 2) for x in (x, x_test))
        for package, (train, grids, each) in trainings.items():
            if seed == 0:  # to warm up
                train(seed, (x, y), (x_test, y_test), grids[:1], 1)
            marks = train(seed, (x, y), (x_test, y_test), grids, each)
            rows.append(training_row(package, seed, marks))
    return {"training": rows}


def training_row(package, seed, marks):
    seconds, evaluations, _ = next((mark for mark in marks if mark[2] <= TARGET), [None] * 3)
    row = {"package": package, "seed": seed}
    row |= {"seconds_to_target": seconds, "evaluations_to_target": evaluations}
    return row | dict(zip(("seconds", "evaluations", "error"), marks[-1], strict=True))


def train_kanbook(optimizer, update_every, extras, seed, data, test, ladder, steps):
    """After every step: seconds, evaluations of loss and gradient, test RMSE."""
    generator = torch.Generator().manual_seed(seed)
    model = kanbook.KAN([2, 5, 1], grid_size=ladder[0], generator=generator, **extras)
    marks = []

    def mark(step, history):
        with torch.no_grad():
            error = (model(test[0]) - test[1]).square().mean().sqrt().item()
        marks.append((time.perf_counter() - start, history.evaluations, error))

    start = time.perf_counter()
    every = steps * len(ladder)
    grids = {"update_grid_at": range(1, every + 1, update_every)}
    grids["extend_grid_at"] = {steps * n + 1: size for n, size in enumerate(ladder) if n}
    kanbook.fit(model, *data, optimizer=optimizer, steps=every, callback=mark, **grids)
    return marks


def train_pykan(seed, data, test, ladder, steps):
    """The same. Its ``fit`` switches the symbolic branch off by itself when nothing is in it."""
    from kan import KAN

    keys = ("train_input", "train_label", "test_input", "test_label")
    data = dict(zip(keys, (*data, *test), strict=True))
    model = KAN([2, 5, 1], grid=ladder[0], k=3, seed=seed)
    marks, errors, calls = [], [], 0

    def loss(y, target):  # once for every evaluation, and once a step for the test data
        nonlocal calls
        calls += 1
        return (y - target).square().mean()

    def mark():
        marks.append((time.perf_counter() - start, calls - len(marks) - 1))
        return torch.tensor(0.0)

    start = time.perf_counter()
    for size in ladder:
        if size != ladder[0]:
            model = model.refine(size)
        results = model.fit(data, opt="LBFGS", steps=steps, loss_fn=loss, metrics=[mark])
        errors += [float(error) for error in results["test_loss"]]  # which are square roots
    return [(*mark, error) for mark, error in zip(marks, errors, strict=True)]


def cells_of(notebook):
    """The sources of a chapter's cells, without the set-up and those that show what is stored."""
    for cell in json.loads((NOTEBOOKS / notebook).read_text(encoding="utf-8"))["cells"]:
        left_out = {"setup", "recorded"} & {*cell["metadata"].get("tags", [])}
        if cell["cell_type"] == "code" and not left_out:
            yield "".join(cell["source"])


def set_up():
    """What the set-up cell of a chapter leaves behind, where both packages can be imported."""
    torch.set_default_dtype(torch.float64)
    return {"sys": sys, "torch": torch, "device": torch.device("cpu")}


def steps(calls, rounds):
    """The layers that chapter 13 builds: its own cells, run here with more calls and rounds."""
    scope = set_up()
    for source in cells_of("13_speed.ipynb"):
        exec(source, scope)
        scope |= {"CALLS": calls, "ROUNDS": rounds}
        if "ratios" in scope:
            break
    names = ("bases", "product", "product, backward", "bases, backward")
    profile = [
        {"step": step, "part": name, "milliseconds": 1e3 * seconds}
        for step, measured in scope["taken"].items()
        for name, seconds in zip(names, measured.median(0).values.tolist(), strict=True)
    ]
    ladder = [
        {"size": size, "step": step} | quartiles("ratio", measured.tolist())
        for size, result in scope["ratios"].items()
        for step, measured in result.items()
    ]
    return {"profile": profile, "steps": ladder}


def tanh(rounds, frameworks):
    """Training steps of chapter 12's networks, in units of that of one tanh after the sum."""
    os.environ |= tanh_readings.ENVIRONMENT
    calls, seconds, parameters, skipped = {}, {}, {}, {}
    for framework, name, make in tanh_readings.steps():
        if framework not in frameworks:
            continue
        key = framework, name
        try:
            step, parameters[key] = make()
            calls[key] = partial(timed, torch.empty(0), step)
            seconds[key] = min(calls[key]() for _ in range(4))  # the first ones compile
        except Exception as error:  # a framework that is missing, say
            skipped[" ".join(key)] = repr(error)[:120]
            calls.pop(key, None)
    times, rows = take_turns(calls, seconds, rounds), []
    for (framework, name), taken in times.items():
        unit = times.get((framework, tanh_readings.SUM), [])
        row = {"framework": framework, "contestant": name}
        row |= {"widths": "-".join(map(str, tanh_readings.widths_of(name)))}
        row |= {"parameters": parameters[framework, name]}
        row |= {"milliseconds": 1e3 * statistics.median(taken)}
        rows.append(row | quartiles("ratio", [a / b for a, b in zip(taken, unit, strict=False)]))
    return {"tanh": rows, "skipped": skipped}


def engines(rounds):
    """The engines of chapter 20, made by its own cells: a step of each, in turns, on one core."""
    if hasattr(os, "sched_setaffinity"):  # JAX would take all
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    scope, trainings, calls, first = set_up(), [], {}, {}

    def train(step, theta, data):  # in place of the chapter's: timed below
        trainings.append((step, theta, data))
        return [0.0]

    for source in cells_of("20_engines.ipynb"):
        if source.startswith("looks ="):  # all engines are there
            break
        if "assert" not in source and "plt.show" not in source:
            exec(source, scope)
            scope["train"] = train

    def steps_of(step, theta, data, several=1):
        def call():
            nonlocal theta
            start = time.perf_counter()
            for _ in range(several):
                theta, loss = step(theta, data)
                float(loss)
            return (time.perf_counter() - start) / several

        return call

    trained = [name for name in scope["losses"] if name != "JavaScript"]
    for name, (step, theta, data) in zip(trained, trainings, strict=True):
        # Tinygrad's third call is the first that compiles nothing.
        first[name] = 3 * steps_of(step, theta, data, several=3)()
        calls[name] = steps_of(step, theta, data)
    if "JavaScript" in scope["losses"]:
        node = partial(timed, torch.empty(0), scope["javascript"])
        first["JavaScript"] = node(3)
        calls["JavaScript"] = lambda: max(0.0, node(2003) - node(3)) / 2000
    seconds = {name: timed(torch.empty(0), call) for name, call in calls.items()}
    rows = []
    for name, taken in take_turns(calls, seconds, rounds).items():
        row = {"engine": name} | quartiles("milliseconds", [1e3 * s for s in taken])
        before = max(0.0, first[name] - 3 * statistics.median(taken))
        rows.append(row | {"compile_seconds": before})
    return {"engines": rows}


def laplacian(rounds):
    """A Laplacian and its gradient in the parameters: by autograd, and by `derivatives.along`."""
    x = 2 * torch.rand(1000, 2, generator=torch.Generator().manual_seed(0)) - 1
    axes, rows = torch.eye(2), []

    def by_autograd(model):
        points = x.clone().requires_grad_()
        (slopes,) = torch.autograd.grad(model(points).sum(), points, create_graph=True)
        bends = [
            torch.autograd.grad(slopes[:, i].sum(), points, create_graph=True)[0][:, i]
            for i in range(2)
        ]
        sum(bends).square().mean().backward()

    def by_series(model):
        derivatives.along(model, x, axes, 2)[2].sum(0).square().mean().backward()

    for hidden in ([9], [8, 8], [20, 20]):
        models = {
            f"KAN, degree {k}": KAN([2, *hidden, 1], grid_size=8, degree=k, generator=0)
            for k in (3, 5)
        }
        models["MLP"] = MLP([2, *(4 * h for h in hidden), 1], generator=0)
        for name, model in models.items():
            ways = {"autograd": by_autograd, "along": by_series}
            calls = {w: partial(timed, torch.empty(0), way, model) for w, way in ways.items()}
            seconds = {way: min(call() for _ in range(3)) for way, call in calls.items()}
            times = take_turns(calls, seconds, rounds)
            row = {"model": name, "widths": "-".join(map(str, [2, *hidden, 1]))}
            row |= {"parameters": count_parameters(model)}
            row |= {way: 1e3 * statistics.median(taken) for way, taken in times.items()}
            ratios = [a / b for a, b in zip(*times.values(), strict=False)]
            rows.append(row | quartiles("ratio", ratios))
    return {"derivatives": rows}


JOBS = (speed, memory, prediction, accuracy, hellokan, steps, tanh, engines, laplacian)
JOBS = {job.__name__: job for job in JOBS}


def work(job):
    """In the process of a job: run it, with whatever it prints on stderr, and answer in JSON."""
    torch.set_num_threads(job.pop("threads"))
    with contextlib.redirect_stdout(sys.stderr):
        result = JOBS[job.pop("job")](**job)
    print(json.dumps(result))


def run_job(job, threads=1, **arguments):
    """Run a job in a process of its own, in an empty folder; of one that fails, return nothing."""
    shown = [str(arguments[name]) for name in ("setting", "name", "widths") if name in arguments]
    label = " ".join([job, *shown, f"threads {threads}"])
    print("...", label, file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        environment |= {"TORCHINDUCTOR_CACHE_DIR": folder, "MPLBACKEND": "Agg"}
        environment |= {"CACHELEVEL": "0", "CCACHE": "0"}  # tinygrad keeps nothing
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        job = json.dumps({"job": job, "threads": threads, **arguments})
        result = subprocess.run(
            [sys.executable, "-m", "evidence.benchmark.speed", "--job", job],
            cwd=folder, env=os.environ | environment, capture_output=True, text=True,
        )  # fmt: skip
    if result.returncode:
        *_, reason = [f"exit status {result.returncode}", *result.stderr.strip().splitlines()]
        print(f"{label}: failed: {reason[:100]}")
        return {}
    found = json.loads(result.stdout)
    for name, reason in found.pop("skipped", {}).items():
        print(f"{label}: left out: {name}: {reason}")
    return found


# --- what is shown and saved ---------------------------------------------------------------------

PARTS = ("speed", "memory", "prediction", "alone", "training", "hellokan")
PARTS += ("steps", "tanh", "engines", "derivatives")


def find_checkouts(peers):
    """Let jobs import what is there; return who takes part, and the commits of the checkouts."""
    names, commits = list(CONTESTANTS), {}
    for name, package in CHECKOUTS.items():
        folder = peers and (peers / name).resolve()
        if folder and (folder / package).is_dir():
            paths = [os.environ.get("PYTHONPATH"), str((folder / package).parent)]
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
            git = ["git", f"--git-dir={folder}/.git", "rev-parse", "HEAD"]
            commits[name] = subprocess.run(git, capture_output=True, text=True).stdout.strip()
        else:
            print(f"left out: {name}: needs a checkout of that name in --peers FOLDER")
            names = [other for other in names if not other.startswith(name)]
    return names, commits


def versions():
    for name in ("torch", "numpy", "pykan", "inkan", "flashkan", "jax", "tinygrad"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)


def save(path, parts, provenance):
    """Put parts, lists of rows, into a file, which keeps the others that it has."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    content |= {name: {"provenance": provenance, "rows": rows} for name, rows in parts.items()}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def measure(options, contestants):
    """Run the jobs of parts; yield what they measured, as it comes: names of parts, and rows."""
    settings, large, sizes = SETTINGS, LARGE, SIZES
    layers = [name for name in LAYERS if name in contestants]
    names, threads, rounds = options.parts, options.threads, options.rounds
    training = {"seeds": options.seeds, "ladder": [3, 5, 10, 20], "steps": 20}
    training |= {"lm_ladder": [5, 10, 20], "lm_steps": 20}
    if options.quick:
        settings, large, layers = SETTINGS[-1:], [(8192, *LARGE[0][1:])], ["kanbook", "floor"]
        threads, rounds, sizes = [1], 10, SIZES[:1]
        contestants = [name for name in contestants if not name.endswith(", compiled")]
        training |= {"seeds": 1, "ladder": [3, 5], "steps": 5, "lm_ladder": [5, 10], "lm_steps": 5}
    device = {"device": options.device}
    if "speed" in names:
        contest = partial(run_job, "speed", names=contestants, rounds=rounds, **device)
        jobs = [
            contest(threads=n, setting=setting)
            for setting in settings
            for n in threads
            if n == 1 or setting in THREADED or options.quick
        ]
        yield "speed", [row for job in jobs for row in job.get("speed", [])]
    if "memory" in names:
        rows = []
        for setting, name in itertools.product(large, layers):
            row = dict(zip(SETTING, setting, strict=True)) | {"contestant": name, "mebibytes": None}
            rows.append(row | run_job("memory", setting=setting, name=name, **device))
        yield "memory", rows
    if "prediction" in names:
        jobs = [run_job("prediction", widths=w, rounds=rounds, **device) for w in sizes]
        yield "prediction", [row for job in jobs for row in job.get("prediction", [])]
    if "alone" in names:
        print("... alone", file=sys.stderr)
        few = {"layers": ["kanbook", "floor"], "rounds": 1} if options.quick else {}
        rows = alone.take_turns([(*settings[-1], 1)] if options.quick else ALONE, **few)
        yield "alone", [dict(zip(SETTING, row.pop("setting"), strict=True)) | row for row in rows]
    if "training" in names:
        yield from run_job("accuracy", **training).items()
    if "hellokan" in names:
        yield from run_job("hellokan", **({"seeds": [42]} if options.quick else {})).items()
    if "steps" in names:
        yield from run_job("steps", calls=rounds, rounds=rounds).items()
    if "tanh" in names:
        frameworks = ["PyTorch"] if options.quick else ["PyTorch", "Tinygrad"]
        yield from run_job("tanh", rounds=rounds, frameworks=frameworks).items()
    if "engines" in names:
        yield from run_job("engines", rounds=rounds).items()
    if "derivatives" in names:
        yield from run_job("laplacian", rounds=rounds).items()


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--rounds", type=int, default=40, help="at least 2; default: 40")
    parser.add_argument("--seeds", type=int, default=5, help="default: 5")
    parser.add_argument("--quick", action="store_true", help="one small setting of each part")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="default: all")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: cpu")
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help="with checkouts")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the numbers, as JSON")
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job:
        work(options.job)
        return
    if options.save and not options.save.parent.is_dir():
        parser.error(f"--save {options.save}: there is no folder {options.save.parent}")
    possible = PARTS if options.device == "cpu" else PARTS[:3]  # trainings are for the CPU
    options.parts = [part for part in options.parts or PARTS if part in possible]
    contestants, commits = find_checkouts(options.peers)
    command = " ".join(["python -m evidence.benchmark.speed", *(arguments or sys.argv[1:])])
    provenance = {"command": command, "commit": engine.commit()}
    provenance |= {"date": datetime.date.today().isoformat(), "cores": os.cpu_count()}
    provenance |= {name: engine.machine()[name] for name in ("processor", "python")}
    if options.device == "cuda":
        provenance["gpu"] = torch.cuda.get_device_name()
    provenance["versions"] = dict(versions()) | commits
    print(json.dumps(provenance, indent=1))
    parts = {}
    for part, rows in measure(options, contestants):
        if rows:  # else it failed
            parts[part] = rows
            print(f"\n{part}\n\n{pandas.DataFrame(rows).to_string(index=False, na_rep='')}")
    if options.save:
        save(options.save, parts, provenance)


if __name__ == "__main__":
    main()
