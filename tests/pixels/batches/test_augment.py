import pickle

import numpy as np
import pytest

from rcic.errors import UserError
from rcic.pixels.batches.augment import BATCH_KEYS, EXTRAS, View, build_sample_transform
from rcic.pixels.batches.d4 import d4_matrix, d4_view
from rcic.pixels.batches.geometry import Drawn, image_matrix

IMAGE = np.random.default_rng(0).integers(0, 256, (5, 32, 32), dtype=np.uint8)
WIDE = np.ascontiguousarray(IMAGE[:, :20])
D4 = {"d4": True, "shear": 0}
NOTHING = {"d4": False, "shear": 0}


def views(settings, image=IMAGE, n=60):
    return [build_sample_transform(settings, seed=3)(image, 0, row) for row in range(n)]


def test_the_eight_views_are_eight_permutations():
    numbers = np.arange(9).reshape(3, 3)
    seen = {tuple(d4_view(numbers, view).ravel()) for view in range(8)}
    turns = [np.rot90(flip, turn) for flip in (numbers, numbers.T) for turn in range(4)]
    assert seen == {tuple(turn.ravel()) for turn in turns}
    assert np.array_equal(d4_view(numbers, 0), numbers)


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize(("corner", "size"), [((0, 0), (32, 32)), ((3, 20), (10, 12))])
def test_the_warp_of_a_view_is_the_view(number, corner, size):
    matrix = image_matrix(Drawn(d4_matrix(number)), (32, 32), corner)
    warped, cut = np.zeros((2, 5, *size), np.uint8)
    View(matrix, size).of(IMAGE, warped)
    View(matrix, size, number, corner).of(IMAGE, cut)
    (top, left), (height, width) = corner, size
    assert np.array_equal(cut, d4_view(IMAGE, number)[:, top : top + height, left : left + width])
    assert np.array_equal(warped, cut)


def test_d4_shows_every_view_and_nothing_else():
    known = {d4_view(IMAGE, view).tobytes() for view in range(8)}
    assert {view.tobytes() for view in views(D4)} == known
    kept = {d4_view(WIDE, view).tobytes() for view in range(4)}  # an oblong image is not transposed
    assert {view.tobytes() for view in views(D4, WIDE)} == kept


@pytest.mark.parametrize("settings", [{}, {"scale": (0.8, 1.2)}, {"extra": ["gamma", "erase"]}, D4])
@pytest.mark.parametrize("image", [IMAGE, WIDE])
def test_shape_and_type_stay(settings, image):
    for view in views(settings, image, n=8):
        assert view.shape == image.shape
        assert view.dtype == np.uint8
        assert view.flags.c_contiguous


def test_the_image_itself_is_left_alone():
    image = IMAGE.copy()
    views({"extra": list(EXTRAS), "scale": [0.9, 1.1]}, image, n=8)
    assert np.array_equal(image, IMAGE)


def test_all_channels_get_the_same_geometry():
    same = np.repeat(IMAGE[:1], 5, axis=0)
    for view in views({"scale": [0.7, 1.3], "crop": 20}, same, n=8):
        assert (view == view[0]).all()


def test_shear_moves_rows_by_the_tangent():
    line = np.zeros((1, 41, 41), np.uint8)
    line[:, :, 20] = 255
    for row in range(10):
        view = build_sample_transform({"d4": False, "shear": 20})(line, 0, row)
        centres = view[0].argmax(axis=1)  # of the sheared line, row by row
        assert centres[20] == 20
        slopes = (centres[0] - 20, 20 - centres[40])
        assert abs(slopes[0] - slopes[1]) <= 1
        assert abs(slopes[0]) <= 20 * np.tan(np.radians(20)) + 1


def test_zoom_magnifies_about_the_centre():
    square = np.zeros((1, 41, 41), np.uint8)
    square[:, 16:25, 16:25] = 200  # 9 x 9
    view = build_sample_transform({**NOTHING, "scale": [2.0, 2.0]})(square, 0, 0)
    rows, columns = np.nonzero(view[0] > 100)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 28, 12, 28)  # 17 = 2 * 8 + 1


def test_crop_takes_a_window():
    windows = {IMAGE[:, top : top + 30, left : left + 30].tobytes() for top in range(3) for left in range(3)}
    assert {view.tobytes() for view in views({**NOTHING, "crop": 30}, n=100)} == windows
    with pytest.raises(UserError, match=r"augment\.crop 33 is larger than the images, 32 x 32"):
        build_sample_transform({"crop": 33})(IMAGE, 0, 0)


@pytest.mark.parametrize("extra", [[], list(EXTRAS)])
def test_same_seed_epoch_and_row_same_pixels(extra):
    settings = {"scale": [0.9, 1.1], "extra": extra}
    first, second = (
        build_sample_transform(settings, seed=1),
        pickle.loads(pickle.dumps(build_sample_transform(settings, seed=1))),
    )
    other = [second(IMAGE, epoch, row) for epoch in (1, 0) for row in (2, 1, 0)][::-1]
    views = [first(IMAGE, epoch, row) for epoch in (0, 1) for row in (0, 1, 2)]
    assert all(np.array_equal(a, b) for a, b in zip(views, other, strict=True))
    assert len({view.tobytes() for view in views}) == 6
    assert not np.array_equal(build_sample_transform(settings, seed=2)(IMAGE, 0, 0), views[0])


@pytest.mark.parametrize("name", EXTRAS)
def test_every_extra_changes_pixels_of_six_channels(name):
    image = np.random.default_rng(1).integers(0, 200, (6, 24, 24), dtype=np.uint8)
    changed = [not np.array_equal(view, image) for view in views({**NOTHING, "extra": [name]}, image, n=20)]
    assert 0 < sum(changed) < 20


def test_nothing_to_do_is_no_transform():
    assert build_sample_transform(NOTHING) is None
    assert (
        build_sample_transform({**NOTHING, "scale": [1, 1], "crop": None, "channel_dropout": 0.5, "extra": ()}) is None
    )
    assert build_sample_transform({**NOTHING, **dict.fromkeys(BATCH_KEYS, 0.5)}) is None
    assert build_sample_transform({**NOTHING, "extra": ["gamma"]}) is not None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shera": 3}, "unknown key 'shera'; did you mean 'shear'"),
        ({"mixpu": 3}, "unknown key 'mixpu'; did you mean 'mixup'"),
        ({"shear": -1}, r"augment\.shear is -1"),
        ({"shear": 60}, r"augment\.shear is 60"),
        ({"scale": [1.2, 0.8]}, r"augment\.scale is \[1\.2, 0\.8\]"),
        ({"scale": [0, 1]}, r"augment\.scale"),
        ({"scale": [1]}, r"augment\.scale"),
        ({"crop": 0}, r"augment\.crop is 0"),
        ({"crop": 2.5}, r"augment\.crop is 2\.5"),
        ({"extra": ["gama"]}, r"augment\.extra: 'gama' is none of .*did you mean 'gamma'"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(UserError, match=message):
        build_sample_transform(settings)


@pytest.mark.parametrize("n_channels", range(1, 7))
def test_channels_warped_together_are_those_warped_alone(n_channels):
    image = np.random.default_rng(0).integers(0, 256, (n_channels, 40, 52), dtype=np.uint8)
    view = build_sample_transform({"shear": 12.0, "scale": [0.8, 1.2]}).view((40, 52), 1, 3)
    assert view.number is None
    together, alone = np.empty_like(image), np.empty_like(image)
    view.of(image, together)
    for channel, out in zip(image, alone, strict=True):
        view.of(channel[None], out[None])
    assert np.array_equal(together, alone)
