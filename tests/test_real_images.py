"""The 18 real sites of six channels, and the 18 that lack two, through predict-all and ensemble.

`tests/pixels/test_real.py` leads the same files through tables, dataset and augmentation.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rcic.files.names import Member
from rcic.learn.config.settings import Model
from rcic.learn.models import build_model
from rcic.learn.runs.checkpoint import load_matching, read_checkpoint
from rcic.pixels.batches.batch import normalize
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import site_table, sites_of
from rcic.screen.table import read_screen
from tests.program import Program, save_untrained
from tests.records import content_of

ALL, FOUR = Member((1, 2, 3, 4, 5, 6), 0, "tiny"), Member((1, 2, 3, 4), 0, "tiny")


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(capsys)


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data root whose test wells are those with real images.

    They are negative controls in truth. Here each is a treatment, beside the real rows of train experiment HUVEC-02.
    """
    root = tmp_path_factory.mktemp("real")
    (root / "test").mkdir()
    for folder in (shared_data / "images").glob("*/*"):
        (root / "test" / folder.name).symlink_to(folder)
    tables = {path.name: pd.read_csv(path) for path in (shared_data / "kaggle_2019").glob("*.csv")}
    for name, experiment in {"train": "HUVEC-02", "train_controls": "HUVEC-02", "test_controls": "HUVEC-17"}.items():
        table = tables[f"{name}.csv"]
        table[table["experiment"] == experiment].to_csv(root / f"{name}.csv", index=False)
    controls = pd.concat([tables["train_controls.csv"], tables["test_controls.csv"]])
    pictured = {"_".join(path.parts[-2:]) for path in (shared_data / "images").glob("*/*/Plate*")}
    plate = controls["experiment"] + "_Plate" + controls["plate"].astype(str)
    wells = controls[plate.isin(pictured) & (controls["well"] == "B02")]
    wells[["id_code", "experiment", "plate", "well"]].to_csv(root / "test.csv", index=False)
    return root


