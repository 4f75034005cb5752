"""The format packed-lz4: larger files that are read more quickly, and the same images."""

import json

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler

from rcic.errors import UserError
from rcic.pixels.batches.augment import build_sample_transform
from rcic.pixels.batches.dataset import SiteDataset
from rcic.pixels.batches.loader import BatchLoader, view_on
from rcic.pixels.images.file_store import FileStore
from rcic.pixels.images.image import BadImage
from rcic.pixels.images.sites import Site, site_table
from rcic.pixels.packed.frame import (
    DELTA,
    ZIGZAG,
    compress_lz4,
    decompress_lz4,
    from_zigzag,
    to_zigzag,
    undo,
    undo_array,
)
from rcic.pixels.packed.manifest import MARK, PACKED, PACKED_LZ4, Manifest
from rcic.pixels.packed.pack_screen import pack
from rcic.pixels.packed.packed_store import ARRAY, IMAGES, SHARD, PackedStore
from tests.pixels.conftest import write_tables

NOISE = np.random.default_rng(0).integers(0, 256, (21, 34), dtype=np.uint8)
B02 = Site("train", "HUVEC-01", 1, "B02", 1)
PLATE = f"{IMAGES}/full/HUVEC-01/Plate1"


def decoded(frame: bytes, shape: tuple[int, ...]) -> np.ndarray:
    out = np.ones(shape, np.uint8)
    decompress_lz4(frame, out)
    assert np.array_equal(undo_array(out.copy(), ZIGZAG), undo(torch.from_numpy(out.copy()), ZIGZAG).numpy())
    return undo_array(out, ZIGZAG)


@pytest.fixture
def packed(write_root, wells, tmp_path):
    """Return the folder of image files and that of the packed screen, also at 8 pixels."""
    root = write_root()
    write_tables(root, wells)
    pack(root, tmp_path / "packed", (8,), threads=2, verify=True, form=PACKED_LZ4)
    return root, tmp_path / "packed"


def test_small_differences_have_small_numbers():
    steps = np.array([0, -1, 1, -2, 2, 127, -128]).astype(np.uint8)
    assert to_zigzag(steps).tolist() == [0, 1, 2, 3, 4, 254, 255]
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(from_zigzag(to_zigzag(every)), every) and len(set(to_zigzag(every))) == 256


@pytest.mark.parametrize("image", [NOISE, np.zeros((1, 1), np.uint8), np.full((3, 5), 255, np.uint8), NOISE[::2, ::3]])
def test_a_frame_is_its_image(image):
    assert np.array_equal(decoded(compress_lz4(image), image.shape), image)


def test_no_flipped_bit_and_no_other_content_passes_for_an_image():
    frame, out = compress_lz4(NOISE), np.zeros_like(NOISE)
    for bit in range(0, 8 * len(frame), 3):
        wrong = bytearray(frame)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(UserError, match="checksum"):
            decompress_lz4(bytes(wrong), out)
    for short in (b"", frame[:3], frame[:-1], frame + b"\0"):
        with pytest.raises(UserError, match="checksum"):
            decompress_lz4(short, out)
    with pytest.raises(UserError, match="has 714 pixels, not 10"):
        decompress_lz4(frame, np.zeros((2, 5), np.uint8))


def test_the_images_are_those_of_the_files(packed):
    root, folder = packed
    files, store = FileStore(root), PackedStore(folder)
    for site in (B02, B02._replace(site=2)):
        for size in (None, 8, 11):
            expected = files.read(site, (1, 6, 3), size)
            assert np.array_equal(store.read(site, (1, 6, 3), size), expected)
    assert [store.coding(size) for size in (None, 8, 11)] == [ZIGZAG, ZIGZAG, ""]
    coded = store.read(B02, (6, 1), coded=True)
    assert np.array_equal(undo_array(coded, ZIGZAG), files.read(B02, (6, 1)))


def test_the_device_undoes_the_coding(packed, wells):
    store = PackedStore(packed[1])
    dataset = SiteDataset(site_table(wells), store, (1, 6), build_sample_transform({"crop": 16, "d4": True}, seed=1))
    batches = BatchSampler([(1, 0), (1, 3)], 2, False)  # type: ignore[arg-type]
    here, there = (BatchLoader(dataset, batches, on_device=where) for where in (False, True))
    (cpu,), (device,) = list(here), list(there)
    assert device["coding"] == ZIGZAG
    assert torch.equal(view_on("cpu", device)[0], cpu["image"])


@pytest.mark.filterwarnings("ignore:Numcodecs codecs")
def test_zarr_reads_it(packed):
    import zarr

    root, folder = packed
    array = zarr.open_array(str(folder / PLATE), mode="r")
    place = [tuple(site) for site in array.attrs["sites"]].index(("B02", 1))
    assert np.array_equal(array[place], FileStore(root).read(B02, range(1, 7)))


def test_it_has_a_version_of_its_own_and_other_formats_keep_theirs(packed, tmp_path):
    root, folder = packed
    assert json.loads((folder / MARK).read_text().rpartition("\nsha256")[0])["version"] == 4
    assert Manifest.read(folder).format == PACKED_LZ4
    with pytest.raises(UserError, match="is packed with --format=packed-lz4, not packed"):
        pack(root, folder, (), threads=1, verify=False)
    pack(root, tmp_path / "zstd", (), threads=1, verify=False)
    assert json.loads((tmp_path / "zstd" / MARK).read_text().rpartition("\nsha256")[0])["version"] == 2
    one, other = (PackedStore(place)._array("full", B02) for place in (folder, tmp_path / "zstd"))
    assert (one.coding, other.coding) == (ZIGZAG, DELTA) and one.state == other.state
    assert Manifest.read(tmp_path / "zstd").format == PACKED


def test_damage_is_told(packed):
    folder = packed[1] / PLATE
    shard = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(shard[:20] + bytes([shard[20] ^ 1]) + shard[21:])
    with pytest.raises(BadImage, match=r"damaged image HUVEC-01/Plate1/B02_s1_w1\.png, its checksum"):
        PackedStore(packed[1]).read(B02, (1,))
    text = (folder / ARRAY).read_text().replace(ZIGZAG, "new")
    (folder / ARRAY).write_text(text)
    with pytest.raises(UserError, match="the file is damaged or was changed"):
        PackedStore(packed[1]).read(B02, (1,))
