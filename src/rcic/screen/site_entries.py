"""The list ``sites`` of a screen spec: numbers, names, or sections with a name and the word in file names."""

from typing import Any

from rcic.schema.convert import Places, from_plain
from rcic.screen.rows import is_number
from rcic.screen.spec import ScreenSpec, SiteName

MOST_SITES = 999
SITES_ARE = "numbers from 0 on, or names without slashes"


def named_sites(plain: dict[str, Any], source: str, places: Places) -> tuple[dict[str, Any], tuple[SiteName, ...]]:
    """Return a screen spec's plain values with numbers as sites, and the sites' names, none where they are numbers.

    Sites whose names are all numbers keep these, others are numbered by position, from 1. Raises UserError for a
    section with an unknown key or a value of another type.
    """
    entries = plain.get("sites")
    if not isinstance(entries, list) or all(type(entry) is int for entry in entries):
        return plain, ()
    if not all(type(entry) in (int, str, dict) for entry in entries):
        return plain, ()  # the reader of the whole says what is wrong
    names = tuple(_named(entry, f"sites.{n}.", source, places) for n, entry in enumerate(entries))
    numbered = all(is_number(entry.name) for entry in names)
    numbers = [int(entry.name) if numbered else position for position, entry in enumerate(names, start=1)]
    return {**plain, "sites": numbers}, names


def with_named_sites(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a screen spec's plain values as a user writes them: with the sites' names in the list of sites."""
    names = plain.pop("site_names")
    if names:
        plain["sites"] = [{key: value for key, value in entry.items() if value} for entry in names]
    return plain


def are_sites(spec: ScreenSpec) -> bool:
    """Whether the sites of a screen spec are of a valid number, and differ in number, name and word."""
    numbers, entries = spec.sites, spec.site_names
    is_valid = 1 <= len(numbers) <= MOST_SITES and len({*numbers}) == len(numbers) and min(numbers) >= 0
    if not entries or not is_valid:
        return is_valid and not entries
    words = [[entry.name for entry in entries], [entry.file or entry.name for entry in entries]]
    are_words = all(word and word == word.strip() and not {"/", "\\"} & {*word} for column in words for word in column)
    return len(entries) == len(numbers) and are_words and all(len({*column}) == len(column) for column in words)


def _named(entry: Any, prefix: str, source: str, places: Places) -> SiteName:
    """Return an entry of the list as a site with a name."""
    if not isinstance(entry, dict):
        return SiteName(str(entry))
    values = {key: str(value) if type(value) is int else value for key, value in entry.items()}
    return from_plain(SiteName, values, source, prefix, places)
