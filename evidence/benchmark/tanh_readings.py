"""The part "tanh" of the benchmark: seconds of a training step of chapter 12's networks.

A step is a forward and a backward pass and an update by Adam, on a whole batch. Ratios say
something within one framework only: Tinygrad compiles a step as a whole, PyTorch runs it piece by
piece. Tinygrad's networks are written here, as plain functions of lists of arrays.
"""

from itertools import pairwise

import torch
from torch import nn

from evidence import settings
from evidence.runs import trials

BATCH, SIZE = 1024, 2600  # samples, parameters
SUM = "tanh after the sum"  # whose time is 1
FAMILIES = {
    "MLP": settings.mlp(),
    SUM: settings.tanh(False, tanh="sum"),
    "tanh on every edge": settings.tanh(False),
    "tanh at the node": settings.mlp(model="node-tanh"),
    "KAN": settings.kan(5),
    "naive KAN": settings.kan(5, model="naive-kan"),
    "soft KAN": settings.kan(5, model="soft-kan"),
    "PyKAN": settings.kan(5, spline_weight=True, base="silu"),  # as many numbers an edge
}
IN_TINYGRAD = ("MLP", SUM, "tanh on every edge", "soft KAN")
ENVIRONMENT = {"DEV": "CPU", "NUM_CPU_THREADS": "1"}  # Tinygrad's, before it is imported


def steps():
    """Framework, name, and a function that makes the network, and from it its step."""
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(BATCH, 16, generator=generator) - 1
    y = torch.randn(BATCH, 1, generator=generator)
    for name in FAMILIES:
        yield "PyTorch", name, lambda name=name: torch_step(name, x, y)
    for name in IN_TINYGRAD:
        yield "Tinygrad", name, lambda name=name: tinygrad_step(name, x.numpy(), y.numpy())


def widths_of(name):
    return settings.sized(settings.image(32, 1) | FAMILIES[name], SIZE, 2)["widths"]


def torch_step(name, x, y):
    """A function that makes one step with PyTorch, and the network's number of parameters."""
    widths = widths_of(name)
    if name == "PyKAN":
        from kan import KAN

        # As its own `fit` runs it: without the symbolic branch, without a record of activations.
        options = {"symbolic_enabled": False, "save_act": False, "auto_save": False}
        model = KAN(widths, grid=5, k=3, seed=0, **options)
        trained = [p for name, p in model.named_parameters() if "symbolic" not in name]
    else:
        network = FAMILIES[name] | {"widths": widths, "dtype": "float32"}
        model = trials.make_model(network, generator=0)
        trained = list(model.parameters())
    trained = [p for p in trained if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-4)

    def step():
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()

    return step, sum(p.numel() for p in trained)


# --- the same in Tinygrad: layers, with a tanh or, as the last of some, without ----------------


def parabola(x, a, b, tanh):
    y = (x * x) @ a + x @ b
    return y.tanh() if tanh else y


def edge(x, a, b, tanh):
    x = x.unsqueeze(-1)
    return (a * x * x + b * x).tanh().sum(1)


def linear(x, weight, bias, tanh):
    y = x @ weight + bias
    return y.tanh() if tanh else y


def soft_basis(x, grid_size=5, degree=3):
    """(N, I) to (N, I, n): soft boxes between neighboring knots, then Cox and de Boor's sums."""
    from tinygrad import Tensor

    step = 2 / grid_size
    knots = [-1 + step * j for j in range(-degree, grid_size + degree + 1)]
    t, x = Tensor(knots), x.unsqueeze(-1)
    found = ((x - t[:-1]) * 4).sigmoid() * ((t[1:] - x) * 4).sigmoid()
    for k in range(1, degree + 1):
        rising = (x - t[: -k - 1]) * found[..., :-1]
        falling = (t[k + 1 :] - x) * found[..., 1:]
        found = (rising + falling) / (k * step)
    return found


def soft_spline(x, coef, tanh):
    functions = soft_basis(x)
    inputs, outputs, n = coef.shape
    return functions.reshape(-1, inputs * n) @ coef.permute(0, 2, 1).reshape(-1, outputs)


# And the shapes of their numbers.
LAYERS = {
    "MLP": (linear, lambda i, o: [(i, o), (o,)]),
    SUM: (parabola, lambda i, o: [(i, o)] * 2),
    "tanh on every edge": (edge, lambda i, o: [(i, o)] * 2),
    "soft KAN": (soft_spline, lambda i, o: [(i, o, 8)]),
}


def tinygrad_step(name, x, y):
    """A function that makes one step with Tinygrad, and the network's number of parameters."""
    from tinygrad import Context, Tensor, TinyJit
    from tinygrad.nn.optim import Adam

    Tensor.manual_seed(0)
    layer, shapes = LAYERS[name]
    layers = [
        [(Tensor.randn(*shape) / i**0.5).realize() for shape in shapes(i, o)]
        for i, o in pairwise(widths_of(name))
    ]
    trained = sum(layers, [])
    optimizer = Adam(trained, lr=1e-4)
    x, y = Tensor(x).realize(), Tensor(y).realize()

    @TinyJit
    def compiled():
        found = x
        for n, numbers in enumerate(layers, start=1):
            found = layer(found, *numbers, tanh=n < len(layers))
        optimizer.zero_grad()
        loss = (found - y).square().mean().backward()
        return loss.realize(*optimizer.schedule_step())

    def step():
        with Context(TRAINING=1):
            return compiled().item()  # waits until it is done

    return step, sum(numbers.numel() for numbers in trained)
