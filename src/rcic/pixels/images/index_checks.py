"""The indexes of a screen, checked before anything is read: each plate has one of its own, or its part of one."""

import pandas as pd

from rcic.errors import UserError, nearest
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.index_source import IndexSource, PlateIndex
from rcic.pixels.images.sites import Site, sites_of


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
