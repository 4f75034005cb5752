"""How logits become answers: the choices of a decision, beside its default."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from rcic.errors import UserError

if TYPE_CHECKING:  # flags are read before numpy is imported
    from rcic.screen.layout import Groups

GroupMatch = Literal["likelihood", "votes", "shares"]
AssignOn = Literal["log", "prob", "off"]


@dataclass(frozen=True)
class DecisionRules:
    """The steps between log-probabilities and answers; raises UserError for steps that exclude each other.

    ``match``: how plates are matched to groups (`rcic.decide.plate_group`). ``sinkhorn`` balances each plate,
    ``columns`` divides its columns by their sums once (`rcic.decide.sinkhorn`). ``assign_on``: whose sum the assignment
    makes largest, log-probabilities or probabilities; off: no assignment, each well has its most probable class.
    """

    match: GroupMatch = "likelihood"
    sinkhorn: bool = False
    columns: bool = False
    assign_on: AssignOn = "log"

    def __post_init__(self) -> None:
        if self.sinkhorn and self.columns:
            raise UserError("--sinkhorn and --columns both change a plate's columns; give only one of the two")
        if self.assign_on == "off" and (self.sinkhorn or self.columns):
            flag = "sinkhorn" if self.sinkhorn else "columns"
            raise UserError(f"--{flag} prepares an assignment, but --assign_on=off leaves it out; omit one of the two")

    def groups(self, groups: "Groups") -> "Groups":
        """Return the groups, whose wells are not assigned if the rules leave the assignment out."""
        return replace(groups, assigned=False) if self.assign_on == "off" else groups
