from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.files.names import PSEUDO
from rcic.learn.data.stage_table import stage_table
from rcic.learn.train.build import build_training
from rcic.learn.train.catalyst_parts import dl
from rcic.learn.train.progressive_labels import ProgressiveLabels
from tests.learn.tiny import forget_accelerate, same_weights


class Seen(dl.Callback):
    """Notes what each epoch trains on: (row number, label) of every site that came in a batch."""

    def __init__(self):
        super().__init__(order=dl.CallbackOrder.External)
        self.epochs, self.rates = [], []

    def on_epoch_start(self, runner):
        self.epochs.append([])

    def on_batch_end(self, runner):
        if runner.is_train_loader:
            labels = runner.sites.labels(runner.batch)
            self.epochs[-1] += zip(runner.batch["row"].tolist(), labels.tolist(), strict=True)
            self.rates.append(runner.rate)


@pytest.fixture
def run(screen, config, tmp_path):
    """Return a function that trains with progressive labels and returns runner, Seen and audits by epoch."""

    def start(name="run", **settings):
        forget_accelerate()
        given = {"progressive__start": 1, "progressive__first": 0.5, "schedule__epochs": 2, "train__batch_size": 4}
        chosen = config(**given | settings)
        runner, _ = build_training(chosen, screen, stage_table(screen, chosen), tmp_path, tmp_path / name)
        runner.given_callbacks["seen"] = seen = Seen()
        runner.run()
        paths = sorted((tmp_path / name / PSEUDO).glob("*.csv"))
        return runner, seen, {int(path.stem.removeprefix("epoch_")): pd.read_csv(path) for path in paths}

    return start


@pytest.mark.parametrize("bn", ["running", "plate"])
def test_each_epoch_learns_from_the_wells_it_chose(run, screen, bn):
    runner, seen, audits = run(model__bn=bn)
    table, tests = runner.sites.train, screen.select("test", "treatment")
    own = table.index[table["split"] == "train"]
    assert sorted(audits) == [1, 2]
    for epoch, audit in audits.items():
        assert audit["id_code"].tolist() == tests["id_code"].tolist()
        kept = audit[audit["kept"]]
        label = dict(zip(kept["id_code"], screen.encode(kept["sirna"]), strict=True))
        learnt = {(table["id_code"][row], int(y)) for row, y in seen.epochs[epoch - 1] if table["split"][row] == "test"}
        rows = {row for row, _ in seen.epochs[epoch - 1]}
        chosen = {row for row in table.index if table["id_code"][row] in label}
        assert learnt <= set(label.items()) and rows <= set(own) | chosen
        assert (len(rows) == len(own) + len(chosen)) or bn == "running"  # whose small last batch is left out
        assert not kept.duplicated(["experiment", "plate", "sirna"]).any()
    n_sites = [len(epoch) for epoch in seen.epochs]
    assert audits[1]["kept"].sum() < audits[2]["kept"].sum() == len(tests) and n_sites[0] < n_sites[1]
    assert all((table["label"] == -1) == (table["split"] == "test"))  # the table itself stays as it was


def test_a_validation_well_is_never_learnt_from(run):
    runner, _, audits = run(data__controls="classes")
    held_out, table = set(runner.sites.valid["id_code"]), runner.sites.train
    chosen = {code for audit in audits.values() for code in audit["id_code"]}
    assert held_out and chosen and not held_out & (chosen | set(table["id_code"]))
    treatments = table["well_type"] == "treatment"
    assert not set(runner.sites.valid["experiment"]) & set(table["experiment"][treatments])


def test_a_held_out_well_among_the_chosen_stops_the_run(run, monkeypatch):
    """No test well is ever held out; if one were, the choice would refuse it."""
    begin = ProgressiveLabels.on_epoch_start

    def meddle(self, runner):
        valid = runner.sites.valid
        valid.loc[valid["id_code"] == valid["id_code"][0], "id_code"] = self.rows["id_code"][0]
        begin(self, runner)

    monkeypatch.setattr(ProgressiveLabels, "on_epoch_start", meddle)
    with pytest.raises(UserError, match="validation"):
        run(progressive__first=1.0)


