"""The convolutions that read the image, widened from three RGB channels to any number of microscopy channels."""

import torch
from torch import Tensor, nn

from rcic.errors import UserError
from rcic.learn.models.trunk_facts import FAILURES, measure_trunk

_OTHER = "this model does not begin with a convolution of three channels, so it cannot be widened"


def first_convolution(trunk: nn.Module) -> nn.Conv2d:
    """Return the first convolution of ``trunk``. Raises UserError if there is none."""
    convolution = next((module for module in trunk.modules() if isinstance(module, nn.Conv2d)), None)
    if convolution is None:
        raise UserError(_OTHER)
    return convolution


def stem_convolutions(trunk: nn.Module) -> tuple[nn.Conv2d, ...]:
    """Return the convolutions that read the image: one, or the parallel branches of a reparametrisable stem.

    Raises UserError if the first convolution of ``trunk`` is not one of them.
    """
    first = first_convolution(trunk)
    try:
        stem = measure_trunk(trunk, first.in_channels).stem
    except FAILURES as error:
        raise UserError(_OTHER) from error
    if first not in stem:
        raise UserError(_OTHER)
    return stem


def widen_stem(trunk: nn.Module, in_channels: int, mode: str = "copy", scale: str = "kept") -> None:
    """Widen the convolutions of ``trunk`` that read the image from 3 to ``in_channels`` = n inputs made of RGB filters.

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
    RGB; with ``repeat``, and without the factor, it is n / 3 times as large. (timm's ``StdConv2d``, in networks
    ``*_bit``, sets the scale of its filters itself: there it is always n / 3.) Three channels are left unchanged,
    except by ``mean`` and ``random``. Raises UserError for ``repeat`` to a number not divisible by 3, for another
    ``mode``, and for a trunk that does not begin with a convolution of three channels.
    """
    if first_convolution(trunk).in_channels != 3:
        raise UserError(_OTHER)
    factor = 1.0 if scale == "none" else 3 / in_channels
    for convolution in stem_convolutions(trunk):
        if convolution.groups != 1:
            raise UserError(_OTHER)
        weight = _widened(convolution.weight.detach(), in_channels, mode, factor)
        if in_channels == 3 and mode not in ("mean", "random"):
            continue
        convolution.weight = nn.Parameter(weight.contiguous())
        convolution.in_channels = in_channels
        gain = getattr(convolution, "gain", None)
        if mode == "random":
            convolution.reset_parameters()
        elif isinstance(gain, nn.Parameter) and mode != "repeat":  # timm's ScaledStdConv2d ignores the filters' scale
            gain.data *= factor


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
