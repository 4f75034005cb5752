"""Averages of a network's weights, which are validated and saved in place of the trained weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from rcic.errors import UserError
from rcic.learn.config.settings import Train


class Average:
    """Running average of every optimiser step (EMA), or the mean of the last epochs (SWA), or nothing.

    EMA: Polyak averaging with decay d; early steps use min(d, (1 + n) / (10 + n)) after n of them, as TensorFlow's
    ``ExponentialMovingAverage`` does, so that initial weights are soon forgotten. SWA: Izmailov et al., "Averaging
    weights leads to wider optima", 2018, one snapshot an epoch. BatchNorm's running statistics are averaged like
    weights, counters are copied. The arithmetic is that of ``torch.optim.swa_utils``; its ``AveragedModel`` would
    average counters, too, and hold a second network where only tensors are needed.

    Raises UserError if both are set, or for a decay outside [0, 1).
    """

    def __init__(self, ema: float = 0.0, swa_epochs: int = 0):
        if ema and swa_epochs:
            raise UserError(f"train.ema is {ema} and train.swa_epochs {swa_epochs}: choose one, set the other to 0")
        if not 0 <= ema < 1 or swa_epochs < 0:
            raise UserError(f"train.ema is {ema}, must lie in [0, 1); train.swa_epochs is {swa_epochs}, at least 0")
        self.ema, self.swa_epochs = ema, swa_epochs
        self.n = 0  # snapshots averaged so far
        self.weights: dict[str, Tensor] = {}
        self._tensors: _Tensors | None = None

    def update_step(self, network: nn.Module) -> None:
        """Add the weights after an optimiser step to the EMA."""
        if self.ema:
            self._add(network, get_ema_multi_avg_fn(min(self.ema, (1 + self.n) / (10 + self.n))))

    def update_epoch(self, network: nn.Module, epoch: int, n_epochs: int) -> None:
        """Add the weights after ``epoch`` (counted from 1) to the SWA if it is one of the last."""
        if epoch > n_epochs - self.swa_epochs:
            self._add(network, get_swa_multi_avg_fn())

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """Put the averaged weights into ``network`` within the block; before the first average, do nothing.

        Afterwards the trained weights are restored bit for bit. The block must not be nested or train the network.
        """
        if not self.n:
            yield
            return
        trained = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        _copy(self.weights, network)
        try:
            yield
        finally:
            _copy(trained, network)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values, for a checkpoint."""
        return {"n": self.n, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state returned by :meth:`state_dict`."""
        self.n = state["n"]
        self.weights = {key: tensor.clone() for key, tensor in state["weights"].items()}

    @torch.no_grad()
    def _add(self, network: nn.Module, average: Any) -> None:
        """Update the average with the network's weights; ``average`` is a function of ``swa_utils``."""
        if self._tensors is None or self._tensors.network is not network:
            self._tensors = _Tensors(network)
        current = self._tensors.now()
        if self.n:
            for keys in self._tensors.floats:
                average([self._weight(key, current) for key in keys], [current[key] for key in keys], self.n)
            self.weights |= {key: current[key].clone() for key in self._tensors.counters}
        else:
            self.weights = {key: tensor.clone() for key, tensor in current.items()}
        self.n += 1

    def _weight(self, key: str, current: Mapping[str, Tensor]) -> Tensor:
        """Return a tensor of the average on the network's device; after a resume it is on the CPU."""
        if self.weights[key].device != current[key].device:
            self.weights[key] = self.weights[key].to(current[key].device)
        return self.weights[key]


class _Tensors:
    """The tensors of a network's state by name, as ``state_dict`` returns them, found once.

    It keeps where they are, not the tensors, which ``network.to`` and the like replace; it must have the same modules
    and types as at the beginning. ``floats`` are the names of floating-point tensors, a list for each type.
    """

    def __init__(self, network: nn.Module):
        self.network = network
        modules = dict(network.named_modules(remove_duplicate=False))
        self.places: dict[str, tuple[Mapping[str, Tensor | None], str]] = {}
        for key in network.state_dict():
            prefix, _, name = key.rpartition(".")
            module = modules[prefix]
            self.places[key] = (module._parameters if name in module._parameters else module._buffers, name)
        dtypes = {key: tensor.dtype for key, tensor in self.now().items()}
        self.floats = [
            [key for key, own in dtypes.items() if own == dtype]
            for dtype in {*dtypes.values()}
            if dtype.is_floating_point
        ]
        self.counters = [key for key, dtype in dtypes.items() if not dtype.is_floating_point]

    def now(self) -> dict[str, Tensor]:
        """Return the tensors, which change with the network."""
        return {key: cast(Tensor, tensors[name]) for key, (tensors, name) in self.places.items()}


def build_average(train: Train) -> Average:
    """Return the average of the config, possibly an inactive one. Raises UserError like :class:`Average`."""
    return Average(train.ema, train.swa_epochs)


@torch.no_grad()
def _copy(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    for key, tensor in network.state_dict().items():
        tensor.copy_(weights[key])
