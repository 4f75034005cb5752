"""A config adapted to the channels, sites and controls of the screen to train on."""

from collections.abc import Sequence
from dataclasses import replace

from rcic.errors import UserError, plural
from rcic.learn.config.settings import Config
from rcic.screen.spec import ScreenSpec
from rcic.screen.table import Screen
from rcic.screen.work_dir import AUDIT_DIR, FOLDS_DIR, PSEUDO_DIR, place_in

_FEW = 3  # a grid leaves out no channel of so few


def for_screen(config: Config, screen: Screen) -> Config:
    """Return the config with the screen's sites and folders, and without a start from a stage I that cannot exist.

    Sites and folders that the config names are kept.

    A screen without control wells has no stage I, so a training that would start from it starts without it. Raises
    UserError, beginning with the key, for a channel or a site that the screen does not have.
    """
    data, spec = config.data, screen.spec
    _check_subset("data.channels", data.channels, spec.channel_numbers, spec)
    _check_subset("data.sites", data.sites, spec.sites, spec)
    _check_subset("augment.colour_channels", config.augment.colour_channels, spec.channel_numbers, spec)
    if data.norm == "fixed" and len(data.norm_means) != len(spec.channels):
        given, there = len(data.norm_means), plural(len(spec.channels), "channel")
        raise UserError(f"data.norm_means has {given} numbers, but {spec.name} has {there}; give one for each")
    sites = data.sites or spec.sites
    if data.stack_sites and len(sites) < 2:
        raise UserError(f"data.stack_sites is true, but the wells of {spec.name} have one site")
    data = replace(
        data,
        sites=sites,
        folds_dir=str(place_in(screen, data.folds_dir, FOLDS_DIR)),
        pseudo_dir=str(place_in(screen, data.pseudo_dir, PSEUDO_DIR)),
        audit_dir=str(place_in(screen, data.audit_dir, AUDIT_DIR)),
    )
    config = replace(config, data=data)
    if config.init.stage == "control" and config.init.checkpoint is None and not has_controls(screen):
        config = replace(config, init=replace(config.init, stage="none"))
    return config


def has_controls(screen: Screen) -> bool:
    """Return whether a screen has control wells, the training wells of stage I."""
    return len(screen.classes) > screen.n_treatments


def channel_sets(spec: ScreenSpec) -> tuple[tuple[int, ...], ...]:
    """Return the channel sets of a grid: all but one channel each, the last left out first; all for 1 to 3."""
    numbers = spec.channel_numbers
    if len(numbers) <= _FEW:
        return (numbers,)
    return tuple(tuple(number for number in numbers if number != absent) for absent in reversed(numbers))


def _check_subset(key: str, chosen: Sequence[int], known: Sequence[int], spec: ScreenSpec) -> None:
    """Raise UserError for a number that the screen does not have."""
    if not set(chosen) <= set(known):
        raise UserError(f"{key} is {list(chosen)}, but {spec.name} has only {', '.join(map(str, known))}")
