"""A training that is broken off and begun again is the one that ran through."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from rcic.errors import BusyError, Terminated, UserError
from rcic.files.lock import locked
from rcic.files.names import BEST, CONFIG, LAST, METRICS, PREVIOUS, RUN
from rcic.learn.data.stage_table import stage_table
from rcic.learn.data.training_origin import training_origin
from rcic.learn.runs.checkpoint import read_checkpoint
from rcic.learn.runs.folder import run_state
from rcic.learn.runs.run_record import read_run_record
from rcic.learn.train.callbacks import KeepBestAndLast, WellValidation
from rcic.pixels.audit.pixel_states import pixel_states
from tests.program import left_over

EPOCHS = {"schedule__epochs": 4, "schedule__frozen_epochs": 1}
KINDS = {
    "plain": {},
    "ema": {"train__ema": 0.9, "train__accumulate": 2},
    "swa": {"train__swa_epochs": 3},
    "chance": {"model__dropout": 0.5, "augment__shear": 10.0, "augment__cutmix": 0.5, "augment__erase": 0.5},
    "one site": {"data__sites_per_epoch": "one", "data__norm_of": "image", "augment__warp": 0.2},
    "progressive": {"progressive__start": 2, "model__bn": "plate"},
    "margin": {"loss__margin": "adacos", "loss__ce": 0.5, "optim__name": "nadam", "optim__clip": 1.0},
    "recipes": {
        "model__head": "layers",
        "model__layers": ["bn", "drop 0.5", "fc 8", "bn", "relu"],
        "model__embedding": "fc",
        "loss__form": "binary",
        "loss__label_smoothing": 0.0,
        "optim__name": "adam",
        "optim__beta2": 0.99,
        "schedule__curve": "linear",
        "schedule__restarts": [2],
        "schedule__restart_lrs": [5e-3],
        "schedule__planned_epochs": 6,
    },
    "metadata": {"model__metadata": ["cell_type"], "model__metadata_form": "learned", "data__norm": "cell_type"},
}


def same(one, other):
    """Tell whether two nests of plain values and tensors are equal to the last bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def told(folder):
    """Return what a finished run leaves, without what is the clock's."""
    content = {name: torch.load(folder / name, weights_only=True) for name in (BEST, LAST)}
    for row in content[LAST]["history"]:
        row.pop("seconds")
    return content, pd.read_csv(folder / METRICS).drop(columns="seconds").to_csv(), read_run_record(folder)["best"]


class Stop:
    """Breaks a training off the n-th time a method is called: ``before`` it does its work, or after it."""

    def __init__(self, monkeypatch, owner, name, number, before=True, error=KeyboardInterrupt):
        self.method, self.left, self.before, self.error = getattr(owner, name), number, before, error
        monkeypatch.setattr(owner, name, lambda *words: self(*words))

    def __call__(self, *words):
        self.left -= 1
        if self.left == 0 and self.before:
            raise self.error
        self.method(*words)
        if self.left == 0:
            raise self.error


@pytest.fixture
def broken_off(trained, monkeypatch, tmp_path):
    """Return a function that trains until the ``number``-th call of a method and returns the run folder."""

    def run(owner, name, number, before=True, **settings):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            Stop(patch, owner, name, number, before)
            trained("broken", **settings)
        (record,) = (tmp_path / "broken").rglob(RUN)
        return record.parent

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_as_if_it_had_run_through(trained, broken_off, kind):
    settings = EPOCHS | KINDS[kind]
    whole = told(trained("whole", **settings))
    folder = broken_off(WellValidation, "on_loader_end", 2 * 3, **settings)  # in the third epoch, after learning
    assert read_run_record(folder)["status"] == "stopped" and read_checkpoint(folder / LAST).meta["epoch"] == 2
    again = trained("broken", **settings)
    assert again == folder and read_run_record(folder)["resumed"] == [2]
    for one, other in zip(told(folder), whole, strict=True):
        assert same(one, other)
    assert not (folder / PREVIOUS).exists() and left_over(folder) == []


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("number", [1, 2, 4, 5])
def test_wherever_it_was_broken_off(trained, broken_off, number, before):
    """Before or after the files of an epoch are written, the last one's too."""
    whole = told(trained("whole", **EPOCHS))
    folder = broken_off(KeepBestAndLast, "on_epoch_end", number, before, **EPOCHS)
    kept = number - before
    assert read_run_record(folder)["status"] == "stopped" and (folder / LAST).exists() == (kept > 0)
    trained("broken", **EPOCHS)
    assert read_run_record(folder).get("resumed", []) == ([kept] if kept else [])
    assert same(told(folder), whole)


