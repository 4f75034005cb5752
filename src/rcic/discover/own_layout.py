"""RxRx1's own folders and packed screens, which need no screen spec."""

from pathlib import Path

from rcic.discover.folder_walk import FolderContent
from rcic.errors import UserError, plural
from rcic.files.regular import is_there
from rcic.pixels.packed.manifest import MARK
from rcic.screen.spec_files import shipped_spec
from rcic.screen.table import read_screen

_OWN = ("rcic", "rxrx1")  # shipped screen specs that are found by their tables


def own_layout(root: Path, content: FolderContent) -> str:
    """Return a report if a data root is RxRx1 as Kaggle or its makers distribute it, or a packed screen; "" if not."""
    if is_there(root / MARK):
        return f"{root}: a screen that this program packed ({MARK}); it has its own screen spec, and none was written"
    for name in _OWN:
        spec = shipped_spec(name)
        files = {table.file for table in spec.tables}
        if not files <= {*content.tables}:
            continue
        try:
            screen = read_screen(root, spec)
        except UserError:
            continue
        n_images = sum(path.startswith(("train/", "test/", "images/")) for path in content.images)
        expected = len(screen.wells) * len(spec.sites) * len(spec.channels)
        lines = [
            f"{root}: {spec.name}, known by {', '.join(sorted(files))}",
            f"  {plural(len(screen.wells), 'well')}, {plural(n_images, 'image')} of {expected:,} that the tables name",
            "no screen spec is needed, and none was written: every command finds this layout by itself",
        ]
        rest = len(content.images) - n_images
        return "\n".join(lines[:2] + ([f"not used\n  {plural(rest, 'other image file')}"] if rest else []) + lines[2:])
    return ""
