"""What one number a well says of the dose: ``PYTHONPATH=src python benchmarks/sbs96_baseline.py SBS96_FOLDER``.

The plate is CellProfiler's ExampleSBSImages (BSD-3): GFP-tagged FOXO1A that moves from the cytoplasm into the nucleus
with the dose, and DNA. The number is the Pearson correlation of GFP and DNA over the pixels of a well's image: of the
whole image, or of the pixels where either stain is above its threshold by Otsu (IEEE Trans. Syst. Man Cybern. 9:62-66,
1979). Nothing is learnt. Prints Spearman's rank correlation with the dose over the wells whose images are there, the
line for a network's `spearman_expected` to beat; `rcic score` prints that of held-out wells. The lowest and the highest
dose are the plate's controls; the second lines are over the other doses, the wells that a network is scored on.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from rcic.decide.dose_metrics import spearman

TABLE = "1049_Metadata.csv"  # Column, Row, SBS_Doses
AREAS = {"whole": "the whole image", "cells": "the pixels of cells"}


def wells(folder: Path) -> pd.DataFrame:
    """Return the wells whose two images are there: row, column, dose, and the numbers of AREAS."""
    table = pd.read_csv(folder / TABLE)
    found = []
    for row, column, dose in table[["Row", "Column", "SBS_Doses"]].itertuples(index=False):
        name = f"{12 * (ord(row) - ord('A')) + column:02}-{row}-{column:02}.tif"
        paths = [folder / f"Channel{channel}-{name}" for channel in (1, 2)]
        if all(path.exists() for path in paths):
            found.append((row, column, dose, *correlations(*map(read_grey, paths))))
    return pd.DataFrame(found, columns=["row", "column", "dose", *AREAS])


def read_grey(path: Path) -> np.ndarray:
    """Return the grey levels (H, W) uint8 of a palette TIFF; ValueError unless its palette is the plain grey ramp."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        if page.colormap is not None and (page.colormap != 257 * np.arange(256)).any():
            raise ValueError(f"{path}: its palette is no grey ramp")
        return np.asarray(page.asarray())


def correlations(gfp: np.ndarray, dna: np.ndarray) -> tuple[float, float]:
    """Return the correlation of two images (H, W) uint8 over all pixels, and over those of cells."""
    cells = (gfp > threshold(gfp)) | (dna > threshold(dna))
    return float(np.corrcoef(gfp.ravel(), dna.ravel())[0, 1]), float(np.corrcoef(gfp[cells], dna[cells])[0, 1])


def threshold(image: np.ndarray) -> int:
    """Return Otsu's threshold of a uint8 image: the level with the largest variance between those below and above."""
    count = np.bincount(image.ravel(), minlength=256)
    below, summed = count.cumsum(), (count * np.arange(256)).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (summed[-1] * below / below[-1] - summed) ** 2 / (below * (below[-1] - below))
    return int(np.nanargmax(between))


def lines(table: pd.DataFrame) -> list[str]:
    """Return what is printed: for each area Spearman over all wells, and the range over the plate's rows."""
    said = [f"{len(table)} wells, doses {table['dose'].min()} to {table['dose'].max()}"]
    for area, name in AREAS.items():
        rows = [spearman(part[area].to_numpy(), part["dose"].to_numpy()) for _, part in table.groupby("row")]
        rho = spearman(table[area].to_numpy(), table["dose"].to_numpy())
        said.append(
            f"GFP/DNA correlation of {name}: Spearman {rho:.2f} with the dose (rows {min(rows):.2f} to {max(rows):.2f})"
        )
    return said


if __name__ == "__main__":
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / TABLE).exists():
        sys.exit(f"usage: python benchmarks/sbs96_baseline.py FOLDER, with {TABLE} and the images")
    table = wells(Path(sys.argv[1]))
    between = table["dose"].between(table["dose"].min(), table["dose"].max(), inclusive="neither")
    print("\n".join([*lines(table), *lines(table[between])]))