def test_nothing_is_chosen_before_the_start(run):
    runner, seen, audits = run(progressive__start=2, schedule__epochs=3)
    assert sorted(audits) == [2, 3]
    table = runner.sites.train
    counts = [sum(table["split"][row] == "test" for row, _ in epoch) for epoch in seen.epochs]
    assert counts[0] == 0 < counts[1] <= counts[2]


def test_a_margin_that_nobody_has_chooses_nobody(run):
    runner, seen, audits = run(progressive__min_margin=1e6)
    assert not any(audit["kept"].any() for audit in audits.values())
    assert all(runner.sites.train["split"][row] == "train" for epoch in seen.epochs for row, _ in epoch)


def test_longer_epochs_keep_to_the_schedule(run):
    """An epoch that grew has more steps at the same range of rates."""
    runner, seen, _ = run(progressive__start=2, schedule__epochs=2, schedule__min_lr=1e-4)
    first = runner.planned_steps
    assert runner.step == len(seen.rates) > 2 * first
    assert seen.rates[:first] == runner.lr[:first].tolist()
    assert set(seen.rates[first:]) == set(runner.lr[first:].tolist()) and seen.rates[-1] == runner.lr[-1]


@pytest.mark.parametrize("settings", [{"model__bn": "plate"}, {"train__ema": 0.5}, {"data__stack_sites": True}])
def test_the_same_seed_chooses_and_learns_the_same(run, settings):
    (one, _, audits), (other, _, again) = run("one", **settings), run("other", **settings)
    assert same_weights(one.network.state_dict(), other.network.state_dict())
    assert all(audits[epoch].equals(again[epoch]) for epoch in (1, 2))


def test_a_cell_types_own_model_chooses_its_own_wells(run):
    runner, seen, audits = run(data__cell_types=["RPE"])
    assert all(audit["experiment"].str.startswith("RPE").all() for audit in audits.values())
    assert {runner.sites.train["cell_type"][row] for epoch in seen.epochs for row, _ in epoch} == {"RPE"}


def test_a_share_of_the_screen_is_labelled_wherever_the_network_is_sure(run):
    _, _, audits = run(progressive__quota="screen", progressive__first=0.3)
    audit = audits[1]
    kept, beyond = audit[audit["kept"]], audit[audit["reason"] == "beyond the share"]
    assert len(kept) == round(0.3 * len(audit))
    assert kept["margin"].min() >= beyond["margin"].max()  # of all plates, not of each


def test_a_screen_without_test_wells_has_nothing_to_choose(screen, config, tmp_path):
    few = replace(screen, wells=screen.wells[screen.wells["split"] == "train"].reset_index(drop=True))
    chosen = config(progressive__start=1)
    with pytest.raises(UserError, match=r"no test wells, but progressive.start is set; set it to 0"):
        build_training(chosen, few, stage_table(few, chosen), tmp_path, tmp_path / "run")


def test_the_test_wells_files_are_looked_at_once(config, screen, own_screen, tmp_path, capsys):
    lost = screen.select("test", "treatment").iloc[0]
    folder = own_screen / "test" / lost["experiment"] / f"Plate{lost['plate']}"
    (folder / f"{lost['well']}_s1_w2.png").unlink()
    chosen = config(progressive__start=1, data__drop_incomplete=True)
    damaged = replace(screen, root=own_screen)
    build_training(chosen, damaged, stage_table(damaged, chosen), tmp_path, tmp_path / "run")
    assert capsys.readouterr().out.count("left out 1 of") == 1


def test_sites_with_metadata_and_pixel_norm(run):
    runner, _, _ = run(
        model__metadata=["cell_type", "experiment", "plate_group"], model__head="neck", data__norm="plate"
    )
    metadata = runner.sites.train_metadata.numpy()
    is_test = (runner.sites.train["split"] == "test").to_numpy()
    assert (metadata[is_test][:, 1:] == 0).all() and (metadata[~is_test] > 0).all() and (metadata[:, 0] > 0).all()
    assert np.isfinite(runner.experiment_metrics[2]["train"]["loss"])
