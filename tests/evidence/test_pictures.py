"""Pictures that packages hold, as functions of where a pixel is."""

import sys

import numpy as np
import pytest
import skimage
import torch
from matplotlib.cbook import get_sample_data
from matplotlib.image import imread
from sklearn.datasets import load_sample_image

from evidence.tasks.pictures import PICTURES, picture
from kanbook import tasks


@pytest.mark.parametrize("size", [16, 64])
@pytest.mark.parametrize("name", PICTURES)
def test_every_picture(name, size):
    inputs, targets = picture(name, size)
    assert torch.equal(inputs, tasks.image(size)[0])
    assert targets.shape == (size * size, 1) and targets.dtype == torch.float32
    assert targets.min() >= 0 and targets.max() <= 1 and targets.std() > 0.01
    assert torch.equal(picture(name, size)[1], targets)


def test_the_pictures_are_different():
    pictures = np.stack([picture(name)[1][:, 0].numpy() for name in PICTURES])
    joint = np.corrcoef(pictures)
    assert len(PICTURES) == 8 and np.abs(joint - np.eye(8)).max() < 0.7


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("camera", skimage.data.camera),
        ("bricks", skimage.data.brick),
        ("cat", lambda: skimage.data.chelsea()[:, 75:375]),
        ("coffee", lambda: skimage.data.coffee()[:, 100:500]),
        ("china", lambda: load_sample_image("china.jpg")[:, 106:533]),
        ("flower", lambda: load_sample_image("flower.jpg")[:, 106:533]),
        ("hopper", lambda: imread(get_sample_data("grace_hopper.jpg", asfileobj=False))[44:556]),
    ],
)
def test_a_pixel_is_the_mean_of_the_luminance_it_covers(name, pixels):
    """Against the packages' own functions, with every pixel cut into n x n of them."""
    grey = pixels() / 255
    if grey.ndim == 3:
        grey = 0.2126 * grey[..., 0] + 0.7152 * grey[..., 1] + 0.0722 * grey[..., 2]
    n = 8
    fine = np.repeat(np.repeat(grey, n, 0), n, 1)
    block = len(grey)  # fine pixels for each of n x n coarse ones
    expected = fine.reshape(n, block, n, block).mean((1, 3))
    _, targets = picture(name, n, dtype=torch.float64)
    np.testing.assert_allclose(targets.view(n, n), expected, atol=1e-12)


def test_bad_input_is_named(monkeypatch):
    with pytest.raises(ValueError, match="name='mandrill'; expected one of portrait, camera"):
        picture("mandrill")
    with pytest.raises(ValueError, match="size=200; expected an integer from 8 to 128"):
        picture("portrait", 200)
    with pytest.raises(TypeError, match=r"dtype=torch.int64"):
        picture("portrait", dtype=torch.int64)
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setattr("evidence.tasks.pictures.read_luminance", tasks.read_luminance.__wrapped__)
    with pytest.raises(ImportError, match="scikit-image is not installed"):
        picture("cat")
