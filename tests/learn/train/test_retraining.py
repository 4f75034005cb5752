"""``--force`` on a finished training: it stays as it is, and in use, until the new one is done."""

import json
import shutil

import pytest

from rcic.errors import BusyError, UserError
from rcic.files.lock import locked
from rcic.files.names import BEST, CONFIG, HELD_OUT, LAST, METRICS, PSEUDO, RETRAIN, RUN, TENSORBOARD
from rcic.learn.data.stage_table import stage_table
from rcic.learn.data.training_origin import training_origin
from rcic.learn.predict.jobs import finished_members
from rcic.learn.runs import retraining
from rcic.learn.runs.checkpoint import read_checkpoint
from rcic.learn.runs.folder import lacks_start, run_state
from rcic.learn.runs.retraining import training_place
from rcic.learn.runs.run_record import read_run_record
from rcic.learn.train import run as training
from rcic.learn.train.callbacks import KeepBestAndLast, WellValidation
from rcic.learn.train.rerun import rerun
from rcic.pixels.audit.pixel_states import pixel_states
from tests.learn.tiny import same_weights, weights_of
from tests.program import left_over
from tests.records import tamper

EPOCHS = {"schedule__epochs": 3}
DIVERGES = {"schedule__max_lr": 1e30}


def files_of(folder):
    """Return what a run folder holds besides a retraining."""
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {str(path): (folder / path).read_bytes() for path in found if path.parts[0] != RETRAIN}


@pytest.fixture
def data_of(screen):
    return lambda config: training_origin(config, screen, stage_table(screen, config), pixel_states(screen), None)


@pytest.fixture
def broken_off(trained, monkeypatch, tmp_path):
    """Return a function that forces a training and breaks it off in its ``epoch``-th epoch."""

    def run(epoch, **settings):
        keep, left = KeepBestAndLast.on_epoch_end, [epoch]

        def stop(callback, runner):
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
            keep(callback, runner)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(KeepBestAndLast, "on_epoch_end", stop)
            trained(force=True, **settings)

    return run


def is_used(folder):
    """Whether prediction takes a run folder."""
    root = folder.parents[2]
    return [root / member.folder for member in finished_members(root, ["tiny"])] == [folder]


def test_what_fails_in_its_first_epoch_leaves_the_finished_one(trained):
    folder = trained()
    before = files_of(folder)
    with pytest.raises(UserError, match="cannot recover"):
        trained(force=True, **DIVERGES)
    assert files_of(folder) == before and is_used(folder)
    assert read_run_record(folder / RETRAIN)["status"] == "failed"
    trained()
    assert files_of(folder) == before
    trained(force=True, train__seed=3)
    assert not (folder / RETRAIN).exists() and read_checkpoint(folder / BEST).meta["config"]["train"]["seed"] == 3


@pytest.mark.parametrize("damaged", ["", RETRAIN])
def test_a_damaged_record_is_told_with_the_remedy_and_force_is_it(trained, broken_off, damaged):
    folder = trained(**EPOCHS)
    if damaged:
        broken_off(2, **EPOCHS)
    tamper(folder / damaged / RUN, status="running")
    with pytest.raises(UserError, match=rf"{RUN}: is damaged, .*; train it again with --force$"):
        trained(**EPOCHS)
    trained(force=True, **EPOCHS)
    assert read_run_record(folder)["status"] == "done" and is_used(folder) and not (folder / RETRAIN).exists()


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("settings", [{}, {"train__seed": 3}])
def test_what_was_broken_off_goes_on(trained, broken_off, tmp_path, force, settings):
    """With the same command, and in a grid's second attempt, which says it without --force."""
    folder, whole = trained(**EPOCHS), trained("whole", **EPOCHS, **settings)
    before = files_of(folder)
    broken_off(3, **EPOCHS, **settings)
    assert files_of(folder) == before and is_used(folder)
    assert read_run_record(folder / RETRAIN)["status"] == "stopped"
    assert trained(force=force, **EPOCHS, **settings) == folder
    assert read_run_record(folder)["resumed"] == [2] and is_used(folder)
    for name in (BEST, LAST):
        assert same_weights(weights_of(folder / name), weights_of(whole / name))
    assert {*files_of(folder)} == {BEST, LAST, CONFIG, METRICS, RUN, HELD_OUT} and not (folder / RETRAIN).exists()


def test_one_of_another_config_is_neither_gone_on_with_nor_in_the_way(trained, broken_off):
    folder = trained(**EPOCHS)
    before = files_of(folder)
    broken_off(3, train__seed=3, **EPOCHS)
    trained(**EPOCHS)
    assert files_of(folder) == before and (folder / RETRAIN / LAST).exists()
    with pytest.raises(UserError, match=r"finished with another train\.seed"):
        trained(train__seed=4, **EPOCHS)
    trained(force=True, train__seed=4, **EPOCHS)
    assert "resumed" not in read_run_record(folder) and not (folder / RETRAIN).exists()
    assert read_checkpoint(folder / BEST).meta["config"]["train"]["seed"] == 4


