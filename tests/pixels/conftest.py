from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.store import Store
from rcic.pixels.packed.manifest import MARK
from rcic.pixels.packed.pack_screen import pack
from rcic.pixels.packed.packed_store import PackedStore
from rcic.screen.plate import CHANNELS, SITES, cell_type_of, id_code, image_name

SIZE = 24
EXPERIMENTS = {"HUVEC-01": "train", "RPE-02": "train", "HUVEC-03": "test"}
WELLS = ("B02", "C03")


def pixels(experiment: str, well: str, site: int, channel: int, size: int = SIZE) -> np.ndarray:
    """Return an image (size, size) uint8 that is another one for each place."""
    number = list(EXPERIMENTS).index(experiment) * 100 + WELLS.index(well) * 50 + site * 10 + channel
    return np.random.default_rng(number).integers(0, 256, (size, size), dtype=np.uint8)


def write_png(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def open_root(root: Path) -> Store:
    """Return what reads the images of a root without tables, packed or not."""
    return PackedStore(root) if (root / MARK).exists() else FileStore(root)


@pytest.fixture
def wells() -> pd.DataFrame:
    rows = [
        {
            "id_code": id_code(experiment, 1, well),
            "experiment": experiment,
            "cell_type": cell_type_of(experiment),
            "plate": 1,
            "well": well,
            "split": split,
            "well_type": "treatment",
            "label": label if split == "train" else -1,
        }
        for experiment, split in EXPERIMENTS.items()
        for label, well in enumerate(WELLS)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def write_root(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the images of `wells` in Kaggle's layout or, by="images", in RxRx1's."""

    def write(by: str = "split") -> Path:
        root = tmp_path / "data"
        for experiment, split in EXPERIMENTS.items():
            for well in WELLS:
                for site in SITES:
                    for channel in CHANNELS:
                        name = image_name(experiment, 1, well, site, channel)
                        folder = split if by == "split" else by
                        write_png(root / folder / name, pixels(experiment, well, site, channel))
        return root

    return write


@pytest.fixture
def pack_root(wells, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that packs what `write_root` wrote, at further sizes if they are given."""

    def packed(root: Path, sizes: tuple[int, ...] = ()) -> Path:
        write_tables(root, wells)
        pack(root, tmp_path / "packed", sizes, threads=2, verify=False)
        return tmp_path / "packed"

    return packed


def write_tables(root: Path, wells: pd.DataFrame) -> None:
    """Write Kaggle's four tables of the wells, which are treatments; their controls are in a well of their own."""
    place = ["id_code", "experiment", "plate", "well"]
    for split in ("train", "test"):
        rows = wells[wells["split"] == split]
        labels = {"sirna": rows["label"]} if split == "train" else {}
        rows[place].assign(**labels).to_csv(root / f"{split}.csv", index=False)
        controls = rows.drop_duplicates("experiment").assign(well="D05", sirna=9, well_type="negative_control")
        controls["id_code"] = controls["experiment"] + "_1_D05"
        controls[[*place, "sirna", "well_type"]].to_csv(root / f"{split}_controls.csv", index=False)
