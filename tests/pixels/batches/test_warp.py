import numpy as np
import pytest
import torch

from rcic.pixels.batches.augment import View, build_sample_transform
from rcic.pixels.batches.warp import warp

SMOOTH = np.add.outer(np.arange(40), 2 * np.arange(40)).astype(np.uint8)[None, None]
NOISE = np.random.default_rng(0).integers(0, 256, (6, 3, 33, 33), dtype=np.uint8)


def both(images: np.ndarray, settings: dict, epoch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the views of images (B, C, H, W) that the CPU makes one by one and those of the whole batch."""
    transform, shape = build_sample_transform(settings, seed=7), images.shape[2:]
    one_by_one = np.stack([transform(image, epoch, row) for row, image in enumerate(images)])
    matrices = np.stack([transform.view(shape, epoch, row).matrix for row in range(len(images))])
    return torch.from_numpy(one_by_one), warp(
        torch.from_numpy(images), torch.from_numpy(matrices), transform.size(shape, epoch)
    )


@pytest.mark.parametrize("settings", [{"shear": 0}, {"shear": 0, "crop": 16}, {"d4": False, "shear": 0, "crop": 20}])
@pytest.mark.parametrize("images", [NOISE, np.ascontiguousarray(NOISE[:, :, :, :25])])
def test_flips_turns_and_crops_are_the_same_bytes(settings, images):
    cpu, device = both(images, settings)
    assert torch.equal(cpu, device)


@pytest.mark.parametrize("settings", [{"shear": 10}, {"shear": 30, "scale": [0.7, 1.4]}, {"shear": 10, "crop": 16}])
def test_interpolated_pixels_differ_by_one_grey_level_at_most(settings):
    cpu, device = both(np.concatenate([NOISE] * 4), settings)
    gap = (cpu.int() - device.int()).abs()
    assert gap.max() <= 1
    assert (gap == 0).float().mean() > 0.9


def test_the_place_of_a_pixel_is_the_matrix_applied():
    matrix = torch.tensor([[[1.0, 0.0, 3.5], [0.0, 1.0, 2.0]]])
    view = warp(torch.from_numpy(SMOOTH), matrix, (4, 5))[0, 0].numpy()
    x, y = np.meshgrid(np.arange(5) + 3.5, np.arange(4) + 2.0)
    assert np.array_equal(view, np.round(y + 2 * x))


def test_beyond_the_edge_the_image_is_mirrored():
    matrix = np.array([[1.0, 0.0, -2.0], [0.0, 1.0, 0.0]])
    out = np.zeros((1, 3, 5), np.uint8)
    View(matrix, (3, 5)).of(SMOOTH[0], out)
    view = warp(torch.from_numpy(SMOOTH), torch.from_numpy(matrix)[None], (3, 5))
    assert np.array_equal(out, SMOOTH[0, :, :3, [2, 1, 0, 1, 2]].transpose(1, 2, 0))
    assert torch.equal(view[0], torch.from_numpy(out))


def test_no_numbers_are_sent_to_the_device(monkeypatch):
    """It would have to finish all its work before."""
    images, matrices = torch.from_numpy(NOISE), torch.eye(2, 3).expand(len(NOISE), -1, -1)
    monkeypatch.setattr(
        "rcic.pixels.batches.warp.torch.tensor", lambda *words, **more: pytest.fail("a tensor of numbers")
    )
    assert torch.equal(warp(images, matrices, NOISE.shape[2:]), images)
