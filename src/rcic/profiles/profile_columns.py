"""The columns of a table of profiles: which name plate, well and treatment, and which are features."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from rcic.errors import UserError, brief, nearest, plural
from rcic.profiles.profile_file import is_metadata
from rcic.profiles.profile_options import ProfileColumns

COMPARTMENTS = ("Cells_", "Nuclei_", "Cytoplasm_")  # CellProfiler's usual objects, as pycytominer's
USUAL_COLUMNS = {  # what a column holds -> its usual names, the commonest first, without Metadata_ and Image_
    "plate": ("plate", "plate_name", "platename", "plate_id", "barcode", "assay_plate_barcode", "plate_barcode"),
    "well": ("well", "well_position", "wellname", "well_name", "well_id", "wellid"),
    "experiment": ("experiment", "batch", "batch_id", "week", "run"),
    "cell_type": ("cell_type", "cell_line", "cellline", "celltype", "cell_id", "cell"),
    "treatment": (
        *("pert_iname", "pert_name", "treatment", "sirna", "gene", "compound", "broad_sample", "perturbation"),
        *("jcp2022", "inchikey", "pert_id", "compound_name", "drug"),
    ),
    "dose": ("concentration", "dose", "mmoles_per_liter", "pert_dose", "dose_um", "compound_concentration"),
    "control": ("pert_type", "control_type", "well_type", "wt", "role"),
    "site": ("site", "field", "fieldid", "site_id", "fov"),
}
_NO_FEATURE = re.compile(  # of CellProfiler's tables: numbers of rows and objects, files, times
    r"(tablenumber|imagenumber|objectnumber|replicate|unnamed: \d+|index|level_0)$"
    r"|(image|nuclei|cells|cytoplasm)?_?(number_object_number|object_?number|parent_|children_)"
    r"|(image_)?(filename|pathname|url|md5digest|executiontime|moduleerror|group_|width|height|scaling|series|frame)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(.*[_.\-])?(feature|feat|emb|dim|x|f|pc|z)?_?\d+", re.IGNORECASE)  # efficientnet_12, 12, f12


def guessed(columns: ProfileColumns, table: pd.DataFrame, path: Path) -> ProfileColumns:
    """Return the columns as they are in a table. Raises UserError if plate or well is not found, or not there."""
    found = {name: pick(table, given, name, path) for name, given in vars(columns).items()}
    for name in ("plate", "well"):
        if found[name] is None:
            known = ", ".join(brief(str(column)) for column in list(table)[:6])
            raise UserError(
                f"{path}: no column like {USUAL_COLUMNS[name][0]!r}, its first are {known}; name it with --{name}"
            )
    return replace(columns, **found)


def pick(table: pd.DataFrame, given: str | None, what: str, path: Path) -> str | None:
    """Return the column of a table that holds ``what``, a key of USUAL_COLUMNS, None if there is none.

    It is the ``given`` one, which may lack its prefix ``Metadata_``, or else that of a usual name. Raises UserError if
    the given one is not there.
    """
    bare = {_bare(column): column for column in reversed([str(column) for column in table])}
    if given is not None:
        found = given if given in table else bare.get(_bare(given))
        if found is None:
            raise UserError(f"{path}: no column {brief(given)}{nearest(given, map(str, table))}; --{what} names it")
        return found
    exact = next((bare[name] for name in USUAL_COLUMNS[what] if name in bare), None)
    return exact or next((bare[name] for key in USUAL_COLUMNS[what] for name in bare if _is_like(name, key)), None)


def _bare(column: str) -> str:
    """Return a column's name in small letters without what is before Metadata_, and that."""
    name = column.strip().lower().replace(" ", "_")
    return re.sub(r"^(.*_)?metadata_", "", name)


def _is_like(name: str, usual: str) -> bool:
    """Whether a name is a usual one with a channel behind it: ``plate_dapi`` of Image_Metadata_Plate_DAPI."""
    return len(usual) > 3 and re.fullmatch(re.escape(usual) + r"_(dapi|dna|hoechst|w?\d|[a-z]{2,8})", name) is not None


def feature_columns(table: pd.DataFrame, wanted: Sequence[str], known: Iterable[str], path: Path) -> list[str]:
    """Return the columns that are features.

    ``wanted`` are names or beginnings of names of columns that hold numbers. Without any they are those that hold
    numbers and, where there are columns of CellProfiler's compartments, begin with one of these; not columns of the
    names ``known``, metadata, numbers of rows and objects, or whole numbers, unless they are named as a feature is
    (``efficientnet_12``). Raises UserError for none, or a wanted one that is not there.
    """
    numbers = [str(name) for name in table if pd.api.types.is_numeric_dtype(table[name]) and name not in {*known}]
    if wanted:
        for word in wanted:
            if not any(name.startswith(word) for name in numbers):
                raise UserError(f"{path}: no column of numbers begins with {brief(word)}{nearest(word, numbers)}")
        return [name for name in numbers if name in wanted or name.startswith(tuple(wanted))]
    found = [name for name in numbers if not is_metadata(name) and not _NO_FEATURE.match(name)]
    if compartment := [name for name in found if name.startswith(COMPARTMENTS)]:
        return compartment
    found = [name for name in found if _NUMBERED.fullmatch(name) or not _is_whole(table[name])]
    if not found:
        raise UserError(f"{path}: no column of numbers looks like a feature; name their beginnings with --features")
    return found


def left_out(table: pd.DataFrame, features: Sequence[str], known: Iterable[str]) -> str:
    """Return in words which columns are neither features nor of the names ``known``."""
    others = [str(name) for name in table if name not in {*features, *known}]
    if not others:
        return ""
    shown = ", ".join(others[:6]) + (" ..." if len(others) > 6 else "")
    return f"not features: {plural(len(others), 'column')} ({shown})"


def _is_whole(column: pd.Series) -> bool:
    values = column.to_numpy(np.float64)
    values = values[np.isfinite(values)]
    return bool((values == np.rint(values)).all())
