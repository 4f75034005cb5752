"""The pixels of an OME-Zarr plate that this program wrote: a shard for each site, ``B/02/1/0/c/0/0/0``.

Other OME-Zarr plates are read through the zarr package (:mod:`rcic.pixels.images.zarr_plane`). Here the layout is
known, so that a site is one file that is opened and read once, outside of Python's lock.
"""

from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path

import numpy as np

from rcic.errors import Exhausted, UserError
from rcic.files.regular import open_regular
from rcic.pixels.images.image import BadImage
from rcic.pixels.packed.zarr_shard import ABSENT, read_frames, read_index

FIELD_LEVEL, FIELD_SHARD = "0", "c/0/0/0"  # Zarr's names of an image's only level and its only shard

SiteKey = tuple[str, int]  # well and site


def field_path(key: SiteKey) -> str:
    """Return the path of a site's image below its plate: ``("B02", 1)`` -> ``"B/02/1"``."""
    well, site = key
    return f"{well.rstrip('0123456789')}/{well[-2:]}/{site}"


class FieldShards:
    """The shards of a plate's sites, in order; ``left_out`` has the well, site and channel of images without pixels."""

    def __init__(
        self, folder: Path, sites: Sequence[SiteKey], n_channels: int, left_out: Mapping[tuple[str, int, int], str]
    ) -> None:
        self.path, self._sites, self._left_out = folder, sites, left_out
        self._indices = np.full((len(sites), n_channels, 2), ABSENT, "<u8")
        self._is_known = np.zeros(len(sites), bool)  # whether a site's index was read

    def has(self, site: int, channel: int) -> bool:
        """Whether there should be an image of a site and channel, counted from 0. Opens no file."""
        return (*self._sites[site], channel + 1) not in self._left_out

    def frames(self, site: int, channels: Sequence[int]) -> list[memoryview]:
        """Return the frames of a site's channels, counted from 0.

        Raises BadImage if the site's file is missing, cut off, or lacks one of them.
        """
        path = self._file(site)
        with self._open(path) as file:
            index = self._index(path, file, site)
            entries = index[list(channels)]
            if (entries[:, 0] == ABSENT).any():
                reason = f"the file lacks a channel; remove {self.path} and pack the screen again"
                raise BadImage(path, "damaged", reason)
            return read_frames(path, file, entries)

    def check_site(self, site: int) -> None:
        """Raise BadImage if a site's file is missing or its index is damaged; reads no pixels."""
        path = self._file(site)
        with self._open(path) as file:
            self._index(path, file, site)

    def _file(self, site: int) -> Path:
        return self.path / field_path(self._sites[site]) / FIELD_LEVEL / FIELD_SHARD

    def _open(self, path: Path) -> FileIO:
        try:
            return open_regular(path)
        except FileNotFoundError:
            reason = f"the file is missing from the packed plate; remove {self.path} and pack the screen again"
            raise BadImage(path, "missing", reason) from None

    def _index(self, path: Path, file: FileIO, site: int) -> np.ndarray:
        """Return the index (C, 2) of a site's file, read once."""
        if not self._is_known[site]:
            try:
                self._indices[site] = read_index(path, file, 1, self._indices.shape[1])[0]
            except Exhausted:
                raise
            except UserError as error:
                raise BadImage(path, "damaged", str(error).removeprefix(f"{path}: ")) from None
            self._is_known[site] = True
        return self._indices[site]
