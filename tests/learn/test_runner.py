import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from rcic.decide.metrics import well_metrics
from rcic.errors import UserError
from rcic.files import HELD_OUT, LAST, METRICS
from rcic.learn.callbacks import FrozenTrunk
from rcic.learn.checkpoint import lay_over, read_checkpoint
from rcic.pixels.batch import normalize
from rcic.pixels.store import PngStore, Site
from rcic.screen.table import read_wells
from tests.learn.tiny import Snapshots, same_weights, shut, tiny_network, weights_of
from tests.learn.toy import plain_network, plain_training, toy_runner


def close(one, other, atol):
    return all(torch.allclose(one[key], other[key], atol=atol, rtol=0) for key in one)


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "group"),
    [(8, 1, 8), (4, 2, 8), (2, 4, 8), (4, 4, 16), (4, 5, 20)],  # of the last two, the last group is smaller
)
@pytest.mark.parametrize("clip", [None, 0.3])
def test_accumulation_averages_as_if_the_group_were_one_batch(config, batch_size, accumulate, group, clip):
    chosen = config(
        train__batch_size=batch_size, train__accumulate=accumulate, augment__channel_dropout=0, optim__clip=clip
    )
    runner = toy_runner(chosen, plain_network()).run()
    assert runner.step == -(-24 // group)
    assert close(runner.network.state_dict(), plain_training(chosen, plain_network(), 24, group), atol=2e-6)


def test_clipping_bounds_the_norm_of_the_gradient(config, monkeypatch):
    def norms_with(clip):
        norms = []

        def note(optimizer, *_rates):
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            norms.append(float(nn.utils.get_total_norm([parameter.grad for parameter in parameters])))

        monkeypatch.setattr("rcic.learn.runner.set_step", note)
        toy_runner(config(optim__clip=clip), plain_network()).run()
        return norms

    free, clipped = norms_with(None), norms_with(0.05)
    assert min(free) > 0.06 and max(clipped) <= 0.05 * (1 + 1e-4)


def test_rates_follow_the_table(config):
    runner = toy_runner(config(schedule__epochs=3, schedule__warmup_epochs=1), plain_network()).run()
    assert runner.step == len(runner.lr) == 9
    group = runner.optimizer.param_groups[0]
    assert (group["lr"], group["betas"][0]) == (runner.lr[-1], runner.momentum[-1])
    assert [metrics["train"]["lr"] for metrics in runner.experiment_metrics.values()] == runner.lr[2::3].tolist()


def test_a_frozen_trunk_keeps_its_weights_and_then_moves(config):
    chosen = config(schedule__frozen_epochs=1, optim__weight_decay=0.1)
    network = tiny_network(2, 3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    snapshots = Snapshots()
    runner = toy_runner(chosen, network)
    runner.given_callbacks = {"frozen": FrozenTrunk(1), "snapshots": snapshots}
    runner.run()
    frozen, thawed = snapshots.weights
    weights = [key for key, _ in network.named_parameters()]
    statistics = [key for key in before if key.endswith(("running_mean", "running_var"))]
    assert [key for key in weights if not torch.equal(frozen[key], before[key])] == ["head.weight", "head.bias"]
    assert all(not torch.equal(thawed[key], frozen[key]) for key in weights)
    assert all(not torch.equal(frozen[key], before[key]) for key in statistics)


def test_a_loss_that_is_not_finite_stops_the_run(config):
    runner = toy_runner(config(schedule__max_lr=1e30, schedule__min_lr=1e30), plain_network(), n=48)
    with pytest.raises(UserError, match=r"^epoch 1: the training loss is (nan|inf), so this run cannot recover; lower"):
        runner.run()


@pytest.mark.parametrize("channels_last", [False, True])
def test_bfloat16_trains_float32_weights(config, channels_last):
    chosen = config(train__precision="bf16", train__channels_last=channels_last)
    runner = toy_runner(chosen, tiny_network(2, 3)).run()
    assert runner.outputs[0][1].dtype == torch.float32  # logits
    assert np.isfinite(runner.experiment_metrics[1]["train"]["loss"])
    weight = runner.network.trunk[0].weight
    assert weight.dtype == torch.float32
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_channels_last_is_the_same_arithmetic(config):
    results = [toy_runner(config(train__channels_last=last), plain_network()).run() for last in (False, True)]
    one, other = (result.network.state_dict() for result in results)
    assert close(one, other, atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for the CPU with g++")
def test_a_compiled_network_learns_the_same(config):
    plain = toy_runner(config(), plain_network()).run()
    compiled = toy_runner(config(train__compile=True), plain_network()).run()
    assert close(compiled.network.state_dict(), plain.network.state_dict(), atol=1e-4)


def test_channel_dropout_is_for_training_only_and_follows_the_seed(config, monkeypatch):
    seen = []

    def note(batch, p, generator):
        seen.append((p, torch.rand(4, generator=generator)))
        return batch

    monkeypatch.setattr("rcic.learn.runner.channel_dropout", note)
    for seed in (0, 0, 1):
        toy_runner(config(train__seed=seed, schedule__epochs=2), plain_network()).run()
    chances = torch.stack([chance for _, chance in seen]).view(3, 2, 3, 4)  # runs, epochs, batches
    assert {p for p, _ in seen} == {0.5}
    assert torch.equal(chances[0], chances[1]) and not torch.equal(chances[0], chances[2])
    assert not torch.equal(chances[0, 0], chances[0, 1])


def test_the_same_seed_gives_the_same_weights_with_and_without_workers(trained):
    settings = {"schedule__epochs": 2, "augment__shear": 10.0, "augment__crop": 32, "train__accumulate": 2}
    folders = [trained(f"w{workers}", data__workers=workers, **settings) for workers in (0, 1)]
    assert same_weights(*(weights_of(folder / LAST) for folder in folders))
    other = trained("other", train__seed=1, **settings)
    assert not same_weights(weights_of(folders[0] / LAST), weights_of(other / LAST))


def test_validation_is_every_well_with_its_sites_averaged(trained, screen):
    folder = trained(schedule__epochs=1, train__valid_batch_size=7)
    network = tiny_network(5, screen.n_treatments)
    assert lay_over(network, read_checkpoint(folder / LAST)) == []
    shut(network)
    wells, store = read_wells(folder / HELD_OUT, screen), PngStore(screen.root)
    by_well, losses = [], []
    for well in wells.itertuples():
        images = [
            store.read(Site(well.split, well.experiment, well.plate, well.well, site), (1, 2, 3, 4, 5))
            for site in (1, 2)
        ]
        logits = torch.cat([network(normalize(torch.from_numpy(image)[None])).logits for image in images])  # (2, K)
        losses += [float(nn.functional.cross_entropy(row, torch.tensor(well.label))) for row in logits]
        by_well.append(logits.mean(0).numpy())
    expected = well_metrics(np.array(by_well), wells["label"].to_numpy())
    row = pd.read_csv(folder / METRICS).iloc[-1]
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert row["valid_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    groups = [*wells["cell_type"].unique(), *wells["experiment"].unique()]
    assert {f"{name} {group}" for name in ("map3", "top1") for group in groups} < set(row.index)


def test_the_validation_batch_size_changes_nothing(trained):
    tables = [pd.read_csv(trained(f"v{size}", train__valid_batch_size=size) / METRICS) for size in (1, 3, 64)]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table.drop(columns="seconds"), tables[0].drop(columns="seconds"), rtol=1e-5)
