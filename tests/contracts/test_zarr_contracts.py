"""What a Zarr array gives for what is not, or no longer, in its files."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr
from numcodecs import Delta


def array(folder: Path, **options: object) -> "zarr.Array":
    made = zarr.create_array(str(folder), shape=(4, 4), chunks=(2, 2), dtype="u2", **options)  # type: ignore[arg-type]
    made[:] = 5
    return made


def test_zarr_a_lost_chunk_is_the_fill_value(tmp_path):
    """zarr 3.1.6: a chunk without a file is read as the fill value, so an image that was copied in part has black
    parts.

    `pixels.images.zarr_plane` refuses it;
    `tests/pixels/images/test_zarr_plane.py::test_a_plane_without_some_of_its_files_is_refused`.
    """
    array(tmp_path / "a", fill_value=7)
    (tmp_path / "a/c/1/1").unlink()
    assert zarr.open_array(str(tmp_path / "a"), mode="r")[3].tolist() == [5, 5, 7, 7]


def test_zarr_a_chunk_of_the_fill_value_has_no_file(tmp_path):
    """zarr 3.1.6: a chunk that is all fill value is not written, so a black image has no file at all.

    Nobody can tell it from a lost one: `pixels.images.zarr_plane` refuses both, and packing writes every chunk;
    `tests/pixels/images/test_zarr_plane.py::test_a_plane_without_its_files_is_missing_and_never_black`.
    """
    array(tmp_path / "a", fill_value=5)
    assert not (tmp_path / "a/c").exists()


def test_zarr_default_compression_has_no_checksum(tmp_path):
    """zarr 3.1.6: chunks are compressed by zstd without a checksum, so a flipped bit is another grey level, no error.

    `pixels.packed.frame` writes checksums;
    `tests/pixels/packed/test_packed_store.py::test_no_flipped_bit_of_any_file_passes_for_other_pixels`. Of other
    programs' arrays nobody can know.
    """
    made = zarr.create_array(str(tmp_path / "a"), shape=(4, 4), chunks=(2, 2), dtype="u1")
    made[:] = np.arange(16).reshape(4, 4)
    file = tmp_path / "a/c/0/0"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert zarr.open_array(str(tmp_path / "a"), mode="r")[1].tolist() == [4, 4, 6, 7]


def test_zarr_numbers_of_an_array_wrap_around(tmp_path):
    """zarr 3.1.6: an array of 70000 and 1.7 written to uint16 is 4464 and 1, with no word; the number 70000 is refused.

    The packed store holds uint8 that were clipped before.
    """
    made = array(tmp_path / "a")
    made[0] = np.full(4, 70_000)
    made[1] = np.full(4, 1.7)
    assert made[:2, 0].tolist() == [4464, 1]
    with pytest.raises(OverflowError):
        made[0] = 70_000


def test_zarr_a_stale_list_of_members_hides_arrays(tmp_path):
    """zarr 3.1.6: after `consolidate_metadata` an array that is added is not seen by who opens the group.

    `instruments.ome_zarr_plate` reads each image's own metadata; `tests/instruments/test_ome_zarr_plate.py`.
    """
    group = zarr.open_group(str(tmp_path / "g"), mode="w")
    group.create_array("0", shape=(2, 2), dtype="u1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata are no part of Zarr 3
        zarr.consolidate_metadata(str(tmp_path / "g"))
    group.create_array("1", shape=(2, 2), dtype="u1")
    assert sorted(zarr.open_group(str(tmp_path / "g"), mode="r").array_keys()) == ["0"]


def test_zarr_keeps_the_byte_order_of_version_2(tmp_path):
    """zarr 3.1.6: a big-endian array of version 2 gives big-endian numbers, which torch refuses.

    `pixels.images.zarr_plane` converts them;
    `tests/pixels/images/test_zarr_plane.py::test_other_byte_orders_are_those_of_this_machine`.
    """
    made = zarr.create_array(str(tmp_path / "a"), shape=(2, 2), dtype=">u2", zarr_format=2)
    made[:] = 1
    assert zarr.open_array(str(tmp_path / "a"), mode="r")[:].dtype == np.dtype(">u2")


def test_numcodecs_delta_flattens_an_image():
    """numcodecs 0.16.6: `Delta` takes differences along the flattened array, across the ends of rows, and wraps.

    `pixels.packed.frame` writes the same; `tests/pixels/packed/test_packed_store.py::test_zarr_reads_the_same_pixels`.
    """
    image = np.array([[200, 100], [3, 255]], np.uint8)
    assert Delta("u1").encode(image).tolist() == [200, 156, 159, 252]
    assert Delta("u1").decode(Delta("u1").encode(image)).shape == (4,)
