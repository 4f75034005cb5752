"""The kinds of index files, by the ends of their names."""

from collections.abc import Callable
from pathlib import Path

from rcic.instruments.harmony import read_harmony
from rcic.instruments.measurement import Measurement
from rcic.instruments.metaxpress import read_metaxpress
from rcic.instruments.ome_zarr_plate import read_ome_zarr_plate
from rcic.instruments.yokogawa import read_yokogawa

IndexReader = Callable[[Path, str], Measurement]  # data root, path of the index below it

READERS: dict[str, IndexReader] = {  # end of the index's name, in lower case -> its reader
    "index.idx.xml": read_harmony,
    "index.xml": read_harmony,
    "imageindex.columbusidx.xml": read_harmony,
    "measurementdata.mlf": read_yokogawa,
    ".htd": read_metaxpress,
    ".zarr": read_ome_zarr_plate,  # a folder
}


def reader_of(name: str) -> IndexReader | None:
    """Return the reader of an index file by its name or a pattern of it, None if no kind of index ends so."""
    lower = name.lower()
    return next((reader for ending, reader in READERS.items() if lower.endswith(ending)), None)
