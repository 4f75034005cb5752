"""The rows of a site table as samples: the image, its class, and where it comes from."""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from rcic.errors import UserError
from rcic.pixels.store import PngStore, Site, check_channels, sites_of
from rcic.screen.plate import SITES

META = ("cell_type", "experiment", "plate", "well", "site", "id_code")
Transform = Callable[[np.ndarray, int, int], np.ndarray]  # image (C, H, W) uint8, epoch, row -> image


class SampleError(UserError):
    """A UserError that keeps its one line on the way out of a DataLoader worker.

    PyTorch raises a worker's exception again in the main process, with the worker's whole traceback as the
    message. The traceback ends with this class's name and the message it was raised with, which is all that
    is kept here.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.rpartition(f"{type(self).__name__}: ")[2].strip())


class SiteDataset(Dataset[dict[str, Any]]):
    """Sites of wells: ``dataset[row]`` or ``dataset[epoch, row]`` (the keys of EpochSampler) is a dict.

    ``image`` (C, H, W) uint8 tensor, ``target`` int (-1: unknown), ``row`` int (of the site table), and the
    columns :data:`META` as plain values. Images are brought to ``size`` x ``size`` pixels when it is given,
    then go through ``transform(image, epoch, row)``. With S ``stacked`` sites a row is a well
    (:func:`rcic.pixels.store.stack_rows`) and its image (S * C, H, W), all channels of the first site and then of
    the next, under one geometry; its ``site`` is 0, whatever the table says. Raises UserError for an empty table, an
    unknown channel or site or a first image that cannot be read, and SampleError, naming the file, for an image
    that cannot be read later or has another size than the first.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        store: PngStore,
        channels: Sequence[int],
        transform: Transform | None = None,
        size: int | None = None,
        stacked: Sequence[int] = (),
    ) -> None:
        if rows.empty:
            raise UserError(f"{store.root}: no sites to read; check the folds, the cell types and the missing images")
        if len(set(stacked)) != len(stacked) or not set(stacked) <= set(SITES):
            raise UserError(f"sites {list(stacked)} cannot be stacked: name each once, of {list(SITES)}")
        self.store, self.channels = store, check_channels(channels)
        self.transform = transform
        self._size = size
        rows = rows.assign(site=0) if stacked else rows
        self._sites = [_of_well(site, stacked) for site in sites_of(rows)]
        self._targets = rows["label"].tolist()
        self._meta = {name: rows[name].tolist() for name in META}
        self._cache: np.ndarray | None = None  # (N, C, H, W) uint8
        self._stats: torch.Tensor | None = None  # (N, C, 2) float32
        self._shape = self._read(self._sites[0][0]).shape[1:]  # (H, W) of every image

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image before the transform."""
        return (len(self._sites[0]) * len(self.channels), *self._shape)

    def set_stats(self, stats: np.ndarray) -> None:
        """Give every sample the row's ``stats`` (C, 2) float32 of ``stats`` (N, C, 2), for ``batch.normalize``.

        To be called before the DataLoader forks its workers. Raises ValueError for another shape.
        """
        if stats.shape != (len(self), self.shape[0], 2):
            raise ValueError(f"stats {stats.shape} of a dataset with images {len(self)} x {self.shape}")
        self._stats = torch.tensor(stats, dtype=torch.float32)

    def __len__(self) -> int:
        return len(self._sites)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        epoch, row = key if isinstance(key, tuple) else (0, key)
        try:
            image = self.image(row)
            if self.transform is not None:
                image = self.transform(image, epoch, row)
        except UserError as error:
            raise SampleError(str(error)) from error
        sample = {"image": torch.from_numpy(image), "target": self._targets[row], "row": row}
        if self._stats is not None:
            sample["stats"] = self._stats[row].clone()
        return sample | {name: values[row] for name, values in self._meta.items()}

    def image(self, row: int) -> np.ndarray:
        """Return the image (C, H, W) uint8 of a row, before the transform; UserError if it cannot be used."""
        if self._cache is not None:
            return self._cache[row].copy()
        parts = [self._checked(site) for site in self._sites[row]]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def preload(self, limit: int = 2**30) -> bool:
        """Read every image into memory if all fit in ``limit`` bytes; return whether they do.

        To be called before the DataLoader forks its workers, which then share the memory. Raises UserError as
        :meth:`image`.
        """
        if self._cache is None and len(self) * int(np.prod(self.shape)) <= limit:
            cache = np.empty((len(self), *self.shape), np.uint8)
            for row in range(len(self)):
                cache[row] = self.image(row)
            self._cache = cache
        return self._cache is not None

    def _checked(self, site: Site) -> np.ndarray:
        """Return the image (C, H, W) of one site; UserError if its size is not that of the first."""
        image = self._read(site)
        if image.shape[1:] != self._shape:
            (height, width), (high, wide) = image.shape[1:], self._shape
            name = self.store.root / self.store.name(site, self.channels[0])
            raise UserError(f"{name}: {height} x {width} pixels where the first is {high} x {wide}; give data.size")
        return image

    def _read(self, site: Site) -> np.ndarray:
        image = self.store.read(site, self.channels)
        return image if self._size is None else resize(image, self._size)


def _of_well(site: Site, stacked: Sequence[int]) -> tuple[Site, ...]:
    """Return the sites that a row's image is made of: its own, or its well's ``stacked`` ones."""
    return tuple(site._replace(site=int(number)) for number in stacked) if stacked else (site,)


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Return the image (C, H, W) uint8 at (C, size, size): area averages when it shrinks, else linear."""
    if image.shape[1:] == (size, size):
        return image
    how = cv2.INTER_AREA if size < min(image.shape[1:]) else cv2.INTER_LINEAR
    return np.stack([cv2.resize(channel, (size, size), interpolation=how) for channel in image])
