"""Parser of a flag's ``KEY=VALUE,KEY=VALUE``: ``--ray num_cpus=2``, ``--slurm partition=gpu,time=600``."""

from collections.abc import Collection, Sequence

from rcic.errors import UserError, nearest

OptionValue = str | int | float


def read_options(flag: str, items: Sequence[str], known: Collection[str]) -> dict[str, OptionValue]:
    """Return key -> value, numbers converted. ``items`` were split at commas, which values may contain (exclude=a,b).

    Raises UserError for a key that is unknown (naming the nearest), listed twice or without a value.
    """
    texts: dict[str, str] = {}
    last = ""
    for item in items:
        key, equals, value = item.partition("=")
        if not equals and last:  # a further part of the last value
            texts[last] += f",{item}"
            continue
        if not equals or not value:
            raise UserError(f"{flag} has {item!r}, must be KEY=VALUE, separated by commas")
        if key not in known:
            keys = ", ".join(sorted(known))
            raise UserError(f"{flag} has an unknown key {key!r}{nearest(key, known)} (known: {keys})")
        if key in texts:
            raise UserError(f"{flag} has {key} twice")
        texts[key], last = value, key
    return {key: _number(text) for key, text in texts.items()}


def at_least(flag: str, options: dict[str, OptionValue], key: str, least: int, whole: bool = True) -> None:
    """Raise UserError if an option is given and is not a (whole) number of at least ``least``."""
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
