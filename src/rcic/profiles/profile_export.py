"""Embeddings of a member as one table of profiles, with the columns that the field's tools know."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.ensemble.scoring import known_truth
from rcic.errors import UserError, nearest, plural
from rcic.files.names import Member, embedding_files, find_members
from rcic.files.record import Record, Writer, write_result
from rcic.files.regular import is_there
from rcic.profiles.embeddings import Embedded, read_embeddings
from rcic.profiles.profile_file import ending_of, is_metadata, write_profile_file
from rcic.profiles.site_embeddings import read_sites
from rcic.profiles.well_matching import full_plate_name, without_experiment_needed
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, read_screen

_log = logging.getLogger(__name__)

SPLITS_OF_PROFILES = ("train", "valid", "test", "controls")
PERT_TYPES = {"treatment": "trt", "positive_control": "poscon", "negative_control": "negcon"}


@dataclass(frozen=True)
class ExportOptions:
    """What is exported.

    ``member`` is a folder below the embeddings' root, "" the first. ``prefix`` begins the names of features, "" is the
    model's name. ``truth`` is a CSV with id_code and label of test wells; by default they are the screen's, if known.
    ``by_site``: a row a site, with Metadata_Site.
    """

    member: str = ""
    prefix: str = ""
    truth: str | None = None
    by_site: bool = False


def export_profiles(data_root: DataRoot, embed_root: Path, out: Path, options: ExportOptions) -> Record:
    """Write a member's embeddings as a table of profiles, one row a well, and its record OUT.json.

    Columns: Metadata_Plate (a name that no other plate has), Metadata_Well, Metadata_Experiment, Metadata_cell_line,
    Metadata_pert_iname ("" where a test well's treatment is not known), Metadata_pert_type (trt, negcon, poscon),
    Metadata_Split, then the features. Raises UserError for an ending that is not known, a library that is lacking, or
    embeddings that do not fit the screen or each other.
    """
    ending, screen = ending_of(out), read_screen(data_root)
    member = chosen_member(embed_root, options.member)
    parts = _parts(screen, embed_root / member.folder)
    names = _names(options, member, parts, next(iter(parts.values())).vectors.shape[1])
    rows = [_rows(screen, part, split, names, options) for split, part in parts.items()]
    order = ["Metadata_Experiment", "Metadata_Plate", "Metadata_Well"]
    table = pd.concat(rows, ignore_index=True).sort_values(order, kind="stable")
    counts = ", ".join(f"{split} {len(part.wells):,}" for split, part in parts.items())
    _log.info(f"{embed_root / member.folder}: {counts} wells, {plural(len(names), 'feature')}")
    writers: dict[str, Writer] = {out.name: partial(write_profile_file, ending=ending, table=table, features=names)}
    return write_result(
        out.with_name(f"{out.name}.json"), _record(screen, embed_root, member, parts, names, options), writers
    )


def chosen_member(root: Path, folder: str) -> Member:
    """Return the member of a folder below a root, by default the first. Raises UserError if it has no embeddings."""
    names = [embedding_files(Path(), split)["embeddings"].name for split in SPLITS_OF_PROFILES]
    members = {str(member.folder): member for name in names for member in find_members(root, name)}
    if not members:
        raise UserError(f"{root}: no {names[0]} in folders like [1,2,3,4,5]/fold_0/MODEL; run embed-all first")
    if folder and folder.strip("/") not in members:
        raise UserError(f"{root}: no embeddings in {folder!r} (there: {', '.join(members)}){nearest(folder, members)}")
    return members[folder.strip("/")] if folder else next(iter(members.values()))


def _parts(screen: Screen, folder: Path) -> dict[str, Embedded]:
    """Return the embeddings of each split that is there; UserError if they are of different networks."""
    found = [split for split in SPLITS_OF_PROFILES if is_there(embedding_files(folder, split)["embeddings"])]
    parts = {split: read_embeddings(screen, folder, split) for split in found}
    first = next(iter(parts.values()))
    for part in parts.values():
        if part.network != first.network or part.vectors.shape[1] != first.vectors.shape[1]:
            raise UserError(f"{part.path}: made by another network than {first.path.name}; run embed-all again")
    return parts


def _names(options: ExportOptions, member: Member, parts: dict[str, Embedded], width: int) -> list[str]:
    """Return the features' names: those that imported profiles had, else PREFIX_0 ..."""
    records = [part.record for part in parts.values() if part.record is not None]
    imported = list(records[0].facts.get("features", [])) if records else []
    if not options.prefix and len(imported) == width:
        return [str(name) for name in imported]
    prefix = options.prefix or "".join(letter if letter.isalnum() else "_" for letter in member.model)
    if is_metadata(prefix):
        raise UserError(f"--prefix is {prefix}: features would be taken for metadata; choose another")
    return [f"{prefix}_{number}" for number in range(width)]


def _rows(screen: Screen, part: Embedded, split: str, names: list[str], options: ExportOptions) -> pd.DataFrame:
    """Return metadata and features of some wells, a row a well or a site; a site without images has no row."""
    metadata = _metadata(screen, part.wells, split, options.truth)
    if not options.by_site:
        return pd.concat([metadata, pd.DataFrame(np.asarray(part.vectors, np.float32), columns=names)], axis=1)
    sites = read_sites(part)  # (N, S, D)
    if part.record is None or len(words := list(part.record.made_with.get("sites", ()))) != sites.shape[1]:
        raise UserError(f"{part.path}: its record does not name the sites; run embed-all --by_site again")
    present = ~np.isnan(sites).any(axis=2)
    wells, numbers = np.nonzero(present)
    rows = metadata.iloc[wells].reset_index(drop=True)
    rows.insert(2, "Metadata_Site", [str(words[number]) for number in numbers])
    return pd.concat([rows, pd.DataFrame(sites[present], columns=names)], axis=1)


def _metadata(screen: Screen, wells: pd.DataFrame, split: str, truth: str | None) -> pd.DataFrame:
    """Return the columns of metadata of some wells, all text."""
    barcodes = [screen.barcode(*plate) for plate in zip(wells["experiment"], wells["plate"], strict=True)]
    is_unique = without_experiment_needed(screen)
    named = [full_plate_name(*pair) for pair in zip(wells["experiment"], barcodes, strict=True)]
    is_known = split == "test" and not (truth is None and screen.truth is None)
    labels = known_truth(screen, wells, truth) if is_known else wells["label"].to_numpy()
    columns = {
        "Plate": barcodes if is_unique else named,
        "Well": wells["well"],
        "Experiment": wells["experiment"],
        "cell_line": wells["cell_type"],
        "pert_iname": ["" if label < 0 else str(screen.classes[int(label)]) for label in labels],
        "pert_type": wells["well_type"].map(PERT_TYPES),
        "Split": [split] * len(wells) if split != "controls" else wells["split"],
    }
    return pd.DataFrame({f"Metadata_{name}": list(values) for name, values in columns.items()}, dtype=object)


def _record(
    screen: Screen, root: Path, member: Member, parts: dict[str, Embedded], names: list[str], options: ExportOptions
) -> Record:
    experiments = {name for part in parts.values() for name in part.wells["experiment"]}
    digests = {
        f"{member.folder.as_posix()}/{part.path.name}": part.record.digest if part.record else part.fingerprint()
        for part in parts.values()
    }
    made_from = {
        "classes": screen.identity.treatments,
        "wells": screen.identity.wells(experiments),
        "embeddings": digests,
    }
    facts = {"embed_root": str(root), "features": [names[0], names[-1]], **screen.source_facts}
    return Record(
        "profiles",
        made_from,
        {"member": member.folder.as_posix(), "n_features": len(names), "by_site": options.by_site},
        facts=facts,
    )
