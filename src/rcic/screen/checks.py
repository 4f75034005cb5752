"""What the rows of a screen must agree on; each check raises the UserError of the first row that does not."""

from pathlib import Path

import pandas as pd

from rcic.errors import brief, nearest
from rcic.screen.plate import LONGEST_NAME, is_folder_name
from rcic.screen.rows import is_number, refuse, row_error
from rcic.screen.spec import ScreenSpec


def check_names(path: Path, rows: pd.DataFrame, expected: pd.Series, spec: ScreenSpec) -> None:
    """Refuse a row whose name, in the form's column of ids, is not what experiment, plate and well make."""
    columns, name = spec.columns, str(spec.columns.id)

    def reason(row: dict[str, str]) -> str:
        told = {column: row[column] for column in (columns.experiment, columns.plate, columns.well) if column}
        first, *others = told.items()
        place = ", ".join([f"{first[0]} {first[1]!r}", *(f"{column} {value}" for column, value in others)])
        return f"{name} {row[name]!r} contradicts {place}{swapped(row, spec)}"

    refuse(path, rows, rows[name] != expected, reason)


def check_sites(path: Path, rows: pd.DataFrame, spec: ScreenSpec) -> None:
    """Refuse a site that the form does not have, that its own name contradicts, or that stands twice in its well."""
    columns, site = spec.columns, str(spec.columns.site)
    check_choice(path, rows, site, tuple(str(number) for number in spec.sites))
    if columns.site_id is not None:
        name, well = columns.site_id, str(columns.id)
        wrong = rows[name] != rows[well] + "_" + rows[site]
        refuse(path, rows, wrong, lambda row: f"{name} {row[name]!r} is not {row[well]}_{row[site]}")
    place = [
        column for column in (columns.experiment, columns.plate, columns.well, columns.row, columns.column) if column
    ]
    twice = rows[[column for column in [*place, site] if column]].duplicated()
    refuse(path, rows, twice, lambda row: f"site {row[columns.site_id or site]} of its well stands twice in the table")


def check_filled(root: Path, entries: pd.DataFrame, column: str) -> None:
    """Refuse a train well or a control without a label."""
    empty = (entries["sirna"] == "") & ((entries["split"] == "train") | (entries["well_type"] != "treatment"))
    if empty.any():
        wrong = _first(entries, empty)
        what = f"a {wrong['split']} well" if wrong["well_type"] == "treatment" else "a control"
        skip = "name wells that are to be left out in well_types.skip of the form"
        raise row_error(root / wrong["file"], wrong["line"], f"column {column!r} has no value for {what}; {skip}")


def check_folder_names(path: Path, rows: pd.DataFrame, column: str) -> None:
    """Refuse a name that is to be a folder's and would lead out of the data root, or be none."""
    bad = {name for name in rows[column].unique() if not is_folder_name(name)}
    wanted = f"1 to {LONGEST_NAME} bytes of printable text without slashes, not beginning with a dot"
    refuse(path, rows, rows[column].isin(bad), lambda row: f"{column} {brief(row[column])} must be {wanted}")


def check_choice(path: Path, rows: pd.DataFrame, column: str, known: tuple[str, ...]) -> None:
    """Refuse a value of a column that is none of the known ones."""

    def reason(row: dict[str, str]) -> str:
        return f"{column} {row[column]!r} is none of {', '.join(known)}{nearest(row[column], known)}"

    refuse(path, rows, ~rows[column].isin(known), reason)


def check_agrees(path: Path, rows: pd.DataFrame, column: str, by: str) -> None:
    """Refuse a row whose ``column`` differs from that of the first row with the same ``by``."""
    pairs = rows[[by, column]].drop_duplicates()
    again = pairs[by].duplicated()
    first = pairs[~again].set_index(by)[column]

    def reason(row: dict[str, str]) -> str:
        return f"{column} {row[column]!r} of {by} {row[by]!r}, which further up is {first[row[by]]!r}"

    refuse(path, pairs, again, reason)


def check_once(root: Path, entries: pd.DataFrame) -> None:
    """Refuse a well that stands twice, in one file or in two."""
    again = entries["id_code"].duplicated()
    if again.any():
        second = _first(entries, again)
        first = _first(entries, entries["id_code"] == second["id_code"])
        reason = f"well {second['id_code']} stands twice, first in {first['file']}, line {first['line']}"
        raise row_error(root / second["file"], second["line"], reason)


