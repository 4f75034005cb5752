"""Options of `rcic profiles`: which columns of a table are what, and what becomes of features."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ProfileColumns:
    """The names of the columns of wells in a table of profiles, where they are not guessed from the usual ones.

    Attributes:
        plate: column with the plate, e.g. Metadata_Plate.
        well: column with the well, as B02 or B2.
        experiment: column with the experiment, or batch, of a plate.
    """

    plate: str | None = None
    well: str | None = None
    experiment: str | None = None


@dataclass(frozen=True)
class ScreenColumns:
    """The columns and values that make the screen, where they are not guessed from the usual ones.

    Attributes:
        wells: a table of wells, CSV or Parquet, with what the profiles lack (treatments, say), joined by plate and
            well.
        cell_type: column with the cell type; without one there is a single one.
        treatment: column with the treatment, or several, e.g. Compound,Concentration, whose values become one name.
        control: column that says which wells are controls.
        negative: values of that column, or treatments, of negative controls.
        positive: values of that column, or treatments, of positive controls.
        test: the test wells, whole plates, as COLUMN=VALUE or COLUMN=VALUE,VALUE, e.g. Metadata_Replicate=3.
        channels: names of the channels that were imaged, for the screen spec.
    """

    wells: str | None = None
    cell_type: str | None = None
    treatment: tuple[str, ...] = ()
    control: str | None = None
    negative: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    channels: tuple[str, ...] = ("profiles",)


@dataclass(frozen=True)
class FeatureOptions:
    """Features.

    Attributes:
        features: columns of features, by name or beginning, e.g. Cells_,Nuclei_; the columns of numbers that are no
            metadata if not given.
        average: mean or median of the rows of a well, if it has several (sites, cells).
        scale: standard subtracts each feature's mean over all wells and divides by its standard deviation, so that
            cosines are not those of the few largest features; off leaves them as they are.
        missing: drop leaves out features with NaN or infinity, refuse ends with an error.
    """

    features: tuple[str, ...] = ()
    average: Literal["mean", "median"] = "mean"
    scale: Literal["standard", "off"] = "standard"
    missing: Literal["drop", "refuse"] = "drop"
