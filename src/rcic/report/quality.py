"""How the images of each well look: brightness, contrast, focus, saturation of each channel.

From the images, one site a well, or for want of images from ``pixel_stats.csv``, which the competition's data has.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from rcic.errors import UserError
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.sites import Site, site_table, sites_of
from rcic.pixels.images.store import Store
from rcic.screen.rows import read_rows
from rcic.screen.table import Screen

STATS = "pixel_stats.csv"
MEASURES = {
    "mean": "mean grey level, 0 to 255",
    "contrast": "standard deviation of grey levels",
    "focus": "standard deviation of the Laplacian, as a part of that of the grey levels; a blurred image has less",
    "saturated": "pixels at 255, in %",
}
_LEAST_SIDE = 128  # pixels of a packed size that is read instead of the full one


@dataclass(frozen=True, eq=False)
class Quality:
    """A row a well: id_code and a column a measure and channel, ``"mean 1 nucleus"``; and how it was found."""

    table: pd.DataFrame
    said: str


def measure_quality(image: np.ndarray) -> tuple[float, float, float, float]:
    """Return :data:`MEASURES` of an image (H, W) uint8."""
    mean, spread = (float(number[0, 0]) for number in cv2.meanStdDev(image))
    edges = float(cv2.meanStdDev(cv2.Laplacian(image, cv2.CV_16S))[1][0, 0])
    saturated = 100 * cv2.countNonZero(cv2.inRange(image, 255, 255)) / image.size
    return mean, spread, edges / spread if spread > 0 else np.nan, saturated


def from_images(screen: Screen, store: Store, most: int, say: Callable[[str], None], threads: int) -> Quality:
    """Return the quality of the first site of each well; of some whole plates if that is more than ``most`` images.

    ``say`` is told what it will cost, once that is known. Images that cannot be used are left out.
    """
    channels = screen.spec.channels
    wells, n_plates = _chosen(screen.wells, most // len(channels))
    sites = sites_of(site_table(wells, screen.spec.sites[:1]))
    size = min((side for side in store.sizes if side >= _LEAST_SIDE), default=None)
    numbers = np.full((len(sites), len(channels), len(MEASURES)), np.nan, np.float32)

    def look(place: int) -> None:
        numbers[place] = _site(store, sites[place], screen.spec.channel_numbers, size)

    first, began = min(len(sites), 32), time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(look, range(first)))
        left = (time.perf_counter() - began) / first * (len(sites) - first)
        where = f"{size} px" if size else "full size"
        cost = f"{len(sites) * len(channels):,} images of {n_plates:,} plates at {where}, site {screen.spec.sites[0]}"
        say(f"image quality: {cost}, about {left:.0f} s")
        list(pool.map(look, range(first, len(sites))))
    everything = len(screen.wells[["experiment", "plate"]].drop_duplicates())
    part = "" if n_plates == everything else f" ({n_plates:,} of {everything:,} plates, spread evenly)"
    names = [
        f"{name} {number} {channel.name}".strip() for name in MEASURES for number, channel in enumerate(channels, 1)
    ]
    table = pd.DataFrame(np.moveaxis(numbers, 2, 1).reshape(len(sites), -1), columns=names)
    return Quality(pd.concat([wells[["id_code"]], table], axis=1), f"Measured on {cost}{part}.")


def from_stats(screen: Screen, path: Path) -> Quality:
    """Return mean and contrast as ``pixel_stats.csv`` has them, averaged over sites. UserError for another table."""
    rows = read_rows(path, ["id_code", "channel", "mean", "std"], others=None)
    rows = rows[rows["id_code"].isin(screen.wells["id_code"])]
    numbers = rows[["channel", "mean", "std"]].apply(pd.to_numeric, errors="coerce")
    if rows.empty or numbers.isna().any(axis=None):
        raise UserError(f"{path}: no well of the screen, or a channel, mean or std that is no number")
    means = numbers.rename(columns={"std": "contrast"}).groupby([rows["id_code"], "channel"]).mean().unstack()
    names = dict(enumerate((channel.name for channel in screen.spec.channels), start=1))
    means.columns = [f"{name} {int(number)} {names.get(int(number), '')}".strip() for name, number in means.columns]
    return Quality(means.reset_index(), f"From {path.name}, all sites averaged.")


def _site(store: Store, site: Site, channels: Sequence[int], size: int | None) -> np.ndarray:
    """Return the measures (C, M) of a site's channels, NaN for those that cannot be used."""
    found = np.full((len(channels), len(MEASURES)), np.nan, np.float32)
    for place, channel in enumerate(channels):
        try:
            found[place] = measure_quality(store.read(site, [channel], size)[0])
        except BadImage:
            continue
    return found


def _chosen(wells: pd.DataFrame, most: int) -> tuple[pd.DataFrame, int]:
    """Return the wells of so many whole plates, spread evenly, that they are about ``most``; and how many plates."""
    plate = wells.groupby(["experiment", "plate"], sort=True).ngroup()
    n_plates = int(plate.max()) + 1
    kept = max(1, min(n_plates, int(n_plates * most / len(wells))))
    numbers = np.unique(np.linspace(0, n_plates - 1, kept).round().astype(int))
    return wells[plate.isin(numbers)].reset_index(drop=True), len(numbers)
