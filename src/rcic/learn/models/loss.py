"""Losses: cross entropy, a margin loss, or both; the labels may be mixed (CutMix, mixup)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from rcic.errors import UserError
from rcic.learn.config.settings import Loss

PerSample = Callable[[Tensor], Tensor]  # labels (B,) -> losses of the samples (B,)


@dataclass(frozen=True)
class Targets:
    """The labels (B,) int64 of a batch and, for mixed images, those of the other image.

    ``share``, a number or (B,), is the weight of ``labels`` in 0..1; ``other`` has the rest. None: nothing is mixed.
    """

    labels: Tensor
    other: Tensor | None = None
    share: Tensor | float = 1.0


def check_loss(loss: Loss) -> None:
    """Raise UserError for a loss with neither cross entropy nor a margin."""
    if loss.ce < 0 or (loss.ce == 0 and loss.margin == "none"):
        raise UserError(f"loss.ce is {loss.ce:g} with loss.margin {loss.margin}: there is no loss; set loss.ce to 1")


def cross_entropy(logits: Tensor, targets: Targets, smoothing: float = 0.0) -> Tensor:
    """Return the batch's mean cross entropy of logits (B, K), computed in float32 at least.

    Mixed labels count by their shares, which is the cross entropy against the mixed one-hot target (Zhang et al.,
    "mixup", 2018; Yun et al., "CutMix", 2019).
    """
    logits = at_least_float32(logits)
    if targets.other is None:
        return F.cross_entropy(logits, targets.labels, label_smoothing=smoothing)

    def loss_of(labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")

    return _by_share(loss_of, targets).mean()


def class_loss(logits: Tensor, targets: Targets, loss: Loss) -> Tensor:
    """Return the loss of the linear classifier's logits (B, K) in the form ``loss.form``, a mean over the batch."""
    if loss.form == "binary":
        return binary_cross_entropy(logits, targets)
    return cross_entropy(logits, targets, loss.label_smoothing)


def binary_cross_entropy(logits: Tensor, targets: Targets) -> Tensor:
    """Return the mean over batch and classes of each class's binary cross entropy, of logits (B, K).

    The target is one-hot, or the mixed one (41st place of RCIC). Computed in float32 at least.
    """
    logits = at_least_float32(logits)
    return F.binary_cross_entropy_with_logits(logits, soft_labels(targets, logits.shape[1]).to(logits.dtype))


def soft_labels(targets: Targets, n_classes: int) -> Tensor:
    """Return the share of each class in each sample, (B, K) float32."""
    own = F.one_hot(targets.labels, n_classes).float()
    if targets.other is None:
        return own
    share = targets.share
    share = share.to(own.device)[:, None] if isinstance(share, Tensor) else share
    return share * own + (1 - share) * F.one_hot(targets.other, n_classes)


def margin_loss(loss_of: PerSample, targets: Targets, loss: Loss) -> Tensor:
    """Return the batch's mean margin loss; ``loss.mixed`` sets the treatment of mixed labels.

    Raises UserError for mixed labels if ``loss.mixed`` is refuse.
    """
    if targets.other is None:
        return loss_of(targets.labels).mean()
    if loss.mixed in ("weighted", "soft"):
        return _by_share(loss_of, targets).mean()
    if loss.mixed == "larger":
        return loss_of(larger(targets)).mean()
    raise UserError(
        f"loss.margin {loss.margin} does not support mixed labels (augment.cutmix, augment.mixup): set loss.mixed to "
        "larger, weighted or soft, or switch mixing off"
    )


def larger(targets: Targets) -> Tensor:
    """Return the labels (B,) of the larger share; at equal shares, ``targets.labels``."""
    if targets.other is None:
        return targets.labels
    if isinstance(targets.share, Tensor):
        return torch.where(targets.share.to(targets.labels.device) >= 0.5, targets.labels, targets.other)
    return targets.labels if targets.share >= 0.5 else targets.other


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return half-precision numbers as float32, others as they are."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _by_share(loss_of: PerSample, targets: Targets) -> Tensor:
    assert targets.other is not None  # nosec B101 # for mypy: the caller made sure
    return targets.share * loss_of(targets.labels) + (1 - targets.share) * loss_of(targets.other)
