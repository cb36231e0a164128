"""What tests of many files share."""

import copy
import warnings

import numpy as np
import pytest
import torch

import programs


def needs(*names):
    """A mark: a test is skipped where one of these programs is missing, and says how to get it."""
    missing = [name for name in names if not programs.find(name)]
    return pytest.mark.skipif(bool(missing), reason=programs.how_to_get(missing))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


def assert_close(actual, expected, atol=1e-12):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def shaken(model, seed=5, size=0.3):
    """The model, each of its numbers moved at random: no line, no option without effect is left."""
    numbers = generator(seed)
    with torch.no_grad():
        for p in model.parameters():
            p += size * torch.randn(p.shape, generator=numbers, dtype=torch.float64).to(p)
    return model


def assert_gradients(model, x, twice=True):
    """Gradients in x and in every parameter equal finite differences, and so do their own."""
    names, values = zip(*model.named_parameters(), strict=True)
    arguments = [value.detach().clone().requires_grad_() for value in (x, *values)]

    def function(x, *values):
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(function, arguments)
    assert not twice or torch.autograd.gradgradcheck(function, arguments)


def assert_compiles(model, *batches):
    """Inside torch.compile, in one graph, values and gradients are the same."""
    compiled = torch.compile(copy.deepcopy(model), backend="aot_eager", fullgraph=True)
    for x in batches:
        x.requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's own
            results = compiled(x)
        expected = model(x)
        torch.testing.assert_close(results, expected, rtol=0, atol=1e-12)
        (a,), (b,) = (torch.autograd.grad(y.square().sum(), x) for y in (results, expected))
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def assert_transforms(model, x):
    """By torch.func and in forward mode, the Jacobian is that of plain autograd."""
    expected = torch.autograd.functional.jacobian(lambda v: model(v).sum(0), x).transpose(0, 1)
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        assert_close(torch.func.vmap(transform(model))(x).detach(), expected)
    with torch.autograd.forward_ad.dual_level():
        dual = model(torch.autograd.forward_ad.make_dual(x, torch.ones_like(x)))
        slope = torch.autograd.forward_ad.unpack_dual(dual).tangent
    assert_close(slope.detach(), expected.sum(-1))


def kept_bytes(function):
    """What a forward pass gives, and how many bytes it keeps for the backward pass."""
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        return function(), sum(kept.values())


def shaded(ax):
    """The gray ranges of x, rounded."""
    boxes = (patch.get_extents().transformed(ax.transData.inverted()) for patch in ax.patches)
    return [(round(box.x0, 3), round(box.x1, 3)) for box in boxes]
