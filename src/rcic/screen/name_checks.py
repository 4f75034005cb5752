"""Checks of names across a screen's tables and its screen spec: absent ones, look-alikes, words that mean "not known".

Each raises the UserError of the first name that fails. Entries are the wells of all tables, before any is left out.
"""

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from rcic.errors import UserError, brief, nearest, quoted
from rcic.schema.spelling import look
from rcic.screen.rows import row_error
from rcic.screen.spec import ScreenSpec, WellTypes

_log = logging.getLogger(__name__)

_KINDS = ("treatment", "positive_control", "negative_control", "skip")
_EMPTY = re.compile(r"[<(\[]?(?:empty|blank)[>)\]]?")  # also the content of a control well
_UNKNOWN = re.compile(  # what R, pandas, SQL, Excel and people write; matched with `look`
    r"[<(\[]?(?:na|n/a|n\.a\.?|nan|nat|null|none|nil|missing|unknown|undefined|notavailable|notapplicable)[>)\]]?"
    r"|na_(?:character|integer|real|logical)_|[-+]nan|-?1\.#(?:ind|qnan)|\\n"
    r"|#n/an/a|#\w/\w!?|#\w+[!?]|#div/0!|#na|#nan|#nv|-+|\?+|\.+"
)


def check_spec_names(root: Path, entries: pd.DataFrame, spec: ScreenSpec) -> None:
    """Reject a name in the screen spec that no row has: of a test experiment, or of a label that rows write otherwise.

    Values of the columns of splits and well types are not checked here: a value in the tables must be in the spec.
    """
    labels = entries["sirna"].unique()
    _check_present(root, spec, "split.test_experiments", entries["experiment"].unique())
    meant = {*spec.columns.unknown, *spec.columns.known}
    others = [name for name in labels if name not in {*listed_labels(spec.well_types), *meant}]
    for kind in _KINDS if spec.well_types.column is None else ():
        _check_present(root, spec, f"well_types.{kind}", labels, others)
    looks = {look(name) for name in meant}
    for key in ("columns.unknown", "columns.known"):
        _check_present(root, spec, key, labels, [name for name in others if look(name) in looks])


def warn_absent_controls(root: Path, spec: ScreenSpec, labels: Collection[str]) -> None:
    """Log, once a process, the controls of the screen spec that are none of the screen's ``labels``."""
    if spec.well_types.column is None:
        for kind in ("positive_control", "negative_control"):
            for name in getattr(spec.well_types, kind):
                if name not in labels:
                    _warn(f"warning: {_absent(root, spec, f'well_types.{kind}', name)}")


@cache
def _warn(line: str) -> None:
    _log.warning(line)


def check_known_labels(root: Path, entries: pd.DataFrame, spec: ScreenSpec) -> None:
    """Reject a label that usually means "not known", unless the screen spec decides what it means.

    It decides in ``columns.known`` or in a list of `well_types`; labels of ``columns.unknown`` are "" here.
    """
    columns, labels = spec.columns, entries["sirna"]
    decided = {"", *columns.known, *listed_labels(spec.well_types)}
    controls = set(labels[entries["well_type"].isin(["positive_control", "negative_control"])])
    names = {*labels.unique()} - decided
    suspect = {name for name in names if _is_unknown(name) or (_is_empty(name) and name not in controls)}
    bad = labels.isin(suspect) & (entries["well_type"] != "skip")
    if bad.any():
        row = entries.iloc[int(bad.to_numpy().argmax())]
        skip = ", in well_types.skip to leave its wells out" if spec.well_types.column is None else ""
        what = f"{columns.label} {quoted(row['sirna'])} usually means that nothing is known"
        remedy = f"list it in columns.unknown of the screen spec if it does{skip}, or in columns.known if it is a name"
        raise row_error(root / row["file"], row["line"], f"{what}: {remedy}")


