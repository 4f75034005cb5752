"""BatchNorm by plate: the statistics of a plate's sites instead of running averages.

Each plate (or experiment) shifts and scales every feature differently. In training, a batch from a single plate removes
this effect, because BatchNorm subtracts the batch's mean. At evaluation the plate's statistics are those of all of its
sites, control wells included: the output for a well depends neither on its batch nor on its position in the batch. A
plate that fits into memory goes through the network as one batch, whose outputs are the answer; else the statistics are
computed in a first pass and then fixed.

Source: the 5th place of RCIC (batches by plate: 70+ % of validation wells where random batches gave 40+ %). Control
wells stabilise the statistics: new batches of JUMP-CP (0.862 -> 0.935). The statistics of several portions are pooled
as in Wu and Johnson, "Rethinking Batch in BatchNorm", arXiv 2105.07576 (2021), "precise BatchNorm".
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

_Result = TypeVar("_Result")
FEWEST = 32  # sites in a portion: the head's BatchNorm of vectors needs enough samples
MEMORY = 4 * 2**30  # bytes of a portion's activations


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Return every BatchNorm layer (1d or 2d) that tracks running statistics."""
    return [layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]


def sites_at_once(site_bytes: int) -> int:
    """Return the number of sites of one group in a forward pass, by the bytes of a site's activations.

    As many as fit into :data:`MEMORY`, but at least :data:`FEWEST`. Neither an option nor the machine's memory has a
    part in this number, so none can change a prediction.
    """
    return max(MEMORY // max(site_bytes, 1), FEWEST)


def portions(n_sites: int, at_once: int) -> list[np.ndarray]:
    """Return the site numbers 0..n-1 in the fewest equal portions of at most ``at_once``, each a random sample.

    The permutation has a fixed seed. Consecutive sites would make portions that differ by plate position.
    """
    order = np.random.default_rng(0).permutation(n_sites)
    return [np.sort(portion) for portion in np.array_split(order, max(1, -(-n_sites // at_once)))]


@contextmanager
def own_statistics(
    network: nn.Module, n_sites: int, forward: Callable[[np.ndarray], _Result], at_once: int
) -> Iterator[_Result | None]:
    """Fix BatchNorm's statistics within the block to those of ``n_sites`` sites of one group.

    ``forward(numbers)`` runs the network on the sites of these numbers (0..n-1). It is called once for every portion of
    at most ``at_once``, with only BatchNorm in training mode; the portions' means and variances are then pooled, which
    is exact for the first BatchNorm and, with a single portion, for all. The outputs of a single portion are therefore
    those with the group's statistics, and the block gets them; with more it gets None. A single site has no variance:
    the running statistics are used. Afterwards the network has its former statistics and is in evaluation mode.
    """
    layers = batch_norms(network)
    momenta = [layer.momentum for layer in layers]
    buffers = [[buffer.clone() for buffer in layer.buffers()] for layer in layers]
    network.eval()
    try:
        measured = _measure(layers, portions(n_sites, at_once), forward) if layers and n_sites > 1 else []
        yield measured[0] if len(measured) == 1 else None
    finally:
        for layer, momentum, saved in zip(layers, momenta, buffers, strict=True):
            layer.momentum = momentum
            for buffer, value in zip(layer.buffers(), saved, strict=True):
                buffer.copy_(value)


@dataclass
class _Population:
    """Mean and variance pooled over portions, in float64 (Chan, Golub and LeVeque, 1979)."""

    n: int = 0
    mean: Tensor = field(default_factory=lambda: torch.zeros(()))
    square: Tensor = field(default_factory=lambda: torch.zeros(()))  # sum of squared deviations

    def add(self, n: int, mean: Tensor, variance: Tensor) -> None:
        """Add ``n`` values with this mean and (biased) variance."""
        total, gap = self.n + n, mean - self.mean
        self.square = self.square + variance * n + gap * gap * (self.n * n / total)
        self.mean = self.mean + gap * (n / total)
        self.n = total


def _measure(
    layers: Sequence[_BatchNorm], site_numbers: Sequence[np.ndarray], forward: Callable[[np.ndarray], _Result]
) -> list[_Result]:
    """Set the layers' running statistics to the pooled statistics of all portions; return the portions' outputs."""
    populations = [_Population() for _ in layers]
    hooks = [_listen(layer, population) for layer, population in zip(layers, populations, strict=True)]
    try:
        for layer in layers:
            layer.train()
            layer.momentum = 1.0  # the running statistics become those of the portion
        outputs = [forward(numbers) for numbers in site_numbers]
    finally:
        for hook in hooks:
            hook.remove()
        for layer in layers:
            layer.eval()
    for layer, population in zip(layers, populations, strict=True):
        layer.running_mean.copy_(population.mean)  # type: ignore[union-attr]
        layer.running_var.copy_(population.square / population.n)  # type: ignore[union-attr]
    return outputs


def _listen(layer: _BatchNorm, population: _Population) -> torch.utils.hooks.RemovableHandle:
    """Add the batch statistics of ``layer`` to ``population`` after each forward pass."""

    def add(_layer: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        n = inputs[0].numel() // inputs[0].shape[1]
        mean, unbiased = layer.running_mean.double(), layer.running_var.double()  # type: ignore[union-attr]
        population.add(n, mean, unbiased * ((n - 1) / n))

    return layer.register_forward_hook(add)
