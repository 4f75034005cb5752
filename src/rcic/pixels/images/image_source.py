"""Where the pixels of an image are: the interface of sources, and the choice among the planes of a stack."""

from collections.abc import Collection, Mapping, Sequence
from os import PathLike
from typing import NamedTuple, Protocol

from rcic.pixels.images.image import BadImage, Planes
from rcic.pixels.images.sites import Site
from rcic.screen.pattern import parts_of
from rcic.screen.spec import Images, ScreenSpec

Barcodes = Mapping[tuple[str, int], str]  # (experiment, plate) -> plate name, for named plates

_MOST_NUMBERS = 6  # that a message lists


class StoredPlane(NamedTuple):
    """A file with one or more planes: its path below the data root, and the page, from 0, of a file of several.

    ``page`` is -1 for a file that is one plane, or has all channels. ``z`` and ``time`` are as files or index count.
    """

    file: str
    page: int = -1
    z: int = 0
    time: int = 0

    @property
    def label(self) -> str:
        """The plane in a message: its file and, if it has several, the page."""
        return self.file if self.page < 0 else f"{self.file} page {self.page}"


class StoredImage(NamedTuple):
    """The planes of one image by their z, the ``content`` of each of their files, and how they become one."""

    planes: tuple[StoredPlane, ...]
    content: Planes
    projection: str = ""  # of several planes


class PlaneSource(Protocol):
    """A place where images are looked for: files of a pattern, or planes that an index lists.

    ``pattern`` is an entry of images.file, ``separate_channels`` whether each channel has a plane of its own.
    """

    pattern: str
    separate_channels: bool

    def find(self, site: Site, channel: int) -> StoredImage:
        """Return where an image is. Raises BadImage if nothing or too much is known of it."""

    def has(self, site: Site, channel: int) -> bool:
        """Whether the source has an image, be it one of several that match."""

    def exists(self, site: Site, channel: int) -> bool:
        """Whether the files of an image exist; each folder is listed once."""

    def name(self, site: Site, channel: int) -> str:
        """Return an image's path relative to the root, or what stands for it in a message if there is none."""

    def folders(self, split: str, experiment: str, plate: int) -> list[str]:
        """Return the folders and files, relative to the root, on which a plate's images depend."""

    def described(self, site: Site, channel: int) -> str:
        """Return an image in words: ``"HUVEC-07 plate 1 well B02 site 1 channel 1"``."""


class Addresses:
    """What the parts of a pattern are for an image, and how an image is told in a message."""

    def __init__(self, spec: ScreenSpec, barcodes: Barcodes) -> None:
        self.spec, self._barcodes = spec, barcodes
        z, time = spec.images.z, spec.images.time
        self._planes: dict[str, str | int] = {
            part: number for part, number in (("z", z), ("time", time)) if isinstance(number, int)
        }

    def barcode(self, experiment: str, plate: int) -> str:
        """Return the name of a plate in the tables."""
        return self._barcodes.get((experiment, plate), str(plate))

    def values(self, site: Site, channel: int) -> dict[str, str | int]:
        """Return part -> value of a pattern for an image; without z and time where their number is not given."""
        barcode = self.barcode(site.experiment, site.plate)
        known = parts_of(self.spec, site.split, site.experiment, barcode, site.well, site.site, channel)
        return known | self._planes if self._planes else known

    def described(self, site: Site, channel: int | None) -> str:
        """Return an image in words, without the channel if a file has all of them."""
        plate = self.barcode(site.experiment, site.plate)
        words = f"{site.experiment} plate {plate} well {site.well} site {self.spec.site_word(site.site)}"
        return words if channel is None else f"{words} channel {channel}"


def chosen_planes(
    place: str | PathLike[str], planes: Sequence[StoredPlane], images: Images | Planes, source: str
) -> tuple[StoredPlane, ...]:
    """Return those of an image's planes that the screen spec chooses, by their z.

    ``place`` and ``source`` are where the planes are from, for messages: a path and in words. Raises BadImage if the
    chosen one is missing, there are several along an axis of which nothing is said, or two for one place.
    """
    planes = [plane for plane in planes if images.time is None or plane.time == images.time] or _none_of(
        place, "time point", images.time, {plane.time for plane in planes}
    )
    if len(times := {plane.time for plane in planes}) > 1:
        raise BadImage(place, "ambiguous", f"{several('time points', times)}; {remedy_of('time')}")
    if isinstance(images.z, int):
        planes = [plane for plane in planes if plane.z == images.z] or _none_of(
            place, "z plane", images.z, {plane.z for plane in planes}
        )
    if len(numbers := {plane.z for plane in planes}) > 1 and images.z is None:
        raise BadImage(place, "ambiguous", f"{several('z planes', numbers)}; {remedy_of('z')}")
    if len(numbers) < len(planes):
        other = next(plane for plane in planes[1:] if plane != planes[0])
        reason = f"{len(planes)} files match {source}, also {other.label}; there must be one"
        raise BadImage(place, "ambiguous", reason)
    return tuple(sorted(planes, key=lambda plane: plane.z))


def remedy_of(axis: str) -> str:
    """Return what to do about several planes along an axis, "z" or "time"."""
    values = "max, mean, sharpest or the number of one" if axis == "z" else "the number of one"
    return f"set images.{axis} of the screen spec to {values}"


def several(planes: str, numbers: Collection[int]) -> str:
    """Return how many planes there are, with their numbers: ``"3 z planes (1, 2, 3)"``."""
    return f"there are {len(numbers)} {planes} ({_listed(numbers)})"


def _none_of(place: str | PathLike[str], noun: str, number: int | None, numbers: Collection[int]) -> list[StoredPlane]:
    raise BadImage(place, "missing", f"there is no {noun} {number}, but {_listed(numbers)}")


def _listed(numbers: Collection[int]) -> str:
    words = [str(number) for number in sorted(numbers)]
    return ", ".join(words[:_MOST_NUMBERS]) + (" ..." if len(words) > _MOST_NUMBERS else "")
