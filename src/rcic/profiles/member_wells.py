"""All wells that one network embedded, as one table, and their normalised profiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.decide.whitening import Normalisation, normalised
from rcic.errors import UserError
from rcic.files.names import Member, embedding_files
from rcic.files.regular import is_there
from rcic.profiles.embeddings import Embedded, check_pair, read_embeddings
from rcic.screen.table import Screen

PARTS = ("train", "valid", "test", "controls")  # the splits of embed-all
LABELLED = ("train", "valid")


@dataclass(frozen=True, eq=False)
class MemberWells:
    """One member's embeddings of all splits that are there, N wells one after the other."""

    member: Member
    parts: dict[str, Embedded]  # split -> embeddings as stored
    vectors: np.ndarray  # (N, D) float
    wells: pd.DataFrame  # N rows of the screen's table and split; label is -1 but in LABELLED

    def rows(self, *splits: str) -> np.ndarray:
        """Return the mask, (N,) bool, of the wells of some splits."""
        return self.wells["split"].isin(splits).to_numpy()

    @property
    def judgeable(self) -> np.ndarray:
        """The mask, (N,) bool, of labelled wells from whose labels the network has not learnt."""
        record = self.parts["train"].record if "train" in self.parts else None
        imported = record is not None and "profiles" in record.facts
        return self.rows(*LABELLED) if imported else self.rows("valid")

    def around(self, split: str) -> np.ndarray:
        """Return the mask, (N,) bool, of the wells that profiles of a split's wells depend on.

        Those of test wells depend on all; others on the plates of labelled wells alone, so that nothing on a test plate
        changes what is known of held-out wells.
        """
        plates = pd.MultiIndex.from_frame(self.wells[["experiment", "plate"]])
        return np.asarray(plates.isin(plates[self.rows(*LABELLED)]) | (split == "test"))

    def fingerprint(self, rows: np.ndarray) -> str:
        """Return the sha256 (hex) of the wells of a mask (N,) bool and their vectors."""
        return Embedded(Path(), self.vectors[rows], self.wells[rows], None).fingerprint()

    def normalised(self, settings: Normalisation, split: str, bank: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the profiles of a split's and the bank's wells: split -> (n, D) float32.

        The labels of the splits of ``bank`` may be used.
        """
        here = self.around(split)
        table, known = self.wells[here].reset_index(drop=True), self.rows(*bank)[here]
        profiles = normalised(self.vectors[here], table, known, settings)
        return {name: profiles[self.rows(name)[here]] for name in (split, *bank)}


def read_member(screen: Screen, root: Path, member: Member, parts: Sequence[str] = PARTS) -> MemberWells:
    """Return a member's embeddings below ``root`` of those ``parts`` that are there.

    Raises UserError as `read_embeddings`, for no part, and for parts that are not of one network.
    """
    found = {
        split: read_embeddings(screen, root / member.folder, split)
        for split in parts
        if is_there(embedding_files(root / member.folder, split)["embeddings"])
    }
    if not found:
        raise UserError(f"{root / member.folder}: no embeddings of {', '.join(parts)}; run embed-all first")
    _check_parts(list(found.values()))
    tables = [
        part.wells.assign(split=split, **({} if split in LABELLED else {"label": -1})) for split, part in found.items()
    ]
    vectors = np.concatenate([part.vectors for part in found.values()])
    return MemberWells(member, found, vectors, pd.concat(tables, ignore_index=True))


def _check_parts(parts: Sequence[Embedded]) -> None:
    """Raise UserError unless all parts are of one network and one width, and no well is in two of them."""
    for number, part in enumerate(parts):
        for other in parts[:number]:
            check_pair(part, other)
