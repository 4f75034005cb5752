"""Check that a network can take images of the configured sizes, without reading an image.

A network halves an image several times, and some need a certain size. On torch's ``meta`` device a forward pass
computes only shapes, and fails where a real one would.
"""

import torch

from rcic.errors import UserError
from rcic.files.decoding import no_memory
from rcic.learn.config.settings import Config
from rcic.learn.models.backbone import shapes_only
from rcic.learn.models.stem import widen_stem
from rcic.pixels.batches.crop import crop_of

_SUGGESTED = (32, 48, 64, 96, 128, 192, 224, 256, 299, 384, 512)  # sides tried for the remedy in the message


def check_sizes(config: Config) -> None:
    """Raise UserError for a configured side that the network cannot take, naming key, side and network.

    A network that takes none of the suggested sides is not refused here, but by its real forward pass.
    """
    sides = sides_of(config)
    if not sides:
        return
    trunk = shapes_only(config.model.name).eval()
    widen_stem(trunk, config.in_channels, config.model.stem)
    for side, key in sides.items():
        if takes(trunk, config.in_channels, side):
            continue
        fitting = [suggested for suggested in _SUGGESTED if takes(trunk, config.in_channels, suggested)]
        if fitting:
            best = next((suggested for suggested in fitting if suggested > side), fitting[-1])
            raise UserError(
                f"{key} is {side}, but {config.model.name} cannot take images of {side} x {side} pixels; "
                f"use {best} x {best}"
            )


def sides_of(config: Config) -> dict[int, str]:
    """Return the image sides set by the config, each with its key."""
    augment, n_epochs = config.augment, config.n_epochs
    sides = {} if config.data.size is None else {config.data.size: "data.size"}  # validation sees the whole image
    crop = crop_of(augment.crop, augment.crop_start, n_epochs)
    if crop is not None:
        for epoch in range(1, n_epochs + 1):
            side = crop.side(epoch)
            sides.setdefault(side, "augment.crop" if side == augment.crop else "augment.crop_start")
    return sides


def takes(trunk: torch.nn.Module, channels: int, side: int) -> bool:
    """Return whether a network on the meta device computes a feature map of ``side`` x ``side`` pixels."""
    try:
        with torch.no_grad(), torch.device("meta"):
            features = trunk(torch.empty(1, channels, side, side))
    except NotImplementedError:  # the meta device lacks an operation, so the check is not possible
        return True
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        if lacking := no_memory(f"a network for images of {side} x {side} pixels", error):
            raise lacking from error
        return False
    return features.numel() > 0
