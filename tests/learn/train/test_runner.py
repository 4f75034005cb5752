import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from rcic.decide.metrics import well_metrics
from rcic.errors import UserError
from rcic.files.names import HELD_OUT, LAST, METRICS
from rcic.learn.data.stage_table import stage_table
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.learn.runs.checkpoint import load_matching, read_checkpoint
from rcic.learn.runs.run_record import read_run_record
from rcic.learn.train.build import build_training
from rcic.learn.train.callbacks import FrozenTrunk
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.mix import mix_batch
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import Site
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

        monkeypatch.setattr("rcic.learn.train.runner.set_step", note)
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
    message = (
        r"^epoch 1, batch 2 of 6 \(.* and 4 more\): the training loss is (nan|inf), and the run cannot recover; low"
    )
    with pytest.raises(UserError, match=message):
        runner.run()


@pytest.mark.parametrize("channels_last", [False, True])
def test_bfloat16_trains_float32_weights(config, channels_last):
    chosen = config(train__precision="bf16", train__channels_last=channels_last)
    runner = toy_runner(chosen, tiny_network(2, 3)).run()
    assert runner.validation_outputs.outputs[0][1].dtype == torch.float32  # logits
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


def test_augmentation_of_the_batch_is_for_training_only_and_follows_the_seed(config, monkeypatch):
    seen = []

    def note(batch, settings, generator):
        seen.append((settings["channel_dropout"], torch.rand(4, generator=generator)))
        return batch

    monkeypatch.setattr("rcic.learn.train.batch_inputs.augment_batch", note)
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
    assert load_matching(network, read_checkpoint(folder / LAST)) == []
    shut(network)
    wells, store = read_wells(folder / HELD_OUT, screen), FileStore(screen.root)
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


@pytest.mark.parametrize("how", ["cutmix", "mixup"])
def test_labels_and_metadata_are_mixed_with_the_images(screen, config, tmp_path, monkeypatch, how):
    chosen = config(model__metadata=["experiment"], model__head="neck", train__batch_size=6, **{f"augment__{how}": 1.0})
    runner, _ = build_training(chosen, screen, stage_table(screen, chosen), tmp_path, tmp_path / "run")
    seen = {"mixed": [], "asked": [], "targets": []}
    forward, loss = runner.network.head.embedding, runner.network.loss

    def mixing(x, *arguments):
        seen["mixed"].append((x, *mix_batch(x, *arguments)))
        return seen["mixed"][-1][1:]

    def embedding(features, *arguments):
        if runner.network.training:
            seen["asked"].append(arguments)
        return forward(features, *arguments)

    def taking(output, targets):
        seen["targets"].append(targets)
        return loss(output, targets)

    monkeypatch.setattr("rcic.learn.train.batch_inputs.mix_batch", mixing)
    monkeypatch.setattr(runner.network.head, "embedding", embedding)
    monkeypatch.setattr(runner.network, "loss", taking)
    order = list(_orders(runner))
    runner.run()
    table, metadata = runner.sites.train, runner.sites.train_metadata
    assert len(seen["targets"]) == len(seen["asked"]) == len(order) > 2
    assert sum(mix[2] is not None for mix in seen["mixed"]) > 1
    for rows, (x, mixed, own_order, share), asked, targets in zip(order, *seen.values(), strict=True):
        labels = torch.tensor(table["label"].to_numpy()[rows])
        assert torch.equal(targets.labels, labels) and torch.equal(asked[0], metadata[rows])
        assert asked[1] is own_order and asked[2] == share
        if own_order is None:
            assert targets.other is None and mixed is x
        else:
            assert torch.equal(targets.other, labels[own_order]) and targets.share == share and 0 <= share < 1


def _orders(runner):
    """Return the row numbers of the batches of epoch 1."""
    runner.order.epoch = 1
    return [batch["row"].tolist() for batch in runner.given_loaders["train"]]


@pytest.mark.parametrize(("mix_from", "first"), [(0.0, 1), (0.5, 3), (0.6, 4)])
def test_mixing_begins_after_a_part_of_the_epochs(config, monkeypatch, mix_from, first):
    epochs = set()

    def note(x, *_arguments):
        epochs.add(runner.epoch_step)
        return x, None, 1.0

    monkeypatch.setattr("rcic.learn.train.batch_inputs.mix_batch", note)
    chosen = config(augment__cutmix=0.5, augment__mix_from=mix_from, schedule__epochs=4)
    runner = toy_runner(chosen, plain_network())
    runner.run()
    assert epochs == set(range(first, 5))


def test_a_single_bad_batch_is_named(config, monkeypatch):
    """Accumulation, sum and mean of the epoch would hide which one it was."""
    network, calls = plain_network(), []
    loss = network.loss

    def bad_once(output, targets):
        calls.append(targets)
        return loss(output, targets) * (float("inf") if len(calls) == 5 else 1.0)

    monkeypatch.setattr(network, "loss", bad_once)
    runner = toy_runner(config(train__batch_size=4, train__accumulate=2, schedule__epochs=2), network)
    rows = _orders(runner)[4]
    named = ", ".join(f"toy_{row} site 1" for row in rows)
    with pytest.raises(UserError, match=rf"^epoch 1, batch 5 of 6 \({named}\): the training loss is (nan|inf), and"):
        runner.run()


@pytest.mark.parametrize(
    "settings",
    [
        {"model__bn": "plate", "train__ema": 0.5},
        {"model__bn": "experiment", "data__controls": "classes"},
        {"model__bn": "plate", "data__norm": "experiment", "data__stack_sites": True},
        {"data__norm": "cell_type", "model__metadata": ["cell_type"], "model__head": "neck"},
        {"data__norm": "fixed", "data__norm_means": [20] * 6, "data__norm_stds": [9] * 6, "data__stack_sites": True},
    ],
)
def test_validation_says_what_predict_all_says(trained, screen, tmp_path, settings):
    folder = trained(schedule__epochs=2, train__valid_batch_size=5, **settings)
    predict_all(screen.root, folder.parents[2], ["tiny"], tmp_path / "out", ("valid",), PredictionOptions(batch_size=9))
    out = tmp_path / "out" / folder.relative_to(folder.parents[2])
    wells = read_wells(out / "pred_valid.csv", screen)
    expected = well_metrics(np.load(out / "pred_valid.npy"), wells["label"].to_numpy())
    row = pd.read_csv(folder / METRICS).iloc[read_run_record(folder)["best"]["epoch"] - 1]
    assert len(wells) == 20 and {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-6)
