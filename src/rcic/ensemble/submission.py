"""The files of a decision: submission, confidence, plate groups, pseudo-labels."""

from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from rcic.decide.pseudo_labels import seats, select
from rcic.ensemble.decision import Decision
from rcic.errors import UserError
from rcic.files.atomic import whole
from rcic.screen.table import read_wells, write_wells


def write_submission(decision: Decision, out_dir: str | Path) -> Path:
    """Write submission.csv (id_code, sirna), confidence.csv and groups.csv, all or none; return the first's path."""
    table = decision.answers.assign(sirna=decision.screen.decode(decision.answers["label"]))
    tables = {
        "submission.csv": table[["id_code", "sirna"]],
        "confidence.csv": table[["id_code", "sirna", "confidence", "margin"]],
        "groups.csv": decision.plates,
    }
    with ExitStack() as files:
        for name, content in tables.items():
            temporary = files.enter_context(whole(Path(out_dir) / name))
            content.to_csv(temporary, index=False, float_format="%.6g")
    return Path(out_dir) / "submission.csv"


def write_pseudo(
    decision: Decision, out_dir: str | Path, folds_dir: str | Path, min_margin: float, share: float
) -> pd.DataFrame:
    """Write the answers with the widest margins as ``pseudo.csv`` and the audit as ``audit.csv``; return the audit.

    Raises UserError if nothing is kept, or a kept well is in a ``valid_{k}.csv`` of ``folds_dir`` (or there is none).
    """
    screen, out = decision.screen, Path(out_dir)
    held_out = sorted(Path(folds_dir).glob("valid_*.csv"))
    if not held_out:
        raise UserError(f"{folds_dir}: no valid_*.csv, which is needed to check that no validation well gets a label")
    validation = {code for path in held_out for code in read_wells(path, screen)["id_code"]}
    audit = select(decision.answers, min_margin, share, validation, seats(decision.groups, len(decision.answers)))
    kept = audit[audit["kept"]]
    if kept.empty:
        raise UserError(f"no answer is kept: none has a margin of {min_margin:g} nats; lower --min_margin")
    wells = screen.select("test", "treatment").drop(columns="label").merge(kept[["id_code", "label"]], on="id_code")
    with whole(out / "audit.csv") as temporary:
        table = audit.assign(sirna=screen.decode(audit["label"])).drop(columns="label")
        table.to_csv(temporary, index=False, float_format="%.6g")
        write_wells(out / "pseudo.csv", wells, screen)
    return audit
