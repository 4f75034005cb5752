"""The profiles of BBBC021 as the benchmark uses them.

`BBBC021 version 1 <https://bbbc.broadinstitute.org/BBBC021>`_ (Caie et al. 2010; Ljosa et al. 2012): MCF-7 cells, 55
plates of 10 weeks. The profiles are those of Ljosa et al. 2013, means over the cells of a well of 516 CellProfiler
features, of the wells with a known mechanism (103 treatments, i.e. compounds at a concentration) and of DMSO.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

PROFILES = "ljosa_jbiomolscreen_2013_per_well_mean.csv.gz"
IMAGES = "BBBC021_v1_image.csv.gz"
MECHANISMS = "BBBC021_v1_moa.csv"
CONTROL = "DMSO"
_WELL = {
    "Image_Metadata_Plate_DAPI": "plate",
    "Image_Metadata_Well_DAPI": "well",
    "Image_Metadata_Compound": "compound",
    "Image_Metadata_Concentration": "concentration",
}


@dataclass(frozen=True, eq=False)
class Profiles:
    """N wells, each a profile of D features.

    ``wells`` has N rows with the columns experiment (the week), plate, well, cell_type, well_type (treatment or
    negative_control), compound, concentration, mechanism, label (0..K-1 of the treatment, -1 of a control) and
    replicate (0, 1, 2: the rank of the plate among those of the treatment; -1 of a control).
    """

    features: np.ndarray  # (N, D) float64, as measured
    names: list[str]  # (D,)
    wells: pd.DataFrame

    @property
    def treated(self) -> np.ndarray:
        """The mask, (N,) bool, of the treatment wells."""
        return (self.wells["label"] >= 0).to_numpy()

    @property
    def scaled(self) -> np.ndarray:
        """The features, (N, D) float64, in units of their standard deviation over all control wells, less the mean."""
        controls = self.features[~self.treated]
        return (self.features - controls.mean(axis=0)) / controls.std(axis=0)


def read(folder: Path) -> Profiles:
    """Return the profiles in a folder with the three files of BBBC021, sorted by plate and well."""
    table = pd.read_csv(folder / PROFILES).rename(
        columns={"Image_Metadata_Plate": "plate", "Image_Metadata_Well": "well"}
    )
    names = [name for name in table.columns if name not in ("plate", "well")]
    images = pd.read_csv(folder / IMAGES)[list(_WELL)].rename(columns=_WELL).drop_duplicates()
    mechanisms = pd.read_csv(folder / MECHANISMS).rename(columns={"moa": "mechanism"})
    wells = table[["plate", "well"]].merge(images, how="left", validate="1:1")
    wells = wells.merge(mechanisms, on=["compound", "concentration"], how="left")
    order = wells.sort_values(["plate", "well"]).index
    return Profiles(table.loc[order, names].to_numpy(np.float64), names, _described(wells.loc[order]))


def _described(wells: pd.DataFrame) -> pd.DataFrame:
    """Return the wells with the columns of `Profiles`."""
    control = wells["compound"] == CONTROL
    treatment = (wells["compound"] + "@" + wells["concentration"].astype(str)).mask(control)
    wells = wells.assign(
        experiment=wells["plate"].str.split("_").str[0],
        cell_type="MCF7",
        well_type=np.where(control, "negative_control", "treatment"),
        label=pd.factorize(treatment, sort=True)[0],
    )
    rank = wells[~control].groupby("label").cumcount()
    return wells.assign(replicate=rank.reindex(wells.index, fill_value=-1)).reset_index(drop=True)
