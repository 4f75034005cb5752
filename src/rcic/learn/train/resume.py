"""Resumption of an interrupted training after its last whole epoch, with the same result as without interruption.

All randomness (order, augmentation, mixing, dropout) is seeded at the start of each epoch from the seed, the epoch and
the rank, so no generator's state needs to be saved: see docs/decisions/0008-going-on.md.
"""

from pathlib import Path

from torch import nn

from rcic.errors import CannotRead, Exhausted, UserError
from rcic.files.names import BEST, LAST, PREVIOUS
from rcic.files.regular import is_there
from rcic.learn.config.settings import Train
from rcic.learn.runs.checkpoint import Checkpoint, read_checkpoint
from rcic.learn.runs.ranks import log_main

_NEEDED = {"optimizer", "average", "scaler", "step", "history", "best"}
_MOMENTS = 2  # tensors that Adam and its relatives keep for each weight


def disk_bytes(network: nn.Module, train: Train) -> dict[str, int]:
    """Return the bytes of a training's checkpoints: ``at_the_end`` (best and last epoch) and ``at_most``.

    During the training there are also the epoch before the last and a temporary file.
    """
    weights = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    averaged = int(train.ema > 0 or train.swa_epochs > 0)
    epoch = weights * (1 + _MOMENTS + averaged)
    return {"at_the_end": weights + epoch, "at_most": weights + 3 * epoch}


def last_whole_epoch(folder: Path) -> Checkpoint | None:
    """Return the readable checkpoint of the last whole epoch of a run folder, None if there is none.

    A damaged checkpoint is logged, and the one before it returned. Without the checkpoint of the best epoch the result
    is None, since a later epoch may not be as good. Raises CannotRead or Exhausted if one could not be read: nothing is
    trained again for that.
    """
    for name in (LAST, PREVIOUS):
        if (checkpoint := _readable(folder / name)) is None:
            continue
        if not checkpoint.extra.keys() >= _NEEDED:
            log_main(
                f"{checkpoint.path}: written by an earlier version, which saved less; the training starts from scratch"
            )
            return None
        if checkpoint.extra["best"]["epoch"] and _readable(folder / BEST) is None:
            log_main(f"{folder}: {BEST} is missing or damaged; the training starts from scratch")
            return None
        return checkpoint
    return None


def _readable(path: Path) -> Checkpoint | None:
    """Return a checkpoint, None if it is missing or damaged. Raises CannotRead or Exhausted if it could not be read."""
    if not is_there(path):
        return None
    try:
        return read_checkpoint(path)
    except (CannotRead, Exhausted):
        raise
    except UserError as error:
        log_main(f"{error}; falling back to the checkpoint before it")
        return None
