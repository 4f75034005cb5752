"""The audit of a data root, as a training and a prediction ask for it. Known before torch is imported."""

from pathlib import Path

from rcic.errors import UserError
from rcic.learn.config.settings import Config
from rcic.learn.runs.ranks import log_main
from rcic.pixels.audit.findings import Audit, Unaudited, read_audit
from rcic.screen.table import Screen


def audit_of_training(config: Config, screen: Screen) -> Audit | None:
    """Return the audit that a training needs, None with ``data.audit`` off.

    Raises UserError, naming the command to run, if this very data root was not audited or the audit says stop.
    """
    if config.data.audit == "off":
        return None
    try:
        return read_audit(config.data.audit_dir, screen)
    except Unaudited as error:
        raise UserError(f"{error} (or train without: data.audit off)") from None


def audit_of_prediction(audit_dir: str | Path | None, screen: Screen) -> Audit | None:
    """Return the audit of the data root that is predicted; None, and a warning, if there is none.

    Raises UserError if the audit says stop. Without an ``audit_dir`` nobody asks.
    """
    if audit_dir is None:
        return None
    try:
        return read_audit(audit_dir, screen)
    except Unaudited as error:
        log_main(f"warning: {error} (going on without an audit)")
        return None