def test_of_the_earlier_training_nothing_is_left(trained):
    folder = trained(log__tensorboard=True, **EPOCHS)
    (folder / PSEUDO).mkdir()
    (folder / PSEUDO / "epoch_003.csv").touch()
    (folder / "wandb" / "run-1").mkdir(parents=True)
    (folder / "pred_test.npy").touch()
    trained(force=True, **EPOCHS)
    assert not (folder / TENSORBOARD).exists() and not (folder / PSEUDO).exists() and left_over(folder) == []
    assert (folder / "wandb" / "run-1").exists() and (folder / "pred_test.npy").exists()  # not the training's own


def test_folders_of_both_are_merged(tmp_path):
    new = tmp_path / RETRAIN
    for folder, name in ((tmp_path, "run-1"), (new, "run-2")):
        (folder / "wandb" / name).mkdir(parents=True)
        (folder / "wandb" / "latest-run").symlink_to(name)
    (tmp_path / RUN).write_text('{"status": "done"}')
    (new / RUN).write_text('{"status": "done", "new": 1}')
    retraining.replace_by_retraining(tmp_path)
    assert sorted(path.name for path in (tmp_path / "wandb").iterdir()) == ["latest-run", "run-1", "run-2"]
    assert (tmp_path / "wandb" / "latest-run").readlink().name == "run-2" and read_run_record(tmp_path)["new"] == 1
    assert not new.exists()


def test_an_unfinished_training_is_forced_in_its_place(trained, monkeypatch, tmp_path):
    with pytest.raises(UserError, match="cannot recover"):
        trained(**DIVERGES)
    trained(force=True)
    (record,) = tmp_path.rglob(RUN)
    assert read_run_record(record.parent)["status"] == "done" and not (record.parent / RETRAIN).exists()


def test_both_must_fit_on_the_disk(trained, monkeypatch):
    asked = []
    monkeypatch.setattr(training, "check_room", lambda path, n_bytes: asked.append((path, n_bytes)))
    folder = trained(**EPOCHS)
    trained(force=True, **EPOCHS)
    assert asked == [(folder, asked[0][1]), (folder / RETRAIN, asked[0][1])]


def test_how_far_it_is(trained, broken_off, config, data_of):
    chosen, other = config(**EPOCHS), config(train__seed=3, **EPOCHS)
    folder, data = trained(**EPOCHS), data_of(chosen)
    broken_off(3, train__seed=3, **EPOCHS)
    assert run_state(folder, chosen, data).kind == "done"
    state = run_state(folder, other, data)
    assert (state.kind, state.epochs) == ("partial", 2) and state.words.startswith("a retraining; the earlier training")
    with locked(folder):
        assert (run_state(folder, other, data).kind, run_state(folder, other, data).epochs) == ("running", 2)
    shutil.rmtree(folder / RETRAIN)
    with pytest.raises(UserError, match="cannot recover"):
        trained(force=True, **EPOCHS, **DIVERGES)
    failed = config(**EPOCHS, **DIVERGES)
    assert (
        run_state(folder, failed, data).kind == "failed" and "cannot recover" in run_state(folder, failed, data).words
    )
    assert run_state(folder, chosen, data).kind == "done"


@pytest.fixture
def half_replaced(trained, monkeypatch):
    """Return the run folder of a retraining that was killed while its files were moved."""
    folder = trained()

    def broken(folder, new):
        retraining.change_status(folder, "being replaced")
        (new / BEST).replace(folder / BEST)
        (new / CONFIG).replace(folder / CONFIG)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(retraining, "_replace", broken)
        trained(force=True, train__seed=3)
    return folder


def test_while_files_are_moved_it_is_not_used(half_replaced, config, data_of, tmp_path):
    chosen = config(train__seed=3)
    with pytest.raises(UserError, match="no training of tiny is finished"):
        is_used(half_replaced)
    assert "is being replaced, not done" in lacks_start(config(stage="pseudo", init__stage="full"), tmp_path / "logs")
    with pytest.raises(UserError, match=r"holds no finished training \(being replaced\)"):
        rerun(half_replaced, tmp_path / "again")
    state = run_state(half_replaced, chosen, data_of(chosen))
    assert (state.kind, state.epochs) == ("partial", 1) and "new files still have to take the place" in state.words


@pytest.mark.parametrize("force", [True, False])
def test_the_same_command_moves_the_rest(half_replaced, trained, capsys, force):
    weights = weights_of(half_replaced / RETRAIN / LAST)
    trained(force=force, train__seed=3)
    said = f"{half_replaced}: the retraining has taken the place of the earlier training"
    assert capsys.readouterr().out.splitlines()[-2:] == [said, f"{half_replaced}: done already, skipped"]
    assert same_weights(weights_of(half_replaced / LAST), weights) and is_used(half_replaced)
    assert not (half_replaced / RETRAIN).exists()


