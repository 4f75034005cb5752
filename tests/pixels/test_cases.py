"""Screens of real reports, through the commands: no image has the pixels of a file that is not its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from rcic.pixels.audit.findings import Unaudited, read_audit
from rcic.pixels.images.complete import missing_images
from rcic.pixels.images.sites import site_table, sites_of
from rcic.pixels.packed.open_store import open_store
from rcic.screen.source import ScreenSource
from rcic.screen.table import read_screen
from tests.pixels.own import write_form
from tests.program import TINY, Program, save_untrained

Case = Callable[[str], Path]


@pytest.fixture
def program(capsys: pytest.CaptureFixture[str]) -> Program:
    return Program(capsys)


def audited(program: Program, root: Path, *more: str) -> str:
    return program.run("data.py", "audit", f"--data_root={root}", f"--out_dir={root}/a", *more)


def found(program: Program, root: Path, *more: str) -> pd.DataFrame:
    """Return the findings of an audit that ends with code 2."""
    program.refuse("data.py", "audit", f"--data_root={root}", f"--out_dir={root}/a", *more)
    return pd.read_csv(root / "a" / "audit.csv")


def packed(program: Program, root: Path, out: Path) -> np.ndarray:
    """Pack a screen and return all its images (N, C, H, W)."""
    program.run("data.py", "pack", f"--data_root={root}", f"--out_dir={out}", "--verify=True")
    screen = read_screen(out)
    store = open_store(screen)
    return np.stack([store.read(site, screen.spec.channel_numbers) for site in _sites(screen.root)])


def _sites(root: Path) -> list:
    screen = read_screen(root)
    return sites_of(site_table(screen.wells, screen.spec.sites))


@pytest.mark.parametrize("mode", ["full", "quick"])
def test_the_images_of_a_plate_that_was_not_copied_are_missing(case, program, tmp_path, mode):
    root = case("star_plate")
    bad = found(program, root, f"--mode={mode}")
    assert bad["kind"].tolist() == ["missing"] * 4 and bad["id_code"].unique().tolist() == ["b1_P1_A01", "b1_P1_A02"]
    program.run("data.py", "pack", f"--data_root={root}", f"--out_dir={tmp_path}/p", "--verify=True")
    left_out = pd.read_csv(tmp_path / "p" / "left_out.csv")
    assert left_out["image"].str.startswith("b1/PlateP1/").all() and len(left_out) == 4
    (root / "P1__2020-11-08").mkdir()  # an empty folder of its own changes nothing
    assert len(found(program, root, f"--mode={mode}")) == 4


def test_a_plate_is_found_beside_the_plates_that_its_name_begins(case, program):
    root = case("star_plate")
    folder = next(root.glob("P10__*"))
    for name, seed in (("P1", 1), ("P1B", 2), ("P11", 3)):
        for path in folder.rglob("*.tiff"):
            other = root / f"{name}__2021" / path.relative_to(folder)
            other.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(other, tifffile.imread(path) + seed)
    assert "no bad images" in audited(program, root)
    names = {open_store(read_screen(root)).name(site, 1).split("/")[0] for site in _sites(root)[:2]}
    assert names == {"P1__2021"}


def test_thumbnails_are_no_images(case, program, tmp_path):
    root = case("thumbnails")
    assert "no bad images" in audited(program, root)
    assert packed(program, root, tmp_path / "p").shape[2:] == (32, 32)
    for path in root.rglob("*_thumb*"):
        path.with_name(f"._{path.name}").write_bytes(b"macOS")
    assert "no bad images" in audited(program, root)


def test_the_files_of_a_database_export_are_found(shared_data):
    """The pattern of the documents, on a real export: every thumbnail and every z step lies there, too."""
    root = shared_data / "instruments" / "imagexpress_database"
    store = _of_export(root, "{experiment}/{plate}/*_{well}_s{site}_w{channel}*.tif")
    names = {path.name for path in (root / "2023-02-21" / "1334").glob("*.tif") if "_thumb" not in path.name}
    assert {name.rpartition("/")[2] for name in store} == names and len(names) == 12


def _of_export(root: Path, pattern: str) -> list[str]:
    """Return the names of the images of wells E07 and E08, sites 1 and 2, channels 1 to 3 of an export."""
    from rcic.pixels.images.paths import Paths
    from rcic.pixels.images.sites import Site
    from rcic.screen.spec import Channel, Images, ScreenSpec

    spec = ScreenSpec("export", 96, (1, 2), tuple(Channel(name) for name in "abc"), Images((pattern,)))
    paths = Paths(root, spec, {("2023-02-21", 1): "1334"})
    sites = [Site("train", "2023-02-21", 1, well, site) for well in ("E07", "E08") for site in (1, 2)]
    return [name for site in sites for channel in (1, 2, 3) for name in paths.matches(site, channel)]


def test_each_file_of_an_ome_set_gives_its_own_pages(case, program, tmp_path):
    root = case("ome_set")
    assert "no bad images" in audited(program, root)
    images = packed(program, root, tmp_path / "p")
    assert len({image.tobytes() for well in images for image in well}) == 18
    sites, screen = _sites(root), read_screen(root)
    store = open_store(screen)
    for site in sites:
        with tifffile.TiffFile(root / store.name(site, 1)) as file:
            assert np.array_equal(store.raw(site, 2), file.pages[1].asarray())


def test_pages_written_one_by_one_are_channels(case, program, tmp_path):
    root = case("pages_apart")
    assert "no bad images" in audited(program, root)
    assert packed(program, root, tmp_path / "p").shape == (6, 2, 32, 32)


@pytest.mark.parametrize("mode", ["full", "quick"])
def test_z_planes_are_not_taken_for_channels(case, program, tmp_path, mode):
    root = case("z_as_channels")
    bad = found(program, root, f"--mode={mode}")
    assert (bad["kind"] == "channels").all() and len(bad) == 18
    assert bad["detail"].str.startswith("its 3 pages are z planes, not channels").all()
    line = program.refuse("data.py", "pack", f"--data_root={root}", f"--out_dir={tmp_path}/p")
    assert line.endswith("set images.z of the screen spec to max, mean, sharpest or the number of one")


@pytest.mark.parametrize("name", ["star_plate", "pages_apart"])
def test_a_pattern_that_fits_nothing_is_no_list_of_missing_images(case, program, tmp_path, name):
    """Trainings and predictions say the same line as the audit, and nothing is written."""
    root = case(name)
    wrong = write_form(tmp_path / "wrong", "{plate}/Pictures/{well}_{site}_{channel}.tif") / "screen.yml"
    data = [f"--data_root={root}", f"--screen={wrong}"]
    (tmp_path / "tiny.yml").write_text(TINY.replace("FOLDS", str(tmp_path / "folds")))
    program.run("data.py", "folds", *data, f"--out_dir={tmp_path}/folds", "--n_folds=2")
    line = program.refuse("data.py", "audit", *data, f"--out_dir={tmp_path}/a")
    assert (
        line.startswith(f"{root}: no file fits images.file '{{plate}}/Pictures/") and "; the nearest file is " in line
    )
    words = [f"--config={tmp_path}/tiny.yml", "--channels=[1,2]", "--fold=0", f"--log_root={tmp_path}/logs"]
    assert program.refuse("train.py", "run", *data, *words) == line
    screen = read_screen(ScreenSource(str(root), str(wrong)))
    from rcic.files.names import Member

    save_untrained(tmp_path / "models", screen, Member((1, 2), 0, "tiny"))
    words = [f"--model_root={tmp_path}/models", "--model_name=tiny", f"--out_dir={tmp_path}/out"]
    assert program.refuse("inference.py", "predict-all", *data, *words) == line
    assert not (tmp_path / "out").exists() and not (tmp_path / "a").exists()


def test_a_plate_without_its_folder_stays_missing_images(case, program):
    root = case("star_plate")
    for path in next(root.glob("P2__*")).rglob("*.tiff"):
        path.unlink()
    screen = read_screen(root)
    names = missing_images(open_store(screen), screen.wells)
    assert len(names) == 8 and names[0] == "P1*/Images/r01c01f01p01-ch1sk1fk1fl1.tiff"


def test_plates_of_different_sizes_need_a_size_of_the_training(case, program, tmp_path):
    root = case("batch_sizes")
    out = audited(program, root)
    assert "no bad images" in out and "48 x 48 pixels (b2/Plate" in out and "need data.size" in out
    program.run("data.py", "pack", f"--data_root={root}", f"--out_dir={tmp_path}/p", "--verify=True")
    store = open_store(read_screen(tmp_path / "p"))
    assert len({store.read(site, [1]).shape for site in _sites(tmp_path / "p")}) == 3
    assert {store.read(site, [1], 32).shape for site in _sites(tmp_path / "p")} == {(1, 32, 32)}
    program.run("data.py", "folds", f"--data_root={root}", f"--out_dir={tmp_path}/folds", "--n_folds=3")
    program.run("data.py", "audit", f"--data_root={tmp_path}/p", f"--out_dir={tmp_path}/b")
    tiny = TINY.replace("FOLDS", str(tmp_path / "folds")).replace("epochs: 2", "epochs: 1")
    for data_root, audit in ((root, root / "a"), (tmp_path / "p", tmp_path / "b")):
        (tmp_path / "tiny.yml").write_text(tiny.replace("audit: off", f"audit_dir: {audit}"))
        words = [f"--config={tmp_path}/tiny.yml", f"--data_root={data_root}", "--channels=[1]", "--fold=0"]
        line = program.refuse("train.py", "run", *words, f"--log_root={tmp_path}/logs")
        assert "32 x 32 pixels (b1/Plate" in line and line.endswith("set data.size, to which all are resized")
        logs = tmp_path / f"logs_{data_root.name}"
        program.run("train.py", "run", *words, f"--log_root={logs}", "--set=data.size=32")
        predicted = [f"--model_root={logs}/full", "--model_name=tiny", f"--out_dir={logs}/out", f"--audit_dir={audit}"]
        program.run("inference.py", "predict-all", f"--data_root={data_root}", *predicted)


def test_an_image_unlike_its_plate_is_still_found(case, program):
    root = case("batch_sizes")
    path = next(root.glob("b2/**/*A03*"))
    tifffile.imwrite(path, np.arange(32 * 32, dtype=np.uint16).reshape(32, 32), photometric="minisblack")
    bad = found(program, root)
    assert bad["kind"].tolist() == ["size"] and bad["id_code"].str.endswith("A03").all()
    assert bad["detail"][0] == "the image is 32 x 32 pixels (height x width), most of its plate have 48 x 48"


def test_stacks_are_projected_by_the_key_that_the_message_names(case, program, tmp_path):
    """One file a well whose pages are z planes, of a screen with one channel a file."""
    root = case("z_as_channels")
    text = (root / "screen.yml").read_text()
    one = text[: text.index("channels:")] + "channels:\n- {name: a}\n" + text[text.index("images:") :]
    (root / "screen.yml").write_text(one)
    assert (found(program, root)["detail"].str.contains("set images.z of the screen spec to max")).all()
    (root / "screen.yml").write_text(one.replace("images:\n", "images:\n  z: max\n"))
    assert "no bad images" in audited(program, root)
    images = packed(program, root, tmp_path / "p")
    files = [root / open_store(read_screen(root)).name(site, 1) for site in _sites(root)]
    from rcic.pixels.images.file_store import grey

    assert np.array_equal(images[:, 0], [grey(tifffile.imread(path).max(0), (0, 4095)) for path in files])
    (root / "screen.yml").write_text(one.replace("images:\n", "images:\n  z: 1\n"))
    line = program.refuse("data.py", "pack", f"--data_root={root}", f"--out_dir={tmp_path}/p")
    assert "contains another packed screen" in line and "images z ('max' then, 1 now)" in line
    with pytest.raises(Unaudited, match=r"with other images z \('max' then, 1 now\)"):
        read_audit(root / "a", read_screen(root))
