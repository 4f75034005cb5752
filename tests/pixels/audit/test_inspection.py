"""Every kind of bad image is found, once, in PNGs and in packed screens, and nothing else is."""

import threading
import zlib

import numpy as np
import pytest

from rcic.pixels.audit.findings import KINDS
from rcic.pixels.audit.inspection import audit_sites
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import site_table
from rcic.pixels.packed.packed_store import IMAGES, SHARD, PackedStore
from tests.pixels.conftest import SIZE, WELLS, open_root, pixels, write_png
from tests.pixels.planted import PLANTS

PLACE = "train/HUVEC-01/Plate1/C03_s2_w5.png"
QUICK, FULL = False, True


def findings(store, wells, decode, threads=2):
    """Return what is found, and that there was a list for each site."""
    lists = list(audit_sites(store, site_table(wells), decode, threads))
    assert len(lists) == 2 * len(wells)
    return [finding for some in lists for finding in some]


@pytest.mark.parametrize("decode", [QUICK, FULL])
@pytest.mark.parametrize("layout", ["split", "images", "packed"])
def test_a_sound_screen_has_no_findings(write_root, pack_root, wells, decode, layout):
    root = write_root("images" if layout == "images" else "split")
    root = pack_root(root) if layout == "packed" else root
    assert findings(open_root(root), wells, decode) == []


@pytest.mark.parametrize("decode", [QUICK, FULL])
@pytest.mark.parametrize("name", PLANTS)
def test_a_bad_image_is_found_once(write_root, wells, name, decode, capfd):
    plant, kind, in_header = PLANTS[name]
    root = write_root()
    plant(root / PLACE)
    found = findings(FileStore(root), wells, decode)
    assert [one[:5] for one in found] == [("HUVEC-01_1_C03", 2, 5, PLACE, kind)] * (decode or in_header)
    assert all(one.detail and str(root) not in one.detail for one in found)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("threads", [1, 3])
