"""BatchNorm by plate: the statistics of a plate's sites instead of running averages.

Each plate (or experiment) shifts and scales every feature differently. In training, a batch from a single plate removes
this effect, because BatchNorm subtracts the batch's mean. At evaluation the plate's statistics are computed in a first
pass over all of its sites, control wells included, and then fixed: the output for a well depends neither on its batch
nor on its position in the batch.

Source: the 5th place of RCIC (batches by plate: 70+ % of validation wells where random batches gave 40+ %). Control
wells stabilise the statistics: new batches of JUMP-CP (0.862 -> 0.935). The statistics of several portions are pooled
as in Wu and Johnson, "Rethinking Batch in BatchNorm", arXiv 2105.07576 (2021), "precise BatchNorm".
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

FEWEST, MOST = 32, 128  # sites of one group in a forward pass


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Return every BatchNorm layer (1d or 2d) that tracks running statistics."""
    return [layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]


def sites_at_once(height: int, width: int) -> int:
    """Return the number of sites of one group in a forward pass, by the size of their images (pixels).

    128 up to 128 x 128 pixels, then as many as have the same area, but at least 32 (from 256 x 256 on): the head's
    BatchNorm of vectors needs enough samples. No option sets this number, so none can change a prediction. The
    activations of densenet161 in float32 take about 0.08 GiB for each site of 512 x 512 pixels (measured on a CPU):
    2.5 GiB for 32 of them, 10 GiB for 128, without the library's workspace.
    """
    return min(max(MOST * 128**2 // (height * width), FEWEST), MOST)


def portions(n_sites: int, at_once: int = MOST) -> list[np.ndarray]:
    """Return the site numbers 0..n-1 in the fewest equal portions of at most ``at_once``, each a random sample.

    The permutation has a fixed seed. Consecutive sites would make portions that differ by plate position.
    """
    order = np.random.default_rng(0).permutation(n_sites)
    return [np.sort(portion) for portion in np.array_split(order, max(1, -(-n_sites // at_once)))]


@contextmanager
def own_statistics(
    network: nn.Module, n_sites: int, forward: Callable[[np.ndarray], object], at_once: int = MOST
) -> Iterator[None]:
    """Fix BatchNorm's statistics within the block to those of ``n_sites`` sites of one group.

    ``forward(numbers)`` runs the network on the sites of these numbers (0..n-1). It is called once for every portion of
    at most ``at_once``, with only BatchNorm in training mode; the portions' means and variances are then pooled, which
    is exact for the first BatchNorm and, with a single portion, for all. A single site has no variance: the running
    statistics are used. Afterwards the network has its former statistics and is in evaluation mode.
    """
    layers = batch_norms(network)
    momenta = [layer.momentum for layer in layers]
    buffers = [[buffer.clone() for buffer in layer.buffers()] for layer in layers]
    network.eval()
    try:
        if layers and n_sites > 1:
            _measure(layers, portions(n_sites, at_once), forward)
        yield
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
    layers: Sequence[_BatchNorm], site_numbers: Sequence[np.ndarray], forward: Callable[[np.ndarray], object]
) -> None:
    """Set the layers' running statistics to the pooled statistics of all portions."""
    populations = [_Population() for _ in layers]
    hooks = [_listen(layer, population) for layer, population in zip(layers, populations, strict=True)]
    try:
        for layer in layers:
            layer.train()
            layer.momentum = 1.0  # the running statistics become those of the portion
        for numbers in site_numbers:
            forward(numbers)
    finally:
        for hook in hooks:
            hook.remove()
        for layer in layers:
            layer.eval()
    for layer, population in zip(layers, populations, strict=True):
        layer.running_mean.copy_(population.mean)  # type: ignore[union-attr]
        layer.running_var.copy_(population.square / population.n)  # type: ignore[union-attr]


def _listen(layer: _BatchNorm, population: _Population) -> torch.utils.hooks.RemovableHandle:
    """Add the batch statistics of ``layer`` to ``population`` after each forward pass."""

    def add(_layer: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        n = inputs[0].numel() // inputs[0].shape[1]
        mean, unbiased = layer.running_mean.double(), layer.running_var.double()  # type: ignore[union-attr]
        population.add(n, mean, unbiased * ((n - 1) / n))

    return layer.register_forward_hook(add)
