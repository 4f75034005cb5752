"""The results below some paths, by the names of their records."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rcic.errors import UserError
from rcic.files.names import BEST, RUN
from rcic.pixels.audit.findings import REPORT
from rcic.pixels.packed.manifest import MARK
from rcic.pixels.packed.pack_screen import BEGUN_FILE
from rcic.screen.folds import FOLDS

KINDS_BY_NAME = {  # pattern of a record's name -> kind of the result
    re.escape(RUN): "training",
    r"pred_(test|valid)\.json": "prediction",
    r"emb_(train|valid|test|controls)\.json": "embedding",
    re.escape(REPORT): "audit",
    re.escape(FOLDS): "folds",
    re.escape(MARK): "packed screen",
    r"calibration\.json": "calibration",
    r"pseudo\.json": "pseudo-labels",
    r"submission\.json": "submission",
    r"channels(_valid)?\.json": "channels",
    r"ladder(_valid)?\.json": "ladder",
    r"retrieval(_valid)?\.json": "retrieval",
    r"[^.].*\.html": "report",
    r"[^.].*\.(csv|csv\.gz|parquet|h5ad)\.json": "profiles",
}
_LONE = re.compile(r"(pred|emb)_\w+\.npy|submission\.csv|pseudo\.csv")
_HALF = re.compile(r"\..+\.(tmp|half)")


@dataclass(frozen=True, order=True)
class FoundResult:
    """A result: its record or, without one, the file or folder itself (kind "file", "leftover" or "packing")."""

    path: Path
    kind: str


def find_results(paths: Sequence[str | Path]) -> list[FoundResult]:
    """Return the results at and below ``paths``, each once, sorted by path.

    Images and tables are no results; links to folders are not followed. Raises UserError for a path that does not
    exist.
    """
    found: set[FoundResult] = set()
    for path in map(Path, paths):
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        found |= set(_below(path) if path.is_dir() else _of_file(path))
    return sorted(found)


def _below(root: Path) -> Iterator[FoundResult]:
    for place, folders, names in os.walk(root):
        folders.sort()
        folder, present = Path(place), set(names)
        for name in list(folders):
            if _HALF.fullmatch(name):
                yield FoundResult(folder / name, "leftover")
                folders.remove(name)
            elif name.endswith(".zarr"):
                folders.remove(name)  # images; the checksums of a packed screen stand in packed.json
        for name in names:
            yield from _in_folder(folder, name, present)


def _in_folder(folder: Path, name: str, present: set[str]) -> Iterator[FoundResult]:
    """Yield the result that a file name stands for, if it is one."""
    is_lone_array = _LONE.fullmatch(name) is not None and record_name(name) not in present
    if _HALF.fullmatch(name):
        yield FoundResult(folder / name, "leftover")
    elif (kind := kind_of(name)) is not None:
        yield FoundResult(folder / name, kind)
    elif name == BEGUN_FILE and MARK not in present:
        yield FoundResult(folder / name, "packing")
    elif is_lone_array or (_is_checkpoint(folder / name) and not (folder.parent / RUN).exists()):
        yield FoundResult(folder / name, "file")


def _of_file(path: Path) -> Iterator[FoundResult]:
    """Yield the result of a named file: that of its record if it has one."""
    record = path.with_name(record_name(path.name))
    profiles = path.with_name(f"{path.name}.json")
    if (kind := kind_of(path.name)) is not None:
        yield FoundResult(path, kind)
    elif (kind := kind_of(record.name)) is not None and record.exists():
        yield FoundResult(record, kind)
    elif (kind := kind_of(profiles.name)) is not None and profiles.exists():
        yield FoundResult(profiles, kind)
    elif _is_checkpoint(path) and (path.parents[1] / RUN).exists():
        yield FoundResult(path.parents[1] / RUN, "training")
    else:
        yield FoundResult(path, "file")


def kind_of(name: str) -> str | None:
    """Return the kind of the result whose record has this name, None if it is none."""
    return next((kind for pattern, kind in KINDS_BY_NAME.items() if re.fullmatch(pattern, name)), None)


def record_name(name: str) -> str:
    """Return the name of the record that lists a file: ``pred_test_sites.npy`` -> ``pred_test.json``."""
    stem = name.rpartition(".")[0].removesuffix("_sites")
    stem = {"confidence": "submission", "groups": "submission"}.get(stem, stem)
    return ("folds" if re.fullmatch(r"(train|valid)_\d+", stem) else stem) + ".json"


def _is_checkpoint(path: Path) -> bool:
    return Path(path.parent.name, path.name) == Path(BEST)
