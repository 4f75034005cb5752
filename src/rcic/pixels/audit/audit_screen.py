"""`rcic data audit`: check every image, log bad images by plate, and write the report that trainings use."""

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

from rcic.errors import UserError, plural
from rcic.files.atomic import write_error
from rcic.files.record import Record
from rcic.launch.shards import RunShards, Shard, run_nothing
from rcic.pixels.audit.findings import FINDINGS, KINDS, REPORT, Audit, Finding, origin_of, refused, write_audit
from rcic.pixels.audit.folder_state import folder_states
from rcic.pixels.audit.image_scan import ScanResults, key_of
from rcic.pixels.audit.inspection import audit_sites, plates_of_rows, scan_sites
from rcic.pixels.audit.pixel_states import scanned_states, unread_states
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.index_checks import index_notes, log_notes
from rcic.pixels.images.sites import ITS_OWN, SUBSTITUTE_SITE, site_table, sites_of
from rcic.pixels.images.store import Store
from rcic.pixels.images.usual_size import usual_size
from rcic.pixels.packed.open_store import open_store
from rcic.screen.plate import plate_name
from rcic.screen.source import DataRoot
from rcic.screen.table import Screen, read_screen

_log = logging.getLogger(__name__)

Mode = Literal["full", "quick"]
OnBad = Literal["stop", "drop", "other-site"]
SEEN = "seen"  # the folder of the scan results of an audit's shards, until its end
_MOST_PLATES = 40  # rows of the logged table


def audit(
    data_root: DataRoot, out_dir: str | Path, mode: Mode, on_bad: OnBad, threads: int, jobs: RunShards = run_nothing
) -> Audit:
    """Check every image of every site of a screen, log the bad images by plate, and write the report.

    ``mode``: ``full`` decodes every image, ``quick`` checks existence and headers only. Every finding marks its image
    as bad: an unreadable image has no pixels, and zero, constant or duplicate pixels are not those of the well.
    ``on_bad`` decides what trainings and predictions do with them, see :class:`rcic.pixels.audit.findings.Audit`.
    ``jobs`` may check shards elsewhere; results of these or earlier shards are reused. Raises UserError for tables or a
    data root that cannot be read and, after the report is written, for what
    :func:`rcic.pixels.audit.findings.refused` says.
    """
    screen, out = read_screen(data_root), Path(out_dir)
    store, rows, states = open_store(screen), site_table(screen.wells, screen.spec.sites), folder_states(screen)
    channels = screen.spec.channel_numbers
    _make_folder(out)
    notes = _told_notes(store, rows)
    began, findings = time.perf_counter(), list[Finding]()
    jobs()
    scanned = _scanned(out, rows, len(channels), key_of(origin_of(screen), mode, states))
    with tqdm(total=len(rows), desc="audit", unit="site", disable=None) as bar:
        for new_findings in audit_sites(store, rows, mode == "full", threads, scanned):
            findings += new_findings
            bar.update()
    seconds = time.perf_counter() - began
    plates = unread_states(screen, states)
    if mode == "full":
        plates = scanned_states(plates, screen, rows, scanned)
    sizes = _sizes(screen, rows, scanned)
    found = Audit(on_bad, _table(findings), screen.spec.sites, plates, sizes)
    counts = Counter(finding.kind for finding in findings)
    facts = {
        **screen.source_facts,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "sites": len(rows),
        "images": len(rows) * len(channels),
        "by_kind": {kind: counts[kind] for kind in KINDS if counts[kind]},
        "by_plate": _by_plate(findings),
        "sizes": sizes,
        "index_notes": notes,
    }
    write_audit(
        out,
        found,
        Record("audit", origin_of(screen), {"mode": mode, "on_bad": on_bad}, facts=facts | {"marks": states}),
        screen.spec,
    )
    shutil.rmtree(out / SEEN, ignore_errors=True)
    if findings:
        _log.info(audit_text(findings))
    counts_text = f"{len(rows):,} sites, {facts['images']:,} images ({mode} check in {seconds:.1f} s)"
    _log.info(f"{out / REPORT}: {counts_text}: {_verdict(found, rows, out, channels)}")
    if different := found.other_size(rows):
        _log.info(f"{screen.root}: {different}; trainings need data.size, to which they are resized")
    if refusal := refused(screen, found, out):
        raise UserError(refusal)
    return found


