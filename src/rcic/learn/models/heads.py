"""From feature map to logits: pooling, concatenated metadata, embedding layers, classifiers.

All parameters are below ``head`` of the network: only these may differ between a checkpoint and the network that starts
from it.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rcic.errors import UserError
from rcic.learn.config.head_layers import HeadLayer, head_layers, joint, tap
from rcic.learn.config.settings import Loss, Model
from rcic.learn.models.loss import check_loss
from rcic.learn.models.margin import build_margin


def pool(features: Tensor, mode: str) -> Tensor:
    """Return the mean over the pixels of (B, D, h, w), (B, D); ``concat`` appends the maximum, (B, 2 D)."""
    mean = features.mean(dim=(2, 3))
    return torch.cat([mean, features.amax(dim=(2, 3))], dim=1) if mode == "concat" else mean


class Metadata(nn.Module):
    """(B, M) int64, 0 = unknown and i = the i-th known value + 1, -> (B, ``width``), one block for each of the M kinds.

    ``onehot``: one number for each known value, all zero for an unknown value (or one out of range). ``learned``: a
    vector of ``model.metadata_width`` for each value and one for unknown (recipe C). In training each value is set to
    unknown with the chance ``model.metadata_dropout``, so that "unknown" is learnt, too.
    """

    def __init__(self, settings: Model, n_values: Sequence[int]):
        super().__init__()
        if len(settings.metadata) != len(n_values):
            raise UserError(f"model.metadata is {list(settings.metadata)}, but {len(n_values)} of them have values")
        self.n_values, self.dropout = tuple(n_values), settings.metadata_dropout
        self.tables: nn.ModuleList | None = None
        self.width = sum(self.n_values)
        if settings.metadata_form == "learned":
            self.tables = nn.ModuleList(nn.Embedding(n + 1, settings.metadata_width) for n in self.n_values)
            self.width = len(self.n_values) * settings.metadata_width

    def forward(self, values: Tensor) -> Tensor:
        """Return the concatenated blocks, (B, ``width``) float."""
        if self.training and self.dropout > 0:
            values = values * (torch.rand(values.shape, device=values.device) >= self.dropout)
        if self.tables is not None:
            return torch.cat([table(column) for table, column in zip(self.tables, values.T, strict=True)], dim=1)
        ranges = [torch.arange(1, n + 1, device=values.device) for n in self.n_values]
        blocks = [column[:, None] == known for column, known in zip(values.T, ranges, strict=True)]
        return torch.cat(blocks, dim=1).float()


class Head(nn.Module):
    """Pooled features (B, D) and metadata (B, M) -> embedding (B, E) -> logits (B, K).

    ``linear``: the embedding is the features themselves. ``neck``: BN-FC-ReLU-BN-FC-BN (recipe F). ``linear_bn``:
    FC-BN-ReLU (recipe B). ``layers``: those of ``model.layers``. Metadata is concatenated after a leading BN: in a
    batch from one plate it is constant, and BN would make it 0. With ``model.embedding`` fc the embedding is the output
    of the last FC, and :meth:`after` goes on from there. Dropout comes last. ``weight`` and ``bias`` are those of the
    linear classifier, None if ``loss.ce`` is 0; ``margin`` is the classifier by angles or None.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, width: int, n_classes: int, settings: Model, loss: Loss, n_values: Sequence[int] = ()):
        super().__init__()
        check_loss(loss)
        self.metadata = Metadata(settings, n_values) if settings.metadata or n_values else None
        self.norm = nn.BatchNorm1d(width) if settings.head == "neck" else nn.Identity()
        layers = head_layers(settings)
        self.joint, self.tap = 0 if settings.head == "neck" else joint(layers), tap(layers, settings.embedding)
        more = self.metadata.width if self.metadata else 0
        self.embed, self.in_features = _built(layers, width, {self.joint: more})
        self.dropout = nn.Dropout(settings.dropout)
        self.weight = self.bias = None
        if loss.ce > 0:
            self.weight, self.bias = nn.Linear(self.in_features, n_classes).parameters()
        self.margin = build_margin(self.in_features, n_classes, loss) if loss.margin != "none" else None

    def embedding(
        self, features: Tensor, metadata: Tensor | None = None, order: Tensor | None = None, share: float = 1.0
    ) -> Tensor:
        """Return the embedding (B, E). Metadata that is configured but not given is unknown.

        If image i was mixed with image ``order[i]`` (B,), metadata is mixed in the same ratio: ``share`` of image i.
        """
        x = self._run(self.norm(features), 0, self.joint)
        if self.metadata is not None:
            if metadata is None:
                metadata = torch.zeros(len(x), len(self.metadata.n_values), dtype=torch.int64, device=x.device)
            joined = self.metadata(metadata).to(x.dtype)
            if order is not None:
                joined = share * joined + (1 - share) * joined[order]
            x = torch.cat([x, joined], dim=1)
        return self._run(x, self.joint, self.tap)

    def after(self, embedding: Tensor) -> Tensor:
        """Return what the classifiers read, (B, ``in_features``), of an embedding (B, E)."""
        return self.dropout(self._run(embedding, self.tap, len(self.embed)))

    def _run(self, x: Tensor, first: int, end: int) -> Tensor:
        for number in range(first, end):
            x = self.embed[number](x)
        return x

    def forward(self, classified: Tensor) -> Tensor:
        """Return the logits (B, K) of :meth:`after`: linear, or scale times cosine without a linear classifier."""
        if self.weight is not None:
            return F.linear(classified, self.weight, self.bias)
        assert self.margin is not None  # nosec B101 # for mypy: check_loss made sure
        return self.margin.logits(classified)


def _built(layers: Sequence[HeadLayer], width: int, more: Mapping[int, int]) -> tuple[nn.Sequential, int]:
    """Return the layers and the number of their outputs, for ``width`` inputs and ``more`` from layer i on."""
    modules: list[nn.Module] = []
    for number, layer in enumerate(layers):
        width += more.get(number, 0)
        modules.append(_layer(layer, width))
        width = layer.units or width
    return nn.Sequential(*modules), width + more.get(len(layers), 0)


def _layer(layer: HeadLayer, width: int) -> nn.Module:
    """Return the module of a layer with ``width`` inputs; metadata are concatenated by the head."""
    if layer.kind == "fc":
        return nn.Linear(width, layer.units, bias=layer.bias)
    if layer.kind == "bn":
        return nn.BatchNorm1d(width)
    return {"relu": nn.ReLU(), "drop": nn.Dropout(layer.chance), "metadata": nn.Identity()}[layer.kind]