def test_all_of_them_at_once(write_root, wells, threads):
    root = write_root()
    paths = sorted(root.rglob("*.png"))[:: 72 // len(PLANTS)][: len(PLANTS)]
    planted = {}
    for path, (plant, kind, _) in zip(paths, PLANTS.values(), strict=True):
        plant(path)
        planted[path.relative_to(root).as_posix()] = kind
    found = findings(FileStore(root), wells, FULL, threads)
    assert {one.file: one.kind for one in found} == planted and len(found) == len(planted)
    others = {"left-out", "duplicate", "ambiguous", "not-tiff", "levels", "unreadable", "range", "nan"}
    assert {*planted.values()} | others == set(KINDS)


COPIES = {
    "another well": "test/HUVEC-03/Plate1/B02_s1_w1.png",
    "the other site": "train/HUVEC-01/Plate1/C03_s1_w5.png",
    "another channel": "train/HUVEC-01/Plate1/C03_s2_w6.png",
}


@pytest.mark.parametrize("name", COPIES)
def test_the_same_pixels_twice_are_two_findings(write_root, wells, name):
    root, copy = write_root(), COPIES[name]
    (root / copy).write_bytes((root / PLACE).read_bytes())
    found = findings(FileStore(root), wells, FULL)
    assert {(one.file, one.kind, one.detail) for one in found} == {
        (PLACE, "duplicate", f"has the pixels of {copy}"),
        (copy, "duplicate", f"has the pixels of {PLACE}"),
    }
    assert findings(FileStore(root), wells, QUICK) == []


def test_pixels_written_anew_are_still_the_same(write_root, wells):
    root = write_root()
    (root / COPIES["another well"]).write_bytes((root / PLACE).read_bytes() + b"\0")
    assert len(findings(FileStore(root), wells, FULL)) == 2
    (root / COPIES["the other site"]).write_bytes((root / PLACE).read_bytes())
    found = findings(FileStore(root), wells, FULL)
    assert len(found) == 3 and all(one.detail.endswith(" and of 1 more") for one in found)


def test_black_images_are_black_and_not_copies_of_each_other(write_root, wells):
    root = write_root()
    for name in (PLACE, *COPIES.values()):
        write_png(root / name, np.zeros((SIZE, SIZE), np.uint8))
    found = findings(FileStore(root), wells, FULL)
    assert [one.kind for one in found] == ["zero"] * 4 and found[0].detail == "all 576 pixels are 0"


def test_the_size_of_most_is_the_right_one(write_root, wells):
    root = write_root()
    for channel in (1, 2):
        path = root / f"train/HUVEC-01/Plate1/B02_s1_w{channel}.png"
        write_png(path, pixels("HUVEC-01", "B02", 1, channel)[:, : 20 + channel])
    found = findings(FileStore(root), wells, QUICK)
    assert [(one.channel, one.kind) for one in found] == [(1, "size"), (2, "size")]
    assert found[1].detail == "the image is 24 x 22 pixels (height x width), most of its plate have 24 x 24"


def test_a_large_header_takes_no_memory(write_root, wells, monkeypatch):
    root, plant = write_root(), PLANTS["far too large"][0]
    plant(root / PLACE)
    seen = []
    monkeypatch.setattr("cv2.imdecode", lambda data, _: seen.append(len(data)) or pixels("RPE-02", "B02", 1, 1))
    assert findings(FileStore(root), wells[:2], FULL)[0].detail.startswith("the PNG says it has 60000 x 60000 pixels")
    assert len(seen) == 23  # every image of two wells but this one


def test_what_packing_left_out_is_found_with_its_reason(write_root, pack_root, wells):
    root = write_root()
    (root / PLACE).unlink()
    write_png(root / COPIES["another well"], np.zeros((SIZE, SIZE), np.uint8))
    store = PackedStore(pack_root(root))
    left_out = ("HUVEC-01_1_C03", 2, 5, PLACE.removeprefix("train/"), "left-out")
    quick, full = findings(store, wells, QUICK), findings(store, wells, FULL)
    assert [one[:5] for one in quick] == [left_out]
    assert quick[0].detail == "was left out when the screen was packed: no such image file"
    assert [one[:5] for one in full] == [left_out, ("HUVEC-03_1_B02", 1, 1, "HUVEC-03/Plate1/B02_s1_w1.png", "zero")]


def test_copies_are_found_in_a_packed_screen(write_root, pack_root, wells):
    root = write_root()
    (root / COPIES["another well"]).write_bytes((root / PLACE).read_bytes())
    found = findings(PackedStore(pack_root(root)), wells, FULL)
    assert {(one.file, one.kind) for one in found} == {
        (name.partition("/")[2], "duplicate") for name in (PLACE, COPIES["another well"])
    }


def test_damage_in_a_packed_plate_is_found(write_root, pack_root, wells):
    packed = pack_root(write_root())
    shard = packed / IMAGES / "full/RPE-02/Plate1" / SHARD
    content = bytearray(shard.read_bytes())
    content[300] ^= 1  # in the first frame
    shard.write_bytes(content)
    found = findings(PackedStore(packed), wells, FULL)
    assert [one[:5] for one in found] == [("RPE-02_1_B02", 1, 1, "RPE-02/Plate1/B02_s1_w1.png", "damaged")]
    assert findings(PackedStore(packed), wells, QUICK) == []
    content[-10] ^= 1  # in the index
    shard.write_bytes(content)
    for decode in (QUICK, FULL):
        found = findings(PackedStore(packed), wells, decode)
        assert [one.kind for one in found] == ["damaged"] * 24 and {one.id_code[:6] for one in found} == {"RPE-02"}
    shard.unlink()
    assert [one.kind for one in findings(PackedStore(packed), wells, QUICK)] == ["damaged"] * 24


@pytest.mark.parametrize("place", [60, -10])
def test_damage_at_a_further_packed_size_is_found(write_root, pack_root, wells, place):
    packed = pack_root(write_root(), (SIZE // 2,))
    assert findings(PackedStore(packed), wells, FULL) == []
    shard = packed / IMAGES / f"{SIZE // 2}/RPE-02/Plate1" / SHARD
    content = bytearray(shard.read_bytes())
    content[place] ^= 1  # in the first frame, in the index
    shard.write_bytes(content)
    full, quick = (findings(PackedStore(packed), wells, decode) for decode in (FULL, QUICK))
    assert [one.kind for one in full] == ["damaged"] * (1 if place > 0 else 24)
    assert len(quick) == (0 if place > 0 else 24)


def test_a_plate_of_another_size_is_no_finding(write_root, pack_root, wells):
    """Trainings that need one size ask `Audit.other_size`."""
    root = write_root()
    for well in WELLS:
        for path in (root / "train/RPE-02/Plate1").glob(f"{well}_*"):
            content = np.random.default_rng(zlib.crc32(path.name.encode())).integers(0, 256, (SIZE, SIZE + 2))
            write_png(path, content.astype(np.uint8))
    assert findings(PackedStore(pack_root(root)), wells, QUICK) == findings(FileStore(root), wells, QUICK) == []
    write_png(root / "train/RPE-02/Plate1/B02_s1_w1.png", pixels("RPE-02", "B02", 1, 1))
    (found,) = findings(FileStore(root), wells, FULL)
    assert found.detail == "the image is 24 x 24 pixels (height x width), most of its plate have 24 x 26"


def test_a_plate_that_was_never_packed_is_missing(write_root, pack_root, wells):
    store = PackedStore(pack_root(write_root()))
    more = wells.replace({"HUVEC-03": "HUVEC-09"}, regex=True)
    found = findings(store, more, FULL)
    assert [one.kind for one in found] == ["missing"] * 24 and {one.id_code[:8] for one in found} == {"HUVEC-09"}


def test_giving_up_half_way_stops_the_threads(write_root, wells):
    before = threading.active_count()
    lists = audit_sites(FileStore(write_root()), site_table(wells), FULL, 2)
    assert next(lists) == [] and threading.active_count() > before
    lists.close()
    assert threading.active_count() == before
