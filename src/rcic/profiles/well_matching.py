"""Rows of a table of profiles matched to the wells of a screen, by plate and well."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, brief, plural
from rcic.profiles.profile_file import as_text
from rcic.profiles.profile_options import ProfileColumns
from rcic.screen.plate import plate_name
from rcic.screen.table import Screen

_LOOSE = re.compile(r"([A-Za-z]|[Aa][A-Fa-f])[_-]?0*([1-9][0-9]?)")


@dataclass(frozen=True, eq=False)
class MatchedRows:
    """M rows of a table with the wells of the screen that they are of."""

    rows: np.ndarray  # (M,) int64, positions in the table
    wells: np.ndarray  # (M,) int64, positions in the screen's table of wells
    notes: tuple[str, ...]


def tidy_well(name: str) -> str:
    """Return ``b2``, ``B_2`` and ``B002`` as ``B02``; other text is unchanged."""
    match = _LOOSE.fullmatch(name)
    return f"{match[1].upper()}{int(match[2]):02d}" if match else name


def match_rows(screen: Screen, table: pd.DataFrame, columns: ProfileColumns, path: Path) -> MatchedRows:
    """Return which rows are of which wells of a screen.

    A plate is known by its name in the screen's tables, if only one experiment has it or the experiment is given, or as
    ``EXPERIMENT_PLATE``; a well in any padding. Raises UserError if no row is of a well, or if plates of several
    experiments have one name and no column says which is meant.
    """
    plates, wells = as_text(table[str(columns.plate)]), as_text(table[str(columns.well)]).map(tidy_well)
    known = _plate_names(screen, None)
    found = plates.map({name: known[name] for name in plates.unique() if name in known})
    if columns.experiment is not None:
        experiments = as_text(table[columns.experiment])
        named = _plate_names(screen, "experiment")
        found = pd.Series(
            [named.get(pair, other) for pair, other in zip(zip(experiments, plates, strict=True), found, strict=True)],
            dtype=object,
        )
    _check_ambiguous(screen, plates[found.isna()], path)
    rows_of = _rows_of_wells(screen)
    position = np.array([rows_of.get((place, well), -1) for place, well in zip(found, wells, strict=True)], np.int64)
    if (position < 0).all():
        raise UserError(
            f"{path}: no row is of a well of {screen.root}; {_example(screen, plates.iloc[0], wells.iloc[0])}"
        )
    return MatchedRows(
        np.flatnonzero(position >= 0), position[position >= 0], _notes(screen, position, found, plates, wells)
    )


def without_experiment_needed(screen: Screen) -> bool:
    """Whether the plates' names alone say which plate is meant."""
    return not any(count > 1 for count in _counts(screen).values())


def full_plate_name(experiment: str, barcode: str) -> str:
    """Return a plate's name that no plate of another experiment has: ``HUVEC-01_1``."""
    return f"{experiment}_{barcode}"


def _places(screen: Screen) -> list[tuple[str, int]]:
    plates = screen.wells[["experiment", "plate"]].drop_duplicates()
    return [(str(experiment), int(plate)) for experiment, plate in plates.itertuples(index=False)]


def _counts(screen: Screen) -> Counter[str]:
    """Return in how many experiments each plate name is."""
    return Counter(screen.barcode(*place) for place in _places(screen))


def _plate_names(screen: Screen, by: str | None) -> Mapping[object, tuple[str, int]]:
    """Return name, or with ``by`` (experiment, name) -> plate."""
    counts, names = _counts(screen), dict[object, tuple[str, int]]()
    for experiment, plate in _places(screen):
        barcode = screen.barcode(experiment, plate)
        full = full_plate_name(experiment, barcode)
        if by is not None:
            names |= dict.fromkeys([(experiment, barcode), (experiment, full)], (experiment, plate))
        else:
            keys = [full, plate_name(experiment, barcode), *([barcode] if counts[barcode] == 1 else [])]
            names |= {key: (experiment, plate) for key in keys}
    return names


def _rows_of_wells(screen: Screen) -> dict[tuple[object, str], int]:
    """Return ((experiment, plate), well) -> position."""
    parts = zip(screen.wells["experiment"], screen.wells["plate"], screen.wells["well"], strict=True)
    return {((str(experiment), int(plate)), str(well)): row for row, (experiment, plate, well) in enumerate(parts)}


def _check_ambiguous(screen: Screen, plates: pd.Series, path: Path) -> None:
    several = {name for name, count in _counts(screen).items() if count > 1}
    if len(unclear := plates[plates.isin(several)]):
        reason = f"plate {brief(unclear.iloc[0])} is in several experiments of {screen.root}"
        raise UserError(f"{path}: {reason}; name the column of experiments with --experiment")


def _example(screen: Screen, plate: str, well: str) -> str:
    first = screen.wells.iloc[0]
    barcode = screen.barcode(first["experiment"], int(first["plate"]))
    there = f"there plate {brief(barcode)}, well {first['well']} of experiment {first['experiment']}"
    return f"here plate {brief(plate)}, well {brief(well)}, {there}"


def _notes(
    screen: Screen, position: np.ndarray, found: pd.Series, plates: pd.Series, wells: pd.Series
) -> tuple[str, ...]:
    notes, lost = [], position < 0
    if lost.any():
        names = (plates[lost] + " " + wells[lost]).drop_duplicates().tolist()
        elsewhere = int(found[lost].isna().sum())
        where = f", {plural(elsewhere, 'row')} of them of plates that it does not have" if elsewhere else ""
        notes.append(f"{plural(int(lost.sum()), 'row')} of no well of the screen{where}: {_first(names)}")
    matched = np.unique(position[~lost])
    if missing := len(screen.wells) - len(matched):
        absent = screen.wells["id_code"][~np.isin(np.arange(len(screen.wells)), matched)].tolist()
        notes.append(f"{plural(missing, 'well')} of the screen without a profile: {_first(absent)}")
    return tuple(notes)


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
