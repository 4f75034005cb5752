"""What the tests of the report are given: a tiny screen with a bit of everything."""

import json
from pathlib import Path

import numpy as np
import pytest

from rcic.files.names import embedding_files
from rcic.files.record import Record, write_record
from rcic.report.report_options import ReportOptions
from rcic.report.sources import Given
from tests.predicted import WELLS, write_held_out, write_member
from tests.screen.tiny import KAGGLE

RECORD = {"status": "done", "started": "2026-01-01T10:00:00+00:00", "finished": "2026-01-01T10:30:00+00:00"}
RECORD |= {
    "device": "cpu",
    "processes": 1,
    "best": {"epoch": 2, "value": 0.5},
    "n_train_sites": 40,
    "versions": {"torch": "2"},
}

DECIDED = {"mode": "full", "on_bad": "drop"}
FOUND = {"when": "2026-01-01T00:00:00", "sites": 4, "images": 24, "by_kind": {"zero": 2, "missing": 1}}
FOUND |= {"by_plate": {"train/RPE-01/Plate1": {"zero": 2, "missing": 1}}}
EARLIER = {**FOUND, **DECIDED, "screen": "0", "findings_sha256": "0", "marks": {}}  # as versions 0.1 and 0.2 wrote it


@pytest.fixture
def everything(data, root, tmp_path):
    """Return what a report is given about the tiny screen, all of it."""
    for channels in ("[1,2]", "[1,3]"):
        write_member(root, f"{channels}/fold_0/tiny")
        write_held_out(root, scale=0.5, channels=channels)
    (tmp_path / "truth.csv").write_text(f"id_code,sirna\n{WELLS[0]},10\n{WELLS[1]},2\n")
    (data / "pixel_stats.csv").write_text("id_code,site,channel,mean,std\nRPE-01_1_B03,1,1,10,2\n")
    files = embedding_files(tmp_path / "emb" / "[1,2]/fold_0/tiny", "train")
    codes = [line.partition(",")[0] for line in KAGGLE["train.csv"].splitlines()[1:]]
    files["embeddings"].parent.mkdir(parents=True)
    np.save(files["embeddings"], np.random.default_rng(0).standard_normal((len(codes), 5)).astype(np.float32))
    files["wells"].write_text("\n".join(["id_code", *codes]) + "\n")
    test = embedding_files(tmp_path / "emb" / "[1,2]/fold_0/tiny", "test")
    np.save(test["embeddings"], np.random.default_rng(1).standard_normal((len(WELLS), 5)).astype(np.float32))
    test["wells"].write_text("\n".join(["id_code", *WELLS]) + "\n")
    run = tmp_path / "logs/full/[1,2]/fold_0/tiny"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps(RECORD))
    (run / "metrics.csv").write_text("epoch,map3\n1,0.5\n")
    (tmp_path / "audit").mkdir()
    write_record(tmp_path / "audit/audit.json", Record("audit", made_with=DECIDED, facts=FOUND))
    paths = {"log_root": tmp_path / "logs", "audit_dir": tmp_path / "audit", "embed_root": tmp_path / "emb"}
    given = {name: str(path) for name, path in paths.items()}
    return shown_of(data, predict_root=(str(root),), truth=str(tmp_path / "truth.csv"), **given)


def shown_of(data_root: Path, **options: object) -> Given:
    """Return what a report shows, by default no images' quality and no audit."""
    return Given(data_root, ReportOptions(**{"quality_images": 0, "audit_dir": "", **options}))
