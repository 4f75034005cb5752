"""The end of a DenseNet's trunk, cut as in public solutions that pool what its last layers would change."""

from torch import nn

from rcic.errors import UserError

_LAST_BN = "norm5"  # of torchvision's, timm's and pretrainedmodels' DenseNets


def cut_end(trunk: nn.Module, end: str) -> None:
    """Remove the last ReLU of a DenseNet (``no_relu``, 1st place of RCIC), or last BN and ReLU (``no_bn``, 64th place).

    ``whole`` changes nothing. No other tensor changes its name. Raises UserError for a trunk without these layers.
    """
    if end == "whole":
        return
    place = next((name for name, _ in trunk.named_modules() if name.rpartition(".")[2] == _LAST_BN), None)
    if place is None or not _without_relu(trunk, trunk.get_submodule(place)):
        raise UserError(f"model.trunk_end is {end!r}, but this network does not end with a BatchNorm and a ReLU")
    if end == "no_bn":
        trunk.set_submodule(place, nn.Identity())


def _without_relu(trunk: nn.Module, last_bn: nn.Module) -> bool:
    """Remove the last ReLU; return whether there was one: in timm's BN, or a layer behind it."""
    if isinstance(getattr(last_bn, "act", None), nn.ReLU):
        last_bn.act = nn.Identity()
        return True
    if isinstance(trunk, nn.Sequential) and isinstance(trunk[-1], nn.ReLU):
        trunk[-1] = nn.Identity()
        return True
    return False
