"""Profiles of another program as embeddings of a screen: matched to its wells and divided as its folds are."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, brief, plural, program
from rcic.files.atomic import sha256_of
from rcic.files.names import Member, embedding_files, find_members
from rcic.files.record import Record, is_written, network_id
from rcic.files.regular import listed_names
from rcic.files.well_rows import write_well_rows
from rcic.profiles.profile_columns import feature_columns, guessed, left_out, pick
from rcic.profiles.profile_features import WellFeatures, well_features
from rcic.profiles.profile_file import PROFILE_ENDINGS, read_profile_file
from rcic.profiles.profile_options import FeatureOptions, ProfileColumns
from rcic.profiles.well_matching import match_rows, without_experiment_needed
from rcic.screen.fold_units import held_out_unit
from rcic.screen.folds import check_folds, folds_in
from rcic.screen.identity import digest_of
from rcic.screen.plate import is_folder_name
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, read_screen, read_wells
from rcic.screen.work_dir import FOLDS_DIR, place_in

_log = logging.getLogger(__name__)

Division = Mapping[str, pd.DataFrame]  # split (train, valid, test, controls) -> its wells


@dataclass(frozen=True)
class ImportedModel:
    """Where imported profiles go.

    ``folds_dir`` has the folds, ``auto`` is the screen's work folder; ``channels`` name the folder, () is all.
    """

    name: str
    out_dir: Path
    folds_dir: str = "auto"
    channels: tuple[int, ...] = ()


def import_profiles(
    data_root: DataRoot, paths: Sequence[str], model: ImportedModel, columns: ProfileColumns, options: FeatureOptions
) -> list[Path]:
    """Write profiles as embeddings of a model, a member for each fold, and return the members' folders.

    Where there are folds, each member's bank are the train wells of its fold, and its queries the held-out wells;
    without folds there is one member, without a fold. Test wells and controls are written for each. What was guessed,
    left out and averaged is logged. Files that were made from the same profiles with the same settings are kept.
    Raises UserError for tables that cannot be read or fit no well, and features as `well_features`.
    """
    screen, files = read_screen(data_root), profile_paths(paths)
    _check_model(model, screen)
    columns, found = read_features(screen, files, columns, options)
    divisions = _divisions(screen, model)
    used = {"profiles": [str(path) for path in files], "features": list(found.names)}
    made_with = {**asdict(options), "features": list(options.features), "columns": asdict(columns)}
    made_from = {"classes": screen.identity.treatments, "profiles": {path.name: sha256_of(path) for path in files}}
    network = network_id("", made_from["profiles"], list(found.names), made_with)
    record = Record("embedding", made_from, made_with, facts={"network": network, **used, **screen.source_facts})
    folders = []
    for member, division in divisions.items():
        _write_member(screen, model.out_dir / member.folder, division, found, record)
        folders.append(model.out_dir / member.folder)
    others = {member.folder for member in find_members(model.out_dir, "emb_train.npy", model.name)}
    if left := sorted(map(str, others - {member.folder for member in divisions})):
        _log.info(f"{model.out_dir} still contains {', '.join(left)}, of an earlier import")
    return folders


def profile_paths(paths: Sequence[str]) -> list[Path]:
    """Return files of profiles; a folder stands for those in it that end as one. Raises UserError for none."""
    found: list[Path] = []
    for path in map(Path, paths):
        names = [name for name in listed_names(path) if name.endswith(PROFILE_ENDINGS)] if path.is_dir() else []
        if path.is_dir() and not names:
            raise UserError(f"{path}: no file in it ends in one of {', '.join(PROFILE_ENDINGS)}")
        found += [path / name for name in names] if path.is_dir() else [path]
    if twice := [path for number, path in enumerate(found) if path in found[:number]]:
        raise UserError(f"{twice[0]}: is given twice")
    return found


def read_tables(files: Sequence[Path], texts: Sequence[str] = ()) -> pd.DataFrame:
    """Return the rows of several tables, one below the other. Raises UserError as `read_profile_file`."""
    tables = [read_profile_file(path, texts) for path in files]
    return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


def read_features(
    screen: Screen, files: Sequence[Path], columns: ProfileColumns, options: FeatureOptions
) -> tuple[ProfileColumns, WellFeatures]:
    """Return the columns of a table of profiles, and the features of the screen's wells; log what was done."""
    given = [name for name in asdict(columns).values() if name]
    table = read_tables(files, given)
    columns = guessed(columns, table, files[0])
    if columns.experiment is not None and without_experiment_needed(screen):
        columns = ProfileColumns(columns.plate, columns.well)
    known = {name for name in asdict(columns).values() if name} | _other_known(table, files[0])
    names = feature_columns(table, options.features, known, files[0])
    named = ", ".join(f"{what} {name}" for what, name in asdict(columns).items() if name)
    _log.info(f"{files[0]}: {plural(len(table), 'row')}; {named}; {len(names):,} features, {names[0]} to {names[-1]}")
    matched = match_rows(screen, table, columns, files[0])
    values = table[names].to_numpy(np.float64)[matched.rows]
    found = well_features(values, matched.wells, names, options, files[0])
    for note in filter(None, (left_out(table, names, known), *matched.notes, *found.notes)):
        _log.info(f"  {note}")
    return columns, found