def check_places(root: Path, entries: pd.DataFrame, spec: ScreenSpec) -> None:
    """Reject an experiment, a plate or a cell type that is only a word for "not known", such as NA."""
    for column, title in _places(spec):
        unknown = {name for name in entries[column].unique() if _is_unknown(name)} - {*spec.columns.known}
        bad = entries[column].isin(unknown)
        if bad.any():
            row = entries.iloc[int(bad.to_numpy().argmax())]
            what = f"{title} {quoted(row[column])} usually means that nothing is known"
            reason = f"{what}; write its name, or list it in columns.known of the screen spec if it is one"
            raise row_error(root / row["file"], row["line"], reason)


def check_alike(root: Path, entries: pd.DataFrame, spec: ScreenSpec) -> None:
    """Reject two names of experiments, of plates of an experiment, of cell types or of labels that look alike."""
    for column, title in _places(spec):
        by = ["experiment"] if column == "barcode" else []
        _check_alike(root, entries, [*by, column], title, "; write both in one way")
    if spec.columns.lookalikes == "refuse":
        remedy = "; write both in one way or, if they are two, set columns.lookalikes of the screen spec to distinct"
        _check_alike(root, _compared(entries, spec.well_types), ["sirna"], spec.columns.label, remedy)


def _compared(entries: pd.DataFrame, types: WellTypes) -> pd.DataFrame:
    """Return the entries whose labels must differ: of labels to leave out, any spelling of the list counts as one."""
    if types.column is not None:
        return entries[entries["well_type"] != "skip"]
    first = {look(name): name for name in reversed(types.skip)}
    return entries.assign(sirna=entries["sirna"].replace({name: first[look(name)] for name in types.skip}))


def _check_alike(root: Path, entries: pd.DataFrame, columns: list[str], title: str, remedy: str) -> None:
    """Reject two names in the last of ``columns`` that look alike, where the others are equal."""
    *by, column = columns
    names = entries.drop_duplicates(columns)
    keys = names[by].assign(key=names[column].map({name: look(name) for name in names[column].unique()}))
    again = keys.duplicated()
    if again.any():
        second = names[again].iloc[0]
        first = names[(keys == keys[again].iloc[0]).all(axis=1)].iloc[0]
        place = f"line {first['line']}" if first["file"] == second["file"] else f"{first['file']}, line {first['line']}"
        reason = f"{title} {quoted(second[column])} looks like {quoted(first[column])} in {place}, but differs from it"
        raise row_error(root / second["file"], second["line"], reason + remedy)


def _check_present(
    root: Path, spec: ScreenSpec, key: str, names: Sequence[str], others: Sequence[str] | None = None
) -> None:
    """Reject a name listed under a key of the screen spec that is none of ``names``.

    With ``others``, the names in the tables that the screen spec does not list, it is only rejected if one is similar.
    """
    section, _, last = key.partition(".")
    there = {*names}
    for name in getattr(getattr(spec, section), last):
        if name not in there:
            hint = nearest(name, names if others is None else others)
            if hint or others is None:
                raise UserError(_absent(root, spec, key, name) + (hint or "; correct it or take it out"))


def _absent(root: Path, spec: ScreenSpec, key: str, name: str) -> str:
    files = ", ".join(table.file for table in spec.tables)
    return f"{root}: {key} of the screen spec lists {brief(name)}, which no row of {files} has"


def listed_labels(types: WellTypes) -> set[str]:
    """Return the labels whose well type the screen spec gives, none where a column has the types."""
    return set() if types.column else {name for kind in _KINDS for name in getattr(types, kind)}


def _places(spec: ScreenSpec) -> Iterator[tuple[str, str]]:
    """Yield the columns of the entries that say where a well is, each with its title in the tables."""
    yield "experiment", spec.columns.experiment or "experiment"
    yield "barcode", spec.columns.plate or "plate"
    yield "cell_type", spec.cell_type.column or "cell type"


def _is_empty(name: str) -> bool:
    return _EMPTY.fullmatch(look(name)) is not None


def _is_unknown(name: str) -> bool:
    return _UNKNOWN.fullmatch(look(name)) is not None
