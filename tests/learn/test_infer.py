import numpy as np
import pytest
import torch

from rcic.learn.infer import predict_sites
from rcic.pixels.batch import normalize
from rcic.pixels.store import PngStore, site_table, sites_of
from tests.learn.tiny import shut, tiny_network

SETS = ((1, 2, 3, 4, 5), (6, 2), (3,))


@pytest.fixture(scope="module")
def networks():
    """Return three networks on three channel sets, their BatchNorm statistics away from where they start."""
    made = []
    for seed, channels in enumerate(SETS):
        torch.manual_seed(seed)
        network = tiny_network(len(channels), 4)
        network(torch.randn(16, len(channels), 24, 24) * 2 + 1)
        made.append((network, channels))
    return made


@pytest.fixture(scope="module")
def rows(screen):
    return site_table(screen.select("test", "treatment").head(5))  # 10 sites


def one_by_one(network, channels, rows, store):
    """Return the logits of single images read, normalised and predicted one after the other."""
    shut(network)
    images = [torch.from_numpy(store.read(site, channels))[None] for site in sites_of(rows)]
    return torch.cat([network(normalize(image)).logits for image in images]).numpy()


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_each_network_sees_its_own_channels_whatever_the_batch(networks, rows, screen, batch_size):
    store = PngStore(screen.root)
    logits = predict_sites(networks, rows, store, None, batch_size=batch_size)
    assert [own.shape for own in logits] == [(10, 4)] * 3 and logits[0].dtype == np.float32
    for (network, channels), own in zip(networks, logits, strict=True):
        np.testing.assert_allclose(own, one_by_one(network, channels, rows, store), atol=1e-5, rtol=0)


def test_who_shares_the_pass_changes_nothing(networks, rows, screen):
    store = PngStore(screen.root)
    together = predict_sites(networks, rows, store, None)
    for pair, own in zip(networks, together, strict=True):
        np.testing.assert_array_equal(predict_sites([pair], rows, store, None)[0], own)
    backwards = predict_sites(networks[::-1], rows, store, None)
    for own, same in zip(together, backwards[::-1], strict=True):
        np.testing.assert_array_equal(own, same)


def test_the_order_of_rows_and_the_workers_change_nothing(networks, rows, screen):
    store, order = PngStore(screen.root), np.random.default_rng(0).permutation(len(rows))
    straight = predict_sites(networks[:1], rows, store, None)[0]
    shuffled = predict_sites(
        networks[:1], rows.iloc[order].reset_index(drop=True), store, None, batch_size=4, workers=1
    )
    np.testing.assert_allclose(shuffled[0], straight[order], atol=1e-5, rtol=0)


def test_images_are_brought_to_size(networks, rows, screen):
    store = PngStore(screen.root)
    whole, small = (predict_sites(networks[:1], rows, store, size)[0] for size in (None, 24))
    same = predict_sites(networks[:1], rows, store, 40)[0]
    np.testing.assert_array_equal(whole, same)
    assert np.abs(whole - small).max() > 1e-4
