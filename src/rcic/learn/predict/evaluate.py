"""Outputs of a network for sites, without randomness: group by group where a plate's statistics are needed.

Letters: R sites, n of them in one group, W of the n wanted, C channels, K classes, D numbers of an embedding.
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
from rcic.learn.models.plate_batchnorm import own_statistics, sites_at_once
from rcic.pixels.batches.tta import views

_MEANS = ("logits", "embedding")  # averaged over the views


@dataclass(frozen=True)
class InferenceSettings:
    """How one network predicts. With a plate's or an experiment's statistics ``batch_size`` has no meaning."""

    bn: str = "running"
    pixels: PixelNorm = field(default_factory=PixelNorm)
    tta: tuple[str, ...] = ("identity",)
    crop: int | None = None
    device: str | torch.device = "cpu"
    batch_size: int = 64
    channels_last: bool = True

    @property
    def unit(self) -> str | None:
        """Whose sites must be read together: ``"plate"``, ``"experiment"`` or, if no site needs another, None."""
        return largest_unit(self.bn, self.pixels.by)


def predict_group(
    network: WellClassifier, group: Group, wanted: NDArray[np.bool_], how: InferenceSettings
) -> SiteOutputs[Tensor]:
    """Return the outputs for the ``wanted`` (n,) bool sites of a group; its other sites add to the statistics.

    The network is in evaluation mode afterwards. ``how.batch_size`` does not matter if statistics are the plate's.
    """
    n_sites = len(group.rows)
    stats = how.pixels.of(group.rows, (group.pixels(np.array([number]), "cpu")[0] for number in range(n_sites)))
    outputs: list[SiteOutputs[Tensor]] = []
    places: list[NDArray[np.int64]] = []
    units = [np.arange(n_sites)] if how.bn == "running" else list(_units(group.rows, how.bn))
    for numbers in units:
        part, own = group.part(numbers), None if stats is None else stats[numbers]
        chosen = np.flatnonzero(wanted[numbers])
        if len(chosen):
            outputs.append(_predict_unit(network, part, own, chosen, how))
            places.append(numbers[chosen])
    back = torch.from_numpy(np.argsort(np.concatenate(places), kind="stable"))
    return SiteOutputs(*(array[back] for array in joined(outputs)))


def _units(rows: pd.DataFrame, bn: str) -> Iterator[NDArray[np.int64]]:
    codes = group_codes(rows, bn)
    for code in range(codes.max() + 1):
        yield np.flatnonzero(codes == code)


def _predict_unit(
    network: WellClassifier, group: Group, stats: Tensor | None, chosen: NDArray[np.int64], how: InferenceSettings
) -> SiteOutputs[Tensor]:
    """Return the outputs for the ``chosen`` site numbers of one plate (or experiment, or batch)."""

    def images(numbers: NDArray[np.int64]) -> Tensor:
        own = None if stats is None else stats[numbers].to(how.device, non_blocking=True)
        return group.normalized(numbers, how.device, own)

    def run(x: Tensor, numbers: NDArray[np.int64]) -> SiteOutputs[Tensor]:
        metadata = None if group.metadata is None else group.metadata[numbers].to(how.device)
        x = x.contiguous(memory_format=torch.channels_last) if how.channels_last else x
        return network(x, metadata)

    # A matrix product of other rows differs in its last bits, so a plate is always cut in the same way.
    portion = sites_at_once(*group.images.shape[2:])
    at_once = how.batch_size if how.bn == "running" else portion
    if any(layer.training for layer in network.modules()):  # to look is faster than to set it for every batch
        network.eval()
    with torch.no_grad():
        fixed = own_statistics(network, len(group.images), lambda numbers: run(images(numbers), numbers), portion)
        with nullcontext() if how.bn == "running" else fixed:
            parts = [
                _mean_of_views([run(view, some) for view in views(images(some), how.tta, how.crop)])
                for some in np.array_split(chosen, -(-len(chosen) // at_once))
            ]
    return joined(parts)


def _mean_of_views(outputs: Sequence[SiteOutputs[Tensor]]) -> SiteOutputs[Tensor]:
    """Return the first view's logits and the means over the views."""
    if len(outputs) == 1:
        return outputs[0]
    logits, embedding = (torch.stack([getattr(view, name) for view in outputs]).mean(0) for name in _MEANS)
    return SiteOutputs(outputs[0].logits, logits, embedding)


def joined(parts: Sequence[SiteOutputs[Tensor]]) -> SiteOutputs[Tensor]:
    """Return the outputs of all parts, one after the other."""
    return SiteOutputs(*(torch.cat(arrays) for arrays in zip(*parts, strict=True)))
