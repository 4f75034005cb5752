"""Each image has a file of its own, and a pattern some file, before anything is read."""

import os
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.files.regular import listed_names
from rcic.pixels.images.complete import missing_images
from rcic.pixels.images.own_files import open_files, open_files_once
from rcic.pixels.images.sites import site_table, sites_of
from rcic.pixels.packed.open_store import read_images
from rcic.screen.plate import WELLS as WELLS_384
from rcic.screen.plate import cell_type_of, id_code
from rcic.screen.table import Screen, read_screen
from tests.pixels.own import PLATES, write_form, write_images, write_tiff
from tests.program import Program

SAME = (("b1", "1"), ("b2", "1"), ("b3", "1"))  # plate 1 of three experiments
BOTH = "b1 plate {0} well A01 site 1 channel 1 and of b2 plate {1} well A01 site 1 channel 1"


def told(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        open_files(read_screen(root))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "file", "plates", "lacking"),
    [
        ("{plate}/{well}_w{channel}.tif", "1/A01_w1.tif", SAME, "{experiment}"),
        ("p{plate}*/{well}_w{channel}.tif", "p1*/A01_w1.tif", SAME, "{experiment}"),
        ("{well}_w{channel}.tif", "A01_w1.tif", PLATES, "{experiment} and {plate}"),
        ("{well}_w{channel}.tif", "A01_w1.tif", SAME, "{experiment}"),
        ("{split}/{plate}/{row}{column}_w{channel}.tif", "train/1/A1_w1.tif", SAME, "{experiment}"),
    ],
)
def test_what_a_pattern_lacks_is_said(tmp_path, pattern, file, plates, lacking):
    root = write_form(tmp_path, pattern, plates)
    (root / "train").mkdir()  # the folder that tells which pattern holds
    two = BOTH.format(plates[0][1], plates[1][1])
    assert told(root) == (
        f"{root}/{file}: by images.file {pattern!r} this is the image of {two}; the pattern lacks {lacking}"
    )


def test_an_experiment_that_the_table_has_once_need_not_be_in_the_pattern(tmp_path):
    root = write_images(write_form(tmp_path, "{plate}/{well}_w{channel}.tif"), "{plate}/{well}_w{c}.tif")
    store = open_files(read_screen(root))
    assert missing_images(store, read_screen(root).wells) == []


def test_parts_that_run_into_each_other_are_found(tmp_path):
    """Plate 1 of experiment x1 and plate 11 of experiment x have one name, though the pattern lacks nothing."""
    root = write_form(tmp_path, "{experiment}{plate}_{well}_w{channel}.tif", (("x1", "1"), ("x", "11"), ("y", "1")))
    line = told(root)
    assert line.startswith(f"{root}/x11_A01_w1.tif: ") and line.endswith("; write something between its parts")
    assert "of x plate 11 well A01" in line and "of x1 plate 1 well A01" in line


def test_a_star_that_takes_the_folder_of_another_plate_is_found(tmp_path):
    """P1 and P1-2 are two plates; the folder of P1 was not copied."""
    plates = (("b1", "P1"), ("b1", "P1-2"), ("b2", "P2"))
    root = write_form(tmp_path, "{plate}*/{well}_w{channel}.tif", plates)
    write_images(root, "{plate}__x/{well}_w{c}.tif", plates[1:])
    line = told(root)
    assert line.startswith(f"{root}/P1-2__x/A01_w1.tif: ") and line.endswith("; write more of the name around its *")
    assert "of b1 plate P1 well A01" in line and "of b1 plate P1-2 well A01" in line
    write_images(root, "{plate}__x/{well}_w{c}.tif", plates[:1])  # then it cannot be told which is right
    assert [name.rpartition("/")[0] for name in missing_images(open_files(read_screen(root)), _wells(root))] == []


def _wells(root: Path) -> pd.DataFrame:
    return read_screen(root).wells


def test_files_with_all_channels_are_shared_by_them_only(tmp_path):
    root = write_form(tmp_path, "{plate}/{well}.tif")
    for seed, (_, plate) in enumerate(PLATES):
        for well in ("A01", "A02"):
            write_tiff(root / plate / f"{well}.tif", seed, 2)
    assert open_files(read_screen(root)).read(sites_of(site_table(_wells(root), (1,)))[0], [1, 2]).shape == (2, 32, 32)
    line = told(write_form(tmp_path, "{well}.tif"))
    assert "b1 plate P1 well A01 site 1 and of b2 plate P2 well A01 site 1;" in line


def test_a_pattern_without_any_file_is_said_once(tmp_path):
    root = write_images(
        write_form(tmp_path, "{experiment}/{plate}/{well}_{channel}.tif"), "{batch}/{plate}/{well}_w{c}.tif"
    )
    assert told(root) == (
        f"{root}: no file fits images.file '{{experiment}}/{{plate}}/{{well}}_{{channel}}.tif': the image of b1 plate "
        "P1 well A01 site 1 channel 1 would be b1/P1/A01_1.tif; the nearest file is b1/P1/A01_w1.tif; correct the "
        "pattern"
    )


NEAREST = {  # pattern -> file of b1, P1, A01, channel 1 that is nearest
    "{plate}/{well}_w{channel}.tif": "b1/P1/A01_w1.tif",  # a folder too few
    "{experiment}/{plate}/Images/{well}_w{channel}.tif": "b1/P1/A01_w1.tif",  # one too many
    "{experiment}/{plate}/{well}_w{channel}.tiff": "b1/P1/A01_w1.tif",
    "{experiment}*x/{plate}/{well}_w{channel}.tif": "b1/P1/A01_w1.tif",
    "{experiment}/{plate}/*_{well}_w{channel}.tif": "b1/P1/A01_w1.tif",
}


