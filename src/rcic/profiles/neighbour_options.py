"""Options of the scores from embeddings."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class NeighbourSettings:
    """Neighbours.

    Attributes:
        kind: the vote of the nearest labelled wells of the same cell type, or cosines to class centres.
        k: number of voting neighbours, e.g. 30 or HUVEC=100,RPE=30; default: HUVEC 100, U2OS 15, others 30.
        centred: plate subtracts each plate's mean from its embeddings, off does not.
        scale: the factor of cosines to centres, 30 if not given.
        bank: whose labels answer for test wells: all labelled wells, held-out ones too, or the training wells only,
            which alone answer for held-out wells.
        votes: balanced divides a class's votes by the number of its wells in the bank, plain does not.
        within: all takes the k nearest of all wells, group takes k from each plate group.
        sites: mean compares wells; best compares single sites, and the best one answers (needs embed-all --by_site).
    """

    kind: Literal["knn", "centres"] = "knn"
    k: tuple[str, ...] = ()
    centred: Literal["plate", "off"] = "plate"
    scale: float | None = None
    bank: Literal["all", "train"] = "all"
    votes: Literal["balanced", "plain"] = "balanced"
    within: Literal["all", "group"] = "all"
    sites: Literal["mean", "best"] = "mean"
