"""The layouts of a synthetic screen: the same wells and images in different tables and files.

``rcic`` is Kaggle's, ``rxrx1`` that of the public release, ``plate96`` the example of a custom screen: 96-well
plates with names, and 16-bit TIFFs. Each is read by its screen spec in configs/screens/.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import pandas as pd

from rcic.errors import UserError, nearest
from rcic.screen.pattern import fill, parts_of
from rcic.screen.plate import SITES, id_code, well_name
from rcic.screen.spec import ScreenSpec
from rcic.screen.spec_files import shipped_spec

ReleaseTables = dict[str, pd.DataFrame]
_INNER_96 = [well_name(row, column, 96) for row in range(1, 7) for column in range(1, 11)]  # B02 to G11
_LZW = 5  # libtiff's number of that compression
_ROLES = {"treatment": "compound", "positive_control": "positive", "negative_control": "negative"}


@dataclass(frozen=True)
class FileLayout:
    """One layout. The images are written with pattern number ``pattern_index`` of its screen spec."""

    name: str
    pattern_index: int
    sirna: Callable[[int], str | int]  # of a label
    tables: Callable[[pd.DataFrame], ReleaseTables]  # of wells with the columns that `named` returns

    @cached_property
    def spec(self) -> ScreenSpec:
        """The screen spec that reads the layout."""
        return shipped_spec(self.name)

    @property
    def pattern(self) -> str:
        """The pattern of the images' paths."""
        return self.spec.images.file[self.pattern_index]

    def named(self, wells: pd.DataFrame) -> pd.DataFrame:
        """Return the wells, in their order, with ``drawn`` (the well as it is drawn), and id_code, well, barcode, name.

        ``name`` is the siRNA's name in this layout.
        """
        wells = wells.assign(drawn=wells["well"], barcode=wells["plate"].astype(str))
        if self.spec.plate == 96:
            rank = wells.groupby(["experiment", "plate"])["well"].rank().astype(int) - 1
            n_wells = wells.groupby(["experiment", "plate"])["well"].transform("size")
            positions = (rank * len(_INNER_96) // n_wells).tolist()
            number = wells.groupby("experiment", sort=True).ngroup() + 1
            barcode = "BR" + (100 * number + wells["plate"]).astype(str).str.zfill(5)
            wells = wells.assign(well=[_INNER_96[position] for position in positions], barcode=barcode)
        codes = [
            id_code(*address) for address in zip(wells["experiment"], wells["barcode"], wells["well"], strict=True)
        ]
        return wells.assign(id_code=codes, name=[self.sirna(label) for label in wells["sirna"]])

    def path(self, split: str, experiment: str, barcode: str, well: str, site: int, channel: int) -> str:
        """Return an image's path below the data root."""
        return fill(self.pattern, parts_of(self.spec, split, experiment, barcode, well, site, channel))

    def encode(self, image: np.ndarray, channel: int) -> bytes:
        """Return an image (H, W) uint8 as a file's bytes: a PNG, or a 16-bit TIFF with the channel's levels."""
        if (levels := self.spec.levels(channel)) is None:
            return cv2.imencode(".png", image, (cv2.IMWRITE_PNG_COMPRESSION, 1))[1].tobytes()
        low, high = levels
        deep = np.rint(low + image * ((high - low) / 255)).astype(np.uint16)
        return cv2.imencode(".tif", deep, (cv2.IMWRITE_TIFF_COMPRESSION, _LZW))[1].tobytes()

    def decode(self, image: np.ndarray, channel: int) -> np.ndarray:
        """Return the image (H, W) uint8 of one that was read from its file."""
        if (levels := self.spec.levels(channel)) is None:
            return image
        low, high = levels
        return np.rint((image.astype(np.float64) - low) * (255 / (high - low))).clip(0, 255).astype(np.uint8)


def _kaggle(wells: pd.DataFrame) -> ReleaseTables:
    """Return the tables of the competition's first release; without the labels of test treatments."""
    address, treatment = ["id_code", "experiment", "plate", "well"], wells["well_type"] == "treatment"
    tables = {}
    for split in ("train", "test"):
        in_split = wells["split"] == split
        labels = ["sirna"] if split == "train" else []
        tables[f"{split}.csv"] = wells.loc[in_split & treatment, address + labels]
        tables[f"{split}_controls.csv"] = wells.loc[in_split & ~treatment, [*address, "sirna", "well_type"]]
    test = wells.loc[(wells["split"] == "test") & treatment, ["id_code"]]
    return tables | {"sample_submission.csv": test.assign(sirna=0)}


def _public(wells: pd.DataFrame) -> ReleaseTables:
    """Return the public release's table, a row a site, test labels included."""
    rows = wells.loc[wells.index.repeat(len(SITES))].assign(site=list(SITES) * len(wells))
    rows = rows.assign(site_id=rows["id_code"] + "_" + rows["site"].astype(str), dataset=rows["split"])
    rows = rows.assign(well_id=rows["id_code"], sirna_id=rows["sirna"], sirna=rows["name"])
    facts = ["site_id", "well_id", "cell_type", "dataset", "experiment", "plate", "well", "site", "well_type"]
    return {"metadata.csv": rows[[*facts, "sirna", "sirna_id"]]}


def _custom(wells: pd.DataFrame) -> ReleaseTables:
    """Return the table of the custom screen: without test labels, and with an empty well on each plate."""
    labelled = (wells["split"] == "train") | (wells["well_type"] != "treatment")
    use, role = wells["split"].map({"train": "known", "test": "unknown"}), wells["well_type"].map(_ROLES)
    rows = wells.assign(use=use, role=role, compound=wells["name"].where(labelled, ""))
    empty = rows.drop_duplicates(["experiment", "plate"]).assign(well="H12", role="empty", compound="")
    rows = pd.concat([rows, empty]).sort_values(["experiment", "barcode", "well"])
    rows = rows.rename(columns={"experiment": "batch", "cell_type": "cells"})
    return {"wells.csv": rows[["batch", "barcode", "well", "cells", "use", "role", "compound"]]}


LAYOUTS = {
    layout.name: layout
    for layout in (
        FileLayout(name="rcic", pattern_index=0, sirna=int, tables=_kaggle),
        FileLayout(name="rxrx1", pattern_index=1, sirna=lambda label: f"s{label:05d}", tables=_public),
        FileLayout(name="plate96", pattern_index=0, sirna=lambda label: f"compound-{label:04d}", tables=_custom),
    )
}


def find_layout(name: str) -> FileLayout:
    """Return the layout called ``name``; UserError with the nearest name for an unknown one."""
    if name not in LAYOUTS:
        raise UserError(f"layout {name!r} is unknown (known: {', '.join(LAYOUTS)}){nearest(name, LAYOUTS)}")
    return LAYOUTS[name]