@pytest.mark.parametrize("pattern", NEAREST)
def test_the_nearest_file_is_named(tmp_path, pattern):
    root = write_images(write_form(tmp_path, pattern), "{batch}/{plate}/{well}_w{c}.tif")
    assert f"the nearest file is {NEAREST[pattern]};" in told(root)


def test_no_nearest_file_where_there_is_no_image(tmp_path):
    root = write_form(tmp_path, "{experiment}/{plate}/{well}_w{channel}.tif")
    (root / "b1").mkdir()
    assert told(root).endswith("would be b1/P1/A01_w1.tif; correct the pattern")


def test_one_image_of_a_screen_is_enough(tmp_path):
    """What is only in part missing stays a list of missing images."""
    root = write_form(tmp_path, "{experiment}/{plate}/{well}_w{channel}.tif")
    write_tiff(root / "b3/P3/A02_w2.tif", 1)
    assert len(missing_images(open_files(read_screen(root)), _wells(root))) == 11


@pytest.mark.parametrize("words", [["audit", "--mode=quick"], ["audit"], ["pack"], ["levels"]])
def test_every_command_says_so(tmp_path, capsys, words):
    root = write_images(write_form(tmp_path / "s", "{plate}/{well}_{channel}.tif"), "{plate}/{well}_w{c}.tif")
    out = [] if words[0] == "levels" else [f"--out_dir={tmp_path}/out"]
    line = Program(capsys).refuse("data.py", words[0], f"--data_root={root}", *out, *words[1:])
    assert line.startswith(f"{root}: no file fits images.file ") and not (tmp_path / "out").exists()


def test_hard_links_and_links_are_found_by_the_audit(tmp_path, capsys):
    root = write_images(write_form(tmp_path / "s", "{plate}/{well}_w{channel}.tif"), "{plate}/{well}_w{c}.tif")
    for link, name in ((os.link, "P1/A01_w1.tif"), (os.symlink, "P2/A01_w2.tif")):
        (root / name).unlink()
        link(root / name.replace("A01", "A02"), root / name)
    Program(capsys).refuse("data.py", "audit", f"--data_root={root}", f"--out_dir={tmp_path}/a")
    found = pd.read_csv(tmp_path / "a" / "audit.csv")
    assert found["kind"].tolist() == ["duplicate"] * 4
    assert found["file"].tolist() == ["P1/A01_w1.tif", "P1/A02_w1.tif", "P2/A01_w2.tif", "P2/A02_w2.tif"]


def test_folders_are_listed_once_or_not_at_all(tmp_path, monkeypatch):
    listed: list[Path] = []
    listing = "rcic.pixels.images.folder_listing.listed_names"
    monkeypatch.setattr(listing, lambda path: listed.append(path) or listed_names(path))
    for pattern, n_listed in (("{plate}/{well}_w{channel}.tif", 0), ("{plate}*/{well}_w{channel}.tif", 4)):
        root = write_images(write_form(tmp_path, pattern), "{plate}/{well}_w{c}.tif")
        listed.clear()
        store = open_files(read_screen(root))
        assert len(listed) == n_listed
        assert missing_images(store, _wells(root)) == []
        assert len(listed) == max(n_listed, 3) and len({*listed}) == len(listed)
        (root / "P1/A01_w1.tif").unlink()
        assert len(missing_images(store, _wells(root))) == 1  # later changes are seen


def test_a_screen_object_is_checked_once_by_read_images(tmp_path, monkeypatch):
    root = write_images(write_form(tmp_path, "{plate}/{well}_w{channel}.tif"), "{plate}/{well}_w{c}.tif")
    screen, opened = read_screen(root), list[Screen]()
    monkeypatch.setattr("rcic.pixels.images.own_files.open_files", lambda one: opened.append(one) or open_files(one))
    images = [read_images(screen, "b1_P1_A01"), read_images(screen, "b1_P1_A01")]
    assert np.array_equal(*images) and opened == [screen]
    open_files_once(read_screen(root))
    assert len(opened) == 2  # another object is another screen


def test_a_screen_of_full_size_costs_seconds(tmp_path):
    """As many wells as RxRx1: no folder is listed, no image looked for but the first."""
    experiments = [f"HUVEC-{number:02}" for number in range(51)]
    keys = [(name, plate, well) for name in experiments for plate in range(1, 5) for well in WELLS_384[:308]]
    wells = pd.DataFrame(keys, columns=["experiment", "plate", "well"])
    wells = wells.assign(id_code=[id_code(*key) for key in keys], cell_type=cell_type_of("HUVEC-01"), split="train")
    screen = Screen(tmp_path, wells.assign(well_type="treatment", label=0), ("x",), 1)
    first = tmp_path / "train/HUVEC-00/Plate1/A01_s1_w1.png"
    first.parent.mkdir(parents=True)
    first.touch()
    began = time.perf_counter()
    open_files(screen)
    assert time.perf_counter() - began < 5  # measured: 0.3 s


def test_a_pattern_for_folders_of_any_depth_is_refused(tmp_path):
    root = write_form(tmp_path, "{plate}/**/{well}_w{channel}.tif")
    with pytest.raises(UserError, match=re.escape("must not have **; write one * in a name")):
        read_screen(root)
