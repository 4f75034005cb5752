"""Batches of sites, read ahead by threads of this process.

Threads suffice because the slow steps - reading, inflating, decoding, warping - release Python's lock. A batch is
filled in place, and no pixel is copied between processes, which limits torch's DataLoader.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import torch

from rcic.pixels.batches.batch import image_stats
from rcic.pixels.batches.dataset import SampleKey, SiteDataset
from rcic.pixels.batches.scratch import Lender, scratch
from rcic.pixels.batches.stats import mean_and_std
from rcic.pixels.batches.warp import warp
from rcic.pixels.images.prefetch import ahead
from rcic.pixels.packed.frame import undo

AHEAD = 2  # batches that are read ahead
_TOGETHER = 6  # samples that a thread takes at once, at most: each handing over needs Python's lock
_Task = tuple[int, np.ndarray, int]


class Batches(Protocol):
    """A batch sampler: torch's BatchSampler, or one of :mod:`rcic.pixels.batches.sampler`."""

    batch_size: int

    def __iter__(self) -> Iterator[Sequence[SampleKey]]: ...

    def __len__(self) -> int: ...


class BatchLoader:
    """Yields dicts of B samples: ``image`` (B, C, H, W) uint8, ``target``, ``row`` (B,) int64, and lists of META.

    The result does not depend on ``threads`` (0: each batch is read on demand). With ``on_device`` the images are as
    stored, in a ``coding`` (`rcic.pixels.packed.frame.undo`), with the ``view`` (B, 2, 3) float64 and ``size``
    (h, w) of :func:`rcic.pixels.batches.warp.warp`, for :func:`view_on` to decode and warp on a GPU. ``pin`` puts
    images into page-locked memory. After ``measures`` is set, batches have ``stats`` (B, C, 2) float32, mean and
    standard deviation of the images as stored, unless they are ``on_device``, for :func:`view_on` to measure. An image
    that cannot be used raises its UserError from the loop.
    """

    def __init__(
        self, dataset: SiteDataset, batches: Batches, threads: int = 0, pin: bool = False, on_device: bool = False
    ) -> None:
        self.dataset = dataset
        self.batch_sampler: Any = batches
        self.batch_size, self.sampler = batches.batch_size, batches  # for Catalyst
        self.drop_last = bool(getattr(batches, "drop_last", False))
        self.threads, self.pin, self._lender = threads, pin, Lender()
        self.on_device = on_device and dataset.transform is not None and dataset.transform.pixel_values is None
        self.measures = False

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if not self.threads:
            yield from (self._begin(None, keys)() for keys in self.batch_sampler)
            return
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="sites")
        try:
            yield from ahead(lambda keys: self._begin(pool, keys), self.batch_sampler, AHEAD)
        finally:
            pool.shutdown(cancel_futures=True)

    def _begin(self, pool: Executor | None, keys: Sequence[SampleKey]) -> Callable[[], dict[str, Any]]:
        """Start to read a batch; return a function that waits for it and returns it."""
        pairs = [key if isinstance(key, tuple) else (0, key) for key in keys]
        epoch, transform = pairs[0][0], None if self.on_device else self.dataset.transform
        (n_channels, height, width), rows = self.dataset.shape, [row for _, row in pairs]
        coded = self.on_device and bool(self.dataset.coding)
        size = (height, width) if transform is None else transform.size((height, width), epoch)
        shape = len(rows), n_channels, *size
        images = torch.empty(shape, dtype=torch.uint8, pin_memory=True) if self.pin else self._lender.tensor(shape)

        stats = np.empty((len(rows), n_channels, 2), np.float32) if self.measures and not self.on_device else None

        def read(row: int, out: np.ndarray, number: int) -> None:
            stored = out if transform is None else scratch("image", self.dataset.shape)
            self.dataset.image(row, stored, coded)
            if stats is not None:
                stats[number] = mean_and_std(stored)
            if transform is not None:
                transform(stored, epoch, row, out)

        def read_some(tasks: Sequence[_Task]) -> None:
            for task in tasks:
                read(*task)

        tasks = list(zip(rows, images.numpy(), range(len(rows)), strict=True))
        waiting = None if pool is None else [pool.submit(read_some, some) for some in self._shares(tasks)]

        def end() -> dict[str, Any]:
            if waiting is None:
                read_some(tasks)
            else:
                for future in waiting:
                    future.result()
            facts = self.dataset.facts(rows)
            numbers = {name: torch.tensor(facts.pop(name)) for name in ("target", "row")}
            numbers |= {} if stats is None else {"stats": torch.from_numpy(stats)}
            return {"image": images, **numbers, **facts, **self._views(epoch, rows)}

        return end

    def _shares(self, tasks: Sequence[_Task]) -> list[Sequence[_Task]]:
        """Split a batch into what threads take at once; every thread has one, if there are as many samples."""
        n = max(1, min(_TOGETHER, len(tasks) // self.threads))
        return [tasks[first : first + n] for first in range(0, len(tasks), n)]

    def _views(self, epoch: int, rows: Sequence[int]) -> dict[str, Any]:
        """Return the fields from which the device computes the views."""
        transform, shape = self.dataset.transform, self.dataset.shape[1:]
        if not self.on_device or transform is None:
            return {}
        matrices = np.stack([transform.view(shape, epoch, row).matrix for row in rows])
        view, size = torch.from_numpy(matrices), transform.size(shape, epoch)
        return {"view": view, "size": size, "coding": self.dataset.coding, "measures": self.measures}


def view_on(device: torch.device | str, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return a batch's views (B, C, h, w) uint8 on the device, decoded and warped there if the loader did not.

    The second value are the statistics (B, C, 2) float32 by which to normalise them, None for their own.
    """
    images = batch["image"].to(device, non_blocking=True)
    stats = batch["stats"].to(device, non_blocking=True) if "stats" in batch else None
    if "view" not in batch:
        return images, stats
    images = undo(images, batch["coding"])
    stats = image_stats(images) if batch["measures"] else stats
    return warp(images, batch["view"].to(device, non_blocking=True), batch["size"]), stats
