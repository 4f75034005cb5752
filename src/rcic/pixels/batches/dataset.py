"""The rows of a site table as samples: image, class and origin."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from rcic.errors import UserError
from rcic.pixels.batches.augment import SampleTransform
from rcic.pixels.images.sites import STACKED, Site, check_channels, sites_of
from rcic.pixels.images.store import Store

META = ("cell_type", "experiment", "plate", "well", "site", "id_code")
SampleKey = int | tuple[int, int]  # a row, or (epoch, row) as the samplers give it


class SiteDataset(Dataset[dict[str, Any]]):
    """Sites of wells: ``dataset[row]`` or ``dataset[epoch, row]`` (the keys of EpochSampler) is a dict.

    ``image`` (C, H, W) uint8 tensor, ``target`` int (-1: unknown), ``row`` int (of the site table), and the columns
    :data:`META` as plain values. Images are resized to ``size`` x ``size`` pixels if it is given, then passed to
    ``transform(image, epoch, row)``. With S ``stacked`` sites a row is a well
    (:func:`rcic.pixels.images.sites.stack_rows`) and its image (S * C, H, W): all channels of the first site, then of
    the next, with one geometry; its ``site`` is always STACKED. Thread-safe. Raises UserError, naming the file, for an
    empty table, an unknown channel or site, or an image that cannot be read or has another size than the first.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        store: Store,
        channels: Sequence[int],
        transform: SampleTransform | None = None,
        size: int | None = None,
        stacked: Sequence[int] = (),
    ) -> None:
        if rows.empty:
            raise UserError(f"{store.root}: no sites to read; check the folds, the cell types and the missing images")
        known = store.spec.sites
        if len(set(stacked)) != len(stacked) or not set(stacked) <= set(known):
            raise UserError(f"sites {list(stacked)} cannot be stacked: name each once, of {list(known)}")
        self.store, self.channels = store, check_channels(channels, store.spec)
        self.transform = transform
        self._size = size
        rows = rows.assign(site=STACKED) if stacked else rows
        self._sites, self._stacked = sites_of(rows), tuple(stacked)
        self._targets = rows["label"].tolist()
        self._meta = {name: rows[name].tolist() for name in META}
        self._cache: np.ndarray | None = None  # (N, C, H, W) uint8
        self._stats: torch.Tensor | None = None  # (N, C, 2) float32
        self._shape = store.read(self._image_sites(0)[0], self.channels, size).shape[1:]  # (H, W) of every image

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image before the transform."""
        return (max(len(self._stacked), 1) * len(self.channels), *self._shape)

    def set_stats(self, stats: np.ndarray) -> None:
        """Add the row's ``stats`` (C, 2) float32 of ``stats`` (N, C, 2) to every sample, for ``batch.normalize``.

        Raises ValueError for another shape.
        """
        if stats.shape != (len(self), self.shape[0], 2):
            raise ValueError(f"stats {stats.shape} of a dataset with images {len(self)} x {self.shape}")
        self._stats = torch.tensor(stats, dtype=torch.float32)

    def __len__(self) -> int:
        return len(self._sites)

    def __getitem__(self, key: SampleKey) -> dict[str, Any]:
        epoch, row = key if isinstance(key, tuple) else (0, key)
        image = self.image(row)
        if self.transform is not None:
            image = self.transform(image, epoch, row)
        facts = {name: values[0] for name, values in self.facts([row]).items()}
        return {"image": torch.from_numpy(image), **facts}

    def facts(self, rows: Sequence[int]) -> dict[str, Any]:
        """Return the fields of rows other than the image: a list for each name, but ``stats`` (n, C, 2)."""
        fields: dict[str, Any] = {"target": [self._targets[row] for row in rows], "row": list(rows)}
        if self._stats is not None:
            fields["stats"] = self._stats[list(rows)]
        return fields | {name: [values[row] for row in rows] for name, values in self._meta.items()}

    @property
    def coding(self) -> str:
        """The coding in which images can be read (:meth:`rcic.pixels.images.store.Store.coding`), "" if in none."""
        return "" if self._cache is not None else self.store.coding(self._size)

    def image(self, row: int, out: np.ndarray | None = None, coded: bool = False) -> np.ndarray:
        """Read the image (C, H, W) uint8 of a row, before the transform, into ``out`` if given.

        Raises UserError if it cannot be used.
        """
        out = np.empty(self.shape, np.uint8) if out is None else out
        if self._cache is not None:
            out[:] = self._cache[row]
            return out
        n_channels = len(self.channels)
        for number, site in enumerate(self._image_sites(row)):
            place = out[number * n_channels : (number + 1) * n_channels]
            self.store.read(site, self.channels, self._size, place, coded)
        return out

    def preload(self, limit: int = 2**30) -> bool:
        """Read all images into memory if they fit in ``limit`` bytes; return whether they do. UserError as `image`."""
        if self._cache is None and len(self) * int(np.prod(self.shape)) <= limit:
            cache = np.empty((len(self), *self.shape), np.uint8)
            for row in range(len(self)):
                self.image(row, cache[row])
            self._cache = cache
        return self._cache is not None

    def _image_sites(self, row: int) -> list[Site]:
        """Return the sites of a row's image: its own, or the stacked ones of its well (or their replacement)."""
        site = self._sites[row]
        if not self._stacked or site.site != STACKED:
            return [site] * max(len(self._stacked), 1)
        return [site._replace(site=int(number)) for number in self._stacked]
