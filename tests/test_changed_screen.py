"""A screen spec or images that have changed: each command refuses what was made before, or does it again."""

import re
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import tifffile

from tests.records import content_of
from tests.workplace import SPEC, Workplace

NUCLEUS, ACTIN = SPEC["channels"]
IMAGES: Mapping[str, Any] = SPEC["images"]
SPECS: dict[str, tuple[dict[str, Any], str]] = {
    "two channels exchanged": (
        {"channels": [ACTIN, NUCLEUS]},
        r"images channels 1 name \('nucleus' then, 'actin' now\)",
    ),
    "the names of two channels exchanged": (
        {"channels": [NUCLEUS | {"name": "actin"}, ACTIN | {"name": "nucleus"}]},
        r"images channels 1 name \('nucleus' then, 'actin' now\)",
    ),
    "the words of two channels exchanged": (
        {"channels": [NUCLEUS | {"file": "w2"}, ACTIN | {"file": "w1"}]},
        r"images channels 1 file \('w1' then, 'w2' now\)",
    ),
    "one word for both channels": (
        {"channels": [NUCLEUS | {"file": "w2"}, ACTIN]},
        r"images channels 1 file \('w1' then, 'w2' now\)",
    ),
    "other levels": ({"images": {**IMAGES, "levels": [0, 2000]}}, r"images channels 1 levels number 1 \(4095.* now\)"),
    "levels of one channel": (
        {"channels": [NUCLEUS | {"levels": [9, 4095]}, ACTIN]},
        r"images channels 1 levels number 0 \(0.0 then, 9.0 now\)",
    ),
    "other bits": ({"images": {"file": IMAGES["file"]}}, r"images bits \(16 then, 8 now\)"),
    "another pattern that finds the same files": (
        {"images": {**IMAGES, "file": ["{plate}/{well}_*{channel}.tif"]}},
        r"images files number 0 \('{plate}/{well}_{channel}\.tif' then, .*\)",
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_another_screen_spec_is_another_screen(work, name):
    """Nothing is "done already"; only folds, which hang on the wells alone, stay what they are."""
    over, differs = SPECS[name]
    work.spec(**over)
    if name == "one word for both channels":
        assert "by images.file" in work.refuse("audit")
        return
    assert re.search(rf"audit\.json: of another screen than .* {differs}; run .*audit", work.refuse("train 1 0"))
    without = "--set=data.audit=off"
    assert re.search(rf"tiny: finished with other {differs}; choose .*", work.refuse("train 1 0", without))
    wanted = differs if "name" not in differs else r"channel 1 \('nucleus' then, 'actin' now\)"
    assert re.search(rf"best\.pth: trained on other images than those of screen: {wanted}", work.refuse("predict"))
    assert re.search(rf"packed: contains another packed screen, from other {differs};", work.refuse("pack"))
    assert re.search(rf"pred_test\.json: made for another .* {differs};", work.refuse("ensemble"))
    assert re.search(rf"emb_train\.json: made for another .* {differs};", work.refuse("neighbours"))
    before = content_of(work.root / "csv/folds.json")
    work.run("folds")
    assert content_of(work.root / "csv/folds.json") == before


@pytest.mark.parametrize("name", ["two channels exchanged", "other levels", "the words of two channels exchanged"])
def test_an_audit_anew_does_not_make_it_the_same_screen(work, name):
    over, differs = SPECS[name]
    work.spec(**over)
    assert "no bad images" in work.run("audit")
    assert re.search(rf"finished with other {differs}", work.refuse("train 1 0"))
    assert re.search(r"trained on other images", work.refuse("predict"))
    assert "0 of 1 trainings are done" in refused_grid(work)


def refused_grid(place: Workplace) -> str:
    """Return what a grid prints that trains nothing."""
    with pytest.raises(SystemExit):
        place.run("grid")
    return place.program.capture.readouterr().out


def test_what_a_spec_says_of_another_channel_does_not_concern_a_network(work):
    work.spec(channels=[NUCLEUS, {"name": "tubulin", "file": "w2"}])
    work.run("audit")
    assert "done already" in work.run("train 1 0")
    assert re.search(r"2 name \('actin' then, 'tubulin' now\)", work.refuse("train 2 0"))
    assert re.search(r"\[2\].*trained on other images", work.refuse("predict"))


def test_a_screen_of_other_stains_has_nothing_for_a_network(work):
    """The second channel of the shipped spec is not actin."""
    work.write("screen/wells.csv", "batch,barcode,well,cells,use,role,compound\n" + "".join(plate96()))
    shutil.rmtree(work.root / "logs/full/[1]")
    told = work.refuse("predict", "--screen=plate96")
    assert re.search(r"best\.pth: trained on other images than those of screen: .*channel 2 \('actin' then, .*", told)


def plate96() -> list[str]:
    """Return the lines of a table as the shipped spec ``plate96`` has it, of the same wells and treatments."""
    lines = []
    for batch, use in (("b1", "known"), ("b2", "known"), ("b3", "unknown")):
        for number, label in enumerate("xyzw", 1):
            shown = label if use == "known" else ""
            lines.append(f"{batch},P{batch[1]},A0{number},U2OS,{use},compound,{shown}\n")
    return lines


# --- images -----------------------------------------------------------------------------------------------------------


def of_other_size(place: Workplace, name: str) -> None:
    """Replace an image by other pixels in a smaller file."""
    path = place.root / "screen" / f"{name}.tif"
    path.unlink()
    pixels = np.random.default_rng(7).integers(100, 4000, (32, 32)).astype(np.uint16)
    tifffile.imwrite(path, pixels // 64 * 64, compression="zlib")


@pytest.mark.parametrize("other_size", [False, True])
def test_test_images_that_were_replaced_and_audited_anew_are_predicted_again(work, other_size):
    """The wells that members held out are predicted already, and the trainings are done, as they read other plates."""
    (of_other_size if other_size else Workplace.image)(work, "P3/A01_w1")
    if other_size:
        assert "P3 changed since the audit" in work.refuse("train 1 0")
    work.run("audit")
    assert "done already" in work.run("train 1 0") and "1 of 1 trainings are done" in work.run("grid")
    told = work.run("predict")
    assert "test: 0 of 4 members are predicted already, 4 to go" in told
    assert "valid: 4 of 4 members are predicted already, 0 to go" in told
    embedded = work.run("embed")
    assert [line.split()[1] for line in embedded.splitlines() if "embedded already" in line] == ["4", "4", "0", "0"]
    assert "test: 4 of 4 members" in work.run("predict")


@pytest.mark.parametrize("name", ["P1/A01_w1", "P1/A05_w2", "P2/A04_w2"])
def test_train_images_that_were_replaced_concern_trainings_and_held_out_wells(work, name):
    """A plate is one thing: its other channel and its controls count, too."""
    work.image(name)
    work.run("audit")
    plate = name[1]
    line = rf"tiny: finished with other pixels b{plate}/PlateP{plate} \(changed since\); .*"
    assert re.search(line, work.refuse("train 1 0")) and re.search(line, work.refuse("train 2 1"))
    assert "0 of 1 trainings are done" in refused_grid(work)
    told = work.run("predict")
    assert "test: 4 of 4 members" in told and "valid: 2 of 4 members are predicted already, 2 to go" in told


def test_the_neighbours_of_embeddings_that_were_made_again_are_voted_again(work):
    work.image("P3/A02_w1")
    work.run("audit")
    work.run("embed")
    told = work.run("neighbours").splitlines()
    assert [line.split(":")[0].strip() for line in told if "done already" in line] == ["valid"] * 4


def test_an_audit_anew_of_the_same_pixels_changes_nothing(work):
    for path in sorted((work.root / "screen").rglob("*_w1.tif")):
        work.write(str(path.relative_to(work.root)), path.read_bytes())  # other files and times, the same pixels
    work.run("audit")
    assert "done already" in work.run("train 1 0")
    assert "test: 4 of 4" in work.run("predict") and "train: 4 of 4" in work.run("embed")
    assert work.run("check", "--mode=full").splitlines()[-1].endswith(" sound")


def test_a_packed_copy_is_the_same_screen_until_an_image_changes(work):
    root = "--data_root=packed"
    assert "test: 4 of 4 members" in work.run("predict", root, "--audit_dir=none")
    work.image("P3/A01_w1")
    for path in (work.root / "packed").iterdir():
        path.unlink() if path.is_file() else None
    told = work.run("pack", "--out_dir=anew")
    assert "36 of 36 images packed" in told
    told = work.run("predict", "--data_root=anew", "--audit_dir=none")
    assert "test: 0 of 4 members" in told and "valid: 4 of 4 members" in told
