"""What an index lists and its planes leave out is said once, by the audit and by pack."""

import shutil

import pytest

from rcic.files.regular import read_json
from rcic.pixels.audit.audit_screen import audit
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.index_checks import index_notes, log_notes
from rcic.pixels.images.sites import site_table
from rcic.pixels.packed.pack_screen import pack
from rcic.screen.table import read_screen
from tests.instruments.test_index_identity import write_screen


@pytest.fixture
def root(tmp_path):
    """Return a screen with a plate that was copied in part: well C02, which is not in the tables, and a field."""
    root = write_screen(tmp_path / "s")
    shutil.rmtree(root / "b1/P1.zarr/C/2")
    shutil.rmtree(root / "b1/P1.zarr/A/2/1")
    return root


NOTES = [
    "b1/P1.zarr: 1 well is listed and not there: C02",
    "b1/P1.zarr: 1 field is listed and not there: A02 1",
]


def test_the_audit_says_what_a_plate_lacks(root, tmp_path, capsys):
    audit(root, tmp_path / "audit", "quick", "drop", 1)
    assert [line for line in capsys.readouterr().out.splitlines() if "not there" in line] == NOTES
    assert read_json(tmp_path / "audit/audit.json")["facts"]["index_notes"] == NOTES


def test_pack_says_it_too(root, tmp_path, capsys):
    pack(root, tmp_path / "out", (), threads=1, verify=False)
    assert [line for line in capsys.readouterr().out.splitlines() if "not there" in line] == NOTES
    audit(tmp_path / "out", tmp_path / "audit", "quick", "drop", 1)  # no index any more
    assert not [line for line in capsys.readouterr().out.splitlines() if "not there" in line]


def test_an_index_that_cannot_be_read_has_no_notes(root):
    (root / "b1/P1.zarr/zarr.json").write_text("{")
    screen = read_screen(root)
    store = FileStore(screen.root, screen.spec, screen.barcodes)
    assert index_notes(store.sources, site_table(screen.wells, screen.spec.sites)) == []


def test_many_notes_are_counted(capsys):
    log_notes([f"note {number}" for number in range(23)])
    assert capsys.readouterr().out.splitlines()[19:] == ["note 19", "and 3 more notes on indexes"]
