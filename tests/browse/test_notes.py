"""Flags and notes: who may write them, what becomes of two writers, and that flagged wells stay in sight."""

import csv
from concurrent.futures import ThreadPoolExecutor

import pytest

from rcic.browse.browse_options import BrowseOptions
from rcic.browse.notes_file import ChangedError, NotesFile
from rcic.browse.serve import BrowserSources, gather
from rcic.errors import UserError
from rcic.screen.plate import wells_of
from rcic.screen.spec_files import read_spec
from rcic.screen.table import read_screen
from rcic.screen.well_notes import WellNote
from tests.screen.one_plate import BATCH, PLATE, write_images, write_plate

PLACE = {"experiment": BATCH, "plate": 1, "well": "A02"}
SAID = {"flag": "debris", "note": "a hair"}
NOTHING = {"seen_flag": "", "seen_note": ""}
POST = {**PLACE, **SAID, **NOTHING}
KEY = (BATCH, PLATE, "A02")


@pytest.fixture
def root(tmp_path):
    write_images(root := write_plate(tmp_path / "screen"))
    return root


@pytest.fixture
def app(client, root, tmp_path):
    return client(root, notes=tmp_path / "notes.csv")


def rows(path) -> list[list[str]]:
    return list(csv.reader(path.read_text().splitlines()))[1:]


def test_a_note_is_written_read_back_and_taken_back(app, tmp_path):
    assert app.get("/api/screen").json()["notes"] is True
    assert app.get("/api/well", params=PLACE).json()["note"] == {"flag": "", "note": ""}
    assert app.post("/api/note", json=POST).json() == SAID
    assert rows(tmp_path / "notes.csv") == [[*KEY, "debris", "a hair"]]
    assert app.get("/api/well", params=PLACE).json()["note"] == SAID
    assert app.get("/api/plate", params=PLACE).json()["notes"] == {"A02": SAID}
    seen = {"flag": "", "note": "", "seen_flag": "debris", "seen_note": "a hair"}
    assert app.post("/api/note", json=POST | seen).status_code == 200
    assert rows(tmp_path / "notes.csv") == []


def test_a_note_that_was_changed_elsewhere_is_not_written_over(app, tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text(f"experiment,plate,well,flag,note\n{BATCH},{PLATE},a2,,by hand\n")
    answer = app.post("/api/note", json=POST)
    assert (answer.status_code, answer.json()["note"]) == (409, "by hand")
    assert rows(path) == [[BATCH, PLATE, "a2", "", "by hand"]]
    assert app.post("/api/note", json=POST | {"seen_note": "by hand"}).json() == SAID


def test_tabs_that_write_at_once_lose_nothing(app, tmp_path):
    wells = [f"A{n:02}" for n in range(1, 9)]

    def write(well):
        return app.post("/api/note", json=POST | {"well": well, "note": well}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, wells)) == [200] * 8
    assert sorted(row[2] for row in rows(tmp_path / "notes.csv")) == wells


def test_programs_that_write_at_once_lose_nothing(root, tmp_path):
    spec = read_spec(root / "screen.yml")
    files = [NotesFile(tmp_path / "notes.csv", spec) for _ in range(4)]  # each with a lock of its own, as programs have
    wells = [(BATCH, PLATE, f"A{n:02}") for n in range(1, 9)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: files[n % 4].put(wells[n], WellNote("x"), WellNote()), range(8)))
    assert sorted(files[0].all()) == wells
    with pytest.raises(ChangedError):
        files[1].put(wells[0], WellNote("y"), WellNote())
    assert not list(tmp_path.glob(".notes*"))


