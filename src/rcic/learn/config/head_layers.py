"""The layers of a head in words, as ``model.layers`` names them."""

import re
from typing import NamedTuple

from rcic.learn.config.settings import Model

_WORDS = re.compile(
    r"(?P<plain>bn|relu|metadata)|drop (?P<chance>0|0?\.\d+)|fc (?P<units>[1-9]\d{0,4})(?P<bare> no_bias)?"
)
_HEADS = {
    "linear": (),
    "neck": ("fc {0}", "relu", "bn", "fc {0} no_bias", "bn"),  # behind a BN of its own, as in recipe F
    "linear_bn": ("fc {0} no_bias", "bn", "relu"),  # as in recipe B
}


class HeadLayer(NamedTuple):
    """A layer: ``bn``, ``relu``, ``drop`` (``chance``), ``fc`` (``units`` outputs) or ``metadata`` (concatenated)."""

    kind: str
    units: int = 0
    bias: bool = True
    chance: float = 0.0


def parse_layer(text: str) -> HeadLayer | None:
    """Return the layer that ``text`` names, None if it names none: ``"fc 512 no_bias"``."""
    if (found := _WORDS.fullmatch(text)) is None:
        return None
    if found["units"]:
        return HeadLayer("fc", int(found["units"]), bias=found["bare"] is None)
    return HeadLayer(found["plain"]) if found["plain"] else HeadLayer("drop", chance=float(found["chance"]))


def head_layers(model: Model) -> list[HeadLayer]:
    """Return the layers of a network's head, without the first BN of ``neck``; what names no layer is left out."""
    words = model.layers if model.head == "layers" else [word.format(model.width) for word in _HEADS[model.head]]
    return [layer for layer in map(parse_layer, words) if layer is not None]


def joint(layers: list[HeadLayer]) -> int:
    """Return before which layer (its index) metadata is concatenated: where it is named, or after a leading BN."""
    kinds = [layer.kind for layer in layers]
    return kinds.index("metadata") if "metadata" in kinds else int(kinds[:1] == ["bn"])


def tap(layers: list[HeadLayer], embedding: str) -> int:
    """Return the number of layers up to the embedding (``model.embedding``); 0 for ``fc`` without a linear layer."""
    if embedding == "output":
        return len(layers)
    return max((number for number, layer in enumerate(layers, start=1) if layer.kind == "fc"), default=0)


def cancels_metadata(layers: list[HeadLayer]) -> bool:
    """Return whether BN by plate would cancel metadata: no ReLU stands between them and the next BN."""
    kinds = [layer.kind for layer in layers[joint(layers) :]]
    return "bn" in kinds and "relu" not in kinds[: kinds.index("bn")]
