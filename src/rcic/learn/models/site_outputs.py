"""Outputs of a network for sites: one type from the forward pass to the file."""

from typing import Any, Generic, NamedTuple, TypeVar

from numpy.typing import NDArray
from torch import Tensor

Array = TypeVar("Array", Tensor, NDArray[Any])


class SiteOutputs(NamedTuple, Generic[Array]):
    """Outputs for B sites and K classes. A field that was not kept has no columns."""

    first: Array  # (B, K) logits of the first view
    logits: Array  # (B, K) logits, the mean over the views
    embedding: Array  # (B, E) the mean over the views; in training what the classifier reads
