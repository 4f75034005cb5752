import cv2
import numpy as np
import pytest
import torch

from rcic.errors import UserError
from rcic.pixels.batches.augment import build_sample_transform
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.images.complete import check_complete
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import STACKED, site_table
from rcic.screen.plate import CHANNELS
from rcic.screen.table import read_screen
from tests.pixels.conftest import SIZE, pixels, write_png


@pytest.fixture
def dataset(write_root, wells) -> SiteDataset:
    return SiteDataset(site_table(wells), FileStore(write_root()), (5, 2, 1))


def test_a_sample_carries_its_image_and_where_it_comes_from(dataset, wells):
    assert len(dataset) == 12
    sample = dataset[3]
    assert isinstance(sample["image"], torch.Tensor)
    assert sample["image"].dtype == torch.uint8
    expected = [pixels("HUVEC-01", "C03", 2, channel) for channel in (5, 2, 1)]
    assert np.array_equal(sample["image"].numpy(), expected)
    del sample["image"]
    assert sample == {
        "target": 1,
        "row": 3,
        "cell_type": "HUVEC",
        "experiment": "HUVEC-01",
        "plate": 1,
        "well": "C03",
        "site": 2,
        "id_code": "HUVEC-01_1_C03",
    }
    assert dataset[11]["target"] == -1


def test_size_is_an_area_mean(write_root, wells):
    dataset = SiteDataset(site_table(wells), FileStore(write_root()), (1, 2), size=SIZE // 2)
    stored = pixels("HUVEC-01", "B02", 1, 1).astype(float)
    means = stored.reshape(SIZE // 2, 2, SIZE // 2, 2).mean((1, 3))
    assert dataset.shape == (2, SIZE // 2, SIZE // 2)
    assert np.abs(dataset[0]["image"][0].numpy() - means).max() <= 0.5


def test_a_preloaded_dataset_gives_the_same_pixels(write_root, wells):
    rows, store = site_table(wells), FileStore(write_root())
    transform = build_sample_transform({"shear": 5})
    plain, loaded = (SiteDataset(rows, store, (1, 4), transform, size=16) for _ in range(2))
    assert loaded.preload()
    for path in store.root.rglob("*_w4.png"):
        if path.name != "B02_s1_w4.png":
            path.unlink()
    assert torch.equal(loaded[0, 0]["image"], plain[0, 0]["image"])
    assert not torch.equal(loaded[1, 5]["image"], loaded[2, 5]["image"])
    with pytest.raises(UserError, match="no such image file"):
        plain[1]


def test_a_cache_too_large_is_not_built(dataset):
    n_bytes = 12 * 3 * SIZE * SIZE
    assert not dataset.preload(limit=n_bytes - 1)
    assert dataset.preload(limit=n_bytes)


def test_a_sample_may_be_changed_without_harm(dataset):
    dataset.preload()
    before = dataset[0]["image"].clone()
    dataset[0]["image"].zero_()
    assert torch.equal(dataset[0]["image"], before)


def test_sites_of_several_sizes_need_a_size(write_root, wells):
    root = write_root()
    for channel in (1, 2):
        write_png(root / f"train/RPE-02/Plate1/B02_s1_w{channel}.png", np.zeros((30, 20), np.uint8))
    rows, store = site_table(wells), FileStore(root)
    with pytest.raises(
        UserError, match=r"RPE-02/Plate1/B02_s1_w1\.png: 30 x 20 pixels, but the first image is 24 x 24"
    ):
        SiteDataset(rows, store, (1, 2))[4]
    with pytest.raises(UserError, match="30 x 20"):
        SiteDataset(rows, store, (1, 2)).preload()
    assert SiteDataset(rows, store, (1, 2), size=16)[4]["image"].shape == (2, 16, 16)


def test_a_wrong_dataset_is_refused_when_it_is_built(write_root, wells):
    root = write_root()
    rows, store = site_table(wells), FileStore(root)
    with pytest.raises(UserError, match="no sites"):
        SiteDataset(rows[:0], store, (1,))
    with pytest.raises(UserError, match="there is no channel 7"):
        SiteDataset(rows, store, (1, 7))
    (root / "train/HUVEC-01/Plate1/B02_s1_w3.png").unlink()
    with pytest.raises(UserError, match=r"B02_s1_w3\.png: no such image file"):
        SiteDataset(rows, store, (1, 3))


def test_the_synthetic_screen_is_complete_and_reads(small_screen):
    store, wells = FileStore(small_screen), read_screen(small_screen).wells
    dataset = SiteDataset(check_complete(store, wells), store, CHANNELS, build_sample_transform({}))
    sample = dataset[0, len(dataset) - 1]
    assert len(dataset) == 2 * len(wells)
    assert sample["image"].shape == dataset.shape
    assert (sample["image"].flatten(1).max(1).values > 0).all()


def test_opencv_leaves_the_cores_to_the_workers():
    assert cv2.getNumThreads() == 1


@pytest.mark.parametrize("stacked", [(1, 1), (3,), (0, 1)])
def test_sites_that_cannot_be_stacked_are_refused(write_root, wells, stacked):
    with pytest.raises(UserError, match=r"cannot be stacked: name each once, of \[1, 2\]"):
        SiteDataset(wells, FileStore(write_root()), (1,), stacked=stacked)


@pytest.mark.parametrize("loaded", [False, True])
def test_a_stacked_sample_is_a_well(write_root, wells, loaded):
    store = FileStore(write_root())
    dataset = SiteDataset(wells, store, (5, 2), stacked=(2, 1))  # without a column "site"
    assert dataset.shape == (4, SIZE, SIZE)
    assert not loaded or dataset.preload()
    sample = dataset[3]
    expected = [pixels("RPE-02", "C03", site, channel) for site in (2, 1) for channel in (5, 2)]
    assert np.array_equal(sample["image"].numpy(), expected)
    assert (sample["site"], sample["id_code"], sample["target"]) == (STACKED, "RPE-02_1_C03", 1)
    other = SiteDataset(wells.assign(site=2), store, (5, 2), stacked=(2, 1))[3]
    assert torch.equal(other.pop("image"), sample.pop("image"))
    assert other == sample


def test_stacked_sites_share_one_geometry(write_root, wells):
    store, transform = FileStore(write_root()), build_sample_transform({"crop": 16}, seed=2)
    stacked = SiteDataset(wells, store, (3, 1), transform, stacked=(1, 2))
    by_site = SiteDataset(wells.assign(site=2), store, (3, 1), transform)  # the same row numbers
    for row in range(len(wells)):
        assert torch.equal(stacked[4, row]["image"][2:], by_site[4, row]["image"])


def test_a_bad_second_site_is_named(write_root, wells):
    root = write_root()
    write_png(root / "train/HUVEC-01/Plate1/C03_s2_w1.png", np.zeros((30, 20), np.uint8))
    dataset = SiteDataset(wells, FileStore(root), (1,), stacked=(1, 2))
    with pytest.raises(UserError, match=r"C03_s2_w1\.png: 30 x 20 pixels, but the first image is 24 x 24"):
        dataset[1]
    assert SiteDataset(wells, FileStore(root), (1,), size=8, stacked=(1, 2))[1]["image"].shape == (2, 8, 8)
