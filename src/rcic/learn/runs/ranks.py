"""Which of ``torchrun``'s processes this one is; known before torch is imported."""

import logging
import os

_log = logging.getLogger(__name__)


def rank_and_world() -> tuple[int, int]:
    """Return this process' rank and the number of processes, as ``torchrun`` tells; (0, 1) without it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def is_main() -> bool:
    """Return whether this process is the one that writes and speaks."""
    return rank_and_world()[0] == 0


def log_main(message: str) -> None:
    """Print on the main process only."""
    if is_main():
        _log.info(message)
