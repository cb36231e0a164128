"""What tests of many files share."""

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
