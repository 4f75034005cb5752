"""Findings of the image audit."""

from pathlib import Path
from typing import Any

import pandas as pd

from rcic.errors import UserError, program
from rcic.pixels.audit.findings import FINDINGS, REPORT, audit_record

_SHOWN = ("mode", "when", "sites", "images", "on_bad", "by_kind", "by_plate")


def read_facts(folder: Path) -> dict[str, Any]:
    """Return the facts of audit.json; UserError if it is missing or damaged. Its date is not checked."""
    path, again = folder / REPORT, f"run {program('data')} audit again"
    record = audit_record(path, again)
    if record is None:
        raise UserError(f"{path}: no such file, so the images have not been audited")
    facts = {**record.facts, **record.made_with}
    if lacking := [key for key in _SHOWN if key not in facts]:
        raise UserError(f"{path}: lacks {lacking[0]!r}, so it is damaged or of another version; {again}")
    return {key: facts[key] for key in _SHOWN}


def found_table(facts: dict[str, Any]) -> pd.DataFrame:
    """Return the bad images by plate and kind: plate, kind, images."""
    rows = [(plate, kind, count) for plate, kinds in facts["by_plate"].items() for kind, count in kinds.items()]
    return pd.DataFrame(rows, columns=["plate", "kind", "images"])


def verdict(facts: dict[str, Any]) -> str:
    """Return the audited images and the result, in a sentence."""
    checked = (
        f"{facts['images']:,} images of {facts['sites']:,} sites were checked ({facts['mode']}, {facts['when'][:10]})"
    )
    n_bad = sum(facts["by_kind"].values())
    if not n_bad:
        return f"{checked}: no bad images."
    return f"{checked}: {n_bad:,} are bad. Action on their sites: {facts['on_bad']}. {FINDINGS} lists them."
