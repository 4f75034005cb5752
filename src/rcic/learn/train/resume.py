"""A training that was broken off goes on after its last whole epoch and ends as if it had never been interrupted.

What chance decides (order, augmentation, mixing, dropout) derives from the seed, the epoch and the rank, anew at the
start of each epoch, so no generator's state needs to be kept: see docs/decisions/0008-going-on.md.
"""

from pathlib import Path

from torch import nn

from rcic.errors import UserError
from rcic.files.names import BEST, LAST, PREVIOUS
from rcic.learn.config.settings import Train
from rcic.learn.runs.checkpoint import Checkpoint, read_checkpoint
from rcic.learn.runs.ranks import log_main

_NEEDED = {"optimizer", "average", "scaler", "step", "history", "best"}
_MOMENTS = 2  # tensors that Adam and its relatives keep for each weight


def disk_bytes(network: nn.Module, train: Train) -> dict[str, int]:
    """Return what a training's checkpoints take: ``at_the_end`` the best and the last epoch's, and ``at_most``.

    While it runs, the epoch before the last is there, too, and one is being written.
    """
    weights = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    averaged = int(train.ema > 0 or train.swa_epochs > 0)
    epoch = weights * (1 + _MOMENTS + averaged)
    return {"at_the_end": weights + epoch, "at_most": weights + 3 * epoch}


def last_whole_epoch(folder: Path) -> Checkpoint | None:
    """Return the checkpoint of the last whole epoch of a run folder that can be read, None if there is none.

    A damaged one is named, and the one before it returned. Without the best epoch's there is nothing to go on from,
    since a later epoch may not be as good.
    """
    for name in (LAST, PREVIOUS):
        if (checkpoint := _readable(folder / name)) is None:
            continue
        if not checkpoint.extra.keys() >= _NEEDED:
            log_main(
                f"{checkpoint.path}: of an earlier version of this program, which kept less; the training begins anew"
            )
            return None
        if checkpoint.extra["best"]["epoch"] and _readable(folder / BEST) is None:
            log_main(f"{folder}: without {BEST} the training begins anew")
            return None
        return checkpoint
    return None


def _readable(path: Path) -> Checkpoint | None:
    if not path.exists():
        return None
    try:
        return read_checkpoint(path)
    except UserError as error:
        log_main(f"{error}; going back to what was written before it")
        return None
