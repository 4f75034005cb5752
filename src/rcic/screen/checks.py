"""Consistency checks of a screen's tables; each raises the UserError of the first row that fails."""

from pathlib import Path

import pandas as pd

from rcic.errors import brief, nearest
from rcic.screen.plate import LONGEST_NAME, is_folder_name
from rcic.screen.rows import is_number, refuse, row_error
from rcic.screen.spec import ScreenSpec


def check_names(path: Path, rows: pd.DataFrame, expected: pd.Series, spec: ScreenSpec) -> None:
    """Reject a row whose id contradicts its experiment, plate and well."""
    columns, name = spec.columns, str(spec.columns.id)

    def reason(row: dict[str, str]) -> str:
        values = {column: row[column] for column in (columns.experiment, columns.plate, columns.well) if column}
        first, *rest = values.items()
        position = ", ".join([f"{first[0]} {brief(first[1])}", *(f"{column} {value}" for column, value in rest)])
        return f"{name} {brief(row[name])} contradicts {position}{swapped(row, spec)}"

    refuse(path, rows, rows[name] != expected, reason)


def check_sites(path: Path, rows: pd.DataFrame, positions: pd.DataFrame, spec: ScreenSpec) -> None:
    """Reject a site that is not in the screen spec, contradicts its site_id, or is listed twice for its well.

    ``positions`` are the rows' wells: ``a1`` and ``A01`` are one.
    """
    columns, site = spec.columns, str(spec.columns.site)
    check_choice(path, rows, site, tuple(spec.site_numbers))
    if columns.site_id is not None:
        name, well = columns.site_id, str(columns.id)
        wrong = rows[name] != rows[well] + "_" + rows[site]
        refuse(path, rows, wrong, lambda row: f"{name} {brief(row[name])} is not {row[well]}_{row[site]}")
    numbers = rows[site].map(spec.site_numbers)
    repeated = positions[["experiment", "barcode", "well"]].assign(site=numbers).duplicated()
    refuse(path, rows, repeated, lambda row: f"site {row[columns.site_id or site]} of its well is listed twice")


def check_filled(root: Path, entries: pd.DataFrame, column: str, has_types: bool) -> None:
    """Reject a train well or a control without a label; ``has_types``: a column of the tables has the well types."""
    empty = (entries["sirna"] == "") & ((entries["split"] == "train") | (entries["well_type"] != "treatment"))
    if empty.any():
        wrong = _first(entries, empty)
        kind = f"a {wrong['split']} well" if wrong["well_type"] == "treatment" else "a control"
        is_test = (entries["sirna"] == "") & (entries["split"] == "test")
        remedy = 'or leave such wells out: well_types: {skip: [""]} in the screen spec'
        if has_types:
            remedy = "or give such wells a well type that well_types.skip of the screen spec lists"
        elif is_test.any():  # a skip of "" would leave them out, too
            remedy = "or write a word such as empty there and list it in well_types.skip of the screen spec"
        reason = f"column {brief(column)} has no value for {kind}; fill it in, {remedy}"
        raise row_error(root / wrong["file"], wrong["line"], reason)


def check_folder_names(path: Path, rows: pd.DataFrame, column: str) -> None:
    """Reject an experiment, plate or cell type that is no valid folder name within the data root."""
    bad = {name for name in rows[column].unique() if not is_folder_name(name)}
    rule = f"1 to {LONGEST_NAME} bytes of printable text without slashes, not starting with a dot"
    refuse(path, rows, rows[column].isin(bad), lambda row: f"{column} {brief(row[column])} must be {rule}")


def check_choice(path: Path, rows: pd.DataFrame, column: str, known: tuple[str, ...]) -> None:
    """Reject a value of a column that is not a known one."""

    def reason(row: dict[str, str]) -> str:
        return f"{column} {brief(row[column])} is none of {', '.join(known)}{nearest(row[column], known)}"

    refuse(path, rows, ~rows[column].isin(known), reason)


def check_agrees(path: Path, rows: pd.DataFrame, column: str, by: str) -> None:
    """Reject a row whose ``column`` differs from the first row with the same ``by``."""
    pairs = rows[[by, column]].drop_duplicates()
    again = pairs[by].duplicated()
    first = pairs[~again].set_index(by)[column]

    def reason(row: dict[str, str]) -> str:
        value, earlier = brief(row[column]), brief(first[row[by]])
        return f"{column} {value} of {by} {brief(row[by])} contradicts an earlier row, which has {earlier}"

    refuse(path, pairs, again, reason)


