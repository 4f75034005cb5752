"""The screen is learnable, and plates are in the way: what a handful of plain image features tells."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from rcic.screen.plate import CHANNELS, SITES, image_name
from rcic.screen.table import read_screen


def features(images: np.ndarray) -> np.ndarray:
    """Return log mean, contrast and grain of six images (6, H, W), (18,)."""
    light = images.astype(np.float32)
    mean = light.mean(axis=(1, 2)) + 0.1
    grain = [(image - cv2.GaussianBlur(image, (0, 0), 1.0)).std() for image in light]
    return np.concatenate([np.log(mean), light.std(axis=(1, 2)) / mean, np.array(grain) / mean])


@pytest.fixture(scope="module")
def profiles(small_screen: Path) -> pd.DataFrame:
    """Return the wells with their features, both sites averaged; test treatments with their hidden label."""
    wells = read_screen(small_screen).wells.set_index("id_code")
    truth = pd.read_csv(small_screen / "truth/test.csv").set_index("id_code")["sirna"]
    wells["label"] = truth.reindex(wells.index).fillna(wells["label"]).astype(int)
    found = [
        np.mean([features(read_site(small_screen, well, site)) for site in SITES], axis=0)
        for well in wells.to_dict("records")
    ]
    return wells.join(pd.DataFrame(found, index=wells.index))


def read_site(root: Path, well: dict, site: int) -> np.ndarray:
    place = (well["experiment"], well["plate"], well["well"], site)
    paths = [root / well["split"] / image_name(*place, channel) for channel in CHANNELS]
    return np.stack([cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in paths])


def same_label_nearest(values: pd.DataFrame, wells: pd.DataFrame) -> float:
    """Return how often a well's nearest well of another experiment, same cell type, has its label."""
    hits = []
    for _, rows in wells.groupby("cell_type"):
        points = values.loc[rows.index].to_numpy()
        distance = ((points[:, None] - points) ** 2).sum(axis=2)
        distance[rows["experiment"].to_numpy()[:, None] == rows["experiment"].to_numpy()] = np.inf
        label = rows["label"].to_numpy()
        hits.append(label[distance.argmin(axis=1)] == label)
    return float(np.concatenate(hits).mean())


def test_plates_hide_the_sirnas_and_controls_uncover_them(profiles: pd.DataFrame) -> None:
    columns = list(range(18))
    plates = profiles.groupby(["experiment", "plate"])[columns]
    negative = profiles["well_type"] == "negative_control"
    reference = profiles[negative].groupby(["experiment", "plate"])[columns].mean()
    centre = reference.reindex(pd.MultiIndex.from_frame(profiles[["experiment", "plate"]])).set_axis(profiles.index)
    raw = profiles[columns] / profiles[columns].std()
    centred = profiles[columns] - centre
    centred /= centred.std()
    treated = profiles[~negative]
    chance = 1 / treated["label"].nunique()
    plain, corrected = same_label_nearest(raw, treated), same_label_nearest(centred, treated)
    assert corrected > 2.5 * chance and corrected > plain
    assert plates.ngroups == 28


def test_a_strong_control_stands_out_of_the_noise_of_negative_wells(profiles: pd.DataFrame, small_screen: Path) -> None:
    effects = pd.read_csv(small_screen / "truth/effects.csv")
    controls = profiles.loc[profiles["well_type"] == "positive_control", "label"].unique()
    of_controls = effects[effects["sirna"].isin(controls) & (effects["cell_type"] == "HUVEC")]
    strongest = of_controls.groupby("sirna")["units"].apply(lambda units: (units**2).sum()).idxmax()
    rows = profiles[profiles["cell_type"] == "HUVEC"]
    columns, place = list(range(18)), ["experiment", "plate"]
    negative = rows[rows["well_type"] == "negative_control"]
    noise = negative.groupby(place)[columns].std().pow(2).mean().pow(0.5)
    shift = rows[rows["label"] == strongest].groupby(place)[columns].mean() - negative.groupby(place)[columns].mean()
    assert (shift.mean().abs() / noise).max() > 2
