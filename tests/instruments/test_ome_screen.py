"""A screen whose images are OME-Zarr plates of other programs: audited, packed in both formats, the same pixels."""

import shutil

import numpy as np
import pandas as pd
import pytest
import zarr

from rcic.pixels.audit.audit_screen import audit
from rcic.pixels.images.sites import site_table, sites_of
from rcic.pixels.packed.manifest import OME_ZARR, PACKED
from rcic.pixels.packed.open_store import open_store
from rcic.pixels.packed.pack_screen import pack
from rcic.screen.table import read_screen
from tests.instruments.ome_plates import WRITERS, pixels, write_plate
from tests.pixels.own import write_form

CHANNELS = [{"name": "nucleus", "file": "DNA"}, {"name": "actin", "file": "Actin"}]


@pytest.fixture(params=WRITERS)
def root(request, tmp_path):
    """Return the folder of a screen of three plates of one writer, wells A01 and A02, two sites."""
    root = write_form(tmp_path / "screen", "{experiment}/{plate}.zarr", sites=[1, 2], channels=CHANNELS)
    for batch, plate in (("b1", "P1"), ("b2", "P2"), ("b3", "P3")):
        write_plate(root / batch / f"{plate}.zarr", WRITERS[request.param], ("1", "2"))
    return root


def test_a_screen_of_plates_is_audited_and_packed(root, tmp_path):
    screen = read_screen(root)
    store, sites = open_store(screen), sites_of(site_table(screen.wells, screen.spec.sites))
    low, high = screen.spec.images.levels
    for site in sites:
        grey = (pixels(site.well, screen.spec.site_word(site.site)) - low) / (high - low)
        assert np.array_equal(store.read(site, (1, 2)), np.rint(255 * grey.clip(0, 1)).astype(np.uint8))
    audit(root, tmp_path / "audit", "full", "drop", 2)
    assert {*pd.read_csv(tmp_path / "audit/audit.csv")["kind"]} <= {"duplicate"}
    for form in (PACKED, OME_ZARR):
        pack(root, tmp_path / form, (), threads=2, verify=True, form=form)
        packed = open_store(read_screen(tmp_path / form))
        assert all(np.array_equal(packed.read(site, (1, 2)), store.read(site, (1, 2))) for site in sites)


def test_the_quick_check_knows_the_type_and_the_files_of_an_array(tmp_path):
    root = write_form(tmp_path / "s", "{experiment}/{plate}.zarr", sites=[1], channels=CHANNELS)
    for batch, plate in (("b1", "P1"), ("b2", "P2"), ("b3", "P3")):
        write_plate(root / batch / f"{plate}.zarr", WRITERS["ome-zarr"], ("1",))
    array = root / "b1/P1.zarr/A/1/1/s0"
    shutil.rmtree(array)
    zarr.create_array(zarr.storage.LocalStore(array), shape=(1, 2, 1, 16, 18), dtype="float32", chunks="auto")[:] = 1
    shutil.rmtree(root / "b2/P2.zarr/A/2/1/s0/c")
    audit(root, tmp_path / "audit", "quick", "drop", 1)
    findings = pd.read_csv(tmp_path / "audit/audit.csv")
    assert findings["kind"].tolist() == ["depth", "depth", "missing", "missing"]
    assert "pixels of float32, but the screen spec has images.bits: 16" in findings["detail"][0]


def test_a_site_that_was_not_copied_is_missing(root, tmp_path):
    (folder,) = (path for path in (root / "b1/P1.zarr").glob("A/*2/1"))
    shutil.rmtree(folder)
    audit(root, tmp_path / "audit", "quick", "drop", 2)
    findings = pd.read_csv(tmp_path / "audit/audit.csv")
    assert findings["kind"].tolist() == ["missing", "missing"] and {*findings["id_code"]} == {"b1_P1_A02"}
