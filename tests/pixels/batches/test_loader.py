import threading

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler

from rcic.errors import UserError
from rcic.pixels.batches.augment import build_sample_transform
from rcic.pixels.batches.batch import image_stats
from rcic.pixels.batches.dataset import META, SiteDataset
from rcic.pixels.batches.loader import AHEAD, BatchLoader, view_on
from rcic.pixels.batches.sampler import EpochSampler, GroupBatches
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.prefetch import ahead
from rcic.pixels.images.sites import STACKED, site_table, stack_rows
from rcic.screen.plate import CHANNELS
from tests.pixels.conftest import SIZE, open_root


def in_rows(n: int, size: int) -> BatchSampler:
    return BatchSampler(range(n), size, drop_last=False)


@pytest.fixture
def dataset(write_root, wells) -> SiteDataset:
    return SiteDataset(site_table(wells), FileStore(write_root()), (5, 2, 1))


@pytest.mark.parametrize("threads", [0, 2])
def test_a_batch_is_its_samples(dataset, threads):
    dataset.set_stats(np.arange(12 * 3 * 2, dtype=np.float32).reshape(12, 3, 2))
    loader = BatchLoader(dataset, in_rows(12, 5), threads)
    batches = list(loader)
    assert [len(batch["row"]) for batch in batches] == [5, 5, 2] and len(loader) == 3
    assert set(batches[0]) == {"image", "target", "row", "stats", *META}
    for batch in batches:
        samples = [dataset[row] for row in batch["row"].tolist()]
        for name in ("image", "stats"):
            assert torch.equal(batch[name], torch.stack([sample[name] for sample in samples]))
        assert batch["target"].tolist() == [sample["target"] for sample in samples]
        for name in META:
            assert batch[name] == [sample[name] for sample in samples]


@pytest.mark.parametrize("extra", [[], ["noise"]])
def test_pixels_do_not_depend_on_the_threads(write_root, wells, extra):
    transform = build_sample_transform({"scale": [0.9, 1.1], "extra": extra}, seed=5)
    dataset = SiteDataset(site_table(wells), FileStore(write_root()), (1, 2), transform)
    seen = []
    for threads in (0, 1, 3):
        sampler = EpochSampler(len(dataset), seed=5)
        loader = BatchLoader(dataset, BatchSampler(sampler, 5, drop_last=False), threads)
        epochs = []
        for sampler.epoch in (0, 1):
            batches = list(loader)
            order = torch.cat([batch["row"] for batch in batches])
            epochs.append((order.tolist(), torch.cat([batch["image"] for batch in batches])))
        seen.append(epochs)
    for other in seen[1:]:
        for (rows_a, images_a), (rows_b, images_b) in zip(seen[0], other, strict=True):
            assert rows_a == rows_b
            assert torch.equal(images_a, images_b)
    (first_rows, first), (second_rows, second) = seen[0]
    assert sorted(first_rows) == sorted(second_rows) == list(range(12))
    assert first_rows != second_rows
    assert not torch.equal(first[np.argsort(first_rows)], second[np.argsort(second_rows)])


@pytest.mark.parametrize(("n", "threads", "sizes"), [(24, 2, [6] * 4), (24, 16, [1] * 24), (7, 2, [3, 3, 1])])
def test_threads_take_some_samples_at_once_and_all_have_work(dataset, n, threads, sizes):
    loader = BatchLoader(dataset, BatchSampler(range(len(dataset)), n, False), threads)
    shares = loader._shares(list(range(n)))
    assert [len(share) for share in shares] == sizes and [one for share in shares for one in share] == list(range(n))


def test_a_growing_crop_is_that_of_the_epoch(write_root, wells):
    transform = build_sample_transform({"shear": 0, "crop": 24, "crop_start": 8}, n_epochs=3)
    dataset = SiteDataset(site_table(wells), FileStore(write_root()), (1,), transform)
    batches = GroupBatches(np.zeros(12, np.int64), 6)
    loader, sides = BatchLoader(dataset, batches, threads=1), []
    for batches.epoch in (1, 2, 3):
        sides.append({tuple(batch["image"].shape[2:]) for batch in loader})
    assert sides == [{(8, 8)}, {(16, 16)}, {(24, 24)}]


