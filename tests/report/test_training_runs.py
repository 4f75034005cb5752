"""Run folders as tables: finished, broken off, damaged."""

import json

import numpy as np
import pytest

from rcic.errors import UserError
from rcic.files.sealed_json import sealed
from rcic.report.training_runs import config_table, curve_table, machine_table, minutes, read_runs, run_table
from rcic.screen.table import read_screen
from tests.records import tamper
from tests.report.conftest import RECORD


@pytest.fixture
def logs(tmp_path):
    """Return a log folder with a finished run, one that is only begun, and a damaged one."""
    log = tmp_path / "logs"
    done, begun, damaged = (
        log / name for name in ("full/[1,2]/fold_0/tiny", "control/[1,2]/tiny", "full/[1,2]/fold_1/tiny")
    )
    for folder, epochs in ((done, 4), (begun, 5), (damaged, 4)):
        folder.mkdir(parents=True)
        config = f"stage: {folder.parts[-4]}\ntrain: {{monitor: map3, seed: 0}}\nschedule: {{epochs: {epochs}}}\n"
        (folder / "config.yml").write_text(config)
    (done / "run.json").write_text(json.dumps(RECORD))
    (done / "metrics.csv").write_text("epoch,seconds,map3,map3 RPE,map3 RPE-01\n1,3,0.25,0.2,0.1\n2,6,0.5,0.4,0.3\n")
    (begun / "run.json").write_text('{"status": "running", "started": "2026-01-01T10:00:00+00:00"}')
    (damaged / "run.json").write_text("{")
    (damaged / "metrics.csv").write_text("")
    return log


def test_a_record_that_was_changed_is_damaged(logs):
    path = logs / "full/[1,2]/fold_0/tiny/run.json"
    path.write_text(sealed(RECORD))
    assert run_table(read_runs(logs))["status"][1] == "done"
    tamper(path, best={"value": 0.9})
    told = run_table(read_runs(logs))
    assert told["status"][1] == "run.json is damaged" and np.isnan(told["minutes"][1])


def test_every_run_is_told(logs):
    table = run_table(read_runs(logs))
    assert table["run"].tolist() == ["control [1,2] tiny", "full [1,2] fold 0 tiny", "full [1,2] fold 1 tiny"]
    assert table["status"].tolist() == ["running", "done", "run.json is damaged"]
    assert table["epochs"].tolist() == [0, 2, 0]
    assert table["best map3"].tolist()[1] == 0.5
    assert table["fold"].tolist() == ["no fold", "fold 0", "fold 1"]
    assert np.isnan(table["minutes"]).tolist() == [True, False, True]
    assert table["minutes"][1] == 30


def test_curves_are_overall_and_by_cell_type(logs, data):
    table = curve_table(read_runs(logs), read_screen(data))
    assert table.columns.tolist() == [
        "run",
        "stage",
        "channels",
        "fold",
        "model",
        "epoch",
        "seconds",
        "map3",
        "map3 RPE",
    ]
    assert table["map3"].tolist() == [0.25, 0.5]
    (logs / "full/[1,2]/fold_0/tiny/metrics.csv").unlink()
    with pytest.raises(UserError, match="no training has finished an epoch yet"):
        curve_table(read_runs(logs), read_screen(data))


def test_only_differences_of_configs_are_listed(logs):
    table = config_table(read_runs(logs))
    assert table.to_dict("records") == [{"key": "schedule.epochs", "control": "5", "full": "4"}]


def test_differences_within_a_stage_are_listed_too(logs):
    path = logs / "full/[1,2]/fold_1/tiny/config.yml"
    path.write_text(path.read_text().replace("seed: 0", "seed: 7"))
    rows = {row["key"]: row["full"] for row in config_table(read_runs(logs)).to_dict("records")}
    assert rows["train.seed"] == "0; 7"


def test_machines_are_counted(logs):
    table = machine_table(read_runs(logs)).set_index("what")
    assert table.loc["torch"].tolist() == ["2", 1]
    assert table.loc["device", "value"] == "cpu"


def test_time_that_is_not_known(logs):
    run = read_runs(logs)[1]
    for record in ({}, RECORD | {"finished": "yesterday"}, RECORD | {"started": 3}):
        run.record.clear()
        run.record.update(record)
        assert np.isnan(minutes(run))


def test_no_runs(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="no run folder in it"):
            read_runs(folder)
