import numpy as np
import pandas as pd
import pytest
import torch

from rcic.errors import UserError
from rcic.pixels.batches.augment import build_sample_transform
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.batches.stats import STATISTICS_UNITS, group_stats, site_stats
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import site_table, stack_rows

KEYS = {
    "plate": lambda row: (row.experiment, row.plate),
    "experiment": lambda row: row.experiment,
    "cell_type": lambda row: row.cell_type,
    "global": lambda row: 0,
}


@pytest.fixture
def dataset(write_root, wells) -> SiteDataset:
    return SiteDataset(site_table(wells), FileStore(write_root()), (6, 1, 3), build_sample_transform({"shear": 30}))


def off_centre(n_wells: int = 5) -> tuple[pd.DataFrame, np.ndarray]:
    """Return rows of 2 experiments x 2 plates, whose images (R, 2, 9, 9) have another level and spread by plate."""
    places = [("HUVEC-01", "HUVEC", plate) for plate in (1, 2)] + [("RPE-01", "RPE", plate) for plate in (1, 2)]
    rows = pd.DataFrame(places * n_wells, columns=["experiment", "cell_type", "plate"])
    rng = np.random.default_rng(0)
    level, spread = rng.integers(40, 90, (4, 1, 2, 1, 1)), rng.integers(2, 12, (4, 1, 2, 1, 1))
    images = level + spread * rng.normal(size=(4, n_wells, 2, 9, 9))
    return rows, images.swapaxes(0, 1).reshape(-1, 2, 9, 9).clip(0, 255).astype(np.uint8)


def own(images: np.ndarray) -> np.ndarray:
    return np.stack([images.mean((2, 3)), images.std((2, 3))], axis=-1)


def test_wrong_input_is_refused():
    rows, images = off_centre()
    with pytest.raises(UserError, match=r"data\.norm: 'well' is none of plate, experiment"):
        group_stats(own(images), rows, "well")
    with pytest.raises(ValueError, match="19 rows for a table of 20"):
        group_stats(own(images)[1:], rows, "plate")


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("loaded", [False, True])
def test_every_site_is_measured_before_the_transform(dataset, threads, loaded):
    if loaded:
        dataset.preload()
    stats = site_stats(dataset, threads)
    images = np.stack([dataset.image(row) for row in range(len(dataset))]).astype(float)
    assert stats.shape == (12, 3, 2)
    assert stats.dtype == np.float64
    np.testing.assert_allclose(stats, own(images), rtol=1e-10)


def test_a_missing_image_is_named(dataset):
    path = dataset.store.root / "test/HUVEC-03/Plate1/C03_s2_w1.png"
    path.unlink()
    with pytest.raises(UserError, match=r"^\S*C03_s2_w1\.png: no such image file$"):
        site_stats(dataset)


def test_one_channel_and_stacked_sites(write_root, wells):
    store = FileStore(write_root())
    single = site_stats(SiteDataset(site_table(wells), store, (4,)))
    assert single.shape == (12, 1, 2)
    stacked = SiteDataset(stack_rows(site_table(wells), (2, 1))[0], store, (4,), stacked=(2, 1))
    assert np.array_equal(site_stats(stacked), single.reshape(6, 2, 2)[:, ::-1])


@pytest.mark.parametrize("by", STATISTICS_UNITS)
def test_a_group_s_statistics_are_those_of_all_its_pixels(by):
    rows, images = off_centre()
    result = group_stats(own(images), rows, by)
    assert result.shape == (20, 2, 2)
    assert result.dtype == np.float32
    keys = [KEYS[by](row) for row in rows.itertuples()]
    for at, key in enumerate(keys):
        pixels = np.stack([image for image, other in zip(images, keys, strict=True) if other == key])
        np.testing.assert_allclose(result[at, :, 0], pixels.mean((0, 2, 3)), rtol=1e-6)
        np.testing.assert_allclose(result[at, :, 1], pixels.std((0, 2, 3)), rtol=1e-6)


def test_an_off_centre_plate_has_mean_0_and_variance_1():
    rows, images = off_centre()
    stats = torch.from_numpy(group_stats(own(images), rows, "plate"))
    result = normalize(torch.from_numpy(images), stats)
    for _, plate in rows.groupby(["experiment", "plate"]):
        part = result[plate.index.tolist()]
        torch.testing.assert_close(part.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(part.square().mean((0, 2, 3)), torch.ones(2), atol=1e-5, rtol=0)
    assert result.mean((2, 3)).abs().min() > 0.001  # an image's own mean stays


def test_statistics_do_not_depend_on_the_order_of_rows():
    rows, images = off_centre()
    order = np.random.default_rng(1).permutation(len(rows))
    straight = group_stats(own(images), rows, "plate")
    mixed = group_stats(own(images)[order], rows.iloc[order], "plate")
    np.testing.assert_allclose(mixed, straight[order], rtol=1e-6)


def test_the_dataset_hands_each_sample_its_own(dataset):
    assert "stats" not in dataset[0]
    stats = group_stats(site_stats(dataset), site_table_of(dataset), "experiment")
    dataset.set_stats(stats)
    sample = dataset[3, 5]
    assert torch.equal(sample["stats"], torch.from_numpy(stats[5]))
    sample["stats"].zero_()
    assert torch.equal(dataset[5]["stats"], torch.from_numpy(stats[5]))
    with pytest.raises(ValueError, match=r"stats \(11, 3, 2\)"):
        dataset.set_stats(stats[1:])


def site_table_of(dataset: SiteDataset) -> pd.DataFrame:
    return pd.DataFrame({"experiment": [dataset[row]["experiment"] for row in range(len(dataset))]})
