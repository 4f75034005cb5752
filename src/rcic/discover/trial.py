"""A screen spec tried on its data root: does it read, does it find images, which grey levels have they?"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rcic.errors import Exhausted, UserError
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.levels import measured_levels
from rcic.pixels.images.own_files import open_files
from rcic.pixels.images.sites import site_table, sites_of
from rcic.screen.spec import ScreenSpec
from rcic.screen.spec_files import read_spec
from rcic.screen.table import read_screen

N_IMAGES = 16  # of each channel, for the grey levels
_N_TRIED = 40  # images that are looked for


def trial(root: Path, text: str, out: Path) -> str:
    """Return the first reason why a screen spec, to be written to ``out``, does not work; "" if it does."""
    try:
        spec = spec_of(text, out)
        screen = read_screen(root, spec)
        store = open_files(screen)
        sites = sites_of(site_table(screen.wells, spec.sites))
        for index in np.unique(np.linspace(0, len(sites) - 1, min(_N_TRIED, len(sites))).astype(int)):
            for channel in spec.channel_numbers:
                store.raw(sites[index], channel)
    except Exhausted:
        raise
    except (UserError, BadImage) as error:
        return str(error)
    return ""


def grey_levels(root: Path, text: str, out: Path) -> tuple[Sequence[tuple[float, float]], str]:
    """Return the grey levels of each channel that should become 0 and 255, or none and the reason."""
    try:
        return measured_levels(read_screen(root, spec_of(text, out)), N_IMAGES), ""
    except Exhausted:
        raise
    except (UserError, BadImage) as error:
        return [], str(error)


def spec_of(text: str, out: Path) -> ScreenSpec:
    """Return the screen spec that is written in a text. Raises UserError, which names ``out``, if it is invalid."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "screen.yml"
        path.write_text(text, encoding="utf-8")
        try:
            return read_spec(path)
        except UserError as error:
            raise UserError(str(error).replace(str(path), str(out))) from None
