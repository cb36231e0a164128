"""A step of training of one layer, alone in its process, as a user trains: time and page faults.

:func:`take_turns` runs this file by its path, a process for each contestant, and there nothing of
the project is imported around it: importing kanbook lets the C library keep memory, and what that
saves must not be given to others. In part "speed" of the benchmark they all share one process, and
that gift. Once more it is given to all, by the variables that GNU's C library has for it.
"""

import importlib
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

import torch
from torch import nn


class Floor(nn.Module):
    """One dense product, with as many coefficients."""

    def __init__(self, inputs, outputs, grid_size):
        super().__init__()
        self.functions = grid_size + 3
        self.linear = nn.Linear(inputs * self.functions, outputs)

    def forward(self, x):
        return self.linear(x.repeat(1, self.functions))


LAYERS = ("floor", "kanbook", "inkan", "flashkan")


def make(layer, inputs, outputs, grid_size):
    if layer == "floor":
        return Floor(inputs, outputs, grid_size)
    silu = {"base": nn.functional.silu} if layer == "kanbook" else {}  # the others have it
    kind = importlib.import_module(layer).KANLayer
    return kind(inputs, outputs, grid_size=grid_size, **silu)


def call(function, module, x, g):
    x.grad = None
    module.zero_grad(set_to_none=True)
    function(x).backward(g)


def measure(layer, compiled, setting, threads, calls):
    """Milliseconds (the median) and page faults of a forward and a backward pass."""
    batch, inputs, outputs, grid_size, _, dtype = setting
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    module = make(layer, inputs, outputs, grid_size).to(getattr(torch, dtype))
    x = (2 * torch.rand(batch, inputs, dtype=getattr(torch, dtype)) - 1).requires_grad_()
    g = torch.randn(batch, outputs, dtype=x.dtype)
    step = partial(call, torch.compile(module) if compiled else module, module, x, g)
    for _ in range(10):
        step()
    seconds, before = [], faults()
    for _ in range(calls):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    per_call = (faults() - before) / calls
    return {"milliseconds": 1e3 * statistics.median(seconds), "faults": per_call}


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


KEPT = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
MEMORY = {"as shipped": {}, "kept": KEPT}


def take_turns(settings, layers=LAYERS, rounds=3, calls=60):
    """Yield a row for each setting, number of threads, memory and contestant: medians of rounds.

    A setting is (batch, inputs, outputs, intervals, degree, dtype) and the number of threads.
    """
    contestants = [(layer, False) for layer in layers]
    contestants += [(layer, True) for layer in layers if layer != "floor"]
    shuffle = random.Random(0)
    with tempfile.TemporaryDirectory() as cache:  # what one process has compiled helps the next
        for (*setting, threads), memory in itertools.product(settings, MEMORY):
            environment = os.environ | MEMORY[memory] | {"TORCHINDUCTOR_CACHE_DIR": cache}
            environment |= {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
            found = {contestant: [] for contestant in contestants}
            for _ in range(rounds):
                for layer, compiled in shuffle.sample(contestants, len(contestants)):
                    job = {"layer": layer, "compiled": compiled, "setting": setting}
                    job = json.dumps(job | {"threads": threads, "calls": calls})
                    command = [sys.executable, __file__, job]
                    result = subprocess.run(
                        command, env=environment, capture_output=True, text=True
                    )
                    if result.returncode == 0:  # else a package is missing, or a compiler
                        found[layer, compiled].append(json.loads(result.stdout))
            for (layer, compiled), several in found.items():
                medians = {
                    name: statistics.median(each[name] for each in several)
                    for name in (several[0] if several else ())
                }
                row = {"setting": setting, "threads": threads, "memory": memory, "layer": layer}
                yield row | {"compiled": compiled} | medians


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
