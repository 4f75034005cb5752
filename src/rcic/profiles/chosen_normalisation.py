"""The normalisation of a model's embeddings: as the flags say, or chosen on labelled wells that no network has seen."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rcic.decide.normalisation_choice import best_of, judged, normalisation_candidates
from rcic.decide.whitening import Normalisation
from rcic.errors import UserError
from rcic.files.names import Member
from rcic.files.record import Record, write_result
from rcic.profiles.member_wells import LABELLED, MemberWells, read_member
from rcic.profiles.neighbour_options import NeighbourSettings
from rcic.screen.table import Screen

_log = logging.getLogger(__name__)
_SCALE = 30.0  # of cosines
_MEMBERS = 3  # of a model, on which a choice is made at most
_ENOUGH = 2_000  # wells judged, after which no further member is


@dataclass(frozen=True, eq=False)
class ChosenNormalisation:
    """The normalisation, the scale of cosines that suits it (None: not chosen), and what was tried."""

    settings: Normalisation
    scale: float | None = None
    table: pd.DataFrame | None = None  # `rcic.decide.normalisation_choice.NormalisationChoice.table`
    network: str = ""  # of the embeddings that it was chosen on

    @property
    def looks_around(self) -> bool:
        """Whether profiles depend on other wells than the queries and the bank."""
        return self.settings.centre != "off" or self.settings.whiten != "off"

    def facts(self, options: NeighbourSettings) -> dict[str, Any]:
        """Return the settings for records."""
        scale = options.scale or self.scale or _SCALE
        return {"normalisation": str(self.settings), **({"scale": scale} if options.kind == "centres" else {})}


def choose_for_model(
    screen: Screen, root: Path, members: Sequence[Member], options: NeighbourSettings
) -> ChosenNormalisation:
    """Return the normalisation for the members of one model below ``root``.

    ``--whiten=auto`` chooses among those that the other flags allow, on the first members, and logs what it chose;
    where too few wells can be held out, it is each plate's mean. Raises UserError for flags that do not fit.
    """
    _check(options)
    if options.whiten != "auto":
        return ChosenNormalisation(_as_said(options))
    tables, among, network = [], list[Normalisation](), ""
    for member in members[:_MEMBERS]:
        wells = read_member(screen, root, member)
        among, network = among or _allowed(wells.wells, options), wells.parts["train"].network
        try:
            tables.append(_judged(wells, among))
        except UserError as error:
            _log.info(f"{member.folder}: --whiten=auto: {error}")
        if sum(table["n_wells"].max() for table in tables) >= _ENOUGH:
            break
    if not tables:
        plain = _as_said(options)
        _log.info(f"{members[0].model}: {plain} instead")
        return ChosenNormalisation(plain)
    best = best_of(tables, among)
    first, plain = best.table.iloc[0], best.table[best.table["settings"] == str(_as_said(options))]
    beside = "".join(f" (with {row['settings']} {row['accuracy']:.1f} %)" for _, row in plain.iterrows())
    on = f"{len(best.table)} candidates on {first['n_wells']:,.0f} held-out wells"
    _log.info(f"{members[0].model}: {best.settings} of {on}: {first['accuracy']:.1f} % right{beside}")
    return ChosenNormalisation(best.settings, best.scale, best.table, network)


def write_choice(chosen: ChosenNormalisation, out: Path, model: str) -> None:
    """Write what was tried as ``normalisation_MODEL.csv`` with its record, if something was."""
    if chosen.table is None:
        return
    path = out / f"normalisation_{model}.json"
    write = partial(chosen.table.to_csv, index=False, float_format="%.6g")
    record = Record("normalisation", {"network": chosen.network}, {"chosen": str(chosen.settings)})
    write_result(path, record, {path.with_suffix(".csv").name: write})


def _judged(wells: MemberWells, among: Sequence[Normalisation]) -> pd.DataFrame:
    """Return the table of `judged` on a member's wells; test wells are left out, their plates have no others."""
    here = wells.rows(*LABELLED)
    plates = pd.MultiIndex.from_frame(wells.wells[["experiment", "plate"]])
    here = here | (wells.rows("controls") & plates.isin(plates[here]))
    table = wells.wells[here].reset_index(drop=True)
    return judged(wells.vectors[here], table, wells.rows(*LABELLED)[here], wells.judgeable[here], among)


def _allowed(wells: pd.DataFrame, options: NeighbourSettings) -> list[Normalisation]:
    """Return the candidates that the flags allow."""
    found = normalisation_candidates(wells, options.by == "cell_type")
    if options.centre != "auto":
        found = [one for one in found if one.centre == options.centre]
    if options.reference != "all":
        found = [replace(one, reference=options.reference) for one in found]
    if options.shrink is not None:
        found = [replace(one, shrink=options.shrink) for one in found]
    return list(dict.fromkeys(found))


def _as_said(options: NeighbourSettings) -> Normalisation:
    """Return the normalisation of the flags, where auto is each plate's mean and no whitening."""
    return Normalisation(
        "plate" if options.centre == "auto" else options.centre,
        options.reference,
        "off" if options.whiten == "auto" else options.whiten,
        0.1 if options.shrink is None else options.shrink,
        options.by == "cell_type",
    )


def _check(options: NeighbourSettings) -> None:
    if options.shrink is not None and not 0 <= options.shrink < np.inf:
        raise UserError(f"--shrink is {options.shrink:g}, must be a number from 0 on")
    if options.whiten == "off":
        for flag, given in (("shrink", options.shrink is not None), ("by", options.by != "all")):
            if given:
                raise UserError(f"--{flag} has no effect with --whiten=off; omit it")
    if options.centre == "off" and options.reference != "all":
        raise UserError("--reference has no effect with --centre=off; omit it")
