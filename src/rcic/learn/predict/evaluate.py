"""Deterministic outputs of a network for sites, group by group if a plate's statistics are needed.

Letters: R sites, n of them in one group, W of the n wanted, C channels, K classes, D dimensions of an embedding.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rcic.learn.config.settings import largest_unit
from rcic.learn.data.pixel_norm import PixelNorm
from rcic.learn.data.site_groups import Group, group_codes
from rcic.learn.models import SiteOutputs, WellClassifier
from rcic.learn.models.classifier import bf16_trunk
from rcic.learn.models.plate_batchnorm import own_statistics, sites_at_once
from rcic.learn.models.trunk_memory import activation_bytes
from rcic.pixels.batches.tta import CROPS, views

_MEANS = ("logits", "embedding")  # averaged over the views


@dataclass(frozen=True)
class InferenceSettings:
    """Settings of one network's predictions; ``batch_size`` is ignored with statistics by plate or experiment.

    ``precision`` is that of the trunk: fp32 is the caller's own arithmetic, bf16 an autocast to it (see
    `rcic.learn.models.classifier.bf16_trunk`). ``norm_of`` is ``data.norm_of``: whether a crop is normalised by its
    own statistics or by its image's.
    """

    bn: str = "running"
    pixels: PixelNorm = field(default_factory=PixelNorm)
    tta: tuple[str, ...] = ("identity",)
    crop: int | None = None
    device: str | torch.device = "cpu"
    batch_size: int = 64
    channels_last: bool = True
    norm_of: str = "view"
    precision: str = "fp32"

    @property
    def unit(self) -> str | None:
        """The unit whose sites must be read together: ``"plate"``, ``"experiment"`` or None."""
        return largest_unit(self.bn, self.pixels.by)


def predict_group(
    network: WellClassifier, group: Group, wanted: NDArray[np.bool_], settings: InferenceSettings
) -> SiteOutputs[Tensor]:
    """Return the outputs for the ``wanted`` (n,) bool sites of a group; its other sites add to the statistics.

    The network is in evaluation mode afterwards. ``settings.batch_size`` is ignored with statistics by plate.
    """
    n_sites = len(group.rows)
    stats = settings.pixels.of(group.rows, (group.pixels(np.array([number]), "cpu")[0] for number in range(n_sites)))
    outputs: list[SiteOutputs[Tensor]] = []
    positions: list[NDArray[np.int64]] = []
    units = [np.arange(n_sites)] if settings.bn == "running" else list(_units(group.rows, settings.bn))
    for numbers in units:
        unit, unit_stats = group.part(numbers), None if stats is None else stats[numbers]
        chosen = np.flatnonzero(wanted[numbers])
        if len(chosen):
            outputs.append(_predict_unit(network, unit, unit_stats, chosen, settings))
            positions.append(numbers[chosen])
    order = torch.from_numpy(np.argsort(np.concatenate(positions), kind="stable"))
    return SiteOutputs(*(array[order] for array in joined(outputs)))


def _units(rows: pd.DataFrame, bn: str) -> Iterator[NDArray[np.int64]]:
    codes = group_codes(rows, bn)
    for code in range(codes.max() + 1):
        yield np.flatnonzero(codes == code)


def _predict_unit(
    network: WellClassifier, group: Group, stats: Tensor | None, chosen: NDArray[np.int64], settings: InferenceSettings
) -> SiteOutputs[Tensor]:
    """Return the outputs for the ``chosen`` site numbers of one plate (or experiment, or batch)."""

    def images(numbers: NDArray[np.int64]) -> Tensor:
        image_stats = None if stats is None else stats[numbers].to(settings.device, non_blocking=True)
        return group.normalized(numbers, settings.device, image_stats)

    def run(x: Tensor, numbers: NDArray[np.int64]) -> SiteOutputs[Tensor]:
        metadata = None if group.metadata is None else group.metadata[numbers].to(settings.device)
        x = x.contiguous(memory_format=torch.channels_last) if settings.channels_last else x
        return network(x, metadata)

    def of_views(numbers: NDArray[np.int64], names: Sequence[str]) -> list[SiteOutputs[Tensor]]:
        by_crop = CROPS in names and stats is None and settings.norm_of == "view"
        pixels = group.pixels(numbers, settings.device) if by_crop else None
        return [run(view, numbers) for view in views(images(numbers), names, settings.crop, pixels)]

    def answer(numbers: NDArray[np.int64], measured: SiteOutputs[Tensor] | None) -> SiteOutputs[Tensor]:
        known = _known(measured, numbers)
        if known is None or "identity" not in settings.tta:
            return _mean_of_views(of_views(numbers, settings.tta))
        place = settings.tta.index("identity")
        before, after = settings.tta[:place], settings.tta[place + 1 :]
        others = (of_views(numbers, names) if names else [] for names in (before, after))
        return _mean_of_views([*next(others), known, *next(others)])

    # The last bits of a matrix product depend on its number of rows, so a plate is always split in the same way.
    portion = 0 if settings.bn == "running" else _portion(network, group, settings)
    at_once = portion or settings.batch_size
    if any(layer.training for layer in network.modules()):  # the check is faster than eval() for every batch
        network.eval()
    with torch.no_grad(), bf16_trunk(network, settings.precision == "bf16"):
        fixed = own_statistics(network, len(group.images), lambda numbers: run(images(numbers), numbers), portion)
        with nullcontext() if settings.bn == "running" else fixed as measured:
            split = np.array_split(chosen, -(-len(chosen) // at_once))
            parts = [answer(numbers, measured) for numbers in split]
    return joined(parts)


def _portion(network: WellClassifier, group: Group, settings: InferenceSettings) -> int:
    """Return how many sites of a plate go through the network at once."""
    channels = group.images.shape[1] if group.channels is None else len(group.channels)
    site_bytes = activation_bytes(network.trunk, (channels, *group.images.shape[2:]))
    return sites_at_once(site_bytes // 2 if settings.precision == "bf16" else site_bytes)


def _known(measured: SiteOutputs[Tensor] | None, numbers: NDArray[np.int64]) -> SiteOutputs[Tensor] | None:
    """Return what the pass that measured the statistics found out about the sites ``numbers``, if it is the answer."""
    if measured is None:
        return None
    return SiteOutputs(*(array[torch.from_numpy(numbers).to(array.device)] for array in measured))


def _mean_of_views(outputs: Sequence[SiteOutputs[Tensor]]) -> SiteOutputs[Tensor]:
    """Return the first view's logits and the means over the views."""
    if len(outputs) == 1:
        return outputs[0]
    logits, embedding = (torch.stack([getattr(view, name) for view in outputs]).mean(0) for name in _MEANS)
    return SiteOutputs(outputs[0].logits, logits, embedding)


def joined(parts: Sequence[SiteOutputs[Tensor]]) -> SiteOutputs[Tensor]:
    """Return the concatenated outputs of all parts."""
    return SiteOutputs(*(torch.cat(arrays) for arrays in zip(*parts, strict=True)))
