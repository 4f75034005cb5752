"""What changes below an OME-Zarr plate, or in an index, makes what was made from it stale: audits, packed plates."""

import json
import shutil
from pathlib import Path

import pytest

from rcic.errors import UserError
from rcic.pixels.audit.audit_screen import audit
from rcic.pixels.audit.findings import Unaudited, read_audit
from rcic.pixels.audit.folder_state import changed_folders, folder_states
from rcic.pixels.audit.pixel_states import pixel_states
from rcic.pixels.images.file_states import state_of
from rcic.pixels.packed.pack_screen import pack
from rcic.screen.table import read_screen
from tests.instruments.ome_plates import WRITERS, write_plate
from tests.pixels.own import PLATES, WELLS, write_form, write_tiff

CHANNELS = [{"name": "nucleus", "file": "DNA"}, {"name": "actin", "file": "Actin"}]
PLATE = "b1/P1.zarr"


def write_screen(root: Path, writer: str = "ome-zarr") -> Path:
    """Write a screen of three OME-Zarr plates, wells A01 and A02, two sites."""
    write_form(root, "{experiment}/{plate}.zarr", sites=[1, 2], channels=CHANNELS)
    for batch, plate in PLATES:
        write_plate(root / batch / f"{plate}.zarr", WRITERS[writer], ("1", "2"))
    return root


def chunk(plate: Path) -> Path:
    """Return a file with pixels, of the first well's second field."""
    return next(path for path in sorted((plate / "A").glob("*1/2/**/0")) if path.is_file())


def resized(plate: Path) -> None:
    chunk(plate).write_bytes(chunk(plate).read_bytes() + b"x")


def removed(plate: Path) -> None:
    chunk(plate).unlink()


def added(plate: Path) -> None:
    chunk(plate).with_name("1").write_bytes(b"x")


def field_added(plate: Path) -> None:
    (field,) = plate.glob("A/*1/2")
    shutil.copytree(field, field.with_name("3"))


def relabelled(plate: Path) -> None:
    """Exchange the channels in a field's metadata, which keep their size: other pixels for every channel."""
    (path,) = (path for path in plate.glob("A/*1/2/*") if path.name in ("zarr.json", ".zattrs"))
    text = path.read_text().replace('"DNA"', '"dna"').replace('"Actin"', '"DNA"').replace('"dna"', '"Actin"')
    assert len(text) == path.stat().st_size and text != path.read_text()
    path.write_text(text)


@pytest.mark.parametrize("writer", ["ome-zarr", "iohub"])  # Zarr 3 and 2
@pytest.mark.parametrize("change", [resized, removed, added, field_added, relabelled])
def test_a_change_below_a_plate_is_noticed(tmp_path, writer, change):
    screen = read_screen(write_screen(tmp_path / "s", writer))
    marks, states = folder_states(screen), pixel_states(screen)
    assert changed_folders(screen, marks) == []
    change(screen.root / PLATE)
    assert changed_folders(screen, marks) == [PLATE]
    now = pixel_states(screen)
    assert [name for name in states if states[name] != now[name]] == ["b1/PlateP1"]


def test_an_audit_of_a_plate_that_changed_is_refused(tmp_path):
    root = write_screen(tmp_path / "s")
    audit(root, tmp_path / "audit", "quick", "drop", 1)
    read_audit(tmp_path / "audit", read_screen(root))
    resized(root / PLATE)
    with pytest.raises(Unaudited, match=r"b1/P1\.zarr changed since the audit"):
        read_audit(tmp_path / "audit", read_screen(root))


def test_a_packed_plate_that_changed_is_refused(tmp_path):
    root = write_screen(tmp_path / "s")
    pack(root, tmp_path / "out", (), threads=1, verify=False)
    relabelled(root / PLATE)
    with pytest.raises(UserError, match=r"P1: the plate's image files changed since"):
        pack(root, tmp_path / "out", (), threads=1, verify=False)


def test_arrays_that_a_table_lists_are_watched_at_any_depth(tmp_path):
    root = write_screen(tmp_path / "s")
    rows = [
        f"{plate},{well},{site},{batch}/{plate}.zarr/A/{int(well[1:])}/{site}/s0"
        for batch, plate in PLATES
        for well in WELLS
        for site in (1, 2)
    ]
    channels = [{"name": "all", "file": "1"}]
    write_form(root, "images.csv", sites=[1, 2], channels=channels)
    (root / "images.csv").write_text("\n".join(["plate,well,site,file", *rows]) + "\n")
    screen = read_screen(root)
    marks = folder_states(screen)
    assert changed_folders(screen, marks) == [] and f"{PLATE}/A/1/2" in marks
    resized(root / PLATE)
    assert changed_folders(screen, marks) == [f"{PLATE}/A/1/2"]
    marks = folder_states(screen)
    metadata = json.loads((root / PLATE / "A/1/2/s0/zarr.json").read_text())
    (root / PLATE / "A/1/2/s0/zarr.json").write_text(json.dumps(metadata).replace('"fill_value": 0', '"fill_value": 1'))
    assert changed_folders(screen, marks) == [f"{PLATE}/A/1/2"]


def test_an_index_that_was_edited_is_noticed(tmp_path):
    root = write_form(tmp_path / "s", "load_data.csv", channels=[{"name": "nucleus", "file": "OrigDNA"}])
    titles = "FileName_OrigDNA,PathName_OrigDNA,Metadata_Plate,Metadata_Well,Metadata_Site"
    rows = [f"{plate}_{well}.tif,images,{plate},{well},1" for _, plate in PLATES for well in WELLS]
    (root / "load_data.csv").write_text("\n".join([titles, *rows]) + "\n")
    for number, (_, plate) in enumerate(PLATES):
        for well in WELLS:
            write_tiff(root / f"images/{plate}_{well}.tif", number * 2 + (well == "A02"))
    audit(root, tmp_path / "audit", "quick", "drop", 1)
    screen = read_screen(root)
    marks = folder_states(screen)
    assert {*marks} == {"load_data.csv", "images"} and not changed_folders(screen, marks)
    exchanged = [rows[0].replace("_A01", "_A02"), rows[1].replace("_A02", "_A01"), *rows[2:]]  # of the same length
    (root / "load_data.csv").write_text("\n".join([titles, *exchanged]) + "\n")
    with pytest.raises(Unaudited, match=r"load_data\.csv changed since the audit"):
        read_audit(tmp_path / "audit", screen)


def test_a_link_that_leads_up_ends(tmp_path):
    plate = write_plate(tmp_path / "P1.zarr", WRITERS["ome-zarr"])
    n_files = state_of(plate).n_files
    (plate / "A/loop").symlink_to(plate)
    (plate / "A/again").symlink_to(plate / "A")
    (plate / "A/circle").symlink_to("circle")
    assert state_of(plate).n_files == n_files + 3


def test_thousands_of_folders_are_listed_once(tmp_path, monkeypatch):
    plate = tmp_path / "P1.zarr"
    for number in range(300):
        (plate / f"A/{number}/0/c/0").mkdir(parents=True)
        (plate / f"A/{number}/0/c/0/0").write_bytes(b"x")
    listed: list[str] = []
    scandir = state_of.__globals__["os"].scandir
    monkeypatch.setattr("os.scandir", lambda path: listed.append(str(path)) or scandir(path))
    assert state_of(plate).n_files == 300
    assert len(listed) == len({*listed}) == 2 + 4 * 300
