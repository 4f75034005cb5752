"""The drawn geometry: chances and ranges over many draws, and what it does to pixels."""

import numpy as np
import pytest
import torch

from rcic.errors import UserError
from rcic.pixels.batches.augment import View, build_sample_transform
from rcic.pixels.batches.geometry import Drawn, Geometry, geometry_of, image_matrix
from rcic.pixels.batches.warp import warp

OFF = {"d4": False, "shear": 0.0}
N = 2000
LOOSE = 4 * np.sqrt(0.25 / N)  # four standard errors of a share


def drawn(settings, shape=(32, 32)):
    geometry, rng = geometry_of({**OFF, **settings}), np.random.default_rng(0)
    return [geometry.draw(rng, shape) for _ in range(N)]


def angles(draws):
    return np.degrees([np.arctan2(draw.linear[1, 0], draw.linear[0, 0]) for draw in draws])


@pytest.mark.parametrize(
    ("settings", "chance"),
    [
        ({"shear": 10, "shear_p": 0.5}, 0.5),
        ({"scale": [1.0, 1.1], "scale_p": 0.75}, 0.75),
        ({"rotate": 90, "rotate_p": 0.75}, 0.75),
        ({"warp": 0.2, "warp_p": 0.25}, 0.25),
        ({"shear": 10, "shear_p": 0.5, "scale": [1.0, 1.1], "scale_p": 0.5}, 0.75),
        ({"shear": 10, "shear_p": 0}, 0),
        ({"rotate": 10}, 1),
    ],
)
def test_a_change_has_its_chance_and_an_unchanged_view_is_not_interpolated(settings, chance):
    changed = np.mean([draw.number is None for draw in drawn(settings)])
    assert abs(changed - chance) <= (LOOSE if 0 < chance < 1 else 0)


def test_shear_and_zoom_keep_their_ranges_when_they_happen():
    shears = np.array([draw.linear[0, 1] for draw in drawn({"shear": 10, "shear_p": 0.5}) if draw.number is None])
    assert np.abs(shears).max() <= np.tan(np.radians(10)) and np.abs(shears).max() > 0.17
    zooms = np.array([1 / draw.linear[0, 0] for draw in drawn({"scale": [1.0, 1.1], "scale_p": 0.75})])
    assert zooms.max() <= 1.1 and abs(zooms[zooms > 1].mean() - 1.05) < 0.005


def test_angles_are_uniform_both_ways():
    turned = angles(drawn({"rotate": 90}))
    assert -90 <= turned.min() < -88 and 88 < turned.max() <= 90
    assert abs(turned.mean()) < 4 * 52 / np.sqrt(N) and abs(turned.std() - 180 / np.sqrt(12)) < 2


def test_a_rotation_keeps_lengths_and_turns_the_image():
    line = np.zeros((1, 41, 41), np.uint8)
    line[:, 20] = 255  # horizontal
    for row in range(8):
        transform = build_sample_transform({**OFF, "rotate": 30}, seed=1)
        angle = angles([Drawn(transform.view((41, 41), 0, row).matrix[:, :2])])[0]
        y, x = np.nonzero(transform(line, 0, row)[0, 8:33, 8:33] > 100)
        slope = np.polyfit(x, y, 1)[0]
        assert abs(np.degrees(np.arctan(slope)) + angle) < 2
        assert np.linalg.det(transform.view((41, 41), 0, row).matrix[:, :2]) == pytest.approx(1)


def test_the_corners_are_mirrored_not_black():
    bright = np.full((2, 33, 33), 200, np.uint8)
    for row in range(5):
        for settings in ({"rotate": 180}, {"warp": 0.4}, {"rotate": 45, "warp": 0.2, "scale": [0.5, 0.5]}):
            assert (build_sample_transform({**OFF, **settings})(bright, 0, row) == 200).all()


def test_a_warp_moves_the_ends_of_each_side_alike():
    """fastai: the view's points (+-1 +- m) show the image's corners; with m all 0 nothing moves."""
    shape = (40, 60)
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * [30, 20]
    for draw in drawn({"warp": 0.2}, shape)[:50]:
        moved = np.linalg.inv(draw.perspective) @ np.column_stack([corners, np.ones(4)]).T
        x, y = moved[:2] / moved[2] / [[30], [20]]
        assert y[0] + y[1] == pytest.approx(0, abs=1e-9) and y[2] + y[3] == pytest.approx(0, abs=1e-9)
        assert x[0] + x[2] == pytest.approx(0, abs=1e-9) and x[1] + x[3] == pytest.approx(0, abs=1e-9)
        assert np.abs(np.abs([*x, *y]) - 1).max() <= 0.2 + 1e-9
    assert np.allclose(drawn({"warp": 1e-12})[0].perspective, np.eye(3), atol=1e-9)


@pytest.mark.parametrize("settings", [{"warp": 0.3}, {"warp": 0.2, "warp_p": 0.5, "rotate": 90, "crop": 16}])
def test_the_device_warps_a_perspective_as_the_cpu_does(settings):
    y, x = np.mgrid[:33, :33]
    image = np.stack([128 + 60 * np.sin(x / 5) + 60 * np.cos(y / 7), 3 * x + 2 * y, 2 * y]).astype(np.uint8)
    transform = build_sample_transform({"d4": True, "shear": 10, "shear_p": 0.5, **settings}, seed=7)
    n = 24
    cpu = np.stack([transform(image, 1, row) for row in range(n)])
    matrices = np.stack([transform.view((33, 33), 1, row).matrix for row in range(n)])
    images = torch.from_numpy(np.stack([image] * n))
    device = warp(images, torch.from_numpy(matrices), transform.size((33, 33), 1)).numpy()
    gap = np.abs(cpu.astype(int) - device)
    assert gap.max() <= 2 and (gap <= 1).mean() > 0.99


def test_a_perspective_without_a_perspective_is_the_affine_map():
    linear, shape, corner = np.array([[0.9, 0.1], [-0.1, 1.1]]), (30, 40), (3, 5)
    flat, tall = (image_matrix(Drawn(linear, bend), shape, corner) for bend in (None, np.eye(3)))
    assert np.allclose(np.vstack([flat, [0, 0, 1]]), tall)
    image, outs = np.random.default_rng(0).integers(0, 256, (5, *shape), dtype=np.uint8), np.zeros((2, 5, 20, 20))
    outs = outs.astype(np.uint8)
    View(flat, (20, 20)).of(image, outs[0])
    View(tall, (20, 20)).of(image, outs[1])
    assert np.array_equal(outs[0], outs[1])


def test_keys_that_are_off_leave_the_old_draws_alone():
    old, new = Geometry(), Geometry(rotate_p=0.3, warp_p=0.1)
    for seed in range(5):
        one, other = (geometry.draw(np.random.default_rng(seed), (8, 8)) for geometry in (old, new))
        assert np.array_equal(one.linear, other.linear) and one.perspective is other.perspective is None


def test_an_unknown_draw_is_named():
    with pytest.raises(
        UserError, match=r"augment\.d4_draw: 'turn_flips' is none of uniform, .*; did you mean 'turns_flips'"
    ):
        geometry_of({"d4_draw": "turn_flips"})