def test_many_interruptions(trained, broken_off, capsys):
    whole = told(trained("whole", **EPOCHS))
    for _ in range(4):
        folder = broken_off(KeepBestAndLast, "on_epoch_end", 2, **EPOCHS)
    said = f"{folder}: stopped; 4 of 5 epochs are kept, the same command resumes"
    assert said in capsys.readouterr().out.splitlines()
    trained("broken", **EPOCHS)
    assert read_run_record(folder)["resumed"] == [1, 2, 3, 4] and same(told(folder), whole)


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def test_a_damaged_last_epoch_is_named_and_the_one_before_it_used(trained, broken_off, capsys):
    whole = told(trained("whole", **EPOCHS))
    folder = broken_off(WellValidation, "on_loader_end", 2 * 4, **EPOCHS)
    damage(folder / LAST)
    assert read_checkpoint(folder / PREVIOUS).meta["epoch"] == 2
    capsys.readouterr()
    trained("broken", **EPOCHS)
    damaged = f"{folder / LAST}: not a readable checkpoint (BadZipFile); the file is damaged or incomplete"
    assert sum(line.startswith(damaged) for line in capsys.readouterr().out.splitlines()) == 1
    assert read_run_record(folder)["resumed"] == [2] and same(told(folder), whole)


def test_a_checkpoint_of_an_earlier_version_is_not_gone_on_from(trained, broken_off, capsys):
    folder = broken_off(WellValidation, "on_loader_end", 2 * 3, **EPOCHS)
    content = torch.load(folder / LAST, weights_only=True)
    del content["history"], content["scaler"]
    torch.save(content, folder / LAST)
    trained("broken", **EPOCHS)
    assert f"{folder / LAST}: written by an earlier version, which saved less" in capsys.readouterr().out
    assert "resumed" not in read_run_record(folder) and read_run_record(folder)["status"] == "done"


def test_without_the_best_epoch_it_begins_anew(trained, broken_off, capsys):
    whole = told(trained("whole", **EPOCHS))
    folder = broken_off(WellValidation, "on_loader_end", 2 * 4, **EPOCHS)
    damage(folder / BEST)
    trained("broken", **EPOCHS)
    assert f"{folder}: {BEST} is missing or damaged; the training starts from scratch" in capsys.readouterr().out
    assert "resumed" not in read_run_record(folder) and same(told(folder), whole)


def test_the_epochs_of_another_config_are_not_gone_on_with(trained, broken_off, config):
    folder = broken_off(WellValidation, "on_loader_end", 2 * 3, **EPOCHS)
    before = (folder / LAST).read_bytes()
    with pytest.raises(
        UserError, match=r"2 epochs were trained with another optim.clip, train.seed; choose another --log_root"
    ):
        trained("broken", train__seed=3, optim__clip=1.0, **EPOCHS)
    assert (folder / LAST).read_bytes() == before
    trained("broken", train__seed=3, force=True, **EPOCHS)
    assert "resumed" not in read_run_record(folder) and read_run_record(folder)["status"] == "done"


def test_a_folder_in_which_another_trains_is_left_alone(trained, config, tmp_path):
    folder = trained()
    with locked(folder), pytest.raises(BusyError, match=r"in use by process \d+ on .*"):
        trained(force=True)


def test_how_far_a_training_is(trained, broken_off, config, screen):
    chosen = config(**EPOCHS)
    table = stage_table(screen, chosen)
    data = training_origin(chosen, screen, table, pixel_states(screen), None)
    folder = broken_off(WellValidation, "on_loader_end", 2 * 3, **EPOCHS)
    assert (run_state(folder, chosen, data).kind, run_state(folder, chosen, data).epochs) == ("partial", 2)
    other = run_state(folder, config(train__seed=1, **EPOCHS), data)
    assert (other.kind, other.words) == ("stale", "another train.seed")
    relabelled = replace(data, values={**data.values, "tables": "0" * 64})
    assert run_state(folder, chosen, relabelled).words == "other tables (changed since)"
    with locked(folder):
        assert run_state(folder, chosen, data).kind == "running"
    trained("broken", **EPOCHS)
    assert (run_state(folder, chosen, data).kind, run_state(folder, chosen, data).epochs) == ("done", 5)
    (folder / CONFIG).unlink()
    assert (
        run_state(folder, chosen, data).kind == "stale"
        and "config.yml is missing" in run_state(folder, chosen, data).words
    )
    with pytest.raises(
        UserError, match=r"finished, but config.yml is missing, so its config is unknown; choose another"
    ):
        trained("broken", **EPOCHS)
    (folder / LAST).unlink()
    (folder / RUN).write_text(json.dumps({"status": "failed", "reason": "no room"}))
    assert (
        run_state(folder, chosen, data).words == "no room" and run_state(folder / "x", chosen, data).kind == "missing"
    )


def test_sigterm_is_dealt_with_as_ctrl_c(trained, monkeypatch, tmp_path):
    Stop(monkeypatch, WellValidation, "on_loader_end", 4, error=Terminated)
    with pytest.raises(Terminated):
        trained(**EPOCHS)
    (record,) = tmp_path.rglob(RUN)
    assert read_run_record(record.parent)["status"] == "stopped"
