"""The chain on screens that are written down in other ways: the same wells, the same answers."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml

from rcic.pixels.images.sites import site_table, sites_of
from rcic.pixels.packed.open_store import open_store
from rcic.screen.source import ScreenSource
from rcic.screen.spec_files import OWN, SHIPPED
from rcic.screen.table import read_screen
from rcic.simulate.simulation import simulate_screen
from tests.program import TINY, Program

CHANNELS = "[1,2,3,4,5]"


def chain(program: Program, data: list[str], root: Path) -> np.ndarray:
    """Go from the tables to the answers with one network; return the logits of the test wells."""
    (root / "tiny.yml").write_text(
        TINY.replace("FOLDS", f"{root}/csv").replace("audit: off", f"audit_dir: {root}/audit")
    )
    program.run("data.py", "describe", *data)
    program.run("data.py", "audit", *data, f"--out_dir={root}/audit")
    program.run("data.py", "folds", *data, f"--out_dir={root}/csv", "--n_folds=2")
    grid = [f"--config={root}/tiny.yml", *data, f"--log_root={root}/logs", f"--channels={CHANNELS}"]
    program.run("train.py", "run", *grid, "--set=stage=control")
    program.run("train.py", "run", *grid, "--fold=0", "--set=init.stage=control")
    models = [f"--model_root={root}/logs/full", "--model_name=tiny", f"--out_dir={root}/out"]
    program.run("inference.py", "predict-all", *data, *models, f"--audit_dir={root}/audit")
    where = [f"--predict_root={root}/out", *data]
    program.run("inference.py", "ensemble", *where, f"--out_dir={root}/sub")
    program.run("inference.py", "score", *where, "--split=valid")
    return np.load(root / "out" / CHANNELS / "fold_0" / "tiny" / "pred_test.npy")


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Iterator[Program]:
    yield Program(capsys)


def test_every_layout_gives_the_same_logits(program, small_screen, tmp_path):
    logits, answers = {}, {}
    for layout in ("rcic", "rxrx1", "plate96"):
        root, data = tmp_path / layout, small_screen
        root.mkdir()
        if layout != "rcic":
            data = root / "screen"
            simulate_screen("test", data, seed=0, progress=False, layout=layout)
        spec = [f"--screen={SHIPPED / 'plate96.yml'}"] if layout == "plate96" else []
        logits[layout] = chain(program, [f"--data_root={data}", *spec], root)
        answers[layout] = pd.read_csv(root / "sub" / "submission.csv")
    for layout in ("rxrx1", "plate96"):
        assert np.array_equal(logits[layout], logits["rcic"]), layout
    numbers = answers["plate96"]["compound"].str.removeprefix("compound-").astype(int)
    assert numbers.tolist() == answers["rcic"]["sirna"].tolist()
    assert answers["rxrx1"]["sirna"].str.removeprefix("s").astype(int).tolist() == answers["rcic"]["sirna"].tolist()


def own_form(screen: Path, **changes: object) -> None:
    """Leave a form in a plate96 screen's data root: the shipped one with changes."""
    spec = yaml.safe_load((SHIPPED / "plate96.yml").read_text()) | changes
    (screen / OWN).write_text(yaml.safe_dump(spec, sort_keys=False))


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    """Return a plate96 screen that a test may change."""
    simulate_screen("test", tmp_path / "plates", seed=0, progress=False, layout="plate96")
    return tmp_path / "plates"


def test_a_packed_screen_brings_its_form_along(program, plates, tmp_path):
    own_form(plates)
    out = program.run("data.py", "pack", f"--data_root={plates}", f"--out_dir={tmp_path}/packed", "--verify=True")
    assert "every packed image equals its file" in out
    files, packed = (read_screen(root) for root in (plates, tmp_path / "packed"))
    assert packed.spec == files.spec and packed.fingerprint() == files.fingerprint()
    site = sites_of(site_table(files.wells))[5]
    assert np.array_equal(open_store(files).read(site, [6, 1]), open_store(packed).read(site, [6, 1]))
    assert "no bad images" in program.run(
        "data.py", "audit", f"--data_root={tmp_path}/packed", f"--out_dir={tmp_path}/a"
    )


