import pandas as pd
import pytest
import torch

from rcic.files.names import BEST, LAST, METRICS
from rcic.learn.data.stage_table import stage_table
from rcic.learn.runs.checkpoint import read_checkpoint
from rcic.learn.train.build import build_training
from tests.learn.tiny import Snapshots, Verdicts, same_weights, weights_of


@pytest.fixture
def runner(screen, config, tmp_path):
    """Return a runner of four epochs that writes into tmp_path / "run"; its verdicts are 0.2, 0.7, 0.7, 0.1."""
    chosen = config(schedule__epochs=4)
    runner, _ = build_training(chosen, screen, stage_table(screen, chosen), tmp_path, tmp_path / "run")
    runner.given_callbacks |= {"verdicts": Verdicts([0.2, 0.7, 0.7, 0.1]), "snapshots": Snapshots()}
    return runner


def test_best_is_the_best_epoch_and_last_the_last(runner, tmp_path):
    runner.run()
    weights, folder = runner.callbacks["snapshots"].weights, tmp_path / "run"
    assert not same_weights(weights[1], weights[3])
    assert same_weights(weights_of(folder / BEST), weights[1])
    assert same_weights(weights_of(folder / LAST), weights[3])
    assert runner.callbacks["checkpoints"].best == {"epoch": 2, "value": 0.7}  # the earlier one of equals
    best, last = (read_checkpoint(folder / name).meta for name in (BEST, LAST))
    assert (best["epoch"], last["epoch"]) == (2, 4)
    assert (best["metrics"]["map3"], last["metrics"]["map3"]) == (0.7, 0.1)


def test_the_last_epoch_may_be_kept_whatever_the_held_out_wells_say(screen, config, tmp_path):
    chosen = config(schedule__epochs=4, train__monitor="last")
    runner, _ = build_training(chosen, screen, stage_table(screen, chosen), tmp_path, tmp_path / "run")
    runner.given_callbacks |= {"verdicts": Verdicts([0.2, 0.7, 0.7, 0.1]), "snapshots": Snapshots()}
    runner.run()
    assert same_weights(weights_of(tmp_path / "run" / BEST), runner.callbacks["snapshots"].weights[3])
    assert runner.callbacks["checkpoints"].best == {"epoch": 4, "value": 0.1}


def test_last_holds_what_going_on_needs(runner, tmp_path):
    runner.run()
    content = torch.load(tmp_path / "run" / LAST, weights_only=True)
    assert content["step"] == runner.step and content["best"] == {"epoch": 2, "value": 0.7}
    assert content["optimizer"]["param_groups"][0]["lr"] == runner.lr[-1]


def test_a_checkpoint_says_what_it_is_of(runner, screen, tmp_path):
    runner.run()
    meta = read_checkpoint(tmp_path / "run" / BEST).meta
    assert meta["classes"] == list(screen.classes[: screen.n_treatments])
    assert (meta["stage"], meta["model"], meta["channels"], meta["fold"]) == ("full", "tiny", [1, 2, 3, 4, 5], 0)
    assert meta["config"]["train"]["batch_size"] == 8
    assert meta["stains"] == screen.identity.stains((1, 2, 3, 4, 5))
    held_out = set(runner.sites.valid["experiment"])
    assert meta["learnt"] == sorted(set(screen.select("train")["experiment"]) - held_out)


def test_metrics_csv_is_what_the_runner_saw(runner, tmp_path):
    runner.run()
    table = pd.read_csv(tmp_path / "run" / METRICS)
    assert table["epoch"].tolist() == [1, 2, 3, 4] and table["map3"].tolist() == [0.2, 0.7, 0.7, 0.1]
    for epoch, row in zip(runner.experiment_metrics, table.to_dict("records"), strict=True):
        seen = runner.experiment_metrics[epoch]
        assert row["train_loss"] == pytest.approx(seen["train"]["loss"], rel=1e-5)
        assert row["lr"] == pytest.approx(seen["train"]["lr"], rel=1e-5)
        for name, value in seen["valid"].items():
            assert row["valid_loss" if name == "loss" else name] == pytest.approx(value, rel=1e-5)


def test_nothing_is_written_before_the_run(runner, tmp_path):
    assert list(tmp_path.iterdir()) == []
