"""Options of the ensemble: its models and their blend."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EnsembleOptions:
    """The ensemble.

    Attributes:
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
        weights: one for each of the model_names, e.g. 2,1.
        calibration: the file that calibrate wrote: temperatures and weights of models, for calibrated confidence.
        sinkhorn: balance each plate before the assignment; confidence then reflects the plate's other wells.
    """

    model_names: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    calibration: str | None = None
    sinkhorn: bool = False
