"""Images that an index lists: which plate, well, site and channel, which planes, and what is said of what lacks."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from rcic.errors import UserError
from rcic.instruments import indexes
from rcic.instruments.measurement import PLANE_COLUMNS, MeasuredChannel, Measurement
from rcic.pixels.audit.folder_state import changed_folders, folder_states
from rcic.pixels.images.complete import missing_images
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.own_files import open_files
from rcic.pixels.images.plane_table import PlaneTable
from rcic.pixels.images.sites import Site, site_table, sites_of
from rcic.screen.pattern import INDEX_ENDINGS
from rcic.screen.table import read_screen
from tests.pixels.own import PLATES, WELLS, write_form, write_tiff

Writer = Callable[..., Path]
CHANNELS = [{"name": "nucleus", "file": "1"}, {"name": "actin", "file": "2"}]
PATTERN = "{plate}__*/Images/Index.mlf"


@pytest.fixture
def read() -> list[str]:
    """The names of the indexes that were read."""
    return []


@pytest.fixture(autouse=True)
def reader(monkeypatch: pytest.MonkeyPatch, read: list[str]) -> None:
    """Let indexes that end with .mlf be lists of planes in JSON."""

    def read_json(root: Path, name: str) -> Measurement:
        read.append(name)
        try:
            rows = json.loads((root / name).read_text())
        except ValueError:
            raise UserError(f"{root / name}: is damaged; copy it again") from None
        planes = pd.DataFrame(rows, columns=PLANE_COLUMNS)
        return Measurement("test", planes, (MeasuredChannel("01", "HOECHST"), MeasuredChannel("02", "ALEXA")))

    monkeypatch.setitem(indexes.READERS, ".mlf", read_json)


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Return a function that writes a screen of 16-bit TIFFs in the layout of an instrument, with an index a plate."""

    def written(pattern: str = PATTERN, names: object = None, z: int = 1) -> Path:
        entry = {"file": [pattern], "bits": 16, "levels": [0, 4095]}
        root = write_form(tmp_path / "s", pattern, images=entry, channels=CHANNELS)
        for number, (_, plate) in enumerate(PLATES):
            folder, rows = f"{plate}__2024/Images", []
            for seed, (well, channel, plane) in enumerate((w, c, p) for w in WELLS for c in (1, 2) for p in range(z)):
                name = f"{folder}/{well}_{channel}_{plane}.tif"
                write_tiff(root / name, 100 * number + seed)
                called = names[number] if names else plate
                rows.append([called, well, "01", f"{channel:02}", plane + 1, 0, name, -1])
            (root / folder / "Index.mlf").write_text(json.dumps(rows))
        return root

    return written


def changed(root: Path, change: Callable[[list[list]], list[list]], plate: str = "P1") -> None:
    """Change the rows of a plate's index."""
    path = root / f"{plate}__2024" / "Images" / "Index.mlf"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def sites(root: Path) -> list[Site]:
    screen = read_screen(root)
    return sites_of(site_table(screen.wells, screen.spec.sites))


