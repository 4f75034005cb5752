"""What is done to a whole batch on its compute device: normalise, then augment.

Nothing here waits for the device: boxes and factors are tensors, drawn and applied where the batch is.
"""

import math
from collections.abc import Mapping
from typing import Any

import cv2
import torch
from torch import Tensor

from rcic.pixels.batches.scratch import Lender

_CONSTANT = 1e-4  # below any uint8 image that is not constant: one grey level in one of 10^8 pixels
_ERASED = (0.02, 0.2)  # share of the image's area
_OBLONG = 0.3  # least ratio of an erased box's sides
_LENDER = Lender()


def normalize(batch: Tensor, stats: Tensor | None = None) -> Tensor:
    """Return (B, C, H, W) float32 with mean 0 and variance 1 in every image and channel; float64 stays float64.

    ``batch`` is (B, C, H, W) uint8 (or float), on any device; a constant channel becomes 0. ``stats`` (B, C, 2)
    are mean and standard deviation, in grey levels, to be used for the image's own: those of its plate, say
    (:func:`rcic.pixels.batches.stats.group_stats`). On a GPU the own standard deviation is taken as the norm of the
    centred pixels, on a CPU images go through OpenCV plane by plane, each of which stays in the cache.
    """
    if batch.dtype == torch.uint8 and batch.device.type == "cpu":
        return _normalize_here(batch, stats)
    dtype = torch.float64 if batch.dtype == torch.float64 else torch.float32
    pixels = batch.flatten(2).to(dtype, copy=True)  # (B, C, H*W)
    if stats is None:
        pixels -= pixels.mean(2, keepdim=True)
        std = torch.linalg.vector_norm(pixels, dim=2, keepdim=True) / pixels.shape[2] ** 0.5
    else:
        mean, std = stats.to(pixels.device, dtype, non_blocking=True).unsqueeze(3).unbind(2)  # (B, C, 1)
        pixels -= mean
    pixels *= torch.where(std > _CONSTANT, 1 / std, 0.0)
    return pixels.view(batch.shape)


def _normalize_here(batch: Tensor, stats: Tensor | None) -> Tensor:
    """Return what `normalize` does of uint8 images on the CPU, one plane at a time: a plane stays in the cache."""
    result = _LENDER.tensor(tuple(batch.shape), torch.float32)
    planes, outs = batch.flatten(0, 1).numpy(), result.flatten(0, 1).numpy()
    given = None if stats is None else stats.flatten(0, 1).double().numpy()  # (B * C, 2)
    for number, (plane, out) in enumerate(zip(planes, outs, strict=True)):
        mean, std = (float(one[0, 0]) for one in cv2.meanStdDev(plane)) if given is None else given[number]
        scale = 1 / std if std > _CONSTANT else 0.0
        cv2.addWeighted(plane, scale, plane, 0.0, -mean * scale, out, cv2.CV_32F)
    return result


def augment_batch(x: Tensor, settings: Mapping[str, Any], generator: torch.Generator | None = None) -> Tensor:
    """Return the normalised batch (B, C, H, W) float under the random changes of a config's ``augment`` section.

    In this order: ``scale_crop``, ``gain`` and ``bias``, ``erase``, ``channel_dropout``; see the functions of
    these names. A key that is 0 or absent costs nothing and draws no random number; without any, ``x`` itself
    comes back. ``x`` is never written to.
    """
    if least := settings.get("scale_crop", 0):
        x = scale_crop(x, least, generator)
    gain, bias = settings.get("gain", 0), settings.get("bias", 0)
    if gain or bias:
        x = gain_and_bias(x, gain, bias, generator)
    if p := settings.get("erase", 0):
        x = erase(x, p, generator)
    return channel_dropout(x, settings.get("channel_dropout", 0), generator)


