"""What the audit of the images found."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from rcic.errors import UserError
from rcic.pixels.audit.findings import FINDINGS, REPORT


def read_facts(folder: Path) -> dict[str, Any]:
    """Return audit.json; UserError if there is none or it is not whole. Whether it is of today is not asked."""
    path = folder / REPORT
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return {key: facts[key] for key in ("mode", "when", "sites", "images", "on_bad", "by_kind", "by_plate")}
    except OSError:
        raise UserError(f"{path}: not there, so nobody has looked at the images") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: damaged, or of an earlier version") from None


def found_table(facts: dict[str, Any]) -> pd.DataFrame:
    """Return the bad images by plate and kind: plate, kind, images."""
    rows = [(plate, kind, count) for plate, kinds in facts["by_plate"].items() for kind, count in kinds.items()]
    return pd.DataFrame(rows, columns=["plate", "kind", "images"])


def verdict(facts: dict[str, Any]) -> str:
    """Return what was looked at and what came of it, in a sentence."""
    looked = (
        f"{facts['images']:,} images of {facts['sites']:,} sites were looked at ({facts['mode']}, {facts['when'][:10]})"
    )
    n_bad = sum(facts["by_kind"].values())
    if not n_bad:
        return f"{looked}: nothing is bad."
    return f"{looked}: {n_bad:,} are bad. What is done about their sites: {facts['on_bad']}. {FINDINGS} lists them."
