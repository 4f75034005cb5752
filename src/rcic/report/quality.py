"""Image quality of each well: brightness, contrast, focus and saturation of each channel.

Measured on the images, one site a well, or else read from ``pixel_stats.csv`` of the competition's data.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from rcic.errors import UserError, plural
from rcic.files.regular import UNREADABLE
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.sites import Site, site_table, sites_of
from rcic.pixels.images.store import Store
from rcic.screen.rows import read_rows
from rcic.screen.table import Screen

STATS = "pixel_stats.csv"
MEASURES = {
    "mean": "mean grey level, 0 to 255",
    "contrast": "standard deviation of grey levels",
    "focus": "standard deviation of the Laplacian, relative to that of the grey levels; lower in a blurred image",
    "saturated": "pixels at 255, in %",
}
_LEAST_SIDE = 128  # pixels of a packed size that is read instead of the full one


@dataclass(frozen=True, eq=False)
class Quality:
    """A row a well: id_code and a column a measure and channel, ``"mean 1 nucleus"``; and a note on its source."""

    table: pd.DataFrame
    note: str


def measure_quality(image: np.ndarray) -> tuple[float, float, float, float]:
    """Return :data:`MEASURES` of an image (H, W) uint8."""
    mean, spread = (float(number[0, 0]) for number in cv2.meanStdDev(image))
    edges = float(cv2.meanStdDev(cv2.Laplacian(image, cv2.CV_16S))[1][0, 0])
    saturated = 100 * cv2.countNonZero(cv2.inRange(image, 255, 255)) / image.size
    return mean, spread, edges / spread if spread > 0 else np.nan, saturated


def from_images(screen: Screen, store: Store, most: int, say: Callable[[str], None], threads: int) -> Quality:
    """Return the quality of the first site of each well; of some whole plates if that is more than ``most`` images.

    ``say`` gets the estimated cost as soon as it is known. Unusable images are left out.
    """
    channels = screen.spec.channels
    wells, n_plates = _chosen(screen.wells, most // len(channels))
    sites = sites_of(site_table(wells, screen.spec.sites[:1]))
    size = min((side for side in store.sizes if side >= _LEAST_SIDE), default=None)
    numbers = np.full((len(sites), len(channels), len(MEASURES)), np.nan, np.float32)

    def measure(index: int) -> None:
        numbers[index] = _site(store, sites[index], screen.spec.channel_numbers, size)

    first, began = min(len(sites), 32), time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(measure, range(first)))
        seconds = (time.perf_counter() - began) / first * (len(sites) - first)
        resolution = f"{size} px" if size else "full size"
        n_images = f"{len(sites) * len(channels):,} images of {plural(n_plates, 'plate')}"
        cost = f"{n_images} at {resolution}, site {screen.spec.site_name(screen.spec.sites[0])}"
        say(f"image quality: {cost}, about {seconds:.0f} s")
        list(pool.map(measure, range(first, len(sites))))
    all_plates = len(screen.wells[["experiment", "plate"]].drop_duplicates())
    subset_note = "" if n_plates == all_plates else f" ({n_plates:,} of {all_plates:,} plates, spread evenly)"
    names = [
        f"{name} {number} {channel.name}".strip() for name in MEASURES for number, channel in enumerate(channels, 1)
    ]
    table = pd.DataFrame(np.moveaxis(numbers, 2, 1).reshape(len(sites), -1), columns=names)
    return Quality(pd.concat([wells[["id_code"]], table], axis=1), f"Measured on {cost}{subset_note}.")


def from_stats(screen: Screen, path: Path) -> Quality:
    """Return mean and contrast of ``pixel_stats.csv``, averaged over sites; UserError for any other table."""
    rows = read_rows(path, ["id_code", "channel", "mean", "std"], others=None)
    rows = rows[rows["id_code"].isin(screen.wells["id_code"])]
    numbers = rows[["channel", "mean", "std"]].apply(pd.to_numeric, errors="coerce")
    if rows.empty or numbers.isna().any(axis=None):
        raise UserError(f"{path}: no well of the screen, or a channel, mean or std that is not a number")
    means = numbers.rename(columns={"std": "contrast"}).groupby([rows["id_code"], "channel"]).mean().unstack()
    names = dict(enumerate((channel.name for channel in screen.spec.channels), start=1))
    means.columns = [f"{name} {int(number)} {names.get(int(number), '')}".strip() for name, number in means.columns]
    return Quality(means.reset_index(), f"From {path.name}, all sites averaged.")


def _site(store: Store, site: Site, channels: Sequence[int], size: int | None) -> np.ndarray:
    """Return the measures (C, M) of a site's channels, NaN for unusable images.

    Raises BadImage for an image that the system does not let be read.
    """
    measures = np.full((len(channels), len(MEASURES)), np.nan, np.float32)
    for index, channel in enumerate(channels):
        try:
            measures[index] = measure_quality(store.read(site, [channel], size)[0])
        except BadImage as error:
            if error.kind == UNREADABLE:
                raise
    return measures


def _chosen(wells: pd.DataFrame, most: int) -> tuple[pd.DataFrame, int]:
    """Return about ``most`` wells of complete plates, spread evenly, and the number of plates."""
    plate = wells.groupby(["experiment", "plate"], sort=True).ngroup()
    n_plates = int(plate.max()) + 1
    kept = max(1, min(n_plates, int(n_plates * most / len(wells))))
    numbers = np.unique(np.linspace(0, n_plates - 1, kept).round().astype(int))
    return wells[plate.isin(numbers)].reset_index(drop=True), len(numbers)
