"""Normalisation and augmentation of a whole batch on its compute device.

Nothing here waits for the device: boxes and factors are tensors on it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import torch
from torch import Tensor

from rcic.pixels.batches.scratch import Lender

_CONSTANT = 1e-4  # standard deviation below that of any uint8 image but a constant one: one level in one of 10^8 pixels
_ERASED = (0.02, 0.2)  # shares of the image's area
_OBLONG = 0.3  # smallest ratio of an erased box's sides
_LENDER = Lender()


def normalize(batch: Tensor, stats: Tensor | None = None) -> Tensor:
    """Normalise a batch to float32 (B, C, H, W) with mean 0 and variance 1 per image and channel.

    ``batch`` is (B, C, H, W) uint8 (or float; float64 stays float64), on any device; a constant channel becomes 0.
    ``stats`` (B, C, 2) are mean and standard deviation, in grey levels, to use instead of the image's: those of its
    plate, for example (:func:`rcic.pixels.batches.stats.group_stats`). On a GPU the image's standard deviation is the
    norm of the centred pixels; on a CPU OpenCV processes plane by plane, each of which fits into the cache.
    """
    if batch.dtype == torch.uint8 and batch.device.type == "cpu":
        return _normalize_on_cpu(batch, stats)
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


def _normalize_on_cpu(batch: Tensor, stats: Tensor | None) -> Tensor:
    """Normalise uint8 images on the CPU, one plane at a time."""
    result = _LENDER.tensor(tuple(batch.shape), torch.float32)
    planes, outs = batch.flatten(0, 1).numpy(), result.flatten(0, 1).numpy()
    given = None if stats is None else stats.flatten(0, 1).double().numpy()  # (B * C, 2)
    for number, (plane, out) in enumerate(zip(planes, outs, strict=True)):
        mean, std = (float(value[0, 0]) for value in cv2.meanStdDev(plane)) if given is None else given[number]
        scale = 1 / std if std > _CONSTANT else 0.0
        cv2.addWeighted(plane, scale, plane, 0.0, -mean * scale, out, cv2.CV_32F)
    return result


def image_stats(batch: Tensor) -> Tensor:
    """Return mean and standard deviation (B, C, 2) float32 of each image and channel of a batch (B, C, H, W) uint8."""
    pixels = batch.flatten(2).float()
    mean = pixels.mean(2, keepdim=True)
    std = torch.linalg.vector_norm(pixels.sub_(mean), dim=2, keepdim=True) / pixels.shape[2] ** 0.5
    return torch.cat([mean, std], 2)


def augment_batch(x: Tensor, settings: Mapping[str, Any], generator: torch.Generator | None = None) -> Tensor:
    """Apply the random changes of a config's ``augment`` section to a normalised batch (B, C, H, W) float.

    In this order: ``scale_crop`` (unless ``scale_crop_norm`` is after: :func:`crop_pixels`), ``gain`` and ``bias``,
    ``erase``, ``channel_dropout``; see the functions of these names. A key that is 0 or absent draws no random number;
    without any, ``x`` itself is returned. ``x`` is never modified.
    """
    if settings.get("scale_crop_norm", "before") == "before":
        x = crop_pixels(x, settings, generator)
    gain, bias = settings.get("gain", 0), settings.get("bias", 0)
    if gain or bias:
        x = gain_and_bias(x, gain, bias, generator)
    if p := settings.get("erase", 0):
        x = erase(x, p, generator, settings.get("erase_area", _ERASED))
    return channel_dropout(x, settings.get("channel_dropout", 0), generator)


def crop_pixels(x: Tensor, settings: Mapping[str, Any], generator: torch.Generator | None = None) -> Tensor:
    """Apply ``scale_crop`` of a config's ``augment`` section to a batch (B, C, H, W), uint8 or float.

    Bilinear sampling makes float32 of uint8, the nearest pixel keeps the type. Without ``scale_crop``, ``x`` itself is
    returned.
    """
    least, sampling = settings.get("scale_crop", 0), settings.get("scale_crop_sampling", "bilinear")
    if not least:
        return x
    cropped = scale_crop(x if x.is_floating_point() else x.float(), least, generator, sampling)
    return cropped.to(x.dtype) if sampling == "nearest" else cropped


def scale_crop(x: Tensor, least: float, generator: torch.Generator | None = None, sampling: str = "bilinear") -> Tensor:
    """Crop a random window of each image and enlarge it to the full size (B, C, H, W) float.

    The window has the image's proportions. The ratio of its sides to the image's is uniform in [``least``, 1], its
    position is uniform inside the image. ``sampling`` is bilinear or nearest. (The competition's winner trained with
    0.5 and nearest.)
    """
    height, width = x.shape[2:]
    side, down, right = _uniform(x, 3, generator)  # (B,)
    side = least + (1 - least) * side
    y = _sample_points(height, side, down)[:, :, None].expand(-1, -1, width)  # (B, H, W)
    grid = torch.stack([_sample_points(width, side, right)[:, None].expand(-1, height, -1), y], 3)  # (B, H, W, 2)
    return torch.nn.functional.grid_sample(x, grid.to(x.dtype), sampling, "border", align_corners=False)


def _sample_points(n: int, side: Tensor, position: Tensor) -> Tensor:
    """Return the coordinates (B, n), in -1 to 1, of ``n`` points on a window's side; ``position`` 0: at the edge."""
    centres = (torch.arange(n, device=side.device) + 0.5) * (2 / n) - 1
    return side[:, None] * centres + ((1 - side) * (2 * position - 1))[:, None]


