import json
import shutil

import pandas as pd
import pytest
import yaml
from torch import nn

from rcic.errors import UserError
from rcic.files.names import BEST, CONFIG, HELD_OUT, LAST, METRICS, RUN
from rcic.files.record import Record, check_files
from rcic.files.sealed_json import sealed
from rcic.learn.config.resolve import read_config
from rcic.learn.data.stage_table import stage_table
from rcic.learn.runs.folder import IGNORED_KEYS, run_folder
from rcic.learn.runs.run_record import read_run_record
from rcic.learn.train.callbacks import WellValidation
from rcic.learn.train.start import build_network, starting_checkpoint
from rcic.schema.convert import flat, to_plain
from tests.learn.tiny import same_weights, weights_of
from tests.records import content_of, tamper
from tests.tables import write_wells

FILES = {BEST, LAST, CONFIG, METRICS, RUN, HELD_OUT}


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_run_folder_holds_what_was_promised(trained, config, screen):
    folder = trained()
    assert files_below(folder) == FILES
    assert folder.parts[-4:] == ("full", "[1,2,3,4,5]", "fold_0", "tiny")
    record = content_of(folder / RUN)
    assert record["status"] == "done" and record["best"]["epoch"] == 1
    assert set(record["made_from"]) == {"images", "wells", "tables", "audit", "pixels"}
    assert record["made_from"]["wells"] == screen.identity.wells(set(screen.select("train")["experiment"]))
    assert set(record["files"]) == {BEST, LAST, CONFIG, METRICS, HELD_OUT}
    check_files(folder / RUN, Record("training", files=record["files"]))
    assert record["versions"]["torch"] and record["processes"] == 1 and record["start"] == "random weights"
    resolved = read_config(folder / CONFIG)
    assert resolved.train.device == "cpu" and resolved.schedule == config().schedule
    held_out = pd.read_csv(folder / HELD_OUT)
    assert held_out.columns.tolist() == ["id_code", "label"] and len(held_out) == 20


def test_the_control_stage_has_no_fold(trained, screen):
    folder = trained(stage="control", data__channels=[6, 2])
    assert folder.parts[-3:] == ("control", "[6,2]", "tiny")
    assert read_run_record(folder)["n_classes"] == len(screen.classes) - screen.n_treatments


def test_a_finished_run_is_skipped(trained, capsys):
    folder = trained()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert trained() == folder and f"{folder}: done already, skipped" in capsys.readouterr().out
    assert trained(train__valid_batch_size=3, data__workers=1, log__tensorboard=True) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_epochs_without_validation_leave_the_weights_as_they_were(trained, capsys):
    each = trained(schedule__epochs=3)
    capsys.readouterr()
    some = trained(schedule__epochs=3, train__validate_every=2, log__tensorboard=True, log_root="some")
    lines = [line for line in capsys.readouterr().out.splitlines() if " loss " in line]
    assert [" valid" in line for line in lines] == [False, True, True]
    rows = pd.read_csv(some / METRICS)
    assert rows["map3"].notna().tolist() == rows["valid_loss"].notna().tolist() == [False, True, True]
    assert rows["train_loss"].tolist() == pd.read_csv(each / METRICS)["train_loss"].tolist()
    assert same_weights(weights_of(each / LAST), weights_of(some / LAST))
    assert read_run_record(some)["best"]["epoch"] in (2, 3)


def test_other_views_are_no_other_training_but_are_said(trained, capsys):
    folder = trained()
    capsys.readouterr()
    assert trained(predict__tta=["identity", "hflip"]) == folder
    said = "predict-all uses predict.tta of the training, identity, unless given --tta=identity,hflip"
    assert capsys.readouterr().out.splitlines() == [f"{folder}: {said}", f"{folder}: done already, skipped"]


def test_a_finished_run_of_another_config_is_not_overwritten_unless_forced(trained):
    folder = trained()
    weights = weights_of(folder / LAST)
    with pytest.raises(
        UserError, match=r"finished with another optim.clip, train.seed; choose .* or retrain from scratch with --force"
    ):
        trained(train__seed=3, optim__clip=1.0)
    assert same_weights(weights_of(folder / LAST), weights) and read_run_record(folder)["status"] == "done"
    trained(train__seed=3, force=True)
    assert not same_weights(weights_of(folder / LAST), weights)
    assert yaml.safe_load((folder / CONFIG).read_text())["train"]["seed"] == 3