def audit_shard(data_root: DataRoot, out_dir: str | Path, mode: Mode, threads: int, shard: Shard) -> None:
    """Check every image of a shard's experiments, and store the results for the audit that completes the work.

    Experiments already checked, with unchanged files, are skipped. Raises UserError as `audit` does.
    """
    screen, out = read_screen(data_root), Path(out_dir)
    store, rows = open_store(screen), site_table(screen.wells, screen.spec.sites)
    key = key_of(origin_of(screen), mode, folder_states(screen))
    for experiment in shard.take(sorted(rows["experiment"].unique())):
        subset = rows[rows["experiment"] == experiment]
        path = out / SEEN / f"{experiment}.npz"
        earlier = ScanResults.read(path, key, (len(subset), len(screen.spec.channels)))
        if earlier is None or not earlier.scanned.all():
            _scan(store, subset, mode, threads).write(path, key)
        _log.info(f"{experiment}: {len(subset):,} sites")


def _told_notes(store: Store, rows: pd.DataFrame) -> list[str]:
    """Log and return what the indexes of the images leave out."""
    notes = index_notes(store.sources, rows) if isinstance(store, FileStore) else []
    log_notes(notes)
    return notes


def _sizes(screen: Screen, rows: pd.DataFrame, scanned: ScanResults) -> dict[str, list[int]]:
    """Return plate -> (H, W) of most of its sound images, for plates that have any."""
    sound, sizes = scanned.sound(), {}
    for (experiment, plate), positions in plates_of_rows(rows).items():
        size = usual_size(scanned.shapes[positions][sound[positions]])
        if any(size):
            sizes[plate_name(experiment, screen.barcode(experiment, plate))] = list(size)
    return sizes


def _scan(store: Store, rows: pd.DataFrame, mode: Mode, threads: int) -> ScanResults:
    """Scan the images of a site table."""
    results = ScanResults((len(rows), len(store.spec.channels)))
    for number, scans in enumerate(scan_sites(store, sites_of(rows), mode == "full", threads)):
        results.put(number, scans)
    return results


def _scanned(out: Path, rows: pd.DataFrame, n_channels: int, key: str) -> ScanResults:
    """Return the results of earlier shards for a site table."""
    results = ScanResults((len(rows), n_channels))
    for experiment, positions in rows.groupby("experiment").indices.items():
        subset = ScanResults.read(out / SEEN / f"{experiment}.npz", key, (len(positions), n_channels))
        if subset is not None:
            results.take(np.asarray(positions), subset)
    return results


def audit_text(findings: Sequence[Finding]) -> str:
    """Return a table of findings: one line per plate with findings, one column per kind, and the total."""
    counts = Counter(finding.kind for finding in findings)
    kinds = [kind for kind in KINDS if counts[kind]]
    plates = {name: _line(plate_findings) for name, plate_findings in _of_plates(findings).items()}
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
    """Return the number of sites, of images and of each kind."""
    sites = {(finding.id_code, finding.site) for finding in findings}
    return len(sites), len(findings), Counter(finding.kind for finding in findings)


def _of_plates(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """Return the findings of each plate folder."""
    plates: dict[str, list[Finding]] = {}
    for finding in findings:
        plates.setdefault(finding.file.rpartition("/")[0], []).append(finding)
    return dict(sorted(plates.items()))


def _by_plate(findings: Sequence[Finding]) -> dict[str, dict[str, int]]:
    return {name: dict(_line(plate_findings)[2]) for name, plate_findings in _of_plates(findings).items()}


def _table(findings: Sequence[Finding]) -> pd.DataFrame:
    ordered = sorted(findings, key=lambda finding: (finding.file, finding.channel))
    table = pd.DataFrame(ordered, columns=list(Finding._fields))
    return table.astype({"site": "int64", "channel": "int64"})


def _verdict(found: Audit, rows: pd.DataFrame, out: Path, channels: Sequence[int]) -> str:
    """Return the number of bad sites and, if decided, how they are treated."""
    if found.findings.empty:
        return "no bad images"
    bad = rows[~found.sound(rows, channels)]
    kept = found.usable_rows(rows, channels)
    lost = rows["id_code"].nunique() - kept["id_code"].nunique()
    counts = f"{plural(len(found.findings), 'bad image')} in {plural(len(bad), 'site')}, see {out / FINDINGS}"
    if found.on_bad == "stop":
        return counts
    taken = int((kept[SUBSTITUTE_SITE] != ITS_OWN).sum()) if SUBSTITUTE_SITE in kept else 0
    replaced = f"{taken:,} get the images of another site of their well and " if taken else ""
    left_out = f"{len(rows) - len(kept):,} are left out ({lost:,} wells have none left)"
    return f"{counts}; with all channels {replaced}{left_out}"


def _make_folder(out: Path) -> None:
    """Create the folder before the work, which may take an hour. Raises UserError if that fails."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(out / REPORT, error) from error