def test_another_command_moves_the_rest_first(half_replaced, trained):
    with pytest.raises(UserError, match=r"finished with another train\.seed"):
        trained(train__seed=4)
    assert is_used(half_replaced) and not (half_replaced / RETRAIN).exists()
    trained(force=True, train__seed=4)
    assert read_checkpoint(half_replaced / BEST).meta["config"]["train"]["seed"] == 4


def test_without_the_new_files_it_begins_anew(half_replaced, trained):
    shutil.rmtree(half_replaced / RETRAIN)
    trained(train__seed=3)
    assert "resumed" not in read_run_record(half_replaced) and is_used(half_replaced)


def test_what_an_end_left_is_removed(trained):
    folder = trained()
    (folder / RETRAIN / "checkpoints").mkdir(parents=True)
    trained()
    assert not (folder / RETRAIN).exists()


def test_every_process_of_a_training_decides_alike(trained, broken_off, config, data_of, monkeypatch, half_replaced):
    """Those under torchrun that do not write see the folder before, while or after the first one changes it."""
    chosen = config(train__seed=3)
    data = data_of(chosen)

    def decided(rank, force, folder):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        return training_place(folder, chosen, data, force)

    new = half_replaced / RETRAIN, True
    early = [decided(1, force, half_replaced) for force in (True, False)]
    assert (half_replaced / RETRAIN / RUN).exists()
    first = decided(0, True, half_replaced)
    assert not (half_replaced / RETRAIN).exists()
    late = [decided(1, force, half_replaced) for force in (True, False)]
    assert early == late == [new, None] and first == new and decided(0, False, half_replaced) is None
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    broken_off(1, train__seed=3)
    assert [decided(rank, force, half_replaced) for rank in (0, 1) for force in (True, False)] == [
        (half_replaced / RETRAIN, False)
    ] * 4


def test_rerun_repeats_the_earlier_one(trained, broken_off, tmp_path, capsys):
    folder = trained(**EPOCHS)
    broken_off(2, train__seed=3, **EPOCHS)
    again = rerun(folder, tmp_path / "again")
    assert same_weights(weights_of(folder / BEST), weights_of(again / BEST))
    assert "the same weights, bit for bit" in capsys.readouterr().out


def test_a_training_without_its_lock_file_is_still_alone(trained, monkeypatch, tmp_path):
    """`rm run.lock` during a training, then a second one."""
    validate, refused = WellValidation.on_loader_end, []

    def begin_another(callback, runner):
        validate(callback, runner)
        for path in tmp_path.rglob("run.lock"):
            path.unlink()
            with pytest.raises(BusyError) as error, locked(path.parent):
                pass
            refused.append(str(error.value))

    monkeypatch.setattr(WellValidation, "on_loader_end", begin_another)
    folder = trained()
    assert refused == [f"{folder}: in use by another process"]


@pytest.mark.parametrize("again", ["there", "back"])
@pytest.mark.parametrize("tensorboard", [False, True])
def test_a_log_root_moved_during_a_training(trained, monkeypatch, tmp_path, again, tensorboard):
    settings = {"schedule__epochs": 4, "log__tensorboard": tensorboard}
    whole = trained("whole", **settings)
    validate = WellValidation.on_loader_end

    def move(callback, runner):
        validate(callback, runner)
        if runner.is_valid_loader and runner.epoch_step == 3:
            (tmp_path / "logs").rename(tmp_path / "moved")

    with monkeypatch.context() as patch, pytest.raises(UserError, match=r"tiny: was moved or removed while") as error:
        patch.setattr(WellValidation, "on_loader_end", move)
        trained(**settings)
    assert "\n" not in str(error.value) and not (tmp_path / "logs").exists() and left_over(tmp_path) == []
    (record,) = (tmp_path / "moved").rglob(RUN)
    assert (
        json.loads(record.read_text())["status"] == "running"
        and read_checkpoint(record.parent / LAST).meta["epoch"] == 2
    )
    if again == "back":
        (tmp_path / "moved").rename(tmp_path / "logs")
    folder = trained("logs" if again == "back" else "moved", **settings)
    assert read_run_record(folder)["resumed"] == [2]
    assert same_weights(weights_of(folder / LAST), weights_of(whole / LAST)) and (folder / CONFIG).exists()


def test_a_log_root_removed_or_replaced_during_a_training(trained, monkeypatch, tmp_path):
    validate = WellValidation.on_loader_end

    def replace(callback, runner):
        validate(callback, runner)
        if runner.is_valid_loader:
            shutil.rmtree(tmp_path / "logs")
        if runner.is_valid_loader and replaced:
            (folder / "checkpoints").mkdir(parents=True)

    for replaced in (False, True):
        folder = tmp_path / "logs" / trained("other").relative_to(tmp_path / "other")
        with monkeypatch.context() as patch, pytest.raises(UserError, match=r"tiny: was moved or removed while"):
            patch.setattr(WellValidation, "on_loader_end", replace)
            trained()
        assert [path for path in tmp_path.glob("logs/**/*") if path.is_file()] == []
        assert folder.exists() == replaced
