"""A training that was broken off goes on after its last whole epoch and ends as if it had never been interrupted.

What chance decides (order, augmentation, mixing, dropout) derives from the seed, the epoch and the rank, anew at the
start of each epoch, so no generator's state needs to be kept: see docs/decisions/0008-going-on.md.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rcic.errors import UserError
from rcic.files import BEST, LAST, PREVIOUS
from rcic.learn.checkpoint import Checkpoint, lay_over, read_checkpoint
from rcic.learn.ranks import say
from rcic.learn.settings import Train

if TYPE_CHECKING:
    from rcic.learn.runner import WellRunner


_NEEDED = {"optimizer", "average", "scaler", "step", "history", "best"}
_MOMENTS = 2  # tensors that Adam and its relatives keep for each weight


def state_of(runner: "WellRunner") -> dict[str, Any]:
    """Return what a training needs to go on, besides its weights and what follows from its config."""
    scaler = runner.engine.scaler
    return {
        "optimizer": runner.optimizer.state_dict(),
        "average": runner.average.state_dict(),
        "scaler": None if scaler is None else scaler.state_dict(),
        "step": runner.step,
        "history": runner.history,
    }


def restore(runner: "WellRunner", checkpoint: Checkpoint) -> None:
    """Put a runner, whose parts are set up, where :func:`state_of` found the other one. Raises UserError if none fits.

    The next epoch is the one after the checkpoint's.
    """
    extra = checkpoint.extra
    if left := lay_over(runner.network, checkpoint):
        raise UserError(f"{checkpoint.path}: lacks {left[0]}, or has it in another shape")
    runner.optimizer.load_state_dict(_copied(extra["optimizer"]))
    _keep_on_cpu(runner.optimizer)
    runner.average.load_state_dict(extra["average"])
    if runner.engine.scaler is not None and extra["scaler"]:
        runner.engine.scaler.load_state_dict(extra["scaler"])
    runner.step, runner.history = extra["step"], list(extra["history"])
    runner.epoch_step = checkpoint.meta["epoch"]


def _keep_on_cpu(optimizer: torch.optim.Optimizer) -> None:
    """Put back on the CPU what torch keeps there: NAdam's products of momenta, which it reads as numbers in each step.

    ``load_state_dict`` takes them to the parameters' GPU, and every parameter would make every step wait for it.
    """
    for state in optimizer.state.values():
        if "mu_product" in state:
            state["mu_product"] = state["mu_product"].cpu()


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
            say(f"{checkpoint.path}: of an earlier version of this program, which kept less; the training begins anew")
            return None
        if checkpoint.extra["best"]["epoch"] and _readable(folder / BEST) is None:
            say(f"{folder}: without {BEST} the training begins anew")
            return None
        return checkpoint
    return None


def _readable(path: Path) -> Checkpoint | None:
    if not path.exists():
        return None
    try:
        return read_checkpoint(path)
    except UserError as error:
        say(f"{error}; going back to what was written before it")
        return None


def _copied(state: Any) -> Any:
    """Return nested plain values with copies of their tensors: those of a checkpoint lie in a file mapped to memory."""
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_copied(value) for value in state]
    return state.clone(memory_format=torch.preserve_format) if isinstance(state, Tensor) else state