def scale_crop(x: Tensor, least: float, generator: torch.Generator | None = None) -> Tensor:
    """Return every image's own random part, enlarged to the whole (B, C, H, W) by bilinear sampling.

    The part has the image's proportions; its sides are a share of the image's that is uniform in [``least``, 1],
    its place is uniform among those inside the image. (The competition's winner trained with 0.5.)
    """
    height, width = x.shape[2:]
    side, down, right = _uniform(x, 3, generator)  # (B,)
    side = least + (1 - least) * side
    y = _part(height, side, down)[:, :, None].expand(-1, -1, width)  # (B, H, W)
    grid = torch.stack([_part(width, side, right)[:, None].expand(-1, height, -1), y], 3)  # (B, H, W, 2)
    return torch.nn.functional.grid_sample(x, grid.to(x.dtype), "bilinear", "border", align_corners=False)


def _part(n: int, side: Tensor, place: Tensor) -> Tensor:
    """Return where (-1 to 1) the ``n`` pixels of a part's enlarged side lie, (B, n). ``place`` 0 is the first edge."""
    centres = (torch.arange(n, device=side.device) + 0.5) * (2 / n) - 1
    return side[:, None] * centres + ((1 - side) * (2 * place - 1))[:, None]


def gain_and_bias(x: Tensor, gain: float, bias: float, generator: torch.Generator | None = None) -> Tensor:
    """Return the batch (B, C, H, W) with every image's every channel times N(1, ``gain``) plus N(0, ``bias``).

    ``gain`` and ``bias`` are standard deviations, of pixels whose own is 1: intensity augmentation by channel as
    in Galdran et al. (arXiv 1707.06183).
    """
    device = x.device if generator is None else generator.device
    noise = torch.randn(2, *x.shape[:2], 1, 1, generator=generator, device=device).to(x.device, x.dtype)
    return (x * (1 + gain * noise[0])).add_(bias * noise[1])


def erase(x: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
    """Return the batch (B, C, H, W) in which, with probability ``p`` an image, a box of all channels is zero.

    Random erasing (Zhong et al., arXiv 1708.04896): 2 to 20 % of the area, sides in a ratio of 0.3 to 1 / 0.3 (of
    the image's proportions). Zero is the mean of a normalised channel.
    """
    chance, area, ratio, top, left = _uniform(x, 5, generator)  # (B,)
    area = _ERASED[0] + (_ERASED[1] - _ERASED[0]) * area
    ratio = torch.exp((2 * ratio - 1) * math.log(_OBLONG))
    rows = _within(x.shape[2], torch.sqrt(area * ratio), top) & (chance < p)[:, None]  # (B, H) bool
    columns = _within(x.shape[3], torch.sqrt(area / ratio), left)  # (B, W)
    keep = ~(rows[:, :, None] & columns[:, None])  # (B, H, W)
    return x * keep[:, None].to(x.dtype)


def _within(n: int, share: Tensor, place: Tensor) -> Tensor:
    """Return which of ``n`` pixels lie in an interval of that share of them, (B, n) bool. ``place`` 0: at the start."""
    size = (share * n).round().clamp(1, n)
    start = (place * (n - size + 1)).floor()
    at = torch.arange(n, device=share.device)
    return (at >= start[:, None]) & (at < (start + size)[:, None])


def channel_dropout(batch: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
    """Return the batch (B, C, H, W) float in which, with probability ``p`` an image, one channel is zero.

    To be called after :func:`normalize`, so that a dropped channel is zero for the network too. A batch of
    one channel comes back as it is.
    """
    n_images, n_channels = batch.shape[:2]
    if p == 0 or n_channels == 1:
        return batch
    device = batch.device if generator is None else generator.device
    dropped = torch.rand(n_images, generator=generator, device=device) < p  # (B,)
    channel = torch.randint(n_channels, (n_images,), generator=generator, device=device)  # (B,)
    keep = ~(dropped[:, None] & (channel[:, None] == torch.arange(n_channels, device=device)))  # (B, C)
    return batch * keep.to(batch.device, batch.dtype)[:, :, None, None]


def _uniform(x: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
    """Return ``n`` numbers uniform in [0, 1) for each image, (n, B) float32 on the batch's device."""
    device = x.device if generator is None else generator.device
    return torch.rand(n, len(x), generator=generator, device=device).to(x.device)