@pytest.mark.parametrize("kind", ["png", "packed", "cached"])
@pytest.mark.parametrize("settings", [{"crop": 16, "shear": 0}, {"crop": 16, "shear": 20, "scale": [0.8, 1.3]}])
def test_what_the_device_makes_of_the_stored_images_are_the_views(write_root, pack_root, wells, settings, kind):
    root = write_root()
    store = open_root(root if kind == "png" else pack_root(root))
    dataset = SiteDataset(site_table(wells), store, (1, 6), build_sample_transform(settings, seed=1))
    assert kind != "cached" or dataset.preload()
    sampler = EpochSampler(12, seed=0)
    here, there = (BatchLoader(dataset, BatchSampler(sampler, 6, False), on_device=where) for where in (False, True))
    for cpu, device in zip(here, there, strict=True):
        assert device["image"].shape == (6, 2, SIZE, SIZE)
        assert device["coding"] == ("delta" if kind == "packed" else "")
        views, _ = view_on("cpu", device)
        gap = (views.int() - cpu["image"].int()).abs()
        assert gap.max() <= (1 if settings["shear"] else 0)
        assert device["row"].tolist() == cpu["row"].tolist()


def test_pixel_values_are_changed_on_the_cpu(write_root, wells):
    dataset = SiteDataset(
        site_table(wells), FileStore(write_root()), (1,), build_sample_transform({"extra": ["gamma"]})
    )
    batch = next(iter(BatchLoader(dataset, in_rows(12, 4), on_device=True)))
    assert "view" not in batch
    assert torch.equal(batch["image"][3], dataset[3]["image"])


@pytest.mark.parametrize("threads", [0, 2])
def test_a_bad_image_reaches_the_user_as_one_line(write_root, wells, threads):
    root = write_root()
    path = root / "train/HUVEC-01/Plate1/C03_s1_w2.png"
    path.write_bytes(path.read_bytes()[:100])
    loader = BatchLoader(SiteDataset(site_table(wells), FileStore(root), (1, 2)), in_rows(12, 2), threads)
    with pytest.raises(UserError) as caught:
        list(loader)
    assert str(caught.value) == f"{path}: the PNG is cut off after 100 bytes; copy or download it again"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sites")]


def test_a_crop_too_large_is_said(write_root, wells):
    dataset = SiteDataset(site_table(wells), FileStore(write_root()), (1,), build_sample_transform({"crop": 100}))
    for on_device in (False, True):
        with pytest.raises(UserError, match=r"^augment\.crop 100 is larger than the images, 24 x 24 pixels$"):
            list(BatchLoader(dataset, in_rows(12, 2), 1, on_device=on_device))


def test_who_stops_early_leaves_no_threads(dataset):
    for batch in BatchLoader(dataset, in_rows(12, 1), threads=2):
        assert len(batch["row"]) == 1
        break
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sites")]


def test_batches_are_read_ahead_but_not_all(dataset):
    begun = []
    keys = [[row] for row in range(12)]

    class Noting(list):
        batch_size = 1

        def __iter__(self):
            for key in keys:
                begun.append(key)
                yield key

    batches = iter(BatchLoader(dataset, Noting(keys), threads=1))
    next(batches)
    assert len(begun) == 1 + AHEAD
    batches.close()


def test_ahead_keeps_the_order():
    begun = []

    def begin(item: int):
        begun.append(item)
        return lambda: item * item

    results = ahead(begin, range(5), 2)
    assert next(results) == 0 and begun == [0, 1, 2]
    assert list(results) == [1, 4, 9, 16]
    assert list(ahead(begin, [], 2)) == []


def test_stacked_rows_fit_the_dataset(write_root, wells):
    complete, _ = stack_rows(site_table(wells), (1, 2))
    dataset = SiteDataset(complete, FileStore(write_root()), CHANNELS, stacked=(1, 2))
    batch = next(iter(BatchLoader(dataset, in_rows(6, 6))))
    assert batch["image"].shape == (6, 12, SIZE, SIZE)
    assert batch["site"] == [STACKED] * 6


@pytest.mark.parametrize("settings", [{"crop": 16, "shear": 20}, {"shear": 0, "warp": 0.2, "warp_p": 0.5}, None])
@pytest.mark.parametrize("where", ["threads", "on demand", "device"])
def test_the_statistics_of_the_stored_image_come_with_its_view(write_root, wells, settings, where):
    transform = None if settings is None else build_sample_transform(settings, seed=1)
    dataset = SiteDataset(site_table(wells), FileStore(write_root()), (1, 6), transform)
    loader = BatchLoader(dataset, in_rows(12, 5), 2 if where == "threads" else 0, on_device=where == "device")
    loader.measures = True
    for batch in loader:
        views, stats = view_on("cpu", batch)
        stored = torch.stack([torch.from_numpy(dataset.image(row)) for row in batch["row"].tolist()])
        torch.testing.assert_close(stats, image_stats(stored), atol=1e-3, rtol=1e-4)
        assert stats.dtype == torch.float32 and views.dtype == torch.uint8
    loader.measures = False
    assert view_on("cpu", next(iter(loader)))[1] is None
