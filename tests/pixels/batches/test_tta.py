import numpy as np
import pytest
import torch

from rcic.errors import UserError
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.d4 import d4_view
from rcic.pixels.batches.tta import CROPS, D4, d4_batch, views

X = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
WIDE = X[:, :, :6]


@pytest.mark.parametrize(
    ("names", "crop", "message"),
    [
        (["hfilp"], None, r"predict\.tta: 'hfilp' is none of identity, .*did you mean 'hflip'"),
        (["identity", "crops"], None, r"predict\.tta: crops have the size of augment\.crop, which is null"),
        (["crops"], 9, r"predict\.tta: crops of augment\.crop 9 are larger than the images, 8 x 8 pixels"),
    ],
)
def test_wrong_views_are_refused_at_once(names, crop, message):
    with pytest.raises(UserError, match=message):
        views(X, names, crop)


@pytest.mark.parametrize("number", range(8))
def test_a_tensor_s_view_is_the_array_s(number):
    for x in (X, WIDE):
        assert np.array_equal(d4_batch(x, number).numpy(), d4_view(x.numpy(), number))


def test_the_names_say_what_is_done():
    image = np.arange(6).reshape(1, 1, 2, 3)
    wanted = {
        "identity": image[0, 0],
        "hflip": np.fliplr(image[0, 0]),
        "vflip": np.flipud(image[0, 0]),
        "rot180": np.rot90(image[0, 0], 2),
        "transpose": image[0, 0].T,
        "rot90": np.rot90(image[0, 0]),
        "rot270": np.rot90(image[0, 0], 3),
        "transverse": np.rot90(image[0, 0], 2).T,
    }
    assert set(wanted) == set(D4)
    for name, view in zip(wanted, views(torch.from_numpy(image), list(wanted)), strict=True):
        assert np.array_equal(view[0, 0], wanted[name])


def test_crops_are_the_corners_and_the_middle():
    a, b, c, d, middle = views(X, [CROPS], 4)
    assert torch.equal(torch.cat([torch.cat([a, b], 3), torch.cat([c, d], 3)], 2), X)
    assert torch.equal(middle, X[:, :, 2:6, 2:6])
    assert all(view.shape == (2, 3, 6, 6) for view in views(WIDE, [CROPS], 6))


def test_a_crop_of_the_image_s_size_is_the_image_once():
    (only,) = views(X, [CROPS], 8)
    assert torch.equal(only, X)


def test_the_order_of_names_is_the_order_of_views():
    first, second = views(X, ["vflip", "identity"])
    assert torch.equal(first, X.flip(2))
    assert torch.equal(second, X)


def test_crops_of_the_pixels_are_normalised_one_by_one_as_in_training():
    """Cut from the normalised image, a crop of its dark half would be dark."""
    pixels = torch.randint(0, 20, (2, 3, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    pixels[:, :, :, 4:] += 100
    identity, *crops = views(normalize(pixels), ["identity", CROPS], 4, pixels)
    assert torch.equal(identity, normalize(pixels)) and len(crops) == 5
    assert torch.equal(crops[1], normalize(pixels[:, :, :4, 4:].contiguous()))
    for crop in crops:
        assert crop.mean((2, 3)).abs().max() < 1e-5
    assert views(normalize(pixels), [CROPS], 4).__next__().mean() < -0.5
