"""Trainings by other options than the plain ones: each builds, trains and leaves what it promised."""

import numpy as np
import pandas as pd
import pytest
import torch

from rcic.errors import UserError
from rcic.files.names import BEST, HELD_OUT, LAST, METRICS
from rcic.learn.data.stage_table import stage_table
from rcic.learn.runs.checkpoint import read_checkpoint
from rcic.learn.runs.run_record import read_run_record
from rcic.learn.train.build import build_training, find_sites
from rcic.learn.train.catalyst_parts import dl
from rcic.learn.train.start import build_network, starting_checkpoint
from rcic.pixels.images.file_store import FileStore
from tests.learn.tiny import Snapshots, same_weights, weights_of


class Inputs(dl.Callback):
    """Notes the shape of every batch of images by epoch and loader."""

    def __init__(self):
        super().__init__(order=dl.CallbackOrder.External)
        self.shapes = {}

    def on_batch_end(self, runner):
        shapes = self.shapes.setdefault((runner.epoch_step, runner.loader_key), set())
        shapes.add(tuple(runner.batch["image"].shape[1:]))


@pytest.fixture
def runner(screen, config, tmp_path):
    """Return a function that builds a training's runner, which writes into tmp_path / "run"."""

    def build(**settings):
        chosen = config(**settings)
        return build_training(chosen, screen, stage_table(screen, chosen), tmp_path, tmp_path / "run")[0]

    return build


def own_names(state):
    return {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}


@pytest.mark.parametrize("averaged", [{"train__ema": 0.6}, {"train__swa_epochs": 2}])
@pytest.mark.parametrize("bn", ["running", "plate"])
def test_the_averaged_weights_are_kept_as_best(runner, tmp_path, averaged, bn):
    running = runner(schedule__epochs=3, model__bn=bn, **averaged)
    running.given_callbacks["snapshots"] = snapshots = Snapshots()
    running.given_callbacks["checkpoints"].best = {"epoch": 0, "value": -1.0}
    running.run()
    folder = tmp_path / "run"
    last, content = weights_of(folder / LAST), torch.load(folder / LAST, weights_only=True)
    assert same_weights(last, snapshots.weights[2])  # the weights that learn go on from themselves
    best = read_checkpoint(folder / BEST)
    if "train__swa_epochs" in averaged:
        epochs = range(2, best.meta["epoch"] + 1)  # epochs averaged by then
        for name, tensor in own_names(best.weights).items():
            parts = [snapshots.weights[epoch - 1][name] for epoch in epochs] or [snapshots.weights[0][name]]
            torch.testing.assert_close(tensor, torch.stack(parts).mean(0), rtol=1e-5, atol=1e-6)
        assert content["average"]["n"] == 2
    else:
        assert not same_weights(best.weights, snapshots.weights[best.meta["epoch"] - 1])
        assert content["average"]["n"] == running.step


