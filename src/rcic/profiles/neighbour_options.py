"""Options of the scores from embeddings."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class NeighbourSettings:
    """Neighbours.

    Attributes:
        kind: the vote of the nearest labelled wells of the same cell type, or cosines to class centres.
        k: number of voting neighbours, e.g. 30 or HUVEC=100,RPE=30; default: HUVEC 100, U2OS 15, others 30.
        centre: whose mean is subtracted from each embedding: its plate's, its experiment's, or none; auto is what
            --whiten=auto chooses, else plate.
        reference: the wells of that mean: all, the treatments, or the negative controls.
        whiten: the covariance that embeddings are whitened with: that of replicates around their treatment's mean, of
            negative controls on a plate, of both (pooled), or controls plate by plate (tvn); auto chooses all of this
            by cross-validation on labelled wells that the network has not seen.
        shrink: the ridge of that covariance as a share of its mean variance, 0.1 if not given; auto chooses.
        by: all pools the covariance over cell types, cell_type has one for each.
        scale: the factor of cosines to centres; not given, --whiten=auto chooses it, else 30.
        bank: whose labels answer for test wells: all labelled wells, held-out ones too, or the training wells only,
            which alone answer for held-out wells.
        votes: balanced divides a class's votes by the number of its wells in the bank, plain does not.
        within: all takes the k nearest of all wells, group takes k from each plate group.
        sites: mean compares wells; best compares single sites, and the best one answers (needs embed-all --by_site).
    """

    kind: Literal["knn", "centres"] = "knn"
    k: tuple[str, ...] = ()
    centre: Literal["auto", "plate", "experiment", "off"] = "auto"
    reference: Literal["all", "treatments", "controls"] = "all"
    whiten: Literal["auto", "off", "replicates", "controls", "pooled", "tvn"] = "auto"
    shrink: float | None = None
    by: Literal["all", "cell_type"] = "all"
    scale: float | None = None
    bank: Literal["all", "train"] = "all"
    votes: Literal["balanced", "plain"] = "balanced"
    within: Literal["all", "group"] = "all"
    sites: Literal["mean", "best"] = "mean"
