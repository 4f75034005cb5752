"""A Zarr v3 shard of images: consecutive frames, then the index of their offsets and lengths.

It does not use the zarr package: shards are written as a stream, so that a plate needs no memory, and read with
``pread``, without Python's lock (https://zarr-specs.readthedocs.io, "sharding-indexed", index at the end).
"""

import os
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np

from rcic.errors import UserError
from rcic.files.regular import open_regular, read_error

ABSENT = 2**64 - 1  # offset and length of a missing image
_CHECKSUM = 4  # bytes


class ShardWriter:
    """Writes a shard of ``n_sites`` x ``n_channels`` images into a file that is open for writing."""

    def __init__(self, file: BinaryIO, n_sites: int, n_channels: int) -> None:
        self.file = file
        self.index = np.full((n_sites, n_channels, 2), ABSENT, "<u8")

    def add(self, site: int, channel: int, frame: bytes) -> None:
        """Append the frame of a site and channel, counted from 0."""
        self.index[site, channel] = self.file.tell(), len(frame)
        self.file.write(frame)

    def finish(self) -> None:
        """Append the index, which completes the shard."""
        content = self.index.tobytes()
        self.file.write(content + google_crc32c.value(content).to_bytes(_CHECKSUM, "little"))


class ShardReader:
    """A shard on disk. Raises UserError if its index is damaged, or the file is missing or truncated."""

    def __init__(self, path: Path, n_sites: int, n_channels: int) -> None:
        self.path = path
        with self._open() as file:
            self.index = read_index(path, file, n_sites, n_channels)

    def has(self, site: int, channel: int) -> bool:
        """Whether there is an image of a site and channel, counted from 0."""
        return bool(self.index[site, channel, 0] != ABSENT)

    def frames(self, site: int, channels: Sequence[int]) -> list[memoryview]:
        """Return the frames of a site's channels, counted from 0, all of which must exist.

        Adjacent frames are read at once, other bytes not at all. Raises UserError if the file cannot be read.
        """
        with self._open() as file:
            return read_frames(self.path, file, self.index[site, list(channels)])

    def check_site(self, site: int) -> None:
        """Do nothing: all sites are in this file, whose index was checked."""

    def _open(self) -> FileIO:
        try:
            return open_regular(self.path)
        except FileNotFoundError:
            raise UserError(f"{self.path}: the packed file is missing; pack this plate again") from None


def read_index(path: Path, file: FileIO, n_sites: int, n_channels: int) -> np.ndarray:
    """Read the index (N, C, 2) uint64 at the end of a shard: offset and length of each image, `ABSENT` without it.

    Raises UserError if it is damaged or the file is truncated.
    """
    length = n_sites * n_channels * 16 + _CHECKSUM
    size = os.fstat(file.fileno()).st_size
    content = _bytes(path, file, size - length, length) if size >= length else b""
    checksum = int.from_bytes(content[-_CHECKSUM:], "little")
    if len(content) != length or google_crc32c.value(content[:-_CHECKSUM]) != checksum:
        raise UserError(f"{path}: the packed file is cut off or its index is damaged; pack this plate again")
    index = np.frombuffer(content[:-_CHECKSUM], "<u8").reshape(n_sites, n_channels, 2)
    offset, size_of = index[index[..., 0] != ABSENT].T
    if (size_of > size).any() or (offset > np.uint64(size) - size_of).any():
        raise UserError(f"{path}: the index of the packed file points outside the file; pack this plate again")
    return index


def read_frames(path: Path, file: FileIO, entries: np.ndarray) -> list[memoryview]:
    """Return the frames at the ``entries`` (C, 2) of an index; adjacent ones are read at once."""
    spans = sorted((offset, offset + length, number) for number, (offset, length) in enumerate(entries.tolist()))
    frames: dict[int, memoryview] = {}
    for run in _adjacent(spans):
        first, last = run[0][0], run[-1][1]
        content = memoryview(_bytes(path, file, first, last - first))
        frames |= {number: content[start - first : end - first] for start, end, number in run}
    return [frames[number] for number in range(len(entries))]


def _adjacent(spans: Sequence[tuple[int, int, int]]) -> list[list[tuple[int, int, int]]]:
    """Split sorted (start, end, number) where one does not start at the end of the one before."""
    runs: list[list[tuple[int, int, int]]] = []
    for span in spans:
        if runs and runs[-1][-1][1] == span[0]:
            runs[-1].append(span)
        else:
            runs.append([span])
    return runs


def _bytes(path: Path, file: FileIO, offset: int, length: int) -> bytes:
    try:
        return os.pread(file.fileno(), length, offset)
    except (OSError, MemoryError) as error:
        raise read_error(path, error) from error
