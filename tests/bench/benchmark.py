"""Speed, memory and time to a given error, against other packages in the same run.

``make bench`` installs the other packages (pyproject.toml's group ``bench``) and runs this script;
``make bench ARGS="--quick"`` takes a minute. With ``--save FILE`` the numbers go to a file that
:func:`kanbook.results.benchmark` loads; what the columns mean stands there. How it is measured:

- A call is a forward and a backward pass, with gradients of the parameters and of the inputs.
- Each setting has a process of its own. In it the contestants take turns: every round times each
  of them once, in random order, after a call that is not timed. A ratio is formed within a round;
  reported are medians over the rounds, and the quartiles of the ratios.
- Packages that call ``torch.compile`` do so, from an empty cache; their first call is listed.
- Before any clock starts, the same coefficients are copied into every package that computes the
  same function, and the outputs are compared with kanbook's in float64.
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
from functools import partial
from pathlib import Path

import pandas
import torch
from torch import nn

import kanbook
from kanbook.experiments import engine

SETTING = ("batch", "inputs", "outputs", "grid_size", "degree", "dtype")
SETTINGS = [
    *((1024, 64, outputs, 5, 3, "float32") for outputs in (16, 64, 256)),
    (4096, 20, 9, 5, 3, "float32"),
    (256, 784, 64, 5, 3, "float32"),
    (1024, 64, 64, 50, 3, "float32"),
    (1000, 2, 5, 10, 3, "float64"),
]
LARGE = [(65536, 64, outputs, 5, 3, "float32") for outputs in (16, 64, 256)]  # for memory
CHAPTER = Path(__file__).parents[2] / "notebooks" / "16_speed.ipynb"
LONGEST_CALL = 60.0  # seconds; slower contestants are left out
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


def linear(layer, wide=False):
    i, o, n = layer.coef.shape
    copy = nn.Linear(i * n if wide else i, o, dtype=layer.coef.dtype)
    return copy, (lambda x: copy(x.repeat(1, n))) if wide else copy


# name: (how to make it, the kanbook layer that it is compared with, whether both are one function)
CONTESTANTS = {
    "kanbook": (minimal, None, False),
    "kanbook, uneven knots": (partial(minimal, uneven=True), "kanbook", False),
    "kanbook, silu": (lambda layer: (layer, layer), "kanbook", True),
    "inkan": (inkan, "kanbook, silu", True),
    "flashkan": (flashkan, "kanbook, silu", True),
    "pykan KANLayer": (partial(pykan, whole=False), "kanbook, silu", True),
    "pykan, symbolic off": (partial(pykan, symbolic_enabled=False), "kanbook, silu", True),
    "pykan": (pykan, "kanbook, silu", True),
    "nn.Linear": (linear, "kanbook", False),
    "floor": (partial(linear, wide=True), "kanbook", False),
}
LAYERS = [name for name in CONTESTANTS if name not in ("pykan", "pykan, symbolic off")]


def silu_layer(inputs, outputs, grid_size, degree, dtype):
    options = {"grid_size": grid_size, "degree": degree, "dtype": getattr(torch, dtype)}
    layer = kanbook.KANLayer(inputs, outputs, base=nn.functional.silu, **options)
    generator = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=inputs**-0.5, generator=generator)
    return layer


# --- jobs: each runs in a process of its own and returns numbers, and why it skipped others -------


def one_call(module, function, x, g):
    """Seconds of a forward and a backward pass."""
    x.grad = None
    module.zero_grad(set_to_none=True)
    start = time.perf_counter()
    function(x).backward(g)
    return time.perf_counter() - start


def ratio(values):
    """The median, and the quartiles."""
    low, middle, high = statistics.quantiles(values, method="inclusive") if values else [None] * 3
    return {"ratio": middle, "ratio_low": low, "ratio_high": high}


def speed(setting, names, rounds):
    batch, inputs, outputs, *rest, dtype = setting
    warm = torch.ones(31 * 2**18)  # 31 MiB: from now on, freed blocks up to this size are reused
    del warm
    layer = silu_layer(inputs, outputs, *rest, dtype)
    exact = silu_layer(inputs, outputs, *rest, "float64")
    exact.load_state_dict({**layer.state_dict(), "knots": exact.knots})
    generator = torch.Generator().manual_seed(1)
    x = 2 * torch.rand(batch, inputs, dtype=layer.coef.dtype, generator=generator) - 1
    x.requires_grad_()
    g = torch.randn(batch, outputs, dtype=layer.coef.dtype, generator=generator)
    if {"inkan", "flashkan"} & {*names}:
        torch.compile(torch.sin)(x)  # loads the compiler, which is nobody's own time
    with torch.no_grad():
        truth = exact(x.double())

    runners, plan, times, first, difference, skipped = {}, {}, {}, {}, {}, {}
    for name in names:
        make, _, same = CONTESTANTS[name]
        try:
            runner = (*make(layer), x, g)
            first[name] = seconds = one_call(*runner)
        except Exception as error:  # a compiler that is missing, say: the others still run
            skipped[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
            continue
        if seconds < LONGEST_CALL:
            seconds = one_call(*runner)
        if seconds > LONGEST_CALL:
            skipped[name] = f"a call takes {seconds:.0f} s"
            continue
        if same:
            with torch.no_grad():
                error = (runner[1](x).double() - truth).abs().max() / truth.abs().max()
            difference[name] = error.item()
        runners[name], times[name] = runner, []
        # In how many rounds it takes part, how many calls make up one time, and whether a call
        # that is not timed goes before.
        slow = (min(rounds, max(3, int(5 / seconds))), 1, False)
        plan[name] = slow if seconds >= 0.2 else (rounds, max(1, int(0.01 / seconds)), True)

    shuffle = random.Random(0)
    for number in range(rounds):
        for name in shuffle.sample(list(runners), len(runners)):
            taking_part, calls, warm_up = plan[name]
            if number < taking_part:
                if warm_up:
                    one_call(*runners[name])
                total = sum(one_call(*runners[name]) for _ in range(calls))
                times[name].append(total / calls)

    rows = []
    for name, seconds in times.items():
        against = CONTESTANTS[name][1]
        pairs = [a / b for a, b in zip(times.get(against, []), seconds, strict=False)]
        row = dict(zip(SETTING, setting, strict=True))
        row |= {"threads": torch.get_num_threads(), "contestant": name}
        row |= {"milliseconds": 1e3 * statistics.median(seconds), "against": against}
        row |= ratio(pairs) | {"difference": difference.get(name), "first_seconds": first[name]}
        rows.append(row)
    return {"speed": rows, "skipped": skipped}


def memory(setting, name):
    """MiB at the peak of a call, beyond parameters, inputs and all that is loaded. On Linux."""
    import psutil

    process = psutil.Process()

    def extra(*data):
        ctypes.CDLL(None).malloc_trim(0)  # what is free goes back to the system
        before = process.memory_info().rss
        one_call(module, function, *data)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 2**10 - before

    batch, inputs, outputs, *rest = setting
    layer = silu_layer(inputs, outputs, *rest)
    module, function = CONTESTANTS[name][0](layer)
    x = torch.rand(batch, inputs, dtype=layer.coef.dtype, requires_grad=True)
    g = torch.ones(batch, outputs, dtype=layer.coef.dtype)
    for share in (32, 16):  # two, so that compilers no longer assume the size of the batch
        part = extra(x[: batch // share].detach().requires_grad_(), g[: batch // share])
    if part * share > 0.75 * psutil.virtual_memory().available:
        return {"skipped": {name: f"{part * share / 2**30:.0f} GiB needed"}}
    return {"mebibytes": extra(x, g) / 2**20}


def accuracy(seeds, ladder, steps):
    """Train both packages with L-BFGS, in turn; grids are updated and extended as PyKAN does."""
    torch.set_default_dtype(torch.float64)
    rows = []
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        x, x_test = (2 * torch.rand(1000, 2, generator=generator) - 1 for _ in range(2))
        y, y_test = (torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:] ** 2) for x in (x, x_test))
        for package, train in (("kanbook", train_kanbook), ("pykan", train_pykan)):
            if seed == 0:  # to warm up
                train(seed, (x, y), (x_test, y_test), ladder[:1], 1)
            marks = train(seed, (x, y), (x_test, y_test), ladder, steps)
            rows.append(training_row(package, seed, marks))
    return {"training": rows}


TRAINING = ("seconds_to_target", "evaluations_to_target", "seconds", "evaluations", "error")


def training_row(package, seed, marks):
    reached = next((mark for mark in marks if mark[2] <= TARGET), [None] * 3)
    numbers = dict(zip(TRAINING, (*reached[:2], *marks[-1]), strict=True))
    return {"package": package, "seed": seed} | numbers


UPDATE_EVERY = 5  # steps; PyKAN's default


def train_kanbook(seed, data, test, ladder, steps):
    """After every step: seconds, evaluations of loss and gradient, test RMSE."""
    options = {"base": nn.functional.silu, "generator": torch.Generator().manual_seed(seed)}
    model = kanbook.KAN([2, 5, 1], grid_size=ladder[0], spline_weight=True, **options)
    marks = []

    def mark(step, history):
        with torch.no_grad():
            error = (model(test[0]) - test[1]).square().mean().sqrt().item()
        marks.append((time.perf_counter() - start, history.evaluations, error))

    start = time.perf_counter()
    every = steps * len(ladder)
    grids = {"update_grid_at": range(1, every + 1, UPDATE_EVERY)}
    grids["extend_grid_at"] = {steps * n + 1: size for n, size in enumerate(ladder) if n}
    kanbook.fit(model, *data, optimizer="lbfgs", steps=every, callback=mark, **grids)
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


def steps(calls, rounds):
    """The layers that chapter 16 builds: its own cells, run here with more calls and rounds."""
    notebook = json.loads(CHAPTER.read_text(encoding="utf-8"))
    scope = {}
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", [])
        if cell["cell_type"] == "code" and "recorded" not in tags:
            exec("".join(cell["source"]), scope)
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
        {"size": size, "step": step} | ratio(measured.tolist())
        for size, result in scope["ratios"].items()
        for step, measured in result.items()
    ]
    return {"profile": profile, "steps": ladder}


JOBS = {"speed": speed, "memory": memory, "accuracy": accuracy, "steps": steps}


def work(job):
    """In the process of a job: run it, with whatever it prints on stderr, and answer in JSON."""
    torch.set_num_threads(job.pop("threads"))
    with contextlib.redirect_stdout(sys.stderr):
        result = JOBS[job.pop("job")](**job)
    print(json.dumps(result))


def run_job(job, threads=1, **arguments):
    """Run a job in a process of its own, in an empty folder; of one that fails, return nothing."""
    shown = [str(value) for name, value in arguments.items() if name in ("setting", "name")]
    label = " ".join([job, *shown, f"threads {threads}"])
    print("...", label, file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        environment = {"OMP_NUM_THREADS": str(threads), "TORCHINDUCTOR_CACHE_DIR": folder}
        environment = os.environ | environment | {"MPLBACKEND": "Agg"}
        job = json.dumps({"job": job, "threads": threads, **arguments})
        result = subprocess.run(
            [sys.executable, __file__, "--job", job],
            cwd=folder, env=environment, capture_output=True, text=True,
        )  # fmt: skip
    if result.returncode:
        *_, reason = [f"exit status {result.returncode}", *result.stderr.strip().splitlines()]
        print(f"{label}: failed: {reason[:100]}")
        return {}
    found = json.loads(result.stdout)
    for name, why in found.pop("skipped", {}).items():
        print(f"{label}: left out: {name}: {why}")
    return found


# --- what is shown and saved ---------------------------------------------------------------------

PARTS = ("speed", "memory", "training", "steps")


def versions():
    for name in ("torch", "numpy", "pykan", "inkan", "flashkan"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)


def save(path, parts, provenance):
    """Put parts, lists of rows, into a file, which keeps the others that it has."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    content |= {name: {"provenance": provenance, "rows": rows} for name, rows in parts.items()}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def measure(options):
    """Run the jobs of parts; yield what they measured, as it comes: names of parts, and rows."""
    settings, large, layers = SETTINGS, LARGE, LAYERS
    names, threads, rounds = options.parts, options.threads, options.rounds
    training = {"seeds": options.seeds, "ladder": [3, 5, 10, 20], "steps": 20}
    if options.quick:
        settings, large, layers = SETTINGS[-1:], [(8192, *LARGE[1][1:])], ["kanbook", "floor"]
        threads, rounds = [1], 10
        training = {"seeds": 1, "ladder": [3, 5], "steps": 5}
    if "speed" in names:
        contest = partial(run_job, "speed", names=list(CONTESTANTS), rounds=rounds)
        jobs = [contest(threads=n, setting=setting) for setting in settings for n in threads]
        yield "speed", [row for job in jobs for row in job.get("speed", [])]
    if "memory" in names:
        rows = []
        for setting, name in itertools.product(large, layers):
            row = dict(zip(SETTING, setting, strict=True)) | {"contestant": name, "mebibytes": None}
            rows.append(row | run_job("memory", setting=setting, name=name))
        yield "memory", rows
    if "training" in names:
        yield from run_job("accuracy", **training).items()
    if "steps" in names:
        yield from run_job("steps", calls=rounds, rounds=rounds).items()


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--rounds", type=int, default=40, help="at least 2; default: 40")
    parser.add_argument("--seeds", type=int, default=5, help="default: 5")
    parser.add_argument("--quick", action="store_true", help="one small setting of each part")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the numbers, as JSON")
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job:
        work(options.job)
        return
    if options.save and not options.save.parent.is_dir():
        parser.error(f"--save {options.save}: there is no folder {options.save.parent}")
    command = " ".join(["python tests/bench/benchmark.py", *(arguments or sys.argv[1:])])
    provenance = {"command": command, "commit": engine.commit()}
    provenance |= {"date": datetime.date.today().isoformat(), "cores": os.cpu_count()}
    provenance |= {name: engine.machine()[name] for name in ("processor", "python")}
    provenance["versions"] = dict(versions())
    print(json.dumps(provenance, indent=1))
    parts = {}
    for part, rows in measure(options):
        if rows:  # else it failed
            parts[part] = rows
            print(f"\n{part}\n\n{pandas.DataFrame(rows).to_string(index=False, na_rep='')}")
    if options.save:
        save(options.save, parts, provenance)


if __name__ == "__main__":
    main()
