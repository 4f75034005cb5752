"""The views of a whole batch at once, on the device that it is on."""

import torch
from torch import Tensor


def warp(images: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the views (B, C, h, w) uint8 of ``images`` (B, C, H, W) uint8 through ``matrices`` (B, 2, 3) float.

    A pixel (x, y) of a view has the colour at ``matrix`` (x, y, 1) of the image, interpolated between its four
    neighbours; beyond its edge the image is mirrored (:class:`rcic.pixels.batches.augment.View`). Where nothing needs
    to be interpolated the result is the CPU's; elsewhere the two round differently and differ by one grey level at
    most.
    """
    height, width = images.shape[2:]
    y, x = torch.meshgrid(*(torch.arange(n, device=images.device, dtype=torch.float64) for n in size), indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], 2).view(-1, 3)  # (h * w, 3)
    places = points @ matrices.to(images.device, torch.float64).mT  # (B, h * w, 2): x, y
    # plain numbers: a tensor made of them would be copied to a GPU, which has to finish its work before
    scaled = [places[..., axis] * (2 / max(side - 1, 1)) - 1 for axis, side in enumerate((width, height))]
    grid = torch.stack(scaled, 2).view(len(images), *size, 2).float()
    views = torch.nn.functional.grid_sample(images.float(), grid, "bilinear", "reflection", align_corners=True)
    return views.round_().to(torch.uint8)
