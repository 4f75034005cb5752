"""Detection of a loss that is not finite, and of the first batch with one."""

import math

import pandas as pd
import torch
from accelerate.utils import gather_object
from torch import Tensor

from rcic.errors import UserError


def check_finite(loss: float, name: str) -> None:
    """Raise UserError if a loss is not finite; ``name`` begins the message."""
    if not math.isfinite(loss):
        raise UserError(
            f"{name} is {loss}, and the run cannot recover; lower schedule.max_lr and schedule.frozen_lr, set "
            "optim.clip, or use train.precision fp32 or bf16"
        )


class LossWatch:
    """Record the first batch of an epoch whose loss is not finite, without waiting for the device."""

    def __init__(self, device: torch.device | str):
        self.first = torch.full((), -1, device=device)
        self.rows: list[Tensor] = []  # of each batch

    def note(self, loss: Tensor, rows: Tensor) -> None:
        """Record the loss of the next batch."""
        number = torch.full_like(self.first, len(self.rows))
        bad = ~torch.isfinite(loss.detach()) & (self.first < 0)
        self.first = torch.where(bad, number, self.first)
        self.rows.append(rows)

    @property
    def bad_batch(self) -> int | None:
        """The number of the first bad batch, from 0; None if there is none. Waits for the device."""
        number = int(self.first)
        return None if number < 0 else number

    def check(self, loss: float, epoch: int, table: pd.DataFrame) -> None:
        """Raise UserError, naming the first bad batch, if an epoch's mean ``loss`` or that of any batch is not finite.

        ``table`` is the training site table. Every rank must call it; each one names the first bad batch of all ranks.
        """
        gathered = gather_object([(self.bad_batch, self.description(table))])
        bad = [batch for batch in gathered if batch[0] is not None]
        if math.isfinite(loss) and not bad:
            return
        description = min(bad)[1] if bad else ""
        check_finite(math.nan if bad else loss, f"epoch {epoch}{description}: the training loss")

    def description(self, table: pd.DataFrame, n_named: int = 4) -> str:
        """Return the number of the bad batch and its first sites as text, '' without one.

        ``table`` is the training site table.
        """
        number = self.bad_batch
        if number is None:
            return ""
        rows = self.rows[number].tolist()
        named = [f"{table['id_code'].iloc[row]} site {table['site'].iloc[row]}" for row in rows[:n_named]]
        more = f" and {len(rows) - n_named} more" if len(rows) > n_named else ""
        return f", batch {number + 1} of {len(self.rows)} ({', '.join(named)}{more})"
