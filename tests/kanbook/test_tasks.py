"""What networks learn: curves, the image, its encoding, formulas; and decibels."""

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from kanbook import tasks

PORTRAIT = imread(Path(tasks.__file__).with_name("portrait.png")).astype("float64")


@pytest.mark.parametrize("name", tasks.FUNCTIONS_1D)
def test_functions_1d(name):
    x, y = tasks.function_1d(name, 500, dtype=torch.float64)
    assert x.shape == y.shape == (500, 1) and x.dtype == y.dtype == torch.float64
    assert x[0] == -1 and x[-1] == 1 and y.abs().max() <= 1


def test_zigzag_is_straight_between_its_corners():
    points = np.concatenate([np.linspace(-1, 1, 999), tasks.ZIGZAG_X])
    expected = np.interp(points, tasks.ZIGZAG_X, tasks.ZIGZAG_Y)
    np.testing.assert_allclose(tasks.zigzag(torch.tensor(points)), expected, atol=1e-12)


@pytest.mark.parametrize("size", [8, 31, 64, 127, 128])
def test_an_image_of_any_size_keeps_the_mean(size):
    inputs, targets = tasks.image(size, dtype=torch.float64)
    assert inputs.shape == (size * size, 2) and targets.shape == (size * size, 1)
    assert targets.min() >= 0 and targets.max() <= 1 and inputs.abs().max() < 1
    assert targets.mean().item() == pytest.approx(PORTRAIT.mean(), abs=1e-12)


def test_a_pixel_that_covers_parts_of_others():
    """100 pixels of 1.28 each, in one direction and then the other, by numerical integration."""
    fine = np.repeat(np.repeat(PORTRAIT, 25, 0), 25, 1)  # 32 fine pixels for each of the 100
    expected = fine.reshape(100, 32, 100, 32).mean((1, 3))
    _, targets = tasks.image(100, dtype=torch.float64)
    np.testing.assert_allclose(targets.view(100, 100), expected, atol=1e-12)


def test_orientation_of_the_image():
    """Rows of inputs are pixels in reading order: x to the right, y down, centers of pixels."""
    inputs, targets = tasks.image(128, dtype=torch.float64)
    for row, column in [(0, 0), (0, 127), (127, 0), (90, 17)]:
        x, y = (2 * column + 1) / 128 - 1, (2 * row + 1) / 128 - 1
        index = row * 128 + column
        assert inputs[index].tolist() == pytest.approx([x, y], abs=1e-15)
        assert targets[index].item() == PORTRAIT[row, column]


def test_an_image_is_the_callers_own():
    before = tasks.image(8)[1].clone()
    tasks.image(8)[1].zero_()
    tasks.image(128, dtype=torch.float64)[1].zero_()
    assert torch.equal(tasks.image(8)[1], before)


@pytest.mark.parametrize("shape", [(3,), (5, 2), (2, 3, 4)])
@pytest.mark.parametrize("n", [1, 4])
def test_encoding_is_the_explicit_loop(shape, n):
    x = 2 * torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) - 1
    before = x.clone()
    encoded = tasks.positional_encoding(x, n)
    assert encoded.shape == (*shape[:-1], 2 * n * shape[-1]) and encoded.dtype == x.dtype
    for place in np.ndindex(*shape[:-1]):
        expected = []
        for d in range(shape[-1]):
            for f in range(n):
                angle = 2**f * math.pi * x[place][d].item()
                expected += [math.sin(angle), math.cos(angle)]
        assert encoded[place].tolist() == pytest.approx(expected, abs=1e-13)
    assert torch.equal(x, before)


BY_HAND = {
    "product": lambda x, y: x * y,
    "exp_sine": lambda x, y: math.exp(math.sin(math.pi * x) + y * y),
    "deep": lambda a, b, c, d: math.exp(
        (math.sin(math.pi * (a * a + b * b)) + math.sin(math.pi * (c * c + d * d))) / 2
    ),
}


@pytest.mark.parametrize("name", tasks.FORMULAS)
def test_formulas_by_hand(name):
    inputs, targets = tasks.formula(name, 50, dtype=torch.float64, generator=1)
    assert targets.shape == (50, 1) and inputs.shape[0] == 50
    assert inputs.abs().max() <= 1 and inputs.min() < -0.8 and inputs.max() > 0.8
    for point, value in zip(inputs.tolist(), targets.squeeze(-1).tolist(), strict=True):
        assert value == pytest.approx(BY_HAND[name](*point), rel=1e-13)


@pytest.mark.parametrize(
    "make",
    [partial(tasks.image, 16)]
    + [partial(tasks.formula, name, 30, generator=3) for name in tasks.FORMULAS],
    ids=["image", *tasks.FORMULAS],
)
def test_samples_are_the_same_for_every_dtype(make):
    for single, double in zip(make(dtype=torch.float32), make(dtype=torch.float64), strict=True):
        assert single.dtype == torch.float32 and torch.equal(single, double.float())


def test_points_come_from_the_generator():
    state = torch.get_rng_state()
    generator = torch.Generator().manual_seed(5)
    first, second = (tasks.formula("deep", 10, generator=generator)[0] for _ in range(2))
    again = tasks.formula("deep", 10, generator=5)[0]
    assert torch.equal(first, again) and not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    tasks.formula("deep", 10)  # without one, the global one
    assert not torch.equal(torch.get_rng_state(), state)


def test_psnr():
    assert [tasks.psnr(loss) for loss in (1, 0.1, 1e-4)] == pytest.approx([0, 10, 40])
    assert tasks.psnr(0) == math.inf
    assert tasks.psnr(math.inf) == -math.inf  # of a stored run that diverged
    assert tasks.psnr(np.float64(0.01)) == pytest.approx(20)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: tasks.function_1d("sawtooth"), ValueError, "name='sawtooth'.*zigzag"),
        (lambda: tasks.function_1d("zigzag", 1), ValueError, "n=1"),
        (lambda: tasks.image(7), ValueError, "size=7; expected an integer from 8 to 128"),
        (lambda: tasks.positional_encoding(torch.zeros(3), 0), ValueError, "n_frequencies=0"),
        (lambda: tasks.formula("quotient"), ValueError, "name='quotient'.*of product, exp_sine"),
        (lambda: tasks.psnr(-1e-9), ValueError, "loss=-1e-09"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
