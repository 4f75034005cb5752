"""The indexes of a screen, checked before anything is read: each plate has one of its own, or its part of one."""

import logging
from collections.abc import Sequence

import pandas as pd

from rcic.errors import Exhausted, UserError, nearest, plural
from rcic.pixels.images.all_sources import ImageSources
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.index_source import IndexSource, PlateIndex
from rcic.pixels.images.sites import Site, sites_of

_log = logging.getLogger(__name__)

_MOST_NOTES = 20  # that are logged


def check_indexes(source: IndexSource, rows: pd.DataFrame) -> bool:
    """Return whether an index lists an image of a site table.

    Reads the indexes that several plates have, and further ones until each channel is found. Raises UserError if two
    plates are the same part of an index, or if none of the indexes has a channel.
    """
    plates = sites_of(rows.drop_duplicates(["experiment", "plate"]))
    by_index: dict[str, list[Site]] = {}
    for site in plates:
        by_index.setdefault(source.index_name(site), []).append(site)
    for sites in by_index.values():
        if len(sites) > 1:
            _check_parts(source, sites)
    sites_by_plate = {key: sites_of(table) for key, table in rows.groupby(["experiment", "plate"], sort=False)}
    lacking, first = list(source.spec.channel_numbers), None
    for site in plates:
        if (index := _index(source, site)) is None:
            continue
        known = {index.table.code("channel", word) for word in index.table.of_plate(index.code, "channel")}
        lacking = [channel for channel in lacking if _code(source, index, channel) not in known]
        first = first or index
        if not lacking and any(source.has(other, 1) for other in sites_by_plate[site.experiment, site.plate]):
            return True
    if first is not None and lacking:
        word, known_words = source.spec.channel_word(lacking[0]), first.table.of_plate(first.code, "channel")
        reason = f"lists no channel {word!r}{nearest(word, known_words)}; {source.words_of(first, 'channel')}"
        remedy = f"write its channel as channels.{lacking[0] - 1}.file of the screen spec"
        raise UserError(f"{source.root / first.file}: {reason}; {remedy}")
    return False


def index_notes(sources: ImageSources, rows: pd.DataFrame) -> list[str]:
    """Return what the indexes of a site table's plates list and leave out, such as wells of a plate copied in part.

    Each note is there once and names its index. Reads all indexes; of one that cannot be read its images tell.
    """
    plates, notes = sites_of(rows.drop_duplicates(["split", "experiment", "plate"])), dict[str, None]()
    for source in [source for source in sources.sources if isinstance(source, IndexSource)]:
        for site in plates:
            try:
                found = source.plate(site)
            except Exhausted:
                raise
            except UserError:
                continue
            notes |= {note if found.file in note else f"{found.file}: {note}": None for note in found.table.notes}
    return list(notes)


def log_notes(notes: Sequence[str]) -> None:
    """Log notes on indexes, the first of many."""
    for note in notes[:_MOST_NOTES]:
        _log.info(note)
    if len(notes) > _MOST_NOTES:
        _log.info(f"and {plural(len(notes) - _MOST_NOTES, 'more note')} on indexes")


def _check_parts(source: IndexSource, sites: list[Site]) -> None:
    """Raise UserError if two plates are the same part of one index."""
    found: dict[int, Site] = {}
    for site in sites:
        index = _index(source, site)
        if index is None:
            continue
        if (first := found.setdefault(index.code, site)) is not site:
            plates = [f"{one.experiment} plate {source.barcode(one)}" for one in (first, site)]
            part = f"of {plates[0]} and of {plates[1]}"
            reason = f"by images.file {source.pattern!r} this is the index {part}, and it does not tell them apart"
            raise UserError(f"{source.root / index.file}: {reason}; write {{plate}} into the pattern")


def _index(source: IndexSource, site: Site) -> PlateIndex | None:
    """Return the index of a plate, None if it is missing or does not list the plate: its images are missing."""
    try:
        return source.plate(site)
    except BadImage:
        return None


def _code(source: IndexSource, index: PlateIndex, channel: int) -> int:
    return index.table.code("channel", source.spec.channel_word(channel))
