"""The classifier of a site: trunk, pooling, head and loss."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rcic.errors import UserError
from rcic.learn.config.settings import Loss, Model
from rcic.learn.models.backbone import build_backbone
from rcic.learn.models.heads import Head, pool
from rcic.learn.models.loss import Targets, class_loss, larger, margin_loss, soft_labels
from rcic.learn.models.margin import AdaCos, FixedMargin
from rcic.learn.models.site_outputs import SiteOutputs
from rcic.learn.models.stem import widen_stem
from rcic.learn.models.trunk_end import cut_end
from rcic.learn.models.trunk_facts import FAILURES, measure_trunk


class WellClassifier(nn.Module):
    """(B, C, H, W) normalised float images -> :class:`SiteOutputs`. Any H and W that the trunk can halve.

    ``width``: the trunk's output channels D. ``n_values``: the number of known values of each of ``model.metadata``.
    While ``trunk_frozen`` is set, only the head learns; within :func:`bf16_trunk` only the head computes in float32.
    Raises UserError for a loss with neither cross entropy nor a margin.
    """

    def __init__(
        self,
        trunk: nn.Module,
        width: int,
        n_classes: int,
        model: Model = Model(),  # noqa: B008 (frozen)
        loss: Loss = Loss(),  # noqa: B008 (frozen)
        n_values: Sequence[int] = (),
    ):
        super().__init__()
        self.trunk = trunk
        self.pooling, self.loss_settings = model.pool, loss
        self.head = Head(2 * width if model.pool == "concat" else width, n_classes, model, loss, n_values)
        self.trunk_frozen = False
        self.trunk_bf16 = False

    def forward_features(
        self, image: Tensor, metadata: Tensor | None = None, order: Tensor | None = None, share: float = 1.0
    ) -> Tensor:
        """Return the embedding (B, E) of images and their metadata (B, M) int64; None: all unknown.

        ``order`` (B,) and ``share`` describe the mixing of the images: metadata is mixed in the same ratio.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.trunk_frozen):
            features = pool(self._maps(image), self.pooling)
        return self.head.embedding(features, metadata, order, share)

    def _maps(self, image: Tensor) -> Tensor:
        """Return the trunk's feature maps (B, D, h, w), of ``image``'s type."""
        if not self.trunk_bf16:
            return self.trunk(image)
        with torch.autocast(image.device.type, torch.bfloat16):
            return self.trunk(image).to(image.dtype)

    def forward_head(self, embedding: Tensor) -> Tensor:
        """Return the logits (B, K) of an embedding (B, E)."""
        return self.head(self.head.after(embedding))

    def forward(
        self, image: Tensor, metadata: Tensor | None = None, order: Tensor | None = None, share: float = 1.0
    ) -> SiteOutputs[Tensor]:
        """Return logits and embedding from one pass; the arguments are those of :meth:`forward_features`.

        In training mode ``embedding`` is what the classifier reads, which the loss needs.
        """
        embedding = self.forward_features(image, metadata, order, share)
        classified = self.head.after(embedding)
        if self.training and self.head.weight is not None and self.head.margin is not None:
            # only the loss uses the margin's classes, but DDP expects each parameter in the graph of forward's output
            classified = classified + 0 * self.head.margin.weight.sum().to(classified.dtype)
        logits = self.head(classified)
        return SiteOutputs(logits, logits, classified if self.training else embedding)

    def loss(self, output: SiteOutputs[Tensor], targets: Targets) -> Tensor:
        """Return the batch's loss: ``ce`` times cross entropy plus ``margin_weight`` times the margin loss.

        ``cosine_ce`` times the cross entropy of the cosines is added. In training mode the scale of AdaCos is updated
        first. Raises UserError for mixed labels if ``mixed`` is refuse.
        """
        settings, margin = self.loss_settings, self.head.margin
        if margin is None:
            return settings.ce * class_loss(output.logits, targets, settings)
        classified = output.embedding if self.training else self.head.after(output.embedding)
        if isinstance(margin, AdaCos) and self.training:
            margin.adapt(classified, larger(targets))
        total = settings.margin_weight * self._by_angle(margin, classified, targets)
        if settings.ce > 0:
            total = total + settings.ce * class_loss(output.logits, targets, settings)
        if settings.cosine_ce > 0:
            cosines = margin.cosines(classified)
            each = partial(F.cross_entropy, cosines, reduction="none")
            total = total + settings.cosine_ce * margin_loss(each, targets, settings)
        return total

    def _by_angle(self, margin: FixedMargin | AdaCos, classified: Tensor, targets: Targets) -> Tensor:
        """Return the margin loss of what the classifier reads, (B, E)."""
        settings = self.loss_settings
        if isinstance(margin, FixedMargin) and targets.other is not None and settings.mixed == "soft":
            return margin.soft_losses(classified, soft_labels(targets, margin.weight.shape[1])).mean()
        return margin_loss(partial(margin.losses, classified), targets, settings)


@contextmanager
def bf16_trunk(network: WellClassifier, wanted: bool = True) -> Iterator[None]:
    """Let the trunk compute in bfloat16 within the block if ``wanted``, by autocast; pooling and head stay in float32.

    The trunk is nearly all of the work, and a logit in bfloat16 would have three digits only.
    """
    before, network.trunk_bf16 = network.trunk_bf16, wanted
    try:
        yield
    finally:
        network.trunk_bf16 = before


def build_model(
    settings: Model,
    in_channels: int,
    n_classes: int,
    loss: Loss = Loss(),  # noqa: B008 (frozen)
    n_values: Sequence[int] = (),
    *,
    load: bool = True,
) -> WellClassifier:
    """Return the classifier of ``settings`` and ``loss``, with ImageNet weights if ``settings`` request them.

    ``n_values[i]``: the number of known values of ``settings.metadata[i]``. ``load`` False: shapes only, for weights
    from a checkpoint. Raises UserError for an unknown name, weights that do not fit or are not available, a stem that
    cannot be widened, metadata without values, or a loss with neither cross entropy nor a margin.
    """
    if in_channels < 1 or n_classes < 2:
        raise UserError(f"a model needs at least 1 channel and 2 classes, not {in_channels} and {n_classes}")
    backbone = build_backbone(settings.name)
    if load and (settings.pretrained == "imagenet" or settings.weights_file):
        backbone.load(settings.weights_file)
    widen_stem(backbone.trunk, in_channels, settings.stem, settings.stem_scale)
    cut_end(backbone.trunk, settings.trunk_end)
    _freeze_idle(backbone.trunk, in_channels)
    network = WellClassifier(backbone.trunk, backbone.width, n_classes, settings, loss, n_values)
    if settings.bn_momentum is not None:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = settings.bn_momentum
    return network


def _freeze_idle(trunk: nn.Module, in_channels: int) -> None:
    """Freeze the parameters that the features do not depend on: DDP would wait for their gradients.

    Raises UserError for a trunk that does not take ``in_channels``, or whose output is not a feature map.
    """
    try:
        facts = measure_trunk(trunk, in_channels)
    except FAILURES as error:
        raise UserError(f"this model cannot be widened to images of {in_channels} channels") from error
    if len(facts.shape) != 4:
        raise UserError(f"this model gives features of shape {facts.shape[1:]}, not a feature map of height and width")
    for name in facts.idle:
        trunk.get_parameter(name).requires_grad_(False)
