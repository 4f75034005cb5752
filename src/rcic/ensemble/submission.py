"""The files of a decision: submission, confidence, plate groups, pseudo-labels, each result with its record."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from rcic.decide.pseudo_labels import Quota, seats, select
from rcic.ensemble.decision import Decision
from rcic.errors import UserError
from rcic.files.record import write_result
from rcic.screen.table import read_wells, wells_text


def write_submission(decision: Decision, out_dir: str | Path) -> Path:
    """Write submission.csv (id_code, sirna), confidence.csv and groups.csv, and their record submission.json.

    Of other screens than RxRx1 the label column is titled as in their tables. ``confidence.csv`` also says whether a
    well was predicted at all; plates go by number and by name. Returns the path of the submission. Raises UserError as
    `rcic.files.record.write_result` does.
    """
    screen, out = decision.screen, Path(out_dir)
    label = screen.spec.label_column
    table = decision.answers.assign(**{label: screen.decode(decision.answers["label"])})
    table, plates = (_with_barcodes(part, decision) for part in (table, decision.plates))
    tables = {
        "submission.csv": table[["id_code", label]],
        "confidence.csv": table[["id_code", label, "confidence", "margin", "predicted", "barcode"]],
        "groups.csv": plates,
    }
    _write(out / "submission.json", "submission", decision, {}, tables)
    return out / "submission.csv"


def write_pseudo(
    decision: Decision,
    out_dir: str | Path,
    folds_dir: str | Path,
    min_margin: float,
    share: float,
    quota: Quota = "plate",
) -> pd.DataFrame:
    """Write the answers with the widest margins as ``pseudo.csv`` and the audit as ``audit.csv``; return the audit.

    A well that no model predicted is never kept. The record is ``pseudo.json``. Raises UserError if nothing is kept, or
    a kept well is in a ``valid_{k}.csv`` of ``folds_dir`` (or there is none).
    """
    screen, out = decision.screen, Path(out_dir)
    if screen.select("test", "treatment").empty:
        raise UserError(f"{screen.root}: the screen has no test wells, so none can get a pseudo-label")
    held_out = sorted(Path(folds_dir).glob("valid_*.csv"))
    if not held_out:
        raise UserError(f"{folds_dir}: no valid_*.csv, which is needed to check that no validation well gets a label")
    validation = {code for path in held_out for code in read_wells(path, screen)["id_code"]}
    most = seats(decision.groups, len(decision.answers))
    audit = select(decision.answers, min_margin, share, validation, most, quota)
    kept = audit[audit["kept"]]
    if kept.empty:
        raise UserError(f"no answer is kept: none has a margin of {min_margin:g} nats; lower --min_margin")
    wells = screen.select("test", "treatment").drop(columns="label").merge(kept[["id_code", "label"]], on="id_code")
    tables = {
        "audit.csv": audit.drop(columns="label").assign(**{screen.spec.label_column: screen.decode(audit["label"])}),
        "pseudo.csv": wells_text(wells, screen),
    }
    made_with = {"min_margin": min_margin, "share": share, **({} if quota == "plate" else {"quota": quota})}
    _write(out / "pseudo.json", "pseudo-labels", decision, made_with, tables)
    return audit


def _write(
    path: Path, kind: str, decision: Decision, made_with: Mapping[str, Any], tables: Mapping[str, pd.DataFrame | str]
) -> None:
    """Write tables and their record."""
    writers = {name: partial(_write_table, content) for name, content in tables.items()}
    origin = decision.origin
    write_result(path, replace(origin, kind=kind, made_with={**origin.made_with, **made_with}), writers)


def _write_table(content: pd.DataFrame | str, path: Path) -> None:
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    else:
        content.to_csv(path, index=False, float_format="%.6g")


def _with_barcodes(table: pd.DataFrame, decision: Decision) -> pd.DataFrame:
    """Return a table with experiment and plate with a further column ``barcode``, the plate's name in the tables."""
    plates = zip(table["experiment"], table["plate"], strict=True)
    return table.assign(barcode=[decision.screen.barcode(*plate) for plate in plates])
