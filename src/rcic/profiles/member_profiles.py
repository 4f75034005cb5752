"""One member's embeddings of treated wells and of controls: the wells of a split and the controls of their plates."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.decide.whitening import Normalisation, centred
from rcic.errors import UserError
from rcic.files.names import Member, embedding_files
from rcic.files.regular import is_there
from rcic.profiles.embeddings import Embedded, read_embeddings
from rcic.screen.table import Screen


@dataclass(frozen=True, eq=False)
class MemberProfiles:
    """One member's embeddings: of the treated wells of a split, and of the controls of all plates."""

    member: Member
    treated: Embedded
    labels: np.ndarray  # (N,) int64, -1 where unknown
    controls: Embedded | None

    @property
    def places(self) -> pd.DataFrame:
        """The plates of the treated wells: experiment, plate, cell_type."""
        return self.treated.wells[["experiment", "plate", "cell_type"]].drop_duplicates()

    @property
    def digests(self) -> dict[str, str]:
        """The file of each of the embeddings, below their root -> its identity, for records."""
        read = [self.treated, *([self.controls] if self.controls else [])]
        return {
            f"{self.member.folder.as_posix()}/{part.path.name}": part.record.digest
            if part.record is not None
            else part.fingerprint()
            for part in read
        }


def read_profiles(screen: Screen, root: Path, member: Member, split: str, labels: Mapping[str, int]) -> MemberProfiles:
    """Return a member's embeddings below ``root``; ``labels`` maps an id_code to its class, -1 if unknown.

    Raises UserError as `read_embeddings`, and if treated wells and controls are of different networks.
    """
    treated = read_embeddings(screen, root / member.folder, split)
    controls = None
    if is_there(embedding_files(root / member.folder, "controls")["embeddings"]):
        controls = read_embeddings(screen, root / member.folder, "controls")
        if controls.network != treated.network or controls.vectors.shape[1] != treated.vectors.shape[1]:
            raise UserError(f"{controls.path}: made by another network than {treated.path.name}; run embed-all again")
    known = treated.wells["id_code"].map(labels).to_numpy(np.int64)
    return MemberProfiles(member, treated, known, controls)


def centred_profiles(profiles: MemberProfiles) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the embeddings of the treated wells and of the controls of their plates, minus each plate's mean.

    The wells' table has the columns label (-1: not a known treatment) and place (the plate's number, int64), too.
    """
    wells = profiles.treated.wells.assign(label=profiles.labels)
    vectors = [np.asarray(profiles.treated.vectors)]
    if profiles.controls is not None:
        plates = pd.MultiIndex.from_frame(wells[["experiment", "plate"]].drop_duplicates())
        here = pd.MultiIndex.from_frame(profiles.controls.wells[["experiment", "plate"]]).isin(plates)
        wells = pd.concat([wells, profiles.controls.wells[here].assign(label=-1)], ignore_index=True)
        vectors.append(np.asarray(profiles.controls.vectors)[here])
    wells = wells.assign(place=wells.groupby(["experiment", "plate"]).ngroup())
    return centred(np.concatenate(vectors), wells, Normalisation()), wells
