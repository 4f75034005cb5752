"""Checkpoints: written whole, read without running code, and laid over a network with a word on what did not fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rcic.errors import UserError
from rcic.files import whole

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """Weights and what they are weights of (model, channels, classes, size, stage, epoch, metrics, config)."""

    weights: dict[str, Tensor]
    meta: dict[str, Any]
    path: Path


def save_checkpoint(
    path: Path, model: nn.Module, meta: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> None:
    """Write ``model``'s weights with ``meta`` (plain values) and ``extra`` (optimiser state and the like)."""
    content = {"format": FORMAT, "meta": dict(meta), "model": model.state_dict(), **(extra or {})}
    with whole(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:
            if not _cut_short(error):
                raise
            raise OSError(str(error)) from error  # without an errno: `whole` says that the write was cut short


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Return a checkpoint's weights (on the CPU) and facts. Raises UserError if it is missing, broken or foreign."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint") from None
    except Exception as error:
        raise UserError(
            f"{path}: not a readable checkpoint ({type(error).__name__}); was the copy cut short?"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: not a checkpoint of this program (format {FORMAT})")
    return Checkpoint(content["model"], content["meta"], Path(path))


def lay_over(model: nn.Module, checkpoint: Checkpoint) -> list[str]:
    """Copy every tensor of equal name and shape into ``model``; return the names left as they were.

    Only the head may differ (a 31-class model starts a 1,108-class one). Raises UserError when the trunk differs:
    another architecture or another number of channels.
    """
    own = model.state_dict()
    fitting = {key: value for key, value in checkpoint.weights.items() if key in own and value.shape == own[key].shape}
    left = sorted(set(own) - set(fitting))
    if trunk := [key for key in left if not key.startswith("head.")]:
        raise UserError(
            f"{checkpoint.path}: does not fit: it is {checkpoint.meta['model']} on channels "
            f"{list(checkpoint.meta['channels'])}; {len(trunk)} tensors of the trunk differ, first {trunk[0]!r}"
        )
    model.load_state_dict(fitting, strict=False)
    return left


def check_classes(checkpoint: Checkpoint, classes: tuple[str | int, ...], where: str) -> None:
    """Raise UserError unless the checkpoint was trained on exactly these siRNAs, in this order."""
    trained = tuple(checkpoint.meta["classes"])
    if len(trained) != len(classes):
        raise UserError(f"{checkpoint.path}: trained for {len(trained)} classes, but {where} has {len(classes)}")
    if trained != classes:
        first = next(index for index, pair in enumerate(zip(trained, classes, strict=True)) if pair[0] != pair[1])
        raise UserError(
            f"{checkpoint.path}: trained on other siRNA names than {where} has: class {first} is {trained[first]!r} "
            f"there and {classes[first]!r} here"
        )


def _cut_short(error: RuntimeError) -> bool:
    """Tell whether torch's zip writer failed to write, as on a full disk; it does not pass on why."""
    return "unexpected pos" in str(error) or "PytorchStreamWriter failed" in str(error)