def test_the_averaged_weights_are_what_is_validated(trained, screen, tmp_path):
    """The metrics of an EMA that hardly moves from the first step differ from those of the weights that learn."""
    plain, slow = (trained(f"ema{decay}", train__ema=decay, schedule__epochs=3) for decay in (0.0, 0.9999))
    assert same_weights(weights_of(plain / LAST), weights_of(slow / LAST))
    losses = [pd.read_csv(folder / METRICS)["valid_loss"].tolist() for folder in (plain, slow)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("mixed", ["larger", "weighted"])
@pytest.mark.parametrize(
    ("margin", "ce"), [("arcface", 0.8), ("arcface", 0.0), ("cosface", 0.0), ("adacos", 0.0), ("adacos", 1.0)]
)
def test_margins_learn_from_mixed_labels(trained, screen, margin, ce, mixed):
    """With metadata in the head, as recipes C and F have it."""
    folder = trained(
        loss__margin=margin,
        loss__ce=ce,
        loss__mixed=mixed,
        augment__cutmix=0.5,
        augment__mixup=0.5,
        model__head="neck",
        model__width=16,
        model__metadata=["cell_type", "plate_group"],
    )
    checkpoint = read_checkpoint(folder / BEST)
    assert checkpoint.meta["metadata"] == {"cell_type": ["HUVEC", "RPE"], "plate_group": ["0", "1", "2", "3"]}
    assert np.isfinite(pd.read_csv(folder / METRICS)[["train_loss", "valid_loss"]].to_numpy()).all()
    assert ("head.weight" in checkpoint.weights) == (ce > 0)
    assert any(name.startswith("head.margin.") for name in checkpoint.weights)


def test_every_batch_option_trains_at_once(trained):
    options = {"scale_crop": 0.5, "gain": 0.1, "bias": 0.1, "erase": 0.5, "cutmix": 0.4, "mixup": 0.4, "mix_from": 0.5}
    folder = trained(schedule__epochs=2, **{f"augment__{name}": value for name, value in options.items()})
    assert np.isfinite(pd.read_csv(folder / METRICS)["train_loss"]).all()


def test_the_window_grows_and_validation_sees_the_whole(runner):
    growing = runner(augment__crop=32, augment__crop_start=16, schedule__epochs=3)
    growing.given_callbacks["inputs"] = inputs = Inputs()
    growing.run()
    sides = {key: {shape[-1] for shape in shapes} for key, shapes in inputs.shapes.items()}
    assert (sides[1, "train"], sides[3, "train"]) == ({16}, {32})
    assert all(sides[epoch, "valid"] == {40} for epoch in (1, 2, 3))


@pytest.mark.parametrize("settings", [{}, {"data__norm": "plate"}, {"model__bn": "plate"}, {"data__norm": "global"}])
def test_both_sites_are_one_sample(runner, settings):
    stacking = runner(data__stack_sites=True, data__channels=[1, 2, 3, 4, 5, 6], **settings)
    stacking.given_callbacks["inputs"] = inputs = Inputs()
    stacking.run()
    assert set().union(*inputs.shapes.values()) == {(12, 40, 40)}
    assert stacking.sites.train["id_code"].is_unique and stacking.sites.valid["id_code"].is_unique
    assert stacking.network.trunk[0].weight.shape[1] == 12


@pytest.mark.parametrize("bn", ["plate", "experiment"])
def test_controls_lend_their_statistics_to_validation(screen, config, bn):
    chosen = config(model__bn=bn)
    sites, known = find_sites(chosen, screen, stage_table(screen, chosen), FileStore(screen.root))
    assert (sites.unit, known) == (bn, {}) and sites.train["label"].min() >= 0
    company = sites.valid[~sites.valid["wanted"]]
    assert len(company) and (company["well_type"] != "treatment").all()
    assert set(company["experiment"]) == set(sites.valid["experiment"][sites.valid["wanted"]])


def test_metadata_of_a_held_out_experiment_is_unknown(screen, config):
    chosen = config(model__metadata=["experiment", "cell_type", "plate_group"], model__head="neck")
    sites, known = find_sites(chosen, screen, stage_table(screen, chosen), FileStore(screen.root))
    assert list(known) == ["experiment", "cell_type", "plate_group"]
    assert (sites.train_metadata > 0).all()
    assert sites.valid_metadata[:, [0, 2]].eq(0).all() and (sites.valid_metadata[:, 1] > 0).all()


def test_control_wells_make_no_experiment_known(screen, config):
    """Of held-out and test experiments controls are learnt from, but nobody could tell of their wells afterwards."""
    settings = {"model__metadata": ["experiment"], "model__head": "neck"}
    apart, classes = (config(data__controls=how, **settings) for how in ("apart", "classes"))
    _, expected = find_sites(apart, screen, stage_table(screen, apart), FileStore(screen.root))
    sites, known = find_sites(classes, screen, stage_table(screen, classes), FileStore(screen.root))
    assert known == expected
    unknown = ~sites.train["experiment"].isin(known["experiment"]).to_numpy()
    assert unknown.any() and np.array_equal((sites.train_metadata == 0)[:, 0].numpy(), unknown)
    assert sites.valid_metadata.eq(0).all()


def test_stage_one_knows_the_experiments_of_its_control_wells(screen, config):
    chosen = config(stage="control", model__metadata=["experiment"], model__head="neck")
    sites, known = find_sites(chosen, screen, stage_table(screen, chosen), FileStore(screen.root))
    assert known["experiment"] == sorted(sites.train["experiment"].unique()) and (sites.train_metadata > 0).all()


@pytest.mark.parametrize("name", ["linear", "neck"])
def test_a_cell_types_own_model_starts_from_the_common_one(trained, screen, config, tmp_path, name):
    common = trained(model__head=name)
    settings = {"model__head": name, "init__stage": "full", "data__cell_types": ["HUVEC"]}
    chosen = config(**settings)
    network, start = build_network(chosen, screen.n_treatments, [], starting_checkpoint(chosen, tmp_path / "logs"))
    assert start == str(common / BEST) and same_weights(dict(network.state_dict()), weights_of(common / BEST))
    own = trained(**settings)
    assert own == common.parent / "tiny@HUVEC" and read_run_record(own)["start"] == str(common / BEST)
    held_out = pd.read_csv(own / HELD_OUT)["id_code"]
    assert held_out.str.startswith("HUVEC").all() and 0 < len(held_out) < len(pd.read_csv(common / HELD_OUT))
    assert read_checkpoint(own / BEST).meta["model"] == "tiny@HUVEC"
    with pytest.raises(UserError, match=r"the checkpoint of stage full does not exist; train that stage first"):
        trained("elsewhere", **settings)


def test_controls_as_classes_train_and_are_never_answered(trained, screen):
    folder = trained(data__controls="classes", model__bn="plate")
    meta = read_checkpoint(folder / BEST).meta
    assert meta["classes"] == list(screen.classes) and read_run_record(folder)["n_classes"] == len(screen.classes)
    assert (pd.read_csv(folder / HELD_OUT)["label"] < screen.n_treatments).all()


def test_an_absent_class_is_reported(screen, config, folds_dir, tmp_path, trained, capsys):
    for part in ("train", "valid"):
        table = pd.read_csv(folds_dir / f"{part}_0.csv", dtype=str)
        if part == "train":
            lost = table["sirna"].iloc[0]
            table = table[table["sirna"] != lost]
        table.to_csv(tmp_path / f"{part}_0.csv", index=False)
    folder = trained(data__folds_dir=str(tmp_path))
    said = f"warning: 1 of 8 classes have no training well and can never be predicted: {lost}\n"
    assert said in capsys.readouterr().out
    assert [str(name) for name in read_run_record(folder)["absent"]] == [lost]


def test_a_class_whose_images_are_missing_is_absent(screen, own_screen, folds_dir, trained, capsys):
    """Its wells are in the table, but none of them has an image left."""
    wells = pd.read_csv(folds_dir / "train_0.csv", dtype=str)
    lost = wells["sirna"].iloc[0]
    for row in wells[wells["sirna"] == lost].itertuples():
        for path in (own_screen / "train" / row.experiment / f"Plate{row.plate}").glob(f"{row.well}_*_w1.png"):
            path.unlink()
    folder = trained(root=own_screen, data__drop_incomplete=True)
    assert f"warning: 1 of 8 classes have no training well and can never be predicted: {lost}\n" in (
        capsys.readouterr().out
    )
    assert [str(name) for name in read_run_record(folder)["absent"]] == [lost]
