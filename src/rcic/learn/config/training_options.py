"""Flags that override a config, shared by the commands run and explain."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class TrainingOptions:
    """Values that override the config.

    Attributes:
        channels: the channel set, e.g. [1,2,3,4,5].
        fold: the fold to hold out (ignored in the control stage).
        model: the architecture, e.g. densenet121.
        seed: the seed of initial weights, sample order and augmentation.
        device: auto, cpu or cuda.
        set: further config values, e.g. train.batch_size=8,optim.weight_decay=1e-4.
    """

    channels: tuple[int, ...] | None = None
    fold: int | None = None
    model: str | None = None
    seed: int | None = None
    device: str | None = None
    set: str = ""

    @property
    def flags(self) -> dict[str, Any]:
        """The values of the flags that set one config key each, None if not given."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "set"}