def test_other_wells_or_labels_are_another_run(trained, screen, tmp_path):
    pseudo = tmp_path / "pseudo"
    settings = {"stage": "pseudo", "data__pseudo_dir": str(pseudo)}
    wells = screen.select("test", "treatment").head(4)
    write_wells(pseudo / "pseudo.csv", wells.assign(label=[0, 1, 2, 3]), screen)
    folder = trained(**settings)
    assert trained(**settings) == folder
    write_wells(pseudo / "pseudo.csv", wells.assign(label=[0, 1, 2, 4]), screen)
    with pytest.raises(UserError, match=r"finished with other tables \(changed since\); choose another --log_root"):
        trained(**settings)


def test_a_forced_run_that_cannot_start_leaves_the_finished_one(trained, own_screen):
    folder = trained(root=own_screen)
    before = {name: (folder / name).read_bytes() for name in FILES}
    shutil.rmtree(own_screen / "train" / "HUVEC-01")
    with pytest.raises(UserError, match="images are missing"):
        trained(root=own_screen, force=True)
    assert {name: (folder / name).read_bytes() for name in FILES} == before


def test_a_run_that_cannot_start_leaves_nothing(trained, own_screen, tmp_path):
    shutil.rmtree(own_screen / "train" / "HUVEC-01")
    with pytest.raises(UserError, match="images are missing"):
        trained(root=own_screen)
    with pytest.raises(
        UserError,
        match=r"the checkpoint of stage control does not exist; train that stage first with the same --log_root",
    ):
        trained(init__stage="control")
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        trained(train__precision="fp16")
    with pytest.raises(UserError, match=r"init.checkpoint is '.*/absent.pth', but there is no such file"):
        trained(init__checkpoint=str(tmp_path / "absent.pth"))
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_stops_the_run_in_one_line(trained, own_screen, folds_dir, tmp_path, workers):
    well = pd.read_csv(folds_dir / "train_0.csv").iloc[5]
    image = own_screen / "train" / well["experiment"] / f"Plate{well['plate']}" / f"{well['well']}_s2_w4.png"
    image.write_bytes(image.read_bytes()[:60])
    with pytest.raises(UserError) as error:
        trained(root=own_screen, data__workers=workers, data__cache=False)
    assert str(error.value).startswith(f"{image}: the PNG is cut off after 60 bytes") and "\n" not in str(error.value)
    (record,) = (tmp_path / "logs").rglob(RUN)
    assert read_run_record(record.parent)["reason"] == str(error.value)


def test_a_loss_that_is_not_finite_is_recorded(trained, tmp_path):
    message = r"^epoch 1, batch \d of 3 \(.* site \d and 4 more\): the training loss is nan, and the run cannot recover"
    with pytest.raises(UserError, match=message) as error:
        trained(schedule__max_lr=1e30)
    (record,) = (tmp_path / "logs").rglob(RUN)
    assert files_below(record.parent) == {RUN, CONFIG, HELD_OUT}
    assert read_run_record(record.parent)["status"] == "failed"
    assert read_run_record(record.parent)["reason"] == str(error.value)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), MemoryError("no room"), SystemExit(3)])
def test_an_interrupted_run_is_recorded_and_begun_anew(trained, tmp_path, monkeypatch, interruption):
    def interrupt(*_):
        raise interruption

    monkeypatch.setattr(WellValidation, "on_loader_end", interrupt)
    with pytest.raises(type(interruption)):
        trained()
    (record,) = (tmp_path / "logs").rglob(RUN)
    stopped = isinstance(interruption, KeyboardInterrupt)
    assert read_run_record(record.parent)["status"] == ("stopped" if stopped else "failed")
    assert read_run_record(record.parent)["reason"] == (str(interruption) or "KeyboardInterrupt")
    monkeypatch.undo()
    assert read_run_record(trained())["status"] == "done"


