"""The first convolution, widened from three RGB channels to any number of microscopy channels."""

import torch
from torch import Tensor, nn

from rcic.errors import UserError


def first_convolution(trunk: nn.Module) -> nn.Conv2d:
    """Return the convolution that ``trunk`` begins with. Raises UserError if there is none."""
    found = next((module for module in trunk.modules() if isinstance(module, nn.Conv2d)), None)
    if found is None:
        raise UserError("this model does not begin with a convolution of three channels, so it cannot be widened")
    return found


def widen_stem(trunk: nn.Module, in_channels: int, how: str = "copy") -> None:
    """Give the first convolution of ``trunk`` (3 inputs) ``in_channels`` = n inputs made of its RGB filters.

    ==========  =======================================================  =====================================
    ``how``     filters of the inputs                                    source
    ==========  =======================================================  =====================================
    ``copy``    R G B R G B ..., each times 3 / n                        4th place of RCIC; the scale is timm's
    ``mean``    n times the mean of R, G and B, times 3 / n              64th place of RCIC
    ``repeat``  the block R G B whole, n / 3 times, weights unchanged    117th place of RCIC
    ==========  =======================================================  =====================================

    With ``copy`` (n divisible by 3) and ``mean`` the response to channels that vary together is that to the same
    picture in RGB; with ``repeat`` it is n / 3 times as large. Three channels are left alone, except by ``mean``.
    Raises UserError for ``repeat`` to a number not divisible by 3, for another ``how``, and for a trunk that does not
    begin with a convolution of three channels.
    """
    convolution = first_convolution(trunk)
    if convolution.in_channels != 3 or convolution.groups != 1:
        raise UserError("this model does not begin with a convolution of three channels, so it cannot be widened")
    weight = _wide(convolution.weight.detach(), in_channels, how)
    if in_channels == 3 and how != "mean":
        return
    convolution.weight = nn.Parameter(weight.contiguous())
    convolution.in_channels = in_channels


def _wide(rgb: Tensor, n: int, how: str) -> Tensor:
    """Return the filters (O, n, kh, kw) made of (O, 3, kh, kw)."""
    if how == "copy":
        return rgb[:, torch.arange(n) % 3] * (3 / n)
    if how == "mean":
        return rgb.mean(dim=1, keepdim=True).expand(-1, n, -1, -1) * (3 / n)
    if how == "repeat":
        if n % 3:
            raise UserError(f"model.stem repeat needs 3, 6, 9, ... channels, not {n}; use copy or mean")
        return rgb.repeat(1, n // 3, 1, 1)
    raise UserError(f"model.stem is {how!r}, must be copy, mean or repeat")
