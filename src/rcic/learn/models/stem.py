"""The first convolution, widened from three RGB channels to any number of microscopy channels."""

import torch
from torch import nn

from rcic.errors import UserError


def widen_stem(trunk: nn.Module, in_channels: int) -> None:
    """Give the first convolution of ``trunk`` ``in_channels`` inputs: RGB filters in order, then copied again.

    The filters are scaled by 3 / in_channels, so that the response to channels that vary together keeps its size.
    Source of the copying: the 4th place of RCIC (first three channels from ImageNet, the rest copied); of the
    scaling: timm's ``adapt_input_conv``. Raises UserError for a trunk that does not begin with a convolution of three
    channels.
    """
    convolution = next((module for module in trunk.modules() if isinstance(module, nn.Conv2d)), None)
    if convolution is None or convolution.in_channels != 3 or convolution.groups != 1:
        raise UserError("this model does not begin with a convolution of three channels, so it cannot be widened")
    if in_channels == 3:
        return
    copies = torch.arange(in_channels) % 3
    weight = convolution.weight.detach()[:, copies] * (3 / in_channels)  # (O, C, kh, kw)
    convolution.weight = nn.Parameter(weight.contiguous())
    convolution.in_channels = in_channels
