"""An image that the system does not let be read is no bad image: no site is left out for it, whatever is decided."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from rcic.errors import Exhausted, UserError
from rcic.launch.shards import Shard
from rcic.pixels.audit.audit_screen import SEEN, audit, audit_shard
from rcic.pixels.audit.findings import FINDINGS, REPORT, read_audit
from rcic.pixels.audit.inspection import audit_sites
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.levels import levels
from rcic.pixels.images.sites import site_table, sites_of
from rcic.pixels.packed.packed_store import ARRAY, IMAGES, SHARD, PackedStore
from rcic.screen.spec import Channel, Images, ScreenSpec
from rcic.screen.spec_files import OWN, SHIPPED
from rcic.screen.table import read_screen
from tests.hindered import UNREAD, no_handles, refuse_opening
from tests.pixels.conftest import write_tables

PLACE = "train/HUVEC-01/Plate1/C03_s2_w5.png"


@pytest.fixture
def root(write_root, wells) -> Path:
    """Return the folder of a screen; its controls have no images."""
    root = write_root()
    write_tables(root, wells)
    return root


def findings(store, wells, decode=True):
    return [one for found in audit_sites(store, site_table(wells), decode, 2) for one in found]


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("thing", UNREAD)
def test_it_is_a_finding_of_its_own(write_root, wells, thing, decode):
    root, (make, told) = write_root(), UNREAD[thing]
    make(root / PLACE)
    (found,) = findings(FileStore(root), wells, decode)
    assert (found.file, found.kind) == (PLACE, "unreadable") and found.detail.startswith(f"the image {told}")


@pytest.mark.parametrize("on_bad", ["stop", "drop", "other-site"])
def test_no_site_is_left_out_for_it(root, tmp_path, on_bad):
    """Neither by the audit nor by a training that reads it, and both are content when the image can be read."""
    content = (root / PLACE).read_bytes()
    UNREAD["a disk that fails"][0](root / PLACE)
    (root / "train/HUVEC-01/Plate1/B02_s1_w1.png").write_bytes(b"")
    told = (
        f"{root}: 1 image could not be read, which is no reason to leave a site out, the first {PLACE}: the image "
        "cannot be read: Input/output error; see to it that they can be read and audit again"
    )
    with pytest.raises(UserError) as caught:
        audit(root, tmp_path / "a", "full", on_bad, 2)
    assert str(caught.value) == told
    assert set(pd.read_csv(tmp_path / "a" / FINDINGS)["kind"]) >= {"unreadable", "empty"}
    with pytest.raises(UserError) as caught:
        read_audit(tmp_path / "a", read_screen(root))
    assert str(caught.value) == told
    (root / PLACE).unlink()
    (root / PLACE).write_bytes(content)
    if on_bad != "stop":
        assert "unreadable" not in set(audit(root, tmp_path / "a", "full", on_bad, 2).findings["kind"])
        assert len(read_audit(tmp_path / "a", read_screen(root)).findings)


def test_a_share_that_could_not_read_an_image_reads_it_again(root, tmp_path, monkeypatch):
    """The folder's state is the same afterwards: a disk that was away changes no file."""
    with monkeypatch.context() as patch:
        refuse_opening(patch, errno.EIO, root / PLACE)
        for number in (1, 2):
            audit_shard(root, tmp_path / "a", "full", 2, Shard(number, 2))
    assert len(list((tmp_path / "a" / SEEN).iterdir())) == 3
    audit_shard(root, tmp_path / "a", "full", 2, Shard(1, 1))
    assert "unreadable" not in set(audit(root, tmp_path / "a", "full", "drop", 2).findings["kind"])


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EMFILE, "Too many open files")])
@pytest.mark.parametrize("form", ["files", "packed"])
def test_what_this_process_lacks_is_no_finding(root, pack_root, wells, tmp_path, monkeypatch, form, error):
    root = pack_root(root) if form == "packed" else root
    calls = []

    def lacking(*words: object) -> bytes:
        calls.append(words)
        if len(calls) > 9:
            raise error
        return real(*words)

    name = "pread" if form == "packed" else "read"
    real = getattr(os, name)
    with monkeypatch.context() as patch:
        patch.setattr(os, name, lacking)
        with pytest.raises(Exhausted, match=r": (not enough memory|too many open files) to read it; "):
            findings(PackedStore(root) if form == "packed" else FileStore(root), wells)
        patch.setattr(os, name, real)
    assert findings(PackedStore(root) if form == "packed" else FileStore(root), wells) == []


