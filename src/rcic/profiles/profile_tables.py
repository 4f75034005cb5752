"""A member's tables: quality of controls, correlation and retrieval of replicates; notes on what is lacking."""

from dataclasses import asdict, fields

import numpy as np
import pandas as pd

from rcic.decide.control_quality import plate_qualities
from rcic.decide.replicate_correlation import ReplicateCorrelation, replicate_correlation
from rcic.errors import UserError, plural
from rcic.files.names import Member, channel_name
from rcic.profiles.member_profiles import MemberProfiles, centred_profiles
from rcic.profiles.replicate_retrieval import (
    RETRIEVAL,
    against_controls,
    against_treatments,
    check_library,
    distinct_profiles,
    drawn_treatments,
)
from rcic.screen.table import Screen

MEMBER_COLUMNS = ["model", "channels", "fold"]
MEMBER_TABLES = ("controls", "replicates", "retrieval")
_CORRELATION = ["cell_type", *(field.name for field in fields(ReplicateCorrelation))]
_RETRIEVAL = ["against", "cell_type", "treatment", *RETRIEVAL]


def member_tables(
    profiles: MemberProfiles, screen: Screen, notes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the tables of `ProfileScores`: controls by plate, replicates by cell type, retrieval by treatment.

    They are those of `MEMBER_TABLES`, without MEMBER_COLUMNS (`placed`). What is lacking is added to ``notes``.
    """
    return _controls(profiles, screen, notes), *_replicates(profiles, screen, notes)


def placed(table: pd.DataFrame, member: Member) -> pd.DataFrame:
    """Return a member's table with MEMBER_COLUMNS before the others."""
    keys = dict(zip(MEMBER_COLUMNS, (member.model, channel_name(member.channels), member.fold), strict=True))
    return table.assign(**keys)[[*keys, *table.columns]]


def _controls(profiles: MemberProfiles, screen: Screen, notes: list[str]) -> pd.DataFrame:
    """Return `plate_qualities` of the plates of the split's wells."""
    if profiles.controls is None:
        has_any = (screen.wells["well_type"] != "treatment").any()
        reason = "run embed-all again (--splits=controls)" if has_any else "the screen has no control wells"
        notes.append(f"No embeddings of controls: {reason}.")
        return plate_qualities(np.empty((0, 1)), profiles.treated.wells.iloc[:0], profiles.places)
    return plate_qualities(np.asarray(profiles.controls.vectors), profiles.controls.wells, profiles.places)


def _replicates(profiles: MemberProfiles, screen: Screen, notes: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the correlations by cell type, and the retrieval by comparison, cell type and treatment."""
    vectors, wells = centred_profiles(profiles)
    labels, places = wells["label"].to_numpy(), wells["place"].to_numpy()
    negative = (wells["well_type"] == "negative_control").to_numpy()
    distinct = distinct_profiles(vectors)
    if lost := int((~distinct[(labels >= 0) | negative]).sum()):
        notes.append(f"{plural(lost, 'well')} not ranked: the embedding equals another's, or its plate's mean.")
    correlations, retrieval = [], [pd.DataFrame(columns=["against", "cell_type", "label", *RETRIEVAL])]
    for name in sorted(set(wells["cell_type"][labels >= 0])):
        here = (wells["cell_type"] == name).to_numpy()
        treated = here & (labels >= 0)
        correlation = replicate_correlation(vectors[treated], labels[treated], places[treated])
        correlations.append({"cell_type": name, **asdict(correlation)})
        ranked, controls = treated & distinct, vectors[here & negative & distinct]
        found = _retrieval(vectors[ranked], labels[ranked], controls, name, notes)
        retrieval += [table.assign(cell_type=name) for table in found if len(table)]
    table = pd.concat(retrieval[1:] or retrieval, ignore_index=True)
    table = table.assign(treatment=[str(screen.classes[int(label)]) for label in table["label"]])
    return pd.DataFrame(correlations, columns=_CORRELATION), table[_RETRIEVAL]


def _retrieval(
    vectors: np.ndarray, labels: np.ndarray, controls: np.ndarray, name: str, notes: list[str]
) -> list[pd.DataFrame]:
    """Return the tables against controls and against treatments of the cell type ``name``; none without copairs."""
    try:
        check_library()
    except UserError as error:
        notes.append(f"No retrieval: {error}.")
        return []
    drawn = drawn_treatments(labels)
    if not drawn.all():
        notes.append(f"Retrieval against treatments of {name}: {int(drawn.sum()):,} of {len(drawn):,} wells, drawn.")
    others = against_treatments(vectors[drawn], labels[drawn]).assign(against="treatments")
    if not len(controls):
        notes.append(f"No retrieval against controls: no negative control of {name} is embedded.")
        return [others]
    return [against_controls(vectors, labels, controls).assign(against="controls"), others]
