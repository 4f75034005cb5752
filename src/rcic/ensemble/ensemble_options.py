"""Options of the ensemble: its models, their blend, and the steps from there to answers."""

from dataclasses import dataclass, fields
from typing import Any, Literal

from rcic.decide.decision_rules import DecisionRules
from rcic.errors import UserError

_IDENTIFIED = ("model_names", "weights", "calibration")  # whose effect the record of a decision tells in its own way


@dataclass(frozen=True)
class EnsembleOptions:
    """The ensemble.

    Raises UserError for options that exclude each other, or a temperature that is not above 0.

    Attributes:
        model_names: only these models, e.g. a,b (NAME@: all of NAME's cell types); all if not given.
        weights: one for each of the model_names, e.g. 2,1.
        calibration: the file that calibrate wrote: temperatures and weights of models, for calibrated confidence.
        sinkhorn: balance each plate before the assignment; confidence then reflects the plate's other wells.
        temperature: divides the mean of logits, by hand; not with calibration.
        combine: mean is that of logits; with majority each member votes with its best class of the plate's group, and
            the commonest answer stands if over 40 % of members give it.
        match: how plates are matched to groups: by likelihood, by mean votes, or by shares of most probable classes.
        columns: divide each class's probabilities on a plate by their sum, once, before the assignment.
        assign_on: assign by log-probabilities or by probabilities; off lets each well have its most probable class.
    """

    model_names: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    calibration: str | None = None
    sinkhorn: bool = False
    temperature: float = 1.0
    combine: Literal["mean", "majority"] = "mean"
    match: Literal["likelihood", "votes", "shares"] = "likelihood"
    columns: bool = False
    assign_on: Literal["log", "prob", "off"] = "log"

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise UserError(f"--temperature is {self.temperature:g}, must be a number above 0")
        if self.calibration and self.temperature != 1:
            raise UserError("--temperature and --calibration: the calibration has its own; give only one of the two")
        if self.combine == "majority" and (self.weights or self.calibration or self.temperature != 1):
            raise UserError("--combine=majority: every member has one vote, so omit weights, calibration, temperature")
        self.rules()

    def rules(self) -> DecisionRules:
        """Return the steps from log-probabilities to answers. Raises UserError for steps that exclude each other."""
        return DecisionRules(self.match, self.sinkhorn, self.columns, self.assign_on)

    def chosen(self) -> dict[str, Any]:
        """Return the options that are not the default, for records; models and calibration are identified there."""
        named = (field for field in fields(self) if field.name not in _IDENTIFIED)
        return {f.name: getattr(self, f.name) for f in named if getattr(self, f.name) != f.default}
