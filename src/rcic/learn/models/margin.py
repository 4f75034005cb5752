"""Classifiers by the angle between an embedding and a direction per class: ArcFace, CosFace, AdaCos.

Each maps embeddings (B, D) to ``logits`` (B, K), scale times cosine, and to ``losses`` (B,) against labels (B,).
Cosines are computed in float32 at least, whatever the precision around them: ``acos`` is steep near 1.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rcic.learn.config.settings import Loss
from rcic.learn.models.loss import at_least_float32


class FixedMargin(nn.Module):
    """ArcFace (Deng et al., CVPR 2019: angle + m) or CosFace (Wang et al., CVPR 2018: cosine - m), scale s.

    Implemented by pytorch-metric-learning, whose import takes a second. ``loss.angle`` is m, in radians or cosine.
    Beyond the angle pi - m ArcFace takes cos - m sin(m), as the 1st place of RCIC does, who writes m sin(pi - m).
    """

    def __init__(self, width: int, n_classes: int, loss: Loss):
        super().__init__()
        from pytorch_metric_learning.losses import ArcFaceLoss, CosFaceLoss
        from pytorch_metric_learning.reducers import DoNothingReducer

        options = {"scale": loss.scale, "reducer": DoNothingReducer()}
        if loss.margin == "arcface":  # the library takes degrees
            self.classes = ArcFaceLoss(n_classes, width, margin=math.degrees(loss.angle), **options)
        else:
            self.classes = CosFaceLoss(n_classes, width, margin=loss.angle, **options)

    @property
    def weight(self) -> Tensor:
        """The directions of the classes (D, K), not normalised."""
        return self.classes.W

    def logits(self, embedding: Tensor) -> Tensor:
        """Return s times cosine, (B, K), without the margin."""
        with torch.autocast(embedding.device.type, enabled=False):
            return self.classes.get_logits(at_least_float32(embedding))

    def cosines(self, embedding: Tensor) -> Tensor:
        """Return the cosines (B, K)."""
        with torch.autocast(embedding.device.type, enabled=False):
            return self.classes.get_cosine(at_least_float32(embedding))

    def soft_losses(self, embedding: Tensor, shares: Tensor) -> Tensor:
        """Return the cross entropy (B,) against soft labels ``shares`` (B, K), each class with its share of the margin.

        A class with share y has the logit s (y margin(cos) + (1 - y) cos): the 1st place of RCIC.
        """
        with torch.autocast(embedding.device.type, enabled=False):
            cosines = self.cosines(embedding)
            shares = shares.to(cosines.dtype)
            own = torch.where(shares > 0, cosines, 0)  # elsewhere acos, steep near 1, would give 0 x inf in backward
            harder = self.classes.modify_cosine_of_target_classes(own)
            logits = self.classes.scale * (cosines + shares * (harder - cosines))
            return F.cross_entropy(logits, shares, reduction="none")

    def losses(self, embedding: Tensor, labels: Tensor) -> Tensor:
        """Return the cross entropy (B,) of each sample, with the margin applied to its class."""
        with torch.autocast(embedding.device.type, enabled=False):
            return self.classes(at_least_float32(embedding), labels)["loss"]["losses"]


class AdaCos(nn.Module):
    """Softmax of cosines whose scale follows the training (Zhang et al., CVPR 2019, dynamic version); no margin.

    ``scale`` (a buffer, so that a checkpoint has it) begins at sqrt(2) ln(K - 1). It changes in training mode only.
    Under DDP each process uses the scale of its batch for a step and starts the next step from that of rank 0: DDP
    broadcasts the buffers of rank 0 before each forward pass.
    """

    scale: Tensor

    def __init__(self, width: int, n_classes: int):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_classes, width)))  # (K, D)
        start = math.sqrt(2) * math.log(max(n_classes - 1, 2))
        self.register_buffer("scale", torch.tensor(start))

    def cosines(self, embedding: Tensor) -> Tensor:
        """Return the cosines (B, K)."""
        with torch.autocast(embedding.device.type, enabled=False):
            return F.linear(F.normalize(at_least_float32(embedding)), F.normalize(at_least_float32(self.weight)))

    def logits(self, embedding: Tensor) -> Tensor:
        """Return scale times cosine, (B, K)."""
        return self.scale.clone() * self.cosines(embedding)  # a copy: backward must not see an update

    def losses(self, embedding: Tensor, labels: Tensor) -> Tensor:
        """Return each sample's cross entropy (B,)."""
        return F.cross_entropy(self.logits(embedding), labels, reduction="none")

    @torch.no_grad()
    def adapt(self, embedding: Tensor, labels: Tensor) -> None:
        """Set the scale s for this batch of N samples: s <- ln(B) / cos(min(pi / 4, M)).

        B = 1/N sum_i sum_{k != y_i} exp(s cos_ik), M the median angle between samples and their own classes.
        """
        cosines = self.cosines(embedding)
        is_label = F.one_hot(labels, cosines.shape[1]).bool()
        negatives = (self.scale * cosines).masked_fill(is_label, -math.inf)
        log_b = negatives.flatten().logsumexp(0) - math.log(len(labels))
        angle = cosines.gather(1, labels[:, None]).clamp(-1, 1).acos().median()
        self.scale.copy_(log_b / angle.clamp(max=math.pi / 4).cos())


def build_margin(width: int, n_classes: int, loss: Loss) -> FixedMargin | AdaCos:
    """Return the margin classifier of ``loss.margin``, which must not be none."""
    return AdaCos(width, n_classes) if loss.margin == "adacos" else FixedMargin(width, n_classes, loss)
