"""What a network says of sites, without randomness: group by group where statistics of a plate are needed.

Letters: R sites, n of them in one group, W of the n wanted, C channels, K classes, D numbers of an embedding.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rcic.learn.models import Output, WellClassifier
from rcic.learn.norm import own_statistics, sites_at_once
from rcic.learn.pixelnorm import PixelNorm
from rcic.learn.settings import Config
from rcic.pixels.batch import normalize
from rcic.pixels.views import views

KEYS = {"plate": ["experiment", "plate"], "experiment": ["experiment"]}


@dataclass(frozen=True)
class How:
    """How one network is to be asked. With a plate's or an experiment's statistics ``batch_size`` has no meaning."""

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
        wanted = {self.bn, self.pixels.by}
        return next((unit for unit in ("experiment", "plate") if unit in wanted), None)


def unit_of(config: Config) -> str | None:
    """Return whose sites a network of this config must read together, as :attr:`How.unit` says."""
    return How(config.model.bn, PixelNorm(config.data.norm)).unit


@dataclass(frozen=True)
class Told:
    """What a network told of W sites: the first view's logits, the mean of all views, their mean embedding."""

    first: Tensor  # (W, K)
    logits: Tensor  # (W, K)
    embedding: Tensor  # (W, D)


def group_codes(rows: pd.DataFrame, unit: str | None) -> NDArray[np.int64]:
    """Return the number of each row's plate or experiment, (R,) int64, 0 upwards in the order of the names."""
    if unit is None:
        return np.arange(len(rows), dtype=np.int64)
    return np.asarray(rows.groupby(KEYS[unit], sort=True).ngroup(), np.int64)


@dataclass
class Group:
    """Sites that are judged together: their rows of the site table and their pixels.

    Sites that need each other's statistics stand in the order of their names, as :class:`Gatherer` puts them: a sum of
    the same numbers in another order differs in its last digits.
    """

    rows: pd.DataFrame  # (n,)
    images: Tensor  # (n, C, H, W) uint8
    metadata: Tensor | None = None  # (n, M) int64
    channels: tuple[int, ...] | None = None  # places in `images` of the C' channels that are looked at, None: all
    normal: Tensor | None = None  # (n, C', H, W) float32, those channels normalised by image, if that is done already

    def pixels(self, numbers: NDArray[np.int64], device: torch.device | str) -> Tensor:
        """Return the channels that are looked at of some sites, on the device; without a copy where that can be."""
        some = _some(self.images, numbers, device)
        # Whole planes are copied: indexing would copy pixel by pixel.
        return some if self.channels is None else some.index_select(1, torch.tensor(self.channels).to(device))

    def normalized(self, numbers: NDArray[np.int64], device: torch.device | str, stats: Tensor | None) -> Tensor:
        """Return the same normalised as :func:`rcic.pixels.batch.normalize` does, by ``stats`` (B, C, 2) if given."""
        if self.normal is None or stats is not None:
            return normalize(self.pixels(numbers, device), stats)
        return _some(self.normal, numbers, device)

    def looking_at(self, channels: Sequence[int]) -> "Group":
        """Return the same sites, of whose C channels those at these places are looked at."""
        every = list(channels) == list(range(self.images.shape[1]))
        normal = None if self.normal is None else _interleaved(self.normal, channels)
        return replace(self, channels=None if every else tuple(channels), normal=normal)

    def part(self, numbers: NDArray[np.int64]) -> "Group":
        """Return some of its sites, in the order of their numbers."""
        if np.array_equal(numbers, np.arange(len(self.images))):
            return self
        metadata, normal = (None if every is None else every[numbers] for every in (self.metadata, self.normal))
        return Group(self.rows.iloc[numbers], self.images[numbers], metadata, self.channels, normal)


def _some(images: Tensor, numbers: NDArray[np.int64], device: torch.device | str) -> Tensor:
    """Return the images of these numbers on the device, without a copy where that can be."""
    first, last = int(numbers[0]), int(numbers[-1])
    whole = np.array_equal(numbers, np.arange(first, last + 1))
    some = images[first : last + 1] if whole else images[torch.from_numpy(numbers)]
    return some.to(device, non_blocking=True)


