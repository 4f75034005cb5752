"""The origin of a training, from its config, its tables and the screen; does not import torch."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from rcic.errors import UserError, plural
from rcic.files.difference import difference
from rcic.learn.config.settings import Config
from rcic.learn.data.stage_table import StageTable
from rcic.learn.runs.origin import Origin
from rcic.pixels.audit.findings import Audit
from rcic.pixels.audit.pixel_states import of_plates
from rcic.pixels.images.pixel_state import PlatePixels
from rcic.screen.table import Screen


def training_origin(
    config: Config, screen: Screen, table: StageTable, states: PlatePixels, audit: Audit | None
) -> Origin:
    """Return what a training is made from, but for its initial weights.

    It reads all wells of the experiments in its table (for the statistics of their plates), those of the test
    experiments if it chooses pseudo-labels itself, and all train wells if it knows the plate groups. ``states`` are
    those of :func:`rcic.pixels.audit.pixel_states.pixel_states`.
    """
    wells = _read_wells(config, screen, table)
    bad = "" if audit is None else audit.digest(config.data.channels)
    tables = table.fingerprint()
    values = {
        "images": screen.identity.images(config.data.channels),
        "wells": screen.identity.wells(set(wells["experiment"])),
        "tables": tables,
        "audit": bad,
        "pixels": of_plates(states, screen, wells),
    }
    return Origin(values, lambda: {"screen": screen.fingerprint(), "tables": tables, "audit": bad})


def learnt_wells(table: StageTable, n_treatments: int, before: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the treatments that the weights know after this training, those of its start included.

    ``learnt`` are experiments of which nothing is held out, ``learnt_wells`` the id_codes of others' training wells,
    absent if there are none. ``before`` is the description (meta) of the initial checkpoint. Pseudo-labels are no
    knowledge of the truth.
    """
    wells = table.train
    known = (wells["split"] == "train") & (wells["well_type"] == "treatment") & (wells["label"] < n_treatments)
    held_out = table.valid["experiment"][table.valid["well_type"] == "treatment"]
    divided = known & wells["experiment"].isin(held_out)
    single = sorted({*wells["id_code"][divided], *before.get("learnt_wells", ())})
    whole = sorted({*wells["experiment"][known & ~divided], *before.get("learnt", ())})
    return {"learnt": whole, **({"learnt_wells": single} if single else {})}


def learnt_among(meta: Mapping[str, Any], wells: pd.DataFrame) -> list[str]:
    """Return the experiments, else the wells, among ``wells`` whose treatments the weights of a checkpoint know."""
    whole = set(meta.get("learnt", ())) & set(wells["experiment"])
    return sorted(whole or set(meta.get("learnt_wells", ())) & set(wells["id_code"]))


def check_unlearnt(before: Mapping[str, Any], table: StageTable, source: str) -> None:
    """Raise UserError if initial weights know the treatments of a well that this training holds out."""
    if leaked := learnt_among(before, table.valid[table.valid["well_type"] == "treatment"]):
        raise UserError(
            f"{source}: its weights have learnt the treatments of {leaked[0]}, which is held out now, so the "
            "validation would be too good; start from weights of the same fold"
        )


def check_stains(meta: Mapping[str, Any], screen: Screen, source: str) -> None:
    """Raise UserError unless a network's channels mean in this screen what they meant in its training.

    ``meta`` describes its checkpoint. On any screen the channels' names must be those; on one that has its training
    experiments, the files and grey levels, too. Versions 0.1 and 0.2 recorded neither; that there are such channels is
    checked of every version.
    """
    if lacking := set(meta["channels"]) - set(screen.spec.channel_numbers):
        there = plural(len(screen.spec.channels), "channel")
        raise UserError(f"{source}: trained on channel {min(lacking)}, but the screen {screen.root} has {there}")
    if (origin := meta.get("made_from")) is None:
        return
    differs = difference(meta["stains"], screen.identity.stains(meta["channels"]), "channel")
    if not differs and set(origin["wells"]) & set(screen.identity.experiments):
        differs = difference(origin["images"], screen.identity.images(meta["channels"]), "images")
    if differs:
        raise UserError(f"{source}: trained on other images than those of {screen.root}: {differs}")


def check_sites_are_there(sites: Sequence[int], screen: Screen, source: str) -> None:
    """Raise UserError if a network reads ``sites`` of a well that the screen does not have, or not any more."""
    if lacking := sorted(set(sites) - set(screen.spec.sites)):
        known = ", ".join(map(screen.spec.site_name, screen.spec.sites))
        raise UserError(
            f"{source}: trained on sites {list(sites)} of a well, but {screen.spec.name} has no site {lacking[0]} "
            f"(only {known}); train it again"
        )


def _read_wells(config: Config, screen: Screen, table: StageTable) -> pd.DataFrame:
    experiments = {*table.train["experiment"], *table.valid["experiment"]}
    wells = screen.wells
    used = wells["experiment"].isin(experiments)
    if config.progressive.start:
        used |= wells["split"] == "test"
    if "plate_group" in config.model.metadata:
        used |= wells["split"] == "train"
    return wells[used]
