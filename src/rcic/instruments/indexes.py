"""The kinds of index files, by the ends of their names."""

from collections.abc import Callable
from pathlib import Path

from rcic.errors import UserError
from rcic.instruments.harmony import read_harmony
from rcic.instruments.measurement import Measurement
from rcic.instruments.metaxpress import read_metaxpress
from rcic.instruments.ome_zarr_plate import read_ome_zarr_plate
from rcic.instruments.path_table import read_path_table
from rcic.instruments.yokogawa import read_yokogawa
from rcic.screen.spec import PathColumns

IndexReader = Callable[[Path, str], Measurement]  # data root, path of the index below it

READERS: dict[str, IndexReader] = {  # end of the index's name, in lower case -> its reader
    "index.idx.xml": read_harmony,
    "index.xml": read_harmony,
    "imageindex.columbusidx.xml": read_harmony,
    "measurementdata.mlf": read_yokogawa,
    ".htd": read_metaxpress,
    ".zarr": read_ome_zarr_plate,  # a folder
    ".csv": read_path_table,
    ".csv.gz": read_path_table,
}


def reader_of(name: str) -> IndexReader | None:
    """Return the reader of an index file by its name or a pattern of it, None if no kind of index ends so."""
    lower = name.lower()
    return next((reader for ending, reader in READERS.items() if lower.endswith(ending)), None)


def read_measurement(root: Path, name: str, columns: PathColumns) -> Measurement:
    """Read the index at a path below the data root; ``columns`` are those of a CSV file of paths.

    Raises UserError, naming the file, if it cannot be read or is none of the known kinds.
    """
    reader = reader_of(name)
    if reader is None:
        kinds = ", ".join(sorted(READERS))
        raise UserError(f"{root / name}: is no index of images that can be read; their names end with {kinds}")
    return read_path_table(root, name, columns) if reader is read_path_table else reader(root, name)
