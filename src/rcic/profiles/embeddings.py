"""Embedding folders: their members and wells, and the check that bank and queries fit each other."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.ensemble.array_origin import read_origin
from rcic.ensemble.predictions import of_models
from rcic.ensemble.well_arrays import read_well_rows
from rcic.errors import UserError
from rcic.files.names import Member, embedding_files, find_members
from rcic.files.record import Record
from rcic.files.regular import is_there
from rcic.screen.table import Screen

_log = logging.getLogger(__name__)

QUERIES = ("valid", "test")  # splits whose wells are queries


@dataclass(frozen=True, eq=False)
class Embedded:
    """One member's embeddings of the N wells of one split."""

    path: Path
    vectors: np.ndarray  # (N, D) float
    wells: pd.DataFrame  # N rows of the screen's table
    record: Record | None  # that of embed-all, None for another program's

    @property
    def network(self) -> str:
        """The identity of what embedded them, "" for another program's."""
        return "" if self.record is None else str(self.record.facts.get("network", ""))

    def fingerprint(self) -> str:
        """Return the sha256 (hex) of wells and vectors."""
        digest = hashlib.sha256("\n".join(self.wells["id_code"]).encode())
        digest.update(np.ascontiguousarray(self.vectors).tobytes())
        return digest.hexdigest()


def embedded_members(root: Path, models: Sequence[str] = ()) -> list[Member]:
    """Return the members below ``root`` (of ``models`` only, if given) with a bank and queries.

    Logs the members that are left out. Raises UserError if no member is left, or for an unknown model.
    """
    names = [embedding_files(Path(), split)["embeddings"].name for split in ("train", *QUERIES)]
    members = list(dict.fromkeys(member for name in names for member in find_members(root, name)))
    if not members:
        raise UserError(f"{root}: no {names[0]} in folders like [1,2,3,4,5]/fold_0/MODEL; run embed-all first")
    complete = []
    for member in of_models(members, models, f"{root}: no embeddings"):
        has_bank = is_there(embedding_files(root / member.folder, "train")["embeddings"])
        if has_bank and query_splits(root / member.folder):
            complete.append(member)
        else:
            lacking = "held-out or test" if has_bank else "train"
            _log.info(f"left out: {root / member.folder}, it has no embeddings of {lacking} wells")
    if not complete:
        raise UserError(f"{root}: no member has embeddings of train wells and of other wells; let embed-all finish")
    return complete


def query_splits(folder: Path) -> list[str]:
    """Return the splits of a member's folder with embedded queries."""
    return [split for split in QUERIES if is_there(embedding_files(folder, split)["embeddings"])]


def read_embeddings(screen: Screen, folder: Path, split: str) -> Embedded:
    """Return a member's embeddings of a split as they are stored.

    Files of other programs are accepted: ``emb_train.npy``, numbers of any kind, and ``emb_train.csv`` (id_code), in
    any order. Raises UserError, naming the file, for files that were made for another screen, damaged or unfinished
    ones, unequal lengths, an unknown or repeated well, NaN or infinity.
    """
    files = embedding_files(folder, split)
    record = read_origin(files, "embedding", screen, ("embeddings", "wells"))
    vectors, wells = _rows(screen, files, split)
    return Embedded(files["embeddings"], np.asarray(vectors), wells, record)


def _rows(screen: Screen, files: Mapping[str, Path], split: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the embeddings (N, D) in files of a split, and their N wells."""
    controls, treatments = split == "controls", "test" if split == "test" else "train"
    wells = screen.select(kind="control") if controls else screen.select(treatments, "treatment")
    row_of = pd.Series(np.arange(len(wells)), index=wells["id_code"])
    vectors, codes = read_well_rows(files["embeddings"], row_of, split, "embeddings")
    return vectors, wells.iloc[row_of[codes]].reset_index(drop=True)


def check_pair(queries: Embedded, bank: Embedded) -> None:
    """Raise UserError unless one network embedded both in the same way, and no query is in the bank."""
    name = bank.path.name
    if queries.network != bank.network:
        raise UserError(
            f"{queries.path}: made with another checkpoint, sites or views than {name}; run embed-all again"
        )
    widths = queries.vectors.shape[1], bank.vectors.shape[1]
    if widths[0] != widths[1]:
        raise UserError(f"{queries.path}: {widths[0]} dimensions, but {name} beside it has {widths[1]}")
    known = queries.wells["id_code"].isin(bank.wells["id_code"])
    if known.any():
        code = queries.wells["id_code"][known].iloc[0]
        raise UserError(f"{queries.path}: {code} is also in {name}, so it would be its own nearest neighbour")
