"""The present identity of a screen's pixels, plate by plate, from the quickest source that knows it."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from rcic.files.atomic import sha256_of
from rcic.pixels.audit.findings import Audit
from rcic.pixels.audit.folder_state import folder_states
from rcic.pixels.audit.image_scan import ScanResults
from rcic.pixels.images.file_states import FolderState, files_digests, plate_folders
from rcic.pixels.images.pixel_state import PixelState, PlatePixels, plate_digest
from rcic.pixels.packed.manifest import MARK, Manifest
from rcic.screen.plate import plate_name
from rcic.screen.table import Screen


def pixel_states(screen: Screen, audit: Audit | None = None) -> dict[str, PixelState]:
    """Return the identity of every plate's pixels.

    Of a packed screen it stands in ``packed.json``. Of image files it is that of the audit, whose folders have not
    changed since (`rcic.pixels.audit.findings.read_audit`), or without one the names and sizes of the files.
    """
    plates = _plates(screen, screen.wells)
    if not (screen.root / MARK).is_file() and audit is not None and set(plates) <= set(audit.plates):
        return {name: audit.plates[name] for name in plates}
    return unread_states(screen, folder_states(screen))


def unread_states(screen: Screen, states: Mapping[str, FolderState]) -> dict[str, PixelState]:
    """Return the identity of every plate's pixels by the states of its folders, or of ``packed.json``."""
    if MARK in states:
        return _of_packed(screen, _plates(screen, screen.wells))
    return {
        name: {"files": digest, "pixels": ""} for name, digest in files_digests(plate_folders(screen), states).items()
    }


def of_plates(states: PlatePixels, screen: Screen, wells: pd.DataFrame) -> dict[str, PixelState]:
    """Return the identities of the plates that have one of ``wells``, rows with experiment and plate."""
    return {name: states[name] for name in _plates(screen, wells) if name in states}


def scanned_states(
    unread: PlatePixels, screen: Screen, rows: pd.DataFrame, results: ScanResults
) -> dict[str, PixelState]:
    """Return the identities after a scan of the pixels of the site table ``rows``; ``unread``: those before it."""
    states = dict(unread)
    for (experiment, plate), positions in rows.groupby(["experiment", "plate"]).indices.items():
        keys = list(zip(rows["well"].iloc[positions], rows["site"].iloc[positions].tolist(), strict=True))
        digest = plate_digest(keys, results.digests[np.asarray(positions)])
        name = plate_name(experiment, screen.barcode(experiment, plate))
        states[name] = {"files": states[name]["files"], "pixels": digest}
    return states


def _plates(screen: Screen, wells: pd.DataFrame) -> list[str]:
    pairs = wells[["experiment", "plate"]].drop_duplicates().itertuples(index=False)
    return [plate_name(experiment, screen.barcode(experiment, plate)) for experiment, plate in pairs]


def _of_packed(screen: Screen, plates: Iterable[str]) -> dict[str, PixelState]:
    """Return the identities in ``packed.json``; of versions 0.1 and 0.2 that of the file stands for all of them."""
    known = Manifest.read(screen.root).plates
    whole_file = "" if known else sha256_of(screen.root / MARK)[:16]
    return {name: known.get(name, {"files": whole_file, "pixels": ""}) for name in plates}
