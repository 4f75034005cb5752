"""Image quality: of images whose numbers are known, and of pixel_stats.csv."""

import cv2
import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.pixels.packed.open_store import open_store
from rcic.report.quality import MEASURES, from_images, from_stats, measure_quality
from rcic.screen.table import read_screen


def test_measures_of_known_images():
    flat = measure_quality(np.full((32, 32), 40, np.uint8))
    assert flat[:2] == (40, 0) and np.isnan(flat[2]) and flat[3] == 0
    half = np.zeros((32, 32), np.uint8)
    half[:, 16:] = 255
    mean, contrast, _, saturated = measure_quality(half)
    assert (mean, contrast, saturated) == (127.5, 127.5, 50)


def test_a_blurred_image_has_less_focus():
    sharp = np.random.default_rng(0).integers(0, 200, (64, 64), np.uint8)
    focus = [measure_quality(cv2.GaussianBlur(sharp, (0, 0), sigma) if sigma else sharp)[2] for sigma in (0, 1, 3)]
    assert focus[0] > 2 * focus[1] > 4 * focus[2] > 0


def test_every_well_of_a_small_screen(small_screen):
    screen, said = read_screen(small_screen), []
    found = from_images(screen, open_store(screen), 10**6, said.append, 1)
    assert found.table["id_code"].tolist() == screen.wells["id_code"].tolist()
    assert found.table.shape[1] == 1 + len(MEASURES) * len(screen.spec.channels)
    stats = pd.read_csv(small_screen / "pixel_stats.csv").set_index("id_code")
    stats = stats[(stats["site"] == 1) & (stats["channel"] == 1)].loc[found.table["id_code"]]
    assert found.table["mean 1 nucleus"].tolist() == pytest.approx(stats["mean"].tolist(), rel=1e-4)
    assert found.table["contrast 1 nucleus"].tolist() == pytest.approx(stats["std"].tolist(), rel=1e-4)
    n_images = len(screen.wells) * len(screen.spec.channels)
    assert len(said) == 1 and said[0].startswith(f"image quality: {n_images:,} images")
    assert f"{n_images:,} images" in found.note and "spread evenly" not in found.note


def test_with_few_images_allowed_whole_plates_are_looked_at(small_screen):
    screen = read_screen(small_screen)
    found = from_images(screen, open_store(screen), 1, lambda _: None, 1)
    wells = screen.wells[screen.wells["id_code"].isin(found.table["id_code"])]
    assert len(wells[["experiment", "plate"]].drop_duplicates()) == 1
    first = screen.wells.sort_values(["experiment", "plate"]).iloc[0]
    of_plate = (screen.wells["experiment"] == first["experiment"]) & (screen.wells["plate"] == first["plate"])
    assert len(found.table) == of_plate.sum()
    assert "spread evenly" in found.note


def test_an_image_that_cannot_be_used_is_left_out(small_screen, tmp_path):
    for path in small_screen.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(small_screen)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    screen = read_screen(tmp_path)
    well = screen.wells.iloc[0]
    bad = tmp_path / well["split"] / well["experiment"] / f"Plate{well['plate']}" / f"{well['well']}_s1_w2.png"
    bad.unlink()
    bad.write_bytes(b"not a PNG")
    table = from_images(screen, open_store(screen), 10**6, lambda _: None, 1).table
    assert table.iloc[0].filter(like="mean").isna().tolist() == [False, True, False, False, False, False]
    assert table.iloc[1:].filter(like="mean").notna().all(axis=None)


def test_statistics_of_a_file(data):
    (data / "pixel_stats.csv").write_text(
        "id_code,site,channel,mean,std\nRPE-01_1_B03,1,1,10,2\nRPE-01_1_B03,2,1,20,4\nelsewhere,1,1,0,0\n"
    )
    found = from_stats(read_screen(data), data / "pixel_stats.csv").table
    assert found.to_dict("records") == [{"id_code": "RPE-01_1_B03", "mean 1 nucleus": 15, "contrast 1 nucleus": 3}]


@pytest.mark.parametrize(
    "text", ["id_code,channel,mean,std\nRPE-01_1_B03,1,much,2\n", "id_code,channel,mean,std\nX,1,1,2\n"]
)
def test_statistics_that_are_none(data, text):
    (data / "pixel_stats.csv").write_text(text)
    with pytest.raises(UserError, match="no well of the screen, or a channel, mean or std that is not a number"):
        from_stats(read_screen(data), data / "pixel_stats.csv")