def check_one_naming(root: Path, entries: pd.DataFrame) -> None:
    """Refuse labels of which some are integers and some names; the rarer form is taken for the mistake."""
    told = entries[entries["sirna"] != ""]
    number = told["sirna"].map({name: is_number(name) for name in told["sirna"].unique()}).astype(bool)
    if number.any() and not number.all():
        usual = bool(number.mean() > 0.5)
        odd = _first(told, number != usual)
        reason = f"sirna {odd['sirna']!r} is not {'an integer' if usual else 'a name'} like the other labels"
        raise row_error(root / odd["file"], odd["line"], reason)


def check_range(root: Path, entries: pd.DataFrame) -> None:
    """Refuse a treatment's label that is far from all others, where these are numbered from 0 on.

    With K different labels, numbered so but for some that are absent, none is 2 K or more. Where more than a tenth of
    the wells has one that is, labels are names that happen to be numbers (a gene's, say), and nothing is refused.
    """
    treatments = entries[entries["well_type"] == "treatment"]
    numeric = treatments["sirna"].map({name: is_number(name) for name in treatments["sirna"].unique()}).astype(bool)
    numbers = treatments["sirna"][numeric].astype("int64")
    far = numbers >= 2 * numbers.nunique()
    if far.any() and far.mean() <= 0.1:
        wrong = _first(treatments[numeric], far)
        reason = f"sirna {wrong['sirna']!r} is far from the other labels, which are 0 to {int(numbers[~far].max())}"
        raise row_error(root / wrong["file"], wrong["line"], reason)


def check_roles(root: Path, entries: pd.DataFrame) -> None:
    """Refuse an siRNA of two well types; the type with fewer wells is taken for the mistake."""
    told = entries[entries["sirna"] != ""]
    roles = told.groupby(["sirna", "well_type"], sort=False, as_index=False).size()
    roles = roles.sort_values(["sirna", "size"], ascending=[True, False], kind="stable")
    again = roles["sirna"].duplicated()
    if again.any():
        odd = _first(roles, again)
        name, role = odd["sirna"], odd["well_type"]
        usual = _first(roles, roles["sirna"] == name)["well_type"].replace("_", " ")
        wrong = _first(told, (told["sirna"] == name) & (told["well_type"] == role))
        reason = f"sirna {name!r} as a {role.replace('_', ' ')}, but in most wells it is a {usual}"
        raise row_error(root / wrong["file"], wrong["line"], reason)


def check_splits(root: Path, entries: pd.DataFrame) -> None:
    """Refuse an experiment of both splits; the split with fewer wells is taken for the mistake."""
    wells = entries.groupby(["experiment", "split"], sort=False, as_index=False).size()
    wells = wells.sort_values(["experiment", "size"], ascending=[True, False], kind="stable")
    again = wells["experiment"].duplicated()
    if again.any():
        odd = _first(wells, again)
        name, split = odd["experiment"], odd["split"]
        wrong = _first(entries, (entries["experiment"] == name) & (entries["split"] == split))
        other = _first(entries, (entries["experiment"] == name) & (entries["split"] != split))
        reason = f"experiment {name!r} in {split}, but {other['file']}, line {other['line']} has it in {other['split']}"
        raise row_error(root / wrong["file"], wrong["line"], reason)


def _first(rows: pd.DataFrame, chosen: pd.Series) -> pd.Series:
    """Return the first chosen row."""
    return rows.iloc[int(chosen.to_numpy().argmax())]


def swapped(row: dict[str, str], spec: ScreenSpec) -> str:
    """Return a question about two columns that look swapped, judged by the well's full name, or ''."""
    name, places = spec.columns.id, (spec.columns.experiment, spec.columns.plate, spec.columns.well)
    for holder in [str(name), *row]:
        parts = row[holder].rsplit("_", 2)
        if len(parts) == 3 and parts[2] in spec.wells:
            break
    else:
        return ""
    if holder != name:
        return f"; are the values of {name!r} and {holder!r} swapped?"
    for column, value in zip(places, parts, strict=True):
        other = [key for key in row if key != column and row[key] == value]
        if column is not None and row[column] != value and other:
            return f"; are the values of {column!r} and {other[0]!r} swapped?"
    return ""
