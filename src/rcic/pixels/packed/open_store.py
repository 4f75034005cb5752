"""The store of a data root: packed images or image files."""

from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.store import Store
from rcic.pixels.packed.manifest import MARK
from rcic.pixels.packed.packed_store import PackedStore
from rcic.screen.table import Screen


def open_store(screen: Screen) -> Store:
    """Return the image store of a screen: packed images if there are any, else image files.

    Raises UserError if there are neither.
    """
    if (screen.root / MARK).is_file():
        return PackedStore(screen.root, screen.spec)
    return FileStore(screen.root, screen.spec, screen.barcodes)
