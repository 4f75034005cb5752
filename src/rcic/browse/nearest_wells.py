"""The nearest wells of a well of the same cell type, by cosine of embeddings minus each plate's mean."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.decide.whitening import Normalisation, centred
from rcic.errors import UserError, nearest
from rcic.files.names import Member, embedding_files, find_members
from rcic.profiles.member_wells import read_member
from rcic.screen.table import Screen

_log = logging.getLogger(__name__)

_BLOCK = 1024  # wells processed together
_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class Nearest:
    """M embedded wells, in blocks of one cell type each."""

    member: str  # the network that embedded them: its folder
    vectors: np.ndarray  # (M, D) float32 of length 1
    rows: np.ndarray  # (M,) int64, the wells' rows in the screen's table
    blocks: dict[str, slice]  # cell type -> its wells
    places: dict[int, tuple[str, int]]  # row in the screen's table -> cell type, row of the vectors

    def of(self, row: int, count: int) -> list[tuple[int, float]] | None:
        """Return row and cosine of the ``count`` nearest other wells, the nearest first; None if it is not embedded."""
        if row not in self.places:
            return None
        cell_type, vector_row = self.places[row]
        block = self.blocks[cell_type]
        cosine = self.vectors[block] @ self.vectors[vector_row]
        cosine[vector_row - block.start] = -np.inf  # itself
        count = min(count, len(cosine) - 1)
        near = np.argpartition(-cosine, count)[:count] if count else np.zeros(0, np.int64)
        near = near[np.lexsort((near, -cosine[near]))]
        return [(int(self.rows[block.start + other]), float(cosine[other])) for other in near]


def read_nearest(screen: Screen, embed_root: str | Path, folder: str | None, shown: Screen | None = None) -> Nearest:
    """Return the embeddings of one member below ``embed_root``: that of ``folder``, else the first.

    Rows are those of ``shown``, a screen with all wells of ``screen`` and maybe more; by default ``screen`` itself.
    Logs the folder read and the splits that are absent. Raises UserError for a folder without embeddings, or files that
    do not fit the screen or each other.
    """
    root = Path(embed_root)
    member = _member(root, folder)
    _log.info(f"reading embeddings from {root / member.folder}")
    found = read_member(screen, root, member, _SPLITS)
    for split in _SPLITS:
        if split not in found.parts:
            _log.info(f"  {split}: absent")
    vectors, codes = centred(found.vectors, found.wells, Normalisation()), found.wells["id_code"].tolist()
    del found  # as large as what was made of it
    _make_unit(vectors)
    shown = shown or screen
    row_of = pd.Series(np.arange(len(shown.wells)), index=shown.wells["id_code"])
    return arranged(str(member.folder), vectors, row_of[codes].to_numpy(), shown)


def arranged(member: str, vectors: np.ndarray, rows: np.ndarray, screen: Screen) -> Nearest:
    """Return the wells ``rows`` (M,) with their unit vectors (M, D), cell type by cell type."""
    cell_types = screen.wells["cell_type"].to_numpy()[rows].astype(str)
    order = np.argsort(cell_types, kind="stable")
    names, starts = np.unique(cell_types[order], return_index=True)
    ends = [*starts[1:].tolist(), len(rows)]
    blocks = {str(name): slice(int(start), end) for name, start, end in zip(names, starts, ends, strict=True)}
    places = {int(rows[old]): (str(cell_types[old]), new) for new, old in enumerate(order)}
    return Nearest(member=member, vectors=vectors[order], rows=rows[order], blocks=blocks, places=places)


def _member(root: Path, folder: str | None) -> Member:
    """Return the member to read: that of ``folder``, else the first."""
    names = [embedding_files(Path(), split)["embeddings"].name for split in _SPLITS]
    members = list(dict.fromkeys(member for name in names for member in find_members(root, name)))
    known = {str(member.folder): member for member in members}
    if not known:
        raise UserError(f"{root}: no {names[0]} in folders like [1,2,3,4,5]/fold_0/MODEL; run embed-all first")
    if folder is not None and folder.strip("/") not in known:
        raise UserError(f"{root}: no embeddings in {folder!r} (available: {', '.join(known)}){nearest(folder, known)}")
    return members[0] if folder is None else known[folder.strip("/")]


def _make_unit(vectors: np.ndarray) -> None:
    """Give the vectors (N, D) float32 length 1, in place; a zero vector stays zero."""
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        length = np.linalg.norm(block, axis=1, keepdims=True)
        np.divide(block, length, out=block, where=length > 0, casting="same_kind")
