import gc
import itertools
import pickle

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from rcic.errors import UserError
from rcic.pixels.augment import build
from rcic.pixels.dataset import META, SampleError, SiteDataset, resize
from rcic.pixels.sampler import EpochSampler
from rcic.pixels.store import PngStore, check_files, site_table, stack_rows
from rcic.screen.plate import CHANNELS
from rcic.screen.table import read_screen
from tests.pixels.conftest import SIZE, pixels, write_png

few_cores = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture
def quick_end(monkeypatch):
    """Shorten the 5 s for which PyTorch waits for the workers of a loader that ended with an error."""
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.1)
    yield
    gc.collect()  # the loader lives on in the error's traceback


@pytest.fixture
def dataset(write_root, wells) -> SiteDataset:
    return SiteDataset(site_table(wells), PngStore(write_root()), (5, 2, 1))


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


def test_a_batch_collates(dataset):
    batch = next(iter(DataLoader(dataset, batch_size=5)))
    assert batch["image"].shape == (5, 3, SIZE, SIZE)
    assert batch["target"].tolist() == [0, 0, 1, 1, 0]
    assert batch["row"].tolist() == [0, 1, 2, 3, 4]
    assert batch["site"].tolist() == [1, 2, 1, 2, 1]
    assert batch["id_code"][4] == "RPE-02_1_B02"
    assert set(batch) == {"image", "target", "row", *META}


