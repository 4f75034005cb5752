"""The first convolution, widened from three RGB channels to any number of microscopy channels."""

import torch
from torch import Tensor, nn

from rcic.errors import UserError


def first_convolution(trunk: nn.Module) -> nn.Conv2d:
    """Return the first convolution of ``trunk``. Raises UserError if there is none."""
    convolution = next((module for module in trunk.modules() if isinstance(module, nn.Conv2d)), None)
    if convolution is None:
        raise UserError("this model does not begin with a convolution of three channels, so it cannot be widened")
    return convolution


def widen_stem(trunk: nn.Module, in_channels: int, mode: str = "copy", scale: str = "kept") -> None:
    """Widen the first convolution of ``trunk`` from 3 to ``in_channels`` = n inputs made of its RGB filters.

    ==========  =======================================================  =====================================
    ``mode``    filters of the inputs                                    source
    ==========  =======================================================  =====================================
    ``copy``    R G B R G B ..., each times 3 / n                        4th place of RCIC; the scale is timm's
    ``mean``    n times the mean of R, G and B, times 3 / n              64th place of RCIC
    ``repeat``  the block R G B, n / 3 times, weights unchanged          117th place of RCIC
    ``random``  new ones, in torch's initialisation of a convolution     1st place of RCIC
    ==========  =======================================================  =====================================

    ``scale`` none leaves out the factor 3 / n (4th, 41st, 64th and 88th place of RCIC).

    With ``copy`` (n divisible by 3) and ``mean`` the response to identical channels equals that to the same image in
    RGB; with ``repeat``, and without the factor, it is n / 3 times as large. Three channels are left unchanged, except
    by ``mean`` and ``random``. Raises UserError for ``repeat`` to a number not divisible by 3, for another ``mode``,
    and for a trunk that does not begin with a convolution of three channels.
    """
    convolution = first_convolution(trunk)
    if convolution.in_channels != 3 or convolution.groups != 1:
        raise UserError("this model does not begin with a convolution of three channels, so it cannot be widened")
    factor = 1.0 if scale == "none" else 3 / in_channels
    weight = _widened(convolution.weight.detach(), in_channels, mode, factor)
    if in_channels == 3 and mode not in ("mean", "random"):
        return
    convolution.weight = nn.Parameter(weight.contiguous())
    convolution.in_channels = in_channels
    if mode == "random":
        convolution.reset_parameters()


def _widened(rgb: Tensor, n: int, mode: str, factor: float) -> Tensor:
    """Return the filters (O, n, kh, kw) made of (O, 3, kh, kw)."""
    if mode in ("copy", "random"):
        return rgb[:, torch.arange(n) % 3] * factor
    if mode == "mean":
        return rgb.mean(dim=1, keepdim=True).expand(-1, n, -1, -1) * factor
    if mode == "repeat":
        if n % 3:
            raise UserError(f"model.stem repeat needs 3, 6, 9, ... channels, not {n}; use copy or mean")
        return rgb.repeat(1, n // 3, 1, 1)
    raise UserError(f"model.stem is {mode!r}, must be copy, mean, repeat or random")
