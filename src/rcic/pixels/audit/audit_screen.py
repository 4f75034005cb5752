"""`python src/data.py audit`: look at every image, say what is bad by plate, and write what trainings go by."""

import logging
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from tqdm import tqdm

from rcic.errors import UserError
from rcic.files.atomic import write_error
from rcic.launch.shards import RunShards, Shard, run_nothing
from rcic.pixels.audit.findings import FINDINGS, KINDS, REPORT, Audit, Finding, stopped, write_audit
from rcic.pixels.audit.folder_state import folder_states
from rcic.pixels.audit.image_scan import ScanResults, key_of
from rcic.pixels.audit.inspection import audit_sites, scan_sites
from rcic.pixels.images.sites import TAKEN, site_table, sites_of
from rcic.pixels.images.store import Store
from rcic.pixels.packed.open_store import open_store
from rcic.screen.source import DataRoot
from rcic.screen.table import read_screen

_log = logging.getLogger(__name__)

Mode = Literal["full", "quick"]
OnBad = Literal["stop", "drop", "other-site"]
SEEN = "seen"  # the folder of what an audit's parts have seen, until its end
_MOST_PLATES = 40  # that the table on screen has


def audit(
    data_root: DataRoot, out_dir: str | Path, mode: Mode, on_bad: OnBad, threads: int, jobs: RunShards = run_nothing
) -> Audit:
    """Look at every image of every site of a screen, print what is bad by plate, and write the report.

    ``mode``: ``full`` decodes every image, ``quick`` looks at existence and headers only. Every finding makes its image
    a bad one: one that cannot be read has no pixels, and black, constant or doubled pixels are not those of the well.
    ``on_bad`` is what trainings and predictions do then, see :class:`rcic.pixels.audit.findings.Audit`. ``jobs`` may
    have parts of it looked at elsewhere; what they, or parts before them, have seen is not looked at again. Raises
    UserError for tables or a data root that cannot be read and, after the report is written, for bad images if
    ``on_bad`` is stop.
    """
    screen, out = read_screen(data_root), Path(out_dir)
    store, rows, marks = open_store(screen), site_table(screen.wells, screen.spec.sites), folder_states(screen)
    channels = screen.spec.channel_numbers
    _make(out)
    began, findings = time.perf_counter(), list[Finding]()
    jobs()
    seen = _seen(out, rows, len(channels), key_of(screen.fingerprint(), mode, marks))
    with tqdm(total=len(rows), desc="audit", unit="site", disable=None) as bar:
        for some in audit_sites(store, rows, mode == "full", threads, seen):
            findings += some
            bar.update()
    seconds = time.perf_counter() - began
    found = Audit(on_bad, _table(findings), screen.spec.sites)
    counts = Counter(finding.kind for finding in findings)
    facts = {
        "screen": screen.fingerprint(),
        "data_root": str(screen.root),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "mode": mode,
        "seconds": round(seconds, 1),
        "sites": len(rows),
        "images": len(rows) * len(channels),
        "by_kind": {kind: counts[kind] for kind in KINDS if counts[kind]},
        "by_plate": _by_plate(findings),
    }
    write_audit(out, found, facts, marks)
    shutil.rmtree(out / SEEN, ignore_errors=True)
    if findings:
        _log.info(audit_text(findings))
    looked = f"{len(rows):,} sites, {facts['images']:,} images ({mode}, {seconds:.1f} s)"
    _log.info(f"{out / REPORT}: {looked}: {_verdict(found, rows, out, channels)}")
    if findings and on_bad == "stop":
        raise UserError(stopped(screen, found, out))
    return found


def audit_shard(data_root: DataRoot, out_dir: str | Path, mode: Mode, threads: int, part: Shard) -> None:
    """Look at every image of a part's experiments, and leave what was seen for the audit that ends it.

    Raises UserError as `audit`. An experiment that was looked at already, with its files as they lie now, is passed by.
    """
    screen, out = read_screen(data_root), Path(out_dir)
    store, rows = open_store(screen), site_table(screen.wells, screen.spec.sites)
    key = key_of(screen.fingerprint(), mode, folder_states(screen))
    for experiment in part.take(sorted(rows["experiment"].unique())):
        own = rows[rows["experiment"] == experiment]
        path = out / SEEN / f"{experiment}.npz"
        if ScanResults.read(path, key, (len(own), len(screen.spec.channels))) is None:
            _look(store, own, mode, threads).write(path, key)
        _log.info(f"{experiment}: {len(own):,} sites")