def test_an_audit_without_memory_writes_no_report(root, tmp_path, monkeypatch):
    def lacking(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("cv2.imdecode", lacking)
    with pytest.raises(Exhausted, match="not enough memory to read it"):
        audit(root, tmp_path / "a", "full", "drop", 2)
    assert not (tmp_path / "a" / REPORT).exists()


def test_too_many_open_files_are_met(write_root, wells):
    store, (site, *_) = FileStore(write_root()), sites_of(site_table(wells))
    with no_handles(), pytest.raises(Exhausted, match="too many open files"):
        store.read(site, [1])


@pytest.mark.parametrize("file", [ARRAY, SHARD])
def test_a_packed_plate_that_cannot_be_read_is_not_damaged(root, pack_root, wells, monkeypatch, file):
    root = pack_root(root)
    refuse_opening(monkeypatch, errno.EACCES, root / IMAGES / "full/RPE-02/Plate1" / file)
    found = findings(PackedStore(root), wells)
    assert {one.kind for one in found} == {"unreadable"} and len(found) == 24
    assert all(one.detail.endswith(f"{file}: cannot be read: Permission denied") for one in found)


def test_an_audit_that_cannot_be_read_is_not_a_missing_one(root, tmp_path, monkeypatch):
    """A prediction would go on without it, after a warning."""
    with pytest.raises(UserError):
        audit(root, tmp_path / "a", "quick", "stop", 1)
    screen = read_screen(root)
    for name in (REPORT, FINDINGS):
        with monkeypatch.context() as patch:
            refuse_opening(patch, errno.EACCES, tmp_path / "a" / name)
            with pytest.raises(UserError) as caught:
                read_audit(tmp_path / "a", screen)
        assert type(caught.value) is not UserError
        assert str(caught.value) == f"{tmp_path}/a/{name}: cannot be read: Permission denied"


# --- levels -----------------------------------------------------------------------------------------------------------


def store_of(tmp_path: Path, values: tuple[int, int], **facts: object) -> FileStore:
    """Return the store of two images of 16 bits: one of the two values, one of all grey levels."""
    noise = np.random.default_rng(0).integers(0, 4096, (9, 12)).astype(np.uint16)
    two = np.where(noise % 2, *values).astype(np.uint16)
    for channel, image in ((1, two), (2, noise)):
        path = tmp_path / f"HUVEC-01/Plate1/B02_s1_w{channel}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, image)
    images = Images(file=("{experiment}/Plate{plate}/{well}_s{site}_w{channel}.tif",), bits=16, levels=(500, 3000))
    channels = (Channel(name="a", **facts), Channel(name="b"))
    return FileStore(tmp_path, ScreenSpec(name="x", images=images, channels=channels, sites=(1,)))


@pytest.mark.parametrize(
    ("values", "facts", "told"),
    [
        (
            (100, 499),
            {},
            "none of 108 pixels is above 500, the low level of images.levels: 100 to 499 in the file, all 0",
        ),
        (
            (3000, 4095),
            {},
            "none of 108 pixels is below 3000, the high level of images.levels: 3000 to 4095 in the file",
        ),
        (
            (1000, 1001),
            {},
            "all 108 pixels become one value by images.levels [500, 3000]: 1000 to 1001 in the file, all 51",
        ),
        ((1000, 1900), {"levels": (2000, 3000)}, "is above 2000, the low level of channels.0.levels: 1000 to 1900 in"),
    ],
)
def test_pixels_that_the_levels_make_equal_are_told_so(tmp_path, wells, values, facts, told):
    (found,) = audit_sites(store_of(tmp_path, values, **facts), site_table(wells[:1], [1]), True, 1)
    assert [(one.channel, one.kind) for one in found] == [(1, "levels")]
    assert told in found[0].detail and found[0].detail.endswith(" as read; rcic data levels measures levels")


@pytest.mark.parametrize(("value", "kind"), [(0, "zero"), (100, "constant"), (4095, "constant")])
def test_pixels_that_are_equal_in_the_file_are_told_as_the_file_has_them(tmp_path, wells, value, kind):
    (found,) = audit_sites(store_of(tmp_path, (value, value)), site_table(wells[:1], [1]), True, 1)
    assert [(one.kind, one.detail) for one in found] == [(kind, f"all 108 pixels are {value}")]


def test_levels_that_leave_something_are_no_finding(tmp_path, wells):
    assert list(audit_sites(store_of(tmp_path, (500, 600)), site_table(wells[:1], [1]), True, 1)) == [[]]


def test_levels_are_not_measured_without_an_image_that_cannot_be_read(root):
    UNREAD["a disk that fails"][0](root / "train/HUVEC-01/Plate1/B02_s1_w1.png")
    with pytest.raises(BadImage, match=r"B02_s1_w1\.png: the image cannot be read: Input/output error"):
        levels(root, 12)


def test_the_report_counts_the_kind(root, tmp_path):
    text = (SHIPPED / "rcic.yml").read_text()
    (root / OWN).write_text(text.replace("images:\n", "images:\n  levels: [255, 256]\n"))
    with pytest.raises(UserError, match=r"\d+ bad images in"):
        audit(root, tmp_path / "a", "full", "stop", 2)
    assert json.loads((tmp_path / "a" / REPORT).read_text())["facts"]["by_kind"]["levels"] == 72