@pytest.fixture(scope="module")
def models(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run folders of an untrained network on all channels and, apart, of one on the first four."""
    root, screen = tmp_path_factory.mktemp("models"), read_screen(real)
    assert (len(screen.select("test", "treatment")), screen.n_treatments) == (18, 1108)
    save_untrained(root / "all", screen, ALL)
    save_untrained(root / "four", screen, FOUR, size=128)
    return root


def predict(real: Path, models: Path, out: Path, *more: str) -> tuple[str, ...]:
    """Return the words that predict the test wells."""
    given = {"data_root": real, "model_root": models, "model_name": "tiny", "out_dir": out, "splits": "test"}
    return ("inference.py", "predict-all", *(f"--{key}={value}" for key, value in given.items()), *more)


def read(out: Path, member: Member) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return a member's logits (N, K), those by site (N, S, K), and the wells."""
    folder = out / member.folder
    wells = pd.read_csv(folder / "pred_test.csv")["id_code"].tolist()
    return np.load(folder / "pred_test.npy"), np.load(folder / "pred_test_sites.npy"), wells


def test_the_audit_finds_exactly_what_is_missing(program, real, tmp_path):
    """What the tables promise less what lies in the folders; every image that is there can be decoded, none twice."""
    line = program.refuse("data.py", "audit", "--data_root", real, "--out_dir", tmp_path)
    found = pd.read_csv(tmp_path / "audit.csv")
    store, rows = FileStore(real), site_table(read_screen(real).wells)
    expected = {store.name(site, channel) for site in sites_of(rows) for channel in ALL.channels}
    there = {path.relative_to(real).as_posix() for path in real.glob("test/*/*/*.png")}
    assert len(there & expected) == 180 and set(found["kind"]) == {"missing"}
    assert set(found["file"]) == expected - there and found["file"].is_unique
    facts = content_of(tmp_path / "audit.json")["facts"]
    assert facts["by_plate"]["test/HEPG2-01/Plate1"] == {"missing": 2}
    assert facts["by_kind"] == {"missing": len(expected) - 180} and facts["images"] == len(expected)
    assert line.startswith(f"{real}: {len(expected) - 180:,} bad images in ")


def test_the_audit_stands_in_for_drop_incomplete(program, real, models, tmp_path):
    audit = tmp_path / "audit"
    program.run("data.py", "audit", "--data_root", real, "--out_dir", audit, "--mode=quick", "--on_bad=drop")
    program.run(*predict(real, models / "all", tmp_path / "dropped", "--drop_incomplete"))
    out = program.run(*predict(real, models / "all", tmp_path / "out", "--audit_dir", audit))
    assert "left out 18 of 36 sites with a bad image (0 wells have no site left)" in out and "warning" not in out
    own, dropped = read(tmp_path / "out", ALL), read(tmp_path / "dropped", ALL)
    assert np.array_equal(own[0], dropped[0]) and own[2] == dropped[2]
    program.run("data.py", "audit", "--data_root", real, "--out_dir", audit, "--mode=quick", "--on_bad=other-site")
    out = program.run(*predict(real, models / "all", tmp_path / "out", "--audit_dir", audit))
    assert "0 of 1 members are predicted already" in out  # another decision, other answers
    assert "18 of 36 sites use images of another site of their well" in out
    logits, sites, _ = read(tmp_path / "out", ALL)
    assert sites.shape == (18, 2, 1108) and np.array_equal(sites[:, 0], sites[:, 1])
    assert np.allclose(logits, own[0], atol=1e-5)


def test_incomplete_sites_stop_the_prediction_by_name(program, real, models, tmp_path):
    line = program.refuse(*predict(real, models / "all", tmp_path / "out"))
    named = re.findall(r"test/\S+/Plate\d/B02_s2_w[56]\.png", line)
    assert line.startswith(f"{real}: 36 of 216 images are missing: test/HEPG2-01/Plate1/B02_s2_w5.png, ")
    assert len(set(named)) == 10
    assert line.endswith(" and 26 more; add them, or leave out the sites that lack a channel with drop_incomplete")
    assert not (tmp_path / "out").exists()


def test_the_complete_sites_are_predicted(program, real, models, tmp_path):
    out = program.run(*predict(real, models / "all", tmp_path / "out", "--drop_incomplete"))
    assert "left out 18 of 36 sites that lack a channel (0 wells have no site left)" in out
    logits, sites, wells = read(tmp_path / "out", ALL)
    assert (logits.shape, logits.dtype, sites.shape, sites.dtype) == ((18, 1108), "float32", (18, 1, 1108), "float16")
    assert np.isfinite(logits).all()
    assert np.allclose(sites[:, 0], logits, atol=2e-3)
    assert len({row.tobytes() for row in logits}) == 18  # every image gave its own answer
    screen = read_screen(real)
    rows = site_table(screen.select("test", "treatment"), (1,))
    assert wells == rows["id_code"].tolist()
    network = build_model(Model(name="tiny", pretrained="none"), 6, 1108).eval()
    load_matching(network, read_checkpoint(models / "all" / ALL.folder / "checkpoints/best.pth"))
    image = SiteDataset(rows, FileStore(real), ALL.channels)[7]["image"][None]  # (1, 6, 512, 512) uint8
    with torch.inference_mode():
        alone = network(normalize(image)).logits[0].numpy()
    assert np.allclose(logits[7], alone, atol=1e-4)


def test_both_sites_are_averaged_where_their_channels_are_there(program, real, models, tmp_path):
    program.run(*predict(real, models / "four", tmp_path / "out", "--batch_size=7"))
    logits, sites, wells = read(tmp_path / "out", FOUR)
    assert (logits.shape, sites.shape, len(set(wells))) == ((18, 1108), (18, 2, 1108), 18)
    assert np.isfinite(sites).all()
    assert np.allclose(sites.astype(np.float32).mean(axis=1), logits, atol=2e-3)
    assert not np.allclose(sites[:, 0], sites[:, 1], atol=1e-3)  # untrained, so they differ little


def test_the_predictions_become_a_submission(program, real, models, tmp_path):
    for name in ("all", "four"):
        program.run(*predict(real, models / name, tmp_path / "out", "--drop_incomplete"))
    words = ["--data_root", real, "--predict_root", tmp_path / "out", "--out_dir", tmp_path / "sub"]
    out = program.run("inference.py", "ensemble", *words)
    assert out.startswith("tiny: 2 members, channels [1,2,3,4] [1,2,3,4,5,6], fold 0\n")
    assert len(re.findall(r"^(HEPG2|HUVEC|RPE|U2OS)-\d\d  +\d( \d)* ", out, re.M)) == 5
    submission = pd.read_csv(tmp_path / "sub" / "submission.csv")
    assert (len(submission), submission["sirna"].between(0, 1107).all()) == (18, True)
