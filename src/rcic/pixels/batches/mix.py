"""Two images as one sample: CutMix and mixup of a batch with itself in another order.

The caller mixes labels and metadata with the same order and share. Random numbers are drawn on the CPU, so that the
share is a plain number and nothing waits for the batch's device.
"""

import numpy as np
import torch
from torch import Tensor


def mix_batch(
    x: Tensor, rng: np.random.Generator, cutmix: float, mixup: float, alpha: float = 1.0, larger: bool = False
) -> tuple[Tensor, Tensor | None, float]:
    """Return the batch (B, C, H, W) float, perhaps mixed, the order (B,) int64 and the share of the original images.

    ``cutmix`` and ``mixup`` are the probabilities of each method, together at most 1. Image i of a mixed batch has
    ``share`` of itself and 1 - ``share`` of image ``order[i]``; the share is drawn from Beta(``alpha``, ``alpha``) and,
    if ``larger``, replaced by max(share, 1 - share), so that it is at least a half. The order is on the batch's device.
    Without mixing the order is None, the share 1 and the batch ``x`` itself. ``x`` is
    never modified.
    """
    if cutmix + mixup == 0:
        return x, None, 1.0
    chance, share = rng.random(), float(rng.beta(alpha, alpha))
    share = max(share, 1 - share) if larger else share
    order = torch.from_numpy(rng.permutation(len(x))).to(x.device, non_blocking=True)
    box = _box(rng, x.shape[2], x.shape[3], share)
    if chance < cutmix:
        return cut_mix(x, order, box)
    if chance < cutmix + mixup:
        return x.index_select(0, order).lerp_(x, share), order, share  # Zhang et al., arXiv 1710.09412
    return x, None, 1.0


def cut_mix(x: Tensor, order: Tensor, box: tuple[slice, slice]) -> tuple[Tensor, Tensor | None, float]:
    """Replace a box (rows, columns) by that of the other image; returns as :func:`mix_batch` does.

    CutMix (Yun et al., arXiv 1905.04899); the share is that of the pixels outside the box.
    """
    rows, columns = box
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if height * width == 0:
        return x, None, 1.0
    mixed = x.clone()
    mixed[:, :, rows, columns] = x[:, :, rows, columns].index_select(0, order)
    return mixed, order, 1 - height * width / (x.shape[2] * x.shape[3])


def _box(rng: np.random.Generator, height: int, width: int, share: float) -> tuple[slice, slice]:
    """Draw a box (rows, columns) of 1 - ``share`` of the area around a random point, clipped at the image's edges."""
    sides = (np.sqrt(1 - share) * np.array([height, width])).round()
    centre = rng.random(2) * (height, width)
    (top, left), (bottom, right) = (
        np.clip((centre + half).round().astype(int), 0, (height, width)).tolist() for half in (-sides / 2, sides / 2)
    )
    return slice(top, bottom), slice(left, right)
