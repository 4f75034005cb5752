"""Which models answer, and how their answers become one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EnsembleOptions:
    """The ensemble.

    Attributes:
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
        weights: one for each of the model_names, e.g. 2,1.
        calibration: the file that calibrate wrote: temperatures and weights of models, confidence to be believed.
        sinkhorn: balance each plate before the assignment; confidence then knows what its other wells want.
    """

    model_names: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    calibration: str | None = None
    sinkhorn: bool = False
