"""Averages of a network's weights beside the training, which never reads them: validated and kept in their place."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from rcic.errors import UserError
from rcic.learn.config.settings import Train


class Average:
    """Running average of every optimiser step (EMA), or the mean of the last epochs (SWA), or nothing.

    EMA: Polyak averaging with decay d; early steps use min(d, (1 + n) / (10 + n)) after n of them, as TensorFlow's
    ``ExponentialMovingAverage`` does, so that random weights are soon forgotten. SWA: Izmailov et al., "Averaging
    weights leads to wider optima", 2018, one snapshot an epoch. BatchNorm's running statistics are averaged like
    weights, counters are copied. The arithmetic is ``torch.optim.swa_utils``'; its ``AveragedModel`` is not used: it
    would average counters, too, and be a second network where only tensors are wanted.

    Raises UserError if both are asked for, or a decay outside [0, 1).
    """

    def __init__(self, ema: float = 0.0, swa_epochs: int = 0):
        if ema and swa_epochs:
            raise UserError(f"train.ema is {ema} and train.swa_epochs {swa_epochs}: choose one, set the other 0")
        if not 0 <= ema < 1 or swa_epochs < 0:
            raise UserError(f"train.ema is {ema}, must lie in [0, 1); train.swa_epochs is {swa_epochs}, at least 0")
        self.ema, self.swa_epochs = ema, swa_epochs
        self.n = 0  # snapshots averaged so far
        self.weights: dict[str, Tensor] = {}

    def update_step(self, network: nn.Module) -> None:
        """Take the weights after an optimiser step into the EMA."""
        if self.ema:
            self._add(network, get_ema_multi_avg_fn(min(self.ema, (1 + self.n) / (10 + self.n))))

    def update_epoch(self, network: nn.Module, epoch: int, n_epochs: int) -> None:
        """Take the weights after ``epoch`` (counted from 1) into the SWA if it is one of the last."""
        if epoch > n_epochs - self.swa_epochs:
            self._add(network, get_swa_multi_avg_fn())

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """Within the block ``network`` has the averaged weights, in place; before the first average, its own.

        Its own come back afterwards to the last bit. Not to be nested, nor to be trained in.
        """
        if not self.n:
            yield
            return
        own = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        _copy(self.weights, network)
        try:
            yield
        finally:
            _copy(own, network)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values, for a checkpoint."""
        return {"n": self.n, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned."""
        self.n = state["n"]
        self.weights = {key: tensor.clone() for key, tensor in state["weights"].items()}

    @torch.no_grad()
    def _add(self, network: nn.Module, average: Any) -> None:
        """Average the network's weights into the own, which begin as a copy; ``average`` is one of swa_utils'."""
        current = network.state_dict()
        if self.n:
            keys = [key for key, tensor in current.items() if tensor.is_floating_point()]
            for dtype in {current[key].dtype for key in keys}:
                some = [key for key in keys if current[key].dtype == dtype]
                mine = [self.weights[key].to(current[key].device) for key in some]  # a resumed state is on the CPU
                average(mine, [current[key] for key in some], self.n)
                self.weights.update(zip(some, mine, strict=True))
        self.weights |= {key: t.clone() for key, t in current.items() if not self.n or not t.is_floating_point()}
        self.n += 1


def build_average(train: Train) -> Average:
    """Return the average that the config asks for, perhaps of nothing. Raises UserError as :class:`Average` does."""
    return Average(train.ema, train.swa_epochs)


@torch.no_grad()
def _copy(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    for key, tensor in network.state_dict().items():
        tensor.copy_(weights[key])