def _interleaved(images: Tensor, channels: Sequence[int]) -> Tensor:
    """Return these channels as a network wants them, pixel beside pixel: chosen and laid anew in one copy."""
    shape = len(images), len(channels), *images.shape[2:]
    chosen = torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=torch.channels_last)
    for place, channel in enumerate(channels):
        chosen[:, place] = images[:, channel]
    return chosen


class Gatherer:
    """Puts a loader's batches together to whole groups. ``rows`` (R sites) is the loader's site table.

    A plate's or an experiment's sites come in the order of their names, whatever the loader's.
    """

    def __init__(self, rows: pd.DataFrame, unit: str | None, metadata: Tensor | None = None):
        self.rows, self.metadata = rows, metadata
        self.order = (group_codes(rows, unit), _places(rows)) if unit else None  # (R,) each
        self.waiting: list[tuple[Tensor, Tensor]] = []  # row numbers, images

    def add(self, batch: Mapping[str, Any]) -> Group | None:
        """Return the group that this batch completes, None if more of it is to come."""
        self.waiting.append((batch["row"], batch["image"]))
        n_rows = sum(len(row) for row, _ in self.waiting)
        if self.order is not None:
            codes = self.order[0]
            if n_rows < np.sum(codes == codes[int(batch["row"][0])]):
                return None
        row, images = (parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*self.waiting, strict=True))
        self.waiting = []
        metadata = None if self.metadata is None else self.metadata[row]
        group = Group(self.rows.iloc[row.numpy()], images, metadata)
        return group if self.order is None else group.part(np.argsort(self.order[1][row.numpy()]))


def _places(rows: pd.DataFrame) -> NDArray[np.int64]:
    """Return each site's place (R,) in the order of experiments, plates, wells and site numbers."""
    order = np.lexsort([rows[name].to_numpy() for name in ("site", "well", "plate", "experiment")])
    return np.argsort(order)


def ask(network: WellClassifier, group: Group, wanted: NDArray[np.bool_], how: How) -> Told:
    """Return what ``network`` says of the ``wanted`` (n,) bool sites of a group; the others lend their statistics.

    The network is in evaluation mode afterwards. ``how.batch_size`` does not matter if statistics are the plate's.
    """
    n_sites = len(group.rows)
    stats = how.pixels.of(group.rows, (group.pixels(np.array([number]), "cpu")[0] for number in range(n_sites)))
    told: list[Told] = []
    places: list[NDArray[np.int64]] = []
    units = [np.arange(n_sites)] if how.bn == "running" else list(_units(group.rows, how.bn))
    for numbers in units:
        part, own = group.part(numbers), None if stats is None else stats[numbers]
        chosen = np.flatnonzero(wanted[numbers])
        if len(chosen):
            told.append(_ask_unit(network, part, own, chosen, how))
            places.append(numbers[chosen])
    back = torch.from_numpy(np.argsort(np.concatenate(places), kind="stable"))
    return Told(*(torch.cat([getattr(one, name) for one in told])[back] for name in ("first", "logits", "embedding")))


def _units(rows: pd.DataFrame, bn: str) -> Iterator[NDArray[np.int64]]:
    codes = group_codes(rows, bn)
    for code in range(codes.max() + 1):
        yield np.flatnonzero(codes == code)


def _ask_unit(network: WellClassifier, group: Group, stats: Tensor | None, chosen: NDArray[np.int64], how: How) -> Told:
    """Return what is told of the ``chosen`` site numbers of one plate (or experiment, or batch)."""

    def images(numbers: NDArray[np.int64]) -> Tensor:
        own = None if stats is None else stats[numbers].to(how.device, non_blocking=True)
        return group.normalized(numbers, how.device, own)

    def run(x: Tensor, numbers: NDArray[np.int64]) -> Output:
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
                _ask_views([run(view, some) for view in views(images(some), how.tta, how.crop)])
                for some in np.array_split(chosen, -(-len(chosen) // at_once))
            ]
    return Told(*(torch.cat([getattr(part, name) for part in parts]) for name in ("first", "logits", "embedding")))


def _ask_views(outputs: Sequence[Output]) -> Told:
    """Return the first view's logits and the means over the views."""
    if len(outputs) == 1:
        return Told(outputs[0].logits, outputs[0].logits, outputs[0].embedding)
    logits, embeddings = (torch.stack(parts).mean(0) for parts in zip(*outputs, strict=True))
    return Told(outputs[0].logits, logits, embeddings)
