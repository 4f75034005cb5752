"""A small screen of a user: two experiments and a test one, one plate each, two wells, two channels, 16-bit TIFFs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import yaml

PLATES = (("b1", "P1"), ("b2", "P2"), ("b3", "P3"))
WELLS = ("A01", "A02")
FORM: dict[str, Any] = {
    "name": "own",
    "plate": 96,
    "sites": [1],
    "channels": [{"name": "nucleus"}, {"name": "actin"}],
    "tables": [{"file": "wells.csv"}],
    "columns": {"experiment": "batch", "plate": "barcode", "label": "compound"},
    "cell_type": {"name": "U2OS"},
    "groups": "none",
    "assignment": "none",
}


def write_form(root: Path, pattern: str, plates: Sequence[tuple[str, str]] = PLATES, **over: object) -> Path:
    """Write the table and the form of a screen; its last experiment is unlabelled. Return the folder."""
    root.mkdir(parents=True, exist_ok=True)
    images = {"file": [pattern], "bits": 16, "levels": [0, 4095]}
    (root / "screen.yml").write_text(yaml.safe_dump(FORM | {"images": images} | over, sort_keys=False))
    rows = [
        f"{batch},{plate},{well},{'' if batch == plates[-1][0] else 'xy'[number]}\n"
        for batch, plate in plates
        for number, well in enumerate(WELLS)
    ]
    (root / "wells.csv").write_text("batch,barcode,well,compound\n" + "".join(rows))
    return root


def write_tiff(path: Path, seed: int, n_pages: int = 1) -> Path:
    """Write a TIFF of noise, another one for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(100, 4000, (n_pages, 32, 32)).astype(np.uint16)
    tifffile.imwrite(path, image[0] if n_pages == 1 else image, photometric="minisblack")
    return path


def write_images(root: Path, name: str, plates: Sequence[tuple[str, str]] = PLATES) -> Path:
    """Write the images of a screen; ``name`` has {batch}, {plate}, {well} and {c}. Return the folder."""
    images = [(batch, plate, well, c) for batch, plate in plates for well in WELLS for c in (1, 2)]
    for seed, (batch, plate, well, c) in enumerate(images):
        write_tiff(root / name.format(batch=batch, plate=plate, well=well, c=c), seed)
    return root
