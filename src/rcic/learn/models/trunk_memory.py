"""How much memory a trunk's activations take, measured by one pass without numbers on torch's ``meta`` device."""

import weakref
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rcic.learn.models.trunk_facts import FAILURES

Shape = tuple[int, int, int]
_KNOWN: WeakKeyDictionary[nn.Module, dict[Shape, int]] = WeakKeyDictionary()


def activation_bytes(trunk: nn.Module, shape: Shape) -> int:
    """Return the most bytes that an image (C, H, W) and its activations take at one time, in float32.

    They depend on the architecture alone, so whatever is decided by them is the same on every machine. What a kernel
    needs for itself does not count. The trunk is left as it is; it is measured once for each shape. Where the meta
    device lacks an operation, the pass is on the trunk's own.
    """
    known = _KNOWN.setdefault(trunk, {})
    if shape not in known:
        known[shape] = _measured_bytes(trunk, shape)
    return known[shape]


def _measured_bytes(trunk: nn.Module, shape: Shape) -> int:
    own = dict((*trunk.named_parameters(), *trunk.named_buffers()))
    try:
        return _peak(trunk, {name: _floats(tensor, torch.device("meta")) for name, tensor in own.items()}, shape)
    except FAILURES:
        return _peak(trunk, {name: _floats(tensor, tensor.device) for name, tensor in own.items()}, shape)


def _floats(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor as on ``device``, in float32 if it holds floats; numbers matter only on a real device."""
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return torch.zeros_like(tensor, dtype=dtype, device=device)


def _peak(trunk: nn.Module, state: Mapping[str, Tensor], shape: Shape) -> int:
    device = next(iter(state.values()), torch.empty(0, device="meta")).device
    with torch.no_grad(), _LiveBytes() as live:
        functional_call(trunk, dict(state), (torch.zeros(1, *shape, device=device),))
    return live.most


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of the tensors that operations within the block made and that are still in use."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.storages: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self.storages:
            return
        self.storages.add(key)
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._remove, key, storage.nbytes())

    def _remove(self, key: int, n_bytes: int) -> None:
        self.storages.discard(key)
        self.now -= n_bytes
