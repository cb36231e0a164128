"""Chapters use a GPU where there is one: each runs here on a pretended one, with real numbers.

A tensor on the pretended GPU keeps its numbers in the CPU's memory, but says that it is on the
device "meta" (the one besides the CPU that every build of PyTorch knows), and refuses what a tensor
on a GPU refuses: NumPy and Matplotlib, calculations with a tensor that is elsewhere, random numbers
from a generator of the CPU. Trainings are cut short and assertions only computed, not enforced:
what is tested is where the tensors are, in every line of every cell. Left out are notebooks that
set `device` to the CPU, in a line with the reason, and those that have neither a device nor a
network.

The class is a wrapper as PyTorch's notes "Extending PyTorch" describe it, names with _ included.
"""

import re
import sys

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

import evidence
import kanbook
import notebook_files as notebooks
from notebook_files import ROOT, is_tagged

GPU = "meta"
STEPS = 2  # of each training
COUNTS = ("evaluations_at", "seconds_at")
INDEXING = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")


class OnGPU(torch.Tensor):
    """A tensor on the pretended GPU; its numbers are an ordinary tensor."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, numbers):
        options = {"dtype": numbers.dtype, "device": GPU, "requires_grad": numbers.requires_grad}
        shape, strides = numbers.shape, numbers.stride()
        return torch.Tensor._make_wrapper_subclass(cls, shape, strides=strides, **options)

    def __init__(self, numbers):
        self.numbers = numbers

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return run(operation, args, kwargs or {})

    def __format__(self, how):  # PyTorch's own does this, but for its own class only
        return format(self.item(), how) if self.ndim == 0 else super().__format__(how)

    def __deepcopy__(self, memo):
        copy = OnGPU(self.numbers.detach().clone()).requires_grad_(self.requires_grad)
        copy._is_param = getattr(self, "_is_param", False)
        return memo.setdefault(id(self), copy)


class PretendedGPU(TorchDispatchMode):
    """While it is on, tensors made on the device GPU are of the class above."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        is_elsewhere = not types and "device" not in kwargs
        return operation(*args, **kwargs) if is_elsewhere else run(operation, args, kwargs)


def run(operation, args, kwargs):
    """Computes an operation of PyTorch on the numbers; its result is where PyTorch would put it."""
    name = operation._schema.name
    values = tree_leaves((args, kwargs))
    ours = [value for value in values if isinstance(value, OnGPU)]
    goal = kwargs.get("device")
    to_gpu = bool(ours) if goal is None else torch.device(goal).type == GPU
    if name not in ("aten::_to_copy", "aten::copy_"):
        check_places(name, args, values, ours)
    if to_gpu and any(isinstance(value, torch.Generator) for value in values):
        raise RuntimeError(f"{name}: expected a generator on the GPU but found one on the CPU")

    def to_cpu(value):
        return value.numbers if isinstance(value, OnGPU) else value

    known = {id(value.numbers): value for value in ours}  # what an operation changed in place

    def to_place(value):
        if not (to_gpu and isinstance(value, torch.Tensor)):
            return value
        return known[id(value)] if id(value) in known else OnGPU(value)

    kwargs = kwargs | ({"device": torch.device("cpu")} if goal is not None else {})
    result = operation(*tree_map(to_cpu, args), **tree_map(to_cpu, kwargs))
    return args[0] if name == "aten::copy_" else tree_map(to_place, result)


def check_places(name, args, values, ours):
    """Refuses tensors of two places in one operation, but for single numbers and indices."""
    plain = [v for v in values if isinstance(v, torch.Tensor) and not isinstance(v, OnGPU)]
    if name in INDEXING and isinstance(args[0], OnGPU):
        plain = [value for value in plain if not any(value is index for index in args[1])]
    if ours and any(value.ndim for value in plain):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device")


@pytest.fixture
def gpu(monkeypatch):
    """A pretended GPU, on which every optimizer must work, and much shorter trainings."""

    def on_gpu(original):  # on the device "meta" these two would drop the numbers
        def make(data, *, device=None, **options):
            made = original(data, **options)
            return made if device is None else made.to(device)

        return make

    def fit(*args, steps=1000, **options):
        for name in ("update_grid_at", "restart_at"):
            options[name] = {min(step, STEPS) for step in options.get(name, ())}
        sizes = options.get("extend_grid_at") or {}
        options["extend_grid_at"] = {min(step, STEPS): sizes[step] for step in sorted(sizes)}
        history = kanbook.training.fit(*args, steps=min(steps, STEPS), **options)
        for values in (vars(history)[name] for name in ("loss", "validation_loss", *COUNTS)):
            values += values[-1:] * (steps - STEPS)  # as long as it would be
        return history

    def before_step(optimizer, args, kwargs):
        for group in optimizer.param_groups:  # L-BFGS has steps of many iterations
            if "max_iter" in group:
                group["max_iter"] = 1
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        is_network = any(p.ndim > 1 for p in parameters)  # no toy of two numbers
        there = all(isinstance(p, OnGPU) for p in parameters)
        assert there or not is_network, "trained on the CPU, beside a GPU"

    monkeypatch.setattr(torch, "tensor", on_gpu(torch.tensor))
    monkeypatch.setattr(torch, "as_tensor", on_gpu(torch.as_tensor))
    monkeypatch.setattr(kanbook, "fit", fit)
    # Stored runs are made again where they were made, on the CPU.
    same = {"steps": 1, "early": 0.0, "late": 0.0, "identical": True, "changed": []}
    monkeypatch.setattr(evidence, "check", lambda *args, **options: same)
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    monkeypatch.setattr(sys, "path", sys.path[:])
    dtype = torch.get_default_dtype()
    replaces = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # by a tensor of our class
    hook = register_optimizer_step_pre_hook(before_step)
    with PretendedGPU(), matplotlib.rc_context():
        yield torch.device(GPU)
    hook.remove()
    torch.__future__.set_overwrite_module_params_on_conversion(replaces)
    torch.set_default_dtype(dtype)
    plt.close("all")


def portable(source):
    """Code for the pretended GPU: it is there, by another name; assertions are only computed."""
    source = source.replace('"cuda"', f'"{GPU}"').replace("torch.cuda.is_available()", "True")
    return re.sub(r"^( *)assert ", r"\1_ = ", source, flags=re.MULTILINE)


PLACED = re.compile(r"\b(device|nn|model)\b|(KAN|MLP|Layer|Mixture)\(|(?<!splines\.)\bfit\(")


def may_move(path):
    """Whether a notebook has a device or a network, and does not keep to the CPU, with a reason."""
    cells = [cell for cell in notebooks.read(path)["cells"] if cell["cell_type"] == "code"]
    lessons = [cell["source"] for cell in cells if not is_tagged(cell, "setup")]
    keeps = any('device = torch.device("cpu")  #' in source for source in lessons)
    return not keeps and any(PLACED.search(source) for source in lessons)


MOVING = [path for path in notebooks.find() if may_move(path)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # trainings cut short, data out of reach
@pytest.mark.parametrize("path", MOVING, ids=lambda path: str(path.relative_to(ROOT)))
def test_notebook_runs_on_a_gpu(path, gpu, monkeypatch):
    cells = notebooks.read(path)["cells"]
    monkeypatch.chdir(path.parent)
    names = {"__name__": "__main__"}
    for number, cell in enumerate(cells, start=1):
        if cell["cell_type"] == "code":
            exec(compile(portable(cell["source"]), f"{path.name}, cell {number}", "exec"), names)
