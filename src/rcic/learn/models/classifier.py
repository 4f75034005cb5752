"""The classifier of a site: trunk, average pool, dropout, one linear head."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rcic.errors import UserError
from rcic.learn.models.backbone import build_backbone
from rcic.learn.models.stem import widen_stem


class Output(NamedTuple):
    """What one forward pass gives: logits (B, K) and the embedding (B, D) they were read from."""

    logits: Tensor
    embedding: Tensor


class WellClassifier(nn.Module):
    """(B, C, H, W) normalised float images -> :class:`Output`. Any H and W that the trunk can halve."""

    def __init__(self, trunk: nn.Module, width: int, n_classes: int, dropout: float = 0.0):
        super().__init__()
        self.trunk = trunk
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, n_classes)
        self.trunk_frozen = False

    def forward_features(self, image: Tensor) -> Tensor:
        """Return the embedding (B, D): the trunk's feature map averaged over its pixels."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.trunk_frozen):
            return self.trunk(image).mean(dim=(2, 3))

    def forward_head(self, embedding: Tensor) -> Tensor:
        """Return the logits (B, K) of an embedding (B, D)."""
        return self.head(self.dropout(embedding))

    def forward(self, image: Tensor) -> Output:
        """Return logits and embedding from one pass."""
        embedding = self.forward_features(image)
        return Output(self.forward_head(embedding), embedding)


def build_model(
    name: str,
    in_channels: int,
    n_classes: int,
    pretrained: bool = False,
    weights_file: str | None = None,
    dropout: float = 0.0,
) -> WellClassifier:
    """Return a classifier on the backbone ``name``, with ImageNet weights if ``pretrained`` (or a file of them).

    Raises UserError for an unknown name, weights that do not fit, or weights that cannot be had.
    """
    if in_channels < 1 or n_classes < 2:
        raise UserError(f"a model needs at least 1 channel and 2 classes, not {in_channels} and {n_classes}")
    backbone = build_backbone(name)
    if pretrained or weights_file:
        backbone.load(weights_file)
    widen_stem(backbone.trunk, in_channels)
    return WellClassifier(backbone.trunk, backbone.width, n_classes, dropout)
