"""BatchNorm that looks at the plate before it: the statistics of a plate's own sites instead of running averages.

A plate (or an experiment) shifts and stretches every feature in a way of its own. In training, a batch that comes from
one plate takes that away, because BatchNorm subtracts the batch's mean. At evaluation the plate's own statistics are
computed in a first pass over all of its sites, control wells included, and then fixed: what a well is told depends
neither on the batch it came in nor on its place there.

Source: the 5th place of RCIC (batches by plate: 70+ % of validation wells where random batches gave 40+ %); that
control wells steady it is known from new batches of JUMP-CP (0.862 -> 0.935). Several portions' statistics become one
population's as in Wu and Johnson, "Rethinking Batch in BatchNorm", arXiv 2105.07576 (2021), "precise BatchNorm".
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
    """Return every BatchNorm layer (of images or vectors) that keeps statistics; GroupNorm is none."""
    return [layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]


def sites_at_once(height: int, width: int) -> int:
    """Return how many sites of one group go through the network together, by the size of their images (pixels).

    128 up to 128 x 128 pixels, then as many as have the same area, but 32 at least (from 256 x 256 on): the statistics
    of vectors, as the head has them, need some. No option decides it, so that none changes a prediction. The
    activations of densenet161 in float32 take about 0.08 GiB for each site of 512 x 512 pixels (measured on a CPU):
    2.5 GiB for 32 of them, 10 GiB for 128, without the library's workspace.
    """
    return min(max(MOST * 128**2 // (height * width), FEWEST), MOST)


def portions(n_sites: int, at_once: int = MOST) -> list[np.ndarray]:
    """Return the site numbers 0..n-1 in the fewest equal portions of at most ``at_once``, each a mix of the plate.

    The mix is the same each time: rows of wells would differ by plate position.
    """
    order = np.random.default_rng(0).permutation(n_sites)
    return [np.sort(part) for part in np.array_split(order, max(1, -(-n_sites // at_once)))]


@contextmanager
def own_statistics(
    network: nn.Module, n_sites: int, forward: Callable[[np.ndarray], object], at_once: int = MOST
) -> Iterator[None]:
    """Within the block BatchNorm uses the statistics of ``n_sites`` sites of one group, fixed.

    ``forward(numbers)`` runs the network on the sites of these numbers (0..n-1). It is called once for every portion of
    at most ``at_once``, in training mode of BatchNorm alone; the portions' means and variances are then pooled, which
    is exact for the first BatchNorm and, if there is but one portion, for all. A single site has no variance: it is
    judged by the running statistics. Afterwards the network is as it was, in evaluation mode.
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
        for layer, momentum, own in zip(layers, momenta, buffers, strict=True):
            layer.momentum = momentum
            for buffer, value in zip(layer.buffers(), own, strict=True):
                buffer.copy_(value)


@dataclass
class _Population:
    """Mean and variance pooled over portions, in float64 (Chan, Golub and LeVeque, 1979)."""

    n: int = 0
    mean: Tensor = field(default_factory=lambda: torch.zeros(()))
    square: Tensor = field(default_factory=lambda: torch.zeros(()))  # sum of squared deviations

    def add(self, n: int, mean: Tensor, variance: Tensor) -> None:
        """Add ``n`` values of this mean and (biased) variance."""
        total, gap = self.n + n, mean - self.mean
        self.square = self.square + variance * n + gap * gap * (self.n * n / total)
        self.mean = self.mean + gap * (n / total)
        self.n = total


def _measure(
    layers: Sequence[_BatchNorm], parts: Sequence[np.ndarray], forward: Callable[[np.ndarray], object]
) -> None:
    """Put the pooled statistics of all parts into the layers' running ones."""
    populations = [_Population() for _ in layers]
    hooks = [_listen(layer, population) for layer, population in zip(layers, populations, strict=True)]
    try:
        for layer in layers:
            layer.train()
            layer.momentum = 1.0  # the running statistics become the portion's own
        for numbers in parts:
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
    """After each forward pass of ``layer`` add what it measured to ``population``."""

    def add(_layer: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        n = inputs[0].numel() // inputs[0].shape[1]
        mean, unbiased = layer.running_mean.double(), layer.running_var.double()  # type: ignore[union-attr]
        population.add(n, mean, unbiased * ((n - 1) / n))

    return layer.register_forward_hook(add)
