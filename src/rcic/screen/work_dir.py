"""The folder of what is made from a screen's tables and images: audit, folds, pseudo-labels, levels.

Flags and config keys that name one of these are ``auto`` by default: its place in the work folder. Every screen has a
folder of its own there; a folder of another screen is not written into.
"""

import logging
import re
from pathlib import Path

from rcic.errors import UserError
from rcic.files.atomic import whole
from rcic.files.record import Record, read_record
from rcic.files.regular import is_there
from rcic.files.sealed_json import Unsound
from rcic.screen.source import ScreenSource
from rcic.screen.spec import ScreenSpec
from rcic.screen.spec_files import resolve_spec
from rcic.screen.table import Screen, read_screen

_log = logging.getLogger(__name__)

AUTO = "auto"
FOLDS_DIR, AUDIT_DIR, PSEUDO_DIR = "", "audit", "pseudo"  # in the work folder
LEVELS_FILE = "levels.yml"
_ABOVE = "work"  # the folder with a folder for each screen


def default_work_dir(spec: ScreenSpec) -> Path:
    """Return the work folder of a screen: the one that its spec names, else ``work/NAME``."""
    name = re.sub(r"[^\w.+-]+", "_", spec.name).strip("._") or "screen"
    return Path(spec.work_dir) if spec.work_dir else Path(_ABOVE, name)


def work_dir_of(screen: Screen) -> Path:
    """Return the work folder of a screen: that of the flag ``--work_dir``, else its default."""
    return Path(screen.given_work_dir) if screen.given_work_dir else default_work_dir(screen.spec)


def place_in(screen: Screen, given: str | Path, name: str) -> Path:
    """Return the folder that a flag or key names: ``auto`` is the folder ``name`` in the work folder."""
    return work_dir_of(screen) / name if str(given) == AUTO else Path(given)


def place_to_write(screen: Screen, given: str | Path, name: str, record: str, kind: str) -> Path:
    """Return the folder to write into. Raises UserError if it is the default one and holds another screen's result.

    ``record`` is the file name of the result's record, and ``kind`` its kind.
    """
    folder = place_in(screen, given, name)
    if str(given) == AUTO and (owner := _other_owner(screen, folder / record, kind)):
        raise UserError(f"{folder / record}: belongs to another screen, {owner}; give this one a place with --work_dir")
    return folder


def place_of_source(source: ScreenSource, given: str, name: str, record: str, kind: str) -> Path:
    """Return `place_to_write` of a screen whose tables are read only if there is a result already."""
    if given == AUTO and not is_there(folder := _work_dir_of_source(source) / name / record):
        return folder.parent
    return place_to_write(read_screen(source), given, name, record, kind) if given == AUTO else Path(given)


def write_levels(source: ScreenSource, text: str) -> None:
    """Keep the lines of measured levels in the work folder of a screen, whose spec may lack them; log if that fails."""
    try:
        with whole(_work_dir_of_source(source) / LEVELS_FILE) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    except UserError as error:
        _log.warning(f"warning: {error}")


def _work_dir_of_source(source: ScreenSource) -> Path:
    spec = resolve_spec(Path(source.data_root), source.screen, measured=False)
    return Path(source.work_dir) if source.work_dir else default_work_dir(spec)


def _other_owner(screen: Screen, path: Path, kind: str) -> str:
    """Return the data root of another screen that a record was written for, "" if it is this one or gone."""
    try:
        record = read_record(path, kind)
    except Unsound:
        return ""
    root = "" if record is None else str(record.facts.get("data_root", ""))
    if record is None or not root or not Path(root).is_dir() or Path(root).resolve() == screen.root.resolve():
        return ""
    return "" if _shares_wells(screen, record) else root


def _shares_wells(screen: Screen, record: Record) -> bool:
    """Whether a record was made from an experiment of this screen, as for a screen and its packed form."""
    wells = record.made_from.get("wells")
    return not isinstance(wells, dict) or bool(set(wells.items()) & set(screen.identity.experiments.items()))
