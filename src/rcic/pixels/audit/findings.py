"""The report of an audit (``audit.json``, ``audit.csv``), and its use by trainings and predictions.

No torch here: a training reads the audit before anything slow is imported.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rcic.errors import UserError, plural, program
from rcic.files.atomic import whole
from rcic.pixels.audit.folder_state import FolderState, changed_folders
from rcic.pixels.images.sites import SUBSTITUTE_SITE
from rcic.screen.plate import SITES
from rcic.screen.table import Screen

REPORT, FINDINGS = "audit.json", "audit.csv"
KINDS = (
    *("missing", "ambiguous", "left-out", "unreadable", "empty", "truncated", "damaged", "not-png", "not-tiff"),
    *("depth", "channels", "size", "zero", "constant", "duplicate"),
)
ON_BAD = ("stop", "drop", "other-site")
_NAMED = 4  # changed folders that an error lists


class Finding(NamedTuple):
    """The defect of one image; ``file`` is its path relative to the data root."""

    id_code: str
    site: int
    channel: int
    file: str
    kind: str  # one of KINDS
    detail: str


class Unaudited(UserError):
    """The images of a data root, in their present state, were not audited."""


@dataclass(frozen=True)
class Audit:
    """The bad images of a screen, one row of ``findings`` each, and their treatment.

    ``findings`` has the columns of :class:`Finding`. ``on_bad`` is ``stop``: nothing is trained; ``drop``: a site with
    a bad image among the channels in use is left out; ``other-site``: such a site gets the images of the first sound
    site of its well.
    """

    on_bad: str
    findings: pd.DataFrame
    sites: tuple[int, ...] = SITES  # of each well of the screen

    def sound(self, rows: pd.DataFrame, channels: Sequence[int]) -> np.ndarray:
        """Return a mask (N,) bool of the rows of a site table without a bad image among these channels."""
        return ~pd.MultiIndex.from_frame(rows[["id_code", "site"]]).isin(self._bad(channels))

    def usable_rows(self, rows: pd.DataFrame, channels: Sequence[int]) -> pd.DataFrame:
        """Return the usable rows of a site table, index from 0.

        With ``other-site`` the column ``SUBSTITUTE_SITE`` (rcic.pixels.images.sites) has the site of each row's images.
        """
        sound = self.sound(rows, channels)
        if self.on_bad != "other-site":
            return rows[sound].reset_index(drop=True)
        taken = np.zeros(len(rows), np.int64)
        for site in reversed(self.sites):
            taken[~sound & self.sound(rows.assign(site=site), channels)] = site
        return rows.assign(**{SUBSTITUTE_SITE: taken})[sound | (taken > 0)].reset_index(drop=True)

    def digest(self, channels: Sequence[int]) -> str:
        """Return the sha256 (hex) of ``on_bad`` and the sites with a bad image among these channels; "" if none."""
        bad = [f"{code} {site}" for code, site in self._bad(channels).sort_values()]
        return hashlib.sha256("\n".join([self.on_bad, *bad]).encode()).hexdigest() if bad else ""

    def _bad(self, channels: Sequence[int]) -> pd.MultiIndex:
        """Return the (id_code, site) of the sites with a bad image among these channels, each once."""
        among = self.findings["channel"].isin(list(channels))
        return pd.MultiIndex.from_frame(self.findings.loc[among, ["id_code", "site"]].drop_duplicates())


def write_audit(folder: Path, audit: Audit, facts: Mapping[str, Any], states: Mapping[str, FolderState]) -> None:
    """Write ``audit.csv`` and ``audit.json``: both or neither. Raises UserError if they cannot be written."""
    table = audit.findings.to_csv(index=False, lineterminator="\n").encode()
    content = {**facts, "on_bad": audit.on_bad, "findings_sha256": hashlib.sha256(table).hexdigest(), "marks": states}
    with whole(folder / REPORT) as report:
        report.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        with whole(folder / FINDINGS) as findings:
            findings.write_bytes(table)


def read_audit(folder: str | Path, screen: Screen) -> Audit:
    """Read the audit in ``folder``, which must be of this data root.

    Raises Unaudited, with the command to run, if there is no audit, it is of another screen, or the images have changed
    since. Raises UserError if it found bad images and its ``on_bad`` is ``stop``.
    """
    path = Path(folder) / REPORT
    facts, table = _read(path, screen)
    again = f"{_again(path, screen)} --mode={facts['mode']} --on_bad={facts['on_bad']}"
    if names := changed_folders(screen, {name: FolderState(*state) for name, state in facts["marks"].items()}):
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        changes = f"{', '.join(names[:_NAMED])}{more} changed since the audit in {path}"
        raise Unaudited(f"{screen.root}: {changes}; {again}")
    audit = Audit(facts["on_bad"], table, screen.spec.sites)
    if audit.on_bad == "stop" and len(table):
        raise UserError(stopped(screen, audit, Path(folder)))
    return audit


def read_findings(folder: str | Path, screen: Screen) -> pd.DataFrame:
    """Return the ``findings`` of the audit in ``folder``, whatever its ``on_bad``.

    Later changes of the images are not checked. Raises Unaudited if there is no audit of this screen.
    """
    return _read(Path(folder) / REPORT, screen)[1]


def stopped(screen: Screen, audit: Audit, folder: Path) -> str:
    """Return the error message of an audit with bad images, and of every later training, if ``on_bad`` is stop."""
    n_sites = len(audit.findings[["id_code", "site"]].drop_duplicates())
    bad = f"{plural(len(audit.findings), 'bad image')} in {plural(n_sites, 'site')}, listed in {folder / FINDINGS}"
    return f"{screen.root}: {bad}; repair them and audit again, or audit with --on_bad=drop or --on_bad=other-site"


def _again(path: Path, screen: Screen) -> str:
    return f"run {program('data')} audit {screen.flags} --out_dir {path.parent}"


def _read(path: Path, screen: Screen) -> tuple[dict[str, Any], pd.DataFrame]:
    """Read audit.json and audit.csv. Raises Unaudited if they are missing, damaged or of another screen."""
    beside, again = path.with_name(FINDINGS), _again(path, screen)
    if not path.exists():
        raise Unaudited(f"{path}: not found, so the images of {screen.root} were not audited; {again}")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        is_whole = {"screen", "mode", "on_bad", "marks"} <= facts.keys() and facts["on_bad"] in ON_BAD
        is_whole &= hashlib.sha256(beside.read_bytes()).hexdigest() == facts["findings_sha256"]
    except (OSError, ValueError, KeyError, AttributeError):
        is_whole = False
    if not is_whole:
        raise Unaudited(f"{path}: damaged, or {FINDINGS} beside it is of another audit; {again}")
    if facts["screen"] != screen.fingerprint():
        raise Unaudited(f"{path}: of another screen, or of other tables than {screen.root} has now; {again}")
    text = {column: str for column in ("id_code", "file", "kind", "detail")}
    return facts, pd.read_csv(beside, dtype={**text, "site": np.int64, "channel": np.int64}, keep_default_na=False)