def told(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        open_files(read_screen(root))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_kind_of_index_is_known_to_the_screen_spec():
    assert all(ending.endswith(INDEX_ENDINGS) for ending in indexes.READERS)


@pytest.mark.parametrize("names", [None, ["P1", "other", "P3"], ["", "", ""]])
def test_an_index_a_plate_is_found_by_the_pattern_whatever_it_calls_the_plate(write, names):
    root = write(names=names)
    store = open_files(read_screen(root))
    for site in sites(root):
        plate = {"b1": "P1", "b2": "P2", "b3": "P3"}[site.experiment]
        for channel in (1, 2):
            name = f"{plate}__2024/Images/{site.well}_{channel}_0.tif"
            assert store.name(site, channel) == name
            assert np.array_equal(store.raw(site, channel), tifffile.imread(root / name))
            assert store.shape(site, channel) == (32, 32)
    assert missing_images(store, read_screen(root).wells) == []


def test_an_index_of_all_plates_is_asked_by_name_and_read_once(write, read):
    root = write("all.mlf")
    rows = [row for path in sorted(root.rglob("Index.mlf")) for row in json.loads(path.read_text())]
    (root / "all.mlf").write_text(json.dumps(rows))
    store = open_files(read_screen(root))
    assert missing_images(store, read_screen(root).wells) == []
    assert {store.name(site, 1).split("__")[0] for site in sites(root)} == {"P1", "P2", "P3"}
    open_files(read_screen(root))
    assert read == ["all.mlf"]
    (root / "all.mlf").write_text(json.dumps([row for row in rows if row[0] != "P2"]))
    store = open_files(read_screen(root))
    with pytest.raises(BadImage, match=r"all\.mlf: lists no plate 'P2'; .*it has 2 plates: P1, P3") as caught:
        store.read(sites(root)[2], [1])
    assert caught.value.kind == "missing" and read == ["all.mlf"] * 2
    assert len(missing_images(store, read_screen(root).wells)) == 4


def test_two_plates_are_never_the_same_part_of_an_index(write):
    root = write("all.mlf", names=["", "", ""])
    (root / "all.mlf").write_text((root / "P1__2024/Images/Index.mlf").read_text())
    assert told(root) == (
        f"{root}/all.mlf: by images.file 'all.mlf' this is the index of b1 plate P1 and of b2 plate P2, and it does "
        "not tell them apart; write {plate} into the pattern"
    )


def test_a_file_is_listed_for_one_image_of_one_plate(write):
    root = write()
    changed(
        root, lambda rows: [[*row[:6], "P2__2024/Images/A01_1_0.tif", -1] if row is rows[0] else row for row in rows]
    )
    with pytest.raises(
        UserError, match=r"lists P2__2024/Images/A01_1_0\.tif for b\d plate P\d, but it is an image of b"
    ):
        missing_images(open_files(read_screen(root)), read_screen(root).wells)
    changed(
        root, lambda rows: [[*row[:6], "P1__2024/Images/A01_2_0.tif", -1] if row is rows[0] else row for row in rows]
    )
    assert "A01_2_0.tif as the image of plate P1 well A01 site 01 channel 01 z 1 time 0 and of plate P1" in told(root)
    changed(root, lambda rows: [row for row in rows[1:] for _ in range(2)])  # the same row twice is no other image
    assert len(missing_images(open_files(read_screen(root)), read_screen(root).wells)) == 1


@pytest.mark.parametrize("outside", ["../x.tif", "/x.tif", "a/../../x.tif"])
def test_no_file_outside_the_data_root_is_read(write, outside):
    root = write()
    changed(root, lambda rows: [[*rows[0][:6], outside, -1], *rows[1:]])
    assert "which is not below the data root" in told(root)


def test_what_an_index_lacks_is_told_with_the_nearest_names(write):
    root = write()
    store = open_files(read_screen(root))
    site = sites(root)[0]
    for other, words in (
        (site._replace(well="A11"), r"lists no well 'A11'; did you mean 'A01'\?; it has 2 wells: A01, A02"),
        (site._replace(site=3), r"lists no site '3'; it has 1 site: 01"),
    ):
        with pytest.raises(BadImage, match=words) as caught:
            store.read(other, [1])
        assert caught.value.kind == "missing" and str(caught.value).startswith(f"{root}/P1__2024/Images/Index.mlf: ")
    changed(root, lambda rows: rows[1:])
    store = open_files(read_screen(root))
    assert missing_images(store, read_screen(root).wells) == ["P1__2024/Images/Index.mlf: well A01 site 1 channel 1"]
    with pytest.raises(BadImage, match="lists no image of well A01 site 1 channel 1"):
        store.read(site, [1])


def test_a_channel_that_no_index_has_is_told_at_once(write):
    root = write()
    text = (root / "screen.yml").read_text()
    (root / "screen.yml").write_text(text.replace("file: '2'", "file: '5'"))
    assert told(root) == (
        f"{root}/P1__2024/Images/Index.mlf: lists no channel '5'; it has 2 channels: 01 (HOECHST), 02 (ALEXA); write "
        "its channel as channels.1.file of the screen spec"
    )
    (root / "screen.yml").write_text(text)
    changed(root, lambda rows: [row for row in rows if row[3] == "01"])
    store = open_files(read_screen(root))  # one plate without it has missing images
    assert len(missing_images(store, read_screen(root).wells)) == 2


def test_a_plate_without_its_index_has_missing_images(write):
    root = write()
    (root / "P2__2024/Images/Index.mlf").unlink()
    store = open_files(read_screen(root))
    names = missing_images(store, read_screen(root).wells)
    assert len(names) == 4 and names[0] == "P2__*/Images/Index.mlf: well A01 site 1 channel 1"
    (root / "P1__2024/Images/A01_1_0.tif").unlink()
    assert "P1__2024/Images/A01_1_0.tif" in missing_images(store, read_screen(root).wells)
    again = root / "P3__again" / "Images" / "Index.mlf"
    again.parent.mkdir(parents=True)
    again.write_text("[]")
    with pytest.raises(BadImage, match=r"2 files match the pattern .*, also P3__again/Images/Index\.mlf"):
        FileStore(root, read_screen(root).spec, read_screen(root).barcodes).read(sites(root)[4], [1])


def test_no_index_at_all_is_one_line(write):
    root = write("{plate}/Index.mlf")
    assert told(root) == (
        f"{root}: no file fits images.file '{{plate}}/Index.mlf': the index of b1 plate P1 would be P1/Index.mlf; "
        "the nearest file is P1__2024/Images/Index.mlf; correct the pattern"
    )


def test_a_damaged_index_is_told_as_such(write):
    root = write()
    (root / "P1__2024/Images/Index.mlf").write_text("{")
    assert told(root) == f"{root}/P1__2024/Images/Index.mlf: is damaged; copy it again"


def test_planes_of_an_index_are_chosen_or_projected(write):
    root = write(z=3)
    planes = np.stack([tifffile.imread(root / f"P1__2024/Images/A01_2_{z}.tif") for z in range(3)])
    site = sites(root)[0]
    with pytest.raises(
        BadImage, match=r"Index\.mlf: there are 3 z planes \(1, 2, 3\); set images\.z of the screen spec"
    ):
        open_files(read_screen(root)).read(site, [2])
    form = (root / "screen.yml").read_text()
    for z, wanted in (("max", planes.max(0)), (2, planes[1]), ("mean", np.rint(planes.mean(0)))):
        (root / "screen.yml").write_text(form.replace("  bits: 16\n", f"  bits: 16\n  z: {z}\n"))
        assert np.array_equal(open_files(read_screen(root)).raw(site, 2), wanted)


def test_time_points_of_an_index_are_chosen(write):
    root = write(z=2)
    changed(root, lambda rows: [[*row[:4], 1, row[4] * 10, *row[6:]] for row in rows])  # z becomes time: 10 and 20
    site = sites(root)[0]
    with pytest.raises(BadImage, match=r"there are 2 time points \(10, 20\); set images\.time"):
        open_files(read_screen(root)).read(site, [1])
    (root / "screen.yml").write_text((root / "screen.yml").read_text().replace("  bits: 16", "  time: 20\n  bits: 16"))
    store = open_files(read_screen(root))
    assert store.name(site, 1) == "P1__2024/Images/A01_1_1.tif"
    with pytest.raises(BadImage, match="there is no time point 20, but 0"):
        store.read(sites(root)[2], [1])  # of P2, whose index has none


def test_the_state_of_a_plate_is_that_of_its_index_and_its_images(write):
    root = write()
    screen = read_screen(root)
    states = folder_states(screen)
    assert [*states][:2] == ["P1__2024/Images/Index.mlf", "P1__2024/Images"] and len(states) == 6
    assert changed_folders(screen, states) == []
    changed(root, lambda rows: rows[::-1], "P2")
    assert changed_folders(screen, states) == ["P2__2024/Images/Index.mlf"]


def test_a_table_of_full_size_is_small_and_quick():
    """750,000 planes of 1,536 wells in one index: as many as RxRx1 has images."""
    n = 750_000
    number = np.arange(n)
    wells = np.array([f"{chr(65 + row)}{column:02}" for row in range(16) for column in range(1, 25)], object)
    planes = pd.DataFrame(
        {
            "plate": np.array([f"BR{k:05}" for k in range(326)], object)[number // 2304],
            "well": wells[number // 6 % 384],
            "site": "1",
            "channel": np.array(list("123456"), object)[number % 6],
            "z": 1,
            "time": 0,
            "file": [f"BR{k // 2304:05}/Images/r{k % 2304:06}p01-ch1sk1fk1fl1.tiff" for k in range(n)],
            "page": -1,
        }
    )
    began = time.perf_counter()
    table = PlaneTable(Path("x"), Measurement("test", planes))
    seconds = time.perf_counter() - began
    size = sum(value.nbytes for value in vars(table).values() if isinstance(value, np.ndarray))
    size += len(table._files._text) + table._files._ends.nbytes + table._files.folder_codes.nbytes
    assert size < 80e6 and seconds < 10  # measured: 48 MB, 2 s
    for k in (0, 5, 2304, n - 1):
        code = table.code("plate", planes["plate"][k])
        (plane,) = table.planes(code, planes["well"][k], "01", planes["channel"][k])
        assert plane.file == planes["file"][k]
    assert table.folders(3) == ["BR00003/Images"] and len(table.of_plate(3, "well")) == 384
