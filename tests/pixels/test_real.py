"""The 18 complete and 18 incomplete real sites, through everything that comes before a network."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch.utils.data import BatchSampler

from rcic.errors import UserError
from rcic.pixels.batches.augment import build_sample_transform
from rcic.pixels.batches.batch import channel_dropout, normalize
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.batches.loader import BatchLoader
from rcic.pixels.images.complete import check_complete, drop_incomplete
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import site_table
from rcic.screen.table import read_screen


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory) -> tuple[FileStore, pd.DataFrame]:
    """Return the store of a data root made of links, and the 18 wells that have images."""
    root = tmp_path_factory.mktemp("real")
    for path in (shared_data / "kaggle_2019").glob("*.csv"):
        (root / path.name).symlink_to(path)
    for split in ("train", "test"):
        (root / split).symlink_to(shared_data / "images" / split)
    wells = read_screen(root).wells
    folders = wells["split"] + "/" + wells["experiment"] + "/Plate" + wells["plate"].astype(str)
    there = (wells["well"] == "B02") & folders.map(lambda folder: Path(root / folder).is_dir())
    return FileStore(root), wells[there].reset_index(drop=True)


def first_batch(dataset: SiteDataset) -> dict[str, Any]:
    return next(iter(BatchLoader(dataset, BatchSampler(range(18), 18, drop_last=False))))


def test_the_complete_sites_are_read(real):
    store, wells = real
    dataset = SiteDataset(check_complete(store, wells, sites=(1,)), store, (1, 2, 3, 4, 5, 6))
    batch = first_batch(dataset)
    assert batch["image"].shape == (18, 6, 512, 512)
    assert set(batch["cell_type"]) == {"HEPG2", "HUVEC", "RPE", "U2OS"}
    assert (batch["image"].float().mean((2, 3)) > 1).all()
    assert normalize(batch["image"]).mean().abs() < 1e-4


def test_a_training_batch_of_five_channels(real):
    store, wells = real
    dataset = SiteDataset(site_table(wells, (1,)), store, (1, 2, 3, 4, 6), build_sample_transform({}), size=128)
    batch = channel_dropout(normalize(first_batch(dataset)["image"]), 1.0)
    assert batch.shape == (18, 5, 128, 128)
    assert ((batch == 0).all(3).all(2).sum(1) == 1).all()


def test_channels_index_the_full_read(real):
    store, wells = real
    rows = site_table(wells, (1,))[::6]
    whole, part = SiteDataset(rows, store, (1, 2, 3, 4, 5, 6)), SiteDataset(rows, store, (6, 1, 3))
    for row in range(len(rows)):
        assert np.array_equal(part.image(row), whole.image(row)[[5, 0, 2]])


def test_the_incomplete_sites_are_named(real):
    store, wells = real
    assert len(wells) == 18
    with pytest.raises(UserError, match=r"36 of 216 images are missing: .*B02_s2_w5\.png.* and 26 more; "):
        check_complete(store, wells)
    assert check_complete(store, wells, channels=(1, 2, 3, 4))["site"].tolist() == [1, 2] * 18


def test_the_incomplete_sites_can_be_dropped(real):
    store, wells = real
    kept, dropped = drop_incomplete(store, wells)
    assert kept["site"].tolist() == [1] * 18
    assert dropped["site"].tolist() == [2] * 18
    assert SiteDataset(kept, store, (1, 2, 3, 4, 5, 6))[17]["image"].shape == (6, 512, 512)
