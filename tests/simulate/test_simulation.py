import errno
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.screen.layout import learn_groups, plates_with_missing_wells, rotations
from rcic.screen.repeats import repeated_layouts
from rcic.screen.table import read_screen
from rcic.simulate.batch_effect import batch_table, batches
from rcic.simulate.effect import effect_table, effects
from rcic.simulate.plate_plan import experiments, plan
from rcic.simulate.presets import PRESETS, find_preset
from rcic.simulate.release import FileLayout
from rcic.simulate.simulation import BEGUN, DONE_FILE, simulate_screen


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """Add a preset of three train experiments and a test one, drawn in a second, and return its name."""
    smaller = replace(find_preset("test"), name="tiny", pixels=16, field=60.0, train={"HUVEC": 3}, test={"HUVEC": 1})
    monkeypatch.setitem(PRESETS, "tiny", smaller)
    return "tiny"


def test_same_seed_gives_same_bytes_whatever_the_workers(tiny: str, tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        simulate_screen(tiny, tmp_path / name, seed=3, workers=workers, progress=False)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


IDENTITIES = {"test": "8aa616a430079271", "demo": "5dd5c729fe6d80b1", "bench": "d589bce693e9dff6"}


@pytest.mark.parametrize("name", IDENTITIES)
def test_presets_of_before_are_the_same_screens(name: str) -> None:
    """Plan, effects and batches at seed 0, to four digits, and the settings in the state file, are those of 0.2."""
    preset = find_preset(name)
    parts = [
        plan(preset, 0).to_csv(),
        effect_table(preset, effects(preset, 0)).to_csv(float_format="%.4g"),
        batch_table(batches(experiments(preset, 0), 4, 0, preset.outliers)).to_csv(float_format="%.4g"),
        json.dumps(preset.settings, sort_keys=True),
    ]
    assert hashlib.sha256("".join(parts).encode()).hexdigest()[:16] == IDENTITIES[name]


def test_truth_says_where_sirnas_act_and_which_experiment_is_an_outlier(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sizes = {"train": {"HUVEC": 2, "RPE": 1}, "test": {"HUVEC": 1}}
    switches = {"one_type": 0.5, "outliers": ("RPE-01",)}
    small = replace(find_preset("test"), name="hard", pixels=16, field=60.0, **sizes, **switches)
    monkeypatch.setitem(PRESETS, "hard", small)
    for _ in range(2):  # the second time it is there
        simulate_screen("hard", tmp_path / "screen", seed=0, workers=1, progress=False)
    truth = tmp_path / "screen/truth"
    acts = pd.read_csv(truth / "acts.csv")
    effect = (
        pd.read_csv(truth / "effects.csv").groupby(["sirna", "cell_type"])["units"].apply(lambda units: units.any())
    )
    assert (acts.set_index(["sirna", "cell_type"])["acts"].astype(bool) == effect).all()
    assert (acts.groupby("sirna")["acts"].sum() == 1).sum() == 4
    assert (truth / "outliers.csv").read_text() == "experiment\nRPE-01\n"


@pytest.mark.parametrize("name", PRESETS)
def test_outliers_are_experiments_of_their_preset(name: str) -> None:
    preset = find_preset(name)
    assert set(preset.outliers) <= set(experiments(preset, 0)["experiment"])


def test_off_switches_leave_no_file(small_screen: Path) -> None:
    names = {path.name for path in (small_screen / "truth").iterdir()}
    assert names == {"test.csv", "plates.csv", "groups.csv", "effects.csv", "batches.csv"}
    settings = json.loads((small_screen / DONE_FILE).read_text())["settings"]
    assert not {"one_type", "outliers"} & settings.keys()


def test_another_seed_gives_another_screen(tiny: str, tmp_path: Path) -> None:
    for seed in (0, 1):
        simulate_screen(tiny, tmp_path / str(seed), seed, workers=1, progress=False)
    first, second = contents(tmp_path / "0"), contents(tmp_path / "1")
    same = [name for name in first.keys() & second.keys() if first[name] == second[name]]
    assert not [name for name in same if name.endswith(".png") or name == "truth/effects.csv"]


def test_interrupted_screen_is_continued_to_the_same_bytes(tiny: str, tmp_path: Path) -> None:
    folder = tmp_path / "screen"
    simulate_screen(tiny, folder, seed=0, workers=1, progress=False)
    whole = contents(folder)
    kept = (folder / "train/HUVEC-01/Plate2/B02_s1_w1.png").stat().st_mtime_ns
    (folder / DONE_FILE).rename(folder / BEGUN)  # as a kill would have left it
    shutil.rmtree(folder / "train/HUVEC-01/Plate3")
    half = folder / "test/HUVEC-04/.Plate1.half"
    (folder / "test/HUVEC-04/Plate1").rename(half)
    next(half.iterdir()).write_bytes(b"half a fi")
    (folder / "train.csv").unlink()
    simulate_screen(tiny, folder, seed=0, workers=1, progress=False)
    assert contents(folder) == whole
    assert (folder / "train/HUVEC-01/Plate2/B02_s1_w1.png").stat().st_mtime_ns == kept


def test_full_disk_is_one_line_and_leaves_no_half_plate(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = iter(range(30))

    def encode(layout: FileLayout, image: np.ndarray, channel: int) -> bytes:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return b"png"

    monkeypatch.setattr(FileLayout, "encode", encode)
    with pytest.raises(UserError, match="disk is full"):
        simulate_screen(tiny, tmp_path / "screen", seed=0, workers=1, progress=False)
    assert not list(tmp_path.rglob("*.png")) and not list(tmp_path.rglob("*.half"))


def test_complete_screen_is_skipped_and_said(small_screen: Path, capsys: pytest.CaptureFixture) -> None:
    before = (small_screen / DONE_FILE).stat().st_mtime_ns
    simulate_screen("test", small_screen, seed=0, progress=False)
    assert "already complete" in capsys.readouterr().out
    assert (small_screen / DONE_FILE).stat().st_mtime_ns == before


def test_wrong_requests_are_refused(small_screen: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        simulate_screen("test", tmp_path, seed=0)
    with pytest.raises(UserError, match="different seed"):
        simulate_screen("test", small_screen, seed=1)
    with pytest.raises(UserError, match="did you mean 'demo'"):
        simulate_screen("dmeo", tmp_path / "new", seed=0)
    with pytest.raises(UserError, match="seed -1"):
        simulate_screen("test", tmp_path / "new", seed=-1)
    with pytest.raises(UserError, match="is a file"):
        simulate_screen("test", tmp_path / "thesis.txt", seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "thesis.txt").rename(tmp_path / DONE_FILE)
    with pytest.raises(UserError, match="not the state file"):
        simulate_screen("test", tmp_path, seed=0)


def test_reads_back_as_any_other_screen(small_screen: Path) -> None:
    preset, screen = find_preset("test"), read_screen(small_screen)
    assert screen.classes == tuple(range(preset.n_classes)) and screen.n_treatments == preset.n_treatments
    assert set(screen.wells["well_type"]) == {"treatment", "positive_control", "negative_control"}
    controls = screen.select(kind="control").groupby(["experiment", "plate"])["label"].nunique()
    n_plates = 4 * (sum(preset.train.values()) + sum(preset.test.values()))
    assert len(controls) == n_plates and (controls == preset.positives + 1).all()


def test_groups_rotate_and_the_fourth_shift_is_only_in_test(small_screen: Path) -> None:
    screen = read_screen(small_screen)
    groups = learn_groups(screen)
    assert groups.sizes == (2, 2, 2, 2) and groups.cyclic and groups.capacity == 1 and not groups.mixed_plates
    assert len(rotations(groups)) == 3
    plates = pd.read_csv(small_screen / "truth/plates.csv")
    shifts = plates[plates["plate"] == 1].set_index("experiment")["group"]
    test = set(screen.select("test")["experiment"])
    assert set(shifts.drop(test)) == {0, 1, 2} and 3 in set(shifts[list(test)])
    assert ((plates["group"] - plates["plate"] - plates["experiment"].map(shifts) + 1) % 4 == 0).all()


def test_one_layout_is_repeated_and_a_plate_lacks_wells(small_screen: Path) -> None:
    screen = read_screen(small_screen)
    (repeat,) = repeated_layouts(screen)
    assert repeat.plate_shift != 0 and repeat.matching_wells == repeat.common_wells
    assert plates_with_missing_wells(screen)


def test_truth_covers_exactly_the_test_wells(small_screen: Path) -> None:
    truth, screen = pd.read_csv(small_screen / "truth/test.csv"), read_screen(small_screen)
    test = screen.select("test", "treatment")
    assert truth["id_code"].is_unique and set(truth["id_code"]) == set(test["id_code"])
    assert truth["sirna"].between(0, screen.n_treatments - 1).all() and (test["label"] == -1).all()
    on_plate = pd.read_csv(small_screen / "truth/plates.csv").merge(test, on=["experiment", "plate"])
    groups = pd.read_csv(small_screen / "truth/groups.csv").merge(truth, on="sirna").merge(on_plate, on="id_code")
    assert (groups["group_x"] == groups["group_y"]).all() and len(groups) == len(truth)
    sample = pd.read_csv(small_screen / "sample_submission.csv")
    assert list(sample) == ["id_code", "sirna"] and set(sample["id_code"]) == set(truth["id_code"])


def test_images_and_their_statistics(small_screen: Path) -> None:
    wells = read_screen(small_screen).wells
    statistics = pd.read_csv(small_screen / "pixel_stats.csv")
    assert len(list(small_screen.glob("t*/*/Plate*/*.png"))) == len(wells) * 2 * 6 == len(statistics)
    names = "id_code experiment plate well site channel mean std median min max"
    assert list(statistics) == names.split()
    for row in statistics.sample(20, random_state=0).to_dict("records"):
        (path,) = small_screen.glob(
            f"t*/{row['experiment']}/Plate{row['plate']}/{row['well']}_s{row['site']}_w{row['channel']}.png"
        )
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image.shape == (find_preset("test").pixels,) * 2 and image.dtype == np.uint8
        assert path.read_bytes()[24:26] == bytes([8, 0])  # bit depth 8, colour type grey
        assert np.isclose(image.mean(), row["mean"], rtol=1e-4) and image.max() == row["max"]


def test_mark_says_what_was_drawn(small_screen: Path) -> None:
    mark = json.loads((small_screen / DONE_FILE).read_text())
    assert (mark["preset"], mark["seed"], mark["settings"]["pixels"]) == ("test", 0, 40)
    assert not (small_screen / BEGUN).exists() and not list(small_screen.rglob(".*"))
