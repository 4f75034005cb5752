"""BatchNorm with fixed statistics as part of the convolution before it: a layer less to compute at prediction.

A BatchNorm in evaluation mode is a scale and a shift of each channel, so convolution and BatchNorm are one convolution
with other weights (Jacob et al., "Quantization and training of neural networks", CVPR 2018, section 3.2). Which
BatchNorm follows which convolution is seen in a pass over the network, by what each layer gets, so no architecture
needs to be known; and the folded network must answer as before.
"""

from collections import Counter
from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn

from rcic.learn.models.trunk_facts import FAILURES

_SIDE, _TOLERANCE = 64, 1e-4  # pixels of the images on which both must agree, and the largest difference of the largest


def folded(trunk: nn.Module, channels: int) -> nn.Module:
    """Return a copy of a trunk for images of ``channels`` with BatchNorms folded into the convolutions before them.

    It is for evaluation only. Returns the trunk itself where none can be folded, or where the copy answers otherwise.
    The order of the images in memory stays as it was (channels_last or not).
    """
    copy = deepcopy(trunk).eval()
    images = torch.rand(2, channels, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    try:
        with torch.no_grad():
            before, pairs = _pairs(copy, images)
            for convolution, name in pairs:
                _fold(convolution, copy, name)
            is_same = bool((copy(images) - before).abs().max() <= _TOLERANCE * before.abs().max())
    except FAILURES:
        return trunk
    return copy if pairs and is_same else trunk


def _pairs(trunk: nn.Module, images: Tensor) -> tuple[Tensor, list[tuple[nn.Conv2d, str]]]:
    """Return the output, and the convolutions whose output goes into a BatchNorm, both used once, with its name."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # by the output, which is kept so that no other gets its id
    used, pairs = Counter[nn.Module](), list[tuple[nn.Conv2d, str]]()
    names = {layer: name for name, layer in trunk.named_modules()}

    def note(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        used[layer] += 1
        if isinstance(layer, nn.Conv2d):
            made[id(output)] = layer, output
        elif (type(layer) is nn.BatchNorm2d or _has_activation(layer)) and id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][0], names[layer]))

    hooks = [layer.register_forward_hook(note) for layer in names]
    try:
        output = trunk(images)
    finally:
        for hook in hooks:
            hook.remove()
    return output, [(conv, name) for conv, name in pairs if used[conv] == used[trunk.get_submodule(name)] == 1]


def _fold(convolution: nn.Conv2d, trunk: nn.Module, name: str) -> None:
    """Give a convolution the scale and shift of the BatchNorm ``name`` of ``trunk``, which goes."""
    norm = cast(nn.BatchNorm2d, trunk.get_submodule(name))
    mean, variance = cast(Tensor, norm.running_mean).double(), cast(Tensor, norm.running_var).double()
    scale = (variance + norm.eps).rsqrt() * (1 if norm.weight is None else norm.weight.double())
    bias = -mean if convolution.bias is None else convolution.bias.double() - mean
    shift = bias * scale + (0 if norm.bias is None else norm.bias.double())
    weight = convolution.weight.double() * scale[:, None, None, None]
    convolution.weight = nn.Parameter(weight.to(convolution.weight), requires_grad=False)
    convolution.bias = nn.Parameter(shift.to(convolution.weight), requires_grad=False)
    rest = nn.Sequential(*norm.children()) if _has_activation(norm) else nn.Identity()  # dropout and activation
    parent, _, last = name.rpartition(".")
    setattr(trunk.get_submodule(parent), last, rest)


def _has_activation(layer: nn.Module) -> bool:
    """Whether a layer is timm's BatchNorm with an activation; by its name, since timm takes a second to import."""
    return (type(layer).__module__, type(layer).__name__) == ("timm.layers.norm_act", "BatchNormAct2d")
