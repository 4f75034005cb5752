"""What the network is given: grey levels, scale and normalisation in their order, as the config says."""

import numpy as np
import pandas as pd
import pytest
import torch

from rcic.files.names import LAST
from rcic.learn.data.training_sites import TrainingSites
from rcic.learn.train.batch_inputs import Inputs
from rcic.pixels.batches.batch import image_stats, normalize
from tests.learn.tiny import same_weights, weights_of

STILL = {"augment__channel_dropout": 0.0}


@pytest.fixture
def batch():
    """Return 12 images of five channels whose right half is bright."""
    pixels = torch.randint(0, 30, (12, 5, 24, 24), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    pixels[..., 12:] += 90
    return {"image": pixels, "row": torch.arange(12), "target": torch.arange(12) % 3}


def given(config, batch):
    """Return the images (B, C, H, W) that the network gets."""
    rows = pd.DataFrame({"label": batch["target"].numpy()})
    inputs = Inputs(config, TrainingSites(rows, rows))
    inputs.begin(1, 0, "cpu")
    return inputs.of(batch)[0][0]


def test_a_view_has_its_own_statistics_or_those_that_come_with_it(config, batch):
    torch.testing.assert_close(given(config(**STILL), batch), normalize(batch["image"]))
    stats = image_stats(batch["image"]) + torch.tensor([3.0, 1.0])
    x = given(config(**STILL), batch | {"stats": stats})
    torch.testing.assert_close(x, normalize(batch["image"], stats))


def test_colour_comes_before_normalisation(config, batch):
    """Statistics of the view take a factor away again, those of the stored image keep it."""
    colour = config(**STILL, augment__colour_gain=0.1, augment__colour_channels=[2, 4])
    own = given(colour, batch)
    torch.testing.assert_close(own, normalize(batch["image"]), atol=1e-4, rtol=0)
    stored = given(colour, batch | {"stats": image_stats(batch["image"])})
    spread = stored.std((2, 3), correction=0)  # (B, C): the factor
    assert (spread[:, [0, 2, 4]] - 1).abs().max() < 1e-4
    assert 0.88 < spread[:, [1, 3]].min() < 0.97 and 1.03 < spread[:, [1, 3]].max() < 1.12


@pytest.mark.parametrize("sampling", ["nearest", "bilinear"])
def test_a_square_cut_before_normalisation_is_normalised_by_itself(config, batch, sampling):
    chosen = {**STILL, "augment__scale_crop": 0.5, "augment__scale_crop_sampling": sampling}
    after, before = (given(config(**chosen, augment__scale_crop_norm=when), batch) for when in ("after", "before"))
    assert after.mean((2, 3)).abs().max() < 1e-4 and before.mean((2, 3)).abs().max() > 0.2
    ratio = after.std((2, 3)) / before.std((2, 3))
    scaled = (before - before.mean((2, 3), keepdim=True)) * ratio[:, :, None, None]
    torch.testing.assert_close(after, scaled, atol=1e-3, rtol=0)  # the same squares


def test_cutmix_of_every_batch_keeps_the_larger_share(config, batch):
    rows = pd.DataFrame({"label": batch["target"].numpy()})
    chosen = config(**STILL, augment__cutmix=1.0, augment__mix_share="larger")
    inputs, shares = Inputs(chosen, TrainingSites(rows, rows)), []
    for epoch in range(1, 40):
        inputs.begin(epoch, 0, "cpu")
        (_, _, order, share), targets = inputs.of(batch)
        shares.append(share)
        assert targets.share == share and (order is None) == (targets.other is None)
    assert min(shares) > 0.47 and np.mean(shares) > 0.7


def test_every_new_key_trains_the_same_with_and_without_threads(trained):
    settings = {
        **{"augment__shear": 10.0, "augment__shear_p": 0.5, "augment__d4_draw": "turns_flips_transpose"},
        **{"augment__rotate": 90, "augment__rotate_p": 0.75, "augment__warp": 0.2, "augment__warp_p": 0.75},
        **{"augment__lighting": 0.2, "augment__lighting_p": 0.75, "augment__colour_gain": 0.1},
        **{"augment__scale_crop": 0.5, "augment__scale_crop_norm": "after", "data__norm_of": "image"},
        **{"data__sites_per_epoch": "one", "augment__cutmix": 1.0, "augment__mix_share": "larger"},
    }
    folders = [trained(f"w{workers}", data__workers=workers, **settings) for workers in (0, 2)]
    assert same_weights(*(weights_of(folder / LAST) for folder in folders))
