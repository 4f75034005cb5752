from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch

from rcic.files.names import BEST
from rcic.learn.config.settings import Data
from rcic.learn.data.pixel_norm import PixelNorm, fixed_pixel_norm, learn_pixel_norm
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.runs.checkpoint import read_checkpoint
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import site_table, stack_rows

CHANNELS = (1, 4)


@pytest.fixture
def rows(screen):
    return site_table(screen.select("train", "treatment").iloc[[0, 1, 2, 9, 30]])


@pytest.fixture
def dataset(rows, screen):
    return SiteDataset(rows, FileStore(screen.root), CHANNELS)


def pixels_of(dataset):
    """Return all images (R, C, H * W) float64."""
    return np.stack([dataset.image(row) for row in range(len(dataset))]).reshape(len(dataset), len(CHANNELS), -1) / 1.0


def test_an_image_of_its_own_needs_no_statistics(dataset, rows):
    pixels = learn_pixel_norm("image", dataset, rows)
    assert pixels == PixelNorm() and "stats" not in dataset[0]
    assert pixels.of(rows, torch.zeros(len(rows), 2, 4, 4)) is None


@pytest.mark.parametrize("by", ["plate", "experiment", "cell_type", "global"])
def test_what_training_gives_a_sample_evaluation_finds_again(dataset, rows, by):
    """On the same sites, off-centre as they are, all pixels of a group get mean 0 and variance 1."""
    pixels = learn_pixel_norm(by, dataset, rows)
    given = torch.stack([dataset[row]["stats"] for row in range(len(rows))])
    images = torch.stack([dataset[row]["image"] for row in range(len(rows))])
    assert given.shape == (10, 2, 2) and given.dtype == torch.float32
    torch.testing.assert_close(pixels.of(rows, images), given, rtol=1e-4, atol=1e-4)
    normal = normalize(images, pixels.of(rows, images)).flatten(2).double()
    keys = {"plate": ["experiment", "plate"], "experiment": ["experiment"], "cell_type": ["cell_type"], "global": []}
    groups = rows.groupby(keys[by]).indices.values() if keys[by] else [np.arange(10)]
    for numbers in groups:
        part = normal[list(numbers)].transpose(0, 1).flatten(1)  # (C, all pixels)
        torch.testing.assert_close(part.mean(1), torch.zeros(2).double(), rtol=0, atol=1e-3)
        torch.testing.assert_close(part.std(1), torch.ones(2).double(), rtol=0, atol=1e-3)


def test_an_off_centre_plate_is_like_the_others():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"experiment": "HUVEC-01", "plate": [1, 1, 2, 2], "cell_type": "HUVEC"})
    images = torch.from_numpy(rng.integers(60, 100, (4, 3, 8, 8)).astype(np.float64))
    twin = images.clone()
    twin[2:] = twin[2:] * 1.5 + 40
    plate, experiment = PixelNorm("plate"), PixelNorm("experiment")
    same = [normalize(some, plate.of(rows, some)) for some in (images, twin)]
    torch.testing.assert_close(*same, rtol=0, atol=1e-4)
    other = [normalize(some, experiment.of(rows, some)) for some in (images, twin)]
    assert (other[0] - other[1]).abs().max() > 1


def test_an_unknown_cell_type_gets_the_global_statistics():
    pixels = PixelNorm("cell_type", {"HUVEC": [[1.0, 2.0]], "global": [[5.0, 6.0]]})
    rows = pd.DataFrame({"cell_type": ["HUVEC", "U2OS"]})
    assert pixels.of(rows, torch.zeros(2, 1, 4, 4)).tolist() == [[[1.0, 2.0]], [[5.0, 6.0]]]


@pytest.mark.parametrize("by", ["plate", "experiment", "cell_type", "global"])
def test_every_way_trains_and_predicts(trained, screen, tmp_path, by):
    folder = trained(data__norm=by, data__channels=CHANNELS)
    pixels = read_checkpoint(folder / BEST).meta["pixels"]
    names = {"cell_type": {"HUVEC", "RPE", "global"}, "global": {"global"}}
    assert pixels["by"] == by and set(pixels["known"]) == names.get(by, set())
    for batch_size in (4, 64):
        options = PredictionOptions(batch_size=batch_size)
        predict_all(screen.root, folder.parents[2], ["tiny"], tmp_path / f"out{batch_size}", ("test",), options)
    one, other = (np.load(tmp_path / f"out{size}" / "[1,4]/fold_0/tiny/pred_test.npy") for size in (4, 64))
    assert np.isfinite(one).all() and one.std() > 0
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_constants_of_the_config_are_by_channel_number(rows, screen):
    data = Data(channels=(4, 1), norm="fixed", norm_means=(10, 20, 30, 40), norm_stds=(1, 2, 3, 4))
    dataset = SiteDataset(rows, FileStore(screen.root), data.channels)
    pixels = fixed_pixel_norm(data, dataset)
    wanted = torch.tensor([[40.0, 4.0], [10.0, 1.0]])
    assert torch.equal(dataset[3]["stats"], wanted) and PixelNorm(**asdict(pixels)) == pixels
    image = dataset[3]["image"][None]
    assert torch.equal(pixels.of(rows, [])[3], wanted)
    x = normalize(image, dataset[3]["stats"][None])
    torch.testing.assert_close(x[0, 1], (image[0, 1].float() - 10) / 1, atol=1e-4, rtol=0)


def test_stacked_sites_have_the_same_constants(screen):
    data = Data(channels=(2,), norm="fixed", norm_means=(10, 20), norm_stds=(1, 2))
    stacked_rows, _ = stack_rows(site_table(screen.select("train", "treatment").head(2)), (1, 2))
    dataset = SiteDataset(stacked_rows, FileStore(screen.root), data.channels, stacked=(1, 2))
    assert fixed_pixel_norm(data, dataset).known == {"global": [[20, 2], [20, 2]]}
    assert dataset[0]["stats"].tolist() == [[20, 2], [20, 2]]
