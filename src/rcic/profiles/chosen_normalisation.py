"""The normalisation of a model's embeddings: as the flags say, or chosen on labelled wells that no network has seen."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rcic.decide.normalisation_choice import NormalisationChoice, best_of, judged, normalisation_candidates
from rcic.decide.whitening import Normalisation
from rcic.errors import UserError
from rcic.files.names import Member
from rcic.files.record import Record, is_written, network_id, read_record, write_result
from rcic.profiles.member_wells import LABELLED, MemberWells, read_member
from rcic.profiles.neighbour_options import NeighbourSettings
from rcic.screen.table import Screen

_log = logging.getLogger(__name__)
_SCALE = 30.0  # of cosines
_MEMBERS = 3  # of a model, on which a choice is made at most
_ENOUGH = 2_000  # wells judged, after which no further member is


@dataclass(frozen=True)
class ChosenNormalisation:
    """The normalisation, and the scale of cosines that suits it (None: not chosen)."""

    settings: Normalisation
    scale: float | None = None

    @property
    def looks_around(self) -> bool:
        """Whether profiles depend on other wells than the queries and the bank."""
        return self.settings.centre != "off" or self.settings.whiten != "off"

    def facts(self, options: NeighbourSettings) -> dict[str, Any]:
        """Return the settings for records."""
        scale = options.scale or self.scale or _SCALE
        return {"normalisation": str(self.settings), **({"scale": scale} if options.kind == "centres" else {})}


def choose_for_model(
    screen: Screen, root: Path, members: Sequence[Member], options: NeighbourSettings, out: Path
) -> ChosenNormalisation:
    """Return the normalisation for the members of one model below ``root``.

    ``--whiten=auto`` chooses among those that the other flags allow, on the first members, logs what it chose and
    writes what it tried as ``normalisation_MODEL+KIND.csv`` with its record into ``out``; a choice that was made from
    the same embeddings is kept. Where too few wells can be held out, it is each plate's mean. Raises UserError for
    flags that do not fit.
    """
    _check(options)
    plain = _as_said(options)
    if options.whiten != "auto":
        return ChosenNormalisation(plain)
    wells = [read_member(screen, root, member) for member in members[:_MEMBERS]]
    path = out / f"normalisation_{members[0].model}+{options.kind}.json"
    record = _record(screen, wells, options)
    if is_written(path, record) and (earlier := read_record(path, record.kind, "run neighbours again")) is not None:
        chosen = Normalisation(**earlier.facts["chosen"])
        _log.info(f"{members[0].model}: {chosen}, as chosen before")
        return ChosenNormalisation(chosen, float(earlier.facts["scale"]))
    among = _allowed(wells[0].wells, options)
    tables = _tables(wells, among)
    if not tables:
        _log.info(f"{members[0].model}: {plain} instead")
        return ChosenNormalisation(plain)
    choice = best_of(tables, among)
    _log.info(f"{members[0].model}: {_words(choice, plain)}")
    facts = {"chosen": asdict(choice.settings), "scale": choice.scale}
    write = partial(choice.table.to_csv, index=False, float_format="%.6g")
    write_result(path, replace(record, facts=facts), {path.with_suffix(".csv").name: write})
    return ChosenNormalisation(choice.settings, choice.scale)


def _record(screen: Screen, members: Sequence[MemberWells], options: NeighbourSettings) -> Record:
    """Return the record of a choice: the embeddings, their wells' labels, and the flags that limit it."""
    made_from = {
        "classes": screen.identity.treatments,
        "embeddings": {wells.member.folder.as_posix(): wells.fingerprint(wells.around("valid")) for wells in members},
        "labels": network_id("", [wells.wells["label"].tolist() for wells in members]),
    }
    limits = {name: getattr(options, name) for name in ("centre", "reference", "shrink", "by")}
    return Record("normalisation", made_from, limits)


def _tables(members: Sequence[MemberWells], among: Sequence[Normalisation]) -> list[pd.DataFrame]:
    """Return the tables of `judged` of the members, until enough wells are judged."""
    tables: list[pd.DataFrame] = []
    for wells in members:
        if sum(table["n_wells"].max() for table in tables) >= _ENOUGH:
            break
        try:
            tables.append(_judged(wells, among))
        except UserError as error:
            _log.info(f"{wells.member.folder}: --whiten=auto: {error}")
    return tables


def _words(choice: NormalisationChoice, plain: Normalisation) -> str:
    first, others = choice.table.iloc[0], choice.table[choice.table["settings"] == str(plain)]
    beside = "".join(f" (with {row['settings']} {row['accuracy']:.1f} %)" for _, row in others.iterrows())
    on = f"{len(choice.table)} candidates on {first['n_wells']:,.0f} held-out wells"
    return f"{choice.settings} of {on}: {first['accuracy']:.1f} % right{beside}"


def _judged(wells: MemberWells, among: Sequence[Normalisation]) -> pd.DataFrame:
    """Return the table of `judged` on a member's labelled wells and what is on their plates."""
    here = wells.around("valid")
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
