"""``KEY=VALUE,KEY=VALUE`` of a flag, read and checked: ``--ray num_cpus=2``, ``--slurm partition=gpu,time=600``."""

from collections.abc import Collection, Sequence

from rcic.errors import UserError, nearest

OptionValue = str | int | float


def read_options(flag: str, items: Sequence[str], known: Collection[str]) -> dict[str, OptionValue]:
    """Return key -> value, a number where it is one. ``items`` are parted by commas, as values may be (exclude=a,b).

    Raises UserError for a key that is not ``known``, naming the nearest one, that stands twice or has no value.
    """
    texts: dict[str, str] = {}
    last = ""
    for item in items:
        key, equals, value = item.partition("=")
        if not equals and last:  # the value before goes on
            texts[last] += f",{item}"
            continue
        if not equals or not value:
            raise UserError(f"{flag} has {item!r}, must be KEY=VALUE, parted by commas")
        if key not in known:
            there = ", ".join(sorted(known))
            raise UserError(f"{flag} has an unknown key {key!r}{nearest(key, known)} (known: {there})")
        if key in texts:
            raise UserError(f"{flag} has {key} twice")
        texts[key], last = value, key
    return {key: _number(text) for key, text in texts.items()}


def at_least(flag: str, options: dict[str, OptionValue], key: str, least: int, whole: bool = True) -> None:
    """Raise UserError if an option that is given is no number (a whole one) from ``least`` on."""
    value = options.get(key, least)
    if isinstance(value, str) or value < least or (whole and not isinstance(value, int)):
        raise UserError(f"{flag} has {key}={value}, must be a {'whole ' * whole}number from {least} on")


def _number(text: str) -> OptionValue:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