def test_a_new_run_clears_what_an_earlier_one_left(trained, tmp_path):
    with pytest.raises(UserError, match="cannot recover"):
        trained(schedule__max_lr=1e30, log__tensorboard=True)
    (record,) = tmp_path.rglob(RUN)
    (record.parent / "tensorboard" / "train").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot recover"):
        trained(force=True, schedule__max_lr=1e30)
    assert files_below(record.parent) == {RUN, CONFIG, HELD_OUT} and not (record.parent / "tensorboard").exists()


def test_later_stages_start_from_earlier_ones(trained, screen):
    control = trained(stage="control")
    full = trained(init__stage="control")
    assert read_run_record(full)["start"] == f"{control / BEST} (with a new head)"
    given = trained("other", init__checkpoint=str(full / BEST))
    assert read_run_record(given)["start"] == str(full / BEST)
    with pytest.raises(UserError, match=r"trained on channels \[1, 2, 3, 4, 5\], not \[1, 2, 3, 4, 6\]"):
        trained("other", init__checkpoint=str(full / BEST), data__channels=[1, 2, 3, 4, 6])


def test_the_start_is_the_earlier_stages_best(trained, screen, config, tmp_path):
    control = trained(stage="control")
    chosen = config(init__stage="control")
    network, _ = build_network(chosen, screen.n_treatments, [], starting_checkpoint(chosen, tmp_path / "logs"))
    best = weights_of(control / BEST)
    own = network.state_dict()
    assert all(own[key].equal(best[key]) for key in own if key.startswith("trunk."))
    assert own["head.weight"].shape == (screen.n_treatments, 32)


def test_the_record_of_a_broken_file_is_refused_that_of_none_is_empty(tmp_path):
    assert read_run_record(tmp_path / "absent") == read_run_record(tmp_path) == {}
    (tmp_path / RUN).write_text('{"status": "do')
    with pytest.raises(UserError, match=r"run\.json: cannot be read as JSON \(.*\); train it again with --force$"):
        read_run_record(tmp_path)
    (tmp_path / RUN).write_text('{"status": "done", "screen": "1"}')  # of version 0.1
    assert read_run_record(tmp_path) == {"status": "done", "screen": "1"}
    (tmp_path / RUN).write_text(sealed({"status": "done"}))
    assert read_run_record(tmp_path) == {"status": "done"}
    tamper(tmp_path / RUN, status="failed")
    with pytest.raises(
        UserError, match=r"run\.json: is damaged, or was changed by hand.*; train it again with --force$"
    ):
        read_run_record(tmp_path)


@pytest.mark.parametrize("damage", ['{"status": "do', "[]"])
def test_a_training_whose_record_is_damaged_is_refused_and_may_be_forced(trained, damage):
    folder = trained()
    (folder / RUN).write_text(damage)
    with pytest.raises(UserError, match=r"run\.json: .*; train it again with --force$"):
        trained()
    assert trained(force=True) == folder and read_run_record(folder)["status"] == "done"


def test_a_training_of_version_0_1_is_done_if_its_fingerprints_fit(trained, screen, config):
    folder = trained()
    table = stage_table(screen, config()).fingerprint()
    (folder / RUN).write_text(json.dumps({"status": "done", "screen": screen.fingerprint(), "tables": table}))
    assert trained() == folder
    (folder / RUN).write_text(json.dumps({"status": "done", "screen": "x", "tables": table}))
    with pytest.raises(
        UserError, match=r"finished with other wells, classes or grey levels; choose another --log_root"
    ):
        trained()


def test_run_folder_has_a_fold_but_in_stage_one(config):
    assert run_folder("logs", config(data__fold=2)).as_posix() == "logs/full/[1,2,3,4,5]/fold_2/tiny"
    assert run_folder("logs", config(stage="control")).as_posix() == "logs/control/[1,2,3,4,5]/tiny"


def test_the_harmless_keys_are_keys_of_the_config(config):
    assert set(IGNORED_KEYS) < set(flat(to_plain(config())))


def test_a_network_that_torch_cannot_compile_ends_in_a_line(trained, monkeypatch):
    def fail(_graph, _inputs):
        raise RuntimeError("no compiler found")

    monkeypatch.setattr(nn.Module, "compile", lambda module, real=nn.Module.compile: real(module, backend=fail))
    reason = r"train\.compile: torch cannot compile this network here \(.*no compiler found.*\); leave it out$"
    with pytest.raises(UserError, match=reason):
        trained(train__compile=True)
