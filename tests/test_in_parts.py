"""Auditing, packing and predicting in 1 to 5 parts: what is written is what one process writes, byte for byte."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rcic.errors import BusyError, UserError
from rcic.files.lock import locked
from rcic.files.names import Member
from rcic.launch.command import JOBS
from rcic.launch.shards import Shard
from rcic.learn.predict.embed_all import embed_all
from rcic.learn.predict.predict_all import predict_all
from rcic.learn.predict.prediction_options import PredictionOptions
from rcic.pixels.audit import audit_screen as audits
from rcic.pixels.audit.audit_screen import SEEN, audit, audit_shard
from rcic.pixels.packed.pack_plates import PACKING
from rcic.pixels.packed.pack_screen import pack, pack_shard
from rcic.screen.table import read_screen
from tests.pixels.planted import PLANTS
from tests.program import SRC, left_over, save_untrained
from tests.records import content_of

PARTS = range(1, 6)
MEMBERS = [Member(channels, fold, "tiny") for channels in ((1, 2, 3), (4, 5)) for fold in (0, 1, 2)]
AUDIT = {"mode": "full", "threads": 1}


def parts(n):
    return [Shard(number, n) for number in range(1, n + 1)]


def files_of(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def report_of(folder: Path) -> tuple[dict[str, object], bytes]:
    """Return audit.json, without when and how long, and audit.csv."""
    content = content_of(folder / "audit.json")
    content["facts"] = {key: value for key, value in content["facts"].items() if key not in ("when", "seconds")}
    return content, (folder / "audit.csv").read_bytes()


@pytest.fixture(scope="module")
def damaged(small_screen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the small screen with every kind of damage, also pixels that two experiments share."""
    root = shutil.copytree(small_screen, tmp_path_factory.mktemp("damaged") / "screen")
    paths = sorted(root.rglob("*_s2_w3.png"))
    for path, (plant, *_) in zip(paths[:: len(paths) // len(PLANTS)], PLANTS.values(), strict=False):
        plant(path)
    first, last = sorted(root.rglob("*_s1_w1.png"))[:: len(list(root.rglob("*_s1_w1.png"))) - 1]
    shutil.copyfile(first, last)
    return root


@pytest.fixture(scope="module")
def audited(damaged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("audit")
    audit(damaged, out, "full", "drop", 1)
    return out


@pytest.mark.parametrize("n", PARTS)
def test_an_audit_in_parts_is_the_audit(damaged, audited, tmp_path, monkeypatch, n):
    for part in parts(n):
        audit_shard(damaged, tmp_path, shard=part, **AUDIT)
    looked_at = []
    monkeypatch.setattr("rcic.pixels.audit.inspection._scan_task", lambda store, scan, sites: looked_at.extend(sites))
    audit(damaged, tmp_path, "full", "drop", 1)
    assert looked_at == []
    assert report_of(tmp_path) == report_of(audited)
    kinds = report_of(audited)[0]["facts"]["by_kind"]
    assert {"missing", "truncated", "zero", "size", "duplicate"} <= set(kinds)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.csv", "audit.json"]


def test_what_parts_saw_is_looked_at_once_and_again_when_files_changed(small_screen, tmp_path, monkeypatch):
    root = shutil.copytree(small_screen, tmp_path / "screen")
    looks = []
    look = audits._scan
    monkeypatch.setattr(audits, "_scan", lambda *words: looks.append(1) or look(*words))
    for _ in range(2):
        audit_shard(root, tmp_path / "a", shard=Shard(1, 2), **AUDIT)
    n = len(read_screen(root).wells["experiment"].unique()) // 2
    assert len(looks) == n == len(list((tmp_path / "a" / SEEN).iterdir()))
    next((tmp_path / "a" / SEEN).iterdir()).write_bytes(b"PK\3\4 no archive")
    audit_shard(root, tmp_path / "a", shard=Shard(1, 2), **AUDIT)
    assert len(looks) == n + 1
    next(root.rglob("*_s1_w1.png")).unlink()
    audit_shard(root, tmp_path / "a", shard=Shard(1, 2), **AUDIT)
    assert len(looks) == 2 * n + 1
    audit(root, tmp_path / "a", "full", "drop", 1)  # the other half is looked at here
    assert report_of(tmp_path / "a")[0]["facts"]["by_kind"] == {"missing": 1}


@pytest.fixture(scope="module")
def packed(small_screen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "screen"
    pack(small_screen, out, (32,), 1, verify=False)
    return out


@pytest.mark.parametrize("n", PARTS)
def test_a_screen_packed_in_parts_is_the_packed_screen(small_screen, packed, tmp_path, monkeypatch, n, capsys):
    out, calls = tmp_path / "out", []

    def jobs(*more):
        calls.append(more)
        for part in parts(n):
            pack_shard(small_screen, out, (32,), 1, bool(more), part)
        return True

    pack(small_screen, out, (32,), 1, verify=True, jobs=jobs)
    assert calls == [(), ("--verify=true",)] and files_of(out) == files_of(packed)
    assert capsys.readouterr().out.endswith("every packed image equals its file\n")
    assert not (out / PACKING).exists() and left_over(out) == []


def test_a_plate_that_another_process_packs_is_left_to_it(small_screen, packed, tmp_path):
    out = tmp_path / "out"
    first = sorted(path for path in (packed / "images.zarr" / "full").glob("*/Plate*"))[0]
    with (
        locked(out / PACKING / first.parent.name / first.name),
        pytest.raises(UserError, match="is not a packed screen"),
    ):
        pack(small_screen, out, (), 1, verify=False)
    shutil.copytree(packed, out)
    shutil.rmtree(out / "images.zarr" / "full" / first.parent.name / first.name)
    with locked(out / PACKING / first.parent.name / first.name), pytest.raises(BusyError, match="in use by process"):
        pack_shard(small_screen, out, (32,), 1, False, Shard(1, 1))
    pack(small_screen, out, (32,), 1, verify=False)
    assert files_of(out) == files_of(packed)


@pytest.fixture(scope="module")
def models(small_screen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return run folders of six untrained members; those of a fold hold out the same experiment."""
    root, screen = tmp_path_factory.mktemp("models"), read_screen(small_screen)
    wells = screen.select("train", "treatment")
    experiments = sorted(wells["experiment"].unique())
    for member in MEMBERS:
        held_out = wells.loc[wells["experiment"] == experiments[member.fold], "id_code"].tolist()
        save_untrained(root, screen, member, held_out=held_out)
    return root


@pytest.fixture(scope="module")
def predicted(small_screen: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("predicted")
    predict_all(small_screen, models, ("tiny",), out, ("test", "valid"), PredictionOptions())
    embed_all(small_screen, models, ("tiny",), out, ("train", "valid", "test"), PredictionOptions())
    return files_of(out)


@pytest.mark.parametrize("n", PARTS)
def test_predictions_in_parts_are_the_predictions(small_screen, models, predicted, tmp_path, n, capsys):
    def jobs(*_):
        for part in parts(n):
            predict_all(small_screen, models, ("tiny",), tmp_path, ("test", "valid"), PredictionOptions(), part)
        capsys.readouterr()
        return True

    predict_all(small_screen, models, ("tiny",), tmp_path, ("test", "valid"), PredictionOptions(), jobs=jobs)
    assert [line for line in capsys.readouterr().out.splitlines() if "already" in line] == [
        f"{split}: 6 of 6 members are predicted already, 0 to go" for split in ("test", "valid")
    ]
    for part in parts(n):
        embed_all(small_screen, models, ("tiny",), tmp_path, ("train", "valid", "test"), PredictionOptions(), part)
    assert files_of(tmp_path) == predicted and len(predicted) == 6 * (2 * 4 + 3 * 3)


def test_a_part_of_the_members_is_whole_folds(small_screen, models, tmp_path):
    predict_all(small_screen, models, ("tiny",), tmp_path, ("valid",), PredictionOptions(), Shard(2, 3))
    there = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.npy")}
    assert there == {"[1,2,3]/fold_1/tiny", "[4,5]/fold_1/tiny"}


def test_the_program_starts_its_own_parts(small_screen, tmp_path):
    """As a user types it: flags are passed on, jobs run from the same folder, one that fails is told."""
    words = ["audit", "--data_root", small_screen.name, "--out_dir", tmp_path / "a", "--workers=1", "--jobs", "2"]
    run = [sys.executable, SRC / "data.py", *words]
    done = subprocess.run(run, cwd=small_screen.parent, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "2 jobs" and lines[-1].endswith(": no bad images")
    experiments = {path.name for split in ("train", "test") for path in (small_screen / split).iterdir()}
    assert {line.split(":")[0] for line in lines[1:-1]} == experiments and len(lines) == len(experiments) + 2
    assert not (tmp_path / "a" / SEEN).exists() and not (tmp_path / "a" / JOBS).exists()
