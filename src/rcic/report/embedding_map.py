"""A map of embeddings: PCA, then t-SNE, as they come and with each plate's mean taken off."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.files.names import Member, embedding_files, find_members
from rcic.profiles.embeddings import read_embeddings
from rcic.screen.layout import Groups
from rcic.screen.table import Screen

EMBEDDED_SPLITS = {"train": "learnt from", "valid": "held out", "test": "test"}
_COMPONENTS = 50  # of the PCA before
_PERPLEXITY = 30.0
_STEPS = 500


def first_member(root: Path) -> Member:
    """Return the first member with embeddings; UserError if there is none."""
    found = {
        member
        for split in EMBEDDED_SPLITS
        for member in find_members(root, embedding_files(Path(), split)["embeddings"].name)
    }
    if not found:
        raise UserError(f"{root}: no embeddings in folders like [1,2,3,4,5]/fold_0/MODEL")
    return min(found, key=lambda member: (member.model, member.channels, member.fold or 0))


def map_table(screen: Screen, root: Path, member: Member, groups: Groups, most: int) -> pd.DataFrame:
    """Return where at most ``most`` wells lie, drawn by their names' hash: x and y, before and after.

    After: with each plate's mean taken off. Columns besides: id_code, cell_type, experiment, plate, split, group and
    siRNA ("" where the tables do not tell).
    """
    there = [split for split in EMBEDDED_SPLITS if embedding_files(root / member.folder, split)["embeddings"].exists()]
    columns: dict[str, np.ndarray] = {}
    wells = pd.DataFrame()
    for state, centred in (("before", False), ("after", True)):
        parts = [read_embeddings(screen, root / member.folder, split, centred) for split in there]
        wells = pd.concat(
            [part.wells.assign(split=EMBEDDED_SPLITS[split]) for part, split in zip(parts, there, strict=True)]
        )
        chosen = drawn(wells["id_code"], most)
        vectors = np.concatenate([part.vectors for part in parts])[chosen]
        place = flat_map(vectors)
        columns |= {f"x {state}": place[:, 0], f"y {state}": place[:, 1]}
        wells = wells.iloc[chosen].reset_index(drop=True)
    label = wells["label"].to_numpy()
    known = label >= 0
    group, names = np.full(len(wells), "", object), np.full(len(wells), "", object)
    group[known] = [f"group {number}" for number in groups.of_class[label[known]]]
    names[known] = [str(name) for name in screen.decode(label[known])]
    facts = wells[["id_code", "cell_type", "experiment", "plate", "split"]]
    return facts.assign(group=group, siRNA=names, **columns)


def drawn(codes: pd.Series, most: int) -> np.ndarray:
    """Return the places of ``most`` wells, in order, the same for the same names whatever else is there."""
    rank = [hashlib.sha256(code.encode()).digest() for code in codes]
    return np.sort(np.array(sorted(range(len(rank)), key=rank.__getitem__)[:most], dtype=np.int64))


def flat_map(vectors: np.ndarray) -> np.ndarray:
    """Return places (N, 2) float64 in -1..1 of N vectors (N, D): PCA to 50 numbers, t-SNE from there, seed 0.

    Raises UserError for fewer than four wells.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if len(vectors) < 4:
        raise UserError(f"a map needs four wells or more, not {len(vectors)}")
    components = min(_COMPONENTS, *vectors.shape)
    reduced = PCA(components, random_state=0).fit_transform(vectors.astype(np.float64))
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    mapping = TSNE(perplexity=perplexity, init="pca", max_iter=_STEPS, random_state=0)
    place = mapping.fit_transform(reduced).astype(np.float64)
    place -= place.mean(axis=0)
    return np.asarray(place / max(float(np.abs(place).max()), 1e-12))
