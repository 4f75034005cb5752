"""The audit of a data root for a training or a prediction. Does not import torch."""

from pathlib import Path

from rcic.errors import UserError
from rcic.learn.config.settings import Config
from rcic.learn.runs.ranks import log_main
from rcic.pixels.audit.findings import Audit, Unaudited, read_audit
from rcic.screen.table import Screen
from rcic.screen.work_dir import AUDIT_DIR, place_in


def audit_of_training(config: Config, screen: Screen) -> Audit | None:
    """Return the audit required by a training, None with ``data.audit`` off.

    Raises UserError, naming the command to run, if this data root was not audited or the audit decided to stop; and for
    plates of different sizes without ``data.size``, since the network is to work on all of them.
    """
    if config.data.audit == "off":
        return None
    try:
        audit = read_audit(place_in(screen, config.data.audit_dir, AUDIT_DIR), screen)
    except Unaudited as error:
        raise UserError(f"{error} (or skip the check with --set data.audit=off)") from None
    if config.data.size is None and (different := audit.other_size(screen.wells)):
        raise UserError(f"{screen.root}: {different}; set data.size, to which all are resized")
    return audit


def audit_of_prediction(audit_dir: str | Path | None, screen: Screen) -> Audit | None:
    """Return the audit of the data root to predict; None, with a warning, if there is none.

    Raises UserError if the audit decided to stop. Without an ``audit_dir`` there is no warning.
    """
    if audit_dir is None:
        return None
    try:
        return read_audit(place_in(screen, audit_dir, AUDIT_DIR), screen)
    except Unaudited as error:
        log_main(f"warning: {error} (continuing without an audit)")
        return None
