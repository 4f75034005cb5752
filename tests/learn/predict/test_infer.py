from dataclasses import replace

import numpy as np
import pytest
import torch

from rcic.learn.predict.evaluate import InferenceSettings
from rcic.learn.predict.infer import MemberNetwork, SitePlan, predict_sites
from rcic.learn.predict.passes import EMBEDDED, PREDICTED
from rcic.pixels.batches.batch import normalize
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import site_table, sites_of
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
        made.append(MemberNetwork(network, channels, InferenceSettings(), {}))
    return made


@pytest.fixture(scope="module")
def rows(screen):
    return site_table(screen.select("test", "treatment").head(5)).assign(wanted=True)  # 10 sites


@pytest.fixture(scope="module")
def store(screen):
    return FileStore(screen.root)


def one_by_one(asked, rows, store):
    """Return logits and embeddings of single images read, normalised and predicted one after the other."""
    network = shut(asked.network)
    images = [torch.from_numpy(store.read(site, asked.channels))[None] for site in sites_of(rows)]
    outputs = [network(normalize(image)) for image in images]
    return [torch.cat(parts).numpy() for parts in zip(*outputs, strict=True)]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_each_network_sees_its_own_channels_whatever_the_batch(networks, rows, store, batch_size):
    answers = predict_sites(networks, SitePlan(rows, store), batch_size)
    assert [own.logits.shape for own in answers] == [(10, 4)] * 3 and answers[0].logits.dtype == np.float32
    for asked, own in zip(networks, answers, strict=True):
        _, logits, embedding = one_by_one(asked, rows, store)
        np.testing.assert_allclose(own.logits, logits, atol=1e-5, rtol=0)
        np.testing.assert_allclose(own.embedding, embedding, atol=1e-5, rtol=0)
        np.testing.assert_array_equal(own.first, own.logits.astype(np.float16))


def test_who_shares_the_pass_changes_nothing(networks, rows, store):
    together = predict_sites(networks, SitePlan(rows, store))
    for asked, own in zip(networks, together, strict=True):
        np.testing.assert_array_equal(predict_sites([asked], SitePlan(rows, store))[0].logits, own.logits)
    backwards = predict_sites(networks[::-1], SitePlan(rows, store))
    for own, same in zip(together, backwards[::-1], strict=True):
        np.testing.assert_array_equal(own.logits, same.logits)


def test_the_order_of_rows_and_the_workers_change_nothing(networks, rows, store):
    order = np.random.default_rng(0).permutation(len(rows))
    straight = predict_sites(networks[:1], SitePlan(rows, store))[0].logits
    shuffled = predict_sites(
        networks[:1], SitePlan(rows.iloc[order].reset_index(drop=True), store), batch_size=4, workers=1
    )
    np.testing.assert_allclose(shuffled[0].logits, straight[order], atol=1e-5, rtol=0)


def test_images_are_brought_to_size(networks, rows, store):
    whole, small, same = (predict_sites(networks[:1], SitePlan(rows, store, size))[0].logits for size in (None, 24, 40))
    np.testing.assert_array_equal(whole, same)
    assert np.abs(whole - small).max() > 1e-4


def test_the_mean_of_the_views_and_the_first(networks, rows, store):
    views = ("transpose", "identity", "rot90")
    (all_views,) = predict_sites([with_tta(networks[0], views)], SitePlan(rows, store))
    single = [predict_sites([with_tta(networks[0], (view,))], SitePlan(rows, store))[0] for view in views]
    np.testing.assert_array_equal(all_views.first, single[0].first)
    for name in ("logits", "embedding"):
        mean = np.mean([getattr(own, name) for own in single], axis=0)
        np.testing.assert_allclose(getattr(all_views, name), mean, atol=1e-5)
    assert np.abs(single[0].logits - single[1].logits).max() > 1e-4


def test_only_what_is_kept_has_columns(networks, rows, store):
    whole, logits, embedding = (
        predict_sites(networks[:1], SitePlan(rows, store), keep=keep)[0]
        for keep in (("first", "logits", "embedding"), PREDICTED, EMBEDDED)
    )
    np.testing.assert_array_equal(logits.first, whole.first)
    np.testing.assert_array_equal(logits.logits, whole.logits)
    np.testing.assert_array_equal(embedding.embedding, whole.embedding)
    assert logits.embedding.shape == embedding.logits.shape == embedding.first.shape == (10, 0)


def with_tta(asked, views):
    return replace(asked, settings=replace(asked.settings, tta=views))


@pytest.mark.parametrize("unit", ["plate", "experiment"])
def test_only_wanted_sites_are_answered_and_neither_batch_nor_workers_change_a_bit(networks, screen, store, unit):
    """Plate statistics in float32: a plate is always cut in the same way, however it was read."""
    wells = screen.wells[screen.wells["split"] == "test"]
    wells = wells.sort_values(["experiment", "plate", "well"])
    rows = site_table(wells).assign(wanted=np.arange(2 * len(wells)) % 3 > 0)
    asked = [replace(one, settings=InferenceSettings(bn=unit)) for one in networks[:2]]
    answers = [
        predict_sites(asked, SitePlan(rows, store, unit=unit), batch_size, workers)
        for batch_size, workers in ((1, 0), (3, 1), (64, 0))
    ]
    for other in answers[1:]:
        for own, same in zip(answers[0], other, strict=True):
            assert own.logits.shape == (rows["wanted"].sum(), 4)
            np.testing.assert_array_equal(own.logits, same.logits)
            np.testing.assert_array_equal(own.embedding, same.embedding)
    running = predict_sites(networks[:1], SitePlan(rows, store))[0].logits
    assert np.abs(running - answers[0][0].logits).max() > 0.01
