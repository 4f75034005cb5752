"""The rank of this process under ``torchrun``. Does not import torch."""

import logging
import os

_log = logging.getLogger(__name__)


def rank_and_world() -> tuple[int, int]:
    """Return the rank of this process and the number of processes set by ``torchrun``; (0, 1) without it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def is_main() -> bool:
    """Return whether this process is the main one, which writes files and logs."""
    return rank_and_world()[0] == 0


def log_main(message: str) -> None:
    """Log a message on the main process only."""
    if is_main():
        _log.info(message)