FOREIGN = {
    "another site's form": {"content-type": "text/plain"},
    "another site's script": {"origin": "http://evil.example"},
    "a page of another port": {"origin": "http://127.0.0.1:9"},
    "a sandboxed page": {"origin": "null"},
    "a browser that says where from": {"sec-fetch-site": "cross-site"},
    "a site of the same domain": {"sec-fetch-site": "same-site"},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_only_the_page_itself_may_write(app, tmp_path, name):
    answer = app.post("/api/note", json=POST, headers=FOREIGN[name])
    assert answer.status_code == 403 and rows(tmp_path / "notes.csv") == []
    own = {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}
    assert app.post("/api/note", json=POST, headers=own).status_code == 200


WRONG = [
    ({"well": "H12"}, 404), ({"plate": 2}, 404), ({"experiment": "../x"}, 404), ({"plate": "1"}, 400),
    ({"plate": True}, 400), ({"note": None}, 400), ({"flag": "x" * 61}, 422), ({"note": "x" * 2001}, 422),
    ({"note": "x" * 40000}, 400),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code"), WRONG)
def test_what_is_no_note(app, tmp_path, change, code):
    assert app.post("/api/note", json=POST | change).status_code == code
    assert app.post("/api/note", content=b"[" * 9999, headers={"content-type": "application/json"}).status_code == 400
    assert rows(tmp_path / "notes.csv") == []


def test_without_the_flag_nothing_can_be_written(client, root):
    app = client(root)
    assert app.get("/api/screen").json()["notes"] is False
    assert app.post("/api/note", json=POST).status_code in (404, 405)
    assert app.get("/api/note").status_code in (404, 405)


def test_a_note_is_one_line_of_text(app, tmp_path):
    note = " two\r\nlines\t\x00 and \u2028 more "
    assert app.post("/api/note", json=POST | {"note": note}).json()["note"] == "two lines and more"
    assert rows(tmp_path / "notes.csv")[0][4] == "two lines and more"


def test_a_file_that_was_damaged_is_told_and_kept(app, tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("experiment,plate\n1,2\n")
    assert "no column 'well'" in app.get("/api/well", params=PLACE).json()["note"]["error"]
    assert app.get("/api/plate", params=PLACE).json()["notes"] == {}
    assert app.post("/api/note", json=POST).status_code == 422
    assert path.read_text() == "experiment,plate\n1,2\n"


def test_flagged_wells_are_out_of_the_screen_and_still_seen(client, root):
    write_plate(root, well_types={"skip_file": "notes.csv"})
    app = client(root, notes=root / "notes.csv")  # makes the file that the spec names
    assert app.post("/api/note", json=POST).status_code == 200
    assert "A02" not in read_screen(root).wells["well"].tolist()
    again = client(root, notes=root / "notes.csv")
    spots = {spot["well"]: spot for spot in again.get("/api/plate", params=PLACE).json()["wells"]}
    assert len(spots) == 8 and again.get("/api/well", params=PLACE).json()["note"] == SAID
    assert again.get("/image", params=PLACE | {"site": 1, "channel": 1}).status_code == 200


def test_where_flagged_wells_are_the_only_ones_of_a_class(root, capsys):
    write_plate(root, wells_of(96)[:7], well_types={"skip_file": "notes.csv"})  # A07 is the only one of its compound
    lines = f"{BATCH},{PLATE},A07,x,\n"
    (root / "notes.csv").write_text(f"experiment,plate,well,flag,note\n{lines}")
    browser = gather(BrowserSources(str(root), BrowseOptions(audit_dir="")))
    assert "flagged wells are not shown" in capsys.readouterr().out
    assert len(browser.catalogue.columns["well"]) == 6


def test_what_flags_do_is_said(root, tmp_path, capsys):
    gather(BrowserSources(str(root), BrowseOptions(notes=str(tmp_path / "n.csv"), audit_dir="")))
    assert f"well_types.skip_file: {tmp_path / 'n.csv'} in the screen spec" in capsys.readouterr().out
    with pytest.raises(UserError, match="is not in the tables"):
        (tmp_path / "n.csv").write_text(f"experiment,plate,well,flag,note\n{BATCH},{PLATE},H12,x,\n")
        gather(BrowserSources(str(root), BrowseOptions(notes=str(tmp_path / "n.csv"), audit_dir="")))


def test_a_packed_screen_has_its_notes(client, root, tmp_path):
    from rcic.pixels.packed.pack_screen import pack

    write_plate(root, well_types={"skip_file": "flags/notes.csv"})
    (root / "flags").mkdir()
    (root / "flags" / "notes.csv").write_text(f"experiment,plate,well,flag,note\n{BATCH},{PLATE},A02,debris,\n")
    pack(root, tmp_path / "packed", (), threads=1, verify=False)
    assert "A02" not in read_screen(tmp_path / "packed").wells["well"].tolist()
    shown = client(tmp_path / "packed")
    assert shown.get("/api/well", params=PLACE).status_code == 200
    assert shown.get("/image", params=PLACE | {"site": 1, "channel": 1}).status_code == 404  # it was not packed
