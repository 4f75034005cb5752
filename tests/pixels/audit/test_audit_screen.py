"""The audit as a user starts it: its table, its report, its exit code, and what a training says without it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from rcic.files.names import Member
from rcic.pixels.audit.audit_screen import audit
from rcic.pixels.packed.pack_screen import pack
from rcic.screen.folds import write_folds
from rcic.screen.table import read_screen
from tests.disk import nearly_full
from tests.pixels.planted import PLANTS
from tests.program import SRC, TINY, Program, left_over, save_untrained
from tests.records import content_of


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(capsys)


@pytest.fixture
def screen(small_screen: Path, tmp_path: Path) -> Path:
    """Return a copy of the small screen that a test may damage."""
    return shutil.copytree(small_screen, tmp_path / "screen")


def images_of(root: Path, n: int) -> list[Path]:
    """Return the images of ``n`` wells, all of the first plate: site 2, channel 3 of each."""
    return sorted((root / "train/HUVEC-01/Plate1").glob("*_s2_w3.png"))[:n]


def test_a_sound_screen_is_one_line(program, small_screen, tmp_path):
    out = program.run("data.py", "audit", "--data_root", small_screen, "--out_dir", tmp_path / "a")
    assert out.startswith(f"{tmp_path}/a/audit.json: 322 sites, 1,932 images (full check in ") and out.count("\n") == 1
    assert out.endswith(" s): no bad images\n")
    record = json.loads((tmp_path / "a/audit.json").read_text())
    facts, made_from = record["facts"], record["made_from"]
    assert made_from["wells"] == read_screen(small_screen).identity.wells()
    assert len(made_from["pixels"]) == 28 and all(plate["pixels"] for plate in made_from["pixels"].values())
    assert record["made_with"] == {"mode": "full", "on_bad": "stop"}
    assert (facts["sites"], facts["images"]) == (322, 1932)
    assert (facts["by_kind"], facts["by_plate"]) == ({}, {}) and len(facts["marks"]) == 28 and facts["seconds"] >= 0
    assert (tmp_path / "a/audit.csv").read_text() == "id_code,site,channel,file,kind,detail\n"


@pytest.mark.parametrize("mode", ["quick", "full"])
def test_every_kind_is_in_the_report(program, screen, tmp_path, mode):
    paths = sorted((screen / "train").glob("*/Plate2/*_s2_w3.png"))[: len(PLANTS)]
    assert len(paths) == len(PLANTS)
    planted = {}
    for path, (plant, kind, in_header) in zip(paths, PLANTS.values(), strict=True):
        plant(path)
        if mode == "full" or in_header:
            planted[path.relative_to(screen).as_posix()] = kind
    line = program.refuse("data.py", "audit", "--data_root", screen, "--out_dir", tmp_path / "a", f"--mode={mode}")
    n = len(planted)
    assert line == (
        f"{screen}: {n} bad images in {n} sites, listed in {tmp_path}/a/audit.csv; repair them and audit again, or "
        "audit with --on_bad=drop or --on_bad=other-site"
    )
    table = pd.read_csv(tmp_path / "a/audit.csv")
    assert dict(zip(table["file"], table["kind"], strict=True)) == planted and table["file"].is_monotonic_increasing
    assert set(table["site"]) == {2} and set(table["channel"]) == {3} and not left_over(tmp_path)
    facts = json.loads((tmp_path / "a/audit.json").read_text())["facts"]
    assert facts["by_kind"] == table["kind"].value_counts().to_dict()
    plate = table["file"].str.rpartition("/")[0]
    assert {name: sum(kinds.values()) for name, kinds in facts["by_plate"].items()} == plate.value_counts().to_dict()


def test_the_table_has_a_line_for_each_plate_with_findings(program, screen, tmp_path):
    first, second = images_of(screen, 2)
    first.unlink()
    second.write_bytes(b"")
    other = screen / "train/HUVEC-01/Plate1" / first.name.replace("w3", "w4")
    other.unlink()
    lost = next((screen / "test").glob("*/Plate4/*_s1_w1.png"))
    lost.write_bytes(b"text")
    out = program.run("data.py", "audit", "--data_root", screen, "--out_dir", tmp_path / "a", "--on_bad=drop")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["plate", "sites", "images", "missing", "empty", "not-png"]
    assert lines[1] == [lost.parent.relative_to(screen).as_posix(), "1", "1", "-", "-", "1"]
    assert lines[2] == ["train/HUVEC-01/Plate1", "2", "3", "2", "1", "-"]
    assert lines[3] == ["total", "3", "4", "2", "1", "1"] and len(lines) == 5
    assert "4 bad images in 3 sites, see " in out
    assert out.endswith("with all channels 3 are left out (0 wells have none left)\n")


def test_a_long_table_is_cut(program, screen, tmp_path, monkeypatch):
    monkeypatch.setattr("rcic.pixels.audit.audit_screen._MOST_PLATES", 2)
    plates = sorted(screen.glob("train/*/Plate*"))[:5]
    for plate in plates:
        sorted(plate.iterdir())[0].unlink()
    out = program.run("data.py", "audit", "--data_root", screen, "--out_dir", tmp_path / "a", "--on_bad=drop")
    lines = out.splitlines()
    assert lines[3] == "and 3 more plates, see audit.csv" and lines[4].split() == ["total", "5", "5", "5"]


def test_a_well_without_a_sound_site_is_counted(program, screen, tmp_path):
    path = images_of(screen, 1)[0]
    path.unlink()
    out = program.run("data.py", "audit", "--data_root", screen, "--out_dir", tmp_path / "a", "--on_bad=other-site")
    said = (
        "with all channels 1 get the images of another site of their well and 0 are left out (0 wells have none left)\n"
    )
    assert out.endswith(said)
    path.with_name(path.name.replace("_s2_", "_s1_")).unlink()
    out = program.run("data.py", "audit", "--data_root", screen, "--out_dir", tmp_path / "a", "--on_bad=other-site")
    assert out.endswith("with all channels 2 are left out (1 wells have none left)\n")


def test_a_packed_screen_is_audited(program, screen, tmp_path, capsys):
    lost, black = images_of(screen, 2)
    lost.unlink()
    PLANTS["black"][0](black)
    pack(screen, tmp_path / "packed", (), threads=2, verify=False)
    for mode, kinds in (("quick", {"left-out": 1}), ("full", {"left-out": 1, "zero": 1})):
        audit(tmp_path / "packed", tmp_path / mode, mode, "drop", 2)
        assert json.loads((tmp_path / mode / "audit.json").read_text())["facts"]["by_kind"] == kinds
    assert "HUVEC-01/Plate1" in capsys.readouterr().out


def test_tables_that_disagree_end_it(program, screen, tmp_path):
    table = screen / "test.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], "HUVEC-01_1_O23,HUVEC-01,1,O23", *lines[2:]]) + "\n")
    line = program.refuse("data.py", "audit", "--data_root", screen, "--out_dir", tmp_path / "a")
    assert line.startswith(f"{table}, line 2: experiment 'HUVEC-01' is in test, but train.csv, line ")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mode=fast"], "audit: --mode is 'fast', must be full or quick"),
        (["--on_bad=other"], "audit: --on_bad is 'other', must be stop or drop or other-site"),
        (["--workers=0"], "--workers is 0, must be 1 or more"),
    ],
)
def test_a_flag_that_makes_no_sense(program, small_screen, tmp_path, words, message):
    line = program.refuse("data.py", "audit", "--data_root", small_screen, "--out_dir", tmp_path / "a", *words)
    assert line.startswith(message) and not (tmp_path / "a").exists()


def test_a_report_that_cannot_be_written(program, small_screen, tmp_path):
    (tmp_path / "file").write_text("x")
    line = program.refuse("data.py", "audit", "--data_root", small_screen, "--out_dir", tmp_path / "file/a")
    assert line.startswith(f"{tmp_path}/file/a/audit.json: not written, part of the path is a file")
    words = ["audit", "--data_root", small_screen, "--out_dir", tmp_path / "a", "--mode=quick"]
    for room, name in ((0, "audit.csv"), (300, "audit.json")):
        with nearly_full(room):
            line = program.refuse("data.py", *words)
        assert line.startswith(f"{tmp_path}/a/{name}: not written, ") and not list((tmp_path / "a").iterdir())


# --- who asks for it --------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, small_screen: Path) -> Path:
    """Return a config that wants an audit in ``audit`` beside it."""
    write_folds(read_screen(small_screen), tmp_path / "csv", 2, 0)
    text = TINY.replace("FOLDS", str(tmp_path / "csv")).replace("audit: off", f"audit_dir: {tmp_path}/audit")
    (tmp_path / "tiny.yml").write_text(text)
    return tmp_path / "tiny.yml"


def train(config: Path, screen: Path) -> list[object]:
    where = ["--data_root", screen, "--log_root", config.parent / "logs"]
    return ["train.py", "run", "--config", config, *where, "--channels=[1,2]", "--fold=0"]


def test_a_training_wants_an_audit(program, screen, config, tmp_path):
    command = f"run python src/data.py audit --data_root {screen} --out_dir {tmp_path}/audit"
    line = program.refuse(*train(config, screen))
    assert line == (
        f"{tmp_path}/audit/audit.json: not found, so the images of {screen} were not audited; {command} (or "
        "skip the check with --set data.audit=off)"
    )
    images_of(screen, 1)[0].unlink()
    program.refuse("data.py", "audit", "--data_root", screen, "--out_dir", tmp_path / "audit")
    line = program.refuse(*train(config, screen))
    assert line.startswith(f"{screen}: 1 bad image in 1 site, listed in {tmp_path}/audit/audit.csv; repair them")
    program.run("data.py", "audit", "--data_root", screen, "--out_dir", tmp_path / "audit", "--on_bad=drop")
    images_of(screen, 1)[0].unlink()
    line = program.refuse(*train(config, screen))
    assert line.startswith(f"{screen}: train/HUVEC-01/Plate1 changed since the audit in {tmp_path}/audit/audit.json; ")
    assert command + " --mode=full --on_bad=drop" in line
    assert not (tmp_path / "logs").exists()


def test_a_training_of_another_screen_is_refused(program, screen, config, tmp_path):
    program.run("data.py", "audit", "--data_root", screen, "--out_dir", tmp_path / "audit", "--mode=quick")
    table = screen / "train_controls.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")
    line = program.refuse(*train(config, screen))
    said = f"{tmp_path}/audit/audit.json: of another screen than {screen} is now, with other wells "
    assert line.startswith(said) and "; run python src/data.py audit" in line


def test_it_is_refused_before_torch_is_imported(screen, config):
    words = [sys.executable, "-X", "importtime", str(SRC / "train.py"), *map(str, train(config, screen)[1:])]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(SRC)})
    assert done.returncode == 2 and "error: " in done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "import time" in line}
    assert "rcic.pixels.audit.findings" in imported and not imported & {"torch", "catalyst"}


def test_a_training_goes_with_an_audit_or_without_one_that_is_not_wanted(program, screen, config, tmp_path):
    program.run("data.py", "audit", "--data_root", screen, "--out_dir", tmp_path / "audit", "--mode=quick")
    program.run(*train(config, screen))
    (record,) = (tmp_path / "logs").rglob("run.json")
    assert content_of(record)["made_from"]["audit"] == ""
    assert "done already, skipped" in program.run(*train(config, screen), "--set=data.audit=off")


def test_a_prediction_goes_without_an_audit_aloud(program, screen, tmp_path):
    save_untrained(tmp_path / "models", read_screen(screen), Member((1, 2), 0, "tiny"))
    words = ["--data_root", screen, "--model_root", tmp_path / "models", "--model_name=tiny"]
    words += ["--splits=test", "--audit_dir", tmp_path / "audit"]
    for command in ("predict-all", "embed-all"):
        out = program.run("inference.py", command, *words, "--out_dir", tmp_path / "out")
        warned = [line for line in out.splitlines() if line.startswith("warning: ")]
        assert len(warned) == 1 and f"{tmp_path}/audit/audit.json: not found, so the images of" in warned[0]
        assert warned[0].endswith("(continuing without an audit)")
    path = next((screen / "test").rglob("*_s1_w6.png"))
    path.unlink()  # a channel that is not read, but nothing is decided
    program.refuse("data.py", "audit", "--data_root", screen, "--out_dir", tmp_path / "audit")
    line = program.refuse("inference.py", "predict-all", *words, "--out_dir", tmp_path / "out")
    assert line.startswith(f"{screen}: 1 bad image in 1 site, listed in ")
