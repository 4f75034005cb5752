"""Rows of a table of profiles matched to the wells of a screen, by plate and well."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, brief, plural
from rcic.profiles.profile_file import as_text
from rcic.profiles.profile_options import ProfileColumns
from rcic.screen.plate import plate_name
from rcic.screen.table import Screen

Place = tuple[str, int]  # a plate: its experiment, and its number there

_LOOSE = re.compile(r"([A-Za-z]|[Aa][A-Fa-f])[_-]?0*([1-9][0-9]?)")


@dataclass(frozen=True, eq=False)
class MatchedRows:
    """M rows of a table with the wells of the screen that they are of."""

    rows: np.ndarray  # (M,) int64, positions in the table
    wells: np.ndarray  # (M,) int64, positions in the screen's table of wells
    notes: tuple[str, ...]


def padded_well(name: str) -> str:
    """Return ``b2``, ``B_2`` and ``B002`` as ``B02``; other text is unchanged."""
    match = _LOOSE.fullmatch(name)
    return f"{match[1].upper()}{int(match[2]):02d}" if match else name


def match_rows(screen: Screen, table: pd.DataFrame, columns: ProfileColumns, path: Path) -> MatchedRows:
    """Return which rows are of which wells of a screen.

    A plate is known by its name in the screen's tables, if only one experiment has it or the experiment is given, or as
    ``EXPERIMENT_PLATE``; a well in any padding. Raises UserError if no row is of a well, or if plates of several
    experiments have one name and no column says which is meant.
    """
    plates, wells = as_text(table[str(columns.plate)]), as_text(table[str(columns.well)]).map(padded_well)
    found = _plates(screen, plates, None if columns.experiment is None else as_text(table[columns.experiment]))
    if columns.experiment is None:
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


def _places(screen: Screen) -> list[Place]:
    plates = screen.wells[["experiment", "plate"]].drop_duplicates()
    return [(str(experiment), int(plate)) for experiment, plate in plates.itertuples(index=False)]


def _counts(screen: Screen) -> Counter[str]:
    """Return in how many experiments each plate name is."""
    return Counter(screen.barcode(*place) for place in _places(screen))


def _plates(screen: Screen, plates: pd.Series, experiments: pd.Series | None) -> pd.Series:
    """Return the plate (experiment, number) of each row, None where it is not known."""
    counts, full, alone, pairs = _counts(screen), dict[str, Place](), dict[str, Place](), dict[tuple[str, str], Place]()
    for place in _places(screen):
        barcode = screen.barcode(*place)
        full |= {full_plate_name(place[0], barcode): place, plate_name(place[0], barcode): place}
        alone |= {barcode: place} if counts[barcode] == 1 else {}
        pairs[place[0], barcode] = place
    if experiments is None:
        found = [alone.get(name) or full.get(name) for name in plates]
    else:
        found = [pairs.get(pair) or full.get(pair[1]) for pair in zip(experiments, plates, strict=True)]
    return pd.Series(found, plates.index, dtype=object)


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