def check_once(root: Path, entries: pd.DataFrame) -> None:
    """Reject a well that is listed twice, in one file or in two."""
    again = entries["id_code"].duplicated()
    if again.any():
        second = _first(entries, again)
        first = _first(entries, entries["id_code"] == second["id_code"])
        reason = f"well {second['id_code']} is listed twice, first in {first['file']}, line {first['line']}"
        raise row_error(root / second["file"], second["line"], reason)


def check_one_naming(root: Path, entries: pd.DataFrame) -> None:
    """Reject a mixture of integer labels and names; the rarer kind is reported as the error."""
    labelled = entries[entries["sirna"] != ""]
    number = labelled["sirna"].map({name: is_number(name) for name in labelled["sirna"].unique()}).astype(bool)
    if number.any() and not number.all():
        usual = bool(number.mean() > 0.5)
        odd = _first(labelled, number != usual)
        reason = f"label {brief(odd['sirna'])} is not {'an integer' if usual else 'a name'} like the other labels"
        raise row_error(root / odd["file"], odd["line"], reason)


def check_range(root: Path, entries: pd.DataFrame) -> None:
    """Reject a treatment's label that is far from all others, if these are numbered from 0 on.

    Of K different labels numbered in this way, some of which may be absent, none is 2 K or more. If more than a tenth
    of the wells have such a label, labels are names that happen to be numbers (of genes, say): nothing is rejected.
    """
    treatments = entries[entries["well_type"] == "treatment"]
    numeric = treatments["sirna"].map({name: is_number(name) for name in treatments["sirna"].unique()}).astype(bool)
    numbers = treatments["sirna"][numeric].astype("int64")
    far = numbers >= 2 * numbers.nunique()
    if far.any() and far.mean() <= 0.1:
        wrong = _first(treatments[numeric], far)
        highest = int(numbers[~far].max())
        reason = f"label {brief(wrong['sirna'])} is far from the other labels, which are 0 to {highest}"
        raise row_error(root / wrong["file"], wrong["line"], reason)


def check_roles(root: Path, entries: pd.DataFrame) -> None:
    """Reject a label of two well types; the type with fewer wells is reported as the error."""
    labelled = entries[entries["sirna"] != ""]
    roles = labelled.groupby(["sirna", "well_type"], sort=False, as_index=False).size()
    roles = roles.sort_values(["sirna", "size"], ascending=[True, False], kind="stable")
    again = roles["sirna"].duplicated()
    if again.any():
        odd = _first(roles, again)
        name, role = odd["sirna"], odd["well_type"]
        usual = _first(roles, roles["sirna"] == name)["well_type"].replace("_", " ")
        wrong = _first(labelled, (labelled["sirna"] == name) & (labelled["well_type"] == role))
        reason = f"label {brief(name)} is used for a {role.replace('_', ' ')}, but in most wells it is a {usual}"
        raise row_error(root / wrong["file"], wrong["line"], reason)


def check_splits(root: Path, entries: pd.DataFrame) -> None:
    """Reject an experiment of both splits; the split with fewer wells is reported as the error."""
    wells = entries.groupby(["experiment", "split"], sort=False, as_index=False).size()
    wells = wells.sort_values(["experiment", "size"], ascending=[True, False], kind="stable")
    again = wells["experiment"].duplicated()
    if again.any():
        odd = _first(wells, again)
        name, split = odd["experiment"], odd["split"]
        wrong = _first(entries, (entries["experiment"] == name) & (entries["split"] == split))
        other = _first(entries, (entries["experiment"] == name) & (entries["split"] != split))
        there = f"{other['file']}, line {other['line']}"
        reason = f"experiment {brief(name)} is in {split}, but {there} has it in {other['split']}"
        raise row_error(root / wrong["file"], wrong["line"], reason)


def _first(rows: pd.DataFrame, mask: pd.Series) -> pd.Series:
    """Return the first row selected by a mask."""
    return rows.iloc[int(mask.to_numpy().argmax())]


def swapped(row: dict[str, str], spec: ScreenSpec) -> str:
    """Return a hint at two columns whose values seem swapped, judged by the well's full name; "" if none do."""
    name, columns = spec.columns.id, (spec.columns.experiment, spec.columns.plate, spec.columns.well)
    for holder in [str(name), *row]:
        parts = row[holder].rsplit("_", 2)
        if len(parts) == 3 and parts[2] in spec.wells:
            break
    else:
        return ""
    if holder != name:
        return f"; are the values of {brief(name)} and {brief(holder)} swapped?"
    for column, value in zip(columns, parts, strict=True):
        matches = [key for key in row if key != column and row[key] == value]
        if column is not None and row[column] != value and matches:
            return f"; are the values of {brief(column)} and {brief(matches[0])} swapped?"
    return ""
