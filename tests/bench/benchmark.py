"""Speed, memory and time to a given error, against other packages in the same run.

``make bench`` installs the other packages (pyproject.toml's group ``bench``) and runs this script;
``make bench ARGS="--quick"`` takes a minute. Tables go to the screen, as Markdown, and with
``--save FILE`` the numbers go to a file that :func:`kanbook.results.benchmark` loads.
How it is measured:

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
import json
import math
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from torch import nn

import kanbook
from kanbook.experiments import engine

# batch, inputs, outputs, grid intervals, degree, dtype
SETTINGS = [
    (1024, 64, 16, 5, 3, "float32"),
    (1024, 64, 64, 5, 3, "float32"),
    (1024, 64, 256, 5, 3, "float32"),
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
    copy = kanbook.KANLayer(
        i, o, grid_size=layer.grid_size, degree=layer.degree, dtype=layer.coef.dtype
    )
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


def copy_to_pykan(layer, copy):
    copy.grid.data = layer.knots.clone()
    copy.coef.data = layer.coef.detach().clone()
    copy.scale_base.data = layer.base_weight.detach().clone()
    copy.scale_sp.data.fill_(1)


def pykan_layer(layer):
    from kan.KANLayer import KANLayer

    i, o, _ = layer.coef.shape
    copy = KANLayer(i, o, num=layer.grid_size, k=layer.degree)
    nn.Module.to(copy, layer.coef.dtype)
    copy_to_pykan(layer, copy)
    return copy, lambda x: copy(x)[0]


def pykan(layer, **options):
    from kan import KAN

    i, o, _ = layer.coef.shape
    copy = KAN([i, o], grid=layer.grid_size, k=layer.degree, auto_save=False, **options)
    nn.Module.to(copy, layer.coef.dtype)  # its own .to() takes devices only
    copy_to_pykan(layer, copy.act_fun[0])
    return copy, copy


def linear(layer):
    copy = nn.Linear(layer.in_features, layer.out_features, dtype=layer.coef.dtype)
    return copy, copy


def floor(layer):
    i, o, n = layer.coef.shape
    copy = nn.Linear(i * n, o, dtype=layer.coef.dtype)
    return copy, lambda x: copy(x.repeat(1, n))


# name: (how to make it, the kanbook layer that it is compared with, whether both are one function)
CONTESTANTS = {
    "kanbook": (minimal, None, False),
    "kanbook, uneven knots": (partial(minimal, uneven=True), "kanbook", False),
    "kanbook, silu": (lambda layer: (layer, layer), "kanbook", True),
    "inkan": (inkan, "kanbook, silu", True),
    "flashkan": (flashkan, "kanbook, silu", True),
    "pykan KANLayer": (pykan_layer, "kanbook, silu", True),
    "pykan, symbolic off": (partial(pykan, symbolic_enabled=False), "kanbook, silu", True),
    "pykan": (pykan, "kanbook, silu", True),
    "nn.Linear": (linear, "kanbook", False),
    "floor": (floor, "kanbook", False),
}
LAYERS = [name for name in CONTESTANTS if name not in ("pykan", "pykan, symbolic off")]


def silu_layer(inputs, outputs, grid_size, degree, dtype):
    layer = kanbook.KANLayer(
        inputs,
        outputs,
        grid_size=grid_size,
        degree=degree,
        base=nn.functional.silu,
        dtype=getattr(torch, dtype),
    )
    generator = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=inputs**-0.5, generator=generator)
    return layer


# --- jobs: each runs in a process of its own and returns numbers ---------------------------------


def one_call(module, function, x, g):
    """Seconds of a forward and a backward pass."""
    x.grad = None
    module.zero_grad(set_to_none=True)
    start = time.perf_counter()
    function(x).backward(g)
    return time.perf_counter() - start


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

    runners, first, difference, skipped, plan = {}, {}, {}, {}, {}
    for name in names:
        make, _, same = CONTESTANTS[name]
        try:
            runner = (*make(layer), x, g)
            start = time.perf_counter()
            one_call(*runner)
            first[name] = time.perf_counter() - start
        except Exception as error:  # a compiler that is missing, say: the others still run
            skipped[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
            continue
        seconds = one_call(*runner) if first[name] < LONGEST_CALL else first[name]
        if seconds > LONGEST_CALL:
            skipped[name] = f"a call takes {seconds:.0f} s"
            continue
        if same:
            with torch.no_grad():
                error = (runner[1](x).double() - truth).abs().max() / truth.abs().max()
            difference[name] = error.item()
        runners[name] = runner
        # In how many rounds it takes part, how many calls make up one time, and whether a call
        # that is not timed goes before.
        if seconds < 0.2:
            plan[name] = (rounds, max(1, int(0.01 / seconds)), True)
        else:
            plan[name] = (min(rounds, max(3, int(5 / seconds))), 1, False)

    times = {name: [] for name in runners}
    shuffle = random.Random(0)
    for number in range(rounds):
        for name in shuffle.sample(list(runners), len(runners)):
            taking_part, calls, warm_up = plan[name]
            if number < taking_part:
                if warm_up:
                    one_call(*runners[name])
                total = sum(one_call(*runners[name]) for _ in range(calls))
                times[name].append(total / calls)
    ratios = {}
    for name in runners:
        base = CONTESTANTS[name][1]
        if base in times:
            pairs = [a / b for a, b in zip(times[base], times[name], strict=False)]
            ratios[name] = statistics.quantiles(pairs, n=4, method="inclusive")
    seconds = {name: statistics.median(values) for name, values in times.items()}
    return {
        "seconds": seconds,
        "ratios": ratios,
        "first": first,
        "difference": difference,
        "skipped": skipped,
    }


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
        return {"skipped": f"{part * share / 2**30:.0f} GiB needed"}
    return {"mebibytes": extra(x, g) / 2**20}


def accuracy(seeds, ladder, steps):
    """Train both packages with L-BFGS, in turn; grids are updated and extended as PyKAN does."""
    torch.set_default_dtype(torch.float64)
    results = []
    for seed in range(seeds):
        generator = torch.Generator().manual_seed(seed)
        x, x_test = (2 * torch.rand(1000, 2, generator=generator) - 1 for _ in range(2))
        y, y_test = (torch.exp(torch.sin(torch.pi * x[:, :1]) + x[:, 1:] ** 2) for x in (x, x_test))
        for train in (train_kanbook, train_pykan):
            if seed == 0:  # to warm up
                train(seed, (x, y), (x_test, y_test), ladder[:1], 1)
            marks = train(seed, (x, y), (x_test, y_test), ladder, steps)
            reached = [mark for mark in marks if mark[2] <= TARGET] or [(math.inf,) * 3]
            results.append([train.__name__, *reached[0][:2], *marks[-1]])
    return results


UPDATE_EVERY = 5  # steps; PyKAN's default


def train_kanbook(seed, data, test, ladder, steps):
    """After every step: seconds, evaluations of loss and gradient, test RMSE."""
    model = kanbook.KAN(
        [2, 5, 1],
        grid_size=ladder[0],
        spline_weight=True,
        base=nn.functional.silu,
        generator=torch.Generator().manual_seed(seed),
    )
    marks = []

    def mark(step, history):
        with torch.no_grad():
            error = (model(test[0]) - test[1]).square().mean().sqrt().item()
        marks.append((time.perf_counter() - start, history.evaluations, error))

    start = time.perf_counter()
    kanbook.fit(
        model,
        *data,
        optimizer="lbfgs",
        steps=steps * len(ladder),
        update_grid_at=range(1, steps * len(ladder) + 1, UPDATE_EVERY),
        extend_grid_at={steps * n + 1: size for n, size in enumerate(ladder) if n},
        callback=mark,
    )
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
    """The layers that chapter 16 builds: its own cells, run here with more calls and rounds.

    They measure where the time of a call goes (``profile``) and take turns (``steps``).
    """
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
    ladder = []
    for size, result in scope["ratios"].items():
        for step, measured in result.items():
            low, middle, high = statistics.quantiles(measured.tolist(), n=4, method="inclusive")
            row = {"size": size, "step": step, "ratio": middle}
            ladder.append(row | {"ratio_low": low, "ratio_high": high})
    return {"profile": profile, "steps": ladder}


JOBS = {"speed": speed, "memory": memory, "accuracy": accuracy, "steps": steps}


def work(job):
    """In the process of a job: run it, with whatever it prints on stderr, and answer in JSON."""
    torch.set_num_threads(job.pop("threads"))
    with contextlib.redirect_stdout(sys.stderr):
        result = JOBS[job.pop("job")](**job)
    print(json.dumps(result))


def run_job(job, threads=1, **arguments):
    """Run a job in a process of its own, in an empty folder that is removed afterwards."""
    shown = [str(value) for name, value in arguments.items() if name in ("setting", "name")]
    print("...", job, *shown, f"threads {threads}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "TORCHINDUCTOR_CACHE_DIR": folder,
            "MPLBACKEND": "Agg",
        }
        command = [sys.executable, __file__, "--job"]
        command.append(json.dumps({"job": job, "threads": threads, **arguments}))
        result = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True
        )
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or [f"exit status {result.returncode}"])[-1]
        return {"failed": reason[:100]}
    return json.loads(result.stdout)


# --- tables --------------------------------------------------------------------------------------


def table(title, head, rows):
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    print(f"\n{title}\n")
    for row in [head, ["-" * width for width in widths], *rows]:
        print("| " + " | ".join(map(str.ljust, row, widths)) + " |")


def describe(setting):
    batch, inputs, outputs, grid_size, degree, dtype = setting
    return f"{batch}, {inputs} -> {outputs}, G={grid_size}, k={degree}, {dtype}"


def cell(values, name, form):
    return form(values[name]) if name in values else ""


def print_speed(rows, names):
    """Rows: (label, result of a job)."""
    notes = []
    for label, result in rows:
        notes += [f"{label}: {name}: {why}" for name, why in result.get("skipped", {}).items()]
        notes += [f"{label}: failed: {result['failed']}"] if "failed" in result else []

    def show(title, key, form, columns):
        content = [
            [label, *(cell(result.get(key, {}), name, form) for name in columns)]
            for label, result in rows
        ]
        table(title, ["setting", *columns], content)

    show("Median milliseconds of a call:", "seconds", lambda s: f"{1e3 * s:.3g}", names)
    against = [name for name in names if CONTESTANTS[name][1]]
    show(
        "kanbook's time divided by the other's (below 1: kanbook is faster), median (quartiles); "
        "with silu\nagainst inkan, flashkan and pykan, minimal against the rest:",
        "ratios",
        lambda q: f"{q[1]:.3g} ({q[0]:.3g}-{q[2]:.3g})",
        against,
    )
    same = [name for name in names if CONTESTANTS[name][2]]
    show(
        "Largest difference from kanbook in float64, as a share of the largest output:",
        "difference",
        "{:.0e}".format,
        same,
    )
    compiled = [name for name in ("inkan", "flashkan") if name in names]
    show("Seconds of the first call, compilation included:", "first", "{:.1f}".format, compiled)
    print("\n" + "\n".join(notes) if notes else "\nNothing was left out.")


def print_memory(rows, names):
    content = [
        [label, *(f"{r['mebibytes']:.0f}" if "mebibytes" in r else r.popitem()[1] for r in results)]
        for label, results in rows
    ]
    table("MiB at the peak of a call, beyond parameters and inputs:", ["setting", *names], content)


def print_accuracy(results, ladder):
    if "failed" in results:
        print(f"\nTime to a given error: failed: {results['failed']}")
        return
    runs = {
        name: [values for runner, *values in results if runner == f"train_{name}"]
        for name in ("kanbook", "pykan")
    }

    def spread(values, form):
        if not values:
            return "-"
        numbers = statistics.median(values), min(values), max(values)
        return "{} ({}-{})".format(*map(form, numbers))

    labels = (
        (f"seconds to RMSE {TARGET}", "{:.2f}".format),
        ("evaluations until then", "{:.0f}".format),
        ("seconds of the whole run", "{:.2f}".format),
        ("evaluations of the whole run", "{:.0f}".format),
        ("RMSE at its end", "{:.1e}".format),
    )
    content = []
    for number, (label, form) in enumerate(labels):
        ours, theirs = ([run[number] for run in runs[name]] for name in ("kanbook", "pykan"))
        ratios = [a / b for a, b in zip(ours, theirs, strict=True) if math.inf not in (a, b)]
        content.append([label, spread(ours, form), spread(theirs, form)])
        content[-1].append(spread(ratios, "{:.2g}".format))
    grids = " -> ".join(map(str, ladder))
    table(
        f"exp(sin(pi x) + y^2), [2, 5, 1], L-BFGS, float64, G = {grids}, {len(runs['pykan'])} "
        "seeds: median (range); inf: not reached:",
        ["", "kanbook", "pykan", "kanbook / pykan"],
        content,
    )


def print_steps(parts):
    if "failed" in parts:
        print(f"\nThe steps of chapter 16: failed: {parts.pop('failed')}")
        return
    rows = [[*row.values()] for row in parts["profile"]]
    rows = [[step, part, f"{milliseconds:.3g}"] for step, part, milliseconds in rows]
    table("Milliseconds of the parts of a call:", ["layer", "part", ""], rows)
    rows = [[*row.values()] for row in parts["steps"]]
    rows = [[*names, f"{r:.3g} ({low:.3g}-{high:.3g})"] for *names, r, low, high in rows]
    table("Time of a call, kanbook's layer = 1, median (quartiles):", ["size", "layer", ""], rows)


def processor():
    with contextlib.suppress(OSError, IndexError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return [line.partition(": ")[2] for line in lines if line.startswith("model name")][0]
    return platform.processor()


SETTING = ("batch", "inputs", "outputs", "grid_size", "degree", "dtype")
TRAINING = ("seconds_to_target", "evaluations_to_target", "seconds", "evaluations", "error")
PARTS = ("speed", "memory", "training", "steps")
PACKAGES = ("torch", "numpy", "pykan", "inkan", "flashkan")


def versions():
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def speed_rows(speeds):
    for setting, threads, result in speeds:
        for name, seconds in result.get("seconds", {}).items():
            row = dict(zip(SETTING, setting, strict=True))
            low, middle, high = result["ratios"].get(name, [None] * 3)
            yield row | {
                "threads": threads,
                "contestant": name,
                "milliseconds": 1e3 * seconds,
                "against": CONTESTANTS[name][1],
                "ratio": middle,
                "ratio_low": low,
                "ratio_high": high,
                "difference": result["difference"].get(name),
                "first_seconds": result["first"][name],
            }


def memory_rows(memories):
    for setting, results in memories:
        for name, result in results.items():
            row = dict(zip(SETTING, setting, strict=True))
            yield row | {"contestant": name, "mebibytes": result.get("mebibytes")}


def training_rows(results):
    seeds = {"train_kanbook": 0, "train_pykan": 0}
    for runner, *values in results if isinstance(results, list) else []:
        row = {"package": runner.removeprefix("train_"), "seed": seeds[runner]}
        reached = (None if value == math.inf else value for value in values)
        yield row | dict(zip(TRAINING, reached, strict=True))
        seeds[runner] += 1


def save(path, parts, provenance):
    """Put parts, lists of rows, into a file. Of one that failed, and has none, it keeps the old."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name, rows in parts.items():
        if rows:
            content[name] = {"provenance": provenance, "rows": rows}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


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
    settings, large, names, layers = SETTINGS, LARGE, list(CONTESTANTS), LAYERS
    threads, rounds = options.threads, options.rounds
    training = {"seeds": options.seeds, "ladder": [3, 5, 10, 20], "steps": 20}
    if options.quick:
        settings, large, layers = SETTINGS[-1:], [(8192, *LARGE[1][1:])], ["kanbook", "floor"]
        threads, rounds = [1], 10
        training = {"seeds": 1, "ladder": [3, 5], "steps": 5}

    if options.save and not options.save.parent.is_dir():
        parser.error(f"--save {options.save}: there is no folder {options.save.parent}")
    command = " ".join(["python tests/bench/benchmark.py", *(arguments or sys.argv[1:])])
    provenance = {
        "command": command,
        "commit": engine.commit(),
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions(),
    }
    print(
        "{date}; {processor}, {cores} cores; Python {python}; ".format(**provenance)
        + ", ".join(f"{name} {version}" for name, version in provenance["versions"].items())
    )
    parts = {}
    if "speed" in options.parts:
        speeds = [
            (setting, n, run_job("speed", n, setting=setting, names=names, rounds=rounds))
            for setting in settings
            for n in threads
        ]
        parts["speed"] = list(speed_rows(speeds))
        print_speed([(f"{describe(s)}, threads {n}", result) for s, n, result in speeds], names)
    if "memory" in options.parts:
        memories = [
            (setting, {name: run_job("memory", setting=setting, name=name) for name in layers})
            for setting in large
        ]
        parts["memory"] = list(memory_rows(memories))
        print_memory([(describe(s), list(results.values())) for s, results in memories], layers)
    if "training" in options.parts:
        results = run_job("accuracy", **training)
        parts["training"] = list(training_rows(results))
        print_accuracy(results, training["ladder"])
    if "steps" in options.parts:
        parts |= run_job("steps", calls=rounds, rounds=rounds)
        print_steps(parts)
    if options.save:
        save(options.save, parts, provenance)


if __name__ == "__main__":
    main()