def _other_known(table: pd.DataFrame, path: Path) -> set[str]:
    """Return the columns of a table that hold other facts of wells than the place."""
    facts = ("cell_type", "treatment", "dose", "control", "site", "experiment")
    return {name for fact in facts if (name := pick(table, None, fact, path)) is not None}


def _check_model(model: ImportedModel, screen: Screen) -> None:
    if not is_folder_name(model.name) or set("@+,") & set(model.name):
        raise UserError(f"--model is {brief(model.name)}, must be a folder's name without @, + and commas")
    if unknown := set(model.channels) - set(screen.spec.channel_numbers):
        known = ", ".join(map(str, screen.spec.channel_numbers))
        raise UserError(f"--channels: the screen has no channel {min(unknown)} (known: {known})")


def _divisions(screen: Screen, model: ImportedModel) -> dict[Member, Division]:
    """Return each member with the wells of its splits."""
    channels = tuple(sorted(model.channels or screen.spec.channel_numbers))
    common = {"test": screen.select("test", "treatment"), "controls": screen.select(kind="control")}
    folder = place_in(screen, model.folds_dir, FOLDS_DIR)
    folds = folds_in(folder)
    if not folds:
        train = screen.select("train", "treatment")
        if not len(common["test"]):
            _log.info(
                f"  no test wells and no folds in {folder}: nothing is held out; run {program('data')} folds first"
            )
        return {Member(channels, None, model.name): {"train": train, **common}}
    check_folds(folder, [f"{part}_{fold}.csv" for fold in folds for part in ("train", "valid")], screen)
    return {Member(channels, fold, model.name): {**_fold(screen, folder, fold), **common} for fold in folds}


def _fold(screen: Screen, folder: Path, fold: int) -> Division:
    return {part: read_wells(folder / f"{part}_{fold}.csv", screen) for part in ("train", "valid")}


def _write_member(screen: Screen, folder: Path, division: Division, found: WellFeatures, record: Record) -> None:
    """Write the splits of a member that have wells with features, and log their numbers."""
    row_of = pd.Series(np.arange(len(found.wells)), index=screen.wells["id_code"].to_numpy()[found.wells])
    counts = []
    for split, wells in division.items():
        codes = wells["id_code"][wells["id_code"].isin(row_of.index)]
        if not len(codes):
            continue
        files = embedding_files(folder, split)
        of_split = _of_split(screen, division, split, list(codes), record)
        if not is_written(files["record"], of_split):
            write_well_rows(files, {"embeddings": found.values[row_of[codes].to_numpy()]}, codes, of_split)
        counts.append(f"{split} {len(codes):,}")
    _log.info(f"{folder}: {', '.join(counts)} wells")


def _of_split(screen: Screen, division: Division, split: str, codes: list[str], record: Record) -> Record:
    """Return the record of one split, with its wells and what held-out wells are whole ones of."""
    wells = division[split]
    known = screen.identity.wells(set(wells["experiment"]))
    made_from = {**record.made_from, "wells": known, "rows": digest_of(codes)}
    unit = held_out_unit(wells, division["train"]) if split == "valid" else "experiment"
    held_out = {} if unit == "experiment" else {"held_out": unit}
    return Record(record.kind, made_from, record.made_with, facts={**record.facts, **held_out})
