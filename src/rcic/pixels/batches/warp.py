"""The views of a whole batch at once, on its device."""

import torch
from torch import Tensor


def warp(images: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the views (B, C, h, w) uint8 of ``images`` (B, C, H, W) uint8 through ``matrices`` (B, 2 or 3, 3) float.

    Pixel (x, y) of a view has the value at ``matrix`` (x, y, 1) of the image, interpolated between its four neighbours
    (with three rows the third number divides the others);
    the image is mirrored at its edges (:class:`rcic.pixels.batches.augment.View`). Without interpolation the result is
    equal to the CPU's; otherwise rounding differs, by at most one grey level.
    """
    height, width = images.shape[2:]
    y, x = torch.meshgrid(*(torch.arange(n, device=images.device, dtype=torch.float64) for n in size), indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], 2).view(-1, 3)  # (h * w, 3)
    positions = points @ matrices.to(images.device, torch.float64).mT  # (B, h * w, 2 or 3): x, y
    if positions.shape[2] == 3:
        positions = positions[..., :2] / positions[..., 2:]
    # Plain numbers: a tensor of them would be copied to the GPU, which would have to finish its work first.
    scaled = [positions[..., axis] * (2 / max(side - 1, 1)) - 1 for axis, side in enumerate((width, height))]
    grid = torch.stack(scaled, 2).view(len(images), *size, 2).float()
    views = torch.nn.functional.grid_sample(images.float(), grid, "bilinear", "reflection", align_corners=True)
    return views.round_().to(torch.uint8)
