"""The work folder: a place for each screen, which the next one does not overwrite."""

import shutil
from pathlib import Path

import pytest

from rcic.cli import data_commands
from rcic.errors import UserError
from rcic.screen.folds import FOLDS, folds_in, write_folds
from rcic.screen.source import ScreenSource
from rcic.screen.spec import ScreenSpec
from rcic.screen.spec_files import shipped_spec
from rcic.screen.table import Screen, read_screen
from rcic.screen.work_dir import AUDIT_DIR, AUTO, FOLDS_DIR, default_work_dir, place_in, place_to_write
from tests.screen.tiny import KAGGLE, write_tables

FORM = """\
name: {name}
plate: 96
channels: [{{name: DNA}}]
images: {{file: ["{{plate}}/{{well}}.png"]}}
tables: [{{file: wells.csv}}]
columns: {{experiment: batch, label: drug}}
"""


def own(folder: Path, name: str = "mine", batches: tuple[str, ...] = ("b1", "b2"), **words: str) -> Screen:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "screen.yml").write_text(FORM.format(name=name))
    rows = [f"{batch},P,A0{n},{label}\n" for batch in batches for n, label in enumerate("xy", 1)]
    (folder / "wells.csv").write_text("batch,plate,well,drug\n" + "".join(rows))
    return read_screen(ScreenSource(str(folder), **words))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("mine", "work/mine"), ("my screen (2)", "work/my_screen_2"), ("../up", "work/up"), ("a/b", "work/a_b"),
     ("...", "work/screen"), ("Schirm-é.1", "work/Schirm-é.1")],
)  # fmt: skip
def test_the_default_is_named_after_the_screen(name, folder):
    assert default_work_dir(ScreenSpec(name=name)) == Path(folder)
    assert default_work_dir(ScreenSpec(name=name, work_dir="x/y")) == Path("x/y")


@pytest.mark.parametrize("name", ["rcic", "rxrx1"])
def test_that_of_rxrx1_is_csv_as_ever(name):
    assert default_work_dir(shipped_spec(name)) == Path("csv")


def test_a_flag_comes_first_and_a_named_place_stays(tmp_path):
    screen = own(tmp_path / "data")
    assert place_in(screen, AUTO, AUDIT_DIR) == Path("work/mine/audit")
    assert place_in(screen, "csv/audit", AUDIT_DIR) == Path("csv/audit")
    named = own(tmp_path / "data", work_dir="here")
    assert place_in(named, AUTO, AUDIT_DIR) == Path("here/audit") and place_in(named, AUTO, FOLDS_DIR) == Path("here")
    assert "--work_dir here" in named.flags and "--work_dir" not in screen.flags
    assert ScreenSource("data", work_dir="here").flags == ["--data_root=data", "--work_dir=here"]


def test_two_screens_have_two_places(tmp_path, capsys):
    for name in ("first", "second"):
        own(tmp_path / name, name)
        data_commands.folds(ScreenSource(str(tmp_path / name)))
        assert (
            capsys.readouterr().out.splitlines()[-1].startswith(f"work/{name}: train_K.csv and valid_K.csv of 2 folds")
        )
    assert folds_in(Path("work/first")) == folds_in(Path("work/second")) == (0, 1)


def test_tables_of_another_screen_are_not_overwritten(tmp_path):
    first, second = own(tmp_path / "a"), own(tmp_path / "b", batches=("c1", "c2"))
    write_folds(first, place_to_write(first, AUTO, FOLDS_DIR, FOLDS, "folds"), None, 0)
    with pytest.raises(UserError, match=r"work/mine/folds.json: belongs to another screen, .*/a; give .* --work_dir"):
        place_to_write(second, AUTO, FOLDS_DIR, FOLDS, "folds")
    assert place_to_write(second, "work/mine", FOLDS_DIR, FOLDS, "folds") == Path("work/mine")  # by name
    shutil.rmtree(tmp_path / "a")
    assert place_to_write(second, AUTO, FOLDS_DIR, FOLDS, "folds") == Path("work/mine")


def test_a_grown_a_moved_and_a_packed_screen_are_the_same(tmp_path):
    screen = own(tmp_path / "a")
    write_folds(screen, place_to_write(screen, AUTO, FOLDS_DIR, FOLDS, "folds"), None, 0)
    for again in (own(tmp_path / "a", batches=("b1", "b2", "b3")), own(tmp_path / "packed", batches=("b2", "b3"))):
        assert place_to_write(again, AUTO, FOLDS_DIR, FOLDS, "folds") == Path("work/mine")


def test_commands_of_rxrx1_write_where_they_did(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    write_tables(tmp_path / "data", KAGGLE)
    data_commands.folds(ScreenSource("data"), n_folds=2)
    assert capsys.readouterr().out.startswith("csv: train_K.csv and valid_K.csv of 2 folds by experiment")
    assert Path("csv/train_1.csv").is_file() and not Path("work").exists()
