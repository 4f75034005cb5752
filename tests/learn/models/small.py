"""Models without ImageNet weights, for tests."""

from typing import Any

from rcic.learn.config.settings import Loss, Model
from rcic.learn.models import WellClassifier, build_model

DEFAULT = Loss()


def bare(name: str = "tiny", **settings: Any) -> Model:
    """Return the settings of a model with random weights."""
    return Model(**{"name": name, "pretrained": "none", **settings})


def tiny_model(
    in_channels: int, n_classes: int, loss: Loss = DEFAULT, n_values: tuple[int, ...] = (), **settings: Any
) -> WellClassifier:
    """Return the smallest network with random weights; ``settings`` are those of the section ``model``."""
    return build_model(bare(**settings), in_channels, n_classes, loss, n_values)
