"""One pass over a table of sites for many networks: each site is read once, each network gets its channels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from rcic.learn.data.metadata import metadata_of
from rcic.learn.data.site_groups import Group, GroupCollator, group_codes
from rcic.learn.models import SiteOutputs, WellClassifier
from rcic.learn.predict.evaluate import InferenceSettings, predict_group
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.batches.loader import BatchLoader
from rcic.pixels.batches.sampler import WholeGroups
from rcic.pixels.batches.tta import CROPS
from rcic.pixels.images.store import Store

Outputs = SiteOutputs[NDArray[Any]]
_TYPES = {"first": torch.float16, "logits": torch.float32, "embedding": torch.float32}


@dataclass(frozen=True)
class MemberNetwork:
    """One network of a pass, with its channel numbers, inference settings and known metadata values."""

    network: WellClassifier
    channels: tuple[int, ...]
    settings: InferenceSettings
    known: Mapping[str, Sequence[str]]

    @property
    def n_views(self) -> int:
        """The images that the network sees of a site; crops are at most five."""
        return sum(5 if name == CROPS else 1 for name in self.settings.tta)

    def ready(self) -> WellClassifier:
        """Return the network on its device, in evaluation mode and the memory layout of predictions."""
        return self.network.eval().to(memory_format=torch.channels_last).to(self.settings.device)

    def in_precision(self, name: str) -> "MemberNetwork":
        """Return the member with its trunk in bf16 or fp32."""
        return replace(self, settings=replace(self.settings, precision=name))


@dataclass(frozen=True)
class SitePlan:
    """The sites of one pass. ``rows`` (R sites, a site table with ``wanted``) are sorted by experiment and plate.

    ``unit``: ``"plate"`` or ``"experiment"`` if these must be read as a whole, else None. ``stacked``: the sites that
    are stacked into one image; empty without stacking.
    """

    rows: pd.DataFrame
    store: Store
    size: int | None = None
    unit: str | None = None
    stacked: tuple[int, ...] = ()


def predict_sites(
    members: Sequence[MemberNetwork],
    plan: SitePlan,
    batch_size: int = 64,
    workers: int = 0,
    title: str = "predict",
    keep: Sequence[str] = ("first", "logits", "embedding"),
) -> list[Outputs]:
    """Return each member's outputs for the W wanted sites, in the order of the rows; only those to ``keep``.

    The computation is deterministic and in each member's precision; ``first`` is returned as float16, the others as
    float32. The batch size and the other members change at most the last digits of an output, through the order of
    sums. Raises UserError for an image that cannot be read.
    """
    union = sorted({channel for member in members for channel in member.channels})
    device = members[0].settings.device
    by_image = any(member.settings.pixels.by == "image" for member in members)
    picks = [_pick(union, member.channels, len(plan.stacked) or 1) for member in members]
    for member in members:
        member.ready()
    parts: list[list[tuple[NDArray[np.int64], SiteOutputs[Tensor]]]] = [[] for _ in members]
    with tqdm(total=len(plan.rows), desc=title, unit="site", disable=None, leave=False) as bar:
        collator = GroupCollator(plan.rows, plan.unit)
        for batch in _loader(plan, union, batch_size, workers, pin=str(device) == "cuda"):
            bar.update(len(batch["row"]))
            if (group := collator.add(batch)) is None:
                continue
            wanted = group.rows["wanted"].to_numpy(bool)
            if not wanted.any():
                continue
            group.images = group.images.to(device, non_blocking=True)  # once for all networks
            if by_image and plan.unit is None:  # a whole plate of floats would be too large
                group.normal = normalize(group.images)
            numbers = group.rows.index.to_numpy()[wanted]
            for member, selected, collected in zip(members, _selections(group, picks), parts, strict=True):
                collected.append((numbers, _predict(member, selected, wanted, keep)))
    return [_in_order(collected, keep) for collected in parts]


def _selections(group: Group, picks: Sequence[list[int]]) -> Iterator[Group]:
    """Yield the group with each member's channels; consecutive members with the same channels share one copy."""
    for pick, equal in groupby(picks):
        selected = group.select_channels(pick)
        yield from (selected for _ in equal)


def _predict(
    member: MemberNetwork, group: Group, wanted: NDArray[np.bool_], keep: Sequence[str]
) -> SiteOutputs[Tensor]:
    """Return the outputs to keep of one member for the wanted sites of a group, in main memory."""
    known = replace(group, metadata=metadata_of(group.rows, member.known))
    outputs = predict_group(member.network, known, wanted, member.settings)
    columns = {name: None if name in keep else 0 for name in _TYPES}
    kept = (getattr(outputs, name).to("cpu", kind)[:, : columns[name]] for name, kind in _TYPES.items())
    return SiteOutputs(*kept)


def _pick(union: Sequence[int], channels: Sequence[int], n_sites: int) -> list[int]:
    """Return the indices of ``channels`` in an image of ``n_sites`` times the channels ``union``."""
    return [site * len(union) + union.index(channel) for site in range(n_sites) for channel in channels]


def _loader(plan: SitePlan, channels: Sequence[int], batch_size: int, workers: int, pin: bool) -> BatchLoader:
    """Return the loader over all rows in order; no batch has sites of two groups of ``plan.unit``."""
    dataset = SiteDataset(plan.rows, plan.store, channels, None, plan.size, plan.stacked)
    codes = np.zeros(len(dataset), int) if plan.unit is None else group_codes(plan.rows, plan.unit)
    return BatchLoader(dataset, WholeGroups(codes, batch_size), workers, pin)


def _in_order(parts: Sequence[tuple[NDArray[np.int64], SiteOutputs[Tensor]]], keep: Sequence[str]) -> Outputs:
    """Return the outputs of all groups, sorted by row number."""
    order = np.argsort(np.concatenate([numbers for numbers, _ in parts]), kind="stable")
    sorted_already = np.array_equal(order, np.arange(len(order)))

    def table(name: str) -> NDArray[Any]:
        array = torch.cat([getattr(outputs, name) for _, outputs in parts]).numpy()
        return array if sorted_already or name not in keep else array[order]

    return SiteOutputs(*map(table, SiteOutputs._fields))
