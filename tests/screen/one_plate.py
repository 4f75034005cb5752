"""A screen unlike RxRx1: one named plate, everything labelled, a compound a well in two replicates, no assignment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from rcic.screen.plate import wells_of

BATCH, PLATE = "2026-11", "BR0042"


def write_plate(root: Path, wells: Sequence[str] = wells_of(96)[:8], controls: bool = False, **spec: Any) -> Path:
    """Write the tables and the screen spec of the plate into a new folder and return it; no images."""
    root.mkdir(parents=True, exist_ok=True)
    labels = ["dmso" if controls and n % 4 == 3 else f"cpd {n // 2 % 4}" for n in range(len(wells))]
    lines = [f"{BATCH},{PLATE},{well},{label}" for well, label in zip(wells, labels, strict=True)]
    (root / "wells.csv").write_text("\n".join(["batch,barcode,well,compound", *lines]) + "\n")
    plain = {
        "name": "one plate",
        "plate": 96,
        "channels": [{"name": "DNA", "colour": "#0000ff"}, {"name": "actin", "colour": "#ff0000"}],
        "images": {"file": ["images/{plate}/{well}_s{site}_w{channel}.png"], "pixel_um": 0.5},
        "tables": [{"file": "wells.csv"}],
        "columns": {"experiment": "batch", "plate": "barcode", "label": "compound"},
        "split": {"test_experiments": []},
        "well_types": {"negative_control": ["dmso"]} if controls else {},
        "cell_type": {"name": "U2OS"},
        "assignment": "none",
    }
    (root / "screen.yml").write_text(yaml.safe_dump(plain | spec))
    return root


def write_images(root: Path, wells: Sequence[str] = wells_of(96)[:8], side: int = 32, channels: int = 2) -> None:
    """Write the images of the wells: noise that is brighter from well to well."""
    folder = root / "images" / PLATE
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for n, well in enumerate(wells):
        for channel in range(1, channels + 1):
            image = random.integers(0, 20 + 10 * (n % 20), (side, side), dtype=np.uint8)
            (folder / f"{well}_s1_w{channel}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
