"""Frames, shards, arrays and the store: what was packed comes back, and damage never looks like an image."""

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard

from rcic.errors import UserError
from rcic.pixels.images.complete import check_complete, drop_incomplete, missing_images
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.sites import Site, sites_of
from rcic.pixels.packed.frame import DELTA, compress, decompress, undo_array, undo_delta
from rcic.pixels.packed.manifest import MARK, Manifest
from rcic.pixels.packed.packed_store import IMAGES, PackedStore
from rcic.pixels.packed.zarr_shard import ABSENT, ShardReader, ShardWriter
from rcic.screen.plate import CHANNELS
from tests.pixels.conftest import SIZE, pixels, write_png

B02 = Site("train", "HUVEC-01", 1, "B02", 1)
NOISE = np.random.default_rng(0).integers(0, 256, (21, 34), dtype=np.uint8)
PLATE = f"{IMAGES}/full/HUVEC-01/Plate1"


def decoded(frame: bytes, shape: tuple[int, ...]) -> np.ndarray:
    out = np.ones(shape, np.uint8)
    decompress(frame, out)
    return undo_delta(torch.from_numpy(out)).numpy()


@pytest.mark.parametrize("image", [NOISE, np.zeros((1, 1), np.uint8), np.full((3, 5), 255, np.uint8), NOISE[::2, ::3]])
def test_a_frame_is_its_image(image):
    assert np.array_equal(decoded(compress(image), image.shape), image)


def test_a_frame_of_other_content_is_refused():
    out = np.zeros(NOISE.shape, np.uint8)
    frame = compress(NOISE)
    with pytest.raises(UserError, match="has 714 pixels, not 10"):
        decompress(frame, np.zeros((2, 5), np.uint8))
    for wrong in (b"", frame[:-1], frame + b"\0", frame[1:], zstandard.compress(b"short")):
        with pytest.raises(UserError):
            decompress(wrong, out)