def test_size_is_an_area_mean(write_root, wells):
    dataset = SiteDataset(site_table(wells), PngStore(write_root()), (1, 2), size=SIZE // 2)
    stored = pixels("HUVEC-01", "B02", 1, 1).astype(float)
    means = stored.reshape(SIZE // 2, 2, SIZE // 2, 2).mean((1, 3))
    assert dataset.shape == (2, SIZE // 2, SIZE // 2)
    assert np.abs(dataset[0]["image"][0].numpy() - means).max() <= 0.5


def test_resize_keeps_what_fits_and_can_enlarge():
    image = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    assert resize(image, 4) is image
    assert resize(image, 8).shape == (2, 8, 8)
    assert np.array_equal(resize(image, 2), [[[3, 5], [11, 13]], [[19, 21], [27, 29]]])  # of 2.5, 4.5 ...


def test_a_preloaded_dataset_gives_the_same_pixels(write_root, wells):
    rows, store = site_table(wells), PngStore(write_root())
    transform = build({"shear": 5})
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


@few_cores
@pytest.mark.parametrize("extra", [[], ["noise"]])
def test_pixels_do_not_depend_on_the_workers(write_root, wells, extra):
    transform = build({"scale": [0.9, 1.1], "extra": extra}, seed=5)
    dataset = SiteDataset(site_table(wells), PngStore(write_root()), (1, 2), transform)
    seen = []
    for workers in (0, 1, 2):
        sampler = EpochSampler(len(dataset), seed=5)
        loader = DataLoader(dataset, batch_size=5, sampler=sampler, num_workers=workers, persistent_workers=workers > 0)
        epochs = []
        for epoch in (0, 1):
            sampler.epoch = epoch
            batches = list(loader)
            order = torch.cat([batch["row"] for batch in batches])
            epochs.append((order.tolist(), torch.cat([batch["image"] for batch in batches])))
        seen.append(epochs)
    for a, b in itertools.pairwise(seen):
        for (rows_a, images_a), (rows_b, images_b) in zip(a, b, strict=True):
            assert rows_a == rows_b
            assert torch.equal(images_a, images_b)
    (first_rows, first), (second_rows, second) = seen[0]
    assert sorted(first_rows) == sorted(second_rows) == list(range(12))
    assert first_rows != second_rows
    assert not torch.equal(first[np.argsort(first_rows)], second[np.argsort(second_rows)])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_image_reaches_the_user_as_one_line(write_root, wells, quick_end, workers):
    root = write_root()
    path = root / "train/HUVEC-01/Plate1/C03_s1_w2.png"
    path.write_bytes(path.read_bytes()[:100])
    dataset = SiteDataset(site_table(wells), PngStore(root), (1, 2))
    with pytest.raises(UserError) as caught:
        list(DataLoader(dataset, batch_size=2, num_workers=workers))
    assert str(caught.value) == f"{path}: the PNG is cut off after 100 bytes; copy or download it again"


def test_a_sample_error_keeps_its_message():
    error = SampleError("a.png: wrong")
    assert str(error) == "a.png: wrong"
    assert str(SampleError(f"Caught it.\nTraceback:\n  ...\nrcic.pixels.dataset.SampleError: {error}\n")) == str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_crop_too_large_is_said_from_a_worker(write_root, wells, quick_end):
    dataset = SiteDataset(site_table(wells), PngStore(write_root()), (1,), build({"crop": 100}))
    with pytest.raises(UserError, match=r"^augment\.crop 100 is larger than the images, 24 x 24 pixels$"):
        list(DataLoader(dataset, num_workers=1))


def test_sites_of_several_sizes_need_a_size(write_root, wells):
    root = write_root()
    for channel in (1, 2):
        write_png(root / f"train/RPE-02/Plate1/B02_s1_w{channel}.png", np.zeros((30, 20), np.uint8))
    rows, store = site_table(wells), PngStore(root)
    with pytest.raises(UserError, match=r"RPE-02/Plate1/B02_s1_w1\.png: 30 x 20 pixels where the first is 24 x 24"):
        SiteDataset(rows, store, (1, 2))[4]
    with pytest.raises(UserError, match="30 x 20"):
        SiteDataset(rows, store, (1, 2)).preload()
    assert SiteDataset(rows, store, (1, 2), size=16)[4]["image"].shape == (2, 16, 16)


def test_a_wrong_dataset_is_refused_when_it_is_built(write_root, wells):
    root = write_root()
    rows, store = site_table(wells), PngStore(root)
    with pytest.raises(UserError, match="no sites"):
        SiteDataset(rows[:0], store, (1,))
    with pytest.raises(UserError, match="there is no channel 7"):
        SiteDataset(rows, store, (1, 7))
    (root / "train/HUVEC-01/Plate1/B02_s1_w3.png").unlink()
    with pytest.raises(UserError, match=r"B02_s1_w3\.png: no such image file"):
        SiteDataset(rows, store, (1, 3))


def test_the_synthetic_screen_is_complete_and_reads(small_screen):
    store, wells = PngStore(small_screen), read_screen(small_screen).wells
    dataset = SiteDataset(check_files(store, wells), store, CHANNELS, build({}))
    sample = dataset[0, len(dataset) - 1]
    assert len(dataset) == 2 * len(wells)
    assert sample["image"].shape == dataset.shape
    assert (sample["image"].flatten(1).max(1).values > 0).all()


def test_opencv_leaves_the_cores_to_the_workers():
    assert cv2.getNumThreads() == 1


@pytest.mark.parametrize("stacked", [(1, 1), (3,), (0, 1)])
def test_sites_that_cannot_be_stacked_are_refused(write_root, wells, stacked):
    with pytest.raises(UserError, match=r"cannot be stacked: name each once, of \[1, 2\]"):
        SiteDataset(wells, PngStore(write_root()), (1,), stacked=stacked)


@pytest.mark.parametrize("loaded", [False, True])
def test_a_stacked_sample_is_a_well(write_root, wells, loaded):
    store = PngStore(write_root())
    dataset = SiteDataset(wells, store, (5, 2), stacked=(2, 1))  # without a column "site"
    assert dataset.shape == (4, SIZE, SIZE)
    assert not loaded or dataset.preload()
    sample = dataset[3]
    expected = [pixels("RPE-02", "C03", site, channel) for site in (2, 1) for channel in (5, 2)]
    assert np.array_equal(sample["image"].numpy(), expected)
    assert (sample["site"], sample["id_code"], sample["target"]) == (0, "RPE-02_1_C03", 1)
    other = SiteDataset(wells.assign(site=2), store, (5, 2), stacked=(2, 1))[3]
    assert torch.equal(other.pop("image"), sample.pop("image"))
    assert other == sample


def test_stacked_sites_share_one_geometry(write_root, wells):
    store, transform = PngStore(write_root()), build({"crop": 16}, seed=2)
    stacked = SiteDataset(wells, store, (3, 1), transform, stacked=(1, 2))
    by_site = SiteDataset(wells.assign(site=2), store, (3, 1), transform)  # the same row numbers
    for row in range(len(wells)):
        assert torch.equal(stacked[4, row]["image"][2:], by_site[4, row]["image"])


def test_a_bad_second_site_is_named(write_root, wells):
    root = write_root()
    write_png(root / "train/HUVEC-01/Plate1/C03_s2_w1.png", np.zeros((30, 20), np.uint8))
    dataset = SiteDataset(wells, PngStore(root), (1,), stacked=(1, 2))
    with pytest.raises(UserError, match=r"C03_s2_w1\.png: 30 x 20 pixels where the first is 24 x 24"):
        dataset[1]
    assert SiteDataset(wells, PngStore(root), (1,), size=8, stacked=(1, 2))[1]["image"].shape == (2, 8, 8)


def test_stacked_rows_fit_the_dataset(write_root, wells):
    complete, _ = stack_rows(site_table(wells), (1, 2))
    batch = next(
        iter(DataLoader(SiteDataset(complete, PngStore(write_root()), CHANNELS, stacked=(1, 2)), batch_size=6))
    )
    assert batch["image"].shape == (6, 12, SIZE, SIZE)
    assert batch["site"].tolist() == [0] * 6