def _look(store: Store, rows: pd.DataFrame, mode: Mode, threads: int) -> ScanResults:
    """Return what is seen of the images of a site table."""
    looks = ScanResults((len(rows), len(store.spec.channels)))
    for number, some in enumerate(scan_sites(store, sites_of(rows), mode == "full", threads)):
        looks.put(number, some)
    return looks


def _seen(out: Path, rows: pd.DataFrame, n_channels: int, key: str) -> ScanResults:
    """Return what parts have seen of a site table."""
    looks = ScanResults((len(rows), n_channels))
    for experiment, places in rows.groupby("experiment").indices.items():
        own = ScanResults.read(out / SEEN / f"{experiment}.npz", key, (len(places), n_channels))
        if own is not None:
            looks.take(np.asarray(places), own)
    return looks


def audit_text(findings: Sequence[Finding]) -> str:
    """Return a table of findings: a line a plate that has any, a column a kind, and the total."""
    counts = Counter(finding.kind for finding in findings)
    kinds = [kind for kind in KINDS if counts[kind]]
    plates = {name: _line(own) for name, own in _of_plates(findings).items()}
    shown = dict(list(plates.items())[:_MOST_PLATES])
    width = max(len(name) for name in ("total", *shown))
    lines = [f"{'plate':{width}}  sites  images  " + "  ".join(kinds)]
    for name, (n_sites, n_images, by_kind) in [*shown.items(), ("total", _line(findings))]:
        if name == "total" and len(shown) < len(plates):
            lines.append(f"and {len(plates) - len(shown):,} more plates, see {FINDINGS}")
        numbers = "  ".join(f"{by_kind[kind] or '-':>{len(kind)}}" for kind in kinds)
        lines.append(f"{name:{width}}  {n_sites:5}  {n_images:6}  {numbers}")
    return "\n".join(lines)


def _line(findings: Sequence[Finding]) -> tuple[int, int, Counter[str]]:
    """Return the numbers of sites, of images and of each kind."""
    sites = {(finding.id_code, finding.site) for finding in findings}
    return len(sites), len(findings), Counter(finding.kind for finding in findings)


def _of_plates(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """Return the findings of each plate folder."""
    plates: dict[str, list[Finding]] = {}
    for finding in findings:
        plates.setdefault(finding.file.rpartition("/")[0], []).append(finding)
    return dict(sorted(plates.items()))


def _by_plate(findings: Sequence[Finding]) -> dict[str, dict[str, int]]:
    return {name: dict(_line(own)[2]) for name, own in _of_plates(findings).items()}


def _table(findings: Sequence[Finding]) -> pd.DataFrame:
    ordered = sorted(findings, key=lambda finding: (finding.file, finding.channel))
    table = pd.DataFrame(ordered, columns=list(Finding._fields))
    return table.astype({"site": "int64", "channel": "int64"})


def _verdict(found: Audit, rows: pd.DataFrame, out: Path, channels: Sequence[int]) -> str:
    """Say how many sites are bad and, if it is decided, what becomes of them."""
    if found.findings.empty:
        return "nothing is bad"
    bad = rows[~found.sound(rows, channels)]
    kept = found.settled(rows, channels)
    lost = rows["id_code"].nunique() - kept["id_code"].nunique()
    said = f"{len(found.findings):,} images of {len(bad):,} sites are bad, see {out / FINDINGS}"
    if found.on_bad == "stop":
        return said
    taken = int((kept[TAKEN] > 0).sum()) if TAKEN in kept else 0
    instead = f"{taken:,} get the images of their well's other site and " if taken else ""
    left_out = f"{len(rows) - len(kept):,} are left out ({lost:,} wells have none left)"
    return f"{said}; with all channels {instead}{left_out}"


def _make(out: Path) -> None:
    """Make the folder before the work, which may take an hour. Raises UserError if that cannot be done."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(out / REPORT, error) from error
