import itertools

import numpy as np
import pytest

from rcic.errors import UserError
from rcic.pixels.batches.augment import build_sample_transform
from rcic.pixels.batches.crop import Crop, crop_of

NOTHING = {"d4": False, "shear": 0}
IMAGE = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)


@pytest.mark.parametrize(
    ("crop", "start", "message"),
    [
        (None, 32, r"augment\.crop_start is 32, but augment\.crop, its final size, is null"),
        (64, 65, r"augment\.crop_start is 65, must be at most augment\.crop, 64"),
        (64, 0, r"augment\.crop_start is 0, must be a number of pixels"),
        (64, 3.5, r"augment\.crop_start is 3\.5, must be a number of pixels"),
        (True, None, r"augment\.crop is True, must be a number of pixels"),
    ],
)
def test_a_wrong_crop_is_refused(crop, start, message):
    with pytest.raises(UserError, match=message):
        crop_of(crop, start)
    with pytest.raises(UserError, match=message):
        build_sample_transform({"crop": crop, "crop_start": start})


def test_sides_by_hand():
    assert [Crop(224, 512, 4).side(epoch) for epoch in (1, 2, 3, 4)] == [224, 320, 416, 512]
    assert [Crop(32, 96, 5).side(epoch) for epoch in (1, 2, 3, 4, 5)] == [32, 48, 64, 80, 96]
    assert [Crop(50, 100, 3).side(epoch) for epoch in (1, 2, 3)] == [50, 80, 100]


@pytest.mark.parametrize(("start", "end"), [(16, 16), (50, 100), (64, 120), (100, 500), (224, 512), (126, 130)])
@pytest.mark.parametrize("n_epochs", [1, 2, 3, 17])
def test_the_side_grows_from_start_to_end(start, end, n_epochs):
    crop = Crop(start, end, n_epochs)
    sides = [crop.side(epoch) for epoch in range(1, n_epochs + 1)]
    assert sides[-1] == crop.side(n_epochs + 5) == end
    assert n_epochs == 1 or sides[0] == crop.side(0) == start
    assert all(a <= b for a, b in itertools.pairwise(sides))
    step = 32 if end >= 128 else 16
    assert all(side % step == 0 or side in (start, end) for side in sides)


def test_a_transform_s_crop_depends_on_the_epoch_alone():
    transform = build_sample_transform({**NOTHING, "crop": 64, "crop_start": 32}, seed=1, n_epochs=3)
    sizes = [{transform(IMAGE, epoch, row).shape for row in range(5)} for epoch in (1, 2, 3, 4)]
    assert sizes == [{(2, 32, 32)}, {(2, 48, 48)}, {(2, 64, 64)}, {(2, 64, 64)}]


def test_without_a_start_the_crop_never_changes():
    settings = {**NOTHING, "crop": 20}
    for epoch in range(4):
        plain, long = (build_sample_transform(settings, 2, n_epochs)(IMAGE, epoch, 7) for n_epochs in (1, 9))
        assert plain.shape == (2, 20, 20)
        assert np.array_equal(plain, long)


def test_a_crop_that_will_be_too_large_is_refused_in_the_first_epoch():
    with pytest.raises(UserError, match=r"augment\.crop 96 is larger than the images, 64 x 64"):
        build_sample_transform({"crop": 96, "crop_start": 32}, n_epochs=10)(IMAGE, 1, 0)
