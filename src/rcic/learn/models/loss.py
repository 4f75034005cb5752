"""What a training minimises: cross entropy, a margin loss, or both; the labels may be mixed (CutMix, mixup)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rcic.errors import UserError
from rcic.learn.config.settings import Loss

PerSample = Callable[[Tensor], Tensor]  # labels (B,) -> the loss of each sample (B,)


@dataclass(frozen=True)
class Targets:
    """The labels (B,) int64 of a batch; where images were mixed the other image's, too.

    ``share``, a number or (B,), is the part of ``labels`` in 0..1; ``other`` has the rest. None: nothing is mixed.
    """

    labels: Tensor
    other: Tensor | None = None
    share: Tensor | float = 1.0


def check_loss(loss: Loss) -> None:
    """Raise UserError for a loss with neither cross entropy nor a margin."""
    if loss.ce < 0 or (loss.ce == 0 and loss.margin == "none"):
        raise UserError(f"loss.ce is {loss.ce:g} with loss.margin {loss.margin}: nothing to learn from; set loss.ce 1")


def cross_entropy(logits: Tensor, targets: Targets, smoothing: float = 0.0) -> Tensor:
    """Return the batch's mean cross entropy of logits (B, K), computed in float32 at least.

    Mixed labels count by their shares, which is the cross entropy against the mixed one-hot target (Zhang et al.,
    "mixup", 2018; Yun et al., "CutMix", 2019).
    """
    logits = at_least_float32(logits)
    if targets.other is None:
        return F.cross_entropy(logits, targets.labels, label_smoothing=smoothing)

    def of_each(labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")

    return _by_share(of_each, targets).mean()


def margin_loss(of_each: PerSample, targets: Targets, loss: Loss) -> Tensor:
    """Return the batch's mean of a margin loss; ``loss.mixed`` says how it takes mixed labels.

    Raises UserError for mixed labels where they are refused.
    """
    if targets.other is None:
        return of_each(targets.labels).mean()
    if loss.mixed == "weighted":
        return _by_share(of_each, targets).mean()
    if loss.mixed == "larger":
        return of_each(larger(targets)).mean()
    raise UserError(
        f"loss.margin {loss.margin} is not made for mixed labels (augment.cutmix, augment.mixup): set loss.mixed to "
        "larger or weighted, or switch the mixing off"
    )


def larger(targets: Targets) -> Tensor:
    """Return the labels (B,) of the larger share; halves keep their own."""
    if targets.other is None:
        return targets.labels
    if isinstance(targets.share, Tensor):
        return torch.where(targets.share.to(targets.labels.device) >= 0.5, targets.labels, targets.other)
    return targets.labels if targets.share >= 0.5 else targets.other


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return half-precision numbers as float32, others as they are."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _by_share(of_each: PerSample, targets: Targets) -> Tensor:
    assert targets.other is not None  # nosec B101 # for mypy: the caller has looked
    return targets.share * of_each(targets.labels) + (1 - targets.share) * of_each(targets.other)
