"""What a trunk does, measured by one pass without numbers: which layers read the image, which parameters learn.

The pass is on torch's ``meta`` device, where a network of any size costs a fraction of a second, draws no random number
and changes nothing. No list of names can go stale: a network that a library adds or changes is measured like any other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rcic.files.decoding import no_memory

# what networks of other people raise
FAILURES = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError)
_SIDE = 224  # pixels, for networks that do not say which side they were made for


@dataclass(frozen=True)
class TrunkFacts:
    """Facts of a trunk for images of n channels.

    ``shape``: of the output, (1, D, h, w) for a feature map. ``stem``: the convolutions of n channels whose input is
    the image, with no parameter before it. ``idle``: the names of the parameters that the output does not depend on.
    ``last``: the layer whose output is the trunk's, None if something was computed after it.
    """

    shape: tuple[int, ...]
    stem: tuple[nn.Conv2d, ...]
    idle: tuple[str, ...]
    last: nn.Module | None


def measure_trunk(trunk: nn.Module, channels: int) -> TrunkFacts:
    """Return the facts of ``trunk``, which is left as it is. Raises one of ``FAILURES`` if the pass fails.

    If it fails on the meta device, which lacks some operations, it is repeated on the trunk's own.
    """
    try:
        state = {name: _empty(tensor) for name, tensor in (*trunk.named_parameters(), *trunk.named_buffers())}
        return _measured(trunk, state, channels, torch.device("meta"))
    except FAILURES as error:
        if lacking := no_memory("a network", error):
            raise lacking from error
    state = dict(trunk.named_parameters())
    return _measured(trunk, state, channels, next(iter(state.values()), torch.empty(0)).device)


def _empty(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, device="meta").requires_grad_(isinstance(tensor, nn.Parameter))


def _measured(trunk: nn.Module, state: dict[str, Tensor], channels: int, device: torch.device) -> TrunkFacts:
    side = _side(trunk)
    image = torch.zeros(1, channels, side, side, device=device)
    with torch.enable_grad(), _listening(trunk, channels) as (stem, leaves):
        features = functional_call(trunk, state, (image,))
    reached = _leaves_of(features)
    idle = tuple(name for name, tensor in state.items() if tensor.requires_grad and id(tensor) not in reached)
    last = next((layer for layer, output in leaves[-1:] if output is features), None)
    return TrunkFacts(tuple(features.shape), tuple(dict.fromkeys(stem)), idle, last)


def _leaves_of(output: Tensor) -> set[int]:
    """Return the ids of the tensors that a gradient of ``output`` would reach, as DDP finds them: by its graph."""
    nodes, seen, leaves = [output.grad_fn], set(), set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaves.add(id(getattr(node, "variable", None)))
        nodes += [parent for parent, _ in node.next_functions]
    return leaves


def _side(trunk: nn.Module) -> int:
    """Return the side in pixels that timm's networks note; some take no other."""
    notes = (getattr(module, "pretrained_cfg", None) for module in trunk.modules())
    return next((note["input_size"][-1] for note in notes if note and note.get("input_size")), _SIDE)


@contextmanager
def _listening(trunk: nn.Module, channels: int) -> Iterator[tuple[list[nn.Conv2d], list[tuple[nn.Module, object]]]]:
    """Put the trunk into evaluation mode within the block; yield lists of what then reads the image and what runs."""
    stem: list[nn.Conv2d] = []
    leaves: list[tuple[nn.Module, object]] = []

    def read(layer: nn.Conv2d, inputs: tuple[Tensor, ...]) -> None:
        if layer.in_channels == channels and not inputs[0].requires_grad:
            stem.append(layer)

    def ran(layer: nn.Module, _inputs: object, output: object) -> None:
        leaves.append((layer, output))

    modes = [(module, module.training) for module in trunk.modules()]
    hooks = [module.register_forward_pre_hook(read) for module, _ in modes if isinstance(module, nn.Conv2d)]
    hooks += [module.register_forward_hook(ran) for module, _ in modes if not any(True for _ in module.children())]
    try:
        trunk.eval()
        yield stem, leaves
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