def test_one_site_all_channels_in_a_file_no_controls_no_groups_no_assignment(program, plates, tmp_path):
    """What differs most from RxRx1: the chain skips stage I, masks nothing and lets each well speak for itself."""
    screen = read_screen(ScreenSource(str(plates), str(SHIPPED / "plate96.yml")))
    store = open_store(screen)
    for site in sites_of(site_table(screen.wells, (1,))):
        barcode = screen.barcode(site.experiment, site.plate)
        stack = np.stack([store.raw(site, channel) for channel in screen.spec.channel_numbers])
        path = plates / "stacks" / f"{barcode}_{site.well}.tiff"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, stack, photometric="minisblack")
    table = pd.read_csv(plates / "wells.csv", keep_default_na=False)
    table[table["role"] == "compound"].to_csv(plates / "wells.csv", index=False)
    images = {"file": ["stacks/{plate}_{well}.tiff"], "bits": 16, "levels": [100, 4095]}
    channels = [{"name": channel.name} for channel in screen.spec.channels]
    own_form(plates, sites=[1], channels=channels, images=images, groups="none", assignment="none", well_types={})
    root, data = tmp_path, [f"--data_root={plates}"]
    (root / "tiny.yml").write_text(TINY.replace("FOLDS", f"{root}/csv"))
    assert "none: no sets of treatments that share plates" in program.run("data.py", "describe", *data)
    program.run("data.py", "folds", *data, f"--out_dir={root}/csv", "--n_folds=2")
    (root / "control.yml").write_text(TINY.replace("stage: full", "stage: control"))
    grid = [f"--config={root}/control.yml", *data, f"--log_root={root}/logs"]
    out = program.run("train.py", "run-grid", *grid)
    assert "plate96 has no control wells, so stage I is skipped" in out and "0 of 0 trainings are done" in out
    full = [f"--config={root}/tiny.yml", *data, f"--log_root={root}/logs", f"--channels={CHANNELS}", "--fold=0"]
    out = program.run("train.py", "run", *full, "--set=init.stage=control")
    assert "plate96 has no control wells, so the training does not start from stage I" in out
    models = [f"--model_root={root}/logs/full", "--model_name=tiny", f"--out_dir={root}/out"]
    program.run("inference.py", "predict-all", *data, *models)
    assert np.load(root / "out" / CHANNELS / "fold_0/tiny/pred_test_sites.npy").shape[1] == 1
    program.run("inference.py", "ensemble", *data, f"--predict_root={root}/out", f"--out_dir={root}/sub")
    logits = np.load(root / "out" / CHANNELS / "fold_0/tiny/pred_test.npy")
    submission = pd.read_csv(root / "sub" / "submission.csv")
    own = submission["compound"].str.removeprefix("compound-").astype(int).to_numpy()
    assert np.array_equal(own, logits.argmax(axis=1))  # each well's likeliest, nothing forbidden
    ladder = program.run("inference.py", "score", *data, f"--predict_root={root}/out", "--split=valid")
    assert re.search(r"^assignment +-", ladder, re.M) and re.search(r"^one site +\d", ladder, re.M)
    told = program.refuse(
        "inference.py", "ensemble", *data, f"--predict_root={root}/out", f"--out_dir={root}/s", "--sinkhorn"
    )
    assert told == "--sinkhorn balances an assignment, but the screen spec has assignment: none"


def test_a_channel_or_a_site_that_the_screen_has_not_is_one_line(program, plates, tmp_path):
    own_form(plates, sites=[1])
    (tmp_path / "tiny.yml").write_text(TINY.replace("FOLDS", str(tmp_path)))
    words = [f"--config={tmp_path}/tiny.yml", f"--data_root={plates}", f"--log_root={tmp_path}/logs"]
    assert program.refuse("train.py", "run", *words, "--set=data.sites=[1,2]") == (
        "--set data.sites: data.sites is [1, 2], but plate96 has only 1"
    )
    assert program.refuse("train.py", "run", *words, "--channels=[7]") == (
        "--channels: data.channels is [7], but plate96 has only 1, 2, 3, 4, 5, 6"
    )


def test_levels_are_measured_where_the_form_has_none(program, plates):
    own_form(plates, images={"file": ["{experiment}/{plate}/{well}_f{site}_{channel}.tif"], "bits": 16})
    line = program.refuse("data.py", "audit", f"--data_root={plates}")
    assert "images.levels must be given for 16 bits" in line and "data.py levels measures them" in line
    out = program.run("data.py", "levels", f"--data_root={plates}", "--n_images=9")
    levels = yaml.safe_load(out)["channels"]
    assert [one["name"] for one in levels][:2] == ["nucleus", "endoplasmic reticulum"]
    assert all(100 <= low < high <= 4095 for low, high in (one["levels"] for one in levels))