def test_no_flipped_bit_of_a_frame_passes_for_another_image():
    frame, refused = bytearray(compress(NOISE)), 0
    for bit in range(8 * len(frame)):
        frame[bit // 8] ^= 1 << bit % 8
        try:
            assert np.array_equal(decoded(bytes(frame), NOISE.shape), NOISE)  # an unused bit of the header
        except UserError:
            refused += 1
        frame[bit // 8] ^= 1 << bit % 8
    assert refused >= 8 * len(frame) - 3


def test_a_shard_knows_what_it_holds(tmp_path):
    path = tmp_path / "shard"
    with path.open("wb") as file:
        writer = ShardWriter(file, 2, 3)
        writer.add(1, 2, b"last")
        writer.add(0, 0, b"first")
        writer.finish()
    shard = ShardReader(path, 2, 3)
    assert shard.frames(1, [2]) == [b"last"] and shard.frames(0, [0]) == [b"first"]
    assert [shard.has(*place) for place in ((0, 0), (0, 1), (1, 2))] == [True, False, True]
    assert shard.index[1, 0].tolist() == [ABSENT, ABSENT]
    content = path.read_bytes()
    for wrong in (content[:-1], content[:50], b"", content[:-40] + b"\1" + content[-39:]):
        path.write_bytes(wrong)
        with pytest.raises(UserError, match="cut off or its index is damaged"):
            ShardReader(path, 2, 3)
    with pytest.raises(UserError, match="the packed file is missing"):
        ShardReader(tmp_path / "none", 2, 3)


@pytest.mark.parametrize("channels", [(0, 1, 2, 3), (3, 0), (2, 1), (0, 2), (1,)])
def test_channels_side_by_side_are_read_at_once(tmp_path, channels, monkeypatch):
    path, contents = tmp_path / "shard", [b"a" * 5, b"", b"ccc", b"dddd"]
    with path.open("wb") as file:
        writer = ShardWriter(file, 1, 4)
        for channel, content in enumerate(contents):
            writer.add(0, channel, content)
        writer.finish()
    shard, read, calls = ShardReader(path, 1, 4), os.pread, []

    def note(handle, length, offset):
        calls.append(length)
        return read(handle, length, offset)

    monkeypatch.setattr("os.pread", note)
    assert shard.frames(0, channels) == [contents[channel] for channel in channels]
    assert sum(calls) == sum(len(contents[channel]) for channel in channels)
    assert len(calls) <= len(channels)


def test_steps_are_undone_on_any_shape():
    image, steps = np.stack([NOISE, NOISE[::-1]])[None], np.zeros((1, 2, *NOISE.shape), np.uint8)
    for number in range(2):
        decompress(compress(image[0, number]), steps[0, number])
    assert np.array_equal(undo_array(steps, DELTA), image)
    assert np.array_equal(undo_delta(torch.from_numpy(steps)).numpy(), image)


@pytest.fixture
def packed(pack_root, write_root) -> Path:
    """Return a packed screen, also at 12 pixels, of which one PNG was missing and one cut off."""
    root = write_root()
    (root / "train/RPE-02/Plate1/C03_s1_w4.png").unlink()
    damaged = root / "test/HUVEC-03/Plate1/B02_s2_w6.png"
    damaged.write_bytes(damaged.read_bytes()[:90])
    return pack_root(root, (SIZE // 2,))


def test_packed_images_are_the_png_s(packed, write_root, wells):
    png, store = FileStore(write_root()), PackedStore(packed)
    assert isinstance(store, PackedStore)
    kept, _ = drop_incomplete(store, wells)
    for site in sites_of(kept):
        for channels in (CHANNELS, (5, 1)):
            for size in (None, SIZE // 2, SIZE // 3):
                assert np.array_equal(store.read(site, channels, size), png.read(site, channels, size))
    out = np.zeros((2, SIZE, SIZE), np.uint8)
    assert store.read(B02, (3, 4), None, out) is out
    assert np.array_equal(out[1], pixels("HUVEC-01", "B02", 1, 4))
    with pytest.raises(
        UserError, match=r"B02_s1_w3\.png: 24 x 24 pixels, but the first image is 12 x 12; set data\.size"
    ):
        store.read(B02, (3, 4), None, np.zeros((2, SIZE // 2, SIZE // 2), np.uint8))


def test_what_was_left_out_is_missing_with_its_reason(packed, wells):
    store = PackedStore(packed)
    gone = ["RPE-02/Plate1/C03_s1_w4.png", "HUVEC-03/Plate1/B02_s2_w6.png"]
    assert missing_images(store, wells) == gone
    assert missing_images(store, wells, channels=(4,)) == gone[:1]
    with pytest.raises(UserError, match="2 of 72 images are missing"):
        check_complete(store, wells)
    kept, dropped = drop_incomplete(store, wells)
    assert (len(kept), len(dropped)) == (10, 2)
    reasons = {(1, "RPE-02", "C03", 1, 4): "no such image file", (1, "HUVEC-03", "B02", 2, 6): "cut off after 90 bytes"}
    for (plate, experiment, well, site, channel), reason in reasons.items():
        with pytest.raises(UserError, match=f"left out when the screen was packed: .*{reason}"):
            store.read(Site("train", experiment, plate, well, site), (channel,))
    with pytest.raises(UserError, match="no such site"):
        store.read(B02._replace(well="D04"), (1,))
    with pytest.raises(UserError, match="HUVEC-09 plate 1 is not packed"):
        store.read(B02._replace(experiment="HUVEC-09"), (1,))


def test_zarr_reads_the_same_pixels(packed):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Numcodecs codecs")
        import zarr

        group = zarr.open_group(packed / IMAGES, mode="r")
        array = group["full/HUVEC-01/Plate1"]
        small = group[f"{SIZE // 2}/HUVEC-01/Plate1"]
    sites = [tuple(site) for site in array.attrs["sites"]]
    assert sites == [(well, site) for well in ("B02", "C03", "D05") for site in (1, 2)]
    assert not array[4:].any()  # a control without images
    for number, (well, site) in enumerate(sites[:4]):
        expected = [pixels("HUVEC-01", well, site, channel) for channel in array.attrs["channels"]]
        assert np.array_equal(array[number], expected)
    store = PackedStore(packed)
    assert np.array_equal(small[0], store.read(B02, CHANNELS, SIZE // 2))


def test_no_flipped_bit_of_any_file_passes_for_other_pixels(packed, wells):
    """Bits all over the files: an error, or the same pixels."""
    kept, _ = drop_incomplete(PackedStore(packed), wells)
    sites = [site for site in sites_of(kept) if site.experiment == "HUVEC-01"]
    expected = [PackedStore(packed).read(site, CHANNELS) for site in sites]
    files = [packed / MARK, packed / PLATE / "zarr.json", packed / PLATE / "c/0/0/0/0"]
    random, refused = np.random.default_rng(0), 0
    for _ in range(300):
        path = files[random.integers(3)]
        content = bytearray(path.read_bytes())
        place = int(random.integers(8 * len(content)))
        content[place // 8] ^= 1 << place % 8
        whole = path.read_bytes()
        path.write_bytes(content)
        try:
            store = PackedStore(packed)
            assert all(np.array_equal(store.read(s, CHANNELS), e) for s, e in zip(sites, expected, strict=True))
        except UserError as error:
            assert "\n" not in str(error)
            refused += 1
        path.write_bytes(whole)
    assert refused >= 295


def test_a_changed_manifest_is_refused(packed, wells):
    path = packed / MARK
    text = path.read_text()
    path.write_text(text.replace("HUVEC-01", "HUVEC-02"))
    with pytest.raises(UserError, match="damaged or was changed"):
        PackedStore(packed)
    Manifest("abc", (), {}).write(packed)
    assert Manifest.read(packed) == Manifest("abc", (), {})
    content = json.loads(path.read_text().rpartition("\n}")[0] + "\n}")
    assert content["version"] == 2


def test_sites_of_another_size_are_left_out(pack_root, write_root, wells):
    root = write_root()
    write_png(root / "train/HUVEC-01/Plate1/C03_s2_w5.png", np.zeros((SIZE, SIZE + 2), np.uint8))
    store = PackedStore(pack_root(root))
    assert missing_images(store, wells) == ["HUVEC-01/Plate1/C03_s2_w5.png"]
    with pytest.raises(UserError, match="24 x 26 pixels, but most of its plate have 24 x 24"):
        store.read(Site("train", "HUVEC-01", 1, "C03", 2), (5,))


def test_a_site_table_is_checked_without_opening_images(packed, wells, monkeypatch):
    monkeypatch.setattr("rcic.pixels.packed.zarr_shard.ShardReader.frames", None)
    assert len(missing_images(PackedStore(packed), wells)) == 2
