"""A map of embeddings by PCA and t-SNE, before and after subtraction of each plate's mean."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.decide.whitening import Normalisation, centred
from rcic.errors import UserError
from rcic.files.kept import Kept, kept_or_made
from rcic.files.names import Member, embedding_files, find_members
from rcic.profiles.embedding_inputs import EmbeddingInputs
from rcic.profiles.member_wells import read_member
from rcic.report.ladders import named_plates
from rcic.screen.layout import Groups
from rcic.screen.table import Screen

EMBEDDED_SPLITS = {"train": "learnt from", "valid": "held out", "test": "test"}
_COMPONENTS = 50  # of the PCA before t-SNE
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
    """Return the map of at most ``most`` wells, sampled by the hash of their names: x and y, before and after.

    After: with each plate's mean subtracted. Further columns: id_code, cell_type, experiment, plate (its name), split,
    group and label ("" where unknown). The positions are kept beside the embeddings (`rcic.files.kept`).
    """
    settings = {"most": most, "scikit-learn": version("scikit-learn")}
    inputs = EmbeddingInputs(screen, root, member, tuple(EMBEDDED_SPLITS), settings)
    kept, _ = kept_or_made("map", inputs, lambda: _points(screen, root, member, most))
    columns = dict(kept.arrays)
    wells = screen.wells.iloc[columns.pop("row")].reset_index(drop=True)
    wells["split"] = [EMBEDDED_SPLITS[name] for name in columns.pop("split")]
    label = wells["label"].to_numpy()
    known = label >= 0
    group, names = np.full(len(wells), "", object), np.full(len(wells), "", object)
    group[known] = [f"group {number}" for number in groups.of_class[label[known]]]
    names[known] = [str(name) for name in screen.decode(label[known])]
    facts = named_plates(screen, wells[["id_code", "cell_type", "experiment", "plate", "split"]])
    return facts.assign(group=group, label=names, **columns)


def _points(screen: Screen, root: Path, member: Member, most: int) -> Kept:
    """Return the drawn wells' rows in the screen's table, their splits, and their positions before and after."""
    found = read_member(screen, root, member, tuple(EMBEDDED_SPLITS))
    chosen = drawn(found.wells["id_code"], most)
    row_of = pd.Series(np.arange(len(screen.wells)), index=screen.wells["id_code"])
    wells = found.wells.iloc[chosen]
    arrays = {"row": row_of[wells["id_code"]].to_numpy(), "split": wells["split"].to_numpy(np.str_)}
    for state, settings in (("before", Normalisation("off")), ("after", Normalisation())):
        points = flat_map(centred(found.vectors, found.wells, settings)[chosen])
        arrays |= {f"x {state}": points[:, 0], f"y {state}": points[:, 1]}
    return Kept(arrays)


def drawn(codes: pd.Series, most: int) -> np.ndarray:
    """Return the sorted indices of ``most`` wells; a name's rank does not depend on the other names."""
    rank = [hashlib.sha256(code.encode()).digest() for code in codes]
    return np.sort(np.array(sorted(range(len(rank)), key=rank.__getitem__)[:most], dtype=np.int64))


def flat_map(vectors: np.ndarray) -> np.ndarray:
    """Return positions (N, 2) float64 in -1..1 of N vectors (N, D): PCA to 50 dimensions, then t-SNE, seed 0.

    Raises UserError for fewer than four wells.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if len(vectors) < 4:
        raise UserError(f"a map needs at least four wells, not {len(vectors)}")
    components = min(_COMPONENTS, *vectors.shape)
    reduced = PCA(components, random_state=0).fit_transform(vectors.astype(np.float64))
    perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
    mapping = TSNE(perplexity=perplexity, init="pca", max_iter=_STEPS, random_state=0)
    points = mapping.fit_transform(reduced).astype(np.float64)
    points -= points.mean(axis=0)
    return np.asarray(points / max(float(np.abs(points).max()), 1e-12))
