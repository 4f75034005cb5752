"""Tables of wells as a user's own program would write them."""

from pathlib import Path

import pandas as pd

from rcic.screen.table import Screen, wells_text


def write_wells(path: Path, wells: pd.DataFrame, screen: Screen) -> None:
    """Write labelled wells as a fold or pseudo-label table, without a record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(wells_text(wells, screen), encoding="utf-8")
