"""One pass over a table of sites for many networks: each site is read once, each network takes its channels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from rcic.learn.data.metadata import metadata_of
from rcic.learn.data.site_groups import Gatherer, Group, group_codes
from rcic.learn.models import WellClassifier
from rcic.learn.predict.evaluate import How, Told, ask
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.batches.loader import BatchLoader
from rcic.pixels.batches.sampler import WholeGroups
from rcic.pixels.images.store import Store


@dataclass(frozen=True)
class Asked:
    """One network of a pass: its channel numbers, how it is asked, the metadata values it knows."""

    network: WellClassifier
    channels: tuple[int, ...]
    how: How
    known: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Reading:
    """What a pass reads. ``rows`` (R sites, columns as a site table's and ``wanted``) stand by experiment and plate.

    ``unit``: plates or experiments that must be read whole, None if sites need no company. ``stacked``: the sites that
    make one image, none if each is its own.
    """

    rows: pd.DataFrame
    store: Store
    size: int | None = None
    unit: str | None = None
    stacked: tuple[int, ...] = ()


@dataclass(frozen=True)
class Answers:
    """What one network told of the W wanted sites, in the order of the rows; what was not kept has no columns."""

    first: NDArray[np.float16]  # (W, K) logits of the first view
    logits: NDArray[np.float32]  # (W, K) mean over the views
    embedding: NDArray[np.float32]  # (W, D) mean over the views


def predict_sites(
    asked: Sequence[Asked],
    reading: Reading,
    batch_size: int = 64,
    workers: int = 0,
    title: str = "predict",
    keep: Sequence[str] = ("first", "logits", "embedding"),
) -> list[Answers]:
    """Return of each network's answers those to ``keep``. In float32 and without randomness.

    Neither the batch size nor the other networks change what one says (beyond the last digits: libraries sum in another
    order). Raises UserError for an image that cannot be read.
    """
    union = sorted({channel for one in asked for channel in one.channels})
    alone = any(one.how.pixels.by == "image" for one in asked)
    picks = [_pick(union, one.channels, len(reading.stacked) or 1) for one in asked]
    for one in asked:
        one.network.eval().to(memory_format=torch.channels_last).to(one.how.device)
    told: list[list[tuple[NDArray[np.int64], Told]]] = [[] for _ in asked]
    with tqdm(total=len(reading.rows), desc=title, unit="site", disable=None, leave=False) as bar:
        gatherer = Gatherer(reading.rows, reading.unit)
        for batch in _loader(reading, union, batch_size, workers, pin=str(asked[0].how.device) == "cuda"):
            bar.update(len(batch["row"]))
            if (group := gatherer.add(batch)) is None:
                continue
            wanted = group.rows["wanted"].to_numpy(bool)
            if wanted.any():
                group.images = group.images.to(asked[0].how.device, non_blocking=True)  # once for all networks
                if alone and reading.unit is None:  # a whole plate of floats would be too large
                    group.normal = normalize(group.images)
                looks = _looks(group, picks)
                for one, own, parts in zip(asked, looks, told, strict=True):
                    parts.append((group.rows.index.to_numpy()[wanted], _ask(one, own, wanted, keep)))
    return [_in_order(parts, keep) for parts in told]


def _looks(group: Group, picks: Sequence[list[int]]) -> Iterator[Group]:
    """Yield the group as each network looks at it; neighbours that look at the same channels share the copy of them."""
    for pick, equal in groupby(picks):
        own = group.looking_at(pick)
        yield from (own for _ in equal)


def _ask(one: Asked, group: Group, wanted: NDArray[np.bool_], keep: Sequence[str]) -> Told:
    """Return what is to be kept of what one network says of the channels of a group that it knows, in main memory."""
    own = replace(group, metadata=metadata_of(group.rows, one.known))
    told = ask(one.network, own, wanted, one.how)
    types = {"first": torch.float16, "logits": torch.float32, "embedding": torch.float32}
    columns = {name: None if name in keep else 0 for name in types}
    return Told(*(getattr(told, name).to("cpu", kind)[:, : columns[name]] for name, kind in types.items()))


def _pick(union: Sequence[int], channels: Sequence[int], n_sites: int) -> list[int]:
    """Return the places of ``channels`` in an image of ``n_sites`` times the channels ``union``."""
    return [site * len(union) + union.index(channel) for site in range(n_sites) for channel in channels]


def _loader(reading: Reading, channels: Sequence[int], batch_size: int, workers: int, pin: bool) -> BatchLoader:
    """Return the loader over all rows in order; no batch crosses from one whole plate or experiment to the next."""
    dataset = SiteDataset(reading.rows, reading.store, channels, None, reading.size, reading.stacked)
    codes = np.zeros(len(dataset), int) if reading.unit is None else group_codes(reading.rows, reading.unit)
    return BatchLoader(dataset, WholeGroups(codes, batch_size), workers, pin)


def _in_order(parts: Sequence[tuple[NDArray[np.int64], Told]], keep: Sequence[str]) -> Answers:
    """Return what was told of all groups, by row number."""
    order = np.argsort(np.concatenate([numbers for numbers, _ in parts]), kind="stable")
    sorted_already = np.array_equal(order, np.arange(len(order)))

    def joined(name: str) -> NDArray[Any]:
        table = torch.cat([getattr(told, name) for _, told in parts]).numpy()
        return table if sorted_already or name not in keep else table[order]

    return Answers(joined("first"), joined("logits"), joined("embedding"))
