"""A config fitted to the screen that it is to be trained on: its channels, its sites, whether it has controls."""

from collections.abc import Sequence
from dataclasses import replace

from rcic.errors import UserError
from rcic.learn.config.settings import Config
from rcic.screen.spec import ScreenSpec
from rcic.screen.table import Screen

_FEW = 3  # channels of which none is left out


def for_screen(config: Config, screen: Screen) -> Config:
    """Return the config with the screen's own sites where it names none, and no start from a stage that cannot be.

    Without control wells there is no stage I, so a training that would start from it starts as if nothing were there.
    Raises UserError, beginning with the key, for a channel or a site that the screen does not have.
    """
    data, spec = config.data, screen.spec
    _check_some_of("data.channels", data.channels, spec.channel_numbers, spec)
    _check_some_of("data.sites", data.sites, spec.sites, spec)
    sites = data.sites or spec.sites
    if data.stack_sites and len(sites) < 2:
        raise UserError(f"data.stack_sites is true, but the wells of {spec.name} have one site")
    config = replace(config, data=replace(data, sites=sites))
    if config.init.stage == "control" and config.init.checkpoint is None and not has_controls(screen):
        config = replace(config, init=replace(config.init, stage="none"))
    return config


def has_controls(screen: Screen) -> bool:
    """Return whether a screen has control wells, which stage I learns from."""
    return len(screen.classes) > screen.n_treatments


def channel_sets(spec: ScreenSpec) -> tuple[tuple[int, ...], ...]:
    """Return the channel sets of a grid: all but one channel each, the last left out first; of three or fewer, all."""
    numbers = spec.channel_numbers
    if len(numbers) <= _FEW:
        return (numbers,)
    return tuple(tuple(number for number in numbers if number != absent) for absent in reversed(numbers))


def _check_some_of(key: str, chosen: Sequence[int], known: Sequence[int], spec: ScreenSpec) -> None:
    """Raise UserError for a number that the screen does not have."""
    if not set(chosen) <= set(known):
        raise UserError(f"{key} is {list(chosen)}, but {spec.name} has {', '.join(map(str, known))}")
