"""Image files by a pattern of the screen spec."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from rcic.pixels.images.folder_listing import FolderListing, Match
from rcic.pixels.images.image import Planes
from rcic.pixels.images.image_source import Addresses, Barcodes, StoredImage, StoredPlane, chosen_planes
from rcic.pixels.images.sites import Site
from rcic.screen.pattern import PLANE_PARTS, fill, has
from rcic.screen.spec import ScreenSpec


class Paths:
    """The image files of a data root that match a pattern, the screen spec's first if none is given."""

    def __init__(
        self,
        root: Path,
        spec: ScreenSpec,
        barcodes: Barcodes,
        pattern: str | None = None,
        listing: FolderListing | None = None,
    ):
        self.root, self.spec, self.pattern = root, spec, pattern or spec.images.file[0]
        self.listing = listing or FolderListing(root)
        self.separate_channels = has(self.pattern, "channel")  # one channel per file
        z, time = spec.images.z, spec.images.time
        given = {part for part, value in (("z", z), ("time", time)) if isinstance(value, int)}
        self._free = tuple(part for part in PLANE_PARTS if has(self.pattern, part) and part not in given)
        self.starred = "*" in self.pattern or bool(self._free)  # its files are found by listing
        self._address = Addresses(spec, barcodes)
        self.content = Planes(
            1 if self.separate_channels else len(spec.channels),
            spec.images.bits,
            None if has(self.pattern, "z") else z,
            None if has(self.pattern, "time") else time,
        )
        self.values, self._above = self._address.values, self.pattern.rpartition("/")[0]

    def name(self, site: Site, channel: int) -> str:
        """Return an image's path relative to the root: ``"train/HUVEC-07/Plate1/B02_s1_w1.png"``.

        A pattern's ``*`` is kept if no file matches. Of several planes it is the first's.
        """
        return self._matches(site, channel)[0].name

    def find(self, site: Site, channel: int) -> StoredImage:
        """Return where an image is. Raises BadImage if several files match the pattern for one plane."""
        matches = self._matches(site, channel)
        if len(matches) == 1:
            return StoredImage((StoredPlane(matches[0].name),), self.content)
        planes = [StoredPlane(match.name, **dict(match.numbers)) for match in matches]
        images = self.spec.images
        if "time" not in self._free:
            planes = [plane._replace(time=images.time or 0) for plane in planes]
        if isinstance(images.z, int):
            planes = [plane._replace(z=images.z) for plane in planes]
        place = self.root / matches[0].name
        chosen = chosen_planes(place, planes, images, f"the pattern {self.pattern}")
        return StoredImage(chosen, self.content, str(images.z))

    def matches(self, site: Site, channel: int) -> list[str]:
        """Return the paths, relative to the root, of the files that match a pattern with ``*``, {z} or {time}."""
        return [match.name for match in self._found(site, channel)]

    def filled(self, pattern: str, site: Site, channel: int) -> str:
        """Return a part of the pattern with the values of an image."""
        return fill(pattern, self.values(site, channel))

    def described(self, site: Site, channel: int) -> str:
        """Return an image in words: ``"HUVEC-07 plate 1 well B02 site 1 channel 1"``."""
        return self._address.described(site, channel if self.separate_channels else None)

    def has(self, site: Site, channel: int) -> bool:
        """Whether a file matches."""
        if self.starred:
            return bool(self._found(site, channel))
        return self.listing.exists(self.filled(self.pattern, site, channel))

    def exists(self, site: Site, channel: int) -> bool:
        """Whether a file matches; each folder is listed once."""
        return self.has(site, channel)

    def folders(self, split: str, experiment: str, plate: int) -> list[str]:
        """Return the folders of a plate's images, relative to the root."""
        of_well = [part for part in ("well", "row", "row_number", "column") if has(self._above, part)]
        wells = self.spec.wells if of_well else self.spec.wells[:1]
        sites = self.spec.sites if has(self._above, "site") else self.spec.sites[:1]
        channels = self.spec.channel_numbers if has(self._above, "channel") else (1,)
        images = itertools.product(wells, sites, channels)
        values = (self.values(Site(split, experiment, plate, w, s), c) for w, s, c in images)
        found = (match for image in values for match in self.listing.folders(self._above, image, self._free))
        return list(dict.fromkeys(match.name for match in found))

    def _matches(self, site: Site, channel: int) -> Sequence[Match]:
        """Return the files that match the pattern; the filled pattern if none does."""
        matches = self._found(site, channel) if self.starred else []
        return matches or [Match(self.filled(self.pattern, site, channel))]

    def _found(self, site: Site, channel: int) -> list[Match]:
        values, last = self.values(site, channel), self.pattern.rpartition("/")[2]
        folders = self.listing.folders(self._above, values, self._free)
        return [match for above in folders for match in self.listing.within(above, last, values, self._free)]
