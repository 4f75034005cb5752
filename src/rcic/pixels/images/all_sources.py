"""The sources of a screen's images: the patterns of the screen spec, tried in order for each image."""

from collections.abc import Sequence
from pathlib import Path

from rcic.errors import UserError
from rcic.files.regular import check_folder
from rcic.pixels.images.folder_listing import FolderListing
from rcic.pixels.images.image_source import Barcodes, PlaneSource, StoredImage
from rcic.pixels.images.index_source import IndexSource
from rcic.pixels.images.paths import Paths
from rcic.pixels.images.sites import Site
from rcic.screen.pattern import first_folder, is_index
from rcic.screen.spec import ScreenSpec


class ImageSources:
    """The images of a data root, each from the first pattern with a match.

    A pattern whose first folder is not there is left out; of a single pattern left nothing is looked up until an image
    is read. Raises UserError if none is left.
    """

    def __init__(self, root: Path, spec: ScreenSpec, barcodes: Barcodes) -> None:
        self.listing = FolderListing(root)
        self.sources: list[PlaneSource] = [
            (IndexSource if is_index(pattern) else Paths)(root, spec, barcodes, pattern, self.listing)
            for pattern in present_patterns(root, spec.images.file)
        ]

    def of(self, site: Site, channel: int) -> PlaneSource:
        """Return the source of an image: the first that has it, or the first of all if none has."""
        if len(self.sources) == 1:
            return self.sources[0]
        return next((source for source in self.sources if source.has(site, channel)), self.sources[0])

    def find(self, site: Site, channel: int) -> StoredImage:
        """Return where an image is. Raises BadImage if nothing or too much is known of it."""
        return self.of(site, channel).find(site, channel)

    def name(self, site: Site, channel: int) -> str:
        """Return an image's path relative to the root, or what stands for it in a message if there is none."""
        return self.of(site, channel).name(site, channel)

    def exists(self, site: Site, channel: int) -> bool:
        """Whether the files of an image exist; each folder is listed once."""
        return self.of(site, channel).exists(site, channel)

    def folders(self, split: str, experiment: str, plate: int) -> list[str]:
        """Return the folders and files, relative to the root, on which a plate's images depend."""
        found = [name for source in self.sources for name in source.folders(split, experiment, plate)]
        return list(dict.fromkeys(found))

    def forget(self) -> None:
        """Discard what was listed, since files may have changed."""
        self.listing.forget()
        for source in self.sources:
            if isinstance(source, IndexSource):
                source.forget()


def present_patterns(root: Path, patterns: Sequence[str]) -> list[str]:
    """Return the patterns whose first folder is in the data root. Raises UserError if there is none."""
    if not patterns:
        raise UserError(f"{root}: the screen has profiles but no images (images.none of its screen spec)")
    tops = {
        pattern: ("train", "test") if pattern.startswith("{split}/") else (first_folder(pattern),)
        for pattern in patterns
    }
    if found := [pattern for pattern, names in tops.items() if any((root / name).is_dir() for name in names)]:
        return found
    folders = [f"{name}/" for names in tops.values() for name in names]
    for top in folders:
        check_folder(root / top.rstrip("/"))
    reason = "no such folder"
    if root.is_dir():
        most = folders if len(folders) < 2 else [", ".join(folders[:-1]) + f" nor {folders[-1]}"]
        reason = f"{'neither ' if len(folders) > 1 else 'no '}{most[0]} is in it"
    raise UserError(f"{root}: {reason}; give the data root, with the CSV files and the images")