def gain_and_bias(x: Tensor, gain: float, bias: float, generator: torch.Generator | None = None) -> Tensor:
    """Scale each channel of each image (B, C, H, W) by N(1, ``gain``) and shift it by N(0, ``bias``).

    ``gain`` and ``bias`` are standard deviations, for pixels of standard deviation 1: intensity augmentation by channel
    as in Galdran et al. (arXiv 1707.06183).
    """
    device = x.device if generator is None else generator.device
    noise = torch.randn(2, *x.shape[:2], 1, 1, generator=generator, device=device).to(x.device, x.dtype)
    return (x * (1 + gain * noise[0])).add_(bias * noise[1])


def erase(x: Tensor, p: float, generator: torch.Generator | None = None, shares: Sequence[float] = _ERASED) -> Tensor:
    """Set a box in all channels to zero, with probability ``p`` per image, in a batch (B, C, H, W).

    Random erasing (Zhong et al., arXiv 1708.04896): the box has between the two ``shares`` of the image's area, its
    sides a ratio of 0.3 to 1 / 0.3 (of the image's proportions). Zero is the mean of a normalised channel.
    """
    chance, area, ratio, top, left = _uniform(x, 5, generator)  # (B,)
    area = shares[0] + (shares[1] - shares[0]) * area
    ratio = torch.exp((2 * ratio - 1) * math.log(_OBLONG))
    rows = _within(x.shape[2], torch.sqrt(area * ratio), top) & (chance < p)[:, None]  # (B, H) bool
    columns = _within(x.shape[3], torch.sqrt(area / ratio), left)  # (B, W)
    keep = ~(rows[:, :, None] & columns[:, None])  # (B, H, W)
    return x * keep[:, None].to(x.dtype)


def _within(n: int, share: Tensor, position: Tensor) -> Tensor:
    """Return a mask (B, n) bool of an interval of ``share`` of ``n`` pixels; ``position`` 0: at the start."""
    size = (share * n).round().clamp(1, n)
    start = (position * (n - size + 1)).floor()
    index = torch.arange(n, device=share.device)
    return (index >= start[:, None]) & (index < (start + size)[:, None])


def channel_dropout(batch: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
    """Set one channel to zero, with probability ``p`` per image, in a batch (B, C, H, W) float.

    Call it after :func:`normalize`, so that a dropped channel is zero for the network, too. A batch of one channel is
    returned unchanged.
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
    """Draw ``n`` numbers uniform in [0, 1) per image, (n, B) float32 on the batch's device."""
    device = x.device if generator is None else generator.device
    return torch.rand(n, len(x), generator=generator, device=device).to(x.device)
