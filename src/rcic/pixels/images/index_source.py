"""Images that an index lists: a file of the instrument, an OME-Zarr plate, or a table of paths."""

import logging
from collections.abc import Collection
from functools import cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from rcic.errors import Exhausted, UserError, brief, nearest, plural
from rcic.files.regular import is_there
from rcic.instruments.indexes import read_measurement
from rcic.pixels.images.folder_listing import FolderListing
from rcic.pixels.images.image import BadImage, Planes
from rcic.pixels.images.image_source import Addresses, Barcodes, StoredImage, StoredPlane, chosen_planes
from rcic.pixels.images.paths import Paths
from rcic.pixels.images.plane_owners import PlaneOwners
from rcic.pixels.images.plane_table import PlaneTable
from rcic.pixels.images.sites import Site
from rcic.screen.pattern import ENDINGS, has
from rcic.screen.spec import PathColumns, ScreenSpec

_log = logging.getLogger(__name__)

_MOST_WORDS = 8  # wells or channels of an index that a message lists
_reading = Lock()


class PlateIndex(NamedTuple):
    """The index of a plate, its path below the data root, and the plate's position in it."""

    file: str
    table: PlaneTable
    code: int


class IndexSource:
    """The images that the index files of a pattern list, each read once and when it is first needed.

    An index has the plate that the pattern's {plate} names or, in an index of several plates, the one of the plate's
    name in the tables.
    """

    separate_channels = True

    def __init__(
        self, root: Path, spec: ScreenSpec, barcodes: Barcodes, pattern: str, listing: FolderListing | None = None
    ) -> None:
        self.root, self.spec, self.pattern = root, spec, pattern
        self.listing = listing or FolderListing(root)
        self._paths = Paths(root, spec, barcodes, pattern, self.listing)
        self._address = Addresses(spec, barcodes)
        self._content = Planes(1, spec.images.bits)
        self._owners = PlaneOwners()
        self._files: dict[tuple[str, str, int], UserError | PlateIndex] = {}
        whole = "plate" if spec.columns.plate is not None else "experiment"
        self._names_plate = has(pattern, whole) or has(pattern, "plate")

    def find(self, site: Site, channel: int) -> StoredImage:
        """Return where an image is. Raises BadImage if the index lacks it, or lists several planes for it."""
        found = self.plate(site)
        words = site.well, self.spec.site_word(site.site), self.spec.channel_word(channel)
        planes = found.table.planes(found.code, *words)
        if not planes:
            raise BadImage(self.root / found.file, "missing", self._lacking(found, *words))
        if len(planes) == 1 and planes[0].page < 0 and planes[0].file.lower().endswith(ENDINGS):
            return StoredImage((planes[0],), self._content_of(planes[0]))
        source = f"{self.described(site, channel)} in it"
        chosen = chosen_planes(self.root / found.file, planes, self.spec.images, source)
        return StoredImage(chosen, self._content, str(self.spec.images.z))

    def _content_of(self, plane: StoredPlane) -> Planes:
        """Return the content of a file that is listed once: a plane, or a stack of which the index does not tell."""
        images = self.spec.images
        z = None if images.z == plane.z else images.z
        return self._content._replace(z=z, time=None if images.time == plane.time else images.time)

    def has(self, site: Site, channel: int) -> bool:
        """Whether an index lists the image."""
        try:
            found = self.plate(site)
        except BadImage:
            return False
        words = site.well, self.spec.site_word(site.site), self.spec.channel_word(channel)
        return bool(found.table.planes(found.code, *words))

    def exists(self, site: Site, channel: int) -> bool:
        """Whether an index lists the image, and its files are there; each folder is listed once."""
        try:
            planes = self.find(site, channel).planes
        except BadImage as error:
            return error.kind == "ambiguous"
        return all(self.listing.exists(plane.file) for plane in planes)

    def name(self, site: Site, channel: int) -> str:
        """Return the path of an image's first plane, or of the index with the image in words if it lists none."""
        try:
            return self.find(site, channel).planes[0].label
        except UserError:
            words = f"well {site.well} site {self.spec.site_word(site.site)} channel {self.spec.channel_word(channel)}"
            return f"{self.index_name(site)}: {words}"

    def folders(self, split: str, experiment: str, plate: int) -> list[str]:
        """Return the index of a plate and the folders of its images; an OME-Zarr plate is all in one."""
        site = Site(split, experiment, plate, self.spec.wells[0], self.spec.sites[0])
        index = self.index_name(site)
        if index.lower().endswith(".zarr"):
            return [index]
        try:
            found = self.plate(site)
        except UserError:
            return [index]
        return [index, *found.table.folders(found.code)]

    def described(self, site: Site, channel: int) -> str:
        """Return an image in words: ``"HUVEC-07 plate 1 well B02 site 1 channel 1"``."""
        return self._address.described(site, channel)

    def index_name(self, site: Site) -> str:
        """Return the path of a plate's index relative to the root; a ``*`` is kept if no file matches."""
        return self._paths.name(site, 1)

    def plate(self, site: Site) -> PlateIndex:
        """Return the index of a site's plate, which is read if it was not yet.

        Raises BadImage if it is missing, there are several, or none of its plates is this one; UserError if it cannot
        be read.
        """
        key = site.split, site.experiment, site.plate
        if key not in self._files:
            try:
                self._files[key] = self._found(site)
            except Exhausted:
                raise
            except UserError as error:
                self._files[key] = error
        found = self._files[key]
        if isinstance(found, UserError):
            raise found.with_traceback(None)  # of earlier calls, it would grow with each
        return found

    def barcode(self, site: Site) -> str:
        """Return the name of a site's plate in the tables."""
        return self._address.barcode(site.experiment, site.plate)

    def forget(self) -> None:
        """Discard which index each plate has, since files may have changed."""
        self._files.clear()
        self._owners = PlaneOwners()

    def _found(self, site: Site) -> PlateIndex:
        (plane,) = self._paths.find(site, 1).planes
        path = self.root / plane.file
        if not is_there(path):
            raise BadImage(path, "missing", "no such index of images")
        table = index_planes(self.root, plane.file, self.spec.images.columns)
        code = self._code(path, table, site)
        name = f"{site.experiment} plate {self.barcode(site)}"
        if clash := self._owners.claim(name, table, code):
            file, page, other = clash
            words = f"{file}{f' page {page}' if page >= 0 else ''}"
            raise UserError(
                f"{path}: lists {words} for {name}, but it is an image of {other}, too; correct one of them"
            )
        return PlateIndex(plane.file, table, code)

    def _code(self, path: Path, table: PlaneTable, site: Site) -> int:
        """Return the position of a site's plate in its index."""
        name, plates = self.barcode(site), table.words["plate"]
        if self.spec.columns.plate is None and name not in plates:
            name = site.experiment
        if (code := table.code("plate", name)) >= 0:
            return code
        if len(plates) == 1 and (self._names_plate or not plates[0]):
            return 0
        known = f"it has {plural(len(plates), 'plate')}: {_some(plates)}"
        reason = f"lists no plate {brief(name)}{nearest(name, plates)}; {known}"
        raise BadImage(path, "missing", reason if plates else "lists no images")

    def _lacking(self, found: PlateIndex, well: str, site: str, channel: str) -> str:
        """Return what an index has not, the first of well, channel and site, and what it has."""
        for column, word in (("well", well), ("channel", channel), ("site", site)):
            known, code = found.table.of_plate(found.code, column), found.table.code(column, word)
            if code < 0 or found.table.words[column][code] not in known:
                return f"lists no {column} {brief(word)}{nearest(word, known)}; {self.words_of(found, column)}"
        return f"lists no image of well {well} site {site} channel {channel}"

    def words_of(self, found: PlateIndex, column: str) -> str:
        """Return the wells, sites or channels of a plate's index in words."""
        known = found.table.of_plate(found.code, column)
        names = {channel.word: channel.name for channel in found.table.channels if column == "channel"}
        shown = [f"{word} ({names[word]})" if names.get(word, word) not in ("", word) else word for word in known]
        return f"it has {plural(len(known), column)}: {_some(shown)}"


def index_planes(root: Path, name: str, columns: PathColumns) -> PlaneTable:
    """Return the planes of an index; each state of a file is read once in a process. Raises UserError."""
    status = (root / name).stat()
    with _reading:
        return _read(root, name, columns, status.st_mtime_ns, status.st_size)


@cache
def _read(root: Path, name: str, columns: PathColumns, mtime_ns: int, n_bytes: int) -> PlaneTable:  # noqa: ARG001
    return PlaneTable(root / name, read_measurement(root, name, columns))


def _some(words: Collection[str]) -> str:
    shown = [word or "''" for word in words][:_MOST_WORDS]
    return ", ".join(shown) + (" ..." if len(words) > _MOST_WORDS else "")
