"""Random changes of the grey levels of a batch before it is normalised, on its device.

Each is a map of single grey levels, so it is computed for 256 levels and looked up for each pixel, without rounding.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import torch
from torch import Tensor

from rcic.pixels.batches.scratch import Lender

TONE_KEYS = ("lighting", "lighting_p", "colour_gain", "colour_bias", "colour_channels")
_LEAST = 1e-7  # fastai's: the logits of 0 and 1 are finite
_LENDER = Lender()


def change_tone(
    batch: Tensor, settings: Mapping[str, Any], channels: Sequence[int], generator: torch.Generator | None = None
) -> Tensor:
    """Apply ``lighting``, then colour, of a config's ``augment`` section to images (B, C, H, W) uint8.

    ``channels`` (C,) are the channel numbers of the images, of which ``colour_channels`` ([]: all) names those to
    change. Returns float32 grey levels in [0, 255], or the batch itself if nothing changes.
    """
    lighting, gain, bias = (settings.get(key, 0) for key in ("lighting", "colour_gain", "colour_bias"))
    if not (lighting or gain or bias):
        return batch
    levels = (torch.arange(256, device=batch.device) / 255).expand(*batch.shape[:2], 256)  # (B, C, 256)
    if lighting:
        levels = lit(levels, lighting, settings.get("lighting_p", 1.0), generator)
    if gain or bias:
        chosen = settings.get("colour_channels") or channels
        changed = coloured(levels, gain, bias, generator)
        levels = torch.stack(
            [(changed if number in chosen else levels)[:, index] for index, number in enumerate(channels)], dim=1
        )
    return _looked_up(batch, 255 * levels)


def lit(levels: Tensor, most: float, p: float, generator: torch.Generator | None = None) -> Tensor:
    """Return levels (B, C, L) in [0, 1] under another brightness and contrast, one draw for all channels of an image.

    fastai's (v1, vision/transform.py) with ``max_lighting`` = m: with chance ``p`` the logit of U(0.5 (1 - m),
    0.5 (1 + m)) is added to the levels' logits, and with chance ``p`` these are multiplied by a factor between 1 - m
    and 1 / (1 - m), uniform in its logarithm.
    """
    chances, (shift, slope) = _draw(2, levels, generator) < p, _draw(2, levels, generator)  # (2, B), (B,) each
    shift = torch.where(chances[0], torch.logit(0.5 + 0.5 * most * (2 * shift - 1)), 0.0)
    slope = torch.where(chances[1], torch.exp(math.log(1 - most) * (1 - 2 * slope)), 1.0)
    logits = torch.logit(levels, _LEAST)
    changed = torch.sigmoid((logits + shift[:, None, None]) * slope[:, None, None])
    return torch.where(chances.any(0)[:, None, None], changed, levels)


def coloured(levels: Tensor, gain: float, bias: float, generator: torch.Generator | None = None) -> Tensor:
    """Return levels (B, C, L) in [0, 1] times U(1 - ``gain``, 1 + ``gain``) plus U(-``bias``, ``bias``), clamped.

    Each channel of each image has its own numbers (the 117th place of the competition).
    """
    n_images, n_channels = levels.shape[:2]
    factor, shift = (2 * _draw(2 * n_channels, levels, generator) - 1).view(2, n_channels, n_images, 1).transpose(1, 2)
    return (levels * (1 + gain * factor) + bias * shift).clamp(0, 1)


def _draw(n: int, levels: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw ``n`` numbers uniform in [0, 1) per image, (n, B) float32 on the device of ``levels``."""
    device = levels.device if generator is None else generator.device
    return torch.rand(n, len(levels), generator=generator, device=device).to(levels.device)


def _looked_up(batch: Tensor, levels: Tensor) -> Tensor:
    """Return ``levels`` (B, C, 256) float32 at the pixels of a batch (B, C, H, W) uint8."""
    if batch.device.type == "cpu":
        out = _LENDER.tensor(tuple(batch.shape), torch.float32)
        tables, planes = levels.flatten(0, 1).numpy(), batch.flatten(0, 1).numpy()
        for table, plane, changed in zip(tables, planes, out.flatten(0, 1).numpy(), strict=True):
            cv2.LUT(plane, table, changed)
        return out
    out = torch.empty(batch.shape, dtype=torch.float32, device=batch.device)
    for image, table, changed in zip(batch, levels, out, strict=True):  # one by one: indices take eight times the room
        changed.copy_(table.gather(1, image.flatten(1).long()).view(image.shape))
    return out
