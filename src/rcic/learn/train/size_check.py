"""Whether a network can take the images that a config gives it, asked of its shapes alone: no image is read.

A network halves an image so many times, and some want a size of their own. On torch's ``meta`` device a forward pass
computes no numbers, only shapes, and fails where the real one would.
"""

import torch

from rcic.errors import UserError
from rcic.learn.config.settings import Config
from rcic.learn.models.backbone import build_backbone
from rcic.learn.models.stem import widen_stem
from rcic.pixels.batches.crop import crop_of

_OTHERS = (32, 48, 64, 96, 128, 192, 224, 256, 299, 384, 512)  # sides that a refusal tries in its place


def check_sizes(config: Config) -> None:
    """Raise UserError for a side that the config sets and its network cannot take, naming key, side and network.

    Nothing is said of a network that no side is known to suit: its real forward pass will tell.
    """
    sides = sides_of(config)
    if not sides:
        return
    with torch.device("meta"):
        trunk = build_backbone(config.model.name).trunk.eval()
        widen_stem(trunk, config.in_channels, config.model.stem)
    for side, key in sides.items():
        if takes(trunk, config.in_channels, side):
            continue
        fitting = [other for other in _OTHERS if takes(trunk, config.in_channels, other)]
        if fitting:
            best = next((other for other in fitting if other > side), fitting[-1])
            raise UserError(
                f"{key} is {side}, but {config.model.name} cannot take images of {side} x {side} pixels; "
                f"{best} x {best} it can"
            )


def sides_of(config: Config) -> dict[int, str]:
    """Return the sides that the network will see as far as the config sets them, each with its key."""
    augment, n_epochs = config.augment, config.n_epochs
    sides = {} if config.data.size is None else {config.data.size: "data.size"}  # validation sees the whole image
    crop = crop_of(augment.crop, augment.crop_start, n_epochs)
    if crop is not None:
        for epoch in range(1, n_epochs + 1):
            side = crop.side(epoch)
            sides.setdefault(side, "augment.crop" if side == augment.crop else "augment.crop_start")
    return sides


def takes(trunk: torch.nn.Module, channels: int, side: int) -> bool:
    """Return whether a network on the meta device makes a feature map of ``side`` x ``side`` pixels."""
    try:
        with torch.no_grad(), torch.device("meta"):
            features = trunk(torch.empty(1, channels, side, side))
    except NotImplementedError:  # of an operation that the meta device lacks: it cannot tell
        return True
    except (RuntimeError, ValueError, AssertionError, IndexError):
        return False
    return features.numel() > 0
