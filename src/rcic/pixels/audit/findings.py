"""The report of an audit (``audit.json``, ``audit.csv``), and its use by trainings and predictions.

No torch here: a training reads the audit before anything slow is imported.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rcic.errors import UserError, plural, program
from rcic.files.difference import difference
from rcic.files.record import Record, check_files, read_record, write_result
from rcic.files.regular import UNREADABLE, is_there, read_json, read_regular
from rcic.files.sealed_json import Unsound
from rcic.pixels.audit.folder_state import changed_folders
from rcic.pixels.images.file_states import FolderState
from rcic.pixels.images.pixel_state import PlatePixels
from rcic.pixels.images.sites import ITS_OWN, SUBSTITUTE_SITE
from rcic.screen.plate import SITES, plate_name, plate_of
from rcic.screen.spec import ScreenSpec
from rcic.screen.table import Screen

REPORT, FINDINGS = "audit.json", "audit.csv"
KINDS = (
    *("missing", "ambiguous", "left-out", "not-file", "unreadable", "empty", "truncated", "damaged", "not-png"),
    *("not-tiff", "depth", "range", "nan", "channels", "size", "levels", "zero", "constant", "duplicate"),
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
    plates: PlatePixels = field(default_factory=dict)  # the identity of their pixels
    sizes: Mapping[str, Sequence[int]] = field(default_factory=dict)  # plate -> (H, W) of its images

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
        taken = np.full(len(rows), ITS_OWN, np.int64)
        for site in reversed(self.sites):
            taken[~sound & self.sound(rows.assign(site=site), channels)] = site
        return rows.assign(**{SUBSTITUTE_SITE: taken})[sound | (taken != ITS_OWN)].reset_index(drop=True)

    def other_size(self, rows: pd.DataFrame) -> str:
        """Return in words that the images of some plates of a site table have other sizes than others, "" if not.

        Of audits by versions that did not note sizes it is "".
        """
        first: dict[tuple[int, ...], str] = {}
        plates = rows.drop_duplicates(["experiment", "plate"])
        for experiment, code, well in plates[["experiment", "id_code", "well"]].itertuples(index=False):
            plate = plate_name(experiment, plate_of(code, experiment, well))
            if plate in self.sizes:
                first.setdefault(tuple(self.sizes[plate]), plate)
        parts = [f"{size[0]} x {size[1]} pixels ({plate})" for size, plate in first.items()]
        return f"images have {' and '.join(parts)}" if len(parts) > 1 else ""

    def digest(self, channels: Sequence[int]) -> str:
        """Return the sha256 (hex) of ``on_bad`` and the sites with a bad image among these channels; "" if none."""
        bad = [f"{code} {site}" for code, site in self._bad(channels).sort_values()]
        return hashlib.sha256("\n".join([self.on_bad, *bad]).encode()).hexdigest() if bad else ""

    def _bad(self, channels: Sequence[int]) -> pd.MultiIndex:
        """Return the (id_code, site) of the sites with a bad image among these channels, each once."""
        among = self.findings["channel"].isin(list(channels))
        return pd.MultiIndex.from_frame(self.findings.loc[among, ["id_code", "site"]].drop_duplicates())


def origin_of(screen: Screen) -> dict[str, Any]:
    """Return what an audit is made from, besides the pixels: the wells, and where their images come from."""
    identity = screen.identity
    return {"wells": identity.wells(), "images": identity.images(), "sites": screen.spec.sites_by_name}


def write_audit(folder: Path, audit: Audit, record: Record, spec: ScreenSpec | None = None) -> None:
    """Write ``audit.csv``, with the sites by name, and its record, ``audit.json``.

    Raises UserError if they cannot be written.
    """
    findings = (
        audit.findings if spec is None else audit.findings.assign(site=audit.findings["site"].map(spec.site_name))
    )
    table = findings.to_csv(index=False, lineterminator="\n").encode()
    made_from = {**record.made_from, "pixels": audit.plates}
    write_result(
        folder / REPORT, replace(record, made_from=made_from), {FINDINGS: lambda path: path.write_bytes(table)}
    )


def read_audit(folder: str | Path, screen: Screen) -> Audit:
    """Read the audit in ``folder``, which must be of this data root.

    Raises Unaudited, with the command to run, if there is no audit, it is of another screen, or the images have changed
    since. Raises UserError as `refused` says.
    """
    path = Path(folder) / REPORT
    record, table = _read(path, screen)
    decided = record.made_with
    again = f"{_again(path, screen)} --mode={decided['mode']} --on_bad={decided['on_bad']}"
    if names := changed_folders(screen, {name: FolderState(*state) for name, state in record.facts["marks"].items()}):
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        changes = f"{', '.join(names[:_NAMED])}{more} changed since the audit in {path}"
        raise Unaudited(f"{screen.root}: {changes}; {again}")
    pixels, sizes = record.made_from.get("pixels", {}), record.facts.get("sizes", {})
    audit = Audit(decided["on_bad"], table, screen.spec.sites, pixels, sizes)
    if refusal := refused(screen, audit, Path(folder)):
        raise UserError(refusal)
    return audit


def read_findings(folder: str | Path, screen: Screen) -> pd.DataFrame:
    """Return the ``findings`` of the audit in ``folder``, whatever its ``on_bad``.

    Later changes of the images are not checked. Raises Unaudited if there is no audit of this screen.
    """
    return _read(Path(folder) / REPORT, screen)[1]


def refused(screen: Screen, audit: Audit, folder: Path) -> str:
    """Return the error message of an audit that no training may use, and of every later training; "" if one may.

    These are audits with bad images whose ``on_bad`` is stop, and all with images that the system did not let be read:
    nothing is known of their pixels, so that their sites are not left out for them.
    """
    unread = audit.findings[audit.findings["kind"] == UNREADABLE]
    if len(unread):
        first = unread.iloc[0]
        return (
            f"{screen.root}: {plural(len(unread), 'image')} could not be read, which is no reason to leave a site out, "
            f"the first {first['file']}: {first['detail']}; see to it that they can be read and audit again"
        )
    return _stopped(screen, audit, folder) if audit.on_bad == "stop" and len(audit.findings) else ""


def _stopped(screen: Screen, audit: Audit, folder: Path) -> str:
    n_sites = len(audit.findings[["id_code", "site"]].drop_duplicates())
    bad = f"{plural(len(audit.findings), 'bad image')} in {plural(n_sites, 'site')}, listed in {folder / FINDINGS}"
    return f"{screen.root}: {bad}; repair them and audit again, or audit with --on_bad=drop or --on_bad=other-site"


def _again(path: Path, screen: Screen) -> str:
    return f"run {program('data')} audit {screen.flags} --out_dir {path.parent}"


def audit_record(path: Path, again: str = "") -> Record | None:
    """Return the record ``audit.json``, None if there is no file. Raises Unsound, with the remedy, for any other file.

    Versions 0.1 and 0.2 wrote their facts in one flat object.
    """
    record = read_record(path, "audit", again)
    if record is None and is_there(path):
        record = _flat_record(path)
    if record is None and is_there(path):
        raise Unsound(f"{path}: is not the report of an audit, or a damaged one{again and '; ' + again}")
    return record


def _read(path: Path, screen: Screen) -> tuple[Record, pd.DataFrame]:
    """Read audit.json and audit.csv. Raises Unaudited if they are missing, damaged or of another screen."""
    beside, again = path.with_name(FINDINGS), _again(path, screen)
    try:
        record = audit_record(path, again)
        if record is None:
            raise Unaudited(f"{path}: not found, so the images of {screen.root} were not audited; {again}")
        check_files(path, record, again=again)
    except Unsound as error:
        raise Unaudited(str(error)) from None
    if differs := _other_screen(record, screen):
        raise Unaudited(f"{path}: of another screen than {screen.root} is now, with other {differs}; {again}")
    kinds = dict.fromkeys(("id_code", "site", "file", "kind", "detail"), str) | {"channel": np.int64}
    table = pd.read_csv(io.BytesIO(read_regular(beside)), dtype=kinds, keep_default_na=False)
    return record, table.assign(site=table["site"].map(screen.spec.site_numbers).fillna(ITS_OWN).astype(np.int64))


def _other_screen(record: Record, screen: Screen) -> str:
    """Return how the audited screen differs from the present one, "" if it does not."""
    if (fingerprint := record.made_from.get("fingerprint")) is not None:
        return "" if fingerprint == screen.fingerprint() else "wells, classes or grey levels"
    now = origin_of(screen)
    return difference({name: record.made_from.get(name) for name in now}, now)


def _flat_record(path: Path) -> Record | None:
    """Return the record of an audit by version 0.1 or 0.2, None for another file."""
    try:
        facts = read_json(path)
        decided = {"mode": facts["mode"], "on_bad": facts["on_bad"]}
        origin, files = {"fingerprint": facts["screen"]}, {FINDINGS: facts["findings_sha256"]}
        is_whole = decided["on_bad"] in ON_BAD and isinstance(facts["marks"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Record("audit", origin, decided, files, facts) if is_whole else None
